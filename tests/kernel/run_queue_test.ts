// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import { enqueue, queueSize } from "../../src/_kernel/run_queue.ts";
import { idle } from "../idle.ts";

test("enqueue() runs in order of arrival and never synchronously", async () => {
  const seen: number[] = [];
  for (const i of [0, 1, 2]) enqueue({ run: () => seen.push(i) });
  assertEquals([seen, queueSize()], [[], 3]);
  await idle();
  assertEquals([seen, queueSize()], [[0, 1, 2], 0]);
});

test("enqueue() from inside goes behind what the round woke", async () => {
  const seen: string[] = [];
  enqueue({
    run: () => {
      seen.push("a");
      void Promise.resolve().then(() => seen.push("woken by a"));
      enqueue({ run: () => seen.push("queued by a") });
    },
  });
  enqueue({ run: () => seen.push("b") });
  await idle();
  assertEquals(seen, ["a", "b", "woken by a", "queued by a"]);
});

test("enqueue() from a microtask between two rounds keeps the order of arrival", async () => {
  const seen: number[] = [];
  enqueue({
    run: () => {
      enqueue({ run: () => seen.push(1) });
      queueMicrotask(() => enqueue({ run: () => seen.push(2) }));
    },
  });
  await idle();
  assertEquals(seen, [1, 2]);
});

test("enqueue() in an endless loop starves neither timers nor the event loop", async () => {
  // The end of the loop only keeps a red test from hanging.
  const most = 3_000_000;
  let turns = 0, going = true;
  const loop = { run: () => going && ++turns < most && enqueue(loop) };
  enqueue(loop);
  await new Promise((resolve) => setTimeout(resolve, 10));
  going = false;
  assert(turns > 0 && turns < most, `the loop had ${turns} turns before the timer`);
  await idle();
  assertEquals(queueSize(), 0);
});

test("enqueue() takes the same runnable several times, once for each turn", async () => {
  let turns = 0;
  const runnable = { run: () => void turns++ };
  for (let i = 0; i < 5; i++) enqueue(runnable);
  await idle();
  assertEquals(turns, 5);
});

test("enqueue() runs 100,000 in one go", async () => {
  const seen: number[] = [];
  for (let i = 0; i < 100_000; i++) enqueue({ run: () => seen.push(i) });
  await idle();
  assertEquals(seen.length, 100_000);
  assert(seen.every((value, i) => value === i));
});
