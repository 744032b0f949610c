// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waiting until things are ready, without taking anything from them.
 *
 * @module
 */

// Invariants
//  1. Every object not yet ready has one branch enlisted while the wait goes on, none after it.
//  2. Ready objects are given in the order in which they became so; those ready at the start come
//     first, in list order.
// Source: gevent's wait and iwait, whose order among the already ready is an accident.

import { checkSignal } from "./_kernel/abort.ts";
import { checkMs, clock } from "./_kernel/clock.ts";
import { ForeignPromise, isThenable } from "./_kernel/foreign.ts";
import { LeavableIterator } from "./_kernel/leavable.ts";
import { type Selectable, type SelectCase, serveAll, takeBack } from "./_kernel/selectable.ts";
import { WaitList, type WaitOwner } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaiterGroup, type WaitOptions } from "./_kernel/waiter.ts";

/** What can be waited for: a task, an event, a deferred, a semaphore, a queue, a promise, and the like. */
// deno-lint-ignore no-explicit-any -- any type of value
export type Waitable = Selectable<any> | PromiseLike<any>;

/** Options of {@linkcode wait} and {@linkcode iwait}. */
export interface WaitManyOptions extends WaitOptions {
  /** Ends when so many are ready: an integer >= 0. @default {Infinity} */
  count?: number | undefined;
}

/**
 * Waits until all `objects` are ready, or `count` of them. Resolves to the ready ones in the order in
 * which they became ready, each once; when `timeout` ends the wait, to those that are ready so far. It
 * takes nothing: a task's error is not thrown, a semaphore not acquired.
 *
 * @param objects What to wait for.
 * @param options How long, how many.
 * @throws {TypeError} If one cannot be waited for without taking from it (a channel: use `select`).
 * @throws {RangeError} If `count` is no integer >= 0.
 *
 * @example Whichever is first
 * ```ts
 * import { Event, sleep, spawn, wait } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const stop = new Event(), task = spawn(() => sleep(60_000));
 * stop.set();
 * assertEquals(await wait([task, stop], { count: 1 }), [stop]);
 * await task.kill();
 * ```
 */
export async function wait<W extends Waitable>(
  objects: Iterable<W>,
  options: WaitManyOptions = {},
): Promise<W[]> {
  const many = new Many("wait", objects, options.count);
  const refused = refuse("wait", options);
  if (refused !== null) return refused;
  return await many.all(options);
}

/**
 * Iterates over `objects` as they become ready, in the order of {@linkcode wait}, handing over each as
 * it is. It begins at the first `next()`, ends after all, after `count`, or when `timeout` (counted
 * from then) is over. Leaving the loop takes back every wait that is left.
 *
 * @param objects What to wait for.
 * @param options How long, how many.
 * @throws {TypeError} If one cannot be waited for without taking from it.
 * @throws {RangeError} If `count` is no integer >= 0.
 *
 * @example As they finish
 * ```ts
 * import { iwait, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const tasks = [20, 1, 10].map((ms) => spawn(() => sleep(ms)));
 * const order: number[] = [];
 * for await (const task of iwait(tasks)) order.push(tasks.indexOf(task));
 * assertEquals(order, [1, 2, 0]);
 * ```
 */
export function iwait<W extends Waitable>(
  objects: Iterable<W>,
  options: WaitManyOptions = {},
): AsyncIterableIterator<W> & AsyncDisposable {
  if (options.timeout != null) checkMs("iwait", "timeout", options.timeout);
  if (options.signal != null) checkSignal("iwait", options.signal);
  return new WaitIterator<W>(new Many("iwait", objects, options.count), options);
}

/** The objects of one wait, and which of them are ready. */
class Many<W extends Waitable> implements WaiterGroup, WaitOwner {
  /** Which of the two words it serves. */
  readonly verb: string;
  readonly ready: W[] = [];
  readonly #objects: W[];
  readonly #cases: SelectCase[];
  readonly #branches: Map<Waiter, number> = new Map();
  readonly #list: WaitList;
  readonly #count: number;
  #began = false;
  /** Wakes the one who waits after each object, instead of after all. */
  #each = false;

  constructor(verb: string, objects: Iterable<W>, count = Infinity) {
    if (
      typeof (objects as Partial<Iterable<W>> | null | undefined)?.[Symbol.iterator] !== "function"
    ) {
      throw new TypeError(`Cannot ${verb}: objects must be iterable, got ${typeof objects}`);
    }
    if (count !== Infinity && !(Number.isInteger(count) && count >= 0)) {
      throw new RangeError(`Cannot ${verb}: count must be an integer >= 0, got ${count}`);
    }
    this.verb = verb;
    this.#objects = [...new Set(objects)];
    this.#cases = this.#objects.map((object) => caseOf(verb, object));
    this.#count = Math.min(count, this.#objects.length);
    this.#list = new WaitList(this, verb);
  }

  /** Waits for all. */
  all(options: WaitOptions): Promise<W[]> {
    this.begin();
    if (this.full) return Promise.resolve(this.ready);
    return new Waiter<W[]>().park(this.#list, options, this.ready);
  }

  /** Waits for the next one; `false` when the limit is over. */
  next(options: WaitOptions): Promise<boolean> {
    this.#each = true;
    return new Waiter<boolean>().park(this.#list, options, false);
  }

  /** Enlists for every object, in list order: those that are ready say so at once. */
  begin(): void {
    if (this.#began) return;
    this.#began = true;
    for (let i = 0; i < this.#cases.length && !this.full; i++) {
      const branch = new Waiter(undefined, this);
      this.#branches.set(branch, i);
      try {
        this.#cases[i]!.watch!(branch);
      } catch (error) {
        this.end();
        throw error;
      }
    }
    if (this.full) this.end();
  }

  /** Wakes all who wait for the next one: there is none. */
  wake(): void {
    serveAll(this.#list, false);
  }

  /** Takes back all that is left. */
  end(): void {
    for (const [branch, i] of this.#branches) takeBack(this.#cases[i]!, branch);
    this.#branches.clear();
  }

  get [Symbol.toStringTag](): string {
    return this.verb;
  }

  get full(): boolean {
    return this.ready.length >= this.#count;
  }

  branchSettled(branch: Waiter): void {
    const at = this.#branches.get(branch);
    if (at === undefined || this.full) return;
    this.#branches.delete(branch);
    this.ready.push(this.#objects[at]!);
    if (this.full) this.end();
    if (this.#each && this.full) serveAll(this.#list, true);
    else if (this.#each) this.#list.first?.settle(true);
    else if (this.full) this.#list.first?.settle(this.ready);
  }

  /** Ready is ready, also with an error. */
  branchFailed(branch: Waiter): void {
    this.branchSettled(branch);
  }

  /** What it waits on. For dumps. */
  "~branches"(): Iterable<Waiter> {
    return this.#branches.keys();
  }

  "~waiterLeft"(): void {
    if (!this.#each) this.end();
  }
}

class WaitIterator<W extends Waitable> extends LeavableIterator<W> {
  readonly #many: Many<W>;
  readonly #options: WaitOptions;
  #deadline = Infinity;
  #given = 0;
  #began = false;
  #ended = false;

  constructor(many: Many<W>, options: WaitOptions) {
    super();
    this.#many = many;
    this.#options = options;
  }

  async next(): Promise<IteratorResult<W, undefined>> {
    if (this.#ended) return { done: true, value: undefined };
    try {
      return await this.#next();
    } catch (error) {
      // A loop that an error ends never calls return().
      void this.return();
      throw error;
    }
  }

  async #next(): Promise<IteratorResult<W, undefined>> {
    const refused = refuse("iwait", this.#options);
    if (refused !== null) return refused;
    if (!this.#began) {
      this.#began = true;
      this.#deadline = clock.on.now() + (this.#options.timeout ?? Infinity);
      this.#many.begin();
    }
    // Others may call next() at the same time: who wakes up first takes the first one.
    while (this.#given === this.#many.ready.length) {
      const timeout = Math.max(0, this.#deadline - clock.on.now());
      if (this.#many.full || !(await this.#many.next({ signal: this.#options.signal, timeout }))) {
        return this.return();
      }
      if (this.#ended) return { done: true, value: undefined };
    }
    return { done: false, value: this.#many.ready[this.#given++]! };
  }

  return(): Promise<IteratorResult<W, undefined>> {
    this.#ended = true;
    this.#many.end();
    this.#many.wake();
    return Promise.resolve({ done: true, value: undefined });
  }
}

function caseOf(verb: string, object: Waitable): SelectCase {
  const waitCase = (object as Partial<Selectable> | null)?.["~select"] ??
    (isThenable(object) ? ForeignPromise.of(object) : undefined);
  if (waitCase?.watch !== undefined) return waitCase;
  const kind = Object.prototype.toString.call(object).slice(8, -1);
  throw new TypeError(
    `Cannot ${verb}: an object must be waitable without taking from it, got ${kind}` +
      (waitCase === undefined ? "" : "; select() takes"),
  );
}
