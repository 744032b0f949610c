// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Measures the echo server over `baozi/net` beside the raw callbacks of the same runtime, on loopback,
 * bounded in time and count.
 *
 *     deno task load [--quick] [--only deno|bun|node]
 *
 * @module
 */

// Both servers run at the same time and take turns in short windows, so that what disturbs the machine
// disturbs both; the ratio is the median of the ratios of neighbouring windows. The time on the
// processor says what the server costs also where the client is the slower one.

import { findBun, findDeno, findNode, type Host, prepareHosts } from "./hosts.ts";
import type { Order } from "./load/client.ts";
import type { Used } from "./load/server.ts";

const RUNTIMES = { deno: findDeno, bun: findBun, node: findNode } as const;
type RuntimeName = keyof typeof RUNTIMES;

const LEVELS = [{ active: 1, idle: 0 }, { active: 100, idle: 0 }, { active: 1000, idle: 0 }];
const MOST_IDLE = 10_000;
/** Files that the processes need for themselves. */
const SPARE_FILES = 400;

interface Plan {
  rounds: number;
  ms: number;
  /** So long each server is used first, at 100 connections: compilers take their time. */
  warmMs: number;
  idle: number;
}

/** A program that answers each line with one. */
class Peer {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;

  constructor(host: Host, cwd: string, file: string, args: readonly string[]) {
    const gc = { Deno: ["--v8-flags=--expose-gc"], Node: ["--expose-gc"], Bun: [] }[host.name];
    const [first, ...more] = host.runArgs;
    const flags = host.name === "Deno"
      ? [first!, ...more, ...gc, "--import-map=tests/offline.json"]
      : [...gc, ...host.runArgs];
    this.#child = new Deno.Command(host.command, {
      args: [...flags, file, ...args],
      cwd,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout);
  }

  async next<T>(): Promise<T> {
    const { done, value } = await this.#lines.next();
    if (done === true) throw new Error("Cannot measure: a process has ended");
    const answer = JSON.parse(value);
    if (answer.error !== undefined) throw new Error(`Cannot measure: ${answer.error}`);
    return answer;
  }

  async ask<T>(line: string): Promise<T> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
    return await this.next<T>();
  }

  async end(): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#child.status;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

async function main(args: string[]): Promise<void> {
  const at = args.indexOf("--only");
  const names = at < 0 ? Object.keys(RUNTIMES) : [args[at + 1] ?? ""];
  for (const name of names) {
    if (name in RUNTIMES) continue;
    throw new TypeError(
      `Cannot run the load: --only must be deno, bun or node, got ${JSON.stringify(name)}`,
    );
  }
  const idle = Math.min(MOST_IDLE, await openFiles() - SPARE_FILES);
  const plan = args.includes("--quick")
    ? { rounds: 3, ms: 300, warmMs: 1000, idle: Math.min(idle, 1000) }
    : { rounds: 7, ms: 700, warmMs: 4000, idle };
  if (plan.idle < MOST_IDLE && !args.includes("--quick")) {
    console.log(
      `Only ${idle} idle connections: the limit of open files (ulimit -n) allows no more`,
    );
  }
  const cwd = await prepareHosts();
  const bun = await findBun();
  for (const name of names) await loadOn(await RUNTIMES[name as RuntimeName](), bun, cwd, plan);
}

/** How many files a process may have open. */
async function openFiles(): Promise<number> {
  try {
    const limits = await Deno.readTextFile("/proc/self/limits");
    const text = /Max open files\s+(\d+)/.exec(limits)?.[1];
    return text === undefined ? 1024 : Number(text);
  } catch {
    return 1024;
  }
}

async function loadOn(host: Host, clientHost: Host, cwd: string, plan: Plan): Promise<void> {
  console.log(`\n==== ${host.name} ${host.version}, clients on ${clientHost.name} ====`);
  const folder = (name: Host["name"]): string => name === "Deno" ? "." : cwd;
  const client = new Peer(clientHost, cwd, "scripts/load/client.ts", []);
  await client.next();
  const start = async (kind: "ours" | "raw") => {
    const peer = new Peer(host, folder(host.name), "scripts/load/server.ts", [kind]);
    return { peer, ...await peer.next<{ port: number }>() };
  };
  const ours = await start("ours"), raw = await start("raw");
  type Side = typeof ours;
  const order = (
    side: Side,
    rest: Omit<Order, "port">,
  ): Promise<{ requests: number; ms: number }> =>
    client.ask(JSON.stringify({ port: side.port, ...rest }));
  const usage = (side: Side, line = "used"): Promise<Used> => side.peer.ask<Used>(line);
  const window = async (side: Side, level: { active: number; idle: number }) => {
    const before = await usage(side);
    const { requests, ms } = await order(side, { ...level, ms: plan.ms });
    const after = await usage(side);
    return { rate: requests / ms * 1000, cpu: (after.cpu - before.cpu) / requests };
  };
  const compare = async (title: string, level: { active: number; idle: number }) => {
    const rates: number[] = [], rawRates: number[] = [], ratios: number[] = [], cpus: number[] = [];
    for (let round = -1; round < plan.rounds; round++) {
      const both = round % 2 === 0 ? [ours, raw] : [raw, ours];
      const seen = new Map<Side, Awaited<ReturnType<typeof window>>>();
      for (const side of both) seen.set(side, await window(side, level));
      if (round < 0) continue; // warms up
      const a = seen.get(ours)!, b = seen.get(raw)!;
      rates.push(a.rate);
      rawRates.push(b.rate);
      ratios.push(a.rate / b.rate);
      cpus.push(a.cpu / b.cpu);
    }
    console.log(
      `${title.padEnd(28)}${perSecond(median(rates))} ours ${perSecond(median(rawRates))} raw  ` +
        `ratio ${median(ratios).toFixed(2)} (${spread(ratios)})  ` +
        `processor ${median(cpus).toFixed(2)} (${spread(cpus)})`,
    );
  };
  for (const side of [ours, raw]) await order(side, { active: 100, idle: 0, ms: plan.warmMs });
  for (const level of LEVELS) await compare(`${level.active} connections`, level);
  await Promise.all([ours.peer.end(), raw.peer.end()]);

  // In new processes: what the old ones have taken from the system would serve the idle ones for nothing.
  const memory: Record<string, number> = {};
  for (const kind of ["ours", "raw"] as const) {
    const side = await start(kind);
    await order(side, { active: 100, idle: 0, ms: plan.warmMs });
    const before = await usage(side, "memory");
    await order(side, { active: 0, idle: plan.idle, ms: 0 });
    const after = await usage(side, "memory");
    memory[kind] = (after.rss - before.rss) / plan.idle / 1024;
    if (kind === "ours") {
      const { rate } = await window(side, { active: 100, idle: plan.idle });
      console.log(`100 beside ${plan.idle} idle ones: ${perSecond(rate)} ours`);
      const open = (await usage(side)).connections;
      if (open < plan.idle) throw new Error(`Cannot measure: ${open} connections are left`);
    } else {
      const { rate } = await window(side, { active: 100, idle: plan.idle });
      console.log(`100 beside ${plan.idle} idle ones: ${perSecond(rate)} raw`);
    }
    await order(side, { active: 0, idle: 0, ms: 0 });
    await side.peer.end();
  }
  console.log(
    `an idle connection: ${memory.ours!.toFixed(1)} KiB ours, ${memory.raw!.toFixed(1)} KiB raw`,
  );
  await client.end();
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function spread(values: number[]): string {
  return `${Math.min(...values).toFixed(2)}-${Math.max(...values).toFixed(2)}`;
}

function perSecond(rate: number): string {
  return `${Math.round(rate).toLocaleString("en").padStart(8)}/s`;
}

await main(Deno.args);
