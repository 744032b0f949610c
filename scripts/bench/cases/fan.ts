// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Many senders, many receivers: one channel between them, or one reader of many sources.
 *
 * @module
 */

// Every receiver takes the same share, so that nobody needs to close or count. Each contestant has
// loops of its own: a loop that has seen two classes is slower for both.

import { Channel } from "../../../src/channel.ts";
import { merge } from "../../../src/merge.ts";
import {
  type CspRoutine,
  goAll,
  loadCsp,
  loadEffectPeer,
  loadRepeater,
  loadStdChannel,
  loadThing,
  runFibers,
} from "../peers/channels.ts";
import { loadPeer } from "../peers/load.ts";
import { type Batch, type Case, check, sumBelow } from "../work.ts";

const GROUP = "Fan-in and fan-out";
const CAPACITY = 64;
const MANY = 100;

/** How many send and how many receive. */
interface Sides {
  senders: number;
  receivers: number;
}

const SIDES: Sides[] = [
  { senders: MANY, receivers: 1 },
  { senders: 1, receivers: MANY },
  { senders: MANY, receivers: MANY },
];

/** All of them. */
export const FAN: Case[] = [
  ...SIDES.map((sides): Case => ({
    id: `fan-${sides.senders}-${sides.receivers}`,
    group: GROUP,
    title: `${sides.senders} senders, ${sides.receivers} receivers, one channel of 64`,
    size: 10_000,
    contestants: {
      baozi: (size) => shared(size, sides),
      std: (size) => sharedByStd(size, sides),
      "@thi.ng/csp": (size) => sharedByThing(size, sides),
      "js-csp": (size) => sharedByCsp(size, sides),
      effect: (size) => sharedByEffect(size, sides),
      "@repeaterjs/repeater": (size) => sharedByRepeater(size, sides),
      "web-streams": (size) => sharedByStreams(size, sides),
    },
  })),
  {
    id: "fan-merge-100",
    group: GROUP,
    title: "100 async generators merged into one loop",
    size: 5_000,
    contestants: {
      baozi: merged,
      std: mergedByStd,
      "@thi.ng/csp": mergedByThing,
      effect: mergedByEffect,
      "@repeaterjs/repeater": mergedByRepeater,
      rxjs: mergedByRxjs,
    },
  },
];

/** The batch of `senders` that send `count` values each, from `first` on, and of those who add them up. */
function between(
  size: number,
  { senders, receivers }: Sides,
  open: () => {
    send(first: number, count: number): Promise<unknown>;
    add(count: number): Promise<number>;
  },
): Batch {
  const [each, share] = [size / senders, size / receivers];
  return async () => {
    const { send, add } = open();
    const sending: Promise<unknown>[] = [], adding: Promise<number>[] = [];
    for (let i = 0; i < senders; i++) sending.push(send(i * each, each));
    for (let i = 0; i < receivers; i++) adding.push(add(share));
    await Promise.all(sending);
    let sum = 0;
    for (const part of await Promise.all(adding)) sum += part;
    check(sum, sumBelow(size));
  };
}

function shared(size: number, sides: Sides): Batch {
  return between(size, sides, () => {
    const ch = new Channel<number>({ capacity: CAPACITY });
    return {
      async send(first, count) {
        for (let i = first; i < first + count; i++) await ch.send(i);
      },
      async add(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += await ch.receive();
        return sum;
      },
    };
  });
}

/** std: the same words. */
async function sharedByStd(size: number, sides: Sides): Promise<Batch | undefined> {
  const std = await loadStdChannel();
  return std && between(size, sides, () => {
    const ch = new std.Channel({ capacity: CAPACITY });
    return {
      async send(first, count) {
        for (let i = first; i < first + count; i++) await ch.send(i);
      },
      async add(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += await ch.receive();
        return sum;
      },
    };
  });
}

/** @thi.ng/csp: `write` and `read`; `offer` where there is room. */
async function sharedByThing(size: number, sides: Sides): Promise<Batch> {
  const { channel } = await loadThing();
  return between(size, sides, () => {
    const ch = channel(CAPACITY);
    return {
      async send(first, count) {
        for (let i = first; i < first + count; i++) if (!ch.offer(i)) await ch.write(i);
      },
      async add(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += (await ch.read())!;
        return sum;
      },
    };
  });
}

/** js-csp: go routines that `put` and `take`. */
async function sharedByCsp(size: number, { senders, receivers }: Sides): Promise<Batch> {
  const csp = await loadCsp();
  const [each, share] = [size / senders, size / receivers];
  return async () => {
    const ch = csp.chan(CAPACITY);
    const routines: Array<() => CspRoutine<number>> = [];
    for (let sender = 0; sender < senders; sender++) {
      routines.push(function* () {
        for (let i = 0; i < each; i++) yield csp.put(ch, sender * each + i);
        return 0;
      });
    }
    for (let receiver = 0; receiver < receivers; receiver++) {
      routines.push(function* () {
        let sum = 0;
        for (let i = 0; i < share; i++) sum += yield csp.take(ch);
        return sum;
      });
    }
    let sum = 0;
    for (const part of await goAll(csp, routines)) sum += part;
    ch.close();
    check(sum, sumBelow(size));
  };
}

/** effect: fibers around a bounded `Queue`. */
async function sharedByEffect(size: number, { senders, receivers }: Sides): Promise<Batch> {
  const peer = await loadEffectPeer();
  const { Effect, Queue } = peer;
  const [each, share] = [size / senders, size / receivers];
  return async () => {
    let sum = 0;
    await runFibers(peer, [CAPACITY], ([queue]) => {
      const take = Queue.take(queue!);
      const send = (_: unknown, sender: number) => {
        let i = 0;
        return Effect.whileLoop({
          while: () => i < each,
          body: () => Queue.offer(queue!, sender * each + i++),
          step: () => {},
        });
      };
      const add = () => {
        let i = 0;
        return Effect.whileLoop({
          while: () => i++ < share,
          body: () => take,
          step: (value) => {
            sum += value;
          },
        });
      };
      return [
        ...Array.from({ length: senders }, send),
        ...Array.from({ length: receivers }, add),
      ];
    });
    check(sum, sumBelow(size));
  };
}

/** @repeaterjs/repeater: a `FixedBuffer`, and one repeater whose `push` and `next` all sides share. */
async function sharedByRepeater(size: number, { senders, receivers }: Sides): Promise<Batch> {
  const { FixedBuffer, Repeater } = await loadRepeater();
  const [each, share] = [size / senders, size / receivers];
  return async () => {
    const numbers = new Repeater(async (push, stop) => {
      const send = async (first: number) => {
        for (let i = first; i < first + each; i++) await push(i);
      };
      await Promise.all(Array.from({ length: senders }, (_, i) => send(i * each)));
      stop();
    }, new FixedBuffer(CAPACITY));
    const add = async () => {
      let sum = 0;
      for (let i = 0; i < share; i++) sum += (await numbers.next()).value;
      return sum;
    };
    let sum = 0;
    for (const part of await Promise.all(Array.from({ length: receivers }, add))) sum += part;
    await numbers.next(); // the end
    check(sum, sumBelow(size));
  };
}

/** Web Streams: one writer and one reader of a `TransformStream`, which all sides share. */
function sharedByStreams(size: number, sides: Sides): Batch {
  return between(size, sides, () => {
    const { readable, writable } = new TransformStream<number, number>({}, undefined, {
      highWaterMark: CAPACITY,
    });
    const writer = writable.getWriter(), reader = readable.getReader();
    return {
      async send(first, count) {
        for (let i = first; i < first + count; i++) await writer.write(i);
      },
      async add(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += (await reader.read()).value!;
        return sum;
      },
    };
  });
}

/** A source of `count` numbers from `first` on. */
async function* numbers(first: number, count: number): AsyncGenerator<number> {
  for (let i = first; i < first + count; i++) yield i;
}

/** The sources that are merged. */
function sources(size: number): AsyncGenerator<number>[] {
  const count = size / MANY;
  return Array.from({ length: MANY }, (_, i) => numbers(i * count, count));
}

function merged(size: number): Batch {
  return async () => {
    let sum = 0;
    const channels = sources(size).map((source) => Channel.from(source));
    for await (const value of merge(...channels)) sum += value;
    check(sum, sumBelow(size));
  };
}

/** std: `MuxAsyncIterator`; it needs `Promise.withResolvers`, which Node 20 lacks. */
async function mergedByStd(size: number): Promise<Batch | undefined> {
  const std = "withResolvers" in Promise ? await loadStdChannel() : undefined;
  return std && (async () => {
    let sum = 0;
    const mux = new std.MuxAsyncIterator();
    for (const source of sources(size)) mux.add(source);
    for await (const value of mux) sum += value;
    check(sum, sumBelow(size));
  });
}

/** @thi.ng/csp: `merge` of channels made by `fromAsyncIterable`. */
async function mergedByThing(size: number): Promise<Batch> {
  const { fromAsyncIterable, merge } = await loadThing();
  return async () => {
    let sum = 0;
    const channels = sources(size).map((source) => fromAsyncIterable(source));
    for await (const value of merge(channels)) sum += value;
    check(sum, sumBelow(size));
  };
}

/** effect: `Stream.mergeAll`, added up by `Stream.runForEach`. */
async function mergedByEffect(size: number): Promise<Batch> {
  const { Effect, Stream } = await loadEffectPeer();
  return async () => {
    let sum = 0;
    const streams = sources(size).map((source) =>
      Stream.fromAsyncIterable(source, (error) => error)
    );
    const all = Stream.mergeAll(streams, { concurrency: "unbounded" });
    await Effect.runPromise(Stream.runForEach(all, (value) =>
      Effect.sync(() => {
        sum += value;
      })));
    check(sum, sumBelow(size));
  };
}

/** @repeaterjs/repeater: `Repeater.merge`. */
async function mergedByRepeater(size: number): Promise<Batch> {
  const { Repeater } = await loadRepeater();
  return async () => {
    let sum = 0;
    for await (const value of Repeater.merge(sources(size))) sum += value;
    check(sum, sumBelow(size));
  };
}

/** rxjs: `merge`, then `concatMap`. It holds back nobody: what waits is kept in an array. */
async function mergedByRxjs(size: number): Promise<Batch> {
  interface Observable {
    pipe(operator: unknown): Observable;
    forEach(next: () => void): Promise<void>;
  }
  const { concatMap, merge } = await loadPeer<{
    concatMap(fn: (value: number) => Promise<void>): unknown;
    merge(...sources: AsyncIterable<number>[]): Observable;
  }>("rxjs");
  return async () => {
    let sum = 0;
    // deno-lint-ignore require-await -- the body of a loop that may wait
    const add = concatMap(async (value) => {
      sum += value;
    });
    await merge(...sources(size)).pipe(add).forEach(() => {});
    check(sum, sumBelow(size));
  };
}
