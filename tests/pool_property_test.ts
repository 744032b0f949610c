// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Random programs against a pool. The first property compares each step with a model that is plain
 * arrays; the second lets many tasks race, and keeps accounts; the third is about maps.
 *
 * @module
 */

// Source: the sequential specification of a counting semaphore with a FIFO queue, and for the maps
// the rule that each item has exactly one result or error.

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { isKilled } from "../src/errors.ts";
import { Pool } from "../src/pool.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask, type Task } from "../src/task.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { until } from "../src/until.ts";
import { type Gate, gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { type Outcome, outcome } from "./outcome.ts";

/** More, or another seed, for a longer search; a failure prints its seed and path. */
const SEED = 20261121;
const MODEL_RUNS = 400;
const RACE_RUNS = 600;
const MAP_RUNS = 1500;

noLeaks();

// -- Step by step, against a model --

/** Who asks for a place, and how that one can be stopped. */
type By = "plain" | "task" | "signal" | "apply" | "try";

type Command =
  | { verb: "spawn"; by: By; stubborn: boolean }
  | { verb: "finish"; which: number; fails: boolean }
  | { verb: "killMember" | "stop"; which: number }
  | { verb: "pause" | "resume" | "kill" | "join" }
  | { verb: "resize"; size: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      verb: fc.constant("spawn" as const),
      by: fc.constantFrom<By>("plain", "plain", "task", "signal", "apply", "try"),
      stubborn: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      verb: fc.constant("finish" as const),
      which: fc.nat(3),
      fails: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constantFrom("killMember" as const, "stop" as const),
      which: fc.nat(5),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constantFrom(
        "pause" as const,
        "resume" as const,
        "resume" as const,
        "join" as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("kill" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("resize" as const),
      size: fc.integer({ min: 1, max: 4 }),
    }),
  },
);

/** One who asked for a place: what the model knows, and the real thing. */
interface Job {
  id: number;
  by: By;
  stubborn: boolean;
  state: "waiting" | "running" | "dying" | "ok" | "failed" | "killed" | "refused";
  open: Gate<void>;
  seen: Outcome<unknown>;
  controller: AbortController;
  /** Its signal has ended its wait. */
  aborted: boolean;
  spawner: Task | undefined;
  member: Task | undefined;
}

class Model {
  readonly pool: Pool;
  readonly begun: number[] = [];
  readonly jobs: Job[] = [];
  /** Ends the joins that a failing run leaves. */
  readonly over: AbortController = new AbortController();
  readonly joins: { seen: Outcome<boolean>; done: boolean }[] = [];
  // What the model expects.
  readonly #begun: number[] = [];
  readonly #errors: number[] = [];
  #running: Job[] = [];
  #waiting: Job[] = [];
  #paused = false;
  #size: number;

  constructor(size: number) {
    this.pool = new Pool(size);
    this.#size = size;
  }

  async do(command: Command): Promise<void> {
    switch (command.verb) {
      case "spawn":
        this.#spawn(command.by, command.stubborn);
        break;
      case "finish":
        this.#finish(this.#running[command.which], command.fails);
        break;
      case "killMember": {
        const job = this.#running[command.which];
        void job?.member?.kill();
        if (job !== undefined) this.#kill(job);
        break;
      }
      case "stop":
        this.#stop(this.jobs.filter(({ by }) => by !== "plain" && by !== "try")[command.which]);
        break;
      case "pause":
        this.pool.pause();
        this.#paused = true;
        break;
      case "resume":
        this.pool.resume();
        this.#paused = false;
        this.#admit();
        break;
      case "resize":
        this.pool.resize(command.size);
        this.#size = command.size;
        this.#admit();
        break;
      case "kill":
        outcome(this.pool.kill());
        for (const job of this.#waiting) job.state = "refused";
        this.#waiting = [];
        for (const job of [...this.#running]) this.#kill(job);
        break;
      case "join":
        this.joins.push({
          seen: outcome(this.pool.join({ signal: this.over.signal })),
          done: false,
        });
    }
    this.#settleJoins();
    await idle();
    this.check();
  }

  /** Ends all that is left. */
  async end(): Promise<void> {
    await this.do({ verb: "kill" });
    while (this.#running.length > 0) await this.do({ verb: "finish", which: 0, fails: false });
    assertEquals(this.joins.every(({ seen }) => seen.value === true), true);
  }

  check(): void {
    const { pool } = this;
    assertEquals(
      [pool.running, pool.waiting, pool.free, pool.size],
      [
        this.#running.length,
        this.#waiting.length,
        Math.max(0, this.#size - this.#running.length),
        this.#size,
      ],
      "running, waiting, free, size",
    );
    assertEquals(this.begun, this.#begun, "begun in the order of arrival");
    assertEquals([...pool].length, this.#running.length, "iterates over its members");
    assertEquals(pool.errors.map((error) => Number((error as Error).message)), this.#errors);
    for (const job of this.jobs) this.#checkJob(job);
    for (const { seen, done } of this.joins) {
      assertEquals(seen.state, done ? "resolved" : "pending", "join");
    }
  }

  #checkJob({ id, by, state, seen, member, aborted }: Job): void {
    const what = `${by} ${id} is ${state}`;
    const ended = state === "ok" || state === "failed" || state === "killed";
    if (member !== undefined) {
      const states = { ok: "succeeded", failed: "failed", killed: "killed" } as const;
      assertEquals(member.state, ended ? states[state] : "running", what);
    }
    if (state === "waiting") assertEquals([seen.state, member], ["pending", undefined], what);
    else if (state === "refused") {
      assertEquals([seen.state, member], [by === "try" ? "resolved" : "rejected", undefined], what);
      if (aborted) assertEquals(seen.error, "stopped", what);
      else if (by !== "try") assert(isKilled(seen.error), what);
    } else if (by !== "apply") assertEquals(seen.state, "resolved", what);
    else if (!ended) assertEquals(seen.state, "pending", what);
    else if (state === "ok") assertEquals(seen.value, id, what);
    else assertEquals(seen.state, "rejected", what);
  }

  #spawn(by: By, stubborn: boolean): void {
    const { pool } = this;
    const job: Job = {
      id: this.jobs.length,
      by,
      stubborn,
      state: "waiting",
      open: gate(),
      seen: { state: "pending" },
      controller: new AbortController(),
      aborted: false,
      spawner: undefined,
      member: undefined,
    };
    job.open.promise.catch(() => {});
    this.jobs.push(job);
    const run = async (): Promise<number> => {
      this.begun.push(job.id);
      job.member = currentTask();
      try {
        await until(job.open.promise);
      } catch (error) {
        if (stubborn && isKilled(error)) await shield(() => job.open.promise.catch(() => {}));
        throw error;
      }
      return job.id;
    };
    const { signal } = job.controller;
    if (by === "plain") job.seen = outcome(pool.spawn(run));
    else if (by === "signal") job.seen = outcome(pool.spawn({ signal }, run));
    else if (by === "try") job.seen = outcome(Promise.resolve({ task: pool.trySpawn(run) }));
    else {
      job.spawner = spawn<[], unknown>(() => by === "task" ? pool.spawn(run) : pool.apply(run));
      job.seen = outcome(job.spawner.get());
    }
    const free = !this.#paused && this.#waiting.length === 0 && this.#running.length < this.#size;
    if (by === "try" && !free) job.state = "refused";
    else this.#waiting.push(job);
    this.#admit();
  }

  #finish(job: Job | undefined, fails: boolean): void {
    if (job === undefined) return;
    if (fails) job.open.fail(new Error(`${job.id}`));
    else job.open.open();
    if (job.state === "dying") job.state = "killed";
    else job.state = fails ? "failed" : "ok";
    if (job.state === "failed" && job.by !== "apply") this.#errors.push(job.id);
    this.#left(job);
  }

  #kill(job: Job): void {
    if (job.state !== "running") return;
    if (job.stubborn) {
      job.state = "dying";
      return;
    }
    job.state = "killed";
    this.#left(job);
  }

  /** Stops the one who asked, or what was asked for, by the handle that there is. */
  #stop(job: Job | undefined): void {
    if (job === undefined) return;
    if (job.by === "signal") job.controller.abort("stopped");
    else void job.spawner?.kill();
    if (job.state === "waiting") {
      job.state = "refused";
      job.aborted = job.by === "signal";
      this.#waiting = this.#waiting.filter((other) => other !== job);
    } else if (job.by !== "task") this.#kill(job);
  }

  #left(job: Job): void {
    this.#running = this.#running.filter((other) => other !== job);
    this.#admit();
  }

  #admit(): void {
    while (!this.#paused && this.#running.length < this.#size && this.#waiting.length > 0) {
      const job = this.#waiting.shift()!;
      job.state = "running";
      this.#running.push(job);
      this.#begun.push(job.id);
    }
  }

  #settleJoins(): void {
    if (this.#running.length + this.#waiting.length > 0) return;
    for (const join of this.joins) join.done = true;
  }
}

test("Pool does what its model says, step by step", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.array(command, { minLength: 1, maxLength: 30, size: "max" }),
      async (size, commands) => {
        const told: unknown[] = [];
        using _hook = onUnhandled((error) => told.push(error));
        const before = liveWaiters();
        const model = new Model(size);
        try {
          for (const one of commands) await model.do(one);
          await model.end();
          assertEquals([told, liveWaiters()], [[], before]);
        } finally {
          // So that a shrunk run does not find what the one before it left.
          model.pool.resume();
          for (const { open, spawner } of model.jobs) {
            open.open();
            void spawner?.kill();
          }
          void model.pool.kill();
          model.over.abort();
          await idle();
        }
      },
    ),
    { seed: SEED, numRuns: MODEL_RUNS },
  );
});

// -- In a race --

interface Racer {
  /** When it asks, and how long its job takes. */
  at: number;
  ms: number;
  turns: number;
  fails: boolean;
  by: By;
  /** When it is stopped, if ever. */
  stopAt: number | null;
}

interface Race {
  size: number;
  racers: Racer[];
  /** What the pool is told meanwhile. */
  orders: { at: number; verb: "pause" | "resume" | "kill" | "resize"; size: number }[];
}

const small = fc.integer({ min: 0, max: 8 });

const race: fc.Arbitrary<Race> = fc.record({
  size: fc.integer({ min: 1, max: 4 }),
  racers: fc.array(
    fc.record({
      at: small,
      ms: fc.integer({ min: 0, max: 4 }),
      turns: fc.integer({ min: 0, max: 3 }),
      fails: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
      by: fc.constantFrom<By>("plain", "task", "signal", "apply", "try"),
      stopAt: fc.oneof(fc.constant(null), small),
    }),
    { minLength: 1, maxLength: 14, size: "max" },
  ),
  orders: fc.array(
    fc.record({
      at: small,
      verb: fc.constantFrom(
        "pause" as const,
        "resume" as const,
        "kill" as const,
        "resize" as const,
      ),
      size: fc.integer({ min: 1, max: 4 }),
    }),
    { maxLength: 4 },
  ),
});

async function run({ size, racers, orders }: Race): Promise<void> {
  using time = new ManualClock();
  // A shrunk run must not fail by what the one before it left.
  const before = liveWaiters();
  const told: unknown[] = [];
  using _hook = onUnhandled((error) => told.push(error));
  const pool = new Pool(size);
  const largest = Math.max(size, ...orders.map((order) => order.size));
  /** Numbers in the order in which they asked, and began. */
  let asked = 0, active = 0, most = 0, ended = 0;
  const begun: number[] = [];
  const admitted: Task[] = [];
  const seen: Outcome<unknown>[] = [];
  const all = racers.map(async (racer) => {
    await sleep(racer.at);
    for (let i = 0; i < racer.turns; i++) await Promise.resolve();
    const job = (number: number) => async (): Promise<number> => {
      begun.push(number);
      most = Math.max(most, ++active);
      try {
        await sleep(racer.ms);
        if (racer.fails) throw new Error(`${number}`);
        return number;
      } finally {
        active--;
        ended++;
      }
    };
    const controller = new AbortController();
    let spawner: Task | undefined;
    let asking: Promise<unknown>;
    if (racer.by === "plain") asking = pool.spawn(job(asked++));
    else if (racer.by === "signal") {
      asking = pool.spawn({ signal: controller.signal }, job(asked++));
    } else if (racer.by === "try") {
      asking = Promise.resolve({ task: pool.trySpawn(job(asked++)) });
    } else if (racer.by === "apply") asking = pool.apply(job(asked++));
    else {
      // A task of its own asks when its turn comes.
      spawner = spawn<[], unknown>(() => pool.spawn(job(asked++)));
      asking = spawner.get();
    }
    seen.push(outcome(asking));
    asking.then((value) => {
      if (typeof value !== "object") return;
      const { task } = value as { task?: Task };
      if (task !== undefined) admitted.push(task);
    }, () => {});
    if (racer.stopAt !== null) {
      await sleep(racer.stopAt);
      controller.abort();
      void spawner?.kill();
    }
  });
  const ordered = orders.map(async ({ at, verb, size }) => {
    await sleep(at);
    if (verb === "resize") pool.resize(size);
    else if (verb === "kill") await pool.kill();
    else pool[verb]();
  });
  for (let now = 0; now < 30; now++) {
    await idle();
    time.advance(1);
  }
  pool.resume();
  for (let now = 0; now < 100; now++) {
    await idle();
    time.advance(1);
  }
  await Promise.all([...all, ...ordered]);
  assert(most <= largest, `${most} ran at once, at most ${largest} were allowed`);
  assertEquals(begun, [...begun].sort((a, b) => a - b), "first come, first served");
  assertEquals([active, ended], [0, begun.length], "every one that began has ended");
  assertEquals(seen.map(({ state }) => state).filter((state) => state === "pending"), []);
  for (const task of admitted) assert(task.ready, "every member has ended");
  assertEquals([pool.running, pool.waiting, pool.free, [...pool]], [0, 0, pool.size, []]);
  assertEquals(await pool.join(), true);
  assertEquals([told, liveWaiters(), time.size], [[], before, 0]);
}

test("Pool loses no place and no spawn in a race of kills, aborts, pauses and resizes", async () => {
  await fc.assert(fc.asyncProperty(race, run), { seed: SEED, numRuns: RACE_RUNS });
});

// -- Maps --

interface Mapping {
  name: "map" | "imap" | "imapUnordered";
  size: number;
  buffer: number;
  kind: "sync" | "async";
  items: { ms: number; fails: boolean }[];
  /** The source throws after so many items. */
  sourceFailsAt: number | null;
  /** Milliseconds between two next(). */
  pace: number;
  /** The consumer leaves after so many results. */
  leaveAfter: number | null;
  /** When the consumer is killed. */
  killAt: number | null;
  /** Runs in the pool beside it. */
  others: number[];
}

const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });

const mapping: fc.Arbitrary<Mapping> = fc.record({
  name: fc.constantFrom("map" as const, "imap" as const, "imapUnordered" as const),
  size: fc.integer({ min: 1, max: 4 }),
  buffer: fc.integer({ min: 1, max: 5 }),
  kind: fc.constantFrom("sync" as const, "async" as const),
  items: fc.array(
    fc.record({
      ms: fc.integer({ min: 0, max: 5 }),
      fails: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
    }),
    { maxLength: 12, size: "max" },
  ),
  sourceFailsAt: seldom(fc.nat(12)),
  pace: fc.constantFrom(0, 0, 1, 3),
  leaveAfter: seldom(fc.nat(5)),
  killAt: seldom(fc.nat(12)),
  others: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 3 }),
});

class MapRun {
  readonly pool: Pool;
  readonly given: unknown[] = [];
  readonly failures: { index: number; at: number }[] = [];
  readonly sourceError = new Error("source");
  active = 0;
  most = 0;
  begun = 0;
  ended = 0;
  read = 0;
  /** Calls of next(); what one of them waits for counts as given. */
  asked = 0;
  opened = 0;
  closed = 0;
  /** Most that was read ahead of what was asked for. */
  ahead = 0;
  sourceFailedAt: number | undefined = undefined;
  done = false;

  constructor(readonly program: Mapping, readonly time: ManualClock) {
    this.pool = new Pool(program.size);
  }

  *source(): Generator<number> {
    const { items, sourceFailsAt } = this.program;
    this.opened++;
    try {
      for (let i = 0; i < items.length; i++) {
        if (i === sourceFailsAt) break;
        this.read++;
        this.ahead = Math.max(this.ahead, this.read - this.asked);
        yield i;
      }
      if (sourceFailsAt !== null && sourceFailsAt <= items.length) {
        this.sourceFailedAt = this.time.now();
        throw this.sourceError;
      }
    } finally {
      this.closed++;
    }
  }

  async *asyncSource(): AsyncGenerator<number> {
    for (const i of this.source()) {
      await sleep(0);
      yield i;
    }
  }

  readonly work = async (i: number): Promise<number> => {
    const { ms, fails } = this.program.items[i]!;
    this.begun++;
    this.most = Math.max(this.most, ++this.active);
    try {
      await sleep(ms);
      if (fails) {
        this.failures.push({ index: i, at: this.time.now() });
        throw new Error(`${i}`);
      }
      return i;
    } finally {
      await shield(() => sleep(0));
      this.active--;
      this.ended++;
    }
  };

  async consume(): Promise<unknown> {
    const { name, kind, buffer, pace, leaveAfter } = this.program;
    const source = kind === "sync" ? this.source() : this.asyncSource();
    if (name === "map") return await this.pool.map(this.work, source);
    const results = this.pool[name](this.work, source, { buffer });
    for (;;) {
      if (this.given.length === leaveAfter) {
        await results.return?.();
        return "left";
      }
      try {
        this.asked++;
        const result = await results.next();
        if (result.done === true) break;
        this.given.push(result.value);
      } catch (error) {
        if (isKilled(error)) throw error;
        if (error === this.sourceError) {
          this.done = true;
          throw error;
        }
        this.given.push(Number((error as Error).message));
      }
      if (pace > 0) await shield(() => sleep(pace));
    }
    this.done = true;
    return "all";
  }
}

async function play(program: Mapping): Promise<void> {
  using time = new ManualClock();
  // A shrunk run must not fail by what the one before it left.
  const before = liveWaiters();
  const told: unknown[] = [];
  using _hook = onUnhandled((error) => told.push(error));
  const run = new MapRun(program, time);
  const { pool } = run;
  const { name, items, size, buffer, killAt, leaveAfter } = program;
  for (const ms of program.others) void outcome(pool.spawn(() => sleep(ms)));
  const consumer = spawn(() => run.consume());
  const seen = outcome(consumer.get());
  for (let now = 0; now < 200; now++) {
    await idle();
    if (now === killAt) void consumer.kill();
    await idle();
    if (consumer.ready && pool.running === 0 && time.size === 0) break;
    time.advance(1);
  }
  await idle();
  assertEquals(seen.state !== "pending", true, "the consumer ends");
  assert(run.most <= size, `${run.most} at once`);
  assertEquals([run.active, run.ended], [0, run.begun], "what began has ended");
  assertEquals(run.closed, run.opened, "a source that was opened was ended");
  assert(run.opened <= 1, "it was opened once");
  assertEquals([pool.running, pool.waiting, [...pool], pool.errors], [0, 0, [], []]);
  const failsAt = program.sourceFailsAt;
  const count = failsAt === null ? items.length : Math.min(failsAt, items.length);
  const order = Array.from({ length: count }, (_, i) => i);
  const sourceFails = failsAt !== null && failsAt <= items.length;
  if (name === "map") checkMap(run, seen, order, told);
  else {
    assertEquals(told, []);
    assert(run.ahead <= buffer, `read ${run.ahead} ahead of what was asked for`);
    if (name === "imap") assertEquals(run.given, order.slice(0, run.given.length));
    assertEquals(new Set(run.given).size, run.given.length, "each item at most once");
    if (run.done) {
      assertEquals([...run.given].sort(byNumber), order, "each item has exactly one result");
      assertEquals(seen.error === run.sourceError, sourceFails, "the error of the source is last");
    } else {
      assert(consumer.state === "killed" || seen.value === "left", "else it was left");
      if (seen.value === "left") assertEquals(run.given.length, leaveAfter);
    }
  }
  assertEquals([liveWaiters(), time.size], [before, 0], "nothing is left parked");
}

function checkMap(run: MapRun, seen: Outcome<unknown>, order: number[], told: unknown[]): void {
  const first = Math.min(...run.failures.map(({ at }) => at), run.sourceFailedAt ?? Infinity);
  if (seen.state === "resolved") {
    assertEquals(seen.value, order);
    assertEquals([run.failures, told], [[], []]);
  } else if (first === Infinity) {
    assert(isKilled(seen.error), `${seen.error}`);
  } else if (seen.error === run.sourceError) {
    assertEquals(run.sourceFailedAt, first, "the source failed first");
  } else {
    // A kill in the same turn does not outrank the failure.
    const at = run.failures.find(({ index }) => `${index}` === (seen.error as Error).message)?.at;
    assertEquals(at, first, `the first in time: ${seen.error}`);
  }
}

function byNumber(a: unknown, b: unknown): number {
  return Number(a) - Number(b);
}

test("Pool.map() and imap() give each item one result or error, and leave nothing", async () => {
  await fc.assert(fc.asyncProperty(mapping, play), { seed: SEED, numRuns: MAP_RUNS });
});
