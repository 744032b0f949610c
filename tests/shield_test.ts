// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What a shield holds back, and for how long.
 *
 * @module
 */

import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { TimeoutError } from "../src/errors.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask } from "../src/task.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();

test("shield() holds a kill back until it is left; the next wait rejects with it", async () => {
  using time = new ManualClock();
  const reason = new Error("enough");
  const log: unknown[] = [];
  const task = spawn(async () => {
    log.push(
      await shield(async () => {
        await sleep(10);
        await sleep(0);
        return "kept";
      }),
    );
    log.push(await rejection(sleep(0)));
  });
  await idle();
  void task.kill(reason);
  await idle();
  assertEquals([log, task.state], [[], "running"]);
  time.advance(10);
  await task.join();
  assertEquals(log, ["kept", reason]);
  assertEquals(task.state, "succeeded");
});

test("shield() works in a task that is killed already, also from a finally block", async () => {
  const log: string[] = [];
  const task = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      await shield(async () => {
        await sleep(0);
        await sleep(1);
        log.push("saved");
      });
      await sleep(0).catch(() => log.push("killed again"));
    }
  });
  await idle();
  await task.kill();
  assertEquals([log, task.state], [["saved", "killed again"], "killed"]);
});

test("shield() lets a kill that comes during clean-up wait for its end", async () => {
  const step = steps();
  const open = gate();
  const task = spawn(async () => {
    await shield(async () => {
      await open.promise;
      await sleep(0);
      step(2);
    });
  });
  await idle();
  const killed = task.kill().then(() => step(3));
  await idle();
  step(1);
  open.open();
  await killed;
  step.end(4);
  assertEquals(task.state, "succeeded");
});

test("shield() inside a shield holds back too, and leaving the inner one leaves the outer", async () => {
  const log: string[] = [];
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    await shield(async () => {
      await shield(() => sleep(0));
      log.push("inner left");
      await sleep(0);
      log.push("outer goes on");
    });
    await sleep(0);
  });
  await idle();
  await task.kill();
  assertEquals([log, task.state], [["inner left", "outer goes on"], "killed"]);
});

test("shield() lets signals and limits given inside work", async () => {
  using time = new ManualClock();
  const seen: unknown[] = [];
  const controller = new AbortController();
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    await shield(async () => {
      seen.push(await rejection(sleep(100, { timeout: 10 })));
      seen.push(await rejection(sleep(100, { signal: controller.signal })));
    });
  });
  await idle();
  void task.kill();
  await idle();
  time.advance(10);
  await idle();
  controller.abort("inside");
  await task;
  assertInstanceOf(seen[0], TimeoutError);
  assertEquals(seen[1], "inside");
});

test("shield() gives what fn gives, plain or promised, and throws what it throws", async () => {
  const error = new Error("no");
  const check = async () => {
    assertEquals(await shield(() => 7), 7);
    assertEquals(await shield(() => Promise.resolve(7)), 7);
    assertStrictEquals(
      await rejection(shield(() => {
        throw error;
      })),
      error,
    );
    assertStrictEquals(await rejection(shield(() => Promise.reject(error))), error);
  };
  await check();
  await spawn(check);
});

test("shield() calls fn synchronously, in the same task", async () => {
  const step = steps();
  await spawn({ name: "me" }, async () => {
    const left = shield(() => {
      step(1);
      assertEquals(currentTask()?.name, "me");
    });
    step(2);
    await left;
    assertEquals(currentTask()?.name, "me");
  });
  step.end(3);
});

test("shield() works outside of tasks", async () => {
  assertEquals(
    await shield(async () => {
      await sleep(0);
      return currentTask();
    }),
    undefined,
  );
});

test("shield() protects only what runs inside: a sibling wait of the task is killed", async () => {
  const open = gate();
  let seen: unknown;
  const task = spawn(async () => {
    const sibling = rejection(sleep(Infinity));
    await shield(() => open.promise);
    seen = await sibling;
  });
  await idle();
  void task.kill("why");
  await idle();
  open.open();
  await task;
  assertEquals((seen as Error).cause, "why");
});

test("shield() leaves a task that was not killed as it is", async () => {
  assertEquals(
    await spawn(async () => {
      await shield(() => sleep(0));
      await sleep(0);
      return "on";
    }),
    "on",
  );
});

test("shield() rejects with a TypeError for what is no function", async () => {
  await assertRejects(() => shield(7 as never), TypeError, "Cannot shield: fn must be a function");
});

test("shield({ timeout }) ends clean-up that takes too long, in a killed task too", async () => {
  let seen: unknown;
  const task = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      seen = await shield(() => sleep(Infinity), { timeout: 5 }).catch((error) => error);
    }
  });
  await idle();
  await task.kill();
  assertInstanceOf(seen, TimeoutError);
  assertEquals([seen.ms, task.state], [5, "killed"]);
});

test("shield({ timeout }) gives what the body gives in time, outside of tasks too", async () => {
  assertEquals(await shield(() => 7, { timeout: 1000 }), 7);
  await assertRejects(() => shield(() => sleep(Infinity), { timeout: 1 }), TimeoutError);
});

test("shield() rejects a wrong timeout and runs nothing", async () => {
  let ran = false;
  for (const timeout of [-1, NaN]) {
    await assertRejects(() => shield(() => void (ran = true), { timeout }), RangeError, "timeout");
  }
  await assertRejects(() => shield(() => void (ran = true), { timeout: "5" as never }), TypeError);
  assertEquals(ran, false);
});
