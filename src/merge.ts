// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Many receivers as one.
 *
 * @module
 */

// Invariants
//  1. Nothing is taken from a source before somebody takes it here: no buffer, no task, nothing lost.
//  2. A source that has ended is forgotten; an error of one ends all.

import {
  type Selectable,
  type SelectBranch,
  type SelectCase,
  type Selected,
  takeBack,
} from "./_kernel/selectable.ts";
import { WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaiterGroup, type WaitOptions } from "./_kernel/waiter.ts";
import type { ChannelReceiveResult } from "./channel.ts";
import { ChannelClosedError } from "./errors.ts";

/** What {@linkcode merge} gives. */
export interface Merged<T> extends Selectable<T>, AsyncIterableIterator<T>, AsyncDisposable {
  /** Takes the next value of any source; parks while there is none. */
  receive(options?: WaitOptions): Promise<T>;
  /** Takes a value if any source has one. */
  tryReceive(): ChannelReceiveResult<T>;
}

/**
 * Fans in: takes from whichever of `sources` has a value, fairly. Nothing is taken before it is asked
 * for, so leaving the loop loses nothing and leaves the sources open. It ends when all sources have
 * ended, and with the first error of one.
 *
 * @param sources Receivers: channels, produced receivers, subscriptions, other merges, queues.
 * @throws {TypeError} If one is not selectable.
 *
 * @example Two sources
 * ```ts
 * import { Channel, merge } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const both = merge(Channel.from([1, 2]), Channel.from(["a"]));
 * const seen = new Set<number | string>();
 * for await (const value of both) seen.add(value);
 * assertEquals(seen, new Set([1, 2, "a"]));
 * ```
 */
export function merge<T extends readonly unknown[]>(
  ...sources: { [K in keyof T]: Selectable<T[K]> }
): Merged<T[number]> {
  const cases = (sources as Selectable<T[number]>[]).map((source) => {
    const selectCase = (source as Partial<Selectable<T[number]>> | null)?.["~select"];
    if (selectCase !== undefined) return selectCase;
    throw new TypeError(`Cannot merge: a source must be a receiver, got ${typeof source}`);
  });
  return new Merge<T[number]>(cases);
}

/** What one who waits wants to be given: a value, or what an iterator and a case give. */
const VALUE = 0;
const RESULT = 1;
const CASE = 2;
type Wanted = typeof VALUE | typeof RESULT | typeof CASE;

const ENDED: { readonly value: never; readonly done: true } = Object.freeze({
  value: undefined as never,
  done: true,
});

class Merge<T> implements Merged<T>, WaitOwner, SelectCase<T> {
  readonly [Symbol.toStringTag] = "merge";
  readonly #list: WaitList = new WaitList(this, "receive");
  /** The sources that have not ended. */
  readonly sources: Array<SelectCase<T>>;
  /** The error that ended it. */
  #failed: [error: unknown] | null = null;
  /** Where the next look begins, so that no source starves another. */
  #turn = 0;
  #returned = false;

  constructor(sources: Array<SelectCase<T>>) {
    this.sources = sources;
  }

  receive(options?: WaitOptions): Promise<T> {
    return this.#next(VALUE, options);
  }

  tryReceive(): ChannelReceiveResult<T> {
    let taken: Selected<T> | undefined;
    try {
      taken = this.#poll();
    } catch {
      return { state: "closed" };
    }
    if (taken === undefined) return { state: "empty" };
    return taken.done ? { state: "closed" } : { state: "ok", value: taken.value };
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return this.#returned ? Promise.resolve(ENDED) : this.#next(RESULT);
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#returned = true;
    const waiting: Waiter[] = [];
    for (let waiter = this.#list.first; waiter !== null; waiter = waiter.next) {
      if ((waiter.payload as Merging<T>).wants === RESULT) waiting.push(waiter);
    }
    // All at first: what one gives up must not go to the next.
    for (const waiter of waiting) waiter.settle(ENDED);
    for (const waiter of waiting) (waiter.payload as Merging<T>).withdraw();
    return Promise.resolve(ENDED);
  }

  get "~select"(): SelectCase<T> {
    return this;
  }

  ready(): boolean {
    if (this.#failed !== null) return true;
    return this.sources.some((source) => source.ready() && source.ended?.() !== true) ||
      this.ended();
  }

  ended(): boolean {
    return this.#failed === null && this.sources.every((source) => source.ended?.() === true);
  }

  take(): Selected<T> {
    return this.#poll() ?? ENDED;
  }

  enlist(branch: SelectBranch<T>): void {
    new Merging(this, branch as Waiter, CASE).enlist();
  }

  delist(branch: SelectBranch<T>): void {
    const waiter = branch as Waiter;
    (waiter.payload as Merging<T>).withdraw();
    waiter.withdraw();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  "~waiterLeft"(waiter: Waiter): void {
    (waiter.payload as Merging<T>).withdraw();
  }

  /** One source has failed: that ends all. */
  fail(error: unknown): void {
    this.#failed ??= [error];
  }

  #next<R>(wants: typeof VALUE | typeof RESULT, options?: WaitOptions): Promise<R> {
    const refused = refuse("receive", options);
    if (refused !== null) return refused;
    try {
      const taken = this.#poll();
      if (taken !== undefined) return Promise.resolve(answer(wants, taken) as R);
    } catch (error) {
      return Promise.reject(error);
    }
    const waiter = new Waiter<R>();
    const merging = new Merging<T>(this, waiter, wants);
    const next = waiter.park(this.#list, options);
    merging.enlist();
    return next;
  }

  /** Takes from the next ready source, forgetting those that have ended; `undefined` if none is ready. */
  #poll(): Selected<T> | undefined {
    if (this.#failed !== null) throw this.#failed[0];
    for (let looked = 0; looked < this.sources.length;) {
      this.#turn = (this.#turn + 1) % this.sources.length;
      const source = this.sources[this.#turn]!;
      if (!source.ready()) {
        looked++;
        continue;
      }
      let taken: Selected<T>;
      try {
        taken = source.take();
      } catch (error) {
        this.fail(error);
        throw error;
      }
      if (!taken.done) return taken;
      // The one that moved up is the next, so that none is passed over.
      this.sources.splice(this.#turn--, 1);
    }
    return this.sources.length === 0 ? ENDED : undefined;
  }
}

/** One wait on all sources of a merge, for one waiter or one branch of a select. */
class Merging<T> implements WaiterGroup {
  readonly #merge: Merge<T>;
  readonly #target: Waiter;
  readonly #branches: Map<Waiter, SelectCase<T>> = new Map();
  readonly wants: Wanted;

  constructor(merge: Merge<T>, target: Waiter, wants: Wanted) {
    this.#merge = merge;
    this.#target = target;
    this.wants = wants;
    target.payload = this;
  }

  /** It is over, or about to be cancelled: for what another one frees by its end. */
  get doomed(): boolean {
    return this.#target.settled || this.#target.doomed;
  }

  enlist(): void {
    for (const source of [...this.#merge.sources]) {
      // Who waits on a source that has ended is never told.
      if (source.ended?.() === true) continue;
      if (this.#target.settled) return;
      const branch = new Waiter(undefined, this);
      this.#branches.set(branch, source);
      source.enlist(branch);
    }
  }

  withdraw(): void {
    for (const [branch, source] of this.#branches) takeBack(source, branch);
    this.#branches.clear();
  }

  branchSettled(branch: Waiter, value: unknown): void {
    const source = this.#branches.get(branch)!;
    this.#branches.delete(branch);
    if ((value as Selected<T>).done) {
      const at = this.#merge.sources.indexOf(source);
      if (at >= 0) this.#merge.sources.splice(at, 1);
      if (this.#branches.size > 0) return;
    }
    this.withdraw();
    let given: unknown;
    try {
      given = answer(this.wants, value as Selected<T>);
    } catch (error) {
      return this.#target.fail(error);
    }
    this.#target.settle(given);
  }

  branchFailed(branch: Waiter, error: unknown): void {
    this.#branches.delete(branch);
    this.withdraw();
    this.#merge.fail(error);
    this.#target.fail(error);
  }
}

/** What one who waits gets of a source. @throws {ChannelClosedError} If it wants a value and there is none. */
function answer<T>(wants: Wanted, selected: Selected<T>): unknown {
  // What a case gives is what an iterator gives.
  if (wants !== VALUE) return selected;
  if (!selected.done) return selected.value;
  throw new ChannelClosedError("Cannot receive from a merge: all its sources are closed");
}
