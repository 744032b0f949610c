// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * The most telling rows of a run as one SVG: ours, the floor and the best peers, side by side on
 * each runtime.
 *
 * @module
 */

// Each box has a scale of its own, which begins at zero: the question is how ours stands beside the
// others on that runtime. Dropped: one scale for a whole row, where the dearest runtime leaves the
// others a few pixels; and a logarithmic one, where a peer of twice our time looks like an equal.

import {
  type BenchFile,
  contestantsOf,
  figureOf,
  FLOOR,
  isPackage,
  OURS,
  type Row,
  titleOf,
} from "./json.ts";
import { formatNumber } from "./report.ts";

/** The rows shown, in order. */
export const TELLING: readonly string[] = [
  "send-receive-0",
  "for-await-64",
  "fan-100-100",
  "select-8",
  "greenlet-switch",
  "spawn-join-1000",
  "pool-map",
  "pipeline",
  "receive-timeout",
  "memory-task",
];

/** How the chart is drawn. */
export interface ChartOptions {
  /** The ids of the rows. @default {TELLING} */
  rows?: readonly string[];
}

const WIDTH = 900;
const MARGIN = 24;
/** Where the names of the contestants stand. */
const NAMES = 152;
/** Room for the figure behind the longest bar. */
const VALUE = 62;
const GAP = 12;
const LINE = 19;
const BAR = 11;
const BAND_HEAD = 30;
const BAND_GAP = 16;
/** The peers of a row. */
const PEERS = 3;
/** Of these, what the host offers by itself. */
const HOST_PEERS = 1;
/** What is longer than this many of ours is cut: one slow peer must not flatten the rest. */
const LIMIT = 6;

// A background of its own: a page may be dark where the system is light.
const STYLE = `
  svg { color-scheme: light dark; font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }
  .page { fill: #ffffff; stroke: #d5dae1; }
  text { fill: #1f2430; font-size: 13px; }
  .head { font-size: 21px; font-weight: 700; }
  .band, .host, .strong { font-weight: 650; }
  .soft { fill: #586071; }
  .value, .foot { font-size: 12px; }
  .value { font-variant-numeric: tabular-nums; }
  .rule { stroke: #d5dae1; }
  .ours { fill: #c2500c; }
  .floor { fill: #8f99a8; }
  .package { fill: #4f73a8; }
  .host-peer { fill: #3d8f84; }
  .cut { stroke: #ffffff; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #12161d; stroke: #323945; }
    text { fill: #e8ebf1; }
    .soft { fill: #a3acbb; }
    .rule { stroke: #323945; }
    .ours { fill: #ff9142; }
    .floor { fill: #6a7485; }
    .package { fill: #7fa6da; }
    .host-peer { fill: #63b8aa; }
    .cut { stroke: #12161d; }
  }`;

/** The SVG. @throws {Error} If one of the rows, or every runtime, is missing. */
export function chart(bench: BenchFile, { rows = TELLING }: ChartOptions = {}): string {
  const bands = rows.map((id) => {
    const row = bench.rows.find((row) => row.id === id);
    if (row !== undefined) return row;
    throw new Error(`Cannot draw the chart: the run must have the row ${id}`);
  });
  const hosts = Object.keys(bench.runtimes)
    .filter((host) => bands.some((row) => figureOf(row, host, OURS) !== undefined));
  if (hosts.length === 0) throw new Error("Cannot draw the chart: a runtime must have been run");
  const columns = columnsOf(hosts);
  const parts: string[] = [];
  let y = 44;
  parts.push(text(MARGIN, y, "baozi beside its peers", "head"));
  parts.push(...legend(y));
  y += 26;
  const what =
    "The median per operation; a shorter bar is better, unless the row says otherwise. " +
    "Bars compare within a row and a runtime.";
  parts.push(text(MARGIN, y, what, "soft"));
  y += 34;
  for (const { host, x } of columns) parts.push(text(x, y, titleOf(host, bench), "host"));
  y += 10;
  for (const row of bands) {
    parts.push(rule(y));
    y += 22;
    const more = row.better === "higher" ? ", longer is better" : "";
    parts.push(text(MARGIN, y, row.title, "band", `, ${row.unit}${more}`));
    y += BAND_HEAD - 22;
    const names = shown(row, hosts, bench);
    for (const name of names) {
      const kind = kindOf(name, bench);
      parts.push(...lineOf(row, { name, kind, longest: longestOf(row, names) }, columns, y));
      y += LINE;
    }
    y += BAND_GAP;
  }
  parts.push(rule(y));
  for (const line of footer(bench, hosts)) {
    y += 20;
    parts.push(text(MARGIN, y, line, "foot soft"));
  }
  const height = y + 20;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">The speed of baozi beside its peers</title>`,
    `<desc id="desc">${escape(describe(bands, hosts, bench))}</desc>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8" />`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

/** Where the boxes of a runtime stand. */
interface Column {
  host: string;
  x: number;
  width: number;
}

function columnsOf(hosts: readonly string[]): Column[] {
  const width = (WIDTH - 2 * MARGIN - NAMES) / hosts.length;
  return hosts.map((host, i) => ({ host, x: MARGIN + NAMES + i * width, width: width - GAP }));
}

/** The floor, ours, and the peers that come nearest to ours or pass it, all runtimes together. */
function shown(row: Row, hosts: readonly string[], bench: BenchFile): string[] {
  const names = new Set(hosts.flatMap((host) => contestantsOf(row, host)));
  const first = [FLOOR, OURS].filter((name) => names.delete(name));
  const cost = (name: string): number => {
    const logs = hosts.flatMap((host) => {
      const [its, ours] = [figureOf(row, host, name), figureOf(row, host, OURS)];
      if (its === undefined || ours === undefined) return [];
      return [Math.log(its.median / ours.median) * (row.better === "lower" ? 1 : -1)];
    });
    return logs.reduce((sum, log) => sum + log, 0) / logs.length;
  };
  const peers = [...names].map((name) => ({ name, cost: cost(name) }))
    .filter((peer) => !Number.isNaN(peer.cost))
    .sort((a, b) => a.cost - b.cost);
  const ofHost = peers.filter(({ name }) => !isPackage(name, bench)).slice(HOST_PEERS);
  const told = peers.filter((peer) => !ofHost.includes(peer)).slice(0, PEERS);
  return [...first, ...told.map(({ name }) => name)];
}

type Kind = "ours" | "floor" | "package" | "host-peer";

function kindOf(name: string, bench: BenchFile): Kind {
  if (name === OURS || name === FLOOR) return name === OURS ? "ours" : "floor";
  return isPackage(name, bench) ? "package" : "host-peer";
}

/** One contestant of a row. */
interface Line {
  name: string;
  kind: Kind;
  /** What the full width of a box stands for. */
  longest(host: string): number;
}

function lineOf(
  row: Row,
  { name, kind, longest }: Line,
  columns: readonly Column[],
  y: number,
): string[] {
  const base = y + 13;
  return [
    text(MARGIN, base, name, kind === "ours" ? "strong" : "soft"),
    ...columns.flatMap(({ host, x, width }) => {
      const figure = figureOf(row, host, name);
      if (figure === undefined) return [text(x, base, "–", "value soft")];
      const room = width - VALUE;
      const share = figure.median / longest(host);
      const end = Math.max(2, round(Math.min(share, 1) * room));
      const top = y + (LINE - BAR) / 2;
      return [
        `<rect class="${kind}" x="${x}" y="${top}" width="${end}" height="${BAR}" rx="1.5" />`,
        ...(share > 1 ? [cut(x + room - 16, top)] : []),
        text(
          round(x + end + 6),
          base,
          short(figure.median),
          kind === "ours" ? "value strong" : "value",
        ),
      ];
    }),
  ];
}

function longestOf(row: Row, names: readonly string[]): Line["longest"] {
  return (host) => {
    const medians = names.map((name) => figureOf(row, host, name)?.median ?? 0);
    const ours = figureOf(row, host, OURS)?.median ?? Infinity;
    return Math.max(Math.min(Math.max(...medians), LIMIT * ours), Number.MIN_VALUE);
  };
}

/** The mark of a bar that goes on. */
function cut(x: number, y: number): string {
  const slash = (at: number): string => `M${round(at)} ${y + BAR + 1}l5 ${-BAR - 2}`;
  return `<path class="cut" d="${slash(x)}${slash(x + 5)}" stroke-width="2" />`;
}

function short(median: number): string {
  if (median < 1_000) return formatNumber(Number(median.toPrecision(3)));
  const [divisor, letter] = median < 1e6 ? [1e3, "k"] : median < 1e9 ? [1e6, "M"] : [1e9, "G"];
  return `${formatNumber(Number((median / divisor).toPrecision(3)))} ${letter}`;
}

function legend(y: number): string[] {
  const entries = [
    ["ours", "baozi"],
    ["floor", "floor: a bare await"],
    ["package", "the best packages"],
    ["host-peer", "the host alone"],
  ] as const satisfies [Kind, string][];
  let x = WIDTH - MARGIN - 532;
  return entries.flatMap(([kind, label]) => {
    const from = x;
    x += 40 + label.length * 7;
    return [
      `<rect class="${kind}" x="${from}" y="${y - 11}" width="12" height="12" rx="2" />`,
      text(from + 18, y, label),
    ];
  });
}

function footer(bench: BenchFile, hosts: readonly string[]): string[] {
  const { date, machine, packages, runtimes, notMeasured } = bench;
  const versions = [
    ...Object.keys(runtimes).filter((name) => !hosts.includes(name))
      .map((name) => titleOf(name, bench)),
    ...Object.entries(packages).map(([name, version]) => `${name} ${version}`),
  ];
  const missing = Object.entries(notMeasured).map(([name, why]) => `${name}, ${why}`);
  const { cpu, cores, memoryGiB, os } = machine;
  return [
    `${date.slice(0, 10)}, ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}`,
    ...wrap("", versions, ", "),
    ...(missing.length === 0 ? [] : wrap("Not measured: ", missing, "; ")),
    "A bar with two cuts goes on; its figure is whole. k is 1,000, M is 1,000,000.",
  ];
}

/** As many to a line as fit. */
function wrap(start: string, items: readonly string[], comma: string): string[] {
  const lines = [start];
  for (const [i, item] of items.entries()) {
    const piece = i === items.length - 1 ? item : `${item}${comma}`;
    if (lines.at(-1)!.length + piece.length > 132) lines.push("");
    lines[lines.length - 1] += piece;
  }
  return lines;
}

/** Each row in a sentence, with the span over the runtimes. */
function describe(rows: readonly Row[], hosts: readonly string[], bench: BenchFile): string {
  const sentences = rows.map((row) => {
    const parts = shown(row, hosts, bench).map((name) => {
      const medians = hosts.flatMap((host) => figureOf(row, host, name)?.median ?? []);
      const [least, most] = [Math.min(...medians), Math.max(...medians)].map(short);
      return `${name} ${least === most ? least : `${least} to ${most}`}`;
    });
    return `${row.title}, in ${row.unit}, ${row.better} is better: ${parts.join(", ")}.`;
  });
  return `From the lowest to the highest of ${hosts.length} runtimes. ${sentences.join(" ")}`;
}

function text(x: number, y: number, content: string, kind = "", more = ""): string {
  const name = kind === "" ? "" : ` class="${kind}"`;
  const span = more === "" ? "" : `<tspan class="soft" font-weight="400">${escape(more)}</tspan>`;
  return `<text${name} x="${x}" y="${y}">${escape(content)}${span}</text>`;
}

function rule(y: number): string {
  return `<path class="rule" d="M${MARGIN} ${y}H${WIDTH - MARGIN}" />`;
}

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
