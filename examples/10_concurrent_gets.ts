// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// Four GETs at once over real sockets, sizes printed in order of arrival. The server reads files of this
// folder and takes its time, for each a different one.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { currentTask, joinAll, sleep, spawn } from "@baozi/baozi";

const TIMES: Record<string, number> = { "pork": 400, "leek": 100, "bean": 300, "lamb": 200 };

const server = createServer(async (request, response) => {
  const name = request.url!.slice(1);
  await sleep(TIMES[name]);
  response.setHeader("connection", "close");
  response.end(readFileSync(new URL(`pages/${name}.txt`, import.meta.url)));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;

async function get(name: string): Promise<number> {
  const { signal } = currentTask()!;
  const response = await fetch(`http://127.0.0.1:${port}/${name}`, { signal });
  return (await response.arrayBuffer()).byteLength;
}

const tasks = Object.keys(TIMES).map((name) => spawn({ name }, get, name));
for (const task of await joinAll(tasks, { raiseError: true })) {
  console.log(`${task.name}: ${task.value} bytes`);
}
server.close();

// Output:
// leek: 41 bytes
// lamb: 59 bytes
// bean: 73 bytes
// pork: 52 bytes
