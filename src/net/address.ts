// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Where a socket is, and the checks of what callers say about it.
 *
 * @module
 */

/** What fits into the address of a Unix socket, in bytes. */
const LONGEST_PATH = 107;

/** Where a socket is: a host and a port, or a path. */
export type Address = NetAddress | UnixAddress;

/** A TCP address. */
export interface NetAddress {
  /** The address of the host, as numbers: "127.0.0.1", "::1". */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /** Missing: only a Unix socket has one. */
  readonly path?: undefined;
}

/** The address of a Unix socket. */
export interface UnixAddress {
  /** The path; `""` for the end that has none, which is the one that connected. */
  readonly path: string;
  /** Missing: only a TCP socket has one. */
  readonly hostname?: undefined;
  /** Missing: only a TCP socket has one. */
  readonly port?: undefined;
}

/** What a caller says about a socket to be made. */
export interface SocketOptions {
  /** A port. */
  port?: number | undefined;
  /** The name or the address of a host. */
  hostname?: string | undefined;
  /** The path of a Unix socket, instead of a port. */
  path?: string | undefined;
  /**
   * Makes it a TLS socket, with the options of the host's own call: `tls.connect` or `tls.createServer` of Node and
   * Bun, `Deno.connectTls` or `Deno.listenTls`. `cert`, `key` and `ca` are understood everywhere.
   */
  tls?: object | undefined;
  /** Sends small writes at once, instead of waiting for more. @default {true} */
  noDelay?: boolean | undefined;
  /** Lets the system probe a silent peer, at the intervals of the system. @default {false} */
  keepAlive?: boolean | undefined;
}

/** A socket to be made, checked and with its defaults. */
export interface Target {
  readonly address: Address;
  readonly tls: object | undefined;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
}

/** An address in words: `127.0.0.1:4000`, `[::1]:4000`, a path. */
export function textOf(address: Address): string {
  if (address.path !== undefined) return address.path === "" ? "unix" : address.path;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/**
 * Checks what a caller says, and adds the defaults.
 *
 * @param lowest The lowest port that makes sense: 0 lets the system choose one, to listen on.
 * @param defaults What holds for a missing hostname and a missing port; without a port, one must be given.
 * @throws {TypeError} If a value has the wrong type, or there are both a port and a path, or none.
 * @throws {RangeError} If the port is no integer in range, or a name is empty.
 */
export function checkTarget(
  verb: string,
  options: SocketOptions,
  lowest: 0 | 1,
  defaults: { hostname: string; port?: number },
): Target {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot ${verb}: options must be an object, got ${String(options)}`);
  }
  const { path, tls } = options;
  if (tls !== undefined && (typeof tls !== "object" || tls === null)) {
    throw new TypeError(`Cannot ${verb}: tls must be an object, got ${kindOf(tls)}`);
  }
  return {
    address: path === undefined
      ? checkNet(verb, options, lowest, defaults)
      : checkPath(verb, path, options),
    tls,
    noDelay: checkFlag(verb, "noDelay", options.noDelay, true),
    keepAlive: checkFlag(verb, "keepAlive", options.keepAlive, false),
  };
}

/** Checks an integer of an option. @throws {TypeError | RangeError} If it is none, or too low. */
export function checkCount(verb: string, name: string, value: unknown, lowest: number): number {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot ${verb}: ${name} must be a number, got ${kindOf(value)}`);
  }
  if (!Number.isInteger(value) || value < lowest) {
    throw new RangeError(`Cannot ${verb}: ${name} must be an integer >= ${lowest}, got ${value}`);
  }
  return value;
}

/** The type of a value, for messages. */
export function kindOf(value: unknown): string {
  return value === null ? "null" : typeof value;
}

function checkNet(
  verb: string,
  options: SocketOptions,
  lowest: 0 | 1,
  defaults: { hostname: string; port?: number },
): NetAddress {
  const { hostname = defaults.hostname, port = defaults.port } = options;
  if (port === undefined) {
    throw new TypeError(`Cannot ${verb}: a port or a path must be given, got neither`);
  }
  if (typeof hostname !== "string") {
    throw new TypeError(`Cannot ${verb}: hostname must be a string, got ${kindOf(hostname)}`);
  }
  if (hostname === "" || hostname.includes("\0")) {
    throw new RangeError(
      `Cannot ${verb}: hostname must be a name or an address, got ${JSON.stringify(hostname)}`,
    );
  }
  if (typeof port !== "number") {
    throw new TypeError(`Cannot ${verb}: port must be a number, got ${kindOf(port)}`);
  }
  if (!Number.isInteger(port) || port < lowest || port > 65535) {
    throw new RangeError(
      `Cannot ${verb}: port must be an integer from ${lowest} to 65535, got ${port}`,
    );
  }
  return { hostname, port };
}

function checkPath(verb: string, path: unknown, { port, hostname, tls }: SocketOptions): Address {
  if (typeof path !== "string") {
    throw new TypeError(`Cannot ${verb}: path must be a string, got ${kindOf(path)}`);
  }
  const other = [["port", port], ["hostname", hostname], ["tls", tls]].find(([, it]) =>
    it !== undefined
  );
  if (other !== undefined) {
    throw new TypeError(`Cannot ${verb}: a path must stand alone, got ${other[0]} too`);
  }
  if (path === "" || path.includes("\0")) {
    throw new RangeError(`Cannot ${verb}: path must name a socket, got ${JSON.stringify(path)}`);
  }
  // Some hosts cut off what is longer, and would use another path. Pipes of Windows may be longer.
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > LONGEST_PATH && !path.startsWith("\\\\")) {
    throw new RangeError(
      `Cannot ${verb}: path must have at most ${LONGEST_PATH} bytes, got ${bytes}`,
    );
  }
  return { path };
}

function checkFlag(verb: string, name: string, value: unknown, missing: boolean): boolean {
  if (value === undefined) return missing;
  if (typeof value === "boolean") return value;
  throw new TypeError(`Cannot ${verb}: ${name} must be a boolean, got ${kindOf(value)}`);
}
