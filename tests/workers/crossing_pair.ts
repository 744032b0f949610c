// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Two sides of a link within one thread: messages are cloned as between threads, and arrive when the
 * test says so.
 *
 * @module
 */

import { type Codec, makeCodec } from "../../src/workers/codec.ts";
import { type CallChannels, type CrossingLink, Crossings } from "../../src/workers/crossing.ts";

const MOST_BYTES = 1024 * 1024;

/** One side. */
export class Side implements CrossingLink {
  readonly codec: Codec;
  readonly crossings: Crossings;
  /** The call that all channels of a test belong to. */
  readonly scope: CallChannels;
  /** Messages that were posted and have not arrived at the other side. */
  readonly posted: unknown[][] = [];
  /** All records that arrived here. */
  readonly heard: unknown[][] = [];
  /** How many records were refused here. */
  ignored = 0;
  /** Values that nobody can take back. */
  readonly undelivered: unknown[] = [];
  /** Called for each message, when it is on its way. */
  onPosted: () => void = () => {};
  #records: (readonly unknown[])[] = [];
  #transfers: Transferable[] = [];

  constructor(side: 0 | 1) {
    this.codec = makeCodec({
      maxMessageBytes: MOST_BYTES,
      pass: (candidate, path) => this.crossings.pass(candidate, path),
      take: (token) => this.crossings.take(token),
    });
    this.crossings = new Crossings(this, side, {
      onUndelivered: (value) => this.undelivered.push(value),
    });
    this.scope = this.crossings.scope();
  }

  post(record: readonly unknown[], transferList: Transferable[] = []): void {
    this.#records.push(record);
    this.#transfers.push(...transferList);
    if (this.#records.length === 1) queueMicrotask(() => this.flush());
  }

  /** Puts what was posted on its way. */
  flush(): void {
    this.crossings.flush();
    if (this.#records.length === 0) return;
    this.posted.push(structuredClone(this.#records as unknown[], { transfer: this.#transfers }));
    this.#records = [];
    this.#transfers = [];
    this.onPosted();
  }

  /** Takes the records of one message. */
  hear(message: unknown[]): void {
    for (const record of message) {
      this.heard.push(record as unknown[]);
      if (!this.crossings.receive(record)) this.ignored++;
    }
  }
}

/** Two sides. `main` has the homes in most tests. */
export class Pair {
  readonly main: Side = new Side(0);
  readonly worker: Side = new Side(1);
  #arrives = false;

  /** With `manual` nothing arrives before `deliver`. */
  constructor(mode: "at once" | "manual" = "at once") {
    if (mode === "manual") return;
    this.main.onPosted = () => this.#arriveSoon();
    this.worker.onPosted = () => this.#arriveSoon();
  }

  /** Passes something from the main side; returns what the worker gets. */
  pass<T>(thing: T): T {
    return this.#carry(this.main, this.worker, thing);
  }

  /** Passes something from the worker. */
  passBack<T>(thing: T): T {
    return this.#carry(this.worker, this.main, thing);
  }

  /** Lets the oldest message to `to` arrive; `false` if there is none. */
  deliver(to: "main" | "worker"): boolean {
    const from = to === "main" ? this.worker : this.main;
    const message = from.posted.shift();
    if (message !== undefined) this[to].hear(message);
    return message !== undefined;
  }

  /** Lets everything arrive that is posted, on both sides, until there is no more. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      for (let i = 0; i < 20; i++) await Promise.resolve();
      const arrived = [this.deliver("main"), this.deliver("worker")];
      quiet = arrived.includes(true) ? 0 : quiet + 1;
    }
  }

  /** The call ends as it does in the worker first. */
  end(): void {
    this.worker.scope.end();
    this.main.scope.end();
  }

  /** How many values are on their way to a side, posted and not arrived. */
  underWay(to: "main" | "worker"): number {
    const from = to === "main" ? this.worker : this.main;
    let count = 0;
    for (const message of from.posted) {
      for (const record of message as unknown[][]) {
        if (record[0] === "values") count += (record[2] as unknown[]).length;
      }
    }
    return count;
  }

  #carry<T>(from: Side, to: Side, thing: T): T {
    const encoded = from.scope.encode(thing, "value", []);
    return to.scope.decode(structuredClone(encoded)) as T;
  }

  #arriveSoon(): void {
    if (this.#arrives) return;
    this.#arrives = true;
    setTimeout(() => {
      this.#arrives = false;
      for (const [from, to] of [[this.main, this.worker], [this.worker, this.main]] as const) {
        for (const message of from.posted.splice(0)) to.hear(message);
      }
    }, 0);
  }
}
