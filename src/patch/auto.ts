// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Patches everything on import, for good: for `--import @baozi/baozi/patch/auto` and `--preload`.
 *
 * @module
 */

import { patchAll } from "./mod.ts";

patchAll();
