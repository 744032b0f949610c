// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Where tracing, virtual time and schedule exploration attach. Nothing listens by default,
 * and then a hook costs one null check.
 *
 * @module
 */

import type { Context } from "./current.ts";
import type { Waiter } from "./waiter.ts";

/** What can be listened to. A hook runs synchronously and must not throw. */
export interface Hooks {
  /** `waiter` has parked. Its `list` says on what, its `context` for whom. */
  parked?(waiter: Waiter): void;
  /** `waiter` has ended; it is unlinked already, its promise still pending. */
  ended?(waiter: Waiter): void;
  /**
   * Takes over the moment at which the one who waits goes on: `wake` must be called once.
   * What was handed over stays handed over; only the order of going on is free.
   */
  waking?(waiter: Waiter, wake: () => void): void;
  /** A task began to exist (`context.task` is the task). */
  spawned?(context: Context): void;
  /** The task of `context` has ended. */
  finished?(context: Context): void;
}

/** The one listener; several share it by chaining to the former one. */
export const hooks: { on: Hooks | null } = { on: null };
