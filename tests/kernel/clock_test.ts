// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { checkMs, Clock, clock, type Timer, type TimeSource } from "../../src/_kernel/clock.ts";
import { noLeaks } from "../leaks.ts";

noLeaks();

/** A source of time that is moved by hand and notes what it was asked for. */
class NotedTime implements TimeSource {
  time = 0;
  readonly armed: Array<number | undefined> = [];

  now(): number {
    return this.time;
  }

  arm(_clock: Clock, deadline: number | undefined): void {
    this.armed.push(deadline);
  }
}

function start() {
  const source = new NotedTime(), clock = new Clock(source);
  const fired: unknown[] = [];
  /** A target that notes its name, and then does something. */
  const target = (name: unknown, then = () => {}) => ({
    timeUp: () => {
      fired.push(name);
      then();
    },
  });
  const at = (time: number) => {
    source.time = time;
    clock.fire();
    return fired.splice(0);
  };
  return { source, clock, target, at };
}

test("Clock fires timers at their deadlines, not before", () => {
  const { clock, target, at } = start();
  clock.set(target("b"), 20);
  clock.set(target("a"), 10);
  assertEquals(at(9.999), []);
  assertEquals(at(10), ["a"]);
  assertEquals(at(19.999), []);
  assertEquals(at(25), ["b"]);
  assertEquals([clock.size, clock.next], [0, undefined]);
});

test("Clock fires timers in order of deadlines, then of their setting", () => {
  const { clock, target, at } = start();
  for (const [name, ms] of [["c", 5], ["a", 1], ["d", 5], ["b", 3], ["e", 5]] as const) {
    clock.set(target(name), ms);
  }
  assertEquals(at(100), ["a", "b", "c", "d", "e"]);
});

test("Clock passes the timer on, which knows its clock, target and length", () => {
  const { clock, source } = start();
  const seen: Timer[] = [];
  const target = { timeUp: (timer: Timer) => seen.push(timer) };
  source.time = 7;
  const timer = clock.set(target, 3);
  assertEquals([timer.clock === clock, timer.target === target, timer.ms, timer.deadline], [
    true,
    true,
    3,
    10,
  ]);
  source.time = 10;
  clock.fire();
  assert(seen.length === 1 && seen[0] === timer);
});

test("Clock.set() arms the source for the next deadline only when that changes", () => {
  const { clock, source, target } = start();
  clock.set(target(1), 10);
  clock.set(target(2), 20);
  clock.set(target(3), 5);
  assertEquals(source.armed, [10, 5]);
  source.time = 5;
  clock.fire();
  assertEquals(source.armed, [10, 5, 10]);
  source.time = 20;
  clock.fire();
  assertEquals(source.armed, [10, 5, 10, undefined]);
});

test("Clock.clear() disarms with the last timer and arms again for the next", () => {
  const { clock, source, target, at } = start();
  const first = clock.set(target(1), 10), second = clock.set(target(2), 20);
  const third = clock.set(target(3), 30);
  clock.clear(second);
  assertEquals(source.armed, [10]);
  clock.clear(first);
  assertEquals(source.armed, [10, 30]);
  clock.clear(third);
  clock.clear(third);
  assertEquals([source.armed, clock.size], [[10, 30, undefined], 0]);
  assertEquals(at(100), []);
});

test("Clock.clear() of a timer that has fired changes nothing", () => {
  const { clock, target, at } = start();
  const fired = clock.set(target("a"), 1);
  clock.set(target("b"), 5);
  assertEquals(at(1), ["a"]);
  clock.clear(fired);
  assertEquals([clock.size, at(5)], [1, ["b"]]);
});

test("Clock.set() with Infinity gives a handle that never fires", () => {
  const { clock, source, target, at } = start();
  const never = clock.set(target("never"), Infinity);
  assertEquals([source.armed, clock.size, clock.next], [[], 0, undefined]);
  assertEquals(at(1e300), []);
  clock.clear(never);
});

test("Clock.fire() before any deadline fires nothing and arms again", () => {
  const { clock, source, target, at } = start();
  clock.set(target("a"), 10);
  assertEquals(at(9.9), []);
  assertEquals(source.armed, [10, 10]);
});

test("Clock lets a target set and clear timers, and arms once after all", () => {
  const { clock, source, target, at } = start();
  const doomed = clock.set(target("doomed"), 10);
  clock.set(
    target("a", () => {
      clock.clear(doomed);
      clock.set(target("at once"), 0);
      clock.set(target("later"), 5);
    }),
    5,
  );
  source.armed.length = 0;
  assertEquals(at(5), ["a", "at once"]);
  assertEquals(source.armed, [10]);
  assertEquals(at(10), ["later"]);
});

test("Clock lets a target clear the very next one, due too", () => {
  const { clock, target, at } = start();
  clock.set(target("a", () => clock.clear(second)), 5);
  const second = clock.set(target("b"), 5);
  clock.set(target("c"), 5);
  assertEquals(at(5), ["a", "c"]);
});

test("clock.on of the host never fires early, and in order", async () => {
  const fired: Timer[] = [];
  const early: number[] = [];
  const timers: Timer[] = [];
  await Promise.all([12.3, 1, 0, 5.7, 5.7, 0.4].map((ms) => {
    const start = performance.now();
    return new Promise<void>((resolve) => {
      const timeUp = (timer: Timer) => {
        fired.push(timer);
        const passed = performance.now() - start;
        if (passed < ms) early.push(ms, passed);
        resolve();
      };
      timers.push(clock.on.set({ timeUp }, ms));
    });
  }));
  assertEquals(early, []);
  timers.sort((a, b) => a.deadline - b.deadline || a.order - b.order);
  assert(timers.every((timer, i) => fired[i] === timer));
});

test("clock.on of the host does not fire at once by a delay above 2^31 - 1", async () => {
  // A host that is asked for too long a delay warns (Node) and then calls back for ever.
  const warnings: string[] = [];
  const onWarning = ({ name }: Error) => void warnings.push(name);
  process.on("warning", onWarning);
  try {
    for (const ms of [2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, Number.MAX_VALUE]) {
      let fired = false;
      const timer = clock.on.set({ timeUp: () => fired = true }, ms);
      await new Promise((resolve) => setTimeout(resolve, 10));
      clock.on.clear(timer);
      assertFalse(fired);
    }
  } finally {
    process.off("warning", onWarning);
  }
  assertFalse(warnings.includes("TimeoutOverflowWarning"));
});

test("clock.on of the host is armed again after it was idle", async () => {
  for (let i = 0; i < 3; i++) {
    clock.on.clear(clock.on.set({ timeUp: () => assert(false) }, 1));
    await new Promise<void>((resolve) => clock.on.set({ timeUp: () => resolve() }, 1));
    assertEquals(clock.on.size, 0);
  }
});

test("checkMs() passes milliseconds >= 0 and Infinity", () => {
  for (const ms of [0, -0, 0.5, 2 ** 40, Infinity]) checkMs("sleep", "ms", ms);
});

test("checkMs() rejects what is negative or no number", () => {
  for (const ms of [-1, -0.5, NaN, -Infinity]) {
    assertThrows(
      () => checkMs("sleep", "ms", ms),
      RangeError,
      `Cannot sleep: ms must be >= 0 milliseconds, got ${ms}`,
    );
  }
  for (const ms of ["5", null, undefined, 5n, new Date(5)]) {
    assertThrows(
      () => checkMs("receive", "timeout", ms),
      TypeError,
      `Cannot receive: timeout must be a number of milliseconds, got ${typeof ms}`,
    );
  }
});
