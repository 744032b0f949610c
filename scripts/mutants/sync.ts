// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Bugs in locks, queues and the like, for `scripts/mutate.ts`.
 *
 * @module
 */

import type { Mutant } from "../mutate.ts";

/** The bugs. */
export const SYNC_MUTANTS: readonly Mutant[] = [
  {
    id: "semaphore-permit-twice",
    file: "semaphore.ts",
    bug: "a permit that is released twice counts twice",
    text: "    this.#semaphore = null;\n",
    replacement: "",
  },
  {
    id: "semaphore-barging",
    file: "semaphore.ts",
    bug: "a small request barges past a large one that waits, which starves",
    text: "return this.#value >= weight && this.#waiters.first === null;",
    replacement: "return this.#value >= weight;",
  },
  {
    id: "semaphore-hands-to-the-doomed",
    file: "semaphore.ts",
    bug: "a permit is handed to a wait that is about to be cancelled",
    text: "if (weight > this.#value || waiter.doomed) return;",
    replacement: "if (weight > this.#value) return;",
  },
  {
    id: "semaphore-release-wakes-nobody",
    file: "semaphore.ts",
    bug: "a release wakes nobody",
    text: `    this.#value += count;\n    this["~waiterLeft"]();\n`,
    replacement: "    this.#value += count;\n",
  },
  {
    id: "semaphore-release-wakes-one",
    file: "semaphore.ts",
    bug: "a release of several permits wakes one waiter",
    text: "      serve(waiter, this.#take(weight));\n",
    replacement: "      serve(waiter, this.#take(weight));\n      return;\n",
  },
  {
    id: "semaphore-bound-one-more",
    file: "semaphore.ts",
    bug: "a bounded semaphore takes one release too many",
    text: "if (this.#value + count > this.#bound) {",
    replacement: "if (this.#value + count > this.#bound + 1) {",
  },
  {
    id: "semaphore-error-keeps-permit",
    file: "semaphore.ts",
    bug: "withPermit keeps the permit when its function fails",
    text: "    try {\n      return await fn();\n    } finally {\n      permit.release();\n    }\n",
    replacement: "    const result = await fn();\n    permit.release();\n    return result;\n",
  },
  {
    id: "mutex-unlocks-too-early",
    file: "mutex.ts",
    bug: "the first unlock of a lock taken twice by one task frees it",
    text: "    if (--this.#depth > 0) return;\n",
    replacement: "    this.#depth = 0;\n",
  },
  {
    id: "mutex-unlocks-twice",
    file: "mutex.ts",
    bug: "a second release of a lock frees it for the one who has it now",
    text: "    this.#unlock = null;\n",
    replacement: "",
  },
  {
    id: "mutex-reentrant-for-all",
    file: "mutex.ts",
    bug: "a reentrant lock lets any task in",
    text:
      "    if (this.#depth > 0 && !(this.#reentrant && this.#owner === owner())) return undefined;\n",
    replacement: "    if (this.#depth > 0 && !this.#reentrant) return undefined;\n",
  },
  {
    id: "mutex-loses-depth",
    file: "mutex.ts",
    bug: "a wait on a condition forgets how often the lock was held",
    text: "      this.#depth += depth - 1;\n",
    replacement: "      void depth;\n",
    first: ["mutex_test", "condition_test"],
  },
  {
    id: "mutex-hands-to-nobody",
    file: "mutex.ts",
    bug: "unlock forgets those who wait",
    text: "    if (waiter === null) return serveAll(this.#watchers, undefined);\n",
    replacement: "    return serveAll(this.#watchers, undefined);\n",
  },
  {
    id: "condition-without-lock",
    file: "condition.ts",
    bug: "a wait on a condition goes on without the lock",
    text: "      await lock();\n",
    replacement: "      void lock();\n",
  },
  {
    id: "condition-notify-wakes-all",
    file: "condition.ts",
    bug: "notify wakes all",
    text: "this.#waiters.first !== null; count--)",
    replacement: "this.#waiters.first !== null;)",
  },
  {
    id: "barrier-used-once",
    file: "barrier.ts",
    bug: "a barrier lets everybody pass after its first round",
    text: "    this.#arrived = 0;\n",
    replacement: "",
  },
  {
    id: "barrier-counts-the-gone",
    file: "barrier.ts",
    bug: "one that was cancelled at a barrier still counts as arrived",
    text: "    this.#arrived--;\n",
    replacement: "",
  },
  {
    id: "event-wakes-one",
    file: "event.ts",
    bug: "set wakes only the first",
    text:
      "      if (waiter.group === null) waiter.settle(true);\n      else waiter.settle(NOTHING);\n",
    replacement:
      "      if (waiter.group === null) waiter.settle(true);\n      else waiter.settle(NOTHING);\n      break;\n",
  },
  {
    id: "deferred-second-wins",
    file: "deferred.ts",
    bug: "a second resolve changes the value",
    text: `    if (this.#state !== "waiting") return false;\n`,
    replacement: "",
  },
  {
    id: "wait-group-one-too-early",
    file: "wait_group.ts",
    bug: "a wait group is done with one thing left",
    text: "    if (this.#count > 0) return;\n",
    replacement: "    if (this.#count > 1) return;\n",
  },
  {
    id: "wait-group-select-forgotten",
    file: "wait_group.ts",
    bug: "a select on a wait group that is done already waits",
    text: "      ready: () => this.#count === 0,\n",
    replacement: "      ready: () => false,\n",
  },
  {
    id: "queue-one-too-many",
    file: "queue.ts",
    bug: "a queue takes one item more than its size",
    text: "this.#store.size >= this.#maxSize",
    replacement: "this.#store.size > this.#maxSize",
  },
  {
    id: "queue-putter-not-woken",
    file: "queue.ts",
    bug: "a get from a full queue lets nobody in",
    text: "    this.#refill();\n    return item;\n",
    replacement: "    return item;\n",
  },
  {
    id: "queue-peek-takes",
    file: "queue.ts",
    bug: "a peek that waits eats the item",
    text: "      if (want === PEEK) continue;\n",
    replacement: "",
  },
  {
    id: "queue-equal-priorities-reversed",
    file: "queue.ts",
    bug: "items of equal priority come out last in first out",
    text: "a.order < b.order",
    replacement: "a.order > b.order",
  },
  {
    id: "queue-discard-unfinished",
    file: "queue.ts",
    bug: "items that close discards are never done: join hangs",
    text: "      if (dropped > 0) this.#finish(Math.min(dropped, this.#unfinished));\n",
    replacement: "",
  },
  {
    id: "queue-resize-wakes-nobody",
    file: "queue.ts",
    bug: "a larger maxSize lets nobody in",
    text: "    this.#maxSize = checkMaxSize(maxSize);\n    this.#refill();\n",
    replacement: "    this.#maxSize = checkMaxSize(maxSize);\n",
  },
  {
    id: "queue-handed-over-uncounted",
    file: "queue.ts",
    bug: "an item that is handed to a waiting getter is not counted as unfinished",
    text: "      this.#unfinished++;\n      return;\n",
    replacement: "      return;\n",
  },
  {
    id: "queue-close-leaves-putters",
    file: "queue.ts",
    bug: "close leaves all putters but the first parked",
    text: "putter !== null; putter = this.#putters.first) {",
    replacement: "putter !== null; putter = null) {",
  },
  {
    id: "queue-joins-too-early",
    file: "queue.ts",
    bug: "join ends with one item unfinished",
    text: "if (this.#unfinished === 0) serveAll(this.#joiners, true);",
    replacement: "if (this.#unfinished <= 1) serveAll(this.#joiners, true);",
  },
  {
    id: "rate-limit-saves-up",
    file: "rate_limit.ts",
    bug: "an idle rate limit saves up tokens without a bound",
    text: "this.#tokens = Math.min(this.#size, this.#tokens + passed / this.#perToken);",
    replacement: "this.#tokens = this.#tokens + passed / this.#perToken;",
  },
  {
    id: "rate-limit-barging",
    file: "rate_limit.ts",
    bug: "a small request barges past a large one that waits",
    text: "return this.#waiters.first === null && this.#enough(weight);",
    replacement: "return this.#enough(weight);",
  },
  {
    id: "rate-limit-timer-kept",
    file: "rate_limit.ts",
    bug: "a rate limit nobody waits for keeps its timer",
    text: "    if (this.#waiters.first === null && this.#watchers.first === null) return;\n",
    replacement: "",
  },
  {
    id: "rate-limit-hands-to-the-doomed",
    file: "rate_limit.ts",
    bug: "a token is handed to a wait that is about to be cancelled",
    text: "if (!this.#enough(weight) || waiter.doomed) break;",
    replacement: "if (!this.#enough(weight)) break;",
  },
];
