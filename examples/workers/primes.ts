// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What runs in the threads of 51_pipeline_on_all_cores.ts.
 *
 * @module
 */

import { serve } from "@baozi/baozi/workers";

/** `n`, and its smallest factor but 1. */
export function factor(n: number): [n: number, factor: number] {
  for (let by = 2; by * by <= n; by++) if (n % by === 0) return [n, by];
  return [n, n];
}

serve({ factor });
