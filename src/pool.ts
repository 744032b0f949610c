// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Tasks under one roof, at most so many at a time.
 *
 * @module
 */

// Invariants
//  1. #running is at most #size, unless resize() made it smaller: then nobody is admitted until it fits.
//  2. Whoever waits for a place is admitted in order of arrival; nobody waits while a place is free and
//     the pool is not paused.
//  3. A place is given back once, when its task has ended.
// Source: gevent's Pool and Group. Here failures of finished members are kept, imap is bounded, and
// map stops the rest at the first failure.

import { clock } from "./_kernel/clock.ts";
import { contextsInUse, currentContext, runIn } from "./_kernel/current.ts";
import { isIterable, itemsOf } from "./_kernel/items.ts";
import { LeavableIterator } from "./_kernel/leavable.ts";
import { serveAll } from "./_kernel/selectable.ts";
import { reportUnhandled } from "./_kernel/unhandled.ts";
import { WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { refuse, refuseOptions, Waiter, type WaitOptions } from "./_kernel/waiter.ts";
import { Channel } from "./channel.ts";
import { DeadlockError, killError } from "./errors.ts";
import { killAll } from "./join.ts";
import { scope } from "./scope.ts";
import { Semaphore } from "./semaphore.ts";
import { checkSpec, spawn, spawnBy } from "./spawn.ts";
import {
  callBody,
  currentTask,
  killTask,
  observeTask,
  Start,
  type Task,
  type TaskOptions,
  type TaskResult,
  type TaskWatcher,
  watchTask,
} from "./task.ts";

/** Errors that a pool keeps; it may live for ever. */
const MOST_ERRORS = 1000;

/** Where a pool stands; see {@linkcode Group.onProgress}. */
export interface Progress {
  /** How many tasks have ended. */
  readonly done: number;
  /** How many there are in all, as far as is known: ended, running, waiting, and left in a list that is mapped. */
  readonly total: number;
  /** Tasks per second, since the first began. */
  readonly rate: number;
  /** Milliseconds until all are done at this rate; `Infinity` while nothing is done. */
  readonly eta: number;
}

/** Options of {@linkcode Group.imap} and {@linkcode Group.imapUnordered}. */
export interface ImapOptions {
  /** How many items may run or be finished and unread: an integer >= 1. @default {The size of the pool, 16 for a group} */
  buffer?: number | undefined;
}

/**
 * A set of running tasks, without a bound; {@linkcode Pool} has one. Members drop out when they end;
 * errors of those that nobody else gets are kept in `errors`, never reported as unhandled.
 *
 * @example Together
 * ```ts
 * import { Group, sleep } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const group = new Group();
 * for (const ms of [1, 2, 3]) await group.spawn(() => sleep(ms));
 * assertEquals(group.running, 3);
 * assertEquals([await group.join(), group.running], [true, 0]);
 * ```
 */
export class Group implements Iterable<Task> {
  #size: number;
  #running = 0;
  #paused = false;
  #done = 0;
  /** How often it was killed, and by what the last time. */
  #kills = 0;
  #killedBy: unknown = undefined;
  /** Items of mapped lists that have not begun. */
  #expected = 0;
  #began: number | undefined = undefined;
  readonly #tasks: Set<Task> = new Set();
  readonly #errors: unknown[] = [];
  readonly #hooks: Set<{ readonly hook: (progress: Progress) => void }> = new Set();
  readonly #onEnd = (member: Member): void => this.#ended(member);
  readonly #admission: WaitList = new WaitList(this as WaitOwner, "spawn");
  readonly #joiners: WaitList = new WaitList(this as WaitOwner, "join pool");

  /** Creates an empty group. */
  constructor(size: number = Infinity) {
    this.#size = checkSize(size);
  }

  /**
   * Starts `fn(...args)` as a member; parks while the pool is full or paused, behind those who came
   * before. Resolves to `{ task }`: a bare task would be awaited by the promise.
   *
   * @throws {TypeError} If `fn` is no function.
   * @throws {KilledError} If the pool is killed while it waits.
   *
   * @example A full pool makes the caller wait
   * ```ts
   * import { Pool, sleep } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const pool = new Pool(1);
   * const { task } = await pool.spawn(() => sleep(1));
   * await pool.spawn(() => sleep(1));
   * assertEquals(task.ready, true);
   * await pool.join();
   * ```
   */
  spawn<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Promise<{ task: Task<TaskResult<R>> }>;
  /** {@linkcode Group.spawn} with options. */
  spawn<A extends unknown[], R>(
    options: TaskOptions,
    fn: (...args: A) => R,
    ...args: A
  ): Promise<{ task: Task<TaskResult<R>> }>;
  spawn(...spec: unknown[]): Promise<{ task: Task<never> }> {
    return this.#spawn(spec, true);
  }

  /** Starts a member if there is a place at once; else gives `undefined`. */
  trySpawn<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): Task<TaskResult<R>> | undefined;
  /** {@linkcode Group.trySpawn} with options. */
  trySpawn<A extends unknown[], R>(
    options: TaskOptions,
    fn: (...args: A) => R,
    ...args: A
  ): Task<TaskResult<R>> | undefined;
  trySpawn(...spec: unknown[]): Task<never> | undefined {
    checkSpec(spec);
    if (!this.#hasPlace) return undefined;
    this.#running++;
    return this.#adopt(spawn(...spec as [() => never]), true) as Task<never>;
  }

  /**
   * Runs `fn(...args)` as a member and gives its result. Called from one of its own members it runs
   * inline, since waiting for a place could then wait for itself. If the caller is killed the member
   * is, too.
   *
   * @throws What `fn` throws.
   */
  async apply<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<TaskResult<R>> {
    checkSpec([fn]);
    if (this.#isMember(currentTask())) return await callBody(fn, args) as TaskResult<R>;
    const { task } = await this.#spawn([fn, ...args], false);
    try {
      return await task.get();
    } finally {
      if (!task.ready) await task.kill();
    }
  }

  /**
   * Calls `fn` for each item as a member; resolves to the results in the order of the items. The first
   * failure in time kills the rest, waits for clean-up, and rejects.
   *
   * @param fn The function.
   * @param source The items; an async source is read only as there are places.
   * @throws The first error of `fn` or the source.
   *
   * @example Two at a time
   * ```ts
   * import { Pool, sleep } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const doubled = await new Pool(2).map(async (n) => {
   *   await sleep(10 - n);
   *   return n * 2;
   * }, [1, 2, 3]);
   * assertEquals(doubled, [2, 4, 6]);
   * ```
   */
  async map<T, R>(
    fn: (item: T) => R,
    source: Iterable<T> | AsyncIterable<T>,
  ): Promise<Array<TaskResult<R>>> {
    checkSpec([fn]);
    checkSource(source);
    const results: Array<TaskResult<R>> = [];
    let left = lengthOf(source);
    this.#expected += left;
    let killed: { readonly error: unknown } | undefined;
    try {
      await scope(async (s) => {
        let count = 0;
        for await (const item of itemsOf(source)) {
          const at = count++;
          // From here on it counts as one that waits, or runs.
          if (left > 0) {
            left--;
            this.#expected--;
          }
          const place = this.#place();
          if (place !== undefined) await place;
          try {
            this.#adopt(s.spawn(fn, item), false, ({ state, value, error }) => {
              if (state === "succeeded") results[at] = value as TaskResult<R>;
              if (state !== "killed") return;
              // A scope does not mind a killed child, but here its result would be missing.
              killed ??= { error };
              s.kill(error);
            });
          } catch (error) {
            this.#leave();
            throw error;
          }
        }
      });
    } finally {
      this.#expected -= left;
    }
    if (killed !== undefined) throw (killed as { readonly error: unknown }).error;
    return results;
  }

  /**
   * Calls `fn` for each item as a member and iterates over the results in the order of the items, while
   * others still run. Lazy: it begins at the first `next()` and reads no further than `buffer` items
   * ahead. A failing item rejects its `next()` and the iteration goes on; an error of the source comes
   * last. Leaving the loop kills what runs; an error of that clean-up is thrown there.
   *
   * A loop that a failing item ends gives no sign of it, since it may as well ask for the next item:
   * `await using results = pool.imap(…)` kills what runs then, too.
   *
   * @throws {RangeError} If `buffer` is no integer >= 1.
   *
   * @example In order, as they come
   * ```ts
   * import { Pool } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const squares: number[] = [];
   * for await (const n of new Pool(2).imap((n: number) => n * n, [1, 2, 3])) squares.push(n);
   * assertEquals(squares, [1, 4, 9]);
   * ```
   */
  imap<T, R>(
    fn: (item: T) => R,
    source: Iterable<T> | AsyncIterable<T>,
    options?: ImapOptions,
  ): AsyncIterableIterator<TaskResult<R>> & AsyncDisposable {
    return this.#imap(fn, source, true, options);
  }

  /** {@linkcode Group.imap} in the order in which the results come. */
  imapUnordered<T, R>(
    fn: (item: T) => R,
    source: Iterable<T> | AsyncIterable<T>,
    options?: ImapOptions,
  ): AsyncIterableIterator<TaskResult<R>> & AsyncDisposable {
    return this.#imap(fn, source, false, options);
  }

  /**
   * Waits until the pool is empty, and nobody waits for a place: `true`, or `false` if
   * `options.timeout` is over first. With `raiseError` it rejects with the first of `errors`, if any.
   *
   * @throws {DeadlockError} If a member would wait for itself.
   */
  async join(options: WaitOptions & { raiseError?: boolean | undefined } = {}): Promise<boolean> {
    const refused = refuse("join pool", options);
    if (refused !== null) return refused;
    if (this.#isMember(currentTask())) {
      throw new DeadlockError("Cannot join pool: a member would wait for itself");
    }
    const empty = this.#empty || await new Waiter<boolean>().park(this.#joiners, options, false);
    if (empty && options.raiseError === true && this.#errors.length > 0) throw this.#errors[0];
    return empty;
  }

  /**
   * Kills every member, makes the spawns that wait reject, and waits, out of reach of kills, until all
   * have ended: `true`, or `false` if `options.timeout` is over first. The pool can be used again.
   *
   * @throws The reason, if a member awaits it.
   */
  kill(reason?: unknown, options?: WaitOptions): Promise<boolean> {
    const refused = options === undefined ? null : refuseOptions("kill pool", options);
    if (refused !== null && options?.signal?.aborted !== true) return refused;
    const error = killError(reason, "Pool was killed");
    this.#kills++;
    this.#killedBy = error;
    for (let waiter = this.#admission.first; waiter !== null; waiter = this.#admission.first) {
      waiter.fail(error);
    }
    for (const task of this.#tasks) killTask(task, error);
    if (this.#empty) {
      refused?.catch(ignore);
      serveAll(this.#joiners, true);
      return Promise.resolve(true);
    }
    if (refused !== null) return refused;
    if (this.#isMember(currentTask())) {
      const own = Promise.reject(error);
      own.catch(ignore); // not awaited, it must not count as an unhandled rejection
      return own;
    }
    return new Waiter<boolean>().parkShielded(this.#joiners, options, false);
  }

  /**
   * Changes how many may run: more are admitted at once, fewer once enough have ended.
   *
   * @throws {RangeError} If `size` is no integer >= 1.
   */
  resize(size: number): void {
    this.#size = checkSize(size);
    this.#admit();
  }

  /** Admits nobody until {@linkcode Group.resume}; what runs goes on. */
  pause(): void {
    this.#paused = true;
  }

  /** Admits again. */
  resume(): void {
    this.#paused = false;
    this.#admit();
  }

  /**
   * Calls `hook` after the end of each member. What it throws goes to `onUnhandled`.
   *
   * @returns A disposable that removes it.
   *
   * @example How far
   * ```ts
   * import { Pool } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const pool = new Pool(2), seen: string[] = [];
   * using _progress = pool.onProgress(({ done, total }) => seen.push(`${done}/${total}`));
   * await pool.map((n) => n, [1, 2, 3]);
   * assertEquals(seen, ["1/3", "2/3", "3/3"]);
   * ```
   */
  onProgress(hook: (progress: Progress) => void): Disposable {
    if (typeof hook !== "function") {
      throw new TypeError(`Cannot install hook: it must be a function, got ${typeof hook}`);
    }
    const entry = { hook };
    this.#hooks.add(entry);
    return { [Symbol.dispose]: () => void this.#hooks.delete(entry) };
  }

  /** How many may run at once. */
  get size(): number {
    return this.#size;
  }

  /** How many run. */
  get running(): number {
    return this.#running;
  }

  /** How many wait for a place. */
  get waiting(): number {
    return this.#admission.size;
  }

  /** How many places are free. */
  get free(): number {
    return Math.max(0, this.#size - this.#running);
  }

  /** Errors of members started by `spawn` and `trySpawn`; of more than 1,000 the newest. */
  get errors(): readonly unknown[] {
    return this.#errors;
  }

  /** "Group", or "Pool". */
  get [Symbol.toStringTag](): string {
    return "Group";
  }

  /** Iterates over the members that run now. */
  *[Symbol.iterator](): Iterator<Task> {
    yield* [...this.#tasks];
  }

  /** The members, for whose end a spawn or a join waits. For dumps. */
  "~holders"(): Iterable<Task> {
    return this.#tasks;
  }

  /** For the kernel: one who waited for a place has left. */
  "~waiterLeft"(): void {
    this.#admit();
    if (this.#empty) serveAll(this.#joiners, true);
  }

  get #hasPlace(): boolean {
    return !this.#paused && this.#running < this.#size && this.#admission.first === null;
  }

  get #empty(): boolean {
    return this.#running === 0 && this.#admission.first === null;
  }

  #isMember(task: Task | undefined): boolean {
    return task !== undefined && this.#tasks.has(task);
  }

  /** Starts a member as soon as there is a place. */
  #spawn(spec: unknown[], keepError: boolean): Promise<{ task: Task<never> }> {
    const options = { signal: (spec[0] as TaskOptions | null | undefined)?.signal };
    const refused = refuse("spawn", options);
    if (refused !== null) return refused;
    try {
      checkSpec(spec);
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#hasPlace) {
      this.#running++;
      const task = spawn(...spec as [() => never]);
      return Promise.resolve({ task: this.#adopt(task, keepError) });
    }
    const start = new Start();
    const make = () => this.#adopt(spawnBy(start, spec), keepError);
    return new Waiter<{ task: Task<never> }>(make).park(this.#admission, options);
  }

  /** Takes a place, at once if there is one; who gets it must adopt a task, or leave. */
  #place(): Promise<void> | undefined {
    const refused = refuse("spawn");
    if (refused !== null) return refused;
    if (!this.#hasPlace) return this.#admitted();
    this.#running++;
    return undefined;
  }

  async #admitted(): Promise<void> {
    const kills = this.#kills;
    await new Waiter<void>(null).park(this.#admission);
    if (kills === this.#kills) return;
    // The pool was killed when the place was given, and there was no task to kill yet.
    this.#leave();
    throw this.#killedBy;
  }

  /** Makes `task` a member that has a place already. */
  #adopt<T>(task: Task<T>, keepError: boolean, ended?: (task: Task) => void): Task<T> {
    this.#began ??= clock.on.now();
    const member = new Member(this.#onEnd, task as Task, keepError, ended);
    if (task.ready) { // its signal had aborted: nobody would tell its end
      this.#ended(member);
    } else {
      watchTask(task as Task, member);
      this.#tasks.add(task as Task);
    }
    return task;
  }

  #ended({ task, keepError, ended }: Member): void {
    this.#tasks.delete(task);
    observeTask(task);
    if (keepError && task.state === "failed" && this.#errors.push(task.error) > MOST_ERRORS) {
      this.#errors.shift();
    }
    this.#done++;
    ended?.(task);
    this.#leave();
    this.#tell();
  }

  /** Gives a place back. */
  #leave(): void {
    this.#running--;
    this.#admit();
    if (this.#empty) serveAll(this.#joiners, true);
  }

  #admit(): void {
    while (!this.#paused && this.#running < this.#size && this.#admission.first !== null) {
      const waiter = this.#admission.first;
      // One that ends by the same abort or kill leaves in a moment, and then this is called again.
      if (waiter.doomed) return;
      this.#running++;
      // The task inherits from the one who asked for it, not from the one that made room.
      const make = waiter.payload as (() => Task) | null;
      if (make === null) waiter.settle(undefined); // it spawns by itself
      else waiter.settle({ task: contextsInUse() ? runIn(waiter.context, make) : make() });
    }
  }

  #tell(): void {
    if (this.#hooks.size === 0) return;
    const total = this.#done + this.#running + this.#admission.size + this.#expected;
    const seconds = (clock.on.now() - this.#began!) / 1000;
    const rate = seconds > 0 ? this.#done / seconds : Infinity;
    const progress: Progress = {
      done: this.#done,
      total,
      rate,
      eta: (total - this.#done) / rate * 1000,
    };
    for (const { hook } of [...this.#hooks]) {
      try {
        hook(progress);
      } catch (error) {
        reportUnhandled(error);
      }
    }
  }

  #imap<T, R>(
    fn: (item: T) => R,
    source: Iterable<T> | AsyncIterable<T>,
    ordered: boolean,
    { buffer = this.#size === Infinity ? 16 : this.#size }: ImapOptions = {},
  ): Imap<TaskResult<R>> {
    checkSpec([fn]);
    checkSource(source);
    if (!Number.isInteger(buffer) || buffer < 1) {
      throw new RangeError(`Cannot map: buffer must be an integer >= 1, got ${buffer}`);
    }
    const results = Channel.unbounded<Task>();
    const room = new Semaphore(buffer);
    const running = new Set<Task>();
    let fed: { readonly reason: [error?: unknown] } | undefined;
    // Unordered results come when their task ends: only after the last may the channel be closed.
    const finish = () => {
      if (fed !== undefined && (ordered || running.size === 0)) results.close(...fed.reason);
    };
    const feed = async (): Promise<void> => {
      try {
        // Before an item is read: the source may not be more than the buffer ahead.
        await room.acquire();
        for await (const item of itemsOf(source)) {
          const place = this.#place();
          if (place !== undefined) await place;
          const task = spawn(fn, item);
          running.add(task);
          this.#adopt(task, false, (ended) => {
            running.delete(ended);
            if (!ordered) results.trySend(ended);
            finish();
          });
          if (ordered) results.trySend(task);
          await room.acquire();
        }
        fed = { reason: [] };
      } catch (error) {
        fed = { reason: [error] };
      }
      finish();
    };
    return new Imap<TaskResult<R>>(results, room, running, feed);
  }
}

/**
 * A {@linkcode Group} of at most `size` running members.
 *
 * @example Fifty at a time
 * ```ts
 * import { Pool } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const pool = new Pool(50);
 * const pages = await pool.map((n) => `page ${n}`, Array.from({ length: 200 }, (_, i) => i));
 * assertEquals([pages.length, pages[199]], [200, "page 199"]);
 * ```
 */
export class Pool extends Group {
  /** Creates a pool. @throws {RangeError} If `size` is no integer >= 1. */
  constructor(size: number) {
    super(checkSize(size)); // undefined is no size, though a group takes it
  }

  /** "Pool". */
  override get [Symbol.toStringTag](): string {
    return "Pool";
  }
}

/** A member, told of the end of its task. */
class Member implements TaskWatcher {
  readonly task: Task;
  /** Nobody else gets its error. */
  readonly keepError: boolean;
  readonly ended: ((task: Task) => void) | undefined;
  readonly #tell: (member: Member) => void;

  constructor(
    tell: (member: Member) => void,
    task: Task,
    keepError: boolean,
    ended: ((task: Task) => void) | undefined,
  ) {
    this.#tell = tell;
    this.task = task;
    this.keepError = keepError;
    this.ended = ended;
  }

  taskEnded(): void {
    this.#tell(this);
  }
}

/** The results of a map as an iterator; its feed is a task that begins with the first `next()`. */
class Imap<R> extends LeavableIterator<R> {
  readonly #results: Channel<Task>;
  readonly #finished: AsyncIterator<Task>;
  readonly #room: Semaphore;
  readonly #running: Set<Task>;
  readonly #feed: () => Promise<void>;
  #feeder: Task | undefined = undefined;
  #returned = false;

  constructor(
    results: Channel<Task>,
    room: Semaphore,
    running: Set<Task>,
    feed: () => Promise<void>,
  ) {
    super();
    this.#results = results;
    this.#finished = results.values();
    this.#room = room;
    this.#running = running;
    this.#feed = feed;
  }

  async next(): Promise<IteratorResult<R, undefined>> {
    if (this.#returned) return { done: true, value: undefined };
    const context = currentContext();
    try {
      if (context?.cancelled === true) throw context.reason;
      this.#feeder ??= spawn({ name: "imap" }, this.#feed);
      const { done, value: task } = await this.#finished.next();
      if (done === true) return { done, value: undefined };
      try {
        return { done: false, value: await (task as Task).get() as R };
      } finally {
        this.#room.release();
      }
    } catch (error) {
      // A loop does not leave an iterator whose next() rejects: a killed consumer leaves here.
      if (context?.cancelled === true && error === context.reason) await this.return();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<R, undefined>> {
    this.#returned = true;
    this.#results.cancel();
    await this.#feeder?.kill();
    const running = [...this.#running];
    await killAll(running);
    // What fails in its clean-up nobody else gets.
    for (const task of running) if (task.state === "failed") throw task.error;
    return { done: true, value: undefined };
  }
}

function checkSize(size: number): number {
  if (size === Infinity || (Number.isInteger(size) && size >= 1)) return size;
  throw new RangeError(`Cannot create pool: size must be an integer >= 1, got ${size}`);
}

function checkSource(source: unknown): void {
  if (isIterable(source)) return;
  throw new TypeError(`Cannot map: source must be iterable, got ${typeof source}`);
}

/** How many items a source has, if it says so. */
function lengthOf(source: object): number {
  const { length, size } = source as { length?: unknown; size?: unknown };
  return typeof length === "number"
    ? length
    : typeof size === "number" && !("receive" in source)
    ? size
    : 0;
}

function ignore(): void {}
