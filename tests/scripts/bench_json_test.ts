// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type BenchFile,
  contestantsOf,
  formatBench,
  mergeBench,
  parseBench,
  readBench,
  runtimesOf,
  titleOf,
  writeBench,
} from "../../scripts/bench/json.ts";
import { benchOf, rowOf } from "./invented_bench.ts";

const ROW = rowOf("channel", { deno: { floor: 50, effect: 400, baozi: 100, fastq: 90 } });

test("parseBench() gives back what formatBench() has written", () => {
  const bench = benchOf(ROW, { ...ROW, id: "memory", unit: "bytes", results: {} });
  assertEquals(parseBench(formatBench(bench)), bench);
});

test("formatBench() writes a figure in one line, to four digits", () => {
  const bench = benchOf(rowOf("channel", { deno: { baozi: 123.456789, floor: 61.7283 } }));
  const line = formatBench(bench).split("\n").find((line) => line.includes(`"baozi"`));
  assertEquals(
    line?.trim(),
    `"baozi": { "median": 123.5, "low": 122.5, "high": 124.5, "toFloor": 2, "toOurs": 1 },`,
  );
});

test("parseBench() says where a file is wrong, and what it has there", () => {
  const wrong = (change: (bench: BenchFile) => void, message: string): void => {
    const bench = structuredClone(benchOf(ROW));
    change(bench);
    assertThrows(
      () => parseBench(JSON.stringify(bench), "old.json"),
      TypeError,
      `Cannot read old.json: ${message}`,
    );
  };
  wrong((bench) => Object.assign(bench, { version: 2 }), "version must be one of 1, got 2");
  wrong((bench) => bench.date = "soon", `date must be a date, got "soon"`);
  wrong((bench) => bench.machine.cores = -1, "machine.cores must be a number >= 0, got -1");
  wrong((bench) => bench.packages.effect = "", `packages.effect must be a text, got ""`);
  wrong((bench) => Object.assign(bench, { rows: {} }), "rows must be an array, got {}");
  wrong((bench) => bench.rows.push(ROW), `rows[1].id must be unique, got "channel"`);
  wrong(
    (bench) => bench.rows[0]!.results.go = {},
    `a name in rows[0].results must be one of "deno", "bun", "node24", got "go"`,
  );
  wrong(
    (bench) => bench.rows[0]!.results.deno!.baozi!.median = NaN,
    "rows[0].results.deno.baozi.median must be a number >= 0, got null",
  );
  wrong(
    (bench) => Object.assign(bench.rows[0]!.results.deno!.baozi!, { growth: "1" }),
    `rows[0].results.deno.baozi.growth must be a number, got "1"`,
  );
});

test("parseBench() says that a text is not JSON", () => {
  assertThrows(
    () => parseBench("{", "old.json"),
    TypeError,
    "Cannot read old.json: it must be JSON",
  );
  assertThrows(() => parseBench("[]"), TypeError, "Cannot read bench.json: it must be an object");
});

test("readBench() reads what writeBench() wrote, and says that a file is not there", () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  try {
    const file = join(folder, "bench.json");
    assertThrows(() => readBench(file), Error, `Cannot read ${file}: it must be there`);
    writeBench(benchOf(ROW), file);
    assertEquals(readBench(file), benchOf(ROW));
    const broken = benchOf(rowOf("channel", { deno: { baozi: Infinity } }));
    assertThrows(() => writeBench(broken, file), TypeError, "must be a number >= 0, got Infinity");
    assertEquals(readBench(file), benchOf(ROW), "a broken run replaces nothing");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("mergeBench() keeps what the part did not measure", () => {
  const old = benchOf(rowOf("a", { deno: { baozi: 1 }, bun: { baozi: 2 } }), rowOf("b", {}));
  const now: BenchFile = {
    ...benchOf(rowOf("a", { deno: { baozi: 3 } }), rowOf("c", { deno: { baozi: 4 } })),
    runtimes: { deno: "3.0.0", go: "1.30" },
    notMeasured: {},
  };
  const { rows, runtimes, notMeasured } = mergeBench(old, now);
  assertEquals(rows.map(({ id }) => id), ["a", "b", "c"]);
  assertEquals(rows[0]!.results.deno!.baozi!.median, 3);
  assertEquals(rows[0]!.results.bun!.baozi!.median, 2);
  assertEquals(runtimes, { deno: "3.0.0", bun: "1.4.5", node24: "24.3.0", go: "1.30" });
  assertEquals(notMeasured, {}, "what is measured now is no longer missing");
});

test("mergeBench() refuses to mix machines", () => {
  const other = { ...benchOf(ROW), machine: { ...benchOf().machine, cpu: "Slide rule" } };
  assertThrows(
    () => mergeBench(benchOf(ROW), other),
    Error,
    "must be of this machine (Slide rule)",
  );
});

test("contestantsOf() puts floor and ours first, then the best peer", () => {
  assertEquals(contestantsOf(ROW, "deno"), ["floor", "baozi", "fastq", "effect"]);
  const turned = contestantsOf({ ...ROW, better: "higher" }, "deno");
  assertEquals(turned, ["floor", "baozi", "effect", "fastq"]);
  assertEquals(contestantsOf(ROW, "bun"), []);
});

test("runtimesOf() keeps the order of the run, titleOf() names one", () => {
  const row = rowOf("a", { node24: { baozi: 1 }, deno: { baozi: 1 } });
  const bench = benchOf(row);
  assertEquals(runtimesOf(row, bench), ["deno", "node24"]);
  assertEquals(titleOf("node24", bench), "Node 24.3.0");
  assert(titleOf("go", bench) === "Go");
});
