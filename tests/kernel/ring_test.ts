// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { Ring } from "../../src/_kernel/ring.ts";

function filled(count: number, from = 0): Ring<number> {
  const ring = new Ring<number>();
  for (let value = from; value < from + count; value++) ring.push(value);
  return ring;
}

function drain<T>(ring: Ring<T>): T[] {
  const values: T[] = [];
  while (ring.size > 0) values.push(ring.shift());
  return values;
}

function numbers(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

test("Ring.shift() gives values in order, across every growth", () => {
  for (const count of [1, 7, 8, 9, 16, 17, 1000, 1024, 1025, 5000]) {
    assertEquals(drain(filled(count)), numbers(count));
  }
});

test("Ring grows in order when its start is in the middle", () => {
  for (let offset = 0; offset < 9; offset++) {
    const ring = filled(8);
    for (let i = 0; i < offset % 8; i++) {
      ring.shift();
      ring.push(8 + i);
    }
    const expected = numbers(8, offset % 8);
    for (const value of [100, 101, 102]) ring.push(value);
    assertEquals([ring.size, drain(ring)], [11, [...expected, 100, 101, 102]]);
  }
});

test("Ring.take() gives the first values, none, some or all, also around the end", () => {
  for (let offset = 0; offset < 8; offset++) {
    const ring = filled(8);
    for (let i = 0; i < offset; i++) {
      ring.shift();
      ring.push(8 + i);
    }
    assertEquals(ring.take(0), []);
    assertEquals(ring.take(3), numbers(3, offset));
    assertEquals(ring.size, 5);
    assertEquals(ring.take(5), numbers(5, offset + 3));
    assertEquals([ring.size, ring.take(0)], [0, []]);
  }
});

test("Ring holds undefined and null like any other value", () => {
  const ring = new Ring<unknown>();
  for (const value of [undefined, null, undefined]) ring.push(value);
  assertEquals([ring.size, drain(ring)], [3, [undefined, null, undefined]]);
});

test("Ring is used again after a burst that it gave back", () => {
  for (const empty of [drain<number>, (ring: Ring<number>) => ring.take(ring.size)]) {
    const ring = filled(5000);
    assertEquals(empty(ring).length, 5000);
    for (let value = 0; value < 20; value++) ring.push(value);
    assertEquals(drain(ring), numbers(20));
  }
});

test("Ring does what an array does, random programs", () => {
  const command = fc.oneof(
    fc.record({ push: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ shift: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ take: fc.nat(30) }),
  );
  fc.assert(
    fc.property(fc.array(command), (commands) => {
      const ring = new Ring<number>(), model: number[] = [];
      let last = 0;
      for (const command of commands) {
        if ("push" in command) {
          for (let i = 0; i < command.push; i++) {
            ring.push(last);
            model.push(last++);
          }
        } else if ("shift" in command) {
          for (let i = 0; i < command.shift && model.length > 0; i++) {
            assertEquals(ring.shift(), model.shift());
          }
        } else {
          const count = Math.min(command.take, model.length);
          assertEquals(ring.take(count), model.splice(0, count));
        }
        assertEquals(ring.size, model.length);
      }
      assertEquals(drain(ring), model);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("Ring keeps nothing alive that was taken, one by one or many", () => {
  const ring = new Ring<object>();
  for (let i = 0; i < 6; i++) ring.push({});
  ring.take(3);
  ring.shift();
  assertEquals(ring.slots.filter((slot) => slot !== undefined).length, ring.size);
});

test("Ring gives back the room of a burst, whichever way it was emptied", () => {
  for (const one of [true, false]) {
    const ring = new Ring<number>();
    for (let i = 0; i < 5000; i++) ring.push(i);
    assertEquals(ring.slots.length, 8192);
    if (one) { while (ring.size > 0) ring.shift(); }
    else ring.take(5000);
    assertEquals(ring.slots.length, 0);
    ring.push(1);
    assertEquals([ring.shift(), ring.size], [1, 0]);
  }
});

test("Ring iterates over its values in order, also around the edge, and leaves them inside", () => {
  const ring = new Ring<number>();
  for (let i = 0; i < 8; i++) ring.push(i);
  for (let i = 0; i < 5; i++) ring.shift();
  for (let i = 8; i < 12; i++) ring.push(i);
  assertEquals([...ring], [5, 6, 7, 8, 9, 10, 11]);
  assertEquals([...ring].length, ring.size);
});
