// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * One side waits for whichever of many channels has a value, the other sends to them in turns.
 *
 * @module
 */

// The channels have no room, so that nearly every select has to wait: it is made known to all of
// them, and withdrawn from all but one.
// Not here: std, repeaters and Web Streams, which can wait for one channel only. A `Promise.race`
// of their reads would lose what the losers read later.

import { Channel } from "../../../src/channel.ts";
import { select } from "../../../src/select.ts";
import {
  type CspRoutine,
  goAll,
  loadCsp,
  loadEffectPeer,
  loadThing,
  runFibers,
} from "../peers/channels.ts";
import { type Batch, type Case, check, sumBelow } from "../work.ts";

/** All of them. */
export const SELECT: Case[] = [2, 8, 64].map((width) => ({
  id: `select-${width}`,
  group: "Select",
  title: `select over ${width} channels`,
  size: width === 64 ? 1_000 : 2_000,
  quick: width === 8,
  contestants: {
    baozi: (size) => selected(size, width),
    "@thi.ng/csp": (size) => selectedByThing(size, width),
    "js-csp": (size) => selectedByCsp(size, width),
    effect: (size) => selectedByEffect(size, width),
  },
}));

function selected(size: number, width: number): Batch {
  return async () => {
    const channels = Array.from({ length: width }, () => new Channel<number>());
    const send = async () => {
      for (let i = 0; i < size; i++) await channels[i % width]!.send(i);
    };
    const sending = send();
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const { value } = await select(channels);
      sum += value!;
    }
    await sending;
    check(sum, sumBelow(size));
  };
}

/** @thi.ng/csp: `select`. */
async function selectedByThing(size: number, width: number): Promise<Batch> {
  const { channel, select } = await loadThing();
  return async () => {
    const channels = Array.from({ length: width }, () => channel(1));
    const send = async () => {
      for (let i = 0; i < size; i++) await channels[i % width]!.write(i);
    };
    const sending = send();
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const [value] = await select(...channels);
      sum += value!;
    }
    await sending;
    check(sum, sumBelow(size));
  };
}

/** js-csp: `alts` in a go routine. */
async function selectedByCsp(size: number, width: number): Promise<Batch> {
  const csp = await loadCsp();
  return async () => {
    const channels = Array.from({ length: width }, () => csp.chan(0));
    let sum = 0;
    await goAll(csp, [
      function* (): CspRoutine<void> {
        for (let i = 0; i < size; i++) yield csp.put(channels[i % width]!, i);
      },
      function* (): CspRoutine<void> {
        for (let i = 0; i < size; i++) sum += (yield csp.alts(channels)).value;
      },
    ]);
    check(sum, sumBelow(size));
  };
}

/**
 * effect: `Effect.raceAllFirst` of `Queue.peek`, a fiber each, then `Queue.take` of the winner. A race of
 * `take` loses the value of a second one that is ready in the same turn.
 */
async function selectedByEffect(size: number, width: number): Promise<Batch> {
  const peer = await loadEffectPeer();
  const { Effect, Queue } = peer;
  return async () => {
    let sent = 0, received = 0, sum = 0;
    // A queue of no room shows nothing to `peek`.
    await runFibers(peer, Array.from({ length: width }, () => 1), (queues) => {
      const peeks = queues.map((queue) => Effect.as(Queue.peek(queue), Queue.take(queue)));
      const any = Effect.flatMap(Effect.raceAllFirst(peeks), (take) => take);
      return [
        Effect.whileLoop({
          while: () => sent < size,
          body: () => Queue.offer(queues[sent % width]!, sent++),
          step: () => {},
        }),
        Effect.whileLoop({
          while: () => received++ < size,
          body: () => any,
          step: (value) => {
            sum += value;
          },
        }),
      ];
    });
    check(sum, sumBelow(size));
  };
}
