// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * One of many: which case commits, and that nothing is left of the others.
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
import type { Selectable, SelectBranch, SelectCase } from "../src/_kernel/selectable.ts";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { Channel } from "../src/channel.ts";
import { Deferred } from "../src/deferred.ts";
import { ChannelClosedError, TimeoutError } from "../src/errors.ts";
import { Event } from "../src/event.ts";
import { Mutex } from "../src/mutex.ts";
import { Queue } from "../src/queue.ts";
import { select, type SelectCases, type SelectOptions, trySelect } from "../src/select.ts";
import { Semaphore } from "../src/semaphore.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { withTimeout } from "../src/timeout.ts";
import { after, every } from "../src/timer.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { runChild } from "./child.ts";
import { enlisted, noneEnlisted } from "./enlisted.ts";
import { type Gate, gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { seeded } from "./seeded.ts";
import { steps } from "./steps.ts";

/** Selects of a hot and a cold case; heap and waiters must be as flat after two million as before. */
const SELECTS = 2_000_000;
const RACED = 3000;
/** The 99.9 % bound of chi-square with two degrees of freedom. */
const CHI_SQUARE = 13.82;

const CAPACITIES = [0, 1, 64];
/** Reasons that a careless `reason ?? default` would change, and the ordinary one. */
const REASONS = [undefined, null, false, 0, "", "stop", new Error("stop")];

noLeaks();
noneEnlisted();

/** A channel with 1, 2, … in its buffer. */
function filled(capacity: number, count = capacity): Channel<number> {
  const ch = new Channel<number>({ capacity });
  for (const value of range(count)) assert(ch.trySend(value));
  return ch;
}

/** 1, 2, … */
function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}

/** Something of the user's own to wait for, which notes what is asked of it. */
class Own<T> implements Selectable<T>, SelectCase<T> {
  readonly calls: string[] = [];
  readonly branches: Set<SelectBranch<T>> = new Set();
  value: T | undefined = undefined;

  get "~select"(): this {
    return this;
  }

  ready(): boolean {
    return this.value !== undefined;
  }

  take() {
    this.calls.push("take");
    return { value: this.value!, done: false };
  }

  enlist(branch: SelectBranch<T>): void {
    this.calls.push("enlist");
    this.branches.add(branch);
  }

  delist(branch: SelectBranch<T>): void {
    this.calls.push("delist");
    this.branches.delete(branch);
  }
}

/** A task that was killed and goes on: `run` is called in it. */
async function inKilled<T>(run: () => T | Promise<T>): Promise<Awaited<T>> {
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    return await run();
  });
  await idle();
  void task.kill("killed");
  return await task;
}

// -- A case that is ready --

for (const capacity of CAPACITIES) {
  test(`select() receives what is there, capacity ${capacity}`, async () => {
    const ch = filled(capacity);
    const sent = ch.send(capacity + 1);
    for (let value = 1; value <= capacity + 1; value++) {
      assertEquals(await select({ ch, other: new Channel() }), { key: "ch", value, done: false });
    }
    await sent;
    assertEquals(ch.tryReceive(), { state: "empty" });
  });

  test(`select() sends where it can, capacity ${capacity}`, async () => {
    const ch = new Channel<number>({ capacity });
    const got = capacity === 0 ? ch.receive() : undefined;
    const result = await select({ out: ch.sending(7), other: new Channel() });
    assertEquals(result, { key: "out", value: undefined, done: false });
    assertEquals(await (got ?? ch.receive()), 7);
  });
}

test("select() gives undefined, null and false as values like any other", async () => {
  for (const value of [undefined, null, false, 0, ""]) {
    const ch = new Channel<unknown>({ capacity: 1 });
    ch.trySend(value);
    assertEquals(await select({ ch }), { key: "ch", value, done: false });
    const waits = select({ ch });
    ch.trySend(value);
    assertEquals(await waits, { key: "ch", value, done: false });
  }
});

test("select() hands thenables over as they are", async () => {
  const promise = Promise.resolve(7);
  const ch = new Channel<Promise<number>>({ capacity: 1 });
  ch.trySend(promise);
  assertStrictEquals((await select({ ch })).value, promise);
  const waits = select({ ch });
  ch.trySend(promise);
  assertStrictEquals((await waits).value, promise);
});

test("select() commits one of the ready cases and leaves the others as they were", async () => {
  const a = filled(2), b = filled(2), out = new Channel<number>({ capacity: 1 });
  const before = [a.size, b.size, out.size];
  const { key } = await select({ a, b, out: out.sending(9) });
  const after = [a.size, b.size, out.size];
  assertEquals(after.filter((size, i) => size !== before[i]).length, 1);
  assertEquals({ a: a.size, b: b.size, out: 2 - out.size }[key], 1);
  assertEquals(enlisted(), 0);
});

test("select() takes its case in the call, before anyone else can", async () => {
  const ch = filled(1);
  const selected = select({ ch });
  assertEquals(ch.tryReceive(), { state: "empty" });
  assertEquals((await selected).value, 1);
});

test("select() that finds a case ready makes no timer and no listener", async () => {
  const ch = filled(1), controller = new AbortController();
  const listeners = countListeners(controller.signal);
  using time = new ManualClock();
  await select({ ch, late: after(5) }, { signal: controller.signal, timeout: 5 });
  assertEquals([listeners.added, time.size], [0, 0]);
});

// -- Waiting --

for (const capacity of CAPACITIES) {
  test(`select() parks until a value is sent, capacity ${capacity}`, async () => {
    const step = steps(), ch = new Channel<number>({ capacity });
    const selected = select({ ch, cold: new Channel() }).then((result) => {
      step(2);
      return result;
    });
    await idle();
    step(1);
    assertEquals(enlisted(), 3); // both cases, and the select itself
    await ch.send(7);
    assertEquals(enlisted(), 0);
    assertEquals(await selected, { key: "ch", value: 7, done: false });
    step.end(3);
  });

  test(`select() parks until there is room for its send, capacity ${capacity}`, async () => {
    const step = steps(), ch = filled(capacity);
    const selected = select({ out: ch.sending(99), cold: new Channel() }).then((result) => {
      step(2);
      return result;
    });
    await idle();
    step(1);
    const got = [await ch.receive()];
    assertEquals(await selected, { key: "out", value: undefined, done: false });
    step.end(3);
    for (let left = ch.tryReceive(); left.state === "ok"; left = ch.tryReceive()) {
      got.push(left.value);
    }
    assertEquals(got, [...range(capacity), 99]);
  });
}

test("select() with a send that waits is served by every way of receiving", async () => {
  const ways: Record<string, (ch: Channel<number>) => Promise<unknown>> = {
    receive: (ch) => ch.receive(),
    tryReceive: (ch) => Promise.resolve(ch.tryReceive()),
    next: (ch) => ch.values().next(),
    chunks: (ch) => ch.chunks().next(),
    select: (ch) => select({ ch }),
    trySelect: (ch) => Promise.resolve(trySelect({ ch })),
    stream: (ch) => ch.toReadableStream().getReader().read(),
  };
  for (const [name, way] of Object.entries(ways)) {
    const ch = new Channel<number>();
    const selected = select({ cold: new Channel(), out: ch.sending(7) });
    const got = await way(ch);
    assertEquals(await selected, { key: "out", value: undefined, done: false }, name);
    assertEquals(JSON.stringify(got).includes("7"), true, name);
  }
});

test("select() that waits is served by every way of sending", async () => {
  const ways: Record<string, (ch: Channel<number>) => unknown> = {
    send: (ch) => ch.send(7),
    trySend: (ch) => ch.trySend(7),
    select: (ch) => select({ out: ch.sending(7) }),
    trySelect: (ch) => trySelect({ out: ch.sending(7) }),
  };
  for (const [name, way] of Object.entries(ways)) {
    const ch = new Channel<number>();
    const selected = select({ cold: new Channel(), ch });
    await way(ch);
    assertEquals(await selected, { key: "ch", value: 7, done: false }, name);
  }
});

test("select() that waits commits to the first event of several in one tick", async () => {
  const a = new Channel<number>(), b = new Channel<number>({ capacity: 1 }), stop = new Event();
  const selected = select({ a, b, stop });
  assertEquals(b.trySend(1), true);
  assertEquals(a.trySend(2), false, "the select still waits at a");
  stop.set();
  assertEquals(await selected, { key: "b", value: 1, done: false });
  assertEquals(b.size, 0);
});

test("select() stands in line like any other who waits", async () => {
  const ch = new Channel<number>();
  const first = ch.receive(), second = select({ ch }), third = ch.receive();
  for (const value of [1, 2, 3]) assert(ch.trySend(value));
  assertEquals([await first, (await second).value, await third], [1, 2, 3]);
  const sends = [ch.send(4), select({ out: ch.sending(5) }), ch.send(6)];
  assertEquals([await ch.receive(), await ch.receive(), await ch.receive()], [4, 5, 6]);
  await Promise.all(sends);
});

test("select() may be called again and again with the same cases", async () => {
  const ch = new Channel<number>({ capacity: 1 }), cases = { ch, out: ch.sending(5) };
  const keys: string[] = [];
  for (let i = 0; i < 4; i++) keys.push((await select(cases)).key);
  assertEquals(keys, ["out", "ch", "out", "ch"]);
});

// -- Nothing is left behind --

test("select() leaves no waiter, timer or listener, however it ends", async () => {
  const reason = new Error("reason");
  const ends: Record<string, (parts: Parts) => unknown> = {
    value: ({ ch }) => ch.trySend(1),
    close: ({ ch }) => ch.close(),
    failed: ({ ch }) => ch.close(reason),
    closedSend: ({ out }) => out.close(),
    event: ({ event }) => event.set(),
    deferred: ({ deferred }) => deferred.reject(reason),
    permit: ({ semaphore }) => semaphore.release(),
    item: ({ queue }) => queue.tryPut(1),
    promise: ({ promise }) => promise.fail(reason),
    late: ({ time }) => time.advance(500),
    tick: ({ time }) => time.advance(400),
    timeout: ({ time }) => time.advance(300),
    abort: ({ controller }) => controller.abort(reason),
    kill: ({ kill }) => kill(),
  };
  interface Parts {
    ch: Channel<number>;
    out: Channel<number>;
    event: Event;
    deferred: Deferred<number>;
    semaphore: Semaphore;
    queue: Queue<number>;
    promise: Gate<number>;
    time: ManualClock;
    controller: AbortController;
    kill: () => unknown;
  }
  const before = liveWaiters();
  for (const [name, end] of Object.entries(ends)) {
    using time = new ManualClock();
    const parts: Parts = {
      ch: new Channel<number>(),
      out: new Channel<number>(),
      event: new Event(),
      deferred: new Deferred<number>(),
      semaphore: new Semaphore(0),
      queue: new Queue<number>(1),
      promise: gate<number>(),
      time,
      controller: new AbortController(),
      kill: () => task.kill(),
    };
    const listeners = countListeners(parts.controller.signal);
    const slow = spawn(() => sleep(Infinity));
    const mutex = new Mutex();
    using _lock = mutex.tryAcquire()!;
    const mine = enlisted();
    const task = spawn(() =>
      select({
        ch: parts.ch,
        out: parts.out.sending(2),
        event: parts.event,
        deferred: parts.deferred,
        semaphore: parts.semaphore,
        mutex,
        queue: parts.queue,
        promise: parts.promise.promise,
        slow,
        late: after(name === "late" ? 500 : 600),
        tick: every(name === "tick" ? 400 : 600),
      }, {
        signal: parts.controller.signal,
        timeout: name === "timeout" ? 300 : 600,
      })
    );
    const ended = outcome(task);
    await idle();
    assertEquals(ended.state, "pending", name);
    assert(enlisted() - mine > 11, name); // every case, the select, and who awaits it
    assertEquals([time.size, listeners.active], [3, 1], name);
    end(parts);
    if (name === "promise") await idle(); // never at once
    assertEquals(time.size, 0, `${name}: at once`);
    assertEquals(listeners.active, 0, `${name}: at once`);
    await idle();
    assertEquals(ended.state === "pending", false, name);
    assertEquals([liveWaiters() - before, enlisted()], [1, 1], `${name}: only the sleeper`);
    await slow.kill();
    parts.promise.open(0);
  }
});

test("select() two million times with a hot and a cold case leaves heap and waiters flat", async () => {
  const { stdout, stderr, code } = await runChild(`
    const { Channel, Event, select } = await load();
    const { liveWaiters } = await import(${
    JSON.stringify(new URL("../src/_kernel/waiter.ts", import.meta.url).href)
  });
    const hot = new Channel(), cold = new Channel(), never = new Event();
    const forever = new Promise(() => {});
    async function run(count) {
      for (let i = 0; i < count; i++) {
        const selected = select({ hot, cold, out: cold.sending(i), never, forever });
        hot.trySend(i);
        if ((await selected).value !== i) throw new Error("lost");
      }
    }
    await run(20_000);
    gc();
    const before = process.memoryUsage().heapUsed;
    await run(${SELECTS});
    gc();
    const grown = process.memoryUsage().heapUsed - before;
    console.log(JSON.stringify({ flat: grown < 2e6 || grown, live: liveWaiters() }));
    process.exit(0);
  `);
  assertEquals({ stdout, stderr, code }, { stdout: '{"flat":true,"live":0}', stderr: "", code: 0 });
});

// -- Which of the ready --

test("select() chooses fairly among the ready cases, whichever their place", async () => {
  const random = seeded(20261121);
  const picks = { a: 0, off: 0, b: 0, cold: 0, c: 0 };
  const a = filled(1), b = filled(1), c = filled(1);
  const all = { a, b, c };
  for (let i = 0; i < 3000; i++) {
    const { key } = await select({ a, off: null, b, cold: new Channel(), c }, { random });
    picks[key]++;
    all[key as keyof typeof all].trySend(i);
  }
  assertEquals([picks.off, picks.cold], [0, 0]);
  const counts = [picks.a, picks.b, picks.c];
  const chi = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  assertLess(chi, CHI_SQUARE, `picked ${counts}`);
});

test("trySelect() chooses fairly among two and four", () => {
  for (const count of [2, 4]) {
    const random = seeded(count);
    const picks = Array.from({ length: count }, () => 0);
    const cases = picks.map(() => filled(1));
    for (let i = 0; i < 4000; i++) {
      const { key } = trySelect(cases, { random })!;
      picks[key]!++;
      cases[key]!.trySend(i);
    }
    const expected = 4000 / count;
    const chi = picks.reduce((sum, pick) => sum + (pick - expected) ** 2 / expected, 0);
    assertLess(chi, count === 2 ? 10.83 : 16.27, `picked ${picks}`);
  }
});

test("select() repeats its choices with the same random source, and never asks Math.random then", async () => {
  const { random } = Math;
  Math.random = () => {
    throw new Error("must not be asked");
  };
  const choices = async () => {
    const random = seeded(7), a = filled(64), b = filled(64), keys: string[] = [];
    for (let i = 0; i < 64; i++) keys.push((await select({ a, b }, { random })).key);
    return keys;
  };
  try {
    assertEquals(await choices(), await choices());
    assertEquals(new Set(await choices()).size, 2);
  } finally {
    Math.random = random;
  }
});

test("select() is fair without options", async () => {
  const picks = { a: 0, b: 0 };
  const a = filled(1), b = filled(1);
  for (let i = 0; i < 400; i++) {
    const { key } = await select({ a, b });
    picks[key]++;
    (key === "a" ? a : b).trySend(i);
  }
  assert(picks.a > 100 && picks.b > 100, JSON.stringify(picks));
});

test("select() takes the first ready case in listed order with priority", async () => {
  const cold = new Channel<number>(), a = filled(64), b = filled(64);
  for (const options of [{ priority: true }, { priority: true, random: () => 0.99 }]) {
    for (let i = 0; i < 20; i++) {
      assertEquals((await select({ cold, b, a }, options)).key, "b");
      assertEquals(trySelect([cold, a, b], options)?.key, 1);
    }
  }
});

test("select() does not starve a case that others outrun", async () => {
  const hot = filled(1), rare = filled(1);
  let rounds = 0;
  while ((await select({ hot, rare }, { random: seeded(rounds) })).key === "hot") {
    hot.trySend(1);
    assertLess(++rounds, 100);
  }
});

// -- Disabled cases, keys --

test("select() never chooses null, undefined or false, and keeps the indexes", async () => {
  const ch = filled(3);
  assertEquals(await select({ a: null, b: undefined, c: false, ch }), {
    key: "ch",
    value: 1,
    done: false,
  });
  assertEquals(await select([null, undefined, false, ch]), { key: 3, value: 2, done: false });
  const waits = select([null, new Channel<number>(), ch, false]);
  assertEquals(await waits, { key: 2, value: 3, done: false });
  const parked = select([undefined, ch]);
  ch.trySend(4);
  assertEquals(await parked, { key: 1, value: 4, done: false });
});

test("select() takes the holes of a list as disabled cases", async () => {
  const list: Channel<number>[] = [];
  list[2] = filled(1);
  assertEquals((await select(list)).key, 2);
  const parked = select(list);
  list[2].trySend(7);
  assertEquals(await parked, { key: 2, value: 7, done: false });
});

test("select() loops on with a case disabled after its end", async () => {
  const a = new Channel<number>({ capacity: 2 }), b = new Channel<number>({ capacity: 2 });
  for (const ch of [a, b]) {
    ch.trySend(1);
    ch.trySend(2);
    ch.close();
  }
  let openA: Channel<number> | null = a, openB: Channel<number> | null = b;
  const got: string[] = [];
  while (openA !== null || openB !== null) {
    const { key, value, done }: { key: "a" | "b"; value: number | undefined; done: boolean } =
      await select({ a: openA, b: openB });
    if (!done) got.push(`${key}${value}`);
    else if (key === "a") openA = null;
    else openB = null;
  }
  assertEquals(got.sort(), ["a1", "a2", "b1", "b2"]);
});

test("select() refuses keys that look like integers, before any effect", async () => {
  for (const key of ["0", "7", "4294967294", "12345678901"]) {
    const ch = filled(1);
    for (const run of [() => select({ ch, [key]: ch }), () => throwing({ ch, [key]: ch })]) {
      await assertRejects(run, TypeError, `Cannot select: a key must not look like an integer`);
    }
    assertEquals(ch.size, 1);
  }
  function throwing(cases: Record<string, Channel<number>>): Promise<never> {
    try {
      trySelect(cases);
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise(() => {});
  }
});

test("select() takes keys that only resemble integers", async () => {
  for (const key of ["01", "-1", "1.5", "1e3", " 1", "", "a1"]) {
    assertEquals(await select({ [key]: filled(1) }), { key, value: 1, done: false });
  }
});

test("select() takes a list of any length, and key is the index", async () => {
  const list = Array.from({ length: 300 }, () => new Channel<number>());
  const waits = select(list);
  list[299]!.trySend(5);
  assertEquals(await waits, { key: 299, value: 5, done: false });
  assertEquals((await select([filled(1)])).key, 0);
});

// -- What is no case --

test("select() without a live case rejects at once with a TypeError", async () => {
  for (const cases of [{}, [], { a: null }, [undefined, false]] as SelectCases[]) {
    await assertRejects(() => select(cases), TypeError, "Cannot select: at least one case");
  }
  await assertRejects(() => select({}, { priority: true }), TypeError);
});

test("select() without a live case waits for its timeout or signal", async () => {
  const error = await assertRejects(() => select({}, { timeout: 1 }), TimeoutError);
  assertEquals(error.ms, 1);
  const controller = new AbortController();
  const waits = outcome(select([null], { signal: controller.signal }));
  await idle();
  assertEquals(waits.state, "pending");
  controller.abort("enough");
  await idle();
  assertEquals(waits.error, "enough");
});

test("trySelect() without a live case gives undefined", () => {
  assertEquals([trySelect({}), trySelect([null])], [undefined, undefined]);
});

test("select() refuses what is no case, names it, and does nothing", async () => {
  for (const source of [7, "text", true, {}, () => {}, Symbol("no"), { "~select": undefined }]) {
    const ch = filled(1);
    await assertRejects(
      () => select({ ch, wrong: source as never }),
      TypeError,
      `Cannot select: case "wrong" must be selectable, got ${typeof source}`,
    );
    assertThrows(() => trySelect([ch, source as never]), TypeError, 'case "1" must be selectable');
    assertEquals(ch.size, 1);
  }
});

test("select() refuses cases that are no object", async () => {
  for (const cases of [undefined, null, 7, "ab", true]) {
    await assertRejects(() => select(cases as never), TypeError, "Cannot select: cases must be");
    assertThrows(() => trySelect(cases as never), TypeError, "Cannot select: cases must be");
  }
});

test("select() rejects wrong options before any effect", async () => {
  const ch = filled(1);
  for (const timeout of [-1, NaN, -Infinity]) {
    await assertRejects(() => select({ ch }, { timeout }), RangeError, "timeout must be >= 0");
  }
  await assertRejects(() => select({ ch }, { timeout: "5" as never }), TypeError, "timeout");
  await assertRejects(() => select({ ch }, { signal: {} as never }), TypeError, "AbortSignal");
  assertEquals(ch.size, 1);
});

// -- Closed channels --

test("select() gives done for a receive of a channel that is closed and drained, not before", async () => {
  const ch = filled(2);
  ch.close();
  const results = [];
  for (let i = 0; i < 4; i++) results.push(await select({ ch }));
  assertEquals(results, [
    { key: "ch", value: 1, done: false },
    { key: "ch", value: 2, done: false },
    { key: "ch", value: undefined, done: true },
    { key: "ch", value: undefined, done: true },
  ]);
  assertEquals(trySelect([ch]), { key: 0, value: undefined, done: true });
});

test("select() gives done when a channel is closed or cancelled while it waits", async () => {
  for (const end of ["close", "cancel"] as const) {
    const ch = new Channel<number>({ capacity: 1 }), cold = new Channel<number>();
    const waits = select({ ch, cold });
    ch[end]();
    assertEquals(await waits, { key: "ch", value: undefined, done: true });
  }
});

test("select() rejects with the reason a channel was closed with, ready or waiting", async () => {
  for (const reason of REASONS) {
    const ch = new Channel<number>({ capacity: 1 });
    const waits = rejection(select({ cold: new Channel(), ch }));
    ch.close(reason);
    assertStrictEquals(await waits, reason);
    assertStrictEquals(await rejection(select({ ch })), reason);
    let thrown: unknown = "nothing";
    try {
      trySelect({ ch });
    } catch (error) {
      thrown = error;
    }
    assertStrictEquals(thrown, reason);
  }
});

test("select() drains a channel closed with a reason before it rejects", async () => {
  const ch = filled(1);
  ch.close("why");
  assertEquals((await select({ ch })).value, 1);
  assertEquals(await rejection(select({ ch })), "why");
});

test("select() with a send on a closed channel rejects with ChannelClosedError and the value", async () => {
  for (const value of [7, undefined, null]) {
    const ch = new Channel<unknown>({ capacity: 1 });
    ch.close(new Error("not this one"));
    const error = await assertRejects(() => select({ out: ch.sending(value) }), ChannelClosedError);
    assertEquals([Object.hasOwn(error, "value"), error.value], [true, value]);
    assertThrows(() => trySelect([ch.sending(value)]), ChannelClosedError);
  }
});

test("select() with a send that waits rejects with its value when the channel is closed or cancelled", async () => {
  for (const end of ["close", "cancel"] as const) {
    const ch = new Channel<number>(), cold = new Channel<number>();
    const waits = rejection(select({ cold, out: ch.sending(7) }));
    ch[end]();
    const error = await waits;
    assertInstanceOf(error, ChannelClosedError);
    assertEquals(error.value, 7);
  }
});

test("select() with a send rejects only if the closed channel is chosen", async () => {
  const closed = new Channel<number>(), ch = filled(1);
  closed.close();
  const result = await select({ ch, out: closed.sending(7) }, { priority: true });
  assertEquals(result.key, "ch");
});

// -- Drop policies --

test("select() with a send to a full channel drops by its policy, at once", async () => {
  for (const overflow of ["drop-oldest", "drop-newest"] as const) {
    const undelivered: number[] = [];
    const ch = new Channel<number>({
      capacity: 2,
      overflow,
      onUndelivered: (value) => undelivered.push(value),
    });
    for (let value = 1; value <= 4; value++) {
      assertEquals(trySelect({ out: ch.sending(value) }), {
        key: "out",
        value: undefined,
        done: false,
      });
    }
    await select([ch.sending(5)]);
    const oldest = overflow === "drop-oldest";
    assertEquals(undelivered, oldest ? [1, 2, 3] : [3, 4, 5]);
    assertEquals([await ch.receive(), await ch.receive()], oldest ? [4, 5] : [1, 2]);
  }
});

// -- Sends and receives of one channel --

test("select() never meets itself on a rendezvous, whoever comes can meet either side", async () => {
  for (const flip of [false, true]) {
    const ch = new Channel<number>();
    const cases = () => flip ? [ch.sending(1), ch] as const : [ch, ch.sending(1)] as const;
    const receives = flip ? 1 : 0;
    let seen = outcome(select(cases()));
    assertEquals(trySelect(cases()) === undefined, false, "a second select meets the first");
    await idle();
    assertEquals(seen.state, "resolved");

    seen = outcome(select(cases()));
    await idle();
    assertEquals(seen.state, "pending");
    assertEquals(ch.trySend(5), true);
    await idle();
    assertEquals(seen.value, { key: receives, value: 5, done: false } as never);

    seen = outcome(select(cases()));
    await idle();
    assertEquals(seen.state, "pending");
    assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
    await idle();
    assertEquals(seen.value, { key: 1 - receives, value: undefined, done: false } as never);
    assertEquals(enlisted(), 0);
  }
});

test("select() with both sides of a buffer takes the one that can be done", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  assertEquals((await select({ ch, out: ch.sending(1) })).key, "out");
  assertEquals(await select({ ch, out: ch.sending(2) }), { key: "ch", value: 1, done: false });
  assertEquals(ch.size, 0);
});

test("select() meets another select that sends what it receives", async () => {
  const a = new Channel<string>(), b = new Channel<string>();
  const first = select({ a, out: b.sending("first") });
  const second = select({ b, out: a.sending("second") });
  const results = [await first, await second];
  // Both directions are possible; exactly one has happened, and both say the same.
  const sent = results.filter(({ key }) => key === "out").length;
  assertEquals(sent, 1);
  const got = results.find(({ key }) => key !== "out")!;
  assertEquals(got.value, got.key === "a" ? "second" : "first");
  assertEquals(enlisted(), 0);
});

test("select() meets another one on the same channel in one direction only", async () => {
  const ch = new Channel<string>();
  const results = await Promise.all([
    select({ ch, out: ch.sending("one") }),
    select({ ch, out: ch.sending("two") }),
  ]);
  assertEquals(results.map(({ key }) => key).sort(), ["ch", "out"]);
  const at = results.findIndex(({ key }) => key === "ch");
  assertEquals(results[at]!.value, at === 0 ? "two" : "one");
  assertEquals(ch.tryReceive(), { state: "empty" });
});

test("select() in a crowd on one rendezvous pairs everybody off", async () => {
  const ch = new Channel<number>();
  const selects = Array.from({ length: 100 }, (_, i) => select({ ch, out: ch.sending(i) }));
  const results = await Promise.all(selects);
  const sent = results.flatMap(({ key }, i) => key === "out" ? [i] : []);
  const got = results.flatMap(({ key, value }) => key === "ch" ? [value] : []);
  assertEquals(got.sort(), sent.sort());
  assertEquals(sent.length, 50);
});

// -- Things listed twice --

test("select() takes the same thing listed twice, and takes it once", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  ch.trySend(1);
  assertEquals((await select({ a: ch, b: ch })).value, 1);
  let waits: Promise<{ key: string; value: unknown }> = select({ a: ch, b: ch });
  assert(ch.trySend(2));
  assertEquals(await waits, { key: "a", value: 2, done: false } as never);
  assertEquals([ch.size, enlisted()], [0, 0]);

  const full = filled(1), out = full.sending(9);
  waits = select({ a: out, b: out });
  await full.receive();
  assertEquals((await waits).key, "a");
  assertEquals([full.tryReceive(), full.tryReceive()], [
    { state: "ok", value: 9 },
    { state: "empty" },
  ]);

  const event = new Event(), late = after(1), deferred = new Deferred<number>();
  waits = select([event, event]) as never;
  event.set();
  assertEquals((await waits).key, 0 as never);
  assertEquals((await select([late, late])).key, 0);
  waits = select({ a: deferred, b: deferred });
  deferred.resolve(3);
  assertEquals((await waits).value, 3);

  const open = gate<number>();
  waits = select({ a: open.promise, b: open.promise });
  open.open(4);
  assertEquals((await waits).value, 4);

  const task = spawn(() => 5);
  waits = select({ a: task, b: task });
  assertEquals((await waits).value, 5);

  const semaphore = new Semaphore(0);
  waits = select({ a: semaphore, b: semaphore });
  semaphore.release(2);
  assertEquals([(await waits).key, semaphore.value], ["a", 1]);
});

// -- Hand-over is final --

test("select() keeps a value that was handed over before an abort, kill or limit in the same tick", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>(), controller = new AbortController();
  const aborted = select({ ch }, { signal: controller.signal });
  assert(ch.trySend(1));
  controller.abort("too late");
  const late = select({ ch }, { timeout: 5 });
  assert(ch.trySend(2));
  time.advance(5);
  const task = spawn(() => select({ ch }));
  await idle();
  assert(ch.trySend(3));
  void task.kill();
  const closed = select({ ch });
  assert(ch.trySend(4));
  ch.close("too late");
  const values = [await aborted, await late, await task, await closed].map(({ value }) => value);
  assertEquals(values, [1, 2, 3, 4]);
});

test("select() keeps a send that was taken before an abort, kill or limit in the same tick", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>(), controller = new AbortController();
  const got: unknown[] = [];
  const aborted = select([ch.sending(1)], { signal: controller.signal });
  got.push(ch.tryReceive());
  controller.abort("too late");
  const late = select([ch.sending(2)], { timeout: 5 });
  got.push(ch.tryReceive());
  time.advance(5);
  const task = spawn(() => select([ch.sending(3)]));
  await idle();
  got.push(ch.tryReceive());
  void task.kill();
  for (const selected of [aborted, late, task]) assertEquals((await selected).key, 0);
  assertEquals(got, [1, 2, 3].map((value) => ({ state: "ok", value })));
});

test("select() that was aborted, killed or timed out in the same tick takes nothing", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>({ capacity: 4 }), controller = new AbortController();
  const aborted = rejection(select({ ch }, { signal: controller.signal }));
  controller.abort("enough");
  ch.trySend(1);
  const task = spawn(() => rejection(select({ ch: new Channel(), other: new Event() })));
  await idle();
  void task.kill("killed");
  await task;
  const open = new Channel<number>({ capacity: 4 });
  const late = rejection(select({ open }, { timeout: 5 }));
  time.advance(5);
  open.trySend(2);
  assertEquals(await aborted, "enough");
  assertInstanceOf(await late, TimeoutError);
  assertEquals([ch.size, open.size], [1, 1]);
});

for (const way of ["abort", "kill", "timeout", "limit"] as const) {
  test(`select() that waits and ends by ${way} has neither taken nor sent`, async () => {
    using time = new ManualClock();
    const ch = new Channel<number>(), out = filled(1), controller = new AbortController();
    const semaphore = new Semaphore(0);
    const wait = (options?: SelectOptions) =>
      select({ ch, out: out.sending(9), semaphore }, options);
    const task = spawn(() => {
      if (way === "abort") return wait({ signal: controller.signal });
      if (way === "timeout") return wait({ timeout: 5 });
      return way === "limit" ? withTimeout(5, () => wait()) : wait();
    });
    const ended = rejection(task);
    await idle();
    assertEquals(enlisted(), 5);
    if (way === "abort") controller.abort("enough");
    else if (way === "kill") void task.kill(new Error("enough"));
    else time.advance(5);
    assertEquals(
      enlisted(),
      way === "kill" ? 2 : 1,
      "at once: only who awaits the task, or its end",
    );
    const error = await ended;
    if (way === "abort") assertEquals(error, "enough");
    else if (way === "kill") assertEquals((error as Error).message, "enough");
    else assertEquals((error as TimeoutError).ms, 5);
    assertEquals(ch.trySend(1), false, "nobody receives");
    assertEquals(out.tryReceive(), { state: "ok", value: 1 });
    assertEquals(out.tryReceive(), { state: "empty" }, "nothing was sent");
    semaphore.release();
    assertEquals(semaphore.value, 1, "nothing was acquired");
  });
}

test("select() rejects with a TimeoutError that names the verb and the limit", async () => {
  const error = await assertRejects(() => select([new Channel()], { timeout: 2 }), TimeoutError);
  assertEquals([error.ms, error.message], [2, "Cannot select: the limit of 2 ms is over"]);
});

test("select() looks at kill, then signal, then cases, before any effect", async () => {
  const ch = filled(1), signal = AbortSignal.abort("aborted");
  const errors = await inKilled(async () => [
    await rejection(select({ ch }, { signal })),
    await rejection(select({ out: new Channel<number>({ capacity: 1 }).sending(1) })),
    trySelect({ ch })?.value,
    await shield(() => select({ out: ch.sending(5) })).then(({ key }) => key),
  ]);
  assertEquals([(errors[0] as Error).cause, (errors[1] as Error).cause], ["killed", "killed"]);
  assertEquals(errors.slice(2), [1, "out"]);
  assertEquals(await rejection(select({ ch }, { signal })), "aborted");
  assertEquals(ch.tryReceive(), { state: "ok", value: 5 });
});

test("select() with a limit of 0 does what can be done at once, else rejects", async () => {
  assertEquals((await select([filled(1)], { timeout: 0 })).value, 1);
  await assertRejects(() => select([new Channel()], { timeout: 0 }), TimeoutError);
});

test("select() that is refused causes no unhandled rejection of a promise that it lists", async () => {
  const open = gate();
  const aborted = rejection(select([open.promise], { signal: AbortSignal.abort("gone") }));
  await inKilled(() => rejection(select([open.promise])));
  open.fail(new Error("dropped")); // a floating rejection fails the test
  assertEquals(await aborted, "gone");
  await idle();
});

// -- Promises --

test("select() gives what a promise gives", async () => {
  const open = gate<number>();
  const waits = select({ ch: new Channel(), open: open.promise });
  open.open(7);
  assertEquals(await waits, { key: "open", value: 7, done: false });
  assertEquals(await select([open.promise]), { key: 0, value: 7, done: false });
  assertEquals(await select([Promise.resolve(8)]), { key: 0, value: 8, done: false });
});

test("select() never finds a promise ready at once: any ready case beats it", async () => {
  const settled = Promise.resolve(7);
  assertEquals(trySelect([settled]), undefined);
  await select([settled]);
  for (let i = 0; i < 20; i++) {
    assertEquals((await select({ settled, ch: filled(1) }, { priority: true })).key, "ch");
    assertEquals(trySelect({ settled }), undefined);
  }
});

test("select() subscribes to a promise once in its life, however often it is listed", async (t) => {
  const open = gate<number>();
  const spied = t.mock.method(open.promise, "then");
  const cold = new Channel<number>(), hot = new Channel<number>();
  for (let i = 0; i < 100; i++) {
    const waits = select({ a: open.promise, b: open.promise, hot, cold });
    hot.trySend(i);
    await waits;
  }
  const last = select([open.promise]);
  open.open(7);
  assertEquals((await last).value, 7);
  await select([open.promise]);
  assertEquals(spied.mock.callCount(), 1);
});

test("select() rejects with a promise's error when it is chosen, and only then", async () => {
  const error = new Error("no");
  const waits = rejection(select({ ch: new Channel(), bad: Promise.reject(error) }));
  assertStrictEquals(await waits, error);
  const bad = gate(), hot = filled(1);
  assertEquals((await select({ bad: bad.promise, hot })).key, "hot");
  const parked = select({ bad: bad.promise, hot });
  hot.trySend(2);
  assertEquals((await parked).key, "hot");
  bad.fail(error); // lost both: must not count as unhandled
  await idle();
  assertStrictEquals(await rejection(select([bad.promise])), error);
});

test("select() takes any thenable as a promise", async () => {
  let calls = 0;
  const lazy: PromiseLike<number> = {
    then(resolve, reject) {
      calls++;
      return Promise.resolve(7).then(resolve, reject);
    },
  };
  assertEquals((await select({ lazy, cold: new Channel() })).value, 7);
  assertEquals((await select([lazy])).value, 7);
  assertEquals(calls, 1);
});

// -- Tasks --

test("select() gives a task's value, ended or not", async () => {
  const task = spawn(() => 7);
  assertEquals(await select({ task, cold: new Channel() }), {
    key: "task",
    value: 7,
    done: false,
  });
  assertEquals(trySelect([task]), { key: 0, value: 7, done: false });
});

test("select() rejects with the error of a task that failed or was killed", async () => {
  const error = new Error("no");
  const failed = spawn(() => {
    throw error;
  });
  assertStrictEquals(await rejection(select({ failed })), error);
  assertStrictEquals(await rejection(select({ failed })), error);
  const killed = spawn(() => sleep(Infinity));
  const waits = rejection(select([killed]));
  const reason = new Error("reason");
  await killed.kill(reason);
  assertStrictEquals(await waits, reason);
  assertStrictEquals(await rejection(select([killed])), reason);
});

test("select() observes a task only when it is chosen", async () => {
  const reported: unknown[] = [];
  using _hook = onUnhandled((error) => reported.push((error as Error).message));
  const fail = (name: string) =>
    spawn({ name }, () => {
      throw new Error(name);
    });

  // Waiting when it fails, but another was chosen before.
  const loser = spawn({ name: "loser" }, async () => {
    await sleep(0);
    throw new Error("loser");
  });
  const hot = new Channel<number>();
  const waits = select({ loser, hot });
  hot.trySend(1);
  assertEquals((await waits).key, "hot");

  // Ready, but another was chosen.
  const ended = fail("ended");
  await sleep(0);
  assertEquals(ended.ready, true);
  assertEquals((await select({ first: filled(1), ended }, { priority: true })).key, "first");

  // Two fail: the chosen one is observed.
  const chosen = fail("chosen"), second = fail("second");
  assertEquals((await rejection(select({ chosen, second })) as Error).message, "chosen");
  await idle();
  assertEquals(reported.sort(), ["ended", "loser", "second"]);
});

// -- Other things that can be waited for --

test("select() waits for an event, and takes nothing from it", async () => {
  const event = new Event();
  const waits = [select({ event }), select({ event, cold: new Channel() })];
  event.set();
  event.clear();
  for (const wait of waits) {
    assertEquals(await wait, { key: "event", value: undefined, done: false });
  }
  assertEquals(trySelect({ event }), undefined);
  event.set();
  assertEquals(trySelect({ event })?.key, "event");
  assertEquals(event.isSet, true);
});

test("select() waits for a deferred, and rejects with its error", async () => {
  const good = new Deferred<number>(), bad = new Deferred<number>();
  const waits = select({ good, bad });
  good.resolve(7);
  assertEquals(await waits, { key: "good", value: 7, done: false });
  assertEquals(trySelect([good])?.value, 7);
  const fails = rejection(select([bad]));
  bad.reject("no");
  assertEquals([await fails, await rejection(select([bad]))], ["no", "no"]);
});

test("select() acquires a semaphore or mutex by its commit only, and the value is the permit", async () => {
  for (const lock of [new Semaphore(1), new Mutex()]) {
    const free = () => lock instanceof Mutex ? !lock.locked : lock.value === 1;
    const first = await select({ lock, cold: new Channel() });
    assert(!first.done && !free());
    const waits = select({ lock, cold: new Channel() });
    first.value.release();
    const second = await waits;
    assert(!second.done && !free());
    const hot = new Channel<number>();
    const loses = select({ lock, hot });
    hot.trySend(1);
    assertEquals((await loses).key, "hot");
    second.value.release();
    assert(free());
    assertEquals((await select({ hot: filled(1), lock }, { priority: true })).key, "hot");
    assert(free());
  }
});

test("select() that leaves the line of a semaphore lets those behind it go on", async () => {
  const semaphore = new Semaphore(1), hot = new Channel<number>();
  const big = semaphore.acquire({ weight: 2, timeout: 50 });
  const small = select({ semaphore, hot });
  await idle();
  assertEquals(enlisted(), 4);
  await assertRejects(() => big, TimeoutError);
  using permit = (await small).value as Disposable;
  assert(permit !== undefined);
  assertEquals(semaphore.value, 0);
});

test("select() gets from a queue, and gives done once it is closed and empty", async () => {
  const queue = new Queue<number>(2);
  queue.tryPut(1);
  assertEquals(await select({ queue }), { key: "queue", value: 1, done: false });
  const waits = select({ queue, cold: new Channel() });
  queue.tryPut(2);
  assertEquals(await waits, { key: "queue", value: 2, done: false });
  const parked = select({ queue });
  queue.close();
  assertEquals(await parked, { key: "queue", value: undefined, done: true });
  assertEquals((await select({ queue })).done, true);
});

// -- Cases of the user's own --

test("select() takes a Selectable of the user's own that is ready", async () => {
  const own = new Own<string>();
  own.value = "now";
  assertEquals(await select({ own }), { key: "own", value: "now", done: false });
  assertEquals(own.calls, ["take"]);
});

test("select() enlists and delists a Selectable of the user's own once", async () => {
  const own = new Own<string>(), other = new Own<string>(), ch = new Channel<number>();
  const waits = select({ own, other, ch });
  assertEquals([own.calls, other.calls], [["enlist"], ["enlist"]]);
  const [branch] = own.branches;
  branch!.settle({ value: "later", done: false });
  assertEquals(other.calls, ["enlist", "delist"]);
  assertEquals(await waits, { key: "own", value: "later", done: false });
  assertEquals(ch.trySend(1), false);

  const fails = rejection(select({ other, ch }));
  [...other.branches][0]!.fail("no");
  assertEquals(await fails, "no");

  const controller = new AbortController();
  const aborted = rejection(select({ other }, { signal: controller.signal }));
  controller.abort("gone");
  assertEquals(await aborted, "gone");
  assertEquals([own.branches.size, other.branches.size], [1, 1]); // those that were settled
});

test("select() drops what a Selectable settles after the end", async () => {
  const own = new Own<string>(), ch = new Channel<number>();
  const waits = select({ own, ch });
  const [branch] = own.branches;
  ch.trySend(1);
  branch!.settle({ value: "too late", done: false });
  branch!.fail("too late");
  assertEquals((await waits).value, 1);
});

test("select() with a Selectable that settles while it enlists goes no further", async () => {
  const ch = new Channel<number>(), last = new Own<string>();
  const eager = new Own<string>();
  eager.enlist = (branch) => branch.settle({ value: "at once", done: false });
  assertEquals(await select({ ch, eager, last }), { key: "eager", value: "at once", done: false });
  assertEquals([enlisted(), last.calls], [0, []]);
});

test("select() with a Selectable that throws while it enlists rejects and leaves nothing", async () => {
  const ch = new Channel<number>({ capacity: 1 }), broken = new Own<string>();
  const before = liveWaiters();
  broken.enlist = () => {
    throw new Error("broken");
  };
  await assertRejects(() => select({ ch, broken, late: after(1000) }), Error, "broken");
  assertEquals([enlisted(), liveWaiters() - before, clock.on.size], [0, 0, 0]);
  ch.trySend(1);
  assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
});

test("select() with a random source or a Selectable that throws has no effect", async () => {
  const a = filled(1), b = filled(1), broken = new Own<string>();
  const random = () => {
    throw new Error("no luck");
  };
  await assertRejects(() => select({ a, b }, { random }), Error, "no luck");
  broken.ready = () => {
    throw new Error("broken");
  };
  await assertRejects(() => select({ a, broken }), Error, "broken");
  assertEquals([a.size, b.size, enlisted()], [1, 1, 0]);
});

// -- trySelect --

test("trySelect() does what is ready, else gives undefined, and never parks", () => {
  const ch = filled(1), out = new Channel<number>(), before = liveWaiters();
  assertEquals(trySelect({ ch, out: out.sending(1) }), { key: "ch", value: 1, done: false });
  assertEquals(trySelect({ ch, out: out.sending(1), late: after(0) }), undefined);
  assertEquals([liveWaiters() - before, enlisted(), clock.on.size], [0, 0, 0]);
});

// -- The loop that loses values --

test("Promise.race() of receives loses values, select() in the same loop loses none", async () => {
  async function feed(ch: Channel<number>): Promise<void> {
    for (let value = 0; value < RACED; value++) await ch.send(value);
    ch.close();
  }
  const raced: number[] = [];
  {
    const a = new Channel<number>(), b = new Channel<number>();
    const feeds = [feed(a), feed(b)];
    try {
      while (raced.length < 2 * RACED) raced.push(await Promise.race([a.receive(), b.receive()]));
    } catch (error) {
      assertInstanceOf(error, ChannelClosedError);
    }
    a.cancel();
    b.cancel();
    await Promise.allSettled(feeds);
  }
  assertLess(raced.length, 2 * RACED);

  let a: Channel<number> | null = new Channel<number>();
  let b: Channel<number> | null = new Channel<number>();
  const feeds = [feed(a), feed(b)], got: Record<string, number[]> = { a: [], b: [] };
  while (a !== null || b !== null) {
    const { key, value, done }: { key: "a" | "b"; value: number | undefined; done: boolean } =
      await select({ a, b });
    if (!done) got[key]!.push(value!);
    else if (key === "a") a = null;
    else b = null;
  }
  await Promise.all(feeds);
  const all = Array.from({ length: RACED }, (_, i) => i);
  assertEquals([got.a, got.b], [all, all]);
});

test("select() against a tick that always comes first loses none of 3,000 values", async () => {
  const ch = new Channel<number>({ capacity: 4 }), got: number[] = [];
  const feed = spawn(async () => {
    for (let value = 0; value < RACED; value++) {
      await ch.send(value);
      if (value % 3 === 0) await sleep(0);
    }
    ch.close();
  });
  for (let ended = false, ticks = 0; !ended; ticks++) {
    const { key, value, done } = await select({ ch, tick: spawn(() => ticks) });
    if (key === "ch" && done) ended = true;
    else if (key === "ch") got.push(value!);
  }
  await feed;
  assertEquals(got, Array.from({ length: RACED }, (_, i) => i));
});

// -- Deep and wide --

test("select() a thousand times in parallel on few channels gives each value once", async () => {
  const channels = Array.from({ length: 4 }, () => new Channel<number>()), before = liveWaiters();
  const selects = Array.from({ length: 1000 }, () => select(channels));
  for (let value = 0; value < 1000; value++) assert(channels[value % 4]!.trySend(value));
  const values = (await Promise.all(selects)).map(({ value }) => value);
  assertEquals(new Set(values).size, 1000);
  assertEquals([liveWaiters() - before, enlisted()], [0, 0]);
});

test("select() that wakes another select, which wakes another, ends for 10,000 in a row", async () => {
  const links = Array.from({ length: 10_000 }, () => new Channel<number>());
  const last = links[links.length - 1]!;
  const tasks = links.slice(1).map((next, i) =>
    spawn(async () => {
      const { value } = await select([links[i]!]);
      await select([next.sending(value! + 1)]);
    })
  );
  await idle();
  void links[0]!.send(0);
  assertEquals((await select([last])).value, 9999);
  for (const task of tasks) await task;
});

/** A case of the user's own that cannot be taken back. */
const STUBBORN: Selectable<never> = {
  "~select": {
    ready: () => false,
    take: () => assert(false) as never,
    enlist() {},
    delist() {
      throw new Error("stays");
    },
  },
};

test("select() reports a case that throws when it is taken back; kills and the clock go on", async () => {
  const reported: unknown[] = [];
  using _hook = onUnhandled((error) => reported.push((error as Error).message));
  const ch = new Channel<number>();
  const cases = { stubborn: STUBBORN, ch };
  const killed = spawn(() => select(cases));
  const next = spawn(() => sleep(Infinity));
  await idle();
  assertEquals(await killed.kill(), true);
  assertEquals(await next.kill(), true);

  const limited = select(cases, { timeout: 1 });
  await assertRejects(() => limited, TimeoutError);
  await sleep(1); // the clock has not stopped

  const served = select(cases);
  await ch.send(1);
  assertEquals((await served).value, 1);
  assertEquals(reported, ["stays", "stays", "stays"]);
});
