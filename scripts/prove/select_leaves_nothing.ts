// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Proof 3: a select takes one case, and the others leave nothing behind.
 *
 * @module
 */

import {
  after,
  Channel,
  Deferred,
  Event,
  every,
  joinAll,
  Mutex,
  Queue,
  select,
  type SelectSource,
  Semaphore,
  sleep,
  spawn,
  trySelect,
  withTimeout,
} from "../../mod.ts";
import { clock } from "../../src/_kernel/clock.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { idle } from "../../tests/idle.ts";
import { enlisted } from "../../tests/enlisted.ts";
import { countListeners } from "../../tests/listeners.ts";
import { ManualClock } from "../../tests/manual_clock.ts";
import type { ProofOptions } from "../prove.ts";
import { Random } from "./_random.ts";

export const promise =
  "3. A select commits one case; the others leave no waiter, timer or listener, however it ends";

/** How many selects wait at the same time. */
const AT_ONCE = 64;
/** After how many rounds the heap is looked at. */
const ROUNDS = 100;
const LONG_SELECTS = 1_000_000;
/** What the heap may grow by from the first half of the samples to the second, in bytes. */
const SLACK = 512 * 1024;

declare const gc: (() => void) | undefined;

export async function prove(
  { long, seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const began = performance.now();
  const random = new Random(seed);
  const counts = { selects: 0, committed: 0, aborted: 0, "timed out": 0, killed: 0, refused: 0 };
  const heap: number[] = [];
  const time = new ManualClock();
  const ground = new Ground();
  const more = (): boolean =>
    long
      ? counts.selects < LONG_SELECTS || performance.now() - began < budgetMs
      : performance.now() - began < budgetMs;

  for (let round = 1; more() || heap.length < 4; round++) {
    await oneRound(ground, random, time, counts);
    if (round % ROUNDS !== 0 || typeof gc === "undefined") continue;
    await new Promise((resolve) => setTimeout(resolve));
    gc();
    heap.push(Deno.memoryUsage().heapUsed);
  }
  checkHeap(heap);
  time[Symbol.dispose]();
  report(
    heap.length === 0
      ? "the heap was not looked at: gc() is not exposed"
      : `heap ${kibibytes(heap[1]!)} KiB at first, ${kibibytes(heap.at(-1)!)} KiB at last`,
  );
  return counts;
}

/** Things that live as long as the program, and never get ready but for a moment. */
class Ground {
  readonly channels: Channel<number>[] = [0, 1, 2].map((capacity) => new Channel({ capacity }));
  readonly event: Event = new Event();
  readonly deferred: Deferred<number> = new Deferred();
  readonly semaphore: Semaphore = new Semaphore(0);
  readonly mutex: Mutex = new Mutex();
  readonly queue: Queue<number> = new Queue(1);
  readonly foreign: Promise<never> = new Promise(() => {});
  readonly ticker = every(1000);
  readonly task = spawn(() => this.foreign);

  case(random: Random): SelectSource {
    const channel = random.pick(this.channels);
    switch (random.below(11)) {
      case 0:
      case 1:
        return channel;
      case 2:
        return channel.sending(random.below(100));
      case 3:
        return after(random.pick([5, 50, Infinity]));
      case 4:
        return this.event;
      case 5:
        return this.deferred;
      case 6:
        return random.chance(0.5) ? this.semaphore : this.mutex;
      case 7:
        return this.queue;
      case 8:
        return this.foreign;
      case 9:
        return this.ticker;
      default:
        return random.chance(0.5) ? this.task : null;
    }
  }

  /** Lets a few things become ready, as happens. */
  stir(random: Random): void {
    for (let i = random.below(4); i > 0; i--) {
      const channel = random.pick(this.channels);
      if (random.chance(0.5)) channel.trySend(i);
      else channel.tryReceive();
      if (random.chance(0.2)) {
        this.event.set();
        this.event.clear();
      }
      if (random.chance(0.2)) this.queue.tryPut(1);
    }
  }
}

async function oneRound(
  ground: Ground,
  random: Random,
  time: ManualClock,
  counts: Record<"selects" | "committed" | "aborted" | "timed out" | "killed" | "refused", number>,
): Promise<void> {
  await idle();
  const before = { live: liveWaiters(), enlisted: enlisted(), timers: clock.on.size };
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  const reason = new Error("aborted");

  const tasks = Array.from({ length: AT_ONCE }, () => {
    const cases = Array.from({ length: 1 + random.below(5) }, () => ground.case(random));
    const options = random.pick([{}, { timeout: 7 }, { signal: controller.signal }, {
      signal: controller.signal,
      timeout: 20,
    }]);
    const limit = random.chance(0.2) ? 10 : Infinity;
    return spawn(async () => {
      counts.selects++;
      if (random.chance(0.1)) trySelect(cases, { random: random.next });
      try {
        const { value } = await withTimeout(
          limit,
          () => select(cases, { ...options, random: random.next }),
        );
        // A permit goes back, so that the next one can be acquired.
        (value as { release?(): void } | undefined)?.release?.();
        counts.committed++;
      } catch (error) {
        const { name } = error as Error;
        if (error === reason) counts.aborted++;
        else if (name === "TimeoutError") counts["timed out"]++;
        else if (name === "KilledError") counts.killed++;
        else if (name === "TypeError") counts.refused++;
        else throw error;
      }
    });
  });
  await sleep(0);
  for (const task of tasks) if (random.chance(0.3)) void task.kill();
  ground.stir(random);
  await idle();
  time.advance(random.pick([1, 8, 30]));
  if (random.chance(0.7)) controller.abort(reason);
  ground.stir(random);
  await idle();
  for (const task of tasks) void task.kill();
  await joinAll(tasks);
  await idle();

  const left = {
    waiters: liveWaiters() - before.live,
    "places in lists": enlisted() - before.enlisted,
    timers: clock.on.size - before.timers,
    "abort listeners": listeners.active,
  };
  for (const [what, many] of Object.entries(left)) {
    if (many !== 0) throw new Error(`after ${counts.selects} selects ${many} ${what} are left`);
  }
  for (const task of tasks) if (task.state === "failed") throw task.error;
}

/** Flat: what the later samples take at least is not more than what the earlier ones did. */
function checkHeap(samples: readonly number[]): void {
  // The first one still has what the first rounds compile.
  const steady = samples.slice(1);
  const half = Math.floor(steady.length / 2);
  if (half === 0) return;
  const early = Math.max(...steady.slice(0, half)), late = Math.min(...steady.slice(half));
  if (late - early < SLACK) return;
  throw new Error(`the heap grows: ${steady.map(kibibytes).join(", ")} KiB`);
}

function kibibytes(bytes: number): number {
  return Math.round(bytes / 1024);
}
