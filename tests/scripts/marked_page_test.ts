// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { test } from "node:test";
import { assertEquals, assertThrows } from "@std/assert";
import { between } from "../../scripts/marked_page.ts";

const PAGE = "a\n<!-- b -->\nold\n<!-- /b -->\nc\n<!-- d -->\n\n<!-- /d -->\n";

test("between() replaces what stands between two marks, and nothing else", () => {
  assertEquals(between(PAGE, "b", "new"), PAGE.replace("old", "new"));
  assertEquals(between(PAGE, "d", "$&"), PAGE.replace("-->\n\n<!-- /d", () => "-->\n$&\n<!-- /d"));
  assertEquals(between(between(PAGE, "b", "new"), "b", "old"), PAGE);
});

test("between() refuses a page without the marks", () => {
  assertThrows(
    () => between(PAGE, "e", ""),
    Error,
    "Cannot write page: it must have the marks of e",
  );
});
