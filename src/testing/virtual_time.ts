// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Time that passes only when there is nothing else to do.
 *
 * @module
 */

// Invariants
//  1. The clock moves only while all is idle: the run queue is empty, no wait and no task has begun or
//     ended since the last macrotask, nobody waits in idle(), and nobody inside waits on the host.
//  2. It moves to the next deadline, never past one.
//  3. Whatever happens, the clock, the hooks and the globals are put back, and no task is left.
// Source: Trio's MockClock with autojump, Go's testing/synctest (a bubble, and a deadlock when all are
// blocked for good).

import { checkMs, clock } from "../_kernel/clock.ts";
import { contextTravels } from "../_kernel/current.ts";
import { ForeignPromise } from "../_kernel/foreign.ts";
import { listen } from "../_kernel/hooks.ts";
import { macrotask } from "../_kernel/host.ts";
import { queueSize } from "../_kernel/run_queue.ts";
import { outsideWaits } from "../_kernel/wait_list.ts";
import { refuse, Waiter, type WaiterGroup } from "../_kernel/waiter.ts";
import { findDeadlock } from "../deadlock.ts";
import { DeadlockError, TimeoutError } from "../errors.ts";
import { killTask, liveTasks } from "../task.ts";
import { FakeGlobals, FakeTimer } from "./_fake_globals.ts";
import { count, Inside } from "./_inside.ts";
import { VirtualClock } from "./_virtual_clock.ts";
import { idlers } from "./idle.ts";

/** In a row: at the first one all microtasks have run, at the second all that it let go on. */
const QUIET_TURNS = 2;
const MAX_TURNS = 1000;
const MAX_MOVES = 1_000_000;

/** Options of {@linkcode virtualTime}. */
export interface VirtualTimeOptions {
  /**
   * Whether `setTimeout`, `setInterval`, `AbortSignal.timeout`, `Date` and `performance.now` are on the
   * virtual clock too.
   *
   * @default {false}
   */
  fakeGlobals?: boolean | undefined;
  /**
   * What the faked `Date.now()` gives at the beginning: a date, or milliseconds since 1970.
   *
   * @default {Date.UTC(2000, 0, 1)}
   */
  start?: Date | number | undefined;
  /** How much virtual time may pass, in milliseconds, >= 0. @default {Infinity} */
  limitMs?: number | undefined;
  /**
   * How many turns of the event loop may pass without the program becoming idle: an integer >= 1. Turns
   * in which somebody waits on the host do not count.
   *
   * @default {1000}
   */
  maxTurns?: number | undefined;
  /** How often the clock may move: an integer >= 1. @default {1000000} */
  maxMoves?: number | undefined;
}

/** What the body of {@linkcode virtualTime} is told. */
export interface VirtualTime {
  /** How many milliseconds have passed since the beginning. */
  readonly now: number;
}

let running = false;

/**
 * Runs `fn` in virtual time: every timer of this library (`sleep`, `timeout`, `withTimeout`, `after`,
 * `every`, `spawnLater`, rate limits) runs on a clock of its own. It stands still while anything can
 * run, and when all is parked it moves to the next deadline at once: a day of sleeps takes
 * milliseconds, and nothing is ever late. Timers with one deadline fire in the order in which they were
 * set. Resolves to what `fn` gives.
 *
 * Who waits on the host holds the clock: on sockets, `until(promise)`, calls of the host that
 * `baozi/patch` knows. A raw `await` of a foreign promise cannot be seen, and does not.
 *
 * When all is parked, no timer is left and nobody waits on the host, the longest wait of `fn` rejects
 * with a {@linkcode DeadlockError}. When `fn` has ended nothing may be left: tasks, waits and faked
 * timers that are make it reject with an error that lists them; the tasks are killed, and their clean-up
 * is waited for.
 *
 * Only what `fn` has begun is inside. Tasks that were there before, and other code that runs meanwhile,
 * stay in real time, with all they begin. Where the host has no `AsyncLocalStorage` (browsers) that
 * cannot be told: all is inside.
 *
 * @param fn The body; it is told the time.
 * @param options What else to fake, and bounds.
 * @throws What `fn` throws, first of all.
 * @throws {DeadlockError} If nothing can ever run again; from the wait of `fn`.
 * @throws {TimeoutError} If `limitMs` of virtual time are over. As with the two bounds below, `fn` and its
 * tasks are cancelled first.
 * @throws {Error} If the program does not become idle in `maxTurns`, or moves the clock more than
 * `maxMoves` times.
 * @throws {Error} If anything is left at the end.
 * @throws {TypeError} If virtual time is on already.
 * @throws {RangeError} If an option is out of bounds.
 *
 * @example A day in no time
 * ```ts
 * import { after, every, select, sleep } from "@baozi/baozi";
 * import { virtualTime } from "@baozi/baozi/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const HOUR = 3_600_000;
 * const ticks = await virtualTime(async (time) => {
 *   using hourly = every(HOUR);
 *   let ticks = 0;
 *   while ((await select({ hourly, late: after(2 * HOUR) })).key === "hourly" && ++ticks < 24);
 *   assertEquals(time.now, 24 * HOUR);
 *   await sleep(0.5);
 *   assertEquals(time.now, 24 * HOUR + 0.5);
 *   return ticks;
 * });
 * assertEquals(ticks, 24);
 * ```
 */
export async function virtualTime<T>(
  fn: (time: VirtualTime) => T,
  options?: VirtualTimeOptions,
): Promise<Awaited<T>> {
  if (typeof fn !== "function") {
    throw new TypeError(`Cannot run in virtual time: fn must be a function, got ${typeof fn}`);
  }
  const bounds = checkOptions(options);
  const refused = refuse("run in virtual time");
  if (refused !== null) return refused;
  if (running) {
    throw new TypeError("Cannot run in virtual time: one at a time must run, and one does");
  }
  running = true;
  const former = clock.on;
  const run = new Run(bounds);
  clock.on = run.clock;
  try {
    run.globals?.install();
    return await run.run(fn);
  } finally {
    run.globals?.restore();
    run.inside.leave();
    clock.on = former;
    running = false;
  }
}

/** One call. */
class Run implements VirtualTime {
  readonly inside: Inside = new Inside(() => this.#stir());
  readonly clock: VirtualClock = new VirtualClock(clock.on, this.inside);
  readonly globals: FakeGlobals | undefined;
  readonly #bounds: Bounds;
  /** The body has ended. */
  #ended = false;
  /** Why the body was cancelled, if it was. */
  #failure: { error: unknown } | null = null;
  #moves = 0;
  /** Something has happened since this was last set to false. */
  #stirred = false;
  /** Told when something happens. */
  #wake: (() => void) | null = null;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    if (bounds.fakeGlobals) {
      this.globals = new FakeGlobals(this.clock, bounds.start, (error) => void this.#fail(error));
    }
  }

  get now(): number {
    return this.clock.passed;
  }

  async run<T>(fn: (time: VirtualTime) => T): Promise<Awaited<T>> {
    const body = this.inside.run(fn, this as VirtualTime);
    const end = (): void => {
      this.#ended = true;
      this.#stir();
    };
    body.then(end, end);
    const left = await this.inside.runApart(async () => {
      await this.#drive(() => this.#ended, (error) => this.#fail(error));
      return await this.#clear();
    });
    if (this.#failure !== null) throw this.#failure.error;
    const value = await body;
    if (left.length > 0) {
      throw new Error(
        `Cannot end virtual time: nothing must be left, got\n  ${left.join("\n  ")}`,
      );
    }
    return value;
  }

  /**
   * Lets the program run and time pass until `done`, or until nothing more can come of it. `excess` is told
   * when a bound is passed, and says whether to go on.
   */
  async #drive(done: () => boolean, excess: (error: Error) => boolean): Promise<void> {
    this.#moves = 0;
    for (;;) {
      const quiet = await this.#quiet();
      if (done()) return;
      if (!quiet) {
        if (!excess(this.#tooBusy())) return;
      } else if (this.#stirred) {
        continue; // by somebody who went on in the same macrotask, before this did
      } else if (this.#holds()) {
        await this.#stirring();
      } else if (this.#moves >= this.#bounds.maxMoves) {
        if (!excess(this.#tooFar())) return;
        this.#moves = 0;
      } else if (this.clock.next === undefined) {
        if (this.#ended || this.#failure !== null) return;
        if (this.#mayBeWoken() || !this.#raiseDeadlock()) await this.#stirring();
      } else if (this.#failure === null && this.clock.next - this.clock.start > this.#limit) {
        if (!excess(this.#timeOut())) return;
      } else {
        this.#move();
      }
    }
  }

  /** Resolves when all is idle: `true`; `false` if that takes too many turns. */
  async #quiet(): Promise<boolean> {
    let turns = 0;
    for (let quiet = 0; quiet < QUIET_TURNS;) {
      this.#stirred = false;
      await new Promise<void>(macrotask);
      if (queueSize() > 0 || idlers() > 0) quiet = 0;
      else quiet = this.#stirred ? 1 : quiet + 1;
      // Whoever waits on the host may well do so in many turns, or let others spin meanwhile.
      if (this.#holds()) turns = 0;
      // One in which nothing moves is not busy: Deno gives many before the one that ends a turn of the queue.
      else if (this.#stirred && ++turns > this.#bounds.maxTurns) return false;
    }
    return true;
  }

  /** Whether somebody inside waits on the host. */
  #holds(): boolean {
    return outsideWaits() > 0 &&
      (this.inside.waitsOnHost() || this.inside.hostBranches().length > 0);
  }

  /** Whether one who waits may yet be woken: by somebody outside, or after a foreign promise. */
  #mayBeWoken(): boolean {
    return outsideWaits() > 0 || this.clock.outside.next !== undefined ||
      contextTravels() &&
        liveTasks().some(({ task, waits }) => task.state === "running" && waits.length === 0);
  }

  /** Fires what is due at the next deadline. */
  #move(): void {
    this.#moves++;
    this.clock.move();
    for (let timer = this.clock.takeDue(); timer !== undefined; timer = this.clock.takeDue()) {
      timer.target.timeUp(timer);
      // As on a host: what a callback lets go on runs before the next one.
      if (timer.target instanceof FakeTimer) return;
    }
  }

  #stir(): void {
    this.#stirred = true;
    this.#wake?.();
  }

  /** Resolves when something happens. */
  async #stirring(): Promise<void> {
    // The end of a branch alone is told to nobody but its group, so one of ours stands beside it.
    const stir = (): void => this.#stir();
    const group: WaiterGroup = { branchSettled: stir, branchFailed: stir };
    const besides: Waiter[] = [];
    for (const owner of this.inside.hostBranches()) {
      if (!(owner instanceof ForeignPromise)) continue;
      const branch = new Waiter(undefined, group);
      owner.enlist(branch);
      besides.push(branch);
    }
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
    for (const branch of besides) branch.withdraw();
  }

  /** Rejects the longest wait of the body. `false` if it has none: then it waits for who knows what. */
  #raiseDeadlock(): boolean {
    for (const waiter of this.inside.waits) {
      const { context } = waiter;
      if (!this.inside.ofBody(context) && (context !== null || contextTravels())) continue;
      this.#moves++;
      waiter.cancel(findDeadlock(this.inside.context)?.error ?? this.#deadlock());
      return true;
    }
    return false;
  }

  /** Cancels the body and its tasks, once; `false` if that was done before. */
  #fail(error: unknown): boolean {
    if (this.#failure !== null) return false;
    this.#failure = { error };
    this.inside.context.cancel(error);
    for (const { task } of this.inside.tasks()) killTask(task, error);
    this.#stir();
    return true;
  }

  /** Ends what the body has left behind, and says what it was. */
  async #clear(): Promise<string[]> {
    const left = this.inside.describe(this.clock.start + this.clock.passed);
    left.push(...this.globals?.drop() ?? []);
    this.#dropWaits();
    const tasks = this.inside.tasks();
    for (const { task } of tasks) killTask(task, "virtual time has ended");
    if (tasks.length > 0) {
      await this.#drive(() => this.inside.tasks().length === 0, () => false);
      this.globals?.drop();
      this.#dropWaits();
    }
    // Those of waits and tasks have gone with them.
    if (this.clock.size > 0) left.push(count(this.clock.size, "timer"));
    return left;
  }

  /** Ends the waits of no task, and lets none of them go on: nobody would catch what they reject with. */
  #dropWaits(): void {
    const waits = new Set(this.inside.bareWaits());
    const unlisten = listen({
      waking(waiter, wake) {
        if (!waits.has(waiter)) wake();
      },
    });
    for (const waiter of waits) waiter.cancel(undefined);
    unlisten();
  }

  get #limit(): number {
    return this.#bounds.limitMs;
  }

  /** Where the context does not travel, the search does not know the waits of the body. */
  #deadlock(): DeadlockError {
    return new DeadlockError(
      `Cannot go on: somebody must be able to run, got a deadlock\n  ${this.#alive()}`,
    );
  }

  #timeOut(): TimeoutError {
    const text = `Cannot go on: the limit of ${this.#limit} ms of virtual time is over`;
    return new TimeoutError(`${text}, with\n  ${this.#alive()}`, this.#limit);
  }

  #tooBusy(): Error {
    return new Error(
      `Cannot move the clock: the program must become idle within ${this.#bounds.maxTurns} turns of ` +
        `the event loop (maxTurns), got a busy one, with\n  ${this.#alive()}`,
    );
  }

  #tooFar(): Error {
    return new Error(
      `Cannot move the clock: the body must end within ${this.#bounds.maxMoves} moves (maxMoves), ` +
        `got ${this.now} ms of virtual time, with\n  ${this.#alive()}`,
    );
  }

  #alive(): string {
    return this.inside.describe(this.clock.start + this.clock.passed).join("\n  ") ||
      "nobody in a wait";
  }
}

interface Bounds {
  readonly fakeGlobals: boolean;
  readonly start: number;
  readonly limitMs: number;
  readonly maxTurns: number;
  readonly maxMoves: number;
}

function checkOptions(options: VirtualTimeOptions = {}): Bounds {
  const verb = "run in virtual time";
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot ${verb}: options must be an object, got ${String(options)}`);
  }
  const { fakeGlobals = false, limitMs = Infinity } = options;
  const { maxTurns = MAX_TURNS, maxMoves = MAX_MOVES } = options;
  const start = Number(options.start ?? Date.UTC(2000, 0, 1));
  if (!Number.isFinite(start)) {
    throw new RangeError(`Cannot ${verb}: start must be a valid date, got ${start}`);
  }
  checkMs(verb, "limitMs", limitMs);
  for (const [name, value] of Object.entries({ maxTurns, maxMoves })) {
    if (value !== Infinity && !(Number.isInteger(value) && value >= 1)) {
      throw new RangeError(`Cannot ${verb}: ${name} must be an integer >= 1, got ${value}`);
    }
  }
  return { fakeGlobals, start, limitMs, maxTurns, maxMoves };
}
