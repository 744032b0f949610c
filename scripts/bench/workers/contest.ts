// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * One row across threads in a process of its own. It says {@linkcode Ready} once, then answers each
 * line of its standard input by a round, as a line of JSON, and ends when that input ends.
 *
 *     contest.js ID [only NAME | without NAME]
 *
 * @module
 */

// It is JavaScript when it runs, as are the threads: those of Node 20 take nothing else.
// Each contestant has loops of its own, even where they read alike, as in scripts/bench/cases.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { argv, exit, stdin } from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { Channel } from "../../../src/channel.ts";
import { type WorkerPool, workers } from "../../../src/workers/mod.ts";
import type { Ready } from "../contest.ts";
import type { Round } from "../figures.ts";
import { FLOOR, OURS } from "../json.ts";
import { type Batch, check, sumBelow } from "../work.ts";
import type * as exposedModule from "./exposed.ts";
import {
  type Comlink,
  loadComlink,
  loadPiscina,
  loadTinypool,
  type Remote,
  type ThreadPool,
} from "./peers.ts";
import type { Told } from "./raw.ts";
import type * as servedModule from "./served.ts";
import { hash, type Item } from "./tasks.ts";

/** How long a contestant runs before it is measured: code is compiled late, and in both threads. */
const WARM_UP_BATCHES = 3;
const WARM_UP_MS = 150;

/** The least of a contestant in a round, in milliseconds. */
const SAMPLE_MS = 20;

/** How long a peer may take to answer at first. */
const LIMIT_MS = 2_000;

/** Values of one batch; where each is a call, or two messages, fewer. */
const VALUES = 20_000;
const VALUES_BY_CALLS = 2_000;
const CALLS = 3_000;
const CALLS_ONE_BY_ONE = 1_000;
const IN_FLIGHT = 64;

/** `postMessage` of each value, and by hand what keeps no more on their way than a channel would. */
const BOUNDED = "postMessage, bounded";

const ON_ONE = "baozi on 1";

/** One measurement, in the unit of the row. */
type Sample = () => Promise<number>;
type Prepare = () => Promise<Sample>;

const ROWS: Record<string, Record<string, Prepare>> = {
  "threads-to-64": valuesTo(64),
  "threads-to-1024": valuesTo(1024),
  "threads-from-64": valuesFrom(64),
  "threads-from-1024": valuesFrom(1024),
  "threads-objects-64": {
    [FLOOR]: postObjects,
    [OURS]: () => sendObjects(64),
    comlink: () => callWithObjects(64),
  },
  "threads-calls-64": {
    [FLOOR]: () => calls(CALLS, IN_FLIGHT, rawCaller),
    [OURS]: () => calls(CALLS, IN_FLIGHT, caller),
    piscina: () => calls(CALLS, IN_FLIGHT, piscinaCaller),
    tinypool: () => calls(CALLS, IN_FLIGHT, tinypoolCaller),
    comlink: () => calls(CALLS, IN_FLIGHT, comlinkCaller),
  },
  "threads-calls-1": {
    [FLOOR]: () => calls(CALLS_ONE_BY_ONE, 1, rawCaller),
    [OURS]: () => calls(CALLS_ONE_BY_ONE, 1, caller),
    piscina: () => calls(CALLS_ONE_BY_ONE, 1, piscinaCaller),
    tinypool: () => calls(CALLS_ONE_BY_ONE, 1, tinypoolCaller),
    comlink: () => calls(CALLS_ONE_BY_ONE, 1, comlinkCaller),
  },
  "threads-map": {
    [FLOOR]: () => map(rawMap(1)),
    [OURS]: () => map(ourMap(2)),
    [ON_ONE]: () => map(ourMap(1)),
    "2 bare threads": () => map(rawMap(2)),
    piscina: () => map(piscinaMap),
    tinypool: () => map(tinypoolMap),
    "plain loop": () => map(() => Promise.resolve((files) => Promise.resolve(files.map(hash)))),
  },
  "threads-start": {
    [FLOOR]: startRaw,
    [OURS]: start,
    piscina: startPiscina,
    tinypool: startTinypool,
    comlink: startComlink,
  },
};

async function main(): Promise<void> {
  const [id, filter, filtered] = argv.slice(2) as [string, string?, string?];
  const samples = new Map<string, Sample>();
  const failed: Record<string, string> = {};
  for (const [name, prepare] of Object.entries(ROWS[id]!)) {
    if (filter !== undefined && (name === filtered) !== (filter === "only")) continue;
    try {
      const sample = await inTime(prepare());
      const start = performance.now();
      for (let i = 0; i < WARM_UP_BATCHES || performance.now() - start < WARM_UP_MS; i++) {
        await inTime(sample());
      }
      samples.set(name, sample);
    } catch (error) {
      failed[name] = error instanceof Error ? error.message : String(error);
    }
  }
  console.log(JSON.stringify({ contestants: [...samples.keys()], failed } satisfies Ready));
  let turn = 0;
  for await (const _ of createInterface({ input: stdin })) {
    console.log(JSON.stringify(await round(samples, turn++)));
  }
}

/** Measures everybody, in an order that rotates, forwards and backwards. */
async function round(samples: ReadonlyMap<string, Sample>, turn: number): Promise<Round> {
  const all = [...samples];
  const order = all.map((_, i) => all[(i + turn) % all.length]!);
  if (turn % 2 === 1) order.reverse();
  const round: Round = {};
  for (const [name, sample] of order) round[name] = await sample();
  return round;
}

/** A peer that hangs, since its runtime does not have what it needs, must not hold up the others. */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = deferred<never>();
  const timer = setTimeout(() => reject(new Error(`no answer in ${LIMIT_MS} ms`)), LIMIT_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The least of some batches, in nanoseconds per operation: the machine only ever adds to it. */
function timed(size: number, batch: Batch): Sample {
  return async () => {
    let least = Infinity;
    const begin = performance.now();
    do {
      const start = performance.now();
      await batch();
      least = Math.min(least, performance.now() - start);
    } while (performance.now() - begin < SAMPLE_MS);
    return least * 1e6 / size;
  };
}

/** Numbers into a thread that adds them up. */
function valuesTo(capacity: number): Record<string, Prepare> {
  return {
    [FLOOR]: async () => {
      const raw = new Raw();
      await raw.ask(["total"]);
      return timed(VALUES, async () => {
        for (let i = 0; i < VALUES; i++) raw.post(i);
        check(await raw.ask(["total"]) as number, sumBelow(VALUES));
      });
    },
    [OURS]: () => {
      const pool = ours(1);
      return Promise.resolve(timed(VALUES, async () => {
        const channel = new Channel<number>({ capacity });
        const sum = pool.call.sum(channel);
        for (let i = 0; i < VALUES; i++) await channel.send(i);
        channel.close();
        check(await sum, sumBelow(VALUES));
      }));
    },
    [BOUNDED]: () => {
      const raw = new Raw();
      raw.post(["window", capacity]);
      return Promise.resolve(timed(VALUES, async () => {
        let next = 0, until = capacity;
        const { promise, resolve } = deferred<number>();
        const post = (): void => {
          for (; next < until && next < VALUES; next++) raw.post(next);
          if (next === VALUES) raw.post(["total"]);
        };
        raw.hear = (told) => {
          if (typeof told === "number") return resolve(told);
          if (next === VALUES) return;
          until += capacity / 2;
          post();
        };
        post();
        check(await promise, sumBelow(VALUES));
      }));
    },
    comlink: async () => {
      const { remote } = await exposed();
      return timed(VALUES_BY_CALLS, async () => {
        for (let i = 0; i < VALUES_BY_CALLS; i += capacity) {
          const calls: Promise<void>[] = [];
          for (let k = i; k < Math.min(i + capacity, VALUES_BY_CALLS); k++) {
            calls.push(remote.take(k));
          }
          await Promise.all(calls);
        }
        check(await remote.total(), sumBelow(VALUES_BY_CALLS));
      });
    },
  };
}

/** Numbers from a thread. */
function valuesFrom(capacity: number): Record<string, Prepare> {
  return {
    [FLOOR]: async () => {
      const raw = new Raw();
      await raw.ask(["total"]);
      return timed(VALUES, async () => {
        const { promise, resolve } = deferred<void>();
        let sum = 0, count = 0;
        raw.hear = (value) => {
          sum += value as number;
          if (++count === VALUES) resolve();
        };
        raw.post(["count", VALUES]);
        await promise;
        check(sum, sumBelow(VALUES));
      });
    },
    [OURS]: () => {
      const pool = ours(1);
      return Promise.resolve(timed(VALUES, async () => {
        const channel = new Channel<number>({ capacity });
        const counted = pool.call.count(channel, VALUES);
        let sum = 0;
        for await (const value of channel) sum += value;
        await counted;
        check(sum, sumBelow(VALUES));
      }));
    },
    [BOUNDED]: () => {
      const raw = new Raw();
      raw.post(["window", capacity]);
      return Promise.resolve(timed(VALUES, async () => {
        const { promise, resolve } = deferred<void>();
        let sum = 0, count = 0;
        raw.hear = (value) => {
          sum += value as number;
          if (++count === VALUES) resolve();
          else if (count % (capacity / 2) === 0) raw.post(["confirm"]);
        };
        raw.post(["count", VALUES]);
        await promise;
        check(sum, sumBelow(VALUES));
      }));
    },
    comlink: async () => {
      const { remote, proxy } = await exposed();
      return timed(VALUES_BY_CALLS, async () => {
        let sum = 0;
        const give = proxy((value: number): void => {
          sum += value;
        });
        await remote.count(VALUES_BY_CALLS, capacity, give);
        check(sum, sumBelow(VALUES_BY_CALLS));
      });
    },
  };
}

async function postObjects(): Promise<Sample> {
  const raw = new Raw();
  await raw.ask(["total"]);
  return timed(VALUES, async () => {
    for (let id = 0; id < VALUES; id++) raw.post({ id, name: "bao" });
    check(await raw.ask(["total"]) as number, sumBelow(VALUES));
  });
}

function sendObjects(capacity: number): Promise<Sample> {
  const pool = ours(1);
  return Promise.resolve(timed(VALUES, async () => {
    const channel = new Channel<Item>({ capacity });
    const sum = pool.call.sumIds(channel);
    for (let id = 0; id < VALUES; id++) await channel.send({ id, name: "bao" });
    channel.close();
    check(await sum, sumBelow(VALUES));
  }));
}

async function callWithObjects(capacity: number): Promise<Sample> {
  const { remote } = await exposed();
  return timed(VALUES_BY_CALLS, async () => {
    for (let i = 0; i < VALUES_BY_CALLS; i += capacity) {
      const calls: Promise<void>[] = [];
      for (let id = i; id < Math.min(i + capacity, VALUES_BY_CALLS); id++) {
        calls.push(remote.takeItem({ id, name: "bao" }));
      }
      await Promise.all(calls);
    }
    check(await remote.total(), sumBelow(VALUES_BY_CALLS));
  });
}

/** Calls of `a + b`, so many of which are in flight at once. */
type Caller = (inFlight: number) => Promise<(a: number, b: number) => PromiseLike<unknown>>;

async function calls(size: number, inFlight: number, prepare: Caller): Promise<Sample> {
  const call = await prepare(inFlight);
  return timed(size, async () => {
    let next = 0, sum = 0;
    const work = async (): Promise<void> => {
      while (next < size) {
        const value = await call(next++, 0);
        sum += value as number; // not in one line: the others add to it meanwhile
      }
    };
    await Promise.all(Array.from({ length: inFlight }, work));
    check(sum, sumBelow(size));
  });
}

function rawCaller(): ReturnType<Caller> {
  const raw = new Raw();
  const waiting = new Map<number, (value: number) => void>();
  let lastId = 0;
  raw.hear = (told) => {
    const [id, value] = told as [number, number];
    waiting.get(id)!(value);
    waiting.delete(id);
  };
  return Promise.resolve((a, b) =>
    new Promise((resolve) => {
      const id = ++lastId;
      waiting.set(id, resolve);
      raw.post(["call", id, a, b]);
    })
  );
}

function caller(inFlight: number): ReturnType<Caller> {
  const { call } = ours(1, inFlight);
  return Promise.resolve((a, b) => call.add(a, b));
}

async function piscinaCaller(inFlight: number): ReturnType<Caller> {
  const pool = await piscina(1, inFlight);
  return (a, b) => pool.run({ a, b }, { name: "add" });
}

async function tinypoolCaller(inFlight: number): ReturnType<Caller> {
  const pool = await tinypool(1, inFlight);
  return (a, b) => pool.run({ a, b }, { name: "add" });
}

async function comlinkCaller(): ReturnType<Caller> {
  const { remote } = await exposed();
  return (a, b) => remote.add(a, b);
}

/** Hashes all files. */
type Hasher = (files: readonly Uint8Array[]) => Promise<readonly unknown[]>;

/** Hashes the sources of the library, in milliseconds. */
async function map(prepare: () => Promise<Hasher>): Promise<Sample> {
  const files = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .sort()
    // A copy: what the runtime gives may share its memory with others, and would cross with it.
    .map((name) => Uint8Array.from(readFileSync(`src/${name}`)));
  const expected = files.map((bytes) => createHash("sha256").update(bytes).digest("hex")).join();
  const hashAll = await prepare();
  return async () => {
    const start = performance.now();
    const digests = await hashAll(files);
    const ms = performance.now() - start;
    if (digests.join() === expected) return ms;
    throw new Error("Cannot count batch: each digest must be that of its file");
  };
}

function ourMap(size: number): () => Promise<Hasher> {
  return () => {
    const pool = ours(size);
    return Promise.resolve((files) => pool.map("hash", files));
  };
}

/** Each thread gets the next file when it has answered for the one before. */
function rawMap(size: number): () => Promise<Hasher> {
  return () => {
    const threads = Array.from({ length: size }, () => new Raw());
    return Promise.resolve((files) => {
      const digests: unknown[] = new Array(files.length);
      const { promise, resolve } = deferred<readonly unknown[]>();
      let next = 0, done = 0;
      for (const raw of threads) {
        const give = (): void => {
          if (next === files.length) return;
          const at = next++;
          raw.hear = (digest) => {
            digests[at] = digest;
            if (++done === files.length) resolve(digests);
            else give();
          };
          raw.post(["hash", files[at]!]);
        };
        give();
      }
      return promise;
    });
  };
}

async function piscinaMap(): Promise<Hasher> {
  const pool = await piscina(2);
  return (files) => Promise.all(files.map((bytes) => pool.run(bytes, { name: "hash" })));
}

async function tinypoolMap(): Promise<Hasher> {
  const pool = await tinypool(2);
  return (files) => Promise.all(files.map((bytes) => pool.run(bytes, { name: "hash" })));
}

function startRaw(): Promise<Sample> {
  return Promise.resolve(async () => {
    const start = performance.now();
    const raw = new Raw();
    check(await raw.ask(["total"]) as number, 0);
    const ms = performance.now() - start;
    await raw.end();
    return ms;
  });
}

function start(): Promise<Sample> {
  return Promise.resolve(async () => {
    const start = performance.now();
    const pool = ours(1);
    check(await pool.call.add(1, 2), 3);
    const ms = performance.now() - start;
    await pool.close();
    return ms;
  });
}

async function startPiscina(): Promise<Sample> {
  await loadPiscina();
  return () => startPool(() => piscina(1));
}

async function startTinypool(): Promise<Sample> {
  await loadTinypool();
  return () => startPool(() => tinypool(1));
}

async function startPool(make: () => Promise<ThreadPool>): Promise<number> {
  const start = performance.now();
  const pool = await make();
  check(await pool.run({ a: 1, b: 2 }, { name: "add" }) as number, 3);
  const ms = performance.now() - start;
  await pool.destroy();
  return ms;
}

async function startComlink(): Promise<Sample> {
  await loadComlink();
  return async () => {
    const start = performance.now();
    const { remote, end } = await exposed();
    check(await remote.add(1, 2), 3);
    const ms = performance.now() - start;
    await end();
    return ms;
  };
}

/** A thread without any library. */
class Raw {
  /** Is told what comes. */
  hear: (told: unknown) => void = () => {};
  readonly #worker: Worker = new Worker(threadOf("raw"));

  constructor() {
    this.#worker.on("message", (told: unknown) => this.hear(told));
  }

  post(told: Told): void {
    this.#worker.postMessage(told);
  }

  ask(told: Told): Promise<unknown> {
    const { promise, resolve } = deferred<unknown>();
    this.hear = resolve;
    this.post(told);
    return promise;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

function ours(size: number, concurrency = 1): WorkerPool<typeof servedModule> {
  return workers<typeof servedModule>(threadOf("served"), { size, concurrency });
}

async function piscina(threads: number, concurrency = 1): Promise<ThreadPool> {
  const Piscina = await loadPiscina();
  return new Piscina(poolOptions(threads, concurrency));
}

async function tinypool(threads: number, concurrency = 1): Promise<ThreadPool> {
  const Tinypool = await loadTinypool();
  return new Tinypool(poolOptions(threads, concurrency));
}

function poolOptions(
  threads: number,
  concurrentTasksPerWorker: number,
): ConstructorParameters<Awaited<ReturnType<typeof loadPiscina>>>[0] {
  const filename = fileURLToPath(threadOf("pooled"));
  return { filename, minThreads: threads, maxThreads: threads, concurrentTasksPerWorker };
}

async function exposed(): Promise<
  { remote: Remote<typeof exposedModule>; proxy: Comlink["proxy"]; end: () => Promise<unknown> }
> {
  const { wrap, proxy, nodeEndpoint } = await loadComlink();
  const worker = new Worker(threadOf("exposed"));
  return {
    remote: wrap<typeof exposedModule>(nodeEndpoint(worker)),
    proxy,
    end: () => worker.terminate(),
  };
}

function threadOf(name: string): URL {
  return new URL(`./${name}.js`, import.meta.url);
}

function deferred<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (reason: unknown) => void;
} {
  let resolve!: (value: T) => void, reject!: (reason: unknown) => void;
  const promise = new Promise<T>((ok, no) => [resolve, reject] = [ok, no]);
  return { promise, resolve, reject };
}

await main();
exit(0); // the threads go on else
