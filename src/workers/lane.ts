// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What the parts of one crossing channel need of the link: the records they exchange, and the moment
 * at which values that were collected are posted.
 *
 * @module
 */

import type { Movable } from "./port.ts";

/** Receiver: `[CREDIT, id, count]`. So many values more may come. */
export const CREDIT = "credit";
/** Sender: `[VALUES, id, values, more, moved]`. `more` had no credit; something in them was moved. */
export const VALUES = "values";
/** Receiver: `[TAKEN, id, count]`. The oldest so many have arrived for good; as many more may come. */
export const TAKEN = "taken";
/** Sender: `[END, id, ...reason]`. There will be no more values; the channel is closed behind them. */
export const END = "end";
/** Home: `[CLOSED, id]`. The channel takes no more values. */
export const CLOSED = "closed";
/** Either: `[CANCEL, id, ...reason]`. The channel is cancelled: nobody wants the values under way. */
export const CANCEL = "cancel";
/** Each once: `[RELEASE, id, early]`. It is done with this channel; `early` if the call goes on. */
export const RELEASE = "release";
/** Far: `[BACK, id, values]`. What it had not read, because the home has it no more: it was moved. */
export const BACK = "back";

/** The most values that are under way in one direction of one channel. */
export const MOST_WINDOW = 1024;

/** Collects values for a record. */
export interface Flow {
  /** How many it has collected; for nothing but to see whether it still grows. */
  readonly held: number;
  /** Posts them. */
  flush(): void;
}

/** The way of one channel to the other side. */
export interface Lane {
  /** The number of the channel. */
  readonly id: number;
  /** Whether it was carried by this call, of all on all links. */
  belongsTo(call: object): boolean;
  /** Posts the record `[kind, id, ...rest]`. */
  post(kind: string, rest: readonly unknown[], transferList?: Movable[]): void;
  /** Encodes a value that belongs to the same call as the channel. @throws If it cannot be posted. */
  encode(value: unknown, transferList: Movable[]): unknown;
  /** Encodes a reason; `reason` is empty if there is none. */
  encodeReason(reason: Reason): readonly unknown[];
  /** Decodes a value. @throws If it is malformed. */
  decode(message: unknown): unknown;
  /** Flushes `flow` when it has stopped growing, which is soon. */
  flushSoon(flow: Flow): void;
  /** Nothing more is said about the channel. If `early`, it cannot come back with its call's result. */
  forget(early: boolean): void;
}

/** One of the two ends of a crossing channel: at home, or far from it. */
export interface LaneEnd {
  /** Takes a record about the channel. `false` if it is malformed; then nothing has happened. */
  received(kind: string, record: readonly unknown[]): boolean;
  /** The call that carried the channel has ended. */
  release(): void;
  /** The other side is gone. Gives the values that it was sent and had not confirmed. */
  crash(error: unknown): unknown[];
}

/** The argument of `close` and `cancel`, if there is one. */
export type Reason = readonly [reason?: unknown];

/** Whether a record has an integer >= 1 there. */
export function isCount(count: unknown): count is number {
  return Number.isSafeInteger(count) && (count as number) >= 1;
}

/** The reason at the end of a record; `null` if it is malformed. */
export function decodeReason(lane: Lane, record: readonly unknown[]): Reason | null {
  if (record.length > 3) return null;
  try {
    return record.length === 3 ? [lane.decode(record[2])] : [];
  } catch {
    return null;
  }
}
