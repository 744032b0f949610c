// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import { execFile } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { installUnhandled, reportUnhandled, tellUnhandled } from "../../src/_kernel/unhandled.ts";

/** Runs unhandled_program.ts on this very runtime. */
function runProgram(how: string): Promise<{ code: unknown; output: string }> {
  const program = fileURLToPath(new URL("./unhandled_program.ts", import.meta.url));
  const args = "Deno" in globalThis
    ? ["run", "-A", "--no-check", program, how]
    : [...process.execArgv.filter((arg) => !arg.startsWith("--test")), program, how];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, output: stdout + stderr });
    });
  });
}

test("reportUnhandled() tells every hook, in order, with the task", () => {
  const seen: unknown[][] = [], error = new Error("no"), task = { name: "task" };
  const remove = ["a", "b"].map((name) =>
    installUnhandled((error, task) => seen.push([name, error, task]))
  );
  reportUnhandled(error, task);
  reportUnhandled(undefined);
  for (const take of remove) take();
  assertEquals(seen.map(([name]) => name), ["a", "b", "a", "b"]);
  assertStrictEquals(seen[0]![1], error);
  assertStrictEquals(seen[0]![2], task);
  assertEquals(seen.slice(2), [["a", undefined, undefined], ["b", undefined, undefined]]);
});

test("installUnhandled() of one function twice counts twice, each is removed alone", () => {
  let calls = 0;
  const hook = () => void calls++;
  const removeFirst = installUnhandled(hook), removeSecond = installUnhandled(hook);
  reportUnhandled(1);
  assertEquals(calls, 2);
  removeFirst();
  removeFirst();
  reportUnhandled(1);
  assertEquals(calls, 3);
  removeSecond();
  tellUnhandled(1);
  assertEquals(calls, 3);
});

test("tellUnhandled() without a hook tells nobody", () => {
  tellUnhandled(new Error("for hooks only"));
});

test("reportUnhandled() goes by the hooks there were when it began", () => {
  const seen: string[] = [];
  const removeFirst = installUnhandled(() => {
    seen.push("first");
    removeSecond();
    removeThird = installUnhandled(() => seen.push("third"));
  });
  const removeSecond = installUnhandled(() => seen.push("second"));
  let removeThird = () => {};
  reportUnhandled(1);
  assertEquals(seen, ["first", "second"]);
  removeFirst();
  removeThird();
});

test("reportUnhandled() without a hook is the host's unhandled rejection", async () => {
  const { code, output } = await runProgram("bare");
  assert(code !== 0);
  assertMatch(output, /of the program/);
});

test("reportUnhandled() with a hook does not reach the host", async () => {
  for (const how of ["hooked", "told"]) {
    assertEquals(await runProgram(how), { code: 0, output: "went on\n" });
  }
});

test("reportUnhandled() gives what a hook throws to the host, and not to the hooks", async () => {
  const { code, output } = await runProgram("throwing");
  assert(code !== 0);
  assertMatch(output, /of the hook/);
});
