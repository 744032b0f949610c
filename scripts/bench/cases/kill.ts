// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The end of many tasks that wait for ever: each is started, parks, is killed and cleans up.
 *
 * @module
 */

import { setMaxListeners } from "node:events";
import { killAll } from "../../../src/join.ts";
import { sleep } from "../../../src/sleep.ts";
import { spawn } from "../../../src/spawn.ts";
import type { Task } from "../../../src/task.ts";
import { type Fiber, loadEffect, loadEffection, loadFiber } from "../peers/effect.ts";
import { type Batch, type Case, check } from "../work.ts";

/** All of them. */
export const KILL: Case[] = [
  {
    id: "kill-1000",
    group: "Kill",
    title: "spawn, park and kill 1,000",
    size: 1_000,
    quick: true,
    ambient: true,
    contestants: { baozi: killed, "abort-signal": aborted, effect: interrupted, effection: halted },
  },
  {
    // Without a signal, whose listeners cost more the more there are, and without effection: each
    // takes a minute or more for so many.
    id: "kill-100000",
    group: "Kill",
    title: "spawn, park and kill 100,000",
    size: 100_000,
    ambient: true,
    contestants: { baozi: killed, effect: interrupted },
  },
];

function killed(size: number): Batch {
  return async () => {
    let parked = 0, cleaned = 0;
    const body = async (): Promise<void> => {
      parked++;
      try {
        await sleep(Infinity);
      } finally {
        cleaned++;
      }
    };
    const tasks: Task[] = [];
    for (let i = 0; i < size; i++) tasks.push(spawn(body));
    await sleep(0); // their turn
    check(parked, size);
    await killAll(tasks);
    check(cleaned, size);
  };
}

/** No tasks at all, for reference: async functions that listen to one signal. */
function aborted(size: number): Batch {
  return async () => {
    let parked = 0, cleaned = 0;
    const controller = new AbortController();
    const { signal } = controller;
    setMaxListeners(0, signal); // Node warns of more than ten
    const body = async (): Promise<void> => {
      await undefined;
      parked++;
      try {
        await new Promise<void>((_, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        });
      } finally {
        cleaned++;
      }
    };
    const all: Array<Promise<void>> = [];
    for (let i = 0; i < size; i++) all.push(body());
    await undefined;
    check(parked, size);
    controller.abort();
    await Promise.allSettled(all);
    check(cleaned, size);
  };
}

/** effect: `Effect.never` with `Effect.ensuring`, ended by `Fiber.interruptAll`. */
async function interrupted(size: number): Promise<Batch> {
  const [Effect, { interruptAll }] = await Promise.all([loadEffect(), loadFiber()]);
  return async () => {
    let parked = 0, cleaned = 0;
    const park = Effect.gen(function* () {
      parked++;
      yield* Effect.never;
    });
    const body = Effect.ensuring(park, Effect.sync(() => void cleaned++));
    await Effect.runPromise(Effect.gen(function* () {
      const fibers: Array<Fiber<void>> = [];
      for (let i = 0; i < size; i++) fibers.push(yield* Effect.forkChild(body));
      yield* Effect.yieldNow; // their turn
      check(parked, size);
      yield* interruptAll(fibers);
    }));
    check(cleaned, size);
  };
}

/** effection: `suspend`, ended with the `scoped` that they were spawned in. */
async function halted(size: number): Promise<Batch> {
  const { run, scoped, sleep, spawn, suspend } = await loadEffection();
  return async () => {
    let parked = 0, cleaned = 0;
    const body = function* () {
      parked++;
      try {
        yield* suspend();
      } finally {
        cleaned++;
      }
    };
    await run(function* () {
      yield* scoped(function* () {
        for (let i = 0; i < size; i++) yield* spawn(body);
        yield* sleep(0); // their turn
        check(parked, size);
      });
    });
    check(cleaned, size);
  };
}
