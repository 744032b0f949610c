// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import {
  assert,
  assertEquals,
  assertIsError,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { test } from "node:test";
import { clock } from "../../src/_kernel/clock.ts";
import { hooks } from "../../src/_kernel/hooks.ts";
import { Channel } from "../../src/channel.ts";
import { config } from "../../src/config.ts";
import { scope } from "../../src/scope.ts";
import { after, every } from "../../src/timer.ts";
import { select } from "../../src/select.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import type { Task } from "../../src/task.ts";
import { withTimeout } from "../../src/timeout.ts";
import { leaks, liveWaiters } from "../../src/testing/leaks.ts";
import { gate } from "../gate.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { inKilledTask } from "../waits.ts";

noLeaks();

/** What `leaks(fn)` rejects with; fails if it does not. */
async function leaked(fn: () => unknown): Promise<string> {
  return (await assertRejects(() => leaks(fn), Error)).message;
}

test("liveWaiters() counts the parked waits, several things as one", async () => {
  const [a, b] = [new Channel<number>(), new Channel<number>()];
  const waits = [a.receive(), select({ a, b }), sleep(60_000, { signal: AbortSignal.abort() })];
  waits[2]!.catch(() => {});
  assertEquals(liveWaiters(), 2);
  a.close();
  b.close();
  await Promise.allSettled(waits);
  assertEquals(liveWaiters(), 0);
});

test("leaks() gives what fn gives when nothing is left", async () => {
  assertEquals(await leaks(() => 7), 7);
  const value = await leaks(() =>
    scope(async (s) => {
      using ticks = every(1);
      const ch = new Channel<string>();
      s.spawn(() => ch.send("pork"));
      await ticks.wait();
      await withTimeout(60_000, () => ch.receive());
      return (await select({ late: after(1), never: after(60_000) })).key;
    })
  );
  assertEquals(value, "late");
});

test("leaks() lets what is on its way out get there", async () => {
  await leaks(() => {
    spawn(async () => {
      for (let i = 0; i < 1000; i++) await sleep(0);
    });
    void spawn(() => sleep(60_000)).kill();
  });
});

test("leaks() lists tasks with what they wait on and where they were spawned", async () => {
  const jobs = new Channel<string>({ name: "jobs" });
  const stop = gate();
  let tasks: Task[] = [];
  const text = await leaked(() => {
    tasks = [
      spawn({ name: "worker" }, () => jobs.receive()),
      spawn({ name: "foreign" }, () => stop.promise),
    ];
  });
  const [head, worker, foreign, ...rest] = text.split("\n");
  assertEquals(head, "Cannot end without leaks: nothing must be left, got");
  assert(
    worker!.startsWith(`  Task "worker" (#${tasks[0]!.id}, running): receive on Channel "jobs", `),
  );
  assert(worker!.includes("spawned at ") && worker!.includes("leaks_test"), worker);
  assert(
    foreign!.includes(`"foreign"`) && foreign!.includes("waits on a foreign promise"),
    foreign,
  );
  assertEquals(rest, []);
  stop.open();
  jobs.close();
  await Promise.allSettled(tasks);
});

test("leaks() lists a task that was killed and does not end", async () => {
  const stop = gate();
  let task!: Task<void>;
  const text = await leaked(async () => {
    task = spawn({ name: "stubborn" }, () => stop.promise);
    await idle();
    void task.kill();
  });
  assert(text.includes("running, killed): runs, or waits on a foreign promise"), text);
  stop.open();
  await task.join();
});

test("leaks() lists waits outside of tasks, and timers", async () => {
  const ch = new Channel<string>({ name: "ch" });
  const controller = new AbortController();
  const { signal } = controller;
  const text = await leaked(() => {
    for (const wait of [ch.receive({ signal }), sleep(60_000, { signal })]) wait.catch(() => {});
  });
  assertEquals(text.split("\n").slice(1), [
    `  outside of tasks: receive on Channel "ch"`,
    "  outside of tasks: sleep",
    "  1 timer",
  ]);
  controller.abort();
});

test("leaks() does not count what was there before, nor what it does meanwhile", async () => {
  const ch = new Channel<string>();
  const before = spawn(async () => {
    await ch.receive();
    const child = spawn(() => sleep(60_000));
    await ch.receive();
    await child.kill();
  });
  await idle();
  await leaks(() => ch.send("go on"));
  await ch.send("enough");
  await before;
});

test("leaks() counts what a task inside spawns, and a link of it", async () => {
  const tasks: Task[] = [];
  const keep = (name: string) => tasks.push(spawn({ name }, () => sleep(60_000)));
  const text = await leaked(() => {
    spawn(() => {
      spawn(() => keep("grandchild")).link(() => keep("of a link"));
    });
  });
  assert(text.includes(`"grandchild"`) && text.includes(`"of a link"`), text);
  for (const task of tasks) await task.kill();
});

test("leaks() rejects with what fn throws, first of all", async () => {
  const error = new Error("own");
  const ch = new Channel<string>();
  for (
    const fail of [() => Promise.reject(error), () => {
      throw error;
    }]
  ) {
    const rejected = await leaks(() => {
      ch.receive().catch(() => {});
      return fail();
    }).catch((reason: unknown) => reason);
    assertStrictEquals(rejected, error);
  }
  ch.close();
});

test("leaks() leaves the hooks, the clock and config as they were", async () => {
  const before = [hooks.on, clock.on];
  await leaks(() => assertEquals(config.spawnStacks, true));
  await leaks(() => Promise.reject(new Error())).catch(() => {});
  assertStrictEquals(hooks.on, before[0]);
  assertStrictEquals(clock.on, before[1]);
  assertEquals(config.spawnStacks, false);
});

test("leaks() called several times at once leaves all as it was, whichever ends first", async () => {
  const before = clock.on;
  for (const first of [0, 1]) {
    const gates = [gate(), gate()] as const;
    const calls = gates.map(({ promise }) => leaks(() => promise));
    gates[first]!.open();
    await calls[first];
    assertEquals(config.spawnStacks, true);
    gates[1 - first]!.open();
    await Promise.all(calls);
    assertStrictEquals(clock.on, before);
    assertEquals(config.spawnStacks, false);
  }
});

test("leaks() checks its argument, and is refused in a killed task", async () => {
  await assertRejects(() => leaks(7 as never), TypeError, "fn must be a function, got number");
  const reason = new Error("killed");
  const refused = await inKilledTask(() => leaks(() => 7).catch((error: unknown) => error), reason);
  assertIsError(refused, Error, "killed");
});
