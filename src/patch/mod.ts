// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * I/O that knows nothing of this library, made to end with the task that called it: timers, `fetch`,
 * and functions of the host's modules, patched in place and put back again.
 *
 * @module
 */

// Invariants
//  1. The order of PARTS is the one of `parts`; each is in it once.
//  2. What one call has put on, its disposal takes off, once.
// Source: gevent's monkey patching. Dropped: patches for the length of a body: async code that begins
// in it and ends later would change under its feet.

import { childProcessPart } from "./child_process.ts";
import { dnsPart } from "./dns.ts";
import { fetchPart } from "./fetch.ts";
import { fsPart } from "./fs.ts";
import { netPart } from "./net.ts";
import { type PartName, PatchedPart } from "./parts.ts";
import { streamsPart } from "./streams.ts";
import { timersPart } from "./timers.ts";

export type { PartName } from "./parts.ts";

const PARTS: readonly PatchedPart[] = [
  timersPart,
  fetchPart,
  fsPart,
  netPart,
  dnsPart,
  childProcessPart,
  streamsPart,
].map((part) => new PatchedPart(part));

/** What to patch; a part that is missing or `false` is left alone. */
export interface PatchParts {
  /** `setTimeout`, `setInterval`, and `node:timers/promises`. @default {false} */
  timers?: boolean | undefined;
  /** `fetch`, and the bodies of its responses. @default {false} */
  fetch?: boolean | undefined;
  /** `node:fs` and `node:fs/promises`, but for what is synchronous. @default {false} */
  fs?: boolean | undefined;
  /** `node:http` and `node:https` requests, and connecting sockets. @default {false} */
  net?: boolean | undefined;
  /** `node:dns` and `node:dns/promises`. @default {false} */
  dns?: boolean | undefined;
  /** `node:child_process`, but for what is synchronous. @default {false} */
  childProcess?: boolean | undefined;
  /** `node:stream/promises`, and `once` and `on` of `node:events`. @default {false} */
  streams?: boolean | undefined;
}

/** What a patch holds on; disposing of it lets go. Twice is harmless. */
export interface Patched extends Disposable {
  /** The parts that it holds; a part that this host does not have is not among them. */
  readonly parts: readonly PartName[];
}

/**
 * Patches everything that {@linkcode patch} can.
 *
 * @example Unmodified code ends with its task
 * ```ts
 * import { spawn } from "@baozi/baozi";
 * import { patchAll } from "@baozi/baozi/patch";
 * import { assertEquals } from "@std/assert";
 *
 * const patched = patchAll();
 * const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
 * const task = spawn(() => pause(60_000));
 * await pause(0);
 * await task.kill();
 * assertEquals(task.state, "killed");
 * patched[Symbol.dispose]();
 * ```
 */
export function patchAll(): Patched {
  return new Hold(PARTS);
}

/**
 * Replaces functions of the host, in place, by ones that know tasks: called inside a task, a limit or
 * a scope each is a wait of this library, which a kill ends with its reason, and which `dump` names.
 * Called anywhere else it is the host's: nothing is added. Synchronous. Patching twice is one patch,
 * which stays until both are disposed of; then the very same functions are put back, except where
 * somebody else has replaced ours: theirs stays.
 *
 * @param parts What to patch.
 * @throws {TypeError} If `parts` is no object, has an unknown key, or a value that is no boolean.
 *
 * @example Timers alone, for a while
 * ```ts
 * import { patch } from "@baozi/baozi/patch";
 * import { assertEquals, assertStrictEquals } from "@std/assert";
 *
 * const before = setTimeout;
 * const patched = patch({ timers: true });
 * assertEquals([patched.parts, setTimeout === before], [["timers"], false]);
 * patched[Symbol.dispose]();
 * assertStrictEquals(setTimeout, before);
 * ```
 */
export function patch(parts: PatchParts): Patched {
  if (typeof parts !== "object" || parts === null) {
    throw new TypeError(`Cannot patch: parts must be an object, got ${nameOf(parts)}`);
  }
  const wanted = new Set<PatchedPart>();
  for (const [name, value] of Object.entries(parts)) {
    const part = partCalled("patch", name);
    if (value !== undefined && typeof value !== "boolean") {
      throw new TypeError(`Cannot patch: ${name} must be a boolean, got ${nameOf(value)}`);
    }
    if (value === true) wanted.add(part);
  }
  return new Hold(PARTS.filter((part) => wanted.has(part)));
}

/**
 * Whether a part is patched, by anybody.
 *
 * @throws {TypeError} If there is no such part.
 *
 * @example Before and after
 * ```ts
 * import { isPatched, patch } from "@baozi/baozi/patch";
 * import { assertEquals } from "@std/assert";
 *
 * const patched = patch({ fetch: true });
 * assertEquals([isPatched("fetch"), isPatched("fs")], [true, false]);
 * patched[Symbol.dispose]();
 * ```
 */
export function isPatched(part: PartName): boolean {
  return partCalled("look at patch", part).on;
}

/**
 * The host's own function, patched or not: `"fetch"`, `"setTimeout"`, `"fs.readFile"`,
 * `"fs.promises.readFile"`, `"dns.lookup"`. A method of an object wants it as `this`.
 *
 * @throws {TypeError} If no part has a function of this name on this host.
 *
 * @example A timer that no kill reaches
 * ```ts
 * import { original, patch } from "@baozi/baozi/patch";
 * import { assertStrictEquals } from "@std/assert";
 *
 * const before = setTimeout;
 * const patched = patch({ timers: true });
 * assertStrictEquals(original("setTimeout"), before);
 * patched[Symbol.dispose]();
 * ```
 */
// deno-lint-ignore no-explicit-any -- the caller knows its type
export function original<Fn extends (...args: any[]) => unknown>(name: string): Fn {
  for (const part of PARTS) {
    const host = part.original(name);
    if (host !== undefined) return host as Fn;
  }
  throw new TypeError(
    `Cannot give original: name must be one that a part of patch() has on this host, got ${
      nameOf(name)
    }`,
  );
}

/** One hold on some parts. */
class Hold implements Patched {
  readonly parts: readonly PartName[];
  #held: readonly PatchedPart[];

  constructor(parts: readonly PatchedPart[]) {
    this.#held = parts.filter((part) => part.there);
    this.parts = Object.freeze(this.#held.map(({ name }) => name));
    for (const part of this.#held) part.hold();
  }

  [Symbol.dispose](): void {
    const held = this.#held;
    this.#held = [];
    for (const part of held) part.release();
  }
}

function partCalled(verb: string, name: unknown): PatchedPart {
  const part = PARTS.find((part) => part.name === name);
  if (part !== undefined) return part;
  const names = PARTS.map(({ name }) => name).join(", ");
  throw new TypeError(`Cannot ${verb}: the part must be one of ${names}, got ${nameOf(name)}`);
}

function nameOf(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return value === null || typeof value === "boolean" || typeof value === "number"
    ? String(value)
    : typeof value;
}
