// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What can be passed to another thread and stays at home: channels, and what sends or receives as
 * they do.
 *
 * @module
 */

import type { Selectable, SelectBranch, SelectCase } from "../_kernel/selectable.ts";
import { delist, enlist } from "../_kernel/selectable.ts";
import { reportUnhandled } from "../_kernel/unhandled.ts";
import type { Waiter } from "../_kernel/waiter.ts";
import {
  canSend,
  type Channel,
  type EndWatcher,
  putBack,
  type Receiver,
  type Sender,
  sendersOf,
  sendNow,
  undelivered,
  unwatchEnd,
  watchEnd,
} from "../channel.ts";
import type { Reason } from "./lane.ts";
import type { Source } from "./outflow.ts";

/** What it can do: both, only receive, only send. */
export const BOTH = 0;
export const RECEIVES = 1;
export const SENDS = 2;

/** A thing at home, as its crossings use it. */
export interface Home<T> {
  /** What values are taken from; `null` if it only sends. */
  readonly source: Source<T> | null;
  readonly closed: boolean;
  /** Gives it `value`; `false` if it would have to wait. Once closed it takes all, for nobody. */
  put(value: T): boolean;
  /** Lets `value` wait with `branch`. */
  park(value: T, branch: Waiter): void;
  /** Takes it back. */
  unpark(branch: Waiter): void;
  close(reason: Reason): void;
  cancel(reason: Reason): void;
  /** Tells of a value that nobody will get. */
  undelivered(value: T): void;
  /** Takes values back that were taken from it. */
  giveBack(values: readonly T[]): void;
  /** The call that it was passed to has ended. */
  release(): void;
  /** Lets `watcher` know of its end, where it can. */
  watch(watcher: EndWatcher): void;
  unwatch(watcher: EndWatcher): void;
}

/** A channel. */
export class ChannelHome<T> implements Home<T> {
  readonly source: Channel<T>;

  constructor(channel: Channel<T>) {
    this.source = channel;
  }

  get closed(): boolean {
    return this.source.closed;
  }

  put(value: T): boolean {
    if (this.source.closed) undelivered(this.source, value);
    else if (canSend(this.source)) sendNow(this.source, value);
    else return false;
    return true;
  }

  park(value: T, branch: Waiter): void {
    enlist(branch, sendersOf(this.source), value);
  }

  unpark(branch: Waiter): void {
    delist(branch);
  }

  close(reason: Reason): void {
    this.source.close(...reason);
  }

  cancel(reason: Reason): void {
    this.source.cancel(...reason);
  }

  undelivered(value: T): void {
    undelivered(this.source, value);
  }

  giveBack(values: readonly T[]): void {
    putBack(this.source, values);
  }

  release(): void {}

  watch(watcher: EndWatcher): void {
    watchEnd(this.source, watcher);
  }

  unwatch(watcher: EndWatcher): void {
    unwatchEnd(this.source, watcher);
  }
}

/** What is known of a thing that is no channel. */
export type Foreign<T> = Partial<Receiver<T> & Sender<T>>;

/** Something else that receives, sends, or both. It cannot take values back. */
export class ForeignHome<T> implements Home<T> {
  readonly source: Source<T> | null;
  readonly #thing: Foreign<T>;
  readonly #half: number;
  readonly #onUndelivered: ((value: unknown) => void) | undefined;
  /** The send that waits. */
  #sending: SelectCase<void> | null = null;

  constructor(thing: Foreign<T>, half: number, onUndelivered?: (value: unknown) => void) {
    this.#thing = thing;
    this.#half = half;
    this.source = half === SENDS ? null : thing as Source<T>;
    this.#onUndelivered = onUndelivered;
  }

  get closed(): boolean {
    return this.#thing.closed === true;
  }

  put(value: T): boolean {
    try {
      if (!this.closed) return this.#thing.trySend?.(value) === true;
    } catch {
      // It passes the value on to somewhere where it cannot go.
    }
    this.undelivered(value);
    return true;
  }

  park(value: T, branch: Waiter): void {
    try {
      const { "~select": sending } = (this.#thing as Sender<T>).sending(value) as Selectable<void>;
      this.#sending = sending;
      sending.enlist(branch as SelectBranch<void>);
    } catch (error) {
      if (!branch.settled) branch.fail(error);
    }
  }

  unpark(branch: Waiter): void {
    this.#sending?.delist(branch as SelectBranch<void>);
  }

  close(reason: Reason): void {
    this.#thing.close?.(...reason);
  }

  cancel(reason: Reason): void {
    this.#thing.cancel?.(...reason);
  }

  undelivered(value: T): void {
    try {
      this.#onUndelivered?.(value);
    } catch (error) {
      reportUnhandled(error);
    }
  }

  giveBack(values: readonly T[]): void {
    for (const value of values) this.undelivered(value);
  }

  release(): void {
    // Its values cannot go on from where they were left. What sends as well may be shared.
    if (this.#half === RECEIVES) this.#thing.cancel?.();
  }

  watch(): void {}

  unwatch(): void {}
}
