// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The end of a crossing channel on the side to which it was passed.
 *
 * @module
 */

// Invariants
//  1. Nothing is asked for before somebody receives: who only sends takes nothing away from others.
//  2. It is released once: by the end of its call, by a cancel, or when both halves have ended.
//  3. After the release nothing is taken here; what is still under way is the home's to give back.

import { enlist } from "../_kernel/selectable.ts";
import type { Waiter } from "../_kernel/waiter.ts";
import { canSend, Channel, sendersOf, sendNow } from "../channel.ts";
import { ChannelClosedError } from "../errors.ts";
import { CrossedChannel, CrossedReceiver, CrossedSender } from "./crossed.ts";
import { RECEIVES, SENDS } from "./home.ts";
import { Inflow, type Sink } from "./inflow.ts";
import {
  BACK,
  CANCEL,
  CLOSED,
  decodeReason,
  END,
  isCount,
  type Lane,
  type LaneEnd,
  type Reason,
  RELEASE,
  TAKEN,
  VALUES,
} from "./lane.ts";
import { Outbox } from "./outbox.ts";
import type { Movable } from "./port.ts";

const CANNOT_SEND = "Cannot send to a closed channel";

/** What is told of a channel when it is passed. */
export interface Passed {
  readonly half: number;
  readonly window: number;
  readonly capacity: number;
  readonly closed: boolean;
  readonly name: string | undefined;
}

/** The far end. */
export class FarEnd<T> implements LaneEnd, Sink<T> {
  /** What the user gets: a channel, or the half of it that was passed. */
  readonly thing: object;
  readonly capacity: number;
  /** Whose far end it is: to be passed back only there. */
  readonly lane: Lane;
  readonly #channel: CrossedChannel<T>;
  readonly #outbox: Outbox<T> | null;
  readonly #inflow: Inflow<T> | null;
  /** The home is closed. */
  #closed: boolean;
  #receives: boolean;
  #released = false;
  /** Something that came was moved: the home has it no more. */
  #moved = false;

  constructor(
    lane: Lane,
    { half, window, capacity, closed, name }: Passed,
    onUndelivered: ((value: unknown) => void) | undefined,
  ) {
    this.lane = lane;
    this.capacity = capacity;
    this.#closed = closed;
    this.#channel = new CrossedChannel<T>(this, name, onUndelivered);
    this.#outbox = half === RECEIVES ? null : new Outbox<T>(lane, this.#channel, window);
    this.#inflow = half === SENDS ? null : new Inflow<T>(lane, this, 0, window);
    this.#receives = this.#inflow !== null;
    if (half === RECEIVES) this.thing = new CrossedReceiver<T>(this.#channel);
    else if (half === SENDS) this.thing = new CrossedSender<T>(this.#channel);
    else this.thing = this.#channel;
    if (closed) this.#outbox?.close(CANNOT_SEND);
  }

  // -- For the channel --

  /** The sending half; only where there is one. */
  get outbox(): Outbox<T> {
    return this.#outbox!;
  }

  /** Somebody wants to receive. */
  demand(): void {
    this.#inflow?.demand();
  }

  close(reason: Reason): boolean {
    if (this.#outbox?.close(CANNOT_SEND) !== true) return false;
    this.#outbox.end(reason);
    this.#leaveIfEnded();
    return true;
  }

  cancel(reason: Reason): boolean {
    if (this.#released) return false;
    const closed = !this.closed;
    this.#inflow?.stop();
    this.#outbox?.close(CANNOT_SEND);
    this.#outbox?.flush();
    this.lane.post(CANCEL, this.lane.encodeReason(reason));
    this.#leave(reason, true);
    return closed;
  }

  get closed(): boolean {
    return this.#closed || this.#released || this.#outbox?.closed === true;
  }

  /** How many values have come and were not received. */
  get size(): number {
    return this.#released ? 0 : this.#inflow?.size ?? 0;
  }

  /** Whether it can be passed back. */
  get released(): boolean {
    return this.#released;
  }

  // -- For the link --

  received(kind: string, record: readonly unknown[]): boolean {
    switch (kind) {
      case VALUES:
        if (!Array.isArray(record[2])) return false;
        if (this.#inflow?.receive(record[2], record[3] === true) !== true) return false;
        this.#moved ||= record[4] === true;
        return true;
      case TAKEN:
        return isCount(record[2]) && this.#outbox?.confirm(record[2]) === true;
      case CLOSED:
        this.#closed = true;
        this.#outbox?.close(CANNOT_SEND);
        this.#leaveIfEnded();
        return true;
      case END: {
        const reason = decodeReason(this.lane, record);
        return reason !== null && this.#inflow?.end(reason) === true;
      }
      case CANCEL: {
        const reason = decodeReason(this.lane, record);
        if (reason === null) return false;
        this.#outbox?.close(CANNOT_SEND);
        this.#leave(reason, true);
        return true;
      }
      case RELEASE:
        this.release();
        if (this.#moved) this.#sendBack();
        this.lane.forget(true);
        return true;
      default:
        return false;
    }
  }

  release(): void {
    if (this.#released) return;
    const { name } = this.#channel;
    const what = name === undefined ? "channel" : `channel "${name}"`;
    const rule = `${what}: the call that it was passed to must go on, got its end`;
    this.#outbox?.close(`Cannot send to ${rule}`);
    this.#leave([new ChannelClosedError(`Cannot receive from ${rule}`)], false);
  }

  crash(error: unknown): unknown[] {
    if (this.#released) return [];
    this.#outbox?.close(CANNOT_SEND);
    this.#leave([error], true);
    return [];
  }

  // -- What the inflow gives values to --

  get awaited(): boolean {
    return canSend(this.#channel);
  }

  put(value: T): boolean {
    if (!canSend(this.#channel)) return false;
    sendNow(this.#channel, value);
    return true;
  }

  park(value: T, branch: Waiter): void {
    enlist(branch, sendersOf(this.#channel), value);
  }

  unpark(branch: Waiter): void {
    branch.withdraw();
  }

  undelivered(): void {}

  ended(reason: Reason): void {
    this.#receives = false;
    this.#closeHere(reason);
    this.#leaveIfEnded();
  }

  #leaveIfEnded(): void {
    const sends = this.#outbox !== null && !this.#outbox.closed;
    if (!sends && !this.#receives) this.#leave([], true);
  }

  #leave(reason: Reason, early: boolean): void {
    if (this.#released) return;
    this.#inflow?.stop();
    this.#outbox?.flush();
    this.#released = true;
    this.lane.post(RELEASE, [early]);
    this.#closeHere(reason);
  }

  #closeHere(reason: Reason): void {
    Channel.prototype.close.call(this.#channel, ...reason);
  }

  #sendBack(): void {
    const transferList: Movable[] = [];
    let messages: unknown[] = [];
    try {
      messages = this.#inflow!.left.map((value) => this.lane.encode(value, transferList));
    } catch {
      // It cannot go back; none says so.
    }
    this.lane.post(BACK, [messages], transferList);
  }
}
