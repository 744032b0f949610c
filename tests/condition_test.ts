// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The condition: it gives up the mutex while it waits, and holds it again however the wait ends.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { Condition } from "../src/condition.ts";
import { joinAll } from "../src/join.ts";
import { type Lock, Mutex } from "../src/mutex.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertRefuses, eachEnd, inKilledTask, livingTask } from "./waits.ts";

noLeaks();

test("Condition is a TypeError over what is no mutex", () => {
  for (const mutex of [undefined, null, {}, "mutex", new Condition(new Mutex())]) {
    assertThrows(() => new Condition(mutex as never), TypeError, "mutex must be a Mutex");
  }
  assertEquals(
    Object.prototype.toString.call(new Condition(new Mutex())),
    "[object Condition]",
  );
});

test("Condition.wait() without the lock is a TypeError, and does not wait", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex);
  await assertRejects(() => changed.wait(), TypeError, "its mutex must be locked");
  await mutex.withLock(() => {});
  await assertRejects(() => changed.wait({ timeout: 0 }), TypeError);
  assertEquals([mutex.locked, liveWaiters()], [false, 0]);
});

test("Condition.wait() gives up the lock at once, to who waits for it first", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex);
  const lock = await mutex.acquire();
  const next = [mutex.acquire(), mutex.acquire()] as const;
  const waiting = outcome(changed.wait());
  assertEquals(mutex.locked, true, "handed over in the same tick");
  (await next[0]).release();
  (await next[1]).release();
  assertEquals([mutex.locked, waiting.state], [false, "pending"]);
  changed.notify();
  await idle();
  assertEquals([waiting.value, mutex.locked], [true, true]);
  lock.release();
  assertEquals(mutex.locked, false);
});

test("Condition.wait() holds the lock again when it returns, behind those who wait for it", async () => {
  const step = steps(), mutex = new Mutex(), changed = new Condition(mutex);
  const waiter = mutex.withLock(async () => {
    step(1);
    await changed.wait();
    assertEquals(mutex.tryAcquire(), undefined);
    step(4);
  });
  await idle();
  const lock = await mutex.acquire();
  const before = mutex.withLock(() => step(3));
  changed.notify();
  await idle();
  step(2);
  lock.release();
  await Promise.all([waiter, before]);
  step.end(5);
  assertEquals(mutex.locked, false);
});

test("Condition.notify() wakes the first n of those who wait, in order of arrival", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex), woken: number[] = [];
  const waits = [0, 1, 2, 3, 4, 5].map((n) =>
    mutex.withLock(async () => {
      assertEquals(await changed.wait(), true);
      woken.push(n);
    })
  );
  const after = async (...count: [number] | []) => {
    await idle();
    changed.notify(...count);
    await idle();
    return woken.splice(0);
  };
  assertEquals(await after(0), []);
  assertEquals(await after(), [0]);
  assertEquals(await after(2), [1, 2]);
  assertEquals(await after(100), [3, 4, 5]);
  await Promise.all(waits);
  assertEquals(mutex.locked, false);
});

test("Condition.notifyAll() wakes all who wait, in order, one at a time under the lock", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex), woken: number[] = [];
  let inside = 0;
  const waits = [0, 1, 2].map((n) =>
    mutex.withLock(async () => {
      await changed.wait();
      assertEquals(++inside, 1);
      woken.push(n);
      await idle();
      inside--;
    })
  );
  await idle();
  changed.notifyAll();
  const late = outcome(mutex.withLock(() => changed.wait()));
  await Promise.all(waits);
  await idle();
  assertEquals([woken, late.state], [[0, 1, 2], "pending"]);
  changed.notifyAll();
  await idle();
  assertEquals(late.value, true);
});

test("Condition.notify() that nobody waits for is not kept", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex);
  changed.notify();
  changed.notifyAll();
  const waiting = outcome(mutex.withLock(() => changed.wait()));
  await idle();
  assertEquals(waiting.state, "pending");
  changed.notify();
  await idle();
  assertEquals(waiting.value, true);
});

test("Condition.notify() is a RangeError with a count that is no integer >= 0", () => {
  const changed = new Condition(new Mutex());
  for (const count of [-1, 1.5, NaN, Infinity, "1" as never]) {
    assertThrows(() => changed.notify(count), RangeError, "Cannot notify: count must be");
  }
});

test("Condition.notify() serves with the lock, without it, and in a killed task", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex);
  const waits = [1, 2, 3].map(() => mutex.withLock(() => changed.wait()));
  await idle();
  await mutex.withLock(() => changed.notify());
  changed.notify();
  await inKilledTask(() => changed.notifyAll());
  assertEquals(await Promise.all(waits), [true, true, true]);
});

test("Condition.wait() is refused in a killed task and for an aborted signal, and keeps the lock", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex), lock = await mutex.acquire();
  await assertRefuses((options) => {
    const waiting = changed.wait(options);
    assertEquals(mutex.tryAcquire(), undefined, "never given up");
    return waiting;
  });
  lock.release();
  assertEquals(mutex.locked, false);
});

test("Condition.wait() that ends by abort, kill or timeout holds the lock again", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex);
  let lock: Lock | undefined;
  await eachEnd(
    (options) => {
      lock = mutex.tryAcquire();
      return changed.wait(options);
    },
    async ({ how, waiting, reason, end }) => {
      const seen = outcome(waiting);
      assertEquals(mutex.locked, false);
      const other = await mutex.acquire();
      end();
      await idle();
      assertEquals(seen.state, "pending", `waits for the lock after the ${how}`);
      other.release();
      assertEquals(mutex.tryAcquire(), undefined, "handed back in the same tick");
      await idle();
      if (how === "timeout") assertEquals(seen, { state: "resolved", value: false });
      else assertStrictEquals(seen.error, reason);
      changed.notify();
      assertEquals(mutex.tryAcquire(), undefined);
      lock!.release();
      assertEquals(mutex.locked, false);
    },
  );
});

test("Condition.wait() that ends takes no notification from the others", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex);
  let lock: Lock | undefined;
  await eachEnd(
    (options) => {
      lock = mutex.tryAcquire();
      return changed.wait(options);
    },
    async ({ waiting, end }) => {
      const behind = mutex.withLock(() => changed.wait());
      await idle();
      end();
      changed.notify();
      await waiting.catch(() => {});
      lock!.release();
      assertEquals(await behind, true);
    },
  );
});

test("Condition.wait() that was notified is true when the end comes later", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex);
  for (const relocks of [false, true]) {
    let lock: Lock | undefined;
    await eachEnd(
      (options) => {
        lock = mutex.tryAcquire();
        return changed.wait(options);
      },
      async ({ how, waiting, end }) => {
        const seen = outcome(waiting), other = await mutex.acquire();
        changed.notify();
        // It waits for the lock then, out of reach of what ends waits.
        if (relocks) await idle();
        end();
        await idle();
        assertEquals(seen.state, "pending", how);
        other.release();
        assertEquals([await waiting, mutex.locked], [true, true]);
        lock!.release();
        assertEquals(mutex.locked, false);
      },
    );
  }
});

test("Condition.wait() in a killed task lets its using and finally run under the lock", async () => {
  const mutex = new Mutex(), changed = new Condition(mutex), log: string[] = [];
  const task = spawn(async () => {
    using _lock = await mutex.acquire();
    try {
      await changed.wait();
    } finally {
      log.push(mutex.tryAcquire() === undefined ? "locked" : "free");
    }
  });
  await idle();
  const other = await mutex.acquire();
  const killed = task.kill();
  await idle();
  assertEquals([log, task.ready], [[], false]);
  other.release();
  await killed;
  assertEquals([log, task.state, mutex.locked], [["locked"], "killed", false]);
});

test("Condition.wait() under a reentrant mutex gives up all its depth and restores it", async () => {
  const mutex = new Mutex({ reentrant: true }), changed = new Condition(mutex);
  for (const contended of [false, true]) {
    const task = spawn(async () => {
      const locks = [await mutex.acquire(), await mutex.acquire(), await mutex.acquire()];
      const notified = await changed.wait();
      const held = [];
      for (const lock of locks) {
        held.push(mutex.locked);
        lock.release();
      }
      return [notified, ...held, mutex.locked];
    });
    await idle();
    assertEquals(mutex.locked, false);
    const lock = await mutex.acquire();
    if (!contended) lock.release();
    changed.notify();
    await idle();
    if (contended) lock.release();
    assertEquals(await task, [true, true, true, true, false]);
  }
});

test("Condition.wait() under a reentrant mutex that ends restores the depth too", async () => {
  const mutex = new Mutex({ reentrant: true }), changed = new Condition(mutex);
  const task = spawn(async () => {
    const locks = [await mutex.acquire(), await mutex.acquire()];
    assertEquals(await changed.wait({ timeout: 0 }), false);
    locks[0]!.release();
    assertEquals(mutex.locked, true);
    // The task owns it as before: it can lock again, others cannot.
    mutex.tryAcquire()!.release();
    assertEquals(await spawn(() => mutex.tryAcquire()), undefined);
    locks[1]!.release();
  });
  await task;
  assertEquals(mutex.locked, false);
});

test("Condition.wait() keeps the depth that its task added since the lock came back", async () => {
  const mutex = new Mutex({ reentrant: true }), changed = new Condition(mutex);
  const open = gate(), living = await livingTask();
  const first = living.call(() => mutex.tryAcquire())!;
  const waiting = living.call(() => changed.wait());
  // A second part of the same task locks between the hand-over and the end of wait().
  const second = living.call(() => open.promise.then(() => mutex.tryAcquire()));
  const other = mutex.tryAcquire()!;
  changed.notify();
  await idle();
  open.open();
  other.release();
  await waiting;
  const inner = (await second)!;
  assert(inner !== undefined);
  await living.end();
  first.release();
  assertEquals([mutex.locked, mutex.tryAcquire()], [true, undefined], "the second part holds it");
  inner.release();
  assertEquals(mutex.locked, false);
});

test("Condition serves a bounded buffer: nothing is lost, nobody hangs", async () => {
  const mutex = new Mutex(), items: number[] = [], got: number[] = [];
  const notEmpty = new Condition(mutex), notFull = new Condition(mutex);
  const put = (item: number) =>
    mutex.withLock(async () => {
      while (items.length === 2) await notFull.wait();
      items.push(item);
      notEmpty.notify();
    });
  const take = () =>
    mutex.withLock(async () => {
      while (items.length === 0) await notEmpty.wait();
      notFull.notify();
      return items.shift()!;
    });
  const producers = [0, 1, 2].map((p) =>
    spawn(async () => {
      for (let i = 0; i < 20; i++) await put(p * 20 + i);
    })
  );
  const consumers = [0, 1].map(() =>
    spawn(async () => {
      for (let i = 0; i < 30; i++) {
        got.push(await take());
        if (i % 7 === 0) await sleep(0);
      }
    })
  );
  await joinAll([...producers, ...consumers], { raiseError: true });
  assertEquals(got.sort((a, b) => a - b), Array.from({ length: 60 }, (_, i) => i));
  assertEquals([items.length, mutex.locked], [0, false]);
});

test("Condition.wait() is out of the way of others who are notified in the same tick", async () => {
  const mutex = new Mutex(), a = new Condition(mutex), b = new Condition(mutex);
  const waits = [a, b, a].map((condition) => mutex.withLock(() => condition.wait()));
  await idle();
  b.notifyAll();
  assertEquals(await waits[1], true);
  assertEquals(liveWaiters(), 2);
  const failed = mutex.withLock(() => Promise.reject("no"));
  assertEquals(await rejection(failed), "no");
  a.notifyAll();
  assertEquals(await Promise.all(waits), [true, true, true]);
});

test("Condition.wait() under a reentrant mutex does not wait for its own task", async () => {
  const mutex = new Mutex({ reentrant: true }), condition = new Condition(mutex);
  const task = spawn(async () => {
    const outer = await mutex.acquire();
    const waits = condition.wait();
    const inner = await mutex.acquire();
    condition.notify();
    assertEquals(await waits, true);
    inner.release();
    assertEquals(mutex.locked, true);
    outer.release();
  });
  const ended = outcome(task);
  await idle();
  await idle();
  assertEquals([ended.state, mutex.locked], ["resolved", false]);
});
