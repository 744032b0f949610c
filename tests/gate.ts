// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A foreign promise that a test settles by hand: the library cannot interrupt a raw await of it.
 *
 * @module
 */

/** The promise and its two ends. */
export interface Gate<T> {
  readonly promise: Promise<T>;
  open(value: T): void;
  fail(error: unknown): void;
}

/** A new gate; `Promise.withResolvers` is missing in Node 20. */
export function gate<T = void>(): Gate<T> {
  let open!: (value: T) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}
