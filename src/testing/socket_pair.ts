// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Two connections that are each other's peer, in memory, on a line that can be made as bad as real ones:
 * slow, cut into pieces, stalled, broken.
 *
 * @module
 */

// Invariants
//  1. Bytes arrive in the order in which they were written, once, until the line breaks.
//  2. Nothing is delivered synchronously, and nothing without the run queue or the clock of the library: so
//     virtual time and explored schedules hold here too.
//  3. A wait on such a connection is no wait on the host: a deadlock of two of them is one.

import { checkMs, clock, type TimerTarget } from "../_kernel/clock.ts";
import { enqueue, type Runnable } from "../_kernel/run_queue.ts";
import type { Address } from "../net/address.ts";
import { type Conn, createConn } from "../net/conn.ts";
import { HIGH_WATER, type Wire, type WireSink } from "../net/wire.ts";
import { randomOf } from "./_explore/random.ts";

/** What is wrong with the line of a {@linkcode socketPair}. */
export interface SocketFaults {
  /** Cuts what is written into pieces of random sizes up to so many bytes, >= 1. @default {Infinity} */
  maxPiece?: number | undefined;
  /** How long each piece takes, in milliseconds >= 0, on the clock of the library. @default {0} */
  latency?: number | undefined;
  /** Breaks the connection after so many bytes have arrived, both directions counted. @default {Infinity} */
  resetAfter?: number | undefined;
  /** Where the random sizes come from: the same seed, the same pieces. @default {1} */
  seed?: number | undefined;
}

/** What {@linkcode socketPair} gives. */
export interface SocketPair {
  /** One end. */
  readonly a: Conn;
  /** The other end. */
  readonly b: Conn;
  /** Lets nothing arrive any more, in both directions, until {@linkcode SocketPair.resume}. */
  stall(): void;
  /** Lets what was held back arrive. */
  resume(): void;
  /** Breaks the connection, as a reset does: what is on its way is lost, both ends learn of it. */
  reset(): void;
  /** One end vanishes without a word: nothing it sent arrives, and what is sent to it goes nowhere. */
  vanish(end: "a" | "b"): void;
  /** How many bytes have arrived, both directions counted. */
  readonly arrived: number;
}

/**
 * Makes two connections that are each other's peer, without a socket: for tests of what talks over
 * `baozi/net`. By default the line is perfect; `faults` make it bad, and the methods of the pair break it at
 * a moment of the test's choice. Waits on them do not count as waits on the host: in `virtualTime` the clock
 * moves, and two ends that wait for each other are a deadlock.
 *
 * @throws {RangeError} If a number is out of its bounds.
 * @throws {TypeError} If one is no number.
 *
 * @example A message in pieces
 * ```ts
 * import { socketPair } from "@baozi/baozi/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const { a, b } = socketPair({ maxPiece: 3 });
 * await a.write("hello\n");
 * for await (const line of b.lines()) {
 *   assertEquals(line, "hello");
 *   break;
 * }
 * a.destroy();
 * b.destroy();
 * ```
 */
export function socketPair(faults: SocketFaults = {}): SocketPair {
  const line = new Line(faults);
  const a = createConn(line.ends[0]), b = createConn(line.ends[1]);
  const ends = { a: line.ends[0], b: line.ends[1] };
  return {
    a,
    b,
    stall: () => line.stall(),
    resume: () => line.resume(),
    reset: () => line.reset(),
    vanish: (end) => {
      if (end !== "a" && end !== "b") {
        throw new TypeError(`Cannot vanish: the end must be "a" or "b", got ${String(end)}`);
      }
      ends[end].vanish();
    },
    get arrived() {
      return line.arrived;
    },
  };
}

/** What both directions share. */
class Line {
  readonly ends: readonly [End, End];
  readonly maxPiece: number;
  readonly latency: number;
  readonly random: () => number;
  readonly #resetAfter: number;
  arrived = 0;
  stalled = false;
  broken = false;

  constructor({ maxPiece = Infinity, latency = 0, resetAfter = Infinity, seed = 1 }: SocketFaults) {
    this.maxPiece = checkBytes("maxPiece", maxPiece, 1);
    checkMs("make socket pair", "latency", latency);
    this.latency = latency;
    this.#resetAfter = checkBytes("resetAfter", resetAfter, 0);
    this.random = randomOf(seed);
    this.ends = [new End(this, "pair-a"), new End(this, "pair-b")];
    this.ends[0].peer = this.ends[1];
    this.ends[1].peer = this.ends[0];
  }

  /** How many bytes may still arrive. */
  get left(): number {
    return this.#resetAfter - this.arrived;
  }

  stall(): void {
    this.stalled = true;
  }

  resume(): void {
    this.stalled = false;
    for (const end of this.ends) end.move();
  }

  reset(): void {
    if (this.broken) return;
    this.broken = true;
    for (const end of this.ends) end.break();
  }
}

/** One thing on its way to the other end. */
type Parcel = Uint8Array | "end";

/** One end: what is written here travels to its peer. */
class End implements Wire, Runnable, TimerTarget {
  readonly inMemory = true;
  readonly local: Address;
  peer!: End;
  readonly #line: Line;
  #sink: WireSink | null = null;
  #queue: Parcel[] = [];
  #queued = 0;
  #mustDrain = false;
  #moving = false;
  #paused = false;
  #ended = false;
  /** The end of the peer has arrived. */
  #readEnded = false;
  #closing = false;
  #freed = false;
  #gone = false;

  constructor(line: Line, name: string) {
    this.#line = line;
    this.local = { path: name };
  }

  get remote(): Address {
    return this.peer.local;
  }

  open(sink: WireSink): void {
    this.#sink = sink;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.peer.move();
  }

  write(bytes: Uint8Array, owned: boolean): boolean {
    if (this.#line.broken || this.#freed) return true;
    this.#queue.push(owned ? bytes : bytes.slice());
    this.#queued += bytes.length;
    this.move();
    this.#mustDrain = this.#queued >= HIGH_WATER;
    return !this.#mustDrain;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue.push("end");
    this.move();
  }

  close(): void {
    this.#closing = true;
    this.end();
    this.#freeIfOver();
  }

  destroy(): void {
    if (this.#freed) return;
    this.#queue = [];
    // The peer learns of it as from a socket that is closed with bytes unread: by a reset.
    enqueue({ run: () => this.#gone || this.peer.break() });
    this.#free();
  }

  vanish(): void {
    this.#gone = true;
    this.#queue = [];
  }

  /** The line broke. */
  break(): void {
    if (this.#freed || this.#gone) return;
    this.#queue = [];
    this.#sink!["~failed"](RESET);
    this.#free();
  }

  /** Sets the next parcel on its way; whether it may arrive is seen when it does. */
  move(): void {
    if (this.#moving || this.#queue.length === 0) return;
    this.#moving = true;
    if (this.#line.latency === 0) enqueue(this);
    else clock.on.set(this, this.#line.latency);
  }

  timeUp(): void {
    enqueue(this);
  }

  /** The parcel arrives. */
  run(): void {
    this.#moving = false;
    const { peer } = this, line = this.#line;
    if (line.stalled || line.broken || this.#gone || peer.#gone || peer.#paused) return;
    const parcel = this.#queue[0];
    if (parcel === undefined) return;
    if (parcel === "end") {
      this.#queue.shift();
      peer.#readEnded = true;
      if (!peer.#freed) peer.#sink!["~ended"]();
      this.#freeIfOver();
      peer.#freeIfOver();
      return;
    }
    const size = Math.min(this.#pieceOf(parcel), line.left);
    if (size < parcel.length) this.#queue[0] = parcel.subarray(size);
    else this.#queue.shift();
    this.#queued -= size;
    line.arrived += size;
    if (size > 0 && !peer.#freed) peer.#sink!["~received"](parcel.slice(0, size));
    if (!this.#freed) this.#sink!["~sent"]();
    if (line.left <= 0) return line.reset();
    if (this.#mustDrain && this.#queued < HIGH_WATER) {
      this.#mustDrain = false;
      if (!this.#freed) this.#sink!["~drained"]();
    }
    this.move();
  }

  /** How much of `parcel` arrives at once: at least one byte, but for an empty one. */
  #pieceOf(parcel: Uint8Array): number {
    const { maxPiece, random } = this.#line;
    if (maxPiece === Infinity) return parcel.length;
    return Math.min(parcel.length, 1 + Math.floor(random() * maxPiece));
  }

  #freeIfOver(): void {
    const sent = this.#ended && this.#queue.length === 0;
    // As a host does once both sides have ended.
    if (sent && (this.#closing || this.#readEnded)) this.#free();
  }

  #free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#sink!["~freed"]();
  }
}

const RESET: Error = Object.assign(new Error("The line of the socket pair broke"), {
  code: "ECONNRESET",
});

function checkBytes(name: string, bytes: unknown, least: number): number {
  if (typeof bytes !== "number") {
    throw new TypeError(`Cannot make socket pair: ${name} must be a number, got ${typeof bytes}`);
  }
  if ((Number.isInteger(bytes) || bytes === Infinity) && bytes >= least) return bytes;
  throw new RangeError(
    `Cannot make socket pair: ${name} must be an integer >= ${least}, got ${bytes}`,
  );
}
