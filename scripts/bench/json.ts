// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What `bench.json` holds: the figures of a whole run, and where they were taken. Tables, chart,
 * comparison and gate are all made of it.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";

/** Where the figures of the last full run are kept, from the root of the repository. */
export const BENCH_FILE = "bench.json";

/** The contestant that is ours. */
export const OURS = "baozi";

/** The contestant that is a bare await. */
export const FLOOR = "floor";

/** The contestant that is of `@std/async`. */
const STD = "std";

/** A run. */
export interface BenchFile {
  version: 1;
  /** When it began, as ISO 8601. */
  date: string;
  machine: Machine;
  /** The version by the name of the runtime: `deno`, `bun`, `node`, `node24`; also `go`, `python`. */
  runtimes: Record<string, string>;
  /** The version by the name of the peer. */
  packages: Record<string, string>;
  /** The reason by the name of what could not be measured. */
  notMeasured: Record<string, string>;
  rows: Row[];
}

/** Where a run took place. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  os: string;
}

/** One kind of work, done by all. */
export interface Row {
  /** Unique, kebab-case. */
  id: string;
  /** The heading under which it is printed. */
  group: string;
  title: string;
  /** Of the figures, per operation or per thing. */
  unit: Unit;
  better: "lower" | "higher";
  /** By runtime, then by contestant. */
  results: Record<string, Record<string, Figure>>;
}

/** What a figure counts. */
export type Unit = "ns" | "bytes" | "ms" | "requests/s";

/** What the rounds gave. */
export interface Figure {
  median: number;
  /** The lower quartile. */
  low: number;
  /** The upper quartile. */
  high: number;
  /** Median over the rounds of this contestant divided by the floor. */
  toFloor?: number;
  /** Median over the rounds of this contestant divided by ours. */
  toOurs?: number;
  /** Cost goes with size to the power of this, seen at ten times the size; 1 is linear. */
  growth?: number;
}

/** Reads and checks a file. @throws {TypeError} If it is not what it must be. */
export function readBench(file: string | URL = BENCH_FILE): BenchFile {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new Error(
      `Cannot read ${file}: it must be there; \`deno task bench --save\` writes ${BENCH_FILE}`,
      { cause },
    );
  }
  return parseBench(text, String(file));
}

/** Writes a file. @throws {TypeError} If `bench` is not what it must be. */
export function writeBench(bench: BenchFile, file: string | URL = BENCH_FILE): void {
  new Checker(`write ${file}`).file(bench);
  writeFileSync(file, formatBench(bench));
}

/** The run in `text`; `name` is for the errors. @throws {TypeError} If it is not what it must be. */
export function parseBench(text: string, name: string = BENCH_FILE): BenchFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TypeError(`Cannot read ${name}: it must be JSON, ${(cause as Error).message}`, {
      cause,
    });
  }
  new Checker(`read ${name}`).file(value);
  return value as BenchFile;
}

/** As `deno fmt` writes it, with each figure in a line of its own. */
export function formatBench(bench: BenchFile): string {
  const figures: string[] = [];
  const text = JSON.stringify(
    bench,
    (_, value) => {
      if (typeof value?.median !== "number") return value;
      const fields = Object.entries<number>(value)
        .filter(([, number]) => number !== undefined)
        .map(([field, number]) => `"${field}": ${rounded(number)}`);
      return `\u0001${figures.push(`{ ${fields.join(", ")} }`) - 1}\u0001`;
    },
    2,
  );
  return text.replace(/"\\u0001(\d+)\\u0001"/g, (_, at) => figures[Number(at)]!) + "\n";
}

/**
 * `old` with the results of `now` in the place of its own: for a run of some rows or runtimes.
 *
 * @throws {Error} If they were taken on different machines.
 */
export function mergeBench(old: BenchFile, now: BenchFile): BenchFile {
  if (old.machine.cpu !== now.machine.cpu || old.machine.cores !== now.machine.cores) {
    throw new Error(
      `Cannot save a part of the benchmark: ${BENCH_FILE} must be of this machine ` +
        `(${now.machine.cpu}), got ${old.machine.cpu}; run it whole`,
    );
  }
  const rows = now.rows.map((row) => {
    const before = old.rows.find(({ id }) => id === row.id);
    return { ...row, results: { ...before?.results, ...row.results } };
  });
  const merged = old.rows.map((row) => rows.find(({ id }) => id === row.id) ?? row);
  const added = rows.filter(({ id }) => !old.rows.some((row) => row.id === id));
  const notMeasured = Object.entries({ ...old.notMeasured, ...now.notMeasured })
    .filter(([name]) => !(name in now.runtimes) && !(name in now.packages));
  return {
    ...now,
    runtimes: { ...old.runtimes, ...now.runtimes },
    packages: { ...old.packages, ...now.packages },
    notMeasured: Object.fromEntries(notMeasured),
    rows: [...merged, ...added],
  };
}

/** The runtimes of a row, in the order of the run. */
export function runtimesOf({ results }: Row, { runtimes }: BenchFile): string[] {
  return Object.keys(runtimes).filter((runtime) => results[runtime] !== undefined);
}

/** The floor, ours, then the peers, the best first. */
export function contestantsOf({ results, better }: Row, runtime: string): string[] {
  const first = [FLOOR, OURS];
  const here = Object.entries(results[runtime] ?? {});
  const peers = here.filter(([name]) => !first.includes(name)).sort(([, a], [, b]) =>
    better === "lower" ? a.median - b.median : b.median - a.median
  );
  return [
    ...first.filter((name) => figureOf({ results }, runtime, name) !== undefined),
    ...peers.map(([name]) => name),
  ];
}

/** Whether a peer is a package; the others are what the host offers by itself. */
export function isPackage(name: string, { packages }: BenchFile): boolean {
  return name in packages || (name === STD && "@std/async" in packages);
}

/** The name and version of a runtime, as printed. */
export function titleOf(runtime: string, { runtimes }: BenchFile): string {
  const name = runtime.replace(/\d+$/, "");
  const version = runtimes[runtime] ?? "";
  return `${name.slice(0, 1).toUpperCase()}${name.slice(1)} ${version}`.trimEnd();
}

/** The figure, if it was taken. */
export function figureOf(
  { results }: Pick<Row, "results">,
  runtime: string,
  contestant: string,
): Figure | undefined {
  return results[runtime]?.[contestant];
}

/** Four digits say more than the rounds know. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** Walks a file and complains at the first place that is wrong, by its path. */
class Checker {
  readonly #verb: string;

  /** @param verb What is done, for the errors. */
  constructor(verb: string) {
    this.#verb = verb;
  }

  file(value: unknown): void {
    const file = this.#object(value, "");
    this.#one(file.version, "version", [1]);
    if (Number.isNaN(Date.parse(this.#text(file.date, "date")))) {
      this.#fail("date", "a date", file.date);
    }
    const machine = this.#object(file.machine, "machine");
    this.#text(machine.cpu, "machine.cpu");
    this.#count(machine.cores, "machine.cores");
    this.#count(machine.memoryGiB, "machine.memoryGiB");
    this.#text(machine.os, "machine.os");
    for (const field of ["runtimes", "packages", "notMeasured"] as const) {
      for (const [name, version] of Object.entries(this.#object(file[field], field))) {
        this.#text(version, `${field}.${name}`);
      }
    }
    if (!Array.isArray(file.rows)) this.#fail("rows", "an array", file.rows);
    const ids = new Set<string>();
    for (const [i, value] of (file.rows as unknown[]).entries()) {
      const id = this.#row(value, `rows[${i}]`, Object.keys(file.runtimes as object));
      if (ids.has(id)) this.#fail(`rows[${i}].id`, "unique", id);
      ids.add(id);
    }
  }

  #row(value: unknown, at: string, runtimes: readonly string[]): string {
    const row = this.#object(value, at);
    const id = this.#text(row.id, `${at}.id`);
    this.#text(row.group, `${at}.group`);
    this.#text(row.title, `${at}.title`);
    this.#one(row.unit, `${at}.unit`, ["ns", "bytes", "ms", "requests/s"]);
    this.#one(row.better, `${at}.better`, ["lower", "higher"]);
    for (const [runtime, results] of Object.entries(this.#object(row.results, `${at}.results`))) {
      this.#one(runtime, `a name in ${at}.results`, runtimes);
      const here = `${at}.results.${runtime}`;
      for (const [contestant, figure] of Object.entries(this.#object(results, here))) {
        this.#figure(figure, `${here}.${contestant}`);
      }
    }
    return id;
  }

  #figure(value: unknown, at: string): void {
    const figure = this.#object(value, at);
    for (const field of ["median", "low", "high"] as const) {
      this.#count(figure[field], `${at}.${field}`);
    }
    for (const field of ["toFloor", "toOurs"] as const) {
      if (figure[field] !== undefined) this.#count(figure[field], `${at}.${field}`);
    }
    const { growth } = figure;
    if (growth !== undefined && !Number.isFinite(growth)) {
      this.#fail(`${at}.growth`, "a number", growth);
    }
  }

  #object(value: unknown, at: string): Record<string, unknown> {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    return this.#fail(at, "an object", value);
  }

  #text(value: unknown, at: string): string {
    return typeof value === "string" && value !== "" ? value : this.#fail(at, "a text", value);
  }

  #count(value: unknown, at: string): void {
    if (typeof value !== "number" || !(value >= 0 && value < Infinity)) {
      this.#fail(at, "a number >= 0", value);
    }
  }

  #one(value: unknown, at: string, all: readonly unknown[]): void {
    if (!all.includes(value)) {
      this.#fail(at, `one of ${all.map((one) => JSON.stringify(one)).join(", ")}`, value);
    }
  }

  #fail(at: string, what: string, got: unknown): never {
    const place = at === "" ? "it" : at;
    throw new TypeError(
      `Cannot ${this.#verb}: ${place} must be ${what}, got ${shown(got)}`,
    );
  }
}

function shown(value: unknown): string {
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}
