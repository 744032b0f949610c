// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Random programs against a channel. The first property compares each step with a model that is
 * plain arrays; the second runs tasks that loop, and only counts values.
 *
 * @module
 */

// Source: Jepsen's total-queue (nothing lost, doubled or invented) for the accounts; the model is the
// sequential specification, which one thread makes exact: each verb takes effect in its own call.

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { type Context, currentContext, runIn } from "../src/_kernel/current.ts";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { Channel, type Overflow } from "../src/channel.ts";
import { ChannelClosedError, isKilled, TimeoutError } from "../src/errors.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import type { Task } from "../src/task.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome } from "./outcome.ts";

/** More, or another seed, for a longer search; a failure prints its seed and path. */
const SEED = 20261121;
const MODEL_RUNS = 3000;
const TASK_RUNS = 3000;

const SIGNALS = 2;
const TASKS = 2;
const ITERATORS = 4;

noLeaks();

// -- Programs --

/** How an operation may be ended from outside. */
interface Ends {
  signal: number | null;
  task: number | null;
  timeout: number | null;
}

type Command =
  | { verb: "send" | "receive"; ends: Ends }
  | { verb: "next"; iterator: number; task: number | null }
  | { verb: "return"; iterator: number }
  | { verb: "trySend" | "tryReceive" | "macrotask" }
  | { verb: "microtasks"; count: number }
  | { verb: "abort" | "kill"; which: number }
  | { verb: "advance"; ms: number }
  | { verb: "close" | "cancel"; reason: boolean };

interface Program {
  capacity: number;
  overflow: Overflow;
  commands: Command[];
}

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

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ verb: fc.constantFrom("send" as const, "receive" as const), ends }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      verb: fc.constant("next" as const),
      iterator: fc.nat(ITERATORS - 1),
      task: nobodyOr(TASKS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constant("return" as const),
      iterator: fc.nat(ITERATORS - 1),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ verb: fc.constantFrom("trySend" as const, "tryReceive" as const) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("microtasks" as const),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Command>({ verb: "macrotask" }) },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constantFrom("abort" as const, "kill" as const),
      which: fc.nat(Math.min(SIGNALS, TASKS) - 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ verb: fc.constant("advance" as const), ms: fc.constantFrom(0, 1, 5) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constantFrom("close" as const, "cancel" as const),
      reason: fc.boolean(),
    }),
  },
);

const program: fc.Arbitrary<Program> = fc.record({
  capacity: fc.constantFrom(0, 1, 2, 5, Infinity),
  overflow: fc.constantFrom<Overflow>("wait", "drop-oldest", "drop-newest"),
  commands: fc.array(command, { minLength: 1, maxLength: 50, size: "max" }),
}).map(({ capacity, overflow, commands }) => ({
  capacity,
  commands,
  overflow: capacity === 0 || capacity === Infinity ? "wait" : overflow,
}));

// -- The model --

const CLOSE_REASON = new Error("closed");
const KILL_REASONS = [new Error("killed 0"), new Error("killed 1")];
const ABORT_REASONS = ["aborted 0", "aborted 1"];

/** How an operation must end; `values` are those that it receives. */
type End =
  | { how: "sent" }
  | { how: "got"; values: number[] }
  | { how: "done" }
  | { how: "closed"; value?: number }
  | { how: "timed out" }
  | { how: "error"; error: unknown };

interface Operation {
  kind: "send" | "receive" | "value" | "chunk";
  /** What a send carries. */
  value: number;
  iterator: number;
  signal: number | null;
  task: number | null;
  deadline: number;
  end: End | null;
}

/** The specification: what a channel is, with all the time in the world. */
class Model {
  readonly buffer: number[] = [];
  senders: Operation[] = [];
  receivers: Operation[] = [];
  closed = false;
  failed = false;
  now = 0;
  readonly aborted: boolean[] = Array(SIGNALS).fill(false);
  readonly killed: boolean[] = Array(TASKS).fill(false);
  readonly returned: boolean[] = Array(ITERATORS).fill(false);
  /** Values in the order in which they were handed to receivers. */
  readonly handed: number[] = [];
  readonly undelivered: number[] = [];

  constructor(readonly capacity: number, readonly overflow: Overflow) {}

  send(operation: Operation): void {
    const refusal = this.#refusal(operation);
    if (refusal !== null) operation.end = refusal;
    else if (this.closed) operation.end = { how: "closed", value: operation.value };
    else if (this.put(operation.value)) operation.end = { how: "sent" };
    else if (this.overflow === "drop-newest") {
      this.undelivered.push(operation.value);
      operation.end = { how: "sent" };
    } else this.senders.push(operation);
  }

  put(value: number): boolean {
    if (this.closed) return false;
    const receiver = this.receivers.shift();
    if (receiver !== undefined) {
      this.#give(receiver, [value]);
      return true;
    }
    if (this.buffer.length === this.capacity) {
      if (this.overflow !== "drop-oldest") return false;
      this.undelivered.push(this.buffer.shift()!);
    }
    this.buffer.push(value);
    return true;
  }

  receive(operation: Operation, max = 1): void {
    const refusal = this.#refusal(operation);
    if (refusal !== null) {
      operation.end = refusal;
      return;
    }
    const values = this.take(max);
    if (values.length > 0) this.#give(operation, values);
    else if (this.closed) operation.end = this.#ended(operation);
    else this.receivers.push(operation);
  }

  next(operation: Operation, max: number): void {
    if (this.returned[operation.iterator]) operation.end = { how: "done" };
    else this.receive(operation, max);
    if (operation.iterator === 1 && this.#refusal(operation) !== null) this.cancel(false);
  }

  /** Takes values one after the other, refilling the buffer from the senders each time. */
  take(max: number): number[] {
    const values: number[] = [];
    while (values.length < max && this.buffer.length + this.senders.length > 0) {
      if (this.senders.length > 0) {
        const sender = this.senders.shift()!;
        this.buffer.push(sender.value);
        sender.end = { how: "sent" };
      }
      values.push(this.buffer.shift()!);
    }
    return values;
  }

  return(iterator: number): void {
    this.returned[iterator] = true;
    this.#leave((operation) => operation.iterator === iterator, () => ({ how: "done" }));
    if (iterator === 1) this.cancel(false); // the one with closeOnReturn
  }

  close(reason: boolean): boolean {
    if (this.closed) return false;
    this.closed = true;
    this.failed = reason;
    for (const sender of this.senders) sender.end = { how: "closed", value: sender.value };
    for (const receiver of this.receivers) receiver.end = this.#ended(receiver);
    this.senders = [];
    this.receivers = [];
    return true;
  }

  cancel(reason: boolean): boolean {
    const closed = this.close(reason);
    this.undelivered.push(...this.buffer.splice(0));
    return closed;
  }

  abort(which: number): void {
    this.aborted[which] = true;
    this.#leave(
      ({ signal }) => signal === which,
      () => ({ how: "error", error: ABORT_REASONS[which] }),
    );
  }

  kill(which: number): boolean {
    this.killed[which] = true;
    const sole = this.receivers.some(({ iterator, task }) => iterator === 1 && task === which);
    this.#leave(
      ({ task }) => task === which,
      () => ({ how: "error", error: KILL_REASONS[which] }),
    );
    if (sole) this.cancel(false); // a kill ends the loop, too
    return sole;
  }

  advance(ms: number): void {
    this.now += ms;
    this.#leave(({ deadline }) => deadline <= this.now, () => ({ how: "timed out" }));
  }

  #refusal({ task, signal }: Operation): End | null {
    if (task !== null && this.killed[task]) return { how: "error", error: KILL_REASONS[task] };
    if (signal !== null && this.aborted[signal]) {
      return { how: "error", error: ABORT_REASONS[signal] };
    }
    return null;
  }

  #give(operation: Operation, values: number[]): void {
    this.handed.push(...values);
    operation.end = { how: "got", values };
  }

  #ended(operation: Operation): End {
    if (this.failed) return { how: "error", error: CLOSE_REASON };
    return operation.kind === "receive" ? { how: "closed" } : { how: "done" };
  }

  #leave(which: (operation: Operation) => boolean, end: () => End): void {
    const stays = (operation: Operation): boolean => {
      if (!which(operation)) return true;
      operation.end = end();
      return false;
    };
    this.senders = this.senders.filter(stays);
    this.receivers = this.receivers.filter(stays);
  }
}

// -- The real one --

/** How a real operation ended, in the words of the model. */
async function observe(kind: Operation["kind"], promise: Promise<unknown>): Promise<End> {
  try {
    const result = await promise;
    if (kind === "send") return { how: "sent" };
    if (kind === "receive") return { how: "got", values: [result as number] };
    const { done, value } = result as IteratorResult<number | number[]>;
    if (done) return { how: "done" };
    return { how: "got", values: kind === "chunk" ? value as number[] : [value as number] };
  } catch (error) {
    if (error instanceof TimeoutError) return { how: "timed out" };
    if (!(error instanceof ChannelClosedError)) return { how: "error", error };
    return "value" in error ? { how: "closed", value: error.value as number } : { how: "closed" };
  }
}

interface LivingTask {
  task: Task<void>;
  context: Context;
}

/** Tasks that live until `end` settles, killed or not, so that any call can be made inside one. */
async function livingTasks(end: Promise<void>): Promise<LivingTask[]> {
  const contexts: Context[] = [];
  const tasks = Array.from({ length: TASKS }, () =>
    spawn(() => {
      contexts.push(currentContext()!);
      return end;
    }));
  await idle();
  return tasks.map((task, i) => ({ task, context: contexts[i]! }));
}

/** Runs the program on both, and leaves nothing behind also when they differ. */
async function runProgram(program: Program): Promise<void> {
  using time = new ManualClock();
  const undelivered: number[] = [];
  const onUndelivered = (value: number) => undelivered.push(value);
  const { capacity, overflow } = program;
  const ch = capacity === Infinity
    ? Channel.unbounded<number>({ onUndelivered })
    : new Channel<number>({ capacity, overflow, onUndelivered });
  let end = () => {};
  const living = await livingTasks(new Promise((resolve) => end = resolve));
  try {
    await compare(program, { time, undelivered, ch, living });
  } finally {
    ch.cancel();
    end();
    await idle();
  }
  assertEquals([liveWaiters(), time.size], [0, 0]);
}

interface Setup {
  time: ManualClock;
  undelivered: number[];
  ch: Channel<number>;
  living: LivingTask[];
}

/** Runs the program step by step on the channel and on the model. */
async function compare(
  { capacity, overflow, commands }: Program,
  { time, undelivered, ch, living }: Setup,
): Promise<void> {
  const model = new Model(capacity, overflow);
  const iterators = [
    ch.values(),
    ch.values({ closeOnReturn: true }),
    ch.chunks(2),
    ch[Symbol.asyncIterator](),
  ];
  const controllers = Array.from({ length: SIGNALS }, () => new AbortController());
  /** The waits of `kill()`, which last until the task has ended. */
  let kills = 0;

  const operations: Array<{ model: Operation; real: End | null; ended: Promise<unknown> }> = [];
  /** Values in the order in which their receivers went on. */
  const received: number[] = [];
  /** Where each value ended, by the caller's own books; the model has no part in them. */
  const places = new Map<number, string[]>();
  const place = (value: number, where: string): void => {
    const known = places.get(value);
    if (known === undefined) places.set(value, [where]);
    else known.push(where);
  };
  let lastValue = 0;

  const start = (
    kind: Operation["kind"],
    { signal, task, timeout }: Ends,
    iterator: number,
    call: () => Promise<unknown>,
  ): Operation => {
    const value = kind === "send" ? lastValue : 0;
    const operation: Operation = {
      kind,
      value,
      iterator,
      signal,
      task,
      deadline: time.now() + (timeout ?? Infinity),
      end: null,
    };
    const promise = task === null ? call() : runIn(living[task]!.context, call);
    const entry = { model: operation, real: null as End | null, ended: Promise.resolve() };
    entry.ended = observe(kind, promise).then((real) => {
      entry.real = real;
      if (real.how === "got") {
        received.push(...real.values);
        for (const got of real.values) place(got, "received");
      }
      if (kind !== "send" || real.how === "sent") return;
      if (real.how === "closed") place(real.value!, "on the error");
      else place(value, "kept by the caller");
    });
    operations.push(entry);
    return operation;
  };

  const check = (): void => {
    assertEquals(
      [ch.size, ch.closed, undelivered, liveWaiters() - kills],
      [
        model.buffer.length,
        model.closed,
        model.undelivered,
        model.senders.length + model.receivers.length,
      ],
    );
    assert(ch.size <= capacity);
  };
  const checkEnds = async (): Promise<void> => {
    await idle();
    for (const { model, real } of operations) assertEquals(real, model.end);
    // Who was handed a value first also goes on first.
    assertEquals(received, model.handed);
  };

  for (const step of commands) {
    switch (step.verb) {
      case "send":
      case "receive": {
        const { signal, timeout } = step.ends;
        const options = {
          signal: signal === null ? undefined : controllers[signal]!.signal,
          timeout: timeout ?? undefined,
        };
        if (step.verb === "send") {
          const value = ++lastValue;
          model.send(start("send", step.ends, -1, () => ch.send(value, options)));
        } else {
          model.receive(start("receive", step.ends, -1, () => ch.receive(options)));
        }
        break;
      }
      case "next": {
        const { iterator, task } = step, kind = iterator === 2 ? "chunk" : "value";
        model.next(
          start(
            kind,
            { signal: null, timeout: null, task },
            iterator,
            () => iterators[iterator]!.next(),
          ),
          kind === "chunk" ? 2 : 1,
        );
        break;
      }
      case "return":
        void iterators[step.iterator]!.return!();
        model.return(step.iterator);
        break;
      case "trySend": {
        const value = ++lastValue, sent = ch.trySend(value);
        assertEquals(sent, model.put(value));
        if (!sent) place(value, "kept by the caller");
        break;
      }
      case "tryReceive": {
        const got = ch.tryReceive(), [value] = model.take(1);
        if (got.state === "ok") {
          assertEquals(got.value, value);
          place(got.value, "received");
        } else {
          assertEquals([value, got.state], [undefined, model.closed ? "closed" : "empty"]);
        }
        break;
      }
      case "microtasks":
        for (let i = 0; i < step.count; i++) await undefined;
        break;
      case "macrotask":
        await checkEnds();
        break;
      case "abort":
        controllers[step.which]!.abort(ABORT_REASONS[step.which]);
        model.abort(step.which);
        break;
      case "kill":
        void living[step.which]!.task.kill(KILL_REASONS[step.which]);
        kills++;
        // The channel of a sole consumer is cancelled after all waits of the task have ended.
        if (model.kill(step.which)) await undefined;
        break;
      case "advance":
        time.advance(step.ms);
        model.advance(step.ms);
        break;
      case "close":
      case "cancel": {
        const reason: [] | [unknown] = step.reason ? [CLOSE_REASON] : [];
        assertEquals(ch[step.verb](...reason), model[step.verb](step.reason));
        break;
      }
    }
    check();
  }

  ch.cancel();
  model.cancel(false);
  check();
  await checkEnds();
  for (const value of undelivered) place(value, "undelivered");
  for (let value = 1; value <= lastValue; value++) {
    assertEquals(places.get(value)?.length, 1, `value ${value} is in ${places.get(value)}`);
  }
  assertEquals(places.size, lastValue, "nothing is invented");
  assertEquals(received, [...received].sort((a, b) => a - b), "first in, first out");
}

test("Channel does what its model does, random programs", async () => {
  await fc.assert(fc.asyncProperty(program, runProgram), { seed: SEED, numRuns: MODEL_RUNS });
});

// -- Tasks --

interface Producer {
  count: number;
  pause: number;
  timeout: number | null;
  abortable: boolean;
  tries: boolean;
}

interface Consumer {
  style: "receive" | "values" | "chunks" | "try" | "stream";
  pause: number;
  /** Leaves after so many turns. */
  turns: number;
  abortable: boolean;
}

interface Disturbance {
  /** Macrotasks before it, or with a negative number, microtasks. */
  after: number;
  what: "kill producer" | "kill consumer" | "abort" | "advance" | "close" | "cancel";
  which: number;
}

interface Factory {
  capacity: number;
  overflow: Overflow;
  producers: Producer[];
  consumers: Consumer[];
  disturbances: Disturbance[];
}

const pause = fc.integer({ min: -2, max: 3 });

const factory: fc.Arbitrary<Factory> = fc.record({
  capacity: fc.constantFrom(0, 1, 3, 16),
  overflow: fc.constantFrom<Overflow>("wait", "wait", "drop-oldest", "drop-newest"),
  producers: fc.array(
    fc.record({
      count: fc.integer({ min: 1, max: 12 }),
      pause,
      timeout: fc.constantFrom(null, null, 0, 5),
      abortable: fc.boolean(),
      tries: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  consumers: fc.array(
    fc.record({
      style: fc.constantFrom<Consumer["style"]>("receive", "values", "chunks", "try", "stream"),
      pause,
      turns: fc.integer({ min: 1, max: 20 }),
      abortable: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  disturbances: fc.array(
    fc.record({
      after: fc.integer({ min: -6, max: 2 }),
      what: fc.constantFrom<Disturbance["what"]>(
        "kill producer",
        "kill consumer",
        "kill producer",
        "kill consumer",
        "abort",
        "advance",
        "advance",
        "close",
        "cancel",
      ),
      which: fc.nat(3),
    }),
    { maxLength: 6 },
  ),
}).map((factory) => factory.capacity === 0 ? { ...factory, overflow: "wait" } : factory);

/** Turns of the run queue, or with a negative number, microtasks. */
async function rest(pause: number): Promise<void> {
  for (let i = 0; i < pause; i++) await sleep(0);
  for (let i = 0; i > pause; i--) await undefined;
}

async function runFactory(factory: Factory): Promise<void> {
  using time = new ManualClock();
  const places = new Map<string, string[]>();
  const place = (value: string, where: string): void => {
    places.set(value, [...places.get(value) ?? [], where]);
  };
  const ch = new Channel<string>({
    capacity: factory.capacity,
    overflow: factory.overflow,
    onUndelivered: (value) => place(value, "undelivered"),
  });
  const controller = new AbortController();
  const offered = new Set<string>();
  /** What each consumer got, in its order. */
  const logs: string[][] = factory.consumers.map(() => []);

  const produce = async (producer: Producer, name: number): Promise<void> => {
    const signal = producer.abortable ? controller.signal : undefined;
    for (let i = 0; i < producer.count; i++) {
      const value = `${name}:${i}`;
      offered.add(value);
      try {
        if (producer.tries && i % 2 === 0) {
          if (!ch.trySend(value)) place(value, "kept by the caller");
        } else {
          await ch.send(value, { signal, timeout: producer.timeout ?? undefined });
        }
      } catch (error) {
        if (error instanceof ChannelClosedError) place(error.value as string, "on the error");
        else place(value, "kept by the caller");
        if (isKilled(error)) throw error;
      }
      await rest(producer.pause);
    }
  };

  const consume = async (consumer: Consumer, log: string[]): Promise<void> => {
    const take = (...values: string[]): boolean => {
      for (const value of values) {
        log.push(value);
        place(value, "received");
      }
      return --turns <= 0;
    };
    let { turns } = consumer;
    const signal = consumer.abortable ? controller.signal : undefined;
    switch (consumer.style) {
      case "receive":
        while (turns > 0) {
          take(await ch.receive({ signal, timeout: 20 }));
          await rest(consumer.pause);
        }
        break;
      case "values":
        for await (const value of ch) {
          if (take(value)) break;
          await rest(consumer.pause);
        }
        break;
      case "chunks":
        for await (const values of ch.chunks(3)) {
          if (take(...values)) break;
          await rest(consumer.pause);
        }
        break;
      case "try":
        for (; turns > 0; turns--) {
          const got = ch.tryReceive();
          if (got.state === "ok") take(got.value);
          if (got.state === "closed") break;
          await rest(Math.max(1, consumer.pause));
        }
        break;
      case "stream": {
        const reader = ch.toReadableStream().getReader();
        while (turns > 1) {
          const read = await reader.read();
          if (read.done) return;
          take(read.value);
          await rest(consumer.pause);
        }
        // A kill reaches the stream through its pull; what a read has got counts all the same.
        const last = reader.read().then(({ done, value }) => {
          if (!done) take(value);
        }, () => {});
        try {
          await rest(consumer.pause);
        } finally {
          await reader.cancel();
          await last;
        }
      }
    }
  };

  const quiet = (error: unknown): void => {
    if (!(error instanceof ChannelClosedError || error instanceof TimeoutError)) throw error;
  };
  const producers = factory.producers.map((one, name) => spawn(() => produce(one, name)));
  const consumers = factory.consumers.map((one, i) =>
    spawn(() => consume(one, logs[i]!).catch(quiet))
  );
  const tasks: Array<Task<void>> = [...producers, ...consumers];
  const ended = outcome(Promise.all(tasks.map((task) => task.join())));
  for (const { after, what, which } of factory.disturbances) {
    for (let i = 0; i < after; i++) await idle();
    for (let i = 0; i > after; i--) await undefined;
    if (what === "abort") controller.abort("aborted");
    else if (what === "advance") time.advance(5);
    else if (what === "close") ch.close();
    else if (what === "cancel") ch.cancel();
    else void (what === "kill producer" ? producers : consumers)[which]?.kill();
    assert(ch.size <= factory.capacity);
  }
  await idle();
  assert(ch.size <= factory.capacity);
  ch.close();
  time.advance(20);
  await idle();
  for (let got = ch.tryReceive(); got.state === "ok"; got = ch.tryReceive()) {
    place(got.value, "left in the buffer");
  }
  assertEquals(ended.state, "resolved", "every task ends once the channel is closed");
  for (const task of tasks) {
    if (task.error !== undefined && !isKilled(task.error)) {
      assertEquals(task.error, "aborted", "a task ends with nothing but what was done to it");
    }
  }
  for (const value of offered) {
    assertEquals(places.get(value)?.length, 1, `value ${value} is in ${places.get(value)}`);
  }
  assertEquals(places.size, offered.size, "nothing is invented");
  for (const log of logs) {
    for (const name of producers.keys()) {
      const numbers = log.filter((value) => value.startsWith(`${name}:`))
        .map((value) => Number(value.slice(2)));
      assertEquals(numbers, [...numbers].sort((a, b) => a - b), "first in, first out");
    }
  }
  assertEquals([liveWaiters(), time.size], [0, 0]);
}

test("Channel loses, doubles and invents no value, random tasks", async () => {
  await fc.assert(fc.asyncProperty(factory, runFactory), { seed: SEED, numRuns: TASK_RUNS });
});
