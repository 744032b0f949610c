// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A worker's module that serves twice.
 *
 * @module
 */

import { serve } from "../../src/workers/mod.ts";

serve({ one: () => 1 });
serve({ two: () => 2 });
