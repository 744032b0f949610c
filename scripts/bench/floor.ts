// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What the runtime itself charges: nothing that waits can be cheaper.
 *
 * @module
 */

import { check, sumBelow, type Work } from "./work.ts";

const OPS = 10_000;

/** The bare await of a resolved promise: every row is compared with it. */
export const FLOOR: Work = {
  name: "floor: bare await",
  ops: OPS,
  async run() {
    const one = Promise.resolve(1);
    let sum = 0;
    for (let i = 0; i < OPS; i++) sum += await one;
    check(sum, OPS);
  },
};

/** Two async functions that hand values to each other by resolvers: a switch without a library. */
export const HAND_OVER: Work = {
  name: "hand-over by resolvers",
  ops: OPS,
  async run() {
    const wake: Array<(value: number) => void> = [];
    let sum = 0;
    const side = async (me: 0 | 1, value: number) => {
      while (value < OPS) {
        sum += value;
        const answered = new Promise<number>((resolve) => wake[me] = resolve);
        wake[1 - me]?.(value + 1);
        value = await answered;
      }
      wake[1 - me]?.(value);
    };
    const a = side(0, 0); // waits for the other side, which begins with 1
    await Promise.all([a, side(1, 1)]);
    check(sum, sumBelow(OPS));
  },
};
