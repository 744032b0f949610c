// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Patches all on import: for `--import baozi/patch/auto` and `--preload`.
 *
 * @module
 */

export {};
