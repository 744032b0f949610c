// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A schedule as a short word that fits into an environment variable, and back.
 *
 * @module
 */

// Invariants
//  1. The word holds the hash of the trace: another program, or another order of its steps, does not
//     take it for its own.

import type { Path } from "./schedule.ts";

/** The variable that replays one schedule. */
export const VARIABLE = "BAOZI_REPLAY";

declare const process: { readonly env: Record<string, string | undefined> } | undefined;
declare const Deno: {
  permissions: { querySync(what: { name: "env"; variable: string }): { state: string } };
} | undefined;

/** One schedule to be run again. */
export interface Replay {
  readonly seed: number;
  /** What the trace must be, as a hash. */
  readonly trace: number;
  readonly path: Path;
}

/** Writes numbers to the base 36: seed, trace, and each switch as how many zeros before it, and it. */
export function codeOf({ seed, trace, path }: Replay): string {
  const switches: string[] = [];
  let zeros = 0;
  for (const taken of path) {
    if (taken === 0) zeros++;
    else {
      switches.push(`${zeros.toString(36)}-${taken.toString(36)}`);
      zeros = 0;
    }
  }
  return [seed.toString(36), trace.toString(36), switches.join("_")].join(".");
}

/**
 * Reads what {@linkcode codeOf} wrote.
 *
 * @throws {TypeError} If it did not write that.
 */
export function replayOf(code: string): Replay {
  const parts = /^([0-9a-z]{1,7})\.([0-9a-z]{1,7})\.((?:[0-9a-z]{1,4}-[0-9a-z]{1,4}_?)*)$/.exec(
    code,
  );
  if (parts === null) {
    throw new TypeError(
      `Cannot replay: the code must be one of a failed exploration, got ${JSON.stringify(code)}`,
    );
  }
  const path: number[] = [];
  for (const [, zeros, taken] of parts[3]!.matchAll(/([0-9a-z]+)-([0-9a-z]+)/g)) {
    for (let i = parseInt(zeros!, 36); i > 0; i--) path.push(0);
    path.push(parseInt(taken!, 36));
  }
  return { seed: parseInt(parts[1]!, 36), trace: parseInt(parts[2]!, 36), path };
}

/** The code in the environment, if there is one and we may look. */
export function replayFromEnvironment(): string | undefined {
  try {
    // Asking Deno for what it does not allow would stop the program with a question.
    if (
      typeof Deno !== "undefined" &&
      Deno.permissions.querySync({ name: "env", variable: VARIABLE }).state !== "granted"
    ) return undefined;
    return typeof process === "undefined" ? undefined : process.env[VARIABLE] || undefined;
  } catch {
    return undefined;
  }
}
