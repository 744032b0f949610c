// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * One worker of a pool, from its start to its end, and the calls that run in it.
 *
 * @module
 */

// Invariants
//  1. It goes starting -> ready -> over, or starting -> over; the owner is told once of each.
//  2. A call is in #flights from the step in which it is posted until its reply, the crash, or the end of
//     its grace. Whoever takes it out ends its channels and settles its wait, in one step.
//  3. `load` counts the places that are taken: calls in flight, and those that were let in just now.
//  4. It keeps the process alive exactly while it starts or a place is taken.
// Source: Erlang's links and shutdown times.

import { clock, type Timer, type TimerTarget } from "../_kernel/clock.ts";
import { type Context, runOutside } from "../_kernel/current.ts";
import { macrotask } from "../_kernel/host.ts";
import { WaitList, type WaitOwner } from "../_kernel/wait_list.ts";
import { refuseOptions, Waiter, type WaitOptions } from "../_kernel/waiter.ts";
import { NotTransferableError, WorkerCrashed } from "../errors.ts";
import type { CallChannels } from "./crossing.ts";
import {
  BYE,
  CALL,
  FAILED,
  KILL,
  KILLED,
  Link,
  type LinkOptions,
  type LinkOwner,
  OUTPUT,
  READY,
  REPLY,
  STREAM,
  SUCCEEDED,
  VERSION,
} from "./link.ts";
import type { WorkerPort } from "./port.ts";

/** How long a worker that would keep the process alive may be idle. */
const IDLE_MS = 1000;

/** Where the values of a call go that gives a generator. */
export interface StreamEnd {
  /** A worker is about to send values there. */
  open(): object;
  /** The worker has said all, so also how the values end. */
  complete(): void;
}

/** What a thread needs of its pool. */
export interface ThreadOwner {
  readonly link: LinkOptions;
  readonly graceMs: number;
  readonly readyMs: number;
  /** It serves, or a place is free. */
  free(): void;
  /** It has ended by itself, or could not start. Called before its calls fail. */
  crashed(thread: Thread, error: WorkerCrashed): void;
  /** It was ended. */
  ended(thread: Thread): void;
}

/**
 * Who calls, known from the beginning of its task on: where the host has no `AsyncLocalStorage` nobody could
 * tell later, and a kill would not reach the call.
 */
export interface Caller {
  readonly context: Context | null;
  readonly options: WaitOptions;
}

/** Why nothing may even begin for `caller`, as `refuse` in the kernel; `null` if it may. */
export function refuseCaller({ context, options }: Caller): Promise<never> | null {
  if (context !== null && context.cancelled) return Promise.reject(context.reason);
  return refuseOptions("call", options);
}

/** A call that was posted. */
interface Flight {
  readonly id: number;
  readonly name: string;
  readonly channels: CallChannels;
  readonly output: StreamEnd | null;
  waiter: Waiter<unknown>;
  streaming: boolean;
  killed: { readonly reason: unknown } | null;
}

/** A worker. */
export class Thread implements WaitOwner, LinkOwner, TimerTarget {
  /** For dumps. */
  readonly [Symbol.toStringTag] = "Worker";
  /** Its number in the pool, counted from 1. */
  readonly number: number;
  /** For dumps: whose worker it is, and its number. */
  readonly name: string;
  ready = false;
  over = false;
  load = 0;
  readonly #owner: ThreadOwner;
  #port: WorkerPort | null = null;
  #link: Link | null = null;
  #names: ReadonlySet<string> = new Set();
  readonly #flights: Map<number, Flight> = new Map();
  readonly #calls: WaitList = new WaitList(this, "call", true);
  #lastId = 0;
  #timer: Timer | null = null;
  #gone: Promise<void> | null = null;

  /** Starts it. What `start` throws counts as a crash, which is told later. */
  constructor(owner: ThreadOwner, number: number, name: string, start: () => WorkerPort) {
    this.#owner = owner;
    this.number = number;
    this.name = `${name} #${number}`;
    // It belongs to no task: neither to the one whose call came first.
    runOutside(() => this.#start(start));
  }

  /** Runs a function in it; a place must be taken, which it gives back. */
  call(
    name: string,
    args: readonly unknown[],
    output: StreamEnd | null,
    { context, options }: Caller,
  ): Promise<unknown> {
    const refused = refuseCaller({ context, options });
    if (refused !== null) {
      this.#leave();
      return refused;
    }
    let flight: Flight;
    try {
      flight = this.#takeOff(name, args, output);
    } catch (error) {
      return Promise.reject(error);
    }
    return flight.waiter.parkAs(context, this.#calls, options).then(undefined, (error) => {
      // A reply or a crash has taken it out; else the wait was cancelled.
      if (!this.#flights.has(flight.id)) throw error;
      return this.#kill(flight, error);
    });
  }

  /** Ends it now; a call that is still in flight fails. */
  end(why = "was ended"): void {
    if (this.over) return;
    const error = this.#crashed(why);
    this.#link?.post([BYE]);
    this.#link?.flush();
    this.#finish();
    this.#owner.ended(this);
    for (const flight of [...this.#flights.values()]) {
      // One that was killed too has ended by that, be its own grace over or not.
      this.#fail(flight, flight.killed === null ? error : flight.killed.reason);
    }
  }

  /** Says whether it keeps the process alive. */
  rest(): void {
    const port = this.#port;
    if (port === null || this.over) return;
    const idle = this.ready && this.load === 0;
    if (!idle) port.ref();
    else port.unref();
    if (!port.holdsProcess || !this.ready) return;
    if (this.#timer !== null) this.#timer.clock.clear(this.#timer);
    this.#timer = idle ? clock.on.set(this, IDLE_MS) : null;
  }

  /** How many records of it nobody understood. */
  get ignored(): number {
    return this.#link?.ignored ?? 0;
  }

  /** Resolves when the thread is gone, once it is over; `null` if there was none. */
  get gone(): Promise<void> | null {
    return this.#gone;
  }

  timeUp(): void {
    this.#timer = null;
    if (this.ready) this.end();
    else {
      const ms = this.#owner.readyMs;
      this.#crash(`must call serve() within ${ms} ms`);
    }
  }

  "~received"(kind: string, record: readonly unknown[]): boolean {
    if (kind === READY) return this.#welcome(record);
    const flight = this.#flights.get(record[1] as number);
    if (flight === undefined) return false;
    if (kind === REPLY) return this.#land(flight, record);
    return kind === STREAM && this.#stream(flight);
  }

  "~refused"(record: readonly unknown[], error: unknown): void {
    const [kind, id, name] = record;
    const flight = kind === CALL ? this.#flights.get(id as number) : undefined;
    if (flight === undefined) return this.#crash("cannot be posted to", error);
    this.#fail(
      flight,
      new NotTransferableError(
        `Cannot post args: the host must be able to clone them, got a failure in ${name}`,
        "args",
        { cause: error },
      ),
    );
  }

  "~ended"(error: unknown): void {
    this.#crash(
      this.ready ? `has ended (${textOf(error)})` : `could not start (${textOf(error)})`,
      error,
    );
  }

  #start(start: () => WorkerPort): void {
    try {
      this.#port = start();
    } catch (error) {
      // Later: else a pool that starts another one at once would never return.
      macrotask(() => this["~ended"](error));
      return;
    }
    this.#timer = clock.on.set(this, this.#owner.readyMs);
    this.#link = new Link(this.#port, this, 0, this.#owner.link);
    this.#link.open();
  }

  #welcome([, version, names]: readonly unknown[]): boolean {
    if (this.ready || !Array.isArray(names) || typeof version !== "number") return false;
    if (version !== VERSION) {
      this.#crash(`must speak version ${VERSION} of the protocol, got ${version}`);
      return true;
    }
    this.#names = new Set(names.filter((name) => typeof name === "string"));
    this.ready = true;
    this.#stopTimer();
    this.#owner.free();
    this.rest();
    return true;
  }

  /** Posts a call; if that fails, gives the place back. */
  #takeOff(name: string, args: readonly unknown[], output: StreamEnd | null): Flight {
    const link = this.#link!, id = ++this.#lastId, waiter = new Waiter<unknown>();
    const channels = link.crossings.scope();
    try {
      if (!this.#names.has(name)) throw unknownFunction(name, this.#names);
      const transferList: Transferable[] = [];
      link.post([CALL, id, name, channels.encode(args, "args", transferList)], transferList);
    } catch (error) {
      channels.end();
      this.#leave();
      throw error;
    }
    const flight = { id, name, channels, output, waiter, streaming: false, killed: null };
    this.#flights.set(id, flight);
    return flight;
  }

  /** Tells the worker, and waits for what comes of it. */
  async #kill(flight: Flight, reason: unknown): Promise<unknown> {
    flight.killed = { reason };
    this.#link!.post([KILL, flight.id, this.#link!.codec.encodeReason(reason)]);
    flight.waiter = new Waiter<unknown>();
    const { graceMs } = this.#owner;
    const ended = await flight.waiter.parkShielded(this.#calls, { timeout: graceMs }, EXPIRED);
    if (ended !== EXPIRED) return ended;
    // What else runs there ends with it. Its values are not given back: they may have had an effect.
    this.#flights.delete(flight.id);
    this.end(`was ended, since ${flight.name} did not end within ${graceMs} ms of its kill`);
    throw reason;
  }

  /** The reply of a call. */
  #land(flight: Flight, [, , state, result]: readonly unknown[]): boolean {
    if (state !== SUCCEEDED && state !== FAILED && state !== KILLED) return false;
    let value: unknown;
    let malformed: { readonly error: unknown } | null = null;
    try {
      value = flight.channels.decode(result);
    } catch (error) {
      malformed = { error };
    }
    if (flight.streaming) flight.output!.complete();
    if (malformed !== null) this.#fail(flight, malformed.error);
    else if (state === SUCCEEDED) {
      this.#remove(flight);
      if (!flight.waiter.settled) flight.waiter.settle(value);
    } else if (state === KILLED && flight.killed !== null) {
      this.#fail(flight, flight.killed.reason);
    } else this.#fail(flight, value);
    return true;
  }

  #stream(flight: Flight): boolean {
    if (flight.streaming) return false;
    const answer: unknown[] = [OUTPUT, flight.id];
    if (flight.output !== null) {
      flight.streaming = true;
      answer.push(flight.channels.encode(flight.output.open(), "output", []));
    }
    this.#link!.post(answer);
    return true;
  }

  #fail(flight: Flight, error: unknown): void {
    this.#remove(flight);
    if (!flight.waiter.settled) flight.waiter.fail(error);
  }

  #failAll(error: unknown): void {
    for (const flight of [...this.#flights.values()]) this.#fail(flight, error);
  }

  #remove(flight: Flight): void {
    this.#flights.delete(flight.id);
    flight.channels.end();
    this.#leave();
  }

  #leave(): void {
    this.load--;
    if (this.over) return;
    this.#owner.free();
    this.rest();
  }

  /** The error of all that is in it, whose channels are over. */
  #crashed(why: string, cause?: unknown): WorkerCrashed {
    const calls = [...this.#flights.values()].map(({ name }) => name);
    const inFlight = this.#link?.crossings.crash() ?? [];
    const during = calls.length === 0 ? "" : `, during ${calls.join(", ")}`;
    return new WorkerCrashed(`Worker ${JSON.stringify(this.name)} ${why}${during}`, {
      worker: this.number,
      calls,
      inFlight,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  #crash(why: string, cause?: unknown): void {
    if (this.over) return;
    const error = this.#crashed(why, cause);
    this.#finish();
    this.#owner.crashed(this, error);
    this.#failAll(error);
  }

  #finish(): void {
    this.over = true;
    this.#stopTimer();
    this.#link?.close();
    this.#gone = this.#port?.terminate() ?? null;
  }

  #stopTimer(): void {
    if (this.#timer !== null) this.#timer.clock.clear(this.#timer);
    this.#timer = null;
  }
}

const EXPIRED: unique symbol = Symbol("expired");

/** What a call of a function that is not served rejects with. */
export function unknownFunction(name: unknown, served: Iterable<string>): TypeError {
  return new TypeError(
    `Cannot call ${JSON.stringify(name)}: it must be one of the functions served, ${
      [...served].map((one) => JSON.stringify(one)).join(", ") || "of which there is none"
    }`,
  );
}

/** The first line: hosts add frames of code. */
function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0]!;
}
