// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// One side is played by hand, and does not keep to the rules.

import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Channel, type Receiver, sleep } from "../../mod.ts";
import {
  serve,
  WorkerCrashed,
  type WorkerPool,
  workers,
  type WorkersOptions,
} from "../../src/workers/mod.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { workerFile } from "./_files.ts";

noLeaks();

interface Functions {
  one(value?: unknown): unknown;
  list(): Generator<number, string>;
}

/** One end of a port in the hands of a test. */
class Hand {
  readonly heard: unknown[][] = [];
  /** How many messages held them. */
  messages = 0;
  readonly #port: MessagePort;

  constructor(port: MessagePort) {
    this.#port = port;
    port.onmessage = ({ data }) => {
      this.messages++;
      this.heard.push(...data as unknown[][]);
    };
  }

  post(...records: unknown[]): void {
    this.#port.postMessage(records);
  }

  postBare(message: unknown): void {
    this.#port.postMessage(message);
  }

  /** The next record of a kind. */
  async hear(kind: string): Promise<unknown[]> {
    for (;;) {
      const at = this.heard.findIndex((record) => record[0] === kind);
      if (at >= 0) return this.heard.splice(at, 1)[0]!;
      await turn();
    }
  }

  close(): void {
    this.#port.close();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** Long enough for a message to come and go. */
async function turns(): Promise<void> {
  for (let n = 0; n < 10; n++) await turn();
}

/** A pool whose worker is a test; the last one made. */
function pool(
  options: WorkersOptions = {},
): { pool: WorkerPool<Functions>; hand: () => Promise<Hand> } {
  const hands: Hand[] = [];
  const made = workers<Functions>({
    size: 1,
    graceMs: 60_000,
    ...options,
    spawn: () => {
      const { port1, port2 } = new MessageChannel();
      hands.push(new Hand(port2));
      return port1;
    },
  });
  const hand = async () => {
    while (hands.length === 0) await turn();
    return hands.at(-1)!;
  };
  return { pool: made, hand };
}

/** `serve` whose pool is a test. */
function served(functions: object): Hand {
  const { port1, port2 } = new MessageChannel();
  serve(functions, { port: port2 });
  return new Hand(port1);
}

const READY = ["ready", 1, ["one", "list"]];

// -- A pool and a worker that is odd --

test("WorkerPool ignores and counts what means nothing to it", async () => {
  const { pool: shop, hand } = pool();
  const call = shop.call.one();
  const worker = await hand();
  worker.post(READY);
  const [, id] = await worker.hear("call");
  for (const message of ["text", 1, null, undefined, { 0: "reply" }, new Map()]) {
    worker.postBare(message);
  }
  worker.post("text", 1, null, undefined, {}, [], [1], [null], [{}], ["nope"], ["nope", id]);
  worker.post(["reply"], ["reply", 99, 0, 1], ["reply", id], ["reply", id, 3, 1], [
    "reply",
    id,
    "0",
  ]);
  worker.post(["stream", 99], ["ready"], ["ready", 1, ["late"]], ["__proto__", id], [
    "constructor",
  ]);
  worker.post(["values", 0, []], ["values", "__proto__", [1]], ["credit", {}], ["close", -1]);
  worker.post(["reply", id, 0, "good"]);
  assertEquals(await call, "good");
  assertEquals([shop.ignored, shop.restarts], [6 + 11 + 5 + 5 + 4, 0]);
  worker.post(["reply", id, 0, "twice"]);
  await turns();
  assertEquals([shop.ignored, shop.busy], [32, 0]);
  await shop.close();
  assertEquals(shop.ignored, 32);
});

test("WorkerPool takes no name from a worker for a key", async () => {
  const { pool: shop, hand } = pool();
  const call = shop.call.one(),
    other = outcome((shop.call as unknown as {
      toString(): PromiseLike<unknown>;
    }).toString());
  const worker = await hand();
  worker.post(["ready", 1, ["__proto__", "constructor", 7, { name: "x" }, "one"]]);
  const [, id] = await worker.hear("call");
  worker.post(["reply", id, 0, 1]);
  await call;
  await turns();
  assertInstanceOf(other.error, TypeError);
  assertEquals(({} as { polluted?: unknown }).polluted, undefined);
  await shop.close();
});

test("WorkerPool fails a call whose reply is malformed, and goes on", async () => {
  const { pool: shop, hand } = pool();
  for (const result of [[], [1, 2, 3], [1, "specials"], [{}, [[1, 99, {}]]]]) {
    const call = shop.call.one();
    const worker = await hand();
    if (shop.busy === 0) worker.post(READY);
    const [, id] = await worker.hear("call");
    worker.post(["reply", id, 0, result]);
    await assertRejects(() => call.get(), TypeError);
  }
  assertEquals(shop.restarts, 0);
  await shop.close();
});

test("WorkerPool fails with a worker of another version", async () => {
  const { pool: shop, hand } = pool({ restarts: { max: 0 } });
  const call = shop.call.one();
  (await hand()).post(["ready", 2, ["one"]]);
  const error = await rejection(call);
  assertInstanceOf(error, WorkerCrashed);
  assert(error.message.includes("must speak version 1 of the protocol, got 2"), error.message);
  await shop.close();
});

test("WorkerPool sends what is called in one step as one message", async () => {
  const { pool: shop, hand } = pool({ concurrency: 100 });
  const first = shop.call.one();
  const worker = await hand();
  worker.post(READY);
  worker.post(["reply", (await worker.hear("call"))[1], 0, 1]);
  await first;
  worker.messages = 0;
  const calls = Array.from({ length: 50 }, (_, n) => shop.call.one(n));
  await worker.hear("call");
  assertEquals([worker.messages, worker.heard.length], [1, 49]);
  const [, last] = worker.heard.at(-1)!;
  for (let id = last as number - 49; id <= (last as number); id++) {
    worker.post(["reply", id, 0, id]);
  }
  await Promise.all(calls);
  await shop.close();
});

test("WorkerPool waits for the end of a killed call, whatever else is said", async () => {
  const { pool: shop, hand } = pool();
  const call = shop.call.one();
  const worker = await hand();
  worker.post(READY);
  const [, id] = await worker.hear("call");
  const killed = outcome(call.kill(new Error("enough")));
  assertEquals((await worker.hear("kill"))[1], id);
  worker.post(["bye"], ["kill", id], ["reply", 99, 2, 1]);
  await turns();
  assertEquals(killed.state, "pending");
  worker.post(["reply", id, 2, "whatever"]);
  await call.join();
  assertEquals([call.state, (call.error as Error).message], ["killed", "enough"]);
  await shop.close();
});

test("WorkerPool answers one stream of a call, and hears of no second one", async () => {
  const { pool: shop, hand } = pool();
  const call = shop.call.list();
  const worker = await hand();
  worker.post(READY);
  const [, id] = await worker.hear("call");
  worker.post(["stream", id], ["stream", id]);
  assertEquals((await worker.hear("output"))[1], id);
  await turns();
  assertEquals([worker.heard.filter(([kind]) => kind === "output").length, shop.ignored], [0, 1]);
  worker.post(["reply", id, 0, "over"]);
  assertEquals(await call, "over");
  await shop.close();
});

test("WorkerPool ends a port whose other end is closed", async () => {
  const { pool: shop, hand } = pool({ restarts: { max: 0 } });
  const call = outcome(shop.call.one());
  const worker = await hand();
  worker.post(READY);
  await worker.hear("call");
  worker.close();
  for (let n = 0; n < 300 && call.state === "pending"; n++) await turn();
  // Not all hosts tell.
  if (call.state === "pending") await shop.close();
  else assertInstanceOf(call.error, WorkerCrashed);
  await shop.close();
});

// -- serve() and a pool that is odd --

test("serve() refuses names that are not served, whatever they are", async () => {
  const pool = served({ one: () => 1 });
  assertEquals(await pool.hear("ready"), ["ready", 1, ["one"]]);
  let id = 0;
  for (const name of ["__proto__", "constructor", "prototype", "toString", "then", "nope", ""]) {
    pool.post(["call", ++id, name, [[]]]);
    const [, replied, state] = await pool.hear("reply");
    assertEquals([replied, state], [id, 1]);
  }
  pool.post(["call", ++id, "one", [[]]]);
  assertEquals(await pool.hear("reply"), ["reply", id, 0, 1]);
  pool.close();
});

test("serve() ignores what means nothing to it", async () => {
  const pool = served({ one: (n: number) => n });
  await pool.hear("ready");
  for (const message of ["text", 1, null, { call: 1 }]) pool.postBare(message);
  pool.post("x", null, [], ["nope"], ["call"], ["call", "1", "one"], ["call", 1, 2], ["kill"]);
  pool.post(["kill", 99, "gone"], ["output", 99], ["output"], ["ready", 1, []], ["reply", 1, 0, 1]);
  pool.post(["call", 1, "one", [[7]]]);
  assertEquals(await pool.hear("reply"), ["reply", 1, 0, 7]);
  assertEquals(pool.heard, []);
  pool.close();
});

test("serve() answers a call whose arguments are malformed with an error", async () => {
  const pool = served({ one: () => 1 });
  for (const [id, args] of [[1, "text"], [2, undefined], [3, [{}]], [4, [[], 9]]] as const) {
    pool.post(["call", id, "one", args]);
    const [, replied, state] = await pool.hear("reply");
    assertEquals([replied, state], [id, 1]);
  }
  pool.close();
});

test("serve() runs no call twice under one number", async () => {
  let runs = 0;
  const pool = served({
    one: async () => {
      runs++;
      await sleep(5);
    },
  });
  pool.post(["call", 1, "one", [[]]], ["call", 1, "one", [[]]]);
  await pool.hear("reply");
  await turns();
  assertEquals([runs, pool.heard.filter(([kind]) => kind === "reply").length], [1, 0]);
  pool.close();
});

test("serve() replies once to a call that is killed twice, or when it has ended", async () => {
  const pool = served({ one: () => sleep(60_000) });
  pool.post(["call", 1, "one", [[]]]);
  await turns();
  pool.post(["kill", 1, "a"], ["kill", 1, "b"]);
  const [, id, state] = await pool.hear("reply");
  pool.post(["kill", 1, "c"]);
  await turns();
  assertEquals([id, state, pool.heard.filter(([kind]) => kind === "reply").length], [1, 2, 0]);
  pool.close();
});

test("serve() kills what runs when its pool says goodbye", async () => {
  const log: string[] = [];
  const pool = served({
    one: async () => {
      try {
        await sleep(Infinity);
      } finally {
        log.push("left");
      }
    },
  });
  pool.post(["call", 1, "one", [[]]]);
  await turns();
  pool.post(["bye"]);
  while (log.length === 0) await turn();
  await turns();
  assertEquals(log, ["left"]);
});

test("serve() in the main thread without a port does nothing", () => {
  serve({ one: () => 1 });
  serve({ two: () => 2 });
});

test("serve() refuses what is no object, holds no function, or has a reserved name", () => {
  const refused = (functions: unknown, text: string) =>
    assertThrows(() => serve(functions as object), TypeError, text);
  refused(null, "functions must be an object, got null");
  refused(() => 1, "functions must be an object, got function");
  refused({}, "functions must hold at least one function, got none");
  refused({ one: 1 }, "functions must hold at least one function, got none");
  for (const name of ["then", "toJSON", "constructor", "prototype", "__proto__"]) {
    const functions = Object.defineProperty({}, name, { value: () => 1, enumerable: true });
    refused(functions, `no function may be called "${name}"`);
  }
  const wrong = { port: {} } as { port: MessagePort };
  assertThrows(
    () => serve({ one: () => 1 }, wrong),
    TypeError,
    "port must be a MessagePort",
  );
  assertThrows(
    () => serve({ one: () => 1 }, { maxMessageBytes: 0 }),
    RangeError,
    "maxMessageBytes must be an integer >= 1, got 0",
  );
});

test("serve() a second time in one thread is a TypeError", async () => {
  const shop = workers<Functions>(await workerFile("_twice.ts"), { restarts: { max: 0 } });
  const error = await rejection(shop.call.one());
  assertInstanceOf(error, WorkerCrashed);
  assert(String(error.cause).includes("a thread must call serve() once"), String(error.cause));
  await shop.close();
});

test("serve() leaves a module that posts messages of its own to itself", async () => {
  const shop = workers<Functions>(await workerFile("_chatty.ts"), { size: 1 });
  assertEquals(await shop.call.one("x"), "x");
  assertEquals([shop.ignored > 0, shop.restarts], [true, 0]);
  await shop.close();
});

// -- Both, and channels --

test("Channel that was passed to a call is closed there when the call ends", async () => {
  let kept: Receiver<number> | undefined;
  const { port1, port2 } = new MessageChannel();
  const functions = {
    keep: (input: Receiver<number>) => {
      kept = input;
    },
  };
  serve(functions, { port: port2 });
  await using shop = workers<typeof functions>({ spawn: () => port1, size: 1 });
  const input = new Channel<number>({ capacity: 2 });
  input.trySend(1);
  await shop.call.keep(input);
  await turns();
  assertEquals(kept!.tryReceive().state, "closed");
  assertEquals([input.size, input.closed], [1, false]);
});
