// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Many receivers as one, without a buffer in between; and waiting for whatever is ready first,
// whatever it is.

import { Channel, Event, iwait, merge, sleep, spawn } from "@baozi/baozi";

const sum = { fast: 0, slow: 0 };
const fast = Channel.from([1, 2, 3]), slow = Channel.from([10, 20]);
for await (const n of merge(fast, slow)) sum[n < 10 ? "fast" : "slow"] += n;
console.log(sum.fast, sum.slow);

const door = new Event();
const kettle = spawn({ name: "kettle" }, () => sleep(1));
spawn(async () => {
  await kettle.join();
  door.set();
});
const radio = spawn({ name: "radio" }, async () => {
  await door.wait();
  await sleep(1);
});
for await (const ready of iwait([radio, door, kettle])) {
  console.log(ready === door ? "door" : (ready as typeof kettle).name);
}

// Output:
// 6 30
// kettle
// door
// radio
