// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// 200 jobs, 20 at a time, in the order of the jobs, and the first failure would stop the rest. What
// p-limit, Promise.all and a counter do together elsewhere.

import { Pool, sleep } from "@baozi/baozi";

const pool = new Pool(20);
let most = 0;
using _progress = pool.onProgress(({ done, total }) => {
  if (done % 100 === 0) console.log(`${done} of ${total}`);
});

const squares = await pool.map(async (n) => {
  most = Math.max(most, pool.running);
  await sleep(1);
  return n * n;
}, Array.from({ length: 200 }, (_, i) => i));

console.log("at once:", most);
console.log("last:", squares.at(-1));

// Output:
// 100 of 200
// 200 of 200
// at once: 20
// last: 39601
