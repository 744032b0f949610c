// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Three parts of a page, loaded together. The first failure ends the others, their clean-up runs, and
// the caller sees the error itself: no orphan goes on loading.

import { scope, sleep } from "@baozi/baozi";

async function load(part: string, ms: number): Promise<string> {
  try {
    await sleep(ms);
    if (part === "ads") throw new Error("ads are down");
    return part;
  } finally {
    console.log("done with", part);
  }
}

try {
  await scope(async (s) => {
    const news = s.spawn(load, "news", 1);
    s.spawn(load, "ads", 100);
    s.spawn(load, "comments", 60_000);
    console.log("loaded", await news);
  });
} catch (error) {
  console.log("page failed:", (error as Error).message);
}

// Output:
// done with news
// loaded news
// done with ads
// done with comments
// page failed: ads are down
