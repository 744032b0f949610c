// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Every subscriber gets every value, each with a buffer and an overflow policy of its own.
 *
 * @module
 */

// Invariants
//  1. Sends are served one after the other: every subscriber sees one order.
//  2. A value goes to every subscription that is open when its turn has come.
//  3. #last holds the newest `replay` values, no more.
// Source: Kotlin's SharedFlow (replay, a policy per subscriber), tokio's broadcast (a slow one is told
// how many it missed). Not a channel: a channel gives each value once, and Kotlin's BroadcastChannel,
// which was one, had to go.

import { clock } from "./_kernel/clock.ts";
import { Ring } from "./_kernel/ring.ts";
import { WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";
import {
  Channel,
  type ChannelOptions,
  type Overflow,
  type Receiver,
  soleChunks,
} from "./channel.ts";
import { ChannelClosedError } from "./errors.ts";

/** Options of {@linkcode Broadcast.subscribe}. */
export type SubscribeOptions = Pick<ChannelOptions, "capacity" | "overflow" | "name">;

/**
 * The receiver of one subscriber. Leaving its loop, over `chunks` or a stream of it too, `cancel` and
 * `using` end the subscription.
 */
export interface Subscription<T> extends Receiver<T>, Disposable {
  /** How many values its drop policy has dropped. */
  readonly missed: number;
}

/**
 * Sends each value to every subscriber. With the policy `"wait"` a slow subscriber holds `send` back,
 * with a drop policy it misses values and its `missed` counts them.
 *
 * @example Two subscribers
 * ```ts
 * import { Broadcast } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const news = new Broadcast<string>({ replay: 1 });
 * await news.send("early");
 * using a = news.subscribe({ capacity: 2 });
 * using b = news.subscribe({ capacity: 1, overflow: "drop-oldest" });
 * await news.send("late");
 * assertEquals([await a.receive(), await a.receive()], ["early", "late"]);
 * assertEquals([await b.receive(), b.missed], ["late", 1]);
 * ```
 *
 * @typeParam T The type of the values.
 */
export class Broadcast<T> implements Disposable {
  /** The name, if one was given. */
  readonly name: string | undefined;
  readonly #replay: number;
  readonly #last: Ring<T> = new Ring<T>();
  readonly #subscriptions: Set<Subscriber<T>> = new Set();
  readonly #turns: WaitList = new WaitList(this as WaitOwner, "send");
  #sending = false;
  #closed: [reason?: unknown] | null = null;

  /**
   * Creates a broadcast.
   *
   * @param options `replay` is how many of the newest values a new subscriber gets first: an integer of
   * at least 0, which is the default. `name` is for messages and dumps.
   * @throws {RangeError} If `replay` is no integer >= 0.
   */
  constructor(options: { replay?: number | undefined; name?: string | undefined } = {}) {
    const { replay = 0, name } = options;
    if (!Number.isInteger(replay) || replay < 0) {
      throw new RangeError(
        `Cannot create broadcast: replay must be an integer >= 0, got ${replay}`,
      );
    }
    this.name = name;
    this.#replay = replay;
  }

  /**
   * Sends `value` to all who are subscribed. Parks while another send is under way, and while a
   * subscriber with the policy `"wait"` has no room. Cancelled before its turn it did not happen;
   * later, those that had room have the value and the others never get it.
   *
   * @throws {ChannelClosedError} If it is closed, or is closed before every subscriber has the value, which
   * is on the error.
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  async send(value: T, options?: WaitOptions): Promise<void> {
    const refused = refuse("send", options);
    if (refused !== null) return refused;
    if (this.#closed !== null) throw closedError(value);
    let rest = options;
    if (this.#sending) {
      const start = clock.on.now();
      await new Waiter<void>(value).park(this.#turns, options);
      if (options?.timeout != null) {
        rest = { ...options, timeout: Math.max(0, options.timeout - (clock.on.now() - start)) };
      }
    }
    this.#sending = true;
    try {
      if (this.#closed !== null) throw closedError(value);
      if (this.#replay > 0) {
        this.#last.push(value);
        if (this.#last.size > this.#replay) this.#last.shift();
      }
      const slow: Promise<void>[] = [];
      for (const subscriber of this.#subscriptions) {
        if (!subscriber.deliver(value)) {
          slow.push(
            subscriber.send(value, rest).catch((error) => {
              // A subscriber that left while it was waited for has no say.
              if (!(error instanceof ChannelClosedError && subscriber.closed)) throw error;
              if (this.#closed !== null) throw closedError(value);
            }),
          );
        }
      }
      // All, also if one fails: their limits differ by a hair, and until the last is over one may still
      // hand over.
      for (const end of await Promise.allSettled(slow)) {
        if (end.status === "rejected") throw end.reason;
      }
    } finally {
      this.#sending = false;
      // The turn is handed over: nobody can come between.
      const next = this.#turns.first;
      if (next !== null) {
        this.#sending = true;
        next.settle(undefined);
      }
    }
  }

  /**
   * Subscribes. The receiver first gets the newest `replay` values, for which its buffer is made large
   * enough. On a closed broadcast it ends after these.
   *
   * @param options Capacity (@default {0}) and overflow (@default {"wait"}) of its buffer.
   * @throws {RangeError} If the capacity is wrong; see {@linkcode Channel}.
   */
  subscribe(options: SubscribeOptions = {}): Subscription<T> {
    const { capacity = 0, overflow, name } = options;
    const room = Number.isInteger(capacity) &&
        capacity >= (overflow === undefined || overflow === "wait" ? 0 : 1)
      ? Math.max(capacity, this.#replay)
      : capacity;
    const subscriber = new Subscriber<T>(
      { capacity: room, overflow, name },
      (gone) => this.#subscriptions.delete(gone),
    );
    for (const value of this.#last) subscriber.trySend(value);
    if (this.#closed === null) this.#subscriptions.add(subscriber);
    else subscriber.close(...this.#closed);
    return subscriber;
  }

  /** Ends every subscription when it is drained, with `reason` if given. Returns whether this call closed it. */
  close(...reason: [reason?: unknown]): boolean {
    if (this.#closed !== null) return false;
    this.#closed = reason;
    for (let turn = this.#turns.first; turn !== null; turn = this.#turns.first) {
      turn.fail(closedError(turn.payload));
    }
    for (const subscriber of [...this.#subscriptions]) subscriber.close(...reason);
    return true;
  }

  /** How many are subscribed. */
  get subscribers(): number {
    return this.#subscriptions.size;
  }

  /** Whether it is closed. */
  get closed(): boolean {
    return this.#closed !== null;
  }

  /** "Broadcast". */
  get [Symbol.toStringTag](): string {
    return "Broadcast";
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** A channel that counts what it drops, and that its broadcast forgets when it is closed. */
class Subscriber<T> extends Channel<T> implements Subscription<T> {
  readonly #drops: { count: number };
  readonly #policy: Overflow;
  readonly #gone: (subscriber: Subscriber<T>) => void;

  constructor(options: ChannelOptions<T>, gone: (subscriber: Subscriber<T>) => void) {
    const drops = { count: 0 };
    super({ ...options, onUndelivered: () => drops.count++ });
    this.#drops = drops;
    this.#policy = options.overflow ?? "wait";
    this.#gone = gone;
  }

  get missed(): number {
    return this.#drops.count;
  }

  /** Sends `value` if that needs no wait: with a drop policy always. */
  deliver(value: T): boolean {
    if (this.trySend(value)) return true;
    if (this.#policy === "wait") return false;
    this.#drops.count++;
    return true;
  }

  override close(...reason: [reason?: unknown]): boolean {
    this.#gone(this);
    return super.close(...reason);
  }

  /** What is discarded on leaving was not missed. */
  override cancel(...reason: [reason?: unknown]): boolean {
    const missed = this.#drops.count;
    const closed = super.cancel(...reason);
    this.#drops.count = missed;
    return closed;
  }

  override [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this.values({ closeOnReturn: true });
  }

  override chunks(max?: number): AsyncIterableIterator<T[]> {
    return soleChunks(this, max);
  }

  override [Symbol.dispose](): void {
    this.cancel();
  }
}

function closedError(value: unknown): ChannelClosedError {
  return new ChannelClosedError("Cannot send to a closed broadcast", value);
}
