// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What the library writes down about a running program, beyond what costs nothing.
 *
 * @module
 */

/**
 * Switches for what {@linkcode dump} can tell besides. Both are off by default, and then cost one look
 * each; they may be changed at any time, and count from then on.
 *
 * @example Where does it come from
 * ```ts
 * import { config, dump, sleep, spawn } from "@baozi/baozi";
 * import { assert } from "@std/assert";
 *
 * config.spawnStacks = true;
 * const task = spawn(() => sleep(60_000));
 * config.spawnStacks = false;
 * assert(dump().tasks[0]!.spawnedAt!.length > 0);
 * await task.kill();
 * ```
 */
export const config: {
  /**
   * Keeps the stack of each spawn, as text of about 1 KB per task. On, a spawn costs 2 (Bun) to 40
   * (Deno) microseconds more.
   *
   * @default {false}
   */
  spawnStacks: boolean;
  /**
   * Keeps the time at which each wait began. On, a wait costs 30 to 100 nanoseconds more, for a look
   * at the clock.
   *
   * @default {false}
   */
  waitTimes: boolean;
} = Object.seal({ spawnStacks: false, waitTimes: false });
