// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The server: a task per connection, the end of the connection with it, limits, and the stop.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { Channel } from "../../src/channel.ts";
import { dump } from "../../src/dump.ts";
import { BrokenError, ConnClosedError, KilledError, TimeoutError } from "../../src/errors.ts";
import { joinAll } from "../../src/join.ts";
import type { Conn } from "../../src/net/conn.ts";
import { connect } from "../../src/net/connect.ts";
import {
  type ConnHandler,
  createServer,
  serve,
  type ServeOptions,
  Server,
} from "../../src/net/server.ts";
import { Group, Pool } from "../../src/pool.ts";
import { scope } from "../../src/scope.ts";
import { shield } from "../../src/shield.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import { currentTask, type Task } from "../../src/task.ts";
import { TaskLocal } from "../../src/task_local.ts";
import { withTimeout } from "../../src/timeout.ts";
import { onUnhandled } from "../../src/unhandled.ts";
import { gate } from "../gate.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { ManualClock } from "../manual_clock.ts";
import { outcome, rejection } from "../outcome.ts";
import { inKilledTask } from "../waits.ts";
import { type FakeListener, fakeListener, FakeWire } from "./fake_wire.ts";

noLeaks();

const LOOPBACK = "127.0.0.1";

/** A server on loopback whose handlers are known: each is told on `began` with its task. */
interface Served {
  server: Server;
  /** Gives each connection with its task, once its handler runs. */
  began: Channel<{ conn: Conn; task: Task }>;
  /** A new client. */
  client(): Promise<Conn>;
}

async function serving(
  handler: (conn: Conn) => unknown,
  options: ServeOptions = {},
): Promise<Served> {
  const began = Channel.unbounded<{ conn: Conn; task: Task }>();
  const server = await serve({ port: 0, hostname: LOOPBACK, ...options }, (conn) => {
    began.trySend({ conn, task: currentTask()! });
    return handler(conn);
  });
  return { server, began, client: () => connect({ port: server.address.port! }) };
}

async function echo(conn: Conn): Promise<void> {
  for await (const chunk of conn) await conn.write(chunk);
}

/** Sends `text` and reads as much back. */
async function call(conn: Conn, text: string): Promise<string> {
  await conn.write(text);
  return textOf(await conn.readExactly(text.length));
}

/** All that comes until the end. */
async function readAll(conn: Conn): Promise<string> {
  let all = "";
  for await (const chunk of conn) all += textOf(chunk);
  return all;
}

/** Waits for the end of a connection, by the peer or by a reset. */
async function gone(conn: Conn): Promise<void> {
  try {
    while (await conn.read({ timeout: 20_000 }) !== undefined);
  } catch (error) {
    assertInstanceOf(error, BrokenError);
  }
}

function textOf(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}

// -- Serving --

test("serve() resolves when it listens, with the port that the host chose", async () => {
  await using server = await serve({ port: 0, hostname: LOOPBACK }, echo);
  assert(server instanceof Server);
  assertEquals(Object.prototype.toString.call(server), "[object Server]");
  assertEquals(server.address.hostname, LOOPBACK);
  assert(server.address.port! > 0);
  assertEquals([server.connections, server.closed], [0, false]);
  assertEquals(server.name, `${LOOPBACK}:${server.address.port}`);
  await using conn = await connect({ port: server.address.port });
  assertEquals(await call(conn, "hello"), "hello");
});

test("serve() runs each handler in a task of its own, all at once", async () => {
  const { server, began, client } = await serving(echo);
  await using _server = server;
  const clients = [await client(), await client(), await client()];
  for (const conn of clients.reverse()) assertEquals(await call(conn, conn.name), conn.name);
  assertEquals(server.connections, 3);
  const served = [await began.receive(), await began.receive(), await began.receive()];
  assertEquals(new Set(served.map(({ task }) => task)).size, 3);
  assertEquals([...server].length, 3);
  assertEquals(new Set(server), new Set(served.map(({ conn }) => conn)));
  for (const { conn, task } of served) assertEquals(task.name, `conn ${conn.name}`);
  assertEquals(
    new Set(served.map(({ conn }) => conn.remoteAddress.port)),
    new Set(clients.map((conn) => conn.localAddress.port)),
  );
  for (const conn of clients) await conn.close();
  await joinAll(served.map(({ task }) => task));
  assertEquals([server.connections, [...server]], [0, []]);
});

test("serve() takes plain and generator functions as handlers", async () => {
  {
    const { server, client } = await serving((conn) => void conn.write("plain"));
    await using _server = server;
    assertEquals(await readAll(await client()), "plain");
  }
  {
    const { server, client } = await serving(async function* (conn) {
      await conn.write("gener");
      yield;
      await conn.write("ator");
    });
    await using _server = server;
    assertEquals(await readAll(await client()), "generator");
  }
});

test("serve() gives handlers the task locals of its caller, and outlives the caller", async () => {
  const user = new TaskLocal("nobody");
  const { server, client } = await user.run(
    "Ann",
    () =>
      scope(() =>
        withTimeout(60_000, () => spawn(() => serving((conn) => conn.write(user.get()))).get())
      ),
  );
  await using _server = server;
  assertEquals(await readAll(await client()), "Ann");
});

test("serve() refuses what is wrong, and listens to nothing then", async () => {
  const net = { port: 0, hostname: LOOPBACK };
  await assertRejects(() => serve(net, 5 as never), TypeError, "handler must be a function");
  await assertRejects(() => serve(undefined as never, echo), TypeError, "options must be");
  for (const maxConnections of [0, -1, 1.5, NaN]) {
    await assertRejects(
      () => serve({ ...net, maxConnections }, echo),
      RangeError,
      "maxConnections",
    );
  }
  await assertRejects(() => serve({ ...net, maxConnections: "5" as never }, echo), TypeError);
  for (const ms of [0, -1, NaN]) {
    await assertRejects(() => serve({ ...net, idleTimeout: ms }, echo), RangeError, "idleTimeout");
    await assertRejects(
      () => serve({ ...net, handshakeTimeout: ms }, echo),
      RangeError,
      "handshake",
    );
  }
  await assertRejects(() => serve({ ...net, pool: {} as never }, echo), TypeError, "pool must be");
  await assertRejects(() => serve({ ...net, onError: 1 as never }, echo), TypeError, "onError");
  await assertRejects(() => serve({ ...net, name: 1 as never }, echo), TypeError, "name must be");
  await assertRejects(
    () => serve({ ...net, signal: {} as never }, echo),
    TypeError,
    "signal must be",
  );
  await assertRejects(() => serve({ ...net, port: 65536 }, echo), RangeError, "port must be");
});

test("serve() is refused in a killed task and with an aborted signal, in this order", async () => {
  const aborted = { port: 0, hostname: LOOPBACK, signal: AbortSignal.abort("aborted") };
  assertEquals(await rejection(serve(aborted, echo)), "aborted");
  const killed = new Error("killed");
  assertStrictEquals(await inKilledTask(() => rejection(serve(aborted, echo)), killed), killed);
});

test("serve() rejects with EADDRINUSE on a port in use", async () => {
  await using server = await serve({ port: 0, hostname: LOOPBACK }, echo);
  const { port } = server.address;
  const error = await assertRejects(() => serve({ port, hostname: LOOPBACK }, echo), BrokenError);
  assertEquals(error.code, "EADDRINUSE");
});

test("Server cannot be constructed", () => {
  assertThrows(() => new (Server as unknown as new () => Server)(), TypeError, "serve() makes one");
});

// -- The end of a handler --

test("a handler that returns closes its connection after what it has written was sent", async () => {
  const text = "x".repeat(1 << 20);
  const { server, began, client } = await serving((conn) => void conn.write(text));
  await using _server = server;
  await using conn = await client();
  assertEquals((await readAll(conn)).length, text.length);
  const { task, conn: other } = await began.receive();
  assertEquals(await task.join(), true);
  assertEquals([other.closed, server.connections], [true, 0]);
});

test("a handler that throws closes its connection in the same way", async () => {
  const told = new Channel<[unknown, Conn | undefined]>({ capacity: 8 });
  const error = new Error("wrong");
  const { server, client } = await serving(async (conn) => {
    void conn.write("x".repeat(1 << 18));
    await sleep(0);
    throw error;
  }, { onError: (...args) => told.trySend(args as [unknown, Conn]) });
  await using _server = server;
  await using conn = await client();
  assertEquals((await readAll(conn)).length, 1 << 18);
  const [first, of] = await told.receive();
  assertStrictEquals(first, error);
  assertEquals([told.size, of?.closed], [0, true]);
});

test("a kill of a handler frees its connection at once, whatever it waits for", async () => {
  const waits: Record<string, (conn: Conn) => Promise<unknown>> = {
    read: (conn) => conn.read(),
    lines: (conn) => conn.lines().next(),
    sleep: () => sleep(60_000),
    write: async (conn) => {
      for (;;) await conn.write(new Uint8Array(1 << 20));
    },
    "foreign promise": (conn) => foreign.promise.then(() => conn.closed),
    "clean-up": () => sleep(60_000).finally(() => shield(() => foreign.promise)),
  };
  const foreign = gate();
  for (const [name, wait] of Object.entries(waits)) {
    const { server, began, client } = await serving(wait);
    await using _server = server;
    const conn = await client();
    const { task, conn: served } = await began.receive();
    if (name === "write") await conn.read();
    await idle();
    const killed = task.kill();
    assertEquals(served.closed, true, name);
    await gone(conn);
    await conn.close();
    if (name === "foreign promise") assertEquals(task.ready, false);
    if (name === "foreign promise" || name === "clean-up") foreign.open();
    await killed;
    assertEquals([task.ready, server.connections], [true, 0], name);
  }
});

test("a handler that kills itself ends as killed, which is no error", async () => {
  const told: unknown[] = [];
  const { server, began, client } = await serving(() => currentTask()!.kill(), {
    onError: (error) => told.push(error),
  });
  await using _server = server;
  await using conn = await client();
  await gone(conn);
  const { task } = await began.receive();
  await task.join();
  assertEquals([task.state, told.length], ["killed", 0]);
});

test("a connection that its handler has closed already does no harm", async () => {
  const { server, began, client } = await serving(async (conn) => {
    await conn.write("bye");
    await conn.close();
  });
  await using _server = server;
  await using conn = await client();
  assertEquals(await readAll(conn), "bye");
  assertEquals(await (await began.receive()).task.join(), true);
});

// -- Errors --

test("an error of a handler without onError is reported once, with its task", async () => {
  const error = new Error("wrong");
  const { server, client } = await serving(() => {
    throw error;
  });
  await using _server = server;
  const told = new Channel<[unknown, string | undefined]>({ capacity: 8 });
  using _hook = onUnhandled((it, task) => told.trySend([it, task?.name]));
  await using conn = await client();
  await gone(conn);
  assertEquals(await told.receive(), [error, `conn ${LOOPBACK}:${conn.localAddress.port}`]);
  await idle();
  assertEquals(told.size, 0);
});

test("an error by which the connection itself ended is told to onError only", async () => {
  const ends: Array<[code: string, handler: (conn: Conn) => Promise<unknown>, text: string]> = [
    ["UNEXPECTED_EOF", (conn) => conn.readExactly(10), "short"],
    ["TOO_LARGE", (conn) => conn.lines({ maxBytes: 4 }).next(), "too long"],
  ];
  const unhandled: unknown[] = [];
  using _hook = onUnhandled((error) => unhandled.push(error));
  for (const [code, handler, text] of ends) {
    const told: unknown[] = [];
    for (const options of [{ onError: (error: unknown) => told.push(error) }, {}]) {
      const { server, client } = await serving(handler, options);
      const conn = await client();
      await conn.write(text);
      conn.closeWrite();
      await gone(conn);
      await conn.close();
      assertEquals((await server.stop()).killed, 0);
      await idle();
    }
    assertEquals(told.map((error) => (error as BrokenError).code), [code]);
  }
  assertEquals(unhandled, []);
});

test("a BrokenError of another connection is an error like any other", async () => {
  const { server, client } = await serving(() => connect({ port: 1 }));
  await using _server = server;
  const told = new Channel<unknown>({ capacity: 8 });
  using _hook = onUnhandled((error) => told.trySend(error));
  await using conn = await client();
  await gone(conn);
  assertEquals((await told.receive() as BrokenError).code, "ECONNREFUSED");
});

test("what onError throws or rejects with is reported", async () => {
  const told = new Channel<unknown>({ capacity: 8 });
  using _hook = onUnhandled((error) => told.trySend(error));
  const hooks = [() => {
    throw "thrown";
  }, () => Promise.reject("rejected")];
  for (const [at, onError] of hooks.entries()) {
    const { server, client } = await serving(() => {
      throw new Error("wrong");
    }, { onError });
    await using _server = server;
    await using conn = await client();
    await gone(conn);
    assertEquals(await told.receive(), ["thrown", "rejected"][at]);
  }
});

test("onError belongs to no task", async () => {
  const told = new Channel<unknown>({ capacity: 1 });
  const { server, client } = await serving(() => {
    throw new Error("wrong");
  }, { onError: () => void told.trySend(currentTask()) });
  await using _server = server;
  await using conn = await client();
  await gone(conn);
  assertEquals(await told.receive(), undefined);
});

// -- How many --

test("maxConnections holds back accepts until a handler has ended, and drops nobody", async () => {
  for (const most of [1, 2]) {
    const { server, began, client } = await serving(echo, { maxConnections: most });
    await using _server = server;
    const clients: Conn[] = [];
    for (let i = 0; i < 5; i++) clients.push(await client());
    for (const conn of clients) await conn.write("hello");
    for (const [at, conn] of clients.entries()) {
      assertEquals(textOf(await conn.readExactly(5)), "hello");
      await idle();
      assertEquals(server.connections, Math.min(most, clients.length - at));
      await conn.close();
    }
    for (const _ of clients) await (await began.receive()).task.join();
    assertEquals(server.connections, 0);
  }
});

test("serve() with a pool runs handlers as its members, and accepts while it has places", async () => {
  const pool = new Pool(2);
  const { server, began, client } = await serving(echo, { pool });
  await using _server = server;
  const clients = [await client(), await client(), await client()];
  for (const conn of clients) await conn.write("hello");
  const first = await began.receive(), second = await began.receive();
  assertEquals([...pool], [first.task, second.task]);
  assertEquals(textOf(await clients[0]!.readExactly(5)), "hello");
  await idle();
  assertEquals([began.size, server.connections, pool.running], [0, 2, 2]);
  await clients[0]!.close();
  assertEquals(textOf(await clients[2]!.readExactly(5)), "hello");
  for (const conn of clients) await conn.close();
  assertEquals(await pool.join(), true);
});

test("serve() leaves the places of a pool to others while nobody connects", async () => {
  const pool = new Pool(1);
  const one = await serving(echo, { pool }), two = await serving(echo, { pool });
  await using _one = one.server;
  await using _two = two.server;
  for (const { client } of [one, two, one]) {
    assertEquals(await pool.apply(() => "free"), "free");
    const conn = await client();
    assertEquals(await call(conn, "hello"), "hello");
    await conn.close();
  }
});

test("a full pool holds back accepts in its order of arrival", async () => {
  const pool = new Pool(1), open = gate();
  const { task } = await pool.spawn(() => open.promise);
  const { server, began, client } = await serving(echo, { pool });
  await using _server = server;
  await using conn = await client();
  const answer = outcome(call(conn, "hello"));
  await idle();
  assertEquals([began.size, server.connections, answer.state], [0, 0, "pending"]);
  open.open();
  await task;
  await began.receive();
});

test("a kill of the pool destroys its connections, and the server goes on", async () => {
  const pool = new Pool(1);
  const { server, began, client } = await serving(echo, { pool });
  await using _server = server;
  for (let i = 0; i < 2; i++) {
    const served = await client(), waiting = await client();
    assertEquals(await call(served, "hello"), "hello");
    await began.receive();
    assertEquals(await pool.kill(), true);
    await gone(served);
    assertEquals(await call(waiting, "hello"), "hello");
    await began.receive();
    await served.close();
    await waiting.close();
    await pool.join();
  }
});

test("serve() with a group has no bound", async () => {
  const pool = new Group();
  const { server, client } = await serving(echo, { pool });
  await using _server = server;
  const clients = [await client(), await client(), await client()];
  for (const conn of clients) assertEquals(await call(conn, "hello"), "hello");
  assertEquals([pool.running, server.connections], [3, 3]);
  for (const conn of clients) await conn.close();
});

test("errors of handlers in a pool are kept there, and told to onError", async () => {
  const pool = new Pool(4), told: unknown[] = [], error = new Error("wrong");
  const { server, client } = await serving(() => {
    throw error;
  }, { pool, onError: (it) => told.push(it) });
  await using _server = server;
  await using conn = await client();
  await gone(conn);
  await pool.join();
  assertEquals([pool.errors, told], [[error], [error]]);
});

// -- Limits --

test("idleTimeout destroys a connection without a byte in or out; each byte puts it off", async () => {
  const told = new Channel<[unknown, boolean]>({ capacity: 8 });
  const { server, client } = await serving(echo, {
    idleTimeout: 300,
    onError: (error, conn) => told.trySend([error, conn!.closed]),
  });
  await using _server = server;
  await using conn = await client();
  const start = performance.now();
  for (let i = 0; i < 10; i++) {
    assertEquals(await call(conn, "x"), "x");
    await sleep(50);
  }
  await gone(conn);
  assert(performance.now() - start >= 10 * 50 + 240, "too early");
  const [error, closed] = await told.receive();
  assertInstanceOf(error, TimeoutError);
  assertEquals([error.ms, closed], [300, true]);
  assertEquals(
    error.message,
    `Cannot go on with Conn "${LOOPBACK}:${conn.localAddress.port}": ` +
      "a byte must go in or out within 300 ms, got none",
  );
});

test("idleTimeout ends a write whose peer does not read", async () => {
  const told = new Channel<unknown>({ capacity: 8 });
  const { server, client } = await serving(async (conn) => {
    for (;;) await conn.write(new Uint8Array(1 << 20));
  }, { idleTimeout: 200, onError: (error) => told.trySend(error) });
  await using _server = server;
  await using conn = await client();
  assertInstanceOf(await told.receive(), TimeoutError);
  await gone(conn);
});

test("idleTimeout lets a write go on whose peer reads slowly", async () => {
  const SIZE = 24 << 20, told: unknown[] = [];
  const { server, client } = await serving(
    (conn) => conn.write(new Uint8Array(SIZE)),
    { idleTimeout: 500, onError: (error) => told.push(error) },
  );
  await using _server = server;
  await using conn = await client();
  let size = 0, steps = 0;
  for await (const chunk of conn) {
    size += chunk.length;
    if (size > (steps + 1) * (SIZE / 100)) {
      steps++;
      await sleep(15);
    }
  }
  assertEquals([told, size], [[], SIZE]);
});

test("idleTimeout is told to waits that begin later, too", async () => {
  const later = gate<unknown>();
  const { server, client } = await serving(async (conn) => {
    await sleep(400);
    later.open(await rejection(conn.read()));
    throw await rejection(conn.write("x"));
  }, { idleTimeout: 100 });
  const unhandled: unknown[] = [];
  using _hook = onUnhandled((error) => unhandled.push(error));
  const conn = await client();
  await gone(conn);
  assertInstanceOf(await later.promise, TimeoutError);
  await conn.close();
  await server.stop();
  await idle();
  assertEquals(unhandled, []);
});

test("handshakeTimeout is not put off by single bytes, for each reader of messages", async () => {
  const readers: Record<string, (conn: Conn) => Promise<unknown>> = {
    readExactly: (conn) => conn.readExactly(1000),
    lines: (conn) => conn.lines().next(),
    frames: (conn) => conn.frames().next(),
    read: (conn) => conn.read(),
  };
  for (const [name, read] of Object.entries(readers)) {
    const told = new Channel<unknown>({ capacity: 8 });
    const { server, client } = await serving(read, {
      handshakeTimeout: 200,
      onError: (error) => told.trySend(error),
    });
    await using _server = server;
    await using conn = await client();
    let at = 0;
    await using _drips = spawn(async () => {
      for (; name !== "read" && !conn.closed; await sleep(20)) {
        await conn.write(new Uint8Array([0, 0, 1]).subarray(at % 3, at++ % 3 + 1)).catch(() => {});
      }
    });
    const error = await told.receive();
    assertInstanceOf(error, TimeoutError, name);
    assertEquals(error.ms, 200);
    assertEquals(
      error.message,
      `Cannot go on with Conn "${LOOPBACK}:${conn.localAddress.port}": ` +
        "its first message must come within 200 ms, got less",
    );
  }
});

test("handshakeTimeout is over with the first message, and spares a handler that talks first", async () => {
  const { server, client } = await serving(async (conn) => {
    await sleep(400); // longer than the limit
    await conn.write("220 hello\n");
    for await (const line of conn.lines()) await conn.write(`${line}!\n`);
  }, { handshakeTimeout: 300 });
  await using _server = server;
  await using conn = await client();
  const lines = conn.lines();
  assertEquals((await lines.next()).value, "220 hello");
  await conn.write("quick\n");
  assertEquals((await lines.next()).value, "quick!");
  await sleep(700);
  await conn.write("slow\n");
  assertEquals((await lines.next()).value, "slow!");
});

// -- Stop --

test("stop() frees the port at once, and waits for the handlers", async () => {
  const { server, began, client } = await serving(echo);
  const conn = await client();
  await call(conn, "hello");
  await began.receive();
  const stopped = outcome(server.stop());
  assertEquals([server.closed, server.connections], [true, 1]);
  await assertRejects(() => client(), BrokenError);
  await using again = await serve({ port: server.address.port!, hostname: LOOPBACK }, echo);
  assertEquals(again.address.port, server.address.port);
  assertEquals(await call(conn, "goes on"), "goes on");
  assertEquals(stopped.state, "pending");
  await conn.close();
  assertEquals(await server.stop(), { finished: 1, killed: 0 });
  assertEquals([stopped.value, server.connections], [{ finished: 1, killed: 0 }, 0]);
});

test("stop() of an idle server resolves, any number of times", async () => {
  const { server } = await serving(echo);
  const none = { finished: 0, killed: 0 };
  assertEquals(await Promise.all([server.stop(), server.stop({ timeout: 0 })]), [none, none]);
  assertEquals(await server.stop({ timeout: 1000 }), none);
  await assertRejects(
    () =>
      server.stop({ signal: AbortSignal.abort("enough") }).catch((it) => {
        throw new Error(it);
      }),
    Error,
    "enough",
  );
  await server[Symbol.asyncDispose]();
});

test("stop() kills what is left after its timeout, and waits for clean-up", async () => {
  const log: string[] = [];
  const { server, began, client } = await serving(async (conn) => {
    try {
      for await (const chunk of conn) await conn.write(chunk);
      log.push("finished");
    } catch (error) {
      await shield(() => sleep(20));
      log.push(`killed ${error instanceof KilledError} ${conn.closed}`);
      throw error;
    }
  });
  const one = await client(), two = await client(), three = await client();
  for (const conn of [one, two, three]) await call(conn, "hello");
  for (let i = 0; i < 3; i++) await began.receive();
  const stopped = server.stop({ timeout: 300 });
  one.closeWrite();
  assertEquals(await readAll(one), "");
  assertEquals(await stopped, { finished: 1, killed: 2 });
  assertEquals(log, ["finished", "killed true true", "killed true true"]);
  await gone(two);
  await gone(three);
  for (const conn of [one, two, three]) await conn.close();
});

test("a second stop() joins the first, and a shorter timeout tightens it", async () => {
  const { server, began, client } = await serving(echo);
  const conn = await client();
  await call(conn, "hello");
  await began.receive();
  const slow = server.stop(), slower = server.stop({ timeout: 60_000 });
  await idle();
  const quick = server.stop({ timeout: 10 });
  const killed = { finished: 0, killed: 1 };
  assertEquals(await Promise.all([slow, slower, quick]), [killed, killed, killed]);
  await conn.close();
});

test("a later stop() with a longer timeout does not put off the first", async () => {
  const { server, began, client } = await serving(echo);
  const conn = await client();
  await call(conn, "hello");
  await began.receive();
  const quick = server.stop({ timeout: 10 });
  assertEquals(await server.stop({ timeout: 60_000 }), { finished: 0, killed: 1 });
  assertEquals(await quick, { finished: 0, killed: 1 });
  await conn.close();
});

test("stop() refuses wrong options, and goes on then", async () => {
  const { server, client } = await serving(echo);
  await using _server = server;
  await assertRejects(
    () => server.stop({ timeout: -1 }),
    RangeError,
    "Cannot stop server: timeout",
  );
  await assertRejects(() => server.stop({ signal: {} as never }), TypeError, "signal must be");
  await assertRejects(() => server.stop(5 as never), TypeError, "options must be");
  assertEquals(server.closed, false);
  await using conn = await client();
  assertEquals(await call(conn, "hello"), "hello");
});

test("a signal ends the wait of stop(), and the stop goes on", async () => {
  const { server, began, client } = await serving(echo);
  const conn = await client();
  await call(conn, "hello");
  const { task } = await began.receive();
  const controller = new AbortController();
  const stopped = server.stop({ timeout: 100, signal: controller.signal });
  controller.abort("enough");
  assertEquals(await rejection(stopped), "enough");
  assertEquals(server.closed, true);
  await task.join();
  assertEquals(task.state, "killed");
  await conn.close();
});

test("stop() works in a killed task, out of reach of the kill", async () => {
  const { server, began, client } = await serving(echo);
  const conn = await client();
  await call(conn, "hello");
  await began.receive();
  const stopped = await inKilledTask(() => server.stop({ timeout: 10 }));
  assertEquals(stopped, { finished: 0, killed: 1 });
  await conn.close();
});

test("stop() from a handler waits for the others, and neither kills its caller nor waits for it", async () => {
  const counts = gate<unknown>();
  const { server, began, client } = await serving(async (conn) => {
    for await (const line of conn.lines()) {
      if (line === "stop") {
        counts.open(await server.stop({ timeout: 50 }));
        await conn.write("stopped\n");
        return;
      }
    }
  });
  const boss = await client(), other = await client();
  await boss.write("hello\n");
  await other.write("hello\n");
  await began.receive();
  await began.receive();
  await boss.write("stop\n");
  assertEquals(await counts.promise, { finished: 0, killed: 1 });
  assertEquals(await readAll(boss), "stopped\n");
  assertEquals(await server.stop(), { finished: 1, killed: 1 });
  await gone(other);
  await boss.close();
  await other.close();
});

test("handlers that all stop their server do not wait for each other", async () => {
  const { server, began, client } = await serving(async (conn) => {
    await conn.read();
    await server.stop();
    await conn.write("stopped");
  });
  const clients = [await client(), await client(), await client()];
  for (let i = 0; i < 3; i++) await began.receive();
  for (const conn of clients) await conn.write("stop");
  for (const conn of clients) assertEquals(await readAll(conn), "stopped");
  assertEquals(await server.stop(), { finished: 3, killed: 0 });
  for (const conn of clients) await conn.close();
});

test("a stop from outside kills a handler that waits in its own", async () => {
  const { server, began, client } = await serving(async (conn) => {
    if (await conn.read() !== undefined) await server.stop();
    await sleep(60_000);
  });
  const one = await client(), two = await client();
  await one.write("stop");
  for (let i = 0; i < 2; i++) await began.receive();
  while (!server.closed) await sleep(1);
  assertEquals(await server.stop({ timeout: 0 }), { finished: 0, killed: 2 });
  for (const conn of [one, two]) await conn.close();
});

test("await using kills the handlers and waits for their clean-up", async () => {
  const log: string[] = [];
  let conn: Conn;
  {
    const { server, began, client } = await serving(() =>
      sleep(60_000).finally(() => shield(() => sleep(10))).finally(() => log.push("clean"))
    );
    await using _server = server;
    conn = await client();
    await began.receive();
    await idle();
  }
  assertEquals(log, ["clean"]);
  await gone(conn);
  await conn.close();
});

test("an abort of the signal stops the server and kills its handlers with the reason", async () => {
  const controller = new AbortController();
  const { server, began, client } = await serving(echo, { signal: controller.signal });
  const conn = await client();
  await call(conn, "hello");
  const { task } = await began.receive();
  const reason = new Error("enough");
  controller.abort(reason);
  assertEquals(server.closed, true);
  assertStrictEquals(await rejection(task.get()), reason);
  assertEquals(task.state, "killed");
  assertEquals(await server.stop(), { finished: 0, killed: 1 });
  await gone(conn);
  await conn.close();
});

test("a stopped server leaves no listener on its signal", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = function (...args: Parameters<typeof addEventListener>) {
    listeners++;
    addEventListener.apply(signal, args);
  } as typeof addEventListener;
  signal.removeEventListener = function (...args: Parameters<typeof removeEventListener>) {
    listeners--;
    removeEventListener.apply(signal, args);
  } as typeof removeEventListener;
  const { server } = await serving(echo, { signal });
  assertEquals(listeners, 1);
  await server.stop();
  assertEquals(listeners, 0);
});

test("a connection that arrives in the tick of a stop is not served", async () => {
  for (let i = 0; i < 20; i++) {
    let served = 0;
    const server = await serve({ port: 0, hostname: LOOPBACK }, () => void served++);
    const connecting = connect({ port: server.address.port! });
    if (i % 2 === 1) await idle();
    const stopped = server.stop({ timeout: 0 });
    const conn = await connecting.catch(() => undefined);
    await stopped;
    if (conn !== undefined) {
      await gone(conn);
      await conn.close();
    }
    assertEquals(server.connections, 0);
  }
});

// -- Over wires that are no sockets: what is asked of the host, and exactly when --

/** A server whose peers are the test. */
function faking(
  handler: ConnHandler,
  options: ServeOptions = {},
): { server: Server; wire: FakeListener } {
  const { listener, wire } = fakeListener({ backlog: 10_000, onError: options.onError });
  return { server: createServer(listener, options, handler), wire };
}

test("failed accepts are told to onError and tried again after a pause, without end", async () => {
  using time = new ManualClock();
  const told: unknown[] = [];
  const { server, wire } = faking(echo, { onError: (...args) => told.push(args) });
  await idle();
  assertEquals(wire.asked, 1);
  for (const [at, ms] of [10, 20, 40, 80, 160, 320, 640, 1000, 1000].entries()) {
    wire.fail("EMFILE");
    time.advance(ms - 1);
    await idle();
    assertEquals(wire.asked, at + 1, "asks too early");
    time.advance(1);
    assertEquals(wire.asked, at + 2);
  }
  assertEquals(told.length, 9);
  const [error, conn] = told[0] as [BrokenError, unknown];
  assertEquals([error.code, conn, server.closed], ["EMFILE", undefined, false]);
  const peer = wire.give();
  await idle();
  peer.give("hello");
  await idle();
  assertEquals([peer.text, wire.asked], ["hello", 11]);
  wire.fail("EMFILE");
  time.advance(10);
  assertEquals(wire.asked, 12, "the first pause is short again");
  await server.stop({ timeout: 0 });
});

test("a stop while a pause lasts leaves no timer", async () => {
  using time = new ManualClock();
  const { server, wire } = faking(echo);
  await idle();
  wire.fail("EMFILE");
  await server.stop();
  assertEquals([time.size, wire.closed], [0, true]);
});

test("maxConnections and a full pool do not even ask for a connection", async () => {
  for (const options of [{ maxConnections: 2 }, { pool: new Pool(2) }]) {
    const { server, wire } = faking(echo, options);
    await idle();
    const first = wire.give();
    await idle();
    assertEquals([wire.asked, server.connections], [2, 1]);
    wire.give();
    await idle();
    assertEquals([wire.asked, server.connections], [2, 2]);
    first.giveEnd();
    await idle();
    assertEquals([wire.asked, server.connections], [3, 1]);
    await server.stop({ timeout: 0 });
  }
});

test("a pool that fills up after the accept makes one connection wait, unread", async () => {
  const pool = new Pool(1), open = gate();
  const { server, wire } = faking(echo, { pool });
  await idle();
  await pool.spawn(() => open.promise);
  const peer = wire.give();
  await idle();
  assertEquals([pool.waiting, server.connections, wire.asked], [1, 0, 1]);
  open.open();
  await idle();
  peer.give("hello");
  await idle();
  assertEquals([peer.text, server.connections], ["hello", 1]);
  await server.stop({ timeout: 0 });
  await pool.join();
});

test("a stop destroys a connection that waits for its place", async () => {
  const pool = new Pool(1), open = gate();
  const { server, wire } = faking(echo, { pool });
  await idle();
  await pool.spawn(() => open.promise);
  const peer = wire.give();
  await idle();
  assertEquals(await server.stop(), { finished: 0, killed: 0 });
  assertEquals([peer.calls.at(-1), pool.waiting], ["destroy", 0]);
  open.open();
  await pool.join();
});

test("a stop in the tick in which a connection gets its place kills it", async () => {
  const pool = new Pool(1), open = gate();
  const { server, wire } = faking(echo, { pool });
  await idle();
  await pool.spawn(() => open.promise);
  const peer = wire.give();
  await idle();
  let stopped: Promise<unknown> | undefined;
  using _hook = pool.onProgress(() => stopped ??= server.stop({ timeout: 0 }));
  open.open();
  await idle();
  assertEquals(await stopped, { finished: 0, killed: 1 });
  assertEquals([peer.calls.at(-1), pool.running], ["destroy", 0]);
});

test("a handler that is killed before it begins never runs, and its connection is destroyed", async () => {
  const pool = new Pool(1), open = gate();
  let served = 0;
  const { server, wire } = faking(() => void served++, { pool });
  await idle();
  await pool.spawn(() => open.promise);
  const peer = wire.give();
  await idle();
  using _hook = pool.onProgress(() => {
    for (const task of pool) void task.kill();
  });
  open.open();
  await idle();
  assertEquals([peer.calls.at(-1), served, server.connections], ["destroy", 0, 0]);
  await server.stop();
});

test("a stop whose wait was given up leaves no timer when the handlers have ended", async () => {
  using time = new ManualClock();
  const { server, wire } = faking(echo);
  await idle();
  const peer = wire.give();
  await idle();
  const controller = new AbortController();
  const stopped = server.stop({ timeout: 60_000, signal: controller.signal });
  controller.abort("enough");
  assertEquals(await rejection(stopped), "enough");
  assertEquals(time.size, 1);
  peer.giveEnd();
  await idle();
  assertEquals([time.size, server.connections], [0, 0]);
});

test("a stop in the tick in which a connection is handed over destroys it unserved", async () => {
  let served = 0;
  const { server, wire } = faking(() => void served++);
  await idle();
  const peer = wire.give();
  assertEquals(await server.stop(), { finished: 0, killed: 0 });
  assertEquals([peer.calls.at(-1), served], ["destroy", 0]);
});

test("a kill of a handler destroys its connection in the same tick", async () => {
  const tasks: Task[] = [];
  const { server, wire } = faking(() => {
    tasks.push(currentTask()!);
    return sleep(Infinity);
  });
  await idle();
  const peer = wire.give();
  await idle();
  void tasks[0]!.kill();
  assertEquals(peer.calls.at(-1), "destroy");
  await idle();
  assertEquals(server.connections, 0);
  await server.stop();
});

test("a handler that returns ends its output, and closes when the peer ends or pauses", async () => {
  using time = new ManualClock();
  const { server, wire } = faking((conn) => conn.write("bye"));
  await idle();
  const polite = wire.give();
  await idle();
  assertEquals([polite.text, polite.calls.at(-1)], ["bye", "end"]);
  polite.giveEnd();
  await idle();
  assertEquals([polite.calls.at(-1), server.connections], ["close", 0]);

  const talker = wire.give();
  await idle();
  for (let i = 0; i < 3; i++) {
    time.advance(49);
    talker.give("and another thing");
    await idle();
    assertEquals(talker.calls.at(-1), "end");
  }
  time.advance(50);
  talker.give("what came in time, and is seen late");
  await idle();
  assertEquals(talker.calls.at(-1), "end");
  time.advance(50);
  await idle();
  assertEquals([talker.calls.at(-1), server.connections], ["close", 0]);

  const endless = wire.give();
  await idle();
  for (let ms = 0; ms < 5000; ms += 40) {
    assertEquals([endless.calls.at(-1), server.connections], ["end", 1]);
    endless.give("and another thing");
    await idle();
    time.advance(40);
    await idle();
  }
  assertEquals([endless.calls.at(-1), server.connections], ["close", 0]);
  await server.stop();
});

test("idleTimeout has one timer for each connection, and counts from the last byte", async () => {
  using time = new ManualClock();
  const told: unknown[] = [];
  const { server, wire } = faking(echo, { idleTimeout: 300, onError: (it) => told.push(it) });
  await idle();
  const peer = wire.give();
  await idle();
  for (let i = 0; i < 25; i++) { // to 250 ms
    time.advance(10);
    peer.give("x");
    assertEquals(time.size, 1);
  }
  await idle();
  time.advance(299);
  assertEquals([told, peer.calls.includes("destroy")], [[], false]);
  time.advance(1);
  assertEquals(peer.calls.at(-1), "destroy");
  await idle();
  assertInstanceOf(told[0], TimeoutError);
  assertEquals([told.length, time.size, server.connections], [1, 0, 0]);
  await server.stop();
});

test("handshakeTimeout counts from the beginning of the handler, whatever drips in", async () => {
  using time = new ManualClock();
  const told: unknown[] = [];
  const { server, wire } = faking((conn) => conn.lines().next(), {
    handshakeTimeout: 200,
    onError: (it) => told.push(it),
  });
  await idle();
  const slow = wire.give(), quick = wire.give();
  await idle();
  for (let ms = 0; ms < 190; ms += 10) {
    time.advance(10);
    slow.give("x");
  }
  time.advance(9);
  quick.give("in time\n");
  assertEquals(slow.calls.includes("destroy"), false);
  time.advance(1);
  assertEquals([slow.calls.at(-1), quick.calls.includes("destroy")], ["destroy", false]);
  await idle();
  assertEquals([told.length, time.size], [1, 1]); // the pause after the end of the quick one
  quick.giveEnd();
  await idle();
  assertEquals([time.size, server.connections], [0, 0]);
  await server.stop();
});

test("handshakeTimeout gives the same time again to a handler that did not read", async () => {
  using time = new ManualClock();
  const { server, wire } = faking(async (conn) => {
    await sleep(250);
    await conn.read();
  }, { handshakeTimeout: 200 });
  await idle();
  const peer = wire.give();
  await idle();
  for (let ms = 0; ms < 590; ms += 10) {
    time.advance(10);
    await idle();
    assertEquals(peer.calls.includes("destroy"), false);
  }
  time.advance(10);
  assertEquals(peer.calls.at(-1), "destroy");
  await idle();
  assertEquals(server.connections, 0);
  await server.stop();
});

test("limits end with the handler, and with a connection that was closed by it", async () => {
  using time = new ManualClock();
  const { server, wire } = faking(async (conn) => {
    conn.destroy();
    await sleep(1000);
  }, { handshakeTimeout: 200, idleTimeout: 200, onError: () => {} });
  await idle();
  wire.give();
  await idle();
  time.advance(500);
  await idle();
  assertEquals([time.size, server.connections], [1, 1]); // its sleep
  time.advance(500);
  await idle();
  assertEquals([time.size, server.connections], [0, 0]);
  await server.stop();
});

test("ten thousand connections end without a trace", async () => {
  using time = new ManualClock();
  const { server, wire } = faking(echo, { idleTimeout: 1000, handshakeTimeout: 1000 });
  await idle();
  const peers = Array.from(
    { length: 10_000 },
    (_, i) => wire.give(new FakeWire({ hostname: "10.0.0.2", port: i })),
  );
  await idle();
  assertEquals([server.connections, time.size], [10_000, 20_000]);
  for (const peer of peers) peer.give("hello");
  await idle();
  assertEquals([peers.every(({ text }) => text === "hello"), time.size], [true, 10_000]);
  for (const peer of peers.slice(0, 5000)) peer.giveEnd();
  await idle();
  assertEquals([server.connections, time.size], [5000, 5000]);
  assertEquals(await server.stop({ timeout: 0 }), { finished: 0, killed: 5000 });
  assertEquals(time.size, 0);
});

// -- What is seen --

test("dump() shows the server, its connections, and who holds up a stop", async () => {
  const { server, began, client } = await serving(echo, { name: "kitchen", maxConnections: 1 });
  const conn = await client();
  await call(conn, "hello");
  const { task } = await began.receive();
  await idle();
  const text = () => dump().toString().replaceAll(/#\d+/g, "#n");
  const held = `held by Task ${JSON.stringify(task.name)} (#n)`;
  assertEquals(
    text(),
    `2 tasks, 0 waits outside of tasks
  Task "serve kitchen" (#n, running): wait for a place on Server "kitchen", ${held}
    Task "${task.name}" (#n, running): read on Conn "${task.name.slice(5)}"`,
  );
  const stopper = spawn({ name: "main" }, () => server.stop());
  await idle();
  assert(
    text().includes(`"main" (#n, running): stop on Server "kitchen", shielded, ${held}`),
    text(),
  );
  await conn.close();
  await stopper;
});

test("the wait of a write after the end of a server is refused like any other", async () => {
  const { server, began, client } = await serving((conn) => conn.read());
  const conn = await client();
  const { conn: served } = await began.receive();
  await server.stop({ timeout: 0 });
  await assertRejects(() => served.write("late"), ConnClosedError);
  await conn.close();
});
