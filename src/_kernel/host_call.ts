// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A call of the host as a wait like any other: a kill, a limit or a signal ends it, and stops what the
 * host does for it.
 *
 * @module
 */

// Invariants
//  1. The wait ends once, by the host or by a cancel. What the host says afterwards is dropped.
//  2. `stop` is called at most once, and only if the wait was cancelled.

import { reportUnhandled } from "./unhandled.ts";
import { WaitList, type WaitOwner } from "./wait_list.ts";
import { Waiter, type WaitOptions } from "./waiter.ts";

/** The kind of the thing that such a wait waits on: dumps then say only verb and name. */
export const HOST_CALL = "host call";

/** The two ways in which the host ends a call; whatever comes after the end is dropped. */
export interface HostCallEnds<T> {
  /** The call has succeeded. */
  settle(value: T): void;
  /** The call has failed. */
  fail(error: unknown): void;
  /** Whether the wait still waits. */
  readonly waiting: boolean;
}

class HostCall<T> implements WaitOwner, HostCallEnds<T> {
  readonly [Symbol.toStringTag] = HOST_CALL;
  readonly name: string;
  readonly #list: WaitList;
  readonly #waiter: Waiter<T> = new Waiter<T>();
  #stop: ((reason: unknown) => void) | undefined = undefined;
  #parked = false;
  /** The end of a call that has ended before it parked. */
  #early: (() => void) | undefined = undefined;

  constructor(verb: string, name: string) {
    this.name = name;
    this.#list = new WaitList(this, verb, true);
  }

  park(stop: ((reason: unknown) => void) | undefined, options?: WaitOptions): Promise<T> {
    this.#stop = stop;
    const ended = this.#waiter.park(this.#list, options);
    this.#parked = true;
    this.#early?.();
    return ended;
  }

  settle(value: T): void {
    if (!this.#parked) this.#early ??= () => this.#waiter.settle(value);
    else if (!this.#waiter.settled) this.#waiter.settle(value);
  }

  fail(error: unknown): void {
    if (!this.#parked) this.#early ??= () => this.#waiter.fail(error);
    else if (!this.#waiter.settled) this.#waiter.fail(error);
  }

  get waiting(): boolean {
    return !this.#waiter.settled;
  }

  "~waiterLeft"({ context }: Waiter): void {
    try {
      this.#stop?.(context?.cancelled === true ? context.reason : undefined);
    } catch (error) {
      reportUnhandled(error); // it must not end a kill half-way, nor stop the clock
    }
  }
}

/**
 * Waits for a call of the host, parked as `verb` `name`: "fetch" "GET http://…". `start` begins the
 * call, and returns how to stop it: that is called with the reason of a kill or limit, `undefined` for
 * a signal or a timeout. The caller has asked `refuse` before. What `start` throws is thrown on, and
 * nothing has parked.
 */
export function hostCall<T>(
  verb: string,
  name: string,
  start: (ends: HostCallEnds<T>) => ((reason: unknown) => void) | undefined,
  options?: WaitOptions,
): Promise<T> {
  const call = new HostCall<T>(verb, name);
  return call.park(start(call), options);
}
