// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Starting tasks.
 *
 * @module
 */

import { checkSignal } from "./_kernel/abort.ts";
import { checkMs } from "./_kernel/clock.ts";
import { createTask, type Start, type Task, type TaskOptions, type TaskResult } from "./task.ts";

/**
 * Starts `fn(...args)` as a task. Tasks start in the order of their spawns and never synchronously:
 * the caller goes on until it waits. `fn` may be a plain function, an async one, or a generator
 * function, whose yields are then checkpoints: others run, and a kill arrives. The task is
 * independent of the one that spawned it, and inherits its task locals and the values of the user's own
 * `AsyncLocalStorage`s.
 *
 * @param fn The function.
 * @param args Its arguments.
 * @throws {TypeError} If `fn` is no function.
 *
 * @example Concurrent, in order
 * ```ts
 * import { joinAll, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const tasks = [30, 10, 20].map((ms) => spawn(() => sleep(ms)));
 * const finished = await joinAll(tasks);
 * assertEquals(finished.map((task) => tasks.indexOf(task)), [1, 2, 0]);
 * ```
 */
export function spawn<A extends unknown[], R>(
  fn: (...args: A) => R,
  ...args: A
): Task<TaskResult<R>>;
/**
 * Starts `fn(...args)` as a task with options: a name, a signal that kills it.
 *
 * @param options The options.
 * @param fn The function.
 * @param args Its arguments.
 */
export function spawn<A extends unknown[], R>(
  options: TaskOptions,
  fn: (...args: A) => R,
  ...args: A
): Task<TaskResult<R>>;
export function spawn(...spec: unknown[]): Task {
  return create(0, spec);
}

/**
 * {@linkcode spawn} after `ms` milliseconds. A kill before that means that it never runs.
 *
 * @param ms Milliseconds, >= 0; `Infinity` is never.
 * @param fn The function.
 * @param args Its arguments.
 * @throws {RangeError} If `ms` is negative or NaN.
 * @throws {TypeError} If `fn` is no function.
 *
 * @example Later
 * ```ts
 * import { spawnLater } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await spawnLater(5, (name: string) => `hello ${name}`, "you"), "hello you");
 * ```
 */
export function spawnLater<A extends unknown[], R>(
  ms: number,
  fn: (...args: A) => R,
  ...args: A
): Task<TaskResult<R>>;
/**
 * {@linkcode spawnLater} with options.
 *
 * @param ms Milliseconds, >= 0; `Infinity` is never.
 * @param options The options.
 * @param fn The function.
 * @param args Its arguments.
 */
export function spawnLater<A extends unknown[], R>(
  ms: number,
  options: TaskOptions,
  fn: (...args: A) => R,
  ...args: A
): Task<TaskResult<R>>;
export function spawnLater(ms: number, ...spec: unknown[]): Task {
  checkMs("spawn task", "ms", ms);
  return create(ms, spec);
}

/** {@linkcode spawn} for one who called before, and made `start` then; for pools. */
export function spawnBy(start: Start, spec: unknown[]): Task {
  return create(0, spec, start);
}

/** Reads `(fn, ...args)` or `(options, fn, ...args)`. */
function create(ms: number, spec: unknown[], start?: Start): Task {
  const options = checkSpec(spec);
  if (options !== undefined) spec.shift();
  const fn = spec.shift() as () => unknown;
  return createTask(ms, fn, spec, options, undefined, start);
}

/** Checks what `spawn` takes, and gives the options in it; for pools, where a spawn may have to wait. */
export function checkSpec(spec: unknown[]): TaskOptions | undefined {
  const first = spec[0];
  const options = typeof first === "object" && first !== null ? first as TaskOptions : undefined;
  const fn = options === undefined ? first : spec[1];
  if (typeof fn !== "function") {
    throw new TypeError(
      `Cannot spawn task: fn must be a function, got ${fn === null ? "null" : typeof fn}`,
    );
  }
  if (options !== undefined) {
    const { name, signal } = options;
    if (name !== undefined && typeof name !== "string") {
      throw new TypeError(`Cannot spawn task: name must be a string, got ${typeof name}`);
    }
    if (signal != null) checkSignal("spawn task", signal);
  }
  return options;
}
