// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Clean-up that must wait, held out of reach of kills.
 *
 * @module
 */

import { Context, currentContext, runIn } from "./_kernel/current.ts";
import { withTimeout } from "./timeout.ts";

/**
 * Runs `fn` out of reach of kills, limits and cancels that come from outside, also in a task that is
 * killed already; signals and timeouts given inside still work. Resolves to what `fn` gives. The first
 * wait after it meets the kill.
 *
 * @param fn The clean-up.
 * @param options How long it may take: then its waits reject with a `TimeoutError`, as in `withTimeout`.
 * @throws {TypeError} If `fn` is no function.
 * @throws {RangeError} If `options.timeout` is negative or NaN.
 * @throws {TimeoutError} If `options.timeout` is over first.
 * @throws What `fn` throws.
 *
 * @example Clean-up that waits
 * ```ts
 * import { shield, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const log: string[] = [];
 * const task = spawn(async () => {
 *   try {
 *     await sleep(60_000);
 *   } finally {
 *     await shield(async () => {
 *       await sleep(1);
 *       log.push("saved");
 *     });
 *   }
 * });
 * await sleep(0);
 * await task.kill();
 * assertEquals(log, ["saved"]);
 * ```
 */
export async function shield<T>(
  fn: () => T,
  options: { timeout?: number | undefined } = {},
): Promise<Awaited<T>> {
  if (typeof fn !== "function") {
    throw new TypeError(`Cannot shield: fn must be a function, got ${typeof fn}`);
  }
  const { timeout } = options;
  const body: () => T | Promise<Awaited<T>> = timeout === undefined
    ? fn
    : () => withTimeout(timeout, fn);
  const context = currentContext();
  return await (context === null ? body() : runIn(new Context(context, true), body)) as Awaited<T>;
}
