// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Programs that a test runs in a process of their own: `_exits.ts <program> <URL of _tasks.ts>`.
 *
 * @module
 */

import { Channel, DeadlockError, sleep } from "../../mod.ts";
import { serve, type WorkerPool, workers, type WorkersOptions } from "../../src/workers/mod.ts";
import type * as tasks from "./_tasks.ts";

type Tasks = typeof tasks;

const [program = "", url = ""] = process.argv.slice(2);

function pool(options: WorkersOptions = {}): WorkerPool<Tasks> {
  return workers<Tasks>(url, { size: 2, ...options });
}

const PROGRAMS: Record<string, () => Promise<void> | void> = {
  unused: () => {
    pool();
    console.log("done");
  },
  idle: async () => {
    console.log(await pool().call.double(21));
  },
  unawaited: () => {
    void pool().call.double(21).then((n) => console.log(n));
  },
  lingering: async () => {
    console.log(await pool().call.linger());
  },
  long: async () => {
    console.log(await pool().call.nap(300));
  },
  disposed: async () => {
    await using shop = pool();
    console.log(await shop.map("double", [1, 2, 3]));
  },
  midwork: async () => {
    const shop = pool({ graceMs: 100 });
    const calls = [shop.call.spin(3_600_000), shop.call.tidy(10), shop.call.nap(3_600_000)];
    while (shop.busy < 2) await sleep(5);
    await sleep(200);
    await shop.close();
    console.log(calls.map(({ state }) => state).join(" "), shop.threads);
  },
  failed: async () => {
    const shop = workers<Tasks>(new URL("./none.ts", import.meta.url), { restarts: { max: 0 } });
    const error = await shop.call.double(1).get().catch((error) => error);
    console.log(error.name, error.cause instanceof Error);
  },
  forbidden: async () => {
    // Not the file that is imported above: what Deno has loaded already it may load again.
    const shop = workers<Tasks>(new URL("./_mute.ts", import.meta.url), { restarts: { max: 1 } });
    const error = await shop.call.double(1).get().catch((error) => error);
    console.log(error.name, /read access/.test(String(error.cause)));
  },
  stuck: async () => {
    const shop = pool();
    await shop.call.double(1);
    const error = await new Channel().receive().catch((error) => error);
    console.log(error instanceof DeadlockError);
  },
  // Without AsyncLocalStorage, as in a browser: what is ambient is known until the first await only.
  alone: async () => {
    process.getBuiltinModule = undefined as never;
    const tasks = {
      async work(n: number): Promise<number> {
        if (n === 1) await sleep(20);
        if (n === 2) throw new Error("two");
        if (n === 3) await sleep(3_600_000);
        return n;
      },
    };
    const spawn = (): MessagePort => {
      const { port1, port2 } = new MessageChannel();
      serve(tasks, { port: port2 });
      return port1;
    };
    await using shop = workers<typeof tasks>({ spawn, size: 2 });
    // One worker has come to its second item, when the other one fails at its own.
    const error = await shop.map("work", [1, 0, 3, 2]).catch((error) => error);
    console.log(error.message, shop.busy);
  },
  web: async () => {
    const spawn = () => new Worker(new URL(url), { type: "module" });
    console.log(await workers<Tasks>({ spawn, size: 1 }).call.double(21));
  },
};

// Not awaited: at a top-level await that never ends Deno says nothing while there is a thread, even an idle one.
void PROGRAMS[program]!();
