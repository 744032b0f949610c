// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * An iterator over what a thing gives: at once if it can, else parked in the thing's list.
 *
 * @module
 */

// Invariants
//  1. return() settles every next() that waits, so that none takes a value later.
// Dropped: an async generator, whose return() hangs behind a pending next(), and which awaits what it
// yields, tasks too.

import { END, LeavableIterator } from "./leavable.ts";
import { refuse, Waiter } from "./waiter.ts";

/** What a waiter of an iterator has as its `payload`: it wants an `IteratorResult`. */
export const NEXT: unique symbol = Symbol("next");

/** How many calls of `next()` are kept before the ended ones are dropped. */
const MOST = 8;

/** What is iterated over. */
export interface PullSource<R> {
  /** What there is now; `undefined` if one has to wait. */
  pull(): IteratorResult<R, undefined> | undefined;
  /** Parks a waiter with the payload {@linkcode NEXT}. */
  park(waiter: Waiter): Promise<IteratorResult<R, undefined>>;
}

/** The iterator. */
export class PullIterator<R> extends LeavableIterator<R> {
  readonly #verb: string;
  readonly #source: PullSource<R>;
  /** The `next()` calls that wait, and ended ones, which are dropped now and then. */
  #waiting: Waiter[] = [];
  #most = MOST;
  #ended = false;

  constructor(verb: string, source: PullSource<R>) {
    super();
    this.#verb = verb;
    this.#source = source;
  }

  next(): Promise<IteratorResult<R, undefined>> {
    if (this.#ended) return Promise.resolve(END);
    const refused = refuse(this.#verb);
    if (refused !== null) return refused;
    const result = this.#source.pull();
    if (result !== undefined) return Promise.resolve(result);
    const waiter = new Waiter<IteratorResult<R, undefined>>(NEXT);
    if (this.#waiting.push(waiter) > this.#most) {
      this.#waiting = this.#waiting.filter(({ settled }) => !settled);
      this.#most = 2 * this.#waiting.length + MOST;
    }
    return this.#source.park(waiter);
  }

  /** Ends the iteration, and every `next` that waits. */
  return(): Promise<IteratorResult<R, undefined>> {
    this.#ended = true;
    for (const waiter of this.#waiting) {
      if (waiter.settled) continue;
      const { owner } = waiter.list!;
      waiter.settle(END);
      owner["~waiterLeft"]?.(waiter);
    }
    this.#waiting = [];
    return Promise.resolve(END);
  }
}
