// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Who ran too long without waiting, while all others stood still.
 *
 * @module
 */

// Invariants
//  1. Time is counted for a stretch that began and ended between two macrotasks: never for a time in
//     which the program was idle.
//  2. A stretch is reported once; the time that a hook takes is in none.
//  3. What is measured is real time, whatever clock the library uses.
// How: when a wait of this library ends, those who awaited it go on in the microtask that is queued
// right then. A mark is queued before it and one after it, and what lies between is exactly theirs. Code
// that goes on otherwise (after a foreign promise, or behind an async function that has itself waited)
// is seen only when it waits or ends: its stretch begins at the last mark, if there is one in the same
// macrotask.
// Source: gevent's assert_switches, which measured from the entry instead of from the last switch, and
// its monitor thread, which saw that nobody switched and not who.

import { checkMs } from "./_kernel/clock.ts";
import { type Context, runOutside } from "./_kernel/current.ts";
import { type Hooks, listen } from "./_kernel/hooks.ts";
import { macrotask, now } from "./_kernel/host.ts";
import { reportUnhandled } from "./_kernel/unhandled.ts";
import type { Waiter } from "./_kernel/waiter.ts";
import { BlockedError } from "./errors.ts";
import { currentTask, spawnFramesOf, type Task } from "./task.ts";

const UNKNOWN = -1;

/** What {@linkcode onBlocked} tells its hook. */
export interface BlockedReport {
  /** The task that ran; `undefined` if it was none, or cannot be told. */
  readonly task: Task | undefined;
  /** How long it ran, in milliseconds. */
  readonly ms: number;
  /**
   * Whether all of it was seen to be this task's. If not, the task is the one that waited or ended
   * last: others that only awaited foreign promises may have had a part in it.
   */
  readonly exact: boolean;
  /** The stack of the task's spawn, nearest frame first, if `config.spawnStacks` was on. */
  readonly spawnedAt?: readonly string[];
}

/**
 * Runs `fn` and rejects if, until it has ended, anybody ran for more than `maxMs` milliseconds without
 * waiting: `fn`, a task it spawned, or any other. Else it resolves to what `fn` gives. Each stretch
 * between going on and the next wait counts alone: a hundred short ones are fine. For tests. What is
 * measured, and what cannot be, is said at {@linkcode onBlocked}.
 *
 * @param fn The body.
 * @param options The longest stretch, in milliseconds, >= 0.
 * @throws {BlockedError} If a stretch was longer; it names the longest one.
 * @throws What `fn` throws, first of all.
 * @throws {RangeError} If `maxMs` is negative or NaN.
 * @throws {TypeError} If `fn` is no function, or `maxMs` no number.
 *
 * @example Work in slices
 * ```ts
 * import { assertYields, sleep } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const sum = await assertYields(async () => {
 *   let sum = 0;
 *   for (let i = 1; i <= 1000; i++) {
 *     sum += i;
 *     if (i % 100 === 0) await sleep(0);
 *   }
 *   return sum;
 * }, { maxMs: 500 });
 * assertEquals(sum, 500500);
 * ```
 */
export async function assertYields<T>(
  fn: () => T,
  options: { maxMs: number },
): Promise<Awaited<T>> {
  checkFunction("assert yields", "fn", fn);
  const maxMs: unknown = options?.maxMs;
  checkMs("assert yields", "maxMs", maxMs);
  let longest: BlockedReport | undefined;
  const meter = new Meter(maxMs, (report) => {
    if (longest === undefined || report.ms > longest.ms) longest = report;
  });
  let value: Awaited<T>;
  try {
    value = await meter.call(fn);
  } finally {
    meter.stop();
  }
  if (longest !== undefined) throw blockedError(longest, maxMs);
  return value;
}

/**
 * Calls `hook` after each stretch of more than `overMs` milliseconds in which somebody ran without
 * waiting, so that timers, I/O and all other tasks stood still.
 *
 * What is measured: the time from the moment at which a task goes on (its start, or the end of a wait
 * of this library) until it waits again or ends. A pause of the machine or of the garbage collector
 * counts as running. `exact` says that the whole stretch was seen. After a foreign promise, or behind an
 * async function that has itself waited, the moment of going on cannot be seen: then the time since
 * the last thing that was seen in this turn of the event loop counts, and is the task's that next
 * waits or ends, or nobody's (`task` is `undefined`) if another one goes on first.
 *
 * What cannot be measured: what runs after a foreign promise in a turn of the event loop in which this
 * library had no part before (`until(promise)` makes it measurable), or up to a foreign promise in
 * such a turn; a stretch that never ends; which line of the code it was. Where the host has no
 * `AsyncLocalStorage` (browsers) a task is known until its first `await` only.
 *
 * While it is installed each wait costs 0.1 to 0.5 microseconds more.
 *
 * @param options The limit, in milliseconds, >= 0.
 * @param hook Told after the stretch. What it throws goes to `onUnhandled`.
 * @returns A disposable that removes the hook.
 * @throws {RangeError} If `overMs` is negative or NaN.
 * @throws {TypeError} If `hook` is no function, or `overMs` no number.
 *
 * @example Which task is it
 * ```ts
 * import { onBlocked, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const names: unknown[] = [];
 * using _hook = onBlocked({ overMs: 100 }, ({ task }) => names.push(task?.name));
 * await spawn({ name: "hog" }, async () => {
 *   await sleep(1);
 *   const end = performance.now() + 120;
 *   while (performance.now() < end);
 * });
 * assertEquals(names, ["hog"]);
 * ```
 */
export function onBlocked(
  options: { overMs: number },
  hook: (report: BlockedReport) => void,
): Disposable {
  const overMs: unknown = options?.overMs;
  checkMs("install hook", "overMs", overMs);
  checkFunction("install hook", "hook", hook);
  const meter = new Meter(overMs, (report) => {
    try {
      // Not in the context of whoever happened to be measured: it may be killed.
      runOutside(hook, report);
    } catch (error) {
      reportUnhandled(error);
    }
  });
  return { [Symbol.dispose]: () => meter.stop() };
}

/** Measures stretches through the hooks of the kernel. */
class Meter implements Hooks {
  readonly #limit: number;
  readonly #report: (report: BlockedReport) => void;
  readonly #remove: () => void;
  /** When the present stretch began, if that is known. */
  #since = UNKNOWN;
  /** The present stretch is somebody's from its first moment on. */
  #exact = false;
  #stopped = false;
  /** The end of this macrotask will be noticed. */
  #armed = false;

  constructor(limit: number, report: (report: BlockedReport) => void) {
    this.#limit = limit;
    this.#report = report;
    this.#mark();
    this.#remove = listen(this);
  }

  /** Calls and awaits `fn`, measured too. */
  async call<T>(fn: () => T): Promise<Awaited<T>> {
    const task = currentTask();
    let value: T;
    this.starting();
    try {
      value = fn();
    } finally {
      this.#end(task);
    }
    const awaited = await value;
    this.#seen(task);
    return awaited;
  }

  stop(): void {
    this.#stopped = true;
    this.#remove();
  }

  starting(): void {
    // Whoever ran until now has neither waited nor ended.
    this.#check(undefined, false);
    this.#mark();
    this.#exact = true;
  }

  started({ task }: Context): void {
    this.#end(task as Task);
  }

  waking(waiter: Waiter, wake: () => void): void {
    const task = waiter.context?.task as Task | undefined;
    queueMicrotask(() => this.starting());
    wake();
    queueMicrotask(() => this.#end(task));
  }

  ended(): void {
    if (this.#since === UNKNOWN) this.#mark();
  }

  parked({ context }: Waiter): void {
    this.#seen(context?.task as Task | undefined);
  }

  finished({ task }: Context): void {
    this.#seen(task as Task);
  }

  /** The one that runs waits, or ends. An exact stretch goes on until its microtask is over. */
  #seen(task: Task | undefined): void {
    if (this.#exact) return;
    this.#check(task, false);
    this.#mark();
  }

  /** An exact stretch is over. */
  #end(task: Task | undefined): void {
    if (!this.#exact) return;
    this.#exact = false;
    this.#check(task, true);
    this.#mark();
  }

  #mark(): void {
    this.#since = now();
    if (this.#armed) return;
    this.#armed = true;
    macrotask(() => {
      this.#armed = false;
      this.#since = UNKNOWN;
    });
  }

  #check(task: Task | undefined, exact: boolean): void {
    if (this.#since === UNKNOWN || this.#stopped) return;
    const ms = now() - this.#since;
    if (ms <= this.#limit) return;
    const spawnedAt = task === undefined ? undefined : spawnFramesOf(task);
    this.#report({ task, ms, exact, ...(spawnedAt === undefined ? {} : { spawnedAt }) });
  }
}

function blockedError({ task, ms }: BlockedReport, maxMs: number): BlockedError {
  const who = task === undefined
    ? "the program outside of tasks"
    : `task ${JSON.stringify(task.name)}`;
  return new BlockedError(
    `Cannot yield in time: ${who} must wait every ${maxMs} ms, got ${
      ms.toFixed(1)
    } ms without a wait`,
    ms,
    task?.name,
  );
}

function checkFunction(verb: string, name: string, fn: unknown): void {
  if (typeof fn === "function") return;
  throw new TypeError(`Cannot ${verb}: ${name} must be a function, got ${typeof fn}`);
}
