// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { existsSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { dump } from "../../src/dump.ts";
import { BrokenError, ConnClosedError } from "../../src/errors.ts";
import type { Conn } from "../../src/net/conn.ts";
import { connect } from "../../src/net/connect.ts";
import { listen, Listener } from "../../src/net/listener.ts";
import { select } from "../../src/select.ts";
import { spawn } from "../../src/spawn.ts";
import { withTimeout } from "../../src/timeout.ts";
import { onUnhandled } from "../../src/unhandled.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { ManualClock } from "../manual_clock.ts";
import { outcome, rejection } from "../outcome.ts";
import { assertEnds, assertRefuses } from "../waits.ts";
import { fakeListener, FakeWire } from "./fake_wire.ts";
import { TemporaryPath } from "./sockets.ts";

noLeaks();

/** One that may be destroyed before it is opened. */
class ClosedWire extends FakeWire {
  override freesAtOnce = false;
}

const HERE = { hostname: "127.0.0.1" };

// -- Accept --

test("Listener.accept() gives connections in order to acceptors in order", async () => {
  const { listener, wire } = fakeListener();
  const seen: string[] = [];
  const accepting = ["a", "b"].map(async (name) => {
    const conn = await listener.accept();
    seen.push(`${name} ${conn.name}`);
  });
  await idle();
  assertEquals(wire.asked, 1);
  for (const port of [1, 2, 3]) wire.give(new FakeWire({ hostname: "10.0.0.1", port }));
  await Promise.all(accepting);
  assertEquals(seen, ["a 10.0.0.1:1", "b 10.0.0.1:2"]);
  assertEquals((await listener.accept({ timeout: 0 })).name, "10.0.0.1:3");
  await listener.close();
});

test("Listener.accept() opens a connection when it is accepted, and not before", async () => {
  const { listener, wire } = fakeListener();
  const held = wire.give();
  assertEquals(held.calls, []);
  await listener.accept();
  assertEquals(held.calls, ["open"]);
  await listener.close();
  assertEquals(held.calls, ["open"]);
});

test("Listener.accept() refuses wrong options, aborted signals and killed tasks before any effect", async () => {
  const { listener, wire } = fakeListener();
  wire.give();
  await assertRefuses((options) => listener.accept(options));
  await listener.accept();
  assertEquals(wire.asked, 0);
});

test("Listener.accept() ends by abort, kill and timeout, and the connection goes to the next one", async () => {
  await assertEnds((options) => fakeListener().listener.accept(options));
  const { listener, wire } = fakeListener();
  const controller = new AbortController();
  const accepting = rejection(listener.accept({ signal: controller.signal }));
  controller.abort("enough");
  const given = wire.give();
  assertEquals(await accepting, "enough");
  assertEquals(given.calls, []);
  await listener.accept();
  assertEquals(given.calls, ["open"]);
  await rejection(withTimeout(1, () => listener.accept()));
  assertEquals(listener.closed, false);
});

test("Listener is closed by the kill of the last task that accepts from it", async () => {
  const { listener, wire } = fakeListener();
  const tasks = [1, 2].map(() => spawn(() => listener.accept()));
  await idle();
  await tasks[0]!.kill();
  assertEquals([listener.closed, wire.closed], [false, false]);
  const killed = tasks[1]!.kill();
  assertEquals([listener.closed, wire.closed], [true, true]);
  await killed;
});

test("Listener holds as many connections as its backlog, and closes what comes above", async () => {
  const { listener, wire } = fakeListener({ backlog: 2 });
  const [first, second, third] = [1, 2, 3].map(() => wire.give(new ClosedWire()));
  assertEquals([first, second, third].map((it) => it!.calls), [[], [], ["destroy"]]);
  await listener.accept();
  await listener.close();
  assertEquals([first!.calls, second!.calls], [["open"], ["destroy"]]);
});

test("Listener iterates until it is closed, and is left open by a loop that ends early", async () => {
  const { listener, wire } = fakeListener();
  wire.give();
  for await (const _ of listener) break;
  assertEquals(listener.closed, false);
  wire.give();
  const seen: Conn[] = [];
  const loop = (async () => {
    for await (const conn of listener) seen.push(conn);
  })();
  await idle();
  wire.give();
  await idle();
  wire.give();
  await idle();
  await listener.close();
  await loop;
  assertEquals(seen.length, 3);
  for await (const _ of listener) throw new Error("came after the end");
});

test("Listener's iterator ends its waiting next() with return()", async () => {
  const { listener, wire } = fakeListener();
  const conns = listener[Symbol.asyncIterator]();
  const next = conns.next();
  await conns.return!();
  assertEquals(await next, { done: true, value: undefined });
  const given = wire.give(new ClosedWire());
  assertEquals(given.calls, []);
  await listener.close();
  assertEquals(given.calls, ["destroy"]);
});

test("select() accepts from a Listener, and says when it is closed", async () => {
  const { listener, wire } = fakeListener();
  wire.give();
  assertEquals((await select({ listener })).done, false);
  const parked = select({ listener });
  await idle();
  wire.give(new FakeWire({ hostname: "10.0.0.1", port: 5 }));
  assertEquals((await parked).value!.name, "10.0.0.1:5");
  const last = select({ listener });
  await idle();
  await listener.close();
  assertEquals((await last).done, true);
  assertEquals((await select({ listener })).done, true);
});

// -- Failures of accept --

test("Listener pauses after a failed accept, from 10 ms on and doubling to a second, and never spins", async () => {
  using time = new ManualClock();
  const told: BrokenError[] = [];
  const { listener, wire } = fakeListener({ onError: (error) => told.push(error as BrokenError) });
  const accepting = outcome(listener.accept());
  for (const ms of [10, 20, 40, 80, 160, 320, 640, 1000, 1000]) {
    const { asked } = wire;
    wire.fail("EMFILE");
    time.advance(ms - 1);
    assertEquals(wire.asked, asked, `asked before ${ms} ms`);
    time.advance(1);
    assertEquals(wire.asked, asked + 1, `not asked after ${ms} ms`);
  }
  assertEquals(told.length, 9);
  assertInstanceOf(told[0], BrokenError);
  assertEquals([told[0].code, listener.closed], ["EMFILE", false]);
  wire.give();
  await idle();
  assertEquals(accepting.state, "resolved");
  const again = outcome(listener.accept());
  wire.fail("ECONNABORTED");
  time.advance(10);
  wire.give();
  await idle();
  assertEquals([again.state, told.length], ["resolved", 10]);
});

test("Listener that is closed in a pause leaves no timer, and says nothing more", async () => {
  using time = new ManualClock();
  let told = 0;
  const { listener, wire } = fakeListener({ onError: () => told++ });
  const accepting = rejection(listener.accept());
  wire.fail("EMFILE");
  await listener.close();
  assertEquals(time.size, 0);
  wire.fail("EMFILE");
  assertInstanceOf(await accepting, ConnClosedError);
  assertEquals(told, 1);
});

test("Listener reports what its onError throws, and goes on", async () => {
  using time = new ManualClock();
  const reported: unknown[] = [];
  using _hook = onUnhandled((error) => reported.push(error));
  const thrown = new Error("thrown");
  const { listener, wire } = fakeListener({
    onError: () => {
      throw thrown;
    },
  });
  const accepting = listener.accept();
  wire.fail("EMFILE");
  time.advance(10);
  wire.give();
  await accepting;
  assertEquals(reported, [thrown]);
});

// -- Close --

test("Listener.close() ends all who wait, closes what is held, and does nothing twice", async () => {
  const { listener, wire } = fakeListener();
  const accepting = rejection(listener.accept());
  await listener.close();
  const error = await accepting;
  assertInstanceOf(error, ConnClosedError);
  assertEquals(
    error.message,
    'Cannot accept from Listener "10.0.0.1:80": it must be open, got closed',
  );
  await listener.close();
  await assertRejects(() => listener.accept(), ConnClosedError);
  assertEquals([wire.closed, String(listener)], [true, 'Listener "10.0.0.1:80" (closed)']);
});

test("Listener.close() waits until the address is free, also when it was closed by a kill", async () => {
  const { listener, wire } = fakeListener();
  wire.freesAtOnce = false;
  const task = spawn(() => listener.accept());
  await idle();
  await task.kill();
  const closed = outcome(listener.close());
  await idle();
  assertEquals([wire.closed, closed.state], [true, "pending"]);
  wire.sink.freed();
  await idle();
  assertEquals(closed.state, "resolved");
  await listener.close();
});

test("Listener cannot be constructed by hand", () => {
  assertThrows(() => Reflect.construct(Listener, []), TypeError, "listen() makes one");
});

// -- Real sockets --

test("listen() takes a free port, says which, and frees it when it is closed", async () => {
  const listener = await listen(HERE);
  const { port } = listener.address;
  assert(port! > 0);
  assertEquals(listener.name, `127.0.0.1:${port}`);
  const error = await rejection(listen({ ...HERE, port })) as BrokenError;
  assertInstanceOf(error, BrokenError);
  assertEquals(error.code, "EADDRINUSE");
  await listener.close();
  await using again = await listen({ ...HERE, port });
  assertStrictEquals(again.address.port, port);
});

test("listen() is on all addresses without a hostname", async () => {
  await using listener = await listen();
  assertEquals(listener.address.hostname, "0.0.0.0");
});

test("listen() listens on the path of a Unix socket, and removes it", async () => {
  using place = new TemporaryPath();
  const { path } = place;
  const listener = await listen({ path });
  assertEquals([listener.address, listener.name], [{ path }, path]);
  const accepting = listener.accept();
  const client = await connect({ path });
  const server = await accepting;
  assertEquals([client.name, server.name], [path, path]);
  assertEquals([client.remoteAddress, server.localAddress], [{ path }, { path }]);
  await client.write("a\n");
  assertEquals((await server.lines().next()).value, "a");
  const error = await rejection(listen({ path })) as BrokenError;
  assertEquals(error.code, "EADDRINUSE");
  await Promise.all([client.close(), server.close(), listener.close()]);
  assertEquals(existsSync(path), false);
});

test("listen() does not remove what stands at its path", async () => {
  using place = new TemporaryPath();
  writeFileSync(place.path, "");
  const error = await rejection(listen({ path: place.path })) as BrokenError;
  assertEquals([error.code, existsSync(place.path)], ["EADDRINUSE", true]);
});

test("listen() rejects an address that is not of this host", async () => {
  const error = await rejection(listen({ hostname: "192.0.2.1" })) as BrokenError;
  assertInstanceOf(error, BrokenError);
  assertEquals(error.code, "EADDRNOTAVAIL");
});

test("listen() refuses wrong options, aborted signals and killed tasks", async () => {
  await assertRefuses((options) => listen({ ...HERE, ...options }));
  for (const port of [-1, 65536, 1.5, NaN]) {
    await assertRejects(() => listen({ ...HERE, port }), RangeError, "from 0 to 65535");
  }
  for (const backlog of [0, -1, 1.5, NaN, Infinity]) {
    await assertRejects(() => listen({ ...HERE, backlog }), RangeError, "backlog must be");
  }
  await assertRejects(() => listen({ onError: 5 as never }), TypeError, "onError must be");
  await assertRejects(() => listen(null as never), TypeError, "options must be an object");
  await assertRejects(() => listen({ path: "/a", port: 1 }), TypeError, "must stand alone");
});

test("Listener gives connections that came before anybody accepted, with what they sent", async () => {
  await using listener = await listen(HERE);
  await using client = await connect({ port: listener.address.port });
  await client.write("early");
  client.closeWrite();
  await using server = await listener.accept();
  assertEquals((await server.lines().next()).value, "early");
});

test("Listener that is closed lets its connections be, and refuses new ones", async () => {
  const listener = await listen(HERE);
  const { port } = listener.address;
  const accepting = listener.accept();
  await using client = await connect({ port });
  await using server = await accepting;
  await listener.close();
  await client.write("still\n");
  assertEquals((await server.lines().next()).value, "still");
  const error = await rejection(connect({ port })) as BrokenError;
  assertEquals(error.code, "ECONNREFUSED");
});

test("Listener is freed by the kill of the task that accepts", async () => {
  const listener = await listen(HERE);
  const task = spawn({ name: "accepts" }, () => listener.accept());
  await idle();
  assert(String(dump()).includes(`accept on Listener "${listener.name}"`));
  await task.kill();
  assertEquals(listener.closed, true);
  await listener.close();
  await using _again = await listen({ ...HERE, port: listener.address.port });
});
