// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * How tasks start: in order, never synchronously, from functions of every kind.
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
import { AsyncLocalStorage } from "node:async_hooks";
import { test } from "node:test";
import { queueSize } from "../src/_kernel/run_queue.ts";
import { Channel } from "../src/channel.ts";
import { joinAll, killAll } from "../src/join.ts";
import { sleep } from "../src/sleep.ts";
import { spawn, spawnLater } from "../src/spawn.ts";
import { currentTask, type Task } from "../src/task.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();

// -- Start --

test("spawn() starts tasks in the order of the spawns and never synchronously", async () => {
  const step = steps();
  const tasks = [3, 4, 5].map((n) => spawn(() => step(n)));
  step(1);
  assertEquals(tasks.map((task) => task.state), ["pending", "pending", "pending"]);
  step(2);
  await joinAll(tasks);
  step.end(6);
});

test("spawn() inside a task starts after those spawned before, and never synchronously", async () => {
  const step = steps();
  const outer = spawn(async () => {
    step(1);
    const inner = [spawn(() => step(4)), spawn(() => step(5))];
    step(2);
    await joinAll(inner);
    step(6);
  });
  const second = spawn(() => step(3));
  await joinAll([outer, second]);
  step.end(7);
});

test("spawn() keeps its order with sleep(0): one queue for both", async () => {
  const step = steps();
  const a = spawn(async () => {
    step(1);
    await sleep(0);
    step(3);
  });
  const b = spawn(() => {
    step(2);
    return spawn(() => step(4));
  });
  await joinAll([a, b]);
  step.end(5);
});

test("spawn() passes its arguments on, as many as there are", async () => {
  assertEquals(await spawn((...args: unknown[]) => args), []);
  assertEquals(await spawn((...args: unknown[]) => args, 1, undefined, { a: 2 }, []), [
    1,
    undefined,
    { a: 2 },
    [],
  ]);
  assertEquals(await spawn({ name: "n" }, (a: number, b: number) => a + b, 1, 2), 3);
});

test("spawn() adds no argument where the context travels", async () => {
  assertEquals(
    await spawn(function () {
      return arguments.length;
    }),
    0,
  );
});

test("spawn() takes options first: a name, a signal, daemon", async () => {
  const task = spawn(
    { name: "cook", daemon: true, signal: new AbortController().signal },
    () => currentTask()!.name,
  );
  assertEquals([task.name, task.daemon, await task], ["cook", true, "cook"]);
  assertEquals([spawn(() => {}).daemon, spawn({}, () => {}).daemon], [false, false]);
  assertEquals(await spawn({ name: undefined, signal: undefined }, () => 1), 1);
});

test("spawn() throws a TypeError for what is no function, at once", () => {
  const calls: Array<[() => unknown, string]> = [
    [() => spawn(undefined as never), "got undefined"],
    [() => spawn(null as never), "got null"],
    [() => spawn(7 as never), "got number"],
    [() => spawn("fn" as never), "got string"],
    [() => spawn(Promise.resolve() as never), "got undefined"],
    [() => spawn({ name: "n" }, undefined as never), "got undefined"],
    [() => spawn({ name: "n" }, {} as never), "got object"],
    [() => spawnLater(1, undefined as never), "got undefined"],
  ];
  for (const [call, got] of calls) {
    const error = assertThrows(call, TypeError, "Cannot spawn task: fn must be a function");
    assert(error.message.includes(got), error.message);
  }
});

test("spawn() throws a TypeError for a wrong name or signal", () => {
  assertThrows(() => spawn({ name: 7 as never }, () => {}), TypeError, "name must be a string");
  assertThrows(() => spawn({ signal: {} as never }, () => {}), TypeError, "AbortSignal");
});

// -- Functions of every kind --

test("spawn() of a plain function succeeds with what it returns, or fails with what it throws", async () => {
  const error = new Error("no");
  const task = spawn(() => {
    throw error;
  });
  assertEquals(await spawn(() => 7), 7);
  assertStrictEquals(await rejection(task), error);
});

test("spawn() of an async function succeeds with what it resolves to", async () => {
  assertEquals(
    await spawn(async () => {
      await sleep(0);
      return 7;
    }),
    7,
  );
  assertEquals(await spawn(() => Promise.resolve("foreign")), "foreign");
});

test("spawn() of a function that returns a thenable gives what that resolves to", async () => {
  const lazy = {
    then(resolve: (value: number) => void) {
      resolve(7);
    },
  };
  assertEquals(await spawn(() => lazy as PromiseLike<number>), 7);
  const broken = {
    then() {
      throw "broken";
    },
  };
  assertEquals(await rejection(spawn(() => broken)), "broken");
});

test("spawn() of an async generator function gives its return value; yields are checkpoints", async () => {
  const step = steps();
  const a = spawn(async function* () {
    step(1);
    yield;
    step(3);
    yield "dropped";
    step(5);
    return "a";
  });
  const b = spawn(async function* (end: string) {
    step(2);
    yield;
    step(4);
    yield;
    step(6);
    return end;
  }, "b");
  assertEquals([await a, await b], ["a", "b"]);
  step.end(7);
});

test("spawn() of a generator function gives its return value; yields are checkpoints", async () => {
  const seen: string[] = [];
  function* count(name: string) {
    for (let i = 0; i < 3; i++) {
      seen.push(name + i);
      yield;
    }
    return name;
  }
  assertEquals([await spawn(count, "a"), await spawn(count, "b")], ["a", "b"]);
  seen.length = 0;
  await joinAll([spawn(count, "a"), spawn(count, "b")]);
  assertEquals(seen, ["a0", "b0", "a1", "b1", "a2", "b2"]);
});

test("spawn() of a generator that throws fails, and its task is current inside", async () => {
  const error = new Error("no");
  const names: unknown[] = [];
  const task = spawn({ name: "gen" }, async function* () {
    names.push(currentTask()?.name);
    yield;
    names.push(currentTask()?.name);
    await sleep(0);
    names.push(currentTask()?.name);
    throw error;
  });
  assertStrictEquals(await rejection(task), error);
  assertEquals(names, ["gen", "gen", "gen"]);
});

test("spawn() of a generator that is killed throws the kill at the yield and runs its finally", async () => {
  for (const kind of ["async", "sync"]) {
    const reason = new Error("enough");
    const seen: unknown[] = [];
    const body = kind === "async"
      ? async function* () {
        try {
          while (true) yield;
        } catch (error) {
          seen.push(error);
          throw error;
        } finally {
          seen.push("finally");
        }
      }
      : function* () {
        try {
          while (true) yield;
        } catch (error) {
          seen.push(error);
          throw error;
        } finally {
          seen.push("finally");
        }
      };
    const task = spawn(body as () => AsyncGenerator<void, void>);
    await sleep(0);
    await sleep(0);
    await task.kill(reason);
    assertEquals([task.state, seen], ["killed", [reason, "finally"]]);
    assertStrictEquals(task.error, reason);
  }
});

test("spawn() of a generator that catches the kill and goes on meets it at the next yield", async () => {
  let caught = 0;
  const task = spawn(async function* () {
    while (caught < 3) {
      try {
        yield;
      } catch {
        caught++;
      }
    }
    return "ended by itself";
  });
  await sleep(0);
  await task.kill();
  assertEquals([caught, task.state, task.value], [3, "succeeded", "ended by itself"]);
});

test("spawn() of a generator that is killed before its start never calls it", async () => {
  let ran = false;
  const task = spawn(async function* () {
    ran = true;
    yield;
  });
  await task.kill();
  await idle();
  assertEquals([ran, task.state], [false, "killed"]);
});

test("spawn() of a generator whose yields never end leaves timers their turn", async () => {
  const task = spawn(function* () {
    while (true) yield;
  });
  await new Promise((resolve) => setTimeout(resolve, 5));
  await task.kill();
  assertEquals(task.state, "killed");
});

// -- Signal --

test("spawn({ signal }) kills the task with the signal's reason when it aborts", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const tasks = [1, 2].map(() => spawn({ signal: controller.signal }, () => sleep(Infinity)));
  const pending = spawnLater(Infinity, { signal: controller.signal }, () => {});
  await idle();
  controller.abort(reason);
  await joinAll([...tasks, pending]);
  for (const task of [...tasks, pending]) {
    assertEquals(task.state, "killed");
    assertStrictEquals(task.error, reason);
  }
});

test("spawn({ signal }) with the default abort reason is killed with it", async () => {
  const controller = new AbortController();
  const task = spawn({ signal: controller.signal }, () => sleep(Infinity));
  await idle();
  controller.abort();
  await task.join();
  assertStrictEquals(task.error, controller.signal.reason);
  assertEquals(task.state, "killed");
});

test("spawn({ signal }) with an aborted signal never runs", async () => {
  let ran = false;
  const run = () => {
    ran = true;
  };
  const signal = AbortSignal.abort("before");
  const tasks = [spawn({ signal }, run), spawnLater(0, { signal }, run)];
  for (const task of tasks) {
    assertEquals(task.state, "killed");
    assertEquals((task.error as Error).cause, "before");
  }
  await idle();
  assertEquals(ran, false);
});

test("spawn({ signal }) listens once for many tasks and leaves nothing after their end", async () => {
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  const tasks = Array.from(
    { length: 20 },
    () => spawn({ signal: controller.signal }, () => sleep(0)),
  );
  const killed = spawn({ signal: controller.signal }, () => {});
  assertEquals(listeners, { added: 1, active: 1 });
  await killed.kill();
  await joinAll(tasks);
  assertEquals(listeners.active, 0);
  controller.abort();
  assert(tasks.every((task) => task.state === "succeeded"));
});

test("spawn({ signal: task.signal }) makes the kill of one task reach another", async () => {
  let child!: Task;
  const parent = spawn(async () => {
    child = spawn({ signal: currentTask()!.signal }, () => sleep(Infinity));
    await child;
  });
  await idle();
  const reason = new Error("both");
  await parent.kill(reason);
  await child.join();
  assertEquals([parent.state, child.state], ["killed", "killed"]);
  assertStrictEquals(child.error, reason);
});

// -- Later --

test("spawnLater() starts when the time is over, not before", async () => {
  using time = new ManualClock();
  let ran = false;
  const task = spawnLater(10, (value: number) => {
    ran = true;
    return value;
  }, 7);
  time.advance(9);
  await idle();
  assertEquals([ran, task.state], [false, "pending"]);
  time.advance(1);
  assertEquals(ran, false, "started synchronously");
  assertEquals(await task, 7);
});

test("spawnLater() starts by deadline, and by spawn among equals", async () => {
  using time = new ManualClock();
  const seen: string[] = [];
  const tasks = [[20, "c"], [10, "a"], [10, "b"], [30, "d"]].map(([ms, name]) =>
    spawnLater(ms as number, () => seen.push(name as string))
  );
  time.advance(30);
  await joinAll(tasks);
  assertEquals(seen, ["a", "b", "c", "d"]);
});

test("spawnLater() killed before its time never runs and leaves no timer", async () => {
  using time = new ManualClock();
  let ran = false;
  const run = () => {
    ran = true;
  };
  const tasks = [spawnLater(10, run), spawnLater(10, { name: "n" }, run)];
  assertEquals(time.size, 2);
  await killAll(tasks);
  assertEquals(time.size, 0);
  time.advance(10);
  await idle();
  assertEquals([ran, ...tasks.map((task) => task.state)], [false, "killed", "killed"]);
});

test("spawnLater() killed between its time and its turn never runs", async () => {
  using time = new ManualClock();
  let ran = false;
  const task = spawnLater(10, () => {
    ran = true;
  });
  time.advance(10);
  assertEquals(queueSize(), 1);
  void task.kill();
  await idle();
  assertEquals([ran, task.state], [false, "killed"]);
});

test("spawnLater() can be joined before it starts", async () => {
  using time = new ManualClock();
  const task = spawnLater(10, () => 7);
  const got = task.get();
  time.advance(10);
  assertEquals(await got, 7);
});

test("spawnLater(0) is spawn(), spawnLater(Infinity) never starts and needs no timer", async () => {
  using time = new ManualClock();
  const step = steps();
  const never = spawnLater(Infinity, () => step(-1));
  const tasks = [spawn(() => step(1)), spawnLater(0, () => step(2)), spawn(() => step(3))];
  assertEquals(time.size, 0);
  await joinAll(tasks);
  time.advance(1e15);
  await idle();
  assertEquals(never.state, "pending");
  await never.kill();
  step.end(4);
});

test("spawnLater() beyond 2^31 - 1 ms does not start at once", async () => {
  const task = spawnLater(2 ** 31, () => {});
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(task.state, "pending");
  await task.kill();
});

test("spawnLater() throws a RangeError for a negative time or NaN, a TypeError for no number", () => {
  for (const ms of [-1, NaN, -Infinity]) {
    assertThrows(() => spawnLater(ms, () => {}), RangeError, `got ${ms}`);
  }
  assertThrows(() => spawnLater("1" as never, () => {}), TypeError, "got string");
  assertThrows(() => spawnLater((() => {}) as never, () => {}), TypeError, "got function");
});

// -- Many --

test("spawn() of 100,000 tasks runs all of them in order", async () => {
  const seen: number[] = [];
  const tasks = Array.from({ length: 100_000 }, (_, i) => spawn(() => seen.push(i)));
  await joinAll(tasks);
  assertEquals(seen.length, 100_000);
  assert(seen.every((value, i) => value === i));
});

test("spawn() nested 20,000 deep needs no stack", async () => {
  const nest = (depth: number): Promise<number> | number =>
    depth === 0 ? 0 : spawn(nest, depth - 1).then((below) => below + 1);
  assertEquals(await spawn(nest, 20_000), 20_000);
});

test("spawn() in a killed task still spawns", async () => {
  let inner!: Task<number>;
  const outer = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    inner = spawn(() => 7);
  });
  await idle();
  await outer.kill();
  assertEquals(await inner, 7);
});

test("spawn() makes a producer and a consumer out of two plain async functions", async () => {
  const ch = new Channel<number>();
  const producer = spawn(async () => {
    for (let i = 1; i <= 3; i++) await ch.send(i);
    ch.close();
  });
  const consumer = spawn(async () => {
    const got: number[] = [];
    for await (const value of ch) got.push(value);
    return got;
  });
  assertEquals(await consumer, [1, 2, 3]);
  await producer;
});

test("spawn() of a function that waits with a wrong limit fails with the RangeError", async () => {
  const error = await assertRejects(() => spawn(() => sleep(-1)).get(), RangeError);
  assertInstanceOf(error, RangeError);
});

test("spawn() keeps the user's own AsyncLocalStorage as it was at the spawn, for each task", async () => {
  const request = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const handle = async (name: string) => {
    seen.push([name, request.getStore()]);
    await sleep(0);
    await sleep(1);
    seen.push([name, request.getStore()]);
  };
  const tasks = ["a", "b", "c"].map((name) => request.run(name, () => spawn(handle, name)));
  const later = request.run("d", () => spawnLater(1, handle, "d"));
  await joinAll([...tasks, later]);
  assertEquals(seen.length, 8);
  for (const [name, store] of seen as string[][]) assertEquals(store, name);
});

test("spawn() in a chain of tasks that spawn each other leaves timers their turn", async () => {
  let fired = false, spawned = 0;
  setTimeout(() => fired = true, 1);
  // Bounded, so that a chain that starves the timer ends red and not never.
  const link = () => {
    if (!fired && ++spawned < 1_000_000) spawn(link);
  };
  spawn(link);
  while (!fired && spawned < 1_000_000) await sleep(5);
  assert(spawned < 1_000_000, "the timer waited for a million tasks");
});

test("spawn() of very many keeps their order, also with what gave up its turn among them", async () => {
  const MANY = 40_000; // more than begin in one turn
  const log: unknown[] = [];
  const numbers: number[] = [];
  const tasks: Array<Task<unknown>> = [];
  for (let i = 0; i < MANY; i++) tasks.push(spawn(() => numbers.push(i)));
  tasks.push(spawn(() => log.push("before")));
  const yielded = sleep(0).then(() => log.push("sleep(0)"));
  tasks.push(spawn(() => log.push("after")));
  const dead = spawn(() => log.push("killed"));
  await dead.kill();
  await yielded;
  await joinAll(tasks);
  assertEquals(log, ["before", "sleep(0)", "after"]);
  assertEquals(numbers, Array.from({ length: MANY }, (_, i) => i));
});
