// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The barrier: who counts as arrived, and round after round.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Barrier } from "../src/barrier.ts";
import { joinAll } from "../src/join.ts";
import { spawn } from "../src/spawn.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertEnds, assertRefuses, eachEnd } from "./waits.ts";

noLeaks();

test("Barrier is a RangeError for parties that are no integer >= 1", () => {
  for (const parties of [0, -1, 1.5, NaN, Infinity, undefined as never, "2" as never]) {
    assertThrows(() => new Barrier(parties), RangeError, "Cannot create barrier: parties must be");
  }
  const barrier = new Barrier(3);
  assertEquals([barrier.parties, barrier.waiting], [3, 0]);
  assertEquals(Object.prototype.toString.call(barrier), "[object Barrier]");
});

test("Barrier.wait() parks until all have arrived, and gives the place of arrival", async () => {
  const step = steps(), barrier = new Barrier(3);
  const waits = [2, 3].map((n) => barrier.wait().then((place) => (step(n), place)));
  await idle();
  assertEquals(barrier.waiting, 2);
  step(1);
  const last = barrier.wait().then((place) => (step(4), place));
  assertEquals(barrier.waiting, 0);
  assertEquals(await Promise.all([...waits, last]), [0, 1, 2]);
  step.end(5);
});

test("Barrier.wait() of one party never parks, also with a timeout of 0", async () => {
  const barrier = new Barrier(1);
  assertEquals([await barrier.wait(), await barrier.wait({ timeout: 0 })], [0, 0]);
  assertEquals(barrier.waiting, 0);
});

test("Barrier serves round after round, and keeps the rounds apart", async () => {
  const barrier = new Barrier(3), log: string[] = [];
  const tasks = [0, 1, 2].map((n) =>
    spawn(async () => {
      const places: number[] = [];
      for (let round = 0; round < 4; round++) {
        log.push(`${round}`);
        places.push(await barrier.wait());
        // Whoever is fast may arrive for the next round before the others have left this one.
        for (let i = 0; i < n; i++) await undefined;
      }
      return places;
    })
  );
  await joinAll(tasks, { raiseError: true });
  assertEquals(log.join(""), "000111222333");
  for (let round = 0; round < 4; round++) {
    assertEquals(tasks.map(({ value }) => value![round]).sort(), [0, 1, 2]);
  }
  assertEquals(barrier.waiting, 0);
});

test("Barrier lets go of the first parties, and the rest wait for the next round", async () => {
  const barrier = new Barrier(2);
  const waits = [1, 2, 3, 4, 5].map(() => outcome(barrier.wait()));
  await idle();
  assertEquals(waits.map(({ value }) => value), [0, 1, 0, 1, undefined]);
  assertEquals(barrier.waiting, 1);
  assertEquals(await barrier.wait(), 1);
});

test("Barrier.wait() is refused in a killed task and for an aborted signal, and has not arrived", async () => {
  const barrier = new Barrier(2);
  const waiting = outcome(barrier.wait());
  await assertRefuses((options) => barrier.wait(options));
  assertEquals([barrier.waiting, waiting.state], [1, "pending"]);
  assertEquals(await barrier.wait(), 1);
});

test("Barrier.wait() ends by abort, kill and timeout", async () => {
  const barrier = new Barrier(9);
  await assertEnds((options) => barrier.wait(options));
  assertEquals(barrier.waiting, 0);
});

test("Barrier.wait() that ended has not arrived: the others wait for one more", async () => {
  const barrier = new Barrier(3);
  await eachEnd((options) => barrier.wait(options), async ({ how, waiting, end }) => {
    const second = outcome(barrier.wait());
    await idle();
    assertEquals(barrier.waiting, 2);
    end();
    assertEquals(barrier.waiting, 1, `in the tick of the ${how}`);
    await rejection(waiting);
    const third = outcome(barrier.wait());
    await idle();
    assertEquals([second.state, third.state, barrier.waiting], ["pending", "pending", 2]);
    // The places are those of the ones that are left.
    assertEquals([await barrier.wait(), second.value, third.value], [2, 0, 1]);
  });
});

test("Barrier.wait() that was let go stays so when the end comes later", async () => {
  const barrier = new Barrier(2);
  await eachEnd((options) => barrier.wait(options), async ({ waiting, end }) => {
    const last = barrier.wait();
    end();
    assertEquals([await waiting, await last, barrier.waiting], [0, 1, 0]);
  });
});
