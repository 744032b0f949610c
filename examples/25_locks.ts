// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// Two accounts, many transfers. The mutex makes reading and writing one step although the task waits
// in between; the semaphore lets only two talk to the bank at a time.

import { Group, Mutex, Semaphore, sleep } from "@baozi/baozi";

const accounts = { ann: 100, bo: 100 };
const ledger = new Mutex();
const lines = new Semaphore(2);
let talking = 0, most = 0;

async function transfer(amount: number): Promise<void> {
  using _line = await lines.acquire();
  most = Math.max(most, ++talking);
  await ledger.withLock(async () => {
    const { ann, bo } = accounts;
    await sleep(0); // without the lock another transfer would read the same numbers
    accounts.ann = ann - amount;
    accounts.bo = bo + amount;
  });
  talking--;
}

const bank = new Group();
for (let i = 0; i < 10; i++) await bank.spawn(transfer, 5);
await bank.join({ raiseError: true });
console.log(accounts.ann, accounts.bo);
console.log("lines used:", most);

// Output:
// 50 150
// lines used: 2
