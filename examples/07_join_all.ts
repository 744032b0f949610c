// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Three sleepers at once take the time of the longest, not the sum. `joinAll` gives the tasks in the
// order in which they ended.

import { joinAll, sleep, spawn } from "@baozi/baozi";

const LONGEST = 400;

async function nap(ms: number): Promise<number> {
  await sleep(ms);
  return ms;
}

const start = performance.now();
const tasks = [300, LONGEST, 200].map((ms) => spawn(nap, ms));
const ended = await joinAll(tasks);
const elapsed = performance.now() - start;

console.log(`slept: ${ended.map((task) => `${task.value} ms`).join(", ")}`);
// Whole multiples, so that a busy machine prints the same.
console.log(`wall time: ${Math.floor(elapsed / LONGEST)} x the longest`);
console.log(`less than the sum: ${elapsed < 300 + LONGEST + 200}`);

// Output:
// slept: 200 ms, 300 ms, 400 ms
// wall time: 1 x the longest
// less than the sum: true
