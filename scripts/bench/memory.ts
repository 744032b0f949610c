// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * What things cost in bytes: a parked task, a waiter, a channel; and a million parked tasks at once.
 *
 * @module
 */

// Each kind of each contestant is measured in processes of its own: heaps remember what was there.
// Two run at a time, as bytes do not depend on speed; but the million has the machine for itself.

import { run } from "../command.ts";
import type { Host } from "../hosts.ts";
import { type BenchContext, programOf } from "./context.ts";
import { figuresOf, type Round } from "./figures.ts";
import { type Figure, FLOOR, OURS, type Row } from "./json.ts";
import type { Crowd } from "./memory/million.ts";

const THINGS = "scripts/bench/memory/things.ts";
const MILLION = "scripts/bench/memory/million.ts";

const ROUNDS = 3;
const AT_ONCE = 2;
const LIMIT_MS = 60_000;
const CROWD = 1_000_000;
const CROWD_LIMIT_MS = 110_000;
/** So much must be free for {@linkcode CROWD} tasks, with room for the collector. */
const CROWD_GIB = 5;

type Head = Omit<Row, "results">;

interface Thing {
  row: Head;
  /** Of `things.ts`. */
  kind: string;
  /** How many are made, by contestant. */
  counts: Record<string, number>;
}

const THINGS_MEASURED: readonly Thing[] = [
  {
    row: head("memory-task", "a parked task with an async body; floor: the async function alone"),
    kind: "task",
    counts: { baozi: 10_000, floor: 10_000, effect: 10_000, effection: 2_000 },
  },
  {
    row: head("memory-waiter", "a parked receive outside tasks; floor: a promise and its resolver"),
    kind: "waiter",
    counts: { baozi: 10_000, floor: 10_000, std: 10_000 },
  },
  {
    row: head("memory-channel", "a channel, capacity 0 (1 of @thi.ng/csp)"),
    kind: "channel",
    counts: { baozi: 10_000, std: 10_000, "@thi.ng/csp": 10_000, "js-csp": 10_000 },
  },
  {
    row: head("memory-channel-64", "an empty channel, capacity 64"),
    kind: "channel-64",
    counts: {
      baozi: 10_000,
      std: 10_000,
      "@thi.ng/csp": 10_000,
      "js-csp": 10_000,
      effect: 10_000,
    },
  },
];

const CROWD_MEASURED: ReadonlyArray<{ row: Head; of: keyof Crowd }> = [
  { row: head("million-memory", "each of 1,000,000 parked tasks, resident"), of: "resident" },
  {
    row: { ...head("million-start", "1,000,000 tasks until all are parked"), unit: "ms" },
    of: "startMs",
  },
  {
    row: { ...head("million-end", "1,000,000 tasks, half woken, half killed"), unit: "ms" },
    of: "endMs",
  },
];

/** All rows on all runtimes. */
export async function measureMemory(context: BenchContext): Promise<Row[]> {
  const things = THINGS_MEASURED.filter(({ row }) => context.wants(row));
  const crowds = CROWD_MEASURED.filter(({ row }) => context.wants(row));
  const of = context.hosts.size * (things.length + (crowds.length > 0 ? 1 : 0));
  const rows = new Map([...things, ...crowds].map(({ row }): [Head, Row] => [
    row,
    { ...row, results: {} },
  ]));
  let done = 0;
  for (const [runtime, host] of context.hosts) {
    for (const thing of things) {
      context.progress(++done, of, `${thing.row.id} on ${runtime}`);
      const figures = await weigh(thing, host, context);
      if (Object.keys(figures).length > 0) rows.get(thing.row)!.results[runtime] = figures;
    }
    if (crowds.length === 0) continue;
    context.progress(++done, of, `${CROWD.toLocaleString("en")} tasks on ${runtime}`);
    const { all, tenth } = await gather(host, context);
    for (const { row, of } of crowds) {
      const figures = figuresOf([pick(all, of)]);
      if (Object.keys(figures).length === 0) continue;
      rows.get(row)!.results[runtime] = figures;
      for (const [name, ofTenth] of Object.entries(pick(tenth, of))) {
        const { median } = figures[name]!;
        figures[name]!.growth = Math.log10(median / ofTenth) + (row.unit === "bytes" ? 1 : 0);
      }
    }
  }
  return [...rows.values()];
}

/** Bytes of one thing. A contestant that fails is noted, and left out. */
async function weigh(
  { row, kind, counts }: Thing,
  host: Host,
  context: BenchContext,
): Promise<Record<string, Figure>> {
  const names = Object.keys(counts).filter((name) => name !== "std" || context.std !== undefined);
  const rounds = Array.from({ length: ROUNDS }, (): Round => ({}));
  const jobs = rounds.flatMap((round) => names.map((name) => ({ round, name, times: 1 })));
  // Ten times as many: each takes as much, unless something grows.
  const many: Round = {};
  jobs.push({ round: many, name: OURS, times: 10 });
  const left = jobs.values(), failed = new Set<string>();
  const work = async (): Promise<void> => {
    for (const { round, name, times } of left) {
      if (failed.has(name)) continue;
      try {
        const args = [kind, name, String(counts[name]! * times)];
        if (context.std !== undefined) args.push(`--std=${context.std}`);
        const { bytes } = await ask<{ bytes: number }>(host, context, [THINGS, ...args], LIMIT_MS);
        round[name] = Math.max(0, bytes);
      } catch (error) {
        if (failed.has(name)) continue; // two of it ran at once
        failed.add(name);
        context.fail(`${name} in ${row.id} on ${host.name} ${host.version}`, error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const figures = figuresOf(rounds);
  const ours = figures[OURS];
  if (ours && many[OURS]) ours.growth = 1 + Math.log10(many[OURS] / ours.median);
  return figures;
}

/** The crowd and one of a tenth, by contestant, one after the other. */
async function gather(
  host: Host,
  context: BenchContext,
): Promise<Record<"all" | "tenth", Record<string, Crowd>>> {
  const crowds: Record<"all" | "tenth", Record<string, Crowd>> = { all: {}, tenth: {} };
  const free = Deno.systemMemoryInfo().available / 2 ** 30;
  if (free < CROWD_GIB) {
    context.skip("million", `${CROWD_GIB} GiB must be free, got ${free.toFixed(1)}`);
    return crowds;
  }
  const start = (name: string, count: number): Promise<Crowd> =>
    ask(host, context, [MILLION, name, String(count)], CROWD_LIMIT_MS);
  for (const name of [FLOOR, OURS]) {
    try {
      crowds.all[name] = await start(name, CROWD);
      crowds.tenth[name] = await start(name, CROWD / 10);
    } catch (error) {
      context.fail(`${name} in million on ${host.name} ${host.version}`, error);
    }
  }
  return crowds;
}

function pick(crowds: Record<string, Crowd>, of: keyof Crowd): Round {
  return Object.fromEntries(Object.entries(crowds).map(([name, crowd]) => [name, crowd[of]]));
}

/** Runs a script to its end and reads the last line that it prints. */
async function ask<T>(
  host: Host,
  { cwd }: BenchContext,
  script: readonly [string, ...string[]],
  ms: number,
): Promise<T> {
  const flags = { Deno: ["--v8-flags=--expose-gc"], Node: ["--expose-gc"], Bun: [] }[host.name];
  const { command, args } = programOf(host, script, flags);
  const signal = AbortSignal.timeout(ms);
  const { success, output } = await run(command, args, { cwd, signal });
  if (success) return JSON.parse(output.trim().split("\n").at(-1)!);
  throw new Error(signal.aborted ? `no answer in ${ms} ms` : output.trim());
}

function head(id: string, title: string): Head {
  return { id, group: "Memory", title, unit: "bytes", better: "lower" };
}
