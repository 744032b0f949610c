// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The few words that cases call of peers that have channels, or something like them.
 *
 * @module
 */

import { type EffectModule, loadEffect, type Operation } from "./effect.ts";
import { loadPeer, loadStd } from "./load.ts";

/** `Channel` of `@std/async`. */
export interface StdChannel<T> extends AsyncIterable<T> {
  send(value: T): Promise<void>;
  trySend(value: T): boolean;
  receive(): Promise<T>;
  tryReceive(): { state: "ok"; value: T } | { state: "empty" | "closed" };
  close(): void;
}

/** `MuxAsyncIterator` of `@std/async`. */
export interface StdMux<T> extends AsyncIterable<T> {
  add(source: AsyncIterable<T>): void;
}

/** What is used of `@std/async`. */
export interface Std {
  Channel: new (options: { capacity: number }) => StdChannel<number>;
  MuxAsyncIterator: new () => StdMux<number>;
}

/** A channel of `@thi.ng/csp`. It has room for one value at least, yet `write` waits for the reader. */
export interface ThingChannel<T> extends AsyncIterable<T> {
  write(value: T): Promise<boolean>;
  offer(value: T): boolean;
  read(): Promise<T | undefined>;
  poll(): T | undefined;
  close(): void;
}

/** What is used of `@thi.ng/csp`. */
export interface Thing {
  channel(capacity: number): ThingChannel<number>;
  select(
    ...channels: ThingChannel<number>[]
  ): Promise<[value: number | undefined, ThingChannel<number>]>;
  merge(channels: ThingChannel<number>[]): ThingChannel<number>;
  fromAsyncIterable(source: AsyncIterable<number>): ThingChannel<number>;
}

/** A channel of `js-csp`. */
export interface CspChannel {
  close(): void;
}

/** What a go routine of `js-csp` yields to wait. */
export interface CspInstruction {
  readonly "~instruction"?: true;
}

/** The body of a go routine; what `yield` gives is not known to the types. */
// deno-lint-ignore no-explicit-any -- each instruction gives something else
export type CspRoutine<T> = Generator<CspInstruction, T, any>;

/** What is used of `js-csp`. */
export interface Csp {
  readonly CLOSED: null;
  readonly NO_VALUE: string;
  chan(capacity: number): CspChannel;
  go(routine: () => CspRoutine<unknown>): CspChannel;
  put(channel: CspChannel, value: number): CspInstruction;
  take(channel: CspChannel): CspInstruction;
  alts(channels: CspChannel[]): CspInstruction;
  offer(channel: CspChannel, value: number): boolean;
  poll(channel: CspChannel): number | string;
  takeAsync(channel: CspChannel, callback: (value: unknown) => void): void;
}

/** A queue of `effect`. */
export interface EffectQueue {
  readonly "~queue"?: true;
}

/** A stream of `effect`. */
export interface EffectStream {
  readonly "~stream"?: true;
}

/** What is used of `effect`. Its queue of no room is a rendezvous. */
export interface EffectPeer {
  Effect: EffectModule & {
    as<T>(effect: Operation<unknown>, value: T): Operation<T>;
    flatMap<A, T>(effect: Operation<A>, next: (value: A) => Operation<T>): Operation<T>;
    raceAllFirst<T>(effects: Iterable<Operation<T>>): Operation<T>;
    whileLoop<T>(
      options: { while(): boolean; body(): Operation<T>; step(value: T): void },
    ): Operation<void>;
  };
  Queue: {
    bounded(capacity: number): Operation<EffectQueue>;
    offer(queue: EffectQueue, value: number): Operation<boolean>;
    offerUnsafe(queue: EffectQueue, value: number): boolean;
    take(queue: EffectQueue): Operation<number>;
    peek(queue: EffectQueue): Operation<number>;
    takeAll(queue: EffectQueue): Operation<number[]>;
    takeUnsafe(queue: EffectQueue): { readonly value?: number } | undefined;
    endUnsafe(queue: EffectQueue): boolean;
  };
  Stream: {
    fromQueue(queue: EffectQueue): EffectStream;
    fromAsyncIterable(
      source: AsyncIterable<number>,
      onError: (error: unknown) => unknown,
    ): EffectStream;
    mergeAll(streams: Iterable<EffectStream>, options: { concurrency: "unbounded" }): EffectStream;
    runForEach(stream: EffectStream, fn: (value: number) => Operation<void>): Operation<void>;
  };
}

/** What is used of `@repeaterjs/repeater`. */
export interface RepeaterPeer {
  FixedBuffer: new (capacity: number) => unknown;
  Repeater: {
    new (
      body: (push: RepeaterPush, stop: () => void) => Promise<unknown>,
      buffer?: unknown,
    ): Repeater;
    merge(sources: AsyncIterable<number>[]): Repeater;
  };
}

/** Sends a value and resolves to what the consumer passes in with its next `next`. */
export type RepeaterPush = (value: number) => Promise<number | undefined>;

/** An async iterator that is pushed to. */
export interface Repeater extends AsyncIterable<number> {
  next(value?: number): Promise<IteratorResult<number>>;
  return(): Promise<IteratorResult<number>>;
}

/** Loads the words of `@std/async`; `undefined` where they cannot be had. */
export function loadStdChannel(): Promise<Std | undefined> {
  return loadStd<Std>();
}

/** Loads `@thi.ng/csp`. */
export function loadThing(): Promise<Thing> {
  return loadPeer<Thing>("@thi.ng/csp");
}

/** Loads `js-csp`, which is no ES module: loaders differ in where they put its exports. */
export async function loadCsp(): Promise<Csp> {
  const module = await loadPeer<Csp & { default?: Csp }>("js-csp");
  return module.default ?? module;
}

/** Runs go routines until all have returned, and gives what they returned. */
export function goAll<T>(csp: Csp, routines: Array<() => CspRoutine<T>>): Promise<T[]> {
  return Promise.all(
    routines.map((routine) =>
      new Promise<T>((resolve) =>
        csp.takeAsync(csp.go(routine), resolve as (value: unknown) => void)
      )
    ),
  );
}

/** Loads three modules of `effect`. */
export async function loadEffectPeer(): Promise<EffectPeer> {
  const [Effect, Queue, Stream] = await Promise.all([
    loadEffect() as Promise<EffectPeer["Effect"]>,
    loadPeer<EffectPeer["Queue"]>("effect/Queue"),
    loadPeer<EffectPeer["Stream"]>("effect/Stream"),
  ]);
  return { Effect, Queue, Stream };
}

/** Opens queues and runs what `open` makes of them, a fiber each, in one program. */
export function runFibers(
  { Effect, Queue }: EffectPeer,
  capacities: number[],
  open: (queues: EffectQueue[]) => Operation<unknown>[],
): Promise<unknown> {
  return Effect.runPromise(Effect.gen(function* () {
    const queues: EffectQueue[] = [];
    for (const capacity of capacities) queues.push(yield* Queue.bounded(capacity));
    return yield* Effect.forEach(open(queues), (effect) => effect, { concurrency: "unbounded" });
  }));
}

/** Loads `@repeaterjs/repeater`. */
export function loadRepeater(): Promise<RepeaterPeer> {
  return loadPeer<RepeaterPeer>("@repeaterjs/repeater");
}
