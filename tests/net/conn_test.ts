// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { dump } from "../../src/dump.ts";
import { BrokenError, BusyError, ConnClosedError, TimeoutError } from "../../src/errors.ts";
import { Conn } from "../../src/net/conn.ts";
import { select } from "../../src/select.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import { withTimeout } from "../../src/timeout.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { ManualClock } from "../manual_clock.ts";
import { outcome, rejection } from "../outcome.ts";
import { assertEnds, assertRefuses } from "../waits.ts";
import { bytesOf, fakeConn, textOf } from "./fake_wire.ts";

noLeaks();

const KIB = 1024;

// -- What it is --

test("Conn says who its peer is", () => {
  const { conn } = fakeConn();
  assertEquals(conn.name, "10.0.0.1:4000");
  assertEquals(String(conn), 'Conn "10.0.0.1:4000"');
  assertEquals(Object.prototype.toString.call(conn), "[object Conn]");
  assertEquals(conn.remoteAddress, { hostname: "10.0.0.1", port: 4000 });
  assertEquals([conn.closed, conn.ended, conn.buffered], [false, false, 0]);
  conn.destroy();
  assertEquals(String(conn), 'Conn "10.0.0.1:4000" (closed)');
  assertEquals(fakeConn({ path: "/run/a" }).conn.name, "/run/a");
});

test("Conn cannot be constructed by hand", () => {
  assertThrows(() => Reflect.construct(Conn, []), TypeError, "connect() makes one");
});

test("Conn is named in a dump with what its task does", async () => {
  const { conn, wire } = fakeConn();
  const reads = spawn({ name: "reads" }, () => conn.read());
  await idle();
  assert(String(dump()).includes('read on Conn "10.0.0.1:4000"'));
  wire.giveEnd();
  await reads;
});

// -- Read --

test("Conn.read() gives what has come, chunk by chunk, then undefined", async () => {
  const { conn, wire } = fakeConn();
  wire.give("one");
  wire.give("two");
  wire.giveEnd();
  assertEquals([conn.buffered, conn.ended], [6, false]);
  assertEquals(textOf(await conn.read()), "one");
  assertEquals(textOf(await conn.read({ timeout: 0 })), "two");
  assertEquals([conn.buffered, conn.bytesRead, conn.ended], [0, 6, true]);
  assertEquals(await conn.read(), undefined);
  assertEquals(await conn.read(), undefined);
});

test("Conn.read() parks until a chunk comes, or the end", async () => {
  const { conn, wire } = fakeConn();
  const first = outcome(conn.read());
  await idle();
  assertEquals(first.state, "pending");
  wire.give("a");
  await idle();
  assertEquals(textOf(first.value), "a");
  const second = outcome(conn.read());
  wire.giveEnd();
  await idle();
  assertEquals(second, { state: "resolved", value: undefined });
});

test("Conn.read() refuses wrong options, aborted signals and killed tasks before any effect", async () => {
  const { conn, wire } = fakeConn();
  wire.give("kept");
  await assertRefuses((options) => conn.read(options));
  assertEquals(textOf(await conn.read()), "kept");
});

test("Conn.read() ends by abort, kill and timeout, and what comes later is not lost", async () => {
  await assertEnds((options) => fakeConn().conn.read(options));
  const { conn, wire } = fakeConn();
  const controller = new AbortController();
  const read = outcome(conn.read({ signal: controller.signal }));
  controller.abort("enough");
  wire.give("later");
  await idle();
  assertEquals(read.error, "enough");
  assertEquals(textOf(await conn.read()), "later");
});

test("Conn.read() that is cancelled in the tick in which bytes come has them, or leaves them", async () => {
  for (const first of ["give", "abort"] as const) {
    const { conn, wire } = fakeConn();
    const controller = new AbortController();
    const read = outcome(conn.read({ signal: controller.signal }));
    await idle();
    if (first === "give") wire.give("value");
    controller.abort("enough");
    if (first === "abort") wire.give("value");
    await idle();
    if (first === "give") assertEquals(textOf(read.value), "value");
    else {
      assertEquals(read.error, "enough");
      assertEquals(textOf(await conn.read()), "value");
    }
  }
});

test("Conn.read() of a second task is a BusyError that names both", async () => {
  const { conn, wire } = fakeConn();
  const holder = spawn({ name: "holder" }, () => conn.read());
  await idle();
  const error = await rejection(spawn({ name: "late" }, () => conn.read()).get());
  assertInstanceOf(error, BusyError);
  assert(
    /^Cannot read Conn "10\.0\.0\.1:4000": Task "holder" \(#\d+\) reads it, got Task "late" \(#\d+\)$/
      .test(error.message),
    error.message,
  );
  const main = await assertRejects(() => conn.readExactly(1), BusyError);
  assert(main.message.endsWith("got the main program"), main.message);
  await assertRejects(() => conn.lines().next(), BusyError);
  wire.give("a");
  assertEquals(textOf(await holder), "a");
  const reads = conn.read();
  const other = await assertRejects(() => conn.read(), BusyError);
  assert(other.message.includes("the main program reads it, got the main program"));
  wire.give("b");
  assertEquals(textOf(await reads), "b");
});

// -- Ends of the input --

test("Conn.read() gives what came before a reset, then the BrokenError with its code and cause", async () => {
  const { conn, wire } = fakeConn();
  wire.give("before");
  wire.fail("ECONNRESET");
  assertEquals([conn.closed, conn.buffered], [true, 6]);
  assertEquals(textOf(await conn.read()), "before");
  for (let i = 0; i < 2; i++) {
    const error = await assertRejects(() => conn.read(), BrokenError);
    assertEquals(error.code, "ECONNRESET");
    assertEquals((error.cause as Error).message, "host says ECONNRESET");
  }
  assertEquals((await assertRejects(() => conn.write("x"), BrokenError)).code, "ECONNRESET");
});

test("Conn.read() that waits rejects when the connection breaks", async () => {
  const { conn, wire } = fakeConn();
  const read = rejection(conn.read());
  wire.fail("ETIMEDOUT");
  assertEquals((await read as BrokenError).code, "ETIMEDOUT");
});

test("Conn counts a socket that is gone without a word as reset", async () => {
  const { conn, wire } = fakeConn();
  const read = rejection(conn.read());
  wire.sink["~freed"]();
  assertEquals((await read as BrokenError).code, "ECONNRESET");
  await conn.close();
});

test("Conn can be read to its end although a write broke after it", async () => {
  const { conn, wire } = fakeConn();
  wire.give("rest");
  wire.giveEnd();
  wire.fail("EPIPE");
  assertEquals(textOf(await conn.read()), "rest");
  assertEquals(await conn.read(), undefined);
  assertEquals((await assertRejects(() => conn.write("x"), BrokenError)).code, "EPIPE");
});

// -- readExactly --

test("Conn.readExactly() parks until all is there, and gives one piece", async () => {
  const { conn, wire } = fakeConn();
  const read = outcome(conn.readExactly(5));
  wire.give("ab");
  wire.give("c");
  await idle();
  assertEquals(read.state, "pending");
  wire.give("defg");
  await idle();
  assertEquals(textOf(read.value), "abcde");
  assertEquals(textOf(await conn.readExactly(2)), "fg");
  assertEquals((await conn.readExactly(0)).length, 0);
});

test("Conn.readExactly() that is cancelled takes nothing", async () => {
  const { conn, wire } = fakeConn();
  const controller = new AbortController();
  const read = outcome(conn.readExactly(5, { signal: controller.signal }));
  wire.give("abc");
  await idle();
  controller.abort("enough");
  await idle();
  assertEquals(read.error, "enough");
  assertEquals(conn.buffered, 3);
  assertEquals(textOf(await conn.read()), "abc");
  await assertEnds((options) => fakeConn().conn.readExactly(1, options));
});

test("Conn.readExactly() rejects at an early end, and what came stays", async () => {
  const { conn, wire } = fakeConn();
  const read = rejection(conn.readExactly(5));
  wire.give("abc");
  wire.giveEnd();
  const error = await read as BrokenError;
  assertInstanceOf(error, BrokenError);
  assertEquals(error.code, "UNEXPECTED_EOF");
  assertEquals(
    error.message,
    "Cannot read exactly 5 bytes: the peer must send all of them, got 3",
  );
  assertEquals(textOf(await conn.readExactly(3)), "abc");
  assertEquals((await conn.readExactly(0)).length, 0);
  const broken = fakeConn();
  const cut = rejection(broken.conn.readExactly(5));
  broken.wire.give("abc");
  broken.wire.fail("ECONNRESET");
  assertEquals((await cut as BrokenError).code, "ECONNRESET");
  assertEquals(textOf(await broken.conn.read()), "abc");
});

test("Conn.readExactly() allocates nothing for what has not come", async () => {
  const { conn, wire } = fakeConn();
  const read = rejection(conn.readExactly(Number.MAX_SAFE_INTEGER));
  wire.give("abc");
  wire.giveEnd();
  assertEquals((await read as BrokenError).code, "UNEXPECTED_EOF");
});

test("Conn.readExactly() is a RangeError for what is no count, and a TypeError for no number", async () => {
  const { conn } = fakeConn();
  for (const count of [-1, 1.5, NaN, Infinity]) {
    await assertRejects(() => conn.readExactly(count), RangeError, "count must be an integer >= 0");
  }
  await assertRejects(() => conn.readExactly("5" as never), TypeError, "count must be a number");
});

// -- Iteration --

test("Conn iterates over its chunks until the peer ends", async () => {
  const { conn, wire } = fakeConn();
  wire.give("a");
  const seen: string[] = [];
  const loop = (async () => {
    for await (const chunk of conn) seen.push(textOf(chunk)!);
  })();
  await idle();
  wire.give("b");
  await idle();
  wire.give("c");
  wire.giveEnd();
  await loop;
  assertEquals(seen, ["a", "b", "c"]);
});

test("Conn is left as it is by a loop that ends early", async () => {
  const { conn, wire } = fakeConn();
  wire.give("a");
  wire.give("b");
  for await (const _ of conn) break;
  assertEquals([conn.closed, conn.buffered], [false, 1]);
  for await (const chunk of conn) {
    assertEquals(textOf(chunk), "b");
    break;
  }
});

test("Conn's iterator ends its waiting next() with return(), and takes nothing after it", async () => {
  const { conn, wire } = fakeConn();
  const chunks = conn[Symbol.asyncIterator]();
  const next = chunks.next();
  assertEquals(await chunks.return!(), { done: true, value: undefined });
  assertEquals(await next, { done: true, value: undefined });
  wire.give("a");
  assertEquals(await chunks.next(), { done: true, value: undefined });
  // The return of one does not end the read of another.
  assertEquals(textOf(await conn.read()), "a");
  const read = conn.read();
  await chunks.return!();
  wire.give("b");
  assertEquals(textOf(await read), "b");
});

test("Conn's iterator rejects when the connection breaks", async () => {
  const { conn, wire } = fakeConn();
  const chunks = conn[Symbol.asyncIterator]();
  const next = rejection(chunks.next());
  wire.fail("ECONNRESET");
  assertEquals((await next as BrokenError).code, "ECONNRESET");
});

// -- Select --

test("select() reads a chunk of a Conn, and says when it has ended", async () => {
  const { conn, wire } = fakeConn();
  wire.give("a");
  const ready = await select({ conn });
  assertEquals([ready.key, ready.done, textOf(ready.value)], ["conn", false, "a"]);
  const parked = outcome(select({ conn }));
  await idle();
  wire.give("b");
  await idle();
  assertEquals(textOf(parked.value!.value), "b");
  const last = select({ conn });
  wire.giveEnd();
  assertEquals(await last, { key: "conn", done: true, value: undefined as never });
  assertEquals((await select({ conn })).done, true);
});

test("select() that chose another case leaves a Conn free, with its bytes", async () => {
  const one = fakeConn(), two = fakeConn();
  const chosen = select({ one: one.conn, two: two.conn });
  await idle();
  two.wire.give("2");
  assertEquals((await chosen).key, "two");
  one.wire.give("1");
  assertEquals(textOf(await one.conn.read()), "1");
});

test("select() on a Conn that is read is a BusyError, and the other way round", async () => {
  const { conn, wire } = fakeConn();
  const selects = spawn({ name: "selects" }, () => select({ conn }));
  await idle();
  const error = await assertRejects(() => conn.read(), BusyError);
  assert(error.message.includes('Task "selects"'), error.message);
  await assertRejects(() => select({ conn }), BusyError);
  wire.give("a");
  await selects;
});

test("select() on a Conn rejects when it breaks", async () => {
  const { conn, wire } = fakeConn();
  const parked = rejection(select({ conn }));
  await idle();
  wire.fail("ECONNRESET");
  assertInstanceOf(await parked, BrokenError);
  await assertRejects(() => select({ conn }), BrokenError);
});

// -- Write --

test("Conn.write() hands bytes and text over at once, and resolves", async () => {
  const { conn, wire } = fakeConn();
  const done = conn.write("a");
  assertEquals(wire.text, "a");
  await done;
  await conn.write(bytesOf("bc"));
  await conn.write("é");
  await conn.write("");
  assertEquals([wire.text, wire.writes.length, conn.bytesWritten], ["abcé", 3, 5]);
});

test("Conn.write() parks while the host holds too much, and all who wait are served together", async () => {
  const { conn, wire } = fakeConn();
  wire.room = false;
  const seen: number[] = [];
  const writes = [1, 2, 3].map((n) => conn.write(String(n)).then(() => seen.push(n)));
  await idle();
  assertEquals([wire.text, seen], ["123", []]);
  wire.drain();
  await Promise.all(writes);
  assertEquals(seen, [1, 2, 3]);
  await conn.write("4");
  wire.drain();
});

test("Conn.write() waits behind others even if the host would take it", async () => {
  const { conn, wire } = fakeConn();
  wire.room = false;
  const first = outcome(conn.write("1"));
  wire.room = true;
  const second = outcome(conn.write("2"));
  await idle();
  assertEquals([first.state, second.state], ["pending", "pending"]);
  wire.drain();
  await idle();
  assertEquals([first.state, second.state], ["resolved", "resolved"]);
});

test("Conn.write() that is cancelled while it waits has sent its bytes", async () => {
  const { conn, wire } = fakeConn();
  wire.room = false;
  await assertRejects(() => conn.write("a", { timeout: 1 }), TimeoutError);
  assertEquals([wire.text, conn.closed], ["a", false]);
  wire.drain();
  await conn.write("b");
  assertEquals(wire.text, "ab");
  await assertEnds((options) => {
    const { conn, wire } = fakeConn();
    wire.room = false;
    return conn.write("a", options);
  });
});

test("Conn.write() that is refused up front has sent nothing", async () => {
  const { conn, wire } = fakeConn();
  await assertRefuses((options) => conn.write("a", options));
  await assertRefuses((options) => conn.writeFrame("a", options));
  assertEquals([wire.text, conn.bytesWritten], ["", 0]);
});

test("Conn.write() is a TypeError for anything but bytes or text", async () => {
  const { conn, wire } = fakeConn();
  for (const odd of [5, null, undefined, {}, [1], new ArrayBuffer(1), new Uint16Array(1)]) {
    await assertRejects(
      () => conn.write(odd as never),
      TypeError,
      "Cannot write: it must be a Uint8Array or a string",
    );
    await assertRejects(() => conn.writeFrame(odd as never), TypeError, "Cannot write frame");
  }
  assertEquals(wire.writes.length, 0);
});

test("Conn.write() that waits rejects when the peer is gone", async () => {
  const { conn, wire } = fakeConn();
  wire.room = false;
  const write = rejection(conn.write("a"));
  wire.fail("EPIPE");
  const error = await write as BrokenError;
  assertInstanceOf(error, BrokenError);
  assertEquals(error.code, "EPIPE");
  assert(error.message.startsWith('Cannot write to Conn "10.0.0.1:4000": '), error.message);
});

test("Conn.write() that waits when the output is ended is told of the peer, not of that end", async () => {
  const { conn, wire } = fakeConn();
  wire.room = false;
  const write = rejection(conn.write("a"));
  conn.closeWrite();
  wire.fail("ECONNRESET");
  assertEquals((await write as BrokenError).code, "ECONNRESET");
  assertInstanceOf(await rejection(conn.write("b")), ConnClosedError);
});

test("Conn.writeFrame() writes the length and the bytes in one piece", async () => {
  const { conn, wire } = fakeConn();
  await conn.writeFrame("héllo");
  await conn.writeFrame(new Uint8Array(0));
  await conn.writeFrame(new Uint8Array(258));
  assertEquals(wire.writes.map((it) => [...it.subarray(0, 4), it.length]), [
    [0, 0, 0, 6, 10],
    [0, 0, 0, 0, 4],
    [0, 0, 1, 2, 262],
  ]);
});

// -- Ends of the output --

test("Conn.closeWrite() ends the output only, once", async () => {
  const { conn, wire } = fakeConn();
  conn.closeWrite();
  conn.closeWrite();
  assertEquals(wire.calls, ["open", "end"]);
  const error = await assertRejects(() => conn.write("a"), ConnClosedError);
  assertEquals(
    error.message,
    'Cannot write to Conn "10.0.0.1:4000": it must be open, got closed for writing',
  );
  wire.give("a");
  assertEquals([textOf(await conn.read()), conn.closed], ["a", false]);
  conn.destroy();
  conn.closeWrite();
});

test("Conn.close() sends what is buffered and waits until the socket is freed", async () => {
  const { conn, wire } = fakeConn();
  wire.freesAtOnce = false;
  wire.room = false;
  const write = outcome(conn.write("a"));
  const close = outcome(conn.close());
  const again = outcome(conn.close());
  await idle();
  assertEquals([wire.calls, conn.closed], [["open", "close"], true]);
  assertEquals([write.state, close.state, again.state], ["pending", "pending", "pending"]);
  wire.sink["~freed"]();
  await idle();
  assertEquals([write.state, close.state, again.state], ["resolved", "resolved", "resolved"]);
  assertEquals(close.value, undefined);
  await conn.close();
  assertEquals(wire.calls, ["open", "close"]);
});

test("Conn.close() ends the read that waits, and drops what was not taken", async () => {
  const { conn, wire } = fakeConn();
  const read = rejection(conn.read());
  await conn.close();
  const error = await read;
  assertInstanceOf(error, ConnClosedError);
  assertEquals(error.message, 'Cannot read Conn "10.0.0.1:4000": it must be open, got closed');
  assertEquals(error.cause, undefined);
  const full = fakeConn();
  full.wire.give("a");
  await full.conn.close();
  assertEquals([full.conn.buffered, full.conn.ended], [0, false]);
  await assertRejects(() => full.conn.read(), ConnClosedError);
  await assertRejects(() => full.conn.write("a"), ConnClosedError);
  await assertRejects(() => conn[Symbol.asyncIterator]().next(), ConnClosedError);
  assertNotStrictEquals(await rejection(conn.read()), await rejection(conn.read()));
  wire.give("late");
  assertEquals(conn.buffered, 0);
});

test("Conn.close() lets a peer that waits to send read what is buffered here", async () => {
  const { conn, wire } = fakeConn();
  wire.give(new Uint8Array(65 * KIB));
  assertEquals(wire.calls, ["open", "pause"]);
  await conn.close();
  assertEquals(wire.calls, ["open", "pause", "resume", "close"]);
});

test("Conn.close() destroys what is not sent when its timeout is over", async () => {
  using time = new ManualClock();
  const { conn, wire } = fakeConn();
  wire.freesAtOnce = false;
  wire.room = false;
  const write = outcome(conn.write("a"));
  const long = outcome(conn.close());
  const short = outcome(conn.close({ timeout: 5 }));
  time.advance(4);
  await idle();
  assertEquals([wire.calls, short.state], [["open", "close"], "pending"]);
  time.advance(1);
  await idle();
  assertEquals(wire.calls, ["open", "close", "destroy"]);
  assertEquals(short, { state: "resolved", value: undefined });
  assertInstanceOf(write.error, ConnClosedError);
  wire.sink["~freed"]();
  await idle();
  assertEquals(long.state, "resolved");
});

test("Conn.close() is out of reach of the caller's kill", async () => {
  const { conn, wire } = fakeConn();
  wire.freesAtOnce = false;
  const steps: string[] = [];
  const task = spawn(async () => {
    try {
      await sleep(Infinity);
    } finally {
      await conn.close();
      steps.push("closed");
    }
  });
  await idle();
  const killed = task.kill();
  await idle();
  assertEquals([wire.calls, steps], [["open", "close"], []]);
  wire.sink["~freed"]();
  await killed;
  assertEquals(steps, ["closed"]);
});

test("Conn.close() refuses a wrong timeout and does nothing then", async () => {
  const { conn } = fakeConn();
  await assertRejects(() => conn.close({ timeout: -1 }), RangeError, "timeout must be >= 0");
  await assertRejects(() => conn.close({ timeout: "1" as never }), TypeError, "timeout must be");
  await assertRejects(() => conn.close(null as never), TypeError, "options must be an object");
  assertEquals(conn.closed, false);
});

test("Conn as `await using` lingers for 5 seconds, then destroys", async () => {
  using time = new ManualClock();
  const { conn, wire } = fakeConn();
  wire.freesAtOnce = false;
  const disposed = outcome(conn[Symbol.asyncDispose]());
  time.advance(4999);
  await idle();
  assertEquals([wire.calls.at(-1), disposed.state], ["close", "pending"]);
  time.advance(1);
  await idle();
  assertEquals([wire.calls.at(-1), disposed.state], ["destroy", "resolved"]);
  wire.sink["~freed"]();
});

test("Conn.destroy() ends all waits at once with its reason as their cause", async () => {
  const { conn, wire } = fakeConn();
  wire.room = false;
  wire.give("dropped");
  await conn.read();
  const read = rejection(conn.read()), write = rejection(conn.write("a"));
  const reason = new Error("enough");
  conn.destroy(reason);
  conn.destroy(new Error("later"));
  for (const error of [await read, await write, await rejection(conn.read())]) {
    assertInstanceOf(error, ConnClosedError);
    assertStrictEquals(error.cause, reason);
  }
  assertEquals([wire.calls, conn.closed], [["open", "destroy"], true]);
  await conn.close();
  const later = outcome(conn.write("b"));
  await idle();
  assertInstanceOf(later.error, ConnClosedError);
});

test("Conn that was freed after both ends is closed, and reads to its end", async () => {
  const { conn, wire } = fakeConn();
  wire.give("a");
  wire.giveEnd();
  conn.closeWrite();
  wire.sink["~freed"]();
  assertEquals(conn.closed, true);
  assertEquals([textOf(await conn.read()), await conn.read()], ["a", undefined]);
  await assertRejects(() => conn.write("b"), ConnClosedError);
  await conn.close();
});

// -- Kill, limits --

test("Conn is destroyed by the kill of a task that reads, writes or iterates", async () => {
  for (
    const wait of [
      (conn: Conn) => conn.read(),
      (conn: Conn) => conn.readExactly(9),
      (conn: Conn) => conn.write("a"),
      (conn: Conn) => conn.lines().next(),
      (conn: Conn) => conn.frames().next(),
      (conn: Conn) => conn[Symbol.asyncIterator]().next(),
      (conn: Conn) => withTimeout(60_000, () => conn.read()),
    ] as Array<(conn: Conn) => Promise<unknown>>
  ) {
    const { conn, wire } = fakeConn();
    wire.room = false;
    const task = spawn(() => wait(conn));
    await idle();
    const reason = new Error("enough");
    const killed = task.kill(reason);
    assertEquals([wire.calls.at(-1), conn.closed], ["destroy", true]);
    await killed;
    assertStrictEquals(task.error, reason);
    const error = await rejection(conn.read()) as ConnClosedError;
    assertInstanceOf(error, ConnClosedError);
    assertStrictEquals(error.cause, reason);
  }
});

test("Conn stays usable after a limit inside a task, or in the main program", async () => {
  for (const run of [<T>(fn: () => Promise<T>) => fn(), <T>(fn: () => Promise<T>) => spawn(fn)]) {
    const { conn, wire } = fakeConn();
    await run(async () => {
      await assertRejects(() => withTimeout(1, () => conn.read()), TimeoutError);
      await assertRejects(() => conn.read({ timeout: 1 }), TimeoutError);
      wire.room = false;
      await assertRejects(() => withTimeout(1, () => conn.write("a")), TimeoutError);
      wire.drain();
      wire.give("b");
      assertEquals(textOf(await conn.read()), "b");
    });
    assertEquals([conn.closed, wire.text], [false, "a"]);
  }
});

test("Conn stays open when a task is killed that waits for something else too", async () => {
  const { conn, wire } = fakeConn();
  const task = spawn(() => select({ conn }));
  await idle();
  await task.kill();
  assertEquals(conn.closed, false);
  wire.give("a");
  assertEquals(textOf(await conn.read()), "a");
});

// -- Backpressure --

test("Conn pauses the host above 64 KiB untaken, and resumes when they are taken", async () => {
  const { conn, wire } = fakeConn();
  wire.give(new Uint8Array(64 * KIB));
  assertEquals(wire.calls, ["open"]);
  wire.give(new Uint8Array(1));
  assertEquals(wire.calls, ["open", "pause"]);
  wire.give(new Uint8Array(KIB));
  await conn.read();
  assertEquals(wire.calls, ["open", "pause", "resume"]);
  assertEquals(conn.buffered, KIB + 1);
});

test("Conn reads on above 64 KiB for one who wants more, and pauses when that one leaves", async () => {
  const { conn, wire } = fakeConn();
  wire.give(new Uint8Array(65 * KIB));
  assertEquals(wire.calls, ["open", "pause"]);
  const controller = new AbortController();
  const read = rejection(conn.readExactly(200 * KIB, { signal: controller.signal }));
  assertEquals(wire.calls, ["open", "pause", "resume"]);
  wire.give(new Uint8Array(65 * KIB));
  assertEquals(wire.calls.length, 3);
  controller.abort();
  await read;
  assertEquals(wire.calls, ["open", "pause", "resume", "pause"]);
  assertEquals(conn.buffered, 130 * KIB);
  const all = conn.readExactly(200 * KIB);
  wire.give(new Uint8Array(70 * KIB));
  assertEquals((await all).length, 200 * KIB);
  assertEquals(wire.calls.slice(4), ["resume"]);
});

test("Conn does not pause for one who takes each chunk", async () => {
  const { conn, wire } = fakeConn();
  for (let i = 0; i < 4; i++) {
    const read = conn.read();
    wire.give(new Uint8Array(100 * KIB));
    assertEquals((await read)?.length, 100 * KIB);
  }
  assertEquals(wire.calls, ["open"]);
});

// -- For the server --

test("Conn tells of its first answered read once, whichever way it was read", async () => {
  for (
    const [read, give] of [
      [(conn: Conn) => conn.read(), "a"],
      [(conn: Conn) => conn.readExactly(2), "ab"],
      [(conn: Conn) => conn.lines().next(), "a\n"],
      [(conn: Conn) => conn.frames().next(), "\0\0\0\0"],
      [(conn: Conn) => select({ conn }), "a"],
    ] as Array<[(conn: Conn) => Promise<unknown>, string]>
  ) {
    for (const early of [true, false]) {
      const { conn, wire } = fakeConn();
      let told = 0;
      conn["~firstRead"] = () => told++;
      if (early) wire.give(give);
      const first = read(conn);
      await idle();
      assertEquals([told, conn["~reading"]], early ? [1, false] : [0, true]);
      if (!early) wire.give(give.slice(0, -1));
      if (!early) wire.give(give.slice(-1));
      await first;
      if (give !== "a\n") wire.give(give);
      else wire.give("b\n");
      await read(conn);
      assertEquals(told, 1);
    }
  }
});

test("Conn keeps the time of its last activity while it is told to", async () => {
  using time = new ManualClock();
  const { conn, wire } = fakeConn();
  time.advance(5);
  await conn.write("a");
  assertEquals(conn["~lastActivity"], 0);
  conn["~clocked"] = true;
  await conn.write("a");
  assertEquals(conn["~lastActivity"], 5);
  time.advance(5);
  wire.give("a");
  assertEquals(conn["~lastActivity"], 10);
  time.advance(5);
  wire.sink["~sent"]();
  assertEquals(conn["~lastActivity"], 15);
});

test("Conn that was failed from inside rejects with the very error, now and later", async () => {
  const { conn, wire } = fakeConn();
  wire.room = false;
  const read = rejection(conn.read()), write = rejection(conn.write("a"));
  const error = new TimeoutError("idle for too long", 5);
  conn["~fail"](error);
  for (const seen of [await read, await write, await rejection(conn.read())]) {
    assertStrictEquals(seen, error);
  }
  assertEquals(wire.calls, ["open", "destroy"]);
});
