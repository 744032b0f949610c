// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Values that belong to a task: what is inherited, what is independent, what is undone.
 *
 * @module
 */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Channel } from "../src/channel.ts";
import { joinAll } from "../src/join.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn, spawnLater } from "../src/spawn.ts";
import { currentTask } from "../src/task.ts";
import { TaskLocal } from "../src/task_local.ts";
import { runChild } from "./child.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { rejection } from "./outcome.ts";

noLeaks();

test("TaskLocal.get() is the initial value until set, undefined without one", async () => {
  const local = new TaskLocal(7), none = new TaskLocal<string | undefined>();
  assertEquals([local.get(), none.get()], [7, undefined]);
  assertEquals(await spawn(() => [local.get(), none.get()]), [7, undefined]);
});

test("TaskLocal.set() outside of tasks is for the program, and what it spawns inherits it", async () => {
  const user = new TaskLocal("nobody");
  user.set("ann");
  assertEquals(user.get(), "ann");
  assertEquals(await spawn(() => user.get()), "ann");
  await idle();
  assertEquals(user.get(), "ann");
});

test("TaskLocal.set() in a task is for that task alone, across its waits", async () => {
  const user = new TaskLocal("nobody");
  const seen: string[] = [];
  const tasks = ["ann", "bob"].map((name) =>
    spawn(async () => {
      seen.push(user.get());
      user.set(name);
      await sleep(0);
      seen.push(user.get());
      await Promise.resolve();
      seen.push(user.get());
    })
  );
  await joinAll(tasks);
  assertEquals(seen, ["nobody", "nobody", "ann", "bob", "ann", "bob"]);
  assertEquals(user.get(), "nobody");
});

test("TaskLocal is inherited as a copy at the spawn, and independent from then on", async () => {
  const user = new TaskLocal("nobody");
  const seen = await spawn(async () => {
    user.set("at the spawn");
    const child = spawn(async () => {
      const inherited = user.get();
      user.set("child");
      await sleep(0);
      return [inherited, user.get()];
    });
    user.set("after the spawn");
    return [...await child, user.get()];
  });
  assertEquals(seen, ["at the spawn", "child", "after the spawn"]);
});

test("TaskLocal is inherited over generations and by spawnLater at the call", async () => {
  using time = new ManualClock();
  const user = new TaskLocal("nobody");
  const task = spawn(() => {
    user.set("grandparent");
    const later = spawnLater(10, () => user.get());
    user.set("changed");
    return spawn(() => spawn(() => user.get())).then(async (deep) => [deep, await later]);
  });
  await idle();
  time.advance(10);
  assertEquals(await task, ["changed", "grandparent"]);
});

test("TaskLocal of a task is not that of who waits for it, or wakes it", async () => {
  const user = new TaskLocal("nobody");
  const ch = new Channel<string>();
  const reader = spawn(async () => {
    user.set("reader");
    return [await ch.receive(), user.get()];
  });
  const writer = spawn(async () => {
    user.set("writer");
    await ch.send("hello");
    return user.get();
  });
  assertEquals([await reader, await writer, user.get()], [
    ["hello", "reader"],
    "writer",
    "nobody",
  ]);
});

test("TaskLocal keeps any value, undefined and null too, and values of several locals apart", async () => {
  const a = new TaskLocal<unknown>("a"), b = new TaskLocal<unknown>("b");
  await spawn(async () => {
    for (const value of [undefined, null, 0, a]) {
      a.set(value);
      await sleep(0);
      assertStrictEquals(a.get(), value);
      assertEquals(b.get(), "b");
    }
  });
});

test("TaskLocal.run() gives the value inside and undoes it after, with what was set inside", async () => {
  const depth = new TaskLocal(0);
  const check = () => {
    const seen = depth.run(1, () => {
      const outer = depth.get();
      const inner = depth.run(2, () => depth.get());
      depth.set(10);
      return [outer, inner, depth.get()];
    });
    assertEquals([seen, depth.get()], [[1, 2, 10], 0]);
  };
  check();
  await spawn(check);
});

test("TaskLocal.run() lasts as long as an async function, and only in it", async () => {
  const user = new TaskLocal("nobody");
  const check = async () => {
    const open = gate();
    const inside = user.run("ann", async () => {
      await open.promise;
      await sleep(0);
      return user.get();
    });
    assertEquals(user.get(), "nobody");
    open.open();
    await idle();
    assertEquals([await inside, user.get()], ["ann", "nobody"]);
  };
  await check();
  await spawn(check);
});

test("TaskLocal.run() passes on what fn returns or throws", async () => {
  const local = new TaskLocal(0);
  const error = new Error("no");
  assertEquals(local.run(1, () => 7), 7);
  assertStrictEquals(
    assertThrows(() =>
      local.run(1, () => {
        throw error;
      })
    ),
    error,
  );
  assertStrictEquals(await rejection(local.run(1, () => Promise.reject(error))), error);
  assertEquals(local.get(), 0);
});

test("TaskLocal.run() stays in the task: it is current, and a kill reaches the waits inside", async () => {
  const local = new TaskLocal(0);
  const seen: unknown[] = [];
  const task = spawn({ name: "me" }, () =>
    local.run(1, async () => {
      seen.push(currentTask()?.name);
      await sleep(Infinity).catch(() => {});
      seen.push((await rejection(sleep(0)) as Error).cause);
      seen.push(await shield(() => sleep(0).then(() => local.get())));
      await sleep(0);
    }));
  await idle();
  await task.kill("why");
  assertEquals([seen, task.state], [["me", "why", 1], "killed"]);
});

test("TaskLocal.run() in a killed task refuses the waits inside", async () => {
  const local = new TaskLocal(0);
  const task = spawn(async () => {
    await sleep(Infinity).catch(() => {});
    return (await rejection(local.run(1, () => sleep(0))) as Error).cause;
  });
  await idle();
  await task.kill("why");
  assertEquals(task.value, "why");
});

test("TaskLocal.run() passes its value to the tasks spawned inside", async () => {
  const user = new TaskLocal("nobody");
  assertEquals(await user.run("ann", () => spawn(() => user.get())).get(), "ann");
  assertEquals(
    await spawn(() => user.run("bob", () => spawn(() => user.get())).get()),
    "bob",
  );
});

test("TaskLocal.set() inside a shield is for the task", async () => {
  const user = new TaskLocal("nobody");
  assertEquals(
    await spawn(async () => {
      await shield(() => user.set("ann"));
      return user.get();
    }),
    "ann",
  );
});

test("TaskLocal.run() in a loop of a long-lived task leaves nothing behind", async () => {
  const exit = await runChild(`
    const { spawn, TaskLocal } = await load();
    const local = new TaskLocal(undefined);
    let values = [];
    await spawn(async () => {
      for (let i = 0; i < 1000; i++) {
        const value = { i };
        values.push(new WeakRef(value));
        local.run(value, () => {});
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
      gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
      gc();
      const left = values.filter((ref) => ref.deref() !== undefined).length;
      console.log(left < 100 ? "collected" : left + " of 1000 are left");
    });
  `);
  assertEquals(exit, { code: 0, stdout: "collected", stderr: "" });
});

test("TaskLocal.run() throws a TypeError for what is no function", () => {
  assertThrows(
    () => new TaskLocal(0).run(1, 7 as never),
    TypeError,
    "Cannot run with task local: fn must be a function",
  );
});
