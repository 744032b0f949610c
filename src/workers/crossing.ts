// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The channels that cross one link between two threads: which they are, how long, and to which of
 * them a record goes.
 *
 * @module
 */

// Invariants
//  1. The two sides number their own channels, odd and even, and no number is used twice.
//  2. A channel crosses once per call that carries it, and ends with that call.
//  3. Each side says RELEASE once; when both have, the number is forgotten. Until then a record that is
//     late is no error.
//  4. What is said about a channel comes behind the message that carries it.

import { runOutside } from "../_kernel/current.ts";
import { Channel } from "../channel.ts";
import { ChannelClosedError, NotTransferableError } from "../errors.ts";
import type { Codec } from "./codec.ts";
import { farEndOf } from "./crossed.ts";
import { FarEnd, type Passed } from "./far_end.ts";
import {
  BOTH,
  ChannelHome,
  type Foreign,
  ForeignHome,
  type Home,
  RECEIVES,
  SENDS,
} from "./home.ts";
import { HomeEnd } from "./home_end.ts";
import {
  BACK,
  type Flow,
  type Lane,
  type LaneEnd,
  MOST_WINDOW,
  type Reason,
  RELEASE,
} from "./lane.ts";
import type { Movable } from "./port.ts";

/** Window for what tells no capacity. */
const WINDOW = 64;
/** How many microtasks in a row may bring nothing new before what was collected is posted. */
const QUIET = 8;
/** The most microtasks that it is collected for. */
const MOST_HOPS = 1024;

const GONE = "Cannot receive from a channel of another thread: the thread must live, got its end";

const NOW: Promise<void> = Promise.resolve();

/** The way to the other thread. */
export interface CrossingLink {
  /** Posts `record` with the next flush, which is soon, and in the order of the calls. */
  post(record: readonly unknown[], transferList?: Movable[]): void;
  /** Its `pass` and `take` are {@linkcode Crossings.pass} and {@linkcode Crossings.take}. */
  readonly codec: Codec;
}

/** Options of {@linkcode Crossings}. */
export interface CrossingsOptions {
  /** Told of values of receivers that are no channels and cannot take them back. */
  readonly onUndelivered?: ((value: unknown) => void) | undefined;
}

/** All channels that cross one link. One on each side. */
export class Crossings {
  readonly #link: CrossingLink;
  readonly #side: number;
  readonly #onUndelivered: ((value: unknown) => void) | undefined;
  readonly #crossings: Map<number, Crossing> = new Map();
  #nextId: number;
  /** The call whose message is being encoded or decoded. */
  #scope: CallChannels | null = null;
  #crashed = false;
  #flows: Flow[] = [];
  /** How many values they held at the last look, how many looks ago that was, how many looks there were. */
  #held = 0;
  #quiet = 0;
  #hops = 0;
  readonly #hop: () => void = () => {
    if (this.#flows.length === 0) return;
    let held = 0;
    for (const flow of this.#flows) held += flow.held;
    if (held === this.#held) this.#quiet++;
    else this.#quiet = 0;
    this.#held = held;
    if (this.#quiet >= QUIET || ++this.#hops >= MOST_HOPS) this.flush();
    else hopSoon(this.#hop);
  };

  /** `side` is 0 in the thread that started the other, and 1 there. */
  constructor(link: CrossingLink, side: 0 | 1, options: CrossingsOptions = {}) {
    this.#link = link;
    this.#side = side;
    this.#onUndelivered = options.onUndelivered;
    this.#nextId = side;
  }

  /** What the channels of one call belong to; the same is made on both sides. */
  scope(): CallChannels {
    return new CallChannels(this, this.#link.codec);
  }

  /**
   * For the codec: what stands for `candidate` in a message; `undefined` if it is nothing that crosses.
   *
   * @throws {RangeError} If it is a rendezvous.
   * @throws {NotTransferableError} If it can only be passed with a call, or has ended here.
   */
  pass(candidate: object, path: string): unknown {
    const half = halfOf(candidate);
    if (half === null) return undefined;
    const scope = this.#scope;
    const what = nameOf(candidate);
    if (scope === null) throw refused(path, `${what} must belong to a call, got none`);
    const far = farEndOf(candidate);
    if (far !== undefined && far.lane.belongsTo(scope)) {
      if (far.released) throw refused(path, `${what} must not have ended, got one that has`);
      return [far.lane.id];
    }
    const known = scope.passed?.get(candidate);
    if (known !== undefined) return known.token;
    if (scope.ending) throw refused(path, `${what} must come from the caller, got one made here`);
    const { capacity, closed, name } = candidate as Partial<Channel<unknown>>;
    if (capacity !== undefined && !(capacity >= 1)) {
      throw new RangeError(
        `Cannot pass ${what} to ${
          this.#side === 0 ? "a worker" : "the main thread"
        }: its capacity must be >= 1, got ${capacity}`,
      );
    }
    const window = Math.min(capacity ?? WINDOW, MOST_WINDOW);
    const crossing = new Crossing(this, this.#link, this.#nextId, scope);
    this.#nextId += 2;
    crossing.token = [crossing.id, half, window, capacity ?? Infinity, closed === true, name];
    const home: Home<unknown> = candidate instanceof Channel && far === undefined
      ? new ChannelHome<unknown>(candidate)
      : new ForeignHome<unknown>(candidate as Foreign<unknown>, half, this.#onUndelivered);
    crossing.origin = candidate;
    this.#add(crossing);
    crossing.end = new HomeEnd<unknown>(crossing, home, half, window);
    (scope.passed ??= new Map()).set(candidate, crossing);
    return crossing.token;
  }

  /** For the codec: the channel that `token` stands for. @throws {TypeError} If there is none. */
  take(token: unknown): object {
    const scope = this.#scope;
    if (!Array.isArray(token) || !Number.isSafeInteger(token[0]) || scope === null) throw unknown();
    const id: number = token[0];
    const known = this.#crossings.get(id);
    if (known !== undefined) {
      if (known.scope !== scope) throw unknown();
      return known.origin ?? (known.end as FarEnd<unknown>).thing;
    }
    const passed = readToken(token);
    if (passed === null || id < 0 || id % 2 === this.#side) throw unknown();
    const crossing = new Crossing(this, this.#link, id, scope);
    this.#add(crossing);
    const end = new FarEnd<unknown>(crossing, passed, this.#onUndelivered);
    crossing.end = end;
    return end.thing;
  }

  /**
   * Takes a record about a channel. `false` if it is none, or is malformed: then nothing has happened.
   * Never throws.
   */
  receive(record: unknown): boolean {
    if (!Array.isArray(record) || typeof record[0] !== "string" || this.#crashed) return false;
    const crossing = this.#crossings.get(record[1]);
    return crossing !== undefined && crossing.end?.received(record[0], record) === true;
  }

  /** How many channels cross now. */
  get size(): number {
    return this.#crossings.size;
  }

  /** Posts what was collected so far. */
  flush(): void {
    // What is added by a flush must come behind what it posts.
    const flows = this.#flows;
    this.#flows = [];
    for (const flow of flows) flow.flush();
  }

  /** Flushes `flow` when nothing was added for some microtasks: senders that send in turn fill a message. */
  flushSoon(flow: Flow): void {
    this.#flows.push(flow);
    if (this.#flows.length > 1) return;
    this.#held = 0;
    this.#quiet = 0;
    this.#hops = 0;
    // Not in the context of who sends: what a flush wakes or tells of belongs to nobody.
    runOutside(hopSoon, this.#hop);
  }

  /**
   * The other side is gone: its own channels fail with `error`. Gives the values it was sent and had not
   * confirmed; they were told of as undelivered. Posts nothing more.
   */
  crash(error: unknown = new ChannelClosedError(GONE)): unknown[] {
    this.#crashed = true;
    this.#flows = [];
    const crossings = [...this.#crossings.values()];
    this.#crossings.clear();
    const inFlight: unknown[] = [];
    for (const crossing of crossings) {
      crossing.mute();
      for (const value of crossing.end!.crash(error)) inFlight.push(value);
    }
    return inFlight;
  }

  /** Says to which call the message belongs that is being made or read; returns what it was before. */
  "~enter"(scope: CallChannels | null): CallChannels | null {
    const before = this.#scope;
    this.#scope = scope;
    return before;
  }

  "~forget"(crossing: Crossing): void {
    this.#crossings.delete(crossing.id);
  }

  #add(crossing: Crossing): void {
    this.#crossings.set(crossing.id, crossing);
    (crossing.scope.crossings ??= new Set()).add(crossing);
  }
}

/** The channels that one call carries. What belongs to the call is encoded and decoded here. */
export class CallChannels {
  /** Made for the first one: most calls carry none, and two collections would outweigh all else of a call. */
  crossings: Set<Crossing> | null = null;
  /** Those whose home is here, by what was passed. */
  passed: Map<object, Crossing> | null = null;
  /** The call ends: nothing new may be passed. */
  ending = false;
  ended = false;
  readonly #all: Crossings;
  readonly #codec: Codec;

  constructor(all: Crossings, codec: Codec) {
    this.#all = all;
    this.#codec = codec;
  }

  /** `Codec.encode` of something that belongs to the call: arguments, a value of one of its channels. */
  encode(value: unknown, path: string, transferList: Movable[]): unknown {
    const passed = this.passed?.size ?? 0, before = this.#all["~enter"](this);
    try {
      return this.#codec.encode(value, path, transferList);
    } catch (error) {
      // The other side will never hear of those.
      for (const crossing of [...this.passed?.values() ?? []].slice(passed)) crossing.drop();
      throw error;
    } finally {
      this.#all["~enter"](before);
    }
  }

  /** {@linkcode encode} of its result: the call ends, so only what it was given can be passed back. */
  encodeResult(value: unknown, path: string, transferList: Movable[]): unknown {
    this.ending = true;
    try {
      return this.encode(value, path, transferList);
    } finally {
      this.ending = false;
    }
  }

  /** `Codec.decode` of something that belongs to the call. */
  decode(message: unknown): unknown {
    const before = this.#all["~enter"](this);
    try {
      return this.#codec.decode(message);
    } finally {
      this.#all["~enter"](before);
    }
  }

  /**
   * Ends the channels with the call; a second time is nothing. In the worker: encode the result, `end()`,
   * post the reply. In the main thread: decode the reply, `end()`; also when the call ends without one.
   */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    if (this.crossings === null) return;
    for (const crossing of [...this.crossings]) crossing.endCall();
  }
}

/** One channel on its way. */
export class Crossing implements Lane {
  readonly id: number;
  readonly scope: CallChannels;
  /** What stands for it in messages, if its home is here. */
  token: readonly unknown[] = [];
  /** The thing itself, if its home is here. */
  origin: object | undefined = undefined;
  end: LaneEnd | null = null;
  readonly #all: Crossings;
  readonly #link: CrossingLink;
  /** This side has said its last. */
  #muted = false;
  /** Both sides have. */
  #over = false;

  constructor(all: Crossings, link: CrossingLink, id: number, scope: CallChannels) {
    this.#all = all;
    this.#link = link;
    this.id = id;
    this.scope = scope;
  }

  post(kind: string, rest: readonly unknown[], transferList?: Movable[]): void {
    if (this.#muted && kind !== BACK) return;
    if (kind === RELEASE) this.#muted = true;
    this.#link.post([kind, this.id, ...rest], transferList);
  }

  encode(value: unknown, transferList: Movable[]): unknown {
    return this.scope.encode(value, "value", transferList);
  }

  encodeReason(reason: Reason): readonly unknown[] {
    return reason.length === 0 ? reason : [this.#link.codec.encodeReason(reason[0])];
  }

  decode(message: unknown): unknown {
    return this.scope.decode(message);
  }

  flushSoon(flow: Flow): void {
    this.#all.flushSoon(flow);
  }

  forget(early: boolean): void {
    this.#over = true;
    if (early || this.scope.ended) this.#remove();
  }

  belongsTo(call: object): boolean {
    return call === this.scope;
  }

  /** Posts nothing more. */
  mute(): void {
    this.#muted = true;
  }

  /** The message that carries it is never posted. */
  drop(): void {
    this.mute();
    this.end!.crash(undefined);
    this.#remove();
  }

  /** Its call has ended. */
  endCall(): void {
    if (this.#over) this.#remove();
    else this.end!.release();
  }

  #remove(): void {
    this.#all["~forget"](this);
    this.scope.crossings?.delete(this);
    if (this.origin !== undefined) this.scope.passed?.delete(this.origin);
  }
}

function hopSoon(hop: () => void): void {
  void NOW.then(hop);
}

/** Which halves of a channel `candidate` has; `null` if none. */
function halfOf(candidate: object): number | null {
  if (candidate instanceof Channel) return BOTH;
  const { send, sending, receive } = candidate as Partial<Channel<unknown>>;
  const sends = typeof send === "function" && typeof sending === "function";
  const receives = typeof receive === "function" && "~select" in candidate;
  if (sends) return receives ? BOTH : SENDS;
  return receives ? RECEIVES : null;
}

function nameOf(candidate: object): string {
  const { name } = candidate as { name?: unknown };
  return typeof name === "string" ? `channel "${name}"` : "channel";
}

function refused(path: string, rule: string): NotTransferableError {
  return new NotTransferableError(`Cannot pass ${path}: ${rule}`, path);
}

function unknown(): TypeError {
  return new TypeError("Cannot take channel: its token must be known, got another one");
}

function readToken(token: readonly unknown[]): Passed | null {
  const [, half, window, capacity, closed, name] = token;
  if (half !== BOTH && half !== RECEIVES && half !== SENDS) return null;
  if (!Number.isSafeInteger(window) || (window as number) < 1) return null;
  if ((window as number) > MOST_WINDOW) return null;
  if (typeof capacity !== "number" || typeof closed !== "boolean") return null;
  if (name !== undefined && typeof name !== "string") return null;
  return { half, window: window as number, capacity, closed, name };
}
