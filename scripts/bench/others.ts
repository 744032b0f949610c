// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * The same work in other languages, on one core, where they are installed: Go, and Python with gevent
 * and greenlet.
 *
 * @module
 */

import { read, run } from "../command.ts";
import { CASES } from "./cases.ts";
import type { BenchContext } from "./context.ts";
import { figureOf } from "./figures.ts";
import type { Figure, Row } from "./json.ts";

const GO_FILE = "scripts/bench/others/bench.go";
const PYTHON_FILE = "scripts/bench/others/gevent_bench.py";
/** The first one on the PATH may lack the packages that the one of the system has. */
const PYTHONS = ["python3", "/usr/bin/python3"];

const ROUNDS = 5;
/** Of each case in each round. */
const MS = 20;
const LIMIT_MS = 150_000;
/** The first build compiles what it needs of Go's own library. */
const BUILD_LIMIT_MS = 120_000;

/** What the programs print for each of their cases. */
interface Answer {
  /** The rows that it is the same work as. */
  ids: string[];
  /** Which package did it; Go needs none. */
  package?: string;
  /** ns per operation, in each round. */
  ns: number[];
}

/** A program that takes the arguments `work ROUNDS MS`, or `echo`. */
export interface Language {
  /** As in `bench.json`. */
  name: "go" | "python";
  /** The contestant where its answers name no package. */
  contestant: string;
  command: string;
  args: readonly string[];
  env: Record<string, string>;
}

/** All rows that they have, in as many runs as there are languages. */
export async function measureOthers(context: BenchContext): Promise<Row[]> {
  const rows = CASES.filter((found) => context.wants(found)).map(({ id, group, title }): Row => (
    { id, group, title, unit: "ns", better: "lower", results: {} }
  ));
  if (rows.length === 0) return [];
  const folder = Deno.makeTempDirSync();
  try {
    const languages = await findLanguages(context, folder);
    for (const [i, language] of languages.entries()) {
      context.progress(i + 1, languages.length, `all cases in ${language.name}`);
      try {
        for (const { ids, package: contestant = language.contestant, ns } of await work(language)) {
          const figure: Figure = figureOf(ns);
          for (const row of rows) {
            if (ids.includes(row.id)) row.results[language.name] = { [contestant]: figure };
          }
        }
      } catch (error) {
        context.fail(language.name, error);
      }
    }
    return rows.filter(({ results }) => Object.keys(results).length > 0);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Those that are installed; the others are noted. `folder` is for what has to be built. */
export async function findLanguages(context: BenchContext, folder: string): Promise<Language[]> {
  const found = [await findGo(context, folder), await findPython(context)];
  return found.filter((language) => language !== undefined);
}

async function findGo(context: BenchContext, folder: string): Promise<Language | undefined> {
  let version: string;
  try {
    version = (await read("go", ["env", "GOVERSION"])).replace(/^go/, "");
  } catch {
    context.skip("go", "not installed");
    return undefined;
  }
  const command = `${folder}/bench`;
  const { success, output } = await run("go", ["build", "-o", command, GO_FILE], {
    env: { GOTOOLCHAIN: "local", GOPROXY: "off", GOWORK: "off" },
    signal: AbortSignal.timeout(BUILD_LIMIT_MS),
  });
  if (!success) {
    context.fail(`go ${version} could not build ${GO_FILE}`, new Error(output.trim()));
    return undefined;
  }
  context.found("go", version);
  // One core, as in JavaScript.
  return { name: "go", contestant: "go", command, args: [], env: { GOMAXPROCS: "1" } };
}

async function findPython(context: BenchContext): Promise<Language | undefined> {
  for (const command of PYTHONS) {
    try {
      const text = await read(command, [PYTHON_FILE, "versions"]);
      const { python, gevent, greenlet } = JSON.parse(text) as Record<string, string>;
      context.found("python", `${python} (gevent ${gevent}, greenlet ${greenlet})`);
      return { name: "python", contestant: "gevent", command, args: [PYTHON_FILE], env: {} };
    } catch {
      // Not there, or without the packages.
    }
  }
  context.skip("python", "not installed, or without gevent");
  return undefined;
}

async function work({ command, args, env }: Language): Promise<Answer[]> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const call = [...args, "work", String(ROUNDS), String(MS)];
  const { success, output } = await run(command, call, { env, signal });
  if (success) return output.trim().split("\n").map((line) => JSON.parse(line));
  throw new Error(signal.aborted ? `no answer in ${LIMIT_MS} ms` : output.trim());
}
