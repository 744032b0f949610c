// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Proof 11: random trees of scopes, children, limits and shields, with kills at random times, held
 * against the rules of structured concurrency.
 *
 * @module
 */

// What is watched, and not computed: a full model of the order of ends would be a second library.
// Every rule is about one scope or one wait, so a tree of them needs no more.

import { clock } from "../../src/_kernel/clock.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import {
  dump,
  isKilled,
  onUnhandled,
  type Scope,
  scope,
  shield,
  sleep,
  spawn,
  type Task,
  TimeoutError,
  withTimeout,
} from "../../mod.ts";
import { idle } from "../../tests/idle.ts";
import { ManualClock } from "../../tests/manual_clock.ts";
import type { ProofOptions } from "../prove.ts";
import { Random } from "./_random.ts";
import { Shuffle } from "./_shuffle.ts";

/** The wording of RELIABILITY.md. */
export const promise =
  "11. Structured scopes: no child outlives its scope, the first real error wins, kills are level-triggered, shields hold";

const DEEPEST = 4;
const MOST_NODES = 40;
/** Virtual milliseconds: no tree lasts so long when it is killed. */
const LONGEST = 2_000;

/** Runs trees until the budget is spent. */
export async function prove(
  { seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const counts = {
    trees: 0,
    scopes: 0,
    children: 0,
    "real errors": 0,
    "scopes that rejected with one": 0,
    "waits in killed code": 0,
    "waits behind shields": 0,
  };
  const end = performance.now() + budgetMs;
  for (let at = seed; performance.now() < end; at++) {
    const world = new World(at);
    await world.run();
    if (world.wrong.length > 0) {
      throw new Error(`Cannot hold promise 11 with --seed ${at}: ${world.wrong.join("; ")}`);
    }
    counts.trees++;
    counts.scopes += world.scopes;
    counts.children += world.children;
    counts["real errors"] += world.errors;
    counts["scopes that rejected with one"] += world.rejected;
    counts["waits in killed code"] += world.dead;
    counts["waits behind shields"] += world.shielded;
  }
  report(`${counts.trees} trees`);
  return counts;
}

/** An error of the program itself. */
class RealError extends Error {}

/** One random tree. */
class World {
  readonly wrong: string[] = [];
  scopes = 0;
  children = 0;
  errors = 0;
  rejected = 0;
  dead = 0;
  shielded = 0;
  #nodes = 0;
  #running = 0;
  readonly #tasks: Task[] = [];
  readonly #open: Scope[] = [];
  /** Scopes that were killed one by one: out of them comes a kill that is none of the task's. */
  readonly #killed: Set<Scope> = new Set();
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  async run(): Promise<void> {
    const waiters = liveWaiters();
    using time = new ManualClock();
    const told = new Set<unknown>();
    using _told = onUnhandled((error) => {
      if (told.has(error)) this.wrong.push(`told twice: ${error}`);
      told.add(error);
    });
    {
      using _order = this.#random.chance(0.5) ? new Shuffle(this.#random) : undefined;
      const top = spawn(() => this.#body(0));
      const ended = top.join();
      const killAt = this.#random.chance(0.6) ? this.#random.below(30) : 60;
      for (let now = 0; !top.ready && now < LONGEST; now++) {
        if (now === killAt) void top.kill();
        else if (this.#random.chance(0.05)) this.#killAny();
        await idle();
        if (!top.ready) time.advance(1);
      }
      if (top.ready) await ended;
      else this.wrong.push(`does not end: ${dump()}`);
      if (top.state === "killed" && clock.on.now() < killAt && !isKilled(top.error)) {
        this.wrong.push(`killed without a kill: ${top.error}`);
      }
      await idle();
    }
    if (this.wrong.length > 0) return time.advance(2 ** 40);
    if (this.#running > 0) this.wrong.push(`${this.#running} bodies have not ended`);
    if (liveWaiters() !== waiters) this.wrong.push(`waits are left: ${dump()}`);
    if (time.size > 0) this.wrong.push("timers are left");
    if (this.wrong.length > 0) time.advance(2 ** 40);
  }

  #killAny(): void {
    if (this.#random.chance(0.5)) {
      const open = this.#open.at(this.#random.below(this.#open.length + 1));
      if (open !== undefined) this.#killed.add(open);
      open?.kill(this.#random.chance(0.3) ? new Error("reason") : undefined);
    } else {
      const task = this.#tasks.filter(({ ready }) => !ready).at(0);
      if (task !== undefined) void task.kill();
    }
  }

  /** What a child, the body of a scope, or the whole program does. */
  async #body(depth: number): Promise<void> {
    this.#running++;
    try {
      for (let n = 1 + this.#random.below(4); n > 0; n--) await this.#step(depth);
    } finally {
      if (this.#random.chance(0.3)) await this.#shield();
      this.#running--;
    }
  }

  async #step(depth: number): Promise<void> {
    const random = this.#random;
    const leaf = depth >= DEEPEST || this.#nodes >= MOST_NODES;
    switch (random.below(leaf ? 5 : 9)) {
      case 0:
      case 1:
        return await this.#wait(random.below(6));
      case 2:
        return await this.#wait(0);
      case 3:
        return await this.#shield();
      case 4:
        if (random.chance(0.5)) return;
        this.errors++;
        throw new RealError(`error ${this.errors}`);
      case 5: {
        // What a limit rejects with, when it is not its own, goes on.
        const ms = random.below(8);
        return await withTimeout(ms, () => this.#body(depth + 1)).catch((error) => {
          if (!(error instanceof TimeoutError && error.ms === ms)) throw error;
        });
      }
      default:
        return await this.#scope(depth);
    }
  }

  /** A wait; if it is ended by a kill or a limit, the next one must be so too, at once. */
  async #wait(ms: number): Promise<void> {
    try {
      await sleep(ms);
    } catch (error) {
      this.dead++;
      const began = clock.on.now();
      const again = await sleep(ms + 1).then(() => undefined, (reason) => ({ reason }));
      if (again === undefined) this.wrong.push("a wait of killed code goes on: level is lost");
      else if (again.reason !== error) this.wrong.push("the reason of a kill changes");
      if (clock.on.now() !== began) this.wrong.push("a wait of killed code takes its time");
      throw error;
    }
  }

  /** Nothing from outside may end a wait behind it. */
  async #shield(): Promise<void> {
    const ms = this.#random.below(3);
    const began = clock.on.now();
    await shield(async () => {
      this.shielded++;
      try {
        await sleep(ms);
      } catch (error) {
        this.wrong.push(`a shield lets a kill through: ${error}`);
      }
    });
    if (clock.on.now() - began < ms) this.wrong.push("a wait behind a shield is cut short");
  }

  async #scope(depth: number): Promise<void> {
    this.#nodes++;
    const random = this.#random;
    const supervise = random.chance(0.2);
    const quiet = random.chance(0.6);
    const children: Task[] = [];
    /** Each real error of a child or the body, and when it came out of it. */
    const own = new Map<unknown, number>();
    let s: Scope | undefined;
    let began = false;
    let bodyEnded = false;
    const note = (error: unknown): void => {
      if (error instanceof RealError) own.set(error, clock.on.now());
    };
    const child = async (): Promise<void> => {
      try {
        await this.#body(depth + 1);
      } catch (error) {
        note(error);
        throw error;
      }
    };
    const run = scope(async (opened) => {
      s = opened;
      began = true;
      this.scopes++;
      this.#open.push(opened);
      try {
        for (let n = random.below(4); n > 0; n--) {
          if (random.chance(0.2)) await this.#wait(1);
          const daemon = random.chance(0.2);
          children.push(opened.spawn({ daemon }, child));
          this.children++;
        }
        this.#tasks.push(...children.filter(() => random.chance(0.3)));
        if (random.chance(0.1)) {
          this.#killed.add(opened);
          opened.kill();
        }
        if (random.chance(0.7)) await this.#body(depth + 1);
      } catch (error) {
        note(error);
        throw error;
      } finally {
        bodyEnded = true;
      }
    }, { supervise });
    const result = await run.then(() => ({}), (error: unknown) => ({ error }));
    if (!began || s === undefined) return this.#pass(result, false);
    this.#open.splice(this.#open.indexOf(s), 1);
    if (!bodyEnded) this.wrong.push("a scope ends before its body");
    if (children.some(({ ready }) => !ready) || s.size > 0) {
      this.wrong.push("a child outlives its scope");
    }
    const failures = children.filter(({ state }) => state === "failed").map(({ error }) => error);
    if (failures.some((error) => !s!.errors.includes(error))) {
      this.wrong.push("an error of a child is not in errors");
    }
    const error = "error" in result ? result.error : undefined;
    if (error instanceof RealError) {
      this.rejected++;
      const at = own.get(error), earliest = Math.min(...own.values());
      if (at === undefined) this.wrong.push("a scope rejects with the error of another");
      else if (!supervise && at > earliest) this.wrong.push("a later error wins");
      if (!supervise && s.errors[0] !== error) this.wrong.push("the first of errors did not win");
    } else if (!supervise && own.size > 0) {
      this.wrong.push(`${error ?? "success"} outranks a real error`);
    }
    if (supervise && failures.includes(error)) {
      this.wrong.push("a supervised child fails its scope");
    }
    if (this.#killed.has(s) && !(error instanceof RealError)) return;
    this.#pass(result, quiet);
  }

  /** Real errors are swallowed now and then, so that trees live on; all else goes up. */
  #pass(result: { error?: unknown }, quiet: boolean): void {
    if (!("error" in result)) return;
    if (quiet && result.error instanceof RealError) return;
    throw result.error;
  }
}
