// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * A connection: bytes in, bytes out, both with backpressure.
 *
 * @module
 */

// Invariants
//  1. At most one reader stands in #readers, and only while what it wants is not there. So bytes are
//     handed over in the synchronous step in which they come, and a read that was cancelled took none.
//  2. Reading is paused exactly while more than HIGH_WATER bytes are untaken and nobody waits for more.
//  3. Writers wait only while the host holds too much; all of them are served when it has sent it.
//  4. After the end of the input (#input is not OPEN) nobody waits to read, except for bytes that are there.
//  5. The socket is freed once; from then on nobody waits here for anything.
// Dropped: the async iterator of the host's stream, a third slower on Node; a host read per read, where a
// cancelled one loses what comes later.

import { clock } from "../_kernel/clock.ts";
import { currentContext } from "../_kernel/current.ts";
import { showAsText } from "../_kernel/inspect.ts";
import { END } from "../_kernel/leavable.ts";
import {
  delist,
  enlist,
  type Selectable,
  type SelectBranch,
  type SelectCase,
  type Selected,
  serveAll,
} from "../_kernel/selectable.ts";
import { WaitList } from "../_kernel/wait_list.ts";
import {
  checkOptions,
  refuse,
  refuseOptions,
  Waiter,
  type WaitOptions,
} from "../_kernel/waiter.ts";
import { BrokenError, BusyError, ConnClosedError } from "../errors.ts";
import type { Task } from "../task.ts";
import { type Address, checkCount, kindOf, textOf } from "./address.ts";
import { broken, TOO_LARGE, UNEXPECTED_EOF } from "./broken.ts";
import { Chunks, type Taker, WAIT } from "./chunks.ts";
import { frameOf, Frames, type FramesOptions } from "./frames.ts";
import { Lines, type LinesOptions } from "./lines.ts";
import { ReadIterator } from "./read_iterator.ts";
import { HIGH_WATER, type Wire } from "./wire.ts";

/** How long a disposal waits for what is buffered to be sent, in milliseconds. */
const LINGER = 5000;

/** The input: bytes may come, the peer has ended, the net broke, or this side has given it up. */
const OPEN = 0;
const ENDED = 1;
const BROKEN = 2;
const CLOSED = 3;
/** The error with which the connection was failed from inside is what its waits reject with. */
const FAILED = 4;

const DONE: Promise<void> = Promise.resolve();
const encoder = new TextEncoder();

/** What one who waits for the end of a close has as its `payload`. */
const CLOSE: unique symbol = Symbol("close");

const CHUNK: Taker<Uint8Array | undefined> = {
  take: (chunks, ended) => chunks.size > 0 ? chunks.shift() : ended ? undefined : WAIT,
  given: (chunk) => chunk,
};

const CASE: Taker<Selected<Uint8Array>> = {
  take: (chunks, ended) => {
    if (chunks.size > 0) return { done: false, value: chunks.shift() };
    return ended ? CASE_END : WAIT;
  },
  given: (chunk) => ({ done: false, value: chunk }),
};
const CASE_END: Selected<Uint8Array> = Object.freeze({ done: true, value: undefined as never });

/** Options of {@linkcode Conn.close}. */
export interface CloseOptions {
  /**
   * How long to wait for what is buffered to be sent, in milliseconds, >= 0. After that the rest is
   * dropped.
   *
   * @default {Infinity}
   */
  timeout?: number | undefined;
}

/** Makes the connection of a wire, and begins to read; for `connect` and `Listener`. */
export let createConn: (wire: Wire) => Conn;

let creating = false;

/**
 * A connection to a peer. One task at a time reads; any number may write, and their writes keep their
 * order.
 *
 * Backpressure goes both ways: while more than 64 KiB are received and untaken nothing more is read from the
 * socket, and a write parks while the host holds too much.
 *
 * A kill of the task that waits in a read or write destroys the connection at once. A signal, a `timeout` or
 * a `withTimeout` only ends the wait: nothing is lost, and the connection can be used on.
 *
 * As a case of `select` it is a read of the next chunk; `done` says that the peer has ended. A select may
 * have other things to wait for, so a kill of one leaves the connection as it is.
 *
 * @example Ask and read the answer
 * ```ts
 * import { spawn } from "@baozi/baozi";
 * import { connect, listen } from "@baozi/baozi/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listen({ hostname: "127.0.0.1" });
 * await using _greets = spawn(async () => {
 *   await using conn = await listener.accept();
 *   for await (const name of conn.lines()) await conn.write(`Hello, ${name}\n`);
 * });
 * await using conn = await connect({ port: listener.address.port });
 * await conn.write("Ann\nBob\n");
 * conn.closeWrite();
 * const answers: string[] = [];
 * for await (const line of conn.lines()) answers.push(line);
 * assertEquals(answers, ["Hello, Ann", "Hello, Bob"]);
 * ```
 */
export class Conn implements AsyncIterable<Uint8Array>, AsyncDisposable, Selectable<Uint8Array> {
  readonly #wire: Wire;
  readonly #chunks: Chunks = new Chunks();
  readonly #readers: WaitList;
  readonly #writers: WaitList;
  #input = OPEN;
  #paused = false;
  /** This side ended the output. */
  #writeEnded = false;
  #closed = false;
  #destroyed = false;
  #freed = false;
  /** Why it broke or was closed: the host's error, or the reason given. */
  #cause: unknown = undefined;
  /** The task of the select that reads: branches have no context. */
  #caseTask: unknown = undefined;
  #bytesRead = 0;
  #bytesWritten = 0;
  readonly #closers: WaitList;
  /** Whether {@linkcode Conn["~lastActivity"]} is kept. For `Server`. */
  "~clocked": boolean = false;
  /** When the last byte went in or out, on the clock; kept while `~clocked`. For `Server`. */
  "~lastActivity": number = 0;
  /** Called once, when the first read has been answered. Must not throw. For `Server`. */
  "~firstRead": (() => void) | null = null;

  static {
    createConn = (wire) => {
      creating = true;
      const conn = new Conn(wire);
      wire.open(conn);
      return conn;
    };
    showAsText(Conn.prototype);
  }

  /** Connections are made by `connect`, and by `accept` of a listener. */
  private constructor(wire: Wire) {
    if (!creating) throw new TypeError("Cannot construct connection: connect() makes one");
    creating = false;
    this.#wire = wire;
    const outside = wire.inMemory !== true;
    this.#readers = new WaitList(this, "read", outside);
    this.#writers = new WaitList(this, "write", outside);
    this.#closers = new WaitList(this, "close", outside);
  }

  /**
   * Reads the next chunk, as it came: any number of bytes >= 1. Parks while there is none; `undefined` when the
   * peer has ended and everything was taken. A cancelled read took nothing. After a reset what was received
   * before is given first.
   *
   * @throws {BusyError} If another read waits.
   * @throws {BrokenError} If the connection broke.
   * @throws {ConnClosedError} If this side has closed it.
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  read(options?: WaitOptions): Promise<Uint8Array | undefined> {
    return this["~take"](CHUNK, options);
  }

  /**
   * Reads `count` bytes as one piece; parks until all are there. A cancelled call took nothing. Memory is
   * taken for what has come, not for what was asked for.
   *
   * @param count An integer >= 0.
   * @throws {RangeError} If it is none.
   * @throws {BrokenError} If the peer ends before: with the code "UNEXPECTED_EOF", and what came can still be
   * read.
   */
  readExactly(count: number, options?: WaitOptions): Promise<Uint8Array> {
    try {
      checkCount("read exactly", "count", count, 0);
    } catch (error) {
      return Promise.reject(error);
    }
    return this["~take"](new Exactly(count), options);
  }

  /**
   * Iterates over lines of UTF-8 text, without their ends, `\n` or `\r\n`; a last line without one is given
   * too. What is no UTF-8 becomes U+FFFD. Leaving the loop loses nothing: what comes after the last line given
   * can be read in any way.
   *
   * @throws {RangeError} If `maxBytes` is no integer >= 0.
   * @throws {BrokenError} From `next`, with the code "TOO_LARGE", if a line is longer than `maxBytes`; the
   * connection is destroyed, since the rest of the line cannot be told from lines.
   */
  lines(options?: LinesOptions): AsyncIterableIterator<string> {
    return new Lines(this, options);
  }

  /**
   * Iterates over frames: four bytes of length, the highest first, and so many bytes. Each frame is the
   * caller's own. Leaving the loop loses nothing.
   *
   * @throws {RangeError} If `maxBytes` is no integer >= 0.
   * @throws {BrokenError} From `next`: with the code "TOO_LARGE" if a frame is longer than `maxBytes`, and
   * the connection is destroyed; with "UNEXPECTED_EOF" if the peer ends inside of one.
   */
  frames(options?: FramesOptions): AsyncIterableIterator<Uint8Array> {
    return new Frames(this, options);
  }

  /**
   * Sends bytes, or text as UTF-8. All of it is handed to the host at once, in the order of the calls; then it
   * parks while the host holds too much. The bytes may be changed when it has resolved. When it was cancelled
   * they are sent all the same, and must not be changed.
   *
   * @throws {TypeError} If `bytes` is neither a `Uint8Array` nor a string.
   * @throws {ConnClosedError} If this side has closed the connection, or its output.
   * @throws {BrokenError} If the peer is gone.
   */
  write(bytes: Uint8Array | string, options?: WaitOptions): Promise<void> {
    const refused = refuse("write", options);
    if (refused !== null) return refused;
    if (typeof bytes === "string") return this.#write(encoder.encode(bytes), true, options);
    if (bytes instanceof Uint8Array) return this.#write(bytes, false, options);
    return Promise.reject(notBytes("write", bytes));
  }

  /**
   * Sends `bytes`, or text as UTF-8, as one frame, which {@linkcode Conn.frames} of the peer gives. As
   * {@linkcode Conn.write} in all else.
   *
   * @throws {RangeError} If it has more than 2^32 - 1 bytes.
   */
  writeFrame(bytes: Uint8Array | string, options?: WaitOptions): Promise<void> {
    const refused = refuse("write frame", options);
    if (refused !== null) return refused;
    try {
      if (typeof bytes === "string") bytes = encoder.encode(bytes);
      if (!(bytes instanceof Uint8Array)) throw notBytes("write frame", bytes);
      return this.#write(frameOf(bytes), true, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Ends the output after what is buffered: the peer reads the end, and can still write. Never parks. */
  closeWrite(): void {
    if (this.#writeEnded || this.#closed) return;
    this.#writeEnded = true;
    this.#wire.end();
  }

  /**
   * Sends what is buffered, then closes both ways, and waits until that is done. Reads reject from the call on,
   * also the one that waits, and what was received and not taken is dropped. A second call waits for the same
   * end. Out of reach of kills and limits of the caller.
   *
   * @throws {RangeError} If `options.timeout` is negative or NaN.
   */
  close(options?: CloseOptions): Promise<void> {
    if (options !== undefined) {
      try {
        checkOptions("close", options);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    if (!this.#closed) {
      this.#closed = true;
      this.#giveUpInput(CLOSED);
      this.#wire.close();
    }
    if (this.#freed) return DONE;
    const timeout = options?.timeout;
    const waiter = new Waiter<void>(CLOSE);
    return waiter.parkShielded(
      this.#closers,
      timeout === undefined ? undefined : { timeout },
      // A promise of undefined is what the wait then resolves to; undefined itself would mean rejection.
      DONE,
    );
  }

  /** Closes both ways at once, dropping what is buffered. `reason` is the cause of what waits reject with. */
  destroy(reason?: unknown): void {
    this.#destroy(CLOSED, reason);
  }

  /** Whether this side has closed it, or it broke for good: no more can be written. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the peer has ended its output, and everything was taken. */
  get ended(): boolean {
    return this.#input === ENDED && this.#chunks.size === 0;
  }

  /** How many bytes are received and not taken. */
  get buffered(): number {
    return this.#chunks.size;
  }

  /** How many bytes were received. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** How many bytes were written, those that the host still holds included. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Where this end is. */
  get localAddress(): Address {
    return this.#wire.local;
  }

  /** Where the peer is. */
  get remoteAddress(): Address {
    return this.#wire.remote;
  }

  /** The address of the peer, for messages and dumps: "127.0.0.1:4000". */
  get name(): string {
    const { remote, local } = this.#wire;
    return textOf(remote.path === "" ? local : remote);
  }

  /** The connection as a case of `select`: a read of the next chunk. */
  get "~select"(): SelectCase<Uint8Array> {
    return {
      ready: () => this.#input !== OPEN || this.#chunks.size > 0 || this.#readers.first !== null,
      take: () => {
        if (this.#readers.first !== null) throw this.#busy();
        return this.#answer(CASE) as Selected<Uint8Array>;
      },
      ended: () => this.ended,
      enlist: (branch: SelectBranch<Uint8Array>) => {
        this.#caseTask = currentContext()?.task;
        enlist(branch, this.#readers, CASE);
        if (this.#paused) this.#flow();
      },
      delist,
    };
  }

  /** Iterates over the chunks until the peer ends. Leaving the loop leaves the connection as it is. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return new ConnChunks(this);
  }

  /** Closes it; what is still buffered after 5 seconds is dropped. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close({ timeout: LINGER });
  }

  /** "Conn". */
  get [Symbol.toStringTag](): string {
    return "Conn";
  }

  /** The connection in words. */
  toString(): string {
    return `Conn ${JSON.stringify(this.name)}${this.#closed ? " (closed)" : ""}`;
  }

  /** Whether somebody waits for input. For `Server`. */
  get "~reading"(): boolean {
    return this.#readers.first !== null;
  }

  /** Destroys it; all waits reject with `error` itself, now and later. For `Server`. */
  "~fail"(error: unknown): void {
    this.#destroy(FAILED, error);
  }

  /** Reads what a taker wants. For the iterators. */
  "~take"<T>(wants: object, options?: WaitOptions): Promise<T> {
    const taker = wants as Taker<T>;
    // As in `refuse`, but the host is asked only once who reads.
    const context = currentContext();
    if (context !== null && context.cancelled) return Promise.reject(context.reason);
    const refused = options === undefined ? null : refuseOptions("read", options);
    if (refused !== null) return refused;
    if (this.#readers.first !== null) return Promise.reject(this.#busy());
    if (this.#chunks.size > 0 || this.#input !== OPEN || taker.given === undefined) {
      try {
        const answer = this.#answer(taker);
        if (answer !== WAIT) return Promise.resolve(answer);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    const reading = new Waiter<T>(taker).parkAs(context, this.#readers, options);
    if (this.#paused) this.#flow();
    return reading;
  }

  /** Ends the read of `taker`, if it waits. For the iterators. */
  "~leave"<T>(taker: object, value: T): void {
    const reader = this.#readers.first;
    if (reader === null || reader.payload !== taker) return;
    reader.settle(value);
    this.#flow();
  }

  /** Bytes came. For the wire. */
  "~received"(chunk: Uint8Array): void {
    this.#bytesRead += chunk.length;
    if (this["~clocked"]) this["~lastActivity"] = clock.on.now();
    if (this.#input !== OPEN) return;
    const reader = this.#readers.first;
    if (reader !== null) {
      const taker = reader.payload as Taker<unknown>;
      // Whoever waits for a chunk waits because there is none.
      if (taker.given !== undefined) {
        if (this["~firstRead"] !== null) this.#tellFirstRead();
        reader.settle(taker.given(chunk));
        return;
      }
    }
    this.#chunks.push(chunk);
    if (reader !== null) this.#serve(reader);
    this.#flow();
  }

  /** The peer has ended. For the wire. */
  "~ended"(): void {
    if (this.#input !== OPEN) return;
    this.#input = ENDED;
    if (this.#readers.first !== null) this.#serve(this.#readers.first);
  }

  /** The net broke. For the wire. */
  "~failed"(error: unknown): void {
    if (this.#destroyed) return;
    this.#closed = true;
    this.#destroyed = true;
    this.#cause = error;
    if (this.#input === OPEN) this.#input = BROKEN;
    if (this.#readers.first !== null) this.#serve(this.#readers.first);
    this.#failWriters();
  }

  /** The host has sent a part of what it holds. For the wire. */
  "~sent"(): void {
    if (this["~clocked"]) this["~lastActivity"] = clock.on.now();
  }

  /** The host has sent what it held. For the wire. */
  "~drained"(): void {
    if (this.#writers.first !== null) serveAll(this.#writers, undefined);
  }

  /** The socket is freed. For the wire. */
  "~freed"(): void {
    if (this.#freed) return;
    // The host gave no reason: only a peer that went away can have ended it then.
    if (!this.#closed && this.#input === OPEN) this["~failed"](RESET);
    this.#freed = true;
    this.#closed = true;
    serveAll(this.#writers, undefined);
    serveAll(this.#closers, undefined);
  }

  /** A wait has ended without an answer. For the kernel. */
  "~waiterLeft"(waiter: object): void {
    const { context, payload } = waiter as Waiter;
    if (payload === CLOSE) this.#destroy(CLOSED, undefined);
    else if (context !== null && context.killed) {
      this.#destroy(CLOSED, context.reason);
    } else this.#flow();
  }

  #write(bytes: Uint8Array, owned: boolean, options: WaitOptions | undefined): Promise<void> {
    if (this.#closed || this.#writeEnded) return Promise.reject(this.#writeError());
    if (bytes.length === 0) return DONE;
    this.#bytesWritten += bytes.length;
    if (this["~clocked"]) this["~lastActivity"] = clock.on.now();
    if (this.#wire.write(bytes, owned) && this.#writers.first === null) return DONE;
    return new Waiter<void>().park(this.#writers, options);
  }

  /** What `taker` gets now, or WAIT. @throws What the read rejects with. */
  #answer<T>(taker: Taker<T>): T | typeof WAIT {
    let answer: T | typeof WAIT;
    try {
      answer = taker.take(this.#chunks, this.#input === ENDED);
    } catch (error) {
      // What follows a message that is too large cannot be told from messages.
      if ((error as BrokenError).code === TOO_LARGE) this["~fail"](error);
      throw error;
    }
    if (answer === WAIT) {
      if (this.#input !== OPEN) throw this.#readError();
      return WAIT;
    }
    if (this.#paused) this.#flow();
    if (this["~firstRead"] !== null) this.#tellFirstRead();
    return answer;
  }

  /** Answers the one who waits to read, if that is possible now. */
  #serve(reader: Waiter): void {
    let answer: unknown;
    try {
      answer = this.#answer(reader.payload as Taker<unknown>);
    } catch (error) {
      if (!reader.settled) reader.fail(error);
      return;
    }
    if (answer !== WAIT) reader.settle(answer);
  }

  /** Pauses or resumes reading. */
  #flow(): void {
    const full = this.#chunks.size > HIGH_WATER && this.#readers.first === null;
    if (full === this.#paused || this.#input !== OPEN) return;
    this.#paused = full;
    if (full) this.#wire.pause();
    else this.#wire.resume();
  }

  #destroy(input: number, cause: unknown): void {
    if (this.#destroyed || this.#freed) return;
    this.#destroyed = true;
    this.#closed = true;
    this.#cause = cause;
    this.#giveUpInput(input);
    this.#failWriters();
    this.#wire.destroy();
  }

  #giveUpInput(input: number): void {
    this.#input = input;
    this.#chunks.clear();
    // What the peer still sends is dropped: one that waits to send would not read what is buffered here.
    if (this.#paused) this.#wire.resume();
    this.#paused = false;
    const reader = this.#readers.first;
    if (reader !== null) reader.fail(this.#readError());
  }

  #failWriters(): void {
    for (let it = this.#writers.first; it !== null; it = this.#writers.first) {
      it.fail(this.#writeError(true));
    }
  }

  #tellFirstRead(): void {
    const tell = this["~firstRead"]!;
    this["~firstRead"] = null;
    tell();
  }

  #readError(): unknown {
    if (this.#input === FAILED) return this.#cause;
    if (this.#input === BROKEN) return broken(`read ${this.#text}`, this.#cause);
    return this.#closedError("read");
  }

  #writeError(waited = false): unknown {
    if (this.#input === FAILED) return this.#cause;
    // Without a giving up on this side, what closed it is that it broke. Who waits wrote before the end.
    if (this.#closed && (waited || !this.#writeEnded) && this.#input !== CLOSED) {
      return broken(`write to ${this.#text}`, this.#cause);
    }
    return this.#closedError("write to");
  }

  #closedError(verb: string): ConnClosedError {
    return new ConnClosedError(
      `Cannot ${verb} ${this.#text}: it must be open, got ${
        this.#closed ? "closed" : "closed for writing"
      }`,
      this.#cause === undefined ? undefined : { cause: this.#cause },
    );
  }

  #busy(): BusyError {
    const reader = this.#readers.first!;
    const holder = reader.group === null ? reader.context?.task : this.#caseTask;
    return new BusyError(
      `Cannot read ${this.#text}: ${nameOf(holder)} reads it, got ${
        nameOf(currentContext()?.task)
      }`,
    );
  }

  get #text(): string {
    return `Conn ${JSON.stringify(this.name)}`;
  }
}

/** The chunks of a connection. */
class ConnChunks extends ReadIterator<Uint8Array> {
  override given(chunk: Uint8Array): IteratorResult<Uint8Array, undefined> {
    return { done: false, value: chunk };
  }

  take(chunks: Chunks, ended: boolean): IteratorResult<Uint8Array, undefined> | typeof WAIT {
    if (chunks.size > 0) return { done: false, value: chunks.shift() };
    return ended ? END : WAIT;
  }
}

/** A number of bytes. */
class Exactly implements Taker<Uint8Array> {
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  take(chunks: Chunks, ended: boolean): Uint8Array | typeof WAIT {
    if (chunks.size >= this.#count) return chunks.take(this.#count);
    if (!ended) return WAIT;
    throw new BrokenError(
      `Cannot read exactly ${this.#count} bytes: the peer must send all of them, got ${chunks.size}`,
      { code: UNEXPECTED_EOF },
    );
  }
}

/** Stands for the error of a host that tells of the end of a socket without one. */
const RESET = Object.freeze({ code: "ECONNRESET" });

function nameOf(task: unknown): string {
  if (task === undefined) return "the main program";
  const { name, id } = task as Task;
  return `Task ${JSON.stringify(name)} (#${id})`;
}

function notBytes(verb: string, value: unknown): TypeError {
  return new TypeError(`Cannot ${verb}: it must be a Uint8Array or a string, got ${kindOf(value)}`);
}
