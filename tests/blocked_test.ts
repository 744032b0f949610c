// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Who is found to have run too long without waiting, and who is not. Time stands still here but for
 * what a test burns.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { afterEach, beforeEach, test } from "node:test";
import { macrotask } from "../src/_kernel/host.ts";
import { type Hooks, hooks, listen } from "../src/_kernel/hooks.ts";
import type { Waiter } from "../src/_kernel/waiter.ts";
import { assertYields, type BlockedReport, onBlocked } from "../src/blocked.ts";
import { Channel } from "../src/channel.ts";
import { config } from "../src/config.ts";
import { BlockedError } from "../src/errors.ts";
import { joinAll } from "../src/join.ts";
import { scope } from "../src/scope.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask } from "../src/task.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { until } from "../src/until.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";

// Bun has now() on the object, the others on its prototype.
const realNow = Object.getOwnPropertyDescriptor(performance, "now");
let time = 0;

noLeaks();
beforeEach(() => {
  time = Math.ceil(performance.now()); // whole, so that sums are exact
  Object.defineProperty(performance, "now", { value: () => time, configurable: true });
});
afterEach(() => {
  if (realNow === undefined) delete (performance as { now?: unknown }).now;
  else Object.defineProperty(performance, "now", realNow);
  assertEquals(hooks.on, null, "a listener is left");
});

/** Runs for `ms` milliseconds. */
function burn(ms: number): void {
  time += ms;
}

/** Resolves in a macrotask of the host's, `ms` milliseconds later. */
function foreign(ms: number): Promise<void> {
  return new Promise((resolve) =>
    macrotask(() =>
      macrotask(() => {
        burn(ms);
        resolve();
      })
    )
  );
}

/** Collects reports in short: name, milliseconds, and "?" if not exact. */
function collect(overMs: number): Disposable & { readonly seen: string[] } {
  const seen: string[] = [];
  const hook = onBlocked({ overMs }, ({ task, ms, exact }) => {
    seen.push(`${task?.name ?? "nobody"} ${Math.round(ms)}${exact ? "" : "?"}`);
  });
  return { seen, [Symbol.dispose]: () => hook[Symbol.dispose]() };
}

test("onBlocked() names the task that ran too long after a wait, once", async () => {
  using blocked = collect(40);
  const fine = spawn({ name: "fine" }, async () => {
    await sleep(0);
    burn(40);
    await sleep(0);
  });
  const hog = spawn({ name: "hog" }, async () => {
    await sleep(0);
    burn(41);
    await sleep(0);
  });
  await joinAll([fine, hog]);
  assertEquals(blocked.seen, ["hog 41"]);
});

test("onBlocked() measures from the start of a task, to its end", async () => {
  using blocked = collect(40);
  await spawn({ name: "sync" }, () => burn(50));
  await spawn({ name: "throws" }, () => {
    burn(60);
    throw new Error("all the same");
  }).join();
  await spawn({ name: "to the wait" }, async () => {
    burn(70);
    await sleep(0);
  });
  await spawn({ name: "to the end" }, async () => {
    await sleep(0);
    burn(80);
  });
  assertEquals(blocked.seen, ["sync 50", "throws 60", "to the wait 70", "to the end 80"]);
});

test("onBlocked() measures each stretch alone, not the time since the entry", async () => {
  using blocked = collect(40);
  await spawn(async () => {
    for (let i = 0; i < 10; i++) {
      burn(30);
      await sleep(0);
    }
  });
  assertEquals(blocked.seen, []);
});

test("onBlocked() gives nobody the time of another", async () => {
  using blocked = collect(40);
  const ping = new Channel<number>(), pong = new Channel<number>();
  const a = spawn({ name: "a" }, async () => {
    for (let i = 0; i < 5; i++) {
      await ping.send(i);
      burn(30);
      await pong.receive();
    }
  });
  const b = spawn({ name: "b" }, async () => {
    for (let i = 0; i < 5; i++) {
      await ping.receive();
      burn(30);
      await pong.send(i);
    }
  });
  await joinAll([a, b]);
  assertEquals(blocked.seen, []);
});

test("onBlocked() counts no time in which the program was idle", async () => {
  using blocked = collect(40);
  const jobs = new Channel<number>();
  const task = spawn(async () => {
    await jobs.receive();
    burn(1);
    await sleep(0);
  });
  await idle();
  burn(1000);
  await idle();
  burn(1000);
  await jobs.send(1);
  await task;
  assertEquals(blocked.seen, []);
});

test("onBlocked() gives what it sees only at its end to the one that waits or ends then", async () => {
  using blocked = collect(40);
  const helper = async () => await sleep(0);
  await spawn({ name: "waits" }, async () => {
    await helper(); // goes on a microtask after what was waited for
    burn(50);
    await sleep(0);
  });
  await spawn({ name: "ends" }, async () => {
    await helper();
    burn(60);
  });
  await spawn({ name: "scoped" }, async () => {
    await scope((s) => void s.spawn(() => sleep(0)));
    burn(70);
  });
  assertEquals(blocked.seen, ["waits 50?", "ends 60?", "scoped 70?"]);
});

test("onBlocked() names nobody if another goes on before the one waits", async () => {
  using blocked = collect(40);
  const helper = async () => await sleep(0);
  const task = spawn({ name: "hog" }, async () => {
    await helper();
    burn(50);
    await foreign(0);
  });
  const other = spawn({ name: "other" }, async () => {
    for (let i = 0; i < 5; i++) await sleep(0);
  });
  await joinAll([task, other]);
  assertEquals(blocked.seen, ["nobody 50?"]);
});

test("onBlocked() splits a stretch at a foreign await", async () => {
  using blocked = collect(20);
  await spawn({ name: "split" }, async () => {
    await sleep(0);
    burn(30);
    await Promise.resolve();
    burn(25);
    await sleep(0);
    burn(15);
    await Promise.resolve();
    burn(15);
  });
  assertEquals(blocked.seen, ["split 30", "split 25?"]);
});

test("onBlocked() cannot measure after a foreign wait, but after until()", async () => {
  using blocked = collect(40);
  await spawn({ name: "raw" }, async () => {
    await foreign(1000);
    burn(50);
    await sleep(0);
  });
  await spawn({ name: "until" }, async () => {
    await until(foreign(1000));
    burn(60);
    await sleep(0);
  });
  assertEquals(blocked.seen, ["until 60"]);
});

test("onBlocked() measures a task behind a shield, and one that is killed", async () => {
  using blocked = collect(40);
  const task = spawn({ name: "killed" }, async () => {
    try {
      await sleep(Infinity);
    } finally {
      burn(50);
      await shield(async () => {
        await sleep(0);
        burn(60);
        await sleep(0);
      });
    }
  });
  await idle();
  await task.kill();
  await spawn({ name: "killer" }, async () => {
    await sleep(0);
    const slow = spawn(() => sleep(Infinity));
    await sleep(0);
    await slow.kill();
    burn(70);
    await sleep(0);
  });
  assertEquals(blocked.seen, ["killed 50", "killed 60", "killer 70"]);
});

test("onBlocked() measures the program outside of tasks", async () => {
  using blocked = collect(40);
  await sleep(0);
  burn(50);
  await sleep(0);
  assertEquals(blocked.seen, ["nobody 50"]);
});

test("onBlocked() tells each of two hooks by its own limit, disposed of in any order", async () => {
  const low = collect(10), high = collect(40);
  const hog = (ms: number) => spawn({ name: "hog" }, () => burn(ms));
  await hog(20);
  await hog(50);
  low[Symbol.dispose]();
  await hog(60);
  high[Symbol.dispose]();
  await hog(70);
  assertEquals(low.seen, ["hog 20", "hog 50"]);
  assertEquals(high.seen, ["hog 50", "hog 60"]);
});

test("onBlocked() tells nothing after it is disposed of, twice or by the hook itself", async () => {
  const seen: BlockedReport[] = [];
  const hook = onBlocked({ overMs: 40 }, (report) => {
    seen.push(report);
    hook[Symbol.dispose]();
  });
  await spawn(async () => {
    await sleep(0);
    burn(50);
    await sleep(0);
    burn(50);
  });
  hook[Symbol.dispose]();
  assertEquals(seen.length, 1);
});

test("onBlocked() tells nothing of a stretch in which it was disposed of", async () => {
  const blocked = collect(40);
  await spawn(async () => {
    await sleep(0);
    burn(50);
    blocked[Symbol.dispose]();
  });
  assertEquals(blocked.seen, []);
});

test("onBlocked() sends what the hook throws to onUnhandled, and counts no time of the hook", async () => {
  const errors: unknown[] = [];
  using _errors = onUnhandled((error) => errors.push(error));
  const error = new Error("of the hook");
  using _hook = onBlocked({ overMs: 40 }, () => {
    burn(500);
    throw error;
  });
  await spawn(async () => {
    await sleep(0);
    burn(50);
    await sleep(0);
    await sleep(0);
  });
  assertEquals(errors.length, 1);
  assertStrictEquals(errors[0], error);
});

test("onBlocked() calls the hook outside of every task", async () => {
  const inside: unknown[] = [];
  using _hook = onBlocked({ overMs: 40 }, () => void inside.push(currentTask()));
  await spawn(() => burn(50));
  await spawn(async () => {
    const woken = spawn(async () => {
      await sleep(Infinity);
    });
    await sleep(0);
    void woken.kill(); // who wakes is not who goes on
    await sleep(0);
    burn(50);
    await sleep(0);
  });
  assertEquals(inside, [undefined, undefined]);
});

test("onBlocked() tells where the task was spawned, config.spawnStacks on", async () => {
  const reports: BlockedReport[] = [];
  using _hook = onBlocked({ overMs: 40 }, (report) => void reports.push(report));
  await spawn(() => burn(50));
  config.spawnStacks = true;
  await spawn(() => burn(50));
  config.spawnStacks = false;
  const [without, with_] = reports;
  assertEquals(without?.spawnedAt, undefined);
  assert(with_?.spawnedAt?.[0]?.includes("blocked_test.ts:"), String(with_?.spawnedAt));
});

test("onBlocked() hears what a former listener hears, and gives its place back", async () => {
  const parked: Waiter[] = [];
  const wakes: Array<() => void> = [];
  const former: Hooks = {
    parked: (waiter) => void parked.push(waiter),
    waking: (_, wake) => void wakes.push(wake),
  };
  hooks.on = former;
  const blocked = collect(40);
  const task = spawn({ name: "hog" }, async () => {
    await sleep(0);
    burn(50);
  });
  await idle();
  assertEquals([parked.length, wakes.length, task.state], [1, 1, "running"]);
  burn(1000); // until the former listener lets it go on
  await idle();
  wakes[0]!();
  await idle();
  assertEquals([blocked.seen, task.state], [["hog 50"], "succeeded"]);
  blocked[Symbol.dispose]();
  assertStrictEquals(hooks.on, former);
  hooks.on = null;
});

test("onBlocked() refuses wrong arguments", () => {
  const hook = () => {};
  for (const overMs of [-1, NaN]) assertThrows(() => onBlocked({ overMs }, hook), RangeError);
  assertThrows(
    () => onBlocked({ overMs: -1 }, hook),
    RangeError,
    "Cannot install hook: overMs must be >= 0 milliseconds, got -1",
  );
  for (const options of [{ overMs: "9" }, {}, undefined]) {
    assertThrows(() => onBlocked(options as never, hook), TypeError, "overMs must be a number");
  }
  assertThrows(
    () => onBlocked({ overMs: 1 }, undefined as never),
    TypeError,
    "Cannot install hook: hook must be a function, got undefined",
  );
});

test("listen() lets listeners go in any order, and under another one", () => {
  const removed = listen({ parked() {} });
  const chain = hooks.on;
  const second = listen({ ended() {} });
  assertStrictEquals(hooks.on, chain);
  assert(chain?.parked !== undefined && chain.ended !== undefined && chain.waking === undefined);
  removed();
  removed();
  assertEquals(chain.parked, undefined);
  assertStrictEquals(hooks.on, chain);
  const above: Hooks = {};
  hooks.on = above;
  second();
  assertStrictEquals(hooks.on, above);
  assertEquals(chain.ended, undefined);
  hooks.on = null;
});

test("listen() takes out one of two entries of the same listener, once", async () => {
  let heard = 0;
  const listener: Hooks = { spawned: () => void heard++ };
  const first = listen(listener), second = listen(listener);
  await spawn(() => {});
  first();
  first();
  await spawn(() => {});
  second();
  await spawn(() => {});
  assertEquals(heard, 3);
});

test("listen() hears the start of a task and the return of its function, in order", async () => {
  const heard: string[] = [];
  const remove = listen({
    spawned: () => void heard.push("spawned"),
    starting: () => void heard.push("starting"),
    started: () => void heard.push("started"),
    finished: () => void heard.push("finished"),
  });
  const task = spawn(async () => {
    heard.push("runs");
    await sleep(0);
  });
  await idle();
  remove();
  await task;
  assertEquals(heard, ["spawned", "starting", "runs", "started", "finished"]);
});

test("assertYields() resolves to what fn gives, the loop never blocked", async () => {
  assertEquals(await assertYields(() => 1, { maxMs: 40 }), 1);
  const value = await assertYields(async () => {
    for (let i = 0; i < 10; i++) {
      burn(30);
      await sleep(0);
    }
    return "many short ones";
  }, { maxMs: 40 });
  assertEquals(value, "many short ones");
});

test("assertYields() rejects for fn, for its tasks, and names the longest stretch", async () => {
  const sync = await assertRejects(() => assertYields(() => burn(50), { maxMs: 40 }), BlockedError);
  assertEquals([sync.name, Math.round(sync.ms), sync.task], ["BlockedError", 50, undefined]);
  const error = await assertRejects(
    () =>
      assertYields(async () => {
        burn(50);
        await spawn({ name: "hog" }, async () => {
          await sleep(0);
          burn(70);
        });
        burn(60);
      }, { maxMs: 40 }),
    BlockedError,
    'Cannot yield in time: task "hog" must wait every 40 ms, got 70.0 ms without a wait',
  );
  assertEquals([Math.round(error.ms), error.task], [70, "hog"]);
  const last = await assertRejects(
    () =>
      assertYields(async () => {
        await Promise.resolve();
        burn(60);
      }, { maxMs: 40 }),
    BlockedError,
    "the program outside of tasks must wait every 40 ms, got 60.0 ms",
  );
  assertEquals(last.task, undefined);
});

test("assertYields() names the task in which it is called", async () => {
  const error = await spawn(
    { name: "tester" },
    () => assertRejects(() => assertYields(() => burn(50), { maxMs: 40 }), BlockedError),
  );
  assertEquals((await error).task, "tester");
});

test("assertYields() lets what fn throws through, first of all", async () => {
  const error = new Error("of fn");
  for (
    const fn of [() => {
      burn(50);
      throw error;
    }, async () => {
      await sleep(0);
      burn(50);
      throw error;
    }]
  ) {
    assertStrictEquals(await assertYields(fn, { maxMs: 40 }).catch((e: unknown) => e), error);
    assertEquals(hooks.on, null);
  }
});

test("assertYields() takes 0 and Infinity", async () => {
  await assertYields(() => burn(1e9), { maxMs: Infinity });
  await assertRejects(() => assertYields(() => burn(1), { maxMs: 0 }), BlockedError);
});

test("assertYields() refuses wrong arguments", async () => {
  const fn = () => {};
  for (const maxMs of [-1, NaN]) {
    await assertRejects(() => assertYields(fn, { maxMs }), RangeError, "maxMs must be >= 0");
  }
  for (const options of [{ maxMs: "9" }, {}, undefined]) {
    await assertRejects(() => assertYields(fn, options as never), TypeError, "maxMs must be a");
  }
  await assertRejects(
    () => assertYields(5 as never, { maxMs: 1 }),
    TypeError,
    "Cannot assert yields: fn must be a function, got number",
  );
});
