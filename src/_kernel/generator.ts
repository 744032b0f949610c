// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Generators, told from all else that a function may give.
 *
 * @module
 */

/** Whether `value` is a generator, async or not: what only looks like one is a value like any other. */
export function isGenerator(value: unknown): value is AsyncGenerator | Generator {
  // Most bodies give a promise, and the tag costs a string.
  if (typeof (value as Partial<Generator> | null | undefined)?.next !== "function") return false;
  const tag = Object.prototype.toString.call(value);
  return tag === "[object AsyncGenerator]" || tag === "[object Generator]";
}
