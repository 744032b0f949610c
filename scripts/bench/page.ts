// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Writes the tables of docs/bench.md, and the chart beside it, from `bench.json`; with `--check`
 * only says whether they are up to date.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { between, formatted } from "../marked_page.ts";
import { chart } from "./chart.ts";
import { BENCH_FILE, type BenchFile, readBench } from "./json.ts";
import { allTables, machineText, summaryTable } from "./tables.ts";

const PAGE = "docs/bench.md";
const CHART = "docs/bench.svg";

/** Writes page and chart of a run. */
export async function writePage(bench: BenchFile): Promise<void> {
  for (const [file, text] of await filesOf(bench)) Deno.writeTextFileSync(file, text);
}

async function checkPage(bench: BenchFile): Promise<boolean> {
  const stale = (await filesOf(bench))
    .filter(([file, text]) => !existsSync(file) || Deno.readTextFileSync(file) !== text)
    .map(([file]) => file);
  if (stale.length === 0) return true;
  console.log(
    `${stale.join(" and ")} must be written again from ${BENCH_FILE}: ` +
      "deno run -A scripts/bench/page.ts",
  );
  return false;
}

/** The files and their texts. */
async function filesOf(bench: BenchFile): Promise<[file: string, text: string][]> {
  let page = Deno.readTextFileSync(PAGE);
  for (const { group } of bench.rows) {
    if (page.includes(`\n| ${group} `)) continue;
    throw new Error(`Cannot write ${PAGE}: it must say what an operation of ${group} is`);
  }
  page = between(page, "machine", machineText(bench));
  page = between(page, "packages", summaryTable(bench, "packages"));
  page = between(page, "host", summaryTable(bench, "host"));
  page = between(page, "tables", allTables(bench));
  return [[PAGE, await formatted(page)], [CHART, chart(bench)]];
}

if (import.meta.main) {
  const bench = readBench();
  if (Deno.args.includes("--check")) Deno.exit(await checkPage(bench) ? 0 : 1);
  await writePage(bench);
}
