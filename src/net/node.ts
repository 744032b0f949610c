// Copyright 2026 the baozi authors. MIT license.
// Needs: Node | Bun

/**
 * The sockets of Node, and of Bun, which has the same.
 *
 * @module
 */

// Invariants
//  1. A socket has a listener for errors from its first moment: one without would end the process.
//  2. Nothing is told before `open`, and nothing but `freed` after `destroy`.
//  3. Bytes go past the stream only while it flows and holds none; then it waits for the end of one read that
//     it has asked for. A host that does not call `push` tells of them by "data".
// Dropped: the async iterator of a socket, a third slower; `cork`, since small writes are one call each; bytes
// through the stream, a tenth slower on Node 20.

import { clock, type Timer } from "../_kernel/clock.ts";
import type { HostCallEnds } from "../_kernel/host_call.ts";
import type { Address, Target } from "./address.ts";
import {
  HIGH_WATER,
  type ListenTarget,
  type Wire,
  type WireHost,
  type WireListener,
  type WireListenerSink,
  type WireSink,
} from "./wire.ts";

// What is used of `node:net` and `node:tls`.

interface Emitter {
  on(event: string, listener: (...args: never[]) => void): this;
  once(event: string, listener: (...args: never[]) => void): this;
  off(event: string, listener: (...args: never[]) => void): this;
}

interface NodeSocket extends Emitter {
  readonly localAddress?: string;
  readonly localPort?: number;
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly writableLength: number;
  readonly writableFinished: boolean;
  readonly destroyed: boolean;
  pause(): this;
  resume(): this;
  readonly readableLength: number;
  read(): Uint8Array | null;
  /** Takes bytes or the end from the host; `false` says that there are enough. */
  push(chunk: Uint8Array | null): boolean;
  write(bytes: Uint8Array, written?: (error?: unknown) => void): boolean;
  end(): this;
  destroy(): this;
  setNoDelay(noDelay: boolean): this;
  setKeepAlive(keepAlive: boolean): this;
  /** Our own: so that the listeners need no closure for each socket. */
  "~wire"?: NodeWire;
}

interface NodeServer extends Emitter {
  listen(options: object): this;
  close(): this;
  address(): { address: string; port: number } | string | null;
}

interface NodeModule {
  connect(options: object): NodeSocket;
  createServer(options: object): NodeServer;
}

interface Modules {
  net: NodeModule;
  tls: NodeModule;
}

interface BufferModule {
  Buffer: { from(bytes: Uint8Array): Uint8Array };
}

declare const process: { getBuiltinModule?(id: string): unknown } | undefined;

/** The sockets of `node:net`, if the host has them. */
export function nodeNet(): WireHost | undefined {
  const module = (id: string): unknown =>
    typeof process === "undefined" ? undefined : process.getBuiltinModule?.(id);
  const net = module("node:net") as NodeModule | undefined;
  const tls = module("node:tls") as NodeModule | undefined;
  const buffer = module("node:buffer") as BufferModule | undefined;
  if (net === undefined || tls === undefined || buffer === undefined) return undefined;
  copy = (bytes) => buffer.Buffer.from(bytes);
  return {
    connect: (target, ends) => connect({ net, tls }, target, ends),
    listen: (target, ends) => listen({ net, tls }, target, ends),
  };
}

/** A copy that the host writes without another one. */
let copy: (bytes: Uint8Array) => Uint8Array;

function connect({ net, tls }: Modules, target: Target, ends: HostCallEnds<Wire>): () => void {
  const { address, noDelay, keepAlive } = target;
  const options = {
    ...target.tls,
    ...(address.path === undefined
      ? { host: address.hostname, port: address.port }
      : { path: address.path }),
    allowHalfOpen: true,
    highWaterMark: HIGH_WATER,
    noDelay,
    keepAlive,
  };
  const socket = target.tls === undefined ? net.connect(options) : tls.connect(options);
  const ready = target.tls === undefined ? "connect" : "secureConnect";
  const failed = (error: unknown): void => {
    socket.off(ready, connected);
    ends.fail(error);
  };
  const connected = (): void => {
    socket.off("error", failed);
    ends.settle(
      address.path === undefined
        ? new NodeWire(socket, localOf(socket), remoteOf(socket, false))
        : new NodeWire(socket, { path: "" }, address),
    );
  };
  socket.once("error", failed);
  socket.once(ready, connected);
  return () => {
    socket.off(ready, connected);
    socket.off("error", failed);
    socket.on("error", () => {});
    socket.destroy();
  };
}

function listen(
  { net, tls }: Modules,
  target: ListenTarget,
  ends: HostCallEnds<WireListener>,
): () => void {
  const { address, backlog, noDelay, keepAlive } = target;
  const options = {
    ...target.tls,
    allowHalfOpen: true,
    pauseOnConnect: true,
    highWaterMark: HIGH_WATER,
    noDelay,
    keepAlive,
  };
  const server = target.tls === undefined ? net.createServer(options) : tls.createServer(options);
  const wire = new NodeListener(server, target);
  server.once("error", ends.fail.bind(ends));
  server.once("listening", () => {
    wire.listening();
    ends.settle(wire);
  });
  server.listen(
    address.path === undefined
      ? { host: address.hostname, port: address.port, backlog }
      : { path: address.path, backlog },
  );
  return () => {
    server.on("error", () => {});
    server.close();
  };
}

const NO_BYTES = new Uint8Array(0);
/** The host tells of a write when all of it is sent. So what is longer is handed over in such pieces. */
const PIECE = 256 * 1024;

class NodeWire implements Wire {
  readonly local: Address;
  readonly remote: Address;
  readonly #socket: NodeSocket;
  #sink: WireSink | null = null;
  #error: unknown = undefined;
  #freed = false;
  #destroyed = false;
  #paused = false;
  /** Bytes go past the stream. */
  #passing = false;
  readonly #push: NodeSocket["push"];
  /** Somebody waits for the buffer to be empty. */
  #waitedFor = false;
  /** What waits for the piece before it; while `#feeding`, the host has one. */
  readonly #rest: Uint8Array[] = [];
  #feeding = false;
  /** The end follows the last piece. */
  #ending = false;
  readonly #onPiece: (error?: unknown) => void = (error) => {
    if (error != null || this.#destroyed) return;
    this.#sink!["~sent"]();
    const piece = this.#rest.shift();
    if (piece !== undefined) {
      this.#socket.write(piece, this.#onPiece);
      return;
    }
    this.#feeding = false;
    if (this.#ending) this.#socket.end();
    this.#onWritten();
  };
  // And not the event "drain": it does not come below the high-water mark, nor once the end is asked for.
  readonly #onWritten: (error?: unknown) => void = (error) => {
    if (!this.#waitedFor || error != null || this.#socket.writableLength > 0) return;
    this.#waitedFor = false;
    if (!this.#destroyed) this.#sink!["~drained"]();
  };

  constructor(socket: NodeSocket, local: Address, remote: Address) {
    this.#socket = socket;
    this.#push = socket.push;
    this.local = local;
    this.remote = remote;
    socket["~wire"] = this;
    socket.on("error", onError);
    socket.on("close", onClose);
  }

  open(sink: WireSink): void {
    this.#sink = sink;
    if (this.#freed) {
      this.freed();
      return;
    }
    const socket = this.#socket;
    socket.on("end", onEnd);
    socket.on("data", onData);
    socket.push = onPush;
    // A socket that was accepted is paused, and then a listener alone does not start it.
    socket.resume();
  }

  pause(): void {
    this.#paused = true;
    this.#passing = false;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  write(bytes: Uint8Array, owned: boolean): boolean {
    if (this.#feeding || bytes.length > PIECE) return this.#feed(bytes, owned);
    const socket = this.#socket;
    // Behind others it stays in the buffer for long: what is short is copied, what is long is waited for.
    const busy = socket.writableLength > 0;
    if (!owned && busy && bytes.length < HIGH_WATER) {
      bytes = copy(bytes);
      owned = true;
    }
    const below = busy ? socket.write(bytes, this.#onWritten) : socket.write(bytes);
    if (socket.writableLength === 0) return true;
    // The system took only a part. A callback for each write would cost those that it takes whole.
    if (!busy) socket.write(NO_BYTES, this.#onWritten);
    if (below && owned) return true;
    this.#waitedFor = true;
    return false;
  }

  end(): void {
    if (this.#feeding) this.#ending = true;
    else this.#socket.end();
  }

  close(): void {
    const socket = this.#socket;
    if (socket.writableFinished) socket.destroy();
    else {
      socket.once("finish", onFinish);
      this.end();
    }
  }

  destroy(): void {
    this.#destroyed = true;
    this.#socket.destroy();
  }

  /** Bytes, or the end, are about to enter the stream. */
  pushed(chunk: Uint8Array | null): boolean {
    // What the stream holds from a pause comes first.
    if (!this.#passing) this.#passing = !this.#paused && this.#socket.readableLength === 0;
    if (!this.#passing || chunk === null) return this.#push.call(this.#socket, chunk);
    this.received(chunk);
    return true;
  }

  /** Hands it over piece by piece; always waited for. */
  #feed(bytes: Uint8Array, owned: boolean): false {
    if (!owned && bytes.length < HIGH_WATER) bytes = copy(bytes);
    for (let at = 0; at < bytes.length; at += PIECE) {
      this.#rest.push(bytes.subarray(at, at + PIECE));
    }
    this.#waitedFor = true;
    if (!this.#feeding) {
      this.#feeding = true;
      this.#socket.write(this.#rest.shift()!, this.#onPiece);
    }
    return false;
  }

  received(chunk: Uint8Array): void {
    if (this.#destroyed) return;
    // Without Buffer's own idea of slice() and toString(): the same bytes on all hosts.
    this.#sink!["~received"](new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }

  ended(): void {
    if (!this.#destroyed) this.#sink!["~ended"]();
  }

  failed(error: unknown): void {
    this.#error = error;
    if (this.#sink === null || this.#destroyed) return;
    // What came before a reset is still in the stream while it is paused. Some hosts tell of what is read.
    this.#socket.off("data", onData);
    for (let chunk = this.#socket.read(); chunk !== null; chunk = this.#socket.read()) {
      this.received(chunk);
    }
    this.#sink["~failed"](error);
  }

  freed(): void {
    this.#freed = true;
    if (this.#sink === null) return;
    if (this.#error !== undefined && !this.#destroyed) this.#sink["~failed"](this.#error);
    this.#sink["~freed"]();
  }
}

function onPush(this: NodeSocket, chunk: Uint8Array | null): boolean {
  return this["~wire"]!.pushed(chunk);
}

function onData(this: NodeSocket, chunk: Uint8Array): void {
  this["~wire"]!.received(chunk);
}

function onEnd(this: NodeSocket): void {
  this["~wire"]!.ended();
}

function onError(this: NodeSocket, error: unknown): void {
  this["~wire"]!.failed(error);
}

function onClose(this: NodeSocket): void {
  this["~wire"]!.freed();
}

function onFinish(this: NodeSocket): void {
  this.destroy();
}

/** How long a TLS handshake may take unless `handshakeTimeout` of the TLS options says so, as in Node. */
const HANDSHAKE_MS = 120_000;

class NodeListener implements WireListener {
  address: Address;
  readonly #server: NodeServer;
  readonly #tls: boolean;
  /** Sockets whose handshake is not done, by their peer: the TLS socket is another object. */
  readonly #shaking: Map<string, { socket: NodeSocket; timer: Timer }> = new Map();
  readonly #handshakeMs: number;
  readonly #backlog: number;
  #sink: WireListenerSink | null = null;
  #closed = false;

  constructor(server: NodeServer, { address, backlog, tls }: ListenTarget) {
    this.#server = server;
    this.#backlog = backlog;
    this.#tls = tls !== undefined;
    this.#handshakeMs = (tls as { handshakeTimeout?: number })?.handshakeTimeout ?? HANDSHAKE_MS;
    this.address = address;
  }

  listening(): void {
    const address = this.#server.address();
    if (typeof address === "object" && address !== null) {
      this.address = { hostname: address.address, port: address.port };
    }
  }

  open(sink: WireListenerSink): void {
    this.#sink = sink;
    const { path } = this.address;
    const server = this.#server;
    server.on(this.#tls ? "secureConnection" : "connection", (socket: NodeSocket) => {
      // Now: a socket that broke has forgotten them.
      const local = path === undefined ? localOf(socket) : this.address;
      sink.accepted(new NodeWire(socket, local, remoteOf(socket, path !== undefined)));
    });
    const failed = (error: unknown): void => {
      if (!this.#closed) sink.failed(error);
    };
    server.on("error", failed);
    if (!this.#tls) return;
    server.on("tlsClientError", failed);
    const shaking = this.#shaking;
    const end = (peer: string): void => {
      const timer = shaking.get(peer)?.timer;
      timer?.clock.clear(timer);
      shaking.delete(peer);
    };
    server.on("connection", (socket: NodeSocket) => {
      // No other bound counts them. The oldest goes: whoever means it is done in a moment.
      for (const [oldest, { socket }] of shaking) {
        if (shaking.size < this.#backlog) break;
        end(oldest);
        socket.destroy();
      }
      const peer = peerOf(socket);
      // Node only tells when its own limit is over, and Bun has none.
      const timer = clock.on.set({ timeUp: () => socket.destroy() }, this.#handshakeMs);
      shaking.set(peer, { socket, timer });
      socket.once("close", () => {
        // All who were reset before they were accepted have one name: nobody's.
        timer.clock.clear(timer);
        if (shaking.get(peer)?.socket === socket) shaking.delete(peer);
      });
    });
    server.on("secureConnection", (socket: NodeSocket) => end(peerOf(socket)));
  }

  accept(): void {}

  close(): void {
    this.#closed = true;
    this.#server.close();
    for (const { socket, timer } of this.#shaking.values()) {
      timer.clock.clear(timer);
      socket.destroy();
    }
    this.#sink?.freed();
  }
}

function localOf({ localAddress, localPort }: NodeSocket): Address {
  return localAddress === undefined
    ? { path: "" }
    : { hostname: localAddress, port: localPort ?? 0 };
}

/** Where the peer is; nowhere if it is gone already. */
function remoteOf({ remoteAddress, remotePort }: NodeSocket, unix: boolean): Address {
  return unix ? { path: "" } : { hostname: remoteAddress ?? "", port: remotePort ?? 0 };
}

function peerOf({ remoteAddress, remotePort }: NodeSocket): string {
  return `${remoteAddress} ${remotePort}`;
}
