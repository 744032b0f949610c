// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Runs a small concurrent program under every order in which its waits can end, and says how to repeat
 * the one that fails.
 *
 * @module
 */

// Invariants
//  1. One exploration at a time, and in it one run at a time: they listen to the hooks of the library.
//  2. All that is random comes from the seed: the same seed tries the same schedules on every runtime.
//  3. A schedule counts as tried when its run was made; those of shrinking do not count.

import { currentContext } from "../_kernel/current.ts";
import {
  codeOf,
  type Replay,
  replayFromEnvironment,
  replayOf,
  VARIABLE,
} from "./_explore/replay.ts";
import { randomOf } from "./_explore/random.ts";
import {
  type ExploreRun,
  type FailureKind,
  type Fault,
  Run,
  type RunResult,
  type RunRules,
} from "./_explore/run.ts";
import {
  AtRandom,
  Decisions,
  DepthFirst,
  FewSwitchesFirst,
  type Search,
} from "./_explore/schedule.ts";
import { shrink } from "./_explore/shrink.ts";

export type { ExploreRun, Fault };

/** How many runs may be spent on a schedule with fewer switches. */
const SHRINKS = 1000;
/** How often it is judged whether the tree is small enough for a depth-first search. */
const JUDGEMENTS = 20;
/** By how much the tree may look larger than it must be: the estimate is rough. */
const ROUGH = 4;
/** How many steps are listed. */
const LISTED = 200;

/** Options of {@linkcode explore}. */
export interface ExploreOptions {
  /** How many schedules are tried at most: an integer >= 1. @default {10_000} */
  maxSchedules?: number | undefined;
  /** Where all that is random comes from: an integer from 0 to 2^32 - 1. @default {1} */
  seed?: number | undefined;
  /** After how many steps a run has failed because it goes on for ever: an integer >= 1. @default {10_000} */
  maxSteps?: number | undefined;
  /**
   * How many tasks may be killed in one run, each at any step: an integer >= 0; `true` is 1. Only tasks
   * that the program spawned.
   *
   * @default {false}
   */
  kills?: boolean | number | undefined;
  /**
   * What may happen once in a run, at any step, or never. For what is made in the run itself there is
   * {@linkcode ExploreRun.fault}.
   *
   * @default {[]}
   */
  faults?: Iterable<Fault> | undefined;
  /**
   * When the clock moves to the next deadline: only when nothing else can go on, or at any step.
   *
   * @default {"idle"}
   */
  timers?: "idle" | "any" | undefined;
  /** Runs only the schedule of this code, from an {@linkcode ExploreError}. */
  replay?: string | undefined;
}

/** What an exploration has tried. */
export interface Explored {
  /** How many schedules. */
  readonly schedules: number;
  /** Whether that was all there are. */
  readonly exhaustive: boolean;
  /** How many steps all of them took together. */
  readonly steps: number;
  /** The seed. */
  readonly seed: number;
  /** How many steps the longest took. */
  readonly deepest: number;
  /** A hash of all steps of all schedules: equal if the same was tried, on whatever runtime. */
  readonly trace: number;
}

/**
 * Says that a schedule made the program fail, and how to run it again. The message has a line
 * `BAOZI_REPLAY=…`: with it in the environment the same test runs just that schedule, the steps of
 * which follow it. `cause` is the error that was met.
 *
 * @example From the error to the one schedule
 * ```ts
 * import { Channel, spawn } from "@baozi/baozi";
 * import { explore, ExploreError } from "@baozi/baozi/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * async function program() {
 *   const ch = new Channel<string>({ name: "ch" });
 *   const senders = ["a", "b"].map((name) => spawn({ name }, () => ch.send(name)));
 *   await ch.receive(); // and nobody receives from "b"
 *   await senders[0];
 * }
 * const failed = await assertRejects(() => explore(program), ExploreError) as ExploreError;
 * assertEquals(failed.steps[0], 'begin Task "a" (#1)');
 * await assertRejects(() => explore(program, { replay: failed.replay }), ExploreError);
 * ```
 */
export class ExploreError extends Error {
  /** The code of the schedule; what follows `BAOZI_REPLAY=` in the message. */
  readonly replay: string;
  /** The steps of the schedule, in words. */
  readonly steps: readonly string[];
  /** How many schedules were tried. */
  readonly schedules: number;

  /** Creates the error. */
  constructor(
    message: string,
    options: ErrorOptions & { replay: string; steps: readonly string[]; schedules: number },
  ) {
    super(message, options);
    this.name = "ExploreError";
    this.replay = options.replay;
    this.steps = options.steps;
    this.schedules = options.schedules;
  }
}

let exploring = false;

/**
 * Runs `program` again and again, each time from scratch and in another order, until all orders were
 * tried, or `maxSchedules`, or one failed. The program is built of tasks, channels and the other words of
 * this library, and asserts what must hold. At each step one wait ends whose time has come, or one body
 * begins; which one is the schedule's choice, and so is which of its ready cases a `select` takes. Every
 * order is tried that the library allows: tasks begin in the order of their spawns, and who gave up its
 * turn by `sleep(0)` goes on after what could go on then. What need not wait goes on in the same step;
 * {@linkcode ExploreRun.turn} makes a step of it.
 *
 * The search is depth first, and exhaustive if the tree of schedules is small enough. If it is not, then
 * half of the schedules are those with the fewest switches away from the natural order, and half are
 * random.
 *
 * Inside, time is virtual: it moves to the next deadline when nothing else can go on. `Math.random` gives
 * the same numbers in every run. The program must take nothing else from outside: not the time of day, no
 * real I/O, no state of a former run.
 *
 * A run fails if the program rejects; if it ends and leaves a task or a wait behind; if nothing can go on
 * (a `DeadlockError` that says who waits for what); if it takes more than `maxSteps`; and if an error is
 * reported that nobody caught. What fails is made shorter: the nearest to the natural order that fails
 * in the same way is reported. Tasks from before the call go on as if nothing were.
 *
 * @param program What to run. What it gives is dropped.
 * @throws {ExploreError} If a schedule makes the program fail.
 * @throws {TypeError} If an argument has the wrong type, or an exploration is under way.
 * @throws {RangeError} If a number of the options is out of its range.
 * @throws {Error} If the program does not do the same whenever the schedule is the same.
 *
 * @example A lost update
 * ```ts
 * import { joinAll, Mutex, sleep, spawn } from "@baozi/baozi";
 * import { explore } from "@baozi/baozi/testing";
 * import { assert, assertEquals, assertRejects } from "@std/assert";
 *
 * async function program(lock?: Mutex) {
 *   let balance = 0;
 *   const deposit = async () => {
 *     using _held = await lock?.acquire();
 *     const before = balance;
 *     await sleep(1);
 *     balance = before + 1;
 *   };
 *   await joinAll([spawn(deposit), spawn(deposit)], { raiseError: true });
 *   assertEquals(balance, 2);
 * }
 * await assertRejects(() => explore(() => program()), Error, "BAOZI_REPLAY=");
 * const { exhaustive } = await explore(() => program(new Mutex()));
 * assert(exhaustive);
 * ```
 *
 * @see https://www.microsoft.com/en-us/research/project/chess-find-and-reproduce-heisenbugs-in-concurrent-programs/
 */
export async function explore(
  program: (run: ExploreRun) => unknown,
  options: ExploreOptions = {},
): Promise<Explored> {
  if (typeof program !== "function") {
    throw new TypeError(`Cannot explore: program must be a function, got ${typeof program}`);
  }
  const plan = check(options);
  if (exploring) {
    throw new TypeError("Cannot explore: no other exploration must be under way, one is");
  }
  exploring = true;
  try {
    return await new Exploration(program, plan).go();
  } finally {
    exploring = false;
  }
}

interface Plan {
  readonly maxSchedules: number;
  readonly rules: RunRules;
  readonly replay: Replay | undefined;
}

/** A run that was made. */
interface Attempt extends RunResult {
  readonly decisions: Decisions;
  readonly kind: FailureKind | undefined;
  /** Its steps, if it failed. */
  readonly texts: readonly string[];
}

class Exploration {
  readonly #program: (run: ExploreRun) => unknown;
  readonly #plan: Plan;
  readonly #caller = currentContext();
  #schedules = 0;
  #steps = 0;
  #deepest = 0;
  #trace = 0x811c9dc5;

  constructor(program: (run: ExploreRun) => unknown, plan: Plan) {
    this.#program = program;
    this.#plan = plan;
  }

  async go(): Promise<Explored> {
    const { replay } = this.#plan;
    if (replay !== undefined) {
      await this.#replay(replay);
      return this.#explored(false);
    }
    const code = replayFromEnvironment();
    if (code !== undefined && await this.#replay(replayOf(code), true)) {
      return this.#explored(false);
    }
    return this.#explored(await this.#all());
  }

  /** Runs one schedule. One that is only `perhaps` of this program counts if its trace is the same. */
  async #replay({ seed, trace, path }: Replay, perhaps = false): Promise<boolean> {
    const attempt = await this.#attempt(new Decisions(path), seed);
    if (perhaps && attempt.trace !== trace) return false;
    this.#count(attempt);
    if (attempt.failure !== undefined) throw this.#error(attempt, seed);
    return true;
  }

  /** Tries schedules until there are no more, or enough; whether there are no more. */
  async #all(): Promise<boolean> {
    const { maxSchedules, rules } = this.#plan;
    const depthFirst = new DepthFirst();
    const every = Math.max(1, Math.floor(maxSchedules / JUDGEMENTS));
    while (this.#schedules < maxSchedules) {
      if (!await this.#try(depthFirst)) return true;
      if (this.#schedules % every !== 0 || depthFirst.behind === 0) continue;
      if (this.#schedules / depthFirst.behind > ROUGH * maxSchedules) break;
    }
    const few = new FewSwitchesFirst(Math.ceil((maxSchedules - this.#schedules) / 2));
    const random = new AtRandom(randomOf(rules.seed));
    while (this.#schedules < maxSchedules) {
      if (!await this.#try(few)) return true;
      if (this.#schedules < maxSchedules) await this.#try(random);
    }
    return depthFirst.next() === undefined;
  }

  /** Tries the next schedule of `search`; `false` if there is none. */
  async #try(search: Search): Promise<boolean> {
    const decisions = search.next();
    if (decisions === undefined) return false;
    const attempt = await this.#attempt(decisions);
    this.#count(attempt);
    if (attempt.failure === undefined) {
      search.ran(decisions);
      return true;
    }
    const shortest = await shrink(attempt, (shorter) => this.#attempt(shorter), SHRINKS);
    throw this.#error(shortest, this.#plan.rules.seed);
  }

  async #attempt(decisions: Decisions, seed: number = this.#plan.rules.seed): Promise<Attempt> {
    if (this.#caller?.cancelled === true) throw this.#caller.reason;
    const run = new Run({ ...this.#plan.rules, seed }, decisions);
    try {
      const result = await run.play(this.#program);
      const { failure } = result;
      const texts = failure === undefined ? [] : run.describe();
      return { ...result, decisions, kind: failure?.kind, texts };
    } finally {
      await run.close();
    }
  }

  #count({ steps, trace }: RunResult): void {
    this.#schedules++;
    this.#steps += steps;
    this.#deepest = Math.max(this.#deepest, steps);
    this.#trace = Math.imul(this.#trace ^ trace, 0x01000193);
    this.#trace = (this.#trace ^ (this.#trace >>> 15)) >>> 0;
  }

  #explored(exhaustive: boolean): Explored {
    return {
      schedules: this.#schedules,
      exhaustive,
      steps: this.#steps,
      seed: this.#plan.rules.seed,
      deepest: this.#deepest,
      trace: this.#trace >>> 0,
    };
  }

  #error({ failure, decisions, trace, texts }: Attempt, seed: number): ExploreError {
    const { error } = failure!;
    const code = codeOf({ seed, trace, path: decisions.path });
    const schedules = this.#schedules;
    const listed = texts.slice(0, LISTED).map((text, i) => `${i + 1}. ${text}`);
    if (texts.length > LISTED) listed.push(`and ${texts.length - LISTED} more`);
    const message = [
      `Cannot pass schedule ${schedules}: ${firstLine(error)}`,
      `${VARIABLE}=${code}`,
      `seed ${seed}, ${counted(decisions.switches, "switch", "switches")}, ${
        counted(texts.length, "step", "steps")
      }:`,
      ...listed,
    ].join("\n");
    return new ExploreError(message, { cause: error, replay: code, steps: texts, schedules });
  }
}

function check(options: ExploreOptions): Plan {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot explore: options must be an object, got ${String(options)}`);
  }
  const { maxSchedules = 10_000, seed = 1, maxSteps = 10_000, kills = false, faults = [] } =
    options;
  const { timers = "idle", replay } = options;
  checkInteger("maxSchedules", maxSchedules, 1, Number.MAX_SAFE_INTEGER);
  checkInteger("maxSteps", maxSteps, 1, Number.MAX_SAFE_INTEGER);
  checkInteger("seed", seed, 0, 2 ** 32 - 1);
  const most = typeof kills === "boolean" ? Number(kills) : kills;
  checkInteger("kills", most, 0, Number.MAX_SAFE_INTEGER);
  if (timers !== "idle" && timers !== "any") {
    throw new TypeError(
      `Cannot explore: timers must be "idle" or "any", got ${JSON.stringify(timers)}`,
    );
  }
  const rules = { seed, kills: most, faults: [...faults], anyTime: timers === "any", maxSteps };
  return { maxSchedules, rules, replay: replay === undefined ? undefined : replayOf(replay) };
}

function checkInteger(name: string, value: unknown, least: number, most: number): void {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot explore: ${name} must be a number, got ${typeof value}`);
  }
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(
    `Cannot explore: ${name} must be an integer >= ${least}${
      most === Number.MAX_SAFE_INTEGER ? "" : ` and <= ${most}`
    }, got ${value}`,
  );
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function firstLine(error: unknown): string {
  return String(error).split("\n", 1)[0]!;
}
