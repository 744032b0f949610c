// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { compareBench } from "../../scripts/bench/compare.ts";
import type { Row } from "../../scripts/bench/json.ts";
import { benchOf, rowOf } from "./invented_bench.ts";

/** Ours at a floor of 100. */
function at(id: string, baozi: number): Row {
  return rowOf(id, { deno: { floor: 100, baozi } });
}

test("compareBench() sorts what became slower and faster, the most first", () => {
  const old = benchOf(at("a", 100), at("b", 100), at("c", 100), at("d", 100), at("e", 100));
  const now = benchOf(at("a", 112), at("b", 120), at("c", 80), at("d", 50), at("e", 108));
  assertEquals(compareBench(old, now), {
    good: true,
    lines: [
      "slower:",
      "  b on deno: 1.00 floors -> 1.20 floors, +20 % of cost",
      "  a on deno: 1.00 floors -> 1.12 floors, +12 % of cost",
      "",
      "faster:",
      "  d on deno: 1.00 floors -> 0.50 floors, -50 % of cost",
      "  c on deno: 1.00 floors -> 0.80 floors, -20 % of cost",
      "",
      "5 compared by the ratio to the floor, or by the figure where there is none: " +
      "2 slower and 2 faster by more than 10 %",
    ],
  });
});

test("compareBench() fails when something became slower by more than 25 %", () => {
  const { good, lines } = compareBench(benchOf(at("a", 100)), benchOf(at("a", 126)));
  assert(!good);
  assertEquals(lines[1], "  FAIL a on deno: 1.00 floors -> 1.26 floors, +26 % of cost");
  assert(lines.at(-1)!.endsWith(", 1 too much"));
});

test("compareBench() goes by the floor, not by the time", () => {
  const now = benchOf(rowOf("a", { deno: { floor: 1000, baozi: 1000 } }));
  assertEquals(compareBench(benchOf(at("a", 100)), now).lines.length, 1);
});

test("compareBench() goes by the figure where there is no floor, whichever way it counts", () => {
  const bytes = (median: number): Row => ({
    ...rowOf("memory", { deno: { baozi: median } }),
    unit: "bytes",
  });
  const rate = (median: number): Row => ({
    ...rowOf("echo", { deno: { baozi: median } }),
    unit: "requests/s",
    better: "higher",
  });
  const { good, lines } = compareBench(
    benchOf(bytes(400), rate(30_000)),
    benchOf(bytes(300), rate(20_000)),
  );
  assert(!good);
  assertEquals(lines.slice(0, 5), [
    "slower:",
    "  FAIL echo on deno: 30,000 requests/s -> 20,000 requests/s, +50 % of cost",
    "",
    "faster:",
    "  memory on deno: 400 bytes -> 300 bytes, -25 % of cost",
  ]);
});

test("compareBench() tells which peer was passed, and which has passed us", () => {
  const old = benchOf(rowOf("a", { deno: { floor: 50, baozi: 100, effect: 90, fastq: 110 } }));
  const now = benchOf(rowOf("a", { deno: { floor: 50, baozi: 100, effect: 130, fastq: 95 } }));
  assertEquals(compareBench(old, now).lines.slice(0, 3), [
    "other order beside a peer:",
    "  a on deno: now behind fastq",
    "  a on deno: now ahead of effect",
  ]);
});

test("compareBench() tells what was not measured this time", () => {
  const { good, lines } = compareBench(benchOf(at("a", 100), at("b", 100)), benchOf(at("a", 100)));
  assert(good);
  assertEquals(lines.slice(0, 2), ["not measured this time:", "  b on deno"]);

  const many = Array.from({ length: 9 }, (_, i) => at(`row-${i}`, 100));
  const few = compareBench(benchOf(...many, at("a", 100)), benchOf(at("a", 100))).lines;
  assertEquals(few.slice(0, 2), ["not measured this time:", "  9 results"]);
});
