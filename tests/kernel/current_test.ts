// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import {
  type Cancellable,
  Context,
  contextsInUse,
  contextTravels,
  currentContext,
  ROOT,
  runIn,
} from "../../src/_kernel/current.ts";
import { Channel } from "../../src/channel.ts";
import { idle } from "../idle.ts";

// The first test of the file, since the others enter a context.
test("currentContext() is null outside, and a channel alone sets nothing up", async () => {
  const before = contextsInUse(); // true where files share their modules (Bun)
  const ch = new Channel<number>(), received = ch.receive();
  await ch.send(1);
  await received;
  assertEquals([currentContext(), contextsInUse()], [null, before]);
});

/** A wait that notes its end, as a waiter it leaves its context then. */
class NotedWait implements Cancellable {
  readonly reasons: unknown[] = [];

  constructor(readonly context: Context, readonly then: () => void = () => {}) {
    context.add(this);
  }

  cancel(reason: unknown): void {
    this.context.remove(this);
    this.reasons.push(reason);
    this.then();
  }
}

test("runIn() enters the context, gives the result and leaves it again", () => {
  const context = new Context(null);
  const result = runIn(
    context,
    (a: number, b: number) => {
      assertStrictEquals(currentContext(), context);
      return a + b;
    },
    1,
    2,
  );
  assertEquals([result, currentContext(), contextsInUse()], [3, null, true]);
});

test("runIn() leaves the context when the function throws", () => {
  const error = new Error("no");
  assertStrictEquals(
    assertThrows(() =>
      runIn(new Context(null), () => {
        throw error;
      })
    ),
    error,
  );
  assertEquals(currentContext(), null);
});

test("runIn() nests, and null is outside of all", () => {
  const outer = new Context(null), inner = new Context(outer);
  runIn(outer, () => {
    runIn(inner, () => {
      assertStrictEquals(currentContext(), inner);
      runIn(null, () => assertEquals(currentContext(), null));
      assertStrictEquals(currentContext(), inner);
    });
    assertStrictEquals(currentContext(), outer);
  });
});

test("runIn() travels through await, timers and microtasks, each on its own way", async () => {
  assert(contextTravels());
  const contexts = [new Context(null), new Context(null)];
  await Promise.all(contexts.map((context) =>
    runIn(context, async () => {
      await undefined;
      assertStrictEquals(currentContext(), context);
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
      assertStrictEquals(currentContext(), context);
      await new Promise<void>((resolve) => queueMicrotask(resolve));
      await idle();
      assertStrictEquals(currentContext(), context);
    })
  ));
  assertEquals(currentContext(), null);
});

test("Context.cancel() ends all its waits once, the first reason stays", () => {
  const context = new Context(null), waits = [1, 2, 3].map(() => new NotedWait(context));
  context.cancel("first");
  context.cancel("second");
  assertEquals(waits.map(({ reasons }) => reasons), [["first"], ["first"], ["first"]]);
  assertEquals([context.cancelled, context.reason], [true, "first"]);
});

test("Context.cancel() takes undefined as a reason like any other", () => {
  const context = new Context(null), wait = new NotedWait(context);
  context.cancel(undefined);
  context.cancel("second");
  assertEquals([context.cancelled, context.reason, wait.reasons], [true, undefined, [undefined]]);
});

test("Context.remove() forgets a wait that has ended, in any order", () => {
  for (const gone of [[0], [1], [2], [0, 1], [0, 2], [1, 2], [2, 1, 0]]) {
    const context = new Context(null), waits = [0, 1, 2].map(() => new NotedWait(context));
    for (const i of gone) context.remove(waits[i]!);
    const late = new NotedWait(context);
    context.remove(new NotedWait(new Context(null))); // another's
    context.cancel("stop");
    assertEquals(
      waits.map(({ reasons }) => reasons.length),
      [0, 1, 2].map((i) => gone.includes(i) ? 0 : 1),
    );
    assertEquals(late.reasons, ["stop"]);
  }
});

test("Context.cancel() reaches the children, and theirs, with the parent's reason", () => {
  const top = new Context(null), child = new Context(top), grandchild = new Context(child);
  const other = new Context(null);
  const waits = [top, child, grandchild, other].map((context) => new NotedWait(context));
  top.cancel("stop");
  assertEquals(waits.map(({ reasons }) => reasons), [["stop"], ["stop"], ["stop"], []]);
  assertEquals([child.reason, grandchild.reason, other.cancelled], ["stop", "stop", false]);
});

test("Context.cancel() leaves the parent and the siblings alone", () => {
  const top = new Context(null), child = new Context(top), sibling = new Context(top);
  child.cancel("own");
  assertEquals([top.cancelled, sibling.cancelled], [false, false]);
  top.cancel("later");
  assertEquals([child.reason, sibling.reason], ["own", "later"]);
});

test("Context that is shielded is not reached, neither is what is below it", () => {
  const top = new Context(null), shield = new Context(top, true), below = new Context(shield);
  const wait = new NotedWait(below);
  top.cancel("stop");
  assertEquals([shield.cancelled, below.cancelled, wait.reasons], [false, false, []]);
  assertEquals(new Context(shield).cancelled, false);
  assertEquals(new Context(top, true).cancelled, false);
  shield.cancel("own");
  assertEquals([below.reason, wait.reasons], ["own", ["own"]]);
});

test("Context made below a cancelled one is cancelled with its reason", () => {
  const top = new Context(null);
  top.cancel("stop");
  const child = new Context(top), grandchild = new Context(child);
  assertEquals([child.cancelled, child.reason, grandchild.reason], [true, "stop", "stop"]);
});

test("Context.end() leaves the tree: what it left behind is the parent's, and it cancels nothing", () => {
  const top = new Context(null), ended = new Context(top), below = new Context(ended);
  const shielded = new Context(top, true);
  const waits = [ended, ended, below].map((context) => new NotedWait(context));
  for (const context of [ended, ended, shielded, ROOT]) context.end();
  waits.push(new NotedWait(ended), new NotedWait(new Context(ended)));
  ended.cancel("own");
  assertEquals([ended.cancelled, ended.ended, top.cancelled], [false, false, false]);
  ended.remove(waits.shift()!);
  assertEquals(top.waits().length, 4);
  top.cancel("stop");
  assertEquals(waits.map(({ reasons }) => reasons), Array(4).fill(["stop"]));
  assertEquals([ended.reason, below.reason, shielded.cancelled], ["stop", "stop", false]);
});

test("Context.end() of one that was cancelled keeps its reason for what it left behind", () => {
  const top = new Context(null), ended = new Context(top);
  ended.cancel("own");
  ended.end();
  assertEquals([ended.cancelled, ended.reason, ended.ended, top.cancelled], [
    true,
    "own",
    true,
    false,
  ]);
});

test("Context.cancel() works off a chain of 100,000", () => {
  const top = new Context(null);
  let last = top;
  for (let i = 0; i < 100_000; i++) last = new Context(last);
  const wait = new NotedWait(last);
  top.cancel("stop");
  assertEquals([last.cancelled, wait.reasons], [true, ["stop"]]);
});

test("Context.cancel() from inside a cancel reaches the other tree too, once", () => {
  const other = new Context(null), otherChild = new Context(other), far = new NotedWait(otherChild);
  const top = new Context(null), child = new Context(top);
  const waits = [
    new NotedWait(top, () => other.cancel("by another")),
    new NotedWait(child, () => top.cancel("again")),
  ];
  top.cancel("stop");
  assertEquals(waits.map(({ reasons }) => reasons), [["stop"], ["stop"]]);
  assertEquals([far.reasons, otherChild.reason], [["by another"], "by another"]);
  const next = new Context(null), later = new NotedWait(next);
  next.cancel("works again");
  assertEquals(later.reasons, ["works again"]);
});

test("Context.cancel() lets a wait end another one of the context", () => {
  const context = new Context(null);
  const waits: NotedWait[] = [0, 1, 2].map((i) =>
    new NotedWait(context, () => i === 0 && context.remove(waits[2]!))
  );
  context.cancel("stop");
  assertEquals(waits.map(({ reasons }) => reasons), [["stop"], ["stop"], []]);
});

test("Context.wasCancelled() is called once, after the waits", () => {
  const seen: unknown[] = [];
  class Told extends Context {
    override wasCancelled(reason: unknown): void {
      seen.push(reason);
    }
  }
  const context = new Told(null);
  new NotedWait(context, () => seen.push("wait"));
  context.cancel("stop");
  context.cancel("again");
  assertEquals(seen, ["wait", "stop"]);
});

test("Context hands task, greenlet and coroutine down, and where task locals live", () => {
  const top = new Context(null);
  assertEquals([top.task, top.greenlet, top.coroutine, top.locals], [undefined, null, null, null]);
  top.task = "task";
  top.greenlet = "greenlet";
  top.coroutine = "coroutine";
  const child = new Context(top), shield = new Context(child, true);
  const own = new Context(child, false, true), below = new Context(own);
  assertEquals([shield.task, shield.greenlet, shield.coroutine], ["task", "greenlet", "coroutine"]);
  assertStrictEquals(shield.base, top);
  assertStrictEquals(own.base, own);
  assertStrictEquals(below.base, own);
  assertStrictEquals(child.parent, top);
});
