// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Random programs over one channel and the threads it crosses to, with messages that arrive as late as
 * the program says: no value is lost, doubled, or overtakes another one.
 *
 * @module
 */

// Source: Jepsen's total-queue for the accounts.

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { Channel, select } from "../../mod.ts";
import { noLeaks } from "../leaks.ts";
import { type Outcome, outcome } from "../outcome.ts";
import { Pair } from "./crossing_pair.ts";

/** More, or another seed, for a longer search; a failure prints its seed and path. */
const SEED = 20261121;
const RUNS = 1500;

const LINKS = 2;
const SIGNALS = 3;

noLeaks();

/** Who does it: 0 is at home, the others are at the far ends. */
type Place = number;

type Command =
  | { verb: "send" | "sendCase" | "receive" | "receiveCase"; at: Place; signal: number | null }
  | { verb: "trySend" | "tryReceive" | "chunk"; at: Place }
  | { verb: "close" | "cancel"; at: Place; reason: boolean }
  | { verb: "abort"; signal: number }
  | { verb: "ticks"; count: number }
  | { verb: "deliver"; link: number; to: "main" | "worker"; count: number }
  | { verb: "end"; link: number; first: "main" | "worker" }
  | { verb: "crash"; link: number };

interface Program {
  capacity: number;
  commands: Command[];
}

const place = fc.integer({ min: 0, max: LINKS });
const link = fc.integer({ min: 0, max: LINKS - 1 });
const signal = fc.option(fc.integer({ min: 0, max: SIGNALS - 1 }), { freq: 2 });
const side = fc.constantFrom("main" as const, "worker" as const);

const flow: fc.WeightedArbitrary<Command>[] = [
  {
    weight: 10,
    arbitrary: fc.record({
      verb: fc.constantFrom("send" as const, "sendCase" as const),
      at: place,
      signal,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      verb: fc.constantFrom("receive" as const, "receiveCase" as const),
      at: place,
      signal,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      verb: fc.constantFrom("trySend" as const, "tryReceive" as const, "chunk" as const),
      at: place,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constant("abort" as const),
      signal: fc.integer({ min: 0, max: SIGNALS - 1 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      verb: fc.constant("ticks" as const),
      count: fc.integer({ min: 1, max: 30 }),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({
      verb: fc.constant("deliver" as const),
      link,
      to: side,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
];

const ends: fc.WeightedArbitrary<Command>[] = [
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constantFrom("close" as const, "cancel" as const),
      at: place,
      reason: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("end" as const), link, first: side }) },
];

const crash: fc.WeightedArbitrary<Command> = {
  weight: 1,
  arbitrary: fc.record({ verb: fc.constant("crash" as const), link }),
};

function programs(...commands: fc.WeightedArbitrary<Command>[]): fc.Arbitrary<Program> {
  return fc.record({
    capacity: fc.integer({ min: 1, max: 6 }),
    commands: fc.array(fc.oneof(...commands), { minLength: 10, maxLength: 150, size: "max" }),
  });
}

/** A value says who sent it, and as which one. */
type Value = readonly [from: Place, number: number];

interface Sent {
  readonly value: Value;
  readonly done: Outcome<unknown>;
}

class Run {
  readonly lost: Value[] = [];
  readonly home: Channel<Value>;
  readonly pairs: Pair[] = [];
  /** The channel, as it is at each place. */
  readonly channels: Channel<Value>[];
  readonly sent: Sent[] = [];
  readonly received: Value[][] = [];
  readonly inFlight: Value[] = [];
  readonly crashed: boolean[] = [];
  readonly #signals: AbortController[] = [];
  readonly #waits: Outcome<unknown>[] = [];
  readonly #capacity: number;
  #number = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.home = new Channel({ capacity, onUndelivered: (value) => void this.lost.push(value) });
    for (let i = 0; i < LINKS; i++) this.pairs.push(new Pair("manual"));
    this.channels = [this.home, ...this.pairs.map((pair) => pair.pass(this.home))];
    for (let i = 0; i <= LINKS; i++) this.received.push([]);
    for (let i = 0; i < SIGNALS; i++) this.#signals.push(new AbortController());
  }

  async run(commands: readonly Command[]): Promise<void> {
    for (const command of commands) {
      await this.#do(command);
      this.#checkBounds();
    }
  }

  /** Lets all arrive. */
  async arrive(): Promise<void> {
    for (const pair of this.pairs) await this.#settle(pair);
  }

  /** Ends the calls and the channel, and empties it. */
  async finish(): Promise<void> {
    for (const pair of this.pairs) pair.worker.scope.end();
    for (const pair of this.pairs) await this.#settle(pair);
    for (const pair of this.pairs) pair.main.scope.end();
    for (const controller of this.#signals) controller.abort();
    await ticks(50);
    this.home.close();
    await ticks(50);
    for (;;) {
      const taken = this.home.tryReceive();
      if (taken.state !== "ok") break;
      this.received[0]!.push(taken.value);
    }
    for (const { state } of this.#waits) assert(state !== "pending", "a wait is left");
    this.pairs.forEach((pair, i) => {
      if (this.crashed[i]) return;
      assertEquals([pair.main.ignored, pair.worker.ignored], [0, 0], "records were refused");
      assertEquals([pair.main.crossings.size, pair.worker.crossings.size], [0, 0], "is left");
    });
  }

  /** Each value that was accepted is in one place, all others are in none. */
  account(): void {
    const places = new Map<string, number>();
    for (const value of [...this.lost, ...this.received.flat()]) {
      places.set(String(value), (places.get(String(value)) ?? 0) + 1);
    }
    const unknown = new Set(this.inFlight.map(String));
    for (const { value, done } of this.sent) {
      const count = places.get(String(value)) ?? 0;
      places.delete(String(value));
      const accepted = done.state === "resolved" &&
        (done.value === undefined || done.value === true || typeof done.value === "object");
      const from = value[0];
      if (!accepted) {
        assertEquals(count, 0, `${value} was not accepted`);
      } else if (unknown.has(String(value))) {
        // Told of by the crash; whether the worker got it before nobody knows.
        assert(count === 1 || count === 2, `${value} is in ${count} places`);
      } else if (from > 0 && this.crashed[from - 1]) {
        assert(count <= 1, `${value} is doubled`);
      } else {
        assertEquals(count, 1, `${value} is in ${count} places`);
      }
    }
    assertEquals([...places.keys()], [], "values that nobody sent");
  }

  /** What a place got from a place came in order. */
  checkOrder(): void {
    for (const values of this.received) {
      for (let from = 0; from <= LINKS; from++) {
        const numbers = values.filter((value) => value[0] === from).map(([, number]) => number);
        assertEquals(numbers, [...numbers].sort((a, b) => a - b));
      }
    }
  }

  async #do(command: Command): Promise<void> {
    switch (command.verb) {
      case "send":
      case "sendCase":
      case "trySend":
        return this.#send(command);
      case "receive":
      case "receiveCase":
      case "tryReceive":
      case "chunk":
        return await this.#receive(command);
      case "close":
      case "cancel":
        this.channels[command.at]![command.verb](...(command.reason ? ["reason"] : []));
        return;
      case "abort":
        this.#signals[command.signal]!.abort();
        this.#signals[command.signal] = new AbortController();
        return;
      case "ticks":
        return await ticks(command.count);
      case "deliver":
        if (this.crashed[command.link]) return;
        for (let i = 0; i < command.count; i++) this.pairs[command.link]!.deliver(command.to);
        return;
      case "end":
        this.pairs[command.link]![command.first].scope.end();
        return;
      case "crash":
        if (this.crashed[command.link]) return;
        this.crashed[command.link] = true;
        this.inFlight.push(...this.pairs[command.link]!.main.crossings.crash() as Value[]);
    }
  }

  #send(command: { verb: string; at: Place; signal?: number | null }): void {
    const value: Value = [command.at, this.#number++];
    const channel = this.channels[command.at]!, options = this.#options(command.signal);
    let done: Outcome<unknown>;
    if (command.verb === "trySend") {
      done = { state: "resolved", value: channel.trySend(value) };
    } else {
      const sending = command.verb === "send"
        ? channel.send(value, options)
        : select({ out: channel.sending(value) }, options);
      this.#waits.push(done = outcome<unknown>(sending));
    }
    this.sent.push({ value, done });
  }

  async #receive(command: { verb: string; at: Place; signal?: number | null }): Promise<void> {
    const channel = this.channels[command.at]!, got = this.received[command.at]!;
    const options = this.#options(command.signal);
    if (command.verb === "tryReceive") {
      const taken = channel.tryReceive();
      if (taken.state === "ok") got.push(taken.value);
    } else if (command.verb === "chunk") {
      const chunks = channel.chunks(3);
      const next = outcome(
        chunks.next().then((result) => {
          if (result.done !== true) got.push(...result.value);
        }),
      );
      await chunks.return!();
      this.#waits.push(next);
    } else {
      const taking = command.verb === "receive"
        ? channel.receive(options).then((value) => void got.push(value))
        : select({ in: channel }, options).then(({ value, done }) => {
          if (!done) got.push(value);
        });
      this.#waits.push(outcome(taking));
    }
  }

  #options(signal: number | null | undefined): { signal: AbortSignal } | undefined {
    return signal == null ? undefined : { signal: this.#signals[signal]!.signal };
  }

  #checkBounds(): void {
    this.pairs.forEach((pair, i) => {
      const there = this.channels[i + 1]!.size + pair.underWay("worker");
      assert(there <= this.#capacity, `${there} values are there`);
      const back = pair.underWay("main");
      assert(back <= this.#capacity, `${back} values are on their way home`);
    });
  }

  async #settle(pair: Pair): Promise<void> {
    if (this.crashed[this.pairs.indexOf(pair)]) await ticks(50);
    else await pair.settle();
  }
}

async function ticks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}

async function check(arbitrary: fc.Arbitrary<Program>, ordered: boolean): Promise<void> {
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ capacity, commands }) => {
      const run = new Run(capacity);
      try {
        await run.run(commands);
        await run.arrive();
        // Before values go back to the home, and so behind those that came later.
        if (ordered) run.checkOrder();
      } finally {
        await run.finish();
      }
      run.account();
    }),
    { seed: SEED, numRuns: RUNS },
  );
}

test("a crossing channel loses, doubles and reorders nothing", async () => {
  await check(programs(...flow), true);
});

test("a crossing channel loses and doubles nothing when it is closed or its calls end", async () => {
  await check(programs(...flow, ...ends), false);
});

test("a crossing channel loses and doubles nothing at home when a thread crashes", async () => {
  await check(programs(...flow, ...ends, crash), false);
});
