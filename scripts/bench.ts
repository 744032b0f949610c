// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Measures our words on Deno, Bun, Node 20 and Node 24, beside the bare await of each and beside
 * what other libraries have for the same work.
 *
 *     deno task bench [--quick] [--only deno,bun,node,node24] [--rows TEXT]
 *                     [--compare OLD.json] [--save] [--gate]
 *
 * - `--quick`: ours and the floor alone, the main rows, on Deno, Bun and Node; under a minute
 * - `--rows`: those whose id, heading or title has the text
 * - `--compare`: tells what became slower since that run
 * - `--save`: writes `bench.json`, or this part of it, with its page and chart
 * - `--gate`: fails when ours has become dearer in bare awaits than `bench.json` says
 *
 * @module
 */

import { cpus, release, totalmem, type as systemName } from "node:os";
import { parseArgs } from "node:util";
import { CASES } from "./bench/cases.ts";
import { compareBench } from "./bench/compare.ts";
import { type BenchContext, type RuntimeName, RUNTIMES } from "./bench/context.ts";
import { measureEcho } from "./bench/echo.ts";
import { gate } from "./bench/gate.ts";
import {
  BENCH_FILE,
  type BenchFile,
  FLOOR,
  type Machine,
  mergeBench,
  OURS,
  readBench,
  type Row,
  writeBench,
} from "./bench/json.ts";
import { measureMemory } from "./bench/memory.ts";
import { measureOthers } from "./bench/others.ts";
import { writePage } from "./bench/page.ts";
import peers from "./bench/peers/package.json" with { type: "json" };
import { race, type RaceOptions } from "./bench/race.ts";
import { progressLine, report } from "./bench/report.ts";
import { measureStartup } from "./bench/startup.ts";
import { bundleStd, STD } from "./bench/std.ts";
import type { Case } from "./bench/work.ts";
import { measureWorkers } from "./bench/workers.ts";
import { type Host, prepareHosts } from "./hosts.ts";

/** The whole, and the short form. */
const FULL: RaceOptions = { rounds: 7, ms: 15, growth: true };
const QUICK: RaceOptions = { rounds: 5, ms: 15, only: [FLOOR, OURS] };
const QUICK_RUNTIMES: readonly RuntimeName[] = ["deno", "bun", "node"];

/** What is no case, by name; only in the full form. */
const PARTS: Record<string, (context: BenchContext) => Promise<Row[]>> = {
  memory: measureMemory,
  echo: measureEcho,
  startup: measureStartup,
  workers: measureWorkers,
  "other languages": measureOthers,
};

/** Of an error, which may hold all that a program printed. */
const LINES_TOLD = 8;

/** What is asked for. */
interface Plan {
  quick: boolean;
  runtimes: readonly RuntimeName[];
  /** A row must contain it, in lower case. */
  filter: string;
  compare?: string;
  save: boolean;
  gate: boolean;
}

async function main(args: string[]): Promise<boolean> {
  const plan = parse(args);
  // Before the minutes of measuring: a file that cannot be read shall not waste them.
  const old = plan.compare === undefined ? undefined : readBench(plan.compare);
  const committed = plan.gate ? readBench() : undefined;
  const folder = Deno.makeTempDirSync();
  try {
    const bench = new Run(plan);
    await bench.begin(folder);
    const now = await bench.measure();
    const colors = Deno.stdout.isTerminal() && !Deno.noColor;
    print(report(now, { colors }));
    const measured = bench.end();
    let good = measured;
    if (old !== undefined) {
      const { lines, good: kept } = compareBench(old, now);
      print(["", `==== since ${plan.compare} ====`, "", ...lines]);
      good = kept && good;
    }
    if (committed !== undefined) {
      print(["", `==== beside ${BENCH_FILE} ====`, ""]);
      const again = bench.again.bind(bench);
      good = await gate({ committed, now, again, print: console.log }) && good;
    }
    if (plan.save) {
      if (measured) await save(plan, now);
      else console.log(`${BENCH_FILE} is left as it was: something failed`);
    }
    return good;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function parse(args: string[]): Plan {
  const { values } = parseArgs({
    args,
    options: {
      compare: { type: "string" },
      gate: { type: "boolean", default: false },
      only: { type: "string" },
      quick: { type: "boolean", default: false },
      rows: { type: "string", default: "" },
      save: { type: "boolean", default: false },
    },
  });
  const { compare, gate, only, quick, rows, save } = values;
  const all = quick ? QUICK_RUNTIMES : Object.keys(RUNTIMES);
  const runtimes = only?.split(",") ?? all;
  for (const name of runtimes) {
    if (name in RUNTIMES) continue;
    throw new TypeError(
      `Cannot run the benchmark: --only must be some of ${Object.keys(RUNTIMES).join(",")}, ` +
        `got ${JSON.stringify(name)}`,
    );
  }
  if (save && quick) {
    throw new TypeError("Cannot save the benchmark: it must be the full form, got --quick");
  }
  return {
    quick,
    runtimes: runtimes as RuntimeName[],
    filter: rows.toLowerCase(),
    ...(compare === undefined ? {} : { compare }),
    save,
    gate,
  };
}

/** What goes on from the first progress line to the last figure. */
class Run implements BenchContext {
  readonly hosts: Map<RuntimeName, Host> = new Map();
  readonly quick: boolean;
  cwd = ".";
  std?: string;
  readonly #plan: Plan;
  readonly #started: Date = new Date();
  readonly #versions: Record<string, string> = {};
  readonly #packages: Record<string, string> = {};
  readonly #notMeasured: Record<string, string> = {};
  readonly #failures: string[] = [];

  constructor(plan: Plan) {
    this.#plan = plan;
    this.quick = plan.quick;
  }

  /** Finds the runtimes and, for the full form, the peers. */
  async begin(folder: string): Promise<void> {
    for (const name of this.#plan.runtimes) {
      try {
        const host = await RUNTIMES[name]();
        this.hosts.set(name, host);
        this.found(name, host.version);
      } catch (error) {
        this.fail(`${name} could not be started`, error);
      }
    }
    if (this.quick) {
      this.cwd = await prepareHosts();
      return;
    }
    this.cwd = await prepareHosts(peers.dependencies);
    Object.assign(this.#packages, peers.dependencies);
    const std = await bundleStd(folder);
    if ("missing" in std) return this.skip(STD, std.missing);
    this.std = std.url;
    this.#packages[STD] = std.version;
  }

  async measure(): Promise<BenchFile> {
    const rows = await this.#cases();
    for (const [name, part] of this.quick ? [] : Object.entries(PARTS)) {
      try {
        rows.push(...await part(this));
      } catch (error) {
        this.fail(name, error);
      }
    }
    if (rows.length === 0) this.fail("--rows", `some row must have ${this.#plan.filter}`);
    return {
      version: 1,
      date: this.#started.toISOString(),
      machine: machine(),
      runtimes: this.#versions,
      packages: this.#packages,
      notMeasured: this.#notMeasured,
      rows: merge(rows),
    };
  }

  /** Measures a case once more, longer each time, and gives ours in floors. */
  async again(id: string, runtime: string, attempt: number): Promise<number> {
    const host = this.hosts.get(runtime as RuntimeName)!;
    const found = CASES.find((it) => it.id === id)!;
    const rounds = QUICK.rounds * (attempt + 1);
    const figures = await race(found, host, this, { ...QUICK, rounds });
    return figures[OURS]!.toFloor!;
  }

  /** Tells what failed. */
  end(): boolean {
    const all = this.#failures;
    if (all.length > 0) print(["", "==== failed ====", "", ...all]);
    const seconds = Math.round((Date.now() - this.#started.getTime()) / 1000);
    print(["", `measured in ${seconds} s${all.length === 0 ? "" : `, ${all.length} failed`}`]);
    return all.length === 0;
  }

  wants({ id, group, title }: Pick<Row, "id" | "group" | "title">): boolean {
    return `${id}\n${group}\n${title}`.toLowerCase().includes(this.#plan.filter);
  }

  progress(done: number, of: number, what: string): void {
    const line = progressLine(done, of, what);
    if (!Deno.stdout.isTerminal()) return console.log(line);
    // In one line that is written over, and empty after the last step.
    Deno.stdout.writeSync(new TextEncoder().encode(`\r\x1b[K${line}${done === of ? "\n" : ""}`));
  }

  fail(what: string, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    // A runtime may print all of its source line, and every frame.
    this.#failures.push(`${what}: ${text.split("\n").slice(0, LINES_TOLD).join("\n")}`);
  }

  found(language: string, version: string): void {
    this.#versions[language] = version;
  }

  skip(name: string, reason: string): void {
    this.#notMeasured[name] = reason;
  }

  async #cases(): Promise<Row[]> {
    const cases = CASES.filter((it) => this.wants(it) && (!this.quick || it.quick));
    const rows: Row[] = [];
    let done = 0;
    for (const found of cases) {
      const row = rowOf(found);
      for (const [runtime, host] of this.hosts) {
        const what = `${found.id} on ${host.name} ${host.version}`;
        this.progress(++done, cases.length * this.hosts.size, what);
        try {
          row.results[runtime] = await race(found, host, this, this.quick ? QUICK : FULL);
        } catch (error) {
          this.fail(what, error);
        }
      }
      rows.push(row);
    }
    return rows;
  }
}

function rowOf({ id, group, title }: Case): Row {
  return { id, group, title, unit: "ns", better: "lower", results: {} };
}

/** Rows of one id become one: other languages do the work of a row of ours. Empty ones go. */
function merge(rows: readonly Row[]): Row[] {
  const byId = new Map<string, Row>();
  for (const row of rows) {
    const first = byId.get(row.id);
    if (first === undefined) byId.set(row.id, row);
    else Object.assign(first.results, row.results);
  }
  return [...byId.values()].filter(({ results }) => Object.keys(results).length > 0);
}

function machine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${systemName()} ${release()}`,
  };
}

async function save(plan: Plan, now: BenchFile): Promise<void> {
  const whole = plan.filter === "" && plan.runtimes.length === Object.keys(RUNTIMES).length;
  const saved = whole ? now : mergeBench(readBench(), now);
  writeBench(saved);
  await writePage(readBench()); // its figures are rounded, and the page is checked against them
}

function print(lines: readonly string[]): void {
  console.log(lines.join("\n"));
}

Deno.exit(await main([...Deno.args]) ? 0 : 1);
