// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Tools for tests of concurrent programs.
 *
 * @module
 */

export { type SocketFaults, type SocketPair, socketPair } from "./socket_pair.ts";
