// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Bugs in workers and the channels that cross to them, for `scripts/mutate.ts`.
 *
 * @module
 */

import type { Mutant } from "../mutate.ts";

// Not here: a set of `__proto__` in `codec.ts`. Deno has no such setter, so only Bun and Node tell.
const CODEC = ["workers/codec", "workers/error_wire", "workers/transfer"];
const CROSSING = ["workers/crossing", "workers/home"];
const POOL = ["workers/pool", "workers/protocol", "workers/lifecycle"];

/** The bugs. */
export const WORKER_MUTANTS: readonly Mutant[] = [
  {
    id: "codec-array-bare",
    file: "workers/codec.ts",
    bug: "an array is posted as it is, and read as a message",
    text:
      "    if (bytes >= 0 && bytes <= maxMessageBytes) {\n      return Array.isArray(value) ? [value] : value;\n",
    replacement: "    if (bytes >= 0 && bytes <= maxMessageBytes) {\n      return value;\n",
    first: CODEC,
  },
  {
    id: "codec-no-limit",
    file: "workers/codec.ts",
    bug: "plain data of any size is posted",
    text: "if (bytes >= 0 && bytes <= maxMessageBytes) {",
    replacement: "if (bytes >= 0) {",
    first: CODEC,
  },
  {
    id: "codec-text-outside-errors",
    file: "workers/codec.ts",
    bug: "what became a text within an error becomes one beside it, too",
    text: "if (known === undefined && this.#lenient) known",
    replacement: "if (known === undefined) known",
    first: CODEC,
  },
  {
    id: "codec-path-goes-on",
    file: "workers/codec.ts",
    bug: "the path in a refusal leads through an error before it",
    text: "      this.#path.length = depth;\n",
    replacement: "      void depth;\n",
    first: CODEC,
  },
  {
    id: "codec-whole-buffer",
    file: "workers/codec.ts",
    bug: "a small view takes the whole buffer along, which others are in",
    text: "return 2 * view.byteLength < view.buffer.byteLength;",
    replacement: "return 0 * view.byteLength < 0;",
    first: CODEC,
  },
  {
    id: "codec-unfit-error",
    file: "workers/codec.ts",
    bug: "a malformed error of another thread is read all the same",
    text:
      '    if (!fit) throw malformed("each special must be an error or a channel", specials[at + 1]);\n',
    replacement: "    void fit;\n",
    first: CODEC,
  },
  {
    id: "error-loses-cause",
    file: "workers/error_wire.ts",
    bug: "an error loses its cause on the way",
    text: "if (Object.hasOwn(error, key) && !keys.includes(key)) add(hidden, key);",
    replacement: "if (keys.includes(key)) add(hidden, key);",
    first: CODEC,
  },
  {
    id: "transfer-forgets-moved",
    file: "workers/transfer.ts",
    bug: "what goes with a message that is not posted yet can be sent again",
    text: "  moved.add(thing);\n",
    replacement: "",
    first: CODEC,
  },
  {
    id: "transfer-takes-others-along",
    file: "workers/transfer.ts",
    bug: "a view of a part moves the whole buffer, and what others have in it",
    text: "if (value.byteLength !== buffer.byteLength) {",
    replacement: "if (value.byteLength > buffer.byteLength) {",
    first: CODEC,
  },
  {
    id: "channel-settles-before-it-admits",
    file: "channel.ts",
    bug: "a value that crosses overtakes the one before it, when a sender is let in",
    text:
      "    this.#buffer.push(sender.payload as T);\n    sender.settle(sender.group === null ? undefined : SENT_CASE);\n",
    replacement:
      "    sender.settle(sender.group === null ? undefined : SENT_CASE);\n    this.#buffer.push(sender.payload as T);\n",
    first: CROSSING,
  },
  {
    id: "channel-puts-back-behind",
    file: "channel.ts",
    bug: "what comes back from a worker stands behind what came after it",
    text:
      "    for (; at < values.length; at++) this.#buffer.push(values[at]!);\n    for (const value of later) this.#buffer.push(value);\n",
    replacement:
      "    for (const value of later) this.#buffer.push(value);\n    for (; at < values.length; at++) this.#buffer.push(values[at]!);\n",
    first: CROSSING,
  },
  {
    id: "outbox-without-bound",
    file: "workers/outbox.ts",
    bug: "a worker may send ahead of the home without a bound",
    text: "    this.#credit--;\n    try {\n",
    replacement: "    try {\n",
    first: CROSSING,
  },
  {
    id: "outbox-leaves-senders",
    file: "workers/outbox.ts",
    bug: "the close of a home leaves all senders in a worker but the first parked",
    text: "sender !== null; sender = this.#senders.first) {",
    replacement: "sender !== null; sender = null) {",
    first: CROSSING,
  },
  {
    id: "outflow-ignores-window",
    file: "workers/outflow.ts",
    bug: "a worker may ask for more values than the channel has room for",
    text:
      "    if (count > this.#window - this.#credit - this.#held.length - this.#sent.size) return false;\n",
    replacement: "",
    first: CROSSING,
  },
  {
    id: "far-end-asks-at-once",
    file: "workers/far_end.ts",
    bug: "a worker that only sends takes values away from those who receive",
    text: "    if (closed) this.#outbox?.close(CANNOT_SEND);\n",
    replacement: "    if (closed) this.#outbox?.close(CANNOT_SEND);\n    this.demand();\n",
    first: CROSSING,
  },
  {
    id: "inflow-ends-early",
    file: "workers/inflow.ts",
    bug: "a close overtakes the values before it",
    text: "if (this.#end === null || this.size > 0 || this.#confirming) return;",
    replacement: "if (this.#end === null || this.#confirming) return;",
    first: CROSSING,
  },
  {
    id: "inflow-confirms-twice",
    file: "workers/inflow.ts",
    bug: "a value that was taken is confirmed again with the next one",
    text: "    this.#credit += this.#taken;\n    this.#taken = 0;\n",
    replacement: "    this.#credit += this.#taken;\n",
    first: CROSSING,
  },
  {
    id: "inflow-confirms-early",
    file: "workers/inflow.ts",
    bug: "a value is confirmed before its receiver has it, and a crash takes it along",
    text: "this.#taken * 2 >= this.#window) this.#confirmSoon();",
    replacement: "this.#taken * 2 >= this.#window) this.#confirm();",
    first: CROSSING,
  },
  {
    id: "home-crash-tells-nobody",
    file: "workers/home_end.ts",
    bug: "values in flight to a worker that crashes are told to nobody",
    text: "    for (const value of left.sent) this.#home.undelivered(value);\n",
    replacement: "",
    first: CROSSING,
  },
  {
    id: "home-crash-sends-again",
    file: "workers/home_end.ts",
    bug: "values in flight to a worker that crashes are sent to the next one",
    text: "    this.#giveBack(left.held);\n    return left.sent;\n",
    replacement: "    this.#giveBack([...left.sent, ...left.held]);\n    return left.sent;\n",
    first: CROSSING,
  },
  {
    id: "thread-no-grace",
    file: "workers/thread.ts",
    bug: "a killed call has no time to clean up",
    text: "{ timeout: graceMs }",
    replacement: "{ timeout: graceMs * 0 }",
    first: POOL,
  },
  {
    id: "thread-holds-the-process",
    file: "workers/thread.ts",
    bug: "an idle worker keeps the process alive",
    text: "    else port.unref();\n",
    replacement: "",
    first: ["workers/lifecycle"],
  },
  {
    id: "pool-restarts-for-ever",
    file: "workers/pool.ts",
    bug: "a pool goes on however many workers crash",
    text: "    if (this.#crashes.length > this.#max) return this.#fail(error);\n",
    replacement: "",
    first: ["workers/lifecycle"],
  },
  {
    id: "pool-tries-again",
    file: "workers/pool.ts",
    bug: "a call whose worker crashed is tried again",
    text: "      if (!thread.over) return await thread.call(name, args, output, caller);\n",
    replacement:
      "      if (thread.over) continue;\n      try {\n        return await thread.call(name, args, output, caller);\n      } catch (error) {\n        if (!thread.over) throw error;\n      }\n",
    first: ["workers/lifecycle"],
  },
  {
    id: "pool-one-call-too-many",
    file: "workers/pool.ts",
    bug: "a worker runs one call more than its concurrency",
    text: "thread.load >= this.#concurrency",
    replacement: "thread.load > this.#concurrency",
    first: POOL,
  },
  {
    id: "pool-busiest-first",
    file: "workers/pool.ts",
    bug: "the next call goes to the busiest worker",
    text: "thread.load < least.load",
    replacement: "thread.load > least.load",
    first: POOL,
  },
  {
    id: "pool-leaves-threads",
    file: "workers/pool.ts",
    bug: "close resolves while threads still end",
    text: "    await Promise.all(this.#leaving);\n",
    replacement: "",
    first: POOL,
  },
  {
    id: "pool-map-keeps-places",
    file: "workers/pool.ts",
    bug: "a map that began first keeps all places until its last item",
    text: "        if (this.#mapping.waiting > 1) return;\n",
    replacement: "",
    first: POOL,
  },
  {
    id: "pool-map-reads-on",
    file: "workers/pool.ts",
    bug: "what comes to a list while its last item runs is mapped, too",
    text: "      end = items.length;\n",
    replacement: "",
    first: POOL,
  },
  {
    id: "pool-map-forgets-who",
    file: "workers/pool.ts",
    bug: "in a browser a failed map waits for the items that others of its calls run",
    text: "{ signal }, context);",
    replacement: "{ signal });",
    first: ["workers/lifecycle"],
  },
  {
    id: "pool-map-holds-places",
    file: "workers/pool.ts",
    bug: "a map holds places while it waits for the promises in its list",
    text: " &&\n    !items.some(isThenable);",
    replacement: ";",
    first: POOL,
  },
  {
    id: "stream-forgets-rest",
    file: "workers/calls.ts",
    bug: "values of a generator that has ended are lost when its reader leaves",
    text: "    this.#output.cancel();\n",
    replacement: "",
    first: POOL,
  },
  {
    id: "serve-any-name",
    file: "workers/serve.ts",
    bug: "a name from outside finds what every object has",
    text: "const fn = this.#functions.get(name);",
    replacement:
      "const fn = this.#functions.get(name) ?? (Object.prototype as unknown as Record<string, AnyFunction>)[name];",
    first: POOL,
  },
  {
    id: "serve-runs-twice",
    file: "workers/serve.ts",
    bug: "a second call with the number of one that runs is run, too",
    text: " || this.#calls.has(id)) return false;",
    replacement: ") return false;",
    first: POOL,
  },
  {
    id: "link-counts-nothing",
    file: "workers/link.ts",
    bug: "records that nobody understood are not counted",
    text: "      // Malformed in a way that nobody thought of.\n    }\n    this.ignored++;\n",
    replacement: "      // Malformed in a way that nobody thought of.\n    }\n",
    first: POOL,
  },
];
