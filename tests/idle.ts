// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waits until everything that can run has run: what is still unsettled then is parked.
 *
 * @module
 */

import { macrotask } from "../src/_kernel/host.ts";
import { queueSize } from "../src/_kernel/run_queue.ts";

/** Resolves when the run queue is empty and two macrotasks in a row found it so. Timers do not count. */
export async function idle(): Promise<void> {
  for (let quiet = 0; quiet < 2; quiet = queueSize() === 0 ? quiet + 1 : 0) {
    await new Promise<void>((resolve) => macrotask(resolve));
  }
}
