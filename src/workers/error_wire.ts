// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Errors in messages. Hosts lose the class, the name, the fields and the errors of an
 * `AggregateError` when they clone one, and some of them the cause; here it arrives whole.
 *
 * @module
 */

// Invariants
//  1. A class is found by name among those that were entered before, never by a name that leads to it.
//  2. No constructor of the user runs: an error gets its prototype, then its fields.

import * as ours from "../errors.ts";

/** How many errors of an `AggregateError` cross. */
const MOST_ERRORS = 32;
/** Fields that hosts and this library do not list among the keys of an error. */
const HIDDEN: readonly string[] = [
  "cause",
  "errors",
  "error",
  "suppressed",
  "code",
  "waits",
  "inFlight",
];
/** Where an error was made, on Bun. */
const HOST_FIELDS: readonly string[] = [
  "line",
  "column",
  "sourceURL",
  "originalLine",
  "originalColumn",
];

// Node 20 has none.
declare const SuppressedError: ErrorClass | undefined;

/** A class of errors. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/**
 * An error in a message: its class, its name, message and stack, the keys and values of its fields, and of those
 * that are not enumerable.
 */
export type WireError = readonly [
  kind: string,
  name: string,
  message: string | undefined,
  stack: string | undefined,
  fields: unknown[],
  hidden: unknown[],
];

/** The classes of errors that come back as themselves: the built-in ones, this library's, the user's. */
export class ErrorClasses {
  readonly #names: Map<object, string> = new Map();
  readonly #prototypes: Map<string, object> = new Map();

  /**
   * Enters the user's classes, by their names.
   *
   * @throws {TypeError} If one is no class of errors, or has no name, or the name of another one.
   */
  constructor(classes: readonly ErrorClass[] = []) {
    for (const known of KNOWN) this.#enter(known);
    for (const added of classes) {
      if (typeof added !== "function" || !(added.prototype instanceof Error)) {
        throw new TypeError(
          `Cannot register error class: it must extend Error, got ${nameOf(added)}`,
        );
      }
      const { name } = added;
      const former = this.#prototypes.get(name);
      if (name === "" || (former !== undefined && former !== added.prototype)) {
        throw new TypeError(
          `Cannot register error class: it must have a name of its own, got ${
            JSON.stringify(name)
          }`,
        );
      }
      this.#enter(added);
    }
  }

  /** The name of the nearest class of an error that is known here. */
  nameOf(error: object): string {
    for (
      let at: object | null = Object.getPrototypeOf(error);
      at !== null;
      at = Object.getPrototypeOf(at)
    ) {
      const name = this.#names.get(at);
      if (name !== undefined) return name;
    }
    return "Error";
  }

  /** The prototype of a class, if it is known here. */
  prototypeOf(name: string): object | undefined {
    return this.#prototypes.get(name);
  }

  #enter(known: ErrorClass): void {
    this.#names.set(known.prototype, known.name);
    this.#prototypes.set(known.name, known.prototype);
  }
}

/** Whether a value is an error, of another realm too. */
export function isError(value: object): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

/** Makes what is sent of an error. `encode` is asked for the value of each of its fields; it must not throw. */
export function describeError(
  error: Error,
  classes: ErrorClasses,
  encode: (value: unknown) => unknown,
): WireError {
  const text = (key: "name" | "message" | "stack"): string | undefined => {
    const value = read(error, key);
    return typeof value === "string" ? encode(value) as string : undefined;
  };
  const name = text("name") ?? "Error", message = text("message"), stack = text("stack");
  const fields: unknown[] = [], hidden: unknown[] = [];
  const add = (list: unknown[], key: string): void => {
    let value = read(error, key);
    if (key === "errors" && Array.isArray(value)) value = value.slice(0, MOST_ERRORS);
    list.push(key, encode(value));
  };
  const keys = Object.keys(error);
  for (const key of keys) add(fields, key);
  for (const key of HIDDEN) if (Object.hasOwn(error, key) && !keys.includes(key)) add(hidden, key);
  return [classes.nameOf(error), name, message, stack, fields, hidden];
}

/** Whether a part of a message is an error. */
export function isWireError(wire: unknown): wire is WireError {
  if (!Array.isArray(wire) || wire.length !== 6) return false;
  const [kind, name, message, stack, fields, hidden] = wire;
  return typeof kind === "string" && typeof name === "string" && isText(message) &&
    isText(stack) && areFields(fields) && areFields(hidden);
}

/** Makes the error that was sent, but for its fields. */
export function reviveError(wire: WireError, classes: ErrorClasses): Error {
  const [kind, name, message, stack] = wire;
  if (kind === "DOMException") {
    const error = new DOMException(message, name);
    hide(error, "stack", stack);
    return error;
  }
  const error = new Error(message);
  // Where it was made here says nothing.
  for (const key of HOST_FIELDS) Reflect.deleteProperty(error, key);
  const prototype = classes.prototypeOf(kind);
  if (prototype !== undefined) Object.setPrototypeOf(error, prototype);
  if (read(error, "name") !== name) hide(error, "name", name);
  hide(error, "stack", stack);
  return error;
}

/** Gives an error its fields. `decode` is asked for the value of each. */
export function fillError(
  error: Error,
  wire: WireError,
  decode: (value: unknown) => unknown,
): void {
  const [, , , , fields, hidden] = wire;
  for (let at = 0; at < fields.length; at += 2) {
    Object.defineProperty(error, fields[at] as string, {
      value: decode(fields[at + 1]),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  for (let at = 0; at < hidden.length; at += 2) {
    hide(error, hidden[at] as string, decode(hidden[at + 1]));
  }
}

const KNOWN: readonly ErrorClass[] = [
  Error,
  AggregateError,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  DOMException,
  ...(typeof SuppressedError === "function" ? [SuppressedError] : []),
  ...Object.values(ours).filter((it): it is typeof ours.BusyError => it.prototype instanceof Error),
];

/** A property of an error, which may be a getter that throws. */
function read(error: object, key: string): unknown {
  try {
    return (error as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function hide(error: object, key: string, value: unknown): void {
  Object.defineProperty(error, key, {
    value,
    enumerable: false,
    writable: true,
    configurable: true,
  });
}

function isText(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function areFields(value: unknown): boolean {
  return Array.isArray(value) && value.length % 2 === 0 &&
    value.every((it, at) => at % 2 === 1 || typeof it === "string");
}

function nameOf(value: unknown): string {
  return typeof value === "function" ? value.name || "a function" : typeof value;
}
