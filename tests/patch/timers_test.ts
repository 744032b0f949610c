// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The host's timers are waits of the task that sets them: named, counted, and ended with it.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { afterEach, beforeEach, test } from "node:test";
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import { promisify } from "node:util";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { dump } from "../../src/dump.ts";
import { KilledError, TimeoutError } from "../../src/errors.ts";
import { original, patch, type Patched } from "../../src/patch/mod.ts";
import { scope } from "../../src/scope.ts";
import { shield } from "../../src/shield.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import type { Task } from "../../src/task.ts";
import { withTimeout } from "../../src/timeout.ts";
import { runChild } from "../child.ts";
import { gate } from "../gate.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { countListeners } from "../listeners.ts";
import { outcome, rejection } from "../outcome.ts";
import { thrown } from "./ends.ts";

noLeaks();

let patched: Patched;
let waitsBefore = 0;
beforeEach(() => {
  patched = patch({ timers: true });
  waitsBefore = outsideWaits();
});
afterEach(() => {
  patched[Symbol.dispose]();
});

/** Waits that the host may end, beyond those there were. */
function waits(): number {
  return outsideWaits() - waitsBefore;
}

// As code that knows nothing of us writes it.
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const pauseByArrow = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(() => resolve(), ms));

/** Kills `task` and checks that it ends with this very reason. */
async function killed(task: Task, reason: Error = new Error("enough")): Promise<void> {
  await task.kill(reason);
  assertEquals(task.state, "killed");
  assertStrictEquals(task.error, reason);
}

// -- Outside of tasks --

test("setTimeout() outside of tasks is the host's: same handle, arguments, this, and no wait", async () => {
  const host = original<typeof setTimeout>("setTimeout");
  const done = gate<unknown[]>();
  const handle = setTimeout(
    function (this: unknown, ...args: unknown[]) {
      done.open([this === handle, ...args]);
    },
    1,
    "a",
    "b",
  );
  const other = host(() => {}, 0);
  assertStrictEquals(Object.getPrototypeOf(handle), Object.getPrototypeOf(other));
  assertEquals(waits(), 0);
  // Bun has `this` as Node has it, and so has Deno.
  assertEquals((await done.promise).slice(1), ["a", "b"]);
});

test("setTimeout() without a callback throws at once what the host throws, in a task and outside", async () => {
  const wrong = "no callback" as unknown as () => void;
  const host = original<typeof setTimeout>("setTimeout");
  const message = (set: () => unknown) => {
    try {
      const handle = set();
      clearTimeout(handle as number);
      return "nothing";
    } catch (error) {
      return (error as Error).message;
    }
  };
  const expected = message(() => host(wrong, 1));
  assertEquals(message(() => setTimeout(wrong, 1)), expected);
  assertEquals(await spawn(() => message(() => setTimeout(wrong, 1))), expected);
  assertEquals(waits(), 0);
});

// -- A life without kills --

test("setTimeout() in a task fires with this and arguments, and is a wait until then", async () => {
  const task = spawn(() =>
    new Promise<unknown[]>((resolve) => {
      const handle = setTimeout(
        function (this: unknown, ...args: unknown[]) {
          resolve([this === handle, waits(), ...args]);
        },
        1,
        "a",
        "b",
      );
      assertEquals(waits(), 1);
    })
  );
  const outside = await new Promise<unknown>((resolve) => {
    const handle = original<typeof setTimeout>("setTimeout")(function (this: unknown) {
      resolve(this === handle);
    }, 1);
  });
  assertEquals(await task, [outside, 0, "a", "b"]);
});

test("setTimeout() in a task is named in dumps", async () => {
  const task = spawn({ name: "idler" }, () => pause(60_000));
  const ticker = spawn({ name: "ticker" }, async () => {
    const handle = setInterval(() => {}, 60_000);
    await sleep(Infinity).finally(() => clearInterval(handle));
  });
  await idle();
  assert(dump().toString().includes("setTimeout 60000 ms"), dump().toString());
  assert(dump().toString().includes("setInterval 60000 ms"), dump().toString());
  await task.kill();
  await ticker.kill();
  assertEquals(waits(), 0);
});

test("setTimeout() gives the host's handle, which both clears and its own methods clear", async () => {
  const clears: Array<(handle: ReturnType<typeof setTimeout>) => void> = [
    (handle) => clearTimeout(handle),
    (handle) => clearInterval(handle),
    (handle) => timers.clearTimeout(handle as unknown as number),
    (handle) => clearTimeout(Number(handle)),
    (handle) => clearTimeout(String(Number(handle)) as unknown as number),
    (handle) => (handle as unknown as { close(): void }).close(),
    (handle) => (handle as unknown as Disposable)[Symbol.dispose](),
  ];
  for (const [i, clear] of clears.entries()) {
    let fired = false;
    const handle = await spawn(() => {
      const handle = setTimeout(() => {
        fired = true;
      }, 1);
      assertEquals(waits(), 1);
      clear(handle);
      assertEquals(waits(), 0, `clear ${i}`);
      return handle;
    });
    clear(handle);
    await pause(5);
    assertEquals(fired, false, `clear ${i}`);
  }
  clearTimeout(undefined);
  clearTimeout(null as unknown as number);
  clearTimeout(123456789);
});

test("setInterval() in a task ticks until it is cleared", async () => {
  const ticks = await spawn(() =>
    new Promise<number>((resolve) => {
      let count = 0;
      const handle = setInterval(() => {
        assertEquals(waits(), 1);
        if (++count < 3) return;
        clearInterval(handle);
        resolve(count);
      }, 1);
    })
  );
  assertEquals([ticks, waits()], [3, 0]);
});

test("setTimeout() goes on after the end of its task, when no kill ended it", async () => {
  const done = gate<string>();
  const task = spawn(() => {
    setTimeout(() => done.open("fired"), 300);
    setTimeout(done.open, 200, "first");
  });
  await task;
  assertEquals(waits(), 2);
  await task.kill();
  assertEquals(await done.promise, "first");
  while (waits() > 0) await pause(1);
});

test("setTimeout() that is unref'd is no wait, and no kill reaches it", async () => {
  let fired = 0;
  const task = spawn(async () => {
    setTimeout(() => fired++, 5).unref();
    assertEquals(waits(), 0);
    await sleep(60_000);
  });
  await idle();
  await task.kill();
  while (fired === 0) await pause(1);
});

test("a promise of setTimeout(resolve) that is unref'd rejects with the reason of a kill all the same", async () => {
  const unreferenced = () => new Promise((resolve) => setTimeout(resolve, 60_000).unref());
  const task = spawn(unreferenced);
  const late = spawn(() => sleep(60_000).catch(unreferenced));
  await idle();
  assertEquals(waits(), 1);
  await killed(task);
  await killed(late);
});

test("setTimeout() in a killed task that is unref'd at once belongs to others, and keeps its time", async () => {
  let fired = 0;
  const hold = gate();
  const task = spawn(async () => {
    await sleep(60_000).catch(() => {});
    setTimeout(() => fired++, 300).unref();
    await hold.promise;
  });
  await idle();
  const ended = task.kill();
  await idle();
  assertEquals(fired, 0);
  while (fired === 0) await pause(1);
  hold.open();
  await ended;
});

test("setTimeout() that a killed task sets and unrefs in its last moment keeps its time", async () => {
  let fired = 0;
  const task = spawn(async () => {
    await sleep(60_000).catch(() => {});
    setTimeout(() => fired++, 20).unref();
  });
  await idle();
  await task.kill();
  while (fired === 0) await pause(1);
});

test("setTimeout() callbacks run in their task and with what the user's storages hold", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  await storage.run(
    "mine",
    () =>
      spawn({ name: "t" }, () =>
        new Promise<void>((resolve) =>
          setTimeout(() => {
            seen.push(storage.getStore(), dump().tasks.find(({ current }) => current)?.name);
            resolve();
          }, 1)
        )),
  );
  assertEquals(seen, ["mine", "t"]);
});

// -- Kills --

test("a promise of setTimeout(resolve) rejects with the reason of a kill, which stays as it was", async () => {
  const task = spawn(() => pause(60_000));
  await idle();
  const reason = new KilledError("enough");
  await killed(task, reason);
  assertEquals(Object.hasOwn(reason, "then"), false);
  assertEquals(waits(), 0);
});

test("a promise of setTimeout(reject) rejects with the reason of a kill", async () => {
  const task = spawn(() => new Promise((_, reject) => setTimeout(reject, 60_000, "late")));
  await idle();
  await killed(task);
});

test("a promise of setTimeout(resolve) rejects with a reason that cannot be changed, or was a thenable", async () => {
  for (
    const reason of [
      Object.freeze(new KilledError("frozen")),
      Object.assign(new KilledError("thenable"), { then: () => {} }),
    ]
  ) {
    const task = spawn(() => pause(60_000));
    await idle();
    void task.kill(reason);
    await task.join();
    assertEquals(task.state, "killed");
    assertStrictEquals(task.error, reason);
  }
});

test("a kill ends many timers of one task, set by promises of all kinds", async () => {
  const seen: unknown[] = [];
  const task = spawn(() =>
    Promise.allSettled([pause(60_000), pauseByArrow(60_000), pause(70_000), sleep(60_000)])
      .then((results) => {
        for (const result of results) {
          seen.push(result.status === "rejected" ? result.reason : result.status);
        }
      })
  );
  await idle();
  const reason = new KilledError("enough");
  await task.kill(reason);
  assertEquals(seen, [reason, "fulfilled", reason, reason]);
  assertEquals(waits(), 0);
});

test("a limit ends a promise of setTimeout(resolve) with its TimeoutError, outside of tasks too", async () => {
  const body = () => withTimeout(10, () => pause(60_000));
  for (const error of [await rejection(body()), await rejection(spawn(body))]) {
    assertInstanceOf(error, TimeoutError);
    assertEquals(error.ms, 10);
  }
  assertEquals(await withTimeout(10, () => pause(60_000), { fallback: "late" }), "late");
  assertEquals(waits(), 0);
});

test("a killed scope ends the timers of its body", async () => {
  const reason = new KilledError("scope");
  const error = await rejection(scope(async (s) => {
    s.spawn(() => s.kill(reason));
    await pause(60_000);
  }));
  assertStrictEquals(error, reason);
});

test("a kill drops a callback that the task does not wait for", async () => {
  let fired = false;
  const task = spawn(async () => {
    setTimeout(() => {
      fired = true;
    }, 300);
    await sleep(60_000);
  });
  await idle();
  await task.kill();
  await idle();
  assertEquals(waits(), 0);
  await pause(400);
  assertEquals(fired, false);
});

test("a kill calls a callback early when nothing else can wake the task", async () => {
  const log: unknown[] = [];
  const storage = new AsyncLocalStorage<string>();
  const task = storage.run("mine", () =>
    spawn(async () => {
      await new Promise<void>((resolve) =>
        setTimeout(
          function (this: unknown, ...args: unknown[]) {
            log.push(storage.getStore(), ...args);
            resolve();
          },
          60_000,
          "a",
        )
      );
      log.push("went on");
      await sleep(60_000);
      log.push("never");
    }));
  await idle();
  await storage.run("killer's", () => killed(task));
  assertEquals(log, ["mine", "a", "went on"]);
  assertEquals(waits(), 0);
});

test("what a callback gives that was called early is no value: the task is killed, the limit over", async () => {
  const gives = () => new Promise((resolve) => setTimeout(() => resolve("page"), 60_000));
  const task = spawn(gives);
  await idle();
  await killed(task);
  for (const run of [() => withTimeout(5, gives), () => spawn(() => withTimeout(5, gives))]) {
    assertInstanceOf(await rejection(run()), TimeoutError);
  }
  assertEquals(await withTimeout(5, gives, { fallback: "late" }), "late");
  const reason = new Error("scope");
  const killedScope = scope(async (s) => {
    s.spawn(() => s.kill(reason));
    await gives();
  });
  assertStrictEquals(await rejection(killedScope), reason);
  // An inner limit that is over leaves the task its value.
  assertEquals(await spawn(() => withTimeout(5, gives).catch(() => "went on")), "went on");
  assertEquals(waits(), 0);
});

test("a loop of timers ends with its task, whatever their callbacks", async () => {
  const pauses = [
    pauseByArrow,
    (ms: number) => new Promise<void>((resolve) => setTimeout(resolve.bind(null, undefined), ms)),
    async (ms: number) => await pauseByArrow(ms),
  ];
  for (const wait of pauses) {
    let rounds = 0;
    const loop = async () => {
      for (;;) {
        rounds++;
        await wait(60_000);
      }
    };
    const task = spawn(loop);
    await idle();
    await killed(task);
    assertEquals(rounds, 2);
    assertInstanceOf(await rejection(withTimeout(5, loop)), TimeoutError);
    assertEquals([rounds, waits()], [4, 0]);
  }
});

test("a timer that is set because another was called early throws, in this task and now", async () => {
  const log: unknown[] = [];
  const hold = gate();
  const other = spawn(async () => {
    await sleep(60_000).catch(() => {});
    await hold.promise;
    for (let i = 0; i < 3; i++) {
      await null;
      clearTimeout(setTimeout(() => {}, 60_000));
    }
  });
  const task = spawn(async () => {
    await new Promise<void>((resolve) =>
      setTimeout(() => {
        // Not here: a throw would be an uncaught exception.
        clearTimeout(setTimeout(() => {}, 60_000));
        hold.open();
        resolve();
      }, 60_000)
    );
    log.push(thrown(() => setTimeout(() => {}, 1)));
    await shield(() => Promise.resolve(clearTimeout(setTimeout(() => {}, 1))));
    await idle();
    clearTimeout(setTimeout(() => {}, 60_000));
  });
  await idle();
  const reason = new Error("enough");
  void other.kill(new Error("another"));
  await idle();
  await task.kill(reason);
  assertEquals([log, task.error, other.error], [[reason], reason, undefined]);
  await other;
});

test("setImmediate() in a task is the host's, and its promise rejects with the reason of a kill", async () => {
  assertEquals(await spawn(() => new Promise((resolve) => setImmediate(resolve, "a"))), "a");
  const cleared = spawn(async () => {
    clearImmediate(setImmediate(() => log.push("cleared")));
    await sleep(1);
  });
  const log: unknown[] = [];
  await cleared;
  let rounds = 0;
  const loop = async () => {
    for (;; rounds++) await new Promise((resolve) => setImmediate(resolve));
  };
  const task = spawn(loop);
  while (rounds < 3) await pause(1);
  await killed(task);
  assertInstanceOf(await rejection(withTimeout(5, loop)), TimeoutError);
  const late = spawn(async () => {
    await sleep(60_000).catch(() => {});
    setImmediate((...args: unknown[]) => log.push(...args), "called");
    await rejection(new Promise((resolve) => setImmediate(resolve)));
    // It belongs to nobody when it fires: the task has ended.
    void new Promise((resolve) => setImmediate(resolve, "left")).then((value) => log.push(value));
  });
  await idle();
  await late.kill();
  while (log.length < 2) await pause(1);
  assertEquals([log, waits()], [["called", "left"], 0]);
});

test("a callback that is called early and throws is an uncaught exception, as ever", async () => {
  const exit = await runChild(`
    const { sleep, spawn } = await load();
    const { patch } = await import(${
    JSON.stringify(new URL("../../src/patch/mod.ts", import.meta.url).href)
  });
    patch({ timers: true });
    process.on("uncaughtException", (error) => {
      console.log("uncaught", error.message);
      goOn();
    });
    process.on("unhandledRejection", (error) => console.log("unhandled", error.message));
    let goOn;
    const task = spawn(async () => {
      setTimeout(() => { throw new Error("in the callback") }, 60_000);
      await new Promise((resolve) => goOn = resolve);
    });
    await sleep(0);
    await task.kill();
  `);
  assertEquals(exit.stdout, "uncaught in the callback", exit.stderr);
});

test("a kill clears an interval at once", async () => {
  let ticks = 0;
  const hold = gate();
  const task = spawn(async () => {
    setInterval(() => ticks++, 1);
    await hold.promise;
  });
  while (ticks === 0) await pause(1);
  const ended = task.kill();
  await idle();
  const then = ticks;
  assertEquals(waits(), 0);
  await pause(20);
  assertEquals(ticks, then);
  hold.open();
  await ended;
});

test("a callback keeps its time while the killed task cleans up behind a shield", async () => {
  const log: string[] = [];
  const cleaned = gate();
  const task = spawn(async () => {
    setTimeout(() => log.push("fired"), 500);
    setTimeout(() => log.push("never"), 60_000);
    try {
      await sleep(60_000);
    } finally {
      await shield(() => sleep(60_000, { signal: stop.signal }).catch(() => {}));
      log.push("cleaned");
      cleaned.open();
    }
  });
  const stop = new AbortController();
  await idle();
  const ended = task.kill();
  await idle();
  assertEquals(log, []);
  assertEquals(waits(), 2, "it may still fire");
  while (log.length === 0) await pause(1);
  assertEquals([log, waits()], [["fired"], 1]);
  stop.abort();
  await cleaned.promise;
  await ended;
  assertEquals([log, waits()], [["fired", "cleaned"], 0]);
});

test("a callback that keeps its time can still be cleared and unref'd", async () => {
  const stop = new AbortController();
  const handles: Array<ReturnType<typeof setTimeout>> = [];
  let fired = 0;
  const task = spawn(async () => {
    handles.push(setTimeout(() => fired++, 500), setTimeout(() => fired++, 500));
    await sleep(60_000).catch(() => {});
    await shield(() => sleep(60_000, { signal: stop.signal }).catch(() => {}));
  });
  await idle();
  const ended = task.kill();
  await idle();
  assertEquals(waits(), 2);
  clearTimeout(handles[0]);
  assertEquals(waits(), 1);
  handles[1]!.unref();
  assertEquals(waits(), 0);
  stop.abort();
  await ended;
  while (fired === 0) await pause(1);
  await pause(50);
  assertEquals(fired, 1);
});

test("a callback that is cleared in the tick of the kill, or right after it, is not called", async () => {
  for (let microtasks = 0; microtasks < 5; microtasks++) {
    let fired = 0;
    const hold = gate();
    const handles: Array<ReturnType<typeof setTimeout>> = [];
    const task = spawn(async () => {
      handles.push(setTimeout(() => fired++, 60_000), setTimeout(() => fired++, 60_000));
      await hold.promise;
    });
    await idle();
    const ended = task.kill();
    for (let i = 0; i < microtasks; i++) await null;
    clearTimeout(handles[0]);
    handles[1]!.unref();
    await idle();
    assertEquals(fired, 0);
    clearTimeout(handles[1]);
    hold.open();
    await ended;
  }
});

test("a poll that sets itself again in a killed task does not spin", async () => {
  let polls = 0;
  const hold = gate();
  const task = spawn(async () => {
    const poll = () => {
      polls++;
      setTimeout(poll, 60_000);
    };
    poll();
    await hold.promise;
  });
  await idle();
  const ended = task.kill();
  for (let i = 0; i < 300; i++) await idle();
  assertEquals(polls, 101);
  assertEquals(waits(), 1);
  hold.open();
  await ended;
  assertEquals(waits(), 0);
});

test("a timer that is set in a killed task ends as one that was there before", async () => {
  const log: unknown[] = [];
  const task = spawn(async () => {
    try {
      await sleep(60_000);
    } finally {
      log.push(await rejection(pause(60_000)));
      log.push(await pauseByArrow(60_000));
      log.push(thrown(() => setTimeout(() => log.push("never"), 1)));
      log.push(thrown(() => setInterval(() => log.push("never"), 1)));
      await idle();
      setInterval(() => log.push("never"), 1);
      setTimeout(() => log.push("never"), 1);
      assertEquals(waits(), 0);
    }
  });
  await idle();
  const reason = new KilledError("enough");
  await task.kill(reason);
  await pause(20);
  assertEquals(log, [reason, undefined, reason, reason]);
});

test("a loop in a killed task that catches everything and tries again leaves others their turn", async () => {
  let tries = 0;
  let stop = false;
  const task = spawn(async () => {
    while (!stop) {
      tries++;
      await pause(60_000).catch(() => {});
      await pauseByArrow(1).catch(() => {});
      await timersPromises.setTimeout(60_000).catch(() => {});
    }
  });
  await idle();
  const ended = task.kill();
  await new Promise((resolve) => original<typeof setTimeout>("setTimeout")(resolve, 20));
  stop = true;
  await ended;
  assert(tries > 50, `${tries} tries`);
});

test("what goes on in a killed task after its end is the host's: it may be shared by others", async () => {
  const hold = gate();
  const log: unknown[] = [];
  const task = spawn(() => {
    void hold.promise.then(async () => {
      await pause(1);
      await timersPromises.setTimeout(1);
      log.push(waits());
      hold2.open();
    });
    return sleep(60_000);
  });
  const hold2 = gate();
  await idle();
  await killed(task);
  hold.open();
  await hold2.promise;
  assertEquals(log, [0]);
});

test("a timer behind a shield is out of reach of kills", async () => {
  const log: string[] = [];
  const task = spawn(async () => {
    try {
      await sleep(60_000);
    } finally {
      await shield(async () => {
        await pause(5);
        await pauseByArrow(5);
        log.push("saved");
      });
    }
  });
  await idle();
  await killed(task);
  assertEquals(log, ["saved"]);
});

test("a timer of a limit that has ended goes on, until a kill of its task", async () => {
  let fired = 0;
  const task = spawn(async () => {
    await withTimeout(60_000, () => {
      setTimeout(() => fired++, 1);
    });
    while (fired === 0) await pause(1);
    await withTimeout(60_000, () => {
      setTimeout(() => fired++, 60_000);
    });
    await sleep(60_000);
  });
  while (fired === 0) await pause(1);
  await idle();
  await task.kill();
  await pause(5);
  assertEquals([fired, waits()], [1, 0]);
});

test("patch() that is undone lets go of the timers that are set", async () => {
  const hold = gate();
  let fired = 0;
  const task = spawn(async () => {
    setTimeout(() => fired++, 300);
    clearTimeout(handle);
    await hold.promise;
  });
  const handle = setTimeout(() => {}, 60_000);
  await idle();
  assertEquals(waits(), 1);
  patched[Symbol.dispose]();
  assertEquals(waits(), 0);
  const ended = task.kill();
  while (fired === 0) await pause(1);
  hold.open();
  await ended;
});

// -- node:timers and node:timers/promises --

test("node:timers has the same functions", () => {
  assertStrictEquals(timers.setTimeout as unknown, globalThis.setTimeout);
  assertStrictEquals(timers.setInterval as unknown, globalThis.setInterval);
});

test("promisify(setTimeout) ends with its task", async () => {
  const task = spawn(() => promisify(setTimeout)(60_000));
  await idle();
  await killed(task);
});

test("node:timers/promises end with their task, and are named", async () => {
  const calls: Array<[string, () => Promise<unknown>]> = [
    ["timers.promises.setTimeout 60000 ms", () => timersPromises.setTimeout(60_000)],
    [
      "timers.promises.scheduler.wait 60000 ms",
      () => timersPromises.scheduler.wait(60_000),
    ],
    ["timers.promises.setInterval 60000 ms", async () => {
      for await (const _ of timersPromises.setInterval(60_000));
    }],
  ];
  for (const [name, call] of calls) {
    const task = spawn(call);
    await idle();
    assert(dump().toString().includes(name), dump().toString());
    await killed(task);
    assertEquals(waits(), 0);
    assertInstanceOf(await rejection(withTimeout(5, call)), TimeoutError);
    const late = spawn(async () => {
      await sleep(60_000).catch(() => {});
      await call();
    });
    await idle();
    await killed(late);
  }
});

test("node:timers/promises give what the host gives", async () => {
  const body = async () => {
    const values: unknown[] = [
      await timersPromises.setTimeout(1, "a"),
      await timersPromises.setImmediate("b"),
      await timersPromises.scheduler.wait(1),
    ];
    let ticks = 0;
    for await (const value of timersPromises.setInterval(1, "c")) {
      values.push(value);
      if (++ticks === 2) break;
    }
    return values;
  };
  assertEquals(await spawn(body), await body());
  assertEquals(await spawn(body), ["a", "b", undefined, "c", "c"]);
  assertEquals(waits(), 0);
});

test("node:timers/promises refuse wrong options in a task as they do outside", async () => {
  const calls: Array<() => Promise<unknown>> = [
    () => timersPromises.setTimeout(1, undefined, 7 as unknown as { ref: boolean }),
    () => timersPromises.setTimeout(1, undefined, "x" as unknown as { ref: boolean }),
    () => timersPromises.setTimeout(1, undefined, { signal: 7 as unknown as AbortSignal }),
    () => timersPromises.setInterval(1, 0, { signal: 7 as unknown as AbortSignal }).next(),
  ];
  const ending = async (call: () => Promise<unknown>) =>
    await call().then(() => "resolved", (error: Error & { code?: string }) => error.code);
  for (const call of calls) {
    assertEquals(await spawn(() => ending(call)), await ending(call));
  }
});

test("node:timers/promises follow the user's signal as the host does, and leave no listener", async () => {
  const ending = async (abort: (controller: AbortController) => void) => {
    const controller = new AbortController();
    const listeners = countListeners(controller.signal);
    const call = outcome(
      timersPromises.setTimeout(60_000, 0, { signal: controller.signal }),
    );
    abort(controller);
    await idle();
    const error = call.error as Error & { code?: string; cause?: unknown };
    return [call.state, error?.name, error?.code, error?.cause, listeners.active];
  };
  const during = (controller: AbortController) => controller.abort("why");
  assertEquals(await spawn(() => ending(during)), await ending(during));
  const before = async () => {
    const call = timersPromises.setTimeout(60_000, 0, { signal: AbortSignal.abort("why") });
    const error = await rejection(call) as Error & { code?: string };
    return [error.name, error.code, error.cause];
  };
  assertEquals(await spawn(before), await before());
  const { signal } = new AbortController();
  const listeners = countListeners(signal);
  await spawn(() => timersPromises.setTimeout(1, 0, { signal }));
  const task = spawn(() => timersPromises.setTimeout(60_000, 0, { signal }));
  await idle();
  assertEquals(listeners.active, 1);
  await killed(task);
  await idle();
  assertEquals(listeners.active, 0);
});

// -- Many --

test("10,000 timers of one task end with it and leave nothing", async () => {
  const before = liveWaiters();
  const task = spawn(() =>
    Promise.all(
      Array.from({ length: 10_000 }, (_, i) => i % 2 ? pause(60_000) : pauseByArrow(60_000)),
    )
  );
  await idle();
  assertEquals(waits(), 10_000);
  await killed(task);
  await idle();
  assertEquals([waits(), liveWaiters() - before], [0, 0]);
});

test("setTimeout() throws nothing of ours for strange delays", async () => {
  await spawn(async () => {
    for (const ms of [undefined, null, "1", -5, NaN, {}]) {
      await new Promise((resolve) => setTimeout(resolve, ms as number));
    }
    await new Promise((resolve) => setTimeout(resolve));
  });
  assertThrows(() => Reflect.apply(setTimeout, undefined, [Symbol()]), TypeError);
});
