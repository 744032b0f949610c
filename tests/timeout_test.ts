// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What a time limit ends, when, and what it gives then.
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
import { clock } from "../src/_kernel/clock.ts";
import { Channel } from "../src/channel.ts";
import { isKilled, KilledError, TimeoutError } from "../src/errors.ts";
import { joinAll } from "../src/join.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask, type Task } from "../src/task.ts";
import { TaskLocal } from "../src/task_local.ts";
import { withTimeout } from "../src/timeout.ts";
import { until } from "../src/until.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";
import { inKilledTask } from "./waits.ts";

noLeaks();

const forever = (): Promise<void> => sleep(Infinity);

function fails(error: unknown): () => never {
  return () => {
    throw error;
  };
}

/** Runs `check` outside of all tasks, and inside one. */
async function outsideAndInside(check: () => Promise<void>): Promise<void> {
  await check();
  await spawn(check);
}

// -- In time --

test("withTimeout() gives what the body gives, sync or async, and leaves no timer", async () => {
  using time = new ManualClock();
  await outsideAndInside(async () => {
    assertEquals(await withTimeout(5, () => 1), 1);
    assertEquals(await withTimeout(5, () => Promise.resolve("two")), "two");
    assertEquals(await withTimeout(5, () => undefined, { fallback: 1 }), undefined);
    assertEquals(await withTimeout(Infinity, () => sleep(0).then(() => 3)), 3);
    assertEquals(time.size, 0);
  });
});

test("withTimeout() calls the body at once, with a signal", async () => {
  using time = new ManualClock();
  let signal: AbortSignal | undefined;
  const limited = withTimeout(5, (given) => {
    signal = given;
  });
  assertEquals([signal instanceof AbortSignal, signal?.aborted], [true, false]);
  await limited;
  assertEquals(time.size, 0);
});

test("withTimeout() rejects with what the body throws before the time is over", async () => {
  using time = new ManualClock();
  await outsideAndInside(async () => {
    for (const error of [new Error("no"), new TimeoutError("not ours", 5), null, "text"]) {
      const limited = [
        withTimeout(5, fails(error)),
        withTimeout(5, () => Promise.reject(error)),
        withTimeout(5, fails(error), { fallback: "fallback" }),
      ];
      for (const one of limited) assertStrictEquals(await rejection(one), error);
      assertEquals(time.size, 0);
    }
  });
});

test("withTimeout() rejects with undefined if the body throws that, also with a fallback", async () => {
  using _time = new ManualClock();
  const seen = outcome(withTimeout(5, fails(undefined), { fallback: "fallback" }));
  await idle();
  assertEquals([seen.state, seen.value], ["rejected", undefined]);
});

// -- Over --

test("withTimeout() makes a wait reject when the time is over, not before, and says the limit", async () => {
  using time = new ManualClock();
  await outsideAndInside(async () => {
    let wait: unknown;
    const seen = outcome(withTimeout(5, async () => {
      try {
        await forever();
      } catch (error) {
        wait = error;
        throw error;
      }
    }));
    await idle();
    time.advance(4);
    await idle();
    assertEquals(seen.state, "pending");
    time.advance(1);
    await idle();
    assertEquals(seen.state, "rejected");
    assertInstanceOf(seen.error, TimeoutError);
    assertStrictEquals(seen.error, wait);
    assertEquals([seen.error.ms, isKilled(seen.error)], [5, false]);
    assertEquals(seen.error.message, "Cannot go on: the limit of 5 ms is over");
  });
});

test("withTimeout() ends every wait inside, however many there are", async () => {
  using time = new ManualClock();
  const channel = new Channel<number>();
  const seen = outcome(withTimeout(5, () =>
    Promise.all([
      rejection(forever()),
      rejection(channel.receive()),
      rejection(until(new Promise(() => {}))),
      rejection(sleep(6)),
    ])));
  await idle();
  time.advance(5);
  await idle();
  const errors = seen.value as unknown[];
  assertInstanceOf(errors[0], TimeoutError);
  assertEquals(errors.map((error) => error === errors[0]), [true, true, true, true]);
});

test("withTimeout() is level-triggered: each later wait rejects with the same error", async () => {
  using time = new ManualClock();
  await outsideAndInside(async () => {
    const errors: unknown[] = [];
    const seen = rejection(withTimeout(5, async () => {
      errors.push(await rejection(forever()));
      errors.push(await rejection(sleep(0)));
      errors.push(await rejection(new Channel().receive()));
      errors.push(await rejection(withTimeout(5, () => 1)));
      await sleep(1);
    }));
    await idle();
    time.advance(5);
    const error = await seen;
    assertEquals(errors.map((one) => one === error), [true, true, true, true]);
  });
});

test("withTimeout() ends at its body: the waits after it are free", async () => {
  using time = new ManualClock();
  await outsideAndInside(async () => {
    const seen = rejection(withTimeout(5, forever));
    await idle();
    time.advance(5);
    await seen;
    await sleep(0);
    await withTimeout(5, () => sleep(0));
  });
});

test("withTimeout() leaves what goes on after its body to the task: a kill or an outer limit ends it", async () => {
  using time = new ManualClock();
  const leave = async () => {
    const { left } = await withTimeout(1000, () => ({
      left: (async () => {
        await sleep(1);
        await withTimeout(1000, forever);
      })(),
    }));
    await left;
  };
  for (const late of [false, true]) {
    const task = spawn(leave);
    await idle();
    if (late) time.advance(1);
    await idle();
    const killed = outcome(task.kill());
    await idle();
    assertEquals([killed.state, task.state], ["resolved", "killed"]);
  }
  const limited = outcome(withTimeout(5, leave));
  await idle();
  time.advance(5);
  await idle();
  assertEquals(limited.state, "rejected");
  assertInstanceOf(limited.error, TimeoutError);
  assertEquals(limited.error.ms, 5);
  assertEquals(time.size, 0);
});

test("withTimeout() waits for the body's clean-up before it rejects", async () => {
  using time = new ManualClock();
  const step = steps();
  const cleaned = gate();
  const seen = rejection(withTimeout(5, async () => {
    try {
      await forever();
    } finally {
      step(1);
      await shield(async () => {
        await cleaned.promise;
        await sleep(0);
      });
      step(2);
    }
  })).then((error) => {
    step.end(3);
    return error;
  });
  await idle();
  time.advance(5);
  await idle();
  cleaned.open();
  assertInstanceOf(await seen, TimeoutError);
});

test("withTimeout() lets a body that finishes all the same keep its value", async () => {
  using time = new ManualClock();
  for (const options of [undefined, { fallback: "fallback" }]) {
    const seen = outcome(withTimeout(5, () => forever().catch(() => "kept"), options));
    await idle();
    time.advance(5);
    await idle();
    assertEquals([seen.state, seen.value], ["resolved", "kept"]);
  }
});

test("withTimeout() rejects with another error of the clean-up, also with a fallback", async () => {
  using time = new ManualClock();
  for (const error of [new Error("clean-up"), undefined, new TimeoutError("another", 5)]) {
    const seen = rejection(
      withTimeout(5, () => forever().catch(fails(error)), { fallback: "fallback" }),
    );
    await idle();
    time.advance(5);
    assertStrictEquals(await seen, error);
  }
});

test("withTimeout() waits for a body in a foreign await and gives its value", async () => {
  using time = new ManualClock();
  const open = gate<string>();
  const seen = outcome(withTimeout(5, () => open.promise));
  await idle();
  time.advance(5);
  await idle();
  assertEquals(seen.state, "pending");
  open.open("late");
  await idle();
  assertEquals(seen.value, "late");
  const ended = rejection(withTimeout(5, () => until(new Promise(() => {}))));
  await idle();
  time.advance(5);
  assertInstanceOf(await ended, TimeoutError);
});

test("withTimeout() does not interrupt a body that never waits", async () => {
  using time = new ManualClock();
  const value = await withTimeout(5, () => {
    time.advance(10);
    return "computed";
  });
  assertEquals(value, "computed");
});

// -- Fallback --

test("withTimeout() gives the fallback when its time is over, even undefined", async () => {
  using time = new ManualClock();
  for (const fallback of ["value", null, 0, undefined]) {
    const seen = outcome(withTimeout(5, forever, { fallback }));
    const error = outcome(withTimeout(5, forever, {}));
    await idle();
    time.advance(5);
    await idle();
    assertEquals([seen.state, seen.value], ["resolved", fallback]);
    assertEquals(error.state, "rejected", "options without a fallback");
  }
});

test("withTimeout() gives the fallback for its own error only, not for an alike one", async () => {
  using time = new ManualClock();
  const wait = rejection(
    withTimeout(10, () => sleep(20, { timeout: 5 }), { fallback: "fallback" }),
  );
  await idle();
  time.advance(5);
  const error = await wait;
  assertInstanceOf(error, TimeoutError);
  assertEquals(error.ms, 5);
});

// -- 0 and Infinity --

test("withTimeout() of 0 runs the body, aborts its signal and expires at its first wait", async () => {
  await outsideAndInside(async () => {
    assertEquals(await withTimeout(0, () => 1), 1);
    assertEquals(await withTimeout(0, () => Promise.resolve(2)), 2);
    assertEquals(await withTimeout(0, (signal) => signal.aborted), true);
    const error = await assertRejects(() => withTimeout(0, () => sleep(0)), TimeoutError);
    assertEquals(error.ms, 0);
    assertEquals(await withTimeout(0, () => sleep(0), { fallback: "now" }), "now");
    const full = new Channel<number>({ capacity: 1 });
    assertEquals(await withTimeout(0, () => full.trySend(1)), true, "what does not park is free");
    await assertRejects(() => withTimeout(0, () => full.send(2)), TimeoutError);
  });
});

test("withTimeout() of Infinity never expires and sets no timer", async () => {
  using time = new ManualClock();
  const open = gate();
  const seen = outcome(withTimeout(Infinity, () => until(open.promise)));
  assertEquals(time.size, 0);
  time.advance(2 ** 40);
  await idle();
  assertEquals(seen.state, "pending");
  open.open();
  await idle();
  assertEquals(seen.state, "resolved");
});

test("withTimeout() of more than 2^31 - 1 ms does not expire at once", async () => {
  const open = gate();
  const seen = outcome(withTimeout(2 ** 32, () => until(open.promise)));
  await idle();
  await sleep(5);
  assertEquals([seen.state, clock.on.size], ["pending", 1]);
  open.open();
  await idle();
  assertEquals([seen.state, clock.on.size], ["resolved", 0]);
});

test("withTimeout() measures on the real clock, never early", async () => {
  const start = performance.now();
  await assertRejects(() => withTimeout(20, forever), TimeoutError);
  assert(performance.now() - start >= 20);
});

// -- Signal --

test("withTimeout() aborts its signal with the error that its waits get", async () => {
  using time = new ManualClock();
  let signal: AbortSignal | undefined;
  const log: unknown[] = [];
  const seen = rejection(withTimeout(5, (given) => {
    signal = given;
    given.addEventListener("abort", () => log.push(given.reason));
    return forever();
  }));
  await idle();
  time.advance(5);
  const error = await seen;
  assertStrictEquals(signal?.reason, error);
  assertEquals(log, [error]);
});

test("withTimeout() leaves its signal alone once the body has ended", async () => {
  using time = new ManualClock();
  let signal: AbortSignal | undefined;
  const task = spawn(async () => {
    await withTimeout(5, (given) => {
      signal = given;
    });
    await forever();
  });
  await idle();
  time.advance(5);
  await task.kill();
  assertEquals(signal?.aborted, false);
});

test("withTimeout() aborts its signal on a kill and on an outer limit, with their error", async () => {
  using time = new ManualClock();
  const signals: AbortSignal[] = [];
  const inner = () =>
    withTimeout(60, (signal) => {
      signals.push(signal);
      return forever();
    }, { fallback: "inner" });
  const reason = new Error("kill");
  const task = spawn(inner);
  await idle();
  await task.kill(reason);
  assertStrictEquals(signals[0]?.reason, reason);
  const seen = rejection(withTimeout(5, inner));
  await idle();
  time.advance(5);
  assertStrictEquals(await seen, signals[1]?.reason);
  assertInstanceOf(signals[1]?.reason, TimeoutError);
});

// -- Nested --

/** An inner limit in an outer one; what each is caught as. */
function nested(outerMs: number, innerMs: number): {
  inner: { error?: unknown; value?: unknown };
  seen: ReturnType<typeof outcome>;
} {
  const inner: { error?: unknown; value?: unknown } = {};
  const seen = outcome(withTimeout(outerMs, async () => {
    try {
      inner.value = await withTimeout(innerMs, forever, { fallback: "inner" });
    } catch (error) {
      inner.error = error;
      throw error;
    }
    await forever();
  }, { fallback: "outer" }));
  return { inner, seen };
}

test("withTimeout() inside another expires alone when it is shorter", async () => {
  using time = new ManualClock();
  const { inner, seen } = nested(10, 5);
  await idle();
  time.advance(5);
  await idle();
  assertEquals([inner, seen.state], [{ value: "inner" }, "pending"]);
  time.advance(5);
  await idle();
  assertEquals(seen.value, "outer");
});

test("withTimeout() inside another is not given the fallback when the outer one expires", async () => {
  using time = new ManualClock();
  const { inner, seen } = nested(5, 10);
  await idle();
  time.advance(5);
  await idle();
  assertInstanceOf(inner.error, TimeoutError);
  assertEquals([inner.error.ms, seen.value, time.size], [5, "outer", 0]);
});

test("withTimeout() inside another with the same time never gives its own fallback", async () => {
  using time = new ManualClock();
  const { inner, seen } = nested(5, 5);
  await idle();
  time.advance(5);
  await idle();
  // The outer one was set first.
  assertEquals(["value" in inner, seen.value, time.size], [false, "outer", 0]);
});

test("withTimeout() inside another that was set later but ends at the same time is the first", async () => {
  using time = new ManualClock();
  const seen = outcome(withTimeout(10, async () => {
    await sleep(5);
    const inner = await withTimeout(5, forever, { fallback: "inner" });
    assertEquals(inner, "never");
  }, { fallback: "outer" }));
  await idle();
  time.advance(5);
  await idle();
  time.advance(5);
  await idle();
  assertEquals(seen.value, "outer");
});

test("withTimeout() keeps inner and outer apart while the inner one cleans up", async () => {
  using time = new ManualClock();
  const cleaned = gate();
  let inner: unknown;
  const seen = outcome(withTimeout(10, async () => {
    inner = await withTimeout(5, async () => {
      try {
        await forever();
      } finally {
        await shield(() => cleaned.promise);
      }
    }, { fallback: "inner" });
    await sleep(0);
  }));
  await idle();
  time.advance(5);
  await idle();
  time.advance(5);
  await idle();
  cleaned.open();
  await idle();
  assertEquals(inner, "inner", "its own limit was over first");
  assertEquals(seen.error instanceof TimeoutError && seen.error.ms, 10);
});

test("withTimeout() keeps two limits side by side apart", async () => {
  using time = new ManualClock();
  const seen = outcome(Promise.all([
    withTimeout(5, forever, { fallback: "a" }),
    withTimeout(10, forever, { fallback: "b" }),
    withTimeout(15, () => sleep(12), { fallback: "c" }),
  ]));
  for (const ms of [5, 5, 2]) {
    await idle();
    time.advance(ms);
  }
  await idle();
  assertEquals([seen.value, time.size], [["a", "b", undefined], 0]);
});

test("withTimeout() nested deep ends by the outermost without recursion", async () => {
  using time = new ManualClock();
  const bottom = gate();
  const dig = async (depth: number): Promise<void> => {
    if (depth % 100 === 0) await sleep(0);
    if (depth > 0) return withTimeout(1000, () => dig(depth - 1));
    bottom.open();
    return forever();
  };
  const seen = rejection(withTimeout(5, () => dig(20_000)));
  await bottom.promise;
  time.advance(5);
  const error = await seen;
  assertEquals(error instanceof TimeoutError && error.ms, 5);
});

// -- Tasks --

test("withTimeout() is not inherited by tasks spawned inside", async () => {
  using time = new ManualClock();
  const task = await withTimeout(5, () => ({ task: spawn(() => sleep(20).then(() => "alive")) }));
  const other: Task[] = [];
  const seen = rejection(withTimeout(5, async () => {
    other.push(spawn(() => sleep(20).then(() => "alive, too")));
    await joinAll(other);
  }));
  await idle();
  time.advance(5);
  assertInstanceOf(await seen, TimeoutError);
  time.advance(15);
  assertEquals([await task.task, await other[0]], ["alive", "alive, too"]);
});

test("withTimeout() that is over is a failure of its task, not a kill", async () => {
  using time = new ManualClock();
  const task = spawn(() => withTimeout(5, forever));
  const raised = rejection(joinAll([task], { raiseError: true }));
  await idle();
  time.advance(5);
  assertEquals([await task.join(), task.state], [true, "failed"]);
  assertInstanceOf(task.error, TimeoutError);
  assertStrictEquals(await raised, task.error);
});

test("withTimeout() lets a kill of its task through as a kill", async () => {
  using time = new ManualClock();
  const reason = new Error("kill");
  let inner: unknown;
  const task = spawn(async () => {
    inner = await rejection(withTimeout(5, forever, { fallback: "fallback" }));
    throw inner;
  });
  await idle();
  await task.kill(reason);
  assertStrictEquals(inner, reason);
  assertEquals([task.state, time.size], ["killed", 0]);
});

test("withTimeout() that is over before a kill gives its own error, then the kill is next", async () => {
  using time = new ManualClock();
  const cleaned = gate();
  const log: unknown[] = [];
  const task = spawn(async () => {
    log.push(
      await withTimeout(5, async () => {
        try {
          await forever();
        } finally {
          await cleaned.promise;
        }
      }, { fallback: "fallback" }),
    );
    await sleep(0);
  });
  await idle();
  time.advance(5);
  await idle();
  const killed = task.kill();
  cleaned.open();
  await killed;
  assertEquals([log, task.state], [["fallback"], "killed"]);
});

test("withTimeout() that is over after a kill changes nothing", async () => {
  using time = new ManualClock();
  const cleaned = gate();
  const reason = new Error("kill");
  let signal: AbortSignal | undefined;
  const task = spawn(() =>
    withTimeout(5, async (given) => {
      signal = given;
      try {
        await forever();
      } finally {
        await cleaned.promise;
      }
    }, { fallback: "fallback" })
  );
  await idle();
  const killed = task.kill(reason);
  await idle();
  time.advance(5);
  cleaned.open();
  await killed;
  assertEquals([task.state, task.error === reason, signal?.reason === reason], [
    "killed",
    true,
    true,
  ]);
});

test("withTimeout() in a killed task is refused before the body runs, except under a shield", async () => {
  using time = new ManualClock();
  const reason = new Error("kill");
  let ran = 0;
  const refused = await inKilledTask(
    () => rejection(withTimeout(5, () => ran++, { fallback: "fallback" })),
    reason,
  );
  assertStrictEquals(refused, reason);
  assertEquals([ran, time.size], [0, 0]);
  assertEquals(await inKilledTask(() => shield(() => withTimeout(5, () => sleep(0)))), undefined);
});

test("withTimeout() inside a shield limits it; a limit outside is held back", async () => {
  using time = new ManualClock();
  const task = spawn(async () => {
    try {
      await forever();
    } finally {
      const given = await shield(() => withTimeout(5, forever, { fallback: "gave up" }));
      assertEquals(given, "gave up");
    }
  });
  await idle();
  const killed = task.kill();
  await idle();
  assertEquals(task.state, "running");
  time.advance(5);
  await killed;
  assertEquals(task.state, "killed");
  const outside = outcome(withTimeout(5, () => shield(() => sleep(10)).then(() => "kept")));
  await idle();
  time.advance(5);
  await idle();
  assertEquals(outside.state, "pending");
  time.advance(5);
  await idle();
  assertEquals(outside.value, "kept");
});

test("withTimeout() keeps the task and its locals; changes inside stay", async () => {
  const user = new TaskLocal("nobody");
  const seen = await spawn({ name: "me" }, async () => {
    user.set("ann");
    const inside = await withTimeout(5, async () => {
      const before = [currentTask()?.name, user.get()];
      await sleep(0);
      user.set("bob");
      return before;
    });
    return [...inside, user.get()];
  });
  assertEquals(seen, ["me", "ann", "bob"]);
});

test("withTimeout() outside of tasks sees and sets the program's task locals", async () => {
  const user = new TaskLocal("nobody");
  user.set("ann");
  const inside = await withTimeout(1000, () => {
    const before = user.get();
    user.set("bob");
    return before;
  });
  assertEquals([inside, user.get()], ["ann", "bob"]);
  assertEquals(currentTask(), undefined);
});

// -- Wrong arguments --

test("withTimeout() with wrong arguments rejects and runs nothing", async () => {
  let ran = 0;
  const body = () => ran++;
  for (const ms of [-1, -Infinity, NaN]) {
    await assertRejects(() => withTimeout(ms, body), RangeError, "ms must be >= 0");
  }
  for (const ms of [undefined, null, "5", {}, 5n]) {
    await assertRejects(() => withTimeout(ms as never, body), TypeError, "ms must be a number");
  }
  for (const fn of [undefined, null, 5, "fn", {}, Promise.resolve()]) {
    await assertRejects(() => withTimeout(5, fn as never), TypeError, "fn must be a function");
  }
  assertEquals([ran, clock.on.size], [0, 0]);
  assertEquals(new KilledError() instanceof TimeoutError, false);
});

test("withTimeout() aborts its signal in nobody's name, whoever armed the host timer", async () => {
  const first = spawn({ name: "first" }, () => sleep(1));
  await idle();
  const names: unknown[] = [];
  await assertRejects(() =>
    withTimeout(2, async (signal) => {
      signal.addEventListener("abort", () => names.push(currentTask()?.name));
      await sleep(Infinity);
    }), TimeoutError);
  await first;
  assertEquals(names, [undefined]);
});
