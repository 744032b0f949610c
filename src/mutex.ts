// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A lock that one holds at a time, handed over in order of arrival.
 *
 * @module
 */

// Invariants
//  1. Nobody waits while it is free.
//  2. Unlocking hands over: it stays locked and exactly one waiter is settled. No barging.
//  3. #owner counts only for a reentrant mutex; #depth is 0 while it is free.

import { currentContext } from "./_kernel/current.ts";
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

/** A held lock, until it is released. */
export interface Lock extends Disposable {
  /** Unlocks; a second call does nothing. */
  release(): void;
}

/** Options of a {@linkcode Mutex}. */
export interface MutexOptions {
  /**
   * Lets the task that holds it lock it again; it is free after as many releases. The program outside
   * of all tasks counts as one task.
   *
   * @default {false}
   */
  reentrant?: boolean | undefined;
  /** Name for messages and dumps. */
  name?: string | undefined;
}

/**
 * A lock. As a case of `select` it is acquired when chosen, and the value is the lock.
 *
 * @example One at a time
 * ```ts
 * import { Mutex } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const mutex = new Mutex();
 * const length = await mutex.withLock(async () => (await Promise.resolve("data")).length);
 * assertEquals([length, mutex.locked], [4, false]);
 * ```
 */
export class Mutex implements Selectable<Lock> {
  /** The name, if one was given. */
  readonly name: string | undefined;
  readonly #reentrant: boolean;
  #depth = 0;
  #owner: unknown = undefined;
  readonly #waiters: WaitList = new WaitList(this, "lock");
  readonly #watchers: WaitList = new WaitList(this, "wait for lock");

  /** Creates a free lock. */
  constructor(options: MutexOptions = {}) {
    this.#reentrant = options.reentrant === true;
    this.name = options.name;
  }

  /**
   * Locks; parks while another holds it. A cancelled acquire took nothing. The lock is disposable:
   * `using lock = await mutex.acquire()`.
   *
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  acquire(options?: WaitOptions): Promise<Lock> {
    const refused = refuse("lock", options);
    if (refused !== null) return refused;
    const lock = this.tryAcquire();
    if (lock !== undefined) return Promise.resolve(lock);
    return new Waiter<Lock>(owner()).park(this.#waiters, options);
  }

  /** Locks if that is possible at once; else gives `undefined`. */
  tryAcquire(): Lock | undefined {
    if (this.#depth > 0 && !(this.#reentrant && this.#owner === owner())) return undefined;
    return this.#take(owner());
  }

  /** Runs `fn` with the lock and unlocks, however `fn` ends. Options as for `acquire`. */
  async withLock<T>(fn: () => T, options?: WaitOptions): Promise<Awaited<T>> {
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot run with lock: fn must be a function, got ${typeof fn}`);
    }
    const lock = await this.acquire(options);
    try {
      return await fn();
    } finally {
      lock.release();
    }
  }

  /** Whether somebody holds it. */
  get locked(): boolean {
    return this.#depth > 0;
  }

  /** "Mutex". */
  get [Symbol.toStringTag](): string {
    return "Mutex";
  }

  /** The mutex as a case of `select`. */
  get "~select"(): SelectCase<Lock> {
    return {
      ready: () => this.#depth === 0 || (this.#reentrant && this.#owner === owner()),
      take: () => ({ value: this.#take(owner()), done: false }),
      enlist: (branch) => enlist(branch, this.#waiters, owner()),
      watch: (branch) =>
        this.#depth === 0 ? branch.settle(NOTHING as never) : enlist(branch, this.#watchers),
      delist,
    };
  }

  /**
   * Unlocks however deep it is held, for a condition that waits; the returned function locks as deep
   * again, out of reach of kills. For `Condition`.
   */
  "~suspend"(): () => Promise<void> {
    const depth = this.#depth, holder = this.#owner;
    this.#depth = 1;
    this.#unlock();
    return async () => {
      // As an acquire: the same task never waits for itself.
      if (this.#depth === 0 || (this.#reentrant && this.#owner === holder)) this.#take(holder);
      else await new Waiter<Lock>(holder).parkShielded(this.#waiters);
      // Another part of the same task may have locked since: its levels are its own.
      this.#depth += depth - 1;
    };
  }

  /** The task that holds it, if one does. For dumps. */
  "~holders"(): Iterable<{ readonly id: number; readonly name: string }> {
    return this.#owner === undefined ? [] : [this.#owner as { id: number; name: string }];
  }

  #take(holder: unknown): Lock {
    this.#depth++;
    this.#owner = holder;
    return new HeldLock(() => this.#unlock());
  }

  #unlock(): void {
    if (--this.#depth > 0) return;
    this.#owner = undefined;
    const waiter = this.#waiters.first;
    if (waiter === null) return serveAll(this.#watchers, undefined);
    const holder = waiter.payload;
    serve(waiter, this.#take(holder));
    if (!this.#reentrant) return;
    // It is this task's now, all of whose waits could have locked at once.
    for (let other = this.#waiters.first; other !== null;) {
      if (other.payload !== holder) {
        other = other.next;
        continue;
      }
      serve(other, this.#take(holder));
      other = this.#waiters.first; // a select that was served has taken its other branches out
    }
  }
}

class HeldLock implements Lock {
  #unlock: (() => void) | null;

  constructor(unlock: () => void) {
    this.#unlock = unlock;
  }

  release(): void {
    const unlock = this.#unlock;
    this.#unlock = null;
    unlock?.();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** The task that asks; `undefined` is the program outside of all. */
function owner(): unknown {
  return currentContext()?.task;
}
