// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// The same tasks one after the other, then together: in order and in the sum of their times, against
// shortest first and in the time of the longest.

import { joinAll, sleep, spawn } from "@baozi/baozi";

const TIMES = [250, 50, 350, 150];
const SUM = 800;

async function work(id: number, done: number[]): Promise<void> {
  await sleep(TIMES[id]);
  done.push(id);
}

async function synchronous(done: number[]): Promise<void> {
  for (const id of TIMES.keys()) await work(id, done);
}

async function asynchronous(done: number[]): Promise<void> {
  await joinAll([...TIMES.keys()].map((id) => spawn(work, id, done)), { raiseError: true });
}

for (const run of [synchronous, asynchronous]) {
  const done: number[] = [];
  const start = performance.now();
  await run(done);
  const inSum = performance.now() - start < SUM;
  console.log(`${run.name}: tasks done ${done.join(" ")}, in less than the sum: ${inSum}`);
}

// Output:
// synchronous: tasks done 0 1 2 3, in less than the sum: false
// asynchronous: tasks done 1 3 0 2, in less than the sum: true
