// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The few shapes that waiting functions of a host have, each made a wait of this library: promises
 * with and without a signal, callbacks, emitters.
 *
 * @module
 */

// Invariants
//  1. The host's function runs outside of all contexts, what it calls in turn is no wait of its own;
//     callbacks of the user run in the context of the call. An emitter alone is made inside: its
//     listeners are the user's.
//  2. A reason arrives untouched.
//  3. A signal of the user is watched exactly as long as the call lasts.

import { type AbortTarget, unwatchAbort, watchAbort } from "../_kernel/abort.ts";
import { Context, currentContext, runIn, runOutside } from "../_kernel/current.ts";
import { macrotask } from "../_kernel/host.ts";
import { hostCall, type HostCallEnds } from "../_kernel/host_call.ts";
import { type ContextCall, type HostFunction, type Inside, isOver, passOn } from "./parts.ts";

/** As many calls of one cancelled context are refused in a microtask. */
const MOST_AT_ONCE = 100;
const refusals: WeakMap<Context, number> = new WeakMap();

/** What a call is about, for dumps: the path, the host name. */
export type Subject = (args: readonly unknown[], self: unknown) => string;

/** The argument at `at` as text: a path, an URL, a name. */
export function subjectAt(at: number): Subject {
  return (args) => textOf(args[at]);
}

/**
 * A function that gives a promise and takes a signal in the options at `at`: the host stops when the
 * wait ends. Options may be missing, or a text, the encoding, as many functions of `fs` take it.
 */
export function promiseWithSignal(at: number, subject: Subject): Inside {
  return (call) => {
    const options = optionsAt(call.args, at);
    // The host says what is wrong with them.
    if (options === undefined) return passOn(call);
    return refuseCall(call.context) ?? followed(call, subject, options.signal, (signal) => {
      call.args[at] = { ...options, signal };
    });
  };
}

/**
 * A function that gives a promise and takes no signal: the wait ends, and the host finishes alone;
 * what it then says is dropped. For what only reads.
 */
export function promiseAlone(subject: Subject): Inside {
  return (call) =>
    refuseCall(call.context) ??
      hostCall(call.name, subject(call.args, call.self), (ends) => {
        settleWith(runOutside(passOn, call), ends);
        return undefined;
      });
}

/**
 * A function that gives a promise and changes something: refused after a kill, but once begun it is
 * waited for, out of reach of kills, so that whoever asked knows whether it happened.
 */
export function promiseToTheEnd(subject: Subject): Inside {
  return (call) =>
    refuseCall(call.context) ??
      runIn(new Context(call.context, true), () =>
        hostCall(call.name, subject(call.args, call.self), (ends) => {
          settleWith(runOutside(passOn, call), ends);
          return undefined;
        }));
}

/** How a function with a callback is treated. */
export interface CallbackOptions {
  /** Where its options stand, if they take a signal. */
  readonly signalAt?: number;
  /** It changes something: once begun, its callback comes from the host alone. @default {false} */
  readonly toTheEnd?: boolean;
}

/**
 * A function whose last argument is a callback `(error, …results)`. At a kill the callback is called
 * once with the reason, in a microtask, and what the host says later is dropped. What a callback throws
 * stays an uncaught exception. Without a callback the host says what is missing.
 */
export function callbackLast(subject: Subject, options: CallbackOptions = {}): Inside {
  const { signalAt, toTheEnd = false } = options;
  return (call) => {
    const { args, context, name, self } = call;
    const callback = args.at(-1);
    if (typeof callback !== "function") return passOn(call);
    const answer = (self: unknown, results: unknown[]): unknown =>
      runIn(context, () => Reflect.apply(callback, self, results));
    // A callback that throws is no rejection.
    const refuseLater = (reason: unknown): void =>
      queueMicrotask(() => answer(undefined, [reason]));
    const refused = refuseCall(context);
    if (refused !== null) return void refused.catch(refuseLater);
    // With the callback in its place there are no options.
    const given = signalAt === undefined || signalAt >= args.length - 1
      ? {}
      : optionsAt(args, signalAt);
    if (given === undefined) return passOn(call);
    const controller = signalAt === undefined ? undefined : new FollowingController(given.signal);
    if (controller !== undefined) {
      args.splice(signalAt!, args.length - 1 - signalAt!, { ...given, signal: controller.signal });
    }
    let returned: unknown;
    const begin = () =>
      hostCall<void>(name, subject(args, self), (ends) => {
        args[args.length - 1] = function (this: unknown, ...results: unknown[]): unknown {
          controller?.end();
          if (!ends.waiting) return undefined;
          ends.settle();
          return answer(this, results);
        };
        try {
          returned = runOutside(passOn, call);
        } catch (error) {
          controller?.end();
          throw error;
        }
        return (reason) => controller?.abort(reason);
      });
    // Only a cancel fails it. A reaction carries all that the host carries through async code.
    (toTheEnd ? runIn(new Context(context, true), begin) : begin()).catch(refuseLater);
    return returned;
  };
}

/** What is used of an emitter of events. */
export interface Emitter {
  /** Adds a listener. */
  on(event: PropertyKey, listener: () => void): unknown;
  /** Takes it out. */
  removeListener(event: PropertyKey, listener: () => void): unknown;
}

/**
 * A wait for the end of what a call has just given, an emitter: until one of `events`; a listener for
 * "error" would hide the error from the host. At a kill `stop` is called where the call was made, in a
 * microtask: what it emits reaches listeners that know their task, and what it throws stays an uncaught
 * exception.
 */
export function whileOpen(
  { context, name }: ContextCall,
  subject: string,
  emitter: Emitter,
  events: readonly PropertyKey[],
  stop: (reason: unknown) => void,
): void {
  const stopLater = (reason: unknown): void => queueMicrotask(() => stop(reason));
  const refused = refuseCall(context);
  if (refused !== null) return void refused.catch(stopLater);
  const open = hostCall<void>(name, subject, (ends) => {
    const end = (): void => {
      for (const event of events) emitter.removeListener(event, end);
      ends.settle();
    };
    for (const event of events) emitter.on(event, end);
    return undefined;
  });
  // Only a cancel fails it. A reaction carries all that the host carries through async code.
  open.catch(stopLater);
}

type Listener = ((...args: unknown[]) => unknown) & { listener?: unknown };

/** What is used of a stream, a socket, a request. */
export interface Destroyable extends Emitter {
  /** Ends it with an error. */
  destroy(reason: unknown): unknown;
  /** The listeners, with what `once` has put around them. */
  rawListeners(event: string): Listener[];
  /** Takes them out. */
  removeAllListeners(event: string): unknown;
}

/**
 * Destroys what a killed task has left. An error that nobody hears ends the process: so somebody hears
 * it, and a listener may hand it on to an emitter that nobody listens to any more, as `readline` does
 * after its loop.
 */
export function destroy(emitter: Destroyable, reason: unknown): void {
  const listeners = emitter.rawListeners("error");
  emitter.removeAllListeners("error");
  for (const listener of [...listeners, () => {}] as Listener[]) {
    const hushed = function (this: unknown, ...args: unknown[]): void {
      try {
        Reflect.apply(listener, this, args);
      } catch (error) {
        if (error !== reason) throw error;
      }
    };
    // By this property its owner can still take it out.
    emitter.on("error", Object.assign(hushed, { listener: listener.listener ?? listener }));
  }
  emitter.destroy(reason);
}

/**
 * A function that gives an async iterator and takes a signal in the options at `at`: each `next()` is a
 * wait, and one that is cancelled ends the iterator.
 */
export function iteratorWithSignal(at: number, subject: Subject): Inside {
  return (call) => {
    const options = optionsAt(call.args, at);
    if (options === undefined) return passOn(call);
    const controller = new FollowingController(options.signal);
    call.args[at] = { ...options, signal: controller.signal };
    try {
      const source = passOn(call) as AsyncIterable<unknown>;
      return new IteratorInTask(call, subject, source, controller);
    } catch (error) {
      controller.end();
      throw error;
    }
  };
}

/** {@linkcode iteratorWithSignal} for a function that takes no signal: the iterator is told to return. */
export function iteratorAlone(subject: Subject): Inside {
  return (call) => new IteratorInTask(call, subject, passOn(call) as AsyncIterable<unknown>);
}

/** An async iterator of the host, each of whose steps is a wait of whoever asks for it. */
class IteratorInTask implements AsyncIterableIterator<unknown>, AsyncDisposable {
  readonly #verb: string;
  readonly #name: string;
  readonly #host: AsyncIterator<unknown>;
  readonly #controller: FollowingController | undefined;

  constructor(
    { args, name, self }: ContextCall,
    subject: Subject,
    source: AsyncIterable<unknown>,
    controller?: FollowingController,
  ) {
    this.#verb = name;
    this.#name = subject(args, self);
    this.#host = source[Symbol.asyncIterator]();
    this.#controller = controller;
  }

  // TypeScript below 5.6 knows no other argument of next().
  next(...values: [] | [undefined]): Promise<IteratorResult<unknown>> {
    const refused = refuseCall(currentContext());
    if (refused !== null) {
      this.#stop(undefined);
      return refused;
    }
    return hostCall(this.#verb, this.#name, (ends) => {
      this.#host.next(...values).then((step) => {
        if (step.done === true) this.#controller?.end();
        ends.settle(step);
      }, (error) => {
        this.#controller?.end();
        ends.fail(error);
      });
      return (reason) => this.#stop(reason);
    });
  }

  async return(value?: unknown): Promise<IteratorResult<unknown>> {
    this.#controller?.end();
    return await this.#host.return?.(value) ?? { done: true, value };
  }

  async throw(error?: unknown): Promise<IteratorResult<unknown>> {
    this.#controller?.end();
    if (this.#host.throw === undefined) throw error;
    return await this.#host.throw(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  // Those of the hosts have it, but for Node below 24.
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #stop(reason: unknown): void {
    if (this.#controller !== undefined) this.#controller.abort(reason);
    else drop(Promise.resolve(this.#host.return?.()));
  }
}

const PROMISIFY = Symbol.for("nodejs.util.promisify.custom");

/** What `util.promisify` gives for functions of a part that bring their own promised form. */
export class PromisedForms {
  #on = false;

  /** As `own` of a place: its promised form, if it has one, does `inside` in a context. */
  of(name: string, inside: Inside): (host: HostFunction) => Record<PropertyKey, unknown> {
    return (host) => {
      this.#on = true;
      const promised: unknown = Reflect.get(host, PROMISIFY);
      if (typeof promised !== "function") return {};
      const form = (...args: unknown[]): unknown => {
        const context = this.#on ? currentContext() : null;
        const call = { name, host: promised as HostFunction, self: undefined, args };
        if (context === null || isOver(context)) return passOn(call);
        return inside({ ...call, context });
      };
      return { [PROMISIFY]: form };
    };
  }

  /** The part is off: they are the host's again. */
  off(): void {
    this.#on = false;
  }
}

/** An abort controller that aborts with a signal of the user, too, until it is told of the end. */
export class FollowingController implements AbortTarget {
  readonly #controller = new AbortController();
  #user: AbortSignal | null = null;

  /** `user` has been checked, or is left to {@linkcode optionsAt}. */
  constructor(user?: unknown) {
    if (!isSignal(user)) return;
    if (user.aborted) {
      this.#controller.abort(user.reason);
    } else {
      this.#user = user;
      watchAbort(user, this);
    }
  }

  /** The signal for the host. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts, and follows nobody any more. */
  abort(reason: unknown): void {
    this.end();
    this.#controller.abort(reason);
  }

  /** The user's signal has aborted. */
  aborted(reason: unknown): void {
    this.#user = null;
    this.#controller.abort(reason);
  }

  /** Follows nobody any more. Harmless twice. */
  end(): void {
    if (this.#user !== null) unwatchAbort(this.#user, this);
    this.#user = null;
  }
}

/**
 * A call that gives a promise, with a signal of ours that follows the user's; `give` puts it into the
 * arguments of the call.
 */
export function followed<T>(
  call: ContextCall,
  subject: Subject,
  user: unknown,
  give: (signal: AbortSignal) => void,
): Promise<T> {
  const name = subject(call.args, call.self);
  return hostCall<T>(call.name, name, (ends) => {
    const controller = new FollowingController(user);
    give(controller.signal);
    try {
      settleWith(runOutside(passOn, call) as PromiseLike<T>, ends, () => controller.end());
    } catch (error) {
      controller.end();
      throw error;
    }
    return (reason) => controller.abort(reason);
  });
}

/** Ends a wait as `promise` does, if it still waits; `then` is called first, in any case. */
export function settleWith<T>(promise: unknown, ends: HostCallEnds<T>, then?: () => void): void {
  Promise.resolve(promise as PromiseLike<T>).then((value) => {
    then?.();
    ends.settle(value);
  }, (error: unknown) => {
    then?.();
    ends.fail(error);
  });
}

/** Options as a copy of their own, `{}` if missing; `undefined` if the host must judge them. */
export function optionsAt(
  args: readonly unknown[],
  at: number,
): Record<string, unknown> | undefined {
  const options = args[at];
  if (options === undefined || options === null) return {};
  if (typeof options === "string") return { encoding: options };
  if (typeof options !== "object") return undefined;
  const { signal } = options as { signal?: unknown };
  return signal === undefined || isSignal(signal)
    ? { ...options as Record<string, unknown> }
    : undefined;
}

/** Whether `value` is an abort signal. */
export function isSignal(value: unknown): value is AbortSignal {
  const candidate = value as Partial<AbortSignal> | null | undefined;
  return typeof candidate?.aborted === "boolean" &&
    typeof candidate.addEventListener === "function";
}

/** Nobody waits for `promise`: what ends it has been told elsewhere. */
export function drop(promise: Promise<unknown>): void {
  promise.catch(() => {});
}

/**
 * The rejection of a call in a cancelled context, `null` in another. A loop that catches everything and
 * tries again would never leave the microtasks, and nothing else would run: so from the hundredth time
 * on each refusal takes a macrotask.
 */
export function refuseCall(context: Context | null): Promise<never> | null {
  if (context === null || !context.cancelled) return null;
  const { reason } = context;
  const count = refusals.get(context) ?? 0;
  refusals.set(context, count + 1);
  return count < MOST_AT_ONCE
    ? Promise.reject(reason)
    : new Promise((_, reject) => macrotask(() => reject(reason)));
}

/** A value in few words. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "function") return value.name || "function";
  if (value instanceof URL) return value.protocol === "file:" ? value.pathname : value.href;
  if (typeof value === "object" && value !== null) {
    const { path } = value as { path?: unknown };
    return typeof path === "string" ? path : (value.constructor?.name ?? "object");
  }
  return String(value);
}
