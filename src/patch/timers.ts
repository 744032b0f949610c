// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The host's timers, made to end with the task that set them.
 *
 * @module
 */

// Invariants
//  1. A timer set in a context is a wait of it until it fires, is cleared or unref'd, or the context is
//     cancelled. Its handle is the host's own.
//  2. The callback of a timeout is called once at most, by the host or early by us.
//  3. `live` holds the timers that may still fire and that we still care for.
// A callback that is the resolve function of a promise is known: that promise rejects with the reason.
// Any other cannot be told apart: it may resolve what the task waits for, or do work that must not
// happen any more. If the task ends without it, it is dropped; if nothing else can wake the task, it is
// called early, what the task does next is refused, and a value that it still gives does not count.

import { type Context, force, runOutside } from "../_kernel/current.ts";
import { macrotask, stopTimer } from "../_kernel/host.ts";
import { hostCall, type HostCallEnds } from "../_kernel/host_call.ts";
import { type Task, type TaskWatcher, unwatchTask, waitsShielded, watchTask } from "../task.ts";
import {
  drop,
  iteratorWithSignal,
  promiseWithSignal,
  refuseCall,
  type Subject,
  textOf,
} from "./adapters.ts";
import {
  builtin,
  type Call,
  type ContextCall,
  HOST_GLOBALS,
  type HostFunction,
  type Inside,
  type Part,
  passOn,
  type Place,
} from "./parts.ts";

/**
 * How many callbacks are called early in one cancelled context. A poll that sets itself again would
 * spin; after these its timers keep their time.
 */
const MOST_EARLY = 100;
/** As many microtasks long a task that was woken early is watched, for a loop that sets the next timer. */
const MOST_STEPS = 100;

/** Timers of the globals, of `node:timers` and `node:timers/promises`, and what clears a handle. */
export const timersPart: Part = {
  name: "timers",
  places: () => {
    const timers = builtin("node:timers");
    return [
      ...timerPlaces(HOST_GLOBALS, ""),
      ...(timers === undefined ? [] : timerPlaces(timers, "timers.")),
      ...handlePlaces(),
      ...promisePlaces(builtin("node:timers/promises")),
      // On Deno another object, with the same functions.
      ...promisePlaces(timers?.promises as Record<string, unknown> | undefined),
    ];
  },
  removed: () => {
    // From now on nobody tells us of a clear: these are the host's alone.
    for (const timer of live) timer.release();
  },
};

/** What is used of a handle. */
interface Handle {
  /** It was cleared, or has fired. */
  readonly _destroyed?: boolean;
}

const live: Set<ContextTimer> = new Set();
const timerOf: WeakMap<object, ContextTimer> = new WeakMap();
const earlyCalls: WeakMap<Context, number> = new WeakMap();
/** Where a callback has just been called early, for as long as its task goes on without a stop. */
let woken: Context | null = null;

/** A timer that was set in a context. */
class ContextTimer implements TaskWatcher {
  readonly #call: ContextCall;
  readonly #callback: HostFunction;
  readonly #args: readonly unknown[];
  readonly #repeats: boolean;
  #handle: unknown = undefined;
  #wait: HostCallEnds<void> | null = null;
  #killed = false;
  /** It was ended by us: nothing brings it back. */
  #dropped = false;
  /** Its end drops the timer. */
  #watched: Task | null = null;

  constructor(call: ContextCall, callback: HostFunction, repeats: boolean) {
    this.#call = call;
    this.#callback = callback;
    this.#args = call.args.slice(2);
    this.#repeats = repeats;
  }

  /** Sets it, and gives the handle. Throws what the host throws. */
  set(): unknown {
    const { context } = this.#call;
    const refused = refuseCall(context);
    const ended = refused ?? this.#park(() => this.#start());
    // Only a cancel fails it. A reaction carries all that the host carries through async code.
    ended.catch((reason) => this.#stop(reason));
    if (refused !== null) this.#start();
    return this.#handle;
  }

  /** It is the host's alone from now on: cleared, or nothing is patched any more. */
  release(): void {
    live.delete(this);
    this.#killed = false;
    if (this.#wait?.waiting) this.#wait.settle();
    if (this.#watched !== null) unwatchTask(this.#watched, this);
    this.#watched = null;
  }

  /**
   * It shall keep no process alive: it belongs to shared machinery, a pool of connections perhaps, and is
   * left alone. But a promise that it resolves is somebody's wait all the same.
   */
  unreferenced(): void {
    if (!isSettler(this.#callback)) this.release();
  }

  /** Whether the host has just cleared it, by its `id` or another way. */
  wasCleared(id: unknown): boolean {
    return this.#handle === id || (this.#handle as Handle)._destroyed === true;
  }

  /** The task has ended without it. */
  taskEnded(): void {
    this.#watched = null;
    this.#drop();
  }

  #park(start: () => void): Promise<void> {
    const { name, args } = this.#call;
    return hostCall<void>(name, `${textOf(args[1] ?? 0)} ms`, (ends) => {
      start();
      this.#wait = ends;
      return undefined;
    });
  }

  #start(): void {
    const fired = (self: unknown, given: unknown[]) => this.#fired(self, given);
    this.#call.args[0] = function (this: unknown, ...given: unknown[]): unknown {
      return fired(this, given);
    };
    const handle = this.#handle = passOn(this.#call);
    if (typeof handle === "object" && handle !== null) timerOf.set(handle, this);
    live.add(this);
  }

  #fired(self: unknown, given: unknown[]): unknown {
    // `refresh()` may have set again what was dropped.
    if (this.#dropped || (this.#killed && this.#call.context.ended)) return undefined;
    if (!this.#repeats) this.release();
    return Reflect.apply(this.#callback, self, given);
  }

  /** The context was cancelled. */
  #stop(reason: unknown): void {
    if (!live.has(this)) return;
    this.#killed = true;
    if (!this.#repeats && !isSettler(this.#callback)) return macrotask(() => this.#judge());
    this.#drop();
    if (!this.#repeats) rejectBy(this.#callback, reason);
  }

  /** One macrotask later: what could end by itself has ended. */
  #judge(): void {
    if (!live.has(this)) return;
    const { context } = this.#call;
    if (context.ended) return this.#drop();
    const calls = earlyCalls.get(context) ?? 0;
    if (calls === MOST_EARLY || cleansUp(context)) return this.#keepTime();
    earlyCalls.set(context, calls + 1);
    force(context);
    this.#drop();
    queueMicrotask(() => watchWoken(context, MOST_STEPS));
    Reflect.apply(this.#callback, this.#handle, this.#args);
  }

  /** Fires in its own time, unless the task ends before. It may still wake somebody: so it counts. */
  #keepTime(): void {
    const { task } = this.#call.context;
    if (task !== undefined) watchTask(this.#watched = task as Task, this);
    drop(runOutside(() => this.#park(() => {})));
  }

  #drop(): void {
    this.release();
    this.#dropped = true;
    stopTimer(this.#handle);
  }
}

function timerPlaces(owner: object, prefix: string): Place[] {
  return [
    { name: `${prefix}setTimeout`, owner, key: "setTimeout", inside: setTimer(false) },
    { name: `${prefix}setInterval`, owner, key: "setInterval", inside: setTimer(true) },
    { name: `${prefix}setImmediate`, owner, key: "setImmediate", inside: setImmediateInside },
    { name: `${prefix}clearTimeout`, owner, key: "clearTimeout", everywhere: clear },
    { name: `${prefix}clearInterval`, owner, key: "clearInterval", everywhere: clear },
  ];
}

/** The methods of a handle that take a timer from us. */
function handlePlaces(): Place[] {
  const timers = builtin<{ setTimeout(callback: () => void, ms: number): object }>("node:timers");
  if (timers === undefined) return [];
  const handle = timers.setTimeout(() => {}, 0);
  stopTimer(handle);
  const owner = Object.getPrototypeOf(handle);
  return ["close", "unref", Symbol.dispose].map((key) => ({
    name: `Timeout.${typeof key === "symbol" ? "dispose" : key}`,
    owner,
    key,
    everywhere: (call) => {
      const timer = timerOf.get(call.self as object);
      if (key === "unref") timer?.unreferenced();
      else timer?.release();
      return passOn(call);
    },
  }));
}

function promisePlaces(owner: Record<string, unknown> | undefined): Place[] {
  if (owner === undefined) return [];
  const { scheduler } = owner as { scheduler?: object };
  // A method of its class on Node and Deno, its own on Bun.
  const holder = scheduler === undefined || Object.hasOwn(scheduler, "wait")
    ? scheduler
    : Object.getPrototypeOf(scheduler);
  const place = (owner: object, key: string, at: number, inside: Inside, path = ""): Place => ({
    name: `timers.promises.${path}${key}`,
    owner,
    key,
    inside: strict(at, inside),
  });
  return [
    place(owner, "setTimeout", 2, promiseWithSignal(2, ms(0))),
    place(owner, "setImmediate", 1, promiseWithSignal(1, () => "")),
    place(owner, "setInterval", 2, iteratorWithSignal(2, ms(0))),
    ...(holder === undefined
      ? []
      : [place(holder, "wait", 1, promiseWithSignal(1, ms(0)), "scheduler.")]),
  ];
}

function setTimer(repeats: boolean): Inside {
  return (call) => {
    const [callback] = call.args;
    // The host says what is wrong with it.
    if (typeof callback !== "function") return passOn(call);
    if (isWoken(call.context) && !isSettler(callback as HostFunction)) throw call.context.reason;
    return new ContextTimer(call, callback as HostFunction, repeats).set();
  };
}

/** The promise of an immediate rejects like one of a timer; no wait, for it never waits long. */
function setImmediateInside(call: ContextCall): unknown {
  const { context, args: [callback, ...args] } = call;
  if (typeof callback !== "function") return passOn(call);
  call.args[0] = function (this: unknown): unknown {
    const killed = context.cancelled && !context.ended && isSettler(callback as HostFunction);
    if (killed) return rejectBy(callback as HostFunction, context.reason);
    return Reflect.apply(callback, this, args);
  };
  return passOn(call);
}

function watchWoken(context: Context, steps: number): void {
  woken = steps > 0 ? context : null;
  if (steps > 0) queueMicrotask(() => watchWoken(context, steps - 1));
}

/**
 * Whether code of `context` goes on because a timer of its task was called early. The next timer throws
 * then: `await new Promise((resolve) => setTimeout(() => resolve(), ms))` rejects, and a loop of it ends.
 */
function isWoken(context: Context): boolean {
  return woken !== null && context.task === woken.task && context.reason === woken.reason;
}

function clear(call: Call): unknown {
  const [handle] = call.args;
  if (typeof handle === "object" && handle !== null) {
    timerOf.get(handle)?.release();
    return passOn(call);
  }
  const result = passOn(call);
  // By its number: the host knows which one it was.
  if (handle != null) { for (const timer of live) if (timer.wasCleared(handle)) timer.release(); }
  return result;
}

/** Options are an object or missing: the host says what is wrong with others. */
function strict(at: number, inside: Inside): Inside {
  return (call) => {
    const options = call.args[at];
    return options === null || typeof options === "string" ? passOn(call) : inside(call);
  };
}

function ms(at: number): Subject {
  return (args) => `${textOf(args[at] ?? 1)} ms`;
}

/** Whether `fn` is the resolve or the reject function of a promise, on V8 and JavaScriptCore alike. */
function isSettler(fn: HostFunction): boolean {
  return fn.length === 1 && fn.name === "" && !Object.hasOwn(fn, "prototype") &&
    /^function \(\) \{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(fn));
}

/** Rejects a promise by whichever of its two functions we have. */
function rejectBy(settler: HostFunction, reason: unknown): void {
  if (
    typeof reason !== "object" || reason === null || !Object.isExtensible(reason) ||
    "then" in reason
  ) {
    const rejected = Promise.reject(reason);
    drop(rejected);
    settler(rejected);
    return;
  }
  // resolve() looks at once whether the reason is a thenable, and if so adopts what it becomes: it is
  // one for this moment, which rejects with itself. reject() does not look.
  Object.defineProperty(reason, "then", {
    configurable: true,
    value: (_: unknown, reject: (reason: unknown) => void) => reject(reason),
  });
  settler(reason);
  delete (reason as { then?: unknown }).then;
}

/** Whether something goes on in the task of `context` that no kill reaches: it is not stuck. */
function cleansUp({ task }: Context): boolean {
  return task !== undefined && waitsShielded(task as Task);
}
