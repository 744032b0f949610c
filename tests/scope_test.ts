// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Who belongs to a scope, what ends it, and which error it rejects with.
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
import { type Context, currentContext } from "../src/_kernel/current.ts";
import { findDeadlock } from "../src/deadlock.ts";
import { DeadlockError, isKilled, KilledError, TimeoutError } from "../src/errors.ts";
import { Event } from "../src/event.ts";
import { type Scope, scope, type ScopeOptions } from "../src/scope.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask, type Task } from "../src/task.ts";
import { TaskLocal } from "../src/task_local.ts";
import { virtualTime } from "../src/testing/mod.ts";
import { withTimeout } from "../src/timeout.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { until } from "../src/until.ts";
import { raise } from "./deadlocked.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";
import { assertRefuses, inKilledTask } from "./waits.ts";

noLeaks();

const MANY = 100_000;
/** Enough for recursion to overflow the stack of every runtime. */
const DEEP = 20_000;

const forever = (): Promise<void> => sleep(Infinity);

function fails(error: unknown): () => never {
  return () => {
    throw error;
  };
}

/** A body that cleans up, shielded, until `end` settles, and then throws what that rejects with. */
const cleansUp = (end: Promise<void>) => async (): Promise<void> => {
  try {
    await forever();
  } finally {
    await shield(() => end);
  }
};

/** What the hooks were told, and by whom. */
function listen(): { told: unknown[]; [Symbol.dispose](): void } {
  const told: unknown[] = [];
  const hook = onUnhandled((error, task) => told.push([error, task?.name]));
  return { told, [Symbol.dispose]: () => hook[Symbol.dispose]() };
}

// -- The body and its children --

test("scope() resolves to what the body gives, sync or async, with and without children", async () => {
  assertEquals(await scope(() => 1), 1);
  assertEquals(await scope(() => Promise.resolve("two")), "two");
  assertEquals(await scope(() => undefined), undefined);
  assertEquals(await scope((s) => s.spawn(() => 4)), 4, "a task is awaited, as by any promise");
  assertEquals(await spawn(() => scope(() => 5)), 5);
});

test("scope() calls the body at once", () => {
  let called = false;
  void scope(() => {
    called = true;
  });
  assert(called);
});

test("scope() settles after the last child, whatever the body has given", async () => {
  const step = steps();
  const first = gate(), second = gate();
  const settled = scope((s) => {
    s.spawn(() => first.promise.then(() => step(2)));
    s.spawn(() => second.promise.then(() => step(3)));
    step(1);
    return "value";
  }).then((value) => {
    step.end(4);
    return value;
  });
  await idle();
  first.open();
  await idle();
  second.open();
  assertEquals(await settled, "value");
});

test("scope() waits for children of children, also for those that come while it closes", async () => {
  const step = steps();
  const first = gate(), second = gate();
  const settled = scope((s) => {
    s.spawn(async () => {
      await first.promise;
      step(1);
      s.spawn(async () => {
        await second.promise;
        step(2);
        s.spawn(() => step(3));
      });
    });
  }).then(() => step.end(4));
  await idle();
  first.open();
  await idle();
  second.open();
  await settled;
});

test("Scope.spawn() passes arguments and options on, and gives the task", async () => {
  await scope(async (s) => {
    const sum = s.spawn((a: number, b: number) => a + b, 1, 2);
    const named = s.spawn({ name: "ann" }, (n: number) => [n, currentTask()?.name], 3);
    const generated = s.spawn(async function* () {
      yield;
      await sleep(0);
      return "end";
    });
    assertEquals(s.size, 3);
    assertEquals([await sum, await named, await generated], [3, [3, "ann"], "end"]);
    assertEquals([named.name, sum.state, s.size], ["ann", "succeeded", 0]);
  });
});

test("Scope.spawn() starts children in order and never synchronously", async () => {
  const step = steps();
  await scope((s) => {
    s.spawn(() => step(2));
    s.spawn(() => step(3));
    step(1);
  });
  step.end(4);
});

test("Scope.spawn() hands the task locals of the spawner down", async () => {
  const user = new TaskLocal("nobody");
  const seen = await spawn(() => {
    user.set("ann");
    return scope(async (s) => {
      const inner = s.spawn(() => {
        const inherited = user.get();
        user.set("bob");
        return inherited;
      });
      return [await inner, user.get()];
    });
  });
  assertEquals(seen, ["ann", "ann"]);
});

test("scope() outside of tasks sees and sets the program's task locals", async () => {
  const user = new TaskLocal("nobody");
  user.set("ann");
  const seen = await scope(async (s) => {
    const inside = user.get();
    const child = await s.spawn(() => user.get());
    user.set("bob");
    return [inside, child];
  });
  assertEquals([...seen, user.get()], ["ann", "ann", "bob"]);
});

test("scope() makes no child of a plain spawn inside it", async () => {
  const open = gate();
  let plain: Task<string> | undefined, failing: Task | undefined;
  await scope((s) => {
    plain = spawn(() => open.promise.then(() => "independent"));
    failing = spawn(fails(new Error("not ours")));
    void failing.join();
    assertEquals(s.size, 0);
  });
  assertEquals([plain?.state, failing?.state], ["running", "failed"]);
  await rejection(scope(fails(new Error("kills only children"))));
  open.open();
  assertEquals(await plain, "independent");
});

test("Scope knows its name and how many children have not ended", async () => {
  const open = gate();
  await scope(async (s) => {
    assertEquals([s.name, s.size, s.errors], ["work", 0, []]);
    s.spawn(() => open.promise);
    s.spawn(() => 1);
    assertEquals(s.size, 2);
    await idle();
    assertEquals(s.size, 1);
    open.open();
    await idle();
    assertEquals(s.size, 0);
  }, { name: "work" });
  await scope((s) => assertEquals(s.name, undefined));
});

// -- Failure --

test("scope() rejects with the very error of the first child that fails, after all clean-up", async () => {
  const step = steps();
  const error = new Error("first");
  const cleaned = gate(), start = gate();
  let sibling: Task | undefined, wait: unknown;
  const settled = rejection(scope(async (s) => {
    sibling = s.spawn(async () => {
      try {
        await forever();
      } finally {
        step(2);
        await shield(() => cleaned.promise);
        step(4);
      }
    });
    s.spawn(async () => {
      await start.promise;
      step(1);
      throw error;
    });
    wait = await rejection(forever());
    step(3);
  })).then((rejected) => {
    step.end(5);
    return rejected;
  });
  await idle();
  start.open();
  await idle();
  assertInstanceOf(wait, KilledError);
  assertStrictEquals(wait.cause, error);
  assertEquals(sibling?.state, "running");
  cleaned.open();
  assertStrictEquals(await settled, error);
  assertEquals(sibling?.state, "killed");
  assertStrictEquals(sibling?.error, wait);
});

test("scope() never starts a sibling that a failure finds pending", async () => {
  const started: string[] = [];
  let second: Task | undefined;
  const error = new Error("first");
  const seen = await rejection(scope((s) => {
    s.spawn(fails(error));
    second = s.spawn(() => started.push("second"));
  }));
  assertStrictEquals(seen, error);
  assertEquals([started, second?.state], [[], "killed"]);
});

test("scope() kills the children when the body fails, waits for them, and rejects with its error", async () => {
  for (const kind of ["sync", "async"]) {
    const error = new Error(kind);
    const cleaned = gate();
    let child: Task | undefined;
    const seen = outcome(scope((s) => {
      child = s.spawn(cleansUp(cleaned.promise));
      if (kind === "async") return idle().then(fails(error));
      child.link(() => {}); // a body that throws at once finds it pending
      throw error;
    }));
    await idle();
    await idle();
    assertEquals(seen.state, kind === "async" ? "pending" : "rejected");
    cleaned.open();
    await idle();
    assertStrictEquals(seen.error, error);
    assertEquals(child?.state, "killed");
  }
});

test("scope() lets the body's error win over one that a child has after it", async () => {
  using listening = listen();
  const first = new Error("body"), later = new Error("child");
  let s: Scope | undefined;
  const seen = await rejection(scope(async (inner) => {
    s = inner;
    s.spawn({ name: "child" }, async () => {
      await forever().catch(() => {});
      throw later;
    });
    await idle();
    throw first;
  }));
  assertStrictEquals(seen, first);
  assertEquals(s?.errors, [first, later]);
  assertEquals(listening.told, [[later, "child"]]);
});

test("scope() lets a child's error win over one that the body has after it", async () => {
  using listening = listen();
  const first = new Error("child"), later = new Error("body");
  let s: Scope | undefined;
  const seen = await rejection(scope(async (inner) => {
    s = inner;
    s.spawn(fails(first));
    await forever().catch(() => {});
    throw later;
  }));
  assertStrictEquals(seen, first);
  assertEquals(s?.errors, [first, later]);
  assertEquals(listening.told, [[later, undefined]]);
});

test("scope() lets the first of several children that fail in one turn win", async () => {
  using listening = listen();
  const open = gate();
  const errors = [0, 1, 2, 3].map((i) => new Error(`${i}`));
  let s: Scope | undefined;
  const seen = rejection(scope((inner) => {
    s = inner;
    for (const error of errors) {
      s.spawn({ name: error.message }, () => open.promise.then(fails(error)));
    }
  }));
  await idle();
  open.open();
  assertStrictEquals(await seen, errors[0]);
  assertEquals(s?.errors, errors);
  assertEquals(listening.told, errors.slice(1).map((error) => [error, error.message]));
});

test("scope() rejects although the body swallows the kill that a failing child caused", async () => {
  const error = new Error("child");
  const log: unknown[] = [];
  const seen = await rejection(scope(async (s) => {
    s.spawn(fails(error));
    for (let i = 0; i < 3; i++) await forever().catch((kill) => log.push(isKilled(kill)));
    return "value";
  }));
  assertStrictEquals(seen, error);
  assertEquals(log, [true, true, true]);
});

test("scope() rejects with the child's error when the body awaits that child, even if it catches it", async () => {
  const error = new Error("child");
  assertStrictEquals(await rejection(scope((s) => s.spawn(fails(error)).get())), error);
  const caught = scope(async (s) => {
    await s.spawn(fails(error)).join();
    return "value";
  });
  assertStrictEquals(await rejection(caught), error);
});

test("scope() takes whatever is thrown for an error, also undefined and null", async () => {
  for (const thrown of [undefined, null, 0, "text"]) {
    assertStrictEquals(await rejection(scope(fails(thrown))), thrown);
    assertStrictEquals(await rejection(scope((s) => void s.spawn(fails(thrown)))), thrown);
    let s: Scope | undefined;
    await rejection(scope((inner) => {
      s = inner;
      s.spawn(fails(thrown));
    }));
    assertEquals(s?.errors, [thrown]);
  }
});

test("scope() tells the host of no error: the first is thrown, later ones are noted", async () => {
  // A rejection that nobody handles fails a test on every runtime.
  const first = new Error("first");
  let s: Scope | undefined;
  const seen = await rejection(scope((inner) => {
    s = inner;
    for (let i = 0; i < 3; i++) {
      s.spawn(async () => {
        await forever().catch(() => {});
        throw new Error(`later ${i}`);
      });
    }
    return idle().then(fails(first));
  }));
  assertStrictEquals(seen, first);
  await idle();
  assertEquals(s?.errors.map((error) => (error as Error).message), [
    "first",
    "later 0",
    "later 1",
    "later 2",
  ]);
});

test("scope() goes on when a hook throws", async () => {
  const first = new Error("first"), second = new Error("second");
  using listening = listen();
  let calls = 0;
  // The throwing hook's own error would go to the host: it stays quiet after having been called.
  using _hook = onUnhandled(() => void calls++);
  const seen = await rejection(scope((s) => {
    s.spawn(() => forever().catch(fails(second)));
    return idle().then(fails(first));
  }));
  assertStrictEquals(seen, first);
  assertEquals([calls, listening.told.length], [1, 1]);
});

test("scope() does not fail when a child is killed; the others go on", async () => {
  using listening = listen();
  const controller = new AbortController();
  const open = gate();
  const settled = scope(async (s) => {
    const alone = s.spawn(forever);
    const signalled = s.spawn({ signal: controller.signal }, forever);
    const pending = s.spawn(forever);
    void pending.kill();
    const goesOn = s.spawn(() => open.promise.then(() => "done"));
    await idle();
    await alone.kill();
    controller.abort();
    await signalled.join();
    open.open();
    return [alone.state, signalled.state, pending.state, await goesOn, s.errors];
  });
  assertEquals(await settled, ["killed", "killed", "killed", "done", []]);
  assertEquals(listening.told, []);
});

test("scope() fails when a killed child throws something else in its clean-up", async () => {
  const error = new Error("clean-up");
  let sibling: Task | undefined;
  const seen = await rejection(scope(async (s) => {
    sibling = s.spawn(forever);
    const child = s.spawn(async () => {
      try {
        await forever();
      } finally {
        await Promise.reject(error);
      }
    });
    await idle();
    await child.kill();
    await forever();
  }));
  assertStrictEquals(seen, error);
  assertEquals(sibling?.state, "killed");
});

test("Scope.errors keeps the newest 1,000", async () => {
  let s: Scope | undefined;
  const first = new Error("first");
  using listening = listen();
  const seen = await rejection(scope((inner) => {
    s = inner;
    for (let i = 0; i < 1005; i++) s.spawn(() => forever().catch(fails(i)));
    return idle().then(fails(first));
  }));
  assertStrictEquals(seen, first, "the first is still what it rejects with");
  assertEquals(s?.errors.length, 1000);
  assertEquals([s?.errors[0], s?.errors[999]], [5, 1004]);
  assertEquals(listening.told.length, 1005);
});

// -- Kills and limits against real errors --

/** Ends a scope from outside in each way there is; `end` does it, `reason` is what it then gives. */
async function eachOuterEnd(
  check: (
    how: string,
    run: (body: (s: Scope) => unknown) => Promise<unknown>,
    end: () => void,
    reason: (rejected: unknown) => void,
  ) => Promise<void>,
): Promise<void> {
  {
    const reason = new Error("kill");
    let task: Task | undefined;
    await check(
      "kill",
      (body) => (task = spawn(() => scope(body))).get(),
      () => void task?.kill(reason),
      (rejected) => assertStrictEquals(rejected, reason),
    );
  }
  {
    using time = new ManualClock();
    await check(
      "limit",
      (body) => withTimeout(5, () => scope(body)),
      () => time.advance(5),
      (rejected) => assertEquals(rejected instanceof TimeoutError && rejected.ms, 5),
    );
  }
  {
    const controller = new AbortController();
    await check(
      "signal",
      (body) => scope(body, { signal: controller.signal }),
      () => controller.abort(),
      (rejected) => assertStrictEquals(rejected, controller.signal.reason),
    );
  }
  {
    const reason = new Error("s.kill");
    let s: Scope | undefined;
    await check(
      "s.kill",
      (body) =>
        scope((inner) => {
          s = inner;
          return body(inner);
        }),
      () => s?.kill(reason),
      (rejected) => assertStrictEquals(rejected, reason),
    );
  }
  {
    const reason = new Error("outer");
    await check(
      "outer scope",
      async (body) => {
        let inner: unknown;
        await rejection(scope(async (s) => {
          outer = s;
          inner = await rejection(scope(body));
        }));
        throw inner;
      },
      () => outer?.spawn(fails(reason)),
      (rejected) => {
        assertInstanceOf(rejected, KilledError);
        assertStrictEquals(rejected.cause, reason);
      },
    );
  }
}
let outer: Scope | undefined;

test("scope() ended from outside kills the children, waits for them, and rejects with the reason", async () => {
  await eachOuterEnd(async (how, run, end, isReason) => {
    const cleaned = gate();
    let child: Task | undefined, wait: unknown;
    const seen = outcome(run(async (s) => {
      child = s.spawn(cleansUp(cleaned.promise));
      try {
        await forever();
      } catch (error) {
        wait = error;
        throw error;
      }
    }));
    await idle();
    assertEquals([seen.state, child?.state], ["pending", "running"], how);
    end();
    await idle();
    isReason(wait);
    assertEquals([seen.state, child?.state], ["pending", "running"], how);
    cleaned.open();
    await idle();
    assertEquals([seen.state, child?.state], ["rejected", "killed"], how);
    isReason(seen.error);
  });
});

test("scope() ended from outside lets the error of a child's clean-up win", async () => {
  await eachOuterEnd(async (how, run, end) => {
    const cleaned = gate();
    const error = new Error("clean-up");
    const seen = outcome(run((s) => {
      s.spawn(cleansUp(cleaned.promise));
      return forever();
    }));
    await idle();
    end();
    await idle();
    cleaned.fail(error);
    await idle();
    assertEquals(seen.state, "rejected", how);
    assertStrictEquals(seen.error, error, how);
  });
});

test("scope() ended from outside lets the error of the body's clean-up win", async () => {
  await eachOuterEnd(async (how, run, end) => {
    const cleaned = gate();
    const error = new Error("clean-up");
    const seen = outcome(run((s) => {
      s.spawn(forever);
      return cleansUp(cleaned.promise)();
    }));
    await idle();
    end();
    await idle();
    cleaned.fail(error);
    await idle();
    assertStrictEquals(seen.error, error, how);
  });
});

test("scope() that failed before it is ended from outside rejects with the failure", async () => {
  await eachOuterEnd(async (how, run, end) => {
    const cleaned = gate();
    const error = new Error("real");
    const seen = outcome(run(async (s) => {
      s.spawn(cleansUp(cleaned.promise));
      await idle();
      s.spawn(fails(error));
      await forever();
    }));
    await idle();
    await idle();
    end();
    await idle();
    assertEquals(seen.state, "pending", how);
    cleaned.open();
    await idle();
    assertStrictEquals(seen.error, error, how);
  });
});

test("scope() whose task is killed with a real error from it leaves the task failed, else killed", async () => {
  const error = new Error("clean-up"), reason = new Error("kill");
  for (const real of [true, false]) {
    const cleaned = gate();
    const task = spawn(() =>
      scope((s) => {
        s.spawn(cleansUp(cleaned.promise));
        return forever();
      })
    );
    await idle();
    const killed = task.kill(reason);
    if (real) cleaned.fail(error);
    else cleaned.open();
    assertEquals(await killed, true);
    assertEquals(task.state, real ? "failed" : "killed");
    assertStrictEquals(await rejection(task), real ? error : reason);
  }
});

test("scope() in its closing wait passes a kill of its task on to the children", async () => {
  const reason = new Error("kill");
  const cleaned = gate();
  let child: Task | undefined;
  const task = spawn(() =>
    scope((s) => {
      child = s.spawn(cleansUp(cleaned.promise));
      return "value";
    })
  );
  await idle();
  const killed = outcome(task.kill(reason));
  await idle();
  assertEquals([killed.state, task.state, child?.state], ["pending", "running", "running"]);
  cleaned.open();
  await idle();
  assertEquals([killed.value, task.state, child?.state], [true, "killed", "killed"]);
  assertStrictEquals(child?.error, reason);
  assertStrictEquals(task.error, reason);
});

test("scope() in its closing wait passes a limit on to the children and waits for them", async () => {
  using time = new ManualClock();
  const cleaned = gate();
  let child: Task | undefined;
  const seen = outcome(withTimeout(5, () =>
    scope((s) => {
      child = s.spawn(cleansUp(cleaned.promise));
    })));
  await idle();
  time.advance(5);
  await idle();
  assertEquals([seen.state, child?.state], ["pending", "running"]);
  cleaned.open();
  await idle();
  assertInstanceOf(seen.error, TimeoutError);
  assertEquals(child?.state, "killed");
});

test("scope() under a limit that is over rejects with an error that is no kill", async () => {
  using time = new ManualClock();
  const seen = rejection(withTimeout(5, () =>
    scope((s) => {
      s.spawn(forever);
    })));
  await idle();
  time.advance(5);
  const error = await seen;
  assertInstanceOf(error, TimeoutError);
  // `if (isKilled(error)) throw error` must not let a time limit through.
  assertEquals(isKilled(error), false);
});

test("scope() under a shield is out of reach of a kill of its task", async () => {
  const open = gate();
  const task = spawn(() =>
    shield(() =>
      scope(async (s) => {
        const child = s.spawn(() => open.promise.then(() => sleep(0)).then(() => "done"));
        return await child;
      })
    )
  );
  await idle();
  void task.kill();
  open.open();
  assertEquals(await task, "done");
});

// -- s.kill --

test("Scope.kill() kills the children; a body that returns all the same keeps its value", async () => {
  const reason = new Error("enough");
  let children: Task[] = [];
  const value = await scope(async (s) => {
    children = [s.spawn(forever), s.spawn(forever)];
    await idle();
    s.kill(reason);
    children.push(...children);
    return "value";
  });
  assertEquals(value, "value");
  for (const child of children) {
    assertEquals(child.state, "killed");
    assertStrictEquals(child.error, reason);
  }
});

test("Scope.kill() makes every wait of the body reject with its reason", async () => {
  const reason = new Error("enough");
  const waits: unknown[] = [];
  const value = await scope(async (s) => {
    s.kill(reason);
    waits.push(await rejection(sleep(0)), await rejection(forever()));
    waits.push(await rejection(scope(() => waits.push("never"))));
    return "value";
  });
  assertEquals(value, "value");
  assertEquals(waits, [reason, reason, reason]);
  const rejects = scope(async (s) => {
    s.spawn(() => s.kill(reason));
    await forever();
  });
  assertStrictEquals(await rejection(rejects), reason);
});

test("Scope.kill() from a child while the scope closes ends it with the body's value", async () => {
  let sibling: Task | undefined;
  const value = await scope((s) => {
    sibling = s.spawn(forever);
    s.spawn(async () => {
      await idle();
      s.kill();
    });
    return "value";
  });
  assertEquals([value, sibling?.state], ["value", "killed"]);
});

test("Scope.kill() without an error gives a KilledError with the reason as its cause", async () => {
  for (const reason of [undefined, "text", 0]) {
    const error = await rejection(scope((s) => {
      s.kill(reason);
      return forever();
    }));
    assertInstanceOf(error, KilledError);
    assert(isKilled(error));
    assertEquals([error.cause, "cause" in error], [reason, reason !== undefined]);
  }
});

test("Scope.kill() counts once, is harmless after the end, and leaves an outer task alone", async () => {
  const first = new Error("first");
  const task = spawn(async () => {
    let s: Scope | undefined;
    const error = await rejection(scope((inner) => {
      s = inner;
      s.kill(first);
      s.kill(new Error("second"));
      return forever();
    }));
    s?.kill(new Error("third"));
    await sleep(0);
    return error;
  });
  assertStrictEquals(await task, first);
});

test("Scope.kill() loses against an error that comes in the clean-up, and against one before it", async () => {
  const error = new Error("real");
  const before = scope(async (s) => {
    s.spawn(fails(error));
    await idle();
    s.kill(new Error("kill"));
    await forever();
  });
  assertStrictEquals(await rejection(before), error);
  const after = scope(async (s) => {
    s.spawn(() => forever().catch(fails(error)));
    await idle();
    s.kill(new Error("kill"));
    return "value";
  });
  assertStrictEquals(await rejection(after), error);
});

test("Scope.spawn() into a killed scope throws the kill, into an ended one a TypeError", async () => {
  const reason = new Error("kill");
  const scopes: Scope[] = [];
  await scope((s) => {
    scopes.push(s);
    s.kill(reason);
    assertStrictEquals(assertThrows(() => s.spawn(() => 1)), reason);
  });
  await scope((s) => void scopes.push(s));
  assertStrictEquals(assertThrows(() => scopes[0]!.spawn(() => 1)), reason);
  assertThrows(() => scopes[1]!.spawn(() => 1), TypeError, "it has ended");
  assertEquals(scopes[1]!.size, 0);
});

test("Scope.spawn() into a failed scope throws the kill that its children get", async () => {
  const error = new Error("real");
  let thrown: unknown;
  const seen = await rejection(scope(async (s) => {
    s.spawn(fails(error));
    await forever().catch(() => {});
    thrown = assertThrows(() => s.spawn(() => 1));
  }));
  assertStrictEquals(seen, error);
  assertInstanceOf(thrown, KilledError);
  assertStrictEquals(thrown.cause, error);
});

test("Scope.spawn() of no function is a TypeError and leaves the scope as it was", async () => {
  await scope((s) => {
    for (const wrong of [undefined, null, 5, "fn", {}]) {
      assertThrows(() => s.spawn(wrong as never), TypeError, "fn must be a function");
      assertThrows(() => s.spawn({ name: "a" }, wrong as never), TypeError);
    }
    assertThrows(() => s.spawn({ name: 5 as never }, () => 1), TypeError, "name");
    assertThrows(() => s.spawn({ signal: {} as never }, () => 1), TypeError, "signal");
    assertEquals(s.size, 0);
  });
});

// -- Daemons --

test("scope() kills daemons when the body and the other children have ended", async () => {
  const step = steps();
  const open = gate(), cleaned = gate();
  let daemon: Task | undefined;
  const settled = scope((s) => {
    daemon = s.spawn({ daemon: true }, async () => {
      try {
        await forever();
      } finally {
        step(2);
        await shield(() => cleaned.promise);
        step(3);
      }
    });
    s.spawn(() => open.promise.then(() => step(1)));
    return "value";
  }).then((value) => {
    step.end(4);
    return value;
  });
  await idle();
  assertEquals([daemon?.daemon, daemon?.state], [true, "running"]);
  open.open();
  await idle();
  cleaned.open();
  assertEquals(await settled, "value");
  assertInstanceOf(daemon?.error, KilledError);
});

test("scope() of daemons only does not wait for them", async () => {
  let daemon: Task | undefined, pending: Task | undefined;
  await scope(async (s) => {
    daemon = s.spawn({ daemon: true }, forever);
    await idle();
    pending = s.spawn({ daemon: true }, forever);
  });
  assertEquals([daemon?.state, pending?.state], ["killed", "killed"]);
});

test("scope() still waits for its children after a daemon has ended by itself", async () => {
  const open = gate();
  let child: Task<string> | undefined;
  const seen = outcome(scope(async (s) => {
    await s.spawn({ daemon: true }, () => 1);
    child = s.spawn(() => open.promise.then(() => sleep(0)).then(() => "done"));
  }));
  await idle();
  assertEquals([seen.state, child?.state], ["pending", "running"]);
  open.open();
  await idle();
  assertEquals([seen.state, child?.value], ["resolved", "done"]);
});

test("scope() counts a daemon that ends by itself as any child", async () => {
  const error = new Error("daemon");
  await scope(async (s) => {
    assertEquals(await s.spawn({ daemon: true }, () => 1), 1);
    assertEquals(s.size, 0);
  });
  let sibling: Task | undefined;
  const seen = await rejection(scope((s) => {
    sibling = s.spawn(forever);
    s.spawn({ daemon: true }, fails(error));
  }));
  assertStrictEquals(seen, error);
  assertEquals(sibling?.state, "killed");
});

test("scope() fails with the error of a daemon's clean-up", async () => {
  const error = new Error("clean-up");
  const seen = scope(async (s) => {
    s.spawn({ daemon: true }, () => forever().catch(fails(error)));
    await idle();
    return "value";
  });
  assertStrictEquals(await rejection(seen), error);
});

test("Scope.spawn() works from a daemon until the other children have ended, not in its clean-up", async () => {
  const open = gate();
  const log: unknown[] = [];
  await scope((s) => {
    s.spawn(() => open.promise);
    s.spawn({ daemon: true }, async () => {
      s.spawn(() => log.push("child of a daemon"));
      try {
        await forever();
      } finally {
        log.push(assertThrows(() => s.spawn(() => 1), TypeError).message);
      }
    });
    void idle().then(() => open.open());
  });
  assertEquals(log, [
    "child of a daemon",
    "Cannot spawn into scope: it must be open, but it has ended",
  ]);
});

test("scope() in the clean-up of its daemons still passes a failure and a kill on", async () => {
  const reason = new Error("kill"), cleaned = gate();
  let daemon: Task | undefined;
  const task = spawn(() =>
    scope(async (s) => {
      daemon = s.spawn({ daemon: true }, cleansUp(cleaned.promise));
      await idle();
    })
  );
  await idle();
  await idle();
  assertEquals([task.state, daemon?.state], ["running", "running"]);
  void task.kill(reason);
  cleaned.open();
  await task.join();
  assertEquals([task.state, task.error === reason, daemon?.state], ["killed", true, "killed"]);
});

// -- Options --

test("scope() is refused in a killed task and for an aborted signal before the body runs", async () => {
  let ran = 0;
  const signals = (options?: { signal?: AbortSignal | undefined; timeout?: number | undefined }) =>
    options?.timeout === undefined
      ? scope(() => void ran++, { signal: options?.signal })
      // A scope has no timeout; the check of it belongs to other waits.
      : sleep(0, options);
  await assertRefuses(signals);
  assertEquals(ran, 0);
});

test("scope() with a body that is no function rejects with a TypeError", async () => {
  for (const wrong of [undefined, null, 5, "body", {}, Promise.resolve()]) {
    await assertRejects(() => scope(wrong as never), TypeError, "body must be a function");
  }
});

test("scope() with a signal is killed when it aborts, and leaves no listener", async () => {
  for (const when of ["waiting", "closing"] as const) {
    const controller = new AbortController();
    const listeners = countListeners(controller.signal);
    const children: Task[] = [];
    const seen = outcome(scope(async (s) => {
      children.push(s.spawn(forever), s.spawn(forever));
      if (when === "waiting") await forever();
      return "value";
    }, { signal: controller.signal }));
    await idle();
    assertEquals([seen.state, listeners.active], ["pending", 1]);
    controller.abort();
    await idle();
    // As after s.kill: a body that has given its value keeps it.
    assertEquals(seen.value, when === "closing" ? "value" : undefined);
    assertEquals(seen.error, when === "closing" ? undefined : controller.signal.reason);
    for (const child of children) assertStrictEquals(child.error, controller.signal.reason);
    assertEquals(listeners.active, 0);
  }
});

test("scope() that ends before its signal aborts leaves no listener", async () => {
  const { signal } = new AbortController();
  const listeners = countListeners(signal);
  await scope((s) => void s.spawn(() => 1), { signal });
  await rejection(scope(fails(new Error("no")), { signal }));
  await rejection(scope((s) => void s.spawn(fails(new Error("no"))), { signal }));
  assertEquals(listeners.active, 0);
});

// -- Nesting --

test("scope() inside another keeps its failure to itself if the outer body catches it", async () => {
  const error = new Error("inner");
  const open = gate();
  const value = await scope(async (outside) => {
    const sibling = outside.spawn(() => open.promise.then(() => "alive"));
    const seen = await rejection(scope((inside) => {
      inside.spawn(fails(error));
      return forever();
    }));
    assertStrictEquals(seen, error);
    await sleep(0);
    open.open();
    return await sibling;
  });
  assertEquals(value, "alive");
});

test("scope() inside another passes an uncaught failure up as the same error", async () => {
  const error = new Error("inner");
  let sibling: Task | undefined, cousin: Task | undefined;
  const seen = await rejection(scope((outside) => {
    sibling = outside.spawn(forever);
    outside.spawn(() =>
      scope((inside) => {
        cousin = inside.spawn(forever);
        inside.spawn(fails(error));
      })
    );
  }));
  assertStrictEquals(seen, error);
  assertEquals([sibling?.state, cousin?.state], ["killed", "killed"]);
});

test("scope() inside another is cleaned up before the outer one, innermost first", async () => {
  const log: string[] = [];
  const worker = (name: string) => async () => {
    try {
      await forever();
    } finally {
      await shield(() => sleep(0));
      log.push(name);
    }
  };
  const nested = (depth: number) => async (s: Scope): Promise<void> => {
    s.spawn(worker(`child ${depth}`));
    try {
      if (depth === 3) await forever();
      else await scope(nested(depth + 1));
    } finally {
      log.push(`body ${depth}`);
    }
  };
  const task = spawn(() => scope(nested(1)).finally(() => log.push("scope 1")));
  await idle();
  await task.kill();
  const at = (entry: string) => log.indexOf(entry);
  assertEquals(log.length, 7);
  assert(at("body 3") < at("body 2") && at("body 2") < at("body 1"));
  assert(at("child 3") < at("body 2"), "an inner scope ends before the body around it goes on");
  assert(at("child 2") < at("body 1"));
  assertEquals(at("scope 1"), 6);
});

test("scope() inside another that fails in its clean-up adds a later error to the outer one", async () => {
  using listening = listen();
  const first = new Error("first"), later = new Error("later");
  let s: Scope | undefined;
  const seen = await rejection(scope((outside) => {
    s = outside;
    outside.spawn(
      { name: "inner" },
      () => scope((inside) => void inside.spawn(() => forever().catch(fails(later)))),
    );
    return idle().then(fails(first));
  }));
  assertStrictEquals(seen, first);
  assertEquals(s?.errors, [first, later]);
  assertEquals(listening.told, [[later, "inner"]], "the inner one threw it, it did not tell");
});

test("scope() is not left by the end of an inner one: the outer scope can still spawn", async () => {
  await scope(async (outside) => {
    await scope((inside) => inside.kill());
    assertEquals(await outside.spawn(() => sleep(0).then(() => 1)), 1);
  });
});

// -- supervise: true --

test("scope() that supervises keeps the siblings of a failing child alive and resolves", async () => {
  using listening = listen();
  const error = new Error("child");
  const open = gate();
  let s: Scope | undefined;
  const value = await scope(async (inner) => {
    s = inner;
    const sibling = s.spawn(() => open.promise.then(() => sleep(0)).then(() => "alive"));
    s.spawn({ name: "failing" }, fails(error));
    await sleep(0);
    open.open();
    return await sibling;
  }, { supervise: true });
  assertEquals(value, "alive");
  assertEquals(s?.errors, [error]);
  assertEquals(listening.told, [[error, "failing"]]);
});

test("scope() that supervises tells the host of no failure", async () => {
  let s: Scope | undefined;
  await scope((inner) => {
    s = inner;
    for (let i = 0; i < 3; i++) s.spawn(fails(i));
  }, { supervise: true });
  await idle();
  assertEquals(s?.errors, [0, 1, 2]);
});

test("scope() that supervises ends as any other by an error of its body, or a kill", async () => {
  const error = new Error("body"), child = new Error("child"), reason = new Error("kill");
  const options: ScopeOptions = { supervise: true };
  let sibling: Task | undefined, s: Scope | undefined;
  const failed = scope(async (inner) => {
    s = inner;
    sibling = inner.spawn(forever);
    inner.spawn(fails(child));
    await idle();
    throw error;
  }, options);
  assertStrictEquals(await rejection(failed), error);
  assertEquals([s?.errors, sibling?.state], [[child, error], "killed"]);
  const task = spawn(() => scope((inner) => void inner.spawn(forever), options));
  await idle();
  await task.kill(reason);
  assertEquals([task.state, task.error === reason], ["killed", true]);
});

test("scope() that supervises does not let an error of a killed child fail it", async () => {
  const error = new Error("clean-up"), reason = new Error("kill");
  let s: Scope | undefined;
  const task = spawn(() =>
    scope((inner) => {
      s = inner;
      inner.spawn(() => forever().catch(fails(error)));
    }, { supervise: true })
  );
  await idle();
  await task.kill(reason);
  assertEquals([task.state, task.error === reason], ["killed", true]);
  assertEquals(s?.errors, [error]);
});

test("scope() that supervises gives the error of a child to who awaits it", async () => {
  const error = new Error("child");
  const value = await scope(async (s) => await rejection(s.spawn(fails(error))), {
    supervise: true,
  });
  assertStrictEquals(value, error);
});

test("scope() that does not supervise is the default, also with false and undefined", async () => {
  for (const supervise of [false, undefined]) {
    const error = new Error("child");
    const seen = scope((s) => void s.spawn(fails(error)), { supervise });
    assertStrictEquals(await rejection(seen), error);
  }
});

// -- In number --

test("scope() tears 100,000 children down by a kill, and many by a failure", async () => {
  for (const [how, count] of [["kill", MANY], ["failure", DEEP]] as const) {
    const error = new Error(how);
    let begun = 0, ended = 0;
    const start = gate();
    const task = spawn(() =>
      scope(async (s) => {
        for (let i = 0; i < count; i++) {
          s.spawn(async () => {
            begun++;
            try {
              await forever();
            } finally {
              ended++;
            }
          });
        }
        s.spawn(() => until(start.promise).then(fails(error)));
        await forever();
      })
    );
    await idle();
    assertEquals([begun, ended], [count, 0]);
    if (how === "kill") void task.kill(error);
    start.open();
    assertStrictEquals(await rejection(task), error);
    assertEquals([task.state, ended], [how === "kill" ? "killed" : "failed", count]);
  }
});

test("scope() tears 100,000 children down that have not started", async () => {
  const error = new Error("body");
  let begun = 0;
  const seen = await rejection(scope((s) => {
    for (let i = 0; i < MANY; i++) s.spawn(() => void begun++);
    throw error;
  }));
  assertStrictEquals(seen, error);
  assertEquals(begun, 0);
});

test("scope() in a task in a scope, 100,000 deep, is killed from the top without recursion", async () => {
  const bottom = gate();
  let ended = 0;
  const dig = async (depth: number): Promise<void> => {
    try {
      await scope((s) => {
        if (depth > 1) return void s.spawn(dig, depth - 1);
        bottom.open();
        return forever();
      });
    } finally {
      ended++;
    }
  };
  const top = spawn(dig, MANY);
  await bottom.promise;
  await idle();
  assertEquals(ended, 0);
  assertEquals(await top.kill(), true);
  assertEquals([top.state, ended], ["killed", MANY]);
});

test("scope() in a task in a scope, deep, passes an error of the lowest up", async () => {
  const error = new Error("bottom");
  const dig = (depth: number): Promise<void> =>
    scope((s) => {
      if (depth === 1) throw error;
      s.spawn(dig, depth - 1);
    });
  assertStrictEquals(await rejection(dig(DEEP)), error);
});

test("scope() in a scope in one task, deep, is killed from the top without recursion", async () => {
  const bottom = gate();
  const dig = async (depth: number): Promise<void> => {
    // A fresh stack now and then: a body is called synchronously.
    if (depth % 100 === 0) await sleep(0);
    return scope(() => {
      if (depth > 1) return dig(depth - 1);
      bottom.open();
      return forever();
    });
  };
  const top = spawn(dig, DEEP);
  await bottom.promise;
  await idle();
  assertEquals([await top.kill(), top.state], [true, "killed"]);
});

// Last: while it hangs, what it leaves parked would fail the tests after it.

test("Scope.spawn() with a signal that has aborted gives a killed child and holds nothing up", async () => {
  const reason = new Error("aborted");
  let ran = false, s: Scope | undefined, child: Task | undefined;
  const seen = outcome(scope((inner) => {
    s = inner;
    child = s.spawn({ signal: AbortSignal.abort(reason) }, () => {
      ran = true;
    });
    return "value";
  }));
  await idle();
  assertEquals([child?.state, child?.error === reason, ran], ["killed", true, false]);
  assertEquals([seen.state, seen.value, s?.size], ["resolved", "value", 0]);
});

test("inKilledTask() stays killed around a scope, whatever the body does", async () => {
  const reason = new Error("kill");
  const seen = await inKilledTask(() => shield(() => scope(() => sleep(0).then(() => 1))), reason);
  assertEquals(seen, 1);
});

test("scope() that has ended has left the task in which it was opened", async () => {
  const contexts: Context[] = [];
  await spawn(async () => {
    const open = (body: () => unknown) =>
      scope(async (s) => {
        contexts.push(currentContext()!);
        s.spawn(() => sleep(0));
        await body();
      });
    await open(() => 1);
    await open(() => Promise.reject(new Error("fails"))).catch(() => {});
    await open(() => sleep(Infinity, { timeout: 0 })).catch(() => {});
  });
  // One that stays below its parent is kept as long as the task lives.
  assertEquals(contexts.map(({ ended }) => ended), [true, true, true]);
});

// -- A deadlock while it closes --

/** Waits for ever; its clean-up waits for `open`, out of reach of kills, then notes `name`. */
async function stubborn(open: Event, log: string[], name: string): Promise<void> {
  try {
    await sleep(Infinity);
  } finally {
    await shield(() => open.wait());
    log.push(name);
  }
}

for (const supervise of [false, true]) {
  test(`scope() whose children wait for ever kills them and rejects with the deadlock, supervise ${supervise}`, async () => {
    const log: string[] = [], told: unknown[] = [], opened = new Event();
    opened.set();
    using _hook = onUnhandled((error) => told.push(error));
    let context: Context, open: Scope;
    const scoped = outcome(scope((s) => {
      open = s;
      context = currentContext()!;
      for (const name of ["a", "b"]) s.spawn(stubborn, opened, log, name);
    }, { supervise }));
    await idle();
    const error = raise();
    await idle();
    assertEquals([scoped.state, log], ["rejected", ["a", "b"]]);
    assertStrictEquals(scoped.error, error);
    assertEquals([open!.size, open!.errors, told], [0, [error], []]);
    assertEquals(context!.ended, true);
    assertThrows(() => open!.spawn(() => {}), KilledError);
  });
}

test("scope() whose children wait for ever in their clean-up too gives up at the second deadlock", async () => {
  const log: string[] = [], told: unknown[] = [], opened = new Event();
  using _hook = onUnhandled((error) => told.push(error));
  let context: Context, open: Scope;
  const scoped = outcome(scope((s) => {
    open = s;
    context = currentContext()!;
    s.spawn(async () => {
      await stubborn(opened, log, "a").catch(() => {});
      throw new Error("late");
    });
  }));
  await idle();
  const first = raise();
  await idle();
  assertEquals([scoped.state, open!.size], ["pending", 1]);
  const second = raise();
  await idle();
  assertStrictEquals(scoped.error, first);
  assertEquals([context!.ended, told], [true, [second]]);
  assertEquals(findDeadlock(), undefined);
  // The end of one that was left behind is still told.
  opened.set();
  await idle();
  assertEquals([log, open!.size], [["a"], 0]);
  assertEquals(told.map(String), [String(second), "Error: late"]);
});

test("scope() that has failed rejects with that failure though a deadlock holds its end up", async () => {
  for (const how of ["child", "body"]) {
    const log: string[] = [], told: unknown[] = [], opened = new Event();
    using _hook = onUnhandled((error) => told.push(error));
    const real = new Error("real");
    const scoped = outcome(scope(async (s) => {
      s.spawn(stubborn, opened, log, "a");
      await sleep(0);
      if (how === "body") throw real;
      s.spawn(() => Promise.reject(real));
    }));
    await idle();
    const deadlock = raise();
    await idle();
    assertStrictEquals(scoped.error, real);
    assertEquals(told, [deadlock]);
    opened.set();
    await idle();
    assertEquals(log, ["a"]);
  }
});

for (const how of ["killed", "killed in its body", "left with a daemon"]) {
  test(`scope() that is ${how} ends with the deadlock that holds its end up`, async () => {
    const log: string[] = [], told: unknown[] = [], opened = new Event();
    using _hook = onUnhandled((error) => told.push(error));
    let context: Context;
    const scoped = outcome(scope(async (s) => {
      context = currentContext()!;
      s.spawn({ daemon: how === "left with a daemon" }, stubborn, opened, log, "a");
      await sleep(0);
      if (how !== "left with a daemon") s.kill();
      if (how === "killed in its body") await sleep(0);
    }));
    await idle();
    const deadlock = raise();
    await idle();
    assertStrictEquals(scoped.error, deadlock);
    assertEquals([context!.ended, told], [true, []]);
    opened.set();
    await idle();
    assertEquals(log, ["a"]);
  });
}

test("scope() in virtual time ends with the deadlock of its children", async () => {
  const log: string[] = [], opened = new Event();
  opened.set();
  const error = await rejection(
    virtualTime(() => scope((s) => void s.spawn(stubborn, opened, log, "a"))),
  );
  assertInstanceOf(error, DeadlockError);
  assertEquals(log, ["a"]);
});

test("scope() leaves what goes on after its body to the task: a kill ends it, the scope's own no more", async () => {
  let ended: Scope;
  const task = spawn(async () => {
    const { left } = await scope((s) => {
      ended = s;
      return { left: sleep(Infinity) };
    });
    await left;
  });
  await idle();
  ended!.kill();
  await idle();
  assertEquals(task.state, "running");
  const killed = outcome(task.kill());
  await idle();
  assertEquals([killed.state, task.state], ["resolved", "killed"]);
});
