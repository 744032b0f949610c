// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { assert, assertEquals, assertLess, assertRejects, assertStrictEquals } from "@std/assert";
import childProcess from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import util from "node:util";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { TimeoutError } from "../../src/errors.ts";
import { patch } from "../../src/patch/mod.ts";
import { spawn } from "../../src/spawn.ts";
import { currentTask } from "../../src/task.ts";
import { withTimeout } from "../../src/timeout.ts";
import { gate } from "../gate.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { livingTask } from "../waits.ts";
import { thrown, untilTrue, waitsOf } from "./ends.ts";

noLeaks();

const before = { spawn: childProcess.spawn, exec: childProcess.exec };
const patched = patch({ childProcess: true });
after(() => patched[Symbol.dispose]());

const LONG = ["-e", "setTimeout(() => {}, 60_000)"];

test("a child is ended with its task, which sees it exit", async () => {
  const living = await livingTask();
  const child = living.call(() => childProcess.spawn("sleep", ["60"]));
  assert(child instanceof childProcess.ChildProcess);
  assertEquals(waitsOf(living.task), ["child_process.spawn sleep 60"]);
  const seen: unknown[] = [];
  child.on("exit", (code, signal) => seen.push(code, signal, currentTask()));
  void living.task.kill();
  await untilTrue(() => seen.length > 0);
  assertEquals(seen, [null, "SIGTERM", living.task]);
  await living.end();
});

test("a child that ends by itself ends the wait for it, also one that never began", async () => {
  const before = [liveWaiters(), outsideWaits()];
  const living = await livingTask();
  const children = [["true", "exit"], ["ls /", "exit"], ["/no/such/program", "error"]] as const;
  for (const [program, event] of children) {
    const child = living.call(() => childProcess.spawn(program, { shell: program.includes(" ") }));
    assertEquals(waitsOf(living.task), [`child_process.spawn ${program}`]);
    await once(child, event);
    await untilTrue(() => liveWaiters() === before[0]);
  }
  assertEquals([liveWaiters(), outsideWaits()], before);
  await living.end();
});

test("a child gets the signal that its options name, a detached one none", async () => {
  const living = await livingTask();
  const child = living.call(() => childProcess.spawn("sleep", ["60"], { killSignal: "SIGINT" }));
  const detached = living.call(() => childProcess.spawn("sleep", ["60"], { detached: true }));
  const ended = once(child, "exit");
  assertEquals(waitsOf(living.task).length, 1);
  void living.task.kill();
  assertEquals(await ended, [null, "SIGINT"]);
  assertEquals([detached.exitCode, detached.signalCode], [null, null]);
  const detachedEnded = once(detached, "exit");
  detached.kill();
  await detachedEnded;
  await living.end();
});

test("exec() and execFile() call back once, with the reason, when their task is killed", async () => {
  const calls: Array<[string, (callback: (...results: unknown[]) => void) => unknown]> = [
    [
      "child_process.exec exec sleep 60",
      (callback) => childProcess.exec("exec sleep 60", callback),
    ],
    [
      "child_process.execFile sleep 60",
      (callback) => childProcess.execFile("sleep", ["60"], {}, callback),
    ],
  ];
  for (const [name, execute] of calls) {
    const living = await livingTask();
    const results: unknown[] = [];
    const child = living.call(() =>
      execute((...given) => results.push(...given, currentTask()))
    ) as childProcess.ChildProcess;
    assertEquals(waitsOf(living.task), [name]);
    const reason = new Error("killed");
    void living.task.kill(reason);
    await idle();
    assertEquals(results, [reason, "", "", living.task]);
    await untilTrue(() => child.exitCode !== null || child.signalCode !== null);
    await idle();
    assertEquals(results.length, 4);
    await living.end();
  }
});

test("what util.promisify makes of exec() and execFile() ends with its task", async () => {
  const [exec, execFile] = [childProcess.exec, childProcess.execFile].map((fn) =>
    util.promisify<unknown>(fn as never)
  ) as unknown as [
    typeof childProcess.exec.__promisify__,
    typeof childProcess.execFile.__promisify__,
  ];
  for (const execute of [() => exec("exec sleep 60"), () => execFile("sleep", ["60"])]) {
    const living = await livingTask();
    const promise = living.call(execute);
    const executed = outcome(promise);
    assertEquals(waitsOf(living.task).length, 1);
    const reason = new Error("killed");
    void living.task.kill(reason);
    await idle();
    assertStrictEquals(executed.error, reason);
    const { child } = promise;
    await untilTrue(() => child.exitCode !== null || child.signalCode !== null);
    assertStrictEquals(await rejection(living.call(execute)), reason);
    await living.end();
  }
  assertEquals(await spawn(() => exec("echo hello")), { stdout: "hello\n", stderr: "" });
  assertEquals(await exec("echo hello"), { stdout: "hello\n", stderr: "" });
  const failed = await rejection(spawn(() => execFile("sh", ["-c", "echo no >&2; exit 3"])));
  const { code, stderr } = failed as { code: number; stderr: string };
  assertEquals([code, stderr], [3, "no\n"]);
});

test("who reads the output of a child ends with its task, also when others hold that open", async () => {
  const scripts = [
    "echo begun; exec sleep 60",
    "echo begun; sleep 3; true",
    // Has exited before the kill. On Deno its output is left alone then.
    ..."Deno" in globalThis ? [] : ["sleep 3 & echo begun"],
  ];
  for (const script of scripts) {
    const begun = gate();
    let child!: childProcess.ChildProcess;
    const task = spawn(async () => {
      child = childProcess.spawn("sh", ["-c", script]);
      for await (const _ of child.stdout!) begun.open();
    });
    await begun.promise;
    if (script.includes("&")) await untilTrue(() => child.exitCode === 0);
    let exit: unknown;
    child.on("close", (...given) => exit = given);
    const reason = new Error("killed");
    const start = performance.now();
    await task.kill(reason);
    assertStrictEquals(task.error, reason);
    await untilTrue(() => exit !== undefined);
    if (!script.includes("&")) assertEquals(exit, [null, "SIGTERM"]);
    assertLess(performance.now() - start, 2500);
  }
});

test("fork() ends with its task", async () => {
  const program = join(tmpdir(), `baozi-fork-${process.pid}.mjs`);
  writeFileSync(program, LONG[1]!);
  const living = await livingTask();
  const child = living.call(() => childProcess.fork(program));
  assertEquals(waitsOf(living.task), [`child_process.fork ${program}`]);
  const exit = once(child, "exit");
  void living.task.kill();
  assertEquals(await exit, [null, "SIGTERM"]);
  await living.end();
});

test("a limit ends a child in time", async () => {
  const start = performance.now();
  let child: childProcess.ChildProcess | undefined;
  const exec = util.promisify(childProcess.exec);
  await assertRejects(() =>
    withTimeout(50, () => {
      const promise = exec("exec sleep 60");
      child = promise.child;
      return promise;
    }), TimeoutError);
  await untilTrue(() => child!.signalCode === "SIGTERM");
  assertLess(performance.now() - start, 2000);
});

test("in a killed task no child begins", async () => {
  const living = await livingTask();
  const reason = new Error("killed");
  void living.task.kill(reason);
  const begins = [
    () => childProcess.spawn("true"),
    () => childProcess.exec("true", () => {}),
    () => childProcess.execFile("true"),
    () => childProcess.fork("none"),
  ];
  for (const begin of begins) assertStrictEquals(thrown(() => living.call(begin)), reason);
  await living.end();
});

test("taking the part out puts the very functions of child_process back", async () => {
  assert(childProcess.spawn !== before.spawn && childProcess.exec !== before.exec);
  const promised = util.promisify(childProcess.exec);
  patched[Symbol.dispose]();
  assertStrictEquals(childProcess.spawn, before.spawn);
  assertStrictEquals(childProcess.exec, before.exec);
  assert(promised !== util.promisify(childProcess.exec));
  const living = await livingTask();
  const executed = living.call(() => promised("true"));
  assertEquals(waitsOf(living.task), []);
  await executed;
  await living.end();
});
