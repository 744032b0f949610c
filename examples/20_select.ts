// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Message, tick or stop, whichever comes first. Exactly one case happens; the others leave nothing
// behind, and no message is lost, which a Promise.race would do.

import { Channel, Event, every, select, spawn } from "@baozi/baozi";

const inbox = new Channel<string>();
const stop = new Event();

spawn(async () => {
  for (const word of ["one", "two", "three"]) await inbox.send(word);
});

using beat = every(10);
let beats = 0;
for (let going = true; going;) {
  const got = await select({ inbox, stop, beat }, { priority: true });
  switch (got.key) {
    case "inbox":
      console.log("message:", got.value);
      break;
    case "beat":
      if (++beats === 3) stop.set();
      break;
    case "stop":
      going = false;
  }
}
console.log("heart beats:", beats);

// Output:
// message: one
// message: two
// message: three
// heart beats: 3
