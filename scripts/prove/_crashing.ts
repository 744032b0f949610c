// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * The module of workers that crash on purpose, and write down what they did where a crash cannot
 * reach it: in memory that they share with whoever called them.
 *
 * @module
 */

// Only the files that it needs: most of the time of the proof is threads that start.

import type { Receiver, Sender } from "../../src/channel.ts";
import { ChannelClosedError } from "../../src/errors.ts";
import { sleep } from "../../src/sleep.ts";
import { serve } from "../../src/workers/serve.ts";
import { Random } from "./_random.ts";

/** How a worker ends: by itself, by an error that nobody catches, or not in time, so that it is ended. */
export type Way = "exit" | "throw" | "reject" | "spin";

/** What one call is to do. */
export interface Job {
  /** Its number, from 0, in {@linkcode Ledger.calls}. */
  readonly id: number;
  /** How many values it takes, gives, or both. */
  readonly count: number;
  /** At which step the worker crashes, and how; never if missing. */
  readonly crash?: { readonly step: number; readonly way: Way };
  /** Chooses all else. */
  readonly seed: number;
  readonly ledger: Ledger;
}

/** What happened, in memory that is shared. */
export interface Ledger {
  /** Of each call: how often it began, how many values it began to send, how many were sent. */
  readonly calls: Int32Array;
  /** Of each value from home: how often a worker got it. */
  readonly taken: Int32Array;
}

/** Cells of a call in {@linkcode Ledger.calls}. */
export const CELLS = 3;
/** Values of a call are its number times this, and then in turn. */
export const PER_CALL = 1000;

/** Much longer than it takes to be killed. */
const SPIN_MS = 500;

/** Takes values. */
export async function take(job: Job, input: Receiver<number>): Promise<number> {
  const work = new Work(job);
  for (let n = 0; n < job.count; n++) {
    await work.step();
    if (await work.receive(input) === undefined) break;
  }
  return job.id;
}

/** Sends values. */
export async function give(job: Job, output: Sender<number>): Promise<number> {
  const work = new Work(job);
  for (let n = 0; n < job.count; n++) {
    await work.step();
    await work.send(output, n);
  }
  return job.id;
}

/** Takes values, and sends one for each. */
export async function pass(
  job: Job,
  input: Receiver<number>,
  output: Sender<number>,
): Promise<number> {
  const work = new Work(job);
  for (let n = 0; n < job.count; n++) {
    await work.step();
    if (await work.receive(input) === undefined) break;
    await work.send(output, n);
  }
  return job.id;
}

/** Yields values. */
export async function* flow(job: Job): AsyncGenerator<number, number> {
  const work = new Work(job);
  for (let n = 0; n < job.count; n++) {
    await work.step();
    yield work.begin(n);
    work.done(n);
  }
  return job.id;
}

/** Has no channel. */
export async function rest(job: Job): Promise<number> {
  const work = new Work(job);
  for (let n = 0; n < job.count; n++) await work.step();
  return job.id;
}

/** One job, as it goes on. */
class Work {
  readonly #job: Job;
  readonly #random: Random;
  #steps = 0;

  constructor(job: Job) {
    this.#job = job;
    this.#random = new Random(job.seed);
    Atomics.add(job.ledger.calls, job.id * CELLS, 1);
  }

  /** Crashes if it is time; else gives up its turn now and then. */
  async step(): Promise<void> {
    const { crash } = this.#job;
    if (this.#steps++ === crash?.step) blowUp(crash.way);
    if (this.#random.chance(0.3)) await sleep(this.#random.below(2));
  }

  async receive(input: Receiver<number>): Promise<number | undefined> {
    if (this.#random.chance(0.5)) {
      const got = input.tryReceive();
      if (got.state === "ok") return this.#got(got.value);
    }
    try {
      return this.#got(await input.receive());
    } catch (error) {
      if (error instanceof ChannelClosedError) return undefined;
      throw error;
    }
  }

  async send(output: Sender<number>, n: number): Promise<void> {
    const value = this.begin(n);
    if (!this.#random.chance(0.5) || !output.trySend(value)) await output.send(value);
    this.done(n);
  }

  /** The value is about to be sent. */
  begin(n: number): number {
    const { id, ledger } = this.#job;
    Atomics.store(ledger.calls, id * CELLS + 1, n + 1);
    return id * PER_CALL + n;
  }

  /** The value was sent. */
  done(n: number): void {
    const { id, ledger } = this.#job;
    Atomics.store(ledger.calls, id * CELLS + 2, n + 1);
  }

  #got(value: number): number {
    Atomics.add(this.#job.ledger.taken, value, 1);
    return value;
  }
}

function blowUp(way: Way): void {
  switch (way) {
    case "exit":
      return (globalThis as unknown as { process: { exit(code: number): never } }).process.exit(3);
    // The two below go on until the host has seen it, as real ones do. No error: its stack would be printed.
    case "throw":
      setTimeout(() => {
        throw "on purpose";
      }, 0);
      return;
    case "reject":
      void Promise.reject("on purpose");
      return;
    case "spin": {
      // Not for ever: Deno takes such a thread for ended, and lets it compute on.
      const end = performance.now() + SPIN_MS;
      while (performance.now() < end);
    }
  }
}

serve({ take, give, pass, flow, rest });
