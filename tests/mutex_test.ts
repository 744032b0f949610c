// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The lock: one holder at a time, handed over in order, given back however its holder ends; and the
 * reentrant kind, which belongs to a task.
 *
 * @module
 */

import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { Channel } from "../src/channel.ts";
import { TimeoutError } from "../src/errors.ts";
import { joinAll } from "../src/join.ts";
import { Mutex } from "../src/mutex.ts";
import { select, trySelect } from "../src/select.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { after } from "../src/timer.ts";
import { wait } from "../src/wait.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertEnds, assertRefuses, eachEnd, inKilledTask, livingTask } from "./waits.ts";

noLeaks();

// -- One at a time --

test("Mutex.acquire() locks at once when it is free, also with a timeout of 0", async () => {
  const mutex = new Mutex();
  assertEquals([mutex.locked, Object.prototype.toString.call(mutex)], [false, "[object Mutex]"]);
  const first = await mutex.acquire();
  assertEquals(mutex.locked, true);
  first.release();
  assertEquals(mutex.locked, false);
  const second = await mutex.acquire({ timeout: 0 });
  assertEquals(mutex.locked, true);
  second.release();
});

test("Mutex.acquire() locks in its own call, before it is awaited", async () => {
  const mutex = new Mutex();
  const acquired = mutex.acquire();
  assertEquals([mutex.locked, mutex.tryAcquire()], [true, undefined]);
  (await acquired).release();
});

test("Mutex.acquire() parks while another holds it, and is served in order of arrival", async () => {
  const step = steps(), mutex = new Mutex();
  const held = await mutex.acquire();
  const waits = [2, 4, 6].map((n) =>
    mutex.withLock(async () => {
      step(n);
      await idle();
      step(n + 1);
    })
  );
  await idle();
  step(1);
  held.release();
  await Promise.all(waits);
  step.end(8);
  assertEquals(mutex.locked, false);
});

test("Mutex hands over in the tick of the release, nobody can barge in", async () => {
  const mutex = new Mutex();
  const held = await mutex.acquire();
  const waiting = mutex.acquire();
  held.release();
  assertEquals([mutex.locked, mutex.tryAcquire(), liveWaiters()], [true, undefined, 0]);
  const late = outcome(mutex.acquire());
  await idle();
  assertEquals(late.state, "pending");
  (await waiting).release();
  await idle();
  late.value!.release();
  assertEquals(mutex.locked, false);
});

test("Mutex that two tasks contend for alternates between them", async () => {
  const mutex = new Mutex(), turns: string[] = [];
  const contend = async (name: string) => {
    for (let i = 0; i < 50; i++) {
      using _lock = await mutex.acquire();
      turns.push(name);
      await sleep(0);
    }
  };
  await joinAll([spawn(contend, "a"), spawn(contend, "b")], { raiseError: true });
  assertEquals(turns.join(""), "ab".repeat(50));
});

test("Mutex is not reentrant by default: the task that holds it waits like any other", async () => {
  const mutex = new Mutex();
  const task = spawn(async () => {
    using _lock = await mutex.acquire();
    assertEquals(mutex.tryAcquire(), undefined);
    assertEquals(trySelect([mutex]), undefined);
    return await rejection(mutex.acquire({ timeout: 1 }));
  });
  assertInstanceOf(await task, TimeoutError);
  assertEquals(mutex.locked, false);
});

// -- Giving back --

test("Lock.release() and disposal together unlock once", async () => {
  const mutex = new Mutex();
  const lock = await mutex.acquire();
  const next = mutex.acquire();
  const last = outcome(mutex.acquire());
  lock.release();
  lock.release();
  lock[Symbol.dispose]();
  await idle();
  assertEquals([last.state, mutex.locked], ["pending", true]);
  (await next)[Symbol.dispose]();
  await idle();
  last.value!.release();
  last.value!.release();
  assertEquals(mutex.locked, false);
});

test("Lock is given back by using, at the end of the block and on an error", async () => {
  const mutex = new Mutex();
  {
    using _lock = await mutex.acquire();
    assertEquals(mutex.locked, true);
  }
  assertEquals(mutex.locked, false);
  await assertRejects(
    async () => {
      using _lock = await mutex.acquire();
      throw new Error("inside");
    },
    Error,
    "inside",
  );
  assertEquals(mutex.locked, false);
});

test("Mutex.tryAcquire() locks or gives undefined, and serves in a killed task", async () => {
  const mutex = new Mutex();
  const lock = await inKilledTask(() => mutex.tryAcquire());
  assertEquals(mutex.locked, true);
  assertEquals(await inKilledTask(() => mutex.tryAcquire()), undefined);
  await inKilledTask(() => lock!.release());
  assertEquals(mutex.locked, false);
});

test("Mutex.withLock() holds the lock until fn has ended, and gives what it gives", async () => {
  const mutex = new Mutex(), open = gate<string>();
  const slow = mutex.withLock(() => open.promise);
  await idle();
  assertEquals(mutex.locked, true);
  open.open("done");
  assertEquals([await slow, mutex.locked], ["done", false]);
  assertEquals([await mutex.withLock(() => mutex.locked), mutex.locked], [true, false]);
});

test("Mutex.withLock() unlocks when fn throws or rejects", async () => {
  const mutex = new Mutex(), error = new Error("no");
  const failing: Array<() => unknown> = [
    () => {
      throw error;
    },
    () => Promise.reject(error),
    async () => {
      await idle();
      throw error;
    },
  ];
  for (const fn of failing) {
    assertStrictEquals(await rejection(mutex.withLock(fn)), error);
    assertEquals(mutex.locked, false);
  }
});

test("Mutex.withLock() unlocks when its task is killed inside, after its clean-up", async () => {
  const step = steps(), mutex = new Mutex();
  const task = spawn(() =>
    mutex.withLock(async () => {
      try {
        await sleep(Infinity);
      } finally {
        await shield(idle);
        step(1);
      }
    })
  );
  await idle();
  const next = mutex.withLock(() => step(2));
  await task.kill();
  await next;
  step.end(3);
  assertEquals([task.state, mutex.locked], ["killed", false]);
});

test("Mutex.withLock() that is ended while it waits never calls fn", async () => {
  const mutex = new Mutex(), held = await mutex.acquire();
  let called = false;
  await assertEnds((options) => mutex.withLock(() => called = true, options));
  held.release();
  await assertRefuses((options) => mutex.withLock(() => called = true, options));
  assertEquals([called, mutex.locked], [false, false]);
});

test("Mutex.withLock() rejects what is no function, and locks nothing", async () => {
  const mutex = new Mutex();
  await assertRejects(
    () => mutex.withLock(undefined as never),
    TypeError,
    "Cannot run with lock: fn must be a function",
  );
  assertEquals(mutex.locked, false);
});

// -- Ended from outside --

test("Mutex.acquire() is refused in a killed task and for an aborted signal, and locks nothing", async () => {
  const mutex = new Mutex();
  await assertRefuses((options) => mutex.acquire(options));
  assertEquals(mutex.locked, false);
});

test("Mutex.acquire() ends by abort, kill and timeout, and has taken nothing", async () => {
  const mutex = new Mutex(), held = await mutex.acquire();
  await assertEnds((options) => mutex.acquire(options));
  held.release();
  assertEquals(mutex.locked, false);
});

test("Mutex.acquire() that ends at the head lets those behind it proceed", async () => {
  const mutex = new Mutex();
  for (const endsFirst of [true, false]) {
    let held = mutex.tryAcquire()!;
    await eachEnd((options) => mutex.acquire(options), async ({ waiting, end }) => {
      const behind = mutex.acquire();
      if (endsFirst) {
        end();
        held.release();
        await rejection(waiting);
      } else {
        held.release(); // handed over: what ends it comes too late
        end();
        (await waiting).release();
      }
      held = await behind;
    });
    held.release();
    assertEquals(mutex.locked, false);
  }
});

test("Mutex is handed over in the tick in which its holder is killed", async () => {
  const mutex = new Mutex(), log: string[] = [];
  const hold = (name: string) =>
    spawn({ name }, () =>
      mutex.withLock(async () => {
        log.push(`${name} in`);
        try {
          await sleep(Infinity);
        } finally {
          log.push(`${name} out`);
        }
      }));
  const [a, b, c] = [hold("a"), hold("b"), hold("c")];
  await idle();
  void a.kill();
  void b.kill(); // it waits still: c is next
  await idle();
  assertEquals([log, mutex.locked], [["a in", "a out", "c in"], true]);
  await c.kill();
  assertEquals([[a, b, c].map(({ state }) => state), mutex.locked], [
    ["killed", "killed", "killed"],
    false,
  ]);
});

test("Mutex handed to a task that is killed in the same tick comes back", async () => {
  const mutex = new Mutex(), held = await mutex.acquire();
  let inside = 0;
  const next = spawn(() =>
    mutex.withLock(async () => {
      inside++;
      await sleep(0);
      inside++;
    })
  );
  await idle();
  held.release();
  void next.kill();
  const last = await mutex.acquire();
  await next.join();
  assertEquals([inside, next.state], [1, "killed"]);
  last.release();
});

// -- Reentrant --

test("Mutex that is reentrant is locked again by its task, and free after as many releases", async () => {
  const mutex = new Mutex({ reentrant: true });
  const other = await spawn(async () => {
    const locks = [await mutex.acquire(), mutex.tryAcquire()!, (await select([mutex])).value!];
    const waiting = outcome(spawn(() => mutex.withLock(() => "other")));
    await idle();
    for (const lock of [1, 0, 2].map((at) => locks[at]!)) {
      assertEquals([mutex.locked, waiting.state], [true, "pending"]);
      lock.release();
      lock.release();
      await idle();
    }
    return waiting;
  });
  assertEquals([other.value, mutex.locked], ["other", false]);
});

test("Mutex that is reentrant keeps other tasks, also spawned ones, and the program out", async () => {
  const mutex = new Mutex({ reentrant: true });
  await spawn(async () => {
    using _lock = await mutex.acquire();
    assertEquals(await spawn(() => mutex.tryAcquire()), undefined);
    assertInstanceOf(
      await spawn(() => rejection(mutex.acquire({ timeout: 1 }))).get(),
      TimeoutError,
    );
  });
  const living = await livingTask();
  const lock = living.call(() => mutex.tryAcquire())!;
  assertEquals([mutex.tryAcquire(), trySelect([mutex])], [undefined, undefined]);
  lock.release();
  await living.end();
});

test("Mutex that is reentrant counts the program outside of tasks as one task", async () => {
  const mutex = new Mutex({ reentrant: true });
  const outer = await mutex.acquire(), inner = await mutex.acquire();
  const task = outcome(spawn(() => mutex.withLock(() => "task")));
  outer.release();
  await idle();
  assertEquals([mutex.locked, task.state], [true, "pending"]);
  inner.release();
  await idle();
  assertEquals([task.value, mutex.locked], ["task", false]);
});

test("Mutex that is reentrant nests withLock() in one task, across waits", async () => {
  const mutex = new Mutex({ reentrant: true });
  const depth = async (n: number): Promise<number> => {
    await sleep(0);
    return n === 0 ? 0 : 1 + await mutex.withLock(() => depth(n - 1));
  };
  assertEquals(await spawn(() => depth(5)), 5);
  assertEquals(mutex.locked, false);
});

test("Mutex that is reentrant belongs to the task it was handed to", async () => {
  const mutex = new Mutex({ reentrant: true }), held = await mutex.acquire();
  const open = gate();
  const tasks = [() => mutex.acquire(), async () => (await select([mutex])).value!].map((take) =>
    spawn(async () => {
      using _first = await take();
      using second = mutex.tryAcquire();
      await open.promise;
      return second !== undefined;
    })
  );
  await idle();
  held.release();
  await idle();
  assertEquals(mutex.tryAcquire(), undefined, "it is the program's no more");
  open.open();
  assertEquals(await Promise.all(tasks), [true, true]);
  assertEquals(mutex.locked, false);
});

test("Mutex that is reentrant serves all waits of the task that it is handed to", async () => {
  // Whether another held it when they began must not decide between both at once and for ever.
  for (const contended of [false, true]) {
    const mutex = new Mutex({ reentrant: true });
    const held = contended ? await mutex.acquire() : undefined;
    const task = spawn(async () => {
      const locks = await Promise.all([mutex.acquire(), mutex.acquire()]);
      for (const lock of locks) lock.release();
    });
    await idle();
    held?.release();
    await idle();
    const { state } = task;
    await task.kill();
    assertEquals([state, mutex.locked], ["succeeded", false], contended ? "contended" : "free");
  }
});

// -- select and wait --

test("Mutex as a case of select is locked when chosen, and the value is the lock", async () => {
  const mutex = new Mutex();
  const got = await select({ mutex });
  assertEquals([got.key, got.done, mutex.locked], ["mutex", false, true]);
  assertEquals(trySelect({ mutex }), undefined);
  const waiting = select({ mutex });
  await idle();
  got.value!.release();
  assertEquals(mutex.tryAcquire(), undefined);
  (await waiting).value!.release();
  assertEquals(mutex.locked, false);
});

test("Mutex that loses a select was not locked, ready or not", async () => {
  const [a, b] = [new Mutex(), new Mutex()];
  for (const first of [0, 0.99]) {
    const got = await select({ a, b }, { random: () => first });
    assertEquals([a.locked, b.locked].filter((locked) => locked).length, 1);
    got.value!.release();
  }
  const held = await a.acquire(), ch = new Channel<number>();
  const waiting = select({ a, ch });
  await idle();
  assertEquals(ch.trySend(7), true);
  held.release();
  assertEquals((await waiting).key, "ch");
  assertEquals(a.locked, false);
});

test("Mutex in a select waits in line, and listed twice is locked once", async () => {
  const mutex = new Mutex(), held = await mutex.acquire();
  const selected = outcome(select([mutex, mutex])), behind = outcome(mutex.acquire());
  await idle();
  held.release();
  await idle();
  assertEquals([selected.state, behind.state], ["resolved", "pending"]);
  selected.value!.value!.release();
  await idle();
  behind.value!.release();
  assertEquals(mutex.locked, false);
});

test("Mutex in a select that ends has locked nothing", async () => {
  const mutex = new Mutex(), held = await mutex.acquire();
  await assertEnds((options) => select({ mutex }, options));
  assertEquals((await select({ mutex, late: after(0) })).key, "late");
  held.release();
  await assertRefuses((options) => select({ mutex }, options));
  assertEquals([mutex.locked, liveWaiters()], [false, 0]);
});

test("wait() on a mutex only waits until it is free", async () => {
  const mutex = new Mutex();
  assertEquals([(await wait([mutex])).length, mutex.locked], [1, false]);
  const held = await mutex.acquire();
  const waiting = outcome(wait([mutex])), next = mutex.acquire();
  held.release();
  await idle();
  assertEquals(waiting.state, "pending", "those who lock go first");
  (await next).release();
  await idle();
  assertEquals([waiting.state, mutex.locked], ["resolved", false]);
  const lock = mutex.tryAcquire()!;
  assertEquals([await wait([mutex], { timeout: 0 }), liveWaiters()], [[], 0]);
  lock.release();
});

test("Mutex takes options only of the right kind, and is not reentrant unless it says true", () => {
  for (const options of [undefined, {}, { reentrant: undefined }, { reentrant: 1 as never }]) {
    const mutex = new Mutex(options), lock = mutex.tryAcquire()!;
    assertEquals(mutex.tryAcquire(), undefined);
    lock.release();
  }
  assertThrows(() => new Mutex(null as never), TypeError);
});
