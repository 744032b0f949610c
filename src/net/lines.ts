// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Lines of text.
 *
 * @module
 */

// Invariants
//  1. Each byte is searched once per read: a line that comes in many chunks takes linear time.
//  2. A line is taken whole or not at all: what a cancelled read has seen stays for the next reader.

import { END } from "../_kernel/leavable.ts";
import type { WaitOptions } from "../_kernel/waiter.ts";
import { BrokenError } from "../errors.ts";
import { checkCount } from "./address.ts";
import { TOO_LARGE } from "./broken.ts";
import { type Chunks, Cursor, WAIT } from "./chunks.ts";
import { ReadIterator, type ReadSource } from "./read_iterator.ts";

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/** Options of {@linkcode Conn.lines}; signal and timeout hold for each line. */
export interface LinesOptions extends WaitOptions {
  /** The longest line, in bytes without its end: an integer >= 0. @default {65536} */
  maxBytes?: number | undefined;
}

/** The lines of a connection. */
export class Lines extends ReadIterator<string> {
  readonly #maxBytes: number;
  readonly #decoder: TextDecoder;
  readonly #cursor: Cursor = new Cursor();

  constructor(source: ReadSource, options?: LinesOptions) {
    super(source, options);
    this.#maxBytes = checkCount("read lines", "maxBytes", options?.maxBytes ?? 64 * 1024, 0);
    // A mark at the beginning is the user's, and here any line may be the first one.
    this.#decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  }

  override next(): Promise<IteratorResult<string, undefined>> {
    // Others may have read since the last line.
    this.#cursor.reset();
    return super.next();
  }

  take(chunks: Chunks, ended: boolean): IteratorResult<string, undefined> | typeof WAIT {
    const end = chunks.indexOf(LINE_FEED, this.#cursor);
    if (end >= 0) {
      const length = end > 0 && chunks.at(end - 1) === CARRIAGE_RETURN ? end - 1 : end;
      return { done: false, value: this.#line(chunks, length, end + 1 - length) };
    }
    const { size } = chunks;
    if (size === 0) return ended ? END : WAIT;
    if (ended) return { done: false, value: this.#line(chunks, size, 0) };
    // A carriage return may be half of the line's end.
    const length = chunks.last === CARRIAGE_RETURN ? size - 1 : size;
    if (length > this.#maxBytes) throw this.#tooLarge();
    return WAIT;
  }

  /** Takes the first `length` bytes as text, and drops `rest` bytes behind them. */
  #line(chunks: Chunks, length: number, rest: number): string {
    if (length > this.#maxBytes) throw this.#tooLarge();
    const line = this.#decoder.decode(chunks.peek(length));
    chunks.skip(length + rest);
    return line;
  }

  #tooLarge(): BrokenError {
    return new BrokenError(
      `Cannot read line: it must have at most ${this.#maxBytes} bytes, got more`,
      { code: TOO_LARGE },
    );
  }
}
