// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A run as text for the terminal: a table with bars for each row, at most 100 columns wide.
 *
 * @module
 */

import {
  type BenchFile,
  contestantsOf,
  type Figure,
  FLOOR,
  OURS,
  type Row,
  runtimesOf,
  titleOf,
  type Unit,
} from "./json.ts";

/** How it is printed. */
export interface ReportOptions {
  /** Ours stands out, the floor steps back. @default {false} */
  colors?: boolean;
}

const NAME_WIDTH = 26;
const BAR_WIDTH = 20;
/** A bar longer than this many of ours is cut: one slow peer must not flatten the rest. */
const BAR_LIMIT = 10;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** The whole run. */
export function report(bench: BenchFile, options: ReportOptions = {}): string[] {
  const groups = [...new Set(bench.rows.map(({ group }) => group))];
  return [
    ...groups.flatMap((group) => [
      "",
      `==== ${group} ====`,
      ...bench.rows
        .filter((row) => row.group === group)
        .flatMap((row) => ["", ...reportRow(row, bench, options)]),
    ]),
    "",
    ...heading(bench),
  ];
}

/** One row, on all its runtimes. */
export function reportRow(row: Row, bench: BenchFile, options: ReportOptions = {}): string[] {
  const grows = Object.values(row.results)
    .some((figures) => Object.values(figures).some(({ growth }) => growth !== undefined));
  const head = [row.unit, "quartiles", "x floor", "x ours", ...(grows ? ["growth"] : [])];
  return [
    `${row.title} (${row.better} is better)`,
    line("", head),
    ...runtimesOf(row, bench).flatMap((runtime) => [
      `  ${titleOf(runtime, bench)}`,
      ...reportRuntime(row, runtime, grows, options),
    ]),
  ];
}

/** What is measured now, and how much of all is done. */
export function progressLine(done: number, of: number, what: string): string {
  const width = String(of).length;
  const full = Math.round(done / of * 20);
  const bar = "█".repeat(full) + "·".repeat(20 - full);
  return `${bar} ${String(done).padStart(width)}/${of} ${what}`.slice(0, 100);
}

/** With its unit, short enough for a table. */
export function formatValue(value: number, unit: Unit): string {
  return `${formatNumber(value)} ${unit}`;
}

/** Three digits of what is small, all of what is less than a million. */
export function formatNumber(value: number): string {
  if (value >= 1e6) return `${formatNumber(value / 1e6)} M`;
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function reportRuntime(
  row: Row,
  runtime: string,
  grows: boolean,
  { colors = false }: ReportOptions,
): string[] {
  const figures = row.results[runtime]!;
  const names = contestantsOf(row, runtime);
  const longest = Math.min(
    Math.max(...names.map((name) => figures[name]!.median)),
    BAR_LIMIT * (figures[OURS]?.median ?? Infinity),
  );
  return names.map((name) => {
    const text = line(`    ${name}`, cells(figures[name]!, grows)) +
      `  ${bar(figures[name]!.median / longest)}`;
    if (!colors || (name !== OURS && name !== FLOOR)) return text;
    return `\x1b[${name === OURS ? "1;36" : "2"}m${text}\x1b[0m`;
  });
}

function cells({ median, low, high, toFloor, toOurs, growth }: Figure, grows: boolean): string[] {
  const ratio = (value?: number): string => value === undefined ? "" : formatNumber(value);
  return [
    formatNumber(median),
    `${formatNumber(low)}-${formatNumber(high)}`,
    ratio(toFloor),
    ratio(toOurs),
    ...(grows ? [growth === undefined ? "" : `n^${growth.toFixed(2)}`] : []),
  ];
}

function line(name: string, [value, quartiles, ...rest]: readonly string[]): string {
  const [first, second] = [value!.padStart(11), quartiles!.padStart(16)];
  return name.slice(0, NAME_WIDTH).padEnd(NAME_WIDTH) + first + second +
    rest.map((cell) => cell.padStart(8)).join("");
}

/** A bar for 0 to 1; what is longer ends in an arrow. */
function bar(share: number): string {
  if (share > 1) return "█".repeat(BAR_WIDTH - 2) + " ▶";
  const eighths = Math.max(1, Math.round(share * BAR_WIDTH * 8));
  return "█".repeat(eighths >> 3) + EIGHTHS[eighths & 7];
}

function heading(bench: BenchFile): string[] {
  const { cpu, cores, memoryGiB, os } = bench.machine;
  const list = (record: Record<string, string>): string =>
    Object.entries(record).map(([name, version]) => `${name} ${version}`).join(", ");
  return [
    `${bench.date}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}`,
    ...wrap(list(bench.runtimes)),
    ...wrap(list(bench.packages)),
    ...Object.entries(bench.notMeasured).map(([name, why]) => `not measured: ${name}, ${why}`),
  ];
}

function wrap(text: string): string[] {
  return text.match(/.{1,98}(?:,? |$)/g)?.map((part) => part.trimEnd()) ?? [];
}
