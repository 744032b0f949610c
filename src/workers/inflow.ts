// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The way into a channel: gives it the values that come from the other side, as one sender among
 * others, and says how many it has taken.
 *
 * @module
 */

// Invariants
//  1. #credit values may still come, #ring.size (and one, if #waits) have come and were not taken,
//     #taken were and were not confirmed: together #window.
//  2. While #waits, the oldest value stands with #branch among the senders of the channel.
//  3. The end comes behind all values.
//  4. A value is confirmed when its receiver has gone on with it: of one that nobody has seen when the
//     thread crashes, the other side must know that it was in flight.

import { runOutside } from "../_kernel/current.ts";
import { Ring } from "../_kernel/ring.ts";
import { Waiter, type WaiterGroup } from "../_kernel/waiter.ts";
import { CREDIT, type Lane, type Reason, TAKEN } from "./lane.ts";

/** What values are given to. */
export interface Sink<T> {
  /** Gives it `value`; `false` if it would have to wait. */
  put(value: T): boolean;
  /** Lets `value` wait with `branch`. */
  park(value: T, branch: Waiter): void;
  /** Takes it back. */
  unpark(branch: Waiter): void;
  /** Nobody will get a value, since the channel was closed while it waited. */
  undelivered(value: T): void;
  /** Whether somebody waits for a value now. */
  readonly awaited: boolean;
  /** All values are taken, and no more will come. */
  ended(reason: Reason): void;
}

/** The inflow. */
export class Inflow<T> implements WaiterGroup {
  readonly #lane: Lane;
  readonly #sink: Sink<T>;
  readonly #mostWindow: number;
  #window: number;
  #credit: number;
  #taken = 0;
  readonly #ring: Ring<T> = new Ring<T>();
  /** One for all values: it is enlisted again and again. */
  readonly #branch: Waiter = new Waiter(undefined, this);
  #waits = false;
  /** The value that waits. */
  #waiting: T | undefined = undefined;
  #feeding = false;
  #confirming = false;
  #stopped = false;
  /** The other side had more than credit, when it last posted. */
  #more = false;
  #end: Reason | null = null;
  /** Values that came and that nobody here will take: the other side knows how many. */
  readonly left: T[] = [];
  readonly #confirmNow: () => void = () => {
    this.#confirming = false;
    if (this.#stopped) return;
    this.#confirm();
    this.#finish();
  };

  /** `window` is what the other side may post before it hears anything. */
  constructor(lane: Lane, sink: Sink<T>, window: number, mostWindow: number) {
    this.#lane = lane;
    this.#sink = sink;
    this.#window = window;
    this.#credit = window;
    this.#mostWindow = mostWindow;
  }

  /** Gives first credit, one value: whoever only looks in must not carry off what others could do. */
  demand(): void {
    if (this.#window === 0) this.#widen(1);
  }

  /** Takes values of the other side. `false` if they are more than it may send, or malformed. */
  receive(messages: readonly unknown[], more: boolean): boolean {
    if (messages.length > this.#credit || this.#end !== null) return false;
    const values: T[] = [];
    try {
      for (const message of messages) values.push(this.#lane.decode(message) as T);
    } catch {
      return false;
    }
    this.#credit -= values.length;
    if (this.#stopped) {
      for (const value of values) this.left.push(value);
      return true;
    }
    // Who waits has done all it had, though the other side had more: the window was too small. Who works
    // long on each value never waits, and keeps a small one; the others can have what it does not need.
    if (this.#more && this.#sink.awaited && this.#window < this.#mostWindow) {
      this.#widen(Math.min(this.#window, this.#mostWindow - this.#window));
    }
    this.#more = more;
    for (const value of values) this.#ring.push(value);
    this.#feed();
    return true;
  }

  /** No more values will come. `false` if that was said before. */
  end(reason: Reason): boolean {
    if (this.#end !== null) return false;
    this.#end = reason;
    this.#feed();
    return true;
  }

  /** Gives the channel nothing more, and confirms what it took; what it did not is `left`. */
  stop(): void {
    if (this.#waits) {
      this.left.push(this.#waiting as T);
      this.#sink.unpark(this.#branch);
      this.#waits = false;
      this.#waiting = undefined;
    }
    this.#stopped = true;
    for (const value of this.#ring.take(this.#ring.size)) this.left.push(value);
    this.#confirm();
  }

  /** How many values have come and were not taken. */
  get size(): number {
    return this.#ring.size + (this.#waits ? 1 : 0);
  }

  branchSettled(): void {
    this.#waits = false;
    this.#taken++;
    this.#feed();
  }

  branchFailed(): void {
    this.#waits = false;
    this.#taken++;
    this.#sink.undelivered(this.#waiting as T);
    this.#feed();
  }

  #feed(): void {
    // What a put wakes may take the next one, and be here again.
    if (this.#feeding) return;
    this.#feeding = true;
    while (!this.#waits && this.#ring.size > 0) {
      const value = this.#ring.shift();
      if (this.#sink.put(value)) {
        this.#taken++;
      } else {
        this.#waits = true;
        this.#waiting = value;
        this.#branch.settled = false;
        this.#sink.park(value, this.#branch);
      }
    }
    this.#feeding = false;
    if (!this.#waits) this.#waiting = undefined;
    if (this.#stopped) return;
    if (!this.#waits || this.#taken * 2 >= this.#window) this.#confirmSoon();
    this.#finish();
  }

  /** Tells of the end, when all before it is confirmed. */
  #finish(): void {
    if (this.#end === null || this.size > 0 || this.#confirming) return;
    this.#stopped = true;
    this.#sink.ended(this.#end);
  }

  #confirmSoon(): void {
    if (this.#taken === 0 || this.#confirming) return;
    this.#confirming = true;
    runOutside(queueMicrotask, this.#confirmNow);
  }

  #confirm(): void {
    if (this.#taken === 0) return;
    this.#lane.post(TAKEN, [this.#taken]);
    this.#credit += this.#taken;
    this.#taken = 0;
  }

  #widen(count: number): void {
    this.#window += count;
    this.#credit += count;
    this.#lane.post(CREDIT, [count]);
  }
}
