// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Pipelines: how values flow, and that every way to end one ends all of it, once.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Channel } from "../src/channel.ts";
import { coroutine } from "../src/coroutine.ts";
import { findDeadlock } from "../src/deadlock.ts";
import { isKilled, KilledError } from "../src/errors.ts";
import { Event } from "../src/event.ts";
import { mapStage, type MapStageOptions } from "../src/map_stage.ts";
import { type Pipeline, pipeline, type PipelineSource, type Stage } from "../src/pipeline.ts";
import { produce } from "../src/produce.ts";
import { scope } from "../src/scope.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask } from "../src/task.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { assertDeadlocks, hang } from "./deadlocked.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome, rejection } from "./outcome.ts";

noLeaks();

const DONE: IteratorResult<never, undefined> = { done: true, value: undefined };

async function list<T>(source: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of source) values.push(value);
  return values;
}

/** Counts up, and says when it has cleaned up. */
async function* numbers(log: unknown[] = [], last = Infinity): AsyncGenerator<number> {
  try {
    for (let n = 1; n <= last; n++) yield n;
  } finally {
    await shield(() => sleep(0));
    log.push("source");
  }
}

/** Passes on what `each` gives, and says when it has cleaned up. */
function stage<A, B>(
  name: string,
  log: unknown[],
  each: (value: A) => B | PromiseLike<B>,
): Stage<A, B> {
  return async function* (input) {
    try {
      for await (const value of input) yield await each(value);
    } finally {
      await shield(() => sleep(0));
      log.push(name);
    }
  };
}

const same = <T>(value: T): T => value;

/** Runs `body`; nothing may reach onUnhandled meanwhile or soon after. */
async function quietly(body: () => Promise<void>): Promise<void> {
  const seen: unknown[] = [];
  using _hook = onUnhandled((error) => seen.push(error));
  await body();
  await idle();
  assertEquals(seen, []);
}

/** Outside of all tasks, and in one. */
function everywhere(name: string, body: () => Promise<void>): void {
  test(name, () => quietly(body));
  test(`${name}, in a task`, () => quietly(() => spawn(body).get()));
}

// -- Values --

for (const capacity of [0, 1, 16, 1000]) {
  everywhere(
    `pipeline() of capacity ${capacity} passes every value through every stage in order`,
    async () => {
      const log: unknown[] = [];
      const double = stage("double", log, (n: number) => n * 2);
      const text = stage("text", log, (n: number) => `<${n}>`);
      const got = await list(pipeline(numbers(log, 50), double, text, { capacity }));
      assertEquals(got, Array.from({ length: 50 }, (_, i) => `<${(i + 1) * 2}>`));
      assertEquals(log, ["source", "double", "text"]);
    },
  );

  test(`pipeline() of capacity ${capacity} lets a stage be that far ahead`, async () => {
    const seen = [0, 0];
    const count = (at: number) => stage("", [], (n: number) => (seen[at] = n));
    const piped = pipeline(numbers(), count(0), count(1), { capacity });
    assertEquals((await piped.next()).value, 1);
    await idle();
    // Taken one, buffered `capacity`, one in hand; and the same once more a stage before.
    assertEquals(seen, [2 * capacity + 3, capacity + 2]);
    await piped.return();
  });
}

everywhere("pipeline() without stages passes the source on", async () => {
  const log: unknown[] = [];
  assertEquals(await list(pipeline(numbers(log, 3))), [1, 2, 3]);
  assertEquals(await list(pipeline([1, Promise.resolve(2), 3])), [1, 2, 3]);
  assertEquals(await list(pipeline([1, 2], { capacity: 1 })), [1, 2]);
  for await (const n of pipeline(numbers(log))) if (n === 2) break;
  assertEquals(log, ["source", "source"]);
});

everywhere("pipeline() takes any source", async () => {
  const pass = stage("", [], same<unknown>);
  const stream = () =>
    new ReadableStream<unknown>({
      start: (controller) => {
        controller.enqueue(1);
        controller.enqueue(2);
        controller.close();
      },
    });
  const talk = coroutine(async function* () {
    yield 1;
    yield 2;
  });
  const sources = [
    () => [1, 2],
    () => new Set([1, 2]),
    () => [Promise.resolve(1), 2],
    () => numbers([], 2),
    () => Channel.from([1, 2]),
    () => produce(() => [1, 2]),
    () => pipeline([1, 2], pass),
    () => talk(),
    stream,
  ];
  for (const source of sources) {
    assertEquals(await list(pipeline<unknown, unknown>(source(), pass)), [1, 2]);
    assertEquals(await list(pipeline<unknown>(source())), [1, 2]);
  }
  assertEquals(await list(pipeline("ab", pass)), ["a", "b"]);
});

everywhere("pipeline() takes eight stages and more", async () => {
  const add = (n: number) => n + 1;
  const one = () => stage("", [], add);
  const eight = pipeline([0], one(), one(), one(), one(), one(), one(), one(), one());
  assertEquals(await list<number>(eight), [8]);
  assertEquals(await list(pipeline([0], ...Array.from({ length: 40 }, one))), [40]);
});

everywhere(
  "pipeline() takes a stage that gives a sync iterable, and carries undefined",
  async () => {
    assertEquals(await list(pipeline([1], () => [undefined, null])), [undefined, null]);
  },
);

test("pipeline() runs each stage in a task of its own", async () => {
  const names = new Set<unknown>();
  const who = () => stage("", [], (n: number) => (names.add(currentTask()), n));
  await spawn(async () => {
    names.add(currentTask());
    await list(pipeline([1, 2], who(), who(), who()));
  });
  assertEquals([names.size, names.has(undefined)], [4, false]);
});

test("pipeline() takes from a shared channel only what the first stage asks for", async () => {
  const ch = new Channel<number>({ capacity: 10 });
  for (let n = 1; n <= 10; n++) ch.trySend(n);
  const piped = pipeline(ch, stage("", [], same<number>), { capacity: 0 });
  await piped.next();
  await idle();
  await piped.return();
  assertEquals([ch.closed, ch.size], [false, 8]); // one was taken, one was on its way
});

// -- The start --

test("pipeline() runs nothing before the first next()", async () => {
  const log: unknown[] = [];
  const source = {
    [Symbol.asyncIterator]: () => {
      log.push("opened");
      return numbers();
    },
  };
  const piped = pipeline(source, (input: AsyncIterable<number>) => {
    log.push("stage");
    return input;
  });
  await idle();
  assertEquals(log, []);
  await piped.next();
  assertEquals(log, ["stage", "opened"]);
  await piped.return();
});

everywhere("return() before the start never runs anything", async () => {
  const log: unknown[] = [];
  for (const end of ["return", "throw", "dispose"]) {
    const piped = pipeline(numbers(log), stage("stage", log, same<number>));
    if (end === "return") await piped.return();
    else if (end === "throw") assertEquals(await rejection(piped.throw("x")), "x");
    else await piped[Symbol.asyncDispose]();
    assertEquals(await piped.next(), DONE);
  }
  await idle();
  assertEquals(log, []);
});

everywhere("next() after the end is done, and a second loop gets nothing", async () => {
  const piped = pipeline([1], stage("", [], same<number>));
  assertEquals(await list(piped), [1]);
  assertEquals(await piped.next(), DONE);
  assertEquals(await list(piped), []);
  assertEquals(await piped.return(), DONE);
});

everywhere("next() may be called several times at once", async () => {
  const piped = pipeline([1, 2], stage("", [], same<number>));
  const results = await Promise.all([piped.next(), piped.next(), piped.next(), piped.next()]);
  assertEquals(results, [{ done: false, value: 1 }, { done: false, value: 2 }, DONE, DONE]);
});

// -- Failures --

for (const capacity of [0, 1, 16]) {
  for (const place of ["source", "first", "middle", "last"]) {
    everywhere(
      `a failure in the ${place} ends a pipeline of capacity ${capacity}: every finally, the error once`,
      async () => {
        const log: unknown[] = [];
        const boom = new Error("boom");
        const failing = (here: string) => (n: number) => {
          if (n === 3 && here === place) throw boom;
          return n;
        };
        async function* source() {
          for await (const n of numbers(log)) yield failing("source")(n);
        }
        const piped = pipeline(
          source(),
          stage("first", log, failing("first")),
          stage("middle", log, failing("middle")),
          stage("last", log, failing("last")),
          { capacity },
        );
        const error = await rejection((async () => {
          for await (const n of piped) assert(n < 3);
        })());
        assertStrictEquals(error, boom);
        assertEquals([...log].sort(), ["first", "last", "middle", "source"]);
        assertEquals(await piped.next(), DONE);
        assertEquals(await piped.return(), DONE);
      },
    );
  }
}

everywhere("a failure comes after the values that were out before it", async () => {
  const piped = pipeline(
    [1, 2, 3],
    stage("", [], (n: number) => n === 3 ? Promise.reject(new Error("three")) : n),
  );
  assertEquals((await piped.next()).value, 1);
  await idle(); // the failure has happened by now
  assertEquals((await piped.next()).value, 2);
  await assertRejects(() => piped.next(), Error, "three");
  assertEquals(await piped.next(), DONE);
});

everywhere("a failure reaches the consumer though a later stage swallows it", async () => {
  const boom = new Error("boom");
  const swallow: Stage<number, number> = async function* (input) {
    try {
      yield* input;
    } catch {
      yield -1;
    }
  };
  async function* source() {
    yield 1;
    await Promise.reject(boom);
  }
  assertStrictEquals(await rejection(list(pipeline(source(), swallow))), boom);
  assertStrictEquals(await rejection(list(pipeline(source(), swallow, swallow))), boom);
  const fails = stage("", [], () => Promise.reject(boom));
  assertStrictEquals(await rejection(list(pipeline([1], fails, swallow))), boom);
});

everywhere(
  "a failure kills a stage that waits for something else, and waits for it to clean up",
  async () => {
    const log: unknown[] = [];
    const open = gate();
    const waits: Stage<number, number> = async function* (input) {
      for await (const n of input) {
        try {
          await sleep(Infinity);
        } finally {
          await shield(() => open.promise);
          log.push("finally");
        }
        yield n;
      }
    };
    const fails: Stage<number, number> = async function* () {
      yield await Promise.reject(new Error("boom"));
    };
    const seen = outcome(list(pipeline([1], waits, fails)).finally(() => log.push("told")));
    const early = outcome(
      list(pipeline(
        numbers(),
        async function* (input) {
          for await (const n of input) {
            yield n;
            if (n === 2) {
              await idle();
              throw new Error("boom");
            }
          }
        },
        waits,
      )).finally(() => log.push("told")),
    );
    await idle();
    await idle();
    assertEquals(early.state, "pending");
    open.open();
    await idle();
    assertEquals([seen.state, early.state], ["rejected", "rejected"]);
    assertEquals((early.error as Error).message, "boom");
    assertEquals(log.filter((it) => it === "told").length, 2);
  },
);

everywhere(
  "a failure of the source is told after the clean-up of the stage that reads it",
  async () => {
    const open = gate();
    const cleans: Stage<number, number> = async function* (input) {
      try {
        yield* input;
      } finally {
        await open.promise;
      }
    };
    async function* source(): AsyncGenerator<number> {
      yield 1;
      await Promise.reject(new Error("dry"));
    }
    const seen = outcome(list(pipeline(source(), cleans)));
    await idle();
    assertEquals(seen.state, "pending");
    open.open();
    await idle();
    assertEquals((seen.error as Error).message, "dry");
  },
);

everywhere("the first of several failures is the one that is told", async () => {
  const first = new Error("first");
  const clean: Stage<number, number> = async function* (input) {
    try {
      yield* input;
    } finally {
      await Promise.reject(new Error("second"));
    }
  };
  const fails = stage("", [], (n: number) => n === 2 ? Promise.reject(first) : n);
  assertStrictEquals(await rejection(list(pipeline(numbers(), clean, fails, clean))), first);
});

everywhere("an error that is no Error, undefined even, is a failure", async () => {
  const piped = pipeline([1], stage("", [], () => Promise.reject(undefined)));
  const seen = outcome(piped.next());
  await idle();
  assertEquals(seen, { state: "rejected", error: undefined });
});

everywhere("a stage that gives no iterable is a TypeError at next()", async () => {
  await assertRejects(() => pipeline([1], (() => 1) as never).next(), TypeError);
  await assertRejects(
    () => list(pipeline([1], (() => undefined) as never, mapStage(same))),
    TypeError,
  );
});

everywhere("a source that cannot be opened fails at next()", async () => {
  const stream = new ReadableStream();
  stream.getReader();
  await assertRejects(() => pipeline(stream, stage("", [], same)).next(), TypeError);
  await assertRejects(() => pipeline(stream).next(), TypeError);
  const throws = {
    [Symbol.asyncIterator]: () => {
      throw new Error("closed today");
    },
  };
  await assertRejects(() => pipeline(throws, stage("", [], same)).next(), Error, "closed today");
});

everywhere("throw() ends all stages and rejects with its error", async () => {
  const log: unknown[] = [];
  const piped = pipeline(numbers(log), stage("stage", log, same<number>));
  await piped.next();
  const oops = new Error("oops");
  assertStrictEquals(await rejection(piped.throw(oops)), oops);
  assertEquals([log, await piped.next()], [["source", "stage"], DONE]);
});

// -- Leaving early --

for (const capacity of [0, 1, 16]) {
  everywhere(
    `leaving the loop of a pipeline of capacity ${capacity} runs every finally, from the source on`,
    async () => {
      const log: unknown[] = [];
      const [a, b] = [stage("a", log, same<number>), stage("b", log, same<number>)];
      for (const left of [1, 2, 40]) {
        log.length = 0;
        for await (const n of pipeline(numbers(log), a, b, { capacity })) if (n === left) break;
        assertEquals(log, ["source", "a", "b"]);
      }
    },
  );
}

everywhere("leaving a pipeline whose stages wait kills their waits", async () => {
  for (const place of ["source", "a", "b"]) {
    const log: unknown[] = [];
    const at = (name: string) => async (n: number) => {
      if (n === 2 && name === place) await sleep(Infinity);
      return n;
    };
    const source = async function* () {
      try {
        for (let n = 1;; n++) yield await at("source")(n);
      } finally {
        log.push("source");
      }
    };
    const piped = pipeline(source(), stage("a", log, at("a")), stage("b", log, at("b")));
    assertEquals((await piped.next()).value, 1);
    const waits = outcome(piped.next());
    await idle();
    await piped.return();
    assertEquals([[...log].sort(), waits.value], [["a", "b", "source"], DONE]);
  }
});

everywhere(
  "a stage that leaves its input early ends the stages before it, and the pipeline goes on",
  async () => {
    const log: unknown[] = [];
    const take = (count: number): Stage<number, number> =>
      async function* (input) {
        let left = count;
        for await (const n of input) {
          yield n;
          if (--left === 0) break;
        }
        log.push("taken");
        yield 0;
      };
    const piped = pipeline(
      numbers(log),
      stage("a", log, same<number>),
      take(2),
      stage("b", log, same<number>),
    );
    assertEquals(await list(piped), [1, 2, 0]);
    assertEquals(log, ["source", "a", "taken", "b"]);
  },
);

everywhere(
  "a stage that just ends, without a word to its input, ends the stages before it",
  async () => {
    const log: unknown[] = [];
    // deno-lint-ignore require-yield
    const deaf: Stage<number, number> = async function* (input) {
      await input[Symbol.asyncIterator]().next();
    };
    assertEquals(await list(pipeline(numbers(log), stage("a", log, same<number>), deaf)), []);
    assertEquals(log, ["source", "a"]);
    log.length = 0;
    assertEquals(await list(pipeline(numbers(log), deaf)), []);
    assertEquals(log, ["source"]);
  },
);

everywhere("an error of the clean-up is thrown where the loop is left, the first one", async () => {
  const fails = (name: string): Stage<number, number> =>
    async function* (input) {
      try {
        yield* input;
      } finally {
        await Promise.reject(new Error(name));
      }
    };
  const piped = pipeline(numbers(), fails("a"), stage("", [], same<number>));
  await piped.next();
  await assertRejects(() => piped.return(), Error, "a");
  assertEquals([await piped.return(), await piped.next()], [DONE, DONE]);
  async function* source() {
    try {
      for (;;) yield 1;
    } finally {
      await Promise.reject(new Error("source"));
    }
  }
  for (const stages of [[], [stage("", [], same)]]) {
    await assertRejects(
      async () => {
        for await (const _ of pipeline(source(), ...stages)) break;
      },
      Error,
      "source",
    );
  }
});

everywhere("a failure that the consumer has not met when it leaves is dropped", async () => {
  const fails = stage("", [], (n: number) => n === 3 ? Promise.reject(new Error("three")) : n);
  const piped = pipeline(numbers(), fails);
  assertEquals((await piped.next()).value, 1);
  await idle();
  assertEquals(await piped.return(), DONE);
});

everywhere("leaving waits for a stage in a foreign await", async () => {
  const open = gate();
  const log: unknown[] = [];
  const piped = pipeline(
    numbers(log),
    stage("stage", log, (n: number) => n === 2 ? open.promise : undefined),
  );
  await piped.next();
  const left = outcome(piped.return());
  await idle();
  assertEquals(left.state, "pending");
  open.open();
  await idle();
  assertEquals([left.state, log], ["resolved", ["source", "stage"]]);
});

everywhere("leaving ends a source by its return() while it waits for a foreign event", async () => {
  const log: unknown[] = [];
  const event = gate<IteratorResult<number, undefined>>();
  let count = 0;
  const source: AsyncIterableIterator<number, undefined> = {
    next: () => ++count === 1 ? Promise.resolve({ done: false, value: 1 }) : event.promise,
    return: () => {
      log.push("return");
      event.open(DONE);
      return Promise.resolve(DONE);
    },
    [Symbol.asyncIterator]: () => source,
  };
  const piped = pipeline(source, stage("stage", log, same<number>));
  await piped.next();
  await idle();
  await piped.return();
  assertEquals(log, ["return", "stage"]);
});

everywhere("leaving cancels a stream that waits, and frees it", async () => {
  const log: unknown[] = [];
  for (const stages of [[], [stage("", [], same)]]) {
    const stream = new ReadableStream({
      start: (controller) => controller.enqueue(1),
      cancel: () => void log.push("cancel"),
    });
    for await (const _ of pipeline(stream, ...stages)) break;
    assertEquals(stream.locked, false);
  }
  assertEquals(log, ["cancel", "cancel"]);
});

everywhere("leaving a pipeline over a produced receiver stops the producer", async () => {
  const log: unknown[] = [];
  for (const stages of [[], [stage("stage", log, same<number>)]]) {
    log.length = 0;
    for await (const n of pipeline(produce(() => numbers(log)), ...stages)) if (n === 2) break;
    assertEquals(log[0], "source");
  }
});

everywhere("the stages of a pipeline may be pipelines", async () => {
  const log: unknown[] = [];
  const inner: Stage<number, number> = (input) =>
    pipeline(input, stage("inner 1", log, same<number>), stage("inner 2", log, same<number>));
  for await (const n of pipeline(numbers(log), inner, stage("outer", log, same<number>))) {
    if (n === 3) break;
  }
  assertEquals(log, ["source", "inner 1", "inner 2", "outer"]);
});

test("return() from inside a stage does not hang", () =>
  quietly(async () => {
    let error: unknown;
    const piped: Pipeline<number> = pipeline(
      numbers(),
      stage("", [], async (n: number) => {
        error = await rejection(piped.return());
        return n;
      }),
    );
    assertEquals(await piped.next(), DONE);
    await idle();
    assert(isKilled(error));
  }));

// -- Kills --

for (const capacity of [0, 16]) {
  test(`a kill of the task that waits in next() ends a pipeline of capacity ${capacity}, every finally before the task`, () =>
    quietly(async () => {
      const log: unknown[] = [];
      const consumer = spawn(async () => {
        const a = stage("a", log, (n: number) => n === 3 ? sleep(Infinity) : undefined);
        for await (const _ of pipeline(numbers(log), a, stage("b", log, same), { capacity }));
      });
      await idle();
      assertEquals(log, []);
      await consumer.kill();
      assertEquals(consumer.state, "killed");
      assertEquals([...log].sort(), ["a", "b", "source"]);
    }));

  test(`a kill of the task that is in the loop's body ends a pipeline of capacity ${capacity}`, () =>
    quietly(async () => {
      const log: unknown[] = [];
      const consumer = spawn(async () => {
        const [a, b] = [stage("a", log, same<number>), stage("b", log, same<number>)];
        for await (const _ of pipeline(numbers(log), a, b, { capacity })) await sleep(Infinity);
      });
      await idle();
      await consumer.kill();
      assertEquals([consumer.state, log], ["killed", ["source", "a", "b"]]);
    }));
}

test("a kill that the loop's body catches ends the pipeline at the next value", () =>
  quietly(async () => {
    const log: unknown[] = [];
    const consumer = spawn(async () => {
      const piped = pipeline(numbers(log), stage("a", log, same<number>));
      for await (const _ of piped) await rejection(sleep(Infinity));
    });
    await idle();
    await consumer.kill();
    assertEquals([consumer.state, log], ["killed", ["source", "a"]]);
  }));

test("next() in a killed task rejects and starts nothing", async () => {
  const log: unknown[] = [];
  const task = spawn(async () => {
    void currentTask()!.kill();
    const piped = pipeline(numbers(log), stage("a", log, same<number>));
    return await rejection(piped.next()) instanceof KilledError;
  });
  assertEquals([await task, log], [true, []]);
});

// -- Arguments --

test("pipeline() of wrong arguments throws at once", () => {
  const pass = mapStage(same<number>);
  assertThrows(() => pipeline(1 as never), TypeError, "source must be iterable");
  assertThrows(() => pipeline(null as never, pass), TypeError, "got null");
  assertThrows(() => pipeline(undefined as never), TypeError, "got undefined");
  assertThrows(
    () => pipeline([1], 1 as never),
    TypeError,
    "stage 1 must be a function, got number",
  );
  assertThrows(() => pipeline([1], pass, null as never), TypeError, "stage 2 must be a function");
  assertThrows(() => pipeline([1], undefined as never), TypeError, "stage 1 must be a function");
  assertThrows(() => pipeline([1], { capacity: 1 } as never, pass), TypeError, "stage 1");
  assertThrows(() => pipeline([1], new TransformStream() as never), TypeError, "got object");
  assertThrows(() => pipeline([1], pass, { capacity: -1 }), RangeError, ">= 0, got -1");
  assertThrows(() => pipeline([1], pass, { capacity: 1.5 }), RangeError);
  assertThrows(() => pipeline([1], pass, { capacity: Infinity }), RangeError);
  assertThrows(() => pipeline([1], pass, { capacity: "1" as never }), TypeError);
});

test("pipeline() infers types through its stages", async () => {
  const piped: Pipeline<boolean> = pipeline(
    [1, 2],
    mapStage((n) => n * 2),
    async function* (input) {
      for await (const n of input) yield `${n.toFixed(1)}`;
    },
    mapStage((text) => text.startsWith("2")),
    { capacity: 1 },
  );
  assertEquals(await list(piped), [true, false]);
  // @ts-expect-error -- the second stage takes numbers
  const wrong = () => pipeline([1], mapStage((n) => `${n}`), mapStage((n: number) => n));
  assertEquals(typeof wrong, "function");
});

test("pipeline() stops all stages at a failure, though nobody asks for the next value", () =>
  quietly(async () => {
    const log: unknown[] = [];
    const fails = stage("fails", log, (n: number) => n === 3 ? Promise.reject(new Error("3")) : n);
    const busy = stage("busy", log, async (n: number) => {
      if (n === 2) await sleep(Infinity);
      return n;
    });
    const piped = pipeline(numbers(log), fails, busy);
    assertEquals(await piped.next(), { done: false, value: 1 });
    await idle();
    assertEquals([...log].sort(), ["busy", "fails", "source"]);
    await assertRejects(() => piped.next(), Error, "3");
    assertEquals(await piped.next(), DONE);
  }));

test("pipeline() tells a failure only when a slow clean-up before it is done", () =>
  quietly(async () => {
    const open = gate();
    let cleaned = false;
    const piped = pipeline(
      numbers(),
      async function* (input: AsyncIterable<number>) {
        try {
          yield* input;
        } finally {
          await shield(() => open.promise);
          cleaned = true;
        }
      },
      stage("fails", [], () => Promise.reject(new Error("fails"))),
    );
    const failed = outcome(piped.next());
    await idle();
    assertEquals([failed.state, cleaned], ["pending", false]);
    open.open();
    await idle();
    assertEquals([failed.state, (failed.error as Error).message, cleaned], [
      "rejected",
      "fails",
      true,
    ]);
  }));

// -- Stages that kill what they read in --

/** Gives 1 and 2, then waits for ever. */
async function* stuck(log: unknown[]): AsyncGenerator<number> {
  try {
    yield 1;
    yield 2;
    await sleep(Infinity);
  } finally {
    log.push("source");
  }
}

async function* passing(input: AsyncIterable<number>, log: unknown[]): AsyncGenerator<number> {
  try {
    for await (const n of input) yield n;
  } finally {
    log.push("stage");
  }
}

function mapped(
  log: unknown[],
  options?: MapStageOptions,
): (input: AsyncIterable<number>) => AsyncIterable<number> {
  return mapStage(async (n: number) => {
    await sleep(0);
    log.push(n);
    return n;
  }, options);
}

const STUCK: Record<string, (log: unknown[]) => PipelineSource<number>> = {
  "a generator": stuck,
  "a generator whose clean-up waits": async function* (log) {
    try {
      yield* stuck([]);
    } finally {
      await sleep(0).finally(() => log.push("source"));
    }
  } as (log: unknown[]) => AsyncGenerator<number>,
  "produce()": (log) => produce(() => stuck(log)),
  "a pipeline": (log) => pipeline(stuck(log), mapped([])),
  "a channel": (log) => {
    log.push("source"); // it has nothing to clean up
    const ch = new Channel<number>({ capacity: 2 });
    ch.trySend(1);
    ch.trySend(2);
    return ch;
  },
};

const KILLING: Record<string, (log: unknown[]) => Array<Stage<number, number>>> = {
  "one mapStage": (log) => [mapped(log)],
  "two mapStages": (log) => [mapped(log), mapped(log)],
  "a mapStage with concurrency": (log) => [mapped(log, { concurrency: 3 })],
  "an unordered mapStage": (log) => [mapped(log, { concurrency: 3, ordered: false })],
  "a mapStage before a generator": (log) => [mapped(log), (input) => passing(input, log)],
  "a mapStage after a generator": (log) => [(input) => passing(input, log), mapped(log)],
  "a mapStage of a mapStage": (log) => [
    (input) => mapped(log, { concurrency: 2 })(mapped(log, { concurrency: 2 })(input)),
  ],
  "a mapStage in a generator": (log) => [
    (input) => passing(mapped(log, { concurrency: 3 })(input), log),
  ],
};

for (const [what, stages] of Object.entries(KILLING)) {
  everywhere(
    `pipeline() that is left while its source waits rejects nothing: ${what}`,
    async () => {
      for (const [source, open] of Object.entries(STUCK)) {
        for (const capacity of [0, 1, 16]) {
          for (const last of [1, 2]) {
            const log: unknown[] = [], about = `${source}, capacity ${capacity}, after ${last}`;
            const piped = pipeline(open(log), ...stages(log), { capacity } as never);
            for await (const n of piped) {
              if (n < last) continue;
              await idle();
              break;
            }
            assertEquals(await piped.next(), DONE);
            assert(log.includes("source"), about);
            assertEquals(log.includes("stage"), what.includes("generator"), about);
          }
        }
      }
    },
  );
}

test("pipeline() rejects with the kill of its consumer, not with that of a call of its stage", () =>
  quietly(async () => {
    for (const open of Object.values(STUCK)) {
      const reason = new Error("kill"), log: unknown[] = [];
      const task = spawn(async () => {
        for await (const _ of pipeline(open(log), mapped(log, { concurrency: 2 })));
      });
      await idle();
      await task.kill(reason);
      assertEquals([task.state, task.error === reason], ["killed", true]);
      assert(log.includes("source"));
    }
  }));

test("pipeline() whose stage leaves a mapStage early goes on to the end", () =>
  quietly(async () => {
    const log: unknown[] = [];
    const first = async function* (input: AsyncIterable<number>) {
      for await (const n of mapped([], { concurrency: 3 })(input)) {
        await idle();
        yield n;
        return;
      }
    };
    assertEquals(await list(pipeline(stuck(log), first)), [1]);
    assertEquals(log, ["source"]);
  }));

test("pipeline() whose stage fails while it kills what it reads in rejects with that failure", () =>
  quietly(async () => {
    const log: unknown[] = [], real = new Error("real");
    const fails = (input: AsyncIterable<number>): AsyncIterable<number> =>
      produce(() => {
        const iterator = input[Symbol.asyncIterator]();
        return {
          [Symbol.asyncIterator]: () => ({
            next: () =>
              scope(async (s) => {
                s.spawn(() => sleep(0).then(() => Promise.reject(real)));
                for (;;) await iterator.next();
              }),
          }),
        };
      });
    assertStrictEquals(await rejection(list(pipeline(stuck(log), fails))), real);
    assertEquals(log, ["source"]);
  }));

for (
  const [what, open, stages] of [
    ["the source", (end: () => never) => failing(stuck([]), end), () => [mapped([])]],
    ["the stage before it", () => stuck([]), (end: () => never) => [
      (input: AsyncIterable<number>) => failing(input, end),
      mapped([], { concurrency: 2 }),
    ]],
    ["the stage after it", () => stuck([]), (end: () => never) => [
      mapped([], { concurrency: 2 }),
      (input: AsyncIterable<number>) => failing(input, end),
    ]],
    ["a call of it", () => stuck([]), (end: () => never) => [
      mapStage(async (n: number) => {
        if (n === 2) await sleep(Infinity).finally(end);
        return n;
      }, { concurrency: 2 }),
    ]],
  ] as Array<
    [
      string,
      (end: () => never) => PipelineSource<number>,
      (end: () => never) => Array<Stage<number, number>>,
    ]
  >
) {
  test(`pipeline() that is left with a mapStage rejects with the failed clean-up of ${what}`, () =>
    quietly(async () => {
      const real = new Error("clean-up");
      const end = (): never => {
        throw real;
      };
      const seen = await rejection((async () => {
        for await (const _ of pipeline(open(end), ...stages(end))) {
          await idle();
          break;
        }
      })());
      assertStrictEquals(seen, real);
    }));
}

async function* failing(input: AsyncIterable<number>, end: () => never): AsyncGenerator<number> {
  try {
    for await (const n of input) yield n;
  } finally {
    end();
  }
}

// -- Deadlocks --

async function* hanging(
  input: AsyncIterable<number> | Iterable<number>,
  opened: Event,
): AsyncGenerator<number> {
  yield* input;
  await hang(opened);
}

const HANGING: Record<string, (opened: Event) => Pipeline<number>> = {
  "the only stage": (opened) => pipeline([1], (input) => hanging(input, opened)),
  "a stage in the middle": (opened) =>
    pipeline([1], same, (input) => hanging(input, opened), mapped([])),
  "the source": (opened) => pipeline(hanging([1], opened), (input) => passing(input, [])),
  "the source of a mapStage": (opened) =>
    pipeline(hanging([1], opened), mapped([], { concurrency: 2 })),
  "a call of a mapStage": (opened) =>
    pipeline(
      [1, 2],
      mapStage((n: number) => n === 1 ? n : hang(opened), { concurrency: 2 }),
    ),
};

for (const [what, open] of Object.entries(HANGING)) {
  for (const last of [1, 2]) {
    const how = last === 1 ? "is left" : "waits for a value";
    test(`pipeline() that ${how} while ${what} hangs for ever ends with a deadlock`, () =>
      quietly(() =>
        assertDeadlocks(async (opened) => {
          for await (const _ of open(opened)) {
            await idle();
            if (last === 1) break;
          }
        })
      ));

    test(`pipeline() that ${how} in a task while ${what} hangs for ever raises none by itself`, () =>
      quietly(async () => {
        const opened = new Event();
        const task = spawn(async () => {
          for await (const _ of open(opened)) {
            await idle();
            if (last === 1) break;
          }
        });
        await idle();
        await idle();
        assertEquals([task.state, findDeadlock()], ["running", undefined]);
        const killed = outcome(task.kill());
        await idle();
        opened.set();
        await idle();
        assertEquals([killed.state, task.ready], ["resolved", true]);
      }));
  }
}

test("pipeline() whose stages only wait ends with a deadlock, after their clean-up", () =>
  quietly(async () => {
    const log: unknown[] = [];
    await assertDeadlocks(async () => {
      for await (const _ of pipeline(stuck(log), mapped(log), (input) => passing(input, log)));
    });
    assertEquals(log, [1, 2, "source", "stage", 1, 2, "source", "stage"]);
  }));
