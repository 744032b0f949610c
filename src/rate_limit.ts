// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * At most so much per time: a token bucket in the shape of a semaphore.
 *
 * @module
 */

// Invariants
//  1. Tokens grow evenly with time, up to the size of the bucket; none is made by a timer.
//  2. Whoever waits first is served first: nobody waits while there are tokens for the first.
//  3. There is one timer, for the first waiter, exactly while somebody waits.

import { checkMs, clock, type Timer, type TimerTarget } from "./_kernel/clock.ts";
import {
  delist,
  enlist,
  NOTHING,
  type Selectable,
  type SelectCase,
  serve,
  serveAll,
} from "./_kernel/selectable.ts";
import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";

/** Options of {@linkcode RateLimit.acquire}. */
export interface RateAcquireOptions extends WaitOptions {
  /** How many tokens to take: an integer >= 1, at most the size of the bucket. @default {1} */
  weight?: number | undefined;
}

/** Options of {@linkcode rateLimit}. */
export interface RateLimitOptions {
  /** How many acquires per `per`, and the largest burst: an integer >= 1. */
  tokens: number;
  /** Milliseconds, > 0. */
  per: number;
  /** Name for messages and dumps. */
  name?: string | undefined;
}

/** What a rate limit gives: tokens are used up, so giving back does nothing. */
export interface RatePermit extends Disposable {
  /** How many tokens were taken. */
  readonly weight: number;
  /** Does nothing. */
  release(): void;
}

/**
 * A limit of `tokens` acquires per `per` milliseconds, with bursts up to `tokens`. The bucket is full at
 * the start. As a case of `select` one token is taken when it is chosen.
 *
 * @throws {RangeError} If `tokens` is no integer >= 1, or `per` is not above 0.
 *
 * @example Two at once, then evenly
 * ```ts
 * import { rateLimit } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const limit = rateLimit({ tokens: 2, per: 20 });
 * assertEquals([1, 2, 3].map(() => limit.tryAcquire() !== undefined), [true, true, false]);
 * await limit.acquire(); // about 10 ms later
 * ```
 */
export function rateLimit(options: RateLimitOptions): RateLimit {
  return new RateLimit(options);
}

/** What {@linkcode rateLimit} makes. */
export class RateLimit implements Selectable<RatePermit> {
  /** The name, if one was given. */
  readonly name: string | undefined;
  readonly #size: number;
  readonly #perToken: number;
  #tokens: number;
  #since: number = clock.on.now();
  #timer: Timer | null = null;
  readonly #waiters: WaitList = new WaitList(this, "acquire");
  readonly #watchers: WaitList = new WaitList(this, "wait for token");
  readonly #target: TimerTarget = {
    timeUp: () => {
      this.#timer = null;
      this.#serve();
    },
  };

  /** Makes a rate limit; {@linkcode rateLimit} does it shorter. */
  constructor({ tokens, per, name }: RateLimitOptions) {
    if (!Number.isInteger(tokens) || tokens < 1) {
      throw new RangeError(
        `Cannot create rate limit: tokens must be an integer >= 1, got ${tokens}`,
      );
    }
    checkMs("create rate limit", "per", per);
    if (per === 0 || per === Infinity) {
      throw new RangeError(`Cannot create rate limit: per must be above 0 and finite, got ${per}`);
    }
    this.name = name;
    this.#size = tokens;
    this.#tokens = tokens;
    this.#perToken = per / tokens;
  }

  /**
   * Takes tokens; parks until there are enough, behind those who came before. A cancelled acquire took
   * nothing.
   *
   * @throws {RangeError} If `options.weight` is no integer from 1 to the size of the bucket.
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  acquire(options?: RateAcquireOptions): Promise<RatePermit> {
    const refused = refuse("acquire", options);
    if (refused !== null) return refused;
    try {
      const permit = this.tryAcquire(options);
      if (permit !== undefined) return Promise.resolve(permit);
    } catch (error) {
      return Promise.reject(error);
    }
    const acquired = new Waiter<RatePermit>(options?.weight ?? 1).park(this.#waiters, options);
    this.#arm();
    return acquired;
  }

  /** Takes tokens if there are enough now and nobody came before; else gives `undefined`. */
  tryAcquire(options?: Pick<RateAcquireOptions, "weight">): RatePermit | undefined {
    const weight = options?.weight ?? 1;
    if (!Number.isInteger(weight) || weight < 1 || weight > this.#size) {
      throw new RangeError(
        `Cannot acquire: weight must be an integer from 1 to ${this.#size}, got ${weight}`,
      );
    }
    return this.#free(weight) ? this.#take(weight) : undefined;
  }

  /** How many whole tokens there are. */
  get value(): number {
    // What is a hair short by rounding is there.
    return Math.floor(this.#count() + 1e-9);
  }

  /** "RateLimit". */
  get [Symbol.toStringTag](): string {
    return "RateLimit";
  }

  /** The acquire of one token as a case of `select`. */
  get "~select"(): SelectCase<RatePermit> {
    return {
      ready: () => this.#free(1),
      take: () => ({ value: this.#take(1), done: false }),
      enlist: (branch) => {
        enlist(branch, this.#waiters, 1);
        this.#arm();
      },
      watch: (branch) => {
        if (this.#free(1)) return branch.settle(NOTHING as never);
        enlist(branch, this.#watchers);
        this.#arm();
      },
      delist,
    };
  }

  /** A waiter has left: the next one may be served earlier, or none is left. For the kernel. */
  "~waiterLeft"(): void {
    this.#serve();
  }

  #free(weight: number): boolean {
    return this.#waiters.first === null && this.#enough(weight);
  }

  /** Counts the tokens as of now. */
  #count(): number {
    const now = clock.on.now();
    // Another clock may show less, real time after virtual time: then it counts from there.
    const passed = Math.max(0, now - this.#since);
    this.#tokens = Math.min(this.#size, this.#tokens + passed / this.#perToken);
    this.#since = now;
    return this.#tokens;
  }

  /**
   * Whether there are `weight` tokens, or so nearly that the clock cannot tell the wait from none: a
   * timer for it would be due at once, again and again.
   */
  #enough(weight: number): boolean {
    return this.value >= weight ||
      this.#since + (weight - this.#tokens) * this.#perToken <= this.#since;
  }

  #take(weight: number): RatePermit {
    this.#tokens -= weight;
    return { weight, release() {}, [Symbol.dispose]() {} };
  }

  #serve(): void {
    for (let waiter = this.#waiters.first; waiter !== null; waiter = this.#waiters.first) {
      const weight = waiter.payload as number;
      // One that ends by the same abort or kill leaves in a moment, and then this is called again.
      if (!this.#enough(weight) || waiter.doomed) break;
      serve(waiter, this.#take(weight));
    }
    if (this.#free(1)) serveAll(this.#watchers, undefined);
    this.#arm();
  }

  /** Sets the timer for the first waiter, or stops it when nobody waits. */
  #arm(): void {
    if (this.#timer !== null) this.#timer.clock.clear(this.#timer);
    this.#timer = null;
    if (this.#waiters.first === null && this.#watchers.first === null) return;
    // As of now: who came while others waited has not counted them.
    const missing = (this.#waiters.first?.payload as number | undefined ?? 1) - this.#count();
    this.#timer = clock.on.set(this.#target, Math.max(0, missing * this.#perToken));
  }
}
