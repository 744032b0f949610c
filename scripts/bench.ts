// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Measures the main words on Deno, Bun and Node against the bare await of each, and against the
 * `Channel` of `@std/async` where that can be had.
 *
 *     deno task bench [--quick] [--only deno|bun|node]
 *
 * @module
 */

// Bun and Node do not resolve JSR: Deno bundles std's channel once, and all three run that file.

import { pathToFileURL } from "node:url";
import deno from "../deno.json" with { type: "json" };
import { run } from "./command.ts";
import { findBun, findDeno, findNode, type Host, prepareHosts } from "./hosts.ts";
import { probeJsr } from "./jsr.ts";

const RUNTIMES = { deno: findDeno, bun: findBun, node: findNode } as const;
type RuntimeName = keyof typeof RUNTIMES;

const MAIN = "scripts/bench/main.ts";

async function main(args: string[]): Promise<boolean> {
  const quick = args.includes("--quick") ? ["--quick"] : [];
  const at = args.indexOf("--only");
  const names = at < 0 ? Object.keys(RUNTIMES) : [args[at + 1] ?? ""];
  for (const name of names) {
    if (name in RUNTIMES) continue;
    throw new TypeError(
      `Cannot run the benchmarks: --only must be deno, bun or node, got ${JSON.stringify(name)}`,
    );
  }
  const folder = Deno.makeTempDirSync();
  try {
    const std = await bundleStd(`${folder}/std_channel.js`);
    let success = true;
    for (const name of names) {
      success = await benchOn(name as RuntimeName, [...quick, ...std]) && success;
    }
    return success;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** The argument that names std's `Channel`; none where it cannot be had, which is said. */
async function bundleStd(file: string): Promise<string[]> {
  const jsr = await probeJsr();
  if (!jsr.reachable) {
    console.log(`std's Channel is not measured: ${jsr.reason}`);
    return [];
  }
  const entry = `${deno.imports["@std/async"]}/channel`;
  const { success, output } = await run(Deno.execPath(), [
    "bundle",
    "--quiet",
    "-o",
    file,
    entry,
  ]);
  if (!success) {
    console.log(`std's Channel is not measured: it could not be bundled (${output.trim()})`);
    return [];
  }
  console.log(`std's Channel is ${entry}, the same bundle on every runtime`);
  return [`--std=${pathToFileURL(file)}`];
}

async function benchOn(name: RuntimeName, args: string[]): Promise<boolean> {
  let host: Host;
  let cwd = ".";
  try {
    host = await RUNTIMES[name]();
    if (name !== "deno") cwd = await prepareHosts();
  } catch (error) {
    console.log(`\n==== ${name} could not be started: ${(error as Error).message} ====`);
    return false;
  }
  console.log(`\n==== ${host.name} ${host.version} ====`);
  const deno = name === "deno" ? ["--no-check"] : [];
  const { success } = await run(host.command, [...host.runArgs, ...deno, MAIN, ...args], {
    cwd,
    show: true,
  });
  return success;
}

Deno.exit(await main([...Deno.args]) ? 0 : 1);
