// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { assertEquals, assertNotStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import type { BrokenError } from "../../src/errors.ts";
import { frameOf } from "../../src/net/frames.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { bytesOf, fakeConn, textOf } from "./fake_wire.ts";

noLeaks();

test("frameOf() puts the length before the bytes, the highest byte first", () => {
  assertEquals([...frameOf(bytesOf("ab"))], [0, 0, 0, 2, 97, 98]);
  const long = frameOf(new Uint8Array(0x012345));
  assertEquals([...long.subarray(0, 4)], [0, 1, 0x23, 0x45]);
});

test("frameOf() is a RangeError for more than its length can say", () => {
  const huge = { length: 2 ** 32 } as Uint8Array;
  assertThrows(() => frameOf(huge), RangeError, "at most 4294967295 bytes, got 4294967296");
});

test("Conn.frames() gives what writeFrame() wrote, however it is cut", () => {
  const frames = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 });
  return fc.assert(fc.asyncProperty(frames, fc.integer({ min: 1, max: 9 }), async (sent, piece) => {
    const writer = fakeConn(), reader = fakeConn();
    for (const frame of sent) await writer.conn.writeFrame(frame);
    const bytes = new Uint8Array(await new Blob(writer.wire.writes as BlobPart[]).arrayBuffer());
    const seen: number[][] = [];
    const loop = (async () => {
      for await (const frame of reader.conn.frames()) seen.push([...frame]);
    })();
    for (let at = 0; at < bytes.length; at += piece) {
      reader.wire.give(bytes.slice(at, at + piece));
      await Promise.resolve();
    }
    reader.wire.giveEnd();
    await loop;
    assertEquals(seen, sent.map((it) => [...it]));
  }));
});

test("Conn.frames() parks until a frame is whole, and leaves the rest to any reader", async () => {
  const { conn, wire } = fakeConn();
  const next = outcome(conn.frames().next());
  wire.give("\0\0\0");
  wire.give("\x02a");
  await idle();
  assertEquals(next.state, "pending");
  wire.give("brest");
  await idle();
  assertEquals(textOf(next.value!.value), "ab");
  assertEquals(textOf(await conn.read()), "rest");
});

test("Conn.frames() gives bytes of the caller's own", async () => {
  const { conn, wire } = fakeConn();
  const chunk = bytesOf("\0\0\0\x01a\0\0\0\x01b");
  wire.give(chunk);
  const frames = conn.frames();
  const first = (await frames.next()).value as Uint8Array;
  assertNotStrictEquals(first.buffer, chunk.buffer);
  first[0] = 0;
  assertEquals(textOf((await frames.next()).value), "b");
});

test("Conn.frames() breaks off at a length above maxBytes, before the bytes come", async () => {
  const { conn, wire } = fakeConn();
  wire.give("\0\0\0\x04abcd\0\0\0\x05");
  const frames = conn.frames({ maxBytes: 4 });
  assertEquals(textOf((await frames.next()).value), "abcd");
  const error = await rejection(frames.next()) as BrokenError;
  assertEquals(error.code, "TOO_LARGE");
  assertEquals(error.message, "Cannot read frame: it must have at most 4 bytes, got 5");
  assertEquals([conn.closed, wire.calls.at(-1)], [true, "destroy"]);
  const huge = fakeConn();
  huge.wire.give(Uint8Array.of(255, 255, 255, 255));
  const refused = await rejection(huge.conn.frames().next()) as BrokenError;
  assertEquals(
    refused.message,
    "Cannot read frame: it must have at most 1048576 bytes, got 4294967295",
  );
});

test("Conn.frames() rejects at an end inside of a frame, and what came stays", async () => {
  for (
    const [sent, detail] of [
      ["\0\0", "its length has 4 bytes, got 2"],
      ["\0\0\0\x05abc", "it has 5 bytes, got 3"],
    ] as const
  ) {
    const { conn, wire } = fakeConn();
    const next = rejection(conn.frames().next());
    wire.give(sent);
    wire.giveEnd();
    const error = await next as BrokenError;
    assertEquals(error.code, "UNEXPECTED_EOF");
    assertEquals(error.message, `Cannot read frame: the peer must send all of it, ${detail}`);
    assertEquals(textOf(await conn.read()), sent);
  }
});

test("Conn.frames() that is cancelled takes nothing", async () => {
  const { conn, wire } = fakeConn();
  const controller = new AbortController();
  const next = rejection(conn.frames({ signal: controller.signal }).next());
  wire.give("\0\0\0\x03ab");
  controller.abort("enough");
  assertEquals(await next, "enough");
  wire.give("c");
  assertEquals(textOf((await conn.frames().next()).value), "abc");
});

test("Conn.frames() checks its limit when it is called", () => {
  const { conn } = fakeConn();
  for (const maxBytes of [-1, 1.5, NaN, Infinity]) {
    assertThrows(() => conn.frames({ maxBytes }), RangeError, "maxBytes must be an integer >= 0");
  }
  assertThrows(() => conn.frames({ maxBytes: "5" as never }), TypeError, "must be a number");
});
