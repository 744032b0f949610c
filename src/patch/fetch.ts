// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * `fetch` that ends with the task that called it, the body of its response included.
 *
 * @module
 */

// Invariants
//  1. Each call has an abort controller of its own, which follows the signal of the user until the body
//     has been read, or nobody has the response any more.
//  2. A response knows its exchange, and its stream knows the response; nothing that lives longer than
//     they do holds them. A task that fetches for ever grows nothing.
//  3. The host runs outside of all contexts: its connections are shared, and belong to no task.
// Dropped: a wait that stands for an open body. A response that nobody reads is no wait.

import { Context, currentContext, runOutside } from "../_kernel/current.ts";
import { hostCall } from "../_kernel/host_call.ts";
import { FollowingController, isSignal, refuseCall, settleWith, textOf } from "./adapters.ts";
import {
  type Call,
  type ContextCall,
  HOST_GLOBALS,
  type Part,
  passOn,
  type Place,
} from "./parts.ts";

/** Answers with such a status have no body. */
const NO_BODY = new Set([204, 205, 304]);
const READERS = ["arrayBuffer", "blob", "bytes", "formData", "json", "text"];

/** `fetch`, and what reads the body of a response. */
export const fetchPart: Part = {
  name: "fetch",
  places: () => {
    if (typeof Response !== "function") return [];
    const owner = Response.prototype;
    return [
      { name: "fetch", owner: HOST_GLOBALS, key: "fetch", inside: fetchInside },
      ...READERS.map((key): Place => ({ name: `Response.${key}`, owner, key, inside: readBody })),
      { name: "Response.clone", owner, key: "clone", everywhere: clone },
      { name: "Response.body", owner, key: "body", getter: true, everywhere: takeBody },
      { name: "Response.textStream", owner, key: "textStream", everywhere: takeBody },
    ];
  },
};

const exchangeOf: WeakMap<object, Exchange> = new WeakMap();
/** Responses by their streams. Deno forgets to abort a stream whose response is gone. */
const responseOf: WeakMap<object, unknown> = new WeakMap();
const bodiesOf: WeakMap<Context, Bodies> = new WeakMap();
/** What is left of an exchange whose response is gone. */
const abandoned: FinalizationRegistry<Ties> = new FinalizationRegistry((ties) => ties.end());

/** One request and its response. */
class Exchange {
  /** Method and address: "GET http://…". */
  readonly name: string;
  readonly ties: Ties;
  /** Bodies of it that have not been read: a clone has one of its own. */
  #unread = 1;
  /** A kill has ended it. */
  killed: { readonly reason: unknown } | null = null;

  constructor(name: string, user: AbortSignal | null) {
    this.name = name;
    this.ties = new Ties(user);
  }

  /** The context that waits for it was cancelled. */
  kill(reason: unknown): void {
    this.killed ??= { reason };
    this.ties.abort(reason);
  }

  /** The headers are there. */
  opened(response: Response, context: Context): void {
    exchangeOf.set(response, this);
    // An answer without a body: nothing is left to end.
    if (this.name.startsWith("HEAD ") || NO_BODY.has(response.status)) return this.ties.end();
    abandoned.register(this, this.ties);
    this.ties.bind(context, this);
    bindBody(response);
  }

  /** One more body, of a clone. */
  cloned(response: Response): void {
    this.#unread++;
    exchangeOf.set(response, this);
    bindBody(response);
  }

  /** A body has been read to its end, or has failed; the last one ends it. */
  wasRead(): void {
    if (--this.#unread === 0) this.ties.end();
  }
}

/** What may end an exchange from outside: the user's signal, and contexts. It does not hold it. */
class Ties extends FollowingController {
  /** The contexts to which its body belongs, each with its entry there. */
  #bodies: Map<Bodies, WeakRef<Exchange>> | null = null;
  #ended = false;

  /** From now on a cancel of `context` ends the exchange. */
  bind(context: Context | null, exchange: Exchange): void {
    if (context === null || context.cancelled || this.#ended) return;
    const bodies = Bodies.of(context);
    if (this.#bodies?.has(bodies)) return;
    const entry = new WeakRef(exchange);
    (this.#bodies ??= new Map()).set(bodies, entry);
    bodies.open(entry);
  }

  override aborted(reason: unknown): void {
    super.aborted(reason);
    this.end();
  }

  /** Nobody ends it any more. Harmless twice. */
  override end(): void {
    super.end();
    this.#ended = true;
    if (this.#bodies !== null) {
      for (const [bodies, entry] of this.#bodies) bodies.close(entry);
      this.#bodies = null;
    }
  }
}

/** The open bodies of a context, below which it stands, to be told of a cancel. */
class Bodies extends Context {
  readonly #above: Context;
  readonly #open: Set<WeakRef<Exchange>> = new Set();

  static of(context: Context): Bodies {
    let bodies = bodiesOf.get(context);
    if (bodies === undefined) bodiesOf.set(context, bodies = new Bodies(context));
    return bodies;
  }

  constructor(above: Context) {
    super(above);
    this.#above = above;
  }

  open(entry: WeakRef<Exchange>): void {
    this.#open.add(entry);
  }

  close(entry: WeakRef<Exchange>): void {
    this.#open.delete(entry);
    if (this.#open.size > 0 || bodiesOf.get(this.#above) !== this) return;
    bodiesOf.delete(this.#above);
    this.end();
  }

  override wasCancelled(reason: unknown): void {
    for (const entry of [...this.#open]) entry.deref()?.kill(reason);
  }
}

function fetchInside(call: ContextCall): unknown {
  const { args, name } = call;
  const [input, init] = args as [unknown, RequestInit | null | undefined];
  const user = signalOf(input, init);
  // The host says what is wrong.
  if (user === undefined || (typeof init !== "object" && init !== undefined)) return passOn(call);
  const refused = refuseCall(call.context);
  if (refused !== null) return refused;
  const request = nameOf(input, init);
  return hostCall<Response>(name, request, (ends) => {
    const exchange = new Exchange(request, user);
    args[1] = withSignal(init ?? {}, exchange.ties.signal);
    settleWith(runOutside(passOn, call), {
      get waiting() {
        return ends.waiting;
      },
      settle: (response: Response) => {
        if (ends.waiting) exchange.opened(response, call.context);
        ends.settle(response);
      },
      fail: (error) => {
        exchange.ties.end();
        ends.fail(error);
      },
    });
    return (reason) => exchange.kill(reason);
  });
}

/** `text()` and its like. */
function readBody(call: ContextCall): unknown {
  const exchange = exchangeOf.get(call.self as object);
  if (exchange === undefined) return passOn(call);
  const refused = refuseCall(call.context);
  if (refused !== null) return refused;
  // Node would say AbortError.
  if (exchange.killed !== null) return Promise.reject(exchange.killed.reason);
  return hostCall("read body of", exchange.name, (ends) => {
    // Used already, it is refused, and somebody else reads it.
    const { bodyUsed } = call.self as Response;
    settleWith(runOutside(passOn, call), ends, bodyUsed ? undefined : () => exchange.wasRead());
    return (reason) => exchange.kill(reason);
  });
}

/** The body as a stream: it belongs to who takes it, too. */
function takeBody(call: Call): unknown {
  const stream = passOn(call);
  const exchange = exchangeOf.get(call.self as object);
  if (exchange === undefined || typeof stream !== "object" || stream === null) return stream;
  responseOf.set(stream, call.self);
  exchange.ties.bind(currentContext(), exchange);
  return stream;
}

function clone(call: Call): unknown {
  const cloned = passOn(call);
  exchangeOf.get(call.self as object)?.cloned(cloned as Response);
  return cloned;
}

/** Bun's getter cannot be replaced: there each response gets one of its own, for the first look. */
function bindBody(response: Response): void {
  if (Object.getOwnPropertyDescriptor(Response.prototype, "body")?.configurable !== false) return;
  Object.defineProperty(response, "body", {
    configurable: true,
    get(): unknown {
      delete (response as { body?: unknown }).body;
      return takeBody({
        name: "Response.body",
        host: () => response.body,
        self: response,
        args: [],
      });
    },
  });
}

/** The signal of the user, `null` if there is none, `undefined` if the host must judge it. */
function signalOf(
  input: unknown,
  init: RequestInit | null | undefined,
): AbortSignal | null | undefined {
  const given: unknown = init?.signal;
  if (given === undefined) return input instanceof Request ? input.signal : null;
  return given === null || isSignal(given) ? given : undefined;
}

/** `init` with another signal. */
function withSignal(init: RequestInit, signal: AbortSignal): RequestInit {
  const prototype = Object.getPrototypeOf(init);
  if (prototype === Object.prototype || prototype === null) return { ...init, signal };
  // Its properties may be getters that know their object, as those of a Request.
  return new Proxy(init, {
    get: (target, key) => key === "signal" ? signal : Reflect.get(target, key),
  });
}

/** Method and address, without a password. */
function nameOf(input: unknown, init: RequestInit | null | undefined): string {
  const request = input instanceof Request ? input : undefined;
  const method = init?.method ?? request?.method ?? "GET";
  const address = request?.url ?? textOf(input);
  return `${String(method).toUpperCase()} ${address.replace(/^(\w+:\/\/)[^/?#]*@/, "$1")}`;
}
