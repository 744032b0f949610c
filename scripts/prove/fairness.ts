// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Proof 10: who waits is served in turn, and no loop of this library starves timers or I/O.
 *
 * @module
 */

// Order is exact: it is counted in services, not in time. Starvation is measured on the clock of the
// host, with a bound so wide that only a loop that really holds the host passes it.

import { hooks } from "../../src/_kernel/hooks.ts";
import {
  Channel,
  merge,
  Mutex,
  onUnhandled,
  Pool,
  Queue,
  scope,
  select,
  Semaphore,
  sleep,
  spawn,
  type Task,
} from "../../mod.ts";
import { idle } from "../../tests/idle.ts";
import { ManualClock } from "../../tests/manual_clock.ts";
import type { ProofOptions } from "../prove.ts";
import { Random } from "./_random.ts";

/** The wording of RELIABILITY.md. */
export const promise =
  "10. Fairness: who waits is served after those before it and nobody else; a select picks evenly; sleep(0) loops, spawn chains and ping-pong with sleep(0) never starve timers or I/O";

/** The longest that a timer may be late while loops run, in milliseconds. */
const LATEST_TIMER_MS = 2_000;
/**
 * The longest that a packet may take over the loopback and back. Deno looks at its sockets only once in
 * many turns while there always is a next turn, and a turn of loops may last 4 ms.
 */
const LATEST_PACKET_MS = 5_000;
const CLIENTS = 6;

/** Runs rounds until the budget is spent; the loops on the host's clock take half of it. */
export async function prove(
  { seed, budgetMs, report }: ProofOptions,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const end = performance.now() + budgetMs / 2;
  for (let at = seed; performance.now() < end; at++) {
    for (const [name, thing] of Object.entries(THINGS)) {
      const served = await serveInTurn(name, thing, at);
      counts["services in turn"] = (counts["services in turn"] ?? 0) + served;
    }
    counts["rounds"] = (counts["rounds"] ?? 0) + 1;
  }
  report(`${counts["services in turn"]} services in turn`);
  Object.assign(counts, await pickEvenly(seed));
  const loops = Object.entries(LOOPS);
  for (const [name, loop] of loops) {
    const late = await lateness(loop, budgetMs / 2 / loops.length);
    report(
      `${name}: timers at most ${late.timer} ms late, packets at most ${late.io} ms on the way`,
    );
    if (late.timer > LATEST_TIMER_MS || late.io > LATEST_PACKET_MS) {
      throw new Error(
        `Cannot hold promise 10: during ${name} a timer was ${late.timer} ms late and a packet took ${late.io} ms`,
      );
    }
    counts["ms a timer was late at most"] = Math.max(
      counts["ms a timer was late at most"] ?? 0,
      late.timer,
    );
    counts["ms a packet took at most"] = Math.max(counts["ms a packet took at most"] ?? 0, late.io);
  }
  return counts;
}

/** One thing to wait for: how a client asks for it, and what keeps it scarce. */
interface Thing {
  /** Asks once; resolves when served. */
  ask(): Promise<unknown>;
  /** Serves whoever waits longest, once. */
  serve(): unknown;
}

const THINGS: Record<string, () => Thing> = {
  receive: () => {
    const channel = new Channel<number>();
    return { ask: () => channel.receive(), serve: () => channel.trySend(1) };
  },
  send: () => {
    const channel = new Channel<number>();
    return { ask: () => channel.send(1), serve: () => channel.tryReceive() };
  },
  "receive through select": () => {
    const channel = new Channel<number>(), never = new Channel<number>();
    return { ask: () => select({ never, channel }), serve: () => channel.trySend(1) };
  },
  "send through select": () => {
    const channel = new Channel<number>(), never = new Channel<number>();
    return {
      ask: () => select({ never, sent: channel.sending(1) }),
      serve: () => channel.tryReceive(),
    };
  },
  semaphore: () => {
    const semaphore = new Semaphore(0);
    return { ask: () => semaphore.acquire(), serve: () => semaphore.release() };
  },
  mutex: () => {
    const mutex = new Mutex();
    let held = mutex.tryAcquire()!;
    return {
      ask: async () => held = await mutex.acquire(),
      serve: () => held.release(),
    };
  },
  put: () => {
    const queue = new Queue<number>(1);
    queue.tryPut(0);
    return { ask: () => queue.put(1), serve: () => queue.tryGet() };
  },
  get: () => {
    const queue = new Queue<number>(1);
    return { ask: () => queue.get(), serve: () => queue.tryPut(1) };
  },
  pool: () => {
    const pool = new Pool(1);
    const ends: Array<() => void> = [];
    const body = () => new Promise<void>((resolve) => ends.push(resolve));
    pool.trySpawn(body);
    return { ask: () => pool.spawn(body), serve: () => ends.shift()?.() };
  },
  merge: () => {
    const first = new Channel<number>(), second = new Channel<number>();
    const merged = merge(first, second);
    let turn = 0;
    return {
      ask: () => merged.receive(),
      serve: () => (turn++ % 2 === 0 ? first : second).trySend(1),
    };
  },
};

/**
 * Clients that ask again as soon as they are served, and some that give up or are killed. Each must be
 * served before all who asked after it: so at most the others are served between two of its turns.
 */
async function serveInTurn(name: string, make: () => Thing, seed: number): Promise<number> {
  const random = new Random(seed);
  using _time = new ManualClock();
  using _told = onUnhandled(() => {});
  const thing = make();
  let tickets = 0, served = 0, lastServed = -1;
  const waiting = new Set<number>();
  const problems: string[] = [];
  await scope(async (s) => {
    const clients: Task<void>[] = [];
    const join = (): void => {
      clients.push(s.spawn({ daemon: true }, async () => {
        for (;;) {
          const ticket = tickets++;
          waiting.add(ticket);
          try {
            await thing.ask();
          } finally {
            waiting.delete(ticket);
          }
          served++;
          if (ticket < lastServed) problems.push(`${ticket} is served after ${lastServed}`);
          lastServed = ticket;
          const passed = [...waiting].filter((other) => other < ticket);
          if (passed.length > 0) problems.push(`${ticket} is served before ${passed}`);
        }
      }));
    };
    for (let n = 0; n < CLIENTS; n++) join();
    for (let step = 0; step < 60; step++) {
      await idle();
      if (random.chance(0.1)) {
        void random.pick(clients).kill();
        join();
        await idle();
      }
      thing.serve();
    }
    await idle();
    s.kill();
  }).catch(() => {});
  if (problems.length > 0) {
    throw new Error(`Cannot hold promise 10 of ${name} with --seed ${seed}: ${problems[0]}`);
  }
  if (served < 30) throw new Error(`Cannot judge ${name}: 30 must be served, got ${served}`);
  return served;
}

/** Of always ready cases each is picked about as often as the others, and a merge takes turns. */
async function pickEvenly(seed: number): Promise<Record<string, number>> {
  const random = new Random(seed);
  const picks = 30_000;
  const count = new Map<string, number>();
  const channels = { a: ready(), b: ready(), c: ready() };
  let longest = 0, run = 0, last = "";
  for (let n = 0; n < picks; n++) {
    const { key } = await select(channels, { random: random.next });
    channels[key].trySend(0);
    count.set(key, (count.get(key) ?? 0) + 1);
    run = key === last ? run + 1 : 1;
    last = key;
    longest = Math.max(longest, run);
  }
  const least = Math.min(...count.values());
  // A third each, give or take eight standard deviations.
  if (count.size < 3 || least < picks / 3 - 8 * Math.sqrt(picks * 2 / 9)) {
    throw new Error(
      `Cannot hold promise 10: a select must pick evenly, got ${[...count.values()]}`,
    );
  }
  const merged = merge(channels.a, channels.b, channels.c);
  const sources = Object.values(channels);
  for (const [i, source] of sources.entries()) {
    source.tryReceive();
    source.trySend(i);
  }
  let turns = 0, before = -1;
  for (; turns < 3_000; turns++) {
    const from = await merged.receive();
    if (before >= 0 && from !== (before + 1) % 3) {
      throw new Error(
        `Cannot hold promise 10: a merge must take turns, got ${from} after ${before}`,
      );
    }
    before = from;
    sources[from]!.trySend(from);
  }
  return { "select picks": picks, "longest run of one case": longest, "merge turns": turns };
}

function ready(): Channel<number> {
  const channel = new Channel<number>({ capacity: 1 });
  channel.trySend(0);
  return channel;
}

/** Loops that never end by themselves: each gets `going()`, false when it is over. */
const LOOPS: Record<string, (going: () => boolean) => Promise<unknown>> = {
  "one loop of sleep(0)": async (going) => {
    while (going()) await sleep(0);
  },
  "10,000 loops of sleep(0)": (going) =>
    scope((s) => {
      for (let n = 0; n < 10_000; n++) {
        s.spawn(async () => {
          while (going()) await sleep(0);
        });
      }
    }),
  "a chain of spawns": async (going) => {
    let last: Task<unknown> | undefined;
    const link = (): void => {
      if (going()) last = spawn(link);
    };
    link();
    while (going()) await sleep(1);
    await last;
  },
  "a burst of spawns in each turn": async (going) => {
    while (going()) {
      await scope((s) => {
        for (let n = 0; n < 1_000; n++) s.spawn(() => {});
      });
      await sleep(0);
    }
  },
  "ping-pong with sleep(0)": async (going) => {
    const ping = new Channel<number>(), pong = new Channel<number>();
    const other = spawn(async () => {
      for await (const n of ping) await pong.send(n);
    });
    for (let n = 0; going(); n++) {
      await ping.send(n);
      await pong.receive();
      if (n % 50 === 0) await sleep(0);
    }
    ping.close();
    await other;
  },
  "generators that yield": (going) =>
    scope((s) => {
      for (let n = 0; n < 100; n++) {
        s.spawn(async function* () {
          while (going()) yield;
        });
      }
    }),
};

/** How late a timer of 1 ms and a packet over the loopback come at most while `loop` runs. */
async function lateness(
  loop: (going: () => boolean) => Promise<unknown>,
  ms: number,
): Promise<{ timer: number; io: number }> {
  const { hostname, port, close } = await echo();
  const conn = await Deno.connect({ hostname, port });
  const late = { timer: 0, io: 0 };
  let ticks = 0, packets = 0;
  const end = performance.now() + ms, last = end + LATEST_PACKET_MS + 1_000;
  // Until there was a packet: else one that comes only after the loops would look served.
  const going = (): boolean => performance.now() < (Math.min(ticks, packets) === 0 ? last : end);
  const timers = (async () => {
    for (; going(); ticks++) {
      const began = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 1));
      late.timer = Math.max(late.timer, Math.ceil(performance.now() - began - 1));
    }
  })();
  const buffer = new Uint8Array(1);
  const packetLoop = (async () => {
    for (; going(); packets++) {
      const began = performance.now();
      await conn.write(buffer);
      await conn.read(buffer);
      late.io = Math.max(late.io, Math.ceil(performance.now() - began));
    }
  })();
  await Promise.all([loop(going), timers, packetLoop]);
  conn.close();
  await close();
  if (hooks.on !== null) throw new Error("Cannot measure: no hook may be installed");
  return late;
}

/** A server that sends back what it gets. */
async function echo(): Promise<{ hostname: string; port: number; close(): Promise<void> }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { hostname, port } = listener.addr as Deno.NetAddr;
  const serving = (async () => {
    const conn = await listener.accept();
    await conn.readable.pipeTo(conn.writable).catch(() => {});
  })();
  await Promise.resolve();
  return {
    hostname,
    port,
    close: async () => {
      listener.close();
      await serving;
    },
  };
}
