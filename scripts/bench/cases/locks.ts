// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Semaphore, mutex and queue with more who want than there is: nearly every operation parks and is
 * served by another one.
 *
 * @module
 */

import { joinAll } from "../../../src/join.ts";
import { Mutex } from "../../../src/mutex.ts";
import { Queue } from "../../../src/queue.ts";
import { Semaphore } from "../../../src/semaphore.ts";
import { spawn } from "../../../src/spawn.ts";
import { loadEffect, type Operation } from "../peers/effect.ts";
import { loadPeer } from "../peers/load.ts";
import { type Batch, type Case, check, sumBelow } from "../work.ts";

const WORKERS = 100;
const PERMITS = 10;
/** On each side of the queue. */
const SIDES = 10;
const ROOM = 16;

/** All of them. */
export const LOCKS: Case[] = [
  {
    id: "semaphore",
    group: "Locks",
    title: "semaphore: 100 async functions, 10 permits",
    size: 5_000,
    quick: true,
    contestants: {
      baozi: (size) => underSemaphore(size, together),
      "async-mutex": byAsyncSemaphore,
      "p-limit": (size) => byLimit(size, PERMITS),
      effect: (size) => byEffectSemaphore(size, PERMITS),
    },
  },
  {
    id: "semaphore-in-tasks",
    group: "Locks",
    title: "semaphore: 100 tasks, 10 permits",
    size: 5_000,
    ambient: true,
    contestants: {
      baozi: (size) => underSemaphore(size, inTasks),
      effect: (size) => byEffectSemaphore(size, PERMITS),
    },
  },
  {
    id: "mutex",
    group: "Locks",
    title: "mutex: 100 async functions",
    size: 5_000,
    contestants: {
      baozi: underMutex,
      "async-mutex": byAsyncMutex,
      "p-limit": (size) => byLimit(size, 1),
      effect: (size) => byEffectSemaphore(size, 1),
    },
  },
  {
    id: "queue",
    group: "Locks",
    title: "queue of 16: 10 put, 10 get",
    size: 5_000,
    quick: true,
    contestants: {
      baozi: (size) => throughQueue(size, together),
      effect: byEffectQueue,
    },
  },
  {
    id: "queue-in-tasks",
    group: "Locks",
    title: "queue of 16: 10 tasks put, 10 get",
    size: 5_000,
    ambient: true,
    contestants: {
      baozi: (size) => throughQueue(size, inTasks),
      effect: byEffectQueue,
    },
  },
];

/** Calls `fn` with 0, 1, … and waits for all. */
type Run = (count: number, fn: (at: number) => Promise<void>) => Promise<unknown>;

const together: Run = (count, fn) => Promise.all(Array.from({ length: count }, (_, i) => fn(i)));

const inTasks: Run = (count, fn) =>
  joinAll(Array.from({ length: count }, (_, i) => spawn(fn, i)), { raiseError: true });

/** What is done while something is held: others run, and ask for it too. */
const RESOLVED: Promise<void> = Promise.resolve();

/** How many were inside at once, and how often. */
class Room {
  entered = 0;
  readonly #size: number;
  #inside = 0;

  constructor(size: number) {
    this.#size = size;
  }

  enter(): void {
    this.entered++;
    if (++this.#inside > this.#size) {
      throw new Error(`Cannot enter: more than ${this.#size} inside`);
    }
  }

  leave(): void {
    this.#inside--;
  }
}

/** The batch of workers of which each enters again and again, by `hold`. */
function guarded(
  size: number,
  permits: number,
  run: Run,
  hold: (room: Room) => Promise<void>,
): Batch {
  const each = size / WORKERS;
  return async () => {
    const room = new Room(permits);
    await run(WORKERS, async () => {
      for (let i = 0; i < each; i++) await hold(room);
    });
    check(room.entered, size);
  };
}

function underSemaphore(size: number, run: Run): Batch {
  const semaphore = new Semaphore(PERMITS);
  return guarded(size, PERMITS, run, async (room) => {
    const permit = await semaphore.acquire();
    room.enter();
    await RESOLVED;
    room.leave();
    permit.release();
  });
}

function underMutex(size: number): Batch {
  const mutex = new Mutex();
  return guarded(size, 1, together, async (room) => {
    const lock = await mutex.acquire();
    room.enter();
    await RESOLVED;
    room.leave();
    lock.release();
  });
}

interface AsyncMutex {
  Semaphore: new (permits: number) => { acquire(): Promise<[number, () => void]> };
  Mutex: new () => { acquire(): Promise<() => void> };
}

/** async-mutex: `Semaphore.acquire()`, and the function that it gives to release. */
async function byAsyncSemaphore(size: number): Promise<Batch> {
  const { Semaphore } = await loadPeer<AsyncMutex>("async-mutex");
  const semaphore = new Semaphore(PERMITS);
  return guarded(size, PERMITS, together, async (room) => {
    const [, release] = await semaphore.acquire();
    room.enter();
    await RESOLVED;
    room.leave();
    release();
  });
}

/** async-mutex: `Mutex.acquire()`, and the function that it gives to release. */
async function byAsyncMutex(size: number): Promise<Batch> {
  const { Mutex } = await loadPeer<AsyncMutex>("async-mutex");
  const mutex = new Mutex();
  return guarded(size, 1, together, async (room) => {
    const release = await mutex.acquire();
    room.enter();
    await RESOLVED;
    room.leave();
    release();
  });
}

/** p-limit: `limit(fn, …)`, which is called when there is a place. */
async function byLimit(size: number, permits: number): Promise<Batch> {
  type Limit = <A>(fn: (argument: A) => Promise<void>, argument: A) => Promise<void>;
  const { default: pLimit } = await loadPeer<{ default(concurrency: number): Limit }>("p-limit");
  const limit = pLimit(permits);
  const inside = async (room: Room): Promise<void> => {
    room.enter();
    await RESOLVED;
    room.leave();
  };
  return guarded(size, permits, together, (room) => limit(inside, room));
}

/** effect: `Semaphore.withPermit` in fibers of `Effect.forEach`. */
async function byEffectSemaphore(size: number, permits: number): Promise<Batch> {
  interface EffectSemaphore {
    withPermit<T>(effect: Operation<T>): Operation<T>;
  }
  interface SemaphoreModule {
    makeUnsafe(permits: number): EffectSemaphore;
  }
  const [Effect, Semaphore] = await Promise.all([
    loadEffect(),
    loadPeer<SemaphoreModule>("effect/Semaphore"),
  ]);
  const semaphore = Semaphore.makeUnsafe(permits);
  const each = size / WORKERS;
  const workers = Array.from({ length: WORKERS }, (_, i) => i);
  return async () => {
    const room = new Room(permits);
    const inside = Effect.promise(async () => {
      room.enter();
      await RESOLVED;
      room.leave();
    });
    const held = semaphore.withPermit(inside);
    const worker = Effect.gen(function* () {
      for (let i = 0; i < each; i++) yield* held;
    });
    await Effect.runPromise(Effect.forEach(workers, () => worker, { concurrency: "unbounded" }));
    check(room.entered, size);
  };
}

function throughQueue(size: number, run: Run): Batch {
  const each = size / SIDES;
  return async () => {
    const queue = new Queue<number>(ROOM);
    let sum = 0;
    await run(2 * SIDES, async (at) => {
      if (at < SIDES) { for (let i = 0; i < each; i++) await queue.put(i); }
      else {
        for (let i = 0; i < each; i++) {
          const item = await queue.get();
          sum += item; // not in one: it would add to what the sum was before the wait
        }
      }
    });
    check(sum, SIDES * sumBelow(each));
  };
}

/** effect: `Queue.bounded`, `offer` and `take`, in fibers of `Effect.forEach`. */
async function byEffectQueue(size: number): Promise<Batch> {
  interface EffectQueue {
    readonly "~queue"?: true;
  }
  interface QueueModule {
    bounded(capacity: number): Operation<EffectQueue>;
    offer(queue: EffectQueue, item: number): Operation<boolean>;
    take(queue: EffectQueue): Operation<number>;
  }
  const [Effect, Queue] = await Promise.all([loadEffect(), loadPeer<QueueModule>("effect/Queue")]);
  const each = size / SIDES;
  const workers = Array.from({ length: 2 * SIDES }, (_, i) => i);
  return async () => {
    const sum = await Effect.runPromise(Effect.gen(function* () {
      const queue = yield* Queue.bounded(ROOM);
      let sum = 0;
      const worker = (at: number) =>
        Effect.gen(function* () {
          if (at < SIDES) { for (let i = 0; i < each; i++) yield* Queue.offer(queue, i); }
          else {
            for (let i = 0; i < each; i++) {
              const item = yield* Queue.take(queue);
              sum += item;
            }
          }
        });
      yield* Effect.forEach(workers, worker, { concurrency: "unbounded" });
      return sum;
    }));
    check(sum, SIDES * sumBelow(each));
  };
}
