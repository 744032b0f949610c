// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The rate limit: bursts, even refill, order, and never more than the rate in any window; on a clock
 * that the test moves, but for one look at real time.
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
import fc from "fast-check";
import { test } from "node:test";
import { Clock, clock, type TimeSource } from "../src/_kernel/clock.ts";
import type { WaitOptions } from "../src/_kernel/waiter.ts";
import { Channel } from "../src/channel.ts";
import { TimeoutError } from "../src/errors.ts";
import { joinAll } from "../src/join.ts";
import { RateLimit, rateLimit, type RatePermit } from "../src/rate_limit.ts";
import { select, trySelect } from "../src/select.ts";
import { sleep } from "../src/sleep.ts";
import { spawn } from "../src/spawn.ts";
import { virtualTime } from "../src/testing/mod.ts";
import { wait } from "../src/wait.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { type Outcome, outcome, rejection } from "./outcome.ts";
import { assertRefuses, inKilledTask, livingTask } from "./waits.ts";

noLeaks();

/** Takes all there is at once. */
function empty(limit: RateLimit): number {
  let count = 0;
  while (limit.tryAcquire() !== undefined) count++;
  return count;
}

const states = (waits: Array<Outcome<unknown>>) => waits.map(({ state }) => state === "resolved");

// -- Construction --

test("rateLimit() is a RangeError or TypeError for what is no rate", () => {
  for (const tokens of [0, -1, 1.5, NaN, Infinity, "1" as never, undefined as never]) {
    assertThrows(() => rateLimit({ tokens, per: 1 }), RangeError, "tokens must be an integer >= 1");
  }
  for (const per of [0, -1, NaN, Infinity, -Infinity]) {
    assertThrows(() => rateLimit({ tokens: 1, per }), RangeError, "Cannot create rate limit: per");
  }
  for (const per of ["1", undefined, null, {}]) {
    assertThrows(() => rateLimit({ tokens: 1, per: per as never }), TypeError, "per must be a");
  }
  assertThrows(() => rateLimit(undefined as never), TypeError);
  const limit = rateLimit({ tokens: 1, per: 0.5 });
  assertInstanceOf(limit, RateLimit);
  assertEquals(Object.prototype.toString.call(limit), "[object RateLimit]");
});

// -- Burst and refill --

test("RateLimit begins full, and gives a burst of its size at once", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 3, per: 30 });
  assertEquals(limit.value, 3);
  const permit = await limit.acquire();
  assertEquals([permit.weight, limit.value], [1, 2]);
  await limit.acquire({ timeout: 0, weight: 2 });
  assertEquals([limit.value, limit.tryAcquire(), time.size], [0, undefined, 0]);
});

test("RateLimit refills evenly, a token every per / tokens, up to its size", () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 3, per: 30 });
  assertEquals(empty(limit), 3);
  const values = [0, 9, 1, 5, 5, 9, 1, 100].map((ms) => {
    time.advance(ms);
    return limit.value;
  });
  assertEquals(values, [0, 0, 1, 1, 2, 2, 3, 3]);
  time.advance(1e9);
  assertEquals(empty(limit), 3);
});

test("RateLimit does not drift over many intervals that do not divide evenly", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 3, per: 10 }), waits: Array<Outcome<unknown>> = [];
  empty(limit);
  for (let i = 0; i < 300; i++) waits.push(outcome(limit.acquire()));
  for (let ms = 1; ms <= 1001; ms++) {
    time.advance(1);
    await idle();
    const granted = states(waits).filter((it) => it).length;
    // By rounding a timer may be a hair late, and this clock then shows it a step later.
    assert(
      granted <= ms * 0.3 + 1e-6 && granted >= Math.floor((ms - 1) * 0.3),
      `${granted} at ${ms}`,
    );
  }
  assertEquals(time.size, 0);
});

test("RateLimit.acquire() parks until its token is there, in order of arrival", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 2, per: 20 });
  empty(limit);
  const waits = [1, 2, 3].map(() => outcome(limit.acquire()));
  const after = async (ms: number) => {
    time.advance(ms);
    await idle();
    return states(waits);
  };
  assertEquals(await after(9), [false, false, false]);
  assertEquals(await after(1), [true, false, false]);
  assertEquals(await after(9), [true, false, false]);
  assertEquals(await after(1), [true, true, false]);
  assertEquals(await after(10), [true, true, true]);
  assertEquals([limit.value, time.size], [0, 0]);
});

test("RateLimit.acquire() is served in time though others come while it waits", async () => {
  using time = new ManualClock();
  // Each way to stand in line behind the first.
  const ways: Array<(limit: RateLimit, options: WaitOptions) => Promise<unknown>> = [
    (limit, options) => limit.acquire(options),
    (limit, options) => select([limit], options),
    (limit, options) => wait([limit], options),
    (limit) => Promise.resolve(limit.tryAcquire()),
  ];
  for (const way of ways) {
    const limit = rateLimit({ tokens: 1, per: 100 }), controller = new AbortController();
    empty(limit);
    const first = outcome(limit.acquire({ signal: controller.signal }));
    const seen: string[] = [];
    for (let ms = 25; ms <= 150; ms += 25) {
      time.advance(25);
      await idle();
      seen.push(first.state);
      way(limit, { signal: controller.signal }).catch(() => {});
    }
    controller.abort("enough");
    assertEquals(seen, ["pending", "pending", "pending", "resolved", "resolved", "resolved"]);
  }
});

test("RateLimit serves a stream of comers at its rate", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 1, per: 90 }), times: number[] = [];
  empty(limit);
  const controller = new AbortController(), { signal } = controller;
  for (let ms = 30; ms <= 600; ms += 30) {
    time.advance(30);
    limit.acquire({ signal }).then(() => times.push(time.now()), () => {});
    await idle();
  }
  controller.abort("enough");
  assertEquals(times, [90, 180, 270, 360, 450, 540]);
});

test("RateLimit.acquire() does not barge: neither does tryAcquire()", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 4, per: 40 });
  limit.tryAcquire({ weight: 2 });
  const large = outcome(limit.acquire({ weight: 3 })), small = outcome(limit.acquire());
  assertEquals([limit.value, limit.tryAcquire()], [2, undefined]);
  await idle();
  assertEquals(states([large, small]), [false, false]);
  time.advance(10);
  await idle();
  assertEquals([states([large, small]), limit.tryAcquire()], [[true, false], undefined]);
  time.advance(10);
  await idle();
  assertEquals(small.value?.weight, 1);
});

test("RateLimit.acquire() serves several whose tokens came while nobody looked", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 3, per: 30 });
  empty(limit);
  const waits = [1, 1, 2].map((weight) => outcome(limit.acquire({ weight })));
  time.advance(1000); // a stalled program: no more than the bucket holds
  await idle();
  assertEquals(states(waits), [true, true, false]);
  time.advance(10);
  await idle();
  assertEquals(states(waits), [true, true, true]);
});

test("RateLimit is a RangeError with a weight that is no integer from 1 to its size", async () => {
  const limit = rateLimit({ tokens: 2, per: 1000 });
  for (const weight of [0, -1, 1.5, NaN, Infinity, 3, "1" as never]) {
    await assertRejects(() => limit.acquire({ weight }), RangeError, "integer from 1 to 2");
    assertThrows(() => limit.tryAcquire({ weight }), RangeError, "Cannot acquire: weight");
  }
  assertEquals([limit.value, limit.tryAcquire({ weight: 2 })?.weight], [2, 2]);
});

test("RatePermit gives nothing back: release() and using do nothing", async () => {
  using _time = new ManualClock();
  const limit = rateLimit({ tokens: 2, per: 20 });
  {
    using permit = await limit.acquire();
    permit.release();
    permit.release();
  }
  assertEquals(limit.value, 1);
  limit.tryAcquire()!.release();
  assertEquals(limit.value, 0);
});

// -- Timers --

test("RateLimit has one timer, exactly while somebody waits", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 1, per: 10 }), controller = new AbortController();
  const { signal } = controller;
  const sizes = [time.size];
  empty(limit);
  sizes.push(time.size);
  const waits = [limit.acquire(), limit.acquire({ signal }), select([limit], { signal })];
  const watched = wait([limit], { signal });
  sizes.push(time.size);
  time.advance(10);
  await waits[0];
  sizes.push(time.size);
  controller.abort("no");
  sizes.push(time.size);
  assertEquals(sizes, [0, 0, 1, 1, 0]);
  assertEquals(await Promise.all([waits[1]!, waits[2]!, watched].map(rejection)), [
    "no",
    "no",
    "no",
  ]);
  time.advance(10);
  assertEquals([limit.value, time.size], [1, 0]);
});

test("RateLimit serves on a virtual clock that jumps from timer to timer, late in its life", async () => {
  // The next deadline is all such a clock goes by: rounding must not make a timer fire too early for
  // its token, again and again at the same time.
  for (const [start, tokens, per] of [[0, 3, 10], [1e4, 1000, 1], [1e6, 7, 1], [1e9, 3, 10]]) {
    const source = new JumpingTime(start!);
    const former = clock.on;
    clock.on = new Clock(source);
    try {
      const limit = rateLimit({ tokens: tokens!, per: per! });
      empty(limit);
      const waits = Array.from({ length: 20 }, () => outcome(limit.acquire()));
      for (let jumps = 0; clock.on.next !== undefined && jumps < 200; jumps++) {
        source.jump(clock.on);
      }
      await idle();
      assertEquals(states(waits).filter((it) => !it).length, 0, `${tokens} per ${per} at ${start}`);
      assert(source.looks < 5000, `looks at the time ${source.looks} times`);
    } finally {
      clock.on = former;
    }
  }
});

/** Goes from deadline to deadline, and stands still while timers fire. */
class JumpingTime implements TimeSource {
  looks = 0;
  #now: number;

  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    // Timers that fire at the same time for ever would hang the test.
    if (++this.looks > 100_000) throw new Error("The clock is asked for ever");
    return this.#now;
  }

  arm(): void {}

  jump(on: Clock): void {
    this.#now = Math.max(this.#now, on.next!);
    on.fire();
  }
}

// -- Ended from outside --

test("RateLimit.acquire() is refused in a killed task and for an aborted signal, and takes nothing", async () => {
  const limit = rateLimit({ tokens: 1, per: 60_000 });
  await assertRefuses((options) => limit.acquire(options));
  await assertRefuses((options) => select([limit], options));
  assertEquals(limit.value, 1);
});

test("RateLimit.acquire() ends by abort, kill and timeout, has taken nothing, and those behind proceed", async () => {
  using time = new ManualClock();
  const waits: Array<(limit: RateLimit, options?: WaitOptions) => Promise<unknown>> = [
    (limit, options) => limit.acquire({ weight: 3, ...options }),
    (limit, options) => limit.acquire(options),
    (limit, options) => select({ limit }, options),
    (limit, options) => select([limit, limit], options),
  ];
  for (const waiting of waits) {
    for (const how of ["abort", "kill", "timeout"]) {
      const limit = rateLimit({ tokens: 3, per: 30 }), controller = new AbortController();
      empty(limit);
      const living = await livingTask(), reason = new Error("killed");
      const ended = rejection(
        how === "abort"
          ? waiting(limit, { signal: controller.signal })
          : how === "timeout"
          ? waiting(limit, { timeout: 6 })
          : living.call(() => waiting(limit)),
      );
      const behind = outcome(limit.acquire());
      time.advance(6);
      if (how === "abort") controller.abort(reason);
      if (how === "kill") void living.task.kill(reason);
      const error = await ended;
      if (how === "timeout") assertInstanceOf(error, TimeoutError);
      else assertStrictEquals(error, reason);
      await idle();
      assertEquals(behind.state, "pending", how);
      time.advance(4);
      await idle();
      assertEquals([behind.state, limit.value, time.size], ["resolved", 0, 0], how);
      await living.end();
    }
  }
});

test("RateLimit.acquire() of a large weight that ends lets those behind it in at once", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 3, per: 30 }), controller = new AbortController();
  limit.tryAcquire();
  const large = rejection(limit.acquire({ weight: 3, signal: controller.signal }));
  const behind = [1, 1, 1].map(() => outcome(limit.acquire()));
  controller.abort("no");
  assertEquals([await large, time.size], ["no", 1]);
  await idle();
  assertEquals(states(behind), [true, true, false]);
  time.advance(10);
  await idle();
  assertEquals(states(behind), [true, true, true]);
});

test("RateLimit.acquire() twice with one signal takes nothing when it aborts", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 3, per: 30 }), controller = new AbortController();
  const { signal } = controller;
  limit.tryAcquire();
  const both = [
    outcome(limit.acquire({ weight: 3, signal })),
    outcome(limit.acquire({ signal })),
  ];
  controller.abort("no");
  await idle();
  assertEquals(both.map(({ error }) => error), ["no", "no"]);
  assertEquals([limit.value, time.size], [2, 0]);
});

test("RateLimit.acquire() that was served keeps its token when the end comes later", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 1, per: 10 }), controller = new AbortController();
  empty(limit);
  const aborted = limit.acquire({ signal: controller.signal });
  time.advance(10);
  controller.abort("too late");
  assertEquals([(await aborted).weight, limit.value], [1, 0]);
  const task = spawn(() => limit.acquire());
  await idle();
  time.advance(10);
  void task.kill();
  assertEquals([(await task).weight, limit.value], [1, 0]);
});

test("RateLimit.tryAcquire() serves in a killed task", async () => {
  const limit = rateLimit({ tokens: 1, per: 60_000 });
  const got = await inKilledTask(() => [limit.tryAcquire()?.weight, limit.tryAcquire()]);
  assertEquals(got, [1, undefined]);
});

// -- select and wait --

test("RateLimit as a case of select takes one token when chosen, and none when it loses", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 2, per: 20 }), ch = new Channel<number>({ capacity: 1 });
  const got = await select({ limit });
  assertEquals([got.key, got.value?.weight, got.done, limit.value], ["limit", 1, false, 1]);
  ch.trySend(7);
  assertEquals((await select({ ch, limit }, { priority: true })).key, "ch");
  assertEquals(limit.value, 1);
  empty(limit);
  assertEquals(trySelect({ limit }), undefined);
  const loses = select({ limit, ch });
  await idle();
  ch.trySend(8);
  assertEquals([(await loses).key, time.size], ["ch", 0]);
  const waiting = outcome(select({ limit, ch }));
  time.advance(10);
  await idle();
  assertEquals([waiting.value?.key, limit.value, time.size], ["limit", 0, 0]);
});

test("RateLimit in a select waits in line", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 2, per: 20 });
  limit.tryAcquire();
  const large = outcome(limit.acquire({ weight: 2 }));
  assertEquals(trySelect([limit]), undefined, "one is there, but not for those behind");
  const selected = outcome(select([limit, limit]));
  time.advance(10);
  await idle();
  assertEquals(states([large, selected]), [true, false]);
  time.advance(10);
  await idle();
  assertEquals(states([large, selected]), [true, true]);
  assertEquals(limit.value, 0);
});

test("wait() on a rate limit only waits until a token is there", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 1, per: 10 });
  assertEquals([(await wait([limit])).length, limit.value], [1, 1]);
  empty(limit);
  const first = outcome(wait([limit])), taken = outcome(limit.acquire());
  const second = outcome(wait([limit]));
  time.advance(10);
  await idle();
  assertEquals([states([first, second]), taken.state], [[false, false], "resolved"]);
  time.advance(10);
  await idle();
  assertEquals([states([first, second]), limit.value, time.size], [[true, true], 1, 0]);
});

// -- Never more than the rate --

interface Grant {
  at: number;
  weight: number;
}

/** Asserts that no window holds more than `most` of it allows. */
function assertRate(grants: Grant[], most: (ms: number) => number): void {
  for (let from = 0; from < grants.length; from++) {
    let sum = 0;
    for (let to = from; to < grants.length; to++) {
      sum += grants[to]!.weight;
      const ms = grants[to]!.at - grants[from]!.at;
      assert(sum <= most(ms) + 1e-6, `${sum} in ${ms} ms`);
    }
  }
}

interface Step {
  advance: number;
  acquires: Array<{ weight: number; timeout: number | null; how: "acquire" | "try" | "select" }>;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    advance: fc.oneof(fc.nat(8), fc.constantFrom(0, 1, 50)),
    acquires: fc.array(
      fc.record({
        weight: fc.integer({ min: 1, max: 4 }),
        timeout: fc.constantFrom(null, null, null, 0, 7, 20),
        how: fc.constantFrom(
          "acquire" as const,
          "acquire" as const,
          "try" as const,
          "select" as const,
        ),
      }),
      { maxLength: 3 },
    ),
  }),
  { minLength: 1, maxLength: 40, size: "max" },
);

test("RateLimit serves as soon as it may, in order, and never more in any window, random programs", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(1, 2, 4),
      steps,
      async (tokens, perToken, program) => {
        using time = new ManualClock();
        const limit = rateLimit({ tokens, per: tokens * perToken });
        const grants: Grant[] = [];
        // The model: the level in milliseconds' worth, powers of two per token, so that both are exact.
        let now = 0, level = tokens * perToken;
        let line: Array<{ weight: number; deadline: number; id: number }> = [];
        const expected: number[] = [], real: number[] = [];
        let lastId = 0;
        const serve = (): void => {
          while (line.length > 0 && level >= line[0]!.weight * perToken) {
            level -= line[0]!.weight * perToken;
            expected.push(line.shift()!.id);
          }
        };
        /** Limits are over half a ms before now; who leaves lets those behind in, one after the other. */
        const expire = (): void => {
          const over = line.filter(({ deadline }) => deadline <= now);
          for (const one of over.sort((a, b) => a.deadline - b.deadline || a.id - b.id)) {
            if (!line.includes(one)) continue;
            line = line.filter((other) => other !== one);
            serve();
          }
        };
        const granted = (id: number, weight: number): void => {
          real.push(id);
          grants.push({ at: time.now(), weight });
        };
        for (const { advance, acquires } of program) {
          for (let ms = 0; ms < advance; ms++) {
            time.advance(1);
            now++;
            level = Math.min(tokens * perToken, level + 1);
            expire();
            serve();
            await idle();
          }
          for (const { weight: wanted, timeout, how } of acquires) {
            const weight = how === "select" ? 1 : Math.min(wanted, tokens), id = ++lastId;
            if (how === "try") {
              const free = line.length === 0 && level >= weight * perToken;
              const permit = limit.tryAcquire({ weight });
              assertEquals(permit !== undefined, free);
              if (permit === undefined) continue;
              level -= weight * perToken;
              grants.push({ at: time.now(), weight });
              continue;
            }
            const options = { timeout: timeout === null ? undefined : timeout + 0.5 };
            const acquired: Promise<unknown> = how === "select"
              ? select([limit], options)
              : limit.acquire({ weight, ...options });
            acquired.then(() => granted(id, weight), () => {});
            line.push({ weight, deadline: now + (options.timeout ?? Infinity), id });
            serve();
          }
          await idle();
          assertEquals(real, expected);
          assertEquals(limit.value, Math.floor(level / perToken));
        }
        assertRate(grants, (ms) => tokens + ms / perToken);
        while (line.length > 0) {
          time.advance(1);
          now++;
          level = Math.min(tokens * perToken, level + 1);
          expire();
          serve();
        }
        await idle();
        assertEquals([real, time.size], [expected, 0]);
      },
    ),
    { seed: 20261121, numRuns: 200 },
  );
});

test("RateLimit never gives more than tokens and elapsed / per in any window, in real time", async () => {
  const tokens = 5, per = 25, grants: Grant[] = [];
  const limit = rateLimit({ tokens, per });
  const tasks = Array.from({ length: 8 }, (_, n) =>
    spawn(async () => {
      for (let i = 0; i < 6; i++) {
        const weight = 1 + (n + i) % 2;
        const permit: RatePermit = n === 0
          ? (await select([limit])).value!
          : await limit.acquire({ weight });
        grants.push({ at: performance.now(), weight: permit.weight });
        if (n === 1) await sleep(3);
      }
    }));
  await joinAll(tasks, { raiseError: true });
  assertEquals(grants.length, 48);
  // A grant is noted a little after it was made, on a slow host a burst after it: hence twice the tokens.
  assertRate(grants, (ms) => 2 * tokens + (ms + 1) / (per / tokens));
});

test("RateLimit that was used in virtual time counts on from what is left there", async () => {
  using time = new ManualClock();
  const limit = rateLimit({ tokens: 2, per: 20 });
  await virtualTime(async () => {
    for (let i = 0; i < 100; i++) await limit.acquire();
  });
  assertEquals(limit.value, 0);
  const acquired = outcome(limit.acquire());
  time.advance(9);
  await idle();
  assertEquals(acquired.state, "pending");
  time.advance(1);
  await idle();
  assertEquals([acquired.state, limit.value], ["resolved", 0]);
  time.advance(1000);
  assertEquals(limit.value, 2);
});

test("RateLimit that was made in virtual time goes on in real time", async () => {
  using time = new ManualClock();
  const limit = await virtualTime(async () => {
    await sleep(86_400_000);
    const limit = rateLimit({ tokens: 2, per: 20 });
    await limit.acquire({ weight: 2 });
    return limit;
  });
  assertEquals(limit.value, 0);
  time.advance(10);
  assertEquals(limit.value, 1);
});
