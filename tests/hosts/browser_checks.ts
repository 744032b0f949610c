// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What must hold on a host that knows no current task: `scripts/browser.ts` runs these checks in a
 * browser against the built package, tests/hosts/browser_test.ts everywhere else.
 *
 * @module
 */

import {
  after,
  Channel,
  type ChannelClosedError,
  coroutine,
  currentGreenlet,
  currentTask,
  dump,
  Event,
  every,
  greenlet,
  joinAll,
  KilledError,
  mapStage,
  pipeline,
  Pool,
  produce,
  Queue,
  scope,
  select,
  Semaphore,
  shield,
  sleep,
  spawn,
  Task,
  TimeoutError,
  until,
  withTimeout,
} from "@baozi/baozi";

function same(actual: unknown, expected: unknown): void {
  const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (got !== wanted) throw new Error(`expected ${wanted}, got ${got}`);
}

/** What `fn` rejects with. */
async function rejection(fn: () => PromiseLike<unknown>): Promise<Error> {
  try {
    await fn();
  } catch (error) {
    return error as Error;
  }
  throw new Error("resolved instead of rejecting");
}

/** The checks by name; each throws what is wrong. */
export const CHECKS: Record<string, () => Promise<void>> = {
  "a channel hands over in order, and ends at close": async () => {
    const ch = new Channel<number>();
    const producer = spawn(async () => {
      for (let n = 0; n < 100; n++) await ch.send(n);
      ch.close();
    });
    const seen: number[] = [];
    for await (const n of ch) seen.push(n);
    await producer;
    same(seen, Array.from({ length: 100 }, (_, n) => n));
    same((await rejection(() => ch.send(1)) as ChannelClosedError).value, 1);
  },

  "a channel is a stream of the platform": async () => {
    const reader = Channel.from(["a", "b"]).toReadableStream().getReader();
    const first = await reader.read(), second = await reader.read();
    same([first.value, second.value, (await reader.read()).done], ["a", "b", true]);
  },

  "select takes one case and loses nothing": async () => {
    const a = new Channel<number>({ capacity: 1 }), b = new Channel<number>();
    a.trySend(1);
    same((await select({ a, b, late: after(60_000) })).key, "a");
    same((await select({ a, late: after(1) })).key, "late");
    same(b.trySend(2), false);
  },

  "a task gets itself as its last argument, and a kill reaches its waits by its signal":
    async () => {
      const task = spawn(async (ms: number, self?: Task) => {
        same([(self ?? currentTask()) instanceof Task, ms], [true, 60_000]);
        await sleep(ms, { signal: (self ?? currentTask()!).signal });
      }, 60_000);
      await sleep(1);
      same(await task.kill(), true);
      same([task.state, task.error instanceof KilledError], ["killed", true]);
    },

  "joinAll, pools and scopes wait for their tasks": async () => {
    const tasks = [3, 1, 2].map((n) => spawn(() => sleep(n * 20).then(() => n)));
    same((await joinAll(tasks)).map(({ value }) => value), [1, 2, 3]);
    same(await new Pool(2).map((n) => sleep(1).then(() => n * 2), [1, 2, 3]), [2, 4, 6]);
    const error = await rejection(() =>
      scope((s) => {
        s.spawn(() => Promise.reject(new Error("first")));
      })
    );
    same(error.message, "first");
  },

  "limits, shields and foreign promises": async () => {
    const error = await rejection(() => withTimeout(5, (signal) => sleep(60_000, { signal })));
    same([error instanceof TimeoutError, (error as TimeoutError).ms], [true, 5]);
    same(await shield(() => sleep(1).then(() => "clean")), "clean");
    same(
      await rejection(() => until(new Promise(() => {}), { timeout: 1 })).then(({ name }) => name),
      "TimeoutError",
    );
  },

  "coroutines, producers and pipelines": async () => {
    const doubled = coroutine(async function* () {
      let n = 0;
      while (true) n = 2 * ((yield n) as number);
    })();
    same([await doubled.send(1), await doubled.send(4)], [2, 8]);
    await doubled.close();
    const seen: number[] = [];
    const source = produce(async function* () {
      yield* [1, 2, 3];
    });
    for await (const n of pipeline(source, mapStage((n: number) => n + 1))) seen.push(n);
    same(seen, [2, 3, 4]);
  },

  "greenlets switch": async () => {
    const main = currentGreenlet();
    const g = greenlet(async (n: number) => {
      const more = await main.switch(n + 1) as number;
      return n + more;
    });
    same([await g.switch(1), await g.switch(10), g.dead], [2, 11, true]);
  },

  "queues, semaphores, events and tickers": async () => {
    const queue = new Queue<string>(1), semaphore = new Semaphore(1), event = new Event();
    const got = queue.get();
    await queue.put("job");
    same(await got, "job");
    const permit = await semaphore.acquire();
    const waiting = semaphore.acquire();
    permit.release();
    (await waiting).release();
    setTimeout(() => event.set(), 1);
    same(await event.wait(), true);
    let ticks = 0;
    const ticker = every(2);
    for await (const _ of ticker) if (++ticks === 3) break;
    ticker[Symbol.dispose]?.();
    same(ticks, 3);
  },

  "a loop of sleep(0) leaves timers their turn": async () => {
    let fired = false;
    setTimeout(() => {
      fired = true;
    }, 1);
    for (const end = performance.now() + 10_000; !fired && performance.now() < end;) await sleep(0);
    same(fired, true);
  },

  "nothing is left": () => {
    same(dump().tasks.length, 0);
    return Promise.resolve();
  },
};
