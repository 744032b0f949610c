// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What can be iterated, async or not, as one kind of thing.
 *
 * @module
 */

// Source: AsyncFromSyncIterator of ECMAScript, whose three promises for each value are one here.

import { isThenable } from "./foreign.ts";
import { END } from "./leavable.ts";

/** Whether `source` can be iterated over. */
export function isIterable(source: unknown): source is AsyncIterable<unknown> | Iterable<unknown> {
  const candidate = source as
    | Partial<AsyncIterable<unknown> & Iterable<unknown>>
    | null
    | undefined;
  return typeof candidate?.[Symbol.asyncIterator] === "function" ||
    typeof candidate?.[Symbol.iterator] === "function";
}

/** The items of `source`. Promises among those of one that is not async are awaited; one that fails ends it. */
export function itemsOf<T>(
  source: AsyncIterable<T> | Iterable<T | PromiseLike<T>>,
): AsyncIterable<T> {
  if (typeof (source as Partial<AsyncIterable<T>>)[Symbol.asyncIterator] === "function") {
    return source as AsyncIterable<T>;
  }
  return {
    [Symbol.asyncIterator]: () => new Awaiting<T>((source as Iterable<T>)[Symbol.iterator]()),
  };
}

class Awaiting<T> implements AsyncIterator<T, unknown> {
  readonly #iterator: Iterator<T | PromiseLike<T>>;

  constructor(iterator: Iterator<T | PromiseLike<T>>) {
    this.#iterator = iterator;
  }

  next(): Promise<IteratorResult<T, unknown>> {
    const step = this.#iterator.next();
    return step.done !== true && isThenable(step.value)
      ? this.#settled(step.value)
      : Promise.resolve(step as IteratorResult<T, unknown>);
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#iterator.return?.();
    return END;
  }

  async #settled(item: PromiseLike<T>): Promise<IteratorYieldResult<T>> {
    try {
      return { done: false, value: await item };
    } catch (error) {
      try {
        this.#iterator.return?.();
      } catch { /* what failed first counts */ }
      throw error;
    }
  }
}
