// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Tests of channels that cross a link, each side in turn, with every message under control.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import {
  Channel,
  ChannelClosedError,
  KilledError,
  merge,
  produce,
  type Receiver,
  select,
  type Sender,
  spawn,
  TimeoutError,
  trySelect,
} from "../../mod.ts";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { NotTransferableError } from "../../src/errors.ts";
import { transfer } from "../../src/workers/transfer.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { Pair } from "./crossing_pair.ts";

noLeaks();

/** A channel that notes what it tells of as undelivered. */
function noted<T>(capacity: number, name?: string): { ch: Channel<T>; lost: T[] } {
  const lost: T[] = [];
  return {
    ch: new Channel<T>({ capacity, name, onUndelivered: (value) => void lost.push(value) }),
    lost,
  };
}

function fill(ch: Channel<number>, from: number, to: number): void {
  for (let i = from; i <= to; i++) assert(ch.trySend(i), `no room for ${i}`);
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of source) values.push(value);
  return values;
}

// -- Passing --

test("a passed channel is a Channel with the name and the capacity of its home", () => {
  const pair = new Pair("manual");
  const far = pair.pass(new Channel<number>({ capacity: 7, name: "jobs" }));
  assertInstanceOf(far, Channel);
  assertEquals([far.name, far.capacity, far.size, far.closed], ["jobs", 7, 0, false]);
  assertEquals(Object.prototype.toString.call(far), "[object Channel]");
  assertEquals(pair.pass(Channel.unbounded<number>()).capacity, Infinity);
});

test("a channel passed twice with one call is one channel there, in two calls two", () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 1 });
  const [a, b] = pair.pass([ch, ch]);
  assertStrictEquals(a, b);
  assertStrictEquals(pair.pass({ ch }).ch, a);
  const other = pair.main.crossings.scope().encode(ch, "value", []);
  const there = pair.worker.crossings.scope().decode(structuredClone(other));
  assert(there !== a);
});

test("a channel passed back is the original, in a result too", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 1 });
  const far = pair.pass(ch);
  assertStrictEquals(pair.passBack(far), ch);
  const result = pair.worker.scope.encodeResult({ far }, "result", []);
  pair.worker.scope.end();
  await pair.settle(); // the release arrives before the reply is decoded
  assertStrictEquals((pair.main.scope.decode(structuredClone(result)) as { far: unknown }).far, ch);
  pair.main.scope.end();
  await pair.settle();
  assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
});

test("a rendezvous is refused by its name, and nothing has crossed", () => {
  const pair = new Pair("manual");
  const error = assertThrows(
    () => pair.pass([new Channel({ capacity: 1 }), new Channel({ name: "x" })]),
    RangeError,
  );
  assertEquals(
    error.message,
    'Cannot pass channel "x" to a worker: its capacity must be >= 1, got 0',
  );
  assertEquals(pair.main.crossings.size, 0);
  assertThrows(() => pair.passBack(new Channel()), RangeError, "channel to the main thread");
});

test("channels of a message that cannot be posted do not cross", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(2);
  assertThrows(() => pair.pass([ch, () => {}]), NotTransferableError);
  ch.cancel();
  await pair.settle();
  assertEquals([pair.main.crossings.size, pair.worker.heard.length, lost], [0, 0, []]);
});

test("a channel outside of a call, or one made for a result, is refused", () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 1, name: "x" });
  assertThrows(() => pair.main.codec.encode({ ch }, "value", []), NotTransferableError, "a call");
  assertThrows(
    () => pair.worker.scope.encodeResult({ ch }, "value", []),
    NotTransferableError,
    'Cannot pass value.ch: channel "x" must come from the caller, got one made here',
  );
});

// -- Values --

test("values cross from home in order, also undefined and null", async () => {
  const pair = new Pair();
  const ch = new Channel<unknown>({ capacity: 4 });
  const far = pair.pass(ch);
  const values = [1, undefined, null, [1, [2]], "x", { a: 1 }, [], NaN];
  const sent = (async () => {
    for (const value of values) await ch.send(value);
    ch.close();
  })();
  assertEquals(await all(far), values);
  await sent;
});

test("values cross to the home in order", async () => {
  const pair = new Pair();
  const ch = new Channel<unknown>({ capacity: 3 });
  const far = pair.pass(ch);
  const values = [1, undefined, null, [1, [2]], "x", { a: 1 }, [], NaN];
  const sent = (async () => {
    for (const value of values) await far.send(value);
    far.close();
  })();
  assertEquals(await all(ch), values);
  await sent;
});

test("a receiver here and one there each get their values once", async () => {
  const pair = new Pair();
  const ch = new Channel<number>({ capacity: 4 });
  const far = pair.pass(ch);
  const here = all(ch), there = all(far);
  for (let i = 0; i < 200; i++) await ch.send(i);
  ch.close();
  const got = [...await here, ...await there];
  assertEquals(got.sort((a, b) => a - b), Array.from({ length: 200 }, (_, i) => i));
});

test("many links share one channel, and nothing is lost or doubled", async () => {
  const pairs = Array.from({ length: 4 }, () => new Pair());
  const ch = new Channel<number>({ capacity: 16 });
  const results = new Channel<number>({ capacity: 16 });
  const stages = pairs.map(async (pair) => {
    const input = pair.pass(ch), output = pair.pass(results);
    for await (const value of input) await output.send(value);
    pair.end();
  });
  const got = (async () => {
    const values: number[] = [];
    while (values.length < 1000) values.push(await results.receive());
    return values;
  })();
  for (let i = 0; i < 1000; i++) await ch.send(i);
  ch.close();
  await Promise.all(stages);
  assertEquals((await got).sort((a, b) => a - b), Array.from({ length: 1000 }, (_, i) => i));
});

test("a value is confirmed when its receiver has gone on with it, not before", async () => {
  const ways: Record<string, (far: Channel<number>) => Promise<unknown>> = {
    receive: (far) => far.receive(),
    select: (far) => select({ far }),
    loop: (far) => far.values().next(),
  };
  for (const found of [false, true]) {
    for (const [way, get] of Object.entries(ways)) {
      const pair = new Pair("manual");
      let got = 0, confirmed = 0, early = 0;
      pair.worker.onPosted = () => {
        for (const [kind, , count] of pair.worker.posted.at(-1) as [string, number, number][]) {
          if (kind === "taken") confirmed += count;
        }
        early = Math.max(early, confirmed - got);
      };
      // Three at once: what the first one makes this side say must not take along the others.
      const channels = [1, 2, 3].map(() => new Channel<number>({ capacity: 1 }));
      const fars = channels.map((ch) => pair.pass(ch));
      const getAll = () => fars.forEach((far) => void get(far).then(() => got++));
      if (found) fars.forEach((far) => far.tryReceive());
      else getAll();
      await pair.settle();
      for (const ch of channels) ch.trySend(1);
      await pair.settle();
      if (found) getAll();
      await pair.settle();
      assertEquals({ way, found, got, confirmed, early }, {
        way,
        found,
        got: 3,
        confirmed: 3,
        early: 0,
      });
      pair.end();
      await pair.settle();
    }
  }
});

test("receive() from afar keeps first come, first served", async () => {
  const pair = new Pair();
  const ch = new Channel<number>({ capacity: 4 });
  const far = pair.pass(ch);
  const got = Promise.all([far.receive(), far.receive(), far.receive()]);
  fill(ch, 1, 3);
  assertEquals(await got, [1, 2, 3]);
  ch.close();
  await assertRejects(() => far.receive(), ChannelClosedError);
});

// -- The window --

test("no more than its capacity is taken from home, whatever the far end asks for", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 4 });
  const far = pair.pass(ch);
  far.tryReceive();
  // It reads nothing: only the first credit is used.
  fill(ch, 1, 4);
  await pair.settle();
  assertEquals([far.size, ch.size], [1, 3]);
  // It reads all it can get: the window grows to the capacity.
  let next = 5, most = 0;
  const taken: number[] = [];
  for (let i = 0; i < 60; i++) {
    while (ch.trySend(next)) next++;
    const receiving = outcome(far.receive());
    await pair.settle();
    while (ch.trySend(next)) next++;
    assertEquals(receiving.state, "resolved");
    taken.push(receiving.value!);
    most = Math.max(most, far.size);
    assert(next - 1 - taken.length - ch.size <= 4);
  }
  assertEquals(taken, Array.from({ length: 60 }, (_, i) => i + 1));
  pair.end();
});

test("who waits for more gets a larger window, who works long on each value does not", async () => {
  const pair = new Pair("manual");
  const busy = new Channel<number>({ capacity: 64 }), slow = new Channel<number>({ capacity: 64 });
  const farBusy = pair.pass(busy), farSlow = pair.pass(slow);
  let next = 0, got = 0;
  const reading = (async () => {
    for await (const _ of farBusy) got++;
  })();
  let most = 0;
  for (let turn = 0; turn < 40; turn++) {
    while (busy.trySend(next)) next++;
    await Promise.resolve();
    for (let i = 0; i < 40; i++) await Promise.resolve();
    most = Math.max(most, pair.underWay("worker"));
    pair.deliver("worker");
    for (let i = 0; i < 200; i++) await Promise.resolve();
    pair.deliver("main");
  }
  assert(most >= 32, `got ${most}`);
  assert(most <= 64, `got ${most}`);
  // The slow one finds its next value there each time.
  for (let i = 1; i <= 20; i++) {
    while (slow.trySend(i));
    if (i === 1) void farSlow.tryReceive();
    await pair.settle();
    assertEquals([farSlow.tryReceive().state, farSlow.size], ["ok", 0]);
    await pair.settle();
    assertEquals(farSlow.size, 1);
  }
  busy.close();
  await pair.settle();
  await reading;
  assertEquals(got, next);
  pair.end();
  await pair.settle();
});

test("a far sender gets ahead by the capacity of the home and no more", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 3 });
  const far = pair.pass(ch);
  assertEquals([1, 2, 3, 4].map((value) => far.trySend(value)), [true, true, true, false]);
  const fourth = outcome(far.send(4));
  await pair.settle();
  // The home has taken three, so three more may be on their way.
  assertEquals([fourth.state, ch.size], ["resolved", 3]);
  assertEquals([5, 6, 7].map((value) => far.trySend(value)), [true, true, false]);
  await pair.settle();
  assertEquals(far.trySend(7), false); // the home is full, and three are before its door
  // What it takes is confirmed by the half window.
  assertEquals([ch.tryReceive(), ch.tryReceive()].map(({ state }) => state), ["ok", "ok"]);
  await pair.settle();
  assertEquals([far.trySend(7), far.trySend(8), far.trySend(9)], [true, true, false]);
  far.close();
  const values = all(ch);
  await pair.settle();
  assertEquals(await values, [3, 4, 5, 6, 7, 8]);
  pair.end();
  await pair.settle();
});

test("the window has no more than 1024 values, even of a channel without a bound", async () => {
  const pair = new Pair("manual");
  const far = pair.pass(Channel.unbounded<number>());
  let sent = 0;
  while (far.trySend(sent)) sent++;
  assertEquals(sent, 1024);
  pair.end();
  await pair.settle();
});

test("who only sends takes nothing away, and knows of the close all the same", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 8 });
  const far = pair.pass(ch);
  fill(ch, 1, 3);
  await far.send(4);
  assertEquals(far.size, 0);
  await pair.settle();
  assertEquals([ch.size, far.size], [4, 0]);
  ch.close();
  assertEquals(far.closed, false);
  await pair.settle();
  assertEquals([far.closed, far.trySend(5), ch.size], [true, false, 4]);
  await assertRejects(() => far.send(5), ChannelClosedError);
  pair.end();
  await pair.settle();
  assertEquals(await all(ch), [1, 2, 3, 4]);
});

test("a receive that is refused asks for nothing", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 2 });
  const far = pair.pass(ch);
  fill(ch, 1, 2);
  const gone = AbortSignal.abort(new Error("gone"));
  await assertRejects(() => far.receive({ signal: gone }), Error, "gone");
  await pair.settle();
  assertEquals([ch.size, far.size], [2, 0]);
});

test("a receive that is cancelled took nothing", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 2 });
  const far = pair.pass(ch);
  await assertRejects(() => far.receive({ timeout: 1 }), TimeoutError);
  fill(ch, 1, 2);
  await pair.settle();
  assertEquals(far.tryReceive(), { state: "ok", value: 1 });
  pair.end();
  await pair.settle();
  assertEquals(ch.tryReceive(), { state: "ok", value: 2 });
});

test("a far send that is cancelled did not happen, and moved nothing", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<unknown>({ capacity: 1 });
  const far = pair.pass(ch);
  await far.send("first");
  const bytes = transfer(new Uint8Array([1, 2, 3]));
  await assertRejects(() => far.send(bytes, { timeout: 1 }), TimeoutError);
  const task = spawn(() => far.send(bytes));
  await task.join({ timeout: 1 });
  await task.kill();
  assertInstanceOf(task.error, KilledError);
  await pair.settle();
  assertEquals(ch.tryReceive(), { state: "ok", value: "first" });
  assertEquals([ch.size, bytes.length], [0, 3]);
  await far.send(bytes);
  await pair.settle();
  assertEquals([ch.tryReceive(), bytes.length], [
    { state: "ok", value: new Uint8Array([1, 2, 3]) },
    0,
  ]);
});

test("waits on a channel of another thread count as waits that the host ends", async () => {
  const pair = new Pair("manual");
  const far = pair.pass(new Channel<number>({ capacity: 1 }));
  const before = outsideWaits();
  const receiving = far.receive();
  assertEquals(outsideWaits() - before, 1);
  far.trySend(1);
  const sending = far.send(2);
  assertEquals(outsideWaits() - before, 2);
  pair.worker.scope.end();
  await rejection(receiving);
  await rejection(sending);
  assertEquals(outsideWaits() - before, 0);
});

// -- Close --

test("close() at home: what it holds is received there, then it ends", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 8 });
  const far = pair.pass(ch);
  fill(ch, 1, 5);
  const got = all(far);
  ch.close();
  await pair.settle();
  assertEquals(await got, [1, 2, 3, 4, 5]);
  assertEquals([far.closed, far.tryReceive()], [true, { state: "closed" }]);
  await assertRejects(() => far.receive(), ChannelClosedError);
  // Both sides are done with it, though the call goes on.
  assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
});

test("close(reason) at home crosses behind the values, with the class of the error", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 8 });
  const far = pair.pass(ch);
  fill(ch, 1, 2);
  ch.close(new RangeError("no more", { cause: "why" }));
  const got = [outcome(far.receive()), outcome(far.receive()), outcome(far.receive())];
  await pair.settle();
  assertEquals(got.map(({ value }) => value), [1, 2, undefined]);
  const error = got[2]!.error as RangeError;
  assertInstanceOf(error, RangeError);
  assertEquals([error.message, error.cause], ["no more", "why"]);
});

test("close(undefined) is a reason on the other side too, in both directions", async () => {
  for (const closing of ["home", "far"]) {
    const pair = new Pair("manual");
    const ch = new Channel<number>({ capacity: 1 });
    const far = pair.pass(ch);
    const receiving = outcome((closing === "home" ? far : ch).receive());
    await pair.settle();
    assert((closing === "home" ? ch : far).close(undefined));
    await pair.settle();
    assertEquals([receiving.state, receiving.error], ["rejected", undefined]);
  }
});

test("a channel that is closed and empty ends there at once, one with values when they are read", async () => {
  const pair = new Pair("manual");
  const empty = new Channel<number>({ capacity: 1 }), full = new Channel<number>({ capacity: 1 });
  fill(full, 1, 1);
  empty.close();
  full.close("enough");
  const [farEmpty, farFull] = pair.pass([empty, full] as const);
  assertEquals([farEmpty.closed, farFull.closed, farEmpty.trySend(1)], [true, true, false]);
  await pair.settle();
  assertEquals(farEmpty.tryReceive(), { state: "closed" });
  assertEquals(farFull.tryReceive(), { state: "empty" });
  await pair.settle();
  assertEquals(farFull.tryReceive(), { state: "ok", value: 1 });
  assertEquals(await rejection(farFull.receive()), "enough");
});

test("close() from afar: the home closes behind the values, once it has room for them", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 2 });
  const far = pair.pass(ch);
  for (let i = 1; i <= 4; i++) {
    assert(far.trySend(i));
    await pair.settle();
  }
  assertEquals([far.close(new TypeError("done")), far.close(), far.closed], [true, false, true]);
  await pair.settle();
  assertEquals([ch.size, ch.closed], [2, false]);
  const got: number[] = [];
  const error = await rejection(
    all(function* () {}() as never).then(async () => {
      for await (const value of ch) got.push(value);
    }),
  );
  assertEquals(got, [1, 2, 3, 4]);
  assertInstanceOf(error, TypeError);
});

test("close() from afar rejects the senders that wait, with their value, and later ones", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 1 });
  const far = pair.pass(ch);
  await far.send(1);
  const second = rejection(far.send(2));
  const choosing = rejection(select({ out: far.sending(3) }));
  far.close();
  const [a, b] = await Promise.all([second, choosing]) as ChannelClosedError[];
  assertInstanceOf(a, ChannelClosedError);
  assertInstanceOf(b, ChannelClosedError);
  assertEquals([a!.value, b!.value], [2, 3]);
  assertEquals(((await rejection(far.send(4))) as ChannelClosedError).value, 4);
  await assertRejects(() => select({ out: far.sending(5) }), ChannelClosedError);
  await pair.settle();
  assertEquals(await all(ch), [1]);
});

test("after close() from afar the rest can still be received there", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 4 });
  const far = pair.pass(ch);
  fill(ch, 1, 3);
  far.close();
  await pair.settle();
  const got = all(far);
  await pair.settle();
  assertEquals(await got, [1, 2, 3]);
  assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
});

test("senders there that wait reject when the home is closed", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(1);
  const far = pair.pass(ch);
  await far.send(1);
  const second = outcome(far.send(2));
  ch.close();
  // The second value was not accepted yet, the first one is on its way.
  await pair.settle();
  assertEquals(second.state, "rejected");
  assertEquals((second.error as ChannelClosedError).value, 2);
  assertEquals(lost, [1]);
});

test("values that arrive at a closed home are told of as undelivered", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(4);
  const far = pair.pass(ch);
  for (let i = 1; i <= 3; i++) far.trySend(i);
  ch.close();
  await pair.settle();
  assertEquals([lost, ch.size, pair.main.ignored, pair.worker.ignored], [[1, 2, 3], 0, 0, 0]);
});

test("values that wait at the door of a home that is closed are told of as undelivered", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(2);
  const far = pair.pass(ch);
  for (let i = 1; i <= 4; i++) {
    assert(far.trySend(i));
    await pair.settle();
  }
  assertEquals(ch.size, 2);
  ch.close();
  assertEquals([lost, await all(ch)], [[3, 4], [1, 2]]);
});

test("a closed channel with values that nobody there asks for rests", async () => {
  const pair = new Pair("manual");
  let looks = 0;
  const receiver = {
    receive: () => Promise.resolve(1),
    "~select": {
      ready: () => ++looks > 0,
      ended: () => false,
      take: () => ({ value: 1, done: false }),
      enlist: () => {},
      delist: () => {},
    },
    cancel: () => true,
    closed: true,
    size: 1,
    capacity: 4,
  };
  pair.pass(receiver);
  await pair.settle();
  const before = looks;
  for (let i = 0; i < 200; i++) await Promise.resolve();
  assertEquals(looks, before);
  const ch = new Channel<number>({ capacity: 4 });
  pair.pass(ch);
  fill(ch, 1, 2);
  ch.close();
  await pair.settle();
  await new Promise((resolve) => setTimeout(resolve, 0)); // not before the microtasks have ended
  assertEquals(ch.size, 2);
});

// -- Cancel --

test("cancel() at home: what was not read there is told of once, and it ends with the reason", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(4);
  const far = pair.pass(ch);
  fill(ch, 1, 4);
  const first = far.receive();
  await pair.settle();
  assertEquals(await first, 1);
  await pair.settle();
  assertEquals([far.size, ch.size], [1, 2]);
  const waiting = outcome(far.send(9));
  assertEquals(waiting.state, "pending");
  ch.cancel(new RangeError("stop"));
  await pair.settle();
  // The value that was accepted before the cancel was heard of arrives too late.
  assertEquals(lost.sort(), [2, 3, 4, 9].slice(0, lost.length));
  const error = await rejection(far.receive());
  assertInstanceOf(error, RangeError);
  assertEquals([far.closed, far.size, far.trySend(1)], [true, 0, false]);
  assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
  assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
});

test("cancel() at home twice is told once", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 4 });
  pair.pass(ch);
  ch.cancel();
  ch.cancel();
  await pair.settle();
  assertEquals(pair.worker.heard.filter(([kind]) => kind === "cancel").length, 1);
  assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
});

test("cancel() at home after close() discards what is there too", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(4);
  const far = pair.pass(ch);
  fill(ch, 1, 3);
  far.tryReceive();
  await pair.settle();
  ch.close("over");
  await pair.settle();
  assertEquals(far.size, 1);
  ch.cancel();
  await pair.settle();
  assertEquals(lost.sort(), [1, 2, 3]);
  assertEquals(await rejection(far.receive()), "over");
});

test("cancel() from afar cancels the home with the reason; what is unread is told of there", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(4);
  const far = pair.pass(ch);
  fill(ch, 1, 4);
  far.tryReceive();
  await pair.settle();
  assertEquals([far.size, ch.size], [1, 3]);
  const receiving = outcome(far.receive());
  await pair.settle();
  assertEquals(receiving.value, 1);
  await pair.settle();
  assertEquals([far.cancel(new RangeError("stop")), far.cancel()], [true, false]);
  assertEquals([far.closed, far.size], [true, 0]);
  assertInstanceOf(await rejection(far.receive()), RangeError);
  await pair.settle();
  assertEquals([lost.sort(), ch.closed, ch.size], [[2, 3, 4], true, 0]);
  assertInstanceOf(await rejection(ch.receive()), RangeError);
  assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
});

test("cancel() from afar: what was sent before goes to onUndelivered, once", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(2);
  const far = pair.pass(ch);
  for (let i = 1; i <= 4; i++) {
    assert(far.trySend(i));
    await pair.settle();
  }
  far.cancel();
  await pair.settle();
  assertEquals(lost.sort(), [1, 2, 3, 4]);
});

test("cancel() at both ends at once loses and doubles nothing", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(4);
  const far = pair.pass(ch);
  fill(ch, 1, 4);
  far.tryReceive();
  await pair.settle();
  ch.cancel("a");
  far.cancel("b");
  await pair.settle();
  assertEquals(lost.sort(), [1, 2, 3, 4]);
  assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
  assertEquals([await rejection(ch.receive()), await rejection(far.receive())], ["a", "b"]);
});

// -- Select, iteration --

test("select takes a value of a crossed channel, and the loser leaves nothing", async () => {
  const pair = new Pair("manual");
  const a = new Channel<number>({ capacity: 2 }), b = new Channel<number>({ capacity: 2 });
  const [farA, farB] = pair.pass([a, b] as const);
  const choosing = outcome(select({ a: farA, b: farB }));
  await pair.settle();
  assertEquals(choosing.state, "pending");
  fill(b, 7, 7);
  await pair.settle();
  assertEquals(choosing.value, { key: "b", value: 7, done: false });
  fill(a, 1, 2);
  await pair.settle();
  assertEquals(farA.tryReceive(), { state: "ok", value: 1 });
  pair.end();
  await pair.settle();
  assertEquals([a.size, b.size], [1, 0]);
});

test("select sends when there is credit, waits when there is none, once", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 1 });
  const far = pair.pass(ch);
  assertEquals(await select({ out: far.sending(1) }), {
    key: "out",
    value: undefined,
    done: false,
  });
  assertEquals(trySelect({ out: far.sending(2) }), undefined);
  const other = pair.pass(new Channel<number>({ capacity: 1 }));
  const choosing = outcome(select({ out: far.sending(2), in: other }));
  const given = outcome(select({ out: far.sending(3) }, { timeout: 1 }));
  await rejection(select({ out: far.sending(4) }, { signal: AbortSignal.abort() }));
  while (given.state === "pending") await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals([choosing.state, given.state], ["pending", "rejected"]);
  await pair.settle();
  assertEquals(choosing.value, { key: "out", value: undefined, done: false });
  assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
  await pair.settle();
  assertEquals([ch.tryReceive(), ch.tryReceive()], [{ state: "ok", value: 2 }, { state: "empty" }]);
});

test("select at home and from afar on one channel: each value once", async () => {
  const pair = new Pair();
  const ch = new Channel<number>({ capacity: 4 });
  const far = pair.pass(ch);
  const got: number[] = [];
  const take = async (receiver: Channel<number>): Promise<void> => {
    for (;;) {
      const { value, done } = await select({ value: receiver });
      if (done) return;
      got.push(value);
    }
  };
  const taking = [take(ch), take(far)];
  for (let i = 0; i < 100; i++) await select({ out: ch.sending(i) });
  ch.close();
  await Promise.all(taking);
  assertEquals(got.sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i));
});

test("leaving a loop early loses nothing; with closeOnReturn it cancels the home", async () => {
  const pair = new Pair();
  const { ch, lost } = noted<number>(8);
  const far = pair.pass(ch);
  fill(ch, 1, 6);
  for await (const value of far) if (value === 2) break;
  assertEquals(await far.receive(), 3);
  for await (const value of far.values({ closeOnReturn: true })) if (value === 4) break;
  await assertRejects(() => far.receive(), ChannelClosedError);
  await pair.settle();
  while (!ch.closed) await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(lost.sort(), [5, 6]);
});

test("chunks() gives many at once, in order, and ends", async () => {
  const pair = new Pair();
  const ch = new Channel<number>({ capacity: 64 });
  const far = pair.pass(ch);
  const sent = (async () => {
    for (let i = 0; i < 500; i++) await ch.send(i);
    ch.close();
  })();
  const chunks = await all(far.chunks(10));
  await sent;
  assertEquals(chunks.flat(), Array.from({ length: 500 }, (_, i) => i));
  assert(chunks.length < 250, `got ${chunks.length} chunks`);
  assert(chunks.every(({ length }) => length <= 10));
});

test("tryReceive() asks first, then finds", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 2 });
  const far = pair.pass(ch);
  fill(ch, 1, 1);
  assertEquals(far.tryReceive(), { state: "empty" });
  await pair.settle();
  assertEquals(far.tryReceive(), { state: "ok", value: 1 });
  assertEquals(far.tryReceive(), { state: "empty" });
  ch.close();
  await pair.settle();
  assertEquals(far.tryReceive(), { state: "closed" });
});

test("toReadableStream() of a crossed channel", async () => {
  const pair = new Pair();
  const ch = new Channel<number>({ capacity: 2 });
  const reader = pair.pass(ch).toReadableStream().getReader();
  fill(ch, 1, 2);
  assertEquals(await reader.read(), { done: false, value: 1 });
  ch.close();
  assertEquals(await reader.read(), { done: false, value: 2 });
  assertEquals((await reader.read()).done, true);
});

test("a crossed channel is disposed of as any other", async () => {
  const pair = new Pair();
  const ch = new Channel<number>({ capacity: 2 });
  {
    using far = pair.pass(ch);
    await far.send(1);
  }
  assertEquals(await all(ch), [1]);
});

// -- The end of the call --

test("what was not read goes back to the front of the home, in order", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 8 });
  const far = pair.pass(ch);
  fill(ch, 1, 8);
  const got: number[] = [];
  const reading = (async () => {
    for await (const value of far) {
      got.push(value);
      if (got.length === 5) break;
    }
  })();
  await pair.settle();
  await reading;
  while (ch.trySend(9));
  await pair.settle();
  pair.worker.scope.end();
  await pair.settle();
  ch.close();
  const rest = await all(ch);
  assertEquals(got, [1, 2, 3, 4, 5]);
  assertEquals(rest.slice(0, 3), [6, 7, 8]);
  assert(rest.slice(3).every((value) => value === 9));
});

test("what is under way when the call ends goes back too", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 8 });
  const far = pair.pass(ch);
  fill(ch, 1, 4);
  far.tryReceive();
  while (pair.underWay("worker") === 0) {
    await Promise.resolve();
    pair.deliver("main");
    for (let i = 0; i < 30; i++) await Promise.resolve();
  }
  pair.worker.scope.end();
  await pair.settle();
  assertEquals([ch.tryReceive(), ch.size], [{ state: "ok", value: 1 }, 3]);
  assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
});

test("what was posted goes back before what was only collected", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 8 });
  const far = pair.pass(ch);
  far.tryReceive();
  await pair.settle();
  assertEquals(pair.main.crossings.receive(["credit", 0, 3]), true);
  fill(ch, 1, 2);
  while (pair.underWay("worker") === 0) await Promise.resolve();
  for (let i = 0; i < 40; i++) await Promise.resolve();
  pair.worker.scope.end();
  while (pair.worker.posted.length === 0) await Promise.resolve();
  fill(ch, 3, 4); // the first of them stands with the outflow when the release comes
  assertEquals(ch.size, 1);
  pair.deliver("main");
  ch.close();
  assertEquals(await all(ch), [1, 2, 3, 4]);
  await pair.settle();
});

test("who waits at home gets first what comes back", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 8 });
  const far = pair.pass(ch);
  fill(ch, 1, 1);
  far.tryReceive();
  await pair.settle();
  const first = outcome(ch.receive()), second = outcome(ch.receive());
  await pair.settle();
  assertEquals([far.size, first.state], [1, "pending"]);
  pair.end();
  await pair.settle();
  assertEquals([first.value, second.state], [1, "pending"]);
  fill(ch, 2, 2);
  await pair.settle();
  assertEquals(second.value, 2);
});

test("after its call a crossed channel says so", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 1, name: "x" });
  const far = pair.pass(ch);
  far.trySend(1);
  const sending = rejection(far.send(2)), receiving = rejection(far.receive());
  pair.worker.scope.end();
  const errors = await Promise.all([sending, receiving, rejection(far.send(3))]) as Error[];
  for (const error of errors) assertInstanceOf(error, ChannelClosedError);
  assertEquals(errors.map(({ message }) => message), [
    'Cannot send to channel "x": the call that it was passed to must go on, got its end',
    'Cannot receive from channel "x": the call that it was passed to must go on, got its end',
    'Cannot send to channel "x": the call that it was passed to must go on, got its end',
  ]);
  assertEquals((errors[0] as ChannelClosedError).value, 2);
  assertEquals([far.closed, far.trySend(4), far.close(), far.cancel()], [
    true,
    false,
    false,
    false,
  ]);
  await pair.settle();
  // What was accepted is sent; the home itself stays open.
  assertEquals([ch.tryReceive(), ch.closed], [{ state: "ok", value: 1 }, false]);
  assertThrows(() => pair.worker.scope.encode(far, "value", []), NotTransferableError);
});

test("the main side may end a call first", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 4 });
  const far = pair.pass(ch);
  fill(ch, 1, 4);
  const receiving = outcome(far.receive());
  await pair.settle();
  assertEquals(receiving.value, 1);
  far.trySend(5);
  await pair.settle();
  pair.main.scope.end();
  pair.main.scope.end();
  await pair.settle();
  await assertRejects(() => far.receive(), ChannelClosedError, "must go on");
  ch.close();
  assertEquals(await all(ch), [2, 3, 4, 5]);
  assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
  assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
});

test("both sides may end a call at once", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 4 });
  const far = pair.pass(ch);
  fill(ch, 1, 4);
  far.tryReceive();
  await pair.settle();
  pair.end();
  await pair.settle();
  assertEquals([ch.size, ch.tryReceive()], [4, { state: "ok", value: 1 }]);
  assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
  assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
});

test("buffers that moved come back when they were not read", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<Uint8Array>(8);
  const far = pair.pass(ch);
  for (let i = 1; i <= 3; i++) ch.trySend(transfer(new Uint8Array([i])));
  const first = outcome(far.receive());
  await pair.settle();
  assertEquals(first.value, new Uint8Array([1]));
  await pair.settle();
  assertEquals([far.size, ch.size], [1, 1]);
  pair.worker.scope.end();
  await pair.settle();
  ch.close();
  assertEquals(await all(ch), [new Uint8Array([2]), new Uint8Array([3])]);
  assertEquals(lost, []);
  pair.main.scope.end();
  assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
});

test("buffers that moved, and are under way when the call ends, come back in order", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<Uint8Array>({ capacity: 8 });
  const far = pair.pass(ch);
  const reading = outcome(far.receive());
  await pair.settle();
  for (let i = 1; i <= 4; i++) ch.trySend(transfer(new Uint8Array([i])));
  while (pair.underWay("worker") === 0) await Promise.resolve();
  pair.worker.scope.end();
  await pair.settle();
  assertInstanceOf(reading.error, ChannelClosedError);
  ch.close();
  assertEquals((await all(ch)).map(([n]) => n), [1, 2, 3, 4]);
  assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
});

test("buffers that moved to a thread that crashes are told of as undelivered", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<Uint8Array>(8);
  const far = pair.pass(ch);
  far.tryReceive();
  await pair.settle();
  ch.trySend(transfer(new Uint8Array([1])));
  await pair.settle();
  pair.worker.scope.end();
  // The release is heard, the buffer is not back yet.
  while (!pair.deliver("main")) await Promise.resolve();
  const inFlight = pair.main.crossings.crash();
  assertEquals([inFlight.length, lost.length], [1, 1]);
});

test("a port that moved and cannot come back is told of as undelivered", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<unknown>(8);
  const far = pair.pass(ch);
  far.tryReceive();
  await pair.settle();
  const { port1, port2 } = new MessageChannel();
  ch.trySend(transfer(port1));
  ch.trySend("after");
  await pair.settle();
  const back = far.size;
  pair.worker.scope.end();
  await pair.settle();
  assertEquals([back, lost], [1, [port1]]);
  assertEquals([ch.tryReceive(), ch.size], [{ state: "ok", value: "after" }, 0]);
  port2.close();
});

test("values for a home that was cancelled meanwhile do not go back", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(4);
  const far = pair.pass(ch);
  fill(ch, 1, 2);
  far.tryReceive();
  await pair.settle();
  pair.worker.scope.end();
  ch.cancel();
  await pair.settle();
  assertEquals([lost.sort(), ch.size], [[1, 2], 0]);
});

// -- Crash --

test("crash(): what was not confirmed is told of and listed, what was not posted goes back", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(8);
  const far = pair.pass(ch);
  fill(ch, 1, 4);
  const first = outcome(far.receive());
  await pair.settle();
  assertEquals([first.value, far.size, ch.size], [1, 1, 2]);
  far.trySend(50);
  await pair.settle();
  assertEquals(pair.main.crossings.crash(), [2]);
  assertEquals([lost, ch.closed], [[2], false]);
  ch.close();
  assertEquals(await all(ch), [3, 4, 50]);
  assertEquals([pair.main.crossings.size, pair.main.crossings.crash()], [0, []]);
  assertEquals(pair.main.crossings.receive(["credit", 0, 1]), false);
});

test("crash(): values that were only collected are the home's again", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<number>(4);
  const far = pair.pass(ch);
  far.tryReceive();
  await pair.settle();
  fill(ch, 1, 1); // its outflow has it now
  assertEquals(ch.size, 0);
  assertEquals(pair.main.crossings.crash(), []);
  assertEquals([ch.tryReceive(), lost], [{ state: "ok", value: 1 }, []]);
});

test("crash(): channels of the other side fail with the error", async () => {
  const pair = new Pair("manual");
  const home = new Channel<number>({ capacity: 1 });
  const here = pair.passBack(home);
  here.trySend(1);
  const waits = [rejection(here.receive()), rejection(here.send(2))];
  pair.main.crossings.crash(new TypeError("gone"));
  const errors = await Promise.all(waits);
  assertInstanceOf(errors[0], TypeError);
  assertInstanceOf(errors[1], ChannelClosedError);
});

// -- Values that cannot be posted --

test("send() from afar refuses what cannot be posted; the value stays the caller's", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<unknown>({ capacity: 1 });
  const far = pair.pass(ch);
  const bad = { a: [() => {}] };
  const error = await rejection(far.send(bad)) as NotTransferableError;
  assertInstanceOf(error, NotTransferableError);
  assertEquals(error.path, "value.a[0]");
  assertThrows(() => far.trySend(bad), NotTransferableError);
  await assertRejects(() => select({ out: far.sending(bad) }), NotTransferableError);
  assert(far.trySend("good")); // no credit was used up
  const waiting = outcome(far.send(bad)), after = outcome(far.send("next"));
  await pair.settle();
  assertInstanceOf(waiting.error, NotTransferableError);
  assertEquals([after.state, ch.tryReceive()], ["resolved", { state: "ok", value: "good" }]);
  pair.end();
  await pair.settle();
  assertEquals(ch.tryReceive(), { state: "ok", value: "next" });
});

test("a value at home that cannot be posted ends the far side, behind those before it", async () => {
  const pair = new Pair("manual");
  const { ch, lost } = noted<unknown>(8);
  const far = pair.pass(ch);
  const bad = (): void => {};
  const got = outcome((async () => {
    const values: unknown[] = [];
    try {
      for await (const value of far) values.push(value);
    } catch (error) {
      values.push(error);
    }
    return values;
  })());
  for (const value of [1, 2, bad, 3]) await ch.send(value);
  await pair.settle();
  const values = got.value!;
  assertEquals(values.slice(0, -1), [1, 2]);
  assertInstanceOf(values.at(-1), NotTransferableError);
  assertEquals(lost, [bad]);
  // The home is open, and has the rest.
  assertEquals([ch.closed, ch.tryReceive()], [false, { state: "ok", value: 3 }]);
  pair.end();
  await pair.settle();
});

// -- What is no channel --

test("a receiver crosses as a receiver", async () => {
  const pair = new Pair();
  let cleaned = false;
  const source = produce(async function* () {
    try {
      for (let i = 1; i <= 5; i++) yield i;
    } finally {
      cleaned = true;
    }
  }, { capacity: 2 });
  const far = pair.pass<Receiver<number>>(source);
  assert(!(far instanceof Channel));
  assertEquals("send" in far, false);
  assertEquals([far.capacity, Object.prototype.toString.call(far)], [2, "[object Receiver]"]);
  assertEquals(await far.receive(), 1);
  assertEquals((await select({ far })).value, 2);
  assertEquals(await all(far), [3, 4, 5]);
  assert(cleaned);
});

test("a receiver that is no channel is cancelled with its call; what was unread is told of", async () => {
  const pair = new Pair("manual");
  let cleaned = false;
  const source = produce(function* () {
    try {
      for (let i = 1;; i++) yield i;
    } finally {
      cleaned = true;
    }
  }, { capacity: 4 });
  const far = pair.pass<Receiver<number>>(source);
  const first = outcome(far.receive());
  await pair.settle();
  assertEquals([first.value, far.size], [1, 1]);
  pair.worker.scope.end();
  await pair.settle();
  assertEquals([pair.main.undelivered, source.closed], [[2], true]);
  await pair.settle();
  assert(cleaned);
});

test("a receiver cancelled from afar is cancelled at home", async () => {
  const pair = new Pair("manual");
  const source = produce(function* () {
    for (let i = 1;; i++) yield i;
  }, { capacity: 4 });
  const far = pair.pass<Receiver<number>>(source);
  assert(far.cancel());
  await pair.settle();
  assert(source.closed);
});

test("what receives without a capacity crosses too, as a merge does", async () => {
  const pair = new Pair();
  const a = new Channel<number>({ capacity: 4 }), b = new Channel<number>({ capacity: 4 });
  const far = pair.pass(merge(a, b)) as unknown as Receiver<number>;
  fill(a, 1, 2);
  fill(b, 3, 4);
  a.close();
  b.close();
  assertEquals((await all(far)).sort(), [1, 2, 3, 4]);
});

test("a sender crosses as a sender", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 2 });
  const sender: Sender<number> = {
    send: (value, options) => ch.send(value, options),
    trySend: (value) => ch.trySend(value),
    sending: (value) => ch.sending(value),
    close: (...reason) => ch.close(...reason),
    get closed() {
      return ch.closed;
    },
    get size() {
      return ch.size;
    },
    get capacity() {
      return ch.capacity;
    },
  };
  const far = pair.pass(sender);
  assertEquals(["receive" in far, Object.prototype.toString.call(far)], [false, "[object Sender]"]);
  await far.send(1);
  await select({ out: far.sending(2) });
  assertEquals(far.trySend(3), false);
  await pair.settle();
  assert(far.trySend(3));
  assert(far.trySend(4));
  await pair.settle();
  far.close("bye");
  await pair.settle();
  assertEquals([ch.size, ch.closed], [2, false]);
  const got: number[] = [];
  const reason = await rejection((async () => {
    for await (const value of ch) got.push(value);
  })());
  assertEquals([got, reason], [[1, 2, 3, 4], "bye"]);
  assertStrictEquals(pair.main.crossings.size, 0);
});

test("values for a sender that is closed are told of", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 1 });
  const sender = {
    send: (value: number) => ch.send(value),
    trySend: (value: number) => ch.trySend(value),
    sending: (value: number) => ch.sending(value),
    close: () => ch.close(),
    get closed() {
      return ch.closed;
    },
    get size() {
      return ch.size;
    },
    get capacity() {
      return ch.capacity;
    },
  };
  const far = pair.pass<Sender<number>>(sender);
  for (let i = 1; i <= 2; i++) {
    assert(far.trySend(i));
    await pair.settle();
  }
  ch.close(); // one is in the buffer, one waits before the door
  assert(far.trySend(3) || true);
  await pair.settle();
  assertEquals(await all(ch), [1]);
  assert(pair.main.undelivered.includes(2), String(pair.main.undelivered));
});

// -- Channels in channels --

test("a channel sent through a channel crosses with the same call", async () => {
  const pair = new Pair();
  const requests = new Channel<{ n: number; reply: Channel<number> }>({ capacity: 2 });
  const far = pair.pass(requests);
  const serving = (async () => {
    for await (const { n, reply } of far) {
      await reply.send(n * 2);
      reply.close();
    }
  })();
  for (let n = 1; n <= 5; n++) {
    const reply = new Channel<number>({ capacity: 1 });
    await requests.send({ n, reply });
    assertEquals(await all(reply), [n * 2]);
  }
  requests.close();
  await serving;
  pair.end();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
  assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
});

test("a worker's own channel crosses in a value, and ends with the call", async () => {
  const pair = new Pair("manual");
  const out = new Channel<Channel<number>>({ capacity: 1 });
  const far = pair.pass(out);
  const own = new Channel<number>({ capacity: 2 });
  await far.send(own);
  await pair.settle();
  const here = await out.receive();
  fill(own, 1, 2);
  const first = outcome(here.receive());
  await pair.settle();
  assertEquals(first.value, 1);
  pair.worker.scope.end();
  await pair.settle();
  await assertRejects(() => here.receive(), ChannelClosedError, "must go on");
  assertEquals(own.tryReceive(), { state: "ok", value: 2 });
});

test("the end of a channel is told behind the value that carries it", async () => {
  const pair = new Pair("manual");
  const out = new Channel<unknown>({ capacity: 16 }), passed = new Channel({ capacity: 16 });
  const far = pair.pass(out), farPassed = pair.pass(passed);
  const cancelled = new Channel({ capacity: 16 }), closed = new Channel({ capacity: 16 });
  for (const value of [1, farPassed, cancelled, closed, 2]) assert(far.trySend(value));
  farPassed.cancel();
  cancelled.cancel(new RangeError("no more"));
  closed.close();
  await pair.settle();
  out.close();
  const [one, same, first, second, two] = await all(out) as [1, unknown, Channel<1>, Channel<1>, 2];
  assertEquals([one, two, second.closed, pair.main.ignored], [1, 2, true, 0]);
  assertStrictEquals(same, passed);
  await assertRejects(() => first.receive(), RangeError, "no more");
});

test("a channel of one worker can be passed on to another", async () => {
  const one = new Pair(), two = new Pair();
  const own = new Channel<number>({ capacity: 4 });
  const here = one.passBack(own);
  const there = two.pass(here);
  await there.send(1);
  assertEquals(await own.receive(), 1);
  await own.send(2);
  assertEquals(await there.receive(), 2);
  // The end of its call there is not its own end.
  two.end();
  await one.settle();
  await two.settle();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals([own.closed, here.closed, there.closed], [false, false, true]);
  own.close();
  await assertRejects(() => here.receive(), ChannelClosedError);
});

test("the end of a channel reaches through two threads", async () => {
  const one = new Pair(), two = new Pair();
  const own = new Channel<number>({ capacity: 4 });
  const there = two.pass(one.passBack(own));
  const got = all(there);
  for (let i = 0; i < 50; i++) await own.send(i);
  own.close(new RangeError("over"));
  assertInstanceOf(await rejection(got), RangeError);
});

test("a thing of the user's own that breaks its promises breaks nothing else", async () => {
  const pair = new Pair("manual");
  const broken = {
    send: () => Promise.reject(new Error("no")),
    trySend(value: number): boolean {
      if (value < 3) throw new Error("never throws, it said");
      return false;
    },
    sending: () => {
      throw new Error("nor this");
    },
    close: () => true,
    closed: false,
    size: 0,
    capacity: 4,
  };
  const far = pair.pass<Sender<number>>(broken);
  for (let i = 1; i <= 4; i++) far.trySend(i);
  await pair.settle();
  assertEquals([pair.main.undelivered, pair.main.ignored], [[1, 2, 3, 4], 0]);
  assert(far.trySend(5));
});

// -- Over ports of the host --

test("channels cross real ports, both ways at once", async () => {
  const { port1, port2 } = new MessageChannel();
  const pair = new Pair("manual");
  const sides = [[pair.main, port1], [pair.worker, port2]] as const;
  for (const [side, port] of sides) {
    port.onmessage = ({ data }) => side.hear(data);
    side.onPosted = () => port.postMessage(side.posted.shift());
  }
  try {
    const out = new Channel<number>({ capacity: 64 }), back = new Channel<string>({ capacity: 64 });
    const [input, output] = pair.pass([out, back] as const);
    const stage = (async () => {
      for await (const value of input) await output.send(`<${value}>`);
      output.close();
    })();
    const sent = (async () => {
      for (let i = 0; i < 3000; i++) await out.send(i);
      out.close();
    })();
    assertEquals(await all(back), Array.from({ length: 3000 }, (_, i) => `<${i}>`));
    await Promise.all([sent, stage]);
    pair.end();
    while (pair.main.crossings.size + pair.worker.crossings.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
    assert(pair.main.heard.length < 1500, `${pair.main.heard.length} records`);
  } finally {
    port1.close();
    port2.close();
  }
});

// -- Hostile records --

/** Records that must be refused by the home and by the far end of a fresh channel of capacity 2. */
const HOSTILE: readonly unknown[] = [
  null,
  "credit",
  {},
  [],
  [1, 0, 1],
  ["credit"],
  ["nothing", 0, 1],
  ["__proto__", 0, 1],
  ["constructor", 0],
  ["credit", 2, 1],
  ["credit", -1, 1],
  ["credit", "0", 1],
  ["credit", "__proto__", 1],
  ["credit", null, 1],
  ["credit", 0, 0],
  ["credit", 0, -1],
  ["credit", 0, 1.5],
  ["credit", 0, NaN],
  ["credit", 0, Infinity],
  ["credit", 0, "1"],
  ["credit", 0, 3],
  ["taken", 0, 1],
  ["taken", 0, -1],
  ["taken", 0, 2 ** 53],
  ["values", 0],
  ["values", 0, "ab"],
  ["values", 0, { length: 1 }],
  ["values", 0, [1, 2, 3]],
  ["values", 0, [[1, 2, 3]]],
  ["values", 0, [[1, "specials"]]],
  ["values", 0, [[{}, [{}, 2, [77]]]]],
  ["end", 0, 1, 2],
  ["end", 0, [1, 2, 3]],
  ["cancel", 0, [1, 2, 3]],
  ["back", 0, []],
  ["release"],
  ["release", 4],
];

for (const to of ["main", "worker"] as const) {
  test(`a malformed record to ${to} is refused, and nothing is broken`, async () => {
    const pair = new Pair("manual");
    const ch = new Channel<number>({ capacity: 2 });
    const far = pair.pass(ch);
    for (const record of HOSTILE) {
      assertEquals(pair[to].crossings.receive(record), false, JSON.stringify(record));
    }
    fill(ch, 1, 2);
    const got = all(far);
    await pair.settle();
    assert(far.trySend(3));
    far.close();
    await pair.settle();
    assertEquals(await got, [1, 2, 3]);
    pair.end();
    await pair.settle();
    assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0]);
    assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0]);
  });
}

test("values beyond the credit are refused, those within it are taken", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 2 });
  const far = pair.pass(ch);
  assertEquals(pair.worker.crossings.receive(["values", 0, [1], false]), false); // none was given
  far.tryReceive();
  assertEquals(pair.worker.crossings.receive(["values", 0, [1, 2], false]), false);
  assertEquals(pair.worker.crossings.receive(["values", 0, [1], false]), true);
  assertEquals(pair.worker.crossings.receive(["values", 0, [2], false]), false);
  assertEquals([far.tryReceive(), far.tryReceive()], [{ state: "ok", value: 1 }, {
    state: "empty",
  }]);
  // And into the home: its capacity is the credit.
  assertEquals(pair.main.crossings.receive(["values", 0, [1, 2], false]), true);
  assertEquals(pair.main.crossings.receive(["values", 0, [3], false]), false);
  await Promise.resolve();
  assertEquals(pair.main.crossings.receive(["values", 0, [3, 4], false]), true); // two were taken
  assertEquals(pair.main.crossings.receive(["values", 0, [5], false]), false);
  assertEquals(ch.size, 2);
  assertEquals(pair.main.crossings.receive(["end", 0]), true);
  assertEquals(pair.main.crossings.receive(["end", 0]), false);
  assertEquals(pair.main.crossings.receive(["values", 0, [6], false]), false);
});

test("a credit beyond the capacity, or a confirm of what was not sent, changes nothing", async () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 4 });
  const far = pair.pass(ch);
  assertEquals(pair.main.crossings.receive(["credit", 0, 4]), true);
  assertEquals(pair.main.crossings.receive(["credit", 0, 1]), false);
  fill(ch, 1, 2);
  for (let i = 0; i < 40; i++) await Promise.resolve();
  assertEquals(pair.underWay("worker"), 2);
  assertEquals(pair.main.crossings.receive(["taken", 0, 3]), false);
  assertEquals(pair.main.crossings.receive(["taken", 0, 2]), true);
  assertEquals(pair.main.crossings.receive(["taken", 0, 1]), false);
  far.trySend(1);
  assertEquals(pair.worker.crossings.receive(["taken", 0, 1]), false); // collected, not posted
});

test("a token that nobody passed is refused", () => {
  const pair = new Pair("manual");
  const ch = new Channel<number>({ capacity: 2 });
  pair.pass(ch);
  const place = {};
  const tokens: unknown[] = [
    undefined,
    null,
    "0",
    [],
    [1],
    [2],
    ["0"],
    [2, 0, 2, 2, false],
    [3, 9, 2, 2, false],
    [3, 0, 0, 2, false],
    [3, 0, 4096, 2, false],
    [3, 0, 2, "2", false],
    [3, 0, 2, 2, 0],
    [3, 0, 2, 2, false, 7],
    [-1, 0, 2, 2, false],
    [3.5, 0, 2, 2, false],
    [-3, 0, 2, 2, false],
  ];
  for (const token of tokens) {
    assertThrows(
      () => pair.main.scope.decode(structuredClone([place, [place, 2, token]])),
      TypeError,
      "Cannot decode message",
      JSON.stringify(token),
    );
  }
  const fresh = [3, 0, 2, 2, false, undefined];
  assertInstanceOf(pair.main.scope.decode([place, [place, 2, fresh]]), Channel);
  // Only within the call that it belongs to.
  const other = pair.main.crossings.scope();
  assertThrows(() => other.decode([place, [place, 2, fresh]]), TypeError);
});
