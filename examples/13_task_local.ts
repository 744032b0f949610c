// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// A value that travels with the task: `log` knows for whom it writes, however deep it is called and
// however the tasks interleave. A task spawned inside inherits it.

import { joinAll, sleep, spawn, TaskLocal } from "@baozi/baozi";

const user = new TaskLocal("nobody");

function log(text: string): void {
  console.log(`[${user.get()}] ${text}`);
}

async function order(name: string): Promise<void> {
  user.set(name);
  log("orders");
  await sleep(0);
  await spawn(() => log("is served by a task of its own"));
  log("pays");
}

await joinAll(["Ann", "Bo"].map((name) => spawn(order, name)), { raiseError: true });
log("is left");

// Output:
// [Ann] orders
// [Bo] orders
// [Ann] is served by a task of its own
// [Bo] is served by a task of its own
// [Ann] pays
// [Bo] pays
// [nobody] is left
