// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// Counts the words of this library's source on all cores. In each thread four tasks take turns, so
// that one counts while the others wait for their files. A plain loop says what must come out.

import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { workers } from "@baozi/baozi/workers";
import { thread } from "./workers/thread.ts";
import * as words from "./workers/words.ts";

const SOURCE = new URL("../src/", import.meta.url);
const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => new URL(file, SOURCE).href);

function add(total: Map<string, number>, counts: Map<string, number>): void {
  for (const [word, count] of counts) total.set(word, (total.get(word) ?? 0) + count);
}

const alone = new Map<string, number>();
for (const file of files) add(alone, await words.count(file)); // here it is a mere function

await using pool = workers<typeof words>({
  spawn: () => thread(new URL("./workers/words.ts", import.meta.url)),
  size: availableParallelism(),
  concurrency: 4,
});
const together = new Map<string, number>();
for await (const counts of pool.imapUnordered("count", files)) add(together, counts);

console.log("the same as alone:", isDeepStrictEqual(together, alone));
console.log("MIT is in every file:", together.get("MIT")! >= files.length);
console.log("at most a thread per core:", pool.threads <= availableParallelism());
console.log("crashes:", pool.restarts);

// Output:
// the same as alone: true
// MIT is in every file: true
// at most a thread per core: true
// crashes: 0
