// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * The soak: everything at once on the host's clock, under random kills, round after round. Nothing may
 * be left after a round, no value may be lost or doubled, and the heap must stay flat.
 *
 * @module
 */

import { clock } from "../../src/_kernel/clock.ts";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import { liveTasks } from "../../src/task.ts";
import {
  after,
  Barrier,
  Broadcast,
  Channel,
  Condition,
  coroutine,
  currentGreenlet,
  Deferred,
  dump,
  Event,
  every,
  greenlet,
  joinAll,
  mapStage,
  merge,
  Mutex,
  onUnhandled,
  pipeline,
  Pool,
  produce,
  Queue,
  rateLimit,
  scope,
  select,
  Semaphore,
  shield,
  sleep,
  spawn,
  spawnLater,
  type Task,
  TaskLocal,
  until,
  wait,
  WaitGroup,
  withTimeout,
} from "../../mod.ts";
import { idle } from "../../tests/idle.ts";
import type { ProofOptions } from "../prove.ts";
import { Random } from "./_random.ts";

/** The wording of RELIABILITY.md. */
export const promise =
  "Soak: everything mixed under random kills leaves no wait, no timer, no task, loses no value, and keeps the heap flat";

/** A minute for every run; the short form of the others takes seconds. */
export const shortMs = 60_000;

const ROUND_MS = 120;
/** How many do something at the same time. */
const ACTORS = 40;
/** What the heap may grow from the middle third of the samples to the last, in bytes. */
const FLAT = 768 * 1024;

/** Runs rounds until the budget is spent. */
export async function prove(
  { seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const collect = (globalThis as { gc?: () => void }).gc;
  const counts = { rounds: 0, operations: 0, kills: 0, values: 0, failures: 0 };
  const heap: number[] = [];
  const escaped: unknown[] = [];
  const rejected = (event: PromiseRejectionEvent): void => {
    event.preventDefault();
    escaped.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", rejected);
  const end = performance.now() + budgetMs;
  let told = performance.now();
  try {
    for (let at = seed; performance.now() < end; at++) {
      const round = new Round(at);
      await round.run();
      counts.rounds++;
      counts.operations += round.operations;
      counts.kills += round.kills;
      counts.values += round.values;
      counts.failures += round.failures;
      if (escaped.length > 0) round.wrong.push(`escaped to the host: ${escaped.map(String)}`);
      if (round.wrong.length > 0) {
        throw new Error(`Cannot soak with --seed ${at}: ${round.wrong.join("; ")}`);
      }
      if (collect !== undefined) {
        collect();
        heap.push(Deno.memoryUsage().heapUsed);
      }
      if (performance.now() - told > 60_000) {
        told = performance.now();
        report(`${counts.rounds} rounds, heap ${kilobytes(heap.at(-1) ?? 0)} KB`);
      }
    }
  } finally {
    // Else the error that ends this very proof would be one that was seen to.
    globalThis.removeEventListener("unhandledrejection", rejected);
  }
  const third = Math.floor(heap.length / 3);
  const before = median(heap.slice(third, 2 * third)), after = median(heap.slice(2 * third));
  const grown = third === 0 ? 0 : after - before;
  report(`${counts.rounds} rounds, the heap has grown by ${kilobytes(grown)} KB`);
  if (grown > FLAT) {
    throw new Error(
      `Cannot soak: the heap must stay flat, got ${kilobytes(before)} then ${kilobytes(after)} KB`,
    );
  }
  return { ...counts, "heap KB": kilobytes(after), "heap growth KB": kilobytes(grown) };
}

function kilobytes(bytes: number): number {
  return Math.round(bytes / 1024);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** What went into a channel or queue, and what came out. */
class Account {
  taken = 0;
  given = 0;
  undelivered = 0;
}

/** One round: fresh things, many who use them, and one who kills. */
class Round {
  readonly wrong: string[] = [];
  operations = 0;
  kills = 0;
  values = 0;
  failures = 0;
  readonly #random: Random;
  readonly #victims: Set<Task> = new Set();
  readonly #loose: Set<Task> = new Set();
  readonly #accounts: Account[] = [];
  readonly #channels: Array<Channel<number>>;
  readonly #queue = new Queue<number>(2);
  readonly #queued = new Account();
  readonly #pool = new Pool(4);
  readonly #semaphore = new Semaphore(3);
  readonly #mutex = new Mutex();
  readonly #condition = new Condition(this.#mutex);
  readonly #barrier = new Barrier(2);
  readonly #event = new Event();
  readonly #broadcast = new Broadcast<number>({ replay: 2 });
  readonly #limit = rateLimit({ tokens: 20, per: 10 });
  readonly #local = new TaskLocal(0);
  readonly #abort = new AbortController();
  readonly #actions: Array<() => unknown>;

  constructor(seed: number) {
    this.#random = new Random(seed);
    const channel = (
      capacity: number,
      overflow: "wait" | "drop-oldest" | "drop-newest" = "wait",
    ): Channel<number> => {
      const account = new Account();
      this.#accounts.push(account);
      return new Channel<number>({
        capacity,
        overflow,
        onUndelivered: () => account.undelivered++,
      });
    };
    this.#channels = [
      channel(0),
      channel(1),
      channel(8),
      channel(2, "drop-oldest"),
      channel(2, "drop-newest"),
    ];
    this.#actions = this.#allActions();
  }

  async run(): Promise<void> {
    const random = this.#random;
    const waiters = liveWaiters(), timers = clock.on.size;
    {
      using _told = onUnhandled(() => this.failures++);
      const end = performance.now() + ROUND_MS;
      await scope(async (s) => {
        for (let n = 0; n < ACTORS; n++) s.spawn({ daemon: true }, () => this.#act());
        while (performance.now() < end) {
          await sleep(random.below(3));
          for (const victim of this.#victims) {
            if (!random.chance(0.05)) continue;
            this.kills++;
            void victim.kill();
          }
        }
      });
      await joinAll(this.#loose);
      // Outside of all tasks, where what is kept is kept for ever.
      for (let n = 0; n < 500; n++) await withTimeout(60_000, () => n);
      await this.#pool.kill();
      this.#broadcast.close();
      this.#abort.abort(new Error("over"));
      await idle();
    }
    this.#balance();
    await idle();
    if (liveTasks().length > 0 || liveWaiters() !== waiters) {
      this.wrong.push(`something is left: ${dump()}`);
    }
    if (clock.on.size !== timers) this.wrong.push(`${clock.on.size - timers} timers are left`);
    if (outsideWaits() !== 0) this.wrong.push(`${outsideWaits()} waits on the host are left`);
    if (this.#semaphore.value !== 3) this.wrong.push(`${this.#semaphore.value} of 3 permits`);
    if (this.#mutex.locked) this.wrong.push("the mutex is held");
    if (this.#pool.running > 0 || this.#pool.waiting > 0) this.wrong.push("the pool is not empty");
    if (this.#broadcast.subscribers > 0) this.wrong.push("a subscriber is left");
    if (this.#barrier.waiting > 0) this.wrong.push("somebody is left at the barrier");
  }

  /** Every value that was taken was given to one receiver, or called undelivered. */
  #balance(): void {
    for (const [i, channel] of this.#channels.entries()) {
      channel.cancel();
      const { taken, given, undelivered } = this.#accounts[i]!;
      this.values += taken;
      if (taken !== given + undelivered) {
        this.wrong.push(`channel ${i} took ${taken}, gave ${given} and dropped ${undelivered}`);
      }
    }
    const left = this.#queue.size;
    this.#queue.close({ discard: true });
    this.values += this.#queued.taken;
    if (this.#queued.taken !== this.#queued.given + left) {
      this.wrong.push(
        `the queue took ${this.#queued.taken}, gave ${this.#queued.given} of ${left}`,
      );
    }
  }

  /** Does one thing after the other, each in a task that may be killed at any moment. */
  async #act(): Promise<void> {
    for (;;) {
      await using victim = spawn(this.#random.pick(this.#actions));
      this.#victims.add(victim);
      try {
        await victim.join();
      } finally {
        this.#victims.delete(victim);
      }
      this.operations++;
      if (victim.state === "failed") this.failures++;
      if (this.#random.chance(0.1)) await sleep(0);
    }
  }

  /** Notes what becomes of a send, also when its task is killed at the same moment. */
  #sent<T>(i: number, sent: Promise<T>, took: (result: T) => boolean = () => true): Promise<T> {
    sent.then((result) => took(result) && this.#accounts[i]!.taken++, ignore);
    return sent;
  }

  #given<T>(i: number, received: Promise<T>, count: (result: T) => number): Promise<T> {
    received.then((result) => this.#accounts[i]!.given += count(result), ignore);
    return received;
  }

  #allActions(): Array<() => unknown> {
    const random = this.#random;
    const one = () => 1;
    /** A task that belongs to nobody, and so ends when it likes. */
    const loose = (fn: () => unknown): Task => {
      const task = random.chance(0.8) ? spawn(fn) : spawnLater(1, fn);
      this.#loose.add(task);
      task.link(() => this.#loose.delete(task));
      return task;
    };
    const some = () => random.below(this.#channels.length);
    const options = () =>
      random.chance(0.5)
        ? { timeout: random.below(5) }
        : random.chance(0.2)
        ? { signal: this.#abort.signal }
        : {};
    const counted = (result: IteratorResult<unknown, undefined>) =>
      result.done === true ? 0 : Array.isArray(result.value) ? result.value.length : 1;
    const send = () => {
      const i = some();
      return this.#sent(i, this.#channels[i]!.send(i, options()));
    };
    const receive = () => {
      const i = some();
      return this.#given(i, this.#channels[i]!.receive(options()), one);
    };
    return [
      send,
      send,
      receive,
      receive,
      () => {
        const i = some();
        if (this.#channels[i]!.trySend(i)) this.#accounts[i]!.taken++;
        const j = some();
        if (this.#channels[j]!.tryReceive().state === "ok") this.#accounts[j]!.given++;
      },
      async () => {
        const i = some(), values = random.chance(0.5);
        const iterator = values
          ? this.#channels[i]!.values() as AsyncIterableIterator<unknown>
          : this.#channels[i]!.chunks(3);
        try {
          for (let n = random.below(4); n > 0; n--) {
            await withTimeout(
              2,
              () =>
                this.#given(
                  i,
                  iterator.next() as Promise<IteratorResult<unknown, undefined>>,
                  counted,
                ),
            );
          }
        } finally {
          await iterator.return!();
        }
      },
      async () => {
        const i = some(), j = some();
        const selected = select(
          {
            got: this.#channels[i]!,
            sent: this.#channels[j]!.sending(j),
            late: after(2),
            never: after(60_000),
          },
          options(),
        );
        // One settles the accounts of both: what was chosen is known from the result only.
        this.#sent(j, selected, ({ key }) => key === "sent");
        await this.#given(i, selected, ({ key, done }) => key === "got" && !done ? 1 : 0);
      },
      async () => {
        const put = this.#queue.put(1, options());
        put.then(() => this.#queued.taken++, ignore);
        await put;
      },
      async () => {
        const got = this.#queue.get(options());
        got.then(() => this.#queued.given++, ignore);
        await got;
      },
      () => this.#queue.peek(options()),
      () => this.#pool.spawn(() => sleep(random.below(3))),
      () => this.#pool.map((n) => sleep(n), [0, 1, 2]),
      () => this.#pool.apply(() => random.chance(0.2) ? fail() : sleep(1)),
      async () => {
        const results = this.#pool.imap((n) => sleep(n), [0, 1, 2, 3], { buffer: 2 });
        try {
          for await (const _ of results) if (random.chance(0.3)) break;
        } finally {
          await results.return!();
        }
      },
      () =>
        scope(async (s) => {
          for (let n = random.below(4); n > 0; n--) {
            s.spawn({ daemon: random.chance(0.3) }, () => random.chance(0.2) ? fail() : sleep(2));
          }
          await sleep(1);
          if (random.chance(0.2)) s.kill();
        }),
      () =>
        scope((s) => {
          s.spawn(() => random.chance(0.5) ? fail() : sleep(1));
        }, { supervise: { intensity: { max: 2, within: 100 } } }),
      async () => {
        const double = mapStage((n: number) => sleep(1).then(() => n * 2), { concurrency: 2 });
        for await (const _ of pipeline(numbers(6), pass, double, { capacity: 1 })) {
          if (random.chance(0.2)) break;
        }
      },
      async () => {
        for await (const _ of produce(() => numbers(4))) if (random.chance(0.3)) break;
      },
      async () => {
        const fed = Channel.from(numbers(4), { capacity: 1 });
        try {
          await fed.receive();
          await sleep(1);
        } finally {
          fed.cancel();
        }
      },
      async () => {
        const reader = Channel.from([1, 2, 3]).toReadableStream().getReader();
        try {
          await until(reader.read());
        } finally {
          await reader.cancel();
        }
      },
      async () => {
        await using echo = coroutine(async function* (): AsyncGenerator<number, void, number> {
          for (let n = 0;;) n = yield n;
        })();
        for (let n = 0; n < 3; n++) await echo.send(n);
        await sleep(1);
      },
      async () => {
        await using other = greenlet(async () => {
          for (;;) await currentGreenlet().parent!.switch();
        });
        for (let n = 0; n < 3; n++) await other.switch();
        await sleep(1);
      },
      () =>
        this.#mutex.withLock(async () => {
          if (random.chance(0.4)) this.#condition.notifyAll();
          else await this.#condition.wait({ timeout: 2 });
        }, options()),
      () =>
        this.#semaphore.withPermit(() => sleep(random.below(2)), {
          weight: 1 + random.below(3),
          ...options(),
        }),
      () => this.#barrier.wait({ timeout: 2 }),
      () => this.#event.wait({ timeout: 2 }),
      () => random.chance(0.5) ? this.#event.set() : this.#event.clear(),
      () => this.#broadcast.send(1, { timeout: 1 }),
      async () => {
        const overflow = random.pick(["wait", "drop-oldest", "drop-newest"] as const);
        using subscriber = this.#broadcast.subscribe({ capacity: 2, overflow });
        await subscriber.receive({ timeout: 2 });
      },
      () => this.#limit.acquire({ weight: 1 + random.below(2), timeout: 3 }),
      () => withTimeout(random.below(4), () => sleep(2), { fallback: undefined }),
      () => withTimeout(1, () => shield(() => sleep(2))),
      () => until(late(random.chance(0.5)), options()),
      () =>
        wait([late(random.chance(0.5)), this.#event, this.#semaphore], { count: 1, timeout: 2 }),
      () => joinAll([loose(() => sleep(1)), loose(fail)], { killOthers: true, count: 1 }),
      () => joinAll([loose(fail), loose(() => sleep(1))], { raiseError: true }),
      () => loose(() => sleep(Infinity)).kill(),
      async () => {
        using ticks = every(1);
        for await (const _ of ticks) if (random.chance(0.5)) break;
      },
      async () => {
        using first = Channel.from([1, 2]);
        using second = Channel.from([3]);
        const merged = merge(first, second);
        for await (const _ of merged) await sleep(0);
      },
      async () => {
        const group = new WaitGroup(), done = new Deferred<number>();
        group.add(2);
        await using _first = spawn(() => sleep(1).finally(() => group.done()));
        await using _second = spawn(() => group.wait({ timeout: 5 }).then(() => done.resolve(1)));
        group.done();
        await done.get({ timeout: 5 });
      },
      () => this.#local.run(1, () => loose(() => this.#local.get() === 1 ? sleep(1) : fail())),
      async function* () {
        for (let n = 0; n < 5; n++) yield;
      },
    ];
  }
}

async function* numbers(count: number): AsyncGenerator<number, void, void> {
  try {
    for (let n = 0; n < count; n++) {
      yield n;
      await sleep(0);
    }
  } finally {
    await shield(() => sleep(0));
  }
}

async function* pass(input: AsyncIterable<number>): AsyncGenerator<number, void, void> {
  for await (const value of input) yield value;
}

/** A foreign promise that settles late. */
function late(fails: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    setTimeout(() => fails ? reject(new Error("late")) : resolve(1), 2);
  });
}

function fail(): never {
  throw new Error("fails");
}

function ignore(): void {}
