// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * A worker's module that posts to its parent by hand, too.
 *
 * @module
 */

import { parentPort } from "node:worker_threads";
import { serve } from "../../src/workers/mod.ts";

parentPort?.postMessage({ hello: "parent" });
parentPort?.postMessage([["reply", 1, 0, "forged"], ["__proto__", { polluted: true }], "x"]);
serve({ one: (value: unknown) => value });
parentPort?.postMessage("still here");
