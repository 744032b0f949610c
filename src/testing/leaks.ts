// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What a function leaves behind.
 *
 * @module
 */

import { Clock, clock, type Timer, type TimerTarget } from "../_kernel/clock.ts";
import { liveWaiters as parked, refuse } from "../_kernel/waiter.ts";
import { config } from "../config.ts";
import { count, Inside } from "./_inside.ts";
import { idle } from "./idle.ts";

/**
 * How many waits of this library are parked in the whole program: every `receive`, `sleep`, `join` …
 * that has not ended. A wait on several things counts once.
 *
 * @example Nothing is left
 * ```ts
 * import { Channel } from "@baozi/baozi";
 * import { liveWaiters } from "@baozi/baozi/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const before = liveWaiters();
 * const ch = new Channel<string>();
 * const received = ch.receive();
 * assertEquals(liveWaiters() - before, 1);
 * await ch.send("bean");
 * await received;
 * assertEquals(liveWaiters(), before);
 * ```
 */
export function liveWaiters(): number {
  return parked();
}

/** Calls under way, and `config.spawnStacks` as it was before the first of them. */
let calls = 0;
let spawnStacks = false;

/**
 * Runs `fn` and rejects if it leaves anything behind: a task that has not ended, a parked wait, a timer.
 * The error lists each: the task, what it waits on, where it was spawned. Else it gives what `fn`
 * gives. What is on its way out may get there: it is looked at when all is idle. It ends nothing.
 *
 * What others do meanwhile, tasks that were there before for instance, does not count. Listeners on abort signals are not listed apart: this library has one exactly while a wait or a
 * task follows the signal, and those are.
 *
 * @throws {Error} If anything is left.
 * @throws What `fn` throws, first of all.
 * @throws {TypeError} If `fn` is no function.
 *
 * @example A receive that nobody serves
 * ```ts
 * import { Channel, spawn } from "@baozi/baozi";
 * import { leaks } from "@baozi/baozi/testing";
 * import { assertRejects } from "@std/assert";
 *
 * const jobs = new Channel<string>({ name: "jobs" });
 * await assertRejects(
 *   () => leaks(() => void spawn({ name: "worker" }, () => jobs.receive())),
 *   Error,
 *   `running): receive on Channel "jobs", spawned at `,
 * );
 * await jobs.send("the last one"); // it was left as it was
 * ```
 */
export async function leaks<T>(fn: () => T): Promise<Awaited<T>> {
  if (typeof fn !== "function") {
    throw new TypeError(`Cannot look for leaks: fn must be a function, got ${typeof fn}`);
  }
  const refused = refuse("look for leaks");
  if (refused !== null) return refused;
  const { on: former } = clock;
  if (calls++ === 0) ({ spawnStacks } = config);
  const inside = new Inside();
  const timers = new Timers(former, inside);
  clock.on = timers;
  config.spawnStacks = true;
  try {
    const value = await inside.run(fn);
    await idle();
    const left = inside.describe(former.now());
    const waiting = timers.waiting();
    if (waiting > 0) left.push(count(waiting, "timer"));
    if (left.length > 0) {
      throw new Error(
        `Cannot end without leaks: nothing must be left, got\n  ${left.join("\n  ")}`,
      );
    }
    return value;
  } finally {
    inside.leave();
    if (--calls === 0) config.spawnStacks = spawnStacks;
    timers.over = true;
    // Several calls at once may end in any order.
    while (clock.on instanceof Timers && clock.on.over) clock.on = clock.on.below;
  }
}

/** A clock that notes which of its timers were set inside. */
class Timers extends Clock {
  /** The clock that was there before. */
  readonly below: Clock;
  /** Its call has ended. */
  over = false;
  readonly #inside: Inside;
  #set: Timer[] = [];
  #prune = 1024;

  constructor(clock: Clock, inside: Inside) {
    super({ now: () => clock.now(), arm: () => {} });
    this.below = clock;
    this.#inside = inside;
  }

  override set(target: TimerTarget, ms: number): Timer {
    // It belongs to the clock below, which fires and clears it.
    const timer = this.below.set(target, ms);
    if (!this.#inside.isHere) return timer;
    if (this.#set.push(timer) > this.#prune) this.#prune = 1024 + 2 * this.waiting();
    return timer;
  }

  override get next(): number | undefined {
    return this.below.next;
  }

  override get size(): number {
    return this.below.size;
  }

  /** How many of those set inside have neither fired nor been cleared. */
  waiting(): number {
    this.#set = this.#set.filter(({ heapIndex }) => heapIndex >= 0);
    return this.#set.length;
  }
}
