// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Errors that nobody can catch: of tasks nobody waits for, of links and of hooks.
 *
 * @module
 */

import { runOutside } from "./current.ts";
import { rejectUnhandled } from "./host.ts";

/** Told of an error; `task` is the one that failed, if a task did. */
export type UnhandledHook<Task = unknown> = (error: unknown, task: Task | undefined) => void;

const installed = new Set<{ readonly hook: UnhandledHook }>();

/** Installs `hook`; the returned function removes it. Hooks add up and replace the host's report. */
export function installUnhandled(hook: UnhandledHook): () => void {
  const entry = { hook };
  installed.add(entry);
  return () => void installed.delete(entry);
}

/** Reports `error` once: to the installed hooks, without one to the host. */
export function reportUnhandled(error: unknown, task?: unknown): void {
  if (installed.size === 0) rejectUnhandled(error);
  else tellUnhandled(error, task);
}

/** Tells the installed hooks only; the host never hears of it. */
export function tellUnhandled(error: unknown, task?: unknown): void {
  for (const { hook } of [...installed]) {
    try {
      runOutside(hook, error, task);
    } catch (thrown) {
      // Telling the hooks of their own error could go on for ever.
      rejectUnhandled(thrown);
    }
  }
}
