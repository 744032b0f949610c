// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { test } from "node:test";
import { clock } from "../../src/_kernel/clock.ts";
import { hooks } from "../../src/_kernel/hooks.ts";
import { Channel } from "../../src/channel.ts";
import { DeadlockError, KilledError, TimeoutError } from "../../src/errors.ts";
import { Event } from "../../src/event.ts";
import { greenlet } from "../../src/greenlet.ts";
import { joinAll } from "../../src/join.ts";
import { Mutex } from "../../src/mutex.ts";
import { scope } from "../../src/scope.ts";
import { select } from "../../src/select.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn, spawnLater } from "../../src/spawn.ts";
import { currentTask, type Task } from "../../src/task.ts";
import {
  explore,
  ExploreError,
  type ExploreOptions,
  type ExploreRun,
} from "../../src/testing/explore.ts";
import { withTimeout } from "../../src/timeout.ts";
import { until } from "../../src/until.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";

noLeaks();

/** What the exploration throws. */
function failure(
  program: (run: ExploreRun) => unknown,
  options?: ExploreOptions,
): Promise<ExploreError> {
  return assertRejects(() => explore(program, options), ExploreError) as Promise<ExploreError>;
}

/** Two tasks that add 1 to a number, with a wait between reading and writing. */
async function deposits(run: ExploreRun): Promise<void> {
  let balance = 0;
  const deposit = async (): Promise<void> => {
    const before = balance;
    await run.turn();
    balance = before + 1;
  };
  await joinAll([spawn({ name: "a" }, deposit), spawn({ name: "b" }, deposit)]);
  assertEquals(balance, 2);
}

test("explore() tries every order of three tasks with two turns each", async () => {
  const seen = new Set<string>();
  const { schedules, exhaustive, deepest, steps } = await explore(async (run) => {
    let order = "";
    const task = async (name: string): Promise<void> => {
      for (let i = 0; i < 2; i++) {
        await run.turn();
        order += name;
      }
    };
    // All have begun before the first turn is over: else an order of begins counts too.
    const started = new Event();
    const tasks = ["a", "b", "c"].map((name) =>
      spawn(async () => {
        await started.wait();
        await task(name);
      })
    );
    await sleep(1);
    started.set();
    await joinAll(tasks);
    seen.add(order);
  });
  assert(exhaustive);
  assertEquals(seen.size, 90); // 6! / (2! 2! 2!)
  assertGreater(schedules, 90); // the wakes of the event are steps too
  assertEquals(steps, schedules * deepest);
});

test("explore() finds a lost update and names the steps", async () => {
  const error = await failure(deposits);
  assertMatch(
    error.message,
    /^Cannot pass schedule \d+: AssertionError: .*\nBAOZI_REPLAY=[\w.-]+\nseed 1, 0 switches, 5 steps:\n1\. begin Task "a" \(#1\)\n2\. begin Task "b" \(#2\)\n3\. wake Task "a" \(#1\): take turn\n/,
  );
  assertEquals(error.name, "ExploreError");
  assertEquals((error.cause as Error).name, "AssertionError");
  assertStringIncludes(error.message, `BAOZI_REPLAY=${error.replay}`);
  assertEquals(error.steps.length, 5);
});

test("explore() passes the same program once it holds a lock", async () => {
  const { exhaustive, schedules } = await explore(async (run) => {
    let balance = 0;
    const lock = new Mutex();
    const deposit = () =>
      lock.withLock(async () => {
        const before = balance;
        await run.turn();
        balance = before + 1;
      });
    await joinAll([spawn(deposit), spawn(deposit)], { raiseError: true });
    assertEquals(balance, 2);
  });
  assert(exhaustive);
  assertGreater(schedules, 1);
});

/** Fails only if "b" goes on twice before "a" does, out of many turns. */
async function rare(run: ExploreRun): Promise<void> {
  let order = "";
  const task = async (name: string): Promise<void> => {
    for (let i = 0; i < 4; i++) {
      await run.turn();
      order += name;
    }
  };
  await joinAll([spawn({ name: "a" }, task, "a"), spawn({ name: "b" }, task, "b")]);
  assert(!order.startsWith("bb"), order);
}

test("explore() shrinks to the fewest switches", async () => {
  const error = await failure(rare);
  assertStringIncludes(error.message, "seed 1, 2 switches, ");
  // The search first meets an order with many switches: it changes the last decisions first.
  const many = await failure(async (run) => {
    let order = "";
    const task = async (name: string): Promise<void> => {
      for (let i = 0; i < 4; i++) {
        await run.turn();
        order += name;
      }
    };
    await joinAll([spawn(task, "a"), spawn(task, "b")]);
    assert(!order.startsWith("b") && order.split("bb").length < 3, order);
  });
  assertStringIncludes(many.message, "seed 1, 1 switch, ");
});

test("explore() replays exactly the schedule of a code", async () => {
  const first = await failure(rare);
  const again = await failure(rare, { replay: first.replay });
  assertEquals(again.steps, first.steps);
  assertEquals(again.replay, first.replay);
  assertEquals(again.schedules, 1);
  const other = await explore((run) => run.turn(), { replay: first.replay });
  assertEquals([other.schedules, other.exhaustive], [1, false]);
});

declare const process: { env: Record<string, string | undefined> };

test("explore() takes the code of BAOZI_REPLAY for the program it came from only", async () => {
  const first = await failure(rare);
  process.env.BAOZI_REPLAY = first.replay;
  try {
    assertEquals((await failure(rare)).schedules, 1);
    const { exhaustive, schedules } = await explore(async (run) => {
      await joinAll([spawn(() => run.turn()), spawn(() => run.turn())]);
    });
    assert(exhaustive && schedules > 1);
  } finally {
    delete process.env.BAOZI_REPLAY;
  }
});

test("explore() meets a failure in a tree too large for a depth-first search", async () => {
  const error = await failure(async (run) => {
    let first = "";
    const tasks = ["a", "b", "c", "d", "e"].map((name) =>
      spawn(async () => {
        for (let i = 0; i < 6; i++) await run.turn();
        first ||= name;
      })
    );
    await joinAll(tasks);
    assert(first === "a", first);
  }, { maxSchedules: 400 });
  assertLess(error.schedules, 400);
});

test("explore() says when it was not exhaustive, and stops at maxSchedules", async () => {
  const tried = await explore(async (run) => {
    const task = async (): Promise<void> => {
      for (let i = 0; i < 6; i++) await run.turn();
    };
    await joinAll([spawn(task), spawn(task), spawn(task)]);
  }, { maxSchedules: 50, seed: 7 });
  assertEquals([tried.schedules, tried.exhaustive, tried.seed], [50, false, 7]);
});

test("explore() fails with a DeadlockError that lists who waits", async () => {
  const error = await failure(async () => {
    const left = new Mutex(), right = new Mutex();
    const hold = async (one: Mutex, other: Mutex): Promise<void> => {
      await one.withLock(async () => {
        await sleep(1);
        await other.withLock(() => {});
      });
    };
    await joinAll([
      spawn({ name: "lr" }, hold, left, right),
      spawn({ name: "rl" }, hold, right, left),
    ]);
  });
  assertInstanceOf(error.cause, DeadlockError);
  assertEquals(error.cause.waits.map(({ cycle }) => cycle), [true, true, false]);
  assertEquals(
    error.cause.message,
    'Cannot go on: somebody must be able to, but all wait: the program waits: join tasks; Task "lr" (#1) waits: lock on Mutex; Task "rl" (#2) waits: lock on Mutex',
  );
});

test("explore() fails with a DeadlockError when the program awaits a foreign promise for ever", async () => {
  const error = await failure(() => new Promise(() => {}));
  assertInstanceOf(error.cause, DeadlockError);
});

test("explore() fails when a task or a wait is left behind, and ends them", async () => {
  let ended = 0;
  let lost: Task | undefined;
  const error = await failure(() => {
    lost = spawn({ name: "lost" }, async () => {
      try {
        await new Channel({ name: "never" }).receive();
      } finally {
        ended++;
      }
    });
  });
  assertEquals(
    (error.cause as Error).message,
    'Cannot end the run: nothing must be left behind, got Task "lost" (#1) waits: receive on Channel "never"',
  );
  assertGreater(ended, 0);
  assertEquals(lost?.state, "killed");
  const sleeping = await failure(() => void spawn(() => sleep(10)));
  assertStringIncludes(sleeping.message, "Task (#1) waits: sleep");
  const forgotten = await failure(() => void new Channel().send(1));
  assertStringIncludes(forgotten.message, "got the program waits: send on Channel");
});

test("explore() names a greenlet that stays suspended", async () => {
  const error = await failure(async () => {
    const main = greenlet(() => 0).parent!;
    const stays = greenlet(async () => {
      await main.switch();
    }, { name: "stays" });
    await stays.switch();
  });
  assertStringIncludes(error.message, 'got the program waits: switch on Greenlet "stays"');
});

test("explore() begins a greenlet as a step of its own", async () => {
  const { exhaustive } = await explore(async () => {
    const half = greenlet((value: number) => value / 2);
    assertEquals(await half.switch(4), 2);
  });
  assert(exhaustive);
});

test("explore() fails a run of more than maxSteps, of waits or of choices", async () => {
  const error = await failure(async (run) => {
    for (;;) await run.turn();
  }, { maxSteps: 20 });
  assertStringIncludes(error.message, "must end within 20 steps, it goes on");
  const choices = await failure((run) => {
    for (;;) run.choose(2);
  }, { maxSteps: 20 });
  assertStringIncludes(choices.message, "must end within 20 steps, it goes on");
  assertEquals(choices.steps.length, 20);
});

test("explore() fails when an error is reported that nobody caught", async () => {
  const error = await failure(async () => {
    spawn(() => {
      throw new Error("lost");
    });
    await sleep(1);
  });
  assertEquals((error.cause as Error).message, "lost");
});

test("explore() lets a failure be taken by whoever can get it before time passes", async () => {
  await explore(async (run) => {
    const fails = spawn(() => {
      throw new Error("caught");
    });
    for (let i = 0; i < 3; i++) await run.turn();
    await assertRejects(() => fails.get(), Error, "caught");
  });
});

test("explore() lets time pass only when nothing else can go on", async () => {
  const { schedules } = await explore(async () => {
    const began = clock.on.now();
    let slept = false;
    const hour = spawn(async () => {
      await sleep(3_600_000);
      slept = true;
    });
    for (let i = 0; i < 5; i++) await sleep(0);
    assert(!slept);
    await hour;
    assertEquals(clock.on.now() - began, 3_600_000);
  });
  assertGreater(schedules, 0);
});

test("explore() moves the clock for one who gives up its turn until time has passed", async () => {
  await explore(async () => {
    let late = false;
    const timer = spawn(async () => {
      await sleep(5);
      late = true;
    });
    while (!late) await sleep(0);
    await timer;
  });
});

test("explore() lets time pass at any step when asked", async () => {
  const program = async (run: ExploreRun): Promise<void> => {
    const ch = new Channel<number>();
    const sender = spawn(async () => {
      await run.turn();
      await ch.send(1);
    });
    await ch.receive({ timeout: 10 });
    await sender;
  };
  assert((await explore(program)).exhaustive);
  const error = await failure(program, { timers: "any" });
  assertInstanceOf(error.cause, TimeoutError);
  assertStringIncludes(error.message, "let time pass to 10 ms");
});

test("explore() starts tasks in the order of their spawns, and keeps the order of sleep(0)", async () => {
  const { exhaustive } = await explore(async () => {
    const begun: number[] = [], turns: number[] = [];
    await joinAll([1, 2, 3].map((n) =>
      spawn(async () => {
        begun.push(n);
        await sleep(1);
        await sleep(0);
        turns.push(n);
      })
    ));
    assertEquals(begun, [1, 2, 3]);
    assertEquals(turns.length, 3);
  });
  assert(exhaustive);
});

test("explore() kills any one task at any step when asked", async () => {
  const killedAt = new Set<string>();
  const program = async (run: ExploreRun): Promise<void> => {
    let at = "before";
    const task = spawn({ name: "t" }, async () => {
      try {
        at = "began";
        await sleep(1);
        at = "slept";
        await run.turn();
        await sleep(1);
      } catch (error) {
        killedAt.add(at);
        throw error;
      }
    });
    await task.join();
    if (task.state === "killed") {
      assertInstanceOf(task.error, KilledError);
      if (at === "before") killedAt.add(at);
    }
  };
  const without = await explore(program);
  const killing = await explore(program, { kills: true });
  assertEquals([...killedAt].sort(), ["before", "began", "slept"]);
  assertEquals(without.schedules, 1);
  assertGreater(killing.schedules, 4);
});

test("explore() kills as many tasks in one run as asked", async () => {
  let most = 0;
  await explore(async () => {
    const tasks = [spawn(() => sleep(1)), spawn(() => sleep(1)), spawn(() => sleep(1))];
    await joinAll(tasks);
    most = Math.max(most, tasks.filter(({ state }) => state === "killed").length);
  }, { kills: 2 });
  assertEquals(most, 2);
});

test("explore() lets each fault happen once at any step, or never", async () => {
  const seen = new Set<string>();
  let close = (): void => {};
  await explore(async (run) => {
    const ch = new Channel<number>({ capacity: 1 });
    close = () => void ch.close();
    run.fault("abort", () => controller.abort(new Error("aborted")));
    const controller = new AbortController();
    const sender = spawn(() => ch.send(1));
    const outcome = await ch.receive({ signal: controller.signal }).catch((error) => error.name);
    seen.add(String(outcome));
    await sender.join();
  }, { faults: [["close", () => close()]] });
  assertEquals([...seen].sort(), ["1", "ChannelClosedError", "Error"]);
});

test("explore() takes every ready case of a select, and every choice of the program", async () => {
  const seen = new Set<string>();
  const { schedules, exhaustive } = await explore(async (run) => {
    const [a, b, c] = [1, 2, 3].map(() => new Channel<number>({ capacity: 1 }));
    for (const ch of [a!, b!, c!]) ch.trySend(0);
    seen.add((await select({ a: a!, b: b!, c: c! })).key + run.choose(3));
  });
  assert(exhaustive);
  assertEquals(seen.size, 9);
  assertEquals(schedules, 12); // the third ready case is looked at after either of the first two
});

test("Math.random() gives the same numbers in every run of explore()", async () => {
  const { random } = Math;
  const seen = new Set<string>();
  await explore(async (run) => {
    await joinAll([spawn(() => run.turn()), spawn(() => run.turn())]);
    seen.add(`${Math.random()} ${Math.random()}`);
  });
  assertEquals(seen.size, 1);
  assertEquals(Math.random, random);
});

test("explore() rejects a program that does not do the same in the same schedule", async () => {
  let runs = 0;
  await assertRejects(
    () =>
      explore(async (run) => {
        const turns = runs++ % 2 === 0 ? 2 : 4;
        const task = async (): Promise<void> => {
          for (let i = 0; i < turns; i++) await run.turn();
        };
        await joinAll([spawn(task), ...(turns === 2 ? [spawn(task)] : [spawn(task), spawn(task)])]);
      }),
    Error,
    "must do the same whenever the schedule is the same",
  );
});

test("explore() waits for the host, and for the one who settles a foreign promise", async () => {
  await explore(async () => {
    const host = new Promise<number>((resolve) => setTimeout(() => resolve(1), 5));
    assertEquals(await until(host), 1);
  });
  await explore(async () => {
    let open!: (value: number) => void;
    const gate = new Promise<number>((resolve) => {
      open = resolve;
    });
    const opener = spawn(async () => {
      await sleep(5);
      open(2);
    });
    assertEquals(await until(gate), 2);
    await opener;
  });
});

test("explore() leaves tasks from before alone, and their timers on the real clock", async () => {
  const ch = new Channel<number>();
  const seen: number[] = [];
  const before = spawn(async () => {
    for await (const value of ch) seen.push(value);
  });
  const timed = spawn(async () => {
    await idle();
    const at = performance.now();
    await sleep(20);
    return performance.now() - at;
  });
  await idle();
  await explore(async (run) => {
    await joinAll([spawn(() => run.turn()), spawn(() => run.turn())]);
    await sleep(1_000_000);
  });
  await ch.send(7);
  ch.close();
  await before;
  assertEquals(seen, [7]);
  assertGreater(await timed, 15);
});

test("explore() takes the feed of Channel.from() and links for parts of the program", async () => {
  const { exhaustive, schedules } = await explore(async () => {
    const ch = Channel.from([1, 2]);
    const linked: string[] = [];
    const task = spawn({ name: "t" }, () => ch.receive());
    task.link(({ name }) => linked.push(name));
    assertEquals(await ch.receive() + await task, 3);
    await sleep(0);
    assertEquals(linked, ["t"]);
  });
  assert(exhaustive);
  assertGreater(schedules, 1);
});

test("explore() lets the caller's own code go on beside it, on the real clock", async () => {
  const ch = new Channel<number>();
  const explored = explore(async (run) => {
    await joinAll([spawn(() => run.turn()), spawn(() => run.turn())]);
    await sleep(60_000);
  });
  const received = ch.receive();
  await ch.send(1);
  assertEquals(await received, 1);
  await sleep(1);
  assert((await explored).exhaustive);
});

test("explore() called by a task runs its program outside of it", async () => {
  const task = spawn(() =>
    explore(async () => {
      assertEquals(currentTask(), undefined);
      await sleep(10);
      await withTimeout(1000, () => sleep(10));
    })
  );
  assert((await task).exhaustive);
});

test("explore() passes scopes, limits, and late spawns with nothing left", async () => {
  const { exhaustive } = await explore(async (run) => {
    const ch = new Channel<number>();
    await scope(async (s) => {
      s.spawn(() => ch.send(1));
      s.spawn(async () => {
        await run.turn();
        await ch.receive();
      });
      await spawnLater(5, () => 1);
      await assertRejects(() => withTimeout(3, () => sleep(10)), TimeoutError);
    });
  });
  assert(exhaustive);
});

/** Tasks, channels, kills, limits and a select: one of each thing that could differ. */
async function mixed(run: ExploreRun): Promise<void> {
  const ch = new Channel<number>({ capacity: 1, name: "ch" }), other = new Channel<number>();
  const tasks = [
    spawn({ name: "sender" }, async () => {
      for (let i = 0; i < 2; i++) await ch.send(i);
      await run.turn();
      ch.close();
    }),
    spawn(async () => {
      await sleep(0);
      await select({ ch, out: other.sending(7) }, { timeout: 3 }).catch(() => {});
    }),
    spawn({ name: "reader" }, async () => {
      for await (const value of ch) if (value === Math.floor(Math.random() * 2)) break;
      await scope((s) => {
        s.spawn(() => withTimeout(2, () => other.receive()).catch(() => {}));
      });
    }),
  ];
  // A kill may leave one behind who waits for the one who was killed.
  await run.idle();
  ch.cancel();
  other.cancel();
  await joinAll(tasks);
}

test("explore() does the same on every runtime for the same seed", async () => {
  const traces: number[] = [];
  for (const seed of [1, 2, 3]) {
    const { trace } = await explore(mixed, {
      seed,
      kills: true,
      timers: "any",
      maxSchedules: 200,
    });
    traces.push(trace);
  }
  assertEquals(traces, [4063397957, 475541832, 1399528351]);
});

test("run.idle() waits until nothing else can go on, time included", async () => {
  await explore(async (run) => {
    const ch = new Channel<number>();
    const stuck = spawn(() => ch.receive());
    const slow = spawn(() => sleep(100));
    await run.idle();
    assertEquals([stuck.state, slow.state], ["running", "succeeded"]);
    await ch.send(1);
    await stuck;
  });
});

test("run.idle() holds what was seen: no kill and no fault comes between", async () => {
  await explore(async (run) => {
    const ch = new Channel<number>();
    const receive = () => ch.receive().catch(() => {});
    const tasks = [spawn(receive), spawn(receive)];
    run.fault("close", () => ch.close());
    await run.idle();
    const waiting = tasks.filter(({ ready }) => !ready).length;
    for (let i = 0; i < waiting; i++) assert(ch.trySend(i));
    await joinAll(tasks);
  }, { kills: 2 });
});

test("explore() leaves the library as it was, also after a failure", async () => {
  const { on } = clock;
  await failure(() => {
    throw new Error("at once");
  });
  assertEquals(clock.on, on);
  assertEquals(hooks.on, null);
});

test("explore() inside or beside another exploration is a TypeError", async () => {
  await explore(async (run) => {
    await run.turn();
    await assertRejects(() => explore(() => {}), TypeError, "one is");
  });
});

test("explore() rejects what is no program and options out of range", async () => {
  await assertRejects(() => explore(1 as never), TypeError, "program must be a function");
  await assertRejects(() => explore(() => {}, 1 as never), TypeError, "options must be an object");
  await assertRejects(() => explore(() => {}, { seed: -1 }), RangeError, "seed");
  await assertRejects(() => explore(() => {}, { maxSchedules: 0 }), RangeError, "maxSchedules");
  await assertRejects(() => explore(() => {}, { maxSteps: 1.5 }), RangeError, "maxSteps");
  await assertRejects(() => explore(() => {}, { kills: "1" as never }), TypeError, "kills");
  await assertRejects(() => explore(() => {}, { timers: "no" as never }), TypeError, "timers");
  await assertRejects(() => explore(() => {}, { replay: "?" }), TypeError, "Cannot replay");
  await assertRejects(() => explore((run) => run.choose(0)), ExploreError, "count must be");
});
