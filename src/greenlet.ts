// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Greenlets: bodies that hand control to each other by name, with `switch`, and to their parent
 * when they end. The semantics are those of Python's greenlet, with an `await` before each switch.
 *
 * @module
 */

// Invariants
//  1. A greenlet that is suspended has exactly one waiter, in #waits; one that runs, has not started
//     or is dead has none.
//  2. Whoever hands control over has parked first: the one who gets it can switch back at once.
//  3. Parents form a tree: no cycle, and the same root all the way up. A root is never dead, so the
//     way up from a dead greenlet ends at a living one.
//  4. Only the waiter of a root stands in a context: a kill ends the switch that the task waits in,
//     and leaves the other suspended greenlets where they are.
//  5. Only the start of a body enters a context: before that, and outside of tasks, the current
//     greenlet is the root of the program.
// Source: greenlet 3 (g_switch, throw_greenlet, inner_bootstrap). Dropped: starting a body inside
// the call of switch(), as a chain of 10,000 greenlets that start each other overflows the stack.

import {
  Context,
  contextsInUse,
  contextTravels,
  currentContext,
  ROOT,
  runIn,
} from "./_kernel/current.ts";
import { isThenable } from "./_kernel/foreign.ts";
import { isGenerator } from "./_kernel/generator.ts";
import { hooks } from "./_kernel/hooks.ts";
import { reportUnhandled } from "./_kernel/unhandled.ts";
import { WaitList } from "./_kernel/wait_list.ts";
import { Waiter } from "./_kernel/waiter.ts";
import { GreenletError, GreenletExit } from "./errors.ts";

const UNSTARTED = 0;
const STARTED = 1;
const DEAD = 2;

/** A tracer that has not thrown. */
const CALM: unique symbol = Symbol("calm");

/**
 * What a greenlet runs: a plain, an async or an async generator function. Its arguments are those of
 * the first switch.
 */
// deno-lint-ignore no-explicit-any -- whoever switches first decides what the arguments are
export type GreenletBody = (...args: any[]) => unknown;

/** Options of a {@linkcode Greenlet}. */
export interface GreenletOptions {
  /** Who gets control, and the value or the error, when the body ends. @default {currentGreenlet()} */
  parent?: Greenlet | undefined;
  /** Name for messages and dumps. @default {"greenlet-" and a number} */
  name?: string | undefined;
}

/**
 * Told of each hand-over, the ends of bodies included: `"throw"` if an error goes over, else
 * `"switch"`. New kinds of events may come; ignore what you do not know.
 */
export type GreenletTrace = (event: "switch" | "throw", origin: Greenlet, target: Greenlet) => void;

/** What goes over to another greenlet. It may change on the way: an exit becomes a value. */
interface Parcel {
  failed: boolean;
  /** The value, or the error if `failed`. */
  value: unknown;
  /** The arguments for a body that is started by it; `null` for `[value]`. */
  args: unknown[] | null;
}

let trace: GreenletTrace | null = null;
let lastId = 0;
/** The context that the next greenlet to be made is the root of. */
let rootContext: Context | null = null;
/** Who got control last: the current greenlet where the context does not travel (browsers). */
let running: Greenlet | null = null;

/**
 * A body with control of its own: it runs when somebody switches to it, and stands still while it
 * waits in a switch to another. The code outside of all bodies is a greenlet too, the root: each task
 * has one, and so has the program.
 *
 * - **When a body ends, control goes to its parent**, not to the one who switched to it last: its
 *   value, or its error, comes out of the switch in which the parent waits. The parent is the
 *   greenlet that made it, unless said otherwise. Dead ancestors are skipped, an ancestor that has
 *   not started is started with a value and killed by an error.
 * - A switch resolves to what the next one who switches back brings, whoever that is.
 * - A {@linkcode GreenletExit} that a body does not catch is a value for the parent.
 * - Only one greenlet of a root has control, but unlike Python's a body can also wait for something
 *   else: then it runs, nobody can switch to it, and the others still wait for their switch.
 * - If the parent waits in no switch when a body ends (a kill or a limit ended its wait), a value is
 *   dropped, and an error goes to `onUnhandled` unless it is the kill of the task itself.
 * - In a killed task every switch rejects with the reason before it does anything. Suspended
 *   greenlets stay suspended, out of reach of kills and limits; other waits of bodies reject.
 * - A body has the task locals that were seen where the greenlet was made, as a copy.
 * - A thenable that is switched over alone is awaited on the way; in an array or object it stays.
 * - A greenlet that nobody switches to any more never runs its `finally`; `await using` does that.
 * - Where the host cannot carry a context through `await` (browsers) the whole program has one root.
 *
 * A subclass may have a method `run` instead of passing a body.
 *
 * @example Two bodies that hand over to each other
 * ```ts
 * import { currentGreenlet, Greenlet } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const seen: number[] = [];
 * const first: Greenlet = new Greenlet(async () => {
 *   seen.push(12);
 *   await second.switch();
 *   seen.push(34);
 * });
 * const second = new Greenlet(async () => {
 *   seen.push(56);
 *   await first.switch();
 *   seen.push(78); // never: first has ended, and its parent went on
 * });
 * assertEquals(second.parent, currentGreenlet());
 * await first.switch();
 * assertEquals(seen, [12, 56, 34]);
 * await second.throw();
 * ```
 *
 * @see https://greenlet.readthedocs.io
 */
export class Greenlet implements AsyncDisposable {
  /**
   * The body. May be set until the greenlet starts, which drops it; `undefined` then, in a root, and
   * while there is none.
   *
   * @throws {TypeError} When set to no function, in a root, or after the start.
   */
  // deno-lint-ignore no-explicit-any -- as GreenletBody; a method, so that subclasses may have one
  run?(...args: any[]): unknown;

  readonly #id: number = ++lastId;
  readonly #name: string | undefined;
  readonly #waits: WaitList;
  readonly #root: Greenlet;
  readonly #locals: ReadonlyMap<unknown, unknown> | null;
  #parent: Greenlet | null;
  #body: GreenletBody | null;
  #context: Context | null;
  #state: typeof UNSTARTED | typeof STARTED | typeof DEAD;
  /** Who gets control instead of the parent: the one who disposes of it. */
  #heir: Greenlet | null = null;

  static {
    // On the prototype, where a method of a subclass goes before it.
    Object.defineProperty(this.prototype, "run", {
      configurable: true,
      get(this: Greenlet): GreenletBody | undefined {
        return this.#body ?? undefined;
      },
      set(this: Greenlet, body: unknown) {
        if (this.#parent === null) {
          throw new TypeError("Cannot set run of a root greenlet: it has no body");
        }
        if (this.#state !== UNSTARTED) {
          throw new TypeError(
            `Cannot set run of greenlet "${this.name}": it must not have started`,
          );
        }
        checkBody("set run of greenlet", body);
        this.#body = body;
      },
    });
  }

  /**
   * Creates a greenlet and runs nothing.
   *
   * @param run The body; it may be set later.
   * @param options Parent and name.
   * @throws {TypeError} If `run` is no function, `parent` no greenlet or `name` no string.
   * @throws {GreenletError} If `parent` belongs to another copy of this library.
   */
  constructor(run?: GreenletBody | undefined, options?: GreenletOptions | undefined) {
    this.#waits = new WaitList(this, "switch");
    if (rootContext !== null) {
      this.#name = "root";
      this.#root = this;
      this.#locals = null;
      this.#parent = null;
      this.#body = null;
      this.#context = rootContext;
      this.#state = STARTED;
      rootContext = null;
      return;
    }
    if (run != null) checkBody("create greenlet", run);
    const name = options?.name;
    if (name !== undefined && typeof name !== "string") {
      throw new TypeError(`Cannot create greenlet: name must be a string, got ${typeof name}`);
    }
    const context = currentContext();
    const parent = options?.parent ?? current(context);
    checkGreenlet("create greenlet", parent);
    this.#name = name;
    this.#root = parent.#root;
    this.#locals = (context ?? ROOT).base.locals;
    this.#parent = parent;
    this.#body = run ?? null;
    this.#context = null;
    this.#state = UNSTARTED;
  }

  /**
   * Gives control to this greenlet and parks until somebody switches back to the caller. Resolves to
   * what that one brings, which need not be this greenlet. One that has not started starts its body
   * with `args`; in one that is suspended its switch resolves to `args`: to `undefined` for none, to
   * the argument itself for one, to an array for several. A switch to oneself resolves at once; one to
   * a dead greenlet goes to its nearest living ancestor. Takes no options: a kill of the task, or a
   * limit around it, ends the wait of its root greenlet and leaves the target as it is.
   *
   * @typeParam T What the caller expects to be brought; nothing checks it.
   * @throws The error that is thrown into the caller, or that a child did not catch.
   * @throws {GreenletError} If the caller already waits in a switch or is dead, or this greenlet runs
   * or belongs to another root.
   * @throws {TypeError} If the greenlet to be started has no `run`.
   *
   * @example Values go both ways
   * ```ts
   * import { currentGreenlet, Greenlet } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const main = currentGreenlet();
   * const adder = new Greenlet(async (a: number, b: number) => {
   *   const c = await main.switch<number>(a + b);
   *   return a + b + c;
   * });
   * assertEquals(await adder.switch(1, 2), 3);
   * assertEquals(await adder.switch(10), 13);
   * ```
   */
  switch<T = unknown>(...args: unknown[]): Promise<T> {
    const value = args.length === 1 ? args[0] : args.length === 0 ? undefined : args;
    const context = currentContext();
    if (context !== null && context.cancelled) return Promise.reject(context.reason);
    const origin = current(context);
    const waiter = this.#waits.first;
    if (
      waiter === null || trace !== null || origin.#waits.first !== null ||
      origin.#root !== this.#root ||
      origin.#state === DEAD
    ) {
      return this.#enter("switch to", origin, context, { failed: false, value, args });
    }
    const switched = origin.#parent === null
      ? new Waiter<T>().parkAs(context, origin.#waits)
      : new Waiter<T>().parkFor(null, origin.#waits);
    running = this;
    waiter.settle(value);
    return switched;
  }

  /**
   * {@linkcode Greenlet.switch} with an error: in a suspended greenlet its switch rejects with it. One
   * that has not started dies without running. Then, as whenever a body ends, the error goes to the
   * **parent**, not to the caller; a {@linkcode GreenletExit} goes there as a value.
   *
   * @param error What to throw. A value that is no `Error` becomes the `cause` of one.
   * @default {new GreenletExit()}
   * @throws What a switch throws, for the same reasons.
   *
   * @example End a greenlet that is suspended
   * ```ts
   * import { currentGreenlet, Greenlet, GreenletExit } from "@baozi/baozi";
   * import { assertEquals, assertInstanceOf } from "@std/assert";
   *
   * const main = currentGreenlet();
   * let cleaned = false;
   * const g = new Greenlet(async () => {
   *   try {
   *     await main.switch();
   *   } finally {
   *     cleaned = true;
   *   }
   * });
   * await g.switch();
   * assertInstanceOf(await g.throw(), GreenletExit);
   * assertEquals([cleaned, g.dead], [true, true]);
   * ```
   */
  throw<T = unknown>(error?: unknown): Promise<T> {
    const context = currentContext();
    if (context !== null && context.cancelled) return Promise.reject(context.reason);
    const value = error === undefined
      ? new GreenletExit()
      : error instanceof Error
      ? error
      : new Error("A value that is no Error was thrown into a greenlet", { cause: error });
    return this.#enter("throw into", current(context), context, {
      failed: true,
      value,
      args: null,
    });
  }

  /**
   * Ends the greenlet: throws a {@linkcode GreenletExit} into it if it is suspended, and waits, out of
   * reach of kills, until its `finally` blocks are through. Whatever it ends with comes here and not to
   * the parent; a value is dropped. One that has not started never runs; a dead one stays as it is.
   *
   * @throws What the body throws instead of the exit.
   * @throws {GreenletError} If it catches the exit and switches away (it is then still suspended, if
   * control came back here at all), if it runs, or belongs to another root.
   *
   * @example Ended at the end of the block
   * ```ts
   * import { currentGreenlet, Greenlet } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const main = currentGreenlet();
   * const log: string[] = [];
   * {
   *   await using g = new Greenlet(async () => {
   *     try {
   *       await main.switch();
   *     } finally {
   *       log.push("cleaned");
   *     }
   *   });
   *   await g.switch();
   * }
   * assertEquals(log, ["cleaned"]);
   * ```
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#parent === null) {
      throw new GreenletError("Cannot dispose of a root greenlet: it ends with its task");
    }
    if (this.#state === UNSTARTED) Greenlet.#end(this);
    if (this.#state === DEAD) return;
    const origin = current(currentContext());
    const refused = this.#refuse("dispose of", origin);
    if (refused !== null) throw refused;
    const before = this.#heir;
    this.#heir = origin;
    try {
      const exit: Parcel = { failed: true, value: new GreenletExit(), args: null };
      await this.#enter("dispose of", origin, null, exit);
    } finally {
      this.#heir = before;
    }
    // Read again: the wait has changed it.
    if (!this.dead) {
      throw new GreenletError(
        `Cannot dispose of greenlet "${this.name}": it must let the GreenletExit through, it caught it`,
      );
    }
  }

  /**
   * Who gets control, and the value or the error, when the body ends; `null` in a root only. May be
   * set at any time.
   *
   * @throws {TypeError} When set to no greenlet, or in a root.
   * @throws {GreenletError} When set to one of its own descendants or itself, or to one of another root
   * or of another copy of this library.
   *
   * @example The value goes to the new parent
   * ```ts
   * import { Greenlet } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const half = new Greenlet(() => 21);
   * half.parent = new Greenlet((value: number) => value * 2);
   * assertEquals(await half.switch(), 42);
   * ```
   */
  get parent(): Greenlet | null {
    return this.#parent;
  }

  set parent(parent: Greenlet) {
    if (this.#parent === null) {
      throw new TypeError("Cannot set parent of a root greenlet: it has none");
    }
    checkGreenlet("set parent of greenlet", parent);
    if (parent.#root !== this.#root) {
      throw new GreenletError(
        `Cannot set parent of greenlet "${this.name}": both must belong to the same root, got one of another task`,
      );
    }
    for (let up: Greenlet | null = parent; up !== null; up = up.#parent) {
      if (up === this) {
        throw new GreenletError(
          `Cannot set parent of greenlet "${this.name}": parents must not form a cycle, got "${parent.name}" below it`,
        );
      }
    }
    this.#parent = parent;
  }

  /** The given name, else "greenlet-" and a number; "root" for a root. */
  get name(): string {
    return this.#name ?? `greenlet-${this.#id}`;
  }

  /** Whether it has ended: by return, by an error, or killed before its start. Never in a root. */
  get dead(): boolean {
    return this.#state === DEAD;
  }

  /** Whether somebody has switched or thrown into it; also after its end. Always in a root. */
  get started(): boolean {
    return this.#state !== UNSTARTED;
  }

  /** Whether it has started and not ended. */
  get active(): boolean {
    return this.#state === STARTED;
  }

  /** Its name and state, such as `<Greenlet "a" suspended active started>`. */
  toString(): string {
    return `<Greenlet "${this.name}" ${this.#describe()}>`;
  }

  /** "Greenlet". */
  get [Symbol.toStringTag](): string {
    return "Greenlet";
  }

  /** Tells greenlets of other copies of this library from other things; not for callers. */
  get "~greenlet"(): true {
    return true;
  }

  #describe(): string {
    if (this.#state === UNSTARTED) return "pending";
    if (this.#state === DEAD) return "dead";
    const place = this.#waits.first !== null
      ? "suspended"
      : current(currentContext()) === this
      ? "current"
      : "running";
    return `${place} active started${this.#parent === null ? " root" : ""}`;
  }

  /** What a switch or a throw does unless both sides are plainly suspended and nobody traces. */
  #enter<T>(verb: string, origin: Greenlet, context: Context | null, parcel: Parcel): Promise<T> {
    const refused = this.#refuse(verb, origin);
    if (refused !== null) return Promise.reject(refused);
    if (this.#state === DEAD && parcel.value instanceof GreenletExit) parcel.failed = false;
    const target = nearestAlive(this);
    if (target === origin) {
      traced(origin, target, null, parcel);
      return parcel.failed ? Promise.reject(parcel.value) : Promise.resolve(parcel.value as T);
    }
    if (target.#state === UNSTARTED && typeof target.run !== "function") {
      return Promise.reject(withoutRun(target));
    }
    const switched = origin.#parent === null
      ? new Waiter<T>().parkAs(context, origin.#waits)
      : new Waiter<T>().parkFor(null, origin.#waits);
    Greenlet.#deliver(origin, target, parcel);
    return switched;
  }

  /** Why `origin` may not hand over to this greenlet, `null` if it may. */
  #refuse(verb: string, origin: Greenlet): GreenletError | null {
    const action = `Cannot ${verb} greenlet "${this.name}"`;
    if (origin.#waits.first !== null) {
      return new GreenletError(
        `${action}: the caller "${origin.name}" must not wait in another switch; await that one first`,
      );
    }
    if (origin.#state === DEAD) {
      return new GreenletError(`${action}: the caller "${origin.name}" must not have ended`);
    }
    if (origin.#root !== this.#root) {
      return new GreenletError(
        `${action}: it must belong to the root of the caller, got one of another task; send to it through a channel`,
      );
    }
    const target = nearestAlive(this);
    if (target === origin || target.#state === UNSTARTED || target.#waits.first !== null) {
      return null;
    }
    return new GreenletError(`${action}: "${target.name}" must be suspended in a switch, it runs`);
  }

  /** Hands `parcel` to `target`, or to the first of its ancestors that can take it. */
  static #deliver(origin: Greenlet, target: Greenlet, parcel: Parcel): void {
    for (let next: Greenlet | null = target; next !== null; next = next.#parent) {
      if (next.#state === DEAD) continue;
      if (next.#state === STARTED) return Greenlet.#resume(origin, next, parcel);
      if (!parcel.failed && typeof next.run !== "function") {
        parcel.failed = true;
        parcel.value = withoutRun(next);
        continue;
      }
      if (Greenlet.#start(origin, next, parcel)) return;
      // It died before its first step, as if its body had thrown at once.
      origin = next;
      if (parcel.value instanceof GreenletExit) parcel.failed = false;
    }
  }

  /** Ends the wait of `target`. */
  static #resume(origin: Greenlet, target: Greenlet, parcel: Parcel): void {
    const waiter = target.#waits.first;
    if (waiter !== null) traced(origin, target, waiter.context ?? target.#context, parcel);
    // A tracer that kills the task ends the wait too.
    if (waiter === null || waiter.settled) return Greenlet.#drop(target, parcel);
    running = target;
    if (parcel.failed) waiter.fail(parcel.value);
    else waiter.settle(parcel.value);
  }

  /** Starts `target` with `parcel`; an error, also one of the tracer, kills it instead: `false`. */
  static #start(origin: Greenlet, target: Greenlet, parcel: Parcel): boolean {
    const root = target.#root.#context!;
    // Nothing cancels the context of the program: below it no list of children must grow.
    const context = new Context(root, root === ROOT, true);
    context.greenlet = target;
    context.locals = target.#locals;
    target.#context = context;
    target.#state = STARTED;
    running = target;
    const body = target.run!;
    const args = parcel.args ?? [parcel.value];
    target.#body = null;
    parcel.args = null;
    traced(origin, target, context, parcel);
    if (parcel.failed) {
      Greenlet.#end(target);
      return false;
    }
    const begin = (): void => Greenlet.#begin(target, body, args);
    queueMicrotask(() =>
      hooks.on?.beginning === undefined ? begin() : hooks.on.beginning(context, begin)
    );
    return true;
  }

  /** Calls the body of a greenlet that has control. */
  static #begin(greenlet: Greenlet, body: GreenletBody, args: unknown[]): void {
    let result: unknown;
    try {
      result = runIn(greenlet.#context, call, greenlet, body, args);
      if (isThenable(result)) result = Promise.resolve(result);
    } catch (error) {
      return Greenlet.#finish(greenlet, true, error);
    }
    if (!(result instanceof Promise)) return Greenlet.#finish(greenlet, false, result);
    result.then(
      (value) => Greenlet.#finish(greenlet, false, value),
      (error) => Greenlet.#finish(greenlet, true, error),
    );
  }

  /** The body has ended: control goes to the parent. */
  static #finish(greenlet: Greenlet, failed: boolean, value: unknown): void {
    const heir = greenlet.#heir;
    const target = heir !== null && heir.#waits.first !== null ? heir : greenlet.#parent!;
    Greenlet.#end(greenlet);
    failed = failed && !(value instanceof GreenletExit);
    Greenlet.#deliver(greenlet, target, { failed, value, args: null });
  }

  static #end(greenlet: Greenlet): void {
    greenlet.#state = DEAD;
    greenlet.#body = null;
    greenlet.#context?.end();
    greenlet.#context = null;
    // The body did not await its switch, and nobody can switch back any more.
    greenlet.#waits.first?.fail(
      new GreenletError(
        `Cannot wait in a switch: greenlet "${greenlet.name}" has ended; await every switch`,
      ),
    );
  }

  /** Nobody is there to take `parcel`: `target` has control, or goes on already. */
  static #drop(target: Greenlet, { failed, value }: Parcel): void {
    const { cancelled, reason } = target.#root.#context!;
    if (failed && !(cancelled && value === reason)) reportUnhandled(value);
  }
}

/**
 * Creates a greenlet: short for `new Greenlet(run, options)`. It runs when somebody switches to it.
 *
 * @throws {TypeError} If `run` is no function, or an option has the wrong type.
 *
 * @example A generator body yields to its parent
 * ```ts
 * import { greenlet } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const averager = greenlet(async function* (value: number): AsyncGenerator<number, string, number> {
 *   let sum = value;
 *   for (let n = 1; n < 3; n++) sum += yield sum / n;
 *   return `sum ${sum}`;
 * });
 * assertEquals(await averager.switch(10), 10); // yield v is parent.switch(v)
 * assertEquals(await averager.switch(20), 15);
 * assertEquals(await averager.switch(30), "sum 60");
 * ```
 */
export function greenlet(run: GreenletBody, options?: GreenletOptions): Greenlet {
  checkBody("create greenlet", run);
  return new Greenlet(run, options);
}

/**
 * Gives the greenlet that runs: outside of all bodies the root of the task, in no task that of the
 * program. Code that a body left behind (a timer, say) still gets the greenlet of that body. Where the
 * host cannot carry a context through `await` (browsers) it is the one that got control last.
 *
 * @example Outside and inside
 * ```ts
 * import { currentGreenlet, greenlet } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const main = currentGreenlet();
 * const g = greenlet(() => currentGreenlet());
 * assertEquals(await g.switch(), g);
 * assertEquals([currentGreenlet(), main.parent], [main, null]);
 * ```
 */
export function currentGreenlet(): Greenlet {
  return current(currentContext());
}

/**
 * Installs a tracer for the whole program, `null` for none, and gives the former one. It is called
 * at each hand-over, with the one that gets control as the current greenlet, before that one goes
 * on. If it throws it is removed, and its error is thrown into that one.
 *
 * @throws {TypeError} If `callback` is neither a function nor `null`.
 *
 * @example There and back
 * ```ts
 * import { greenlet, setTrace } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const seen: string[] = [];
 * const former = setTrace((event, origin, target) => seen.push(`${event} ${origin.name} ${target.name}`));
 * await greenlet(() => 1, { name: "a" }).switch();
 * setTrace(former);
 * assertEquals(seen, ["switch root a", "switch a root"]);
 * ```
 */
export function setTrace(callback: GreenletTrace | null): GreenletTrace | null {
  if (callback !== null && typeof callback !== "function") {
    throw new TypeError(
      `Cannot set trace: callback must be a function or null, got ${typeof callback}`,
    );
  }
  const former = trace;
  trace = callback;
  return former;
}

function current(context: Context | null): Greenlet {
  if (context !== null && context.greenlet !== null) return context.greenlet as Greenlet;
  if (contextsInUse() && !contextTravels()) return running ?? rootOf(ROOT);
  let top = context ?? ROOT;
  while (top.parent !== null) top = top.parent;
  const root = rootOf(top.task === undefined ? ROOT : top);
  // A context that is older than its root could not inherit it.
  if (context !== null) context.greenlet = root;
  return root;
}

function rootOf(context: Context): Greenlet {
  if (context.greenlet === null) {
    rootContext = context;
    context.greenlet = new Greenlet();
  }
  return context.greenlet as Greenlet;
}

function nearestAlive(greenlet: Greenlet): Greenlet {
  let alive = greenlet;
  while (alive.dead) alive = alive.parent!;
  return alive;
}

/** Tells the tracer of a hand-over, in the context of `target`. Its error becomes the parcel. */
function traced(origin: Greenlet, target: Greenlet, context: Context | null, parcel: Parcel): void {
  if (trace === null) return;
  const error = tell(trace, parcel.failed ? "throw" : "switch", origin, target, context);
  if (error === CALM) return;
  trace = null;
  parcel.failed = true;
  parcel.value = error;
}

function tell(
  callback: GreenletTrace,
  event: "switch" | "throw",
  origin: Greenlet,
  target: Greenlet,
  context: Context | null,
): unknown {
  const before = running;
  running = target;
  try {
    if (origin === target) callback(event, origin, target);
    else runIn(context, callback, event, origin, target);
    return CALM;
  } catch (error) {
    return error;
  } finally {
    running = before;
  }
}

function call(greenlet: Greenlet, body: GreenletBody, args: unknown[]): unknown {
  const result = Reflect.apply(body, greenlet, args);
  return isGenerator(result) ? drive(greenlet, result) : result;
}

/** Runs a generator as a body: each `yield` is a switch to the parent. */
async function drive(greenlet: Greenlet, body: AsyncGenerator | Generator): Promise<unknown> {
  let step = await body.next();
  while (step.done !== true) {
    let input: unknown;
    let failed = false;
    try {
      input = await greenlet.parent!.switch(step.value);
    } catch (error) {
      input = error;
      failed = true;
    }
    step = await (failed ? body.throw(input) : body.next(input));
  }
  return step.value;
}

function withoutRun(greenlet: Greenlet): TypeError {
  return new TypeError(
    `Cannot start greenlet "${greenlet.name}": run must be a function, got ${typeof greenlet.run}`,
  );
}

function checkBody(verb: string, body: unknown): asserts body is GreenletBody {
  if (typeof body !== "function") {
    throw new TypeError(
      `Cannot ${verb}: run must be a function, got ${body === null ? "null" : typeof body}`,
    );
  }
}

function checkGreenlet(verb: string, parent: unknown): asserts parent is Greenlet {
  if (parent instanceof Greenlet) return;
  if (
    (typeof parent === "object" || typeof parent === "function") && parent !== null &&
    "~greenlet" in parent
  ) {
    throw new GreenletError(
      `Cannot ${verb}: parent must belong to this copy of the library, got one of another copy; import the library once`,
    );
  }
  throw new TypeError(
    `Cannot ${verb}: parent must be a greenlet, got ${parent === null ? "null" : typeof parent}`,
  );
}
