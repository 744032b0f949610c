// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertIsError,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { clock } from "../src/_kernel/clock.ts";
import { liveWaiters, type WaitOptions } from "../src/_kernel/waiter.ts";
import {
  Channel,
  channel,
  type ChannelOptions,
  type Receiver,
  type Sender,
} from "../src/channel.ts";
import { ChannelClosedError, KilledError, TimeoutError } from "../src/errors.ts";
import { spawn } from "../src/spawn.ts";
import { currentTask, type Task } from "../src/task.ts";
import { onUnhandled } from "../src/unhandled.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";
import { countListeners } from "./listeners.ts";
import { ManualClock } from "./manual_clock.ts";
import { outcome, rejection } from "./outcome.ts";
import { steps } from "./steps.ts";

noLeaks();

const CAPACITIES = [0, 1, 64];
/** Reasons that a careless `reason ?? default` would change, and the ordinary one. */
const REASONS = [undefined, null, false, 0, "", "stop", { code: 7 }, new Error("stop")];

/** A channel of `capacity` with 1, 2, … in its buffer, then senders that wait with what follows. */
function filled(capacity: number, waiting = 0, options: ChannelOptions<number> = {}) {
  const ch = new Channel<number>({ ...options, capacity });
  for (let value = 1; value <= capacity; value++) assert(ch.trySend(value));
  const sends = Array.from({ length: waiting }, (_, i) => outcome(ch.send(capacity + i + 1)));
  return { ch, sends };
}

/** All that can be taken at once. */
function drain<T>(ch: Channel<T>): T[] {
  const values: T[] = [];
  for (let got = ch.tryReceive(); got.state === "ok"; got = ch.tryReceive()) values.push(got.value);
  return values;
}

/** A channel whose undelivered values are listed. */
function withHook<T = number>(options: ChannelOptions<T>) {
  const undelivered: T[] = [];
  const ch = new Channel<T>({ ...options, onUndelivered: (value) => undelivered.push(value) });
  return { ch, undelivered };
}

/** A signal that has aborted with `reason`, even one that `abort()` would replace. */
function abortedWith(reason: unknown): AbortSignal {
  const controller = new AbortController();
  controller.abort(reason);
  if (reason === undefined) {
    Object.defineProperty(controller.signal, "reason", { value: undefined });
  }
  return controller.signal;
}

// -- Construction --

test("new Channel() makes an open, empty rendezvous", () => {
  for (const ch of [new Channel(), new Channel({}), new Channel(undefined), channel()]) {
    assertEquals([ch.capacity, ch.size, ch.closed, ch.name], [0, 0, false, undefined]);
  }
});

test("new Channel() keeps capacity and name", () => {
  const ch = new Channel({ capacity: 7, name: "orders" });
  assertEquals([ch.capacity, ch.name], [7, "orders"]);
  assertEquals(Object.prototype.toString.call(ch), "[object Channel]");
});

test("new Channel() takes undefined options as absent", () => {
  const ch = new Channel({
    capacity: undefined,
    overflow: undefined,
    onUndelivered: undefined,
    name: undefined,
  });
  assertEquals(ch.capacity, 0);
});

test("new Channel() rejects a capacity that is no integer >= 0", () => {
  for (const capacity of [-1, 1.5, NaN, Infinity, -Infinity, 1e-7]) {
    assertThrows(
      () => new Channel({ capacity }),
      RangeError,
      `Cannot create channel: capacity must be an integer >= 0, got ${capacity}`,
    );
  }
  assertThrows(() => new Channel({ capacity: Infinity }), RangeError, "Channel.unbounded()");
});

test("new Channel() rejects a capacity that is no number", () => {
  for (const capacity of ["4", null, true, 4n, {}]) {
    assertThrows(
      () => new Channel({ capacity } as never),
      TypeError,
      `Cannot create channel: capacity must be a number, got ${typeof capacity}`,
    );
  }
});

test("new Channel() rejects options that are no object, and names channel(4)", () => {
  for (const options of [4, "4", null, true, Symbol("4")]) {
    const error = assertThrows(() => new Channel(options as never), TypeError, "channel(4)");
    assertIsError(
      error,
      TypeError,
      `Cannot create channel: options must be an object, got ${String(options)}`,
    );
  }
});

test("new Channel() rejects an unknown overflow policy", () => {
  assertThrows(
    () => new Channel({ capacity: 1, overflow: "drop" } as never),
    TypeError,
    'Cannot create channel: overflow must be "wait", "drop-oldest" or "drop-newest", got "drop"',
  );
  for (const overflow of [1, null, {}]) {
    assertThrows(
      () => new Channel({ capacity: 1, overflow } as never),
      TypeError,
      `got ${typeof overflow}`,
    );
  }
});

test("new Channel() rejects a drop policy without a buffer", () => {
  for (const overflow of ["drop-oldest", "drop-newest"] as const) {
    for (const options of [{ overflow }, { overflow, capacity: 0 }]) {
      assertThrows(
        () => new Channel(options),
        RangeError,
        `Cannot create channel: overflow "${overflow}" needs a capacity >= 1, got 0`,
      );
    }
  }
});

test("new Channel() rejects a hook that is no function", () => {
  for (const onUndelivered of [1, "log", null, {}]) {
    assertThrows(
      () => new Channel({ onUndelivered } as never),
      TypeError,
      `Cannot create channel: onUndelivered must be a function, got ${typeof onUndelivered}`,
    );
  }
});

test("new Channel() rejects a name that is no string", () => {
  assertThrows(
    () => new Channel({ name: 5 } as never),
    TypeError,
    "Cannot create channel: name must be a string, got number",
  );
});

test("channel() takes a capacity or options", () => {
  assertEquals(channel(4).capacity, 4);
  assertEquals(channel(0).capacity, 0);
  assertEquals(channel({ capacity: 2, name: "a" }).name, "a");
});

test("channel() rejects what new Channel() rejects", () => {
  assertThrows(() => channel(-1), RangeError, "capacity must be an integer >= 0, got -1");
  assertThrows(() => channel(1.5), RangeError, "got 1.5");
  assertThrows(() => channel(NaN), RangeError, "got NaN");
  assertThrows(() => channel(Infinity), RangeError, "Channel.unbounded()");
  assertThrows(() => channel("4" as never), TypeError, "options must be an object, got 4");
  assertThrows(() => channel(null as never), TypeError, "options must be an object, got null");
});

test("Channel is a Sender and a Receiver", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  const sender: Sender<number> = ch, receiver: Receiver<number> = ch;
  await sender.send(1);
  assertEquals(await receiver.receive(), 1);
});

// -- Send and receive --

for (const capacity of CAPACITIES) {
  test(`Channel.receive() gives values in order of their sends, capacity ${capacity}`, async () => {
    const ch = new Channel<number>({ capacity });
    const values = Array.from({ length: 200 }, (_, i) => i);
    const sends = values.map((value) => outcome(ch.send(value)));
    const got: number[] = [];
    for (let i = 0; i < 200; i++) {
      got.push(await ch.receive());
      assert(ch.size <= capacity);
    }
    assertEquals(got, values);
    await idle();
    assert(sends.every(({ state }) => state === "resolved"));
    assertEquals(ch.size, 0);
  });

  test(`Channel.receive() parks until a value is sent, capacity ${capacity}`, async () => {
    const step = steps(), ch = new Channel<number>({ capacity });
    const received = ch.receive().then((value) => {
      step(2);
      return value;
    });
    await idle();
    step(1);
    await ch.send(7);
    assertEquals(await received, 7);
    step.end(3);
    assertEquals(ch.size, 0);
  });

  test(`Channel.send() parks only while the channel is full, capacity ${capacity}`, async () => {
    const step = steps(), { ch } = filled(capacity);
    assertEquals(ch.size, capacity);
    const sent = ch.send(capacity + 1).then(() => step(2));
    await idle();
    step(1);
    assertEquals(await ch.receive(), 1);
    await sent;
    step.end(3);
    assertEquals(ch.size, capacity);
    assertEquals(drain(ch).length, capacity);
  });

  test(`Channel gives undefined and null as values, capacity ${capacity}`, async () => {
    const ch = new Channel<undefined | null>({ capacity });
    const values = [undefined, null];
    for (const value of values) {
      const sent = ch.send(value);
      assertEquals(await ch.receive(), value);
      await sent;
      const again = ch.send(value);
      assertEquals(ch.tryReceive(), { state: "ok", value });
      await again;
      const received = ch.receive();
      assert(ch.trySend(value));
      assertEquals(await received, value);
      const next = ch[Symbol.asyncIterator]().next();
      assert(ch.trySend(value));
      assertEquals(await next, { done: false, value });
      const chunk = ch.chunks().next();
      assert(ch.trySend(value));
      assertEquals(await chunk, { done: false, value: [value] });
    }
  });

  test(`Channel serves 2,000 receivers in order of arrival, capacity ${capacity}`, async () => {
    const ch = new Channel<number>({ capacity });
    const got: number[][] = [];
    const received = Array.from(
      { length: 2000 },
      (_, i) => ch.receive().then((value) => void got.push([i, value])),
    );
    for (let value = 0; value < 2000; value++) assert(ch.trySend(value));
    await Promise.all(received);
    assertEquals(got, Array.from({ length: 2000 }, (_, i) => [i, i]));
  });

  test(`Channel serves 2,000 senders in order of arrival, capacity ${capacity}`, async () => {
    const ch = new Channel<number>({ capacity });
    const done: number[] = [];
    const sends = Array.from(
      { length: 2000 },
      (_, i) => ch.send(i).then(() => void done.push(i)),
    );
    const got: number[] = [];
    for (let i = 0; i < 2000; i++) got.push(await ch.receive());
    await Promise.all(sends);
    const all = Array.from({ length: 2000 }, (_, i) => i);
    assertEquals(got, all);
    assertEquals(done, all);
  });
}

test("Channel.receive() of two callers gives each its own value", async () => {
  const ch = new Channel<string>();
  const both = Promise.all([ch.receive(), ch.receive()]);
  await ch.send("a");
  await ch.send("b");
  assertEquals(await both, ["a", "b"]);
});

test("Channel.receive() lets the first waiting sender into the freed slot", async () => {
  const { ch, sends: [first, second] } = filled(1, 2);
  assertEquals(await ch.receive(), 1);
  await idle();
  assertEquals([first!.state, second!.state, ch.size], ["resolved", "pending", 1]);
  assertEquals(drain(ch), [2, 3]);
  await idle();
  assertEquals(second!.state, "resolved");
});

test("Channel.trySend() fills the buffer, then gives false", () => {
  const ch = new Channel<number>({ capacity: 2 });
  assertEquals([ch.trySend(1), ch.trySend(2), ch.trySend(3)], [true, true, false]);
  assertEquals(drain(ch), [1, 2]);
});

test("Channel.trySend() on a rendezvous needs a receiver that waits", async () => {
  const ch = new Channel<number>();
  assertFalse(ch.trySend(1));
  const received = ch.receive();
  assertEquals([ch.trySend(2), ch.trySend(3)], [true, false]);
  assertEquals(await received, 2);
  assertEquals(ch.tryReceive(), { state: "empty" });
});

test("Channel.tryReceive() takes from the buffer and tells empty from closed", () => {
  const ch = new Channel<number>({ capacity: 1 });
  assertEquals(ch.tryReceive(), { state: "empty" });
  ch.trySend(1);
  assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
  ch.trySend(2);
  ch.close();
  assertEquals(ch.tryReceive(), { state: "ok", value: 2 });
  assertEquals([ch.tryReceive(), ch.tryReceive()], [{ state: "closed" }, { state: "closed" }]);
});

test("Channel.tryReceive() never throws, channel closed with a reason", () => {
  const ch = new Channel<number>();
  ch.close(new Error("broken"));
  assertEquals(ch.tryReceive(), { state: "closed" });
});

test("Channel.tryReceive() on a rendezvous takes from the sender that waits", async () => {
  const ch = new Channel<number>();
  const sends = [1, 2].map((value) => outcome(ch.send(value)));
  assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
  await idle();
  assertEquals(sends.map(({ state }) => state), ["resolved", "pending"]);
  assertEquals(ch.tryReceive(), { state: "ok", value: 2 });
  assertEquals(ch.tryReceive(), { state: "empty" });
  await idle();
});

test("Channel.trySend() cannot take the slot that a waiting sender was given", async () => {
  const { ch, sends: [waiting] } = filled(1, 1);
  assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
  // Same tick: the sender has not gone on yet, but the slot is its own.
  assertFalse(ch.trySend(99));
  assertEquals(ch.size, 1);
  assertEquals(drain(ch), [2]);
  await idle();
  assertEquals(waiting!.state, "resolved");
});

test("Channel.send() cannot overtake a waiting sender", async () => {
  const { ch, sends: [waiting] } = filled(1, 1);
  const received = ch.receive();
  const late = outcome(ch.send(3));
  assertEquals(await received, 1);
  await idle();
  assertEquals([waiting!.state, late.state], ["resolved", "pending"]);
  assertEquals(drain(ch), [2, 3]);
  await idle();
});

test("Channel.tryReceive() cannot take the value that a waiting receiver was given", async () => {
  for (const capacity of CAPACITIES) {
    const ch = new Channel<number>({ capacity });
    const received = ch.receive();
    assert(ch.trySend(1));
    assertEquals(ch.tryReceive(), { state: "empty" });
    assertEquals(ch.size, 0);
    assertEquals(await received, 1);
  }
});

test("Channel.receive() cannot overtake a waiting receiver", async () => {
  for (const capacity of CAPACITIES) {
    const ch = new Channel<number>({ capacity });
    const first = outcome(ch.receive());
    assert(ch.trySend(1));
    const second = outcome(ch.receive());
    await idle();
    assertEquals([first.value, second.state], [1, "pending"]);
    assert(ch.trySend(2));
    await idle();
    assertEquals(second.value, 2);
  }
});

test("Channel serves receive(), next() and chunks() that wait in one order", async () => {
  const ch = new Channel<number>({ capacity: 8 });
  const waits = [
    ch.receive(),
    ch.values().next(),
    ch.chunks().next(),
    ch.receive(),
    ch[Symbol.asyncIterator]().next(),
  ];
  for (let value = 1; value <= 6; value++) ch.trySend(value);
  assertEquals(await Promise.all<unknown>(waits), [
    1,
    { done: false, value: 2 },
    { done: false, value: [3] },
    4,
    { done: false, value: 5 },
  ]);
  assertEquals(drain(ch), [6]);
});

test("Channel.sending() sends nothing by itself", () => {
  const ch = new Channel<number>({ capacity: 1 });
  const sends = ch.sending(1);
  assertEquals([ch.size, sends["~select"].ready()], [0, true]);
  sends["~select"].take();
  assertEquals([ch.size, sends["~select"].ready()], [1, false]);
  assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
  ch.close();
  const error = assertThrows(() => sends["~select"].take(), ChannelClosedError);
  assertEquals(error.value, 1);
});

test("Channel is a select case that is ready with a value, a sender or the end", () => {
  const ch = new Channel<number>({ capacity: 1 });
  const receives = ch["~select"];
  assertFalse(receives.ready());
  ch.trySend(1);
  assert(receives.ready());
  assertEquals(ch.size, 1);
  assertEquals(receives.take(), { value: 1, done: false });
  ch.close();
  assert(receives.ready());
  assertEquals(receives.take().done, true);
  const failed = new Channel<number>(), reason = new Error("broken");
  failed.close(reason);
  assertStrictEquals(assertThrows(() => failed["~select"].take()), reason);
});

// -- Signals --

test("Channel.send() and receive() reject with the reason of an aborted signal, untouched", async () => {
  for (const reason of REASONS) {
    const signal = abortedWith(reason), ch = new Channel<number>();
    assertStrictEquals(await rejection(ch.send(1, { signal })), signal.reason);
    assertStrictEquals(await rejection(ch.receive({ signal })), signal.reason);
    if (reason !== undefined) assertStrictEquals(signal.reason, reason);
  }
});

test("Channel.send() and receive() reject with the reason of a later abort, untouched", async () => {
  for (const reason of REASONS) {
    for (const verb of ["send", "receive"] as const) {
      const ch = new Channel<number>(), controller = new AbortController();
      const { signal } = controller;
      const wait = rejection(verb === "send" ? ch.send(1, { signal }) : ch.receive({ signal }));
      controller.abort(reason);
      assertStrictEquals(await wait, signal.reason);
      if (reason !== undefined) assertStrictEquals(signal.reason, reason);
    }
  }
});

test("Channel.send() looks at an aborted signal before all else", async () => {
  const signal = abortedWith("stop");
  const ch = new Channel<number>({ capacity: 1 });
  assertEquals(await rejection(ch.send(1, { signal })), "stop"); // could be done at once
  assertEquals(ch.size, 0);
  ch.close();
  assertEquals(await rejection(ch.send(1, { signal })), "stop"); // is closed
  const { ch: dropping, undelivered } = withHook({ capacity: 1, overflow: "drop-oldest" });
  dropping.trySend(1);
  assertEquals(await rejection(dropping.send(2, { signal })), "stop");
  assertEquals([drain(dropping), undelivered], [[1], []]);
  const meeting = new Channel<number>(), received = outcome(meeting.receive());
  assertEquals(await rejection(meeting.send(1, { signal })), "stop"); // a receiver waits
  assertEquals(received.state, "pending");
  meeting.close();
  await idle();
});

test("Channel.receive() looks at an aborted signal before all else", async () => {
  const signal = abortedWith("stop");
  const { ch, sends } = filled(1, 1);
  assertEquals(await rejection(ch.receive({ signal })), "stop"); // could be done at once
  assertEquals([ch.size, sends[0]!.state], [1, "pending"]);
  assertEquals(drain(ch), [1, 2]);
  ch.close();
  assertEquals(await rejection(ch.receive({ signal })), "stop"); // is closed
  ch.cancel(new Error("not this"));
  assertEquals(await rejection(ch.receive({ signal })), "stop");
});

test("Channel.receive() that was aborted took nothing, the next receiver gets the value", async () => {
  for (const capacity of CAPACITIES) {
    const ch = new Channel<number>({ capacity }), controller = new AbortController();
    const aborted = outcome(ch.receive({ signal: controller.signal }));
    const next = outcome(ch.receive());
    controller.abort("stop");
    assert(ch.trySend(1)); // same tick
    await idle();
    assertEquals([aborted.error, next.value], ["stop", 1]);
    assertEquals(ch.size, 0);
  }
});

test("Channel.receive() that was aborted leaves the value to the buffer", async () => {
  const ch = new Channel<number>({ capacity: 1 }), controller = new AbortController();
  const aborted = rejection(ch.receive({ signal: controller.signal }));
  controller.abort("stop");
  assert(ch.trySend(1));
  assertEquals(await aborted, "stop");
  assertEquals(drain(ch), [1]);
});

test("Channel.send() that was aborted did not happen", async () => {
  for (const capacity of CAPACITIES) {
    const { ch } = filled(capacity), controller = new AbortController();
    const sent = rejection(ch.send(99, { signal: controller.signal }));
    controller.abort("stop");
    const values = drain(ch); // same tick
    assertEquals(await sent, "stop");
    assertEquals(values.includes(99), false);
    assertEquals([values.length, ch.tryReceive()], [capacity, { state: "empty" }]);
  }
});

test("Channel.send() that was aborted does not call onUndelivered", async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 0 });
  const controller = new AbortController();
  const sent = rejection(ch.send(1, { signal: controller.signal }));
  controller.abort("stop");
  await sent;
  ch.cancel();
  assertEquals(undelivered, []);
});

test("Channel.receive() keeps its value when it is aborted in the same tick", async () => {
  for (const capacity of CAPACITIES) {
    const ch = new Channel<number>({ capacity }), controller = new AbortController();
    const received = ch.receive({ signal: controller.signal });
    assert(ch.trySend(1));
    controller.abort("too late");
    assertEquals(await received, 1);
    assertEquals(ch.size, 0);
  }
});

test("Channel.send() stays sent when it is aborted in the same tick", async () => {
  for (const capacity of CAPACITIES) {
    const { ch } = filled(capacity), controller = new AbortController();
    const sent = ch.send(capacity + 1, { signal: controller.signal });
    assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
    controller.abort("too late");
    await sent;
    assertEquals(drain(ch).length, capacity);
  }
});

test("Channel keeps the order of receivers when one in the middle is aborted", async () => {
  for (const at of [0, 1, 2]) {
    const ch = new Channel<number>(), controller = new AbortController();
    const waits = [0, 1, 2].map((i) =>
      outcome(ch.receive(i === at ? { signal: controller.signal } : undefined))
    );
    controller.abort("stop");
    assertEquals([ch.trySend(1), ch.trySend(2), ch.trySend(3)], [true, true, false]);
    await idle();
    assertEquals(waits[at]!.error, "stop");
    assertEquals(waits.filter((_, i) => i !== at).map(({ value }) => value), [1, 2]);
  }
});

test("Channel keeps the order of senders when one in the middle is aborted", async () => {
  for (const capacity of CAPACITIES) {
    for (const at of [0, 1, 2]) {
      const { ch } = filled(capacity), controller = new AbortController();
      const waits = [0, 1, 2].map((i) =>
        outcome(ch.send(1000 + i, i === at ? { signal: controller.signal } : undefined))
      );
      controller.abort("stop");
      const values = drain(ch).filter((value) => value >= 1000);
      assertEquals(values, [1000, 1001, 1002].filter((value) => value !== 1000 + at));
      await idle();
      assertEquals(
        waits.map(({ state }) => state),
        [0, 1, 2].map((i) => i === at ? "rejected" : "resolved"),
      );
    }
  }
});

test("Channel.receive() can be tried again after an abort, many times", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  for (let i = 0; i < 50; i++) {
    const controller = new AbortController();
    const aborted = rejection(ch.receive({ signal: controller.signal }));
    controller.abort(i);
    assertEquals(await aborted, i);
  }
  ch.trySend(1);
  assertEquals(await ch.receive(), 1);
});

test("Channel uses one signal for many waits, and it can still abort after them", async () => {
  const ch = new Channel<number>(), controller = new AbortController();
  const { signal } = controller;
  for (let i = 0; i < 10; i++) {
    const received = ch.receive({ signal });
    await ch.send(i, { signal });
    assertEquals(await received, i);
  }
  const last = rejection(ch.receive({ signal }));
  controller.abort("stop");
  assertEquals(await last, "stop");
});

test("Channel adds one abort listener for 1,000 waits and removes it after the last", async () => {
  type End = (ch: Channel<number>, controller: AbortController, time: ManualClock) => void;
  const ends: Record<string, End> = {
    delivered: (ch) => {
      for (let i = 0; i < 1000; i++) assert(ch.trySend(i));
    },
    closed: (ch) => ch.close(),
    cancelled: (ch) => ch.cancel(),
    aborted: (_, controller) => controller.abort(),
    "timed out": (_ch, _controller, time) => time.advance(10),
  };
  for (const [how, end] of Object.entries(ends)) {
    using time = new ManualClock();
    const ch = new Channel<number>(), controller = new AbortController();
    const { signal } = controller;
    const count = countListeners(signal);
    const waits = Array.from({ length: 1000 }, () => outcome(ch.receive({ signal, timeout: 10 })));
    assertEquals(count, { added: 1, active: 1 }, how);
    end(ch, controller, time);
    assertEquals(count, { added: 1, active: 0 }, how);
    assertEquals([liveWaiters(), time.size], [0, 0], how);
    await idle();
    assert(waits.every(({ state }) => state !== "pending"), how);
  }
});

test("Channel adds one abort listener for 1,000 senders, and keeps it until the last", async () => {
  const ch = new Channel<number>(), { signal } = new AbortController();
  const count = countListeners(signal);
  const sends = Array.from({ length: 1000 }, (_, i) => ch.send(i, { signal }));
  assertEquals(count, { added: 1, active: 1 });
  for (let i = 0; i < 999; i++) ch.tryReceive();
  assertEquals(count, { added: 1, active: 1 });
  ch.tryReceive();
  assertEquals(count, { added: 1, active: 0 });
  await Promise.all(sends);
});

test("Channel leaves no listener, timer or waiter when nothing parks", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>({ capacity: 4 }), { signal } = new AbortController();
  const count = countListeners(signal);
  const options: WaitOptions = { signal, timeout: 10 };
  const quiet = () => {
    assertEquals([count, time.size, liveWaiters()], [{ added: 0, active: 0 }, 0, 0]);
  };
  const sent = ch.send(1, options);
  quiet();
  const received = ch.receive(options);
  quiet();
  await Promise.all([sent, received]);
  ch.trySend(2);
  ch.trySend(3);
  const next = ch.values().next(), chunk = ch.chunks().next();
  quiet();
  await Promise.all([next, chunk]);
  ch.close();
  const late = [rejection(ch.send(4, options)), rejection(ch.receive(options))];
  quiet();
  await Promise.all(late);
});

test("Channel.send() and receive() reject what is no signal", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  for (const signal of [1, "stop", {}, new AbortController(), () => {}]) {
    const options = { signal } as never;
    await assertRejects(
      () => ch.send(1, options),
      TypeError,
      "Cannot send: signal must be an Abort",
    );
    await assertRejects(
      () => ch.receive(options),
      TypeError,
      "Cannot receive: signal must be an A",
    );
  }
  assertEquals(ch.size, 0);
});

test("Channel.send() and receive() take undefined options as absent", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  await ch.send(1, { signal: undefined, timeout: undefined });
  assertEquals(await ch.receive({ signal: undefined, timeout: undefined }), 1);
});

test("Channel.send() and receive() reject options that are no object, and throw nothing", async () => {
  for (const options of [null, 5, "5", true]) {
    const ch = new Channel<number>({ capacity: 1 });
    const received = outcome(ch.receive(options as never));
    const sent = outcome(ch.send(1, options as never));
    const size = ch.size;
    ch.cancel();
    await idle();
    const message = `options must be an object, got ${options}`;
    assertIsError(received.error, TypeError, `Cannot receive: ${message}`);
    assertIsError(sent.error, TypeError, `Cannot send: ${message}`);
    assertEquals(size, 0);
  }
});

// -- Time limits --

for (const verb of ["send", "receive"] as const) {
  const call = (ch: Channel<number>, options: WaitOptions): Promise<unknown> =>
    verb === "send" ? ch.send(1, options) : ch.receive(options);

  test(`Channel.${verb}() rejects with a TimeoutError when the limit is over, not before`, async () => {
    using time = new ManualClock();
    const ch = new Channel<number>(), wait = outcome(call(ch, { timeout: 100 }));
    time.advance(99.9);
    await idle();
    assertEquals(wait.state, "pending");
    time.advance(0.1);
    await idle();
    assertIsError(wait.error, TimeoutError, `Cannot ${verb}: the limit of 100 ms is over`);
    assertEquals(wait.error.ms, 100);
  });

  test(`Channel.${verb}() with timeout 0 rejects soon when it would have to wait`, async () => {
    const error = await assertRejects(
      () => call(new Channel<number>(), { timeout: 0 }),
      TimeoutError,
      `Cannot ${verb}: the limit of 0 ms is over`,
    );
    assertEquals(error.ms, 0);
  });

  test(`Channel.${verb}() rejects a wrong timeout and does nothing`, async () => {
    for (const timeout of [-1, NaN, -Infinity, -0.001]) {
      const { ch } = filled(1);
      const options = { timeout };
      await assertRejects(
        () => call(ch, options),
        RangeError,
        `Cannot ${verb}: timeout must be >= 0 milliseconds, got ${timeout}`,
      );
      assertEquals(drain(ch), [1]);
      await assertRejects(() => call(ch, options), RangeError);
      assertEquals(drain(ch), []);
    }
    for (const timeout of ["5", true, {}, 5n]) {
      const options = { timeout } as never;
      await assertRejects(
        () => call(new Channel<number>({ capacity: 1 }), options),
        TypeError,
        `Cannot ${verb}: timeout must be a number of milliseconds, got ${typeof timeout}`,
      );
    }
  });

  test(`Channel.${verb}() never ends by timeout Infinity`, async () => {
    using time = new ManualClock();
    const ch = new Channel<number>(), wait = outcome(call(ch, { timeout: Infinity }));
    assertEquals(time.size, 0);
    time.advance(1e15);
    await idle();
    assertEquals(wait.state, "pending");
    ch.close();
    await idle();
  });

  test(`Channel.${verb}() does not end at once by a timeout above 2^31 - 1`, async () => {
    const ch = new Channel<number>(), controller = new AbortController();
    const waits = [2 ** 31 - 1, 2 ** 31, 2 ** 32 + 1, 1e300].map((timeout) =>
      outcome(call(ch, { timeout, signal: controller.signal }))
    );
    // Longer than the 1 ms to which hosts set a delay that is too long.
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(waits.map(({ state }) => state), Array(4).fill("pending"));
    controller.abort("enough");
    assertEquals(clock.on.size, 0);
    await idle();
  });

  test(`Channel.${verb}() leaves no timer when it is served, aborted or closed`, async () => {
    using time = new ManualClock();
    const ends: Array<(ch: Channel<number>, controller: AbortController) => void> = [
      (ch) => verb === "send" ? ch.tryReceive() : ch.trySend(1),
      (_, controller) => controller.abort("stop"),
      (ch) => ch.close(),
      (ch) => ch.cancel(),
    ];
    for (const end of ends) {
      const ch = new Channel<number>(), controller = new AbortController();
      const wait = outcome(call(ch, { timeout: 100, signal: controller.signal }));
      assertEquals(time.size, 1);
      end(ch, controller);
      assertEquals(time.size, 0);
      time.advance(1000);
      await idle();
      assertFalse(wait.error instanceof TimeoutError);
    }
  });
}

test("Channel.send() and receive() do with timeout 0 what can be done at once", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  await ch.send(1, { timeout: 0 });
  assertEquals(await ch.receive({ timeout: 0 }), 1);
  const waiting = ch.receive();
  await ch.send(2, { timeout: 0 });
  assertEquals(await waiting, 2);
  const rendezvous = new Channel<number>(), sent = rendezvous.send(3);
  assertEquals(await rendezvous.receive({ timeout: 0 }), 3);
  await sent;
});

test("Channel.send() that timed out did not happen", async () => {
  using time = new ManualClock();
  for (const capacity of CAPACITIES) {
    const { ch } = filled(capacity);
    const before = outcome(ch.send(1001));
    const sent = outcome(ch.send(99, { timeout: 5 }));
    const after = outcome(ch.send(1002));
    time.advance(5);
    assertEquals(drain(ch).slice(capacity), [1001, 1002]);
    await idle();
    assertInstanceOf(sent.error, TimeoutError);
    assertEquals([before.state, after.state], ["resolved", "resolved"]);
  }
});

test("Channel.receive() that timed out took nothing, the next receiver gets the value", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>();
  const late = outcome(ch.receive({ timeout: 5 })), next = outcome(ch.receive());
  time.advance(5);
  assert(ch.trySend(1));
  await idle();
  assertInstanceOf(late.error, TimeoutError);
  assertEquals(next.value, 1);
});

test("Channel.receive() keeps its value when its time is over in the same tick", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>(), received = ch.receive({ timeout: 5 });
  assert(ch.trySend(1));
  time.advance(5);
  assertEquals(await received, 1);
});

test("Channel.send() stays sent when its time is over in the same tick", async () => {
  using time = new ManualClock();
  const ch = new Channel<number>(), sent = ch.send(1, { timeout: 5 });
  assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
  time.advance(5);
  await sent;
});

// -- Kills --

test("Channel.receive() rejects in a killed task with the reason, took nothing", async () => {
  const ch = new Channel<number>(), reason = new Error("enough");
  const task = spawn(() => ch.receive());
  await idle();
  const next = ch.receive();
  const killed = task.kill(reason);
  assert(ch.trySend(1)); // same tick
  assertEquals(await next, 1);
  await killed;
  assertStrictEquals(task.error, reason);
});

test("Channel.receive() keeps its value when its task is killed in the same tick", async () => {
  for (const capacity of CAPACITIES) {
    const ch = new Channel<number>({ capacity });
    let got: unknown, after: unknown;
    const task = spawn(async () => {
      got = await ch.receive();
      after = await rejection(ch.receive());
    });
    await idle();
    assert(ch.trySend(1));
    await task.kill();
    assertEquals(got, 1);
    assertInstanceOf(after, KilledError); // level-triggered: the kill is met at the next wait
    assertEquals(ch.size, 0);
  }
});

test("Channel.send() stays sent when its task is killed in the same tick", async () => {
  for (const capacity of CAPACITIES) {
    const { ch } = filled(capacity);
    let sent = false;
    const task = spawn(async () => {
      await ch.send(99);
      sent = true;
    });
    await idle();
    assertEquals(ch.tryReceive(), { state: "ok", value: capacity === 0 ? 99 : 1 });
    await task.kill();
    assert(sent);
    assertEquals(drain(ch).includes(99), capacity > 0);
  }
});

test("Channel.send() of a killed task did not happen", async () => {
  for (const capacity of CAPACITIES) {
    const { ch } = filled(capacity);
    const task = spawn(() => ch.send(99));
    await idle();
    const killed = task.kill();
    assertEquals(drain(ch).includes(99), false); // same tick
    await killed;
    assertEquals([task.state, ch.size], ["killed", 0]);
  }
});

test("Channel keeps the order of senders and receivers when tasks in the middle are killed", async () => {
  for (const at of [0, 1, 2]) {
    const ch = new Channel<number>();
    const senders = [0, 1, 2].map((i) => spawn(() => ch.send(i)));
    await idle();
    const killed = senders[at]!.kill();
    assertEquals(drain(ch), [0, 1, 2].filter((i) => i !== at));
    await killed;

    const got: number[][] = [];
    const receivers = [0, 1, 2].map((i) =>
      spawn(async () => {
        got.push([i, await ch.receive()]);
      })
    );
    await idle();
    const killedToo = receivers[at]!.kill();
    assertEquals([ch.trySend(1), ch.trySend(2), ch.trySend(3)], [true, true, false]);
    await killedToo;
    await idle();
    assertEquals(got, [0, 1, 2].filter((i) => i !== at).map((i, n) => [i, n + 1]));
  }
});

test("Channel verbs reject in a killed task before they do anything, try verbs go on", async () => {
  const reason = new Error("enough"), signal = abortedWith("aborted");
  const closed = new Channel<number>();
  closed.close(new Error("closed"));
  const { ch, sends } = filled(1, 1);
  const roomy = new Channel<number>({ capacity: 2 });
  const seen: unknown[] = [];
  const task: Task<void> = spawn(async () => {
    void task.kill(reason);
    for (
      const wait of [
        () => roomy.send(1), // could be done at once
        () => ch.receive(), // could be done at once
        () => ch.values().next(),
        () => ch.chunks().next(),
        () => roomy.send(1, { signal }), // a kill outranks an aborted signal
        () => ch.receive({ signal }),
        () => closed.send(1), // and the end of the channel
        () => closed.receive(),
        () => closed.values().next(),
        () => roomy.receive(), // would park
      ]
    ) seen.push(await rejection(wait()));
    assertEquals([roomy.trySend(5), roomy.tryReceive()], [true, { state: "ok", value: 5 }]);
    assertEquals([roomy.size, ch.size, sends[0]!.state], [0, 1, "pending"]);
  });
  await task;
  assertEquals(seen.length, 10);
  for (const error of seen) assertStrictEquals(error, reason);
  assertEquals(drain(ch), [1, 2]);
  await idle();
});

test("Channel.close(), cancel() and return() do their work in a killed task", async () => {
  const ch = new Channel<number>({ capacity: 1 }), other = new Channel<number>({ capacity: 1 });
  const { ch: third, undelivered } = withHook({ capacity: 1 });
  third.trySend(1);
  const task: Task<void> = spawn(async () => {
    void task.kill();
    assertEquals([ch.close(), third.cancel()], [true, true]);
    assertEquals((await other.values({ closeOnReturn: true }).return!()).done, true);
  });
  await task;
  assertEquals([ch.closed, third.closed, other.closed, undelivered], [true, true, true, [1]]);
});

test("Channel iteration in a killed task ends with the reason, the values stay", async () => {
  const ch = new Channel<number>({ capacity: 4 }), got: number[] = [];
  const task = spawn(async () => {
    for await (const value of ch) got.push(value);
  });
  await idle();
  ch.trySend(1);
  await idle();
  const killed = task.kill();
  ch.trySend(2); // same tick
  await killed;
  assertEquals([task.state, got, drain(ch)], ["killed", [1], [2]]);
});

// -- Close --

test("Channel.close() says whether it closed", () => {
  const ch = new Channel<number>();
  assertEquals([ch.closed, ch.close(), ch.closed, ch.close(), ch.close("late")], [
    false,
    true,
    true,
    false,
    false,
  ]);
});

for (const capacity of CAPACITIES) {
  test(`Channel.close() lets the buffer drain, capacity ${capacity}`, async () => {
    const { ch } = filled(capacity);
    ch.close();
    assertEquals(ch.size, capacity);
    for (let value = 1; value <= capacity; value++) assertEquals(await ch.receive(), value);
    for (let twice = 0; twice < 2; twice++) {
      const error = await assertRejects(
        () => ch.receive(),
        ChannelClosedError,
        "Cannot receive from a closed channel",
      );
      assertFalse("value" in error);
    }
  });

  test(`Channel.close() rejects waiting senders with their values, capacity ${capacity}`, async () => {
    const { ch, sends } = filled(capacity, 3);
    ch.close();
    assertEquals(ch.size, capacity);
    await idle();
    for (const [i, { error }] of sends.entries()) {
      assertIsError(error, ChannelClosedError, "Cannot send to a closed channel");
      assertEquals(error.value, capacity + i + 1);
    }
    assertEquals(drain(ch), Array.from({ length: capacity }, (_, i) => i + 1));
    assertEquals(ch.tryReceive(), { state: "closed" });
  });
}

test("Channel.send() on a closed channel rejects with its value", async () => {
  for (const overflow of ["wait", "drop-oldest", "drop-newest"] as const) {
    for (const value of [42, undefined, null]) {
      const { ch, undelivered } = withHook<unknown>({ capacity: 1, overflow });
      ch.close("reason of the receivers");
      const error = await assertRejects(
        () => ch.send(value),
        ChannelClosedError,
        "Cannot send to a closed channel",
      );
      assert("value" in error);
      assertStrictEquals(error.value, value);
      assertEquals([ch.trySend(value), ch.size, undelivered], [false, 0, []]);
    }
  }
});

test("Channel.send() keeps an undefined value on the error when the channel closes later", async () => {
  const ch = new Channel<undefined>(), sent = rejection(ch.send(undefined));
  ch.close();
  const error = await sent;
  assertInstanceOf(error, ChannelClosedError);
  assert("value" in error);
  assertStrictEquals(error.value, undefined);
});

test("Channel.close() wakes every waiting receiver, in order", async () => {
  const ch = new Channel<number>(), order: string[] = [];
  const waits = [
    ch.receive().catch((error) => order.push("a " + error.name)),
    ch.values().next().then(({ done }) => order.push("b " + done)),
    ch.receive().catch((error) => order.push("c " + error.name)),
    ch.chunks().next().then(({ done }) => order.push("d " + done)),
  ];
  ch.close();
  await Promise.all(waits);
  assertEquals(order, ["a ChannelClosedError", "b true", "c ChannelClosedError", "d true"]);
});

test("Channel.close(reason) makes receivers reject with it, untouched", async () => {
  for (const reason of REASONS) {
    const ch = new Channel<number>({ capacity: 1 });
    const waits = [ch.receive(), ch.values().next(), ch.chunks().next()].map((wait) =>
      rejection(wait)
    );
    assert(ch.close(reason)); // undefined counts as a reason
    for (const wait of waits) assertStrictEquals(await wait, reason);
    assertStrictEquals(await rejection(ch.receive()), reason);
    assertStrictEquals(await rejection(ch.receive()), reason);
    assertStrictEquals(await rejection(ch.values().next()), reason);
    assertEquals(ch.tryReceive(), { state: "closed" });
  }
});

test("Channel.close(reason) lets the buffer drain first", async () => {
  const { ch } = filled(1), reason = new Error("broken");
  ch.close(reason);
  assertEquals(await ch.receive(), 1);
  assertStrictEquals(await rejection(ch.receive()), reason);
});

test("Channel.close(reason) does not become the error of senders", async () => {
  const { ch, sends } = filled(0, 1);
  ch.close(new Error("broken"));
  await idle();
  assertIsError(sends[0]!.error, ChannelClosedError, "Cannot send to a closed channel");
});

test("Channel.close() keeps the first reason, and the first lack of one", async () => {
  const first = new Error("first"), ch = new Channel<number>(), quiet = new Channel<number>();
  assertEquals([ch.close(first), ch.close(new Error("second")), ch.cancel("third")], [
    true,
    false,
    false,
  ]);
  assertStrictEquals(await rejection(ch.receive()), first);
  assertEquals([quiet.close(), quiet.close("late"), quiet.cancel("later")], [true, false, false]);
  assertInstanceOf(await rejection(quiet.receive()), ChannelClosedError);
  assertEquals((await quiet.values().next()).done, true);
});

test("Channel.close() with a ChannelClosedError as the reason is a failure, not an end", async () => {
  const ch = new Channel<number>(), reason = new ChannelClosedError("another channel's");
  ch.close(reason);
  assertStrictEquals(await rejection(ch.values().next()), reason);
  const caught = await rejection((async () => {
    for await (const _ of ch) { /* nothing comes */ }
  })());
  assertStrictEquals(caught, reason);
});

test("Channel.receive() keeps its value when the channel is closed in the same tick", async () => {
  for (const end of ["close", "cancel"] as const) {
    for (const capacity of CAPACITIES) {
      const { ch, undelivered } = withHook<number>({ capacity });
      const received = ch.receive(), next = ch.values().next(), chunk = ch.chunks().next();
      assertEquals([ch.trySend(1), ch.trySend(2), ch.trySend(3)], [true, true, true]);
      assert(ch[end]("too late"));
      assertEquals(await received, 1);
      assertEquals(await next, { done: false, value: 2 });
      assertEquals(await chunk, { done: false, value: [3] });
      assertEquals(undelivered, []);
    }
  }
});

test("Channel.send() stays sent when the channel is closed in the same tick", async () => {
  const ch = new Channel<number>(), sent = ch.send(1);
  assertEquals(ch.tryReceive(), { state: "ok", value: 1 });
  ch.close();
  await sent;
  const { ch: full, sends } = filled(1, 1);
  full.tryReceive();
  full.close();
  await idle();
  assertEquals([sends[0]!.state, drain(full)], ["resolved", [2]]);
});

test("Channel.close() after an abort in the same tick changes nothing for who was aborted", async () => {
  const ch = new Channel<number>(), controller = new AbortController();
  const { signal } = controller;
  const sent = outcome(ch.send(1, { signal }));
  controller.abort("stop");
  ch.close(new Error("broken"));
  await idle();
  assertEquals(sent.error, "stop");
});

// -- Cancel --

test("Channel.cancel() gives the buffer to onUndelivered at once, in order", () => {
  const { ch, undelivered } = withHook<number>({ capacity: 3 });
  for (const value of [1, 2, 3]) ch.trySend(value);
  assertEquals(ch.cancel(), true);
  assertEquals(undelivered, [1, 2, 3]);
  assertEquals([ch.closed, ch.size, ch.tryReceive()], [true, 0, { state: "closed" }]);
  assertEquals([ch.cancel(), undelivered], [false, [1, 2, 3]]);
});

test("Channel.cancel() rejects waiting senders with their values, not onUndelivered", async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 1 });
  ch.trySend(1);
  const sends = [2, 3].map((value) => rejection(ch.send(value)));
  ch.cancel(new Error("broken"));
  for (const [i, sent] of sends.entries()) {
    const error = await sent;
    assertInstanceOf(error, ChannelClosedError);
    assertEquals(error.value, i + 2);
  }
  assertEquals(undelivered, [1]);
});

test("Channel.cancel() ends waiting receivers as close() does", async () => {
  const ch = new Channel<number>();
  const received = rejection(ch.receive()), next = ch.values().next(), chunk = ch.chunks().next();
  ch.cancel();
  assertInstanceOf(await received, ChannelClosedError);
  assertEquals([(await next).done, (await chunk).done], [true, true]);
  for (const reason of REASONS) {
    const failed = new Channel<number>();
    const waits = [failed.receive(), failed.values().next()].map((wait) => rejection(wait));
    assert(failed.cancel(reason));
    for (const wait of waits) assertStrictEquals(await wait, reason);
    assertStrictEquals(await rejection(failed.receive()), reason);
  }
});

test("Channel.cancel() after close() discards what is left, and gives false", async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 3 });
  for (const value of [1, 2, 3]) ch.trySend(value);
  const reason = new Error("broken");
  ch.close(reason);
  assertEquals(await ch.receive(), 1);
  assertEquals([ch.cancel("other"), undelivered, ch.size], [false, [2, 3], 0]);
  assertStrictEquals(await rejection(ch.receive()), reason);
});

test("Channel.cancel() needs no hook", () => {
  const { ch } = filled(3);
  assertEquals([ch.cancel(), ch.size, ch.tryReceive()], [true, 0, { state: "closed" }]);
});

// -- onUndelivered --

test("Channel onUndelivered is not called for a value that stays with its caller", async () => {
  using time = new ManualClock();
  const { ch, undelivered } = withHook<number>({ capacity: 1 });
  const controller = new AbortController();
  ch.trySend(1);
  assertFalse(ch.trySend(2)); // full
  const sends = [
    rejection(ch.send(3, { signal: controller.signal })),
    rejection(ch.send(4, { timeout: 5 })),
  ];
  const task = spawn(() => ch.send(5));
  await idle();
  controller.abort();
  time.advance(5);
  await task.kill();
  await Promise.all(sends);
  const closed = rejection(ch.send(6));
  ch.close();
  await closed;
  await rejection(ch.send(7)); // closed
  assertFalse(ch.trySend(8));
  assertEquals([drain(ch), undelivered], [[1], []]);
});

test("Channel onUndelivered that throws is told to onUnhandled, the channel goes on", async () => {
  const told: unknown[] = [], errors = [1, 2, 3].map((n) => new Error(`hook ${n}`));
  using _hook = onUnhandled((error, task) => told.push(error, task));
  const ch = new Channel<number>({
    capacity: 2,
    overflow: "drop-oldest",
    onUndelivered: (value) => {
      throw errors[value - 1];
    },
  });
  for (const value of [1, 2]) await ch.send(value);
  assert(ch.trySend(3));
  assertEquals(told, [errors[0], undefined]);
  const received = ch.size;
  assertEquals([received, ch.cancel()], [2, true]);
  assertEquals(told, [errors[0], undefined, errors[1], undefined, errors[2], undefined]);
  assertEquals([ch.size, ch.closed], [0, true]);
});

test("Channel onUndelivered may use the channel", () => {
  const seen: unknown[] = [];
  const ch: Channel<number> = new Channel<number>({
    capacity: 2,
    overflow: "drop-oldest",
    onUndelivered: (value) => {
      seen.push([value, ch.size, ch.closed]);
      if (value === 1) assertEquals(ch.tryReceive(), { state: "ok", value: 2 });
      if (value === 3) ch.cancel();
    },
  });
  for (const value of [1, 2, 3, 4]) assert(ch.trySend(value));
  assertEquals(seen, [[1, 2, false]]);
  assert(ch.trySend(5));
  assertEquals(seen, [[1, 2, false], [3, 2, false], [4, 1, true], [5, 0, true]]);
  assertEquals(ch.tryReceive(), { state: "closed" });
});

// -- Overflow --

test('Channel with overflow "drop-oldest" keeps the newest values and never waits', async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 2, overflow: "drop-oldest" });
  for (const value of [1, 2, 3]) await ch.send(value);
  assertEquals(undelivered, [1]);
  assertEquals([ch.trySend(4), undelivered], [true, [1, 2]]);
  assertEquals([ch.size, drain(ch)], [2, [3, 4]]);
});

test('Channel with overflow "drop-newest" keeps the oldest values and never waits', async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 2, overflow: "drop-newest" });
  for (const value of [1, 2, 3]) await ch.send(value);
  assertEquals(undelivered, [3]);
  assertEquals([ch.trySend(4), undelivered], [false, [3]]); // 4 stays with the caller
  assertEquals([ch.size, drain(ch)], [2, [1, 2]]);
  assertEquals([ch.trySend(5), await ch.send(6), drain(ch)], [true, undefined, [5, 6]]);
  assertEquals(undelivered, [3]);
});

test("Channel with a drop policy hands values to receivers that wait, and drops none then", async () => {
  for (const overflow of ["drop-oldest", "drop-newest"] as const) {
    const { ch, undelivered } = withHook<number>({ capacity: 1, overflow });
    const received = [ch.receive(), ch.receive()];
    await ch.send(1);
    assert(ch.trySend(2));
    assertEquals(await Promise.all(received), [1, 2]);
    assert(ch.trySend(3));
    assertEquals([drain(ch), undelivered], [[3], []]);
  }
});

test('Channel with overflow "drop-newest" drops a value of send() once', async () => {
  const seen: number[] = [];
  const ch = new Channel<number>({
    capacity: 1,
    overflow: "drop-newest",
    onUndelivered: (value) => seen.push(value),
  });
  const sends = [1, 2, 3].map((value) => ch.send(value));
  assertEquals(seen, [2, 3]); // synchronously
  await Promise.all(sends);
  ch.cancel();
  assertEquals(seen, [2, 3, 1]);
});

// -- Iteration --

for (const capacity of CAPACITIES) {
  test(`Channel iteration gives all values, then ends at close, capacity ${capacity}`, async () => {
    const ch = new Channel<number>({ capacity });
    const producer = (async () => {
      for (let value = 0; value < 100; value++) await ch.send(value);
      ch.close();
    })();
    const got: number[] = [];
    for await (const value of ch) got.push(value);
    await producer;
    assertEquals(got, Array.from({ length: 100 }, (_, i) => i));
    for await (const _ of ch) assert(false, "a second loop ends at once");
  });

  test(`Channel iteration that is left loses nothing, capacity ${capacity}`, async () => {
    const ch = new Channel<number>({ capacity });
    const sends = [1, 2, 3, 4].map((value) => outcome(ch.send(value)));
    const got: number[] = [];
    for await (const value of ch) {
      got.push(value);
      if (value === 2) break;
    }
    assertEquals(ch.closed, false);
    for await (const value of ch) {
      got.push(value);
      if (value === 3) break;
    }
    assertEquals([...got, ...drain(ch)], [1, 2, 3, 4]);
    await idle();
    assert(sends.every(({ state }) => state === "resolved"));
  });
}

test("Channel iteration throws the reason after the buffer is drained", async () => {
  for (const reason of REASONS) {
    const { ch } = filled(2), got: number[] = [];
    ch.close(reason);
    const caught = rejection((async () => {
      for await (const value of ch) got.push(value);
    })());
    assertStrictEquals(await caught, reason);
    assertEquals(got, [1, 2]);
  }
});

test("Channel iteration shares the values among its loops", async () => {
  const ch = new Channel<number>({ capacity: 2 }), got: number[][] = [[], [], []];
  const loops = got.map(async (mine) => {
    for await (const value of ch) mine.push(value);
  });
  for (let value = 0; value < 30; value++) await ch.send(value);
  ch.close();
  await Promise.all(loops);
  assertEquals(got.flat().sort((a, b) => a - b), Array.from({ length: 30 }, (_, i) => i));
  for (const mine of got) assertEquals(mine, [...mine].sort((a, b) => a - b));
});

test("Channel iterator next() always gives a promise", async () => {
  const ch = new Channel<number>({ capacity: 1 }), iterator = ch.values(), chunks = ch.chunks();
  ch.trySend(1);
  const ready = iterator.next();
  assertInstanceOf(ready, Promise);
  await ready;
  ch.trySend(1);
  const chunk = chunks.next();
  assertInstanceOf(chunk, Promise);
  await chunk;
  ch.close();
  assertInstanceOf(iterator.next(), Promise);
  assertInstanceOf(iterator.return!(), Promise);
  assertInstanceOf(iterator.next(), Promise);
});

test("Channel iterator next() stays done after the end", async () => {
  const ch = new Channel<number>(), iterator = ch.values();
  ch.close();
  for (let twice = 0; twice < 2; twice++) {
    assertEquals(await iterator.next(), { done: true, value: undefined });
  }
});

test("Channel iterator next() called several times at once gives values in order", async () => {
  for (const capacity of CAPACITIES) {
    const ch = new Channel<number>({ capacity }), iterator = ch.values();
    const nexts = [1, 2, 3, 4].map(() => iterator.next());
    for (const value of [1, 2, 3]) assert(ch.trySend(value));
    ch.close();
    assertEquals(await Promise.all(nexts), [
      { done: false, value: 1 },
      { done: false, value: 2 },
      { done: false, value: 3 },
      { done: true, value: undefined },
    ]);
  }
});

test("Channel iterator return() settles a next() that waits, its value goes to others", async () => {
  for (const capacity of CAPACITIES) {
    for (const make of ["values", "chunks"] as const) {
      const step = steps();
      const ch = new Channel<number>({ capacity }), iterator = ch[make]();
      const next = iterator.next().then((result) => {
        step(2);
        return result;
      });
      await idle();
      step(1);
      assertEquals(await iterator.return!(), { done: true, value: undefined });
      assertEquals(await next, { done: true, value: undefined });
      step.end(3);
      assertEquals([ch.closed, liveWaiters()], [false, 0]);
      const received = ch.receive();
      assert(ch.trySend(1));
      assertEquals(await received, 1);
    }
  }
});

test("Channel iterator return() settles every next() that waits, and no one else's", async () => {
  const ch = new Channel<number>(), iterator = ch.values();
  const before = outcome(ch.receive());
  const nexts = [1, 2, 3].map(() => outcome(iterator.next()));
  const after = outcome(ch.receive());
  void iterator.return!();
  assertEquals([ch.trySend(1), ch.trySend(2), ch.trySend(3)], [true, true, false]);
  await idle();
  assertEquals(nexts.map(({ value }) => value?.done), [true, true, true]);
  assertEquals([before.value, after.value], [1, 2]);
});

test("Channel iterator return() settles the next() calls that waited after served ones", async () => {
  const ch = new Channel<number>(), iterator = ch.values();
  const nexts: Array<ReturnType<typeof outcome<IteratorResult<number>>>> = [];
  for (let value = 0; value < 6; value++) {
    nexts.push(outcome(iterator.next()), outcome(iterator.next()));
    assert(ch.trySend(value));
  }
  assertEquals(liveWaiters(), 6);
  void iterator.return!();
  assertEquals(liveWaiters(), 0);
  await idle();
  assertEquals(nexts.map(({ value }) => value?.value), [0, 1, 2, 3, 4, 5, ...Array(6)]);
});

test("Channel iterator return() leaves the value to a next() that was just given it", async () => {
  const ch = new Channel<number>({ capacity: 2 }), iterator = ch.values(), chunks = ch.chunks();
  const next = iterator.next(), chunk = chunks.next();
  ch.trySend(1);
  ch.trySend(2);
  void iterator.return!(); // same tick
  void chunks.return!();
  assertEquals(await next, { done: false, value: 1 });
  assertEquals(await chunk, { done: false, value: [2] });
});

test("Channel iterator next() after return() is done and takes nothing", async () => {
  const { ch, sends } = filled(1, 1), iterator = ch.values(), chunks = ch.chunks();
  await iterator.return!();
  await iterator.return!();
  await chunks.return!();
  assertEquals(await iterator.next(), { done: true, value: undefined });
  assertEquals(await chunks.next(), { done: true, value: undefined });
  assertEquals(drain(ch), [1, 2]);
  ch.close(new Error("broken"));
  assertEquals((await iterator.next()).done, true);
  await idle();
  assertEquals(sends[0]!.state, "resolved");
});

test("Channel iterator throw() rejects with the error and settles a next() that waits", async () => {
  const ch = new Channel<number>(), iterator = ch.values(), error = new Error("no more");
  const next = iterator.next();
  assertStrictEquals(await rejection(iterator.throw!(error)), error);
  assertEquals((await next).done, true);
  assertEquals([(await iterator.next()).done, ch.closed], [true, false]);
});

test("Channel iterator is iterable itself and disposable", async () => {
  const { ch } = filled(3);
  const iterator = ch.values();
  assertStrictEquals(iterator[Symbol.asyncIterator](), iterator);
  const disposable = ch.values() as unknown as AsyncDisposable & AsyncIterator<number>;
  const next = disposable.next();
  assertEquals((await next).value, 1);
  await disposable[Symbol.asyncDispose]();
  await disposable[Symbol.asyncDispose]();
  assertEquals([(await disposable.next()).done, ch.closed], [true, false]);
  assertEquals(drain(ch), [2, 3]);
});

test("Channel.values({ closeOnReturn }) cancels the channel on leaving", async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 2 });
  for (const value of [1, 2]) ch.trySend(value);
  const sends = [3, 4].map((value) => outcome(ch.send(value)));
  for await (const value of ch.values({ closeOnReturn: true })) {
    assertEquals(value, 1);
    break;
  }
  assertEquals([ch.closed, ch.size, undelivered], [true, 0, [2, 3]]);
  await idle();
  assertEquals(sends[0]!.state, "resolved");
  assertInstanceOf(sends[1]!.error, ChannelClosedError);
  assertEquals(sends[1]!.error.value, 4);
});

test("Channel.values({ closeOnReturn }) cancels when the loop throws", async () => {
  const { ch } = filled(2), error = new Error("loop");
  const caught = await rejection((async () => {
    for await (const _ of ch.values({ closeOnReturn: true })) throw error;
  })());
  assertStrictEquals(caught, error);
  assertEquals([ch.closed, ch.size], [true, 0]);
});

test("Channel.values({ closeOnReturn }) settles a next() that waits, others end too", async () => {
  const ch = new Channel<number>(), iterator = ch.values({ closeOnReturn: true });
  const next = iterator.next(), other = rejection(ch.receive()), loop = ch.values().next();
  await iterator.return!();
  assertEquals([(await next).done, (await loop).done, ch.closed], [true, true, true]);
  assertInstanceOf(await other, ChannelClosedError);
  await iterator.return!();
});

test("Channel.values({ closeOnReturn: false }) leaves the channel open", async () => {
  for (const options of [{ closeOnReturn: false }, { closeOnReturn: undefined }, {}, undefined]) {
    const { ch } = filled(2);
    for await (const _ of ch.values(options)) break;
    assertEquals([ch.closed, drain(ch)], [false, [2]]);
  }
});

test("Channel.values() rejects options that are no object", () => {
  for (const options of [null, 5, true]) {
    assertThrows(() => new Channel().values(options as never), TypeError, "Cannot iterate");
  }
});

// -- Chunks --

test("Channel.chunks() gives all that is ready, those of waiting senders included", async () => {
  for (const capacity of [0, 1, 3, 64]) {
    const { ch, sends } = filled(capacity, 3);
    const { value } = await ch.chunks().next();
    assertEquals(value, Array.from({ length: capacity + 3 }, (_, i) => i + 1));
    await idle();
    assert(sends.every(({ state }) => state === "resolved"));
    assertEquals([ch.size, ch.tryReceive()], [0, { state: "empty" }]);
  }
});

test("Channel.chunks() gives at most max values, and lets senders into the freed slots", async () => {
  const { ch, sends } = filled(4, 4), chunks = ch.chunks(3);
  assertEquals(await chunks.next(), { done: false, value: [1, 2, 3] });
  await idle();
  assertEquals(sends.map(({ state }) => state), ["resolved", "resolved", "resolved", "pending"]);
  assertEquals(ch.size, 4);
  assertFalse(ch.trySend(99));
  assertEquals((await chunks.next()).value, [4, 5, 6]);
  assertEquals((await chunks.next()).value, [7, 8]);
  await idle();
  assertEquals(sends[3]!.state, "resolved");
});

test("Channel.chunks() with max beyond the buffer takes some waiting senders", async () => {
  const { ch, sends } = filled(2, 4);
  assertEquals((await ch.chunks(3).next()).value, [1, 2, 3]);
  await idle();
  assertEquals(sends.map(({ state }) => state), ["resolved", "resolved", "resolved", "pending"]);
  assertEquals(drain(ch), [4, 5, 6]);
  await idle();
});

test("Channel.chunks(1) gives one value at a time", async () => {
  const { ch } = filled(3);
  ch.close();
  const got: number[][] = [];
  for await (const chunk of ch.chunks(1)) got.push(chunk);
  assertEquals(got, [[1], [2], [3]]);
});

test("Channel.chunks() takes 1,024 values by default", async () => {
  const { ch } = filled(3000);
  ch.close();
  const sizes: number[] = [];
  for await (const chunk of ch.chunks()) sizes.push(chunk.length);
  assertEquals(sizes, [1024, 1024, 952]);
});

test("Channel.chunks() that waits gives one value when it comes, the rest with the next", async () => {
  const ch = new Channel<number>({ capacity: 4 }), chunks = ch.chunks();
  const first = chunks.next();
  await idle();
  for (const value of [1, 2, 3]) ch.trySend(value);
  assertEquals(await first, { done: false, value: [1] });
  assertEquals(await chunks.next(), { done: false, value: [2, 3] });
});

test("Channel.chunks() ends at close after the rest, or throws the reason", async () => {
  const { ch } = filled(2), got: number[][] = [];
  ch.close();
  for await (const chunk of ch.chunks()) got.push(chunk);
  assertEquals(got, [[1, 2]]);
  const { ch: failing } = filled(2), reason = new Error("broken"), chunks = failing.chunks();
  failing.close(reason);
  assertEquals((await chunks.next()).value, [1, 2]);
  assertStrictEquals(await rejection(chunks.next()), reason);
});

test("Channel.chunks() that is left loses nothing", async () => {
  const { ch } = filled(5);
  for await (const chunk of ch.chunks(2)) {
    assertEquals(chunk, [1, 2]);
    break;
  }
  assertEquals([ch.closed, drain(ch)], [false, [3, 4, 5]]);
});

test("Channel.chunks() rejects a max that is no integer >= 1", () => {
  for (const max of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(
      () => new Channel().chunks(max),
      RangeError,
      `Cannot iterate chunks: max must be an integer >= 1, got ${max}`,
    );
  }
});

test("Channel.chunks() rejects a max that is no number", () => {
  for (const max of ["3", null, {}]) {
    assertThrows(() => new Channel().chunks(max as never), TypeError, "Cannot iterate chunks");
  }
});

// -- Streams --

test("Channel.toReadableStream() gives the values and ends at close", async () => {
  for (const capacity of CAPACITIES) {
    const ch = new Channel<number>({ capacity });
    const producer = (async () => {
      for (let value = 0; value < 20; value++) await ch.send(value);
      ch.close();
    })();
    const got: number[] = [], reader = ch.toReadableStream().getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      got.push(read.value);
    }
    await producer;
    assertEquals(got, Array.from({ length: 20 }, (_, i) => i));
  }
});

test("Channel.toReadableStream() takes nothing until it is read", async () => {
  const rendezvous = new Channel<number>(), stream = rendezvous.toReadableStream();
  await idle();
  assertFalse(rendezvous.trySend(1));
  const reader = stream.getReader();
  await idle();
  assertFalse(rendezvous.trySend(1));
  const read = reader.read();
  await idle();
  assertEquals([rendezvous.trySend(2), rendezvous.trySend(3)], [true, false]);
  assertEquals(await read, { done: false, value: 2 });
  await idle();
  assertFalse(rendezvous.trySend(4)); // nor after a read
  rendezvous.close();

  const { ch } = filled(2), second = ch.toReadableStream().getReader();
  await idle();
  assertEquals(ch.size, 2);
  assertEquals((await second.read()).value, 1);
  await idle();
  assertEquals(ch.size, 1);
});

test("Channel.toReadableStream() fails with the reason after the rest", async () => {
  const { ch } = filled(1), reason = new Error("broken");
  const reader = ch.toReadableStream().getReader();
  ch.close(reason);
  assertEquals((await reader.read()).value, 1);
  assertStrictEquals(await rejection(reader.read()), reason);
});

test("Channel.toReadableStream() of a channel that closes while a read waits", async () => {
  const ch = new Channel<number>(), reader = ch.toReadableStream().getReader();
  const read = reader.read();
  await idle();
  ch.close();
  assertEquals((await read).done, true);
  const failing = new Channel<number>(), reason = new Error("broken");
  const failed = rejection(failing.toReadableStream().getReader().read());
  await idle();
  failing.close(reason);
  assertStrictEquals(await failed, reason);
});

test("Channel.toReadableStream() that is cancelled closes the channel with the reason", async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 2 });
  ch.trySend(1);
  const reason = new Error("enough");
  await ch.toReadableStream().cancel(reason);
  assertEquals([ch.closed, ch.size, undelivered], [true, 1, []]);
  assertEquals(await ch.receive(), 1);
  assertStrictEquals(await rejection(ch.receive()), reason);
  const quiet = new Channel<number>();
  await quiet.toReadableStream().cancel();
  assertInstanceOf(await rejection(quiet.receive()), ChannelClosedError);
});

test("Channel.toReadableStream() that is cancelled while a read waits takes nothing more", async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 1 });
  const reader = ch.toReadableStream().getReader(), read = reader.read();
  await idle();
  assertEquals(liveWaiters(), 1);
  const cancelled = reader.cancel("enough");
  assertEquals(liveWaiters(), 0);
  await cancelled;
  assertEquals((await read).done, true);
  assertEquals([ch.closed, ch.trySend(1), undelivered], [true, false, []]);
});

test("Channel.toReadableStream() that is cancelled in the tick of a hand-over drops no value", async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 1 });
  const reader = ch.toReadableStream().getReader(), read = reader.read();
  await idle();
  assert(ch.trySend(1)); // handed to the stream's pull, which has not gone on yet
  await reader.cancel("enough");
  await idle();
  assertEquals((await read).done, true);
  assertEquals(undelivered, [1]);
});

test("Channel.toReadableStream() keeps a value whose read was given up, also on cancel", async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 1 });
  const stream = ch.toReadableStream(), reader = stream.getReader();
  const read = rejection(reader.read());
  await idle();
  reader.releaseLock();
  await read;
  assert(ch.trySend(1)); // the stream's pull still waits and gets it
  await idle();
  const second = stream.getReader();
  assertEquals((await second.read()).value, 1);
  const third = rejection(second.read());
  await idle();
  second.releaseLock();
  await third;
  assert(ch.trySend(2));
  await idle();
  await stream.cancel();
  assertEquals(undelivered, [2]);
});

test("Channel.toReadableStream() several times shares the values", async () => {
  const ch = new Channel<number>();
  const first = ch.toReadableStream().getReader(), second = ch.toReadableStream().getReader();
  const reads = [first.read(), second.read()];
  await idle();
  assertEquals([ch.trySend(1), ch.trySend(2), ch.trySend(3)], [true, true, false]);
  assertEquals((await Promise.all(reads)).map(({ value }) => value), [1, 2]);
  ch.close();
  assertEquals((await first.read()).done, true);
  assertEquals((await second.read()).done, true);
});

test("Channel.toReadableStream() pipes through", async () => {
  const ch = Channel.from([1, 2, 3]);
  const doubled = ch.toReadableStream().pipeThrough(
    new TransformStream<number, number>({
      transform: (value, controller) => controller.enqueue(value * 2),
    }),
  );
  const got: number[] = [], reader = doubled.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) got.push(read.value);
  assertEquals(got, [2, 4, 6]);
});

// -- from() --

test("Channel.from() feeds a sync iterable and closes", async () => {
  for (const capacity of CAPACITIES) {
    const ch = Channel.from([1, 2, 3], { capacity }), got: number[] = [];
    assertEquals(ch.capacity, capacity);
    for await (const value of ch) got.push(value);
    assertEquals([got, ch.closed], [[1, 2, 3], true]);
  }
  assertInstanceOf(await rejection(Channel.from([]).receive()), ChannelClosedError);
});

test("Channel.from() feeds an async iterable, a stream and another channel", async () => {
  async function* generate() {
    yield 1;
    await idle();
    yield 2;
  }
  const { ch: source } = filled(2);
  source.close();
  const { ch: streamed } = filled(2);
  streamed.close();
  for (const from of [generate(), source, streamed.values()]) {
    const got: number[] = [];
    for await (const value of Channel.from(from)) got.push(value);
    assertEquals(got, [1, 2]);
  }
});

test("Channel.from() takes a string as its characters", async () => {
  const ch = Channel.from("ab");
  assertEquals([await ch.receive(), await ch.receive()], ["a", "b"]);
});

test("Channel.from() takes from the source only as there is room", async () => {
  let pulled = 0;
  function* numbers() {
    for (;;) yield ++pulled;
  }
  const ch = Channel.from(numbers(), { capacity: 2 });
  await idle();
  assertEquals([pulled, ch.size], [3, 2]); // two in the buffer, one that waits for room
  assertEquals(await ch.receive(), 1);
  await idle();
  assertEquals(pulled, 4);
  ch.cancel();
  await idle();
});

test("Channel.from() fails with the error of its source, after the values", async () => {
  const error = new Error("source");
  async function* failing() {
    yield 1;
    await idle();
    throw error;
  }
  const ch = Channel.from(failing(), { capacity: 4 });
  assertEquals(await ch.receive(), 1);
  assertStrictEquals(await rejection(ch.receive()), error);
  const broken = Channel.from({
    [Symbol.asyncIterator]() {
      throw error;
    },
  });
  assertStrictEquals(await rejection(broken.receive()), error);
});

test("Channel.from() ends its source when the channel is closed or cancelled", async () => {
  for (const end of ["close", "cancel"] as const) {
    let ended = 0;
    const undelivered: number[] = [];
    const numbers = function* () {
      try {
        for (let value = 1;; value++) yield value;
      } finally {
        ended++;
      }
    };
    const ch = Channel.from(numbers(), {
      capacity: 2,
      onUndelivered: (value) => undelivered.push(value),
    });
    await idle();
    ch[end]();
    await idle();
    assertEquals(ended, 1);
    // 3 was pulled and waited for room; cancel discards the buffer too.
    assertEquals(undelivered, end === "close" ? [3] : [1, 2, 3]);
    assertEquals(drain(ch), end === "close" ? [1, 2] : []);
  }
});

test("Channel.from() gives a value that comes after the close to onUndelivered", async () => {
  let give = (_value: number) => {};
  let ended = false;
  async function* slow() {
    try {
      yield await new Promise<number>((resolve) => give = resolve);
    } finally {
      ended = true;
    }
  }
  const undelivered: number[] = [];
  const ch = Channel.from(slow(), { onUndelivered: (value) => undelivered.push(value) });
  await idle();
  ch.close();
  give(1);
  await idle();
  assertEquals([ended, undelivered], [true, [1]]);
});

test("Channel.from() ends a source that gives nothing, at once", async () => {
  const source = new Channel<number>({ capacity: 1 });
  const ch = Channel.from(source);
  await idle();
  ch.close();
  await idle();
  // The feed must not stay behind and eat a value of its source.
  const left = liveWaiters();
  source.trySend(1);
  const got = drain(source);
  source.close();
  await idle();
  assertEquals([left, got], [0, [1]]);
});

test("Channel.from() with a drop policy drops and never waits", async () => {
  for (const overflow of ["drop-oldest", "drop-newest"] as const) {
    const undelivered: number[] = [];
    const ch = Channel.from([1, 2, 3, 4], {
      capacity: 2,
      overflow,
      onUndelivered: (value) => undelivered.push(value),
    });
    await idle();
    const facts = [ch.closed, liveWaiters(), ch.size, [...undelivered]];
    const left = drain(ch);
    ch.cancel(); // a feed that waits must not outlive a red test
    await idle();
    assertEquals(
      [facts, left],
      overflow === "drop-oldest" ? [[true, 0, 2, [1, 2]], [3, 4]] : [[true, 0, 2, [3, 4]], [1, 2]],
      overflow,
    );
  }
});

test("Channel.from() tells onUnhandled of an error that no receiver can get", async () => {
  const told: unknown[] = [], error = new Error("clean-up");
  using _hook = onUnhandled((error) => told.push(error));
  function* careless() {
    try {
      for (;;) yield 1;
    } finally {
      // deno-lint-ignore no-unsafe-finally -- the point of the test
      throw error;
    }
  }
  const ch = Channel.from(careless());
  await idle();
  ch.close();
  await idle();
  assertEquals(told, [error]);
});

test("Channel.from() belongs to no task: it goes on after the kill of its maker", async () => {
  let ch: Channel<number> | undefined;
  const task = spawn(async () => {
    ch = Channel.from([1, 2, 3]);
    await new Channel<never>().receive();
  });
  await idle();
  await task.kill();
  const got: number[] = [];
  for await (const value of ch!) got.push(value);
  assertEquals(got, [1, 2, 3]);
});

test("Channel.from() rejects what is not iterable, and wrong options", () => {
  for (const source of [undefined, null, 5, {}, { [Symbol.iterator]: 1 }, () => []]) {
    assertThrows(
      () => Channel.from(source as never),
      TypeError,
      `Cannot create channel: source must be iterable, got ${typeof source}`,
    );
  }
  assertThrows(() => Channel.from([1], { capacity: -1 }), RangeError, "capacity");
  assertThrows(() => Channel.from([1], 4 as never), TypeError, "channel(4)");
});

// -- unbounded() --

test("Channel.unbounded() never makes a sender wait", async () => {
  const ch = Channel.unbounded<number>({ name: "crawl" });
  assertEquals([ch.capacity, ch.name], [Infinity, "crawl"]);
  for (let value = 0; value < 5000; value++) await ch.send(value);
  assert(ch.trySend(5000));
  assertEquals(ch.size, 5001);
  assertEquals((await ch.chunks(3).next()).value, [0, 1, 2]);
  assertEquals(await ch.receive(), 3);
  ch.close();
  assertEquals(drain(ch).length, 4997);
});

test("Channel.unbounded() gives what cancel() discards to onUndelivered", () => {
  const undelivered: number[] = [];
  const ch = Channel.unbounded<number>({ onUndelivered: (value) => undelivered.push(value) });
  for (const value of [1, 2, 3]) ch.trySend(value);
  ch.cancel();
  assertEquals(undelivered, [1, 2, 3]);
});

test("Channel.unbounded() rejects wrong options", () => {
  assertThrows(
    () => Channel.unbounded({ onUndelivered: 1 } as never),
    TypeError,
    "onUndelivered must be a function, got number",
  );
  assertThrows(() => Channel.unbounded({ name: 1 } as never), TypeError, "name must be a string");
  for (const options of [null, 4, "4"]) {
    assertThrows(() => Channel.unbounded(options as never), TypeError, "options must be an object");
  }
});

// -- Disposal --

test("Channel disposal closes, the buffer drains, twice is harmless", async () => {
  let kept: Channel<number>;
  {
    using ch = new Channel<number>({ capacity: 1 });
    ch.trySend(1);
    kept = ch;
  }
  assertEquals([kept.closed, await kept.receive()], [true, 1]);
  kept[Symbol.dispose]();
  await kept[Symbol.asyncDispose]();
  {
    await using ch = new Channel<number>({ capacity: 1 });
    kept = ch;
  }
  assertEquals(kept.closed, true);
  await kept[Symbol.asyncDispose]();
});

test("Channel disposal rejects senders that wait with their values", async () => {
  const { ch, sends } = filled(0, 1);
  ch[Symbol.dispose]();
  await idle();
  assertInstanceOf(sends[0]!.error, ChannelClosedError);
  assertEquals(sends[0]!.error.value, 1);
});

// -- Promises and tasks as values --

test("Channel hands promises over as they are, receive() gives their results", async () => {
  for (const capacity of [1, 0]) {
    const ch = new Channel<Promise<string>>({ capacity }), promise = Promise.resolve("result");
    const iterator = ch.values(), chunks = ch.chunks();
    const send = () => outcome(ch.send(promise));
    send();
    const got = ch.tryReceive();
    assert(got.state === "ok");
    assertStrictEquals(got.value, promise);
    send();
    assertStrictEquals((await iterator.next()).value, promise); // ready
    const next = iterator.next();
    send();
    assertStrictEquals((await next).value, promise); // waited for
    send();
    assertStrictEquals((await chunks.next()).value![0], promise);
    send();
    assertEquals(await ch.receive() as unknown, "result"); // ready
    const received = ch.receive();
    send();
    assertEquals(await received as unknown, "result"); // waited for
    await idle();
  }
});

test("Channel hands tasks over as they are, receive() gives their results", async () => {
  const ch = new Channel<Task<number>>({ capacity: 2 });
  const tasks = [1, 2, 3, 4].map((value) => spawn(() => value));
  ch.trySend(tasks[0]!);
  assertStrictEquals((await ch.values().next()).value, tasks[0]);
  const next = ch.values().next();
  ch.trySend(tasks[1]!);
  assertStrictEquals((await next).value, tasks[1]);
  ch.trySend(tasks[2]!);
  assertEquals(await ch.receive() as unknown, 3);
  const received = ch.receive();
  ch.trySend(tasks[3]!);
  assertEquals(await received as unknown, 4);
});

test("Channel.receive() of a channel of promises rejects as the promise does", async () => {
  const ch = new Channel<Promise<never>>({ capacity: 1 }), error = new Error("value");
  const failing = Promise.reject(error);
  failing.catch(() => {});
  ch.trySend(failing);
  assertStrictEquals(await rejection(ch.receive()), error);
  const received = rejection(ch.receive());
  ch.trySend(failing);
  assertStrictEquals(await received, error);
  assertFalse(ch.closed);
});

// -- Order and fairness --

test("Channel resumes producer and consumer in the order of their hand-overs", async () => {
  const ch = new Channel<number>(), seen: string[] = [];
  const producer = (async () => {
    for (let value = 1; value <= 3; value++) {
      await ch.send(value);
      seen.push(`sent ${value}`);
    }
  })();
  const consumer = (async () => {
    for (let i = 1; i <= 3; i++) seen.push(`got ${await ch.receive()}`);
  })();
  await Promise.all([producer, consumer]);
  for (const what of ["sent", "got"]) {
    assertEquals(
      seen.filter((text) => text.startsWith(what)),
      [1, 2, 3].map((n) => `${what} ${n}`),
    );
  }
});

test("Channel send() that does not park allocates no promise of its own", () => {
  const ch = new Channel<number>({ capacity: 2 });
  assertStrictEquals(ch.send(1), ch.send(2));
});

test("Channel.values({ closeOnReturn }) cancels the channel when a kill ends the loop", async () => {
  const { ch, undelivered } = withHook<number>({ capacity: 1 });
  const consumer = spawn(async () => {
    for await (const _value of ch.values({ closeOnReturn: true }));
  });
  await idle();
  await consumer.kill();
  assert(ch.closed);
  assertEquals(undelivered, []);

  const busy = withHook<number>({ capacity: 1 });
  const other = spawn(async () => {
    for await (const _value of busy.ch.values({ closeOnReturn: true })) {
      void currentTask()!.kill();
    }
  });
  await busy.ch.send(1);
  await busy.ch.send(2);
  await other.join();
  assertEquals([busy.ch.closed, busy.undelivered], [true, [2]]);
});

test("Channel.values({ closeOnReturn }) minds only the kill of its own consumer", async () => {
  const ch = new Channel<number>();
  const consumer = outcome(ch.values({ closeOnReturn: true }).next());
  const others = [spawn(() => ch.receive()), spawn(() => ch.values().next())];
  await idle();
  for (const task of others) await task.kill();
  assertEquals([ch.closed, consumer.state], [false, "pending"]);
  await ch.send(3);
  assertEquals(consumer.value, { done: false, value: 3 });
});

test("Channel.from() ends a source that is not async when a promise among its items fails", async () => {
  const log: unknown[] = [];
  const ch = Channel.from((function* () {
    try {
      yield Promise.resolve(1);
      yield Promise.reject(new Error("no"));
    } finally {
      log.push("left");
    }
  })());
  assertEquals(await (ch.receive() as Promise<unknown>), 1);
  await assertRejects(() => ch.receive(), Error, "no");
  assertEquals(log, ["left"]);
});
