// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What all contestants have their threads do.
 *
 * @module
 */

import { sha256 } from "./sha256.ts";

/** How often a file is hashed: some milliseconds of work, as a call into a thread should have. */
const TIMES = 8;

/** A small value that has to be copied. */
export interface Item {
  id: number;
  name: string;
}

/** The smallest call. */
export function add(a: number, b: number): number {
  return a + b;
}

/** The digest of a file. */
export function hash(bytes: Uint8Array): string {
  let digest = "";
  for (let i = 0; i < TIMES; i++) digest = sha256(bytes);
  return digest;
}
