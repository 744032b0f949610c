// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Prints a hash of what explorations with many seeds have done, for the comparison of runtimes:
 * `_traces.ts FROM TO`.
 *
 * @module
 */

import { explore, type ExploreRun } from "../../src/testing/explore.ts";
import { ProgramRun, randomProgram } from "./_program.ts";
import { Random } from "./_random.ts";

const SCHEDULES = 20;

async function main(from: number, to: number): Promise<void> {
  let hash = 0x811c9dc5, steps = 0, schedules = 0;
  const traces: string[] = [];
  for (let seed = from; seed < to; seed++) {
    const program = randomProgram(new Random(seed).next, 3, 4);
    const tried = await explore(
      (run: ExploreRun) => new ProgramRun(program).go(run),
      { seed, kills: true, timers: "any", maxSchedules: SCHEDULES },
    );
    hash = Math.imul(hash ^ tried.trace, 0x01000193) >>> 0;
    steps += tried.steps;
    schedules += tried.schedules;
    traces.push(tried.trace.toString(36));
  }
  console.log(JSON.stringify({ hash, steps, schedules, traces }));
}

declare const process: { argv: string[] };

const [from, to] = process.argv.slice(-2).map(Number);
await main(from!, to!);
