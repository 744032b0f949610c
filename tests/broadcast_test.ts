// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Every subscriber gets every value, or is told how many it missed.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { clock } from "../src/_kernel/clock.ts";
import { Broadcast, type Subscription } from "../src/broadcast.ts";
import { ChannelClosedError, TimeoutError } from "../src/errors.ts";
import { merge } from "../src/merge.ts";
import { select } from "../src/select.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { withTimeout } from "../src/timeout.ts";
import { enlisted, noneEnlisted } from "./enlisted.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();
noneEnlisted();

/** Reasons that a careless `reason ?? default` would change, and the ordinary one. */
const REASONS = [undefined, null, false, 0, "", "stop", new Error("stop")];

/** All that can be taken at once. */
function drain<T>(subscription: Subscription<T>): T[] {
  const values: T[] = [];
  for (
    let got = subscription.tryReceive();
    got.state === "ok";
    got = subscription.tryReceive()
  ) values.push(got.value);
  return values;
}

// -- Every value to everybody --

for (const capacity of [0, 1, 64]) {
  test(`Broadcast.send() gives every subscriber every value in one order, capacity ${capacity}`, async () => {
    const news = new Broadcast<string>();
    const got = Array.from({ length: 5 }, () => [] as string[]);
    const readers = got.map((list, i) => {
      const subscription = news.subscribe({ capacity });
      return spawn(async () => {
        for await (const value of subscription) {
          list.push(value);
          for (let turns = (list.length + i) % 3; turns > 0; turns--) await sleep(0);
        }
      });
    });
    const writers = ["a", "b", "c"].map((name, n) =>
      spawn(async () => {
        for (let i = 0; i < 30; i++) {
          await news.send(`${name}${i}`);
          if (i % (n + 1) === 0) await sleep(0);
        }
      })
    );
    for (const writer of writers) await writer;
    assert(news.close());
    for (const reader of readers) await reader;
    assertEquals(got[0]!.length, 90);
    for (const list of got) assertEquals(list, got[0]);
    for (const name of ["a", "b", "c"]) {
      assertEquals(
        got[0]!.filter((value) => value.startsWith(name)),
        Array.from({ length: 30 }, (_, i) => `${name}${i}`),
      );
    }
    assertEquals(news.subscribers, 0);
  });
}

test("Broadcast.send() without subscribers resolves, and the value is gone", async () => {
  const news = new Broadcast<number>();
  await news.send(1);
  using late = news.subscribe({ capacity: 1 });
  assertEquals(late.tryReceive(), { state: "empty" });
});

test("Broadcast.send() gives undefined, null and thenables as they are", async () => {
  const news = new Broadcast<unknown>({ replay: 1 });
  using first = news.subscribe({ capacity: 4 });
  const promise = Promise.resolve(7);
  for (const value of [undefined, null, false, promise]) await news.send(value);
  using second = news.subscribe();
  assertEquals(drain(first), [undefined, null, false, promise]);
  const [replayed] = drain(second);
  assertStrictEquals(replayed, promise);
});

// -- wait --

test('Broadcast.send() parks while a subscriber with "wait" has no room', async () => {
  const step = steps(), news = new Broadcast<number>();
  using fast = news.subscribe({ capacity: 4 });
  using slow = news.subscribe({ capacity: 1 });
  await news.send(1);
  const sent = news.send(2).then(() => step(2));
  await idle();
  step(1);
  assertEquals(drain(fast), [1, 2], "those that have room have it at once");
  assertEquals(await slow.receive(), 1);
  await sent;
  step.end(3);
  assertEquals(await slow.receive(), 2);
});

test("Broadcast.send() to a rendezvous subscriber waits until all have received", async () => {
  const news = new Broadcast<number>();
  using a = news.subscribe();
  using b = news.subscribe();
  const sent = outcome(news.send(1));
  const gotA = await a.receive();
  await idle();
  assertEquals([gotA, sent.state], [1, "pending"]);
  assertEquals(await b.receive(), 1);
  await idle();
  assertEquals(sent.state, "resolved");
  assertEquals([a.missed, b.missed], [0, 0]);
});

test("Broadcast.send() concurrently is first come first served", async () => {
  const news = new Broadcast<number>();
  using slow = news.subscribe();
  using fast = news.subscribe({ capacity: 64 });
  const order: number[] = [];
  const sends = Array.from({ length: 10 }, (_, i) => news.send(i).then(() => order.push(i)));
  await idle();
  assertEquals(drain(fast), [0], "one at a time");
  const got: number[] = [];
  for (let i = 0; i < 10; i++) {
    got.push(await slow.receive());
    if (i === 4) sends.push(news.send(10).then(() => order.push(10)));
  }
  assertEquals(await slow.receive(), 10);
  await Promise.all(sends);
  const expected = Array.from({ length: 10 }, (_, i) => i);
  assertEquals([got, order], [expected, [...expected, 10]]);
  assertEquals(drain(fast), [...expected.slice(1), 10]);
});

test("Broadcast.send() that comes while a turn is handed over does not overtake", async () => {
  const news = new Broadcast<number>();
  using slow = news.subscribe();
  using all = news.subscribe({ capacity: 8 });
  const first = news.send(1), second = news.send(2);
  await idle();
  // The turn goes from 1 to 2 some microtasks later; a send in each of them.
  assertEquals(slow.tryReceive(), { state: "ok", value: 1 });
  const others: Promise<void>[] = [];
  for (let value = 3; value <= 6; value++) {
    others.push(news.send(value));
    await Promise.resolve();
  }
  for (let value = 2; value <= 6; value++) assertEquals(await slow.receive(), value);
  await Promise.all([first, second, ...others]);
  assertEquals(drain(all), [1, 2, 3, 4, 5, 6]);
});

// -- Drop policies --

test("Broadcast counts what a drop policy makes a subscriber miss", async () => {
  const news = new Broadcast<number>();
  using oldest = news.subscribe({ capacity: 2, overflow: "drop-oldest" });
  using newest = news.subscribe({ capacity: 2, overflow: "drop-newest" });
  using all = news.subscribe({ capacity: 8, overflow: "drop-newest" });
  for (let value = 1; value <= 5; value++) await news.send(value);
  assertEquals([oldest.missed, newest.missed, all.missed], [3, 3, 0]);
  assertEquals([drain(oldest), drain(newest), drain(all)], [[4, 5], [1, 2], [1, 2, 3, 4, 5]]);
  await news.send(6);
  assertEquals([oldest.missed, newest.missed, all.missed], [3, 3, 0]);
  assertEquals([drain(oldest), drain(newest), drain(all)], [[6], [6], [6]]);
});

test("Broadcast does not wait for a subscriber with a drop policy, and others miss nothing", async () => {
  const news = new Broadcast<number>();
  using dropping = news.subscribe({ capacity: 1, overflow: "drop-oldest" });
  using slow = news.subscribe();
  const sends = [1, 2, 3].map((value) => news.send(value));
  const got: number[] = [];
  for (let i = 0; i < 3; i++) got.push(await slow.receive());
  await Promise.all(sends);
  assertEquals([got, dropping.missed, drain(dropping)], [[1, 2, 3], 2, [3]]);
});

test("Broadcast hands over to a receiver that waits, which then misses nothing", async () => {
  const news = new Broadcast<number>();
  for (const overflow of ["drop-oldest", "drop-newest"] as const) {
    using subscription = news.subscribe({ capacity: 1, overflow });
    const got: number[] = [];
    for (let value = 1; value <= 5; value++) {
      const waits = subscription.receive();
      await news.send(value);
      got.push(await waits);
    }
    assertEquals([got, subscription.missed], [[1, 2, 3, 4, 5], 0]);
  }
});

test("Subscription.missed does not count what is discarded on leaving", async () => {
  const news = new Broadcast<number>();
  const subscription = news.subscribe({ capacity: 2, overflow: "drop-oldest" });
  for (let value = 1; value <= 3; value++) await news.send(value);
  subscription.cancel();
  assertEquals(subscription.missed, 1);
  await news.send(4);
  assertEquals(subscription.missed, 1);
});

// -- replay --

test("Broadcast.subscribe() first gives the newest values, as many as replay says", async () => {
  const news = new Broadcast<number>({ replay: 3 });
  const seen: number[][] = [];
  for (let value = 1; value <= 5; value++) {
    using subscription = news.subscribe();
    seen.push(drain(subscription));
    await news.send(value);
    assertEquals(drain(subscription), [value]);
  }
  assertEquals(seen, [[], [1], [1, 2], [1, 2, 3], [2, 3, 4]]);
});

test("Broadcast.subscribe() has room for the replay with every policy, and missed nothing", async () => {
  const news = new Broadcast<number>({ replay: 3 });
  for (let value = 1; value <= 3; value++) await news.send(value);
  for (const overflow of ["wait", "drop-oldest", "drop-newest"] as const) {
    using subscription = news.subscribe({ capacity: 1, overflow });
    assertEquals([subscription.missed, drain(subscription)], [0, [1, 2, 3]], overflow);
  }
});

test("Broadcast.subscribe() while a send waits gives its value once, by replay or not at all", async () => {
  for (const replay of [0, 1]) {
    const news = new Broadcast<number>({ replay });
    using slow = news.subscribe();
    const sent = news.send(1);
    await idle();
    using late = news.subscribe({ capacity: 2 });
    while (slow.tryReceive().state !== "ok") await idle();
    await sent;
    const second = news.send(2);
    await idle();
    drain(slow);
    await second;
    assertEquals(drain(late), replay === 0 ? [2] : [1, 2]);
  }
});

// -- Leaving --

test("Subscription ends by break, cancel and using, and the others go on", async () => {
  const news = new Broadcast<number>();
  using stays = news.subscribe({ capacity: 8 });
  const looped = news.subscribe({ capacity: 8 }), cancelled = news.subscribe({ capacity: 8 });
  {
    using used = news.subscribe({ capacity: 8 });
    assertEquals(news.subscribers, 4);
    await news.send(1);
    assertEquals(drain(used), [1]);
  }
  assertEquals(news.subscribers, 3);
  for await (const value of looped) {
    assertEquals(value, 1);
    break;
  }
  assertEquals([news.subscribers, looped.closed], [2, true]);
  assertEquals([cancelled.cancel(), cancelled.cancel(), news.subscribers], [true, false, 1]);
  await news.send(2);
  assertEquals([drain(stays), drain(looped), drain(cancelled)], [[1, 2], [], []]);
});

for (const way of ["break", "cancel", "using", "stream"] as const) {
  test(`Subscription left by ${way} while a send waits on it lets the send go on`, async () => {
    const news = new Broadcast<number>();
    const gone = news.subscribe();
    using stays = news.subscribe({ capacity: 8 });
    const sends = [outcome(news.send(1)), outcome(news.send(2)), outcome(news.send(3))];
    await idle();
    assertEquals(sends.map(({ state }) => state), Array(3).fill("pending"));
    if (way === "break") {
      for await (const value of gone) {
        assertEquals(value, 1);
        await idle();
        break;
      }
    } else if (way === "cancel") gone.cancel();
    else if (way === "using") gone[Symbol.dispose]();
    else await gone.toReadableStream().cancel();
    await idle();
    assertEquals(sends.map(({ state }) => state), Array(3).fill("resolved"));
    assertEquals([drain(stays), news.subscribers], [[1, 2, 3], 1]);
  });
}

test("Subscription that leaves inside another's turn is not waited for", async () => {
  const news = new Broadcast<number>();
  const subscriptions = Array.from({ length: 5 }, () => news.subscribe());
  const sent = outcome(news.send(1));
  for (const subscription of subscriptions.slice(1)) subscription.cancel();
  await idle();
  assertEquals(sent.state, "pending");
  assertEquals(await subscriptions[0]!.receive(), 1);
  await idle();
  assertEquals(sent.state, "resolved");
  subscriptions[0]!.cancel();
});

// -- close --

test("Broadcast.close() ends every subscription after its values", async () => {
  const news = new Broadcast<number>();
  const a = news.subscribe({ capacity: 2 }), b = news.subscribe({ capacity: 2 });
  const waits = news.subscribe();
  const next = waits.values().next(), selected = select({ waits });
  await news.send(1);
  assertEquals(await next, { done: false, value: 1 });
  assertFalse(news.closed);
  assertEquals([news.close(), news.close("again"), news.closed], [true, false, true]);
  assertEquals(await selected, { key: "waits", value: undefined, done: true });
  const got: number[] = [];
  for await (const value of a) got.push(value);
  assertEquals([got, await b.receive()], [[1], 1]);
  await assertRejects(() => b.receive(), ChannelClosedError);
  assertEquals(news.subscribers, 0);
});

test("Broadcast.close() with a reason makes every subscription reject with it, after its values", async () => {
  for (const reason of REASONS) {
    const news = new Broadcast<number>();
    const a = news.subscribe({ capacity: 1 }), b = news.subscribe();
    const fails = rejection(b.receive());
    await idle();
    news.close(reason);
    assertStrictEquals(await fails, reason);
    assertStrictEquals(await rejection(a.receive()), reason);
  }
  const news = new Broadcast<number>();
  const late = news.subscribe({ capacity: 1 });
  await news.send(1);
  news.close("reason");
  assertEquals([await late.receive(), await rejection(late.receive())], [1, "reason"]);
});

test("Broadcast.send() after close rejects with the value", async () => {
  const news = new Broadcast<number | undefined>({ replay: 1 });
  await news.send(1);
  news.close("reason");
  for (const value of [7, undefined]) {
    const error = await assertRejects(
      () => news.send(value),
      ChannelClosedError,
      "Cannot send to a closed broadcast",
    );
    assertEquals([Object.hasOwn(error, "value"), error.value], [true, value]);
  }
  assertEquals(drain(news.subscribe()), [1], "nothing was replayed of it");
});

test("Broadcast.close() rejects the sends that wait for their turn, with their values", async () => {
  const news = new Broadcast<number>();
  using stays = news.subscribe({ capacity: 8 });
  news.subscribe();
  const first = rejection(news.send(1));
  const errors = [2, 3].map((value) => rejection(news.send(value)));
  await idle();
  news.close();
  for (const [i, error] of (await Promise.all(errors)).entries()) {
    assertInstanceOf(error, ChannelClosedError);
    assertEquals(error.value, i + 2);
  }
  void first.catch(() => {});
  assertEquals(drain(stays), [1]);
});

test("Broadcast.close() rejects the send that a slow subscriber holds back, with its value", async () => {
  // It resolves only when all have the value: this one never will.
  const news = new Broadcast<number>();
  using fast = news.subscribe({ capacity: 1 });
  const slow = news.subscribe();
  const sent = outcome(news.send(7));
  await idle();
  news.close();
  await idle();
  assertEquals([sent.state, drain(fast), slow.tryReceive().state], ["rejected", [7], "closed"]);
  assertInstanceOf(sent.error, ChannelClosedError);
  assertEquals(sent.error.value, 7);
});

test("Broadcast.close() in the tick in which a turn is handed over rejects that send", async () => {
  const news = new Broadcast<number>();
  const slow = news.subscribe();
  const first = news.send(1), second = outcome(news.send(2)), third = outcome(news.send(3));
  await idle();
  assertEquals(slow.tryReceive(), { state: "ok", value: 1 });
  await first;
  news.close();
  await idle();
  assertEquals([second.state, third.state], ["rejected", "rejected"]);
  assertEquals((third.error as ChannelClosedError).value, 3);
});

test("Broadcast.subscribe() after close gives the replay, then the end", async () => {
  const news = new Broadcast<number>({ replay: 2 });
  for (let value = 1; value <= 3; value++) await news.send(value);
  news.close();
  const got: number[] = [];
  for await (const value of news.subscribe()) got.push(value);
  assertEquals([got, news.subscribers], [[2, 3], 0]);

  const failed = new Broadcast<number>({ replay: 1 });
  await failed.send(1);
  failed.close(undefined);
  const late = failed.subscribe();
  assertEquals([await late.receive(), await rejection(late.receive())], [1, undefined]);
});

test("Broadcast closes when disposed of", () => {
  const news = new Broadcast<number>();
  {
    using scoped = news;
    assertFalse(scoped.closed);
  }
  assert(news.closed);
});

// -- Ended from outside --

for (const way of ["abort", "kill", "timeout", "limit"] as const) {
  test(`Broadcast.send() that ends by ${way} before its turn did not happen`, async () => {
    using time = new ManualClock();
    const controller = new AbortController(), listeners = countListeners(controller.signal);
    const news = new Broadcast<number>({ replay: 2 });
    using slow = news.subscribe({ capacity: 2 });
    using fast = news.subscribe({ capacity: 8 });
    await news.send(-1);
    await news.send(0);
    const first = news.send(1);
    const task = spawn(() => {
      if (way === "abort") return news.send(2, { signal: controller.signal });
      if (way === "timeout") return news.send(2, { timeout: 5 });
      return way === "limit" ? withTimeout(5, () => news.send(2)) : news.send(2);
    });
    const ended = rejection(task);
    await idle();
    const third = news.send(3), reason = new Error("reason");
    if (way === "abort") controller.abort(reason);
    else if (way === "kill") void task.kill(reason);
    else time.advance(5);
    const error = await ended;
    if (way === "abort" || way === "kill") assertStrictEquals(error, reason);
    else assertInstanceOf(error, TimeoutError);
    const got: number[] = [];
    for (let i = 0; i < 4; i++) got.push(await slow.receive());
    await Promise.all([first, third]);
    assertEquals([got, drain(fast)], [[-1, 0, 1, 3], [-1, 0, 1, 3]]);
    assertEquals(drain(news.subscribe()), [1, 3]);
    assertEquals([listeners.active, time.size, enlisted()], [0, 0, 0]);
  });

  test(`Broadcast.send() that ends by ${way} while a slow one holds it back lets the next in`, async () => {
    using time = new ManualClock();
    const controller = new AbortController(), listeners = countListeners(controller.signal);
    const news = new Broadcast<number>();
    using slow = news.subscribe();
    using slower = news.subscribe();
    using fast = news.subscribe({ capacity: 8 });
    const task = spawn(() => {
      if (way === "abort") return news.send(1, { signal: controller.signal });
      if (way === "timeout") return news.send(1, { timeout: 5 });
      return way === "limit" ? withTimeout(5, () => news.send(1)) : news.send(1);
    });
    const ended = rejection(task);
    await idle();
    const second = news.send(2), reason = new Error("reason");
    if (way === "abort") controller.abort(reason);
    else if (way === "kill") void task.kill(reason);
    else time.advance(5);
    const error = await ended;
    if (way === "abort" || way === "kill") assertStrictEquals(error, reason);
    else assertInstanceOf(error, TimeoutError);
    assertEquals([await slow.receive(), await slower.receive()], [2, 2]);
    await second;
    assertEquals(drain(fast), [1, 2], "who had room has the value");
    assertEquals([listeners.active, time.size, enlisted()], [0, 0, 0]);
  });
}

test("Broadcast.send() rejects with its signal's reason, even a ChannelClosedError", async () => {
  const news = new Broadcast<number>(), controller = new AbortController();
  using slow = news.subscribe();
  const sent = outcome(news.send(1, { signal: controller.signal }));
  await idle();
  const reason = new ChannelClosedError("of another channel");
  controller.abort(reason);
  await idle();
  assertEquals([sent.state, slow.tryReceive().state], ["rejected", "empty"]);
  assertStrictEquals(sent.error, reason);
});

test("Broadcast.send() has one limit for its turn and the slow ones together", async () => {
  using time = new ManualClock();
  const news = new Broadcast<number>();
  using slow = news.subscribe();
  const first = news.send(1);
  const second = outcome(news.send(2, { timeout: 10 }));
  await idle();
  time.advance(6);
  assertEquals(await slow.receive(), 1);
  await first;
  await idle();
  time.advance(4);
  await idle();
  assertEquals(second.state, "rejected");
  assertInstanceOf(second.error, TimeoutError);
});

test("Broadcast.send() killed in the tick in which its turn came reaches who has room", async () => {
  const news = new Broadcast<number>();
  using slow = news.subscribe();
  using fast = news.subscribe({ capacity: 8 });
  const first = news.send(1);
  const task = spawn(() => news.send(2));
  const ended = rejection(task);
  await idle();
  const third = news.send(3);
  slow.tryReceive();
  await first;
  const reason = new Error("reason");
  void task.kill(reason);
  assertStrictEquals(await ended, reason);
  assertEquals(await slow.receive(), 3);
  await third;
  const got = drain(fast);
  assertEquals([got[0], got[got.length - 1]], [1, 3]);
});

test("Broadcast.send() is refused before any effect", async () => {
  const news = new Broadcast<number>({ replay: 1 });
  using all = news.subscribe({ capacity: 8 });
  assertEquals(await rejection(news.send(1, { signal: AbortSignal.abort("gone") })), "gone");
  await assertRejects(() => news.send(1, { timeout: -1 }), RangeError);
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    return await rejection(news.send(1));
  });
  await idle();
  const reason = new Error("reason");
  void task.kill(reason);
  assertStrictEquals(await task, reason);
  assertEquals([drain(all), drain(news.subscribe())], [[], []]);
  await news.send(2, { timeout: 0 });
  assertEquals(drain(all), [2]);
});

// -- Subscriptions as receivers --

test("Subscription is a case of select and a source of merge", async () => {
  const news = new Broadcast<number>(), other = new Broadcast<number>();
  using a = news.subscribe();
  using b = other.subscribe();
  const waits = select({ a, b });
  await other.send(1);
  assertEquals(await waits, { key: "b", value: 1, done: false });
  const both = merge(a, b), next = both.next();
  await news.send(2);
  assertEquals(await next, { done: false, value: 2 });
});

test("Subscription gives chunks", async () => {
  const news = new Broadcast<number>();
  using a = news.subscribe({ capacity: 8 });
  for (let value = 1; value <= 3; value++) await news.send(value);
  assertEquals((await a.chunks().next()).value, [1, 2, 3]);
});

// -- Bad input --

test("new Broadcast() refuses a replay that is no integer >= 0", () => {
  for (const replay of [-1, 1.5, NaN, Infinity]) {
    assertThrows(() => new Broadcast({ replay }), RangeError, "replay must be an integer >= 0");
  }
  assertEquals(new Broadcast().subscribers, 0);
  assertEquals(Object.prototype.toString.call(new Broadcast()), "[object Broadcast]");
});

test("Broadcast.subscribe() refuses a wrong capacity or policy, whatever the replay", () => {
  for (const replay of [0, 2]) {
    const news = new Broadcast<number>({ replay });
    for (const capacity of [-1, 1.5, NaN, Infinity]) {
      assertThrows(() => news.subscribe({ capacity }), RangeError, "capacity must be an integer");
    }
    assertThrows(() => news.subscribe({ capacity: "4" as never }), TypeError, "capacity");
    assertThrows(() => news.subscribe({ overflow: "drop" as never }), TypeError, "overflow");
    for (const overflow of ["drop-oldest", "drop-newest"] as const) {
      assertThrows(() => news.subscribe({ overflow }), RangeError, "needs a capacity >= 1");
    }
    assertEquals(news.subscribers, 0);
  }
});

test("Broadcast with a thousand subscribers that come and go forgets them all", async () => {
  const news = new Broadcast<number>();
  for (let round = 0; round < 20; round++) {
    const subscriptions = Array.from({ length: 50 }, () => news.subscribe({ capacity: 1 }));
    await news.send(round);
    for (const subscription of subscriptions) {
      assertEquals(drain(subscription), [round]);
      subscription.cancel();
    }
  }
  assertEquals([news.subscribers, enlisted()], [0, 0]);
});

test("Broadcast subscription ends when its loop does, also by a kill or a limit", async () => {
  const news = new Broadcast<number>();
  const loop = async () => {
    for await (const _value of news.subscribe());
  };
  const killed = spawn(loop);
  await idle();
  assertEquals(news.subscribers, 1);
  await killed.kill();
  assertEquals(news.subscribers, 0);
  await assertRejects(() => withTimeout(1, loop), TimeoutError);
  assertEquals(news.subscribers, 0);
  await news.send(1); // nobody holds it back
});

for (const way of ["chunks", "stream"] as const) {
  test(`Broadcast subscription ends when its loop over ${way} does, also by a kill or a limit`, async () => {
    const news = new Broadcast<number>();
    const loop = async () => {
      const subscription = news.subscribe();
      const values = way === "chunks" ? subscription.chunks() : subscription.toReadableStream();
      for await (const _ of values as AsyncIterable<unknown>) break;
    };
    const left = spawn(loop);
    await idle();
    await news.send(1);
    await left;
    assertEquals(news.subscribers, 0);
    const killed = spawn(loop);
    await idle();
    assertEquals(news.subscribers, 1);
    await killed.kill();
    assertEquals(news.subscribers, 0);
    await assertRejects(() => withTimeout(1, loop), TimeoutError);
    assertEquals(news.subscribers, 0);
    await news.send(2); // nobody holds it back
  });
}

test("Broadcast.send() whose limit is over hands nothing over any more, and says the limit", async () => {
  using time = new ManualClock();
  const news = new Broadcast<number>(), slow = [1, 2, 3].map(() => news.subscribe());
  // Time goes on while the sends park, one after the other.
  const set = clock.on.set;
  clock.on.set = function (target, ms) {
    time.advance(0.25);
    return set.call(this, target, ms);
  };
  const sent = outcome(news.send(1, { timeout: 5 }));
  await idle();
  clock.on.set = set;
  time.advance(4.6); // past the limit of the first only
  await idle();
  assertEquals(sent.state, "pending");
  assertEquals(slow[2]!.tryReceive(), { state: "ok", value: 1 });
  time.advance(1);
  await idle();
  assertEquals((sent.error as TimeoutError).ms, 5);
  assertEquals(slow.map((subscription) => subscription.tryReceive().state), Array(3).fill("empty"));
  for (const subscription of slow) subscription.cancel();
});
