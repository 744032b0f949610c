// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * As a preload: programs run as they are, and what they call ends with its task.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Exit } from "../child.ts";

const ROOT = new URL("../../", import.meta.url);
const AUTO = new URL("src/patch/auto.ts", ROOT).href;
/** A child that hangs is ended after this time. */
const LIMIT_MS = 30_000;

/** Runs a program, the text of a module, with the preload that the documentation of each host names. */
function runPreloaded(program: string): Promise<Exit> {
  const folder = mkdtempSync(join(tmpdir(), "baozi-auto-"));
  const file = join(folder, "program.mjs");
  writeFileSync(file, program);
  const preload = fileURLToPath(AUTO);
  const args = "Deno" in globalThis
    ? ["run", "--quiet", "-A", "--no-config", "--preload", preload, file]
    : "Bun" in globalThis
    ? ["--preload", preload, file]
    : ["--import", "tsx", "--import", AUTO, file];
  // What the test runner tells its own children must not reach this one.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      args,
      { cwd: fileURLToPath(ROOT), env: { ...env, NO_COLOR: "1" }, timeout: LIMIT_MS },
      (error, stdout, stderr) => {
        rmSync(folder, { recursive: true });
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
        resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() });
      },
    );
  });
}

test("a preload changes nothing for a program that does not know the library", async () => {
  const exit = await runPreloaded(`
    import { readFile } from "node:fs/promises";
    import { createServer } from "node:http";
    const log = [];
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const server = createServer((_, response) => response.end("hello"));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const interval = setInterval(() => {}, 1);
    await pause(5);
    clearInterval(interval);
    const response = await fetch("http://127.0.0.1:" + server.address().port);
    log.push(await response.text());
    log.push((await readFile(new URL(import.meta.url), "utf8")).length > 0);
    try {
      await fetch("http://127.0.0.1:" + server.address().port, { signal: AbortSignal.abort("no") });
    } catch (error) {
      log.push(error);
    }
    console.log(JSON.stringify(log));
    server.closeAllConnections();
    server.close();
  `);
  assertEquals(exit, { code: 0, stdout: '["hello",true,"no"]', stderr: "" });
});

test("a preload lets unmodified functions end with the task that called them", async () => {
  const exit = await runPreloaded(`
    import { createServer } from "node:http";
    const server = createServer(() => {}); // never answers
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = "http://127.0.0.1:" + server.address().port;

    // These know nothing of any task.
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const load = async () => await (await fetch(url)).text();
    const retry = async (fn) => {
      for (let i = 0; i < 3; i++) await fn().catch(() => pause(60_000));
      throw new Error("tried in vain");
    };

    const { spawn, withTimeout } = await import(${JSON.stringify(new URL("mod.ts", ROOT).href)});
    const start = performance.now();
    const log = [];
    for (const fn of [() => pause(60_000), load, () => retry(() => Promise.reject(new Error("down")))]) {
      const task = spawn(fn);
      await pause(20);
      await task.kill();
      log.push(task.state);
    }
    log.push(await withTimeout(20, load, { fallback: "late" }));
    console.log(JSON.stringify(log), performance.now() - start < 10_000);
    server.closeAllConnections();
    server.close();
  `);
  assertEquals(exit, { code: 0, stdout: '["killed","killed","killed","late"] true', stderr: "" });
});

test("a preload leaves the exit of a program as it is: by itself, and by an uncaught error", async () => {
  const exit = await runPreloaded(`
    setTimeout(() => {}, 60_000).unref();
    console.log("done");
  `);
  assertEquals(exit, { code: 0, stdout: "done", stderr: "" });
  const failed = await runPreloaded(`
    setTimeout(() => {
      throw new Error("un" + "caught");
    }, 1);
    setTimeout(() => console.log("never"), 60_000);
  `);
  assertEquals([failed.code === 0, failed.stdout], [false, ""]);
  assertEquals(failed.stderr.includes("uncaught"), true, failed.stderr);
});
