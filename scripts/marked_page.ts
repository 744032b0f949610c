// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Pages of which a part is written by a program: what stands between two marks is replaced, the
 * rest is left to people.
 *
 * @module
 */

/**
 * `page` with `text` between the two marks called `name`.
 *
 * @throws {Error} If `page` does not have them.
 */
export function between(page: string, name: string, text: string): string {
  const begin = `<!-- ${name} -->\n`, end = `\n<!-- /${name} -->`;
  const from = page.indexOf(begin), to = page.indexOf(end);
  if (from < 0 || to < from) {
    throw new Error(`Cannot write page: it must have the marks of ${name}`);
  }
  return page.slice(0, from + begin.length) + text + page.slice(to);
}

/** Markdown as `deno fmt` writes it. */
export async function formatted(page: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--ext", "md", "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = child.output();
  await new Response(page).body!.pipeTo(child.stdin);
  return new TextDecoder().decode((await output).stdout);
}
