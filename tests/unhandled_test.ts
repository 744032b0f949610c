// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Failures that nobody observes, and every way of observing one. What the host does without a
 * hook is in exit_test.ts.
 *
 * @module
 */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { macrotask } from "../src/_kernel/host.ts";
import { TimeoutError } from "../src/errors.ts";
import { joinAll, killAll } from "../src/join.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask, type Task } from "../src/task.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";

noLeaks();

/** All that is told while it lives. */
function record(): Disposable & { seen: Array<[error: unknown, name: string | undefined]> } {
  const seen: Array<[unknown, string | undefined]> = [];
  const hook = onUnhandled((error, task) => seen.push([error, task?.name]));
  return { seen, [Symbol.dispose]: () => hook[Symbol.dispose]() };
}

const nextMacrotask = (): Promise<void> => new Promise((resolve) => macrotask(resolve));

const failing = (error: unknown, name = "careless"): Task<never> =>
  spawn({ name }, () => {
    throw error;
  });

/** A task that has just failed, with its macrotask still to come. */
async function failed(name = "careless"): Promise<{ task: Task<void> }> {
  const open = gate();
  const task = spawn({ name }, () => open.promise);
  await idle();
  open.fail("no");
  while (!task.ready) await Promise.resolve();
  return { task };
}

test("onUnhandled() is told once of a failure that nobody observes, with the task", async () => {
  const told: unknown[] = [];
  using _hook = onUnhandled((...args) => told.push(...args));
  const error = new Error("no");
  const task = failing(error);
  await idle();
  await idle();
  assertEquals(told.length, 2);
  assertStrictEquals(told[0], error);
  assertStrictEquals(told[1], task);
  assertStrictEquals(await rejection(task), error);
  await idle();
  assertEquals(told.length, 2);
});

test("onUnhandled() is told one macrotask after the end, not before", async () => {
  using hook = record();
  await failed("late");
  for (let i = 0; i < 100; i++) await Promise.resolve();
  assertEquals(hook.seen, []);
  await nextMacrotask();
  assertEquals(hook.seen, [["no", "late"]]);
});

test("onUnhandled() is told of each of many failures, in the order of their ends", async () => {
  using hook = record();
  failing("a", "first");
  failing("b", "second");
  failing(undefined, "third");
  await idle();
  assertEquals(hook.seen, [["a", "first"], ["b", "second"], [undefined, "third"]]);
});

test("onUnhandled() is not told of a failure that is observed before the macrotask", async () => {
  using hook = record();
  const ways: Record<string, (task: Task<void>) => unknown> = {
    "get": (task) => rejection(task.get()),
    "await": async (task) => {
      try {
        await task;
      } catch { /* observed */ }
    },
    "then": (task) => task.then(undefined, () => {}),
    "join": (task) => task.join(),
    "joinAll": (task) => joinAll([task]),
    "joinAll with raiseError": (task) => rejection(joinAll([task], { raiseError: true })),
    "link": (task) => task.link(() => {}),
    "linkError": (task) => task.linkError(() => {}),
  };
  for (const [name, observe] of Object.entries(ways)) {
    observe(failing("before its start", name));
    const running = failing("at its end", name);
    await Promise.resolve();
    observe(running);
    observe((await failed(name)).task);
    await idle();
    assertEquals(hook.seen, [], name);
  }
});

test("onUnhandled() is not told while a joinAll waits for the failed task and for slower ones", async () => {
  using hook = record();
  const open = gate();
  const slow = spawn(() => open.promise);
  const fast = failing("no");
  const joined = joinAll([fast, slow] as Task[]);
  const { task: late } = await failed();
  const second = joinAll([slow, late]);
  await idle();
  open.open();
  assertEquals((await joined).length, 2);
  assertEquals((await second).length, 2);
  await idle();
  assertEquals(hook.seen, []);
});

test("onUnhandled() is told of a failure that a cancelled wait would have got", async () => {
  using time = new ManualClock();
  using hook = record();
  const open = gate();
  const controller = new AbortController();
  const { signal } = controller;
  const task = spawn({ name: "alone" }, () => open.promise);
  const waits = [
    rejection(task.get({ timeout: 5 })),
    rejection(task.get({ signal })),
    rejection(task.join({ signal })),
    rejection(joinAll([task], { signal })),
  ];
  const joins = [task.join({ timeout: 5 }), joinAll([task], { timeout: 5 })];
  const waiting = spawn(() => task.get());
  await idle();
  time.advance(5);
  controller.abort();
  await waiting.kill();
  await Promise.all([...waits, ...joins]);
  open.fail("no");
  await idle();
  assertEquals(hook.seen, [["no", "alone"]]);
});

test("onUnhandled() is told of a failure that a joinAll knew of when it was cancelled", async () => {
  using hook = record();
  await using slow = spawn(() => sleep(Infinity));
  const caller = spawn(() => joinAll([slow, failing("no")] as Task[]));
  await idle();
  assertEquals(hook.seen, []);
  await caller.kill();
  await idle();
  assertEquals(hook.seen, [["no", "careless"]]);
});

test("onUnhandled() is told though a kill waited, a link for values, or one that was unlinked", async () => {
  using hook = record();
  const task = spawn({ name: "dirty" }, async () => {
    await sleep(Infinity).catch(() => {
      throw "clean-up failed";
    });
  });
  const unlinked = () => {};
  task.linkValue(() => {});
  task.link(unlinked);
  task.unlink(unlinked);
  await idle();
  await task.kill();
  await idle();
  assertEquals([hook.seen, task.state], [[["clean-up failed", "dirty"]], "failed"]);
});

test("onUnhandled() is told of a failure whose only link was unlinked before it was called", async () => {
  using hook = record();
  const open = gate();
  const task = spawn({ name: "unlinked" }, () => open.promise);
  const link = () => hook.seen.push(["linked", undefined]);
  task.link(link);
  await idle();
  open.fail("no");
  while (!task.ready) await Promise.resolve();
  task.unlink(link);
  await idle();
  assertEquals(hook.seen, [["no", "unlinked"]]);
});

test("onUnhandled() is never told of a killed task, started or not, whatever the reason", async () => {
  using hook = record();
  const tasks = [undefined, "text", new Error("reason")].flatMap((reason) => {
    const running = spawn(() => sleep(Infinity));
    const unstarted = spawn(() => sleep(Infinity));
    void unstarted.kill(reason);
    queueMicrotask(() => void running.kill(reason));
    return [running, unstarted];
  });
  const controller = new AbortController();
  tasks.push(spawn({ signal: controller.signal }, () => sleep(Infinity)));
  await idle();
  controller.abort(new Error("reason"));
  await idle();
  assertEquals(tasks.map((task) => task.state), tasks.map(() => "killed"));
  assertEquals(hook.seen, []);
});

test("onUnhandled() is told of one failure when a chain of tasks passes it on to nobody", async () => {
  using hook = record();
  const inner = failing("no", "inner");
  const middle = spawn({ name: "middle" }, () => inner.get());
  spawn({ name: "outer" }, async () => {
    await middle;
  });
  await idle();
  assertEquals(hook.seen, [["no", "outer"]]);
});

test("onUnhandled() is told of what links and their promises throw, without a task", async () => {
  using hook = record();
  const task = spawn(() => 1);
  task.link(() => {
    throw "thrown";
  });
  task.link(() => Promise.reject("rejected"));
  await task;
  await idle();
  assertEquals(hook.seen, [["thrown", undefined], ["rejected", undefined]]);
});

test("onUnhandled() hooks add up, in the order of installing; disposing twice is harmless", async () => {
  const seen: string[] = [];
  const hook = (error: unknown) => seen.push(`a ${error}`);
  const first = onUnhandled(hook);
  const second = onUnhandled((error) => seen.push(`b ${error}`));
  const third = onUnhandled(hook);
  failing("1");
  await idle();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  failing("2");
  await idle();
  second[Symbol.dispose]();
  failing("3");
  await idle();
  third[Symbol.dispose]();
  assertEquals(seen, ["a 1", "b 1", "a 1", "b 2", "a 2", "a 3"]);
});

test("onUnhandled() hook that removes another, or installs one, does so from the next failure on", async () => {
  const seen: string[] = [];
  let added: Disposable | undefined;
  const first = onUnhandled(() => {
    seen.push("first");
    second[Symbol.dispose]();
    added ??= onUnhandled(() => seen.push("added"));
  });
  const second = onUnhandled(() => seen.push("second"));
  failing("1");
  await idle();
  failing("2");
  await idle();
  first[Symbol.dispose]();
  added![Symbol.dispose]();
  assertEquals(seen, ["first", "second", "first", "added"]);
});

test("onUnhandled() calls its hooks outside of every task, so that no kill reaches them", async () => {
  const seen: unknown[] = [];
  using _hook = onUnhandled(async (error) => {
    seen.push(error, currentTask());
    seen.push(await outcomeOf(sleep(0)));
  });
  const task = spawn(() =>
    sleep(Infinity).catch(() => {
      throw "clean-up failed";
    })
  );
  await idle();
  await killAll([task]);
  await idle();
  await idle();
  assertEquals(seen, ["clean-up failed", undefined, "resolved"]);

  async function outcomeOf(promise: Promise<unknown>): Promise<string> {
    const follows = outcome(promise);
    await promise.catch(() => {});
    return follows.state;
  }
});

test("onUnhandled() is told of a task that fails with a TimeoutError: no kill", async () => {
  using time = new ManualClock();
  const errors: unknown[] = [];
  using _hook = onUnhandled((error) => errors.push(error instanceof TimeoutError));
  spawn(() => sleep(Infinity, { timeout: 5 }));
  await idle();
  time.advance(5);
  await idle();
  assertEquals(errors, [true]);
});

test("onUnhandled() throws a TypeError for what is no function", () => {
  for (const hook of [undefined, null, 7, {}]) {
    assertThrows(() => onUnhandled(hook as never), TypeError, "Cannot install hook");
  }
});
