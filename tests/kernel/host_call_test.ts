// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { hostCall, type HostCallEnds } from "../../src/_kernel/host_call.ts";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { dump } from "../../src/dump.ts";
import { select } from "../../src/select.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import { after } from "../../src/timer.ts";
import { onUnhandled } from "../../src/unhandled.ts";
import { until } from "../../src/until.ts";
import { gate } from "../gate.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { rejection } from "../outcome.ts";

noLeaks();

/** Begins a call and hands out its ends. */
function begin(stop?: (reason: unknown) => void): [Promise<string>, HostCallEnds<string>] {
  let ends!: HostCallEnds<string>;
  const ended = hostCall<string>("fetch", "GET http://a", (given) => {
    ends = given;
    return stop;
  });
  return [ended, ends];
}

test("hostCall() resolves to what the host says first, and drops what it says later", async () => {
  const [ended, ends] = begin();
  assertEquals([ends.waiting, outsideWaits()], [true, 1]);
  ends.settle("first");
  ends.settle("second");
  ends.fail(new Error("third"));
  assertEquals(await ended, "first");
  assertEquals([ends.waiting, outsideWaits()], [false, 0]);
});

test("hostCall() takes an end that comes while it starts", async () => {
  const settled = hostCall<number>("call", "x", (ends) => {
    ends.settle(1);
    ends.fail(new Error("late"));
    return undefined;
  });
  assertEquals(await settled, 1);
  const error = new Error("at once");
  const failed = hostCall<number>("call", "x", (ends) => {
    ends.fail(error);
    return undefined;
  });
  assertStrictEquals(await rejection(failed), error);
});

test("hostCall() throws what start throws, and leaves nothing parked", () => {
  const before = liveWaiters();
  assertThrows(() =>
    hostCall("call", "x", () => {
      throw new TypeError("bad argument");
    }), TypeError);
  assertEquals([liveWaiters() - before, outsideWaits()], [0, 0]);
});

test("hostCall() stops the host once when its task is killed, with the reason", async () => {
  const stops: unknown[] = [];
  let ends!: HostCallEnds<string>;
  const task = spawn(() => {
    const [ended, given] = begin((reason) => stops.push(reason));
    ends = given;
    return ended;
  });
  await sleep(0);
  assertEquals(dump().tasks[0]?.waits.map(({ verb, name }) => `${verb} ${name}`), [
    "fetch GET http://a",
  ]);
  assertEquals(dump().toString().split("): ")[1], "fetch GET http://a");
  const reason = new Error("enough");
  await task.kill(reason);
  ends.settle("late");
  assertEquals(stops, [reason]);
  assertStrictEquals(task.error, reason);
});

test("outsideWaits() counts waits on foreign promises, selects too, until they end", async () => {
  const promise = gate();
  const waits = [until(promise.promise), select({ promise: promise.promise, late: after(60_000) })];
  assertEquals(outsideWaits(), 2);
  promise.open();
  await Promise.all(waits);
  assertEquals(outsideWaits(), 0);
});

test("hostCall() reports what its stop throws; the kill and later ones go on", async () => {
  const error = new Error("cannot stop"), reported: unknown[] = [];
  using _hook = onUnhandled((thrown) => reported.push(thrown));
  const stop = (): never => {
    throw error;
  };
  const both = spawn(() => Promise.all([hostCall("call", "a", () => stop), sleep(Infinity)]));
  const next = spawn(() => sleep(Infinity));
  await idle();
  assertEquals([await both.kill(), await next.kill()], [true, true]);
  assertEquals(reported, [error]);
});
