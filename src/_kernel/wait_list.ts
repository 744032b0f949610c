// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Waiters in order of arrival, any of which can leave in O(1). The list also says what they
 * wait on: a thing and a verb.
 *
 * @module
 */

// Invariants
//  1. A waiter is in one list at most; its `list` names it, else null.
//  2. No waiter in a list has ended: who takes the first one may settle it at once.
//  3. `outside` counts the waiters, branches of groups too, in lists that the host serves.

import type { Waiter } from "./waiter.ts";

/** What is waited on. */
export interface WaitOwner {
  /** Its kind, for messages and dumps: "Channel", "Task", ... */
  readonly [Symbol.toStringTag]: string;
  /** Its name, if the user gave one. */
  readonly name?: string | undefined;
  /** A waiter has left without being served: was cancelled, or ran out of time. */
  "~waiterLeft"?(waiter: Waiter): void;
  /** The branches by which one who waits on it waits on other things; for dumps. */
  "~branches"?(): Iterable<Branch | null>;
  /** The tasks that keep those who wait from being served; for dumps. */
  "~holders"?(): Iterable<{ readonly id: number; readonly name: string }>;
}

/** One of the things that one who waits on several waits on: a waiter of a group, or what is like one. */
export interface Branch {
  /** It is over. */
  readonly settled: boolean;
  /** Where it stands; `null` if in no list. */
  readonly list: Pick<WaitList, "owner" | "verb" | "outside"> | null;
}

let outside = 0;

/**
 * How many waits the host may still end: I/O, foreign promises. While there is one, no deadlock is
 * certain, and virtual time stands still.
 */
export function outsideWaits(): number {
  return outside;
}

/** The list. */
export class WaitList {
  readonly owner: WaitOwner;
  /** What is waited for, as a verb: "receive". */
  readonly verb: string;
  /** The host serves those who wait here. */
  readonly outside: boolean;
  /** The waiter that came first, `null` if there is none. Changed by the list only. */
  first: Waiter | null = null;
  #last: Waiter | null = null;
  /** It is among the lists in which the main program has parked; kept by the waiter's file. */
  hasMain = false;

  constructor(owner: WaitOwner, verb: string, outside = false) {
    this.owner = owner;
    this.verb = verb;
    this.outside = outside;
  }

  /** Adds a waiter at the end. */
  push(waiter: Waiter): void {
    waiter.list = this;
    if (this.outside) outside++;
    const last = this.#last;
    if (last === null) {
      this.first = waiter;
    } else {
      waiter.previous = last;
      last.next = waiter;
    }
    this.#last = waiter;
  }

  /** Takes the waiter that came first, `null` if there is none. */
  shift(): Waiter | null {
    const first = this.first;
    if (first !== null) this.remove(first);
    return first;
  }

  /** How many wait. O(n): for people, not for decisions. */
  get size(): number {
    let size = 0;
    for (let waiter = this.first; waiter !== null; waiter = waiter.next) size++;
    return size;
  }

  /** Removes a waiter of this list. */
  remove(waiter: Waiter): void {
    if (this.outside) outside--;
    const previous = waiter.previous, next = waiter.next;
    if (previous === null) {
      this.first = next;
    } else {
      previous.next = next;
      waiter.previous = null;
    }
    if (next === null) {
      this.#last = previous;
    } else {
      next.previous = previous;
      waiter.next = null;
    }
    waiter.list = null;
  }
}
