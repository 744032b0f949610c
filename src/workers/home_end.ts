// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The end of a crossing channel where the channel itself is.
 *
 * @module
 */

// Invariants
//  1. The far end may have at most one window of values that were not confirmed, and so may this one.
//  2. A value taken for the far end is confirmed by it, given back to the channel, or told of as
//     undelivered: exactly one of the three.
//  3. Values that have come in are the channel's: they are given to it after a release, too.

import type { Waiter } from "../_kernel/waiter.ts";
import type { EndWatcher } from "../channel.ts";
import { type Home, RECEIVES, SENDS } from "./home.ts";
import { Inflow, type Sink } from "./inflow.ts";
import {
  BACK,
  CANCEL,
  CLOSED,
  CREDIT,
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
import { type Leftover, Outflow, type OutflowOwner } from "./outflow.ts";

/** The home end. */
export class HomeEnd<T> implements LaneEnd, Sink<T>, OutflowOwner<T>, EndWatcher {
  readonly #lane: Lane;
  readonly #home: Home<T>;
  readonly #outflow: Outflow<T> | null;
  readonly #inflow: Inflow<T> | null;
  /** What the far end has moved away and must send back; it answers to the release. */
  #missing: Leftover<T> | null = null;
  /** The home was cancelled: nothing is given back. */
  #cancelled = false;
  #released = false;
  #early = false;

  constructor(lane: Lane, home: Home<T>, half: number, window: number) {
    this.#lane = lane;
    this.#home = home;
    this.#outflow = half === SENDS || home.source === null
      ? null
      : new Outflow<T>(lane, home.source, this, window);
    this.#inflow = half === RECEIVES ? null : new Inflow<T>(lane, this, window, window);
    home.watch(this);
    // Not now: the other side must hear of the channel before it hears of its end.
    if (home.closed) lane.flushSoon({ held: 0, flush: () => this.closed() });
  }

  received(kind: string, record: readonly unknown[]): boolean {
    switch (kind) {
      case CREDIT:
        return isCount(record[2]) && this.#outflow?.grant(record[2]) === true;
      case TAKEN:
        return isCount(record[2]) && this.#outflow?.confirm(record[2]) === true;
      case VALUES:
        return Array.isArray(record[2]) && this.#inflow?.receive(record[2], false) === true;
      case END: {
        const reason = decodeReason(this.#lane, record);
        return reason !== null && this.#inflow?.end(reason) === true;
      }
      case CANCEL: {
        const reason = decodeReason(this.#lane, record);
        if (reason === null || this.#outflow === null) return false;
        this.#cancelHome(reason);
        return true;
      }
      case RELEASE:
        return this.#farReleased(record[2] === true);
      case BACK:
        return this.#tookBack(record[2]);
      default:
        return false;
    }
  }

  release(): void {
    if (this.#released) return;
    this.#outflow?.pause();
    this.#released = true;
    this.#lane.post(RELEASE, [false]);
  }

  crash(): unknown[] {
    this.#home.unwatch(this);
    this.#released = true;
    const left = this.#missing ?? this.#outflow?.stop();
    this.#missing = null;
    if (left === undefined) return [];
    for (const value of left.sent) this.#home.undelivered(value);
    this.#giveBack(left.held);
    return left.sent;
  }

  // -- Told by the home --

  closed(): void {
    this.#lane.post(CLOSED, []);
    this.#outflow?.go();
  }

  cancelled(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    let reason: Reason = [];
    try {
      this.#home.source?.["~select"].take();
    } catch (error) {
      reason = [error];
    }
    this.#outflow?.pause();
    // The far end answers with a release; till then it may still confirm.
    this.#lane.post(CANCEL, this.#lane.encodeReason(reason));
  }

  // -- Told by the outflow --

  unsendable(value: T, later: readonly T[]): void {
    this.#home.undelivered(value);
    this.#giveBack(later);
  }

  // -- What the inflow gives values to --

  put(value: T): boolean {
    return this.#home.put(value);
  }

  park(value: T, branch: Waiter): void {
    this.#home.park(value, branch);
  }

  unpark(branch: Waiter): void {
    this.#home.unpark(branch);
  }

  undelivered(value: T): void {
    this.#home.undelivered(value);
  }

  readonly awaited = false;

  ended(reason: Reason): void {
    this.#home.close(reason);
  }

  #cancelHome(reason: Reason): void {
    this.#cancelled = true;
    const left = this.#outflow!.stop();
    this.#inflow?.stop();
    this.#undeliveredAll(left.sent, left.held, this.#inflow?.left ?? []);
    this.#home.cancel(reason);
  }

  #farReleased(early: boolean): boolean {
    if (this.#missing !== null) return false;
    this.#early = early;
    this.#home.unwatch(this);
    const left = this.#outflow?.stop();
    this.release();
    if (left !== undefined && left.moved && !this.#cancelled) {
      this.#missing = left;
      return true;
    }
    if (left !== undefined) {
      if (this.#cancelled) this.#undeliveredAll(left.sent, left.held);
      else this.#giveBack([...left.sent, ...left.held]);
    }
    this.#over();
    return true;
  }

  #tookBack(messages: unknown): boolean {
    const left = this.#missing;
    if (left === null || !Array.isArray(messages)) return false;
    this.#missing = null;
    let values: T[] = [];
    try {
      values = messages.map((message) => this.#lane.decode(message) as T);
    } catch {
      // As if there were none.
    }
    if (values.length === left.sent.length) {
      this.#giveBack([...values, ...left.held]);
    } else {
      this.#undeliveredAll(left.sent);
      this.#giveBack(left.held);
    }
    this.#over();
    return true;
  }

  #over(): void {
    this.#home.release();
    this.#lane.forget(this.#early);
  }

  #giveBack(values: readonly T[]): void {
    if (this.#cancelled) this.#undeliveredAll(values);
    else if (values.length > 0) this.#home.giveBack(values);
  }

  #undeliveredAll(...lists: readonly (readonly T[])[]): void {
    for (const values of lists) for (const value of values) this.#home.undelivered(value);
  }
}
