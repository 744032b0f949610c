// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Channel, joinAll, sleep } from "../../mod.ts";
import {
  serve,
  type WorkerCall,
  WorkerCrashed,
  type WorkerPool,
  workers,
  type WorkersOptions,
} from "../../src/workers/mod.ts";
import { noLeaks } from "../leaks.ts";
import { rejection } from "../outcome.ts";
import { workerFile } from "./_files.ts";
import type * as tasks from "./_tasks.ts";

noLeaks();

type Tasks = typeof tasks;

async function pool(options: WorkersOptions = {}): Promise<WorkerPool<Tasks>> {
  return workers<Tasks>(await workerFile("_tasks.ts"), { size: 1, name: "shop", ...options });
}

/** A call that computes without a pause, and does so by now. */
async function spinning(shop: WorkerPool<Tasks>): Promise<{ spin: WorkerCall<string> }> {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const spin = shop.call.spin(3_600_000, flag);
  while (Atomics.load(flag, 0) === 0) await sleep(5);
  return { spin };
}

/** The crash with which `call` rejects. */
async function crash(call: PromiseLike<unknown>): Promise<WorkerCrashed> {
  const error = await rejection(call);
  assertInstanceOf(error, WorkerCrashed);
  return error;
}

// -- Kills that are not obeyed --

test("WorkerPool ends and replaces a thread whose call does not obey its kill", async () => {
  await using shop = await pool({ graceMs: 50 });
  const before = await shop.call.who();
  const { spin } = await spinning(shop);
  const start = performance.now();
  assertEquals(await spin.kill(), true);
  assert(performance.now() - start >= 45);
  assertEquals([spin.state, shop.busy, shop.restarts], ["killed", 0, 0]);
  assert(await shop.call.who() !== before);
});

test("WorkerPool waits as long as graceMs for clean-up", async () => {
  await using shop = await pool({ graceMs: 60_000, concurrency: 4 });
  await shop.call.double(1);
  const [call, stubborn, clumsy] = [shop.call.tidy(100), shop.call.stubborn(), shop.call.clumsy()];
  await shop.call.double(1); // calls begin in their order, so these have begun
  await call.kill();
  assertEquals([call.state, await shop.call.howOftenCleaned()], ["killed", 1]);
  await stubborn.kill();
  await clumsy.kill();
  assertEquals([await clumsy.join(), clumsy.state, stubborn.value], [true, "failed", "survived"]);
});

test("WorkerPool fails the other calls of a thread that it ends, and names them", async () => {
  await using shop = await pool({ graceMs: 50, concurrency: 3 });
  await shop.call.double(1);
  const nap = shop.call.nap(3_600_000), { spin } = await spinning(shop);
  await spin.kill();
  const error = await crash(nap);
  assertEquals([error.worker, error.calls, spin.state], [1, ["nap"], "killed"]);
  assert(error.message.includes("spin did not end within 50 ms of its kill"), error.message);
  assertEquals([await shop.call.double(2), shop.restarts], [4, 0]);
});

test("WorkerCall that was killed is killed, also by the end of another one's grace", async () => {
  await using shop = await pool({ graceMs: 400, concurrency: 2 });
  await shop.call.double(1);
  const first = shop.call.tidy(3_600_000), second = shop.call.tidy(3_600_000);
  while (shop.busy < 2) await sleep(5);
  await sleep(50);
  const end = first.kill();
  await sleep(200);
  await second.kill();
  await end;
  assertEquals([first.state, second.state], ["killed", "killed"]);
});

// -- Crashes --

test("WorkerCrashed names the calls that ran, and has the host's error as its cause", async () => {
  await using shop = await pool({ concurrency: 2 });
  await shop.call.double(1);
  const nap = shop.call.nap(3_600_000), exit = shop.call.exit();
  const [one, other] = [await crash(nap), await crash(exit)];
  assertStrictEquals(one, other);
  assertEquals([one.worker, one.calls, one.inFlight], [1, ["nap", "exit"], []]);
  assertEquals((one.cause as Error).message, "Worker exited with code 3");
  assertEquals(
    one.message,
    'Worker "shop #1" has ended (Worker exited with code 3), during nap, exit',
  );
  assertEquals([await shop.call.double(2), shop.restarts], [4, 1]);
});

test("WorkerPool takes an error that nobody caught in a worker as its crash", async () => {
  await using shop = await pool();
  const thrown = await crash(shop.call.explode()), rejected = await crash(shop.call.stray());
  assert(String(thrown.cause).includes("boom"), String(thrown.cause));
  assert(String(rejected.cause).includes("stray"), String(rejected.cause));
  assertEquals([thrown.worker, rejected.worker, shop.restarts], [1, 2, 2]);
});

test("WorkerPool posts no call twice, and calls that wait outlive a crash", async () => {
  await using shop = await pool();
  const calls = [shop.call.exit(), shop.call.double(1), shop.call.exit(), shop.call.double(2)];
  await joinAll(calls);
  assertEquals(calls.map(({ state }) => state), ["failed", "succeeded", "failed", "succeeded"]);
  assertEquals(shop.restarts, 2);
});

test("WorkerPool replaces a worker that crashed while it was idle when it is needed", async () => {
  await using shop = await pool();
  const before = await shop.call.who();
  await shop.call.doom(1);
  while (shop.threads > 0) await sleep(5);
  assertEquals([shop.restarts, shop.threads], [1, 0]);
  assert(await shop.call.who() !== before);
});

test("WorkerPool fails after too many crashes, with the last one", async () => {
  const shop = await pool({ restarts: { max: 2 } });
  for (let n = 0; n < 2; n++) await crash(shop.call.exit());
  const last = shop.call.exit(), waits = shop.call.double(1);
  const error = await crash(last);
  assertStrictEquals(await crash(waits), error);
  assertStrictEquals(await crash(shop.call.double(2)), error);
  assertStrictEquals(await rejection(shop.map("double", [1])), error);
  assertEquals(shop.restarts, 2);
  await shop.close();
  assertEquals(shop.threads, 0);
});

test("WorkerPool forgets crashes that are older than restarts.withinMs", async () => {
  await using shop = await pool({ restarts: { max: 1, withinMs: 1 } });
  for (let n = 0; n < 3; n++) {
    await crash(shop.call.exit());
    await sleep(5);
  }
  assertEquals([await shop.call.double(1), shop.restarts], [2, 3]);
});

test("WorkerPool lets running calls end when it fails", async () => {
  const shop = await pool({ size: 2, restarts: { max: 0 } });
  const nap = shop.call.nap(1000);
  await crash(shop.call.exit());
  assertEquals(await nap, "rested");
  await crash(shop.call.double(1));
  await shop.close();
});

test("WorkerStream ends with the crash of its worker, behind the values that had come", async () => {
  await using shop = await pool();
  const call = shop.call.dying(), got: number[] = [];
  const error = await rejection((async () => {
    for await (const n of call) got.push(n);
  })());
  assertInstanceOf(error, WorkerCrashed);
  assertEquals([got, error.calls], [[1], ["dying"]]);
});

test("Channel that crossed to a worker that crashed tells which values were in flight", async () => {
  await using shop = await pool();
  const left: string[] = [];
  const input = new Channel<string>({ capacity: 4, onUndelivered: (value) => left.push(value) });
  const call = shop.call.takesOne(input);
  await input.send("a");
  await sleep(200);
  await input.send("b");
  const error = await crash(call);
  assertEquals(error.inFlight, left);
  assert(!left.includes("a"), "it was confirmed");
  input.cancel();
});

// -- Workers that do not start --

test("WorkerPool fails when the file of its worker is missing", async () => {
  const shop = workers<Tasks>(new URL("./none.mjs", import.meta.url), { name: "none" });
  const error = await crash(shop.call.double(1));
  assert(error.message.startsWith('Worker "none #'), error.message);
  assert(error.message.includes("could not start"), error.message);
  assertEquals([error.calls, shop.restarts], [[], 3]);
  await shop.close();
});

test("WorkerPool fails when the module of its worker throws", async () => {
  const shop = workers<Tasks>(await workerFile("_throws.ts"), { restarts: { max: 0 } });
  const error = await crash(shop.call.double(1));
  assert(String(error.cause).includes("no start"), String(error.cause));
  await shop.close();
});

test("WorkerPool fails when the thread of its worker ends and never served", async () => {
  const shop = workers<Tasks>(await workerFile("_silent.ts"), {
    restarts: { max: 0 },
    readyMs: 20_000,
  });
  const error = await crash(shop.call.double(1));
  assert(error.message.includes("could not start"), error.message);
  await shop.close();
});

test("WorkerPool fails when its worker does not serve within readyMs", async () => {
  const shop = workers<Tasks>(await workerFile("_mute.ts"), { restarts: { max: 0 }, readyMs: 300 });
  const error = await crash(shop.call.double(1));
  assert(error.message.endsWith("must call serve() within 300 ms"), error.message);
  await shop.close();
  assertEquals(shop.threads, 0);
});

test("WorkerPool fails when spawn throws, or gives something else", async () => {
  for (const spawn of [() => ({} as MessagePort), () => null as unknown as MessagePort]) {
    await using shop = workers<Tasks>({ spawn, restarts: { max: 1 } });
    const error = await crash(shop.call.double(1));
    assert(String(error.cause).includes("it must be a Worker or a MessagePort"));
  }
});

test("WorkerPool fails when spawn gives the same port again", async () => {
  const { port1, port2 } = new MessageChannel();
  serve({ nap: (ms: number) => sleep(ms) }, { port: port2 });
  await using shop = workers<Tasks>({ spawn: () => port1, size: 2 });
  void shop.call.nap(3_600_000);
  const error = await crash(shop.call.nap(3_600_000));
  assert(error.message.includes("spawn must make a new one each time"), error.message);
});

test("WorkerPool fails when spawn gives a worker that has ended, and can be closed", async () => {
  const { Worker } = await import("node:worker_threads");
  const dead = new Worker(await workerFile("_tasks.ts"));
  const ended = new Promise((resolve) => dead.on("exit", resolve));
  await dead.terminate();
  await ended;
  const shop = workers<Tasks>({ spawn: () => dead, restarts: { max: 0 }, size: 1, readyMs: 200 });
  const error = await crash(shop.call.double(1));
  // Deno does not tell that it has ended.
  const why = String(error.cause ?? error);
  assert(/it must be alive|must call serve/.test(why), why);
  await shop.close();
  assertEquals(shop.threads, 0);
});

test("WorkerPool.close() while its workers start leaves no thread", async () => {
  const shop = await pool({ size: 2 });
  const calls = [shop.call.double(1), shop.call.double(2)];
  await sleep(0);
  await sleep(0);
  await shop.close();
  // A host may start a thread while everybody waits for it, and then a call is fast enough.
  assert(calls.every(({ state }) => state === "killed" || state === "succeeded"));
  assertEquals([shop.threads, shop.restarts], [0, 0]);
});

// -- Workers that the pool does not make itself --

test("WorkerPool speaks to workers of node:worker_threads that spawn makes", async () => {
  const { Worker } = await import("node:worker_threads");
  const url = await workerFile("_tasks.ts");
  await using shop = workers<Tasks>({ spawn: () => new Worker(url), size: 1 });
  assertEquals(await shop.call.double(21), 42);
  assertEquals((await crash(shop.call.exit())).calls, ["exit"]);
  assertEquals(await shop.call.double(4), 8);
});

test("WorkerPool speaks to workers of the web that spawn makes", async () => {
  if (typeof Worker === "undefined") return; // Node has none
  const url = await workerFile("_tasks.ts");
  const spawn = () => new Worker(url, { type: "module" });
  await using shop = workers<Tasks>({ spawn, size: 1, graceMs: 50 });
  assertEquals(await shop.call.double(21), 42);
  assert(String((await crash(shop.call.explode())).cause).includes("boom"));
  const { spin } = await spinning(shop);
  await spin.kill();
  const letters: string[] = [];
  for await (const letter of shop.call.letters("abc")) letters.push(letter);
  assertEquals([spin.state, letters], ["killed", ["a", "b", "c"]]);
});

test("WorkerPool fails when a worker of the web cannot be loaded", async () => {
  if (typeof Worker === "undefined") return; // Node has none
  const spawn = () => new Worker(new URL("./none.mjs", import.meta.url), { type: "module" });
  await using shop = workers<Tasks>({ spawn, restarts: { max: 0 } });
  assert((await crash(shop.call.double(1))).message.includes("could not start"));
});

// -- Whole processes --

interface Exit {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function runProgram(name: string): Promise<Exit> {
  const file = fileURLToPath(new URL("./_exits.ts", import.meta.url));
  const args = "Deno" in globalThis
    ? ["run", "-A", "--no-check", "--quiet", file]
    : "Bun" in globalThis
    ? [file]
    : ["--import", "tsx", file];
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...rest } = process.env;
  const worker = (await workerFile("_tasks.ts")).href;
  return await new Promise((resolve) => {
    execFile(
      process.execPath,
      [...args, name, worker],
      { env: { ...rest, NO_COLOR: "1" }, timeout: 30_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
        resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() });
      },
    );
  });
}

async function assertEnds(program: string, stdout: string): Promise<void> {
  assertEquals(await runProgram(program), { code: 0, stdout, stderr: "" });
}

test("process ends though a pool was never used", () => assertEnds("unused", "done"));

test("process ends though a pool is idle", () => assertEnds("idle", "42"));

test("process lives as long as a call runs, though nobody awaits it", async () => {
  await assertEnds("unawaited", "42");
  await assertEnds("long", "rested");
});

test("process ends though an idle worker has something to wait for", async () => {
  await assertEnds("lingering", "done");
});

test("process ends when its pool is disposed", async () => {
  const exit = await runProgram("disposed");
  assertEquals([exit.code, exit.stdout.replaceAll(/\s/g, ""), exit.stderr], [0, "[2,4,6]", ""]);
});

test("process ends when its pool is closed in the midst of work, and no thread is left", async () => {
  await assertEnds("midwork", "killed killed killed 0");
});

test("process ends when its workers could not start", async () => {
  const { code, stdout } = await runProgram("failed"); // Deno prints the worker's error
  assertEquals([code, stdout], [0, "WorkerCrashed true"]);
});

test("process without AsyncLocalStorage ends a map at its first failure, whichever items run", async () => {
  await assertEnds("alone", "two 0");
});

test("process that may not read the worker's file hears of it as a crash", async () => {
  if (!("Deno" in globalThis)) return;
  // Not by node:child_process, which on Deno gives a child the rights of its parent.
  const file = fileURLToPath(new URL("./_exits.ts", import.meta.url));
  const args = ["run", "--no-check", "--quiet", "--no-prompt", file, "forbidden"];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "null" })
    .output();
  assertEquals([code, new TextDecoder().decode(stdout).trim()], [0, "WorkerCrashed true"]);
});

test("process is told of a deadlock though a pool is idle", () => assertEnds("stuck", "true"));

test("process ends though a worker of the web is idle", async () => {
  if (typeof Worker !== "undefined") await assertEnds("web", "42");
});
