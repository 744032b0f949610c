// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The semaphore: order, weights, hand-over, and that no permit is lost or issued twice however an
 * acquire ends.
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
import { TimeoutError } from "../src/errors.ts";
import { Event } from "../src/event.ts";
import { joinAll } from "../src/join.ts";
import { select, trySelect } from "../src/select.ts";
import { BoundedSemaphore, type Permit, Semaphore } from "../src/semaphore.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { withTimeout } from "../src/timeout.ts";
import { after } from "../src/timer.ts";
import { wait } from "../src/wait.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertEnds, assertRefuses, eachEnd, inKilledTask, livingTask } from "./waits.ts";

noLeaks();

// -- Construction --

test("Semaphore has one permit by default, or as many as given, none too", () => {
  assertEquals([new Semaphore(), new Semaphore(0), new Semaphore(3)].map((it) => it.value), [
    1,
    0,
    3,
  ]);
  assertEquals([new BoundedSemaphore(), new BoundedSemaphore(3)].map((it) => it.value), [1, 3]);
  const tag = (it: unknown) => Object.prototype.toString.call(it);
  assertEquals([tag(new Semaphore()), tag(new BoundedSemaphore())], [
    "[object Semaphore]",
    "[object BoundedSemaphore]",
  ]);
  assertInstanceOf(new BoundedSemaphore(), Semaphore);
});

test("Semaphore is a RangeError with permits that are no integer >= 0, or above the bound", () => {
  for (const permits of [-1, 1.5, NaN, Infinity, -Infinity, "1" as never, null as never]) {
    assertThrows(() => new Semaphore(permits), RangeError, "Cannot create semaphore");
    assertThrows(() => new BoundedSemaphore(permits), RangeError, "Cannot create semaphore");
  }
  assertThrows(() => new Semaphore(2, 1), RangeError, "Cannot create semaphore");
  assertThrows(() => new Semaphore(1, NaN), RangeError, "Cannot create semaphore");
});

// -- Acquire and release --

test("Semaphore.acquire() takes at once what is free, also with a timeout of 0", async () => {
  const semaphore = new Semaphore(3);
  const one = await semaphore.acquire();
  const two = await semaphore.acquire({ weight: 2, timeout: 0 });
  assertEquals([one.weight, two.weight, semaphore.value], [1, 2, 0]);
  one.release();
  assertEquals(semaphore.value, 1);
  two.release();
  assertEquals(semaphore.value, 3);
});

test("Semaphore.acquire() takes in its own call, before it is awaited", async () => {
  const semaphore = new Semaphore(1);
  const acquired = semaphore.acquire();
  assertEquals([semaphore.value, semaphore.tryAcquire()], [0, undefined]);
  (await acquired).release();
});

test("Semaphore.acquire() parks until a permit is released, in order of arrival", async () => {
  const step = steps(), semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  const waits = [2, 3, 4].map(async (n) => {
    using _permit = await semaphore.acquire();
    step(n);
    await idle();
  });
  await idle();
  step(1);
  held.release();
  await Promise.all(waits);
  step.end(5);
  assertEquals(semaphore.value, 1);
});

test("Semaphore.release() hands the permit over in the same tick, nobody can barge in", async () => {
  const semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  const waiting = semaphore.acquire();
  held.release();
  assertEquals([semaphore.value, liveWaiters()], [0, 0]);
  assertEquals(semaphore.tryAcquire(), undefined);
  const late = outcome(semaphore.acquire());
  await idle();
  assertEquals(late.state, "pending");
  (await waiting).release();
  await idle();
  late.value!.release();
});

test("Semaphore.release() serves as many as there is enough for, in order", async () => {
  const semaphore = new Semaphore(0);
  const waits = [1, 1, 2, 1].map((weight) => outcome(semaphore.acquire({ weight })));
  const states = async () => {
    await idle();
    return waits.map(({ state }) => state === "resolved");
  };
  semaphore.release(2);
  assertEquals(await states(), [true, true, false, false]);
  semaphore.release();
  assertEquals(await states(), [true, true, false, false]);
  assertEquals(semaphore.value, 1);
  semaphore.release(3);
  assertEquals(await states(), [true, true, true, true]);
  assertEquals(semaphore.value, 1);
});

test("Semaphore that two tasks contend for alternates between them (gevent #1487)", async () => {
  const semaphore = new Semaphore(1), turns: string[] = [];
  const contend = async (name: string) => {
    for (let i = 0; i < 50; i++) {
      using _permit = await semaphore.acquire();
      turns.push(name);
      await sleep(0);
    }
  };
  await joinAll([spawn(contend, "a"), spawn(contend, "b")]);
  assertEquals(turns.join(""), "ab".repeat(50));
});

test("Semaphore lets at most as many in as it has permits, at 1 and many", async () => {
  for (const permits of [1, 3, 10]) {
    const semaphore = new Semaphore(permits);
    let inside = 0, most = 0;
    const tasks = Array.from({ length: 20 }, () =>
      spawn(async () => {
        for (let i = 0; i < 5; i++) {
          using _permit = await semaphore.acquire();
          most = Math.max(most, ++inside);
          await sleep(0);
          inside--;
        }
      }));
    await joinAll(tasks, { raiseError: true });
    assertEquals([most, inside, semaphore.value], [permits, 0, permits]);
  }
});

// -- Weights --

test("Semaphore.acquire() of a large weight at the head is not starved by small ones", async () => {
  const semaphore = new Semaphore(3);
  const held = await semaphore.acquire();
  const large = outcome(semaphore.acquire({ weight: 3 }));
  const small = outcome(semaphore.acquire());
  await idle();
  assertEquals([large.state, small.state, semaphore.value], ["pending", "pending", 2]);
  assertEquals(semaphore.tryAcquire(), undefined, "does not barge, though two are free");
  held.release();
  await idle();
  assertEquals([large.state, small.state, semaphore.value], ["resolved", "pending", 0]);
  large.value!.release();
  await idle();
  assertEquals([small.state, semaphore.value], ["resolved", 2]);
  small.value!.release();
});

test("Semaphore.acquire() of a large weight is served under a stream of small ones", async () => {
  const semaphore = new Semaphore(4);
  let rounds = 0, served = false;
  const small = Array.from({ length: 8 }, () =>
    spawn(async () => {
      while (!served && rounds < 10_000) {
        using _permit = await semaphore.acquire();
        rounds++;
        await sleep(0);
      }
    }));
  await sleep(0);
  const before = rounds;
  const large = await semaphore.acquire({ weight: 4 });
  served = true;
  // Only those who came before: the four inside and the four that waited.
  assert(rounds - before <= 16, `${rounds - before} small ones went first`);
  large.release();
  await joinAll(small, { raiseError: true });
  assertEquals(semaphore.value, 4);
});

test("Semaphore.acquire() of a weight above all permits waits for release(n), without a bound", async () => {
  const semaphore = new Semaphore(1);
  const large = outcome(semaphore.acquire({ weight: 3 }));
  await idle();
  assertEquals(large.state, "pending");
  semaphore.release(2);
  await idle();
  assertEquals([large.value?.weight, semaphore.value], [3, 0]);
});

test("Semaphore is a RangeError with a weight that is no integer >= 1, or above the bound", async () => {
  const semaphore = new Semaphore(2), bounded = new BoundedSemaphore(2);
  for (const weight of [0, -1, 1.5, NaN, Infinity, "1" as never]) {
    await assertRejects(() => semaphore.acquire({ weight }), RangeError, "weight must be");
    assertThrows(() => semaphore.tryAcquire({ weight }), RangeError, "weight must be");
    await assertRejects(() => semaphore.withPermit(() => {}, { weight }), RangeError);
  }
  await assertRejects(() => bounded.acquire({ weight: 3 }), RangeError, "the bound 2, got 3");
  assertThrows(() => bounded.tryAcquire({ weight: 3 }), RangeError, "the bound 2, got 3");
  assertEquals([semaphore.value, bounded.value, liveWaiters()], [2, 2, 0]);
  assertEquals(bounded.tryAcquire({ weight: 2 })?.weight, 2);
});

// -- Permits --

test("Permit.release() and disposal together give back once", async () => {
  const semaphore = new Semaphore(2);
  const permit = await semaphore.acquire({ weight: 2 });
  permit.release();
  permit.release();
  permit[Symbol.dispose]();
  assertEquals([semaphore.value, permit.weight], [2, 2]);
  const other = semaphore.tryAcquire()!;
  other[Symbol.dispose]();
  other[Symbol.dispose]();
  other.release();
  assertEquals(semaphore.value, 2);
});

test("Permit that was given back does not take from who holds the permit now", async () => {
  const semaphore = new Semaphore(1);
  const first = await semaphore.acquire();
  const waiting = semaphore.acquire();
  first.release();
  first.release();
  assertEquals(semaphore.value, 0);
  (await waiting).release();
  assertEquals(semaphore.value, 1);
});

test("Permit is given back by using, at the end of the block and on an error", async () => {
  const semaphore = new Semaphore(1);
  {
    using permit = await semaphore.acquire();
    assertEquals([permit.weight, semaphore.value], [1, 0]);
  }
  assertEquals(semaphore.value, 1);
  await assertRejects(
    async () => {
      using _permit = await semaphore.acquire();
      throw new Error("inside");
    },
    Error,
    "inside",
  );
  assertEquals(semaphore.value, 1);
});

test("Permit is given back by using when the task is killed inside", async () => {
  const semaphore = new Semaphore(1);
  const task = spawn(async () => {
    using _permit = await semaphore.acquire();
    await sleep(Infinity);
  });
  await idle();
  const waiting = outcome(semaphore.acquire());
  assertEquals(semaphore.value, 0);
  await task.kill();
  assertEquals(task.state, "killed");
  await idle();
  assertEquals(waiting.state, "resolved");
});

// -- tryAcquire --

test("Semaphore.tryAcquire() gives a permit or undefined, and serves in a killed task", async () => {
  const semaphore = new Semaphore(2);
  const permit = await inKilledTask(() => semaphore.tryAcquire({ weight: 2 }));
  assertEquals([permit?.weight, semaphore.value], [2, 0]);
  assertEquals(await inKilledTask(() => semaphore.tryAcquire()), undefined);
  await inKilledTask(() => permit!.release());
  assertEquals(semaphore.value, 2);
  assertEquals(semaphore.tryAcquire({ weight: 3 }), undefined);
});

test("Semaphore.tryAcquire() in a loop that gives way does not keep the permit from others", async () => {
  const semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  let tries = 0;
  const impatient = spawn(async () => {
    for (let permit = semaphore.tryAcquire();; permit = semaphore.tryAcquire(), tries++) {
      if (permit !== undefined) return permit.release();
      await sleep(0);
    }
  });
  await sleep(0); // idle() would wait for ever: this task is never idle
  const waiting = semaphore.acquire();
  held.release();
  (await waiting).release();
  await impatient;
  assert(tries > 0);
  assertEquals(semaphore.value, 1);
});

// -- withPermit --

test("Semaphore.withPermit() holds the permit until fn has ended, and gives what it gives", async () => {
  const semaphore = new Semaphore(2), open = gate<string>();
  const slow = semaphore.withPermit(() => open.promise, { weight: 2 });
  await idle();
  assertEquals(semaphore.value, 0);
  open.open("done");
  assertEquals([await slow, semaphore.value], ["done", 2]);
  assertEquals(await semaphore.withPermit(() => semaphore.value), 1);
  assertEquals(semaphore.value, 2);
});

test("Semaphore.withPermit() gives the permit back when fn throws or rejects", async () => {
  const semaphore = new Semaphore(1), error = new Error("no");
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
    assertStrictEquals(await rejection(semaphore.withPermit(fn)), error);
    assertEquals(semaphore.value, 1);
  }
});

test("Semaphore.withPermit() gives the permit back when its task is killed inside", async () => {
  const semaphore = new Semaphore(1);
  const task = spawn(() => semaphore.withPermit(() => sleep(Infinity)));
  await idle();
  assertEquals(semaphore.value, 0);
  await task.kill();
  assertEquals([task.state, semaphore.value], ["killed", 1]);
});

test("Semaphore.withPermit() that is ended while it waits never calls fn", async () => {
  const semaphore = new Semaphore(0);
  let called = false;
  await assertEnds((options) => semaphore.withPermit(() => called = true, options));
  semaphore.release();
  await assertRefuses((options) => semaphore.withPermit(() => called = true, options));
  assertEquals([called, semaphore.value], [false, 1]);
});

test("Semaphore.withPermit() rejects what is no function, and takes nothing", async () => {
  const semaphore = new Semaphore(1);
  await assertRejects(
    () => semaphore.withPermit(null as never),
    TypeError,
    "Cannot run with permit: fn must be a function",
  );
  assertEquals(semaphore.value, 1);
});

// -- Releasing too much --

test("Semaphore.release() may add permits that nobody acquired", () => {
  const semaphore = new Semaphore(1);
  semaphore.release();
  semaphore.release(3);
  assertEquals(semaphore.value, 5);
});

test("BoundedSemaphore.release() of too much is a RangeError and changes nothing", async () => {
  const semaphore = new BoundedSemaphore(2);
  assertThrows(() => semaphore.release(), RangeError, "at most 2 permits must be free, got 3");
  const permit = await semaphore.acquire();
  assertThrows(() => semaphore.release(2), RangeError);
  assertEquals(semaphore.value, 1);
  permit.release();
  permit.release();
  assertEquals(semaphore.value, 2);
  assertThrows(() => semaphore.release(), RangeError);
  const grows = new Semaphore(0, 2);
  grows.release(2);
  assertThrows(() => grows.release(), RangeError);
});

test("Semaphore.release() is a RangeError with a count that is no integer >= 1", () => {
  const semaphore = new Semaphore(1);
  for (const count of [0, -1, 1.5, NaN, Infinity, "1" as never]) {
    assertThrows(() => semaphore.release(count), RangeError, "Cannot release: count must be");
  }
  assertEquals(semaphore.value, 1);
});

// -- Ended from outside --

test("Semaphore.acquire() is refused in a killed task and for an aborted signal, and takes nothing", async () => {
  const semaphore = new Semaphore(1);
  await assertRefuses((options) => semaphore.acquire(options));
  assertEquals(semaphore.value, 1);
});

test("Semaphore.acquire() ends by abort, kill and timeout, and has taken nothing", async () => {
  const semaphore = new Semaphore(0);
  await assertEnds((options) => semaphore.acquire(options));
  assertEquals(semaphore.value, 0);
  semaphore.release();
  assertEquals(semaphore.tryAcquire()?.weight, 1);
});

test("Semaphore.acquire() of a large weight that ends lets those behind it proceed (go#63615)", async () => {
  const semaphore = new Semaphore(2);
  await eachEnd(
    (options) => semaphore.acquire({ weight: 3, ...options }),
    async ({ how, waiting, end }) => {
      const behind = [1, 1, 1].map(() => outcome(semaphore.acquire()));
      await idle();
      assertEquals(behind.map(({ state }) => state), ["pending", "pending", "pending"]);
      end();
      assertEquals(semaphore.value, 0, `served in the same tick as the ${how}`);
      await rejection(waiting);
      assertEquals(behind.map(({ state }) => state), ["resolved", "resolved", "pending"]);
      behind[0]!.value!.release();
      await idle();
      assertEquals(behind[2]!.state, "resolved");
      for (const { value } of behind) value!.release();
      assertEquals(semaphore.value, 2);
    },
  );
});

test("Semaphore.acquire() that ends behind the head leaves the order of the others", async () => {
  const semaphore = new Semaphore(0), order: string[] = [];
  const take = async (name: string) => {
    using _permit = await semaphore.acquire();
    order.push(name);
  };
  const waits = [take("a")];
  await eachEnd((options) => semaphore.acquire(options), async ({ how, waiting, end }) => {
    waits.push(take(how));
    end();
    await rejection(waiting);
  });
  semaphore.release();
  await Promise.all(waits);
  assertEquals([order, semaphore.value], [["a", "abort", "kill", "timeout"], 1]);
});

test("Semaphore.acquire() that was handed the permit keeps it when the end comes later", async () => {
  const semaphore = new Semaphore(0);
  await eachEnd((options) => semaphore.acquire(options), async ({ waiting, end }) => {
    semaphore.release();
    end();
    const permit = await waiting;
    assertEquals([permit.weight, semaphore.value], [1, 0]);
    permit.release();
    assertEquals(semaphore.tryAcquire()?.weight, 1);
  });
});

test("Semaphore.acquire() that ends before the release takes nothing in the same tick", async () => {
  const semaphore = new Semaphore(0);
  await eachEnd((options) => semaphore.acquire(options), async ({ waiting, end }) => {
    end();
    semaphore.release();
    assertEquals(semaphore.value, 1);
    await rejection(waiting);
    assertEquals(semaphore.tryAcquire()?.weight, 1);
  });
});

test("Semaphore.acquire() handed over in the tick of the kill gives back through using", async () => {
  const semaphore = new Semaphore(0), seen: unknown[] = [];
  const task = spawn(async () => {
    using permit = await semaphore.acquire();
    seen.push(permit.weight);
    await sleep(0);
    seen.push("never");
  });
  await idle();
  semaphore.release();
  await task.kill();
  assertEquals([seen, task.state, semaphore.value], [[1], "killed", 1]);
});

test("Semaphore.acquire() in withTimeout() rejects with its limit, and takes nothing", async () => {
  using time = new ManualClock();
  const semaphore = new Semaphore(1);
  const limited = rejection(withTimeout(10, () => semaphore.acquire({ weight: 2 })));
  const behind = semaphore.acquire();
  await idle();
  time.advance(10);
  assertInstanceOf(await limited, TimeoutError);
  (await behind).release();
  assertEquals(semaphore.value, 1);
});

// One abort or kill that ends several waits: each of them was asked to end, so that what the first one
// leaves must not go to the second one, whose caller may be gone (Promise.all rejects with the first).

test("Semaphore.acquire() twice with one signal takes nothing when it aborts", async () => {
  const semaphore = new Semaphore(2), controller = new AbortController();
  const { signal } = controller;
  const both = [
    outcome(semaphore.acquire({ weight: 3, signal })),
    outcome(semaphore.acquire({ signal })),
  ];
  const other = outcome(semaphore.acquire());
  controller.abort("no");
  await idle();
  assertEquals(both.map(({ error }) => error), ["no", "no"]);
  assertEquals([other.state, semaphore.value], ["resolved", 1]);
});

test("Semaphore.acquire() twice in one task takes nothing when it is killed", async () => {
  const semaphore = new Semaphore(2);
  const task = spawn(() =>
    Promise.all([semaphore.acquire({ weight: 3 }), semaphore.acquire(), select([semaphore])])
  );
  await idle();
  await task.kill();
  await idle();
  assertEquals([task.state, semaphore.value], ["killed", 2]);
});

// -- select and wait --

test("Semaphore as a case of select is acquired when chosen, and the value is the permit", async () => {
  const semaphore = new Semaphore(1);
  const got = await select({ semaphore });
  assertEquals([got.key, got.done, got.value?.weight, semaphore.value], ["semaphore", false, 1, 0]);
  assertEquals(trySelect({ semaphore }), undefined);
  const waiting = select({ semaphore });
  await idle();
  got.value!.release();
  assertEquals(semaphore.value, 0);
  (await waiting).value!.release();
  assertEquals(semaphore.value, 1);
});

test("Semaphore that loses a select was not acquired, ready or not", async () => {
  const [a, b] = [new Semaphore(1), new Semaphore(1)];
  for (const first of [0, 0.99]) {
    const got = await select({ a, b }, { random: () => first });
    assertEquals(a.value + b.value, 1);
    got.value!.release();
  }
  const held = [await a.acquire(), await b.acquire()];
  const stop = new Event();
  const waiting = select({ a, b, stop });
  await idle();
  stop.set();
  assertEquals((await waiting).key, "stop");
  for (const permit of held) permit.release();
  assertEquals([a.value, b.value, liveWaiters()], [1, 1, 0]);
});

test("Semaphore loses no permit to a select that chose another case in the same tick", async () => {
  const semaphore = new Semaphore(0), ch = new Channel<number>();
  const waiting = select({ semaphore, ch });
  await idle();
  assertEquals(ch.trySend(7), true);
  semaphore.release();
  assertEquals(await waiting, { key: "ch", value: 7, done: false });
  assertEquals(semaphore.value, 1);
  const again = select({ semaphore, late: after(0) });
  assertEquals((await again).key, "semaphore");
});

test("Semaphore in a select waits in line: it neither barges nor is it passed", async () => {
  const semaphore = new Semaphore(2);
  const held = await semaphore.acquire();
  const large = outcome(semaphore.acquire({ weight: 2 }));
  assertEquals(trySelect({ semaphore }), undefined, "one is free, but not for those behind");
  const selected = outcome(select({ semaphore }));
  const small = outcome(semaphore.acquire());
  held.release();
  await idle();
  assertEquals([large.state, selected.state, small.state], ["resolved", "pending", "pending"]);
  large.value!.release();
  await idle();
  assertEquals([selected.state, small.state, semaphore.value], ["resolved", "resolved", 0]);
});

test("Semaphore listed twice in one select is acquired once", async () => {
  const semaphore = new Semaphore(0);
  const waiting = select([semaphore, semaphore]);
  const behind = outcome(semaphore.acquire());
  await idle();
  semaphore.release();
  const got = await waiting;
  assertEquals([got.key, behind.state, liveWaiters()], [0, "pending", 1]);
  got.value!.release();
  await idle();
  assertEquals(behind.state, "resolved");
});

test("Semaphore in a select that ends has taken nothing, and those behind proceed", async () => {
  const semaphore = new Semaphore(0);
  await assertEnds((options) => select({ semaphore }, options));
  await assertEnds((options) => select([semaphore, semaphore], options));
  semaphore.release();
  await assertRefuses((options) => select({ semaphore }, options));
  assertEquals(semaphore.tryAcquire()?.weight, 1);
  await eachEnd((options) => select({ semaphore }, options), async ({ waiting, end }) => {
    const behind = semaphore.acquire();
    end();
    semaphore.release();
    await rejection(waiting);
    assertEquals([(await behind).weight, semaphore.value], [1, 0]);
  });
});

test("Semaphore that a select was handed stays with it when the end comes later", async () => {
  const semaphore = new Semaphore(0);
  await eachEnd((options) => select({ semaphore }, options), async ({ waiting, end }) => {
    semaphore.release();
    end();
    assertEquals([(await waiting).value?.weight, semaphore.value], [1, 0]);
  });
});

test("wait() on a semaphore only waits until a permit is free", async () => {
  const semaphore = new Semaphore(1);
  const ready = async (waiting: Promise<Semaphore[]>) => (await waiting)[0] === semaphore;
  assertEquals([await ready(wait([semaphore])), semaphore.value], [true, 1]);
  const permit = await semaphore.acquire();
  const waits = [ready(wait([semaphore])), ready(wait([semaphore]))];
  const acquire = outcome(semaphore.acquire());
  await idle();
  permit.release();
  const seen = waits.map(outcome);
  await idle();
  assertEquals(acquire.state, "resolved", "those who take go first");
  assertEquals(seen.map(({ state }) => state), ["pending", "pending"]);
  acquire.value!.release();
  assertEquals([await Promise.all(waits), semaphore.value], [[true, true], 1]);
});

test("wait() on a semaphore goes on when the last one who waited to take it is gone", async () => {
  const semaphore = new Semaphore(1), controller = new AbortController();
  const large = rejection(semaphore.acquire({ weight: 2, signal: controller.signal }));
  const waiting = outcome(wait([semaphore]));
  await idle();
  assertEquals(waiting.state, "pending", "it is not free for those behind");
  controller.abort("no");
  await idle();
  assertEquals([await large, waiting.state, semaphore.value], ["no", "resolved", 1]);
});

test("wait() on a semaphore that ends leaves nothing behind", async () => {
  const semaphore = new Semaphore(0);
  const [a] = await wait([semaphore], { timeout: 0 });
  assertEquals([a, liveWaiters()], [undefined, 0]);
  const living = await livingTask();
  const killed = rejection(living.call(() => wait([semaphore])));
  void living.task.kill("no");
  await killed;
  await living.end();
  semaphore.release();
  const permits: Permit[] = [await semaphore.acquire()];
  assertEquals([permits.length, semaphore.value, liveWaiters()], [1, 0, 0]);
});
