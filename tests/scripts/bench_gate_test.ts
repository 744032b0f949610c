// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { gate, GATE_RETRIES } from "../../scripts/bench/gate.ts";
import { type BenchFile, figureOf } from "../../scripts/bench/json.ts";
import { benchOf, rowOf } from "./invented_bench.ts";

const committed = benchOf(rowOf("channel", { deno: { floor: 50, baozi: 100 } }));

interface Judged {
  good: boolean;
  lines: string[];
  attempts: number[];
}

/** Judges ours at `median`, and at those of `again` when it is measured once more. */
async function judge(median: number, again: number[] = [], file = committed): Promise<Judged> {
  const lines: string[] = [], attempts: number[] = [];
  const good = await gate({
    committed: file,
    now: benchOf(rowOf("channel", { deno: { floor: 50, baozi: median } })),
    again(id, runtime, attempt) {
      assertEquals([id, runtime], ["channel", "deno"]);
      attempts.push(attempt);
      return Promise.resolve(again[attempt - 1]! / 50);
    },
    print: (line) => lines.push(line),
  });
  return { good, lines, attempts };
}

test("gate() passes what is no more than 25 % dearer in floors", async () => {
  assertEquals(await judge(125), {
    good: true,
    attempts: [],
    lines: [
      "ok   channel on deno: 2.00 -> 2.50 floors, +25 %",
      "1 ratios to the floor, none more than +25 % above bench.json",
    ],
  });
});

test("gate() goes by the floor, not by the time", async () => {
  const now = benchOf(rowOf("channel", { deno: { floor: 500, baozi: 1000 } }));
  const again = (): Promise<number> => Promise.reject(new Error("not slower"));
  assert(await gate({ committed, now, again, print: () => {} }));
});

test("gate() measures again what seems dearer, and the best counts", async () => {
  const { good, lines, attempts } = await judge(200, [180, 110]);
  assert(good);
  assertEquals(attempts, [1, 2]);
  assertEquals(lines[0], "ok   channel on deno: 2.00 -> 2.20 floors, +10 %, the best of 3");
});

test("gate() fails what is dearer each time", async () => {
  const { good, lines, attempts } = await judge(200, [190, 170, 180]);
  assert(!good);
  assertEquals(attempts.length, GATE_RETRIES);
  assertEquals(lines, [
    "FAIL channel on deno: 2.00 -> 3.40 floors, +70 %, the best of 4",
    "More than +25 % above bench.json: channel on deno",
  ]);
});

test("gate() refuses a row that bench.json does not have", async () => {
  const files: BenchFile[] = [
    benchOf(),
    benchOf(rowOf("channel", { bun: { floor: 50, baozi: 100 } })),
    benchOf(rowOf("channel", { deno: { baozi: 100 } })),
  ];
  for (const file of files) {
    await assertRejects(
      () => judge(100, [], file),
      Error,
      "Cannot judge channel: bench.json must have it on deno; run `deno task bench --save`",
    );
  }
});

test("gate() leaves out what has no floor, and refuses to judge nothing", async () => {
  const now = benchOf(rowOf("memory", { deno: { baozi: 100 } }));
  assertEquals(figureOf(now.rows[0]!, "deno", "baozi")?.toFloor, undefined);
  const again = (): Promise<number> => Promise.resolve(1);
  await assertRejects(
    () => gate({ committed, now, again, print: () => {} }),
    Error,
    "Cannot judge: the short run must have a row with a floor",
  );
});
