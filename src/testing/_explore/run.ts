// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * One run of a program in which every wake-up, every begin of a body, every tick of the clock, kill and
 * fault is a step that a schedule decides on.
 *
 * @module
 */

// Invariants
//  1. A step is taken only when all else is quiet: what the former one set free has parked or ended.
//  2. #pool holds what may go on, in natural order: by the step that made it ready, then by the number of
//     its task, then by the order in which the task parked. None of it depends on how many microtasks a
//     promise takes on some engine.
//  3. What the library promises is kept in every schedule: tasks begin in the order of their spawns, and
//     who gave up its turn by sleep(0) goes on after all that could go on then.
//  4. The clock moves only when nothing can go on (or, with "any", as a step to choose).
//  5. Of the run is what was begun by it, as the host carries it through async code. The contexts of the
//     library do not say so much: links and the feed of Channel.from() have none. All that has no task
//     counts as the program itself. Where the host carries nothing (browsers), all is of the run.
//  6. After close() nothing of the run is alive that a kill or the end of a wait can reach.
// Source: CHESS (fair schedules by yields), shuttle and loom (a decision at each step). Dropped: counting
// microtasks instead of waiting for a macrotask (1.1 to 1.5 us on Deno, Bun, Node): code may await any
// number of promises between two waits, so no count is enough.

import {
  Clock,
  clock,
  type Timer,
  type TimerTarget,
  type TimeSource,
} from "../../_kernel/clock.ts";
import { Context, currentContext, ROOT, runIn } from "../../_kernel/current.ts";
import { type Hooks, listen } from "../../_kernel/hooks.ts";
import {
  type AsyncStorage,
  asyncStorage,
  macrotask,
  now,
  rejectUnhandled,
} from "../../_kernel/host.ts";
import { queueSize } from "../../_kernel/run_queue.ts";
import { serveAll } from "../../_kernel/selectable.ts";
import { installUnhandled } from "../../_kernel/unhandled.ts";
import { outsideWaits, WaitList } from "../../_kernel/wait_list.ts";
import { refuse, Waiter } from "../../_kernel/waiter.ts";
import { textOfWaits } from "../../_kernel/waits.ts";
import { findDeadlock } from "../../deadlock.ts";
import { DeadlockError } from "../../errors.ts";
import type { Greenlet } from "../../greenlet.ts";
import { holdTask, killTask, releaseTask, Task } from "../../task.ts";
import { randomOf } from "./random.ts";
import type { Decisions } from "./schedule.ts";

/** How long a run waits for the host when nothing else can go on. */
const HOST_MS = 1000;
/** In how many macrotasks the host may end a wait before the clock moves. */
const HOST_TURNS = 3;
/** After how many rounds of nothing but sleep(0) the clock moves. */
const SPINS = 64;
/** How often the end of a run kills what comes up again and again. */
const CLOSINGS = 100;
/** Makes `select` go over to the case it looks at; the other end of [0, 1) makes it stay. */
const OVER = 0;
const STAY = 1 - 2 ** -32;

const TURNS = new WaitList({ [Symbol.toStringTag]: "turn" }, "take turn");
const PROGRAM = "the program";

const WAKE = 1;
const BEGIN = 2;
const GREENLET = 3;
const CLOCK = 4;
const KILL = 5;
const FAULT = 6;
const CHOICE = 7;
const IDLE = 8;

/** Something that may happen once, at any step. */
export type Fault = readonly [name: string, happen: () => void];

/** What the program is given in each run. */
export interface ExploreRun {
  /** Takes one of `count` options, an integer >= 1: its index. Every one is explored. */
  choose(count: number): number;
  /** Adds something that may happen once from now on, at any step, or never: a channel closes. */
  fault(name: string, happen: () => void): void;
  /**
   * A step of its own: all others may go on first. What need not wait goes on in the same step, so this
   * goes where an `await` of something ready, or of something that is not of this library, lets others in.
   */
  turn(): Promise<void>;
  /** Waits until nothing else can go on, the clock included: what waits now waits for ever. */
  idle(): Promise<void>;
}

/** What holds for every run of one exploration. */
export interface RunRules {
  readonly seed: number;
  readonly kills: number;
  readonly faults: readonly Fault[];
  /** The clock may move while something can go on. */
  readonly anyTime: boolean;
  readonly maxSteps: number;
  /**
   * Asked before each step that is not prescribed: whether all that can follow was seen before, and the
   * run may stop. For programs that can tell the whole of their state.
   */
  readonly seen?: ((run: Run) => boolean) | undefined;
}

/** In which way a run can fail. */
export type FailureKind = "rejected" | "unhandled" | "deadlock" | "livelock" | "left";

/** What a run came to. */
export interface RunResult {
  readonly failure: { readonly kind: FailureKind; readonly error: unknown } | undefined;
  readonly steps: number;
  /** A hash of all steps. */
  readonly trace: number;
}

/** Who runs: a task of the program, or the program itself. */
interface Actor {
  /** 0 is the program; tasks are counted from 1 in the order of the spawns. */
  readonly number: number;
  readonly task: Task | undefined;
  readonly context: Context;
  /** How many waits it has made. */
  waits: number;
}

/** A wait, or a body that is to begin. */
interface Entry {
  readonly kind: typeof WAKE | typeof BEGIN | typeof GREENLET;
  readonly actor: Actor;
  readonly order: number;
  readonly list: WaitList | null;
  readonly name: string;
  /** A sleep(0) whose turn has come. */
  yielded: boolean;
  readyAt: number;
  go: () => void;
}

/** What can be done, or was. */
interface Step {
  readonly kind: number;
  readonly actor: Actor | undefined;
  readonly entry: Entry | undefined;
  /** Time, index of the fault, what was chosen. */
  readonly value: number;
  readonly name: string;
}

/** Says of which run the running code is. */
let storage: AsyncStorage<Run> | undefined;

/** One run; for one call of {@linkcode Run.play}, and then {@linkcode Run.close}. */
export class Run implements TimeSource, ExploreRun {
  readonly decisions: Decisions;
  readonly #rules: RunRules;
  readonly #former: Clock = clock.on;
  readonly #clock: RunClock;
  readonly #program: Actor;
  /** Tasks, also those that have ended: what they left running is still theirs. */
  readonly #actors: Map<Context, Actor> = new Map();
  readonly #live: Set<Actor> = new Set();
  readonly #parked: Map<Waiter, Entry> = new Map();
  readonly #pool: Entry[] = [];
  readonly #faults: Fault[];
  readonly #steps: Step[] = [];
  readonly #stop: Array<() => void> = [];
  readonly #idlers: WaitList = new WaitList({ [Symbol.toStringTag]: "idle" }, "wait until idle");
  readonly #outside: number = outsideWaits();
  /** Failed tasks whose end somebody may still get, until nothing can go on. */
  #held: Task[] = [];
  #now = 0;
  #kills: number;
  #trace = 0x811c9dc5;
  #spins = 0;
  #bodyEnded = false;
  #closing = false;
  #failure: RunResult["failure"] = undefined;

  constructor(rules: RunRules, decisions: Decisions) {
    this.#rules = rules;
    this.decisions = decisions;
    this.#kills = rules.kills;
    this.#faults = [...rules.faults];
    const context = new Context(null);
    context.locals = (currentContext() ?? ROOT).base.locals;
    this.#program = { number: 0, task: undefined, context, waits: 0 };
    storage ??= asyncStorage();
    this.#clock = new RunClock(this, this.#former, () => this.#isHere);
  }

  /** Runs `program` to its end, or to the first failure. */
  async play(program: (run: ExploreRun) => unknown): Promise<RunResult> {
    this.#open();
    this.#enter(async () => await program(this)).then(
      () => {
        this.#bodyEnded = true;
      },
      (error) => {
        this.#bodyEnded = true;
        this.#fail("rejected", error);
      },
    );
    for (;;) {
      await this.#quiet();
      if (this.#failure !== undefined) break;
      const step = await this.#next();
      if (step === null) continue;
      if (step === undefined) break;
      if (this.#steps.length >= this.#rules.maxSteps) {
        this.#livelock();
        break;
      }
      this.#take(step);
    }
    return { failure: this.#failure, steps: this.#steps.length, trace: this.#trace >>> 0 };
  }

  /** Ends what the run has left, and takes its hands off the library. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#failure ??= { kind: "left", error: undefined };
    for (let i = 0; i < CLOSINGS; i++) {
      if (this.#pool.length === 0 && this.#parked.size === 0 && this.#live.size === 0) break;
      const reason = new Error("The run of the explored program is over");
      for (const entry of this.#pool.splice(0)) entry.go();
      for (const { task } of [...this.#live]) killTask(task!, reason);
      this.#program.context.cancel(reason);
      for (const waiter of [...this.#parked.keys()]) waiter.cancel(reason);
      await this.#quiet();
    }
    for (const stop of this.#stop.splice(0).reverse()) stop();
  }

  /** Who waits for what, who may go on, who is killed, and how many kills are left. */
  get state(): string {
    const waits = [
      ...this.#pool.map(({ actor, list }) => `${actor.number}!${list?.verb}`),
      ...[...this.#parked.values()].map(({ actor, list }) => `${actor.number}?${list?.verb}`),
      ...[...this.#live].map(({ number, context }) => `${number}${context.cancelled ? "x" : ""}`),
    ];
    return `${waits.sort().join()} ${this.#kills}`;
  }

  /** The steps that were taken, in words. */
  describe(): string[] {
    return this.#steps.map((step) => this.#textOf(step));
  }

  choose(count: number): number {
    if (!Number.isInteger(count) || count < 1) {
      throw new RangeError(`Cannot choose: count must be an integer >= 1, got ${count}`);
    }
    if (this.#closing) return 0;
    if (this.#steps.length >= this.#rules.maxSteps) throw this.#livelock();
    const value = this.decisions.decide(count);
    this.#note({ kind: CHOICE, actor: undefined, entry: undefined, value, name: String(count) });
    return value;
  }

  fault(name: string, happen: () => void): void {
    this.#faults.push([name, happen]);
  }

  turn(): Promise<void> {
    const refused = refuse("take a turn");
    if (refused !== null) return refused;
    const waiter = new Waiter<void>();
    const turn = waiter.park(TURNS);
    waiter.settle();
    return turn;
  }

  idle(): Promise<void> {
    const refused = refuse("wait until idle");
    return refused !== null ? refused : new Waiter<void>().park(this.#idlers);
  }

  now(): number {
    return this.#now;
  }

  arm(): void {}

  #open(): void {
    const hooks: Hooks = {
      parked: (waiter) => this.#parkedHere(waiter),
      waking: (waiter, wake) => this.#waking(waiter, wake),
      beginning: (context, begin) => this.#beginning(context, begin),
      spawned: (context) => this.#spawned(context),
      finished: (context) => this.#finished(context),
      random: () => !this.#isHere ? random() : this.choose(2) === 0 ? STAY : OVER,
    };
    const { random } = Math;
    this.#stop.push(listen(hooks));
    this.#stop.push(installUnhandled((error, task) => {
      if (task === undefined || this.#actorOfTask(task) !== undefined) {
        this.#fail("unhandled", error);
      } else {
        rejectUnhandled(error);
      }
    }));
    this.#stop.push(() => {
      Math.random = random;
      clock.on = this.#former;
    });
    Math.random = randomOf(this.#rules.seed);
    clock.on = this.#clock;
  }

  /** Waits until nothing runs. All microtasks are done before a macrotask. */
  async #quiet(): Promise<void> {
    do await new Promise<void>(macrotask); while (queueSize() > 0);
  }

  #fail(kind: FailureKind, error: unknown): void {
    this.#failure ??= { kind, error };
  }

  #livelock(): Error {
    const error = new Error(
      `Cannot end the run: it must end within ${this.#rules.maxSteps} steps, it goes on`,
    );
    this.#fail("livelock", error);
    return error;
  }

  /** Whether the running code is of this run. */
  get #isHere(): boolean {
    return storage === undefined || storage.getStore() === this;
  }

  /** Calls `fn` as a part of this run. */
  #enter<R>(fn: () => R): R {
    const inContext = (): R => runIn(this.#program.context, fn);
    return storage === undefined ? inContext() : storage.run(this, inContext);
  }

  /** Who acts in `context`; `null` if it has nothing to do with this run. */
  #actorOf(context: Context | null): Actor | null {
    if (context === null) return this.#program;
    let top = context;
    while (top.parent !== null) top = top.parent;
    return top.task === undefined ? this.#program : this.#actors.get(top) ?? null;
  }

  #actorOfTask(task: unknown): Actor | undefined {
    for (const actor of this.#actors.values()) if (actor.task === task) return actor;
    return undefined;
  }

  #parkedHere(waiter: Waiter): void {
    const actor = this.#isHere ? this.#actorOf(currentContext()) : null;
    if (actor === null) return;
    const entry = this.#entry(WAKE, actor, waiter.list);
    this.#parked.set(waiter, entry);
    if (waiter.list!.verb === "sleep") {
      // Only the run queue calls this: the turn of a sleep(0) has come.
      waiter.run = () => {
        entry.yielded = true;
        Waiter.prototype.run.call(waiter);
      };
    }
  }

  #waking(waiter: Waiter, wake: () => void): void {
    const entry = this.#parked.get(waiter);
    this.#parked.delete(waiter);
    if (entry !== undefined && !this.#closing) {
      // Not by way of the pool: a kill could come in between, and it would not be idle any more.
      return entry.list === this.#idlers ? wake() : this.#ready(entry, wake);
    }
    // Nobody awaits what a program has left behind that has ended: it would be an unhandled rejection.
    if (entry?.actor !== this.#program || !this.#bodyEnded) wake();
  }

  #beginning(context: Context, begin: () => void): void {
    const actor = this.#actors.get(context) ?? (this.#isHere ? this.#actorOf(context) : null);
    if (actor === null || this.#closing) return begin();
    if (actor.context === context) return this.#ready(this.#entry(BEGIN, actor, null), begin);
    const { name } = context.greenlet as Greenlet;
    this.#ready(this.#entry(GREENLET, actor, null, givenName(name, "greenlet-")), begin);
  }

  #spawned(context: Context): void {
    if (!this.#isHere) return;
    const task = context.task as Task;
    const actor: Actor = { number: this.#actors.size + 1, task, context, waits: 0 };
    this.#actors.set(context, actor);
    this.#live.add(actor);
    // Each step is a macrotask of its own, and a failure is judged after one: but in the time of the
    // program none has passed before all that can go on has gone on.
    holdTask(task);
  }

  #finished(context: Context): void {
    const actor = this.#actors.get(context);
    if (actor === undefined) return;
    this.#live.delete(actor);
    if (actor.task!.state === "failed") this.#held.push(actor.task!);
    // One that was killed before it began.
    const at = this.#pool.findIndex((entry) => entry.kind === BEGIN && entry.actor === actor);
    if (at >= 0) this.#pool.splice(at, 1);
  }

  #entry(kind: Entry["kind"], actor: Actor, list: WaitList | null, name = ""): Entry {
    return {
      kind,
      actor,
      order: actor.waits++,
      list,
      name,
      yielded: false,
      readyAt: -1,
      go: NOTHING,
    };
  }

  /** Puts what may go on now into its place. */
  #ready(entry: Entry, go: () => void): void {
    entry.readyAt = this.#steps.length;
    entry.go = go;
    const pool = this.#pool;
    let at = pool.length;
    while (at > 0 && isBefore(entry, pool[at - 1]!)) at--;
    pool.splice(at, 0, entry);
  }

  /** The next step; `null` to look again, `undefined` if there is none. */
  async #next(): Promise<Step | undefined | null> {
    const options = this.#goingOn();
    const time = this.#clock.next;
    const timed = time !== undefined && !this.#bodyEnded;
    if (options.length === 0) {
      if (this.#release()) return null;
      if (!timed && this.#bodyEnded) return this.#end();
      if (await this.#hostHasMore(timed)) return null;
      if (!timed && this.#idlers.first === null) {
        this.#fail("deadlock", this.#deadlock());
        return undefined;
      }
      if (!timed) {
        options.push({ kind: IDLE, actor: undefined, entry: undefined, value: 0, name: "" });
      }
    }
    const spinning = this.#spins > SPINS * this.#pool.length;
    if (timed && (options.length === 0 || spinning || this.#rules.anyTime)) {
      if (spinning) options.length = 0;
      options.push({ kind: CLOCK, actor: undefined, entry: undefined, value: time, name: "" });
    }
    if (this.#kills > 0) {
      for (const actor of this.#live) {
        if (actor.context.cancelled) continue;
        options.push({ kind: KILL, actor, entry: undefined, value: 0, name: "" });
      }
    }
    this.#faults.forEach(([name], value) => {
      options.push({ kind: FAULT, actor: undefined, entry: undefined, value, name });
    });
    if (this.decisions.free && this.#rules.seen?.(this) === true) return undefined;
    return options[this.decisions.decide(options.length)];
  }

  /** What in the pool may be next. */
  #goingOn(): Step[] {
    const steps: Step[] = [];
    let began = false;
    this.#pool.forEach((entry, at) => {
      const { kind, actor, name } = entry;
      if (entry.yielded && at > 0) return;
      if (kind === BEGIN) {
        if (began) return;
        began = true;
      }
      steps.push({ kind, actor, entry, value: entry.order, name });
    });
    return steps;
  }

  /** Lets failures be judged that nobody can get any more; whether there were any. */
  #release(): boolean {
    if (this.#held.length === 0) return false;
    for (const task of this.#held.splice(0)) releaseTask(task);
    return true;
  }

  /** Gives the host time to end a wait; whether it did. */
  async #hostHasMore(timed: boolean): Promise<boolean> {
    if (outsideWaits() <= this.#outside) return false;
    const began = now();
    const idle = (): boolean => this.#pool.length === 0 && this.#failure === undefined;
    for (let turns = 0; idle() && (timed ? turns < HOST_TURNS : now() - began < HOST_MS); turns++) {
      await this.#quiet();
    }
    return !idle();
  }

  #take(step: Step): void {
    this.#note(step);
    this.#enter(() => this.#do(step));
  }

  #do({ kind, actor, entry, value }: Step): void {
    this.#spins = entry?.yielded === true ? this.#spins + 1 : 0;
    if (entry !== undefined) {
      this.#pool.splice(this.#pool.indexOf(entry), 1);
      entry.go();
    } else if (kind === IDLE) {
      serveAll(this.#idlers, undefined);
    } else if (kind === CLOCK) {
      this.#now = value;
      this.#clock.fire();
    } else if (kind === KILL) {
      this.#kills--;
      killTask(actor!.task!, undefined);
    } else {
      const [[, happen]] = this.#faults.splice(value, 1) as [Fault];
      try {
        happen();
      } catch (error) {
        this.#fail("rejected", error);
      }
    }
  }

  /** The body has ended and nothing can go on: is anything left? */
  #end(): undefined {
    const left = this.#left();
    if (left.length === 0 && this.#clock.size > 0) left.push(`timers: ${this.#clock.size}`);
    if (left.length === 0) return;
    this.#fail(
      "left",
      new Error(`Cannot end the run: nothing must be left behind, got ${left.join("; ")}`),
    );
  }

  #deadlock(): DeadlockError {
    const left = this.#left();
    if (!left[0]?.startsWith(PROGRAM)) left.unshift(`${PROGRAM} waits: a promise from elsewhere`);
    const found = findDeadlock(this.#program.context)?.error;
    return new DeadlockError(
      `Cannot go on: somebody must be able to, but all wait: ${left.join("; ")}`,
      // Its numbers of tasks are not those of the run, but it knows the cycle.
      found === undefined ? {} : { cause: found, waits: found.waits },
    );
  }

  /** What is alive, in words. */
  #left(): string[] {
    const left: string[] = [];
    for (const actor of [this.#program, ...this.#live]) {
      const waits = [...this.#parked.values()].filter((entry) => entry.actor === actor);
      if (actor.task === undefined && waits.length === 0) continue;
      const text = waits.map(({ list }) => this.#waitText(list!)).join(", ");
      left.push(`${this.#nameOf(actor)}${text === "" ? "" : ` waits: ${text}`}`);
    }
    return left;
  }

  #note(step: Step): void {
    this.#steps.push(step);
    const { kind, actor, entry, value, name } = step;
    this.#mix(kind);
    this.#mix(actor === undefined ? -1 : actor.number);
    this.#mix(value);
    this.#mixText(name);
    if (entry !== undefined && entry.list !== null) {
      this.#mixText(entry.list.verb);
      this.#mixText(entry.list.owner[Symbol.toStringTag]);
    }
  }

  /** FNV-1a over 32 bits at a time. */
  #mix(value: number): void {
    this.#trace = Math.imul(this.#trace ^ value, 0x01000193);
    this.#trace ^= this.#trace >>> 15;
  }

  #mixText(text: string): void {
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
  }

  #textOf({ kind, actor, entry, value, name }: Step): string {
    switch (kind) {
      case WAKE:
        return `wake ${this.#nameOf(actor!)}: ${this.#waitText(entry!.list!)}`;
      case BEGIN:
        return `begin ${this.#nameOf(actor!)}`;
      case GREENLET:
        return `begin a greenlet${name === "" ? "" : ` ${JSON.stringify(name)}`} of ${
          this.#nameOf(actor!)
        }`;
      case CLOCK:
        return `let time pass to ${value} ms`;
      case IDLE:
        return "see that nothing else can go on";
      case KILL:
        return `kill ${this.#nameOf(actor!)}`;
      case FAULT:
        return `let it happen: ${name}`;
      default:
        return `choose ${value} of 0 to ${Number(name) - 1}`;
    }
  }

  #nameOf({ number, task }: Actor): string {
    if (task === undefined) return PROGRAM;
    const name = givenName(task.name, "task-");
    return `Task ${name === "" ? "" : `${JSON.stringify(name)} `}(#${number})`;
  }

  #waitText({ owner, verb }: WaitList): string {
    const kind = owner[Symbol.toStringTag];
    if (owner instanceof Task) {
      const actor = this.#actorOfTask(owner);
      return `${verb} on ${actor === undefined ? `Task "${owner.name}"` : this.#nameOf(actor)}`;
    }
    const name = givenName(owner.name ?? "", "greenlet-");
    return textOfWaits([{ verb, kind, shielded: false, ...(name === "" ? {} : { name }) }]);
  }
}

/** The clock of a run; for what is not of the run, the one that was there before. */
class RunClock extends Clock {
  readonly #former: Clock;
  readonly #ofRun: () => boolean;

  constructor(source: TimeSource, former: Clock, ofRun: () => boolean) {
    super(source);
    this.#former = former;
    this.#ofRun = ofRun;
  }

  override now(): number {
    return this.#ofRun() ? super.now() : this.#former.now();
  }

  override set(target: TimerTarget, ms: number): Timer {
    return this.#ofRun() ? super.set(target, ms) : this.#former.set(target, ms);
  }
}

const NOTHING = (): void => {};

function isBefore(a: Entry, b: Entry): boolean {
  if (a.readyAt !== b.readyAt) return a.readyAt < b.readyAt;
  if (a.actor !== b.actor) return a.actor.number < b.actor.number;
  return a.order < b.order;
}

/** A name that a user gave: those that count up differ from run to run. */
function givenName(name: string, counted: string): string {
  return name.startsWith(counted) && /^\d+$/.test(name.slice(counted.length)) ? "" : name;
}
