// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The few words of `effect` and `effection` that cases call. Both write a program as a generator
 * that yields operations with `yield*`.
 *
 * @module
 */

import { loadPeer } from "./load.ts";

/** What `yield*` takes and gives a `T` for, in either of them. */
export interface Operation<T> {
  [Symbol.iterator](): Iterator<unknown, T, unknown>;
}

/** A program: `yield*` inside, its return value at the end. */
export type Program<T> = () => Generator<unknown, T, unknown>;

/** The module `effect/Effect`. */
export interface EffectModule {
  gen<T>(program: Program<T>): Operation<T>;
  sync<T>(fn: () => T): Operation<T>;
  promise<T>(fn: () => PromiseLike<T>): Operation<T>;
  readonly never: Operation<never>;
  readonly yieldNow: Operation<void>;
  forkChild<T>(effect: Operation<T>): Operation<Fiber<T>>;
  forEach<A, T>(
    items: Iterable<A>,
    fn: (item: A) => Operation<T>,
    options?: { concurrency: number | "unbounded"; discard?: false },
  ): Operation<T[]>;
  ensuring<T>(effect: Operation<T>, finalizer: Operation<void>): Operation<T>;
  timeout<T>(effect: Operation<T>, ms: number): Operation<T>;
  runPromise<T>(effect: Operation<T>, options?: { signal?: AbortSignal }): Promise<T>;
}

/** A running program. */
export interface Fiber<T> {
  readonly "~type"?: T;
}

/** The module `effect/Fiber`. */
export interface FiberModule {
  joinAll<T>(fibers: Iterable<Fiber<T>>): Operation<T[]>;
  interruptAll(fibers: Iterable<Fiber<unknown>>): Operation<void>;
}

/** What is used of `effection`. */
export interface EffectionModule {
  run<T>(program: Program<T>): PromiseLike<T>;
  spawn<T>(program: Program<T>): Operation<EffectionTask<T>>;
  scoped<T>(program: Program<T>): Operation<T>;
  suspend(): Operation<void>;
  sleep(ms: number): Operation<void>;
  call<T>(fn: () => PromiseLike<T>): Operation<T>;
  until<T>(promise: PromiseLike<T>): Operation<T>;
  race<T>(operations: ReadonlyArray<Operation<T>>): Operation<T>;
}

/** A running program of `effection`. */
export interface EffectionTask<T> extends Operation<T>, PromiseLike<T> {
  halt(): Operation<void> & PromiseLike<void>;
}

/** Loads `effect/Effect`. */
export function loadEffect(): Promise<EffectModule> {
  return loadPeer<EffectModule>("effect/Effect");
}

/** Loads `effect/Fiber`. */
export function loadFiber(): Promise<FiberModule> {
  return loadPeer<FiberModule>("effect/Fiber");
}

/** Loads `effection`. */
export function loadEffection(): Promise<EffectionModule> {
  return loadPeer<EffectionModule>("effection");
}
