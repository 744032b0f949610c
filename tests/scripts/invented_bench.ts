// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Runs of the benchmark that never took place, for the tests of what is made of them.
 *
 * @module
 */

import type { BenchFile, Figure, Row } from "../../scripts/bench/json.ts";

/** A run with these rows. */
export function benchOf(...rows: Row[]): BenchFile {
  return {
    version: 1,
    date: "2026-11-21T14:00:00.000Z",
    machine: { cpu: "Abacus", cores: 2, memoryGiB: 8, os: "linux" },
    runtimes: { deno: "2.9.6", bun: "1.4.5", node24: "24.3.0" },
    packages: { effect: "4.1.0", fastq: "1.20.3", rxjs: "7.8.2", "js-csp": "1.0.1" },
    notMeasured: { go: "not installed" },
    rows,
  };
}

/** A row of nanoseconds; `results` by runtime, then the median by contestant. */
export function rowOf(id: string, results: Record<string, Record<string, number>>): Row {
  const figuresOf = (medians: Record<string, number>): Record<string, Figure> =>
    Object.fromEntries(
      Object.entries(medians).map(([name, median]) => [name, figureIn(medians, median)]),
    );
  return {
    id,
    group: "Group",
    title: `title of ${id}`,
    unit: "ns",
    better: "lower",
    results: Object.fromEntries(
      Object.entries(results).map(([runtime, medians]) => [runtime, figuresOf(medians)]),
    ),
  };
}

function figureIn({ baozi, floor }: Record<string, number>, median: number): Figure {
  return {
    median,
    low: median - 1,
    high: median + 1,
    ...(floor === undefined ? {} : { toFloor: median / floor }),
    ...(baozi === undefined ? {} : { toOurs: median / baozi }),
  };
}
