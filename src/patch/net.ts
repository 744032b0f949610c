// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * HTTP requests of `node:http` and `node:https`, which end with the task that made them, sockets while
 * they connect, and the requests of undici from npm, which the host does not know.
 *
 * @module
 */

// Invariants
//  1. A connected socket is left alone: it may belong to a pool that serves many tasks.
//  2. A connection that undici makes for such a pool is made outside of all contexts, and so is what
//     follows from it: no kill reaches it.
//  3. A request of undici belongs to the context in which its caller stood, also when a full pool makes
//     it later, at a time that belongs to another task: its handler is an AsyncResource.
// Source: undici's diagnostics channels, docs/api/DiagnosticsChannel.md; and what undici does itself
// with a body that fails: `request.abort`, once it is set, else `request.onError`.

import { type Context, currentContext, runIn, runOutside } from "../_kernel/current.ts";
import { hostCall, type HostCallEnds } from "../_kernel/host_call.ts";
import {
  destroy,
  type Destroyable,
  promiseWithSignal,
  subjectAt,
  textOf,
  whileOpen,
} from "./adapters.ts";
import {
  builtin,
  type ContextCall,
  isOver,
  type Part,
  passOn,
  type Place,
  placesOf,
} from "./parts.ts";

/** The part. */
export const netPart: Part = {
  name: "net",
  places,
  added: () => listen(true),
  removed: () => listen(false),
};

function places(): Place[] {
  return [
    ...placesOf(builtin("node:http"), "http.", ["request", "get"], request),
    ...placesOf(builtin("node:https"), "https.", ["request", "get"], request),
    ...placesOf(builtin("node:net"), "net.", ["connect", "createConnection"], connect),
    ...placesOf(builtin("node:tls"), "tls.", ["connect"], connect),
    // Bun has an undici of its own, which publishes nothing, and gives it to whoever imports that of npm.
    ...placesOf(
      builtin("undici"),
      "undici.",
      ["request", "fetch"],
      promiseWithSignal(1, subjectAt(0)),
    ),
  ];
}

interface ClientRequest extends Destroyable {
  readonly method: string;
  readonly protocol: string;
  readonly host: string;
  readonly path: string;
  readonly res?: Destroyable | null;
  getHeader(name: string): unknown;
}

function request(call: ContextCall): ClientRequest {
  const request = quietly(call) as ClientRequest;
  const { method, protocol, host, path } = request;
  const url = `${protocol}//${request.getHeader("host") ?? host}${path}`;
  whileOpen(call, `${method} ${url}`, request, ["close", ...FAILED], (reason) => {
    // First: else its reader is told "aborted", and not why.
    if (request.res != null) destroy(request.res, reason);
    destroy(request, reason);
  });
  return request;
}

/** Whether the host makes a request: the socket that it connects for that is no wait of its own. */
let requesting = false;

function quietly(call: ContextCall): unknown {
  requesting = true;
  try {
    return passOn(call);
  } finally {
    requesting = false;
  }
}

interface Socket extends Destroyable {
  readonly connecting: boolean;
}

function connect(call: ContextCall): Socket {
  if (requesting) return passOn(call) as Socket;
  if (pooling) return runOutside(passOn, call) as Socket;
  const socket = passOn(call) as Socket;
  // One that is connected already, from a handle, has nothing to wait for.
  if (socket.connecting) {
    const connected = call.name === "tls.connect" ? "secureConnect" : "connect";
    whileOpen(call, addressOf(call.args), socket, [connected, "close", ...FAILED], (reason) => {
      destroy(socket, reason);
    });
  }
  return socket;
}

/** Tells of errors without counting as one who listens to them. Before "close", which comes late. */
const FAILED: readonly symbol[] = [
  builtin<{ errorMonitor?: symbol }>("node:events")?.errorMonitor ?? [],
].flat();

function addressOf([first, second]: readonly unknown[]): string {
  if (typeof first !== "object" || first === null) {
    return typeof second === "string" ? `${second}:${first}` : String(first);
  }
  const { path, host = "localhost", port } = first as Record<string, unknown>;
  return path === undefined ? `${textOf(host)}:${port}` : textOf(path);
}

interface Channels {
  subscribe(name: string, told: (message: never) => void): void;
  unsubscribe(name: string, told: (message: never) => void): boolean;
}

/** What is used of a request of undici, from its version 6 on. */
interface UndiciRequest {
  readonly method: string;
  readonly origin: unknown;
  readonly path: string;
  readonly upgrade?: unknown;
  readonly aborted: boolean;
  readonly completed: boolean;
  /** Missing until the request has a socket. */
  abort?: ((reason: unknown) => void) | null;
  /** Its name in versions 6 and 7. */
  onError?(reason: unknown): void;
  /** Its name in version 8. */
  onResponseError?(reason: unknown): void;
}

const TOLD: Record<string, (message: never) => void> = {
  "undici:client:beforeConnect": willConnect,
  "undici:request:create": created,
  "undici:request:trailers": ended,
  "undici:request:error": ended,
};

let listening = false;

/** Begins or ends to listen to undici. */
function listen(on: boolean): void {
  if (on === listening) return;
  const channels = builtin<Channels>("node:diagnostics_channel");
  if (channels === undefined) return;
  listening = on;
  for (const [name, told] of Object.entries(TOLD)) {
    if (on) channels.subscribe(name, told);
    else channels.unsubscribe(name, told);
  }
  if (on) return;
  // Nobody will tell of their end.
  for (const ends of requests.values()) ends.settle();
  requests.clear();
}

/** Whether the next socket is for a pool of undici; it asks for it within this very call. */
let pooling = false;

function willConnect(): void {
  pooling = true;
  queueMicrotask(() => pooling = false);
}

/** The waits for requests under way. */
const requests: Map<UndiciRequest, HostCallEnds<void>> = new Map();

function created({ request }: { request: UndiciRequest }): void {
  const context = callerOf(request);
  if (context === null || isOver(context)) return;
  // A connection that is handed over has no end that would be told.
  if (request.upgrade || request.method === "CONNECT") return;
  const abort = (reason: unknown): void => {
    requests.delete(request);
    queueMicrotask(() => abortRequest(request, reason));
  };
  if (context.cancelled) return abort(context.reason);
  const url = `${textOf(request.origin)}${request.path}`;
  runIn(context, () =>
    hostCall<void>("undici.request", `${request.method} ${url}`, (ends) => {
      requests.set(request, ends);
      return undefined;
    })).catch(abort);
}

function ended({ request }: { request: UndiciRequest }): void {
  requests.get(request)?.settle();
  requests.delete(request);
}

/** As undici does it itself; outside, for what follows may be a request of somebody else. */
function abortRequest(request: UndiciRequest, reason: unknown): void {
  if (request.aborted || request.completed) return;
  runOutside(() => {
    if (typeof request.abort === "function") request.abort(reason);
    else if (request.onError !== undefined) request.onError(reason);
    else request.onResponseError?.(reason);
  });
}

/** The context of whoever asked for the request. */
function callerOf(request: UndiciRequest): Context | null {
  for (const key of Object.getOwnPropertySymbols(request)) {
    const handler = Reflect.get(request, key) as Partial<AsyncScope> | null;
    if (key.description === "handler" && typeof handler?.runInAsyncScope === "function") {
      return handler.runInAsyncScope(currentContext);
    }
  }
  return currentContext();
}

interface AsyncScope {
  runInAsyncScope<T>(fn: () => T): T;
}
