// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * An echo server for `deno task load`: `ours`, over `baozi/net`, or `raw`, over the fastest callbacks
 * of the runtime. Prints its port; answers each line on its standard input with what it has used, after
 * a collection of garbage if the line is `memory`.
 *
 * @module
 */

import { serve } from "@baozi/baozi/net";
import { createServer, type Server } from "node:net";
import process from "node:process";

/** What the server has used so far. */
export interface Used {
  /** Resident memory, in bytes. */
  rss: number;
  /** Time of all its threads on the processor, in microseconds. */
  cpu: number;
  /** Open connections; -1 where nobody counts them. */
  connections: number;
}

let connections = (): number => -1;

async function startOurs(): Promise<number> {
  const server = await serve({ port: 0, hostname: "127.0.0.1", backlog: 4096 }, async (conn) => {
    for await (const chunk of conn) await conn.write(chunk);
  });
  connections = () => server.connections;
  return server.address.port!;
}

/** Deno's own sockets: faster than its `node:net`. */
function startDeno(): number {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1", tcpBacklog: 4096 });
  void (async () => {
    for await (const conn of listener) void echo(conn);
  })();
  return listener.addr.port;
}

async function echo(conn: Deno.TcpConn): Promise<void> {
  conn.setNoDelay();
  const buffer = new Uint8Array(1024);
  try {
    for (let n = await conn.read(buffer); n !== null; n = await conn.read(buffer)) {
      let sent = 0;
      while (sent < n) sent += await conn.write(buffer.subarray(sent, n));
    }
  } catch {
    // A client that resets the connection ends only its own.
  }
  conn.close();
}

async function startNode(): Promise<number> {
  const server: Server = createServer({ noDelay: true }, (socket) => {
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) =>
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, resolve)
  );
  return (server.address() as { port: number }).port;
}

/** Collects garbage. Not while it is measured: what is compiled for connections that are gone goes, too. */
function collect(): void {
  const { gc } = globalThis as { gc?: () => void };
  const bun = (globalThis as { Bun?: { gc(full: boolean): void } }).Bun;
  gc?.();
  bun?.gc(true);
}

function used(): Used {
  const { user, system } = process.cpuUsage();
  return { rss: process.memoryUsage().rss, cpu: user + system, connections: connections() };
}

const kind = process.argv[2];
const port = kind === "ours"
  ? await startOurs()
  : "Deno" in globalThis
  ? startDeno()
  : await startNode();
console.log(JSON.stringify({ port }));
process.stdin.on("data", (line) => {
  if (String(line).includes("end")) process.exit(0);
  if (String(line).includes("memory")) collect();
  console.log(JSON.stringify(used()));
});
process.stdin.on("end", () => process.exit(0));
