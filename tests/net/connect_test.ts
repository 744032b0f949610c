// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { dump } from "../../src/dump.ts";
import { BrokenError, KilledError, TimeoutError } from "../../src/errors.ts";
import type { Conn } from "../../src/net/conn.ts";
import { connect, type ConnectOptions } from "../../src/net/connect.ts";
import { listen } from "../../src/net/listener.ts";
import { spawn } from "../../src/spawn.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { rejection } from "../outcome.ts";
import { assertRefuses } from "../waits.ts";
import { ON_DENO, silentHost, socketPair, TemporaryPath } from "./sockets.ts";

noLeaks();

async function codeOf(options: ConnectOptions): Promise<string | undefined> {
  const error = await rejection(connect({ timeout: 20_000, ...options }));
  assertInstanceOf(error, BrokenError);
  assert(error.message.startsWith("Cannot connect to "), error.message);
  assertInstanceOf(error.cause, Error);
  return error.code;
}

test("connect() gives a connection that knows both ends", async () => {
  await using pair = await socketPair();
  const { client, server } = pair;
  assertEquals(client.remoteAddress, server.localAddress);
  assertEquals(server.remoteAddress, client.localAddress);
  assertEquals(client.remoteAddress.hostname, "127.0.0.1");
  assertEquals(client.name, `127.0.0.1:${client.remoteAddress.port}`);
});

test("connect() takes the name of a host", async () => {
  await using listener = await listen({ hostname: "127.0.0.1" });
  await using client = await connect({ hostname: "localhost", port: listener.address.port });
  await using _server = await listener.accept();
  assertEquals(client.remoteAddress.port, listener.address.port);
});

test("connect() rejects a port where nobody listens", async () => {
  const listener = await listen({ hostname: "127.0.0.1" });
  const { port } = listener.address;
  await listener.close();
  assertEquals(await codeOf({ port }), "ECONNREFUSED");
});

test("connect() rejects an unknown host", async () => {
  assertEquals(await codeOf({ port: 1, hostname: "nobody.invalid" }), "ENOTFOUND");
});

test("connect() rejects a path that is not there, and one that is no socket", async () => {
  using place = new TemporaryPath();
  assertEquals(await codeOf({ path: place.path }), "ENOENT");
  writeFileSync(place.path, "");
  assertEquals(await codeOf({ path: place.path }), "ECONNREFUSED");
});

test("connect() refuses wrong options before any effect", async () => {
  await assertRefuses((options) => connect({ port: 1, ...options }));
  for (const port of [-1, 0, 65536, 1.5, NaN, Infinity]) {
    await assertRejects(() => connect({ port }), RangeError, "from 1 to 65535");
  }
  await assertRejects(() => connect({}), TypeError, "must be given, got neither");
  await assertRejects(() => connect({ port: 1, path: "/a" }), TypeError, "must stand alone");
  await assertRejects(() => connect(undefined as never), TypeError, "options must be an object");
  await assertRejects(() => connect({ port: "1" as never }), TypeError, "port must be a number");
});

test("connect() ends by a kill while it connects, and frees the attempt", async () => {
  await using host = await silentHost();
  const task = spawn({ name: "connects" }, () => connect(host.target));
  await host.came();
  assert(String(dump()).includes("connect to 127.0.0.1:"), String(dump()));
  await task.kill();
  assertInstanceOf(task.error, KilledError);
  // Deno's own TLS keeps such a socket until the peer ends it.
  if (!ON_DENO) await host.left();
});

test("connect() ends by a signal or a timeout while it connects, and frees the attempt", async () => {
  for (const how of ["abort", "timeout"] as const) {
    await using host = await silentHost();
    const controller = new AbortController();
    const connecting = rejection(connect({
      ...host.target,
      ...(how === "abort" ? { signal: controller.signal } : { timeout: 200 }),
    }));
    await host.came();
    controller.abort("enough");
    const error = await connecting;
    if (how === "abort") assertEquals(error, "enough");
    else assertInstanceOf(error, TimeoutError);
    if (!ON_DENO) await host.left();
  }
});

// Only Deno lets connections wait in the system, and only Linux lets one wait there that does not fit.
const FULL = ON_DENO && process.platform === "linux";

test("connect() that is killed before the system has connected leaves no attempt", {
  skip: !FULL,
}, async () => {
  await using listener = await listen({ hostname: "127.0.0.1", backlog: 1 });
  const { port } = listener.address;
  const waiting: Conn[] = [];
  for (let full = false; !full;) {
    assert(waiting.length < 10);
    const conn = await connect({ port, timeout: 300 }).catch((error: unknown) => error);
    if (conn instanceof TimeoutError) full = true;
    else waiting.push(conn as Conn);
  }
  const task = spawn(() => connect({ port }));
  await idle();
  await task.kill();
  for (const conn of waiting) {
    (await listener.accept()).destroy();
    conn.destroy();
  }
  // The system tries again after a second: then an attempt that was left would come.
  await assertRejects(() => listener.accept({ timeout: 1500 }), TimeoutError);
});

test("connect() that is cancelled at once leaves no connection behind", async () => {
  await using listener = await listen({ hostname: "127.0.0.1" });
  const controller = new AbortController();
  const connecting = rejection(
    connect({ port: listener.address.port, signal: controller.signal }),
  );
  controller.abort("enough");
  assertEquals(await connecting, "enough");
  // The system may have connected before it was told: then the peer sees the end at once.
  await using last = await connect({ port: listener.address.port });
  await last.write("last\n");
  for await (const conn of listener) {
    const first = await conn.lines().next().catch(() => ({ value: "reset" }));
    conn.destroy();
    if (first.value === "last") break;
  }
});
