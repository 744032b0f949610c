// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Runs every example as a program of its own, on the runtime that runs this test, and compares what
 * it prints with what it says it prints.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const FOLDER = new URL("../examples/", import.meta.url);
const ROOT = fileURLToPath(new URL("../", import.meta.url));
const HEADER =
  /^\/\/ Copyright \d{4} the baozi authors\. MIT license\.\n\/\/ (Runs anywhere\.|Needs: [A-Za-z |]+)\n\n\/\/ \S/;
/** How an output block begins. A program may have one for each of two worlds: `// Output with …:`. */
const BLOCK = /^\/\/ Output.*:\n/m;
const MOST_LINES = 60;
const LIMIT_MS = 30_000;

describe("examples", () => {
  for (const file of readdirSync(FOLDER).filter((file) => file.endsWith(".ts")).sort()) {
    const text = readFileSync(new URL(file, FOLDER), "utf8");
    const [program, ...blocks] = text.split(BLOCK);

    it(`${file} is short, says what it shows, and ends in its output`, () => {
      assertMatch(text, HEADER);
      assertLess(text.split("\n").length - 1, MOST_LINES, "lines");
      assert(blocks.length > 0, "must end in // Output: and what it prints");
      for (const block of blocks) assertMatch(block, /^(\/\/( .*)?\n)+$/);
      const imported = [...program!.matchAll(/(?:from|import\() ?"([^"]+)"/g)].map(([, name]) =>
        name
      );
      for (const name of imported) {
        assertMatch(name!, /^(@baozi\/baozi(\/.+)?|@std\/async|p-retry|node:.+|\.\/workers\/.+)$/);
      }
    });

    it(`${file} prints what it says`, async () => {
      const { code, stdout, stderr } = await run(`examples/${file}`);
      const expected = blocks.map((block) => block.replaceAll(/^\/\/ ?/gm, ""));
      assertEquals(code, 0, `${file} must end by itself with code 0, and said: ${stderr}${stdout}`);
      if (!expected.includes(stdout)) assertEquals(stdout, expected.at(-1), stderr);
    });
  }
});

interface Outcome {
  /** `null` if a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}

function run(file: string): Promise<Outcome> {
  const child = spawn(process.execPath, [...runArgs(), file], {
    cwd: ROOT,
    // A proxy must not get what goes to loopback.
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, NO_PROXY: "*", no_proxy: "*" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT_MS,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code: number | null) => resolve({ code, stdout, stderr }));
  });
}

/** What this runtime needs before a TypeScript file; Bun needs nothing. */
function runArgs(): string[] {
  if ("Bun" in globalThis) return [];
  if (!("Deno" in globalThis)) return ["--import", "tsx"];
  // Whoever runs the tests has decided whether JSR can be reached; the examples run alike.
  const reachable = import.meta.resolve("@std/assert").startsWith("jsr:");
  return ["run", "-A", ...(reachable ? [] : ["--import-map", "tests/offline.json"])];
}
