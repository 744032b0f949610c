// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Calls into a worker, as tasks.
 *
 * @module
 */

// Invariants
//  1. The body of a call parks where the worker's reply settles it: the call is a task like any other.
//  2. The channel of a stream is made when somebody first wants it: the reader, or the worker.
//  3. It is closed when the call has ended: by the worker, in order behind the values, or here if no worker
//     has said how they end.

import { END, LeavableIterator } from "../_kernel/leavable.ts";
import { Channel, type Receiver } from "../channel.ts";
import { createTask, observeTask, Task, type TaskWatcher, watchTask } from "../task.ts";
import type { StreamEnd } from "./thread.ts";

/** The names of the functions of a module. */
export type FunctionNames<M> =
  & { [Name in keyof M]: M[Name] extends (...args: never[]) => unknown ? Name : never }[keyof M]
  & string;

/** The names of those that give a value, and not a generator. */
export type PlainNames<M> =
  & {
    [Name in keyof M]: M[Name] extends (...args: never[]) => infer R
      ? Awaited<R> extends Streamed<unknown, unknown> ? never : Name
      : never;
  }[keyof M]
  & string;

/** What a served function may give to have its values stream back. */
export type Streamed<T, R> = AsyncGenerator<T, R, never> | Generator<T, R, never>;

/** The call of a function that gives `R`. */
export type CallOf<R> = Awaited<R> extends AsyncGenerator<infer T, infer Result, never>
  ? WorkerStream<T, Result>
  : Awaited<R> extends Generator<infer T, infer Result, never> ? WorkerStream<T, Result>
  : WorkerCall<Awaited<R>>;

/** The functions of a module, called in a worker. */
export type Calls<M> = {
  readonly [Name in FunctionNames<M>]: M[Name] extends (...args: infer A) => infer R
    ? (...args: A) => CallOf<R>
    : never;
};

/** Makes a call; for the pool. `run` parks until it has ended. */
export function makeCall(
  name: string,
  run: (output: StreamEnd) => Promise<unknown>,
  options: StreamOptions,
): WorkerStream<unknown, unknown> {
  const output = new CallOutput(options);
  const call = createTask(
    0,
    () => run(output),
    [],
    { name },
    WorkerStream,
  ) as WorkerStream<unknown, unknown>;
  output.belongTo(call);
  setOutput(call, output);
  return call;
}

/** What a call needs of its pool for the values of a generator. */
export interface StreamOptions {
  readonly capacity: number;
  readonly onUndelivered: ((value: unknown) => void) | undefined;
  /** The call has ended. */
  readonly ended: (call: Task) => void;
}

let setOutput: (call: WorkerStream<unknown, unknown>, output: CallOutput) => void;

/**
 * A call that runs in a worker: a task, whose kill reaches the worker. The function there runs as a task
 * of its own, and its waits reject; what it then returns or throws is the end of this one. If it has not
 * ended after the pool's `graceMs`, since it computes without a pause for instance, its thread is ended;
 * Deno 2.9.6 leaves such a thread behind, where it computes on until it pauses.
 *
 * If the worker ends first the call fails with a {@linkcode WorkerCrashed}; it is never tried again.
 *
 * @example A call is a task
 * ```ts
 * import { sleep } from "@baozi/baozi";
 * import { serve, workers } from "@baozi/baozi/workers";
 * import { assertEquals } from "@std/assert";
 *
 * // The other end of a port stands for a thread here.
 * const { port1, port2 } = new MessageChannel();
 * const tasks = { nap: (ms: number) => sleep(ms) };
 * serve(tasks, { port: port2 });
 * await using pool = workers<typeof tasks>({ spawn: () => port1, size: 1 });
 * const call = pool.call.nap(60_000);
 * assertEquals(await call.join({ timeout: 20 }), false);
 * assertEquals([await call.kill(), call.state], [true, "killed"]);
 * ```
 *
 * @typeParam T What the function gives.
 */
export class WorkerCall<T = unknown> extends Task<T> {}

/**
 * The call of a function that gives a generator. It is the task, whose value is what the generator returns,
 * and an iterable over what it yields. Leaving a loop over it kills the call, and the loop goes on when
 * that has ended, `finally` blocks in the worker included. An error of the generator is thrown to the loop,
 * after the values before it.
 *
 * The generator runs ahead of its reader, but for no more values than the pool's `window` allows: whoever
 * only awaits the call, and takes no values, may wait for ever.
 *
 * @example The values of a generator
 * ```ts
 * import { serve, workers } from "@baozi/baozi/workers";
 * import { assertEquals } from "@std/assert";
 *
 * const tasks = {
 *   *upTo(n: number): Generator<number, string> {
 *     for (let i = 1; i <= n; i++) yield i;
 *     return "done";
 *   },
 * };
 * const { port1, port2 } = new MessageChannel();
 * serve(tasks, { port: port2 });
 * await using pool = workers<typeof tasks>({ spawn: () => port1, size: 1 });
 * const call = pool.call.upTo(3);
 * const seen: number[] = [];
 * for await (const n of call) seen.push(n);
 * assertEquals([seen, await call], [[1, 2, 3], "done"]);
 * ```
 *
 * @typeParam T What the generator yields.
 * @typeParam R What it returns.
 */
export class WorkerStream<T = unknown, R = unknown> extends WorkerCall<R>
  implements AsyncIterable<T> {
  #output: CallOutput | null = null;

  static {
    setOutput = (call, output) => {
      call.#output = output;
    };
  }

  /**
   * What the generator yields, as the receiving half of a channel; of a call of another function there is
   * nothing. Who takes it gets the errors of the call. `cancel()` stops the generator.
   */
  get output(): Receiver<T> {
    observeTask(this as Task);
    return this.#output!.channel as Channel<T>;
  }

  /** Iterates over what the generator yields; leaving early kills the call and waits for its end. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> & AsyncDisposable {
    return new StreamIterator<T>(this, this.output);
  }
}

/** Where the values of a call go. */
class CallOutput implements StreamEnd, TaskWatcher {
  readonly #options: StreamOptions;
  #call: Task | null = null;
  #channel: Channel<unknown> | null = null;
  #opened = false;
  #complete = false;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  belongTo(call: Task): void {
    this.#call = call;
    watchTask(call, this);
  }

  get channel(): Channel<unknown> {
    if (this.#channel === null) {
      const { capacity, onUndelivered } = this.#options;
      this.#channel = new Channel({ capacity, onUndelivered, name: this.#call!.name });
      if (this.#call!.ready) this.#close();
    }
    return this.#channel;
  }

  open(): object {
    this.#opened = true;
    return this.channel;
  }

  complete(): void {
    this.#complete = true;
  }

  /** The call has ended. */
  taskEnded(): void {
    if (this.#channel !== null) this.#close();
    this.#options.ended(this.#call!);
  }

  #close(): void {
    const { state, error } = this.#call!;
    if (state === "killed") this.#channel!.cancel(error);
    else if (this.#opened && this.#complete) return; // the worker's own close is on its way
    else if (state === "failed") this.#channel!.close(error);
    else this.#channel!.close();
  }
}

/** Iterates over the values of a call, and ends the call with itself. */
class StreamIterator<T> extends LeavableIterator<T> {
  readonly #call: WorkerStream<T>;
  readonly #output: Receiver<T>;
  readonly #inner: AsyncIterableIterator<T>;
  #left = false;
  // A loop does not call return() when next() rejects, by a kill of the reader for instance.
  readonly #onRejected = async (error: unknown): Promise<never> => {
    await this.return();
    throw error;
  };

  constructor(call: WorkerStream<T>, output: Receiver<T>) {
    super();
    this.#call = call;
    this.#output = output;
    this.#inner = output.values();
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return this.#left ? Promise.resolve(END) : this.#inner.next().then(undefined, this.#onRejected);
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    if (this.#left) return END;
    this.#left = true;
    await this.#inner.return?.();
    const ended = this.#call.ready;
    await this.#call.kill();
    // Of one that had ended before, too: nobody will take what is left.
    this.#output.cancel();
    // What its clean-up throws would be lost.
    if (!ended && this.#call.state === "failed") throw this.#call.error;
    return END;
  }
}
