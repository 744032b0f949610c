// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Proof 8: virtual time against a model, in random programs.
 *
 * @module
 */

// The model is a list of buckets, one for each millisecond, worked off in order: all that is due fires,
// in the order in which it was set, before what one of them lets go on sets or ends another.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { Channel } from "../../src/channel.ts";
import { TimeoutError } from "../../src/errors.ts";
import { select } from "../../src/select.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import { virtualTime } from "../../src/testing/virtual_time.ts";
import { after, every } from "../../src/timer.ts";
import { until } from "../../src/until.ts";
import { seeded } from "../../tests/seeded.ts";
import type { ProofOptions } from "../prove.ts";

export const promise =
  "8. Virtual time moves only when all are parked, to the next deadline, in order; a year takes no time; what is left at the end is listed";

const HOUR = 3_600_000;
const YEAR = 8760 * HOUR;
const TIMERS = 10_000;

/** A timer: which kind of wait, how long, what it sets when it fires, which one it cancels then. */
interface Plan {
  readonly id: number;
  readonly kind: number;
  readonly ms: number;
  readonly then: readonly Plan[];
  readonly cancels: number;
}

/** Does it. */
export async function prove(
  { seed, long, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const end = performance.now() + budgetMs * (long ? 0.9 : 0.6);
  const counts = { programs: 0, timers: 0, cancelled: 0, "virtual years": 0, leftovers: 0 };
  const began = performance.now();
  await aYear();
  counts["virtual years"]++;
  report(`a year, hour by hour, in ${Math.round(performance.now() - began)} ms`);
  for (let round = 0; round === 0 || performance.now() < end; round++) {
    const own = seed + round;
    try {
      counts.cancelled += await againstModel(own);
      counts.leftovers += await leavesSome(own);
      await heldByHost(own);
    } catch (error) {
      report(`the program of seed ${own} (round ${round}) breaks the promise`);
      throw error;
    }
    counts.programs++;
    counts.timers += TIMERS;
  }
  assertEquals(liveWaiters(), 0);
  return counts;
}

/** Hourly ticks, and a sleeper that wakes each day, for a year. */
async function aYear(): Promise<void> {
  await virtualTime(async (time) => {
    const days = spawn(async () => {
      for (let day = 1; day <= 365; day++) {
        await sleep(24 * HOUR);
        assertEquals(time.now, day * 24 * HOUR);
      }
    });
    using hourly = every(HOUR);
    let hours = 0;
    for await (const ticks of hourly) {
      assertEquals([ticks, time.now], [1, ++hours * HOUR]);
      if (hours === 8760) break;
    }
    await days;
    assertEquals(time.now, YEAR);
  });
}

/** Ten thousand timers of all kinds, that set and cancel each other. Gives how many were cancelled. */
async function againstModel(seed: number): Promise<number> {
  const { roots, all } = plansOf(seed);
  const controllers = all.map(() => new AbortController());
  const seen: string[] = [];
  await virtualTime(async (time) => {
    const quiet = new Channel<never>();
    const wait = async ({ kind, ms, id }: Plan): Promise<boolean> => {
      const { signal } = controllers[id]!;
      try {
        if (kind === 0) await sleep(ms, { signal });
        else if (kind === 1) await quiet.receive({ timeout: ms, signal });
        else await select({ quiet, late: after(ms) }, { signal });
      } catch (error) {
        if (!(error instanceof TimeoutError)) return false;
      }
      return true;
    };
    const run = async (plan: Plan): Promise<void> => {
      if (!await wait(plan)) return;
      seen.push(`${plan.id} at ${time.now}`);
      controllers[plan.cancels]?.abort();
      await Promise.all(plan.then.map(run));
    };
    await Promise.all(roots.map(run));
  }, { maxMoves: Infinity });
  const expected = modelOf(roots, all);
  // Ordered by kind, since a select takes some microtasks more to go on than a sleep.
  for (const kind of [0, 1, 2]) {
    const of = (lines: string[]) => lines.filter((line) => all[parseInt(line)]!.kind === kind);
    assertEquals(of(seen), of(expected), `timers of kind ${kind} with seed ${seed}`);
  }
  assertEquals(seen.map(timeOf), expected.map(timeOf));
  return TIMERS - expected.length;
}

function timeOf(line: string): string {
  return line.slice(line.indexOf(" at "));
}

function plansOf(seed: number): { roots: Plan[]; all: Plan[] } {
  const random = seeded(seed);
  const pick = (n: number): number => Math.floor(random() * n);
  const all: Plan[] = [];
  const make = (depth: number): Plan => {
    const then: Plan[] = [];
    // Few times, so that many timers share one deadline.
    const kind = pick(3), ms = 1 + pick(depth === 0 ? 2000 : 50);
    const cancels = random() < 0.1 ? pick(TIMERS) : -1;
    const plan: Plan = { id: all.length, kind, ms, then, cancels };
    all.push(plan);
    for (let i = pick(4); i > 1 && depth < 4 && all.length < TIMERS; i--) {
      then.push(make(depth + 1));
    }
    return plan;
  };
  const roots: Plan[] = [];
  while (all.length < TIMERS) roots.push(make(0));
  return { roots, all };
}

function modelOf(roots: readonly Plan[], all: readonly Plan[]): string[] {
  const buckets: Plan[][] = [];
  const cancelled = new Set<number>();
  const seen: string[] = [];
  const set = (plan: Plan, now: number): void => void (buckets[now + plan.ms] ??= []).push(plan);
  for (const plan of roots) set(plan, 0);
  for (let time = 0; time < buckets.length; time++) {
    const due = (buckets[time] ?? []).filter(({ id }) => !cancelled.has(id));
    for (const { id, then, cancels } of due) {
      seen.push(`${id} at ${time}`);
      if (all[cancels] !== undefined) cancelled.add(cancels);
      for (const plan of then) if (!cancelled.has(plan.id)) set(plan, time);
    }
  }
  return seen;
}

/** Tasks of which some are left; the error must name just these. Gives how many. */
async function leavesSome(seed: number): Promise<number> {
  const random = seeded(seed);
  const left = new Set<string>();
  const ended = new Set<string>();
  const ch = new Channel<string>();
  const error = await assertRejects(() =>
    virtualTime(async () => {
      for (let i = 0; i < 20; i++) {
        const ms = 1 + Math.floor(random() * 100);
        (ms > 50 ? left : ended).add(`task ${i}`);
        const body = random() < 0.5
          ? () => sleep(ms)
          : () => ch.receive({ timeout: ms }).catch(() => {});
        spawn({ name: `task ${i}` }, body);
      }
      left.add("the last");
      spawn({ name: "the last" }, () => ch.receive());
      await sleep(50);
    }), Error);
  for (const name of left) {
    assert(error.message.includes(`Task "${name}" (#`), `${name} is missing`);
  }
  for (const name of ended) {
    assert(!error.message.includes(`Task "${name}" (#`), `${name} is listed`);
  }
  assertEquals(liveWaiters(), 0, "what was left is not killed");
  return left.size;
}

/** A wait on the host, of real time, during which the clock stands still. */
async function heldByHost(seed: number): Promise<void> {
  const random = seeded(seed);
  await virtualTime(async (time) => {
    const sleeper = spawn(() => sleep(1 + random() * 100));
    for (let i = 0; i < 3; i++) {
      await until(new Promise<void>((resolve) => setTimeout(resolve, random() * 3)));
      assertEquals([time.now, sleeper.ready], [0, false]);
    }
    await sleeper;
  });
}
