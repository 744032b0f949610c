// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Runs the proofs of RELIABILITY.md and prints what each of them did.
 *
 *     deno task prove [--long] [--seed N] [--minutes N] [--save] [part of a name]…
 *
 * `--long` takes an hour, or the minutes given; `--save` writes what RELIABILITY.md is made of, of some
 * proofs beside what is saved of the others.
 *
 * @module
 */

// One process per proof: a heap that one of them grows must not weigh on the next.

import { readdirSync } from "node:fs";

/** What every proof is told. */
export interface ProofOptions {
  /** The long form, for an hour of its own; else one of seconds, for every run. */
  readonly long: boolean;
  /** Where all randomness comes from: the same seed does the same work. */
  readonly seed: number;
  /** How long it may take, in milliseconds. */
  readonly budgetMs: number;
  /** Prints a line of progress. */
  report(line: string): void;
}

/** A file of `scripts/prove/`. */
export interface Proof {
  /** Its number in the table of RELIABILITY.md, and the wording. */
  readonly promise: string;
  /** How long its short form takes, in milliseconds. @default {6000} */
  readonly shortMs?: number;
  /** Does the work and gives its counts. @throws What was found, and how to see it again. */
  prove(options: ProofOptions): Promise<Record<string, number>>;
}

/** What one run of a proof has found. */
export interface ProofOutcome {
  readonly name: string;
  readonly promise: string;
  readonly counts: Record<string, number>;
  readonly seconds: number;
}

/** A saved run of all of them. */
export interface SavedProofs {
  readonly date: string;
  readonly deno: string;
  readonly seed: number;
  readonly long: boolean;
  readonly outcomes: readonly ProofOutcome[];
}

/** Where a run is saved. */
export const SAVED: URL = new URL("./prove/results.json", import.meta.url);

const FOLDER = new URL("./prove/", import.meta.url);
const SHORT_MS = 6_000;
const MARK = "\u0001proof ";
const ON_PURPOSE = '(in worker "on purpose")';

async function main(args: string[]): Promise<boolean> {
  const { long, seed, minutes, save, filters } = parse(args);
  const names = readdirSync(FOLDER)
    .filter((file) => file.endsWith(".ts") && !file.startsWith("_"))
    .map((file) => file.replace(/\.ts$/, ""))
    .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
    .sort();
  if (names.length === 0) throw new Error(`Cannot prove: a proof must match, got ${filters}`);
  const budgetMs = long ? minutes * 60_000 / names.length : undefined;
  const outcomes: ProofOutcome[] = [];
  let good = true;
  for (const name of names) {
    console.log(`---- ${name}`);
    const outcome = await inProcess(name, long, seed, budgetMs);
    if (outcome === undefined) good = false;
    else outcomes.push(outcome);
  }
  console.log("\n==== Proofs ====");
  for (const { name, promise, counts, seconds } of outcomes) {
    const text = Object.entries(counts).map(([what, many]) =>
      `${many.toLocaleString("en")} ${what}`
    );
    console.log(`${name}: ${promise}\n  ${text.join(", ")}; ${seconds.toFixed(1)} s`);
  }
  if (save && good) {
    const others = filters.length === 0 ? [] : readSaved().outcomes;
    const saved: SavedProofs = {
      date: new Date().toISOString().slice(0, 10),
      deno: Deno.version.deno,
      seed,
      long,
      outcomes: [...others.filter(({ name }) => !names.includes(name)), ...outcomes],
    };
    Deno.writeTextFileSync(SAVED, JSON.stringify(saved, undefined, 2) + "\n");
  }
  console.log(`seed ${seed}: ${outcomes.length} of ${names.length} proofs hold`);
  return good;
}

/** What RELIABILITY.md is made of now. */
export function readSaved(): SavedProofs {
  return JSON.parse(Deno.readTextFileSync(SAVED));
}

function parse(
  args: string[],
): { long: boolean; seed: number; minutes: number; save: boolean; filters: string[] } {
  const take = (flag: string, otherwise: number): number => {
    const at = args.indexOf(flag);
    if (at < 0) return otherwise;
    const [, text] = args.splice(at, 2);
    const value = Number(text);
    if (text !== undefined && Number.isFinite(value) && value >= 0) return value;
    throw new RangeError(`Cannot prove: ${flag} must be a number >= 0, got ${text}`);
  };
  const seed = take("--seed", 20261121);
  const minutes = take("--minutes", 60);
  const long = args.includes("--long"), save = args.includes("--save");
  const filters = args.filter((arg) => arg !== "--long" && arg !== "--save");
  return { long, seed, minutes, save, filters };
}

/** Runs one proof in a child, and shows what it prints as it comes. */
async function inProcess(
  name: string,
  long: boolean,
  seed: number,
  budgetMs: number | undefined,
): Promise<ProofOutcome | undefined> {
  const started = performance.now();
  const map = new URL("../tests/offline.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--v8-flags=--expose-gc",
      `--import-map=${map}`,
      new URL(import.meta.url).pathname,
      "--child",
      name,
      JSON.stringify({ long, seed, budgetMs }),
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = showErrors(child.stderr);
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const lines = text.split("\n");
    text = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith(MARK)) text = line + text;
      else console.log(line);
    }
  }
  const { success } = await child.status;
  await errors;
  const seconds = (performance.now() - started) / 1000;
  if (success && text.startsWith(MARK)) {
    return { name, seconds, ...JSON.parse(text.slice(MARK.length)) };
  }
  console.log(
    `FAIL ${name}: repeat with deno task prove ${name} --seed ${seed}${long ? " --long" : ""}`,
  );
  return undefined;
}

/** Shows what a proof complains of; Deno tells of each worker that ends with an error, also on purpose. */
async function showErrors(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
  let text = "";
  for await (const chunk of stderr.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop()!;
    for (const line of lines) if (!line.includes(ON_PURPOSE)) console.error(line);
  }
  if (text !== "") console.error(text);
}

async function child(
  name: string,
  { budgetMs, ...options }: { long: boolean; seed: number; budgetMs?: number },
): Promise<void> {
  const proof: Proof = await import(new URL(`${name}.ts`, FOLDER).href);
  const { promise, shortMs = SHORT_MS, prove } = proof;
  const counts = await prove({
    ...options,
    budgetMs: budgetMs ?? shortMs,
    report: (line) => console.log(`  ${line}`),
  });
  console.log(MARK + JSON.stringify({ promise, counts }));
}

if (import.meta.main) {
  const [first, name, options] = Deno.args;
  if (first === "--child") await child(name!, JSON.parse(options!));
  else Deno.exit(await main([...Deno.args]) ? 0 : 1);
}
