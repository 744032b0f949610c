// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { Channel } from "../../src/channel.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import { idle, idlers } from "../../src/testing/idle.ts";
import { noLeaks } from "../leaks.ts";
import { inKilledTask } from "../waits.ts";

noLeaks();

test("idle() resolves after all that can run, however many turns it takes", async () => {
  const seen: string[] = [];
  const loops = [1, 2, 3].map((n) =>
    spawn(async () => {
      for (let i = 0; i < 3_000; i++) await sleep(0);
      seen.push(`loop ${n}`);
    })
  );
  await idle();
  assertEquals(seen, ["loop 1", "loop 2", "loop 3"]);
  assertEquals(loops.map(({ ready }) => ready), [true, true, true]);
});

test("idle() resolves after a chain of tasks and channels", async () => {
  const last = new Channel<number>({ capacity: 1 });
  let to = last;
  for (let i = 0; i < 500; i++) {
    const [from, next] = [new Channel<number>(), to];
    spawn(async () => await next.send(await from.receive() + 1));
    to = from;
  }
  spawn(() => to.send(0));
  await idle();
  assertEquals(last.tryReceive(), { state: "ok", value: 500 });
});

test("idle() waits for no timer and for nobody who is parked", async () => {
  const ch = new Channel<string>();
  const sleeper = spawn(() => sleep(60_000));
  const receiver = spawn(() => ch.receive());
  await idle();
  assertEquals([sleeper.state, receiver.state], ["running", "running"]);
  await sleeper.kill();
  await receiver.kill();
});

test("idle() resolves for several at once and in a killed task", async () => {
  await Promise.all([idle(), idle()]);
  assertEquals(await inKilledTask(() => idle().then(() => "idle")), "idle");
});

test("idlers() counts those who wait in idle()", async () => {
  const both = [idle(), idle()];
  assertEquals(idlers(), 2);
  await Promise.all(both);
  assertEquals(idlers(), 0);
});
