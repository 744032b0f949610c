// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Moving instead of copying: what can, once, and only with a message that is fit to be posted.
 *
 * @module
 */

import { assert, assertEquals, assertFalse, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { NotTransferableError } from "../../src/errors.ts";
import { hasMoved, isMarked, transfer } from "../../src/workers/transfer.ts";
import { codecOf, postAround, roundTrip } from "./round_trip.ts";

test("transfer() gives its argument back, which stays in use until it is posted", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  assertStrictEquals(transfer(bytes), bytes);
  assertEquals([...bytes], [1, 2, 3]);
  assert(isMarked(bytes.buffer));
  assertFalse(hasMoved(bytes.buffer));
  const { buffer } = bytes;
  const copy = roundTrip(bytes);
  assertFalse(isMarked(buffer));
  assertEquals([...copy], [1, 2, 3]);
  assertEquals([bytes.byteLength, bytes.buffer.byteLength], [0, 0]);
});

test("transfer() moves an ArrayBuffer, any view of a whole one, and what is beside it", () => {
  const buffer = new ArrayBuffer(8);
  const view = new DataView(buffer), floats = new Float64Array(buffer);
  const there = roundTrip({ view: transfer(view), floats, deep: [buffer] });
  assertStrictEquals(there.view.buffer, there.floats.buffer);
  assertStrictEquals(there.deep[0], there.floats.buffer);
  assertEquals([there.floats.length, buffer.byteLength], [1, 0]);
});

test("transfer() of a buffer moves all views of it", () => {
  const buffer = new ArrayBuffer(100);
  const part = new Uint8Array(buffer, 10, 5);
  transfer(buffer);
  const there = roundTrip(part);
  assertEquals([there.byteOffset, there.length, there.buffer.byteLength], [10, 5, 100]);
  assertEquals(buffer.byteLength, 0);
});

test("transfer() is a TypeError for what cannot move", () => {
  for (
    const value of [
      null,
      undefined,
      1,
      "a",
      {},
      [],
      () => 1,
      new Map(),
      new Blob([]),
      new SharedArrayBuffer(4),
      new Uint8Array(new SharedArrayBuffer(4)),
      Promise.resolve(),
    ]
  ) {
    assertThrows(() => transfer(value as object), TypeError, "Cannot transfer");
  }
});

test("transfer() of a view of a part is a TypeError, since others would go along", () => {
  const buffer = new ArrayBuffer(8);
  for (const view of [new Uint8Array(buffer, 0, 4), new DataView(buffer, 1)]) {
    assertThrows(() => transfer(view), TypeError, "of 8 bytes");
  }
  assertFalse(isMarked(buffer));
});

test("transfer() is refused for what has moved, by us or by others", () => {
  const ours = new Uint8Array(4);
  roundTrip(transfer(ours));
  assertThrows(() => transfer(ours), NotTransferableError, "Cannot transfer Uint8Array");
  const theirs = new ArrayBuffer(4);
  structuredClone(theirs, { transfer: [theirs] });
  assertThrows(() => transfer(theirs), NotTransferableError, "must not have moved already");
});

test("transfer() twice before it is posted is harmless, an empty buffer too", () => {
  const bytes = new Uint8Array(4), empty = new ArrayBuffer(0);
  assertEquals(roundTrip([transfer(transfer(bytes)), bytes]).length, 2);
  assertStrictEquals(roundTrip(transfer(empty)).byteLength, 0);
  assertThrows(() => transfer(empty), NotTransferableError);
});

test("A message takes its things along before it is posted: no other one gets them", () => {
  const codec = codecOf(), list: Transferable[] = [];
  const bytes = transfer(new Uint8Array(4));
  codec.encode(["a", bytes], "args", list);
  assertEquals(list, [bytes.buffer]);
  for (const value of [bytes, [bytes], bytes.buffer, { deep: new DataView(bytes.buffer) }]) {
    assertThrows(() => codec.encode(value, "value", list), NotTransferableError, "moved");
  }
  assertEquals(list.length, 1);
});

test("A message that is refused takes nothing along", () => {
  const codec = codecOf(), list: Transferable[] = [];
  const bytes = transfer(new Uint8Array(4));
  assertThrows(() => codec.encode([bytes, () => 1], "value", list), NotTransferableError);
  assertEquals([list.length, isMarked(bytes.buffer), hasMoved(bytes.buffer)], [0, true, false]);
  assertEquals(roundTrip(bytes).length, 4);
});

test("A detached buffer is refused with its path", () => {
  const bytes = new Uint8Array(4);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  const error = assertThrows(() => roundTrip({ a: [bytes] }), NotTransferableError);
  assertEquals(error.path, "value.a[0]");
});

test("What moves does not count for the limit of a message, what is copied does", () => {
  const codec = codecOf({ maxMessageBytes: 1000 });
  assertEquals(roundTrip({ big: transfer(new Uint8Array(5000)) }, codec).big.length, 5000);
  assertThrows(() => roundTrip({ big: new Uint8Array(5000) }, codec), RangeError);
});

test("A buffer in an error is copied, marked or not: an error report moves nothing", () => {
  const bytes = transfer(new Uint8Array(4));
  const there = roundTrip(Object.assign(new Error("m"), { bytes }));
  assertEquals([there.bytes.length, bytes.length, isMarked(bytes.buffer)], [4, 4, true]);
});

test("A MessagePort moves if it is marked, and is refused if not", async () => {
  const { port1, port2 } = new MessageChannel();
  try {
    const error = assertThrows(() => roundTrip({ port: port2 }), NotTransferableError);
    assertEquals(error.path, "value.port");
    assert(error.message.includes("transfer()"), error.message);
    const { port } = await postAround({ port: transfer(port2) });
    const answer = new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
    });
    port.postMessage("hello");
    assertEquals(await answer, "hello");
    assertThrows(() => roundTrip(port2), NotTransferableError, "moved");
    port.close();
  } finally {
    port1.close();
  }
});

test("A stream moves where the host can do it; elsewhere, and locked, it is refused", () => {
  const classes: (new () => ReadableStream)[] = [
    ReadableStream,
    WritableStream as never,
    TransformStream as never,
  ];
  for (const Stream of classes) {
    let can = true;
    try {
      const probe = new Stream();
      structuredClone(probe, { transfer: [probe] });
    } catch {
      can = false;
    }
    const stream = new Stream();
    if (!can) {
      assertThrows(() => transfer(stream), TypeError, `Cannot transfer ${Stream.name}`);
      continue;
    }
    assertEquals(roundTrip(transfer(stream)) instanceof Stream, true);
    assertThrows(() => transfer(stream), NotTransferableError, "moved");
    assertThrows(() => roundTrip(new Stream()), NotTransferableError);
  }
  const stream = new ReadableStream();
  try {
    transfer(stream);
  } catch {
    return;
  }
  stream.getReader();
  assertThrows(() => roundTrip(stream), NotTransferableError, "locked");
});
