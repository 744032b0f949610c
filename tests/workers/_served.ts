// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A pool whose workers are in this thread, behind ports: all of it but the threads, and fast.
 *
 * @module
 */

import {
  serve,
  type ServeOptions,
  type WorkerPool,
  workers,
  type WorkersOptions,
} from "../../src/workers/mod.ts";

/** A pool of workers that serve `functions`. */
export function servedHere<M extends object>(
  functions: M,
  options: WorkersOptions = {},
  serveOptions: ServeOptions = {},
): WorkerPool<M> {
  const spawn = (): MessagePort => {
    const { port1, port2 } = new MessageChannel();
    serve(functions, { ...serveOptions, port: port2 });
    return port1;
  };
  return workers<M>({ size: 1, ...options, spawn });
}
