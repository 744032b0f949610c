// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Waiting for many tasks: in which order, how many, how long, and what a failure does.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { test } from "node:test";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { DeadlockError, TimeoutError } from "../src/errors.ts";
import { joinAll, killAll } from "../src/join.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn, spawnLater } from "../src/spawn.ts";
import { currentTask, type Task, watchTask } from "../src/task.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { type Gate, gate } from "./gate.ts";
import { endsOf, hang } from "./deadlocked.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();

const parked = (): Task<void> => spawn(() => sleep(Infinity));

/** Tasks of any type. */
const mixed = (...tasks: Task[]): Task[] => tasks;

/** Tasks that end when their gate opens, with their number. */
function gated(count: number): { gates: Gate<void>[]; tasks: Task<number>[] } {
  const gates = Array.from({ length: count }, () => gate());
  const tasks = gates.map((one, i) => spawn(() => one.promise.then(() => i)));
  return { gates, tasks };
}

const numbers = (tasks: Task<number>[]): unknown[] => tasks.map((task) => task.value);

// -- joinAll --

test("joinAll() resolves to the tasks in the order in which they ended", async () => {
  const { gates, tasks } = gated(4);
  const joined = joinAll(tasks);
  for (const i of [2, 0, 3, 1]) {
    await idle();
    gates[i]!.open();
  }
  const ended = await joined;
  assertEquals(numbers(ended), [2, 0, 3, 1]);
  assertEquals(ended.map((task) => tasks.indexOf(task)), [2, 0, 3, 1]);
});

test("joinAll() of tasks that have all ended gives them in the order in which they did", async () => {
  const { gates, tasks } = gated(3);
  for (const i of [1, 2, 0]) {
    await idle();
    gates[i]!.open();
  }
  await idle();
  assertEquals(numbers(await joinAll(tasks)), [1, 2, 0]);
  assertEquals(numbers(await joinAll(tasks, { timeout: 0 })), [1, 2, 0]);
});

test("joinAll() of some that have ended and some that run puts the ended first", async () => {
  const { gates, tasks } = gated(4);
  gates[3]!.open();
  await idle();
  gates[1]!.open();
  await idle();
  const joined = joinAll(tasks);
  gates[2]!.open();
  await idle();
  gates[0]!.open();
  assertEquals(numbers(await joined), [3, 1, 2, 0]);
});

test("joinAll() takes tasks that have not started", async () => {
  using time = new ManualClock();
  const tasks = [spawnLater(20, () => 20), spawnLater(10, () => 10), spawn(() => 0)];
  const joined = joinAll(tasks);
  await idle();
  time.advance(20);
  assertEquals(numbers(await joined), [0, 10, 20]);
});

test("joinAll() lists a task that was given twice once", async () => {
  const { gates, tasks: [a, b] } = gated(2);
  const joined = joinAll([a!, b!, a!, b!, b!]);
  gates[1]!.open();
  await idle();
  gates[0]!.open();
  assertEquals(numbers(await joined), [1, 0]);
  assertEquals(numbers(await joinAll([a!, a!])), [0]);
});

test("joinAll() waits for all, however they end, and does not throw their errors", async () => {
  const error = new Error("no");
  const tasks: Task<unknown>[] = [
    spawn(() => 1),
    spawn(() => {
      throw error;
    }),
    parked(),
  ];
  const joined = joinAll(tasks);
  await idle();
  void tasks[2]!.kill();
  assertEquals((await joined).map((task) => task.state), ["succeeded", "failed", "killed"]);
});

test("joinAll() of nothing resolves to nothing, with every option", async () => {
  assertEquals(await joinAll([]), []);
  assertEquals(
    await joinAll(new Set<Task>(), { count: 3, raiseError: true, killOthers: true, timeout: 0 }),
    [],
  );
  assertEquals(await spawn(() => joinAll([])), []);
});

test("joinAll() takes any iterable, also a generator", async () => {
  function* tasks() {
    for (let i = 0; i < 3; i++) yield spawn(() => i);
  }
  assertEquals(numbers(await joinAll(tasks())), [0, 1, 2]);
  assertEquals(numbers(await joinAll(new Set([spawn(() => 7)]))), [7]);
  assertEquals(numbers(await joinAll(new Map([["a", spawn(() => 8)]]).values())), [8]);
});

test("joinAll() takes tasks of several types at once", async () => {
  const ended = await joinAll([spawn(() => 1), spawn(() => "text")]);
  const values: Array<number | string | undefined> = ended.map((task) => task.value);
  assertEquals(values, [1, "text"]);
});

test("joinAll() rejects with a TypeError for what is not iterable, or no task", async () => {
  await using task = parked();
  await idle();
  for (const tasks of [undefined, null, 7, {}, task]) {
    await assertRejects(
      () => joinAll(tasks as never),
      TypeError,
      "Cannot join tasks: tasks must be iterable",
    );
  }
  for (const element of [undefined, null, 7, "task", () => {}, Promise.resolve(), { join() {} }]) {
    await assertRejects(
      () => joinAll([task, element as never]),
      TypeError,
      "Cannot join tasks: each must be a task",
    );
  }
  assertEquals(liveWaiters(), 1);
});

test("joinAll() rejects with a RangeError for a wrong count or timeout", async () => {
  await using task = parked();
  for (const count of [-1, 1.5, NaN, -Infinity]) {
    await assertRejects(() => joinAll([task], { count }), RangeError, `count must be an integer`);
  }
  await assertRejects(() => joinAll([task], { timeout: -1 }), RangeError, "timeout");
  await assertRejects(() => joinAll([task], { timeout: NaN }), RangeError, "timeout");
});

test("joinAll({ timeout }) resolves to those that have ended so far, and leaves the others", async () => {
  using time = new ManualClock();
  const { gates, tasks } = gated(3);
  const joined = joinAll(tasks, { timeout: 10 });
  await idle();
  gates[1]!.open();
  await idle();
  time.advance(10);
  assertEquals(numbers(await joined), [1]);
  assertEquals(tasks.map((task) => task.state), ["running", "succeeded", "running"]);
  assertEquals(liveWaiters(), 0);
  gates[0]!.open();
  gates[2]!.open();
  assertEquals(numbers(await joinAll(tasks)), [1, 0, 2]);
});

test("joinAll({ timeout: 0 }) gives what has ended", async () => {
  const { gates, tasks } = gated(2);
  gates[1]!.open();
  await idle();
  assertEquals(numbers(await joinAll(tasks, { timeout: 0 })), [1]);
  gates[0]!.open();
  await idle();
});

test("joinAll({ timeout }) that is not needed leaves no timer", async () => {
  using time = new ManualClock();
  await joinAll([spawn(() => 1), spawn(() => 2)], { timeout: 1000 });
  assertEquals(time.size, 0);
});

test("joinAll({ count }) resolves as soon as so many have ended", async () => {
  const { gates, tasks } = gated(4);
  const joined = outcome(joinAll(tasks, { count: 2 }));
  gates[3]!.open();
  await idle();
  assertEquals(joined.state, "pending");
  gates[0]!.open();
  await idle();
  assertEquals(numbers(joined.value!), [3, 0]);
  assertEquals(numbers(await joinAll(tasks, { count: 1 })), [3]);
  assertEquals(await joinAll(tasks, { count: 0 }), []);
  gates[1]!.open();
  gates[2]!.open();
  assertEquals(numbers(await joinAll(tasks, { count: 99 })), [3, 0, 1, 2]);
  assertEquals(numbers(await joinAll(tasks, { count: Infinity })), [3, 0, 1, 2]);
});

test("joinAll({ count }) gives exactly so many when more end in the same tick", async () => {
  const open = gate();
  const tasks = [0, 1, 2].map((i) => spawn(() => open.promise.then(() => i)));
  const joined = joinAll(tasks, { count: 2 });
  await idle();
  open.open();
  assertEquals(numbers(await joined), [0, 1]);
});

test("joinAll({ raiseError }) rejects with the first failure in the order of ends, not of the list", async () => {
  using _quiet = onUnhandled(() => {});
  const { gates, tasks } = gated(3);
  const first = new Error("first"), second = new Error("second");
  const joined = rejection(joinAll(tasks, { raiseError: true }));
  await idle();
  gates[2]!.fail(first);
  gates[0]!.fail(second);
  assertStrictEquals(await joined, first);
  assertEquals(tasks[1]!.state, "running");
  gates[1]!.open();
  await idle();
  assertStrictEquals(await rejection(joinAll(tasks, { raiseError: true })), first);
});

test("joinAll({ raiseError }) resolves when nothing fails, and a kill is no failure", async () => {
  const tasks: Task<unknown>[] = [spawn(() => 1), parked()];
  void tasks[1]!.kill(new Error("reason"));
  const ended = await joinAll(tasks, { raiseError: true });
  assertEquals(ended.map((task) => task.state), ["killed", "succeeded"]);
});

test("joinAll({ raiseError, count }) looks only at as many as it gives", async () => {
  const { gates, tasks } = gated(3);
  gates[1]!.open();
  await idle();
  gates[0]!.fail(new Error("second to end"));
  await tasks[0]!.join();
  const options = { raiseError: true, count: 1 };
  assertEquals(numbers(await joinAll(tasks, options)), [1]);
  gates[2]!.open();
  await idle();
  assertEquals(numbers(await joinAll(tasks, options)), [1]);
});

test("joinAll({ raiseError: false }) gives the failed ones with the others", async () => {
  const error = new Error("no");
  const task = spawn(() => {
    throw error;
  });
  const [ended] = await joinAll([task]);
  assertStrictEquals(ended!.error, error);
});

test("joinAll({ killOthers }) after a failure kills the rest and waits for their clean-up", async () => {
  const step = steps();
  const error = new Error("first");
  const open = gate();
  const failing = spawn(() => open.promise);
  const cleaning = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      await shield(() => sleep(0));
      step(2);
    }
  });
  const unstarted = spawnLater(Infinity, () => step(-1));
  const joined = rejection(
    joinAll(mixed(failing, cleaning, unstarted), { raiseError: true, killOthers: true }),
  );
  await idle();
  step(1);
  open.fail(error);
  assertStrictEquals(await joined, error);
  step.end(3);
  assertEquals([cleaning.state, unstarted.state], ["killed", "killed"]);
});

test("joinAll({ killOthers }) after the count or the timeout kills the rest and waits for them", async () => {
  using time = new ManualClock();
  for (const options of [{ count: 1 }, { timeout: 10 }]) {
    const slow = parked();
    const ended = joinAll(mixed(slow, spawn(() => 1)), { ...options, killOthers: true });
    await idle();
    time.advance(10);
    assertEquals((await ended).map((task) => task.value), [1]);
    assertEquals(slow.state, "killed");
  }
});

test("joinAll({ killOthers }) waits also while the caller is killed", async () => {
  const step = steps();
  const open = gate();
  const stubborn = spawn(async () => {
    await sleep(Infinity).catch(() => open.promise);
    step(2);
  });
  const caller = spawn(async () => {
    await joinAll(mixed(stubborn, spawn(() => 1)), { count: 1, killOthers: true });
    step(3);
  });
  await idle();
  void caller.kill();
  await idle();
  step(1);
  open.open();
  await caller.join();
  step.end(4);
});

test("joinAll({ killOthers }) kills nobody when all have ended", async () => {
  const { gates, tasks } = gated(2);
  gates.forEach((one) => one.open());
  await joinAll(tasks, { killOthers: true });
  assertEquals(tasks.map((task) => task.state), ["succeeded", "succeeded"]);
});

test("joinAll({ signal }) rejects with the reason, before and while it waits, and leaves nothing", async () => {
  await using task = parked();
  await idle();
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  const joined = rejection(joinAll([task], { signal: controller.signal }));
  assertEquals([listeners.active, liveWaiters()], [1, 2]);
  controller.abort("enough");
  assertEquals(await joined, "enough");
  assertEquals([listeners.active, liveWaiters()], [0, 1]);
  assertEquals(await rejection(joinAll([], { signal: controller.signal })), "enough");
  assertEquals(task.state, "running");
});

test("joinAll() that is killed leaves the tasks alone, and nothing behind", async () => {
  await using task = parked();
  const caller = spawn(() => joinAll([task]));
  await idle();
  await caller.kill();
  assertEquals([caller.state, task.state, liveWaiters()], ["killed", "running", 1]);
});

test("joinAll() of tasks that contain the caller rejects with a DeadlockError", async () => {
  for (const options of [{}, { timeout: 1000 }, { count: 1 }]) {
    await using other = parked();
    const task: Task<unknown> = spawn(
      { name: "ouroboros" },
      () => joinAll(mixed(other, currentTask()!), options),
    );
    await assertRejects(() => task.get(), DeadlockError, "ouroboros");
  }
});

test("joinAll() in several callers at once tells all of them", async () => {
  const { gates, tasks } = gated(2);
  const joins = [joinAll(tasks), joinAll(tasks, { count: 1 }), spawn(() => joinAll(tasks))];
  gates[1]!.open();
  await idle();
  gates[0]!.open();
  assertEquals((await Promise.all(joins)).map(numbers), [[1, 0], [1], [1, 0]]);
});

test("joinAll() of 100,000 tasks resolves to all of them", async () => {
  const tasks = Array.from({ length: 100_000 }, (_, i) =>
    spawn(async () => {
      await sleep(0);
      return i;
    }));
  const ended = await joinAll(tasks);
  assertEquals(ended.length, tasks.length);
  assert(ended.every((task, i) => task.value === i));
});

// -- killAll --

test("killAll() kills all at once and waits for their clean-up", async () => {
  const step = steps();
  const reason = new Error("enough");
  const cleaning = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      await shield(() => sleep(0));
      step(2);
    }
  });
  const started = parked();
  await idle();
  const unstarted = spawn(() => step(-1));
  const killed = killAll([cleaning, started, unstarted, started], reason);
  step(1);
  assertEquals([started.signal.aborted, unstarted.state], [true, "killed"]);
  assertEquals(await killed, undefined);
  step.end(3);
  for (const task of [cleaning, started, unstarted]) {
    assertEquals(task.state, "killed");
    assertStrictEquals(task.error, reason);
  }
});

test("killAll() waits for those that catch the kill and go on", async () => {
  const open = gate<string>();
  const task = spawn(() => sleep(Infinity).catch(() => open.promise));
  await idle();
  const killed = outcome(killAll([task]));
  await idle();
  assertEquals(killed.state, "pending");
  open.open("own end");
  await idle();
  assertEquals([killed.state, task.state, task.value], ["resolved", "succeeded", "own end"]);
});

test("killAll() of nothing, or of ended tasks, resolves", async () => {
  const task = spawn(() => 1);
  await task;
  assertEquals(await killAll([]), undefined);
  assertEquals(await killAll([task, task], "why", { timeout: 0 }), undefined);
  assertEquals(task.state, "succeeded");
});

test("killAll({ timeout }) rejects with a TimeoutError, and the kill stays", async () => {
  using time = new ManualClock();
  const open = gate();
  const stubborn = spawn(() => open.promise.then(() => sleep(0)));
  const meek = parked();
  await idle();
  const killed = rejection(killAll([stubborn, meek], undefined, { timeout: 10 }));
  await idle();
  time.advance(10);
  const error = await killed;
  assertInstanceOf(error, TimeoutError);
  assertEquals([error.ms, stubborn.state, meek.state], [10, "running", "killed"]);
  assertEquals(liveWaiters(), 0, "waits of the killing that nobody can await");
  open.open();
  await stubborn.join();
  assertEquals(stubborn.state, "killed");
});

test("killAll({ signal }) kills even if it has aborted, and rejects with its reason", async () => {
  const tasks = [parked(), parked()];
  await idle();
  assertEquals(
    await rejection(killAll(tasks, "why", { signal: AbortSignal.abort("gone") })),
    "gone",
  );
  await joinAll(tasks);
  assertEquals(tasks.map((task) => task.state), ["killed", "killed"]);
});

test("killAll() with wrong arguments rejects and kills nobody", async () => {
  await using task = parked();
  await idle();
  await assertRejects(() => killAll(task as never), TypeError, "Cannot kill tasks: tasks must be");
  await assertRejects(() => killAll([task, 7 as never]), TypeError, "each must be a task");
  await assertRejects(() => killAll([task], "why", { timeout: -1 }), RangeError);
  await assertRejects(() => killAll([task], "why", { signal: {} as never }), TypeError);
  await assertRejects(
    () => killAll([task], "why", { timeout: NaN, signal: AbortSignal.abort() }),
    RangeError,
  );
  await idle();
  assertEquals(task.state, "running");
});

test("killAll() out of one of the tasks kills the others first, then rejects with the reason", async () => {
  const reason = new Error("all of us");
  const other = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      await shield(() => sleep(0));
    }
  });
  let seen: unknown;
  let otherWas: string | undefined;
  const task: Task<void> = spawn(async () => {
    await sleep(0);
    seen = await rejection(killAll([currentTask() as Task<void>, other], reason));
    otherWas = other.state;
    await sleep(0);
  });
  await task.join();
  assertStrictEquals(seen, reason);
  assertEquals([otherWas, other.state, task.state], ["killed", "killed", "killed"]);
});

test("killAll() out of one of the tasks, not awaited, is no unhandled rejection", async () => {
  const task: Task<void> = spawn(async () => {
    void killAll([currentTask() as Task<void>]);
    await sleep(0);
  });
  await task.join();
  await idle();
  assertEquals(task.state, "killed");
});

test("killAll() waits out of reach of a kill of the caller", async () => {
  const open = gate();
  const target = spawn(() => open.promise.then(() => sleep(0)));
  const caller = spawn(() => killAll([target]).then(() => "waited"));
  await idle();
  void caller.kill();
  await idle();
  assertEquals(caller.state, "running");
  open.open();
  assertEquals(await caller, "waited");
});

test("joinAll() with killOthers keeps the failure when the others' clean-up is a deadlock", async () => {
  const failure = new Error("first");
  const ends = await endsOf((opened) =>
    joinAll([spawn(() => hang(opened)), spawnLater(0, () => Promise.reject(failure))], {
      raiseError: true,
      killOthers: true,
    })
  );
  for (const error of ends) assertStrictEquals(error, failure);
});

test("joinAll() that ends in the very step in which its task does is told of nothing more", async () => {
  for (const others of [0, 1, 2]) {
    const stop = new AbortController();
    const task = spawn(() => sleep(0));
    watchTask(task as Task, { taskEnded: () => stop.abort("stop") });
    for (let i = 0; i < others; i++) watchTask(task as Task, { taskEnded: () => {} });
    assertEquals(await rejection(joinAll([task], { signal: stop.signal })), "stop");
    assertEquals(task.state, "succeeded");
  }
});
