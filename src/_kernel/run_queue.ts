// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Who runs next: tasks that start, and waits of `sleep(0)`, in order of arrival.
 *
 * @module
 */

// Invariants
//  1. enqueue() never runs anything synchronously.
//  2. One round runs what was queued when it began, ROUND at most. What it woke runs before the next.
//  3. After BUDGET_MS, or MOST_ROUNDS, the next round is a macrotask: loops of sleep(0), one or a
//     hundred thousand, cannot starve timers and I/O.
// Source: gevent's switch interval (5 ms).

import { macrotask, now } from "./host.ts";
import { Ring } from "./ring.ts";

const BUDGET_MS = 4;
const MOST_ROUNDS = 256;
/** How many run in one round. */
const ROUND = 128;
/** How many run between two looks at the time. */
const LOOK_EVERY = 8;

/** What can stand in the queue. */
export interface Runnable {
  /** Its turn has come. Must not throw. */
  run(): void;
}

const queue = new Ring<Runnable>();
let scheduled = false;
let rounds = 0;
let unseen = 0;
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
  if (++rounds >= MOST_ROUNDS || isOverBudget()) macrotask(newTurn);
  else queueMicrotask(round);
}

function isOverBudget(): boolean {
  if (unseen < LOOK_EVERY) return false;
  unseen = 0;
  return now() - since > BUDGET_MS;
}

function newTurn(): void {
  rounds = 0;
  unseen = 0;
  since = now();
  round();
}

function round(): void {
  const runs = Math.min(queue.size, ROUND);
  for (let left = runs; left > 0; left--) queue.shift().run();
  unseen += runs;
  if (queue.size > 0) schedule();
  else scheduled = false;
}
