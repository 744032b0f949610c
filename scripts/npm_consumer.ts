// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The program that scripts/check_npm.ts compiles and runs as a user of the npm package: a baozi
 * producer and consumer, a switch between greenlets, a join of tasks, a server, a patched timer, and
 * threads that run scripts/npm_worker.ts.
 *
 * @module
 */

import {
  Channel,
  currentGreenlet,
  Greenlet,
  greenlet,
  joinAll,
  type Receiver,
  type Sender,
  sleep,
  spawn,
  type Task,
} from "@baozi/baozi";
import { connect, serve, type Server } from "@baozi/baozi/net";
import { patch, type Patched } from "@baozi/baozi/patch";
import { type WorkerPool, workers } from "@baozi/baozi/workers";

declare const process: { readonly argv: readonly string[] };

/** What the worker serves. By hand: in CommonJS nothing of its module can be imported. */
interface Tasks {
  steam(raw: Receiver<string>, done: Sender<string>): Promise<number>;
  countTo(n: number): Generator<number, string>;
}

async function cook(steamer: Sender<string>): Promise<void> {
  for (const number of [1, 2, 3]) await steamer.send(`baozi ${number}`);
}

async function eat(steamer: Receiver<string>): Promise<string[]> {
  const eaten: string[] = [];
  for await (const baozi of steamer) eaten.push(baozi);
  return eaten;
}

async function main(): Promise<void> {
  await using steamer = new Channel<string>({ capacity: 1 });
  const meal: Task<string[]> = spawn(eat, steamer);
  await cook(steamer);
  steamer.close();
  console.log((await meal).join(", "));

  const said: number[] = [];
  const first: Greenlet = greenlet(async () => {
    said.push(12);
    await second.switch();
    said.push(34);
    await second.switch();
  });
  const second: Greenlet = new Greenlet(async () => {
    said.push(56);
    await first.switch();
    said.push(78);
  }, { parent: currentGreenlet() });
  await first.switch();
  console.log(said.join(" "));

  const square = async (n: number): Promise<number> => {
    await sleep(100 * n);
    return n * n;
  };
  const done = await joinAll([3, 1, 2].map((n) => spawn(square, n)));
  console.log(done.map((task) => task.value).join(" "));

  const server: Server = await serve({ port: 0, hostname: "127.0.0.1" }, async (conn) => {
    for await (const line of conn.lines()) await conn.write(`${line}!\n`);
  });
  const conn = await connect({ port: server.address.port! });
  await conn.write("hello\n");
  const { value: answer } = await conn.lines().next();
  await conn.close();
  const { killed } = await server.stop();
  console.log(answer, killed);

  const patched: Patched = patch({ timers: true });
  const sleeper = spawn(() => new Promise<void>((resolve) => setTimeout(resolve, 60_000)));
  await sleep(1);
  await sleeper.kill();
  patched[Symbol.dispose]();
  console.log(sleeper.state);

  // Beside this very program, whichever of the two module formats it was compiled to.
  const url = new URL("worker.mjs", `file://${process.argv[1]}`);
  await using pool: WorkerPool<Tasks> = workers<Tasks>(url, { size: 1 });
  const raw = new Channel<string>({ capacity: 2 }), ready = new Channel<string>({ capacity: 2 });
  const call = pool.call.steam(raw, ready);
  await cook(raw);
  raw.close();
  console.log((await eat(ready)).join(", "), await call);
  const counted = pool.call.countTo(3), numbers: number[] = [];
  for await (const n of counted) numbers.push(n);
  console.log(numbers.join(" "), await counted);
}

main();

// Output:
// baozi 1, baozi 2, baozi 3
// 12 56 34 78
// 1 4 9
// hello! 0
// killed
// steamed baozi 1, steamed baozi 2, steamed baozi 3 3
// 1 2 3 counted
