// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * One thread, or one end of a message channel, with the same few verbs on every host: the threads of
 * `node:worker_threads`, the workers of the web, message ports.
 *
 * @module
 */

// Invariants
//  1. Nothing is told before `open`, and nothing after `terminate`.
//  2. `ended` is told once, whatever the host says and how often.
// Source: threads of `node:worker_threads` where the URL is a file, since they alone tell of their exit, keep
// the class of an uncaught error, and need not keep the process alive, on Deno, Node and Bun.

import { startTimer, stopTimer } from "../_kernel/host.ts";

/** How long the other side of a port that is not needed any more may take to close. */
const GOODBYE_MS = 100;

/** Two who speak through one port would take each other's messages, and each other's replies. */
const taken = new WeakSet<object>();

/** What can move: the DOM's `Transferable`, which projects for Node alone do not have. */
export type Movable = object;

/** What is used of a worker of the web. */
export interface WebWorker {
  /** Posts a copy; what is in `transfer` moves. */
  postMessage(message: unknown, transfer: Movable[]): void;
  /** Listens to its messages and errors. */
  // deno-lint-ignore no-explicit-any -- what the hosts declare here has no common type
  addEventListener(type: string, listener: (event: any) => void): void;
  /** Ends it at once. */
  terminate(): void;
}

/** What is used of a worker of `node:worker_threads`. */
export interface NodeWorker {
  /** Posts a copy; what is in `transfer` moves. */
  postMessage(message: unknown, transfer?: readonly never[]): void;
  /** Listens to its messages, errors and exit. */
  on(event: string, listener: (...args: never[]) => void): unknown;
  /** Ends it; resolves when it has ended. */
  terminate(): Promise<unknown>;
  /** -1 after its end, on Node and Bun. */
  readonly threadId?: number;
  /** Keeps the process alive. */
  ref(): void;
  /** Lets the process end. */
  unref(): void;
}

/** What is used of a `MessagePort`, of the web or of `node:worker_threads`. */
export interface PortLike {
  /** Posts a copy; what is in `transfer` moves. */
  postMessage(message: unknown, transfer: never[]): void;
  /** Lets its messages come. */
  start(): void;
  /** Ends it. */
  close(): void;
}

/** What a pool can speak through. */
export type WorkerLike = WebWorker | NodeWorker | PortLike;

/** Who is told what a port hears. Must not throw. */
export interface PortSink {
  /** A message came. */
  received(message: unknown): void;
  /** The other side is gone, or broken: with an error of the host, or one that says how it ended. */
  ended(error: unknown): void;
}

/** One side of a pair that speaks by messages. */
export interface Port {
  /** Says who is told. Once. */
  open(sink: PortSink): void;
  /** Posts a copy; what is in `transfer` moves. @throws The error of the host, if it cannot. */
  post(message: unknown, transfer: Movable[]): void;
}

/** The side of the pool. */
export interface WorkerPort extends Port {
  /** Where nothing but its end lets a process end that has nothing else to do. */
  readonly holdsProcess: boolean;
  /** Ends the other side at once, where that is a thread; resolves when it has ended. */
  terminate(): Promise<void>;
  /** Keeps the process alive. */
  ref(): void;
  /** Lets the process end. */
  unref(): void;
}

/** The side of the worker. */
export interface ServingPort extends Port {
  /** Ends this side. */
  close(): void;
}

interface Emitter {
  on(event: string, listener: (...args: never[]) => void): unknown;
}

/** A message port as Node, Bun and Deno have it. */
interface HostPort extends MessagePort {
  ref?(): void;
  unref?(): void;
}

interface ThreadModule {
  readonly Worker: new (url: URL, options: object) => NodeWorker;
  readonly isMainThread: boolean;
  readonly parentPort: (HostPort & Emitter) | null;
}

interface UtilModule {
  readonly types?: { isProxy?(value: object): boolean };
}

declare const process: { getBuiltinModule?(id: string): unknown } | undefined;
declare const WorkerGlobalScope: unknown;
declare const self: Omit<WebWorker, "terminate"> & { close(): void };

/** The threads of `node:worker_threads`, if the host has them. */
function threads(): ThreadModule | undefined {
  if (typeof process === "undefined") return undefined;
  return process.getBuiltinModule?.("node:worker_threads") as ThreadModule | undefined;
}

/** Whether no host clones it; `false` where the host does not say (browsers). */
export const isProxy: (value: object) => boolean = typeof process === "undefined"
  ? () => false
  : (process.getBuiltinModule?.("node:util") as UtilModule | undefined)?.types?.isProxy ??
    (() => false);

/** How many threads the machine runs at once, 1 if it does not say. */
export function hardwareThreads(): number {
  if (typeof navigator !== "undefined" && navigator.hardwareConcurrency > 0) {
    return navigator.hardwareConcurrency;
  }
  const os = typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:os");
  return (os as { availableParallelism?(): number } | undefined)?.availableParallelism?.() ?? 1;
}

/**
 * Starts a thread that runs the module at `url`.
 *
 * @throws {TypeError} If the host has no threads.
 */
export function startThread(url: URL, name: string): WorkerPort {
  const module = url.protocol === "file:" ? threads() : undefined;
  if (module !== undefined) return new NodePort(new module.Worker(url, { name }));
  if (typeof Worker === "undefined") {
    throw new TypeError(`Cannot start worker: the host must have workers for ${url.protocol} URLs`);
  }
  return new WebPort(new Worker(url, { type: "module", name }));
}

/**
 * The port of what the user made.
 *
 * @throws {TypeError} If it is none of the three kinds.
 */
export function portOf(made: unknown): WorkerPort {
  if (taken.has(made as object)) {
    throw new TypeError(
      "Cannot use worker: spawn must make a new one each time, got the same again",
    );
  }
  const port = openPort(made);
  taken.add(made as object);
  return port;
}

function openPort(made: unknown): WorkerPort {
  const { postMessage, terminate, on, addEventListener } = (made ?? {}) as Partial<
    Record<string, unknown>
  >;
  if (typeof postMessage === "function") {
    const ends = typeof terminate === "function";
    if (ends && typeof on === "function") {
      const worker = made as NodeWorker;
      if (worker.threadId === -1) {
        throw new TypeError("Cannot use worker: it must be alive, got one that has ended");
      }
      return new NodePort(worker);
    }
    if (ends && typeof addEventListener === "function") return new WebPort(made as WebWorker);
    if (isMessagePort(made)) return new ChannelPort(made);
  }
  throw new TypeError(
    `Cannot use worker: it must be a Worker or a MessagePort, got ${
      made === null ? "null" : typeof made
    }`,
  );
}

/**
 * The side of a worker at the end of a message channel.
 *
 * @throws {TypeError} If `port` is no message port.
 */
export function servingPort(port: unknown): ServingPort {
  if (isMessagePort(port)) {
    if (taken.has(port)) {
      throw new TypeError("Cannot serve: port must not be in use, got one that is");
    }
    taken.add(port);
    return new ChannelPort(port);
  }
  throw new TypeError(
    `Cannot serve: port must be a MessagePort, got ${port === null ? "null" : typeof port}`,
  );
}

/** The way from this thread to the one that started it; `undefined` in the main thread. */
export function parentPort(): ServingPort | undefined {
  const parent = threads()?.parentPort;
  if (parent != null) return new ParentPort(parent);
  return typeof WorkerGlobalScope === "undefined" ? undefined : new SelfPort();
}

function isMessagePort(made: unknown): made is HostPort {
  const { postMessage, start, close, addEventListener } = (made ?? {}) as Partial<MessagePort>;
  return [postMessage, start, close, addEventListener].every((fn) => typeof fn === "function");
}

/** Drops what is told twice, or too late. */
abstract class OpenPort {
  #sink: PortSink | null = null;

  open(sink: PortSink): void {
    this.#sink = sink;
    this.listen();
  }

  protected abstract listen(): void;

  protected received(message: unknown): void {
    this.#sink?.received(message);
  }

  protected ended(error: unknown): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.ended(error);
  }

  protected mute(): void {
    this.#sink = null;
  }
}

class NodePort extends OpenPort implements WorkerPort {
  readonly holdsProcess = false;
  readonly #worker: NodeWorker;
  readonly #gone: Promise<void>;
  #leave!: () => void;
  /** It has said something, or its exit. */
  #heard = false;
  #goodbye: unknown = undefined;

  constructor(worker: NodeWorker) {
    super();
    this.#worker = worker;
    // Both from the first moment: an error without a listener would end the process.
    worker.on("error", (error: unknown) => this.ended(error));
    this.#gone = new Promise((resolve) => {
      this.#leave = resolve;
    });
    worker.on("exit", (code: number) => {
      this.#heard = true;
      this.ended(new Error(`Worker exited with code ${code}`));
      this.#leave();
    });
  }

  protected listen(): void {
    this.#worker.on("message", (message: unknown) => {
      this.#heard = true;
      this.received(message);
    });
    this.#worker.on("messageerror", (error: unknown) => this.ended(error));
  }

  post(message: unknown, transfer: Movable[]): void {
    // In a Set: on Deno a typed array that stands in an array or object takes 0.1 us per element to post.
    this.#worker.postMessage(new Set([message]), transfer as never[]);
  }

  async terminate(): Promise<void> {
    this.mute();
    // Else a process with nothing else to do would end before the thread has.
    this.#worker.ref();
    void this.#worker.terminate().then(() => {
      // One that had ended before it was given to us says so no more.
      if (!this.#heard) this.#goodbye = startTimer(this.#leave, GOODBYE_MS);
    });
    await this.#gone;
    stopTimer(this.#goodbye);
  }

  ref(): void {
    this.#worker.ref();
  }

  unref(): void {
    this.#worker.unref();
  }
}

/** A worker of the web. */
class WebPort extends OpenPort implements WorkerPort {
  readonly #worker: WebWorker & { ref?(): void; unref?(): void };

  constructor(worker: WebWorker) {
    super();
    this.#worker = worker;
  }

  get holdsProcess(): boolean {
    return typeof process !== "undefined" && this.#worker.unref === undefined;
  }

  protected listen(): void {
    const worker = this.#worker;
    worker.addEventListener("message", ({ data }: MessageEvent) => this.received(data));
    worker.addEventListener("messageerror", () => {
      this.ended(new Error("Worker sent what cannot be read"));
    });
    worker.addEventListener("error", (event: ErrorEvent) => {
      // Else Deno ends the process.
      event.preventDefault();
      this.ended(event.error ?? new Error(event.message || "Worker could not be loaded"));
    });
    // Bun alone tells of it.
    worker.addEventListener("close", () => this.ended(new Error("Worker exited")));
  }

  post(message: unknown, transfer: Movable[]): void {
    this.#worker.postMessage(message, transfer);
  }

  terminate(): Promise<void> {
    this.mute();
    this.#worker.terminate();
    return Promise.resolve();
  }

  ref(): void {
    this.#worker.ref?.();
  }

  unref(): void {
    this.#worker.unref?.();
  }
}

/** In a worker of the web, the way to the one that started it. */
class SelfPort extends OpenPort implements ServingPort {
  // And not "error": here it is an error that nobody caught, of which the other side must hear.
  protected listen(): void {
    self.addEventListener("message", ({ data }: MessageEvent) => this.received(data));
    self.addEventListener("messageerror", () => {
      this.ended(new Error("Worker was sent what cannot be read"));
    });
  }

  post(message: unknown, transfer: Movable[]): void {
    self.postMessage(message, transfer as Transferable[]);
  }

  close(): void {
    this.mute();
    self.close();
  }
}

/** A message port; its other end may be anywhere. */
class ChannelPort extends OpenPort implements WorkerPort, ServingPort {
  readonly holdsProcess = false;
  readonly #port: HostPort;

  constructor(port: HostPort) {
    super();
    this.#port = port;
  }

  protected listen(): void {
    const port = this.#port;
    port.addEventListener("message", ({ data }: MessageEvent) => this.received(data));
    port.addEventListener("messageerror", () => {
      this.ended(new Error("Port received what cannot be read"));
    });
    port.addEventListener("close", () => this.ended(new Error("Port was closed")));
    port.start();
  }

  post(message: unknown, transfer: Movable[]): void {
    this.#port.postMessage(message, transfer as Transferable[]);
  }

  /** The other side closes when it is told goodbye. Not all hosts tell of that, and it may hang. */
  async terminate(): Promise<void> {
    this.mute();
    await new Promise<void>((resolve) => {
      const timer = startTimer(resolve, GOODBYE_MS);
      this.#port.addEventListener("close", () => {
        stopTimer(timer);
        resolve();
      });
    });
    this.#port.close();
  }

  close(): void {
    this.mute();
    this.#port.close();
  }

  ref(): void {
    this.#port.ref?.();
  }

  unref(): void {
    this.#port.unref?.();
  }
}

/** In a thread of `node:worker_threads`, the way to the one that started it. */
class ParentPort extends OpenPort implements ServingPort {
  readonly #port: HostPort & Emitter;

  constructor(port: HostPort & Emitter) {
    super();
    this.#port = port;
  }

  protected listen(): void {
    this.#port.on(
      "message",
      (message: unknown) => this.received(message instanceof Set ? [...message][0] : message),
    );
    this.#port.on("messageerror", (error: unknown) => this.ended(error));
  }

  post(message: unknown, transfer: Movable[]): void {
    this.#port.postMessage(message, transfer as Transferable[]);
  }

  close(): void {
    this.mute();
    this.#port.close();
  }
}
