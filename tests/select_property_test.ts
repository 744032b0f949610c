// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Random programs of selects, sends and receives over a few channels: no value is lost or doubled, no
 * select commits to two cases, and nobody waits for what is there.
 *
 * @module
 */

// Source: Jepsen's total-queue for the accounts. A select that commits twice shows as a value that was
// taken and that nobody has, or as one that was sent though its sender kept it.

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { Context, runIn } from "../src/_kernel/current.ts";
import { Channel } from "../src/channel.ts";
import { ChannelClosedError, TimeoutError } from "../src/errors.ts";
import { merge } from "../src/merge.ts";
import { select, trySelect } from "../src/select.ts";
import { enlisted, noneEnlisted } from "./enlisted.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { ManualClock } from "./manual_clock.ts";
import { seeded } from "./seeded.ts";

/** More, or another seed, for a longer search; a failure prints its seed and path. */
const SEED = 20261121;
const RUNS = 3000;

const CHANNELS = 3;
const SIGNALS = 2;
const TASKS = 2;

noLeaks();
noneEnlisted();

// -- Programs --

/** One case: a receive, a send, or a receive of two channels at once. */
interface Case {
  kind: "receive" | "send" | "merge";
  channel: number;
}

interface Ends {
  signal: number | null;
  task: number | null;
  timeout: number | null;
}

type Command =
  | { verb: "select"; cases: (Case | null)[]; priority: boolean; ends: Ends }
  | { verb: "trySelect"; cases: (Case | null)[] }
  | { verb: "send" | "receive"; channel: number; ends: Ends }
  | { verb: "trySend" | "tryReceive"; channel: number }
  | { verb: "abort" | "kill"; which: number }
  | { verb: "advance"; ms: number }
  | { verb: "microtasks"; count: number }
  | { verb: "close" | "cancel"; channel: number; reason: boolean };

interface Program {
  capacities: number[];
  seed: number;
  commands: Command[];
}

const channel = fc.nat(CHANNELS - 1);

const nobodyOr = (count: number) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.nat(count - 1) },
  );

const ends: fc.Arbitrary<Ends> = fc.record({
  signal: nobodyOr(SIGNALS),
  task: nobodyOr(TASKS),
  timeout: fc.oneof(
    { weight: 4, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(0, 5, 10) },
  ),
});

const cases: fc.Arbitrary<(Case | null)[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constantFrom("receive" as const, "send" as const, "send" as const),
        channel,
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("merge" as const), channel }) },
    { weight: 1, arbitrary: fc.constant(null) },
  ),
  { minLength: 1, maxLength: 4 },
);

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      verb: fc.constant("select" as const),
      cases,
      priority: fc.boolean(),
      ends,
    }),
  },
  { weight: 2, arbitrary: fc.record({ verb: fc.constant("trySelect" as const), cases }) },
  {
    weight: 5,
    arbitrary: fc.record({
      verb: fc.constantFrom("send" as const, "receive" as const),
      channel,
      ends,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      verb: fc.constantFrom("trySend" as const, "tryReceive" as const),
      channel,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constantFrom("abort" as const, "kill" as const),
      which: fc.nat(1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ verb: fc.constant("advance" as const), ms: fc.constantFrom(1, 5) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("microtasks" as const),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constantFrom("close" as const, "cancel" as const),
      channel,
      reason: fc.boolean(),
    }),
  },
);

const program: fc.Arbitrary<Program> = fc.record({
  capacities: fc.array(fc.constantFrom(0, 0, 1, 2), { minLength: CHANNELS, maxLength: CHANNELS }),
  seed: fc.integer(),
  commands: fc.array(command, { minLength: 1, maxLength: 40, size: "max" }),
});

// -- The run --

const CLOSE_REASON = new Error("closed");
const KILL_REASONS = [new Error("killed 0"), new Error("killed 1")];
const ABORT_REASONS = ["aborted 0", "aborted 1"];

/** Who waits: which channels it receives from, and which it sends to. */
interface Waiting {
  receives: number[];
  sends: number[];
}

class Run {
  readonly #channels: Channel<number>[];
  readonly #capacities: number[];
  readonly #controllers = Array.from({ length: SIGNALS }, () => new AbortController());
  readonly #contexts = Array.from({ length: TASKS }, () => new Context(null));
  readonly #random: () => number;
  readonly #waiting: Set<Waiting> = new Set();
  readonly #undelivered: number[] = [];
  /** In the order in which they were got, by channel. */
  readonly #received: number[][] = Array.from({ length: CHANNELS }, () => []);
  /** The same for what was got at once, which comes before what waits for its microtask. */
  readonly #receivedAtOnce: number[][] = Array.from({ length: CHANNELS }, () => []);
  /** Which channel a value is for. */
  readonly #target: number[] = [];
  readonly #sent: Set<number> = new Set();
  readonly #kept: Set<number> = new Set();
  readonly #time: ManualClock;

  constructor({ capacities, seed }: Program, time: ManualClock) {
    this.#capacities = capacities;
    this.#random = seeded(seed);
    this.#time = time;
    this.#channels = capacities.map((capacity) =>
      new Channel<number>({ capacity, onUndelivered: (value) => this.#undelivered.push(value) })
    );
  }

  async do(command: Command): Promise<void> {
    switch (command.verb) {
      case "select":
        return this.#select(command);
      case "trySelect":
        return this.#trySelect(command.cases);
      case "send":
        return this.#send(command.channel, command.ends);
      case "receive":
        return this.#receive(command.channel, command.ends);
      case "trySend": {
        const value = this.#value(command.channel);
        const sent = this.#channels[command.channel]!.trySend(value);
        (sent ? this.#sent : this.#kept).add(value);
        return;
      }
      case "tryReceive": {
        const got = this.#channels[command.channel]!.tryReceive();
        if (got.state === "ok") this.#receivedAtOnce[command.channel]!.push(got.value);
        return;
      }
      case "abort":
        return this.#controllers[command.which]!.abort(ABORT_REASONS[command.which]);
      case "kill":
        return this.#contexts[command.which]!.cancel(KILL_REASONS[command.which]);
      case "advance":
        return this.#time.advance(command.ms);
      case "microtasks":
        for (let i = 0; i < command.count; i++) await Promise.resolve();
        return;
      case "close":
      case "cancel":
        this.#channels[command.channel]![command.verb](...(command.reason ? [CLOSE_REASON] : []));
    }
  }

  /** Nobody waits for what is there: only true once every promise that is settled was looked at. */
  checkNobodyWaitsInVain(): void {
    const state = this.#channels.map((ch) => ({ closed: ch.closed, size: ch.size }));
    for (const one of this.#waiting) {
      for (const at of one.receives) {
        assert(!state[at]!.closed && state[at]!.size === 0, "waits to receive what is there");
      }
      for (const at of one.sends) {
        assert(!state[at]!.closed, "waits to send to a closed channel");
        assertEquals(state[at]!.size, this.#capacities[at], "waits though there is room");
        for (const other of this.#waiting) {
          assert(other === one || !other.receives.includes(at), "sender and receiver both wait");
        }
      }
    }
  }

  async end(): Promise<void> {
    for (const controller of this.#controllers) controller.abort();
    for (const context of this.#contexts) context.cancel(KILL_REASONS[0]);
    for (const [i, ch] of this.#channels.entries()) {
      for (let got = ch.tryReceive(); got.state === "ok"; got = ch.tryReceive()) {
        this.#receivedAtOnce[i]!.push(got.value);
      }
      ch.close();
    }
    await idle();
    assertEquals([this.#waiting.size, enlisted()], [0, 0], "somebody still waits");

    // Exactly one place for each value.
    const places = new Map<number, string[]>();
    const note = (values: Iterable<number>, place: string) => {
      for (const value of values) places.set(value, [...places.get(value) ?? [], place]);
    };
    for (const values of [...this.#received, ...this.#receivedAtOnce]) note(values, "received");
    note(this.#undelivered, "undelivered");
    note(this.#kept, "kept");
    this.#target.forEach((_, value) => {
      assertEquals(places.get(value)?.length, 1, `value ${value} is in ${places.get(value)}`);
      assertEquals(places.get(value)![0] === "kept", !this.#sent.has(value), `value ${value}`);
    });
    // To the right channel, and in order.
    for (const lists of [this.#received, this.#receivedAtOnce]) {
      lists.forEach((values, at) => {
        for (const value of values) assertEquals(this.#target[value], at);
        assertEquals(values, [...values].sort((a, b) => a - b), "out of order");
      });
    }
  }

  #select({ cases, priority, ends }: Command & { verb: "select" }): void {
    const { list, values, waiting } = this.#cases(cases);
    const options = { priority, random: this.#random, ...this.#options(ends) };
    if (waiting.receives.length + waiting.sends.length === 0 && cases.every((one) => !one)) {
      return; // nothing to wait for: a TypeError, tested elsewhere
    }
    this.#waiting.add(waiting);
    this.#in(ends.task, () => select(list, options)).then(({ key, value, done }) => {
      this.#waiting.delete(waiting);
      this.#commit(cases, values, key, value, done, this.#received);
    }, (error) => {
      this.#waiting.delete(waiting);
      this.#fail(values, error);
    });
  }

  #trySelect(cases: (Case | null)[]): void {
    const { list, values } = this.#cases(cases);
    try {
      const got = trySelect(list, { random: this.#random });
      if (got === undefined) this.#keep(values);
      else this.#commit(cases, values, got.key, got.value, got.done, this.#receivedAtOnce);
    } catch (error) {
      this.#fail(values, error);
    }
  }

  #send(at: number, ends: Ends): void {
    const value = this.#value(at), waiting = { receives: [], sends: [at] };
    this.#waiting.add(waiting);
    const send = () => this.#channels[at]!.send(value, this.#options(ends));
    this.#in(ends.task, send).then(() => {
      this.#waiting.delete(waiting);
      this.#sent.add(value);
    }, (error) => {
      this.#waiting.delete(waiting);
      this.#fail([value], error);
    });
  }

  #receive(at: number, ends: Ends): void {
    const waiting = { receives: [at], sends: [] };
    this.#waiting.add(waiting);
    const receive = () => this.#channels[at]!.receive(this.#options(ends));
    this.#in(ends.task, receive).then((value) => {
      this.#waiting.delete(waiting);
      this.#received[at]!.push(value);
    }, (error) => {
      this.#waiting.delete(waiting);
      this.#fail([], error);
    });
  }

  #cases(cases: (Case | null)[]) {
    const waiting: Waiting = { receives: [], sends: [] };
    const values = cases.map((one) => one?.kind === "send" ? this.#value(one.channel) : undefined);
    const list = cases.map((one, i) => {
      if (one === null) return null;
      const ch = this.#channels[one.channel]!;
      if (one.kind === "merge") return merge(ch, this.#channels[(one.channel + 1) % CHANNELS]!);
      (one.kind === "send" ? waiting.sends : waiting.receives).push(one.channel);
      return one.kind === "send" ? ch.sending(values[i]!) : ch;
    });
    return { list, values, waiting };
  }

  #commit(
    cases: (Case | null)[],
    values: (number | undefined)[],
    key: number,
    value: unknown,
    done: boolean,
    received: number[][],
  ): void {
    const { kind } = cases[key]!;
    if (kind === "send") {
      assertEquals([value, done], [undefined, false]);
      this.#sent.add(values[key]!);
    } else if (!done) {
      received[this.#target[value as number]!]!.push(value as number);
    } else {
      assertEquals(value, undefined);
    }
    this.#keep(values.filter((_, i) => kind !== "send" || i !== key));
  }

  /** However a wait fails, its values are with the caller still. */
  #fail(values: (number | undefined)[], error: unknown): void {
    if (error instanceof ChannelClosedError && "value" in error) {
      assert(values.includes(error.value as number), "an error with another's value");
    } else {
      const reasons: unknown[] = [CLOSE_REASON, ...KILL_REASONS, ...ABORT_REASONS];
      const known = reasons.includes(error) || error instanceof TimeoutError ||
        error instanceof ChannelClosedError || error instanceof DOMException;
      if (!known) throw error; // floats, and fails the test
    }
    this.#keep(values);
  }

  #keep(values: (number | undefined)[]): void {
    for (const value of values) if (value !== undefined) this.#kept.add(value);
  }

  #value(channel: number): number {
    return this.#target.push(channel) - 1;
  }

  #options({ signal, timeout }: Ends) {
    return {
      ...(signal === null ? {} : { signal: this.#controllers[signal]!.signal }),
      ...(timeout === null ? {} : { timeout }),
    };
  }

  #in<R>(task: number | null, run: () => R): R {
    return task === null ? run() : runIn(this.#contexts[task]!, run);
  }
}

async function check(program: Program): Promise<void> {
  using time = new ManualClock();
  const run = new Run(program, time);
  for (const command of program.commands) await run.do(command);
  await idle();
  run.checkNobodyWaitsInVain();
  time.advance(10);
  await idle();
  run.checkNobodyWaitsInVain();
  await run.end();
}

test("select() in random programs loses and doubles no value, and commits once", async () => {
  await fc.assert(fc.asyncProperty(program, check), { seed: SEED, numRuns: RUNS });
});
