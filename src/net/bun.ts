// Copyright 2026 the baozi authors. MIT license.
// Needs: Bun

/**
 * Bun's own sockets for accepted TCP connections: without the streams of its `node:net`, and with
 * plain `Uint8Array`s. All else is done by `node:net`.
 *
 * @module
 */

// Invariants
//  1. #queue holds what the system has not taken, in order; while it is not empty nothing is written past it,
//     and "drain" follows.
//  2. Nothing is told before `open`: what comes earlier waits in #early. Nothing but `freed` after `destroy`.
// Dropped: these sockets for connecting and for TLS. The errors of connecting and the end of TLS have other
// forms there, and a client has few connections.

import type { HostCallEnds } from "../_kernel/host_call.ts";
import { reportUnhandled } from "../_kernel/unhandled.ts";
import type { Address } from "./address.ts";
import { nodeNet } from "./node.ts";
import {
  HIGH_WATER,
  type ListenTarget,
  type Wire,
  type WireHost,
  type WireListener,
  type WireListenerSink,
  type WireSink,
} from "./wire.ts";

// What is used of `Bun`.

/** A connected socket. */
export interface BunSocket {
  /** Our own: so that the handlers need no closure for each socket. */
  data?: BunWire;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** How many bytes the system has taken; -1 if the socket is closed. */
  write(bytes: Uint8Array): number;
  /** Ends the output only. */
  shutdown(): void;
  close(): void;
  pause(): void;
  resume(): void;
  setNoDelay(noDelay: boolean): void;
  setKeepAlive(keepAlive: boolean): void;
}

/** A listening socket. */
export interface BunListener {
  readonly hostname: string;
  readonly port: number;
  getsockname?(into: object): void;
  stop(closeAll: boolean): void;
}

/** What is told of the sockets of a listener. */
export interface BunHandlers {
  readonly binaryType: "uint8array";
  open(socket: BunSocket): void;
  data(socket: BunSocket, chunk: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: unknown): void;
  error(socket: BunSocket, error: unknown): void;
}

/** The namespace. */
export interface BunNamespace {
  listen(options: {
    hostname: string | undefined;
    port: number | undefined;
    allowHalfOpen: boolean;
    socket: BunHandlers;
  }): BunListener;
}

declare const Bun: BunNamespace | undefined;

/** The sockets of Bun, if this is Bun; `bun` and `node` are given by tests. */
export function bunNet(
  bun: BunNamespace | undefined = typeof Bun === "undefined" ? undefined : Bun,
  node: WireHost | undefined = nodeNet(),
): WireHost | undefined {
  if (typeof bun?.listen !== "function" || node === undefined) return undefined;
  return {
    connect: node.connect,
    listen: (target, ends) =>
      target.tls === undefined && target.address.path === undefined
        ? listen(bun, target, ends)
        : node.listen(target, ends),
  };
}

function listen(
  bun: BunNamespace,
  target: ListenTarget,
  ends: HostCallEnds<WireListener>,
): () => void {
  try {
    ends.settle(new BunWireListener(bun, target));
  } catch (error) {
    ends.fail(error);
  }
  return () => {};
}

/** A socket that was accepted; what the handlers tell is told to it. */
export class BunWire implements Wire {
  readonly local: Address;
  readonly remote: Address;
  readonly #socket: BunSocket;
  #sink: WireSink | null = null;
  /** What came before `open`. */
  #early: Uint8Array[] = [];
  #queue: Uint8Array[] = [];
  #queued = 0;
  #mustDrain = false;
  #paused = false;
  #readEnded = false;
  #ending = false;
  #writeEnded = false;
  #closing = false;
  #destroyed = false;
  #error: unknown = undefined;
  #freed = false;

  constructor(socket: BunSocket) {
    this.#socket = socket;
    this.local = { hostname: socket.localAddress, port: socket.localPort };
    // Of a peer that is gone already nobody knows where it was.
    this.remote = { hostname: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
  }

  open(sink: WireSink): void {
    this.#sink = sink;
    for (const chunk of this.#early.splice(0)) sink["~received"](chunk);
    if (this.#freed) return this.#tellEnd(sink);
    if (this.#readEnded) sink["~ended"]();
    if (this.#paused) this.resume();
  }

  /** Reads nothing until it is opened, if it was not. */
  hold(): void {
    if (this.#sink === null) this.pause();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  write(bytes: Uint8Array, owned: boolean): boolean {
    if (this.#queue.length === 0) {
      const sent = this.#send(bytes);
      if (sent === bytes.length || this.#freed) return true;
      // The rest is our caller's as well.
      bytes = bytes.subarray(sent);
    }
    if (!owned && bytes.length < HIGH_WATER) {
      bytes = bytes.slice();
      owned = true;
    }
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (owned && this.#queued < HIGH_WATER) return true;
    this.#mustDrain = true;
    return false;
  }

  end(): void {
    this.#ending = true;
    if (this.#queue.length === 0) this.#sendEnd();
  }

  close(): void {
    this.#closing = true;
    if (this.#queue.length === 0) this.#socket.close();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#queue = [];
    this.#socket.close();
  }

  received(chunk: Uint8Array): void {
    if (this.#destroyed) return;
    if (this.#sink === null) this.#early.push(chunk);
    else this.#sink["~received"](chunk);
  }

  ended(): void {
    this.#readEnded = true;
    if (!this.#destroyed) this.#sink?.["~ended"]();
  }

  /** The system takes bytes again. */
  writable(): void {
    // Each write costs the same.
    if (this.#queue.length > 1 && this.#queued <= HIGH_WATER) {
      this.#queue = [join(this.#queue, this.#queued)];
    }
    while (this.#queue.length > 0) {
      const bytes = this.#queue[0]!;
      const sent = this.#send(bytes);
      this.#queued -= sent;
      if (sent > 0 && !this.#freed) this.#sink!["~sent"]();
      if (sent < bytes.length) {
        // Not while it is empty: the socket may have been freed by the write.
        if (this.#queue.length > 0) this.#queue[0] = bytes.subarray(sent);
        return;
      }
      this.#queue.shift();
    }
    if (this.#closing) return this.#socket.close();
    if (this.#mustDrain) {
      this.#mustDrain = false;
      this.#sink!["~drained"]();
    }
    if (this.#ending && this.#queue.length === 0) this.#sendEnd();
  }

  closed(error: unknown): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#error = error;
    this.#queue = [];
    if (this.#sink !== null) this.#tellEnd(this.#sink);
  }

  /** How many bytes the system takes. */
  #send(bytes: Uint8Array): number {
    return Math.max(this.#socket.write(bytes), 0);
  }

  #sendEnd(): void {
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    this.#socket.shutdown();
  }

  #tellEnd(sink: WireSink): void {
    if (!this.#destroyed) {
      if (this.#error != null) sink["~failed"](this.#error);
      // The end of a peer after our own closes the socket without another word.
      else if (this.#readEnded || this.#writeEnded) sink["~ended"]();
    }
    sink["~freed"]();
  }
}

/** The pieces as one of `size` bytes. */
function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const HANDLERS: Omit<BunHandlers, "open"> = {
  binaryType: "uint8array",
  data: ({ data }, chunk) => data!.received(chunk),
  drain: ({ data }) => data!.writable(),
  end: ({ data }) => data!.ended(),
  close: ({ data }, error) => data!.closed(error),
  // A handler has thrown, which none may.
  error: (_, error) => reportUnhandled(error),
};

class BunWireListener implements WireListener {
  readonly address: Address;
  readonly #listener: BunListener;
  #sink: WireListenerSink | null = null;

  constructor(bun: BunNamespace, { address, noDelay, keepAlive }: ListenTarget) {
    this.#listener = bun.listen({
      hostname: address.hostname,
      port: address.port,
      allowHalfOpen: true,
      socket: {
        ...HANDLERS,
        open: (socket) => {
          const wire = socket.data = new BunWire(socket);
          socket.setNoDelay(noDelay);
          if (keepAlive) socket.setKeepAlive(true);
          this.#sink!.accepted(wire);
          wire.hold();
        },
      },
    });
    const { hostname, port } = this.#listener;
    // A name is told as it was given.
    const bound: { address?: string } = {};
    this.#listener.getsockname?.(bound);
    this.address = { hostname: bound.address ?? hostname, port };
  }

  open(sink: WireListenerSink): void {
    this.#sink = sink;
  }

  accept(): void {}

  close(): void {
    this.#listener.stop(false);
    this.#sink?.freed();
  }
}
