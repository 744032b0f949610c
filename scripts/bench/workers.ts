// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * What crosses threads: values through channels, calls, work on two cores, the start of a worker.
 *
 * @module
 */

// The floor is `postMessage` of the same runtime, with a message for each value, and without any
// bound on how many are on their way.
// All programs and threads are bundles, made once: the threads of Node 20 take JavaScript only, and
// so all runtimes run the very same files.
// Before Node 24 our first task makes every await of the process dearer (see race.ts): there we have a
// process of our own, and take turns with that of the others.

import { resolve } from "node:path";
import { run } from "../command.ts";
import type { Host } from "../hosts.ts";
import { type BenchContext, programOf } from "./context.ts";
import type { Ready } from "./contest.ts";
import { figuresOf, type Round } from "./figures.ts";
import { type Figure, FLOOR, OURS, type Row } from "./json.ts";
import { Program, type ProgramOptions } from "./program.ts";
import { isDear } from "./race.ts";
import { BUNDLES, type Head, HEADS } from "./workers/rows.ts";

/** The first is not counted: our code and that of the peers is compiled by then, in both threads. */
const ROUNDS = 6;
const BUNDLE_LIMIT_MS = 60_000;
/** How long one answer may take; a program that hangs has failed. */
const ANSWER_MS = 30_000;

/** All rows on all runtimes. */
export async function measureWorkers(context: BenchContext): Promise<Row[]> {
  const rows = HEADS.filter((head) => context.wants(head))
    .map((head): Row => ({ ...head, results: {} }));
  if (rows.length === 0) return [];
  // Below the folder that holds the packages, so that their names are found.
  const folder = resolve(Deno.makeTempDirSync({ dir: context.cwd, prefix: "workers_" }));
  try {
    await bundle(folder, context);
    let done = 0;
    for (const row of rows) {
      for (const [runtime, host] of context.hosts) {
        context.progress(++done, rows.length * context.hosts.size, `${row.id} on ${runtime}`);
        try {
          row.results[runtime] = await measure(row, [runtime, host], folder, context);
        } catch (error) {
          context.fail(`${row.id} on ${host.name} ${host.version}`, error);
        }
      }
    }
    return rows;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function bundle(folder: string, { cwd }: BenchContext): Promise<void> {
  for (const name of BUNDLES) {
    const { success, output } = await run(
      Deno.execPath(),
      ["bundle", "--quiet", "--no-check", "--node-modules-dir=manual"]
        .concat("-o", `${folder}/${name}.js`, `scripts/bench/workers/${name}.ts`),
      { cwd, signal: AbortSignal.timeout(BUNDLE_LIMIT_MS) },
    );
    if (!success) throw new Error(output.trim());
  }
}

/** The figures by contestant; a peer that does not run here is left out, and the reason noted. */
async function measure(
  { id }: Head,
  [runtime, host]: [string, Host],
  folder: string,
  context: BenchContext,
): Promise<Record<string, Figure>> {
  const teams = isDear(host) ? [["only", OURS], ["without", OURS]] : [[]];
  await using processes = new AsyncDisposableStack();
  const programs = teams.map((team) =>
    processes.use(new Program(plain(host, [`${folder}/contest.js`, id, ...team], context)))
  );
  for (const program of programs) {
    const { failed } = await program.next<Ready>(ANSWER_MS);
    for (const [name, error] of Object.entries(failed)) {
      if (name === OURS || name === FLOOR) throw new Error(error);
      // It was made for other runtimes: nothing is wrong with this run.
      context.skip(`${name} in ${id} on ${runtime}`, error);
    }
  }
  const rounds: Round[] = [];
  for (let turn = 0; turn < ROUNDS; turn++) {
    const round: Round = {};
    const order = turn % 2 === 0 ? programs : [...programs].reverse();
    for (const program of order) {
      Object.assign(round, await program.ask<Round>("round", ANSWER_MS));
    }
    rounds.push(round);
  }
  return figuresOf(rounds.slice(1));
}

/** It is JavaScript already: what compiles TypeScript on Node would be started in each thread. */
function plain(
  host: Host,
  program: readonly [string, ...string[]],
  { cwd }: BenchContext,
): ProgramOptions {
  if (host.name === "Node") return { command: host.command, args: program, cwd };
  return { ...programOf(host, program), cwd };
}
