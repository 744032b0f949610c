// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Runs the checks of tests/hosts/ in Chromium, against the package that `deno task npm` has built, on a
 * page that allows no inline script and no eval.
 *
 * @module
 */

// The checks are the very file that the other runtimes run: only its import is pointed at the package.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import ts from "typescript";

const PACKAGE = "npm/esm/mod.js";
/** What the page loads besides: programs of ours. */
const FILES: Readonly<Record<string, string>> = {
  "/checks.js": "tests/hosts/browser_checks.ts",
  "/worker_checks.js": "tests/hosts/worker_checks.ts",
  "/worker.js": "tests/hosts/browser_worker.ts",
};
const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];
const POLICY = "default-src 'none'; script-src 'self'";
const LIMIT_MS = 60_000;

const PAGE = `<!doctype html><title>baozi</title><script type="module" src="/run.js"></script>`;
const RUN = `import { CHECKS } from "/checks.js";
import { CHECKS as WORKER_CHECKS } from "/worker_checks.js";
const results = [];
for (const [name, check] of [...Object.entries(CHECKS), ...Object.entries(WORKER_CHECKS)]) {
  try {
    await check();
    results.push({ name });
  } catch (error) {
    results.push({ name, error: String(error?.stack ?? error) });
  }
}
const element = document.createElement("pre");
element.id = "results";
element.textContent = JSON.stringify(results);
document.body.append(element);
`;

interface Result {
  name: string;
  error?: string;
}

async function main(): Promise<boolean> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    console.log("no Chromium on this machine: the checks of the browser are not run");
    return true;
  }
  if (!existsSync(PACKAGE)) {
    throw new Error(`Cannot check: ${PACKAGE} must be built, by deno task npm`);
  }
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
  // Without a sandbox of its own: it loads nothing but our page, and root may not have one.
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    const trouble: string[] = [];
    page.on("pageerror", (error) => trouble.push(String(error)));
    page.on("console", (line) => {
      if (line.type() === "error") trouble.push(line.text());
    });
    await page.goto(`http://127.0.0.1:${server.addr.port}/`);
    // By the document: what evaluates an expression is forbidden on this page.
    const text = await page.locator("#results").textContent({ timeout: LIMIT_MS });
    const results: Result[] = JSON.parse(text!);
    for (const { name, error } of results) {
      console.log(error === undefined ? `ok   ${name}` : `FAIL ${name}: ${error}`);
    }
    for (const line of trouble) console.log(`FAIL on the console: ${line}`);
    const failed = results.filter(({ error }) => error !== undefined).length + trouble.length;
    console.log(`Chromium ${browser.version()}: ${results.length} checks, ${failed} failed`);
    return failed === 0;
  } finally {
    await browser.close();
    await server.shutdown();
  }
}

function findChromium(): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return PROGRAMS.flatMap((name) => folders.map((folder) => `${folder}/${name}`)).find(existsSync);
}

function answer(request: Request): Response {
  const { pathname } = new URL(request.url);
  const reply = (type: string, body: string): Response =>
    new Response(body, {
      headers: { "content-type": type, "content-security-policy": POLICY },
    });
  if (pathname === "/") return reply("text/html", PAGE);
  if (pathname === "/run.js") return reply("text/javascript", RUN);
  const file = FILES[pathname];
  if (file !== undefined) return reply("text/javascript", compile(file));
  if (/^\/esm\/[\w/]+\.js$/.test(pathname) && existsSync(`npm${pathname}`)) {
    return reply("text/javascript", Deno.readTextFileSync(`npm${pathname}`));
  }
  return new Response(null, { status: pathname === "/favicon.ico" ? 204 : 404 });
}

/** A file of the tests as a browser takes it. */
function compile(file: string): string {
  const { outputText } = ts.transpileModule(Deno.readTextFileSync(file), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  return outputText.replaceAll('"@baozi/baozi/workers"', '"/esm/src/workers/mod.js"')
    .replaceAll('"@baozi/baozi"', '"/esm/mod.js"');
}

Deno.exit(await main() ? 0 : 1);
