// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// At most so many calls per time: a burst at once, then evenly. A case of select like everything else.

import { after, rateLimit, select } from "@baozi/baozi";

const perMinute = rateLimit({ tokens: 3, per: 60_000 });
const burst = [1, 2, 3, 4].map(() => perMinute.tryAcquire() !== undefined);
console.log("burst:", burst.join(" "));
console.log("impatient:", (await select({ token: perMinute, enough: after(1) })).key);

const even = rateLimit({ tokens: 1, per: 10 });
const began = performance.now();
for (let call = 0; call < 3; call++) await even.acquire();
console.log("evenly:", performance.now() - began >= 15);

// Output:
// burst: true true true false
// impatient: enough
// evenly: true
