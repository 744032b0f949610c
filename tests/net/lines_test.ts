// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { type BrokenError, TimeoutError } from "../../src/errors.ts";
import type { Conn } from "../../src/net/conn.ts";
import type { LinesOptions } from "../../src/net/lines.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { bytesOf, fakeConn, textOf } from "./fake_wire.ts";

noLeaks();

async function all(conn: Conn, options?: LinesOptions): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of conn.lines(options)) lines.push(line);
  return lines;
}

test("Conn.lines() gives lines without their ends, and the last one without an end too", async () => {
  const { conn, wire } = fakeConn();
  wire.give("a\r\nb\n\n\r\nc\rd\r\r\nlast");
  wire.giveEnd();
  assertEquals(await all(conn), ["a", "b", "", "", "c\rd\r", "last"]);
  const empty = fakeConn();
  empty.wire.giveEnd();
  assertEquals(await all(empty.conn), []);
  const ended = fakeConn();
  ended.wire.give("a\n");
  ended.wire.giveEnd();
  assertEquals(await all(ended.conn), ["a"]);
});

test("Conn.lines() parks until a line is whole, however it is cut", async () => {
  const { conn, wire } = fakeConn();
  const lines = conn.lines();
  const next = outcome(lines.next());
  for (const byte of bytesOf("grüße\r")) wire.give(Uint8Array.of(byte));
  await idle();
  assertEquals(next.state, "pending");
  wire.give("\nrest");
  await idle();
  assertEquals(next.value, { done: false, value: "grüße" });
  assertEquals(conn.buffered, 4);
});

test("Conn.lines() gives the same lines for every way to cut the text", () => {
  const text = fc.stringMatching(/^[ab\r\n]{0,30}$/);
  return fc.assert(fc.asyncProperty(text, fc.array(fc.nat(30)), async (text, cuts) => {
    const { conn, wire } = fakeConn();
    const lines = all(conn);
    let from = 0;
    for (const to of [...cuts, text.length].sort((a, b) => a - b)) {
      wire.give(text.slice(from, to));
      from = Math.max(from, Math.min(to, text.length));
      await Promise.resolve();
    }
    wire.giveEnd();
    const expected = text.split("\n");
    const last = expected.pop()!;
    assertEquals(await lines, [
      ...expected.map((line) => line.endsWith("\r") ? line.slice(0, -1) : line),
      ...(last === "" ? [] : [last]),
    ]);
  }));
});

test("Conn.lines() loses nothing when its loop is left, for any other reader", async () => {
  const { conn, wire } = fakeConn();
  wire.give("head: 5\r\n\r\nhelloGET\nx");
  for await (const line of conn.lines()) if (line === "") break;
  assertEquals(textOf(await conn.readExactly(5)), "hello");
  for await (const line of conn.lines()) {
    assertEquals(line, "GET");
    break;
  }
  assertEquals(textOf(await conn.read()), "x");
});

test("Conn.lines() searches anew when others have read between two lines", async () => {
  const { conn, wire } = fakeConn();
  const lines = conn.lines({ timeout: 1 });
  wire.give("abc");
  await assertRejects(() => lines.next(), TimeoutError);
  assertEquals(textOf(await conn.readExactly(2)), "ab");
  wire.give("d\n");
  assertEquals((await lines.next()).value, "cd");
});

test("Conn.lines() is cancelled for each line, and takes nothing then", async () => {
  const { conn, wire } = fakeConn();
  const controller = new AbortController();
  const next = rejection(conn.lines({ signal: controller.signal }).next());
  wire.give("half");
  await idle();
  controller.abort("enough");
  assertEquals(await next, "enough");
  wire.give(" done\n");
  assertEquals((await conn.lines().next()).value, "half done");
});

test("Conn.lines() replaces what is no UTF-8, and keeps a byte order mark", async () => {
  const { conn, wire } = fakeConn();
  wire.give(Uint8Array.of(0xff, 0x61, 10));
  wire.give("\ufeffb\n");
  wire.giveEnd();
  assertEquals(await all(conn), ["\ufffda", "\ufeffb"]);
});

test("Conn.lines() takes a line of maxBytes, whatever its end, and breaks off at one more", async () => {
  for (const text of ["abcd\n", "abcd\r\n"]) {
    const whole = fakeConn(), cut = fakeConn();
    whole.wire.give(text);
    assertEquals((await whole.conn.lines({ maxBytes: 4 }).next()).value, "abcd");
    const next = cut.conn.lines({ maxBytes: 4 }).next();
    for (const char of text) cut.wire.give(char);
    assertEquals((await next).value, "abcd");
  }
  for (const text of ["abcde\n", "abcde", "abcde\r\n", "abcd\rx"]) {
    for (const early of [true, false]) {
      const { conn, wire } = fakeConn();
      if (early) wire.give(text);
      const next = rejection(conn.lines({ maxBytes: 4 }).next());
      if (!early) wire.give(text);
      const error = await next as BrokenError;
      assertEquals(error.code, "TOO_LARGE");
      assertEquals(error.message, "Cannot read line: it must have at most 4 bytes, got more");
      assertEquals([conn.closed, wire.calls.at(-1)], [true, "destroy"]);
      assertEquals((await rejection(conn.read()) as BrokenError).code, "TOO_LARGE");
    }
  }
  const empty = fakeConn();
  empty.wire.give("\n\n");
  empty.wire.giveEnd();
  assertEquals(await all(empty.conn, { maxBytes: 0 }), ["", ""]);
});

test("Conn.lines() has a limit of 64 KiB by default, and holds little more", async () => {
  const { conn, wire } = fakeConn();
  const next = rejection(conn.lines().next());
  for (let i = 0; i < 64; i++) wire.give(new Uint8Array(1024).fill(97));
  assertEquals(conn.closed, false);
  wire.give("b");
  assertEquals((await next as BrokenError).code, "TOO_LARGE");
});

test("Conn.lines() checks its limit when it is called", () => {
  const { conn } = fakeConn();
  for (const maxBytes of [-1, 1.5, NaN, Infinity]) {
    assertThrows(() => conn.lines({ maxBytes }), RangeError, "maxBytes must be an integer >= 0");
  }
  assertThrows(() => conn.lines({ maxBytes: "5" as never }), TypeError, "must be a number");
});

test("Conn.lines() takes linear time for one line of 8 MiB in small pieces", async () => {
  const { conn, wire } = fakeConn();
  const next = conn.lines({ maxBytes: 16 * 1024 * 1024 }).next();
  const piece = new Uint8Array(512).fill(97);
  const begin = performance.now();
  for (let i = 0; i < 16 * 1024; i++) wire.give(piece);
  wire.give("\n");
  assertEquals((await next).value.length, 8 * 1024 * 1024);
  // Quadratic would be minutes.
  assert(performance.now() - begin < 5000);
});
