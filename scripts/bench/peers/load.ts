// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Loads what stands beside us, while a batch is prepared: the packages of `package.json` next to
 * this file, and the words of `@std/async`.
 *
 * @module
 */

// The packages are installed only where benchmarks run, so their types are not at hand here: a case
// names the few words that it calls by a small interface of its own.

import { argv } from "node:process";

const STD_ARGUMENT = "--std=";

/** Loads a package, or an entry of it, by its bare name. */
export async function loadPeer<T>(name: string): Promise<T> {
  // A name that a checker can read would be resolved by it, where the package is not installed.
  return await import(name) as T;
}

/**
 * Loads `Channel`, `pooledMap` and `MuxAsyncIterator` of `@std/async`: the one bundle that
 * `--std=URL` names. Gives `undefined` without it; a case then leaves that contestant out.
 */
export async function loadStd<T>(): Promise<T | undefined> {
  const url = argv.find((argument) => argument.startsWith(STD_ARGUMENT));
  return url === undefined ? undefined : await import(url.slice(STD_ARGUMENT.length)) as T;
}
