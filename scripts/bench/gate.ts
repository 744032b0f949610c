// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Judges a short run by the committed one: nothing of ours may have become dearer in bare awaits
 * of the same runtime. Ratios, never times: they hold on other machines too.
 *
 * @module
 */

import { BENCH_FILE, type BenchFile, figureOf, OURS } from "./json.ts";

/** Ours may cost this much more floors than before: the noise of a busy machine is below it. */
export const GATE_LIMIT = 1.25;

/** How often what seems slower is measured again. */
export const GATE_RETRIES = 3;

/** What the gate is told. */
export interface GateOptions {
  /** The full run of `bench.json`. */
  committed: BenchFile;
  /** The short run. */
  now: BenchFile;
  /**
   * Measures one row on one runtime once more and gives ours divided by the floor; with more
   * rounds for a higher `attempt`, from 1 on.
   */
  again(id: string, runtime: string, attempt: number): Promise<number>;
  /** Prints a line. */
  print(line: string): void;
}

/** Whether ours still costs what it did. @throws {Error} If a row is missing in `committed`. */
export async function gate({ committed, now, again, print }: GateOptions): Promise<boolean> {
  const checks = pair(committed, now);
  const slower: string[] = [];
  for (const { id, runtime, before, first } of checks) {
    const limit = before * GATE_LIMIT;
    const tried = [first];
    while (Math.min(...tried) > limit && tried.length <= GATE_RETRIES) {
      tried.push(await again(id, runtime, tried.length));
    }
    const best = Math.min(...tried);
    const good = best <= limit;
    const more = tried.length === 1 ? "" : `, the best of ${tried.length}`;
    const share = percent(best / before);
    const line = `${id} on ${runtime}: ${times(before)} -> ${times(best)} floors, ${share}${more}`;
    print(`${good ? "ok  " : "FAIL"} ${line}`);
    if (!good) slower.push(`${id} on ${runtime}`);
  }
  const allowed = percent(GATE_LIMIT);
  print(
    slower.length === 0
      ? `${checks.length} ratios to the floor, none more than ${allowed} above ${BENCH_FILE}`
      : `More than ${allowed} above ${BENCH_FILE}: ${slower.join(", ")}`,
  );
  return slower.length === 0;
}

/** One row on one runtime. */
interface Check {
  id: string;
  runtime: string;
  /** Ours divided by the floor, as committed. */
  before: number;
  /** The same in the short run. */
  first: number;
}

function pair(committed: BenchFile, now: BenchFile): Check[] {
  const checks = now.rows.flatMap((row) =>
    Object.keys(row.results).flatMap((runtime): Check[] => {
      const first = figureOf(row, runtime, OURS)?.toFloor;
      if (first === undefined) return [];
      const old = committed.rows.find(({ id }) => id === row.id);
      const before = old && figureOf(old, runtime, OURS)?.toFloor;
      if (before !== undefined) return [{ id: row.id, runtime, before, first }];
      throw new Error(
        `Cannot judge ${row.id}: ${BENCH_FILE} must have it on ${runtime}; ` +
          "run `deno task bench --save`",
      );
    })
  );
  if (checks.length > 0) return checks;
  throw new Error("Cannot judge: the short run must have a row with a floor, got none");
}

function times(value: number): string {
  return value.toFixed(2);
}

/** How far a factor is from 1. */
function percent(factor: number): string {
  const change = Math.round((factor - 1) * 100);
  return `${change > 0 ? "+" : ""}${change} %`;
}
