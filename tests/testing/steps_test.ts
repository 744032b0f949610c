// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { assertThrows } from "@std/assert";
import { test } from "node:test";
import { steps } from "../../src/testing/steps.ts";

test("steps() takes steps in order", () => {
  const step = steps();
  step(1);
  step(2);
  step.end(3);
});

test("steps() throws at a step that comes too early or too late", () => {
  const early = steps();
  early(1);
  assertThrows(() => early(3), Error, "Cannot take step: it must be number 2, got 3");
  const late = steps();
  late(1);
  late(2);
  assertThrows(() => late(2), Error, "Cannot take step: it must be number 3, got 2");
});

test("Steps.end() throws if a step was missed", () => {
  const step = steps();
  step(1);
  assertThrows(() => step.end(3), Error, "Cannot take step: it must be number 2, got 3");
});

test("steps() throws at a step after the end", () => {
  const step = steps();
  step.end(1);
  assertThrows(() => step(2), Error, "Cannot take step 2: step 1 must be the last one");
  assertThrows(() => step.end(2), Error, "Cannot take step 2: step 1 must be the last one");
});
