// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waiting for time to pass, or just for one's next turn.
 *
 * @module
 */

import { checkMs } from "./_kernel/clock.ts";
import { enqueueYield } from "./_kernel/run_queue.ts";
import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";

const SLEEPERS = new WaitList({ [Symbol.toStringTag]: "sleep" }, "sleep");

/**
 * Waits `ms` milliseconds on the monotonic clock, never less. `0` gives up the turn: all that can run
 * now runs first, and a loop of it never starves timers and I/O. `Infinity` waits until cancelled.
 *
 * @param ms Milliseconds, >= 0. @default {0}
 * @throws {RangeError} If `ms` is negative or NaN.
 * @throws {TimeoutError} If `options.timeout` is less than `ms` and over.
 *
 * @example Taking turns
 * ```ts
 * import { joinAll, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const seen: string[] = [];
 * const worker = async (name: string) => {
 *   for (let i = 1; i <= 2; i++) {
 *     seen.push(name + i);
 *     await sleep(0);
 *   }
 * };
 * await joinAll([spawn(worker, "a"), spawn(worker, "b")]);
 * assertEquals(seen, ["a1", "b1", "a2", "b2"]);
 * ```
 */
export function sleep(ms = 0, options?: WaitOptions): Promise<void> {
  try {
    checkMs("sleep", "ms", ms);
  } catch (error) {
    return Promise.reject(error);
  }
  const refused = refuse("sleep", options);
  if (refused !== null) return refused;
  const waiter = new Waiter<void>();
  if (options?.timeout != null && options.timeout < ms) return waiter.park(SLEEPERS, options);
  const slept = waiter.park(
    SLEEPERS,
    options?.signal == null ? undefined : { signal: options.signal },
  );
  if (ms === 0) enqueueYield(waiter);
  else waiter.expire(ms, undefined);
  return slept;
}
