// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * All rows on the runtime that runs this file, printed as tables. `scripts/bench.ts` starts it.
 *
 *     main.ts [--quick] [--std=URL of a module that exports std's Channel]
 *
 * @module
 */

// Every round measures every row, ours and std's next to each other, in turns first and second;
// ratios are taken within a round and their median is printed: a slow second of the host then
// hits both sides.

import { argv } from "node:process";
import { Bench } from "tinybench";
import { channels, type NumberChannelClass } from "./channels.ts";
import { FLOOR, HAND_OVER } from "./floor.ts";
import { SEND, SWITCH } from "./switches.ts";
import { FLOOR_IN_TASK, IN_TASKS } from "./tasks.ts";
import type { Work } from "./work.ts";

const QUICK = argv.includes("--quick");
const ROUNDS = QUICK ? 3 : 11;
const MS_PER_ROW = QUICK ? 10 : 50;

/** What the rounds gave for one row, in ns per operation. */
interface Row {
  name: string;
  ours: number[];
  std: number[];
}

async function main(): Promise<void> {
  const std = await loadStd();
  const rows = channels(std);
  await group(FLOOR, [HAND_OVER, ...rows, SEND]);
  // From here on the ambient context is in use: the first greenlet and the first task turn it on.
  await group(FLOOR_IN_TASK, [SWITCH, ...IN_TASKS]);
}

async function loadStd(): Promise<NumberChannelClass | undefined> {
  const url = argv.find((arg) => arg.startsWith("--std="))?.slice("--std=".length);
  if (url === undefined) return undefined;
  const { Channel } = await import(url) as { Channel: NumberChannelClass };
  return Channel;
}

async function group(floor: Work, works: Work[]): Promise<void> {
  const all = [floor, ...works];
  const rows = all.map(({ name }): Row => ({ name, ours: [], std: [] }));
  for (let round = -1; round < ROUNDS; round++) {
    for (const [i, work] of all.entries()) {
      const { ours, std } = await once(work, round % 2 === 0);
      if (round < 0) continue; // warms up
      rows[i]!.ours.push(ours);
      if (std !== undefined) rows[i]!.std.push(std);
    }
  }
  print(rows);
}

/** One round of one row. */
async function once(work: Work, stdFirst: boolean): Promise<{ ours: number; std?: number }> {
  const bench = new Bench({ time: MS_PER_ROW, iterations: 3, warmup: false, throws: true });
  if (stdFirst && work.std) bench.add("std", work.std);
  bench.add("ours", work.run);
  if (!stdFirst && work.std) bench.add("std", work.std);
  await bench.run();
  const nanoseconds = (name: string): number => {
    const result = bench.getTask(name)?.result;
    if (result?.state !== "completed") throw new Error(`Cannot measure ${work.name}: no result`);
    return result.latency.p50 * 1e6 / work.ops;
  };
  return { ours: nanoseconds("ours"), ...(work.std && { std: nanoseconds("std") }) };
}

function print(rows: Row[]): void {
  const floor = rows[0]!.ours;
  const line = (cells: string[]) =>
    cells.map((cell, i) => i === 0 ? cell.padEnd(36) : cell.padStart(11)).join("").trimEnd();
  console.log(line(["", "ns/op", "x floor", "std ns/op", "std/ours"]));
  for (const { name, ours, std } of rows) {
    const cells = [name, median(ours).toFixed(1), ratio(ours, floor)];
    if (std.length > 0) cells.push(median(std).toFixed(1), ratio(std, ours));
    console.log(line(cells));
  }
}

function ratio(of: number[], to: number[]): string {
  return median(of.map((value, round) => value / to[round]!)).toFixed(2);
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

await main();
