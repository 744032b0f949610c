// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The timers and clocks of the host, replaced by ones on a virtual clock.
 *
 * @module
 */

// Invariants
//  1. What `install` has replaced, `restore` puts back, whatever was put there in between.
//  2. Whoever is outside gets what the host has.
//  3. A callback runs in a microtask of its own, with all that the host carries through async code from
//     where it was set.

import { type AbortTarget, unwatchAbort, watchAbort } from "../_kernel/abort.ts";
import type { Timer, TimerTarget } from "../_kernel/clock.ts";
import type { VirtualClock } from "./_virtual_clock.ts";

/** Far from the handles of the host: one that is cleared after the end must not hit one of those. */
const FIRST_HANDLE = 2 ** 40;
/** Hosts fire at once after longer times. */
const LONGEST = 2 ** 31 - 1;

/** Where `util.promisify` finds the promised form of a function. */
const PROMISIFY = Symbol.for("nodejs.util.promisify.custom");

type Callback = (...args: unknown[]) => unknown;
type PromisedTimeout = (
  ms?: number,
  value?: unknown,
  options?: { signal?: AbortSignal },
) => Promise<unknown>;

// globalThis: replacing a global needs the object that has it.
const globals = globalThis as unknown as {
  setTimeout: (callback: Callback, ms?: number, ...args: unknown[]) => unknown;
  setInterval: (callback: Callback, ms?: number, ...args: unknown[]) => unknown;
  clearTimeout: (handle: unknown) => void;
  clearInterval: (handle: unknown) => void;
  Date: DateConstructor;
  performance: Performance;
};

/** The replacement; not yet there when made. */
export class FakeGlobals {
  readonly clock: VirtualClock;
  /** Told what a callback throws. */
  readonly thrown: (error: unknown) => void;
  readonly waiting: Map<number, FakeTimer> = new Map();
  readonly #epoch: number;
  #undo: Array<() => void> = [];
  #handles = 0;

  /** `epoch` is what `Date.now()` gives at the beginning. */
  constructor(clock: VirtualClock, epoch: number, thrown: (error: unknown) => void) {
    this.clock = clock;
    this.thrown = thrown;
    this.#epoch = epoch;
  }

  /** Puts them in place. */
  install(): void {
    const { setTimeout, setInterval, clearTimeout, clearInterval, Date, performance } = globals;
    const { clock } = this;
    const date = (): number => Math.floor(this.#epoch + clock.passed);
    const fakeTimeout = (callback: Callback, ms?: number, ...args: unknown[]) =>
      clock.isInside
        ? this.#start("setTimeout", callback, ms, args)
        : setTimeout(callback, ms, ...args);
    const promised = Reflect.get(setTimeout, PROMISIFY) as PromisedTimeout | undefined;
    if (promised !== undefined) {
      const value: PromisedTimeout = (...args) =>
        clock.isInside ? this.#promised(...args) : promised(...args);
      Object.defineProperty(fakeTimeout, PROMISIFY, { value });
    }
    this.#replace(globals, "setTimeout", fakeTimeout);
    this.#replace(
      globals,
      "setInterval",
      (callback: Callback, ms?: number, ...args: unknown[]) =>
        clock.isInside
          ? this.#start("setInterval", callback, ms, args)
          : setInterval(callback, ms, ...args),
    );
    this.#replace(globals, "clearTimeout", (handle: unknown) => this.#stop(handle, clearTimeout));
    this.#replace(globals, "clearInterval", (handle: unknown) => this.#stop(handle, clearInterval));
    this.#replace(
      globals,
      "Date",
      new Proxy(Date, {
        get: (target, key) => key === "now" && clock.isInside ? date : Reflect.get(target, key),
        construct: (target, args, made) =>
          Reflect.construct(target, args.length === 0 && clock.isInside ? [date()] : args, made),
        apply: (target) => clock.isInside ? new target(date()).toString() : target(),
      }),
    );
    // Another object, and not another method of this one: the clock of the host is read from it.
    this.#replace(
      globals,
      "performance",
      new Proxy(performance, {
        get: (target, key) => {
          if (key === "now" && clock.isInside) return () => clock.passed;
          const value: unknown = Reflect.get(target, key, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      }),
    );
    const { timeout } = AbortSignal;
    this.#replace(
      AbortSignal,
      "timeout",
      // The host says what is wrong with a time.
      (ms: number) =>
        clock.isInside && ms >= 0 && ms <= Number.MAX_SAFE_INTEGER
          ? this.#signal(ms)
          : timeout.call(AbortSignal, ms),
    );
  }

  /** Puts back what was there. */
  restore(): void {
    for (const undo of this.#undo.reverse()) undo();
    this.#undo = [];
  }

  /** Forgets all timers, and says which of them would have kept a process alive. */
  drop(): string[] {
    const lines: string[] = [];
    for (const timer of this.waiting.values()) {
      if (timer.hasRef()) lines.push(timer.describe());
      timer.close();
    }
    return lines;
  }

  /** Starts a timer of the host, for a handle that outlived the clock. */
  startReal: (callback: () => void, ms: number) => unknown = globals.setTimeout;

  get installed(): boolean {
    return this.#undo.length > 0;
  }

  #start(name: string, callback: unknown, ms: unknown, args: unknown[]): FakeTimer {
    if (typeof callback !== "function") {
      throw new TypeError(`Cannot ${name}: callback must be a function, got ${typeof callback}`);
    }
    const handle = FIRST_HANDLE + this.#handles++;
    return new FakeTimer(this, name, handle, () => callback(...args), spanOf(name, ms));
  }

  /** What `util.promisify(setTimeout)` does. */
  #promised(ms?: number, value?: unknown, options?: { signal?: AbortSignal }): Promise<unknown> {
    const signal = options?.signal;
    return new Promise((resolve, reject) => {
      const aborted: AbortTarget["aborted"] = (cause) => {
        const error = new Error("The operation was aborted", { cause });
        reject(Object.assign(error, { name: "AbortError", code: "ABORT_ERR" }));
      };
      if (signal?.aborted === true) return aborted(signal.reason);
      const end = (): void => {
        if (signal !== undefined) unwatchAbort(signal, target);
        resolve(value);
      };
      const timer = this.#start("setTimeout", end, ms, []);
      const target: AbortTarget = {
        aborted: (reason) => {
          timer.close();
          aborted(reason);
        },
      };
      if (signal !== undefined) watchAbort(signal, target);
    });
  }

  #stop(handle: unknown, stop: (handle: unknown) => void): void {
    const timer = handle instanceof FakeTimer ? handle : this.waiting.get(Number(handle));
    if (timer === undefined) stop(handle);
    else timer.close();
  }

  #signal(ms: number): AbortSignal {
    const controller = new AbortController();
    const end = () =>
      controller.abort(new DOMException(`The time of ${ms} ms is over`, "TimeoutError"));
    // As with the host's own, nothing is kept alive by it.
    this.#start("AbortSignal.timeout", end, ms, []).unref();
    return controller.signal;
  }

  #replace(owner: object, name: string, value: unknown): void {
    const former = Object.getOwnPropertyDescriptor(owner, name);
    const enumerable = former?.enumerable === true;
    Object.defineProperty(owner, name, { value, enumerable, configurable: true, writable: true });
    this.#undo.push(() =>
      former === undefined
        ? Reflect.deleteProperty(owner, name)
        : Object.defineProperty(owner, name, former)
    );
  }
}

/** What the faked `setTimeout` gives: as the handle of Node, and a number for those who want one. */
export class FakeTimer implements TimerTarget, Disposable {
  readonly #globals: FakeGlobals;
  readonly #name: string;
  readonly #handle: number;
  readonly #callback: () => unknown;
  readonly #ms: number;
  #timer: Timer | null = null;
  #open: () => void = () => {};
  #referenced = true;

  constructor(
    globals: FakeGlobals,
    name: string,
    handle: number,
    callback: () => unknown,
    ms: number,
  ) {
    this.#globals = globals;
    this.#name = name;
    this.#handle = handle;
    this.#callback = callback;
    this.#ms = ms;
    this.#arm();
  }

  ref(): this {
    this.#referenced = true;
    return this;
  }

  unref(): this {
    this.#referenced = false;
    return this;
  }

  hasRef(): boolean {
    return this.#referenced;
  }

  /** Begins anew, also after it has fired; on the host if virtual time is over. */
  refresh(): this {
    this.close();
    if (this.#globals.installed) {
      this.#arm();
    } else {
      const real = this.#globals.startReal(this.#callback, this.#ms) as { unref?(): void } | number;
      if (!this.#referenced && typeof real === "object") real.unref?.();
    }
    return this;
  }

  close(): this {
    if (this.#timer !== null) this.#timer.clock.clear(this.#timer);
    this.#timer = null;
    this.#globals.waiting.delete(this.#handle);
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.#handle;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  timeUp(): void {
    this.#open();
  }

  describe(): string {
    const due = this.#timer!.deadline - this.#globals.clock.start - this.#globals.clock.passed;
    return `${this.#name} of ${this.#ms} ms, due in ${Math.round(due * 1e6) / 1e6} ms`;
  }

  #arm(): void {
    this.#globals.waiting.set(this.#handle, this);
    const timer = this.#globals.clock.setInside(this, this.#ms);
    this.#timer = timer;
    const open = new Promise<void>((resolve) => {
      this.#open = resolve;
    });
    void open.then(() => this.#call(timer));
  }

  #call(timer: Timer): void {
    // Cleared, or begun anew, since its time came.
    if (this.#timer !== timer) return;
    try {
      this.#callback();
    } catch (error) {
      this.#globals.thrown(error);
    }
    if (this.#timer !== timer) return;
    if (this.#name === "setInterval") this.#arm();
    else this.close();
  }
}

/** The time that a host would wait: for Deno, Node and Bun what is below 1 ms, or too long, is 1 ms. */
function spanOf(name: string, ms: unknown): number {
  const span = Math.trunc(Number(ms ?? 0));
  if (name === "AbortSignal.timeout") return span;
  return span >= 1 && span <= LONGEST ? span : 1;
}
