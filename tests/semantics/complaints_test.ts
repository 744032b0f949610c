// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What users of other libraries complain about most, each as a test named after one of its threads.
 * The words' own tests go further; here stands that the complaint has no ground.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import {
  Broadcast,
  Channel,
  ChannelClosedError,
  dump,
  Group,
  isKilled,
  joinAll,
  killAll,
  Mutex,
  onBlocked,
  onUnhandled,
  Pool,
  produce,
  rateLimit,
  scope,
  select,
  Semaphore,
  shield,
  sleep,
  spawn,
  TaskLocal,
  TimeoutError,
  until,
  withTimeout,
} from "../../mod.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";

noLeaks();

test("anyio#146, zio#9973: a value delivered in the tick of a kill is not lost", async () => {
  const ch = new Channel<number>();
  const got: number[] = [];
  const task = spawn(async () => void got.push(await ch.receive()));
  await idle();
  assert(ch.trySend(7));
  await task.kill();
  assertEquals(got, [7]);
});

test("go#21985: closing twice is harmless, and a send after it rejects with its value", async () => {
  const ch = new Channel<number>();
  assertEquals([ch.close(), ch.close()], [true, false]);
  assertEquals((await assertRejects(() => ch.send(1), ChannelClosedError)).value, 1);
});

test("kotlin#974: a send that does not wait never throws", () => {
  const ch = new Channel<number>({ capacity: 1 });
  assertEquals([ch.trySend(1), ch.trySend(2), ch.close(), ch.trySend(3)], [
    true,
    false,
    true,
    false,
  ]);
});

test("trio#1411: select takes a send as well as a receive, and only one", async () => {
  const inbox = new Channel<number>(), outbox = new Channel<number>({ capacity: 1 });
  assertEquals((await select({ inbox, out: outbox.sending(1) })).key, "out");
  assertEquals([inbox.trySend(1), outbox.size], [false, 1]);
});

test("effection#1154: clean-up that waits runs to its end in a killed task", async () => {
  let cleaned = false;
  const task = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      await shield(() => sleep(1));
      cleaned = true;
    }
  });
  await idle();
  await task.kill();
  assert(cleaned);
});

test("swift-async-algorithms#304: a consumer that leaves early stops its producer", async () => {
  let ended = false;
  const numbers = produce(async function* () {
    try {
      for (let i = 0;; i++) yield i;
    } finally {
      ended = true;
    }
  });
  for await (const n of numbers) if (n === 2) break;
  assert(ended);
});

test("kotlin#736: a late subscriber gets the newest values first, and a slow one is told what it missed", async () => {
  const news = new Broadcast<number>({ replay: 1 });
  using slow = news.subscribe({ capacity: 1, overflow: "drop-oldest" });
  for (const n of [1, 2, 3]) await news.send(n);
  using late = news.subscribe();
  assertEquals([await slow.receive(), slow.missed, await late.receive()], [3, 2, 3]);
});

test("kotlin#1374: a timeout is a failure, no silent kill", async () => {
  const task = spawn(() => withTimeout(1, () => sleep(Infinity)));
  await assertRejects(() => task.get(), TimeoutError);
  assertEquals([task.state, isKilled(task.error)], ["failed", false]);
});

test("kotlin#1814: what swallows a kill meets it again at its next wait", async () => {
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    await sleep(Infinity);
  });
  await idle();
  await task.kill();
  assertEquals(task.state, "killed");
});

test("node#17469: waiting for one promise many times subscribes to it once", async () => {
  let subscribed = 0;
  const never: PromiseLike<void> = { then: () => (subscribed++, new Promise<never>(() => {})) };
  for (let i = 0; i < 100; i++) await until(never, { timeout: 0 }).catch(() => {});
  assertEquals(subscribed, 1);
});

test("p-queue: a job that fails does not keep its place", async () => {
  const pool = new Pool(1);
  await pool.spawn(() => {
    throw new Error("no");
  });
  assertEquals(await pool.apply(() => "next"), "next");
});

test("gevent#368: a pool that spawns into itself while full is named in dump()", async () => {
  const pool = new Pool(1);
  const { task } = await pool.spawn(async () => {
    await pool.spawn(() => {});
  });
  await idle();
  assert(dump().toString().includes("spawn on Pool"));
  await task.kill();
});

test("gevent#1775: a failure is reported once, and only if nobody observed it", async () => {
  const told: unknown[] = [];
  using _hook = onUnhandled((error) => told.push(error));
  const seen = spawn(() => Promise.reject("seen"));
  spawn(() => Promise.reject("unseen"));
  await seen.join();
  await idle();
  assertEquals(told, ["unseen"]);
});

test("gevent#1021: a task that blocks the loop is named", async () => {
  const names: unknown[] = [];
  using _hook = onBlocked({ overMs: 10 }, ({ task }) => names.push(task?.name));
  await spawn({ name: "hog" }, async () => {
    await sleep(0);
    const end = performance.now() + 30;
    while (performance.now() < end);
    await sleep(0);
  });
  assert(names.includes("hog"));
});

test("gevent#521: a group keeps the error of a member that ended before the join", async () => {
  const group = new Group();
  await group.spawn(() => Promise.reject(new Error("early")));
  await idle();
  await assertRejects(() => group.join({ raiseError: true }), Error, "early");
});

test("gevent#1697: the first failure ends the siblings, and none outlives the block", async () => {
  const error = new Error("first");
  let sibling: { state: string } | undefined;
  const failed = await scope((s) => {
    sibling = s.spawn(() => sleep(Infinity));
    s.spawn(() => Promise.reject(error));
  }).catch((reason: unknown) => reason);
  assertStrictEquals(failed, error);
  assertEquals(sibling!.state, "killed");
});

test("gevent#607, #1473: killAll never runs what has not started, and killed is not successful", async () => {
  let ran = false;
  const tasks = [spawn(() => void (ran = true)), spawn(() => sleep(Infinity))];
  await killAll(tasks);
  assertEquals([ran, ...tasks.map((task) => task.successful)], [false, false, false]);
});

test("urllib3#805: a kill inside a locked or pooled part gives the lock and the permit back", async () => {
  const mutex = new Mutex(), connections = new Semaphore(1);
  const task = spawn(() => connections.withPermit(() => mutex.withLock(() => sleep(Infinity))));
  await idle();
  assertEquals([mutex.locked, connections.value], [true, 0]);
  await task.kill();
  assertEquals([mutex.locked, connections.value], [false, 1]);
});

test("greenlet#196: what is local to a task is inherited by the tasks it spawns", async () => {
  const trace = new TaskLocal("none");
  assertEquals(await trace.run("t1", () => spawn(() => trace.get())), "t1");
});

test("gevent#202: a loop of sleep(0) leaves timers their turn", async () => {
  let fired = false;
  setTimeout(() => fired = true, 1);
  while (!fired) await sleep(0);
});

test("gevent#1487: who waits longest gets the lock, whoever asks in between", async () => {
  const lock = new Semaphore(1), order: string[] = [];
  const held = await lock.acquire();
  const first = lock.acquire().then((permit) => (order.push("first"), permit.release()));
  held.release();
  assertEquals(lock.tryAcquire(), undefined);
  await first;
  assertEquals(order, ["first"]);
});

test("gevent#638: imap reads no further ahead than its buffer", async () => {
  let read = 0;
  const source = function* () {
    for (;;) yield read++;
  };
  for await (const _ of new Pool(2).imap((n: number) => n, source(), { buffer: 3 })) break;
  assert(read <= 4, `read ${read}`);
});

test("kotlin#1446: a rate limit serves bursts up to its size, and joins select", async () => {
  const limit = rateLimit({ tokens: 1, per: 60_000 });
  assertEquals((await select({ limit, done: joinAll([]) })).key, "limit");
  assertEquals(limit.tryAcquire(), undefined);
});
