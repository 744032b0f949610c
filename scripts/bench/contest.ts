// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * One case in a process of its own: the bare await, ours and the peers, measured in turns.
 * Without `--serve` it measures a few rounds by itself and prints them.
 *
 *     contest.ts --case ID [--only NAME]… [--ms 20] [--std=URL] [--serve | --grow]
 *     contest.ts --list
 *
 * With `--serve` it says {@linkcode Ready} once, then answers each line of its standard input by a
 * line of JSON, and ends when that input ends:
 *
 *     round        {@linkcode Round}, ns per operation
 *     grow         {@linkcode Growth}
 *
 * @module
 */

import { argv, exit, stdin } from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Bench } from "tinybench";
import { CASES, findCase } from "./cases.ts";
import { bareAwait } from "./cases/floor.ts";
import { figuresOf, type Round } from "./figures.ts";
import { FLOOR, OURS } from "./json.ts";
import { median } from "./statistics.ts";
import type { Batch, Case, Prepare } from "./work.ts";

/** Who stands in the race, before the first round. */
export interface Ready {
  contestants: string[];
  /** Why the others do not, by name. */
  failed: Record<string, string>;
}

/** How the time of one batch of ours grows with its size. */
export interface Growth {
  /** 1 is linear. */
  exponent: number;
}

const FLOOR_SIZE = 10_000;

/** How long a contestant runs before it is measured; its code is compiled by then. */
const WARM_UP_MS = 50;

/** Shorter batches are timed several at once: all then meet what else the machine does alike. */
const SAMPLE_MS = 2;

/** A peer whose batch takes longer takes part in one round of three, or in the first alone. */
const SLOW_MS = 100;
const CRAWLING_MS = 1_000;

/** A batch that takes longer is large: growth is measured up to its size, not up from it. */
const LARGE_MS = 20;
const GROWTH_ROUNDS = 3;

const ALONE_ROUNDS = 9;

interface Contestant {
  name: string;
  /** Operations that are timed at once. */
  size: number;
  batch: Batch;
  slow: boolean;
  /** It takes part in every so many rounds. */
  every: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      case: { type: "string", default: "" },
      grow: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      ms: { type: "string", default: "20" },
      only: { type: "string", multiple: true, default: [] },
      serve: { type: "boolean", default: false },
      std: { type: "string" }, // read by loadStd()
    },
  });
  if (values.list) return console.log(CASES.map(({ id }) => id).join("\n"));
  const found = findCase(values.case);
  const contest = new Contest(found, Number(values.ms));
  const ready = await contest.prepare(values.only);
  if (values.serve) await serve(contest, ready);
  else if (values.grow) console.log(await contest.grow());
  else await alone(contest, ready);
}

async function serve(contest: Contest, ready: Ready): Promise<void> {
  console.log(JSON.stringify(ready));
  for await (const line of createInterface({ input: stdin })) {
    switch (line) {
      case "round":
        console.log(JSON.stringify(await contest.round() satisfies Round));
        break;
      case "grow":
        console.log(JSON.stringify(await contest.grow() satisfies Growth));
        break;
      default:
        throw new TypeError(`Cannot answer: a line must be round or grow, got ${line}`);
    }
  }
}

async function alone(contest: Contest, { failed }: Ready): Promise<void> {
  const rounds: Round[] = [];
  for (let i = 0; i < ALONE_ROUNDS; i++) rounds.push(await contest.round());
  const print = (name: string, cells: string[]): void =>
    console.log(name.padEnd(20) + cells.map((cell) => cell.padStart(12)).join(""));
  print("", ["ns/op", "x floor", "x ours"]);
  for (const [name, { median, toFloor, toOurs }] of Object.entries(figuresOf(rounds))) {
    print(name, [median, toFloor, toOurs].map((value) => value?.toFixed(2) ?? ""));
  }
  for (const [name, why] of Object.entries(failed)) console.log(`${name} failed: ${why}`);
}

/** The contestants of one case, and whose turn it is. */
class Contest {
  readonly #case: Case;
  readonly #ms: number;
  #contestants: Contestant[] = [];
  #rounds = 0;

  constructor(found: Case, ms: number) {
    this.#case = found;
    this.#ms = ms;
  }

  get names(): string[] {
    return this.#contestants.map(({ name }) => name);
  }

  /** Makes the batches and warms them up. A peer that fails stays out, the others go on. */
  async prepare(only: readonly string[]): Promise<Ready> {
    const entries: Array<[string, Prepare]> = [
      [FLOOR, bareAwait],
      ...Object.entries(this.#case.contestants),
    ];
    const failed: Record<string, string> = {};
    for (const [name, prepare] of entries) {
      if (only.length > 0 && !only.includes(name)) continue;
      const size = name === FLOOR ? FLOOR_SIZE : this.#case.size;
      try {
        const batch = await prepare(size);
        if (batch === undefined) continue;
        const ms = await warmUp(batch);
        const times = Math.max(1, Math.round(SAMPLE_MS / ms));
        this.#contestants.push({
          name,
          size: size * times,
          batch: repeat(batch, times),
          slow: ms > SLOW_MS,
          every: turnsOf(name, ms),
        });
      } catch (error) {
        failed[name] = `${error}`;
      }
    }
    return { contestants: this.names, failed };
  }

  /** Measures everybody whose turn it is. */
  async round(): Promise<Round> {
    const turn = this.#rounds++;
    const all = this.#contestants;
    // Each begins in its turn, forwards and backwards: nobody always stands behind the same one,
    // whose garbage it would have to collect.
    const order = all.map((_, i) => all[(i + turn) % all.length]!);
    if (turn % 2 === 1) order.reverse();
    const round: Round = {};
    for (const contestant of order) {
      if (turn % contestant.every !== 0) continue;
      round[contestant.name] = await this.#measure(contestant);
    }
    return round;
  }

  /** Measures how ours grows when its size does by ten. */
  async grow(): Promise<Growth> {
    const { size } = this.#case;
    const ratios: number[] = [];
    let small = await this.#ours(size), large: Batch;
    if (await warmUp(small) < LARGE_MS) large = await this.#ours(size * 10);
    else [small, large] = [await this.#ours(size / 10), small];
    for (let round = 0; round < GROWTH_ROUNDS; round++) {
      let one = 0;
      for (let i = 0; i < GROWTH_ROUNDS; i++) one += await took(small) / GROWTH_ROUNDS;
      ratios.push(await took(large) / one);
    }
    return { exponent: Math.log10(median(ratios)) };
  }

  async #ours(size: number): Promise<Batch> {
    const batch = await this.#case.contestants.baozi(size);
    if (batch !== undefined) return batch;
    throw new Error("Cannot measure growth: ours must be there, got undefined");
  }

  async #measure({ name, size, batch, slow }: Contestant): Promise<number> {
    // Brings its own code and objects back into the caches, after the others.
    if (!slow) await batch();
    const bench = new Bench({ time: this.#ms, iterations: 1, warmup: false, throws: true });
    bench.add(name, batch);
    await bench.run();
    const result = bench.getTask(name)?.result;
    if (result?.state !== "completed") throw new Error(`Cannot measure ${name}: no result`);
    // The least of the round: what the machine does beside only ever adds.
    return result.latency.min * 1e6 / size;
  }
}

function turnsOf(name: string, ms: number): number {
  if (name === OURS) return ms > CRAWLING_MS ? 3 : 1;
  return ms > CRAWLING_MS ? Infinity : ms > SLOW_MS ? 3 : 1;
}

/** Gives the least time of a batch. */
async function warmUp(batch: Batch): Promise<number> {
  const start = performance.now();
  let ms = Infinity;
  do ms = Math.min(ms, await took(batch)); while (performance.now() - start < WARM_UP_MS);
  return ms;
}

function repeat(batch: Batch, times: number): Batch {
  if (times === 1) return batch;
  return async () => {
    for (let i = 0; i < times; i++) await batch();
  };
}

async function took(batch: Batch): Promise<number> {
  const start = performance.now();
  await batch();
  return performance.now() - start;
}

await main();
exit(0); // some peers leave timers behind
