// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Shows what the library does: runs the programs of `examples/` one after the other, then crawls
 * the project's own files over loopback sockets.
 *
 *     deno task demo [part of a file name]…
 *
 * @module
 */

// Each example is a process of its own, as its reader would start it: it prints live, has to end by
// itself, and the time shown includes the start of the runtime.

import { Channel, currentTask, joinAll, sleep, spawn } from "@baozi/baozi";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { run } from "./command.ts";
import { type Jsr, probeJsr } from "./jsr.ts";

const CRAWL = "the crawl of this project";
/** What is served and crawled: paths from the root of the project. */
const SERVED = ["LICENSE", "README.md", "deno.json", "mod.ts", "src/", "examples/"];
const WORKERS = 8;
/** How long the server takes to answer, as one in another city would. */
const LATENCY_MS = 20;

const colours = Deno.stdout.isTerminal() && !Deno.noColor;
const bold = (text: string): string => colours ? `\x1b[1;36m${text}\x1b[0m` : text;
const dim = (text: string): string => colours ? `\x1b[2m${text}\x1b[0m` : text;
const red = (text: string): string => colours ? `\x1b[31m${text}\x1b[0m` : text;

async function main(filters: string[]): Promise<boolean> {
  // A proxy must not get what goes to loopback; the examples inherit it.
  Deno.env.set("NO_PROXY", "127.0.0.1");
  const shown = (name: string): boolean =>
    filters.length === 0 || filters.some((filter) => name.includes(filter));
  const files = readdirSync("examples").filter((file) => file.endsWith(".ts") && shown(file));
  const jsr = await probeJsr();
  const start = performance.now();

  const failed: string[] = [];
  let count = 0;
  for (const file of files.sort()) {
    count++;
    if (!await show(titleOf(file), ideaOf(file), () => runExample(file, jsr))) failed.push(file);
  }
  if (shown(CRAWL)) {
    count++;
    const idea = `Real files over real sockets: ${WORKERS} tasks follow the links of a server, ` +
      `through a channel that they feed themselves.`;
    if (!await show(CRAWL, idea, crawl)) failed.push(CRAWL);
  }

  if (count === 0) {
    console.error(`Cannot run the demo: a program must match, got ${filters.join(" ")}`);
    return false;
  }
  const summary = `${count - failed.length} of ${count} programs ran, in ${seconds(start)}`;
  console.log(
    failed.length === 0 ? bold(summary) : red(`${summary}; failed: ${failed.join(", ")}`),
  );
  return failed.length === 0;
}

/** Runs one program below its heading. */
async function show(
  title: string,
  idea: string,
  program: () => Promise<boolean>,
): Promise<boolean> {
  console.log(bold(`==== ${title} ====`));
  console.log(dim(idea));
  const start = performance.now();
  const success = await program();
  console.log(success ? dim(`(${seconds(start)})`) : red(`failed after ${seconds(start)}`));
  console.log();
  return success;
}

async function runExample(file: string, { importMap }: Jsr): Promise<boolean> {
  const args = ["run", "-A", ...importMap, `examples/${file}`];
  return (await run(Deno.execPath(), args, { show: true })).success;
}

/** "06 switch" for 06_switch.ts. */
function titleOf(file: string): string {
  return file.replace(/\.ts$/, "").replaceAll("_", " ");
}

/** The first sentence of the comment that every example begins with. */
function ideaOf(file: string): string {
  const [, comment = ""] = readFileSync(`examples/${file}`, "utf8").split("\n\n");
  const text = comment.replaceAll(/^\/\/ /gm, "").replaceAll("\n", " ");
  return /^.*?\.(?= |$)/.exec(text)?.[0] ?? text;
}

/** Crawls the project from its root; says whether every file came once and whole. */
async function crawl(): Promise<boolean> {
  const server = createServer(async (request, response) => {
    await sleep(LATENCY_MS);
    try {
      response.end(pageAt(request.url!));
    } catch (error) {
      response.writeHead(404).end(String(error));
    }
  });
  const base = await listen(server);
  const start = performance.now();

  const pages = Channel.unbounded<string>();
  const seen = new Set<string>();
  const sizes: number[] = [];
  let good = true;
  let left = 0;
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    left++;
    pages.trySend(path);
  };
  const worker = async (): Promise<void> => {
    for await (const path of pages) {
      const { signal } = currentTask()!;
      const body = await (await fetch(base + path, { signal })).text();
      if (path.endsWith("/")) {
        for (const [, link] of body.matchAll(/href="([^"]+)"/g)) visit(link!);
      } else {
        const size = new TextEncoder().encode(body).length;
        const whole = body === readFileSync(`.${path}`, "utf8");
        good &&= whole;
        sizes.push(size);
        console.log(`${bytes(size).padStart(9)}  ${path}${whole ? "" : red("  not as on disk")}`);
      }
      if (--left === 0) pages.close();
    }
  };
  visit("/");
  try {
    const names = Array.from({ length: WORKERS }, (_, at) => `crawler ${at + 1}`);
    await joinAll(names.map((name) => spawn({ name }, worker)), {
      raiseError: true,
      killOthers: true,
    });
  } catch (error) {
    console.log(red(String(error)));
    good = false;
  } finally {
    server.close();
    server.closeAllConnections();
  }

  const total = sizes.reduce((sum, size) => sum + size, 0);
  const alone = (seen.size * LATENCY_MS / 1000).toFixed(1);
  console.log(
    `${seen.size} pages, ${sizes.length} of them files, ${bytes(total)} bytes, in ${
      seconds(start)
    }; one after the other the server's answers alone take ${alone} s`,
  );
  return good;
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A file, or for a folder a page of links to what is in it. */
function pageAt(path: string): Uint8Array | string {
  if (path !== "/" && !SERVED.some((served) => path.startsWith(`/${served}`))) {
    throw new Error(`Cannot serve page: it must be below one of ${SERVED.join(" ")}, got ${path}`);
  }
  if (!path.endsWith("/")) return readFileSync(`.${path}`);
  const names = path === "/" ? SERVED : readdirSync(`.${path}`, { withFileTypes: true })
    .map((entry) => entry.isDirectory() ? `${entry.name}/` : entry.name);
  return names.sort().map((name) => `<a href="${path}${name}">${name}</a>`).join("\n");
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

function bytes(count: number): string {
  return count.toLocaleString("en");
}

Deno.exit(await main(Deno.args) ? 0 : 1);
