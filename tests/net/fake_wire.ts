// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Wires without a socket: a test is the host, says what happens and sees what was asked of it.
 *
 * @module
 */

import type { Address } from "../../src/net/address.ts";
import { type Conn, createConn } from "../../src/net/conn.ts";
import { createListener, type Listener, type ListenOptions } from "../../src/net/listener.ts";
import type { Wire, WireListener, WireListenerSink, WireSink } from "../../src/net/wire.ts";

/** An error as hosts throw it. */
export function hostError(code: string): Error & { code: string } {
  return Object.assign(new Error(`host says ${code}`), { code });
}

/** A connected socket whose peer is the test. */
export class FakeWire implements Wire {
  readonly local: Address;
  readonly remote: Address;
  /** What was asked of the host, writes excepted. */
  readonly calls: string[] = [];
  /** What was written, in order. */
  readonly writes: Uint8Array[] = [];
  /** Whether writes are taken at once. */
  room = true;
  /** Whether `close` and `destroy` free the socket at once, as some hosts do. */
  freesAtOnce = true;
  sink!: WireSink;

  constructor(remote: Address = { hostname: "10.0.0.1", port: 4000 }, local: Address = remote) {
    this.remote = remote;
    this.local = local;
  }

  open(sink: WireSink): void {
    this.sink = sink;
    this.calls.push("open");
  }

  pause(): void {
    this.calls.push("pause");
  }

  resume(): void {
    this.calls.push("resume");
  }

  write(bytes: Uint8Array): boolean {
    this.writes.push(bytes.slice());
    return this.room;
  }

  end(): void {
    this.calls.push("end");
  }

  close(): void {
    this.calls.push("close");
    if (this.freesAtOnce) this.sink["~freed"]();
  }

  destroy(): void {
    this.calls.push("destroy");
    if (this.freesAtOnce) this.sink["~freed"]();
  }

  // What the test says.

  /** The peer sends. */
  give(bytes: Uint8Array | string): void {
    this.sink["~received"](typeof bytes === "string" ? bytesOf(bytes) : bytes);
  }

  /** The peer ends. */
  giveEnd(): void {
    this.sink["~ended"]();
  }

  /** The net breaks. */
  fail(code: string): void {
    this.sink["~failed"](hostError(code));
    this.sink["~freed"]();
  }

  /** The host has sent what it held. */
  drain(): void {
    this.room = true;
    this.sink["~drained"]();
  }

  /** All that was written, as text. */
  get text(): string {
    return this.writes.map(textOf).join("");
  }
}

/** A connection over such a wire. */
export function fakeConn(remote?: Address): { conn: Conn; wire: FakeWire } {
  const wire = new FakeWire(remote);
  return { conn: createConn(wire), wire };
}

/** A listening socket whose peers are the test. */
export class FakeListener implements WireListener {
  readonly address: Address = { hostname: "10.0.0.1", port: 80 };
  /** How often the host was asked for a connection. */
  asked = 0;
  closed = false;
  /** Whether `close` frees the address at once, as some hosts do. */
  freesAtOnce = true;
  sink!: WireListenerSink;

  open(sink: WireListenerSink): void {
    this.sink = sink;
  }

  accept(): void {
    this.asked++;
  }

  close(): void {
    this.closed = true;
    if (this.freesAtOnce) this.sink.freed();
  }

  /** A peer connects. */
  give(wire: FakeWire = new FakeWire()): FakeWire {
    this.sink.accepted(wire);
    return wire;
  }

  /** An accept fails. */
  fail(code: string): void {
    this.sink.failed(hostError(code));
  }
}

/** A listener over such a socket. */
export function fakeListener(
  options?: Pick<ListenOptions, "backlog" | "onError">,
): { listener: Listener; wire: FakeListener } {
  const wire = new FakeListener();
  return { listener: createListener(wire, options), wire };
}

/** Text as bytes. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Bytes as text; nothing for none. */
export function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}
