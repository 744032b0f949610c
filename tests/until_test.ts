// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Foreign promises become waits that a kill, a signal and a limit can end.
 *
 * @module
 */

import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { TimeoutError } from "../src/errors.ts";
import { killAll } from "../src/join.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask, type Task } from "../src/task.ts";
import { until } from "../src/until.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";

noLeaks();

test("until() gives what the promise gives, settled before or later", async () => {
  const error = new Error("no");
  assertEquals(await until(Promise.resolve(7)), 7);
  assertStrictEquals(await rejection(until(Promise.reject(error))), error);
  const good = gate<number>(), bad = gate();
  const waits = [until(good.promise), until(good.promise)];
  const failed = [rejection(until(bad.promise)), rejection(until(bad.promise))];
  await idle();
  good.open(8);
  bad.fail(error);
  assertEquals(await Promise.all(waits), [8, 8]);
  assertEquals(await Promise.all(failed), [error, error]);
  assertEquals(await until(good.promise), 8);
  assertStrictEquals(await rejection(until(bad.promise)), error);
});

test("until() makes a foreign await end with a kill; the promise goes on", async () => {
  const open = gate<number>();
  const task = spawn(() => until(open.promise));
  const other = spawn(() => until(open.promise));
  await idle();
  await task.kill();
  assertEquals([task.state, other.state], ["killed", "running"]);
  open.open(7);
  assertEquals([await other, await open.promise], [7, 7]);
});

test("until() drops a rejection that comes after the kill", async () => {
  const open = gate();
  const task = spawn(() => until(open.promise));
  await idle();
  await task.kill();
  open.fail(new Error("too late"));
  await idle();
  assertEquals(task.state, "killed");
});

test("until() drops the rejection of a promise that it refuses to wait for", async () => {
  const open = gate();
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    await until(open.promise);
  });
  await idle();
  await task.kill("why");
  const aborted = rejection(
    until(Promise.reject("dropped"), { signal: AbortSignal.abort("gone") }),
  );
  open.fail(new Error("dropped")); // a floating rejection fails the test
  assertEquals(await aborted, "gone");
  await idle();
  assertEquals(task.state, "killed");
});

test("until() rejects with the signal's reason, before and while it waits, and leaves no listener", async () => {
  const open = gate();
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  const { signal } = controller;
  const waits = [
    rejection(until(open.promise, { signal })),
    rejection(until(gate().promise, { signal })),
  ];
  assertEquals(listeners, { added: 1, active: 1 });
  controller.abort("enough");
  waits.push(rejection(until(open.promise, { signal })));
  waits.push(rejection(until(Promise.resolve(1), { signal })));
  assertEquals(await Promise.all(waits), ["enough", "enough", "enough", "enough"]);
  assertEquals(listeners.active, 0);
});

test("until() rejects with a TimeoutError when its limit is over, and leaves no timer else", async () => {
  using time = new ManualClock();
  const open = gate<number>();
  const late = rejection(until(open.promise, { timeout: 10 }));
  const early = until(open.promise, { timeout: 20 });
  await idle();
  time.advance(10);
  const error = await late;
  assertInstanceOf(error, TimeoutError);
  assertEquals([error.ms, error.message.startsWith("Cannot wait until")], [10, true]);
  open.open(7);
  assertEquals(await early, 7);
  assertEquals(time.size, 0);
});

test("until() whose promise settled before the kill in the same tick gives the value", async () => {
  const open = gate<string>();
  const seen: unknown[] = [];
  const task = spawn(async () => {
    seen.push(await until(open.promise));
    seen.push(await rejection(sleep(0)));
  });
  await idle();
  open.open("value");
  await open.promise;
  void task.kill("why");
  await task;
  assertEquals([seen[0], (seen[1] as Error).cause], ["value", "why"]);
});

test("until() subscribes to a promise once, however often it is waited for", async () => {
  const open = gate<number>();
  let subscribed = 0;
  const lazy: PromiseLike<number> = {
    then(...args) {
      subscribed++;
      return open.promise.then(...args);
    },
  };
  const waits = [until(lazy), until(lazy)];
  const task = spawn(() => until(lazy));
  await idle();
  await task.kill();
  open.open(7);
  assertEquals(await Promise.all(waits), [7, 7]);
  assertEquals(await until(lazy), 7);
  assertEquals(subscribed, 1);
});

test("until() of a task waits for its result, and a kill of one who waits reaches no other", async () => {
  const open = gate<number>();
  const target = spawn(() => open.promise);
  const first = spawn(() => until(target));
  const second = spawn(() => until(target));
  await idle();
  await first.kill();
  await idle();
  assertEquals([first.state, second.state, target.state], ["killed", "running", "running"]);
  open.open(7);
  assertEquals([await second, await until(target)], [7, 7]);
});

test("until() keeps the context of each who waits", async () => {
  const open = gate();
  const names = ["a", "b"].map((name) =>
    spawn({ name }, async () => {
      await until(open.promise);
      return currentTask()?.name;
    })
  );
  await idle();
  open.open();
  assertEquals(await Promise.all(names), ["a", "b"]);
});

test("until() inside a shield waits on through a kill", async () => {
  const open = gate<number>();
  const task = spawn(() => shield(() => until(open.promise)));
  await idle();
  void task.kill();
  await idle();
  assertEquals(task.state, "running");
  open.open(7);
  assertEquals(await task, 7);
});

test("until() takes a function with then(), and rejects with a TypeError for anything else", async () => {
  const callable = Object.assign(() => {}, {
    then: (resolve: (value: number) => void) => resolve(7),
  });
  assertEquals(await until(callable as unknown as PromiseLike<number>), 7);
  for (const promise of [undefined, null, 7, "text", {}, () => {}, { then: 7 }]) {
    await assertRejects(
      () => until(promise as never),
      TypeError,
      "Cannot wait until: promise must have then()",
    );
  }
});

test("until() rejects wrong options", async () => {
  await assertRejects(() => until(gate().promise, { timeout: -1 }), RangeError);
  await assertRejects(() => until(gate().promise, { signal: {} as never }), TypeError);
});

test("until() in many tasks on one promise ends each of them once", async () => {
  const open = gate<number>();
  const tasks: Task<number>[] = Array.from(
    { length: 1000 },
    () => spawn(() => until(open.promise)),
  );
  await idle();
  await killAll(tasks.filter((_, i) => i % 2 === 0));
  open.open(7);
  await idle();
  const count = (state: string) => tasks.filter((task) => task.state === state).length;
  assertEquals([count("killed"), count("succeeded")], [500, 500]);
});

test("until() shows a wait as pending until the promise settles", async () => {
  const open = gate();
  const waits = outcome(until(open.promise));
  await idle();
  assertEquals(waits.state, "pending");
  open.open();
  await idle();
  assertEquals(waits.state, "resolved");
});

test("until() of a thenable that waits by itself outlives the first task that waited", async () => {
  using time = new ManualClock();
  // Lazy, as query builders are: then() begins the work, wherever it is called.
  const lazy: PromiseLike<string> = {
    then: (onFulfilled, onRejected) => sleep(5).then(() => "rows").then(onFulfilled, onRejected),
  };
  const first = spawn(() => until(lazy));
  await idle();
  const second = outcome(until(lazy));
  await first.kill();
  await idle();
  assertEquals([first.state, second.state], ["killed", "pending"]);
  time.advance(5);
  await idle();
  assertEquals(second, { state: "resolved", value: "rows" });
});

test("until() of a promise whose then throws rejects with that, each time", async () => {
  const promise = Object.assign(Promise.resolve(1), {
    then: () => {
      throw new Error("then");
    },
  });
  for (let i = 0; i < 2; i++) {
    const waits = outcome(until(promise));
    await idle();
    assertEquals([waits.state, (waits.error as Error)?.message], ["rejected", "then"]);
  }
});
