// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What belongs to one call of a function: the tasks that it has spawned, and they, and what all of them
 * wait on.
 *
 * @module
 */

// Invariants
//  1. What runs is inside if it was begun from inside: called, spawned, or by a callback of the host. The
//     host carries that through async code, apart from the context, which links and hooks have not.
//     Where it does not (browsers), everything is inside.
//  2. `waits` holds the parked waits of those inside, in the order in which they parked. Branches of
//     groups are not in it, the waits of the groups are.

import { Context, currentContext, ROOT, runIn, runOutside } from "../_kernel/current.ts";
import { type Hooks, listen } from "../_kernel/hooks.ts";
import { type AsyncStorage, asyncStorage } from "../_kernel/host.ts";
import type { WaitOwner } from "../_kernel/wait_list.ts";
import type { Waiter } from "../_kernel/waiter.ts";
import { describeWaits, textOfWaits, type WaitDump } from "../_kernel/waits.ts";
import { type LiveTask, liveTasks, spawnFramesOf, type Task } from "../task.ts";

let storage: AsyncStorage<Inside> | undefined;

/** What is inside, from its making until `leave()`. */
export class Inside implements Hooks {
  /** The context of the function. */
  readonly context: Context = new Context(currentContext() ?? ROOT);
  /** The parked waits. */
  readonly waits: Set<Waiter> = new Set();
  readonly #tasks: WeakSet<object> = new WeakSet();
  readonly #stirred: () => void;
  readonly #unlisten: () => void;

  /** `stirred` is called whenever a wait begins or ends, and a task, inside or not. */
  constructor(stirred: () => void = () => {}) {
    this.#stirred = stirred;
    storage ??= asyncStorage();
    this.#unlisten = listen(this);
  }

  /** Calls `fn` inside, in its context. */
  async run<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<Awaited<R>> {
    return await this.#enter(() => runIn(this.context, fn, ...args));
  }

  /** Calls `fn` inside, but in no context: nothing ends what it waits for. */
  runApart<R>(fn: () => R): R {
    return this.#enter(() => runOutside(fn));
  }

  /** Ends the watch. */
  leave(): void {
    this.#unlisten();
    this.context.end();
  }

  /** Whether the running code is inside. */
  get isHere(): boolean {
    return storage === undefined || storage.getStore() === this;
  }

  /** Whether code that runs in `context` is the function's own, and no task's. */
  ofBody(context: Context | null): boolean {
    for (let at = context; at !== null; at = at.parent) if (at === this.context) return true;
    return false;
  }

  /** The tasks that have not ended. */
  tasks(): LiveTask[] {
    return liveTasks().filter(({ task }) => this.#tasks.has(task));
  }

  /** The waits that belong to no task inside. */
  bareWaits(): Waiter[] {
    return [...this.waits].filter(({ context }) => !this.#tasks.has(context?.task as Task));
  }

  /** Whether one of the waits stands in a list that the host serves; branches of groups do not count. */
  waitsOnHost(): boolean {
    for (const { list } of this.waits) if (list?.outside === true) return true;
    return false;
  }

  /** What the host serves and branches of the waits stand at. */
  hostBranches(): WaitOwner[] {
    const owners: WaitOwner[] = [];
    for (const { list } of this.waits) {
      for (const branch of list?.owner["~branches"]?.() ?? []) {
        if (branch?.list?.outside === true) owners.push(branch.list.owner);
      }
    }
    return owners;
  }

  /** A line for each task and for each wait that belongs to none, `at` being the present time. */
  describe(at: number): string[] {
    const lines = this.tasks().map(textOfTask);
    for (const wait of describeWaits(this.bareWaits(), false, at)) {
      lines.push(`outside of tasks: ${textOfWaits([wait])}`);
    }
    return lines;
  }

  parked(waiter: Waiter): void {
    if (this.isHere) this.waits.add(waiter);
    this.#stirred();
  }

  ended(waiter: Waiter): void {
    this.waits.delete(waiter);
    this.#stirred();
  }

  spawned({ task }: Context): void {
    if (this.isHere) this.#tasks.add(task as Task);
    this.#stirred();
  }

  finished(): void {
    this.#stirred();
  }

  #enter<R>(fn: () => R): R {
    return storage === undefined ? fn() : storage.run(this, fn);
  }
}

function textOfTask({ task, killed, waits }: LiveTask): string {
  const state = killed ? `${task.state}, killed` : task.state;
  const [frame] = spawnFramesOf(task) ?? [];
  const where = frame === undefined ? "" : `, spawned at ${frame}`;
  return `Task ${JSON.stringify(task.name)} (#${task.id}, ${state}): ${
    textOf(task, waits)
  }${where}`;
}

function textOf(task: Task, waits: readonly WaitDump[]): string {
  return textOfWaits(waits) ||
    (task.state === "pending" ? "has not started" : "runs, or waits on a foreign promise");
}

/** `3 tasks`, `1 timer`. */
export function count(many: number, noun: string): string {
  return `${many} ${noun}${many === 1 ? "" : "s"}`;
}
