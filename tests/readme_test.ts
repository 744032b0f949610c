// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Runs every line that the tables of README.md head "here", and checks what it gives.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import * as baozi from "@baozi/baozi";
import * as net from "@baozi/baozi/net";
import * as patch from "@baozi/baozi/patch";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { noLeaks } from "./leaks.ts";

/** What the lines take for granted, made anew for each that names it. */
const PRELUDE: Record<string, () => unknown> = {
  x: () => 41,
  f: () => (n: number) => baozi.sleep(1).then(() => n + 1),
  fn: () => (n: number) => baozi.sleep(4 - n).then(() => n * 2),
  items: () => [1, 2, 3],
  urls: () => ["a", "b"],
  load: () => (url: string) => baozi.sleep(1).then(() => url.toUpperCase()),
  runs: () => [() => "a", () => "b"],
  body: () => () => baozi.sleep(1).then(() => "done"),
  slow: () => () => baozi.sleep(60_000),
  cleanUp: () => () => baozi.sleep(1).then(() => "clean"),
  callback: () => () => {},
  hook: () => () => {},
  seen: () => [],
  task: () => baozi.spawn(() => baozi.sleep(1).then(() => "done")),
  tasks: () => [5, 1].map((ms) => baozi.spawn(() => baozi.sleep(ms).then(() => ms))),
  signal: () => new AbortController().signal,
  promise: () => Promise.resolve("kept"),
  event: () => new baozi.Event(),
  pool: () => new baozi.Pool(2),
  semaphore: () => new baozi.Semaphore(2),
  mutex: () => new baozi.Mutex(),
  wg: () => new baozi.WaitGroup(),
  queue: () => {
    const queue = new baozi.Queue<string>(8);
    queue.tryPut("job");
    return queue;
  },
  ch: () => {
    const ch = new baozi.Channel<unknown>({ capacity: 2 });
    ch.trySend("first");
    return ch;
  },
  full: () => baozi.Channel.from(["one", "two"]),
  a: () => new baozi.Channel<string>(),
  b: () => new baozi.Channel<number>({ capacity: 1 }),
  open: () => false,
  news: () => new baozi.Broadcast<string>(),
  run: () => (n: number) => n + 1,
  handle: () => (conn: net.Conn) => conn.write("hello"),
  parent: () => baozi.currentGreenlet(),
  g: () => baozi.greenlet((n: number) => n + 1),
};

/** For each line: code that looks at what it gave, `it` if it is an expression; what that must be. */
const LINES: Record<string, [proof: string, expected: unknown]> = {
  // Tasks
  "spawn(f, x)": ["await it", 42],
  "spawnLater(50, f, x)": ["[it.state, await it]", ["pending", 42]],
  "await joinAll(tasks, { timeout: 2000, raiseError: true })": ["it.map((t) => t.value)", [1, 5]],
  "await joinAll(tasks)": ["it.map((t) => t.state)", ["succeeded", "succeeded"]],
  "await task.get({ timeout: 1000 })": ["it", "done"],
  "await task.join()": ["[it, task.value]", [true, "done"]],
  "await task.kill()": ["[it, task.state, task.successful]", [true, "killed", false]],
  "task.kill()": ["[await it, task.state]", [true, "killed"]],
  "await killAll(tasks)": ["tasks.map((t) => t.state)", ["killed", "killed"]],
  "task.link(callback)": ["await task", "done"],
  "await sleep(0)": ["it", undefined],
  "await sleep(1, { signal })": ["it", undefined],
  "currentTask()": ["it", undefined],
  "new TaskLocal(7)": ["await spawn(() => it.get())", 7],
  "await withTimeout(2000, body)": ["it", "done"],
  "await withTimeout(1000, body)": ["it", "done"],
  "await withTimeout(10, slow, { fallback: undefined })": ["it", undefined],
  "await withTimeout(10, slow, { fallback: null })": ["it", null],
  "await shield(cleanUp)": ["it", "clean"],
  "await wait([task, event], { count: 1 })": ["it[0] === task", true],
  "for await (const ready of iwait(tasks)) seen.push(ready)": ["seen.map((t) => t.value)", [1, 5]],
  "onUnhandled(hook)": ["it[Symbol.dispose]()", undefined],
  "await until(promise, { timeout: 1000 })": ["it", "kept"],
  "await until(promise, { signal })": ["it", "kept"],
  // The host
  "patchAll()": [
    "[it.parts.length > 0, it[Symbol.dispose](), isPatched('timers')]",
    [true, undefined, false],
  ],
  "await serve({ port: 0 }, handle)": [
    "[it.address.port > 0, await it.stop()]",
    [true, { finished: 0, killed: 0 }],
  ],
  // Scopes
  "await scope((s) => { s.spawn(f, x); })": ["it", undefined],
  "await scope((s) => { s.spawn(f, x); }, { supervise: true })": ["it", undefined],
  "await scope((s) => { s.spawn(slow); s.kill(); })": ["it", undefined],
  "await scope(async (s) => await s.spawn(f, x))": ["it", 42],
  "await scope((s) => { for (const url of urls) s.spawn(load, url); })": ["it", undefined],
  // Pools
  "new Pool(10)": ["[it.size, it.free]", [10, 10]],
  "new Pool(4)": ["it.size", 4],
  "const { task } = await pool.spawn(f, x)": ["await task", 42],
  "await pool.spawn(f, x)": ["await it.task", 42],
  "await pool.spawn({ signal }, f, x)": ["await it.task", 42],
  "await pool.apply(f, x)": ["it", 42],
  "await pool.apply(() => withTimeout(1000, body))": ["it", "done"],
  "await pool.map(fn, items)": ["it", [2, 4, 6]],
  "await pool.map(load, urls)": ["it", ["A", "B"]],
  "await new Pool(4).map(load, urls)": ["it", ["A", "B"]],
  "await pool.map((run) => run(), runs)": ["it", ["a", "b"]],
  "for await (const result of pool.imapUnordered(fn, items)) seen.push(result)": [
    "seen.sort()",
    [2, 4, 6],
  ],
  "await pool.join({ raiseError: true })": ["it", true],
  "await pool.join()": ["it", true],
  "await pool.kill()": ["it", true],
  "[pool.running, pool.waiting]": ["it", [0, 0]],
  "pool.resize(8)": ["pool.size", 8],
  "pool.pause(); pool.resume()": ["await pool.apply(f, x)", 42],
  "pool.onProgress(hook)": ["it[Symbol.dispose]()", undefined],
  // Sync, queues, limits
  "new Deferred()": ["[it.resolve(1), await it.get()]", [true, 1]],
  "await event.wait({ timeout: 10 })": ["it", false],
  "new Event()": ["it.isSet", false],
  "await semaphore.withPermit(body)": ["[it, semaphore.value]", ["done", 2]],
  "await new Semaphore(4).withPermit(body)": ["it", "done"],
  "await semaphore.acquire({ weight: 2, signal })": ["[it.weight, semaphore.value]", [2, 0]],
  "new Mutex({ reentrant: true })": ["await it.withLock(body)", "done"],
  "await mutex.withLock(body)": ["[it, mutex.locked]", ["done", false]],
  "new Condition(mutex)": ["await mutex.withLock(() => it.wait({ timeout: 1 }))", false],
  "wg.add(1); wg.done(); await wg.wait()": ["wg.count", 0],
  "new Queue(8)": ["[it.maxSize, it.size]", [8, 0]],
  "queue.tryPut(x)": ["[it, queue.size]", [true, 2]],
  "queue.taskDone()": ["await queue.join()", true],
  "new PriorityQueue(8, { compare: (a, b) => a.rank - b.rank })": [
    "[2, 1].map((rank) => it.tryPut({ rank })), await it.get()",
    { rank: 1 },
  ],
  "rateLimit({ tokens: 10, per: 1000 })": ["it.tryAcquire({ weight: 10 }).weight", 10],
  "await rateLimit({ tokens: 10, per: 1000 }).acquire()": ["it.weight", 1],
  // Channels and select
  "channel<string>(4)": ["it.capacity", 4],
  "new Channel<string>({ capacity: 4 })": ["it.capacity", 4],
  "await ch.send(x)": ["ch.size", 2],
  "await ch.receive()": ["it", "first"],
  "for await (const x of full) seen.push(x)": ["seen", ["one", "two"]],
  "ch.close()": ["ch.closed", true],
  "await select({ a, b: b.sending(x), late: after(10) })": ["[it.key, b.size]", ["b", 1]],
  "trySelect({ a })": ["it", undefined],
  "await select({ a: open ? a : null, late: after(1) })": ["it.key", "late"],
  "await select({ a, late: after(10) })": ["it.key", "late"],
  "await select({ a, stop: event, late: after(10) })": ["it.key", "late"],
  "for await (const tick of every(5)) if (seen.push(tick) === 2) break": ["seen.length", 2],
  "merge(a, b)": [
    "[b.trySend(7), await it.receive(), a.close(), b.close(), (await it.next()).done]",
    [true, 7, true, true, true],
  ],
  "for await (const result of pipeline(items, mapStage(fn, { concurrency: 4 }))) seen.push(result)":
    ["seen", [2, 4, 6]],
  "for await (const result of pipeline(items, mapStage(fn, { concurrency: 4, ordered: false }))) seen.push(result)":
    ["seen.sort()", [2, 4, 6]],
  "produce(function* () { for (const n of items) yield n; })": [
    "[await it.receive(), await it.receive(), await it.receive()]",
    [1, 2, 3],
  ],
  "new Broadcast<string>({ replay: 1 })": [
    "[await it.send('news'), it.subscribe().tryReceive().value]",
    [undefined, "news"],
  ],
  "news.subscribe({ capacity: 8 })": [
    "[await news.send('hot'), await it.receive()]",
    [undefined, "hot"],
  ],
  // Greenlets
  "greenlet(run)": ["await it.switch(x)", 42],
  "greenlet(run, { parent })": ["[it.parent === parent, await it.switch(x)]", [true, 42]],
  "await g.switch(x)": ["it", 42],
  "await g.throw()": ["[it instanceof GreenletExit, g.dead]", [true, true]],
  "currentGreenlet()": ["it === currentGreenlet()", true],
  "g.active": ["it", false],
  "setTrace(callback)": ["setTrace(it) === callback", true],
  // Seeing it
  "dump().toString()": ["it", "0 tasks, 0 waits outside of tasks"],
  "onBlocked({ overMs: 100 }, hook)": ["it[Symbol.dispose]()", undefined],
};

noLeaks();

describe("README.md", () => {
  const sections = hereLines(readFileSync(new URL("../README.md", import.meta.url), "utf8"));

  for (const [heading, lines] of sections) {
    describe(heading, () => {
      for (const line of lines) {
        it(line, async () => {
          const [proof, expected] = LINES[line] ?? [];
          assert(proof !== undefined, "tests/readme_test.ts must say what this line gives");
          const it = await run(line, proof);
          assertEquals(it, expected);
        });
      }
    });
  }

  it("has a table for each of those who come", () => {
    assertEquals([...sections.keys()], [
      "From gevent",
      "From greenlet",
      "From Go",
      "From Trio and Kotlin",
      "From p-limit and p-queue",
      "From RxJS and Effect",
      "From @std/async",
    ]);
  });

  it("has each line that is tested here", () => {
    const inReadme = new Set([...sections.values()].flat());
    assertEquals(Object.keys(LINES).filter((line) => !inReadme.has(line)), []);
  });
});

/** The cells below "here", by the heading of their section; each must be code and nothing else. */
function hereLines(text: string): Map<string, string[]> {
  const sections = new Map<string, string[]>();
  for (const section of text.split(/^##+ /m)) {
    const heading = section.slice(0, section.indexOf("\n"));
    let column = -1;
    for (const row of section.split("\n").map(cells)) {
      if (row.includes("here")) {
        column = row.indexOf("here");
        sections.set(heading, []);
      } else if (row.length === 0) {
        column = -1;
      } else if (column >= 0 && !/^-+$/.test(row[column]!)) {
        const cell = row[column] ?? "";
        const [, code] = /^`([^`]+)`$/.exec(cell) ?? [];
        if (code === undefined) throw new Error(`Cannot run cell: it must be code, got "${cell}"`);
        sections.get(heading)!.push(code);
      }
    }
  }
  return sections;
}

function cells(row: string): string[] {
  return row.startsWith("|") ? row.split("|").slice(1, -1).map((cell) => cell.trim()) : [];
}

/** Runs `line`, then gives what `proof` gives. */
async function run(line: string, proof: string): Promise<unknown> {
  // It is run as JavaScript, where this would be a comparison.
  const code = line.replaceAll(/(?<=\w)<string>/g, "");
  assert(!/\w<\w+>/.test(code), "type arguments other than <string> must be erased here");
  const words = new Set(`${code} ${proof}`.match(/\w+/g));
  const world: Record<string, unknown> = { ...baozi, ...net, ...patch };
  for (const [name, make] of Object.entries(PRELUDE)) if (words.has(name)) world[name] = make();
  const names = Object.keys(world);
  let program: (...args: unknown[]) => Promise<unknown>;
  try {
    program = new AsyncFunction(...names, `const it = (${code}\n); return (${proof});`);
  } catch {
    // No expression. In a block of its own, since it may declare a name of the prelude.
    program = new AsyncFunction(...names, `{ ${code};\nreturn (${proof}); }`);
  }
  return await program(...Object.values(world));
}

const AsyncFunction = (async () => {}).constructor as new (
  ...source: string[]
) => (...args: unknown[]) => Promise<unknown>;
