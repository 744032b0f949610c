// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Checks what ARCHITECTURE.md promises about `src/`: imports point down, waiting has one door,
 * hosts are named in few places, and each file says in its header what it is.
 *
 * @module
 */

import { readdirSync } from "node:fs";
import ts from "typescript";

/** From the bottom up. A name ending in `/` is a folder. A new file is entered here first. */
const LAYERS: readonly (readonly string[])[] = [
  ["config.ts", "errors.ts"],
  ["_kernel/"],
  [
    "barrier.ts",
    "channel.ts",
    "condition.ts",
    "coroutine.ts",
    "deferred.ts",
    "event.ts",
    "greenlet.ts",
    "lifo_queue.ts",
    "merge.ts",
    "mutex.ts",
    "priority_queue.ts",
    "queue.ts",
    "rate_limit.ts",
    "select.ts",
    "semaphore.ts",
    "timer.ts",
    "wait.ts",
    "wait_group.ts",
  ],
  [
    "blocked.ts",
    "broadcast.ts",
    "deadlock.ts",
    "dump.ts",
    "group.ts",
    "join.ts",
    "map_stage.ts",
    "pipeline.ts",
    "pool.ts",
    "produce.ts",
    "scope.ts",
    "shield.ts",
    "sleep.ts",
    "spawn.ts",
    "supervise.ts",
    "task.ts",
    "task_local.ts",
    "timeout.ts",
    "unhandled.ts",
    "until.ts",
  ],
  ["net/", "patch/", "workers/"],
  ["nats/"],
];
/** They see all layers, and none sees them. */
const OBSERVERS: readonly string[] = ["trace/", "testing/"];

const KERNEL = 1;
/** Its files do not build on each other, so that each word can be read and tested alone. */
const WORDS = 2;
const HOST = 4;
const TOP = LAYERS.length;

const HOST_NAMES = new Set(["Deno", "Bun", "process", "window"]);
const HOST_FILE = "_kernel/host.ts";
const EMPTY_NAMES = /^_?(utils?|types|constants|common|index|helpers?)\.ts$/;
const HEADER =
  /^\/\/ Copyright \d{4} the baozi authors\. MIT license\.\n\/\/ (Runs anywhere\.|Needs: (Deno|Node|Bun)( \| (Deno|Node|Bun))*)\n/;

/** Reports that the code at `node`, or the file, breaks a rule. */
type Complain = (message: string, node?: ts.Node) => void;

function main(): boolean {
  const problems = [...checkFile("mod.ts", TOP)];
  const files = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .sort();
  for (const file of files) {
    const layer = layerOf(file);
    if (layer === undefined) {
      problems.push(`src/${file}: must be in a layer of scripts/check_layers.ts`);
    } else {
      problems.push(...checkFile(`src/${file}`, layer));
    }
  }
  console.log(problems.join("\n") || `${files.length + 1} files keep to the layers`);
  return problems.length === 0;
}

/** The height of a file of `src/`, or `undefined` if it is in no layer. */
function layerOf(file: string): number | undefined {
  const holds = (entry: string): boolean =>
    entry.endsWith("/") ? file.startsWith(entry) : file === entry;
  if (OBSERVERS.some(holds)) return TOP;
  const at = LAYERS.findIndex((layer) => layer.some(holds));
  return at < 0 ? undefined : at;
}

function checkFile(path: string, layer: number): string[] {
  const problems: string[] = [];
  const text = Deno.readTextFileSync(path);
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const complain: Complain = (message, node) => {
    const line = source.getLineAndCharacterOfPosition(node?.getStart() ?? 0).line + 1;
    problems.push(`${path}:${line}: ${message}`);
  };

  if (!HEADER.test(text)) {
    complain('must begin with the licence line and "// Runs anywhere." or "// Needs: …"');
  }
  if (!/\/\*\*(?:(?!\*\/)[\s\S])*@module\b/.test(text)) complain("must have a @module comment");
  if (EMPTY_NAMES.test(path.split("/").at(-1)!)) complain("must be named after what it holds");
  const file = path.replace(/^src\//, "");
  const visit = (node: ts.Node): void => {
    checkImport(node, file, layer, complain);
    if (layer < HOST && file !== HOST_FILE) checkHostName(node, complain);
    if (ts.isCallExpression(node)) checkCall(node, layer, complain);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return problems;
}

function checkImport(node: ts.Node, file: string, layer: number, complain: Complain): void {
  const { specifier, typeOnly } = importOf(node) ?? {};
  if (specifier === undefined) return;
  if (specifier.startsWith("node:") && layer < HOST && file !== HOST_FILE) {
    complain(`must not import ${specifier}: only ${HOST_FILE} and net, patch, workers may`, node);
  }
  if (!specifier.startsWith(".")) return;
  const target = new URL(specifier, `file:///src/${file}`).pathname.replace(/^\/src\//, "");
  const below = layerOf(target);
  // Siblings of mod.ts, and files that do not exist, are the compiler's business.
  if (below === undefined || file === "mod.ts") return;
  if (below > layer || (below === TOP && !isObserver(file))) {
    complain(`must import from its own layer or below, got ${specifier}`, node);
  }
  if (below === layer && layer === WORDS && !typeOnly) {
    complain(`must not import a sibling's value (\`import type\` is fine), got ${specifier}`, node);
  }
}

function isObserver(file: string): boolean {
  return OBSERVERS.some((folder) => file.startsWith(folder));
}

/** What a node imports, in any of the ways to write it. */
function importOf(node: ts.Node): { specifier: string; typeOnly: boolean } | undefined {
  const found = (text: ts.Node | undefined, typeOnly: boolean) =>
    text && ts.isStringLiteral(text) ? { specifier: text.text, typeOnly } : undefined;
  if (ts.isImportDeclaration(node)) {
    return found(
      node.moduleSpecifier,
      node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword,
    );
  }
  if (ts.isExportDeclaration(node)) return found(node.moduleSpecifier, node.isTypeOnly);
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return found(node.argument.literal, true);
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return found(node.arguments[0], false);
  }
  return undefined;
}

function checkHostName(node: ts.Node, complain: Complain): void {
  if (!ts.isIdentifier(node) || !HOST_NAMES.has(node.text)) return;
  const { parent } = node;
  const member = ts.isPropertyAccessExpression(parent) && parent.name === node;
  if (member && parent.expression.getText() !== "globalThis") return;
  complain(`must not name ${node.text}: only ${HOST_FILE} and net, patch, workers may`, node);
}

function checkCall(call: ts.CallExpression, layer: number, complain: Complain): void {
  const callee = call.expression.getText();
  if (callee === "Promise.race" || callee === "AbortSignal.any") {
    complain(`must not call ${callee}: what waits parks through a Waiter`, call);
  }
  const [event] = call.arguments;
  if (
    layer !== KERNEL && callee.endsWith("addEventListener") && event &&
    ts.isStringLiteralLike(event) && event.text === "abort"
  ) {
    complain("must not listen to abort: what waits parks through a Waiter", call);
  }
}

Deno.exit(main() ? 0 : 1);
