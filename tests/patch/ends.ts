// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What all patched functions have in common: what they wait for has a name, and ends with the task.
 *
 * @module
 */

import { assertEquals, assertStrictEquals, fail } from "@std/assert";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { dump } from "../../src/dump.ts";
import type { Task } from "../../src/task.ts";
import { idle } from "../idle.ts";
import { outcome, rejection } from "../outcome.ts";
import { livingTask } from "../waits.ts";

/** What `task` waits on, in the words of a dump. */
export function waitsOf(task: Task<void>): string[] {
  const waits = dump().tasks.find(({ id }) => id === task.id)?.waits ?? [];
  return waits.map(({ verb, name }) => `${verb} ${name}`);
}

/**
 * Asserts that `wait`, called in a task, waits under the name `expected`, that a kill in the same turn
 * ends it with the very reason and leaves nothing behind, and that it is refused from then on.
 */
export async function assertEndsWithTask(
  expected: string,
  wait: () => PromiseLike<unknown>,
): Promise<void> {
  const before = [liveWaiters(), outsideWaits()];
  const living = await livingTask();
  const waiting = outcome(living.call(wait));
  assertEquals(waitsOf(living.task).at(-1), expected);
  const reason = new Error(`killed in ${expected}`);
  void living.task.kill(reason);
  await idle();
  assertStrictEquals(waiting.error, reason, expected);
  assertStrictEquals(await rejection(living.call(wait)), reason, `refuses ${expected}`);
  await living.end();
  assertEquals([liveWaiters(), outsideWaits()], before, expected);
}

/** Resolves when the host has made `fact` true; fails after some seconds. */
export async function untilTrue(fact: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !fact();) {
    if (performance.now() > end) fail(`${fact} must become true`);
    await idle();
  }
}

/** What `fn` throws, whatever it is. */
export function thrown(fn: () => unknown): unknown {
  try {
    fn();
  } catch (error) {
    return error;
  }
  return fail("returned instead of throwing");
}
