// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { AsyncLocalStorage } from "node:async_hooks";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { promisify } from "node:util";
import { clock } from "../../src/_kernel/clock.ts";
import { hooks } from "../../src/_kernel/hooks.ts";
import { macrotask, now as realNow, startTimer, stopTimer } from "../../src/_kernel/host.ts";
import { hostCall } from "../../src/_kernel/host_call.ts";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { Channel } from "../../src/channel.ts";
import { Deferred } from "../../src/deferred.ts";
import { DeadlockError, KilledError, TimeoutError } from "../../src/errors.ts";
import { Event } from "../../src/event.ts";
import { joinAll } from "../../src/join.ts";
import { Pool } from "../../src/pool.ts";
import { rateLimit } from "../../src/rate_limit.ts";
import { scope } from "../../src/scope.ts";
import { select } from "../../src/select.ts";
import { shield } from "../../src/shield.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn, spawnLater } from "../../src/spawn.ts";
import { currentTask, type Task } from "../../src/task.ts";
import { idle } from "../../src/testing/idle.ts";
import { virtualTime, type VirtualTimeOptions } from "../../src/testing/virtual_time.ts";
import { withTimeout } from "../../src/timeout.ts";
import { after, every } from "../../src/timer.ts";
import { onUnhandled } from "../../src/unhandled.ts";
import { until } from "../../src/until.ts";
import { wait } from "../../src/wait.ts";
import { gate } from "../gate.ts";
import { noLeaks } from "../leaks.ts";
import { rejection } from "../outcome.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

noLeaks();

/** Runs `fn` in virtual time, with the globals faked. */
function faked<T>(
  fn: (time: { now: number }) => T,
  options?: VirtualTimeOptions,
): Promise<Awaited<T>> {
  return virtualTime(fn, { fakeGlobals: true, ...options });
}

/** Resolves after `ms` milliseconds of real time. */
function realSleep(ms: number): Promise<void> {
  return new Promise((resolve) => void startTimer(resolve, ms));
}

// -- Timers --

test("virtualTime() lets a year of sleeps pass at once and gives what fn gives", async () => {
  const began = realNow();
  const passed = await virtualTime(async (time) => {
    for (let day = 0; day < 365; day++) await sleep(DAY);
    return time.now;
  });
  assertEquals(passed, 365 * DAY);
  assert(realNow() - began < 60_000);
});

test("virtualTime() starts at 0 and shows each sleep exactly", async () => {
  await virtualTime(async (time) => {
    assertEquals(time.now, 0);
    for (const [ms, at] of [[1, 1], [0.5, 1.5], [0.1, 1.6], [0, 1.6], [2 ** 40, 2 ** 40 + 1.6]]) {
      await sleep(ms);
      assertEquals(time.now, at);
    }
  });
});

test("virtualTime() gives what is no promise, and undefined", async () => {
  assertEquals(await virtualTime(() => 7), 7);
  assertEquals(await virtualTime(() => {}), undefined);
});

test("virtualTime() fires timers with one deadline in the order in which they were set", async () => {
  const seen = await virtualTime(async () => {
    const seen: string[] = [];
    const ch = new Channel<string>();
    spawnLater(10, () => seen.push("spawnLater"));
    const tasks = [
      spawn(async () => {
        await sleep(10);
        seen.push("sleep");
      }),
      spawn(async () => {
        await ch.receive({ timeout: 10 }).catch(() => seen.push("timeout"));
      }),
      spawn(async () => {
        await sleep(4);
        await sleep(6);
        seen.push("set at 4");
      }),
      spawn(() => withTimeout(10, () => ch.receive()).catch(() => seen.push("withTimeout"))),
      spawn(async () => seen.push((await select({ ch, late: after(10) })).key)),
    ];
    await joinAll(tasks);
    return seen;
  });
  // A task that begins and a limit on a body take a turn more than a wait that ends.
  assertEquals(seen.filter((it) => it !== "spawnLater" && it !== "withTimeout"), [
    "sleep",
    "timeout",
    "late",
    "set at 4",
  ]);
  assertEquals(seen.toSorted?.() ?? [...seen].sort(), [
    "late",
    "set at 4",
    "sleep",
    "spawnLater",
    "timeout",
    "withTimeout",
  ]);
});

test("virtualTime() fires each of any timers at its time, in order, those set by others too", async () => {
  const plan = fc.letrec<{ plan: Plan[] }>((tie) => ({
    plan: fc.array(
      fc.record({
        ms: fc.nat(20),
        then: fc.oneof({ depthSize: "small" }, fc.constant([]), tie("plan")),
      }),
      { maxLength: 6 },
    ) as fc.Arbitrary<Plan[]>,
  })).plan;
  await fc.assert(
    fc.asyncProperty(plan, async (plans) => {
      const seen = await virtualTime(async (time) => {
        const seen: string[] = [];
        let ids = 0;
        const run = ({ ms, then }: Plan): Promise<void> => {
          const id = ids++;
          return sleep(ms + 1).then(async () => {
            seen.push(`${id} at ${time.now}`);
            await Promise.all(then.map(run));
          });
        };
        await Promise.all(plans.map(run));
        return seen;
      });
      assertEquals(seen, modelOf(plans));
    }),
    { numRuns: 100, seed: 20261121 },
  );
});

/** A timer and those that it sets. */
interface Plan {
  ms: number;
  then: Plan[];
}

/** What is seen of such timers, by a list that is searched for the first each time. */
function modelOf(plans: Plan[]): string[] {
  const waiting: Array<{ at: number; id: number; then: Plan[] }> = [];
  const seen: string[] = [];
  let ids = 0, time = 0;
  const set = ({ ms, then }: Plan): void => {
    waiting.push({ at: time + ms + 1, id: ids++, then });
  };
  plans.forEach(set);
  while (waiting.length > 0) {
    time = Math.min(...waiting.map(({ at }) => at));
    // All that are due fire before what one of them lets go on sets new ones.
    const due = waiting.filter(({ at }) => at === time);
    for (const one of due) waiting.splice(waiting.indexOf(one), 1);
    for (const { id, then } of due) {
      seen.push(`${id} at ${time}`);
      then.forEach(set);
    }
  }
  return seen;
}

test("virtualTime() covers scopes, pools, limits, tickers and rate limits", async () => {
  await virtualTime(async (time) => {
    await scope((s) => {
      for (let i = 1; i <= 3; i++) s.spawn(() => sleep(i * HOUR));
    });
    assertEquals(time.now, 3 * HOUR);
    await new Pool(2).map((ms) => sleep(ms), [HOUR, HOUR, HOUR, HOUR]);
    assertEquals(time.now, 5 * HOUR);
    await assertRejects(() => withTimeout(HOUR, () => sleep(2 * HOUR)), TimeoutError);
    assertEquals(time.now, 6 * HOUR);
    using hourly = every(HOUR);
    for (let i = 7; i <= 9; i++) {
      assertEquals((await select({ hourly, late: after(2 * HOUR) })).key, "hourly");
      assertEquals(time.now, i * HOUR);
    }
    await sleep(3 * HOUR);
    assertEquals(await hourly.wait(), 3);
    const limit = rateLimit({ tokens: 3, per: 100 });
    const began = time.now;
    for (let i = 0; i < 6; i++) await limit.acquire();
    assertEquals(Math.round(time.now - began), 100);
    assertEquals(await spawnLater(HOUR, () => time.now), began + time.now - began);
    const ch = new Channel<number>();
    assertEquals(await new Event().wait({ timeout: HOUR }), false);
    await assertRejects(() => ch.send(1, { timeout: HOUR }), TimeoutError);
  });
});

test("virtualTime() does not move for who can still run", async () => {
  await virtualTime(async (time) => {
    const late = spawn(() => sleep(1).then(() => time.now));
    for (let i = 0; i < 20_000; i++) await sleep(0);
    for (let i = 0; i < 20_000; i++) await undefined;
    await joinAll(Array.from({ length: 1000 }, () => spawn(() => sleep(0))));
    assertEquals([late.ready, time.now], [false, 0]);
    assertEquals(await late, 1);
  }, { maxTurns: 100_000 });
});

test("virtualTime() stands still while somebody waits in idle()", async () => {
  await virtualTime(async (time) => {
    const sleeper = spawn(() => sleep(1));
    for (let i = 0; i < 20; i++) await idle();
    assertEquals([sleeper.ready, time.now], [false, 0]);
    await sleeper;
    assertEquals(time.now, 1);
  });
});

test("virtualTime() treats 0 and Infinity as everywhere", async () => {
  await virtualTime(async (time) => {
    const ch = new Channel<string>({ capacity: 1 });
    await assertRejects(() => ch.receive({ timeout: 0 }), TimeoutError);
    const never = sleep(Infinity, { signal: AbortSignal.abort("aborted") });
    assertEquals(await rejection(never), "aborted");
    assertEquals((await select({ ch, now: after(0), never: after(Infinity) })).key, "now");
    assertEquals(time.now, 0);
  });
});

test("virtualTime() goes on with tickers and rate limits that were made before", async () => {
  using ticks = every(1000);
  const limit = rateLimit({ tokens: 1, per: 1000 });
  await limit.acquire();
  await virtualTime(async (time) => {
    assert(await ticks.wait() !== undefined);
    const began = time.now;
    await ticks.wait();
    assert(time.now - began <= 1000);
    await limit.acquire();
    const next = time.now;
    await limit.acquire();
    assertEquals(Math.round(time.now - next), 1000);
  });
});

// -- The world outside --

test("virtualTime() leaves tasks that were there before, and what they spawn, in real time", async () => {
  const seen: string[] = [];
  const began = realNow();
  const outside = spawn(async () => {
    await sleep(20);
    seen.push("outside");
    await spawn(() => sleep(20));
    seen.push("its task");
  });
  await idle();
  await virtualTime(async (time) => {
    await sleep(DAY);
    seen.push("a day");
    assertEquals(await outside.join(), true); // no deadlock: it has a timer of its own
    assertEquals(time.now, DAY);
  });
  assertEquals(seen, ["a day", "outside", "its task"]);
  assert(realNow() - began >= 39);
});

test("virtualTime() leaves code beside it, in no task, in real time", async () => {
  const began = realNow();
  let slept = -1;
  const beside = async () => {
    await sleep(20);
    await spawn(() => sleep(20));
    slept = realNow() - began;
    return "beside";
  };
  const both = await Promise.all([
    virtualTime(async (time) => {
      await sleep(DAY);
      assertEquals(slept, -1);
      await until(realSleep(10));
      return time.now;
    }),
    beside(),
  ]);
  assertEquals(both, [DAY, "beside"]);
  assert(slept >= 39);
});

test("virtualTime() holds in links, hooks and callbacks of the host", async () => {
  await virtualTime(async (time) => {
    const done = new Deferred<number>();
    const late = () => sleep(DAY).then(() => done.resolve(time.now));
    using _hook = onUnhandled(() => {
      until(realSleep(5)).then(() => spawn(late));
    });
    spawn(() => {}).link(() =>
      spawnLater(DAY, () => {
        throw new Error("unhandled");
      })
    );
    assertEquals(await done.get(), 2 * DAY);
  });
});

test("virtualTime() neither lists nor kills what belongs to the outside", async () => {
  const go = new Event();
  const children: Task[] = [];
  const outside = spawn(async () => {
    await go.wait();
    children.push(spawn(() => sleep(60_000)));
    await sleep(60_000);
  });
  await idle();
  await virtualTime(async () => {
    go.set();
    await sleep(DAY);
  });
  assertEquals([outside.state, children[0]!.state], ["running", "running"]);
  await outside.kill();
  await children[0]!.kill();
});

test("virtualTime() can be called in a task, whose kill reaches the body", async () => {
  let cleaned = 0;
  const slept = gate();
  const task = spawn(() =>
    virtualTime(async (time) => {
      assert(currentTask() === task);
      try {
        await sleep(DAY);
        slept.open();
        await until(new Promise(() => {}));
      } finally {
        await shield(() => sleep(1000));
        cleaned = time.now;
      }
    })
  );
  await slept.promise;
  await idle();
  assertEquals(task.state, "running");
  await task.kill();
  assertEquals([task.state, cleaned], ["killed", DAY + 1000]);
});

// -- The host --

test("virtualTime() stands still while a call of the host is under way", async () => {
  await virtualTime(async (time) => {
    const day = spawn(() => sleep(DAY).then(() => time.now));
    const call = await hostCall<number>("test", "call", (ends) => {
      const timer = startTimer(() => ends.settle(time.now), 20);
      return () => stopTimer(timer);
    });
    assertEquals([call, time.now, day.ready], [0, 0, false]);
    assertEquals(await day, DAY);
  });
});

test("virtualTime() stands still for until(), also as one of many", async () => {
  await virtualTime(async (time) => {
    const day = spawn(() => sleep(DAY));
    await until(realSleep(10));
    const event = new Event();
    await select({ event, foreign: realSleep(10) });
    await wait([event, realSleep(10)], { count: 1 });
    assertEquals([day.ready, time.now], [false, 0]);
    // The promise is served long before the wait is over: who waits for the event alone holds nothing.
    spawnLater(HOUR, () => event.set());
    await wait([event, realSleep(10)]);
    assertEquals([day.ready, time.now], [false, HOUR]);
    await day;
  });
});

test("virtualTime() leaves nothing on a promise that never settles", async () => {
  const before = outsideWaits();
  await virtualTime(async () => {
    const task = spawn(() => wait([new Event(), new Promise(() => {})]));
    await until(realSleep(5));
    await task.kill();
  });
  assertEquals(outsideWaits(), before);
});

test("virtualTime() leaves the tickers of tasks of before in real time", async () => {
  using ticks = every(5);
  const seen: number[] = [];
  const outside = spawn(async () => {
    for await (const due of ticks) if (seen.push(due) === 3) break;
  });
  await idle();
  await virtualTime(async () => {
    await sleep(DAY);
    await outside;
  });
  assert(seen.every((due) => due >= 1 && due < 10_000), String(seen));
});

test("virtualTime() goes on when a wait on the host is cancelled", async () => {
  await virtualTime(async (time) => {
    const task = spawn(() => until(new Promise(() => {})));
    void sleep(DAY);
    await idle();
    await task.kill();
    await sleep(HOUR);
    assertEquals(time.now, HOUR);
    await sleep(DAY);
  });
});

test("virtualTime() stands still while a socket is read", async () => {
  const server = createServer((socket) => {
    socket.on("data", (chunk) => void startTimer(() => socket.end(chunk), 10));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await virtualTime(async (time) => {
    const late = spawn(() => sleep(1).then(() => time.now));
    for (let i = 0; i < 3; i++) {
      const socket = connect(port, "127.0.0.1");
      const echo = await until(
        new Promise<string>((resolve, reject) => {
          socket.on("error", reject).on("data", (chunk) => resolve(String(chunk))).write("baozi");
        }),
      );
      assertEquals([echo, time.now, late.ready], ["baozi", 0, false]);
      await until(new Promise<void>((resolve) => socket.on("close", () => resolve()).end()));
    }
    assertEquals(await late, 1);
  });
  await new Promise((resolve) => server.close(resolve));
});

test("virtualTime() stands still while a fetch is under way, globals faked or not", async () => {
  const server = createHttpServer((_, response) => {
    startTimer(() => response.writeHead(200, { connection: "close" }).end("steamed"), 10);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  for (const fakeGlobals of [false, true]) {
    await virtualTime(async (time) => {
      const late = spawn(() => sleep(1).then(() => time.now));
      const text = await until(fetch(`http://127.0.0.1:${port}/`).then((it) => it.text()));
      assertEquals([text, time.now, late.ready], ["steamed", 0, false]);
      assertEquals(await late, 1);
    }, { fakeGlobals });
  }
  await new Promise((resolve) => server.close(resolve));
});

test("virtualTime() waits for a body in a raw await", async () => {
  const value = await virtualTime(async () => {
    await realSleep(10);
    return "late";
  });
  assertEquals(value, "late");
});

// -- Globals --

test("virtualTime() with fakeGlobals runs timers in order and lets microtasks run between two", async () => {
  const seen: unknown[] = [];
  await faked(async (time) => {
    const note = (what: string) => seen.push(`${what} at ${time.now}`);
    setTimeout(
      (what: string) => {
        note(what);
        Promise.resolve().then(() => note("microtask"));
      },
      5,
      "first",
    );
    setTimeout(note, 5, "second");
    const library = sleep(5).then(() => note("library"));
    setTimeout(() => setTimeout(note, 0, "nested"), 5);
    setTimeout(note, 4.9, "rounded down");
    await sleep(10);
    await library;
  });
  assertEquals(seen, [
    "rounded down at 4",
    "first at 5",
    "microtask at 5",
    "second at 5",
    "library at 5",
    "nested at 6",
  ]);
});

test("virtualTime() with fakeGlobals calls nothing that was cleared when its time had come", async () => {
  let called = false;
  await faked(async () => {
    const slept = sleep(5);
    const timer = setTimeout(() => called = true, 5);
    await slept;
    clearTimeout(timer);
    await sleep(5);
  });
  assertEquals(called, false);
});

test("virtualTime() with fakeGlobals repeats intervals exactly, until cleared", async () => {
  const seen: number[] = [];
  await faked(async (time) => {
    const interval = setInterval(() => {
      seen.push(time.now);
      if (seen.length === 3) clearInterval(interval);
    }, HOUR);
    const zero = setInterval(() => seen.push(-1), 0);
    clearInterval(zero);
    await sleep(DAY);
  });
  assertEquals(seen, [HOUR, 2 * HOUR, 3 * HOUR]);
});

test("virtualTime() with fakeGlobals fakes Date and performance", async () => {
  const real = Date;
  await faked(async () => {
    assertEquals([Date.now(), performance.now()], [Date.UTC(2000, 0, 1), 0]);
    await sleep(DAY + 0.5);
    assertEquals([Date.now(), performance.now()], [Date.UTC(2000, 0, 2), DAY + 0.5]);
    assertEquals(new Date().toISOString(), "2000-01-02T00:00:00.000Z");
    assertEquals(Date(), new Date().toString());
    assertEquals(new Date(5).getTime(), 5);
    assertEquals([Date.UTC(2001), Date.parse("2001")], [real.UTC(2001), real.parse("2001")]);
    assert(new Date() instanceof Date && new Date() instanceof real && new real() instanceof Date);
    class Later extends Date {}
    assertInstanceOf(new Later(), Later);
    assertEquals(new Later().getTime(), Date.now());
    assert(performance.timeOrigin > 0);
    assertEquals(typeof performance.mark("a mark").startTime, "number");
  });
  await faked(() => assertEquals(Date.now(), 5), { start: 5 });
  await faked(() => assertEquals(Date.now(), 7), { start: new Date(7) });
});

test("virtualTime() with fakeGlobals fakes AbortSignal.timeout", async () => {
  await faked(async (time) => {
    const reason = await rejection(sleep(DAY, { signal: AbortSignal.timeout(HOUR) }));
    assertEquals([(reason as Error).name, time.now], ["TimeoutError", HOUR]);
    AbortSignal.timeout(HOUR); // nothing is left of one that nobody waits for
  });
});

test("virtualTime() with fakeGlobals gives handles for all ways to clear a timer", async () => {
  const seen: string[] = [];
  await faked(async () => {
    const timer = (what: string, ms = 10) =>
      setTimeout(() => seen.push(what), ms) as unknown as Required<Disposable> & {
        refresh(): void;
        hasRef(): boolean;
        unref(): unknown;
        ref(): unknown;
        close(): void;
      };
    clearTimeout(timer("cleared") as never);
    clearInterval(timer("cleared") as never);
    clearTimeout(+(timer("by number") as never) as never);
    clearTimeout(`${+(timer("by text") as never)}` as never);
    clearTimeout(undefined);
    clearTimeout({} as never);
    timer("closed").close();
    {
      using _timer = timer("disposed");
    }
    const refreshed = timer("refreshed");
    await sleep(9);
    refreshed.refresh();
    await sleep(9);
    assertEquals(seen, []);
    await sleep(1);
    assertEquals(seen, ["refreshed"]);
    refreshed.refresh();
    await sleep(10);
    assertEquals(seen, ["refreshed", "refreshed"]);
    const idler = timer("unreferenced", HOUR);
    assertEquals(idler.hasRef(), true);
    idler.unref();
    assertEquals(idler.hasRef(), false);
  });
  assertEquals(seen, ["refreshed", "refreshed"]);
});

test("virtualTime() with fakeGlobals lets a handle that outlived it begin anew in real time", async () => {
  const fired = gate();
  let timer!: { refresh(): void };
  await faked(() => {
    timer = (setTimeout(fired.open, 5) as unknown as { unref(): typeof timer }).unref();
  });
  timer.refresh();
  const alive = startTimer(() => {}, 30_000); // the handle, unreferenced, keeps nothing alive
  await fired.promise;
  stopTimer(alive);
});

test("virtualTime() with fakeGlobals takes odd times as hosts do", async () => {
  await faked(async (time) => {
    for (const ms of [undefined, -5, NaN, Infinity, 2 ** 31, "3"] as number[]) {
      await new Promise<void>((resolve) => void setTimeout(resolve, ms));
    }
    assertEquals(time.now, 5 * 1 + 3);
    const order: number[] = [];
    for (const ms of [2, 1, 0, 1]) setTimeout(() => order.push(ms), ms);
    await sleep(2);
    assertEquals(order, [1, 0, 1, 2]);
    for (const ms of [NaN, -1]) assertThrows(() => AbortSignal.timeout(ms));
    await sleep(1);
    assertEquals(time.now, 5 * 1 + 3 + 3);
    await assertRejects(
      // deno-lint-ignore require-await -- a throw becomes a rejection
      async () => void setTimeout("code" as never),
      TypeError,
      "Cannot setTimeout: callback must be a function, got string",
    );
  });
});

test("virtualTime() with fakeGlobals has the promised form of setTimeout", async () => {
  await faked(async (time) => {
    const pause = promisify(setTimeout);
    assertEquals([await pause(HOUR, "value"), time.now], ["value", HOUR]);
    for (const at of ["before", "meanwhile"]) {
      const controller = new AbortController(), cause = new Error(at);
      if (at === "before") controller.abort(cause);
      const error = rejection(pause(DAY, undefined, { signal: controller.signal }));
      controller.abort(cause);
      const { name, cause: found } = await error as Error;
      assertEquals([name, found], ["AbortError", cause]);
    }
    assertEquals(time.now, HOUR);
  });
});

test("virtualTime() with fakeGlobals leaves real timers of before to the host", async () => {
  const cleared = setTimeout(() => assert(false), 5);
  const fired = gate<number>();
  setTimeout(() => fired.open(realNow()), 5);
  await faked(async () => {
    clearTimeout(cleared);
    await sleep(DAY);
    await fired.promise;
  });
});

test("virtualTime() with fakeGlobals gives tasks of before what the host has", async () => {
  const go = new Event();
  const outside = spawn(async () => {
    await go.wait();
    await new Promise<void>((resolve) => void setTimeout(resolve, 5));
    return [Date.now(), new Date().getTime(), performance.now()] as const;
  });
  await idle();
  await faked(async () => {
    go.set();
    await outside;
    assertEquals(performance.now(), 0);
  });
  const [now, made, hostNow] = await outside;
  assert(now > Date.UTC(2026) && made >= now && hostNow <= performance.now());
});

test("virtualTime() with fakeGlobals carries async storages into callbacks", async () => {
  const storage = new AsyncLocalStorage<string>();
  await faked(async () => {
    const seen: unknown[] = [];
    const task = await spawn(() => {
      storage.run("request", () => setTimeout(() => seen.push(storage.getStore()), 5));
      setTimeout(() => seen.push(currentTask()?.name), 5);
      return { name: currentTask()?.name };
    });
    await sleep(5);
    await idle();
    await sleep(1);
    assertEquals(seen, ["request", task.name]);
  });
});

test("virtualTime() with fakeGlobals rejects with what a callback throws, and ends the rest", async () => {
  const error = new Error("of a callback");
  const states: unknown[] = [];
  const rejected = await rejection(faked(async () => {
    setTimeout(() => {
      throw error;
    }, 5);
    spawn(() => sleep(DAY)).link((task) => states.push(task.state));
    await sleep(HOUR).finally(() => states.push("body"));
  }));
  assertStrictEquals(rejected, error);
  assertEquals(states, ["body", "killed"]);
});

test("virtualTime() puts globals, clock and hooks back, however it ends", async () => {
  const names = [
    "setTimeout",
    "setInterval",
    "clearTimeout",
    "clearInterval",
    "Date",
    "performance",
  ];
  const look = () => [
    ...names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name)),
    Object.getOwnPropertyDescriptor(AbortSignal, "timeout"),
    clock.on,
    hooks.on,
  ];
  const before = look();
  const bodies: Array<() => unknown> = [
    () => {},
    () => sleep(1),
    () => Promise.reject(new Error("rejects")),
    () => {
      throw new Error("throws");
    },
    () => new Channel<string>().receive(),
    () => void spawn(() => sleep(DAY)),
    () => void setTimeout(() => {}, 5),
    async () => {
      for (;;) await sleep(0);
    },
    async () => {
      for (;;) await sleep(2);
    },
    () => virtualTime(() => {}),
    () => void (globals.setTimeout = () => {}),
  ];
  const globals = globalThis as unknown as Record<string, unknown>;
  for (const body of bodies) {
    await faked(body, { maxTurns: 50, limitMs: DAY, maxMoves: 50 }).catch(() => {});
    const now = look();
    before.forEach((it, i) =>
      typeof it === "object" && it !== null && "configurable" in it
        ? assertEquals(Object.entries(now[i]!), Object.entries(it))
        : assertStrictEquals(now[i], it)
    );
  }
  await assertRejects(() => virtualTime(() => {}, { start: NaN }), RangeError);
  assertStrictEquals(clock.on, before.at(-2));
});

// -- The end --

test("virtualTime() lists what is left by name with its wait, and kills it", async () => {
  const jobs = new Channel<string>({ name: "jobs" });
  const cleaned: string[] = [];
  const tasks: Task[] = [];
  const error = await assertRejects(
    () =>
      faked((time) => {
        tasks.push(
          spawn({ name: "worker" }, async () => {
            try {
              await jobs.receive();
            } finally {
              await shield(() => sleep(HOUR));
              cleaned.push(`worker at ${time.now}`);
            }
          }),
          spawn({ name: "sleeper" }, () => sleep(DAY)),
          spawnLater(DAY, { name: "later" }, () => cleaned.push("never")),
        );
        void jobs.receive();
        setTimeout(() => cleaned.push("never"), 500);
      }),
    Error,
  );
  assertEquals(error.message.replaceAll(/#\d+/g, "#1").split("\n"), [
    "Cannot end virtual time: nothing must be left, got",
    `  Task "worker" (#1, running): receive on Channel "jobs"`,
    `  Task "sleeper" (#1, running): sleep`,
    `  Task "later" (#1, pending): has not started`,
    `  outside of tasks: receive on Channel "jobs"`,
    "  setTimeout of 500 ms, due in 500 ms",
  ]);
  assertEquals(tasks.map(({ state }) => state), ["killed", "killed", "killed"]);
  assertEquals(cleaned, [`worker at ${HOUR}`]);
  assertInstanceOf(tasks[0]!.error, KilledError);
  assertEquals([liveWaiters(), jobs.trySend("nobody is left")], [0, false]);
});

test("virtualTime() lists a timer that belongs to no wait", async () => {
  await assertRejects(
    () => virtualTime(() => void withTimeout(HOUR, () => new Promise(() => {}))),
    Error,
    "nothing must be left, got\n  1 timer",
  );
});

test("virtualTime() does not go on with a wait that was left", async () => {
  let went = "nowhere";
  await assertRejects(() =>
    virtualTime(() => {
      void new Channel<string>().receive().then(() => went = "on", () => went = "wrong");
    }), Error);
  await idle();
  assertEquals(went, "nowhere");
});

test("virtualTime() lets what needs no time end", async () => {
  await virtualTime(() => {
    spawn(async () => {
      for (let i = 0; i < 1000; i++) await sleep(0);
    });
    void spawn(() => sleep(DAY)).kill();
  });
});

test("virtualTime() rejects with what fn throws, whatever is left, and kills that", async () => {
  const error = new Error("own");
  let task!: Task<void>;
  const rejected = await rejection(virtualTime(async () => {
    task = spawn(() => sleep(DAY));
    await sleep(1);
    throw error;
  }));
  assertStrictEquals(rejected, error);
  assertEquals(task.state, "killed");
  const sync = await rejection(virtualTime(() => {
    throw error;
  }));
  assertStrictEquals(sync, error);
});

test("virtualTime() does not wait for ever for a task that cannot be killed", async () => {
  const stop = gate();
  let task!: Task<void>;
  await assertRejects(
    () => virtualTime(() => void (task = spawn({ name: "stubborn" }, () => stop.promise))),
    Error,
    `Task "stubborn"`,
  );
  stop.open();
  await task.join();
});

test("virtualTime() reports the failure of a task that was left as everywhere", async () => {
  const told: unknown[] = [];
  using _hook = onUnhandled((error) => told.push(error));
  const error = new Error("in clean-up");
  await assertRejects(() =>
    virtualTime(() =>
      void spawn(() =>
        sleep(DAY).catch(() => {
          throw error;
        })
      )
    ), Error);
  assertEquals(told, [error]);
});

// -- Deadlocks --

test("virtualTime() rejects the longest wait of fn when nothing can ever run again", async () => {
  const jobs = new Channel<string>({ name: "jobs" });
  const done = new Event();
  const seen: unknown[] = [];
  await virtualTime(async (time) => {
    const task = spawn({ name: "worker" }, () => jobs.receive());
    await sleep(HOUR);
    const [first, second] = [done.wait(), jobs.receive()];
    second.catch(() => seen.push("second"));
    const error = await rejection(first) as Error;
    assertInstanceOf(error, DeadlockError);
    assert(error.message.includes(`Task "worker"`), error.message);
    assert(error.message.includes(`receive on Channel "jobs"`), error.message);
    assertEquals([time.now, seen, task.state], [HOUR, [], "running"]);
    assertInstanceOf(await rejection(second), DeadlockError);
    await task.kill();
  });
  assertEquals(seen, ["second"]);
});

test("virtualTime() rejects with the deadlock of a fn that does not catch it", async () => {
  const [a, b] = [new Channel<number>({ name: "a" }), new Channel<number>({ name: "b" })];
  const bodies: Array<() => unknown> = [
    () => a.send(1),
    () => sleep(Infinity),
    () => select({ a, b }),
    () => withTimeout(Infinity, () => a.receive()),
    () => spawn(() => a.receive()).join(),
    () => joinAll([spawn(() => a.receive())]),
    () => new Deferred<string>().get(),
    () => new Pool(1).map(() => b.receive(), [1]),
  ];
  for (const body of bodies) {
    assertInstanceOf(await rejection(virtualTime(body)), DeadlockError, String(body));
  }
});

test("virtualTime() sees no deadlock while a timer may end it", async () => {
  const ch = new Channel<number>();
  await virtualTime(async () => {
    spawnLater(DAY, () => ch.send(7));
    assertEquals(await ch.receive(), 7);
  });
});

test("virtualTime() ends a body that meets one deadlock after the other", async () => {
  let caught = 0;
  await assertRejects(
    () =>
      virtualTime(async () => {
        for (;;) {
          const error = await rejection(new Event().wait());
          if (!(error instanceof DeadlockError)) throw error;
          caught++;
        }
      }, { maxMoves: 5 }),
    Error,
    "the body must end within 5 moves",
  );
  assertEquals(caught, 5);
});

test("virtualTime() sees no deadlock while a task waits on a foreign promise, inside or not", async () => {
  const go = new Event();
  const outside = spawn(async () => {
    await go.wait();
    await realSleep(10);
  });
  await idle();
  await virtualTime(async () => {
    await spawn(() => realSleep(10));
    go.set();
    await outside;
  });
});

// -- Bounds --

test("virtualTime() ends a program that never becomes idle", async () => {
  const task = { state: "" };
  const error = await assertRejects(
    () =>
      virtualTime(async () => {
        spawn({ name: "busy" }, async () => {
          for (;;) await sleep(0);
        }).link(({ state }) => task.state = state);
        await sleep(1);
      }, { maxTurns: 20 }),
    Error,
    "Cannot move the clock: the program must become idle within 20 turns",
  );
  assert(error.message.includes(`Task "busy"`), error.message);
  assertEquals(task.state, "killed");
});

test("virtualTime() lists a task that never becomes idle and was left", async () => {
  await assertRejects(
    () =>
      virtualTime(() =>
        void spawn({ name: "busy" }, async () => {
          for (;;) await sleep(0);
        }), { maxTurns: 20 }),
    Error,
    `Task "busy"`,
  );
});

test("virtualTime() does not count turns while somebody waits on the host", async () => {
  await virtualTime(async () => {
    let done = false;
    const busy = spawn(async () => {
      while (!done) await sleep(0);
    });
    await until(realSleep(50));
    done = true;
    await busy;
  }, { maxTurns: 5 });
});

test("virtualTime() ends a program that moves the clock for ever", async () => {
  await assertRejects(
    () =>
      virtualTime(async () => {
        using ticks = every(1);
        for await (const _ of ticks);
      }, { maxMoves: 100 }),
    Error,
    "Cannot move the clock: the body must end within 100 moves (maxMoves), got 100 ms",
  );
  await assertRejects(
    () =>
      faked(() => {
        setTimeout(function again() {
          setTimeout(again);
        });
        return new Event().wait();
      }, { maxMoves: 100 }),
    Error,
    "got 100 ms of virtual time",
  );
});

test("virtualTime() ends a program at limitMs, with its clean-up", async () => {
  let cleaned = -1;
  const error = await assertRejects(
    () =>
      virtualTime(async (time) => {
        await sleep(HOUR);
        spawn({ name: "daily" }, () => sleep(DAY));
        try {
          await sleep(1);
        } finally {
          await shield(() => sleep(DAY));
          cleaned = time.now;
        }
      }, { limitMs: HOUR }),
    TimeoutError,
    `the limit of ${HOUR} ms of virtual time is over`,
  );
  assertEquals([error.ms, cleaned], [HOUR, HOUR + DAY]);
  assert(error.message.includes(`Task "daily"`), error.message);
});

test("virtualTime() rejects at a bound even if fn catches that", async () => {
  const body = () => sleep(DAY).catch(() => "caught");
  await assertRejects(() => virtualTime(body, { limitMs: HOUR }), TimeoutError);
});

// -- One at a time --

test("virtualTime() in virtual time is a TypeError and harms nothing", async () => {
  await virtualTime(async (time) => {
    await assertRejects(() => virtualTime(() => {}), TypeError, "one at a time must run");
    await sleep(DAY);
    assertEquals(time.now, DAY);
  });
  const first = virtualTime(() => sleep(DAY));
  await assertRejects(() => virtualTime(() => {}), TypeError, "one at a time must run");
  await first;
  await virtualTime(() => sleep(DAY));
});

test("virtualTime() checks its arguments", async () => {
  const wrong: Array<[options: unknown, Class: new () => Error]> = [
    [7, TypeError],
    [null, TypeError],
    [{ limitMs: -1 }, RangeError],
    [{ limitMs: "1" }, TypeError],
    [{ maxTurns: 0 }, RangeError],
    [{ maxMoves: 1.5 }, RangeError],
    [{ start: new Date(NaN) }, RangeError],
  ];
  for (const [options, Class] of wrong) {
    await assertRejects(
      () => virtualTime(() => {}, options as never),
      Class,
      "Cannot run in virtual",
    );
  }
  await assertRejects(
    () => virtualTime(7 as never),
    TypeError,
    "fn must be a function, got number",
  );
  await virtualTime(() => new Promise<void>(macrotask), { maxTurns: Infinity, maxMoves: Infinity });
});
