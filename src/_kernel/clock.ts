// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Time: what it is now, and who wants to be called when. All timers of the library share one
 * host timer; another clock, virtual for instance, is put in `clock.on`.
 *
 * @module
 */

// Invariants
//  1. A timer never fires early, whatever the host's rounding.
//  2. While a timer waits the host timer is armed, for its deadline or an earlier one; an idle clock stops
//     it within a macrotask, and keeps no process alive. Most limits never fire: to start and stop it for
//     each of them cost more than all the rest of the wait.
//  3. Timers with the same deadline fire in the order in which they were set.
//  4. Infinity is never: it has a handle but no place in the heap.

import { runOutside } from "./current.ts";
import { Heap } from "./heap.ts";
import { macrotask, now, startTimer, stopTimer } from "./host.ts";

/** Hosts clamp longer delays and fire at once. */
const LONGEST = 2 ** 31 - 1;

/** Who is called. */
export interface TimerTarget {
  /** The time of `timer` has come. Must not throw. */
  timeUp(timer: Timer): void;
}

/** One wish to be called, valid until it fires or is cleared. */
export class Timer {
  heapIndex = -1;
  readonly clock: Clock;
  readonly target: TimerTarget;
  readonly ms: number;
  readonly deadline: number;
  readonly order: number;

  constructor(clock: Clock, target: TimerTarget, ms: number, deadline: number, order: number) {
    this.clock = clock;
    this.target = target;
    this.ms = ms;
    this.deadline = deadline;
    this.order = order;
  }
}

/** Where a clock gets its time and its wake-ups from. */
export interface TimeSource {
  /** Milliseconds, never going back. */
  now(): number;
  /** The next deadline changed, `undefined` when nothing waits; call `clock.fire()` at it. */
  arm(clock: Clock, deadline: number | undefined): void;
}

/** A set of timers over a source of time. */
export class Clock {
  readonly #source: TimeSource;
  readonly #timers: Heap<Timer> = new Heap<Timer>((a, b) =>
    a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order)
  );
  #order = 0;
  #firing = false;

  constructor(source: TimeSource) {
    this.#source = source;
  }

  /** Milliseconds on this clock. */
  now(): number {
    return this.#source.now();
  }

  /** Calls `target.timeUp` once, `ms` milliseconds from now. O(log n). */
  set(target: TimerTarget, ms: number): Timer {
    const timer = new Timer(this, target, ms, this.now() + ms, this.#order++);
    if (ms === Infinity) return timer;
    this.#timers.push(timer);
    if (!this.#firing && this.#timers.peek() === timer) this.#source.arm(this, timer.deadline);
    return timer;
  }

  /** Forgets `timer`; nothing happens if it fired or was cleared. O(log n). */
  clear(timer: Timer): void {
    if (timer.heapIndex < 0) return;
    const first = this.#timers.peek() === timer;
    this.#timers.remove(timer);
    if (first && !this.#firing) this.#source.arm(this, this.#timers.peek()?.deadline);
  }

  /** Calls every target whose deadline has come, then arms for the next one. */
  fire(): void {
    const time = this.now();
    this.#firing = true;
    for (
      let timer = this.#timers.peek();
      timer !== undefined && timer.deadline <= time;
      timer = this.#timers.peek()
    ) {
      this.#timers.remove(timer);
      timer.target.timeUp(timer);
    }
    this.#firing = false;
    this.#source.arm(this, this.#timers.peek()?.deadline);
  }

  /** The next deadline, if any timer waits. */
  get next(): number | undefined {
    return this.#timers.peek()?.deadline;
  }

  /** How many timers wait. */
  get size(): number {
    return this.#timers.size;
  }
}

/** The host's monotonic clock behind one host timer. */
class HostTime implements TimeSource {
  #handle: unknown = undefined;
  #armedFor = Infinity;
  #stopping = false;

  now(): number {
    return now();
  }

  arm(clock: Clock, deadline: number | undefined): void {
    if (deadline === undefined) {
      if (this.#handle !== undefined && !this.#stopping) {
        this.#stopping = true;
        // The next wait of a loop may set a timer at once.
        macrotask(() => {
          this.#stopping = false;
          if (clock.next === undefined) this.#stop();
        });
      }
      return;
    }
    // Too early is harmless: it finds nothing to fire, and is armed again.
    if (this.#armedFor <= deadline) return;
    this.#stop();
    this.#armedFor = deadline;
    const ms = Math.min(Math.max(Math.ceil(deadline - now()), 0), LONGEST);
    // It is everybody's: who set it first must not be the one in whose name all are called.
    this.#handle = runOutside(startTimer, () => {
      this.#handle = undefined;
      this.#armedFor = Infinity;
      clock.fire();
    }, ms);
  }

  #stop(): void {
    if (this.#handle !== undefined) stopTimer(this.#handle);
    this.#handle = undefined;
    this.#armedFor = Infinity;
  }
}

/** The clock that all waits use. */
export const clock: { on: Clock } = { on: new Clock(new HostTime()) };

/**
 * Checks a time span: milliseconds >= 0, `Infinity` is never.
 *
 * @throws {TypeError} If `ms` is no number.
 * @throws {RangeError} If `ms` is negative or NaN.
 */
export function checkMs(verb: string, name: string, ms: unknown): asserts ms is number {
  if (typeof ms !== "number") {
    throw new TypeError(
      `Cannot ${verb}: ${name} must be a number of milliseconds, got ${typeof ms}`,
    );
  }
  if (!(ms >= 0)) {
    throw new RangeError(`Cannot ${verb}: ${name} must be >= 0 milliseconds, got ${ms}`);
  }
}
