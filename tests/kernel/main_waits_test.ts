// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Which parked waits belong to the main program, and that knowing them keeps nothing alive for ever.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import { unwatchAbort, watchAbort, watchedSignals } from "../../src/_kernel/abort.ts";
import { Context, ROOT, runIn } from "../../src/_kernel/current.ts";
import { WaitList } from "../../src/_kernel/wait_list.ts";
import { mainWaits, Waiter } from "../../src/_kernel/waiter.ts";
import { noLeaks } from "../leaks.ts";

noLeaks();

const owner = { [Symbol.toStringTag]: "Thing" };

function newList(): WaitList {
  return new WaitList(owner, "wait");
}

/** A waiter parked in `list`, by `how`. */
function parked(list: WaitList, how: (waiter: Waiter) => Promise<unknown>): Waiter {
  const waiter = new Waiter();
  how(waiter).catch(() => {});
  assert(list.first !== null);
  return waiter;
}

test("mainWaits() has what parks outside of tasks, the oldest first, until it ends", () => {
  const one = newList(), two = newList();
  const waiters = [one, two, one, two].map((list) => parked(list, (waiter) => waiter.park(list)));
  assertEquals(mainWaits(), waiters);
  waiters[1]!.settle(1);
  assertEquals(mainWaits(), [waiters[0]!, waiters[2]!, waiters[3]!]);
  waiters[0]!.cancel(new Error("enough"));
  waiters[3]!.fail(new Error("no"));
  assertEquals(mainWaits(), [waiters[2]!]);
  two.push(waiters[1]!); // a list may be used again
  two.remove(waiters[1]!);
  waiters[2]!.settle(undefined);
  assertEquals(mainWaits(), []);
});

test("mainWaits() has waits behind limits and shields of the main program, not those of tasks", () => {
  const list = newList();
  const ofTask = new Context(null);
  ofTask.task = { name: "a task" };
  const below = new Context(ofTask);
  const limit = new Context(ROOT);
  const all = [
    parked(list, (waiter) => waiter.parkShielded(list)),
    parked(list, (waiter) => runIn(limit, () => waiter.park(list))),
    parked(list, (waiter) => runIn(limit, () => waiter.parkShielded(list))),
    parked(list, (waiter) => waiter.parkAs(null, list)),
    parked(list, (waiter) => runIn(ofTask, () => waiter.park(list))),
    parked(list, (waiter) => runIn(below, () => waiter.parkShielded(list))),
    parked(list, (waiter) => waiter.parkFor(null, list)), // nobody's
  ];
  assertEquals(mainWaits(), all.slice(0, 4));
  for (const waiter of all) waiter.settle(undefined);
});

test("mainWaits() knows 64 lists at most, and forgets the empty ones for others", () => {
  const waiters: Waiter[] = [];
  for (let i = 0; i < 1000; i++) {
    const list = newList();
    waiters.push(parked(list, (waiter) => waiter.park(list)));
  }
  assertEquals(mainWaits(), waiters.slice(0, 64));
  for (const waiter of waiters) waiter.settle(undefined);
  assertEquals(mainWaits(), []);
  const lists = Array.from({ length: 200 }, newList);
  for (const list of lists) parked(list, (waiter) => waiter.park(list)).settle(undefined);
  assert(lists.filter(({ hasMain }) => hasMain).length <= 3);
  const later = newList();
  const waiter = parked(later, (waiter) => waiter.park(later));
  assertEquals(mainWaits(), [waiter]);
  waiter.settle(undefined);
});

test("mainWaits() keeps its order when lists are forgotten in between", () => {
  const lists = Array.from({ length: 40 }, newList);
  const waiters: Waiter[] = [];
  for (let round = 0; round < 50; round++) {
    for (const [i, list] of lists.entries()) {
      if ((i * 7 + round * 3) % 5 === 0) waiters.push(parked(list, (waiter) => waiter.park(list)));
      if ((i + round) % 3 === 0) list.first?.settle(undefined);
    }
    assertEquals(mainWaits(), waiters.filter(({ settled }) => !settled));
  }
  for (const waiter of mainWaits()) waiter.settle(undefined);
});

test("watchedSignals() counts each signal once, while something waits on it", () => {
  const before = watchedSignals();
  const controller = new AbortController(), other = new AbortController();
  const target = { aborted: () => {} }, second = { aborted: () => {} };
  watchAbort(controller.signal, target);
  watchAbort(controller.signal, second);
  watchAbort(other.signal, target);
  assertEquals(watchedSignals() - before, 2);
  unwatchAbort(controller.signal, target);
  assertEquals(watchedSignals() - before, 2);
  unwatchAbort(controller.signal, second);
  unwatchAbort(controller.signal, second);
  assertEquals(watchedSignals() - before, 1);
  other.abort();
  unwatchAbort(other.signal, target);
  assertEquals(watchedSignals() - before, 0);
});
