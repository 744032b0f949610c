// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// One cook, two guests, through a channel: whoever has waited longest gets the next baozi. The cook
// never looks at the guests; closing the channel sends them home.

import { Channel, joinAll, type Receiver, spawn } from "@baozi/baozi";

async function eat(name: string, steamer: Receiver<string>): Promise<void> {
  for await (const baozi of steamer) console.log(`${name} eats a ${baozi} baozi`);
  console.log(`${name} leaves`);
}

const steamer = new Channel<string>();
const guests = ["Ann", "Bo"].map((name) => spawn(eat, name, steamer));

const cook = spawn(async () => {
  for (const filling of ["pork", "leek", "bean", "lamb"]) await steamer.send(filling);
  steamer.close();
});
await joinAll([cook, ...guests], { raiseError: true });

// Output:
// Ann eats a pork baozi
// Bo eats a leek baozi
// Ann eats a bean baozi
// Bo eats a lamb baozi
// Ann leaves
// Bo leaves
