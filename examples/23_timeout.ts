// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// A limit on a whole block, with a value to fall back on. Clean-up inside still runs, and an outer
// limit is never mistaken for an inner one.

import { sleep, type TimeoutError, withTimeout } from "@baozi/baozi";

async function ask(ms: number): Promise<string> {
  try {
    await sleep(ms);
    return "an answer";
  } finally {
    console.log("hung up");
  }
}

console.log(await withTimeout(1000, () => ask(1), { fallback: "nobody home" }));
console.log(await withTimeout(5, () => ask(60_000), { fallback: "nobody home" }));
try {
  await withTimeout(5, () => withTimeout(1000, () => ask(60_000), { fallback: "inner" }));
} catch (error) {
  console.log("outer limit:", (error as TimeoutError).ms, "ms");
}

// Output:
// hung up
// an answer
// hung up
// nobody home
// hung up
// outer limit: 5 ms
