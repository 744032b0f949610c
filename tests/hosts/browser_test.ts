// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

import { test } from "node:test";
import { noLeaks } from "../leaks.ts";
import { CHECKS } from "./browser_checks.ts";

noLeaks();

for (const [name, check] of Object.entries(CHECKS)) test(`as in a browser: ${name}`, check);
