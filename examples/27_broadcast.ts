// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// News for everybody: each subscriber has a buffer and a policy of its own. A slow one that may miss
// things is told how many it missed; a late one gets the newest first.

import { Broadcast, joinAll, spawn } from "@baozi/baozi";

const news = new Broadcast<string>({ replay: 1 });
const careful = news.subscribe({ capacity: 8 });
const hasty = news.subscribe({ capacity: 2, overflow: "drop-oldest" });

for (const headline of ["rain", "sun", "snow"]) await news.send(headline);
const late = news.subscribe();
news.close();

const read = async (name: string, from: AsyncIterable<string>) => {
  const got: string[] = [];
  for await (const headline of from) got.push(headline);
  console.log(`${name}: ${got.join(", ")}`);
};
await joinAll([spawn(read, "careful", careful)]);
await joinAll([spawn(read, "hasty", hasty)]);
await joinAll([spawn(read, "late", late)]);
console.log("hasty missed:", hasty.missed);

// Output:
// careful: rain, sun, snow
// hasty: sun, snow
// late: snow
// hasty missed: 1
