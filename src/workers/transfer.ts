// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Marks what is to move to the other thread instead of being copied.
 *
 * @module
 */

// Invariants
//  1. A thing is marked, moved, or neither; it is never marked again after it was moved.
//  2. What a message takes along is moved when the message is made, not when it is posted: in between
//     nobody else may take it.
// Dropped: a wrapper object around the value: the types of both sides would have to know it.

import { NotTransferableError } from "../errors.ts";

const RULE = "it must be an ArrayBuffer, a view of a whole one, a MessagePort or a stream";

/** What moves besides buffers, by the name that objects of the class give themselves. */
const MOVABLE: ReadonlySet<string> = new Set([
  "AudioData",
  "ImageBitmap",
  "MediaSourceHandle",
  "MediaStreamTrack",
  "MIDIAccess",
  "OffscreenCanvas",
  "ReadableStream",
  "RTCDataChannel",
  "TransformStream",
  "VideoFrame",
  "WebTransportReceiveStream",
  "WebTransportSendStream",
  "WritableStream",
]);

/** Those that not every host can move, and what tells whether this one can. */
const PROBES: ReadonlyMap<string, () => object> = new Map<string, () => object>([
  ["ReadableStream", () => new ReadableStream()],
  ["TransformStream", () => new TransformStream()],
  ["WritableStream", () => new WritableStream()],
]);
const probed = new Map<string, boolean>();

const marked = new WeakSet<object>();
const moved = new WeakSet<object>();

/**
 * Says that `value` shall move to the other thread, not be copied, when it is next passed to a call or
 * sent through a channel that crosses, alone or inside of something else. Returns it. From then on this
 * thread cannot use it any more: a buffer is empty.
 *
 * What moves is an `ArrayBuffer`, a view of a whole one, a `MessagePort`, and on hosts that can do it a
 * stream. Passing it without `transfer` copies a buffer, and refuses a port.
 *
 * @example A megabyte that is not copied
 * ```ts
 * import { transfer } from "@baozi/baozi/workers";
 * import { assertEquals, assertStrictEquals } from "@std/assert";
 *
 * const bytes = new Uint8Array(1_000_000);
 * assertStrictEquals(transfer(bytes), bytes);
 * assertEquals(bytes.length, 1_000_000); // Still here: nobody has sent it yet.
 * ```
 *
 * @throws {TypeError} If it is nothing that can move, or a view of a part of a buffer.
 * @throws {NotTransferableError} If it has moved already.
 */
export function transfer<T extends object>(value: T): T {
  const thing = thingOf(value);
  if (hasMoved(thing)) {
    throw new NotTransferableError(
      `Cannot transfer ${tagOf(value)}: it must not have moved already, got one that has`,
      "value",
    );
  }
  marked.add(thing);
  return value;
}

/** Whether a buffer, or another thing that moves, is to move with the next message that it is in. */
export function isMarked(thing: object): boolean {
  return marked.has(thing);
}

/** Whether a thing went with a message, or is a buffer that somebody else has detached. */
export function hasMoved(thing: object): boolean {
  return moved.has(thing) || isDetached(thing);
}

/** Notes that a thing goes with a message. */
export function move(thing: object): void {
  marked.delete(thing);
  moved.add(thing);
}

/** Whether it is a port. Those of Node do not tell their class. */
export function isPort(value: unknown): value is object {
  return tagOf(value) === "MessagePort" ||
    (typeof MessagePort === "function" && value instanceof MessagePort);
}

/** What moves if `value` does: of a view its buffer. */
function thingOf(value: unknown): object {
  if (value instanceof ArrayBuffer) return value;
  if (ArrayBuffer.isView(value)) {
    const { buffer } = value;
    if (!(buffer instanceof ArrayBuffer)) {
      throw new TypeError(`Cannot transfer value: ${RULE}, got a view of shared memory`);
    }
    // Small buffers of the host are parts of one: to move that would take all others along.
    if (value.byteLength !== buffer.byteLength) {
      throw new TypeError(
        `Cannot transfer value: ${RULE}, got a view of ${value.byteLength} of ` +
          `${buffer.byteLength} bytes; mark its buffer to move all of it, or pass a copy`,
      );
    }
    return buffer;
  }
  if (isPort(value)) return value;
  if (typeof value === "object" && value !== null && MOVABLE.has(tagOf(value))) {
    if (canMove(tagOf(value))) return value;
    throw new TypeError(
      `Cannot transfer ${tagOf(value)}: the host must be able to, got one that cannot`,
    );
  }
  throw new TypeError(`Cannot transfer value: ${RULE}, got ${tagOf(value)}`);
}

/** Whether this host moves things of a class; found out once. */
function canMove(tag: string): boolean {
  const make = PROBES.get(tag);
  if (make === undefined) return true;
  let can = probed.get(tag);
  if (can === undefined) {
    try {
      const probe = make();
      structuredClone(probe, { transfer: [probe as Transferable] });
      can = true;
    } catch {
      can = false;
    }
    probed.set(tag, can);
  }
  return can;
}

function isDetached(thing: object): boolean {
  if (!(thing instanceof ArrayBuffer) || thing.byteLength > 0) return false;
  try {
    // Node 20 knows no `detached`.
    new Uint8Array(thing);
    return false;
  } catch {
    return true;
  }
}

/** The name of its class, for things of the host. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
