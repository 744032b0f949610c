// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Who is admitted to a pool and when, what its maps give, and what a kill leaves.
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
import { AsyncLocalStorage } from "node:async_hooks";
import { test } from "node:test";
import { Channel } from "../src/channel.ts";
import { DeadlockError, isKilled, KilledError, TimeoutError } from "../src/errors.ts";
import { Group, Pool, type Progress } from "../src/pool.ts";
import { scope } from "../src/scope.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask, Task } from "../src/task.ts";
import { TaskLocal } from "../src/task_local.ts";
import { withTimeout } from "../src/timeout.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { until } from "../src/until.ts";
import { type Gate, gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { type Outcome, outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertEnds, assertRefuses, inKilledTask } from "./waits.ts";

noLeaks();

const forever = (): Promise<void> => sleep(Infinity);

function fails(error: unknown): () => never {
  return () => {
    throw error;
  };
}

/** Jobs that end when told, with their number. */
class Jobs {
  readonly begun: number[] = [];
  readonly ended: number[] = [];
  /** Most that ran at once. */
  most = 0;
  readonly #gates: Gate<void>[] = [];
  #running = 0;

  readonly run = async (n: number): Promise<number> => {
    this.begun.push(n);
    this.most = Math.max(this.most, ++this.#running);
    try {
      await until(this.#gate(n).promise);
    } finally {
      this.#running--;
      this.ended.push(n);
    }
    return n * 10;
  };

  async end(...numbers: number[]): Promise<void> {
    for (const n of numbers) {
      this.#gate(n).open();
      await idle();
    }
  }

  async fail(n: number, error: unknown): Promise<void> {
    this.#gate(n).fail(error);
    await idle();
  }

  #gate(n: number): Gate<void> {
    let one = this.#gates[n];
    if (one === undefined) {
      this.#gates[n] = one = gate();
      one.promise.catch(() => {});
    }
    return one;
  }
}

/** A pool in which jobs 1 to `size` run. */
async function full(size: number, pool: Group = new Pool(size)): Promise<[Group, Jobs]> {
  const jobs = new Jobs();
  for (let n = 1; n <= size; n++) await pool.spawn(jobs.run, n);
  await idle();
  return [pool, jobs];
}

const counts = ({ running, waiting, free }: Group): number[] => [running, waiting, free];

/** A source that says how far it was read, and whether it was ended. */
function counted(length = Infinity): {
  read: number;
  ended: number;
  sync(): Generator<number>;
  async(): AsyncGenerator<number>;
} {
  const self = {
    read: 0,
    ended: 0,
    *sync() {
      try {
        while (self.read < length) yield ++self.read;
      } finally {
        self.ended++;
      }
    },
    async *async() {
      await sleep(0);
      yield* self.sync();
    },
  };
  return self;
}

const KINDS = ["sync", "async"] as const;

// -- spawn --

test("Pool.spawn() resolves to { task } at once while there is a place", async () => {
  const pool = new Pool(2);
  const open = gate();
  const { task } = await pool.spawn((a: number, b: number) => open.promise.then(() => a + b), 1, 2);
  assert(task instanceof Task);
  assertEquals([task.state, counts(pool)], ["running", [1, 0, 1]]);
  const { task: named } = await pool.spawn({ name: "ann" }, async () => {
    await open.promise;
    return currentTask()?.name;
  });
  assertEquals(counts(pool), [2, 0, 0]);
  open.open();
  assertEquals([await task, await named], [3, "ann"]);
  assertEquals([counts(pool), pool.errors], [[0, 0, 2], []]);
});

test("Pool.spawn() never starts the task synchronously", async () => {
  const step = steps();
  const pool = new Pool(1);
  const spawned = pool.spawn(() => step(2));
  step(1);
  await (await spawned).task;
  step.end(3);
});

test("Pool.spawn() parks while the pool is full and is admitted in order of arrival", async () => {
  const [pool, jobs] = await full(2);
  const spawned: Outcome<{ task: Task<number> }>[] = [];
  for (const n of [3, 4, 5]) spawned.push(outcome(pool.spawn(jobs.run, n)));
  await idle();
  const states = () => spawned.map(({ state }) => state[0]).join("");
  assertEquals([states(), jobs.begun, counts(pool)], ["ppp", [1, 2], [2, 3, 0]]);
  await jobs.end(2);
  assertEquals([states(), jobs.begun, counts(pool)], ["rpp", [1, 2, 3], [2, 2, 0]]);
  await jobs.end(3, 1);
  assertEquals([states(), jobs.begun, counts(pool)], ["rrr", [1, 2, 3, 4, 5], [2, 0, 0]]);
  await jobs.end(4, 5);
  assertEquals(await spawned[2]?.value?.task, 50);
  assertEquals([jobs.most, counts(pool)], [2, [0, 0, 2]]);
});

test("Pool.spawn() gives a place back however the task ends", async () => {
  const pool = new Pool(1);
  await pool.spawn(fails(new Error("sync")));
  await pool.spawn(() => Promise.reject(new Error("async")));
  const { task: killed } = await pool.spawn(forever);
  void killed.kill();
  const { task: pending } = await pool.spawn(forever);
  void pending.kill();
  const { task: self } = await pool.spawn(() => currentTask()?.kill());
  await self.join();
  await idle();
  assertEquals([counts(pool), killed.state, pending.state], [[0, 0, 1], "killed", "killed"]);
});

test("Pool.spawn() keeps the place of a killed task until its clean-up is done", async () => {
  const pool = new Pool(1);
  const cleaned = gate();
  const { task } = await pool.spawn(async () => {
    try {
      await forever();
    } finally {
      await shield(() => cleaned.promise);
    }
  });
  const next = outcome(pool.spawn(() => 1));
  await idle();
  const killed = task.kill();
  await idle();
  assertEquals([next.state, counts(pool)], ["pending", [1, 1, 0]]);
  cleaned.open();
  await killed;
  await idle();
  assertEquals([next.state, counts(pool)], ["resolved", [0, 0, 1]]);
});

test("Pool.spawn() is refused before any effect; what ends a parked one leaves the pool right", async () => {
  const pool = new Pool(1);
  let ran = 0;
  const signalled = (
    options?: { signal?: AbortSignal | undefined; timeout?: number | undefined },
  ) =>
    options?.timeout === undefined
      ? pool.spawn({ signal: options?.signal }, () => void ran++)
      // It takes no timeout: its options are those of the task.
      : sleep(0, options);
  await assertRefuses(signalled);
  assertEquals([ran, counts(pool)], [0, [0, 0, 1]]);
});

test("Pool.spawn() that is killed while parked did not happen; those behind it are served", async () => {
  const [pool, jobs] = await full(1);
  const reason = new Error("kill");
  const killed = spawn(() => pool.spawn(jobs.run, 2));
  await idle();
  const behind = outcome(pool.spawn(jobs.run, 3));
  await idle();
  assertEquals(counts(pool), [1, 2, 0]);
  await killed.kill(reason);
  assertStrictEquals(killed.error, reason);
  assertEquals([killed.state, counts(pool)], ["killed", [1, 1, 0]]);
  await jobs.end(1);
  assertEquals([behind.state, jobs.begun], ["resolved", [1, 3]]);
  await jobs.end(3);
  assertEquals(counts(pool), [0, 0, 1]);
});

test("Pool.spawn() with a signal gives up its wait when it aborts, and then its task", async () => {
  const [pool, jobs] = await full(1);
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  const { signal } = controller;
  const parked = outcome(pool.spawn({ signal }, jobs.run, 2));
  await idle();
  assertEquals([parked.state, listeners.active], ["pending", 1]);
  controller.abort("gone");
  await idle();
  assertEquals([parked.error, counts(pool), listeners.active], ["gone", [1, 0, 0], 0]);
  await jobs.end(1);
  const later = new AbortController();
  const { task } = await pool.spawn({ signal: later.signal }, forever);
  later.abort();
  await idle();
  assertEquals([task.state, task.error, counts(pool)], ["killed", later.signal.reason, [0, 0, 1]]);
});

test("Pool.spawn() that is admitted and killed in one turn has spawned", async () => {
  const [pool, jobs] = await full(1);
  let got: unknown;
  const spawner = spawn(async () => {
    got = await pool.spawn(jobs.run, 2);
    await forever();
  });
  await idle();
  const member = [...pool][0]!;
  // The end of the member admits at once; the kill comes before the spawner goes on.
  member.link(() => {});
  void member.kill();
  await Promise.resolve();
  while (pool.waiting > 0) await Promise.resolve();
  void spawner.kill();
  await idle();
  assertEquals(typeof got, "object", "hand-over is final");
  assertEquals([jobs.begun, counts(pool)], [[1, 2], [1, 0, 0]]);
  await jobs.end(2);
});

test("Pool.spawn() that was parked hands down the task locals of its spawner", async () => {
  const user = new TaskLocal("nobody");
  const [pool, jobs] = await full(1);
  const spawner = spawn(async () => {
    user.set("ann");
    const { task } = await pool.spawn(() => user.get());
    return await task;
  });
  await idle();
  const other = spawn(async () => {
    user.set("bob");
    await jobs.end(1);
  });
  await other;
  assertEquals(await spawner, "ann");
});

test("Pool.spawn() from outside of tasks inherits nothing of the member that made room", async () => {
  const user = new TaskLocal("nobody");
  const pool = new Pool(1);
  const open = gate();
  await pool.spawn(async () => {
    user.set("bob");
    await open.promise;
  });
  const parked = pool.spawn(() => [user.get(), currentTask() === undefined]);
  await idle();
  open.open();
  assertEquals(await (await parked).task, ["nobody", false]);
});

test("Pool.spawn() of no function rejects with a TypeError and takes no place", async () => {
  const pool = new Pool(1);
  for (const wrong of [undefined, null, 5, "fn", {}]) {
    await assertRejects(() => pool.spawn(wrong as never), TypeError, "fn must be a function");
    await assertRejects(() => pool.spawn({ name: "a" }, wrong as never), TypeError);
    assertThrows(() => pool.trySpawn(wrong as never), TypeError, "fn must be a function");
    await assertRejects(() => pool.apply(wrong as never), TypeError, "fn must be a function");
  }
  assertEquals(counts(pool), [0, 0, 1]);
});

test("Pool.spawn() with wrong options rejects with a TypeError and takes no place", async () => {
  for (const options of [{ name: 5 }, null]) {
    const pool = new Pool(1);
    await assertRejects(() => pool.spawn(options as never, () => 1), TypeError);
    assertEquals(counts(pool), [0, 0, 1]);
    assertThrows(() => pool.trySpawn(options as never, () => 1), TypeError);
    assertEquals(counts(pool), [0, 0, 1]);
  }
});

test("Pool.spawn() with wrong options while the pool is full does not harm it", async () => {
  const [pool, jobs] = await full(1);
  const wrong = outcome(
    new Promise((resolve) => resolve(pool.spawn({ name: 5 as never }, () => 1))),
  );
  const behind = outcome(pool.spawn(jobs.run, 2));
  await idle();
  const waiting = pool.waiting;
  if (wrong.state === "pending") outcome(pool.kill()); // it would never be served
  await idle();
  assertEquals([wrong.state, waiting], ["rejected", 1]);
  assertInstanceOf(wrong.error, TypeError);
  await jobs.end(1, 2);
  assertEquals([behind.state, counts(pool)], ["resolved", [0, 0, 1]]);
});

// -- trySpawn --

test("Pool.trySpawn() gives the task, or undefined without a place", async () => {
  const pool = new Pool(1);
  const jobs = new Jobs();
  const task = pool.trySpawn({ name: "first" }, jobs.run, 1);
  assert(task instanceof Task);
  assertEquals([task.name, pool.trySpawn(jobs.run, 2), counts(pool)], ["first", undefined, [
    1,
    0,
    0,
  ]]);
  await jobs.end(1);
  assertEquals(await task, 10);
  assertEquals(jobs.begun, [1]);
});

test("Pool.trySpawn() does not overtake those who wait", async () => {
  const [pool, jobs] = await full(1);
  pool.pause();
  const parked = outcome(pool.spawn(jobs.run, 2));
  await jobs.end(1);
  assertEquals([pool.trySpawn(jobs.run, 3), counts(pool)], [undefined, [0, 1, 1]]);
  pool.resume();
  await jobs.end(2);
  assertEquals([parked.state, jobs.begun], ["resolved", [1, 2]]);
});

test("Pool.trySpawn() works in a killed task", async () => {
  const pool = new Pool(1);
  assertEquals(await inKilledTask(() => pool.trySpawn(() => 1)?.state), "pending");
  assertEquals(await pool.join(), true);
});

test("Pool.trySpawn() with a signal that has aborted gives a killed task and its place back", async () => {
  const pool = new Pool(1);
  const reason = new Error("aborted");
  const task = pool.trySpawn({ signal: AbortSignal.abort(reason) }, () => 1);
  await idle();
  assertEquals([task?.state, task?.error === reason, counts(pool)], ["killed", true, [0, 0, 1]]);
});

// -- apply --

test("Pool.apply() gives the result, or rejects with the error, and takes a place", async () => {
  const [pool, jobs] = await full(1);
  const error = new Error("no");
  const applied = outcome(pool.apply((a: number, b: string) => [a, b, currentTask()?.id], 1, "b"));
  await idle();
  assertEquals([applied.state, counts(pool)], ["pending", [1, 1, 0]]);
  await jobs.end(1);
  assertEquals((applied.value as unknown[]).slice(0, 2), [1, "b"]);
  assertStrictEquals(await rejection(pool.apply(fails(error))), error);
  const generated = pool.apply(async function* () {
    yield;
    return "end";
  });
  assertEquals(await generated, "end");
  assertEquals([counts(pool), pool.errors], [[0, 0, 1], []]);
});

test("Pool.apply() from a member runs inline: no deadlock in a full pool", async () => {
  const pool = new Pool(1);
  const value = await pool.apply(async () => {
    const outer = currentTask();
    return await pool.apply(async (n: number) => {
      assertStrictEquals(currentTask(), outer);
      assertEquals(counts(pool), [1, 0, 0]);
      return n + await pool.apply(() => 1);
    }, 1);
  });
  assertEquals(value, 2);
  const error = new Error("inline");
  const { task } = await pool.spawn(() => rejection(pool.apply(fails(error))));
  assertStrictEquals(await task, error);
  const generated = await pool.spawn(() =>
    pool.apply(async function* () {
      yield;
      return "end";
    })
  );
  assertEquals(await generated.task, "end");
});

test("Pool.apply() from a member of another pool, or a task of a member, takes a place", async () => {
  const a = new Pool(1), b = new Pool(1);
  const ids = await a.apply(
    async () => [currentTask()?.id, await b.apply(() => currentTask()?.id)],
  );
  assert(ids[0] !== ids[1]);
});

test("Pool.apply() kills the member when the caller is killed, and waits for its clean-up", async () => {
  const pool = new Pool(1);
  const cleaned = gate();
  let member: Task | undefined;
  const caller = spawn(() =>
    pool.apply(async () => {
      member = currentTask();
      try {
        await forever();
      } finally {
        await shield(() => cleaned.promise);
      }
    })
  );
  await idle();
  const killed = outcome(caller.kill());
  await idle();
  assertEquals([caller.state, member?.state, counts(pool)], ["running", "running", [1, 0, 0]]);
  cleaned.open();
  await idle();
  assertEquals([caller.state, member?.state, killed.value], ["killed", "killed", true]);
  assertEquals(counts(pool), [0, 0, 1]);
});

test("Pool.apply() under a limit that is over ends the member", async () => {
  using time = new ManualClock();
  const pool = new Pool(1);
  const seen = rejection(withTimeout(5, () => pool.apply(forever)));
  await idle();
  time.advance(5);
  assertInstanceOf(await seen, TimeoutError);
  assertEquals(counts(pool), [0, 0, 1]);
});

test("Pool.apply() that is killed while it waits for a place runs nothing", async () => {
  const [pool, jobs] = await full(1);
  const caller = spawn(() => pool.apply(jobs.run, 2));
  await idle();
  assertEquals(counts(pool), [1, 1, 0]);
  await caller.kill();
  assertEquals(counts(pool), [1, 0, 0]);
  await jobs.end(1);
  assertEquals([jobs.begun, counts(pool)], [[1], [0, 0, 1]]);
});

test("Pool.apply() and Pool.spawn() begin in the order of arrival, with places and without", async () => {
  const pool = new Pool(2);
  const jobs = new Jobs();
  void outcome(pool.apply(jobs.run, 1));
  void outcome(pool.spawn(jobs.run, 2));
  await idle();
  assertEquals(jobs.begun, [1, 2]);
  void outcome(pool.apply(jobs.run, 3));
  void outcome(pool.spawn(jobs.run, 4));
  await idle();
  pool.resize(4);
  await idle();
  assertEquals(jobs.begun, [1, 2, 3, 4]);
  await jobs.end(1, 2, 3, 4);
});

test("Pool.apply() of a member that is killed alone rejects with the kill", async () => {
  const pool = new Pool(1);
  const reason = new Error("kill");
  const applied = outcome(pool.apply(forever));
  await idle();
  void [...pool][0]?.kill(reason);
  await idle();
  assertStrictEquals(applied.error, reason);
});

// -- map --

test("Pool.map() gives the results in the order of the items, at most size at a time", async () => {
  for (const kind of KINDS) {
    const pool = new Pool(2);
    const jobs = new Jobs();
    const mapped = outcome(pool.map(jobs.run, counted(5)[kind]()));
    await idle();
    assertEquals([jobs.begun, counts(pool)], [[1, 2], [2, 1, 0]]);
    await jobs.end(2, 3, 1);
    assertEquals(jobs.begun, [1, 2, 3, 4, 5]);
    await jobs.end(5, 4);
    assertEquals(mapped.value, [10, 20, 30, 40, 50]);
    assertEquals([jobs.most, counts(pool)], [2, [0, 0, 2]]);
  }
});

test("Pool.map() of nothing gives nothing; of every kind of source something", async () => {
  const pool = new Pool(2);
  assertEquals(await pool.map(fails(new Error("never")), []), []);
  assertEquals(await pool.map(fails(new Error("never")), counted(0).async()), []);
  const channel = new Channel<number>({ capacity: 3 });
  for (const n of [1, 2, 3]) channel.trySend(n);
  channel.close();
  assertEquals(await pool.map((n) => n + 1, channel), [2, 3, 4]);
  assertEquals(await pool.map((n) => n + 1, new Set([1, 2])), [2, 3]);
  assertEquals(await pool.map((c) => c, "ab"), ["a", "b"]);
  assertEquals(await pool.map((n) => n, [undefined, null]), [undefined, null]);
  assertEquals(await new Group().map((n: number) => n, [1, 2]), [1, 2]);
  assertEquals(
    await pool.map(async function* (n: number) {
      yield;
      return n;
    }, [1]),
    [1],
  );
});

test("Pool.map() rejects with the first failure in time, kills the rest and waits for clean-up", async () => {
  for (const kind of KINDS) {
    const pool = new Pool(3);
    const jobs = new Jobs();
    const source = counted(9);
    const cleaned = gate();
    const first = new Error("first in time");
    const mapped = outcome(pool.map(async (n) => {
      try {
        await jobs.run(n);
      } finally {
        if (n === 1) await shield(() => cleaned.promise);
      }
    }, source[kind]()));
    await idle();
    await jobs.fail(3, first);
    assertEquals([mapped.state, jobs.ended, counts(pool)], ["pending", [3, 1, 2], [1, 0, 2]]);
    cleaned.open();
    await idle();
    assertStrictEquals(mapped.error, first);
    assertEquals([jobs.begun, source.ended], [[1, 2, 3], 1]);
    assertEquals([counts(pool), pool.errors], [[0, 0, 3], []]);
  }
});

test("Pool.map() rejects with an error of the source and kills what runs", async () => {
  const error = new Error("source");
  const pool = new Pool(3);
  const jobs = new Jobs();
  const mapped = await rejection(pool.map(
    jobs.run,
    (async function* () {
      yield 1;
      yield 2;
      await idle();
      throw error;
    })(),
  ));
  assertStrictEquals(mapped, error);
  assertEquals([jobs.ended, counts(pool)], [[1, 2], [0, 0, 3]]);
});

test("Pool.map() reads an async source no more than one item ahead of the places", async () => {
  const pool = new Pool(2);
  const jobs = new Jobs();
  const source = counted(9);
  const mapped = outcome(pool.map(jobs.run, source.async()));
  await idle();
  assert(source.read <= 3, `${source.read}`);
  await jobs.end(1, 2, 3, 4);
  assert(source.read <= 7, `${source.read}`);
  await jobs.end(5, 6, 7, 8, 9);
  assertEquals((mapped.value as number[]).length, 9);
});

test("Pool.map() waits for items of a list that are promises, and ends the list when one fails", async () => {
  const list = function* (log: string[]) {
    try {
      yield Promise.resolve(1);
      yield 2;
      yield Promise.reject(new Error("item 3"));
    } finally {
      log.push("ended");
    }
  };
  const log: string[] = [];
  const got: number[] = [];
  const items = list(log) as Iterable<unknown> as Iterable<number>; // for await takes such lists, too
  const error = await assertRejects(() => new Pool(2).map((n) => got.push(n), items));
  assertEquals([(error as Error).message, got, log], ["item 3", [1, 2], ["ended"]]);
});

test("Pool.map() that is killed ends what runs and its source, and begins no more", async () => {
  for (const kind of KINDS) {
    const pool = new Pool(2);
    const jobs = new Jobs();
    const source = counted(9);
    const task = spawn(() => pool.map(jobs.run, source[kind]()));
    await idle();
    await task.kill();
    assertEquals([task.state, jobs.begun, source.ended], ["killed", [1, 2], 1]);
    assertEquals(counts(pool), [0, 0, 2]);
  }
});

test("Pool.map() shares the pool with others, in order of arrival", async () => {
  const [pool, jobs] = await full(1);
  const mapped = outcome(pool.map(jobs.run, [2, 3]));
  await idle();
  const spawned = outcome(pool.spawn(jobs.run, 4));
  await idle();
  await jobs.end(1, 2);
  assertEquals([jobs.begun, spawned.state], [[1, 2, 4], "resolved"]);
  await jobs.end(4, 3);
  assertEquals(mapped.value, [20, 30]);
});

test("Pool.map() rejects when the pool is killed: no item is left without a result", async () => {
  const pool = new Pool(2);
  const reason = new Error("kill");
  const running = outcome(pool.map(forever, [1, 2]));
  await idle();
  assertEquals(await pool.kill(reason), true);
  await idle();
  assertEquals([running.state, running.error], ["rejected", reason]);
  const waiting = outcome(pool.map(forever, [1, 2, 3]));
  await idle();
  await pool.kill(reason);
  await idle();
  assertEquals([waiting.state, waiting.error], ["rejected", reason]);
});

test("Pool.map() rejects when one of its members is killed alone", async () => {
  const pool = new Pool(2);
  const jobs = new Jobs();
  const reason = new Error("kill");
  const mapped = outcome(pool.map(jobs.run, [1, 2]));
  await idle();
  void [...pool][0]?.kill(reason);
  await idle();
  await jobs.end(2);
  assertEquals([mapped.state, mapped.error], ["rejected", reason]);
});

test("Pool.map() with wrong arguments rejects with a TypeError", async () => {
  const pool = new Pool(2);
  for (const fn of [undefined, null, 5, {}]) {
    await assertRejects(() => pool.map(fn as never, [1]), TypeError, "fn must be a function");
  }
  for (const source of [undefined, null, 5, {}, () => {}]) {
    await assertRejects(() => pool.map(() => 1, source as never), TypeError, "must be iterable");
  }
});

// -- imap --

const BOTH = ["imap", "imapUnordered"] as const;

test("Pool.imap() does nothing before the first next(), not even call the source", async () => {
  for (const name of BOTH) {
    const pool = new Pool(2);
    const jobs = new Jobs();
    let opened = 0;
    const source: Iterable<number> = {
      [Symbol.iterator]() {
        opened++;
        return [1, 2, 3][Symbol.iterator]();
      },
    };
    const results = pool[name](jobs.run, source);
    await idle();
    assertEquals([opened, jobs.begun, counts(pool)], [0, [], [0, 0, 2]]);
    const next = outcome(results.next());
    await idle();
    assertEquals([opened, jobs.begun, next.state], [1, [1, 2], "pending"]);
    await results.return?.();
    assertEquals(counts(pool), [0, 0, 2]);
  }
});

test("Pool.imap() left before the first next() opens nothing", async () => {
  for (const name of BOTH) {
    const source = counted();
    const results = new Pool(1)[name]((n: number) => n, source.sync());
    assertEquals(await results.return?.(), { done: true, value: undefined });
    assertEquals(await results.next(), { done: true, value: undefined });
    assertEquals([source.read, source.ended], [0, 0]);
  }
});

test("Pool.imap() gives the results in the order of the items", async () => {
  for (const kind of KINDS) {
    const pool = new Pool(2);
    const jobs = new Jobs();
    const results = pool.imap(jobs.run, counted(3)[kind]());
    const seen = [results.next(), results.next(), results.next(), results.next()].map(outcome);
    await idle();
    await jobs.end(2);
    assertEquals([seen[0]?.state, seen[2]?.state], ["pending", "pending"]);
    await jobs.end(1);
    assertEquals(seen[0]?.value, { done: false, value: 10 });
    assertEquals(seen[1]?.value, { done: false, value: 20 });
    assertEquals(seen[2]?.state, "pending");
    await jobs.end(3);
    assertEquals(seen[2]?.value, { done: false, value: 30 });
    assertEquals(seen[3]?.value, { done: true, value: undefined });
    assertEquals(await results.next(), { done: true, value: undefined }, "and it stays ended");
    assertEquals([jobs.most, counts(pool)], [2, [0, 0, 2]]);
  }
});

test("Pool.imapUnordered() gives the results in the order in which they come", async () => {
  for (const kind of KINDS) {
    const pool = new Pool(3);
    const jobs = new Jobs();
    const results = pool.imapUnordered(jobs.run, counted(4)[kind]());
    const values: unknown[] = [];
    const loop = (async () => {
      for await (const value of results) values.push(value);
    })();
    await idle();
    await jobs.end(2, 3, 4, 1);
    await loop;
    assertEquals(values, [20, 30, 40, 10]);
    assertEquals([jobs.most, counts(pool)], [3, [0, 0, 3]]);
  }
});

test("Pool.imap() reads no further than buffer items ahead of what was given", async () => {
  for (const name of BOTH) {
    for (const kind of KINDS) {
      for (const buffer of [1, 2, 5]) {
        const pool = new Pool(2);
        const source = counted();
        let most = 0, given = 0, running = 0;
        const results = pool[name](
          async (n: number) => {
            running++;
            most = Math.max(most, running);
            await sleep(0);
            running--;
            return n;
          },
          source[kind](),
          { buffer },
        );
        const seen: number[] = [];
        for (let i = 0; i < 5; i++) {
          await results.next();
          given++;
          await idle();
          seen.push(source.read - given);
        }
        await results.return?.();
        const what = `${name}, ${kind}, buffer ${buffer}: read ${seen} ahead`;
        assert(seen.every((ahead) => ahead >= 1 && ahead <= buffer), what);
        assert(most <= Math.min(2, buffer), `${most}`);
        assertEquals(source.ended, 1);
      }
    }
  }
});

test("Pool.imap() runs and keeps no more than buffer items, the size of the pool by default", async () => {
  for (const name of BOTH) {
    for (const [pool, buffer] of [[new Pool(3), 3], [new Group(), 16]] as const) {
      let begun = 0;
      const results = pool[name]((n: number) => {
        begun++;
        return n;
      }, counted().sync());
      await results.next();
      await idle();
      assertEquals(begun, 1 + buffer);
      await results.next();
      await idle();
      assertEquals(begun, 2 + buffer);
      await results.return?.();
    }
  }
});

test("Pool.imap() rejects the next() of a failing item and goes on", async () => {
  const error = new Error("two");
  const results = new Pool(2).imap((n: number) => {
    if (n === 2) throw error;
    return n;
  }, [1, 2, 3]);
  assertEquals(await results.next(), { done: false, value: 1 });
  assertStrictEquals(await rejection(results.next()), error);
  assertEquals(await results.next(), { done: false, value: 3 });
  assertEquals(await results.next(), { done: true, value: undefined });
});

test("Pool.imapUnordered() rejects the next() of a failing item and goes on", async () => {
  const jobs = new Jobs();
  const error = new Error("two");
  const results = new Pool(3).imapUnordered(jobs.run, [1, 2, 3]);
  const seen = [1, 2, 3, 4].map(() => outcome(results.next()));
  await idle();
  await jobs.end(3);
  await jobs.fail(2, error);
  await jobs.end(1);
  assertEquals(seen[0]?.value, { done: false, value: 30 });
  assertStrictEquals(seen[1]?.error, error);
  assertEquals(seen[2]?.value, { done: false, value: 10 });
  assertEquals(seen[3]?.value, { done: true, value: undefined });
});

test("Pool.imap() of items that all fail ends, and nothing is unhandled", async () => {
  for (const name of BOTH) {
    const pool = new Pool(2);
    const results = pool[name](fails(new Error("no")), [1, 2, 3]);
    for (let i = 0; i < 3; i++) await assertRejects(() => results.next(), Error, "no");
    assertEquals((await results.next()).done, true);
    assertEquals([pool.errors, counts(pool)], [[], [0, 0, 2]]);
  }
});

test("Pool.imap() rejects with an error of the source after the results before it", async () => {
  for (const name of BOTH) {
    for (const kind of KINDS) {
      const error = new Error("source");
      const sync = function* () {
        yield 1;
        yield 2;
        throw error;
      };
      const results = new Pool(2)[name](
        (n: number) => sleep(0).then(() => n),
        kind === "sync" ? sync() : (async function* () {
          await sleep(0);
          yield* sync();
        })(),
      );
      assertEquals(await results.next(), { done: false, value: 1 });
      assertEquals(await results.next(), { done: false, value: 2 });
      assertStrictEquals(await rejection(results.next()), error);
    }
  }
});

test("Pool.imap() left early kills what runs, waits for it, and ends the source", async () => {
  for (const name of BOTH) {
    for (const kind of KINDS) {
      const pool = new Pool(3);
      const source = counted();
      const log: unknown[] = [];
      const worker = async (n: number): Promise<number> => {
        if (n === 1) {
          await idle();
          return n;
        }
        try {
          await forever();
        } finally {
          await shield(() => sleep(0));
          log.push(n);
        }
        return n;
      };
      for await (const value of pool[name](worker, source[kind]())) {
        log.push([value]);
        break;
      }
      // The fourth was begun or not, as the first left its place.
      assertEquals(log.slice(0, 3), [[1], 2, 3]);
      assertEquals([source.ended, counts(pool), pool.errors], [1, [0, 0, 3], []]);
    }
  }
});

test("Pool.imap() left early ends a next() that waits; leaving twice is harmless", async () => {
  for (const name of BOTH) {
    const pool = new Pool(1);
    const results = pool[name](forever, counted().sync());
    const waiting = [outcome(results.next()), outcome(results.next())];
    await idle();
    await Promise.all([results.return?.(), results.return?.()]);
    await idle();
    for (const { state, value } of waiting) {
      // The one whose item was killed may have got that; nobody waits for ever.
      assert(state !== "pending", `${state} ${value}`);
    }
    assertEquals(await results.return?.(), { done: true, value: undefined });
    assertEquals(await results.next(), { done: true, value: undefined });
    assertEquals(counts(pool), [0, 0, 1]);
  }
});

test("Pool.imap() is left by disposal, too", async () => {
  for (const name of BOTH) {
    const pool = new Pool(1);
    {
      await using results = pool[name](
        forever,
        counted().sync(),
      ) as AsyncIterableIterator<void> & AsyncDisposable;
      void outcome(results.next());
      await idle();
      assertEquals(pool.running, 1);
    }
    assertEquals(counts(pool), [0, 0, 1]);
  }
});

test("Pool.imap() is its own iterator, and serves concurrent next() calls in order", async () => {
  const results = new Pool(2).imap((n: number) => sleep(0).then(() => n), counted(4).sync());
  assertStrictEquals(results[Symbol.asyncIterator](), results);
  const seen = await Promise.all([1, 2, 3, 4, 5, 6].map(() => results.next()));
  assertEquals(seen.map(({ value }) => value), [1, 2, 3, 4, undefined, undefined]);
});

test("Pool.imap() waits for places that others hold", async () => {
  for (const name of BOTH) {
    const [pool, jobs] = await full(1);
    const next = outcome(pool[name](jobs.run, [2]).next());
    await idle();
    assertEquals([next.state, counts(pool)], ["pending", [1, 1, 0]]);
    await jobs.end(1, 2);
    assertEquals(next.value, { done: false, value: 20 });
    await idle();
  }
});

test("Pool.imap() rejects the next() of a killed consumer; return() ends what is left", async () => {
  for (const name of BOTH) {
    const pool = new Pool(1);
    const source = counted();
    const results = pool[name](forever, source.sync());
    const consumer = spawn(() => results.next());
    await idle();
    await consumer.kill();
    assertEquals(consumer.state, "killed");
    await results.return?.();
    assertEquals([source.ended, counts(pool)], [1, [0, 0, 1]]);
  }
});

test("Pool.imap() in a loop whose task is killed leaves nothing running", async () => {
  // `for await` does not call return() when next() rejects.
  for (const name of BOTH) {
    const pool = new Pool(2);
    const source = counted();
    const results = pool[name]((n: number) => n === 1 ? n : forever(), source.sync());
    const consumer = spawn(async () => {
      for await (const _ of results);
    });
    await idle();
    await consumer.kill();
    await idle();
    const left = [consumer.state, source.ended, counts(pool)];
    await results.return?.();
    assertEquals(left, ["killed", 1, [0, 0, 2]], name);
  }
});

test("Pool.imap() in a killed task rejects with the kill and starts nothing", async () => {
  const reason = new Error("kill");
  for (const name of BOTH) {
    const pool = new Pool(1);
    const source = counted();
    const results = pool[name]((n: number) => n, source.sync());
    const error = await inKilledTask(() => rejection(results.next()), reason);
    await idle();
    const left = [error === reason, source.read, counts(pool)];
    await results.return?.();
    assertEquals(left, [true, 0, [0, 0, 1]], name);
  }
});

test("Pool.imap() gives the kill of a pool to each next() that it concerns, then ends", async () => {
  const reason = new Error("kill");
  for (const name of BOTH) {
    const pool = new Pool(2);
    const source = counted();
    const results = pool[name](forever, source.sync(), { buffer: 3 });
    const seen = [1, 2, 3].map(() => outcome(results.next()));
    await idle();
    await pool.kill(reason);
    await idle();
    const states = seen.map(({ state, error }) => state === "rejected" && error === reason);
    await results.return?.();
    assertEquals(states, [true, true, true], "two ran, one waited for its place");
    assertEquals([source.ended, counts(pool)], [1, [0, 0, 2]]);
  }
});

test("Pool.imap() of a source that a killed member serves goes on", async () => {
  const reason = new Error("kill");
  const pool = new Pool(1);
  const jobs = new Jobs();
  const results = pool.imap(jobs.run, [1, 2]);
  const seen = [outcome(results.next()), outcome(results.next())];
  await idle();
  void [...pool][0]?.kill(reason);
  await idle();
  await jobs.end(2);
  assertStrictEquals(seen[0]?.error, reason);
  assertEquals(seen[1]?.value, { done: false, value: 20 });
  assertEquals((await results.next()).done, true);
});

test("Pool.imap() with wrong arguments throws at once", () => {
  for (const name of BOTH) {
    const pool = new Pool(2);
    for (const fn of [undefined, null, 5, {}]) {
      assertThrows(() => pool[name](fn as never, [1]), TypeError, "fn must be a function");
    }
    for (const source of [undefined, null, 5, {}]) {
      assertThrows(() => pool[name](() => 1, source as never), TypeError, "must be iterable");
    }
    for (const buffer of [0, -1, NaN, 1.5, "2", null]) {
      assertThrows(
        () => pool[name](() => 1, [1], { buffer: buffer as never }),
        RangeError,
        "buffer must be an integer >= 1",
      );
    }
  }
});

// -- join --

test("Pool.join() waits until nobody runs and nobody waits for a place", async () => {
  const pool = new Pool(1);
  assertEquals(await pool.join(), true);
  const jobs = new Jobs();
  await pool.spawn(jobs.run, 1);
  const waiting = outcome(pool.spawn(jobs.run, 2));
  const joined = [outcome(pool.join()), outcome(pool.join({ timeout: Infinity }))];
  await idle();
  await jobs.end(1);
  assertEquals([joined.map(({ state }) => state), waiting.state], [
    ["pending", "pending"],
    "resolved",
  ]);
  await jobs.end(2);
  assertEquals(joined.map(({ value }) => value), [true, true]);
});

test("Pool.join() waits for what the waiters of an ending member spawn at once", async () => {
  const pool = new Pool(1);
  const open = gate();
  const { task } = await pool.spawn(() => open.promise);
  const inner = gate();
  const chained = (async () => {
    await task;
    await pool.spawn(() => inner.promise);
  })();
  await idle();
  open.open();
  await chained;
  const joined = outcome(pool.join());
  await idle();
  assertEquals(joined.state, "pending");
  inner.open();
  await idle();
  assertEquals(joined.value, true);
});

test("Pool.join() ends as every wait does; a timeout gives false", async () => {
  const [pool, jobs] = await full(1);
  await assertEnds((options) => pool.join(options), false);
  assertEquals(await pool.join({ timeout: 0 }), false);
  await jobs.end(1);
  assertEquals(await pool.join({ timeout: 0 }), true);
  await assertRefuses((options) => pool.join(options));
});

test("Pool.join() with raiseError rejects with the first error that is kept", async () => {
  const pool = new Pool(2);
  const errors = [new Error("first"), new Error("second")];
  for (const error of errors) await pool.spawn(fails(error));
  assertEquals(await pool.join(), true);
  assertEquals(pool.errors, errors);
  assertStrictEquals(await rejection(pool.join({ raiseError: true })), errors[0]);
  const late = new Pool(1);
  const [, jobs] = await full(1, late);
  const joined = outcome(late.join({ raiseError: true }));
  await jobs.fail(1, errors[1]);
  assertStrictEquals(joined.error, errors[1]);
  assertEquals(await new Pool(1).join({ raiseError: true }), true);
});

test("Pool.join() with raiseError that runs out of time gives false", async () => {
  const pool = new Pool(2);
  await pool.spawn(fails(new Error("no")));
  await pool.spawn(forever);
  await idle();
  assertEquals(await pool.join({ raiseError: true, timeout: 1 }), false);
  await pool.kill();
});

test("Pool.join() inside a member is a DeadlockError, elsewhere not", async () => {
  const pool = new Pool(2);
  const { task } = await pool.spawn(() => pool.join());
  assertInstanceOf(await rejection(task), DeadlockError);
  const other = new Pool(1);
  const { task: stranger } = await other.spawn(() => pool.join());
  assertEquals(await stranger, true);
  const { task: parent } = await pool.spawn(() => ({ inner: spawn(() => pool.join()) }));
  assertEquals(await (await parent).inner, true);
});

test("Pool.join() goes on when the last one who waits in a paused pool gives up", async () => {
  for (const how of ["abort", "kill", "pool"]) {
    const pool = new Pool(1);
    pool.pause();
    const controller = new AbortController(), end = new AbortController();
    const spawner = spawn(() => pool.spawn({ signal: controller.signal }, () => 1));
    await idle();
    const joined = outcome(pool.join({ signal: end.signal }));
    await idle();
    assertEquals([joined.state, counts(pool)], ["pending", [0, 1, 1]]);
    if (how === "abort") controller.abort();
    if (how === "kill") await spawner.kill();
    if (how === "pool") await pool.kill();
    await spawner.join();
    await idle();
    const { state, value } = joined;
    end.abort();
    await idle();
    assertEquals([state, value, counts(pool)], ["resolved", true, [0, 0, 1]], how);
  }
});

// -- kill --

test("Pool.kill() kills every member, rejects the spawns that wait, and waits for clean-up", async () => {
  const reason = new Error("kill");
  const pool = new Pool(2);
  const cleaned = gate();
  const tasks: Task[] = [];
  for (let i = 0; i < 2; i++) {
    const { task } = await pool.spawn(async () => {
      try {
        await forever();
      } finally {
        await shield(() => cleaned.promise);
      }
    });
    tasks.push(task);
  }
  await idle();
  const waiting = [outcome(pool.spawn(() => 1)), outcome(pool.apply(() => 1))];
  await idle();
  const killed = outcome(pool.kill(reason));
  await idle();
  assertEquals(waiting.map(({ error }) => error === reason), [true, true]);
  assertEquals([killed.state, counts(pool)], ["pending", [2, 0, 0]]);
  cleaned.open();
  await idle();
  assertEquals([killed.value, tasks.map(({ error }) => error === reason)], [true, [true, true]]);
  assertEquals([counts(pool), pool.errors], [[0, 0, 2], []]);
  const { task } = await pool.spawn(() => "again");
  assertEquals(await task, "again");
});

test("Pool.kill() takes effect at once: pending members never run", async () => {
  const pool = new Pool(2);
  let ran = 0;
  const task = pool.trySpawn(() => void ran++);
  void pool.kill();
  assertEquals([task?.state, counts(pool)], ["killed", [0, 0, 2]]);
  await idle();
  assertEquals(ran, 0);
  assertEquals(await pool.kill(), true, "an empty one is killed at once");
});

test("Pool.kill() without an error gives a KilledError, with the reason as its cause", async () => {
  for (const reason of [undefined, "text"]) {
    const [pool] = await full(1);
    const waiting = outcome(pool.spawn(() => 1));
    const [member] = pool;
    await pool.kill(reason);
    await idle();
    const error = member?.error;
    assertInstanceOf(error, KilledError);
    assertStrictEquals(waiting.error, error);
    assertEquals([error.message, error.cause, isKilled(error)], ["Pool was killed", reason, true]);
  }
});

test("Pool.kill() resolves to false when its time is over, and kills all the same", async () => {
  const pool = new Pool(1);
  const open = gate();
  const { task } = await pool.spawn(() => open.promise.then(() => sleep(0)));
  await idle();
  assertEquals(await pool.kill(undefined, { timeout: 1 }), false);
  const controller = new AbortController();
  const aborted = outcome(pool.kill(undefined, { signal: controller.signal }));
  controller.abort("enough");
  await idle();
  assertEquals(aborted.error, "enough");
  open.open();
  await task.join();
  assertEquals(task.state, "killed");
});

test("Pool.kill() with an aborted signal kills, with a wrong option it does not", async () => {
  const [pool, jobs] = await full(1);
  const task = [...pool][0]!;
  await assertRejects(() => pool.kill(undefined, { timeout: -1 }), RangeError);
  await assertRejects(() => pool.kill(undefined, { signal: {} as never }), TypeError);
  await idle();
  assertEquals([task.state, jobs.ended], ["running", []]);
  const error = await rejection(pool.kill(undefined, { signal: AbortSignal.abort("gone") }));
  await idle();
  assertEquals([error, task.state], ["gone", "killed"]);
});

test("Pool.kill() in a killed task still waits for the members", async () => {
  const pool = new Pool(1);
  const cleaned = gate();
  await pool.spawn(async () => {
    try {
      await forever();
    } finally {
      await shield(() => cleaned.promise);
    }
  });
  await idle();
  let killed: Outcome<boolean> | undefined;
  const seen = inKilledTask(() => {
    const promise = pool.kill();
    killed = outcome(promise);
    return promise;
  });
  await idle();
  await idle();
  assertEquals(killed?.state, "pending");
  cleaned.open();
  assertEquals(await seen, true);
});

test("Pool.kill() from a member that awaits it rejects with the reason and kills it, too", async () => {
  const [pool] = await full(2, new Pool(3));
  const reason = new Error("kill");
  let thrown: unknown;
  const { task } = await pool.spawn(async () => {
    thrown = await rejection(pool.kill(reason));
    throw thrown;
  });
  assertEquals(await task.join(), true);
  assertEquals([thrown === reason, task.state], [true, "killed"]);
  assertEquals(await pool.join(), true);
});

test("Pool.kill() from a member that does not await it is no unhandled rejection", async () => {
  const pool = new Pool(1);
  // A rejection that nobody handles fails a test on every runtime.
  const { task } = await pool.spawn(() => {
    void pool.kill();
    return sleep(0);
  });
  assertEquals(await task.join(), true);
  await idle();
  assertEquals(task.state, "killed");
});

// -- resize, pause, resume --

test("Pool.resize() up admits at once, down admits nobody until enough have ended", async () => {
  const [pool, jobs] = await full(2);
  for (const n of [3, 4, 5, 6]) void outcome(pool.spawn(jobs.run, n));
  pool.resize(4);
  await idle();
  assertEquals([pool.size, jobs.begun, counts(pool)], [4, [1, 2, 3, 4], [4, 2, 0]]);
  pool.resize(1);
  await jobs.end(1, 2, 3);
  assertEquals([jobs.begun.length, counts(pool)], [4, [1, 2, 0]]);
  await jobs.end(4);
  assertEquals([jobs.begun, counts(pool)], [[1, 2, 3, 4, 5], [1, 1, 0]]);
  await jobs.end(5, 6);
  assertEquals(counts(pool), [0, 0, 1]);
  pool.resize(Infinity);
  assertEquals(pool.free, Infinity);
});

test("Pool.resize() to what is no size is a RangeError and changes nothing", () => {
  const pool = new Pool(2);
  for (const size of [0, -1, NaN, 1.5, -Infinity, "3", null, undefined]) {
    assertThrows(() => pool.resize(size as never), RangeError, "size must be an integer >= 1");
    assertThrows(() => new Pool(size as never), RangeError, "size must be an integer >= 1");
  }
  assertEquals(pool.size, 2);
});

test("Pool.pause() admits nobody until resume(); what runs goes on", async () => {
  const pool = new Pool(3);
  const jobs = new Jobs();
  await pool.spawn(jobs.run, 1);
  pool.pause();
  pool.pause();
  const waiting = [2, 3].map((n) => outcome(pool.spawn(jobs.run, n)));
  assertEquals(pool.trySpawn(jobs.run, 4), undefined);
  await idle();
  assertEquals([jobs.begun, counts(pool)], [[1], [1, 2, 2]]);
  await jobs.end(1);
  pool.resize(5);
  await idle();
  assertEquals([jobs.begun, counts(pool)], [[1], [0, 2, 5]]);
  pool.resume();
  await idle();
  assertEquals([jobs.begun, waiting.map(({ state }) => state)], [
    [1, 2, 3],
    ["resolved", "resolved"],
  ]);
  pool.resume();
  await jobs.end(2, 3);
});

test("Pool.resume() admits no more than there are places", async () => {
  const pool = new Pool(2);
  pool.pause();
  const jobs = new Jobs();
  for (const n of [1, 2, 3]) void outcome(pool.spawn(jobs.run, n));
  await idle();
  pool.resume();
  await idle();
  assertEquals([jobs.begun, counts(pool)], [[1, 2], [2, 1, 0]]);
  await jobs.end(1, 2, 3);
});

test("Pool.pause() holds a map and an imap, too", async () => {
  const pool = new Pool(2);
  const jobs = new Jobs();
  pool.pause();
  const mapped = outcome(pool.map(jobs.run, [1]));
  const next = outcome(pool.imap(jobs.run, [2]).next());
  await idle();
  assertEquals(jobs.begun, []);
  pool.resume();
  await jobs.end(1, 2);
  assertEquals([mapped.value, next.value], [[10], { done: false, value: 20 }]);
});

// -- What can be seen --

test("Pool is iterable over the members that run", async () => {
  const [pool, jobs] = await full(2);
  const tasks = [...pool];
  assertEquals(tasks.map(({ state }) => state), ["running", "running"]);
  for (const _ of pool) await jobs.end(1, 2);
  assertEquals([...pool], [], "a loop is not disturbed by what ends meanwhile");
  assertEquals(String(pool), "[object Pool]");
  assertEquals(String(new Group()), "[object Group]");
});

test("Pool.errors keeps the failures of spawned members, not of those whose error is got", async () => {
  const pool = new Pool(3);
  const errors = [new Error("spawn"), new Error("trySpawn")];
  await pool.spawn(fails(errors[0]));
  pool.trySpawn(fails(errors[1]));
  await rejection(pool.apply(fails(new Error("apply"))));
  await rejection(pool.map(fails(new Error("map")), [1]));
  await rejection(pool.imap(fails(new Error("imap")), [1]).next());
  const { task } = await pool.spawn(forever);
  await task.kill();
  await pool.join();
  assertEquals(pool.errors, errors);
});

test("Pool.errors keeps the newest 1,000", async () => {
  const pool = new Pool(10);
  for (let i = 0; i < 1005; i++) await pool.spawn(fails(i));
  await pool.join();
  assertEquals([pool.errors.length, pool.errors[0], pool.errors[999]], [1000, 5, 1004]);
});

test("Pool members that fail never reach onUnhandled, however they were started", async () => {
  const told: unknown[] = [];
  using _hook = onUnhandled((error) => told.push(error));
  const pool = new Pool(2);
  await pool.spawn(fails(new Error("spawn")));
  pool.trySpawn(fails(new Error("trySpawn")));
  await pool.join();
  await rejection(pool.apply(fails(new Error("apply"))));
  await rejection(pool.imap(fails(new Error("imap")), [1]).next());
  await rejection(pool.imapUnordered(fails(new Error("imap")), [1]).next());
  await rejection(pool.map(fails(new Error("map")), [1, 2]));
  const left = pool.imap(fails(new Error("unread")), [1, 2, 3]);
  await rejection(left.next());
  await left.return?.();
  await idle();
  // A later failure of a map is noted by the scope that it is.
  assertEquals(told.filter((error) => (error as Error).message !== "map"), []);
});

/** What `onProgress` tells, as "done/total". */
function follow(pool: Group): { seen: string[]; all: Progress[]; hook: Disposable } {
  const seen: string[] = [], all: Progress[] = [];
  const hook = pool.onProgress((progress) => {
    seen.push(`${progress.done}/${progress.total}`);
    all.push(progress);
  });
  return { seen, all, hook };
}

test("Pool.onProgress() counts what has ended, runs, waits", async () => {
  const [pool, jobs] = await full(2);
  const { seen, hook } = follow(pool);
  for (const n of [3, 4]) void outcome(pool.spawn(jobs.run, n));
  await jobs.end(1);
  await jobs.fail(3, new Error("no"));
  void [...pool][0]?.kill();
  await idle();
  assertEquals(seen, ["1/4", "2/4", "3/4"]);
  hook[Symbol.dispose]();
  hook[Symbol.dispose]();
  await jobs.end(4);
  assertEquals(seen.length, 3);
});

test("Pool.onProgress() counts the items left in a list that is mapped, each once", async () => {
  for (const size of [1, 2, 5]) {
    const pool = new Pool(size);
    const { seen } = follow(pool);
    const jobs = new Jobs();
    const mapped = outcome(pool.map(jobs.run, [1, 2, 3, 4]));
    await idle();
    for (const n of [1, 2, 3, 4]) await jobs.end(n);
    assertEquals([mapped.state, seen], ["resolved", ["1/4", "2/4", "3/4", "4/4"]], `${size}`);
  }
});

test("Pool.onProgress() forgets the items of a map that has failed", async () => {
  const pool = new Pool(1);
  const { seen } = follow(pool);
  await rejection(pool.map(fails(new Error("no")), [1, 2, 3, 4]));
  await (await pool.spawn(() => 1)).task.join();
  const [, done, total] = /(\d+)\/(\d+)/.exec(seen.at(-1)!)!;
  assertEquals(done, total, "nothing is left");
});

test("Pool.onProgress() tells the rate per second and the milliseconds left", async () => {
  using time = new ManualClock();
  const pool = new Pool(1);
  const { all } = follow(pool);
  const mapped = outcome(pool.map(() => sleep(500), [1, 2, 3, 4]));
  for (let i = 0; i < 4; i++) {
    await idle();
    time.advance(500);
  }
  await idle();
  assertEquals(mapped.state, "resolved");
  assertEquals(all.map(({ rate }) => rate), [2, 2, 2, 2]);
  assertEquals(all.map(({ eta, total, done }) => eta === (total - done) * 500), [
    true,
    true,
    true,
    true,
  ]);
  assertEquals(all.at(-1)?.eta, 0);
});

test("Pool.onProgress() passes what a hook throws to onUnhandled; the pool and the others go on", async () => {
  const told: unknown[] = [];
  using _unhandled = onUnhandled((error, task) => told.push([error, task]));
  const error = new Error("hook");
  const pool = new Pool(1);
  pool.onProgress(fails(error));
  const { seen } = follow(pool);
  assertEquals(await pool.map((n) => n, [1, 2]), [1, 2]);
  await idle();
  assertEquals([seen.length, told], [2, [[error, undefined], [error, undefined]]]);
  assertEquals(counts(pool), [0, 0, 1]);
});

test("Pool.onProgress() with one hook twice calls it twice; wrong hooks are TypeErrors", async () => {
  const pool = new Pool(1);
  let calls = 0;
  const hook = () => void calls++;
  const first = pool.onProgress(hook);
  pool.onProgress(hook);
  await pool.apply(() => 1);
  first[Symbol.dispose]();
  await pool.apply(() => 1);
  assertEquals(calls, 3);
  for (const wrong of [undefined, null, 5, {}]) {
    assertThrows(() => pool.onProgress(wrong as never), TypeError, "must be a function");
  }
});

// -- Group --

test("Group admits everybody at once, except while it is paused", async () => {
  const group = new Group();
  const jobs = new Jobs();
  for (let n = 1; n <= 50; n++) await group.spawn(jobs.run, n);
  await idle();
  assertEquals([jobs.begun.length, group.size, counts(group)], [50, Infinity, [50, 0, Infinity]]);
  group.pause();
  const waiting = outcome(group.spawn(jobs.run, 51));
  await idle();
  assertEquals([waiting.state, group.trySpawn(jobs.run, 52)], ["pending", undefined]);
  group.resume();
  await idle();
  assertEquals(waiting.state, "resolved");
  await group.kill();
  assertEquals(counts(group), [0, 0, Infinity]);
});

// -- With the others --

test("Pool members under a scope: a failing map ends the scope, not the pool", async () => {
  const pool = new Pool(2);
  const error = new Error("no");
  const seen = await rejection(scope((s) => {
    s.spawn(() => pool.map(forever, [1, 2, 3]));
    return idle().then(fails(error));
  }));
  assertStrictEquals(seen, error);
  assertEquals(counts(pool), [0, 0, 2]);
  assertEquals(await pool.map((n) => n, [1]), [1]);
});

test("Pool under a limit: a map that takes too long is killed as a whole", async () => {
  using time = new ManualClock();
  const pool = new Pool(2);
  const source = counted();
  const seen = outcome(
    withTimeout(5, () => pool.map(forever, source.sync()), { fallback: "late" }),
  );
  await idle();
  time.advance(5);
  await idle();
  assertEquals([seen.value, source.ended, counts(pool)], ["late", 1, [0, 0, 2]]);
});

test("Pool takes 10,000 parked spawns and kills them without recursion", async () => {
  const pool = new Pool(1);
  await pool.spawn(forever);
  const parked = Array.from({ length: 10_000 }, () => outcome(pool.spawn(forever)));
  await idle();
  assertEquals(counts(pool), [1, 10_000, 0]);
  await pool.kill();
  await idle();
  assertEquals(parked.every(({ state }) => state === "rejected"), true);
});

test("new Group() rejects what is no size", () => {
  for (const size of [0, -1, NaN, 1.5, "3", null]) {
    assertThrows(() => new Group(size as never), RangeError, "size must be an integer >= 1");
  }
  assertEquals(new Group().size, Infinity);
});

test("Pool.imap() disposed of after a failing item has ended its loop leaves nothing", async () => {
  const pool = new Pool(2), error = new Error("two");
  let left = false;
  const source = async function* () {
    try {
      yield* [1, 2, 3, 4, 5, 6];
    } finally {
      left = true;
    }
  };
  const thrown = await rejection((async () => {
    await using results = pool.imap((n: number) => n === 2 ? Promise.reject(error) : n, source());
    for await (const _ of results);
  })());
  assertStrictEquals(thrown, error);
  assertEquals([left, pool.running], [true, 0]);
});

test("Pool.spawn() that waits and the member that has not started end by the same abort", async () => {
  const pool = new Pool(1), abort = new AbortController();
  let ran = 0;
  const [first, second] = [1, 2].map(() =>
    outcome(pool.spawn({ signal: abort.signal }, () => void ran++))
  );
  const third = outcome(pool.spawn(() => "third"));
  abort.abort("over");
  await idle();
  assertEquals(first!.value!.task.state, "killed");
  assertEquals([second!.state, second!.error], ["rejected", "over"]);
  assertEquals(await third.value!.task.get(), "third");
  assertEquals([ran, pool.running, pool.waiting], [0, 0, 0]);
});

test("Pool.spawn() that waits keeps the caller's AsyncLocalStorage, not that of who makes room", async () => {
  const request = new AsyncLocalStorage<string>();
  const pool = new Pool(1), jobs = new Jobs();
  await request.run("a", () => pool.spawn(jobs.run, 0));
  const second = request.run("b", () => pool.spawn(() => request.getStore()));
  const third = request.run("c", () =>
    pool.apply(async () => {
      await sleep(0);
      return request.getStore();
    }));
  await jobs.end(0);
  assertEquals([await (await second).task.get(), await third], ["b", "c"]);
});

test("Pool.kill() reaches a map whose place was given in the same tick", async () => {
  const pool = new Pool(1), begun: number[] = [];
  await pool.spawn(forever);
  const mapped = outcome(pool.map((n) => void begun.push(n), [1, 2, 3]));
  const iterated = outcome(pool.imap((n: number) => void begun.push(n), [4, 5]).next());
  await idle();
  assertEquals(pool.waiting, 2);
  pool.resize(3);
  assertEquals(await pool.kill("closing"), true);
  await idle();
  for (const { error } of [mapped, iterated]) assert(isKilled(error));
  assertEquals([begun, pool.running, pool.waiting], [[], 0, 0]);
});

for (const verb of ["imap", "imapUnordered"] as const) {
  test(`Pool.${verb}() left early throws the error of a clean-up`, async () => {
    const error = new Error("cannot clean up");
    const results = new Pool(3)[verb](async (n: number) => {
      if (n > 1) await forever().catch((kill) => fails(n === 2 ? error : kill)());
    }, [1, 2, 3]);
    await results.next();
    await idle();
    assertStrictEquals(await rejection(results.return!()), error);
    assertEquals((await results.return!()).done, true);
  });
}
