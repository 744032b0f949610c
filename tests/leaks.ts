// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Fails a test file that leaves a waiter or a timer behind.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { afterEach } from "node:test";
import { clock } from "../src/_kernel/clock.ts";
import { liveWaiters } from "../src/_kernel/waiter.ts";

/** Call once at the top of a test file: fails when a test leaves something parked. */
export function noLeaks(): void {
  afterEach(() => {
    try {
      assertEquals(liveWaiters(), 0, "waiters are left");
      assertEquals(clock.on.size, 0, "timers are left");
    } catch (error) {
      // Deno swallows what a hook throws; a floating rejection fails the run everywhere.
      void Promise.reject(error);
      throw error;
    }
  });
}
