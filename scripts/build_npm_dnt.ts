// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Builds the npm package with dnt.
 *
 * @module
 */

import { build as buildWithDnt } from "@deno/dnt";
import { npmPackage } from "./npm_package.ts";

/** Builds the entries, pairs of an export name and a source file, into `out`. */
export async function build(entries: [name: string, file: string][], out: string): Promise<void> {
  // build_npm.ts writes the whole of it afterwards; dnt would add to the exports and doubt the files.
  const { exports: _exports, files: _files, ...rest } = npmPackage();
  await buildWithDnt({
    entryPoints: entries.map(([name, path]) => ({ name, path })),
    outDir: out,
    esModule: true,
    scriptModule: false,
    shims: {},
    test: false,
    typeCheck: "single",
    declaration: "inline",
    skipNpmInstall: true,
    compilerOptions: {
      // Below ES2022 every #field becomes a WeakMap entry, and a call about 30 times slower.
      target: "ES2022",
      lib: ["ES2022", "DOM", "DOM.Iterable", "ESNext.Disposable"],
      sourceMap: true,
    },
    package: rest,
  });
  // Made for packages in both module formats.
  for (const file of [".npmignore", "esm/package.json"]) Deno.removeSync(`${out}/${file}`);
}
