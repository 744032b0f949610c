// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { assert, assertEquals, assertLess, assertRejects, assertStrictEquals } from "@std/assert";
import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { after, before as beforeAll, test } from "node:test";
import tls from "node:tls";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { TimeoutError } from "../../src/errors.ts";
import { patch } from "../../src/patch/mod.ts";
import { spawn } from "../../src/spawn.ts";
import { currentTask } from "../../src/task.ts";
import { withTimeout } from "../../src/timeout.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { livingTask } from "../waits.ts";
import { untilTrue, waitsOf } from "./ends.ts";

noLeaks();

const before = { request: http.request, connect: net.connect };
const patched = patch({ net: true });
const closed: string[] = [];
const asked: string[] = [];
const server = http.createServer((request, response) => {
  const url = request.url!;
  asked.push(url);
  response.on("close", () => closed.push(url));
  if (url.startsWith("/never")) return;
  if (url.startsWith("/part")) return void response.write("part");
  response.end(`page ${url}`);
});
let base = "", port = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
  base = `http://127.0.0.1:${port}`;
});
after(() => {
  patched[Symbol.dispose]();
  server.closeAllConnections();
  server.close();
});

/** What anybody writes who wants a page. */
function page(url: string, options: http.RequestOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    http.get(url, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => text += chunk);
      response.on("error", reject).on("end", () => resolve(text));
    }).on("error", reject);
  });
}

async function endsWithTask(url: string, get: () => Promise<unknown>): Promise<void> {
  const before = [liveWaiters(), outsideWaits()];
  const living = await livingTask();
  const waiting = outcome(living.call(get));
  assertEquals(waitsOf(living.task), [`http.get GET ${base}${url}`]);
  await untilTrue(() => asked.includes(url));
  const reason = new Error("killed");
  void living.task.kill(reason);
  await untilTrue(() => waiting.state !== "pending");
  assertStrictEquals(waiting.error, reason);
  await untilTrue(() => closed.includes(url));
  await living.end();
  assertEquals([liveWaiters(), outsideWaits()], before);
}

test("a request without an answer ends with its task, with the reason, and the server sees it", async () => {
  await endsWithTask("/never/1", () => page(`${base}/never/1`));
  const agent = new http.Agent({ keepAlive: true });
  await endsWithTask("/never/2", () => page(`${base}/never/2`, { agent }));
  agent.destroy();
});

test("a request ends with its task in the middle of the answer", async () => {
  const url = "/part/1";
  const living = await livingTask();
  let response: IncomingMessage | undefined;
  const reading = outcome(living.call(async () => {
    [response] = await once(http.get(base + url), "response") as [IncomingMessage];
    for await (const _ of response);
  }));
  await untilTrue(() => response !== undefined);
  const reason = new Error("killed");
  void living.task.kill(reason);
  await untilTrue(() => reading.state !== "pending");
  assertStrictEquals(reading.error, reason);
  await untilTrue(() => closed.includes(url));
  await living.end();
});

test("a request gives in a task what it gives outside, and leaves no wait behind", async () => {
  const before = liveWaiters();
  const agent = new http.Agent({ keepAlive: true });
  for (const options of [{}, { agent }]) {
    assertEquals(await page(`${base}/a`, options), "page /a");
    assertEquals(await spawn(() => page(`${base}/a`, options)), "page /a");
    assertEquals(await withTimeout(60_000, () => page(`${base}/a`, options)), "page /a");
    await untilTrue(() => liveWaiters() === before);
  }
  agent.destroy();
});

test("listeners of a request run in its task, also on a connection that another task made", async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const who = () =>
    new Promise((resolve, reject) => {
      http.get(`${base}/who`, { agent }, (response) => {
        const seen = [currentTask()?.name];
        response.resume().on("end", () => resolve([...seen, currentTask()?.name]));
      }).on("error", reject);
    });
  for (const name of ["first", "second"]) {
    assertEquals(await spawn({ name }, who), [name, name]);
  }
  agent.destroy();
});

test("a request that a kill ends tells its listeners in its task, whoever killed it", async () => {
  const living = await livingTask();
  const told: unknown[] = [];
  living.call(() => http.get(`${base}/never/0`)).on("error", (error) => {
    told.push(error, currentTask());
  });
  const reason = new Error("killed");
  await spawn(() => void living.task.kill(reason));
  await untilTrue(() => told.length > 0);
  assertEquals(told, [reason, living.task]);
  await living.end();
});

test("a limit ends a request to a server that never answers", async () => {
  const start = performance.now();
  await assertRejects(() => withTimeout(30, () => page(`${base}/never/3`)), TimeoutError);
  assertLess(performance.now() - start, 2000);
  await untilTrue(() => closed.includes("/never/3") || !asked.includes("/never/3"));
});

test("a request of a killed task goes nowhere, and a kill needs no listener for errors", async () => {
  const living = await livingTask();
  living.call(() => http.get(`${base}/never/4`));
  await untilTrue(() => asked.includes("/never/4"));
  const reason = new Error("killed");
  void living.task.kill(reason);
  await untilTrue(() => closed.includes("/never/4"));
  assertStrictEquals(await rejection(living.call(() => page(`${base}/late`))), reason);
  await living.end();
  assertEquals(asked.includes("/late"), false);
});

test("a request that fails by itself fails as it does without us", async () => {
  const unused = net.createServer().listen(0, "127.0.0.1");
  await once(unused, "listening");
  const { port } = unused.address() as AddressInfo;
  await new Promise((resolve) => unused.close(resolve));
  const get = () => page(`http://127.0.0.1:${port}/`);
  const [outside, inside] = [await rejection(get()), await rejection(spawn(get))] as Error[];
  assertEquals((inside as { code?: string }).code, "ECONNREFUSED");
  assertEquals(inside!.message, outside!.message);
});

test("https.request() and tls.connect() end with their task in the handshake", async () => {
  // Takes connections and says nothing.
  const silent = net.createServer((socket) => socket.on("error", () => {}));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  const connects: Array<
    [string, () => { once(event: "error", told: (error: unknown) => void): unknown }]
  > = [
    [`https.get GET https://127.0.0.1:${port}/`, () => https.get(`https://127.0.0.1:${port}/`)],
    [`tls.connect 127.0.0.1:${port}`, () => tls.connect({ host: "127.0.0.1", port })],
  ];
  for (const [name, connect] of connects) {
    const living = await livingTask();
    const failed = new Promise((resolve) => living.call(connect).once("error", resolve));
    assertEquals(waitsOf(living.task), [name]);
    await idle();
    const reason = new Error("killed");
    void living.task.kill(reason);
    assertStrictEquals(await failed, reason);
    await living.end();
  }
  silent.close();
});

test("a socket that connects ends with its task, a connected one is left alone", async () => {
  const living = await livingTask();
  const connecting = living.call(() => net.connect(port, "127.0.0.1"));
  assertEquals(waitsOf(living.task), [`net.connect 127.0.0.1:${port}`]);
  const failed = once(connecting, "close").catch((error: unknown) => error);
  const reason = new Error("killed");
  void living.task.kill(reason);
  assertStrictEquals(await failed, reason);
  await living.end();

  const before = liveWaiters();
  const other = await livingTask();
  const connected = other.call(() => net.createConnection({ host: "127.0.0.1", port }));
  await once(connected, "connect");
  assertEquals([waitsOf(other.task), liveWaiters()], [[], before]);
  void other.task.kill(reason);
  await idle();
  assertEquals(connected.destroyed, false);
  connected.destroy();
  await other.end();
});

test("taking the part out puts the very functions of net back", () => {
  assert(http.request !== before.request && net.connect !== before.connect);
  patched[Symbol.dispose]();
  assertStrictEquals(http.request, before.request);
  assertStrictEquals(net.connect, before.connect);
});
