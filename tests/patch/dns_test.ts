// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import dns from "node:dns";
import { after, test } from "node:test";
import util from "node:util";
import { patch } from "../../src/patch/mod.ts";
import { spawn } from "../../src/spawn.ts";
import { currentTask } from "../../src/task.ts";
import { withTimeout } from "../../src/timeout.ts";
import { idle } from "../idle.ts";
import { noLeaks } from "../leaks.ts";
import { rejection } from "../outcome.ts";
import { livingTask } from "../waits.ts";
import { assertEndsWithTask, waitsOf } from "./ends.ts";

noLeaks();

// Nobody out there is asked: nobody listens to this port. First: Node puts new functions in the places.
const servers = dns.getServers();
dns.setServers(["127.0.0.1:9"]);
const before = { lookup: dns.lookup, promised: dns.promises.lookup };
const patched = patch({ dns: true });
after(() => {
  patched[Symbol.dispose]();
  dns.setServers(servers);
});

const QUESTIONS = [
  "resolve",
  "resolve4",
  "resolve6",
  "resolveMx",
  "resolveTxt",
  "reverse",
] as const;
const ask = (name: string) => name === "reverse" ? "127.0.0.1" : "localhost";

test("questions of dns.promises end with their task", async () => {
  for (const name of ["lookup", ...QUESTIONS] as const) {
    await assertEndsWithTask(
      `dns.promises.${name} ${ask(name)}`,
      () => dns.promises[name](ask(name)),
    );
  }
});

test("questions of dns with a callback end with their task", async () => {
  for (const name of ["lookup", ...QUESTIONS] as const) {
    const question = dns[name] as (host: string, callback: (error: unknown) => void) => void;
    const called = (host: string): Promise<void> =>
      new Promise((resolve, reject) => {
        question(host, (error) => error ? reject(error) : resolve());
      });
    await assertEndsWithTask(`dns.${name} ${ask(name)}`, () => called(ask(name)));
  }
});

test("what util.promisify makes of dns.lookup() ends with its task", async () => {
  const lookup = util.promisify(dns.lookup);
  const living = await livingTask();
  const looking = living.call(() => lookup("localhost"));
  assertEquals(waitsOf(living.task).map((wait) => wait.replace(".promises", "")), [
    "dns.lookup localhost",
  ]);
  const reason = new Error("killed");
  void living.task.kill(reason);
  assertStrictEquals(await rejection(looking), reason);
  await living.end();
});

test("dns.lookup() gives in a task what it gives outside", async () => {
  const lookup = async (): Promise<unknown> => [
    await dns.promises.lookup("127.0.0.1"),
    await util.promisify(dns.lookup)("127.0.0.1", { all: true }),
  ];
  const expected = await lookup();
  assertEquals(expected, [
    { address: "127.0.0.1", family: 4 },
    [{ address: "127.0.0.1", family: 4 }],
  ]);
  assertEquals(await spawn(lookup), expected);
  assertEquals(await withTimeout(60_000, lookup), expected);
});

test("a callback of dns is called once and in its task", async () => {
  const living = await livingTask();
  const calls: unknown[] = [];
  living.call(() => dns.lookup("localhost", (error) => calls.push(error, currentTask())));
  const reason = new Error("killed");
  void living.task.kill(reason);
  await idle();
  assertEquals(calls, [reason, living.task]);
  await dns.promises.lookup("localhost");
  await idle();
  assertEquals(calls.length, 2);
  await living.end();
});

test("taking the part out puts the very functions of dns back", () => {
  assert(dns.lookup !== before.lookup && dns.promises.lookup !== before.promised);
  patched[Symbol.dispose]();
  assertStrictEquals(dns.lookup, before.lookup);
  assertStrictEquals(dns.promises.lookup, before.promised);
});
