// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Random trees of scopes, whose bodies and children sleep, fail, swallow kills, clean up and are
 * ended from outside, against the rules that hold for each scope alone.
 *
 * @module
 */

// Source: the rules of Trio's nurseries and Kotlin's coroutineScope, as in src/scope.ts. Time is a
// clock moved by hand, so that "first in time" is exact to the millisecond; what comes first within one
// millisecond is for scope_test.ts.

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { isKilled, TimeoutError } from "../src/errors.ts";
import { type Scope, scope } from "../src/scope.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import type { Task } from "../src/task.ts";
import { withTimeout } from "../src/timeout.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";

/** More, or another seed, for a longer search; a failure prints its seed and path. */
const SEED = 20261121;
const RUNS = 3000;

/** After so many milliseconds whatever still runs waits for ever, and is killed. */
const LONGEST = 60;

noLeaks();

// -- Programs --

type Step =
  | { do: "sleep" | "swallow" | "shield"; ms: number }
  | { do: "spawn"; job: Job; daemon: boolean }
  | { do: "scope"; tree: Tree }
  | { do: "limit"; ms: number; steps: Step[] }
  | { do: "kill" | "killChild" | "forever" | "turn" };

interface Job {
  steps: Step[];
  /** Throws after its steps. */
  fails: boolean;
  /** What its `finally` does: nothing, waits shielded, throws, or catches all and returns. */
  end: "plain" | "cleanUp" | "cleanUpFails" | "catches";
}

interface Tree {
  body: Job;
  supervise: boolean;
}

interface Program {
  tree: Tree;
  /** When the task that runs it all is killed, if ever. */
  killAt: number | null;
}

const ms = fc.integer({ min: 0, max: 6 });

const { tree } = fc.letrec<{ step: Step; job: Job; tree: Tree }>((tie) => ({
  step: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom("sleep" as const, "swallow" as const, "shield" as const),
        ms,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constantFrom(
          "kill" as const,
          "killChild" as const,
          "forever" as const,
          "turn" as const,
        ),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant("spawn" as const),
        job: tie("job"),
        daemon: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("scope" as const), tree: tie("tree") }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("limit" as const),
        ms,
        steps: fc.array(tie("step"), { maxLength: 3 }),
      }),
    },
  ),
  job: fc.record({
    steps: fc.array(tie("step"), { maxLength: 5 }),
    fails: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    end: fc.constantFrom<Job["end"]>("plain", "plain", "cleanUp", "cleanUpFails", "catches"),
  }),
  tree: fc.record({
    body: tie("job"),
    supervise: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
  }),
}));

const program: fc.Arbitrary<Program> = fc.record({
  tree,
  killAt: fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 12 })),
});

// -- Running them --

class RealError extends Error {
  constructor(readonly at: number) {
    super(`thrown at ${at} ms`);
  }
}

/** What happened in one scope. */
interface Record_ {
  supervise: boolean;
  s: Scope | undefined;
  children: Task[];
  /** When each child, or the body, threw. */
  times: Map<unknown, number>;
  body: { value?: unknown; error?: unknown; real?: boolean };
  result: { value?: unknown; error?: unknown };
  /** The reason of its own kill. */
  kill: Error;
}

class World {
  readonly time = new ManualClock();
  readonly wrong: string[] = [];
  readonly scopes: Record_[] = [];
  readonly told: unknown[] = [];
  /** Errors of limits and kills that have left their limit or scope: from there on like any other. */
  readonly released: Set<unknown> = new Set();
  running = 0;
  limits = 0;

  check(holds: boolean, rule: string): void {
    if (!holds) this.wrong.push(rule);
  }

  isReal(error: unknown): boolean {
    return error instanceof RealError || this.released.has(error);
  }

  async run(tree: Tree): Promise<void> {
    const record: Record_ = {
      supervise: tree.supervise,
      s: undefined,
      children: [],
      times: new Map(),
      body: {},
      result: {},
      kill: new Error("kill of the scope"),
    };
    this.scopes.push(record);
    try {
      record.result.value = await scope(async (s) => {
        record.s = s;
        try {
          await this.job(tree.body, s, record);
          record.body.value = "value";
          return "value";
        } catch (error) {
          record.body.error = error;
          record.body.real = this.isReal(error);
          record.times.set(error, this.time.now());
          throw error;
        }
      }, { supervise: tree.supervise });
    } catch (error) {
      record.result.error = error;
      // The kill of a scope is none of the task around it.
      if (error === record.kill) this.released.add(error);
      throw error;
    } finally {
      this.settled(record);
    }
  }

  async job(job: Job, s: Scope, record: Record_): Promise<void> {
    this.running++;
    try {
      await this.steps(job.steps, s, record);
      if (job.fails) throw new RealError(this.time.now());
    } catch (error) {
      if (job.end !== "catches") throw error;
    } finally {
      if (job.end === "cleanUp" || job.end === "cleanUpFails") await shield(() => sleep(2));
      this.running--;
      // deno-lint-ignore no-unsafe-finally -- this is what a failing clean-up does
      if (job.end === "cleanUpFails") throw new RealError(this.time.now());
    }
  }

  async steps(steps: Step[], s: Scope, record: Record_): Promise<void> {
    for (const step of steps) {
      switch (step.do) {
        case "sleep":
          await sleep(step.ms);
          break;
        case "swallow":
          await sleep(step.ms).catch(() => {});
          break;
        case "shield":
          await shield(() => sleep(step.ms));
          break;
        case "turn":
          await sleep(0);
          break;
        case "forever":
          await sleep(Infinity);
          break;
        case "scope":
          await this.run(step.tree);
          break;
        case "limit":
          await this.limit(step.ms, step.steps, s, record);
          break;
        case "kill":
          s.kill(record.kill);
          break;
        case "killChild":
          void record.children.find((child) => !child.ready)?.kill();
          break;
        case "spawn":
          if (!this.spawn(step, s, record)) return;
      }
    }
  }

  /** `false` if the scope takes no more children. */
  spawn({ job, daemon }: Extract<Step, { do: "spawn" }>, s: Scope, record: Record_): boolean {
    try {
      record.children.push(s.spawn({ daemon }, async () => {
        try {
          await this.job(job, s, record);
        } catch (error) {
          if (!record.times.has(error)) record.times.set(error, this.time.now());
          throw error;
        }
      }));
      return true;
    } catch (error) {
      this.check(
        error instanceof TypeError || isKilled(error) || error instanceof TimeoutError,
        `spawn throws the kill or a TypeError, not ${error}`,
      );
      return false;
    }
  }

  async limit(ms: number, steps: Step[], s: Scope, record: Record_): Promise<void> {
    // No two have the same time, so that an error says whose it is.
    const own = ms === 0 ? 0 : ms + ++this.limits / 1e6;
    try {
      await withTimeout(own, () => this.steps(steps, s, record));
    } catch (error) {
      if (error instanceof TimeoutError && error.ms === own) this.released.add(error);
      throw error;
    }
  }

  settled({ supervise, s, children, times, body, result }: Record_): void {
    if (s === undefined) {
      this.check(
        isKilled(result.error) || result.error instanceof TimeoutError,
        "only a killed task may not open a scope",
      );
      return;
    }
    this.check(children.every((child) => child.ready), "no child outlives its scope");
    this.check(s.size === 0, "a settled scope has no children");
    // One that was itself killed as a daemon passes that on to all of its children.
    this.check(
      "error" in result ||
        children.every(({ daemon, error }) => daemon || !`${error}`.includes("Daemon was killed")),
      "only daemons are killed because the others have ended",
    );
    const failed = children.filter(({ state }) => state === "failed").map(({ error }) => error);
    const bodyErrors = body.real === true ? [body.error] : [];
    this.check(
      same(s.errors, [...failed, ...bodyErrors]),
      `errors are all real errors: ${s.errors} but ${failed} and ${bodyErrors}`,
    );
    const ticks = s.errors.map((error) => times.get(error) ?? NaN);
    this.check(
      ticks.every((tick, i) => i === 0 || tick >= ticks[i - 1]!),
      `errors are in the order of time: ${ticks}`,
    );
    const deciding = supervise ? bodyErrors : [...s.errors];
    if (deciding.length > 0) {
      this.check(result.error === deciding[0], "the first real error is what it rejects with");
    } else if ("error" in result) {
      this.check(
        isKilled(result.error) || result.error instanceof TimeoutError,
        `without a real error only the reason of a kill is thrown, not ${result.error}`,
      );
      this.check(
        !("error" in body) || body.error === result.error,
        "the body and the scope reject with the same reason",
      );
    } else {
      this.check("value" in body && result.value === body.value, "else the body's value is given");
    }
  }

  /** What the hooks must have been told: every error of every scope but the one it threw. */
  toTell(): unknown[] {
    return this.scopes.flatMap(({ s, result }) => {
      const errors = [...s?.errors ?? []];
      const thrown = errors.indexOf(result.error);
      if (thrown >= 0) errors.splice(thrown, 1);
      return errors;
    });
  }
}

function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  const left = [...b];
  for (const one of a) {
    const at = left.indexOf(one);
    if (at < 0) return false;
    left.splice(at, 1);
  }
  return left.length === 0;
}

async function play({ tree, killAt }: Program): Promise<void> {
  const world = new World();
  using time = world.time;
  using _hook = onUnhandled((error) => world.told.push(error));
  const top = spawn(() => world.run(tree));
  const end = top.join();
  for (let now = 0; !top.ready; now++) {
    assert(now < 1000, "it ends when killed");
    await idle();
    if (now === killAt || now > LONGEST) void top.kill();
    await idle();
    if (!top.ready) time.advance(1);
  }
  await end;
  await idle();
  assertEquals(world.wrong, []);
  assertEquals(world.running, 0, "every body and every child has run to its end");
  assert(same(world.told, world.toTell()), "later errors are told, once each, and nothing else");
  assertEquals([liveWaiters(), time.size], [0, 0], "nothing is left parked");
  const { error } = world.scopes[0]!.result;
  assertEquals(
    top.state,
    !("error" in world.scopes[0]!.result) ? "succeeded" : world.isReal(error) ? "failed" : "killed",
  );
}

test("scope() keeps its rules in random trees of scopes, children, limits and kills", async () => {
  await fc.assert(fc.asyncProperty(program, play), { seed: SEED, numRuns: RUNS });
});
