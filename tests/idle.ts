// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waits until everything that can run has run: what is still unsettled then is parked.
 *
 * @module
 */

export { idle } from "../src/testing/idle.ts";
