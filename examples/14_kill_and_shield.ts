// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// A kill reaches every wait of a task and stays; `shield` lets the clean-up wait all the same. The
// promise of `kill` resolves when the clean-up is done.

import { isKilled, shield, sleep, spawn } from "@baozi/baozi";

const cook = spawn({ name: "cook" }, async () => {
  try {
    console.log("The cook steams");
    await sleep(60_000);
  } catch (error) {
    console.log(`Killed: ${isKilled(error)}`);
    // Level-triggered: whoever catches a kill meets it again at the next wait.
    await sleep(1).catch(() => console.log("No wait succeeds any more"));
    await shield(() => sleep(1));
    console.log("The stove is off");
    throw error;
  }
});

await sleep(0);
const ended = await cook.kill("closing time");
console.log(`Has it ended? ${ended}. How? ${cook.state}, at ${(cook.error as Error).cause}`);

// Output:
// The cook steams
// Killed: true
// No wait succeeds any more
// The stove is off
// Has it ended? true. How? killed, at closing time
