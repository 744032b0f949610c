// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

// The wire over sockets of Bun, on sockets of this test: loopback takes all that is written at once.

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import { type BunHandlers, bunNet, type BunSocket, type BunWire } from "../../src/net/bun.ts";
import type { Wire, WireHost, WireSink } from "../../src/net/wire.ts";
import { noLeaks } from "../leaks.ts";
import { bytesOf, hostError, textOf } from "./fake_wire.ts";

noLeaks();

class FakeSocket implements BunSocket {
  declare data?: BunWire;
  readonly localAddress = "127.0.0.1";
  readonly localPort = 80;
  readonly remoteAddress = "127.0.0.1";
  readonly remotePort = 4000;
  readonly calls: string[] = [];
  readonly handlers: BunHandlers;
  /** How many bytes are taken. */
  room = 0;
  /** It is freed by what is written next. */
  breaks = false;

  constructor(handlers: BunHandlers) {
    this.handlers = handlers;
  }

  write(bytes: Uint8Array): number {
    if (this.breaks) {
      this.handlers.close(this, hostError("EPIPE"));
      return -1;
    }
    const count = Math.min(this.room, bytes.length);
    this.room -= count;
    this.calls.push(`write ${textOf(bytes.subarray(0, count))}`);
    return count;
  }

  /** The system takes `room` bytes. */
  drain(room: number): void {
    this.room = room;
    this.handlers.drain(this);
  }

  shutdown(): void {
    this.calls.push("shutdown");
  }

  close(): void {
    this.calls.push("close");
    this.handlers.close(this);
  }

  pause(): void {
    this.calls.push("pause");
  }

  resume(): void {
    this.calls.push("resume");
  }

  setNoDelay(): void {}
  setKeepAlive(): void {}
}

/** Notes what it is told. */
class Sink implements WireSink {
  readonly told: string[] = [];

  "~received"(chunk: Uint8Array): void {
    this.told.push(`received ${textOf(chunk)}`);
  }

  "~ended"(): void {
    this.told.push("ended");
  }

  "~failed"(error: unknown): void {
    this.told.push(`failed ${(error as { code: string }).code}`);
  }

  "~sent"(): void {}

  "~drained"(): void {
    this.told.push("drained");
  }

  "~freed"(): void {
    this.told.push("freed");
  }
}

/** An accepted socket. */
function accepted(): { socket: FakeSocket; wire: Wire; sink: Sink } {
  let handlers: BunHandlers | undefined = undefined;
  const host = bunNet({
    listen({ socket }) {
      handlers = socket;
      return { hostname: "127.0.0.1", port: 80, stop() {} };
    },
  }, {} as WireHost)!;
  let wire: Wire | undefined = undefined;
  host.listen({ address: { hostname: "127.0.0.1", port: 80 } } as never, {
    settle(listener) {
      listener.open({ accepted: (it) => wire = it, failed() {}, freed() {} });
    },
    fail(error) {
      throw error;
    },
    waiting: true,
  });
  const socket = new FakeSocket(handlers!);
  socket.handlers.open(socket);
  return { socket, wire: wire!, sink: new Sink() };
}

test("a wire of Bun copies what the system has not taken, and sends it in order", () => {
  const { socket, wire, sink } = accepted();
  wire.open(sink);
  socket.calls.length = 0;
  socket.room = 2;
  const bytes = bytesOf("abcd");
  assert(wire.write(bytes, false));
  bytes.fill(0);
  assert(wire.write(bytesOf("ef"), true));
  socket.drain(1);
  socket.drain(9);
  assertEquals(socket.calls, ["write ab", "write c", "write def"]);
  assertEquals(sink.told, []);
});

test("a wire of Bun tells of the end of what it holds only if that was too much", () => {
  const { socket, wire, sink } = accepted();
  wire.open(sink);
  const large = new Uint8Array(64 * 1024);
  assert(!wire.write(large, false));
  socket.drain(1000);
  assertEquals(sink.told, []);
  socket.drain(64 * 1024);
  assertEquals(sink.told, ["drained"]);
  socket.room = 0;
  assert(wire.write(bytesOf("a"), true) && wire.write(large.subarray(2), true));
  assert(!wire.write(bytesOf("b"), true), "64 KiB are held");
  socket.drain(1e6);
  assert(wire.write(bytesOf("a"), true), "nothing is held");
});

test("a wire of Bun ends and closes after what it holds", () => {
  for (const how of ["end", "close"] as const) {
    const { socket, wire, sink } = accepted();
    wire.open(sink);
    socket.calls.length = 0;
    wire.write(bytesOf("ab"), true);
    wire[how]();
    assertEquals(socket.calls, ["write "]);
    socket.drain(2);
    assertEquals(socket.calls, ["write ", "write ab", how === "end" ? "shutdown" : "close"]);
    wire.destroy();
    assertEquals(sink.told.at(-1), "freed");
  }
});

test("a wire of Bun that breaks by a write holds nothing, and tells of it once", () => {
  const { socket, wire, sink } = accepted();
  wire.open(sink);
  socket.breaks = true;
  assert(wire.write(new Uint8Array(64 * 1024), false), "nothing is waited for");
  socket.handlers.close(socket);
  assertEquals(sink.told, ["failed EPIPE", "freed"]);
});

test("a wire of Bun that breaks while it sends what it holds tells of no drain", () => {
  const { socket, wire, sink } = accepted();
  wire.open(sink);
  wire.write(new Uint8Array(64 * 1024), false);
  socket.breaks = true;
  socket.drain(0);
  assertEquals(sink.told, ["failed EPIPE", "freed"]);
});

test("a wire of Bun is paused until it is opened, and then tells what came before", () => {
  for (const end of ["ended", "failed", "none"]) {
    const { socket, wire, sink } = accepted();
    assertEquals(socket.calls, ["pause"]);
    socket.handlers.data(socket, bytesOf("a"));
    if (end === "ended") socket.handlers.end(socket);
    if (end === "failed") socket.handlers.close(socket, hostError("ECONNRESET"));
    wire.open(sink);
    assertEquals(
      sink.told,
      { ended: ["received a", "ended"], failed: ["received a", "failed ECONNRESET", "freed"] }[
        end
      ] ?? ["received a"],
    );
    assertEquals(socket.calls.slice(1), end === "failed" ? [] : ["resume"]);
  }
});

test("a wire of Bun tells of the end that came with the close, and of none after a destroy", () => {
  const { socket, wire, sink } = accepted();
  wire.open(sink);
  wire.end();
  socket.handlers.close(socket);
  assertEquals(sink.told, ["ended", "freed"]);

  const other = accepted();
  other.wire.open(other.sink);
  other.wire.destroy();
  other.socket.handlers.data(other.socket, bytesOf("a"));
  other.socket.handlers.end(other.socket);
  assertEquals(other.sink.told, ["freed"]);
});
