// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// A pipeline whose middle stage runs on all cores but our own. Its results come in order, its source
// never ends, and leaving the loop ends what still runs in the threads.

import { pipeline } from "@baozi/baozi";
import { workers } from "@baozi/baozi/workers";
import type * as primes from "./workers/primes.ts";
import { thread } from "./workers/thread.ts";

await using pool = workers<typeof primes>({
  spawn: () => thread(new URL("./workers/primes.ts", import.meta.url)),
});

function* numbers(): Generator<number> {
  for (let n = 1_000_000_000_000;; n++) yield n;
}

async function* onlyPrimes(
  factors: AsyncIterable<[n: number, factor: number]>,
): AsyncGenerator<string> {
  let skipped = 0;
  for await (const [n, factor] of factors) {
    if (factor === n) yield `${n} is a prime (skipped ${skipped})`;
    skipped = factor === n ? 0 : skipped + 1;
  }
}

let found = 0;
const search = pipeline(numbers(), (ns) => pool.imap("factor", ns), onlyPrimes);
for await (const prime of search) {
  console.log(prime);
  if (++found === 3) break;
}
console.log("still running:", pool.busy);

// Output:
// 1000000000039 is a prime (skipped 39)
// 1000000000061 is a prime (skipped 21)
// 1000000000063 is a prime (skipped 1)
// still running: 0
