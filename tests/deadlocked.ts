// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Deadlocks on purpose: somebody who hangs, and what then becomes of those who wait.
 *
 * @module
 */

import { assertInstanceOf } from "@std/assert";
import { findDeadlock } from "../src/deadlock.ts";
import { DeadlockError } from "../src/errors.ts";
import { Event } from "../src/event.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { virtualTime } from "../src/testing/mod.ts";
import { idle } from "./idle.ts";
import { outcome, rejection } from "./outcome.ts";

/** Waits for ever; killed, its clean-up waits until `opened` is set, out of reach of kills. */
export async function hang(opened: Event): Promise<never> {
  try {
    await sleep(Infinity);
  } finally {
    await shield(() => opened.wait());
  }
  return undefined as never;
}

/** Raises the deadlock that there must be, as the host does. */
export function raise(): DeadlockError {
  const { outermost, error } = findDeadlock()!;
  outermost.cancel(error);
  return error;
}

/**
 * What `body` rejects with when deadlocks are raised until there is none: as the main program, then in virtual
 * time. Both times `opened` is set after that, and nothing may be left.
 */
export async function endsOf(body: (opened: Event) => Promise<unknown>): Promise<unknown[]> {
  const opened = new Event();
  const seen = outcome(body(opened));
  // Twice: the body may wait until all is idle, too.
  await idle();
  await idle();
  while (findDeadlock() !== undefined) {
    raise();
    await idle();
  }
  opened.set();
  await idle();
  const virtually = new Event();
  const error = await rejection(virtualTime(() => body(virtually)));
  virtually.set();
  await idle();
  return [seen.error, error];
}

/** Both ends must be deadlocks. */
export async function assertDeadlocks(body: (opened: Event) => Promise<unknown>): Promise<void> {
  for (const error of await endsOf(body)) assertInstanceOf(error, DeadlockError);
}
