// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Tasks that belong together: none outlives the block that spawned it.
 *
 * @module
 */

// Invariants
//  1. scope() settles only after every child has ended, clean-up included, unless that is in a deadlock.
//  2. The first real error decides, whoever had it; a kill or an outer limit never outranks it.
//  3. The closing wait is out of reach of kills; a kill goes to the children instead.
//  4. #children holds those that have not ended. Tear-down works through it as a list: depth is no
//     matter.
// Source: Trio's nurseries, Kotlin's coroutineScope and supervisorScope, Erlang's supervisors. Dropped:
// a disposable scope, which cannot see the error of its body; grouping errors, whose class would then
// depend on timing.

import { type AbortTarget, unwatchAbort, watchAbort } from "./_kernel/abort.ts";
import { Context, currentContext, isForced, ROOT, runIn } from "./_kernel/current.ts";
import { tellUnhandled } from "./_kernel/unhandled.ts";
import { type Branch, WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { refuse, Waiter } from "./_kernel/waiter.ts";
import { isKilled, KilledError, killError } from "./errors.ts";
import { spawn } from "./spawn.ts";
import { Restarts, type SuperviseOptions } from "./supervise.ts";
import {
  callBody,
  currentTask,
  endOf,
  killTask,
  observeTask,
  type Task,
  type TaskOptions,
  type TaskResult,
  type TaskWatcher,
  watchTask,
} from "./task.ts";

/** Errors that a scope keeps; a supervisor may live for ever. */
const MOST_ERRORS = 1000;

/** Options of a {@linkcode scope}. */
export interface ScopeOptions {
  /** Name for messages and dumps. */
  name?: string | undefined;
  /** Kills the scope when it aborts, with its reason. */
  signal?: AbortSignal | undefined;
  /**
   * A failing child does not touch its siblings: its error goes to `errors` and to the `onUnhandled`
   * hooks. With options it is restarted.
   *
   * @default {false}
   */
  supervise?: boolean | SuperviseOptions | undefined;
}

/** What the body of a {@linkcode scope} works with. */
export interface Scope {
  /**
   * Starts a child; see the function `spawn`.
   *
   * @throws {TypeError} If the scope has ended.
   * @throws The reason, if the scope is killed or has failed.
   */
  spawn<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Task<TaskResult<R>>;
  /** Starts a child with options. A `daemon` is killed instead of awaited when the body ends. */
  spawn<A extends unknown[], R>(
    options: TaskOptions,
    fn: (...args: A) => R,
    ...args: A
  ): Task<TaskResult<R>>;
  /** Kills every child, and makes the waits of the body reject with `reason`. */
  kill(reason?: unknown): void;
  /** The real errors so far, in the order in which they came; of more than 1,000 the newest. */
  readonly errors: readonly unknown[];
  /** How many children have not ended. */
  readonly size: number;
  /** The name, if one was given. */
  readonly name: string | undefined;
}

/**
 * Runs `body(s)`, whose children are started with `s.spawn`, and waits for all of them; resolves to
 * what the body gives. The first failure, of a child or the body, kills the others and makes the
 * body's own waits reject; after all clean-up it rejects with that very error. Later ones are on
 * `s.errors` and are told to the `onUnhandled` hooks. A plain `spawn` inside is not a child.
 *
 * @param body The body.
 * @param options Name, signal, supervision.
 * @throws The first real error of the body or a child.
 * @throws The reason, if the scope or its task was killed and nothing failed.
 * @throws {DeadlockError} If nothing can end its children any more; they are killed first.
 * @throws {TypeError} If `body` is no function.
 *
 * @example The first error ends all
 * ```ts
 * import { scope, sleep } from "@baozi/baozi";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const ended: string[] = [];
 * await assertRejects(() =>
 *   scope(async (s) => {
 *     s.spawn(async () => {
 *       try {
 *         await sleep(60_000);
 *       } finally {
 *         ended.push("sibling");
 *       }
 *     });
 *     s.spawn(async () => {
 *       await sleep(1);
 *       throw new Error("first");
 *     });
 *   }), Error, "first");
 * assertEquals(ended, ["sibling"]);
 * ```
 */
export async function scope<T>(
  body: (s: Scope) => T,
  options: ScopeOptions = {},
): Promise<Awaited<T>> {
  if (typeof body !== "function") {
    throw new TypeError(`Cannot open scope: body must be a function, got ${typeof body}`);
  }
  const refused = refuse("open scope", { signal: options.signal });
  if (refused !== null) return refused;
  return await new Nursery(options).run(body);
}

/** The scope, behind its interface. */
class Nursery implements Scope, TaskWatcher, WaitOwner {
  readonly [Symbol.toStringTag] = "scope";
  readonly name: string | undefined;
  readonly errors: unknown[] = [];
  readonly #context: ScopeContext;
  readonly #signal: AbortSignal | undefined;
  readonly #supervised: boolean;
  readonly #restarts: Restarts | undefined;
  readonly #children: Set<Task> = new Set();
  readonly #closing: WaitList = new WaitList(this, "close scope");
  #daemons = 0;
  #ended = false;
  /** The error that the scope rejects with. */
  #first: { readonly error: unknown } | undefined = undefined;
  /** The kill came from this scope: what the body gives all the same counts. */
  #ownKill = false;

  constructor(options: ScopeOptions) {
    const { name, signal, supervise = false } = options;
    this.name = name;
    this.#signal = signal;
    if (typeof supervise !== "boolean" && (typeof supervise !== "object" || supervise === null)) {
      throw new TypeError(
        `Cannot open scope: supervise must be a boolean or options, got ${String(supervise)}`,
      );
    }
    this.#supervised = supervise !== false;
    this.#restarts = typeof supervise === "object" ? new Restarts(supervise) : undefined;
    // Last: one that is made and then refused would stay below its parent.
    this.#context = new ScopeContext(this);
  }

  async run<T>(body: (s: Scope) => T): Promise<Awaited<T>> {
    const context = this.#context;
    if (this.#signal != null) watchAbort(this.#signal, context);
    let value: Awaited<T> | undefined;
    let stopped = false;
    try {
      value = await runIn(context, body, this as Scope);
      stopped = isForced(context);
    } catch (error) {
      stopped = context.cancelled && error === context.reason;
      if (stopped) this.killChildren(error);
      else this.#fail(error, undefined);
    }
    for (let closed = false; !closed;) {
      try {
        while (this.#children.size > this.#daemons) await this.#childEnd();
        this.#ended = true;
        this.killChildren(new KilledError("Daemon was killed: its scope has ended"));
        while (this.#children.size > 0) await this.#childEnd();
        closed = true;
      } catch (error) {
        // Only a deadlock. To fail kills the children; those that are killed already nothing will end.
        closed = this.#ended || context.cancelled;
        this.#fail(error, undefined);
      }
    }
    if (this.#signal != null) unwatchAbort(this.#signal, context);
    context.end();
    if (this.#first !== undefined) throw this.#first.error;
    if (stopped || (context.cancelled && !this.#ownKill)) throw context.reason;
    return value!;
  }

  spawn(...spec: unknown[]): Task<never> {
    if (this.#context.cancelled) throw this.#context.reason;
    if (this.#ended) {
      throw new TypeError("Cannot spawn into scope: it must be open, but it has ended");
    }
    if (this.#restarts !== undefined) spec = this.#supervise(spec);
    const task = spawn(...spec as [() => never]);
    if (task.ready) return task as Task<never>; // its signal had aborted: nobody would tell its end
    if (task.daemon) this.#daemons++;
    this.#children.add(task);
    watchTask(task, this);
    return task as Task<never>;
  }

  kill(reason?: unknown): void {
    if (this.#context.cancelled) return;
    this.#ownKill = true;
    this.#context.cancel(killError(reason, "Scope was killed"));
  }

  get size(): number {
    return this.#children.size;
  }

  taskEnded(task: Task): void {
    this.#children.delete(task);
    if (task.daemon) this.#daemons--;
    observeTask(task);
    if (task.state === "failed") this.#childFailed(task);
    this.#closing.first?.settle(undefined);
  }

  /** What it waits on. For dumps. */
  *"~branches"(): Iterable<Branch> {
    for (const child of this.#children) yield endOf(child);
  }

  killChildren(reason: unknown): void {
    // The error of a time limit is no kill, and must not become one by being the reason of kills.
    const kill = isKilled(reason)
      ? reason
      : new KilledError("Task was killed: the limit of its scope is over", { cause: reason });
    for (const child of this.#children) killTask(child, kill);
  }

  /** Waits for the end of a child, out of reach of kills. */
  #childEnd(): Promise<void> {
    return new Waiter<void>().parkShielded(this.#closing);
  }

  #childFailed(task: Task): void {
    if (this.#supervised && this.#restarts?.gaveUp(task.error) !== true) {
      this.#report(task.error, task);
    } else this.#fail(task.error, task);
  }

  /** Fails the scope; after the first error more are only noted. */
  #fail(error: unknown, task: Task | undefined): void {
    if (this.#first !== undefined) return this.#report(error, task);
    this.#first = { error };
    this.#note(error);
    if (!this.#context.cancelled) {
      this.#context.cancel(
        new KilledError("Task was killed: its scope has failed", { cause: error }),
      );
    }
  }

  #report(error: unknown, task: Task | undefined): void {
    this.#note(error);
    tellUnhandled(error, task);
  }

  #note(error: unknown): void {
    if (this.errors.push(error) > MOST_ERRORS) this.errors.shift();
  }

  /** Wraps the function of a spawn so that it is run again by the restart policy. */
  #supervise(spec: unknown[]): unknown[] {
    const restarts = this.#restarts!;
    const at = typeof spec[0] === "function" ? 0 : 1;
    const fn = spec[at];
    if (typeof fn !== "function") return spec; // spawn() says what is wrong
    const again = (...args: unknown[]) =>
      restarts.run(
        () => callBody(fn as () => unknown, args),
        (error) => this.#report(error, currentTask()),
      );
    return [...spec.slice(0, at), again, ...spec.slice(at + 1)];
  }
}

/** The context of a scope's body: what cancels it goes on to the children. */
class ScopeContext extends Context implements AbortTarget {
  readonly #nursery: Nursery;

  constructor(nursery: Nursery) {
    super(currentContext() ?? ROOT);
    this.#nursery = nursery;
  }

  aborted(reason: unknown): void {
    this.#nursery.kill(reason);
  }

  override wasCancelled(reason: unknown): void {
    this.#nursery.killChildren(reason);
  }
}
