// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Foreign promises as waits of this library.
 *
 * @module
 */

import { WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";

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
  const refused = refuse("wait until", options);
  if (refused !== null) return refused;
  const waits = Waits.of(promise);
  if (waits.settled) return Promise.resolve(promise) as Promise<Awaited<T>>;
  return new Waiter<Awaited<T>>().park(waits.list, options);
}

/** Who waits on one foreign promise. */
class Waits implements WaitOwner {
  readonly [Symbol.toStringTag] = "Promise";
  readonly list: WaitList = new WaitList(this, "wait until");
  settled = false;

  static readonly #all: WeakMap<object, Waits> = new WeakMap();

  /** The one subscription that a promise gets in its life. */
  static of(promise: PromiseLike<unknown>): Waits {
    let waits = Waits.#all.get(promise);
    if (waits === undefined) {
      Waits.#all.set(promise, waits = new Waits());
      waits.#subscribe(promise);
    }
    return waits;
  }

  #subscribe(promise: PromiseLike<unknown>): void {
    Promise.resolve(promise).then(
      (value) => {
        this.settled = true;
        for (let waiter = this.list.first; waiter !== null; waiter = this.list.first) {
          waiter.settle(value);
        }
      },
      (error) => {
        this.settled = true;
        for (let waiter = this.list.first; waiter !== null; waiter = this.list.first) {
          waiter.fail(error);
        }
      },
    );
  }
}
