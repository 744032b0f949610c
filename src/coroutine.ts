// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Coroutines: async generators that one can talk to. `send` passes a value in and gives what
 * the body yields next.
 *
 * @module
 */

// Invariants
//  1. One request is under way at a time, while #busy; the others wait in #requests, in order of
//     arrival. The generator's own queue is never used: what stands there cannot be taken back.
//  2. #current is the waiter of the request under way; null if that one was made by a plain chain.
//  3. The body runs in a context of its own below that of the one who resumes it, as long as any
//     context is in use. It is not in the tree of contexts, so a coroutine that is just dropped
//     is collected; the waiter of its sender passes a kill on.
//  4. #result counts only while #ended.
// Source: Python's generators (PEP 342: send, close), Lua's coroutines. Dropped: knowing the sender
// by a global set around next(): wrong after the first await of the body.

import {
  type Cancellable,
  Context,
  contextsInUse,
  currentContext,
  ROOT,
  runIn,
} from "./_kernel/current.ts";
import { reportUnhandled } from "./_kernel/unhandled.ts";
import { WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { Waiter } from "./_kernel/waiter.ts";
import { CoroutineEndedError, DeadlockError } from "./errors.ts";

// From RETURN on a request is clean-up: a kill of the caller neither refuses nor ends its wait.
const NEXT = 0;
const SEND = 1;
const THROW = 2;
const RETURN = 3;
const CLOSE = 4;
const VERBS = ["resume", "send to", "throw into", "return from", "close"] as const;

/** How often `close` ends a body that yields in `finally` before it gives it up. */
const MOST_RETURNS = 100;

/**
 * A running coroutine; {@linkcode coroutine} makes its factory. It is an async generator and adds
 * `send` and `close`. Disposing it closes it.
 *
 * All its verbs are served one at a time, in order of arrival. A verb called from inside its own
 * body, however deep, rejects with a `DeadlockError`: it would wait for itself. Before the first
 * await of the body that is always known; after it, once anything was spawned in the program.
 *
 * The body runs in the task of the one who resumes it: a kill of that task ends the waits of the
 * body too. A `for await` that a kill or a limit ends closes it, as any other that is left.
 *
 * @typeParam In What the body takes: the type of its `yield` expressions.
 * @typeParam Out What it yields.
 * @typeParam Return What it returns.
 */
export interface Coroutine<In = unknown, Out = unknown, Return = unknown>
  extends AsyncGenerator<Out, Return, In> {
  /**
   * Passes `value` in, as the result of the `yield` at which the body waits, and resolves to what
   * it yields next. A body that has not started first runs to its first `yield`, whose value is
   * dropped. Parks while the body runs, behind the calls that came before.
   *
   * A kill rejects it at once: a send that waits for its turn did not happen; the answer to one
   * under way is dropped. In a killed task it rejects before it does anything.
   *
   * @throws {CoroutineEndedError} If the body ends or has ended; `value` is what it returned.
   * @throws {DeadlockError} If it is called by the body itself.
   * @throws What the body throws.
   *
   * @example A running mean
   * ```ts
   * import { coroutine } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const mean = coroutine(async function* (): AsyncGenerator<number, void, number> {
   *   let sum = 0, count = 0;
   *   for (;;) {
   *     sum += yield sum / count;
   *     count++;
   *   }
   * });
   * await using ofThree = mean();
   * assertEquals([await ofThree.send(1), await ofThree.send(2), await ofThree.send(6)], [1, 1.5, 3]);
   * ```
   */
  send(value: In): Promise<Out>;
  /**
   * Ends the body at the `yield` at which it waits, so that its `finally` blocks run, and resolves
   * when they have. One that has not started never runs, one that has ended stays as it is. Parks
   * behind the calls that came before; the wait is shielded from kills.
   *
   * @throws {TypeError} If the body yields in `finally`.
   * @throws {DeadlockError} If it is called by the body itself.
   * @throws What the body throws in `finally`.
   *
   * @example Clean-up
   * ```ts
   * import { coroutine } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const log: string[] = [];
   * const shelf = coroutine(async function* () {
   *   try {
   *     for (;;) log.push(yield);
   *   } finally {
   *     log.push("closed");
   *   }
   * })();
   * await shelf.send("a");
   * await shelf.close();
   * assertEquals(log, ["a", "closed"]);
   * ```
   */
  close(): Promise<void>;
}

/** The coroutine that an async generator becomes; of anything else there is none. */
export type CoroutineOf<Generator> = Generator extends
  AsyncGenerator<infer Out, infer Return, infer In> ? Coroutine<In, Out, Return> : never;

/**
 * Turns an async generator function into a factory of coroutines: calling it with the arguments of
 * `fn` gives a {@linkcode Coroutine}, whose body does not run before the first `send` or `next`.
 *
 * @param fn The async generator function.
 * @throws {TypeError} If `fn` is no function; the factory throws it if `fn` gives no async generator.
 *
 * @example Two-way
 * ```ts
 * import { coroutine } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const consumer = coroutine(async function* (name: string) {
 *   let answer = "";
 *   for (;;) {
 *     const got: number = yield answer;
 *     answer = `${name} got ${got}: 200 OK`;
 *   }
 * });
 * const ann = consumer("ann");
 * assertEquals(await ann.send(1), "ann got 1: 200 OK");
 * assertEquals(await ann.send(2), "ann got 2: 200 OK");
 * await ann.close();
 * ```
 */
// Inferred from the whole generator: with its three types as parameters, one whose body drops what
// its yields give would have no type for that.
export function coroutine<Args extends unknown[], Generator>(
  fn: (...args: Args) => Generator,
): (...args: Args) => CoroutineOf<Generator> {
  if (typeof fn !== "function") {
    throw new TypeError(`Cannot create coroutine: fn must be a function, got ${kindOf(fn)}`);
  }
  const name = fn.name === "" ? undefined : fn.name;
  return (...args) => {
    const body: unknown = fn(...args);
    if (Object.prototype.toString.call(body) !== "[object AsyncGenerator]") {
      throw new TypeError(
        `Cannot create coroutine: fn must be an async generator function, got one that returns ${
          kindOf(body)
        }`,
      );
    }
    return new GeneratorCoroutine(body as AsyncGenerator, name) as unknown as CoroutineOf<
      Generator
    >;
  };
}

// What runIn() calls: a function of the module, so that entering a context makes no closure.
let enter: <In, Out, Return>(
  coroutine: GeneratorCoroutine<In, Out, Return>,
  kind: number,
  value: unknown,
) => Promise<IteratorResult<Out, Return>>;

class GeneratorCoroutine<In, Out, Return> implements Coroutine<In, Out, Return>, WaitOwner {
  /** The name of the generator function, for messages and dumps. */
  readonly name: string | undefined;
  readonly #body: AsyncGenerator<Out, Return, In>;
  #started = false;
  #ended = false;
  #busy = false;
  /** The synchronous part of a step runs: whoever calls now is called by the body. */
  #entered = false;
  /** A loop may be what calls `next`. */
  #looped = false;
  #kind = NEXT;
  #current: Waiter<unknown> | null = null;
  #requests: WaitList | null = null;
  #context: Context | null = null;
  #result: unknown = undefined;

  // One pair for all steps, since there is one at a time: no closure per step.
  readonly #onStep = (step: IteratorResult<Out, Return>): unknown => this.#stepped(step);
  readonly #onThrow = (error: unknown): unknown => this.#threw(error);

  static {
    enter = (coroutine, kind, value) => coroutine.#enter(kind, value);
  }

  constructor(body: AsyncGenerator<Out, Return, In>, name: string | undefined) {
    this.#body = body;
    this.name = name;
  }

  send(value: In): Promise<Out> {
    const slow = this.#busy || this.#ended || !this.#started || currentContext() !== null;
    return (slow ? this.#request(SEND, value) : this.#chain(SEND, value)) as Promise<Out>;
  }

  next(...[value]: [] | [In]): Promise<IteratorResult<Out, Return>> {
    const slow = this.#busy || currentContext() !== null;
    const step = slow ? this.#request(NEXT, value) : this.#chain(NEXT, value);
    return step as Promise<IteratorResult<Out, Return>>;
  }

  return(value?: Return | PromiseLike<Return>): Promise<IteratorResult<Out, Return>> {
    return this.#request(RETURN, value) as Promise<IteratorResult<Out, Return>>;
  }

  throw(error?: unknown): Promise<IteratorResult<Out, Return>> {
    return this.#request(THROW, error) as Promise<IteratorResult<Out, Return>>;
  }

  close(): Promise<void> {
    return this.#request(CLOSE, undefined) as Promise<void>;
  }

  /** "Coroutine". */
  get [Symbol.toStringTag](): string {
    return "Coroutine";
  }

  [Symbol.asyncIterator](): this {
    this.#looped = true;
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A caller was killed; if its step is the one under way, so are the waits of the body. Not so by a deadlock. */
  "~waiterLeft"(waiter: Waiter): void {
    const { context } = waiter;
    if (waiter === this.#current && context?.cancelled) this.#context?.cancel(context.reason);
  }

  /** Resumes the body at once, for a caller that nothing can cancel: no waiter, one reaction. */
  #chain(kind: number, value: unknown): Promise<unknown> {
    this.#busy = true;
    this.#kind = kind;
    return this.#resume(kind, value, null).then(this.#onStep, this.#onThrow);
  }

  #request(kind: number, value: unknown): Promise<unknown> {
    const context = currentContext();
    const cleanUp = kind >= RETURN;
    if (!cleanUp && context !== null && context.cancelled) {
      const { reason } = context;
      const left = kind === NEXT && this.#looped && !this.#busy && !this.#ended;
      // A loop never calls return() when its next() is refused.
      return left ? this.close().then(() => Promise.reject(reason)) : Promise.reject(reason);
    }
    if (this.#busy && (this.#entered || this.#encloses(context))) {
      return Promise.reject(
        new DeadlockError(`Cannot ${VERBS[kind]} coroutine: its own body would wait for itself`),
      );
    }
    const waiter = new Waiter<unknown>(new Request(kind, value, context));
    this.#requests ??= new WaitList(this, "send");
    const answer = cleanUp
      ? waiter.parkShielded(this.#requests)
      : waiter.parkAs(context, this.#requests);
    if (!this.#busy) this.#serve();
    return answer;
  }

  /** Whether code that runs in `context` was called by the body, however deep. */
  #encloses(context: Context | null): boolean {
    for (let at = context; at !== null && at.coroutine !== null; at = at.parent) {
      if (at.coroutine === this) return true;
    }
    return false;
  }

  /** Begins with the request that waits longest, if any. */
  #serve(): void {
    this.#busy = false;
    this.#current = null;
    const requests = this.#requests;
    if (requests === null) return;
    for (let waiter = requests.first; waiter !== null; waiter = requests.first) {
      const request = waiter.payload as Request;
      if (
        !this.#ended || request.kind === NEXT || request.kind === THROW || request.kind === RETURN
      ) {
        return this.#begin(waiter, request);
      }
      if (request.kind === SEND) waiter.fail(this.#endedError());
      else waiter.settle(undefined);
    }
  }

  #begin(waiter: Waiter, request: Request): void {
    this.#busy = true;
    this.#current = waiter;
    const { kind, value, context } = request;
    request.starts = kind === SEND && !this.#started;
    this.#go(kind, request.starts ? undefined : value, context);
    if (kind < RETURN || context === null || context.cancelled) return;
    // Its wait is shielded, what the body does meanwhile is not.
    request.body = this.#context;
    context.add(request);
  }

  #go(kind: number, value: unknown, caller: Context | null): void {
    void this.#resume(kind, value, caller).then(this.#onStep, this.#onThrow);
  }

  /** Resumes the body; in a context of its own, as soon as there are contexts at all. */
  #resume(
    kind: number,
    value: unknown,
    caller: Context | null,
  ): Promise<IteratorResult<Out, Return>> {
    this.#started = true;
    if (!contextsInUse()) return this.#enter(kind, value);
    const parent = caller ?? ROOT;
    if (this.#context === null || this.#context.parent !== parent) {
      this.#context = new Context(parent, true);
      this.#context.coroutine = this;
    }
    if (parent.cancelled) this.#context.cancel(parent.reason);
    return runIn(this.#context, enter<In, Out, Return>, this, kind, value);
  }

  #enter(kind: number, value: unknown): Promise<IteratorResult<Out, Return>> {
    this.#entered = true;
    const step = kind === NEXT || kind === SEND
      ? this.#body.next(value as In)
      : kind === THROW
      ? this.#body.throw(value)
      : this.#body.return(value as Return);
    this.#entered = false;
    return step;
  }

  /** A step has ended; what it gives is for the plain chain, a waiter is settled. */
  #stepped(step: IteratorResult<Out, Return>): unknown {
    const waiter = this.#current;
    if (waiter === null) {
      const kind = this.#kind;
      if (step.done === true) this.#end(step.value);
      this.#serve();
      if (kind === NEXT) return step;
      if (step.done === true) throw this.#endedError();
      return step.value;
    }
    const request = waiter.payload as Request;
    const { kind } = request;
    if (step.done === true) {
      this.#end(kind === CLOSE ? undefined : step.value);
    } else if (request.starts && !waiter.settled) {
      request.starts = false;
      this.#go(SEND, request.value, request.context);
      return undefined;
    } else if (kind === CLOSE) {
      // It yields in `finally`: the outer ones must run all the same.
      if (++request.yields < MOST_RETURNS) {
        this.#go(CLOSE, undefined, request.context);
        return undefined;
      }
      this.#end(undefined);
    }
    request.leave();
    if (waiter.settled) { /* killed: the answer is dropped */ }
    else if (request.yields > 0) {
      waiter.fail(new TypeError("Cannot close coroutine: its body must not yield in finally"));
    } else if (kind === CLOSE) waiter.settle(undefined);
    else if (kind !== SEND) waiter.settle(step);
    else if (step.done === true) waiter.fail(this.#endedError());
    else waiter.settle(step.value);
    this.#serve();
    return undefined;
  }

  #threw(error: unknown): unknown {
    const waiter = this.#current;
    if (!this.#ended) this.#end(undefined);
    if (waiter === null) {
      this.#serve();
      throw error;
    }
    (waiter.payload as Request).leave();
    if (!waiter.settled) waiter.fail(error);
    // Its sender was killed and cannot catch it. That the body ended by that kill is no news.
    else if (error !== waiter.context?.reason) reportUnhandled(error);
    this.#serve();
    return undefined;
  }

  #end(result: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#result = result;
    this.#context = null;
  }

  #endedError(): CoroutineEndedError {
    return new CoroutineEndedError("Cannot send to coroutine: its body has ended", this.#result);
  }
}

/** What a caller that waits wants. */
class Request implements Cancellable {
  readonly kind: number;
  readonly value: unknown;
  /** Of the caller: the body runs below it. */
  readonly context: Context | null;
  /** The body had not started: its first yield answers nobody. */
  starts = false;
  /** How often the body has yielded while it was closed. */
  yields = 0;
  /** Of the body, while a kill of the caller has to be passed on to it. */
  body: Context | null = null;

  constructor(kind: number, value: unknown, context: Context | null) {
    this.kind = kind;
    this.value = value;
    this.context = context;
  }

  cancel(reason: unknown): void {
    this.body?.cancel(reason);
  }

  leave(): void {
    if (this.body === null) return;
    this.body = null;
    this.context?.remove(this);
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "object"
    ? Object.prototype.toString.call(value).slice(8, -1)
    : typeof value;
}
