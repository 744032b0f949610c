// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Listening for connections.
 *
 * @module
 */

// Invariants
//  1. Somebody waits to accept only while nothing is held and the listener is open.
//  2. At most one accept of the host is asked for, and after a failure none before the delay is over.
//  3. A held connection reads nothing: its peer meets the backpressure of the system.

import { clock, type Timer, type TimerTarget } from "../_kernel/clock.ts";
import { runOutside } from "../_kernel/current.ts";
import { hostCall } from "../_kernel/host_call.ts";
import { showAsText } from "../_kernel/inspect.ts";
import { END } from "../_kernel/leavable.ts";
import { NEXT, PullIterator } from "../_kernel/pull_iterator.ts";
import {
  delist,
  enlist,
  type Selectable,
  type SelectBranch,
  type SelectCase,
  serveAll,
} from "../_kernel/selectable.ts";
import { reportUnhandled } from "../_kernel/unhandled.ts";
import { WaitList } from "../_kernel/wait_list.ts";
import { refuse, Waiter, type WaitOptions } from "../_kernel/waiter.ts";
import { ConnClosedError } from "../errors.ts";
import {
  type Address,
  checkCount,
  checkTarget,
  kindOf,
  type SocketOptions,
  textOf,
} from "./address.ts";
import { broken } from "./broken.ts";
import { type Conn, createConn } from "./conn.ts";
import { type Wire, wireHost, type WireListener } from "./wire.ts";

/** The pause after a failed accept, in milliseconds: it doubles until one succeeds. */
const FIRST_PAUSE = 10;
const LONGEST_PAUSE = 1000;

/** A waiter that wants the connection itself; one of an iterator has `NEXT`, a case of a select neither. */
const ACCEPT: unique symbol = Symbol("accept");

/** Options of {@linkcode listen}. */
export interface ListenOptions extends SocketOptions, WaitOptions {
  /** The port, 0 to 65535; 0 lets the system choose a free one. @default {0} */
  port?: number | undefined;
  /** The address of this host to listen on. @default {"0.0.0.0"} */
  hostname?: string | undefined;
  /** How many connections may wait to be accepted: an integer >= 1. @default {511} */
  backlog?: number | undefined;
  /** Told when a connection could not be accepted; the listener goes on, after a pause. */
  onError?: ((error: unknown) => void) | undefined;
}

/** Makes the listener of a listening wire; for `listen`. */
export let createListener: (
  wire: WireListener,
  options?: { backlog?: number | undefined; onError?: ((error: unknown) => void) | undefined },
) => Listener;

let creating = false;

/**
 * Listens for connections, on a port or at the path of a Unix socket. The file of a Unix socket is removed
 * when the listener is closed; one that is left from before is not: that is "EADDRINUSE".
 *
 * @throws {TypeError} If an option has the wrong type, or there are both a port and a path.
 * @throws {RangeError} If the port is no integer from 0 to 65535, or the backlog none >= 1.
 * @throws {BrokenError} If the system refuses: "EADDRINUSE", "EACCES", "EADDRNOTAVAIL".
 *
 * @example A port of the system's choice
 * ```ts
 * import { listen } from "@baozi/baozi/net";
 * import { assert } from "@std/assert";
 *
 * await using listener = await listen({ hostname: "127.0.0.1" });
 * assert(listener.address.port! > 0);
 * ```
 */
export function listen(options: ListenOptions = {}): Promise<Listener> {
  const refused = refuse("listen", options);
  if (refused !== null) return refused;
  try {
    const target = checkTarget("listen", options, 0, { hostname: "0.0.0.0", port: 0 });
    const backlog = checkCount("listen", "backlog", options.backlog ?? 511, 1);
    const { onError } = options;
    if (onError !== undefined && typeof onError !== "function") {
      throw new TypeError(`Cannot listen: onError must be a function, got ${kindOf(onError)}`);
    }
    const name = textOf(target.address);
    const host = wireHost();
    return hostCall<Listener>("listen", name, (ends) =>
      // The socket outlives the call, and belongs to no task.
      runOutside(() =>
        host.listen({ ...target, backlog }, {
          settle: (wire) => {
            if (ends.waiting) ends.settle(createListener(wire, { backlog, onError }));
            else wire.close();
          },
          fail: (error) => ends.fail(broken(`listen on ${name}`, error)),
          get waiting() {
            return ends.waiting;
          },
        })
      ), options);
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * A listening socket. Connections are given in the order of their arrival to those who accept, in the order
 * of their calls.
 *
 * A kill of the task that waits in an accept closes the listener, unless another one accepts from it as well;
 * a signal or a limit only ends the wait. As a case of `select` it is an accept; `done` says that the listener
 * is closed.
 *
 * Node and Bun cannot be held back from accepting: there up to `backlog` connections are held unread until
 * somebody accepts, and what comes above that is closed.
 */
export class Listener implements AsyncIterable<Conn>, AsyncDisposable, Selectable<Conn> {
  readonly #wire: WireListener;
  readonly #acceptors: WaitList = new WaitList(this, "accept", true);
  readonly #closers: WaitList = new WaitList(this, "close", true);
  readonly #held: Wire[] = [];
  readonly #backlog: number;
  readonly #onError: ((error: unknown) => void) | undefined;
  readonly #pause: Pause = new Pause(() => {
    if (this.#acceptors.first !== null) this.#ask();
  });
  #asked = false;
  #closed = false;
  #freed = false;

  static {
    createListener = (wire, options) => {
      creating = true;
      const listener = new Listener(wire, options?.backlog ?? 511, options?.onError);
      wire.open({
        accepted: (wire) => listener.#accepted(wire),
        failed: (error) => listener.#failed(error),
        freed: () => listener.#free(),
      });
      return listener;
    };
    showAsText(Listener.prototype);
  }

  /** Listeners are made by `listen`. */
  private constructor(
    wire: WireListener,
    backlog: number,
    onError: ((error: unknown) => void) | undefined,
  ) {
    if (!creating) throw new TypeError("Cannot construct listener: listen() makes one");
    creating = false;
    this.#wire = wire;
    this.#backlog = backlog;
    this.#onError = onError;
  }

  /**
   * Accepts a connection; parks while there is none. A cancelled accept took none.
   *
   * @throws {ConnClosedError} If the listener is closed.
   * @throws {TimeoutError} If `options.timeout` is over first.
   */
  accept(options?: WaitOptions): Promise<Conn> {
    const refused = refuse("accept", options);
    if (refused !== null) return refused;
    if (this.#closed) return Promise.reject(this.#closedError());
    const wire = this.#held.shift();
    if (wire !== undefined) return Promise.resolve(createConn(wire));
    const accepting = new Waiter<Conn>(ACCEPT).park(this.#acceptors, options);
    this.#ask();
    return accepting;
  }

  /**
   * Stops listening at once, and waits until the port or the path is free. Those who wait to accept get a
   * `ConnClosedError`, iterations end; accepted connections stay as they are. A second call waits for the same
   * end. Out of reach of kills and limits of the caller.
   */
  close(): Promise<void> {
    this.#close();
    if (this.#freed) return Promise.resolve();
    return new Waiter<void>().parkShielded(this.#closers);
  }

  /** Where it listens; the port is the real one. */
  get address(): Address {
    return this.#wire.address;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The address, for messages and dumps: "127.0.0.1:4000". */
  get name(): string {
    return textOf(this.#wire.address);
  }

  /** The listener as a case of `select`: an accept. */
  get "~select"(): SelectCase<Conn> {
    return {
      ready: () => this.#closed || this.#held.length > 0,
      take: () =>
        this.#closed
          ? { done: true, value: undefined as never }
          : { done: false, value: createConn(this.#held.shift()!) },
      ended: () => this.#closed,
      enlist: (branch: SelectBranch<Conn>) => {
        enlist(branch, this.#acceptors);
        this.#ask();
      },
      delist,
    };
  }

  /** Iterates over the connections until the listener is closed. Leaving the loop does not close it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Conn> {
    return new PullIterator<Conn>("accept", {
      pull: () => {
        if (this.#closed) return END;
        const wire = this.#held.shift();
        return wire === undefined ? undefined : { done: false, value: createConn(wire) };
      },
      park: (waiter) => {
        const accepting = waiter.park(this.#acceptors);
        this.#ask();
        return accepting;
      },
    });
  }

  /** Closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** "Listener". */
  get [Symbol.toStringTag](): string {
    return "Listener";
  }

  /** The listener in words. */
  toString(): string {
    return `Listener ${JSON.stringify(this.name)}${this.#closed ? " (closed)" : ""}`;
  }

  /** A wait has ended without a connection. For the kernel. */
  "~waiterLeft"(waiter: object): void {
    const { context } = waiter as Waiter;
    const killed = context !== null && context.killed;
    if (killed && this.#acceptors.first === null) this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pause.end();
    this.#wire.close();
    for (const wire of this.#held.splice(0)) wire.destroy();
    for (let it = this.#acceptors.first; it !== null; it = this.#acceptors.first) {
      if (it.payload === ACCEPT) it.fail(this.#closedError());
      else it.settle(it.payload === NEXT ? END : { done: true, value: undefined });
    }
  }

  #free(): void {
    this.#freed = true;
    serveAll(this.#closers, undefined);
  }

  /** Asks the host for a connection, unless it was asked or has failed a moment ago. */
  #ask(): void {
    if (this.#asked || this.#closed || this.#pause.waiting) return;
    this.#asked = true;
    this.#wire.accept();
  }

  #accepted(wire: Wire): void {
    this.#asked = false;
    this.#pause.reset();
    const acceptor = this.#acceptors.first;
    if (this.#closed || (acceptor === null && this.#held.length >= this.#backlog)) {
      wire.destroy();
    } else if (acceptor === null) {
      this.#held.push(wire);
    } else {
      const conn = createConn(wire);
      acceptor.settle(acceptor.payload === ACCEPT ? conn : { done: false, value: conn });
      if (this.#acceptors.first !== null) this.#ask();
    }
  }

  #failed(error: unknown): void {
    this.#asked = false;
    if (this.#closed) return;
    this.#pause.begin();
    if (this.#onError === undefined) return;
    try {
      runOutside(this.#onError, broken(`accept on ${this.name}`, error));
    } catch (thrown) {
      reportUnhandled(thrown);
    }
  }

  #closedError(): ConnClosedError {
    return new ConnClosedError(
      `Cannot accept from Listener ${JSON.stringify(this.name)}: it must be open, got closed`,
    );
  }
}

/** The time after a failure in which nothing is asked. */
class Pause implements TimerTarget {
  readonly #over: () => void;
  #timer: Timer | null = null;
  #ms = FIRST_PAUSE;

  constructor(over: () => void) {
    this.#over = over;
  }

  get waiting(): boolean {
    return this.#timer !== null;
  }

  begin(): void {
    if (this.#timer !== null) return;
    this.#timer = clock.on.set(this, this.#ms);
    this.#ms = Math.min(this.#ms * 2, LONGEST_PAUSE);
  }

  timeUp(): void {
    this.#timer = null;
    this.#over();
  }

  /** All is well again: the next pause is a short one. */
  reset(): void {
    this.#ms = FIRST_PAUSE;
  }

  end(): void {
    this.#timer?.clock.clear(this.#timer);
    this.#timer = null;
  }
}
