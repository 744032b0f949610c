// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// The echo server of every tutorial. Each connection has a task of its own, which reads like a program
// with one client. The connection closes when its handler ends, and `await using` stops the server.

import { connect, serve } from "@baozi/baozi/net";

await using server = await serve({ port: 0, hostname: "127.0.0.1" }, async (conn) => {
  for await (const chunk of conn) await conn.write(chunk);
});

await using conn = await connect({ port: server.address.port });
const lines = conn.lines();
for (const text of ["hello", "how are you?", "goodbye"]) {
  await conn.write(`${text}\n`);
  console.log("client got:", (await lines.next()).value);
}

conn.closeWrite();
console.log("the server hung up:", await conn.read() === undefined);

// Output:
// client got: hello
// client got: how are you?
// client got: goodbye
// the server hung up: true
