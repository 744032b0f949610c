// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Producers: how far they work ahead, and that they end with their consumer, however that ends.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { listen } from "../src/_kernel/hooks.ts";
import { Channel, type Receiver } from "../src/channel.ts";
import { ChannelClosedError, KilledError } from "../src/errors.ts";
import { produce } from "../src/produce.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask, type Task } from "../src/task.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { assertDeadlocks, hang } from "./deadlocked.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome, rejection } from "./outcome.ts";

noLeaks();

/** Counts up, and logs each number and its end. */
function counter(log: unknown[], last = Infinity): () => AsyncGenerator<number, void, undefined> {
  return async function* () {
    try {
      for (let n = 1; n <= last; n++) {
        log.push(n);
        yield n;
      }
    } finally {
      await shield(() => sleep(0));
      log.push("finally");
    }
  };
}

async function list<T>(source: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of source) values.push(value);
  return values;
}

/** What reaches onUnhandled while `body` runs. */
async function unhandled(body: () => Promise<void>): Promise<unknown[]> {
  const seen: unknown[] = [];
  using _hook = onUnhandled((error) => seen.push(error));
  await body();
  await idle();
  return seen;
}

// -- Values --

for (const capacity of [0, 1, 2, 100]) {
  test(`produce() of capacity ${capacity} gives all values in order, twice`, async () => {
    for (let i = 0; i < 2; i++) {
      const log: unknown[] = [];
      assertEquals(await list(produce(counter(log, 5), { capacity })), [1, 2, 3, 4, 5]);
      assertEquals(log, [1, 2, 3, 4, 5, "finally"]);
    }
  });

  test(`produce() of capacity ${capacity} works ahead that far and one more`, async () => {
    const log: unknown[] = [];
    await using numbers = produce(counter(log), { capacity });
    assertEquals(log, []); // never synchronously
    await idle();
    assertEquals([log.length, numbers.size, numbers.capacity], [capacity + 1, capacity, capacity]);
    assertEquals(await numbers.receive(), 1);
    await idle();
    assertEquals(log.length, capacity + 2);
  });

  test(`produce() of capacity ${capacity} gives every undelivered value to onUndelivered`, async () => {
    const left: unknown[] = [];
    const log: unknown[] = [];
    const numbers = produce(counter(log), { capacity, onUndelivered: (n) => left.push(n) });
    for await (const n of numbers) {
      await idle();
      if (n === 2) break;
    }
    assertEquals(new Set([1, 2, ...left]), new Set(log.filter((it) => it !== "finally")));
    assertEquals(left.length, capacity + 1);
  });
}

test("produce() takes sync generator functions, and functions that give an iterable", async () => {
  assertEquals(
    await list(produce(function* () {
      yield 1;
      yield 2;
    })),
    [1, 2],
  );
  assertEquals(await list(produce(() => ["a", "b"])), ["a", "b"]);
  assertEquals(await list(produce(() => Channel.from([3]))), [3]);
});

test("produce() carries undefined and null", async () => {
  assertEquals(await list(produce(() => [undefined, null])), [undefined, null]);
});

test("Receiver of produce() has every member of a channel's receiver", async () => {
  const numbers: Receiver<number> = produce(() => [1, 2, 3, 4, 5, 6], { capacity: 6 });
  await idle();
  assertEquals(await numbers.receive({ timeout: 1000 }), 1);
  assertEquals(numbers.tryReceive(), { state: "ok", value: 2 });
  const chosen = numbers["~select"];
  assert(chosen.ready());
  assertEquals(chosen.take(), { value: 3, done: false });
  assertEquals(await numbers.chunks(2).next(), { done: false, value: [4, 5] });
  assertEquals([numbers.size, numbers.closed], [1, true]);
  assertEquals(await numbers.values().next(), { done: false, value: 6 });
  assertEquals(numbers.tryReceive(), { state: "closed" });
  await assertRejects(() => numbers.receive(), ChannelClosedError);
});

test("produce() runs the generator in a task of its own, named", async () => {
  const who = produce(function* () {
    yield currentTask()?.name;
  }, { name: "cook" });
  assertEquals(await spawn(() => who.receive()), "cook");
});

// -- Errors --

test("produce() throws the error of the producer to the receiver, after the values, and to nobody else", async () => {
  const boom = new Error("boom");
  const seen = await unhandled(async () => {
    const numbers = produce(async function* () {
      yield 1;
      yield 2;
      await sleep(0);
      throw boom;
    }, { capacity: 2 });
    const got: number[] = [];
    const iterator = numbers.values();
    const error = await rejection((async () => {
      for await (const n of iterator) got.push(n);
    })());
    assertStrictEquals(error, boom);
    assertEquals(got, [1, 2]);
    assertEquals(await iterator.next(), { done: true, value: undefined });
    assertStrictEquals(await rejection(numbers.receive()), boom);
  });
  assertEquals(seen, []);
});

test("produce() keeps an error that nobody receives from onUnhandled", async () => {
  const seen = await unhandled(async () => {
    const numbers = produce(() => {
      throw new Error("nobody looks");
    });
    await idle();
    assert(numbers.closed);
  });
  assertEquals(seen, []);
});

test("produce() of a function that gives no iterable fails with a TypeError", async () => {
  await assertRejects(() => produce((() => 1) as never).receive(), TypeError, "must return");
});

test("produce() whose producer kills itself throws that to the receiver, not an end", async () => {
  const numbers = produce(async function* () {
    yield 1;
    void currentTask()!.kill();
    await sleep(0);
  });
  assertEquals(await numbers.receive(), 1);
  await assertRejects(() => numbers.receive(), KilledError);
});

// -- Leaving --

test("produce() stops the producer when its loop is left, and the loop waits for its finally", async () => {
  for (const leave of ["break", "throw"]) {
    const log: unknown[] = [];
    const numbers = produce(counter(log));
    await (async () => {
      for await (const n of numbers) {
        if (n === 2 && leave === "break") break;
        if (n === 2) throw new Error("left");
      }
    })().catch((error) => log.push(error.message));
    assertEquals(
      log.filter((it) => typeof it === "string"),
      ["finally", "left"].slice(0, leave === "throw" ? 2 : 1),
    );
    assert(numbers.closed);
    assertEquals(numbers.tryReceive(), { state: "closed" });
  }
});

test("produce() kills the wait in which the producer is when the loop is left", async () => {
  const log: unknown[] = [];
  const numbers = produce(async function* () {
    try {
      yield 1;
      await sleep(Infinity);
    } catch (error) {
      log.push(error instanceof KilledError);
      throw error;
    } finally {
      log.push("finally");
    }
  });
  for await (const _ of numbers) {
    await idle();
    break;
  }
  assertEquals(log, [true, "finally"]);
});

test("produce() waits for a producer in a foreign await when the loop is left", async () => {
  const open = gate();
  const log: unknown[] = [];
  const numbers = produce(async function* () {
    try {
      yield 1;
      await open.promise;
      log.push("went on");
      yield 2;
      log.push("never");
    } finally {
      log.push("finally");
    }
  });
  const iterator = numbers.values();
  await iterator.next();
  await idle();
  const left = outcome(iterator.return!());
  await idle();
  assertEquals([left.state, log], ["pending", []]);
  open.open();
  await idle();
  assertEquals([left.state, log], ["resolved", ["went on", "finally"]]);
});

for (
  const [how, leave] of [
    ["chunks()", async (it) => void await it.chunks().return!()],
    ["values()", async (it) => void await it.values().return!()],
    ["throw()", async (it) => void await rejection(it.values().throw!(new Error("left")))],
    ["await using", async (it) => void await it[Symbol.asyncDispose]()],
    ["its stream", async (it) => void await it.toReadableStream().cancel()],
    ["its stream that is read", async (it) => {
      const reader = it.toReadableStream().getReader();
      assertEquals((await reader.read()).value, 1);
      const pending = reader.read();
      await reader.cancel();
      await pending;
    }],
    ["cancel()", async (it) => {
      assertEquals([it.cancel(), it.cancel()], [true, false]);
      assertEquals(it.tryReceive(), { state: "closed" });
      await idle();
    }],
  ] as Array<[string, (it: Receiver<number> & AsyncDisposable) => Promise<void>]>
) {
  test(`produce() stops the producer by ${how}, twice harmlessly`, async () => {
    const log: unknown[] = [];
    const numbers = produce(counter(log), { capacity: 2 });
    await idle();
    await leave(numbers);
    assertEquals(log.at(-1), "finally");
    assertEquals(log.filter((it) => it === "finally").length, 1);
    const { length } = log;
    numbers.cancel();
    await numbers[Symbol.asyncDispose]();
    await idle();
    assertEquals(log.length, length);
    assertEquals(await numbers.values().next(), { done: true, value: undefined });
  });
}

test("produce() that is stopped before its task starts never runs", async () => {
  const log: unknown[] = [];
  const numbers = produce(counter(log));
  await numbers[Symbol.asyncDispose]();
  assertEquals([log, numbers.closed], [[], true]);
});

test("return() of an iterator ends a next() that waits", async () => {
  const numbers = produce(async function* () {
    await sleep(Infinity);
    yield 1;
  });
  const iterator = numbers.values();
  const waits = iterator.next();
  await idle();
  await iterator.return!();
  assertEquals(await waits, { done: true, value: undefined });
  assertEquals(await iterator.next(), { done: true, value: undefined });
});

test("values({ closeOnReturn: false }) leaves the producer running", async () => {
  const log: unknown[] = [];
  await using numbers = produce(counter(log));
  for await (const n of numbers.values({ closeOnReturn: false })) if (n === 2) break;
  assertEquals([numbers.closed, await numbers.receive()], [false, 3]);
});

test("cancel() ends receivers with its reason", async () => {
  const numbers = produce(async function* () {
    await sleep(Infinity);
    yield 1;
  });
  const waits = outcome(numbers.receive());
  await idle();
  const reason = new Error("enough");
  numbers.cancel(reason);
  await idle();
  assertStrictEquals(waits.error, reason);
});

test("produce() throws an error of the clean-up to who waits for it", async () => {
  const make = () =>
    produce(async function* () {
      try {
        for (;;) yield 1;
      } finally {
        await Promise.reject(new Error("clean-up"));
      }
    });
  const seen = await unhandled(async () => {
    await assertRejects(
      async () => {
        for await (const _ of make()) break;
      },
      Error,
      "clean-up",
    );
    const disposed = make();
    await disposed.receive();
    await assertRejects(() => disposed[Symbol.asyncDispose](), Error, "clean-up");
    await disposed[Symbol.asyncDispose]();
  });
  assertEquals(seen, []);
});

test("cancel() reports an error of the clean-up, since nobody waits for it", async () => {
  const seen = await unhandled(async () => {
    const numbers = produce(async function* () {
      try {
        for (;;) yield 1;
      } finally {
        await Promise.reject(new Error("clean-up"));
      }
    });
    await numbers.receive();
    numbers.cancel();
  });
  assertEquals(seen.map((it) => (it as Error).message), ["clean-up"]);
});

test("produce() reports what onUndelivered throws", async () => {
  const seen = await unhandled(async () => {
    const numbers = produce(() => [1, 2, 3], {
      capacity: 1,
      onUndelivered: (n) => {
        throw n;
      },
    });
    await idle();
    await numbers[Symbol.asyncDispose]();
  });
  assertEquals(new Set(seen), new Set([1, 2]));
});

test("produce() that stops itself does not hang", async () => {
  const log: unknown[] = [];
  const numbers: Receiver<number> & AsyncDisposable = produce(async function* () {
    yield 1;
    log.push(await rejection(numbers[Symbol.asyncDispose]()) instanceof KilledError);
    yield 2;
  });
  assertEquals(await numbers.receive(), 1);
  await idle();
  assertEquals([log, numbers.closed], [[true], true]);
});

// -- Kills --

test("a kill of the task that waits for a value stops the producer and waits for its finally", async () => {
  const log: unknown[] = [];
  const consumer = spawn(async () => {
    const numbers = produce(async function* () {
      try {
        yield 1;
        await sleep(Infinity);
      } finally {
        await shield(() => sleep(0));
        log.push("finally");
      }
    });
    for await (const n of numbers) log.push(n);
  });
  await idle();
  await consumer.kill();
  assertEquals([consumer.state, log], ["killed", [1, "finally"]]);
});

test("a kill of the task that is in the loop's body stops the producer and waits for its finally", async () => {
  const log: unknown[] = [];
  const consumer = spawn(async () => {
    for await (const _ of produce(counter(log))) await sleep(Infinity);
  });
  await idle();
  await consumer.kill();
  assertEquals([consumer.state, log], ["killed", [1, 2, "finally"]]);
});

test("a kill that is caught in the loop's body ends the loop at the next value", async () => {
  const log: unknown[] = [];
  const consumer = spawn(async () => {
    for await (const _ of produce(counter(log), { capacity: 3 })) {
      await rejection(sleep(Infinity));
    }
  });
  await idle();
  await consumer.kill();
  assertEquals([consumer.state, log.at(-1)], ["killed", "finally"]);
});

test("a kill of a task that only receives does not stop the producer", async () => {
  const open = gate<number>();
  await using numbers = produce(async function* () {
    yield await open.promise;
  });
  const consumer = spawn(() => numbers.receive());
  await idle();
  await consumer.kill();
  open.open(1);
  assertEquals(await numbers.receive(), 1);
});

// -- Arguments --

test("produce() of wrong arguments throws at once", () => {
  assertThrows(() => produce(1 as never), TypeError, "fn must be a function, got number");
  assertThrows(() => produce(() => [], 4 as never), TypeError, "options must be an object, got 4");
  assertThrows(() => produce(() => [], { capacity: -1 }), RangeError);
  assertThrows(() => produce(() => [], { capacity: Infinity }), RangeError);
  assertThrows(() => produce(() => [], { capacity: "1" as never }), TypeError);
  assertThrows(() => produce(() => [], { name: 1 as never }), TypeError);
  assertThrows(() => produce(() => [], { onUndelivered: 1 as never }), TypeError);
});

test("produce() infers the type of its values", async () => {
  const texts = produce(async function* () {
    yield "a";
  });
  const text: string = await texts.receive();
  // @ts-expect-error -- they are texts
  const number: () => Promise<number> = () => texts.receive();
  assertEquals([text, typeof number], ["a", "function"]);
});

test("produce().toReadableStream() keeps a value whose read was given up, also on cancel", async () => {
  const left: number[] = [];
  const { promise, open } = gate();
  const receiver = produce(async function* () {
    yield 1;
    await promise;
    yield 2;
  }, { onUndelivered: (value) => left.push(value) });
  const stream = receiver.toReadableStream();
  const reader = stream.getReader();
  assertEquals(await reader.read(), { done: false, value: 1 });
  const read = reader.read();
  await idle();
  reader.releaseLock();
  await read.catch(() => {});
  open();
  await idle();
  await stream.cancel();
  assertEquals(left, [2]);
});

test("produce() whose producer waits for ever ends with a deadlock", async () => {
  for (const [last, stubborn] of [[1, true], [2, true], [2, false]] as const) {
    const log: string[] = [];
    await assertDeadlocks(async (opened) => {
      const numbers = produce(async function* () {
        try {
          yield 1;
          await (stubborn ? hang(opened) : sleep(Infinity));
        } finally {
          log.push("cleaned");
        }
      });
      for await (const n of numbers) {
        await idle();
        if (n === last) break;
      }
    });
    assertEquals(log, ["cleaned", "cleaned"]);
  }
});

test("produce() whose task is killed before it starts ends its consumer with that kill", async () => {
  const reason = new Error("before the start");
  const unlisten = listen({
    spawned: ({ task }) => queueMicrotask(() => void (task as Task).kill(reason)),
  });
  // The hook's microtask comes before the one in which the task starts.
  const numbers = produce(function* () {
    yield 1;
  });
  unlisten();
  assertStrictEquals(await rejection(numbers.receive()), reason);
});
