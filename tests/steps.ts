// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Asserts the order in which things happen, without a clock.
 *
 * @module
 */

import { assertEquals } from "@std/assert";

/** Counts calls; each says which number it is. */
export interface Steps {
  /** The next thing that happens is the `n`th, counted from 1. */
  (n: number): void;
  /** The last step: nothing may come after it. */
  end(n: number): void;
}

/** A new counter. */
export function steps(): Steps {
  let count = 0;
  let ended = false;
  const step = (n: number) => {
    assertEquals(ended, false, `step ${n} came after the end`);
    assertEquals(++count, n, "out of order");
  };
  return Object.assign(step, {
    end(n: number) {
      step(n);
      ended = true;
    },
  });
}
