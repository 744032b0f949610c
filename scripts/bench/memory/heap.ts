// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What a process holds, after a forced collection of garbage. Node and Deno must be started with
 * `--expose-gc`.
 *
 * @module
 */

import process from "node:process";

/** A collection leaves what finalizers hold to the next one. */
const COLLECTIONS = 3;

/** Bytes in use. */
export interface Memory {
  /** Of the heap of the engine. */
  heap: number;
  /** Of the process, resident. */
  resident: number;
}

/** Lets what is under way come to rest, collects garbage, and says what is left. */
export async function settledMemory(): Promise<Memory> {
  for (let i = 0; i < COLLECTIONS; i++) {
    await nextTurn();
    collect();
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed, resident: rss };
}

/** A turn of the host's loop: all that was due has begun. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

function collect(): void {
  const { gc, Bun } = globalThis as { gc?: () => void; Bun?: { gc(synchronous: boolean): void } };
  if (gc === undefined && Bun === undefined) {
    throw new Error("Cannot measure memory: the runtime must be started with --expose-gc");
  }
  if (Bun !== undefined) Bun.gc(true);
  else gc!();
}
