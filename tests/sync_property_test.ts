// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Random programs against the semaphore and the queues. The first two properties compare each step with
 * a model that is plain arrays; the others run tasks that loop and are disturbed, and only count.
 *
 * @module
 */

// Source: Jepsen's total-queue (nothing lost, doubled or invented) for the accounts; the models are the
// sequential specification, which one thread makes exact: each verb takes effect in its own call. What
// one abort or one kill ends, ends together: nothing that it frees goes to another wait that it ends.

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { liveWaiters, type WaitOptions } from "../src/_kernel/waiter.ts";
import { isKilled, QueueClosedError, TimeoutError } from "../src/errors.ts";
import { LifoQueue, PriorityQueue, Queue } from "../src/queue.ts";
import { select } from "../src/select.ts";
import { BoundedSemaphore, type Permit, Semaphore } from "../src/semaphore.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import type { Task } from "../src/task.ts";
import { wait } from "../src/wait.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome } from "./outcome.ts";
import { type LivingTask, livingTask } from "./waits.ts";

/** More, or another seed, for a longer search; a failure prints its seed and path. */
const SEED = 20261121;
const MODEL_RUNS = 1500;
const TASK_RUNS = 500;

const SIGNALS = 2;
const TASKS = 2;

noLeaks();

// -- What both models share: waits that end from outside, and time --

/** How an operation may be ended from outside. */
interface Ends {
  signal: number | null;
  task: number | null;
  timeout: number | null;
}

type Disturbance =
  | { verb: "abort" | "kill"; which: number }
  | { verb: "advance"; ms: number }
  | { verb: "microtasks"; count: number }
  | { verb: "macrotask" };

const nobodyOr = (count: number) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.nat(count - 1) },
  );

const ends: fc.Arbitrary<Ends> = fc.record({
  signal: nobodyOr(SIGNALS),
  task: nobodyOr(TASKS),
  timeout: fc.oneof(
    { weight: 4, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(0, 5, 10, Infinity) },
  ),
});

const disturbance: fc.Arbitrary<Disturbance> = fc.oneof(
  fc.record({
    verb: fc.constantFrom("abort" as const, "kill" as const),
    which: fc.nat(Math.min(SIGNALS, TASKS) - 1),
  }),
  fc.record({ verb: fc.constant("advance" as const), ms: fc.constantFrom(0, 1, 5) }),
  fc.record({ verb: fc.constant("advance" as const), ms: fc.constantFrom(0, 1, 5) }),
  fc.record({ verb: fc.constant("microtasks" as const), count: fc.integer({ min: 1, max: 3 }) }),
  fc.constant<Disturbance>({ verb: "macrotask" }),
);

const KILL_REASONS = [new Error("killed 0"), new Error("killed 1")];
const ABORT_REASONS = ["aborted 0", "aborted 1"];

/** How an operation must end. */
type End =
  | { how: "done"; value?: unknown }
  | { how: "closed"; value?: number }
  | { how: "timed out" }
  | { how: "error"; error: unknown };

interface Operation {
  readonly kind: string;
  readonly id: number;
  readonly ends: Ends;
  readonly deadline: number;
  /** A weight, or an item. */
  readonly payload: number;
  end: End | null;
}

/** The rules for whatever waits, in line or not. */
abstract class Model {
  now = 0;
  readonly aborted: boolean[] = Array(SIGNALS).fill(false);
  readonly killed: boolean[] = Array(TASKS).fill(false);

  /** Everything that waits. */
  abstract waiting(): Operation[];
  /** Takes `operation` out of its line. */
  abstract leave(operation: Operation): void;
  /** Somebody has left. */
  abstract changed(): void;
  /** What an expired limit gives. */
  abstract expired(operation: Operation): End;

  refuses(operation: Operation): boolean {
    const { task, signal } = operation.ends;
    if (task !== null && this.killed[task]) {
      operation.end = { how: "error", error: KILL_REASONS[task] };
    } else if (signal !== null && this.aborted[signal]) {
      operation.end = { how: "error", error: ABORT_REASONS[signal] };
    }
    return operation.end !== null;
  }

  abort(which: number): void {
    this.aborted[which] = true;
    this.#endAll(({ ends }) => ends.signal === which, ABORT_REASONS[which]);
  }

  kill(which: number): void {
    this.killed[which] = true;
    this.#endAll(({ ends }) => ends.task === which, KILL_REASONS[which]);
  }

  /** Limits are over one after the other, and each lets those behind proceed. */
  advance(ms: number): void {
    this.now += ms;
    const over = this.waiting().filter(({ deadline }) => deadline <= this.now)
      .sort((a, b) => a.deadline - b.deadline || a.id - b.id);
    for (const operation of over) {
      if (operation.end !== null) continue;
      operation.end = this.expired(operation);
      this.leave(operation);
      this.changed();
    }
  }

  #endAll(which: (operation: Operation) => boolean, error: unknown): void {
    for (const operation of this.waiting().filter(which)) {
      operation.end = { how: "error", error };
      this.leave(operation);
    }
    this.changed();
  }
}

function without(line: Operation[], operation: Operation): Operation[] {
  return line.filter((other) => other !== operation);
}

/** Starts the real operations beside those of the model and compares how they end. */
class Run {
  readonly time: ManualClock;
  readonly model: Model;
  readonly #living: LivingTask[];
  readonly #controllers = Array.from({ length: SIGNALS }, () => new AbortController());
  /** For what nothing else ends, so that a run that fails leaves nothing to the next one. */
  readonly #over = new AbortController();
  readonly #parked = liveWaiters();
  readonly #operations: Array<{ model: Operation; real: End | null }> = [];
  /** The waits of `kill()`, which last until the task has ended. */
  #kills = 0;

  constructor(time: ManualClock, model: Model, living: LivingTask[]) {
    this.time = time;
    this.model = model;
    this.#living = living;
  }

  /** `ended` is told of a value, in the order in which those who wait go on. */
  start(
    kind: string,
    payload: number,
    ends: Ends,
    call: (options: WaitOptions) => Promise<unknown>,
    ended: (operation: Operation, value: unknown) => unknown = (_, value) => value,
  ): Operation {
    const { signal, task, timeout } = ends;
    const operation: Operation = {
      kind,
      id: this.#operations.length,
      ends,
      deadline: this.time.now() + (timeout ?? Infinity),
      payload,
      end: null,
    };
    const options: WaitOptions = {
      signal: signal === null ? this.#over.signal : this.#controllers[signal]!.signal,
      timeout: timeout ?? undefined,
    };
    const promise = this.inside(task, () => call(options));
    const entry: { model: Operation; real: End | null } = { model: operation, real: null };
    this.#operations.push(entry);
    promise.then((value) => {
      value = ended(operation, value);
      entry.real = value === undefined ? { how: "done" } : { how: "done", value };
    }, (error: unknown) => {
      if (error instanceof TimeoutError) entry.real = { how: "timed out" };
      else if (error instanceof QueueClosedError) {
        entry.real = "value" in error
          ? { how: "closed", value: error.value as number }
          : { how: "closed" };
      } else entry.real = { how: "error", error };
    });
    return operation;
  }

  inside<R>(task: number | null, fn: () => R): R {
    return task === null ? fn() : this.#living[task]!.call(fn);
  }

  async disturb(step: Disturbance): Promise<void> {
    switch (step.verb) {
      case "abort":
        this.#controllers[step.which]!.abort(ABORT_REASONS[step.which]);
        this.model.abort(step.which);
        break;
      case "kill":
        void this.#living[step.which]!.task.kill(KILL_REASONS[step.which]);
        this.#kills++;
        this.model.kill(step.which);
        break;
      case "advance":
        this.time.advance(step.ms);
        this.model.advance(step.ms);
        break;
      case "microtasks":
        for (let i = 0; i < step.count; i++) await undefined;
        break;
      case "macrotask":
        await this.check();
    }
  }

  /** After each step. */
  checkParked(): void {
    assertEquals(
      liveWaiters() - this.#parked - this.#kills,
      this.model.waiting().length,
      "waits that are parked",
    );
  }

  async check(): Promise<void> {
    await idle();
    for (const { model, real } of this.#operations) {
      assertEquals(real, model.end, `${model.kind} ${model.id}`);
    }
  }

  get operations(): Operation[] {
    return this.#operations.map(({ model }) => model);
  }

  /** Ends all that still waits. */
  async end(): Promise<void> {
    for (const controller of [...this.#controllers, this.#over]) controller.abort("over");
    for (const { task } of this.#living) void task.kill();
    for (const living of this.#living) await living.end();
  }
}

async function withRun(
  model: Model,
  body: (run: Run) => Promise<void>,
): Promise<void> {
  using time = new ManualClock();
  const before = liveWaiters(), living: LivingTask[] = [];
  for (let i = 0; i < TASKS; i++) living.push(await livingTask());
  const run = new Run(time, model, living);
  try {
    await body(run);
  } finally {
    await run.end();
    time.advance(100);
    await idle();
  }
  assertEquals([liveWaiters(), time.size], [before, 0]);
}

// -- Semaphore --

type SemaphoreCommand =
  | { verb: "acquire"; weight: number; selects: boolean; ends: Ends }
  | { verb: "watch"; ends: Ends }
  | { verb: "tryAcquire"; weight: number; task: number | null }
  | { verb: "give back"; which: number }
  | { verb: "release"; count: number }
  | Disturbance;

const semaphoreCommand: fc.Arbitrary<SemaphoreCommand> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      verb: fc.constant("acquire" as const),
      weight: fc.constantFrom(1, 1, 2, 3, 4),
      selects: fc.boolean(),
      ends,
    }),
  },
  {
    weight: 1,
    // Not by an abort or kill: when one ends the head of the line and a watcher, either may be told
    // first, and as a watcher takes nothing both its ends are right.
    arbitrary: fc.record({
      verb: fc.constant("watch" as const),
      ends: ends.map(({ timeout }) => ({ timeout, signal: null, task: null })),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("tryAcquire" as const),
      weight: fc.integer({ min: 1, max: 3 }),
      task: nobodyOr(TASKS),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({ verb: fc.constant("give back" as const), which: fc.nat(9) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constant("release" as const),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 4, arbitrary: disturbance },
);

interface SemaphoreProgram {
  permits: number;
  bounded: boolean;
  commands: SemaphoreCommand[];
}

const semaphoreProgram: fc.Arbitrary<SemaphoreProgram> = fc.record({
  permits: fc.integer({ min: 0, max: 5 }),
  bounded: fc.boolean(),
  commands: fc.array(semaphoreCommand, { minLength: 1, maxLength: 50, size: "max" }),
});

/** The specification of a semaphore. */
class SemaphoreModel extends Model {
  value: number;
  readonly bound: number;
  line: Operation[] = [];
  watchers: Operation[] = [];
  /** Who was served, in order. */
  readonly served: number[] = [];

  constructor(permits: number, bounded: boolean) {
    super();
    this.value = permits;
    this.bound = bounded ? permits : Infinity;
  }

  acquire(operation: Operation): void {
    if (this.refuses(operation)) return;
    this.line.push(operation);
    this.changed();
  }

  watch(operation: Operation): void {
    if (this.refuses(operation)) return;
    this.watchers.push(operation);
    this.changed();
  }

  tryAcquire(weight: number): boolean {
    if (this.line.length > 0 || this.value < weight) return false;
    this.value -= weight;
    return true;
  }

  release(count: number): boolean {
    if (this.value + count > this.bound) return false;
    this.value += count;
    this.changed();
    return true;
  }

  changed(): void {
    while (this.line.length > 0 && this.line[0]!.payload <= this.value) {
      const first = this.line.shift()!;
      this.value -= first.payload;
      this.served.push(first.id);
      first.end = { how: "done", value: first.payload };
    }
    if (this.line.length > 0 || this.value === 0) return;
    for (const watcher of this.watchers) watcher.end = { how: "done", value: 1 };
    this.watchers = [];
  }

  waiting(): Operation[] {
    return [...this.line, ...this.watchers];
  }

  leave(operation: Operation): void {
    this.line = without(this.line, operation);
    this.watchers = without(this.watchers, operation);
  }

  expired({ kind }: Operation): End {
    return kind === "watch" ? { how: "done", value: 0 } : { how: "timed out" };
  }
}

async function runSemaphore({ permits, bounded, commands }: SemaphoreProgram): Promise<void> {
  const model = new SemaphoreModel(permits, bounded);
  const semaphore = bounded ? new BoundedSemaphore(permits) : new Semaphore(permits);
  const held: Permit[] = [], served: number[] = [];
  /** Permits that there are, wherever they are. */
  let total = permits;
  const keep = ({ id }: Operation, permit: Permit): number => {
    held.push(permit);
    served.push(id);
    return permit.weight;
  };
  await withRun(model, async (run) => {
    for (const step of commands) {
      switch (step.verb) {
        case "acquire": {
          const { selects, ends } = step, weight = selects ? 1 : step.weight;
          if (weight > model.bound) {
            assertThrows(() => semaphore.tryAcquire({ weight }), RangeError);
            break;
          }
          const operation = selects
            ? run.start(
              "select",
              1,
              ends,
              (options) => select([semaphore, null, semaphore], options),
              (operation, got) => keep(operation, (got as { value: Permit }).value),
            )
            : run.start(
              "acquire",
              weight,
              ends,
              (options) => semaphore.acquire({ weight, ...options }),
              (operation, permit) => keep(operation, permit as Permit),
            );
          model.acquire(operation);
          break;
        }
        case "watch":
          model.watch(
            run.start(
              "watch",
              0,
              step.ends,
              (options) => wait([semaphore], options),
              (_, ready) => (ready as unknown[]).length,
            ),
          );
          break;
        case "tryAcquire": {
          const { weight, task } = step;
          if (weight > model.bound) break;
          const permit = run.inside(task, () => semaphore.tryAcquire({ weight }));
          assertEquals(permit?.weight, model.tryAcquire(weight) ? weight : undefined);
          if (permit !== undefined) held.push(permit);
          break;
        }
        case "give back": {
          if (held.length === 0) break;
          const [permit] = held.splice(step.which % held.length, 1);
          // Permits that were added by release() may leave no room under the bound.
          if (model.release(permit!.weight)) permit!.release();
          else assertThrows(() => permit!.release(), RangeError);
          permit![Symbol.dispose]();
          break;
        }
        case "release":
          if (model.release(step.count)) {
            semaphore.release(step.count);
            total += step.count;
          } else assertThrows(() => semaphore.release(step.count), RangeError);
          break;
        default:
          await run.disturb(step);
      }
      assertEquals(semaphore.value, model.value);
      assert(semaphore.value >= 0 && semaphore.value <= model.bound);
      run.checkParked();
    }
    await run.check();
    assertEquals(
      served,
      model.served.filter((id) => run.operations[id]!.kind !== "watch"),
      "first come, first served",
    );
    if (!bounded) {
      const out = held.reduce((sum, { weight }) => sum + weight, 0);
      assertEquals(out + semaphore.value, total, "no permit is lost or issued twice");
    }
    while (held.length > 0) {
      const permit = held.pop()!;
      if (model.release(permit.weight)) permit.release();
    }
    assertEquals(semaphore.value, model.value);
  });
}

test("Semaphore does what its model does, random programs", async () => {
  await fc.assert(fc.asyncProperty(semaphoreProgram, runSemaphore), {
    seed: SEED,
    numRuns: MODEL_RUNS,
  });
});

// -- Queues --

type QueueKind = "first" | "lowest" | "newest";

type QueueCommand =
  | { verb: "put"; priority: number; ends: Ends }
  | { verb: "get" | "peek" | "select" | "watch" | "join"; ends: Ends }
  | { verb: "tryPut"; priority: number; task: number | null }
  | { verb: "tryGet" | "tryPeek" | "taskDone"; task: number | null }
  | { verb: "close"; discard: boolean }
  | { verb: "maxSize"; maxSize: number }
  | Disturbance;

const priority = fc.nat(2);

const queueCommand: fc.Arbitrary<QueueCommand> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ verb: fc.constant("put" as const), priority, ends }) },
  {
    weight: 7,
    arbitrary: fc.record({
      verb: fc.constantFrom("get" as const, "get" as const, "peek" as const, "select" as const),
      ends,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ verb: fc.constantFrom("watch" as const, "join" as const), ends }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("tryPut" as const),
      priority,
      task: nobodyOr(TASKS),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      verb: fc.constantFrom("tryGet" as const, "tryPeek" as const, "taskDone" as const),
      task: nobodyOr(TASKS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constant("maxSize" as const),
      maxSize: fc.constantFrom(1, 2, 4, Infinity),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ verb: fc.constant("close" as const), discard: fc.boolean() }),
  },
  { weight: 5, arbitrary: disturbance },
);

interface QueueProgram {
  kind: QueueKind;
  maxSize: number;
  commands: QueueCommand[];
}

const queueProgram: fc.Arbitrary<QueueProgram> = fc.record({
  kind: fc.constantFrom<QueueKind>("first", "lowest", "newest"),
  maxSize: fc.constantFrom(1, 2, 3, 5, Infinity),
  commands: fc.array(queueCommand, { minLength: 1, maxLength: 60, size: "max" }),
});

/** An item says its priority and, below it, its number. */
const PRIORITY = 1000;
const byPriority = (a: number, b: number): number =>
  Math.floor(a / PRIORITY) - Math.floor(b / PRIORITY);

function makeQueue(kind: QueueKind, maxSize: number): Queue<number> {
  if (kind === "first") return new Queue<number>(maxSize);
  if (kind === "newest") return new LifoQueue<number>(maxSize);
  return new PriorityQueue<number>(maxSize, { compare: byPriority });
}

/** The specification of a queue. */
class QueueModel extends Model {
  readonly kind: QueueKind;
  maxSize: number;
  /** In the order in which they came. */
  items: number[] = [];
  putters: Operation[] = [];
  getters: Operation[] = [];
  watchers: Operation[] = [];
  joiners: Operation[] = [];
  closed = false;
  unfinished = 0;
  discarded = 0;
  /** Who was given an item, in order. */
  readonly handed: number[] = [];

  constructor(kind: QueueKind, maxSize: number) {
    super();
    this.kind = kind;
    this.maxSize = maxSize;
  }

  put(operation: Operation): void {
    if (this.refuses(operation)) return;
    if (this.closed) operation.end = { how: "closed", value: operation.payload };
    else if (this.tryPut(operation.payload)) operation.end = { how: "done" };
    else this.putters.push(operation);
  }

  tryPut(item: number): boolean {
    if (this.closed || this.items.length >= this.maxSize) return false;
    this.#admit(item);
    return true;
  }

  get(operation: Operation): void {
    if (this.refuses(operation)) return;
    if (this.items.length > 0) {
      this.#give(operation, operation.kind === "peek" ? this.tryPeek()! : this.tryGet()!);
    } else if (this.closed) operation.end = this.#ended(operation);
    else this.getters.push(operation);
  }

  tryPeek(): number | undefined {
    if (this.kind === "first") return this.items[0];
    if (this.kind === "newest") return this.items.at(-1);
    return this.items.toSorted(byPriority)[0]; // stable
  }

  tryGet(): number | undefined {
    const item = this.tryPeek();
    if (item === undefined) return undefined;
    this.items = this.items.filter((other) => other !== item);
    this.#refill();
    return item;
  }

  watch(operation: Operation): void {
    if (this.refuses(operation)) return;
    if (this.items.length > 0 || this.closed) operation.end = { how: "done", value: 1 };
    else this.watchers.push(operation);
  }

  join(operation: Operation): void {
    if (this.refuses(operation)) return;
    if (this.unfinished === 0) operation.end = { how: "done", value: true };
    else this.joiners.push(operation);
  }

  taskDone(): boolean {
    if (this.unfinished === 0) return false;
    this.#finish(1);
    return true;
  }

  close(discard: boolean): boolean {
    const closes = !this.closed;
    this.closed = true;
    for (const putter of this.putters) putter.end = { how: "closed", value: putter.payload };
    this.putters = [];
    if (discard) {
      const { length } = this.items;
      this.items = [];
      this.discarded += length;
      // Items may be called done before they are taken: those count once.
      if (length > 0) this.#finish(Math.min(length, this.unfinished));
    }
    for (const getter of this.getters) getter.end = this.#ended(getter);
    this.getters = [];
    this.#tellWatchers();
    return closes;
  }

  resize(maxSize: number): void {
    this.maxSize = maxSize;
    this.#refill();
  }

  changed(): void {}

  waiting(): Operation[] {
    return [...this.putters, ...this.getters, ...this.watchers, ...this.joiners];
  }

  leave(operation: Operation): void {
    this.putters = without(this.putters, operation);
    this.getters = without(this.getters, operation);
    this.watchers = without(this.watchers, operation);
    this.joiners = without(this.joiners, operation);
  }

  expired({ kind }: Operation): End {
    if (kind === "join") return { how: "done", value: false };
    return kind === "watch" ? { how: "done", value: 0 } : { how: "timed out" };
  }

  #admit(item: number): void {
    this.unfinished++;
    while (this.getters.length > 0) {
      const getter = this.getters.shift()!;
      this.#give(getter, item);
      if (getter.kind !== "peek") return;
    }
    this.items.push(item);
    this.#tellWatchers();
  }

  #refill(): void {
    while (this.items.length < this.maxSize && this.putters.length > 0) {
      const putter = this.putters.shift()!;
      putter.end = { how: "done" };
      this.#admit(putter.payload);
    }
  }

  #give(operation: Operation, item: number): void {
    this.handed.push(operation.id);
    operation.end = { how: "done", value: item };
  }

  #ended({ kind }: Operation): End {
    return kind === "select" ? { how: "done", value: "ended" } : { how: "closed" };
  }

  #finish(count: number): void {
    this.unfinished -= count;
    if (this.unfinished > 0) return;
    for (const joiner of this.joiners) joiner.end = { how: "done", value: true };
    this.joiners = [];
  }

  #tellWatchers(): void {
    for (const watcher of this.watchers) watcher.end = { how: "done", value: 1 };
    this.watchers = [];
  }
}

async function runQueue({ kind, maxSize, commands }: QueueProgram): Promise<void> {
  const model = new QueueModel(kind, maxSize), queue = makeQueue(kind, maxSize);
  const handed: number[] = [], taken: number[] = [];
  let lastItem = 0, kept = 0;
  await withRun(model, async (run) => {
    for (const step of commands) {
      const sizeBefore = queue.size;
      switch (step.verb) {
        case "put": {
          const item = step.priority * PRIORITY + ++lastItem;
          model.put(run.start("put", item, step.ends, (options) => queue.put(item, options)));
          break;
        }
        case "get":
        case "peek":
        case "select": {
          const { verb, ends } = step;
          model.get(
            run.start(
              verb,
              0,
              ends,
              (options) =>
                verb === "select"
                  ? select([queue, queue], options).then(({ value, done }) =>
                    done ? "ended" : value
                  )
                  : queue[verb](options).then((item) => item), // as many turns as the other
              ({ kind, id }, item) => {
                if (item === "ended") return item;
                handed.push(id);
                if (kind !== "peek") taken.push(item as number);
                return item;
              },
            ),
          );
          break;
        }
        case "watch":
          model.watch(
            run.start(
              "watch",
              0,
              step.ends,
              (options) => wait([queue], options),
              (_, ready) => (ready as unknown[]).length,
            ),
          );
          break;
        case "join":
          model.join(run.start("join", 0, step.ends, (options) => queue.join(options)));
          break;
        case "tryPut": {
          const item = step.priority * PRIORITY + ++lastItem;
          const put = run.inside(step.task, () => queue.tryPut(item));
          assertEquals(put, model.tryPut(item));
          if (!put) kept++;
          break;
        }
        case "tryGet":
        case "tryPeek": {
          const got = run.inside(step.task, () => queue[step.verb]());
          const item = model[step.verb]();
          if (item !== undefined) assertEquals(got, { state: "ok", value: item });
          else assertEquals(got, { state: model.closed ? "closed" : "empty" });
          if (item !== undefined && step.verb === "tryGet") taken.push(item);
          break;
        }
        case "taskDone":
          run.inside(step.task, () => {
            if (model.taskDone()) queue.taskDone();
            else assertThrows(() => queue.taskDone(), RangeError);
          });
          break;
        case "close":
          assertEquals(queue.close({ discard: step.discard }), model.close(step.discard));
          break;
        case "maxSize":
          queue.maxSize = step.maxSize;
          model.resize(step.maxSize);
          break;
        default:
          await run.disturb(step);
      }
      assertEquals(
        [queue.size, queue.maxSize, queue.unfinished, queue.closed],
        [model.items.length, model.maxSize, model.unfinished, model.closed],
      );
      assert(queue.size <= Math.max(queue.maxSize, sizeBefore), "no more than maxSize");
      run.checkParked();
    }
    await run.check();
    assertEquals(handed, model.handed, "who is given an item first goes on first");
    // The accounts: each item that was offered is in exactly one place.
    model.close(false);
    queue.close();
    await run.check();
    for (let got = queue.tryGet(); got.state === "ok"; got = queue.tryGet()) {
      assertEquals(got.value, model.tryGet());
      taken.push(got.value);
    }
    assertEquals(new Set(taken).size, taken.length, "nothing is doubled");
    const failed = run.operations.filter(({ kind, end }) => kind === "put" && end?.how !== "done");
    assertEquals(
      lastItem,
      taken.length + failed.length + kept + model.discarded,
      "items in = items out + on errors + discarded",
    );
  });
}

test("Queue, PriorityQueue and LifoQueue do what their model does, random programs", async () => {
  await fc.assert(fc.asyncProperty(queueProgram, runQueue), { seed: SEED, numRuns: MODEL_RUNS });
});

// -- Tasks --

interface Blow {
  /** Macrotasks before it, or with a negative number, microtasks. */
  after: number;
  what: "kill" | "abort" | "advance" | "close" | "grow" | "shrink";
  which: number;
}

const blows = (...what: Array<Blow["what"]>): fc.Arbitrary<Blow[]> =>
  fc.array(
    fc.record({
      after: fc.integer({ min: -6, max: 2 }),
      what: fc.constantFrom(...what),
      which: fc.nat(7),
    }),
    { maxLength: 8 },
  );

async function pauseBefore({ after }: Blow): Promise<void> {
  for (let i = 0; i < after; i++) await idle();
  for (let i = 0; i > after; i--) await undefined;
}

/** Turns of the run queue, or with a negative number, microtasks. */
async function rest(pause: number): Promise<void> {
  for (let i = 0; i < pause; i++) await sleep(0);
  for (let i = 0; i > pause; i--) await undefined;
}

const pause = fc.integer({ min: -2, max: 3 });

interface Contender {
  turns: number;
  weight: number;
  pause: number;
  style: "using" | "withPermit" | "select" | "try";
  timeout: number | null;
  abortable: boolean;
}

interface Contest {
  permits: number;
  contenders: Contender[];
  disturbances: Blow[];
}

const contest: fc.Arbitrary<Contest> = fc.record({
  permits: fc.integer({ min: 1, max: 4 }),
  contenders: fc.array(
    fc.record({
      turns: fc.integer({ min: 1, max: 6 }),
      weight: fc.integer({ min: 1, max: 4 }),
      pause,
      style: fc.constantFrom<Contender["style"]>("using", "withPermit", "select", "try"),
      timeout: fc.constantFrom(null, null, 0, 5),
      abortable: fc.boolean(),
    }),
    { minLength: 1, maxLength: 7 },
  ),
  disturbances: blows("kill", "kill", "abort", "advance"),
});

async function runContest({ permits, contenders, disturbances }: Contest): Promise<void> {
  using time = new ManualClock();
  const semaphore = new BoundedSemaphore(permits), controller = new AbortController();
  const before = liveWaiters();
  let inside = 0;
  const hold = async (weight: number, pause: number): Promise<void> => {
    inside += weight;
    try {
      assert(inside <= permits, "no more permits are out than there are");
      await rest(pause);
    } finally {
      inside -= weight;
    }
  };
  const contend = async (contender: Contender): Promise<void> => {
    const { pause, timeout } = contender, weight = Math.min(contender.weight, permits);
    const options = {
      signal: contender.abortable ? controller.signal : undefined,
      timeout: timeout ?? undefined,
    };
    for (let i = 0; i < contender.turns; i++) {
      try {
        if (contender.style === "using") {
          using permit = await semaphore.acquire({ weight, ...options });
          await hold(permit.weight, pause);
        } else if (contender.style === "withPermit") {
          await semaphore.withPermit(() => hold(weight, pause), { weight, ...options });
        } else if (contender.style === "select") {
          using permit = (await select([semaphore], options)).value!;
          await hold(permit.weight, pause);
        } else {
          using permit = semaphore.tryAcquire({ weight });
          if (permit !== undefined) await hold(weight, pause);
        }
      } catch (error) {
        if (!(error instanceof TimeoutError)) throw error;
      }
      await rest(pause);
    }
  };
  const tasks: Array<Task<void>> = contenders.map((one) => spawn(contend, one));
  const ended = outcome(Promise.all(tasks.map((task) => task.join())));
  for (const blow of disturbances) {
    await pauseBefore(blow);
    if (blow.what === "abort") controller.abort("aborted");
    else if (blow.what === "advance") time.advance(5);
    else void tasks[blow.which]?.kill();
  }
  await idle();
  time.advance(100);
  await idle();
  assertEquals(ended.state, "resolved", "everybody has had a turn");
  for (const { error } of tasks) {
    if (error !== undefined && !isKilled(error)) assertEquals(error, "aborted");
  }
  assertEquals([inside, semaphore.value, liveWaiters()], [0, permits, before]);
}

test("Semaphore loses no permit and issues none twice, random tasks", async () => {
  await fc.assert(fc.asyncProperty(contest, runContest), { seed: SEED, numRuns: TASK_RUNS });
});

interface Factory {
  kind: QueueKind;
  maxSize: number;
  producers: Array<{ count: number; pause: number; timeout: number | null; abortable: boolean }>;
  consumers: Array<{ style: "get" | "iterate" | "select"; pause: number; abortable: boolean }>;
  disturbances: Blow[];
}

const factory: fc.Arbitrary<Factory> = fc.record({
  kind: fc.constantFrom<QueueKind>("first", "lowest", "newest"),
  maxSize: fc.constantFrom(1, 2, 5, Infinity),
  producers: fc.array(
    fc.record({
      count: fc.integer({ min: 1, max: 10 }),
      pause,
      timeout: fc.constantFrom(null, null, 0, 5),
      abortable: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  consumers: fc.array(
    fc.record({
      style: fc.constantFrom("get" as const, "iterate" as const, "select" as const),
      pause,
      abortable: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  disturbances: blows("kill", "kill", "kill", "abort", "advance", "grow", "shrink", "close"),
});

async function runFactory(factory: Factory): Promise<void> {
  using time = new ManualClock();
  const queue = makeQueue(factory.kind, factory.maxSize), controller = new AbortController();
  const before = liveWaiters();
  const places = new Map<number, string[]>();
  const place = (item: number, where: string): void => {
    places.set(item, [...places.get(item) ?? [], where]);
  };
  let lastItem = 0;
  const produce = async (
    { count, pause, timeout, abortable }: Factory["producers"][number],
  ): Promise<void> => {
    const signal = abortable ? controller.signal : undefined;
    for (let i = 0; i < count; i++) {
      const item = (i % 3) * PRIORITY + ++lastItem;
      try {
        await queue.put(item, { signal, timeout: timeout ?? undefined });
        places.set(item, places.get(item) ?? []);
      } catch (error) {
        if (error instanceof QueueClosedError) place(error.value as number, "on the error");
        else place(item, "kept by the caller");
        if (!(error instanceof TimeoutError)) throw error;
      }
      await rest(pause);
    }
  };
  const take = async (item: number, pause: number): Promise<void> => {
    place(item, "taken");
    try {
      await rest(pause);
    } finally {
      queue.taskDone();
    }
  };
  const consume = async (
    { style, pause, abortable }: Factory["consumers"][number],
  ): Promise<void> => {
    const signal = abortable ? controller.signal : undefined;
    if (style === "iterate") {
      for await (const item of queue) await take(item, pause);
      return;
    }
    while (true) {
      if (style === "get") await take(await queue.get({ signal }), pause);
      else {
        const got = await select([queue], { signal });
        if (got.done) return;
        await take(got.value, pause);
      }
    }
  };
  const tasks: Array<Task<void>> = [
    ...factory.producers.map((one) => spawn(produce, one)),
    ...factory.consumers.map((one) => spawn(consume, one)),
  ];
  const ended = outcome(Promise.all(tasks.map((task) => task.join())));
  let most = factory.maxSize;
  for (const blow of factory.disturbances) {
    await pauseBefore(blow);
    if (blow.what === "abort") controller.abort("aborted");
    else if (blow.what === "advance") time.advance(5);
    else if (blow.what === "grow") queue.maxSize = most = Math.max(most, 7);
    else if (blow.what === "shrink") queue.maxSize = 1;
    else if (blow.what === "close") queue.close();
    else void tasks[blow.which]?.kill();
    assert(queue.size <= most, "no more than maxSize");
  }
  await idle();
  time.advance(100);
  await idle();
  assert(queue.size <= most, "no more than maxSize");
  queue.close();
  await idle();
  for (let got = queue.tryGet(); got.state === "ok"; got = queue.tryGet()) {
    place(got.value, "left inside");
    queue.taskDone();
  }
  assertEquals(ended.state, "resolved", "everybody ends once it is closed");
  for (const { error } of tasks) {
    if (error === undefined || isKilled(error) || error instanceof QueueClosedError) continue;
    assertEquals(error, "aborted", "a task ends with nothing but what was done to it");
  }
  for (let item = 1; item <= lastItem; item++) {
    const found = [0, 1, 2].flatMap((p) => places.get(p * PRIORITY + item) ?? []);
    assertEquals(found.length, 1, `item ${item} is in [${found}]`);
  }
  assertEquals([queue.unfinished, liveWaiters(), time.size], [0, before, 0]);
  assertEquals(await queue.join(), true);
}

test("Queue, PriorityQueue and LifoQueue lose and double no item, random tasks", async () => {
  await fc.assert(fc.asyncProperty(factory, runFactory), { seed: SEED, numRuns: TASK_RUNS });
});
