// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Proof 2: a channel is a queue, first in, first out, whoever uses it at the same time.
 *
 * @module
 */

import { Channel, ChannelClosedError, joinAll, select, spawn } from "../../mod.ts";
import { explore, type ExploreRun } from "../../src/testing/explore.ts";
import type { ProofOptions } from "../prove.ts";
import { type Call, linearize, textOfCalls } from "./_linear.ts";
import { BUGS, ModelChannel } from "./_model_channel.ts";
import { Random } from "./_random.ts";

export const promise =
  "2. The history of a channel is linearizable to a first-in-first-out queue of its capacity";

/** What a wrong model is tried with at most; most are seen at once. */
const MOST_PROGRAMS = 5_000;
/** How many schedules of one program. */
const SCHEDULES = 24;

const PLAIN = ["send", "receive", "trySend", "tryReceive", "send", "receive", "close"] as const;
/** What the model cannot do; a `late` one has a limit of time, a `select` does either. */
const MORE = [...PLAIN, "late send", "late receive", "select", "select", "cancel"] as const;

type Step = typeof MORE[number];
type Tried =
  & Pick<Channel<string>, "send" | "receive" | "trySend" | "tryReceive" | "close">
  & Partial<Pick<Channel<string>, "cancel">>;

export async function prove(
  { seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const began = performance.now();
  const random = new Random(seed);
  const counts = { programs: 0, histories: 0, calls: 0 };
  const check = async (
    steps: readonly Step[],
    make: (capacity: number) => Tried,
    kills: boolean,
  ): Promise<void> => {
    const capacity = random.below(4);
    const tasks = Array.from(
      { length: 2 + random.below(2) },
      () => Array.from({ length: 1 + random.below(4) }, () => random.pick(steps)),
    );
    const program = async (run: ExploreRun): Promise<void> => {
      const calls = await historyOf(run, tasks, make(capacity));
      counts.histories++;
      counts.calls += calls.length;
      if (linearize(calls, capacity) !== undefined) return;
      throw new Error(`no queue of capacity ${capacity} does this:\n${textOfCalls(calls)}`);
    };
    counts.programs++;
    await explore(program, {
      maxSchedules: SCHEDULES,
      seed: random.below(2 ** 32),
      kills,
      timers: "any",
    });
  };

  for (const bug of BUGS) {
    const before = counts.programs;
    let seen = false;
    while (!seen && counts.programs - before < MOST_PROGRAMS) {
      await check(PLAIN, (capacity) => new ModelChannel(capacity, bug), false).catch((error) => {
        if (!String(error).includes("no queue of capacity")) throw error;
        seen = true;
      });
    }
    if (!seen) throw new Error(`the checker does not see that ${bug}`);
    report(`rejected after ${counts.programs - before} programs: ${bug}`);
  }
  const model = performance.now();
  const wrong = counts.programs;
  while (performance.now() - model < (budgetMs - (model - began)) / 5) {
    await check(PLAIN, (capacity) => new ModelChannel(capacity, undefined), false);
  }
  report(`the right model passes ${counts.programs - wrong} programs`);

  Object.assign(counts, { programs: 0, histories: 0, calls: 0 });
  while (performance.now() - began < budgetMs) {
    await check(MORE, (capacity) => new Channel<string>({ capacity }), true);
  }
  return { ...counts, "wrong models rejected": BUGS.length };
}

/** Runs the tasks and gives what they called. Values are distinct. */
async function historyOf(
  run: ExploreRun,
  tasks: ReadonlyArray<readonly Step[]>,
  channel: Tried,
): Promise<Call[]> {
  const calls: Call[] = [];
  let time = 0;
  /** Notes a call whose `end` says what came of it. */
  const call = async (
    task: number,
    verb: Call["verb"],
    value: string | undefined,
    go: () => Promise<Partial<Call>> | Partial<Call>,
  ): Promise<void> => {
    const at = calls.length;
    const begun: Call = { task, verb, result: "waiting", began: ++time, ended: Infinity };
    calls.push(value === undefined ? begun : { ...begun, value });
    let end: Partial<Call>;
    try {
      end = await go();
    } catch (error) {
      end = { result: error instanceof ChannelClosedError ? "closed" : "cancelled" };
    }
    calls[at] = { ...calls[at]!, ...end, ended: ++time };
  };
  const step = async (what: Step, task: number, value: string): Promise<void> => {
    const limit = what.startsWith("late") ? { timeout: 1 } : undefined;
    switch (what) {
      case "send":
      case "late send":
        return await call(task, "send", value, async () => {
          await channel.send(value, limit);
          return { result: "done" };
        });
      case "receive":
      case "late receive":
        return await call(task, "receive", undefined, async () => {
          const got = await channel.receive(limit);
          return { result: "done", value: got };
        });
      case "trySend":
        return await call(task, "send", value, () => ({
          result: channel.trySend(value) ? "done" : "full",
        }));
      case "tryReceive":
        return await call(task, "receive", undefined, () => {
          const got = channel.tryReceive();
          return got.state === "ok" ? { result: "done", value: got.value } : { result: got.state };
        });
      case "close":
      case "cancel":
        return await call(task, what, undefined, () => {
          channel[what]!();
          return { result: "done" };
        });
      case "select":
        return await selecting(task, value);
    }
  };
  /** A select is two calls of which one at most takes effect. */
  const selecting = async (task: number, value: string): Promise<void> => {
    const both = channel as Channel<string>;
    const sent = calls.length, began = ++time;
    calls.push({ task, verb: "send", value, result: "waiting", began, ended: Infinity });
    calls.push({ task, verb: "receive", result: "waiting", began, ended: Infinity });
    const end = (sending: Partial<Call>, receiving: Partial<Call>): void => {
      time++;
      calls[sent] = { ...calls[sent]!, ...sending, ended: time };
      calls[sent + 1] = { ...calls[sent + 1]!, ...receiving, ended: time };
    };
    try {
      const got = await select({ in: both, out: both.sending(value) });
      const lost: Partial<Call> = { result: "cancelled" };
      if (got.key === "out") end({ result: "done" }, lost);
      else end(lost, got.done ? { result: "closed" } : { result: "done", value: got.value });
    } catch (error) {
      const closed = error instanceof ChannelClosedError;
      end({ result: closed ? "closed" : "cancelled" }, { result: "cancelled" });
    }
  };
  const running = tasks.map((steps, task) =>
    spawn(async () => {
      for (const [i, what] of steps.entries()) {
        await run.turn();
        await step(what, task, `${"abc"[task]}${i}`);
      }
    })
  );
  await run.idle();
  const history = calls.slice();
  channel.close();
  for (const task of running) await task.kill();
  await joinAll(running);
  return history;
}
