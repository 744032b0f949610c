// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The worker files of these tests, as each runtime takes them: Node 20 runs no TypeScript in a thread, with
 * `tsx` neither, so there they are bundled first.
 *
 * @module
 */

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

interface Esbuild {
  buildSync(options: object): void;
}

let folder: string | undefined;

/** The URL of a file beside this one, to be run in a thread. */
export async function workerFile(name: string): Promise<URL> {
  const source = new URL(name, import.meta.url);
  if ("Deno" in globalThis || "Bun" in globalThis) return source;
  // Not a literal: only tsx has brought it.
  const bundler = "esbuild";
  const { buildSync } = await import(bundler) as Esbuild;
  folder ??= mkdtempSync(join(tmpdir(), "baozi-workers-"));
  const outfile = join(folder, basename(name).replace(/\.ts$/, ".mjs"));
  buildSync({
    entryPoints: [fileURLToPath(source)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
  });
  return pathToFileURL(outfile);
}
