// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * A server: one task per connection, which is closed when its handler ends, however it ends. Accepting
 * waits while there are enough connections, and stopping lets the handlers finish.
 *
 * @module
 */

// Invariants
//  1. #members has exactly the connections whose task has not ended, each under that task.
//  2. Nothing is accepted while there are #most members or the pool is full, nor once it stops.
//  3. The connection of a member is closed before the end of its task is told.
//  4. When it has stopped and no member is left, no timer, waiter or signal knows the server.
//  5. A limit has one timer per connection. It looks at the last activity when it fires, and is never
//     set anew by a byte.
// Source: Trio's serve_listeners, gevent's StreamServer (pool, stop with a timeout), Go's http.Server
// (ReadHeaderTimeout is a deadline, IdleTimeout is not). Dropped: a handler that owns a place of the pool
// while nobody has connected, which lets an idle server starve the other users of a small pool.

import { type AbortTarget, unwatchAbort, watchAbort } from "../_kernel/abort.ts";
import { checkMs, clock, type Timer, type TimerTarget } from "../_kernel/clock.ts";
import { Context, currentContext, ROOT, runIn, runOutside } from "../_kernel/current.ts";
import { isThenable } from "../_kernel/foreign.ts";
import { macrotask } from "../_kernel/host.ts";
import { hostCall } from "../_kernel/host_call.ts";
import { reportUnhandled } from "../_kernel/unhandled.ts";
import { WaitList, type WaitOwner } from "../_kernel/wait_list.ts";
import { checkOptions, refuse, Waiter, type WaitOptions } from "../_kernel/waiter.ts";
import { BrokenError, killError, TimeoutError } from "../errors.ts";
import { Group } from "../pool.ts";
import { spawn } from "../spawn.ts";
import {
  callBody,
  currentTask,
  killTask,
  observeTask,
  type Task,
  type TaskOptions,
  type TaskWatcher,
  watchTask,
} from "../task.ts";
import { type Address, checkCount, kindOf, textOf } from "./address.ts";
import { UNEXPECTED_EOF } from "./broken.ts";
import type { Conn } from "./conn.ts";
import { listen, type Listener, type ListenOptions } from "./listener.ts";

/** How long a connection whose handler has ended may take to send what is buffered, in milliseconds. */
const LINGER_MS = 5000;

/** When a peer that still sent after the end counts as done, if it sends nothing, in milliseconds. */
const PAUSE_MS = 50;

/** Serves one connection. What it gives is dropped. */
export type ConnHandler = (conn: Conn) => unknown;

/** Options of {@linkcode serve}: where to listen, and what to allow. */
export interface ServeOptions extends ListenOptions {
  /**
   * How many connections may be open: an integer >= 1. With so many the server does not accept: who
   * comes then waits, and is served when a handler has ended; on Node and Bun those above `backlog` are
   * closed.
   *
   * @default {Infinity}
   */
  maxConnections?: number | undefined;
  /**
   * How long a connection may be without a byte in or out, in milliseconds > 0. Then it is destroyed,
   * and its waits reject with a `TimeoutError`.
   *
   * @default {Infinity}
   */
  idleTimeout?: number | undefined;
  /**
   * How long after its beginning a handler may wait for the answer of its first read, in milliseconds > 0: a
   * chunk for `read`, all bytes for `readExactly`, a whole line for `lines`, a whole frame for `frames`. Bytes
   * that come one by one do not extend it. Then the connection is destroyed, and its waits reject with a
   * `TimeoutError`. One that does not wait in a read at that moment, because it talks first, is given the
   * same time again, counted anew once it is seen to read.
   *
   * @default {Infinity}
   */
  handshakeTimeout?: number | undefined;
  /** Handlers run as its members. While it is full the server does not accept. */
  pool?: Group | undefined;
  /**
   * Told of what handlers throw, with the connection, and of errors in accepting, without one. It is not
   * told of kills. Without it an error of a handler is a failure that nobody observes, except those by
   * which its connection ended: these are dropped, else any client could end the program.
   */
  onError?: ((error: unknown, conn?: Conn) => void) | undefined;
  /** Stops the server when it aborts, and kills its handlers with the reason. */
  signal?: AbortSignal | undefined;
  /** Name for messages and dumps. @default {The address} */
  name?: string | undefined;
}

/** Options of {@linkcode Server.stop}. */
export interface StopOptions {
  /**
   * How long the handlers may take to finish, in milliseconds >= 0; then the rest is killed.
   *
   * @default {Infinity}
   */
  timeout?: number | undefined;
  /** Ends the wait when it aborts, which rejects with its reason. The stop goes on. */
  signal?: AbortSignal | undefined;
}

/** What became of the handlers that ran when the stop began. */
export interface Stopped {
  /** How many ended by themselves, with a value or an error. */
  readonly finished: number;
  /** How many the stop killed. */
  readonly killed: number;
}

/**
 * Listens and runs `handler(conn)` in a task of its own for each connection. Resolves once it listens.
 *
 * The connection closes when its handler ends. If it returns or throws, what it has written is still sent,
 * for at most 5 s. If it is killed, the connection is destroyed at that moment, whatever the handler
 * waits for. The server belongs to nobody: it outlives the task and the scope of this call, and goes on
 * until {@linkcode Server.stop}, `await using` or `signal` ends it.
 *
 * @param options Where to listen, and what to allow.
 * @param handler Serves one connection: a plain, an async or a generator function.
 * @throws {BrokenError} If it cannot listen, with `code` "EADDRINUSE" or what the host says.
 * @throws {RangeError} If a number is out of its bounds.
 * @throws {TypeError} If `handler` is no function, or an option has the wrong type.
 *
 * @example An echo server
 * ```ts
 * import { connect, serve } from "@baozi/baozi/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await serve({ port: 0, hostname: "127.0.0.1" }, async (conn) => {
 *   for await (const chunk of conn) await conn.write(chunk);
 * });
 * await using conn = await connect({ port: server.address.port });
 * await conn.write("hello\n");
 * for await (const line of conn.lines()) {
 *   assertEquals(line, "hello");
 *   break;
 * }
 * ```
 */
export async function serve(options: ServeOptions, handler: ConnHandler): Promise<Server> {
  const refused = refuse("serve", { signal: options?.signal });
  if (refused !== null) return refused;
  checkServe(options, handler);
  const { tls, handshakeTimeout = Infinity, onError, signal } = options;
  const listener = await listen({
    ...options,
    // Node does the handshake before it accepts, with a limit of its own.
    ...(tls === undefined || handshakeTimeout === Infinity
      ? {}
      : { tls: { handshakeTimeout, ...tls } }),
    onError: onError === undefined ? undefined : (error) => tellError(onError, error),
  });
  if (signal?.aborted === true) {
    await listener.close();
    throw signal.reason;
  }
  return createServer(listener, options, handler);
}

/** Starts a server on a listener that listens already; for {@linkcode serve}, and for tests. */
export let createServer: (
  listener: Listener,
  options: ServeOptions,
  handler: ConnHandler,
) => Server;

let creating = false;

/**
 * Connections that are accepted and served; {@linkcode serve} makes it. Iterating gives those that are open.
 *
 * @example Stop, and let them finish
 * ```ts
 * import { connect, serve } from "@baozi/baozi/net";
 * import { assertEquals } from "@std/assert";
 *
 * const server = await serve({ port: 0, hostname: "127.0.0.1" }, async (conn) => {
 *   for await (const line of conn.lines()) await conn.write(`${line}!\n`);
 * });
 * await using conn = await connect({ port: server.address.port });
 * await conn.write("hello\n");
 * await conn.read();
 * assertEquals(server.connections, 1);
 *
 * const stopped = server.stop({ timeout: 10_000 });
 * conn.closeWrite(); // its handler ends with its lines
 * assertEquals(await stopped, { finished: 1, killed: 0 });
 * ```
 */
export class Server implements AsyncDisposable, Iterable<Conn> {
  readonly #listener: Listener;
  readonly #name: string | undefined;
  readonly #handler: ConnHandler;
  readonly #most: number;
  readonly #idleMs: number;
  readonly #firstMs: number;
  readonly #pool: Group | undefined;
  readonly #onError: ServeOptions["onError"];
  readonly #signal: AbortSignal | undefined;
  readonly #members: Map<Task, Member> = new Map();
  readonly #acceptor: Task;
  readonly #place: WaitList = new WaitList(this as WaitOwner, "wait for a place");
  readonly #stoppers: WaitList = new WaitList(this as WaitOwner, "stop");
  readonly #calls: Set<StopCall> = new Set();
  readonly #ends: TaskWatcher = { taskEnded: (task) => this.#taskEnded(task) };
  readonly #stopSignal: AbortTarget = { aborted: (reason) => this.#abort(reason) };
  #closed = false;
  /** The port or the path is free again. */
  #freed = false;
  #finished = 0;
  #killed = 0;
  /** All were killed: who is still on the way to become a member shall be, too. */
  #killReason: { readonly reason: unknown } | undefined = undefined;

  static {
    createServer = (listener, options, handler) => {
      creating = true;
      return new Server(listener, options, handler);
    };
  }

  /** Servers are made by `serve`. */
  private constructor(listener: Listener, options: ServeOptions, handler: ConnHandler) {
    if (!creating) throw new TypeError("Cannot construct server: serve() makes one");
    creating = false;
    const { maxConnections, idleTimeout, handshakeTimeout, pool, onError, signal, name } = options;
    this.#listener = listener;
    this.#name = name;
    this.#handler = handler;
    this.#most = maxConnections ?? Infinity;
    this.#idleMs = idleTimeout ?? Infinity;
    this.#firstMs = handshakeTimeout ?? Infinity;
    this.#pool = pool;
    this.#onError = onError;
    this.#signal = signal;
    if (signal != null) watchAbort(signal, this.#stopSignal);
    this.#acceptor = spawn({ name: `serve ${this.name}` }, () => this.#acceptAll());
    watchTask(this.#acceptor, this.#ends);
  }

  /**
   * Stops accepting and closes the listener at once, lets the handlers finish, and after `timeout` kills the
   * rest and waits for their clean-up. It takes effect whether or not the promise is awaited, and the wait
   * is out of reach of kills. A second stop joins the first; the earliest limit counts.
   *
   * The handler that calls it is neither waited for nor killed by this call, and closes its own connection
   * by returning. A task that the handler waits for must not wait for it.
   *
   * @throws {RangeError} If `options.timeout` is negative or NaN.
   *
   * @example Those that do not finish are killed
   * ```ts
   * import { connect, serve } from "@baozi/baozi/net";
   * import { sleep } from "@baozi/baozi";
   * import { assertEquals } from "@std/assert";
   *
   * const server = await serve({ port: 0, hostname: "127.0.0.1" }, async (conn) => {
   *   await conn.write("welcome");
   *   await sleep(Infinity);
   * });
   * await using conn = await connect({ port: server.address.port });
   * await conn.read();
   * assertEquals(await server.stop({ timeout: 10 }), { finished: 0, killed: 1 });
   * ```
   */
  stop(options: StopOptions = {}): Promise<Stopped> {
    // As for a kill: a wrong option must not stop anything, an aborted signal only ends the wait.
    try {
      checkOptions("stop server", options as WaitOptions);
    } catch (error) {
      return Promise.reject(error);
    }
    const { timeout = Infinity, signal } = options;
    this.#close();
    const call = new StopCall(this.#memberOf(currentTask()), (own) => {
      this.#kill(killError(undefined, `Task was killed: server "${this.name}" stops`), own);
    });
    this.#calls.add(call);
    call.start(timeout);
    if (signal?.aborted === true) {
      this.#settle();
      return Promise.reject(signal.reason);
    }
    const stopped = new Waiter<Stopped>(call).parkShielded(this.#stoppers, { signal });
    this.#settle();
    return stopped;
  }

  /** Where it listens: with `port: 0` the port that the host chose. */
  get address(): Address {
    return this.#listener.address;
  }

  /** How many connections are open: their handlers have not ended. */
  get connections(): number {
    return this.#members.size;
  }

  /** Whether it accepts no more: it was stopped. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The given name, else the address. */
  get name(): string {
    return this.#name ?? textOf(this.#listener.address);
  }

  /** "Server". */
  get [Symbol.toStringTag](): string {
    return "Server";
  }

  /** Iterates over the connections that are open now. */
  *[Symbol.iterator](): Iterator<Conn> {
    for (const { conn } of [...this.#members.values()]) yield conn;
  }

  /** Stops it and kills the handlers: `await using server = await serve(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop({ timeout: 0 });
  }

  /** The tasks of the connections, for whose end a stop or the next accept waits. For dumps. */
  *"~holders"(): Iterable<Task> {
    for (const { task } of this.#members.values()) yield task;
  }

  /** The body of the task that accepts. */
  async #acceptAll(): Promise<void> {
    try {
      while (!this.#closed) {
        if (this.#members.size >= this.#most) await this.#freePlace();
        else if (isFull(this.#pool)) await placeIn(this.#pool!);
        else await this.#accept();
      }
    } catch (error) {
      if (!this.#closed) throw error; // the listener was closed by nobody: that is worth a report
    } finally {
      this.#close();
    }
  }

  async #accept(): Promise<void> {
    const conn = await this.#listener.accept();
    // What is handed over wins over a stop in the same tick; but nobody shall serve it any more.
    if (this.#closed) return conn.destroy();
    const options: TaskOptions = { name: `conn ${conn.name}` };
    const limits = this.#idleMs === Infinity && this.#firstMs === Infinity
      ? null
      : new Limits(conn, this.#idleMs, this.#firstMs);
    const member = new Member(conn, limits);
    const body = () => this.#attend(member);
    const pool = this.#pool;
    if (pool === undefined) return this.#adopt(member, spawn(options, body));
    try {
      const task = pool.trySpawn(options, body) ?? (await pool.spawn(options, body)).task;
      this.#adopt(member, task);
    } catch {
      // Its wait for a place was ended: by a kill of the pool, or by a stop.
      conn.destroy();
    }
  }

  /** Serves one connection: the body of its task. */
  async #attend(member: Member): Promise<void> {
    const { conn, limits } = member;
    const context = new Attendance(conn);
    limits?.begin();
    try {
      await runIn(context, callBody, this.#handler as (conn: never) => unknown, [conn]);
    } catch (error) {
      // Asked before the connection is closed here: who closed it tells whose error it is.
      member.broke = isEndOf(conn, error) || (error === limits?.error && error !== undefined);
      throw error;
    } finally {
      limits?.end();
      await closeAfter(conn);
      context.end();
    }
  }

  #adopt(member: Member, task: Task<unknown>): void {
    member.task = task as Task;
    if (task.ready) return this.#memberEnded(member);
    this.#members.set(task as Task, member);
    watchTask(task as Task, this.#ends);
    if (this.#killReason !== undefined) this.#killMember(member, this.#killReason.reason);
  }

  #taskEnded(task: Task): void {
    const member = this.#members.get(task);
    this.#members.delete(task);
    if (member !== undefined) this.#memberEnded(member);
    else if (task === this.#acceptor) this.#settle();
  }

  #memberEnded(member: Member): void {
    const { conn, task } = member;
    member.ended = true;
    conn.destroy(); // one that was killed before it began has closed nothing
    if (this.#closed && !member.killed) this.#finished++;
    if (task.state === "failed") this.#handlerFailed(member);
    this.#place.first?.settle(undefined);
    this.#settle();
  }

  #handlerFailed({ conn, task, broke }: Member): void {
    if (this.#onError === undefined && !broke) return; // nobody observes it: the task reports it
    observeTask(task);
    if (this.#onError !== undefined) tellError(this.#onError, task.error, conn);
  }

  #freePlace(): Promise<void> {
    return new Waiter<void>().park(this.#place);
  }

  /** Accepts no more. */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#listener.close().then(() => {
      this.#freed = true;
      this.#settle();
    });
    killTask(this.#acceptor, killError(undefined, `Task was killed: server "${this.name}" stops`));
  }

  #abort(reason: unknown): void {
    this.#close();
    this.#kill(reason, undefined);
  }

  /** Kills the handlers, except the one that asks for it. */
  #kill(reason: unknown, except: Member | undefined): void {
    this.#killReason = { reason };
    for (const member of this.#members.values()) {
      if (member !== except) this.#killMember(member, reason);
    }
  }

  #killMember(member: Member, reason: unknown): void {
    if (member.killed) return;
    member.killed = true;
    this.#killed++;
    killTask(member.task, reason);
  }

  #memberOf(task: Task | undefined): Member | undefined {
    if (task === undefined) return undefined;
    for (const member of this.#members.values()) if (member.task === task) return member;
    return undefined;
  }

  /** Ends the stops that have nothing left to wait for. */
  #settle(): void {
    if (!this.#freed || !this.#acceptor.ready) return;
    const over = this.#members.size === 0;
    if (over) {
      if (this.#signal != null) unwatchAbort(this.#signal, this.#stopSignal);
      for (const call of this.#calls) call.end();
      this.#calls.clear();
    } else if (!this.#onlyCallersLeft()) return;
    for (let waiter = this.#stoppers.first; waiter !== null;) {
      const { next, payload } = waiter;
      const call = payload as StopCall;
      if (over || call.own?.ended === false) {
        call.end();
        this.#calls.delete(call);
        waiter.settle({ finished: this.#finished, killed: this.#killed });
      }
      waiter = next;
    }
  }

  /** Whether every handler that is left waits in a stop: these do not wait for each other. */
  #onlyCallersLeft(): boolean {
    const callers = new Set<Member>();
    for (let waiter = this.#stoppers.first; waiter !== null; waiter = waiter.next) {
      const { own } = waiter.payload as StopCall;
      if (own?.ended === false) callers.add(own);
    }
    return callers.size === this.#members.size;
  }
}

/** One open connection. */
class Member {
  readonly conn: Conn;
  readonly limits: Limits | null;
  task!: Task;
  /** A stop has killed it. */
  killed = false;
  ended = false;
  /** Its error is how its connection ended. */
  broke = false;

  constructor(conn: Conn, limits: Limits | null) {
    this.conn = conn;
    this.limits = limits;
  }
}

/** The time limits of one connection. */
class Limits implements TimerTarget {
  readonly #conn: Conn;
  readonly #idleMs: number;
  readonly #firstMs: number;
  #idle: Timer | null = null;
  #first: Timer | null = null;
  /** The handler may have waited in its first read since the last look. */
  #mayWait = true;
  /** The error of the limit that was over. */
  error: TimeoutError | undefined = undefined;

  constructor(conn: Conn, idleMs: number, firstMs: number) {
    this.#conn = conn;
    this.#idleMs = idleMs;
    this.#firstMs = firstMs;
  }

  begin(): void {
    const conn = this.#conn;
    if (this.#idleMs !== Infinity) {
      conn["~clocked"] = true;
      conn["~lastActivity"] = clock.on.now();
      this.#idle = clock.on.set(this, this.#idleMs);
    }
    if (this.#firstMs !== Infinity) {
      conn["~firstRead"] = () => this.#clearFirst();
      this.#first = clock.on.set(this, this.#firstMs);
    }
  }

  timeUp(timer: Timer): void {
    if (this.#conn.closed) return;
    if (timer === this.#first) this.#lookAtFirst();
    else this.#lookAtIdle();
  }

  end(): void {
    this.#clearFirst();
    this.#idle?.clock.clear(this.#idle);
  }

  #lookAtIdle(): void {
    const ms = this.#idleMs, conn = this.#conn;
    const left = conn["~lastActivity"] + ms - clock.on.now();
    if (left > 0) this.#idle = clock.on.set(this, left);
    else this.#fail(`a byte must go in or out within ${ms} ms, got none`, ms);
  }

  #lookAtFirst(): void {
    const ms = this.#firstMs, waits = this.#conn["~reading"];
    if (waits && this.#mayWait) {
      return this.#fail(`its first message must come within ${ms} ms, got less`, ms);
    }
    this.#mayWait = waits;
    this.#first = clock.on.set(this, ms);
  }

  #fail(rule: string, ms: number): void {
    this.end();
    const name = JSON.stringify(this.#conn.name);
    this.error = new TimeoutError(`Cannot go on with Conn ${name}: ${rule}`, ms);
    this.#conn["~fail"](this.error);
  }

  #clearFirst(): void {
    this.#conn["~firstRead"] = null;
    this.#first?.clock.clear(this.#first);
    this.#first = null;
  }
}

/** One call of `stop`, with its limit. */
class StopCall implements TimerTarget {
  /** The member whose handler calls. */
  readonly own: Member | undefined;
  readonly #kill: (own: Member | undefined) => void;
  #timer: Timer | null = null;

  constructor(own: Member | undefined, kill: (own: Member | undefined) => void) {
    this.own = own;
    this.#kill = kill;
  }

  start(ms: number): void {
    if (ms === 0) this.timeUp();
    else this.#timer = clock.on.set(this, ms);
  }

  timeUp(): void {
    this.#kill(this.own);
  }

  end(): void {
    this.#timer?.clock.clear(this.#timer);
  }
}

/** Where a handler runs: a kill of its task destroys the connection at once, whatever it waits for. */
class Attendance extends Context {
  readonly #conn: Conn;

  constructor(conn: Conn) {
    super(currentContext() ?? ROOT);
    this.#conn = conn;
  }

  override wasCancelled(reason: unknown): void {
    this.#conn.destroy(reason);
  }
}

function checkServe(options: ServeOptions, handler: unknown): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot serve: options must be an object, got ${String(options)}`);
  }
  if (typeof handler !== "function") {
    throw new TypeError(`Cannot serve: handler must be a function, got ${kindOf(handler)}`);
  }
  const { maxConnections = Infinity, pool, onError, name } = options;
  if (maxConnections !== Infinity) checkCount("serve", "maxConnections", maxConnections, 1);
  for (const limit of ["idleTimeout", "handshakeTimeout"] as const) {
    const ms = options[limit] ?? Infinity;
    checkMs("serve", limit, ms);
    if (ms === 0) throw new RangeError(`Cannot serve: ${limit} must be > 0 milliseconds, got 0`);
  }
  if (pool !== undefined && !(pool instanceof Group)) {
    throw new TypeError(`Cannot serve: pool must be a Pool or a Group, got ${kindOf(pool)}`);
  }
  if (onError !== undefined && typeof onError !== "function") {
    throw new TypeError(`Cannot serve: onError must be a function, got ${kindOf(onError)}`);
  }
  if (name !== undefined && typeof name !== "string") {
    throw new TypeError(`Cannot serve: name must be a string, got ${kindOf(name)}`);
  }
}

/** Closes the connection of a handler that has ended; of one that is destroyed it waits for the end only. */
async function closeAfter(conn: Conn): Promise<void> {
  const deadline = clock.on.now() + LINGER_MS;
  const left = () => Math.max(0, deadline - clock.on.now());
  // A system that closes with bytes unread sends a reset, and a peer that still sends loses what it has
  // not read yet. So what it sends is dropped here first, as nginx does, until it ends or pauses.
  if (!conn.closed && !conn.ended) {
    conn.closeWrite();
    try {
      while (left() > 0 && await readOn(conn, Math.min(PAUSE_MS, left())));
    } catch {
      // The peer has reset, or a kill has destroyed it.
    }
  }
  await conn.close({ timeout: left() });
}

/** Drops what comes next; `false` at the end, or if nothing comes for `ms` milliseconds. */
async function readOn(conn: Conn, ms: number): Promise<boolean> {
  try {
    return await conn.read({ timeout: ms }) !== undefined;
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    // In a busy program the limit may be looked at before what has come in time.
    await turn(conn);
    return conn.buffered > 0;
  }
}

/** Waits until the host had its turn, and has handed over what has come. */
function turn({ name }: Conn): Promise<void> {
  return hostCall<void>("close", name, (ends) => {
    macrotask(() => ends.settle());
    return undefined;
  });
}

/** Whether `error` says that the peer or the net ended this connection. */
function isEndOf(conn: Conn, error: unknown): boolean {
  return error instanceof BrokenError && (conn.closed || error.code === UNEXPECTED_EOF);
}

function isFull(pool: Group | undefined): boolean {
  return pool !== undefined && (pool.free === 0 || pool.waiting > 0);
}

/** Waits, in its turn, until `pool` has a place. */
async function placeIn(pool: Group): Promise<void> {
  try {
    const { task } = await pool.spawn({ name: "place for a connection" }, () => {});
    await task.join();
  } catch {
    // The pool was killed, and can be used again; or the server stops, and the caller looks after that.
  }
}

function tellError(
  onError: NonNullable<ServeOptions["onError"]>,
  error: unknown,
  conn?: Conn,
): void {
  try {
    const returned: unknown = runOutside(onError as (...args: unknown[]) => unknown, error, conn);
    if (isThenable(returned)) Promise.resolve(returned).catch((thrown) => reportUnhandled(thrown));
  } catch (thrown) {
    reportUnhandled(thrown);
  }
}
