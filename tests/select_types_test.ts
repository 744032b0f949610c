// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What the compiler knows of the result of a select: checked by `deno check`, the bodies only run along.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import type { Selectable } from "../src/_kernel/selectable.ts";
import { Channel, type Receiver } from "../src/channel.ts";
import { Deferred } from "../src/deferred.ts";
import { Event } from "../src/event.ts";
import { merge } from "../src/merge.ts";
import { type Lock, Mutex } from "../src/mutex.ts";
import { Queue } from "../src/queue.ts";
import { select, type SelectResult, trySelect } from "../src/select.ts";
import { type Permit, Semaphore } from "../src/semaphore.ts";
import { spawn } from "../src/spawn.ts";
import { after, every } from "../src/timer.ts";
import { noLeaks } from "./leaks.ts";

noLeaks();

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

/** Compiles only if the two types are the same. */
function assertSame<A, B>(_same: Same<A, B>): void {}

function ready<T>(value: T): Channel<T> {
  const ch = new Channel<T>({ capacity: 1 });
  ch.trySend(value);
  return ch;
}

test("select() gives a union that key and done tell apart", async () => {
  const text = ready("text"), count = new Channel<number>();
  const got = await select({ text, count });
  if (got.key === "text") {
    if (got.done) assertSame<typeof got.value, undefined>(true);
    else assertSame<typeof got.value, string>(true);
  } else {
    assertSame<typeof got.key, "count">(true);
    if (!got.done) assertSame<typeof got.value, number>(true);
  }
  // @ts-expect-error: a value is not known before done is
  const wrong: string | number = got.value;
  // @ts-expect-error: no such key
  assertEquals(got.key === "other", false);
  assertEquals(wrong, "text");
});

test("select() can be switched over by key, with nothing left", async () => {
  const got = await select({ text: ready("text"), late: after(5), done: spawn(() => 7) }, {
    priority: true,
  });
  switch (got.key) {
    case "text":
    case "late":
    case "done":
      break;
    default:
      assertSame<typeof got, never>(true);
  }
  assertEquals(got.key, "text");
});

test("select() knows the value of each kind of case", () => {
  const cases = {
    channel: new Channel<Date>(),
    receiver: new Channel<Date>() as Receiver<Date>,
    out: new Channel<Date>().sending(new Date(0)),
    late: after(1),
    tick: every(1),
    task: spawn(() => Promise.resolve(7)),
    event: new Event(),
    deferred: new Deferred<bigint>(),
    semaphore: new Semaphore(),
    mutex: new Mutex(),
    queue: new Queue<symbol>(1),
    promise: Promise.resolve("text"),
    nested: Promise.resolve(7) as PromiseLike<number>,
    merged: merge(new Channel<1>(), new Channel<"a">()),
    own: {} as Selectable<RegExp>,
  };
  type Result = SelectResult<typeof cases>;
  type Value<K extends Result["key"]> = Extract<Result, { key: K; done: false }>["value"];
  type Ends<K extends Result["key"]> = Extract<Result, { key: K; done: true }>;
  assertSame<Value<"channel">, Date>(true);
  assertSame<Value<"receiver">, Date>(true);
  assertSame<Value<"out">, void>(true);
  assertSame<Value<"late">, void>(true);
  assertSame<Value<"tick">, number>(true);
  assertSame<Value<"task">, number>(true);
  assertSame<Value<"event">, void>(true);
  assertSame<Value<"deferred">, bigint>(true);
  assertSame<Value<"semaphore">, Permit>(true);
  assertSame<Value<"mutex">, Lock>(true);
  assertSame<Value<"queue">, symbol>(true);
  assertSame<Value<"promise">, string>(true);
  assertSame<Value<"nested">, number>(true);
  assertSame<Value<"merged">, 1 | "a">(true);
  assertSame<Value<"own">, RegExp>(true);
  assertSame<Result["key"], keyof typeof cases>(true);
  // A promise and a task never end without a value.
  assertSame<Ends<"task" | "promise">, never>(true);
  assertSame<Ends<"channel">["value"], undefined>(true);
});

test("select() leaves disabled cases out of its keys", async () => {
  const got = await select({ text: ready("text"), off: null, out: undefined, no: false });
  assertSame<typeof got.key, "text">(true);
  const maybe = ready(7) as Channel<number> | null;
  const other = await select({ text: new Channel<string>(), maybe });
  assertSame<typeof other.key, "text" | "maybe">(true);
  if (other.key === "maybe" && !other.done) assertSame<typeof other.value, number>(true);
  assertEquals([got.key, other.key], ["text", "maybe"]);
});

test("select() of a list has numbers as keys and the values of all", async () => {
  const got = await select([ready("text"), new Channel<number>()]);
  assertSame<typeof got.key, number>(true);
  if (!got.done) assertSame<typeof got.value, string | number>(true);
  const channels: Channel<number>[] = [ready(7)];
  const other = await select(channels);
  if (!other.done) assertSame<typeof other.value, number>(true);
  assertEquals([got.key, other.key], [0, 0]);
});

test("trySelect() may also give undefined", () => {
  const got = trySelect({ text: new Channel<string>() });
  assertSame<NonNullable<typeof got>["key"], "text">(true);
  // @ts-expect-error: it may be undefined
  assertEquals((() => got.key) === undefined, false);
  assertEquals(got, undefined);
});

test("select() takes only cases", () => {
  // @ts-expect-error: a number is no case
  const wrong = () => select({ a: 7 });
  // @ts-expect-error: nor is a function
  const worse = () => select([() => {}]);
  // @ts-expect-error: true is no case, false is a disabled one
  const worst = () => select({ a: true });
  // @ts-expect-error: trySelect() never waits
  const timed = () => trySelect({}, { timeout: 5 });
  assertEquals(new Set([wrong, worse, worst, timed]).size, 4);
});
