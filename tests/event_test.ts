// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The event: who is woken, in which order, and what a clear in between changes.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { Event } from "../src/event.ts";
import { select, trySelect } from "../src/select.ts";
import { spawn } from "../src/spawn.ts";
import { after } from "../src/timer.ts";
import { iwait, wait } from "../src/wait.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertEnds, assertRefuses, inKilledTask } from "./waits.ts";

noLeaks();

test("Event.isSet follows set() and clear(), each harmless twice", () => {
  const event = new Event();
  const seen = [event.isSet];
  for (const verb of ["clear", "set", "set", "clear", "clear", "set"] as const) {
    event[verb]();
    seen.push(event.isSet);
  }
  assertEquals(seen, [false, false, true, true, false, false, true]);
  assertEquals(Object.prototype.toString.call(event), "[object Event]");
});

test("Event.wait() is true at once while it is set, also with a timeout of 0", async () => {
  const event = new Event();
  event.set();
  assertEquals([await event.wait(), await event.wait({ timeout: 0 })], [true, true]);
  assertEquals(event.isSet, true);
});

test("Event.set() wakes all who wait, in order of arrival and not synchronously", async () => {
  const step = steps(), event = new Event();
  const waits = [2, 3, 4].map((n) => event.wait().then(() => step(n)));
  await idle();
  event.set();
  assertEquals(liveWaiters(), 0);
  step(1);
  await Promise.all(waits);
  step.end(5);
});

test("Event.set() wakes all who wait, even if it is cleared before they run", async () => {
  const event = new Event();
  const tasks = [1, 2].map(() => spawn(async () => [await event.wait(), event.isSet]));
  await idle();
  event.set();
  event.clear();
  const late = outcome(event.wait());
  await idle();
  assertEquals(await Promise.all(tasks), [[true, false], [true, false]]);
  assertEquals(late.state, "pending");
  event.set();
  await idle();
  assertEquals(late.value, true);
});

test("Event.wait() of a set event goes on after those it woke before", async () => {
  const step = steps(), event = new Event();
  const before = event.wait().then(() => step(1));
  event.set();
  const after = event.wait().then(() => step(2));
  await Promise.all([before, after]);
  step.end(3);
});

test("Event.wait() parks anew in each round", async () => {
  const event = new Event();
  for (let round = 0; round < 3; round++) {
    const waiting = outcome(event.wait());
    await idle();
    assertEquals(waiting.state, "pending");
    event.set();
    await idle();
    assertEquals(waiting, { state: "resolved", value: true });
    event.clear();
  }
});

test("Event.wait() is refused in a killed task and for an aborted signal, though it is set", async () => {
  const event = new Event();
  event.set();
  await assertRefuses((options) => event.wait(options));
});

test("Event.wait() ends by abort, kill and timeout, which gives false", async () => {
  const event = new Event();
  await assertEnds((options) => event.wait(options), false);
});

test("Event.wait() ended from outside leaves the others waiting", async () => {
  using time = new ManualClock();
  const event = new Event(), controller = new AbortController();
  const first = outcome(event.wait());
  const aborted = outcome(event.wait({ signal: controller.signal }));
  const expired = outcome(event.wait({ timeout: 5 }));
  const last = outcome(event.wait());
  controller.abort("no");
  time.advance(5);
  await idle();
  assertEquals([first.state, aborted.error, expired.value, last.state], [
    "pending",
    "no",
    false,
    "pending",
  ]);
  event.set();
  await idle();
  assertEquals([first.value, last.value], [true, true]);
});

test("Event.wait() that was woken stays true when the abort, kill or limit comes later", async () => {
  using time = new ManualClock();
  const event = new Event(), controller = new AbortController();
  const waits = [event.wait({ signal: controller.signal }), event.wait({ timeout: 5 })];
  const task = spawn(() => event.wait());
  await idle();
  event.set();
  controller.abort("too late");
  time.advance(5);
  void task.kill();
  assertEquals(await Promise.all([...waits, task]), [true, true, true]);
});

test("Event.set(), clear() and isSet serve in a killed task too", async () => {
  const event = new Event();
  assertEquals(
    await inKilledTask(() => {
      event.set();
      const was = event.isSet;
      event.clear();
      return [was, event.isSet];
    }),
    [true, false],
  );
});

test("Event is a ready case of select while set, and stays set", async () => {
  const event = new Event();
  assertEquals(trySelect({ event }), undefined);
  event.set();
  assertEquals(trySelect({ event }), { key: "event", value: undefined, done: false });
  assertEquals(await select({ event, late: after(0) }), {
    key: "event",
    value: undefined,
    done: false,
  });
  assertEquals(event.isSet, true);
  event.clear();
  assertEquals(trySelect({ event }), undefined);
});

test("Event wakes a select that waits, even if it is cleared before that runs", async () => {
  const event = new Event(), other = new Event();
  const selects = [select({ event, other }), select([other, event, event])];
  await idle();
  event.set();
  event.clear();
  assertEquals(await Promise.all<unknown>(selects), [
    { key: "event", value: undefined, done: false },
    { key: 1, value: undefined, done: false },
  ]);
  other.set(); // nobody is left to be woken by it
});

test("wait() and iwait() give events as they are set, and take nothing", async () => {
  const [a, b, c] = [new Event(), new Event(), new Event()];
  b.set();
  const all = wait([a, b, c]), order: Event[] = [];
  const iterated = (async () => {
    for await (const event of iwait([a, b, c])) order.push(event);
  })();
  await idle();
  c.set();
  c.clear();
  a.set();
  assertEquals((await all).map((event) => [a, b, c].indexOf(event)), [1, 2, 0]);
  await iterated;
  assertEquals(order.map((event) => [a, b, c].indexOf(event)), [1, 2, 0]);
  assertEquals([a.isSet, b.isSet, c.isSet], [true, true, false]);
});
