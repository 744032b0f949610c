// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Two greenlets switch to each other by hand: 12 56 34 78. A body that ends hands control to its
// parent, here the program, and not to the greenlet that switched to it.

import { type Greenlet, greenlet } from "@baozi/baozi";

const first: Greenlet = greenlet(async () => {
  console.log(12);
  await second.switch();
  console.log(34);
  await second.switch();
});

const second: Greenlet = greenlet(async () => {
  console.log(56);
  await first.switch();
  console.log(78);
});

await first.switch();
console.log(`first has ended: ${first.dead}, second has ended: ${second.dead}`);

// Output:
// 12
// 56
// 34
// 78
// first has ended: false, second has ended: true
