// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Bytes that were received and not yet taken, as the chunks in which they came: adding and taking never
 * joins what is not asked for as one piece.
 *
 * @module
 */

// Invariants
//  1. #size is the number of bytes from #offset of the chunk at #head to the end of the list.
//  2. No chunk from #head on is empty, and #offset lies inside the first of them.
//  3. What is taken is the caller's own: no later piece shares its bytes.
//  4. Of more than MANY chunks those behind are joined, unless they are long: what a host hands over costs
//     hundreds of bytes beside its own, and a peer that sends byte by byte decides how many there are.

/** Emptied places at the front that are kept, so that taking moves nothing most of the time. */
const SLACK = 32;
/** So many chunks stay as they came, and so long ones. */
const MANY = 64;
const LONG = 512;
/** The size of the pieces into which the others are joined. */
const JOINED = 16 * 1024;

/** Says of a taker that there is not enough yet. */
export const WAIT: unique symbol = Symbol("wait");

/** What a reader wants: it is asked again whenever bytes have come. */
export interface Taker<T> {
  /**
   * Takes what it wants, or gives {@linkcode WAIT} and takes nothing. `ended` says that no more will come.
   *
   * @throws What the read rejects with; then nothing was taken.
   */
  take(chunks: Chunks, ended: boolean): T | typeof WAIT;
  /** What it gets of a chunk that comes while nothing else is there; missing if that may not be enough. */
  given?(chunk: Uint8Array): T;
}

/** How far a search has come. Valid while nothing is taken. */
export class Cursor {
  /** Chunks that were searched, but for the last one, which may grow. */
  chunks = 0;
  /** The bytes in them. */
  bytes = 0;
  /** Bytes of the next chunk that were searched. */
  within = 0;

  /** Back to the beginning. */
  reset(): void {
    this.chunks = 0;
    this.bytes = 0;
    this.within = 0;
  }
}

const EMPTY = new Uint8Array(0);

/** The bytes. */
export class Chunks {
  #list: Uint8Array[] = [];
  #head = 0;
  #offset = 0;
  #size = 0;
  /** Where small chunks are joined, and how much of it is in use. */
  #joined: Uint8Array = EMPTY;
  #used = 0;

  /** How many bytes there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds bytes at the end. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#size += chunk.length;
    if (this.#list.length - this.#head < MANY || chunk.length >= LONG) this.#list.push(chunk);
    else this.#join(chunk);
  }

  /** Takes the rest of the first chunk as it is; only if there is one. */
  shift(): Uint8Array {
    const first = this.#list[this.#head]!;
    const rest = this.#offset === 0 ? first : first.subarray(this.#offset);
    this.#size -= rest.length;
    this.#drop();
    return rest;
  }

  /** Takes the first `count` bytes as one piece; only if there are so many. O(count). */
  take(count: number): Uint8Array {
    if (count === 0) return new Uint8Array(0);
    const first = this.#list[this.#head]!;
    if (this.#offset === 0 && first.length === count) return this.shift();
    const taken = new Uint8Array(count);
    let at = 0;
    while (at < count) {
      const piece = this.#piece(count - at);
      taken.set(piece, at);
      at += piece.length;
      this.#skip(piece.length);
    }
    return taken;
  }

  /** Drops the first `count` bytes; only if there are so many. */
  skip(count: number): void {
    while (count > 0) {
      const piece = Math.min(count, this.#list[this.#head]!.length - this.#offset);
      this.#skip(piece);
      count -= piece;
    }
  }

  /** The bytes from the front up to `count`, without taking them: a view if they are in one chunk. */
  peek(count: number): Uint8Array {
    if (count === 0) return new Uint8Array(0);
    const first = this.#piece(count);
    if (first.length === count) return first;
    const seen = new Uint8Array(count);
    seen.set(first);
    let at = first.length;
    for (let i = this.#head + 1; at < count; i++) {
      const chunk = this.#list[i]!;
      const piece = chunk.length <= count - at ? chunk : chunk.subarray(0, count - at);
      seen.set(piece, at);
      at += piece.length;
    }
    return seen;
  }

  /** The byte at `index`; only if there are so many. O(chunks before it). */
  at(index: number): number {
    let i = this.#head;
    index += this.#offset;
    while (index >= this.#list[i]!.length) index -= this.#list[i++]!.length;
    return this.#list[i]![index]!;
  }

  /** The last byte; only if there is one. */
  get last(): number {
    const chunk = this.#list[this.#list.length - 1]!;
    return chunk[chunk.length - 1]!;
  }

  /** Where `byte` comes first, -1 if nowhere. Searches from `cursor` on, and moves it. */
  indexOf(byte: number, cursor: Cursor): number {
    for (let i = this.#head + cursor.chunks; i < this.#list.length; i++) {
      const chunk = this.#list[i]!;
      const offset = i === this.#head ? this.#offset : 0;
      const at = chunk.indexOf(byte, offset + cursor.within);
      if (at >= 0) return cursor.bytes + at - offset;
      if (i === this.#list.length - 1) {
        cursor.within = chunk.length - offset;
        break;
      }
      cursor.within = 0;
      cursor.chunks++;
      cursor.bytes += chunk.length - offset;
    }
    return -1;
  }

  /** Forgets all. */
  clear(): void {
    this.#list = [];
    this.#head = 0;
    this.#offset = 0;
    this.#size = 0;
  }

  /** Adds it to the chunk at the end, or begins a new one. */
  #join(chunk: Uint8Array): void {
    const list = this.#list, last = list.length - 1;
    let begin = this.#used - list[last]!.length;
    if (list[last]!.buffer !== this.#joined.buffer || this.#used + chunk.length > JOINED) {
      this.#joined = new Uint8Array(JOINED);
      begin = this.#used = 0;
      list.push(EMPTY);
    }
    this.#joined.set(chunk, this.#used);
    this.#used += chunk.length;
    list[list.length - 1] = this.#joined.subarray(begin, this.#used);
  }

  /** The first bytes of the first chunk, at most `count`. */
  #piece(count: number): Uint8Array {
    const first = this.#list[this.#head]!;
    const end = Math.min(first.length, this.#offset + count);
    return this.#offset === 0 && end === first.length ? first : first.subarray(this.#offset, end);
  }

  /** Drops bytes of the first chunk only. */
  #skip(count: number): void {
    this.#size -= count;
    this.#offset += count;
    if (this.#offset === this.#list[this.#head]!.length) this.#drop();
  }

  #drop(): void {
    const list = this.#list;
    this.#offset = 0;
    // Cleared before the place is given up: the list may stand for long, and would keep the chunk.
    list[this.#head++] = EMPTY;
    if (this.#head === list.length) {
      list.length = 0;
      this.#head = 0;
    } else if (this.#head >= SLACK && this.#head * 2 >= list.length) {
      list.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
