// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * An echo server over `baozi/net` beside the raw callbacks of the same runtime, and beside those of Go
 * and gevent: 100 connections, round trips of 64 bytes.
 *
 * @module
 */

// One client for all: raw callbacks on Bun, the fastest there are here. The servers of a runtime take
// turns with those of the other languages, so that all figures can be compared.

import { findBun, type Host } from "../hosts.ts";
import { Client, Server } from "../load/duel.ts";
import type { BenchContext } from "./context.ts";
import { figuresOf, type Round } from "./figures.ts";
import { FLOOR, OURS, type Row } from "./json.ts";
import { findLanguages, type Language } from "./others.ts";

const LEVEL = { active: 100, idle: 0 };
const ROUNDS = 7;
/** Of each server in each round. */
const MS = 400;
/** Compilers take their time. */
const WARM_MS = 1_500;

/** The one row there is. */
export async function measureEcho(context: BenchContext): Promise<Row[]> {
  const row: Row = {
    id: "echo",
    group: "Echo server",
    title: "100 connections, round trips of 64 bytes; floor: raw callbacks",
    unit: "requests/s",
    better: "higher",
    results: {},
  };
  if (!context.wants(row)) return [];
  const folder = Deno.makeTempDirSync();
  try {
    const languages = await findLanguages(context, folder);
    const clientHost = await findBun();
    const all: Round[] = [];
    let done = 0;
    for (const [runtime, host] of context.hosts) {
      context.progress(++done, context.hosts.size, `echo on ${runtime}`);
      try {
        const rounds = await measure(context, host, clientHost, languages);
        all.push(...rounds);
        row.results[runtime] = figuresOf(rounds.map((round) => pick(round, [FLOOR, OURS])));
      } catch (error) {
        context.fail(`echo on ${host.name} ${host.version}`, error);
      }
    }
    for (const { name, contestant } of languages) {
      const rounds = all.map((round) => pick(round, [contestant]));
      if (rounds.length > 0) row.results[name] = figuresOf(rounds);
    }
    return [row];
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Requests per second of all servers, in each round. */
async function measure(
  { cwd }: BenchContext,
  host: Host,
  clientHost: Host,
  languages: readonly Language[],
): Promise<Round[]> {
  await using programs = new AsyncDisposableStack();
  const client = programs.use(await Client.on(clientHost, cwd));
  const servers = new Map<string, Server>();
  const enter = async (name: string, server: Promise<Server>): Promise<void> => {
    servers.set(name, programs.use(await server));
  };
  await enter(OURS, Server.on(host, cwd, "ours"));
  await enter(FLOOR, Server.on(host, cwd, "raw"));
  for (const { contestant, command, args, env } of languages) {
    await enter(contestant, Server.start({ command, args: [...args, "echo"], env }));
  }
  for (const server of servers.values()) await client.order(server, { ...LEVEL, ms: WARM_MS });
  const seen = await client.takeTurns([...servers.values()], { ...LEVEL, rounds: ROUNDS, ms: MS });
  return seen.map((inTurn) =>
    Object.fromEntries([...servers].map(([name, server]) => [name, inTurn.get(server)!.rate]))
  );
}

function pick(round: Round, names: readonly string[]): Round {
  return Object.fromEntries(names.map((name) => [name, round[name]!]));
}
