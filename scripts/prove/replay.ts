// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Proof 7: the same seed makes the same steps, on Deno, Bun and Node.
 *
 * @module
 */

import { run } from "../command.ts";
import { findBun, findDeno, findNode, prepareHosts } from "../hosts.ts";
import type { ProofOptions } from "../prove.ts";

export const promise =
  "7. The same seed tries the same schedules, step by step, on Deno, Bun and Node";

const SHORT_SEEDS = 100;
const LONG_SEEDS = 1_000;

interface Traces {
  readonly hash: number;
  readonly steps: number;
  readonly schedules: number;
  readonly traces: readonly string[];
}

export async function prove(
  { long, seed, report }: ProofOptions,
): Promise<Record<string, number>> {
  const cwd = await prepareHosts();
  const hosts = await Promise.all([findDeno(), findBun(), findNode()]);
  const seeds = long ? LONG_SEEDS : SHORT_SEEDS;
  const range = [String(seed), String(seed + seeds)];
  let first: Traces | undefined;
  for (const { name, version, command, runArgs } of hosts) {
    const file = ["scripts/prove/_traces.ts", ...range];
    const { success, output } = name === "Deno"
      ? await run(command, [...runArgs, "--no-check", "--import-map=tests/offline.json", ...file])
      : await run(command, [...runArgs, ...file], { cwd });
    const line = output.split("\n").find((line) => line.startsWith("{"));
    if (!success || line === undefined) throw new Error(`${name} ${version} failed: ${output}`);
    const traces: Traces = JSON.parse(line);
    report(`${name} ${version}: ${traces.schedules} schedules, hash ${traces.hash.toString(36)}`);
    first ??= traces;
    const at = traces.traces.findIndex((trace, i) => trace !== first!.traces[i]);
    if (at >= 0 || traces.hash !== first.hash) {
      throw new Error(`${name} ${version} has another trace than Deno for seed ${seed + at}`);
    }
  }
  const { schedules, steps } = first!;
  return { seeds, runtimes: hosts.length, "schedules on each": schedules, "steps on each": steps };
}
