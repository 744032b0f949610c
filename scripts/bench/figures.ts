// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Figures of what the rounds gave.
 *
 * @module
 */

import { type Figure, FLOOR, OURS } from "./json.ts";
import { median, quantile } from "./statistics.ts";

/** What one round gave, by contestant; without those who sat it out. */
export type Round = Record<string, number>;

/** The figures by contestant. Ratios are taken within a round: a slow second hits both sides. */
export function figuresOf(rounds: readonly Round[]): Record<string, Figure> {
  const names = [...new Set(rounds.flatMap((round) => Object.keys(round)))];
  return Object.fromEntries(names.map((name): [string, Figure] => {
    const toFloor = ratioOf(name, FLOOR, rounds), toOurs = ratioOf(name, OURS, rounds);
    return [name, {
      ...figureOf(rounds.flatMap((round) => round[name] ?? [])),
      ...(toFloor === undefined ? {} : { toFloor }),
      ...(toOurs === undefined ? {} : { toOurs }),
    }];
  }));
}

/** The figure of values that stand beside nothing. */
export function figureOf(values: readonly number[]): Figure {
  return { median: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75) };
}

function ratioOf(name: string, other: string, rounds: readonly Round[]): number | undefined {
  const ratios = rounds
    .filter((round) => round[name] !== undefined && round[other])
    .map((round) => round[name]! / round[other]!);
  return ratios.length === 0 ? undefined : median(ratios);
}
