// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The few things the core takes from the host, found by feature; by name only two habits of event
 * loops that no feature tells. The only core file that may say Deno, Bun, process or window.
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
declare const process: {
  getBuiltinModule?(id: string): unknown;
  on?(event: "beforeExit", callback: () => void): unknown;
} | undefined;
declare const Bun: object | undefined;
declare const Deno: { unrefTimer?(handle: unknown): void } | undefined;
declare const setImmediate: ((callback: () => void) => unknown) | undefined;
declare function setTimeout(callback: () => void, ms: number): unknown;
declare function clearTimeout(handle: unknown): void;

/** How often a loop that does not tell is asked whether it has run empty: first, and in the end. */
const PROBE_MS = 50;
const LONGEST_PROBE_MS = 500;
/** How many more turns a loop gets that seems to have run empty. */
const PROBE_TURNS = 3;

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

/** {@linkcode startTimer} for one that does not keep the process alive, where the host knows the difference. */
export function startWatch(callback: () => void, ms: number): unknown {
  const handle = hostSetTimeout(callback, ms);
  unref(handle);
  return handle;
}

/**
 * Calls `callback` when the host has nothing left to do and would end the process, each time that
 * happens; never in browsers. `changes` is a number that changes with each wait that begins.
 */
export function watchLoop(callback: () => void, changes: () => number): void {
  if (typeof process === "undefined" || typeof process.on !== "function") return;
  process.on("beforeExit", callback);
  if (typeof Bun !== "undefined" && hostSetImmediate !== undefined) {
    probeLoop(callback, changes, (callback) => unref(hostSetImmediate(callback)), startWatch);
  }
}

/** Calls `callback` in a macrotask of its own, after I/O and timers had their turn. */
export const macrotask: (callback: () => void) => void = hostSetImmediate !== undefined
  ? (callback) => void hostSetImmediate(callback)
  : messageMacrotask();

/**
 * Whether the host looks at its sockets only when it has nothing else to do, and else once in very
 * many turns: as Deno. A queue that never empties must then rest for a moment now and then.
 */
export const pollsWhenIdle: boolean = typeof Deno !== "undefined";

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

/**
 * While a top-level await is pending Bun says nothing when it has run out of work: it turns its loop for
 * ever. Then it runs timers, but no immediate that is not referenced; while anything keeps it alive (a
 * timer, a socket, a worker) it runs both. `immediate` calls one that is not referenced, `watch` a timer;
 * exported for tests.
 */
export function probeLoop(
  callback: () => void,
  changes: () => number,
  immediate: (callback: () => void) => unknown,
  watch: (callback: () => void, ms: number) => unknown,
): void {
  let ran = false;
  let ms = PROBE_MS;
  let before = 0;
  const probe = (): void => {
    ran = false;
    immediate(() => ran = true);
    watch(() => look(PROBE_TURNS), ms);
  };
  // On a busy machine the time may be over before the loop has turned once: only turns tell. And `bun test`
  // turns an empty loop between tests: a wait that began since the first look has not been looked at.
  const look = (turns: number): void => {
    if (turns === PROBE_TURNS) before = changes();
    if (!ran && turns > 0) return void watch(() => look(turns - 1), 1);
    if (ran) ms = Math.min(ms * 2, LONGEST_PROBE_MS);
    else if (changes() === before) callback();
    probe();
  };
  probe();
}

function unref(handle: unknown): void {
  if (typeof handle === "object") (handle as { unref?(): void } | null)?.unref?.();
  else if (typeof Deno !== "undefined") Deno.unrefTimer?.(handle);
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
