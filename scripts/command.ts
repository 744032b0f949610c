// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Runs another program and says how it ended. A program that cannot be started is a failed one,
 * with the reason as its output.
 *
 * @module
 */

/** How a program is run. */
export interface RunOptions {
  /** Where it runs. @default {the current directory} */
  cwd?: string;
  /** Variables added to those of this process. */
  env?: Record<string, string>;
  /** Passes its output on as it comes instead of collecting it. @default {false} */
  show?: boolean;
  /** Ends it when aborted. */
  signal?: AbortSignal;
}

/** How a program ended. */
export interface Outcome {
  success: boolean;
  /** Both output streams, in order of arrival; empty when shown. */
  output: string;
}

/** Runs `command` to its end. */
export async function run(
  command: string,
  args: readonly string[],
  { cwd, env, show = false, signal }: RunOptions = {},
): Promise<Outcome> {
  const stream = show ? "inherit" : "piped";
  // Colours would end up in logs and in comparisons: programs guess wrong about a pipe under CI.
  const plain = show && Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" };
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: stream,
      stderr: stream,
      env: { ...plain, ...env },
      ...(cwd === undefined ? {} : { cwd }),
      ...(signal === undefined ? {} : { signal }),
    }).spawn();
  } catch (error) {
    return { success: false, output: `Cannot start ${command}: ${(error as Error).message}` };
  }
  if (show) return { success: (await child.status).success, output: "" };
  const decoder = new TextDecoder();
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const chunk of stream) output += decoder.decode(chunk);
  };
  await Promise.all([collect(child.stdout), collect(child.stderr)]);
  return { success: (await child.status).success, output };
}

/** Runs `command` to its end and gives its standard output, or throws what it said. */
export async function read(
  command: string,
  args: readonly string[],
  options: Pick<RunOptions, "cwd"> = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    stdin: "null",
    env: { NO_COLOR: "1" },
    ...options,
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).trim();
  if (success) return text(stdout);
  throw new Error(`Cannot run ${[command, ...args].join(" ")}: ${text(stderr) || text(stdout)}`);
}
