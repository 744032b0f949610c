// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Small programs, each in a process of its own, on Deno, Bun and Node: for what only a whole process
 * shows, how it ends and what it prints.
 *
 * @module
 */

import { findBun, findDeno, findNode, type Host, prepareHosts } from "../hosts.ts";

/** A program, and how it must end. */
export interface Program {
  /** What it is about. */
  readonly name: string;
  /** The text of a module below the library's own. */
  readonly text: string;
  /** The exit code. @default {0} */
  readonly code?: number;
  /** All that it prints to its standard output. @default {"done"} */
  readonly stdout?: string;
  /** What its standard error has once; nothing at all if missing. */
  readonly stderr?: string;
  /** The hosts on which it is run. @default {all} */
  readonly on?: readonly Host["name"][];
}

/** A child that still runs after this time hangs. */
const LIMIT_MS = 20_000;
/** Children at a time: they mostly start up. */
const AT_A_TIME = 3;

/** What was run. */
export interface Run {
  programs: number;
  processes: number;
  /** Those that the time did not allow. */
  left: number;
}

/**
 * Runs every program on every host, in the order given, until `budgetMs` milliseconds are over.
 *
 * @throws If one ends in another way, hangs, or prints something else.
 */
export async function runAll(programs: readonly Program[], budgetMs: number): Promise<Run> {
  const folder = await prepareHosts();
  const hosts = await Promise.all([findDeno(), findBun(), findNode()]);
  const cases = programs.flatMap((program) =>
    hosts.filter(({ name }) => program.on?.includes(name) ?? true)
      .map((host) => ({ program, host }))
  );
  const end = performance.now() + budgetMs;
  const seen = new Set<Program>();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < cases.length && performance.now() < end) {
      const { program, host } = cases[next++]!;
      seen.add(program);
      await check(program, host, folder, next);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
  return { programs: seen.size, processes: next, left: cases.length - next };
}

async function check(program: Program, host: Host, folder: string, id: number): Promise<void> {
  const file = `prove_${Deno.pid}_${id}.ts`;
  await Deno.writeTextFile(`${folder}/${file}`, program.text);
  const child = new Deno.Command(host.command, {
    args: [...host.runArgs, ...(host.name === "Deno" ? ["--no-check", "--quiet"] : []), file],
    cwd: folder,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  let hangs = false;
  const limit = setTimeout(() => {
    hangs = true;
    child.kill("SIGKILL");
  }, LIMIT_MS);
  const output = await child.output();
  clearTimeout(limit);
  await Deno.remove(`${folder}/${file}`);
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).trim();
  const { code } = output, stdout = text(output.stdout), stderr = text(output.stderr);
  const wanted = program.stderr;
  const good = !hangs && code === (program.code ?? 0) && stdout === (program.stdout ?? "done") &&
    (wanted === undefined ? stderr === "" : stderr.split(wanted).length === 2);
  if (good) return;
  throw new Error(
    [
      `${program.name} on ${host.name} ${host.version}: must end with code ${
        program.code ?? 0
      } and print ${JSON.stringify(program.stdout ?? "done")}, got ${
        hangs ? `nothing for ${LIMIT_MS} ms` : `code ${code}`
      }`,
      `--- standard output\n${stdout}\n--- standard error\n${stderr}\n--- program\n${program.text}`,
    ].join("\n"),
  );
}
