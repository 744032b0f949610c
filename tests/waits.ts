// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What every wait has in common: what it refuses before any effect, and what ends it from outside.
 *
 * @module
 */

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { type Context, currentContext, runIn } from "../src/_kernel/current.ts";
import { liveWaiters, type WaitOptions } from "../src/_kernel/waiter.ts";
import { TimeoutError } from "../src/errors.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import type { Task } from "../src/task.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";

/** One call of a verb that waits. */
export type Wait<T = unknown> = (options?: WaitOptions) => Promise<T>;

/** What `fn` gives in a task that was killed before, and went on all the same. */
export async function inKilledTask<T>(fn: () => T, reason?: unknown): Promise<Awaited<T>> {
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    return await fn();
  });
  await idle();
  await task.kill(reason);
  return task.get();
}

/**
 * Asserts that `wait` is refused with wrong options, in a killed task and for an aborted signal, in
 * the order killed, aborted. The caller makes `wait` one that could be done at once, and looks after it
 * that nothing was.
 */
export async function assertRefuses(wait: Wait): Promise<void> {
  const aborted = { signal: AbortSignal.abort("aborted") };
  const killed = new Error("killed");
  assertEquals(await rejection(wait(aborted)), "aborted");
  assertStrictEquals(await inKilledTask(() => rejection(wait()), killed), killed);
  assertStrictEquals(await inKilledTask(() => rejection(wait(aborted)), killed), killed);
  for (const timeout of [-1, NaN, -Infinity]) {
    await assertRejects(() => wait({ timeout }), RangeError, "timeout must be >= 0");
  }
  await assertRejects(() => wait({ timeout: "5" as never }), TypeError, "timeout must be a number");
  await assertRejects(() => wait({ signal: {} as never }), TypeError, "signal must be an Abort");
}

/** What ends a parked wait from outside: its caller's name for it, and how it is done. */
export interface Ended<T> {
  how: "abort" | "kill" | "timeout";
  /** The wait, parked already. */
  waiting: Promise<T>;
  /** What it rejects with; not known for a timeout. */
  reason: unknown;
  end(): void;
}

/** Parks `wait` once for each way to end it, and hands each to `check`. On a clock that stands still. */
export async function eachEnd<T>(
  wait: Wait<T>,
  check: (ended: Ended<T>) => Promise<void>,
): Promise<void> {
  {
    const controller = new AbortController();
    const waiting = wait({ signal: controller.signal });
    waiting.catch(() => {});
    const end = () => controller.abort("aborted");
    await check({ how: "abort", waiting, reason: "aborted", end });
  }
  {
    const living = await livingTask();
    const waiting = living.call(wait);
    waiting.catch(() => {});
    const reason = new Error("killed");
    await check({ how: "kill", waiting, reason, end: () => void living.task.kill(reason) });
    await living.end();
  }
  {
    using time = new ManualClock();
    const waiting = wait({ timeout: 5 });
    waiting.catch(() => {});
    await check({ how: "timeout", waiting, reason: undefined, end: () => time.advance(5) });
  }
}

/**
 * Asserts that a parked `wait` ends by abort, kill and timeout, and leaves nothing behind. `expired` is
 * what the timeout gives; without it, a `TimeoutError`.
 */
export async function assertEnds(
  wait: Wait,
  ...expired: [expired: unknown] | []
): Promise<void> {
  const before = liveWaiters();
  await eachEnd(wait, async ({ how, waiting, reason, end }) => {
    const seen = outcome(waiting);
    await idle();
    assertEquals(seen.state, "pending", `parks before the ${how}`);
    end();
    await idle();
    if (how === "timeout" && expired.length === 1) {
      assertEquals(seen, { state: "resolved", value: expired[0] });
    } else if (how === "timeout") {
      assertEquals(seen.error instanceof TimeoutError && seen.error.ms, 5);
    } else {
      assertEquals(seen.state, "rejected");
      assertStrictEquals(seen.error, reason);
    }
  });
  assertEquals(liveWaiters(), before, "nothing is parked");
  using time = new ManualClock();
  const controller = new AbortController();
  const zero = outcome(wait({ timeout: 0 }));
  const never = outcome(wait({ timeout: Infinity, signal: controller.signal }));
  const long = outcome(wait({ timeout: 2 ** 33, signal: controller.signal }));
  await idle();
  time.advance(0);
  await idle();
  assertEquals([zero.state === "pending", never.state, long.state], [false, "pending", "pending"]);
  time.advance(2 ** 32);
  await idle();
  assertEquals([never.state, long.state], ["pending", "pending"]);
  controller.abort("enough");
  await idle();
  assertEquals([never.error, long.error], ["enough", "enough"]);
  assertEquals([liveWaiters(), time.size], [before, 0]);
}

/** A task that lives until told, killed or not, so that any call can be made inside it at any time. */
export interface LivingTask {
  readonly task: Task<void>;
  /** Calls `fn` inside. */
  call<R>(fn: () => R): R;
  /** Lets it end. */
  end(): Promise<void>;
}

/** A new one, running. */
export async function livingTask(): Promise<LivingTask> {
  const open = gate();
  let context: Context | null = null;
  const task = spawn(() => {
    context = currentContext();
    return open.promise;
  });
  await idle();
  return {
    task,
    call: (fn) => runIn(context, fn),
    end: async () => {
      open.open();
      await idle();
    },
  };
}
