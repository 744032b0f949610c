// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * `fetch` is a wait of the task that calls it, and so is the body of its response; signals of the user,
 * errors and responses stay the host's.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import type { AddressInfo } from "node:net";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { dump } from "../../src/dump.ts";
import { KilledError, TimeoutError } from "../../src/errors.ts";
import { original, patch, type Patched } from "../../src/patch/mod.ts";
import { shield } from "../../src/shield.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import type { Task } from "../../src/task.ts";
import { withTimeout } from "../../src/timeout.ts";
import { until } from "../../src/until.ts";
import { runChild } from "../child.ts";
import { gate } from "../gate.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { countListeners } from "../listeners.ts";
import { outcome, rejection } from "../outcome.ts";

noLeaks();

/** Requests that are there and have not been answered in full. */
let open = 0;
/** Told of each change of `open`. */
let changed = gate();

function changeOpen(by: number): void {
  open += by;
  changed.open();
  changed = gate();
}

/** Waits until the server has this many open requests: what was ended is ended there, too. */
async function openRequests(count: number): Promise<void> {
  while (open !== count) await until(changed.promise, { timeout: 10_000 });
}

const server = createServer((request: IncomingMessage, response: ServerResponse): unknown => {
  changeOpen(1);
  response.on("close", () => changeOpen(-1));
  const { url, method } = request;
  if (url === "/hang") return undefined; // never answers
  if (url === "/redirect") {
    response.writeHead(302, { location: "/json" });
    return response.end();
  }
  if (url === "/empty") {
    response.writeHead(204);
    return response.end();
  }
  if (url === "/echo") {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk) => text += chunk);
    return request.on("end", () => response.end(`${method} ${request.headers["x-mine"]} ${text}`));
  }
  response.setHeader("content-type", "application/json");
  response.write('{"part":');
  if (url === "/slow") return undefined; // headers and a piece, never the rest
  return response.end('"all"}');
});

let base = "";
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

let patched: Patched;
let waitsBefore = 0;
beforeEach(() => {
  patched = patch({ fetch: true });
  waitsBefore = outsideWaits();
});
afterEach(() => {
  patched[Symbol.dispose]();
});

/** Waits that the host may end, beyond those there were. */
function waits(): number {
  return outsideWaits() - waitsBefore;
}

/** Runs `body` in a task until it has said that the headers are there, kills it, checks the reason. */
async function killInBody(body: (opened: () => void) => Promise<unknown>): Promise<void> {
  const headers = gate();
  const task = spawn(body, headers.open);
  await until(headers.promise, { timeout: 10_000 });
  await idle();
  await kill(task);
  await openRequests(0);
}

async function kill(task: Task): Promise<void> {
  const reason = new KilledError("enough");
  await task.kill(reason);
  assertEquals(task.state, "killed");
  assertStrictEquals(task.error, reason);
  assertEquals(waits(), 0);
}

/** What `dump()` says once it shows `text`. */
async function dumpThatShows(text: string): Promise<string> {
  for (let i = 0; i < 1000 && !dump().toString().includes(text); i++) await sleep(1);
  return dump().toString();
}

/** What of a failure does not depend on where it was called from. */
function gist(error: unknown): unknown {
  const { name, message, code, cause } = error as Error & { code?: string };
  return {
    name,
    message,
    code,
    cause: cause instanceof Error ? [cause.name, (cause as { code?: string }).code] : cause,
  };
}

// -- Without kills --

test("fetch() outside of tasks is the host's, and no wait", async () => {
  const response = fetch(`${base}/json`);
  assertEquals(waits(), 0);
  assertEquals(await (await response).json(), { part: "all" });
});

test("fetch() in a task gives the host's own Response, whose bodies are read as ever", async () => {
  const body = async () => {
    const response = await fetch(`${base}/json`);
    return [
      response instanceof Response,
      Object.getPrototypeOf(response) === Response.prototype,
      Object.prototype.hasOwnProperty.call(response, "text"),
      response.status,
      response.url === `${base}/json`,
      await response.clone().text(),
      await response.clone().json(),
      (await response.clone().arrayBuffer()).byteLength,
      (await response.clone().blob()).size,
      response.bodyUsed,
      new TextDecoder().decode(
        await (response as unknown as { bytes(): Promise<Uint8Array> }).bytes(),
      ),
      response.bodyUsed,
      (await rejection(response.text()) as Error).name,
    ];
  };
  assertEquals(await spawn(body), await body());
  assertEquals(waits(), 0);
});

test("fetch() in a task sends what it is given: method, headers, body, Request, init of any kind", async () => {
  const headers = { "x-mine": "7" };
  const body = async () => [
    await (await fetch(`${base}/echo`, { method: "POST", headers, body: "text" })).text(),
    await (await fetch(new URL(`${base}/echo`), { headers })).text(),
    await (await fetch(new Request(`${base}/echo`, { method: "PUT", headers, body: "r" }))).text(),
    await (await fetch(new Request(`${base}/echo`, { headers }), { method: "DELETE" })).text(),
    await (await fetch(`${base}/echo`, new Request("http://x.invalid", { headers }))).text(),
    await (await fetch(`${base}/echo`, Object.create({ headers }))).text(),
    await (await fetch({ toString: () => `${base}/echo` } as string, { headers })).text(),
    (await fetch(`${base}/echo`, { method: "HEAD" })).status,
    (await fetch(`${base}/empty`)).status,
    (await fetch(`${base}/redirect`)).redirected,
  ];
  const expected = await body();
  assertEquals(await spawn(body), expected);
  assertEquals(expected[0], "POST 7 text");
  assertEquals(waits(), 0);
});

test("fetch() in a task fails as the host does, redirects and wrong arguments included", async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const calls: Array<() => Promise<unknown>> = [
    () => fetch("::nonsense"),
    () => fetch(`http://127.0.0.1:${port}/`),
    () => fetch(`${base}/redirect`, { redirect: "error" }),
    () => fetch(`${base}/json`, { signal: 7 as unknown as AbortSignal }),
    () => fetch(`${base}/json`, { method: "NO METHOD" }),
    () => fetch(`${base}/json`, { body: "x" }),
  ];
  for (const [i, call] of calls.entries()) {
    const host = outcome(Promise.resolve().then(call));
    const ours = outcome(spawn(call));
    while (host.state === "pending" || ours.state === "pending") await sleep(1);
    assertEquals(
      [ours.state, gist(ours.error ?? {})],
      [host.state, gist(host.error ?? {})],
      `call ${i}`,
    );
    await (host.value as Response | undefined)?.text();
    await (ours.value as Response | undefined)?.text();
  }
  assertEquals(waits(), 0);
});

test("fetch() in a task is named in dumps, and so is the reading of its body", async () => {
  const task = spawn(() => fetch(new URL(`${base}/hang`), { method: "post" }));
  const reader = spawn(async () => (await fetch(`${base}/slow`)).text());
  await openRequests(2);
  const shown = await dumpThatShows(`read body of GET ${base}/slow`);
  assert(shown.includes(`fetch POST ${base}/hang`), shown);
  assertEquals(waits(), 2);
  await reader.kill();
  await kill(task);
  await openRequests(0);
});

test("fetch() of an address with a password shows none", async () => {
  const task = spawn(() => fetch(`${base.replace("//", "//user:secret@")}/hang`));
  // Node refuses such an address, and then there is nothing to show.
  while (!task.ready && !dump().toString().includes("fetch GET")) await sleep(1);
  const shown = dump().toString();
  assert(!shown.includes("secret"), shown);
  await task.kill();
  await task.join();
  await openRequests(0);
});

// -- Kills --

test("a kill ends fetch() before the headers, and the request at the server", async () => {
  const task = spawn(() => fetch(`${base}/hang`));
  await openRequests(1);
  await kill(task);
  await openRequests(0);
});

test("a kill ends text(), json() and their like", async () => {
  for (const read of ["text", "json", "arrayBuffer", "blob", "bytes"] as const) {
    await killInBody(async (opened) => {
      const response = await fetch(`${base}/slow`);
      opened();
      await (response as Response & { bytes(): unknown })[read]();
    });
  }
});

test("a kill ends a reader, a loop over the body and a pipe", async () => {
  const seen: unknown[] = [];
  await killInBody(async (opened) => {
    const reader = (await fetch(`${base}/slow`)).body!.getReader();
    opened();
    for (let done = false; !done;) {
      const step = await reader.read().catch((error) => {
        seen.push(error);
        throw error;
      });
      ({ done } = step);
    }
  });
  assertInstanceOf(seen[0], KilledError);
  await killInBody(async (opened) => {
    const { body } = await fetch(`${base}/slow`);
    opened();
    for await (const _ of body!);
  });
  await killInBody(async (opened) => {
    const { body } = await fetch(`${base}/slow`);
    opened();
    await body!.pipeTo(new WritableStream());
  });
});

test("a kill ends the body of a response that came from an inner limit, or from another task", async () => {
  await killInBody(async (opened) => {
    const response = await withTimeout(60_000, () => fetch(`${base}/slow`));
    opened();
    for await (const _ of response.body!);
  });
  await killInBody(async (opened) => {
    const response = await spawn(() => fetch(`${base}/slow`));
    opened();
    for await (const _ of response.body!);
  });
  await killInBody(async (opened) => {
    const response = await spawn(() => fetch(`${base}/slow`));
    opened();
    await response.text();
  });
});

test("a kill ends a body after others that were read to their end", async () => {
  await killInBody(async (opened) => {
    for (let i = 0; i < 2; i++) await (await fetch(`${base}/json`)).text();
    const { body } = await fetch(`${base}/slow`);
    opened();
    for await (const _ of body!);
  });
});

test("a kill ends a reader, though text() was tried beside it and refused", async () => {
  await killInBody(async (opened) => {
    const response = await fetch(`${base}/slow`);
    const reader = response.body!.getReader();
    await reader.read();
    assertInstanceOf(await rejection(response.text()), TypeError);
    opened();
    await reader.read();
  });
});

test("a kill ends the body that nobody reads", async () => {
  await killInBody(async (opened) => {
    const response = await fetch(`${base}/slow`);
    opened();
    await sleep(60_000);
    await response.text();
  });
});

test("a kill ends a clone and its source", async () => {
  const seen: unknown[] = [];
  await killInBody(async (opened) => {
    const response = await fetch(`${base}/slow`);
    const clone = response.clone();
    opened();
    const ends = await Promise.allSettled([response.text(), clone.text()]);
    for (const end of ends) seen.push((end as PromiseRejectedResult).reason);
    throw seen[0];
  });
  assertStrictEquals(seen[0], seen[1]);
});

test("a limit ends fetch() and the body with its TimeoutError, outside of tasks too", async () => {
  for (const path of ["/hang", "/slow"]) {
    const body = () => withTimeout(50, async () => await (await fetch(base + path)).text());
    for (const error of [await rejection(body()), await rejection(spawn(body))]) {
      assertInstanceOf(error, TimeoutError);
      assertEquals(error.ms, 50);
    }
  }
  await openRequests(0);
  assertEquals(waits(), 0);
});

test("fetch() and text() in a killed task reject with the reason, and the host is not called", async () => {
  const seen: unknown[] = [];
  const headers = gate();
  const task = spawn(async () => {
    const response = await fetch(`${base}/slow`);
    headers.open();
    await sleep(60_000).catch(() => {});
    seen.push(await rejection(fetch(`${base}/hang`)));
    seen.push(await rejection(response.text()));
    seen.push(await rejection(shield(() => response.text())));
    seen.push(await rejection(response.body!.getReader().read()));
  });
  await headers.promise;
  await idle();
  const reason = new KilledError("enough");
  const ended = task.kill(reason);
  await openRequests(0);
  await ended;
  assertEquals(task.state, "succeeded");
  for (const error of seen) assertStrictEquals(error, reason);
  assertEquals([seen.length, open], [4, 0]);
});

test("fetch() behind a shield is out of reach of a kill", async () => {
  const log: unknown[] = [];
  const task = spawn(async () => {
    try {
      await sleep(60_000);
    } finally {
      await shield(async () => log.push(await (await fetch(`${base}/json`)).json()));
    }
  });
  await idle();
  await kill(task);
  assertEquals(log, [{ part: "all" }]);
});

test("a response outlives its task when no kill ended that", async () => {
  const response = await spawn(() => fetch(`${base}/json`));
  assertEquals(await response.json(), { part: "all" });
  const task = spawn(() => fetch(`${base}/json`));
  const second = await task;
  await task.kill();
  const reader = second.body!.getReader();
  assertEquals((await reader.read()).done, false);
  await reader.cancel();
});

test("a response of a killed task is read as the host reads an aborted one", async () => {
  const headers = gate<Response>();
  const task = spawn(async () => {
    headers.open(await fetch(`${base}/slow`));
    await sleep(60_000);
  });
  const response = await headers.promise;
  await idle();
  const reason = new KilledError("enough");
  await task.kill(reason);
  const controller = new AbortController();
  const plain = await original<typeof fetch>("fetch")(`${base}/slow`, controller);
  controller.abort(reason);
  assertEquals(gist(await rejection(response.text())), gist(await rejection(plain.text())));
  await openRequests(0);
});

test("a kill in the very tick of the headers loses nothing and leaves nothing", async () => {
  for (let i = 0; i < 20; i++) {
    const task = spawn(async () => await (await fetch(`${base}/json`)).text());
    for (let turn = 0; turn < i; turn++) await idle();
    await task.kill();
    assert(task.state === "killed" || task.state === "succeeded");
    assertEquals(waits(), 0);
  }
  await openRequests(0);
});

// -- Signals of the user --

test("a signal of the user ends fetch() as it ends the host's: before, while and after", async () => {
  type Ending = (controller: AbortController) => Promise<unknown>;
  const endings: Ending[] = [
    (controller) => {
      controller.abort("why");
      return fetch(`${base}/hang`, { signal: controller.signal });
    },
    async (controller) => {
      const response = fetch(`${base}/hang`, { signal: controller.signal });
      await openRequests(1);
      controller.abort("why");
      return response;
    },
    async (controller) => {
      const response = fetch(new Request(`${base}/hang`, { signal: controller.signal }));
      await openRequests(1);
      controller.abort("why");
      return response;
    },
    async (controller) => {
      const response = await fetch(`${base}/slow`, { signal: controller.signal });
      const text = response.text();
      text.catch(() => {});
      await idle();
      controller.abort("why");
      return text;
    },
    async (controller) => {
      const reader = (await fetch(`${base}/slow`, { signal: controller.signal })).body!.getReader();
      await reader.read();
      const read = reader.read();
      read.catch(() => {});
      await idle();
      controller.abort("why");
      return read;
    },
    async (controller) => {
      const response = await fetch(`${base}/json`, { signal: controller.signal });
      const text = await response.text();
      controller.abort("why");
      return text;
    },
  ];
  for (const [i, ending] of endings.entries()) {
    const results: unknown[] = [];
    for (const inTask of [false, true]) {
      const controller = new AbortController();
      const listeners = countListeners(controller.signal);
      const run = () => ending(controller).then((value) => value, (error) => ["failed", error]);
      const result = await (inTask ? spawn(run) : run());
      results.push(result);
      if (inTask) {
        await idle();
        // A Request listens by itself.
        if (i !== 2) assertEquals(listeners.active, 0, `ending ${i}`);
      }
      await openRequests(0);
    }
    assertEquals(results[1], results[0], `ending ${i}`);
    assertEquals(waits(), 0);
  }
});

test("a kill and a signal of the user: the first one counts", async () => {
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  const task = spawn(() => fetch(`${base}/hang`, { signal: controller.signal }));
  await openRequests(1);
  const reason = new KilledError("enough");
  const ended = task.kill(reason);
  controller.abort("late");
  await ended;
  assertStrictEquals(task.error, reason);
  assertEquals(listeners.active, 0);
  await openRequests(0);
});

test("a signal of the user is followed no longer than the body lasts", async () => {
  const { signal } = new AbortController();
  const listeners = countListeners(signal);
  await spawn(async () => {
    await (await fetch(`${base}/json`, { signal })).text();
    assertEquals(listeners.active, 0, "read");
    await fetch(`${base}/empty`, { signal });
    assertEquals(listeners.active, 0, "nothing to read");
    await rejection(fetch("::nonsense", { signal }));
    assertEquals(listeners.active, 0, "failed");
    const response = await fetch(`${base}/json`, { signal });
    const clone = response.clone();
    await response.text();
    assertEquals(listeners.active, 1, "the clone is not read");
    await clone.text();
    assertEquals(listeners.active, 0, "both are read");
  });
  assert(listeners.added > 0);
});

// -- Many --

test("fetch() many times in one task with one signal leaves no listener and no wait", async () => {
  const { signal } = new AbortController();
  const listeners = countListeners(signal);
  const task = spawn(async () => {
    for (let i = 0; i < 2000; i += 100) {
      // Most of them without the net, which takes long.
      const urls = Array.from({ length: 100 }, (_, i) => i < 3 ? `${base}/json` : "data:,x");
      const responses = await Promise.all(urls.map((url) => fetch(url, { signal })));
      await Promise.all(responses.map((response) => response.text()));
    }
    assertEquals([listeners.active, waits()], [0, 0]);
  });
  await task;
  await openRequests(0);
  assertEquals(waits(), 0);
});

test("fetch() whose responses are dropped, streams taken, grows nothing", async () => {
  const exit = await runChild(`
    import { createServer } from "node:http";
    const { sleep, spawn } = await load();
    const { patch } = await import(${
    JSON.stringify(new URL("../../src/patch/mod.ts", import.meta.url).href)
  });
    patch({ fetch: true });
    const server = createServer((_, response) => response.end("x".repeat(1000)));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = "http://127.0.0.1:" + server.address().port;
    const refs = [];
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = function (...args) { listeners++; addEventListener.apply(this, args); };
    signal.removeEventListener = function (...args) { listeners--; removeEventListener.apply(this, args); };
    const fetchOften = async () => {
      for (let i = 0; i < 200; i++) {
        const response = await fetch(url, { signal });
        const reader = response.body.getReader();
        if (i % 2 === 0) while (!(await reader.read()).done);
        refs.push(new WeakRef(response));
      }
    };
    await spawn(async () => {
      await fetchOften();
      for (let i = 0; i < 50 && listeners > 0; i++) {
        await sleep(20);
        gc();
      }
      console.log(refs.filter((ref) => ref.deref() !== undefined).length < 20, listeners);
    });
    server.closeAllConnections();
    server.close();
    process.exit(0);
  `);
  assertEquals(exit.stdout, "true 0", exit.stderr);
});

test("a kill and a signal end the stream whose response nobody has any more", async () => {
  const exit = await runChild(`
    import { createServer } from "node:http";
    const { sleep, spawn } = await load();
    const { patch } = await import(${
    JSON.stringify(new URL("../../src/patch/mod.ts", import.meta.url).href)
  });
    patch({ fetch: true });
    const server = createServer((_, response) => response.write("part"));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = "http://127.0.0.1:" + server.address().port;
    const open = async (input, init) => (await fetch(input, init)).body.getReader();
    const read = async (input, init) => {
      const reader = await open(input, init);
      await reader.read();
      await reader.read();
    };
    const controller = new AbortController();
    const killed = spawn(() => read(url));
    const aborted = spawn(() => read(url, controller));
    const requested = spawn(() => read(new Request(url, controller)));
    for (let i = 0; i < 20; i++) {
      await sleep(20);
      gc();
    }
    void killed.kill(new Error("kill"));
    controller.abort(new Error("abort"));
    for (const task of [killed, aborted, requested]) console.log(await task.then(0, String));
    process.exit(0);
  `);
  assertEquals(exit.stdout, "Error: kill\nError: abort\nError: abort", exit.stderr);
});

test("patch() that is undone while fetch() waits leaves it a wait that a kill ends", async () => {
  const task = spawn(() => fetch(`${base}/hang`));
  await openRequests(1);
  patched[Symbol.dispose]();
  await kill(task);
  await openRequests(0);
});
