// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A flag that many can wait for.
 *
 * @module
 */

// Invariants
//  1. Nobody waits while it is set.
// Source: gevent's Event: who waits when it is set goes on, even if it is cleared before they run.

import { delist, enlist, NOTHING, type Selectable, type SelectCase } from "./_kernel/selectable.ts";
import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";

/**
 * A flag. `set` wakes all who wait. As a case of `select` it is ready while set.
 *
 * @example A start signal
 * ```ts
 * import { Event } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const start = new Event();
 * const runners = Promise.all([start.wait(), start.wait()]);
 * start.set();
 * assertEquals(await runners, [true, true]);
 * ```
 */
export class Event implements Selectable<void> {
  #set = false;
  readonly #waiters: WaitList = new WaitList(this, "wait for event");
  readonly #case: SelectCase<void> = {
    ready: () => this.#set,
    take: () => NOTHING,
    enlist: (branch) => enlist(branch, this.#waiters),
    watch: (branch) => this.#set ? branch.settle(NOTHING) : enlist(branch, this.#waiters),
    delist,
  };

  /** Sets it and wakes all who wait now, in order of arrival, even if it is cleared before they run. */
  set(): void {
    this.#set = true;
    for (let waiter = this.#waiters.first; waiter !== null; waiter = this.#waiters.first) {
      if (waiter.group === null) waiter.settle(true);
      else waiter.settle(NOTHING);
    }
  }

  /** Clears it: from now on `wait` parks. */
  clear(): void {
    this.#set = false;
  }

  /** Waits until it is set: `true`, or `false` if `options.timeout` is over first. */
  wait(options?: WaitOptions): Promise<boolean> {
    const refused = refuse("wait for event", options);
    if (refused !== null) return refused;
    if (this.#set) return Promise.resolve(true);
    return new Waiter<boolean>().park(this.#waiters, options, false);
  }

  /** Whether it is set. */
  get isSet(): boolean {
    return this.#set;
  }

  /** "Event". */
  get [Symbol.toStringTag](): string {
    return "Event";
  }

  /** The event as a case of `select`. */
  get "~select"(): SelectCase<void> {
    return this.#case;
  }
}
