// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import {
  assert,
  assertEquals,
  assertLess,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { execFileSync } from "node:child_process";
import { getEventListeners } from "node:events";
import fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import util from "node:util";
import { TimeoutError } from "../../src/errors.ts";
import { patch } from "../../src/patch/mod.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import { currentTask } from "../../src/task.ts";
import { withTimeout } from "../../src/timeout.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { livingTask } from "../waits.ts";
import { assertEndsWithTask, thrown, untilTrue, waitsOf } from "./ends.ts";

noLeaks();

const folder = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), "baozi-fs-")));
const file = join(folder, "file.txt");
fs.writeFileSync(file, "hello");
const before = { stat: fs.stat, readFile: fs.promises.readFile };
const patched = patch({ fs: true });
after(() => {
  patched[Symbol.dispose]();
  fs.rmSync(folder, { recursive: true });
});

type Fn = (...args: unknown[]) => unknown;
const named = (owner: object, name: string): Fn => Reflect.get(owner, name) as Fn;
const READS = ["access", "lstat", "readdir", "readlink", "realpath", "stat", "statfs", "readFile"];

test("reads of fs.promises end with their task", async () => {
  for (const name of [...READS, "opendir", "open"]) {
    const read = named(fs.promises, name);
    await assertEndsWithTask(`fs.promises.${name} ${file}`, () => read(file) as Promise<unknown>);
  }
});

test("reads of fs with a callback end with their task", async () => {
  for (const name of READS) {
    const read = util.promisify(named(fs, name)) as (path: string) => Promise<unknown>;
    await assertEndsWithTask(`fs.${name} ${file}`, () => read(file));
  }
});

test("functions of fs give in a task what they give outside", async () => {
  const look = async (): Promise<unknown[]> => [
    await fs.promises.readFile(file, "utf8"),
    (await fs.promises.stat(file)).size,
    await fs.promises.readdir(folder),
    await util.promisify(fs.readFile)(file, "utf8"),
    await util.promisify(fs.realpath)(file),
    (await rejection(fs.promises.stat(join(folder, "missing"))) as { code: string }).code,
  ];
  const expected = await look();
  assertEquals(expected[0], "hello");
  assertEquals(await spawn(look), expected);
  assertEquals(await withTimeout(60_000, look), expected);
});

test("a callback of fs is called once and in its task, however it ends", async () => {
  const living = await livingTask();
  const calls: unknown[] = [];
  living.call(() => fs.stat(file, (error) => calls.push(error, currentTask())));
  const reason = new Error("killed");
  void living.task.kill(reason);
  assertEquals(calls, [], "not within the kill");
  await idle();
  assertEquals(calls, [reason, living.task]);
  await fs.promises.stat(file);
  await idle();
  assertEquals(calls.length, 2);
  await living.end();
  const task = spawn(() => new Promise((resolve) => fs.stat(file, () => resolve([currentTask()]))));
  assertEquals(await task, [task]);
});

test("what has begun to change the disk is waited for, and what has not is refused", async () => {
  const mkdirs: Array<[string, (path: string) => Promise<unknown>]> = [
    ["fs.promises.mkdir", (path) => fs.promises.mkdir(path)],
    ["fs.mkdir", (path) => util.promisify(fs.mkdir)(path)],
  ];
  for (const [name, mkdir] of mkdirs) {
    const living = await livingTask();
    const path = join(folder, name);
    const waiting = outcome(living.call(() => mkdir(path)));
    assertEquals(waitsOf(living.task), [`${name} ${path}`]);
    const reason = new Error("killed");
    void living.task.kill(reason);
    await untilTrue(() => waiting.state !== "pending");
    assertEquals([waiting.state, fs.existsSync(path)], ["resolved", true]);
    const late = join(path, "late");
    assertStrictEquals(await rejection(living.call(() => mkdir(late))), reason);
    assertEquals(fs.existsSync(late), false);
    await living.end();
  }
});

test("a file that opens after the kill of its task is closed", async () => {
  const descriptors = "/proc/self/fd";
  if (!fs.existsSync(descriptors)) return;
  const isOpen = (): boolean =>
    fs.readdirSync(descriptors).some((fd) => {
      try {
        return fs.readlinkSync(join(descriptors, fd)) === file;
      } catch {
        return false; // the one that read the folder
      }
    });
  // Node closes what nobody refers to any more, and warns.
  const warnings: Error[] = [];
  const warned = (warning: Error) => warnings.push(warning);
  process.on("warning", warned);
  for (const open of [() => fs.promises.open(file), () => util.promisify(fs.open)(file, "r")]) {
    for (let round = 0; round < 5; round++) {
      const living = await livingTask();
      const opening = outcome(living.call<Promise<unknown>>(open));
      void living.task.kill();
      await living.end();
      assertEquals(opening.state, "rejected");
    }
    // The host opens one after the other, as good as.
    for (let round = 0; round < 5; round++) await (await fs.promises.open(folder)).close();
    await untilTrue(() => !isOpen());
  }
  process.removeListener("warning", warned);
  assertEquals(warnings, []);
});

test("a signal of the user keeps its meaning in a task, and is let go at the end", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const read = () => fs.promises.readFile(file, { encoding: "utf8", signal });
  assertEquals(await spawn(read), "hello");
  assertEquals(getEventListeners(signal, "abort").length, 0);
  const living = await livingTask();
  const aborted = living.call(read);
  controller.abort();
  assertEquals((await rejection(aborted) as Error).name, "AbortError");
  assertEquals((await rejection(living.call(read)) as Error).name, "AbortError");
  assertEquals(getEventListeners(signal, "abort").length, 0);
  await living.end();
});

test("the host judges wrong arguments", async () => {
  for (const signal of [5, {}]) {
    const wrong = () => fs.promises.readFile(file, { signal: signal as never });
    const outside = await rejection(wrong()) as Error;
    const inside = await rejection(spawn(wrong)) as Error;
    assertEquals([inside.name, inside.message], [outside.name, outside.message]);
  }
  const noCallback = () => fs.stat(file, undefined as never);
  assertThrows(noCallback, TypeError);
  await assertRejects(() => spawn(noCallback).get(), TypeError);
});

test("a limit ends a read that the host cannot end", async () => {
  const pipe = join(folder, "pipe");
  try {
    execFileSync("mkfifo", [pipe]);
  } catch {
    return; // this system has none
  }
  const start = performance.now();
  // Opening a pipe takes until somebody writes to it.
  for (const read of [() => fs.promises.readFile(pipe), () => util.promisify(fs.readFile)(pipe)]) {
    await assertRejects(() => withTimeout(20, read), TimeoutError);
  }
  assertLess(performance.now() - start, 2000);
  // Lets the threads of the host go.
  const { O_RDWR, O_NONBLOCK } = fs.constants;
  for (let i = 0; i < 20; i++) {
    const fd = fs.openSync(pipe, O_RDWR | O_NONBLOCK);
    await idle();
    fs.closeSync(fd);
  }
});

test("fs.promises.watch() ends with its task, and when its loop is left", async () => {
  const noise = setInterval(() => fs.writeFileSync(join(folder, "noise"), ""), 5);
  const living = await livingTask();
  const seen: unknown[] = [];
  const watching = outcome(living.call(async () => {
    for await (const { filename } of fs.promises.watch(folder)) seen.push(filename);
  }));
  assertEquals(waitsOf(living.task), [`fs.promises.watch ${folder}`]);
  await untilTrue(() => seen.includes("noise"));
  const reason = new Error("killed");
  void living.task.kill(reason);
  await idle();
  assertStrictEquals(watching.error, reason);
  await living.end();

  const { signal } = new AbortController();
  const left = spawn(async () => {
    let seen = 0;
    for await (const _ of fs.promises.watch(folder, { signal })) if (++seen === 2) break;
    return seen;
  });
  assertEquals(await left, 2);
  assertEquals(getEventListeners(signal, "abort").length, 0);
  clearInterval(noise);
});

test("fs.watch() closes when its task is killed, and not when it ends", async () => {
  const closed: string[] = [];
  const living = await livingTask();
  const outlives = living.call(() => fs.watch(folder));
  outlives.on("close", () => closed.push("outlives"));
  assertEquals(waitsOf(living.task), [`fs.watch ${folder}`]);
  await living.end();

  const killed = await livingTask();
  killed.call(() => fs.watch(folder)).on("close", () => closed.push("killed"));
  void killed.task.kill();
  await untilTrue(() => closed.length > 0);
  await killed.end();
  assertEquals(closed, ["killed"]);
  outlives.close();
  await untilTrue(() => closed.length > 1);
});

test("a stream of a file is destroyed with the reason", async () => {
  const big = join(folder, "big");
  fs.writeFileSync(big, new Uint8Array(1 << 20));
  const living = await livingTask();
  let chunks = 0;
  const reading = outcome(living.call(async () => {
    for await (const _ of fs.createReadStream(big)) {
      chunks++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }));
  await untilTrue(() => chunks > 0);
  assert(waitsOf(living.task).includes(`fs.createReadStream ${big}`));
  const reason = new Error("killed");
  void living.task.kill(reason);
  await untilTrue(() => reading.state !== "pending");
  assertStrictEquals(reading.error, reason);
  await living.end();

  // Nobody listens to its error: the process must live on.
  const unheard = await livingTask();
  const stream = unheard.call(() => fs.createReadStream(big));
  let teller: unknown;
  unheard.call(() => stream.on("close", () => teller = currentTask()));
  await untilTrue(() => !stream.pending);
  await spawn(() => void unheard.task.kill(reason));
  await untilTrue(() => stream.closed && teller !== undefined);
  assertStrictEquals(stream.errored, reason);
  assertStrictEquals(teller, unheard.task);
  await unheard.end();
});

test("a loop over the lines of a file ends with its task, and the process lives on", async () => {
  const lines = join(folder, "lines");
  fs.writeFileSync(lines, "line\n".repeat(100_000));
  let seen = 0;
  const task = spawn(async () => {
    for await (const _ of createInterface({ input: fs.createReadStream(lines) })) {
      if (++seen % 100 === 0) await sleep(1);
    }
  });
  await untilTrue(() => seen >= 100);
  const reason = new Error("killed");
  await task.kill(reason);
  assertStrictEquals(task.error, reason);
});

test("in a killed task no file is opened for writing", async () => {
  const out = join(folder, "out");
  const write = (): Promise<string> =>
    new Promise((resolve) => {
      const stream = fs.createWriteStream(out);
      stream.on("close", () => resolve(fs.readFileSync(out, "utf8")));
      stream.end("text");
    });
  assertEquals(await spawn(write), "text");
  const living = await livingTask();
  const reason = new Error("killed");
  void living.task.kill(reason);
  assertStrictEquals(thrown(() => living.call(() => fs.createWriteStream(out))), reason);
  assertEquals(fs.readFileSync(out, "utf8"), "text");
  await living.end();
});

test("taking the part out puts the very functions of fs back", () => {
  assert(fs.stat !== before.stat && fs.promises.readFile !== before.readFile);
  assertEquals([fs.stat.name, fs.stat.length], [before.stat.name, before.stat.length]);
  patched[Symbol.dispose]();
  assertStrictEquals(fs.stat, before.stat);
  assertStrictEquals(fs.promises.readFile, before.readFile);
});
