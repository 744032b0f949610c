// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * A program that answers each line of its input by a line of JSON, and ends with its input.
 *
 * @module
 */

/** How long a program that was told to end may take. */
const END_MS = 5_000;

/** How one is started. */
export interface ProgramOptions {
  command: string;
  args: readonly string[];
  /** Where it runs. @default {the current directory} */
  cwd?: string;
  /** Variables added to those of this process. */
  env?: Record<string, string>;
}

/** One of them, running. */
export class Program implements AsyncDisposable {
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string, void>;
  /** What it complained of. */
  readonly #errors: Promise<string>;
  #late = false;

  constructor({ command, args, env, ...options }: ProgramOptions) {
    this.#name = [command, ...args].join(" ");
    this.#child = new Deno.Command(command, {
      ...options,
      args: [...args],
      env: { NO_COLOR: "1", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout);
    this.#errors = new Response(this.#child.stderr).text();
  }

  /** Sends a line and gives its answer. @throws {Error} If none comes within `ms`. */
  async ask<T>(line: string, ms: number): Promise<T> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`)).catch(() => {
      // It has ended: reading says so, and why.
    });
    return await this.next(ms);
  }

  /** The next line that it writes. @throws {Error} If none comes within `ms`. */
  async next<T>(ms: number): Promise<T> {
    const timer = setTimeout(() => {
      this.#late = true;
      this.#kill();
    }, ms);
    try {
      const { value, done } = await this.#lines.next();
      if (!done) return JSON.parse(value) as T;
    } finally {
      clearTimeout(timer);
    }
    const { code } = await this.#child.status;
    const why = this.#late ? `no answer in ${ms} ms` : `it ended with code ${code}`;
    throw new Error(`Cannot hear ${this.#name}: ${why} ${await this.#errors}`.trim());
  }

  /** Closes its input, and ends it if it does not end by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#kill(), END_MS);
    await this.#input.close().catch(() => {}); // it has ended
    for await (const _ of this.#lines) {
      // Whatever it still writes must not hold it up.
    }
    await this.#errors;
    await this.#child.status;
    clearTimeout(timer);
  }

  #kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
