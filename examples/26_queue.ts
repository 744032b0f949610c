// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Jobs by priority, two workers, and a boss who waits until every job is done, not just taken.

import { Group, PriorityQueue, sleep } from "@baozi/baozi";

const jobs = new PriorityQueue<{ due: number; title: string }>(8, {
  compare: (a, b) => a.due - b.due,
});
for (const [due, title] of [[3, "sweep"], [1, "steam"], [2, "serve"]] as const) {
  await jobs.put({ due, title });
}

const workers = new Group();
for (const name of ["Ann", "Bo"]) {
  await workers.spawn(async () => {
    for await (const job of jobs) {
      console.log(`${name}: ${job.title}`);
      await sleep(1);
      jobs.taskDone();
    }
  });
}
await jobs.join();
jobs.close();
await workers.join();
console.log("unfinished:", jobs.unfinished);

// Output:
// Ann: steam
// Bo: serve
// Ann: sweep
// unfinished: 0
