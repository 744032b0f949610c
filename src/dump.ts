// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The tasks that are alive, who spawned them, and what each of them waits on.
 *
 * @module
 */

// Source: gevent's print_run_info and GreenletTree. Here a task knows its spawner by number only, so
// that the tree costs no memory; a task whose spawner has ended stands at the root.

import { showAsText } from "./_kernel/inspect.ts";
import { textOfWaits, type WaitDump } from "./_kernel/waits.ts";
import { liveWaiters } from "./_kernel/waiter.ts";
import { currentTask, type LiveTask, liveTasks, spawnFramesOf, type TaskState } from "./task.ts";

/** Deeper levels are not indented further: a chain would take the square of its length. */
const DEEPEST = 32;

/** One live task. */
export interface TaskDump {
  /** Its number. */
  readonly id: number;
  /** Its name. */
  readonly name: string;
  /** Where it is in its life. */
  readonly state: TaskState;
  /** It was killed, and has not ended yet. */
  readonly killed: boolean;
  /** It is the one that called {@linkcode dump}. */
  readonly current: boolean;
  /** How many of its spawners, one above the other, are alive: its level in the tree. */
  readonly depth: number;
  /** The number of the task that spawned it; missing if none did. */
  readonly spawnerId?: number;
  /**
   * What it waits on, those behind a shield last. Empty while it runs, before it starts, and while it
   * waits on a promise that this library did not make.
   */
  readonly waits: readonly WaitDump[];
  /** The stack of its spawn, nearest frame first, if `config.spawnStacks` was on. */
  readonly spawnedAt?: readonly string[];
}

/**
 * What {@linkcode dump} gives: text for people, JSON for programs. A copy: it does not change any more.
 *
 * @example As JSON
 * ```ts
 * import { dump, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const task = spawn({ name: "idler" }, () => sleep(60_000));
 * await sleep(0);
 * const [first] = JSON.parse(JSON.stringify(dump())).tasks;
 * assertEquals([first.name, first.waits[0].verb], ["idler", "sleep"]);
 * await task.kill();
 * ```
 */
export class Dump {
  /**
   * The live tasks as a list in the order of the tree: each after the task that spawned it, siblings
   * in the order of their spawns. A list, since a chain of spawns may be deeper than a stack.
   */
  readonly tasks: readonly TaskDump[];
  /**
   * How many waits of the program are parked outside of tasks. Where the host has no
   * `AsyncLocalStorage` (browsers) the waits of a task after its first `await` are counted here.
   */
  readonly outside: number;

  static {
    showAsText(Dump.prototype);
  }

  /** Holds these tasks; {@linkcode dump} collects them. */
  constructor(tasks: readonly TaskDump[], outside: number) {
    this.tasks = tasks;
    this.outside = outside;
  }

  /** A line for each task, indented below its spawner. */
  toString(): string {
    const lines = [
      `${count(this.tasks.length, "task")}, ${count(this.outside, "wait")} outside of tasks`,
    ];
    const alive = new Set(this.tasks.map(({ id }) => id));
    for (const task of this.tasks) {
      const indent = "  ".repeat(Math.min(task.depth, DEEPEST) + 1);
      lines.push(indent + textOf(task, alive));
      const [frame] = task.spawnedAt ?? [];
      if (frame !== undefined) lines.push(`${indent}  spawned at ${frame}`);
    }
    return lines.join("\n");
  }

  /** The data alone. */
  toJSON(): { tasks: readonly TaskDump[]; outside: number } {
    return { tasks: this.tasks, outside: this.outside };
  }
}

/**
 * Lists the tasks that have not ended, below the ones that spawned them: name, number, state, and what
 * each waits on. For how long is known if `config.waitTimes` is on, where it was spawned if
 * `config.spawnStacks` is. No effect on the tasks. O(tasks and waits).
 *
 * @example Who waits for what
 * ```ts
 * import { Channel, dump, sleep, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const jobs = new Channel<string>({ name: "jobs" });
 * const worker = spawn({ name: "worker" }, () => jobs.receive());
 * await sleep(0);
 * assertEquals(
 *   dump().toString().replace(/#\d+/, "#1"),
 *   `1 task, 0 waits outside of tasks
 *   Task "worker" (#1, running): receive on Channel "jobs"`,
 * );
 * await worker.kill();
 * ```
 */
export function dump(): Dump {
  const current = currentTask();
  const children = bySpawner(liveTasks());
  const tasks: TaskDump[] = [];
  // Worked off from the end, not called recursively: chains may be deep.
  const open = siblings(0, 0);
  let inTasks = 0;
  for (let entry = open.pop(); entry !== undefined; entry = open.pop()) {
    const { task, spawnerId, killed, waits, depth } = entry;
    inTasks += waits.length;
    const spawnedAt = spawnFramesOf(task);
    tasks.push({
      id: task.id,
      name: task.name,
      state: task.state,
      killed,
      current: task === current,
      depth,
      ...(spawnerId === 0 ? {} : { spawnerId }),
      waits,
      ...(spawnedAt === undefined ? {} : { spawnedAt }),
    });
    for (const child of siblings(task.id, depth + 1)) open.push(child);
  }
  return new Dump(tasks, liveWaiters() - inTasks);

  function siblings(spawnerId: number, depth: number): Array<LiveTask & { depth: number }> {
    return (children.get(spawnerId) ?? []).map((entry) => ({ ...entry, depth })).reverse();
  }
}

/** Tasks by the id of their spawner; those whose spawner has ended are with those that had none. */
function bySpawner(live: readonly LiveTask[]): Map<number, LiveTask[]> {
  const alive = new Set(live.map(({ task }) => task.id));
  const children = new Map<number, LiveTask[]>();
  for (const entry of live) {
    const parent = alive.has(entry.spawnerId) ? entry.spawnerId : 0;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [entry]);
    else siblings.push(entry);
  }
  return children;
}

function textOf(task: TaskDump, alive: ReadonlySet<number>): string {
  const { id, name, state, killed, current, spawnerId, waits } = task;
  const facts = [`#${id}`, state];
  if (killed) facts.push("killed");
  if (spawnerId !== undefined && !alive.has(spawnerId)) {
    facts.push(`spawned by #${spawnerId}, which has ended`);
  }
  const doing = textOfWaits(waits) ||
    (current
      ? "runs now"
      : state === "pending"
      ? "has not started"
      : "runs, or waits on a foreign promise");
  return `Task ${JSON.stringify(name)} (${facts.join(", ")}): ${doing}`;
}

function count(many: number, noun: string): string {
  return `${many} ${noun}${many === 1 ? "" : "s"}`;
}
