// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * How an object looks on a console.
 *
 * @module
 */

// Defined from outside: members of a class with such names would need an inferred type in declarations.

/** Lets the consoles of Node, Bun and Deno show objects with this `prototype` as their `toString()`. */
export function showAsText(prototype: object): void {
  for (const host of ["nodejs.util.inspect.custom", "Deno.customInspect"]) {
    Object.defineProperty(prototype, Symbol.for(host), {
      value(): string {
        return String(this);
      },
      configurable: true,
      writable: true,
    });
  }
}
