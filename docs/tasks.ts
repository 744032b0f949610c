// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The worker of the programs in workers.md.
 *
 * @module
 */

import { type Receiver, type Sender, shield, sleep } from "@baozi/baozi";
import { serve } from "@baozi/baozi/workers";

export class RecipeError extends Error {
  override name = "RecipeError";
}

export function countPrimes(below: number): number {
  let count = 0;
  for (let n = 2, by = 2; n < below; n++) {
    for (by = 2; by * by <= n && n % by !== 0; by++);
    if (by * by > n) count++;
  }
  return count;
}

export async function bake(minutes: number): Promise<string> {
  if (minutes > 100_000) throw new RecipeError("too long");
  try {
    await sleep(minutes);
    return "baked";
  } finally {
    await shield(() => sleep(1)); // turns the oven off
  }
}

export async function* lines(text: string): AsyncGenerator<string, number> {
  const all = text.split("\n");
  for (const line of all) {
    await sleep(0);
    yield line;
  }
  return all.length;
}

export async function lengths(input: Receiver<string>, output: Sender<number>): Promise<void> {
  for await (const text of input) await output.send(text.length);
}

export async function takeTwo(input: Receiver<number>): Promise<number[]> {
  return [await input.receive(), await input.receive()];
}

export function sum(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum + byte, 0);
}

export async function burn(): Promise<void> {
  setTimeout(() => {
    throw new RangeError("on fire"); // where nobody catches
  }, 0);
  await sleep(Infinity);
}

serve({ bake, burn, countPrimes, lengths, lines, sum, takeTwo }, { classes: [RecipeError] });
