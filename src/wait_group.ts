// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waiting until a number of things are done.
 *
 * @module
 */

import { delist, enlist, NOTHING, type Selectable, type SelectCase } from "./_kernel/selectable.ts";
import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";

/**
 * A counter of things to be done; `wait` waits until it is 0. As a case of `select` it is ready while
 * it is 0.
 *
 * Source: Go's `sync.WaitGroup`.
 *
 * @example Two things
 * ```ts
 * import { spawn, WaitGroup } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const group = new WaitGroup();
 * group.add(2);
 * spawn(() => group.done());
 * spawn(() => group.done());
 * assertEquals(await group.wait(), true);
 * ```
 */
export class WaitGroup implements Selectable<void> {
  #count = 0;
  readonly #waiters: WaitList = new WaitList(this, "wait for group");

  /**
   * Adds `count` things, or takes away if it is negative.
   *
   * @throws {RangeError} If it is no integer, or fewer than 0 would be left.
   */
  add(count = 1): void {
    if (!Number.isInteger(count) || this.#count + count < 0) {
      throw new RangeError(
        `Cannot add to wait group: the count must stay an integer >= 0, got ${this.#count + count}`,
      );
    }
    this.#count += count;
    if (this.#count > 0) return;
    for (let waiter = this.#waiters.first; waiter !== null; waiter = this.#waiters.first) {
      if (waiter.group === null) waiter.settle(true);
      else waiter.settle(NOTHING);
    }
  }

  /** One thing is done. @throws {RangeError} If none was left. */
  done(): void {
    this.add(-1);
  }

  /** Waits until nothing is left: `true`, or `false` if `options.timeout` is over first. */
  wait(options?: WaitOptions): Promise<boolean> {
    const refused = refuse("wait for group", options);
    if (refused !== null) return refused;
    if (this.#count === 0) return Promise.resolve(true);
    return new Waiter<boolean>().park(this.#waiters, options, false);
  }

  /** How many things are left. */
  get count(): number {
    return this.#count;
  }

  /** "WaitGroup". */
  get [Symbol.toStringTag](): string {
    return "WaitGroup";
  }

  /** The group as a case of `select`. */
  get "~select"(): SelectCase<void> {
    return {
      ready: () => this.#count === 0,
      take: () => NOTHING,
      enlist: (branch) => enlist(branch, this.#waiters),
      watch: (branch) => this.#count === 0 ? branch.settle(NOTHING) : enlist(branch, this.#waiters),
      delist,
    };
  }
}
