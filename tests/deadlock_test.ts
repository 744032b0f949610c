// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What a deadlock says of itself, when it is raised and when it never is, and what a stall tells.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Context, currentContext, runIn } from "../src/_kernel/current.ts";
import { hooks } from "../src/_kernel/hooks.ts";
import { stuck } from "../src/_kernel/waiter.ts";
import { Channel } from "../src/channel.ts";
import { config } from "../src/config.ts";
import { coroutine } from "../src/coroutine.ts";
import { findDeadlock, onStall, type StallReport } from "../src/deadlock.ts";
import { Deferred } from "../src/deferred.ts";
import { DeadlockError, type DeadlockWait } from "../src/errors.ts";
import { Event } from "../src/event.ts";
import { greenlet } from "../src/greenlet.ts";
import { joinAll, killAll } from "../src/join.ts";
import { Mutex } from "../src/mutex.ts";
import { Pool } from "../src/pool.ts";
import { scope } from "../src/scope.ts";
import { select } from "../src/select.ts";
import { Semaphore } from "../src/semaphore.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn, spawnLater } from "../src/spawn.ts";
import type { Task } from "../src/task.ts";
import { withTimeout } from "../src/timeout.ts";
import { after } from "../src/timer.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { until } from "../src/until.ts";
import { type Exit, runChild } from "./child.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome } from "./outcome.ts";

noLeaks();

/** The deadlock that there must be, its task numbers counted from 1 in order of appearance. */
function textOf(body?: Context): string {
  return numbered(findDeadlock(body)!.error.message);
}

function numbered(text: string): string {
  const numbers = new Map<string, number>();
  return text.replace(/#\d+/g, (id) => {
    if (!numbers.has(id)) numbers.set(id, numbers.size + 1);
    return `#${numbers.get(id)}`;
  });
}

/** Raises it, as the host does when it has nothing left to do. */
function raise(): void {
  stuck.on!();
}

/** A wait of the main program that ends with the test. */
function mainWait(): { end(): Promise<void> } {
  const ch = new Channel<void>({ name: "main" });
  const waiting = ch.receive();
  return {
    end: async () => {
      assert(ch.trySend());
      await waiting;
    },
  };
}

// -- The text --

test("findDeadlock() names a cycle of locks first, then the other waits", async () => {
  const left = new Mutex({ name: "left" }), right = new Mutex({ name: "right" });
  const jobs = new Channel<number>({ name: "jobs" });
  const grab = async (one: Mutex, other: Mutex) => {
    await one.acquire();
    await sleep(0);
    await other.acquire();
  };
  const worker = spawn({ name: "worker" }, () => jobs.receive());
  const a = spawn({ name: "a" }, grab, left, right);
  const b = spawn({ name: "b" }, grab, right, left);
  const joined = outcome(a.join());
  await idle();
  assertEquals(
    textOf(),
    `Cannot go on: somebody must be able to run, got 4 waits that nothing can end
  Each of these waits for the next one, the last for the first:
    Task "a" (#1): lock on Mutex "right", held by Task "b" (#2); needs an unlock by Task "b" (#2)
    Task "b" (#2): lock on Mutex "left", held by Task "a" (#1); needs an unlock by Task "a" (#1)
  And besides:
    The main program: join on Task "a"; needs Task "a" (#1) to end
    Task "worker" (#3): receive on Channel "jobs"; needs a send or a close
  config.spawnStacks = true tells where each task was spawned`,
  );
  await killAll([a, b, worker]);
  assertEquals(joined.state, "resolved");
});

test("findDeadlock() finds the main program in a cycle: it holds the lock that its task wants", async () => {
  const mutex = new Mutex({ name: "m" });
  const lock = await mutex.acquire();
  const task = spawn({ name: "t" }, () => mutex.withLock(() => {}));
  const got = task.get();
  await idle();
  assertEquals(
    textOf(),
    `Cannot go on: somebody must be able to run, got 2 waits that nothing can end
  Each of these waits for the next one, the last for the first:
    The main program: join on Task "t"; needs Task "t" (#1) to end
    Task "t" (#1): lock on Mutex "m"; needs an unlock by the main program
  config.spawnStacks = true tells where each task was spawned`,
  );
  lock.release();
  await got;
});

test("findDeadlock() finds one that waits for itself, and tasks that join each other", async () => {
  const mutex = new Mutex({ name: "m" });
  const main = mainWait();
  const self = spawn({ name: "self" }, async () => {
    await mutex.acquire();
    await mutex.acquire();
  });
  await idle();
  assertEquals(
    textOf().split("\n")[2],
    '    Task "self" (#1): lock on Mutex "m", held by Task "self" (#1); needs an unlock by Task "self" (#1)',
  );
  await self.kill();
  const ring: Task[] = [];
  for (const i of [0, 1, 2]) ring.push(spawn({ name: `r${i}` }, () => ring[(i + 1) % 3]!.join()));
  await idle();
  assertEquals(textOf().split("\n").slice(1, 6), [
    "  Each of these waits for the next one, the last for the first:",
    '    Task "r0" (#1): join on Task "r1"; needs Task "r1" (#2) to end',
    '    Task "r1" (#2): join on Task "r2"; needs Task "r2" (#3) to end',
    '    Task "r2" (#3): join on Task "r0"; needs Task "r0" (#1) to end',
    "  And besides:",
  ]);
  await killAll(ring);
  await main.end();
});

test("findDeadlock() goes through pools, scopes, joinAll and select to the tasks behind them", async () => {
  const pool = new Pool(1);
  const { task: member } = await pool.spawn({ name: "member" }, () => pool.spawn(() => {}));
  const ch = new Channel<number>({ name: "ch" });
  const children = spawn({ name: "parent" }, () =>
    scope((s) => {
      s.spawn({ name: "child" }, () => children.join());
    }));
  const chooser = spawn({ name: "chooser" }, () => select({ ch, member }));
  const joined = outcome(joinAll([member, chooser]));
  await idle();
  assertEquals(
    textOf(),
    `Cannot go on: somebody must be able to run, got 5 waits that nothing can end
  Each of these waits for the next one, the last for the first:
    Task "member" (#1): spawn on Pool, held by Task "member" (#1); needs Task "member" (#1) to end
  And besides:
    The main program: join tasks (join on Task "member", join on Task "chooser"); needs Task "member" (#1), Task "chooser" (#2) to end
    Task "parent" (#3): close scope (join on Task "child"), shielded; needs Task "child" (#4) to end
    Task "chooser" (#2): select (receive on Channel "ch", join on Task "member"); needs one of its cases by Task "member" (#1)
    Task "child" (#4): join on Task "parent"; needs Task "parent" (#3) to end
  config.spawnStacks = true tells where each task was spawned`,
  );
  await killAll([member, children, chooser]);
  assertEquals(joined.state, "resolved");
});

test("findDeadlock() says of each thing what it needs", async () => {
  const full = new Channel<number>({ capacity: 1, name: "full" });
  full.trySend(0);
  const body = coroutine(async function* () {
    yield await new Promise<void>((resolve) => openers.push(resolve));
  })();
  const openers: Array<() => void> = [];
  const waits: Array<[string, () => unknown]> = [
    ["a receive or a close", () => full.send(1)],
    ["a resolve or a reject", () => new Deferred<void>().get()],
    ["a set", () => new Event().wait()],
    ["a release", () => new Semaphore(0).acquire()],
    ["its body to yield or to end", () => body.next()],
    ["nothing: it sleeps for ever", () => sleep(Infinity)],
  ];
  const main = mainWait();
  const tasks = waits.map(([, fn]) => spawn(fn));
  await idle();
  assertEquals(
    findDeadlock()!.error.waits.slice(1).map(({ needs }) => needs),
    waits.map(([needs]) => needs),
  );
  await killAll(tasks);
  openers.forEach((open) => open());
  await body.close();
  await main.end();
});

test("findDeadlock() lists tasks that wait on no wait of the library, or have not started", async () => {
  const { promise, open } = gate();
  const raw = spawn({ name: "raw" }, () => promise);
  const later = spawnLater(Infinity, { name: "later" }, () => {});
  const waiting = raw.join();
  await idle();
  assertEquals(
    textOf().split("\n").slice(2, 5),
    [
      '    The main program: join on Task "raw"; needs Task "raw" (#1) to end',
      '    Task "raw" (#1): runs, or waits on a foreign promise; needs that promise to settle',
      '    Task "later" (#2): has not started; needs its time to come',
    ],
  );
  open();
  await waiting;
  await later.kill();
});

test("findDeadlock() tells where a task was spawned if config.spawnStacks was on", async () => {
  config.spawnStacks = true;
  const task = spawn({ name: "t" }, () => sleep(Infinity));
  config.spawnStacks = false;
  const joined = task.join();
  await idle();
  const { error } = findDeadlock()!;
  assert(/\n {6}spawned at .*deadlock_test\.ts:\d+/.test(error.message), error.message);
  assert(!error.message.includes("config.spawnStacks"));
  assert(error.waits[1]!.spawnedAt![0]!.includes("deadlock_test"));
  await task.kill();
  await joined;
});

test("findDeadlock() lists a hundred waits and counts the others", async () => {
  const ch = new Channel<number>();
  const main = mainWait();
  const tasks = Array.from({ length: 1000 }, () => spawn(() => ch.receive()));
  await idle();
  const { error } = findDeadlock()!;
  assertEquals(error.waits.length, 100);
  const lines = error.message.split("\n");
  assertEquals(lines.length, 104);
  assertEquals(lines[102], "    and 901 more waits");
  assert(lines[0]!.includes("got 1001 waits"));
  await killAll(tasks);
  await main.end();
});

test("findDeadlock() is linear in who waits: a full pool with ten thousand in its queue", async () => {
  const pool = new Pool(2_000);
  const stop = new Event();
  const main = mainWait();
  for (let i = 0; i < 2_000; i++) await pool.spawn(() => stop.wait());
  const tasks = Array.from({ length: 10_000 }, () => spawn(() => pool.spawn(() => {})));
  await idle();
  const start = performance.now();
  assertEquals(findDeadlock()!.error.waits.length, 100);
  assert(performance.now() - start < 2_000);
  await killAll(tasks);
  stop.set();
  await pool.join();
  await main.end();
});

test("findDeadlock() follows a chain of joins that is deeper than a stack", async () => {
  let last: Task = spawn({ name: "first" }, () => sleep(Infinity));
  const first = last;
  for (let i = 0; i < 50_000; i++) {
    const before = last;
    last = spawn(() => before.join());
  }
  const joined = last.join();
  await idle();
  assert(!findDeadlock()!.error.message.includes("Each of these"));
  await first.kill();
  await joined;
});

test("DeadlockError.waits has the same as data, hidden from consoles", async () => {
  const mutex = new Mutex({ name: "m" });
  await mutex.acquire();
  const task = spawn({ name: "t" }, () => mutex.acquire());
  const joined = task.join();
  await idle();
  const { error } = findDeadlock()!;
  const [main, other] = error.waits as [DeadlockWait, DeadlockWait];
  assertEquals([main, other], [
    {
      cycle: true,
      verb: "join",
      kind: "Task",
      name: "t",
      text: 'join on Task "t"',
      needs: `Task "t" (#${task.id}) to end`,
      wakers: [{ id: task.id, name: "t" }],
    },
    {
      task: { id: task.id, name: "t" },
      cycle: true,
      verb: "lock",
      kind: "Mutex",
      name: "m",
      text: 'lock on Mutex "m"',
      needs: "an unlock by the main program",
      wakers: [],
    },
  ]);
  assertEquals(Object.keys(error).includes("waits"), false);
  assert(!error.stack!.includes("deadlock.ts"), error.stack);
  assert(new Error("later").stack!.includes("deadlock_test"), "stacks are as they were");
  assertEquals(new DeadlockError("m").waits, []);
  await task.kill();
  await joined;
});

// -- When it is certain --

test("findDeadlock() is undefined while a timer may still end a wait", async () => {
  const main = mainWait();
  for (
    const task of [
      spawn(() => sleep(60_000)),
      spawnLater(60_000, () => {}),
      spawn(() => new Channel().receive({ timeout: 60_000 })),
      spawn(() => select({ never: new Channel(), late: after(60_000) })),
    ]
  ) {
    await idle();
    assertEquals(findDeadlock(), undefined);
    await task.kill();
  }
  assert(findDeadlock() !== undefined);
  await main.end();
});

test("findDeadlock() is undefined while a foreign promise or a signal may still end a wait", async () => {
  const main = mainWait();
  const { promise, open } = gate();
  const foreign = spawn(() => until(promise));
  await idle();
  assertEquals(findDeadlock(), undefined);
  open();
  await foreign;
  assert(findDeadlock() !== undefined);
  const controller = new AbortController();
  const { signal } = controller;
  const waits = spawn(() => new Channel().receive({ signal }));
  await idle();
  assertEquals(findDeadlock(), undefined);
  controller.abort();
  await waits.join();
  assert(findDeadlock() !== undefined);
  const second = new AbortController();
  const task = spawn({ signal: second.signal }, () => sleep(Infinity));
  await idle();
  assertEquals(findDeadlock(), undefined);
  second.abort();
  await task.join();
  assert(findDeadlock() !== undefined);
  await main.end();
});

test("findDeadlock() is undefined while somebody stands in the run queue", async () => {
  const main = mainWait();
  const turn = sleep(0);
  assertEquals(findDeadlock(), undefined);
  await turn;
  assert(findDeadlock() !== undefined);
  await main.end();
});

test("findDeadlock() is undefined while only tasks are parked, or greenlets suspended", async () => {
  const task = spawn(() => sleep(Infinity));
  const main = greenlet(() => {}).parent!;
  const g = greenlet(() => main.switch("here"));
  assertEquals(await g.switch(), "here");
  await idle();
  assertEquals(findDeadlock(), undefined);
  const switched = outcome(greenlet(() => sleep(Infinity).catch(() => {})).switch());
  await idle();
  const { error } = findDeadlock()!;
  const [first, second] = error.waits;
  assert(error.message.includes("\n    and 1 wait of no task, such as a suspended greenlet\n"));
  assertEquals([first!.kind, first!.needs, second!.verb], [
    "Greenlet",
    "a switch back to it",
    "sleep",
  ]);
  raise();
  await idle();
  assertEquals(switched.state, "rejected");
  raise(); // the sleep in the body of the other one is a wait of the main program too
  await idle();
  await g.throw().catch(() => {});
  await task.kill();
});

test("findDeadlock() of a body finds its oldest wait, in a task or not, and not those around it", async () => {
  const main = mainWait();
  const ch = new Channel<void>({ name: "inside" });
  const body = new Context(null);
  const inside = runIn(body, () => ch.receive());
  const found = findDeadlock(body)!;
  assertEquals(found.error.waits.map(({ name }) => name), ["inside"]);
  found.outermost.cancel(found.error);
  assertStrictEquals(await inside.catch((error: unknown) => error), found.error);
  assertEquals(findDeadlock(body), undefined);
  let context: Context | null = null;
  const task = spawn({ name: "tester" }, () => {
    context = currentContext();
    return ch.receive();
  });
  const timer = spawn(() => sleep(60_000));
  await idle();
  const other = findDeadlock(context!)!; // the caller knows that nothing can end it
  other.outermost.cancel(other.error);
  await assertRejects(() => task.get(), DeadlockError, 'Task "tester"');
  await timer.kill();
  await main.end();
});

// -- The raise --

test("a deadlock rejects the oldest wait of the main program, the others stay parked", async () => {
  const first = new Channel<number>({ name: "first" }), second = new Channel<number>();
  const task = spawn(() => second.receive());
  const one = outcome(first.receive()), two = outcome(withTimeoutOfNever(second));
  await idle();
  raise();
  await idle();
  assertEquals([one.state, two.state, task.state], ["rejected", "pending", "running"]);
  assert(one.error instanceof DeadlockError);
  // It has left the channel: no value goes to it any more.
  assertEquals(first.trySend(1), false);
  raise();
  await idle();
  assertEquals(two.state, "rejected");
  raise(); // the main program waits no more
  assertEquals(task.state, "running");
  await task.kill();
});

function withTimeoutOfNever(ch: Channel<number>): Promise<number> {
  return withTimeout(Infinity, () => ch.receive());
}

test("a deadlock leaves a scope of the main program with its error, its children killed", async () => {
  const seen: string[] = [];
  const scoped = outcome(scope(async (s) => {
    s.spawn(async () => {
      try {
        await sleep(Infinity);
      } finally {
        seen.push("cleaned");
      }
    });
    await new Event().wait();
  }));
  await idle();
  raise();
  await idle();
  assertEquals([scoped.state, seen], ["rejected", ["cleaned"]]);
  assert(scoped.error instanceof DeadlockError);
});

test("a deadlock reaches a shielded wait of the main program", async () => {
  const ch = new Channel<number>();
  const shielded = outcome(shield(() => ch.receive()));
  await idle();
  raise();
  await idle();
  assert(shielded.error instanceof DeadlockError);
});

// -- Stalls --

/** A watch whose reports can be waited for, however slow the host is. */
function watchStalls(afterMs: number): Disposable & {
  reports: StallReport[];
  next(): Promise<StallReport>;
} {
  const reports: StallReport[] = [];
  let told = (_report: StallReport): void => {};
  const watch = onStall({ afterMs }, (report) => {
    reports.push(report);
    told(report);
  });
  return {
    reports,
    next: () => alive(new Promise<StallReport>((resolve) => told = resolve)),
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}

/** Keeps the process alive until `promise` settles: a watch does not. */
async function alive<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 10);
  const value = await promise;
  clearInterval(timer);
  return value;
}

/** Real time that is no wait of this library. */
function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test("onStall() tells once of a stall, with what may still end it", async () => {
  const { promise, open } = gate();
  const tasks = [
    spawn({ name: "a" }, () => until(promise)),
    spawn({ name: "b" }, () => until(promise)),
    spawn({ name: "c" }, () => sleep(60_000)),
  ];
  await idle();
  using watch = watchStalls(20);
  await watch.next();
  await pass(200);
  const { reports } = watch;
  assertEquals(reports.length, 1);
  const { ms, outside, timers, signals, text, waits } = reports[0]!;
  assert(ms >= 20, `${ms}`);
  assertEquals([outside, timers, signals, waits.length], [2, 1, 0, 3]);
  assertEquals(
    numbered(text).replace(/\d+ ms/, "20 ms").split("\n").slice(0, 3),
    [
      "Nothing has moved for 20 ms: 3 waits, 2 waits on the host, 1 timer may still end one",
      "  Who waits:",
      '    Task "a" (#1): wait until on Promise; needs the host',
    ],
  );
  open();
  await killAll(tasks);
});

test("onStall() tells of each stall anew, and of none while nobody waits", async () => {
  const ch = new Channel<number>();
  using watch = watchStalls(20);
  await pass(150);
  assertEquals(watch.reports, []);
  const first = watch.next();
  const task = spawn(() => ch.receive());
  const { text } = await first;
  assert(text.includes("nothing known to this library can end one"), text);
  assert(ch.trySend(1));
  await task;
  const second = watch.next();
  const next = spawn(() => ch.receive());
  await second;
  await next.kill();
  assertEquals(watch.reports.length, 2);
});

test("onStall() says nothing while waits begin and end", async () => {
  const main = mainWait();
  using watch = watchStalls(5_000);
  for (let i = 0; i < 20; i++) await sleep(5);
  assertEquals(watch.reports, []);
  await main.end();
});

test("onStall() ends by its disposal, twice, and leaves no listener", async () => {
  const main = mainWait();
  let told = 0;
  const watch = onStall({ afterMs: 5 }, () => told++);
  watch[Symbol.dispose]();
  watch[Symbol.dispose]();
  assertEquals(hooks.on, null);
  await pass(100);
  assertEquals(told, 0);
  await main.end();
});

test("onStall() hands the errors of its hook to onUnhandled", async () => {
  const main = mainWait();
  const told = gate<unknown>();
  using _hook = onUnhandled((error) => told.open(error));
  using _watch = onStall({ afterMs: 5 }, () => {
    throw "from the hook";
  });
  assertEquals(await alive(told.promise), "from the hook");
  await main.end();
});

test("onStall() refuses wrong arguments, and takes Infinity", () => {
  const hook = () => {};
  onStall({ afterMs: Infinity }, hook)[Symbol.dispose]();
  for (const afterMs of [-1, 0, NaN]) {
    assertThrows(() => onStall({ afterMs }, hook), RangeError, "afterMs must be");
  }
  for (const options of [{}, undefined, { afterMs: "1" }]) {
    assertThrows(() => onStall(options as never, hook), TypeError, "afterMs must be");
  }
  assertThrows(() => onStall({ afterMs: 1 }, 5 as never), TypeError, "hook must be a function");
  assertEquals(hooks.on, null);
});

// -- Whole programs --

const DENO = "Deno" in globalThis;

/** The main program as a function that nobody awaits. */
function inMain(body: string): string {
  return `
    const { Channel, DeadlockError, joinAll, Mutex, sleep, spawn, until } = await load();
    const main = async () => { ${body} };
    main();
  `;
}

function assertDeadlock({ code, stdout, stderr }: Exit, text: string): void {
  const printed = stdout + stderr;
  assertEquals(code, 1, printed);
  assertEquals(printed.split("DeadlockError: Cannot go on").length - 1, 1, printed);
  assert(printed.includes(text), printed);
}

test("process in a deadlock ends with code 1 and names who waits, printed once", async () => {
  const exit = await runChild(inMain(`
    const ch = new Channel({ name: "jobs" });
    spawn({ name: "worker" }, () => ch.receive());
    await ch.receive();
  `));
  assertDeadlock(
    exit,
    `Cannot go on: somebody must be able to run, got 2 waits that nothing can end
  Who waits:
    The main program: receive on Channel "jobs"; needs a send or a close
    Task "worker" (#1): receive on Channel "jobs"; needs a send or a close
  config.spawnStacks = true tells where each task was spawned`,
  );
  assert(!exit.stderr.includes("deadlock.ts"), exit.stderr);
});

test("process in a deadlock at a top-level await ends with code 1; Deno has words of its own for it", async () => {
  const exit = await runChild(`
    const { Channel, sleep, spawn } = await load();
    const ch = new Channel({ name: "jobs" });
    await sleep(5);
    await ch.receive();
  `);
  if (!DENO) return assertDeadlock(exit, 'The main program: receive on Channel "jobs"');
  assertEquals(exit.code, 1);
  assert(exit.stderr.includes("Top-level await promise never resolved"), exit.stderr);
});

test("process that catches a deadlock goes on, and meets the next one", async () => {
  const exit = await runChild(inMain(`
    const ch = new Channel({ name: "first" });
    for (let i = 0; i < 3; i++) {
      await ch.receive().catch((error) => console.log(error instanceof DeadlockError));
    }
    await sleep(5);
    await spawn({ name: "t" }, () => sleep(1)).join();
    console.log("went on");
    await new Channel({ name: "last" }).receive();
  `));
  assertDeadlock(exit, 'receive on Channel "last"');
  assert(exit.stdout.startsWith("true\ntrue\ntrue\nwent on"), exit.stdout);
});

test("process ends quietly when its main program has ended, whoever is parked", async () => {
  const exit = await runChild(inMain(`
    const ch = new Channel();
    spawn(() => ch.receive());
    spawn(() => sleep(Infinity));
    await sleep(1);
    console.log("done");
  `));
  assertEquals(exit, { code: 0, stdout: "done", stderr: "" });
});

/** Waits on a channel that only the host's work, begun by `start`, will serve, much later. */
function servedBy(start: string): string {
  return `
    const { Channel } = await load();
    const { Worker } = await import("node:worker_threads");
    const net = await import("node:net");
    const ch = new Channel();
    const serve = (value) => ch.trySend(value);
    /** Does it in another thread, which keeps nobody alive; resolves to its first message. */
    const elsewhere = (program) => new Promise((resolve) => {
      const worker = new Worker(program, { eval: true });
      worker.once("message", (message) => {
        worker.unref();
        resolve(message);
      });
    });
    void (async () => {
      ${start}
      console.log(await ch.receive().catch((error) => error.name));
      process.exit(0);
    })();
  `;
}

/** A server in another thread that says something after a while. */
const SLOW_SERVER = `
  const net = process.getBuiltinModule("node:net");
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    setTimeout(() => socket.end("HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nserved"), 1500);
  });
  server.listen(0, "127.0.0.1", () =>
    process.getBuiltinModule("node:worker_threads").parentPort.postMessage(server.address().port));
`;

for (
  const [what, start] of [
    ["timer", `setTimeout(serve, 1500, "served");`],
    [
      "worker",
      `
      new Worker("setTimeout(() => process.getBuiltinModule('node:worker_threads').parentPort.postMessage('served'), 1500)",
        { eval: true }).on("message", serve);`,
    ],
    [
      "fetch",
      `
      const port = await elsewhere(${JSON.stringify(SLOW_SERVER)});
      fetch("http://127.0.0.1:" + port).then((response) => response.text()).then(serve);`,
    ],
    [
      "open socket",
      `
      const port = await elsewhere(${JSON.stringify(SLOW_SERVER)});
      net.connect(port, "127.0.0.1").on("data", () => serve("served"));`,
    ],
    [
      "open server",
      `
      const server = net.createServer(() => serve("served"));
      await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
      await elsewhere("setTimeout(() => process.getBuiltinModule('node:net').connect(" + server.address().port +
        ", '127.0.0.1').on('error', () => {}), 1500);" +
        "process.getBuiltinModule('node:worker_threads').parentPort.postMessage(1);");`,
    ],
    [
      "child process",
      `
      const { execFile } = await import("node:child_process");
      execFile("sleep", ["1.5"], () => serve("served"));`,
    ],
  ] as const
) {
  test(`process that waits is told of no deadlock while its host works on: ${what}`, async () => {
    const { code, stdout, stderr } = await runChild(servedBy(start));
    assertEquals([code, stdout], [0, "served"], stderr);
  });
}

test("process that waits for a foreign promise, or follows a signal, is told of no deadlock", async () => {
  for (
    const wait of [
      "until(new Promise(() => {}))",
      "new Channel().receive({ signal: new AbortController().signal })",
      "joinAll([spawn({ signal: new AbortController().signal }, () => sleep(Infinity))])",
    ]
  ) {
    const exit = await runChild(inMain(`console.log("waits"); await ${wait};`));
    assertEquals(exit, { code: 0, stdout: "waits", stderr: "" }, wait);
  }
});

test("process ends with a deadlock though a timer is left that keeps nobody alive", async () => {
  const exit = await runChild(inMain(`
    const ch = new Channel({ name: "late" });
    const timer = setTimeout(() => ch.trySend(1), 5_000);
    if (typeof timer === "object") timer.unref();
    else Deno.unrefTimer(timer);
    await ch.receive();
  `));
  assertDeadlock(exit, 'receive on Channel "late"');
});

test("process with a stall watch ends when its work is done", async () => {
  const exit = await runChild(inMain(`
    const { onStall } = await load();
    onStall({ afterMs: 3_600_000 }, () => {});
    onStall({ afterMs: 20 }, ({ waits }) => console.log("stall", waits.length));
    spawn(() => sleep(Infinity));
    await sleep(200);
  `));
  assertEquals(exit, { code: 0, stdout: "stall 2", stderr: "" });
});
