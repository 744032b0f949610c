// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Whole processes: they end by themselves when the work is done, a failure that nobody observes
 * ends them once and loudly, and who does not spawn does not pay for the ambient context.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { test } from "node:test";
import { type Exit, runChild } from "./child.ts";

/** Ends well, having printed exactly this. */
async function assertEnds(program: string, stdout = "done"): Promise<void> {
  const exit = await runChild(program);
  assertEquals(exit, { code: 0, stdout, stderr: "" });
}

/** Ends badly, the text in what it printed exactly once. */
async function assertFails(program: string, text: string): Promise<Exit> {
  const exit = await runChild(program);
  assert(exit.code !== null, `hangs: ${exit.stdout} ${exit.stderr}`);
  assertNotEquals(exit.code, 0, exit.stdout);
  assertEquals((exit.stdout + exit.stderr).split(text).length - 1, 1, exit.stdout + exit.stderr);
  return exit;
}

// The texts are put together at run time: hosts print the line of source that throws.

// -- The end of the work --

test("process ends with code 0 when the work is done", async () => {
  await assertEnds(`
    const { Channel, joinAll, sleep, spawn, spawnLater, shield, until } = await load();
    const ch = new Channel({ capacity: 1 });
    const reader = spawn(async () => {
      for await (const _ of ch);
    });
    const writer = spawn(async () => {
      for (let i = 0; i < 10; i++) {
        await ch.send(i, { timeout: 60_000 });
        await sleep(i % 2);
      }
      ch.close();
    });
    await joinAll([reader, writer, spawnLater(1, () => shield(() => sleep(1)))], { timeout: 60_000 });
    await until(Promise.resolve(), { timeout: 60_000 });
    console.log("done");
  `);
});

test("process lives as long as a task sleeps, though nobody awaits it", async () => {
  await assertEnds(`
    const { sleep, spawn, spawnLater } = await load();
    spawn(async () => {
      await sleep(5);
      spawnLater(5, () => console.log("done"));
    });
  `);
});

test("process ends though tasks are parked for ever", async () => {
  await assertEnds(`
    const { Channel, sleep, spawn, spawnLater, until } = await load();
    const ch = new Channel();
    spawn(() => sleep(Infinity));
    spawn(() => ch.receive());
    spawn(() => ch.receive({ timeout: Infinity, signal: new AbortController().signal }));
    spawn(() => until(new Promise(() => {})));
    spawnLater(Infinity, () => console.log("never"));
    spawn(() => console.log("done"));
  `);
});

test("process ends at once when what had long to wait is killed, aborted or served", async () => {
  const start = performance.now();
  await assertEnds(`
    const { Channel, joinAll, killAll, sleep, spawn, spawnLater } = await load();
    const ch = new Channel();
    const controller = new AbortController();
    const { signal } = controller;
    const tasks = [
      spawn(() => sleep(3_600_000)),
      spawnLater(3_600_000, () => console.log("never")),
      spawn(() => ch.receive({ timeout: 3_600_000 })),
    ];
    const receiving = ch.receive({ timeout: 3_600_000 });
    const sleeping = sleep(3_600_000, { signal }).catch(() => {});
    await sleep(0);
    await ch.send(1);
    controller.abort();
    await sleeping;
    await killAll(tasks);
    await joinAll(tasks, { timeout: 3_600_000 });
    console.log("done");
  `);
  assert(performance.now() - start < 20_000);
});

test("process that sleeps for 35 years hears no warning of a timer too long", async () => {
  await assertEnds(`
    const { sleep, spawn } = await load();
    const task = spawn(() => sleep(2 ** 40));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await task.kill();
    console.log("done");
  `);
});

test("process ends after a kill that is not awaited, of others and of oneself", async () => {
  await assertEnds(`
    const { currentTask, killAll, sleep, spawn } = await load();
    const task = spawn(() => sleep(3_600_000));
    spawn(() => void currentTask().kill());
    spawn(async () => {
      void currentTask().kill("own");
      await sleep(0);
    });
    await sleep(0);
    void task.kill();
    void killAll([spawn(() => {})]);
    console.log("done");
  `);
});

// -- Failures --

// Bun prints the error and goes on: it is the exit code in the end that says it.

test("process ends non-zero after a failure that nobody observes, printed once", async () => {
  await assertFails(
    `
    const { spawn } = await load();
    spawn(() => { throw new Error(["nobody", "looks"].join(" ")); });
  `,
    "nobody looks",
  );
});

test("process hears of a failure that nobody observes as one unhandled rejection", async () => {
  await assertEnds(
    `
    const { sleep, spawn } = await load();
    const alive = setInterval(() => {}, 10); // Deno gives up a pending top-level await before
    const heard = new Promise((resolve) => {
      process.on("unhandledRejection", (error) => {
        console.log("heard", error.message);
        resolve();
      });
    });
    const task = spawn(() => { throw new Error("once"); });
    await heard;
    await task.get().catch(() => {});
    await sleep(20);
    clearInterval(alive);
  `,
    "heard once",
  );
});

test("process ends non-zero after a late failure, though other work goes on", async () => {
  const exit = await assertFails(
    `
    const { sleep, spawn } = await load();
    spawn(async () => {
      await sleep(5);
      throw new Error(["nobody", "looks"].join(" "));
    });
    await sleep(50);
  `,
    "nobody looks",
  );
  assertEquals(exit.stdout, "");
});

test("process ends with code 0 when every failure is observed, or is a kill", async () => {
  await assertEnds(`
    const { joinAll, sleep, spawn } = await load();
    const fail = () => { throw new Error("seen"); };
    spawn(fail).get().catch(() => {});
    spawn(fail).then(undefined, () => {});
    spawn(fail).link(() => {});
    spawn(fail).linkError(() => {});
    void spawn(fail).join();
    void joinAll([spawn(fail), spawn(() => sleep(10))]);
    try {
      await spawn(fail);
    } catch {}
    void spawn(() => sleep(3_600_000)).kill(new Error("killed"));
    const running = spawn(() => sleep(3_600_000));
    await sleep(5);
    void running.kill(new Error("killed"));
    await sleep(20);
    console.log("done");
  `);
});

test("process goes on after a failure that a hook is told of", async () => {
  await assertEnds(
    `
    const { onUnhandled, spawn } = await load();
    const told = new Promise((resolve) => onUnhandled((error, task) => {
      console.log(task.name, error.message);
      resolve();
    }));
    spawn({ name: "careless" }, () => { throw new Error("told"); });
    await told;
    console.log("done");
  `,
    "careless told\ndone",
  );
});

test("process ends non-zero after a failure that comes when the hook is gone", async () => {
  await assertFails(
    `
    const { onUnhandled, sleep, spawn } = await load();
    onUnhandled(() => {})[Symbol.dispose]();
    spawn(() => { throw new Error(["nobody", "looks"].join(" ")); });
    await sleep(50);
  `,
    "nobody looks",
  );
});

test("process ends non-zero when a hook throws, with the hook's error printed once", async () => {
  const exit = await assertFails(
    `
    const { onUnhandled, sleep, spawn } = await load();
    onUnhandled(() => { throw new Error(["hook", "broke"].join(" ")); });
    onUnhandled((error) => console.log("second hook told"));
    spawn(() => { throw new Error("told"); });
    await sleep(50);
  `,
    "hook broke",
  );
  assertEquals(exit.stdout, "second hook told");
});

test("process ends non-zero after a link that throws or rejects, printed once", async () => {
  for (const link of ["() => fail()", "async () => fail()"]) {
    await assertFails(
      `
      const { sleep, spawn } = await load();
      const fail = () => { throw new Error(["link", "broke"].join(" ")); };
      spawn(() => 1).link(${link});
      await sleep(50);
    `,
      "link broke",
    );
  }
});

// -- The ambient context --

/** Counts every use of AsyncLocalStorage, however it is come by. */
const SPY = `
  let uses = 0;
  const { AsyncLocalStorage } = await import("node:async_hooks");
  for (const verb of ["run", "enterWith", "getStore", "exit"]) {
    const real = AsyncLocalStorage.prototype[verb];
    AsyncLocalStorage.prototype[verb] = function (...args) {
      uses++;
      return real.apply(this, args);
    };
  }
  const { getBuiltinModule } = process;
  process.getBuiltinModule = (...args) => {
    uses++;
    return getBuiltinModule.apply(process, args);
  };
`;

test("process that uses only channels never touches AsyncLocalStorage", async () => {
  await assertEnds(
    `
    ${SPY}
    const { Channel, currentTask, isKilled, shield, sleep, until } = await load();
    const ch = new Channel({ capacity: 2 });
    const rendezvous = new Channel();
    const writer = (async () => {
      for (let i = 0; i < 10; i++) await ch.send(i);
      ch.close();
      await rendezvous.send("r");
    })();
    let sum = 0;
    for await (const value of ch) sum += value;
    for await (const chunk of Channel.from([1, 2, 3]).chunks()) sum += chunk.length;
    await rendezvous.receive({ timeout: 60_000, signal: new AbortController().signal });
    await writer;
    await sleep(0);
    await sleep(1);
    await until(Promise.resolve());
    await shield(() => sleep(0));
    currentTask();
    console.log(sum, uses);
  `,
    "48 0",
  );
});

test("process that uses coroutines without tasks never touches AsyncLocalStorage", async () => {
  await assertEnds(
    `
    ${SPY}
    const { coroutine } = await load();
    const double = coroutine(async function* () {
      let got = yield;
      while (true) got = yield got * 2;
    })();
    const sent = await double.send(4);
    await double.close();
    console.log(sent, uses);
  `,
    "8 0",
  );
});

test("process that spawns does use it: the spy of these tests sees", async () => {
  await assertEnds(
    `
    ${SPY}
    const { spawn } = await load();
    await spawn(() => 1);
    console.log(uses > 0);
  `,
    "true",
  );
});

// -- Without AsyncLocalStorage, as in a browser --

/** What a browser lacks of what is used. */
const BROWSER = `process.getBuiltinModule = undefined;`;

test("spawn() without AsyncLocalStorage passes the task to its function as the last argument", async () => {
  await assertEnds(
    `
    ${BROWSER}
    const { spawn, spawnLater } = await load();
    const seen = [];
    const a = spawn((...args) => { seen.push(args.length, args.at(-1) === a); });
    const b = spawn({ name: "b" }, (x, y, task) => { seen.push(x, y, task === b); }, 1, 2);
    const c = spawn(async function* (task) { seen.push(task === c); });
    const d = spawnLater(1, (x, task) => { seen.push(x, task === d); }, 3);
    for (const task of [a, b, c, d]) await task;
    console.log(seen.join(" "));
  `,
    "1 true 1 2 true true 3 true",
  );
});

test("currentTask() without AsyncLocalStorage is known until the first await", async () => {
  await assertEnds(
    `
    ${BROWSER}
    const { currentTask, sleep, spawn } = await load();
    const seen = [];
    const task = spawn(async () => {
      seen.push(currentTask() === task);
      await sleep(0);
      seen.push(currentTask());
    });
    const other = spawn(() => { seen.push(currentTask() === other); });
    seen.push(currentTask());
    await task;
    seen.push(currentTask());
    console.log(seen.map(String).join(" "));
  `,
    "undefined true true undefined undefined",
  );
});

test("Task.kill() without AsyncLocalStorage reaches the first wait, and others through the signal", async () => {
  await assertEnds(
    `
    ${BROWSER}
    const { Channel, shield, sleep, spawn } = await load();
    const first = spawn(() => sleep(3_600_000));
    const ch = new Channel();
    const later = spawn(async ({ signal }) => {
      await sleep(0);
      await ch.receive({ signal });
    });
    const unstarted = spawn(() => console.log("never"));
    void unstarted.kill();
    await sleep(1);
    const reason = new Error("enough");
    console.log(await first.kill(reason), first.state, first.error === reason);
    console.log(await later.kill(reason), later.state, later.error === reason);
    console.log(unstarted.state);
  `,
    "true killed true\ntrue killed true\nkilled",
  );
});

test("TaskLocal without AsyncLocalStorage is inherited and readable until the first await", async () => {
  await assertEnds(
    `
    ${BROWSER}
    const { spawn, TaskLocal } = await load();
    const user = new TaskLocal("nobody");
    user.set("ann");
    console.log(await spawn(() => user.get()), user.run("bob", () => user.get()), user.get());
  `,
    "ann bob ann",
  );
});

test("process without AsyncLocalStorage reports a failure that nobody observes once", async () => {
  await assertFails(
    `
    ${BROWSER}
    const { joinAll, spawn } = await load();
    const fail = () => { throw new Error(["nobody", "looks"].join(" ")); };
    void joinAll([spawn(fail)]);
    spawn(fail);
  `,
    "nobody looks",
  );
});
