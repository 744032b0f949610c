// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// One cook, two guests, through `send`: each guest is a coroutine that waits for its next baozi. `send`
// hands one over and comes back when the guest waits again.

import { coroutine } from "@baozi/baozi";

const guest = coroutine(async function* (name: string) {
  console.log(`${name} sits down`);
  try {
    while (true) {
      const baozi: string = yield;
      console.log(`${name} eats a ${baozi} baozi`);
    }
  } finally {
    console.log(`${name} leaves`);
  }
});

const guests = [guest("Ann"), guest("Bo")];
for (const filling of ["pork", "leek"]) {
  console.log(`The cook steams two with ${filling}`);
  for (const eater of guests) await eater.send(filling);
}
for (const eater of guests) await eater.close();

// Output:
// The cook steams two with pork
// Ann sits down
// Ann eats a pork baozi
// Bo sits down
// Bo eats a pork baozi
// The cook steams two with leek
// Ann eats a leek baozi
// Bo eats a leek baozi
// Ann leaves
// Bo leaves
