// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Values through four stages, each of which adds one. Stages run at the same time, up to sixteen
 * values apart.
 *
 * @module
 */

import { mapStage } from "../../../src/map_stage.ts";
import { pipeline } from "../../../src/pipeline.ts";
import { loadEffect, type Operation } from "../peers/effect.ts";
import { loadPeer } from "../peers/load.ts";
import { type Batch, type Case, check, sumBelow } from "../work.ts";

const CAPACITY = 16;
const STAGES = 4;

/** All of them. */
export const PIPELINE: Case[] = [
  {
    id: "pipeline",
    group: "Pipeline",
    title: "four stages, async generators",
    size: 2_000,
    quick: true,
    ambient: true,
    contestants: {
      baozi: (size) =>
        iterated(size, (items) => pipeline(items, step, step, step, step, { capacity: CAPACITY })),
      generators: (size) => iterated(size, (items) => step(step(step(step(items))))),
      "web-streams": byWebStreams,
    },
  },
  {
    id: "pipeline-map",
    group: "Pipeline",
    title: "four stages, an async function per value",
    size: 2_000,
    ambient: true,
    contestants: {
      baozi: (size) =>
        iterated(size, (items) => {
          const [a, b, c, d] = [
            mapStage(addOne),
            mapStage(addOne),
            mapStage(addOne),
            mapStage(addOne),
          ];
          return pipeline(items, a!, b!, c!, d!, { capacity: CAPACITY });
        }),
      effect: byStream,
      rxjs: byConcatMap,
    },
  },
];

/** One stage, as a generator. Chained by itself it does less: a value goes through all, one at a time. */
async function* step(input: AsyncIterable<number> | Iterable<number>): AsyncGenerator<number> {
  for await (const value of input) yield value + 1;
}

/** One stage, as a function. */
// deno-lint-ignore require-await -- what is mapped is async as a rule
const addOne = async (value: number): Promise<number> => value + 1;

function numbers(size: number): number[] {
  return Array.from({ length: size }, (_, i) => i);
}

/** What comes out at the end. */
function expected(size: number): number {
  return sumBelow(size) + size * STAGES;
}

function iterated(size: number, stages: (items: number[]) => AsyncIterable<number>): Batch {
  const items = numbers(size);
  return async () => {
    let sum = 0;
    for await (const value of stages(items)) sum += value;
    check(sum, expected(size));
  };
}

/** The host's own streams: `pipeThrough` of four `TransformStream`s with as much room. */
function byWebStreams(size: number): Batch {
  const room = { highWaterMark: CAPACITY };
  const stage = () =>
    new TransformStream<number, number>(
      {
        transform(value, controller) {
          controller.enqueue(value + 1);
        },
      },
      room,
      room,
    );
  const items = numbers(size);
  return async () => {
    let at = 0;
    const source = new ReadableStream<number>({
      pull(controller) {
        if (at === items.length) controller.close();
        else controller.enqueue(items[at++]!);
      },
    }, room);
    let stream = source;
    for (let i = 0; i < STAGES; i++) stream = stream.pipeThrough(stage());
    const reader = stream.getReader();
    let sum = 0;
    for (let read = await reader.read(); !read.done; read = await reader.read()) sum += read.value;
    check(sum, expected(size));
  };
}

/** effect: `Stream.mapEffect`, with `Stream.buffer` between stages, added up by `Stream.runFold`. */
async function byStream(size: number): Promise<Batch> {
  interface Stream {
    readonly "~stream"?: true;
  }
  interface StreamModule {
    fromIterable(items: Iterable<number>): Stream;
    mapEffect(stream: Stream, fn: (item: number) => Operation<number>): Stream;
    buffer(stream: Stream, options: { capacity: number }): Stream;
    runFold<S>(stream: Stream, initial: () => S, add: (sum: S, item: number) => S): Operation<S>;
  }
  const [Effect, Stream] = await Promise.all([
    loadEffect(),
    loadPeer<StreamModule>("effect/Stream"),
  ]);
  const items = numbers(size);
  return async () => {
    let stream = Stream.fromIterable(items);
    for (let i = 0; i < STAGES; i++) {
      stream = Stream.mapEffect(stream, (value) => Effect.promise(() => addOne(value)));
      stream = Stream.buffer(stream, { capacity: CAPACITY });
    }
    const sum = await Effect.runPromise(Stream.runFold(stream, () => 0, (sum, item) => sum + item));
    check(sum, expected(size));
  };
}

/** rxjs: `concatMap` four times. It holds back nobody: what waits is kept in an array. */
async function byConcatMap(size: number): Promise<Batch> {
  interface Observable {
    pipe(...operators: unknown[]): Observable;
    forEach(next: (value: number) => void): Promise<void>;
  }
  const { from, concatMap } = await loadPeer<{
    from(items: Iterable<number>): Observable;
    concatMap(fn: typeof addOne): unknown;
  }>("rxjs");
  const items = numbers(size);
  return async () => {
    let sum = 0;
    const stages = Array.from({ length: STAGES }, () => concatMap(addOne));
    await from(items).pipe(...stages).forEach((value) => {
      sum += value;
    });
    check(sum, expected(size));
  };
}
