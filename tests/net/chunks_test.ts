// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assert, assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { Chunks, Cursor } from "../../src/net/chunks.ts";
import { bytesOf, textOf } from "./fake_wire.ts";

function chunksOf(...texts: string[]): Chunks {
  const chunks = new Chunks();
  for (const text of texts) chunks.push(bytesOf(text));
  return chunks;
}

test("Chunks.shift() gives the chunks as they came, without a copy", () => {
  const chunks = new Chunks(), one = bytesOf("one"), two = bytesOf("two");
  chunks.push(one);
  chunks.push(new Uint8Array(0));
  chunks.push(two);
  assertEquals(chunks.size, 6);
  assertStrictEquals(chunks.shift(), one);
  assertStrictEquals(chunks.shift(), two);
  assertEquals(chunks.size, 0);
});

test("Chunks.take() joins what it needs and leaves the rest", () => {
  const chunks = chunksOf("ab", "cd", "efgh");
  assertEquals(textOf(chunks.take(3)), "abc");
  assertEquals(textOf(chunks.take(0)), "");
  assertEquals(textOf(chunks.take(1)), "d");
  assertEquals(textOf(chunks.take(2)), "ef");
  assertEquals(textOf(chunks.shift()), "gh");
  assertEquals(chunks.size, 0);
});

test("Chunks.take() gives bytes of the caller's own", () => {
  const whole = bytesOf("abcd"), chunks = new Chunks();
  chunks.push(whole);
  const taken = chunks.take(2);
  taken.fill(0);
  assertEquals(textOf(chunks.take(2)), "cd");
  assertNotStrictEquals(taken.buffer, whole.buffer);
});

test("Chunks.peek() and at() take nothing", () => {
  const chunks = chunksOf("xab", "cd", "e");
  chunks.skip(1);
  assertEquals(textOf(chunks.peek(4)), "abcd");
  assertEquals(textOf(chunks.peek(0)), "");
  assertEquals([0, 1, 2, 4].map((i) => String.fromCharCode(chunks.at(i))), ["a", "b", "c", "e"]);
  assertEquals(String.fromCharCode(chunks.last), "e");
  assertEquals(chunks.size, 5);
});

test("Chunks.indexOf() goes on where its cursor stands", () => {
  const chunks = chunksOf("xab", "cd"), cursor = new Cursor();
  chunks.skip(1);
  assertEquals(chunks.indexOf(10, cursor), -1);
  assertEquals([cursor.chunks, cursor.bytes, cursor.within], [1, 2, 2]);
  chunks.push(bytesOf("e\nf\n"));
  assertEquals(chunks.indexOf(10, cursor), 5);
  cursor.reset();
  assertEquals(chunks.indexOf(10, cursor), 5);
});

test("Chunks joins small chunks that come in great number, and a search goes on in them", () => {
  const chunks = new Chunks(), cursor = new Cursor();
  const bytes = Uint8Array.from({ length: 40_000 }, (_, i) => 11 + i % 200);
  for (const [i] of bytes.entries()) {
    chunks.push(bytes.slice(i, i + 1));
    assertEquals(chunks.indexOf(10, cursor), -1);
  }
  chunks.push(Uint8Array.of(10));
  assertEquals(chunks.indexOf(10, cursor), 40_000);
  assertEquals(chunks.peek(40_000), bytes);
  let count = 0, size = 0;
  for (; chunks.size > 0; count++) {
    const chunk = chunks.shift();
    assertEquals(chunk.subarray(0, 1), Uint8Array.of(bytes[size] ?? 10));
    size += chunk.length;
  }
  assertEquals([count, size], [64 + 3, 40_001]);
});

test("Chunks.clear() forgets all", () => {
  const chunks = chunksOf("ab", "cd");
  chunks.skip(1);
  chunks.clear();
  assertEquals(chunks.size, 0);
  chunks.push(bytesOf("e"));
  assertEquals(textOf(chunks.shift()), "e");
});

test("Chunks behaves like one string, however it is fed and emptied", () => {
  const step = fc.oneof(
    fc.record({ push: fc.string({ maxLength: 9 }) }),
    fc.record({ take: fc.nat(12) }),
    fc.record({ skip: fc.nat(12) }),
    fc.constant("shift" as const),
    fc.constant("find" as const),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const chunks = new Chunks();
    let model = "";
    for (const it of steps) {
      if (it === "shift") {
        if (model === "") continue;
        const text = textOf(chunks.shift())!;
        assert(text.length > 0 && model.startsWith(text));
        model = model.slice(text.length);
      } else if (it === "find") {
        assertEquals(chunks.indexOf(97, new Cursor()), model.indexOf("a"));
      } else if ("push" in it) {
        const text = it.push.replace(/[^ -~]/g, "a");
        chunks.push(bytesOf(text));
        model += text;
      } else if ("take" in it) {
        if (it.take > model.length) continue;
        assertEquals(textOf(chunks.peek(it.take)), model.slice(0, it.take));
        assertEquals(textOf(chunks.take(it.take)), model.slice(0, it.take));
        model = model.slice(it.take);
      } else {
        if (it.skip > model.length) continue;
        chunks.skip(it.skip);
        model = model.slice(it.skip);
      }
      assertEquals(chunks.size, model.length);
    }
  }));
});
