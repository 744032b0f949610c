// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Runs the whole suite on Deno, Bun and Node and adds up what passed and failed.
 *
 *     deno task test [--only deno|bun|node] [part of a file name]…
 *
 * @module
 */

// One after the other: some tests measure time, and two runtimes at once would disturb each other.
// Counted from JUnit reports, the one format all three write: a test is one that holds no others.

import { readdirSync } from "node:fs";
import { run } from "./command.ts";
import { findBun, findDeno, findNode, type Host, prepareHosts } from "./hosts.ts";
import { type Jsr, probeJsr } from "./jsr.ts";

/** A runtime that hangs is ended after this time, and has failed. */
const LIMIT_MS = 5 * 60_000;

const RUNTIMES = { deno: findDeno, bun: findBun, node: findNode } as const;
type RuntimeName = keyof typeof RUNTIMES;

interface Result {
  title: string;
  passed: number;
  failed: number;
  skipped: number;
  /** What went wrong beside single tests. */
  trouble?: string;
}

async function main(args: string[]): Promise<boolean> {
  const { only, filters } = parse(args);
  const files = testFiles(filters);
  const jsr = await probeJsr();
  console.log(
    jsr.reachable
      ? `@std/assert: the real one on Deno (${jsr.reason}), its stand-in on Bun and Node`
      : `@std/assert: its stand-in tests/std_assert.ts everywhere (${jsr.reason})`,
  );

  const results: Result[] = [];
  for (const name of only ? [only] : Object.keys(RUNTIMES) as RuntimeName[]) {
    results.push(await testOn(name, files, jsr));
  }
  return report(results);
}

function parse(args: string[]): { only?: RuntimeName; filters: string[] } {
  const at = args.indexOf("--only");
  if (at < 0) return { filters: args };
  const [, only = ""] = args.splice(at, 2);
  if (!(only in RUNTIMES)) {
    throw new TypeError(
      `Cannot run the tests: --only must be deno, bun or node, got ${JSON.stringify(only)}`,
    );
  }
  return { only: only as RuntimeName, filters: args };
}

function testFiles(filters: string[]): string[] {
  const files = readdirSync("tests", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith("_test.ts"))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .map((file) => `./tests/${file}`)
    .sort();
  if (files.length > 0) return files;
  throw new Error(`Cannot run the tests: a file in tests/ must match, got ${filters.join(" ")}`);
}

async function testOn(name: RuntimeName, files: string[], jsr: Jsr): Promise<Result> {
  let host: Host;
  let cwd = ".";
  try {
    host = await RUNTIMES[name]();
    if (name !== "deno") cwd = await prepareHosts();
  } catch (error) {
    const trouble = `could not be started: ${(error as Error).message}`;
    return { title: name, passed: 0, failed: 1, skipped: 0, trouble };
  }
  const title = `${host.name} ${host.version}`;
  console.log(`\n==== ${title} ====`);

  const junit = Deno.makeTempFileSync({ suffix: ".xml" });
  const start = performance.now();
  const limit = AbortSignal.timeout(LIMIT_MS);
  const { success, output } = await run(host.command, [...testArgs(host, junit, jsr), ...files], {
    cwd,
    show: true,
    signal: limit,
  });
  console.log(output);
  const counts = count(Deno.readTextFileSync(junit));
  Deno.removeSync(junit);

  let trouble: string | undefined;
  if (limit.aborted) trouble = `did not end within ${LIMIT_MS / 60_000} minutes`;
  else if (counts.passed + counts.failed === 0) trouble = "ran no test";
  else if (!success && counts.failed === 0) trouble = "failed outside of its tests";
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  return {
    ...counts,
    title: `${title} (${seconds} s)`,
    // Trouble counts as one failure, so that the total never looks clean.
    ...(trouble === undefined ? {} : { trouble, failed: counts.failed + 1 }),
  };
}

function testArgs({ name, runArgs }: Host, junit: string, jsr: Jsr): readonly string[] {
  switch (name) {
    case "Deno":
      // `deno task ok` checks types.
      return ["test", "-A", "--no-check", ...jsr.importMap, `--junit-path=${junit}`];
    case "Bun":
      return ["test", "--timeout=60000", "--reporter=junit", `--reporter-outfile=${junit}`];
    case "Node":
      return [
        ...runArgs,
        "--test",
        "--test-concurrency=1",
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=junit",
        `--test-reporter-destination=${junit}`,
      ];
  }
}

function count(junit: string): { passed: number; failed: number; skipped: number } {
  const cases = [...junit.matchAll(
    /<testcase\s+name="([^"]*)"(?:\s+[\w-]+="[^"]*")*\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  )].map(([, name = "", body = ""]) => ({ name, body }));
  // Deno lists a describe() or a test with subtests beside what it holds, as "outer" and
  // "outer > inner"; Bun and Node make it a suite.
  const outer = new Set<string>();
  for (const { name } of cases) {
    for (let at = name.lastIndexOf(" &gt; "); at > 0; at = name.lastIndexOf(" &gt; ", at - 1)) {
      outer.add(name.slice(0, at));
    }
  }
  // Node lists a file that holds no test as one that passed.
  const inner = cases.filter(({ name, body }) =>
    !outer.has(name) && !(name.endsWith("_test.ts") && body === "")
  );
  const skipped = inner.filter(({ body }) => body.includes("<skipped")).length;
  const failed = inner.filter(({ body }) => /<(failure|error)\b/.test(body)).length;
  return { passed: inner.length - skipped - failed, failed, skipped };
}

function report(results: Result[]): boolean {
  console.log("\n==== Summary ====");
  for (const { title, passed, failed, skipped, trouble } of results) {
    const counts = `${passed} passed, ${failed} failed, ${skipped} skipped`;
    console.log(`${title}: ${trouble === undefined ? counts : `${counts}: ${trouble}`}`);
  }
  const all = results.map(({ passed, failed, skipped }) => passed + failed + skipped);
  if (new Set(all).size > 1) {
    console.log("note: the runtimes counted different numbers of tests");
  }
  const sum = (of: "passed" | "failed"): number => results.reduce((n, it) => n + it[of], 0);
  console.log(`total: ${sum("passed")} passed, ${sum("failed")} failed`);
  return sum("failed") === 0;
}

Deno.exit(await main([...Deno.args]) ? 0 : 1);
