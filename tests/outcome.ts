// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What has become of a promise, for tests that must see that one still waits.
 *
 * @module
 */

import { fail } from "@std/assert";

/** How a promise stands. */
export interface Outcome<T> {
  state: "pending" | "resolved" | "rejected";
  value?: T;
  error?: unknown;
}

/** Follows `promise`: the answer changes as the promise does. A rejection counts as handled. */
export function outcome<T>(promise: PromiseLike<T>): Outcome<T> {
  const seen: Outcome<T> = { state: "pending" };
  promise.then((value) => {
    seen.state = "resolved";
    seen.value = value;
  }, (error: unknown) => {
    seen.state = "rejected";
    seen.error = error;
  });
  return seen;
}

/** What `promise` rejects with, whatever it is; fails if it resolves. */
export function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  return Promise.resolve(
    promise.then(() => fail("resolved instead of rejecting"), (error) => error),
  );
}
