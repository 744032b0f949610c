// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Side by side with `@std/async`: its channel, pool, multiplexer and deadline, and its `tee` and
// `abortable` over our iterators. Where the package cannot be had, it says so and runs ours alone.

import { Channel, mapStage, pipeline, sleep, spawn } from "@baozi/baozi";

const std = await import("@std/async").catch(() => undefined);
if (std === undefined) console.log("@std/async cannot be had here: ours alone");

const list = async (source: AsyncIterable<unknown>): Promise<string> => {
  const values: unknown[] = [];
  for await (const value of source) values.push(value);
  return values.join(" ");
};
const three = () => Channel.from([1, 2, 3]);
const square = (n: number) => sleep(n).then(() => n * n);
const nameOf = (error: Error) => error.name;

console.log("Channel:", await list(three()));
console.log("mapStage:", await list(pipeline(three(), mapStage(square, { concurrency: 2 }))));
console.log("get:", await spawn(sleep, 50).get({ timeout: 1 }).catch(nameOf));

if (std !== undefined) {
  const { abortable, deadline, MuxAsyncIterator, pooledMap, tee } = std;
  const theirs = new std.Channel<number>({ capacity: 3 });
  for (const n of [1, 2, 3]) await theirs.send(n);
  theirs.close();
  console.log("std Channel:", await list(theirs));
  console.log("std pooledMap:", await list(pooledMap(2, three(), square)));
  console.log("std deadline:", await deadline(sleep(300), 1).catch(nameOf));
  const mux = new MuxAsyncIterator<number>();
  for (let i = 0; i < 2; i++) mux.add(three());
  console.log("std MuxAsyncIterator, two of ours:", await list(mux));
  console.log("std tee, one of ours:", (await Promise.all(tee(three()).map(list))).join(" | "));
  const open = new Channel<number>({ capacity: 1 });
  const abort = new AbortController();
  const reading = list(abortable(open, abort.signal)).catch(nameOf);
  await sleep(0);
  abort.abort();
  console.log("std abortable:", await reading, open.trySend(4), open.tryReceive().state);
}

// Output with @std/async:
// Channel: 1 2 3
// mapStage: 1 4 9
// get: TimeoutError
// std Channel: 1 2 3
// std pooledMap: 1 4 9
// std deadline: TimeoutError
// std MuxAsyncIterator, two of ours: 1 1 2 2 3 3
// std tee, one of ours: 1 2 3 | 1 2 3
// std abortable: AbortError true ok
// Output:
// @std/async cannot be had here: ours alone
// Channel: 1 2 3
// mapStage: 1 4 9
// get: TimeoutError
