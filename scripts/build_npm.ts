// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Builds the npm package into `npm/`: with dnt, or where JSR cannot be reached with the TypeScript
 * compiler alone. Both leave the same files: `esm/` with code, types and maps, `src/` for the maps.
 *
 * @module
 */

import { cpSync, existsSync, readdirSync } from "node:fs";
import deno from "../deno.json" with { type: "json" };
import { probeJsr } from "./jsr.ts";
import { npmPackage } from "./npm_package.ts";

const OUT = "npm";
const COPIED = ["README.md", "LICENSE", "CHANGELOG.md"];

/** Builds the entries, pairs of an export name and a source file, into `out`. */
type Build = (entries: [name: string, file: string][], out: string) => void | Promise<void>;

async function main(): Promise<void> {
  for (const { name } of Deno.readDirSync(OUT)) {
    if (name !== ".gitignore") Deno.removeSync(`${OUT}/${name}`, { recursive: true });
  }
  const jsr = await probeJsr();
  console.log(`Building ${OUT}/ with ${jsr.reachable ? "dnt" : "npm:typescript"}: ${jsr.reason}`);
  // Not a literal: Deno would load the packages of both, and one may be out of reach.
  const builder = jsr.reachable ? "./build_npm_dnt.ts" : "./build_npm_tsc.ts";
  const { build }: { build: Build } = await import(builder);
  await build(Object.entries(deno.exports), OUT);

  for (const { types } of Object.values(npmPackage().exports)) addDisposable(`${OUT}/${types}`);
  const packageJson = JSON.stringify(npmPackage(), undefined, 2) + "\n";
  Deno.writeTextFileSync(`${OUT}/package.json`, packageJson);
  for (const file of COPIED) if (existsSync(file)) cpSync(file, `${OUT}/${file}`);
  renameImports();
}

/** Lets the examples import the package by its name on npm: in the README, and where editors show them. */
function renameImports(): void {
  const rename = (text: string): string =>
    text.replaceAll('"@baozi/baozi', `"${npmPackage().name}`);
  const readme = Deno.readTextFileSync(`${OUT}/README.md`);
  Deno.writeTextFileSync(`${OUT}/README.md`, readme.replaceAll(/^```ts\n.*?^```$/gms, rename));
  for (const file of readdirSync(`${OUT}/esm`, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".d.ts")) continue;
    const path = `${OUT}/esm/${file}`;
    Deno.writeTextFileSync(path, rename(Deno.readTextFileSync(path)));
  }
}

/** Lets a project with `lib: ES2022` read `Symbol.asyncDispose` in our types. */
function addDisposable(file: string): void {
  const types = Deno.readTextFileSync(file);
  Deno.writeTextFileSync(file, `/// <reference lib="esnext.disposable" />\n${types}`);
  // The map then says nothing about one line more at the top.
  const map = JSON.parse(Deno.readTextFileSync(`${file}.map`));
  map.mappings = `;${map.mappings}`;
  Deno.writeTextFileSync(`${file}.map`, JSON.stringify(map));
}

await main();
