// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A clock that moves only when told, for tests of time limits without waiting.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Clock, clock, type TimeSource } from "../src/_kernel/clock.ts";

/** Takes the place of the library's clock until it is disposed of. */
export class ManualClock implements TimeSource, Disposable {
  readonly #clock: Clock = new Clock(this);
  readonly #former: Clock = clock.on;
  #now = 0;

  constructor() {
    clock.on = this.#clock;
  }

  now(): number {
    return this.#now;
  }

  arm(): void {}

  /** Lets `ms` milliseconds pass at once. */
  advance(ms: number): void {
    this.#now += ms;
    this.#clock.fire();
  }

  /** How many timers wait. */
  get size(): number {
    return this.#clock.size;
  }

  [Symbol.dispose](): void {
    clock.on = this.#former;
    assertEquals(this.#clock.size, 0, "timers are left");
  }
}
