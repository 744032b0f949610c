// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Bugs in channels, select, merge, broadcast and timers, for `scripts/mutate.ts`.
 *
 * @module
 */

import type { Mutant } from "../mutate.ts";

/** The bugs. */
export const CHANNEL_MUTANTS: readonly Mutant[] = [
  {
    id: "channel-one-too-many",
    file: "channel.ts",
    bug: "the buffer holds one value more than its capacity",
    text: "    if (this.#buffer.size < this.#capacity) {\n      this.#buffer.push(value);",
    replacement: "    if (this.#buffer.size <= this.#capacity) {\n      this.#buffer.push(value);",
  },
  {
    id: "channel-close-drops-buffer",
    file: "channel.ts",
    bug: "close drops what is in the buffer",
    text: "    if (this.#closed) return false;\n    this.#closed = true;\n",
    replacement:
      "    if (this.#closed) return false;\n    this.#closed = true;\n    this.#buffer.take(this.#buffer.size);\n",
  },
  {
    id: "channel-close-leaves-loops",
    file: "channel.ts",
    bug: "close leaves the loops that wait parked",
    text: "      else receiver.settle(END);\n",
    replacement: "      else break;\n",
  },
  {
    id: "channel-close-leaves-senders",
    file: "channel.ts",
    bug: "close leaves all senders but the first parked",
    text: "sender !== null; sender = this.#senders.first) {",
    replacement: "sender !== null; sender = null) {",
  },
  {
    id: "channel-close-loses-value",
    file: "channel.ts",
    bug: "a sender that waits at close does not get its value back",
    text: "sender.fail(new ChannelClosedError(CANNOT_SEND, sender.payload));",
    replacement: "sender.fail(new ChannelClosedError(CANNOT_SEND));",
  },
  {
    id: "channel-sender-not-woken",
    file: "channel.ts",
    bug: "a freed slot wakes no sender",
    text:
      "    if (this.#senders.first !== null && this.#buffer.size < this.#capacity) this.#admit();\n    return value;",
    replacement: "    return value;",
  },
  {
    id: "channel-chunk-wakes-nobody",
    file: "channel.ts",
    bug: "a chunk frees the buffer and lets no waiting sender in",
    text:
      "    while (this.#senders.first !== null && this.#buffer.size < this.#capacity) this.#admit();\n    return values;",
    replacement: "    return values;",
  },
  {
    id: "channel-chunk-one-too-many",
    file: "channel.ts",
    bug: "a chunk is one value longer than its max",
    text: "while (values.length < max && this.#ready) values.push(this.#take());",
    replacement: "while (values.length <= max && this.#ready) values.push(this.#take());",
  },
  {
    id: "channel-send-after-close",
    file: "channel.ts",
    bug: "trySend puts into a closed channel",
    text: "return !this.#closed && this.#put(value);",
    replacement: "return this.#put(value);",
  },
  {
    id: "channel-drops-wrong-value",
    file: "channel.ts",
    bug: "drop-oldest tells of the newest value instead of the one it dropped",
    text: "    this.#undelivered(oldest);\n",
    replacement: "    this.#undelivered(value);\n    void oldest;\n",
  },
  {
    id: "channel-cancel-tells-nobody",
    file: "channel.ts",
    bug: "cancel discards the buffer without telling onUndelivered",
    text: "while (this.#buffer.size > 0) this.#undelivered(this.#buffer.shift());",
    replacement: "this.#buffer.take(this.#buffer.size);",
  },
  {
    id: "channel-next-eats-later",
    file: "channel.ts",
    bug: "return() of an iterator leaves its next() parked, which later eats a value",
    text: "    for (const waiter of waiting) if (!waiter.settled) waiter.settle(END);\n",
    replacement: "",
  },
  {
    id: "channel-one-next-forgotten",
    file: "channel.ts",
    bug: "return() of an iterator forgets the first of several next() that wait",
    text: "    if (this.#waiting !== null) waiting.unshift(this.#waiting);\n",
    replacement:
      "    if (this.#waiting !== null && waiting.length === 0) waiting.push(this.#waiting);\n",
  },
  {
    id: "channel-ended-too-early",
    file: "channel.ts",
    bug: "a closed channel counts as ended while values are in it",
    text: "ended: () => this.#closed && !this.#failed && !this.#ready,",
    replacement: "ended: () => this.#closed && !this.#failed,",
    first: ["merge_test", "channel_test"],
  },
  {
    id: "channel-sole-stays-open",
    file: "channel.ts",
    bug: "a killed loop with closeOnReturn leaves the channel open",
    text: "    if (isSole(payload)) queueMicrotask(() => this.cancel());\n",
    replacement: "    void payload;\n",
  },
  {
    id: "channel-next-in-killed-task",
    file: "channel.ts",
    bug: "a loop in a killed task goes on taking values",
    text: `    const refused = refuse("receive");\n    if (refused !== null) {\n`,
    replacement: `    const refused = refuse("receive");\n    if (refused === undefined) {\n`,
  },
  {
    id: "channel-send-before-refusal",
    file: "channel.ts",
    bug: "a send with an aborted signal sends all the same",
    text:
      `    const refused = refuse("send", options);\n    if (refused !== null) return refused;\n    if (this.#closed)`,
    replacement:
      `    if (!this.#closed && this.#put(value)) return SENT;\n    const refused = refuse("send", options);\n    if (refused !== null) return refused;\n    if (this.#closed)`,
  },
  {
    id: "channel-feed-loses-value",
    file: "channel.ts",
    bug: "a value that a source gave just before the close is lost",
    text: "            return channel.#undelivered(value); // closed while it waited\n",
    replacement: "            return; // closed while it waited\n",
  },
  {
    id: "channel-reason-forgotten",
    file: "channel.ts",
    bug: "the reason of close does not reach who waits",
    text: "if (receiver.payload === VALUE || this.#failed) receiver.fail",
    replacement: "if (receiver.payload === VALUE) receiver.fail",
  },
  {
    id: "select-losers-stay",
    file: "select.ts",
    bug: "the cases that lost stay enlisted and take values",
    text: 'value as Selected<unknown>));\n    this["~waiterLeft"]();\n',
    replacement: "value as Selected<unknown>));\n",
  },
  {
    id: "select-killed-stays",
    file: "select.ts",
    bug: "a killed select stays enlisted everywhere",
    text: "      if (branch?.settled === false) takeBack(",
    replacement: "      if (this.#list.first !== null && branch?.settled === false) takeBack(",
  },
  {
    id: "select-unfair",
    file: "select.ts",
    bug: "the first ready case always wins",
    text: "* ready < 1",
    replacement: "* ready < 0",
  },
  {
    id: "select-biased",
    file: "select.ts",
    bug: "the last ready case wins more often than the others",
    text: "Math.random)() * ready < 1",
    replacement: "Math.random)() * 2 < 1",
  },
  {
    id: "select-priority-ignored",
    file: "select.ts",
    bug: "priority is ignored",
    text: "      if (options?.priority === true) return i;\n",
    replacement: "",
  },
  {
    id: "select-takes-when-refused",
    file: "select.ts",
    bug: "a select with an aborted signal takes a value all the same",
    text:
      `    const refused = refuse("select", options);\n    if (refused !== null) return refused;\n    const at = all.choose(options);\n    if (at >= 0) return Promise.resolve(all.take(at) as SelectResult<C>);\n`,
    replacement:
      `    const at = all.choose(options);\n    if (at >= 0) return Promise.resolve(all.take(at) as SelectResult<C>);\n    const refused = refuse("select", options);\n    if (refused !== null) return refused;\n`,
  },
  {
    id: "select-never-doomed",
    file: "select.ts",
    bug: "a permit that a kill frees is handed to a select that the same kill ends",
    text: "return this.#list.first?.doomed !== false;",
    replacement: "return false;",
    first: ["select_test", "semaphore_test", "rate_limit_test"],
  },
  {
    id: "select-enlist-error-leaks",
    file: "select.ts",
    bug: "a case that throws while it enlists leaves the cases before it enlisted",
    text: "        this.branchFailed(branch!, error);\n",
    replacement: "        this.#list.first?.fail(error);\n",
  },
  {
    id: "merge-unfair",
    file: "merge.ts",
    bug: "a busy source starves the others",
    text: "    for (let looked = 0; looked < this.sources.length;) {\n",
    replacement:
      "    this.#turn = -1;\n    for (let looked = 0; looked < this.sources.length;) {\n",
  },
  {
    id: "merge-losers-stay",
    file: "merge.ts",
    bug: "a merge stays enlisted at the sources that did not give the value",
    text: "    this.withdraw();\n    let given: unknown;\n",
    replacement: "    let given: unknown;\n",
  },
  {
    id: "merge-ends-with-the-first",
    file: "merge.ts",
    bug: "a merge ends with its first source",
    text: "      if (this.#branches.size > 0) return;\n",
    replacement: "",
  },
  {
    id: "merge-error-forgotten",
    file: "merge.ts",
    bug: "the error of a source ends one wait and not the merge",
    text: "    this.#failed ??= [error];\n",
    replacement: "    void error;\n",
  },
  {
    id: "broadcast-turn-lost",
    file: "broadcast.ts",
    bug: "senders after the first never get their turn",
    text: "        next.settle(undefined);\n",
    replacement: "",
  },
  {
    id: "broadcast-replay-one-less",
    file: "broadcast.ts",
    bug: "a broadcast replays one value less",
    text: "if (this.#last.size > this.#replay) this",
    replacement: "if (this.#last.size >= this.#replay) this",
  },
  {
    id: "broadcast-missed-uncounted",
    file: "broadcast.ts",
    bug: "values that drop-newest drops are not counted as missed",
    text: "    this.#drops.count++;\n    return true;\n",
    replacement: "    return true;\n",
  },
  {
    id: "broadcast-keeps-the-gone",
    file: "broadcast.ts",
    bug: "a subscriber that has left is kept, and holds the senders back",
    text: "    this.#gone(this);\n",
    replacement: "",
  },
  {
    id: "broadcast-waits-for-nobody",
    file: "broadcast.ts",
    bug: "send does not wait for slow subscribers",
    text: "of await Promise.allSettled(slow)) {",
    replacement: "of await Promise.allSettled(slow.slice(0, 0))) {",
  },
  {
    id: "after-timer-kept",
    file: "timer.ts",
    bug: "the timer of an after() that lost goes on",
    text: "    timer.clock.clear(timer);\n    delist(branch);\n",
    replacement: "    void timer;\n    delist(branch);\n",
    first: ["timer_test", "select_test"],
  },
  {
    id: "ticker-bursts",
    file: "timer.ts",
    bug: "missed ticks come one after the other",
    text: "    this.#taken += due;\n    return due;\n",
    replacement: "    this.#taken += Math.min(due, 1);\n    return Math.min(due, 1);\n",
  },
  {
    id: "ticker-timer-kept",
    file: "timer.ts",
    bug: "a ticker nobody waits for keeps its timer",
    text: "      this.#timer.clock.clear(this.#timer);\n      this.#timer = null;\n",
    replacement: "",
  },
  {
    id: "ticker-drifts",
    file: "timer.ts",
    bug: "a ticker counts from now instead of its beginning: it drifts",
    text: "const next = this.#start + (this.#taken + 1) * this.#ms;",
    replacement: "const next = clock.on.now() + this.#ms;",
  },
  {
    id: "sleep-timeout-ignored",
    file: "sleep.ts",
    bug: "a sleep ignores a shorter timeout",
    text: "options.timeout < ms",
    replacement: "options.timeout < 0",
  },
  {
    id: "sleep-signal-ignored",
    file: "sleep.ts",
    bug: "a sleep cannot be aborted",
    text: "options?.signal == null ? undefined : { signal: options.signal },",
    replacement: "undefined,",
  },
];
