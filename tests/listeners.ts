// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Counts the listeners of an abort signal, which only Node can be asked for.
 *
 * @module
 */

/** How often listeners were added, and how many are there now. */
export interface ListenerCount {
  added: number;
  active: number;
}

/** Counts from now on. */
export function countListeners(signal: AbortSignal): ListenerCount {
  const count: ListenerCount = { added: 0, active: 0 };
  const add = signal.addEventListener;
  const remove = signal.removeEventListener;
  signal.addEventListener = function (this: AbortSignal, ...args: unknown[]): void {
    count.added++;
    count.active++;
    Reflect.apply(add, this, args);
  } as typeof add;
  signal.removeEventListener = function (this: AbortSignal, ...args: unknown[]): void {
    count.active--;
    Reflect.apply(remove, this, args);
  } as typeof remove;
  return count;
}
