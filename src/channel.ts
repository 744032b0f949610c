// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Typed channels: senders and receivers meet, first come first served, with a bounded buffer
 * between them. A drop-in superset of `Channel` in `@std/async`.
 *
 * @module
 */

// Invariants
//  1. A receiver waits only while the buffer is empty and no sender waits, a sender only while the
//     buffer is full: no barging. (One select may wait as both; it never meets itself.)
//  2. A value is in one place: with its sender, in the buffer, or handed to a receiver. Taking the
//     first waiter and settling it is one synchronous step, and it is final.
//  3. After close nobody waits. After cancel the buffer is empty too.
//  4. #reason counts only while #failed: undefined is a reason like any other.
// Source: Go's channels (direct hand-over), std's Channel (names, close), Kotlin's cancel and
// onUndeliveredElement. Dropped: an async generator as iterator, 2-3 times slower, and its return()
// hangs behind a pending next() which then eats a value.

import { runOutside } from "./_kernel/current.ts";
import { isIterable, itemsOf } from "./_kernel/items.ts";
import { END, LeavableIterator } from "./_kernel/leavable.ts";
import { Ring } from "./_kernel/ring.ts";
import {
  delist,
  enlist,
  type Selectable,
  type SelectBranch,
  type SelectCase,
  type Selected,
} from "./_kernel/selectable.ts";
import { streamOf } from "./_kernel/stream.ts";
import { reportUnhandled } from "./_kernel/unhandled.ts";
import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";
import { ChannelClosedError } from "./errors.ts";

/** What a waiting receiver wants to be settled with. */
const VALUE = 0;
const RESULT = 1;
const CHUNK = 2;
/** As RESULT and CHUNK, for a sole consumer. No value that a sender waits with can be one of these. */
const SOLE: unique symbol = Symbol("sole consumer");
const SOLE_CHUNK: unique symbol = Symbol("sole consumer of chunks");
type Mode = typeof RESULT | typeof CHUNK | typeof SOLE | typeof SOLE_CHUNK;

const SENT: Promise<void> = Promise.resolve();
const EMPTY: { readonly state: "empty" } = Object.freeze({ state: "empty" });
const CLOSED: { readonly state: "closed" } = Object.freeze({ state: "closed" });
const SENT_CASE: Selected<void> = Object.freeze({ value: undefined, done: false });
const CANNOT_SEND = "Cannot send to a closed channel";

/** What a full channel does with one more value: let its sender wait, or drop a value. */
export type Overflow = "wait" | "drop-oldest" | "drop-newest";

/** Options of a {@linkcode Channel}. */
export interface ChannelOptions<T = unknown> {
  /**
   * How many values the buffer holds: an integer >= 0. With `0` a send waits for its receiver
   * (rendezvous).
   *
   * @default {0}
   */
  capacity?: number | undefined;
  /**
   * What happens to one more value when the buffer is full. A drop policy needs a capacity >= 1, and
   * then `send` never waits.
   *
   * @default {"wait"}
   */
  overflow?: Overflow | undefined;
  /**
   * Called synchronously with each value that the channel took and nobody will get: dropped,
   * discarded by `cancel`, or pulled by a stream that was then cancelled. What it throws goes to
   * `onUnhandled`.
   */
  onUndelivered?: ((value: T) => void) | undefined;
  /** Name for messages and dumps. */
  name?: string | undefined;
}

/** What {@linkcode Channel.tryReceive} gives. */
export type ChannelReceiveResult<T> =
  | { state: "ok"; value: T }
  | { state: "empty" }
  | { state: "closed" };

/** The half of a channel that sends. */
export interface Sender<T> {
  /** Sends `value`; parks while the channel is full. */
  send(value: T, options?: WaitOptions): Promise<void>;
  /** Sends `value` if that is possible at once. */
  trySend(value: T): boolean;
  /** The send of `value` as a case of `select`. */
  sending(value: T): Selectable<void>;
  /** Closes: the buffer drains, then receivers end. */
  close(...reason: [reason?: unknown]): boolean;
  /** Whether it is closed. */
  readonly closed: boolean;
  /** How many values are in the buffer. */
  readonly size: number;
  /** How many values the buffer holds at most. */
  readonly capacity: number;
}

/** The half of a channel that receives. A case of `select` too. */
export interface Receiver<T> extends Selectable<T>, AsyncIterable<T> {
  /** Takes the next value; parks while there is none. */
  receive(options?: WaitOptions): Promise<T>;
  /** Takes the next value if there is one. */
  tryReceive(): ChannelReceiveResult<T>;
  /** Iterates; see {@linkcode Channel.values}. */
  values(options?: { closeOnReturn?: boolean | undefined }): AsyncIterableIterator<T>;
  /** Iterates over arrays of what is ready. */
  chunks(max?: number): AsyncIterableIterator<T[]>;
  /** A stream of the values. */
  toReadableStream(): ReadableStream<T>;
  /** Closes and discards what is in the buffer. */
  cancel(...reason: [reason?: unknown]): boolean;
  /** Whether it is closed; values may be left in the buffer. */
  readonly closed: boolean;
  /** How many values are in the buffer. */
  readonly size: number;
  /** How many values the buffer holds at most. */
  readonly capacity: number;
}

// What the iterators and the send case below may do with the private parts of a channel.
let nextOf: <T>(
  channel: Channel<T>,
  iterator: ChannelIterator<T, unknown>,
) => Promise<IteratorResult<unknown, undefined>>;
/** Whether a send would not have to wait. Only while open. */
export let canSend: <T>(channel: Channel<T>) => boolean;
/** Sends a value. Only while {@linkcode canSend} says so. */
export let sendNow: <T>(channel: Channel<T>, value: T) => void;
/** Where senders wait, each with its value as payload. */
export let sendersOf: <T>(channel: Channel<T>) => WaitList;

// What a channel that crosses to another thread needs besides.

/** Told, synchronously, how a channel ends. Must not throw. */
export interface EndWatcher {
  /** It was closed; nobody waits any more. Told once. */
  closed(): void;
  /** It was cancelled, perhaps after it was closed: its buffer is discarded. */
  cancelled(): void;
}

/** Lets `watcher` know of the end of a channel; {@linkcode unwatchEnd} ends that. */
export let watchEnd: <T>(channel: Channel<T>, watcher: EndWatcher) => void;
/** Ends {@linkcode watchEnd}. */
export let unwatchEnd: <T>(channel: Channel<T>, watcher: EndWatcher) => void;
/**
 * Puts values back that had been taken, before all others and in their order: who waits gets them, the
 * others stand in the buffer, be it over its capacity, and even if the channel is closed.
 */
export let putBack: <T>(channel: Channel<T>, values: readonly T[]) => void;
/** Tells `onUndelivered` of a value that nobody will get. */
export let undelivered: <T>(channel: Channel<T>, value: T) => void;
/** Says that its receivers are served by the host. Only before anybody waits. */
export let serveOutside: <T>(channel: Channel<T>) => void;

/**
 * A typed channel between concurrent tasks.
 *
 * - Values, senders and receivers are served in order of arrival; a freed slot or a sent value
 *   belongs to the one who waits longest, and no later call can take it.
 * - A value is never lost or doubled. Hand-over is final: a cancelled `receive` took nothing, a
 *   cancelled `send` did not happen.
 * - `undefined` and `null` are values like any other.
 * - Each value is received once. For every receiver to get every value there is `Broadcast`.
 * - In a killed task every verb that parks rejects before it does anything; `try…` works there too.
 * - A loop over values that are always ready lets timers and I/O wait; `sleep(0)` gives them a turn.
 *
 * @example Producer and consumer
 * ```ts
 * import { Channel } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const ch = new Channel<number>({ capacity: 4 });
 * const producer = (async () => {
 *   for (let i = 1; i <= 3; i++) await ch.send(i);
 *   ch.close();
 * })();
 * const got: number[] = [];
 * for await (const value of ch) got.push(value);
 * await producer;
 * assertEquals(got, [1, 2, 3]);
 * ```
 *
 * @typeParam T The type of the values.
 */
export class Channel<T> implements Sender<T>, Receiver<T>, Disposable, AsyncDisposable {
  /** Name for messages and dumps. */
  readonly name: string | undefined;
  #capacity: number;
  readonly #overflow: Overflow;
  readonly #onUndelivered: ((value: T) => void) | undefined;
  readonly #buffer: Ring<T> = new Ring<T>();
  readonly #senders: WaitList;
  #receivers: WaitList;
  #closed = false;
  #failed = false;
  #reason: unknown = undefined;
  #receiveCase: SelectCase<T> | undefined = undefined;
  /** Ends the source of a channel that is fed. */
  #endSource: (() => Promise<void>) | undefined = undefined;
  #watchers: Set<EndWatcher> | undefined = undefined;

  static {
    nextOf = (channel, iterator) => channel.#next(iterator);
    canSend = (channel) =>
      channel.#receivers.first !== null || channel.#buffer.size < channel.#capacity ||
      channel.#overflow !== "wait";
    sendNow = (channel, value) => {
      if (!channel.#put(value)) channel.#undelivered(value);
    };
    sendersOf = (channel) => channel.#senders;
    watchEnd = (channel, watcher) => (channel.#watchers ??= new Set()).add(watcher);
    unwatchEnd = (channel, watcher) => channel.#watchers?.delete(watcher);
    putBack = (channel, values) => channel.#putBack(values);
    undelivered = (channel, value) => channel.#undelivered(value);
    serveOutside = (channel) => {
      channel.#receivers = new WaitList(channel, "receive", true);
    };
  }

  /**
   * Creates a channel, by default a rendezvous.
   *
   * @throws {TypeError} If `options` is no object (for a number there is {@linkcode channel}), or one
   * of them has the wrong type.
   * @throws {RangeError} If `capacity` is no integer >= 0, or a drop policy has no buffer.
   */
  constructor(options: ChannelOptions<T> = {}) {
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `Cannot create channel: options must be an object, got ${
          String(options)
        }; channel(4) is the short form`,
      );
    }
    const { capacity = 0, overflow = "wait", onUndelivered, name } = options;
    if (typeof capacity !== "number") {
      throw new TypeError(
        `Cannot create channel: capacity must be a number, got ${typeof capacity}`,
      );
    }
    if (!Number.isInteger(capacity) || capacity < 0) {
      throw new RangeError(
        `Cannot create channel: capacity must be an integer >= 0, got ${capacity}` +
          (capacity === Infinity ? "; Channel.unbounded() has no bound" : ""),
      );
    }
    if (overflow !== "wait" && overflow !== "drop-oldest" && overflow !== "drop-newest") {
      throw new TypeError(
        `Cannot create channel: overflow must be "wait", "drop-oldest" or "drop-newest", got ${
          typeof overflow === "string" ? `"${overflow}"` : typeof overflow
        }`,
      );
    }
    if (overflow !== "wait" && capacity === 0) {
      throw new RangeError(
        `Cannot create channel: overflow "${overflow}" needs a capacity >= 1, got 0`,
      );
    }
    if (onUndelivered !== undefined && typeof onUndelivered !== "function") {
      throw new TypeError(
        `Cannot create channel: onUndelivered must be a function, got ${typeof onUndelivered}`,
      );
    }
    if (name !== undefined && typeof name !== "string") {
      throw new TypeError(`Cannot create channel: name must be a string, got ${typeof name}`);
    }
    this.#capacity = capacity;
    this.#overflow = overflow;
    this.#onUndelivered = onUndelivered;
    this.name = name;
    this.#senders = new WaitList(this, "send");
    this.#receivers = new WaitList(this, "receive");
  }

  /**
   * Creates a channel whose buffer has no bound: `send` never waits. For cyclic graphs, such as a
   * crawler that feeds itself; elsewhere a bound is what keeps memory flat.
   *
   * @example A crawler that feeds itself
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const pages = Channel.unbounded<string>();
   * for (const page of ["/a", "/b", "/c"]) pages.trySend(page);
   * assertEquals(pages.size, 3);
   * ```
   */
  static unbounded<T>(options: Pick<ChannelOptions<T>, "onUndelivered" | "name"> = {}): Channel<T> {
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `Cannot create channel: options must be an object, got ${String(options)}`,
      );
    }
    const channel = new Channel<T>({ onUndelivered: options.onUndelivered, name: options.name });
    channel.#capacity = Infinity;
    return channel;
  }

  /**
   * Creates a channel that is fed from `source`, one value at a time as there is room, and closed
   * when the source ends, with the error if it fails. Closing the channel ends the source
   * (`return()`); a value that was already pulled then goes to `onUndelivered`. The feed belongs to
   * no task: it lives as long as the channel is open.
   *
   * @throws {TypeError} If `source` is not iterable.
   *
   * @example A list as a channel
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const ch = Channel.from(["a", "b"]);
   * assertEquals(await ch.receive(), "a");
   * assertEquals(await ch.receive(), "b");
   * ```
   */
  static from<T>(source: Iterable<T> | AsyncIterable<T>, options?: ChannelOptions<T>): Channel<T> {
    if (!isIterable(source)) {
      throw new TypeError(`Cannot create channel: source must be iterable, got ${typeof source}`);
    }
    const channel = new Channel<T>(options);
    void runOutside(feed, channel, source);
    return channel;

    async function feed(
      channel: Channel<T>,
      source: Iterable<T> | AsyncIterable<T>,
    ): Promise<void> {
      let ended = false;
      try {
        const iterator = itemsOf<T>(source)[Symbol.asyncIterator]();
        // Not `for await`: a source that gives nothing must end with the channel all the same.
        channel.#endSource = async (): Promise<void> => {
          if (ended) return;
          ended = true;
          try {
            await iterator.return?.();
          } catch (error) {
            reportUnhandled(error);
          }
        };
        for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
          const { value } = next;
          if (channel.#closed) return channel.#undelivered(value);
          if (channel.#put(value)) continue;
          if (channel.#overflow === "drop-newest") {
            channel.#undelivered(value);
            continue;
          }
          try {
            await new Waiter<void>(value).parkFor(null, channel.#senders);
          } catch {
            return channel.#undelivered(value); // closed while it waited
          }
        }
        ended = true;
        channel.close();
      } catch (error) {
        ended = true;
        if (!channel.close(error)) reportUnhandled(error);
      }
    }
  }

  /**
   * Sends `value`. Resolves when it is in the buffer or handed to a receiver; parks while the channel
   * is full, behind the senders that came before. A cancelled send did not happen: the value stays
   * the caller's. With a drop policy it never parks.
   *
   * @throws {ChannelClosedError} If the channel is closed, or is closed or cancelled while it waits;
   * `value` is on the error.
   * @throws {TimeoutError} If `options.timeout` is over first.
   *
   * @example The second send waits for room
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const ch = new Channel<string>({ capacity: 1 });
   * await ch.send("a");
   * const second = ch.send("b");
   * assertEquals(await ch.receive(), "a");
   * await second;
   * ```
   */
  send(value: T, options?: WaitOptions): Promise<void> {
    const refused = refuse("send", options);
    if (refused !== null) return refused;
    if (this.#closed) return Promise.reject(new ChannelClosedError(CANNOT_SEND, value));
    if (this.#put(value)) return SENT;
    if (this.#overflow === "drop-newest") {
      this.#undelivered(value);
      return SENT;
    }
    return new Waiter<void>(value).park(this.#senders, options);
  }

  /**
   * Sends `value` if that is possible at once. `false` if the channel is full or closed, or drops the
   * newest: the value stays the caller's. Never parks, never throws.
   *
   * @example Full
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const ch = new Channel<number>({ capacity: 1 });
   * assertEquals([ch.trySend(1), ch.trySend(2)], [true, false]);
   * ```
   */
  trySend(value: T): boolean {
    return !this.#closed && this.#put(value);
  }

  /**
   * The send of `value` as a case of `select`. The value is sent only if the case is chosen.
   *
   * @example A case that a select can take
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assert } from "@std/assert";
   *
   * const ch = new Channel<number>({ capacity: 1 });
   * const sends = ch.sending(1); // select({ out: ch.sending(1), … })
   * assert(sends && ch.size === 0);
   * ```
   */
  sending(value: T): Selectable<void> {
    return { "~select": new SendCase<T>(this, value) };
  }

  /**
   * Takes the next value. Parks while there is none, behind the receivers that came before. A
   * cancelled receive took nothing. Of a channel of promises or tasks it gives their results, as
   * every promise does; iteration and {@linkcode Channel.tryReceive} hand them over as they are.
   *
   * @throws {ChannelClosedError} If the channel is closed and drained, or becomes so.
   * @throws The reason, if the channel was closed with one.
   * @throws {TimeoutError} If `options.timeout` is over first.
   *
   * @example A value, or the time is over
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const ch = new Channel<number>({ capacity: 1 });
   * await ch.send(42);
   * assertEquals(await ch.receive({ timeout: 1000 }), 42);
   * ```
   */
  receive(options?: WaitOptions): Promise<T> {
    const refused = refuse("receive", options);
    if (refused !== null) return refused;
    if (this.#ready) return Promise.resolve(this.#take());
    if (this.#closed) return Promise.reject(this.#closeError());
    return new Waiter<T>(VALUE).park(this.#receivers, options);
  }

  /**
   * Takes the next value if there is one, as `{ state: "ok", value }`; else says whether the channel
   * is `"empty"` or `"closed"`. Never parks, never throws.
   *
   * @example The three states
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const ch = new Channel<number>({ capacity: 1 });
   * await ch.send(42);
   * assertEquals(ch.tryReceive(), { state: "ok", value: 42 });
   * assertEquals(ch.tryReceive(), { state: "empty" });
   * ch.close();
   * assertEquals(ch.tryReceive(), { state: "closed" });
   * ```
   */
  tryReceive(): ChannelReceiveResult<T> {
    if (this.#ready) return { state: "ok", value: this.#take() };
    return this.#closed ? CLOSED : EMPTY;
  }

  /**
   * Ends the channel in order: what is in the buffer can still be received, senders that wait reject
   * with their value, later ones too. Then receivers end, or reject with `reason` if one is given
   * (`undefined` counts as one). Returns whether this call closed it; a second call changes nothing.
   *
   * @example The buffer drains
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const ch = new Channel<number>({ capacity: 1 });
   * await ch.send(1);
   * assertEquals([ch.close(), ch.close()], [true, false]);
   * assertEquals(await ch.receive(), 1);
   * ```
   */
  close(...reason: [reason?: unknown]): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    if (reason.length > 0) {
      this.#failed = true;
      this.#reason = reason[0];
    }
    for (let sender = this.#senders.first; sender !== null; sender = this.#senders.first) {
      sender.fail(new ChannelClosedError(CANNOT_SEND, sender.payload));
    }
    for (
      let receiver = this.#receivers.first;
      receiver !== null;
      receiver = this.#receivers.first
    ) {
      if (receiver.payload === VALUE || this.#failed) receiver.fail(this.#closeError());
      else receiver.settle(END);
    }
    void this.#endSource?.();
    this.#endSource = undefined;
    if (this.#watchers !== undefined) {
      for (const watcher of [...this.#watchers]) {
        watcher.closed();
      }
    }
    return true;
  }

  /**
   * Ends the channel at once: as {@linkcode Channel.close}, and what is in the buffer goes to
   * `onUndelivered`. After `close()` it discards what is left. Returns whether this call closed it.
   *
   * @example Nobody wants the rest
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const left: number[] = [];
   * const ch = new Channel<number>({ capacity: 2, onUndelivered: (value) => left.push(value) });
   * await ch.send(1);
   * ch.cancel();
   * assertEquals([left, ch.tryReceive()], [[1], { state: "closed" }]);
   * ```
   */
  cancel(...reason: [reason?: unknown]): boolean {
    const closed = this.close(...reason);
    while (this.#buffer.size > 0) this.#undelivered(this.#buffer.shift());
    if (this.#watchers !== undefined) {
      for (const watcher of [...this.#watchers]) watcher.cancelled();
    }
    return closed;
  }

  /**
   * Iterates over the values until the channel is closed and drained; throws the reason if it was
   * closed with one. Leaving the loop early loses nothing and leaves the channel open, since others
   * may share it; with `closeOnReturn` it is cancelled, for a sole consumer, also by a kill or a limit
   * that ends the loop. Each iterator takes values of its own. `return()` settles a `next()` that waits.
   *
   * @example The sole consumer cancels on leaving
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assert } from "@std/assert";
   *
   * const ch = Channel.from([1, 2, 3]);
   * for await (const value of ch.values({ closeOnReturn: true })) {
   *   if (value === 2) break;
   * }
   * assert(ch.closed);
   * ```
   */
  values(options: { closeOnReturn?: boolean | undefined } = {}): AsyncIterableIterator<T> {
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `Cannot iterate channel: options must be an object, got ${String(options)}`,
      );
    }
    return new ChannelIterator<T, T>(this, options.closeOnReturn === true ? SOLE : RESULT, 1);
  }

  /**
   * Iterates over non-empty arrays of what is ready, at most `max` values each, those of waiting
   * senders included. The fast lane: one `await` moves many values. Leaving early loses nothing.
   *
   * @throws {RangeError} If `max` is no integer >= 1.
   *
   * @example Three at once
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const ch = new Channel<number>({ capacity: 8 });
   * for (const value of [1, 2, 3]) ch.trySend(value);
   * ch.close();
   * for await (const chunk of ch.chunks()) assertEquals(chunk, [1, 2, 3]);
   * ```
   */
  chunks(max = 1024): AsyncIterableIterator<T[]> {
    return chunksOf(this, CHUNK, max);
  }

  /**
   * A stream of the values. It takes one only when it is read: nothing is prefetched. It closes when
   * the channel is closed and drained, and fails with the reason if there is one. Cancelling the
   * stream closes the channel with the reason; a value just taken for it goes to `onUndelivered`.
   *
   * @example As a stream
   * ```ts
   * import { Channel } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const reader = Channel.from(["a"]).toReadableStream().getReader();
   * assertEquals(await reader.read(), { done: false, value: "a" });
   * assertEquals((await reader.read()).done, true);
   * ```
   */
  toReadableStream(): ReadableStream<T> {
    return streamOf(
      this[Symbol.asyncIterator](), // that of a sole consumer, in a subclass
      (value) => this.#undelivered(value),
      (reason) => reason === undefined ? this.close() : this.close(reason),
    );
  }

  /** Whether the channel is closed; values may be left in the buffer. */
  get closed(): boolean {
    return this.#closed;
  }

  /** How many values are in the buffer. */
  get size(): number {
    return this.#buffer.size;
  }

  /** How many values the buffer holds at most: 0 is a rendezvous, `Infinity` has no bound. */
  get capacity(): number {
    return this.#capacity;
  }

  /** "Channel". */
  get [Symbol.toStringTag](): string {
    return "Channel";
  }

  /** The channel as a case of `select`: the receive of its next value. */
  get "~select"(): SelectCase<T> {
    return this.#receiveCase ??= {
      ready: () => this.#ready || this.#closed,
      ended: () => this.#closed && !this.#failed && !this.#ready,
      take: () => {
        if (this.#ready) return { value: this.#take(), done: false };
        if (this.#failed) throw this.#reason;
        return { value: undefined as T, done: true };
      },
      enlist: (branch) => enlist(branch, this.#receivers, RESULT),
      delist,
    };
  }

  /** Iterates over the values; see {@linkcode Channel.values}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new ChannelIterator<T, T>(this, RESULT, 1);
  }

  /** For the kernel. A loop does not call `return()` when its `next()` is killed. */
  "~waiterLeft"({ payload }: { readonly payload: unknown }): void {
    // Not at once: others that the same kill is about to end must meet the kill, and not a closed channel.
    if (isSole(payload)) queueMicrotask(() => this.cancel());
  }

  /** Closes the channel. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Closes the channel. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return SENT;
  }

  /** Whether a value can be taken at once. */
  get #ready(): boolean {
    return this.#buffer.size > 0 || this.#senders.first !== null;
  }

  /** Takes a value, and lets the first waiting sender into the freed slot. Only when ready. */
  #take(): T {
    if (this.#buffer.size === 0) return settleSender<T>(this.#senders);
    const value = this.#buffer.shift();
    // The buffer may hold more than its capacity, after values were put back.
    if (this.#senders.first !== null && this.#buffer.size < this.#capacity) this.#admit();
    return value;
  }

  /** Takes up to `max` values at once. Only when ready. */
  #takeMany(max: number): T[] {
    const values = this.#buffer.take(Math.min(max, this.#buffer.size));
    while (values.length < max && this.#ready) values.push(this.#take());
    while (this.#senders.first !== null && this.#buffer.size < this.#capacity) this.#admit();
    return values;
  }

  /** Lets the first waiting sender into a free slot. */
  #admit(): void {
    const sender = this.#senders.first!;
    // The value first: a branch, once it is settled, may send the next one at once.
    this.#buffer.push(sender.payload as T);
    sender.settle(sender.group === null ? undefined : SENT_CASE);
  }

  /** Hands `value` over or buffers it; `false` if it would have to wait. Only while open. */
  #put(value: T): boolean {
    const receiver = this.#receivers.first;
    if (receiver !== null) {
      const { payload } = receiver;
      if (payload === VALUE) receiver.settle(value);
      else receiver.settle({ done: false, value: isChunk(payload) ? [value] : value });
      return true;
    }
    if (this.#buffer.size < this.#capacity) {
      this.#buffer.push(value);
      return true;
    }
    if (this.#overflow !== "drop-oldest") return false;
    const oldest = this.#buffer.shift();
    this.#buffer.push(value);
    this.#undelivered(oldest);
    return true;
  }

  #putBack(values: readonly T[]): void {
    let at = 0;
    for (let waits = this.#receivers.first; waits !== null && at < values.length; at++) {
      this.#put(values[at]!);
      waits = this.#receivers.first;
    }
    const later = this.#buffer.take(this.#buffer.size);
    for (; at < values.length; at++) this.#buffer.push(values[at]!);
    for (const value of later) this.#buffer.push(value);
  }

  #next(iterator: ChannelIterator<T, unknown>): Promise<IteratorResult<unknown, undefined>> {
    const refused = refuse("receive");
    if (refused !== null) {
      if (isSole(iterator.mode)) this.cancel();
      return refused;
    }
    if (this.#ready) {
      const value = isChunk(iterator.mode) ? this.#takeMany(iterator.max) : this.#take();
      return Promise.resolve({ done: false, value });
    }
    if (this.#closed) return this.#failed ? Promise.reject(this.#reason) : Promise.resolve(END);
    const waiter = new Waiter<IteratorResult<unknown, undefined>>(iterator.mode);
    iterator.parked(waiter);
    return waiter.park(this.#receivers);
  }

  #undelivered(value: T): void {
    try {
      this.#onUndelivered?.(value);
    } catch (error) {
      reportUnhandled(error);
    }
  }

  /** What a receive of the closed channel rejects with: the reason, else one error for all. */
  #closeError(): unknown {
    if (!this.#failed) {
      this.#reason ??= new ChannelClosedError("Cannot receive from a closed channel");
    }
    return this.#reason;
  }
}

/** Serves the first waiting sender and gives its value. */
function settleSender<T>(senders: WaitList): T {
  const sender = senders.first!;
  const value = sender.payload as T;
  // A branch of a select wants what the case gives.
  sender.settle(sender.group === null ? undefined : SENT_CASE);
  return value;
}

/** The send case of a select. */
class SendCase<T> implements SelectCase<void> {
  readonly #channel: Channel<T>;
  readonly #value: T;

  constructor(channel: Channel<T>, value: T) {
    this.#channel = channel;
    this.#value = value;
  }

  ready(): boolean {
    return this.#channel.closed || canSend(this.#channel);
  }

  take(): Selected<void> {
    if (this.#channel.closed) throw new ChannelClosedError(CANNOT_SEND, this.#value);
    sendNow(this.#channel, this.#value);
    return SENT_CASE;
  }

  enlist(branch: SelectBranch): void {
    enlist(branch, sendersOf(this.#channel), this.#value);
  }

  delist(branch: SelectBranch): void {
    delist(branch);
  }
}

/** {@linkcode Channel.chunks} for a sole consumer: however the loop is left, the channel is cancelled. */
export function soleChunks<T>(channel: Channel<T>, max = 1024): AsyncIterableIterator<T[]> {
  return chunksOf(channel, SOLE_CHUNK, max);
}

function chunksOf<T>(channel: Channel<T>, mode: Mode, max: number): AsyncIterableIterator<T[]> {
  if (typeof max !== "number") {
    throw new TypeError(`Cannot iterate chunks: max must be a number, got ${typeof max}`);
  }
  if (!Number.isInteger(max) || max < 1) {
    throw new RangeError(`Cannot iterate chunks: max must be an integer >= 1, got ${max}`);
  }
  return new ChannelIterator<T, T[]>(channel, mode, max);
}

function isSole(mode: unknown): boolean {
  return mode === SOLE || mode === SOLE_CHUNK;
}

function isChunk(mode: unknown): boolean {
  return mode === CHUNK || mode === SOLE_CHUNK;
}

/** Iterates over a channel: values, or chunks of them. */
class ChannelIterator<T, R> extends LeavableIterator<R> {
  readonly mode: Mode;
  readonly max: number;
  readonly #channel: Channel<T>;
  #returned = false;
  /** The `next()` calls that wait; ended ones are dropped when the next one parks. */
  #waiting: Waiter | null = null;
  #more: Waiter[] | null = null;

  constructor(channel: Channel<T>, mode: Mode, max: number) {
    super();
    this.#channel = channel;
    this.mode = mode;
    this.max = max;
  }

  next(): Promise<IteratorResult<R, undefined>> {
    if (this.#returned) return Promise.resolve(END);
    return nextOf(this.#channel, this) as Promise<IteratorResult<R, undefined>>;
  }

  /** Settles every `next()` that waits as done; the channel keeps its values. */
  return(): Promise<IteratorResult<R, undefined>> {
    this.#returned = true;
    const waiting = this.#more === null ? [] : this.#more;
    if (this.#waiting !== null) waiting.unshift(this.#waiting);
    this.#waiting = null;
    this.#more = null;
    for (const waiter of waiting) if (!waiter.settled) waiter.settle(END);
    if (isSole(this.mode)) this.#channel.cancel();
    return Promise.resolve(END);
  }

  /** Remembers a `next()` that is about to wait. */
  parked(waiter: Waiter): void {
    if (this.#waiting === null || this.#waiting.settled) {
      this.#waiting = waiter;
      return;
    }
    if (this.#more === null) this.#more = [];
    else if (this.#more[0]!.settled) this.#more = this.#more.filter((other) => !other.settled);
    this.#more.push(waiter);
  }
}

/**
 * Creates a channel; the short form of {@linkcode Channel}'s constructor.
 *
 * @param options Its capacity, an integer >= 0, or all its options.
 * @throws {TypeError} If `options` is neither.
 * @throws {RangeError} If the capacity is no integer >= 0.
 *
 * @example Four values
 * ```ts
 * import { channel } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(channel<string>(4).capacity, 4);
 * ```
 */
export function channel<T>(options?: number | ChannelOptions<T>): Channel<T> {
  return new Channel<T>(typeof options === "number" ? { capacity: options } : options);
}
