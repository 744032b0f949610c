// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Foreign promises as waits of this library.
 *
 * @module
 */

import { runOutside } from "./_kernel/current.ts";
import { WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
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
  const candidate = promise as { then?: unknown } | null | undefined;
  if (
    (typeof candidate !== "object" && typeof candidate !== "function") ||
    typeof candidate?.then !== "function"
  ) {
    return Promise.reject(
      new TypeError(`Cannot wait until: promise must have then(), got ${typeof promise}`),
    );
  }
  if (promise instanceof Task) return promise.get(options);
  // Subscribed in any case: who asks takes over its rejection.
  const waits = Waits.of(promise);
  const refused = refuse("wait until", options);
  if (refused !== null) return refused;
  if (waits.failed) return Promise.reject(waits.result);
  if (waits.settled) return Promise.resolve(waits.result as Awaited<T>);
  return new Waiter<Awaited<T>>().park(waits.list, options);
}

/** Who waits on one foreign promise. */
class Waits implements WaitOwner {
  readonly [Symbol.toStringTag] = "Promise";
  readonly list: WaitList = new WaitList(this, "wait until");
  settled = false;
  failed = false;
  /** The value or the error. */
  result: unknown = undefined;

  static readonly #all: WeakMap<object, Waits> = new WeakMap();

  /** The one subscription that a promise gets in its life; it belongs to no task. */
  static of(promise: PromiseLike<unknown>): Waits {
    let waits = Waits.#all.get(promise);
    if (waits === undefined) {
      Waits.#all.set(promise, waits = new Waits());
      runOutside(subscribe, promise, waits);
    }
    return waits;
  }

  settle(failed: boolean, result: unknown): void {
    this.settled = true;
    this.failed = failed;
    this.result = result;
    for (let waiter = this.list.first; waiter !== null; waiter = this.list.first) {
      if (failed) waiter.fail(result);
      else waiter.settle(result);
    }
  }
}

function subscribe(promise: PromiseLike<unknown>, waits: Waits): void {
  Promise.resolve(promise).then(
    (value) => waits.settle(false, value),
    (error) => waits.settle(true, error),
  );
}
