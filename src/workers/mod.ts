// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * All cores: typed calls into other threads, and the same channels across them.
 *
 * @module
 */

export { NotTransferableError, WorkerCrashed } from "../errors.ts";
export {
  type CallOf,
  type Calls,
  type FunctionNames,
  type PlainNames,
  type Streamed,
  WorkerCall,
  WorkerStream,
} from "./calls.ts";
export type { ErrorClass } from "./error_wire.ts";
export {
  type ItemOf,
  type MapOptions,
  type RestartIntensity,
  type ResultOf,
  type SpawnOption,
  WorkerPool,
  workers,
  type WorkersOptions,
} from "./pool.ts";
export type { Movable, NodeWorker, PortLike, WebWorker, WorkerLike } from "./port.ts";
export { serve, type ServeOptions } from "./serve.ts";
export { transfer } from "./transfer.ts";
