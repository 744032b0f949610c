// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Schedules: what a run has decided wherever it had a choice, and in which order all of them are tried.
 *
 * @module
 */

// Invariants
//  1. A schedule is a list of numbers, one for each decision between two options or more: 0 is the
//     first option, what comes first in the natural order. What is missing at its end counts as 0.
//  2. The depth-first search meets every schedule of the tree exactly once. So does the search by
//     switches, where a switch is a number that is not 0, in order of their count.
// Source: iterative context bounding (Musuvathi and Qadeer), where most bugs need two switches or
// fewer. Dropped: Knuth's estimate of the size of the tree by random walks; the part that the
// depth-first search has behind it says the same for nothing.

/** What was decided, in order. */
export type Path = readonly number[];

/** The decisions of one run. */
export class Decisions {
  /** What was taken. */
  readonly taken: number[] = [];
  /** Out of how many. */
  readonly counts: number[] = [];
  /** A number of the prescribed path was too large for what there was to decide. */
  strayed = false;
  readonly #path: Path;
  readonly #beyond: (count: number) => number;

  /** Follows `path`, and `beyond` after its end. */
  constructor(path: Path = [], beyond: (count: number) => number = first) {
    this.#path = path;
    this.#beyond = beyond;
  }

  /** Takes one of `count` options: its index. */
  decide(count: number): number {
    if (count < 2) return 0;
    const at = this.taken.length;
    let chosen = at < this.#path.length ? this.#path[at]! : this.#beyond(count);
    if (chosen >= count) {
      this.strayed = true;
      chosen = 0;
    }
    this.taken.push(chosen);
    this.counts.push(count);
    return chosen;
  }

  /** Whether the prescribed path is behind. */
  get free(): boolean {
    return this.taken.length >= this.#path.length;
  }

  /** What has to be prescribed for the same run again. */
  get path(): Path {
    return withoutTail(this.taken);
  }

  /** How often it left the natural order. */
  get switches(): number {
    return switchesOf(this.taken);
  }
}

/** How often a path leaves the natural order. */
export function switchesOf(path: Path): number {
  return path.reduce((sum, taken) => taken === 0 ? sum : sum + 1, 0);
}

/** The path without the zeros at its end, which go without saying. */
export function withoutTail(path: Path): Path {
  let length = path.length;
  while (length > 0 && path[length - 1] === 0) length--;
  return path.slice(0, length);
}

/** An order in which schedules are tried. */
export interface Search {
  /** The next one, to be told to `ran` afterwards; `undefined` if there is no more. */
  next(): Decisions | undefined;
  /** Tells what was met on the way. */
  ran(decisions: Decisions): void;
}

/** All schedules, the last decision changing first. */
export class DepthFirst implements Search {
  #next: number[] | undefined = [];
  /** Counts of the decisions in `#next`, as the run before met them. */
  #counts: number[] = [];
  #behind = 0;

  next(): Decisions | undefined {
    return this.#next === undefined ? undefined : new Decisions(this.#next);
  }

  /** @throws {Error} If the run did not meet the decisions of the run before it. */
  ran({ taken, counts }: Decisions): void {
    if (this.#counts.some((count, at) => counts[at] !== count)) {
      throw new Error(
        "Cannot explore: the program must do the same whenever the schedule is the same, it did not; look for time, randomness and state from outside",
      );
    }
    let at = counts.length - 1;
    while (at >= 0 && taken[at]! + 1 >= counts[at]!) at--;
    if (at < 0) {
      this.#next = undefined;
      return;
    }
    this.#next = [...taken.slice(0, at), taken[at]! + 1];
    this.#counts = counts.slice(0, at + 1);
    let part = 1;
    this.#behind = 0;
    this.#next.forEach((index, i) => {
      part /= counts[i]!;
      this.#behind += index * part;
    });
  }

  /** The part of the tree that is behind, from 0 to 1, if all branches were alike. */
  get behind(): number {
    return this.#behind;
  }
}

/** The schedules with no switch, then those with one, with two ... */
export class FewSwitchesFirst implements Search {
  readonly #most: number;
  /** A way off the path of a run that was made: what it had taken, up to `at`, and then `option`. */
  #ways: Array<{ readonly taken: Path; readonly at: number; readonly option: number }> = [];
  #tried = 0;
  #from = 0;

  /** `most` is how many schedules will be asked for. */
  constructor(most: number) {
    this.#most = most;
  }

  next(): Decisions | undefined {
    if (this.#tried === 0) return new Decisions();
    const way = this.#ways[this.#tried - 1];
    if (way === undefined) return undefined;
    this.#from = way.at + 1;
    return new Decisions([...way.taken.slice(0, way.at), way.option]);
  }

  ran({ taken, counts }: Decisions): void {
    this.#tried++;
    for (let at = this.#from; at < counts.length && this.#ways.length < this.#most; at++) {
      for (let option = 1; option < counts[at]!; option++) this.#ways.push({ taken, at, option });
    }
  }
}

/** Random ones, for ever. Every other one follows the natural order but for a few places. */
export class AtRandom implements Search {
  readonly #random: () => number;
  #few = false;
  /** How many decisions the runs have had so far, at most. */
  #length = 1;

  constructor(random: () => number) {
    this.#random = random;
  }

  next(): Decisions {
    this.#few = !this.#few;
    const pick = (count: number): number => Math.floor(this.#random() * count);
    if (!this.#few) return new Decisions([], pick);
    const places = new Set(Array.from({ length: 1 + pick(4) }, () => pick(this.#length)));
    let at = 0;
    return new Decisions([], (count) => places.has(at++) ? 1 + pick(count - 1) : 0);
  }

  ran({ counts }: Decisions): void {
    this.#length = Math.max(this.#length, counts.length);
  }
}

function first(): number {
  return 0;
}
