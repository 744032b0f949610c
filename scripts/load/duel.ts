// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Echo servers that run side by side and take turns with one client, for `deno task load` and the
 * echo rows of `deno task bench`.
 *
 * @module
 */

// All servers run at the same time and take turns in short windows, so that what disturbs the machine
// disturbs all; ratios are taken within a round.

import { programOf } from "../bench/context.ts";
import { Program, type ProgramOptions } from "../bench/program.ts";
import type { Host } from "../hosts.ts";
import type { Order } from "./client.ts";
import type { Used } from "./server.ts";

const SERVER = "scripts/load/server.ts";
const CLIENT = "scripts/load/client.ts";

/** How much longer than its window one answer may take. */
const ANSWER_MS = 20_000;

/** How many connections the client has. */
export type Level = Pick<Order, "active" | "idle">;

/** What the client did. */
export interface Done {
  requests: number;
  ms: number;
}

/** What a window showed. */
export interface Seen {
  /** Requests per second. */
  rate: number;
  /** Time of the server on the processor, in microseconds per request. */
  cpu: number;
}

/** An echo server that runs. It prints its port first. */
export class Server extends Program {
  port = 0;

  /** Starts one. */
  static async start(options: ProgramOptions): Promise<Server> {
    const server = new Server(options);
    const { port } = await server.next<{ port: number }>(ANSWER_MS);
    server.port = port;
    return server;
  }

  /** Starts the one of this repository on `host`: over `baozi/net`, or over raw callbacks. */
  static on(host: Host, cwd: string, kind: "ours" | "raw"): Promise<Server> {
    return Server.start({ ...programOf(host, [SERVER, kind], gcFlags(host)), cwd });
  }

  /** What it has used so far; after a collection of garbage if `collected`. */
  used({ collected = false }: { collected?: boolean } = {}): Promise<Used> {
    return this.ask(collected ? "memory" : "used", ANSWER_MS);
  }
}

/** The client that runs. It prints a line when it is ready. */
export class Client extends Program {
  /** Starts it on `host`. */
  static async on(host: Host, cwd: string): Promise<Client> {
    const client = new Client({ ...programOf(host, [CLIENT]), cwd });
    await client.next(ANSWER_MS);
    return client;
  }

  /** Sends it to `server`. @throws {Error} If a reply is wrong, or none comes. */
  async order({ port }: Server, rest: Omit<Order, "port">): Promise<Done> {
    const line = JSON.stringify({ port, ...rest } satisfies Order);
    const done = await this.ask<Done | { error: string }>(line, rest.ms + ANSWER_MS);
    if ("error" in done) throw new Error(`Cannot measure: ${done.error}`);
    return done;
  }

  /** One window of `ms` milliseconds. */
  async see(server: Server, { ms, ...level }: Level & { ms: number }): Promise<Seen> {
    const before = await server.used();
    const done = await this.order(server, { ...level, ms });
    const after = await server.used();
    return {
      rate: done.requests / done.ms * 1000,
      cpu: (after.cpu - before.cpu) / done.requests,
    };
  }

  /**
   * `rounds` rounds of a window for each server, each round beginning with another one. Gives what
   * each round showed, by server. One more round comes first, to warm up.
   */
  async takeTurns(
    servers: readonly Server[],
    { rounds, ...window }: Level & { ms: number; rounds: number },
  ): Promise<Map<Server, Seen>[]> {
    const seen: Map<Server, Seen>[] = [];
    for (let round = -1; round < rounds; round++) {
      const inTurn = new Map<Server, Seen>();
      for (let i = 0; i < servers.length; i++) {
        const server = servers[(i + round + 1) % servers.length]!;
        inTurn.set(server, await this.see(server, window));
      }
      if (round >= 0) seen.push(inTurn);
    }
    return seen;
  }
}

function gcFlags({ name }: Host): string[] {
  return { Deno: ["--v8-flags=--expose-gc"], Node: ["--expose-gc"], Bun: [] }[name];
}
