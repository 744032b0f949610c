// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * The `package.json` of the npm package, the same whichever compiler built the rest.
 *
 * @module
 */

import deno from "../deno.json" with { type: "json" };

const REPOSITORY = "https://github.com/baozi-js/baozi";

/** A `package.json`, as far as we use it. */
export interface NpmPackage {
  name: string;
  version: string;
  description: string;
  keywords: string[];
  homepage: string;
  repository: { type: "git"; url: string };
  license: string;
  bugs: { url: string };
  type: "module";
  exports: Record<string, { types: string; default: string }>;
  files: string[];
  engines: { node: string };
  sideEffects: string[];
}

/** The package with one export for each of `deno.json`. */
export function npmPackage(): NpmPackage {
  const exports = Object.entries(deno.exports).map(([entry, file]) => {
    const built = file.replace("./", "./esm/").replace(/\.ts$/, "");
    return [entry, { types: `${built}.d.ts`, default: `${built}.js` }] as const;
  });
  return {
    name: "baozi",
    version: deno.version,
    description: deno.description,
    keywords: ["coroutine", "channel", "csp", "greenlet", "gevent", "task", "concurrency"],
    homepage: `${REPOSITORY}#readme`,
    repository: { type: "git", url: `git+${REPOSITORY}.git` },
    license: deno.license,
    bugs: { url: `${REPOSITORY}/issues` },
    type: "module",
    exports: Object.fromEntries(exports),
    // Must be said: else npm obeys npm/.gitignore, and packs nothing of what is built.
    files: ["esm", "src"],
    engines: { node: ">=20.16" },
    // One patches when it is imported; another waits for deadlocks. The main entry must be named, too:
    // else webpack and Rollup step over it to what it passes on, and never come to the deadlocks.
    sideEffects: ["./esm/mod.js", "./esm/src/deadlock.js", "./esm/src/patch/auto.js"],
  };
}
