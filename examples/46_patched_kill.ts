// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// Functions that know neither signals nor limits, ended in time: one that tries again and again, and
// waits ever longer in between, and one that reads an answer that never ends.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Event, isKilled, spawn, TimeoutError, withTimeout } from "@baozi/baozi";
import { patchAll } from "@baozi/baozi/patch";

const asked = new Event();
const closed = new Event();
const server = createServer((request, response) => {
  if (request.url !== "/endless") return void response.writeHead(503).end();
  response.on("close", () => closed.set());
  response.write("and so on, ");
  asked.set();
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

async function retry(url: string): Promise<string> {
  for (let pause = 60_000;; pause *= 2) {
    const response = await fetch(url);
    if (response.ok) return await response.text();
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function read(url: string): Promise<string> {
  try {
    return await (await fetch(url)).text();
  } finally {
    console.log("cleaned up");
  }
}

const patched = patchAll();
const error = await withTimeout(200, () => retry(`${base}/busy`)).catch((error) => error);
console.log("retry:", error instanceof TimeoutError, error.message);

const reader = spawn(read, `${base}/endless`);
await asked.wait();
await reader.kill();
console.log("read:", reader.state, isKilled(reader.error));
console.log("the server saw it go:", await closed.wait());
patched[Symbol.dispose]();
server.close();

// Output:
// retry: true Cannot go on: the limit of 200 ms is over
// cleaned up
// read: killed true
// the server saw it go: true
