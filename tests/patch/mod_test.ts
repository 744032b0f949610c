// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Patches go on in place, once, and come off as if they had never been.
 *
 * @module
 */

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fs from "node:fs";
import { test } from "node:test";
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import { promisify } from "node:util";
import { listen } from "../../src/_kernel/hooks.ts";
import { outsideWaits } from "../../src/_kernel/wait_list.ts";
import type { Waiter } from "../../src/_kernel/waiter.ts";
import {
  isPatched,
  original,
  type PartName,
  patch,
  patchAll,
  type PatchParts,
} from "../../src/patch/mod.ts";
import { spawn } from "../../src/spawn.ts";
import { noLeaks } from "../leaks.ts";

noLeaks();

const handle = setTimeout(() => {}, 0);
clearTimeout(handle);

/** What every part patches a piece of: object, key. */
const PLACES: ReadonlyArray<readonly [owner: object, key: PropertyKey]> = [
  [globalThis, "setTimeout"],
  [globalThis, "setInterval"],
  [globalThis, "clearTimeout"],
  [globalThis, "clearInterval"],
  [globalThis, "fetch"],
  [timers, "setTimeout"],
  [Object.getPrototypeOf(handle), "unref"],
  [Object.getPrototypeOf(handle), "close"],
  [Response.prototype, "text"],
  [Response.prototype, "json"],
  [Response.prototype, "clone"],
  [Response.prototype, "body"],
];

function descriptors(): Array<PropertyDescriptor | undefined> {
  return PLACES.map(([owner, key]) => Object.getOwnPropertyDescriptor(owner, key));
}

/** The global function that stands there now, whatever a file has bound. */
function now(key: "setTimeout" | "fetch"): unknown {
  return Reflect.get(globalThis, key);
}

test("patchAll() replaces the functions of the host, and its disposal puts the very same ones back", () => {
  const before = descriptors();
  using patched = patchAll();
  const during = descriptors();
  for (const [i, [, key]] of PLACES.entries()) {
    // Bun's getter cannot be replaced.
    const fixed = before[i]!.get !== undefined && !before[i]!.configurable;
    const same = before[i]!.get === during[i]!.get && before[i]!.value === during[i]!.value;
    assertEquals(same, fixed, String(key));
    assertEquals(during[i]!.enumerable, before[i]!.enumerable);
    assertEquals(during[i]!.configurable, before[i]!.configurable);
  }
  patched[Symbol.dispose]();
  assertEquals(descriptors(), before);
  for (const [i, after] of descriptors().entries()) {
    assertStrictEquals(after!.value, before[i]!.value);
    assertStrictEquals(after!.get, before[i]!.get);
    assertStrictEquals(after!.set, before[i]!.set);
  }
});

test("patchAll() names the parts that it holds, in their order", () => {
  using patched = patchAll();
  const all: PartName[] = ["timers", "fetch", "fs", "net", "dns", "childProcess", "streams"];
  assertEquals(patched.parts, all);
  assert(Object.isFrozen(patched.parts));
  for (const name of all) assert(isPatched(name), name);
  patched[Symbol.dispose]();
  for (const name of all) assert(!isPatched(name), name);
  assertEquals(patched.parts, all);
});

test("patch() patches only what it is told to", () => {
  const { fetch, setTimeout } = globalThis;
  using patched = patch({ streams: false, fetch: true, timers: undefined });
  assertEquals(patched.parts, ["fetch"]);
  assert(now("fetch") !== fetch);
  assertStrictEquals(now("setTimeout"), setTimeout);
  patched[Symbol.dispose]();
  assertEquals(patch({}).parts, []);
  assertStrictEquals(now("fetch"), fetch);
});

test("patch() counts its holders: the last disposal of them unpatches, each counts once", () => {
  const before = now("fetch");
  using first = patch({ fetch: true });
  const ours = now("fetch");
  using second = patch({ fetch: true, timers: true });
  assertStrictEquals(now("fetch"), ours);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assertStrictEquals(now("fetch"), ours);
  assert(isPatched("fetch"));
  second[Symbol.dispose]();
  second[Symbol.dispose]();
  assertStrictEquals(now("fetch"), before);
  assert(!isPatched("fetch"));
  using third = patch({ fetch: true });
  assert(now("fetch") !== before);
  third[Symbol.dispose]();
  assertStrictEquals(now("fetch"), before);
});

test("patch() leaves what somebody else has put over it, and ours becomes a mere passage", async () => {
  const before = Object.getOwnPropertyDescriptor(globalThis, "setTimeout")!;
  using patched = patch({ timers: true });
  const ours = globalThis.setTimeout;
  let calls = 0;
  const theirs = ((...args: Parameters<typeof setTimeout>) => {
    calls++;
    return ours(...args);
  }) as typeof setTimeout;
  try {
    globalThis.setTimeout = theirs;
    const waits = outsideWaits();
    await spawn(() => {
      clearTimeout(globalThis.setTimeout(() => {}, 60_000));
      const handle = globalThis.setTimeout(() => {}, 60_000);
      assertEquals([outsideWaits() - waits, calls], [1, 2]);
      clearTimeout(handle);
    });
    patched[Symbol.dispose]();
    assertStrictEquals(globalThis.setTimeout, theirs);
    await spawn(() => {
      const handle = globalThis.setTimeout(() => {}, 60_000);
      assertEquals([outsideWaits() - waits, calls], [0, 3]);
      clearTimeout(handle);
    });
    // Patched once more, on top of theirs: one call is one wait.
    using again = patch({ timers: true });
    assert(globalThis.setTimeout !== theirs);
    await spawn(() => {
      const handle = globalThis.setTimeout(() => {}, 60_000);
      assertEquals([outsideWaits() - waits, calls], [1, 4]);
      clearTimeout(handle);
    });
    again[Symbol.dispose]();
    assertStrictEquals(globalThis.setTimeout, theirs);
  } finally {
    Object.defineProperty(globalThis, "setTimeout", before);
  }
});

test("patch() keeps name, length and own properties of what it replaces", () => {
  const before = globalThis.setTimeout;
  const beforeFetch = globalThis.fetch;
  using patched = patchAll();
  assertEquals([setTimeout.name, setTimeout.length], [before.name, before.length]);
  assertStrictEquals(promisify(setTimeout) as unknown, timersPromises.setTimeout);
  assertEquals(Reflect.ownKeys(setTimeout), Reflect.ownKeys(before));
  assertEquals([fetch.name, fetch.length], [beforeFetch.name, beforeFetch.length]);
  assertEquals(
    new Set(Reflect.ownKeys(fetch)),
    new Set(Reflect.ownKeys(beforeFetch)),
  );
  assertStrictEquals(globalThis.setTimeout, timers.setTimeout, "one function in two places");
  patched[Symbol.dispose]();
});

test("original() gives the function of the host, patched or not", () => {
  const names = [
    "fetch",
    "setTimeout",
    "timers.promises.setTimeout",
    "fs.readFile",
    "Response.text",
  ];
  const before = names.map((name) => original(name));
  assertStrictEquals(original("fetch"), fetch);
  assertStrictEquals(original("setTimeout"), setTimeout);
  assertStrictEquals(original("fs.readFile"), fs.readFile);
  using patched = patchAll();
  assertEquals(names.map((name) => original(name)), before);
  assert(original("fetch") !== fetch);
  assert(original("fs.readFile") !== fs.readFile);
  patched[Symbol.dispose]();
});

test("original() knows the names that the documentation says", () => {
  for (
    const name of [
      "fetch",
      "setTimeout",
      "setInterval",
      "timers.promises.setTimeout",
      "timers.promises.scheduler.wait",
      "fs.readFile",
      "fs.promises.readFile",
      "dns.lookup",
      "child_process.spawn",
      "stream.promises.pipeline",
      "events.once",
    ]
  ) assertEquals(typeof original(name), "function", name);
});

test("patch() refuses what is no part, original() what nobody has", () => {
  const wrong: Array<[unknown, string]> = [
    [undefined, "Cannot patch: parts must be an object, got undefined"],
    [null, "Cannot patch: parts must be an object, got null"],
    ["fetch", 'Cannot patch: parts must be an object, got "fetch"'],
    [{ fetch: 1 }, "Cannot patch: fetch must be a boolean, got 1"],
    [{ fetch: null }, "Cannot patch: fetch must be a boolean, got null"],
    [{ timers: true, sockets: true }, 'got "sockets"'],
  ];
  for (const [parts, message] of wrong) {
    assertThrows(() => patch(parts as PatchParts), TypeError, message);
    assert(!isPatched("timers"), "one wrong key patches nothing");
  }
  assertThrows(() => isPatched("sockets" as "net"), TypeError, 'got "sockets"');
  assertThrows(() => original("fs.readFileSync"), TypeError, 'got "fs.readFileSync"');
  assertThrows(() => original(7 as unknown as string), TypeError, "got 7");
});

test("a patched call is heard by who traces: it parks in its task, under its name, and ends", async () => {
  using _ = patch({ timers: true, fs: true });
  const heard: string[] = [];
  const names = new Map<Waiter, string>();
  const stop = listen({
    parked: (waiter) => {
      if (waiter.context?.task !== task) return;
      names.set(waiter, `${waiter.list?.verb} ${waiter.list?.owner.name}`);
      heard.push(`parked: ${names.get(waiter)}`);
    },
    ended: (waiter) => {
      if (names.has(waiter)) heard.push(`ended: ${names.get(waiter)}`);
    },
  });
  const task = spawn(async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await fs.promises.stat(".");
  });
  await task;
  stop();
  assertEquals(heard, [
    "parked: setTimeout 1 ms",
    "ended: setTimeout 1 ms",
    "parked: fs.promises.stat .",
    "ended: fs.promises.stat .",
  ]);
});

test("patch() is undone by using", () => {
  const before = now("fetch");
  {
    using _ = patch({ fetch: true });
    assert(now("fetch") !== before);
  }
  assertStrictEquals(now("fetch"), before);
});
