// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Counts who stands in line anywhere, branches of selects included, which `liveWaiters()` leaves out.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { afterEach, beforeEach } from "node:test";
import { WaitList } from "../src/_kernel/wait_list.ts";

let count = 0;
const { push, remove } = WaitList.prototype;

WaitList.prototype.push = function (waiter): void {
  count++;
  push.call(this, waiter);
};
WaitList.prototype.remove = function (waiter): void {
  count--;
  remove.call(this, waiter);
};

/** How many waiters stand in a list. */
export function enlisted(): number {
  return count;
}

/** Call once at the top of a test file: fails when a test leaves a waiter in a list. */
export function noneEnlisted(): void {
  beforeEach(() => {
    count = 0; // no test shall pay for one before it, of another file perhaps
  });
  afterEach(() => {
    const left = count;
    try {
      assertEquals(left, 0, "waiters are left in lists");
    } catch (error) {
      // Deno swallows what a hook throws; a floating rejection fails the run everywhere.
      void Promise.reject(error);
      throw error;
    }
  });
}
