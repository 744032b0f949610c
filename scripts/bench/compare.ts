// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Tells what of ours became slower or faster between two runs. Times of different days do not
 * compare, so it goes by the ratio to the floor; what has no floor goes by its figure.
 *
 * @module
 */

import {
  type BenchFile,
  contestantsOf,
  figureOf,
  FLOOR,
  OURS,
  type Row,
  runtimesOf,
} from "./json.ts";
import { formatNumber, formatValue } from "./report.ts";

/** What changed by less is not told. */
export const TOLD_FROM = 1.1;

/** What became slower by more fails. */
export const FAILS_FROM = 1.25;

/** More than these are only counted. */
const MISSING_TOLD = 8;

/** What has changed. */
export interface Comparison {
  /** To print. */
  lines: string[];
  /** Nothing became slower by more than the limit. */
  good: boolean;
}

/** Compares two runs. */
export function compareBench(old: BenchFile, now: BenchFile): Comparison {
  const changes: Change[] = [], overtaken: string[] = [], missing: string[] = [];
  let compared = 0;
  for (const before of old.rows) {
    const after = now.rows.find(({ id }) => id === before.id);
    for (const runtime of runtimesOf(before, old)) {
      const change = changeOf(before, after, runtime);
      if (change === undefined) {
        if (figureOf(before, runtime, OURS)) missing.push(`${before.id} on ${runtime}`);
        continue;
      }
      compared++;
      changes.push(change);
      overtaken.push(...turns(before, after!, runtime));
    }
  }
  const slower = changes.filter(({ factor }) => factor > TOLD_FROM)
    .sort((a, b) => b.factor - a.factor);
  const faster = changes.filter(({ factor }) => factor < 1 / TOLD_FROM)
    .sort((a, b) => a.factor - b.factor);
  const failed = slower.filter(({ factor }) => factor > FAILS_FROM);
  const limit = Math.round((TOLD_FROM - 1) * 100);
  return {
    good: failed.length === 0,
    lines: [
      ...section("slower", slower.map(describe)),
      ...section("faster", faster.map(describe)),
      ...section("other order beside a peer", overtaken),
      ...section("not measured this time", shortened(missing)),
      `${compared} compared by the ratio to the floor, or by the figure where there is none: ` +
      `${slower.length} slower and ${faster.length} faster by more than ${limit} %` +
      (failed.length === 0 ? "" : `, ${failed.length} too much`),
    ],
  };
}

/** Ours on one runtime, then and now. */
interface Change {
  what: string;
  /** Above 1 is slower, whichever way the figure counts. */
  factor: number;
  before: string;
  after: string;
}

function changeOf(before: Row, after: Row | undefined, runtime: string): Change | undefined {
  const a = figureOf(before, runtime, OURS);
  const b = after && figureOf(after, runtime, OURS);
  if (a === undefined || b === undefined) return undefined;
  const what = `${before.id} on ${runtime}`;
  if (a.toFloor !== undefined && b.toFloor !== undefined) {
    const text = (value: number): string => `${formatNumber(value)} floors`;
    return {
      what,
      factor: factorOf(a.toFloor, b.toFloor, before),
      before: text(a.toFloor),
      after: text(b.toFloor),
    };
  }
  return {
    what,
    factor: factorOf(a.median, b.median, before),
    before: formatValue(a.median, before.unit),
    after: formatValue(b.median, before.unit),
  };
}

/** A ratio to the floor counts as its figure does. */
function factorOf(before: number, after: number, { better }: Row): number {
  const [cost, old] = better === "lower" ? [after, before] : [before, after];
  if (cost === old) return 1;
  return old === 0 ? Infinity : cost / old;
}

/** The peers that we have passed, and those that have passed us. */
function turns(before: Row, after: Row, runtime: string): string[] {
  const peers = contestantsOf(after, runtime).filter((name) => name !== OURS && name !== FLOOR);
  return peers.flatMap((peer) => {
    const ahead = (row: Row): boolean | undefined => {
      const ratio = figureOf(row, runtime, peer)?.toOurs;
      if (ratio === undefined) return undefined;
      return (ratio > 1) === (row.better === "lower");
    };
    const [then, now] = [ahead(before), ahead(after)];
    if (then === undefined || now === undefined || then === now) return [];
    return [`${before.id} on ${runtime}: now ${now ? "ahead of" : "behind"} ${peer}`];
  });
}

function describe({ what, factor, before, after }: Change): string {
  const percent = Math.round((factor - 1) * 100);
  const mark = factor > FAILS_FROM ? "FAIL " : "";
  return `${mark}${what}: ${before} -> ${after}, ${percent > 0 ? "+" : ""}${percent} % of cost`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((text) => `  ${text}`), ""];
}

/** A part of a run leaves out too much to tell each. */
function shortened(lines: readonly string[]): readonly string[] {
  return lines.length <= MISSING_TOLD ? lines : [`${lines.length} results`];
}
