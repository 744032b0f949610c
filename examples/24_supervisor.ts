// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// A worker that crashes now and then, kept alive as Erlang would: restarted after a failure, given up
// when it fails too often.

import { onUnhandled, scope } from "@baozi/baozi";

using _log = onUnhandled((error) => console.log("restarting after:", (error as Error).message));

let attempts = 0;
const worker = (): string => {
  attempts++;
  if (attempts < 3) throw new Error(`crash ${attempts}`);
  return `fine at attempt ${attempts}`;
};
console.log(
  await scope(async (s) => await s.spawn(worker), { supervise: { restart: "transient" } }),
);

try {
  await scope((s) => {
    s.spawn(() => {
      throw new Error("hopeless");
    });
  }, { supervise: { intensity: { max: 1, within: 1000 } } });
} catch (error) {
  console.log("gave up:", (error as Error).message);
}

// Output:
// restarting after: crash 1
// restarting after: crash 2
// fine at attempt 3
// restarting after: hopeless
// gave up: hopeless
