// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * All cases, in the order in which they are measured and printed.
 *
 * @module
 */

// One case alone, on the runtime at hand, in a folder whose node_modules hold the peers, as
// `.hosts` after a first `deno task bench`:
//
//     deno run -A --no-check --node-modules-dir=manual scripts/bench/contest.ts --case ID
//     bun scripts/bench/contest.ts --case ID
//     node --import tsx scripts/bench/contest.ts --case ID
//
// `--only NAME` measures one contestant alone, `--grow` the growth of ours, `--list` prints the ids.

import { CHANNELS } from "./cases/channels.ts";
import { FAN } from "./cases/fan.ts";
import { FLOOR } from "./cases/floor.ts";
import { KILL } from "./cases/kill.ts";
import { LOCKS } from "./cases/locks.ts";
import { PIPELINE } from "./cases/pipeline.ts";
import { POOL } from "./cases/pool.ts";
import { SELECT } from "./cases/select.ts";
import { SWITCHES } from "./cases/switches.ts";
import { TASKS } from "./cases/tasks.ts";
import { TIMEOUTS } from "./cases/timeouts.ts";
import type { Case } from "./work.ts";

/** The cases of all files. */
export const CASES: readonly Case[] = [
  ...FLOOR,
  ...CHANNELS,
  ...FAN,
  ...SELECT,
  ...SWITCHES,
  ...TASKS,
  ...POOL,
  ...PIPELINE,
  ...LOCKS,
  ...TIMEOUTS,
  ...KILL,
];

/** The case of that name. */
export function findCase(id: string): Case {
  const found = CASES.find((it) => it.id === id);
  if (found !== undefined) return found;
  throw new TypeError(`Cannot find case: its id must be one of --list, got ${JSON.stringify(id)}`);
}
