// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * One parked operation. Everything in this library that waits, waits as a waiter: here
 * cancellation, time limits, tracing, virtual time and deadlock accounting meet.
 *
 * @module
 */

// Invariants
//  1. A waiter ends once: settled with a value, failed, or cancelled. The first wins, whatever comes
//     later finds it ended. Hand-over is therefore final.
//  2. When it ends it is unlinked from everything (list, context, signal, timer) before its promise
//     is settled, so nobody can find an ended waiter.
//  3. A waiter of a group has no promise, context, signal or timer: the group's own waiter has them.
//  4. `live` counts the parked waiters that have a promise.
//  5. `mainLists` has each list in which a main wait is parked, but for MOST_MAIN_LISTS. It forgets empty
//     ones when others come.
// Source: Go's sudog, gevent's Waiter, Kotlin's CancellableContinuation.

import { config } from "../config.ts";
import { TimeoutError } from "../errors.ts";
import { type AbortTarget, checkSignal, unwatchAbort, watchAbort } from "./abort.ts";
import { checkMs, clock, type Timer, type TimerTarget } from "./clock.ts";
import { type Cancellable, type Context, currentContext } from "./current.ts";
import { hooks } from "./hooks.ts";
import { macrotask, watchLoop } from "./host.ts";
import type { Runnable } from "./run_queue.ts";
import type { WaitList } from "./wait_list.ts";

/** What a wait takes as its last argument. */
export interface WaitOptions {
  /**
   * Ends the wait when it aborts: it rejects with `signal.reason` untouched. An aborted signal is
   * looked at before anything else is done.
   */
  signal?: AbortSignal | undefined;
  /**
   * The longest wait, in milliseconds, >= 0. What can be done at once is done even with `0`.
   * What an expired limit gives is said where it is used: a `TimeoutError`, `false`, or what is
   * there so far.
   *
   * @default {Infinity}
   */
  timeout?: number | undefined;
}

/** Several waiters of which a rule says when the wait of all ends: select, merge, wait. */
export interface WaiterGroup {
  /** `branch` was served; it is unlinked already. */
  branchSettled(branch: Waiter, value: unknown): void;
  /** `branch` failed; it is unlinked already. */
  branchFailed(branch: Waiter, error: unknown): void;
  /** {@linkcode Waiter.doomed} of the waiter of the group; missing where nobody asks. */
  readonly doomed?: boolean;
}

/** As `expiry` of {@linkcode Waiter.park}: an expired limit rejects with a `TimeoutError`. */
export const REJECT: unique symbol = Symbol("reject");

/** Only a bound keeps forgotten channels, on which somebody waits for ever, from piling up. */
const MOST_MAIN_LISTS = 64;

/** Small integers are fastest; the order of waits is wrong once in a billion. */
const LARGEST_MAIN = 2 ** 30 - 1;

let live = 0;
/** When waits parked, while `config.waitTimes` is on: a field would be paid for by all. */
const parkedAt: WeakMap<Waiter, number> = new WeakMap();

/** When `waiter` parked on the clock, if that was noted. */
export function parkTime(waiter: Waiter): number | undefined {
  return parkedAt.get(waiter);
}

/** How many waits are parked in the whole program. */
export function liveWaiters(): number {
  return live;
}

/** Lists in which the main program has parked. */
const mainLists: WaitList[] = [];
/** Which of them is looked at next, whether it is empty. */
let nextLook = 0;
/** Counts the main waits; their order. */
let lastMain = 0;
let watching = false;

/**
 * The parked waits that belong to no task, so to the main program, the oldest first. They are known by
 * their lists, of which no more than 64 are kept. Where the host has no `AsyncLocalStorage` (browsers)
 * all that waits after an `await` belongs to no task.
 */
// A list of the waiters themselves was tried: to link and unlink each cost 5 to 20 % of a rendezvous.
export function mainWaits(): Waiter[] {
  const waits: Waiter[] = [];
  for (const list of mainLists) {
    for (let waiter = list.first; waiter !== null; waiter = waiter.next) {
      if (waiter.mainOrder > 0) waits.push(waiter);
    }
  }
  return waits.sort((a, b) => a.mainOrder - b.mainOrder);
}

/**
 * What is done when the host has nothing left to do and a main wait is parked; `null` is nothing. The
 * host is listened to from the first main wait on, so that an import alone has no effect on it.
 */
export const stuck: { on: (() => void) | null } = { on: null };

const NEVER_PARKED = (): void => {};

/** The waiter. `payload` is what the thing waited on needs to serve it: a sender's value, a mode. */
// deno-lint-ignore no-explicit-any -- lists hold waiters of all types
export class Waiter<T = any> implements Cancellable, Runnable {
  list: WaitList | null = null;
  next: Waiter | null = null;
  previous: Waiter | null = null;
  readonly group: WaiterGroup | null;
  payload: unknown;
  settled = false;
  context: Context | null = null;
  /** Its place among the main waits; 0 if it is none of them. */
  mainOrder = 0;
  #resolve: (value: unknown) => void = NEVER_PARKED;
  #reject: (reason: unknown) => void = NEVER_PARKED;
  #limits: Limits | null = null;

  constructor(payload: unknown = undefined, group: WaiterGroup | null = null) {
    this.payload = payload;
    this.group = group;
  }

  /**
   * Parks at the end of `list` until settled. The caller has asked {@linkcode refuse} before and
   * found nothing that could be done at once. When the limit is over the wait resolves to
   * `expiry`, or rejects when that is `REJECT`.
   */
  park(list: WaitList, options?: WaitOptions, expiry: unknown = REJECT): Promise<T> {
    return this.parkAs(currentContext(), list, options, expiry);
  }

  /** {@linkcode park} where the caller's context is known already; `null` is the main program. */
  parkAs(
    context: Context | null,
    list: WaitList,
    options?: WaitOptions,
    expiry: unknown = REJECT,
  ): Promise<T> {
    if (context === null || context.task === undefined) markMain(this, list);
    return this.parkFor(context, list, options, expiry);
  }

  /** {@linkcode park} out of reach of kills and limits; it still counts as a wait of the caller. */
  parkShielded(list: WaitList, options?: WaitOptions, expiry: unknown = REJECT): Promise<T> {
    const context = currentContext();
    if (context !== null) {
      this.context = context;
      context.addShielded(this);
    }
    if (context === null || context.task === undefined) markMain(this, list);
    return this.parkFor(null, list, options, expiry);
  }

  /** {@linkcode park} for a given context; `null` is nobody, out of reach of kills and limits. */
  parkFor(
    context: Context | null,
    list: WaitList,
    options?: WaitOptions,
    expiry: unknown = REJECT,
  ): Promise<T> {
    // A closure per wait, which V8 keeps off the heap. One shared function with two variables of the
    // module makes a rendezvous up to 10 % dearer there, as many per cent cheaper on Bun; this form, which
    // does not hold `this`, is the best for both.
    let resolveWith: (value: unknown) => void = NEVER_PARKED;
    let rejectWith: (reason: unknown) => void = NEVER_PARKED;
    const promise = new Promise<unknown>((resolve, reject) => {
      resolveWith = resolve;
      rejectWith = reject;
    });
    this.#resolve = resolveWith;
    this.#reject = rejectWith;
    list.push(this);
    live++;
    if (config.waitTimes) parkedAt.set(this, clock.on.now());
    if (context !== null) {
      this.context = context;
      context.add(this);
    }
    if (hooks.on !== null) hooks.on.parked?.(this);
    if (options !== undefined) {
      if (options.signal != null) (this.#limits ??= new Limits(this)).follow(options.signal);
      if (options.timeout != null) this.expire(options.timeout, expiry);
    }
    return promise as Promise<T>;
  }

  /** Ends the wait in `ms` milliseconds, with `expiry` as in {@linkcode park}. */
  expire(ms: number, expiry: unknown): void {
    (this.#limits ??= new Limits(this)).expire(ms, expiry);
  }

  /** Serves it: the wait resolves to `value`. Only for a waiter that has not ended. */
  settle(value: T): void {
    if (this.group === null) {
      this.#end();
      if (hooks.on === null) this.#resolve(value);
      else tell(this, () => this.#resolve(value));
    } else {
      this.#leaveGroup();
      this.group.branchSettled(this, value);
    }
  }

  /** Ends the wait with an error. Only for a waiter that has not ended. */
  fail(error: unknown): void {
    if (this.group === null) {
      this.#end();
      if (hooks.on === null) this.#reject(error);
      else tell(this, () => this.#reject(error));
    } else {
      this.#leaveGroup();
      this.group.branchFailed(this, error);
    }
  }

  /** Ends the wait from outside; nothing happens if it has ended. */
  cancel(reason: unknown): void {
    if (this.settled) return;
    const owner = this.list?.owner;
    this.fail(reason);
    owner?.["~waiterLeft"]?.(this);
  }

  /** Ends the wait because its limit of `ms` milliseconds is over. */
  timeOut(ms: number, expiry: unknown): void {
    if (this.settled) return;
    const { owner, verb } = this.list!;
    if (expiry === REJECT) {
      this.fail(new TimeoutError(`Cannot ${verb}: the limit of ${ms} ms is over`, ms));
    } else {
      this.settle(expiry as T);
    }
    owner["~waiterLeft"]?.(this);
  }

  /**
   * Whether its task is killed, or its signal has aborted: it is about to be cancelled, in this very tick,
   * and must be handed nothing that another one frees by its end.
   */
  get doomed(): boolean {
    if (this.group !== null) return this.group.doomed === true;
    return this.context?.cancelled === true || this.#limits?.doomed === true;
  }

  /** Takes a branch of a group, whose wait is over, out of its list. */
  withdraw(): void {
    if (this.settled) return;
    const owner = this.list?.owner;
    this.#leaveGroup();
    owner?.["~waiterLeft"]?.(this);
  }

  /** Its turn in the run queue has come (a `sleep(0)`). */
  run(): void {
    if (!this.settled) this.settle(undefined as T);
  }

  #leaveGroup(): void {
    this.settled = true;
    this.list?.remove(this);
  }

  #end(): void {
    this.settled = true;
    live--;
    this.list?.remove(this);
    if (this.context !== null) this.context.remove(this);
    if (this.#limits !== null) this.#limits.end();
  }
}

/** Notes that `waiter` is about to park in `list` for the main program. */
function markMain(waiter: Waiter, list: WaitList): void {
  waiter.mainOrder = lastMain = (lastMain + 1) & LARGEST_MAIN || 1;
  if (!list.hasMain) addMainList(list);
}

function addMainList(list: WaitList): void {
  // Two go at most for one that comes, so that the work stays small and the empty ones few.
  forgetIfEmpty();
  forgetIfEmpty();
  if (mainLists.length === MOST_MAIN_LISTS) return;
  mainLists.push(list);
  list.hasMain = true;
  if (watching) return;
  watching = true;
  // In a macrotask: Deno loads `process` when it is first named, and may run microtasks meanwhile, so
  // in the middle of the step that parks here.
  macrotask(() => watchLoop(() => stuck.on?.(), () => lastMain));
}

function forgetIfEmpty(): void {
  if (++nextLook >= mainLists.length) nextLook = 0;
  const list = mainLists[nextLook];
  if (list === undefined || list.first !== null) return;
  list.hasMain = false;
  const last = mainLists.pop()!;
  if (last !== list) mainLists[nextLook] = last;
}

/** What may end a wait from outside besides its context: few waits have it. */
class Limits implements AbortTarget, TimerTarget {
  readonly #waiter: Waiter;
  #signal: AbortSignal | null = null;
  #timer: Timer | null = null;
  #expiry: unknown = REJECT;

  constructor(waiter: Waiter) {
    this.#waiter = waiter;
  }

  follow(signal: AbortSignal): void {
    this.#signal = signal;
    watchAbort(signal, this);
  }

  expire(ms: number, expiry: unknown): void {
    this.#expiry = expiry;
    this.#timer = clock.on.set(this, ms);
  }

  get doomed(): boolean {
    return this.#signal?.aborted === true;
  }

  end(): void {
    if (this.#signal !== null) unwatchAbort(this.#signal, this);
    if (this.#timer !== null) this.#timer.clock.clear(this.#timer);
  }

  aborted(reason: unknown): void {
    this.#waiter.cancel(reason);
  }

  timeUp(timer: Timer): void {
    this.#waiter.timeOut(timer.ms, this.#expiry);
  }
}

/** Tells the hooks of the end of a wait, and lets them choose when the one who waits goes on. */
function tell(waiter: Waiter, wake: () => void): void {
  hooks.on!.ended?.(waiter);
  if (hooks.on?.waking !== undefined) hooks.on.waking(waiter, wake);
  else wake();
}

/**
 * Why a wait may not even begin: the task is killed, or the signal has aborted, in this order.
 * `null` if it may. Everything that parks asks this first, before any effect.
 */
export function refuse(verb: string, options?: WaitOptions): Promise<never> | null {
  const context = currentContext();
  if (context !== null && context.cancelled) return Promise.reject(context.reason);
  return options === undefined ? null : refuseOptions(verb, options);
}

/** {@linkcode refuse} for what a kill does not hold back: only the options count. */
export function refuseOptions(verb: string, options: WaitOptions): Promise<never> | null {
  try {
    checkOptions(verb, options);
  } catch (error) {
    return Promise.reject(error);
  }
  return options.signal?.aborted === true ? Promise.reject(options.signal.reason) : null;
}

/**
 * Checks the options of a wait.
 *
 * @throws {TypeError} If one has the wrong type.
 * @throws {RangeError} If the timeout is negative or NaN.
 */
export function checkOptions(verb: string, options: WaitOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot ${verb}: options must be an object, got ${String(options)}`);
  }
  if (options.timeout != null) checkMs(verb, "timeout", options.timeout);
  if (options.signal != null) checkSignal(verb, options.signal);
}
