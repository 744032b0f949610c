// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Producer and consumer take turns without a lock or a queue: the consumer answers each item with
// "200 OK". What the body yields next is what `send` resolves to.

import { coroutine } from "@baozi/baozi";

const consumer = coroutine(async function* () {
  let answer = "";
  while (true) {
    const n: number = yield answer;
    console.log(`[consumer] got ${n}`);
    answer = "200 OK";
  }
});

const sink = consumer();
for (let n = 1; n <= 3; n++) {
  console.log(`[producer] sends ${n}`);
  console.log(`[producer] answer: ${await sink.send(n)}`);
}
await sink.close();

// Output:
// [producer] sends 1
// [consumer] got 1
// [producer] answer: 200 OK
// [producer] sends 2
// [consumer] got 2
// [producer] answer: 200 OK
// [producer] sends 3
// [consumer] got 3
// [producer] answer: 200 OK
