// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import events, { EventEmitter, getEventListeners } from "node:events";
import { PassThrough } from "node:stream";
import streams from "node:stream/promises";
import { after, test } from "node:test";
import { TimeoutError } from "../../src/errors.ts";
import { patch } from "../../src/patch/mod.ts";
import { sleep } from "../../src/sleep.ts";
import { spawn } from "../../src/spawn.ts";
import { currentTask } from "../../src/task.ts";
import { withTimeout } from "../../src/timeout.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { outcome, rejection } from "../outcome.ts";
import { livingTask } from "../waits.ts";
import { assertEndsWithTask, waitsOf } from "./ends.ts";

noLeaks();

const before = { pipeline: streams.pipeline, once: events.once };
const patched = patch({ streams: true });
after(() => patched[Symbol.dispose]());

test("pipeline() ends with its task and destroys its streams", async () => {
  const [source, target] = [new PassThrough(), new PassThrough()];
  source.on("error", () => {});
  target.on("error", () => {});
  await assertEndsWithTask(
    "stream.promises.pipeline PassThrough PassThrough",
    () => streams.pipeline(source, target),
  );
  await idle();
  assertEquals([source.destroyed, target.destroyed], [true, true]);
});

test("functions in a pipeline() run in its task, and their waits end with it", async () => {
  const seen: unknown[] = [];
  const task = spawn(() =>
    streams.pipeline(
      async function* () {
        seen.push(currentTask());
        try {
          yield "one";
          await sleep(60_000);
        } finally {
          seen.push("cleaned");
        }
      },
      async (source: AsyncIterable<string>) => {
        for await (const chunk of source) seen.push(chunk);
      },
    )
  );
  while (!seen.includes("one")) await idle();
  assertEquals(waitsOf(task)[0], "stream.promises.pipeline function function");
  const reason = new Error("killed");
  await task.kill(reason);
  assertStrictEquals(task.error, reason);
  await idle();
  assertEquals(seen, [task, "one", "cleaned"]);
});

test("pipeline() gives in a task what it gives outside, with options and without", async () => {
  const run = async (...options: [] | [{ signal?: AbortSignal; end?: boolean }]) => {
    const target = new PassThrough();
    const text: string[] = [];
    target.setEncoding("utf8").on("data", (chunk) => text.push(chunk));
    await streams.pipeline([["a"], ["b"]].flat(), target, ...options as []);
    return [text.join(""), target.writableEnded];
  };
  const { signal } = new AbortController();
  for (const options of [[], [{}], [{ end: false }], [{ signal }]] as Array<[]>) {
    const expected = await run(...options);
    assertEquals(expected[0], "ab");
    assertEquals(await spawn(() => run(...options)), expected);
  }
  assertEquals(getEventListeners(signal, "abort").length, 0);
});

test("a signal of the user ends pipeline() as it does without us", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const living = await livingTask();
  const piping = living.call(() =>
    streams.pipeline(new PassThrough(), new PassThrough(), { signal })
  );
  controller.abort();
  assertEquals((await rejection(piping) as Error).name, "AbortError");
  const wrong = () =>
    streams.pipeline(new PassThrough(), new PassThrough(), { signal: 5 as never });
  await assertRejects(wrong, TypeError);
  await assertRejects(() => spawn(wrong).get(), TypeError);
  await living.end();
});

test("finished() ends with its task, and leaves the stream alone", async () => {
  const stream = new PassThrough();
  await assertEndsWithTask("stream.promises.finished PassThrough", () => streams.finished(stream));
  assertEquals(stream.destroyed, false);
  const finished = spawn(() => streams.finished(stream));
  stream.resume().end();
  assertEquals(await finished, undefined);
});

test("events.once() ends with its task and stops listening", async () => {
  const emitter = new EventEmitter();
  await assertEndsWithTask("events.once ready", () => events.once(emitter, "ready"));
  assertEquals([emitter.listenerCount("ready"), emitter.listenerCount("error")], [0, 0]);
  const waiting = spawn(() => events.once(emitter, "ready"));
  await idle();
  emitter.emit("ready", 1, 2);
  assertEquals(await waiting, [1, 2]);
  const target = new EventTarget();
  await assertRejects(() => withTimeout(5, () => events.once(target, "never")), TimeoutError);
  assertEquals(getEventListeners(target, "never").length, 0);
});

test("events.on() ends with its task, between events and in the middle of one", async () => {
  const emitter = new EventEmitter();
  const seen: unknown[] = [];
  const living = await livingTask();
  const listening = outcome(living.call(async () => {
    for await (const [value] of events.on(emitter, "tick")) seen.push(value);
  }));
  emitter.emit("tick", 1);
  emitter.emit("tick", 2);
  await idle();
  assertEquals(seen, [1, 2]);
  assertEquals(waitsOf(living.task), ["events.on tick"]);
  const reason = new Error("killed");
  void living.task.kill(reason);
  await idle();
  assertStrictEquals(listening.error, reason);
  assertEquals(emitter.listenerCount("tick"), 0);
  await living.end();

  const busy = spawn(async () => {
    for await (const _ of events.on(emitter, "tick")) await sleep(60_000).catch(() => {});
  });
  await idle();
  emitter.emit("tick", 1);
  await idle();
  await busy.kill(reason);
  assertStrictEquals(busy.error, reason);
  assertEquals(emitter.listenerCount("tick"), 0);
});

test("events.on() stops listening when its loop is left, fails, or its signal aborts", async () => {
  const emitter = new EventEmitter();
  const controller = new AbortController();
  const { signal } = controller;
  const first = spawn(async () => {
    for await (const [value] of events.on(emitter, "tick", { signal })) return value;
  });
  await idle();
  emitter.emit("tick", "first");
  assertEquals(await first, "first");
  assertEquals(getEventListeners(signal, "abort").length, 0);
  const failing = spawn(async () => {
    for await (const _ of events.on(emitter, "tick", { signal }));
  });
  await idle();
  const error = new Error("failed");
  emitter.emit("error", error);
  assertStrictEquals(await rejection(failing), error);
  assertEquals(getEventListeners(signal, "abort").length, 0);
  const aborted = spawn(async () => {
    for await (const _ of events.on(emitter, "tick", { signal }));
  });
  await idle();
  controller.abort();
  assertEquals((await rejection(aborted) as Error).name, "AbortError");
  assertEquals([emitter.listenerCount("tick"), getEventListeners(signal, "abort").length], [0, 0]);
});

test("the iterator of on() in a task can be disposed of, as the host's", async () => {
  const emitter = new EventEmitter();
  await spawn(async () => {
    const iterator = events.on(emitter, "x") as unknown as AsyncDisposable;
    assertEquals(emitter.listenerCount("x"), 1);
    await iterator[Symbol.asyncDispose]();
    assertEquals(emitter.listenerCount("x"), 0);
  });
});

test("taking the part out puts the very functions back", () => {
  assert(streams.pipeline !== before.pipeline && events.once !== before.once);
  patched[Symbol.dispose]();
  assertStrictEquals(streams.pipeline, before.pipeline);
  assertStrictEquals(events.once, before.once);
});
