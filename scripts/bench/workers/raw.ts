// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * A thread without any library: the floor. With a window it confirms what it takes, and posts no more
 * than was confirmed, which is the least that bounds what is on its way.
 *
 * @module
 */

import { parentPort } from "node:worker_threads";
import { add, hash, type Item } from "./tasks.ts";

/** What it is told: a value, or something to do. */
export type Told =
  | number
  | Item
  | readonly ["total"]
  | readonly ["window", size: number]
  | readonly ["count", size: number]
  | readonly ["confirm"]
  | readonly ["call", id: number, a: number, b: number]
  | readonly ["hash", bytes: Uint8Array];

let sum = 0;
/** Half a window: confirmed at once, so that the other half is on its way meanwhile. 0 is no window. */
let half = 0;
/** Values that came and were not confirmed. */
let taken = 0;
/** The next value to post, the one at which to wait, and the one at which to end. */
let next = 0, until = 0, end = 0;

parentPort!.on("message", (told: Told) => {
  if (typeof told === "number") take(told);
  else if (!Array.isArray(told)) take((told as Item).id);
  else act(told as Exclude<Told, number | Item>);
});

function take(value: number): void {
  sum += value;
  if (half === 0 || ++taken < half) return;
  taken = 0;
  parentPort!.postMessage(["confirm"]);
}

function act(told: Exclude<Told, number | Item>): void {
  switch (told[0]) {
    case "total":
      parentPort!.postMessage(sum);
      sum = taken = 0;
      break;
    case "window":
      half = told[1] / 2;
      break;
    case "count":
      next = 0;
      end = told[1];
      until = half === 0 ? end : half * 2;
      post();
      break;
    case "confirm":
      until += half;
      post();
      break;
    case "call":
      parentPort!.postMessage([told[1], add(told[2], told[3])]);
      break;
    case "hash":
      parentPort!.postMessage(hash(told[1]));
  }
}

function post(): void {
  for (; next < until && next < end; next++) parentPort!.postMessage(next);
}
