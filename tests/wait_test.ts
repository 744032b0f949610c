// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Waiting until things are ready: their order, their number, and that nothing is taken or left.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Channel } from "../src/channel.ts";
import { Deferred } from "../src/deferred.ts";
import { Event } from "../src/event.ts";
import { Mutex } from "../src/mutex.ts";
import { Queue } from "../src/queue.ts";
import { Semaphore } from "../src/semaphore.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import type { Task } from "../src/task.ts";
import { after, every } from "../src/timer.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { iwait, wait, type Waitable, type WaitManyOptions } from "../src/wait.ts";
import { enlisted, noneEnlisted } from "./enlisted.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();
noneEnlisted();

function events(count: number): Event[] {
  return Array.from({ length: count }, () => new Event());
}

/** What `iwait` gives, all of it. */
async function collect<W extends Waitable>(
  objects: Iterable<W>,
  options?: WaitManyOptions,
): Promise<W[]> {
  const got: W[] = [];
  for await (const object of iwait(objects, options)) got.push(object);
  return got;
}

/** Both words, for what they have in common. */
const WORDS = { wait, iwait: collect } as const;

/** Asserts that both lists hold the very same objects. */
function assertSameObjects(actual: readonly unknown[], expected: readonly unknown[]): void {
  assertEquals(actual.length, expected.length);
  actual.forEach((object, i) => assertStrictEquals(object, expected[i], `at ${i}`));
}

for (const [word, gives] of Object.entries(WORDS)) {
  // -- Order --

  test(`${word}() gives the already ready first, in list order`, async () => {
    const [a, b, c, d] = events(4) as [Event, Event, Event, Event];
    for (const event of [d, b, c]) event.set();
    const waits = gives([a, b, c, d]);
    await idle();
    a.set();
    assertSameObjects(await waits, [b, c, d, a]);
  });

  test(`${word}() gives the others in the order in which they become ready`, async () => {
    const all = events(4), [a, b, c, d] = all;
    const waits = gives(all);
    await idle();
    for (const event of [c, a, d]) event!.set();
    await idle();
    b!.set();
    assertSameObjects(await waits, [c, a, d, b] as Event[]);
    assertEquals(enlisted(), 0);
  });

  test(`${word}() counts what was ready for a moment`, async () => {
    const [event] = events(1) as [Event];
    const waits = gives([event]);
    await idle();
    event.set();
    event.clear();
    assertSameObjects(await waits, [event]);
  });

  test(`${word}() gives what is listed twice once`, async () => {
    const [a, b] = events(2) as [Event, Event];
    const waits = gives([a, b, a, b, a]);
    await idle();
    b.set();
    a.set();
    assertSameObjects(await waits, [b, a]);
    assertSameObjects(await gives([a, b, a]), [a, b]);
  });

  test(`${word}() takes any iterable, read once`, async () => {
    const [a, b] = events(2) as [Event, Event];
    a.set();
    b.set();
    function* each() {
      yield a;
      yield b;
    }
    assertSameObjects(await gives(each()), [a, b]);
    assertSameObjects(await gives(new Set([b, a])), [b, a]);
    assertSameObjects(await gives([]), []);
  });

  // -- Number --

  test(`${word}() ends when count are ready, and leaves the others`, async () => {
    for (const count of [0, 1, 2, 3]) {
      const all = events(4);
      all[3]!.set();
      const waits = gives(all, { count });
      await idle();
      for (const event of all) event.set();
      const got = await waits;
      assertSameObjects(got, [all[3], all[0], all[1]].slice(0, count));
      assertEquals(enlisted(), 0);
    }
    const [a, b] = events(2) as [Event, Event];
    a.set();
    b.set();
    assertSameObjects(await gives([a, b], { count: 1 }), [a]);
    assertSameObjects(await gives([a, b], { count: 5 }), [a, b]);
    assertSameObjects(await gives([a, b], { count: Infinity }), [a, b]);
  });

  // -- Nothing is taken --

  test(`${word}() takes nothing from what it waits for`, async () => {
    const semaphore = new Semaphore(1), mutex = new Mutex(), queue = new Queue<number>(1);
    queue.tryPut(7);
    const objects = [semaphore, mutex, queue];
    assertSameObjects(await gives(objects), objects);
    assertEquals([semaphore.value, mutex.locked, queue.size], [1, false, 1]);

    const permit = semaphore.tryAcquire()!, lock = mutex.tryAcquire()!;
    queue.tryGet();
    const waits = gives(objects);
    await idle();
    lock.release();
    permit.release();
    queue.tryPut(8);
    assertSameObjects(await waits, [mutex, semaphore, queue]);
    assertEquals([semaphore.value, mutex.locked, queue.size], [1, false, 1]);
  });

  test(`${word}() on a semaphore does not hold up those in its line`, async () => {
    const semaphore = new Semaphore(1);
    const permit = semaphore.tryAcquire()!;
    const waits = outcome(gives([semaphore]));
    const acquired = semaphore.acquire();
    await idle();
    permit.release();
    const second = await acquired;
    await idle();
    assertEquals(waits.state, "pending");
    second.release();
    await idle();
    assertEquals(waits.state, "resolved");
  });

  test(`${word}() hands tasks and promises over as they are`, async () => {
    const good = spawn(() => 7), open = gate<number>();
    open.open(8);
    const got = await gives([good, open.promise] as Waitable[], {});
    assertEquals(got.length, 2);
    assert(got.includes(good) && got.includes(open.promise));
  });

  test(`${word}() throws no error of what it waits for, ended or not`, async () => {
    const error = new Error("no");
    const failed = spawn(() => {
      throw error;
    });
    const killed = spawn(() => sleep(Infinity));
    const deferred = new Deferred<number>(), open = gate();
    const objects: Waitable[] = [failed, killed, deferred, open.promise];
    const waits = gives(objects);
    await idle();
    void killed.kill();
    deferred.reject(error);
    open.fail(error);
    assertEquals((await waits).length, 4);
    const again = await gives(objects);
    assertEquals(new Set(again), new Set(objects));
    assertEquals(again.slice(0, 3), objects.slice(0, 3));
  });

  test(`${word}() observes the failures that it gives, and only these`, async () => {
    const reported: unknown[] = [];
    using _hook = onUnhandled((error) => reported.push((error as Error).message));
    const fail = (name: string) =>
      spawn(() => {
        throw new Error(name);
      });
    await gives([fail("a"), fail("b")]);
    const first = fail("c"),
      late = spawn(async () => {
        await sleep(0);
        await sleep(0);
        throw new Error("d");
      });
    assertSameObjects(await gives([late, first], { count: 1 }), [first]);
    await idle();
    assertEquals(reported, ["d"]);
  });

  // -- The ends --

  test(`${word}() gives what is ready when its limit is over`, async () => {
    using time = new ManualClock();
    const all = events(4);
    all[2]!.set();
    const seen = outcome(gives(all, { timeout: 10 }));
    await idle();
    time.advance(5);
    all[0]!.set();
    await idle();
    time.advance(4);
    await idle();
    assertEquals(seen.state, "pending");
    time.advance(1);
    await idle();
    assertSameObjects(seen.value!, [all[2], all[0]]);
    assertEquals([enlisted(), time.size], [0, 0]);
    all[1]!.set();
    await idle();
    assertEquals(seen.value!.length, 2, "the list stays as it was");
  });

  test(`${word}() with a limit of 0 gives what is ready now`, async () => {
    const all = events(2);
    all[1]!.set();
    assertSameObjects(await gives(all, { timeout: 0 }), [all[1]]);
    assertSameObjects(await gives(events(2), { timeout: 0 }), []);
  });

  test(`${word}() without a need to wait makes no timer and no listener`, async () => {
    using time = new ManualClock();
    const controller = new AbortController(), listeners = countListeners(controller.signal);
    const all = events(2);
    for (const event of all) event.set();
    await gives(all, { timeout: 10, signal: controller.signal });
    assertEquals([time.size, listeners.added], [0, 0]);
  });

  test(`${word}() rejects when its signal aborts, and leaves nothing`, async () => {
    const controller = new AbortController(), listeners = countListeners(controller.signal);
    const all = events(3), slow = spawn(() => sleep(Infinity));
    all[1]!.set();
    const fails = rejection(gives([...all, slow] as Waitable[], { signal: controller.signal }));
    await idle();
    controller.abort("enough");
    assertEquals(await fails, "enough");
    assertEquals([enlisted(), listeners.active], [1, 0], "only the sleeper");
    const refused = rejection(gives(all, { signal: controller.signal }));
    assertEquals(await refused, "enough");
    await slow.kill();
  });

  test(`${word}() in a task that is killed rejects, leaves nothing and observes nothing`, async () => {
    const reported: unknown[] = [];
    using _hook = onUnhandled((error) => reported.push((error as Error).message));
    const open = gate(), late = spawn(() => open.promise), [event] = events(1) as [Event];
    event.set();
    const task = spawn(() => gives([event, late, new Event()] as Waitable[]));
    await idle();
    await task.kill();
    assertEquals([task.state, enlisted()], ["killed", 0]);
    open.fail(new Error("late"));
    await idle();
    assertEquals(reported, ["late"]);
  });

  test(`${word}() in a killed task rejects before any effect`, async () => {
    const reported: unknown[] = [];
    using _hook = onUnhandled((error) => reported.push((error as Error).message));
    const failed = spawn(() => {
      throw new Error("unseen");
    });
    const task = spawn(async () => {
      await sleep(Infinity).catch(() => {});
      return await rejection(gives([failed]));
    });
    await idle();
    const reason = new Error("reason");
    void task.kill(reason);
    assertStrictEquals(await task, reason);
    assertEquals([reported, enlisted()], [["unseen"], 0]);
  });

  test(`${word}() causes no unhandled rejection of a promise, whichever way it ends`, async () => {
    const bad = gate(), good = new Event();
    good.set();
    assertSameObjects(await gives([bad.promise, good] as Waitable[], { count: 1 }), [good]);
    await gives([bad.promise], { timeout: 0 });
    await rejection(gives([bad.promise], { signal: AbortSignal.abort("gone") }));
    bad.fail(new Error("dropped"));
    await idle();
  });

  test(`${word}() subscribes to a promise once in its life`, async (t) => {
    const open = gate<number>(), good = new Event();
    const spied = t.mock.method(open.promise, "then");
    good.set();
    for (let i = 0; i < 50; i++) await gives([open.promise, good] as Waitable[], { count: 1 });
    open.open(7);
    await gives([open.promise]);
    assertEquals(spied.mock.callCount(), 1);
  });

  // -- Bad input --

  test(`${word}() refuses what cannot be waited for without taking from it`, async () => {
    const call = (objects: unknown) => {
      // iwait() throws at once, wait() rejects: it gives a promise.
      try {
        return Promise.resolve((word === "wait" ? wait : iwait)(objects as never) as unknown);
      } catch (error) {
        return Promise.reject(error);
      }
    };
    const ch = new Channel<number>({ capacity: 1 });
    ch.trySend(1);
    for (const object of [ch, ch.sending(2), every(5)]) {
      await assertRejects(() => call([object]), TypeError, "select() takes");
    }
    for (const object of [7, null, undefined, "text", {}]) {
      await assertRejects(() => call([object]), TypeError, `Cannot ${word}: an object must be`);
    }
    for (const objects of [undefined, null, 7, new Event()]) {
      await assertRejects(() => call(objects), TypeError, `Cannot ${word}: objects must be iterab`);
    }
    assertEquals(ch.size, 1);
  });

  test(`${word}() refuses wrong options`, async () => {
    for (const count of [-1, 1.5, NaN, -Infinity]) {
      await assertRejects(async () => await gives([], { count }), RangeError, "count must be");
    }
    for (const timeout of [-1, NaN]) {
      await assertRejects(() => gives(events(1), { timeout }), RangeError, "timeout must be");
    }
    await assertRejects(() => gives(events(1), { signal: {} as never }), TypeError, "signal");
  });

  test(`${word}() of 10,000 things gives each once`, async () => {
    const all = events(10_000);
    const waits = gives(all);
    await idle();
    for (let i = all.length - 1; i >= 0; i--) all[i]!.set();
    assertSameObjects(await waits, [...all].reverse());
    assertEquals(enlisted(), 0);
  });
}

// -- wait --

test("wait() parks until the last is ready", async () => {
  const step = steps(), all = events(2);
  const waits = wait(all).then(() => step(2));
  await idle();
  all[0]!.set();
  await idle();
  step(1);
  all[1]!.set();
  await waits;
  step.end(3);
});

test("wait() that was served keeps its result against an abort or kill in the same tick", async () => {
  const controller = new AbortController(), all = events(2);
  const waits = wait(all, { signal: controller.signal });
  const task = spawn(() => wait(all));
  await idle();
  for (const event of all) event.set();
  controller.abort("too late");
  void task.kill();
  assertEquals([(await waits).length, (await task).length], [2, 2]);
});

test("wait() on after() tells which comes first", async () => {
  using time = new ManualClock();
  const a = after(20), b = after(10);
  const waits = wait([a, b]);
  time.advance(10);
  time.advance(10);
  assertSameObjects(await waits, [b, a]);
});

// -- iwait --

test("iwait() begins at the first next()", async () => {
  using time = new ManualClock();
  const [event] = events(1) as [Event];
  const waits = iwait([event], { timeout: 10 });
  time.advance(50);
  assertEquals([enlisted(), time.size], [0, 0]);
  const seen = outcome(waits.next());
  time.advance(9);
  await idle();
  assertEquals(seen.state, "pending");
  time.advance(1);
  await idle();
  assertEquals(seen.value, { done: true, value: undefined });
});

test("iwait() gives each as soon as it is ready", async () => {
  const step = steps(), all = events(2);
  const loop = (async () => {
    let at = 2;
    for await (const event of iwait(all)) {
      assertStrictEquals(event, all[at === 2 ? 1 : 0]);
      step(at);
      at += 2;
    }
  })();
  await idle();
  step(1);
  all[1]!.set();
  await idle();
  step(3);
  all[0]!.set();
  await loop;
  step.end(5);
});

test("iwait() that is left early takes every wait back", async () => {
  const controller = new AbortController(), listeners = countListeners(controller.signal);
  using time = new ManualClock();
  const all = events(5);
  all[3]!.set();
  for await (const event of iwait(all, { signal: controller.signal, timeout: 10 })) {
    assertStrictEquals(event, all[3]);
    assertEquals(enlisted(), 4);
    break;
  }
  assertEquals([enlisted(), listeners.active, time.size], [0, 0, 0]);
  await assertRejects(
    async () => {
      for await (const _ of iwait(all)) throw new Error("left");
    },
    Error,
    "left",
  );
  assertEquals(enlisted(), 0);
  {
    await using waits = iwait(all);
    await waits.next();
    assertEquals(enlisted(), 4);
  }
  assertEquals(enlisted(), 0);
});

test("iwait() left by return() settles a next() that waits, and stays ended", async () => {
  const all = events(2), waits = iwait(all);
  const pending = waits.next(), second = waits.next();
  await idle();
  assertEquals(await waits.return!(), { done: true, value: undefined });
  const END = { done: true, value: undefined } as const;
  assertEquals([await pending, await second, await waits.next()], [END, END, END]);
  all[0]!.set();
  assertEquals(await waits.next(), END);
  assertEquals(enlisted(), 0);
});

test("iwait() answers next() calls at the same time, each with one object", async () => {
  const all = events(3), waits = iwait(all);
  const nexts = [waits.next(), waits.next(), waits.next()];
  await idle();
  for (const at of [2, 0, 1]) all[at]!.set();
  const got = (await Promise.all(nexts)).map(({ value }) => value);
  assertSameObjects(got, [all[2], all[0], all[1]]);
  assertEquals((await waits.next()).done, true);
});

test("iwait() ends the next() calls for which nothing is left", async () => {
  const all = events(2), waits = iwait(all);
  const nexts = [waits.next(), waits.next(), waits.next(), waits.next()].map(outcome);
  await idle();
  all[0]!.set();
  all[1]!.set();
  await idle();
  const states = nexts.map(({ state }) => state);
  await waits.return!();
  assertEquals(states, Array(4).fill("resolved"));
  assertEquals(nexts.map(({ value }) => value?.done), [false, false, true, true]);
});

test("iwait() gives what became ready between two calls, also after the limit", async () => {
  using time = new ManualClock();
  const all = events(3), waits = iwait(all, { timeout: 10 });
  all[0]!.set();
  assertStrictEquals((await waits.next()).value, all[0]);
  all[2]!.set();
  all[1]!.set();
  time.advance(50);
  assertStrictEquals((await waits.next()).value, all[2]);
  assertStrictEquals((await waits.next()).value, all[1]);
  assertEquals((await waits.next()).done, true);
});

test("iwait() counts its limit from the first next(), not from each", async () => {
  using time = new ManualClock();
  const all = events(2), waits = iwait(all, { timeout: 10 });
  const first = waits.next();
  time.advance(6);
  all[0]!.set();
  await first;
  const seen = outcome(waits.next());
  await idle();
  time.advance(3);
  await idle();
  assertEquals(seen.state, "pending");
  time.advance(1);
  await idle();
  assertEquals(seen.value?.done, true);
  assertEquals(enlisted(), 0);
});

test("iwait() that an abort ended between two calls leaves nothing", async () => {
  const controller = new AbortController(), all = events(2);
  const waits = iwait(all, { signal: controller.signal });
  all[0]!.set();
  await waits.next();
  controller.abort("enough");
  assertEquals(await rejection(waits.next()), "enough");
  assertEquals(enlisted(), 0);
});

test("iwait() is its own iterator, and throws for wrong arguments at once", () => {
  const waits = iwait([new Event()]);
  assertStrictEquals(waits[Symbol.asyncIterator](), waits);
  assertThrows(() => iwait([7 as never]), TypeError);
  assertThrows(() => iwait([], { count: -1 }), RangeError);
  for (const timeout of [-1, NaN]) assertThrows(() => iwait([], { timeout }), RangeError);
  assertThrows(() => iwait([], { timeout: "5" as never }), TypeError);
  assertThrows(() => iwait([], { signal: {} as never }), TypeError);
});

test("iwait() over a thousand tasks gives each once while others are killed", async () => {
  const tasks: Task<unknown>[] = Array.from({ length: 1000 }, (_, i) =>
    spawn(async () => {
      for (let turns = i % 7; turns > 0; turns--) await sleep(0);
      return i % 3 === 0 ? await sleep(Infinity) : i;
    }));
  const seen = new Set<unknown>();
  for await (const task of iwait(tasks)) {
    seen.add(task);
    if (seen.size === 300) { for (const other of tasks) void other.kill(); }
  }
  assertEquals(seen.size, 1000);
});

test("wait() on a thing that throws when it is watched leaves no other wait behind", async () => {
  const event = new Event();
  const broken = new Event();
  Object.defineProperty(broken, "~select", {
    value: {
      watch: () => {
        throw new Error("watch");
      },
      delist: () => {},
    },
  });
  await assertRejects(() => wait([event, broken]), Error, "watch");
  assertEquals(enlisted(), 0);
});
