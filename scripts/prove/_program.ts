// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Small programs over one channel: all of a size, or random ones; how to run them; and where each of
 * their values is in the end.
 *
 * @module
 */

// What a program does at one step is known before it runs, and never depends on a value: so the state of
// a run can be told in full (its tasks, its waits, the channel inside, the ledger), and two runs that
// come to the same state need not both go on. The inside of the channel is read off the kernel's lists
// and rings, so that a bug in there makes a state of its own.

import { clock } from "../../src/_kernel/clock.ts";
import { Ring } from "../../src/_kernel/ring.ts";
import { WaitList } from "../../src/_kernel/wait_list.ts";
import { Waiter } from "../../src/_kernel/waiter.ts";
import { Channel } from "../../src/channel.ts";
import { ChannelClosedError } from "../../src/errors.ts";
import { joinAll } from "../../src/join.ts";
import { select } from "../../src/select.ts";
import { spawn } from "../../src/spawn.ts";
import { killTask, type Task } from "../../src/task.ts";
import type { ExploreRun } from "../../src/testing/explore.ts";

/** What a task can do in one step. `timeout` is a send or a receive with a limit, by turns. */
export const OPERATIONS = [
  "send",
  "receive",
  "trySend",
  "tryReceive",
  "select",
  "close",
  "cancel",
  "kill",
  "timeout",
] as const;

/** One of {@linkcode OPERATIONS}. */
export type Operation = typeof OPERATIONS[number];

/** Those in which it matters which of the tasks does them. */
const ORDERED: ReadonlySet<Operation> = new Set<Operation>(["kill", "timeout"]);

/** The steps of each task, and the capacity of the channel between them. */
export interface Program {
  readonly capacity: number;
  readonly tasks: ReadonlyArray<readonly Operation[]>;
}

/** How a program reads: `capacity 1: send receive | close`. */
export function textOf({ capacity, tasks }: Program): string {
  return `capacity ${capacity}: ${tasks.map((steps) => steps.join(" ")).join(" | ")}`;
}

/**
 * The programs of `tasks` tasks with `steps` steps each, at one capacity; those that differ only in the
 * order of the tasks count once, unless one of them kills or has a limit: whom it kills, and whether it
 * sends or receives, depends on that order.
 */
export function* programsOf(tasks: number, steps: number, capacity: number): Generator<Program> {
  const bodies = OPERATIONS.length ** steps;
  const chosen = new Array<number>(tasks).fill(0);
  for (;;) {
    const program = { capacity, tasks: chosen.map((body) => bodyOf(body, steps)) };
    const sorted = chosen.every((body, i) => i === 0 || chosen[i - 1]! <= body);
    if (sorted || program.tasks.some((body) => body.some((step) => ORDERED.has(step)))) {
      yield program;
    }
    let at = tasks - 1;
    while (at >= 0 && chosen[at] === bodies - 1) chosen[at--] = 0;
    if (at < 0) return;
    chosen[at]!++;
  }
}

/** How many {@linkcode programsOf} gives. */
export function countOf(tasks: number, steps: number): number {
  const all = OPERATIONS.length ** steps, calm = (OPERATIONS.length - ORDERED.size) ** steps;
  // Multisets of calm bodies, and all tuples with one that is not.
  let multisets = 1;
  for (let i = 0; i < tasks; i++) multisets = multisets * (calm + i) / (i + 1);
  return Math.round(multisets) + all ** tasks - calm ** tasks;
}

/** A program of 1 to `tasks` tasks with 1 to `steps` steps. */
export function randomProgram(random: () => number, tasks: number, steps: number): Program {
  const below = (most: number): number => Math.floor(random() * most);
  return {
    capacity: below(3),
    tasks: Array.from(
      { length: 1 + below(tasks) },
      () => Array.from({ length: 1 + below(steps) }, () => OPERATIONS[below(OPERATIONS.length)]!),
    ),
  };
}

function bodyOf(number: number, steps: number): Operation[] {
  return Array.from({ length: steps }, () => {
    const operation = OPERATIONS[number % OPERATIONS.length]!;
    number = Math.floor(number / OPERATIONS.length);
    return operation;
  });
}

/** Where a value is, as far as its sender and its receivers know. */
interface Account {
  /** What became of the send: under way, done, or the value stayed with its sender. */
  sent: "pending" | "yes" | "no";
  received: number;
  undelivered: number;
}

/** What a task is at. */
interface Progress {
  steps: number;
  /** What the operation under way can do: a select does both. */
  sends: boolean;
  receives: boolean;
  /** When the limit of the operation under way is over. */
  deadline: number;
  /** How the operation under way has ended, while the task does not know yet. */
  outcome: string;
}

/** Told of each operation, for histories. */
export interface Listener {
  /** Returns what to call at the end, with what came of it. */
  began(task: number, operation: string, value: string | undefined): (result: Result) => void;
}

/** What came of an operation. */
export type Result =
  | { readonly kind: "sent" | "full" | "empty" | "closed" | "cancelled" }
  | { readonly kind: "received"; readonly value: string };

/** A channel as far as these programs use one. */
export type ChannelLike = Pick<
  Channel<string>,
  "send" | "receive" | "trySend" | "tryReceive" | "close" | "cancel" | "closed" | "size"
>;

/** One run of a program. */
export class ProgramRun {
  readonly #program: Program;
  readonly #accounts: Map<string, Account> = new Map();
  readonly #progress: Progress[];
  readonly #channel: Channel<string>;
  #tasks: Task[] = [];

  constructor(program: Program) {
    this.#program = program;
    this.#progress = program.tasks.map(() => ({
      steps: 0,
      sends: false,
      receives: false,
      deadline: 0,
      outcome: "",
    }));
    lists.clear();
    ring = undefined;
    acting = -1;
    progress = this.#progress;
    this.#channel = new Channel<string>({
      capacity: program.capacity,
      onUndelivered: (value) => this.#account(value).undelivered++,
    });
    watched = this.#channel;
  }

  /** @throws {Error} If a value is lost or doubled, or one waits who need not. */
  async go(run: ExploreRun): Promise<void> {
    this.#tasks = this.#program.tasks.map((steps, i) =>
      spawn({ name: "abc"[i] }, () => this.#body(run, steps, i))
    );
    await run.idle();
    this.#checkRest();
    this.#channel.cancel();
    await joinAll(this.#tasks, { raiseError: true });
    this.#checkEnd();
  }

  /** All that can have to do with what is still to come. */
  get state(): string {
    const now = clock.on.now();
    const tasks = this.#progress.map(({ steps, deadline, outcome }) =>
      `${steps}${outcome}${deadline > now ? `+${deadline - now}` : ""}`
    );
    const accounts = [...this.#accounts].map(([value, { sent, received, undelivered }]) =>
      `${value}${sent[0]}${received}${undelivered}`
    ).sort();
    const waiting = [...lists].map((list) => {
      let text = list.verb;
      for (let waiter = list.first; waiter !== null; waiter = waiter.next) {
        text += ` ${actors.get(waiter)}${typeof waiter.payload === "string" ? waiter.payload : ""}`;
      }
      return text;
    });
    const buffer: string[] = [];
    for (let i = 0; ring !== undefined && i < ring.size; i++) {
      buffer.push(String(ring.slots[(ring.head + i) & ring.mask]));
    }
    const { closed } = this.#channel;
    return `${tasks} ${accounts} ${waiting.sort()} ${buffer} ${closed}`;
  }

  async #body(run: ExploreRun, steps: readonly Operation[], task: number): Promise<void> {
    const own = this.#progress[task]!;
    for (const [i, operation] of steps.entries()) {
      // Who goes on after a wait has a step of its own already. A killed task goes on all the same: none
      // of what it does may have an effect but try.
      if (own.outcome === "") await run.turn().catch(() => {});
      own.outcome = "";
      acting = task;
      try {
        await this.#perform(operation, task, i);
      } finally {
        own.steps = i + 1;
        own.deadline = 0;
        own.sends = false;
        own.receives = false;
      }
    }
  }

  async #perform(operation: Operation, task: number, step: number): Promise<void> {
    const channel = this.#channel, own = this.#progress[task]!;
    const value = `${"abc"[task]}${step}`;
    switch (operation) {
      case "send":
        own.sends = true;
        return await this.#sending(task, value, () => channel.send(value));
      case "receive":
        own.receives = true;
        return await this.#receiving(task, () => channel.receive());
      case "trySend":
        this.#account(value).sent = channel.trySend(value) ? "yes" : "no";
        return;
      case "tryReceive": {
        const got = channel.tryReceive();
        if (got.state === "ok") this.#account(got.value).received++;
        return;
      }
      case "select": {
        own.sends = true;
        own.receives = true;
        const account = this.#account(value), { aborted } = this.#tasks[task]!.signal;
        try {
          const got = await select({ in: channel, out: channel.sending(value) });
          account.sent = got.key === "out" ? "yes" : "no";
          if (got.key === "in" && !got.done) this.#account(got.value).received++;
          checkAlive(aborted);
        } catch (error) {
          account.sent = "no";
          checkError(error, value);
        }
        return;
      }
      case "close":
        channel.close();
        return;
      case "cancel":
        channel.cancel();
        return;
      case "kill":
        // kill() without its wait for the end, which nobody would wait for.
        killTask(this.#tasks[(task + 1) % this.#tasks.length]!, undefined);
        return;
      case "timeout":
        own.deadline = clock.on.now() + 1;
        own.sends = (task + step) % 2 === 0;
        own.receives = !own.sends;
        return own.sends
          ? await this.#sending(task, value, () => channel.send(value, { timeout: 1 }))
          : await this.#receiving(task, () => channel.receive({ timeout: 1 }));
    }
  }

  async #sending(task: number, value: string, send: () => Promise<void>): Promise<void> {
    const account = this.#account(value), { aborted } = this.#tasks[task]!.signal;
    try {
      await send();
      account.sent = "yes";
      checkAlive(aborted);
    } catch (error) {
      account.sent = "no";
      checkError(error, value);
    }
  }

  async #receiving(task: number, receive: () => Promise<string>): Promise<void> {
    const { aborted } = this.#tasks[task]!.signal;
    try {
      this.#account(await receive()).received++;
      checkAlive(aborted);
    } catch (error) {
      checkError(error, undefined);
    }
  }

  #account(value: string): Account {
    let account = this.#accounts.get(value);
    if (account === undefined) {
      this.#accounts.set(value, account = { sent: "pending", received: 0, undelivered: 0 });
    }
    return account;
  }

  /** Nothing can go on: those who wait must have nobody to meet. */
  #checkRest(): void {
    const { size, closed, capacity } = this.#channel;
    const waiting = this.#progress.filter((task) => task.sends || task.receives);
    if (size > capacity) throw new Violation(`${size} values are in a buffer of ${capacity}`);
    if (closed && waiting.length > 0) throw new Violation("somebody waits on a closed channel");
    for (const one of waiting) {
      if (one.receives && size > 0) throw new Violation("a receive waits while there is a value");
      if (one.sends && size < capacity) throw new Violation("a send waits while there is room");
      if (one.sends && waiting.some((other) => other !== one && other.receives)) {
        throw new Violation("a send and a receive wait for each other");
      }
    }
  }

  /** Nothing is under way any more: each value is in exactly one place. */
  #checkEnd(): void {
    for (const [value, { sent, received, undelivered }] of this.#accounts) {
      const places = received + undelivered + (sent === "no" ? 1 : 0);
      if (places === 1 && sent !== "pending") continue;
      throw new Violation(
        `value ${value} is in ${places} places: sent ${sent}, received ${received} times, undelivered ${undelivered} times`,
      );
    }
  }
}

/** In a task that was killed before, nothing that may wait does anything. */
function checkAlive(killed: boolean): void {
  if (killed) throw new Violation("a killed task has sent or received");
}

/** A send that fails because of a close brings its value back, a receive brings none. */
function checkError(error: unknown, value: string | undefined): void {
  if (error instanceof Violation) throw error;
  if (error instanceof ChannelClosedError && error.value !== value) {
    throw new Violation(`the error brings back ${error.value} instead of ${value}`);
  }
}

/** What must not be. */
class Violation extends Error {}

// What the present run looks at inside the library.
let watched: object | undefined;
let acting = -1;
let progress: Progress[] = [];
let ring: Ring<unknown> | undefined;
const lists = new Set<WaitList>();
const actors = new WeakMap<Waiter, number>();

const { push } = WaitList.prototype, pushRing = Ring.prototype.push;
const { settle, fail } = Waiter.prototype;
WaitList.prototype.push = function (waiter): void {
  if (this.owner === watched) lists.add(this);
  if (this.verb !== "take turn" && this.verb !== "join") actors.set(waiter, acting);
  push.call(this, waiter);
};
Ring.prototype.push = function (value): void {
  if (typeof value === "string") ring = this;
  pushRing.call(this, value);
};
Waiter.prototype.settle = function (value): void {
  note(this, "=", value);
  settle.call(this, value);
};
Waiter.prototype.fail = function (error): void {
  note(this, "-", (error as Error).name);
  fail.call(this, error);
};

function note(waiter: Waiter, kind: string, value: unknown): void {
  const actor = actors.get(waiter);
  if (actor === undefined || waiter.group !== null || !progress[actor]) return;
  progress[actor].outcome = kind + (typeof value === "object" ? JSON.stringify(value) : value);
}
