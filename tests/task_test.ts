// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The life of a task: its end and who gets it, the kill that stays, links, its signal.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { queueSize } from "../src/_kernel/run_queue.ts";
import type { WaitOptions } from "../src/_kernel/waiter.ts";
import { Channel } from "../src/channel.ts";
import { DeadlockError, isKilled, KilledError, TimeoutError } from "../src/errors.ts";
import { joinAll, killAll } from "../src/join.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn, spawnLater } from "../src/spawn.ts";
import { currentTask, Task, type TaskWatcher, unwatchTask, watchTask } from "../src/task.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { until } from "../src/until.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();

/** A task that waits until it is killed. */
const parked = (): Task<void> => spawn(() => sleep(Infinity));

function failing(error: unknown): Task<never> {
  return spawn(() => {
    throw error;
  });
}

// -- Facts --

test("Task.state goes from pending over running to succeeded", async () => {
  const open = gate<number>();
  const task = spawn(() => open.promise);
  const facts = () => [task.state, task.ready, task.successful, task.value, task.error];
  assertEquals(facts(), ["pending", false, false, undefined, undefined]);
  await idle();
  assertEquals(facts(), ["running", false, false, undefined, undefined]);
  open.open(7);
  await idle();
  assertEquals(facts(), ["succeeded", true, true, 7, undefined]);
});

test("Task.state is failed, and the error the very one, after a throw", async () => {
  for (const error of [new Error("no"), undefined, null, "text", 0]) {
    const task = failing(error);
    await task.join();
    assertEquals([task.state, task.ready, task.successful, task.value], [
      "failed",
      true,
      false,
      undefined,
    ]);
    assertStrictEquals(task.error, error);
    assertStrictEquals(await rejection(task), error);
  }
});

test("Task.state is failed after an async function rejects", async () => {
  const error = new Error("no");
  const task = spawn(async () => {
    await sleep(0);
    throw error;
  });
  assertStrictEquals(await rejection(task.get()), error);
  assertEquals(task.state, "failed");
});

test("Task.value is undefined for a task that returns undefined, which succeeds", async () => {
  const task = spawn(() => {});
  assertEquals(await task, undefined);
  assertEquals([task.state, task.successful], ["succeeded", true]);
});

test("Task.name is the given one, else task- and the id, and ids grow", () => {
  const [named, a, b] = [spawn({ name: "cook" }, () => {}), spawn(() => {}), spawn(() => {})];
  assertEquals([named.name, a.name, b.name], ["cook", `task-${a.id}`, `task-${b.id}`]);
  assert(named.id < a.id && a.id < b.id);
  assertEquals(Object.prototype.toString.call(a), "[object Task]");
});

test("Task cannot be constructed", () => {
  const construct = Task as unknown as new (fn: () => void) => Task;
  assertThrows(
    () => new construct(() => {}),
    TypeError,
    "Cannot construct task: spawn() makes one",
  );
  assertThrows(() => new construct(() => {}), TypeError);
});

// -- Getting the end --

test("Task.get() resolves to the value for any number of callers, before and after the end", async () => {
  const open = gate<string>();
  const task = spawn(() => open.promise);
  const before = [task.get(), task.get(), Promise.resolve(task)];
  await idle();
  open.open("done");
  assertEquals(await Promise.all(before), ["done", "done", "done"]);
  assertEquals([await task.get(), await task.get({ timeout: 0 }), await task], [
    "done",
    "done",
    "done",
  ]);
});

test("Task.get() rejects with the task's error for every caller", async () => {
  const error = new Error("no");
  const task = failing(error);
  const before = [rejection(task.get()), rejection(task)];
  for (const seen of await Promise.all(before)) assertStrictEquals(seen, error);
  assertStrictEquals(await rejection(task.get()), error);
});

test("Task.get() rejects with a TimeoutError when its limit is over, and the task goes on", async () => {
  using time = new ManualClock();
  const open = gate<number>();
  const task = spawn(() => open.promise);
  const got = outcome(task.get({ timeout: 10 }));
  await idle();
  time.advance(9);
  await idle();
  assertEquals(got.state, "pending");
  time.advance(1);
  await idle();
  assertInstanceOf(got.error, TimeoutError);
  assertEquals([got.error.ms, task.state], [10, "running"]);
  open.open(1);
  assertEquals(await task, 1);
});

test("Task.join() resolves to true however the task ends, and never throws its error", async () => {
  const tasks = [spawn(() => 1), failing(new Error("no")), parked()];
  const joined = tasks.map((task) => task.join());
  await idle();
  void tasks[2]!.kill();
  assertEquals(await Promise.all(joined), [true, true, true]);
  assertEquals(await Promise.all(tasks.map((task) => task.join({ timeout: 0 }))), [
    true,
    true,
    true,
  ]);
  assertEquals(tasks.map((task) => task.state), ["succeeded", "failed", "killed"]);
});

test("Task.join() resolves to false when its limit is over", async () => {
  using time = new ManualClock();
  await using task = parked();
  const joins = [outcome(task.join({ timeout: 0 })), outcome(task.join({ timeout: 5 }))];
  time.advance(0);
  await idle();
  assertEquals(joins.map((join) => join.value), [false, undefined]);
  time.advance(5);
  await idle();
  assertEquals(joins.map((join) => join.value), [false, false]);
  assertEquals(task.ready, false);
});

test("Task.get() and join() reject with the reason of an aborted signal, before and while they wait", async () => {
  await using task = parked();
  const reason = { why: "enough" };
  const controller = new AbortController();
  const waits = [
    rejection(task.get({ signal: controller.signal })),
    rejection(task.join({ signal: controller.signal })),
  ];
  await idle();
  controller.abort(reason);
  waits.push(rejection(task.get({ signal: controller.signal })));
  waits.push(rejection(task.join({ signal: controller.signal })));
  for (const seen of await Promise.all(waits)) assertStrictEquals(seen, reason);
  assertEquals(task.state, "running");
});

test("Task.get() of a finished task rejects when the signal has aborted: it is looked at first", async () => {
  const task = spawn(() => 1);
  await task;
  assertEquals(await rejection(task.get({ signal: AbortSignal.abort("first") })), "first");
});

test("Task.get(), join() and kill() reject wrong options, and such a kill does not kill", async () => {
  await using task = parked();
  await idle();
  const verbs = [
    (options: WaitOptions) => task.get(options),
    (options: WaitOptions) => task.join(options),
    (options: WaitOptions) => task.kill(undefined, options),
  ];
  for (const verb of verbs) {
    for (const timeout of [-1, NaN, -Infinity]) {
      await assertRejects(() => verb({ timeout }), RangeError, "timeout must be >= 0 milliseconds");
    }
    await assertRejects(() => verb({ timeout: "5" as never }), TypeError, "timeout");
    await assertRejects(() => verb({ signal: {} as AbortSignal }), TypeError, "AbortSignal");
  }
  await assertRejects(
    () => task.kill(undefined, { timeout: -1, signal: AbortSignal.abort() }),
    RangeError,
  );
  await idle();
  assertEquals(task.state, "running");
});

test("Task.then() passes the end on like a promise", async () => {
  const error = new Error("no");
  assertEquals(await spawn(() => 20).then((value) => value + 1), 21);
  assertEquals(await spawn(() => 20).then(undefined, () => 0), 20);
  assertEquals(await failing(error).then(undefined, (seen) => seen === error), true);
  assertEquals(await Promise.all([spawn(() => 1), 2, spawn(async () => await 3)]), [1, 2, 3]);
  assertEquals(await Promise.race([parkedFor(), spawn(() => "first")]), "first");

  function parkedFor(): Promise<string> {
    return gate<string>().promise;
  }
});

test("Task.get() of a task that returns a task gives the inner result", async () => {
  assertEquals(await spawn(() => spawn(async () => await "inner")), "inner");
});

// -- Waiting for oneself --

test("Task.get(), join() and await of oneself reject with a DeadlockError", async () => {
  const waits: Array<(self: Task) => PromiseLike<unknown>> = [
    (self) => self.get(),
    (self) => self.join(),
    (self) => self,
    (self) => self.get({ timeout: 1000 }),
    (self) => shield(() => self.get()),
    async (self) => {
      await sleep(0);
      await self;
    },
  ];
  for (const wait of waits) {
    const task = spawn({ name: "ouroboros" }, async () => {
      await wait(currentTask()!);
    });
    const error = await assertRejects(() => task.get(), DeadlockError, "ouroboros");
    assertStrictEquals(task.error, error);
  }
});

test("Task.get() of a task that returns itself rejects with a DeadlockError", async () => {
  const task: Task = spawn(() => currentTask());
  await assertRejects(() => task.get(), DeadlockError);
});

test("Task.get() inside one task of another that waits for the first is no self-wait", async () => {
  const a: Task = spawn(() => b.get());
  const b: Task = spawn(() => a.get());
  await idle();
  assertEquals([a.state, b.state], ["running", "running"]);
  await killAll([a, b]);
});

// -- Kill --

test("Task.kill() rejects the wait inside with one KilledError, which is the task's error", async () => {
  let caught: unknown;
  const task = spawn({ name: "cook" }, async () => {
    try {
      await sleep(Infinity);
    } catch (error) {
      caught = error;
      throw error;
    }
  });
  await idle();
  assertEquals(await task.kill(), true);
  assertInstanceOf(caught, KilledError);
  assertEquals(caught.cause, undefined);
  assertStrictEquals(task.error, caught);
  assertEquals([task.state, task.ready, task.successful, task.value], [
    "killed",
    true,
    false,
    undefined,
  ]);
  assertStrictEquals(await rejection(task), caught);
  assertStrictEquals(await rejection(task.get()), caught);
  assertEquals(await task.join(), true);
});

test("Task.kill() ends a task that does not catch, whatever it waits for", async () => {
  const other = parked();
  const ch = new Channel<number>();
  const buffered = Channel.from([1, 2, 3], { capacity: 3 });
  await idle();
  const waits: Record<string, () => PromiseLike<unknown>> = {
    "sleep": () => sleep(60_000),
    "sleep for ever": () => sleep(Infinity),
    "receive": () => ch.receive(),
    "send": () => ch.send(1),
    "for await": async () => {
      for await (const _ of ch);
    },
    "chunks": async () => {
      for await (const _ of ch.chunks());
    },
    "get": () => other.get(),
    "join": () => other.join(),
    "await": () => other,
    "joinAll": () => joinAll([other]),
    "until": () => until(gate().promise),
    "loop of sleep(0)": async () => {
      while (true) await sleep(0);
    },
    "nested": () => spawnAndWait(),
  };
  for (const [name, wait] of Object.entries(waits)) {
    const task = spawn(async () => {
      await wait();
    });
    await Promise.resolve();
    await sleep(0);
    await task.kill();
    assertEquals([name, task.state], [name, "killed"]);
  }
  assertEquals(other.state, "running");
  await other.kill();
  await buffered.cancel();

  async function spawnAndWait(): Promise<void> {
    await (async () => await sleep(Infinity))();
  }
});

test("Task.kill() is level-triggered: every wait after it rejects, also one that need not park", async () => {
  const ended = spawn(() => 1);
  await ended;
  const full = new Channel<number>({ capacity: 1 });
  await full.send(1);
  const room = new Channel<number>({ capacity: 1 });
  const waits: Record<string, () => PromiseLike<unknown>> = {
    "sleep": () => sleep(1),
    "sleep(0)": () => sleep(0),
    "receive of a buffered value": () => full.receive(),
    "send into free room": () => room.send(1),
    "next() with a value ready": () => full[Symbol.asyncIterator]().next(),
    "chunks with values ready": () => full.chunks()[Symbol.asyncIterator]().next(),
    "get of an ended task": () => ended.get(),
    "join of an ended task": () => ended.join(),
    "await of an ended task": () => ended,
    "joinAll of nothing": () => joinAll([]),
    "joinAll of ended tasks": () => joinAll([ended]),
    "until of a settled promise": () => until(Promise.resolve(1)),
    "get with an aborted signal": () => ended.get({ signal: AbortSignal.abort("signal") }),
  };
  const seen: Array<[string, unknown]> = [];
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    for (const [name, wait] of Object.entries(waits)) {
      seen.push([name, await rejection(Promise.resolve(wait()))]);
    }
    for (let i = 0; i < 1000; i++) seen.push(["again", await rejection(sleep(0))]);
  });
  const reason = new Error("stays");
  await idle();
  await task.kill(reason);
  assertEquals(seen.length, Object.keys(waits).length + 1000);
  for (const [name, error] of seen) assertStrictEquals(error, reason, name);
  assertEquals(full.tryReceive(), { state: "ok", value: 1 });
  assertEquals(room.size, 0);
});

test("Task.kill() reaches all waits that the task has parked at once", async () => {
  const ch = new Channel<number>();
  const seen: unknown[] = [];
  const task = spawn(async () => {
    const served = ch.receive();
    const waits = [sleep(Infinity), ch.receive(), until(gate().promise), sleep(Infinity)];
    await served; // the first of them leaves before the kill
    seen.push(...await Promise.all(waits.map(rejection)));
  });
  const reason = new Error("all");
  await idle();
  await ch.send(1);
  await task.kill(reason);
  assertEquals(seen.length, 4);
  for (const error of seen) assertStrictEquals(error, reason);
});

test("Task.kill() leaves what never parks usable inside", async () => {
  const ch = new Channel<number>({ capacity: 2 });
  const task = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      ch.trySend(1);
      assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
      ch.trySend(2);
    }
  });
  await idle();
  await task.kill();
  assertEquals([task.state, ch.size], ["killed", 1]);
});

test("Task.kill() of a task that has not started never runs it", async () => {
  let ran = false;
  const task = spawn(() => {
    ran = true;
  });
  const killed = task.kill();
  assertEquals([task.state, task.ready], ["killed", true]);
  assertEquals(await killed, true);
  await idle();
  assertEquals(ran, false);
  assertInstanceOf(task.error, KilledError);
  assertStrictEquals(await rejection(task), task.error);
});

test("Task.kill() takes effect at once though nobody awaits it", async () => {
  const step = steps();
  const task = spawn(async () => {
    step(1);
    await sleep(Infinity).catch(() => step(3));
    await sleep(0).catch(() => step(4));
  });
  await idle();
  step(2);
  void task.kill();
  assertEquals([task.signal.aborted, task.state], [true, "running"]);
  await idle();
  step.end(5);
  assertEquals(task.state, "succeeded");
});

test("Task.kill() resolves only after the finally blocks, waits in them included", async () => {
  const step = steps();
  const open = gate();
  const task = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      step(1);
      await open.promise;
      await shield(() => sleep(0));
      step(3);
    }
  });
  await idle();
  const killed = task.kill().then(() => step(4));
  await idle();
  step(2);
  open.open();
  await killed;
  step.end(5);
  assertEquals(task.state, "killed");
});

test("Task.kill() during the finally of an uncaught error leaves the error as the outcome", async () => {
  const error = new Error("real");
  const open = gate();
  const task = spawn(async () => {
    try {
      throw error;
    } finally {
      await open.promise;
    }
  });
  const got = rejection(task);
  await idle();
  const killed = task.kill();
  open.open();
  assertEquals(await killed, true);
  assertStrictEquals(await got, error);
  assertEquals(task.state, "failed");
});

test("Task.kill() during the finally of a return makes a wait there reject", async () => {
  const task = spawn(async () => {
    try {
      return "value";
    } finally {
      await sleep(Infinity);
    }
  });
  await idle();
  await task.kill();
  assertEquals([task.state, task.value], ["killed", undefined]);
});

test("Task.kill() twice keeps the first reason, and both wait for the end", async () => {
  const first = new Error("first"), second = new Error("second");
  const open = gate();
  const task = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      await open.promise;
    }
  });
  await idle();
  const kills = [outcome(task.kill(first)), outcome(task.kill(second))];
  await idle();
  assertEquals(kills.map((kill) => kill.state), ["pending", "pending"]);
  open.open();
  await idle();
  assertEquals(kills.map((kill) => kill.value), [true, true]);
  assertStrictEquals(task.error, first);
  assertEquals([isKilled(first), isKilled(second)], [true, false]);
});

test("Task.kill() of a finished task changes nothing and resolves to true", async () => {
  const error = new Error("no");
  const tasks: Task<unknown>[] = [spawn(() => 1), failing(error), parked()];
  void tasks[2]!.kill("once");
  await joinAll(tasks);
  for (const task of tasks) {
    const before = [task.state, task.value, task.error];
    assertEquals(await task.kill("again"), true);
    assertEquals(await task.kill("again", { timeout: 0 }), true);
    assertEquals(await task.kill("again", { signal: AbortSignal.abort("gone") }), true);
    assertEquals([task.state, task.value, task.error], before);
  }
  assertEquals(tasks[0]!.signal.aborted, false);
});

test("Task.kill() resolves to false when its limit is over, and the kill stays", async () => {
  using time = new ManualClock();
  const open = gate();
  const task = spawn(() => open.promise.then(() => sleep(0)));
  await idle();
  const killed = outcome(task.kill(undefined, { timeout: 10 }));
  time.advance(10);
  await idle();
  assertEquals([killed.value, task.state], [false, "running"]);
  open.open();
  await task.join();
  assertEquals(task.state, "killed");
});

test("Task.kill() with an aborted signal kills, and rejects the wait with its reason", async () => {
  const task = parked();
  await idle();
  assertEquals(await rejection(task.kill("why", { signal: AbortSignal.abort("gone") })), "gone");
  await task.join();
  assertEquals(task.state, "killed");
});

test("Task.kill() with a signal that aborts while it waits ends the wait only", async () => {
  const controller = new AbortController();
  const open = gate();
  const task = spawn(() => open.promise.then(() => sleep(0)));
  await idle();
  const killed = rejection(task.kill("why", { signal: controller.signal }));
  controller.abort("gone");
  assertEquals(await killed, "gone");
  open.open();
  await task.join();
  assertEquals(task.state, "killed");
});

test("Task.kill() makes an Error the very reason, and anything else the cause of a KilledError", async () => {
  const error = new RangeError("own");
  const task = parked();
  await idle();
  await task.kill(error);
  assertStrictEquals(task.error, error);
  assertEquals([task.state, isKilled(error)], ["killed", true]);

  for (const reason of ["text", 0, null, false, { code: 7 }]) {
    const task = parked();
    await idle();
    await task.kill(reason);
    assertInstanceOf(task.error, KilledError);
    assertStrictEquals(task.error.cause, reason);
    assert(isKilled(task.error));
  }
});

test("Task.kill() caught by a body that returns makes the task succeed with that value", async () => {
  const task = spawn(async () => {
    try {
      await sleep(Infinity);
      return "not reached";
    } catch {
      return "caught";
    }
  });
  await idle();
  assertEquals(await task.kill(), true);
  assertEquals([task.state, task.value, task.error], ["succeeded", "caught", undefined]);
  assertEquals(await task, "caught");
});

test("Task.kill() caught by a body that throws something else makes the task fail with that", async () => {
  using _quiet = onUnhandled(() => {});
  const error = new Error("clean-up failed");
  const task = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      // deno-lint-ignore no-unsafe-finally
      throw error;
    }
  });
  await idle();
  assertEquals(await task.kill(), true);
  assertEquals(task.state, "failed");
  assertStrictEquals(task.error, error);
  assertStrictEquals(await rejection(task), error);
});

test("Task.kill() caught by a body that throws a KilledError of its own makes the task fail", async () => {
  const own = new KilledError("not the reason");
  const task = spawn(() =>
    sleep(Infinity).catch(() => {
      throw own;
    })
  );
  await idle();
  void task.kill();
  assertStrictEquals(await rejection(task), own);
  assertEquals(task.state, "failed");
});

test("Task.kill() of the task that another waits for makes the other fail, not be killed", async () => {
  const inner = parked();
  const outer = spawn(() => inner.get());
  await idle();
  void inner.kill();
  const error = await rejection(outer);
  assertStrictEquals(error, inner.error);
  assertEquals([inner.state, outer.state], ["killed", "failed"]);
});

test("Task.kill() from inside hits at the next wait", async () => {
  const step = steps();
  const task = spawn(async () => {
    step(1);
    void currentTask()!.kill("own");
    step(2);
    await sleep(0);
    step(-1);
  });
  const error = await rejection(task);
  step.end(3);
  assertEquals([(error as Error).cause, task.state], ["own", "killed"]);
});

test("Task.kill() from inside, not awaited and with no wait after it, keeps the value", async () => {
  const task = spawn(() => {
    void currentTask()!.kill();
    return "value";
  });
  assertEquals(await task, "value");
  await idle();
});

test("Task.kill() of oneself, awaited, rejects with the reason", async () => {
  const reason = new Error("own");
  let seen: unknown;
  const task = spawn(async () => {
    try {
      await currentTask()!.kill(reason);
    } catch (error) {
      seen = error;
      throw error;
    }
  });
  await task.join();
  assertStrictEquals(seen, reason);
  assertEquals(task.state, "killed");
});

test("Task.kill() of oneself, awaited when killed already, rejects with the first reason", async () => {
  const first = new Error("first");
  const task = spawn(() => sleep(Infinity).catch(() => currentTask()!.kill(new Error("second"))));
  await idle();
  await task.kill(first);
  assertStrictEquals(task.error, first);
  assertEquals(task.state, "killed");
});

test("Task.kill() waits for a raw await of a foreign promise", async () => {
  const open = gate<string>();
  let after = false;
  const task = spawn(async () => {
    const value = await open.promise;
    after = true;
    await sleep(0);
    return value;
  });
  await idle();
  const killed = outcome(task.kill());
  await idle();
  assertEquals([killed.state, task.state, after], ["pending", "running", false]);
  open.open("late");
  await idle();
  assertEquals([killed.value, task.state, after], [true, "killed", true]);
});

test("Task.kill() in the same tick after a value was handed over leaves it to the task", async () => {
  const ch = new Channel<number>();
  const got: unknown[] = [];
  const task = spawn(async () => {
    got.push(await ch.receive());
    got.push(await rejection(ch.receive()));
  });
  await idle();
  const sent = ch.send(7);
  void task.kill("later");
  await sent;
  await task;
  assertEquals([got[0], (got[1] as Error).cause], [7, "later"]);
});

test("Task.kill() in the same tick before a send leaves the value with the sender", async () => {
  const ch = new Channel<number>();
  const task = spawn(() => ch.receive());
  await idle();
  void task.kill();
  const sent = outcome(ch.send(7));
  await idle();
  assertEquals([task.state, sent.state], ["killed", "pending"]);
  assertEquals(ch.tryReceive(), { state: "ok", value: 7 });
});

test("Task.kill() in the same tick after the end of the task waited for keeps the result", async () => {
  const open = gate<number>();
  const inner = spawn(() => open.promise);
  const outer = spawn(async () => await inner);
  await idle();
  const told = inner.get().then(() => outer.kill());
  open.open(7);
  await told;
  assertEquals([outer.state, outer.value], ["succeeded", 7]);
});

test("Task.kill() waits out of reach of a kill of the killer", async () => {
  const open = gate();
  const target = spawn(() => open.promise.then(() => sleep(0)));
  const step = steps();
  const killer = spawn(async () => {
    assertEquals(await target.kill(), true);
    step(2);
    await sleep(0);
  });
  await idle();
  void killer.kill();
  await idle();
  step(1);
  assertEquals(killer.state, "running");
  open.open();
  await killer.join();
  step.end(3);
  assertEquals([target.state, killer.state], ["killed", "killed"]);
});

test("Task.kill() of one task leaves the others, also those it spawned", async () => {
  let child!: Task;
  const parent = spawn(async () => {
    child = parked();
    await sleep(Infinity);
  });
  const sibling = parked();
  await idle();
  await parent.kill();
  assertEquals([child.state, sibling.state], ["running", "running"]);
  await killAll([child, sibling]);
});

test("Task.kill() inside an abort listener of another kill reaches its waits too", async () => {
  const second = parked();
  const first = spawn(async () => {
    currentTask()!.signal.addEventListener("abort", () => void second.kill());
    await sleep(Infinity);
  });
  await idle();
  await first.kill();
  await second.join();
  assertEquals([first.state, second.state], ["killed", "killed"]);
});

test("Task[Symbol.asyncDispose]() kills and waits for the clean-up", async () => {
  const step = steps();
  let task!: Task;
  {
    await using inner = spawn(async () => {
      try {
        await sleep(Infinity);
      } finally {
        await shield(() => sleep(0));
        step(2);
      }
    });
    task = inner;
    await idle();
    step(1);
  }
  step.end(3);
  assertEquals(task.state, "killed");
});

test("Task[Symbol.asyncDispose]() of an ended task, twice, does nothing", async () => {
  const task = spawn(() => 1);
  await task;
  await task[Symbol.asyncDispose]();
  await task[Symbol.asyncDispose]();
  assertEquals(task.state, "succeeded");
});

test("Task[Symbol.asyncDispose]() of a task that fails does not throw its error", async () => {
  const error = new Error("no");
  const seen: unknown[] = [];
  using _hook = onUnhandled((error) => seen.push(error));
  {
    await using _task = failing(error);
    await sleep(0);
  }
  await idle();
  assertEquals(seen, [error]);
});

test("Task.kill() ends 100,000 tasks, parked or not started", async () => {
  const tasks = Array.from({ length: 100_000 }, () => parked());
  await sleep(0);
  assert(tasks.every((task) => task.state === "running"));
  const more = Array.from({ length: 100_000 }, () => parked());
  for (const task of tasks) void task.kill();
  for (const task of more) void task.kill();
  await joinAll([...tasks, ...more]);
  assert(tasks.every((task) => task.state === "killed"));
  assert(more.every((task) => task.state === "killed"));
  await idle();
  assertEquals(queueSize(), 0);
});

test("Task.kill() works along a chain of 10,000 tasks that wait for one another", async () => {
  const first = parked();
  let last: Task = first;
  for (let i = 0; i < 10_000; i++) {
    const before = last;
    last = spawn(() => before.get());
  }
  await idle();
  void first.kill("far");
  assertEquals((await rejection(last) as Error).cause, "far");
});

// -- Signal --

test("Task.signal is made once and aborts with the very error of the kill", async () => {
  const reason = new Error("why");
  const task = parked();
  await idle();
  const { signal } = task;
  assertStrictEquals(task.signal, signal);
  assertEquals(signal.aborted, false);
  void task.kill(reason);
  assertEquals(signal.aborted, true);
  assertStrictEquals(signal.reason, reason);
  await task.join();
  assertStrictEquals(task.signal, signal);
});

test("Task.signal first asked for after a kill has aborted with the same error", async () => {
  const started = parked(), unstarted = parked();
  void unstarted.kill("why");
  await idle();
  await started.kill("why");
  for (const task of [started, unstarted]) {
    assertEquals(task.signal.aborted, true);
    assertStrictEquals(task.signal.reason, task.error);
  }
});

test("Task.signal of a task that ends by itself never aborts", async () => {
  using _quiet = onUnhandled(() => {});
  const tasks = [spawn(() => 1), failing(new Error("no"))];
  const signals = tasks.map((task) => task.signal);
  await joinAll(tasks);
  await killAll(tasks);
  assertEquals(signals.map((signal) => signal.aborted), [false, false]);
  assertEquals(tasks.map((task) => task.signal.aborted), [false, false]);
});

test("Task.signal is not made for a kill: no AbortController without a use", async () => {
  const real = globalThis.AbortController;
  let made = 0;
  globalThis.AbortController = class extends real {
    constructor() {
      super();
      made++;
    }
  };
  try {
    const task = parked();
    await idle();
    await task.kill();
    assertEquals(made, 0);
    assertEquals([task.signal.aborted, made], [true, 1]);
  } finally {
    globalThis.AbortController = real;
  }
});

// -- Links --

test("Task.link() calls the links in order of adding, once, and never synchronously", async () => {
  const step = steps();
  const task = spawn(() => 1);
  const told: unknown[] = [];
  task.link((ended) => (told.push(ended === task), step(2)));
  task.link(() => step(3));
  task.linkValue(() => step(4));
  task.link(() => step(5));
  step(1);
  await idle();
  await idle();
  step.end(6);
  assertEquals(told, [true]);
});

test("Task.link() after the end calls the link, and not synchronously", async () => {
  const step = steps();
  const task = spawn(() => 1);
  await task;
  await idle();
  task.link(() => step(2));
  task.link(() => step(3));
  step(1);
  await idle();
  step.end(4);
});

test("Task.link() sees the ended task, in the order in which tasks end", async () => {
  const seen: unknown[] = [];
  const a = spawn(async () => {
    await sleep(0);
    await sleep(0);
    return "a";
  });
  const b = spawn(() => "b");
  for (const task of [a, b]) task.link((ended) => seen.push(ended.ready, ended.value));
  await idle();
  assertEquals(seen, [true, "b", true, "a"]);
});

test("Task.linkValue() is for success, linkError() for failure and kill", async () => {
  const tasks = [spawn(() => 1), failing(new Error("no")), parked(), parked()];
  await tasks[3]!.kill();
  const seen: string[][] = tasks.map(() => []);
  const enlist = () =>
    tasks.forEach((task, i) => {
      task.link(() => seen[i]!.push("end"));
      task.linkValue(() => seen[i]!.push("value"));
      task.linkError(() => seen[i]!.push("error"));
    });
  enlist();
  await idle();
  void tasks[2]!.kill();
  await idle();
  const expected = [["end", "value"], ["end", "error"], ["end", "error"], ["end", "error"]];
  assertEquals(seen, expected);
  enlist();
  await idle();
  assertEquals(seen, expected.map((one) => [...one, ...one]));
});

test("Task.unlink() takes back every link with the callback, and no other", async () => {
  const seen: string[] = [];
  const a = () => seen.push("a");
  const task = spawn(() => 1);
  task.unlink(a);
  task.link(a);
  task.linkValue(a);
  task.link(() => seen.push("b"));
  task.unlink(a);
  task.unlink(a);
  await idle();
  task.unlink(a);
  assertEquals(seen, ["b"]);
});

test("Task.unlink() during notification prevents a later link", async () => {
  const seen: string[] = [];
  const task = spawn(() => 1);
  const late = () => seen.push("late");
  task.link(() => {
    seen.push("first");
    task.unlink(late);
  });
  task.link(late);
  task.link(() => seen.push("last"));
  await idle();
  assertEquals(seen, ["first", "last"]);
});

test("Task.link() inside a link is called too", async () => {
  const seen: string[] = [];
  const task = spawn(() => 1);
  task.link(() => {
    seen.push("outer");
    task.link(() => seen.push("inner"));
  });
  await idle();
  assertEquals(seen, ["outer", "inner"]);
});

test("Task.link() that throws is told to onUnhandled, and the others are still called", async () => {
  const errors: unknown[] = [];
  using _hook = onUnhandled((error, task) => errors.push(error, task));
  const seen: string[] = [];
  const task = spawn(() => 1);
  task.link(() => {
    throw "thrown";
  });
  task.link(async () => {
    await sleep(0);
    throw "rejected";
  });
  task.link(() => seen.push("last"));
  await idle();
  assertEquals(errors, ["thrown", undefined, "rejected", undefined]);
  assertEquals([seen, task.state], [["last"], "succeeded"]);
});

test("Task.link() calls its links outside of every task, so that no foreign kill reaches them", async () => {
  const errors: unknown[] = [];
  using _hook = onUnhandled((error) => errors.push(error));
  const task = spawnLater(Infinity, () => {});
  const seen: unknown[] = [];
  task.link(async () => {
    seen.push(currentTask());
    await sleep(0);
    seen.push("went on");
  });
  const bystander = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    void task.kill(); // a killed task brings about the notification
  });
  await idle();
  void bystander.kill();
  await idle();
  assertEquals([seen, errors], [[undefined, "went on"], []]);
});

test("Task.link() throws a TypeError for what is no function", async () => {
  const task = spawn(() => 1);
  for (const verb of ["link", "linkValue", "linkError"] as const) {
    assertThrows(
      () => task[verb](7 as never),
      TypeError,
      "callback must be a function, got number",
    );
  }
  await task;
});

// -- currentTask --

test("currentTask() is the running task, also after awaits of all kinds, and undefined outside", async () => {
  assertEquals(currentTask(), undefined);
  const ch = new Channel<number>();
  const task: Task<boolean> = spawn(async () => {
    const seen = [currentTask()];
    await sleep(0);
    seen.push(currentTask());
    await Promise.resolve();
    seen.push(currentTask());
    await sleep(1);
    seen.push(currentTask());
    await ch.receive();
    seen.push(currentTask());
    await shield(() => void seen.push(currentTask()));
    await until(new Promise<void>((resolve) => setTimeout(resolve, 1)));
    seen.push(currentTask());
    return seen.length === 7 && seen.every((one) => one === task);
  });
  assertEquals(currentTask(), undefined);
  await ch.send(1);
  assertEquals(currentTask(), undefined);
  assertEquals(await task, true);
  assertEquals(currentTask(), undefined);
});

test("currentTask() does not leak between tasks that wake one another", async () => {
  const ch = new Channel<string>();
  const wrong: string[] = [];
  const check = (name: string) => {
    if (currentTask()?.name !== name) wrong.push(`${name} saw ${currentTask()?.name}`);
  };
  const players = ["a", "b", "c"].map((name) =>
    spawn({ name }, async () => {
      for (let i = 0; i < 100; i++) {
        if (i % 3 === 0) await sleep(0);
        check(name);
        await ch.send(name);
        check(name);
      }
    })
  );
  const reader = spawn({ name: "reader" }, async () => {
    for (let i = 0; i < 300; i++) {
      await ch.receive();
      check("reader");
    }
  });
  await joinAll([...players, reader]);
  assertEquals(wrong, []);
});

test("currentTask() is the inner task in one that was spawned by another", async () => {
  const names = await spawn({ name: "outer" }, async () => {
    const inner = spawn({ name: "inner" }, () => currentTask()!.name);
    return [currentTask()!.name, await inner, currentTask()!.name];
  });
  assertEquals(names, ["outer", "inner", "outer"]);
  assertNotStrictEquals(currentTask(), null);
});

// -- Watchers --

/** Watchers "0", "1" and so on of a task that ends; what they were told of, in order. */
async function told(
  count: number,
  change: (task: Task, watchers: TaskWatcher[]) => void,
  first?: (task: Task, watchers: TaskWatcher[]) => void,
): Promise<string> {
  let seen = "";
  const task: Task = spawn(() => sleep(0));
  const watchers: TaskWatcher[] = Array.from({ length: count }, (_, i) => ({
    taskEnded: (ended) => {
      seen += ended === task && task.ready ? i : "?";
      if (i === 0) first?.(task, watchers);
    },
  }));
  for (const watcher of watchers) watchTask(task, watcher);
  change(task, watchers);
  await task.join();
  return seen;
}

test("watchTask() tells all in order, but those who took it back", async () => {
  for (const count of [1, 2, 3, 4]) {
    const all = Array.from({ length: count }, (_, i) => i);
    assertEquals(await told(count, () => {}), all.join(""));
    for (const out of all) {
      const left = all.filter((i) => i !== out).join("");
      assertEquals(await told(count, (task, watchers) => unwatchTask(task, watchers[out]!)), left);
    }
    const none = await told(count, (task, watchers) => {
      for (const watcher of watchers) unwatchTask(task, watcher);
      unwatchTask(task, { taskEnded: () => {} });
    });
    assertEquals(none, "");
  }
});

test("watchTask() does not tell one that another takes back while it is told", async () => {
  for (const count of [2, 3, 4]) {
    const rest = Array.from({ length: count }, (_, i) => i);
    const drop = (outs: number[]) => (task: Task, watchers: TaskWatcher[]) => {
      for (const out of outs) unwatchTask(task, watchers[out]!);
    };
    const run = (outs: number[]) => told(count, () => {}, drop(outs));
    assertEquals(await run([0]), rest.join(""));
    assertEquals(await run([1]), rest.filter((i) => i !== 1).join(""));
    assertEquals(await run([0, 1]), rest.filter((i) => i !== 1).join(""));
  }
});
