// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A task: a function that runs concurrently, with a name, a result, and a kill that reaches
 * every wait inside it.
 *
 * @module
 */

// Invariants
//  1. The state goes pending -> running -> one of the three ends, or pending -> killed; never back.
//  2. A kill cancels #context: from then on every library wait inside rejects with the same error.
//  3. At the end every waiter is settled, and nobody can enlist any more.
//  4. A failure is reported at most once, and only if nobody got the end of the task.
//  5. Every task that has not ended is in the list of live tasks, in the order of the spawns. It knows
//     its spawner by number only: a chain of tasks that spawn each other keeps no former one alive.
// Source: gevent's Greenlet (get, join, kill, link), Trio (level-triggered kill). A killed task is
// a state of its own here: gevent calls it successful, and its users were surprised.

import { type AbortTarget, unwatchAbort, watchAbort } from "./_kernel/abort.ts";
import { clock, type Timer, type TimerTarget } from "./_kernel/clock.ts";
import {
  callSoon,
  type Cancellable,
  Context,
  contextTravels,
  currentContext,
  Gate,
  isForced,
  observeIn,
  ROOT,
  runIn,
  runOutside,
} from "./_kernel/current.ts";
import { isGenerator } from "./_kernel/generator.ts";
import { isThenable } from "./_kernel/foreign.ts";
import { hooks } from "./_kernel/hooks.ts";
import { macrotask } from "./_kernel/host.ts";
import { showAsText } from "./_kernel/inspect.ts";
import { enqueue, isNewest, mayStart, type Runnable } from "./_kernel/run_queue.ts";
import {
  delist,
  enlist,
  NOTHING,
  type Selectable,
  type SelectCase,
  type Selected,
} from "./_kernel/selectable.ts";
import { reportUnhandled } from "./_kernel/unhandled.ts";
import { type Branch, WaitList } from "./_kernel/wait_list.ts";
import { checkOptions, refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";
import { describeWaits, textOfWaits, type WaitDump } from "./_kernel/waits.ts";
import { config } from "./config.ts";
import { DeadlockError, killError } from "./errors.ts";
import { sleep } from "./sleep.ts";

/** What a waiting caller wants of the end of a task. */
const GET = 0;
const JOIN = 1;
const KILL = 2;
const CASE = 3;

/** How many tasks one promise may hold back; they begin in one go. */
const MOST_TOGETHER = 64;

/** Where a task is in its life. */
export type TaskState = "pending" | "running" | "succeeded" | "failed" | "killed";

/** Called with a task that has ended. */
export type TaskLink<T> = (task: Task<T>) => void;

/** Told of the end of a task, synchronously and before those who wait for it. Must not throw. */
export interface TaskWatcher {
  /** `task` has ended. */
  taskEnded(task: Task): void;
}

/** Options of a spawn. */
export interface TaskOptions {
  /** Name for messages and dumps. @default {"task-" and the id} */
  name?: string | undefined;
  /** In a scope: killed instead of awaited when the body ends. @default {false} */
  daemon?: boolean | undefined;
  /** Kills the task when it aborts, with its reason. */
  signal?: AbortSignal | undefined;
}

interface Link {
  readonly callback: (task: never) => void;
  readonly when: "end" | "value" | "error";
}

/** What a function gives a task: the return value of a generator, else what it resolves to. */
export type TaskResult<R> = R extends AsyncGenerator<unknown, infer T, unknown> ? T
  : R extends Generator<unknown, infer T, unknown> ? T
  : Awaited<R>;

// What the kernel calls in the context of a task: one function for all of them.
const BEGIN = (): void => begin(runningTask());
const SUCCEEDED = (value: unknown): void => succeed(runningTask(), value);
const FAILED = (error: unknown): void => fail(runningTask(), error);
const runningTask = (): Task => currentContext()!.task as Task;

/** Makes a task, or one of a subclass, that starts in `ms` milliseconds; for the spawning functions. */
export let createTask: (
  ms: number,
  fn: (...args: never[]) => unknown,
  args: unknown[],
  options?: TaskOptions,
  kind?: typeof Task,
  start?: Start,
) => Task;
/** Lets `watcher` know of the end of a task that has not ended. For those who watch many: no list, no waiter. */
export let watchTask: (task: Task, watcher: TaskWatcher) => void;
/** Takes back {@linkcode watchTask}. */
export let unwatchTask: (task: Task, watcher: TaskWatcher) => void;
/** The place of a task in the order in which all tasks ended, `0` before; for `joinAll`. */
export let endOrder: (task: Task) => number;
/** Notes that somebody got the end of the task; for `joinAll`. */
export let observeTask: (task: Task) => void;
/** Puts off the judgement of an ended task whose end somebody may still get; for `joinAll`. */
export let holdTask: (task: Task) => void;
/** Takes back {@linkcode holdTask}. */
export let releaseTask: (task: Task) => void;
/** Whether a task waits for something that no kill reaches: it cleans up; for patched timers. */
export let waitsShielded: (task: Task) => boolean;
/** Calls the function of a task whose turn has come. */
let begin: (task: Task) => void;
/** Ends a task whose function has resolved, or rejected. */
let succeed: (task: Task, value: unknown) => void;
let fail: (task: Task, error: unknown) => void;
/** Calls the links of a task that has ended. */
let callLinks: (task: Task) => void;
/** Does what `kill` does, without the wait; for those that kill many. */
export let killTask: (task: Task, reason: unknown) => void;
/** Tells the users of `task.signal` of a kill. */
let abortSignal: (task: Task, reason: unknown) => void;
/** Reports the failure of a task unless somebody got it. */
let judge: (task: Task) => void;
/** Where a task was spawned, nearest frame first, if that was kept. */
export let spawnFramesOf: (task: Task) => string[] | undefined;

let creating = false;
let lastId = 0;
let lastEnd = 0;

/**
 * A running function: `spawn` makes it. Awaiting it gives the result.
 *
 * A kill takes effect at once and stays: every library wait inside rejects with its reason until the
 * task ends, and what catches it meets it again at the next one. `shield` protects clean-up that must
 * wait. A raw `await` of a foreign promise cannot be interrupted; `until` makes it a library wait.
 *
 * @example Spawn, wait, kill
 * ```ts
 * import { sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const sum = spawn((a: number, b: number) => a + b, 1, 2);
 * const slow = spawn(() => sleep(60_000));
 * assertEquals(await sum, 3);
 * assertEquals(await slow.kill(), true);
 * assertEquals([sum.state, slow.state], ["succeeded", "killed"]);
 * ```
 *
 * @typeParam T What it results in.
 */
export class Task<T = unknown> implements PromiseLike<T>, AsyncDisposable, Selectable<T> {
  /** A number of its own, counted from 1. */
  readonly id: number = ++lastId;
  /** In a scope: killed instead of awaited when the body ends. */
  readonly daemon: boolean;
  readonly #name: string | undefined;
  readonly #context: TaskContext;
  #fn: ((...args: never[]) => unknown) | null;
  #args: unknown[] | null;
  #state: TaskState = "pending";
  /** The value, or the error, by state. */
  #result: unknown = undefined;
  #endOrder = 0;
  #observed = false;
  /** How many still may get the end: it is judged when there are none. */
  #holds = 0;
  #killed = false;
  #waiters: WaitList | null = null;
  /** Most tasks are watched by one or two: a pool, a scope, a `joinAll`. */
  #watchers: TaskWatcher | Pair | Set<TaskWatcher> | null = null;
  #links: Array<Link> | null = null;
  #controller: AbortController | null = null;

  static {
    createTask = (ms, fn, args, options, kind = Task, start) => {
      creating = true;
      const task = new kind(fn, args, options);
      if (task.#state !== "pending") return task;
      if (start === undefined) task.#context.startIn(ms);
      else task.#context.startBy(start);
      return task;
    };
    watchTask = (task, watcher) => {
      const watchers = task.#watchers;
      if (watchers === null) task.#watchers = watcher;
      else if (watchers instanceof Set) watchers.add(watcher);
      else if (watchers instanceof Pair) {
        task.#watchers = new Set([watchers.first, watchers.second, watcher]);
      } else task.#watchers = new Pair(watchers, watcher);
    };
    unwatchTask = (task, watcher) => {
      const watchers = task.#watchers;
      if (watchers === watcher) task.#watchers = null;
      else if (watchers instanceof Set) watchers.delete(watcher);
      else if (watchers instanceof Pair) task.#watchers = watchers.without(watcher);
    };
    endOrder = (task) => task.#endOrder;
    observeTask = (task) => {
      task.#observed = true;
    };
    holdTask = (task) => {
      task.#holds++;
    };
    releaseTask = (task) => {
      if (--task.#holds === 0) task.#judgeLater();
    };
    begin = (task) => {
      if (task.#state !== "pending") return;
      if (hooks.on !== null) hooks.on.starting?.(task.#context);
      // Where the context does not travel (browsers) the function is told its task.
      const fn = task.#fn!, args = contextTravels() ? task.#args! : [...task.#args!, task];
      task.#state = "running";
      task.#fn = null;
      task.#args = null;
      try {
        const running = callBody(fn, args);
        if (!isThenable(running)) task.#end("succeeded", running);
        else observeIn(task.#context, Promise.resolve(running), SUCCEEDED, FAILED);
      } catch (error) {
        task.#fail(error);
      }
      if (hooks.on !== null) hooks.on.started?.(task.#context);
    };
    succeed = (task, value) => task.#succeed(value);
    fail = (task, error) => task.#fail(error);
    waitsShielded = (task) => task.#context.parked().shielded.length > 0;
    callLinks = (task) => task.#callLinks();
    killTask = (task, reason) => task.#kill(reason);
    abortSignal = (task, reason) => task.#controller?.abort(reason);
    judge = (task) => {
      if (task.#observed || task.#holds > 0) return;
      task.#observed = true;
      reportUnhandled(task.#result, task);
    };
    spawnFramesOf = (task) => framesOf(spawnStacks.get(task.#context));
    showAsText(Task.prototype);
  }

  /** Tasks are made by `spawn`, and those of a subclass by its own functions. */
  protected constructor(fn: (...args: never[]) => unknown, args: unknown[], options?: TaskOptions) {
    if (!creating) throw new TypeError("Cannot construct task: spawn() makes one");
    creating = false;
    this.#fn = fn;
    this.#args = args;
    this.#name = options?.name;
    this.daemon = options?.daemon === true;
    this.#context = new TaskContext(this as Task);
    if (hooks.on !== null) hooks.on.spawned?.(this.#context);
    if (options?.signal != null) this.#context.follow(options.signal);
  }

  /**
   * Waits for the result. Any number of callers may.
   *
   * @throws The error of the task, if it failed or was killed.
   * @throws {TimeoutError} If `options.timeout` is over first; the task goes on.
   * @throws {DeadlockError} If the task waits for itself.
   *
   * @example With a limit
   * ```ts
   * import { spawn } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * assertEquals(await spawn(() => "done").get({ timeout: 1000 }), "done");
   * ```
   */
  get(options?: WaitOptions): Promise<T> {
    const refused = refuse("get the task's result", options) ?? this.#refuseSelf("get");
    if (refused !== null) return refused;
    if (this.#endOrder > 0) {
      this.#observed = true;
      return this.#state === "succeeded"
        ? Promise.resolve(this.#result as T)
        : Promise.reject(this.#result);
    }
    return new Waiter<T>(GET).park(this.#list, options);
  }

  /**
   * Waits for the end and never throws the task's error. `false` if `options.timeout` is over first.
   *
   * @throws {DeadlockError} If the task waits for itself.
   *
   * @example However it ends
   * ```ts
   * import { spawn } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const task = spawn(() => {
   *   throw new Error("no");
   * });
   * assertEquals([await task.join(), task.state], [true, "failed"]);
   * ```
   */
  join(options?: WaitOptions): Promise<boolean> {
    const refused = refuse("join task", options) ?? this.#refuseSelf("join");
    if (refused !== null) return refused;
    if (this.#endOrder > 0) {
      this.#observed = true;
      return Promise.resolve(true);
    }
    return new Waiter<boolean>(JOIN).park(this.#list, options, false);
  }

  /**
   * Kills the task at once, whether or not the promise is awaited. It resolves when the task has ended,
   * `finally` blocks included: `true`, or `false` if `options.timeout` is over first. One that has not
   * started never runs; one that has ended stays as it is. The first kill's reason counts. The wait is
   * shielded from kills of the caller.
   *
   * @param reason What the waits inside reject with. One that is no `Error` becomes the `cause` of a
   * {@linkcode KilledError}.
   * @throws The reason, if a task awaits its own kill.
   *
   * @example Clean-up runs before the kill resolves
   * ```ts
   * import { sleep, spawn } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * let cleaned = false;
   * const task = spawn(async () => {
   *   try {
   *     await sleep(60_000);
   *   } finally {
   *     cleaned = true;
   *   }
   * });
   * await sleep(0);
   * await task.kill();
   * assertEquals(cleaned, true);
   * ```
   */
  kill(reason?: unknown, options?: WaitOptions): Promise<boolean> {
    // A wrong option must not kill, an aborted signal only ends the wait.
    try {
      if (options !== undefined) checkOptions("kill task", options);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#kill(reason);
    if (this.#endOrder > 0) return Promise.resolve(true);
    if (options?.signal?.aborted === true) return Promise.reject(options.signal.reason);
    if (currentTask() === this) {
      const own = Promise.reject(this.#context.reason);
      own.catch(ignore); // not awaited, it must not count as an unhandled rejection
      return own;
    }
    return new Waiter<boolean>(KILL).parkShielded(this.#list, options, false);
  }

  /**
   * Calls `callback(task)` once after the task has ended, never synchronously, also if it has ended
   * already. Links are called in the order in which they were added; what one throws goes to
   * `onUnhandled`.
   *
   * @throws {TypeError} If `callback` is no function.
   *
   * @example Told of the end
   * ```ts
   * import { sleep, spawn } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const ended: string[] = [];
   * spawn({ name: "a" }, () => 1).link((task) => ended.push(task.name));
   * await sleep(0);
   * await sleep(0);
   * assertEquals(ended, ["a"]);
   * ```
   */
  link(callback: TaskLink<T>): void {
    this.#link(callback, "end");
  }

  /** {@linkcode Task.link} for a task that succeeds. */
  linkValue(callback: TaskLink<T>): void {
    this.#link(callback, "value");
  }

  /** {@linkcode Task.link} for a task that fails or is killed. */
  linkError(callback: TaskLink<T>): void {
    this.#link(callback, "error");
  }

  /** Takes back every link with `callback`; nothing happens if there is none. */
  unlink(callback: TaskLink<T>): void {
    if (this.#links !== null) {
      this.#links = this.#links.filter((link) => link.callback !== callback);
    }
  }

  /** Awaits the result: makes `await task` work. */
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.get().then(onFulfilled, onRejected);
  }

  /** Kills the task and waits for its end: `await using task = spawn(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  /** The given name, else "task-" and the id. */
  get name(): string {
    return this.#name ?? `task-${this.id}`;
  }

  /** Where it is in its life. */
  get state(): TaskState {
    return this.#state;
  }

  /** Whether it has ended. */
  get ready(): boolean {
    return this.#endOrder > 0;
  }

  /** Whether it has ended with a value. */
  get successful(): boolean {
    return this.#state === "succeeded";
  }

  /** The value, once it has succeeded; else `undefined`. */
  get value(): T | undefined {
    return this.#state === "succeeded" ? this.#result as T : undefined;
  }

  /** The error, once it has failed or was killed; else `undefined`. */
  get error(): unknown {
    return this.#state === "failed" || this.#state === "killed" ? this.#result : undefined;
  }

  /**
   * A signal that aborts, with the reason, when the task is killed: for what takes one, such as
   * `fetch`. Made on first use.
   *
   * @example A kill reaches a fetch
   * ```ts
   * import { currentTask, spawn } from "@baozi/baozi";
   * import { assert } from "@std/assert";
   *
   * const task = spawn(() => currentTask()!.signal.aborted);
   * assert(await task === false);
   * ```
   */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#killed) this.#controller.abort(this.#context.reason);
    }
    return this.#controller.signal;
  }

  /** "Task". */
  get [Symbol.toStringTag](): string {
    return "Task";
  }

  /** Its name, state, and what it waits on; what consoles show. */
  toString(): string {
    const waits = textOfWaits(this.#context.describe(clock.on.now()));
    return `Task ${JSON.stringify(this.name)} (${this.#state}${waits === "" ? "" : `: ${waits}`})`;
  }

  /** The task as a case of `select`: ready when it has ended. */
  get "~select"(): SelectCase<T> {
    return {
      ready: () => this.#endOrder > 0,
      take: () => {
        this.#observed = true;
        if (this.#state !== "succeeded") throw this.#result;
        return { value: this.#result as T, done: false };
      },
      enlist: (branch) => enlist(branch, this.#list, CASE),
      watch: (branch) => {
        if (!this.ready) return enlist(branch, this.#list, CASE);
        this.#observed = true;
        branch.settle(NOTHING as Selected<T>);
      },
      delist,
    };
  }

  #kill(reason: unknown): void {
    if (this.#killed || this.#endOrder > 0) return;
    this.#killed = true;
    const error = killError(reason, `Task "${this.name}" was killed`);
    this.#context.cancel(error);
    if (this.#state === "pending") this.#end("killed", error);
  }

  get #list(): WaitList {
    return this.#waiters ??= new WaitList(this, "join");
  }

  #refuseSelf(verb: string): Promise<never> | null {
    if (this.#endOrder > 0 || currentTask() !== this) return null;
    return Promise.reject(
      new DeadlockError(`Cannot ${verb} task "${this.name}": it would wait for itself`),
    );
  }

  #link(callback: TaskLink<T>, when: Link["when"]): void {
    if (typeof callback !== "function") {
      throw new TypeError(`Cannot link task: callback must be a function, got ${typeof callback}`);
    }
    (this.#links ??= []).push({ callback, when });
    if (this.#endOrder > 0) this.#queueLinks();
  }

  #queueLinks(): void {
    if (this.#links === null) return;
    this.#holds++;
    enqueue({ run: () => runOutside(callLinks, this as Task) });
  }

  #callLinks(): void {
    // One at a time from the front: a link may unlink a later one.
    for (let link = this.#links?.shift(); link !== undefined; link = this.#links?.shift()) {
      if (!this.#concerns(link)) continue;
      this.#observed = true;
      try {
        const returned = (link.callback as (task: this) => unknown)(this);
        if (isThenable(returned)) Promise.resolve(returned).catch(reportUnhandled);
      } catch (error) {
        reportUnhandled(error);
      }
    }
    releaseTask(this as Task);
  }

  #concerns(link: Link): boolean {
    return link.when === "end" || (link.when === "value") === (this.#state === "succeeded");
  }

  #succeed(value: unknown): void {
    if (isForced(this.#context)) this.#fail(this.#context.reason);
    else this.#end("succeeded", value);
  }

  #fail(error: unknown): void {
    this.#end(this.#killed && error === this.#context.reason ? "killed" : "failed", error);
  }

  #end(state: TaskState, result: unknown): void {
    this.#state = state;
    this.#result = result;
    this.#endOrder = ++lastEnd;
    this.#fn = null;
    this.#args = null;
    this.#context.release();
    if (hooks.on !== null) hooks.on.finished?.(this.#context);
    if (this.#watchers !== null) this.#tellWatchers();
    const waiters = this.#waiters;
    if (waiters !== null) {
      for (let waiter = waiters.first; waiter !== null; waiter = waiters.first) this.#tell(waiter);
      this.#waiters = null;
    }
    this.#queueLinks();
    this.#judgeLater();
  }

  #judgeLater(): void {
    if (this.#state === "failed" && !this.#observed) judgeLater(this as Task);
  }

  #tellWatchers(): void {
    const watchers = this.#watchers!;
    if (watchers instanceof Set) {
      for (const watcher of watchers) watcher.taskEnded(this as Task);
    } else if (watchers instanceof Pair) {
      watchers.first.taskEnded(this as Task);
      const left = this.#watchers as unknown;
      if (left === watchers || left === watchers.second) watchers.second.taskEnded(this as Task);
    } else watchers.taskEnded(this as Task);
    this.#watchers = null;
  }

  #tell(waiter: Waiter): void {
    const { payload } = waiter;
    if (payload !== KILL) this.#observed = true;
    if (payload === JOIN || payload === KILL) waiter.settle(true);
    else if (this.#state !== "succeeded") waiter.fail(this.#result);
    else if (payload === GET) waiter.settle(this.#result);
    else waiter.settle({ value: this.#result, done: false } satisfies Selected<unknown>);
  }
}

/** Two who watch one task: a set costs five times the memory. */
class Pair {
  readonly first: TaskWatcher;
  readonly second: TaskWatcher;

  constructor(first: TaskWatcher, second: TaskWatcher) {
    this.first = first;
    this.second = second;
  }

  without(watcher: TaskWatcher): TaskWatcher | Pair {
    if (watcher === this.first) return this.second;
    return watcher === this.second ? this.first : this;
  }
}

/** The context of a task, and what the kernel calls a task for: to start it, to kill it. */
class TaskContext extends Context implements Runnable, TimerTarget, AbortTarget {
  next: TaskContext | null = null;
  /** The id of the task that spawned it, 0 if none did. */
  readonly spawnerId: number;
  #previous: TaskContext | null = null;
  /** Holds the function back, where it may not begin at once. */
  #gate: Gate | null = null;
  #timer: Timer | null = null;
  #signal: AbortSignal | null = null;
  /** The waits that no kill reaches. */
  #apart: Set<Cancellable> | null = null;

  constructor(task: Task) {
    super(null);
    this.task = task;
    const spawner = currentContext();
    this.locals = (spawner ?? ROOT).base.locals;
    this.spawnerId = (spawner?.task as Task | undefined)?.id ?? 0;
    if (config.spawnStacks) spawnStacks.set(this, new Error().stack ?? "");
    this.#previous = lastLive;
    if (lastLive === null) firstLive = this;
    else lastLive.next = this;
    lastLive = this;
  }

  startIn(ms: number): void {
    if (ms === 0 && hooks.on?.beginning === undefined) {
      return mayStart() ? callSoon(this, BEGIN) : startLater(this);
    }
    this.#gate = new Gate();
    this.#gate.hold(this, BEGIN);
    if (ms === 0) enqueue(this);
    else this.#timer = clock.on.set(this, ms);
  }

  startBy(start: Start): void {
    start.context = this;
    if (hooks.on?.beginning === undefined) return start.open();
    this.#gate = start;
    enqueue(this);
  }

  /** Kills the task when `signal` aborts. */
  follow(signal: AbortSignal): void {
    if (signal.aborted) return this.aborted(signal.reason);
    this.#signal = signal;
    watchAbort(signal, this);
  }

  /** The task has ended: nothing starts or kills it any more. */
  release(): void {
    this.end();
    this.#timer?.clock.clear(this.#timer);
    if (this.#signal !== null) unwatchAbort(this.#signal, this);
    this.#timer = null;
    this.#signal = null;
    this.#gate = null;
    const previous = this.#previous, { next } = this;
    if (previous === null) firstLive = next;
    else previous.next = next;
    if (next === null) lastLive = previous;
    else next.#previous = previous;
    this.#previous = null;
    this.next = null;
  }

  run(): void {
    const gate = this.#gate;
    if (gate === null) return;
    this.#gate = null;
    if (hooks.on?.beginning === undefined) gate.open();
    else hooks.on.beginning(this, () => gate.open());
  }

  override addApart(wait: Cancellable): void {
    (this.#apart ??= new Set()).add(wait);
  }

  override removeApart(wait: Cancellable): void {
    this.#apart?.delete(wait);
  }

  /** What it waits on, `at` being the present time. */
  describe(at: number): WaitDump[] {
    const { waits, shielded } = this.parked();
    return [...describeWaits(waits, false, at), ...describeWaits(shielded, true, at)];
  }

  /** Its parked waits, and apart from them those that no kill reaches. */
  parked(): { waits: Waiter[]; shielded: Waiter[] } {
    return {
      waits: this.waits().filter(isWaiter),
      shielded: [...this.#apart ?? []].filter(isWaiter),
    };
  }

  timeUp(): void {
    enqueue(this);
  }

  aborted(reason: unknown): void {
    killTask(this.task as Task, reason);
  }

  override wasCancelled(reason: unknown): void {
    abortSignal(this.task as Task, reason);
  }
}

/**
 * The beginning of a task that is made later, by somebody else: with what the host carries through async
 * code (storages of the user) as it is now. For pools.
 */
export class Start extends Gate {
  context: Context | null = null;

  constructor() {
    super();
    this.hold(currentContext() ?? ROOT, () => runIn(this.context, BEGIN));
  }
}

/** Tasks that begin when their turn in the queue comes, one after another. */
class Starts extends Gate implements Runnable {
  weight = 0;

  run(): void {
    this.open();
  }
}

/** The last ones. */
let starts: Starts | null = null;

function startLater(context: TaskContext): void {
  if (starts === null || !isNewest(starts) || starts.weight === MOST_TOGETHER) {
    enqueue(starts = new Starts());
  }
  starts.weight++;
  starts.hold(context, BEGIN);
}

/**
 * Where tasks were spawned. As text: frames as objects would hold the spawner, and it its own, and so
 * on.
 */
const spawnStacks: WeakMap<Context, string> = new WeakMap();

/** The list of live tasks. */
let firstLive: TaskContext | null = null;
let lastLive: TaskContext | null = null;

/** A task that has not ended, and what only its context knows. */
export interface LiveTask {
  readonly task: Task;
  /** 0 if no task spawned it. */
  readonly spawnerId: number;
  readonly killed: boolean;
  /** Those behind a shield last. */
  readonly waits: readonly WaitDump[];
}

/** The tasks that have not ended, in the order of the spawns; for `dump`. */
export function liveTasks(): LiveTask[] {
  const at = clock.on.now();
  const live: LiveTask[] = [];
  for (let context = firstLive; context !== null; context = context.next) {
    const { spawnerId, cancelled } = context;
    live.push({
      task: context.task as Task,
      spawnerId,
      killed: cancelled,
      waits: context.describe(at),
    });
  }
  return live;
}

/** The tasks that have not ended with their parked waits as they are; for the search for deadlocks. */
export function* parkedTasks(): Generator<{ task: Task; waits: Waiter[]; shielded: Waiter[] }> {
  for (let context = firstLive; context !== null; context = context.next) {
    yield { task: context.task as Task, ...context.parked() };
  }
}

/**
 * The task that the running code belongs to; `undefined` outside of all. Where the host has no
 * `AsyncLocalStorage` (browsers) it is known only until the first `await`, and `spawn` passes the task
 * to its function as a last argument.
 *
 * @example Who am I
 * ```ts
 * import { currentTask, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await spawn({ name: "me" }, () => currentTask()?.name), "me");
 * assertEquals(currentTask(), undefined);
 * ```
 */
export function currentTask(): Task | undefined {
  return currentContext()?.task as Task | undefined;
}

/** The end of a task as a branch of a wait on many; for dumps. */
export function endOf(task: Task): Branch {
  return { settled: task.ready, list: { owner: task, verb: "join", outside: false } };
}

/** Calls the function of a task; a generator that it gives is run to its end. */
export function callBody(fn: (...args: never[]) => unknown, args: unknown[]): unknown {
  const result = fn(...args as never[]);
  return isGenerator(result) ? drive(result) : result;
}

/** Runs a generator as the body of a task: each `yield` is a checkpoint, where a kill arrives. */
async function drive(body: AsyncGenerator | Generator): Promise<unknown> {
  let step = await body.next();
  while (step.done !== true) {
    let reason: unknown;
    const alive = await sleep(0).then(() => true, (error) => {
      reason = error;
      return false;
    });
    step = await (alive ? body.next() : body.throw(reason));
  }
  return step.value;
}

/** Not what only passes a kill on, as a coroutine does that is being closed. */
function isWaiter(wait: Cancellable): wait is Waiter {
  return wait instanceof Waiter;
}

/** Failed tasks whose observers still have time to come: until the next macrotask. */
let failed: Task[] = [];

function judgeLater(task: Task): void {
  if (failed.push(task) > 1) return;
  macrotask(() => {
    const tasks = failed;
    failed = [];
    tasks.forEach(judge);
  });
}

/** The frames of a stack as text, nearest first, without those of this library and of the host. */
function framesOf(stack: string | undefined): string[] | undefined {
  if (stack === undefined) return undefined;
  const frames = stack.split("\n").filter((line) => /:\d+/.test(line))
    .map((line) => line.trim().replace(/^at /, ""));
  // The first frame is in this file. In a bundle, where all is one file, nothing is left out.
  const folder = /(?:\(|@|^)([^(@]*[/\\])task\.[cm]?[jt]s:\d/.exec(frames[0] ?? "")?.[1];
  return frames.filter((frame) =>
    !/(^|[(@])(node|ext|native|bun):/.test(frame) &&
    (folder === undefined || !/^\w+\.[jt]s:/.test(frame.split(folder)[1] ?? ""))
  );
}

function ignore(): void {}
