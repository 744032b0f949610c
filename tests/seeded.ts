// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Random numbers that come the same each time.
 *
 * @module
 */

export { randomOf as seeded } from "../src/testing/_explore/random.ts";
