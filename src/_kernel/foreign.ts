// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Promises that this library did not make, as things to wait on.
 *
 * @module
 */

// Invariants
//  1. A promise gets one subscription in its life, however often it is waited on: a loop over a
//     promise that never settles grows nothing.
//  2. Who waits is served when the promise settles; what nobody waits for is dropped, never reported.

import { runOutside } from "./current.ts";
import {
  delist,
  enlist,
  failAll,
  type SelectBranch,
  type SelectCase,
  serveAll,
} from "./selectable.ts";
import { WaitList, type WaitOwner } from "./wait_list.ts";

const all: WeakMap<object, ForeignPromise> = new WeakMap();

/** Whether `value` has a `then`. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function";
}

/** Who waits on one foreign promise. */
export class ForeignPromise implements WaitOwner, SelectCase<unknown> {
  readonly [Symbol.toStringTag] = "Promise";
  readonly list: WaitList = new WaitList(this, "wait until", true);
  settled = false;
  failed = false;
  /** The value or the error. */
  result: unknown = undefined;

  /** The waits of `promise`, made with its one subscription. */
  static of(promise: PromiseLike<unknown>): ForeignPromise {
    let foreign = all.get(promise);
    if (foreign === undefined) {
      all.set(promise, foreign = new ForeignPromise());
      // The subscription belongs to no task: a kill of the first who waits must not reach it.
      runOutside(subscribe, promise, foreign);
    }
    return foreign;
  }

  /** Never at once, so that a settled promise and one about to settle are alike. */
  ready(): boolean {
    return false;
  }

  take(): never {
    throw new TypeError("Cannot take promise: it is never ready");
  }

  enlist(branch: SelectBranch): void {
    enlist(branch, this.list);
    if (this.settled) queueMicrotask(() => this.#serve());
  }

  watch(branch: SelectBranch): void {
    this.enlist(branch);
  }

  delist(branch: SelectBranch): void {
    delist(branch);
  }

  settle(failed: boolean, result: unknown): void {
    this.settled = true;
    this.failed = failed;
    this.result = result;
    this.#serve();
  }

  #serve(): void {
    if (this.failed) failAll(this.list, this.result);
    else serveAll(this.list, this.result);
  }
}

function subscribe(promise: PromiseLike<unknown>, foreign: ForeignPromise): void {
  try {
    Promise.resolve(promise).then(
      (value) => foreign.settle(false, value),
      (error) => foreign.settle(true, error),
    );
  } catch (error) {
    // A `then` of its own: without an end whoever waits next would wait for ever.
    foreign.settle(true, error);
  }
}
