// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Proof 1: a value is never lost and never doubled.
 *
 * @module
 */

import { Run, type RunRules } from "../../src/testing/_explore/run.ts";
import {
  AtRandom,
  type Decisions,
  DepthFirst,
  type Search,
} from "../../src/testing/_explore/schedule.ts";
import type { ProofOptions } from "../prove.ts";
import {
  countOf,
  type Program,
  ProgramRun,
  programsOf,
  randomProgram,
  textOf,
} from "./_program.ts";
import { Random } from "./_random.ts";

export const promise =
  "1. No value is lost or doubled, whatever is closed, cancelled, killed or timed out, in any schedule";

/** Parts of the budget: for every schedule of small programs, of some of full size, and for random ones. */
const SMALL = 0.45;
const FULL = 0.25;
const RANDOM_PROGRAMS = 1_000_000;
const TOLD = 100_000;

/** Sizes whose programs are all tried, smallest first: tasks and steps. */
const SIZES: ReadonlyArray<readonly [tasks: number, steps: number]> = [
  [1, 1],
  [2, 1],
  [1, 2],
  [3, 1],
  [1, 3],
  [2, 2],
  [1, 4],
  [3, 2],
  [2, 3],
  [2, 4],
  [3, 3],
  [3, 4],
];

export async function prove(
  { long, seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const began = performance.now();
  const spent = (): number => (performance.now() - began) / budgetMs;
  const counts = { programs: 0, schedules: 0, states: 0 };
  const every = async (program: Program): Promise<void> => {
    const { schedules, states } = await everySchedule(program, seed);
    counts.programs++;
    counts.schedules += schedules;
    counts.states += states;
  };

  let complete = 0;
  sizes: for (const [tasks, steps] of SIZES) {
    let tried = 0;
    const all = 3 * countOf(tasks, steps);
    const text = (): string =>
      `${tasks} tasks x ${steps} steps: every schedule of ${tried.toLocaleString("en")} of ${
        all.toLocaleString("en")
      } programs`;
    for (const capacity of [0, 1, 2]) {
      for (const program of programsOf(tasks, steps, capacity)) {
        if (spent() > SMALL) {
          report(text());
          break sizes;
        }
        await every(program);
        tried++;
      }
    }
    complete += tried;
    report(text());
  }

  const random = new Random(seed);
  let full = 0;
  for (; spent() < SMALL + FULL; full++) {
    const tasks = Array.from({ length: 3 }, () => randomProgram(random.next, 1, 1));
    const { capacity } = tasks[0]!;
    const body = (): Program["tasks"][number] =>
      Array.from({ length: 4 }, () => randomProgram(random.next, 1, 1).tasks[0]![0]!);
    await every({ capacity, tasks: tasks.map(body) });
  }
  report(`3 tasks x 4 steps: every schedule of ${full} programs, chosen at random`);

  let single = 0;
  const search = new AtRandom(random.next);
  const told = (): void =>
    report(`up to 3 x 4: one random schedule of ${single.toLocaleString("en")} random programs`);
  while (long ? single < RANDOM_PROGRAMS : spent() < 1) {
    await oneSchedule(randomProgram(random.next, 3, 4), search, seed);
    if (++single % TOLD === 0) told();
  }
  told();
  return {
    "programs with every schedule": counts.programs,
    "of them all of their size": complete,
    "of them 3 x 4 at random": full,
    "runs of these": counts.schedules,
    "states met": counts.states,
    "random programs with a random schedule": single,
  };
}

/** Runs `program` until there is no state left that it can come to and that was not met. */
export async function everySchedule(
  program: Program,
  seed: number,
): Promise<{ schedules: number; states: number }> {
  const met = new Set<string>();
  let current: ProgramRun;
  const rules = {
    ...rulesOf(seed, 0),
    seen: (run: Run): boolean => {
      const before = met.size;
      return met.add(`${run.state} ${current.state}`).size === before;
    },
  };
  const search = new DepthFirst();
  let schedules = 0;
  for (let decisions = search.next(); decisions !== undefined; decisions = search.next()) {
    await once(program, decisions, rules, (run) => {
      current = run;
    });
    search.ran(decisions);
    schedules++;
  }
  return { schedules, states: met.size };
}

async function oneSchedule(program: Program, search: Search, seed: number): Promise<void> {
  const decisions = search.next()!;
  await once(program, decisions, rulesOf(seed, 1), () => {});
  search.ran(decisions);
}

function rulesOf(seed: number, kills: number): RunRules {
  return { seed, kills, faults: [], anyTime: true, maxSteps: 1000 };
}

async function once(
  program: Program,
  decisions: Decisions,
  rules: RunRules,
  started: (run: ProgramRun) => void,
): Promise<void> {
  const run = new Run(rules, decisions);
  try {
    const { failure } = await run.play((hands) => {
      const programRun = new ProgramRun(program);
      started(programRun);
      return programRun.go(hands);
    });
    if (failure === undefined) return;
    throw new Error(
      `${textOf(program)}: ${failure.error}\nthe schedule:\n${run.describe().join("\n")}`,
      { cause: failure.error },
    );
  } finally {
    await run.close();
  }
}
