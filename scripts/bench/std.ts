// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Bundles the words of `@std/async` that have a word of ours beside them: Bun and Node do not
 * resolve JSR, so all runtimes run that one file.
 *
 * @module
 */

import { pathToFileURL } from "node:url";
import deno from "../../deno.json" with { type: "json" };
import { run } from "../command.ts";
import { probeJsr } from "../jsr.ts";

/** Its name in `bench.json`. */
export const STD = "@std/async";

/** What {@linkcode bundleStd} gives. */
export type StdBundle = { url: string; version: string } | { missing: string };

/** Makes the bundle in `folder`, or says why it cannot be had. */
export async function bundleStd(folder: string): Promise<StdBundle> {
  const jsr = await probeJsr();
  if (!jsr.reachable) return { missing: jsr.reason };
  const from = deno.imports[STD];
  const [entry, file] = [`${folder}/words.ts`, `${folder}/std.mjs`];
  Deno.writeTextFileSync(
    entry,
    [
      `export { Channel } from "${from}/channel";`,
      `export { MuxAsyncIterator } from "${from}/mux-async-iterator";`,
      `export { pooledMap } from "${from}/pool";`,
    ].join("\n"),
  );
  const bundled = await run(Deno.execPath(), ["bundle", "--quiet", "-o", file, entry]);
  if (!bundled.success) return { missing: `it could not be bundled (${bundled.output.trim()})` };
  const info = await run(Deno.execPath(), ["info", entry]);
  const version = /@std\/async\/(\d[\w.-]*)\//.exec(info.output)?.[1] ?? from;
  return { url: pathToFileURL(file).href, version };
}
