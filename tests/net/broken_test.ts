// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { BrokenError } from "../../src/errors.ts";
import { broken, codeOf } from "../../src/net/broken.ts";
import { hostError } from "./fake_wire.ts";

/** As Deno's classes: they have a name, and often no code. */
function named(name: string, message = ""): Error {
  return Object.assign(new Error(message), { name });
}

test("codeOf() is the host's code, or that of its class, or none", () => {
  assertEquals(codeOf(hostError("ECONNRESET")), "ECONNRESET");
  for (
    const [name, code] of [
      ["AddrInUse", "EADDRINUSE"],
      ["BrokenPipe", "EPIPE"],
      ["ConnectionRefused", "ECONNREFUSED"],
      ["ConnectionReset", "ECONNRESET"],
      ["NotConnected", "ENOTCONN"],
      ["NotFound", "ENOENT"],
      ["PermissionDenied", "EACCES"],
    ]
  ) assertEquals(codeOf(named(name!)), code);
  for (const odd of [new Error("odd"), undefined, null, "text", 5, { code: 5 }, { code: "" }]) {
    assertEquals(codeOf(odd), undefined);
  }
});

test("codeOf() is ENOTFOUND for a name that cannot be looked up, for whatever reason", () => {
  assertEquals(
    codeOf(Object.assign(hostError("EAI_AGAIN"), { syscall: "getaddrinfo" })),
    "ENOTFOUND",
  );
  assertEquals(
    codeOf(named("Error", "failed to lookup address information: wie bitte")),
    "ENOTFOUND",
  );
});

test("broken() says what must hold, and keeps the host's error as its cause", () => {
  const cause = hostError("ECONNREFUSED");
  const error = broken("connect to 127.0.0.1:1", cause);
  assertInstanceOf(error, BrokenError);
  assertEquals(error.code, "ECONNREFUSED");
  assertStrictEquals(error.cause, cause);
  assertEquals(
    error.message,
    "Cannot connect to 127.0.0.1:1: somebody must listen there, got ECONNREFUSED",
  );
  assertEquals(
    broken("read", new Error("")).message,
    "Cannot read: the network must allow it, got an error without a code",
  );
});

test("broken() leaves a missing permission of Deno as it is", () => {
  const error = named("NotCapable", "Requires net access");
  assertStrictEquals(broken("connect", error), error);
});
