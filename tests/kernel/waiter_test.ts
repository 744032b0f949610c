// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertIsError,
  assertStrictEquals,
} from "@std/assert";
import { test } from "node:test";
import { clock } from "../../src/_kernel/clock.ts";
import { Context, runIn } from "../../src/_kernel/current.ts";
import { enqueue } from "../../src/_kernel/run_queue.ts";
import { WaitList, type WaitOwner } from "../../src/_kernel/wait_list.ts";
import {
  liveWaiters,
  refuse,
  refuseOptions,
  REJECT,
  Waiter,
  type WaiterGroup,
} from "../../src/_kernel/waiter.ts";
import { TimeoutError } from "../../src/errors.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { countListeners } from "../listeners.ts";
import { ManualClock } from "../manual_clock.ts";
import { outcome, rejection } from "../outcome.ts";

noLeaks();

/** A list whose owner notes the waiters that left it unserved. */
function makeList() {
  const left: Waiter[] = [];
  const owner: WaitOwner = {
    [Symbol.toStringTag]: "Test",
    "~waiterLeft": (waiter) => void left.push(waiter),
  };
  return { list: new WaitList(owner, "test"), left };
}

/** A group that notes what happened to its branches. */
class NotedGroup implements WaiterGroup {
  readonly seen: unknown[][] = [];

  branchSettled(branch: Waiter, value: unknown): void {
    this.seen.push(["settled", branch.payload, value, branch.list]);
  }

  branchFailed(branch: Waiter, error: unknown): void {
    this.seen.push(["failed", branch.payload, error, branch.list]);
  }
}

test("Waiter.settle() resolves with the value, unlinked at once", async () => {
  const { list, left } = makeList(), waiter = new Waiter<number>("payload");
  const waited = waiter.park(list);
  assertEquals([list.size, liveWaiters(), waiter.settled, waiter.payload], [
    1,
    1,
    false,
    "payload",
  ]);
  waiter.settle(7);
  assertEquals([list.size, liveWaiters(), waiter.settled, waiter.list], [0, 0, true, null]);
  assertEquals(await waited, 7);
  assertEquals(left, []);
});

test("Waiter.fail() rejects with the error itself, unlinked at once", async () => {
  const { list, left } = makeList(), waiter = new Waiter();
  const waited = rejection(waiter.park(list)), error = new Error("no");
  waiter.fail(error);
  assertEquals([list.size, liveWaiters()], [0, 0]);
  assertStrictEquals(await waited, error);
  assertEquals(left, []);
});

test("Waiter.cancel() rejects, and tells the owner after it was unlinked", async () => {
  const sizes: number[] = [];
  const list: WaitList = new WaitList({
    [Symbol.toStringTag]: "Test",
    "~waiterLeft": () => void sizes.push(list.size),
  }, "test");
  const waiter = new Waiter(), waited = rejection(waiter.park(list));
  waiter.cancel("stop");
  waiter.cancel("again");
  assertEquals(await waited, "stop");
  assertEquals(sizes, [0]);
});

test("Waiter ends once: what comes after a value is ignored", async () => {
  using time = new ManualClock();
  const { list, left } = makeList(), waiter = new Waiter<number>();
  const controller = new AbortController(), context = new Context(null);
  const waited = waiter.parkFor(context, list, { signal: controller.signal, timeout: 5 });
  waiter.settle(1);
  controller.abort("aborted");
  context.cancel("killed");
  time.advance(5);
  waiter.cancel("cancelled");
  waiter.run();
  waiter.withdraw();
  assertEquals(await waited, 1);
  assertEquals([left, time.size, liveWaiters()], [[], 0, 0]);
});

test("Waiter.park() ends with the abort reason, whatever it is", async () => {
  for (const reason of [null, 0, "", "stop", { code: 7 }, new Error("stop")]) {
    const { list, left } = makeList(), controller = new AbortController(), waiter = new Waiter();
    const waited = rejection(waiter.park(list, { signal: controller.signal }));
    controller.abort(reason);
    assertStrictEquals(await waited, reason);
    assertEquals([left.length, left[0] === waiter], [1, true]);
  }
});

test("Waiter.park() listens once per signal, until the last wait has ended", () => {
  const { list } = makeList(), { signal } = new AbortController(), count = countListeners(signal);
  const waiters = Array.from({ length: 1000 }, () => new Waiter());
  for (const waiter of waiters) void waiter.park(list, { signal });
  assertEquals(count, { added: 1, active: 1 });
  for (const waiter of waiters) waiter.settle(undefined);
  assertEquals(count, { added: 1, active: 0 });
});

test("Waiter.park() rejects with a TimeoutError that names verb and limit", async () => {
  using time = new ManualClock();
  const { list, left } = makeList(), waiter = new Waiter();
  const waited = outcome(waiter.park(list, { timeout: 50 }));
  time.advance(49);
  assertEquals([list.size, time.size], [1, 1]);
  time.advance(1);
  assertEquals([list.size, time.size, left.length], [0, 0, 1]);
  await idle();
  assertIsError(waited.error, TimeoutError, "Cannot test: the limit of 50 ms is over");
  assertEquals(waited.error.ms, 50);
});

test("Waiter.park() with an expiry resolves to it when the limit is over, however falsy", async () => {
  using time = new ManualClock();
  for (const expiry of [false, null, "so far"]) {
    const { list, left } = makeList();
    const waited = new Waiter<unknown>().park(list, { timeout: 5 }, expiry);
    time.advance(5);
    assertStrictEquals(await waited, expiry);
    assertEquals([list.size, left.length], [0, 1]);
  }
  const { list } = makeList();
  const waited = rejection(new Waiter().park(list, { timeout: 5 }, REJECT));
  time.advance(5);
  assertInstanceOf(await waited, TimeoutError);
});

test("Waiter.park() stops its timer and its listening by every end", () => {
  using time = new ManualClock();
  const ends: Array<(waiter: Waiter, context: Context, controller: AbortController) => void> = [
    (waiter) => waiter.settle(1),
    (waiter) => waiter.fail(1),
    (waiter) => waiter.cancel(1),
    (_, context) => context.cancel(1),
    (_waiter, _context, controller) => controller.abort(1),
    () => time.advance(5),
    (waiter) => waiter.run(),
  ];
  for (const end of ends) {
    const { list } = makeList(), waiter = new Waiter();
    const controller = new AbortController(), context = new Context(null);
    const count = countListeners(controller.signal);
    outcome(waiter.parkFor(context, list, { signal: controller.signal, timeout: 5 }));
    assertEquals([list.size, time.size, count.active, liveWaiters()], [1, 1, 1, 1]);
    end(waiter, context, controller);
    assertEquals([list.size, time.size, count.active, liveWaiters()], [0, 0, 0, 0]);
    context.cancel("later");
  }
});

test("Waiter leaves its context by every end, so that a long-lived one keeps nothing", () => {
  class NotedContext extends Context {
    readonly noted: Set<unknown> = new Set();

    override add(wait: Waiter): void {
      super.add(wait);
      this.noted.add(wait);
    }

    override remove(wait: Waiter): void {
      super.remove(wait);
      this.noted.delete(wait);
    }
  }
  using time = new ManualClock();
  const context = new NotedContext(null), { list } = makeList();
  const waiters = Array.from({ length: 5 }, () => new Waiter());
  for (const waiter of waiters) outcome(waiter.parkFor(context, list, { timeout: 5 }));
  assertEquals(context.noted.size, 5);
  waiters[0]!.settle(1);
  waiters[1]!.fail(1);
  waiters[2]!.cancel(1);
  assertEquals(context.noted.size, 2);
  time.advance(5);
  assertEquals(context.noted.size, 0);
});

test("Waiter.park() takes undefined options as absent", async () => {
  const { list } = makeList(), waiter = new Waiter<number>();
  const waited = waiter.park(list, { signal: undefined, timeout: undefined });
  assertEquals(clock.on.size, 0);
  waiter.settle(1);
  assertEquals(await waited, 1);
});

test("Waiter.park() belongs to the current context, and ends with its reason", async () => {
  const { list, left } = makeList(), context = new Context(null), reason = new Error("killed");
  const waiter = new Waiter();
  const waited = rejection(runIn(context, () => waiter.park(list)));
  assertStrictEquals(waiter.context, context);
  context.cancel(reason);
  assertEquals([list.size, left.length], [0, 1]);
  assertStrictEquals(await waited, reason);
});

test("Waiter.parkFor() with null parks out of reach of the current context", async () => {
  const { list } = makeList(), context = new Context(null), waiter = new Waiter<number>();
  const waited = runIn(context, () => waiter.parkFor(null, list));
  context.cancel(new Error("killed"));
  assertEquals([list.size, waiter.context], [1, null]);
  waiter.settle(1);
  assertEquals(await waited, 1);
});

test("Waiter.expire() ends a parked wait with its expiry", async () => {
  using time = new ManualClock();
  const { list } = makeList(), waiter = new Waiter<string>(), waited = waiter.park(list);
  waiter.expire(5, "slept");
  time.advance(5);
  assertEquals(await waited, "slept");
});

test("Waiter.run() resolves to undefined once", async () => {
  const { list } = makeList(), waiter = new Waiter<void>(), waited = waiter.park(list);
  enqueue(waiter);
  enqueue(waiter);
  assertStrictEquals(await waited, undefined);
  await idle();
});

test("Waiter of a group has no wait of its own, its end goes to the group", () => {
  const { list, left } = makeList(), group = new NotedGroup(), error = new Error("no");
  const branches = ["a", "b", "c"].map((name) => new Waiter(name, group));
  for (const branch of branches) list.push(branch);
  assertEquals([liveWaiters(), list.size], [0, 3]);
  branches[1]!.settle(7);
  branches[0]!.fail(error);
  assertEquals(group.seen, [["settled", "b", 7, null], ["failed", "a", error, null]]);
  assertEquals([list.size, left.length], [1, 0]);
  branches[2]!.withdraw();
  branches[2]!.withdraw();
  assertEquals([list.size, left.length, group.seen.length], [0, 1, 2]);
  assert(branches.every(({ settled }) => settled));
});

test("Waiter.withdraw() of a branch that was served changes nothing", () => {
  const { list, left } = makeList(), group = new NotedGroup(), branch = new Waiter("a", group);
  list.push(branch);
  branch.settle(1);
  branch.withdraw();
  assertEquals([left, group.seen.length], [[], 1]);
});

test("liveWaiters() counts what is parked, however many and however they end", async () => {
  const { list } = makeList();
  const waiters = Array.from({ length: 100 }, () => new Waiter());
  const waits = waiters.map((waiter) => outcome(waiter.park(list)));
  assertEquals([liveWaiters(), list.size], [100, 100]);
  for (const [i, waiter] of waiters.entries()) {
    if (i % 3 === 0) waiter.settle(i);
    else if (i % 3 === 1) waiter.fail(i);
    else waiter.cancel(i);
    assertEquals(liveWaiters(), 99 - i);
  }
  await idle();
  assert(
    waits.every(({ state, value, error }, i) =>
      state === (i % 3 === 0 ? "resolved" : "rejected") && (value ?? error) === i
    ),
  );
});

test("Waiter keeps the two functions of its own promise, parked in between or not", async () => {
  const { list } = makeList();
  const waiters = [1, 2, 3].map(() => new Waiter<number>());
  const waits = waiters.map((waiter) => waiter.park(list));
  for (const [i, waiter] of [...waiters.entries()].reverse()) waiter.settle(i);
  assertEquals(await Promise.all(waits), [0, 1, 2]);
});

test("refuse() gives null when nothing is against the wait", () => {
  const { signal } = new AbortController();
  assertEquals([
    refuse("wait"),
    refuse("wait", {}),
    refuse("wait", { signal, timeout: 0 }),
    refuse("wait", { signal: undefined, timeout: undefined }),
    runIn(new Context(null), () => refuse("wait", { timeout: Infinity })),
  ], [null, null, null, null, null]);
});

test("refuse() puts a kill before an aborted signal", async () => {
  const context = new Context(null), reason = new Error("killed");
  context.cancel(reason);
  const signal = AbortSignal.abort("aborted");
  assertStrictEquals(await rejection(runIn(context, () => refuse("wait")!)), reason);
  assertStrictEquals(await rejection(runIn(context, () => refuse("wait", { signal })!)), reason);
  assertEquals(await rejection(refuse("wait", { signal })!), "aborted");
});

test("refuse() gives the reason of the context however falsy it is", async () => {
  for (const reason of [undefined, null, 0, ""]) {
    const context = new Context(null);
    context.cancel(reason);
    assertStrictEquals(await rejection(runIn(context, () => refuse("wait")!)), reason);
  }
});

test("refuseOptions() looks at the options only", async () => {
  const context = new Context(null);
  context.cancel("killed");
  assertEquals(runIn(context, () => refuseOptions("wait", { timeout: 5 })), null);
  const refused = runIn(
    context,
    () => refuseOptions("wait", { signal: AbortSignal.abort("stop") }),
  );
  assertEquals(await rejection(refused!), "stop");
});

test("refuse() rejects wrong options and never throws", async () => {
  const wrong: Array<[unknown, typeof TypeError, string]> = [
    [{ timeout: -1 }, RangeError, "Cannot wait: timeout must be >= 0 milliseconds, got -1"],
    [{ timeout: "5" }, TypeError, "Cannot wait: timeout must be a number of milliseconds"],
    [{ signal: {} }, TypeError, "Cannot wait: signal must be an AbortSignal, got object"],
    [null, TypeError, "Cannot wait: options must be an object, got null"],
  ];
  for (const [options, ErrorClass, message] of wrong) {
    assertIsError(await rejection(refuse("wait", options as never)!), ErrorClass, message);
  }
});
