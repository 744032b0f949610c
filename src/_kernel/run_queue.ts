// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Whose turn is next: waits of `sleep(0)`, links of ended tasks, and tasks once too many have begun in
 * one turn, in order of arrival.
 *
 * @module
 */

// Invariants
//  1. enqueue() never runs anything synchronously.
//  2. One round runs what was queued when it began, about ROUND at most. What it woke runs before the next.
//  3. A turn lasts from the first enqueue to the next macrotask. In one that lasts longer than
//     BUDGET_MS no more is given up by sleep(0) for a microtask, and after MOST_ROUNDS nothing runs:
//     loops of sleep(0), one or a hundred thousand, cannot starve timers and I/O.
//  4. Where the host looks at sockets only when it is idle, it is so for a moment after REST_AFTER_MS.
// Source: gevent's switch interval (5 ms). Dropped: counting the budget from the last hop instead of
// the turn's begin; then a task that was spawned after a pause began a macrotask late. Ending each turn
// by a timer on Deno: packets took 25 instead of 500 ms, but loops became three times slower.

import { macrotask, now, pollsWhenIdle, startTimer } from "./host.ts";
import { Ring } from "./ring.ts";

const BUDGET_MS = 4;
const MOST_ROUNDS = 256;
/** How many run in one round. */
const ROUND = 128;
const MOST_STARTS = 30_000;
/** How long one turn may follow another before a rest, where sockets need one. */
const REST_AFTER_MS = 20;

/** What can stand in the queue. */
export interface Runnable {
  /** Its turn has come. Must not throw. */
  run(): void;
  /** For how many it stands. @default {1} */
  readonly weight?: number;
}

const queue = new Ring<Runnable>();
/** The one at the end of the queue, if it has not run. */
let newest: Runnable | null = null;
/** A round is to come. */
let scheduled = false;
/** It waits for the end of the turn. */
let deferred = false;
/** A turn is under way. */
let inTurn = false;
let turnBegan = 0;
/** When the host had its last rest, on a host that needs one. */
let rested = 0;
let rounds = 0;
let starts = 0;
/** Somebody in the queue gave up its turn; a task that starts did not. */
let yields = false;

/** Adds `runnable` at the end of the queue. */
export function enqueue(runnable: Runnable): void {
  queue.push(runnable);
  newest = runnable;
  if (!scheduled) schedule();
}

/** Whether `runnable` stands at the end of the queue: nobody has come after it. */
export function isNewest(runnable: Runnable): boolean {
  return newest === runnable;
}

/** {@linkcode enqueue} for one that gives up its turn, to timers and I/O too. */
export function enqueueYield(runnable: Runnable): void {
  yields = true;
  enqueue(runnable);
}

/**
 * Whether one more task may begin in a microtask of its own, which keeps its order without the queue.
 * After MOST_STARTS in one turn it must stand in the queue: a chain of tasks that spawn each other
 * cannot starve timers and I/O.
 */
export function mayStart(): boolean {
  if (!inTurn) beginTurn();
  return ++starts <= MOST_STARTS;
}

/** How many stand in the queue. */
export function queueSize(): number {
  return queue.size;
}

function schedule(): void {
  scheduled = true;
  if (!inTurn) beginTurn();
  rounds++;
  deferred = rounds > MOST_ROUNDS || isOverBudget();
  if (!deferred) queueMicrotask(round);
}

function beginTurn(): void {
  turnBegan = now();
  // A turn that follows no other one follows a rest.
  if (!inTurn) rested = turnBegan;
  inTurn = true;
  rounds = 0;
  starts = 0;
  macrotask(endTurn);
}

function endTurn(): void {
  if (!deferred) {
    inTurn = false;
  } else if (pollsWhenIdle && now() - rested > REST_AFTER_MS) {
    // What comes meanwhile only queues up: the turn goes on.
    startTimer(() => {
      rested = now();
      nextTurn();
    }, 1);
  } else {
    nextTurn();
  }
}

function nextTurn(): void {
  beginTurn();
  round();
}

function isOverBudget(): boolean {
  return yields && now() - turnBegan > BUDGET_MS;
}

function round(): void {
  deferred = false;
  let room = ROUND;
  for (let left = queue.size; left > 0 && room > 0; left--) {
    const runnable = queue.shift();
    if (newest === runnable) newest = null;
    room -= runnable.weight ?? 1;
    runnable.run();
  }
  // While anybody is left, it may be one that gave up its turn.
  if (queue.size > 0) return schedule();
  scheduled = false;
  yields = false;
}
