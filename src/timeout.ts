// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A time limit on everything that a function waits for.
 *
 * @module
 */

// Invariants
//  1. A limit knows its own expiry by the error object, never by its class: an outer limit is never
//     mistaken for an inner one.
//  2. Its timer is gone when the body has ended.
// Source: Trio's fail_after and move_on_after; Kotlin, where a timeout that is a cancellation killed
// tasks silently.

import { checkMs, clock, type TimerTarget } from "./_kernel/clock.ts";
import { Context, currentContext, isForced, ROOT, runIn } from "./_kernel/current.ts";
import { refuse } from "./_kernel/waiter.ts";
import { TimeoutError } from "./errors.ts";

/**
 * Runs `fn(signal)` with at most `ms` milliseconds. When they are over, every library wait inside
 * rejects with a {@linkcode TimeoutError} until `fn` ends (what catches it meets it again at the next
 * wait), and `signal` aborts with it. Then it waits until `fn` has ended, clean-up included, and
 * rejects, or resolves to `fallback` if one is given, even `undefined`. A body that finishes all the
 * same keeps its value. One in a foreign await is waited for: pass it the signal, or use `until`. Tasks
 * spawned inside do not inherit the limit.
 *
 * @param ms Milliseconds, >= 0; `0` expires at the first wait, `Infinity` never.
 * @param fn The body.
 * @param options What to give instead when the time is over.
 * @throws {TimeoutError} If the time is over; its `ms` is the limit.
 * @throws {RangeError} If `ms` is negative or NaN.
 * @throws {TypeError} If `fn` is no function.
 *
 * @example Or else
 * ```ts
 * import { sleep, withTimeout } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const answer = await withTimeout(5, async () => {
 *   await sleep(60_000);
 *   return "slow";
 * }, { fallback: "default" });
 * assertEquals(answer, "default");
 * ```
 */
export async function withTimeout<T, F = never>(
  ms: number,
  fn: (signal: AbortSignal) => T,
  options?: { fallback?: F },
): Promise<Awaited<T> | F> {
  checkMs("run with timeout", "ms", ms);
  if (typeof fn !== "function") {
    throw new TypeError(`Cannot run with timeout: fn must be a function, got ${typeof fn}`);
  }
  const refused = refuse("run with timeout");
  if (refused !== null) return refused;
  const limit = new Limit(ms);
  try {
    const value = await runIn(limit, fn, limit.signal);
    if (isForced(limit)) throw limit.reason;
    return value;
  } catch (error) {
    // The body may throw `undefined` before there is an error of the limit.
    const own = limit.expired !== undefined && error === limit.expired;
    if (own && options !== undefined && "fallback" in options) return options.fallback as F;
    throw error;
  } finally {
    limit.end();
  }
}

/** The context of a limited body. */
class Limit extends Context implements TimerTarget {
  readonly #controller = new AbortController();
  readonly #timer;
  /** The error of this very limit, once its time is over. */
  expired: TimeoutError | undefined = undefined;
  readonly #ms: number;

  constructor(ms: number) {
    super(currentContext() ?? ROOT);
    this.#ms = ms;
    if (this.cancelled) this.#controller.abort(this.reason);
    this.#timer = ms === 0 ? undefined : clock.on.set(this, ms);
    if (ms === 0) this.timeUp();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  timeUp(): void {
    if (this.cancelled) return;
    this.expired = new TimeoutError(`Cannot go on: the limit of ${this.#ms} ms is over`, this.#ms);
    this.cancel(this.expired);
  }

  override wasCancelled(reason: unknown): void {
    this.#controller.abort(reason);
  }

  override end(): void {
    super.end();
    this.#timer?.clock.clear(this.#timer);
  }
}
