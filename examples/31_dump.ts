// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// What is going on in there? Who is alive, who spawned whom, what each waits on; and which task ran too
// long without waiting, while all others stood still.

import { Channel, dump, Mutex, onBlocked, sleep, spawn } from "@baozi/baozi";

const orders = new Channel<string>({ name: "orders" });
const oven = new Mutex({ name: "oven" });

const kitchen = spawn({ name: "kitchen" }, async () => {
  using _lock = await oven.acquire();
  const cooks = ["Ann", "Bo"].map((name) =>
    spawn({ name }, () => oven.withLock(() => orders.receive()))
  );
  try {
    await orders.receive();
  } finally {
    for (const cook of cooks) await cook.kill();
  }
});
await sleep(1);
// The numbers of tasks go on through the whole program, so a text to compare has none.
console.log(dump().toString().replaceAll(/#\d+/g, "#n"));
await kitchen.kill();
console.log("left:", dump().tasks.length);

const slow = new Set<string | undefined>();
{
  using _hook = onBlocked({ overMs: 50 }, ({ task }) => slow.add(task?.name));
  await spawn({ name: "accountant" }, async () => {
    await sleep(1);
    const end = performance.now() + 100;
    while (performance.now() < end); // a computation that should wait now and then
  });
}
console.log("accountant held up the others:", slow.has("accountant"));

// Output:
// 3 tasks, 0 waits outside of tasks
//   Task "kitchen" (#n, running): receive on Channel "orders"
//     Task "Ann" (#n, running): lock on Mutex "oven", held by Task "kitchen" (#n)
//     Task "Bo" (#n, running): lock on Mutex "oven", held by Task "kitchen" (#n)
// left: 0
// accountant held up the others: true
