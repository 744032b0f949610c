// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Permits: at most so many at a time.
 *
 * @module
 */

// Invariants
//  1. Whoever waits first is served first, however much it wants: #value is less than the weight of the
//     first waiter. A large request at the head is not starved, a small one does not barge.
//  2. A permit goes back once.
//  3. A cancelled waiter took nothing, and those behind it are looked at again.
// Source: golang.org/x/sync/semaphore (weights, order), std's and TC39's permit objects.

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

/** Options of {@linkcode Semaphore.acquire}. */
export interface AcquireOptions extends WaitOptions {
  /** How much to take: an integer >= 1. @default {1} */
  weight?: number | undefined;
}

/** What was acquired, until it is released. */
export interface Permit extends Disposable {
  /** How much it holds. */
  readonly weight: number;
  /** Gives it back; a second call does nothing. */
  release(): void;
}

/**
 * A number of permits. `acquire` takes from it, releasing gives back; those who wait are served in
 * order of arrival, and a permit that is given back goes straight to them. As a case of `select` it is
 * acquired when chosen, and the value is the permit; `wait([semaphore])` only waits until one is free.
 *
 * @example At most two at a time
 * ```ts
 * import { joinAll, Semaphore, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const slots = new Semaphore(2);
 * let inside = 0, most = 0;
 * await joinAll([1, 2, 3, 4].map(() => spawn(async () => {
 *   using _permit = await slots.acquire();
 *   most = Math.max(most, ++inside);
 *   await sleep(1);
 *   inside--;
 * })));
 * assertEquals(most, 2);
 * ```
 */
export class Semaphore implements Selectable<Permit> {
  #value: number;
  readonly #bound: number;
  readonly #waiters: WaitList = new WaitList(this, "acquire");
  readonly #watchers: WaitList = new WaitList(this, "wait for permit");

  /**
   * Creates a semaphore with `permits` free permits.
   *
   * @param permits An integer >= 0. @default {1}
   * @param bound How many there may be at most: releasing more throws. @default {Infinity}
   * @throws {RangeError} If `permits` is no integer from 0 to `bound`.
   */
  constructor(permits = 1, bound: number = Infinity) {
    if (!Number.isInteger(permits) || permits < 0 || !(permits <= bound)) {
      throw new RangeError(
        `Cannot create semaphore: permits must be an integer >= 0, got ${permits}`,
      );
    }
    this.#value = permits;
    this.#bound = bound;
  }

  /**
   * Takes a permit; parks while there are too few, or others came before. A cancelled acquire took
   * nothing. The permit is disposable: `using permit = await semaphore.acquire()`.
   *
   * @throws {RangeError} If `options.weight` is no integer >= 1.
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  acquire(options?: AcquireOptions): Promise<Permit> {
    const refused = refuse("acquire", options);
    if (refused !== null) return refused;
    const weight = options?.weight ?? 1;
    try {
      this.#checkWeight(weight);
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#free(weight)) return Promise.resolve(this.#take(weight));
    return new Waiter<Permit>(weight).park(this.#waiters, options);
  }

  /** Takes a permit if that is possible at once and nobody came before; else gives `undefined`. */
  tryAcquire(options?: Pick<AcquireOptions, "weight">): Permit | undefined {
    const weight = options?.weight ?? 1;
    this.#checkWeight(weight);
    return this.#free(weight) ? this.#take(weight) : undefined;
  }

  /** Runs `fn` with a permit and gives it back, however `fn` ends. Options as for `acquire`. */
  async withPermit<T>(fn: () => T, options?: AcquireOptions): Promise<Awaited<T>> {
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot run with permit: fn must be a function, got ${typeof fn}`);
    }
    const permit = await this.acquire(options);
    try {
      return await fn();
    } finally {
      permit.release();
    }
  }

  /**
   * Adds `count` permits, and serves those who wait.
   *
   * @param count An integer >= 1. @default {1}
   * @throws {RangeError} If it is none, or more than the bound would be free.
   */
  release(count = 1): void {
    if (!Number.isInteger(count) || count < 1) {
      throw new RangeError(`Cannot release: count must be an integer >= 1, got ${count}`);
    }
    if (this.#value + count > this.#bound) {
      throw new RangeError(
        `Cannot release: at most ${this.#bound} permits must be free, got ${this.#value + count}`,
      );
    }
    this.#value += count;
    this["~waiterLeft"]();
  }

  /** How many permits are free. */
  get value(): number {
    return this.#value;
  }

  /** "Semaphore". */
  get [Symbol.toStringTag](): string {
    return "Semaphore";
  }

  /** The semaphore as a case of `select`: the acquire of one permit. */
  get "~select"(): SelectCase<Permit> {
    return {
      ready: () => this.#free(1),
      take: () => ({ value: this.#take(1), done: false }),
      enlist: (branch) => enlist(branch, this.#waiters, 1),
      watch: (branch) =>
        this.#free(1) ? branch.settle(NOTHING as never) : enlist(branch, this.#watchers),
      delist,
    };
  }

  /** Serves those for whom there is enough now, in order. For the kernel: a waiter may have left. */
  "~waiterLeft"(): void {
    for (let waiter = this.#waiters.first; waiter !== null; waiter = this.#waiters.first) {
      const weight = waiter.payload as number;
      // One that ends by the same abort or kill leaves in a moment, and then this is called again.
      if (weight > this.#value || waiter.doomed) return;
      serve(waiter, this.#take(weight));
    }
    if (this.#value > 0) serveAll(this.#watchers, undefined);
  }

  #checkWeight(weight: number): void {
    if (!Number.isInteger(weight) || weight < 1) {
      throw new RangeError(`Cannot acquire: weight must be an integer >= 1, got ${weight}`);
    }
    if (weight > this.#bound) {
      throw new RangeError(
        `Cannot acquire: weight must be at most the bound ${this.#bound}, got ${weight}`,
      );
    }
  }

  #free(weight: number): boolean {
    return this.#value >= weight && this.#waiters.first === null;
  }

  #take(weight: number): Permit {
    this.#value -= weight;
    return new HeldPermit(this, weight);
  }
}

/**
 * A {@linkcode Semaphore} that never holds more permits than it was made with.
 *
 * @example Releasing too much
 * ```ts
 * import { BoundedSemaphore } from "@baozi/baozi";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => new BoundedSemaphore(1).release(), RangeError);
 * ```
 */
export class BoundedSemaphore extends Semaphore {
  /** Creates it with `permits` free permits, its bound. @throws {RangeError} If it is no integer >= 0. */
  constructor(permits = 1) {
    super(permits, permits);
  }

  /** "BoundedSemaphore". */
  override get [Symbol.toStringTag](): string {
    return "BoundedSemaphore";
  }
}

class HeldPermit implements Permit {
  readonly weight: number;
  #semaphore: Semaphore | null;

  constructor(semaphore: Semaphore, weight: number) {
    this.#semaphore = semaphore;
    this.weight = weight;
  }

  release(): void {
    const semaphore = this.#semaphore;
    this.#semaphore = null;
    semaphore?.release(this.weight);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
