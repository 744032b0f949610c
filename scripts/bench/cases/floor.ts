// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What the runtime itself charges: nothing that waits can be cheaper.
 *
 * @module
 */

import { Deferred } from "../../../src/deferred.ts";
import { spawn } from "../../../src/spawn.ts";
import { type Batch, type Case, check, sumBelow } from "../work.ts";

/** The bare await of a resolved promise: every contestant of every case is compared with it. */
export function bareAwait(size: number): Batch {
  return async () => {
    const one = Promise.resolve(1);
    let sum = 0;
    for (let i = 0; i < size; i++) sum += await one;
    check(sum, size);
  };
}

/** Two async functions that hand values to each other by resolvers: a switch without a library. */
export function handOver(size: number): Batch {
  return async () => {
    const wake: Array<(value: number) => void> = [];
    let sum = 0;
    const side = async (me: 0 | 1, value: number) => {
      while (value < size) {
        sum += value;
        const answered = new Promise<number>((resolve) => wake[me] = resolve);
        wake[1 - me]?.(value + 1);
        value = await answered;
      }
      wake[1 - me]?.(value);
    };
    const a = side(0, 0); // waits for the other side, which begins with 1
    await Promise.all([a, side(1, 1)]);
    check(sum, sumBelow(size));
  };
}

/** The same with our word for a value that comes later. */
function handOverByDeferred(size: number): Batch {
  return async () => {
    const wake: Array<Deferred<number>> = [];
    let sum = 0;
    const side = async (me: 0 | 1, value: number) => {
      while (value < size) {
        sum += value;
        const answered = wake[me] = new Deferred<number>();
        wake[1 - me]?.resolve(value + 1);
        value = await answered.get();
      }
      wake[1 - me]?.resolve(value);
    };
    const a = side(0, 0);
    await Promise.all([a, side(1, 1)]);
    check(sum, sumBelow(size));
  };
}

/** All of them. */
export const FLOOR: Case[] = [
  {
    id: "await-in-task",
    group: "The floor",
    title: "bare await, in a task",
    size: 10_000,
    ambient: true,
    contestants: { baozi: (size) => inTask(bareAwait(size)) },
  },
  {
    id: "hand-over",
    group: "The floor",
    title: "hand-over by resolvers, by Deferred",
    size: 10_000,
    contestants: { baozi: handOverByDeferred, resolvers: handOver },
  },
];

function inTask(batch: Batch): Batch {
  return () => spawn(batch).get();
}
