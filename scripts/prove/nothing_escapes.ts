// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Proof 4: random programs full of failures, kills, limits and late rejections, in random orders,
 * while the host counts what reaches it.
 *
 * @module
 */

import { clock } from "../../src/_kernel/clock.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import {
  after,
  Broadcast,
  Channel,
  Condition,
  coroutine,
  currentTask,
  Deferred,
  dump,
  Event,
  greenlet,
  joinAll,
  killAll,
  mapStage,
  merge,
  Mutex,
  onUnhandled,
  pipeline,
  Pool,
  produce,
  Queue,
  type Scope,
  scope,
  select,
  Semaphore,
  shield,
  sleep,
  spawn,
  spawnLater,
  type Task,
  until,
  wait,
  withTimeout,
} from "../../mod.ts";
import { idle } from "../../tests/idle.ts";
import { ManualClock } from "../../tests/manual_clock.ts";
import type { ProofOptions } from "../prove.ts";
import { Random } from "./_random.ts";
import { Shuffle } from "./_shuffle.ts";

/** The wording of RELIABILITY.md. */
export const promise =
  "4. No failure, kill or late rejection reaches the host as an unhandled rejection or an uncaught exception, whatever the schedule, and none is told twice";

const MOST_TASKS = 60;
/** Virtual milliseconds after which all that lives is killed. */
const LONGEST = 40;

/** Runs programs until the budget is spent. */
export async function prove(
  { seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const escaped: unknown[] = [];
  const rejected = (event: PromiseRejectionEvent): void => {
    event.preventDefault();
    escaped.push(event.reason);
  };
  const thrown = (event: ErrorEvent): void => {
    event.preventDefault();
    escaped.push(event.error);
  };
  globalThis.addEventListener("unhandledrejection", rejected);
  globalThis.addEventListener("error", thrown);
  const counts = { programs: 0, tasks: 0, failures: 0, kills: 0, "told to hooks": 0, escaped: 0 };
  const end = performance.now() + budgetMs;
  try {
    await proveThatItWouldBeSeen(escaped);
    for (let at = seed; performance.now() < end; at++) {
      const world = new World(at);
      await world.run();
      if (escaped.length > 0) world.wrong.push(`escaped to the host: ${escaped.map(String)}`);
      if (world.wrong.length > 0) {
        throw new Error(`Cannot hold promise 4 with --seed ${at}: ${world.wrong.join("; ")}`);
      }
      counts.programs++;
      counts.tasks += world.tasks.length;
      counts.failures += world.failures;
      counts.kills += world.kills;
      counts["told to hooks"] += world.told;
    }
  } finally {
    globalThis.removeEventListener("unhandledrejection", rejected);
    globalThis.removeEventListener("error", thrown);
  }
  report(`${counts.programs} programs, nothing escaped`);
  return counts;
}

/** Without a hook a failure that nobody observes must reach the listeners: else they see nothing. */
async function proveThatItWouldBeSeen(escaped: unknown[]): Promise<void> {
  const error = new Error("seen");
  spawn(() => {
    throw error;
  });
  await idle();
  await idle();
  if (escaped.length !== 1 || escaped[0] !== error) {
    throw new Error(`Cannot count what escapes: one rejection must be seen, got ${escaped.length}`);
  }
  escaped.length = 0;
}

/** One random program. */
class World {
  readonly tasks: Task[] = [];
  readonly wrong: string[] = [];
  failures = 0;
  kills = 0;
  told = 0;
  readonly #random: Random;
  readonly #channels: Array<Channel<number>>;
  readonly #semaphore = new Semaphore(2);
  readonly #mutex = new Mutex();
  readonly #condition = new Condition(this.#mutex);
  readonly #event = new Event();
  readonly #queue = new Queue<number>(1);
  readonly #pool = new Pool(2);
  readonly #broadcast = new Broadcast<number>({ replay: 1 });
  #deferred = new Deferred<number>();
  #draining = false;
  readonly #abort = new AbortController();

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#channels = [0, 1, 2].map((capacity) => new Channel<number>({ capacity }));
  }

  async run(): Promise<void> {
    const random = this.#random;
    const waiters = liveWaiters();
    using time = new ManualClock();
    const seen = new Map<unknown, Set<Task | undefined>>();
    using _told = onUnhandled((error, task) => {
      const tasks = seen.get(error) ?? new Set();
      if (tasks.has(task)) this.wrong.push(`told twice: ${error}`);
      seen.set(error, tasks.add(task));
      this.told++;
    });
    {
      using _order = random.chance(0.5) ? new Shuffle(random) : undefined;
      for (let n = 3 + random.below(5); n > 0; n--) this.#spawn(0);
      for (let now = 0; now < LONGEST; now++) {
        if (random.chance(0.3)) this.#kill();
        await idle();
        time.advance(1);
      }
      this.#draining = true;
      for (const channel of this.#channels) channel.cancel();
      this.#queue.close({ discard: true });
      this.#broadcast.close();
      this.#abort.abort(new Error("over"));
      for (let round = 0; this.tasks.some((task) => !task.ready); round++) {
        if (round > 200) {
          this.wrong.push(`does not end: ${dump()}`);
          break;
        }
        for (const task of this.tasks) if (!task.ready) void task.kill();
        void this.#pool.kill();
        // A kill does not reach those behind a shield: they get what they wait for.
        this.#deferred.resolve(0);
        this.#semaphore.release(2);
        this.#event.set();
        await idle();
        time.advance(1);
      }
      // The foreign promises that nobody waits for any more.
      for (let late = 0; late < 10; late++) {
        time.advance(1);
        await idle();
      }
    }
    await idle();
    if (this.wrong.length > 0) return;
    if (liveWaiters() !== waiters) this.wrong.push(`waits are left: ${dump()}`);
    if (time.size > 0) this.wrong.push(`${time.size} timers are left`);
  }

  #fail(): never {
    this.failures++;
    throw new Error(`failure ${this.failures}`);
  }

  #kill(): void {
    const alive = this.tasks.filter((task) => !task.ready);
    if (alive.length === 0) return;
    this.kills++;
    const task = this.#random.pick(alive);
    // The promise of a kill is the caller's; one that nobody looks at must do no harm.
    void task.kill(this.#random.chance(0.3) ? new Error("reason") : undefined);
  }

  #spawn(depth: number, into?: Scope): Task<void> | undefined {
    if (this.tasks.length >= MOST_TASKS || this.#draining) return undefined;
    const body = () => this.#body(depth);
    const random = this.#random;
    let task: Task<void>;
    try {
      task = into !== undefined
        ? into.spawn({ daemon: random.chance(0.2) }, body)
        : random.chance(0.2)
        ? spawnLater(random.below(4), body)
        : spawn(body);
    } catch {
      return undefined; // the scope was killed
    }
    this.tasks.push(task as Task);
    if (random.chance(0.2)) task.link(() => random.chance(0.3) ? this.#fail() : undefined);
    return task;
  }

  async #body(depth: number): Promise<void> {
    for (let n = 1 + this.#random.below(4); n > 0; n--) {
      const quiet = this.#random.chance(0.5);
      try {
        await this.#step(depth);
      } catch (error) {
        if (!quiet) throw error;
      } finally {
        if (this.#random.chance(0.1)) await sleep(1).catch(() => {});
      }
    }
  }

  async #step(depth: number): Promise<unknown> {
    const random = this.#random;
    const channel = random.pick(this.#channels);
    const options = random.chance(0.3)
      ? { timeout: random.below(4) }
      : random.chance(0.2)
      ? { signal: this.#abort.signal }
      : {};
    const deeper = (): Promise<void> => depth < 3 ? this.#body(depth + 1) : sleep(1);
    switch (random.below(30)) {
      case 0:
      case 1:
        return this.#fail();
      case 2:
        return await channel.send(1, options);
      case 3:
        return await channel.receive(options);
      case 4:
        return await select({ a: channel, b: random.pick(this.#channels), t: after(2) }, options);
      case 5:
        return await select({ a: this.#late(), b: channel.sending(2), c: this.#late() }, options);
      case 6:
        return await until(this.#late(), options);
      case 7:
        return await wait([this.#late(), this.#event, this.#late()], { count: 1, timeout: 3 });
      case 8:
        return await withTimeout(
          random.below(4),
          deeper,
          random.chance(0.5) ? { fallback: 0 } : {},
        );
      case 9:
        return await scope(async (s) => {
          for (let n = random.below(4); n > 0; n--) this.#spawn(depth + 1, s);
          if (random.chance(0.2)) s.kill();
          await deeper();
        }, { supervise: random.chance(0.3) });
      case 10:
        return await shield(deeper, random.chance(0.5) ? { timeout: 2 } : {});
      case 11:
        return await this.#spawn(depth + 1);
      case 12:
        return void this.#spawn(depth + 1);
      case 13:
        return await joinAll(random.chance(0.5) ? this.#some() : [], {
          raiseError: random.chance(0.5),
          killOthers: random.chance(0.3),
          timeout: 3,
        });
      case 14:
        return void killAll(this.#some());
      case 15:
        return await this.#pool.spawn(() => random.chance(0.5) ? this.#fail() : sleep(1));
      case 16:
        return await this.#pool.map(() => random.chance(0.2) ? this.#fail() : sleep(1), [1, 2, 3]);
      case 17:
        for await (
          const _ of this.#pool.imap((n) => n === 2 ? this.#fail() : sleep(1), [1, 2, 3])
        ) {
          if (random.chance(0.3)) break;
        }
        return;
      case 18: {
        const source = produce(() => this.#generate(), { capacity: random.below(2) });
        for await (const _ of source) if (random.chance(0.3)) break;
        return;
      }
      case 19: {
        const double = mapStage((n: number) => n === 3 ? this.#fail() : sleep(1), {
          concurrency: 2,
        });
        for await (const _ of pipeline(this.#generate(), double, this.#stage())) {
          if (random.chance(0.2)) break;
        }
        return;
      }
      case 20:
        return await this.#mutex.withLock(async () => {
          if (random.chance(0.5)) this.#condition.notifyAll();
          else await this.#condition.wait({ timeout: 2 });
          if (random.chance(0.3)) this.#fail();
        }, options);
      case 21:
        return await this.#semaphore.withPermit(deeper, {
          ...options,
          weight: 1 + random.below(2),
        });
      case 22:
        return random.chance(0.5)
          ? await this.#queue.put(1, options)
          : await this.#queue.get(options);
      case 23: {
        const body = () => this.#generate();
        await using echo = coroutine(body)();
        await echo.next();
        return await echo.send(undefined as never);
      }
      case 24: {
        await using g = greenlet(async () => {
          await sleep(1);
          return random.chance(0.5) ? this.#fail() : 1;
        });
        return random.chance(0.5) ? await g.switch() : await g.throw(new Error("thrown"));
      }
      case 25: {
        using subscriber = this.#broadcast.subscribe({ capacity: 1 });
        if (random.chance(0.5)) return await this.#broadcast.send(1, { timeout: 2 });
        return await subscriber.receive({ timeout: 2 });
      }
      case 26:
        for await (const _ of merge(this.#channels[1]!, this.#channels[2]!)) {
          if (random.chance(0.7)) break;
        }
        return;
      case 27: {
        const deferred = this.#deferred;
        if (random.chance(0.5)) return await deferred.get(options);
        this.#deferred = new Deferred();
        return random.chance(0.5) ? deferred.reject(new Error("rejected")) : deferred.resolve(1);
      }
      case 28: {
        const fed = Channel.from(this.#generate(), { capacity: 1 });
        await sleep(1).finally(() => fed.cancel());
        return;
      }
      default:
        if (random.chance(0.3)) this.#event.set();
        return await sleep(random.below(3), options);
    }
  }

  /** Tasks younger than the caller: two that wait, shielded, for each other's end are a deadlock. */
  #some(): Task[] {
    const own = currentTask()?.id ?? 0;
    return this.tasks.filter(({ id }) => id > own && this.#random.chance(0.2));
  }

  /** A foreign promise that settles late, often after everybody has left. */
  #late(): Promise<number> {
    const fails = this.#random.chance(0.6);
    const ms = this.#random.below(6);
    // On the clock of the program, but in no task.
    const late = new Promise<number>((resolve, reject) => {
      clock.on.set(
        { timeUp: () => fails ? reject(new Error("late")) : resolve(1) },
        ms,
      );
    });
    return late;
  }

  async *#generate(): AsyncGenerator<number, void, unknown> {
    try {
      for (let n = 1; n <= 4; n++) {
        if (this.#random.chance(0.2)) await sleep(1);
        if (this.#random.chance(0.1)) this.#fail();
        yield n;
      }
    } finally {
      if (this.#random.chance(0.3)) await sleep(1).catch(() => {});
      if (this.#random.chance(0.1)) this.#fail();
    }
  }

  #stage(): (input: AsyncIterable<unknown>) => AsyncGenerator<number, void, undefined> {
    const fail = (): void => {
      if (this.#random.chance(0.1)) this.#fail();
    };
    return async function* stage(input) {
      try {
        for await (const _ of input) {
          fail();
          yield 1;
        }
      } finally {
        fail();
      }
    };
  }
}
