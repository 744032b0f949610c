// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Proof 12: whatever holds values or tasks never holds more than its bound, looked at whenever
 * anything happens.
 *
 * @module
 */

import { clock } from "../../src/_kernel/clock.ts";
import { hooks } from "../../src/_kernel/hooks.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import {
  after,
  Broadcast,
  Channel,
  dump,
  LifoQueue,
  mapStage,
  merge,
  onUnhandled,
  type Overflow,
  pipeline,
  Pool,
  PriorityQueue,
  produce,
  Queue,
  rateLimit,
  type Scope,
  scope,
  select,
  Semaphore,
  sleep,
  spawn,
} from "../../mod.ts";
import { idle } from "../../tests/idle.ts";
import { ManualClock } from "../../tests/manual_clock.ts";
import type { ProofOptions } from "../prove.ts";
import { Random } from "./_random.ts";

/** The wording of RELIABILITY.md. */
export const promise =
  "12. Bounded by default: no buffer, queue, subscriber, stage, pool or permit count passes its bound at any event";

/** Virtual milliseconds of a program. */
const LONGEST = 30;

/** Runs programs until the budget is spent. */
export async function prove(
  { seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = { programs: 0, events: 0, checks: 0, "bounds reached": 0 };
  const end = performance.now() + budgetMs;
  const kinds = Object.keys(PROGRAMS);
  for (let at = seed; performance.now() < end; at++) {
    const name = kinds[at % kinds.length]!;
    const world = new World(at);
    await world.run(PROGRAMS[name]!);
    if (world.wrong.size > 0) {
      throw new Error(
        `Cannot hold promise 12 of ${name} with --seed ${at}: ${[...world.wrong].join("; ")}`,
      );
    }
    counts["programs"]!++;
    counts["events"]! += world.events;
    counts["checks"]! += world.checks;
    counts["bounds reached"]! += world.full;
  }
  report(`${kinds.length} kinds of bounds`);
  return { kinds: kinds.length, ...counts };
}

/** What is held against what may be held. */
interface Bound {
  readonly name: string;
  held(): number;
  most(): number;
  /** Whether it was ever full: one that never is would prove nothing. */
  reached: boolean;
}

/** One program with its bounds. */
class World {
  readonly wrong: Set<string> = new Set();
  readonly random: Random;
  events = 0;
  checks = 0;
  full = 0;
  /** What is to be done when all children have ended. */
  last: () => unknown = () => {};
  readonly #bounds: Bound[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** Watches a bound from now on. */
  bound(name: string, held: () => number, most: number | (() => number)): void {
    const limit = typeof most === "number" ? () => most : most;
    this.#bounds.push({ name, held, most: limit, reached: false });
  }

  /** Looks at all bounds. */
  check(): void {
    this.events++;
    for (const bound of this.#bounds) {
      this.checks++;
      const held = bound.held(), most = bound.most();
      if (held > most) this.wrong.add(`${bound.name} holds ${held} of ${most}`);
      if (held === most) bound.reached = true;
    }
  }

  async run(program: (s: Scope, world: World) => unknown): Promise<void> {
    const waiters = liveWaiters();
    using time = new ManualClock();
    using _told = onUnhandled(() => {});
    const check = () => this.check();
    hooks.on = { parked: check, ended: check, starting: check, started: check, finished: check };
    try {
      const top = spawn(async () => {
        await scope(async (s) => {
          await program(s, this);
          await sleep(LONGEST);
          s.kill();
        });
        await this.last();
      });
      const ended = top.join();
      for (let now = 0; !top.ready && now < 3 * LONGEST; now++) {
        await idle();
        this.check();
        if (!top.ready) time.advance(1);
      }
      if (top.ready) await ended;
      else this.wrong.add(`does not end: ${dump()}`);
      await idle();
      if (liveWaiters() !== waiters) this.wrong.add(`waits are left: ${dump()}`);
    } finally {
      hooks.on = null;
    }
    this.full = this.#bounds.filter(({ reached }) => reached).length;
    if (time.size > 0) this.wrong.add("timers are left");
    if (this.wrong.size > 0) time.advance(2 ** 40);
  }

  /** Spawns `count` children that do `step` for ever, with pauses and kills in between. */
  busy(s: Scope, count: number, step: () => unknown): void {
    for (let n = 0; n < count; n++) {
      s.spawn({ daemon: true }, async () => {
        for (;;) {
          await using victim = spawn(step);
          if (this.random.chance(0.1)) {
            await sleep(0);
            void victim.kill();
          }
          await victim.join();
          this.check();
          await sleep(this.random.below(3));
        }
      });
    }
  }
}

const PROGRAMS: Record<string, (s: Scope, world: World) => unknown> = {
  channel(s, world) {
    const { random } = world;
    const capacity = random.below(4);
    const overflow: Overflow = capacity === 0
      ? "wait"
      : random.pick<Overflow>(["wait", "drop-oldest", "drop-newest"]);
    const channel = new Channel<number>({ capacity, overflow });
    world.bound(`channel (${overflow})`, () => channel.size, capacity);
    world.busy(s, 3, () =>
      random.pick<() => unknown>([
        () => channel.send(1),
        () => channel.trySend(1),
        () => channel.send(1, { timeout: 1 }),
        () => select({ sent: channel.sending(1), late: after(1) }),
      ])());
    world.busy(s, 2, () =>
      random.pick<() => unknown>([
        () => channel.receive({ timeout: 2 }),
        () => channel.tryReceive(),
        () => channel.chunks(2).next(),
        () => select({ channel, late: after(1) }),
      ])());
  },

  queue(s, world) {
    const { random } = world;
    const size = 1 + random.below(3);
    const queue = random.pick<Queue<number>>([
      new Queue(size),
      new PriorityQueue(size),
      new LifoQueue(size),
    ]);
    // A smaller maxSize takes nothing out.
    let most = size;
    world.bound(
      "queue",
      () => queue.size,
      () => most = Math.max(queue.maxSize, Math.min(most, queue.size)),
    );
    world.busy(s, 3, () => random.chance(0.5) ? queue.put(random.below(9)) : queue.tryPut(1));
    world.busy(s, 2, () => random.chance(0.5) ? queue.get({ timeout: 2 }) : queue.tryGet());
    world.busy(s, 1, () => queue.peek({ timeout: 1 }));
    world.busy(s, 1, () => {
      queue.maxSize = 1 + random.below(3);
      most = Math.max(queue.maxSize, queue.size);
    });
  },

  broadcast(s, world) {
    const { random } = world;
    const replay = random.below(3);
    const broadcast = new Broadcast<number>({ replay });
    for (const overflow of ["wait", "drop-oldest", "drop-newest"] as const) {
      const capacity = overflow === "wait" ? random.below(3) : 1 + random.below(2);
      const subscriber = broadcast.subscribe({ capacity, overflow });
      world.bound(`subscriber (${overflow})`, () => subscriber.size, Math.max(capacity, replay));
      world.busy(s, 1, () => subscriber.receive({ timeout: 2 }));
    }
    world.busy(s, 2, () => broadcast.send(1, { timeout: 2 }));
    world.busy(s, 1, () => {
      using late = broadcast.subscribe({ capacity: replay });
      if (late.size > replay) world.wrong.add(`${late.size} values of ${replay} are replayed`);
    });
  },

  pool(s, world) {
    const { random } = world;
    const pool = new Pool(1 + random.below(3));
    let most = pool.size, running = 0;
    // Those that run when it is made smaller go on.
    world.bound(
      "pool",
      () => pool.running,
      () => most = Math.max(pool.size, Math.min(most, pool.running)),
    );
    world.bound("bodies of a pool", () => running, () => most);
    const work = async (): Promise<void> => {
      running++;
      try {
        await sleep(random.below(3));
      } finally {
        running--;
      }
    };
    world.busy(s, 3, () =>
      random.pick<() => unknown>([
        () => pool.spawn(work),
        () => pool.trySpawn(work),
        () => pool.apply(work),
        () => pool.map(work, [1, 2, 3]),
      ])());
    world.busy(s, 1, () => {
      pool.resize(1 + random.below(3));
      most = Math.max(pool.size, pool.running);
    });
    world.busy(s, 1, async () => {
      pool.pause();
      await sleep(1);
      pool.resume();
    });
    world.last = () => pool.kill();
  },

  imap(s, world) {
    const { random } = world;
    const pool = new Pool(1 + random.below(3));
    const buffer = 1 + random.below(4);
    const ordered = random.chance(0.5);
    let pulled = 0, taken = 0;
    world.bound("pool of an imap", () => pool.running, pool.size);
    world.bound("buffer of an imap", () => pulled - taken, buffer);
    s.spawn({ daemon: true }, async () => {
      const source = function* (): Generator<number> {
        for (;;) {
          pulled++;
          world.check();
          yield pulled;
        }
      };
      const work = () => sleep(random.below(3));
      const results = ordered
        ? pool.imap(work, source(), { buffer })
        : pool.imapUnordered(work, source(), { buffer });
      try {
        for (;;) {
          // What next() gives back makes room: it counts as taken from here on.
          const next = results.next();
          taken++;
          await next;
          await sleep(random.below(4));
        }
      } finally {
        await results.return!();
      }
    });
  },

  stages(s, world) {
    const { random } = world;
    const capacity = random.below(4),
      concurrency = 1 + random.below(3),
      stages = 1 + random.below(3);
    let pulled = 0, asked = 0, calls = 0;
    world.bound("calls of a stage", () => calls, concurrency);
    // Each stage: its channel, the value it holds; the one with calls holds those.
    const most = stages * (capacity + 1) + concurrency + capacity + 1;
    world.bound("values in a pipeline", () => pulled - asked, most);
    s.spawn({ daemon: true }, async () => {
      const source = async function* (): AsyncGenerator<number> {
        for (;;) {
          pulled++;
          world.check();
          yield pulled;
        }
      };
      const pass = async function* (input: AsyncIterable<number>): AsyncGenerator<number> {
        for await (const value of input) {
          if (random.chance(0.2)) await sleep(1);
          yield value;
        }
      };
      const call = mapStage(async (value: number) => {
        calls++;
        try {
          await sleep(random.below(2));
          return value;
        } finally {
          calls--;
        }
      }, { concurrency, ordered: random.chance(0.5) });
      const passes = Array.from({ length: stages }, () => pass);
      const piped = pipeline<number>(source(), ...passes, call as never, { capacity } as never);
      try {
        for (;;) {
          const next = piped.next();
          asked++;
          await next;
          await sleep(random.below(4));
        }
      } finally {
        await piped.return();
      }
    });
  },

  sources(s, world) {
    const { random } = world;
    const capacity = random.below(3);
    let fed = 0, produced = 0, given = 0, took = 0;
    const channel = Channel.from(
      (function* () {
        for (;;) yield ++fed;
      })(),
      { capacity },
    );
    const producer = produce(function* () {
      for (;;) yield ++produced;
    }, { capacity });
    // One more than the buffer: the one that waits to be sent.
    world.bound("Channel.from", () => fed - given, capacity + 1);
    world.bound("produce", () => produced - took, capacity + 1);
    s.spawn({ daemon: true }, async () => {
      try {
        for (;;) {
          given++;
          await channel.receive();
          took++;
          await producer.receive();
          await sleep(random.below(3));
        }
      } finally {
        channel.cancel();
        await producer[Symbol.asyncDispose]();
      }
    });
  },

  lookers(s, world) {
    const { random } = world;
    const first = new Channel<number>(), second = new Channel<number>();
    const stream = first.toReadableStream();
    let sent = 0, wanted = 0;
    // A merge and a stream hold nothing that nobody has asked for.
    world.bound("merge and stream", () => sent - wanted, 0);
    for (const channel of [first, second]) {
      s.spawn({ daemon: true }, async () => {
        for (;;) {
          await channel.send(1);
          sent++;
          world.check();
        }
      });
    }
    s.spawn({ daemon: true }, async () => {
      const merged = merge(first, second);
      const reader = stream.getReader();
      try {
        for (;;) {
          wanted++;
          if (random.chance(0.5)) await merged.receive();
          else await reader.read();
          await sleep(random.below(3));
        }
      } finally {
        first.cancel();
        second.cancel();
      }
    });
  },

  permits(s, world) {
    const { random } = world;
    const permits = 1 + random.below(3);
    const semaphore = new Semaphore(permits);
    const limit = rateLimit({ tokens: permits, per: 5 });
    let held = 0;
    const times: number[] = [];
    world.bound("permits", () => held, permits);
    world.bound("permits and those free", () => semaphore.value + held, permits);
    world.bound("tokens", () => limit.value, permits);
    // In any span of `per` there is the burst and what comes back meanwhile.
    world.bound(
      "tokens in one span",
      () => times.filter((at) => at > clock.on.now() - 5).length,
      2 * permits,
    );
    world.busy(s, 4, () => {
      const weight = 1 + random.below(permits);
      return semaphore.withPermit(async () => {
        held += weight;
        try {
          await sleep(random.below(2));
        } finally {
          held -= weight;
        }
      }, { weight, timeout: 3 });
    });
    world.busy(s, 1, async () => {
      const permit = await semaphore.acquire({ timeout: 3 });
      held++;
      held--;
      permit.release();
      permit.release(); // twice is once
    });
    // Now and then nobody asks for so long that tokens could be saved up.
    const pause = random.pick([0, 0, 20]);
    world.busy(s, 3, async () => {
      await sleep(pause);
      const { weight } = await limit.acquire({ timeout: 3 });
      for (let n = 0; n < weight; n++) times.push(clock.on.now());
    });
  },
};
