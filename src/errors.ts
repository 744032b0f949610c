// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Every way this library fails, on one page. Wrong arguments are the built-in
 * `TypeError` (shape) and `RangeError` (bounds); the classes here are what callers catch.
 *
 * @module
 */

/**
 * Thrown by an operation on a channel that is closed. From a send its `value` is the value
 * that was not sent, so that nothing is lost.
 *
 * Source: `ChannelClosedError` of `@std/async`, same shape.
 *
 * @example The unsent value comes back
 * ```ts
 * import { Channel, ChannelClosedError } from "@baozi/baozi";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const ch = new Channel<number>();
 * ch.close();
 * const error = await assertRejects(() => ch.send(42), ChannelClosedError);
 * assertEquals(error.value, 42);
 * ```
 */
export class ChannelClosedError extends Error {
  /** The unsent value. Present only when the error comes from a send. */
  declare readonly value?: unknown;

  /** Creates the error; a second argument, if given, becomes {@linkcode ChannelClosedError.value}. */
  constructor(message: string, ...value: [value: unknown] | []) {
    super(message);
    this.name = "ChannelClosedError";
    if (value.length > 0) {
      Object.defineProperty(this, "value", { value: value[0], enumerable: true });
    }
  }
}

/**
 * Thrown by an operation on a queue that is closed. From a put its `value` is the item that was not
 * put.
 *
 * @example The item comes back
 * ```ts
 * import { Queue, QueueClosedError } from "@baozi/baozi";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const queue = new Queue<number>(1);
 * queue.close();
 * const error = await assertRejects(() => queue.put(42), QueueClosedError);
 * assertEquals(error.value, 42);
 * ```
 */
export class QueueClosedError extends Error {
  /** The item that was not put. Present only when the error comes from a put. */
  declare readonly value?: unknown;

  /** Creates the error; a second argument, if given, becomes {@linkcode QueueClosedError.value}. */
  constructor(message: string, ...value: [value: unknown] | []) {
    super(message);
    this.name = "QueueClosedError";
    if (value.length > 0) {
      Object.defineProperty(this, "value", { value: value[0], enumerable: true });
    }
  }
}

/**
 * Rejects a wait whose `timeout` is over, and a body whose time limit is over. A failure like
 * any other, not a kill.
 *
 * @example A receive with a limit
 * ```ts
 * import { Channel, TimeoutError } from "@baozi/baozi";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const ch = new Channel<number>();
 * const error = await assertRejects(() => ch.receive({ timeout: 5 }), TimeoutError);
 * assertEquals(error.ms, 5);
 * ```
 */
export class TimeoutError extends Error {
  /** The limit that was over, in milliseconds. */
  readonly ms: number;

  /** Creates the error for a limit of `ms` milliseconds. */
  constructor(message: string, ms: number) {
    super(message);
    this.name = "TimeoutError";
    this.ms = ms;
  }
}

/**
 * Rejects the waits of a task that was killed without an error as the reason. A reason that
 * is no `Error` is its `cause`.
 *
 * @example A killed task
 * ```ts
 * import { KilledError, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals, assertInstanceOf } from "@std/assert";
 *
 * const task = spawn(() => sleep(60_000));
 * await task.kill();
 * assertEquals(task.state, "killed");
 * assertInstanceOf(task.error, KilledError);
 * ```
 */
export class KilledError extends Error {
  /** Creates the error; `options.cause` is the reason of the kill if it was no `Error`. */
  constructor(message = "Task was killed", options?: ErrorOptions) {
    super(message, options);
    this.name = "KilledError";
  }
}

/** One wait in a deadlock. */
export interface DeadlockWait {
  /** The task that waits; missing for the main program, which is all that runs in no task. */
  readonly task?: { readonly id: number; readonly name: string };
  /** What is waited for: "receive". */
  readonly verb: string;
  /** The kind of the thing: "Channel". */
  readonly kind: string;
  /** Its name, if it has one. */
  readonly name?: string;
  /** The wait in words: `receive on Channel "jobs"`. */
  readonly text: string;
  /** What would end it, in words: "a send or a close". */
  readonly needs: string;
  /** The tasks that could have ended it, the first of them: the one joined, the holder of a lock. */
  readonly wakers: readonly { readonly id: number; readonly name: string }[];
  /** Whether it is a part of the cycle: each waits for the next one, the last for the first. */
  readonly cycle: boolean;
  /** The stack of the task's spawn, nearest frame first, if `config.spawnStacks` was on. */
  readonly spawnedAt?: readonly string[];
}

/**
 * Says that a wait can never end. Of one that waits for itself it is told at once. When nothing in the
 * whole program can go on any more it rejects the oldest wait of the main program, and lists all who
 * wait: those in a cycle first, then the others.
 *
 * @example A task cannot join itself
 * ```ts
 * import { currentTask, DeadlockError, spawn } from "@baozi/baozi";
 * import { assertRejects } from "@std/assert";
 *
 * await assertRejects(() => spawn(() => currentTask()!.join()).get(), DeadlockError);
 * ```
 */
export class DeadlockError extends Error {
  /**
   * Who waits for what, those in the cycle first; of very many the first 100. Empty for one that waits
   * for itself.
   */
  declare readonly waits: readonly DeadlockWait[];

  /** Creates the error. */
  constructor(message: string, options?: ErrorOptions & { waits?: readonly DeadlockWait[] }) {
    super(message, options);
    this.name = "DeadlockError";
    // Not enumerable: hosts that print an error would print all of it again after the message.
    Object.defineProperty(this, "waits", { value: options?.waits ?? [] });
  }
}

/**
 * Rejects a `send` to a coroutine whose body has ended. Its `value` is what the body returned.
 *
 * @example The return value of the body
 * ```ts
 * import { coroutine, CoroutineEndedError } from "@baozi/baozi";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const once = coroutine(async function* () {
 *   const got: number = yield;
 *   return got * 2;
 * })();
 * const error = await assertRejects(() => once.send(21), CoroutineEndedError);
 * assertEquals(error.value, 42);
 * ```
 */
export class CoroutineEndedError extends Error {
  /** What the body returned; `undefined` if it threw or was closed. */
  readonly value: unknown;

  /** Creates the error with the body's return value. */
  constructor(message: string, value: unknown) {
    super(message);
    this.name = "CoroutineEndedError";
    this.value = value;
  }
}

/**
 * Rejects a switch that greenlets do not allow: to one that runs, or of another root, or from
 * one that already waits in a switch.
 *
 * Source: `greenlet.error`.
 *
 * @example A second switch while the first one waits
 * ```ts
 * import { greenlet, GreenletError, sleep } from "@baozi/baozi";
 * import { assertRejects } from "@std/assert";
 *
 * const slow = greenlet(() => sleep(1));
 * const first = slow.switch();
 * await assertRejects(() => slow.switch(), GreenletError);
 * await first;
 * ```
 */
export class GreenletError extends Error {
  /** Creates the error. */
  constructor(message: string) {
    super(message);
    this.name = "GreenletError";
  }
}

/**
 * Ends a greenlet quietly: uncaught in its body, the instance comes back to the parent as a
 * value. What `throw()` without an argument throws.
 *
 * Source: `greenlet.GreenletExit`.
 *
 * @example An exit is a value for the parent
 * ```ts
 * import { currentGreenlet, greenlet, GreenletExit } from "@baozi/baozi";
 * import { assertInstanceOf } from "@std/assert";
 *
 * const main = currentGreenlet();
 * const waits = greenlet(() => main.switch());
 * await waits.switch();
 * assertInstanceOf(await waits.throw(), GreenletExit);
 * ```
 */
export class GreenletExit extends Error {
  /** Creates the exit. */
  constructor(message = "") {
    super(message);
    this.name = "GreenletExit";
  }
}

/**
 * Says that the peer or the network broke off: a refused port, an unknown host, a reset, an end in the
 * middle of a message, a message longer than allowed. The error of the host, if there was one, is its
 * `cause`.
 *
 * @example A port where nobody listens
 * ```ts
 * import { BrokenError } from "@baozi/baozi";
 * import { connect } from "@baozi/baozi/net";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const error = await assertRejects(() => connect({ port: 1 }), BrokenError);
 * assertEquals(error.code, "ECONNREFUSED");
 * ```
 */
export class BrokenError extends Error {
  /** The name of the failure, the same on all hosts: "ECONNREFUSED"; `undefined` if it has none. */
  readonly code: string | undefined;

  /** Creates the error. */
  constructor(message: string, options?: ErrorOptions & { code?: string | undefined }) {
    super(message, options);
    this.name = "BrokenError";
    this.code = options?.code;
  }
}

/**
 * Rejects an operation on what one at a time may use, while another one uses it.
 *
 * @example Two readers on one connection
 * ```ts
 * import { BusyError, spawn } from "@baozi/baozi";
 * import { connect, serve } from "@baozi/baozi/net";
 * import { assertRejects } from "@std/assert";
 *
 * await using server = await serve({ port: 0, hostname: "127.0.0.1" }, (conn) => conn.read());
 * await using conn = await connect({ port: server.address.port });
 * await using _first = spawn(() => conn.read());
 * await assertRejects(() => spawn(() => conn.read()).get(), BusyError);
 * ```
 */
export class BusyError extends Error {
  /** Creates the error. */
  constructor(message: string) {
    super(message);
    this.name = "BusyError";
  }
}

/**
 * Rejects an operation on a connection, a listener or a server that this side has closed.
 *
 * @example Writing after close
 * ```ts
 * import { ConnClosedError } from "@baozi/baozi";
 * import { connect, serve } from "@baozi/baozi/net";
 * import { assertRejects } from "@std/assert";
 *
 * await using server = await serve({ port: 0, hostname: "127.0.0.1" }, (conn) => conn.read());
 * const conn = await connect({ port: server.address.port });
 * await conn.close();
 * await assertRejects(() => conn.write("late"), ConnClosedError);
 * ```
 */
export class ConnClosedError extends Error {
  /** Creates the error; `options.cause` is why it was closed, if it was not by `close()`. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConnClosedError";
  }
}

/**
 * Rejects {@linkcode assertYields}: somebody ran too long without waiting, and all others stood still.
 *
 * @example Who, and how long
 * ```ts
 * import { assertYields, BlockedError, spawn } from "@baozi/baozi";
 * import { assert, assertEquals, assertRejects } from "@std/assert";
 *
 * const blocks = () => {
 *   const end = performance.now() + 30;
 *   while (performance.now() < end);
 * };
 * const error = await assertRejects(
 *   () => assertYields(() => spawn({ name: "hog" }, blocks), { maxMs: 10 }),
 *   BlockedError,
 * );
 * assertEquals(error.task, "hog");
 * assert(error.ms >= 29);
 * ```
 */
export class BlockedError extends Error {
  /** How long it ran, in milliseconds. */
  readonly ms: number;
  /** The name of the task; `undefined` if it was none, or cannot be told. */
  readonly task: string | undefined;

  /** Creates the error. */
  constructor(message: string, ms: number, task?: string) {
    super(message);
    this.name = "BlockedError";
    this.ms = ms;
    this.task = task;
  }
}

/**
 * Says that a worker has ended, or could not start. The calls that ran in it fail with it; they may or may
 * not have had their effect, and are never tried again by this library. The error of the host, if there was
 * one, is its `cause`.
 *
 * @example A worker that ends in the middle of a call
 * ```ts
 * import { workers, WorkerCrashed } from "@baozi/baozi/workers";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * // As if the file did not exist.
 * const spawn = (): MessagePort => {
 *   throw new Error("no such file");
 * };
 * await using pool = workers<{ hash(text: string): string }>({ spawn, restarts: { max: 0 } });
 * const error = await assertRejects(() => pool.call.hash("a").get(), WorkerCrashed);
 * assertEquals((error.cause as Error).message, "no such file");
 * ```
 */
export class WorkerCrashed extends Error {
  /** The number of the worker in its pool, counted from 1. */
  readonly worker: number;
  /** The names of the functions that ran in it. */
  readonly calls: readonly string[];
  /** Values that channels had sent to it, and that nobody there had taken for certain. */
  declare readonly inFlight: readonly unknown[];

  /** Creates the error. */
  constructor(
    message: string,
    options: ErrorOptions & {
      worker: number;
      calls?: readonly string[];
      inFlight?: readonly unknown[];
    },
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "WorkerCrashed";
    this.worker = options.worker;
    this.calls = options.calls ?? [];
    // Not enumerable: hosts that print an error would print all values after the message.
    Object.defineProperty(this, "inFlight", { value: options.inFlight ?? [] });
  }
}

/**
 * Refuses a value that no thread can be sent: a function, a promise, an instance of a class. Nothing was
 * sent.
 *
 * @example Where it is
 * ```ts
 * import { NotTransferableError, serve, workers } from "@baozi/baozi/workers";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const { port1, port2 } = new MessageChannel();
 * serve({ show: (value: unknown) => String(value) }, { port: port2 });
 * await using pool = workers<{ show(value: unknown): string }>({ spawn: () => port1 });
 * const value = { list: [1, () => 2] };
 * const error = await assertRejects(() => pool.call.show(value).get(), NotTransferableError);
 * assertEquals(error.path, "args[0].list[1]");
 * ```
 */
export class NotTransferableError extends TypeError {
  /** Where it is: `value.a[1]`; in the arguments of a call `args[0].a[1]`. */
  readonly path: string;

  /** Creates the error; `options.cause` is what the host, or a getter of the value, threw. */
  constructor(message: string, path: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NotTransferableError";
    this.path = path;
  }
}

/** The errors that killed a task on request, whatever their class. */
const killReasons = new WeakSet<object>();

/**
 * Tells whether `error` is the end of a killed task: a {@linkcode KilledError}, or an error
 * that was given to `kill` as the reason. For a `catch` that must let a kill through.
 *
 * @example Let kills through
 * ```ts
 * import { isKilled, sleep, spawn } from "@baozi/baozi";
 * import { assert } from "@std/assert";
 *
 * const task = spawn(async () => {
 *   try {
 *     await sleep(60_000);
 *   } catch (error) {
 *     if (isKilled(error)) throw error;
 *   }
 * });
 * const reason = new Error("enough");
 * queueMicrotask(() => void task.kill(reason));
 * assert(isKilled(await task.get().catch((error: unknown) => error)));
 * ```
 */
export function isKilled(error: unknown): boolean {
  return error instanceof KilledError ||
    (typeof error === "object" && error !== null && killReasons.has(error));
}

/** Makes the error that a kill for `reason` rejects with, and remembers it for {@linkcode isKilled}. */
export function killError(reason: unknown, message: string): Error {
  if (reason instanceof Error) {
    killReasons.add(reason);
    return reason;
  }
  return new KilledError(message, reason === undefined ? undefined : { cause: reason });
}
