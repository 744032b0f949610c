// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The worker of worker_checks.ts.
 *
 * @module
 */

import { currentTask, type Receiver, type Sender, sleep } from "@baozi/baozi";
import { serve } from "@baozi/baozi/workers";

export function double(n: number): number {
  return n * 2;
}

export function fail(message: string): never {
  throw new RangeError(message);
}

export function nap(ms: number): Promise<void> {
  return sleep(ms);
}

/** Waits twice: of the second wait a browser does not know whose it is. */
export async function napTwice(ms: number): Promise<void> {
  const { signal } = currentTask()!;
  await sleep(1);
  await sleep(ms, { signal });
}

export function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

export async function* count(): AsyncGenerator<number, void> {
  for (let n = 1;; n++) {
    await sleep(0);
    yield n;
  }
}

export async function lengths(input: Receiver<string>, output: Sender<number>): Promise<void> {
  for await (const text of input) await output.send(text.length);
  output.close();
}

export function explode(): Promise<never> {
  setTimeout(() => {
    throw new RangeError("boom");
  }, 0);
  return new Promise(() => {});
}

serve({ count, double, explode, fail, lengths, nap, napTwice, spin });
