// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Many receivers as one: nothing is taken before it is asked for, and nobody is forgotten.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { clock } from "../src/_kernel/clock.ts";
import type { Selectable, SelectBranch } from "../src/_kernel/selectable.ts";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { Broadcast } from "../src/broadcast.ts";
import { Channel } from "../src/channel.ts";
import { ChannelClosedError, TimeoutError } from "../src/errors.ts";
import { merge } from "../src/merge.ts";
import { Queue } from "../src/queue.ts";
import { rateLimit } from "../src/rate_limit.ts";
import { select, trySelect } from "../src/select.ts";
import { Semaphore } from "../src/semaphore.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { enlisted, noneEnlisted } from "./enlisted.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();
noneEnlisted();

const CAPACITIES = [0, 1, 64];
/** Reasons that a careless `reason ?? default` would change, and the ordinary one. */
const REASONS = [undefined, null, false, 0, "", "stop", new Error("stop")];
const END = { done: true, value: undefined } as const;

/** A channel with these values, open or closed. */
function holding<T>(values: T[], closed = false): Channel<T> {
  const ch = new Channel<T>({ capacity: Math.max(1, values.length) });
  for (const value of values) assert(ch.trySend(value));
  if (closed) ch.close();
  return ch;
}

function closed(...reason: [reason?: unknown]): Channel<number> {
  const ch = new Channel<number>();
  ch.close(...reason);
  return ch;
}

/** All orders of a list. */
function* orders<T>(list: T[]): Generator<T[]> {
  if (list.length < 2) yield list;
  for (let i = 0; i < list.length; i++) {
    const rest = [...list.slice(0, i), ...list.slice(i + 1)];
    for (const order of orders(rest)) yield [list[i]!, ...order];
  }
}

// -- Taking --

for (const capacity of CAPACITIES) {
  test(`merge() gives every value of every source once, each source in order, capacity ${capacity}`, async () => {
    const sources = Array.from({ length: 3 }, () => new Channel<[number, number]>({ capacity }));
    const feeds = sources.map((source, from) =>
      spawn(async () => {
        for (let i = 0; i < 100; i++) {
          if (i % (from + 2) === 0) await sleep(0);
          await source.send([from, i]);
        }
        source.close();
      })
    );
    const got: number[][] = [[], [], []];
    for await (const [from, i] of merge(...sources)) got[from]!.push(i);
    for (const feed of feeds) await feed;
    assertEquals(got, Array(3).fill(Array.from({ length: 100 }, (_, i) => i)));
    assertEquals(enlisted(), 0);
  });

  test(`merge() parks until any source has a value, capacity ${capacity}`, async () => {
    for (const at of [0, 1, 2]) {
      const step = steps();
      const sources = Array.from({ length: 3 }, () => new Channel<number>({ capacity }));
      const got = merge(...sources).receive().then((value) => {
        step(2);
        return value;
      });
      await idle();
      step(1);
      assertEquals(enlisted(), 4);
      await sources[at]!.send(7);
      assertEquals(enlisted(), 0);
      assertEquals(await got, 7);
      step.end(3);
    }
  });
}

test("merge() prefetches nothing", async () => {
  const a = holding([1, 2]), b = new Channel<number>();
  const both = merge(a, b);
  const sent = outcome(b.send(3));
  await idle();
  assertEquals([a.size, sent.state, enlisted()], [2, "pending", 1]);
  const got = [await both.receive()];
  await idle();
  assertEquals(a.size + (sent.state === "pending" ? 1 : 0), 2);
  for (let i = 0; i < 2; i++) got.push((await both.next()).value!);
  assertEquals(got.sort(), [1, 2, 3]);
  assertEquals(both.tryReceive(), { state: "empty" });
});

test("merge() takes from its sources fairly", async () => {
  const sources = [1, 2, 3].map((from) => holding(Array(50).fill(from)));
  const all = merge(...sources);
  const got: number[] = [];
  for (let i = 0; i < 30; i++) got.push(await all.receive());
  const counts = [1, 2, 3].map((from) => got.filter((value) => value === from).length);
  for (const count of counts) assert(count >= 9 && count <= 11, `took ${counts}`);
});

test("merge() does not starve a source after another has ended", async () => {
  const hot = new Channel<string>({ capacity: 1 }), rare = holding(["rare"]);
  const all = merge(hot, holding<string>([], true), rare, holding<string>([], true));
  for (let i = 0, got = ""; got !== "rare"; i++) {
    hot.trySend("hot");
    got = await all.receive();
    assertLess(i, 10);
  }
});

test("merge() gives undefined and null as values like any other", async () => {
  const ch = holding<unknown>([undefined, null, false]);
  const all = merge(ch, new Channel<unknown>());
  assertEquals(all.tryReceive(), { state: "ok", value: undefined });
  assertEquals(await all.next(), { done: false, value: null });
  assertEquals(await select({ all }), { key: "all", value: false, done: false });
});

test("merge() answers next() calls at the same time, each with one value", async () => {
  const a = new Channel<number>(), b = new Channel<number>();
  const all = merge(a, b);
  const nexts = [all.next(), all.next(), all.receive()];
  await idle();
  assert(b.trySend(1) && a.trySend(2) && b.trySend(3));
  assertEquals(await Promise.all(nexts), [
    { done: false, value: 1 },
    { done: false, value: 2 },
    3,
  ]);
});

test("merge() of the same source twice gives its values once, and ends", async () => {
  const ch = holding([1, 2]);
  const all = merge(ch, ch);
  assertEquals([await all.receive(), await all.receive()], [1, 2]);
  const waits = all.next();
  ch.trySend(3);
  assertEquals(await waits, { done: false, value: 3 });
  const last = all.next();
  ch.close();
  assertEquals(await last, END);
});

test("merge.tryReceive() finds a value wherever it is, whatever the others are", () => {
  // What is looked at first depends on the place: all orders, and several looks.
  const makers = {
    full: () => holding([7]),
    open: () => new Channel<number>(),
    open2: () => new Channel<number>(),
    ended: () => closed(),
    ended2: () => closed(),
  };
  for (const order of orders(Object.keys(makers) as (keyof typeof makers)[])) {
    const sources = order.map((kind) => makers[kind]());
    assertEquals(merge(...sources).tryReceive(), { state: "ok", value: 7 }, `${order}`);
    const waiting = order.map((kind) => makers[kind]());
    const all = merge(...waiting);
    waiting[order.indexOf("full")]!.tryReceive();
    assertEquals(all.tryReceive(), { state: "empty" }, `${order}`);
    waiting[order.indexOf("open")]!.close();
    waiting[order.indexOf("full")]!.trySend(8);
    assertEquals(all.tryReceive(), { state: "ok", value: 8 }, `${order}`);
  }
});

// -- The end --

test("merge() ends when all its sources have ended, not before", async () => {
  const a = holding([1], true), b = new Channel<number>(), c = holding<number>([], true);
  const all = merge(a, b, c);
  assertEquals(await all.next(), { done: false, value: 1 });
  const last = outcome(all.next());
  await idle();
  assertEquals(last.state, "pending");
  b.close();
  await idle();
  assertEquals(last.value, END);
  assertEquals([await all.next(), all.tryReceive()], [END, { state: "closed" }]);
  const error = await assertRejects(() => all.receive(), ChannelClosedError);
  assertEquals("value" in error, false);
});

test("merge() ends when its last sources close one after the other while it waits", async () => {
  const sources = Array.from({ length: 5 }, () => new Channel<number>());
  const all = merge(...sources);
  const waits = [outcome(all.next()), outcome(all.next()), outcome(all.receive())];
  for (const source of sources) {
    await idle();
    assertEquals(waits.map(({ state }) => state), Array(3).fill("pending"));
    source.close();
  }
  await idle();
  assertEquals([waits[0]!.value, waits[1]!.value], [END, END]);
  assertInstanceOf(waits[2]!.error, ChannelClosedError);
});

test("merge() of nothing has ended", async () => {
  const none = merge();
  assertEquals([await none.next(), none.tryReceive()], [END, { state: "closed" }]);
  assertEquals(await select({ none }), { key: "none", value: undefined, done: true });
});

test("merge() rejects with the reason of a source, ready or waiting", async () => {
  for (const reason of REASONS) {
    const open = new Channel<number>();
    for (const word of ["receive", "next"] as const) {
      assertStrictEquals(await rejection(merge(open, closed(reason))[word]()), reason);
      const failing = new Channel<number>();
      const waits = rejection(merge(open, failing)[word]());
      failing.close(reason);
      assertStrictEquals(await waits, reason);
      assertEquals(enlisted(), 0);
    }
    assertEquals(merge(closed(reason)).tryReceive(), { state: "closed" });
  }
});

test("merge() ends with the first error: later calls take nothing from the other sources", async () => {
  const ch = holding([1, 2]), reason = new Error("reason");
  const all = merge(closed(reason), ch);
  const got: unknown[] = [];
  for (let i = 0; i < 6; i++) {
    await all.receive().then((value) => got.push(value), (error) => got.push(error));
  }
  const at = got.indexOf(reason);
  assert(at >= 0 && at <= 1, "comes in its turn");
  assertEquals(got.slice(at), Array(6 - at).fill(reason));
  assertEquals(all.tryReceive(), { state: "closed" });
  assertEquals(ch.size, 2 - at);
});

test("merge() in a loop throws the first error, after what came before", async () => {
  const a = holding([1, 2]), got: number[] = [];
  const loop = async () => {
    for await (const value of merge(a, new Channel<number>())) {
      got.push(value);
      if (value === 2) a.close("reason");
    }
  };
  assertEquals([await rejection(loop()), got], ["reason", [1, 2]]);
});

// -- Leaving --

test("merge() that is left early loses nothing and leaves its sources open", async () => {
  const a = holding([1, 2, 3]), b = new Channel<number>();
  const sent = b.send(4);
  const got: number[] = [];
  for await (const value of merge(a, b)) {
    got.push(value);
    if (got.length === 2) break;
  }
  assertEquals([a.closed, b.closed], [false, false]);
  for (const ch of [a, b]) {
    for (let left = ch.tryReceive(); left.state === "ok"; left = ch.tryReceive()) {
      got.push(left.value);
    }
  }
  await sent;
  assertEquals(got.sort(), [1, 2, 3, 4]);
});

test("merge() left by return() settles a next() that waits, which takes nothing later", async () => {
  const a = new Channel<number>(), b = new Channel<number>();
  const all = merge(a, b);
  const pending = [all.next(), all.next()];
  await idle();
  assertEquals(await all.return!(), END);
  assertEquals(enlisted(), 0);
  assertEquals(await Promise.all(pending), [END, END]);
  assertEquals([a.trySend(1), b.trySend(1)], [false, false]);
  assertEquals(await all.next(), END);
  {
    await using other = merge(a, b);
    void other.next();
    assertEquals(enlisted(), 3);
  }
  assertEquals(enlisted(), 0);
});

// -- Ended from outside --

for (const way of ["abort", "kill", "timeout"] as const) {
  test(`merge.receive() that ends by ${way} has taken nothing and leaves nothing`, async () => {
    using time = new ManualClock();
    const controller = new AbortController(), listeners = countListeners(controller.signal);
    const a = new Channel<number>(), b = new Channel<number>();
    const all = merge(a, b), reason = new Error("reason");
    const task = spawn(() =>
      way === "abort"
        ? all.receive({ signal: controller.signal })
        : all.receive(way === "timeout" ? { timeout: 5 } : {})
    );
    const ended = rejection(task);
    await idle();
    assertEquals(enlisted(), 4);
    if (way === "abort") controller.abort(reason);
    else if (way === "kill") void task.kill(reason);
    else time.advance(5);
    assertEquals([a.trySend(1), b.trySend(1)], [false, false], "at once");
    const error = await ended;
    if (way === "timeout") assertInstanceOf(error, TimeoutError);
    else assertStrictEquals(error, reason);
    assertEquals([enlisted(), listeners.active, time.size], [0, 0, 0]);
    const next = all.next();
    b.trySend(2);
    assertEquals(await next, { done: false, value: 2 });
  });
}

test("merge.receive() keeps a value handed over before an abort, kill or limit in the same tick", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>(), all = merge(new Channel<number>(), ch);
  const controller = new AbortController();
  const aborted = all.receive({ signal: controller.signal });
  assert(ch.trySend(1));
  controller.abort();
  const late = all.receive({ timeout: 5 });
  assert(ch.trySend(2));
  time.advance(5);
  const task = spawn(() => all.receive());
  await idle();
  assert(ch.trySend(3));
  void task.kill();
  assertEquals([await aborted, await late, await task], [1, 2, 3]);
});

test("merge.receive() is refused before any effect", async () => {
  const ch = holding([1, 2]), all = merge(ch);
  assertEquals(await rejection(all.receive({ signal: AbortSignal.abort("gone") })), "gone");
  await assertRejects(() => all.receive({ timeout: -1 }), RangeError);
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    return [await rejection(all.receive()), await rejection(all.next()), all.tryReceive()];
  });
  await idle();
  const reason = new Error("reason");
  void task.kill(reason);
  assertEquals(await task, [reason, reason, { state: "ok", value: 1 }]);
  assertEquals(await all.receive({ timeout: 0 }), 2);
  await assertRejects(() => all.receive({ timeout: 0 }), TimeoutError);
});

// -- As a case --

test("merge() is a case of select, ready or waiting", async () => {
  const a = holding([1]), b = new Channel<number>(), other = new Channel<number>();
  const all = merge(a, b);
  assertEquals(await select({ other, all }), { key: "all", value: 1, done: false });
  assertEquals(trySelect({ all }), undefined);
  const waits = select({ other, all });
  assertEquals(enlisted(), 4); // the select, the other, two sources
  b.trySend(2);
  assertEquals(enlisted(), 0);
  assertEquals(await waits, { key: "all", value: 2, done: false });
  const loses = select({ other, all });
  other.trySend(3);
  assertEquals([(await loses).key, enlisted()], ["other", 0]);
  assertEquals([a.size, b.trySend(4)], [0, false]);
});

test("merge() as a case whose one source has ended and the other is empty waits, then gives", async () => {
  for (const end of ["value", "close"] as const) {
    for (const flip of [false, true]) {
      const open = new Channel<number>(), ended = holding<number>([], true);
      const all = flip ? merge(open, ended) : merge(ended, open);
      const seen = outcome(select({ all }, { timeout: 200 }));
      await idle();
      assertEquals(seen.state, "pending");
      if (end === "value") assert(open.trySend(7));
      else open.close();
      await idle();
      const value = end === "value" ? 7 : undefined;
      const result = { key: "all", value, done: end === "close" } as never;
      if (seen.state === "pending") await select({}, { timeout: 250 }).catch(() => {});
      assertEquals(seen.value, result);
    }
  }
});

test("merge() as a case finds a value wherever it is, whatever the others are", async () => {
  for (const order of orders(["full", "open", "ended", "ended"])) {
    const sources = order.map((kind) =>
      kind === "full" ? holding([7]) : kind === "open" ? new Channel<number>() : closed()
    );
    const all = merge(...sources);
    assertEquals(await select({ all }), { key: "all", value: 7, done: false }, `${order}`);
    assertEquals(trySelect({ all }), undefined, `${order}`);
  }
});

test("merge() as a case gives done when all have ended, rejects with an error", async () => {
  const a = new Channel<number>(), b = new Channel<number>();
  const waits = select({ all: merge(a, b) });
  a.close();
  b.close();
  assertEquals(await waits, { key: "all", value: undefined, done: true });
  const failing = new Channel<number>(), all = merge(failing, new Channel<number>());
  const fails = rejection(select({ all }));
  failing.close("reason");
  assertEquals([await fails, await rejection(select({ all }))], ["reason", "reason"]);
  assertEquals(enlisted(), 0);
});

test("merge() as a case ends by abort, kill and limit, and has taken nothing", async () => {
  using time = new ManualClock();
  const a = new Channel<number>(), b = new Channel<number>(), all = merge(a, b);
  const controller = new AbortController();
  const aborted = rejection(select({ all }, { signal: controller.signal }));
  const late = rejection(select({ all }, { timeout: 5 }));
  const task = spawn(() => select({ all }));
  await idle();
  controller.abort("enough");
  time.advance(5);
  await task.kill();
  assertEquals([a.trySend(1), b.trySend(1), enlisted()], [false, false, 0]);
  assertEquals([await aborted, ((await late) as TimeoutError).ms], ["enough", 5]);
});

// -- Nested, and other sources --

test("merge() of merges gives every value and ends after all", async () => {
  const channels = Array.from({ length: 4 }, () => new Channel<number>());
  const [a, b, c, d] = channels as [typeof channels[0], ...typeof channels];
  const all = merge(merge(a!, b!), merge(merge(c!), d!));
  for (const [i, ch] of channels.entries()) {
    const waits = all.next();
    assert(ch.trySend(i), `source ${i}`);
    assertEquals(enlisted(), 0);
    assertEquals(await waits, { done: false, value: i });
  }
  a!.close();
  c!.close();
  const waits = outcome(all.next());
  await idle();
  b!.close();
  await idle();
  assertEquals(waits.state, "pending");
  d!.close();
  await idle();
  assertEquals(waits.value, END);
});

test("merge() of merges with ended parts finds what is there, and waits for the rest", async () => {
  const open = new Channel<number>();
  const all = merge(merge(closed(), open), merge(closed(), closed()), merge(holding([1], true)));
  assertEquals(await all.next(), { done: false, value: 1 });
  const waits = outcome(all.next());
  await idle();
  assertEquals(waits.state, "pending");
  open.close();
  await idle();
  assertEquals(waits.state, "resolved");
  await all.return!();
  assertEquals(waits.value, END);
});

test("merge() of merges rejects with an error below, and leaves nothing when aborted", async () => {
  const failing = new Channel<number>(), controller = new AbortController();
  const aborted = rejection(
    merge(merge(failing), new Channel<number>()).receive({ signal: controller.signal }),
  );
  controller.abort("enough");
  assertEquals([await aborted, enlisted()], ["enough", 0]);
  const fails = rejection(merge(merge(failing), new Channel<number>()).receive());
  failing.close("reason");
  assertEquals([await fails, enlisted()], ["reason", 0]);
});

test("merge() takes queues and subscriptions too", async () => {
  const queue = new Queue<number>(2), news = new Broadcast<number>();
  const subscription = news.subscribe({ capacity: 1 });
  const all = merge(queue, subscription);
  queue.tryPut(1);
  assertEquals(await all.receive(), 1);
  await news.send(2);
  assertEquals(await all.receive(), 2);
  const waits = all.next();
  await queue.put(3);
  assertEquals(await waits, { done: false, value: 3 });
  const last = outcome(all.next());
  queue.close();
  await idle();
  assertEquals(last.state, "pending");
  news.close();
  await idle();
  assertEquals(last.value, END);
});

test("merge() with a Selectable that settles while it is enlisted goes no further", async () => {
  const ch = new Channel<string>();
  const eager: Selectable<string> = {
    "~select": {
      ready: () => false,
      take: () => ({ value: "never", done: false }),
      enlist: (branch: SelectBranch<string>) => branch.settle({ value: "at once", done: false }),
      delist: () => {},
    },
  };
  assertEquals(await merge(ch, eager, ch).receive(), "at once");
  assertEquals(enlisted(), 0);
});

test("merge() refuses what is no receiver", () => {
  for (const source of [7, null, undefined, "text", {}, [], Promise.resolve(1)]) {
    assertThrows(() => merge(source as never), TypeError, "Cannot merge: a source must be");
  }
});

test("merge() waiting a hundred thousand times on a hot and a cold source leaves nothing", async () => {
  const hot = new Channel<number>(), cold = new Channel<number>();
  const all = merge(hot, cold);
  for (let i = 0; i < 100_000; i++) {
    const next = all.next();
    hot.trySend(i);
    if ((await next).value !== i) throw new Error("lost");
  }
  assertEquals(enlisted(), 0);
});

test("merge() iterator.return() ends its own next(), not a receive() of another", async () => {
  const source = new Channel<number>();
  const both = merge(source);
  const received = both.receive(), next = both.next();
  await both.return!();
  assertEquals(await next, { done: true, value: undefined });
  await source.send(7);
  assertEquals(await received, 7);
});

test("merge() as a case is ready while a closed source has values left, though others are open", async () => {
  const closed = new Channel<number>({ capacity: 2 }), open = new Channel<number>();
  closed.trySend(1);
  closed.trySend(2);
  closed.close();
  const merged = merge(closed, open);
  assertEquals(trySelect({ merged }), { key: "merged", value: 1, done: false });
  assertEquals(await select({ merged }), { key: "merged", value: 2, done: false });
  assertEquals(trySelect({ merged }), undefined);
});

test("merge.receive() that an abort is about to end is not given what another one frees by it", async () => {
  const permits = new Semaphore(1), both = merge(permits);
  const stop = new AbortController();
  const large = outcome(permits.acquire({ weight: 2, signal: stop.signal }));
  const merged = outcome(both.receive({ signal: stop.signal }));
  const chosen = outcome(select({ both }, { signal: stop.signal }));
  await idle();
  stop.abort();
  await idle();
  assertEquals([large.state, merged.state, chosen.state], Array(3).fill("rejected"));
  assertEquals(permits.value, 1);
});

test("merge() left by return() settles every next(), whatever its source can give by then", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 1, per: 20 }), both = merge(limit);
  limit.tryAcquire();
  const before = liveWaiters();
  const waits = [both.next(), both.next(), both.next()].map((next) => outcome(next));
  const fire = clock.on.fire;
  clock.on.fire = () => {}; // the tokens are there before the timer has fired
  time.advance(25);
  clock.on.fire = fire;
  await both.return!();
  await idle();
  assertEquals(waits.map(({ value }) => value?.done), [true, true, true]);
  assertEquals([liveWaiters(), limit.value], [before, 1]);
});
