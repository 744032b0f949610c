// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A place where a fixed number of tasks wait for each other.
 *
 * @module
 */

import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";

/**
 * Lets go when `parties` tasks have arrived, then serves the next round. One that is cancelled while it
 * waits has not arrived.
 *
 * @example Three meet
 * ```ts
 * import { Barrier } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const barrier = new Barrier(3);
 * assertEquals(await Promise.all([barrier.wait(), barrier.wait(), barrier.wait()]), [0, 1, 2]);
 * ```
 */
export class Barrier {
  /** How many must arrive. */
  readonly parties: number;
  readonly #waiters: WaitList = new WaitList(this, "wait at barrier");
  #arrived = 0;

  /** Creates a barrier for `parties` tasks. @throws {RangeError} If it is no integer >= 1. */
  constructor(parties: number) {
    if (!Number.isInteger(parties) || parties < 1) {
      throw new RangeError(
        `Cannot create barrier: parties must be an integer >= 1, got ${parties}`,
      );
    }
    this.parties = parties;
  }

  /**
   * Waits until all have arrived. Resolves to the place in the order of arrival, from 0.
   *
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  wait(options?: WaitOptions): Promise<number> {
    const refused = refuse("wait at barrier", options);
    if (refused !== null) return refused;
    if (this.#arrived + 1 < this.parties) {
      this.#arrived++;
      return new Waiter<number>().park(this.#waiters, options);
    }
    let place = 0;
    for (let waiter = this.#waiters.first; waiter !== null; waiter = this.#waiters.first) {
      waiter.settle(place++);
    }
    this.#arrived = 0;
    return Promise.resolve(place);
  }

  /** How many wait now. */
  get waiting(): number {
    return this.#arrived;
  }

  /** "Barrier". */
  get [Symbol.toStringTag](): string {
    return "Barrier";
  }

  /** One that waited has left. For the kernel. */
  "~waiterLeft"(): void {
    this.#arrived--;
  }
}
