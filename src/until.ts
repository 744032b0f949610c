// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Foreign promises as foreign of this library.
 *
 * @module
 */

import { ForeignPromise, isThenable } from "./_kernel/foreign.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";
import { Task } from "./task.ts";

/**
 * Waits for a promise that this library did not make, so that a kill, a signal or a timeout ends the
 * wait. What the promise stands for goes on; its later result or error is dropped. Waiting on one
 * promise many times subscribes to it once.
 *
 * @param promise A promise, or anything with `then`.
 * @param options Signal and timeout.
 * @throws What the promise rejects with.
 * @throws {TypeError} If `promise` is no promise.
 * @throws {TimeoutError} If `options.timeout` is over first.
 *
 * @example A foreign promise that never settles
 * ```ts
 * import { sleep, spawn, until } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const task = spawn(() => until(new Promise(() => {})));
 * await sleep(0);
 * await task.kill();
 * assertEquals(task.state, "killed");
 * ```
 */
export function until<T>(promise: PromiseLike<T>, options?: WaitOptions): Promise<Awaited<T>> {
  if (!isThenable(promise)) {
    return Promise.reject(
      new TypeError(`Cannot wait until: promise must have then(), got ${typeof promise}`),
    );
  }
  if (promise instanceof Task) return promise.get(options);
  // Subscribed in any case: who asks takes over its rejection.
  const foreign = ForeignPromise.of(promise);
  const refused = refuse("wait until", options);
  if (refused !== null) return refused;
  if (foreign.failed) return Promise.reject(foreign.result);
  if (foreign.settled) return Promise.resolve(foreign.result as Awaited<T>);
  return new Waiter<Awaited<T>>().park(foreign.list, options);
}
