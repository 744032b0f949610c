// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * What each entry point costs before its first line runs: the time to import it in a fresh process,
 * and its bytes in a bundle.
 *
 * @module
 */

// Imported is what npm has: a file per word, compiled to JavaScript. A bundle would be faster to
// load, TypeScript slower. The floor is the import of an empty module.

import { mkdirSync, readdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import ts from "typescript";
import deno from "../../deno.json" with { type: "json" };
import { run } from "../command.ts";
import type { Host } from "../hosts.ts";
import { type BenchContext, programOf } from "./context.ts";
import { figuresOf, type Round } from "./figures.ts";
import { FLOOR, OURS, type Row } from "./json.ts";

const IMPORT = "scripts/bench/startup/import.ts";
const EMPTY = "empty.js";

/** Beside the whole library: whole packages that do a part of its work. */
const PEERS = ["@thi.ng/csp", "effect", "effection", "rxjs"];

const ROUNDS = 9;
const LIMIT_MS = 30_000;
const GROUP = "Start-up";

/** An entry point. */
interface Entry {
  time: Row;
  bytes: Row;
  zipped: Row;
  /** What is imported, by contestant: our file, or the name of a package. */
  modules: Record<string, string>;
}

/** All rows on all runtimes. Bytes stand below Deno, which makes the bundles. */
export async function measureStartup(context: BenchContext): Promise<Row[]> {
  const entries = Object.entries(deno.exports).map(([name, file]) => entryOf(name, file));
  const wanted = entries.flatMap((entry) =>
    [entry.time, entry.bytes, entry.zipped].filter((row) => context.wants(row))
  );
  if (wanted.length === 0) return [];
  // Below the folder that holds the packages, so that their names are found.
  const folder = resolve(Deno.makeTempDirSync({ dir: context.cwd, prefix: "startup_" }));
  try {
    compile(folder);
    const of = context.hosts.size + 1;
    let done = 0;
    for (const [runtime, host] of context.hosts) {
      context.progress(++done, of, `imports on ${runtime}`);
      const rounds = await importAll(entries, folder, host, context);
      for (const [entry, its] of rounds) entry.time.results[runtime] = figuresOf(its);
    }
    context.progress(++done, of, "bundles");
    if (context.hosts.has("deno")) await bundleAll(entries, folder, context);
    return wanted;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function entryOf(name: string, file: string): Entry {
  const short = name.slice(2);
  const id = short === "" ? "core" : short.replaceAll("/", "-");
  const title = short === "" ? "the core" : `./${short}`;
  const row = (kind: string, text: string, unit: Row["unit"]): Row => (
    { id: kind.replace("*", id), group: GROUP, title: text, unit, better: "lower", results: {} }
  );
  return {
    time: row("startup-*", `import of ${title}; floor: of an empty module`, "ms"),
    bytes: row("bytes-*", `${title}, bundled and minified`, "bytes"),
    zipped: row("bytes-*-gzip", `${title}, bundled, minified and zipped`, "bytes"),
    modules: {
      [FLOOR]: EMPTY,
      [OURS]: file.replace(/\.ts$/, ".js"),
      ...(short === "" ? Object.fromEntries(PEERS.map((peer) => [peer, peer])) : {}),
    },
  };
}

/** Compiles the sources, and the program that imports them, to the layout of the npm package. */
function compile(folder: string): void {
  const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `src/${file}`);
  for (const file of ["mod.ts", IMPORT, ...sources]) {
    const { outputText } = ts.transpileModule(Deno.readTextFileSync(file), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext,
        rewriteRelativeImportExtensions: true,
      },
    });
    const out = `${folder}/${file.replace(/\.ts$/, ".js")}`;
    mkdirSync(dirname(out), { recursive: true });
    Deno.writeTextFileSync(out, outputText);
  }
  Deno.writeTextFileSync(`${folder}/${EMPTY}`, "export {};\n");
}

/** Imports everything in turns; what fails is noted, and left out. */
async function importAll(
  entries: readonly Entry[],
  folder: string,
  host: Host,
  context: BenchContext,
): Promise<Map<Entry, Round[]>> {
  const imports = entries.filter(({ time }) => context.wants(time)).flatMap((entry) =>
    Object.entries(entry.modules).map(([contestant, module]) => ({ entry, contestant, module }))
  );
  const rounds = new Map<Entry, Round[]>(imports.map(({ entry }) => [entry, []]));
  const failed = new Set<string>();
  for (let turn = -1; turn < ROUNDS; turn++) {
    const round = new Map<Entry, Round>(imports.map(({ entry }) => [entry, {}]));
    for (let i = 0; i < imports.length; i++) {
      const { entry, contestant, module } = imports[(i + turn + 1) % imports.length]!;
      if (failed.has(module)) continue;
      try {
        round.get(entry)![contestant] = await importOne(module, folder, host, context);
      } catch (error) {
        failed.add(module);
        context.fail(`import of ${module} on ${host.name} ${host.version}`, error);
      }
    }
    if (turn < 0) continue; // fills the caches of the system and of the runtime
    for (const [entry, its] of round) rounds.get(entry)!.push(its);
  }
  return rounds;
}

/** Milliseconds of one import. */
async function importOne(
  module: string,
  folder: string,
  host: Host,
  { cwd }: BenchContext,
): Promise<number> {
  const program = `${folder}/${IMPORT.replace(/\.ts$/, ".js")}`;
  const specifier = isPackage(module) ? module : pathToFileURL(`${folder}/${module}`).href;
  const { command, args } = programOf(host, [program, specifier]);
  // It is JavaScript already: what compiles TypeScript on Node would be measured too.
  const plain = host.name === "Node" ? [program, specifier] : args;
  const signal = AbortSignal.timeout(LIMIT_MS);
  const { success, output } = await run(command, plain, { cwd, signal });
  if (success) return (JSON.parse(output.trim().split("\n").at(-1)!) as { ms: number }).ms;
  throw new Error(signal.aborted ? `no answer in ${LIMIT_MS} ms` : output.trim());
}

/** Bundles everything, as `deno bundle --minify` does it, and enters its bytes. */
async function bundleAll(
  entries: readonly Entry[],
  folder: string,
  context: BenchContext,
): Promise<void> {
  const [entryFile, bundle] = [`${folder}/entry.js`, `${folder}/bundle.js`];
  for (const { modules, bytes, zipped } of entries) {
    if (!context.wants(bytes) && !context.wants(zipped)) continue;
    const sizes: Round = {}, zippedSizes: Round = {};
    for (const [contestant, module] of Object.entries(modules)) {
      if (contestant === FLOOR) continue;
      const name = isPackage(module) ? module : `./${module}`;
      Deno.writeTextFileSync(entryFile, `export * from ${JSON.stringify(name)};\n`);
      const flags = ["--quiet", "--node-modules-dir=manual", "--minify"];
      const { success, output } = await run(
        Deno.execPath(),
        ["bundle", ...flags, "-o", bundle, entryFile],
        { cwd: context.cwd, signal: AbortSignal.timeout(LIMIT_MS) },
      );
      if (!success) {
        context.fail(`bundle of ${module}`, new Error(output.trim()));
        continue;
      }
      const content = Deno.readFileSync(bundle);
      sizes[contestant] = content.length;
      zippedSizes[contestant] = gzipSync(content, { level: 9 }).length;
    }
    bytes.results.deno = figuresOf([sizes]);
    zipped.results.deno = figuresOf([zippedSizes]);
  }
}

/** Our files end in `.js`, the names of packages do not. */
function isPackage(module: string): boolean {
  return !module.endsWith(".js");
}
