// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A result that is given later, once.
 *
 * @module
 */

// Invariants
//  1. Settled once: the first resolve or reject wins. Nobody waits after it.
// Source: gevent's AsyncResult, of which a second set silently overwrote the first.

import {
  delist,
  enlist,
  failAll,
  NOTHING,
  type Selectable,
  type SelectCase,
  type Selected,
  serveAll,
} from "./_kernel/selectable.ts";
import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";

/**
 * A result given from outside. Not a thenable itself, so it can be sent, returned and stored; `get`
 * waits as everything here does, `promise` is for others.
 *
 * @example The first result counts
 * ```ts
 * import { Deferred } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const answer = new Deferred<number>();
 * assertEquals([answer.resolve(42), answer.resolve(43)], [true, false]);
 * assertEquals(await answer.get(), 42);
 * ```
 *
 * @typeParam T The type of the result.
 */
export class Deferred<T> implements Selectable<T> {
  #state: "waiting" | "resolved" | "rejected" = "waiting";
  #result: unknown = undefined;
  #promise: Promise<T> | null = null;
  readonly #waiters: WaitList = new WaitList(this, "get deferred");

  /** Gives the value. Returns whether this call settled it. */
  resolve(value: T): boolean {
    return this.#settle("resolved", value);
  }

  /** Gives an error. Returns whether this call settled it. Nobody asking for it is no failure. */
  reject(error: unknown): boolean {
    return this.#settle("rejected", error);
  }

  /**
   * Waits for the result, at once if it is there.
   *
   * @throws The error it was rejected with.
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  get(options?: WaitOptions): Promise<T> {
    const refused = refuse("get deferred", options);
    if (refused !== null) return refused;
    return this.#outcome() ?? new Waiter<T>().park(this.#waiters, options);
  }

  /** Whether the result is there. */
  get settled(): boolean {
    return this.#state !== "waiting";
  }

  /** The result as a plain promise, always the same one, which no kill reaches. */
  get promise(): Promise<T> {
    return this.#promise ??= this.#outcome() ?? new Waiter<T>().parkFor(null, this.#waiters);
  }

  /** "Deferred". */
  get [Symbol.toStringTag](): string {
    return "Deferred";
  }

  /** The deferred as a case of `select`: ready when settled. */
  get "~select"(): SelectCase<T> {
    return {
      ready: () => this.settled,
      take: () => {
        if (this.#state === "rejected") throw this.#result;
        return { value: this.#result as T, done: false };
      },
      enlist: (branch) => enlist(branch, this.#waiters),
      watch: (branch) =>
        this.settled ? branch.settle(NOTHING as Selected<T>) : enlist(branch, this.#waiters),
      delist,
    };
  }

  #outcome(): Promise<T> | undefined {
    if (this.#state === "waiting") return undefined;
    return this.#state === "resolved"
      ? Promise.resolve(this.#result as T)
      : Promise.reject(this.#result);
  }

  #settle(state: "resolved" | "rejected", result: unknown): boolean {
    if (this.#state !== "waiting") return false;
    this.#state = state;
    this.#result = result;
    if (state === "resolved") serveAll(this.#waiters, result);
    else failAll(this.#waiters, result);
    return true;
  }
}
