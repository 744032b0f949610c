// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Workers under one roof: who gets the next call, and what happens when one ends.
 *
 * @module
 */

// Invariants
//  1. Nobody waits while a worker that is ready has a free place.
//  2. While somebody waits there is a worker that starts, or all places of all workers are taken.
//  3. After a failure of the pool, or close(), nobody waits and none is started.
//  4. A thread is in #threads until it is over, then in #leaving until it is gone.
// Source: Erlang's supervisors (restart intensity). A call that was posted is never posted again: nobody
// knows what it has done. One that waits was not posted, and outlives any crash but the last.
// Dropped: to post a worker its next call before it has replied to the last. Two bare threads hashed files a
// tenth faster, but a short call would stand behind a long one while another worker is idle.

import { checkMs, clock } from "../_kernel/clock.ts";
import { type Context, currentContext } from "../_kernel/current.ts";
import { isThenable } from "../_kernel/foreign.ts";
import { reportUnhandled } from "../_kernel/unhandled.ts";
import { WaitList, type WaitOwner } from "../_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "../_kernel/waiter.ts";
import { KilledError, killError, type WorkerCrashed } from "../errors.ts";
import { type ImapOptions, Pool } from "../pool.ts";
import { spawn } from "../spawn.ts";
import { killTask, observeTask, type Task } from "../task.ts";
import { type Calls, makeCall, type PlainNames, type StreamOptions } from "./calls.ts";
import { type ErrorClass, ErrorClasses } from "./error_wire.ts";
import { hardwareThreads, portOf, startThread, type WorkerLike, type WorkerPort } from "./port.ts";
import { type Caller, refuseCaller, type StreamEnd, Thread, type ThreadOwner } from "./thread.ts";

/** Names that no function has on the wire: they mean something to every object, `await` or `JSON`. */
export const RESERVED: ReadonlySet<string> = new Set([
  "__proto__",
  "constructor",
  "prototype",
  "then",
  "toJSON",
]);

/** How many crashes a pool survives. */
export interface RestartIntensity {
  /** How many: an integer >= 0. @default {3} */
  max?: number | undefined;
  /** Within how many milliseconds. @default {10000} */
  withinMs?: number | undefined;
}

/** Options of {@linkcode workers}. */
export interface WorkersOptions {
  /**
   * How many workers there are at most: an integer >= 1. They start when they are first needed.
   *
   * @default {One fewer than the threads of the machine, and at least 1}
   */
  size?: number | undefined;
  /** How many calls run in one worker at once: an integer >= 1. @default {1} */
  concurrency?: number | undefined;
  /** How long a killed call may take to end, in milliseconds >= 0. Then its thread is ended. @default {1000} */
  graceMs?: number | undefined;
  /** How long a worker may take until it calls `serve`, in milliseconds >= 0. @default {10000} */
  readyMs?: number | undefined;
  /**
   * How many crashes are followed by a new worker; one more, and the pool fails.
   *
   * @default {{ max: 3, withinMs: 10_000 }}
   */
  restarts?: RestartIntensity | undefined;
  /** How many values a generator may be ahead of its reader: an integer >= 1. @default {64} */
  window?: number | undefined;
  /** The most that one value may take, by estimate, in bytes >= 1. @default {67108864} */
  maxMessageBytes?: number | undefined;
  /** Classes of errors that come back as themselves; the worker registers the same. @default {[]} */
  classes?: readonly ErrorClass[] | undefined;
  /** Name for messages and dumps. @default {The last part of the URL} */
  name?: string | undefined;
  /**
   * Called synchronously with each value that was yielded by a generator, or taken from a receiver that
   * is no channel, and that nobody will get. What it throws goes to `onUnhandled`.
   */
  onUndelivered?: ((value: unknown) => void) | undefined;
}

/** How to make a worker where the pool does not. */
export interface SpawnOption {
  /**
   * Makes one worker, a new one each time: a `Worker` of the web, which bundlers find in your code, one of
   * `node:worker_threads`, or a `MessagePort` whose other end is served.
   */
  spawn: () => WorkerLike;
}

/** Options of {@linkcode WorkerPool.map}. */
export interface MapOptions {
  /** Kills the calls when it aborts; the map rejects with its reason. */
  signal?: AbortSignal | undefined;
  /**
   * Kills the calls when so many milliseconds, >= 0, are over; the map rejects with a `TimeoutError`.
   *
   * @default {Infinity}
   */
  timeout?: number | undefined;
}

/**
 * Creates a pool of workers that run the module at `source`, which calls {@linkcode serve}. Nothing is
 * started before the first call. Calls that find no free place wait in the order in which they were made.
 *
 * An idle pool does not keep the process alive. `await using` ends its calls and threads.
 *
 * Deno must be allowed to read the file of a worker (`--allow-read`).
 *
 * @param source The URL of the module, absolute: `new URL("./tasks.ts", import.meta.url)`.
 * @param options Size, limits, names.
 * @throws {TypeError} If `source` is no absolute URL, or an option has the wrong type.
 * @throws {RangeError} If an option is out of its bounds.
 *
 * @example One call
 * ```ts
 * import { serve, workers } from "@baozi/baozi/workers";
 * import { assertEquals } from "@std/assert";
 *
 * // In tasks.ts:
 * const tasks = { double: (n: number) => n * 2 };
 *
 * // The other end of a port stands for a thread here, in which tasks.ts would call serve(tasks). Then it is
 * // workers<typeof import("./tasks.ts")>(new URL("./tasks.ts", import.meta.url)).
 * const { port1, port2 } = new MessageChannel();
 * serve(tasks, { port: port2 });
 * await using pool = workers<typeof tasks>({ spawn: () => port1, size: 1 });
 * assertEquals(await pool.call.double(21), 42);
 * assertEquals(await pool.map("double", [1, 2, 3]), [2, 4, 6]);
 * ```
 *
 * @typeParam M The type of the module.
 */
export function workers<M extends object>(
  source: URL | string,
  options?: WorkersOptions & Partial<SpawnOption>,
): WorkerPool<M>;
/**
 * {@linkcode workers} that are made by a function.
 *
 * @param options How, and the other options.
 */
export function workers<M extends object>(options: WorkersOptions & SpawnOption): WorkerPool<M>;
export function workers<M extends object>(
  ...spec: [
    source: URL | string | (WorkersOptions & SpawnOption),
    options?: WorkersOptions & Partial<SpawnOption>,
  ]
): WorkerPool<M> {
  const [first, options = {}] = spec;
  return typeof first === "string" || first instanceof URL
    ? new WorkerPool<M>(first, options)
    : new WorkerPool<M>(undefined, first);
}

/**
 * Workers that run one module; {@linkcode workers} makes it.
 *
 * - A call goes to the worker with the fewest calls, if one has a place; else it waits.
 * - A worker that crashes fails the calls that ran in it with a {@linkcode WorkerCrashed}; calls that still
 *   wait are not affected, and another worker takes its place when it is needed. After too many crashes
 *   within a time the pool fails: all calls reject with the last one.
 *
 * @typeParam M The type of the module.
 */
export class WorkerPool<M extends object> implements AsyncDisposable {
  /** The functions of the module: `await pool.call.hash(bytes)`. */
  readonly call: Calls<M>;
  /** Name for messages and dumps. */
  readonly name: string;
  /** How many workers there are at most. */
  readonly size: number;
  readonly #concurrency: number;
  readonly #max: number;
  readonly #withinMs: number;
  readonly #start: () => WorkerPort;
  /** What its threads may do with it. */
  readonly #owner: ThreadOwner;
  readonly #streams: StreamOptions;
  readonly #waiting: WaitList = new WaitList(this as WaitOwner, "wait for a worker", true);
  readonly #threads: Set<Thread> = new Set();
  readonly #leaving: Set<Promise<void>> = new Set();
  readonly #calls: Set<Task> = new Set();
  /** Runs what is mapped: with as many places as there are in the workers. */
  readonly #mapping: Pool;
  /** When the latest crashes were, the oldest first. */
  #crashes: number[] = [];
  #restarts = 0;
  #ignored = 0;
  #lastNumber = 0;
  /** Why it takes no more calls. */
  #over: { readonly error: Error } | null = null;
  #closing: Promise<void> | null = null;

  /** Creates a pool; see {@linkcode workers}. */
  constructor(
    source: URL | string | undefined,
    options: WorkersOptions & Partial<SpawnOption> = {},
  ) {
    checkOptions(options);
    const { spawn: make, onUndelivered, restarts = {} } = options;
    const url = source === undefined ? undefined : checkUrl(source);
    if (url === undefined && make === undefined) {
      throw new TypeError(
        "Cannot create worker pool: a URL or options.spawn must be given, got neither",
      );
    }
    const { size = Math.max(1, hardwareThreads() - 1), concurrency = 1, window = 64 } = options;
    const { classes = [] } = options;
    // Now: a thread that has started would be left behind.
    new ErrorClasses(classes);
    this.size = checkCount("size", size, 1);
    this.#concurrency = checkCount("concurrency", concurrency, 1);
    this.#max = checkCount("restarts.max", restarts.max ?? 3, 0);
    this.#withinMs = restarts.withinMs ?? 10_000;
    const tell = onUndelivered === undefined ? undefined : (value: unknown): void => {
      try {
        onUndelivered(value);
      } catch (error) {
        reportUnhandled(error);
      }
    };
    this.#owner = {
      link: {
        classes,
        maxMessageBytes: checkCount("maxMessageBytes", options.maxMessageBytes ?? 2 ** 26, 1),
        onUndelivered: tell,
      },
      graceMs: options.graceMs ?? 1000,
      readyMs: options.readyMs ?? 10_000,
      free: () => this.#admit(),
      crashed: (thread, error) => this.#crashed(thread, error),
      ended: (thread) => {
        this.#leave(thread);
        this.#grow();
      },
    };
    this.#streams = {
      // Half of it here, and as much again on its way.
      capacity: Math.ceil(checkCount("window", window, 1) / 2),
      onUndelivered: tell,
      ended: (call) => this.#calls.delete(call),
    };
    this.name = options.name ?? url?.pathname.split("/").at(-1) ?? "workers";
    this.#start = make !== undefined ? () => portOf(make()) : () => startThread(url!, this.name);
    this.#mapping = new Pool(this.size * this.#concurrency);
    this.call = callsOf((name, args) => this.#call(name, args)) as Calls<M>;
  }

  /**
   * Calls a function for each item; resolves to the results in the order of the items. The first failure in
   * time kills the rest, waits for that, and rejects. As many run at once as there are places. The items
   * may be sync or async, and are read only as there are places.
   *
   * @param name The function, which takes the item and gives no generator.
   * @param items The items.
   * @throws The first error of a call or the source.
   * @throws {TimeoutError} If `options.timeout` is over.
   */
  async map<Name extends PlainNames<M>>(
    name: Name,
    items: Iterable<ItemOf<M, Name>> | AsyncIterable<ItemOf<M, Name>>,
    options: MapOptions = {},
  ): Promise<Array<ResultOf<M, Name>>> {
    const refused = refuse("map", options);
    if (refused !== null) return refused;
    const stop = new AbortController();
    const mapping = spawn(
      { name: `map ${name}` },
      () =>
        isList(items)
          ? this.#mapList(name, items, stop.signal)
          : this.#mapping.map(this.#mapped(name, stop.signal), items),
    );
    // Who maps gets its end, be it that of the wait for it.
    observeTask(mapping as Task);
    try {
      return await mapping.get(options) as Array<ResultOf<M, Name>>;
    } catch (error) {
      stop.abort(error);
      throw error;
    } finally {
      await mapping.kill();
    }
  }

  /**
   * Calls a function for each item and iterates over the results in the order of the items, while others
   * still run. Lazy, bounded, and left as {@linkcode Pool.imap} is.
   *
   * @param name The function, which takes the item and gives no generator.
   * @param items The items.
   * @throws {RangeError} If `buffer` is no integer >= 1.
   */
  imap<Name extends PlainNames<M>>(
    name: Name,
    items: Iterable<ItemOf<M, Name>> | AsyncIterable<ItemOf<M, Name>>,
    options?: ImapOptions,
  ): AsyncIterableIterator<ResultOf<M, Name>> & AsyncDisposable {
    return this.#mapping.imap(this.#mapped(name), items, options) as
      & AsyncIterableIterator<ResultOf<M, Name>>
      & AsyncDisposable;
  }

  /** {@linkcode WorkerPool.imap} in the order in which the results come. */
  imapUnordered<Name extends PlainNames<M>>(
    name: Name,
    items: Iterable<ItemOf<M, Name>> | AsyncIterable<ItemOf<M, Name>>,
    options?: ImapOptions,
  ): AsyncIterableIterator<ResultOf<M, Name>> & AsyncDisposable {
    return this.#mapping.imapUnordered(this.#mapped(name), items, options) as
      & AsyncIterableIterator<ResultOf<M, Name>>
      & AsyncDisposable;
  }

  /**
   * Kills every call, those that wait too, and waits, out of reach of kills, until all have ended. The pool
   * can be used again.
   *
   * @param reason What they reject with, as in {@linkcode Task.kill}.
   */
  async kill(reason?: unknown): Promise<void> {
    const error = killError(reason, "Worker pool was killed");
    const calls = [...this.#calls];
    for (const call of calls) killTask(call, error);
    await Promise.all([this.#mapping.kill(error), ...calls.map((call) => call.kill(error))]);
  }

  /**
   * Kills every call, and ends every thread. Resolves when all of them are gone. Later calls reject with a
   * {@linkcode KilledError}. A second call waits for the same.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /** Closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** How many calls run in workers. */
  get busy(): number {
    let busy = 0;
    for (const { load } of this.#threads) busy += load;
    return busy;
  }

  /** How many calls wait for a place. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** How many workers have crashed and were replaced, or will be when they are needed. */
  get restarts(): number {
    return this.#restarts;
  }

  /** How many threads live: those that start, and those that end, too. */
  get threads(): number {
    return this.#threads.size + this.#leaving.size;
  }

  /** How many messages came from the workers that mean nothing here. */
  get ignored(): number {
    let ignored = this.#ignored;
    for (const thread of this.#threads) ignored += thread.ignored;
    return ignored;
  }

  /** "WorkerPool". */
  get [Symbol.toStringTag](): string {
    return "WorkerPool";
  }

  #call(name: string, args: readonly unknown[]): Task {
    const call = makeCall(name, (output) => this.#run(name, args, output), this.#streams);
    this.#calls.add(call);
    return call;
  }

  #mapped(name: string, signal?: AbortSignal): (item: unknown) => Promise<unknown> {
    return (item) => this.#run(name, [item], null, { signal });
  }

  /**
   * Maps over items that are there. A member takes one after another: a member for each is more work than
   * the call, and its worker would wait for that work.
   */
  async #mapList(
    name: string,
    items: readonly unknown[],
    signal: AbortSignal,
  ): Promise<unknown[]> {
    const results: unknown[] = [];
    let next = 0, end = Infinity;
    const work = async (): Promise<void> => {
      const context = currentContext();
      while (next < Math.min(items.length, end)) {
        const at = next++, item = items[at];
        const args = [isThenable(item) ? await item : item];
        results[at] = await this.#run(name, args, null, { signal }, context);
        // This map waits for one more place. Where others do, too, all get them in turn.
        if (this.#mapping.waiting > 1) return;
      }
    };
    function* members(): Generator<void> {
      for (let count = 0; next < items.length && count < items.length; count++) yield;
      // All have been read, or will be by members that are about to begin. What comes to it now comes late.
      end = items.length;
    }
    await this.#mapping.map(work, members());
    return results;
  }

  /** Runs a function in a worker, for the current task. */
  #run(
    name: string,
    args: readonly unknown[],
    output: StreamEnd | null,
    options: WaitOptions = {},
    context: Context | null = currentContext(),
  ): Promise<unknown> {
    const caller = { context, options };
    const refused = this.#refuse(caller);
    if (refused !== null) return refused;
    const thread = this.#free();
    return thread === undefined
      ? this.#runLater(name, args, output, caller)
      : thread.call(name, args, output, caller);
  }

  /** Runs it when there is a place. */
  async #runLater(
    name: string,
    args: readonly unknown[],
    output: StreamEnd | null,
    caller: Caller,
  ): Promise<unknown> {
    for (;;) {
      const thread = await this.#place(caller);
      // One that has ended in this very moment was posted nothing.
      if (!thread.over) return await thread.call(name, args, output, caller);
    }
  }

  /** Why no call may begin; `null` if one may. */
  #refuse(caller: Caller): Promise<never> | null {
    const refused = refuseCaller(caller);
    if (refused !== null) return refused;
    return this.#over === null ? null : Promise.reject(this.#over.error);
  }

  /** Takes a place that is free now, if there is one for who comes last. */
  #free(): Thread | undefined {
    const thread = this.#waiting.first === null ? this.#leastBusy() : undefined;
    if (thread === undefined) return undefined;
    thread.load++;
    thread.rest();
    this.#grow();
    return thread;
  }

  /** Waits for a place in a worker, which its call gives back. */
  #place(caller: Caller): Promise<Thread> {
    const refused = this.#refuse(caller);
    if (refused !== null) return refused;
    const thread = this.#free();
    if (thread !== undefined) return Promise.resolve(thread);
    const placed = new Waiter<Thread>().parkAs(caller.context, this.#waiting, caller.options);
    this.#grow();
    return placed;
  }

  /** Gives free places to who waits longest. */
  #admit(): void {
    for (let waiter = this.#waiting.first; waiter !== null; waiter = this.#waiting.first) {
      const thread = this.#leastBusy();
      if (thread === undefined) break;
      thread.load++;
      thread.rest();
      waiter.settle(thread);
    }
    this.#grow();
  }

  #leastBusy(): Thread | undefined {
    let least: Thread | undefined;
    for (const thread of this.#threads) {
      if (!thread.ready || thread.load >= this.#concurrency) continue;
      if (least === undefined || thread.load < least.load) least = thread;
    }
    return least;
  }

  /** Starts as many workers as would have something to do. */
  #grow(): void {
    if (this.#over !== null) return;
    const wanted = Math.min(this.size, this.busy + this.#waiting.size);
    while (this.#threads.size < wanted) {
      this.#threads.add(new Thread(this.#owner, ++this.#lastNumber, this.name, this.#start));
    }
  }

  /** A worker has ended by itself. */
  #crashed(thread: Thread, error: WorkerCrashed): void {
    this.#leave(thread);
    if (this.#over !== null) return;
    const now = clock.on.now();
    this.#crashes = this.#crashes.filter((at) => now - at < this.#withinMs);
    this.#crashes.push(now);
    if (this.#crashes.length > this.#max) return this.#fail(error);
    this.#restarts++;
    this.#grow();
  }

  #leave(thread: Thread): void {
    if (!this.#threads.delete(thread)) return;
    this.#ignored += thread.ignored;
    const { gone } = thread;
    if (gone === null) return;
    this.#leaving.add(gone);
    void gone.then(() => this.#leaving.delete(gone));
  }

  #fail(error: Error): void {
    this.#over = { error };
    for (let waiter = this.#waiting.first; waiter !== null; waiter = this.#waiting.first) {
      waiter.fail(error);
    }
    for (const thread of [...this.#threads]) if (thread.load === 0) thread.end();
  }

  async #close(): Promise<void> {
    const error = new KilledError("Worker pool was closed");
    this.#over ??= { error };
    await this.kill(error);
    for (const thread of [...this.#threads]) thread.end();
    await Promise.all(this.#leaving);
  }
}

/** The item that a function takes. */
export type ItemOf<M, Name extends keyof M> = M[Name] extends
  (item: infer T, ...rest: never[]) => unknown ? T
  : never;

/** What a function resolves to. */
export type ResultOf<M, Name extends keyof M> = M[Name] extends (...args: never[]) => infer R
  ? Awaited<R>
  : never;

/** An object whose every property calls; the names are the worker's business. */
function callsOf(call: (name: string, args: readonly unknown[]) => Task): object {
  const made: Map<string, (...args: unknown[]) => Task> = new Map();
  return new Proxy(Object.freeze(Object.create(null)), {
    get: (_, name) => {
      // So it is no thenable, for one.
      if (typeof name !== "string" || RESERVED.has(name)) return undefined;
      let fn = made.get(name);
      if (fn === undefined) made.set(name, fn = (...args) => call(name, args));
      return fn;
    },
  });
}

/** Whether all items are there, and none must be waited for. */
function isList(items: Iterable<unknown> | AsyncIterable<unknown>): items is readonly unknown[] {
  return Array.isArray(items) && items[Symbol.iterator] === Array.prototype.values &&
    !items.some(isThenable);
}

function checkUrl(source: URL | string): URL {
  try {
    return new URL(source);
  } catch {
    throw new TypeError(
      `Cannot create worker pool: source must be an absolute URL, got ${
        JSON.stringify(String(source))
      }; new URL("./tasks.ts", import.meta.url) makes one`,
    );
  }
}

function checkOptions(options: WorkersOptions & Partial<SpawnOption>): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot create worker pool: options must be an object, got ${String(options)}`,
    );
  }
  const verb = "create worker pool";
  const { spawn, onUndelivered, name, graceMs, readyMs, restarts } = options;
  for (const [key, fn] of Object.entries({ spawn, onUndelivered })) {
    if (fn !== undefined && typeof fn !== "function") {
      throw new TypeError(`Cannot ${verb}: ${key} must be a function, got ${typeof fn}`);
    }
  }
  if (name !== undefined && typeof name !== "string") {
    throw new TypeError(`Cannot ${verb}: name must be a string, got ${typeof name}`);
  }
  if (restarts !== undefined && (typeof restarts !== "object" || restarts === null)) {
    throw new TypeError(`Cannot ${verb}: restarts must be an object, got ${String(restarts)}`);
  }
  if (graceMs !== undefined) checkMs(verb, "graceMs", graceMs);
  if (readyMs !== undefined) checkMs(verb, "readyMs", readyMs);
  if (restarts?.withinMs !== undefined) checkMs(verb, "restarts.withinMs", restarts.withinMs);
}

function checkCount(name: string, count: unknown, least: number): number {
  if (typeof count !== "number") {
    throw new TypeError(
      `Cannot create worker pool: ${name} must be a number, got ${typeof count}`,
    );
  }
  if (!Number.isInteger(count) || count < least) {
    throw new RangeError(
      `Cannot create worker pool: ${name} must be an integer >= ${least}, got ${count}`,
    );
  }
  return count;
}
