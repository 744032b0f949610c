// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The work queues: order, room, what is counted as done, what a close does to items and to who waits,
 * and that no item is lost or doubled however a wait ends.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { Channel } from "../src/channel.ts";
import { QueueClosedError, TimeoutError } from "../src/errors.ts";
import { joinAll } from "../src/join.ts";
import { LifoQueue, PriorityQueue, Queue } from "../src/queue.ts";
import { select, trySelect } from "../src/select.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import type { Task } from "../src/task.ts";
import { withTimeout } from "../src/timeout.ts";
import { after } from "../src/timer.ts";
import { wait } from "../src/wait.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertEnds, assertRefuses, eachEnd, inKilledTask } from "./waits.ts";

noLeaks();

/** A queue of each kind with room for `maxSize` numbers. */
const kinds = (maxSize: number): Array<Queue<number>> => [
  new Queue<number>(maxSize),
  new PriorityQueue<number>(maxSize),
  new LifoQueue<number>(maxSize),
];

/** Takes all there is. */
function drain<T>(queue: Queue<T>): T[] {
  const items: T[] = [];
  for (let got = queue.tryGet(); got.state === "ok"; got = queue.tryGet()) items.push(got.value);
  return items;
}

const ok = <T>(value: T) => ({ state: "ok" as const, value });

// -- Construction --

test("Queue is a RangeError for a maxSize that is no integer >= 1, 0 and none too", () => {
  const wrong = [0, -1, NaN, 1.5, -Infinity, undefined as never, null as never, "2" as never];
  for (const maxSize of wrong) {
    for (const make of [Queue, PriorityQueue, LifoQueue]) {
      assertThrows(() => new make(maxSize), RangeError, "maxSize must be an integer >= 1");
    }
  }
  // What is missing has no default: nothing grows without a bound unless asked by name.
  assertThrows(() => new (Queue as never as new () => unknown)(), RangeError, "got undefined");
});

test("Queue begins empty and open, and says its kind", () => {
  for (const queue of kinds(2)) {
    assertEquals([queue.size, queue.maxSize, queue.unfinished, queue.closed], [0, 2, 0, false]);
  }
  assertEquals(kinds(1).map((queue) => Object.prototype.toString.call(queue)), [
    "[object Queue]",
    "[object PriorityQueue]",
    "[object LifoQueue]",
  ]);
});

test("Queue.unbounded() has no bound, in every kind", async () => {
  const unbounded: Array<Queue<number>> = [
    Queue.unbounded<number>(),
    PriorityQueue.unbounded<number>({ compare: (a, b) => b - a }),
    LifoQueue.unbounded<number>(),
  ];
  for (const queue of unbounded) {
    assertEquals(queue.maxSize, Infinity);
    for (let i = 0; i < 3000; i++) await queue.put(i, { timeout: 0 });
    assertEquals([queue.size, liveWaiters()], [3000, 0]);
  }
  const ascending = Array.from({ length: 3000 }, (_, i) => i), descending = ascending.toReversed();
  assertEquals(unbounded.map(drain), [ascending, descending, descending]);
  assertInstanceOf(unbounded[1], PriorityQueue);
  assertInstanceOf(unbounded[2], LifoQueue);
});

// -- Order --

test("Queue gives items first in, first out, around its end and through growth", () => {
  const queue = new Queue<number>(100), got: number[] = [];
  let next = 0;
  for (const [puts, gets] of [[5, 3], [7, 2], [30, 20], [60, 77]] as const) {
    for (let i = 0; i < puts; i++) assertEquals(queue.tryPut(next++), true);
    for (let i = 0; i < gets; i++) got.push((queue.tryGet() as { value: number }).value);
  }
  assertEquals(got, Array.from({ length: 102 }, (_, i) => i));
  assertEquals(queue.size, 0);
});

test("Queue.get() and put() do at once what they can, also with a timeout of 0", async () => {
  const queue = new Queue<string>(2);
  await queue.put("a", { timeout: 0 });
  await queue.put("b");
  assertEquals([await queue.peek({ timeout: 0 }), await queue.get({ timeout: 0 })], ["a", "a"]);
  assertEquals([await queue.peek(), await queue.get(), queue.size], ["b", "b", 0]);
});

test("Queue.put() and get() take effect in their own call, before they are awaited", async () => {
  const queue = new Queue<number>(1);
  const put = queue.put(1);
  assertEquals([queue.size, queue.tryPut(2)], [1, false]);
  const got = queue.get();
  assertEquals([queue.size, queue.tryGet()], [0, { state: "empty" }]);
  await put;
  assertEquals(await got, 1);
});

test("Queue keeps any item as it is, undefined and null too", async () => {
  const items = [undefined, null, 0, NaN, "", false, { a: 1 }, () => 1];
  const queue = new Queue<unknown>(items.length);
  for (const item of items) await queue.put(item);
  for (const item of items) {
    const [peeked, tried] = [await queue.peek(), queue.tryPeek()];
    assertStrictEquals(peeked, item);
    assertStrictEquals((tried as { value: unknown }).value, item);
    assertStrictEquals(await queue.get(), item);
  }
  const parked = queue.get();
  assertEquals(queue.tryPut(undefined), true);
  assertEquals([await parked, queue.size], [undefined, 0]);
});

test("Queue.get() parks until an item comes, getters in order of arrival", async () => {
  const step = steps(), queue = new Queue<number>(1);
  const gets = [2, 3, 4].map((n) => queue.get().then((item) => (step(n), item)));
  await idle();
  step(1);
  assertEquals([7, 8, 9].map((item) => queue.tryPut(item)), [true, true, true]);
  assertEquals([queue.size, queue.tryGet()], [0, { state: "empty" }], "handed over");
  assertEquals(await Promise.all(gets), [7, 8, 9]);
  step.end(5);
});

test("Queue.put() parks while it is full, putters in order of arrival", async () => {
  for (const maxSize of [1, 3]) {
    const queue = new Queue<number>(maxSize), log: number[] = [];
    const puts = Array.from(
      { length: maxSize + 3 },
      (_, n) => queue.put(n).then(() => log.push(n)),
    );
    await idle();
    assertEquals([log.length, queue.size, liveWaiters()], [maxSize, maxSize, 3]);
    for (let n = 0; n < 3; n++) {
      assertEquals(await queue.get(), n);
      assertEquals([queue.size, queue.tryPut(-1)], [maxSize, false], "the room was handed over");
      await idle();
      assertEquals(log.length, maxSize + n + 1);
    }
    await Promise.all(puts);
    assertEquals(log, [...log].sort((a, b) => a - b));
    assertEquals(drain(queue), Array.from({ length: maxSize }, (_, i) => i + 3));
  }
});

test("Queue.tryPut() is false when full or closed, and tryGet() and tryPeek() say which", () => {
  for (const queue of kinds(1)) {
    assertEquals([queue.tryGet(), queue.tryPeek()], [{ state: "empty" }, { state: "empty" }]);
    assertEquals([queue.tryPut(1), queue.tryPut(2)], [true, false]);
    assertEquals([queue.tryPeek(), queue.tryPeek(), queue.tryGet()], [ok(1), ok(1), ok(1)]);
    queue.tryPut(3);
    queue.close();
    assertEquals([queue.tryPut(4), queue.tryPeek(), queue.tryGet()], [false, ok(3), ok(3)]);
    assertEquals([queue.tryGet(), queue.tryPeek()], [{ state: "closed" }, { state: "closed" }]);
    assertEquals([queue.tryPut(5), queue.unfinished], [false, 2]);
  }
});

test("Queue.tryPut(), tryGet(), tryPeek(), taskDone() and close() serve in a killed task", async () => {
  const queue = new Queue<number>(1);
  assertEquals(
    await inKilledTask(() => [
      queue.tryPut(7),
      queue.tryPeek(),
      queue.tryGet(),
      queue.taskDone(),
      queue.close(),
    ]),
    [true, ok(7), ok(7), undefined, true],
  );
});

test("Queue.tryGet() lets in who waits for room", async () => {
  const queue = new Queue<number>(1);
  queue.tryPut(1);
  const put = outcome(queue.put(2));
  assertEquals([queue.tryGet(), queue.size], [ok(1), 1]);
  await idle();
  assertEquals([put.state, queue.tryGet()], ["resolved", ok(2)]);
});

// -- Peek --

test("Queue.peek() waits for an item and leaves it", async () => {
  const queue = new Queue<number>(2);
  const peeks = [queue.peek(), queue.peek()];
  await idle();
  queue.tryPut(7);
  assertEquals([await Promise.all(peeks), queue.size], [[7, 7], 1]);
  assertEquals([await queue.peek(), await queue.get()], [7, 7]);
});

test("Queue.peek() sees the item before a getter behind it takes it", async () => {
  const step = steps(), queue = new Queue<number>(1);
  const waits = [
    queue.peek().then((item) => (step(1), item)),
    queue.peek().then((item) => (step(2), item)),
    queue.get().then((item) => (step(3), item)),
    queue.peek().then((item) => (step(4), item)),
    queue.get().then((item) => (step(5), item)),
  ];
  await idle();
  queue.tryPut(7);
  await idle();
  assertEquals([queue.size, liveWaiters()], [0, 2], "those behind the getter wait for the next");
  queue.tryPut(8);
  assertEquals(await Promise.all(waits), [7, 7, 7, 8, 8]);
  step.end(6);
});

test("Queue.peek() that ends leaves the item for the others", async () => {
  const queue = new Queue<number>(1);
  await eachEnd((options) => queue.peek(options), async ({ waiting, end }) => {
    const got = queue.get();
    end();
    queue.tryPut(7);
    await rejection(waiting);
    assertEquals(await got, 7);
  });
});

// -- Ended from outside --

test("Queue.put(), get(), peek() and join() are refused in a killed task and for an aborted signal", async () => {
  const queue = new Queue<number>(2);
  queue.tryPut(1);
  await assertRefuses((options) => queue.put(2, options));
  await assertRefuses((options) => queue.get(options));
  await assertRefuses((options) => queue.peek(options));
  assertEquals([queue.size, queue.unfinished, await queue.get()], [1, 1, 1]);
  queue.taskDone();
  await assertRefuses((options) => queue.join(options));
  queue.close();
  await assertRefuses((options) => queue.put(2, options));
  await assertRefuses((options) => queue.get(options));
});

test("Queue.get() and peek() end by abort, kill and timeout, and lose no item", async () => {
  for (const queue of kinds(1)) {
    await assertEnds((options) => queue.get(options));
    await assertEnds((options) => queue.peek(options));
    queue.tryPut(7);
    assertEquals([queue.size, await queue.get()], [1, 7]);
  }
});

test("Queue.put() ends by abort, kill and timeout, and its item is not enqueued", async () => {
  for (const queue of kinds(1)) {
    queue.tryPut(1);
    await assertEnds((options) => queue.put(2, options));
    assertEquals([drain(queue), queue.size, queue.unfinished], [[1], 0, 1]);
  }
});

test("Queue.put() that ends lets those behind it keep their order", async () => {
  const queue = new Queue<number>(1);
  await eachEnd((options) => {
    queue.tryPut(1);
    return queue.put(2, options);
  }, async ({ waiting, end }) => {
    const behind = [queue.put(3), queue.put(4)];
    end();
    await rejection(waiting);
    assertEquals([await queue.get(), await queue.get(), await queue.get()], [1, 3, 4]);
    await Promise.all(behind);
    assertEquals(queue.size, 0);
  });
});

test("Queue.get() that was handed an item keeps it when the end comes later", async () => {
  const queue = new Queue<number>(1);
  await eachEnd((options) => queue.get(options), async ({ waiting, end }) => {
    queue.tryPut(7);
    end();
    assertEquals([await waiting, queue.size], [7, 0]);
  });
});

test("Queue.get() that ended before the put leaves the item, in the same tick too", async () => {
  const queue = new Queue<number>(1);
  await eachEnd((options) => queue.get(options), async ({ waiting, end }) => {
    end();
    queue.tryPut(7);
    assertEquals([queue.size, queue.tryGet()], [1, ok(7)]);
    await rejection(waiting);
  });
});

test("Queue.put() that was let in stays so when the end comes later", async () => {
  const queue = new Queue<number>(1);
  await eachEnd((options) => {
    queue.tryPut(1);
    return queue.put(2, options);
  }, async ({ waiting, end }) => {
    assertEquals(queue.tryGet(), ok(1));
    end();
    await waiting;
    assertEquals(queue.tryGet(), ok(2));
  });
});

test("Queue.get() and put() in a task that is killed in the tick of the hand-over have happened", async () => {
  const queue = new Queue<number>(1), seen: unknown[] = [];
  const getter = spawn(async () => {
    seen.push(await queue.get());
    await sleep(0);
    seen.push("never");
  });
  await idle();
  queue.tryPut(7);
  await getter.kill();
  queue.tryPut(8);
  const putter = spawn(async () => {
    await queue.put(9);
    seen.push("put");
  });
  await idle();
  assertEquals(queue.tryGet(), ok(8));
  await putter.kill();
  assertEquals([seen, drain(queue), getter.state], [[7, "put"], [9], "killed"]);
});

test("Queue.get() in withTimeout() loses no item to the limit", async () => {
  const queue = new Queue<number>(1);
  assertInstanceOf(await rejection(withTimeout(1, () => queue.get())), TimeoutError);
  queue.tryPut(7);
  assertEquals(await withTimeout(60_000, () => queue.get()), 7);
});

// -- taskDone and join --

test("Queue.join() is true at once if nothing was put, also with a timeout of 0", async () => {
  const queue = new Queue<number>(1);
  assertEquals([await queue.join(), await queue.join({ timeout: 0 })], [true, true]);
});

test("Queue.join() parks until each item put is done, not only taken", async () => {
  const step = steps(), queue = new Queue<number>(3);
  for (const item of [1, 2, 3]) queue.tryPut(item);
  const joins = [2, 3].map((n) => queue.join().then((all) => (step(n), all)));
  drain(queue);
  await idle();
  assertEquals([queue.size, queue.unfinished], [0, 3]);
  queue.taskDone();
  queue.taskDone();
  await idle();
  step(1);
  queue.taskDone();
  assertEquals([await Promise.all(joins), queue.unfinished], [[true, true], 0]);
  step.end(4);
});

test("Queue.join() counts the items of those who waited to put", async () => {
  const queue = new Queue<number>(1);
  queue.tryPut(1);
  const put = queue.put(2);
  assertEquals(queue.unfinished, 1, "not put yet");
  const join = outcome(queue.join());
  assertEquals(queue.tryGet(), ok(1));
  queue.taskDone();
  assertEquals(queue.unfinished, 1);
  await put;
  await idle();
  assertEquals(join.state, "pending");
  assertEquals(queue.tryGet(), ok(2));
  queue.taskDone();
  await idle();
  assertEquals(join.value, true);
});

test("Queue.join() ends by abort, kill and timeout, which gives false", async () => {
  const queue = new Queue<number>(1);
  queue.tryPut(1);
  await assertEnds((options) => queue.join(options), false);
  assertEquals(queue.unfinished, 1);
});

test("Queue.join() serves again after it was done", async () => {
  const queue = new Queue<number>(1);
  for (let round = 0; round < 3; round++) {
    queue.tryPut(round);
    const join = outcome(queue.join());
    await idle();
    assertEquals(join.state, "pending");
    queue.tryGet();
    queue.taskDone();
    queue.tryPut(-1); // it was done for a moment: that is enough
    await idle();
    assertEquals(join.value, true);
    queue.tryGet();
    queue.taskDone();
  }
});

test("Queue.taskDone() more often than items were put is a RangeError", () => {
  const queue = new Queue<number>(2);
  assertThrows(() => queue.taskDone(), RangeError, "Cannot mark task done");
  queue.tryPut(1);
  queue.taskDone();
  assertThrows(() => queue.taskDone(), RangeError);
  assertEquals(queue.unfinished, 0);
});

test("Queue.peek() counts nothing, and a hand-over counts once", async () => {
  const queue = new Queue<number>(1);
  const peeked = queue.peek(), got = queue.get();
  queue.tryPut(7);
  await Promise.all([peeked, got]);
  assertEquals(queue.unfinished, 1);
  queue.taskDone();
  assertEquals(await queue.join(), true);
});

// -- Close --

test("Queue.close() lets gets drain, then they reject; later puts reject with their item", async () => {
  for (const queue of kinds(2)) {
    queue.tryPut(1);
    queue.tryPut(2);
    assertEquals([queue.close(), queue.close(), queue.closed, queue.size], [true, false, true, 2]);
    const item = await queue.peek();
    assertEquals([await queue.get(), await queue.get()].sort(), [1, 2]);
    assert(item > 0);
    for (const verb of ["get", "peek"] as const) {
      const error = await assertRejects(() => queue[verb](), QueueClosedError, "Cannot get from");
      assertEquals(["value" in error, error.name], [false, "QueueClosedError"]);
    }
    const error = await assertRejects(() => queue.put(7), QueueClosedError, "Cannot put to a");
    assertEquals([error.value, "value" in error, queue.size], [7, true, 0]);
    const none = await assertRejects(() => (queue as Queue<unknown>).put(undefined));
    assertEquals("value" in (none as QueueClosedError), true);
  }
});

test("Queue.close() rejects those who wait to put with their items, and keeps what is there", async () => {
  const queue = new Queue<number>(1);
  queue.tryPut(1);
  const puts = [2, 3].map((item) => rejection(queue.put(item)));
  await idle();
  assertEquals(queue.close(), true);
  const errors = await Promise.all(puts) as QueueClosedError[];
  assertEquals(errors.map(({ name, value }) => [name, value]), [
    ["QueueClosedError", 2],
    ["QueueClosedError", 3],
  ]);
  assertEquals([await queue.get(), queue.unfinished, queue.size], [1, 1, 0]);
});

test("Queue.close() rejects those who wait to get or peek, and wakes selects and waits", async () => {
  for (const discard of [undefined, false, true]) {
    const queue = new Queue<number>(1);
    const waits = [rejection(queue.get()), rejection(queue.peek())];
    const selected = select({ queue }), waited = wait([queue]);
    await idle();
    queue.close({ discard });
    for (const error of await Promise.all(waits)) {
      assertInstanceOf(error, QueueClosedError);
      assertEquals("value" in error, false);
    }
    assertEquals(await selected, { key: "queue", value: undefined, done: true });
    assertEquals((await waited).length, 1);
  }
});

test("Queue.close({ discard: true }) drops what is there and counts it as done", async () => {
  for (const queue of kinds(3)) {
    for (const item of [1, 2, 3]) queue.tryPut(item);
    queue.tryGet();
    queue.tryPut(4);
    const put = rejection(queue.put(5)), join = outcome(queue.join());
    assertEquals(queue.close({ discard: true }), true);
    assertEquals((await put as QueueClosedError).value, 5, "not put, so not discarded");
    assertEquals([queue.size, queue.unfinished, queue.tryGet()], [0, 1, { state: "closed" }]);
    await idle();
    assertEquals(join.state, "pending", "the one that was taken is not done");
    queue.taskDone();
    await idle();
    assertEquals(join.value, true);
    assertThrows(() => queue.taskDone(), RangeError);
  }
});

test("Queue.close({ discard: true }) after a close still discards, and wakes who joins", async () => {
  const queue = new Queue<number>(3);
  queue.tryPut(1);
  queue.tryPut(2);
  assertEquals(queue.close(), true);
  const join = queue.join();
  assertEquals([queue.close({ discard: true }), queue.size, queue.unfinished], [false, 0, 0]);
  assertEquals(await join, true);
  assertEquals(queue.close({ discard: true }), false);
});

test("Queue.close({ discard: true }) counts an item that was called done before it was taken once", async () => {
  // As one does who peeks, works, marks it done and only then takes it.
  const queue = new Queue<number>(2);
  queue.tryPut(1);
  await queue.peek();
  queue.taskDone();
  queue.tryPut(2);
  const controller = new AbortController();
  const join = outcome(queue.join({ signal: controller.signal }));
  queue.close({ discard: true });
  await idle();
  controller.abort("enough");
  await idle();
  assertEquals([queue.unfinished, join.value, await queue.join({ timeout: 0 })], [0, true, true]);
});

test("Queue.close() leaves taskDone() and join() to those who still work", async () => {
  const queue = new Queue<number>(2);
  queue.tryPut(1);
  queue.tryPut(2);
  const done: number[] = [];
  const worker = spawn(async () => {
    for await (const item of queue) {
      await sleep(0);
      done.push(item);
      queue.taskDone();
    }
  });
  queue.close();
  assertEquals([await queue.join(), done], [true, [1, 2]]);
  await worker;
});

// -- Iteration --

test("Queue is iterated until it is closed and empty", async () => {
  for (const queue of kinds(8)) {
    const got: number[] = [];
    const reader = spawn(async () => {
      for await (const item of queue) got.push(item);
      return "ended";
    });
    await idle();
    for (const item of [1, 2, 3]) await queue.put(item);
    await idle();
    assertEquals([got.toSorted(), reader.state], [[1, 2, 3], "running"]);
    queue.tryPut(4);
    queue.close();
    assertEquals([await reader, got.length], ["ended", 4]);
    for await (const _ of queue) assert(false, "ended at once");
  }
});

test("Queue iteration that is left early leaves the queue open and loses nothing", async () => {
  const queue = new Queue<number>(8);
  for (const item of [1, 2, 3, 4]) queue.tryPut(item);
  for await (const item of queue) {
    if (item === 2) break;
  }
  assertEquals([queue.closed, queue.size], [false, 2]);
  await assertRejects(async () => {
    for await (const item of queue) {
      if (item === 3) throw new Error("no");
    }
  });
  assertEquals([drain(queue), queue.unfinished, liveWaiters()], [[4], 4, 0]);
});

test("Queue is shared by several iterations, each item to one of them", async () => {
  const queue = new Queue<number>(2), got: number[][] = [[], [], []];
  const workers = got.map((mine) =>
    spawn(async () => {
      for await (const item of queue) {
        mine.push(item);
        await sleep(0);
        queue.taskDone();
      }
    })
  );
  for (let item = 0; item < 30; item++) await queue.put(item);
  assertEquals(await queue.join(), true);
  queue.close();
  await joinAll(workers, { raiseError: true });
  assertEquals(got.flat().sort((a, b) => a - b), Array.from({ length: 30 }, (_, i) => i));
  assert(got.every((mine) => mine.length > 1));
});

test("Queue iteration ends by the kill of its task, and takes nothing with it", async () => {
  const queue = new Queue<number>(1), got: number[] = [];
  const reader = spawn(async () => {
    for await (const item of queue) got.push(item);
  });
  await idle();
  queue.tryPut(1);
  await idle();
  await reader.kill();
  queue.tryPut(2);
  assertEquals([got, reader.state, drain(queue)], [[1], "killed", [2]]);
});

test("Queue iteration hands over a task as it is, failed or not", async () => {
  // Nothing of ours resolves to a bare task; iterators hand tasks over (design 3, last paragraph).
  const queue = new Queue<Task<number>>(2);
  const succeeds = spawn(() => 7);
  const fails = spawn(() => {
    throw new Error("no");
  });
  await joinAll([succeeds, fails]);
  queue.tryPut(succeeds);
  queue.tryPut(fails as Task<never>);
  queue.close();
  const got: unknown[] = [];
  for await (const task of queue) got.push(task);
  assertEquals(got.length, 2);
  assertStrictEquals(got[0], succeeds);
  assertStrictEquals(got[1], fails);
});

test("Queue iterator.return() settles a next() that waits, and takes no item later", async () => {
  const queue = new Queue<number>(1), iterator = queue[Symbol.asyncIterator]();
  const next = outcome(iterator.next());
  await idle();
  const returned = outcome(iterator.return!());
  await idle();
  queue.tryPut(7);
  await idle();
  assertEquals([next.value, returned.state, drain(queue)], [
    { done: true, value: undefined },
    "resolved",
    [7],
  ]);
});

// -- maxSize --

test("Queue.maxSize made larger lets in who waits for room, at once and in order", async () => {
  const queue = new Queue<number>(1);
  const puts = [1, 2, 3, 4, 5].map((item) => outcome(queue.put(item)));
  const state = async () => {
    await idle();
    return puts.filter(({ state }) => state === "resolved").length;
  };
  assertEquals([await state(), queue.size], [1, 1]);
  queue.maxSize = 3;
  assertEquals([queue.maxSize, queue.size, queue.unfinished, await state()], [3, 3, 3, 3]);
  queue.maxSize = Infinity;
  assertEquals([queue.size, await state()], [5, 5]);
  assertEquals(drain(queue), [1, 2, 3, 4, 5]);
});

test("Queue.maxSize made smaller keeps what is there, and puts wait until there is room", async () => {
  const queue = new Queue<number>(3);
  for (const item of [1, 2, 3]) queue.tryPut(item);
  queue.maxSize = 1;
  assertEquals([queue.size, queue.tryPut(4)], [3, false]);
  const put = outcome(queue.put(4));
  assertEquals([queue.tryGet(), queue.tryGet(), queue.size], [ok(1), ok(2), 1]);
  await idle();
  assertEquals(put.state, "pending");
  assertEquals([queue.tryGet(), queue.size], [ok(3), 1]);
  await idle();
  assertEquals([put.state, drain(queue)], ["resolved", [4]]);
});

test("Queue.maxSize is a RangeError for what is no integer >= 1, and stays", () => {
  const queue = new Queue<number>(2);
  for (const maxSize of [0, -1, NaN, 1.5, undefined as never]) {
    assertThrows(() => queue.maxSize = maxSize, RangeError, "maxSize must be an integer >= 1");
  }
  assertEquals(queue.maxSize, 2);
});

// -- select and wait --

test("Queue as a case of select is a get, and done once it is closed and empty", async () => {
  const queue = new Queue<number>(2);
  assertEquals(trySelect({ queue }), undefined);
  queue.tryPut(7);
  assertEquals(await select({ queue, late: after(0) }), { key: "queue", value: 7, done: false });
  const waiting = select({ queue });
  await idle();
  queue.tryPut(8);
  assertEquals([await waiting, queue.size], [{ key: "queue", value: 8, done: false }, 0]);
  queue.tryPut(9);
  queue.close();
  assertEquals(trySelect([queue]), { key: 0, value: 9, done: false });
  assertEquals(trySelect([queue]), { key: 0, value: undefined, done: true });
  assertEquals(queue.unfinished, 3);
});

test("Queue that loses a select loses no item", async () => {
  const [a, b] = [new Queue<number>(1), new Queue<number>(1)], ch = new Channel<number>();
  a.tryPut(1);
  b.tryPut(2);
  for (const first of [0.99, 0]) {
    const got = await select({ a, b }, { random: () => first });
    assertEquals(a.size + b.size, 1);
    queueOf(got.key).tryPut(got.value!);
  }
  function queueOf(key: "a" | "b"): Queue<number> {
    return key === "a" ? a : b;
  }
  assertEquals([drain(a), drain(b)], [[1], [2]]);
  const waiting = select({ a, ch, b });
  await idle();
  assertEquals([ch.trySend(7), a.tryPut(3), b.tryPut(4)], [true, true, true]);
  assertEquals(await waiting, { key: "ch", value: 7, done: false });
  assertEquals([a.size, b.size], [1, 1]);
});

test("Queue in a select stands in line with getters, and lets in who waits for room", async () => {
  const queue = new Queue<number>(1);
  const first = queue.get(), second = select([queue, queue]), third = queue.get();
  for (const item of [1, 2, 3]) assertEquals(queue.tryPut(item), true);
  assertEquals([await first, (await second).value, await third], [1, 2, 3]);
  queue.tryPut(4);
  const put = outcome(queue.put(5));
  assertEquals((await select([queue])).value, 4);
  await idle();
  assertEquals([put.state, queue.size], ["resolved", 1]);
});

test("Queue in a select that ends loses no item", async () => {
  const queue = new Queue<number>(1);
  await assertEnds((options) => select({ queue }, options));
  queue.tryPut(7);
  await assertRefuses((options) => select({ queue }, options));
  assertEquals(await queue.get(), 7);
});

test("wait() on a queue waits until there is an item and leaves it", async () => {
  const queue = new Queue<number>(2);
  const waiting = outcome(wait([queue])), got = queue.get();
  await idle();
  queue.tryPut(1);
  await idle();
  assertEquals([await got, waiting.state], [1, "pending"], "those who take go first");
  queue.tryPut(2);
  await idle();
  assertEquals([waiting.state, queue.size, (await wait([queue])).length], ["resolved", 1, 1]);
});

// -- PriorityQueue --

test("PriorityQueue gives the lowest item first, and equal ones as they were put", () => {
  const queue = new PriorityQueue<[number, string]>(100, { compare: ([a], [b]) => a - b });
  const items = [3, 1, 2, 1, 3, 2, 1, 1, 2, 3, 3, 1].map((n, i): [number, string] => [n, `${i}`]);
  for (const item of items) queue.tryPut(item);
  const sorted = items.toSorted(([a], [b]) => a - b); // stable
  const got: Array<[number, string]> = [];
  while (queue.size > 0) {
    const peeked = queue.tryPeek(), taken = queue.tryGet();
    assertStrictEquals(
      (peeked as { value: unknown }).value,
      (taken as { value: unknown }).value,
      "peek agrees",
    );
    got.push((taken as { value: [number, string] }).value);
  }
  assertEquals(got, sorted);
});

test("PriorityQueue compares by < without compare: numbers, strings, dates, bigints", () => {
  const order = <T>(...items: T[]) => {
    const queue = new PriorityQueue<T>(10);
    for (const item of items) queue.tryPut(item);
    return drain(queue);
  };
  assertEquals(order(10, 9, -1, Infinity, 0), [-1, 0, 9, 10, Infinity]);
  assertEquals(order("b", "a", "C"), ["C", "a", "b"]);
  assertEquals(order(3n, 1n, 2n), [1n, 2n, 3n]);
  assertEquals(order(new Date(2), new Date(1)), [new Date(1), new Date(2)]);
  assertEquals(order(undefined, undefined), [undefined, undefined]);
});

test("PriorityQueue keeps the order when gets and puts mix, and equal ones come late", async () => {
  const queue = new PriorityQueue<string>(10, { compare: (a, b) => a.length - b.length });
  for (const item of ["bb", "a", "cc", "dd"]) queue.tryPut(item);
  assertEquals([await queue.get(), await queue.get()], ["a", "bb"]);
  for (const item of ["ee", "f", "ccc"]) queue.tryPut(item);
  assertEquals([await queue.peek(), drain(queue)], ["f", ["f", "cc", "dd", "ee", "ccc"]]);
});

test("PriorityQueue lets putters in first come first served, whatever they bring", async () => {
  const queue = new PriorityQueue<number>(1);
  queue.tryPut(5);
  const puts = [9, 1].map((item) => outcome(queue.put(item)));
  assertEquals(await queue.get(), 5);
  await idle();
  assertEquals(puts.map(({ state }) => state), ["resolved", "pending"]);
  assertEquals([await queue.get(), await queue.get()], [9, 1]);
});

test("PriorityQueue hands an item to who waits, and to getters in order of arrival", async () => {
  const queue = new PriorityQueue<number>(2), gets = [queue.get(), queue.get()];
  queue.tryPut(9);
  queue.tryPut(1);
  assertEquals(await Promise.all(gets), [9, 1]);
});

test("PriorityQueue rejects a compare that is no function", () => {
  for (const compare of [null, 1, "a", {}]) {
    const options = { compare: compare as never };
    assertThrows(() => new PriorityQueue(1, options), TypeError, "compare must be a function");
    assertThrows(() => PriorityQueue.unbounded(options), TypeError);
  }
});

test("PriorityQueue.put() rejects when compare throws, and the queue is as before", async () => {
  const compare = (a: number, b: number): number => {
    if (a === 13 || b === 13) throw new Error("unlucky");
    return a - b;
  };
  const queue = new PriorityQueue<number>(8, { compare });
  for (const item of [5, 3, 4]) queue.tryPut(item);
  assertThrows(() => queue.tryPut(13), Error, "unlucky");
  await assertRejects(() => queue.put(13), Error, "unlucky");
  assertEquals([queue.size, queue.unfinished], [3, 3]);
  assertEquals([await queue.get(), await queue.get(), await queue.get()], [3, 4, 5]);
  for (let i = 0; i < 3; i++) queue.taskDone();
  assertEquals(await queue.join({ timeout: 0 }), true);
});

test("PriorityQueue.put() that waited rejects when compare throws, and the getter keeps its item", async () => {
  const compare = (a: number, b: number): number => {
    if (a === 13 || b === 13) throw new Error("unlucky");
    return a - b;
  };
  const queue = new PriorityQueue<number>(2, { compare });
  queue.tryPut(1);
  queue.tryPut(2);
  const puts = [outcome(queue.put(13)), outcome(queue.put(3))];
  const seen: unknown[] = [];
  try {
    seen.push(await queue.get());
    await idle();
    seen.push(puts[0]!.state, puts[1]!.state, queue.unfinished, ...drain(queue));
  } finally {
    queue.close();
    await idle();
  }
  assertEquals(seen, [1, "rejected", "resolved", 3, 2, 3]);
});

// -- LifoQueue --

test("LifoQueue gives the newest item first, and peek agrees", async () => {
  const queue = new LifoQueue<number>(3);
  for (const item of [1, 2, 3]) queue.tryPut(item);
  assertEquals([await queue.peek(), await queue.get()], [3, 3]);
  queue.tryPut(4);
  assertEquals([queue.tryPeek(), drain(queue)], [ok(4), [4, 2, 1]]);
});

test("LifoQueue lets putters in first come first served", async () => {
  const queue = new LifoQueue<number>(2);
  queue.tryPut(1);
  queue.tryPut(2);
  const puts = [queue.put(3), queue.put(4)];
  assertEquals([await queue.get(), await queue.get()], [2, 3]);
  await Promise.all(puts);
  assertEquals(drain(queue), [4, 1]);
});

test("LifoQueue keeps undefined as an item", async () => {
  const queue = new LifoQueue<undefined>(2);
  queue.tryPut(undefined);
  assertEquals([queue.size, queue.tryPeek()], [1, ok(undefined)]);
  assertEquals([await queue.get(), queue.size], [undefined, 0]);
});

test("PriorityQueue.get() rejects when compare throws, and the queue stays as it is", async () => {
  let throws = false;
  const queue = PriorityQueue.unbounded<number>({
    compare(a, b) {
      if (throws) throw new Error("cannot compare");
      return a - b;
    },
  });
  for (const n of [3, 1, 5, 2, 4]) queue.tryPut(n);
  throws = true;
  await assertRejects(() => queue.get(), Error, "cannot compare");
  assertThrows(() => queue.tryGet(), Error, "cannot compare");
  throws = false;
  assertEquals(drain(queue), [1, 2, 3, 4, 5]);
});

test("Queue iterator takes 50,000 parallel next(), one by one", async () => {
  const queue = Queue.unbounded<number>(), iterator = queue[Symbol.asyncIterator]();
  const results = Array.from({ length: 50_000 }, () => iterator.next());
  for (let n = 0; n < 49_000; n++) queue.tryPut(n);
  for (let n = 0; n < 49_000; n++) assertEquals((await results[n]!).value, n);
  await iterator.return!();
  assertEquals((await Promise.all(results.slice(49_000))).filter(({ done }) => !done), []);
});
