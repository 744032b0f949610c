// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Reports errors as its argument says, to be watched from outside by unhandled_test.ts: what
 * reaches the host would fail the test that looks at it.
 *
 * @module
 */

import { installUnhandled, reportUnhandled, tellUnhandled } from "../../src/_kernel/unhandled.ts";

const [, , how] = process.argv;

if (how === "told") tellUnhandled(new Error("only for hooks"));
if (how === "hooked") installUnhandled(() => {});
if (how === "throwing") {
  installUnhandled(() => {
    throw new Error("of the hook");
  });
}
if (how !== "told") reportUnhandled(new Error("of the program"));
setTimeout(() => console.log("went on"), 10);
