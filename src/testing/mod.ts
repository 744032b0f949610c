// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Tools for tests of concurrent programs: time that passes at once, all orders of a small program,
 * what is left behind, who comes first, a connection that breaks. They depend on no test runner.
 *
 * @example An hour in a test
 * ```ts
 * import { sleep } from "@baozi/baozi";
 * import { virtualTime } from "@baozi/baozi/testing";
 *
 * await virtualTime(() => sleep(3_600_000));
 * ```
 *
 * @module
 */

export {
  explore,
  type Explored,
  ExploreError,
  type ExploreOptions,
  type ExploreRun,
  type Fault,
} from "./explore.ts";
export { idle } from "./idle.ts";
export { leaks, liveWaiters } from "./leaks.ts";
export { type SocketFaults, type SocketPair, socketPair } from "./socket_pair.ts";
export { type Steps, steps } from "./steps.ts";
export { type VirtualTime, virtualTime, type VirtualTimeOptions } from "./virtual_time.ts";
