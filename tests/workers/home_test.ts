// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Tests of what a channel does for its crossings: it takes values back, and tells how it ends.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import { Channel, select } from "../../mod.ts";
import { putBack, serveOutside, unwatchEnd, watchEnd } from "../../src/channel.ts";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { outcome } from "../outcome.ts";

noLeaks();

function drain<T>(ch: Channel<T>): T[] {
  const values: T[] = [];
  for (let next = ch.tryReceive(); next.state === "ok"; next = ch.tryReceive()) {
    values.push(next.value);
  }
  return values;
}

test("putBack() puts values before those in the buffer, in order, over its capacity", () => {
  const ch = new Channel<number>({ capacity: 2 });
  ch.trySend(3);
  ch.trySend(4);
  putBack(ch, [1, 2]);
  assertEquals([ch.size, ch.trySend(5)], [4, false]);
  assertEquals(drain(ch), [1, 2, 3, 4]);
});

test("putBack() serves receivers that wait first, each with one value", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  const got = [
    outcome<unknown>(ch.receive()),
    outcome<unknown>(select({ ch })),
    outcome<unknown>(ch.chunks().next()),
  ];
  putBack(ch, [1, 2, 3, 4, 5]);
  await idle();
  assertEquals(got.map(({ value }) => value), [
    1,
    { key: "ch", value: 2, done: false },
    { done: false, value: [3] },
  ]);
  assertEquals(drain(ch), [4, 5]);
});

test("a sender waits until a channel that holds too much has room again", async () => {
  const ch = new Channel<number>({ capacity: 1 });
  ch.trySend(2);
  const third = outcome(ch.send(3));
  putBack(ch, [0, 1]);
  assertEquals(await ch.receive(), 0);
  await idle();
  assertEquals([third.state, ch.size], ["pending", 2]);
  assertEquals(await ch.receive(), 1);
  await idle();
  assertEquals([third.state, ch.size], ["pending", 1]);
  assertEquals(await ch.receive(), 2);
  await idle();
  assertEquals([third.state, ch.size], ["resolved", 1]);
  assertEquals(drain(ch), [3]);
});

test("putBack() of undefined is a value; into a closed channel it can still be received", async () => {
  const ch = new Channel<undefined>({ capacity: 1 });
  ch.close();
  putBack(ch, [undefined]);
  assertEquals(await ch.receive(), undefined);
  assertEquals(ch.tryReceive(), { state: "closed" });
});

test("watchEnd() tells of close and cancel once each, after those who wait were served", async () => {
  const told: string[] = [];
  const lost: number[] = [];
  const ch = new Channel<number>({ capacity: 2, onUndelivered: (value) => void lost.push(value) });
  const watcher = {
    closed: () => void told.push(`closed ${ch.closed} ${lost.length}`),
    cancelled: () => void told.push(`cancelled ${lost.length}`),
  };
  const gone = { closed: () => void told.push("gone"), cancelled: () => {} };
  watchEnd(ch, watcher);
  watchEnd(ch, gone);
  unwatchEnd(ch, gone);
  ch.trySend(1);
  ch.close();
  ch.close();
  ch.cancel();
  assertEquals([told, lost], [["closed true 0", "cancelled 1"], [1]]);
  unwatchEnd(ch, watcher);
  await idle();
  unwatchEnd(new Channel(), watcher);
});

test("a watcher may leave while it is told", () => {
  const told: number[] = [];
  const ch = new Channel<number>();
  for (const n of [1, 2]) {
    const watcher = {
      closed: () => {
        told.push(n);
        unwatchEnd(ch, watcher);
      },
      cancelled: () => {},
    };
    watchEnd(ch, watcher);
  }
  ch.cancel();
  assertEquals(told, [1, 2]);
});

test("serveOutside() makes waiting receivers count as served by the host", () => {
  const ch = new Channel<number>();
  serveOutside(ch);
  const before = outsideWaits();
  const receiving = outcome(ch.receive());
  assertEquals(outsideWaits() - before, 1);
  assert(ch.trySend(1));
  assertEquals([outsideWaits() - before, receiving.state], [0, "pending"]);
});
