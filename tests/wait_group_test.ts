// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The wait group: a count that never goes below 0, and who waits for it.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { Channel } from "../src/channel.ts";
import { select, trySelect } from "../src/select.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { wait } from "../src/wait.ts";
import { WaitGroup } from "../src/wait_group.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertEnds, assertRefuses, eachEnd, inKilledTask } from "./waits.ts";

noLeaks();

test("WaitGroup.count follows add() and done()", () => {
  const group = new WaitGroup();
  const counts = [group.count];
  for (const step of [() => group.add(), () => group.add(3), () => group.done()]) {
    step();
    counts.push(group.count);
  }
  group.add(0);
  group.add(-3);
  assertEquals([...counts, group.count], [0, 1, 4, 3, 0]);
  assertEquals(Object.prototype.toString.call(group), "[object WaitGroup]");
});

test("WaitGroup.wait() is true at once when nothing is left, also with a timeout of 0", async () => {
  const group = new WaitGroup();
  assertEquals([await group.wait(), await group.wait({ timeout: 0 })], [true, true]);
  group.add();
  group.done();
  assertEquals(await group.wait({ timeout: 0 }), true);
});

test("WaitGroup.wait() parks until the last thing is done, all who wait in order", async () => {
  const step = steps(), group = new WaitGroup();
  group.add(2);
  const waits = [2, 3].map((n) => group.wait().then((all) => (step(n), all)));
  await idle();
  group.done();
  await idle();
  step(1);
  group.done();
  assertEquals(await Promise.all(waits), [true, true]);
  step.end(4);
});

test("WaitGroup below 0 is a RangeError and changes nothing", async () => {
  const group = new WaitGroup();
  assertThrows(() => group.done(), RangeError, "the count must stay an integer >= 0, got -1");
  group.add(2);
  const waiting = outcome(group.wait());
  assertThrows(() => group.add(-3), RangeError, "got -1");
  for (const count of [1.5, -0.5, NaN, Infinity, -Infinity, "1" as never]) {
    assertThrows(() => group.add(count), RangeError, "Cannot add to wait group");
  }
  await idle();
  assertEquals([group.count, waiting.state], [2, "pending"]);
  group.add(-2);
  await idle();
  assertEquals(waiting.value, true);
});

test("WaitGroup serves again after it was 0, and wakes even if it is not 0 when they run", async () => {
  const group = new WaitGroup();
  for (let round = 0; round < 3; round++) {
    group.add();
    const waiting = outcome(group.wait());
    await idle();
    assertEquals(waiting.state, "pending");
    group.done();
    group.add();
    await idle();
    assertEquals([waiting.value, group.count], [true, 1]);
    group.done();
  }
});

test("WaitGroup.wait() waits for tasks that call done(), however they end", async () => {
  const group = new WaitGroup(), ended: number[] = [];
  const tasks = [3, 1, 2].map((n) => {
    group.add();
    return spawn(async () => {
      try {
        await sleep(n === 3 ? Infinity : 0);
      } finally {
        ended.push(n);
        group.done();
      }
    });
  });
  const waiting = outcome(group.wait());
  await idle();
  assertEquals([ended, waiting.state], [[1, 2], "pending"]);
  await tasks[0]!.kill();
  await idle();
  assertEquals([ended, waiting.value], [[1, 2, 3], true]);
});

test("WaitGroup.wait() is refused in a killed task and for an aborted signal, though it is 0", async () => {
  const group = new WaitGroup();
  await assertRefuses((options) => group.wait(options));
});

test("WaitGroup.wait() ends by abort, kill and timeout, which gives false", async () => {
  const group = new WaitGroup();
  group.add();
  await assertEnds((options) => group.wait(options), false);
  assertEquals(group.count, 1);
});

test("WaitGroup.wait() that was woken stays true when the end comes later", async () => {
  const group = new WaitGroup();
  await eachEnd((options) => (group.add(), group.wait(options)), async ({ waiting, end }) => {
    group.done();
    end();
    assertEquals(await waiting, true);
  });
});

test("WaitGroup.add() and done() serve in a killed task", async () => {
  const group = new WaitGroup();
  group.add();
  await inKilledTask(() => {
    group.add(2);
    group.done();
    group.done();
    group.done();
  });
  assertEquals(group.count, 0);
});

test("WaitGroup is a ready case of select while it is 0", async () => {
  const group = new WaitGroup(), ch = new Channel<number>({ capacity: 1 });
  assertEquals(trySelect({ group }), { key: "group", value: undefined, done: false });
  group.add();
  assertEquals(trySelect({ group }), undefined);
  const waiting = select({ ch, group });
  await idle();
  group.done();
  group.add();
  assertEquals(await waiting, { key: "group", value: undefined, done: false });
  const loses = select({ ch, group });
  await ch.send(7);
  assertEquals([(await loses).key, group.count, liveWaiters()], ["ch", 1, 0]);
});

test("wait() gives a wait group once it is 0", async () => {
  const group = new WaitGroup();
  assertEquals((await wait([group])).length, 1);
  group.add();
  const waiting = outcome(wait([group]));
  await idle();
  assertEquals(waiting.state, "pending");
  group.done();
  await idle();
  assertEquals(waiting.value?.length, 1);
});
