// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Sockets with one task per connection.
 *
 * @module
 */

export {};
