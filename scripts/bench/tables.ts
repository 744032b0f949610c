// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A run as the tables of docs/bench.md.
 *
 * @module
 */

import {
  type BenchFile,
  contestantsOf,
  type Figure,
  figureOf,
  FLOOR,
  isPackage,
  OURS,
  type Row,
  runtimesOf,
  titleOf,
} from "./json.ts";
import { formatNumber } from "./report.ts";

/** Where and when, and what is missing. */
export function machineText(bench: BenchFile): string {
  const { cpu, cores, memoryGiB, os } = bench.machine;
  const list = (record: Record<string, string>): string =>
    Object.entries(record).map(([name, version]) => `${name} ${version}`).join(", ");
  const missing = Object.entries(bench.notMeasured);
  return block([
    `Run on ${bench.date.slice(0, 10)}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}.`,
    "",
    `- Runtimes: ${Object.keys(bench.runtimes).map((name) => titleOf(name, bench)).join(", ")}.`,
    `- Packages: ${list(bench.packages)}.`,
    ...missing.map(([name, why]) => `- Not measured: ${name}, ${why}.`),
  ]);
}

/** Ours beside the best of the packages, or of what the host offers; a line for each row. */
export function summaryTable(bench: BenchFile, of: "packages" | "host"): string {
  const bestOf = (row: Row, host: string): string | undefined =>
    contestantsOf(row, host).find((name) =>
      name !== OURS && name !== FLOOR && isPackage(name, bench) === (of === "packages") &&
      figureOf(row, host, name)?.toOurs // none where ours does not run, as in Go
    );
  const hosts = Object.keys(bench.runtimes)
    .filter((host) => bench.rows.some((row) => bestOf(row, host)));
  const rows = bench.rows.filter((row) => hosts.some((host) => bestOf(row, host)));
  return block([
    ...head(["", ...hosts.map((host) => titleOf(host, bench))]),
    ...rows.map((row) =>
      cells([row.title, ...hosts.map((host) => beside(row, host, bestOf(row, host)))])
    ),
  ]);
}

/** All figures, a table for each row. */
export function allTables(bench: BenchFile): string {
  const groups = [...new Set(bench.rows.map(({ group }) => group))];
  return block(groups.flatMap((group) => [
    `### ${group}`,
    "",
    ...bench.rows.filter((row) => row.group === group).flatMap((row) => [...table(row, bench), ""]),
  ]));
}

function table(row: Row, bench: BenchFile): string[] {
  const hosts = runtimesOf(row, bench);
  const names = [...new Set(hosts.flatMap((host) => contestantsOf(row, host)))];
  const grown = hosts.flatMap((host) => {
    const growth = figureOf(row, host, OURS)?.growth;
    return growth === undefined ? [] : [`${growth.toFixed(2)} on ${titleOf(host, bench)}`];
  });
  const higher = row.better === "higher" ? ", higher is better" : "";
  return [
    `**${row.title}** (\`${row.id}\`), ${row.unit}${higher}:`,
    "",
    ...head(["", ...hosts.map((host) => titleOf(host, bench))]),
    ...names.map((name) =>
      cells([
        name === OURS ? `**${name}**` : name,
        ...hosts.map((host) => value(figureOf(row, host, name))),
      ])
    ),
    ...(grown.length === 0 ? [] : ["", `Growth: ${grown.join(", ")}.`]),
  ];
}

function value(figure: Figure | undefined): string {
  if (figure === undefined) return "";
  const floors = figure.toFloor === undefined ? "" : ` (${formatNumber(figure.toFloor)})`;
  return `${formatNumber(figure.median)}${floors}`;
}

/** How many of ours a peer costs; bold where it is ahead of us. */
function beside(row: Row, host: string, peer: string | undefined): string {
  const ratio = peer && figureOf(row, host, peer)?.toOurs;
  if (!ratio) return "";
  const cost = row.better === "lower" ? ratio : 1 / ratio;
  const text = `${formatNumber(cost)} ${peer}`;
  return cost < 1 ? `**${text}**` : text;
}

function head(titles: readonly string[]): string[] {
  return [cells(titles), cells(titles.map((_, i) => i === 0 ? "---" : "--:"))];
}

function cells(texts: readonly string[]): string {
  return `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
}

function block(lines: readonly string[]): string {
  return ["", ...lines, ""].join("\n");
}
