// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The one place that listens to abort signals: one listener per signal however many wait on
 * it, gone with the last of them.
 *
 * @module
 */

// Invariants
//  1. A signal has a listener of ours exactly while something waits on it.
// Dropped: a listener per wait. Hosts warn at the eleventh, and adding one costs more than a Set entry.

/** Told when the signal aborts. */
export interface AbortTarget {
  /** `reason` is the signal's own, untouched. */
  aborted(reason: unknown): void;
}

class Watch {
  readonly targets: Set<AbortTarget> = new Set();
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    watched++;
    signal.addEventListener("abort", this);
  }

  handleEvent(): void {
    this.end();
    for (const target of this.targets) target.aborted(this.#signal.reason);
  }

  end(): void {
    watched--;
    watches.delete(this.#signal);
    this.#signal.removeEventListener("abort", this);
  }
}

const watches = new WeakMap<AbortSignal, Watch>();
let watched = 0;

/** How many signals may still abort something: one such as `AbortSignal.timeout` fires by itself. */
export function watchedSignals(): number {
  return watched;
}

/** Calls `target.aborted` when `signal` aborts. Only for a signal that has not aborted. */
export function watchAbort(signal: AbortSignal, target: AbortTarget): void {
  let watch = watches.get(signal);
  if (watch === undefined) watches.set(signal, watch = new Watch(signal));
  watch.targets.add(target);
}

/** Takes back {@linkcode watchAbort}; harmless when nothing is watched. */
export function unwatchAbort(signal: AbortSignal, target: AbortTarget): void {
  const watch = watches.get(signal);
  if (watch === undefined) return;
  watch.targets.delete(target);
  if (watch.targets.size === 0) watch.end();
}

/**
 * Checks that `signal` is an abort signal.
 *
 * @throws {TypeError} If it is not.
 */
export function checkSignal(verb: string, signal: unknown): asserts signal is AbortSignal {
  const candidate = signal as Partial<AbortSignal> | null;
  if (typeof candidate?.aborted !== "boolean" || typeof candidate.addEventListener !== "function") {
    throw new TypeError(`Cannot ${verb}: signal must be an AbortSignal, got ${typeof signal}`);
  }
}
