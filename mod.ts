// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Coroutines for TypeScript: async generators and tasks connected by typed channels, greenlet-style
 * `switch`, gevent-style `spawn` and `joinAll`, cancellation that reaches every wait. The same on
 * Deno, Bun, Node and in browsers, with no dependency.
 *
 * @example A task and a channel
 * ```ts
 * import { Channel, spawn } from "@baozi/baozi";
 * import { assertEquals } from "@std/assert";
 *
 * const steamer = new Channel<string>({ capacity: 2 });
 * const cook = spawn(async () => {
 *   for (const filling of ["pork", "leek", "bean"]) await steamer.send(`${filling} baozi`);
 *   steamer.close();
 * });
 * const eaten: string[] = [];
 * for await (const baozi of steamer) eaten.push(baozi);
 * await cook;
 * assertEquals(eaten, ["pork baozi", "leek baozi", "bean baozi"]);
 * ```
 *
 * @module
 */

export type { Selectable, SelectBranch, SelectCase, Selected } from "./src/_kernel/selectable.ts";
export type { WaitOptions } from "./src/_kernel/waiter.ts";
export type { WaitDump, WaitedOn } from "./src/_kernel/waits.ts";
export { assertYields, type BlockedReport, onBlocked } from "./src/blocked.ts";
export {
  Channel,
  channel,
  type ChannelOptions,
  type ChannelReceiveResult,
  type Overflow,
  type Receiver,
  type Sender,
} from "./src/channel.ts";
export { config } from "./src/config.ts";
export { onStall, type StallReport } from "./src/deadlock.ts";
export { Dump, dump, type TaskDump } from "./src/dump.ts";
export { type Coroutine, coroutine, type CoroutineOf } from "./src/coroutine.ts";
export {
  BlockedError,
  BrokenError,
  BusyError,
  ChannelClosedError,
  ConnClosedError,
  CoroutineEndedError,
  DeadlockError,
  type DeadlockWait,
  GreenletError,
  GreenletExit,
  isKilled,
  KilledError,
  NotTransferableError,
  QueueClosedError,
  TimeoutError,
  WorkerCrashed,
} from "./src/errors.ts";
export {
  currentGreenlet,
  Greenlet,
  greenlet,
  type GreenletBody,
  type GreenletOptions,
  type GreenletTrace,
  setTrace,
} from "./src/greenlet.ts";
export { joinAll, type JoinAllOptions, killAll } from "./src/join.ts";
export { mapStage, type MapStageOptions } from "./src/map_stage.ts";
export {
  type Pipeline,
  pipeline,
  type PipelineOptions,
  type PipelineSource,
  type Stage,
} from "./src/pipeline.ts";
export { produce, type ProduceOptions } from "./src/produce.ts";
export { shield } from "./src/shield.ts";
export { sleep } from "./src/sleep.ts";
export { spawn, spawnLater } from "./src/spawn.ts";
export {
  currentTask,
  Task,
  type TaskLink,
  type TaskOptions,
  type TaskResult,
  type TaskState,
} from "./src/task.ts";
export { TaskLocal } from "./src/task_local.ts";
export { onUnhandled } from "./src/unhandled.ts";
export { until } from "./src/until.ts";
export { Barrier } from "./src/barrier.ts";
export { Broadcast, type SubscribeOptions, type Subscription } from "./src/broadcast.ts";
export { Condition } from "./src/condition.ts";
export { Deferred } from "./src/deferred.ts";
export { Event } from "./src/event.ts";
export { merge, type Merged } from "./src/merge.ts";
export { type Lock, Mutex, type MutexOptions } from "./src/mutex.ts";
export { Group, type ImapOptions, Pool, type Progress } from "./src/pool.ts";
export { LifoQueue, PriorityQueue, Queue, type QueueResult, type QueueStore } from "./src/queue.ts";
export {
  type RateAcquireOptions,
  RateLimit,
  rateLimit,
  type RateLimitOptions,
  type RatePermit,
} from "./src/rate_limit.ts";
export { type Scope, scope, type ScopeOptions } from "./src/scope.ts";
export {
  select,
  type SelectCases,
  type SelectOptions,
  type SelectOutcome,
  type SelectResult,
  type SelectSource,
  trySelect,
} from "./src/select.ts";
export { type AcquireOptions, BoundedSemaphore, type Permit, Semaphore } from "./src/semaphore.ts";
export type { RestartPolicy, SuperviseOptions } from "./src/supervise.ts";
export { withTimeout } from "./src/timeout.ts";
export { after, every, Ticker } from "./src/timer.ts";
export { iwait, wait, type Waitable, type WaitManyOptions } from "./src/wait.ts";
export { WaitGroup } from "./src/wait_group.ts";
