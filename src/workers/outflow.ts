// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The way out of a channel at home: takes its values, as one receiver among others, and posts them to
 * the other side, as many as that has given credit for.
 *
 * @module
 */

// Invariants
//  1. #credit + #held.length + #sent.size <= #window: that many values at most are not at home.
//  2. It stands among the receivers only while there is credit and it holds nothing: while it collects
//     for a message, values wait at home, where others can take them.
//  3. A value taken is posted, or is in what stop() gives.
// Source: credit windows of HTTP/2 and Reactive Streams. Dropped: to stand among the receivers for each
// value, which costs a waiter each; a value is then posted alone, too.

import { Ring } from "../_kernel/ring.ts";
import type { SelectCase, Selected } from "../_kernel/selectable.ts";
import { Waiter, type WaiterGroup } from "../_kernel/waiter.ts";
import { END, type Flow, type Lane, type Reason, VALUES } from "./lane.ts";
import type { Movable } from "./port.ts";

/** What values are taken from: a channel, or something that receives as one. */
export interface Source<T> {
  readonly "~select": SelectCase<T>;
  readonly closed?: boolean;
  readonly size?: number;
}

/** Told of values that an {@linkcode Outflow} has taken in vain. */
export interface OutflowOwner<T> {
  /** `value` cannot be posted, and `later` come behind it; the other side was told the end. */
  unsendable(value: T, later: readonly T[]): void;
}

/** What an outflow leaves behind. */
export interface Leftover<T> {
  /** Posted, and not confirmed, the oldest first. */
  readonly sent: T[];
  /** Taken later, and not posted. */
  readonly held: T[];
  /** Whether something in what was posted was moved. */
  readonly moved: boolean;
}

/** The outflow. It does nothing before it gets credit, but to tell of the end of an empty source. */
export class Outflow<T> implements WaiterGroup, Flow {
  /** It takes nothing more: the source has ended, or it was stopped. */
  over = false;
  readonly #lane: Lane;
  readonly #source: Source<T>;
  readonly #case: SelectCase<T>;
  readonly #owner: OutflowOwner<T>;
  readonly #window: number;
  #credit = 0;
  #held: T[] = [];
  readonly #sent: Ring<T> = new Ring<T>();
  /** How many of the oldest of #sent stand before the last one that was moved, with it. */
  #moved = 0;
  /** Its place among the receivers. */
  #branch: Waiter | null = null;
  #collecting = false;

  constructor(lane: Lane, source: Source<T>, owner: OutflowOwner<T>, window: number) {
    this.#lane = lane;
    this.#source = source;
    this.#case = source["~select"];
    this.#owner = owner;
    this.#window = window;
  }

  /** The other side may get `count` more. `false` if that is more than it may ask for. */
  grant(count: number): boolean {
    if (count > this.#window - this.#credit - this.#held.length - this.#sent.size) return false;
    this.#credit += count;
    this.go();
    return true;
  }

  /** The other side has taken `count`, and may get as many. `false` if it was not sent so many. */
  confirm(count: number): boolean {
    if (count > this.#sent.size) return false;
    this.#sent.take(count);
    this.#moved = Math.max(0, this.#moved - count);
    this.#credit += count;
    this.go();
    return true;
  }

  /** Does what can be done now. */
  go(): void {
    if (this.over || this.#collecting || this.#branch !== null) return;
    // A little credit is left to grow while the other side still has values: it gives more when it has
    // taken half of them, and many small messages cost more than they bring.
    const some = this.#credit > 0 && this.#credit >= this.#sent.size;
    if (this.#case.ready()) {
      if (some || this.#isDrained) this.#collect();
    } else if (some) {
      this.#branch = new Waiter<Selected<T>>(undefined, this);
      this.#case.enlist(this.#branch);
    }
  }

  /** Takes nothing more, and gives what it has; nothing is posted any more. */
  stop(): Leftover<T> {
    this.pause();
    const held = this.#held;
    this.#held = [];
    const moved = this.#moved > 0;
    return { sent: this.#sent.take(this.#sent.size), held, moved };
  }

  /** Takes nothing more. What it has may still be confirmed. */
  pause(): void {
    this.over = true;
    if (this.#branch !== null) this.#case.delist(this.#branch);
    this.#branch = null;
  }

  get held(): number {
    return this.#held.length + (this.#source.size ?? 0);
  }

  flush(): void {
    this.#collecting = false;
    if (this.over) return;
    let end: Reason | null = null;
    try {
      while (end === null && this.#case.ready() && (this.#credit > 0 || this.#isDrained)) {
        const { value, done } = this.#case.take();
        if (done) end = [];
        else this.#hold(value);
      }
    } catch (error) {
      end = [error];
    }
    if (!this.#post(end === null && this.#case.ready())) return;
    if (end === null) this.go();
    else this.#end(end);
  }

  branchSettled(_branch: Waiter, selected: unknown): void {
    const { value, done } = selected as Selected<T>;
    this.#branch = null;
    if (done) return this.#end([]);
    this.#hold(value);
    this.#collect();
  }

  branchFailed(_branch: Waiter, error: unknown): void {
    this.#branch = null;
    this.#end([error]);
  }

  get #isDrained(): boolean {
    return this.#case.ended?.() === true ||
      (this.#source.closed === true && this.#source.size === 0);
  }

  #hold(value: T): void {
    this.#held.push(value);
    this.#credit--;
  }

  #collect(): void {
    this.#collecting = true;
    this.#lane.flushSoon(this);
  }

  /** Posts what it holds; `false` if something cannot be, which is the end. */
  #post(more: boolean): boolean {
    const held = this.#held;
    if (held.length === 0) return true;
    this.#held = [];
    const encoded: unknown[] = [], transferList: Movable[] = [];
    let failed: Reason | null = null;
    for (const value of held) {
      try {
        encoded.push(this.#lane.encode(value, transferList));
      } catch (error) {
        failed = [error];
        break;
      }
      this.#sent.push(value);
    }
    const moved = transferList.length > 0;
    if (moved) this.#moved = this.#sent.size;
    if (encoded.length > 0) {
      this.#lane.post(VALUES, [encoded, more && failed === null, moved], transferList);
    }
    if (failed === null) return true;
    this.#end(failed);
    const at = encoded.length;
    this.#owner.unsendable(held[at]!, held.slice(at + 1));
    return false;
  }

  #end(reason: Reason): void {
    if (this.over) return;
    this.pause();
    this.#lane.post(END, this.#lane.encodeReason(reason));
  }
}
