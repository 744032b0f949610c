// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// What only real sockets can show, on the sockets of whatever host this runs on.

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { once } from "node:events";
import { createConnection } from "node:net";
import process from "node:process";
import { test } from "node:test";
import { BrokenError, ConnClosedError, TimeoutError } from "../../src/errors.ts";
import type { Conn } from "../../src/net/conn.ts";
import { connect } from "../../src/net/connect.ts";
import { listen } from "../../src/net/listener.ts";
import { scope } from "../../src/scope.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { CERT, KEY } from "./certificate.ts";
import { bytesOf, textOf } from "./fake_wire.ts";
import { ON_DENO, type SocketPair, socketPair, TemporaryPath } from "./sockets.ts";

noLeaks();

const KIB = 1024;
const MIB = 1024 * KIB;

/** A length that divides no buffer size, so that a lost or doubled piece shows. */
const PERIOD = 65_521;
const PATTERN = Uint8Array.from({ length: PERIOD }, (_, i) => (i * 31 + (i >> 8)) & 255);

/** Writes `total` bytes of the pattern, then the end. */
async function sendPattern(conn: Conn, total: number, from = 0): Promise<void> {
  while (from < total) {
    const at = from % PERIOD;
    const end = Math.min(PERIOD, at + total - from);
    // A buffer that is used again: what was resolved may be changed.
    await conn.write(scratch(conn, PATTERN.subarray(at, end)));
    from += end - at;
  }
  conn.closeWrite();
}

const scratches = new WeakMap<Conn, Uint8Array>();

function scratch(conn: Conn, bytes: Uint8Array): Uint8Array {
  let buffer = scratches.get(conn);
  if (buffer === undefined) scratches.set(conn, buffer = new Uint8Array(PERIOD));
  buffer.fill(0);
  buffer.set(bytes);
  return buffer.subarray(0, bytes.length);
}

/** Reads to the end, checks each byte, and gives how many there were. */
async function readPattern(conn: Conn, pause: () => Promise<void> | void): Promise<number> {
  let total = 0, most = 0;
  for await (const chunk of conn) {
    for (let i = 0; i < chunk.length; i++) {
      if (chunk[i] !== PATTERN[(total + i) % PERIOD]) {
        throw new Error(`byte ${total + i} is wrong`);
      }
    }
    total += chunk.length;
    most = Math.max(most, conn.buffered);
    await pause();
  }
  assert(most <= 256 * KIB, `${most} bytes were buffered`);
  return total;
}

test("a transfer of 10 MiB each way at once is byte-exact with slow readers", async () => {
  await using pair = await socketPair();
  const { client, server } = pair;
  let turns = 0;
  const slow = (): Promise<void> | void => ++turns % 8 === 0 ? sleep(1) : sleep(0);
  const totals = await Promise.all([
    readPattern(client, slow),
    readPattern(server, slow),
    sendPattern(client, 10 * MIB),
    sendPattern(server, 10 * MIB),
  ]);
  assertEquals(totals.slice(0, 2), [10 * MIB, 10 * MIB]);
  assertEquals([client.bytesRead, client.bytesWritten], [10 * MIB, 10 * MIB]);
});

test("a writer parks when nobody reads, and all it wrote arrives when somebody does", async () => {
  await using pair = await socketPair();
  const { client, server } = pair;
  let sent = 0;
  const stalled = async (): Promise<boolean> => {
    const piece = PATTERN.slice(sent % PERIOD);
    try {
      sent += piece.length;
      await client.write(piece, { timeout: 250 });
      return false;
    } catch (error) {
      assertInstanceOf(error, TimeoutError);
      return true;
    }
  };
  while (!await stalled()) assert(sent < 64 * MIB, "the writer never parks");
  assert(server.buffered <= 256 * KIB, `${server.buffered} bytes are buffered`);
  assert(server.buffered > 64 * KIB);
  client.closeWrite();
  assertEquals(await readPattern(server, () => {}), sent);
});

test("a small write that the system has not taken is not changed by its caller", async () => {
  await using pair = await socketPair();
  const { client, server } = pair;
  const length = 8 * KIB, scratch = new Uint8Array(length);
  // Pieces of one value each, none of them 0, written from a buffer that is used again.
  const valueOf = (piece: number): number => piece % 250 + 1;
  let pieces = 0;
  const send = async (): Promise<boolean> => {
    assert(pieces < 8 * KIB, "the writer never parks");
    scratch.fill(valueOf(pieces++));
    const done = await client.write(scratch, { timeout: 250 }).then(() => true, () => false);
    if (done) scratch.fill(0);
    return done;
  };
  while (await send());
  // The last one is still the host's; those behind it are written from another buffer.
  const others = new Uint8Array(length);
  for (let i = 0; i < 4; i++) {
    others.fill(valueOf(pieces++));
    const sent = outcome(client.write(others));
    await idle();
    if (sent.state === "resolved") others.fill(0);
    else break;
  }
  client.closeWrite();
  let total = 0;
  for await (const chunk of server) {
    for (const byte of chunk) {
      if (byte !== valueOf(Math.floor(total++ / length))) throw new Error(`byte ${total} is wrong`);
    }
  }
  assertEquals(total, pieces * length);
});

test("a peer whose socket takes no options does not end the accepting of others", {
  skip: ON_DENO ? false : "only Deno says so",
}, async () => {
  const deno =
    (globalThis as unknown as { Deno: { listen: (options: object) => DenoListener } }).Deno;
  const { listen: host } = deno;
  let refused = 0;
  deno.listen = (options) => {
    const listener = host(options), { accept } = listener;
    listener.accept = async () =>
      Object.assign(await accept.call(listener), {
        setNoDelay() {
          refused++;
          throw new Error("Invalid argument (os error 22)");
        },
      });
    return listener;
  };
  const listener = await listen({ hostname: "127.0.0.1" });
  deno.listen = host;
  for (let i = 1; i <= 2; i++) {
    const accepting = listener.accept();
    await using client = await connect({ port: listener.address.port });
    await using server = await accepting;
    await client.write("a");
    assertEquals([textOf(await server.readExactly(1)), refused], ["a", i]);
  }
  await listener.close();
});

interface DenoListener {
  accept(): Promise<object>;
}

test("half-closing one way leaves the other way open", async () => {
  await using pair = await socketPair();
  const { client, server } = pair;
  client.closeWrite();
  assertEquals(await server.read(), undefined);
  assertEquals([server.ended, server.closed], [true, false]);
  await idle();
  await server.write("still\n");
  assertEquals((await client.lines().next()).value, "still");
  server.closeWrite();
  assertEquals(await client.read(), undefined);
  await assertRejects(() => client.write("a"), ConnClosedError);
});

test("what comes behind a paused reader after closeWrite() is read to the end", async () => {
  await using listener = await listen({ hostname: "127.0.0.1" });
  const peer = createConnection({
    host: "127.0.0.1",
    port: listener.address.port!,
    allowHalfOpen: true,
  });
  await once(peer, "connect");
  await using conn = await listener.accept();
  conn.closeWrite();
  for (let i = 0; i < 8; i++) peer.write(PATTERN);
  peer.end();
  while (conn.buffered <= 64 * KIB) await sleep(1);
  await sleep(50);
  assertEquals(await readPattern(conn, () => {}), 8 * PERIOD);
  peer.destroy();
});

test("bytes and the end that come before accept() are there after it", async () => {
  await using listener = await listen({ hostname: "127.0.0.1" });
  const peer = createConnection({
    host: "127.0.0.1",
    port: listener.address.port!,
    allowHalfOpen: true,
  });
  await once(peer, "connect");
  peer.end("ab");
  await sleep(20);
  await using conn = await listener.accept();
  assertEquals(textOf(await conn.readExactly(2)), "ab");
  assertEquals(await conn.read(), undefined);
  await conn.write("c");
  const [answer] = await once(peer, "data");
  assertEquals(String(answer), "c");
  peer.destroy();
});

test("a connection that nobody accepts holds its peer back", async () => {
  await using listener = await listen({ hostname: "127.0.0.1" });
  const peer = createConnection({ host: "127.0.0.1", port: listener.address.port! });
  peer.on("error", () => {});
  await once(peer, "connect");
  for (let i = 0; i < 32; i++) peer.write(new Uint8Array(MIB));
  await sleep(200);
  assert(peer.writableLength >= 16 * MIB, `${peer.writableLength} bytes are left`);
  peer.destroy();
});

test("a writer that is held back does not start a paused reader", async () => {
  await using listener = await listen({ hostname: "127.0.0.1" });
  const peer = createConnection({ host: "127.0.0.1", port: listener.address.port! });
  peer.on("error", () => {});
  await once(peer, "connect");
  await using conn = await listener.accept();
  // Nobody reads on either side.
  const flood = new Uint8Array(32 * MIB);
  peer.write(flood);
  while (conn.buffered <= 64 * KIB) await sleep(1);
  const writing = rejection(conn.write(flood));
  await sleep(200);
  assert(conn.buffered <= 4 * MIB, `${conn.buffered} bytes are buffered`);
  conn.destroy();
  assertInstanceOf(await writing, ConnClosedError);
  peer.destroy();
});

test("closeWrite() and close() come after all that was written", async () => {
  for (const how of ["closeWrite", "close"] as const) {
    await using pair = await socketPair();
    const { client, server } = pair;
    const big = PATTERN.slice(), writes: Promise<void>[] = [];
    for (let i = 0; i < 100; i++) writes.push(client.write(big));
    const closing = client[how]();
    assertEquals(await readPattern(server, () => {}), 100 * PERIOD);
    await Promise.all(writes);
    await closing;
  }
});

test("close() while a read waits ends it, and the peer reads the end", async () => {
  await using pair = await socketPair();
  const { client, server } = pair;
  const read = rejection(client.read());
  await client.close();
  assertInstanceOf(await read, ConnClosedError);
  assertEquals(await server.read(), undefined);
});

test("a peer that resets ends the connection after what came before", async () => {
  for (const read of ["early", "late"] as const) {
    await using listener = await listen({ hostname: "127.0.0.1" });
    const peer = createConnection({ host: "127.0.0.1", port: listener.address.port! });
    await once(peer, "connect");
    await using conn = await listener.accept();
    peer.write("ab");
    assertEquals(textOf(await conn.readExactly(1)), "a");
    const waiting = read === "early" ? rejection(conn.readExactly(2)) : undefined;
    peer.resetAndDestroy();
    if (waiting !== undefined) assertEquals((await waiting as BrokenError).code, "ECONNRESET");
    assertEquals(textOf(await conn.read()), "b");
    const error = await assertRejects(() => conn.read(), BrokenError);
    assertEquals(error.code, "ECONNRESET");
    assert(conn.closed);
    await assertRejects(() => conn.write("a"), BrokenError);
    await conn.close();
  }
});

test("a peer that resets behind a paused reader loses nothing of what had come", async () => {
  await using listener = await listen({ hostname: "127.0.0.1" });
  const peer = createConnection({ host: "127.0.0.1", port: listener.address.port! });
  await once(peer, "connect");
  await using conn = await listener.accept();
  const sent = 128 * KIB;
  await new Promise<void>((resolve) => {
    peer.write(PATTERN, () => {});
    for (let at = PERIOD; at < sent; at += PERIOD) {
      peer.write(PATTERN.subarray(0, Math.min(PERIOD, sent - at)), () => {
        if (at + PERIOD >= sent) resolve();
      });
    }
  });
  // Paused by now, with bytes in every buffer on the way.
  while (conn.buffered <= 64 * KIB) await sleep(1);
  await sleep(50);
  peer.resetAndDestroy();
  await sleep(50);
  let total = 0;
  const error = await assertRejects(async () => {
    for (;;) {
      const chunk = (await conn.read())!;
      for (let i = 0; i < chunk.length; i++) {
        assert(chunk[i] === PATTERN[(total + i) % PERIOD], `byte ${total + i} is wrong`);
      }
      total += chunk.length;
    }
  }, BrokenError);
  assertEquals(error.code, "ECONNRESET");
  assertEquals(total, sent);
});

// Only Node keeps bytes of a paused socket in a buffer of its own.
const BUFFERS = !ON_DENO && process.versions.bun === undefined;

test("a write that breaks behind a paused reader loses nothing of what the host held", {
  skip: !BUFFERS,
}, async () => {
  await using listener = await listen({ hostname: "127.0.0.1" });
  const peer = createConnection({ host: "127.0.0.1", port: listener.address.port! });
  await once(peer, "connect");
  await using conn = await listener.accept();
  for (let i = 0; i < 8; i++) peer.write(PATTERN);
  while (conn.buffered <= 64 * KIB) await sleep(1);
  await sleep(50);
  const { buffered } = conn;
  peer.resetAndDestroy();
  await assertRejects(async () => {
    for (;;) {
      await conn.write("a");
      await sleep(1);
    }
  }, BrokenError);
  assert(conn.buffered > buffered, `${conn.buffered} bytes are buffered`);
  await conn.readExactly(conn.buffered);
  await assertRejects(() => conn.read(), BrokenError);
});

test("writing to a peer that is gone becomes a BrokenError", async () => {
  await using pair = await socketPair();
  const { client, server } = pair;
  await server.close();
  const error = await assertRejects(async () => {
    for (;;) {
      await client.write("a");
      await sleep(1);
    }
  }, BrokenError);
  assert(["ECONNRESET", "EPIPE"].includes(error.code!), error.code);
});

test("a kill of the task that reads or writes frees the socket at once", async () => {
  for (const verb of ["read", "write"] as const) {
    await using pair = await socketPair();
    const { client, server } = pair;
    const task = spawn(async () => {
      if (verb === "read") await client.read();
      else for (;;) await client.write(PATTERN);
    });
    if (verb === "write") await sleep(100);
    else await idle();
    await task.kill();
    assertEquals([task.state, client.closed], ["killed", true]);
    // The peer sees it.
    await assertRejects(async () => {
      for await (const _ of server);
      throw new BrokenError("the end");
    }, BrokenError);
  }
});

test("a read that is cancelled just as bytes come loses none, many times", async () => {
  await using pair = await socketPair();
  const { client, server } = pair;
  const count = 300;
  const sending = (async () => {
    for (let i = 0; i < count; i++) {
      await server.write(`${i}\n`);
      if (i % 3 === 0) await sleep(0);
    }
    server.closeWrite();
  })();
  let text = "", cancelled = 0;
  for (let ended = false; !ended;) {
    const controller = new AbortController();
    const read = outcome(client.read({ signal: controller.signal }));
    await sleep(0);
    controller.abort("enough");
    await idle();
    if (read.state === "rejected") cancelled++;
    else if (read.value === undefined) ended = true;
    else text += textOf(read.value);
  }
  await sending;
  assertEquals(text, Array.from({ length: count }, (_, i) => `${i}\n`).join(""));
  assert(cancelled >= 0);
});

test("a Unix socket carries bytes both ways", async () => {
  using place = new TemporaryPath();
  await using pair = await socketPair({ path: place.path });
  const { client, server } = pair;
  const totals = await Promise.all([
    readPattern(client, () => {}),
    readPattern(server, () => {}),
    sendPattern(client, MIB),
    sendPattern(server, MIB),
  ]);
  assertEquals(totals.slice(0, 2), [MIB, MIB]);
});

test("a hundred connections at once keep their bytes apart", async () => {
  await using listener = await listen({ hostname: "127.0.0.1" });
  const serving = scope(async (s) => {
    for await (const conn of listener) {
      s.spawn(async () => {
        await using echo = conn;
        for await (const chunk of echo) await echo.write(chunk);
      });
    }
  });
  await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    await using conn = await connect({ port: listener.address.port });
    for (let j = 0; j < 10; j++) {
      const sent = `client ${i} says ${j}`;
      await conn.write(sent);
      assertEquals(textOf(await conn.readExactly(sent.length)), sent);
    }
  }));
  await listener.close();
  await serving;
});

// -- TLS --

async function securePair(): Promise<SocketPair> {
  const listener = await listen({ hostname: "127.0.0.1", tls: { cert: CERT, key: KEY } });
  const accepting = listener.accept();
  const connecting = connect({
    hostname: "localhost",
    port: listener.address.port,
    tls: { ca: CERT },
  });
  const server = await accepting;
  const client = await connecting;
  await listener.close();
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.destroy();
      server.destroy();
      await Promise.all([client.close(), server.close()]);
    },
  };
}

test("TLS carries bytes both ways, and half-closes", async () => {
  await using pair = await securePair();
  const { client, server } = pair;
  await client.write("Ann\n");
  assertEquals((await server.lines().next()).value, "Ann");
  const totals = await Promise.all([
    readPattern(client, () => {}),
    readPattern(server, () => {}),
    sendPattern(client, MIB),
    sendPattern(server, MIB),
  ]);
  assertEquals(totals.slice(0, 2), [MIB, MIB]);
});

test("TLS is closed and killed as a plain connection is", async () => {
  {
    await using pair = await securePair();
    const writing = pair.client.write(bytesOf("last words"));
    await pair.client.close();
    await writing;
    assertEquals(textOf(await pair.server.readExactly(10)), "last words");
    assertEquals(await pair.server.read(), undefined);
  }
  await using pair = await securePair();
  const task = spawn(() => pair.client.read());
  await idle();
  await task.kill();
  // Without a farewell it is an end, or a broken connection.
  assertEquals(await pair.server.read().catch(() => undefined), undefined);
});

test("TLS with a certificate that nobody vouches for is a BrokenError", async () => {
  await using listener = await listen({ hostname: "127.0.0.1", tls: { cert: CERT, key: KEY } });
  // Some hosts shake hands only with whom was accepted.
  const accepting = listener.accept().then((conn) => conn.read()).catch(() => {});
  const error = await rejection(
    connect({ hostname: "localhost", port: listener.address.port, tls: {} }),
  );
  assertInstanceOf(error, BrokenError);
  await listener.close();
  await accepting;
});

test("TLS listener survives a peer that talks nonsense, and frees one that never speaks", async () => {
  const told: unknown[] = [];
  const listener = await listen({
    hostname: "127.0.0.1",
    tls: { cert: CERT, key: KEY },
    onError: (error) => told.push(error),
  });
  const { port } = listener.address;
  const accepting = listener.accept();
  await using odd = await connect({ port });
  await odd.write("GET / HTTP/1.0\r\n\r\n");
  // Some hosts give a connection before its handshake, which is then made by the first read.
  if (ON_DENO) await assertRejects(async () => (await accepting).read(), BrokenError);
  await odd.readExactly(1 << 20).catch(() => {});
  await using silent = await connect({ port });
  if (ON_DENO) (await listener.accept()).destroy();
  const connecting = connect({ hostname: "localhost", port, tls: { ca: CERT } });
  await using server = await (ON_DENO ? listener.accept() : accepting);
  await using good = await connecting;
  await good.write("a\n");
  assertEquals((await server.lines().next()).value, "a");
  await listener.close();
  if (!ON_DENO) assertEquals(await silent.read().catch(() => undefined), undefined);
  assert(told.every((error) => error instanceof BrokenError));
});
