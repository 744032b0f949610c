// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import {
  Channel,
  currentTask,
  dump,
  Event,
  isKilled,
  joinAll,
  KilledError,
  select,
  type Sender,
  sleep,
  spawn,
  TimeoutError,
} from "../../mod.ts";
import {
  NotTransferableError,
  transfer,
  WorkerCall,
  workers,
  type WorkersOptions,
} from "../../src/workers/mod.ts";
import { gate } from "../gate.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { workerFile } from "./_files.ts";
import { servedHere } from "./_served.ts";
import type * as tasks from "./_tasks.ts";

noLeaks();

class OwnError extends Error {
  readonly code: number;
  constructor(message: string, code: number) {
    super(message);
    this.name = "OwnError";
    this.code = code;
  }
}

/** Functions whose progress a test sees, since they run in its thread. */
function seen() {
  const log: string[] = [];
  const doors = new Map<string, ReturnType<typeof gate<void>>>();
  const door = (name: string) => {
    let found = doors.get(name);
    if (found === undefined) doors.set(name, found = gate());
    return found;
  };
  return {
    log,
    open: (name: string) => door(name).open(),
    functions: {
      async work(name: string): Promise<string> {
        log.push(`begins ${name}`);
        await door(name).promise;
        log.push(`ends ${name}`);
        return name;
      },
      async nap(name: string): Promise<void> {
        log.push(`begins ${name}`);
        try {
          await sleep(Infinity);
        } finally {
          log.push(`leaves ${name}`);
        }
      },
    },
  };
}

/** Waits until `done()` holds, by macrotasks: messages need some. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 1));
}

// -- Calls --

test("WorkerPool.call runs the functions of a module in another thread", async () => {
  await using pool = workers<typeof tasks>(await workerFile("_tasks.ts"), { size: 1 });
  assertEquals(await pool.call.double(21), 42);
  assertEquals(await pool.call.add(1, 2), 3);
  assertEquals(await pool.call.add(1), 11);
  assertEquals(await pool.call.undefinedIs(undefined), true);
  assertEquals(await pool.call.echo([new Map([["a", 1n]]), undefined]), [
    new Map([["a", 1n]]),
    undefined,
  ]);
  const error = await rejection(pool.call.fail("no")) as Error & { code: number };
  assertEquals([error.name, error.message, error.code], ["TaskError", "no", 7]);
});

test("WorkerPool.call moves what is marked, and copies the rest", async () => {
  await using pool = workers<typeof tasks>(await workerFile("_tasks.ts"), { size: 1 });
  const moved = new Uint8Array(8), copied = new Uint8Array(4);
  assertEquals(await pool.call.byteLength(transfer(moved)), 8);
  assertEquals(await pool.call.byteLength(copied), 4);
  assertEquals([moved.byteLength, copied.byteLength], [0, 4]);
});

test("WorkerPool.call gives a task", async () => {
  await using pool = servedHere({ double: (n: number) => n * 2 });
  const call = pool.call.double(1), other = pool.call.double(2);
  assert(call instanceof WorkerCall);
  assertEquals([call.name, call.state], ["double", "pending"]);
  assertEquals(await call.join(), true);
  assertEquals([call.state, call.value], ["succeeded", 2]);
  assertEquals((await joinAll([call, other])).map(({ value }) => value), [2, 4]);
  assertEquals((await select({ third: pool.call.double(3) })).value, 6);
  assertThrows(() => new (WorkerCall as unknown as new () => unknown)(), TypeError);
});

test("WorkerPool.call brings errors of registered classes back as themselves", async () => {
  const fail = (): never => {
    throw new OwnError("mine", 5);
  };
  await using pool = servedHere({ fail }, { classes: [OwnError] }, { classes: [OwnError] });
  const error = await assertRejects(() => pool.call.fail().get(), OwnError, "mine");
  assertEquals(error.code, 5);
});

test("WorkerPool.call refuses what cannot be posted, there and back, and goes on", async () => {
  const functions = { echo: (value: unknown) => value, bad: () => ({ a: { b: () => 1 } }) };
  await using pool = servedHere(functions);
  const there = await rejection(pool.call.echo({ a: { b: () => 1 } })) as Error & { path: string };
  const back = await rejection(pool.call.bad()) as Error & { path: string };
  assertEquals(there.name, "NotTransferableError");
  assertEquals(back.name, "NotTransferableError");
  assertEquals([there.path, back.path], ["args[0].a.b", "result.a.b"]);
  assertEquals(await pool.call.echo(1), 1);
  assertEquals([pool.busy, pool.restarts, pool.threads], [0, 0, 1]);
});

/** Looks like data until the host clones it. */
function twoFaced(): object {
  let reads = 0;
  return {
    get face() {
      return reads++ === 0 ? 1 : () => {};
    },
  };
}

test("WorkerPool.call moves what is marked in one of many calls, though another cannot be posted", async () => {
  const functions = { size: (value: Uint8Array | object) => (value as Uint8Array).byteLength };
  await using pool = servedHere(functions, { concurrency: 4 });
  assertEquals(await pool.call.size({}), undefined);
  const [one, other] = [new Uint8Array(1), new Uint8Array(2)];
  const calls = [
    pool.call.size(new Uint8Array(3)),
    pool.call.size(transfer(one)),
    pool.call.size(twoFaced()),
    pool.call.size(transfer(other)),
  ];
  await joinAll(calls);
  assertEquals(calls.map(({ value }) => value), [3, 1, undefined, 2]);
  assertInstanceOf(calls[2]!.error, NotTransferableError);
  assertEquals([one.byteLength, other.byteLength], [0, 0]);
});

test("WorkerPool.call takes what a function gives at once, later, or as a thenable", async () => {
  const list = function* (): Generator<number, string> {
    yield 1;
    return "end";
  };
  const functions = {
    now: () => 1,
    later: () => Promise.resolve(2),
    thenable: () => ({ then: (done: (value: number) => void) => done(3) }),
    throws: (): number => {
      throw new OwnError("no", 4);
    },
    list,
    listLater: () => Promise.resolve(list()),
  };
  await using pool = servedHere(functions);
  assertEquals([await pool.call.now(), await pool.call.later()], [1, 2]);
  assertEquals(await pool.call.thenable(), 3 as never);
  assertEquals((await rejection(pool.call.throws()) as Error).message, "no");
  for (const call of [pool.call.list(), pool.call.listLater()]) {
    const values: number[] = [];
    for await (const value of call) values.push(value);
    assertEquals([values, await call], [[1], "end"]);
  }
});

test("WorkerPool.call refuses what is too large, there and back", async () => {
  const functions = { size: (text: string) => text.length, long: (n: number) => "x".repeat(n) };
  await using pool = servedHere(functions, { maxMessageBytes: 1000 }, { maxMessageBytes: 1000 });
  await assertRejects(() => pool.call.size("x".repeat(2000)).get(), RangeError);
  await assertRejects(() => pool.call.long(2000).get(), RangeError);
  assertEquals(await pool.call.size("short"), 5);
});

test("WorkerPool.call names the functions that are served when it meets another name", async () => {
  await using pool = servedHere({ one: () => 1, two: () => 2, three: 3 });
  const calls = pool.call as unknown as Record<string, (() => PromiseLike<unknown>) | undefined>;
  for (const name of ["nope", "three", "toString", "hasOwnProperty"]) {
    const error = await assertRejects(() => Promise.resolve(calls[name]!()), TypeError);
    assertEquals(
      error.message,
      `Cannot call "${name}": it must be one of the functions served, "one", "two"`,
    );
  }
  for (const name of ["then", "constructor", "__proto__", "prototype"]) {
    assertEquals(calls[name], undefined);
  }
  assertStrictEquals(await pool.call, pool.call);
  assertEquals(await pool.call.one(), 1);
});

test("WorkerPool.call inherits nothing of its caller in the worker, but is its own task", async () => {
  await using pool = servedHere({ name: () => currentTask()?.name });
  assertEquals(await spawn({ name: "caller" }, () => pool.call.name().get()), "name");
});

// -- Who gets the next call --

test("WorkerPool.call is data for JSON, and nothing is called", () => {
  const pool = workers({ spawn: () => new MessageChannel().port1, name: "shop", size: 1 });
  assertEquals(JSON.stringify(pool), '{"call":{},"name":"shop","size":1}');
});

test("WorkerPool.call that cannot be posted leaves those alone that are posted with it", async () => {
  await using pool = workers<typeof tasks>(await workerFile("_tasks.ts"), {
    size: 1,
    concurrency: 2,
  });
  await pool.call.double(1);
  const [moved, refused] = [
    pool.call.byteLength(transfer(new Uint8Array(1000))),
    rejection(pool.call.echo(twoFaced())),
  ];
  assertEquals(await moved, 1000);
  assertInstanceOf(await refused, NotTransferableError);
});

test("WorkerPool starts workers when they are needed, and no more than that", async () => {
  const { functions, open, log } = seen();
  await using pool = servedHere(functions, { size: 3 });
  assertEquals([pool.threads, pool.size], [0, 3]);
  const a = pool.call.work("a");
  await until(() => log.length === 1);
  assertEquals([pool.threads, pool.busy, pool.waiting], [1, 1, 0]);
  const b = pool.call.work("b");
  await until(() => log.length === 2);
  assertEquals([pool.threads, pool.busy], [2, 2]);
  open("a");
  open("b");
  await joinAll([a, b]);
  open("c");
  await pool.call.work("c");
  assertEquals([pool.threads, pool.busy], [2, 0]);
});

test("WorkerPool lets calls wait in the order in which they were made", async () => {
  const { functions, open, log } = seen();
  await using pool = servedHere(functions, { size: 1 });
  const calls = ["a", "b", "c"].map((name) => pool.call.work(name));
  await until(() => log.length === 1);
  assertEquals([pool.busy, pool.waiting], [1, 2]);
  ["c", "b", "a"].forEach(open);
  await joinAll(calls);
  assertEquals(log, ["begins a", "ends a", "begins b", "ends b", "begins c", "ends c"]);
});

test("WorkerPool runs as many calls in one worker as concurrency says", async () => {
  const { functions, open, log } = seen();
  await using pool = servedHere(functions, { size: 1, concurrency: 2 });
  const calls = ["a", "b", "c"].map((name) => pool.call.work(name));
  await until(() => log.length === 2);
  assertEquals([pool.threads, pool.busy, pool.waiting], [1, 2, 1]);
  ["a", "b", "c"].forEach(open);
  await joinAll(calls);
});

test("WorkerPool gives the next call to the least busy worker", async () => {
  await using pool = workers<typeof tasks>(await workerFile("_tasks.ts"), {
    size: 2,
    concurrency: 2,
  });
  // Until both are ready the first one gets all.
  const three = () => Promise.all([1, 2, 3].map(() => pool.call.who(100)));
  while (new Set(await three()).size < 2);
  const four = await Promise.all([1, 2, 3, 4].map(() => pool.call.who(50)));
  assertEquals(new Set(four.slice(0, 2)).size, 2);
  assertEquals(new Set(four.slice(2)).size, 2);
});

test("WorkerPool has one worker fewer than the machine has threads, by default", () => {
  const pool = workers({ spawn: () => new MessageChannel().port1 });
  assert(Number.isInteger(pool.size) && pool.size >= 1);
  assertEquals(pool.threads, 0);
});

// -- Kills and limits --

test("WorkerCall.kill() reaches the waits in the worker and waits for clean-up there", async () => {
  const { functions, log } = seen();
  await using pool = servedHere(functions);
  const call = pool.call.nap("a");
  await until(() => log.length === 1);
  const reason = new OwnError("enough", 1);
  assertEquals(await call.kill(reason), true);
  assertEquals(log, ["begins a", "leaves a"]);
  assertEquals([call.state, call.error === reason, pool.busy], ["killed", true, 0]);
  assert(isKilled(call.error));
});

test("WorkerCall.kill() before the call is posted means that it never runs", async () => {
  const { functions, open, log } = seen();
  await using pool = servedHere(functions);
  const first = pool.call.work("a"), waits = pool.call.work("b"), fresh = pool.call.work("c");
  await fresh.kill();
  await until(() => log.length === 1);
  await waits.kill();
  assertEquals([waits.state, fresh.state, pool.waiting], ["killed", "killed", 0]);
  open("a");
  await first;
  assertEquals(log, ["begins a", "ends a"]);
});

test("WorkerCall.kill() leaves the end to the function: it may survive, or fail", async () => {
  const begun = new Event();
  const functions = {
    async stubborn(): Promise<string> {
      begun.set();
      return await sleep(Infinity).then(() => "", () => "survived");
    },
    async clumsy(): Promise<void> {
      begun.set();
      await sleep(Infinity).catch(() => {
        throw new OwnError("dropped it", 8);
      });
    },
  };
  await using pool = servedHere(functions);
  const stubborn = pool.call.stubborn();
  await begun.wait();
  await stubborn.kill();
  assertEquals([stubborn.state, stubborn.value], ["succeeded", "survived"]);
  begun.clear();
  const clumsy = pool.call.clumsy();
  await begun.wait();
  await clumsy.kill();
  assertEquals([clumsy.state, (clumsy.error as Error).message], ["failed", "dropped it"]);
  await clumsy.join();
});

test("WorkerCall.get() with a timeout rejects, and the call goes on", async () => {
  const { functions, open, log } = seen();
  await using pool = servedHere(functions);
  const call = pool.call.work("a");
  await until(() => log.length === 1);
  await assertRejects(() => call.get({ timeout: 5 }), TimeoutError);
  open("a");
  assertEquals(await call, "a");
});

test("WorkerPool.kill() ends all calls, and the pool can be used again", async () => {
  const { functions, open, log } = seen();
  await using pool = servedHere(functions, { size: 2 });
  const calls = ["a", "b", "c"].map((name) => pool.call.nap(name));
  const mapped = outcome(pool.map("nap", ["d", "e"]));
  await until(() => log.length === 2);
  const reason = new OwnError("stop", 1);
  await pool.kill(reason);
  assertEquals(calls.map(({ state }) => state), ["killed", "killed", "killed"]);
  await until(() => mapped.state !== "pending");
  assertStrictEquals(mapped.error, reason);
  assertEquals([pool.busy, pool.waiting], [0, 0]);
  open("x");
  assertEquals(await pool.call.work("x"), "x");
});

test("WorkerPool.close() ends all calls and threads, and refuses later calls", async () => {
  const { functions, log } = seen();
  const pool = servedHere(functions, { size: 1 });
  const running = pool.call.nap("a"), waiting = pool.call.nap("b");
  await until(() => log.length === 1);
  const first = pool.close(), second = pool.close();
  await first;
  await second;
  assertEquals([running.state, waiting.state], ["killed", "killed"]);
  assertEquals(log, ["begins a", "leaves a"]);
  assertEquals([pool.threads, pool.busy, pool.waiting], [0, 0, 0]);
  assertInstanceOf(await rejection(pool.call.nap("c")), KilledError);
  await assertRejects(() => pool.map("work", ["x"]), KilledError);
});

// -- Maps --

test("WorkerPool.map() gives the results in the order of the items", async () => {
  const square = async (n: number): Promise<number> => {
    await sleep(5 - n);
    return n * n;
  };
  await using pool = servedHere({ square }, { size: 2 });
  assertEquals(await pool.map("square", [1, 2, 3, 4]), [1, 4, 9, 16]);
  assertEquals(await pool.map("square", []), []);
  async function* source(): AsyncGenerator<number> {
    yield* [1, 2];
  }
  assertEquals(await pool.map("square", source()), [1, 4]);
});

test("WorkerPool.map() takes turns with another one, item by item", async () => {
  const came: string[] = [];
  await using pool = servedHere({ note: (name: string) => void came.push(name) });
  await Promise.all([
    pool.map("note", ["a1", "a2", "a3"]),
    pool.map("note", ["b1", "b2", "b3", "b4"]),
  ]);
  assertEquals(came, ["a1", "b1", "a2", "b2", "a3", "b3", "b4"]);
});

test("WorkerPool.map() lets a call that waits go before its next item", async () => {
  const { functions, open, log } = seen();
  await using pool = servedHere(functions);
  const mapped = pool.map("work", ["a", "b"]);
  await until(() => log.length === 1);
  const call = pool.call.work("c");
  for (const name of ["a", "b", "c"]) open(name);
  assertEquals([await mapped, await call], [["a", "b"], "c"]);
  assertEquals(log.filter((line) => line.startsWith("begins")), [
    "begins a",
    "begins c",
    "begins b",
  ]);
});

test("WorkerPool.map() reads a list as it goes: what comes to it meanwhile, holes, promises", async () => {
  const list: Array<number | undefined | Promise<number>> = [1, 2];
  list.length = 3;
  const double = (n: number | undefined): number | undefined => {
    if (n === 2) list.push(4, Promise.resolve(5));
    return n === undefined ? undefined : n * 2;
  };
  await using pool = servedHere({ double }, { size: 2 });
  assertEquals(await pool.map("double", list as number[]), [2, 4, undefined, 8, 10]);
});

test("WorkerPool.map() does not read what comes to a list whose last item runs", async () => {
  const list = [1, 2];
  const double = (n: number): number => {
    if (n === 1) list.push(3);
    return n * 2;
  };
  await using pool = servedHere({ double }, { size: 2 });
  assertEquals(await pool.map("double", list), [2, 4]);
});

test("WorkerPool.map() holds no place while it waits for an item", async () => {
  await using pool = servedHere({ double: (n: number) => n * 2 });
  const item = gate<number>();
  const late = pool.map("double", [item.promise] as unknown as number[]);
  assertEquals(await pool.map("double", [1, 2]), [2, 4]);
  item.open(3);
  assertEquals(await late, [6]);
});

test("WorkerPool.map() rejects with the first failure in time and kills the rest", async () => {
  const left: number[] = [];
  const functions = {
    async work(n: number): Promise<number> {
      if (n === 2) throw new OwnError("two", 2);
      try {
        await sleep(Infinity);
      } finally {
        left.push(n);
      }
      return n;
    },
  };
  await using pool = servedHere(functions, { size: 3 });
  const error = await rejection(pool.map("work", [1, 2, 3, 4])) as Error;
  assertEquals(error.message, "two");
  assertEquals([pool.busy, pool.waiting, left.includes(4)], [0, 0, false]);
});

test("WorkerPool.map() ends with its signal, its timeout, or its caller", async () => {
  const { functions, log } = seen();
  await using pool = servedHere(functions, { size: 1 });
  const controller = new AbortController(), reason = new Error("away");
  const aborted = outcome(pool.map("nap", ["a", "b"], { signal: controller.signal }));
  await until(() => log.length === 1);
  controller.abort(reason);
  await until(() => aborted.state !== "pending");
  assertStrictEquals(aborted.error, reason);
  assertEquals(log, ["begins a", "leaves a"]);
  await assertRejects(() => pool.map("nap", ["c"], { timeout: 20 }), TimeoutError);
  const task = spawn(() => pool.map("nap", ["d"]));
  await until(() => log.at(-1) === "begins d");
  await task.kill();
  assertEquals([task.state, log.at(-1), pool.busy], ["killed", "leaves d", 0]);
  await assertRejects(() => pool.map("nap", ["e"], { signal: controller.signal }), Error, "away");
  assert(!log.includes("begins e"));
});

test("WorkerPool.imap() iterates in order; imapUnordered() as results come", async () => {
  const square = async (n: number): Promise<number> => {
    await sleep(n * 30);
    return n * n;
  };
  await using pool = servedHere({ square }, { size: 3 });
  const ordered: number[] = [], came: number[] = [];
  for await (const n of pool.imap("square", [3, 1, 2])) ordered.push(n);
  assertEquals(ordered, [9, 1, 4]);
  for await (const n of pool.imapUnordered("square", [3, 1, 2])) came.push(n);
  assertEquals(came, [1, 4, 9]);
});

test("WorkerPool.imap() that is left early kills what runs", async () => {
  const { functions, open, log } = seen();
  await using pool = servedHere(functions, { size: 2 });
  open("a");
  for await (const name of pool.imap("work", ["a", "b", "c", "d"])) {
    assertEquals(name, "a");
    break;
  }
  assertEquals([pool.busy, pool.waiting], [0, 0]);
  assert(!log.includes("begins d"), log.join());
});

// -- What is seen --

test("dump() shows which call runs in which worker, and which waits", async () => {
  const { functions, open, log } = seen();
  await using pool = servedHere(functions, { size: 1, name: "press" });
  const a = pool.call.work("a"), b = pool.call.work("b");
  await until(() => log.length === 1);
  const lines = dump().toString().split("\n").filter((line) => line.includes("press"));
  assertEquals(lines.map((line) => line.replace(/.*\): /, "")), [
    'call on Worker "press #1"',
    'wait for a worker on WorkerPool "press"',
  ]);
  open("a");
  open("b");
  await joinAll([a, b]);
});

test("workers() refuses options of the wrong type or out of their bounds", () => {
  const spawn = () => new MessageChannel().port1;
  const refused = (options: object, kind: typeof TypeError | typeof RangeError, text: string) =>
    assertThrows(
      () => workers({ spawn, ...options } as WorkersOptions & { spawn: typeof spawn }),
      kind,
      text,
    );
  refused({ size: 0 }, RangeError, "size must be an integer >= 1, got 0");
  refused({ size: 1.5 }, RangeError, "size must be an integer >= 1, got 1.5");
  refused({ size: "2" }, TypeError, "size must be a number, got string");
  refused({ concurrency: 0 }, RangeError, "concurrency must be an integer >= 1, got 0");
  refused({ window: 0 }, RangeError, "window must be an integer >= 1, got 0");
  refused({ graceMs: -1 }, RangeError, "graceMs must be >= 0 milliseconds, got -1");
  refused({ readyMs: NaN }, RangeError, "readyMs must be >= 0 milliseconds, got NaN");
  refused({ restarts: { max: -1 } }, RangeError, "restarts.max must be an integer >= 0, got -1");
  refused({ restarts: 3 }, TypeError, "restarts must be an object, got 3");
  refused({ maxMessageBytes: 0 }, RangeError, "maxMessageBytes must be an integer >= 1, got 0");
  refused({ name: 1 }, TypeError, "name must be a string, got number");
  refused({ classes: [Map] }, TypeError, "it must extend Error, got Map");
  refused({ onUndelivered: 1 }, TypeError, "onUndelivered must be a function, got number");
  assertThrows(() => workers("./tasks.ts"), TypeError, "source must be an absolute URL");
  assertThrows(
    () => workers({} as { spawn: typeof spawn }),
    TypeError,
    "a URL or options.spawn must be given, got neither",
  );
});

// -- Generators --

test("WorkerStream iterates over what a generator yields, and is what it returns", async () => {
  await using pool = workers<typeof tasks>(await workerFile("_tasks.ts"), { size: 1 });
  const call = pool.call.upTo(200), values: number[] = [];
  for await (const n of call) values.push(n);
  assertEquals(values, Array.from({ length: 200 }, (_, i) => i + 1));
  assertEquals(await call, "done");
  const letters = pool.call.letters("abc"), got: string[] = [];
  for await (const letter of letters.output) got.push(letter);
  assertEquals([got, await letters], [["a", "b", "c"], 3]);
});

test("WorkerStream throws the generator's error behind the values before it", async () => {
  await using pool = workers<typeof tasks>(await workerFile("_tasks.ts"), { size: 1 });
  const values: number[] = [];
  const error = await rejection((async () => {
    for await (const n of pool.call.failing()) {
      values.push(n);
      await sleep(20);
    }
  })()) as Error & { code: number };
  assertEquals([values, error.message, error.code], [[1, 2], "dry", 11]);
});

test("WorkerStream that is left early stops the generator and waits for its finally", async () => {
  await using pool = workers<typeof tasks>(await workerFile("_tasks.ts"), { size: 1 });
  assertEquals(await pool.call.howOftenCleaned(), 0);
  const call = pool.call.upTo(1_000_000);
  for await (const n of call) if (n === 3) break;
  assertEquals([call.ready, call.state], [true, "killed"]);
  assertEquals(await pool.call.howOftenCleaned(), 1);
});

test("WorkerStream lets the generator run ahead no further than the window", async () => {
  let made = 0;
  const functions = {
    *count(): Generator<number, void> {
      for (;;) yield made++;
    },
  };
  await using pool = servedHere(functions, { window: 8 });
  const call = pool.call.count(), { output } = call;
  assertEquals(await output.receive(), 0);
  for (let last = -1; last !== made;) {
    last = made;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert(made >= 2 && made <= 12, `${made}`);
  for (let n = 1; n < 100; n++) assertEquals(await output.receive(), n);
  await call.kill();
  assertEquals(output.closed, true);
});

test("WorkerStream.output.cancel() stops the generator, and the call succeeds with what it returns", async () => {
  const functions = {
    async *count(): AsyncGenerator<number, string> {
      try {
        for (let n = 0;; n++) yield n;
      } finally {
        await sleep(0);
      }
    },
  };
  await using pool = servedHere(functions);
  const call = pool.call.count();
  assertEquals(await call.output.receive(), 0);
  call.output.cancel();
  await call.join();
  assertEquals([call.state, pool.busy], ["succeeded", 0]);
});

test("WorkerStream of a function that gives no generator has no values", async () => {
  await using pool = servedHere({
    one: () => 1,
    no: () => {
      throw new OwnError("no", 1);
    },
  });
  const calls = pool.call as unknown as { [name: string]: () => AsyncIterable<unknown> };
  for await (const _ of calls.one!()) throw new Error("a value");
  const error = await rejection((async () => {
    for await (const _ of calls.no!());
  })()) as Error;
  assertEquals(error.message, "no");
});

test("WorkerStream that is killed before it runs ends its reader with the reason", async () => {
  const { functions, open } = seen();
  await using pool = servedHere({
    ...functions,
    *one(): Generator<number, void> {
      yield 1;
    },
  });
  const busy = pool.call.work("a"), waits = pool.call.one();
  const reading = outcome(waits.output.receive()), reason = new OwnError("not now", 1);
  await waits.kill(reason);
  await until(() => reading.state !== "pending");
  assertStrictEquals(reading.error, reason);
  open("a");
  await busy;
});

test("WorkerStream gives a reader that is killed in its loop time for clean-up in the worker", async () => {
  const log: string[] = [];
  const functions = {
    async *slow(): AsyncGenerator<number, void> {
      try {
        yield 1;
        await sleep(Infinity);
      } finally {
        log.push("cleaned");
      }
    },
  };
  await using pool = servedHere(functions);
  const reader = spawn(async () => {
    for await (const n of pool.call.slow()) log.push(`${n}`);
  });
  await until(() => log.length === 1);
  await reader.kill();
  assertEquals([log, reader.state], [["1", "cleaned"], "killed"]);
});

test("WorkerStream tells onUndelivered of what was yielded and nobody took", async () => {
  const left: unknown[] = [];
  const functions = {
    *abc(): Generator<string, void> {
      yield* ["a", "b", "c"];
    },
  };
  const pool = servedHere(functions, { onUndelivered: (value) => left.push(value) });
  const call = pool.call.abc();
  assertEquals(await call.output.receive(), "a");
  await until(() => call.ready);
  assertEquals(call.state, "succeeded");
  call.output.cancel();
  await pool.close();
  assertEquals(left, ["b", "c"]);
});

test("WorkerStream has all values of a generator that has ended, those on their way too", async () => {
  const functions = {
    *count(): Generator<number, void> {
      for (let n = 1; n <= 8; n++) yield n;
    },
  };
  await using pool = servedHere(functions, { window: 8 });
  const call = pool.call.count(), { output } = call, got: number[] = [];
  await call.join();
  assert(output.size < 8, "some wait behind the channel");
  for await (const n of output) got.push(n);
  assertEquals(got, [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("WorkerStream that is left after its end tells onUndelivered of what nobody took", async () => {
  const left: unknown[] = [];
  const functions = {
    *three(): Generator<number, void> {
      yield* [1, 2, 3];
    },
  };
  await using pool = servedHere(functions, { onUndelivered: (value) => left.push(value) });
  const call = pool.call.three();
  for await (const _ of call) {
    await call.join();
    break;
  }
  assertEquals([call.state, left], ["succeeded", [2, 3]]);
});

test("WorkerStream that is left throws what the clean-up in the worker throws", async () => {
  const functions = {
    *clumsy(): Generator<number, void> {
      try {
        for (;;) yield 1;
      } finally {
        // deno-lint-ignore no-unsafe-finally -- what is tested
        throw new OwnError("dropped it", 8);
      }
    },
  };
  await using pool = servedHere(functions);
  const error = await rejection((async () => {
    for await (const _ of pool.call.clumsy()) break;
  })()) as Error;
  assertEquals(error.message, "dropped it");
});

test("WorkerStream throws a value that cannot be posted into the generator, which cleans up", async () => {
  const log: string[] = [], got: unknown[] = [];
  const functions = {
    *odd(): Generator<unknown, void> {
      try {
        yield 1;
        yield () => 2;
      } catch (error) {
        log.push((error as Error).name);
        throw error;
      } finally {
        log.push("cleaned");
      }
    },
  };
  await using pool = servedHere(functions);
  await assertRejects(async () => {
    for await (const value of pool.call.odd()) got.push(value);
  }, NotTransferableError);
  assertEquals([got, log], [[1], ["NotTransferableError", "cleaned"]]);
});

test("WorkerPool.map() refuses a generator, which nobody would read", async () => {
  await using pool = servedHere({
    *one(): Generator<number, void> {
      yield 1;
    },
  });
  const map = (pool.map as unknown as (name: string, items: unknown[]) => Promise<unknown>).bind(
    pool,
  );
  await assertRejects(() => map("one", [1]), TypeError, "it must give a value, got a generator");
  assertEquals(pool.busy, 0);
});

// -- Channels --

test("Channel crosses with a call, both halves", async () => {
  await using pool = workers<typeof tasks>(await workerFile("_tasks.ts"), { size: 1 });
  const input = new Channel<string>({ capacity: 4 }), output = new Channel<number>({ capacity: 4 });
  const call = pool.call.lengths(input, output);
  const feeder = spawn(async () => {
    for (let n = 1; n <= 100; n++) await input.send("x".repeat(n));
    input.close();
  });
  const lengths: number[] = [];
  for await (const n of output) lengths.push(n);
  assertEquals(lengths, Array.from({ length: 100 }, (_, i) => i + 1));
  assertEquals(await call, 100);
  await feeder;
});

test("Channel of one call can be passed to another one in the same worker", async () => {
  const here = gate<void>();
  let kept: Channel<number> | null = null;
  const functions = {
    async keep(ch: Channel<number>): Promise<void> {
      kept = ch;
      await here.promise;
    },
    async give(out: Sender<unknown>): Promise<void> {
      for (const value of [1, kept, 2]) await out.send(value);
    },
    async own(out: Sender<Channel<number>>): Promise<number> {
      const own = new Channel<number>({ capacity: 1 });
      await out.send(own);
      return await own.receive();
    },
    fill: (ch: Channel<number>, value: number) => ch.send(value),
  };
  await using pool = servedHere(functions, { concurrency: 2 });
  const out = new Channel<unknown>({ capacity: 3 });
  const keeping = pool.call.keep(new Channel<number>({ capacity: 1 }));
  await until(() => kept !== null);
  await pool.call.give(out);
  out.close();
  const got: unknown[] = [];
  for await (const value of out) got.push(value instanceof Channel ? "channel" : value);
  here.open();
  await keeping;
  const channels = new Channel<Channel<number>>({ capacity: 1 });
  const owner = pool.call.own(channels);
  await pool.call.fill(await channels.receive(), 3);
  assertEquals([got, await owner, pool.ignored], [[1, "channel", 2], 3, 0]);
});

test("Channel that is closed with values in it lets a call end that only sends to it", async () => {
  const door = gate();
  const functions = {
    async send(output: Sender<number>): Promise<boolean> {
      await door.promise;
      return output.trySend(2);
    },
  };
  await using pool = servedHere(functions);
  const output = new Channel<number>({ capacity: 4 });
  output.trySend(1);
  const call = pool.call.send(output);
  await until(() => pool.busy === 1);
  await sleep(20);
  output.close();
  await sleep(20); // whoever tried to send the rest without credit would never let time pass
  door.open();
  assertEquals(await call, false);
  assertEquals(await output.receive(), 1);
});
