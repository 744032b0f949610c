// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Who waits for whom when nothing moves any more: for ever, which is an error of the main program, or
 * for suspiciously long.
 *
 * @module
 */

// Invariants
//  1. A deadlock is raised only if nothing known can end a wait: no timer, no wait that the host
//     serves, no signal that may abort, nobody in the run queue; and the host has nothing left to do.
//  2. Each raise ends one wait, the oldest of the main program; so it comes to an end. All others stay
//     parked, as they would have.
//  3. The search has no effect on who waits.
// Source: Go ("all goroutines are asleep"), with the names that it lacks. A wait is taken to wait for
// its thing, and a thing for the tasks that hold it, so that a pool with a thousand members and as many
// who wait for a place has two thousand edges and not a million.

import { watchedSignals } from "./_kernel/abort.ts";
import { checkMs, clock } from "./_kernel/clock.ts";
import { type Context, runOutside } from "./_kernel/current.ts";
import { type Hooks, listen } from "./_kernel/hooks.ts";
import { macrotask, now, startWatch, stopTimer } from "./_kernel/host.ts";
import { queueSize } from "./_kernel/run_queue.ts";
import { reportUnhandled } from "./_kernel/unhandled.ts";
import { outsideWaits, type WaitOwner } from "./_kernel/wait_list.ts";
import { liveWaiters, mainWaits, stuck, Waiter } from "./_kernel/waiter.ts";
import { describeWaits, textOfWaits } from "./_kernel/waits.ts";
import { DeadlockError, type DeadlockWait } from "./errors.ts";
import { parkedTasks, spawnFramesOf, Task } from "./task.ts";

/** Waits that are told of; a program may have a million. */
const MOST_WAITS = 100;
/** Tasks that are named as those who could end one wait. */
const MOST_WAKERS = 8;
/** Hosts clamp longer delays and fire at once. */
const LONGEST = 2 ** 31 - 1;

/** The main program, which waits as a task does. */
const MAIN = Symbol("main program");

/** What would end a wait, by kind and verb of what is waited on. */
const NEEDS: Readonly<Record<string, string>> = {
  "Barrier wait at barrier": "more to arrive",
  "Broadcast send": "a receive of each subscriber",
  "Channel receive": "a send or a close",
  "Channel send": "a receive or a close",
  "Condition wait for condition": "a notify",
  "Coroutine send": "its body to yield or to end",
  "Deferred get deferred": "a resolve or a reject",
  "Event wait for event": "a set",
  "Greenlet switch": "a switch back to it",
  "MapStage map": "one of its calls to end",
  "WaitGroup wait for group": "a done",
  "merge receive": "a value or the end of a source",
  "select select": "one of its cases",
  "sleep sleep": "nothing: it sleeps for ever",
};

/** The same for things that come in several kinds. */
const NEEDS_BY_VERB: Readonly<Record<string, string>> = {
  "acquire": "a release",
  "get": "a put or a close",
  "join queue": "a taskDone for each item",
  "lock": "an unlock",
  "put": "a get or a close",
  "wait for item": "a put",
  "wait for lock": "an unlock",
  "wait for permit": "a release",
};

/** A deadlock that was found; nothing has been raised. */
export interface Deadlock {
  /** The wait that is to be rejected: the oldest of the main program, or of the body. */
  readonly outermost: Waiter;
  /** What to reject it with: `outermost.cancel(error)`. */
  readonly error: DeadlockError;
}

/** What {@linkcode onStall} tells its hook. */
export interface StallReport {
  /** For how long nothing has moved, in milliseconds. */
  readonly ms: number;
  /** Who waits for what, those in a cycle first; of very many the first. */
  readonly waits: readonly DeadlockWait[];
  /** How many timers of this library may still end a wait. */
  readonly timers: number;
  /** How many waits the host may still end: I/O, foreign promises. */
  readonly outside: number;
  /** How many abort signals may still end a wait. */
  readonly signals: number;
  /** All of it in words, a line for each wait. */
  readonly text: string;
}

/**
 * Calls `hook(report)` once for each stall: somebody waits, and no wait of the program has begun or ended
 * for `afterMs` milliseconds. What may still end one is counted in the report. Sockets, workers and
 * timers of the host that the program uses without this library are unknown to it, so this is a hint
 * and no proof; when it is certain that nothing can go on, a {@linkcode DeadlockError} says so without
 * being asked.
 *
 * The watch looks four times in `afterMs`, so a report is late by a quarter of it at most. It keeps no
 * process alive, measures real time, and while it is installed each wait costs some nanoseconds more.
 *
 * @param options How long nothing must have moved, in milliseconds, > 0; `Infinity` is never.
 * @param hook Told of the stall. What it throws goes to `onUnhandled`.
 * @returns A disposable that ends the watch.
 * @throws {RangeError} If `afterMs` is negative, 0 or NaN.
 * @throws {TypeError} If `hook` is no function, or `afterMs` no number.
 *
 * @example Who hangs
 * ```ts
 * import { Channel, onStall, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const jobs = new Channel<string>({ name: "jobs" });
 * const worker = spawn({ name: "worker" }, () => jobs.receive());
 * const told = new Promise<string>((resolve) => {
 *   onStall({ afterMs: 20 }, (report) => resolve(report.waits[0]!.text));
 * });
 * const alive = setInterval(() => {}, 10); // something else that the program does
 * assertEquals(await told, 'receive on Channel "jobs"');
 * clearInterval(alive);
 * await worker.kill();
 * ```
 */
export function onStall(
  options: { afterMs: number },
  hook: (report: StallReport) => void,
): Disposable {
  const afterMs: unknown = options?.afterMs;
  checkMs("install hook", "afterMs", afterMs);
  if (afterMs === 0) throw new RangeError("Cannot install hook: afterMs must be > 0, got 0");
  if (typeof hook !== "function") {
    throw new TypeError(`Cannot install hook: hook must be a function, got ${typeof hook}`);
  }
  const watch = new StallWatch(afterMs, hook);
  return { [Symbol.dispose]: () => watch.stop() };
}

/**
 * Finds out whether the program is in a deadlock, and describes it: `undefined` if anything can still
 * end a wait, or the main program does not wait.
 *
 * @param body A context whose code is asked about instead of the main program. The caller knows that
 * nothing can end a wait any more, because it holds the clock and has seen all that runs come to rest.
 */
export function findDeadlock(body?: Context): Deadlock | undefined {
  if (body === undefined && !isCertain()) return undefined;
  const main = mainWaits();
  const outermost = body === undefined ? main[0] : outermostOf(body, main);
  if (outermost === undefined) return undefined;
  const actors = whoWaits(body === undefined ? main : main.filter((wait) => isBelow(wait, body)));
  const { waits, lines } = describe(actors);
  const message = `Cannot go on: somebody must be able to run, got ${
    count(liveWaiters(), "wait")
  } that nothing can end`;
  return { outermost, error: withoutStack([message, ...lines].join("\n"), waits) };
}

stuck.on = raise;

function raise(): void {
  const found = findDeadlock();
  if (found === undefined) return;
  // Hosts ask again only after a turn of their loop in which something was done.
  macrotask(() => {});
  found.outermost.cancel(found.error);
}

/** The frames would be those of the search: hosts print them, and the line of source that threw. */
function withoutStack(message: string, waits: readonly DeadlockWait[]): DeadlockError {
  const { stackTraceLimit } = Error as { stackTraceLimit?: number };
  // By Reflect: a frozen Error must not make this throw.
  if (stackTraceLimit !== undefined) Reflect.set(Error, "stackTraceLimit", 0);
  const error = new DeadlockError(message, { waits });
  if (stackTraceLimit !== undefined) Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  // Bun makes no text without frames.
  error.stack ??= String(error);
  return error;
}

function isCertain(): boolean {
  return clock.on.size === 0 && outsideWaits() === 0 && watchedSignals() === 0 && queueSize() === 0;
}

/** The oldest wait of what runs in `body`, tasks that it spawned apart. */
function outermostOf(body: Context, main: readonly Waiter[]): Waiter | undefined {
  return main.find((wait) => isBelow(wait, body)) ??
    body.waits().find((wait): wait is Waiter => wait instanceof Waiter);
}

function isBelow(wait: Waiter, body: Context): boolean {
  for (let context = wait.context; context !== null; context = context.parent) {
    if (context === body) return true;
  }
  return false;
}

/** A task, or the main program, with all it waits on. */
interface Actor {
  readonly waits: readonly Waiter[];
  readonly shielded: readonly Waiter[];
}
type Who = Task | typeof MAIN;
type Node = Who | WaitOwner;

function whoWaits(main: readonly Waiter[]): Map<Who, Actor> {
  const actors = new Map<Who, Actor>([[MAIN, { waits: main, shielded: [] }]]);
  for (const { task, ...actor } of parkedTasks()) actors.set(task, actor);
  return actors;
}

/** Describes all who wait, those in a cycle first; the lines are indented for a message. */
function describe(actors: ReadonlyMap<Who, Actor>): { waits: DeadlockWait[]; lines: string[] } {
  const cycle = findCycle(actors);
  const waits: DeadlockWait[] = [];
  const lines: string[] = [];
  let more = 0;
  let others = liveWaiters();
  let hint = false;
  const add = (who: Who, wait: Waiter | null, shielded: boolean, inCycle: boolean): void => {
    if (wait !== null) others--;
    if (waits.length === MOST_WAITS) return void more++;
    const described = describeOne(who, wait, shielded, inCycle);
    waits.push(described);
    const { text, needs, spawnedAt } = described;
    lines.push(`    ${nameOf(who)}: ${text}; needs ${needs}`);
    if (spawnedAt !== undefined) lines.push(`      spawned at ${spawnedAt[0] ?? "?"}`);
    else if (who !== MAIN) hint = true;
  };
  if (cycle.size > 0) lines.push("  Each of these waits for the next one, the last for the first:");
  for (const [wait, who] of cycle) {
    add(who, wait, actors.get(who)!.shielded.includes(wait), true);
  }
  const before = lines.length;
  for (const [who, { waits, shielded }] of actors) {
    for (const wait of waits) if (!cycle.has(wait)) add(who, wait, false, false);
    for (const wait of shielded) if (!cycle.has(wait)) add(who, wait, true, false);
    if (who !== MAIN && waits.length + shielded.length === 0) add(who, null, false, false);
  }
  if (lines.length > before) {
    lines.splice(before, 0, cycle.size > 0 ? "  And besides:" : "  Who waits:");
  }
  if (more > 0) lines.push(`    and ${count(more, "more wait")}`);
  if (others > 0) {
    lines.push(`    and ${count(others, "wait")} of no task, such as a suspended greenlet`);
  }
  if (hint) lines.push("  config.spawnStacks = true tells where each task was spawned");
  return { waits, lines };
}

function describeOne(
  who: Who,
  wait: Waiter | null,
  shielded: boolean,
  cycle: boolean,
): DeadlockWait {
  const spawnedAt = who === MAIN ? undefined : spawnFramesOf(who);
  const common = {
    ...(who === MAIN ? {} : { task: { id: who.id, name: who.name } }),
    cycle,
    ...(spawnedAt === undefined ? {} : { spawnedAt }),
  };
  if (wait === null) return { ...common, ...withoutWait(who as Task), wakers: [] };
  const [dump] = describeWaits([wait], shielded, clock.on.now());
  const { verb, kind, name } = dump!;
  const { wakers, needs } = wakersOf(wait);
  return {
    ...common,
    verb,
    kind,
    ...(name === undefined ? {} : { name }),
    text: textOfWaits([dump!]),
    needs,
    wakers,
  };
}

/** A task that is alive and waits on nothing of this library. */
function withoutWait({ state }: Task): { verb: string; kind: string; text: string; needs: string } {
  return state === "pending"
    ? { verb: "start", kind: "Task", text: "has not started", needs: "its time to come" }
    : {
      verb: "await",
      kind: "foreign promise",
      text: "runs, or waits on a foreign promise",
      needs: "that promise to settle",
    };
}

/** Who could end a wait, and by what. */
function wakersOf(wait: Waiter): Pick<DeadlockWait, "wakers" | "needs"> {
  const { owner, verb, outside } = wait.list!;
  if (outside) return { wakers: [], needs: "the host" };
  const kind = owner[Symbol.toStringTag];
  const wakers: Array<{ id: number; name: string }> = [];
  let more = 0;
  let main = false;
  // Through what is no task, down to the tasks. The list grows while it is worked off.
  const nodes = new Set<Node>([owner]);
  for (const node of nodes) {
    if (node === MAIN) main = true;
    else if (!(node instanceof Task)) { for (const next of behind(node)) nodes.add(next); }
    else if (wakers.length < MOST_WAKERS) wakers.push({ id: node.id, name: node.name });
    else more++;
  }
  const names = wakers.map(({ id, name }) => `Task ${JSON.stringify(name)} (#${id})`);
  if (main) names.push("the main program");
  if (more > 0) names.push(`${more} more`);
  const who = names.join(", ");
  const own = NEEDS[`${kind} ${verb}`] ?? NEEDS_BY_VERB[verb];
  if (who === "") return { wakers, needs: own ?? "somebody to serve it" };
  return { wakers, needs: own === undefined ? `${who} to end` : `${own} by ${who}` };
}

/**
 * The waits of a cycle, each with who waits, in the order in which one waits for the next; empty if there
 * is none. Depth first, and as a list: a chain of joins may be deeper than a stack.
 */
function findCycle(actors: ReadonlyMap<Who, Actor>): Map<Waiter, Who> {
  const done = new Set<Node>();
  for (const start of actors.keys()) {
    if (done.has(start)) continue;
    const path = new Map<Node, Iterator<Node>>([[start, ahead(start, actors)]]);
    const order: Node[] = [start];
    for (let at = order.at(-1); at !== undefined; at = order.at(-1)) {
      const step = path.get(at)!.next();
      if (step.done === true) {
        done.add(at);
        path.delete(at);
        order.pop();
      } else if (path.has(step.value)) {
        return waitsAlong(order.slice(order.indexOf(step.value)), actors);
      } else if (!done.has(step.value)) {
        path.set(step.value, ahead(step.value, actors));
        order.push(step.value);
      }
    }
  }
  return new Map();
}

/** The waits by which each on a closed path waits for the next one. */
function waitsAlong(path: readonly Node[], actors: ReadonlyMap<Who, Actor>): Map<Waiter, Who> {
  const waits = new Map<Waiter, Who>();
  path.forEach((node, i) => {
    const actor = actors.get(node as Who);
    if (actor === undefined) return;
    const next = path[(i + 1) % path.length];
    const wait = [...actor.waits, ...actor.shielded].find(({ list }) => list!.owner === next);
    if (wait !== undefined) waits.set(wait, node as Who);
  });
  return waits;
}

/** What a node waits for. */
function* ahead(node: Node, actors: ReadonlyMap<Who, Actor>): Iterator<Node> {
  const actor = actors.get(node as Who);
  if (actor === undefined) {
    if (node !== MAIN && !(node instanceof Task)) yield* behind(node);
    return;
  }
  for (const wait of actor.waits) yield wait.list!.owner;
  for (const wait of actor.shielded) yield wait.list!.owner;
}

/** Who stands behind a thing: holders, or the things of a wait on several. */
function* behind(owner: WaitOwner): Iterable<Node> {
  let held = false;
  for (const holder of owner["~holders"]?.() ?? []) {
    held = true;
    if (holder instanceof Task) yield holder;
  }
  // Locked, and not by a task.
  if (!held && (owner as { locked?: unknown }).locked === true) yield MAIN;
  for (const branch of owner["~branches"]?.() ?? []) {
    const next = branch?.list?.owner;
    if (next !== undefined) yield next;
  }
}

/** Looks again and again whether waits begin and end. */
class StallWatch implements Hooks {
  readonly #afterMs: number;
  readonly #hook: (report: StallReport) => void;
  readonly #remove: () => void;
  #changes = 0;
  /** How many changes there were when the watch last looked, and when it saw the last one. */
  #seen = -1;
  #since = 0;
  #timer: unknown = undefined;
  #stopped = false;

  constructor(afterMs: number, hook: (report: StallReport) => void) {
    this.#afterMs = afterMs;
    this.#hook = hook;
    this.#remove = listen(this);
    this.#arm();
  }

  parked(): void {
    this.#changes++;
    if (this.#timer === undefined) this.#arm();
  }

  ended(): void {
    this.parked();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#remove();
    if (this.#timer !== undefined) stopTimer(this.#timer);
  }

  #arm(): void {
    if (this.#afterMs === Infinity || this.#stopped) return;
    this.#timer = startWatch(() => this.#look(), Math.min(this.#afterMs / 4, LONGEST));
  }

  /** Does not go on looking after a stall, or while nobody waits: the next change begins it anew. */
  #look(): void {
    this.#timer = undefined;
    const time = now();
    if (this.#changes !== this.#seen) {
      this.#seen = this.#changes;
      this.#since = time;
    }
    if (liveWaiters() === 0) return;
    const ms = time - this.#since;
    if (ms < this.#afterMs) return this.#arm();
    try {
      // Not in the context of whoever installed it: that one may have been killed.
      runOutside(this.#hook, stallReport(ms));
    } catch (error) {
      reportUnhandled(error);
    }
  }
}

function stallReport(ms: number): StallReport {
  const { waits, lines } = describe(whoWaits(mainWaits()));
  const timers = clock.on.size, outside = outsideWaits(), signals = watchedSignals();
  const may = [
    ...(outside === 0 ? [] : [`${count(outside, "wait")} on the host`]),
    ...(timers === 0 ? [] : [count(timers, "timer")]),
    ...(signals === 0 ? [] : [count(signals, "abort signal")]),
  ];
  const uncertain = may.length === 0
    ? "nothing known to this library can end one"
    : `${may.join(", ")} may still end one`;
  const text = [
    `Nothing has moved for ${Math.floor(ms)} ms: ${count(liveWaiters(), "wait")}, ${uncertain}`,
    ...lines,
  ].join("\n");
  return { ms, waits, timers, outside, signals, text };
}

function nameOf(who: Who): string {
  return who === MAIN ? "The main program" : `Task ${JSON.stringify(who.name)} (#${who.id})`;
}

function count(many: number, noun: string): string {
  return `${many} ${noun}${many === 1 ? "" : "s"}`;
}
