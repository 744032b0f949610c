// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A worker that behaves, and misbehaves on request; for the tests of pools.
 *
 * @module
 */

import { type Receiver, type Sender, shield, sleep } from "../../mod.ts";
import { serve } from "../../src/workers/mod.ts";

export class TaskError extends Error {
  readonly code: number;
  constructor(message: string, code: number) {
    super(message);
    this.name = "TaskError";
    this.code = code;
  }
}

export function double(n: number): number {
  return n * 2;
}

export async function add(a: number, b = 10): Promise<number> {
  await sleep(0);
  return a + b;
}

export function fail(message: string): never {
  throw new TaskError(message, 7);
}

export function byteLength(bytes: Uint8Array): number {
  return bytes.byteLength;
}

export async function nap(ms: number): Promise<string> {
  await sleep(ms);
  return "rested";
}

let cleaned = 0;

/** Waits for ever, and needs `ms` to clean up. */
export async function tidy(ms: number): Promise<void> {
  try {
    await sleep(Infinity);
  } finally {
    await shield(() => sleep(ms));
    cleaned++;
  }
}

export function howOftenCleaned(): number {
  return cleaned;
}

/** Survives its kill. */
export async function stubborn(): Promise<string> {
  try {
    await sleep(Infinity);
  } catch {
    return "survived";
  }
  return "";
}

/** Fails its own clean-up. */
export async function clumsy(): Promise<void> {
  try {
    await sleep(Infinity);
  } finally {
    // deno-lint-ignore no-unsafe-finally -- what is tested
    throw new TaskError("dropped it", 8);
  }
}

/** Computes without a pause, and says first that it does. */
export function spin(ms: number, flag?: Int32Array): string {
  if (flag !== undefined) Atomics.store(flag, 0, 1);
  const end = performance.now() + ms;
  while (performance.now() < end);
  return "spun";
}

/** Which thread this is, by chance. */
const identity = Math.random();

export async function who(ms = 0): Promise<number> {
  await sleep(ms);
  return identity;
}

/** Ends the thread at once. */
export function exit(): Promise<void> {
  const host = globalThis as { process?: { exit?(code: number): void }; close?(): void };
  if (host.process?.exit !== undefined) host.process.exit(3);
  host.close?.();
  return new Promise(() => {});
}

/** Ends the thread when the call has ended. */
export function doom(ms: number): void {
  setTimeout(exit, ms);
}

/** Takes one value, and dies when there is a second one. */
export async function takesOne(input: Receiver<string>): Promise<void> {
  await input.receive();
  await sleep(100);
  while (input.size === 0 && !input.closed) await sleep(5);
  await exit();
}

/** Throws where nobody catches. */
export async function explode(): Promise<void> {
  setTimeout(() => {
    throw new TaskError("boom", 9);
  }, 0);
  await sleep(Infinity);
}

/** Rejects where nobody catches. */
export async function stray(): Promise<void> {
  void Promise.reject(new TaskError("stray", 10));
  await sleep(Infinity);
}

export async function* upTo(n: number): AsyncGenerator<number, string> {
  try {
    for (let i = 1; i <= n; i++) {
      await sleep(0);
      yield i;
    }
    return "done";
  } finally {
    cleaned++;
  }
}

export function* letters(text: string): Generator<string, number> {
  for (const letter of text) yield letter;
  return text.length;
}

export async function* failing(): AsyncGenerator<number, void> {
  yield 1;
  yield 2;
  await sleep(0);
  throw new TaskError("dry", 11);
}

/** Yields one value, and dies. */
export async function* dying(): AsyncGenerator<number, void> {
  yield 1;
  await sleep(50);
  await exit();
}

export async function lengths(input: Receiver<string>, output: Sender<number>): Promise<number> {
  let count = 0;
  for await (const text of input) {
    await output.send(text.length);
    count++;
  }
  output.close();
  return count;
}

export function undefinedIs(value: unknown): boolean {
  return value === undefined;
}

/** Gives what no thread can be sent. */
export function unsendable(): unknown {
  return { fn: () => 1 };
}

export function echo<T>(value: T): T {
  return value;
}

/** Leaves something behind that would keep a thread alive. */
export function linger(): string {
  setInterval(() => {}, 1000);
  return "done";
}

serve({
  add,
  byteLength,
  clumsy,
  doom,
  double,
  dying,
  echo,
  exit,
  explode,
  fail,
  failing,
  howOftenCleaned,
  lengths,
  letters,
  linger,
  nap,
  spin,
  stray,
  stubborn,
  takesOne,
  tidy,
  undefinedIs,
  unsendable,
  upTo,
  who,
}, { classes: [TaskError] });
