// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A generator that runs in a task of its own, behind a channel: it works ahead while its
 * consumer is busy, and stops when the consumer leaves.
 *
 * @module
 */

// Invariants
//  1. The channel is closed before the task ends: by the end of the generator, its error, or stop().
//  2. The task never fails: an error goes to the channel if that is open, else to who stops it.
//  3. A value that the generator yielded is received, or went to onUndelivered.
// Source: Kotlin's produce, Trio's as_safe_channel: a generator that is driven by its consumer would
// run in, and be killed with, whatever task happens to ask for the next value.

import { isIterable } from "./_kernel/items.ts";
import { END, LeavableIterator } from "./_kernel/leavable.ts";
import type { SelectCase } from "./_kernel/selectable.ts";
import { streamOf } from "./_kernel/stream.ts";
import { reportUnhandled } from "./_kernel/unhandled.ts";
import { refuse, type WaitOptions } from "./_kernel/waiter.ts";
import { Channel, type ChannelReceiveResult, type Receiver } from "./channel.ts";
import { KilledError } from "./errors.ts";
import { spawn } from "./spawn.ts";
import { currentTask, type Task, watchTask } from "./task.ts";

/** Options of {@linkcode produce}. */
export interface ProduceOptions<T = unknown> {
  /**
   * How many values the producer may be ahead, beside the one it waits to hand over: an integer >= 0.
   *
   * @default {0}
   */
  capacity?: number | undefined;
  /**
   * Called synchronously with each value that was yielded and that nobody will get, since the
   * consumer has left. What it throws goes to `onUnhandled`.
   */
  onUndelivered?: ((value: T) => void) | undefined;
  /** Name of the task and the channel, for messages and dumps. */
  name?: string | undefined;
}

/**
 * Runs a generator function in a task of its own and gives the receiver of what it yields. The task
 * starts at once, never synchronously, and works ahead as far as `capacity` allows.
 *
 * The receiver is meant for one consumer. Leaving a loop over it stops the producer: its waits are
 * killed, its `finally` blocks run, and the loop goes on only after them; that wait is shielded. So
 * do `cancel()`, which does not wait, disposal, cancelling its stream, and a kill that ends the loop.
 * Only an iterator made by `values({ closeOnReturn: false })` leaves it running. Clean-up of the
 * producer that must wait needs `shield`, as in every killed task. A value that was yielded
 * and not received by then goes to `onUndelivered`.
 *
 * An error of the producer is thrown to the receiver, after the values before it, and to nobody else; one
 * of its clean-up is thrown where the consumer waits for that.
 *
 * @param fn An async or sync generator function, or any function that gives an iterable.
 * @param options Capacity, name, `onUndelivered`.
 * @throws {TypeError} If `fn` is no function, or an option has the wrong type.
 * @throws {RangeError} If `capacity` is no integer >= 0.
 *
 * @example The producer ends with the loop
 * ```ts
 * import { produce } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const log: unknown[] = [];
 * const numbers = produce(async function* () {
 *   try {
 *     for (let n = 1;; n++) yield n;
 *   } finally {
 *     log.push("closed");
 *   }
 * });
 * for await (const n of numbers) {
 *   log.push(n);
 *   if (n === 2) break;
 * }
 * assertEquals(log, [1, 2, "closed"]);
 * ```
 */
export function produce<T>(
  fn: () => AsyncIterable<T> | Iterable<T>,
  options: ProduceOptions<T> = {},
): Receiver<T> & AsyncDisposable {
  if (typeof fn !== "function") {
    throw new TypeError(
      `Cannot produce: fn must be a function, got ${fn === null ? "null" : typeof fn}`,
    );
  }
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot produce: options must be an object, got ${String(options)}`);
  }
  const producer = new Producer<T>(options);
  producer.start(fn);
  return new ProducedReceiver<T>(producer);
}

/** Gets the failure of a {@linkcode Producer}; without an owner it goes to the consumer. */
export interface ProducerOwner {
  /** What the producer is killed with. */
  readonly reason: KilledError;
  /** The producer has failed, not being stopped. Called before its task ends. */
  producerFailed(error: unknown): void;
}

/** What can be told that nobody reads it any more. */
export interface Leavable {
  /** Resolves when its clean-up is done. */
  return(): Promise<unknown>;
}

/** Takes values, one at a time. */
export interface Sink<T> {
  /** Takes `value`; `false` if that is not possible at once. */
  trySend(value: T): boolean;
  /** Takes `value`; parks until that is possible. `false` if nobody wants more. */
  send(value: T): Promise<boolean>;
}

/** An iterable that can hand its values to a sink by itself, in the task of the caller: no iterator between. */
export interface Pushing<T> {
  /** Hands all values over, and leaves its input; `false` if it cannot, then it is iterated. */
  "~pushTo"(sink: Sink<T>): Promise<void> | false;
}

/** A task that drives an iterable into a channel; for {@linkcode produce} and `pipeline`. */
export class Producer<T> implements Sink<T> {
  /** What it produces. An owner closes it after a failure, else the producer does. */
  readonly channel: Channel<T>;
  readonly #options: ProduceOptions<T>;
  readonly #owner: ProducerOwner | null;
  #task: Task<void> | null = null;
  #stopReason: KilledError | null = null;
  #failed = false;
  #error: unknown = undefined;

  /** Creates it with its channel; nothing runs before {@linkcode Producer.start}. */
  constructor(options: ProduceOptions<T>, owner: ProducerOwner | null = null) {
    const { capacity, onUndelivered, name } = options;
    this.channel = new Channel<T>({ capacity, onUndelivered, name });
    this.#options = options;
    this.#owner = owner;
  }

  /**
   * Starts the task, which calls `open`, iterates over what that gives, and then leaves `input`, which
   * may not have been left: not every iterable ends what it reads.
   */
  start(open: () => AsyncIterable<T> | Iterable<T>, input?: Leavable): void {
    let began = false;
    const task = spawn({ name: this.#options.name }, () => {
      began = true;
      return this.#drive(open, input);
    });
    this.#task = task;
    // Who is killed before the first step has no clean-up, and its consumer would wait for ever.
    watchTask(task as Task, {
      taskEnded: () => {
        if (!began) this.#neverBegan(task.error, input);
      },
    });
  }

  /**
   * Kills the task and discards what is in the channel. Resolves when all clean-up is done; that wait
   * is shielded. Rejects, once, with the error of the clean-up.
   */
  stop(): Promise<void> {
    const ended = this.kill();
    this.channel.cancel();
    return ended;
  }

  /** {@linkcode stop} that leaves the channel as it is. */
  async kill(): Promise<void> {
    this.#stopReason ??= this.#owner?.reason ??
      new KilledError("Producer was stopped, since its consumer has left");
    await this.#task?.kill(this.#stopReason);
    if (!this.#failed) return;
    this.#failed = false;
    throw this.#error;
  }

  /** {@linkcode stop} for a caller that does not wait. */
  abandon(): void {
    this.stop().catch((error) => {
      // The reason itself means that the producer stops itself.
      if (error !== this.#stopReason) reportUnhandled(error);
    });
  }

  /** Whether the running code belongs to its task. */
  get runsHere(): boolean {
    return this.#task !== null && this.#task === currentTask();
  }

  /** Whether its task has ended, or was never started. */
  get ended(): boolean {
    return this.#task === null || this.#task.ready;
  }

  async #drive(open: () => AsyncIterable<T> | Iterable<T>, input?: Leavable): Promise<void> {
    let failed = false;
    let reason: unknown;
    try {
      await this.#iterate(open);
    } catch (error) {
      failed = true;
      reason = error;
    }
    try {
      await input?.return();
    } catch (error) {
      // What failed before is the cause of the clean-up.
      if (!failed || reason === this.#stopReason) reason = error;
      failed = true;
    }
    if (!failed) this.channel.close();
    else if (reason !== this.#stopReason) this.#fail(reason);
  }

  #neverBegan(reason: unknown, input: Leavable | undefined): void {
    input?.return().catch(reportUnhandled);
    if (reason !== this.#stopReason) this.#fail(reason);
  }

  async #iterate(open: () => AsyncIterable<T> | Iterable<T>): Promise<void> {
    const source = checkIterable<T>(open());
    const pushed = (source as Partial<Pushing<T>>)["~pushTo"]?.(this) ?? false;
    if (pushed !== false) return pushed;
    for await (const value of source) {
      // On false a return and not a throw: an error of the clean-up would be lost.
      if (!this.trySend(value) && !await this.send(value)) return;
    }
  }

  trySend(value: T): boolean {
    return this.channel.trySend(value);
  }

  async send(value: T): Promise<boolean> {
    try {
      await this.channel.send(value);
      return true;
    } catch (error) {
      this.undelivered(value);
      if (!this.channel.closed) throw error;
      return false;
    }
  }

  #fail(error: unknown): void {
    if (this.#stopReason === null) {
      if (this.#owner !== null) return this.#owner.producerFailed(error);
      if (this.channel.close(error)) return;
    }
    this.#failed = true;
    this.#error = error;
  }

  /** Tells of a value that nobody will get. */
  undelivered(value: T): void {
    try {
      this.#options.onUndelivered?.(value);
    } catch (error) {
      reportUnhandled(error);
    }
  }
}

/** The receiver whose iterators, stream and `cancel` stop the producer. */
class ProducedReceiver<T> implements Receiver<T>, AsyncDisposable {
  readonly #producer: Producer<T>;
  readonly #channel: Channel<T>;

  constructor(producer: Producer<T>) {
    this.#producer = producer;
    this.#channel = producer.channel;
  }

  receive(options?: WaitOptions): Promise<T> {
    return this.#channel.receive(options);
  }

  tryReceive(): ChannelReceiveResult<T> {
    return this.#channel.tryReceive();
  }

  values(
    options: { closeOnReturn?: boolean | undefined } = {},
  ): AsyncIterableIterator<T> {
    if (options.closeOnReturn === false) return this.#channel.values();
    return new ProducedIterator<T, T>(this.#producer, this.#channel.values(), true);
  }

  chunks(max?: number): AsyncIterableIterator<T[]> {
    return new ProducedIterator<T, T[]>(this.#producer, this.#channel.chunks(max), false);
  }

  toReadableStream(): ReadableStream<T> {
    return streamOf(this.values(), (value) => this.#producer.undelivered(value), () => {});
  }

  cancel(...reason: [reason?: unknown]): boolean {
    const closed = this.#channel.cancel(...reason);
    this.#producer.abandon();
    return closed;
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
    return "Receiver";
  }

  get "~select"(): SelectCase<T> {
    return this.#channel["~select"];
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this.values();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#producer.stop();
  }
}

/**
 * Iterates over a producer: values, or chunks of them. Whatever ends it stops the producer, and
 * waits for its clean-up. For {@linkcode produce} and `pipeline`.
 */
export class ProducedIterator<T, R> extends LeavableIterator<R> {
  readonly #producer: Producer<T>;
  readonly #inner: AsyncIterableIterator<R>;
  /** Whether it iterates over single values, which can be had without the inner iterator. */
  readonly #single: boolean;
  #left = false;

  // A loop does not call return() when next() rejects (by a kill, say), so next() cleans up itself.
  readonly #onRejected = async (error: unknown): Promise<never> => {
    this.#left = true;
    await this.#producer.stop();
    throw error;
  };

  /** Creates an iterator of `producer`; `inner` is the one of its channel. */
  constructor(producer: Producer<T>, inner: AsyncIterableIterator<R>, single: boolean) {
    super();
    this.#producer = producer;
    this.#inner = inner;
    this.#single = single;
  }

  /** The next value, or chunk. Rejected, it stops the producer first. */
  next(): Promise<IteratorResult<R, undefined>> {
    if (this.#left) return Promise.resolve(END);
    if (this.#single) {
      const refused = refuse("receive");
      if (refused !== null) return refused.then(undefined, this.#onRejected);
      const taken = this.#producer.channel.tryReceive();
      if (taken.state === "ok") {
        return Promise.resolve({ done: false, value: taken.value as unknown as R });
      }
    }
    return this.#inner.next().then(undefined, this.#onRejected);
  }

  /** Stops the producer and waits for its clean-up; a `next()` that waits ends at once. */
  async return(): Promise<IteratorResult<R, undefined>> {
    this.#left = true;
    await this.#producer.stop();
    return END;
  }
}

/** Passes on what can be iterated. */
function checkIterable<T>(candidate: unknown): AsyncIterable<T> | Iterable<T> {
  if (isIterable(candidate)) return candidate as AsyncIterable<T>;
  throw new TypeError(
    `Cannot produce: fn must return an iterable, got ${
      candidate === null ? "null" : typeof candidate
    }`,
  );
}
