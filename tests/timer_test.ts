// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Time as a case: once after the select began, and again and again without bursts.
 *
 * @module
 */

import { assert, assertEquals, assertGreater, assertRejects, assertThrows } from "@std/assert";
import { test } from "node:test";
import { clock } from "../src/_kernel/clock.ts";
import { Channel } from "../src/channel.ts";
import { TimeoutError } from "../src/errors.ts";
import { select, trySelect } from "../src/select.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { virtualTime } from "../src/testing/mod.ts";
import { after, every, Ticker } from "../src/timer.ts";
import { wait } from "../src/wait.ts";
import { enlisted, noneEnlisted } from "./enlisted.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";

noLeaks();
noneEnlisted();

/** A manual clock that gives up when it is looked at without end. */
class PatientClock extends ManualClock {
  #looks = 0;

  override now(): number {
    if (++this.#looks > 10_000) throw new Error("the clock is looked at for ever");
    return super.now();
  }
}

/** Keeps the thread for `ms` milliseconds. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

// -- after --

test("after() starts with the select, not when it is made", async () => {
  using time = new ManualClock();
  const late = after(10);
  time.advance(50);
  const seen = outcome(select({ late, cold: new Channel() }));
  time.advance(9);
  await idle();
  assertEquals(seen.state, "pending");
  time.advance(1);
  await idle();
  assertEquals(seen.value, { key: "late", value: undefined, done: false });
});

test("after() starts anew each time it is listed", async () => {
  using time = new ManualClock();
  const late = after(10);
  for (let round = 0; round < 3; round++) {
    const seen = outcome(select({ late }));
    time.advance(9);
    await idle();
    assertEquals(seen.state, "pending", `round ${round}`);
    time.advance(1);
    await idle();
    assertEquals(seen.value?.key, "late");
  }
  const first = outcome(select({ late }));
  time.advance(5);
  const second = outcome(select({ late }));
  time.advance(5);
  await idle();
  assertEquals([first.state, second.state], ["resolved", "pending"]);
  time.advance(5);
  await idle();
  assertEquals(second.state, "resolved");
});

test("after() loses to a case that is served first and leaves no timer", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>();
  const waits = select({ ch, late: after(10), later: after(20) });
  assertEquals(time.size, 2);
  ch.trySend(1);
  assertEquals(time.size, 0);
  assertEquals((await waits).key, "ch");
});

test("after() that comes first takes the timers of the others back", async () => {
  using time = new ManualClock();
  const waits = select({ b: after(20), a: after(10), c: after(10) }, { timeout: 30 });
  time.advance(100); // all are due in one go
  assertEquals(time.size, 0);
  assertEquals((await waits).key, "a");
});

test("after(0) is beaten by any case that is ready", async () => {
  for (let i = 0; i < 20; i++) {
    const ch = new Channel<number>({ capacity: 1 });
    ch.trySend(i);
    assertEquals((await select({ now: after(0), ch }, { priority: true })).key, "ch");
  }
  assertEquals(trySelect({ now: after(0) }), undefined);
  assertEquals((await select({ now: after(0), cold: new Channel() })).key, "now");
});

test("after(Infinity) and one beyond the host's longest timer never come", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>();
  const waits = select({ never: after(Infinity), long: after(2 ** 40), ch });
  time.advance(2 ** 39);
  await idle();
  ch.trySend(1);
  assertEquals((await waits).key, "ch");
});

test("after() beyond the host's longest timer does not come at once", async () => {
  const seen = outcome(select({ long: after(2 ** 31) }, { timeout: 20 }));
  await rejection(select({ never: after(Infinity) }, { timeout: 25 }));
  assert(seen.error instanceof TimeoutError);
});

test("after() never comes early on the host's clock", async () => {
  for (const ms of [0.5, 1, 3.7]) {
    const start = performance.now();
    await select({ late: after(ms) });
    assertGreater(performance.now() - start, ms - 0.001);
  }
});

test("after() refuses what is no time", () => {
  for (const ms of [-1, NaN, -Infinity]) {
    assertThrows(() => after(ms), RangeError, `Cannot wait after: ms must be >= 0`);
  }
  for (const ms of ["5", null, undefined, 5n]) {
    assertThrows(() => after(ms as never), TypeError, "Cannot wait after: ms must be a number");
  }
});

test("after() can be waited for by wait()", async () => {
  using time = new ManualClock();
  const short = after(5), long = after(10);
  const waits = wait([long, short], { count: 1 });
  time.advance(5);
  assertEquals((await waits).length, 1);
  assertEquals(time.size, 0);
});

// -- every --

test("every() ticks each ms, counted from when it was made", async () => {
  using time = new ManualClock();
  using ticks = every(10);
  time.advance(7);
  const seen = outcome(select({ ticks }));
  time.advance(2);
  await idle();
  assertEquals(seen.state, "pending");
  time.advance(1);
  await idle();
  assertEquals(seen.value, { key: "ticks", value: 1, done: false });
  assertEquals(trySelect({ ticks }), undefined);
  time.advance(10);
  assertEquals(trySelect({ ticks }), { key: "ticks", value: 1, done: false });
  time.advance(10);
  assertEquals(await ticks.wait(), 1);
});

test("every() makes one tick of those that were missed, and keeps its beat", async () => {
  using time = new ManualClock();
  using ticks = every(10);
  time.advance(35);
  assertEquals(await ticks.wait(), 3);
  assertEquals(trySelect({ ticks }), undefined);
  const seen = outcome(ticks.wait());
  time.advance(4);
  await idle();
  assertEquals(seen.state, "pending");
  time.advance(1); // 40
  await idle();
  assertEquals(seen.value, 1);
  time.advance(1000);
  assertEquals(trySelect({ ticks })?.value, 100);
});

test("every() coalesces ticks for one who waits through a stall", async () => {
  using time = new ManualClock();
  using ticks = every(10);
  const first = outcome(ticks.wait()), second = outcome(ticks.wait());
  time.advance(35);
  await idle();
  assertEquals([first.value, second.state], [3, "pending"]);
  time.advance(5);
  await idle();
  assertEquals(second.value, 1);
});

test("every() gives no burst after the loop was blocked", async () => {
  using ticks = every(5);
  block(60);
  assertGreater(await ticks.wait() ?? 0, 10);
  const next = outcome(ticks.wait());
  await Promise.resolve();
  await Promise.resolve();
  assertEquals(next.state, "pending");
  await select({ ticks, late: after(100) });
  await idle();
  assertEquals(next.state, "resolved");
});

test("every() serves those who wait one tick each, first come first served", async () => {
  using time = new ManualClock();
  using ticks = every(10);
  const seen = [outcome(ticks.wait()), outcome(select({ ticks })), outcome(ticks.wait())];
  for (let served = 1; served <= 3; served++) {
    time.advance(10);
    await idle();
    assertEquals(seen.filter(({ state }) => state === "resolved").length, served);
    assertEquals(seen[served - 1]!.state, "resolved");
  }
  assertEquals(time.size, 0);
});

test("every() has a timer only while somebody waits", async () => {
  using time = new ManualClock();
  const controller = new AbortController();
  const ticks = every(10);
  assertEquals(time.size, 0);
  const waits = [
    rejection(ticks.wait({ signal: controller.signal })),
    rejection(select({ ticks }, { signal: controller.signal })),
  ];
  assertEquals(time.size, 1, "one for both");
  controller.abort("enough");
  assertEquals(time.size, 0);
  assertEquals(await Promise.all(waits), ["enough", "enough"]);

  const ch = new Channel<number>();
  const lost = select({ ticks, ch });
  assertEquals(time.size, 1);
  ch.trySend(1);
  assertEquals(time.size, 0);
  await lost;

  const got = ticks.wait();
  time.advance(10);
  assertEquals(await got, 1);
  assertEquals(time.size, 0);
  const task = spawn(() => ticks.wait());
  await idle();
  assertEquals(time.size, 1);
  await task.kill();
  assertEquals(time.size, 0);
});

test("every() does not serve a tick that another has taken before its timer came", async () => {
  using time = new ManualClock();
  using ticks = every(10);
  const seen = outcome(ticks.wait());
  // The time has come, the timer not yet: a stalled loop.
  const former = clock.on.now;
  clock.on.now = () => 10;
  assertEquals(trySelect({ ticks })?.value, 1);
  clock.on.now = former;
  time.advance(10);
  await idle();
  assertEquals(seen.state, "pending");
  time.advance(10);
  await idle();
  assertEquals(seen.value, 1);
});

test("every() ends when disposed of: who waits is told, and nothing comes any more", async () => {
  using time = new ManualClock();
  const ticks = every(10);
  const waiting = ticks.wait(), selecting = select({ ticks, cold: new Channel() });
  const looping = (async () => {
    let count = 0;
    for await (const _ of ticks) count++;
    return count;
  })();
  await idle();
  ticks[Symbol.dispose]();
  ticks[Symbol.dispose]();
  assertEquals(time.size, 0);
  assertEquals(await waiting, undefined);
  assertEquals(await selecting, { key: "ticks", value: undefined, done: true });
  assertEquals(await looping, 0);
  time.advance(50);
  assertEquals(await ticks.wait(), undefined);
  assertEquals(trySelect({ ticks }), { key: "ticks", value: undefined, done: true });
});

test("every() listed twice in a select gives its tick once", async () => {
  using time = new ManualClock();
  using ticks = every(10);
  const waits = select({ a: ticks, b: ticks });
  time.advance(10);
  assertEquals(await waits, { key: "a", value: 1, done: false });
  assertEquals([time.size, enlisted(), trySelect({ ticks })], [0, 0, undefined]);
});

test("every() can be looped over, and again after a break", async () => {
  using ticks = every(1);
  for (let loop = 0; loop < 2; loop++) {
    let count = 0;
    for await (const tick of ticks) {
      assertGreater(tick, 0);
      if (++count === 3) break;
    }
    assertEquals(count, 3);
  }
});

test("every() with a period that is no binary fraction comes round and round", async () => {
  for (const ms of [0.7, 0.1, 1 / 3]) {
    using time = new PatientClock();
    using ticks = every(ms);
    let sum = 0;
    const task = spawn(async () => {
      for await (const tick of ticks) {
        sum += tick;
        if (sum >= 20) break;
      }
    });
    for (let step = 0; step < 25; step++) {
      await idle();
      time.advance(ms);
    }
    await task;
    assertEquals(sum, 20, `every(${ms})`);
  }
});

test("Ticker.wait() ends by signal, limit and kill, and leaves nothing", async () => {
  using time = new ManualClock();
  using ticks = every(10);
  const controller = new AbortController();
  const listeners = countListeners(controller.signal);
  const late = rejection(ticks.wait({ timeout: 5 }));
  const aborted = rejection(ticks.wait({ signal: controller.signal }));
  const task = spawn(() => ticks.wait());
  await idle();
  time.advance(5);
  controller.abort("enough");
  const reason = new Error("reason");
  void task.kill(reason);
  assertEquals([((await late) as TimeoutError).ms, await aborted, await rejection(task)], [
    5,
    "enough",
    reason,
  ]);
  assertEquals([time.size, listeners.active], [0, 0]);
  assertEquals(await rejection(ticks.wait({ signal: AbortSignal.abort("gone") })), "gone");
  time.advance(5);
  assertEquals(await ticks.wait({ timeout: 0 }), 1);
  await assertRejects(() => ticks.wait({ timeout: -1 }), RangeError);
});

test("every() refuses what is no period", () => {
  for (const ms of [0, -1, NaN, Infinity, -Infinity]) {
    assertThrows(() => every(ms), RangeError, "Cannot tick every: ms must be");
  }
  for (const ms of ["5", null, undefined]) {
    assertThrows(() => every(ms as never), TypeError, "Cannot tick every: ms must be a number");
  }
  const ticks = new Ticker(5);
  assertEquals(Object.prototype.toString.call(ticks), "[object Ticker]");
});

test("every() that is forgotten keeps nothing alive, without disposal", () => {
  every(1000);
  assertEquals(clock.on.size, 0);
});

test("Ticker iterator.return() settles a next() that waits, and leaves no timer", async () => {
  using ticks = every(60_000);
  const iterator = ticks[Symbol.asyncIterator]();
  const waiting = iterator.next();
  assertEquals(clock.on.size, 1);
  await iterator.return!();
  assertEquals([await waiting, clock.on.size], [{ done: true, value: undefined }, 0]);
  assertEquals(await iterator.next(), { done: true, value: undefined });
});

test("Ticker that was used in virtual time ticks on from its end", async () => {
  using time = new ManualClock();
  using ticks = every(10);
  await virtualTime(async () => {
    await ticks.wait();
    for (let i = 0; i < 100; i++) assertEquals(await ticks.wait(), 1);
  });
  const next = outcome(ticks.wait());
  time.advance(9);
  await idle();
  assertEquals(next.state, "pending");
  time.advance(1);
  await idle();
  assertEquals([next.state, next.value], ["resolved", 1]);
  time.advance(25);
  assertEquals(await ticks.wait(), 2);
});

test("Ticker that was made in virtual time ticks on in real time", async () => {
  using time = new ManualClock();
  using ticks = await virtualTime(async () => {
    await sleep(86_400_000);
    return every(10);
  });
  assertEquals(trySelect({ ticks }), undefined);
  time.advance(10);
  assertEquals(trySelect({ ticks })?.value, 1);
});
