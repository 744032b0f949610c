// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Values in messages. What the host's structured clone keeps is posted as it is; errors and channels,
 * which it does not keep, stand beside the value; everything else is refused before it is posted, with
 * the path to it.
 *
 * @module
 */

// Invariants
//  1. A message is the value itself, unless that is an array: then it is `[value]`. With specials it is
//     `[value, specials]`. So nothing in a value can be taken for a message.
//  2. A special is told by the identity of the object in its place, which a clone keeps within one
//     message; no data of the user can forge it.
//  3. A value is not changed. With specials its containers are copied, all of them.
//  4. Nothing is moved, and no channel passed, before all of the value was found to be fit.
// Source: HTML, "StructuredSerializeInternal". Dropped: markers among the keys, which data can contain;
// copying only the way to a special, which in a cycle is everything; the whole buffer of a small view,
// which for a `Buffer` of Node is 8 KiB of other people's bytes. So views share their buffer there only
// if each shows half of it or more. Proxies cannot be told: posting one fails.

import { NotTransferableError } from "../errors.ts";
import {
  describeError,
  type ErrorClass,
  ErrorClasses,
  fillError,
  isError,
  isWireError,
  reviveError,
  type WireError,
} from "./error_wire.ts";
import { isProxy, type Movable } from "./port.ts";
import { hasMoved, isMarked, isPort, move, tagOf } from "./transfer.ts";

/** How deep a value may be nested: hosts clone by recursion. */
const DEEPEST = 1000;
/** How many errors deep a cause may be. */
const DEEPEST_ERROR = 8;
/** A value with more objects, or nested deeper, needs a memory of those seen: it may have cycles. */
const MOST_PLAIN = 10_000;
const DEEPEST_PLAIN = 32;
const MOST_ELEMENTS = 1_000_000;
/** The most of a text in an error, or in the place of a value. */
const LONGEST_TEXT = 1000;
/** Longer arrays in messages may be holes for the most part. */
const MOST_INDICES = 10_000_000;

/** A key, an index, or a text for what is neither. */
type Step = string | number | { readonly text: string };

const ERROR = 1;
const CHANNEL = 2;

/** Options of {@linkcode makeCodec}. */
export interface CodecOptions {
  /** The user's classes of errors that come back as themselves. @default {[]} */
  classes?: readonly ErrorClass[] | undefined;
  /** The most that a value may take, by estimate. */
  maxMessageBytes: number;
  /** Makes the token of something like a channel; `undefined` if it is none. May throw. */
  pass?: ((channelLike: object, path: string) => unknown) | undefined;
  /** Makes the channel of a token; `undefined` if it is none. */
  take?: ((token: unknown) => unknown) | undefined;
}

/** Turns values into what can be posted, and back. */
export interface Codec {
  /**
   * Makes what is posted for a value; it must be posted before the value is changed. What is to be moved
   * is added to `transferList`.
   *
   * @param path What the value is called in errors: "value".
   * @throws {NotTransferableError} If a part of it cannot be cloned, or would become something else.
   * @throws {RangeError} If it is too large or nested too deep.
   */
  encode(value: unknown, path: string, transferList: Movable[]): unknown;
  /** As `encode` for an error, or another reason. Never throws: what cannot be cloned becomes a text. */
  encodeReason(reason: unknown): unknown;
  /**
   * Makes the value of a message, which must be fresh from the host: its parts are used.
   *
   * @throws {TypeError} If it is malformed; then no channel was taken, unless `take` itself has refused one.
   */
  decode(message: unknown): unknown;
}

/** Makes a codec. @throws {TypeError} If one of `classes` is no class of errors, or its name is taken. */
export function makeCodec(options: CodecOptions): Codec {
  return new ValueCodec(options);
}

/** Whether a message that was encoded carries errors or channels. */
export function hasSpecials(message: unknown): boolean {
  return Array.isArray(message) && message.length === 2;
}

class ValueCodec implements Codec {
  readonly #options: CodecOptions;
  readonly #classes: ErrorClasses;

  constructor(options: CodecOptions) {
    this.#options = options;
    this.#classes = new ErrorClasses(options.classes);
  }

  encode(value: unknown, path: string, transferList: Movable[]): unknown {
    // On the way of every value of a channel: the most common ones first.
    if (typeof value === "number" || typeof value === "boolean" || value === undefined) {
      return value;
    }
    const { maxMessageBytes } = this.#options;
    if (typeof value === "string" && 8 + 2 * value.length <= maxMessageBytes) return value;
    const bytes = plainBytes(value);
    if (bytes >= 0 && bytes <= maxMessageBytes) {
      return Array.isArray(value) ? [value] : value;
    }
    const walk = new Walk(this.#options, this.#classes, path, false);
    walk.encodeAll(value);
    if (!walk.special) return walk.finish(value, transferList);
    const copying = new Walk(this.#options, this.#classes, path, true);
    return copying.finish(copying.encodeAll(value), transferList);
  }

  encodeReason(reason: unknown): unknown {
    const walk = new Walk(this.#options, this.#classes, "reason", true);
    return walk.finish(walk.encodeLeniently(reason), []);
  }

  decode(message: unknown): unknown {
    if (!Array.isArray(message)) return message;
    if (message.length === 1) return message[0];
    if (message.length !== 2) throw malformed("it must have one or two parts", message.length);
    return decodeSpecials(message[0], message[1], this.#options, this.#classes);
  }
}

// -- Encoding --

/** Texts in the place of a part of an error. */
const TOO_LARGE = "[too large]";
const UNREADABLE = "[unreadable]";

/** Prototypes of plain data of the language. */
const BASIC: readonly object[] = [Date, RegExp, Number, String, Boolean, BigInt].map((it) =>
  it.prototype
);

/** The classes of views, by name. */
const VIEWS: ReadonlyMap<string, new (buffer: ArrayBufferLike) => ArrayBufferView> = new Map(
  [
    BigInt64Array,
    BigUint64Array,
    DataView,
    Float32Array,
    Float64Array,
    Int16Array,
    Int32Array,
    Int8Array,
    Uint16Array,
    Uint32Array,
    Uint8Array,
    Uint8ClampedArray,
  ].map((it) => [it.name, it as new (buffer: ArrayBufferLike) => ArrayBufferView]),
);

/** How many more objects `plainBytes` looks at. */
let left = 0;

/** The size of a value without anything special, as most are; -1 if it takes a walk to know. */
function plainBytes(value: unknown): number {
  left = MOST_PLAIN;
  try {
    return partBytes(value, 0);
  } catch {
    return -1; // A getter threw. The walk says which.
  }
}

function partBytes(value: unknown, depth: number): number {
  switch (typeof value) {
    case "number":
    case "boolean":
    case "undefined":
      return 8;
    case "string":
      return 8 + 2 * value.length;
    case "object":
      return value === null ? 8 : objectBytes(value, depth);
    default:
      return -1;
  }
}

function objectBytes(value: object, depth: number): number {
  if (--left < 0 || depth > DEEPEST_PLAIN || isProxy(value)) return -1;
  let bytes = 16;
  const prototype: object | null = Object.getPrototypeOf(value);
  if (prototype === Object.prototype) {
    // Faster than to list the keys. What it inherits is looked at too: there is hardly ever any.
    for (const key in value) {
      const more = partBytes((value as Record<string, unknown>)[key], depth + 1);
      if (more < 0) return -1;
      bytes += more + 2 * key.length;
    }
    return bytes;
  }
  if (prototype === Array.prototype && Array.isArray(value)) {
    if (value.length > MOST_ELEMENTS) return -1;
    for (let at = 0; at < value.length; at++) {
      const part: unknown = value[at];
      const more = typeof part === "number" ? 8 : partBytes(part, depth + 1);
      if (more < 0) return -1;
      bytes += more;
    }
    return bytes;
  }
  if (ArrayBuffer.isView(value)) {
    const { buffer } = value;
    // A detached one has no bytes, and shared memory is not counted: the walk knows.
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength === 0) return -1;
    if (isSmallPart(value)) return -1;
    return isMarked(buffer) || hasMoved(buffer) ? -1 : buffer.byteLength;
  }
  return prototype !== null && cloned.has(prototype) && !isMarked(value) ? bytes : -1;
}

/** Prototypes of the host's own classes whose objects arrive as what they are. */
const cloned = new WeakSet<object>(BASIC);

/** One walk through one value. */
class Walk {
  /** Whether something was found that must not be posted as it is. */
  special = false;
  readonly #options: CodecOptions;
  readonly #classes: ErrorClasses;
  readonly #copies: boolean;
  /** The path to where the walk is. */
  readonly #path: Step[] = [];
  readonly #root: string;
  readonly #seen: Map<object, unknown> = new Map();
  /** What was seen within errors, where texts may stand in it. */
  readonly #seenLeniently: Map<object, unknown> = new Map();
  readonly #specials: unknown[] = [];
  readonly #channels: { at: number; channel: object; path: string }[] = [];
  readonly #moving: object[] = [];
  #lenient = false;
  #errors = 0;
  #bytes = 0;
  /** What this walk itself has thrown. */
  #refusal: unknown = undefined;

  constructor(options: CodecOptions, classes: ErrorClasses, path: string, copies: boolean) {
    this.#options = options;
    this.#classes = classes;
    this.#root = path;
    this.#copies = copies;
  }

  /**
   * Looks at all of a value, and returns what stands for it in the message.
   *
   * @throws {NotTransferableError | RangeError} If it is not fit.
   */
  encodeAll(value: unknown): unknown {
    try {
      return this.encode(value);
    } catch (error) {
      if (error === this.#refusal) throw error;
      // A trap of a proxy threw, or the caller has used up the stack.
      return this.#refuse("it must be readable", "something that throws", error);
    }
  }

  /** Looks at a part. */
  encode(value: unknown): unknown {
    switch (typeof value) {
      case "number":
      case "boolean":
      case "undefined":
        this.#count(8);
        return value;
      case "string":
        return this.#count(8 + 2 * value.length) ? value : shorten(value);
      case "bigint":
        return this.#count(bigintBytes(value)) ? value : TOO_LARGE;
      case "object":
        return value === null ? null : this.#object(value);
      default:
        return this.#refuse("it must be data", describe(value));
    }
  }

  /** As `encode`, but puts texts in the place of what is not fit. */
  encodeLeniently(value: unknown): unknown {
    const was = this.#lenient, depth = this.#path.length;
    this.#lenient = true;
    try {
      return this.encode(value);
    } catch {
      this.#path.length = depth;
      return UNREADABLE;
    } finally {
      this.#lenient = was;
    }
  }

  /** The message, when all was looked at. */
  finish(value: unknown, transferList: Movable[]): unknown {
    for (const { at, channel, path } of this.#channels) {
      const token = this.#options.pass?.(channel, path);
      if (token === undefined) {
        throw new NotTransferableError(
          `Cannot post ${path}: it must be a channel or plain data, got ${describe(channel)}`,
          path,
        );
      }
      this.#specials[at] = token;
    }
    for (const thing of this.#moving) {
      move(thing);
      transferList.push(thing as Movable);
    }
    if (this.#specials.length > 0) return [value, this.#specials];
    return Array.isArray(value) ? [value] : value;
  }

  #object(value: object): unknown {
    let known = this.#seen.get(value);
    if (known === undefined && this.#lenient) known = this.#seenLeniently.get(value);
    if (known !== undefined) return known;
    if (this.#path.length >= DEEPEST) {
      if (this.#lenient) return "[nested too deep]";
      throw this.#refusal = new RangeError(
        `Cannot post ${this.#where()}: it must be nested at most ${DEEPEST} deep, got more`,
      );
    }
    if (!this.#count(16)) return TOO_LARGE;
    if (!this.#lenient && isProxy(value)) {
      return this.#refuse("a Proxy must be copied first, since no host clones it", "one");
    }
    const prototype: object | null = Object.getPrototypeOf(value);
    if (prototype === null || isObjectPrototype(prototype)) {
      return isChannelLike(value) ? this.#channel(value) : this.#record(value);
    }
    if (Array.isArray(value)) {
      return isArrayPrototype(prototype) ? this.#array(value) : this.#instance(value);
    }
    if (prototype === Map.prototype) return this.#map(value as Map<unknown, unknown>);
    if (prototype === Set.prototype) return this.#set(value as Set<unknown>);
    if (isError(value)) return this.#error(value);
    if (ArrayBuffer.isView(value)) return this.#buffer(value, value.buffer);
    if (value instanceof ArrayBuffer) return this.#buffer(value, value);
    if (isMarked(value) || hasMoved(value)) return this.#movable(value);
    if (this.#lenient ? BASIC.includes(prototype) : cloned.has(prototype)) {
      return this.#see(value, value);
    }
    return isChannelLike(value) ? this.#channel(value) : this.#instance(value);
  }

  #record(value: object): object {
    const copy = this.#see(value, this.#copies ? {} : value);
    for (const key of Object.keys(value)) {
      this.#count(2 * key.length);
      const part = this.#field(value, key);
      if (this.#copies) set(copy, key, part);
    }
    return copy;
  }

  /** Of an array only the elements are looked at: to list its keys takes longer than to clone it. */
  #array(value: unknown[]): object {
    if (!this.#count(8 * value.length)) return this.#see(value, [TOO_LARGE]);
    const copy = this.#see(value, this.#copies ? [] : value) as unknown[];
    if (this.#copies) copy.length = value.length;
    for (let at = 0; at < value.length; at++) {
      const part = value[at];
      // A hole stays one.
      if (part === undefined && !(at in value)) continue;
      const encoded = this.#at(at, part);
      if (this.#copies) copy[at] = encoded;
    }
    return copy;
  }

  #map(value: Map<unknown, unknown>): object {
    const copy = this.#see(value, this.#copies ? new Map() : value) as Map<unknown, unknown>;
    let at = 0;
    for (const [key, part] of [...value]) {
      const newKey = this.#at({ text: `.keys()[${at}]` }, key);
      const newPart = this.#at({ text: `.values()[${at++}]` }, part);
      if (this.#copies) copy.set(newKey, newPart);
    }
    return copy;
  }

  #set(value: Set<unknown>): object {
    const copy = this.#see(value, this.#copies ? new Set() : value) as Set<unknown>;
    let at = 0;
    for (const part of [...value]) {
      const newPart = this.#at({ text: `.values()[${at++}]` }, part);
      if (this.#copies) copy.add(newPart);
    }
    return copy;
  }

  #error(value: Error): unknown {
    this.special = true;
    if (!this.#copies) return value;
    if (this.#errors > DEEPEST_ERROR) return `[${describe(value)}]`;
    const place = this.#place(value, ERROR);
    const at = this.#specials.length - 1;
    this.#errors++;
    try {
      const encode = (part: unknown): unknown => this.encodeLeniently(part);
      this.#specials[at] = describeError(value, this.#classes, encode);
    } catch {
      this.#specials[at] = ["Error", "Error", UNREADABLE, undefined, [], []];
    }
    this.#errors--;
    return place;
  }

  #channel(value: object): unknown {
    this.special = true;
    if (!this.#copies) return value;
    // An error is only told; it opens nothing.
    if (this.#lenient) return `[${describe(value)}]`;
    const place = this.#place(value, CHANNEL);
    this.#channels.push({
      at: this.#specials.length - 1,
      channel: value,
      path: this.#where(),
    });
    return place;
  }

  #buffer(value: object, buffer: ArrayBufferLike): unknown {
    if (!(buffer instanceof ArrayBuffer)) return this.#see(value, value);
    if (isMarked(buffer) || hasMoved(buffer)) return this.#movable(buffer, value);
    if (ArrayBuffer.isView(value) && isSmallPart(value)) {
      this.special = true;
      if (!this.#copies) return value;
      return this.#count(value.byteLength) ? this.#see(value, partOf(value)) : TOO_LARGE;
    }
    return this.#count(buffer.byteLength) ? this.#see(value, value) : TOO_LARGE;
  }

  #movable(thing: object, value: object = thing): unknown {
    if (hasMoved(thing)) return this.#refuse("it must not have moved already", "one that has");
    if (this.#lenient) return thing instanceof ArrayBuffer ? value : `[${describe(value)}]`;
    if ((thing as { locked?: unknown }).locked === true) {
      return this.#refuse("a stream must not be locked", "one that is");
    }
    if (!this.#moving.includes(thing)) this.#moving.push(thing);
    return this.#see(value, value);
  }

  #instance(value: object): unknown {
    if (tagOf(value) === "Promise") return this.#refuse("a promise must be awaited first", "one");
    if (isPort(value)) return this.#refuse("a port must be passed by transfer()", "one");
    // Trying it copies it: nothing for what only comes along with an error.
    if (!this.#lenient && keepsClass(value)) {
      cloned.add(Object.getPrototypeOf(value));
      return this.#see(value, value);
    }
    return this.#refuse(
      "it must be plain data, since its class would be lost",
      describe(value),
    );
  }

  #field(value: object, key: string): unknown {
    let part: unknown;
    try {
      part = (value as Record<string, unknown>)[key];
    } catch (error) {
      this.#path.push(key);
      const text = this.#refuse("it must be readable", "a getter that throws", error);
      this.#path.pop();
      return text;
    }
    return this.#at(key, part);
  }

  #at(step: Step, value: unknown): unknown {
    // What nothing can be wrong with needs no path.
    if (typeof value === "number") return this.encode(value);
    this.#path.push(step);
    const encoded = this.encode(value);
    this.#path.pop();
    return encoded;
  }

  #see<T extends object>(value: object, copy: T): T {
    (this.#lenient ? this.#seenLeniently : this.#seen).set(value, copy);
    return copy;
  }

  #place(value: object, kind: number): object {
    const place = this.#see(value, {});
    this.#specials.push(place, kind, undefined);
    return place;
  }

  /** Counts bytes; `false` if there are too many, and that may be. */
  #count(bytes: number): boolean {
    this.#bytes += bytes;
    const { maxMessageBytes } = this.#options;
    if (this.#bytes <= maxMessageBytes) return true;
    if (this.#lenient) return false;
    throw this.#refusal = new RangeError(
      `Cannot post ${this.#root}: it must take at most ${maxMessageBytes} bytes, got more`,
    );
  }

  #refuse(rule: string, got: string, cause?: unknown): string {
    if (this.#lenient) return `[${got}]`;
    const path = this.#where();
    throw this.#refusal = new NotTransferableError(
      `Cannot post ${path}: ${rule}, got ${got}`,
      path,
      cause === undefined ? undefined : { cause },
    );
  }

  #where(): string {
    return shorten(this.#root + this.#path.map(stepText).join(""));
  }
}

/** Whether it views a small part of a buffer, all of which would be cloned with it. */
function isSmallPart(view: ArrayBufferView): boolean {
  return 2 * view.byteLength < view.buffer.byteLength && VIEWS.has(tagOf(view));
}

/** A copy of what it shows. */
function partOf(view: ArrayBufferView): ArrayBufferView {
  const { buffer, byteOffset, byteLength } = view;
  return new (VIEWS.get(tagOf(view))!)(buffer.slice(byteOffset, byteOffset + byteLength));
}

function isChannelLike(value: object): boolean {
  try {
    const { receive, send } = value as { receive?: unknown; send?: unknown };
    return typeof receive === "function" || typeof send === "function";
  } catch {
    return false;
  }
}

/** Whether it is `Object.prototype`, perhaps of another realm. */
function isObjectPrototype(prototype: object): boolean {
  return prototype === Object.prototype ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf"));
}

function isArrayPrototype(prototype: object): boolean {
  return prototype === Array.prototype ||
    (Array.isArray(prototype) && isObjectPrototype(Object.getPrototypeOf(prototype)));
}

/** Whether an object of some class arrives as one of that class, as those of the host's classes may. */
function keepsClass(value: object): boolean {
  try {
    return Object.getPrototypeOf(structuredClone(value)) === Object.getPrototypeOf(value);
  } catch {
    return false;
  }
}

function bigintBytes(value: bigint): number {
  return BigInt.asIntN(64, value) === value ? 8 : value.toString(16).length / 2;
}

/** A step of a path in words: ".a", "[3]", `["a b"]`. */
function stepText(step: Step): string {
  if (typeof step === "object") return step.text;
  if (typeof step === "number") return `[${step}]`;
  return /^[A-Za-z_$][\w$]{0,99}$/.test(step) ? `.${step}` : `[${JSON.stringify(shorten(step))}]`;
}

/** What a value is, in a few words. */
function describe(value: unknown): string {
  try {
    if (typeof value === "function") {
      return value.name === "" ? "a function" : `function ${JSON.stringify(shorten(value.name))}`;
    }
    if (typeof value !== "object" || value === null) return shorten(String(value));
    if (isError(value)) return shorten(String(value));
    const name: unknown = value.constructor?.name;
    // Iterators, and objects without a prototype, have no constructor that says much.
    const known = typeof name === "string" && !/^(|Object|Iterator)$/.test(name);
    return `an instance of ${known ? shorten(name) : tagOf(value)}`;
  } catch {
    return "something unreadable";
  }
}

function shorten(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

// -- Decoding --

function decodeSpecials(
  value: unknown,
  specials: unknown,
  { take }: CodecOptions,
  classes: ErrorClasses,
): unknown {
  if (!Array.isArray(specials) || specials.length % 3 !== 0) {
    throw malformed("its specials must be a list of triples", specials);
  }
  const values = new Map<unknown, unknown>();
  for (let at = 0; at < specials.length; at += 3) {
    const place: unknown = specials[at], payload: unknown = specials[at + 2];
    if (typeof place !== "object" || place === null || values.has(place)) {
      throw malformed("each special must have a place of its own", place);
    }
    const fit = specials[at + 1] === ERROR ? isWireError(payload) : specials[at + 1] === CHANNEL;
    if (!fit) throw malformed("each special must be an error or a channel", specials[at + 1]);
    values.set(place, undefined);
  }
  const errors: [Error, WireError][] = [];
  for (let at = 0; at < specials.length; at += 3) {
    const place: unknown = specials[at], payload: unknown = specials[at + 2];
    if (specials[at + 1] === ERROR) {
      const error = reviveError(payload as WireError, classes);
      errors.push([error, payload as WireError]);
      values.set(place, error);
    } else {
      values.set(place, takeChannel(payload, take));
    }
  }
  // A list instead of recursion: the sender may have nested deeper than the stack is.
  const containers: object[] = [];
  const seen = new Set<object>();
  const decode = (part: unknown): unknown => {
    if (typeof part !== "object" || part === null) return part;
    if (values.has(part)) return values.get(part);
    if (!seen.has(part)) {
      seen.add(part);
      containers.push(part);
    }
    return part;
  };
  const decoded = decode(value);
  for (const [error, wire] of errors) fillError(error, wire, decode);
  for (let next = containers.pop(); next !== undefined; next = containers.pop()) {
    decodeParts(next, decode);
  }
  return decoded;
}

function takeChannel(token: unknown, take: CodecOptions["take"]): unknown {
  let channel: unknown;
  try {
    channel = take?.(token);
  } catch (error) {
    throw new TypeError("Cannot decode message: its channels must be known, got another one", {
      cause: error,
    });
  }
  if (channel === undefined) throw malformed("its channels must be known", "another one");
  return channel;
}

/** Puts values in the places within a container. */
function decodeParts(container: object, decode: (part: unknown) => unknown): void {
  if (container instanceof Map) {
    const entries = [...container];
    container.clear();
    for (const [key, part] of entries) container.set(decode(key), decode(part));
  } else if (container instanceof Set) {
    const parts = [...container];
    container.clear();
    for (const part of parts) container.add(decode(part));
  } else if (Array.isArray(container) && container.length <= MOST_INDICES) {
    for (let at = 0; at < container.length; at++) {
      const part: unknown = container[at], value = decode(part);
      if (value !== part) container[at] = value;
    }
  } else if (
    Array.isArray(container) || Object.getPrototypeOf(container) === Object.prototype
  ) {
    for (const key of Object.keys(container)) {
      const part = (container as Record<string, unknown>)[key], value = decode(part);
      if (value !== part) set(container, key, value);
    }
  }
}

/** Sets a property of its own, whatever its name is. */
function set(target: object, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  } else {
    (target as Record<string, unknown>)[key] = value;
  }
}

function malformed(rule: string, got: unknown): TypeError {
  return new TypeError(`Cannot decode message: ${rule}, got ${describe(got)}`);
}
