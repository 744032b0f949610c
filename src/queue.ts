// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Work queues: bounded, with items that are counted as done; first in first out, last in first out,
 * or by priority.
 *
 * @module
 */

// Invariants
//  1. Somebody waits to get or peek only while the queue is empty, to put only while it is full.
//  2. Putters are let in first come first served, whatever order the items come out in.
//  3. #unfinished counts the items put and not yet done; one that was discarded counts as done.
//  4. After close nobody waits to put, and nobody waits to get once it is empty.
// Source: gevent's Queue (task_done, join, peek, shutdown). Here 0 is not "no bound": that has a name.

import { Heap, type HeapItem } from "./_kernel/heap.ts";
import { END } from "./_kernel/leavable.ts";
import { NEXT, PullIterator } from "./_kernel/pull_iterator.ts";
import { Ring } from "./_kernel/ring.ts";
import {
  delist,
  enlist,
  NOTHING,
  type Selectable,
  type SelectCase,
  serve,
  serveAll,
} from "./_kernel/selectable.ts";
import { WaitList } from "./_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "./_kernel/waiter.ts";
import { QueueClosedError } from "./errors.ts";

/** What a waiting getter wants: to take the item, or only to see it. An iterator says `NEXT`. */
const GET = 0;
const PEEK = 1;

const EMPTY: { readonly state: "empty" } = Object.freeze({ state: "empty" });
const CLOSED: { readonly state: "closed" } = Object.freeze({ state: "closed" });

/** What {@linkcode Queue.tryGet} and {@linkcode Queue.tryPeek} give. */
export type QueueResult<T> =
  | { state: "ok"; value: T }
  | { state: "empty" }
  | { state: "closed" };

/** Where a queue keeps its items, in the order in which they come out. */
export interface QueueStore<T> {
  /** How many there are. */
  readonly size: number;
  /** Adds one. */
  push(item: T): void;
  /** Takes the next one; only when there is one. */
  shift(): T;
  /** The next one, left inside; only when there is one. */
  peek(): T;
}

/**
 * A bounded first-in first-out queue of work items. As a case of `select` it is a get; `done` says that
 * it is closed and empty.
 *
 * @example Work that is counted
 * ```ts
 * import { Queue, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const jobs = new Queue<number>(8);
 * const results: number[] = [];
 * spawn(async () => {
 *   for await (const job of jobs) {
 *     results.push(job * 2);
 *     jobs.taskDone();
 *   }
 * });
 * for (const job of [1, 2, 3]) await jobs.put(job);
 * await jobs.join();
 * jobs.close();
 * assertEquals(results, [2, 4, 6]);
 * ```
 *
 * @typeParam T The type of the items.
 */
export class Queue<T> implements Selectable<T>, AsyncIterable<T> {
  #maxSize: number;
  readonly #store: QueueStore<T>;
  #unfinished = 0;
  #closed = false;
  readonly #getters: WaitList = new WaitList(this, "get");
  readonly #putters: WaitList = new WaitList(this, "put");
  readonly #joiners: WaitList = new WaitList(this, "join queue");
  readonly #watchers: WaitList = new WaitList(this, "wait for item");

  /**
   * Creates a queue for at most `maxSize` items.
   *
   * @param maxSize An integer >= 1, or `Infinity`.
   * @param store Where the items are kept, in the order in which they come out.
   * @throws {RangeError} If `maxSize` is no integer >= 1.
   */
  constructor(maxSize: number, store: QueueStore<T> = new Ring<T>()) {
    this.#maxSize = checkMaxSize(maxSize);
    this.#store = store;
  }

  /**
   * Creates a queue without a bound: `put` never waits.
   *
   * @example No bound
   * ```ts
   * import { Queue } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const queue = Queue.unbounded<number>();
   * assertEquals([queue.tryPut(1), queue.maxSize], [true, Infinity]);
   * ```
   */
  static unbounded<T>(): Queue<T> {
    return new Queue<T>(Infinity);
  }

  /**
   * Puts `item`. Parks while the queue is full, behind those who came before. A cancelled put did not
   * happen.
   *
   * @throws {QueueClosedError} If the queue is closed, or is closed while it waits; `item` is its `value`.
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  put(item: T, options?: WaitOptions): Promise<void> {
    const refused = refuse("put", options);
    if (refused !== null) return refused;
    if (this.#closed) {
      return Promise.reject(new QueueClosedError("Cannot put to a closed queue", item));
    }
    try {
      if (this.tryPut(item)) return Promise.resolve();
    } catch (error) {
      return Promise.reject(error); // thrown by compare
    }
    return new Waiter<void>(item).park(this.#putters, options);
  }

  /** Puts `item` if there is room; `false` if the queue is full or closed. */
  tryPut(item: T): boolean {
    if (this.#closed || this.#store.size >= this.#maxSize) return false;
    this.#admit(item);
    return true;
  }

  /**
   * Takes the next item. Parks while the queue is empty, behind those who came before. A cancelled get
   * took nothing.
   *
   * @throws {QueueClosedError} If the queue is closed and empty, or becomes so.
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  get(options?: WaitOptions): Promise<T> {
    return this.#wait(GET, "get", options);
  }

  /** Takes the next item if there is one. */
  tryGet(): QueueResult<T> {
    return this.#store.size > 0
      ? { state: "ok", value: this.#take() }
      : this.#closed
      ? CLOSED
      : EMPTY;
  }

  /** Waits for the next item as {@linkcode Queue.get} does, and leaves it in the queue. */
  peek(options?: WaitOptions): Promise<T> {
    return this.#wait(PEEK, "peek", options);
  }

  /** Looks at the next item, if there is one. */
  tryPeek(): QueueResult<T> {
    return this.#store.size > 0
      ? { state: "ok", value: this.#store.peek() }
      : this.#closed
      ? CLOSED
      : EMPTY;
  }

  /** An item that was taken is done. @throws {RangeError} If more are done than were put. */
  taskDone(): void {
    if (this.#unfinished === 0) {
      throw new RangeError("Cannot mark task done: all items put are done already");
    }
    this.#finish(1);
  }

  /**
   * Waits until every item put is done, at once if nothing is unfinished: `true`, or `false` if
   * `options.timeout` is over first.
   */
  join(options?: WaitOptions): Promise<boolean> {
    const refused = refuse("join queue", options);
    if (refused !== null) return refused;
    if (this.#unfinished === 0) return Promise.resolve(true);
    return new Waiter<boolean>().park(this.#joiners, options, false);
  }

  /**
   * Closes: later puts and those that wait reject with their item, gets drain what is there and then
   * reject. With `discard` what is there is dropped, and counts as done. Returns whether this call
   * closed it; after a close it may still discard.
   */
  close(options: { discard?: boolean | undefined } = {}): boolean {
    const closes = !this.#closed;
    this.#closed = true;
    for (let putter = this.#putters.first; putter !== null; putter = this.#putters.first) {
      putter.fail(new QueueClosedError("Cannot put to a closed queue", putter.payload));
    }
    if (options.discard === true) {
      let dropped = 0;
      for (; this.#store.size > 0; dropped++) this.#store.shift();
      // Those that were called done before they were taken count once.
      if (dropped > 0) this.#finish(Math.min(dropped, this.#unfinished));
    }
    // Whoever waits found it empty, so that it ends now.
    for (let getter = this.#getters.first; getter !== null; getter = this.#getters.first) {
      if (getter.group === null && getter.payload !== NEXT) {
        getter.fail(new QueueClosedError("Cannot get from a closed queue"));
      } else getter.settle(END);
    }
    serveAll(this.#watchers, undefined);
    return closes;
  }

  /** Whether it is closed; items may be left. */
  get closed(): boolean {
    return this.#closed;
  }

  /** How many items are in it. */
  get size(): number {
    return this.#store.size;
  }

  /** How many items it takes; may be changed, and what waits for room comes in at once. */
  get maxSize(): number {
    return this.#maxSize;
  }

  set maxSize(maxSize: number) {
    this.#maxSize = checkMaxSize(maxSize);
    this.#refill();
  }

  /** How many items were put and are not done yet. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** "Queue". */
  get [Symbol.toStringTag](): string {
    return "Queue";
  }

  /** The queue as a case of `select`: a get. */
  get "~select"(): SelectCase<T> {
    return {
      ready: () => this.#store.size > 0 || this.#closed,
      ended: () => this.#store.size === 0 && this.#closed,
      take: () =>
        this.#store.size > 0
          ? { value: this.#take(), done: false }
          : { value: undefined as T, done: true },
      enlist: (branch) => enlist(branch, this.#getters, GET),
      watch: (branch) =>
        this.#store.size > 0 || this.#closed
          ? branch.settle(NOTHING as never)
          : enlist(branch, this.#watchers),
      delist,
    };
  }

  /**
   * Iterates over the items until the queue is closed and empty, and hands them over as they are, tasks
   * too. Leaving the loop leaves it open.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new PullIterator<T>("get", {
      pull: () =>
        this.#store.size > 0
          ? { value: this.#take(), done: false }
          : this.#closed
          ? END
          : undefined,
      park: (waiter) => waiter.park(this.#getters),
    });
  }

  #wait(want: number, verb: string, options?: WaitOptions): Promise<T> {
    const refused = refuse(verb, options);
    if (refused !== null) return refused;
    if (this.#store.size > 0) {
      try {
        return Promise.resolve(want === GET ? this.#take() : this.#store.peek());
      } catch (error) {
        return Promise.reject(error); // thrown by compare
      }
    }
    if (this.#closed) return Promise.reject(new QueueClosedError("Cannot get from a closed queue"));
    return new Waiter<T>(want).park(this.#getters, options);
  }

  /** Shows `item` to those who peek and gives it to the first who gets, else stores it. */
  #admit(item: T): void {
    for (let getter = this.#getters.first; getter !== null; getter = this.#getters.first) {
      const want = getter.payload;
      if (want === NEXT) getter.settle({ value: item, done: false });
      else serve(getter, item);
      if (want === PEEK) continue;
      this.#unfinished++;
      return;
    }
    this.#store.push(item);
    this.#unfinished++;
    serveAll(this.#watchers, undefined);
  }

  #take(): T {
    const item = this.#store.shift();
    this.#refill();
    return item;
  }

  /** Lets in those who wait for room. */
  #refill(): void {
    while (this.#store.size < this.#maxSize && this.#putters.first !== null) {
      const putter = this.#putters.first;
      try {
        this.#admit(putter.payload as T);
      } catch (error) {
        putter.fail(error); // thrown by compare
        continue;
      }
      putter.settle(undefined);
    }
  }

  #finish(count: number): void {
    this.#unfinished -= count;
    if (this.#unfinished === 0) serveAll(this.#joiners, true);
  }
}

/**
 * A {@linkcode Queue} whose lowest item comes out first; equal ones in the order in which they were put.
 *
 * @example By priority
 * ```ts
 * import { PriorityQueue } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new PriorityQueue<{ due: number }>(8, { compare: (a, b) => a.due - b.due });
 * queue.tryPut({ due: 2 });
 * queue.tryPut({ due: 1 });
 * assertEquals(await queue.get(), { due: 1 });
 * ```
 */
export class PriorityQueue<T> extends Queue<T> {
  /**
   * Creates a queue for at most `maxSize` items.
   *
   * @param maxSize An integer >= 1.
   * @param options `compare(a, b)` is negative if `a` comes out before `b`. @default {by `<`}
   * @throws {RangeError} If `maxSize` is no integer >= 1.
   * @throws {TypeError} If `compare` is no function.
   */
  constructor(maxSize: number, options: { compare?: ((a: T, b: T) => number) | undefined } = {}) {
    const { compare = byLess } = options;
    if (typeof compare !== "function") {
      throw new TypeError(`Cannot create queue: compare must be a function, got ${typeof compare}`);
    }
    super(maxSize, new Sorted<T>(compare));
  }

  /** A priority queue without a bound. */
  static override unbounded<T>(
    options?: { compare?: ((a: T, b: T) => number) | undefined },
  ): PriorityQueue<T> {
    return new PriorityQueue<T>(Infinity, options);
  }

  /** "PriorityQueue". */
  override get [Symbol.toStringTag](): string {
    return "PriorityQueue";
  }
}

/**
 * A {@linkcode Queue} whose newest item comes out first.
 *
 * @example Last in, first out
 * ```ts
 * import { LifoQueue } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new LifoQueue<number>(8);
 * queue.tryPut(1);
 * queue.tryPut(2);
 * assertEquals(await queue.get(), 2);
 * ```
 */
export class LifoQueue<T> extends Queue<T> {
  /** Creates a queue for at most `maxSize` items. @throws {RangeError} If it is no integer >= 1. */
  constructor(maxSize: number) {
    super(maxSize, new Stack<T>());
  }

  /** A last-in first-out queue without a bound. */
  static override unbounded<T>(): LifoQueue<T> {
    return new LifoQueue<T>(Infinity);
  }

  /** "LifoQueue". */
  override get [Symbol.toStringTag](): string {
    return "LifoQueue";
  }
}

class Stack<T> implements QueueStore<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T {
    return this.#items.pop()!;
  }

  peek(): T {
    return this.#items[this.#items.length - 1]!;
  }
}

/** A place in a heap: equal items keep the order in which they came. */
interface Entry<T> extends HeapItem {
  readonly item: T;
  readonly order: number;
}

class Sorted<T> implements QueueStore<T> {
  readonly #heap: Heap<Entry<T>>;
  #order = 0;

  constructor(compare: (a: T, b: T) => number) {
    this.#heap = new Heap<Entry<T>>((a, b) => {
      const sign = compare(a.item, b.item);
      return sign < 0 || (sign === 0 && a.order < b.order);
    });
  }

  get size(): number {
    return this.#heap.size;
  }

  push(item: T): void {
    this.#heap.push({ item, order: this.#order++, heapIndex: -1 });
  }

  shift(): T {
    return this.#heap.pop()!.item;
  }

  peek(): T {
    return this.#heap.peek()!.item;
  }
}

function byLess<T>(a: T, b: T): number {
  return a < b ? -1 : b < a ? 1 : 0;
}

function checkMaxSize(maxSize: number): number {
  if (maxSize !== Infinity && !(Number.isInteger(maxSize) && maxSize >= 1)) {
    throw new RangeError(`Cannot create queue: maxSize must be an integer >= 1, got ${maxSize}`);
  }
  return maxSize;
}
