// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A worker's module that has nothing to do: its thread ends.
 *
 * @module
 */

export {};
