// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// A kitchen as a pipeline: two steam at a time, in order all the same, and a stage of one's own packs
// them. Bounded channels connect the stages, so none runs far ahead of the next.

import { mapStage, pipeline, sleep } from "@baozi/baozi";

const TIMES: Record<string, number> = { pork: 30, leek: 10, bean: 20, lamb: 10, kale: 10 };

let steaming = 0;
let most = 0;
const steam = mapStage(async (filling: string) => {
  most = Math.max(most, ++steaming);
  await sleep(TIMES[filling]);
  steaming--;
  return `${filling} baozi`;
}, { concurrency: 2 });

async function* pack(baozi: AsyncIterable<string>): AsyncGenerator<string[]> {
  let box: string[] = [];
  for await (const one of baozi) {
    if (box.push(one) < 2) continue;
    yield box;
    box = [];
  }
  if (box.length > 0) yield box;
}

for await (const box of pipeline(Object.keys(TIMES), steam, pack)) {
  console.log(`A box of ${box.join(" and ")}`);
}
console.log(`At most ${most} steamed at once`);

// Output:
// A box of pork baozi and leek baozi
// A box of bean baozi and lamb baozi
// A box of kale baozi
// At most 2 steamed at once
