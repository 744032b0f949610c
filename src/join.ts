// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waiting for many tasks, and killing many.
 *
 * @module
 */

import { currentContext } from "./_kernel/current.ts";
import { type Branch, WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { checkOptions, refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";
import { DeadlockError, killError } from "./errors.ts";
import {
  currentTask,
  endOf,
  endOrder,
  holdTask,
  killTask,
  observeTask,
  releaseTask,
  Task,
  type TaskWatcher,
  unwatchTask,
  watchTask,
} from "./task.ts";

/** Options of {@linkcode joinAll}. */
export interface JoinAllOptions extends WaitOptions {
  /** Ends the wait when so many tasks have ended: an integer >= 0. @default {Infinity} */
  count?: number | undefined;
  /** Rejects with the error of the first task that fails, in the order in which they end. @default {false} */
  raiseError?: boolean | undefined;
  /**
   * Kills the tasks that are left when the wait ends before all have ended (by a failure, the count or
   * the timeout), and waits for their clean-up.
   *
   * @default {false}
   */
  killOthers?: boolean | undefined;
}

/**
 * Waits until all `tasks` have ended. Resolves to the ended tasks in the order in which they ended,
 * each once; if `timeout` or `count` ends the wait before, to those that have ended so far.
 *
 * @param tasks The tasks.
 * @param options How long, how many, and what a failure does.
 * @throws The error of the first failed task, with `raiseError`.
 * @throws {TypeError} If `tasks` is not iterable, or one of them is no task.
 * @throws {RangeError} If `count` is no integer >= 0.
 * @throws {DeadlockError} If a task would wait for itself.
 *
 * @example The wall time of the longest
 * ```ts
 * import { joinAll, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const tasks = [3, 1, 2].map((n) => spawn(async () => {
 *   await sleep(n * 10);
 *   return n;
 * }));
 * const ended = await joinAll(tasks);
 * assertEquals(ended.map((task) => task.value), [1, 2, 3]);
 * ```
 */
export async function joinAll<T extends Task>(
  tasks: Iterable<T>,
  options: JoinAllOptions = {},
): Promise<T[]> {
  const unique = taskSet("join tasks", tasks);
  const { count, raiseError = false, killOthers = false } = options;
  if (count !== undefined && count !== Infinity && !(Number.isInteger(count) && count >= 0)) {
    throw new RangeError(`Cannot join tasks: count must be an integer >= 0, got ${count}`);
  }
  const refused = refuse("join tasks", options);
  if (refused !== null) return refused;
  const current = currentTask();
  if (current !== undefined && unique.has(current as T) && !current.ready) {
    throw new DeadlockError(`Cannot join tasks: task "${current.name}" would wait for itself`);
  }
  const join = new Join(unique, count ?? Infinity, raiseError);
  const ended = await join.wait(options);
  try {
    if (killOthers && ended.length < unique.size) await killEach(unique);
  } catch (error) {
    // A deadlock of their clean-up does not outrank the failure.
    if (join.failed === undefined) throw error;
  }
  if (join.failed !== undefined) throw join.failed.error;
  return ended;
}

/**
 * Kills all `tasks` at once and waits until they have ended, clean-up included. Those that have not
 * started never run.
 *
 * @param tasks The tasks.
 * @param reason As for {@linkcode Task.kill}.
 * @param options How long to wait; the kill itself is not held back.
 * @throws {TimeoutError} If `options.timeout` is over first.
 * @throws {TypeError} If `tasks` is not iterable, or one of them is no task.
 *
 * @example All of them
 * ```ts
 * import { killAll, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const tasks = [1, 2].map(() => spawn(() => sleep(60_000)));
 * await killAll(tasks);
 * assertEquals(tasks.map((task) => task.state), ["killed", "killed"]);
 * ```
 */
export function killAll(
  tasks: Iterable<Task>,
  reason?: unknown,
  options?: WaitOptions,
): Promise<void> {
  let unique: Set<Task>;
  try {
    unique = taskSet("kill tasks", tasks);
    if (options !== undefined) checkOptions("kill tasks", options);
  } catch (error) {
    return Promise.reject(error);
  }
  const current = currentTask();
  const own = current !== undefined && unique.has(current);
  const killed = killEach(unique, reason, options);
  // What rejects with the kill of its own task counts as handled though nobody awaits it.
  if (own) killed.catch(() => {});
  return killed;
}

/** Kills `tasks` and waits, shielded, until all have ended; the caller's own end it cannot await. */
async function killEach(
  tasks: Set<Task>,
  reason?: unknown,
  options?: WaitOptions,
): Promise<void> {
  const error = killError(reason, "Task was killed");
  const current = currentTask();
  const own = current !== undefined && !current.ready && tasks.delete(current);
  for (const task of tasks) killTask(task, error);
  if (own) killTask(current, error);
  if (options?.signal?.aborted === true) throw options.signal.reason;
  await new Join(tasks, Infinity, false).waitShielded(options);
  if (own) throw currentContext()!.reason;
}

/** The wait for the end of several tasks. */
class Join<T extends Task> implements TaskWatcher, WaitOwner {
  readonly [Symbol.toStringTag] = "tasks";
  /** The task whose failure ended the wait. */
  failed: T | undefined = undefined;
  #holds = false;
  readonly #ended: T[] = [];
  readonly #count: number;
  readonly #raiseError: boolean;
  readonly #tasks: ReadonlySet<T>;
  readonly #list: WaitList = new WaitList(this, "join tasks");

  constructor(tasks: Set<T>, count: number, raiseError: boolean) {
    this.#tasks = tasks;
    this.#count = Math.min(count, tasks.size);
    this.#raiseError = raiseError;
    for (const task of tasks) if (task.ready) this.#ended.push(task);
    this.#ended.sort((a, b) => endOrder(a) - endOrder(b));
    const failed = raiseError ? this.#ended.findIndex((task) => task.state === "failed") : -1;
    if (failed >= 0 && failed < this.#count) this.failed = this.#ended[failed];
    if (this.#done) this.#ended.length = this.failed === undefined ? this.#count : failed + 1;
    else for (const task of tasks) if (!task.ready) watchTask(task, this);
  }

  /** Resolves to the ended tasks, whose ends the caller then has got. */
  async wait(options?: WaitOptions): Promise<T[]> {
    // Until it is clear whether the caller gets them, nobody may call their failures unobserved.
    this.#holds = true;
    this.#ended.forEach(holdTask);
    try {
      if (!this.#done) await new Waiter<T[]>().park(this.#list, options, this.#ended);
      this.#ended.forEach(observeTask);
      return this.#ended;
    } finally {
      this.#ended.forEach(releaseTask);
    }
  }

  /** {@linkcode wait} out of reach of kills; rejects when `options.timeout` is over. */
  waitShielded(options?: WaitOptions): Promise<T[]> {
    if (this.#done) return Promise.resolve(this.#ended);
    return new Waiter<T[]>().parkShielded(this.#list, options);
  }

  taskEnded(task: Task): void {
    this.#ended.push(task as T);
    if (this.#holds) holdTask(task);
    if (this.#raiseError && task.state === "failed") this.failed = task as T;
    if (!this.#done) return;
    this.#list.first!.settle(this.#ended);
    this["~waiterLeft"]();
  }

  /** The tasks that have not ended. For dumps. */
  *"~branches"(): Iterable<Branch> {
    for (const task of this.#tasks) if (!task.ready) yield endOf(task);
  }

  /** The wait is over: watches no more. */
  "~waiterLeft"(): void {
    // Those too that have ended: one may be about to tell of it.
    for (const task of this.#tasks) unwatchTask(task, this);
  }

  get #done(): boolean {
    return this.failed !== undefined || this.#ended.length >= this.#count;
  }
}

function taskSet<T extends Task>(verb: string, tasks: Iterable<T>): Set<T> {
  if (
    typeof (tasks as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator] !==
      "function"
  ) {
    throw new TypeError(`Cannot ${verb}: tasks must be iterable, got ${typeof tasks}`);
  }
  const unique = new Set(tasks);
  for (const task of unique) {
    if (!(task instanceof Task)) {
      throw new TypeError(`Cannot ${verb}: each must be a task, got ${typeof task}`);
    }
  }
  return unique;
}
