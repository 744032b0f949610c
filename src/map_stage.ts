// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A stage that applies a function to each value, several at a time.
 *
 * @module
 */

// Invariants
//  1. At most #concurrency values are held: pulled from the input, and not yet asked past by a
//     further next(). So no call is made that the consumer might not want.
//  2. Each call is a task, but in #pushTo; #calls has those that run, #results what they gave and nobody has taken.
//  3. One pull of the input is under way at a time, in a context that only the end of the stage cancels.
//  4. The first failure in time ends the stage; it is told once, after all clean-up.
// Source: Kotlin's flatMapMerge, p-map. Dropped: a feeder task: parked while the window is full,
// it would be left behind by a consumer that just goes away.

import { Context, contextTravels, currentContext, ROOT, runIn } from "./_kernel/current.ts";
import { isThenable } from "./_kernel/foreign.ts";
import { isIterable, itemsOf } from "./_kernel/items.ts";
import { END, LeavableIterator } from "./_kernel/leavable.ts";
import { WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { refuse, Waiter } from "./_kernel/waiter.ts";
import { KilledError } from "./errors.ts";
import { killAll } from "./join.ts";
import type { Pushing, Sink } from "./produce.ts";
import { spawn } from "./spawn.ts";
import {
  callBody,
  currentTask,
  observeTask,
  type Task,
  type TaskResult,
  type TaskWatcher,
  watchTask,
} from "./task.ts";

/** Options of {@linkcode mapStage}. */
export interface MapStageOptions {
  /**
   * How many calls run at once: an integer >= 1.
   *
   * @default {1}
   */
  concurrency?: number | undefined;
  /**
   * Whether the results come in the order of the input; else as the calls end.
   *
   * @default {true}
   */
  ordered?: boolean | undefined;
}

/**
 * Makes a stage that gives `fn(value)` for each value, with at most `concurrency` calls at once. For
 * `pipeline`, or for any async iterable by itself.
 *
 * It pulls no value before it can run its call, and holds at most `concurrency` values: calls that
 * run and results that wait, in order, for a slower one before them. Nothing runs before the first
 * `next()`.
 *
 * Each call is a task of its own; only one call at a time in a `pipeline` or a `produce` shares the
 * task of the stage with those before it, for speed. Task locals that a call sets are not seen by
 * others. A kill of the stage reaches every library wait inside, and `currentTask()?.signal` is for
 * what takes a signal. (Where the host has no `AsyncLocalStorage`, browsers, `fn` gets the task as a
 * second argument, as from `spawn`.) The first failure in time, of a call or the input, kills the
 * rest, and is thrown when their clean-up is done. Leaving early, or a kill of the task that waits
 * for a result, kills what runs too, waits for the clean-up, shielded, and ends the input.
 *
 * @param fn The function: plain, async, or a generator function, of which the return value counts.
 * @param options How many at once, and in which order.
 * @throws {TypeError} If `fn` is no function, or an option has the wrong type.
 * @throws {RangeError} If `concurrency` is no integer >= 1.
 *
 * @example Three at once, in order
 * ```ts
 * import { mapStage, pipeline, sleep } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const wait = mapStage(async (ms: number) => {
 *   await sleep(ms);
 *   return `${ms} ms`;
 * }, { concurrency: 3 });
 * const got: string[] = [];
 * for await (const text of pipeline([30, 1, 10], wait)) got.push(text);
 * assertEquals(got, ["30 ms", "1 ms", "10 ms"]);
 * ```
 */
export function mapStage<A, B>(
  fn: (value: A) => B,
  options: MapStageOptions = {},
): (input: AsyncIterable<A> | Iterable<A>) => AsyncIterableIterator<TaskResult<B>> {
  if (typeof fn !== "function") {
    throw new TypeError(
      `Cannot create stage: fn must be a function, got ${fn === null ? "null" : typeof fn}`,
    );
  }
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot create stage: options must be an object, got ${String(options)}`);
  }
  const { concurrency = 1, ordered = true } = options;
  if (typeof concurrency !== "number") {
    throw new TypeError(
      `Cannot create stage: concurrency must be a number, got ${typeof concurrency}`,
    );
  }
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new RangeError(
      `Cannot create stage: concurrency must be an integer >= 1, got ${concurrency}`,
    );
  }
  if (typeof ordered !== "boolean") {
    throw new TypeError(`Cannot create stage: ordered must be a boolean, got ${typeof ordered}`);
  }
  return (input) => new MapIterator<A, TaskResult<B>>(fn, input, concurrency, ordered);
}

// What runIn() calls: a function of the module, so that a pull makes no closure.
let pull: <A, B>(stage: MapIterator<A, B>) => void;
let stopAll: <A, B>(stage: MapIterator<A, B>) => Promise<void>;

class MapIterator<A, B> extends LeavableIterator<B> implements Pushing<B>, TaskWatcher, WaitOwner {
  readonly #fn: (value: A) => unknown;
  readonly #source: AsyncIterable<A> | Iterable<A>;
  readonly #concurrency: number;
  readonly #ordered: boolean;
  readonly #waiters: WaitList = new WaitList(this, "map");
  /** What the input runs in; made, with the input, by the first next(). */
  #context: Context | null = null;
  #input: AsyncIterator<A> | null = null;
  #pulling: Promise<void> | null = null;
  #exhausted = false;
  #asked = 0;
  #pulled = 0;
  #completed = 0;
  #yielded = 0;
  /** The calls that run, each with the number of its value. */
  readonly #calls: Map<Task, number> = new Map();
  /** By the place in the output: the number of the value, or of the completion. */
  readonly #results: Map<number, B> = new Map();
  #reason: KilledError | null = null;
  #stopped: Promise<void> | null = null;
  #failed = false;
  #error: unknown = undefined;
  #ended = false;

  readonly #onStep = (step: IteratorResult<A>): void => this.#got(step);
  readonly #onInputError = (error: unknown): void => {
    this.#pulling = null;
    this.#exhausted = true;
    this.#fail(error);
  };
  // A loop does not call return() when next() rejects, so next() cleans up itself.
  readonly #onRejected = (error: unknown): Promise<IteratorResult<B, undefined>> =>
    this.#abort(error);

  static {
    pull = (stage) => stage.#pullNow();
    stopAll = (stage) => stage.#stopAll();
  }

  constructor(
    fn: (value: A) => unknown,
    source: AsyncIterable<A> | Iterable<A>,
    concurrency: number,
    ordered: boolean,
  ) {
    super();
    this.#fn = fn;
    this.#source = source;
    this.#concurrency = concurrency;
    this.#ordered = ordered;
  }

  next(): Promise<IteratorResult<B, undefined>> {
    if (this.#ended) return Promise.resolve(END);
    const refused = refuse("map");
    if (refused !== null) {
      return this.#context === null ? refused : refused.then(undefined, this.#onRejected);
    }
    if (this.#failed) return this.#abort(this.#error);
    this.#context ??= new Context(currentContext() ?? ROOT, true);
    this.#asked++;
    const result = new Waiter<IteratorResult<B, undefined>>().park(this.#waiters);
    this.#advance();
    return result.then(undefined, this.#onRejected);
  }

  /** Kills what runs, and resolves when all clean-up is done; a `next()` that waits ends at once. */
  async return(): Promise<IteratorResult<B, undefined>> {
    this.#ended = true;
    if (this.#context === null) return END;
    const failedBefore = this.#failed;
    const own = this.#calls.has(currentTask() as Task);
    const stopped = this.#stop();
    this.#endWaiters();
    if (own) throw this.#reason;
    await stopped;
    if (!this.#failed || failedBefore) return END;
    this.#failed = false;
    throw this.#error;
  }

  /** One call at a time needs no task beside the one of the producer that asks. */
  "~pushTo"(sink: Sink<B>): Promise<void> | false {
    if (this.#concurrency > 1 || this.#context !== null || this.#ended) return false;
    this.#ended = true;
    return this.#pushTo(sink, currentContext()!);
  }

  /** "MapStage". */
  get [Symbol.toStringTag](): string {
    return "MapStage";
  }

  /** A call has ended. */
  taskEnded(task: Task): void {
    const number = this.#calls.get(task)!;
    this.#calls.delete(task);
    observeTask(task);
    if (task.state !== "succeeded") return this.#fail(task.error);
    if (this.#stopped !== null) return;
    this.#results.set(this.#ordered ? number : this.#completed++, task.value as B);
    this.#advance();
  }

  async #pushTo(sink: Sink<B>, context: Context): Promise<void> {
    const { locals } = context;
    const input = new PushedInput<A>(context, iterate(this.#source));
    try {
      for await (const value of input) {
        input.pulling = false;
        if (context.cancelled) throw context.reason;
        const running = contextTravels()
          ? callBody(this.#fn, [value as never])
          : runIn(context, callBody, this.#fn, [value, context.task] as never[]);
        const result = (isThenable(running) ? await running : running) as B;
        context.locals = locals; // what a call has set neither the input sees nor the next one
        if (!sink.trySend(result) && !await sink.send(result)) return;
      }
      await input.left;
    } finally {
      input.end();
    }
  }

  /** Hands over what is ready, then pulls what can be run. */
  #advance(): void {
    if (this.#stopped !== null) return;
    for (let first = this.#waiters.first; first !== null; first = this.#waiters.first) {
      if (!this.#results.has(this.#yielded)) break;
      const value = this.#results.get(this.#yielded) as B;
      this.#results.delete(this.#yielded++);
      first.settle({ done: false, value });
    }
    if (this.#exhausted) {
      if (this.#calls.size > 0 || this.#results.size > 0) return;
      this.#ended = true;
      return this.#endWaiters();
    }
    const taken = Math.min(this.#yielded, this.#asked - 1);
    if (this.#pulling !== null || this.#pulled >= taken + this.#concurrency) return;
    // Most pulls follow one another, in the context already.
    if (currentContext() === this.#context) this.#pullNow();
    else runIn(this.#context, pull<A, B>, this);
  }

  #pullNow(): void {
    try {
      this.#input ??= iterate(this.#source);
      this.#pulling = Promise.resolve(this.#input.next()).then(this.#onStep, this.#onInputError);
    } catch (error) {
      this.#onInputError(error);
    }
  }

  #got(step: IteratorResult<A>): void {
    this.#pulling = null;
    if (step.done === true) {
      this.#exhausted = true;
    } else if (this.#stopped === null) {
      const task = spawn(this.#fn, step.value) as Task;
      this.#calls.set(task, this.#pulled++);
      watchTask(task, this);
    }
    this.#advance();
  }

  #fail(error: unknown): void {
    if (this.#failed || error === this.#reason) return;
    this.#failed = true;
    this.#error = error;
    if (this.#stopped === null) void this.#stop().then(() => this.#waiters.first?.fail(error));
  }

  /** A `next()` is rejected, by a failure or a kill of the caller. */
  async #abort(error: unknown): Promise<IteratorResult<B, undefined>> {
    if (this.#ended) return END;
    this.#ended = true;
    await this.#stop();
    this.#endWaiters();
    throw this.#failed ? this.#error : error;
  }

  #endWaiters(): void {
    for (let first = this.#waiters.first; first !== null; first = this.#waiters.first) {
      first.settle(END);
    }
  }

  /** Kills what runs, and resolves when all clean-up is done. */
  #stop(): Promise<void> {
    // For the consumer, who waits for it. The call in which it is called could not await its own kill.
    return this.#stopped ??= runIn(new Context(this.#context!.parent, true), stopAll<A, B>, this);
  }

  async #stopAll(): Promise<void> {
    this.#reason = new KilledError("Call was killed, since its stage has ended");
    const calls = killAll([...this.#calls.keys()], this.#reason);
    const left = this.#exhausted ? undefined : this.#leaveInput();
    this.#context!.cancel(this.#reason);
    try {
      await calls;
    } catch (error) {
      // Only a deadlock. What the calls keep, the input may keep too.
      return this.#fail(error);
    }
    await left;
    await this.#pulling;
  }

  async #leaveInput(): Promise<void> {
    try {
      await this.#input?.return?.();
    } catch (error) {
      this.#fail(error);
    }
  }
}

/** The input of a stage that pushes. A kill leaves it at once: a foreign wait may end only by `return()`. */
class PushedInput<A> extends Context implements AsyncIterableIterator<A> {
  readonly #iterator: AsyncIterator<A>;
  /** Somebody waits for the next value. */
  pulling = false;
  left: Promise<unknown> | undefined = undefined;

  constructor(context: Context, iterator: AsyncIterator<A>) {
    super(context);
    this.#iterator = iterator;
  }

  next(): Promise<IteratorResult<A>> {
    this.pulling = true;
    return this.#iterator.next();
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#iterator.return?.();
    return END;
  }

  override wasCancelled(): void {
    if (!this.pulling) return;
    this.left = runIn(this.parent, () => this.return());
    this.left.catch(() => {}); // awaited by the stage, if its input ends by it
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function iterate<A>(source: AsyncIterable<A> | Iterable<A>): AsyncIterator<A> {
  if (isIterable(source)) return itemsOf<A>(source)[Symbol.asyncIterator]();
  throw new TypeError(`Cannot map: input must be iterable, got ${typeof source}`);
}
