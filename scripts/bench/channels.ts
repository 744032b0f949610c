// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Values through a channel, by every way of receiving, beside std's `Channel` where it has the way.
 *
 * @module
 */

import { Channel } from "../../src/channel.ts";
import { check, sumBelow, type Work } from "./work.ts";

const OPS = 5_000;
const EXPECTED = sumBelow(OPS);

/** What both channels have. */
interface NumberChannel extends AsyncIterable<number> {
  send(value: number): Promise<void>;
  receive(): Promise<number>;
  close(): void;
}

/** The class of one of them. */
export type NumberChannelClass = new (options: { capacity: number }) => NumberChannel;

/** All rows; without `std` nothing stands beside ours. */
export function channels(std?: NumberChannelClass): Work[] {
  const rows: Work[] = [];
  for (const capacity of [0, 64]) {
    for (const [name, pass] of [["send/receive", sendReceive], ["for await", forAwait]] as const) {
      rows.push({
        name: `${name}, capacity ${capacity}`,
        ops: OPS,
        run: () => pass(new Channel<number>({ capacity })),
        ...(std === undefined ? {} : { std: () => pass(new std({ capacity })) }),
      });
    }
  }
  rows.push({ name: "chunks, capacity 64", ops: OPS, run: () => chunks(sendAll) });
  rows.push({ name: "chunks and trySend, capacity 64", ops: OPS, run: () => chunks(trySendAll) });
  rows.push({ name: "try send/receive, no wait", ops: OPS, run: tryBoth });
  return rows;
}

/** One batch of send and receive. */
export async function sendReceive(ch: NumberChannel): Promise<void> {
  const sent = sendAll(ch);
  let sum = 0;
  for (let i = 0; i < OPS; i++) sum += await ch.receive();
  await sent;
  check(sum, EXPECTED);
}

async function forAwait(ch: NumberChannel): Promise<void> {
  const sent = sendAll(ch);
  let sum = 0;
  for await (const value of ch) sum += value;
  await sent;
  check(sum, EXPECTED);
}

async function chunks(send: (ch: Channel<number>) => Promise<void>): Promise<void> {
  const ch = new Channel<number>({ capacity: 64 });
  const sent = send(ch);
  let sum = 0;
  for await (const chunk of ch.chunks()) for (const value of chunk) sum += value;
  await sent;
  check(sum, EXPECTED);
}

/** Never parks and awaits nothing: what the buffer itself costs. */
function tryBoth(): Promise<void> {
  const ch = new Channel<number>({ capacity: 64 });
  let sum = 0;
  for (let i = 0; i < OPS; i++) {
    ch.trySend(i);
    const got = ch.tryReceive();
    if (got.state === "ok") sum += got.value;
  }
  check(sum, EXPECTED);
  return Promise.resolve();
}

async function sendAll(ch: NumberChannel): Promise<void> {
  for (let i = 0; i < OPS; i++) await ch.send(i);
  ch.close();
}

/** Awaits only when the buffer is full. */
async function trySendAll(ch: Channel<number>): Promise<void> {
  for (let i = 0; i < OPS; i++) if (!ch.trySend(i)) await ch.send(i);
  ch.close();
}
