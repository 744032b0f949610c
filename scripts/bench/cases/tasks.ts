// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What it costs to start a task and to wait for its end.
 *
 * @module
 */

import { joinAll } from "../../../src/join.ts";
import { spawn } from "../../../src/spawn.ts";
import type { Task } from "../../../src/task.ts";
import {
  type Fiber,
  loadEffect,
  loadEffection,
  loadFiber,
  type Operation,
} from "../peers/effect.ts";
import { type Batch, type Case, check, type Prepare, sumBelow } from "../work.ts";

/** What each task does: an async function, as a rule. */
// deno-lint-ignore require-await -- an async body is what people spawn
const one = async (i: number): Promise<number> => i;

/** And one that needs no promise. */
const same = (i: number): number => i;

/** All of them. */
export const TASKS: Case[] = [
  {
    id: "spawn-join-1",
    group: "Tasks",
    title: "spawn and joinAll of 1, one after another",
    size: 1_000,
    ambient: true,
    contestants: inGroups((size) => size, {
      baozi: () => spawned(one),
      promises: called,
      effect: forked,
      effection: spawnedByEffection,
    }),
  },
  {
    id: "spawn-join-1000",
    group: "Tasks",
    title: "spawn and joinAll of 1,000",
    size: 1_000,
    quick: true,
    ambient: true,
    contestants: inGroups(() => 1, {
      baozi: () => spawned(one),
      promises: called,
      effect: forked,
      effection: spawnedByEffection,
    }),
  },
  {
    id: "spawn-join-sync-1000",
    group: "Tasks",
    title: "spawn and joinAll of 1,000 synchronous functions",
    size: 1_000,
    ambient: true,
    contestants: inGroups(() => 1, {
      baozi: () => spawned(same),
      effect: forkedSync,
      effection: spawnedByEffectionSync,
    }),
  },
  {
    // Without effection, which takes seconds for so many.
    id: "spawn-join-100000",
    group: "Tasks",
    title: "spawn and joinAll of 100,000",
    size: 100_000,
    ambient: true,
    contestants: inGroups(() => 1, {
      baozi: () => spawned(one),
      promises: called,
      effect: forked,
    }),
  },
];

/** Runs `count` tasks at once and gives the sum of their results. */
type Round = (count: number) => PromiseLike<number>;
type Rounds = () => Round | Promise<Round>;

/** The batches that share their operations among `groupsOf(size)` rounds, one after another. */
function inGroups<T extends Record<string, Rounds>>(
  groupsOf: (size: number) => number,
  contestants: T,
): { [Name in keyof T]: Prepare } {
  const batch = async (rounds: Rounds, size: number): Promise<Batch> => {
    const round = await rounds();
    const groups = groupsOf(size), count = size / groups;
    return async () => {
      let sum = 0;
      for (let i = 0; i < groups; i++) sum += await round(count);
      check(sum, groups * sumBelow(count));
    };
  };
  const prepared = Object.entries(contestants).map((
    [name, rounds],
  ): [string, Prepare] => [name, (size) => batch(rounds, size)]);
  return Object.fromEntries(prepared) as { [Name in keyof T]: Prepare };
}

function spawned(body: (i: number) => number | Promise<number>): Round {
  return async (count) => {
    const tasks: Array<Task<number>> = [];
    for (let i = 0; i < count; i++) tasks.push(spawn(body, i));
    let sum = 0;
    for (const task of await joinAll(tasks)) sum += task.value!;
    return sum;
  };
}

/** No tasks at all, for reference: async functions that nobody can end, name or list. */
function called(): Round {
  return async (count) => {
    const results: Array<Promise<number>> = [];
    for (let i = 0; i < count; i++) results.push(one(i));
    let sum = 0;
    for (const value of await Promise.all(results)) sum += value;
    return sum;
  };
}

/** effect: `Effect.forkChild` of `Effect.promise`, which calls an async function, and `Fiber.joinAll`. */
async function forked(): Promise<Round> {
  const Effect = await loadEffect();
  return await forkedBodies((i) => Effect.promise(() => one(i)));
}

/** effect: `Effect.forkChild` of `Effect.sync`, which calls a function, and `Fiber.joinAll`. */
async function forkedSync(): Promise<Round> {
  const Effect = await loadEffect();
  return await forkedBodies((i) => Effect.sync(() => same(i)));
}

async function forkedBodies(body: (i: number) => Operation<number>): Promise<Round> {
  const [Effect, { joinAll }] = await Promise.all([loadEffect(), loadFiber()]);
  return (count) =>
    Effect.runPromise(Effect.gen(function* () {
      const fibers: Array<Fiber<number>> = [];
      for (let i = 0; i < count; i++) fibers.push(yield* Effect.forkChild(body(i)));
      let sum = 0;
      for (const value of yield* joinAll(fibers)) sum += value;
      return sum;
    }));
}

/** effection: `spawn` of a generator that waits for an async function; each task is then yielded to. */
async function spawnedByEffection(): Promise<Round> {
  const { until } = await loadEffection();
  return await spawnedGenerators(function* (i) {
    return yield* until(one(i));
  });
}

/** effection: `spawn` of a generator that ends at once; each task is then yielded to. */
async function spawnedByEffectionSync(): Promise<Round> {
  // deno-lint-ignore require-yield -- a program is a generator there, whatever it does
  return await spawnedGenerators(function* (i) {
    return same(i);
  });
}

async function spawnedGenerators(
  body: (i: number) => Generator<unknown, number, unknown>,
): Promise<Round> {
  const { run, spawn } = await loadEffection();
  return (count) =>
    run(function* () {
      const tasks: Array<Operation<number>> = [];
      for (let i = 0; i < count; i++) tasks.push(yield* spawn(() => body(i)));
      let sum = 0;
      for (const task of tasks) sum += yield* task;
      return sum;
    });
}
