// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Puts known bugs into copies of the library, one at a time, and says which test catches each.
 *
 *     deno task mutate [--only part of an id or a file] [--jobs 2] [--save]
 *
 * A run of all writes the table that RELIABILITY.md is made of: `scripts/mutants/verdicts.json`. `--save`
 * writes that of some beside what is saved of the others.
 *
 * @module
 */

// A mutant is a slip that a person could make, and no change that nobody could tell from the right
// code. One that survives is a hole in the tests: the way to mend it is a test.
// Each job works in a copy of its own: the tree is never touched.

import { cpSync, existsSync, readdirSync } from "node:fs";
import { run } from "./command.ts";
import { CHANNEL_MUTANTS } from "./mutants/channels.ts";
import { COROUTINE_MUTANTS } from "./mutants/coroutines.ts";
import { KERNEL_MUTANTS } from "./mutants/kernel.ts";
import { SYNC_MUTANTS } from "./mutants/sync.ts";
import { TASK_MUTANTS } from "./mutants/tasks.ts";
import { WORKER_MUTANTS } from "./mutants/workers.ts";

/** One bug. */
export interface Mutant {
  /** A name for it, unique. */
  readonly id: string;
  /** The file below `src/`. */
  readonly file: string;
  /** What is wrong, as a user would see it. */
  readonly bug: string;
  /** The text that is replaced: it must be in the file exactly once. */
  readonly text: string;
  /** What takes its place. */
  readonly replacement: string;
  /** Parts of names of test files to run before all others. @default {those named as the file} */
  readonly first?: readonly string[];
}

/** What became of a mutant. */
interface Verdict {
  readonly id: string;
  readonly file: string;
  readonly bug: string;
  readonly caught: boolean;
  /** The test that failed first, or how it was seen; `null` for a survivor. */
  readonly by: string | null;
}

const MUTANTS: readonly Mutant[] = [
  ...KERNEL_MUTANTS,
  ...CHANNEL_MUTANTS,
  ...SYNC_MUTANTS,
  ...TASK_MUTANTS,
  ...COROUTINE_MUTANTS,
  ...WORKER_MUTANTS,
];

const ROOT = new URL("../", import.meta.url).pathname;
const TABLE = "scripts/mutants/verdicts.json";
const COPIED = [
  "mod.ts",
  "src",
  "tests",
  "examples",
  "scripts",
  "deno.json",
  "README.md",
  "CHANGELOG.md",
];
/** A run that takes longer hangs: the bug is caught. */
const FIRST_LIMIT_MS = 60_000;
const ALL_LIMIT_MS = 300_000;
/** They test the host's side, and know nothing that those of the core do not. */
const APART = /^(net|patch)\//;
/** So do these, but for the bugs that are theirs. */
const OF_WORKERS = "/workers/";
/** They start processes and are slow: last. */
const SLOW =
  /examples_test|exit_test|lifecycle_test|readme_test|unhandled_test|deadlock_test|prove_test/;

async function main(args: string[]): Promise<boolean> {
  const only = option(args, "--only");
  const jobs = Number(option(args, "--jobs") ?? 2);
  const chosen = MUTANTS.filter(({ id, file }) =>
    only === undefined || id.includes(only) || file.includes(only)
  );
  if (chosen.length === 0) throw new Error(`Cannot mutate: a mutant must match, got ${only}`);
  checkAll(MUTANTS);
  const trees = Array.from({ length: Math.min(jobs, chosen.length) }, copyTree);
  try {
    const sound = only !== undefined ||
      await runTests(trees[0]!, testFiles(trees[0]!), ALL_LIMIT_MS);
    if (typeof sound === "object") {
      throw new Error(`Cannot mutate: the tests must pass without a bug, got ${sound.by}`);
    }
    const verdicts: Verdict[] = [];
    const left = [...chosen];
    await Promise.all(trees.map(async (tree) => {
      for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
        const started = performance.now();
        const verdict = await tryOut(mutant, tree);
        verdicts.push(verdict);
        const { id, caught, by } = verdict;
        const seconds = (performance.now() - started) / 1000;
        console.log(
          `${caught ? "caught  " : "SURVIVED"} ${id} (${seconds.toFixed(1)} s): ${by ?? ""}`,
        );
      }
    }));
    const survivors = verdicts.filter(({ caught }) => !caught);
    if (only === undefined || args.includes("--save")) save(verdicts);
    console.log(`\n${verdicts.length} mutants, ${verdicts.length - survivors.length} caught`);
    for (const { id, file, bug } of survivors) console.log(`SURVIVED ${id} (src/${file}): ${bug}`);
    return survivors.length === 0;
  } finally {
    for (const tree of trees) Deno.removeSync(tree, { recursive: true });
  }
}

/** Writes verdicts beside those of the others, in the order of the mutants. */
function save(verdicts: readonly Verdict[]): void {
  const saved: Verdict[] = JSON.parse(Deno.readTextFileSync(`${ROOT}${TABLE}`));
  const table = MUTANTS.flatMap(({ id }) => {
    const verdict = [...verdicts, ...saved].find((one) => one.id === id);
    return verdict === undefined ? [] : [verdict];
  });
  Deno.writeTextFileSync(`${ROOT}${TABLE}`, JSON.stringify(table, undefined, 2) + "\n");
}

function option(args: readonly string[], flag: string): string | undefined {
  const at = args.indexOf(flag);
  return at < 0 ? undefined : args[at + 1];
}

/** Every text must still be there, once: a mutant that changes nothing would always survive. */
function checkAll(mutants: readonly Mutant[]): void {
  const stale = mutants.filter(({ file, text, replacement }) =>
    Deno.readTextFileSync(`${ROOT}src/${file}`).split(text).length !== 2 || text === replacement
  ).map(({ id }) => id);
  const twice = mutants.filter(({ id }, i) => mutants.findIndex((other) => other.id === id) !== i)
    .map(({ id }) => id);
  if (stale.length > 0 || twice.length > 0) {
    throw new Error(
      `Cannot mutate: each text must be in its file exactly once and each id unique, got ${
        [...stale, ...twice].join(", ")
      }`,
    );
  }
}

function copyTree(): string {
  const tree = Deno.makeTempDirSync();
  for (const name of COPIED) {
    if (existsSync(ROOT + name)) cpSync(ROOT + name, `${tree}/${name}`, { recursive: true });
  }
  return tree;
}

async function tryOut(mutant: Mutant, tree: string): Promise<Verdict> {
  const { id, file, bug, text, replacement } = mutant;
  const path = `${tree}/src/${file}`;
  const source = Deno.readTextFileSync(path);
  // A function, since in a string "$" means something.
  Deno.writeTextFileSync(path, source.replace(text, () => replacement));
  const parts = mutant.first ?? [namedAs(file)];
  const withWorkers = [file, ...parts].some((part) => part.startsWith(OF_WORKERS.slice(1)));
  const all = testFiles(tree).filter((test) => withWorkers || !test.includes(OF_WORKERS));
  const first = all.filter((test) => parts.some((part) => test.includes(part)));
  const rest = all.filter((test) => !first.includes(test));
  try {
    let found = first.length > 0 ? await runTests(tree, first, FIRST_LIMIT_MS) : true;
    if (found === true) found = await runTests(tree, rest, ALL_LIMIT_MS);
    return { id, file, bug, caught: found !== true, by: found === true ? null : found.by };
  } finally {
    Deno.writeTextFileSync(path, source);
  }
}

/** `_kernel/ring.ts` -> `/ring_`, which its test files have in their names. */
function namedAs(file: string): string {
  return `/${file.replace(/^.*\//, "").replace(/\.ts$/, "_")}`;
}

function testFiles(tree: string): string[] {
  const files = readdirSync(`${tree}/tests`, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith("_test.ts") && !APART.test(file))
    .map((file) => `./tests/${file}`)
    .sort();
  return [...files.filter((file) => !SLOW.test(file)), ...files.filter((file) => SLOW.test(file))];
}

/** Runs tests up to the first that fails: `true` if none does, else how it was seen. */
async function runTests(
  tree: string,
  files: readonly string[],
  limitMs: number,
): Promise<true | { by: string }> {
  const limit = AbortSignal.timeout(limitMs);
  const { success, output } = await run(Deno.execPath(), [
    "test",
    "-A",
    "--no-check",
    "--fail-fast",
    // A bug may loop and keep what it makes.
    "--v8-flags=--max-old-space-size=1500",
    "--import-map=tests/offline.json",
    ...files,
  ], { cwd: tree, signal: limit, env: { NO_COLOR: "1" } });
  if (success) return true;
  const failed = /^ *(.*?) \.\.\. .*?FAILED/m.exec(output)?.[1] ??
    /^(.+?) => .*_test\.ts/m.exec(output)?.[1];
  if (limit.aborted) {
    const last = [...output.matchAll(/^ *(.*?) \.\.\. ok /gm)].at(-1)?.[1];
    return {
      by: last === undefined ? "the first test hangs" : `the test after this hangs: ${last}`,
    };
  }
  if (failed !== undefined) return { by: failed };
  const error = /^error: .*$/m.exec(output)?.[0] ?? output.slice(-300);
  // A bug that the compiler or the first import finds proves nothing about the tests.
  if (!/ \.\.\. ok /.test(output)) {
    throw new Error(`Cannot judge: at least one test must run, got ${error}`);
  }
  return { by: `outside of a test: ${error}` };
}

if (import.meta.main) Deno.exit(await main([...Deno.args]) ? 0 : 1);
