// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Values that belong to a task and are inherited by the tasks it spawns.
 *
 * @module
 */

import { Context, currentContext, ROOT, runIn } from "./_kernel/current.ts";

/**
 * A value per task. A task spawned later starts with a copy of what its spawner sees; from then on the
 * two are independent. Outside of all tasks the program has one value.
 *
 * @example Inherited, then independent
 * ```ts
 * import { spawn, TaskLocal } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const user = new TaskLocal("nobody");
 * user.set("ann");
 * const inner = await spawn(() => {
 *   const inherited = user.get();
 *   user.set("bob");
 *   return [inherited, user.get()];
 * });
 * assertEquals([inner, user.get()], [["ann", "bob"], "ann"]);
 * ```
 *
 * @typeParam T The type of the value.
 */
export class TaskLocal<T> {
  readonly #initial: T;

  /** Creates it; without `initial` the value is `undefined` until set. */
  constructor(...initial: undefined extends T ? [initial?: T] : [initial: T]) {
    this.#initial = initial[0] as T;
  }

  /** The value that the running code sees. */
  get(): T {
    const { locals } = (currentContext() ?? ROOT).base;
    return locals?.has(this) ? locals.get(this) as T : this.#initial;
  }

  /** Changes the value for the rest of the task, or of the innermost {@linkcode TaskLocal.run}. */
  set(value: T): void {
    const { base } = currentContext() ?? ROOT;
    base.locals = new Map(base.locals).set(this, value);
  }

  /**
   * Runs `fn` with `value`, and with changes made inside undone after it, however long it takes.
   *
   * @returns What `fn` returns.
   * @throws {TypeError} If `fn` is no function.
   *
   * @example Only inside
   * ```ts
   * import { TaskLocal } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const depth = new TaskLocal(0);
   * assertEquals(depth.run(1, () => depth.get()), 1);
   * assertEquals(depth.get(), 0);
   * ```
   */
  run<R>(value: T, fn: () => R): R {
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot run with task local: fn must be a function, got ${typeof fn}`);
    }
    const context = currentContext();
    const inner = Context.part(context);
    inner.locals = new Map((context ?? ROOT).base.locals).set(this, value);
    return runIn(inner, fn);
  }
}
