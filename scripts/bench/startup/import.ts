// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Imports one module and prints how long that took, in milliseconds. `scripts/bench/startup.ts`
 * starts it as plain JavaScript, in a process of its own each time.
 *
 *     import.js NAME
 *
 * @module
 */

import process from "node:process";

const name = process.argv[2]!;
const start = performance.now();
const found = await import(name);
const ms = performance.now() - start;
console.log(JSON.stringify({ ms, names: Object.keys(found).length }));
process.exit(0);
