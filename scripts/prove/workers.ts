// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Proof 13: what a crash of a worker does to calls and to values on their way.
 *
 * @module
 */

// The seed chooses the pools, the calls and the crashes. When a thread sees them is the host's business, so
// a seed repeats what was tried, and not each step of it.
// What a worker has taken and sent is counted in memory that is shared with it: a crash loses none of that.

import { Worker } from "node:worker_threads";
import { clock } from "../../src/_kernel/clock.ts";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { liveTasks } from "../../src/task.ts";
import {
  Channel,
  dump,
  joinAll,
  KilledError,
  onUnhandled,
  sleep,
  spawn,
  type Task,
} from "../../mod.ts";
import { WorkerCrashed, type WorkerPool, workers } from "../../src/workers/mod.ts";
import { idle } from "../../tests/idle.ts";
import type { ProofOptions } from "../prove.ts";
import type * as crashing from "./_crashing.ts";
import { CELLS, type Job, PER_CALL, type Way } from "./_crashing.ts";
import { Random } from "./_random.ts";

/** The wording of RELIABILITY.md. */
export const promise =
  "13. A worker that crashes fails the calls in it and no other, and none is tried again; no value is doubled, and none is lost that is not told of";

/** Some dozens of crashes; each takes a thread that starts. */
export const shortMs = 10_000;

/** The long form ends with so many, if the time is enough: about a quarter of an hour. */
const CRASHES = 10_000;
const TOLD = 500;
const CALLS = 40;
/** How many values a round sends at most. */
const VALUES = 4096;
/** What a worker is given that spins. */
const GRACE_MS = 20;
/** A round that takes longer hangs. */
const LIMIT_MS = 60_000;
/** Every so-maniest pool survives a few crashes only. */
const LIMITED = 10;
const FEW = 3;

const KINDS = ["take", "give", "pass", "pipe", "flow", "flow", "rest"] as const;
const WAYS: readonly Way[] = ["exit", "throw", "reject"];
const SOURCE = new URL("./_crashing.ts", import.meta.url);

/** Runs rounds until the budget is spent, or there were enough crashes. */
export async function prove(
  { long, seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const counts: Counts = {
    rounds: 0,
    crashes: 0,
    "threads ended after a kill": 0,
    "pools that gave up": 0,
    calls: 0,
    "calls that a crash has failed": 0,
    "values to workers": 0,
    "of them listed in flight": 0,
    "of them taken as well": 0,
    "values from workers": 0,
    "of them gone with their worker": 0,
  };
  const end = performance.now() + budgetMs;
  let told = 0;
  const most = long ? CRASHES : Infinity;
  for (let at = seed; counts.crashes < most && performance.now() < end; at++) {
    const round = new Round(at, counts);
    await round.run();
    if (round.wrong.length > 0) {
      throw new Error(`Cannot crash workers with --seed ${at}: ${round.wrong.join("; ")}`);
    }
    counts.rounds++;
    if (counts.crashes - told >= TOLD) {
      told = counts.crashes;
      report(`${counts.crashes} crashes in ${counts.rounds} rounds`);
    }
  }
  report(`${counts.crashes} crashes in ${counts.rounds} rounds`);
  return counts;
}

type Counts = Record<
  | "rounds"
  | "crashes"
  | "threads ended after a kill"
  | "pools that gave up"
  | "calls"
  | "calls that a crash has failed"
  | "values to workers"
  | "of them listed in flight"
  | "of them taken as well"
  | "values from workers"
  | "of them gone with their worker",
  number
>;

/** One call, and what is known of it. */
interface Call {
  readonly id: number;
  readonly name: string;
  readonly task: Task;
  readonly killed: boolean;
  /** How many of its values may be on their way home. */
  readonly window: number;
  /** Those that came, in turn, and those that nobody took. */
  arrived: number;
  readonly undelivered: Set<number>;
}

/** Where a value from home is. */
interface Account {
  sent: boolean;
  undelivered: number;
  listed: number;
  home: number;
}

/** One pool, the calls into it, and those who send and receive at home. */
class Round {
  readonly wrong: string[] = [];
  readonly #random: Random;
  readonly #counts: Counts;
  readonly #limited: boolean;
  readonly #calls: Call[] = [];
  readonly #accounts: Account[] = [];
  readonly #errors: Map<WorkerCrashed, Call[]> = new Map();
  /** The threads that run; each, once it serves, with what ends it from outside. */
  readonly #threads: Map<Worker, (() => unknown) | undefined> = new Map();
  /** How many the pool has ended. */
  #ended = 0;
  readonly #ledger = {
    calls: new Int32Array(new SharedArrayBuffer(4 * CELLS * (CALLS + 1))),
    taken: new Int32Array(new SharedArrayBuffer(4 * VALUES)),
  };
  /** Shared by all calls that take, and by all that give. */
  readonly #feed: Channel<number>;
  readonly #sink: Channel<number>;
  readonly #window: number;
  readonly #pool: WorkerPool<typeof crashing>;

  constructor(seed: number, counts: Counts) {
    const random = this.#random = new Random(seed);
    this.#counts = counts;
    this.#limited = seed % LIMITED === 0;
    this.#feed = this.#channelTo();
    this.#sink = this.#channelFrom();
    this.#window = random.pick([1, 5, 64]);
    this.#pool = workers<typeof crashing>({
      spawn: () => this.#start(),
      size: 1 + random.below(3),
      concurrency: 1 + random.below(3),
      graceMs: GRACE_MS,
      window: this.#window,
      restarts: { max: this.#limited ? FEW : Number.MAX_SAFE_INTEGER, withinMs: 3_600_000 },
      onUndelivered: (value) => this.#missed(value as number),
    });
  }

  async run(): Promise<void> {
    const waiters = liveWaiters(), timers = clock.on.size;
    const limit = setTimeout(() => {
      const { threads, busy, waiting, restarts } = this.#pool;
      const pool = JSON.stringify({ threads, busy, waiting, restarts });
      console.log(
        `Cannot end round: it must take less than ${LIMIT_MS} ms, got ${pool}\n${dump()}`,
      );
      Deno.exit(1);
    }, LIMIT_MS);
    {
      using _told = onUnhandled((error) => void this.wrong.push(`nobody saw ${error}`));
      const feeding = spawn(() => this.#fill(this.#feed, VALUES >> 1));
      const draining = spawn(() => this.#drain(this.#sink));
      const ending = spawn(() => this.#endSome());
      const users: Task[] = [];
      for (let id = 0; id < CALLS; id++) {
        users.push(spawn(() => this.#use(id)));
        if (this.#random.chance(0.5)) await sleep(this.#random.below(10));
      }
      await joinAll(users, { raiseError: true });
      await ending.kill();
      await this.#checkPool();
      this.#counts["threads ended after a kill"] += this.#ended;
      await feeding.kill();
      this.#takeHome(this.#feed);
      this.#sink.close();
      await draining.join();
      await this.#pool.close();
      await idle();
    }
    clearTimeout(limit);
    this.#checkCalls();
    this.#checkValues();
    const { threads } = this.#pool;
    if (threads !== 0 || this.#threads.size > 0) this.wrong.push(`${threads} threads are left`);
    if (liveTasks().length > 0 || liveWaiters() !== waiters || outsideWaits() !== 0) {
      this.wrong.push(`something is left: ${dump()}`);
    }
    if (clock.on.size !== timers) this.wrong.push(`${clock.on.size - timers} timers are left`);
  }

  #start(): Worker {
    const worker = new Worker(SOURCE, { name: "on purpose" } as object);
    const gone = (): unknown => this.#threads.delete(worker);
    worker.on("error", gone);
    worker.on("exit", gone);
    const terminate = worker.terminate.bind(worker);
    worker.terminate = () => {
      // Here the pool itself ends one that has not crashed.
      if (gone()) this.#ended++;
      return terminate();
    };
    this.#threads.set(worker, undefined);
    // Some before they have even started; but a host that starts slowly must get one through.
    worker.once("message", () => this.#threads.has(worker) && this.#threads.set(worker, terminate));
    if (this.#random.chance(0.03)) setTimeout(terminate, 0);
    return worker;
  }

  /** Ends threads from outside. */
  async #endSome(): Promise<void> {
    for (;;) {
      await sleep(5 + this.#random.below(100));
      const ends = [...this.#threads.values()].filter((end) => end !== undefined);
      if (ends.length > 0) void this.#random.pick(ends)();
    }
  }

  /** Makes one call, and does at home what belongs to it. */
  async #use(id: number): Promise<void> {
    const random = this.#random, { call: calls } = this.#pool;
    const kind = random.pick(KINDS);
    const step = random.below(40);
    const count = 1 + random.below(60);
    // Few that spin: each takes the time of some that end.
    const way = random.chance(0.05) ? "spin" : random.pick(WAYS);
    const crash = random.chance(0.7) ? { step, way } : undefined;
    const job: Job = {
      id,
      count,
      seed: random.below(2 ** 31),
      ledger: this.#ledger,
      ...(crash && { crash }),
    };
    // One that spins must be killed; of the others some are.
    const killed = (crash?.way === "spin" && step < count) || random.chance(0.1);
    const killMs = random.below(30);
    const note = (name: string, task: Task, window: number): Call => {
      // A pool that has failed fails it at once.
      task.link(() => {});
      const call = { id, name, task, killed, window, arrived: 0, undelivered: new Set<number>() };
      this.#calls[id] = call;
      return call;
    };
    switch (kind) {
      case "take":
        return await this.#settle(note(kind, calls.take(job, this.#feed) as Task, 0), killMs);
      case "give": {
        const { capacity } = this.#sink;
        return await this.#settle(
          note(kind, calls.give(job, this.#sink) as Task, capacity),
          killMs,
        );
      }
      case "pass": {
        const task = calls.pass(job, this.#feed, this.#sink) as Task;
        return await this.#settle(note(kind, task, this.#sink.capacity), killMs);
      }
      case "pipe": {
        const input = this.#channelTo(), output = this.#channelFrom();
        const feeding = spawn(() => this.#fill(input, random.below(60)));
        const draining = spawn(() => this.#drain(output));
        const task = calls.pass(job, input, output) as Task;
        await this.#settle(note("pass", task, output.capacity), killMs);
        await feeding.kill();
        this.#takeHome(input);
        output.close();
        await draining.join();
        return;
      }
      case "flow": {
        const stream = calls.flow(job);
        const call = note(kind, stream as Task, Math.ceil(this.#window / 2));
        const reading = this.#read(call, stream, random.chance(0.2) ? random.below(20) : Infinity);
        await this.#settle(call, killMs);
        return await reading;
      }
      case "rest":
        return await this.#settle(note(kind, calls.rest(job) as Task, 0), killMs);
    }
  }

  /** Waits for the end of a call; kills it if that was chosen, a while after it has begun. */
  async #settle(call: Call, killMs: number): Promise<void> {
    const { task, killed, id } = call;
    if (killed) {
      const begun = (): boolean => this.#cell(id, 0) > 0;
      while (!task.ready && !begun()) await sleep(5);
      await task.join({ timeout: killMs });
      await task.kill();
    }
    await task.join();
  }

  async #read(call: Call, stream: AsyncIterable<number>, most: number): Promise<void> {
    try {
      for await (const value of stream) {
        this.#arrive(value);
        if (call.arrived >= most) break;
      }
    } catch (error) {
      // Of a kill the worker may tell first, with its own copy of the reason.
      const killed = call.killed && error instanceof KilledError;
      if (!killed && error !== call.task.error) {
        this.wrong.push(`a reader of ${call.id} got ${error}`);
      }
    }
  }

  /** Sends fresh values, and closes the channel unless it is the one that is shared. */
  async #fill(channel: Channel<number>, most: number): Promise<void> {
    for (let n = 0; n < most && this.#accounts.length < VALUES; n++) {
      const value = this.#accounts.length;
      const account: Account = { sent: false, undelivered: 0, listed: 0, home: 0 };
      this.#accounts.push(account);
      await channel.send(value).then(() => {
        account.sent = true;
      });
      if (this.#random.chance(0.1)) await sleep(this.#random.below(3));
    }
    if (channel !== this.#feed) channel.close();
  }

  async #drain(channel: Channel<number>): Promise<void> {
    for await (const value of channel) {
      this.#arrive(value);
      if (this.#random.chance(0.1)) await sleep(0);
    }
  }

  /** Takes what came back, and what was never fetched. */
  #takeHome(channel: Channel<number>): void {
    for (let got = channel.tryReceive(); got.state === "ok"; got = channel.tryReceive()) {
      this.#accounts[got.value]!.home++;
    }
  }

  #arrive(value: number): void {
    const call = this.#calls[Math.floor(value / PER_CALL)]!;
    if (value % PER_CALL === call.arrived) call.arrived++;
    else this.wrong.push(`call ${call.id} sent ${value % PER_CALL} after ${call.arrived} values`);
  }

  #missed(value: number): void {
    const { id, undelivered } = this.#calls[Math.floor(value / PER_CALL)]!;
    if (undelivered.has(value)) this.wrong.push(`value ${value} of ${id} is undelivered twice`);
    undelivered.add(value);
  }

  #channelTo(): Channel<number> {
    return new Channel<number>({
      capacity: this.#random.pick([1, 3, 64]),
      onUndelivered: (value) => this.#accounts[value]!.undelivered++,
    });
  }

  #channelFrom(): Channel<number> {
    return new Channel<number>({
      capacity: this.#random.pick([1, 3, 64]),
      onUndelivered: (value) => this.#missed(value),
    });
  }

  /** The pool serves one more call, or has failed for a reason. */
  async #checkPool(): Promise<void> {
    const pool = this.#pool, counts = this.#counts;
    const job: Job = { id: CALLS, count: 1, seed: 1, ledger: this.#ledger };
    // A thread that was told to end may take this one with it.
    for (let left = 10;; left--) {
      const last = pool.call.rest(job);
      await last.join();
      if (last.state === "succeeded") break;
      if (left > 0 && !this.#limited && last.error instanceof WorkerCrashed) continue;
      if (!this.#limited || !(last.error instanceof WorkerCrashed) || pool.restarts !== FEW) {
        this.wrong.push(`the pool does not recover: ${last.error}`);
      }
      counts["pools that gave up"]++;
      counts.crashes++;
      break;
    }
    if (this.#limited && pool.restarts > FEW) {
      this.wrong.push(`${pool.restarts} restarts instead of ${FEW} at most`);
    }
    counts.crashes += pool.restarts;
  }

  #checkCalls(): void {
    const counts = this.#counts;
    let cut = 0;
    for (const call of this.#calls) {
      const { id, name, task, arrived, undelivered } = call;
      const [began = 0, first = 0, sent = 0] = [0, 1, 2].map((cell) => this.#cell(id, cell));
      counts.calls++;
      const crashed = task.error instanceof WorkerCrashed;
      if (began > 1) this.wrong.push(`call ${id} began ${began} times`);
      if (!task.ready) this.wrong.push(`call ${id} is ${task.state}`);
      if (task.state === "succeeded" && (task.value !== id || began !== 1)) {
        this.wrong.push(`call ${id} gave ${task.value}`);
      }
      if (task.state === "failed" && !crashed) this.wrong.push(`call ${id}: ${task.error}`);
      if (task.state === "failed" && crashed) {
        counts["calls that a crash has failed"]++;
        const error = task.error as WorkerCrashed;
        const failed = this.#errors.get(error) ?? [];
        this.#errors.set(error, failed);
        const named = error.calls.includes(name) && error.message.includes(name);
        // Who waits when a pool fails gets the last error, and was not in it.
        if (!named && (began > 0 || !this.#limited)) {
          this.wrong.push(`call ${id} of ${name} failed with ${error}`);
        }
        if (named) failed.push(call);
      }
      // One that was killed in the moment of the crash, or did not hear of its kill, went with its thread.
      const lossy = crashed || task.state === "killed";
      const here = arrived + undelivered.size;
      for (const value of undelivered) {
        const n = value % PER_CALL;
        if (n < arrived || n >= here) this.wrong.push(`value ${n} of call ${id} is out of turn`);
      }
      if (here > first) this.wrong.push(`call ${id} began to send ${first}, and ${here} came`);
      if (here < sent && task.state === "killed") cut++;
      if (here < sent - (lossy ? call.window : 0) || (!lossy && here !== sent)) {
        this.wrong.push(`of the ${sent} values of call ${id}, ${task.state}, ${here} came`);
      }
      counts["values from workers"] += Math.max(sent, here);
      counts["of them gone with their worker"] += Math.max(0, sent - here);
    }
    const most = this.#ended + this.#pool.restarts;
    if (cut > most) this.wrong.push(`${cut} killed calls lost values, of ${most} threads`);
    for (const [error, calls] of this.#errors) {
      const killed = this.#calls.some(({ killed }) => killed);
      const more = calls.length > error.calls.length;
      // Those who wait when a pool fails get the last error, too.
      if ((more && !this.#limited) || (calls.length < error.calls.length && !killed)) {
        this.wrong.push(`${calls.length} calls failed with ${error}`);
      }
      for (const value of error.inFlight) this.#accounts[value as number]!.listed++;
    }
  }

  #checkValues(): void {
    const counts = this.#counts;
    const killed = this.#calls.some(({ task }) => task.state === "killed");
    for (const [value, { sent, undelivered, listed, home }] of this.#accounts.entries()) {
      const taken = this.#ledger.taken[value]!;
      const places =
        `sent ${sent}, taken ${taken}, undelivered ${undelivered}, listed ${listed}, home ${home}`;
      const lost = taken + undelivered + home === 0;
      const doubled = taken > 1 || undelivered + home > 1 || (home > 0 && taken > 0);
      // A call that was killed rejects with the reason, and not with what tells of the crash.
      const told = listed === undelivered || (listed === 0 && killed);
      if (sent ? lost || doubled || !told : !lost) this.wrong.push(`value ${value}: ${places}`);
      if (!sent) continue;
      counts["values to workers"]++;
      counts["of them listed in flight"] += undelivered;
      if (taken > 0) counts["of them taken as well"] += undelivered;
    }
  }

  #cell(id: number, cell: number): number {
    return Atomics.load(this.#ledger.calls, id * CELLS + cell);
  }
}
