// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What the iterators of this library have in common.
 *
 * @module
 */

/** The end of an iteration. */
export const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });

/** What the iterators of this library have in common: however one is left, it is by its `return`. */
export abstract class LeavableIterator<R> implements AsyncIterableIterator<R>, AsyncDisposable {
  /** The next one. */
  abstract next(): Promise<IteratorResult<R, undefined>>;

  /** Leaves it, and waits for its clean-up. */
  abstract return(): Promise<IteratorResult<R, undefined>>;

  /** {@linkcode LeavableIterator.return}, then rejects with `error`. */
  async throw(error?: unknown): Promise<IteratorResult<R, undefined>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
