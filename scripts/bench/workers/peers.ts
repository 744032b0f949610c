// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What the rows across threads use of other packages.
 *
 * @module
 */

import { loadPeer } from "../peers/load.ts";

/** A pool of `piscina` or `tinypool`. */
export interface ThreadPool {
  run(task: unknown, options: { name: string }): Promise<unknown>;
  destroy(): Promise<void>;
}

/** How either is made. */
export interface ThreadPoolOptions {
  filename: string;
  minThreads: number;
  maxThreads: number;
  concurrentTasksPerWorker?: number;
}

type ThreadPoolClass = new (options: ThreadPoolOptions) => ThreadPool;

/** The pool of `piscina`. */
export async function loadPiscina(): Promise<ThreadPoolClass> {
  return (await loadPeer<{ Piscina: ThreadPoolClass }>("piscina")).Piscina;
}

/** The pool of `tinypool`. */
export async function loadTinypool(): Promise<ThreadPoolClass> {
  return (await loadPeer<{ Tinypool: ThreadPoolClass }>("tinypool")).Tinypool;
}

/** An object whose functions run elsewhere. */
export type Remote<T> = {
  [Name in keyof T]: T[Name] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : never;
};

/** The words of `comlink`. */
export interface Comlink {
  expose(value: object, endpoint: unknown): void;
  wrap<T>(endpoint: unknown): Remote<T>;
  proxy<T extends object>(value: T): T;
  nodeEndpoint(port: object): unknown;
}

/** Comlink, with its adapter for `node:worker_threads`. */
export async function loadComlink(): Promise<Comlink> {
  // Its main entry is CommonJS, from which not every runtime imports names.
  const [comlink, adapter] = await Promise.all([
    loadPeer<Comlink>("comlink/dist/esm/comlink.mjs"),
    loadPeer<{ default: Comlink["nodeEndpoint"] }>("comlink/dist/esm/node-adapter.mjs"),
  ]);
  return { ...comlink, nodeEndpoint: adapter.default };
}
