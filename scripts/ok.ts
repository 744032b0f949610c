// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * The one gate: everything that must hold before a commit, but for the suite itself
 * (`deno task test`) and the npm package (`deno task npm`).
 *
 * @module
 */

import { readdirSync } from "node:fs";
import deno from "../deno.json" with { type: "json" };
import { run } from "./command.ts";
import { type Jsr, probeJsr } from "./jsr.ts";

/** Their importers can only be checked where JSR is reachable; `@std/assert` has a stand-in. */
const JSR_ONLY = /(?:\bfrom|\bimport\(?)\s*["'](?:jsr:)?(@std\/async|@deno\/dnt)\b/;

interface Step {
  name: string;
  args: readonly string[];
}

async function main(): Promise<boolean> {
  const jsr = await probeJsr();
  console.log(`${jsr.reason}: ${jsr.reachable ? "real JSR packages" : "stand-ins"}`);
  const browserConfig = writeBrowserConfig();
  const failed: string[] = [];
  for (const { name, args } of steps(jsr, browserConfig)) {
    const start = performance.now();
    const { success, output } = await run(Deno.execPath(), args);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${success ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
    if (success) continue;
    failed.push(name);
    console.log(output);
  }
  Deno.removeSync(browserConfig);
  console.log(failed.length === 0 ? "ok" : `failed: ${failed.join(", ")}`);
  return failed.length === 0;
}

function steps({ reachable, importMap }: Jsr, browserConfig: string): Step[] {
  const entries = Object.values(deno.exports);
  const all = ["mod.ts", ...["src", "tests", "examples", "scripts"].flatMap(filesBelow)];
  const left = reachable ? [] : all.filter((file) => JSR_ONLY.test(Deno.readTextFileSync(file)));
  const checked = all.filter((file) => !left.includes(file));
  const anywhere = ["mod.ts", ...filesBelow("src")].filter((file) =>
    Deno.readTextFileSync(file).split("\n")[1] === "// Runs anywhere."
  );
  return [
    { name: "format", args: ["fmt", "--check"] },
    { name: "lint", args: ["lint"] },
    {
      name: left.length === 0 ? "types" : `types, but not of ${left.join(", ")}`,
      args: ["check", "--quiet", ...importMap, ...checked],
    },
    {
      name: `types of ${anywhere.length} files that run anywhere, with DOM alone`,
      args: ["check", "--quiet", "--config", browserConfig, ...anywhere],
    },
    { name: "tables of RELIABILITY.md", args: ["run", "-A", "scripts/reliability.ts", "--check"] },
    {
      name: "tables and chart of docs/bench.md",
      args: ["run", "-A", "scripts/bench/page.ts", "--check"],
    },
    { name: "layers", args: ["run", "-A", "scripts/check_layers.ts"] },
    {
      name: "doc tests",
      args: ["test", "-A", "--doc", ...importMap, "README.md", "docs", "mod.ts", "src"],
    },
    { name: "examples", args: ["test", "-A", ...importMap, "tests/examples_test.ts"] },
    { name: "doc comments", args: ["doc", "--lint", ...entries] },
    { name: "publish", args: ["publish", "--dry-run", "--allow-dirty"] },
  ];
}

/** A config like ours, but without the names of Deno. */
function writeBrowserConfig(): string {
  const compilerOptions = {
    ...deno.compilerOptions,
    lib: ["dom", "dom.iterable", "dom.asynciterable", "esnext"],
  };
  const file = Deno.makeTempFileSync({ suffix: ".json" });
  Deno.writeTextFileSync(file, JSON.stringify({ compilerOptions, lock: false }));
  return file;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `${folder}/${file}`)
    .sort();
}

Deno.exit(await main() ? 0 : 1);
