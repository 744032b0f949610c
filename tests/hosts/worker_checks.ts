// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What must hold of workers in a browser: `scripts/browser.ts` runs these checks there, against the built
 * package. On the other hosts tests/workers/ says more.
 *
 * @module
 */

import { Channel, dump, spawn } from "@baozi/baozi";
import { transfer, WorkerCrashed, type WorkerPool, workers } from "@baozi/baozi/workers";
import type * as tasks from "./browser_worker.ts";

function same(actual: unknown, expected: unknown): void {
  const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (got !== wanted) throw new Error(`expected ${wanted}, got ${got}`);
}

async function rejection(promise: PromiseLike<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("resolved instead of rejecting");
}

/** Calls `body` with a pool, and closes that. */
async function withPool(body: (pool: WorkerPool<typeof tasks>) => Promise<void>): Promise<void> {
  const pool = workers<typeof tasks>(new URL("/worker.js", import.meta.url), { size: 1 });
  try {
    await body(pool);
  } finally {
    await pool.close();
    same(pool.threads, 0);
  }
}

/** The checks by name; each throws what is wrong. */
export const CHECKS: Record<string, () => Promise<void>> = {
  "a worker is called, and its errors come back": () =>
    withPool(async (pool) => {
      same(await pool.call.double(21), 42);
      same(await pool.map("double", [1, 2, 3]), [2, 4, 6]);
      const error = await rejection(pool.call.fail("no"));
      same([error instanceof RangeError, error.message], [true, "no"]);
      const bytes = new Uint8Array(8);
      same([(await rejection(pool.call.double((() => 1) as unknown as number))).name], [
        "NotTransferableError",
      ]);
      await pool.call.double(transfer(bytes) as unknown as number);
      same(bytes.byteLength, 0);
    }),

  "a kill reaches the waits of a worker, and ends a thread that does not hear": () =>
    withPool(async (pool) => {
      await pool.call.double(1);
      const nap = pool.call.nap(60_000), twice = pool.call.napTwice(60_000);
      same(await nap.join({ timeout: 50 }), false);
      await nap.kill();
      same(await twice.join({ timeout: 50 }), false);
      const start = performance.now();
      await twice.kill();
      same([nap.state, twice.state, performance.now() - start < 900], ["killed", "killed", true]);
      const late = await rejection(pool.map("nap", [60_000, 60_000], { timeout: 50 }));
      same([late.name, pool.busy, performance.now() - start < 2000], ["TimeoutError", 0, true]);
      const spin = pool.call.spin(60_000);
      same(await spin.join({ timeout: 100 }), false);
      await spin.kill();
      same([spin.state, await pool.call.double(2), pool.restarts], ["killed", 4, 0]);
    }),

  "a generator streams, and ends with its loop": () =>
    withPool(async (pool) => {
      await pool.call.double(1);
      const seen: number[] = [];
      const call = pool.call.count(), start = performance.now();
      for await (const n of call) if (seen.push(n) === 200) break;
      same([seen.length, seen[199], call.state], [200, 200, "killed"]);
      same([performance.now() - start < 900, pool.threads], [true, 1]);
    }),

  "channels cross to a worker": () =>
    withPool(async (pool) => {
      const input = new Channel<string>({ capacity: 4 });
      const output = new Channel<number>({ capacity: 4 });
      const call = pool.call.lengths(input, output);
      const feeder = spawn(async () => {
        for (let n = 0; n < 100; n++) await input.send("x".repeat(n));
        input.close();
      });
      const seen: number[] = [];
      for await (const n of output) seen.push(n);
      await call;
      await feeder;
      same(seen, Array.from({ length: 100 }, (_, n) => n));
    }),

  "a worker that crashes, or cannot be loaded, fails its calls": async () => {
    await withPool(async (pool) => {
      const error = await rejection(pool.call.explode());
      same([error instanceof WorkerCrashed, /boom/.test(String(error.cause))], [true, true]);
      same(await pool.call.double(1), 2);
    });
    const none = workers<typeof tasks>(new URL("/none.js", import.meta.url), {
      restarts: { max: 0 },
    });
    same((await rejection(none.call.double(1))) instanceof WorkerCrashed, true);
    await none.close();
  },

  "no worker leaves anything": () => {
    same(dump().tasks.length, 0);
    return Promise.resolve();
  },
};
