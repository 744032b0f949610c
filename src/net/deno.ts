// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Deno's own sockets, which are faster than its `node:net`: here bytes are pulled, and a pump pushes them.
 *
 * @module
 */

// Invariants
//  1. At most one read and one write of the host are under way. A read ends only with bytes, the end or an
//     error, which are told to the sink: no wait of this library can lose them.
//  2. #buffer belongs to the read under way, #writing to the write. What the caller may change is copied, and
//     what was told to the sink is never written to again.
//  3. Nothing is told after `destroy` but `freed`.
// Dropped: `node:tls` of Deno for TLS. It frees a socket whose handshake is broken off, which Deno's own keeps
// until the peer ends it; but it loses the end of what comes when reading was paused. The rest of a buffer for
// the next read: two views for each cost more than the copy of a small one.
// Source: the growing buffer is that of Go's net/textproto readers and of hyper: 10,000 idle connections must
// not hold 64 KiB each.

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

/** The buffer of an idle connection, and the largest one, in bytes. */
const SMALLEST = 1024;
const LARGEST = 64 * 1024;
const GROWTH = 8;
/** What is small is copied into one piece of memory after the other: an allocation each costs more. */
const SLAB = 16 * 1024;
/** Up to so many bytes are copied faster one by one. */
const FEW = 128;

// What is used of `Deno`.

interface DenoAddress {
  readonly hostname?: string;
  readonly port?: number;
  readonly path?: string | null;
}

interface DenoConn {
  readonly localAddr: DenoAddress;
  readonly remoteAddr: DenoAddress;
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  handshake?(): Promise<unknown>;
  setNoDelay?(noDelay: boolean): void;
  setKeepAlive?(keepAlive: boolean): void;
}

interface DenoListener {
  readonly addr: DenoAddress;
  accept(): Promise<DenoConn>;
  close(): void;
}

interface DenoNamespace {
  connect(options: object): Promise<DenoConn>;
  connectTls(options: object): Promise<DenoConn>;
  listen(options: object): DenoListener;
  listenTls(options: object): DenoListener;
  removeSync(path: string): void;
}

declare const Deno: DenoNamespace | undefined;

/** The sockets of `Deno`, if this is Deno. */
export function denoNet(): WireHost | undefined {
  if (typeof Deno === "undefined" || typeof Deno.connect !== "function") return undefined;
  const deno = Deno;
  return {
    connect: (target, ends) => connect(deno, target, ends),
    listen: (target, ends) => listen(deno, target, ends),
  };
}

function connect(deno: DenoNamespace, target: Target, ends: HostCallEnds<Wire>): () => void {
  const { address, tls } = target;
  const controller = new AbortController();
  const { signal } = controller;
  let conn: DenoConn | null = null;
  const attempt = async (): Promise<void> => {
    try {
      conn = tls === undefined
        ? await deno.connect({ ...hostAddress(address), signal })
        : await deno.connectTls({ ...hostTls(tls), ...hostAddress(address), signal });
      if (ends.waiting) await conn.handshake?.();
      const wire = new DenoWire(conn, target);
      if (ends.waiting) ends.settle(wire);
      else wire.destroy();
    } catch (error) {
      if (conn !== null) close(conn);
      if (ends.waiting) ends.fail(error);
    }
  };
  void attempt();
  return () => {
    controller.abort();
    if (conn !== null) close(conn);
  };
}

function listen(
  deno: DenoNamespace,
  target: ListenTarget,
  ends: HostCallEnds<WireListener>,
): () => void {
  const { address, backlog, tls } = target;
  const options = { ...hostTls(tls), ...hostAddress(address), tcpBacklog: backlog };
  try {
    const listener = tls === undefined ? deno.listen(options) : deno.listenTls(options);
    ends.settle(new DenoWireListener(deno, listener, target));
  } catch (error) {
    ends.fail(error);
  }
  return () => {};
}

class DenoWire implements Wire {
  readonly local: Address;
  readonly remote: Address;
  readonly #conn: DenoConn;
  readonly #tls: boolean;
  #sink: WireSink | null = null;
  #buffer: Uint8Array = new Uint8Array(SMALLEST);
  #reading = false;
  #paused = false;
  #readEnded = false;
  /** The bytes under way, and those behind them. */
  #writing: Uint8Array | null = null;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #mustDrain = false;
  #ending = false;
  #writeEnded = false;
  #closing = false;
  #freed = false;
  readonly #onWritten: (count: number) => void = (count) => this.#written(count);
  readonly #onError: (error: unknown) => void = (error) => this.#failed(error);

  constructor(conn: DenoConn, { address, tls, noDelay, keepAlive }: Target) {
    this.#conn = conn;
    this.#tls = tls !== undefined;
    this.local = addressOf(conn.localAddr);
    this.remote = addressOf(conn.remoteAddr);
    if (address.path !== undefined) return;
    try {
      conn.setNoDelay?.(noDelay);
      if (keepAlive) conn.setKeepAlive?.(true);
    } catch {
      // Some systems refuse it once the peer has reset; the first read says so.
    }
  }

  open(sink: WireSink): void {
    this.#sink = sink;
    this.#pump();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  write(bytes: Uint8Array, owned: boolean): boolean {
    if (this.#freed) return false;
    const large = bytes.length >= HIGH_WATER;
    // The host writes in the background, and what is waited for needs no copy.
    if (!owned && !large) bytes = copy(bytes, bytes.length);
    if (this.#writing === null) this.#send(bytes);
    else this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (!large && this.#queued < HIGH_WATER) return true;
    this.#mustDrain = true;
    return false;
  }

  end(): void {
    this.#ending = true;
    if (this.#writing === null) this.#sendEnd();
  }

  close(): void {
    this.#closing = true;
    this.end();
    if (this.#writeEnded) this.#free();
  }

  destroy(): void {
    this.#free();
  }

  #pump(): void {
    if (this.#reading || this.#paused || this.#readEnded || this.#freed) return;
    this.#reading = true;
    void this.#readOn();
  }

  /** Reads until it is paused or over. A `then` for each read would make one promise more. */
  async #readOn(): Promise<void> {
    do {
      let count: number | null;
      try {
        count = await this.#conn.read(this.#buffer);
      } catch (error) {
        this.#failed(error);
        break;
      }
      this.#read(count);
    } while (!this.#paused && !this.#readEnded && !this.#freed);
    this.#reading = false;
  }

  #read(count: number | null): void {
    if (this.#freed) return;
    if (count === null) {
      this.#readEnded = true;
      this.#sink!["~ended"]();
      this.#freeIfOver();
      return;
    }
    const buffer = this.#buffer, size = buffer.length;
    // A full buffer is followed by a larger one; one that was not filled by the smallest, since now the peer
    // may be silent for long. The smallest is kept, and what it holds is copied.
    let chunk = buffer;
    if (count === size) this.#buffer = new Uint8Array(Math.min(size * GROWTH, LARGEST));
    else if (size === SMALLEST) chunk = copy(buffer, count);
    else {
      chunk = buffer.subarray(0, count);
      this.#buffer = new Uint8Array(SMALLEST);
    }
    this.#sink!["~received"](chunk);
  }

  #send(bytes: Uint8Array): void {
    this.#writing = bytes;
    this.#conn.write(bytes).then(this.#onWritten, this.#onError);
  }

  #written(count: number): void {
    if (this.#freed) return;
    const bytes = this.#writing!;
    this.#queued -= count;
    this.#sink!["~sent"]();
    if (count < bytes.length) {
      this.#send(bytes.subarray(count));
      return;
    }
    this.#writing = null;
    if (this.#queue.length > 0) {
      this.#send(this.#nextBatch());
      return;
    }
    if (this.#mustDrain) {
      this.#mustDrain = false;
      this.#sink!["~drained"]();
    }
    if (this.#ending && this.#writing === null) this.#sendEnd();
  }

  /** What is queued, many small pieces joined: each write of the host costs the same. */
  #nextBatch(): Uint8Array {
    const queue = this.#queue;
    let size = queue[0]!.length, count = 1;
    while (count < queue.length && size + queue[count]!.length <= HIGH_WATER) {
      size += queue[count++]!.length;
    }
    if (count === 1) return queue.shift()!;
    const batch = new Uint8Array(size);
    let at = 0;
    for (const bytes of queue.splice(0, count)) {
      batch.set(bytes, at);
      at += bytes.length;
    }
    return batch;
  }

  /** Tells the peer that nothing more comes. */
  #sendEnd(): void {
    if (this.#writeEnded || this.#freed) return;
    // Closing a plain socket says it too.
    if (this.#closing && !this.#tls) {
      this.#free();
      return;
    }
    this.#ending = false;
    const ended = (): void => {
      this.#writeEnded = true;
      if (this.#closing) this.#free();
      else this.#freeIfOver();
    };
    // A peer that is gone needs no end.
    this.#conn.closeWrite().then(ended, ended);
  }

  #failed(error: unknown): void {
    if (this.#freed) return;
    this.#sink!["~failed"](error);
    this.#free();
  }

  /** Both sides have ended: nothing will ever happen here. */
  #freeIfOver(): void {
    if (this.#readEnded && this.#writeEnded) this.#free();
  }

  #free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#queue = [];
    close(this.#conn);
    this.#sink?.["~freed"]();
  }
}

class DenoWireListener implements WireListener {
  readonly address: Address;
  readonly #deno: DenoNamespace;
  readonly #listener: DenoListener;
  readonly #target: Target;
  #sink: WireListenerSink | null = null;
  #accepting = false;
  #closed = false;

  constructor(deno: DenoNamespace, listener: DenoListener, target: Target) {
    this.#deno = deno;
    this.#listener = listener;
    this.#target = target;
    this.address = addressOf(listener.addr);
  }

  open(sink: WireListenerSink): void {
    this.#sink = sink;
  }

  accept(): void {
    this.#accepting = true;
    this.#listener.accept().then(
      (conn) => {
        this.#accepting = false;
        if (!this.#closed) this.#sink!.accepted(new DenoWire(conn, this.#target));
        else {
          close(conn);
          this.#sink!.freed();
        }
      },
      (error) => {
        this.#accepting = false;
        if (this.#closed) this.#sink!.freed();
        else this.#sink!.failed(error);
      },
    );
  }

  close(): void {
    this.#closed = true;
    this.#listener.close();
    this.#removePath();
    // An accept under way keeps the address until the host has taken it back.
    if (!this.#accepting) this.#sink?.freed();
  }

  #removePath(): void {
    const { path } = this.address;
    if (path === undefined) return;
    try {
      // Node does it, and a path that is left could not be listened on again.
      this.#deno.removeSync(path);
    } catch {
      // Somebody else has removed it.
    }
  }
}

let slab = new Uint8Array(SLAB);
let used = 0;

/** A copy of the first `count` bytes. */
function copy(bytes: Uint8Array, count: number): Uint8Array {
  if (count > SLAB / 4) return bytes.slice(0, count);
  if (used + count > SLAB) {
    slab = new Uint8Array(SLAB);
    used = 0;
  }
  const place = slab.subarray(used, used += count);
  if (count > FEW) place.set(count === bytes.length ? bytes : bytes.subarray(0, count));
  else for (let i = 0; i < count; i++) place[i] = bytes[i]!;
  return place;
}

/** Closes it; the host throws when it has closed it itself. */
function close(conn: DenoConn): void {
  try {
    conn.close();
  } catch {
    // It is closed, which is what was wanted.
  }
}

function hostAddress({ path, hostname, port }: Address): object {
  return path === undefined ? { hostname, port } : { transport: "unix", path };
}

/** TLS options with `ca` by Deno's name for it. */
function hostTls(tls: object | undefined): object | undefined {
  const { ca } = (tls ?? {}) as { ca?: unknown };
  if (ca === undefined) return tls;
  return { caCerts: Array.isArray(ca) ? ca.map(String) : [String(ca)], ...tls };
}

function addressOf({ hostname, port, path }: DenoAddress): Address {
  return hostname === undefined ? { path: path ?? "" } : { hostname, port: port ?? 0 };
}
