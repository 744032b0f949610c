// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Who runs next: tasks that start, and waits of `sleep(0)`, in order of arrival.
 *
 * @module
 */

// Invariants
//  1. enqueue() never runs anything synchronously.
//  2. One round runs what was queued when it began. What the round woke runs before the next round.
//  3. After BUDGET_MS, or MOST_ROUNDS, the next round is a macrotask: a loop of sleep(0) cannot
//     starve timers and I/O.
// Source: gevent's switch interval (5 ms).

import { macrotask, now } from "./host.ts";
import { Ring } from "./ring.ts";

const BUDGET_MS = 4;
const MOST_ROUNDS = 256;
/** Rounds between two looks at the time. */
const LOOK_EVERY = 8;

/** What can stand in the queue. */
export interface Runnable {
  /** Its turn has come. Must not throw. */
  run(): void;
}

const queue = new Ring<Runnable>();
let scheduled = false;
let rounds = 0;
let since = 0;

/** Adds `runnable` at the end of the queue. */
export function enqueue(runnable: Runnable): void {
  queue.push(runnable);
  if (!scheduled) schedule();
}

/** How many stand in the queue. */
export function queueSize(): number {
  return queue.size;
}

function schedule(): void {
  scheduled = true;
  rounds++;
  if (rounds >= MOST_ROUNDS || (rounds % LOOK_EVERY === 0 && now() - since > BUDGET_MS)) {
    macrotask(newTurn);
  } else {
    queueMicrotask(round);
  }
}

function newTurn(): void {
  rounds = 0;
  since = now();
  round();
}

function round(): void {
  for (let left = queue.size; left > 0; left--) queue.shift().run();
  if (queue.size > 0) schedule();
  else scheduled = false;
}
