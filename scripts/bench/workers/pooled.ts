// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The thread of `piscina` and of `tinypool`, whose functions have one argument.
 *
 * @module
 */

import { add as addThem } from "./tasks.ts";

export { hash } from "./tasks.ts";

/** The smallest call. */
export function add({ a, b }: { a: number; b: number }): number {
  return addThem(a, b);
}
