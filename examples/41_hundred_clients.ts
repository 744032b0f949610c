// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// 100 clients at the same time, each with a connection of its own and 50 messages of all sizes. Every
// reply is compared byte for byte.

import { Barrier, joinAll, spawn } from "@baozi/baozi";
import { connect, serve } from "@baozi/baozi/net";

const CLIENTS = 100, MESSAGES = 50;

await using server = await serve({ port: 0, hostname: "127.0.0.1" }, async (conn) => {
  for await (const chunk of conn) await conn.write(chunk);
});

const allServed = new Barrier(CLIENTS);
let atOnce = 0;

async function client(seed: number): Promise<number> {
  await using conn = await connect({ port: server.address.port });
  let bytes = 0;
  for (let i = 0; i < MESSAGES; i++) {
    const message = new Uint8Array(1 + (seed * 31 + i * 97) % 4000);
    message.forEach((_, at) => message[at] = seed + i + at);
    await conn.write(message);
    const reply = await conn.readExactly(message.length);
    const wrong = reply.findIndex((byte, at) => byte !== message[at]);
    if (wrong >= 0) throw new Error(`client ${seed}: byte ${wrong} of message ${i} is wrong`);
    bytes += reply.length;
    if (i === 0) await allServed.wait(); // nobody goes on before everybody has had a reply
    atOnce = Math.max(atOnce, server.connections);
  }
  return bytes;
}

const clients = Array.from(
  { length: CLIENTS },
  (_, i) => spawn({ name: `client ${i}` }, client, i),
);
const done = await joinAll(clients, { raiseError: true });

console.log("clients:", done.length);
console.log("at once:", atOnce);
console.log("replies:", done.length * MESSAGES);
console.log("bytes:", done.reduce((sum, { value }) => sum + value!, 0));

// Output:
// clients: 100
// at once: 100
// replies: 5000
// bytes: 9924000
