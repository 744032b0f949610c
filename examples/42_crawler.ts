// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// A crawler follows every link of a site of 200 pages, 20 requests at a time. The links it finds go
// through a channel, which the pool reads as it has room. The site is ours, HTTP/1.0 by hand.

import { Channel, Pool } from "@baozi/baozi";
import { type Conn, connect, serve } from "@baozi/baozi/net";

async function site(conn: Conn): Promise<void> {
  let path = "";
  for await (const line of conn.lines({ maxBytes: 1024 })) {
    if (path === "") path = line.split(" ")[1]!;
    if (line === "") break; // the end of the request
  }
  const n = Number(path.slice(1));
  const to = [n - 1, 3 * n + 1, 3 * n + 2, 3 * n + 3].filter((n) => n >= 0 && n < 200);
  const page = `${to.map((n) => `<a href="/${n}">`).join("")}${"dough ".repeat(n)}`;
  await conn.write(`HTTP/1.0 200 OK\r\n\r\n${page}`);
}

await using server = await serve({ port: 0, hostname: "127.0.0.1" }, site);

let now = 0, most = 0;
async function get(path: string): Promise<string> {
  most = Math.max(most, ++now);
  await using conn = await connect({ port: server.address.port });
  await conn.write(`GET ${path} HTTP/1.0\r\n\r\n`);
  let answer = "";
  const decoder = new TextDecoder();
  for await (const chunk of conn) answer += decoder.decode(chunk, { stream: true });
  now--;
  return answer.split("\r\n\r\n")[1]!;
}

const links = Channel.unbounded<string>();
const seen = new Set(["/0"]);
links.trySend("/0");

let pages = 0, bytes = 0;
for await (const page of new Pool(20).imapUnordered(get, links)) {
  bytes += page.length;
  for (const [, link] of page.matchAll(/href="(.*?)"/g)) {
    if (!seen.has(link!)) links.trySend(link!);
    seen.add(link!);
  }
  if (++pages === seen.size) links.close();
}
console.log(`${pages} pages, ${bytes} bytes`);
console.log("at most 20 at once:", most <= 20);

// Output:
// 200 pages, 125152 bytes
// at most 20 at once: true
