// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Connecting.
 *
 * @module
 */

import { runOutside } from "../_kernel/current.ts";
import { hostCall } from "../_kernel/host_call.ts";
import { refuse, type WaitOptions } from "../_kernel/waiter.ts";
import { checkTarget, type SocketOptions, textOf } from "./address.ts";
import { broken } from "./broken.ts";
import { type Conn, createConn } from "./conn.ts";
import { wireHost } from "./wire.ts";

/** Options of {@linkcode connect}. */
export interface ConnectOptions extends SocketOptions, WaitOptions {
  /** The port, 1 to 65535. */
  port?: number | undefined;
  /** The name or the address of the host. @default {"127.0.0.1"} */
  hostname?: string | undefined;
}

/**
 * Connects to a port, or to the path of a Unix socket; with `tls` the handshake is done when it resolves.
 * Parks until then. A kill, a signal or a timeout ends the attempt at once and frees its socket; on Deno one
 * that is in the handshake of TLS is freed by the system when the peer ends it.
 *
 * @throws {TypeError} If an option has the wrong type, or there are both a port and a path, or none.
 * @throws {RangeError} If the port is no integer from 1 to 65535.
 * @throws {BrokenError} If it fails: "ECONNREFUSED", "ENOTFOUND" for an unknown host, "ENOENT" for a path that is not
 * there.
 * @throws {TimeoutError} If `options.timeout` is over first.
 *
 * @example A port where nobody listens
 * ```ts
 * import { BrokenError } from "@baozi/baozi";
 * import { connect } from "@baozi/baozi/net";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const error = await assertRejects(() => connect({ port: 1, timeout: 5000 }), BrokenError);
 * assertEquals(error.code, "ECONNREFUSED");
 * ```
 */
export function connect(options: ConnectOptions): Promise<Conn> {
  try {
    const target = checkTarget("connect", options, 1, { hostname: "127.0.0.1" });
    const refused = refuse("connect", options);
    if (refused !== null) return refused;
    const name = textOf(target.address);
    const host = wireHost();
    return hostCall<Conn>("connect to", name, (ends) =>
      // The socket outlives the call, and belongs to no task.
      runOutside(() =>
        host.connect(target, {
          settle: (wire) => {
            if (ends.waiting) ends.settle(createConn(wire));
            else wire.destroy();
          },
          fail: (error) => ends.fail(broken(`connect to ${name}`, error)),
          get waiting() {
            return ends.waiting;
          },
        })
      ), options);
  } catch (error) {
    return Promise.reject(error);
  }
}
