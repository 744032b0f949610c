// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { checkCount, checkTarget, type SocketOptions, textOf } from "../../src/net/address.ts";

const check = (options: unknown, lowest: 0 | 1 = 1, port?: number) =>
  checkTarget("connect", options as SocketOptions, lowest, {
    hostname: "127.0.0.1",
    ...(port === undefined ? {} : { port }),
  });

test("textOf() says host and port, an IPv6 host in brackets, or the path", () => {
  assertEquals(textOf({ hostname: "127.0.0.1", port: 80 }), "127.0.0.1:80");
  assertEquals(textOf({ hostname: "::1", port: 80 }), "[::1]:80");
  assertEquals(textOf({ path: "/run/a" }), "/run/a");
  assertEquals(textOf({ path: "" }), "unix");
});

test("checkTarget() adds the defaults", () => {
  assertEquals(check({ port: 80 }), {
    address: { hostname: "127.0.0.1", port: 80 },
    tls: undefined,
    noDelay: true,
    keepAlive: false,
  });
  assertEquals(check({}, 0, 0).address, { hostname: "127.0.0.1", port: 0 });
  assertEquals(check({ path: "/run/a", noDelay: false, keepAlive: true }), {
    address: { path: "/run/a" },
    tls: undefined,
    noDelay: false,
    keepAlive: true,
  });
  assertEquals(check({ port: 65535, hostname: "::1", tls: {} }).address.port, 65535);
});

test("checkTarget() is a RangeError for a port out of range, and for names that are empty", () => {
  for (const port of [-1, 0, 65536, 1.5, NaN, Infinity]) {
    assertThrows(() => check({ port }), RangeError, "port must be an integer from 1 to 65535");
  }
  assertThrows(() => check({ port: -1 }, 0), RangeError, "from 0 to 65535");
  assertThrows(() => check({ port: 1, hostname: "" }), RangeError, "hostname must be");
  assertThrows(() => check({ port: 1, hostname: "a\0b" }), RangeError, "hostname must be");
  assertThrows(() => check({ path: "" }), RangeError, "path must name a socket");
  assertThrows(() => check({ path: "a\0b" }), RangeError, "path must name a socket");
});

test("checkTarget() is a RangeError for a path that the system would cut off", () => {
  assertThrows(() => check({ path: `/${"é".repeat(54)}` }), RangeError, "at most 107 bytes");
  assertEquals(check({ path: `/${"x".repeat(106)}` }).address.path!.length, 107);
});

test("checkTarget() is a TypeError for wrong types, and for both or none of port and path", () => {
  for (
    const [options, message] of [
      [null, "options must be an object, got null"],
      ["80", "options must be an object, got 80"],
      [undefined, "options must be an object"],
      [{}, "a port or a path must be given, got neither"],
      [{ port: 1, path: "/a" }, "a path must stand alone, got port too"],
      [{ hostname: "a", path: "/a" }, "a path must stand alone, got hostname too"],
      [{ tls: {}, path: "/a" }, "a path must stand alone, got tls too"],
      [{ port: "80" }, "port must be a number, got string"],
      [{ port: null }, "port must be a number, got null"],
      [{ port: 1, hostname: 5 }, "hostname must be a string, got number"],
      [{ path: 5 }, "path must be a string, got number"],
      [{ port: 1, tls: true }, "tls must be an object, got boolean"],
      [{ port: 1, tls: null }, "tls must be an object, got null"],
      [{ port: 1, noDelay: 1 }, "noDelay must be a boolean, got number"],
      [{ port: 1, keepAlive: "yes" }, "keepAlive must be a boolean, got string"],
    ] as const
  ) {
    assertThrows(() => check(options), TypeError, `Cannot connect: ${message}`);
  }
});

test("checkCount() takes integers from the lowest on", () => {
  assertEquals(checkCount("read", "count", 0, 0), 0);
  for (const count of [-1, 0.5, NaN, Infinity]) {
    assertThrows(() => checkCount("read", "count", count, 0), RangeError, "an integer >= 0, got");
  }
  for (const count of ["1", null, undefined, 1n]) {
    assertThrows(() => checkCount("read", "count", count, 0), TypeError, "must be a number, got");
  }
});
