// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Time as a case of `select`: once, and again and again.
 *
 * @module
 */

import { checkMs, clock, type Timer, type TimerTarget } from "./_kernel/clock.ts";
import { END } from "./_kernel/leavable.ts";
import { NEXT, PullIterator } from "./_kernel/pull_iterator.ts";
import {
  delist,
  enlist,
  NOTHING,
  type Selectable,
  type SelectBranch,
  type SelectCase,
  type Selected,
} from "./_kernel/selectable.ts";
import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";

/**
 * A case that is chosen `ms` milliseconds after the select that lists it began. Any ready case beats
 * `after(0)`. It may be listed again and again, and starts anew each time.
 *
 * @param ms Milliseconds, >= 0; `Infinity` is never.
 * @throws {RangeError} If `ms` is negative or NaN.
 *
 * @example A limit on waiting
 * ```ts
 * import { after, Channel, select } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const quiet = new Channel<string>();
 * assertEquals((await select({ quiet, late: after(5) })).key, "late");
 * ```
 */
export function after(ms: number): Selectable<void> {
  checkMs("wait after", "ms", ms);
  return { "~select": new After(ms) };
}

const AFTER = new WaitList({ [Symbol.toStringTag]: "after" }, "after");

class After implements SelectCase<void> {
  readonly #ms: number;

  constructor(ms: number) {
    this.#ms = ms;
  }

  ready(): boolean {
    return false;
  }

  take(): Selected<void> {
    return NOTHING;
  }

  enlist(branch: SelectBranch<void>): void {
    const target: TimerTarget = { timeUp: () => branch.settle(this.take()) };
    enlist(branch, AFTER, clock.on.set(target, this.#ms));
  }

  delist(branch: SelectBranch<void>): void {
    const timer = (branch as Waiter).payload as Timer;
    timer.clock.clear(timer);
    delist(branch);
  }

  watch(branch: SelectBranch<void>): void {
    this.enlist(branch);
  }
}

/**
 * A ticker: due every `ms` milliseconds, counted from when it was made. Ticks that nobody took
 * coalesce into one, so it never bursts after a stall; the value is how many intervals that one stands
 * for. It has a timer only while somebody waits: one that is forgotten keeps nothing alive.
 *
 * @param ms Milliseconds, > 0.
 * @throws {RangeError} If `ms` is not above 0, or `Infinity`.
 *
 * @example Three ticks
 * ```ts
 * import { every } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * using ticks = every(5);
 * let count = 0;
 * for await (const _ of ticks) {
 *   if (++count === 3) break;
 * }
 * assertEquals(count, 3);
 * ```
 */
export function every(ms: number): Ticker {
  return new Ticker(ms);
}

/** What {@linkcode every} makes. */
export class Ticker implements Selectable<number>, AsyncIterable<number>, Disposable {
  readonly #ms: number;
  readonly #list: WaitList = new WaitList(this, "tick");
  #start: number = clock.on.now();
  #timer: Timer | null = null;
  #taken = 0;
  #ended = false;

  /** Makes a ticker; {@linkcode every} does it shorter. */
  constructor(ms: number) {
    checkMs("tick every", "ms", ms);
    if (ms === 0 || ms === Infinity) {
      throw new RangeError(`Cannot tick every: ms must be above 0 and finite, got ${ms}`);
    }
    this.#ms = ms;
  }

  /**
   * Waits for the next tick; at once if one is due. Resolves to how many intervals it stands for, or
   * `undefined` once the ticker has ended.
   *
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  wait(options?: WaitOptions): Promise<number | undefined> {
    const refused = refuse("tick", options);
    if (refused !== null) return refused;
    if (this.#ended) return Promise.resolve(undefined);
    if (this.#due > 0) return Promise.resolve(this.#take());
    const tick = new Waiter<number | undefined>().park(this.#list, options);
    this.#arm();
    return tick;
  }

  /** "Ticker". */
  get [Symbol.toStringTag](): string {
    return "Ticker";
  }

  /** The next tick as a case of `select`; `done` once the ticker has ended. */
  get "~select"(): SelectCase<number> {
    return {
      ready: () => this.#ended || this.#due > 0,
      ended: () => this.#ended,
      take: () =>
        this.#ended
          ? { value: undefined as unknown as number, done: true }
          : { value: this.#take(), done: false },
      enlist: (branch) => {
        enlist(branch, this.#list);
        this.#arm();
      },
      delist,
    };
  }

  /** A waiter has left: without any the timer goes. For the kernel. */
  "~waiterLeft"(): void {
    if (this.#list.first === null && this.#timer !== null) {
      this.#timer.clock.clear(this.#timer);
      this.#timer = null;
    }
  }

  /** Iterates over the ticks until the ticker ends; leaving the loop does not end it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<number> {
    return new PullIterator<number>("tick", {
      pull: () =>
        this.#ended ? END : this.#due > 0 ? { value: this.#take(), done: false } : undefined,
      park: (waiter) => {
        const tick = waiter.park(this.#list);
        this.#arm();
        return tick;
      },
    });
  }

  /** Ends the ticker: who waits is told, iterations end. */
  [Symbol.dispose](): void {
    this.#ended = true;
    for (let waiter = this.#list.first; waiter !== null; waiter = this.#list.first) {
      waiter.settle(isPlain(waiter) ? undefined : END);
    }
    this["~waiterLeft"]();
  }

  /** How many intervals are over and not taken. */
  get #due(): number {
    const now = clock.on.now();
    const over = Math.floor((now - this.#start) / this.#ms);
    // By the same sum as the timer: a quotient rounded down would let it fire at this time for ever.
    const due = (this.#start + (over + 1) * this.#ms <= now ? over + 1 : over) - this.#taken;
    if (due >= 0) return due;
    // Another clock shows less, real time after virtual time: then it counts from there.
    this.#start = now;
    this.#taken = 0;
    return 0;
  }

  #take(): number {
    const due = this.#due;
    this.#taken += due;
    return due;
  }

  #arm(): void {
    if (this.#timer !== null || this.#list.first === null) return;
    const next = this.#start + (this.#taken + 1) * this.#ms;
    const target: TimerTarget = { timeUp: () => this.#tick() };
    this.#timer = clock.on.set(target, Math.max(0, next - clock.on.now()));
  }

  #tick(): void {
    this.#timer = null;
    const waiter = this.#list.first;
    if (waiter !== null && this.#due > 0) {
      const value = this.#take();
      waiter.settle(isPlain(waiter) ? value : { value, done: false });
    }
    this.#arm();
  }
}

/** Whether it is the waiter of a `wait`, which wants the bare number. */
function isPlain(waiter: Waiter): boolean {
  return waiter.group === null && waiter.payload !== NEXT;
}
