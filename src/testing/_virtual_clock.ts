// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A clock that somebody moves, for those inside; whoever is outside gets the clock before it.
 *
 * @module
 */

// Invariants
//  1. Timers come out in the order of their deadlines, those with one deadline as they were set.
//  2. It stands still but for `move()`, and never goes back.
//  3. A timer that is set from outside belongs to the clock of the outside, which fires and clears it.

import { Clock, Timer, type TimerTarget } from "../_kernel/clock.ts";
import { Heap } from "../_kernel/heap.ts";
import type { Inside } from "./_inside.ts";

/**
 * The least time at the beginning: 17 minutes, as a power of two, so that what is added to it is
 * rounded no worse than near 0.
 */
const LEAST_START = 2 ** 20;

/** The clock. It does not fire by itself: `takeDue` gives the timers. */
export class VirtualClock extends Clock {
  /** The clock of those outside. */
  readonly outside: Clock;
  /** What it showed at the beginning. */
  readonly start: number;
  readonly #inside: Inside;
  readonly #timers: Heap<Timer> = new Heap<Timer>((a, b) =>
    a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order)
  );
  #order = 0;
  #time: number;

  constructor(outside: Clock, inside: Inside) {
    super({ now: () => LEAST_START, arm: () => {} });
    this.outside = outside;
    this.#inside = inside;
    // Not before the present time, or rate limits and tickers made before would see time go back.
    let start = LEAST_START;
    while (start < outside.now()) start *= 2;
    this.start = start;
    this.#time = start;
  }

  /** Milliseconds since the beginning, without what the start adds by rounding. */
  get passed(): number {
    return Math.round((this.#time - this.start) * 1e6) / 1e6;
  }

  /** Whether the running code is inside. */
  get isInside(): boolean {
    return this.#inside.isHere;
  }

  override now(): number {
    return this.isInside ? this.#time : this.outside.now();
  }

  override set(target: TimerTarget, ms: number): Timer {
    return this.isInside ? this.setInside(target, ms) : this.outside.set(target, ms);
  }

  /** {@linkcode set}, whoever calls. */
  setInside(target: TimerTarget, ms: number): Timer {
    const timer = new Timer(this, target, ms, this.#time + ms, this.#order++);
    if (ms !== Infinity) this.#timers.push(timer);
    return timer;
  }

  override clear(timer: Timer): void {
    this.#timers.remove(timer);
  }

  /** Moves to the next deadline. Only if there is one. */
  move(): void {
    this.#time = Math.max(this.#time, this.#timers.peek()!.deadline);
  }

  /** Takes the first timer whose time has come, and forgets it. */
  takeDue(): Timer | undefined {
    const timer = this.#timers.peek();
    if (timer === undefined || timer.deadline > this.#time) return undefined;
    this.#timers.remove(timer);
    return timer;
  }

  override get next(): number | undefined {
    return this.#timers.peek()?.deadline;
  }

  override get size(): number {
    return this.#timers.size;
  }
}
