// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The worker's side: functions that the thread which started this one may call.
 *
 * @module
 */

// Invariants
//  1. A call is in #calls from its record until its reply, and gets exactly one reply.
//  2. A name from outside is looked up in a Map, and nowhere else.
//  3. The channels of a call are ended after its result was encoded, and before the reply is posted.

import { isThenable } from "../_kernel/foreign.ts";
import { isGenerator } from "../_kernel/generator.ts";
import { WaitList, type WaitOwner } from "../_kernel/wait_list.ts";
import { refuse, Waiter } from "../_kernel/waiter.ts";
import type { Sender } from "../channel.ts";
import { ChannelClosedError } from "../errors.ts";
import { spawn } from "../spawn.ts";
import { killTask, observeTask, type Task, watchTask } from "../task.ts";
import type { CallChannels } from "./crossing.ts";
import type { ErrorClass } from "./error_wire.ts";
import {
  BYE,
  CALL,
  FAILED,
  KILL,
  KILLED,
  Link,
  type LinkOwner,
  OUTPUT,
  READY,
  REPLY,
  STREAM,
  SUCCEEDED,
  VERSION,
} from "./link.ts";
import { RESERVED } from "./pool.ts";
import { parentPort, type PortLike, type ServingPort, servingPort } from "./port.ts";
import { unknownFunction } from "./thread.ts";

/** Options of {@linkcode serve}. */
export interface ServeOptions {
  /** Classes of errors that cross as themselves; the pool registers the same. @default {[]} */
  classes?: readonly ErrorClass[] | undefined;
  /** Where the calls come from. @default {The thread that started this one} */
  port?: PortLike | undefined;
  /** The most that one value may take, by estimate, in bytes >= 1. @default {67108864} */
  maxMessageBytes?: number | undefined;
}

/** Whether this thread serves the one that started it. */
let serving = false;

/**
 * Serves the own enumerable properties of `functions` that are functions to the pool that started this
 * thread. Call it once, in the module that the pool was given. In the main thread it does nothing, so that
 * the same module can be imported for its functions.
 *
 * Each call runs as a task: a kill reaches its waits as it does those of any task, but nothing that computes
 * without a pause. Of a generator, async or not, the values stream back as they are taken.
 *
 * An error that nobody catches ends the thread, and fails all that runs in it.
 *
 * @param functions The functions by their names.
 * @param options Classes of errors, a port, a limit.
 * @throws {TypeError} If `functions` has none or a reserved name, or this thread serves already.
 * @throws {RangeError} If `maxMessageBytes` is no integer >= 1.
 *
 * @example A worker's module
 * ```ts
 * import { serve } from "@baozi/baozi/workers";
 * import { assertEquals } from "@std/assert";
 *
 * export function double(n: number): number {
 *   return n * 2;
 * }
 * serve({ double });
 *
 * // Here, in the main thread, it is a mere function.
 * assertEquals(double(21), 42);
 * ```
 */
export function serve(functions: object, options: ServeOptions = {}): void {
  const served = checkFunctions(functions);
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot serve: options must be an object, got ${String(options)}`);
  }
  const { maxMessageBytes = 2 ** 26 } = options;
  if (!Number.isInteger(maxMessageBytes) || maxMessageBytes < 1) {
    throw new RangeError(
      `Cannot serve: maxMessageBytes must be an integer >= 1, got ${maxMessageBytes}`,
    );
  }
  const port = options.port === undefined ? parentPort() : servingPort(options.port);
  if (port === undefined) return;
  if (options.port === undefined) {
    if (serving) {
      throw new TypeError(
        "Cannot serve: a thread must call serve() once, got a second call; " +
          "functions that others import are best in a module of their own",
      );
    }
    serving = true;
  }
  new Served(port, served, { ...options, maxMessageBytes });
}

type AnyFunction = (...args: unknown[]) => unknown;

/** A call that runs. */
interface Call {
  readonly id: number;
  readonly channels: CallChannels;
  readonly task: Task;
  /** Waits for where its values go. */
  asking: Waiter<Sender<unknown> | null> | null;
}

/** One pool, and its calls. */
class Served implements LinkOwner, WaitOwner {
  /** For dumps. */
  readonly [Symbol.toStringTag] = "WorkerPool";
  readonly #functions: ReadonlyMap<string, AnyFunction>;
  readonly #port: ServingPort;
  readonly #link: Link;
  readonly #calls: Map<number, Call> = new Map();
  readonly #asking: WaitList = new WaitList(this as WaitOwner, "stream", true);

  constructor(
    port: ServingPort,
    functions: ReadonlyMap<string, AnyFunction>,
    options: ServeOptions & { maxMessageBytes: number },
  ) {
    this.#port = port;
    this.#functions = functions;
    const { classes = [], maxMessageBytes } = options;
    this.#link = new Link(port, this, 1, { classes, maxMessageBytes });
    this.#link.open();
    this.#link.post([READY, VERSION, [...functions.keys()]]);
  }

  "~received"(kind: string, record: readonly unknown[]): boolean {
    if (kind === CALL) return this.#begin(record);
    if (kind === BYE) return this.#leave();
    const call = this.#calls.get(record[1] as number);
    if (kind === KILL) {
      // It may just have ended: then its reply is on its way.
      if (call !== undefined) killTask(call.task, this.#link.codec.decode(record[2]));
      return true;
    }
    return kind === OUTPUT && call !== undefined && answer(call, record);
  }

  "~refused"([kind, id]: readonly unknown[], error: unknown): void {
    if (kind !== REPLY) throw error; // and so it ends this thread: the other side would wait for ever
    this.#link.post([REPLY, id, FAILED, this.#link.codec.encodeReason(error)]);
  }

  "~ended"(): void {
    this.#leave();
  }

  #begin([, id, name, args]: readonly unknown[]): boolean {
    if (typeof id !== "number" || typeof name !== "string" || this.#calls.has(id)) return false;
    const channels = this.#link.crossings.scope();
    let decoded: unknown;
    let problem: { readonly error: unknown } | null = null;
    try {
      decoded = channels.decode(args);
      if (!Array.isArray(decoded)) throw new TypeError("Cannot call: args must be an array");
    } catch (error) {
      problem = { error };
    }
    const fn = this.#functions.get(name);
    if (fn === undefined) problem ??= { error: unknownFunction(name, this.#functions.keys()) };
    if (problem !== null) {
      channels.end();
      this.#link.post([REPLY, id, FAILED, this.#link.codec.encodeReason(problem.error)]);
      return true;
    }
    const task = spawn({ name }, () => this.#run(call, fn!, decoded as unknown[]));
    const call: Call = { id, channels, task: task as Task, asking: null };
    this.#calls.set(id, call);
    watchTask(task as Task, { taskEnded: () => this.#reply(call) });
    return true;
  }

  /** Runs the function. What it gives at once needs no promise. */
  #run(call: Call, fn: AnyFunction, args: unknown[]): unknown {
    const given = fn(...args);
    if (isThenable(given)) return this.#settle(call, given);
    return isGenerator(given) ? this.#drain(call, given) : given;
  }

  async #settle(call: Call, given: PromiseLike<unknown>): Promise<unknown> {
    const value = await given;
    return isGenerator(value) ? await this.#drain(call, value) : value;
  }

  async #drain(call: Call, body: AsyncGenerator | Generator): Promise<unknown> {
    return await drive(body, await this.#askOutput(call, body), call.task.signal);
  }

  /** Asks where the values go. */
  async #askOutput(
    call: Call,
    body: AsyncGenerator | Generator,
  ): Promise<Sender<unknown>> {
    try {
      // By its signal, since browsers know of no current task here.
      const options = { signal: call.task.signal };
      const refused = refuse("stream", options);
      if (refused !== null) return await refused;
      call.asking = new Waiter<Sender<unknown> | null>();
      this.#link.post([STREAM, call.id]);
      const output = await call.asking.park(this.#asking, options);
      if (output !== null) return output;
      throw new TypeError(
        `Cannot map over ${call.task.name}: it must give a value, got a generator, ` +
          "whose values nobody would read",
      );
    } catch (error) {
      // It has not begun, so there is nothing to clean up; this lets it never begin.
      await body.return(undefined);
      throw error;
    }
  }

  #reply(call: Call): void {
    const { id, channels, task } = call;
    observeTask(task);
    this.#calls.delete(id);
    const { codec } = this.#link;
    const transferList: Transferable[] = [];
    let state = FAILED, result: unknown;
    if (task.state === "succeeded") {
      try {
        result = channels.encodeResult(task.value, "result", transferList);
        state = SUCCEEDED;
      } catch (error) {
        result = codec.encodeReason(error);
      }
    } else {
      state = task.state === "killed" ? KILLED : FAILED;
      result = codec.encodeReason(task.error);
    }
    channels.end();
    this.#link.post([REPLY, id, state, result], transferList);
  }

  /** The other side is gone: what runs for it ends. */
  #leave(): boolean {
    this.#link.close();
    for (const { task } of this.#calls.values()) killTask(task, undefined);
    this.#link.crossings.crash();
    this.#port.close();
    return true;
  }
}

function answer(call: Call, record: readonly unknown[]): boolean {
  const { asking } = call;
  if (asking === null) return false;
  call.asking = null;
  const output = record.length < 3 ? null : call.channels.decode(record[2]);
  if (!asking.settled) asking.settle(output as Sender<unknown> | null);
  return true;
}

/** Sends what a generator yields, and gives what it returns. A kill is thrown in where it yields. */
async function drive(
  body: AsyncGenerator | Generator,
  output: Sender<unknown>,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    let step = await body.next();
    while (step.done !== true) {
      let failure: { readonly error: unknown } | null = null;
      try {
        if (signal.aborted || !output.trySend(step.value)) {
          await output.send(step.value, { signal });
        }
      } catch (error) {
        failure = { error };
      }
      if (failure === null) step = await body.next();
      else {
        const { error }: { error: unknown } = failure;
        // The reader has left, and there is no one to be told of an error.
        const left = error instanceof ChannelClosedError && output.closed;
        step = left ? await body.return(undefined) : await body.throw(error);
      }
    }
    output.close();
    return step.value;
  } catch (error) {
    output.close(error);
    throw error;
  }
}

function checkFunctions(functions: object): ReadonlyMap<string, AnyFunction> {
  if (typeof functions !== "object" || functions === null) {
    throw new TypeError(
      `Cannot serve: functions must be an object, got ${
        functions === null ? "null" : typeof functions
      }`,
    );
  }
  const served = new Map<string, AnyFunction>();
  for (const [name, fn] of Object.entries(functions)) {
    if (typeof fn !== "function") continue;
    if (RESERVED.has(name)) {
      throw new TypeError(`Cannot serve: no function may be called ${JSON.stringify(name)}`);
    }
    served.set(name, fn as AnyFunction);
  }
  if (served.size === 0) {
    throw new TypeError("Cannot serve: functions must hold at least one function, got none");
  }
  return served;
}
