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

// The ratio is the median of the ratios of neighbouring windows. The time on the processor says what
// the server costs also where the client is the slower one.

import { median } from "./bench/statistics.ts";
import { findBun, findDeno, findNode, type Host, prepareHosts } from "./hosts.ts";
import { Client, type Level, Server } from "./load/duel.ts";

const RUNTIMES = { deno: findDeno, bun: findBun, node: findNode } as const;
type RuntimeName = keyof typeof RUNTIMES;

const LEVELS: Level[] = [{ active: 1, idle: 0 }, { active: 100, idle: 0 }, {
  active: 1000,
  idle: 0,
}];
/** What the compilers see first. */
const WARM: Level = { active: 100, idle: 0 };
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
  await using client = await Client.on(clientHost, cwd);
  await compare(client, host, cwd, plan);

  // In new processes: what the old ones have taken from the system would serve the idle ones for nothing.
  const ours = await idleBytes(client, host, cwd, plan, "ours");
  const raw = await idleBytes(client, host, cwd, plan, "raw");
  const kib = (bytes: number): string => (bytes / 1024).toFixed(1);
  console.log(`an idle connection: ${kib(ours)} KiB ours, ${kib(raw)} KiB raw`);
}

/** How fast both servers are, side by side. */
async function compare(
  client: Client,
  host: Host,
  cwd: string,
  { rounds, ms, warmMs }: Plan,
): Promise<void> {
  await using ours = await Server.on(host, cwd, "ours");
  await using raw = await Server.on(host, cwd, "raw");
  for (const server of [ours, raw]) await client.order(server, { ...WARM, ms: warmMs });
  for (const level of LEVELS) {
    const seen = await client.takeTurns([ours, raw], { ...level, rounds, ms });
    const rates = (server: Server): number[] => seen.map((both) => both.get(server)!.rate);
    const ratios = (of: "rate" | "cpu"): number[] =>
      seen.map((both) => both.get(ours)![of] / both.get(raw)![of]);
    console.log(
      `${`${level.active} connections`.padEnd(28)}` +
        `${perSecond(median(rates(ours)))} ours ${perSecond(median(rates(raw)))} raw  ` +
        `ratio ${median(ratios("rate")).toFixed(2)} (${spread(ratios("rate"))})  ` +
        `processor ${median(ratios("cpu")).toFixed(2)} (${spread(ratios("cpu"))})`,
    );
  }
}

/** What an idle connection takes of the memory. */
async function idleBytes(
  client: Client,
  host: Host,
  cwd: string,
  { idle, ms, warmMs }: Plan,
  kind: "ours" | "raw",
): Promise<number> {
  await using server = await Server.on(host, cwd, kind);
  await client.order(server, { ...WARM, ms: warmMs });
  const before = await server.used({ collected: true });
  await client.order(server, { active: 0, idle, ms: 0 });
  const after = await server.used({ collected: true });
  const { rate } = await client.see(server, { active: 100, idle, ms });
  console.log(`100 beside ${idle} idle ones: ${perSecond(rate)} ${kind}`);
  const { connections } = await server.used();
  if (kind === "ours" && connections < idle) {
    throw new Error(`Cannot measure: ${connections} connections are left`);
  }
  await client.order(server, { active: 0, idle: 0, ms: 0 });
  return (after.rss - before.rss) / idle;
}

function spread(values: number[]): string {
  return `${Math.min(...values).toFixed(2)}-${Math.max(...values).toFixed(2)}`;
}

function perSecond(rate: number): string {
  return `${Math.round(rate).toLocaleString("en").padStart(8)}/s`;
}

await main(Deno.args);
