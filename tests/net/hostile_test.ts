// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Clients that break the rules: nothing of them is left, and the others do not notice.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertLess } from "@std/assert";
import { execFileSync, spawn as spawnProcess } from "node:child_process";
import * as net from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { clock } from "../../src/_kernel/clock.ts";
import { Channel } from "../../src/channel.ts";
import { BrokenError, TimeoutError } from "../../src/errors.ts";
import { joinAll } from "../../src/join.ts";
import type { Conn } from "../../src/net/conn.ts";
import { connect } from "../../src/net/connect.ts";
import { listen } from "../../src/net/listener.ts";
import { serve, type ServeOptions, type Server } from "../../src/net/server.ts";
import { Semaphore } from "../../src/semaphore.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import { currentTask, type Task } from "../../src/task.ts";
import { gate } from "../gate.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { ManualClock } from "../manual_clock.ts";
import { CERT, KEY } from "./certificate.ts";
import { ON_DENO } from "./sockets.ts";

noLeaks();

const LOOPBACK = "127.0.0.1";
/** How many bad clients there are of each kind. */
const MANY = 30;
const FRAME = new Uint8Array(5000).map((_, i) => i * 7);

/** A server under attack. */
interface Siege {
  server: Server;
  port: number;
  /** The tasks of all handlers, the good client's first. */
  handlers: Task[];
  /** What the handlers of bad clients ended with. */
  errors: unknown[];
}

/**
 * Lets `attack` have its way with a server that gives frames back, while a good client gets all its
 * replies; then no connection may be left but that one's.
 */
async function besieged(
  attack: (siege: Siege) => Promise<unknown>,
  options: ServeOptions = {},
  handler: (conn: Conn) => unknown = echoFrames,
): Promise<Siege> {
  const handlers: Task[] = [], errors: unknown[] = [];
  const server = await serve({
    port: 0,
    hostname: LOOPBACK,
    onError: (error) => errors.push(error),
    ...options,
  }, (conn) => {
    handlers.push(currentTask()!);
    return handlers.length === 1 ? echoFrames(conn) : handler(conn);
  });
  await using _server = server;
  const siege = { server, port: server.address.port!, handlers, errors };

  let over = false, rounds = 0;
  const started = gate();
  const good = spawn({ name: "good client" }, async () => {
    await using conn = await connect(
      options.tls === undefined
        ? { port: siege.port }
        : { port: siege.port, hostname: "localhost", tls: { ca: CERT } },
    );
    const replies = conn.frames();
    while (!over || rounds < 20) {
      const message = FRAME.map((byte) => byte + rounds);
      await conn.writeFrame(message);
      const { value } = await replies.next();
      assertEquals(value, message, `reply ${rounds} of the good client`);
      if (++rounds === 1) started.open();
      await sleep(1);
    }
  });
  await started.promise;
  const before = rounds;
  await attack(siege);
  await joinAll(handlers.slice(1));
  assertEquals(server.connections, 1, "the good client is left");
  over = true;
  await good;
  assert(rounds > before, "the good client was served meanwhile");
  await joinAll(handlers);
  assertEquals(server.connections, 0);
  assertEquals(await server.stop(), { finished: 0, killed: 0 });
  return siege;
}

async function echoFrames(conn: Conn): Promise<void> {
  for await (const frame of conn.frames()) await conn.writeFrame(frame);
}

/** A client that this library knows nothing of. */
function raw(port: number): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: LOOPBACK, allowHalfOpen: true });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
    socket.on("error", () => {}); // what its host says of its own end
  });
}

/** `count` such clients. */
function raws(port: number, count = MANY): Promise<net.Socket[]> {
  return Promise.all(Array.from({ length: count }, () => raw(port)));
}

/** Resolves when the socket is closed on both sides; what comes is dropped. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    socket.once("close", () => resolve());
    socket.once("end", () => socket.destroy());
    socket.resume();
  });
}

/** All that a socket gives until its end. */
function everything(socket: net.Socket): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    socket.once("end", () => resolve(new Uint8Array(Buffer.concat(chunks))));
    socket.once("error", reject);
  });
}

/** Waits until `siege` has as many handlers, the good client's included. */
async function served({ handlers }: Siege, count: number): Promise<void> {
  while (handlers.length < count) await sleep(1);
}

/** A frame of `FRAME`, and so many bytes of it. */
function frame(length = FRAME.length + 4): Uint8Array {
  const bytes = new Uint8Array(FRAME.length + 4);
  new DataView(bytes.buffer).setUint32(0, FRAME.length);
  bytes.set(FRAME, 4);
  return bytes.subarray(0, length);
}

test("clients that vanish before, in and after a message", async () => {
  const { errors } = await besieged(async (siege) => {
    const sockets = await raws(siege.port);
    await served(siege, MANY + 1);
    for (const [i, socket] of sockets.entries()) {
      socket.write(frame([0, 2, 4, 1000, FRAME.length + 4][i % 5]), () => socket.destroy());
    }
    await Promise.all(sockets.map(closed));
  });
  for (const error of errors) assertInstanceOf(error, BrokenError);
});

test("clients that reset the connection in the middle of a message", async () => {
  const { errors } = await besieged(async (siege) => {
    const sockets = await raws(siege.port);
    await served(siege, MANY + 1);
    for (const socket of sockets) {
      const reset = () =>
        typeof socket.resetAndDestroy === "function" ? socket.resetAndDestroy() : socket.destroy();
      socket.write(frame(1000), reset);
    }
    await Promise.all(sockets.map(closed));
  });
  assertEquals(errors.length, MANY);
  for (const error of errors) assertInstanceOf(error, BrokenError);
  const codes = new Set(errors.map((error) => (error as BrokenError).code));
  assert(
    [...codes].every((code) => code === "ECONNRESET" || code === "UNEXPECTED_EOF"),
    [...codes].join(),
  );
});

test("clients that end their side and keep reading get every reply", async () => {
  const { errors } = await besieged(async (siege) => {
    const sockets = await raws(siege.port);
    const replies = sockets.map(everything);
    for (const socket of sockets) {
      for (let i = 0; i < 5; i++) socket.write(frame());
      socket.end();
    }
    for (const reply of await Promise.all(replies)) {
      assertEquals(reply.length, 5 * (FRAME.length + 4));
      for (let i = 0; i < 5; i++) {
        assertEquals(reply.slice(i * frame().length, (i + 1) * frame().length), frame());
      }
    }
    await Promise.all(sockets.map(closed));
  });
  assertEquals(errors, []);
});

test("clients that never end their side do not keep a connection open after its handler", async () => {
  await besieged(
    async (siege) => {
      const sockets = await raws(siege.port);
      await served(siege, MANY + 1);
      // Nobody closes these, until the server has ended its side and its handlers have ended.
      await joinAll(siege.handlers.slice(1));
      for (const socket of sockets) socket.destroy();
    },
    {},
    (conn) => conn.write("go away"),
  );
});

test("clients that send a byte now and then run out of the handshake time", async () => {
  const { errors } = await besieged(async (siege) => {
    const sockets = await raws(siege.port);
    const start = performance.now();
    const bytes = frame();
    let at = 0;
    const drip = setInterval(() => {
      for (const socket of sockets) socket.write(bytes.subarray(at, at + 1));
      at++;
    }, 20);
    await Promise.all(sockets.map(closed));
    clearInterval(drip);
    assert(at >= 3, "they have sent some bytes");
    assertLess(performance.now() - start, 10_000);
  }, { handshakeTimeout: 200 });
  assertEquals(errors.length, MANY);
  for (const error of errors) assertInstanceOf(error, TimeoutError);
});

test("clients that never send anything are idle for too long", async () => {
  const { errors } = await besieged(async (siege) => {
    await Promise.all((await raws(siege.port)).map(closed));
  }, { idleTimeout: 300 });
  assertEquals(errors.length, MANY);
  for (const error of errors) assertInstanceOf(error, TimeoutError);
});

test("clients that flood and never read are held back, and then idle for too long", async () => {
  const conns: Conn[] = [];
  const { errors } = await besieged(
    async (siege) => {
      const sockets = await raws(siege.port, 4);
      const piece = new Uint8Array(1 << 16);
      await Promise.all(sockets.map(async (socket) => {
        socket.pause();
        const pour = () => {
          while (!socket.destroyed && socket.write(piece));
        };
        socket.on("drain", pour);
        pour();
        await new Promise<void>((resolve) => socket.once("close", () => resolve()));
      }));
    },
    { idleTimeout: 500 },
    async (conn) => {
      conns.push(conn);
      for await (const chunk of conn) await conn.write(chunk);
    },
  );
  assertEquals(errors.length, 4);
  for (const error of errors) assertInstanceOf(error, TimeoutError);
  // What was read fits into the buffers of the two systems and of the host, however long they pour.
  for (const conn of conns) assertLess(conn.bytesRead, 64 << 20);
});

test("clients that send messages which are too long are cut off before anything is allocated", async () => {
  const { errors } = await besieged(async (siege) => {
    const sockets = await raws(siege.port);
    for (const socket of sockets) socket.write(new Uint8Array([255, 255, 255, 255, 1, 2, 3]));
    await Promise.all(sockets.map(closed));
  });
  assertEquals(errors.map((error) => (error as BrokenError).code), Array(MANY).fill("TOO_LARGE"));
});

test("clients that come in hundreds at once are all served, never more than maxConnections", async () => {
  let now = 1, most = 1; // the good client
  const siege = await besieged(
    async ({ port }) => {
      // A few hundred files are open at once by this alone.
      const room = new Semaphore(200);
      await joinAll(
        Array.from({ length: 300 }, () =>
          spawn(() =>
            room.withPermit(async () => {
              const socket = await raw(port);
              const reply = everything(socket);
              socket.write(frame());
              socket.end();
              assertEquals(await reply, frame());
              socket.destroy();
            })
          )),
        { raiseError: true },
      );
    },
    { maxConnections: 10 },
    async (conn) => {
      most = Math.max(most, ++now);
      await echoFrames(conn);
      now--;
    },
  );
  assertEquals([siege.handlers.length, siege.errors], [301, []]);
  assertLess(most, 11);
});

test("a client that does not read the last reply keeps its connection for 5 seconds at most", async () => {
  using time = new ManualClock();
  const closing = gate<{ task: Task }>();
  const server = await serve({ port: 0, hostname: LOOPBACK }, (conn) => {
    void conn.write(new Uint8Array(64 << 20)).catch(() => {});
    closing.open({ task: currentTask()! });
  });
  const socket = await raw(server.address.port!);
  socket.pause();
  const { task } = await closing.promise;
  await idle();
  time.advance(4999);
  await idle();
  assertEquals([task.ready, server.connections], [false, 1]);
  time.advance(1);
  await task.join();
  assertEquals(server.connections, 0);
  await server.stop();
  socket.destroy();
});

test("a client that still sends when the handler has answered gets the whole answer", async () => {
  const answer = new Uint8Array(1 << 20).map((_, i) => i % 251);
  await besieged(
    async (siege) => {
      const sockets = await raws(siege.port, 10);
      await Promise.all(sockets.map(async (socket) => {
        const reply = everything(socket);
        const piece = new Uint8Array(1 << 14);
        const pour = setInterval(() => socket.writable && socket.write(piece), 1);
        try {
          assertEquals((await reply).length, answer.length);
        } finally {
          clearInterval(pour);
          socket.destroy();
        }
      }));
    },
    {},
    async (conn) => {
      await conn.read();
      await conn.write(answer);
    },
  );
});

test("clients that do not finish a TLS handshake run out of the handshake time", async () => {
  const hello = new Uint8Array([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 1, 2, 3]); // the beginning of one
  const { errors } = await besieged(async (siege) => {
    const sockets = await raws(siege.port, 9);
    for (const [i, socket] of sockets.entries()) {
      if (i % 3 === 1) socket.write("GET / HTTP/1.0\r\n\r\n");
      if (i % 3 === 2) socket.write(hello);
    }
    if ("Deno" in globalThis) {
      // It accepts before the handshake, and keeps the socket of one that is broken off until its peer ends.
      await served(siege, 10);
      await joinAll(siege.handlers.slice(1));
      for (const socket of sockets) socket.destroy();
    } else {
      await Promise.all(sockets.map(closed));
    }
  }, { tls: { cert: CERT, key: KEY }, handshakeTimeout: 300 });
  for (const error of errors) {
    assert(error instanceof BrokenError || error instanceof TimeoutError, String(error));
  }
});

test("clients that connect and make no TLS handshake are no more than the backlog", {
  skip: ON_DENO ? "it accepts before the handshake, so they count for maxConnections" : false,
}, async () => {
  const errors: unknown[] = [];
  await using server = await serve({
    hostname: LOOPBACK,
    tls: { cert: CERT, key: KEY },
    backlog: 4,
    onError: (error) => errors.push(error),
  }, echoFrames);
  const port = server.address.port!;
  const six = gate();
  let gone = 0;
  const sockets = Array.from({ length: 10 }, () => {
    const socket = net.connect({ port, host: LOOPBACK });
    socket.on("error", () => {}).once("close", () => ++gone === 6 && six.open());
    return socket.resume();
  });
  await six.promise;
  await using good = await connect({ hostname: "localhost", port, tls: { ca: CERT } });
  await good.writeFrame("hello");
  assertEquals((await good.frames().next()).value?.length, 5);
  assert(gone <= 7, `${gone} were closed, one of them for the good client`);
  for (const socket of sockets) socket.destroy();
  for (const error of errors) assertInstanceOf(error, BrokenError);
});

test("clients that reset before a TLS server has accepted them leave no timer", {
  skip: ON_DENO ? "it has none for them" : false,
}, async () => {
  const before = clock.on.size;
  const listener = await listen({ hostname: LOOPBACK, tls: { cert: CERT, key: KEY } });
  const { port } = listener.address;
  // In a program of their own, for which this one waits without a turn of its own.
  execFileSync(process.execPath, ["-e", RESETS.replace("PORT", String(port))]);
  const accepting = listener.accept();
  const good = await connect({ hostname: "localhost", port, tls: { ca: CERT } });
  (await accepting).destroy();
  good.destroy();
  await listener.close();
  assertEquals(clock.on.size, before);
});

const RESETS = `
  const { connect } = require("node:net");
  let left = 20;
  for (let i = 0; i < 20; i++) {
    const socket = connect(PORT, "${LOOPBACK}", () => socket.resetAndDestroy());
    socket.on("error", () => {}).on("close", () => --left === 0 && process.exit());
  }
`;

test("clients that take the last file of the process are waited out, without spinning", async () => {
  // Elsewhere there is no ulimit; Bun tells nobody, and accepts on its own whenever it can.
  if (process.platform !== "linux" || "Bun" in globalThis) return;
  const child = startLimited(`
    const { serve } = await import(${
    JSON.stringify(new URL("../../src/net/mod.ts", import.meta.url).href)
  });
    let failures = 0;
    const onError = (error, conn) => {
      if (conn === undefined && failures++ === 0) console.log(error.code);
    };
    const server = await serve({ port: 0, hostname: "127.0.0.1", onError }, async (conn) => {
      for await (const line of conn.lines()) await conn.write(line + " " + failures + "\\n");
    });
    console.log(server.address.port);
    setTimeout(() => process.exit(), 50_000); // should nobody end it
  `);
  try {
    const port = Number(await child.line());
    const sockets = await raws(port, 200);
    // A host says that it has no more files, or closes those that it cannot take.
    const dropped = sockets.map((socket) => new Promise((resolve) => socket.once("end", resolve)));
    for (const socket of sockets) socket.resume();
    const seen = gate<unknown>();
    seen.promise.catch(() => {});
    child.line().then(seen.open, seen.fail);
    for (const drop of dropped) void drop.then(() => seen.open("dropped"));
    const sign = await seen.promise;
    assert(sign === "EMFILE" || sign === "dropped", String(sign));
    await sleep(300);
    for (const socket of sockets) socket.destroy();
    const value = await retried(async () => {
      // A host that is still out of files drops this one too.
      await using conn = await connect({ port });
      await conn.write("well?\n");
      return (await conn.lines({ timeout: 5000 }).next()).value!;
    });
    const [, failures] = /^well\? (\d+)$/.exec(value)!;
    assertLess(Number(failures), 50, "it has waited between its attempts");
  } finally {
    child.end();
  }
});

/** What `fn` gives as soon as it does not fail, within 20 seconds. */
async function retried<T>(fn: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + 20_000;;) {
    try {
      return await fn();
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(100);
    }
  }
}

/** Runs a program that may open 100 files, on the runtime of this test. */
function startLimited(program: string): { line(): Promise<string>; end(): void } {
  const runtime = "Deno" in globalThis
    ? ["eval", "--quiet", "--no-check", "--ext=js", program]
    : ["--import", "tsx", "--input-type=module", "-e", program];
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env;
  const child = spawnProcess(
    "/bin/sh",
    ["-c", 'ulimit -n 100; exec "$0" "$@"', process.execPath, ...runtime],
    {
      cwd: fileURLToPath(new URL("../../", import.meta.url)),
      env: { ...env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 60_000,
    },
  );
  const lines = createInterface({ input: child.stdout! });
  const said = new Channel<string>({ capacity: 100 });
  lines.on("line", (line) => said.trySend(line));
  lines.on("close", () => said.close());
  return {
    line: () => said.receive(),
    end: () => {
      child.kill("SIGKILL");
      said.cancel();
    },
  };
}
