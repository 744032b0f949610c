// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Makes a schedule that fails nearer to the natural order, as long as it fails in the same way.
 *
 * @module
 */

import { Decisions, FewSwitchesFirst, type Path, switchesOf, withoutTail } from "./schedule.ts";

/** What a run of one schedule came to. */
export interface Attempt {
  readonly decisions: Decisions;
  /** In which way it failed, `undefined` if it did not. */
  readonly kind: string | undefined;
}

/**
 * Looks for the schedule with the fewest switches that fails as `failed` did, in at most `most` runs of
 * `attempt`. First those that have fewer in any case, then `failed` without some of its own.
 */
export async function shrink<A extends Attempt>(
  failed: A,
  attempt: (decisions: Decisions) => Promise<A>,
  most: number,
): Promise<A> {
  let best = failed;
  let left = most;
  const better = (path: Path): boolean => switchesOf(path) < best.decisions.switches;
  const search = new FewSwitchesFirst(most);
  for (; left > most / 2; left--) {
    const decisions = search.next();
    if (decisions === undefined) break;
    const tried = await attempt(decisions);
    if (!better(tried.decisions.path)) break;
    // The first that fails has the fewest: they come in this order.
    if (tried.kind === failed.kind) return tried;
    search.ran(tried.decisions);
  }
  for (let smaller: A | undefined = best; smaller !== undefined && left > 0;) {
    smaller = undefined;
    for (const path of fewer(best.decisions.path)) {
      if (left-- <= 0) break;
      const tried = await attempt(new Decisions(path));
      if (tried.kind !== failed.kind || !better(tried.decisions.path)) continue;
      best = smaller = tried;
      break;
    }
  }
  return best;
}

/** Paths that leave out switches of `path`: all after one of them, then each alone. */
function* fewer(path: Path): Generator<Path> {
  const places = path.flatMap((taken, at) => taken === 0 ? [] : [at]);
  for (const at of places) yield withoutTail(path.slice(0, at));
  for (const at of places) yield withoutTail(path.map((taken, i) => i === at ? 0 : taken));
}
