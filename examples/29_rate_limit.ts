// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// At most three calls per 30 ms: a burst at once, then evenly. A case of select like everything else.

import { after, rateLimit, select } from "@baozi/baozi";

const limit = rateLimit({ tokens: 3, per: 30 });
const burst = [1, 2, 3, 4].map(() => limit.tryAcquire() !== undefined);
console.log("burst:", burst.join(" "));

const began = performance.now();
for (let call = 0; call < 3; call++) await limit.acquire();
console.log("evenly:", performance.now() - began >= 25);

while (limit.tryAcquire() !== undefined);
console.log("impatient:", (await select({ token: limit, enough: after(1) })).key);

// Output:
// burst: true true true false
// evenly: true
// impatient: enough
