// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Many tasks at once: all start, all park, half of them are woken and the other half killed, and both
 * halves are counted. `floor` is the same with bare async functions, whose promises are resolved and
 * rejected. `scripts/bench/memory.ts` starts it in a process of its own.
 *
 *     million.ts baozi|floor COUNT
 *
 * @module
 */

import process from "node:process";
import { Event } from "../../../src/event.ts";
import { joinAll, killAll } from "../../../src/join.ts";
import { spawn } from "../../../src/spawn.ts";
import type { Task } from "../../../src/task.ts";
import { check } from "../work.ts";
import { settledMemory } from "./heap.ts";

/** What the processes of `million.ts` print. */
export interface Crowd {
  /** Resident bytes of each while all were parked. */
  resident: number;
  /** Until all were parked, in milliseconds. */
  startMs: number;
  /** Until all had ended, in milliseconds. */
  endMs: number;
}

/** One way to have a crowd. */
interface Way {
  /** Starts all; resolves when the last has parked. */
  start(count: number): Promise<void>;
  /** Wakes one half and ends the other; resolves when all have ended, to how many were in each half. */
  end(): Promise<{ woken: number; ended: number }>;
}

async function main([way, text]: string[]): Promise<void> {
  const count = Number(text);
  const crowd = way === "baozi" ? tasks() : promises();
  const before = await settledMemory();
  const started = performance.now();
  await crowd.start(count);
  const startMs = performance.now() - started;
  const parked = await settledMemory();
  const ending = performance.now();
  const { woken, ended } = await crowd.end();
  const endMs = performance.now() - ending;
  check(woken, Math.ceil(count / 2));
  check(ended, Math.floor(count / 2));
  const resident = (parked.resident - before.resident) / count;
  console.log(JSON.stringify({ resident, startMs, endMs } satisfies Crowd));
}

function tasks(): Way {
  const gate = new Event(), never = new Event();
  const halves: [Task<void>[], Task<void>[]] = [[], []];
  let woken = 0;
  return {
    start(count) {
      return new Promise((resolve) => {
        let left = count;
        const body = async (event: Event): Promise<void> => {
          if (--left === 0) resolve(); // it parks in this very step
          await event.wait();
          woken++;
        };
        for (let i = 0; i < count; i++) {
          halves[i % 2]!.push(spawn(body, i % 2 === 0 ? gate : never));
        }
      });
    },
    async end() {
      gate.set();
      await killAll(halves[1]);
      await joinAll(halves[0]);
      return { woken, ended: halves[1].filter((task) => task.state === "killed").length };
    },
  };
}

function promises(): Way {
  const settlers: Array<[() => void, (reason: Error) => void]> = [];
  const bodies: Array<Promise<void>> = [];
  let woken = 0, ended = 0;
  const body = async (): Promise<void> => {
    try {
      await new Promise<void>((resolve, reject) => settlers.push([resolve, reject]));
      woken++;
    } catch {
      ended++;
    }
  };
  return {
    start(count) {
      for (let i = 0; i < count; i++) bodies.push(body());
      return Promise.resolve();
    },
    async end() {
      const reason = new Error("Cannot go on: it was ended");
      for (const [i, [resolve, reject]] of settlers.entries()) {
        i % 2 === 0 ? resolve() : reject(reason);
      }
      await Promise.all(bodies);
      return { woken, ended };
    },
  };
}

await main(process.argv.slice(2));
process.exit(0);
