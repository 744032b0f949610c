// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Frames: a length of four bytes, the highest first, and then so many bytes.
 *
 * @module
 */

// Invariants
//  1. The length is looked at before anything is allocated for the frame.
//  2. A frame is taken whole or not at all, its length included.

import { END } from "../_kernel/leavable.ts";
import type { WaitOptions } from "../_kernel/waiter.ts";
import { BrokenError } from "../errors.ts";
import { checkCount } from "./address.ts";
import { TOO_LARGE, UNEXPECTED_EOF } from "./broken.ts";
import { type Chunks, WAIT } from "./chunks.ts";
import { ReadIterator, type ReadSource } from "./read_iterator.ts";

const PREFIX = 4;
const LONGEST = 2 ** 32 - 1;

/** Options of {@linkcode Conn.frames}; signal and timeout hold for each frame. */
export interface FramesOptions extends WaitOptions {
  /** The longest frame, in bytes without its length: an integer >= 0. @default {1048576} */
  maxBytes?: number | undefined;
}

/** The frames of a connection. */
export class Frames extends ReadIterator<Uint8Array> {
  readonly #maxBytes: number;

  constructor(source: ReadSource, options?: FramesOptions) {
    super(source, options);
    this.#maxBytes = checkCount("read frames", "maxBytes", options?.maxBytes ?? 1024 * 1024, 0);
  }

  take(chunks: Chunks, ended: boolean): IteratorResult<Uint8Array, undefined> | typeof WAIT {
    const { size } = chunks;
    if (size < PREFIX) {
      if (!ended) return WAIT;
      if (size === 0) return END;
      throw early(`its length has ${PREFIX} bytes, got ${size}`);
    }
    const length = readLength(chunks.peek(PREFIX));
    if (length > this.#maxBytes) {
      throw new BrokenError(
        `Cannot read frame: it must have at most ${this.#maxBytes} bytes, got ${length}`,
        { code: TOO_LARGE },
      );
    }
    if (size < PREFIX + length) {
      if (!ended) return WAIT;
      throw early(`it has ${length} bytes, got ${size - PREFIX}`);
    }
    chunks.skip(PREFIX);
    return { done: false, value: chunks.take(length) };
  }
}

/** `bytes` with their length before them. @throws {RangeError} If they are too many for it. */
export function frameOf(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  if (length > LONGEST) {
    throw new RangeError(
      `Cannot write frame: it must have at most ${LONGEST} bytes, got ${length}`,
    );
  }
  const frame = new Uint8Array(PREFIX + length);
  frame[0] = length >>> 24;
  frame[1] = length >>> 16;
  frame[2] = length >>> 8;
  frame[3] = length;
  frame.set(bytes, PREFIX);
  return frame;
}

function readLength(prefix: Uint8Array): number {
  return prefix[0]! * 2 ** 24 + (prefix[1]! << 16 | prefix[2]! << 8 | prefix[3]!);
}

function early(detail: string): BrokenError {
  return new BrokenError(`Cannot read frame: the peer must send all of it, ${detail}`, {
    code: UNEXPECTED_EOF,
  });
}
