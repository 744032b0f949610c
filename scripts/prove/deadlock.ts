// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * A deadlock names itself: every waiter is listed, the cycle is one, nothing is told while something
 * can still move, and the process says it in the end.
 *
 * @module
 */

// The programs are random: tasks that take locks, join each other and receive, in any order. Who waits
// for whom is written down beside, by the program itself; since each waits for one other at most, a
// cycle is found there by following the pointers, not by the search that is to be proved.

import { idle } from "../../src/testing/idle.ts";
import { stuck } from "../../src/_kernel/waiter.ts";
import { Channel } from "../../src/channel.ts";
import { findDeadlock } from "../../src/deadlock.ts";
import { DeadlockError, type DeadlockWait } from "../../src/errors.ts";
import { killAll } from "../../src/join.ts";
import { type Lock, Mutex } from "../../src/mutex.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import type { Task } from "../../src/task.ts";
import { until } from "../../src/until.ts";
import { seeded } from "../../tests/seeded.ts";
import type { ProofOptions } from "../prove.ts";
import { type Program, runAll } from "./_children.ts";

/** The promise. */
export const promise =
  "6. A deadlock names every waiter, the cycle first, and is never a false alarm";

/** The main program in the notes; tasks are 0, 1, … */
const MAIN = -1;

/** What a random program does, written down by itself. */
interface Notes {
  /** Who holds a lock. */
  readonly holders: Map<Mutex, number>;
  /** For whom somebody waits: a number, `undefined` for nobody in particular. */
  readonly waits: Map<number, () => number | undefined>;
}

/** Runs one program to its rest, checks what is said of it, and ends it. Gives what it was. */
async function once(seed: number): Promise<"ended" | "cycle" | "no cycle"> {
  const next = seeded(seed);
  const upTo = (count: number): number => Math.floor(next() * count);
  const notes: Notes = { holders: new Map(), waits: new Map() };
  const mutexes = Array.from({ length: 1 + upTo(4) }, () => new Mutex());
  const channels = [new Channel<number>(), new Channel<number>({ capacity: 1 })];
  const tasks: Task[] = [];
  const count = 1 + upTo(7);

  const step = async (me: number, locks: Array<[Mutex, Lock]>): Promise<void> => {
    const choice = next();
    const waiting = async <T>(whom: () => number | undefined, wait: Promise<T>): Promise<T> => {
      notes.waits.set(me, whom);
      const value = await wait;
      notes.waits.delete(me);
      return value;
    };
    if (choice < 0.5) {
      const mutex = mutexes[upTo(mutexes.length)]!;
      const lock = await waiting(() => notes.holders.get(mutex), mutex.acquire());
      notes.holders.set(mutex, me);
      locks.push([mutex, lock]);
    } else if (choice < 0.65) {
      const last = locks.pop();
      if (last === undefined) return;
      notes.holders.delete(last[0]);
      last[1].release();
    } else if (choice < 0.8) {
      const whom = upTo(count);
      if (whom !== me) await waiting(() => whom, tasks[whom]!.join());
    } else if (choice < 0.9) await waiting(() => undefined, channels[upTo(2)]!.receive());
    else if (choice < 0.95) channels[upTo(2)]!.trySend(1);
    else await sleep(0);
  };
  const body = async (me: number, steps: number): Promise<void> => {
    const locks: Array<[Mutex, Lock]> = [];
    while (steps-- > 0) await step(me, locks);
    for (const [mutex, lock] of locks.reverse()) {
      notes.holders.delete(mutex);
      lock.release();
    }
  };

  for (let i = 0; i < count; i++) tasks.push(spawn({ name: `t${i}` }, body, i, 1 + upTo(6)));
  let main: "runs" | "done" | unknown = "runs";
  const running = body(MAIN, 1 + upTo(4)).then(() => main = "done", (error) => main = error);
  await idle();

  const found = findDeadlock();
  let kind: "ended" | "cycle" | "no cycle" = "ended";
  if (main === "done") {
    check(found === undefined, "must be silent once the main program has ended", seed);
  } else {
    check(found !== undefined, "must be found", seed);
    const { waits, message } = found!.error;
    check(checkWaiters(waits, notes, tasks), `must list all who wait, got\n${message}`, seed);
    const model = cycleOf(notes);
    const told = waits.filter(({ cycle }) => cycle).map((wait) => numberOf(wait, tasks));
    check(checkCycle(told, model, notes), `must tell the cycle ${model}, got\n${message}`, seed);
    check(
      waits.slice(0, told.length).every(({ cycle }) => cycle),
      `must tell the cycle first, got\n${message}`,
      seed,
    );
    kind = model.length > 0 ? "cycle" : "no cycle";
    await checkSilence(seed, next);
    const parked = tasks.filter(({ ready }) => !ready).length;
    // Each raise ends one wait of the main program; it goes on with the error.
    stuck.on!();
    await running;
    check(main instanceof DeadlockError, "must reject the wait of the main program", seed);
    check(tasks.filter(({ ready }) => !ready).length === parked, "must leave tasks parked", seed);
  }
  await killAll(tasks);
  await running;
  return kind;
}

/** With anything that can still end a wait nothing is found. */
async function checkSilence(seed: number, next: () => number): Promise<void> {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => open = resolve);
  const controller = new AbortController();
  const ways = [
    () => until(promise),
    () => sleep(60_000),
    () => new Channel().receive({ signal: controller.signal }),
    () => new Channel().receive({ timeout: 60_000 }),
  ];
  const task = spawn(ways[Math.floor(next() * ways.length)]!);
  await idle();
  check(findDeadlock() === undefined, "must be silent while something can end a wait", seed);
  open();
  await task.kill();
  check(findDeadlock() !== undefined, "must be found again", seed);
}

/** Whether exactly those who wait are listed, each once. */
function checkWaiters(waits: readonly DeadlockWait[], notes: Notes, tasks: Task[]): boolean {
  const told = waits.map((wait) => numberOf(wait, tasks)).sort((a, b) => a - b);
  return told.join() === [...notes.waits.keys()].sort((a, b) => a - b).join();
}

function numberOf({ task }: DeadlockWait, tasks: Task[]): number {
  return task === undefined ? MAIN : tasks.findIndex(({ id }) => id === task.id);
}

/** Whether each told waits for the next one, and there is such a circle exactly if the notes have one. */
function checkCycle(told: number[], model: number[], notes: Notes): boolean {
  if (told.length === 0 || model.length === 0) return told.length === model.length;
  return told.every((who, i) => notes.waits.get(who)?.() === told[(i + 1) % told.length]);
}

/** A circle in the notes, found by following who waits for whom; empty if there is none. */
function cycleOf({ waits }: Notes): number[] {
  for (const start of waits.keys()) {
    const path: number[] = [];
    for (let at: number | undefined = start; at !== undefined; at = waits.get(at)?.()) {
      if (path.includes(at)) return path.slice(path.indexOf(at));
      path.push(at);
    }
  }
  return [];
}

function check(good: boolean, must: string, seed: number): void {
  if (!good) throw new Error(`deadlock of program ${seed}: ${must}`);
}

const LIBRARY = `
import { Channel, DeadlockError, Mutex, Pool, scope, sleep, spawn } from "./mod.ts";
`;

/** What whole processes print, word for word. */
const PROGRAMS: readonly Program[] = [
  {
    name: "two tasks, two locks",
    text: `${LIBRARY}
      const left = new Mutex({ name: "left" }), right = new Mutex({ name: "right" });
      const grab = async (one: Mutex, other: Mutex) => {
        await one.acquire();
        await sleep(0);
        await other.acquire();
      };
      spawn({ name: "a" }, grab, left, right);
      const b = spawn({ name: "b" }, grab, right, left);
      const main = async () => { await b; };
      main();`,
    code: 1,
    stdout: "",
    stderr: `Cannot go on: somebody must be able to run, got 3 waits that nothing can end
  Each of these waits for the next one, the last for the first:
    Task "b" (#2): lock on Mutex "left", held by Task "a" (#1); needs an unlock by Task "a" (#1)
    Task "a" (#1): lock on Mutex "right", held by Task "b" (#2); needs an unlock by Task "b" (#2)
  And besides:
    The main program: join on Task "b"; needs Task "b" (#2) to end
  config.spawnStacks = true tells where each task was spawned`,
  },
  {
    name: "caught, and again",
    text: `${LIBRARY}
      const main = async () => {
        const ch = new Channel<number>({ name: "ch" });
        for (let i = 0; i < 5; i++) {
          await ch.receive().catch((error) => console.log(i, error instanceof DeadlockError));
        }
        console.log("done");
      };
      main();`,
    stdout: "0 true\n1 true\n2 true\n3 true\n4 true\ndone",
  },
  {
    name: "at a top-level await",
    text: `${LIBRARY}
      const pool = new Pool(1);
      await pool.spawn({ name: "member" }, () => pool.spawn(() => {}));
      await pool.join();`,
    code: 1,
    stdout: "",
    stderr: `Cannot go on: somebody must be able to run, got 2 waits that nothing can end
  Each of these waits for the next one, the last for the first:
    Task "member" (#1): spawn on Pool, held by Task "member" (#1); needs Task "member" (#1) to end
  And besides:
    The main program: join Pool, held by Task "member" (#1); needs Task "member" (#1) to end`,
    on: ["Node", "Bun"],
  },
  {
    name: "at a top-level await on Deno, which has words of its own",
    text: `${LIBRARY} await new Channel().receive();`,
    code: 1,
    stdout: "",
    stderr: "error: Top-level await promise never resolved",
    on: ["Deno"],
  },
];

/** Random programs for most of the time, then whole processes. */
export async function prove(options: ProofOptions): Promise<Record<string, number>> {
  const end = performance.now() + options.budgetMs * 0.6;
  const counts = { programs: 0, "with a cycle": 0, "without one": 0, "that end": 0 };
  const names = { cycle: "with a cycle", "no cycle": "without one", ended: "that end" } as const;
  for (let i = 0; performance.now() < end; i++) {
    counts.programs++;
    counts[names[await once(options.seed + i)]]++;
  }
  const { processes } = await runAll(PROGRAMS, options.long ? Infinity : options.budgetMs * 0.4);
  return { ...counts, processes };
}
