// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What two threads say to each other: records, many of which travel in one message.
 *
 * @module
 */

// Invariants
//  1. Records arrive in the order in which they were posted.
//  2. All that is posted in one synchronous step, and by what follows from it at once, is one message.
//  3. What comes in never throws: what nobody here understands is counted and dropped.
// Dropped: a message for each record. Posting one costs microseconds whatever its size, so that messages
// of many records are what makes channels fast. To post each 16 or 32 replies, so that both threads work at
// once: no gain in time. To leave out the transfer list, or to keep a promise ready for the flush: none either.

import { runOutside } from "../_kernel/current.ts";
import type { ErrorClass } from "./error_wire.ts";
import { type Codec, makeCodec } from "./codec.ts";
import { type CrossingLink, Crossings } from "./crossing.ts";
import type { Movable, Port, PortSink } from "./port.ts";

/** The version of all that is said below. */
export const VERSION = 1;

/** Worker: `[READY, version, names]`. It serves these functions from now on. */
export const READY = "ready";
/** Parent: `[CALL, id, name, args]`. */
export const CALL = "call";
/** Worker: `[REPLY, id, state, result]`; the state is one of those below. */
export const REPLY = "reply";
/** Parent: `[KILL, id, reason]`. */
export const KILL = "kill";
/** Worker: `[STREAM, id]`. The call has given a generator, and asks where its values go. */
export const STREAM = "stream";
/** Parent: `[OUTPUT, id, channel]`, the answer; or `[OUTPUT, id]`: nobody takes any. */
export const OUTPUT = "output";
/** Parent: `[BYE]`. Nothing will be said any more. */
export const BYE = "bye";

/** How a call has ended, on the wire. */
export const SUCCEEDED = 0;
export const FAILED = 1;
export const KILLED = 2;

/** Gets the records that concern no channel. May throw on a malformed one. */
export interface LinkOwner {
  /** `false` if it does not understand the record. */
  "~received"(kind: string, record: readonly unknown[]): boolean;
  /** A record could not be posted; what it was about must not wait for an answer. */
  "~refused"(record: readonly unknown[], error: unknown): void;
  /** The other side is gone, or broken. */
  "~ended"(error: unknown): void;
}

/** Options of a {@linkcode Link}. */
export interface LinkOptions {
  readonly classes: readonly ErrorClass[];
  readonly maxMessageBytes: number;
  readonly onUndelivered?: ((value: unknown) => void) | undefined;
}

/** One side of the talk. */
export class Link implements CrossingLink, PortSink {
  readonly codec: Codec;
  readonly crossings: Crossings;
  /** How many records came in that nobody understood. */
  ignored = 0;
  readonly #port: Port;
  readonly #owner: LinkOwner;
  #records: Array<readonly unknown[]> = [];
  /** What moves with each record; `null` while nothing does. */
  #transfers: Movable[][] | null = null;
  #flushing = false;
  #over = false;
  readonly #flush: () => void = () => {
    // What the channels add now still goes with this message.
    this.crossings.flush();
    this.#flushing = false;
    const records = this.#records, transfers = this.#transfers;
    this.#records = [];
    this.#transfers = null;
    if (!this.#over && records.length > 0) this.#send(records, transfers);
  };

  /** `side` is 0 in the thread that started the other, and 1 there. */
  constructor(port: Port, owner: LinkOwner, side: 0 | 1, options: LinkOptions) {
    this.#port = port;
    this.#owner = owner;
    const { classes, maxMessageBytes, onUndelivered } = options;
    this.codec = makeCodec({
      classes,
      maxMessageBytes,
      pass: (candidate, path) => this.crossings.pass(candidate, path),
      take: (token) => this.crossings.take(token),
    });
    this.crossings = new Crossings(this, side, { onUndelivered });
  }

  /** Begins to listen. */
  open(): void {
    this.#port.open(this);
  }

  post(record: readonly unknown[], transferList?: Movable[]): void {
    const at = this.#records.push(record) - 1;
    if (transferList !== undefined && transferList.length > 0) {
      (this.#transfers ??= [])[at] = transferList;
    }
    if (this.#flushing) return;
    this.#flushing = true;
    // Not in the context of who posts: what the flush settles belongs to nobody.
    runOutside(queueMicrotask, this.#flush);
  }

  /** Posts what is still here at once. */
  flush(): void {
    if (this.#records.length > 0) this.#flush();
  }

  /** Posts and hears nothing more. */
  close(): void {
    this.#over = true;
  }

  received(message: unknown): void {
    if (this.#over) return;
    if (!Array.isArray(message)) {
      this.ignored++;
      return;
    }
    for (let i = 0; i < message.length; i++) this.#receive(message[i]);
  }

  ended(error: unknown): void {
    if (!this.#over) this.#owner["~ended"](error);
  }

  #receive(record: unknown): void {
    try {
      if (this.crossings.receive(record)) return;
      if (
        Array.isArray(record) && typeof record[0] === "string" &&
        this.#owner["~received"](record[0], record)
      ) return;
    } catch {
      // Malformed in a way that nobody thought of.
    }
    this.ignored++;
  }

  /** Posts all in order. What moves travels alone: on Deno a post that fails has moved it all the same. */
  #send(records: Array<readonly unknown[]>, transfers: Movable[][] | null): void {
    if (transfers === null) return this.#post(records, NOTHING_MOVES);
    let from = 0;
    records.forEach((record, at) => {
      const moves = transfers[at];
      if (moves === undefined) return;
      if (from < at) this.#post(records.slice(from, at), NOTHING_MOVES);
      this.#post([record], moves);
      from = at + 1;
    });
    if (from < records.length) this.#post(records.slice(from), NOTHING_MOVES);
  }

  #post(records: Array<readonly unknown[]>, transferList: Movable[]): void {
    try {
      this.#port.post(records, transferList);
    } catch (error) {
      // One is to blame; the others can be posted again.
      if (records.length === 1) this.#owner["~refused"](records[0]!, error);
      else for (const record of records) this.#post([record], NOTHING_MOVES);
    }
  }
}

const NOTHING_MOVES: Movable[] = [];
