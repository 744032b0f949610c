// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Retry stays with those who do it well: `p-retry` and the `retry` of `@std/async`, in a task. Given
// its signal, the loop ends when the task is killed, or its time is over. One that cannot be had is left out.

import { currentTask, sleep, spawn, withTimeout } from "@baozi/baozi";

type Retry = (fn: () => Promise<string>, signal: AbortSignal) => Promise<string>;
const npm = await import("p-retry").catch(() => undefined);
const std = await import("@std/async").catch(() => undefined);

const pace = { minTimeout: 5, maxTimeout: 5 };
if (npm === undefined) console.log("p-retry cannot be had here");
else await show("p-retry", (fn, signal) => npm.default(fn, { ...pace, retries: 999, signal }));
if (std === undefined) console.log("@std/async cannot be had here");
else await show("@std/async", (fn, signal) => std.retry(fn, { ...pace, maxAttempts: 999, signal }));

async function show(name: string, retry: Retry): Promise<void> {
  let calls = 0;
  const call = (goodFrom: number) => async (): Promise<string> => {
    await sleep(1);
    if (++calls < goodFrom) throw new Error("not yet");
    return `fine at call ${calls}`;
  };
  const start = (goodFrom: number) => spawn(() => retry(call(goodFrom), currentTask()!.signal));
  console.log(`${name}: ${await start(3)}`);

  const task = start(Infinity);
  while (calls < 6) await sleep(1);
  await task.kill();
  const then = calls;
  await sleep(30);
  console.log(`${name}: ${task.state}, calls after it: ${calls - then}`);

  const limited = () => withTimeout(30, (signal) => retry(call(Infinity), signal));
  console.log(`${name}: ${await limited().catch((error) => error.message)}`);
}

// Output with both:
// p-retry: fine at call 3
// p-retry: killed, calls after it: 0
// p-retry: Cannot go on: the limit of 30 ms is over
// @std/async: fine at call 3
// @std/async: killed, calls after it: 0
// @std/async: Cannot go on: the limit of 30 ms is over
// Output without either:
// p-retry cannot be had here
// @std/async cannot be had here
// Output:
// p-retry: fine at call 3
// p-retry: killed, calls after it: 0
// p-retry: Cannot go on: the limit of 30 ms is over
// @std/async cannot be had here
