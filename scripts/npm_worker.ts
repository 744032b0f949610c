// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The worker of scripts/npm_consumer.ts: a module of a user of the npm package that runs in threads.
 *
 * @module
 */

import type { Receiver, Sender } from "@baozi/baozi";
import { serve } from "@baozi/baozi/workers";

export async function steam(raw: Receiver<string>, done: Sender<string>): Promise<number> {
  let count = 0;
  for await (const baozi of raw) {
    await done.send(`steamed ${baozi}`);
    count++;
  }
  done.close();
  return count;
}

export function* countTo(n: number): Generator<number, string> {
  for (let i = 1; i <= n; i++) yield i;
  return "counted";
}

serve({ steam, countTo });
