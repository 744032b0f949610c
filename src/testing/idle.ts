// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waits until everything that can run has run: what is still unsettled then is parked.
 *
 * @module
 */

import { macrotask } from "../_kernel/host.ts";
import { queueSize } from "../_kernel/run_queue.ts";

/** In a row, with nobody in the run queue. One may be the one in which a turn of the queue ends. */
const QUIET_TURNS = 2;

let waiting = 0;

/**
 * Resolves when all that can run has run: two macrotasks in a row found the run queue empty. Then every
 * task that has not ended is parked, and a test can look at what is so. Timers and I/O do not count:
 * it waits for none of them. Inside `virtualTime` the clock stands still meanwhile. It is no wait of
 * this library: no kill ends it, and it can be called in a killed task.
 *
 * @example Does it really wait?
 * ```ts
 * import { Channel, spawn } from "@baozi/baozi";
 * import { idle } from "@baozi/baozi/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const ch = new Channel<string>();
 * const sent = spawn(() => ch.send("pork"));
 * await idle();
 * assertEquals(sent.ready, false); // without idle() nothing would be said by this
 * assertEquals(await ch.receive(), "pork");
 * ```
 */
export async function idle(): Promise<void> {
  waiting++;
  for (let quiet = 0; quiet < QUIET_TURNS; quiet = queueSize() === 0 ? quiet + 1 : 0) {
    await new Promise<void>(macrotask);
  }
  waiting--;
}

/** How many wait in {@linkcode idle}: for them virtual time must not go on. */
export function idlers(): number {
  return waiting;
}
