// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Bugs in coroutines, pipelines and greenlets, for `scripts/mutate.ts`.
 *
 * @module
 */

import type { Mutant } from "../mutate.ts";

/** The bugs. */
export const COROUTINE_MUTANTS: readonly Mutant[] = [
  {
    id: "coroutine-first-yield-answers",
    file: "coroutine.ts",
    bug: "the first send is answered by what the body yields before it",
    text: "request.starts = kind === SEND && !this.#started;",
    replacement: "request.starts = false;",
  },
  {
    id: "coroutine-waits-for-itself",
    file: "coroutine.ts",
    bug: "a send from inside the body hangs",
    text: "if (this.#busy && (this.#entered || this.#encloses(context))) {",
    replacement: "if (this.#busy && this.#entered) {",
  },
  {
    id: "coroutine-queue-forgotten",
    file: "coroutine.ts",
    bug: "a send that came during a step is never answered",
    text: "    else waiter.settle(step.value);\n    this.#serve();\n",
    replacement: "    else waiter.settle(step.value);\n    this.#busy = false;\n",
  },
  {
    id: "coroutine-send-after-end-hangs",
    file: "coroutine.ts",
    bug: "a send that waits when the body ends is answered with nothing",
    text: "      if (request.kind === SEND) waiter.fail(this.#endedError());\n",
    replacement: "      if (request.kind === SEND) waiter.settle(undefined);\n",
  },
  {
    id: "coroutine-close-stops-at-yield",
    file: "coroutine.ts",
    bug: "close() leaves the outer finally blocks of a body that yields in one",
    text: "      if (++request.yields < MOST_RETURNS) {\n",
    replacement: "      if (++request.yields < 1) {\n",
  },
  {
    id: "coroutine-kill-stays-outside",
    file: "coroutine.ts",
    bug: "a kill of the caller does not reach the waits of the body",
    text: "if (waiter === this.#current && context?.cancelled) this.#context",
    replacement: "if (waiter === this.#current && context?.cancelled && false) this.#context",
  },
  {
    id: "coroutine-late-error-swallowed",
    file: "coroutine.ts",
    bug: "an error of a body whose sender was killed is told to nobody",
    text: "    else if (error !== waiter.context?.reason) reportUnhandled(error);\n",
    replacement: "    else void reportUnhandled;\n",
  },
  {
    id: "produce-value-lost",
    file: "produce.ts",
    bug: "a value that the generator yielded just before the consumer left is lost",
    text: "      this.undelivered(value);\n      if (!this.channel.closed) throw error;\n",
    replacement: "      if (!this.channel.closed) throw error;\n",
  },
  {
    id: "produce-error-lost",
    file: "produce.ts",
    bug: "an error of the generator does not reach the consumer",
    text: "      if (this.channel.close(error)) return;\n",
    replacement: "      if (this.channel.close()) return;\n",
  },
  {
    id: "produce-not-closed",
    file: "produce.ts",
    bug: "the consumer is not told that the generator has ended",
    text: "    if (!failed) this.channel.close();\n",
    replacement: "    if (!failed) void 0;\n",
  },
  {
    id: "produce-clean-up-not-awaited",
    file: "produce.ts",
    bug: "leaving the loop does not wait for the finally blocks of the generator",
    text:
      "  async return(): Promise<IteratorResult<R, undefined>> {\n    this.#left = true;\n    await this.#producer.stop();\n",
    replacement:
      "  async return(): Promise<IteratorResult<R, undefined>> {\n    this.#left = true;\n    void this.#producer.stop();\n",
  },
  {
    id: "produce-killed-consumer-stays",
    file: "produce.ts",
    bug: "a consumer that is killed leaves the producer running",
    text:
      "  readonly #onRejected = async (error: unknown): Promise<never> => {\n    this.#left = true;\n    await this.#producer.stop();\n",
    replacement:
      "  readonly #onRejected = async (error: unknown): Promise<never> => {\n    this.#left = true;\n",
    first: ["produce_test", "pipeline_test"],
  },
  {
    id: "pipeline-others-run-on",
    file: "pipeline.ts",
    bug: "a failure of one stage does not stop the others",
    text: "    void this.#stop();\n    // What came out",
    replacement: "    // What came out",
  },
  {
    id: "pipeline-error-before-clean-up",
    file: "pipeline.ts",
    bug: "the error of a stage arrives before the others have cleaned up",
    text: "    await this.#stop();\n    this.#channel?.cancel();\n",
    replacement: "    void this.#stop();\n    this.#channel?.cancel();\n",
  },
  {
    id: "pipeline-capacity-ignored",
    file: "pipeline.ts",
    bug: "the channels between stages have another capacity than asked for",
    text: "new Producer<unknown>({ capacity: this.#capacity, name }, this);",
    replacement: "new Producer<unknown>({ capacity: this.#capacity + 1, name }, this);",
  },
  {
    id: "pipeline-source-left-open",
    file: "pipeline.ts",
    bug: "leaving the loop does not leave the source that waits",
    text: "  if (source.pending || producers.length === 0) left =",
    replacement: "  if (producers.length === 0) left =",
  },
  {
    id: "map-stage-one-too-many",
    file: "map_stage.ts",
    bug: "a stage runs one call more than its concurrency",
    text: "this.#pulled >= taken + this.#concurrency",
    replacement: "this.#pulled > taken + this.#concurrency",
  },
  {
    id: "map-stage-calls-after-kill",
    file: "map_stage.ts",
    bug: "a stage that is driven by a producer calls on after a kill",
    text: "      if (context.cancelled) throw context.reason;\n",
    replacement: "",
  },
  {
    id: "map-stage-locals-leak",
    file: "map_stage.ts",
    bug: "a call sees the task locals that the one before it has set",
    text: "      context.locals = locals; //",
    replacement: "      //",
  },
  {
    id: "map-stage-unordered",
    file: "map_stage.ts",
    bug: "an ordered stage gives its results as they come",
    text: "this.#ordered ? number : this.#completed++",
    replacement: "this.#completed++",
  },
  {
    id: "map-stage-clean-up-not-awaited",
    file: "map_stage.ts",
    bug: "leaving a stage does not wait for the clean-up of its calls",
    text: "    await calls;\n",
    replacement: "    void calls;\n",
  },
  {
    id: "greenlet-exit-is-error",
    file: "greenlet.ts",
    bug: "an uncaught GreenletExit comes to the parent as an error",
    text: "    failed = failed && !(value instanceof GreenletExit);\n",
    replacement: "",
  },
  {
    id: "greenlet-returns-to-root",
    file: "greenlet.ts",
    bug: "the value of a body goes to the root instead of its parent",
    text: "heir.#waits.first !== null ? heir : greenlet.#parent!;",
    replacement: "heir.#waits.first !== null ? heir : greenlet.#root;",
  },
  {
    id: "greenlet-throw-starts-body",
    file: "greenlet.ts",
    bug: "a throw into an unstarted greenlet runs its body",
    text: "    if (parcel.failed) {\n      Greenlet.#end(target);\n      return false;\n    }\n",
    replacement: "",
  },
  {
    id: "greenlet-left-switch-hangs",
    file: "greenlet.ts",
    bug: "a switch that a body did not await waits for ever when the body has ended",
    text: "    greenlet.#waits.first?.fail(\n",
    replacement: "    void (\n",
  },
  {
    id: "greenlet-cycle",
    file: "greenlet.ts",
    bug: "parents may form a cycle",
    text: "      if (up === this) {\n",
    replacement: "      if (up === this && parent === this) {\n",
  },
  {
    id: "greenlet-kill-unheard",
    file: "greenlet.ts",
    bug: "a kill of the task does not end the switch that it waits in",
    text:
      "? new Waiter<T>().parkAs(context, origin.#waits)\n      : new Waiter<T>().parkFor(null, origin.#waits);\n    running = this;\n",
    replacement:
      "? new Waiter<T>().parkFor(null, origin.#waits)\n      : new Waiter<T>().parkFor(null, origin.#waits);\n    running = this;\n",
  },
  {
    id: "greenlet-error-dropped",
    file: "greenlet.ts",
    bug: "an error that nobody is there to take is told to nobody",
    text: "    if (failed && !(cancelled && value === reason)) reportUnhandled(value);\n",
    replacement: "    void [failed, value, cancelled, reason, reportUnhandled];\n",
  },
  {
    id: "greenlet-trace-kept",
    file: "greenlet.ts",
    bug: "a tracer that throws stays installed",
    text: "  trace = null;\n",
    replacement: "",
  },
];
