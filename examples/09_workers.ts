// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Three workers run in turn as long as none of them waits, and interleave as soon as each gives up its
// turn with `sleep(0)`. The code asks `currentTask` who it is.

import { currentTask, joinAll, sleep, spawn } from "@baozi/baozi";

const NAMES = ["Ann", "Bo", "Cy"];

function greedy(): void {
  for (let part = 1; part <= 2; part++) console.log(`${currentTask()!.name} does part ${part}`);
}

async function polite(): Promise<void> {
  for (let part = 1; part <= 2; part++) {
    console.log(`${currentTask()!.name} does part ${part}`);
    await sleep(0);
  }
}

console.log("In turn:");
await joinAll(NAMES.map((name) => spawn({ name }, greedy)), { raiseError: true });
console.log("Interleaved:");
await joinAll(NAMES.map((name) => spawn({ name }, polite)), { raiseError: true });

// Output:
// In turn:
// Ann does part 1
// Ann does part 2
// Bo does part 1
// Bo does part 2
// Cy does part 1
// Cy does part 2
// Interleaved:
// Ann does part 1
// Bo does part 1
// Cy does part 1
// Ann does part 2
// Bo does part 2
// Cy does part 2
