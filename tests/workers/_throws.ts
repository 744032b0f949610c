// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A worker's module that throws when it is loaded.
 *
 * @module
 */

export const never: number = (() => {
  throw new RangeError("no start");
})();
