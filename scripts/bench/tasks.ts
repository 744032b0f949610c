// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What tasks cost, and what they add to the rest. On Node before 24 the first spawn, as
 * the first greenlet, makes every later await of the process dearer: these rows come last, with a
 * floor of their own.
 *
 * @module
 */

import { Channel } from "../../src/channel.ts";
import { joinAll } from "../../src/join.ts";
import { spawn } from "../../src/spawn.ts";
import { sendReceive } from "./channels.ts";
import { FLOOR } from "./floor.ts";
import { check, sumBelow, type Work } from "./work.ts";

const TASKS = 1_000;

/** The bare await inside a task. */
export const FLOOR_IN_TASK: Work = {
  name: "floor: bare await, in a task",
  ops: FLOOR.ops,
  run: () => spawn(FLOOR.run).get(),
};

/** All rows. */
export const IN_TASKS: Work[] = [
  {
    name: "spawn + joinAll of 1,000",
    ops: TASKS,
    async run() {
      const tasks: Array<ReturnType<typeof one>> = [];
      for (let i = 0; i < TASKS; i++) tasks.push(one(i));
      let sum = 0;
      for (const task of await joinAll(tasks)) sum += task.value!;
      check(sum, sumBelow(TASKS));
    },
  },
  ...[0, 64].map((capacity): Work => ({
    name: `send/receive, capacity ${capacity}, in a task`,
    ops: 5_000,
    run: () => spawn(() => sendReceive(new Channel<number>({ capacity }))).get(),
  })),
];

// deno-lint-ignore require-await -- an async body is what people spawn
const one = (i: number) => spawn(async () => i);
