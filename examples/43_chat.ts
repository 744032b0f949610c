// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// A chat. Try it: `deno run -A examples/43_chat.ts 8000`, then `nc 127.0.0.1 8000` in some terminals.
// Without a port two clients by script talk to it, and one of them prints what she reads.

import { Broadcast, scope } from "@baozi/baozi";
import { type Conn, connect, serve } from "@baozi/baozi/net";
import process from "node:process";

const room = new Broadcast<string>();

async function chat(conn: Conn): Promise<void> {
  const lines = conn.lines({ maxBytes: 1024 });
  await conn.write("Your name?\n");
  const { value: name } = await lines.next();
  if (name === undefined) return;
  // Who reads slowly misses lines, and holds nobody up.
  using news = room.subscribe({ capacity: 100, overflow: "drop-oldest" });
  await room.send(`* ${name} came`);
  await scope(async (s) => {
    s.spawn({ daemon: true }, async () => {
      for await (const text of news) await conn.write(`${text}\n`);
    });
    for await (const line of lines) await room.send(`${name}: ${line}`);
  }).finally(() => room.send(`* ${name} left`));
}

const port = Number(process.argv[2] ?? 0);
const server = await serve({ port, hostname: "127.0.0.1" }, chat);
if (port === 0) await script(server.address.port!);

async function script(port: number): Promise<void> {
  await using ann = await connect({ port }), bo = await connect({ port });
  const lines = ann.lines();
  const read = async () => console.log("Ann reads:", (await lines.next()).value);
  await read();
  await ann.write("Ann\n");
  await read();
  await bo.write("Bo\nIs there tea?\n");
  await read();
  await read();
  await ann.write("No, but bread.\n");
  await read();
  bo.closeWrite();
  await read();
  await server.stop({ timeout: 0 });
}

// Output:
// Ann reads: Your name?
// Ann reads: * Ann came
// Ann reads: * Bo came
// Ann reads: Bo: Is there tea?
// Ann reads: Ann: No, but bread.
// Ann reads: * Bo left
