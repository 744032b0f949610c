// Copyright 2026 the baozi authors. MIT license.
// Needs: Node | Bun

/**
 * The clients of `deno task load`. Reads one order per line, `{ port, active, idle, ms }`, and answers
 * with `{ requests, ms }`: round trips of 64 bytes, one after the other on each connection. Every reply
 * is compared with what was sent.
 *
 * @module
 */

// Raw callbacks: the client must be faster than the servers it measures.

import { connect, type Socket } from "node:net";
import process from "node:process";

const BYTES = 64;
/** So many connect at the same time. */
const AT_ONCE = 200;

/** What to do. */
export interface Order {
  port: number;
  /** Connections that send. */
  active: number;
  /** Connections that are just there. */
  idle: number;
  /** How long to send, in milliseconds; 0 only opens the connections and waits for the next order. */
  ms: number;
}

let idle: Socket[] = [];

async function obey({ port, active, idle: wanted, ms }: Order): Promise<string> {
  while (idle.length < wanted) {
    idle.push(...await open(port, Math.min(AT_ONCE, wanted - idle.length)));
  }
  if (wanted === 0) {
    idle.forEach((socket) => socket.destroy());
    idle = [];
  }
  if (ms === 0) return JSON.stringify({ requests: 0, ms: 0 });
  const sockets: Socket[] = [];
  while (sockets.length < active) {
    sockets.push(...await open(port, Math.min(AT_ONCE, active - sockets.length)));
  }
  const started = performance.now();
  const until = started + ms;
  const counts = await Promise.all(sockets.map((socket, at) => pingPong(socket, at, until)));
  const lasted = performance.now() - started;
  return JSON.stringify({ requests: counts.reduce((a, b) => a + b, 0), ms: lasted });
}

function open(port: number, many: number): Promise<Socket[]> {
  return Promise.all(Array.from({ length: many }, () =>
    new Promise<Socket>((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      socket.once("connect", () => resolve(socket));
      socket.once("error", reject);
    })));
}

/** Sends, waits for the very same bytes, sends again, until the time is over. */
function pingPong(socket: Socket, at: number, until: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const message = Buffer.alloc(BYTES, at % 251);
    const reply = Buffer.alloc(BYTES);
    let filled = 0, requests = 0;
    const send = (): void => {
      message.writeUInt32LE(requests, 0);
      socket.write(message);
    };
    socket.on("data", (chunk: Buffer) => {
      if (filled + chunk.length > BYTES) return reject(new Error("The server sent too much"));
      chunk.copy(reply, filled);
      filled += chunk.length;
      if (filled < BYTES) return;
      if (!reply.equals(message)) return reject(new Error("The server sent other bytes"));
      filled = 0;
      requests++;
      if (performance.now() < until) return send();
      socket.destroy();
      resolve(requests);
    });
    socket.on("close", () => resolve(requests));
    socket.on("error", reject);
    send();
  });
}

let rest = "";
process.stdin.on("data", (text) => {
  rest += text;
  const lines = rest.split("\n");
  rest = lines.pop()!;
  for (const line of lines) {
    obey(JSON.parse(line)).then(console.log, (error) => {
      console.log(JSON.stringify({ error: String(error) }));
    });
  }
});
process.stdin.on("end", () => process.exit(0));
console.log("{}");
