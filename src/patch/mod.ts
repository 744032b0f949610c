// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * I/O that knows nothing of this library, made to end with the task that called it.
 *
 * @module
 */

export {};
