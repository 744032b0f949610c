// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Greenlets, row by row as Python's: who gets control, what comes out of a switch, who is dead; then
 * what Python's need not know: kills, several roots, hosts that cannot carry a context.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Context, currentContext, runIn } from "../src/_kernel/current.ts";
import { hooks } from "../src/_kernel/hooks.ts";
import { GreenletError, GreenletExit, KilledError } from "../src/errors.ts";
import { currentGreenlet, Greenlet, greenlet, setTrace } from "../src/greenlet.ts";
import { shield } from "../src/shield.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask } from "../src/task.ts";
import { TaskLocal } from "../src/task_local.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { gate } from "./gate.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();

/** The root of the program: what runs the tests. */
const main = currentGreenlet();

/** A greenlet that passes control on to `to` for ever, until an error is thrown into it. */
function bouncing(to: Greenlet = main): Greenlet {
  return greenlet(async (value: unknown) => {
    for (;;) value = await to.switch(value);
  });
}

/** Switches to `g` and gives the wait up, as an expired limit does: `g` runs on, and so does the caller. */
async function abandon(g: Greenlet): Promise<void> {
  const limit = new Context(null);
  const switched = rejection(runIn(limit, () => g.switch()));
  await idle();
  const reason = new Error("the limit is over");
  limit.cancel(reason);
  assertStrictEquals(await switched, reason);
}

/** Runs `body` and gives the hand-overs in it, as `event origin target`. */
async function traced(body: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  const former = setTrace((event, origin, target) => {
    assertStrictEquals(currentGreenlet(), target);
    seen.push(`${event} ${origin.name} ${target.name}`);
  });
  try {
    await body();
  } finally {
    setTrace(former);
  }
  return seen;
}

/** Runs `body` and gives the errors that nobody caught in it. */
async function unhandled(body: () => Promise<unknown>): Promise<unknown[]> {
  const errors: unknown[] = [];
  const hook = onUnhandled((error) => errors.push(error));
  try {
    await body();
    await idle();
  } finally {
    hook[Symbol.dispose]();
  }
  return errors;
}

// -- Seeds --

test("Greenlet.switch() runs the 12 56 34 78 program", async () => {
  const seen: number[] = [];
  const first: Greenlet = greenlet(async () => {
    seen.push(12);
    await second.switch();
    seen.push(34);
  });
  const second: Greenlet = greenlet(async () => {
    seen.push(56);
    await first.switch();
    seen.push(78);
  });
  await first.switch();
  assertEquals(seen, [12, 56, 34]);
  assertEquals([first.dead, second.dead], [true, false]);
  await second.switch();
  assertEquals(seen, [12, 56, 34, 78]);
});

test("Greenlet.switch() passes a value around a ring of 1,000", async () => {
  const ring: Greenlet[] = Array.from(
    { length: 1_000 },
    (_, i) =>
      greenlet(async (value: number) => {
        for (;;) value = await (ring[i + 1] ?? main).switch<number>(value + 1);
      }),
  );
  for (let lap = 1; lap <= 3; lap++) assertEquals(await ring[0]!.switch(lap), lap + 1_000);
  for (const one of ring) await one.throw();
});

test("Greenlet.switch() starts 20,000 that start each other without a deep stack", async () => {
  const next = (depth: number): Greenlet =>
    greenlet(() => depth === 0 ? "bottom" : next(depth - 1).switch());
  assertEquals(await next(20_000).switch(), "bottom");
});

// -- greenlet(run, parent) --

test("Greenlet.constructor starts nothing", async () => {
  let ran = false;
  const g = new Greenlet(() => ran = true);
  await idle();
  assertEquals([ran, g.started, g.dead, g.active], [false, false, false, false]);
});

test("Greenlet.constructor takes the current greenlet as parent", async () => {
  assertStrictEquals(greenlet(() => {}).parent, main);
  const outer = greenlet(async () => {
    await idle();
    return greenlet(() => {});
  });
  assertStrictEquals((await outer.switch<Greenlet>()).parent, outer);
});

test("Greenlet.constructor takes a parent, and null for none given", () => {
  const parent = greenlet(() => {});
  assertStrictEquals(new Greenlet(() => {}, { parent }).parent, parent);
  assertStrictEquals(new Greenlet(() => {}, { parent: null as never }).parent, main);
});

test("Greenlet.constructor throws a TypeError for a wrong argument", () => {
  const wrong = (...args: unknown[]) => () => new Greenlet(...args as []);
  assertThrows(
    wrong(() => {}, { parent: {} }),
    TypeError,
    "parent must be a greenlet, got object",
  );
  assertThrows(
    wrong(() => {}, { parent: 1 }),
    TypeError,
    "parent must be a greenlet, got number",
  );
  assertThrows(wrong(1), TypeError, "run must be a function, got number");
  assertThrows(wrong({ parent: main }), TypeError, "run must be a function, got object");
  assertThrows(
    wrong(() => {}, { name: 1 }),
    TypeError,
    "name must be a string, got number",
  );
  assertThrows(
    () => greenlet(null as never),
    TypeError,
    "Cannot create greenlet: run must be a function, got null",
  );
  // A constructor that fails must not spoil the next one.
  assertStrictEquals(new Greenlet().parent, main);
});

test("Greenlet subclass may have a method run", async () => {
  class Adder extends Greenlet {
    readonly base = 100;
    override run(a: number, b: number): number {
      return this.base + a + b;
    }
  }
  const adder = new Adder();
  assertEquals(await adder.switch(1, 2), 103);
  assertEquals([adder.dead, adder instanceof Greenlet], [true, true]);
});

// -- switch --

test("Greenlet.switch() passes the arguments of the first switch to the body", async () => {
  assertEquals(await greenlet((...args: unknown[]) => args).switch(1, "b", null), [1, "b", null]);
  assertEquals(await greenlet((...args: unknown[]) => args.length).switch(), 0);
  assertEquals(await greenlet((list: number[]) => list.length).switch([1, 2]), 2);
});

test("Greenlet.switch() brings its arguments into the switch that waits: none, one, several", async () => {
  const got: unknown[] = [];
  const g = greenlet(async () => {
    for (;;) got.push(await main.switch());
  });
  await g.switch();
  await g.switch();
  await g.switch(1);
  await g.switch([2]);
  await g.switch(3, 4);
  await g.switch(undefined, undefined);
  await g.switch(null);
  assertEquals(got, [undefined, 1, [2], [3, 4], [undefined, undefined], null]);
  await g.throw();
});

test("Greenlet.switch() resolves to what whoever switches back brings", async () => {
  const a: Greenlet = greenlet(() => b.switch("from a"));
  const b: Greenlet = greenlet((value: string) => main.switch(`${value} via b`));
  assertEquals(await a.switch(), "from a via b");
  assertEquals(await a.switch("end a"), "end a");
  assertEquals(await b.switch("end b"), "end b");
});

test("Greenlet.switch() parks the caller until the target switches back", async () => {
  const step = steps();
  const open = gate();
  const g = greenlet(async () => {
    step(2);
    await open.promise;
    step(4);
  });
  const switched = g.switch().then(() => step(5));
  step(1);
  await idle();
  step(3);
  open.open();
  await switched;
  step.end(6);
});

test("Greenlet.switch() to oneself resolves to its arguments at once", async () => {
  const step = steps();
  const own = main.switch("own").then((value) => {
    assertEquals(value, "own");
    step(2);
  });
  queueMicrotask(() => step(3));
  step(1);
  await own;
  assertEquals(await main.switch(), undefined);
  assertEquals(await main.switch(1, 2), [1, 2]);
  const g: Greenlet = greenlet(async () => [await g.switch("self"), currentGreenlet() === g]);
  assertEquals(await g.switch(), ["self", true]);
  await idle();
  step.end(4);
});

test("Greenlet.switch() to oneself parks nothing", async () => {
  let parked = 0;
  hooks.on = { parked: () => parked++ };
  await main.switch("own").finally(() => hooks.on = null);
  assertEquals(parked, 0);
});

test("Greenlet.switch() to a dead one goes to the nearest living ancestor", async () => {
  const dead = greenlet(() => {});
  await dead.switch();
  assertEquals(await dead.switch(1, 2), [1, 2]);

  const living = bouncing();
  assertEquals(await living.switch("start"), "start");
  const middle = new Greenlet(() => {}, { parent: living });
  const lower = new Greenlet(() => {}, { parent: middle });
  await lower.throw();
  await middle.throw();
  assertEquals(await lower.switch("up"), "up"); // through `living`, which brings it back
  assertStrictEquals(living.dead, false);
  await living.throw();
});

test("Greenlet.switch() to a dead one starts an ancestor that has not started", async () => {
  const parent = greenlet((...args: unknown[]) => ["parent", ...args]);
  const dead = new Greenlet(() => {});
  await dead.switch();
  dead.parent = parent;
  assertEquals(await dead.switch(1, 2), ["parent", 1, 2]);
});

test("Greenlet.switch() and throw() without run reject with a TypeError in the caller", async () => {
  const g = new Greenlet(undefined, { name: "empty" });
  const error = await assertRejects(() => g.switch(), TypeError);
  assertEquals(
    error.message,
    'Cannot start greenlet "empty": run must be a function, got undefined',
  );
  await assertRejects(() => g.throw(new Error("no")), TypeError, "run must be a function");
  assertEquals([g.started, g.dead], [false, false]);
  g.run = () => "now";
  assertEquals(await g.switch(), "now");
});

// -- The end of a body --

test("Greenlet body ends: its value goes to the parent, undefined without a return", async () => {
  assertEquals(await greenlet(() => 1).switch(), 1);
  assertEquals(await greenlet(() => Promise.resolve(2)).switch(), 2);
  assertEquals(await greenlet(async () => {}).switch(), undefined);
  assertEquals(
    await greenlet(async function* () {
      yield* [];
      return 3;
    }).switch(),
    3,
  );
});

test("Greenlet body ends: control goes to the parent and not to the one who switched to it", async () => {
  const step = steps();
  const a: Greenlet = greenlet(async () => {
    step(1);
    const got = await b.switch();
    step(4);
    return got;
  });
  const b = greenlet(() => {
    step(2);
    return "from b";
  });
  assertEquals(await a.switch(), "from b");
  step(3);
  assertEquals([a.dead, b.dead, a.toString().includes("suspended")], [false, true, true]);
  assertEquals(await a.switch("late"), "late");
  step.end(5);
});

test("Greenlet body throws: the error rejects the switch of the parent", async () => {
  const error = new Error("own");
  const sync = greenlet(() => {
    throw error;
  });
  assertStrictEquals(await rejection(sync.switch()), error);
  assertStrictEquals(await rejection(greenlet(() => Promise.reject(error)).switch()), error);
  assertStrictEquals(await rejection(greenlet(() => Promise.reject("bare")).switch()), "bare");
  assertStrictEquals(sync.dead, true);
});

test("Greenlet body throws: dead ancestors are skipped", async () => {
  const upper = greenlet(() => {});
  const lower = new Greenlet(() => {}, { parent: upper });
  const raiser = new Greenlet(() => Promise.reject(new Error("far")), { parent: lower });
  await upper.switch();
  await lower.switch();
  await assertRejects(() => raiser.switch(), Error, "far");
});

test("Greenlet body throws: an ancestor that has not started dies without running", async () => {
  let ran = false;
  const upper = greenlet(() => ran = true, { name: "upper" });
  const middle = new Greenlet(() => ran = true, { parent: upper, name: "middle" });
  const raiser = new Greenlet(() => Promise.reject(new Error("through")), {
    parent: middle,
    name: "raiser",
  });
  const seen = await traced(() => assertRejects(() => raiser.switch(), Error, "through"));
  assertEquals([ran, upper.dead, middle.dead], [false, true, true]);
  assertEquals(seen, [
    "switch root raiser",
    "throw raiser middle",
    "throw middle upper",
    "throw upper root",
  ]);
});

test("Greenlet body returns: a parent that has not started is started with the value", async () => {
  const parent = greenlet((...args: unknown[]) => ["started with", ...args]);
  const child = new Greenlet(() => [1, 2], { parent });
  assertEquals(await child.switch(), ["started with", [1, 2]]);
});

test("Greenlet body returns: a parent without run makes it a TypeError further up", async () => {
  const parent = new Greenlet();
  const child = new Greenlet(() => 1, { parent });
  await assertRejects(() => child.switch(), TypeError, "run must be a function");
  assertStrictEquals(parent.dead, false);
});

test("GreenletExit that a body does not catch comes back as a value", async () => {
  class Quiet extends GreenletExit {}
  const exit = new Quiet("with message");
  assertStrictEquals(await greenlet(() => Promise.reject(exit)).switch(), exit);
  assertEquals(exit.message, "with message");
  const parent = greenlet((value: unknown) => ["parent got", value]);
  const child = new Greenlet(() => Promise.reject(exit), { parent });
  assertEquals(await child.switch(), ["parent got", exit]);
});

test("Greenlet body: yield of a generator is a switch to the parent", async () => {
  const seen: unknown[] = [];
  const g: Greenlet = greenlet(async function* (first: unknown) {
    try {
      seen.push(first, yield "one");
      await idle();
      seen.push(currentGreenlet() === g);
      yield [2];
      seen.push("never");
    } finally {
      seen.push("finally");
      yield "from finally";
    }
  });
  assertEquals(await g.switch("first"), "one");
  assertEquals(await g.switch("second"), [2]);
  assertEquals(await g.throw(), "from finally");
  assertInstanceOf(await g.switch(), GreenletExit);
  assertEquals(seen, ["first", "second", true, "finally"]);
  const plain = greenlet(function* (): Generator<number, string, string> {
    return "got " + (yield 1);
  });
  assertEquals([await plain.switch(), await plain.switch("x")], [1, "got x"]);
});

test("Greenlet body that ends without awaiting its switch rejects that switch", async () => {
  const g = greenlet(() => {
    const forgotten = rejection(main.switch("back"));
    return { forgotten };
  });
  const seen = await unhandled(async () => {
    const forgotten = await g.switch(); // "back": the value of the end finds nobody waiting
    assertEquals(forgotten, "back");
    await idle();
    assertStrictEquals(g.dead, true);
  });
  assertEquals(seen, []);
  let wait: Promise<unknown> | undefined;
  const other = greenlet(() => void (wait = rejection(main.switch())));
  await other.switch();
  assertInstanceOf(await wait, GreenletError);
});

// -- throw --

test("Greenlet.throw() raises where the greenlet is suspended, by default a GreenletExit", async () => {
  const seen: unknown[] = [];
  const g = greenlet(async () => {
    for (;;) {
      try {
        await main.switch();
      } catch (error) {
        seen.push(error);
        if (error instanceof GreenletExit) throw error;
      }
    }
  });
  await g.switch();
  const error = new RangeError("mine");
  assertEquals(await g.throw(error), undefined);
  const exit = await g.throw();
  assertInstanceOf(exit, GreenletExit);
  assertEquals(seen, [error, exit]);
  assertStrictEquals(g.dead, true);
});

test("Greenlet.throw() into one that has not started kills it without running", async () => {
  let ran = false;
  const body = () => void (ran = true);
  const g = greenlet(body);
  assertInstanceOf(await g.throw(), GreenletExit);
  assertEquals([g.dead, g.started, g.active, ran], [true, true, false, false]);
  const error = new Error("other");
  assertStrictEquals(await rejection(greenlet(body).throw(error)), error);
  const parent = bouncing();
  await parent.switch();
  const exit = new GreenletExit("through the parent");
  assertStrictEquals(await new Greenlet(body, { parent }).throw(exit), exit);
  await parent.throw();
  assertStrictEquals(ran, false);
});

test("Greenlet.throw() into a dead one: an exit comes back, an error goes to the nearest living ancestor", async () => {
  const dead = greenlet(() => {});
  await dead.switch();
  const exit = new GreenletExit("again");
  assertStrictEquals(await dead.throw(exit), exit);
  await assertRejects(() => dead.throw(new RangeError("up")), RangeError, "up");

  const seen: unknown[] = [];
  const ancestor = greenlet(async () => {
    await main.switch();
    seen.push(await rejection(main.switch()));
  });
  await ancestor.switch();
  await ancestor.switch();
  dead.parent = ancestor;
  const error = new Error("to the ancestor");
  await dead.throw(error);
  assertEquals(seen, [error]);
});

test("Greenlet.throw() on the current greenlet raises there", async () => {
  const error = new Error("here");
  assertStrictEquals(await rejection(main.throw(error)), error);
  assertInstanceOf(await rejection(main.throw()), GreenletExit);
  const g: Greenlet = greenlet(async () =>
    assertStrictEquals(await rejection(g.throw(error)), error)
  );
  await g.switch();
});

test("Greenlet.throw() sends the error to the parent of the target and not to the thrower", async () => {
  const target = bouncing();
  await target.switch();
  let back: unknown;
  const thrower = greenlet(async () => {
    back = await target.throw(new Error("past the thrower"));
  });
  await assertRejects(() => thrower.switch(), Error, "past the thrower");
  assertEquals([target.dead, thrower.dead, back], [true, false, undefined]);
  await thrower.switch("back");
  assertEquals(back, "back");
});

test("Greenlet.throw() makes a value that is no Error the cause of one", async () => {
  for (const value of ["text", 1, null, { code: 7 }]) {
    const error = await assertRejects(() => greenlet(() => {}).throw(value), Error, "no Error");
    assertEquals(error.cause, value);
  }
  assertInstanceOf(await greenlet(() => {}).throw(undefined), GreenletExit);
});

// -- Facts --

test("Greenlet.dead, started and active follow its life", async () => {
  const facts = (g: Greenlet) => [g.started, g.active, g.dead];
  const inside: unknown[] = [];
  const g: Greenlet = greenlet(async () => {
    inside.push(facts(g));
    await main.switch();
  });
  assertEquals(facts(g), [false, false, false]);
  const first = g.switch();
  assertEquals(facts(g), [true, true, false]);
  await first;
  assertEquals(facts(g), [true, true, false]);
  await g.switch();
  assertEquals(facts(g), [true, false, true]);
  assertEquals(inside, [[true, true, false]]);
  const failing = greenlet(() => Promise.reject(new Error("no")));
  await rejection(failing.switch());
  assertEquals(facts(failing), [true, false, true]);
});

test("Greenlet.parent is null in a root only, and settable with checks", async () => {
  assertStrictEquals(main.parent, null);
  const a = greenlet(() => {}, { name: "a" });
  const b = new Greenlet(() => {}, { parent: a, name: "b" });
  const c = new Greenlet(() => {}, { parent: b });
  const cycle = /^Cannot set parent of greenlet "a": parents must not form a cycle, got "b"/;
  assertMatch(assertThrows(() => a.parent = b, GreenletError).message, cycle);
  assertThrows(() => a.parent = c, GreenletError, "cycle");
  assertThrows(() => a.parent = a, GreenletError, "cycle");
  for (const wrong of [null, undefined, {}, "a"]) {
    assertThrows(() => a.parent = wrong as never, TypeError, "parent must be a greenlet");
  }
  assertThrows(() => main.parent = a, TypeError, "Cannot set parent of a root greenlet");
  assertStrictEquals(a.parent, main);
  c.parent = main;
  a.parent = c;
  assertEquals([a.parent === c, b.parent === a], [true, true]);
  await b.switch(1);
  assertEquals([a.dead, b.dead, c.dead], [true, true, true]);
  // Also in dead ones: the way up must end.
  assertThrows(() => c.parent = b, GreenletError, "cycle");
});

test("Greenlet.parent of a dead greenlet may change", async () => {
  const dead = greenlet(() => {});
  await dead.switch();
  const a = greenlet((value: unknown) => ["a", value]);
  dead.parent = a;
  assertEquals(await dead.switch("x"), ["a", "x"]);
});

test("Greenlet.parent set while it is suspended gets the value", async () => {
  const g = greenlet(async () => await main.switch());
  await g.switch();
  const log: unknown[] = [];
  g.parent = greenlet((value: unknown) => void log.push(value));
  await g.switch("end");
  assertEquals(log, ["end"]);
});

test("Greenlet.run can be read and set until the start, which drops it", async () => {
  const body = () => 1;
  const g = new Greenlet(body);
  assertStrictEquals(g.run, body);
  assertThrows(() => g.run = 5 as never, TypeError, "run must be a function, got number");
  let inside: unknown = "unset";
  g.run = () => inside = g.run;
  assertEquals(await g.switch(), undefined);
  assertEquals([inside, g.run], [undefined, undefined]);
  assertThrows(() => g.run = body, TypeError, "must not have started");
  assertStrictEquals(main.run, undefined);
  assertThrows(() => main.run = body, TypeError, "root greenlet");
});

test("Greenlet.toString() says the state", async () => {
  const g: Greenlet = greenlet(async () => {
    seen.push(`${g}`, `${main}`);
    await main.switch();
  }, { name: "g" });
  const seen = [`${g}`];
  await g.switch();
  seen.push(`${g}`, `${main}`);
  await g.switch();
  seen.push(`${g}`);
  assertEquals(seen, [
    '<Greenlet "g" pending>',
    '<Greenlet "g" current active started>',
    '<Greenlet "root" suspended active started root>',
    '<Greenlet "g" suspended active started>',
    '<Greenlet "root" current active started root>',
    '<Greenlet "g" dead>',
  ]);
  assertMatch(greenlet(() => {}).name, /^greenlet-\d+$/);
  assertEquals(Object.prototype.toString.call(g), "[object Greenlet]");
});

// -- currentGreenlet --

test("currentGreenlet() is the root outside, and the same one after awaits", async () => {
  assertEquals([main.parent, main.dead, main.active, main.name], [null, false, true, "root"]);
  await greenlet(() => idle()).switch();
  assertStrictEquals(currentGreenlet(), main);
  await idle();
  assertStrictEquals(currentGreenlet(), main);
});

test("currentGreenlet() is the greenlet of the body, after awaits and in generators too", async () => {
  const g: Greenlet = greenlet(async () => {
    const seen = [currentGreenlet()];
    await idle();
    seen.push(currentGreenlet());
    await sleep(0);
    seen.push(currentGreenlet());
    await main.switch();
    seen.push(currentGreenlet());
    const numbers = async function* () {
      yield currentGreenlet();
      await idle();
      yield currentGreenlet();
    };
    for await (const one of numbers()) seen.push(one);
    return seen.map((one) => one === g);
  });
  await g.switch();
  assertEquals(await g.switch(), [true, true, true, true, true, true]);
});

test("currentGreenlet() finds the root of a task from a context that is older than the root", async () => {
  const local = new TaskLocal(0);
  await spawn(() =>
    local.run(1, async () => {
      const inner = currentGreenlet();
      await shield(() => assertStrictEquals(currentGreenlet(), inner));
      assertEquals([inner.parent, inner === main], [null, false]);
      const g = bouncing(inner);
      assertEquals(await g.switch("x"), "x");
      await g.throw();
      return inner;
    }).then((inner) => assertStrictEquals(currentGreenlet(), inner))
  );
  local.run(1, () => assertStrictEquals(currentGreenlet(), main));
  runIn(new Context(null), () => assertStrictEquals(currentGreenlet(), main));
});

test("Greenlet body sees a copy of the task locals of its maker", async () => {
  const local = new TaskLocal("outer");
  const g = local.run("made here", () =>
    greenlet(async () => {
      const before = local.get();
      local.set("inside");
      await main.switch();
      return [before, local.get()];
    }));
  await g.switch();
  assertEquals(local.get(), "outer");
  assertEquals(await g.switch(), ["made here", "inside"]);
  assertEquals(local.get(), "outer");
});

// -- GreenletError --

test("GreenletError: a second switch from a greenlet that waits in one", async () => {
  const open = gate();
  const slow = greenlet(() => open.promise, { name: "slow" });
  const first = slow.switch();
  const other = greenlet(() => {}, { name: "other" });
  const error = await assertRejects(() => other.switch(), GreenletError);
  assertEquals(
    error.message,
    'Cannot switch to greenlet "other": the caller "root" must not wait in another switch; await that one first',
  );
  await assertRejects(() => slow.switch(), GreenletError);
  await assertRejects(() => main.switch(), GreenletError);
  await assertRejects(() => main.throw(), GreenletError);
  assertStrictEquals(other.started, false);
  open.open();
  await first;
});

test("GreenletError: a switch to a greenlet that runs, or to a dead one below it", async () => {
  const open = gate<string>();
  const busy = greenlet(() => open.promise, { name: "busy" });
  const dead = new Greenlet(() => {}, { parent: busy, name: "dead" });
  await abandon(busy);
  assertEquals(busy.toString(), '<Greenlet "busy" running active started>');
  const error = await assertRejects(() => busy.switch(), GreenletError);
  assertEquals(
    error.message,
    'Cannot switch to greenlet "busy": "busy" must be suspended in a switch, it runs',
  );
  await assertRejects(() => busy.throw(), GreenletError, "Cannot throw into");
  await assertRejects(async () => await busy[Symbol.asyncDispose](), GreenletError, "it runs");
  await dead[Symbol.asyncDispose]();
  await assertRejects(() => dead.switch(), GreenletError, '"busy" must be suspended');
  open.open("end");
  await idle();
  assertStrictEquals(busy.dead, true);
});

test("GreenletError: a switch from a greenlet that has ended", async () => {
  let left: Promise<unknown> | undefined;
  const g = greenlet(() => {
    left = idle().then(() => rejection(other.switch()));
  }, { name: "g" });
  const other = greenlet(() => {});
  await g.switch();
  const error = await left;
  assertInstanceOf(error, GreenletError);
  assertEquals((error as Error).message.includes('the caller "g" must not have ended'), true);
  assertStrictEquals(other.started, false);
});

test("GreenletError: a switch to, or a parent of, another root", async () => {
  const mine = greenlet(() => {}, { name: "mine" });
  const suspended = bouncing();
  await suspended.switch();
  const foreign = await spawn(async () => {
    assertStrictEquals(mine.parent, main);
    const error = await assertRejects(() => mine.switch(), GreenletError);
    assertMatch(error.message, /"mine": it must belong to the root of the caller/);
    await assertRejects(() => main.switch(), GreenletError, "root of the caller");
    await assertRejects(() => mine.throw(), GreenletError, "Cannot throw into");
    await assertRejects(() => suspended.switch("x"), GreenletError, "root of the caller");
    const own = greenlet(() => {});
    assertThrows(() => own.parent = mine, GreenletError, "same root");
    const adopted = new Greenlet(() => {}, { parent: mine });
    await assertRejects(() => adopted.switch(), GreenletError);
    return own;
  });
  assertEquals([mine.started, mine.dead], [false, false]);
  await assertRejects(() => foreign.switch(), GreenletError);
  await suspended.throw();
});

/** Another copy of the library, as two versions in one program would be. */
interface Copy {
  greenlet: typeof import("../src/greenlet.ts");
  current: typeof import("../src/_kernel/current.ts");
}

const copies: string[] = [];
after(() => copies.forEach((folder) => rmSync(folder, { recursive: true })));

async function copy(): Promise<Copy> {
  const folder = mkdtempSync(join(tmpdir(), "greenlet-copy-"));
  copies.push(folder);
  cpSync(fileURLToPath(new URL("../src", import.meta.url)), folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const load = (file: string) => import(pathToFileURL(join(folder, file)).href);
  return { greenlet: await load("greenlet.ts"), current: await load("_kernel/current.ts") };
}

test("GreenletError: a parent of another copy of the library", async () => {
  const other = await copy();
  const foreign = other.greenlet.currentGreenlet() as unknown as Greenlet;
  assert(!(foreign instanceof Greenlet));
  assertThrows(() => new Greenlet(() => {}, { parent: foreign }), GreenletError, "another copy");
  const g = greenlet(() => {});
  assertThrows(() => g.parent = foreign, GreenletError, "this copy of the library");
  // Its own verbs work from here: we are its root.
  assertEquals(await greenlet(() => other.greenlet.greenlet(() => "b").switch()).switch(), "b");
});

test("currentGreenlet(), constructor, setTrace() and refused switches enter no context", async () => {
  const { greenlet: { currentGreenlet, Greenlet, setTrace }, current } = await copy();
  const root = currentGreenlet();
  const g = new Greenlet(() => 1);
  await root.switch();
  await rejection(root.throw());
  await rejection(new Greenlet().switch());
  setTrace(setTrace(null));
  assertStrictEquals(current.contextsInUse(), false);
  await g.switch();
  assertStrictEquals(current.contextsInUse(), true);
});

test("Greenlet.switch() knows the caller on a host that cannot carry a context", async () => {
  const { greenlet: { currentGreenlet, greenlet }, current } = await copy();
  const { getBuiltinModule } = process;
  process.getBuiltinModule = (() => undefined) as typeof getBuiltinModule;
  try {
    assertStrictEquals(current.contextTravels(), false);
  } finally {
    process.getBuiltinModule = getBuiltinModule;
  }
  const root = currentGreenlet();
  const seen: unknown[] = [];
  const first = greenlet(async () => {
    seen.push(12, currentGreenlet() === first);
    await idle();
    await second.switch();
    seen.push(34, currentGreenlet() === first);
  });
  const second = greenlet(async () => {
    seen.push(56, currentGreenlet() === second);
    await first.switch();
    seen.push(78, currentGreenlet() === second);
  });
  await first.switch();
  seen.push(currentGreenlet() === root);
  await second.switch();
  seen.push(currentGreenlet() === root);
  assertEquals(seen, [12, true, 56, true, 34, true, true, 78, true, true]);
});

// -- setTrace --

test("setTrace() tells of switches, throws and ends, with the target as the current greenlet", async () => {
  const seen = await traced(async () => {
    const a = greenlet(async () => {
      await idle();
      await main.switch();
      throw new Error("end");
    }, { name: "a" });
    await a.switch();
    await rejection(a.switch());
  });
  assertEquals(seen, ["switch root a", "switch a root", "switch root a", "throw a root"]);
});

test("setTrace() tells of a switch to oneself and of a way around the dead", async () => {
  const dead = greenlet(() => {}, { name: "dead" });
  await dead.switch();
  const seen = await traced(async () => {
    await main.switch();
    await rejection(main.throw());
    await dead.switch();
    await dead.throw();
    await rejection(dead.throw(new Error("up")));
    await greenlet(() => {}, { name: "unborn" }).throw();
  });
  assertEquals(seen, [
    "switch root root",
    "throw root root",
    "switch root root",
    "switch root root",
    "throw root root",
    "throw root unborn",
    "switch unborn root",
  ]);
});

test("setTrace() gives the former tracer and takes only functions and null", () => {
  const first = () => {};
  assertStrictEquals(setTrace(first), null);
  assertThrows(
    () => setTrace("x" as never),
    TypeError,
    "callback must be a function or null, got string",
  );
  assertThrows(() => setTrace(undefined as never), TypeError, "got undefined");
  assertStrictEquals(setTrace(null), first);
  assertStrictEquals(setTrace(null), null);
});

test("setTrace() removes a tracer that throws; its error is thrown into the target", async () => {
  const error = new Error("tracer");
  const bad = () => {
    throw error;
  };
  // Into one that is suspended, one that starts, the parent of one that ends, and oneself.
  const got: unknown[] = [];
  const g = greenlet(async () => {
    got.push(await rejection(main.switch()));
  });
  await g.switch();
  setTrace(bad);
  await g.switch("lost");
  assertStrictEquals(setTrace(null), null);
  assertEquals(got, [error]);

  let ran = false;
  const unborn = greenlet(() => ran = true);
  setTrace(bad);
  assertStrictEquals(await rejection(unborn.switch()), error);
  assertEquals([ran, unborn.dead, setTrace(null)], [false, true, null]);

  const ends = greenlet(() => setTrace(bad));
  assertStrictEquals(await rejection(ends.switch()), error);
  assertStrictEquals(setTrace(bad), null);
  assertStrictEquals(await rejection(main.switch()), error);
  assertStrictEquals(setTrace(null), null);
});

test("setTrace() may kill the task that gets control: its switch rejects and the value is dropped", async () => {
  const task = spawn(async () => {
    const g = greenlet(() => Promise.resolve(1));
    return await g.switch();
  });
  const reason = new Error("from the tracer");
  setTrace((_event, _origin, target) => {
    if (target.parent === null) void task.kill(reason);
  });
  await task.join();
  setTrace(null);
  assertEquals([task.state, task.error], ["killed", reason]);
});

// -- Tasks --

test("Greenlet roots: two tasks and the program switch side by side", async () => {
  const seen: string[] = [];
  const rounds = async (name: string) => {
    const root = currentGreenlet();
    const g = greenlet(async () => {
      for (;;) {
        await sleep(0);
        await root.switch(currentGreenlet() === g);
      }
    });
    for (let i = 0; i < 3; i++) seen.push(`${name}${i}${await g.switch()}`);
    await g.throw(); // ends in the sleep's place: it is suspended in its switch
    return root;
  };
  const tasks = [spawn(rounds, "a"), spawn(rounds, "b")];
  const own = await rounds("m");
  const roots = [await tasks[0]!, await tasks[1]!, own];
  assertEquals(new Set(roots).size, 3);
  assertStrictEquals(own, main);
  assertEquals(seen.filter((entry) => entry.startsWith("a")), ["a0true", "a1true", "a2true"]);
  assertEquals(seen.length, 9);
  assertEquals(seen.slice(0, 3).map((entry) => entry[0]).sort(), ["a", "b", "m"]);
});

test("Task.kill() rejects the switch that the task waits in; the suspended stay suspended", async () => {
  const step = steps();
  const open = gate();
  const reason = new Error("killed");
  const seen: unknown[] = [];
  let suspended: Greenlet | undefined;
  const task = spawn(async () => {
    const root = currentGreenlet();
    suspended = bouncing(root);
    await suspended.switch();
    const busy = greenlet(async () => {
      await open.promise;
      seen.push(await rejection(suspended!.switch())); // killed: before any effect
      return "dropped";
    });
    step(1);
    seen.push(await rejection(busy.switch()));
    step(2);
    assertEquals(suspended.toString().includes("suspended active"), true);
    seen.push(await rejection(suspended.switch()), await rejection(suspended.throw()));
    const unborn = greenlet(() => seen.push("never"));
    seen.push(await rejection(unborn.switch()), await rejection(root.switch()));
    assertEquals([unborn.started, suspended.dead], [false, false]);
    await suspended[Symbol.asyncDispose](); // clean-up is shielded
    throw reason;
  });
  await idle();
  void task.kill(reason);
  await task.join();
  step(3);
  assertEquals([task.state, suspended!.dead], ["killed", true]);
  assertEquals(await unhandled(() => Promise.resolve(open.open())), []);
  step.end(4);
  assertEquals(seen, [reason, reason, reason, reason, reason, reason]);
});

test("Task.kill() reaches the other waits in bodies, and their end is reported to nobody", async () => {
  const seen: unknown[] = [];
  const errors = await unhandled(async () => {
    const task = spawn(() =>
      greenlet(async () => {
        const inner = greenlet(async () => {
          try {
            await sleep(Infinity);
          } catch (error) {
            seen.push(error);
            throw error;
          }
        });
        try {
          await inner.switch(); // suspended, out of reach: the end of `inner` brings the error
        } catch (error) {
          seen.push(error);
          throw error;
        }
      }).switch()
    );
    await idle();
    assertEquals(seen, []);
    assertStrictEquals(await task.kill(), true);
    await idle();
    assertStrictEquals(task.state, "killed");
  });
  assertEquals(errors, []);
  assertEquals(seen.map((error) => error instanceof KilledError), [true, true]);
  assertStrictEquals(seen[0], seen[1]);
});

test("Greenlet body that has ended leaves what goes on in it to the task", async () => {
  await spawn(async () => {
    const g = greenlet(() => currentContext());
    const context = await g.switch<Context>();
    void currentTask()!.kill();
    assertEquals([currentContext()!.cancelled, context.cancelled], [true, true]);
  });
});

test("Task.kill() arrives at the yield of a generator body", async () => {
  const seen: unknown[] = [];
  const task = spawn(async () => {
    const g = greenlet(async function* () {
      await open.promise;
      try {
        yield "never gets there";
      } catch (error) {
        seen.push(error);
      }
    });
    seen.push(await rejection(g.switch()));
    open.open();
    await shield(idle);
    seen.push(g.dead);
  });
  const open = gate();
  await idle();
  await task.kill();
  assertEquals([seen.length, seen[0] === seen[1], seen[2]], [3, true, true]);
  assertInstanceOf(seen[0], KilledError);
});

test("Task.kill() after the hand-over comes too late for that switch", async () => {
  const seen: unknown[] = [];
  const task = spawn(async () => {
    const root = currentGreenlet();
    const g = greenlet(async () => {
      const back = root.switch("handed over");
      void task.kill();
      await back;
    });
    seen.push(await g.switch());
    await g[Symbol.asyncDispose]();
    seen.push(g.dead);
    await sleep(0);
  });
  await task.join();
  assertEquals([task.state, seen], ["killed", ["handed over", true]]);
});

test("Greenlet body ends while its parent waits in no switch: a value is dropped", async () => {
  const open = gate<string>();
  const g = greenlet(() => open.promise);
  const errors = await unhandled(async () => {
    await abandon(g);
    open.open("nobody wants it");
    await idle();
  });
  assertEquals([g.dead, errors], [true, []]);
  assertEquals(await main.switch("alive"), "alive");
});

test("Greenlet body throws while its parent waits in no switch: the error is reported once", async () => {
  const error = new Error("nobody to catch it");
  for (const thrown of [error, new GreenletExit()]) {
    const open = gate();
    const g = greenlet(() => open.promise);
    const errors = await unhandled(async () => {
      await abandon(g);
      open.fail(thrown);
      await idle();
    });
    assertStrictEquals(g.dead, true);
    assertEquals(errors, thrown === error ? [error] : []);
  }
});

test("Greenlet body that fails of a foreign kill is reported: only the own kill is silent", async () => {
  const victim = spawn(() => sleep(Infinity));
  const g = greenlet(() => victim.get());
  const errors = await unhandled(async () => {
    await abandon(g);
    await victim.kill();
    await idle();
  });
  assertEquals(errors, [victim.error]);
});

// -- Disposal --

test("Greenlet[Symbol.asyncDispose]() runs finally blocks and keeps the end from the parent", async () => {
  const log: unknown[] = [];
  const parent = greenlet(async () => {
    for (;;) log.push(["parent got", await main.switch()]);
  });
  await parent.switch();
  const g = new Greenlet(async () => {
    try {
      await main.switch();
    } finally {
      await idle();
      log.push("cleaned");
    }
  }, { parent });
  await g.switch();
  await g[Symbol.asyncDispose]();
  assertEquals([log, g.dead, g.parent === parent], [["cleaned"], true, true]);
  await g[Symbol.asyncDispose]();
  await parent[Symbol.asyncDispose]();

  let ran = false;
  const unborn = greenlet(() => ran = true);
  await unborn[Symbol.asyncDispose]();
  assertEquals([ran, unborn.dead], [false, true]);
  await assertRejects(async () => await main[Symbol.asyncDispose](), GreenletError, "root");
});

test("Greenlet[Symbol.asyncDispose]() rejects if the exit is caught, with what is thrown instead", async () => {
  const stubborn = greenlet(async () => {
    await main.switch().catch(() => {});
    await main.switch();
  });
  await stubborn.switch();
  const dispose = async () => await stubborn[Symbol.asyncDispose]();
  const error = await assertRejects(dispose, GreenletError);
  assertMatch(error.message, /must let the GreenletExit through/);
  assertStrictEquals(stubborn.active, true);
  await dispose();
  assertStrictEquals(stubborn.dead, true);

  const instead = new Error("instead");
  const failing = greenlet(() => main.switch().catch(() => Promise.reject(instead)));
  await failing.switch();
  assertStrictEquals(await rejection(failing[Symbol.asyncDispose]()), instead);
});

// -- Values --

test("Greenlet.switch() awaits a thenable that goes over alone, and not one in an array", async () => {
  assertEquals(await main.switch(Promise.resolve(1)), 1);
  const g = greenlet(async () => {
    for (;;) await main.switch();
  });
  await g.switch();
  const inner = Promise.resolve(2);
  assertStrictEquals((await main.switch<unknown[]>([inner]))[0], inner);
  await g.throw();
});

test("Task.kill() rejects the second switch to a greenlet as it does the first", async () => {
  const open = gate();
  const reason = new Error("killed");
  const seen: unknown[] = [];
  const task = spawn(async () => {
    const root = currentGreenlet();
    const g = greenlet(async () => {
      await root.switch(1);
      await open.promise;
      return "dropped";
    });
    seen.push(await g.switch());
    seen.push(await rejection(g.switch()));
    throw reason;
  });
  await idle();
  void task.kill(reason);
  await idle();
  assertEquals([task.state, ...seen], ["killed", 1, reason]);
  assertEquals(await unhandled(() => Promise.resolve(open.open())), []);
});

test("Greenlet[Symbol.asyncDispose]() that is refused leaves the one under way as it is", async () => {
  const main = currentGreenlet(), hold = gate();
  const parent = new Greenlet(async () => {
    await main.switch();
  });
  await parent.switch();
  const g = new Greenlet(async () => {
    try {
      await main.switch();
    } finally {
      await hold.promise;
    }
  }, { parent });
  await g.switch();
  const first = outcome(g[Symbol.asyncDispose]());
  await assertRejects(async () => await g[Symbol.asyncDispose](), GreenletError, "another switch");
  hold.open();
  await idle();
  assertEquals([first.state, g.dead, parent.dead], ["resolved", true, false]);
  await parent[Symbol.asyncDispose]();
});
