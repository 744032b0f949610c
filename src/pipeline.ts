// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Stages that work at the same time, each in a task of its own, connected by bounded channels.
 * The last one feeds a loop; whatever ends that loop ends them all.
 *
 * @module
 */

// Invariants
//  1. Nothing runs before the first next(), and nothing after the pipeline has ended: its end waits
//     for the clean-up of every stage and of the source.
//  2. Stage i is the only one who reads #producers[i - 1], the first one alone reads #source.
//  3. The first failure is told to the consumer, once; what fails later is a consequence of it or of
//     the kill, and is dropped.
//  4. A value that came out of the last stage before a failure is still received; what is
//     between the stages is dropped.
// Source: Unix pipes, Kotlin's flow with buffer(). Dropped: errors that travel with the values
// through the stages: a stage could swallow them, and its successors work on in vain.

import { Context, currentContext, ROOT, runIn } from "./_kernel/current.ts";
import { isIterable, itemsOf } from "./_kernel/items.ts";
import { END, LeavableIterator } from "./_kernel/leavable.ts";
import { refuse } from "./_kernel/waiter.ts";
import type { Channel } from "./channel.ts";
import { isKilled, KilledError } from "./errors.ts";
import { type Leavable, ProducedIterator, Producer, type ProducerOwner } from "./produce.ts";
import { until } from "./until.ts";

const CAPACITY = 16;

/** What a pipeline can start from. */
export type PipelineSource<T> =
  | AsyncIterable<T>
  | Iterable<T | PromiseLike<T>>
  | ReadableStream<T>;

/** A step of a pipeline: an async generator function, or any function from one iterable to another. */
export type Stage<A, B> = (input: AsyncIterable<A>) => AsyncIterable<B> | Iterable<B>;

/** Options of a {@linkcode pipeline}. */
export interface PipelineOptions {
  /**
   * How many values a stage may be ahead of the next one, or of the consumer: an integer >= 0.
   *
   * @default {16}
   */
  capacity?: number | undefined;
}

/** What a pipeline gives: an iterator for one loop. Disposing it is leaving that loop. */
export interface Pipeline<T> extends AsyncIterableIterator<T>, AsyncDisposable {
  /** The next value; starts the stages. Parks while there is none. */
  next(): Promise<IteratorResult<T, undefined>>;
  /** Stops all stages and resolves when their clean-up is done. */
  return(): Promise<IteratorResult<T, undefined>>;
  /** {@linkcode Pipeline.return}, then rejects with `error`. */
  throw(error?: unknown): Promise<IteratorResult<T, undefined>>;
  /** Itself. */
  [Symbol.asyncIterator](): Pipeline<T>;
}

/**
 * Connects `source` to `stages`: each stage is a function from an async iterable to an async iterable
 * (an async generator function, a {@linkcode mapStage}) and runs in a task of its own. Bounded
 * channels connect them, so a slow stage holds back those before it. The first stage reads the
 * source, and never ahead. Without stages the values of the source are passed on.
 *
 * Nothing runs before the first `next()`. A pipeline serves one loop; after its end `next()` is done.
 *
 * Any failure, of the source or of a stage, kills all stages at once. When their clean-up is done, and
 * after the values that had come out before, it is thrown to the consumer: once, the original
 * error. Leaving the loop early kills all stages too, and waits for their clean-up, shielded from
 * kills; so does a kill of the task that waits for a value. An error of that clean-up is thrown there.
 * A stage that leaves its input early ends the stages before it. A stage
 * in a foreign `await` cannot be interrupted: it is waited for. Clean-up of a stage that must wait
 * needs `shield`, as in every killed task.
 *
 * The last argument may be options.
 *
 * @throws {TypeError} If `source` is not iterable, a stage is no function, or `capacity` no number.
 * @throws {RangeError} If `capacity` is no integer >= 0.
 *
 * @example Stages at different speeds
 * ```ts
 * import { mapStage, pipeline, sleep } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * async function* pairs<T>(input: AsyncIterable<T>): AsyncGenerator<T[]> {
 *   let pair: T[] = [];
 *   for await (const value of input) {
 *     if (pair.push(value) === 2) yield pair.splice(0);
 *   }
 *   if (pair.length > 0) yield pair;
 * }
 *
 * const slowly = mapStage((n: number) => sleep(n).then(() => n * n), { concurrency: 3 });
 * const got: number[][] = [];
 * for await (const pair of pipeline([3, 1, 2], slowly, pairs)) got.push(pair);
 * assertEquals(got, [[9, 1], [4]]);
 * ```
 */
export function pipeline<A>(
  source: PipelineSource<A>,
  options?: PipelineOptions,
): Pipeline<A>;
/** {@linkcode pipeline} of one stage. */
export function pipeline<A, B>(
  source: PipelineSource<A>,
  first: Stage<A, B>,
  options?: PipelineOptions,
): Pipeline<B>;
/** {@linkcode pipeline} of two stages. */
export function pipeline<A, B, C>(
  source: PipelineSource<A>,
  first: Stage<A, B>,
  second: Stage<B, C>,
  options?: PipelineOptions,
): Pipeline<C>;
/** {@linkcode pipeline} of three stages. */
export function pipeline<A, B, C, D>(
  source: PipelineSource<A>,
  first: Stage<A, B>,
  second: Stage<B, C>,
  third: Stage<C, D>,
  options?: PipelineOptions,
): Pipeline<D>;
/** {@linkcode pipeline} of four stages. */
export function pipeline<A, B, C, D, E>(
  source: PipelineSource<A>,
  first: Stage<A, B>,
  second: Stage<B, C>,
  third: Stage<C, D>,
  fourth: Stage<D, E>,
  options?: PipelineOptions,
): Pipeline<E>;
/** {@linkcode pipeline} of five stages. */
export function pipeline<A, B, C, D, E, F>(
  source: PipelineSource<A>,
  first: Stage<A, B>,
  second: Stage<B, C>,
  third: Stage<C, D>,
  fourth: Stage<D, E>,
  fifth: Stage<E, F>,
  options?: PipelineOptions,
): Pipeline<F>;
/** {@linkcode pipeline} of six stages. */
export function pipeline<A, B, C, D, E, F, G>(
  source: PipelineSource<A>,
  first: Stage<A, B>,
  second: Stage<B, C>,
  third: Stage<C, D>,
  fourth: Stage<D, E>,
  fifth: Stage<E, F>,
  sixth: Stage<F, G>,
  options?: PipelineOptions,
): Pipeline<G>;
/** {@linkcode pipeline} of seven stages. */
export function pipeline<A, B, C, D, E, F, G, H>(
  source: PipelineSource<A>,
  first: Stage<A, B>,
  second: Stage<B, C>,
  third: Stage<C, D>,
  fourth: Stage<D, E>,
  fifth: Stage<E, F>,
  sixth: Stage<F, G>,
  seventh: Stage<G, H>,
  options?: PipelineOptions,
): Pipeline<H>;
/** {@linkcode pipeline} of eight stages. */
export function pipeline<A, B, C, D, E, F, G, H, I>(
  source: PipelineSource<A>,
  first: Stage<A, B>,
  second: Stage<B, C>,
  third: Stage<C, D>,
  fourth: Stage<D, E>,
  fifth: Stage<E, F>,
  sixth: Stage<F, G>,
  seventh: Stage<G, H>,
  eighth: Stage<H, I>,
  options?: PipelineOptions,
): Pipeline<I>;
/** {@linkcode pipeline} of any number of stages that keep the type. */
export function pipeline<A>(
  source: PipelineSource<A>,
  ...stages: Array<Stage<A, A>>
): Pipeline<A>;
export function pipeline(source: PipelineSource<unknown>, ...rest: unknown[]): Pipeline<unknown> {
  const last = rest.at(-1);
  const options = isPlainObject(last) ? rest.pop() : {};
  const { capacity = CAPACITY } = options as PipelineOptions;
  if (typeof capacity !== "number") {
    throw new TypeError(
      `Cannot create pipeline: capacity must be a number, got ${typeof capacity}`,
    );
  }
  if (!Number.isInteger(capacity) || capacity < 0) {
    throw new RangeError(
      `Cannot create pipeline: capacity must be an integer >= 0, got ${capacity}`,
    );
  }
  const open = opener(source);
  if (open === null) {
    throw new TypeError(
      `Cannot create pipeline: source must be iterable or a ReadableStream, got ${kindOf(source)}`,
    );
  }
  rest.forEach((stage, index) => {
    if (typeof stage === "function") return;
    throw new TypeError(
      `Cannot create pipeline: stage ${index + 1} must be a function, got ${kindOf(stage)}`,
    );
  });
  return new StagedPipeline(open, rest as Array<Stage<unknown, unknown>>, capacity);
}

/** The pipeline, to which its stages and its source tell their failures. */
class StagedPipeline<T> extends LeavableIterator<T> implements Pipeline<T>, ProducerOwner {
  readonly #open: Opener;
  readonly #stages: Array<Stage<unknown, unknown>>;
  readonly #capacity: number;
  #source: SourceInput | null = null;
  /** In what the first next() was called. */
  #consumer: Context = ROOT;
  #producers: Array<Producer<unknown>> = [];
  /** Of the last stage; none without stages, when the source is read directly. */
  #channel: Channel<unknown> | null = null;
  #output: AsyncIterator<unknown> | null = null;
  #reason: KilledError | null = null;
  #stopped: Promise<void> | null = null;
  #failed = false;
  #error: unknown = undefined;
  /** Nobody gets anything any more, be it for the end, a failure that was told, or return(). */
  #ended = false;

  readonly #onResult = (
    result: IteratorResult<unknown>,
  ): IteratorResult<T, undefined> | Promise<IteratorResult<T, undefined>> =>
    result.done === true ? this.#finish() : result as IteratorResult<T, undefined>;
  readonly #onRejected = (error: unknown): Promise<IteratorResult<T, undefined>> =>
    this.#abort(error);

  constructor(open: Opener, stages: Array<Stage<unknown, unknown>>, capacity: number) {
    super();
    this.#open = open;
    this.#stages = stages;
    this.#capacity = capacity;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#ended) return Promise.resolve(END);
    const refused = refuse("receive");
    if (refused !== null) {
      return this.#output === null ? refused : refused.then(undefined, this.#onRejected);
    }
    if (this.#output === null) this.#start();
    if (this.#channel !== null) {
      const taken = this.#channel.tryReceive();
      if (taken.state === "ok") return Promise.resolve({ done: false, value: taken.value as T });
    }
    return this.#output!.next().then(this.#onResult, this.#onRejected);
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#ended = true;
    if (this.#output === null) return END;
    const failedBefore = this.#failed;
    const stopped = this.#stop();
    this.#channel?.cancel(); // ends a next() that waits
    if (this.#producers.some((producer) => producer.runsHere)) throw this.reason;
    await stopped;
    if (!this.#failed || failedBefore) return END;
    const error = this.#error;
    this.#error = undefined;
    this.#failed = false;
    throw error;
  }

  /** What the stages are killed with: not an error of theirs. */
  get reason(): KilledError {
    return this.#reason ??= new KilledError("Stage was killed, since its pipeline has ended");
  }

  producerFailed(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#error = error;
    if (this.#stopped !== null) return;
    void this.#stop();
    // What came out before is still received; who then meets the error waits for the clean-up.
    this.#channel?.close(error);
  }

  #start(): void {
    this.#consumer = currentContext() ?? ROOT;
    let input: AsyncIterableIterator<unknown> & Leavable = this.#source = this.#open(this);
    for (const stage of this.#stages) {
      const name = stage.name === "" ? undefined : stage.name;
      const producer = new Producer<unknown>({ capacity: this.#capacity, name }, this);
      const read = input;
      producer.start(() => stage(read), read);
      this.#producers.push(producer);
      this.#channel = producer.channel;
      input = new ProducedIterator<unknown, unknown>(producer, this.#channel.values(), true);
    }
    this.#output = this.#channel === null ? input : this.#channel.values();
  }

  /** The last stage, or the source without stages, has no more values. */
  async #finish(): Promise<IteratorResult<T, undefined>> {
    if (this.#ended) return END;
    this.#ended = true;
    if (!this.#failed) return END;
    await this.#stopped;
    throw this.#error;
  }

  /** A `next()` was rejected; a loop is left then without return(), so this is its clean-up. */
  async #abort(error: unknown): Promise<IteratorResult<T, undefined>> {
    if (this.#ended) return END;
    this.#ended = true;
    await this.#stop();
    this.#channel?.cancel();
    throw this.#failed ? this.#error : error;
  }

  /** Kills all stages, and resolves when their clean-up is done, and that of the source. */
  #stop(): Promise<void> {
    if (this.#stopped === null) {
      const producers = this.#producers, source = this.#source!;
      // For the consumer, who waits for it. The stage in which it is called could not await its own kill.
      const context = new Context(this.#consumer, true);
      this.#stopped = runIn(context, stopAll, producers, source, this as ProducerOwner);
    }
    return this.#stopped;
  }
}

/** Kills from the source on; a stage that waits for a value cleans up after the one before it. */
async function stopAll(
  producers: Array<Producer<unknown>>,
  source: SourceInput,
  owner: ProducerOwner,
): Promise<void> {
  const failed = (error: unknown): void => owner.producerFailed(error);
  const kills = producers.map((producer) => producer.kill().catch(failed));
  let left: Promise<unknown> | undefined;
  // Else the first stage leaves it. One that waits for a foreign event may end only by return().
  if (source.pending || producers.length === 0) left = source.return().then(undefined, failed);
  await Promise.all(kills);
  // A stage that a deadlock keeps from its end may wait for the source, which then has none either.
  if (producers.length === 0 || producers[0]!.ended) await left;
}

type Opener = (owner: ProducerOwner) => SourceInput;

/** The source as the first stage reads it: opened at the first read, left once. */
class SourceInput implements AsyncIterableIterator<unknown>, Leavable {
  readonly #open: () => AsyncIterator<unknown>;
  readonly #owner: ProducerOwner;
  #iterator: AsyncIterator<unknown> | null = null;
  #reads = 0;
  #done = false;
  #left: Promise<IteratorResult<unknown, undefined>> | null = null;

  readonly #onStep = (step: IteratorResult<unknown>): IteratorResult<unknown, undefined> => {
    this.#reads--;
    if (step.done === true) this.#done = true;
    return step;
  };

  constructor(open: () => AsyncIterator<unknown>, owner: ProducerOwner) {
    this.#open = open;
    this.#owner = owner;
  }

  /** Whether somebody waits for its next value. */
  get pending(): boolean {
    return this.#reads > 0;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#done) return Promise.resolve(END);
    const context = currentContext();
    try {
      const step = (this.#iterator ??= this.#open()).next();
      this.#reads++;
      return Promise.resolve(step).then(this.#onStep, (error) => {
        this.#reads--;
        this.#fail(error, context);
        throw error;
      });
    } catch (error) {
      this.#fail(error, context);
      return Promise.reject(error);
    }
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#left === null) {
      this.#left = this.#done || this.#iterator === null
        ? Promise.resolve(END)
        : leave(this.#iterator);
      this.#done = true;
    }
    return this.#left;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Told before the stage sees it, which might swallow it. A kill is no failure of the source. */
  #fail(error: unknown, reader: Context | null): void {
    if (error === this.#owner.reason) return;
    // A stage kills what it reads in for reasons of its own: mapStage does, however it is ended.
    if (reader !== null && reader.cancelled && error === reader.reason && isKilled(error)) return;
    this.#done = true;
    this.#owner.producerFailed(error);
  }
}

async function leave(iterator: AsyncIterator<unknown>): Promise<IteratorReturnResult<undefined>> {
  await iterator.return?.();
  return END;
}

/** Reads a stream, without waiting beyond a kill, and cancels it when it is left. */
class StreamIterator implements AsyncIterator<unknown, undefined> {
  readonly #reader: ReadableStreamDefaultReader<unknown>;

  constructor(stream: ReadableStream<unknown>) {
    this.#reader = stream.getReader();
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    const { done, value } = await until(this.#reader.read());
    if (!done) return { done, value };
    this.#reader.releaseLock();
    return END;
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#reader.cancel();
    this.#reader.releaseLock();
    return END;
  }
}

/** How to read `source`, which is not touched yet; `null` if it cannot be read. */
function opener(source: unknown): Opener | null {
  let open: () => AsyncIterator<unknown>;
  // Not by its async iterator: that cannot be left while it waits.
  if (typeof (source as Partial<ReadableStream> | null | undefined)?.getReader === "function") {
    open = () => new StreamIterator(source as ReadableStream<unknown>);
  } else if (isIterable(source)) open = () => itemsOf(source)[Symbol.asyncIterator]();
  else return null;
  return (owner) => new SourceInput(open, owner);
}

function isPlainObject(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function kindOf(value: unknown): string {
  return value === null ? "null" : typeof value;
}
