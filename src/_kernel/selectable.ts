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

import type { Waiter } from "./waiter.ts";

/** What a case gives. `done` says that the thing has ended: closed and drained. */
export interface Selected<T> {
  readonly value: T;
  readonly done: boolean;
}

/** A thing that can be one of several waited for. */
export interface Selectable<T = unknown> {
  /** How it is waited for; for `select`, not for callers. */
  readonly "~select": SelectCase<T>;
}

/** How it is waited for. Nothing happens between `ready` and `take`: both are synchronous. */
export interface SelectCase<T = unknown> {
  /** Whether {@linkcode take} would succeed, or throw, right now. No effect. */
  ready(): boolean;
  /** Does it. Only when ready. @throws The error the thing has ended with. */
  take(): Selected<T>;
  /**
   * Enlists `branch`, a waiter of a group, for the next time it is ready. It is settled with a
   * {@linkcode Selected}, or failed, and `withdraw()` takes it back.
   */
  enlist(branch: Waiter): void;
}
