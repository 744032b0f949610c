// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What a dump says of live tasks, and how a task looks on a console.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { afterEach, test } from "node:test";
import { inspect } from "node:util";
import { Broadcast } from "../src/broadcast.ts";
import { Channel } from "../src/channel.ts";
import { config } from "../src/config.ts";
import { coroutine } from "../src/coroutine.ts";
import { Dump, dump } from "../src/dump.ts";
import { Event } from "../src/event.ts";
import { joinAll, killAll } from "../src/join.ts";
import { Mutex } from "../src/mutex.ts";
import { Pool } from "../src/pool.ts";
import { Queue } from "../src/queue.ts";
import { rateLimit } from "../src/rate_limit.ts";
import { scope } from "../src/scope.ts";
import { select } from "../src/select.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn, spawnLater } from "../src/spawn.ts";
import { currentTask, liveTasks, type Task } from "../src/task.ts";
import { withTimeout } from "../src/timeout.ts";
import { after, every } from "../src/timer.ts";
import { wait } from "../src/wait.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { steps } from "./steps.ts";

noLeaks();
afterEach(async () => {
  config.spawnStacks = config.waitTimes = false;
  const left = liveTasks().map(({ task }) => task);
  for (const task of left) void task.kill();
  await idle();
  assertEquals(left.map(({ name }) => name), [], "tasks are left");
});

/** The text of a dump with ids counted from 1 in the order of the lines. */
function textOf(found: Dump = dump()): string {
  const first = new Map(found.tasks.map(({ id }, i) => [String(id), String(i + 1)]));
  return found.toString().replace(/#(\d+)/g, (_, id) => `#${first.get(id) ?? "?"}`);
}

/** What the dump says that the task of this name does. */
function doing(name: string): string {
  const line = dump().toString().split("\n").find((line) => line.includes(`Task "${name}" (#`));
  return line?.replace(/^.*?\): /, "").replace(/#\d+/g, "#") ?? "no such task";
}

test("dump() gives nothing, no task alive", () => {
  assertEquals(textOf(), "0 tasks, 0 waits outside of tasks");
  assertEquals(JSON.stringify(dump()), '{"tasks":[],"outside":0}');
});

test("dump() lists tasks below their spawners, siblings in order of spawn", async () => {
  const jobs = new Channel<string>({ name: "jobs" });
  const tasks: Task[] = [];
  const idler = (name: string, fn: () => unknown = () => jobs.receive()) =>
    void tasks.push(spawn({ name }, fn) as Task);
  idler("a", () => {
    idler("a1", () => {
      idler("a1x");
      return jobs.receive();
    });
    idler("a2");
    return sleep(Infinity);
  });
  idler("b", () => {
    idler("orphan");
  });
  idler("c");
  await idle();
  assertEquals(
    textOf(),
    `6 tasks, 0 waits outside of tasks
  Task "a" (#1, running): sleep
    Task "a1" (#2, running): receive on Channel "jobs"
      Task "a1x" (#3, running): receive on Channel "jobs"
    Task "a2" (#4, running): receive on Channel "jobs"
  Task "c" (#5, running): receive on Channel "jobs"
  Task "orphan" (#6, running, spawned by #?, which has ended): receive on Channel "jobs"`,
  );
  await killAll(tasks);
  assertEquals(dump().tasks, []);
});

test("dump() gives JSON, each task with its level and the number of its spawner", async () => {
  const jobs = new Channel<string>({ name: "jobs" });
  let inner!: Task;
  const outer = spawn({ name: "outer" }, async () => {
    inner = spawn({ name: "inner" }, () => sleep(Infinity)) as Task;
    await jobs.receive();
  });
  await idle();
  const common = { state: "running", killed: false, current: false };
  assertEquals(JSON.parse(JSON.stringify(dump())), {
    tasks: [
      {
        id: outer.id,
        name: "outer",
        ...common,
        depth: 0,
        waits: [{ verb: "receive", kind: "Channel", name: "jobs", shielded: false }],
      },
      {
        id: inner.id,
        name: "inner",
        ...common,
        depth: 1,
        spawnerId: outer.id,
        waits: [{ verb: "sleep", kind: "sleep", shielded: false }],
      },
    ],
    outside: 0,
  });
  await killAll([outer, inner]);
});

test("dump() tells those that run, have not started, or wait on foreign promises", async () => {
  const { promise, open } = gate();
  const foreign = spawn({ name: "foreign" }, () => promise);
  await idle();
  const later = spawnLater(Infinity, { name: "later" }, () => {});
  const text = await spawn({ name: "looks" }, () => textOf());
  assertEquals(
    text,
    `3 tasks, 0 waits outside of tasks
  Task "foreign" (#1, running): runs, or waits on a foreign promise
  Task "later" (#2, pending): has not started
  Task "looks" (#3, running): runs now`,
  );
  open();
  await foreign;
  await later.kill();
});

test("dump() counts waits outside of tasks", async () => {
  const event = new Event();
  const waits = [event.wait(), event.wait()];
  assertEquals(dump().outside, 2);
  event.set();
  await Promise.all(waits);
  assertEquals(dump().outside, 0);
});

test("dump() names what each verb waits on", async () => {
  const jobs = new Channel<number>({ name: "jobs" });
  const queue = new Queue<number>(1);
  const lock = new Mutex({ name: "disk" });
  const held = await lock.acquire();
  const limit = rateLimit({ tokens: 1, per: 60_000, name: "api" });
  limit.tryAcquire();
  const event = new Event();
  const tasks = {
    receives: [() => jobs.receive(), 'receive on Channel "jobs"'],
    gets: [() => queue.get(), "get on Queue"],
    joins: [() => tasksByName.receives!.join(), 'join on Task "receives"'],
    locks: [() => lock.acquire(), 'lock on Mutex "disk"'],
    limited: [() => limit.acquire(), 'acquire on RateLimit "api"'],
    event: [() => event.wait(), "wait for Event"],
    limitedBody: [() => withTimeout(60_000, () => queue.get()), "get on Queue"],
    two: [
      () => Promise.all([jobs.receive(), queue.get()]),
      'receive on Channel "jobs"; get on Queue',
    ],
  } satisfies Record<string, [() => unknown, string]>;
  const tasksByName: Record<string, Task> = {};
  for (const [name, [fn]] of Object.entries(tasks)) {
    tasksByName[name] = spawn({ name }, fn as () => unknown) as Task;
  }
  await idle();
  for (const [name, [, expected]] of Object.entries(tasks)) assertEquals(doing(name), expected);
  await killAll(Object.values(tasksByName));
  held.release();
});

test("dump() lists the cases of a select, the tasks of a joinAll, the objects of a wait", async () => {
  const jobs = new Channel<number>({ name: "jobs" });
  using ticks = every(60_000);
  const never = new Promise(() => {});
  const idler = spawn({ name: "idler" }, () => sleep(Infinity)) as Task;
  const ended = spawn({ name: "ended" }, () => {}) as Task;
  const event = new Event();
  const tasks = [
    idler,
    spawn({ name: "selects" }, () => select([jobs, null, after(60_000), ticks, never])),
    spawn({ name: "joins" }, () => joinAll([idler, ended])),
    spawn({ name: "waits" }, () => wait([event, idler])),
    spawn({ name: "own" }, () =>
      select([{
        "~select": { ready: () => false, take: () => never, enlist() {}, delist() {} } as never,
      }])),
  ] as Task[];
  await idle();
  assertEquals(
    doing("selects"),
    'select (receive on Channel "jobs", after, tick on Ticker, wait until on Promise)',
  );
  assertEquals(doing("joins"), 'join tasks (join on Task "idler")');
  assertEquals(doing("waits"), 'wait (wait for Event, join on Task "idler")');
  assertEquals(doing("own"), "select (wait on Selectable)");
  await killAll(tasks);
});

test("dump() leaves out the tasks of a joinAll that have ended meanwhile", async () => {
  const release = new Event();
  const short = spawn({ name: "short" }, () => release.wait()) as Task;
  const long = spawn({ name: "long" }, () => sleep(Infinity)) as Task;
  const joins = spawn({ name: "joins" }, () => joinAll([short, long])) as Task;
  await idle();
  assertEquals(doing("joins"), 'join tasks (join on Task "short", join on Task "long")');
  release.set();
  await idle();
  assertEquals(doing("joins"), 'join tasks (join on Task "long")');
  await killAll([joins, long]);
});

test("dump() lists eight branches and counts the rest", async () => {
  const idlers = Array.from(
    { length: 10 },
    (_, i) => spawn({ name: `i${i}` }, () => sleep(Infinity)) as Task,
  );
  const joins = spawn({ name: "joins" }, () => joinAll(idlers)) as Task;
  await idle();
  assert(doing("joins").endsWith('join on Task "i7", 2 more)'), doing("joins"));
  await killAll([joins, ...idlers]);
});

test("dump() marks a wait behind a shield, of a task that is killed", async () => {
  const release = new Channel<void>({ name: "release" });
  const task = spawn({ name: "careful" }, async () => {
    try {
      await sleep(Infinity);
    } finally {
      await shield(() => release.receive());
    }
  });
  await idle();
  assertEquals(doing("careful"), "sleep");
  const killer = spawn({ name: "killer" }, () => task.kill());
  await idle();
  assertEquals(
    textOf(),
    `2 tasks, 0 waits outside of tasks
  Task "careful" (#1, running, killed): receive on Channel "release", shielded
  Task "killer" (#2, running): join on Task "careful", shielded`,
  );
  await release.send();
  await killer;
  assertEquals(dump().tasks, []);
});

test("dump() shows shielded waits below shields and in limits that are over", async () => {
  const release = new Channel<void>({ name: "release" });
  const task = spawn({ name: "nested" }, () =>
    shield(async () => {
      const two = [
        withTimeout(60_000, () => release.receive()),
        shield(() => release.receive()),
      ];
      await Promise.all(two);
      await withTimeout(0, () => shield(() => release.receive())).catch(() => {});
    }));
  await idle();
  const one = 'receive on Channel "release", shielded';
  assertEquals(doing("nested"), `${one}; ${one}`);
  await release.send();
  await idle();
  assertEquals(doing("nested"), one);
  await release.send();
  await idle();
  assertEquals(doing("nested"), one);
  await release.send();
  await task;
});

test("dump() shows a scope that waits for its children, and the body of one", async () => {
  const task = spawn({ name: "parent" }, () =>
    scope((s) => {
      s.spawn({ name: "child" }, () => sleep(Infinity));
    }, { name: "home" }));
  const body = spawn({ name: "body" }, () => scope(() => sleep(Infinity)));
  await idle();
  assertEquals(
    textOf(),
    `3 tasks, 0 waits outside of tasks
  Task "parent" (#1, running): close scope "home" (join on Task "child"), shielded
    Task "child" (#2, running): sleep
  Task "body" (#3, running): sleep`,
  );
  await killAll([task, body] as Task[]);
});

test("dump() names a pool that spawns into itself while full, and who holds it", async () => {
  const pool = new Pool(1);
  await pool.spawn({ name: "member" }, () => pool.spawn({ name: "second" }, () => {}));
  await idle();
  assertEquals(
    textOf(),
    `1 task, 0 waits outside of tasks
  Task "member" (#1, running): spawn on Pool, held by Task "member" (#1)`,
  );
  await pool.kill();
});

test("dump() names the task that holds a mutex", async () => {
  const lock = new Mutex();
  const holder = spawn({ name: "holder" }, () => lock.withLock(() => sleep(Infinity))) as Task;
  const waits = spawn({ name: "waits" }, () => lock.acquire()) as Task;
  await idle();
  assertEquals(doing("waits"), 'lock on Mutex, held by Task "holder" (#)');
  await killAll([waits, holder]);
});

test("dump() leaves out how long, config.waitTimes off; says it, on", async () => {
  using clock = new ManualClock();
  const news = new Broadcast<number>({ name: "news" });
  const reader = news.subscribe();
  const before = spawn({ name: "before" }, () => sleep(1000)) as Task;
  await idle();
  config.waitTimes = true;
  const task = spawn({ name: "timed" }, () => sleep(1000)) as Task;
  await idle();
  config.waitTimes = false;
  clock.advance(250);
  assertEquals(doing("before"), "sleep");
  assertEquals(doing("timed"), "sleep for 250 ms");
  assertEquals(dump().tasks.map(({ waits }) => waits[0]?.ms), [undefined, 250]);
  await killAll([before, task]);
  reader[Symbol.dispose]();
});

test("dump() tells where a task was spawned, config.spawnStacks on", async () => {
  const before = spawn({ name: "before" }, () => sleep(Infinity)) as Task;
  config.spawnStacks = true;
  function here(): Task[] {
    return [spawn({ name: "placed" }, () => sleep(Infinity)) as Task]; // a tail call has no frame in Bun
  }
  const [task] = here();
  config.spawnStacks = false;
  const [first, second] = dump().tasks;
  assertEquals(first?.spawnedAt, undefined);
  const [frame = ""] = second?.spawnedAt ?? [];
  assertStringIncludes(frame, "here");
  assertStringIncludes(frame, "dump_test.ts:");
  assertStringIncludes(dump().toString(), `\n    spawned at ${frame}`);
  await killAll([before, task!]);
});

test("dump() is a copy", async () => {
  const task = spawn({ name: "short" }, () => sleep(0));
  const found = dump();
  await task;
  assertEquals(found.tasks.map(({ name, state }) => [name, state]), [["short", "pending"]]);
});

test("dump() keeps nothing of a chain of 10,000 tasks that spawn each other", async () => {
  const step = steps();
  config.spawnStacks = true;
  let most = 0, first: WeakRef<Task> | undefined;
  const last = new Event();
  const link = (left: number): void => {
    if (left === 5000) config.spawnStacks = false; // to be quick
    most = Math.max(most, liveTasks().length);
    if (left === 0) return last.set();
    const task = spawn(link, left - 1);
    first ??= new WeakRef(task as Task);
  };
  // One that stays knows only the number of the one before it.
  spawn(link, 10_000);
  await last.wait();
  const survivor = spawn(() => sleep(Infinity)) as Task;
  step(1);
  await idle();
  assert(most <= 2, `${most} at once`);
  assertEquals(dump().tasks.length, 1);
  await survivor.kill();
  assertEquals(dump().tasks, []);
  const collect = await collector();
  if (collect !== undefined) {
    await idle();
    collect();
    await idle();
    collect();
    assertEquals(first?.deref(), undefined, "the first of the chain is kept");
  }
  step.end(2);
});

test("dump() keeps nothing of the chain, the last of which is alive", async () => {
  let first: WeakRef<Task> | undefined;
  let last: Task | undefined;
  const link = async (left: number): Promise<void> => {
    await sleep(0);
    if (left === 0) return void (await sleep(Infinity));
    last = spawn(link, left - 1) as Task;
    first ??= new WeakRef(last);
  };
  config.spawnStacks = true;
  spawn(link, 200);
  await idle();
  config.spawnStacks = false;
  assertEquals(dump().tasks.length, 1);
  const collect = await collector();
  if (collect !== undefined) {
    collect();
    await idle();
    collect();
    assertEquals(first?.deref(), undefined, "the first of the chain is kept");
  }
  await last!.kill();
});

test("dump() keeps no task by those that were spawned before and after it", async () => {
  const kept: Task[] = [], gone: Array<WeakRef<Task>> = [];
  const three = async (order: number[], keep: number): Promise<void> => {
    const gates = order.map(() => new Event());
    const tasks = gates.map((gate) => spawn(() => gate.wait()) as Task);
    for (const i of order) {
      gates[i]!.set();
      await idle();
    }
    kept.push(tasks[keep]!);
    gone.push(new WeakRef(tasks[1]!));
  };
  for (let i = 0; i < 20; i++) await three(i % 2 === 0 ? [0, 1, 2] : [2, 1, 0], i % 2 * 2);
  const collect = await collector();
  for (let i = 0; i < 3; i++) {
    await idle();
    collect?.();
  }
  // The newest may still lie on a stack.
  const left = collect === undefined ? 0 : gone.filter((task) => task.deref() !== undefined).length;
  assert(left <= 4, `${left} are kept`);
  assertEquals(kept.filter(({ ready }) => ready).length, 20);
});

test("dump() shows a chain of 10,000 live tasks, no deeper than it can", async () => {
  const tasks: Task[] = [];
  const link = (left: number): Promise<void> => {
    if (left > 1) tasks.push(spawn(link, left - 1) as Task);
    return sleep(Infinity);
  };
  tasks.push(spawn(link, 10_000) as Task);
  await idle();
  const found = dump();
  assertEquals(found.tasks.at(-1)?.depth, 9_999);
  const text = found.toString();
  assertEquals(text.split("\n").length, 10_001);
  assert(text.length < 2_000_000, `${text.length} characters`);
  assertEquals(JSON.parse(JSON.stringify(found)).tasks.length, 10_000);
  await killAll(tasks);
});

test("Dump shows its text on a console", async () => {
  const task = spawn({ name: "shown" }, () => sleep(Infinity));
  await idle();
  assertEquals(inspect(dump()), dump().toString());
  assert(dump() instanceof Dump);
  await task.kill();
});

test("Task.toString() says name, state and what it waits on", async () => {
  const jobs = new Channel<number>({ name: "jobs" });
  const task = spawn({ name: 'the "cook"' }, () => jobs.receive());
  assertEquals(String(task), 'Task "the \\"cook\\"" (pending)');
  await idle();
  assertEquals(`${task}`, 'Task "the \\"cook\\"" (running: receive on Channel "jobs")');
  await jobs.send(1);
  await task;
  assertEquals(task.toString(), 'Task "the \\"cook\\"" (succeeded)');
});

test("Task shows its text on a console, also inside other things", async () => {
  const task = spawn({ name: "shown" }, () => sleep(Infinity)) as Task;
  await idle();
  const logged = console.log;
  assertEquals(inspect(task), 'Task "shown" (running: sleep)');
  assertStringIncludes(inspect({ task }), 'Task "shown" (running: sleep)');
  const { Deno } = globalThis as { Deno?: { inspect(value: unknown): string } };
  if (Deno !== undefined) assertEquals(Deno.inspect(task), 'Task "shown" (running: sleep)');
  assertEquals(console.log, logged);
  assertEquals(Object.keys(task).includes("toString"), false);
  await task.kill();
});

test("Task.toString() of the running task names no wait", async () => {
  const text = await spawn({ name: "me" }, () => String(currentTask()));
  assertEquals(text, 'Task "me" (running)');
});

/** Collects garbage, where that can be asked for. */
async function collector(): Promise<(() => void) | undefined> {
  const { Bun, gc } = globalThis as { Bun?: { gc(now: boolean): void }; gc?: () => void };
  if (Bun !== undefined) return () => Bun.gc(true);
  if (gc !== undefined) return gc;
  try {
    const { setFlagsFromString } = await import("node:v8");
    const { runInNewContext } = await import("node:vm");
    setFlagsFromString("--expose-gc");
    return runInNewContext("gc") as () => void;
  } catch {
    return undefined;
  }
}

test("dump() tells of a task that closes a coroutine, shielded or not", async () => {
  const opened = new Event();
  const body = coroutine(async function* () {
    try {
      yield;
    } finally {
      await opened.wait();
    }
  });
  const close = async () => {
    const co = body();
    await co.next();
    await co.close();
  };
  const tasks = [spawn({ name: "plain" }, close), spawn({ name: "shielded" }, () => shield(close))];
  await idle();
  const waits = 'send on Coroutine "body", shielded; wait for Event, shielded'.replace(
    ' "body"',
    "",
  );
  for (const task of tasks) {
    assertEquals(doing(task.name), waits);
    assertEquals(String(task), `Task "${task.name}" (running: ${waits})`);
  }
  opened.set();
  await joinAll(tasks);
});
