// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Measures one case on one runtime: starts the processes of `contest.ts`, lets them run round by
 * round, and makes figures of what they say.
 *
 * @module
 */

// Before Node 24 the first spawn or switch turns async hooks on, which makes every await of the
// process about three times dearer: those of the floor and of the peers too. There each contestant
// of such a case has a process of its own, and they take turns.

import type { Host } from "../hosts.ts";
import { type BenchContext, programOf } from "./context.ts";
import type { Growth, Ready } from "./contest.ts";
import { figuresOf, type Round } from "./figures.ts";
import { type Figure, FLOOR, OURS } from "./json.ts";
import { Program } from "./program.ts";
import type { Case } from "./work.ts";

const CONTEST = "scripts/bench/contest.ts";

/** How long one answer may take; a program that hangs has failed. */
const ANSWER_MS = 60_000;
const GROWTH_MS = 120_000;

/** How much is measured. */
export interface RaceOptions {
  rounds: number;
  /** Of each contestant in each round. */
  ms: number;
  /** The contestants that take part. @default {all} */
  only?: readonly string[];
  /** Measures the growth of ours too. @default {false} */
  growth?: boolean;
}

/** The figures by contestant. @throws {Error} If the case itself fails; a peer that does is noted. */
export async function race(
  found: Case,
  host: Host,
  context: BenchContext,
  options: RaceOptions,
): Promise<Record<string, Figure>> {
  const { only = [FLOOR, ...Object.keys(found.contestants)] } = options;
  const teams = found.ambient && isDear(host) ? only.map((name) => [name]) : [only];
  await using processes = new AsyncDisposableStack();
  const programs = teams.map((team) => {
    const program = programOf(host, [
      CONTEST,
      "--serve",
      `--case=${found.id}`,
      `--ms=${options.ms}`,
      ...team.map((name) => `--only=${name}`),
      ...(context.std === undefined ? [] : [`--std=${context.std}`]),
    ]);
    return processes.use(new Program({ ...program, cwd: context.cwd }));
  });
  for (const { failed } of await Promise.all(programs.map(ready))) {
    for (const [name, error] of Object.entries(failed)) {
      if (name === OURS || name === FLOOR) throw new Error(error);
      context.fail(`${name} in ${found.id} on ${host.name} ${host.version}`, error);
    }
  }
  const rounds: Round[] = [];
  for (let turn = 0; turn < options.rounds; turn++) {
    rounds.push(await runRound(programs, turn));
  }
  const figures = figuresOf(rounds);
  if (options.growth) {
    const ours = programs[teams.findIndex((team) => team.includes(OURS))]!;
    figures[OURS]!.growth = (await ours.ask<Growth>("grow", GROWTH_MS)).exponent;
  }
  return figures;
}

function ready(program: Program): Promise<Ready> {
  return program.next(ANSWER_MS);
}

/** Each process in its turn, one at a time; each round begins with another one. */
async function runRound(programs: readonly Program[], turn: number): Promise<Round> {
  const round: Round = {};
  for (let i = 0; i < programs.length; i++) {
    const program = programs[(i + turn) % programs.length]!;
    Object.assign(round, await program.ask<Round>("round", ANSWER_MS));
  }
  return round;
}

/** Whether a task makes every await of its process dearer there. */
export function isDear({ name, version }: Host): boolean {
  return name === "Node" && Number.parseInt(version) < 24;
}
