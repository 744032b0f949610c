// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// An endless producer that stops when its consumer has enough. Leaving the loop runs the producer's
// `finally`, and the loop goes on only after it.

import { produce } from "@baozi/baozi";

const fibonacci = produce(async function* () {
  let [a, b] = [0, 1];
  try {
    while (true) {
      yield a;
      [a, b] = [b, a + b];
    }
  } finally {
    console.log("The producer has cleaned up");
  }
});

for await (const n of fibonacci) {
  if (n > 50) break;
  console.log(n);
}
console.log("Enough");

// Output:
// 0
// 1
// 1
// 2
// 3
// 5
// 8
// 13
// 21
// 34
// The producer has cleaned up
// Enough
