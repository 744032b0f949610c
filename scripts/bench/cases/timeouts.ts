// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Limits and signals that never end anything, which is the usual case.
 *
 * @module
 */

import { setMaxListeners } from "node:events";
import { Channel } from "../../../src/channel.ts";
import { withTimeout } from "../../../src/timeout.ts";
import { loadEffect, loadEffection, type Operation } from "../peers/effect.ts";
import { loadPeer } from "../peers/load.ts";
import { type Batch, type Case, check, sumBelow } from "../work.ts";

/** Longer than a batch takes, so that none is over. */
const LIMIT_MS = 10_000;

/** All of them. */
export const TIMEOUTS: Case[] = [
  {
    id: "receive-timeout",
    group: "Limits that never fire",
    title: "receive with a timeout, one after another",
    size: 5_000,
    quick: true,
    contestants: {
      baozi: (size) => received(size, (ch) => ch.receive({ timeout: LIMIT_MS })),
      "set-timeout": (size) => handedOver(size, limitedByTimer),
      "signal-timeout": (size) =>
        handedOver(size, (wait) => abortable(wait, AbortSignal.timeout(LIMIT_MS))),
      "p-timeout": (size) => byPTimeout(size, () => ({ milliseconds: LIMIT_MS })),
      effect: byEffectTake,
    },
  },
  {
    id: "receive-timeout-at-once",
    group: "Limits that never fire",
    title: "receive with a timeout, 5,000 at once",
    size: 5_000,
    contestants: {
      baozi: (size) => receivedAtOnce(size, (ch) => ch.receive({ timeout: LIMIT_MS })),
      "set-timeout": (size) => handedOverAtOnce(size, limitedByTimer),
      "signal-timeout": (size) =>
        handedOverAtOnce(size, (wait) => abortable(wait, AbortSignal.timeout(LIMIT_MS))),
      "p-timeout": (size) => byPTimeoutAtOnce(size, () => ({ milliseconds: LIMIT_MS })),
    },
  },
  {
    id: "receive-signal",
    group: "Limits that never fire",
    title: "receive with one shared signal, one after another",
    size: 5_000,
    contestants: {
      baozi: (size) => {
        const { signal } = new AbortController();
        return received(size, (ch) => ch.receive({ signal }));
      },
      listener: (size) => {
        const { signal } = new AbortController();
        return handedOver(size, (wait) => abortable(wait, signal));
      },
      "p-timeout": (size) => {
        const { signal } = new AbortController();
        return byPTimeout(size, () => ({ milliseconds: Infinity, signal }));
      },
    },
  },
  {
    id: "receive-signal-at-once",
    group: "Limits that never fire",
    title: "receive with one shared signal, 5,000 at once",
    size: 5_000,
    contestants: {
      baozi: (size) => {
        const { signal } = new AbortController();
        return receivedAtOnce(size, (ch) => ch.receive({ signal }));
      },
      listener: (size) => {
        const signal = crowdedSignal();
        return handedOverAtOnce(size, (wait) => abortable(wait, signal));
      },
      "p-timeout": (size) => {
        const signal = crowdedSignal();
        return byPTimeoutAtOnce(size, () => ({ milliseconds: Infinity, signal }));
      },
    },
  },
  {
    id: "receive-timeout-signal",
    group: "Limits that never fire",
    title: "receive with a timeout and a shared signal",
    size: 1_000,
    contestants: {
      baozi: (size) => {
        const { signal } = new AbortController();
        return received(size, (ch) => ch.receive({ signal, timeout: LIMIT_MS }));
      },
      "signal-any": (size) => {
        const { signal } = new AbortController();
        return handedOver(
          size,
          (wait) => abortable(wait, AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)])),
        );
      },
      "p-timeout": (size) => {
        const { signal } = new AbortController();
        return byPTimeout(size, () => ({ milliseconds: LIMIT_MS, signal }));
      },
    },
  },
  {
    id: "with-timeout",
    group: "Limits that never fire",
    title: "withTimeout around one await",
    size: 2_000,
    ambient: true,
    contestants: {
      baozi: (size) => limited(size, (i) => withTimeout(LIMIT_MS, () => body(i))),
      "set-timeout": (size) =>
        limited(size, (i) => limitedByTimer((resolve, reject) => body(i).then(resolve, reject))),
      "p-timeout": aroundByPTimeout,
      effect: aroundByEffect,
      effection: aroundByEffection,
    },
  },
];

/** What is limited. */
const body = async (i: number): Promise<number> => {
  await undefined;
  return i;
};

/** One side receives with a limit, the other sends. Who receives comes first, and so parks each time. */
function received(size: number, receive: (ch: Channel<number>) => Promise<number>): Batch {
  return async () => {
    const ch = new Channel<number>();
    let sum = 0;
    const got = (async () => {
      for (let i = 0; i < size; i++) {
        const value = await receive(ch);
        sum += value;
      }
    })();
    for (let i = 0; i < size; i++) await ch.send(i);
    await got;
    check(sum, sumBelow(size));
  };
}

/** All receive first, then all is sent. */
function receivedAtOnce(size: number, receive: (ch: Channel<number>) => Promise<number>): Batch {
  return async () => {
    const ch = new Channel<number>();
    const all = Array.from({ length: size }, () => receive(ch));
    for (let i = 0; i < size; i++) ch.trySend(i);
    check(await total(all), sumBelow(size));
  };
}

/** Begins a wait: calls one of the two later. */
type Wait = (resolve: (value: number) => void, reject: (error: unknown) => void) => void;

/** What stands around a wait. */
type Limit = (wait: Wait) => Promise<number>;

/** The same without a channel: resolvers are handed over, in turns with a side that calls them. */
function handedOver(size: number, limit: Limit): Batch {
  return async () => {
    let wake!: (value: number) => void;
    let asked!: () => void;
    let asking = new Promise<void>((resolve) => asked = resolve);
    const answered = (async () => {
      for (let i = 0; i < size; i++) {
        await asking;
        asking = new Promise<void>((resolve) => asked = resolve);
        wake(i);
      }
    })();
    let sum = 0;
    for (let i = 0; i < size; i++) {
      sum += await limit((resolve) => {
        wake = resolve;
        asked();
      });
    }
    await answered;
    check(sum, sumBelow(size));
  };
}

/** All wait first, then all are served. */
function handedOverAtOnce(size: number, limit: Limit): Batch {
  return async () => {
    const wakes: Array<(value: number) => void> = [];
    const all = Array.from({ length: size }, () => limit((resolve) => wakes.push(resolve)));
    for (const [i, wake] of wakes.entries()) wake(i);
    check(await total(all), sumBelow(size));
  };
}

async function total(all: Array<Promise<number>>): Promise<number> {
  let sum = 0;
  for (const value of await Promise.all(all)) sum += value;
  return sum;
}

/** By hand: a timer of the host per wait, cleared in time. */
function limitedByTimer(wait: Wait): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("timeout")), LIMIT_MS);
    wait((value) => {
      clearTimeout(timer);
      resolve(value);
    }, (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}

/** By hand: a listener per wait, taken off again. */
function abortable(wait: Wait, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    wait((value) => {
      signal.removeEventListener("abort", abort);
      resolve(value);
    }, (error) => {
      signal.removeEventListener("abort", abort);
      reject(error);
    });
  });
}

interface PTimeoutOptions {
  milliseconds: number;
  signal?: AbortSignal;
}

type PTimeout = { default(promise: Promise<number>, options: PTimeoutOptions): Promise<number> };

/** p-timeout around a promise, which is then served. */
async function byPTimeout(size: number, options: () => PTimeoutOptions): Promise<Batch> {
  const { default: pTimeout } = await loadPeer<PTimeout>("p-timeout");
  return handedOver(size, (wait) => pTimeout(new Promise(wait), options()));
}

async function byPTimeoutAtOnce(size: number, options: () => PTimeoutOptions): Promise<Batch> {
  const { default: pTimeout } = await loadPeer<PTimeout>("p-timeout");
  return handedOverAtOnce(size, (wait) => pTimeout(new Promise(wait), options()));
}

/** effect: `Queue.take` in `Effect.timeout`, from a queue that another fiber offers to. */
async function byEffectTake(size: number): Promise<Batch> {
  interface EffectQueue {
    readonly "~queue"?: true;
  }
  interface QueueModule {
    bounded(capacity: number): Operation<EffectQueue>;
    offer(queue: EffectQueue, item: number): Operation<boolean>;
    take(queue: EffectQueue): Operation<number>;
  }
  const [Effect, Queue] = await Promise.all([loadEffect(), loadPeer<QueueModule>("effect/Queue")]);
  return async () => {
    const sum = await Effect.runPromise(Effect.gen(function* () {
      const queue = yield* Queue.bounded(1);
      yield* Effect.forkChild(Effect.gen(function* () {
        for (let i = 0; i < size; i++) yield* Queue.offer(queue, i);
      }));
      const take = Effect.timeout(Queue.take(queue), LIMIT_MS);
      let sum = 0;
      for (let i = 0; i < size; i++) sum += yield* take;
      return sum;
    }));
    check(sum, sumBelow(size));
  };
}

function limited(size: number, limit: (i: number) => Promise<number>): Batch {
  return async () => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += await limit(i);
    check(sum, sumBelow(size));
  };
}

/** p-timeout around the promise of the body. */
async function aroundByPTimeout(size: number): Promise<Batch> {
  const { default: pTimeout } = await loadPeer<PTimeout>("p-timeout");
  const options = { milliseconds: LIMIT_MS };
  return limited(size, (i) => pTimeout(body(i), options));
}

/** effect: `Effect.timeout` around the body. */
async function aroundByEffect(size: number): Promise<Batch> {
  const Effect = await loadEffect();
  return async () => {
    const sum = await Effect.runPromise(Effect.gen(function* () {
      let sum = 0;
      for (let i = 0; i < size; i++) {
        sum += yield* Effect.timeout(Effect.promise(() => body(i)), LIMIT_MS);
      }
      return sum;
    }));
    check(sum, sumBelow(size));
  };
}

/** effection: `race` of the body and a `sleep`, which is its way to limit. */
async function aroundByEffection(size: number): Promise<Batch> {
  const { race, run, sleep, until } = await loadEffection();
  return async () => {
    const sum = await run(function* () {
      let sum = 0;
      for (let i = 0; i < size; i++) {
        const value = yield* race<number | void>([until(body(i)), sleep(LIMIT_MS)]);
        if (value === undefined) throw new Error("timeout");
        sum += value;
      }
      return sum;
    });
    check(sum, sumBelow(size));
  };
}

/** A signal with more than ten listeners, of which Node would warn. */
function crowdedSignal(): AbortSignal {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  return signal;
}
