// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Coroutines: what a send gives, whose turn it is, kills, and the sends that can never end.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { contextTravels } from "../src/_kernel/current.ts";
import { Channel } from "../src/channel.ts";
import { type Coroutine, coroutine } from "../src/coroutine.ts";
import { CoroutineEndedError, DeadlockError, KilledError } from "../src/errors.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask } from "../src/task.ts";
import { withTimeout } from "../src/timeout.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { raise } from "./deadlocked.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();

/** Yields what it is sent, twice as much. */
const doubler = coroutine(async function* (): AsyncGenerator<number, string, number> {
  let answer = 0;
  for (;;) {
    const got = yield answer;
    if (got < 0) return "ended";
    answer = got * 2;
  }
});

/** Says what happens in its body, and waits for `open` before each answer. */
const gated = (log: unknown[], open: () => PromiseLike<unknown>) =>
  coroutine(async function* (): AsyncGenerator<number, void, number> {
    let got = 0;
    try {
      for (;;) {
        got = yield got;
        log.push(got);
        await open();
      }
    } finally {
      log.push("finally");
    }
  })();

/** Runs `body` outside of all tasks, and in one: the two ways through a send. */
function everywhere(name: string, body: () => Promise<void>): void {
  test(name, body);
  test(`${name}, in a task`, () => spawn(body).get());
}

// -- Before anything was spawned --

test("coroutine() works before the program has spawned, and finds a self-send before the first await", async () => {
  const self: Coroutine<number, unknown, void> = coroutine(
    async function* (): AsyncGenerator<unknown, void, number> {
      yield;
      yield await rejection(self.send(1));
    },
  )();
  assertInstanceOf(await self.send(0), DeadlockError);
  const talk = doubler();
  assertEquals([await talk.send(1), await talk.send(2)], [2, 4]);
});

// -- send --

everywhere("send() drops the first yield and resolves to the next ones", async () => {
  const talk = doubler();
  assertEquals(await talk.send(1), 2);
  assertEquals(await talk.send(21), 42);
  await talk.close();
});

everywhere(
  "send() after next() passes its value to the yield at which the body waits",
  async () => {
    const talk = doubler();
    assertEquals(await talk.next(), { done: false, value: 0 });
    assertEquals(await talk.send(3), 6);
    await talk.close();
  },
);

everywhere("send() rejects with the return value once the body ends, and ever after", async () => {
  const talk = doubler();
  await talk.send(1);
  for (let i = 0; i < 3; i++) {
    const error = await assertRejects(() => talk.send(-1), CoroutineEndedError);
    assertEquals(error.value, "ended");
  }
  assertEquals<unknown>(await talk.next(), { done: true, value: undefined });
});

everywhere(
  "send() rejects with the return value when the start already ends the body",
  async () => {
    // deno-lint-ignore require-yield
    const short = coroutine(async function* (): AsyncGenerator<never, number, number> {
      return await Promise.resolve(7);
    })();
    assertEquals((await assertRejects(() => short.send(1), CoroutineEndedError)).value, 7);
    assertEquals((await assertRejects(() => short.send(1), CoroutineEndedError)).value, 7);
  },
);

everywhere("send() rejects with what the body throws, later ones have no value", async () => {
  const boom = new Error("boom");
  const fails = coroutine(async function* (): AsyncGenerator<void, void, number> {
    yield;
    throw boom;
  })();
  assertStrictEquals(await rejection(fails.send(1)), boom);
  assertEquals((await assertRejects(() => fails.send(1), CoroutineEndedError)).value, undefined);
});

everywhere("send() carries undefined both ways", async () => {
  const seen: unknown[] = [];
  const talk = coroutine(async function* (): AsyncGenerator<undefined, void, undefined> {
    for (let i = 0; i < 2; i++) seen.push(yield undefined);
    yield undefined;
  })();
  assertEquals(await talk.send(undefined), undefined);
  assertEquals(seen, [undefined]);
  await talk.close();
});

everywhere("send() queues up behind those under way, first come first served", async () => {
  const log: unknown[] = [];
  const gates = [gate(), gate(), gate()];
  let at = 0;
  const talk = gated(log, () => gates[at++]!.promise);
  const answers = [talk.send(1), talk.send(2), talk.send(3)];
  const seen = answers.map(outcome);
  await idle();
  assertEquals(log, [1]);
  gates[0]!.open();
  await idle();
  assertEquals([log, seen.map((it) => it.state)], [[1, 2], ["resolved", "pending", "pending"]]);
  gates[1]!.open();
  gates[2]!.open();
  assertEquals(await Promise.all(answers), [1, 2, 3]);
  await talk.close();
});

everywhere(
  "send() that waits behind the end rejects with the same value as the one that ended it",
  async () => {
    const talk = doubler();
    const ends = [talk.send(1), talk.send(-1), talk.send(2), talk.next()].map((it) =>
      outcome<unknown>(it)
    );
    await idle();
    assertEquals(ends[0]!.value, 2);
    assertEquals((ends[1]!.error as CoroutineEndedError).value, "ended");
    assertEquals((ends[2]!.error as CoroutineEndedError).value, "ended");
    assertEquals(ends[3]!.value, { done: true, value: undefined });
  },
);

everywhere("send() queues with next(), throw(), return() and close() in one order", async () => {
  const order: unknown[] = [];
  const talk = coroutine(async function* (): AsyncGenerator<string, string, string> {
    for (;;) {
      try {
        order.push(yield "ready");
      } catch (error) {
        order.push((error as Error).message);
      }
      await sleep(0);
    }
  })();
  await Promise.all([
    talk.send("a"),
    talk.next("b"),
    talk.throw(new Error("c")),
    talk.send("d"),
    talk.return("r"),
    talk.close(),
  ]);
  assertEquals(order, ["a", "b", "c", "d"]);
  assertEquals((await assertRejects(() => talk.send("e"), CoroutineEndedError)).value, "r");
});

// -- Itself --

test("send() from inside rejects at once before the first await of the body", async () => {
  const self: Coroutine<number, unknown, void> = coroutine(
    async function* (): AsyncGenerator<unknown, void, number> {
      yield;
      yield await rejection(self.send(1));
      yield await rejection(self.next());
      yield await rejection(self.close());
    },
  )();
  for (let i = 0; i < 3; i++) assertInstanceOf(await self.send(0), DeadlockError);
  await self.close();
});

everywhere("send() from inside rejects after an await of the body too", async () => {
  await spawn(() => {}); // from now on contexts are in use
  assert(contextTravels());
  const self: Coroutine<number, unknown, void> = coroutine(
    async function* (): AsyncGenerator<unknown, void, number> {
      yield;
      await idle();
      yield await rejection(self.send(1));
      await idle();
      yield await rejection(self.close());
    },
  )();
  assertInstanceOf(await self.send(0), DeadlockError);
  assertInstanceOf(await self.send(0), DeadlockError);
  await self.close();
});

everywhere("send() rejects from a body that was called by the body", async () => {
  const outer: Coroutine<number, unknown, void> = coroutine(
    async function* (): AsyncGenerator<unknown, void, number> {
      yield;
      for (;;) {
        await idle();
        yield await inner.send(1);
      }
    },
  )();
  const inner = coroutine(async function* (): AsyncGenerator<unknown, void, number> {
    yield;
    for (;;) {
      await idle();
      yield await rejection(outer.send(1));
    }
  })();
  assertInstanceOf(await outer.send(0), DeadlockError);
  // They are not the worse for it.
  assertInstanceOf(await outer.send(0), DeadlockError);
  await outer.close();
  await inner.close();
});

everywhere("send() from one task twice at once is no self-send", async () => {
  const talk = gated([], () => sleep(0));
  assertEquals(await Promise.all([talk.send(1), talk.send(2)]), [1, 2]);
  await talk.close();
});

test("send() from a task that the body has spawned waits for its turn", async () => {
  const log: unknown[] = [];
  const talk: Coroutine<number, void, void> = coroutine(
    async function* (): AsyncGenerator<void, void, number> {
      for (;;) {
        const got = yield;
        log.push(got);
        if (got === 1) spawn(() => talk.send(2));
        await sleep(0);
      }
    },
  )();
  await talk.send(1);
  await idle();
  assertEquals(log, [1, 2]);
  await talk.close();
});

test("send() from what the body left behind is served while the body waits at a yield", async () => {
  const log: unknown[] = [];
  const later = gate();
  const talk: Coroutine<number, void, void> = coroutine(
    async function* (): AsyncGenerator<void, void, number> {
      const sent = later.promise.then(() => talk.send(2));
      log.push(yield);
      log.push(yield);
      sent.catch(() => {});
      yield;
    },
  )();
  await spawn(() => talk.send(1));
  later.open();
  await idle();
  assertEquals(log, [1, 2]);
  await talk.close();
});

// -- Kills --

test("send() in a killed task rejects before any effect", async () => {
  const log: unknown[] = [];
  const talk = gated(log, () => Promise.resolve());
  await talk.next();
  const task = spawn(async () => {
    void currentTask()!.kill();
    assertInstanceOf(await rejection(talk.send(1)), KilledError);
    assertInstanceOf(await rejection(talk.next(1)), KilledError);
    assertInstanceOf(await rejection(talk.throw(1)), KilledError);
  });
  await task.join();
  assertEquals([task.state, log], ["succeeded", []]);
  assertEquals(await talk.send(2), 2);
  await talk.close();
});

test("send() that waits for its turn did not happen if its task is killed", async () => {
  const log: unknown[] = [];
  const open = gate();
  const talk = gated(log, () => open.promise);
  const first = spawn(() => talk.send(1));
  const second = spawn(() => talk.send(2));
  const third = spawn(() => talk.send(3));
  await idle();
  await second.kill();
  assertEquals(second.state, "killed");
  open.open();
  assertEquals([await first, await third], [1, 3]);
  assertEquals(log, [1, 3]);
  await talk.close();
});

test("send() that waits for its turn leaves the body alone if its task is killed", async () => {
  const ch = new Channel<void>();
  const talk = gated([], () => ch.receive());
  const first = spawn(() => talk.send(1));
  const second = spawn(() => talk.send(2));
  await idle();
  await second.kill();
  await ch.send();
  assertEquals(await first, 1);
  await talk.close();
});

test("send() under way rejects at once if its task is killed, and the body goes on from a foreign await", async () => {
  const log: unknown[] = [];
  const open = gate();
  const talk = gated(log, () => open.promise);
  const first = spawn(() => talk.send(1));
  const second = spawn(() => talk.send(2));
  await idle();
  await first.kill();
  assertEquals([first.state, second.ready, log], ["killed", false, [1]]);
  open.open();
  assertEquals(await second, 2);
  assertEquals(log, [1, 2]);
  await talk.close();
});

test("send() whose task is killed ends the library wait of the body, whoever waits behind", async () => {
  const log: unknown[] = [];
  const talk = gated(log, () => sleep(Infinity));
  const first = spawn(() => talk.send(1));
  const second = spawn(() => talk.send(2));
  await idle();
  await first.kill();
  const error = await assertRejects(() => second.get(), CoroutineEndedError);
  assertEquals([error.value, log], [undefined, [1, "finally"]]);
});

test("send() runs the body in the task that sends", async () => {
  const who = coroutine(async function* (): AsyncGenerator<string | undefined, void, void> {
    for (;;) {
      await sleep(0);
      yield currentTask()?.name;
    }
  })();
  assertEquals(await spawn({ name: "a" }, () => who.send()), "a");
  assertEquals(await spawn({ name: "b" }, () => who.send()), "b");
  assertEquals(await who.send(), undefined);
  await who.close();
});

test("send() whose killed body fails in its clean-up reports that, since nobody can catch it", async () => {
  const seen: unknown[] = [];
  using _hook = onUnhandled((error) => seen.push((error as Error).message));
  const talk = coroutine(async function* (): AsyncGenerator<void, void, void> {
    yield;
    try {
      await sleep(Infinity);
    } finally {
      await Promise.reject(new Error("clean-up"));
    }
  })();
  const task = spawn(() => talk.send());
  await idle();
  await task.kill();
  await idle();
  assertEquals(seen, ["clean-up"]);
});

// -- The generator --

everywhere(
  "for await iterates over a coroutine, and leaving the loop runs its finally",
  async () => {
    const log: unknown[] = [];
    const counter = coroutine(async function* (from: number) {
      try {
        for (let n = from;; n++) yield n;
      } finally {
        await sleep(0);
        log.push("finally");
      }
    });
    for await (const n of counter(5)) {
      log.push(n);
      if (n === 6) break;
    }
    assertEquals(log, [5, 6, "finally"]);
  },
);

test("return() runs the finally of the body in a killed task too", async () => {
  const log: unknown[] = [];
  const counter = coroutine(async function* () {
    try {
      for (let n = 0;; n++) yield n;
    } finally {
      await shield(() => sleep(0));
      log.push("finally");
    }
  });
  const task = spawn(async () => {
    for await (const n of counter()) {
      log.push(n);
      await sleep(Infinity);
    }
  });
  await idle();
  await task.kill();
  assertEquals([task.state, log], ["killed", [0, "finally"]]);
});

everywhere("throw() throws at the yield and gives what the body yields next", async () => {
  const talk = coroutine(async function* (): AsyncGenerator<unknown, void, void> {
    try {
      yield 1;
    } catch (error) {
      yield error;
    }
  })();
  await talk.next();
  assertEquals(await talk.throw("oops"), { done: false, value: "oops" });
  await talk.close();
});

everywhere("throw() into a body that has not started ends it without running it", async () => {
  const talk = doubler();
  assertEquals(await rejection(talk.throw("oops")), "oops");
  assertEquals((await assertRejects(() => talk.send(1), CoroutineEndedError)).value, undefined);
});

everywhere("return() gives its value, and later sends get it", async () => {
  const talk = doubler();
  await talk.send(1);
  assertEquals(await talk.return("enough"), { done: true, value: "enough" });
  assertEquals((await assertRejects(() => talk.send(1), CoroutineEndedError)).value, "enough");
});

// -- close --

everywhere("close() runs finally blocks, once, however often it is called", async () => {
  const log: unknown[] = [];
  const talk = gated(log, () => sleep(0));
  await talk.send(1);
  assertEquals(await Promise.all([talk.close(), talk.close()]), [undefined, undefined]);
  await talk.close();
  assertEquals(log, [1, "finally"]);
  assertEquals((await assertRejects(() => talk.send(1), CoroutineEndedError)).value, undefined);
});

everywhere("close() of a body that has not started never runs it", async () => {
  const log: unknown[] = [];
  const talk = gated(log, () => sleep(0));
  await talk.close();
  await assertRejects(() => talk.send(1), CoroutineEndedError);
  assertEquals(log, []);
});

everywhere("close() waits behind the sends under way", async () => {
  const step = steps();
  const talk = gated([], () => sleep(0));
  const sent = talk.send(1).then(() => step(1));
  const closed = talk.close().then(() => step(2));
  await Promise.all([sent, closed]);
  step.end(3);
});

everywhere(
  "close() of a body that yields in finally rejects with a TypeError, and outer finally blocks run",
  async () => {
    const log: unknown[] = [];
    const talk = coroutine(async function* (): AsyncGenerator<number, void, void> {
      try {
        try {
          yield 1;
          yield 2;
        } finally {
          yield 3;
        }
      } finally {
        log.push("outer");
      }
    })();
    await talk.send();
    await assertRejects(() => talk.close(), TypeError, "must not yield in finally");
    assertEquals(log, ["outer"]);
    await talk.close();
    await assertRejects(() => talk.send(), CoroutineEndedError);
  },
);

test("close() gives up a body that yields for ever", async () => {
  const talk = coroutine(async function* (): AsyncGenerator<number, void, void> {
    for (;;) {
      try {
        yield 1;
      } finally {
        // deno-lint-ignore no-unsafe-finally -- the worst body there is
        continue;
      }
    }
  })();
  await talk.send();
  await assertRejects(() => talk.close(), TypeError);
  await assertRejects(() => talk.send(), CoroutineEndedError);
});

everywhere("close() rejects with what the body throws in finally", async () => {
  const talk = coroutine(async function* (): AsyncGenerator<number, void, void> {
    try {
      yield 1;
    } finally {
      await Promise.reject(new Error("clean-up"));
    }
  })();
  await talk.next();
  await assertRejects(() => talk.close(), Error, "clean-up");
  await talk.close();
});

test("close() in a killed task waits for the clean-up of the body", async () => {
  const log: unknown[] = [];
  const task = spawn(async () => {
    await using talk = coroutine(async function* (): AsyncGenerator<void, void, void> {
      try {
        yield;
        yield;
      } finally {
        await shield(() => sleep(0));
        log.push("finally");
      }
    })();
    await talk.send();
    await sleep(Infinity);
  });
  await idle();
  await task.kill();
  assertEquals([task.state, log], ["killed", ["finally"]]);
});

test("close() passes a kill that comes meanwhile on to the body, but waits for it", async () => {
  const log: unknown[] = [];
  const talk = coroutine(async function* (): AsyncGenerator<void, void, void> {
    try {
      yield;
    } finally {
      log.push(await rejection(sleep(Infinity)) instanceof KilledError);
      await shield(() => sleep(0));
      log.push("finally");
    }
  })();
  await talk.next();
  const task = spawn(async () => {
    await talk.close();
    log.push("closed");
  });
  await idle();
  await task.kill();
  assertEquals(log, [true, "finally", "closed"]);
});

// -- Arguments --

test("coroutine() of no function is a TypeError, of no async generator function one when it is called", () => {
  assertThrows(() => coroutine(1 as never), TypeError, "fn must be a function, got number");
  assertThrows(() => coroutine(null as never), TypeError, "got null");
  assertThrows(coroutine((() => 1) as never), TypeError, "must be an async generator function");
  assertThrows(coroutine((async () => {}) as never), TypeError, "Promise");
  assertThrows(coroutine(function* () {} as never), TypeError, "Generator");
});

test("coroutine() passes arguments, and each call makes a coroutine of its own", async () => {
  const adder = coroutine(async function* (by: number): AsyncGenerator<number, void, number> {
    let sum = 0;
    for (;;) sum = by + (yield sum);
  });
  const [one, ten] = [adder(1), adder(10)];
  assertEquals([await one.send(1), await ten.send(1)], [2, 11]);
  assertEquals(Object.prototype.toString.call(one), "[object Coroutine]");
  await one.close();
  await ten.close();
});

test("coroutine() infers what goes in, comes out and is returned", async () => {
  const make = coroutine(async function* (prefix: string) {
    let length = 0;
    for (;;) {
      const got: string = yield length;
      if (got === "") return prefix;
      length = got.length;
    }
  });
  const talk: Coroutine<string, number, string> = make("p");
  const length: number = await talk.send("abc");
  assertEquals(length, 3);
  // @ts-expect-error -- it takes strings
  const wrong = () => talk.send(1);
  // @ts-expect-error -- and its factory takes one
  const none = () => make();
  assert(wrong !== undefined && none !== undefined);
  await talk.close();
});

test("coroutine() reads a channel between two sends", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  const sums = coroutine(async function* (): AsyncGenerator<number, void, number> {
    let sum = 0;
    for (;;) sum = (yield sum) + await ch.receive();
  })();
  const answer = sums.send(1);
  await ch.send(10);
  assertEquals(await answer, 11);
  await sums.close();
});

for (const [verb, limited] of [["send", true], ["close", false], ["close", true]] as const) {
  test(`Coroutine.${verb}() ended by a deadlock leaves the body parked, ${limited ? "with" : "without"} a context`, async () => {
    await spawn(() => {}); // from now on there are contexts
    const ch = new Channel<string>();
    const seen: unknown[] = [];
    const co = coroutine(async function* (): AsyncGenerator<void, void, void> {
      try {
        yield;
        if (verb === "close") return;
      } finally {
        try {
          seen.push(await ch.receive());
        } catch (error) {
          seen.push(error);
        }
      }
    })();
    await co.next();
    const call = (): Promise<void> => co[verb]();
    const called = outcome(limited ? withTimeout(Infinity, call) : call());
    await idle();
    const error = raise();
    await idle();
    assertEquals([called.state, called.error, seen], ["rejected", error, []]);
    await ch.send("later");
    await idle();
    assertEquals(seen, ["later"]);
  });
}

test("coroutine in a loop is closed when a kill or a limit ends the loop between two steps", async () => {
  for (const way of ["kill", "limit"] as const) {
    const log: string[] = [];
    const hold = gate();
    const count = coroutine(async function* () {
      try {
        for (let n = 0;; n++) yield n;
      } finally {
        await shield(() => sleep(0));
        log.push("finally");
      }
    });
    const loop = async () => {
      for await (const _ of count()) await hold.promise; // foreign: the kill waits for it
    };
    const task = spawn(() => way === "kill" ? loop() : withTimeout(1, loop));
    if (way === "kill") {
      await idle();
      void task.kill();
    } else await sleep(5);
    hold.open();
    await task.join();
    assertEquals([task.state, log], [way === "kill" ? "killed" : "failed", ["finally"]]);
  }
});

test("coroutine in a loop that a kill ends passes on what its clean-up throws", async () => {
  const hold = gate();
  const count = coroutine(async function* () {
    try {
      for (let n = 0;; n++) yield n;
    } finally {
      // deno-lint-ignore no-unsafe-finally -- what is tested
      throw new Error("clean-up");
    }
  });
  const task = spawn(async () => {
    for await (const _ of count()) await hold.promise;
  });
  await idle();
  void task.kill();
  hold.open();
  await task.join();
  assertEquals([task.state, (task.error as Error).message], ["failed", "clean-up"]);
});
