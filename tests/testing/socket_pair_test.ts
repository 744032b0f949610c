// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { test } from "node:test";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { BrokenError, ConnClosedError } from "../../src/errors.ts";
import { joinAll } from "../../src/join.ts";
import type { Conn } from "../../src/net/conn.ts";
import { spawn } from "../../src/spawn.ts";
import { type SocketPair, socketPair } from "../../src/testing/socket_pair.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";

noLeaks();

function end({ a, b }: SocketPair): void {
  a.destroy();
  b.destroy();
}

async function readAll(conn: Conn): Promise<number[]> {
  const bytes: number[] = [];
  for await (const chunk of conn) bytes.push(...chunk);
  return bytes;
}

function bytesOf(count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => i % 256);
}

test("socketPair() carries bytes both ways, in order, and tells of the end", async () => {
  const pair = socketPair(), { a, b } = pair;
  const sent = bytesOf(1000);
  const [atB, atA] = [readAll(b), readAll(a)];
  await a.write(sent);
  await b.write("ok");
  a.closeWrite();
  b.closeWrite();
  assertEquals([await atB, await atA], [[...sent], [111, 107]]);
  assertEquals(pair.arrived, 1002);
  await Promise.all([a.close(), b.close()]);
});

test("socketPair() with maxPiece cuts into the same pieces for the same seed", async () => {
  const sizesOf = async (seed: number): Promise<number[]> => {
    const { a, b } = socketPair({ maxPiece: 7, seed });
    const sizes: number[] = [];
    const read = spawn(async () => {
      for await (const chunk of b) sizes.push(chunk.length);
    });
    await a.write(bytesOf(100));
    await a.close();
    await read;
    await b.close();
    return sizes;
  };
  const first = await sizesOf(1);
  assertEquals(first.reduce((x, y) => x + y), 100);
  assert(first.length > 10 && Math.max(...first) <= 7);
  assertEquals(await sizesOf(1), first);
  assert(JSON.stringify(await sizesOf(2)) !== JSON.stringify(first));
});

test("socketPair() parks a writer whose peer does not read, and lets it go on", async () => {
  const pair = socketPair(), { a, b } = pair;
  const written = outcome((async () => {
    for (let i = 0; i < 32; i++) await a.write(new Uint8Array(16 * 1024));
    a.closeWrite();
  })());
  await idle();
  assertEquals(written.state, "pending");
  assert(b.buffered < 256 * 1024);
  const { length } = await readAll(b);
  assertEquals([length, written.state], [32 * 16 * 1024, "resolved"]);
  end(pair);
});

test("socketPair() whose line stalls delivers nothing until it resumes", async () => {
  const pair = socketPair(), { a, b } = pair;
  pair.stall();
  await a.write("late");
  const read = outcome(b.read());
  await idle();
  assertEquals(read.state, "pending");
  pair.resume();
  await idle();
  assertEquals(read.value?.length, 4);
  end(pair);
});

test("socketPair() that is reset breaks reads and writes of both ends", async () => {
  const pair = socketPair(), { a, b } = pair;
  const reads = [rejection(a.read()), rejection(b.read())];
  pair.reset();
  for (const error of await Promise.all(reads)) {
    assertInstanceOf(error, BrokenError);
    assertEquals(error.code, "ECONNRESET");
  }
  assertInstanceOf(await rejection(a.write("x")), BrokenError);
  assertEquals([a.closed, b.closed], [true, true]);
});

test("socketPair() with resetAfter breaks after so many bytes, in the middle of a message", async () => {
  const { a, b } = socketPair({ resetAfter: 10, maxPiece: 4 });
  const read = outcome(readAll(b));
  await a.write(bytesOf(64));
  await idle();
  assertInstanceOf(read.error, BrokenError);
  assertEquals([a.closed, b.bytesRead], [true, 10]);
});

test("socketPair() whose end vanishes says nothing, and takes nothing", async () => {
  const pair = socketPair(), { a, b } = pair;
  pair.vanish("b");
  await b.write("unheard");
  const reads = [outcome(a.read()), outcome(b.read())];
  await a.write("into the dark");
  await idle();
  assertEquals(reads.map(({ state }) => state), ["pending", "pending"]);
  assertEquals(pair.arrived, 0);
  end(pair);
  await idle();
  for (const { error } of reads) assertInstanceOf(error, ConnClosedError);
});

test("socketPair() is no wait on the host", async () => {
  const pair = socketPair();
  const read = outcome(pair.a.read());
  assertEquals(outsideWaits(), 0);
  end(pair);
  await idle();
  assertEquals(read.state, "rejected");
});

test("socketPair() ends the other side when one closes or is destroyed", async () => {
  const closed = socketPair();
  await closed.a.close();
  assertEquals(await readAll(closed.b), []);
  closed.b.destroy();
  const destroyed = socketPair();
  const read = rejection(destroyed.b.read());
  destroyed.a.destroy();
  assertInstanceOf(await read, BrokenError);
});

test("socketPair() frees both ends with a handler in each, however they end", async () => {
  const pair = socketPair({ maxPiece: 3 }), { a, b } = pair;
  const echo = spawn(async () => {
    for await (const line of b.lines()) await b.write(`${line}\n`);
    await b.close();
  });
  const ask = spawn(async () => {
    const answers: string[] = [];
    await a.write("one\ntwo\n");
    for await (const answer of a.lines()) {
      if (answers.push(answer) === 2) break;
    }
    await a.close();
    return answers;
  });
  await joinAll([echo, ask], { raiseError: true });
  assertEquals(ask.value, ["one", "two"]);
});

test("socketPair() frees both ends once both sides have ended, as real sockets are", async () => {
  const { a, b } = socketPair();
  await a.write("last");
  a.closeWrite();
  b.closeWrite();
  assertEquals([await a.read(), (await b.read())?.length, await b.read()], [
    undefined,
    4,
    undefined,
  ]);
  await idle();
  assertEquals([a.closed, b.closed], [true, true]);
});

test("socketPair() refuses faults that cannot be", () => {
  assertThrows(() => socketPair({ maxPiece: 0 }), RangeError);
  assertThrows(() => socketPair({ latency: -1 }), RangeError);
  assertThrows(() => socketPair({ resetAfter: 1.5 }), RangeError);
  assertThrows(() => socketPair({ maxPiece: "3" as never }), TypeError);
  const pair = socketPair();
  assertThrows(() => pair.vanish("c" as never), TypeError);
  end(pair);
});
