// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Asserts the order in which things happen, without a clock.
 *
 * @module
 */

/** Counts calls; each says which number it is. */
export interface Steps {
  /**
   * The next thing that happens is the `n`th, counted from 1.
   *
   * @throws {Error} If it is not, or comes after the end.
   */
  (n: number): void;
  /**
   * The last step: nothing may come after it.
   *
   * @throws {Error} If it is not the `n`th, or comes after the end.
   */
  end(n: number): void;
}

/**
 * Makes a counter of steps. A step out of order throws where it is taken; one that never comes is missed
 * by `end`, which says how many there must be.
 *
 * @example A send parks until its value is taken
 * ```ts
 * import { Channel } from "@baozi/baozi";
 * import { idle, steps } from "@baozi/baozi/testing";
 *
 * const step = steps();
 * const ch = new Channel<string>();
 * const sent = ch.send("leek").then(() => step(2));
 * await idle();
 * step(1);
 * await ch.receive();
 * await sent;
 * step.end(3);
 * ```
 */
export function steps(): Steps {
  let count = 0;
  let ended = false;
  const step = (n: number): void => {
    if (ended) throw new Error(`Cannot take step ${n}: step ${count} must be the last one`);
    if (n !== ++count) throw new Error(`Cannot take step: it must be number ${count}, got ${n}`);
  };
  return Object.assign(step, {
    end(n: number): void {
      step(n);
      ended = true;
    },
  });
}
