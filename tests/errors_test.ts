// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import {
  ChannelClosedError,
  CoroutineEndedError,
  DeadlockError,
  GreenletError,
  GreenletExit,
  isKilled,
  KilledError,
  killError,
  NotTransferableError,
  TimeoutError,
  WorkerCrashed,
} from "../src/errors.ts";

test("Errors have their class's name, their message and a stack", () => {
  for (
    const [error, name] of [
      [new ChannelClosedError("m"), "ChannelClosedError"],
      [new TimeoutError("m", 5), "TimeoutError"],
      [new KilledError("m"), "KilledError"],
      [new DeadlockError("m"), "DeadlockError"],
      [new CoroutineEndedError("m", 1), "CoroutineEndedError"],
      [new GreenletError("m"), "GreenletError"],
      [new GreenletExit("m"), "GreenletExit"],
      [new NotTransferableError("m", "value"), "NotTransferableError"],
      [new WorkerCrashed("m", { worker: 1 }), "WorkerCrashed"],
    ] as const
  ) {
    assertInstanceOf(error, Error);
    assertEquals([error.name, error.message, String(error)], [name, "m", `${name}: m`]);
    assert(error.stack?.includes("m"), name);
  }
});

test("ChannelClosedError has a value only if one is given, undefined too", () => {
  const none = new ChannelClosedError("m");
  assertFalse("value" in none);
  assertStrictEquals(none.value, undefined);
  for (const value of [undefined, null, 0, "", 42, { a: 1 }]) {
    const error = new ChannelClosedError("m", value);
    assert(Object.hasOwn(error, "value"));
    assertStrictEquals(error.value, value);
    assert(Object.keys(error).includes("value"));
  }
});

test("ChannelClosedError keeps its value", () => {
  const error = new ChannelClosedError("m", 42);
  assertThrows(() => {
    (error as { value: unknown }).value = 43;
  }, TypeError);
  assertEquals(error.value, 42);
});

test("TimeoutError says its limit", () => {
  for (const ms of [0, 5, 0.5]) assertStrictEquals(new TimeoutError("m", ms).ms, ms);
});

test("CoroutineEndedError has the value of the body", () => {
  assertEquals(new CoroutineEndedError("m", 42).value, 42);
  assertStrictEquals(new CoroutineEndedError("m", undefined).value, undefined);
});

test("KilledError and DeadlockError take a cause", () => {
  assertEquals(new KilledError("m", { cause: "why" }).cause, "why");
  assertEquals(new DeadlockError("m", { cause: "why" }).cause, "why");
  assertFalse("cause" in new KilledError("m"));
});

test("KilledError and GreenletExit have a message of their own", () => {
  assertEquals(new KilledError().message, "Task was killed");
  assertEquals(new GreenletExit().message, "");
});

test("killError() gives an error as it is and remembers it", () => {
  for (
    const reason of [new Error("enough"), new TypeError("t"), Object.freeze(new Error("cold"))]
  ) {
    assertFalse(isKilled(reason));
    assertStrictEquals(killError(reason, "a"), reason);
    assertStrictEquals(killError(reason, "b"), reason);
    assert(isKilled(reason));
  }
});

test("killError() makes the cause of a KilledError of what is no error", () => {
  for (const reason of [null, 0, "", "enough", false, { code: 7 }]) {
    const error = killError(reason, 'Task "worker" was killed');
    assertInstanceOf(error, KilledError);
    assertEquals(error.message, 'Task "worker" was killed');
    assert("cause" in error);
    assertStrictEquals(error.cause, reason);
    assert(isKilled(error));
  }
});

test("killError() without a reason has no cause", () => {
  const error = killError(undefined, "worker");
  assertInstanceOf(error, KilledError);
  assertFalse("cause" in error);
});

test("isKilled() is false for everything else", () => {
  const others = [new Error("m"), new TimeoutError("m", 1), "killed", 1, null, undefined, {}];
  for (const error of others) assertFalse(isKilled(error));
  assert(isKilled(new KilledError()));
});

test("NotTransferableError is a TypeError with the path, and a cause only if there is one", () => {
  const error = new NotTransferableError("m", "value.a[1]");
  assertInstanceOf(error, TypeError);
  assertEquals([error.path, "cause" in error], ["value.a[1]", false]);
  assertEquals(new NotTransferableError("m", "value", { cause: 1 }).cause, 1);
});

test("WorkerCrashed lists the calls, and the values in flight where no host prints them", () => {
  const error = new WorkerCrashed("m", { worker: 2, calls: ["hash"], inFlight: [1], cause: null });
  assertEquals([error.worker, error.calls, error.inFlight, error.cause], [2, ["hash"], [1], null]);
  assertFalse(Object.keys(error).includes("inFlight"));
  const plain = new WorkerCrashed("m", { worker: 1 });
  assertEquals([plain.calls, plain.inFlight, "cause" in plain], [[], [], false]);
});
