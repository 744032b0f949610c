// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { assert, assertEquals } from "@std/assert";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { macrotask } from "../../src/_kernel/host.ts";
import { enqueue, enqueueYield, queueSize } from "../../src/_kernel/run_queue.ts";
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

test("enqueueYield() of more loops than fit into a round ends the turn in time all the same", async () => {
  let runs = 0, going = true;
  for (let i = 0; i < 1000; i++) {
    const loop = {
      run: () => {
        for (const end = performance.now() + 0.1; performance.now() < end;);
        runs++;
        // As a task does that awaits sleep(0): in a microtask after its turn.
        if (going) queueMicrotask(() => enqueueYield(loop));
      },
    };
    enqueueYield(loop);
  }
  await new Promise<void>((resolve) => macrotask(resolve));
  going = false;
  // A round of 128 takes longer than a turn may last.
  assert(runs < 1000, `${runs} ran in one turn`);
  await idle();
  assertEquals(queueSize(), 0);
});

test("enqueueYield() in loops that never end leaves sockets their turn", async () => {
  const server = createServer((conn) => conn.pipe(conn));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const conn = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await new Promise<void>((resolve) => conn.once("connect", resolve));
  let going = true;
  for (let i = 0; i < 200; i++) {
    const loop = { run: () => queueMicrotask(() => going && enqueueYield(loop)) };
    enqueueYield(loop);
  }
  const began = performance.now();
  for (let i = 0; i < 10; i++) {
    const answer = new Promise((resolve) => conn.once("data", resolve));
    conn.write("x");
    await answer;
  }
  const ms = performance.now() - began;
  going = false;
  conn.destroy();
  await new Promise((resolve) => server.close(resolve));
  // 66 ms on Deno; without a rest it was 2 s, and 5 s on a busy machine.
  assert(ms < 1_000, `ten packets took ${ms} ms`);
});
