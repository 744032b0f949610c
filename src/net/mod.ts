// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Sockets with one task per connection.
 *
 * @module
 */

export type { Address, NetAddress, SocketOptions, UnixAddress } from "./address.ts";
export { type CloseOptions, Conn } from "./conn.ts";
export { connect, type ConnectOptions } from "./connect.ts";
export type { FramesOptions } from "./frames.ts";
export type { LinesOptions } from "./lines.ts";
export { listen, Listener, type ListenOptions } from "./listener.ts";
export {
  type ConnHandler,
  serve,
  type ServeOptions,
  Server,
  type StopOptions,
  type Stopped,
} from "./server.ts";
