// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Builds the npm package with the TypeScript compiler alone, laid out as dnt does it.
 *
 * @module
 */

import { cpSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import ts from "typescript";

/** Builds the entries, pairs of an export name and a source file, into `out`. */
export function build(entries: [name: string, file: string][], out: string): void {
  // From a copy inside the package: the maps then point to files that it contains.
  cpSync("mod.ts", `${out}/src/mod.ts`);
  cpSync("src", `${out}/src/src`, { recursive: true });
  const program = ts.createProgram({
    rootNames: entries.map(([, file]) => resolve(out, "src", file)),
    options: {
      rootDir: resolve(out, "src"),
      outDir: resolve(out, "esm"),
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      rewriteRelativeImportExtensions: true,
      target: ts.ScriptTarget.ES2022,
      lib: ["es2022", "dom", "dom.iterable", "dom.asynciterable", "esnext.disposable"]
        .map((name) => `lib.${name}.d.ts`),
      types: [],
      strict: true,
      declaration: true,
      declarationMap: true,
      sourceMap: true,
    },
  });
  const problems = ts.getPreEmitDiagnostics(program);
  if (problems.length > 0) {
    throw new Error(`Cannot build the npm package: ${
      ts.formatDiagnostics(problems, {
        getCanonicalFileName: (name) => name,
        getCurrentDirectory: () => Deno.cwd(),
        getNewLine: () => "\n",
      })
    }`);
  }
  program.emit();
  fixDeclarations(resolve(out, "esm"));
}

/** Declarations keep `.ts` specifiers, which a consumer's compiler would follow to no file. */
function fixDeclarations(folder: string): void {
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".d.ts")) continue;
    const path = `${folder}/${file}`;
    const text = Deno.readTextFileSync(path);
    Deno.writeTextFileSync(path, text.replace(/((?:from|import\()\s*"\.[^"]*)\.ts"/g, '$1.js"'));
  }
}
