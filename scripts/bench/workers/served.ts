// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Our thread.
 *
 * @module
 */

import type { Receiver, Sender } from "../../../src/channel.ts";
import { serve } from "../../../src/workers/mod.ts";
import { add, hash, type Item } from "./tasks.ts";

export { add, hash };

/** Adds up numbers. */
export async function sum(input: Receiver<number>): Promise<number> {
  let sum = 0;
  for await (const value of input) sum += value;
  return sum;
}

/** Adds up what is in objects. */
export async function sumIds(input: Receiver<Item>): Promise<number> {
  let sum = 0;
  for await (const { id } of input) sum += id;
  return sum;
}

/** Sends the numbers below `size`. */
export async function count(output: Sender<number>, size: number): Promise<void> {
  for (let i = 0; i < size; i++) await output.send(i);
  output.close();
}

serve({ add, hash, sum, sumIds, count });
