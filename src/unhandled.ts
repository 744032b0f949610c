// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Where errors go that nobody can catch.
 *
 * @module
 */

import { installUnhandled, type UnhandledHook } from "./_kernel/unhandled.ts";
import type { Task } from "./task.ts";

/**
 * Calls `hook(error, task)` once for each failure that nobody observes: of a task whose end nobody got
 * within a macrotask, of a link, of an `onUndelivered` hook (`task` is then `undefined`). Hooks add up
 * and replace the default, which is the host's unhandled rejection. A killed task is no failure.
 *
 * @returns A disposable that removes the hook.
 * @throws {TypeError} If `hook` is no function.
 *
 * @example Told once
 * ```ts
 * import { Channel, onUnhandled, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const told = new Channel<string>({ capacity: 1 });
 * using _hook = onUnhandled((error, task) => told.trySend(`${task?.name}: ${error}`));
 * spawn({ name: "careless" }, () => {
 *   throw new Error("nobody looks");
 * });
 * assertEquals(await told.receive(), "careless: Error: nobody looks");
 * ```
 */
export function onUnhandled(hook: (error: unknown, task: Task | undefined) => void): Disposable {
  if (typeof hook !== "function") {
    throw new TypeError(`Cannot install hook: it must be a function, got ${typeof hook}`);
  }
  const remove = installUnhandled(hook as UnhandledHook);
  return { [Symbol.dispose]: remove };
}
