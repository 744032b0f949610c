// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import {
  formatNumber,
  formatValue,
  progressLine,
  report,
  reportRow,
} from "../../scripts/bench/report.ts";
import { benchOf, rowOf } from "./invented_bench.ts";

const ROW = rowOf("channel", {
  deno: { effect: 400, baozi: 100, floor: 50 },
  bun: { effect: 5000, baozi: 100, floor: 50 },
});

test("reportRow() gives each contestant its figures and a bar of its length", () => {
  const lines = reportRow(ROW, benchOf(ROW));
  assertEquals(lines.slice(0, 6), [
    "title of channel (lower is better)",
    "                                   ns       quartiles x floor  x ours",
    "  Deno 2.9.6",
    "    floor                        50.0       49.0-51.0    1.00    0.50  ██▌",
    "    baozi                         100        99.0-101    2.00    1.00  █████",
    "    effect                        400         399-401    8.00    4.00  ████████████████████",
  ]);
});

test("reportRow() cuts a bar that would flatten the others", () => {
  const lines = reportRow(ROW, benchOf(ROW));
  assert(lines.find((line) => line.includes("5,000"))!.endsWith("█ ▶"));
});

test("reportRow() prints growth where it was measured", () => {
  const row = structuredClone(ROW);
  row.results.deno!.baozi!.growth = 1.0234;
  const lines = reportRow(row, benchOf(row));
  assert(lines[1]!.endsWith("growth"));
  assert(lines.some((line) => line.includes("n^1.02")));
});

test("reportRow() colours only when asked", () => {
  const plain = reportRow(ROW, benchOf(ROW)),
    colored = reportRow(ROW, benchOf(ROW), { colors: true });
  assert(!plain.some((line) => line.includes("\x1b")));
  const marks = ["\x1b[1;36m", "\x1b[2m", "\x1b[0m"];
  const bare = colored.map((line) => marks.reduce((text, mark) => text.replaceAll(mark, ""), line));
  assertEquals(bare, plain);
  assert(colored.some((line) => line.startsWith(marks[0]!) && line.includes("baozi")));
});

test("report() has all groups, the machine and what is missing, within 100 columns", () => {
  const long = rowOf("long", {
    deno: { "@some-scope/some-long-name": 123456789, baozi: 123456789 },
  });
  long.results.deno!.baozi!.growth = 1;
  const bench = benchOf(ROW, { ...long, group: "Other" });
  bench.packages = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [`package-${i}`, "1.0.0"]),
  );
  const lines = report(bench);
  for (const line of ["==== Group ====", "==== Other ====", "not measured: go, not installed"]) {
    assert(lines.includes(line), line);
  }
  assert(lines.some((line) => line.includes("Abacus, 2 cores, 8 GiB, linux")));
  assert(lines.some((line) => line.includes("package-19 1.0.0")));
  for (const line of lines) assert(line.length <= 100, `${line.length}: ${line}`);
});

test("progressLine() shows how far it is, within 100 columns", () => {
  assertEquals(progressLine(3, 12, "deno: channel"), "█████···············  3/12 deno: channel");
  assertEquals(progressLine(12, 12, "x".repeat(200)).length, 100);
});

test("formatNumber() keeps three digits of what is small and all up to a million", () => {
  assertEquals([1.234, 12.34, 123.4, 1234.5].map(formatNumber), ["1.23", "12.3", "123", "1,235"]);
  assertEquals(formatNumber(123_456_789), "123 M");
  assertEquals(formatValue(98.76, "bytes"), "98.8 bytes");
});
