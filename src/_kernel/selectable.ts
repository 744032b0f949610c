// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What `select` and `wait` need of a thing: can it be done now, do it, else enlist for it. So
 * that they know this protocol and not the things.
 *
 * @module
 */

// Source: crossbeam's SelectHandle, Kotlin's SelectClause. The key is a string with a tilde, as
// Standard Schema's: it sorts last in completions, and declarations need no inference for it, which
// they do for a symbol of our own.

import { reportUnhandled } from "./unhandled.ts";
import type { Waiter } from "./waiter.ts";
import type { WaitList } from "./wait_list.ts";

/** What a case gives. `done` says that the thing has ended: closed and drained. */
export interface Selected<T> {
  /** What was received, acquired or resolved. */
  readonly value: T;
  /** Whether the thing has ended; then `value` is `undefined`. */
  readonly done: boolean;
}

/** A thing that can be one of several waited for. */
export interface Selectable<T = unknown> {
  /** How it is waited for; for `select`, not for callers. */
  readonly "~select": SelectCase<T>;
}

/** How a thing is waited for. Nothing happens between `ready` and `take`: both are synchronous. */
export interface SelectCase<T = unknown> {
  /** Whether {@linkcode SelectCase.take} would succeed, or throw, right now. No effect. */
  ready(): boolean;
  /** Does it. Only when ready. @throws The error that the thing has ended with. */
  take(): Selected<T>;
  /** Whether {@linkcode SelectCase.take} would give `done`; missing where that never happens. */
  ended?(): boolean;
  /** Lets `branch` wait for the next time it is ready; then settle or fail it, once. */
  enlist(branch: SelectBranch<T>): void;
  /** Takes `branch` back: another case was chosen. */
  delist(branch: SelectBranch<T>): void;
  /**
   * Lets `branch` wait until it is ready, without taking anything, and settles it at once if it is:
   * for `wait` and `iwait`. Missing where waiting and taking cannot be told apart; such a thing is
   * for `select` only.
   */
  watch?(branch: SelectBranch<T>): void;
}

/** One case of a select that waits. Settling it commits the select to it. */
export interface SelectBranch<T = unknown> {
  /** The case was chosen, with this result. */
  settle(selected: Selected<T>): void;
  /** The thing has failed: the select rejects with `error`. */
  fail(error: unknown): void;
}

/** What a thing without a value gives. */
export const NOTHING: Selected<undefined> = Object.freeze({ value: undefined, done: false });

/** Enlists a branch, which is a waiter, for a thing whose waiters stand in `list`. */
export function enlist(branch: SelectBranch, list: WaitList, payload?: unknown): void {
  const waiter = branch as Waiter;
  waiter.payload = payload;
  list.push(waiter);
}

/** Takes such a branch back. */
export function delist(branch: SelectBranch): void {
  (branch as Waiter).withdraw();
}

/**
 * Takes `branch` back from a case. What a case of the user's own throws is told to `onUnhandled`: it must
 * not end a kill half-way, nor stop the clock, nor reach whoever served another case.
 */
export function takeBack(selectCase: SelectCase, branch: Waiter): void {
  try {
    selectCase.delist(branch);
  } catch (error) {
    reportUnhandled(error);
  }
}

/** Settles every waiter of `list` with `value`, first come first served. */
export function serveAll(list: WaitList, value: unknown): void {
  for (let waiter = list.first; waiter !== null; waiter = list.first) serve(waiter, value);
}

/** Fails every waiter of `list`. */
export function failAll(list: WaitList, error: unknown): void {
  for (let waiter = list.first; waiter !== null; waiter = list.first) waiter.fail(error);
}

/** Settles a waiter with a value: a branch wants it as {@linkcode Selected}. */
export function serve(waiter: Waiter, value: unknown): void {
  waiter.settle(waiter.group === null ? value : { value, done: false });
}
