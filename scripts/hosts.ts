// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Lets Bun and Node run the very files that Deno runs. Neither reads `deno.json`, so they get a
 * folder `.hosts` with what they read instead: copies of the sources, a `package.json` with the
 * npm imports of `deno.json`, and a `tsconfig.json` that resolves the other bare names.
 *
 * @module
 */

import { cpSync, existsSync } from "node:fs";
import deno from "../deno.json" with { type: "json" };
import { read, run } from "./command.ts";

const FOLDER = ".hosts";
const COPIED = ["mod.ts", "src", "tests", "examples", "scripts", "deno.json", "README.md"];
const BUN_PACKAGE = "bun@1.4.5";
const NODE24_PACKAGE = "node@24";
const TSX_VERSION = "4.23.15";

/** A runtime that is there and has said its version. */
export interface Host {
  name: "Deno" | "Bun" | "Node";
  version: string;
  /** The program, by name or path. */
  command: string;
  /** What it needs before a TypeScript file, in the folder of {@linkcode prepareHosts}. */
  runArgs: readonly string[];
}

/** The Deno that runs this. */
export function findDeno(): Promise<Host> {
  return Promise.resolve({
    name: "Deno",
    version: Deno.version.deno,
    command: Deno.execPath(),
    runArgs: ["run", "-A"],
  });
}

/** Bun from the PATH, else from npm. */
export async function findBun(): Promise<Host> {
  // Its own path, not `npx`: a signal to npx would leave Bun behind.
  const command = await read("bun", ["--version"]).then(
    () => "bun",
    () => read("npx", ["-y", BUN_PACKAGE, "--eval", "console.log(process.execPath)"]),
  );
  return { name: "Bun", version: await read(command, ["--version"]), command, runArgs: [] };
}

/** Node from the PATH. */
export function findNode(): Promise<Host> {
  return nodeAt("node");
}

/** Node 24 from npm, beside the one from the PATH. */
export async function findNode24(): Promise<Host> {
  return await nodeAt(await read("npx", ["-y", NODE24_PACKAGE, "-p", "process.execPath"]));
}

async function nodeAt(command: string): Promise<Host> {
  const version = (await read(command, ["--version"])).replace(/^v/, "");
  return { name: "Node", version, command, runArgs: ["--import", "tsx"] };
}

/**
 * Brings the folder up to date and gives its path. Installs only when packages are missing or of
 * another version: those of `deno.json`, and `more`, by name.
 */
export async function prepareHosts(more: Record<string, string> = {}): Promise<string> {
  Deno.mkdirSync(FOLDER, { recursive: true });
  for (const name of COPIED) {
    // A file deleted here must not live on there.
    if (existsSync(`${FOLDER}/${name}`)) Deno.removeSync(`${FOLDER}/${name}`, { recursive: true });
    if (existsSync(name)) cpSync(name, `${FOLDER}/${name}`, { recursive: true });
  }
  Deno.writeTextFileSync(
    `${FOLDER}/tsconfig.json`,
    toJson({
      compilerOptions: {
        target: "ES2022",
        module: "ESNext",
        moduleResolution: "bundler",
        paths: paths(),
      },
    }),
  );
  await install({ ...dependencies(), ...more });
  return FOLDER;
}

async function install(wanted: Record<string, string>): Promise<void> {
  const file = `${FOLDER}/package.json`;
  const done = `${FOLDER}/node_modules/.package-lock.json`;
  if (existsSync(done)) {
    const { dependencies: installed } = JSON.parse(Deno.readTextFileSync(file));
    // More may stay: the tests shall not remove what the benchmarks need, and install it again.
    if (Object.entries(wanted).every(([name, version]) => installed[name] === version)) return;
    // npm writes this file last; without it an install that fails is tried again next time.
    Deno.removeSync(done);
  }
  Deno.writeTextFileSync(file, toJson({ private: true, type: "module", dependencies: wanted }));
  const { success, output } = await run("npm", ["install", "--no-audit", "--no-fund"], {
    cwd: FOLDER,
  });
  if (!success) throw new Error(`Cannot install the packages of ${FOLDER}: ${output}`);
}

/** The npm imports of `deno.json`, at the same versions. */
function dependencies(): Record<string, string> {
  const versions: Record<string, string> = { tsx: TSX_VERSION };
  for (const [name, target] of Object.entries(deno.imports)) {
    // They serve scripts only, and are bigger than all the rest.
    if (name === "typescript" || name === "playwright-core" || !target.startsWith("npm:")) continue;
    versions[name] = target.slice(target.lastIndexOf("@") + 1);
  }
  return versions;
}

/** The library under its own names, and the stand-in for the one JSR package that tests import. */
function paths(): Record<string, string[]> {
  const own = Object.entries(deno.exports).map((
    [entry, file],
  ): [string, string[]] => [deno.name + entry.slice(1), [file]]);
  return { ...Object.fromEntries(own), "@std/assert": ["./tests/std_assert.ts"] };
}

function toJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2) + "\n";
}
