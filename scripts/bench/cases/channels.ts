// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Values through a channel, from one side to the other, by every way of receiving.
 *
 * @module
 */

// Each contestant has loops of its own, even where they read alike: a loop that has seen two
// classes is slower for both.
// Not here: rxjs, whose subjects make nobody wait.

import { Channel } from "../../../src/channel.ts";
import { spawn } from "../../../src/spawn.ts";
import {
  type CspRoutine,
  goAll,
  loadCsp,
  loadEffectPeer,
  loadRepeater,
  loadStdChannel,
  loadThing,
  runFibers,
  type StdChannel,
  type ThingChannel,
} from "../peers/channels.ts";
import { type Batch, type Case, check, type Prepare, sumBelow } from "../work.ts";

const GROUP = "Channels";
const CAPACITIES = [0, 1, 64];
const CHUNKED = 64;

/** All of them. */
export const CHANNELS: Case[] = [
  {
    id: "ping-pong",
    group: GROUP,
    title: "a value to and fro through two channels",
    size: 5_000,
    contestants: {
      baozi: pingPong,
      std: pingPongByStd,
      "@thi.ng/csp": pingPongByThing,
      "js-csp": pingPongByCsp,
      effect: pingPongByEffect,
      "@repeaterjs/repeater": pingPongByRepeater,
      "web-streams": pingPongByStreams,
    },
  },
  ...CAPACITIES.map((capacity): Case => ({
    id: `send-receive-${capacity}`,
    group: GROUP,
    title: `send and receive, capacity ${capacity}`,
    size: 5_000,
    quick: capacity !== 1,
    contestants: {
      baozi: at(capacity, sendReceive),
      std: at(capacity, sendReceiveByStd),
      "@thi.ng/csp": at(capacity, sendReceiveByThing),
      "js-csp": at(capacity, sendReceiveByCsp),
      effect: at(capacity, sendReceiveByEffect),
      "@repeaterjs/repeater": at(capacity, sendReceiveByRepeater),
      "web-streams": at(capacity, sendReceiveByStreams),
    },
  })),
  ...CAPACITIES.map((capacity): Case => ({
    id: `for-await-${capacity}`,
    group: GROUP,
    title: `send and for await, capacity ${capacity}`,
    size: 5_000,
    quick: capacity !== 1,
    contestants: {
      baozi: at(capacity, forAwait),
      std: at(capacity, forAwaitByStd),
      "@thi.ng/csp": at(capacity, forAwaitByThing),
      "js-csp": at(capacity, forAwaitByCsp),
      effect: at(capacity, forAwaitByEffect),
      "@repeaterjs/repeater": at(capacity, forAwaitByRepeater),
      "web-streams": at(capacity, forAwaitByStreams),
    },
  })),
  {
    id: "chunks",
    group: GROUP,
    title: "send and chunks, capacity 64",
    size: 5_000,
    contestants: {
      baozi: (size) => chunks(size, sendAll),
      std: (size) => chunksByStd(size, sendAllByStd),
      "js-csp": (size) => chunksByCsp(size, false),
      effect: (size) => chunksByEffect(size, false),
    },
  },
  {
    id: "chunks-try",
    group: GROUP,
    title: "trySend and chunks, capacity 64",
    size: 20_000,
    quick: true,
    contestants: {
      baozi: (size) => chunks(size, trySendAll),
      std: (size) => chunksByStd(size, trySendAllByStd),
      "@thi.ng/csp": chunksByThing,
      "js-csp": (size) => chunksByCsp(size, true),
      effect: (size) => chunksByEffect(size, true),
    },
  },
  {
    id: "try-send-receive",
    group: GROUP,
    title: "trySend and tryReceive, nobody waits",
    size: 100_000,
    contestants: {
      baozi: trySendReceive,
      std: trySendReceiveByStd,
      "@thi.ng/csp": offerPoll,
      "js-csp": offerPollByCsp,
      effect: offerTakeByEffect,
    },
  },
  // The peers whose processes are tasks of a kind, and std's, whose are none.
  ...CAPACITIES.map((capacity): Case => ({
    id: `send-receive-${capacity}-tasks`,
    group: "Channels between tasks",
    title: `send and receive between two tasks, capacity ${capacity}`,
    size: 5_000,
    ambient: true,
    contestants: {
      baozi: at(capacity, sendReceiveInTasks),
      std: at(capacity, sendReceiveByStd),
      "js-csp": at(capacity, sendReceiveByCsp),
      effect: at(capacity, sendReceiveByEffect),
    },
  })),
  ...CAPACITIES.map((capacity): Case => ({
    id: `for-await-${capacity}-tasks`,
    group: "Channels between tasks",
    title: `send and for await between two tasks, capacity ${capacity}`,
    size: 5_000,
    ambient: true,
    contestants: {
      baozi: at(capacity, forAwaitInTasks),
      std: at(capacity, forAwaitByStd),
      "js-csp": at(capacity, forAwaitByCsp),
      effect: at(capacity, forAwaitByEffect),
    },
  })),
];

function at(
  capacity: number,
  prepare: (size: number, capacity: number) => ReturnType<Prepare>,
): Prepare {
  return (size) => prepare(size, capacity);
}

/** The batch in which one side sends the numbers below `size` and the other adds them up. */
function exchange(
  size: number,
  open: () => [sending: Promise<unknown>, adding: Promise<number>],
): Batch {
  return async () => {
    const [, sum] = await Promise.all(open());
    check(sum, sumBelow(size));
  };
}

// Ours

function sendReceive(size: number, capacity: number): Batch {
  return exchange(size, () => {
    const ch = new Channel<number>({ capacity });
    return [sendAll(ch, size), receiveAll(ch, size)];
  });
}

function forAwait(size: number, capacity: number): Batch {
  return exchange(size, () => {
    const ch = new Channel<number>({ capacity });
    return [sendAll(ch, size), addAll(ch)];
  });
}

function sendReceiveInTasks(size: number, capacity: number): Batch {
  return exchange(size, () => {
    const ch = new Channel<number>({ capacity });
    return [spawn(sendAll, ch, size).get(), spawn(receiveAll, ch, size).get()];
  });
}

function forAwaitInTasks(size: number, capacity: number): Batch {
  return exchange(size, () => {
    const ch = new Channel<number>({ capacity });
    return [spawn(sendAll, ch, size).get(), spawn(addAll, ch).get()];
  });
}

function chunks(size: number, send: typeof sendAll): Batch {
  return exchange(size, () => {
    const ch = new Channel<number>({ capacity: CHUNKED });
    return [send(ch, size), addChunks(ch)];
  });
}

async function sendAll(ch: Channel<number>, size: number): Promise<void> {
  for (let i = 0; i < size; i++) await ch.send(i);
  ch.close();
}

/** Awaits only when the buffer is full. */
async function trySendAll(ch: Channel<number>, size: number): Promise<void> {
  for (let i = 0; i < size; i++) if (!ch.trySend(i)) await ch.send(i);
  ch.close();
}

async function receiveAll(ch: Channel<number>, size: number): Promise<number> {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += await ch.receive();
  return sum;
}

async function addAll(ch: Channel<number>): Promise<number> {
  let sum = 0;
  for await (const value of ch) sum += value;
  return sum;
}

async function addChunks(ch: Channel<number>): Promise<number> {
  let sum = 0;
  for await (const chunk of ch.chunks()) for (const value of chunk) sum += value;
  return sum;
}

/** What the buffer itself costs: no promise, no await. */
function trySendReceive(size: number): Batch {
  return () => {
    const ch = new Channel<number>({ capacity: CHUNKED });
    let sum = 0;
    for (let i = 0; i < size; i++) {
      ch.trySend(i);
      const got = ch.tryReceive();
      if (got.state === "ok") sum += got.value;
    }
    check(sum, sumBelow(size));
    return Promise.resolve();
  };
}

function pingPong(size: number): Batch {
  const play = async (inbox: Channel<number>, outbox: Channel<number>, first: number) => {
    let sum = 0;
    for (let i = first; i < size; i += 2) {
      const value = await inbox.receive();
      sum += value;
      outbox.trySend(value + 1);
    }
    return sum;
  };
  return async () => {
    const a = new Channel<number>({ capacity: 1 }), b = new Channel<number>({ capacity: 1 });
    a.trySend(0);
    const [even, odd] = await Promise.all([play(a, b, 0), play(b, a, 1)]);
    check(even + odd, sumBelow(size));
  };
}

// std: the same words, and for chunks `receive`, then `tryReceive` for the rest

async function sendReceiveByStd(size: number, capacity: number): Promise<Batch | undefined> {
  const std = await loadStdChannel();
  return std && exchange(size, () => {
    const ch = new std.Channel({ capacity });
    return [sendAllByStd(ch, size), receiveAllByStd(ch, size)];
  });
}

async function forAwaitByStd(size: number, capacity: number): Promise<Batch | undefined> {
  const std = await loadStdChannel();
  return std && exchange(size, () => {
    const ch = new std.Channel({ capacity });
    return [sendAllByStd(ch, size), addAllByStd(ch)];
  });
}

async function chunksByStd(
  size: number,
  send: typeof sendAllByStd,
): Promise<Batch | undefined> {
  const std = await loadStdChannel();
  return std && exchange(size, () => {
    const ch = new std.Channel({ capacity: CHUNKED });
    return [send(ch, size), addReadyByStd(ch, size)];
  });
}

async function sendAllByStd(ch: StdChannel<number>, size: number): Promise<void> {
  for (let i = 0; i < size; i++) await ch.send(i);
  ch.close();
}

async function trySendAllByStd(ch: StdChannel<number>, size: number): Promise<void> {
  for (let i = 0; i < size; i++) if (!ch.trySend(i)) await ch.send(i);
  ch.close();
}

async function receiveAllByStd(ch: StdChannel<number>, size: number): Promise<number> {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += await ch.receive();
  return sum;
}

async function addAllByStd(ch: StdChannel<number>): Promise<number> {
  let sum = 0;
  for await (const value of ch) sum += value;
  return sum;
}

async function addReadyByStd(ch: StdChannel<number>, size: number): Promise<number> {
  let sum = 0;
  for (let n = 0; n < size;) {
    sum += await ch.receive();
    n++;
    for (let got = ch.tryReceive(); got.state === "ok"; got = ch.tryReceive()) {
      sum += got.value;
      n++;
    }
  }
  return sum;
}

async function trySendReceiveByStd(size: number): Promise<Batch | undefined> {
  const std = await loadStdChannel();
  return std && (() => {
    const ch = new std.Channel({ capacity: CHUNKED });
    let sum = 0;
    for (let i = 0; i < size; i++) {
      ch.trySend(i);
      const got = ch.tryReceive();
      if (got.state === "ok") sum += got.value;
    }
    check(sum, sumBelow(size));
    return Promise.resolve();
  });
}

async function pingPongByStd(size: number): Promise<Batch | undefined> {
  const std = await loadStdChannel();
  if (std === undefined) return undefined;
  const play = async (inbox: StdChannel<number>, outbox: StdChannel<number>, first: number) => {
    let sum = 0;
    for (let i = first; i < size; i += 2) {
      const value = await inbox.receive();
      sum += value;
      outbox.trySend(value + 1);
    }
    return sum;
  };
  return async () => {
    const a = new std.Channel({ capacity: 1 }), b = new std.Channel({ capacity: 1 });
    a.trySend(0);
    const [even, odd] = await Promise.all([play(a, b, 0), play(b, a, 1)]);
    check(even + odd, sumBelow(size));
  };
}

// @thi.ng/csp: `write` and `read`, `for await`; for chunks `read`, then `poll` for the rest. Its
// `write` waits for the reader whatever the capacity is: what makes use of the room is `offer`, which
// is why it stands in one row of chunks only.

async function sendReceiveByThing(size: number, capacity: number): Promise<Batch> {
  const { channel } = await loadThing();
  return exchange(size, () => {
    const ch = channel(Math.max(1, capacity));
    return [capacity === 0 ? writeAll(ch, size) : offerAll(ch, size), readAll(ch, size)];
  });
}

async function forAwaitByThing(size: number, capacity: number): Promise<Batch> {
  const { channel } = await loadThing();
  return exchange(size, () => {
    const ch = channel(Math.max(1, capacity));
    return [capacity === 0 ? writeAll(ch, size) : offerAll(ch, size), addAllByThing(ch)];
  });
}

async function chunksByThing(size: number): Promise<Batch> {
  const { channel } = await loadThing();
  return exchange(size, () => {
    const ch = channel(CHUNKED);
    return [offerAll(ch, size), addReadyByThing(ch, size)];
  });
}

async function writeAll(ch: ThingChannel<number>, size: number): Promise<void> {
  for (let i = 0; i < size; i++) await ch.write(i);
  ch.close();
}

async function offerAll(ch: ThingChannel<number>, size: number): Promise<void> {
  for (let i = 0; i < size; i++) if (!ch.offer(i)) await ch.write(i);
  ch.close();
}

async function readAll(ch: ThingChannel<number>, size: number): Promise<number> {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += (await ch.read())!;
  return sum;
}

async function addAllByThing(ch: ThingChannel<number>): Promise<number> {
  let sum = 0;
  for await (const value of ch) sum += value;
  return sum;
}

async function addReadyByThing(ch: ThingChannel<number>, size: number): Promise<number> {
  let sum = 0;
  for (let n = 0; n < size;) {
    sum += (await ch.read())!;
    n++;
    for (let value = ch.poll(); value !== undefined; value = ch.poll()) {
      sum += value;
      n++;
    }
  }
  return sum;
}

async function offerPoll(size: number): Promise<Batch> {
  const { channel } = await loadThing();
  return () => {
    const ch = channel(CHUNKED);
    let sum = 0;
    for (let i = 0; i < size; i++) {
      ch.offer(i);
      sum += ch.poll()!;
    }
    check(sum, sumBelow(size));
    return Promise.resolve();
  };
}

async function pingPongByThing(size: number): Promise<Batch> {
  const { channel } = await loadThing();
  const play = async (inbox: ThingChannel<number>, outbox: ThingChannel<number>, first: number) => {
    let sum = 0;
    for (let i = first; i < size; i += 2) {
      const value = (await inbox.read())!;
      sum += value;
      outbox.offer(value + 1);
    }
    return sum;
  };
  return async () => {
    const a = channel(1), b = channel(1);
    a.offer(0);
    const [even, odd] = await Promise.all([play(a, b, 0), play(b, a, 1)]);
    check(even + odd, sumBelow(size));
  };
}

// js-csp: go routines that `put` and `take`; iteration is `take` until `CLOSED`, chunks are `take`,
// then `poll` for the rest

async function sendReceiveByCsp(size: number, capacity: number): Promise<Batch> {
  const csp = await loadCsp();
  return async () => {
    const ch = csp.chan(capacity);
    let sum = 0;
    await goAll(csp, [
      function* (): CspRoutine<void> {
        for (let i = 0; i < size; i++) yield csp.put(ch, i);
      },
      function* (): CspRoutine<void> {
        for (let i = 0; i < size; i++) sum += yield csp.take(ch);
      },
    ]);
    ch.close();
    check(sum, sumBelow(size));
  };
}

async function forAwaitByCsp(size: number, capacity: number): Promise<Batch> {
  const csp = await loadCsp();
  return async () => {
    const ch = csp.chan(capacity);
    let sum = 0;
    await goAll(csp, [
      function* (): CspRoutine<void> {
        for (let i = 0; i < size; i++) yield csp.put(ch, i);
        ch.close();
      },
      function* (): CspRoutine<void> {
        for (;;) {
          const value: number | null = yield csp.take(ch);
          if (value === csp.CLOSED) return;
          sum += value;
        }
      },
    ]);
    check(sum, sumBelow(size));
  };
}

async function chunksByCsp(size: number, offers: boolean): Promise<Batch> {
  const csp = await loadCsp();
  return async () => {
    const ch = csp.chan(CHUNKED);
    let sum = 0;
    await goAll(csp, [
      function* (): CspRoutine<void> {
        for (let i = 0; i < size; i++) {
          if (!offers || !csp.offer(ch, i)) yield csp.put(ch, i);
        }
      },
      function* (): CspRoutine<void> {
        for (let n = 0; n < size;) {
          sum += yield csp.take(ch);
          n++;
          for (let got = csp.poll(ch); got !== csp.NO_VALUE; got = csp.poll(ch)) {
            sum += got as number;
            n++;
          }
        }
      },
    ]);
    ch.close();
    check(sum, sumBelow(size));
  };
}

async function offerPollByCsp(size: number): Promise<Batch> {
  const csp = await loadCsp();
  return () => {
    const ch = csp.chan(CHUNKED);
    let sum = 0;
    for (let i = 0; i < size; i++) {
      csp.offer(ch, i);
      sum += csp.poll(ch) as number;
    }
    check(sum, sumBelow(size));
    return Promise.resolve();
  };
}

async function pingPongByCsp(size: number): Promise<Batch> {
  const csp = await loadCsp();
  return async () => {
    const a = csp.chan(1), b = csp.chan(1);
    let sum = 0;
    const play = (inbox: typeof a, outbox: typeof a, first: number) =>
      function* (): CspRoutine<void> {
        for (let i = first; i < size; i += 2) {
          const value: number = yield csp.take(inbox);
          sum += value;
          csp.offer(outbox, value + 1);
        }
      };
    csp.offer(a, 0);
    await goAll(csp, [play(a, b, 0), play(b, a, 1)]);
    check(sum, sumBelow(size));
  };
}

// effect: fibers around a bounded `Queue`, all in one `runPromise`, with `Effect.whileLoop`, which
// is faster than `Effect.gen`; iteration is `Stream.runForEach`, chunks are `Queue.takeAll`

async function sendReceiveByEffect(size: number, capacity: number): Promise<Batch> {
  const peer = await loadEffectPeer();
  const { Effect, Queue } = peer;
  return async () => {
    let sent = 0, received = 0, sum = 0;
    await runFibers(peer, [capacity], ([queue]) => {
      const take = Queue.take(queue!);
      return [
        Effect.whileLoop({
          while: () => sent < size,
          body: () => Queue.offer(queue!, sent++),
          step: ignore,
        }),
        Effect.whileLoop({
          while: () => received++ < size,
          body: () => take,
          step: (value) => {
            sum += value;
          },
        }),
      ];
    });
    check(sum, sumBelow(size));
  };
}

async function forAwaitByEffect(size: number, capacity: number): Promise<Batch> {
  const peer = await loadEffectPeer();
  const { Effect, Queue, Stream } = peer;
  return async () => {
    let sent = 0, sum = 0;
    await runFibers(peer, [capacity], ([queue]) => [
      Effect.whileLoop({
        while: () => sent < size,
        body: () => Queue.offer(queue!, sent++),
        step: () => {
          if (sent === size) Queue.endUnsafe(queue!);
        },
      }),
      Stream.runForEach(Stream.fromQueue(queue!), (value) =>
        Effect.sync(() => {
          sum += value;
        })),
    ]);
    check(sum, sumBelow(size));
  };
}

async function chunksByEffect(size: number, unsafe: boolean): Promise<Batch> {
  const peer = await loadEffectPeer();
  const { Effect, Queue } = peer;
  return async () => {
    let sent = 0, received = 0, sum = 0;
    await runFibers(peer, [CHUNKED], ([queue]) => {
      const takeAll = Queue.takeAll(queue!);
      return [
        Effect.whileLoop({
          while: () => {
            if (unsafe) { while (sent < size && Queue.offerUnsafe(queue!, sent)) sent++; }
            return sent < size;
          },
          body: () => Queue.offer(queue!, sent++),
          step: ignore,
        }),
        Effect.whileLoop({
          while: () => received < size,
          body: () => takeAll,
          step: (values) => {
            received += values.length;
            for (const value of values) sum += value;
          },
        }),
      ];
    });
    check(sum, sumBelow(size));
  };
}

async function offerTakeByEffect(size: number): Promise<Batch> {
  const peer = await loadEffectPeer();
  const { Effect, Queue } = peer;
  return async () => {
    let sum = 0;
    await runFibers(peer, [CHUNKED], ([queue]) => [
      Effect.sync(() => {
        for (let i = 0; i < size; i++) {
          Queue.offerUnsafe(queue!, i);
          sum += Queue.takeUnsafe(queue!)!.value!;
        }
      }),
    ]);
    check(sum, sumBelow(size));
  };
}

async function pingPongByEffect(size: number): Promise<Batch> {
  const peer = await loadEffectPeer();
  const { Effect, Queue } = peer;
  return async () => {
    let sum = 0;
    await runFibers(peer, [1, 1], ([a, b]) => {
      const play = (inbox: typeof a, outbox: typeof a, first: number) => {
        const take = Queue.take(inbox!);
        let i = first;
        return Effect.whileLoop({
          while: () => i < size,
          body: () => take,
          step: (value) => {
            i += 2;
            sum += value;
            Queue.offerUnsafe(outbox!, value + 1);
          },
        });
      };
      Queue.offerUnsafe(a!, 0);
      return [play(a, b, 0), play(b, a, 1)];
    });
    check(sum, sumBelow(size));
  };
}

function ignore(): void {}

// @repeaterjs/repeater: `push` and `next`, `for await`; a `FixedBuffer` where there is room. `push`
// resolves to what the consumer passes to its next `next`: one repeater goes both ways.

async function sendReceiveByRepeater(size: number, capacity: number): Promise<Batch> {
  const { FixedBuffer, Repeater } = await loadRepeater();
  return async () => {
    const numbers = new Repeater(async (push, stop) => {
      for (let i = 0; i < size; i++) await push(i);
      stop();
    }, capacity === 0 ? undefined : new FixedBuffer(capacity));
    let sum = 0;
    for (let i = 0; i < size; i++) sum += (await numbers.next()).value;
    await numbers.next(); // the end
    check(sum, sumBelow(size));
  };
}

async function forAwaitByRepeater(size: number, capacity: number): Promise<Batch> {
  const { FixedBuffer, Repeater } = await loadRepeater();
  return async () => {
    const numbers = new Repeater(async (push, stop) => {
      for (let i = 0; i < size; i++) await push(i);
      stop();
    }, capacity === 0 ? undefined : new FixedBuffer(capacity));
    let sum = 0;
    for await (const value of numbers) sum += value;
    check(sum, sumBelow(size));
  };
}

async function pingPongByRepeater(size: number): Promise<Batch> {
  const { Repeater } = await loadRepeater();
  return async () => {
    let sum = 0;
    const table = new Repeater(async (push, stop) => {
      for (let value = 0; value < size;) {
        sum += value;
        value = (await push(value + 1)) ?? size;
      }
      stop();
    });
    // The value that starts it meets no `push`.
    for (let next = await table.next(); !next.done;) {
      sum += next.value;
      next = await table.next(next.value + 1);
    }
    check(sum, sumBelow(size));
  };
}

// Web Streams: a `TransformStream` as the pipe, with the room on its readable side, where awaiting
// each `write` is faster than `ready`. Iteration is over a `ReadableStream` that asks for each value,
// which is less work.

function sendReceiveByStreams(size: number, capacity: number): Batch {
  const write = async (writer: WritableStreamDefaultWriter<number>) => {
    for (let i = 0; i < size; i++) await writer.write(i);
    await writer.close();
  };
  const read = async (reader: ReadableStreamDefaultReader<number>) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += (await reader.read()).value!;
    await reader.read(); // the end
    return sum;
  };
  return exchange(size, () => {
    const { readable, writable } = pipe(capacity);
    return [write(writable.getWriter()), read(readable.getReader())];
  });
}

function forAwaitByStreams(size: number, capacity: number): Batch {
  return async () => {
    let next = 0;
    const numbers = new ReadableStream<number>({
      pull(controller) {
        if (next < size) controller.enqueue(next++);
        else controller.close();
      },
    }, { highWaterMark: capacity });
    let sum = 0;
    for await (const value of numbers) sum += value;
    check(sum, sumBelow(size));
  };
}

function pingPongByStreams(size: number): Batch {
  return async () => {
    const a = pipe(1), b = pipe(1);
    const writers = [a.writable.getWriter(), b.writable.getWriter()] as const;
    const play = async (
      inbox: ReadableStreamDefaultReader<number>,
      outbox: WritableStreamDefaultWriter<number>,
      first: number,
    ) => {
      let sum = 0;
      for (let i = first; i < size; i += 2) {
        const value = (await inbox.read()).value!;
        sum += value;
        void outbox.write(value + 1);
      }
      return sum;
    };
    void writers[0].write(0);
    const [even, odd] = await Promise.all([
      play(a.readable.getReader(), writers[1], 0),
      play(b.readable.getReader(), writers[0], 1),
    ]);
    check(even + odd, sumBelow(size));
  };
}

function pipe(capacity: number): TransformStream<number, number> {
  return new TransformStream({}, undefined, { highWaterMark: capacity });
}
