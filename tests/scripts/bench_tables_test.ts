// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import type { Row } from "../../scripts/bench/json.ts";
import { allTables, machineText, summaryTable } from "../../scripts/bench/tables.ts";
import { benchOf, rowOf } from "./invented_bench.ts";

test("summaryTable() names the best package, bold where it is ahead", () => {
  const lines = summaryTable(
    benchOf(
      rowOf("a", { deno: { floor: 50, baozi: 100, effect: 80, fastq: 300, promises: 20 } }),
      rowOf("b", { deno: { floor: 50, baozi: 100 }, bun: { baozi: 100, fastq: 250 } }),
      rowOf("c", { deno: { floor: 50, baozi: 100 } }),
    ),
    "packages",
  ).trim().split("\n");
  assertEquals(lines, [
    "|  | Deno 2.9.6 | Bun 1.4.5 |",
    "| --- | --: | --: |",
    "| title of a | **0.80 effect** |  |",
    "| title of b |  | 2.50 fastq |",
  ]);
});

test("summaryTable() names the best of what the host offers", () => {
  const row = rowOf("a", { deno: { baozi: 100, effect: 80, promises: 90, timers: 120 } });
  const lines = summaryTable(benchOf(row), "host").trim().split("\n");
  assertEquals(lines.slice(2), ["| title of a | **0.90 promises** |"]);
});

test("summaryTable() leaves out a language in which ours does not run", () => {
  const row = rowOf("a", { deno: { baozi: 100, promises: 90 }, bun: { go: 50 } });
  assertEquals(summaryTable(benchOf(row), "host").trim().split("\n")[0], "|  | Deno 2.9.6 |");
});

test("summaryTable() turns the ratio where higher is better", () => {
  const row: Row = { ...rowOf("a", { deno: { baozi: 100, raw: 125 } }), better: "higher" };
  assert(summaryTable(benchOf(row), "host").includes("| **0.80 raw** |"));
});

test("allTables() has every figure with its ratio to the floor", () => {
  const row = rowOf("channel", { deno: { floor: 50, baozi: 100 }, bun: { baozi: 70, effect: 90 } });
  row.results.deno!.baozi!.growth = 1.009;
  assertEquals(allTables(benchOf(row)).trim().split("\n"), [
    "### Group",
    "",
    "**title of channel** (`channel`), ns:",
    "",
    "|  | Deno 2.9.6 | Bun 1.4.5 |",
    "| --- | --: | --: |",
    "| floor | 50.0 (1.00) |  |",
    "| **baozi** | 100 (2.00) | 70.0 |",
    "| effect |  | 90.0 |",
    "",
    "Growth: 1.01 on Deno 2.9.6.",
  ]);
});

test("machineText() says where, when and what is missing", () => {
  assertEquals(machineText(benchOf()).trim().split("\n"), [
    "Run on 2026-11-21: Abacus, 2 cores, 8 GiB, linux.",
    "",
    "- Runtimes: Deno 2.9.6, Bun 1.4.5, Node 24.3.0.",
    "- Packages: effect 4.1.0, fastq 1.20.3, rxjs 7.8.2, js-csp 1.0.1.",
    "- Not measured: go, not installed.",
  ]);
});
