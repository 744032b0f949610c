// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The thread of `comlink`.
 *
 * @module
 */

import { parentPort } from "node:worker_threads";
import { loadComlink } from "./peers.ts";
import { add, type Item } from "./tasks.ts";

export { add };

let sum = 0;

/** Adds a number to the total. */
export function take(value: number): void {
  sum += value;
}

/** Adds what is in an object to the total. */
export function takeItem({ id }: Item): void {
  sum += id;
}

/** The total since it was last asked for. */
export function total(): number {
  const total = sum;
  sum = 0;
  return total;
}

/** Gives the numbers below `size`, so many at once. */
export async function count(
  size: number,
  atOnce: number,
  give: (value: number) => unknown,
): Promise<void> {
  for (let i = 0; i < size; i += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, size - i) }, (_, k) => give(i + k)));
  }
}

const { expose, nodeEndpoint } = await loadComlink();
expose({ add, take, takeItem, total, count }, nodeEndpoint(parentPort!));
