// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * The process exits when the work is done: with code 0, at once and by itself, or with code 1 and the
 * reason.
 *
 * @module
 */

import type { ProofOptions } from "../prove.ts";
import { type Program, runAll } from "./_children.ts";

/** The promise. */
export const promise = "9. The process exits when the work is done";

/** All that the programs use. */
const LIBRARY = `
import {
  after, Barrier, Broadcast, Channel, Condition, coroutine, currentTask, Deferred, Event, every, greenlet,
  Group, iwait, joinAll, killAll, mapStage, Mutex, onStall, onUnhandled, pipeline, Pool, PriorityQueue,
  produce, Queue, rateLimit, scope, select, Semaphore, shield, sleep, spawn, spawnLater, until, wait,
  WaitGroup, withTimeout,
} from "./mod.ts";
const LONG = 3_600_000;
const forEver = () => sleep(Infinity);
const done = () => console.log("done");
`;

/** By what each is about. The text is the body of the main program, which has ended at its end. */
const ENDS_WELL: Record<string, string> = {
  "finished tasks": `
    await joinAll([spawn(() => 1), spawn(() => sleep(1)), spawnLater(1, () => {})]);
    done();`,
  "a task that sleeps and that nobody awaits": `
    spawn(async () => {
      await sleep(5);
      done();
    });`,
  "killed sleeps": `
    const tasks = [spawn(() => sleep(LONG)), spawnLater(LONG, () => {}), spawn(forEver)];
    await sleep(1);
    await killAll(tasks);
    done();`,
  "a kill that nobody awaits": `
    const task = spawn(() => sleep(LONG));
    await sleep(1);
    void task.kill();
    done();`,
  "cleared limits": `
    await withTimeout(LONG, () => sleep(1));
    await spawn(() => sleep(1)).get({ timeout: LONG });
    await select({ late: after(LONG), soon: after(1) });
    await wait([spawn(() => sleep(1))], { timeout: LONG });
    await withTimeout(1, forEver).catch(() => {});
    done();`,
  "a ticker that was disposed, and one that was forgotten": `
    using ticks = every(5);
    await ticks.wait();
    const forgotten = every(5);
    await forgotten.wait();
    done();`,
  "a ticker left in the middle of a wait": `
    const ticks = every(LONG);
    const waiting = ticks.wait();
    ticks[Symbol.dispose]();
    await waiting;
    done();`,
  "aborted waits": `
    const controller = new AbortController(), { signal } = controller;
    const waits = [
      sleep(LONG, { signal }), new Channel().receive({ signal, timeout: LONG }),
      new Semaphore(0).acquire({ signal }), new Event().wait({ signal }),
      until(new Promise(() => {}), { signal }), spawn(forEver).get({ signal }),
    ].map((wait) => wait.catch(() => {}));
    controller.abort();
    await Promise.all(waits);
    done();`,
  "closed channels with parked tasks": `
    const ch = new Channel<number>({ capacity: 1 });
    const readers = [1, 2, 3].map(() => spawn(async () => { for await (const _ of ch); }));
    await ch.send(1);
    ch.close();
    await joinAll(readers);
    spawn(() => new Channel().receive());
    spawn(() => new Channel().send(1));
    await sleep(1);
    done();`,
  "tasks parked for ever on every kind of thing": `
    const condition = new Condition(new Mutex());
    const full = new Channel<number>();
    for (const fn of [
      forEver, () => full.send(1), () => new Deferred().get(), () => new Event().wait(),
      () => new Semaphore(0).acquire(), () => new Barrier(2).wait(), () => new Queue(1).get(),
      () => new PriorityQueue(1).get(), () => new WaitGroup().wait(), () => select({ never: new Channel() }),
      () => until(new Promise(() => {})), () => joinAll([spawn(forEver)]), () => wait([new Event()]),
      () => scope((s) => void s.spawn(forEver)), () => shield(forEver),
      () => new Broadcast().subscribe().receive(),
    ]) spawn(fn as () => unknown);
    await sleep(1);
    done();`,
  "a pool left early": `
    const pool = new Pool(2);
    for await (const _ of pool.imap((ms: number) => sleep(ms), [1, LONG, LONG, LONG])) break;
    for await (const _ of pool.imapUnordered((ms: number) => sleep(ms), [LONG, 1, 1])) break;
    await pool.spawn(() => sleep(LONG));
    await pool.kill();
    done();`,
  "a scope left early": `
    await scope(async (s) => {
      s.spawn({ daemon: true }, () => sleep(LONG));
      s.spawn(() => sleep(1));
    });
    await scope((s) => {
      s.spawn(() => sleep(LONG));
      throw new Error("left");
    }).catch(() => {});
    await scope(async (s) => {
      s.spawn(() => sleep(LONG));
      s.kill();
      await sleep(LONG);
    }).catch(() => {});
    done();`,
  "a pipeline, a producer and a merge left early": `
    const numbers = async function* () {
      for (let i = 0;; i++) {
        yield i;
        await sleep(1);
      }
    };
    for await (const _ of pipeline(numbers(), async function* (input) { yield* input; })) break;
    for await (const _ of mapStage(async (n: number) => n * 2, { concurrency: 4 })(numbers())) break;
    for await (const _ of produce(numbers)) break;
    for await (const _ of Channel.from(numbers()).values({ closeOnReturn: true })) break;
    done();`,
  "a rate limit that nobody waits for": `
    const limit = rateLimit({ tokens: 1, per: LONG });
    limit.tryAcquire();
    await limit.acquire({ timeout: 1 }).catch(() => {});
    done();`,
  "suspended greenlets and coroutines": `
    const main = greenlet(() => {}).parent!;
    await greenlet(() => main.switch()).switch();
    const body = coroutine(async function* () { yield 1; yield 2; })();
    await body.next();
    done();`,
  "failures that are observed": `
    const fail = () => { throw new Error("seen"); };
    await spawn(fail).join();
    spawn(fail).link(() => {});
    using _hook = onUnhandled(() => {});
    spawn(fail);
    await sleep(20);
    done();`,
  "a stall watch": `
    onStall({ afterMs: LONG }, () => {});
    onStall({ afterMs: 1 }, () => {});
    spawn(forEver);
    await sleep(20);
    done();`,
};

/** Programs that must end with code 1, and what they then print. */
const ENDS_BADLY: Record<string, readonly [body: string, stderr: string]> = {
  "a failure that nobody observes": [
    `spawn(() => { throw new Error(["nobody", "looks"].join(" ")); });`,
    "nobody looks",
  ],
  "a failure of the main program while tasks sleep": [
    `spawn(() => sleep(50)); await sleep(1); throw new Error(["main", "failed"].join(" "));`,
    "main failed",
  ],
  "a deadlock": [
    `const ch = new Channel({ name: "jobs" }); spawn(() => ch.receive()); await ch.receive();`,
    "Cannot go on: somebody must be able to run, got 2 waits that nothing can end",
  ],
  "a deadlock in a scope": [
    `await scope((s) => void s.spawn({ name: "stuck" }, forEver));`,
    'Task "stuck" (#1): sleep; needs nothing: it sleeps for ever',
  ],
};

/** Each program, its body as a function that nobody awaits, and at a top-level await. */
function programs(): Program[] {
  const wells = Object.entries(ENDS_WELL).flatMap(([name, body]): Program[] => [
    { name: `${name}, at top level`, text: `${LIBRARY}${body}` },
    { name: `${name}, in main()`, text: inMain(body) },
  ]);
  const badly = Object.entries(ENDS_BADLY).map(([name, [body, stderr]]): Program => ({
    name,
    text: inMain(body),
    code: 1,
    stdout: "",
    stderr,
  }));
  return [...badly, ...wells];
}

function inMain(body: string): string {
  return `${LIBRARY}async function main() {${body}\n}\nmain();\n`;
}

/** Runs them, the seed deciding which come first where the time is short. */
export async function prove(options: ProofOptions): Promise<Record<string, number>> {
  const all = programs();
  const [badly, well] = [
    all.filter(({ code }) => code === 1),
    all.filter(({ code }) => code !== 1),
  ];
  // A rotation by the seed: every seed checks other ones first.
  const from = options.seed % well.length;
  const order = [...badly, ...well.slice(from), ...well.slice(0, from)];
  const run = await runAll(order, options.long ? Infinity : options.budgetMs);
  if (run.left > 0) {
    options.report(`${run.left} processes left out for want of time; --long runs all`);
  }
  return { programs: run.programs, processes: run.processes, "left out": run.left };
}
