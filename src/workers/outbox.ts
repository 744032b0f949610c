// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The sending half of a channel whose home is on the other side.
 *
 * @module
 */

// Invariants
//  1. A sender waits only while there is no credit, and not after the close.
//  2. A value that was accepted is posted, in order, before the end.
//  3. A value is encoded when it is accepted: one that waits, and is then taken back, has not moved.

import type { Selectable, SelectBranch, SelectCase, Selected } from "../_kernel/selectable.ts";
import { delist, enlist } from "../_kernel/selectable.ts";
import { WaitList, type WaitOwner } from "../_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "../_kernel/waiter.ts";
import { ChannelClosedError } from "../errors.ts";
import { hasSpecials } from "./codec.ts";
import { END, type Flow, type Lane, type Reason, VALUES } from "./lane.ts";
import type { Movable } from "./port.ts";

const SENT: Promise<void> = Promise.resolve();
const SENT_CASE: Selected<void> = Object.freeze({ value: undefined, done: false });

/** The sending half. */
export class Outbox<T> implements Flow {
  readonly #lane: Lane;
  /** Those who wait for credit, each with its value as payload. The other side serves them. */
  readonly #senders: WaitList;
  readonly #window: number;
  #credit: number;
  /** Why nothing is accepted any more. */
  #closed: string | null = null;
  #ended = false;
  #encoded: unknown[] = [];
  #transferList: Movable[] = [];

  constructor(lane: Lane, owner: WaitOwner, window: number) {
    this.#lane = lane;
    this.#senders = new WaitList(owner, "send", true);
    this.#window = window;
    this.#credit = window;
  }

  send(value: T, options?: WaitOptions): Promise<void> {
    const refused = refuse("send", options);
    if (refused !== null) return refused;
    if (this.#closed !== null) return Promise.reject(this.#closeError(value));
    if (this.#credit === 0) return new Waiter<void>(value).park(this.#senders, options);
    try {
      this.accept(value);
    } catch (error) {
      return Promise.reject(error);
    }
    return SENT;
  }

  /** Sends if there is credit. @throws {NotTransferableError} If the value cannot be posted. */
  trySend(value: T): boolean {
    if (!this.canSend) return false;
    this.accept(value);
    return true;
  }

  sending(value: T): Selectable<void> {
    return { "~select": new OutboxCase<T>(this, value) };
  }

  /** Collects a value for the next message. Only while {@linkcode canSend}. @throws As the codec. */
  accept(value: T): void {
    if (this.#closed !== null) throw this.#closeError(value);
    // Before the value is looked at: its getters may send as well.
    this.#credit--;
    let message: unknown;
    try {
      message = this.#lane.encode(value, this.#transferList);
    } catch (error) {
      this.#credit++;
      throw error;
    }
    this.#encoded.push(message);
    // Half a window at once, so that the other side works on it while the second one fills. What carries a
    // channel is not collected: the end of that channel is told at once, and must come behind it.
    const full = this.#credit === 0 || this.#encoded.length * 2 >= this.#window;
    if (full || hasSpecials(message)) this.flush();
    else if (this.#encoded.length === 1) this.#lane.flushSoon(this);
  }

  /** Lets a branch of a select wait for credit. */
  enlist(branch: SelectBranch<void>, value: T): void {
    enlist(branch, this.#senders, value);
  }

  /** The other side has taken `count`. `false` if it was not sent so many. */
  confirm(count: number): boolean {
    if (count > this.#window - this.#credit - this.#encoded.length) return false;
    this.#credit += count;
    while (this.#credit > 0 && this.#senders.first !== null) this.#serve(this.#senders.first);
    return true;
  }

  /** Accepts nothing more, and rejects who waits; `message` says why. Returns whether it was open. */
  close(message: string): boolean {
    if (this.#closed !== null) return false;
    this.#closed = message;
    for (let sender = this.#senders.first; sender !== null; sender = this.#senders.first) {
      sender.fail(this.#closeError(sender.payload as T));
    }
    return true;
  }

  /** Tells the other side that there will be no more values; after the close. */
  end(reason: Reason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.flush();
    this.#lane.post(END, this.#lane.encodeReason(reason));
  }

  flush(): void {
    const encoded = this.#encoded, transferList = this.#transferList;
    if (encoded.length === 0) return;
    this.#encoded = [];
    this.#transferList = [];
    this.#lane.post(VALUES, [encoded, false, transferList.length > 0], transferList);
  }

  get held(): number {
    return this.#encoded.length;
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  get canSend(): boolean {
    return this.#closed === null && this.#credit > 0;
  }

  #serve(sender: Waiter): void {
    try {
      this.accept(sender.payload as T);
    } catch (error) {
      sender.fail(error);
      return;
    }
    sender.settle(sender.group === null ? undefined : SENT_CASE);
  }

  #closeError(value: T): ChannelClosedError {
    return new ChannelClosedError(this.#closed!, value);
  }
}

/** A send as a case of select. */
class OutboxCase<T> implements SelectCase<void> {
  readonly #outbox: Outbox<T>;
  readonly #value: T;

  constructor(outbox: Outbox<T>, value: T) {
    this.#outbox = outbox;
    this.#value = value;
  }

  ready(): boolean {
    return this.#outbox.closed || this.#outbox.canSend;
  }

  take(): Selected<void> {
    this.#outbox.accept(this.#value);
    return SENT_CASE;
  }

  enlist(branch: SelectBranch<void>): void {
    this.#outbox.enlist(branch, this.#value);
  }

  delist(branch: SelectBranch<void>): void {
    delist(branch);
  }
}
