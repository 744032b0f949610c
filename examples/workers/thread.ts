// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * A thread for the examples, which are run as TypeScript. A program that was compiled first gives
 * `workers` the URL alone.
 *
 * @module
 */

import process from "node:process";
import { Worker } from "node:worker_threads";

/** Starts a thread that runs the module at `url`. */
export function thread(url: URL): Worker {
  // Where Node runs TypeScript by way of tsx, each thread must be told.
  if (!process.execArgv.some((arg) => arg.includes("tsx"))) return new Worker(url);
  const load = `({ register }) => { register(); return import(${JSON.stringify(url.href)}); }`;
  return new Worker(`import("tsx/esm/api").then(${load})`, { eval: true });
}
