// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A worker's module that lives, and never serves.
 *
 * @module
 */

setInterval(() => {}, 1000);
