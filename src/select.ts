// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waiting for one of many: exactly one case commits, the others leave nothing behind.
 *
 * @module
 */

// Invariants
//  1. Either a case is taken at once and nothing is enlisted, or none is ready and each is enlisted.
//  2. The first branch that is settled takes all others back, synchronously: one commit.
//  3. Branches never meet each other: both sides of a channel are enlisted only when neither is ready.
// Source: Go's select (one commit, fair choice, nil cases), Kotlin's clauses. Dropped: Promise.race,
// which takes a value for each racer and drops all but one.

import { ForeignPromise, isThenable } from "./_kernel/foreign.ts";
import { hooks } from "./_kernel/hooks.ts";
import { type Selectable, type SelectCase, type Selected, takeBack } from "./_kernel/selectable.ts";
import { WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaiterGroup, type WaitOptions } from "./_kernel/waiter.ts";

/** What a case may be: something selectable, a promise, or nothing (disabled). */
// deno-lint-ignore no-explicit-any -- any type of value
export type SelectSource = Selectable<any> | PromiseLike<any> | null | undefined | false;

/** Cases by key, or in a list. */
export type SelectCases = { readonly [key: string]: SelectSource } | readonly SelectSource[];

/** Options of {@linkcode select}. */
export interface SelectOptions extends WaitOptions {
  /** Takes the first ready case in listed order, instead of any of them alike. @default {false} */
  priority?: boolean | undefined;
  /** The source of the fair choice: gives numbers in [0, 1). @default {Math.random} */
  random?: (() => number) | undefined;
}

/** What one case gives under its key. */
export type SelectOutcome<K, S> = S extends null | undefined | false ? never
  : S extends PromiseLike<infer T> ? { key: K; value: Awaited<T>; done: false }
  : S extends Selectable<infer T>
    ? { key: K; value: T; done: false } | { key: K; value: undefined; done: true }
  : never;

/** What a select over `C` gives: a union that `key` and `done` tell apart. */
export type SelectResult<C extends SelectCases> = C extends readonly SelectSource[]
  ? SelectOutcome<number, C[number]>
  : { [K in keyof C]: SelectOutcome<K, C[K]> }[keyof C];

/**
 * Waits until one of `cases` can be done and does exactly that one. Resolves to its key, its value,
 * and `done`: `true` if it is a receive of a channel that is closed and drained. If several are ready
 * one of them is chosen at random, each with the same chance. The others leave no waiter, timer or
 * listener behind, and nothing they stand for has happened.
 *
 * A case is a receiver, `ch.sending(value)`, `after(ms)`, `every(ms)`, a task, an event, a deferred, a
 * semaphore or mutex (the value is the permit), a queue, a promise, or anything {@linkcode Selectable};
 * `null`, `undefined` and `false` are cases that are never ready. A promise is never ready at once. A
 * send and a receive on one channel never meet each other.
 *
 * @param cases The cases, by name or in a list; then `key` is the index.
 * @param options Signal, timeout, order of choice.
 * @throws What the chosen case has failed with: the reason of a channel closed with one, a
 * `ChannelClosedError` with the value for a send, the error of a task or promise.
 * @throws {TimeoutError} If `options.timeout` is over first.
 * @throws {TypeError} If a case is none, a key looks like an integer (objects would reorder it), or
 * no case is live and neither timeout nor signal could end the wait.
 *
 * @example Message or tick
 * ```ts
 * import { after, Channel, select } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const inbox = new Channel<string>({ capacity: 1 });
 * await inbox.send("hello");
 * const got = await select({ message: inbox, tick: after(1000) });
 * assertEquals(got, { key: "message", value: "hello", done: false });
 * ```
 */
export function select<const C extends SelectCases>(
  cases: C,
  options?: SelectOptions,
): Promise<SelectResult<C>> {
  try {
    // Before the refusal: the error of a promise that is listed must not count as unhandled.
    const all = new Cases(cases);
    const refused = refuse("select", options);
    if (refused !== null) return refused;
    const at = all.choose(options);
    if (at >= 0) return Promise.resolve(all.take(at) as SelectResult<C>);
    if (all.live === 0 && options?.timeout == null && options?.signal == null) {
      throw new TypeError(
        "Cannot select: at least one case, a timeout or a signal is needed, got none",
      );
    }
    return new Selecting(all).wait(options) as Promise<SelectResult<C>>;
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * {@linkcode select} without the wait: does one case that is ready now, else gives `undefined`. Works
 * in a killed task too.
 *
 * @param cases The cases.
 * @param options Order of choice.
 * @throws What the chosen case has failed with.
 * @throws {TypeError} If a case is none, or a key looks like an integer.
 *
 * @example Nothing is ready
 * ```ts
 * import { Channel, trySelect } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const inbox = new Channel<string>();
 * assertEquals(trySelect({ inbox }), undefined);
 * ```
 */
export function trySelect<const C extends SelectCases>(
  cases: C,
  options?: Pick<SelectOptions, "priority" | "random">,
): SelectResult<C> | undefined {
  const all = new Cases(cases);
  const at = all.choose(options);
  return at < 0 ? undefined : all.take(at) as SelectResult<C>;
}

/** The cases of one select, in listed order; a disabled one is null. */
class Cases {
  readonly keys: readonly string[] | null;
  readonly cases: Array<SelectCase | null>;
  live = 0;

  constructor(cases: SelectCases) {
    if (typeof cases !== "object" || cases === null) {
      throw new TypeError(
        `Cannot select: cases must be an object or an array, got ${typeof cases}`,
      );
    }
    this.keys = Array.isArray(cases) ? null : Object.keys(cases);
    // Integer keys come first in every object and in numeric order, so the listed order would be lost.
    const integer = this.keys?.find((key) => /^(0|[1-9]\d*)$/.test(key));
    if (integer !== undefined) {
      throw new TypeError(
        `Cannot select: a key must not look like an integer, got "${integer}"; list them in an array`,
      );
    }
    // Holes of a list are disabled cases: the index must stay the key.
    const sources = Array.isArray(cases) ? Array.from(cases) : Object.values(cases);
    this.cases = sources.map((source: SelectSource, i) => {
      if (source == null || source === false) return null;
      this.live++;
      const selectCase = (source as Partial<Selectable>)["~select"] ??
        (isThenable(source) ? ForeignPromise.of(source) : undefined);
      if (selectCase !== undefined) return selectCase;
      throw new TypeError(
        `Cannot select: case "${this.keys?.[i] ?? i}" must be selectable, got ${typeof source}`,
      );
    });
  }

  /** The index of a ready case, by the rule of `options`; -1 if there is none. */
  choose(options?: Pick<SelectOptions, "priority" | "random">): number {
    let chosen = -1, ready = 0;
    for (let i = 0; i < this.cases.length; i++) {
      if (this.cases[i]?.ready() !== true) continue;
      if (options?.priority === true) return i;
      // The k-th ready case replaces the choice so far with chance 1/k: uniform, with no list of them.
      ready++;
      if (ready === 1 || (options?.random ?? hooks.on?.random ?? Math.random)() * ready < 1) {
        chosen = i;
      }
    }
    return chosen;
  }

  take(at: number): unknown {
    return this.result(at, this.cases[at]!.take());
  }

  result(at: number, { value, done }: Selected<unknown>): unknown {
    return { key: this.keys === null ? at : this.keys[at], value, done };
  }
}

/** A select that waits. */
class Selecting implements WaiterGroup, WaitOwner {
  readonly [Symbol.toStringTag] = "select";
  readonly #all: Cases;
  readonly #list: WaitList = new WaitList(this, "select");
  readonly #branches: Array<Waiter | null> = [];

  constructor(all: Cases) {
    this.#all = all;
  }

  wait(options?: WaitOptions): Promise<unknown> {
    const waiter = new Waiter<unknown>();
    const result = waiter.park(this.#list, options);
    for (const selectCase of this.#all.cases) {
      // A case of the user's own may settle its branch while it enlists.
      const branch = selectCase === null || waiter.settled ? null : new Waiter(undefined, this);
      this.#branches.push(branch);
      try {
        if (branch !== null) selectCase!.enlist(branch);
      } catch (error) {
        // A case of the user's own: the others must not stay enlisted for a select that is over.
        this.branchFailed(branch!, error);
      }
    }
    return result;
  }

  get doomed(): boolean {
    return this.#list.first?.doomed !== false;
  }

  branchSettled(branch: Waiter, value: unknown): void {
    const waiter = this.#list.first;
    if (waiter === null) return;
    waiter.settle(this.#all.result(this.#branches.indexOf(branch), value as Selected<unknown>));
    this["~waiterLeft"]();
  }

  branchFailed(_branch: Waiter, error: unknown): void {
    this.#list.first?.fail(error);
    this["~waiterLeft"]();
  }

  /** What it waits on. For dumps. */
  "~branches"(): Iterable<Waiter | null> {
    return this.#branches;
  }

  /** The wait is over: no branch stays enlisted. */
  "~waiterLeft"(): void {
    this.#branches.forEach((branch, i) => {
      if (branch?.settled === false) takeBack(this.#all.cases[i]!, branch);
    });
  }
}
