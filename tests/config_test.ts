// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The switches, and that they cost nothing to those who leave them alone.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Channel } from "../src/channel.ts";
import { config } from "../src/config.ts";
import { dump } from "../src/dump.ts";
import { spawn } from "../src/spawn.ts";
import { idle } from "./idle.ts";
import { noLeaks } from "./leaks.ts";

noLeaks();

test("config is all off by default", () => {
  assertEquals({ ...config }, { spawnStacks: false, waitTimes: false });
});

test("config knows no other switch", () => {
  assertThrows(() => {
    (config as unknown as Record<string, boolean>).spawnStack = true;
  }, TypeError);
});

test("config.spawnStacks and waitTimes count from when they are changed, both ways", async () => {
  const jobs = new Channel<number>();
  const spawnOne = async () => {
    spawn(() => jobs.receive());
    await idle();
  };
  await spawnOne();
  config.spawnStacks = config.waitTimes = true;
  await spawnOne();
  config.spawnStacks = config.waitTimes = false;
  await spawnOne();
  assertEquals(
    dump().tasks.map((
      { waits, spawnedAt },
    ) => [waits[0]?.ms !== undefined, spawnedAt === undefined]),
    [[false, true], [true, false], [false, true]],
  );
  for (let i = 0; i < 3; i++) await jobs.send(i);
  await idle();
});
