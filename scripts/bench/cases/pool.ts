// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Many items, sixteen at a time. The item is an async function with one await.
 *
 * @module
 */

import { Pool } from "../../../src/pool.ts";
import { loadEffect, type Operation } from "../peers/effect.ts";
import { loadPeer, loadStd } from "../peers/load.ts";
import { type Batch, type Case, check, sumBelow } from "../work.ts";

const WIDTH = 16;
const ITEMS = 100_000;

/** What is done with each item. */
const work = async (n: number): Promise<number> => {
  await undefined;
  return n;
};

/** All of them. */
export const POOL: Case[] = [
  {
    id: "pool-map",
    group: "Pool",
    title: "pool of 16: map over 100,000 items",
    size: ITEMS,
    ambient: true,
    contestants: {
      baozi: (size) => mapped(size, (items) => new Pool(WIDTH).map(work, items)),
      promises: (size) => mapped(size, mappedByWorkers),
      "p-limit": byLimit,
      "p-queue": byQueue,
      fastq: byFastq,
      effect: byForEach,
    },
  },
  {
    id: "pool-imap",
    group: "Pool",
    title: "pool of 16: imap over 100,000 items",
    size: ITEMS,
    ambient: true,
    contestants: ordered(),
  },
  {
    id: "pool-imap-1000",
    group: "Pool",
    title: "pool of 16: imap over 1,000 items",
    size: 1_000,
    quick: true,
    ambient: true,
    contestants: ordered(),
  },
  {
    id: "pool-imap-unordered",
    group: "Pool",
    title: "pool of 16: imapUnordered over 100,000 items",
    size: ITEMS,
    ambient: true,
    contestants: {
      baozi: (size) => iterated(size, (items) => new Pool(WIDTH).imapUnordered(work, items)),
      effect: (size) => byStream(size, true),
      rxjs: byMergeMap,
    },
  },
];

/** In the order of the items, lazily. */
function ordered(): Case["contestants"] {
  return {
    baozi: (size) => iterated(size, (items) => new Pool(WIDTH).imap(work, items)),
    effect: (size) => byStream(size, false),
    std: byPooledMap,
  };
}

function numbers(size: number): number[] {
  return Array.from({ length: size }, (_, i) => i);
}

/** The batch of something that gives all results at once. */
function mapped(size: number, map: (items: number[]) => Promise<readonly number[]>): Batch {
  const items = numbers(size);
  return async () => {
    let sum = 0;
    for (const value of await map(items)) sum += value;
    check(sum, sumBelow(size));
  };
}

/** The batch of something that gives one result after another. */
function iterated(size: number, map: (items: number[]) => AsyncIterable<number>): Batch {
  const items = numbers(size);
  return async () => {
    let sum = 0;
    for await (const value of map(items)) sum += value;
    check(sum, sumBelow(size));
  };
}

/** No pool at all, for reference: sixteen loops that share an iterator; nobody can end them. */
async function mappedByWorkers(items: number[]): Promise<number[]> {
  const results: number[] = [];
  const entries = items.entries();
  const worker = async () => {
    for (const [at, item] of entries) results[at] = await work(item);
  };
  await Promise.all(Array.from({ length: WIDTH }, worker));
  return results;
}

/** p-limit: `limit.map`. */
async function byLimit(size: number): Promise<Batch> {
  interface Limit {
    map<A, R>(items: Iterable<A>, fn: (item: A) => Promise<R>): Promise<R[]>;
  }
  const { default: pLimit } = await loadPeer<{ default(concurrency: number): Limit }>("p-limit");
  return mapped(size, (items) => pLimit(WIDTH).map(items, work));
}

/** p-queue: `queue.add` per item. */
async function byQueue(size: number): Promise<Batch> {
  interface Queue {
    add<R>(fn: () => Promise<R>): Promise<R>;
  }
  const { default: PQueue } = await loadPeer<
    { default: new (options: { concurrency: number }) => Queue }
  >("p-queue");
  return mapped(size, (items) => {
    const queue = new PQueue({ concurrency: WIDTH });
    return Promise.all(items.map((item) => queue.add(() => work(item))));
  });
}

/** fastq: `promise(worker, 16)`, `queue.push` per item. */
async function byFastq(size: number): Promise<Batch> {
  interface Queue {
    push(item: number): Promise<number>;
  }
  const { default: fastq } = await loadPeer<
    { default: { promise(worker: typeof work, concurrency: number): Queue } }
  >("fastq");
  return mapped(size, (items) => {
    const queue = fastq.promise(work, WIDTH);
    return Promise.all(items.map((item) => queue.push(item)));
  });
}

/** effect: `Effect.forEach` with `concurrency`. */
async function byForEach(size: number): Promise<Batch> {
  const Effect = await loadEffect();
  return mapped(size, (items) =>
    Effect.runPromise(
      Effect.forEach(items, (item) => Effect.promise(() => work(item)), { concurrency: WIDTH }),
    ));
}

/** effect: `Stream.mapEffect` with `concurrency`, added up by `Stream.runFold`. */
async function byStream(size: number, unordered: boolean): Promise<Batch> {
  interface Stream {
    readonly "~stream"?: true;
  }
  interface StreamModule {
    fromIterable(items: Iterable<number>): Stream;
    mapEffect(
      stream: Stream,
      fn: (item: number) => Operation<number>,
      options: { concurrency: number; unordered: boolean },
    ): Stream;
    runFold<S>(stream: Stream, initial: () => S, add: (sum: S, item: number) => S): Operation<S>;
  }
  const [Effect, Stream] = await Promise.all([
    loadEffect(),
    loadPeer<StreamModule>("effect/Stream"),
  ]);
  const items = numbers(size);
  return async () => {
    const results = Stream.mapEffect(
      Stream.fromIterable(items),
      (item) => Effect.promise(() => work(item)),
      { concurrency: WIDTH, unordered },
    );
    const sum = await Effect.runPromise(
      Stream.runFold(results, () => 0, (sum, item) => sum + item),
    );
    check(sum, sumBelow(size));
  };
}

/** rxjs: `mergeMap` with its concurrency. It holds back nobody: what waits is kept in an array. */
async function byMergeMap(size: number): Promise<Batch> {
  interface Observable {
    pipe(operator: unknown): Observable;
    forEach(next: (value: number) => void): Promise<void>;
  }
  const { from, mergeMap } = await loadPeer<{
    from(items: Iterable<number>): Observable;
    mergeMap(fn: typeof work, concurrency: number): unknown;
  }>("rxjs");
  const items = numbers(size);
  return async () => {
    let sum = 0;
    await from(items).pipe(mergeMap(work, WIDTH)).forEach((value) => {
      sum += value;
    });
    check(sum, sumBelow(size));
  };
}

/** std: `pooledMap`. */
async function byPooledMap(size: number): Promise<Batch | undefined> {
  interface Std {
    pooledMap(limit: number, items: Iterable<number>, fn: typeof work): AsyncIterable<number>;
  }
  const std = await loadStd<Std>();
  return std && iterated(size, (items) => std.pooledMap(WIDTH, items, work));
}
