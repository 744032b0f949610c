// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Channels whose home is in another thread, as they are used here.
 *
 * @module
 */

// Its own buffer is a rendezvous: values that have come wait as a sender does, so that receive, select
// and the iterators are the channel's own, and each value taken is known at once.

import type { Selectable, SelectCase } from "../_kernel/selectable.ts";
import type { WaitOptions } from "../_kernel/waiter.ts";
import {
  canSend,
  Channel,
  type ChannelReceiveResult,
  type Receiver,
  type Sender,
  serveOutside,
} from "../channel.ts";
import type { FarEnd } from "./far_end.ts";

let endOf: (channel: CrossedChannel<unknown>) => FarEnd<unknown>;
const halves: WeakMap<object, CrossedChannel<unknown>> = new WeakMap();

/** The far end of a crossed channel or half; `undefined` for anything else. */
export function farEndOf(thing: object): FarEnd<unknown> | undefined {
  if (thing instanceof CrossedChannel) return endOf(thing);
  const channel = halves.get(thing);
  return channel && endOf(channel);
}

/**
 * A channel of another thread. It is used as any other, but for what the distance makes of it:
 *
 * - A send has happened when the value is on its way; so many values at most are on their way, or wait at
 *   home, as the channel has capacity. A value that arrives at a closed channel is told of as undelivered.
 * - The first receive asks for values, so `tryReceive` finds nothing at first.
 * - A value that cannot be posted is refused by `send`, `trySend` and `select`.
 * - It ends with the call that it was passed to.
 */
export class CrossedChannel<T> extends Channel<T> {
  readonly #end: FarEnd<T>;

  static {
    endOf = (channel) => channel.#end;
  }

  constructor(
    end: FarEnd<T>,
    name: string | undefined,
    onUndelivered: ((value: unknown) => void) | undefined,
  ) {
    super({ name, onUndelivered });
    serveOutside(this);
    this.#end = end;
  }

  override send(value: T, options?: WaitOptions): Promise<void> {
    return this.#end.outbox.send(value, options);
  }

  /** @throws {NotTransferableError} If the value cannot be posted. */
  override trySend(value: T): boolean {
    return this.#end.outbox.trySend(value);
  }

  override sending(value: T): Selectable<void> {
    return this.#end.outbox.sending(value);
  }

  override receive(options?: WaitOptions): Promise<T> {
    const received = super.receive(options);
    if (canSend(this)) this.#end.demand(); // it waits
    return received;
  }

  override tryReceive(): ChannelReceiveResult<T> {
    this.#end.demand();
    return super.tryReceive();
  }

  override close(...reason: [reason?: unknown]): boolean {
    return this.#end.close(reason);
  }

  override cancel(...reason: [reason?: unknown]): boolean {
    return this.#end.cancel(reason);
  }

  override values(options?: { closeOnReturn?: boolean | undefined }): AsyncIterableIterator<T> {
    this.#end.demand();
    return super.values(options);
  }

  override chunks(max?: number): AsyncIterableIterator<T[]> {
    this.#end.demand();
    return super.chunks(max);
  }

  override get closed(): boolean {
    return this.#end.closed;
  }

  /** How many values have come and were not received. */
  override get size(): number {
    return this.#end.size;
  }

  /** That of the channel at home. */
  override get capacity(): number {
    return this.#end.capacity;
  }

  override get "~select"(): SelectCase<T> {
    this.#end.demand();
    return super["~select"];
  }

  override [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    this.#end.demand();
    return super[Symbol.asyncIterator]();
  }
}

/** The receiving half of one. */
export class CrossedReceiver<T> implements Receiver<T> {
  readonly #channel: CrossedChannel<T>;

  constructor(channel: CrossedChannel<T>) {
    this.#channel = channel;
    halves.set(this, channel as CrossedChannel<unknown>);
  }

  receive(options?: WaitOptions): Promise<T> {
    return this.#channel.receive(options);
  }

  tryReceive(): ChannelReceiveResult<T> {
    return this.#channel.tryReceive();
  }

  values(options?: { closeOnReturn?: boolean | undefined }): AsyncIterableIterator<T> {
    return this.#channel.values(options);
  }

  chunks(max?: number): AsyncIterableIterator<T[]> {
    return this.#channel.chunks(max);
  }

  toReadableStream(): ReadableStream<T> {
    return this.#channel.toReadableStream();
  }

  cancel(...reason: [reason?: unknown]): boolean {
    return this.#channel.cancel(...reason);
  }

  get closed(): boolean {
    return this.#channel.closed;
  }

  get size(): number {
    return this.#channel.size;
  }

  get capacity(): number {
    return this.#channel.capacity;
  }

  get "~select"(): SelectCase<T> {
    return this.#channel["~select"];
  }

  get [Symbol.toStringTag](): string {
    return "Receiver";
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this.#channel[Symbol.asyncIterator]();
  }
}

/** The sending half of one. */
export class CrossedSender<T> implements Sender<T> {
  readonly #channel: CrossedChannel<T>;

  constructor(channel: CrossedChannel<T>) {
    this.#channel = channel;
    halves.set(this, channel as CrossedChannel<unknown>);
  }

  send(value: T, options?: WaitOptions): Promise<void> {
    return this.#channel.send(value, options);
  }

  /** @throws {NotTransferableError} If the value cannot be posted. */
  trySend(value: T): boolean {
    return this.#channel.trySend(value);
  }

  sending(value: T): Selectable<void> {
    return this.#channel.sending(value);
  }

  close(...reason: [reason?: unknown]): boolean {
    return this.#channel.close(...reason);
  }

  get closed(): boolean {
    return this.#channel.closed;
  }

  get size(): number {
    return this.#channel.size;
  }

  get capacity(): number {
    return this.#channel.capacity;
  }

  get [Symbol.toStringTag](): string {
    return "Sender";
  }
}
