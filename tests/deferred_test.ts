// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The deferred: one result, the first, for everybody who asks, and no report when nobody does.
 *
 * @module
 */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { liveWaiters } from "../src/_kernel/waiter.ts";
import { Channel } from "../src/channel.ts";
import { Deferred } from "../src/deferred.ts";
import { TimeoutError } from "../src/errors.ts";
import { select, trySelect } from "../src/select.ts";
import { spawn } from "../src/spawn.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { wait } from "../src/wait.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertEnds, assertRefuses, inKilledTask, livingTask } from "./waits.ts";

noLeaks();

test("Deferred.resolve() and reject() give true for the first only, whose result stays", async () => {
  const error = new Error("no");
  const resolved = new Deferred<number>(), rejected = new Deferred<number>();
  assertEquals([resolved.settled, rejected.settled], [false, false]);
  assertEquals(
    [resolved.resolve(1), resolved.resolve(2), resolved.reject(error)],
    [true, false, false],
  );
  assertEquals(
    [rejected.reject(error), rejected.reject("other"), rejected.resolve(2)],
    [true, false, false],
  );
  assertEquals([resolved.settled, rejected.settled], [true, true]);
  assertEquals(await resolved.get(), 1);
  assertStrictEquals(await rejection(rejected.get()), error);
  assertEquals(Object.prototype.toString.call(resolved), "[object Deferred]");
});

test("Deferred keeps any value and any error as it is, undefined too", async () => {
  for (const result of [undefined, null, 0, NaN, "", false, new Error("no"), { a: 1 }]) {
    const resolved = new Deferred<unknown>(), rejected = new Deferred<unknown>();
    const parked = [resolved.get(), resolved.promise, rejection(rejected.get())];
    assertEquals([resolved.resolve(result), rejected.reject(result)], [true, true]);
    const then = [resolved.get(), resolved.promise, rejection(rejected.promise)];
    for (const got of await Promise.all([...parked, ...then])) assertStrictEquals(got, result);
  }
});

test("Deferred.get() parks until it is resolved, any number of callers in order", async () => {
  const step = steps(), deferred = new Deferred<string>();
  const gets = [2, 3, 4].map((n) => deferred.get().then((value) => (step(n), value)));
  await idle();
  step(1);
  deferred.resolve("done");
  assertEquals(await Promise.all(gets), ["done", "done", "done"]);
  step.end(5);
});

test("Deferred.get() parks until it is rejected, and all callers get the very error", async () => {
  const deferred = new Deferred<string>(), error = new Error("no");
  const gets = [rejection(deferred.get()), rejection(deferred.get()), rejection(deferred.promise)];
  await idle();
  deferred.reject(error);
  for (const got of await Promise.all(gets)) assertStrictEquals(got, error);
});

test("Deferred.get() gives what is there at once, with a timeout of 0 too", async () => {
  const deferred = new Deferred<number>();
  deferred.resolve(7);
  assertEquals([await deferred.get(), await deferred.get({ timeout: 0 })], [7, 7]);
});

test("Deferred.get() is refused in a killed task and for an aborted signal, though it is settled", async () => {
  const deferred = new Deferred<number>();
  deferred.resolve(7);
  await assertRefuses((options) => deferred.get(options));
  assertEquals(await deferred.get(), 7);
});

test("Deferred.get() ends by abort, kill and timeout, and the deferred goes on", async () => {
  const deferred = new Deferred<number>();
  await assertEnds((options) => deferred.get(options));
  const parked = deferred.get();
  assertEquals([deferred.settled, deferred.resolve(7), await parked], [false, true, 7]);
});

test("Deferred.get() that was served stays so when the abort, kill or limit comes later", async () => {
  using time = new ManualClock();
  const deferred = new Deferred<number>(), controller = new AbortController();
  const gets = [deferred.get({ signal: controller.signal }), deferred.get({ timeout: 5 })];
  const task = spawn(() => deferred.get());
  await idle();
  deferred.resolve(7);
  controller.abort("too late");
  time.advance(5);
  void task.kill();
  assertEquals(await Promise.all([...gets, task]), [7, 7, 7]);
});

test("Deferred.promise is always the same one, made before or after the end", async () => {
  const before = new Deferred<number>(), after = new Deferred<number>();
  const { promise } = before;
  assert(promise instanceof Promise);
  before.resolve(1);
  after.resolve(2);
  assertStrictEquals(before.promise, promise);
  assertStrictEquals(after.promise, after.promise);
  assertEquals([await promise, await after.promise], [1, 2]);
});

test("Deferred.promise is out of reach of a kill of the task that first asked for it", async () => {
  const deferred = new Deferred<number>(), living = await livingTask();
  const promise = outcome(living.call(() => deferred.promise));
  void living.task.kill();
  await living.end();
  assertEquals(promise.state, "pending");
  deferred.resolve(7);
  await idle();
  assertEquals(promise.value, 7);
});

test("Deferred.reject() is no failure when nobody asks, or none has asked yet", async () => {
  const told: unknown[] = [];
  using _hook = onUnhandled((error) => told.push(error));
  const deferred = new Deferred<number>(), error = new Error("nobody asks");
  // A get that was ended before is nobody either.
  assert(await rejection(deferred.get({ timeout: 0 })) instanceof TimeoutError);
  deferred.reject(error);
  await idle(); // an unhandled rejection would end the test run here
  assertStrictEquals(await rejection(deferred.get()), error);
  assertEquals(told, []);
});

test("Deferred can be resolved, rejected and looked at in a killed task", async () => {
  const deferred = new Deferred<number>();
  assertEquals(
    await inKilledTask(() => [
      deferred.settled,
      deferred.resolve(7),
      deferred.reject("late"),
      deferred.settled,
    ]),
    [false, true, false, true],
  );
  assertEquals(await deferred.get(), 7);
});

test("Deferred is no thenable: it is sent, returned and awaited as it is", async () => {
  const deferred = new Deferred<number>();
  assertEquals("then" in deferred, false);
  const ch = new Channel<Deferred<number>>({ capacity: 1 });
  await ch.send(deferred);
  assertStrictEquals(await ch.receive(), deferred);
  const make = async () => {
    await idle();
    return deferred;
  };
  assertStrictEquals(await make(), deferred);
  assertStrictEquals(await spawn(make), deferred);
  assertStrictEquals(await deferred, deferred);
  deferred.resolve(7);
  assertStrictEquals(await make(), deferred);
});

test("Deferred answers a request that carried it through a channel", async () => {
  const requests = new Channel<{ question: number; answer: Deferred<number> }>();
  const server = spawn(async () => {
    for await (const { question, answer } of requests) answer.resolve(question * 2);
  });
  const ask = async (question: number): Promise<number> => {
    const answer = new Deferred<number>();
    await requests.send({ question, answer });
    return await answer.get();
  };
  assertEquals([await ask(1), await ask(2)], [2, 4]);
  requests.close();
  await server;
});

test("Deferred is a ready case of select when settled: its value, or its error", async () => {
  const resolved = new Deferred<number>(), rejected = new Deferred<number>();
  assertEquals(trySelect({ resolved, rejected }), undefined);
  resolved.resolve(7);
  rejected.reject("no");
  assertEquals(trySelect({ resolved }), { key: "resolved", value: 7, done: false });
  assertEquals(await select({ resolved, rejected }, { priority: true }), {
    key: "resolved",
    value: 7,
    done: false,
  });
  assertEquals(await rejection(select({ rejected, resolved }, { priority: true })), "no");
  let thrown: unknown;
  try {
    trySelect({ rejected });
  } catch (error) {
    thrown = error;
  }
  assertEquals(thrown, "no");
});

test("Deferred wakes a select that waits, which then leaves it", async () => {
  const [a, b] = [new Deferred<number>(), new Deferred<number>()];
  const resolved = select({ a, b });
  await idle();
  b.resolve(7);
  assertEquals(await resolved, { key: "b", value: 7, done: false });
  const rejected = rejection(select({ a }));
  await idle();
  a.reject("no");
  assertEquals([await rejected, liveWaiters()], ["no", 0]);
});

test("wait() gives deferreds that are settled, also with an error", async () => {
  const [a, b] = [new Deferred<number>(), new Deferred<number>()];
  a.reject("no");
  const all = wait([b, a]);
  await idle();
  b.resolve(7);
  const ready = await all;
  assertStrictEquals(ready[0], a);
  assertStrictEquals(ready[1], b);
});
