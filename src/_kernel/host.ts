// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The few things the core takes from the host, found by feature and not by name. The only
 * core file that may say Deno, Bun, process or window.
 *
 * @module
 */

// The functions are taken once, at import: what later replaces the globals (fake timers,
// patches) must not reach the clock of the library; it has hooks of its own for that.

/** What is used of `AsyncLocalStorage`. */
export interface AsyncStorage<T> {
  getStore(): T | undefined;
  run<A extends unknown[], R>(store: T | undefined, fn: (...args: A) => R, ...args: A): R;
}

// Declared and not read from globalThis: a build that wraps globalThis would wrap these too.
declare const process: { getBuiltinModule?(id: string): unknown } | undefined;
declare const setImmediate: ((callback: () => void) => unknown) | undefined;
declare function setTimeout(callback: () => void, ms: number): unknown;
declare function clearTimeout(handle: unknown): void;

const hostPerformance = performance;
const hostSetTimeout = setTimeout;
const hostClearTimeout = clearTimeout;
const hostSetImmediate = typeof setImmediate === "function" ? setImmediate : undefined;

/** Milliseconds on the monotonic clock. */
export function now(): number {
  return hostPerformance.now();
}

/** Calls `callback` once after `ms` milliseconds, at most 2^31 - 1. Keeps the process alive. */
export function startTimer(callback: () => void, ms: number): unknown {
  return hostSetTimeout(callback, ms);
}

/** Stops a timer of {@linkcode startTimer}. */
export function stopTimer(handle: unknown): void {
  hostClearTimeout(handle);
}

/** Calls `callback` in a macrotask of its own, after I/O and timers had their turn. */
export const macrotask: (callback: () => void) => void = hostSetImmediate !== undefined
  ? (callback) => void hostSetImmediate(callback)
  : messageMacrotask();

/**
 * A new `AsyncLocalStorage`, or `undefined` where the host has none (browsers). Called on the
 * first spawn only: on Node 20 and 22 the first `run` makes every later await dearer.
 */
export function asyncStorage<T>(): AsyncStorage<T> | undefined {
  if (typeof process === "undefined") return undefined;
  const hooks = process.getBuiltinModule?.("node:async_hooks") as
    | { AsyncLocalStorage?: new () => AsyncStorage<T> }
    | undefined;
  return hooks?.AsyncLocalStorage === undefined ? undefined : new hooks.AsyncLocalStorage();
}

/** Hands an error that nobody observed to the host, as an unhandled rejection. */
export function rejectUnhandled(error: unknown): void {
  void Promise.reject(error);
}

function messageMacrotask(): (callback: () => void) => void {
  if (typeof MessageChannel === "undefined") return (callback) => void hostSetTimeout(callback, 0);
  const waiting: Array<() => void> = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => waiting.shift()?.();
  return (callback) => {
    waiting.push(callback);
    port2.postMessage(null);
  };
}
