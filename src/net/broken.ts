// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The errors of the hosts as errors of this library: the same code on all of them.
 *
 * @module
 */

import { BrokenError } from "../errors.ts";

/** The code of a message that is longer than allowed. */
export const TOO_LARGE: string = "TOO_LARGE";
/** The code of an end in the middle of a message. */
export const UNEXPECTED_EOF: string = "UNEXPECTED_EOF";

/** What Deno says by class, mostly. */
const CODE_OF_CLASS: ReadonlyMap<string, string> = new Map([
  ["AddrInUse", "EADDRINUSE"],
  ["AddrNotAvailable", "EADDRNOTAVAIL"],
  ["AlreadyExists", "EEXIST"],
  ["BadResource", "EBADF"],
  ["BrokenPipe", "EPIPE"],
  ["ConnectionAborted", "ECONNABORTED"],
  ["ConnectionRefused", "ECONNREFUSED"],
  ["ConnectionReset", "ECONNRESET"],
  ["HostUnreachable", "EHOSTUNREACH"],
  ["NetworkUnreachable", "ENETUNREACH"],
  ["NotADirectory", "ENOTDIR"],
  ["NotConnected", "ENOTCONN"],
  ["NotFound", "ENOENT"],
  ["PermissionDenied", "EACCES"],
  ["TimedOut", "ETIMEDOUT"],
]);

/** What must hold, by code; what is missing here is said in general. */
const RULE_OF_CODE: ReadonlyMap<string, string> = new Map([
  ["EACCES", "the system must allow it"],
  ["EADDRINUSE", "the address must be free"],
  ["EADDRNOTAVAIL", "the address must be one of this host"],
  ["ECONNREFUSED", "somebody must listen there"],
  ["ECONNRESET", "the peer must stay connected"],
  ["ENOENT", "the path must exist"],
  ["ENOTFOUND", "the name of the host must be known"],
  ["ENOTSOCK", "the path must be a socket"],
  ["EPIPE", "the peer must still read"],
]);

/** A failure as a `BrokenError` for `what`, "read Conn …"; the host's error is its cause. */
export function broken(what: string, error: unknown): Error {
  // The user's own flag, not the net: nothing is gained by another class.
  if (classOf(error) === "NotCapable") return error as Error;
  const code = codeOf(error);
  const rule = RULE_OF_CODE.get(code ?? "") ?? "the network must allow it";
  return new BrokenError(`Cannot ${what}: ${rule}, got ${code ?? "an error without a code"}`, {
    code,
    cause: error,
  });
}

/** The code of a host's error, the same on all hosts; `undefined` if it has none. */
export function codeOf(error: unknown): string | undefined {
  const { code, syscall, message } = (error ?? {}) as {
    code?: unknown;
    syscall?: unknown;
    message?: unknown;
  };
  if (syscall === "getaddrinfo") return "ENOTFOUND";
  // A name that the resolver does not know, or cannot ask for now: Deno gives it no class and no code.
  if (typeof message === "string" && message.startsWith("failed to lookup address")) {
    return "ENOTFOUND";
  }
  if (typeof code === "string" && code !== "") return code.replace(/^DNS_/, "");
  return CODE_OF_CLASS.get(classOf(error));
}

function classOf(error: unknown): string {
  return (error as { name?: unknown } | null)?.name as string;
}
