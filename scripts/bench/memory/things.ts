// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What one thing takes of the heap. Makes many of one kind, holds them, and prints the bytes of one.
 * `scripts/bench/memory.ts` starts it, for each kind and contestant in a process of its own.
 *
 *     things.ts KIND CONTESTANT COUNT
 *
 * @module
 */

// Each kind is used after it was measured, and counted: what was not there would not answer.

import process from "node:process";
import { Channel } from "../../../src/channel.ts";
import { Event } from "../../../src/event.ts";
import { joinAll } from "../../../src/join.ts";
import { spawn } from "../../../src/spawn.ts";
import type { Task } from "../../../src/task.ts";
import { loadPeer, loadStd } from "../peers/load.ts";
import { check, sumBelow } from "../work.ts";
import { settledMemory } from "./heap.ts";

/** So many are made first and dropped: compiled code and tables that are made once are no thing's. */
const WARM = 200;

interface Kind {
  /** Makes one, synchronously; it is held. */
  make(at: number): unknown;
  /** Uses all that were made. @throws {Error} If one is missing. */
  finish(things: unknown[]): Promise<void>;
}

/** What both channels have. */
interface NumberChannel {
  send(value: number): Promise<void>;
  receive(): Promise<number>;
}

type NumberChannelClass = new (options: { capacity: number }) => NumberChannel;

/** Kinds by `kind/contestant`. Each is made anew after the warm-up. */
const KINDS: Record<string, () => Kind | Promise<Kind>> = {
  "task/baozi": parkedTask,
  "task/floor": parkedAsync,
  "task/effect": parkedFiber,
  "task/effection": parkedOperation,
  "waiter/baozi": () => parkedReceive(Channel),
  "waiter/std": async () => parkedReceive(await stdChannel()),
  "waiter/floor": parkedPromise,
  "channel/baozi": () => channel(Channel, 0),
  "channel/std": async () => channel(await stdChannel(), 0),
  "channel/@thi.ng/csp": () => cspChannel(1),
  "channel/js-csp": () => jsCspChannel(),
  "channel-64/baozi": () => channel(Channel, 64),
  "channel-64/std": async () => channel(await stdChannel(), 64),
  "channel-64/@thi.ng/csp": () => cspChannel(64),
  "channel-64/js-csp": () => jsCspChannel(64),
  "channel-64/effect": effectQueue,
};

async function main([kind, contestant, count]: string[]): Promise<void> {
  const start = KINDS[`${kind}/${contestant}`];
  if (start === undefined) throw new Error(`Cannot measure memory: no ${kind} of ${contestant}`);
  await fill(await start(), WARM);
  const bytes = await fill(await start(), Number(count));
  console.log(JSON.stringify({ bytes }));
}

/** Bytes of one of `count`. */
async function fill(kind: Kind, count: number): Promise<number> {
  const things = new Array<unknown>(count).fill(null);
  const before = await settledMemory();
  for (let i = 0; i < count; i++) things[i] = kind.make(i);
  const after = await settledMemory();
  await kind.finish(things);
  return (after.heap - before.heap) / count;
}

function parkedTask(): Kind {
  const gate = new Event();
  let woken = 0;
  const body = async (): Promise<void> => {
    await gate.wait();
    woken++;
  };
  return {
    make: () => spawn(body),
    async finish(tasks) {
      gate.set();
      await joinAll(tasks as Task<void>[]);
      check(woken, tasks.length);
    },
  };
}

/** The least that can be parked with a body: an async function and the promise it waits for. */
function parkedAsync(): Kind {
  const wake: Array<() => void> = [];
  let woken = 0;
  const body = async (): Promise<void> => {
    await new Promise<void>((resolve) => wake.push(resolve));
    woken++;
  };
  return {
    make: body,
    async finish(bodies) {
      for (const resolve of wake) resolve();
      await Promise.all(bodies);
      check(woken, bodies.length);
    },
  };
}

async function stdChannel(): Promise<NumberChannelClass> {
  const std = await loadStd<{ Channel: NumberChannelClass }>();
  if (std === undefined) throw new Error("Cannot measure std: --std must be given");
  return std.Channel;
}

type Operation = Iterable<unknown>;

interface EffectModule {
  Effect: {
    gen(body: () => Generator<unknown>): Operation;
    runSync<T>(effect: Operation): T;
    runFork(effect: Operation): unknown;
    runPromise(effect: Operation): Promise<unknown>;
  };
  Deferred: {
    make(): Operation;
    await(deferred: unknown): Operation;
    succeed(deferred: unknown, value: unknown): Operation;
  };
  Fiber: { joinAll(fibers: Iterable<unknown>): Operation };
  Queue: {
    bounded(capacity: number): Operation;
    size(queue: unknown): Operation;
  };
}

/** Effect: a fiber whose generator awaits a shared Deferred. */
async function parkedFiber(): Promise<Kind> {
  const { Effect, Deferred, Fiber } = await loadPeer<EffectModule>("effect");
  const gate = Effect.runSync(Deferred.make());
  let woken = 0;
  const body = Effect.gen(function* () {
    yield* Deferred.await(gate);
    woken++;
  });
  return {
    make: () => Effect.runFork(body),
    async finish(fibers) {
      await Effect.runPromise(Deferred.succeed(gate, undefined));
      await Effect.runPromise(Fiber.joinAll(fibers));
      check(woken, fibers.length);
    },
  };
}

interface Effection {
  run(body: () => Generator<unknown>): PromiseLike<unknown> & { halt(): PromiseLike<unknown> };
  suspend(): Operation;
}

/** Effection: a task that suspends until it is halted. */
async function parkedOperation(): Promise<Kind> {
  const { run, suspend } = await loadPeer<Effection>("effection");
  let halted = 0;
  const body = function* (): Generator<unknown> {
    try {
      yield* suspend();
    } finally {
      halted++;
    }
  };
  return {
    make() {
      const task = run(body);
      // It rejects when it is halted.
      Promise.resolve(task).catch(() => {});
      return task;
    },
    async finish(tasks) {
      for (const task of tasks as Array<ReturnType<Effection["run"]>>) await task.halt();
      check(halted, tasks.length);
    },
  };
}

function parkedReceive(channelClass: NumberChannelClass): Kind {
  const ch = new channelClass({ capacity: 0 });
  return {
    make: () => ch.receive(),
    async finish(receives) {
      for (let i = 0; i < receives.length; i++) await ch.send(i);
      let sum = 0;
      for (const value of await Promise.all(receives as Array<Promise<number>>)) sum += value;
      check(sum, sumBelow(receives.length));
    },
  };
}

/** The least that can be waited for: a promise and its resolver. */
function parkedPromise(): Kind {
  const wake: Array<(value: number) => void> = [];
  return {
    make: () => new Promise<number>((resolve) => wake.push(resolve)),
    async finish(promises) {
      for (const [i, resolve] of wake.entries()) resolve(i);
      let sum = 0;
      for (const value of await Promise.all(promises as Array<Promise<number>>)) sum += value;
      check(sum, sumBelow(promises.length));
    },
  };
}

function channel(channelClass: NumberChannelClass, capacity: number): Kind {
  return {
    make: () => new channelClass({ capacity }),
    async finish(channels) {
      let sum = 0;
      for (const [i, ch] of (channels as NumberChannel[]).entries()) {
        const sent = ch.send(i);
        sum += await ch.receive();
        await sent;
      }
      check(sum, sumBelow(channels.length));
    },
  };
}

interface CspChannel {
  write(value: number): Promise<boolean>;
  read(): Promise<number | undefined>;
}

/** `channel(capacity)` of @thi.ng/csp; its least capacity is 1. */
async function cspChannel(capacity: number): Promise<Kind> {
  const { channel } = await loadPeer<{ channel(capacity: number): CspChannel }>("@thi.ng/csp");
  return {
    make: () => channel(capacity),
    async finish(channels) {
      let sum = 0;
      for (const [i, ch] of (channels as CspChannel[]).entries()) {
        const sent = ch.write(i);
        sum += (await ch.read())!;
        await sent;
      }
      check(sum, sumBelow(channels.length));
    },
  };
}

interface JsCsp {
  chan(buffer?: number): unknown;
  putAsync(ch: unknown, value: number): void;
  takeAsync(ch: unknown, callback: (value: number) => void): void;
}

/** `chan()` of js-csp. */
async function jsCspChannel(capacity?: number): Promise<Kind> {
  // A CommonJS package: some hosts find its names, some put them into `default`.
  const module = await loadPeer<JsCsp & { default?: JsCsp }>("js-csp");
  const { chan, putAsync, takeAsync } = module.default ?? module;
  return {
    make: () => chan(capacity),
    async finish(channels) {
      let sum = 0;
      for (const [i, ch] of channels.entries()) {
        putAsync(ch, i);
        sum += await new Promise<number>((resolve) => takeAsync(ch, resolve));
      }
      check(sum, sumBelow(channels.length));
    },
  };
}

/** `Queue.bounded` of Effect. */
async function effectQueue(): Promise<Kind> {
  const { Effect, Queue } = await loadPeer<EffectModule>("effect");
  const make = Queue.bounded(64);
  return {
    make: () => Effect.runSync(make),
    finish(queues) {
      let empty = 0;
      for (const queue of queues) if (Effect.runSync<number>(Queue.size(queue)) === 0) empty++;
      check(empty, queues.length);
      return Promise.resolve();
    },
  };
}

await main(process.argv.slice(2));
process.exit(0);
