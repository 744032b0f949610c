// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { checkSignal, unwatchAbort, watchAbort } from "../../src/_kernel/abort.ts";
import { countListeners } from "../listeners.ts";

/** Targets that note their number and the reason. */
function targets(count: number) {
  const told: unknown[][] = [];
  return {
    told,
    list: Array.from(
      { length: count },
      (_, i) => ({ aborted: (reason: unknown) => void told.push([i, reason]) }),
    ),
  };
}

test("watchAbort() tells every target once, in order, with the reason itself", () => {
  const controller = new AbortController(), { told, list } = targets(3), reason = { code: 7 };
  for (const target of list) watchAbort(controller.signal, target);
  controller.abort(reason);
  controller.abort("again");
  assertEquals(told.map(([i]) => i), [0, 1, 2]);
  for (const [, got] of told) assertStrictEquals(got, reason);
});

test("watchAbort() adds one listener for any number of targets, gone with the last", () => {
  const { signal } = new AbortController(),
    count = countListeners(signal),
    { list } = targets(1000);
  for (const target of list) watchAbort(signal, target);
  assertEquals(count, { added: 1, active: 1 });
  for (const target of list.slice(1)) unwatchAbort(signal, target);
  assertEquals(count, { added: 1, active: 1 });
  unwatchAbort(signal, list[0]!);
  assertEquals(count, { added: 1, active: 0 });
  watchAbort(signal, list[0]!);
  assertEquals(count, { added: 2, active: 1 });
  unwatchAbort(signal, list[0]!);
  assertEquals(count, { added: 2, active: 0 });
});

test("watchAbort() leaves no listener after the abort", () => {
  const controller = new AbortController(), { signal } = controller;
  const count = countListeners(signal), { told, list } = targets(2);
  for (const target of list) watchAbort(signal, target);
  controller.abort();
  assertEquals([count, told.length], [{ added: 1, active: 0 }, 2]);
  for (const target of list) unwatchAbort(signal, target);
  assertEquals(count, { added: 1, active: 0 });
});

test("watchAbort() lets a target take itself back while all are told", () => {
  const controller = new AbortController(), { signal } = controller;
  const told: number[] = [];
  const list = [0, 1, 2].map((i) => ({
    aborted() {
      told.push(i);
      unwatchAbort(signal, this);
    },
  }));
  for (const target of list) watchAbort(signal, target);
  controller.abort();
  assertEquals(told, [0, 1, 2]);
});

test("unwatchAbort() keeps one target from being told, the others are", () => {
  const controller = new AbortController(), { told, list } = targets(3);
  for (const target of list) watchAbort(controller.signal, target);
  unwatchAbort(controller.signal, list[1]!);
  unwatchAbort(controller.signal, list[1]!);
  controller.abort("stop");
  assertEquals(told, [[0, "stop"], [2, "stop"]]);
});

test("unwatchAbort() of what is not watched is harmless", () => {
  const { signal } = new AbortController(), count = countListeners(signal), { list } = targets(2);
  unwatchAbort(signal, list[0]!);
  watchAbort(signal, list[0]!);
  unwatchAbort(signal, list[1]!);
  assertEquals(count, { added: 1, active: 1 });
  unwatchAbort(signal, list[0]!);
});

test("watchAbort() keeps two signals apart", () => {
  const one = new AbortController(), two = new AbortController(), { told, list } = targets(2);
  watchAbort(one.signal, list[0]!);
  watchAbort(two.signal, list[1]!);
  two.abort("two");
  assertEquals(told, [[1, "two"]]);
  one.abort("one");
  assertEquals(told, [[1, "two"], [0, "one"]]);
});

test("checkSignal() passes abort signals, also of another realm or a polyfill", () => {
  checkSignal("wait", new AbortController().signal);
  checkSignal("wait", AbortSignal.abort());
  checkSignal("wait", { aborted: false, addEventListener() {}, removeEventListener() {} });
});

test("checkSignal() rejects what is none", () => {
  for (const signal of [null, undefined, 1, "stop", {}, { aborted: true }, new AbortController()]) {
    assertThrows(
      () => checkSignal("wait", signal),
      TypeError,
      `Cannot wait: signal must be an AbortSignal, got ${typeof signal}`,
    );
  }
});
