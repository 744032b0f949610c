// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The stage that maps: how many calls at once, in which order, and how it ends.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { KilledError } from "../src/errors.ts";
import { mapStage, type MapStageOptions } from "../src/map_stage.ts";
import { pipeline } from "../src/pipeline.ts";
import { produce } from "../src/produce.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask } from "../src/task.ts";
import { TaskLocal } from "../src/task_local.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { assertDeadlocks, endsOf, hang } from "./deadlocked.ts";
import { type Gate, gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome, rejection } from "./outcome.ts";

noLeaks();

const DONE: IteratorResult<never, undefined> = { done: true, value: undefined };

/** Counts up; says what was pulled, and when it was left. */
async function* numbers(log: unknown[], last = Infinity): AsyncGenerator<number> {
  try {
    for (let n = 1; n <= last; n++) {
      log.push(n);
      yield n;
    }
  } finally {
    log.push("left");
  }
}

async function list<T>(source: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of source) values.push(value);
  return values;
}

/** A function whose calls end when the test says so; `calls` are those that run. */
function held(): { fn: (n: number) => Promise<string>; calls: Map<number, Gate<string>> } {
  const calls = new Map<number, Gate<string>>();
  const fn = async (n: number) => {
    const open = gate<string>();
    calls.set(n, open);
    try {
      return await open.promise;
    } finally {
      calls.delete(n);
    }
  };
  return { fn, calls };
}

async function quietly(body: () => Promise<void>): Promise<void> {
  const seen: unknown[] = [];
  using _hook = onUnhandled((error) => seen.push(error));
  await body();
  await idle();
  assertEquals(seen, []);
}

function everywhere(name: string, body: () => Promise<void>): void {
  test(name, () => quietly(body));
  test(`${name}, in a task`, () => quietly(() => spawn(body).get()));
}

const ALL: MapStageOptions[] = [1, 2, 3, 100].flatMap((concurrency) => [
  { concurrency, ordered: true },
  { concurrency, ordered: false },
]);

// -- Values --

for (const options of ALL) {
  const title = `mapStage() with ${JSON.stringify(options)}`;

  everywhere(`${title} maps every value, twice`, async () => {
    const stage = mapStage(async (n: number) => {
      await sleep(0);
      return n * n;
    }, options);
    for (let i = 0; i < 2; i++) {
      assertEquals(await list(stage(numbers([], 10))), [1, 4, 9, 16, 25, 36, 49, 64, 81, 100]);
      assertEquals(await list(pipeline([], stage)), []);
    }
  });

  everywhere(`${title} runs as many calls at once as it may, and pulls no further`, async () => {
    const log: unknown[] = [];
    const { fn, calls } = held();
    const mapped = mapStage(fn, options)(numbers(log));
    const first = outcome(mapped.next());
    const { concurrency } = options as { concurrency: number };
    await idle();
    assertEquals([calls.size, log.length], [concurrency, concurrency]);
    calls.get(1)!.open("one");
    await idle();
    assertEquals(first.value, { done: false, value: "one" });
    // Not asked for more: nothing more is begun.
    assertEquals([calls.size, log.length], [concurrency - 1, concurrency]);
    const second = outcome(mapped.next());
    await idle();
    assertEquals([calls.size, log.length], [concurrency, concurrency + 1]);
    for (const open of calls.values()) open.open("more");
    await idle();
    assertEquals(second.value, { done: false, value: "more" });
    await mapped.return!();
    assertEquals(log.at(-1), "left");
  });
}

everywhere(
  "mapStage() in order lets a fast call wait for a slow one, and holds no more than it may",
  async () => {
    const log: unknown[] = [];
    const { fn, calls } = held();
    const mapped = mapStage(fn, { concurrency: 3 })(numbers(log));
    const first = outcome(mapped.next());
    await idle();
    calls.get(3)!.open("three");
    calls.get(2)!.open("two");
    await idle();
    assertEquals([first.state, calls.size, log.length], ["pending", 1, 3]);
    calls.get(1)!.open("one");
    await idle();
    assertEquals(first.value, { done: false, value: "one" });
    assertEquals([(await mapped.next()).value, (await mapped.next()).value], ["two", "three"]);
    await idle();
    for (const open of calls.values()) open.open("rest");
    await mapped.return!();
  },
);

everywhere("mapStage() out of order gives results as the calls end", async () => {
  const { fn, calls } = held();
  const results = outcome(list(mapStage(fn, { concurrency: 3, ordered: false })(numbers([], 3))));
  await idle();
  for (const [n, text] of [[2, "two"], [3, "three"], [1, "one"]] as const) {
    calls.get(n)!.open(text);
    await idle();
  }
  assertEquals(results.value, ["two", "three", "one"]);
});

everywhere(
  "next() may be called several times at once, and no more calls run for that",
  async () => {
    const { fn, calls } = held();
    const mapped = mapStage(fn, { concurrency: 2 })(numbers([], 3));
    const results = [1, 2, 3, 4].map(() => outcome(mapped.next()));
    await idle();
    assertEquals([...calls.keys()], [1, 2]);
    calls.get(1)!.open("one");
    await idle();
    assertEquals([...calls.keys()], [2, 3]);
    calls.get(2)!.open("two");
    calls.get(3)!.open("three");
    await idle();
    assertEquals(
      results.map((it) => it.value),
      [...["one", "two", "three"].map((value) => ({ done: false as const, value })), DONE],
    );
  },
);

everywhere("mapStage() takes plain functions and sync inputs, and carries undefined", async () => {
  assertEquals(await list(mapStage((n: number) => n + 1)([1, 2])), [2, 3]);
  assertEquals(await list(mapStage(() => undefined, { concurrency: 2 })([1, 2])), [
    undefined,
    undefined,
  ]);
});

test("mapStage() runs each call in a task of its own, with the task locals of the consumer", async () => {
  const local = new TaskLocal("nobody");
  const tasks = new Set<unknown>();
  const stage = mapStage((n: number) => (tasks.add(currentTask()), `${local.get()} ${n}`), {
    concurrency: 2,
  });
  const got = await spawn(() => {
    local.set("ann");
    return list(pipeline(["ignored"], () => stage(numbers([], 3))));
  });
  assertEquals([got, tasks.size], [["ann 1", "ann 2", "ann 3"], 3]);
});

// -- Failures --

for (const options of ALL) {
  everywhere(
    `the first failure in time stops a mapStage() with ${JSON.stringify(options)}`,
    async () => {
      const log: unknown[] = [];
      const boom = new Error("boom");
      let running = 0;
      const stage = mapStage(async (n: number) => {
        running++;
        try {
          if (n === 2) {
            await sleep(0);
            throw boom;
          }
          if (n > 2) await sleep(Infinity);
          return n;
        } finally {
          await shield(() => sleep(0));
          running--;
        }
      }, options);
      const mapped = stage(numbers(log));
      assertStrictEquals(await rejection(list(mapped)), boom);
      assertEquals([running, log.at(-1)], [0, "left"]);
      assertEquals([await mapped.next(), await mapped.return!()], [DONE, DONE]);
    },
  );
}

everywhere("a failure of the input stops the calls, and is told after their clean-up", async () => {
  const log: unknown[] = [];
  async function* source() {
    yield 1;
    await sleep(0);
    throw new Error("dry");
  }
  const mapped = mapStage(async () => {
    try {
      await sleep(Infinity);
    } finally {
      await shield(() => sleep(0));
      log.push("finally");
    }
  }, { concurrency: 2 })(source());
  await assertRejects(() => mapped.next(), Error, "dry");
  assertEquals([log, await mapped.next()], [["finally"], DONE]);
});

everywhere("a failure while nobody waits is told to the next next(), once", async () => {
  const mapped = mapStage((n: number) => n === 2 ? Promise.reject(new Error("two")) : n, {
    concurrency: 2,
  })(numbers([]));
  assertEquals((await mapped.next()).value, 1);
  await idle();
  await assertRejects(() => mapped.next(), Error, "two");
  assertEquals(await mapped.next(), DONE);
});

everywhere("a call that kills itself is a failure of the stage", async () => {
  const mapped = mapStage(async () => {
    void currentTask()!.kill();
    await sleep(0);
  })(numbers([]));
  await assertRejects(() => mapped.next(), KilledError);
});

everywhere("an input that is no iterable is a TypeError at next()", async () => {
  await assertRejects(() => mapStage((n) => n)(1 as never).next(), TypeError, "must be iterable");
});

// -- Leaving early --

everywhere(
  "leaving early kills what runs, waits for its clean-up, and ends the input",
  async () => {
    for (const ordered of [true, false]) {
      const log: unknown[] = [];
      let cleaned = 0;
      const mapped = mapStage(async (n: number) => {
        try {
          if (n > 1) await sleep(Infinity);
        } finally {
          await shield(() => sleep(0));
          if (n > 1) cleaned++;
        }
      }, { concurrency: 3, ordered })(numbers(log));
      for await (const _ of mapped) {
        await idle();
        break;
      }
      assertEquals([cleaned, log], [2, [1, 2, 3, "left"]]);
      assertEquals(await mapped.next(), DONE);
    }
  },
);

everywhere("return() ends a next() that waits, also for the input", async () => {
  const log: unknown[] = [];
  async function* source(): AsyncGenerator<number> {
    try {
      await sleep(Infinity);
      yield 1;
    } finally {
      log.push("left");
    }
  }
  const mapped = mapStage((n: number) => n)(source());
  const waits = outcome(mapped.next());
  await idle();
  await mapped.return!();
  assertEquals([waits.value, log], [DONE, ["left"]]);
});

everywhere("return() before the first next() runs nothing", async () => {
  const log: unknown[] = [];
  const mapped = mapStage((n: number) => n)(numbers(log));
  await mapped.return!();
  assertEquals([await mapped.next(), log], [DONE, []]);
});

everywhere(
  "return() rejects with an error of the clean-up, of the input and of a call",
  async () => {
    async function* source(): AsyncGenerator<number> {
      try {
        for (let n = 1;; n++) yield n;
      } finally {
        await Promise.reject(new Error("input"));
      }
    }
    const mapped = mapStage((n: number) => n)(source());
    await mapped.next();
    await assertRejects(() => mapped.return!(), Error, "input");
    assertEquals(await mapped.return!(), DONE);
    const calls = mapStage(async (n: number) => {
      try {
        if (n > 1) await sleep(Infinity);
      } finally {
        if (n > 1) await Promise.reject(new Error("call"));
      }
    }, { concurrency: 2 })(numbers([]));
    await calls.next();
    await idle();
    await assertRejects(() => calls.return!(), Error, "call");
  },
);

everywhere("throw() stops it and rejects with its error", async () => {
  const log: unknown[] = [];
  const mapped = mapStage((n: number) => n)(numbers(log));
  await mapped.next();
  assertEquals(await rejection(mapped.throw!("oops")), "oops");
  assertEquals(log, [1, "left"]);
});

test("return() from inside a call does not hang", () =>
  quietly(async () => {
    const mapped: AsyncIterableIterator<unknown, undefined> = mapStage(
      () => rejection(mapped.return!()),
    )(numbers([]));
    assertEquals(await mapped.next(), DONE);
    await idle();
  }));

// -- Kills --

test("a kill of the task that waits for a result stops the calls and the input first", () =>
  quietly(async () => {
    const log: unknown[] = [];
    const consumer = spawn(async () => {
      const mapped = mapStage(async () => {
        try {
          await sleep(Infinity);
        } finally {
          await shield(() => sleep(0));
          log.push("finally");
        }
      }, { concurrency: 2 })(numbers(log));
      for await (const _ of mapped);
    });
    await idle();
    await consumer.kill();
    assertEquals(consumer.state, "killed");
    assertEquals([...log].sort(), [1, 2, "finally", "finally", "left"]);
  }));

test("a kill of the task that waits for the input reaches the input", () =>
  quietly(async () => {
    const log: unknown[] = [];
    async function* source(): AsyncGenerator<number> {
      try {
        await sleep(Infinity);
        yield 1;
      } finally {
        log.push("left");
      }
    }
    const consumer = spawn(() => mapStage((n: number) => n)(source()).next());
    await idle();
    await consumer.kill();
    assertEquals([consumer.state, log], ["killed", ["left"]]);
  }));

test("leaving a pipeline kills the calls of its mapStage()", () =>
  quietly(async () => {
    const log: unknown[] = [];
    let running = 0;
    const slow = mapStage(async (n: number) => {
      running++;
      try {
        if (n > 2) await sleep(Infinity);
        return n;
      } finally {
        running--;
      }
    }, { concurrency: 4 });
    for await (const n of pipeline(numbers(log), mapStage((n: number) => n), slow)) {
      await idle();
      if (n === 2) break;
    }
    assertEquals([running, log.at(-1)], [0, "left"]);
  }));

// -- One call at a time, in the task of a pipeline or a producer --

everywhere(
  "the calls of a stage in a pipeline share its task, but not their task locals",
  async () => {
    const local = new TaskLocal("nobody");
    const tasks = new Set<unknown>();
    const stage = mapStage((n: number) => {
      tasks.add(currentTask());
      const seen = local.get();
      local.set(`call ${n}`);
      return `${seen} ${n}`;
    });
    local.set("ann");
    assertEquals(await list(pipeline(numbers([], 3), stage)), ["ann 1", "ann 2", "ann 3"]);
    assertEquals([tasks.size, tasks.has(undefined), local.get()], [1, false, "ann"]);
  },
);

everywhere(
  "a stage in a pipeline takes generators and promises, plain values and none",
  async () => {
    const stage = mapStage((n: number) => {
      if (n === 1) return undefined;
      if (n === 2) return Promise.resolve("two");
      return (function* () {
        yield 0;
        return "three";
      })();
    });
    assertEquals(await list(pipeline(numbers([], 3), stage)) as unknown, [
      undefined,
      "two",
      "three",
    ]);
    assertEquals(await list(produce(() => mapStage((n: number) => n + 1)([1, 2]))), [2, 3]);
  },
);

for (
  const [how, fail] of Object.entries({
    throws: (error: Error): never => {
      throw error;
    },
    rejects: (error: Error): Promise<never> => Promise.reject(error),
  })
) {
  everywhere(`a call in a pipeline that ${how} is told after the input was left`, async () => {
    const log: unknown[] = [];
    const boom = new Error("boom");
    const mapped = pipeline(numbers(log), mapStage((n: number) => n < 2 ? n : fail(boom)));
    assertEquals((await mapped.next()).value, 1);
    assertStrictEquals(await rejection(mapped.next()), boom);
    assertEquals([log, await mapped.next()], [[1, 2, "left"], DONE]);
  });
}

everywhere(
  "a call in a pipeline that kills itself is a failure, and no call follows it",
  async () => {
    const calls: number[] = [];
    const stage = mapStage((n: number) => {
      calls.push(n);
      if (n === 2) void currentTask()!.kill();
      return n;
    });
    const source = [1, 2, 3, 4];
    await assertRejects(() => list(pipeline(source, stage, { capacity: 4 })), KilledError);
    assertEquals(calls, [1, 2]);
  },
);

everywhere("leaving a pipeline kills the call that runs, and waits for its clean-up", async () => {
  const log: unknown[] = [];
  const slow = mapStage(async (n: number) => {
    if (n === 1) return n;
    const { signal } = currentTask()!;
    try {
      await sleep(Infinity);
    } finally {
      log.push(signal.aborted);
      await shield(() => sleep(0));
      log.push("cleaned");
    }
    return n;
  });
  for await (const _ of pipeline(numbers(log), slow)) {
    await idle();
    break;
  }
  assertEquals(log, [1, 2, true, "cleaned", "left"]);
});

everywhere("what a call gives after its consumer has left is undelivered", async () => {
  const { fn, calls } = held();
  const left: unknown[] = [];
  const produced = produce(() => mapStage(fn)(numbers([])), {
    onUndelivered: (value) => left.push(value),
  });
  await idle();
  produced.cancel();
  calls.get(1)!.open("late");
  await idle();
  assertEquals(left, ["late"]);
});

everywhere("a stage that a producer drives cannot be read a second time", async () => {
  const mapped = mapStage((n: number) => n)([1, 2]);
  const first = produce(() => mapped);
  assertEquals(await list(first), [1, 2]);
  assertEquals(await mapped.next(), DONE);
  const begun = mapStage((n: number) => n)([1, 2]);
  assertEquals((await begun.next()).value, 1);
  assertEquals(await list(produce(() => begun)), [2]);
});

everywhere("a stage in a pipeline of what is not iterable fails with a TypeError", async () => {
  const wrong = 42 as unknown as number[];
  await assertRejects(() => list(produce(() => mapStage((n) => n)(wrong))), TypeError, "iterable");
});

// -- Arguments --

test("mapStage() of wrong arguments throws at once", () => {
  const fn = (n: number) => n;
  assertThrows(() => mapStage(1 as never), TypeError, "fn must be a function, got number");
  assertThrows(() => mapStage(fn, 4 as never), TypeError, "options must be an object, got 4");
  assertThrows(() => mapStage(fn, { concurrency: 0 }), RangeError, ">= 1, got 0");
  assertThrows(() => mapStage(fn, { concurrency: 1.5 }), RangeError);
  assertThrows(() => mapStage(fn, { concurrency: Infinity }), RangeError);
  assertThrows(() => mapStage(fn, { concurrency: "1" as never }), TypeError);
  assertThrows(() => mapStage(fn, { ordered: 1 as never }), TypeError);
});

test("mapStage() infers what the function takes and gives", async () => {
  const stage = mapStage(async (text: string) => (await Promise.resolve(text)).length);
  const lengths: number[] = await list(stage(["a", "bc"]));
  assertEquals(lengths, [1, 2]);
  // @ts-expect-error -- it takes texts
  const wrong = () => stage([1]);
  assert(wrong !== undefined);
});

test("leaving a stage waits for the clean-up of its calls", () =>
  quietly(async () => {
    const open = gate();
    let cleaned = 0;
    const stage = mapStage(async (n: number) => {
      try {
        if (n > 1) await sleep(Infinity);
        return n;
      } finally {
        if (n > 1) await shield(() => open.promise);
        if (n > 1) cleaned++;
      }
    }, { concurrency: 3 })([1, 2, 3]);
    assertEquals((await stage.next()).value, 1);
    await idle();
    const left = outcome(stage.return!());
    await idle();
    assertEquals([left.state, cleaned], ["pending", 0]);
    open.open();
    await idle();
    assertEquals([left.state, cleaned], ["resolved", 2]);
  }));

test("mapStage() whose call hangs for ever ends with a deadlock", () =>
  quietly(async () => {
    for (const last of [1, 2]) {
      await assertDeadlocks(async (opened) => {
        const stage = mapStage((n: number) => n === 1 ? n : hang(opened), { concurrency: 2 });
        for await (const n of stage([1, 2])) {
          await idle();
          if (n === last) break;
        }
      });
    }
  }));

test("mapStage() whose input hangs for ever ends with a deadlock", () =>
  quietly(async () => {
    for (const last of [1, 2]) {
      await assertDeadlocks(async (opened) => {
        const input = async function* () {
          yield 1;
          await hang(opened);
        };
        for await (const n of mapStage((n: number) => n, { concurrency: 2 })(input())) {
          await idle();
          if (n === last) break;
        }
      });
    }
  }));

test("mapStage() that has failed rejects with that failure though a call of it hangs for ever", () =>
  quietly(async () => {
    const real = new Error("real");
    const ends = await endsOf(async (opened) => {
      const stage = mapStage(async (n: number) => {
        if (n === 2) await hang(opened);
        await sleep(0);
        throw real;
      }, { concurrency: 2 });
      for await (const _ of stage([1, 2]));
    });
    assertEquals(ends, [real, real]);
  }));

/** Gives one value; then only `return()` ends its `next()`, as of what listens to events of the host. */
function listener(log: string[]): AsyncIterableIterator<number> {
  const ended = gate<IteratorResult<number>>();
  let given = 0;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => given++ === 0 ? Promise.resolve({ done: false, value: 0 }) : ended.promise,
    return() {
      log.push("left");
      ended.open({ done: true, value: undefined });
      return ended.promise;
    },
  };
}

for (const concurrency of [1, 2]) {
  test(`mapStage({ concurrency: ${concurrency} }) leaves an input at once whose next() only return() ends`, async () => {
    const log: string[] = [];
    const left = outcome((async () => {
      const mapped = produce(() => mapStage((n: number) => n, { concurrency })(listener(log)));
      for await (const value of mapped) {
        log.push(`got ${value}`);
        await idle(); // it waits for the next one
        break;
      }
    })());
    await idle();
    await idle();
    assertEquals([left.state, log], ["resolved", ["got 0", "left"]]);
  });

  test(`mapStage({ concurrency: ${concurrency} }) tells an error of an input that it leaves while that waits`, async () => {
    const error = new Error("cannot leave");
    const input = listener([]);
    const { return: leave } = input;
    input.return = async () => {
      await leave!();
      throw error;
    };
    const mapped = produce(() => mapStage((n: number) => n, { concurrency })(input));
    assertEquals(await mapped.receive(), 0);
    await idle();
    assertStrictEquals(await rejection(mapped[Symbol.asyncDispose]()), error);
  });

  test(`mapStage({ concurrency: ${concurrency} }) hides what a call sets in task locals from its input`, async () => {
    const local = new TaskLocal("outer");
    const seen: string[] = [];
    const input = async function* () {
      for (let n = 0; n < 3; n++) {
        seen.push(local.get());
        yield n;
      }
    };
    await list(pipeline(input(), mapStage((n: number) => local.set(`call ${n}`), { concurrency })));
    assertEquals(seen, ["outer", "outer", "outer"]);
  });
}

test("mapStage() of a generator function gives what that returns, by its type too", async () => {
  const stage = mapStage(async function* (n: number) {
    yield n;
    return `${n}`;
  });
  const results: string[] = await list(stage([1, 2]));
  const produced: string[] = await list(produce(() => stage([3])));
  assertEquals([...results, ...produced], ["1", "2", "3"]);
});
