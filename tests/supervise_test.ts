// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * When a supervising scope runs a child again, how soon, and when it gives up.
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
import { type Scope, scope } from "../src/scope.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import type { RestartPolicy, SuperviseOptions } from "../src/supervise.ts";
import { currentTask, type Task } from "../src/task.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";

noLeaks();

const MANY_TIMES: SuperviseOptions = { intensity: { max: 1_000_000, within: 1 } };

const forever = (): Promise<void> => sleep(Infinity);

/** A function that fails the first `times`, then gives the number of the call. */
function flaky(times: number): { fn: () => number; calls: number; errors: Error[] } {
  const self = {
    calls: 0,
    errors: [] as Error[],
    fn: () => {
      const call = ++self.calls;
      if (call > times) return call;
      const error = new Error(`failure ${call}`);
      self.errors.push(error);
      throw error;
    },
  };
  return self;
}

/** What a child's restarts look like on a clock moved by hand: the times of its calls. */
async function timesOf(
  time: ManualClock,
  supervise: SuperviseOptions,
  calls: number,
): Promise<number[]> {
  const times: number[] = [];
  const seen = outcome(scope((s) => {
    s.spawn(() => {
      times.push(time.now());
      if (times.length < calls) throw new Error(`${times.length}`);
    });
  }, { supervise }));
  await idle();
  for (let ms = 0; seen.state === "pending" && ms < 100_000; ms++) {
    time.advance(1);
    await idle();
  }
  assertEquals(seen.state, "resolved");
  return times;
}

// -- Policies --

test("scope() that restarts runs a failing child again until it succeeds, as one task", async () => {
  const child = flaky(3);
  let s: Scope | undefined, task: Task<number> | undefined;
  const told: unknown[] = [];
  using _hook = onUnhandled((error, failed) => told.push([error, failed === task]));
  await scope(async (inner) => {
    s = inner;
    task = s.spawn({ name: "flaky" }, child.fn);
    assertEquals(await task, 4);
  }, { supervise: { restart: "transient" } });
  assertEquals([child.calls, task?.state, task?.name], [4, "succeeded", "flaky"]);
  assertEquals(s?.errors, child.errors);
  assertEquals(told, child.errors.map((error) => [error, true]));
});

test("scope() that restarts is transient by default: a value ends the child", async () => {
  const child = flaky(1);
  await scope((s) => void s.spawn(child.fn), { supervise: {} });
  assertEquals(child.calls, 2);
});

test("scope() with permanent children restarts after a value and after a failure", async () => {
  const log: string[] = [];
  const open = gate();
  await scope(async (s) => {
    s.spawn(async () => {
      log.push("call");
      if (log.length === 2) throw new Error("second");
      if (log.length === 4) {
        open.open();
        await forever();
      }
    });
    await open.promise;
    s.kill();
  }, { supervise: { restart: "permanent" } });
  assertEquals(log.length, 4);
});

test("scope() with permanent children counts returns as restarts, too", async () => {
  let calls = 0;
  const error = await rejection(scope((s) => void s.spawn(() => void calls++), {
    supervise: { restart: "permanent", intensity: { max: 2, within: 10_000 } },
  }));
  assertEquals(calls, 3);
  assertInstanceOf(error, RangeError);
  assertEquals(
    error.message,
    "Cannot restart: at most 2 restarts in 10000 ms are allowed, got one more",
  );
});

test("scope() with temporary children restarts none, and keeps the siblings", async () => {
  const child = flaky(1);
  const open = gate();
  let s: Scope | undefined;
  const value = await scope(async (inner) => {
    s = inner;
    const sibling = s.spawn(() => open.promise.then(() => "alive"));
    s.spawn(child.fn);
    await idle();
    open.open();
    return await sibling;
  }, { supervise: { restart: "temporary", intensity: { max: 0, within: 1 } } });
  assertEquals([value, child.calls, s?.errors], ["alive", 1, child.errors]);
});

test("scope() does not restart a killed child, by any policy", async () => {
  for (const restart of ["permanent", "transient", "temporary"] as RestartPolicy[]) {
    let calls = 0;
    let s: Scope | undefined, task: Task | undefined;
    await scope(async (inner) => {
      s = inner;
      task = s.spawn(() => {
        calls++;
        return forever();
      });
      await idle();
      await task.kill();
    }, { supervise: { restart } });
    assertEquals([calls, task?.state, s?.errors], [1, "killed", []], restart);
  }
});

test("scope() counts no restart for a killed permanent child that returns all the same", async () => {
  let task: Task | undefined;
  const seen = scope(async (s) => {
    task = s.spawn(() => forever().catch(() => "caught"));
    await idle();
    await task.kill();
    return "value";
  }, { supervise: { restart: "permanent", intensity: { max: 0, within: 1000 } } });
  assertEquals(await seen, "value");
  // Catching the kill and returning makes any task succeed.
  assertEquals([task?.state, task?.value], ["succeeded", "caught"]);
});

test("scope() counts no restart for a killed child that fails in its clean-up", async () => {
  const error = new Error("clean-up");
  let s: Scope | undefined, task: Task | undefined;
  const seen = scope(async (inner) => {
    s = inner;
    task = s.spawn(() =>
      forever().catch(() => {
        throw error;
      })
    );
    await idle();
    await task.kill();
    return "value";
  }, { supervise: { intensity: { max: 0, within: 1000 } } });
  assertEquals(await seen, "value");
  assertEquals([s?.errors, task?.state], [[error], "failed"]);
});

test("scope() restarts the functions of all forms: arguments, options, generators", async () => {
  const log: unknown[] = [];
  await scope(async (s) => {
    const args = flaky(1);
    s.spawn(
      (...given: unknown[]) => {
        log.push(given);
        args.fn();
      },
      1,
      "two",
    );
    const generator = flaky(1);
    const task = s.spawn({ name: "gen", daemon: false }, async function* (n: number) {
      yield;
      return [n, generator.fn(), currentTask()?.name];
    }, 3);
    assertEquals(await task, [3, 2, "gen"]);
  }, { supervise: {} });
  assertEquals(log, [[1, "two"], [1, "two"]]);
});

test("scope() restarts a failing daemon, and kills it in the end", async () => {
  const child = flaky(2);
  let task: Task | undefined;
  await scope(async (s) => {
    task = s.spawn({ daemon: true }, () => {
      child.fn();
      return forever();
    });
    while (child.calls < 3) await sleep(0);
  }, { supervise: {} });
  assertEquals([task?.state, child.calls], ["killed", 3]);
});

test("scope() that restarts refuses no function at once", async () => {
  await scope((s) => {
    for (const wrong of [undefined, 5, {}]) {
      const error = rejectionOf(() => s.spawn(wrong as never));
      assertInstanceOf(error, TypeError);
    }
    assertEquals(s.size, 0);
  }, { supervise: {} });
});

function rejectionOf(fn: () => unknown): unknown {
  try {
    return fn();
  } catch (error) {
    return error;
  }
}

// -- Intensity --

test("scope() with one restart too many fails with the last error and ends the others", async () => {
  for (const max of [0, 1, 3]) {
    const child = flaky(100);
    let sibling: Task | undefined, s: Scope | undefined;
    const seen = await rejection(scope(async (inner) => {
      s = inner;
      sibling = s.spawn(forever);
      s.spawn(child.fn);
      await forever();
    }, { supervise: { intensity: { max, within: 10_000 } } }));
    assertEquals(child.calls, max + 1);
    assertStrictEquals(seen, child.errors[max]);
    assertEquals(s?.errors, child.errors);
    assertEquals(sibling?.state, "killed");
  }
});

test("scope() allows three restarts in ten seconds unless told otherwise", async () => {
  using time = new ManualClock();
  const child = flaky(100);
  await rejection(scope((s) => void s.spawn(child.fn), { supervise: { restart: "transient" } }));
  assertEquals(child.calls, 4);
  const slow = flaky(8);
  const seen = outcome(scope((s) =>
    void s.spawn(async () => {
      await sleep(3400);
      slow.fn();
    }), { supervise: {} }));
  for (let i = 0; i < 9; i++) {
    await idle();
    time.advance(3400);
  }
  await idle();
  assertEquals([seen.state, slow.calls], ["resolved", 9]);
});

test("scope() counts the restarts of all children together", async () => {
  const a = flaky(2), b = flaky(2);
  const seen = await rejection(scope((s) => {
    s.spawn(a.fn);
    s.spawn(b.fn);
    return forever();
  }, { supervise: { intensity: { max: 3, within: 10_000 } } }));
  assertStrictEquals(seen, b.errors[1]);
});

test("scope() forgets restarts older than the window", async () => {
  using time = new ManualClock();
  let calls = 0;
  const seen = outcome(scope((s) => {
    s.spawn(async () => {
      calls++;
      await sleep(10);
      if (calls < 20) throw new Error(`${calls}`);
    });
  }, { supervise: { intensity: { max: 1, within: 10 } } }));
  for (let i = 0; i < 20; i++) {
    await idle();
    time.advance(10);
  }
  await idle();
  assertEquals([seen.state, calls], ["resolved", 20]);
});

test("scope() keeps a restart that is just within the window", async () => {
  using time = new ManualClock();
  let calls = 0;
  const seen = outcome(scope((s) => {
    s.spawn(async () => {
      calls++;
      await sleep(10);
      throw new Error(`${calls}`);
    });
  }, { supervise: { intensity: { max: 1, within: 11 } } }));
  for (let i = 0; i < 3; i++) {
    await idle();
    time.advance(10);
  }
  await idle();
  assertEquals([seen.state, calls], ["rejected", 2]);
  assertEquals((seen.error as Error).message, "2");
});

test("scope() that gives up on two children in one turn fails with the first of their errors", async () => {
  const errors = [new Error("first"), new Error("second")];
  let s: Scope | undefined;
  const seen = await rejection(scope((inner) => {
    s = inner;
    for (const error of errors) {
      s.spawn(() => {
        throw error;
      });
    }
    return forever();
  }, { supervise: { intensity: { max: 0, within: 1000 } } }));
  assertStrictEquals(seen, errors[0]);
  assertEquals(s?.errors, errors);
});

test("scope() that has given up leaves the error of the body later", async () => {
  const child = flaky(1), later = new Error("later");
  const told: unknown[] = [];
  using _hook = onUnhandled((error) => told.push(error));
  const seen = await rejection(scope(async (s) => {
    s.spawn(child.fn);
    await forever().catch(() => {});
    throw later;
  }, { supervise: { intensity: { max: 0, within: 1000 } } }));
  assertStrictEquals(seen, child.errors[0]);
  assertEquals(told, [later]);
});

// -- Backoff --

test("scope() waits longer after each failure of a child, by the factor, at most so long", async () => {
  using time = new ManualClock();
  const times = await timesOf(time, {
    ...MANY_TIMES,
    backoff: { first: 10, factor: 3, most: 100, jitter: 0 },
  }, 6);
  assertEquals(times, [0, 10, 40, 130, 230, 330]);
});

test("scope() restarts at once without a backoff, and doubles it with a first step only", async () => {
  using time = new ManualClock();
  assertEquals(await timesOf(time, MANY_TIMES, 4), [0, 0, 0, 0]);
  const start = time.now();
  const times = await timesOf(time, {
    ...MANY_TIMES,
    backoff: { first: 1, random: () => 0 },
  }, 5);
  assertEquals(times.map((at) => at - start), [0, 1, 3, 7, 15]);
});

test("scope() takes the jitter off the backoff, by the random source given", async () => {
  using time = new ManualClock();
  const backoff = { first: 100, factor: 1 };
  const random = (value: number) => () => value;
  const gaps: number[] = [];
  for (
    const [jitter, value] of [[0, 0.9], [0.5, 0], [0.5, 0.5], [1, 0.25], [1, 1]] as const
  ) {
    const times = await timesOf(time, {
      ...MANY_TIMES,
      backoff: { ...backoff, jitter, random: random(value) },
    }, 2);
    gaps.push(times[1]! - times[0]!);
  }
  assertEquals(gaps, [100, 100, 75, 75, 0]);
});

test("scope() keeps the jitter in its bounds with the default source", async () => {
  using time = new ManualClock();
  const times = await timesOf(time, {
    ...MANY_TIMES,
    backoff: { first: 100, factor: 1, jitter: 0.3 },
  }, 40);
  const gaps = times.slice(1).map((at, i) => at - times[i]!);
  for (const gap of gaps) assert(gap >= 70 && gap <= 100, `${gap}`);
  assert(new Set(gaps).size > 1, "they differ");
});

test("scope() counts the failures of each child apart for the backoff", async () => {
  using time = new ManualClock();
  const times: Record<string, number[]> = { a: [], b: [] };
  const seen = outcome(scope(async (s) => {
    const worker = (name: string) => () => {
      times[name]!.push(time.now());
      if (times[name]!.length < 3) throw new Error(name);
    };
    s.spawn(worker("a"));
    await sleep(5);
    s.spawn(worker("b"));
  }, { supervise: { ...MANY_TIMES, backoff: { first: 10, jitter: 0 } } }));
  for (let i = 0; i < 40; i++) {
    await idle();
    time.advance(1);
  }
  await idle();
  assertEquals([seen.state, times], ["resolved", { a: [0, 10, 30], b: [5, 15, 35] }]);
});

test("scope() begins the backoff anew after a permanent child has returned", async () => {
  using time = new ManualClock();
  const times: number[] = [];
  const seen = outcome(scope(async (s) => {
    s.spawn(async () => {
      times.push(time.now());
      if (times.length === 6) {
        s.kill();
        await forever();
      }
      if (times.length !== 3) throw new Error(`${times.length}`);
    });
    await forever().catch(() => {});
  }, { supervise: { ...MANY_TIMES, restart: "permanent", backoff: { first: 10, jitter: 0 } } }));
  for (let i = 0; i < 80; i++) {
    await idle();
    time.advance(1);
  }
  await idle();
  assertEquals([seen.state, times], ["resolved", [0, 10, 30, 30, 40, 60]]);
});

test("scope() restarts for ever without a backoff, also after 1,100 failures", async () => {
  const child = flaky(1100);
  let task: Task<number> | undefined;
  await scope((s) => {
    task = s.spawn(child.fn);
  }, { supervise: MANY_TIMES_LONG });
  assertEquals([task?.state, child.calls, task?.error], ["succeeded", 1101, undefined]);
});
const MANY_TIMES_LONG: SuperviseOptions = { intensity: { max: 1_000_000, within: 60_000 } };

test("scope() ends a child in its backoff by a kill of the child, the scope or the task", async () => {
  using time = new ManualClock();
  const supervise: SuperviseOptions = { backoff: { first: 1000 } };
  for (const how of ["child", "scope", "task"]) {
    const child = flaky(100);
    let s: Scope | undefined, task: Task | undefined;
    const owner = spawn(() =>
      scope((inner) => {
        s = inner;
        task = inner.spawn(child.fn);
        return "value";
      }, { supervise })
    );
    await idle();
    assertEquals([task?.state, child.calls, time.size], ["running", 1, 1]);
    if (how === "child") await task?.kill();
    if (how === "scope") s?.kill();
    if (how === "task") await owner.kill();
    await owner.join();
    assertEquals([task?.state, owner.state], [
      "killed",
      how === "task" ? "killed" : "succeeded",
    ], how);
    assertEquals([s?.errors, child.calls, time.size], [child.errors, 1, 0]);
  }
});

test("scope() that fails ends the children that wait for a restart", async () => {
  using time = new ManualClock();
  const error = new Error("body");
  let task: Task | undefined;
  const seen = await rejection(scope(async (s) => {
    task = s.spawn(() => {
      throw new Error("child");
    });
    await idle();
    throw error;
  }, { supervise: { backoff: { first: 1000 } } }));
  assertStrictEquals(seen, error);
  assertEquals([task?.state, time.size], ["killed", 0]);
});

// -- Wrong options --

test("scope() with wrong options of supervise rejects before the body runs", async () => {
  let ran = 0;
  const with_ = (supervise: unknown) =>
    scope(() => void ran++, { supervise: supervise as SuperviseOptions });
  for (const restart of ["always", "", 1, null]) {
    await assertRejects(() => with_({ restart }), TypeError, "restart must be");
  }
  for (const max of [-1, NaN, 1.5, Infinity, "3", undefined]) {
    await assertRejects(() => with_({ intensity: { max, within: 1 } }), RangeError, "max must be");
  }
  for (const within of [-1, NaN]) {
    await assertRejects(() => with_({ intensity: { max: 1, within } }), RangeError, "within");
  }
  for (const within of ["1", undefined, null]) {
    await assertRejects(() => with_({ intensity: { max: 1, within } }), TypeError, "within");
  }
  for (const name of ["first", "most"]) {
    await assertRejects(() => with_({ backoff: { [name]: -1 } }), RangeError, name);
    await assertRejects(() => with_({ backoff: { [name]: NaN } }), RangeError, name);
    await assertRejects(() => with_({ backoff: { [name]: "1" } }), TypeError, name);
  }
  for (const factor of [0.5, -1, NaN]) {
    await assertRejects(() => with_({ backoff: { factor } }), RangeError, "factor must be >= 1");
  }
  for (const jitter of [-0.1, 1.1, NaN]) {
    await assertRejects(() => with_({ backoff: { jitter } }), RangeError, "jitter must be 0 to 1");
  }
  assertEquals(ran, 0);
});

test("scope() with a random source that is no function rejects before the body runs", async () => {
  let ran = 0;
  for (const random of [5, "no", {}]) {
    await assertRejects(
      () => scope(() => void ran++, { supervise: { backoff: { random: random as never } } }),
      TypeError,
    );
  }
  assertEquals(ran, 0);
});

test("scope() with supervise of another type rejects with a TypeError", async () => {
  for (const supervise of [null, "yes", 1, () => {}]) {
    await assertRejects(() => scope(() => {}, { supervise: supervise as never }), TypeError);
  }
});
