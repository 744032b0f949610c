// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Numbers for two consumers: one sums them up, the other keeps the largest. Both get every number,
// and `send` gives back what they know so far.

import { coroutine } from "@baozi/baozi";

const summer = coroutine(async function* () {
  let sum = 0;
  while (true) {
    const n: number = yield sum;
    sum += n;
  }
});

const chooser = coroutine(async function* () {
  let largest = -Infinity;
  while (true) {
    const n: number = yield largest;
    largest = Math.max(largest, n);
  }
});

const sum = summer();
const largest = chooser();
for (const n of [3, 9, 4, 1]) {
  console.log(`${n}: sum ${await sum.send(n)}, largest ${await largest.send(n)}`);
}

// Output:
// 3: sum 3, largest 3
// 9: sum 12, largest 9
// 4: sum 16, largest 9
// 1: sum 17, largest 9
