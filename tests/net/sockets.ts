// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Pairs of connections over real sockets, and paths for Unix sockets.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Conn } from "../../src/net/conn.ts";
import { connect } from "../../src/net/connect.ts";
import { listen, type ListenOptions } from "../../src/net/listener.ts";

/** Both ends of a connection, until disposed of. */
export interface SocketPair extends AsyncDisposable {
  /** The end that connected. */
  readonly client: Conn;
  /** The end that was accepted. */
  readonly server: Conn;
}

/** A pair on loopback, or as the options say. */
export async function socketPair(options: ListenOptions = {}): Promise<SocketPair> {
  const where = options.path === undefined ? { hostname: "127.0.0.1" } : {};
  await using listener = await listen({ ...where, ...options });
  const accepting = listener.accept();
  const client = await connect(
    listener.address.path === undefined
      ? { port: listener.address.port }
      : { path: listener.address.path },
  );
  const server = await accepting;
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.destroy();
      server.destroy();
      await Promise.all([client.close(), server.close()]);
    },
  };
}

declare const Deno: unknown;

/** Whether this is Deno: tests of what only some hosts can do ask. */
export const ON_DENO: boolean = typeof Deno !== "undefined";

/** A host that accepts, and never answers to a handshake: a TLS client connects forever. */
export interface SilentHost extends AsyncDisposable {
  /** Where to connect. */
  readonly target: { port: number; tls: object };
  /** Resolves when the client is there, and waits for an answer to its hello. */
  came(): Promise<void>;
  /** Resolves when the client has gone. */
  left(): Promise<void>;
}

/** A new one. */
export async function silentHost(): Promise<SilentHost> {
  const listener = await listen({ hostname: "127.0.0.1" });
  let accepting: Promise<Conn> | undefined = undefined;
  const accept = (): Promise<Conn> => accepting ??= listener.accept();
  return {
    target: { port: listener.address.port!, tls: {} },
    async came() {
      await (await accept()).readExactly(1);
    },
    async left() {
      // A reset is an end too.
      await (await accept()).readExactly(1 << 20).catch(() => {});
    },
    async [Symbol.asyncDispose]() {
      (await accept()).destroy();
      await listener.close();
    },
  };
}

/** A path in a folder of its own, which is removed with it. */
export class TemporaryPath implements Disposable {
  readonly #folder: string = mkdtempSync(join(tmpdir(), "baozi-"));
  /** The path; nothing is there yet. */
  readonly path: string = join(this.#folder, "socket");

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
