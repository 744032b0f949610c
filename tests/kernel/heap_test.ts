// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { Heap, type HeapItem } from "../../src/_kernel/heap.ts";

interface Item extends HeapItem {
  readonly key: number;
}

function item(key: number): Item {
  return { key, heapIndex: -1 };
}

function heapOf(...keys: number[]) {
  const heap = new Heap<Item>((a, b) => a.key < b.key);
  const items = keys.map(item);
  for (const one of items) heap.push(one);
  return { heap, items };
}

function drain(heap: Heap<Item>): number[] {
  const keys: number[] = [];
  for (let one = heap.pop(); one !== undefined; one = heap.pop()) keys.push(one.key);
  return keys;
}

test("Heap.pop() gives the items in their order", () => {
  const { heap } = heapOf(5, 3, 8, 1, 9, 2, 7, 3);
  assertEquals([heap.size, drain(heap), heap.size], [8, [1, 2, 3, 3, 5, 7, 8, 9], 0]);
});

test("Heap.pop() and peek() give undefined when it is empty", () => {
  const { heap } = heapOf();
  assertEquals([heap.pop(), heap.peek(), heap.size], [undefined, undefined, 0]);
});

test("Heap.peek() leaves the first item inside", () => {
  const { heap, items } = heapOf(2, 1, 3);
  assertStrictEquals(heap.peek(), items[1]);
  assertEquals(heap.size, 3);
});

test("Heap.remove() takes any item out, twice is harmless", () => {
  for (let at = 0; at < 7; at++) {
    const { heap, items } = heapOf(4, 6, 2, 7, 1, 5, 3);
    heap.remove(items[at]!);
    heap.remove(items[at]!);
    assertEquals([items[at]!.heapIndex, heap.size], [-1, 6]);
    assertEquals(drain(heap), [1, 2, 3, 4, 5, 6, 7].filter((key) => key !== items[at]!.key));
  }
});

test("Heap.remove() of an item that was never inside changes nothing", () => {
  const { heap } = heapOf(1, 2);
  heap.remove(item(1));
  assertEquals(drain(heap), [1, 2]);
});

test("Heap.remove() keeps the order whichever items are taken out", () => {
  const keys = fc.array(fc.nat(200), { minLength: 8, maxLength: 60, size: "max" });
  fc.assert(
    fc.property(keys, fc.array(fc.nat(59), { maxLength: 8 }), (keys, out) => {
      const { heap, items } = heapOf(...keys);
      for (const at of out) if (at < items.length) heap.remove(items[at]!);
      const left = items.filter(({ heapIndex }) => heapIndex >= 0);
      assertEquals(left.length, heap.size);
      assertEquals(drain(heap), left.map(({ key }) => key).sort((a, b) => a - b));
    }),
    { seed: 1, numRuns: 500 },
  );
});

test("Heap takes an item again after it came out", () => {
  const { heap, items: [one] } = heapOf(1);
  assertStrictEquals(heap.pop(), one);
  assertEquals(one!.heapIndex, -1);
  heap.push(one!);
  assertEquals([one!.heapIndex, heap.size], [0, 1]);
});

test("Heap does what a sorted array does, random programs", () => {
  const command = fc.oneof(
    { weight: 3, arbitrary: fc.record({ push: fc.nat(50) }) },
    { weight: 1, arbitrary: fc.constant("pop" as const) },
    { weight: 1, arbitrary: fc.record({ remove: fc.nat(50) }) },
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 80 }), (commands) => {
      const { heap } = heapOf();
      const model: Item[] = [];
      for (const command of commands) {
        if (command === "pop") {
          const popped = heap.pop();
          assertEquals(
            popped?.key,
            model.length ? Math.min(...model.map(({ key }) => key)) : undefined,
          );
          if (popped !== undefined) model.splice(model.indexOf(popped), 1);
        } else if ("push" in command) {
          const one = item(command.push);
          heap.push(one);
          model.push(one);
        } else if (model.length > 0) {
          heap.remove(model.splice(command.remove % model.length, 1)[0]!);
        }
        assertEquals(heap.size, model.length);
        const places = model.map(({ heapIndex }) => heapIndex).sort((a, b) => a - b);
        assertEquals(places, [...model.keys()]);
      }
      assertEquals(drain(heap), model.map(({ key }) => key).sort((a, b) => a - b));
    }),
    { seed: 1, numRuns: 500 },
  );
});
