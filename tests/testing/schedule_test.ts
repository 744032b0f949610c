// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { randomOf } from "../../src/testing/_explore/random.ts";
import { codeOf, replayOf } from "../../src/testing/_explore/replay.ts";
import {
  AtRandom,
  Decisions,
  DepthFirst,
  FewSwitchesFirst,
  type Path,
  type Search,
  switchesOf,
} from "../../src/testing/_explore/schedule.ts";
import { shrink } from "../../src/testing/_explore/shrink.ts";
import { seeded } from "../seeded.ts";

/** A tree whose shape depends on what was taken: 2 to 4 levels, 1 to 3 options. Gives the leaf. */
function walk(decisions: Decisions): string {
  let leaf = "";
  let sum = 1;
  for (let depth = 0; depth < 2 + sum % 3; depth++) {
    const taken = decisions.decide(1 + (sum + depth) % 3);
    sum += taken * (depth + 1);
    leaf += taken;
  }
  return leaf;
}

function leavesOf(search: Search, most = Infinity): string[] {
  const leaves: string[] = [];
  for (let i = 0; i < most; i++) {
    const decisions = search.next();
    if (decisions === undefined) break;
    leaves.push(walk(decisions));
    search.ran(decisions);
  }
  return leaves;
}

test("DepthFirst meets every leaf once, the last decision changing first", () => {
  const leaves = leavesOf(new DepthFirst());
  assertEquals(new Set(leaves).size, leaves.length);
  assertEquals(leaves, [...leaves].sort());
  assert(leaves.length > 10);
});

test("DepthFirst knows which part of the tree is behind", () => {
  const search = new DepthFirst();
  const seen: number[] = [];
  for (let i = 0; i < 8; i++) {
    const decisions = search.next()!;
    for (let depth = 0; depth < 3; depth++) decisions.decide(2);
    search.ran(decisions);
    seen.push(search.behind);
  }
  assertEquals(seen.slice(0, 7), [1, 2, 3, 4, 5, 6, 7].map((n) => n / 8));
  assertEquals(search.next(), undefined);
});

test("DepthFirst.ran() throws when a run did not meet the decisions of the one before", () => {
  const search = new DepthFirst();
  const first = search.next()!;
  first.decide(2);
  first.decide(3);
  search.ran(first);
  const second = search.next()!;
  second.decide(4);
  second.decide(3);
  assertThrows(() => search.ran(second), Error, "must do the same");
});

test("FewSwitchesFirst meets the same leaves as DepthFirst, in order of their switches", () => {
  const search = new FewSwitchesFirst(Infinity);
  const leaves: string[] = [], switches: number[] = [];
  for (let next = search.next(); next !== undefined; next = search.next()) {
    leaves.push(walk(next));
    switches.push(next.switches);
    search.ran(next);
  }
  assertEquals([...leaves].sort(), leavesOf(new DepthFirst()).sort());
  assertEquals(switches, [...switches].sort((a, b) => a - b));
});

test("AtRandom is the same for the same seed, and meets every leaf in the end", () => {
  const all = new Set(leavesOf(new DepthFirst()));
  const once = leavesOf(new AtRandom(randomOf(5)), 2000);
  assertEquals(once, leavesOf(new AtRandom(randomOf(5)), 2000));
  assertEquals(new Set(once), all);
});

test("Decisions follow a path, then the first option, and say when they strayed", () => {
  const decisions = new Decisions([1, 0, 5]);
  assertEquals([2, 3, 4, 1, 2].map((count) => decisions.decide(count)), [1, 0, 0, 0, 0]);
  assert(decisions.strayed);
  assertEquals(decisions.path, [1]);
  assertEquals(decisions.counts, [2, 3, 4, 2]); // one option is no decision
});

test("randomOf() is uniform enough and the same on every runtime", () => {
  const random = randomOf(42), other = seeded(42);
  const numbers = Array.from({ length: 1000 }, random);
  assertEquals(numbers, Array.from({ length: 1000 }, other));
  assert(numbers.every((number) => number >= 0 && number < 1));
});

test("replayOf() reads what codeOf() wrote, and nothing else", () => {
  for (const path of [[], [1], [0, 0, 3], [35, 36, 0, 1], new Array(5000).fill(0).concat(1)]) {
    const replay = { seed: 2 ** 32 - 1, trace: 123456789, path: path as Path };
    assertEquals(replayOf(codeOf(replay)), replay);
  }
  for (const code of ["", "1.2", "1.2.3", "1.2.3-", "1.2.!", "A.1.", "1.2.zzzzzz-1"]) {
    assertThrows(() => replayOf(code), TypeError, "Cannot replay");
  }
});

test("shrink() finds the fewest switches that fail in the same way", async () => {
  // Fails if the third decision is 1, and in another way if the first is; a long path is given.
  let runs = 0;
  const attempt = (decisions: Decisions) => {
    runs++;
    const taken = Array.from({ length: 6 }, () => decisions.decide(3));
    const kind = taken[2] === 1 ? "wanted" : taken[0] === 1 ? "other" : undefined;
    return Promise.resolve({ decisions, kind });
  };
  const failed = await attempt(new Decisions([2, 1, 1, 2, 2, 1]));
  const shortest = await shrink(failed, attempt, 100);
  assertEquals(shortest.decisions.path, [0, 0, 1]);
  runs = 0;
  const poor = await shrink(failed, attempt, 6);
  assert(runs <= 6);
  assert(poor.decisions.switches <= switchesOf([2, 1, 1, 2, 2, 1]));
});
