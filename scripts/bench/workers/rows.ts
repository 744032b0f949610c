// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What is measured across threads, by name.
 *
 * @module
 */

import type { Row } from "../json.ts";

/** A row without its figures. */
export type Head = Omit<Row, "results">;

/** The file of each contestant's threads, as a bundle in the folder of the program. */
export const BUNDLES = ["contest", "served", "raw", "pooled", "exposed"] as const;

/** In the order of the tables. */
export const HEADS: readonly Head[] = [
  head("threads-to-64", "values to a worker, capacity 64; floor: postMessage of each"),
  head("threads-to-1024", "values to a worker, capacity 1,024; floor: postMessage of each"),
  head("threads-from-64", "values from a worker, capacity 64; floor: postMessage of each"),
  head("threads-from-1024", "values from a worker, capacity 1,024; floor: postMessage of each"),
  head("threads-objects-64", "small objects to a worker, capacity 64; floor: postMessage of each"),
  head("threads-calls-64", "small calls to a worker, 64 in flight; floor: two postMessage"),
  head("threads-calls-1", "small calls to a worker, one after the other; floor: two postMessage"),
  head("threads-map", "SHA-256 of our source files on 2 workers; floor: 1 bare thread", "ms"),
  head("threads-start", "a worker from its start to its first reply; floor: a bare Worker", "ms"),
];

function head(id: string, title: string, unit: Row["unit"] = "ns"): Head {
  return { id, group: "Threads", title, unit, better: "lower" };
}
