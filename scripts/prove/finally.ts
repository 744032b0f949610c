// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Proof 5: small programs of nested `try … finally`, killed at every point of their run.
 *
 * @module
 */

// A point is an event of the kernel (a wait parks or ends, a body begins, a task ends) and 0 to 3
// microtasks after it. First each program runs without a kill, to count its events; then once per point
// and per task that can be killed; then with two kills, at each pair of points, of one task or of two.

import { hooks } from "../../src/_kernel/hooks.ts";
import { liveWaiters } from "../../src/_kernel/waiter.ts";
import {
  after,
  Channel,
  Condition,
  coroutine,
  dump,
  isKilled,
  joinAll,
  mapStage,
  Mutex,
  onUnhandled,
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
  spawnLater,
  type Task,
  TimeoutError,
  withTimeout,
} from "../../mod.ts";
import { idle } from "../../tests/idle.ts";
import { ManualClock } from "../../tests/manual_clock.ts";
import type { ProofOptions } from "../prove.ts";
import { Random } from "./_random.ts";

/** The wording of RELIABILITY.md. */
export const promise =
  "5. The finally of every started task runs, innermost first, before its parent goes on: killed at every point, also in finally, during spawn, twice, or before the start";

/** Microtasks between an event and the kill. */
const DELAYS = [0, 1, 2, 3];
/** Virtual milliseconds after which a program must have ended. */
const LONGEST = 60;

/** Programs whose tasks but the first are made by `produce` and `pipeline`. */
const HIDDEN = { producer: true, stages: true };

/** Where one kill goes. */
interface Kill {
  /** The number of the event. */
  readonly at: number;
  /** Microtasks after it. */
  readonly delay: number;
  /** Which task, in the order of the spawns. */
  readonly victim: number;
}

/** Runs every single kill, then pairs of kills until the budget is spent. */
export async function prove(
  { long, seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const counts = {
    programs: 0,
    points: 0,
    "single kills": 0,
    "pairs of kills": 0,
    "pairs in all": 0,
    "finally blocks": 0,
  };
  const end = performance.now() + budgetMs;
  /** By program: where kills go of which each may be the first or the second of a pair. */
  const ofPairs: Array<{ name: string; kills: Kill[] }> = [];
  for (const name of Object.keys(PROGRAMS)) {
    const plain = await play(name, []);
    counts.programs++;
    counts.points += plain.events;
    const kills: Kill[] = [];
    for (let victim = 0; victim < plain.tasks; victim++) {
      for (let at = 0; at < plain.events; at++) {
        for (const delay of DELAYS) kills.push({ at, delay, victim });
      }
    }
    for (const kill of kills) counts["finally blocks"] += (await play(name, [kill])).blocks;
    counts["single kills"] += kills.length;
    const some = kills.filter(({ delay }) => delay % 2 === 0);
    ofPairs.push({ name, kills: some });
    counts["pairs in all"] += some.length ** 2;
  }
  report(`every single kill: ${counts["single kills"]}`);
  const both = async (name: string, first: Kill, second: Kill): Promise<void> => {
    counts["finally blocks"] += (await play(name, [first, second])).blocks;
    counts["pairs of kills"]++;
  };
  if (long) {
    for (const { name, kills } of ofPairs) {
      for (const first of kills) {
        for (const second of kills) if (performance.now() < end) await both(name, first, second);
      }
      report(`pairs of kills up to program "${name}": ${counts["pairs of kills"]}`);
    }
  } else {
    const random = new Random(seed);
    while (performance.now() < end || counts["pairs of kills"] < 500) {
      const { name, kills } = random.pick(ofPairs);
      await both(name, random.pick(kills), random.pick(kills));
    }
  }
  return counts;
}

/** What one run has done. */
interface Played {
  readonly events: number;
  readonly tasks: number;
  readonly blocks: number;
}

async function play(name: string, kills: readonly Kill[]): Promise<Played> {
  const waiters = liveWaiters();
  using time = new ManualClock();
  const world = new World(name, kills);
  using _told = onUnhandled((error) => world.wrong.push(`unhandled: ${error}`));
  hooks.on = {
    parked: () => world.event(),
    ended: () => world.event(),
    spawned: ({ task }) => {
      world.tasks.push(task as Task);
      world.event();
    },
    starting: ({ task }) => {
      world.started.add(task);
      if (world.killedBeforeStart.has(task)) world.wrong.push("a task killed before runs");
    },
    started: () => world.event(),
    finished: () => world.event(),
  };
  try {
    const top = spawn(() => PROGRAMS[name]!(world));
    const end = top.join();
    for (let now = 0; !top.ready && now < LONGEST; now++) {
      await idle();
      if (!top.ready) time.advance(1);
    }
    await idle();
    if (!top.ready) world.wrong.push(`does not end: ${dump()}`);
    else await end;
    // The kill of another task, such as a producer, may come to it as an error.
    if (top.state === "failed" && !isKilled(top.error)) world.wrong.push(`fails: ${top.error}`);
    for (const block of world.open) world.wrong.push(`finally of "${block.name}" did not run`);
    if (liveWaiters() !== waiters) world.wrong.push(`waits are left: ${dump()}`);
    if (time.size > 0) world.wrong.push("timers are left");
    // What has gone wrong must not be hidden by what the clock says of its timers.
    if (world.wrong.length > 0) time.advance(2 ** 40);
  } finally {
    hooks.on = null;
  }
  if (world.wrong.length > 0) {
    throw new Error(
      `Cannot hold promise 5 in program "${name}" with kills ${JSON.stringify(kills)}: ${
        world.wrong.join("; ")
      }`,
    );
  }
  return { events: world.events, tasks: world.tasks.length, blocks: world.blocks };
}

/** One `try … finally`. */
class Block {
  readonly name: string;
  readonly parent: Block | null;
  readonly inside: Set<Block> = new Set();

  constructor(name: string, parent: Block | null) {
    this.name = name;
    this.parent = parent;
  }
}

/** What a program is made of, and what is checked about it. */
class World {
  readonly wrong: string[] = [];
  readonly tasks: Task[] = [];
  readonly started: Set<unknown> = new Set();
  readonly killedBeforeStart: Set<unknown> = new Set();
  readonly open: Set<Block> = new Set();
  events = 0;
  blocks = 0;
  readonly #name: string;
  readonly #kills: readonly Kill[];

  constructor(name: string, kills: readonly Kill[]) {
    this.#name = name;
    this.#kills = kills;
  }

  event(): void {
    const at = this.events++;
    for (const kill of this.#kills) if (kill.at === at) this.#kill(kill, kill.delay);
  }

  /**
   * Runs `body`, then `cleanUp`, in a block inside `parent`. A block may only be left when all those
   * inside it were left: innermost first, children before their scope goes on.
   */
  async block(
    name: string,
    parent: Block | null,
    body: (block: Block) => unknown,
    cleanUp?: () => unknown,
  ): Promise<void> {
    const block = this.enter(name, parent);
    try {
      await body(block);
    } finally {
      try {
        await cleanUp?.();
      } finally {
        this.leave(block);
      }
    }
  }

  enter(name: string, parent: Block | null): Block {
    const block = new Block(name, parent);
    this.open.add(block);
    parent?.inside.add(block);
    if (parent !== null && !this.open.has(parent)) {
      this.wrong.push(`"${name}" begins after its parent has ended`);
    }
    return block;
  }

  leave(block: Block): void {
    this.blocks++;
    for (const inner of block.inside) {
      this.wrong.push(`"${block.name}" goes on before "${inner.name}" has cleaned up`);
    }
    block.parent?.inside.delete(block);
    if (!this.open.delete(block)) this.wrong.push(`finally of "${block.name}" ran twice`);
  }

  /** An async generator in a block. */
  async *values(name: string, parent: Block, count: number): AsyncGenerator<number, void, void> {
    const block = this.enter(name, parent);
    try {
      for (let n = 0; n < count; n++) {
        await sleep(n % 2);
        yield n;
      }
    } finally {
      try {
        await shield(() => sleep(1));
      } finally {
        this.leave(block);
      }
    }
  }

  /** Nobody can name a task of the library's own before its body, the user's code, runs. */
  #unreachable(task: Task): boolean {
    const own = task.name === "imap" || (this.#name in HIDDEN && task !== this.tasks[0]);
    return own && !this.started.has(task);
  }

  #kill(kill: Kill, delay: number): void {
    if (delay > 0) return queueMicrotask(() => this.#kill(kill, delay - 1));
    // A kill in the very event would come in the middle of a kernel's step.
    queueMicrotask(() => {
      const task = this.tasks[kill.victim];
      if (task === undefined || task.ready || this.#unreachable(task)) return;
      if (!this.started.has(task)) this.killedBeforeStart.add(task);
      void task.kill();
    });
  }
}

/** A clean-up that takes its time, kill or not. */
const slowly = () => shield(() => sleep(2));
/** One that tries to wait without a shield, which a kill ends at once. */
const hastily = () => sleep(2).catch(ignoreKill);

function ignoreKill(error: unknown): void {
  if (!isKilled(error)) throw error;
}

const PROGRAMS: Record<string, (world: World) => Promise<void>> = {
  nested: (world) =>
    world.block("outer", null, async (outer) => {
      await world.block("middle", outer, async (middle) => {
        await sleep(0);
        await world.block("inner", middle, () => sleep(2), slowly);
        await sleep(1);
      }, hastily);
    }, slowly),

  limits: (world) =>
    world.block("outer", null, async (outer) => {
      await withTimeout(3, () =>
        world.block("limited", outer, async (limited) => {
          await withTimeout(1, () => world.block("inner", limited, () => sleep(5), slowly), {
            fallback: 0,
          });
          await sleep(5);
        }, slowly)).catch((error) => {
          if (!(error instanceof TimeoutError)) throw error;
        });
    }, hastily),

  children: (world) =>
    world.block("outer", null, async (outer) => {
      await scope(async (s) => {
        for (const n of [1, 2]) {
          s.spawn(() =>
            world.block(`child ${n}`, outer, () => sleep(n), n === 1 ? slowly : hastily)
          );
        }
        s.spawn(
          { daemon: true },
          () => world.block("daemon", outer, () => sleep(Infinity), slowly),
        );
        await world.block("body", outer, () => sleep(1), slowly);
      });
    }, slowly),

  scopes: (world) =>
    world.block("outer", null, async (outer) => {
      await scope(async (s) => {
        s.spawn(() =>
          world.block("first", outer, (first) =>
            scope((inner) => {
              inner.spawn(() => world.block("deep", first, () => sleep(3), slowly));
              inner.spawn(() => world.block("deeper", first, () => sleep(1), hastily));
            }), slowly)
        );
        await sleep(1);
        s.spawn(() => world.block("second", outer, () => sleep(1), slowly));
        if (world.tasks.length > 3) s.kill();
      });
    }, hastily),

  failing: (world) =>
    world.block("outer", null, async (outer) => {
      await scope((s) => {
        s.spawn(() => world.block("waits", outer, () => sleep(9), slowly));
        s.spawn(() =>
          world.block("fails", outer, async () => {
            await sleep(1);
            throw new RangeError("fails");
          }, slowly)
        );
      }).catch((error) => {
        if (!(error instanceof RangeError)) throw error;
      });
    }, slowly),

  producer: (world) =>
    world.block("consumer", null, async (consumer) => {
      for await (const n of produce(() => world.values("producer", consumer, 5))) {
        if (n === 2) break;
      }
    }, hastily),

  stages: (world) =>
    world.block("consumer", null, async (consumer) => {
      const stage = async function* (input: AsyncIterable<number>): AsyncGenerator<number> {
        const block = world.enter("stage", consumer);
        try {
          for await (const n of input) yield n + 1;
        } finally {
          await slowly();
          world.leave(block);
        }
      };
      const calls = mapStage((n: number) => world.block("call", consumer, () => sleep(n), slowly), {
        concurrency: 2,
      });
      let left = 2;
      for await (const _ of pipeline(world.values("source", consumer, 4), stage, calls)) {
        if (--left === 0) break;
      }
    }, slowly),

  pool: (world) =>
    world.block("outer", null, async (outer) => {
      const pool = new Pool(2);
      await pool.map((n) => world.block(`item ${n}`, outer, () => sleep(n), slowly), [1, 0, 1]);
      const results = pool.imap((n) => world.block(`imap ${n}`, outer, () => sleep(n), slowly), [
        0,
        1,
        9,
      ]);
      // A loop that ends by the error of an item does not leave its iterator.
      try {
        for await (const _ of results) break;
      } finally {
        await results.return!();
      }
      await pool.apply(() => world.block("apply", outer, () => sleep(1), slowly));
      // imap's break has waited for its tasks; nothing of the pool is left.
      if (pool.running > 0) world.wrong.push("the pool still runs something");
    }, hastily).catch((error) => {
      // A killed member is reported by map and apply.
      if (!isKilled(error)) throw error;
    }),

  locks: (world) =>
    world.block("outer", null, async (outer) => {
      const mutex = new Mutex(), condition = new Condition(mutex), semaphore = new Semaphore(1);
      await scope((s) => {
        s.spawn(() =>
          world.block("waits", outer, () =>
            mutex.withLock(() =>
              condition.wait({ timeout: 4 })
            ), slowly)
        );
        s.spawn(() =>
          world.block("notifies", outer, async () => {
            await sleep(1);
            await mutex.withLock(() =>
              condition.notify()
            );
            await semaphore.withPermit(() => sleep(1));
          }, () => semaphore.withPermit(() => {}).catch(ignoreKill))
        );
      });
      if (mutex.locked || semaphore.value !== 1) world.wrong.push("a lock is held for ever");
    }, slowly),

  channels: (world) =>
    world.block("outer", null, async (outer) => {
      const channel = new Channel<number>(), queue = new Queue<number>(1);
      await scope((s) => {
        s.spawn({ daemon: true }, () =>
          world.block("sends", outer, async () => {
            for (let n = 0;; n++) await channel.send(n);
          }, slowly));
        s.spawn({ daemon: true }, () =>
          world.block("puts", outer, async () => {
            for (let n = 0;; n++) await queue.put(n);
          }, hastily));
        s.spawn(() =>
          world.block("selects", outer, async () => {
            for (let n = 0; n < 3; n++) {
              await select({ channel, queue, late: after(1) }, { random: () => n / 3 });
            }
          }, slowly)
        );
      });
    }, slowly),

  coroutines: (world) =>
    world.block("outer", null, async (outer) => {
      const count = coroutine(() => world.values("body", outer, 3));
      {
        await using counting = count();
        await counting.next();
        await counting.send();
      }
      await sleep(1);
    }, hastily),

  spawning: (world) =>
    world.block("outer", null, async (outer) => {
      await using first = spawn(() =>
        world.block("first", outer, async (block) => {
          await using _inner = spawn(() => world.block("inner", block, () => sleep(3), slowly));
          await sleep(1);
        }, hastily)
      );
      await using _late = spawnLater(2, () => world.block("late", outer, () => sleep(1), slowly));
      const other = spawn(() => world.block("other", outer, () => sleep(9), slowly));
      await using _other = other;
      await joinAll([first, other], { count: 1, killOthers: true });
      if (!other.ready) world.wrong.push("killOthers does not wait");
    }, slowly),

  suicide: (world) =>
    world.block("outer", null, async (outer) => {
      const task: Task<void> = spawn(() =>
        world.block("own", outer, async () => {
          void task.kill();
          await world.block("after", outer, () => sleep(1), slowly);
        }, slowly)
      );
      await using _owned = task;
      await task.join();
    }, hastily),
};
