// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Time passes and never too little of it; `sleep(0)` is a turn.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { clock } from "../src/_kernel/clock.ts";
import { queueSize } from "../src/_kernel/run_queue.ts";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { TimeoutError } from "../src/errors.ts";
import { joinAll, killAll } from "../src/join.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();

/** Tasks that do nothing but give up their turn. */
const spinners = (count: number) =>
  Array.from({ length: count }, () =>
    spawn(async () => {
      while (true) await sleep(0);
    }));

// -- A turn --

test("sleep() without arguments is sleep(0): it parks, and resolves to undefined", async () => {
  const slept = outcome(sleep());
  assertEquals([liveWaiters(), queueSize(), clock.on.size], [1, 1, 0]);
  await idle();
  assertEquals([slept.state, slept.value], ["resolved", undefined]);
});

test("sleep(0) goes to the back of the queue: all that can run now runs first", async () => {
  const step = steps();
  const a = spawn(async () => {
    step(1);
    await sleep(0);
    step(4);
    await sleep(0);
    step(7);
  });
  const b = spawn(async () => {
    step(2);
    await sleep(0);
    step(5);
    await sleep(0);
    step(8);
  });
  const c = spawn(async () => {
    step(3);
    await sleep(0);
    step(6);
  });
  await joinAll([a, b, c]);
  step.end(9);
});

test("sleep(0) waits also for what an already queued task wakes", async () => {
  const step = steps();
  const tasks = [
    spawn(async () => {
      await sleep(0);
      step(2);
      await sleep(0);
      step(3);
    }),
    spawn(() => Promise.resolve().then(() => step(1))),
  ];
  await joinAll(tasks);
  step.end(4);
});

test("sleep(0) works outside of tasks in the order of the calls", async () => {
  const step = steps();
  const turns = [1, 2, 3].map((n) => sleep(0).then(() => step(n)));
  await Promise.all(turns);
  step.end(4);
});

test("sleep(0) in a loop never starves timers", async () => {
  const tasks = spinners(3);
  const start = performance.now();
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  const took = performance.now() - start;
  await killAll(tasks);
  assert(took < 1000, `five timers of 1 ms took ${took} ms`);
});

test("sleep(0) in a loop never starves the sleepers of the library", async () => {
  const tasks = spinners(3);
  await sleep(2);
  await sleep(2);
  await killAll(tasks);
});

test("sleep(0) in a loop never starves I/O", async () => {
  const tasks = spinners(3);
  const server = createServer((socket) => void socket.pipe(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const socket = connect(port, "127.0.0.1");
  const echoed = new Promise<string>((resolve, reject) => {
    socket.on("data", (chunk) => resolve(String(chunk)));
    socket.on("error", reject);
  });
  socket.write("ping");
  assertEquals(await echoed, "ping");
  await new Promise<void>((resolve) => socket.end(() => resolve()));
  await new Promise<void>((resolve) => server.close(() => resolve()));
  await killAll(tasks);
});

test("sleep(0) in a loop of many tasks leaves the timers a turn within some rounds", async () => {
  const tasks = spinners(5000);
  await sleep(0);
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 1));
  const took = performance.now() - start;
  await killAll(tasks);
  assert(took < 1000, `a timer of 1 ms took ${took} ms`);
});

test("sleep(0) for 100,000 turns needs no stack and no memory", async () => {
  let turns = 0;
  await spawn(async () => {
    for (; turns < 100_000; turns++) await sleep(0);
  });
  assertEquals([turns, queueSize()], [100_000, 0]);
});

test("sleep(0) that is killed in the queue rejects at once and leaves its place unused", async () => {
  const task = spawn(() => sleep(0));
  await Promise.resolve();
  assertEquals(task.state, "running");
  await task.kill();
  assertEquals(task.state, "killed");
  await idle();
});

// -- Time --

test("sleep() is never early on the host's clock", async () => {
  for (const ms of [0.1, 1, 1.5, 2, 3, 5, 7.9]) {
    for (let i = 0; i < 5; i++) {
      const start = performance.now();
      await sleep(ms);
      assertGreaterOrEqual(performance.now() - start, ms);
    }
  }
});

test("sleep() wakes at its time, not before", async () => {
  using time = new ManualClock();
  const slept = outcome(sleep(10));
  time.advance(9.999);
  await idle();
  assertEquals(slept.state, "pending");
  time.advance(0.001);
  await idle();
  assertEquals(slept.state, "resolved");
});

test("sleep() wakes sleepers by deadline, and by arrival among equals", async () => {
  using time = new ManualClock();
  const seen: string[] = [];
  const naps = [[20, "c"], [10, "a"], [30, "d"], [10, "b"]] as const;
  const sleepers = naps.map(([ms, name]) => sleep(ms).then(() => seen.push(name)));
  time.advance(30);
  await Promise.all(sleepers);
  assertEquals(seen, ["a", "b", "c", "d"]);
});

test("sleep() is out of reach of fake timers put into the globals", async () => {
  const real = globalThis.setTimeout;
  globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout;
  try {
    await sleep(1);
  } finally {
    globalThis.setTimeout = real;
  }
});

test("sleep(Infinity) waits until cancelled and holds no timer", async () => {
  using time = new ManualClock();
  const task = spawn(() => sleep(Infinity));
  await idle();
  assertEquals(time.size, 0);
  time.advance(1e300);
  await idle();
  assertEquals(task.state, "running");
  await task.kill();
});

test("sleep() beyond 2^31 - 1 ms does not fire at once", async () => {
  for (const ms of [2 ** 31, 2 ** 32, 2 ** 53, Number.MAX_VALUE]) {
    const task = spawn(() => sleep(ms));
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals([ms, task.state], [ms, "running"]);
    await task.kill();
  }
});

// -- Limits, signals, kills --

test("sleep() rejects with a RangeError for a negative time or NaN, a TypeError for no number", async () => {
  for (const ms of [-1, NaN, -0.001, -Infinity]) {
    await assertRejects(() => sleep(ms), RangeError, `Cannot sleep: ms must be >= 0`);
  }
  await assertRejects(() => sleep("5" as never), TypeError, "Cannot sleep: ms must be a number");
  await assertRejects(() => sleep(null as never), TypeError);
  assertEquals(await sleep(-0), undefined);
});

test("sleep() rejects with a TimeoutError when its limit is over first, else it does not", async () => {
  using time = new ManualClock();
  const late = outcome(sleep(10, { timeout: 5 }));
  const same = outcome(sleep(5, { timeout: 5 }));
  const early = outcome(sleep(3, { timeout: 5 }));
  const never = outcome(sleep(Infinity, { timeout: 5 }));
  time.advance(5);
  await idle();
  assertEquals([late, same, early, never].map(({ state }) => state), [
    "rejected",
    "resolved",
    "resolved",
    "rejected",
  ]);
  for (const { error } of [late, never]) {
    assertInstanceOf(error, TimeoutError);
    assertEquals(error.ms, 5);
  }
});

test("sleep() rejects wrong options", async () => {
  await assertRejects(() => sleep(1, { timeout: -1 }), RangeError, "timeout");
  await assertRejects(() => sleep(1, { timeout: NaN }), RangeError, "timeout");
  await assertRejects(() => sleep(1, { signal: {} as never }), TypeError, "AbortSignal");
});

test("sleep() rejects with the signal's reason, and leaves neither timer nor listener", async () => {
  using time = new ManualClock();
  const reason = { why: "enough" };
  for (const ms of [0, 10, Infinity]) {
    const controller = new AbortController();
    const listeners = countListeners(controller.signal);
    const slept = rejection(sleep(ms, { signal: controller.signal }));
    assertEquals(listeners.active, 1);
    controller.abort(reason);
    assertStrictEquals(await slept, reason);
    assertEquals([listeners.active, time.size], [0, 0]);
    assertStrictEquals(await rejection(sleep(ms, { signal: controller.signal })), reason);
  }
});

test("sleep() that wakes leaves no listener", async () => {
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  await sleep(0, { signal: controller.signal });
  await sleep(1, { signal: controller.signal, timeout: 1000 });
  assertEquals(listeners, { added: 2, active: 0 });
});

test("sleep() that is killed leaves no timer", async () => {
  using time = new ManualClock();
  const task = spawn(() => sleep(10));
  await idle();
  assertEquals(time.size, 1);
  await task.kill();
  assertEquals([time.size, task.state], [0, "killed"]);
});

test("sleep() whose time came before the kill in the same tick has slept", async () => {
  using time = new ManualClock();
  const task = spawn(async () => {
    await sleep(10);
    return "slept";
  });
  await idle();
  time.advance(10);
  void task.kill();
  assertEquals(await task, "slept");
});
