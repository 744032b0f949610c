// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { test } from "node:test";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { chart } from "../../scripts/bench/chart.ts";
import type { Row } from "../../scripts/bench/json.ts";
import { benchOf, rowOf } from "./invented_bench.ts";

const ROW = rowOf("channel", {
  deno: { floor: 50, baozi: 100, effect: 300, "js-csp": 2000, rxjs: 200, fastq: 150 },
  bun: { floor: 50, baozi: 200, effect: 600 },
});

function draw(...rows: Row[]): string {
  return chart(benchOf(...rows), { rows: rows.map(({ id }) => id) });
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

test("chart() draws floor, ours and the three best packages on each runtime", () => {
  const svg = draw(ROW);
  assertEquals(count(svg, `<rect class="floor"`), 1 + 2, "the legend and two runtimes");
  assertEquals(count(svg, `<rect class="ours"`), 1 + 2);
  assertEquals(count(svg, `<rect class="package"`), 1 + 4);
  for (const part of [">Deno 2.9.6<", ">Bun 1.4.5<", ">fastq<", ">rxjs<", ">effect<"]) {
    assert(svg.includes(part), part);
  }
  assert(!svg.includes(">js-csp<"), "the slowest is left out");
  assertEquals(count(svg, `<text class="host"`), 2, "a runtime without a figure has no column");
});

test("chart() draws one peer that is of the host alone, in the place of a package", () => {
  const svg = draw(rowOf("channel", {
    deno: { baozi: 100, promises: 50, timers: 60, fastq: 150, rxjs: 200, effect: 300 },
  }));
  assertEquals(count(svg, `<rect class="host-peer"`), 1 + 1);
  assertEquals(count(svg, `<rect class="package"`), 1 + 2);
  assert(svg.includes(">promises<") && !svg.includes(">timers<") && !svg.includes(">effect<"));
});

test("chart() makes bars of a length that goes with the figure, and cuts the longest", () => {
  const svg = draw(rowOf("channel", { deno: { floor: 50, baozi: 100, effect: 5000 } }));
  const widths = ["floor", "ours", "package"].map((kind) => {
    const bars = [...svg.matchAll(new RegExp(`<rect class="${kind}"[^>]* width="([\\d.]+)"`, "g"))];
    return Number(bars[1]![1]);
  });
  assert(Math.abs(widths[1]! / widths[0]! - 2) < 0.05);
  assert(Math.abs(widths[2]! / widths[1]! - 6) < 0.05);
  assertEquals(count(svg, `class="cut"`), 1);
});

test("chart() is well-formed, has title and description, and escapes texts", () => {
  const svg = draw({ ...ROW, title: "a < b & c" });
  assert(svg.includes("<title id="));
  assert(svg.includes("a &lt; b &amp; c, in ns, lower is better: floor 50.0, baozi 100 to 200"));
  assert(svg.includes(`aria-labelledby="title desc"`));
  assert(svg.includes("prefers-color-scheme: dark"));
  assert(!/<(?![/a-z])/.test(svg) && !/&(?!amp;|lt;|gt;)/.test(svg));
  for (const name of ["svg", "title", "desc", "style", "text", "tspan"]) {
    assertEquals(
      count(svg, `</${name}>`),
      svg.match(new RegExp(`<${name}[ >]`, "g"))!.length,
      name,
    );
  }
  assert(!svg.includes("NaN") && !svg.includes("undefined"));
});

test("chart() names date, machine, versions and what is missing", () => {
  const svg = draw(ROW);
  for (
    const part of ["2026-11-21, Abacus, 2 cores", "effect 4.1.0", "Not measured: go, not installed"]
  ) {
    assert(svg.includes(part), part);
  }
  assert(Number(/ width="(\d+)"/.exec(svg)![1]) <= 900);
});

test("chart() refuses a row that was not run", () => {
  assertThrows(
    () => chart(benchOf(ROW), { rows: ["select"] }),
    Error,
    "Cannot draw the chart: the run must have the row select",
  );
  assertThrows(() => draw(rowOf("a", {})), Error, "Cannot draw the chart: a runtime must have");
});
