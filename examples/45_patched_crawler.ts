// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// A crawler that knows nothing of tasks, run page after page, and all pages at once. Patched, its `fetch`
// is a wait like any other: it has a name in a dump, and would end with its task.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dump, joinAll, sleep, spawn } from "@baozi/baozi";
import { patchAll } from "@baozi/baozi/patch";

const PAGES = ["bean", "leek", "lamb", "pork", "plum", "crab", "kale", "fish", "eggs", "tofu"];

const server = createServer((request, response) => {
  setTimeout(() => response.end(`All about ${request.url!.slice(1)}.`), 300);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;

/** Nothing here is ours. */
async function crawl(page: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/${page}`);
  return await response.text();
}

const patched = patchAll();
const start = performance.now();
for (const page of PAGES) await crawl(page);
const oneByOne = performance.now();
const tasks = PAGES.map((page) => spawn({ name: page }, crawl, page));
await sleep(0);
console.log(dump().tasks[0]!.waits[0]!.verb, dump().tasks.length);
await joinAll(tasks, { raiseError: true });
const together = performance.now();
for (const task of tasks) console.log(task.value);
const ratio = (oneByOne - start) / (together - oneByOne);
console.error(`${ratio.toFixed(1)} times faster`); // about 9, on a machine that is not busy
console.log("at least 3 times faster:", ratio >= 3);
patched[Symbol.dispose]();
server.close();

// Output:
// fetch 10
// All about bean.
// All about leek.
// All about lamb.
// All about pork.
// All about plum.
// All about crab.
// All about kale.
// All about fish.
// All about eggs.
// All about tofu.
// at least 3 times faster: true
