// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What runs in the threads of 50_words_on_all_cores.ts.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { serve } from "@baozi/baozi/workers";

/** How often each word is in the file at `url`. */
export async function count(url: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const text = await readFile(new URL(url), "utf8");
  for (const [word] of text.matchAll(/\w+/g)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

serve({ count });
