// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { afterEach, test } from "node:test";
import type { Context } from "../../src/_kernel/current.ts";
import { hooks, listen } from "../../src/_kernel/hooks.ts";
import type { Waiter } from "../../src/_kernel/waiter.ts";
import { Channel } from "../../src/channel.ts";
import { greenlet } from "../../src/greenlet.ts";
import { joinAll } from "../../src/join.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn, spawnLater } from "../../src/spawn.ts";
import { currentTask } from "../../src/task.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { ManualClock } from "../manual_clock.ts";
import { outcome, rejection } from "../outcome.ts";

noLeaks();
afterEach(() => {
  hooks.on = null;
});

test("hooks.on is null by default", () => {
  assertEquals(hooks.on, null);
});

test("Hooks.parked() and ended() see every wait once, linked and unlinked", async () => {
  const seen: unknown[] = [];
  hooks.on = {
    parked: ({ list }) => seen.push(["parked", list!.verb, list!.owner, list!.size]),
    ended: ({ list, settled }) => seen.push(["ended", list, settled]),
  };
  const ch = new Channel<number>({ name: "orders" }), controller = new AbortController();
  const received = ch.receive();
  ch.trySend(1);
  await received;
  const sent = rejection(ch.send(2, { signal: controller.signal }));
  controller.abort();
  await sent;
  const closed = rejection(ch.receive());
  ch.close();
  await closed;
  assertEquals(seen.map((event) => (event as unknown[]).filter((part) => part !== ch)), [
    ["parked", "receive", 1],
    ["ended", null, true],
    ["parked", "send", 1],
    ["ended", null, true],
    ["parked", "receive", 1],
    ["ended", null, true],
  ]);
  assertStrictEquals((seen[0] as unknown[])[2], ch);
});

test("Hooks.parked() is not called by what does not park", async () => {
  const parked: Waiter[] = [];
  hooks.on = { parked: (waiter) => parked.push(waiter) };
  const ch = new Channel<number>({ capacity: 1 });
  await ch.send(1);
  await ch.receive();
  ch.trySend(1);
  await ch.values().next();
  ch.close();
  await rejection(ch.receive());
  assertEquals(parked, []);
});

test("Hooks.parked() knows the context of the one who waits", async () => {
  const contexts: Array<Context | null> = [];
  hooks.on = { parked: ({ context }) => contexts.push(context) };
  const ch = new Channel<number>();
  const task = spawn(() => ch.receive());
  await idle();
  const outside = ch.receive();
  ch.trySend(1);
  ch.trySend(2);
  assertEquals([await task, await outside], [1, 2]);
  assertStrictEquals(contexts[0]?.task, task);
  assertEquals(contexts[1], null);
});

test("Hooks.waking() decides when the waits go on, what was handed over stays so", async () => {
  const wakes: Array<() => void> = [];
  hooks.on = { waking: (_, wake) => void wakes.push(wake) };
  const ch = new Channel<number>(), controller = new AbortController();
  const waits = [1, 2, 3].map(() => outcome(ch.receive({ signal: controller.signal })));
  ch.trySend(1);
  ch.trySend(2);
  controller.abort("stop");
  ch.close();
  await idle();
  assertEquals(waits.map(({ state }) => state), ["pending", "pending", "pending"]);
  assertEquals(wakes.length, 3);
  const order: number[] = [];
  for (const i of [2, 0, 1]) {
    wakes[i]!();
    await idle();
    order.push(waits.filter(({ state }) => state !== "pending").length);
  }
  assertEquals(order, [1, 2, 3]);
  assertEquals(waits, [
    { state: "resolved", value: 1 },
    { state: "resolved", value: 2 },
    { state: "rejected", error: "stop" },
  ]);
});

test("Hooks.beginning() decides when tasks begin, in their own context", async () => {
  using time = new ManualClock();
  const begins: Array<() => void> = [];
  hooks.on = { beginning: (_, begin) => void begins.push(begin) };
  const seen: Array<string | undefined> = [];
  const tasks = ["a", "b"].map((name) =>
    spawn({ name }, () => void seen.push(currentTask()?.name))
  );
  const late = spawnLater(1, () => void seen.push("late"));
  const killed = spawn(() => void seen.push("killed"));
  await idle();
  assertEquals([begins.length, seen], [3, []]);
  await killed.kill();
  for (const begin of begins.reverse()) begin();
  await joinAll(tasks);
  assertEquals(seen, ["b", "a"]);
  hooks.on = null;
  time.advance(1);
  await late;
  assertEquals(seen, ["b", "a", "late"]);
});

test("Hooks.beginning() decides when the body of a greenlet begins", async () => {
  const begins: Array<() => void> = [];
  hooks.on = {
    beginning: ({ greenlet }, begin) => {
      assertStrictEquals(greenlet, g);
      begins.push(begin);
    },
  };
  const g = greenlet((n: number) => n + 1);
  const switched = outcome(g.switch(1));
  await idle();
  assertEquals([begins.length, switched.state], [1, "pending"]);
  begins[0]!();
  await idle();
  assertEquals(switched.value, 2);
});

test("Hooks.waking() sees also timed-out and killed waits", async () => {
  const woken: string[] = [];
  hooks.on = {
    waking: (_, wake) => {
      woken.push("wake");
      wake();
    },
  };
  await rejection(new Channel<number>().receive({ timeout: 0 }));
  await sleep(0);
  assertEquals(woken.length, 2);
});

test("Hooks.spawned() and finished() see every task once", async () => {
  const seen: unknown[] = [];
  hooks.on = {
    spawned: ({ task }) => seen.push("spawned", task),
    finished: ({ task }) => seen.push("finished", task),
  };
  const task = spawn(() => 1), never = spawn(() => 2);
  void never.kill();
  await task;
  hooks.on = null;
  assertEquals(seen.filter((event) => typeof event === "string"), [
    "spawned",
    "spawned",
    "finished",
    "finished",
  ]);
  const tasks = seen.filter((event) => typeof event !== "string");
  assert([task, never, never, task].every((one, i) => tasks[i] === one));
});

test("Hooks may be partly there", async () => {
  hooks.on = {};
  const ch = new Channel<number>(), received = ch.receive();
  ch.trySend(1);
  assertEquals(await received, 1);
  assertEquals(await spawn(() => 1), 1);
});

test("listen() calls the hooks of an instance of a class as its methods", async () => {
  class Counter {
    count = 0;
    waking(_waiter: Waiter, wake: () => void): void {
      this.count++;
      wake();
    }
    beginning(_context: Context, begin: () => void): void {
      this.count++;
      begin();
    }
    ended(): void {
      this.count++;
    }
  }
  const first = new Counter(), second = new Counter();
  const stops = [listen(first), listen(second)];
  await spawn(() => sleep(0));
  for (const stop of stops) stop();
  assertEquals([first.count, second.count], [5, 5]);
});
