// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waiting under a lock until something may have changed.
 *
 * @module
 */

import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";
import type { Mutex } from "./mutex.ts";

/**
 * A condition variable. `wait` gives up the mutex while it waits and holds it again when it returns,
 * also when it rejects. A woken waiter looks at the state again: others may have been faster.
 *
 * Source: Mesa monitors; Python's `threading.Condition`.
 *
 * @example Wait until there is something
 * ```ts
 * import { Condition, Mutex, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const mutex = new Mutex(), changed = new Condition(mutex), items: string[] = [];
 * const taker = spawn(() => mutex.withLock(async () => {
 *   while (items.length === 0) await changed.wait();
 *   return items.pop();
 * }));
 * await mutex.withLock(() => items.push("a"));
 * spawn(() => changed.notify());
 * assertEquals(await taker, "a");
 * ```
 */
export class Condition {
  readonly #mutex: Mutex;
  readonly #waiters: WaitList = new WaitList(this, "wait for condition");

  /** Creates a condition under `mutex`. @throws {TypeError} If it is no mutex. */
  constructor(mutex: Mutex) {
    if (typeof (mutex as Partial<Mutex> | null)?.["~suspend"] !== "function") {
      throw new TypeError(`Cannot create condition: mutex must be a Mutex, got ${typeof mutex}`);
    }
    this.#mutex = mutex;
  }

  /**
   * Waits until notified: `true`, or `false` if `options.timeout` is over first. Holds the mutex again
   * when it returns or rejects; that wait is out of reach of kills and limits.
   *
   * @throws {TypeError} If the mutex is not locked.
   */
  async wait(options?: WaitOptions): Promise<boolean> {
    const refused = refuse("wait for condition", options);
    if (refused !== null) return refused;
    if (!this.#mutex.locked) {
      throw new TypeError("Cannot wait for condition: its mutex must be locked");
    }
    const notified = new Waiter<boolean>().park(this.#waiters, options, false);
    const lock = this.#mutex["~suspend"]();
    try {
      return await notified;
    } finally {
      await lock();
    }
  }

  /** Wakes the first `count` of those who wait. @throws {RangeError} If it is no integer >= 0. */
  notify(count = 1): void {
    if (!Number.isInteger(count) || count < 0) {
      throw new RangeError(`Cannot notify: count must be an integer >= 0, got ${count}`);
    }
    for (; count > 0 && this.#waiters.first !== null; count--) this.#waiters.first.settle(true);
  }

  /** Wakes all who wait. */
  notifyAll(): void {
    while (this.#waiters.first !== null) this.#waiters.first.settle(true);
  }

  /** "Condition". */
  get [Symbol.toStringTag](): string {
    return "Condition";
  }
}
