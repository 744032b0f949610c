// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * How an empty loop is told from a busy one, where the host does not tell.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import { probeLoop } from "../../src/_kernel/host.ts";

/** A loop that turns when the test says so. */
class Loop {
  found = 0;
  /** How many waits have begun. */
  waits = 0;
  longest = 0;
  #immediates: Array<() => void> = [];
  #timers: Array<() => void> = [];

  constructor() {
    probeLoop(
      () => this.found++,
      () => this.waits,
      (callback) => this.#immediates.push(callback),
      (callback, ms) => {
        this.longest = Math.max(this.longest, ms);
        return this.#timers.push(callback);
      },
    );
  }

  /** Its timers are due; what keeps it alive lets it run immediates, too, after them. */
  turn(alive: boolean): void {
    for (const callback of this.#timers.splice(0)) callback();
    if (alive) { for (const callback of this.#immediates.splice(0)) callback(); }
  }
}

test("probeLoop() finds an empty loop, again and again, after some turns", () => {
  const loop = new Loop();
  for (let i = 0; i < 3; i++) loop.turn(false);
  assertEquals(loop.found, 0);
  for (let i = 0; i < 20; i++) loop.turn(false);
  assert(loop.found >= 4, `${loop.found}`);
});

test("probeLoop() finds nothing in a loop that is alive, and looks less often", () => {
  const loop = new Loop();
  for (let i = 0; i < 100; i++) loop.turn(true);
  assertEquals([loop.found, loop.longest], [0, 500]);
});

test("probeLoop() finds nothing in a loop that stood still and is alive, be its time over or not", () => {
  for (let still = 0; still < 3; still++) {
    const loop = new Loop();
    for (let i = 0; i < still; i++) loop.turn(false);
    loop.turn(true);
    loop.turn(true);
    assertEquals(loop.found, 0);
  }
});

test("probeLoop() finds nothing when a wait has begun since it first looked", () => {
  const loop = new Loop();
  for (let i = 0; i < 3; i++) loop.turn(false);
  loop.waits++; // a test begins, and keeps the loop alive from now on
  loop.turn(true);
  assertEquals(loop.found, 0);
  for (let i = 0; i < 8; i++) loop.turn(true);
  assertEquals(loop.found, 0);
  for (let i = 0; i < 8; i++) loop.turn(false);
  assert(loop.found > 0);
});
