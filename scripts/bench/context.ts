// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * What every part of a run is told, and whom it tells how it goes.
 *
 * @module
 */

import { findBun, findDeno, findNode, findNode24, type Host } from "../hosts.ts";

/** A runtime on which rows are measured, by its name in `bench.json`. */
export type RuntimeName = "deno" | "bun" | "node" | "node24";

/** How each is found. */
export const RUNTIMES: Record<RuntimeName, () => Promise<Host>> = {
  deno: findDeno,
  bun: findBun,
  node: findNode,
  node24: findNode24,
};

/** One run. A part of it is `measureX(context): Promise<Row[]>`. */
export interface BenchContext {
  /** The runtimes of this run, in the order of the tables. */
  readonly hosts: ReadonlyMap<RuntimeName, Host>;
  /** The folder in which programs run: it holds the sources and `node_modules`. */
  readonly cwd: string;
  /** The short form: ours and the floor, in a few rounds. */
  readonly quick: boolean;
  /** The bundle of `@std/async`, where it could be had. */
  readonly std?: string;
  /** Whether the row is to be measured. */
  wants(row: { id: string; group: string; title: string }): boolean;
  /** Says what is measured now: step `done` of `of` in this part, counted from 1. */
  progress(done: number, of: number, what: string): void;
  /** Notes that something went wrong; the run goes on, and fails at its end. */
  fail(what: string, error: unknown): void;
  /** Notes the version of a language beside the runtimes, whose results rows may then hold. */
  found(language: string, version: string): void;
  /** Notes why something could not be measured, which is no failure. */
  skip(name: string, reason: string): void;
}

/** How one starts a TypeScript file; `flags` are for the runtime, as `--expose-gc`. */
export function programOf(
  { name, command, runArgs }: Host,
  [file, ...args]: readonly [string, ...string[]],
  flags: readonly string[] = [],
): { command: string; args: string[] } {
  // `deno task ok` checks types. The packages of `.hosts` are those of all runtimes, Deno too.
  const deno = name === "Deno" ? ["--no-check", "--quiet", "--node-modules-dir=manual"] : [];
  return { command, args: [...runArgs, ...deno, ...flags, file, ...args] };
}
