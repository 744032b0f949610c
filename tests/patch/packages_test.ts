// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Packages from npm that know nothing of this library, unmodified, in tasks that are killed or run out of
 * time in the middle of their work.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertStrictEquals } from "@std/assert";
import fs from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before as beforeAll, test } from "node:test";
import type { Dispatcher } from "undici";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { TimeoutError } from "../../src/errors.ts";
import { patchAll } from "../../src/patch/mod.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import type { Task } from "../../src/task.ts";
import { withTimeout } from "../../src/timeout.ts";
import { noLeaks } from "../leaks.ts";
import { rejection } from "../outcome.ts";
import { untilTrue } from "./ends.ts";

noLeaks();

// Before the packages are imported: some copy the functions of the host for themselves.
const patched = patchAll();
const { default: axios } = await import("axios");
const { default: fastGlob } = await import("fast-glob");
const { default: ky } = await import("ky");
const { default: pRetry } = await import("p-retry");
const undici = await import("undici");
const realUndici = !("Bun" in globalThis);

/** Far below what the work would take, and far above what a slow machine needs. */
const SOON_MS = 2000;

const asked: string[] = [];
const closed: string[] = [];
let answerSlow = (): unknown => undefined;
const server = createServer((request, response) => {
  const url = request.url!;
  asked.push(url);
  response.on("close", () => closed.push(url));
  if (url.startsWith("/never")) return;
  if (url.startsWith("/slow")) {
    answerSlow = () => response.end(JSON.stringify({ url }));
    return;
  }
  if (url.startsWith("/part")) return void response.write("part");
  response.statusCode = url.startsWith("/fail") ? 503 : 200;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ url }));
});
const tree = fs.mkdtempSync(join(tmpdir(), "baozi-tree-"));
const FOLDERS = 300;
let base = "";
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (let i = 0; i < FOLDERS; i++) {
    fs.mkdirSync(join(tree, `${i}`));
    fs.writeFileSync(join(tree, `${i}`, "file.txt"), "");
  }
});
after(async () => {
  patched[Symbol.dispose]();
  fs.rmSync(tree, { recursive: true });
  // What Bun gives has none of its own.
  await (undici.getGlobalDispatcher() as Partial<Dispatcher>).close?.();
  server.closeAllConnections();
  server.close();
});

interface Work {
  name: string;
  /** Ends soon, with `gives`. */
  works(): Promise<unknown>;
  gives: unknown;
  /** Would take minutes, or a million of steps; `id` is another one each time. */
  lasts(id: string): Promise<unknown>;
  /** Whether it is in the middle of that. */
  began(id: string): boolean;
  /** Whether nothing of it is left outside of this library. */
  gone(id: string): boolean;
}

const never = {
  began: (id: string): boolean => asked.includes(`/never/${id}`),
  gone: (id: string): boolean => closed.includes(`/never/${id}`),
};
const WORKS: Work[] = [
  {
    name: "ky",
    works: () => ky(`${base}/ok`).json(),
    gives: { url: "/ok" },
    lasts: (id) => ky(`${base}/never/${id}`, { timeout: false }).json(),
    ...never,
  },
  {
    name: "axios",
    works: async () => (await axios.get(`${base}/ok`, { adapter: "http" })).data,
    gives: { url: "/ok" },
    lasts: (id) => axios.get(`${base}/never/${id}`, { adapter: "http" }),
    ...never,
  },
  {
    name: "undici",
    works: async () => await (await undici.request(`${base}/ok`)).body.json(),
    gives: { url: "/ok" },
    lasts: (id) => undici.request(`${base}/never/${id}`),
    ...never,
  },
  {
    name: "undici's fetch",
    works: async () => await (await undici.fetch(`${base}/ok`)).json(),
    gives: { url: "/ok" },
    lasts: (id) => undici.fetch(`${base}/never/${id}`),
    ...never,
  },
  {
    name: "p-retry",
    works: () => pRetry((attempt) => attempt < 3 ? failing() : attempt, { minTimeout: 1 }),
    gives: 3,
    lasts: (id) => pRetry(() => failing(id), { retries: 9, minTimeout: 120_000 }),
    began: (id) => asked.includes(`/fail/${id}`),
    gone: (id) => closed.includes(`/fail/${id}`),
  },
  {
    name: "fast-glob",
    works: async () => (await fastGlob("**/*.txt", { cwd: tree })).length,
    gives: FOLDERS,
    lasts: () => fastGlob("**/*.txt", { cwd: tree, concurrency: 1 }),
    began: () => outsideWaits() > 0,
    gone: () => true,
  },
];

async function failing(id = "x"): Promise<never> {
  const response = await fetch(`${base}/fail/${id}`);
  await response.text();
  throw new Error(`no success: ${response.status}`);
}

/** Some packages wrap what they are told. */
function origin(error: unknown): unknown {
  let origin = error;
  while (origin instanceof Error && origin.cause !== undefined) origin = origin.cause;
  return origin;
}

const counts = (): string => `${liveWaiters()} ${outsideWaits()}`;

for (const { name, works, gives, lasts, began, gone } of WORKS) {
  test(`${name} works in a task as it does outside`, async () => {
    const before = counts();
    const outside = works();
    assertEquals(counts(), before, "outside nothing is added");
    assertEquals(await outside, gives);
    assertEquals(await spawn(works), gives);
    assertEquals(await withTimeout(60_000, works), gives);
    await untilTrue(() => counts() === before);
  });

  test(`${name} ends in the middle of its work when its task is killed`, async () => {
    const before = counts();
    const id = `${name}-kill`.replace(/\W/g, "");
    let cleaned = false;
    const task = spawn(async () => {
      try {
        return await lasts(id);
      } finally {
        cleaned = true;
      }
    });
    const ended = rejection(task);
    await untilTrue(() => began(id));
    const start = performance.now();
    const reason = new Error("enough");
    await task.kill(reason);
    assertLess(performance.now() - start, SOON_MS);
    assert(cleaned);
    assertStrictEquals(origin(await ended), reason);
    await untilTrue(() => counts() === before && gone(id));
  });

  test(`${name} ends in the middle of its work when its time is over`, async () => {
    const before = counts();
    const id = `${name}-limit`.replace(/\W/g, "");
    let cleaned = false;
    const start = performance.now();
    const limit = name === "fast-glob" ? 1 : 200;
    const error = await rejection(withTimeout(limit, async () => {
      try {
        return await lasts(id);
      } finally {
        cleaned = true;
      }
    }));
    assertLess(performance.now() - start, SOON_MS);
    assert(cleaned);
    const timeout = origin(error);
    assertEquals(timeout instanceof TimeoutError && timeout.ms, limit);
    await untilTrue(() => counts() === before && (!began(id) || gone(id)));
  });
}

/** What a request of undici says, in a task of its own. */
function ask(dispatcher: Dispatcher, path: string): Task<unknown> {
  return spawn(async () => {
    const { body } = await undici.request(base + path, { dispatcher });
    return await body.json();
  });
}

test("a kill ends one request of a pool of undici, also while it connects", async () => {
  if (!realUndici) return;
  for (const connected of [false, true]) {
    const client = new undici.Client(base);
    if (connected) await ask(client, "/ok");
    const id = `client-${connected}`;
    const killed = ask(client, `/never/${id}`), other = ask(client, "/other");
    await sleep(0);
    if (connected) await untilTrue(() => asked.includes(`/never/${id}`));
    const reason = new Error("enough");
    await killed.kill(reason);
    assertStrictEquals(killed.error, reason);
    assertEquals(await other, { url: "/other" });
    assertEquals(asked.includes(`/never/${id}`), connected);
    await client.close();
  }
});

test("a request that a full pool of undici makes later belongs to the task that asked", async () => {
  if (!realUndici) return;
  const pool = new undici.Pool(base, { connections: 1 });
  const slow = ask(pool, "/slow/1");
  await untilTrue(() => asked.includes("/slow/1"));
  const queued = ask(pool, "/queued"), last = ask(pool, "/last");
  await sleep(0);
  const reason = new Error("enough");
  void queued.kill(reason);
  answerSlow();
  assertEquals(await slow, { url: "/slow/1" });
  assertStrictEquals(await rejection(queued), reason);
  assertEquals(await last, { url: "/last" });
  assertEquals(asked.includes("/queued"), false);
  await pool.close();
});

test("the body of an answer of undici ends with its task", async () => {
  if (!realUndici) return;
  const task = spawn(async () => {
    const { body } = await undici.request(`${base}/part/undici`);
    for await (const _ of body) read++;
  });
  let read = 0;
  await untilTrue(() => read === 1);
  const reason = new Error("enough");
  await task.kill(reason);
  assertStrictEquals(task.error, reason);
  await untilTrue(() => closed.includes("/part/undici"));
});

test("taking the patch out lets go of the requests of undici that are under way", async () => {
  if (!realUndici) return patched[Symbol.dispose]();
  const channels = await import("node:diagnostics_channel");
  const before = counts();
  const client = new undici.Client(base);
  const task = ask(client, "/slow/2");
  await untilTrue(() => asked.includes("/slow/2"));
  assert(counts() !== before && channels.hasSubscribers("undici:request:create"));
  patched[Symbol.dispose]();
  assertEquals([counts(), channels.hasSubscribers("undici:request:create")], [before, false]);
  answerSlow();
  assertEquals(await task, { url: "/slow/2" });
  await client.close();
});
