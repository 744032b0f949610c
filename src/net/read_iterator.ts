// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * An iterator that reads: each `next` is one read of the connection, so it has no buffer of its own, and
 * leaving the loop early loses nothing.
 *
 * @module
 */

import { END } from "../_kernel/leavable.ts";
import type { WaitOptions } from "../_kernel/waiter.ts";
import type { Chunks, Taker, WAIT } from "./chunks.ts";

/** Where an iterator reads; a {@linkcode Taker} is an object here, for the sake of the public `Conn`. */
export interface ReadSource {
  /** Reads what `taker` wants. */
  "~take"<T>(taker: object, options?: WaitOptions): Promise<T>;
  /** Ends the read of `taker`, if it waits, with `value`. */
  "~leave"<T>(taker: object, value: T): void;
}

/** The iterator; what it reads is said by its subclass. */
export abstract class ReadIterator<T>
  implements AsyncIterableIterator<T>, AsyncDisposable, Taker<IteratorResult<T, undefined>> {
  readonly #source: ReadSource;
  readonly #options: WaitOptions | undefined;
  #ended = false;

  constructor(source: ReadSource, options?: WaitOptions) {
    this.#source = source;
    this.#options = options;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#ended) return Promise.resolve(END);
    return this.#source["~take"](this, this.#options);
  }

  /** Ends the iteration, and the `next` that waits; the connection stays as it is. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.#ended = true;
    this.#source["~leave"](this, END);
    return Promise.resolve(END);
  }

  given?(chunk: Uint8Array): IteratorResult<T, undefined>;

  abstract take(chunks: Chunks, ended: boolean): IteratorResult<T, undefined> | typeof WAIT;

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
