// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Runs a small program in a process of its own, on the runtime that runs the test: for what only
 * a whole process shows, how it ends and what it prints.
 *
 * @module
 */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

/** A child that hangs is ended after this time. */
const LIMIT_MS = 30_000;

const ROOT = new URL("../", import.meta.url);

/** How the child ended. */
export interface Exit {
  /** The exit code; `null` if it hung and was ended. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs `program`, the text of a JavaScript module, in which `load()` imports the library and `gc()`
 * collects garbage.
 */
export function runChild(program: string): Promise<Exit> {
  const text = `
    const load = () => import(${JSON.stringify(new URL("mod.ts", ROOT).href)});
    const gc = () => globalThis.Bun ? globalThis.Bun.gc(true) : globalThis.gc();
    ${program}`;
  const { env } = process;
  // What the test runner tells its own children must not reach this one.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...rest } = env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      commandLine(text),
      { cwd: fileURLToPath(ROOT), env: { ...rest, NO_COLOR: "1" }, timeout: LIMIT_MS },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
        resolve({ code, stdout: stdout.trim(), stderr: stderr.trim() });
      },
    );
  });
}

function commandLine(text: string): string[] {
  if ("Deno" in globalThis) return ["eval", "--quiet", "--v8-flags=--expose-gc", "--ext=js", text];
  if ("Bun" in globalThis) return ["-e", text];
  return ["--expose-gc", "--import", "tsx", "--input-type=module", "-e", text];
}
