// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Passing control between two bodies: greenlets and coroutines.
 *
 * @module
 */

import { coroutine } from "../../src/coroutine.ts";
import { greenlet } from "../../src/greenlet.ts";
import { check, sumBelow, type Work } from "./work.ts";

const OPS = 5_000;

/** Two greenlets that count up to OPS in turns; each count is one switch. */
export const SWITCH: Work = {
  name: "greenlet switch",
  ops: OPS,
  async run() {
    let sum = 0;
    const other = greenlet(async (value: number) => {
      while (true) {
        sum += value;
        value = await main.switch(value + 1) as number;
      }
    });
    const main = greenlet(async () => {
      let value = 0;
      while (value < OPS) {
        sum += value;
        value = await other.switch(value + 1) as number;
      }
      return sum;
    });
    check(await main.switch() as number, sumBelow(OPS));
  },
};

/** A coroutine that adds up what is sent. */
export const SEND: Work = {
  name: "coroutine send",
  ops: OPS,
  async run() {
    const adder = coroutine(async function* (): AsyncGenerator<number, void, number> {
      let sum = 0;
      while (true) sum += yield sum;
    })();
    let sum = 0;
    for (let i = 0; i < OPS; i++) sum = await adder.send(i);
    await adder.close();
    check(sum, sumBelow(OPS));
  },
};
