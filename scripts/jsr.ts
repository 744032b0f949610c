// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Tells whether JSR can be reached, so that every script chooses alike between the packages that
 * `deno.json` names and their stand-ins, and says which it took and why.
 *
 * @module
 */

/** How long JSR has to answer; on a closed network the name usually fails at once. */
const PATIENCE_MS = 3_000;

/** Whether JSR answers. */
export interface Jsr {
  reachable: boolean;
  /** Why one thinks so, to be printed. */
  reason: string;
  /** Arguments that make Deno resolve the imports of the tests without JSR where it must. */
  importMap: readonly string[];
}

/** Asks JSR, or the registry that `JSR_URL` names, once. */
export async function probeJsr(): Promise<Jsr> {
  const url = Deno.env.get("JSR_URL") ?? "https://jsr.io/";
  const meta = new URL("@std/assert/meta.json", url);
  let failure: string;
  try {
    const response = await fetch(meta, { signal: AbortSignal.timeout(PATIENCE_MS) });
    await response.body?.cancel();
    if (response.ok) return { reachable: true, reason: `JSR answers at ${url}`, importMap: [] };
    failure = `status ${response.status}`;
  } catch (error) {
    failure = error instanceof DOMException ? `no answer in ${PATIENCE_MS} ms` : "no connection";
  }
  return {
    reachable: false,
    reason: `JSR cannot be reached at ${url} (${failure})`,
    importMap: ["--import-map", "tests/offline.json"],
  };
}
