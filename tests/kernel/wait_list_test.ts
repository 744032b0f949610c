// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { WaitList, type WaitOwner } from "../../src/_kernel/wait_list.ts";
import { Waiter } from "../../src/_kernel/waiter.ts";

const OWNER: WaitOwner = { [Symbol.toStringTag]: "Test" };

/** A list of waiters with the given payloads, none of them parked. */
function listOf(...payloads: number[]) {
  const list = new WaitList(OWNER, "wait");
  const waiters = payloads.map((payload) => new Waiter(payload));
  for (const waiter of waiters) list.push(waiter);
  return { list, waiters };
}

function payloads(list: WaitList): unknown[] {
  const found: unknown[] = [];
  for (let waiter = list.first; waiter !== null; waiter = waiter.next) found.push(waiter.payload);
  return found;
}

test("WaitList keeps its owner and its verb", () => {
  const list = new WaitList(OWNER, "receive");
  assertStrictEquals(list.owner, OWNER);
  assertEquals([list.verb, list.size, list.first, list.shift()], ["receive", 0, null, null]);
});

test("WaitList.shift() gives waiters in order of arrival, unlinked", () => {
  const { list, waiters } = listOf(1, 2, 3);
  for (const waiter of waiters) {
    assertStrictEquals(waiter.list, list);
    assertStrictEquals(list.first, waiter);
    assertStrictEquals(list.shift(), waiter);
    assertEquals([waiter.list, waiter.next, waiter.previous], [null, null, null]);
  }
  assertEquals([list.size, list.first, list.shift()], [0, null, null]);
});

test("WaitList.remove() takes out the first, a middle, the last or the only one", () => {
  for (const at of [0, 1, 2]) {
    const { list, waiters } = listOf(0, 1, 2);
    list.remove(waiters[at]!);
    assertEquals([payloads(list), list.size], [[0, 1, 2].filter((i) => i !== at), 2]);
    assertEquals([waiters[at]!.list, waiters[at]!.next, waiters[at]!.previous], [null, null, null]);
    list.push(waiters[at]!);
    assertEquals([payloads(list).at(-1), list.size], [at, 3]);
  }
  const { list, waiters: [only] } = listOf(7);
  list.remove(only!);
  assertEquals([list.size, list.first], [0, null]);
  list.push(only!);
  assertStrictEquals(list.shift(), only!);
});

test("WaitList does what an array does, random programs", () => {
  const program = fc.array(fc.oneof(fc.constant("push"), fc.constant("shift"), fc.nat(9)));
  fc.assert(
    fc.property(program, (commands) => {
      const list = new WaitList(OWNER, "wait"), model: Waiter[] = [];
      for (const command of commands) {
        if (command === "push") {
          const waiter = new Waiter(model.length);
          list.push(waiter);
          model.push(waiter);
        } else if (command === "shift") {
          assertStrictEquals(list.shift(), model.shift() ?? null);
        } else if (model.length > 0) {
          const [removed] = model.splice(Number(command) % model.length, 1);
          list.remove(removed!);
        }
        assertEquals([list.size, payloads(list)], [
          model.length,
          model.map(({ payload }) => payload),
        ]);
      }
    }),
    { seed: 1, numRuns: 300 },
  );
});
