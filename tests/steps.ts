// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Asserts the order in which things happen, without a clock.
 *
 * @module
 */

export { type Steps, steps } from "../src/testing/steps.ts";
