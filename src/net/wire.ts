// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * What this library needs of a host's sockets, and the choice of the host. Bytes are pushed; who
 * receives them says when to pause.
 *
 * @module
 */

import type { HostCallEnds } from "../_kernel/host_call.ts";
import type { Address, Target } from "./address.ts";
import { bunNet } from "./bun.ts";
import { denoNet } from "./deno.ts";
import { nodeNet } from "./node.ts";

/** Below this many bytes in the host's buffer a write is done at once. */
export const HIGH_WATER: number = 64 * 1024;

/** One connected socket of the host. It reads nothing before it is opened. */
export interface Wire {
  /** The host has no part in it: who waits on it waits for this program. @default {false} */
  readonly inMemory?: boolean;
  readonly local: Address;
  readonly remote: Address;
  /** Begins to read, and tells `sink` what comes. Once. */
  open(sink: WireSink): void;
  /** Stops reading soon: what the host holds already may still come. */
  pause(): void;
  /** Goes on reading. */
  resume(): void;
  /**
   * Hands bytes over, in order. `false` if the host holds too many, or these very ones, so that the
   * caller must not change them: `drained` follows. What is not `owned` may be changed after `true`.
   */
  write(bytes: Uint8Array, owned: boolean): boolean;
  /** Sends what is buffered, then the end; reading goes on. */
  end(): void;
  /** Sends what is buffered, then closes both ways. What is still received may be dropped. */
  close(): void;
  /** Closes both ways at once. Nothing but `closed` is told afterwards. */
  destroy(): void;
}

/** Who is told what happens on a wire. Must not throw. */
export interface WireSink {
  /** Bytes came; they are the receiver's own. */
  "~received"(chunk: Uint8Array): void;
  /** The peer will send no more. */
  "~ended"(): void;
  /** The connection broke, with an error of the host. `closed` follows. */
  "~failed"(error: unknown): void;
  /** The host has sent a part of what it was given: the peer takes it. Not told of what is taken at once. */
  "~sent"(): void;
  /** The host has sent all it was given. */
  "~drained"(): void;
  /** The socket is freed. Told once, perhaps from within `close` or `destroy`. */
  "~freed"(): void;
}

/** One listening socket of the host. */
export interface WireListener {
  readonly address: Address;
  /** Says who is told. Once. */
  open(sink: WireListenerSink): void;
  /** Asks for one connection. A host that cannot be held back tells of them unasked. */
  accept(): void;
  /** Closes it at once. Nothing but `freed` is told afterwards, perhaps from within. */
  close(): void;
}

/** Who is told what happens on a listening socket. Must not throw. */
export interface WireListenerSink {
  /** A peer connected. */
  accepted(wire: Wire): void;
  /** One attempt failed; the socket goes on listening, and must be asked again. */
  failed(error: unknown): void;
  /** The address is free again. */
  freed(): void;
}

/** What is to be listened on. */
export interface ListenTarget extends Target {
  readonly backlog: number;
}

/** The sockets of one host. Both calls return how to stop the attempt. */
export interface WireHost {
  connect(target: Target, ends: HostCallEnds<Wire>): () => void;
  listen(target: ListenTarget, ends: HostCallEnds<WireListener>): () => void;
}

let chosen: WireHost | undefined = undefined;

/**
 * The sockets of this host, found by feature: Deno's own are faster than its `node:net`.
 *
 * @throws {TypeError} If it has none.
 */
export function wireHost(): WireHost {
  chosen ??= denoNet() ?? bunNet() ?? nodeNet();
  if (chosen === undefined) {
    throw new TypeError(
      "Cannot use sockets: the host must be Deno, Node >= 20.16 or Bun, got none",
    );
  }
  return chosen;
}
