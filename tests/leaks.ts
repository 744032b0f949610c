// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Fails a test file that leaves a waiter or a timer behind.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { beforeEach, type TestContext } from "node:test";
import { clock } from "../src/_kernel/clock.ts";
import { liveWaiters } from "../src/_kernel/waiter.ts";

/** Call once at the top of a test file: a test that leaves something parked fails. */
export function noLeaks(): void {
  beforeEach((test) => {
    // Against what was there before, so that one leak does not fail every later test too.
    const waiters = liveWaiters(), timers = clock.on.size;
    // And not afterEach(): Deno drops what such a hook throws.
    (test as TestContext).after(() => {
      assertEquals(liveWaiters() - waiters, 0, "waiters are left");
      assertEquals(clock.on.size - timers, 0, "timers are left");
    });
  });
}
