// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Passing control between bodies: greenlets and coroutines.
 *
 * @module
 */

// Not here: channels, by which a body does not choose who goes on ("ping-pong" has them), and fibers
// and go routines, which only their scheduler resumes.

import { coroutine } from "../../../src/coroutine.ts";
import { currentGreenlet, type Greenlet, greenlet } from "../../../src/greenlet.ts";
import { loadRepeater } from "../peers/channels.ts";
import { type Batch, type Case, check, sumBelow } from "../work.ts";
import { handOver } from "./floor.ts";

const GROUP = "Switches";
const RING = 1_000;

/** All of them. */
export const SWITCHES: Case[] = [
  {
    id: "greenlet-switch",
    group: GROUP,
    title: "switch between two greenlets",
    size: 5_000,
    quick: true,
    ambient: true,
    contestants: { baozi: switched, resolvers: handOver },
  },
  {
    id: "greenlet-ring",
    group: GROUP,
    title: "switch around a ring of 1,000 greenlets",
    size: 10_000,
    ambient: true,
    contestants: { baozi: aroundRing, resolvers: aroundRingByResolvers },
  },
  {
    id: "coroutine-send",
    group: GROUP,
    title: "send to a coroutine and get its answer",
    size: 5_000,
    quick: true,
    contestants: {
      baozi: sent,
      "async-generator": sentToGenerator,
      "@repeaterjs/repeater": sentToRepeater,
    },
  },
];

/** Two greenlets that count in turns; each count is one switch. */
function switched(size: number): Batch {
  return async () => {
    let sum = 0;
    const other = greenlet(async (value: number) => {
      while (true) {
        sum += value;
        value = await main.switch<number>(value + 1);
      }
    });
    const main = greenlet(async () => {
      let value = 0;
      while (value < size) {
        sum += value;
        value = await other.switch<number>(value + 1);
      }
      return sum;
    });
    check(await main.switch<number>(), sumBelow(size));
    await other.throw();
  };
}

/** Each adds one and switches to the next, `size` times in all. The ring is there before and after. */
function aroundRing(size: number): Batch {
  const main = currentGreenlet();
  const ring: Greenlet[] = [];
  let sum = 0;
  for (let i = 0; i < RING; i++) {
    const body = async (value: number): Promise<void> => {
      const next = ring[(i + 1) % RING]!;
      for (;;) {
        sum += value;
        value = await (value < size ? next : main).switch<number>(value + 1);
      }
    };
    ring.push(greenlet(body));
  }
  return async () => {
    sum = 0;
    await ring[0]!.switch(0);
    check(sum, sumBelow(size + 1));
  };
}

/** The same by promises: nobody can end such a body, or throw into it. */
function aroundRingByResolvers(size: number): Batch {
  const wake: Array<(value: number) => void> = [];
  let sum = 0;
  const body = async (me: number): Promise<void> => {
    const next = (me + 1) % RING;
    for (;;) {
      const value = await new Promise<number>((resolve) => wake[me] = resolve);
      sum += value;
      wake[value < size ? next : RING]!(value + 1);
    }
  };
  for (let i = 0; i < RING; i++) void body(i);
  return async () => {
    sum = 0;
    const finished = new Promise<number>((resolve) => wake[RING] = resolve);
    wake[0]!(0);
    await finished;
    check(sum, sumBelow(size + 1));
  };
}

/** A coroutine that adds up what is sent. */
function sent(size: number): Batch {
  const adding = coroutine(async function* (): AsyncGenerator<number, void, number> {
    let sum = 0;
    while (true) sum += yield sum;
  });
  return async () => {
    const adder = adding();
    let sum = 0;
    for (let i = 0; i < size; i++) sum = await adder.send(i);
    await adder.close();
    check(sum, sumBelow(size));
  };
}

/** The bare async generator: `next(value)`. Its body must not call it, and two callers share a queue. */
function sentToGenerator(size: number): Batch {
  async function* adding(): AsyncGenerator<number, void, number> {
    let sum = 0;
    while (true) sum += yield sum;
  }
  return async () => {
    const adder = adding();
    await adder.next();
    let sum = 0;
    for (let i = 0; i < size; i++) sum = (await adder.next(i)).value!;
    await adder.return();
    check(sum, sumBelow(size));
  };
}

/** @repeaterjs/repeater: `push` resolves to what the next `next` passes in. */
async function sentToRepeater(size: number): Promise<Batch> {
  const { Repeater } = await loadRepeater();
  return async () => {
    const adder = new Repeater(async (push) => {
      let sum = 0;
      while (true) {
        const value = await push(sum);
        if (value === undefined) return;
        sum += value;
      }
    });
    await adder.next();
    let sum = 0;
    for (let i = 0; i < size; i++) sum = (await adder.next(i)).value;
    await adder.return();
    check(sum, sumBelow(size));
  };
}
