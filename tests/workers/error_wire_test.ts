// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Errors in messages: they arrive whole, as what they were, and never fail to be told.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import { Channel } from "../../src/channel.ts";
import * as ours from "../../src/errors.ts";
import { ErrorClasses } from "../../src/workers/error_wire.ts";
import { codecOf, postAround, roundTrip } from "./round_trip.ts";

class DoughError extends Error {
  readonly grams: number;
  static made = 0;
  constructor(message: string, grams: number, options?: ErrorOptions) {
    super(message, options);
    DoughError.made++;
    this.name = "DoughError";
    this.grams = grams;
  }
  get kilos(): number {
    return this.grams / 1000;
  }
}

/** Name, own keys and their values, hidden ones too, but for what each host adds. */
function fieldsOf(error: Error): unknown[] {
  const host = ["stack", "line", "column", "sourceURL", "originalLine", "originalColumn"];
  return Object.getOwnPropertyNames(error).filter((it) => !host.includes(it)).sort().map((it) => {
    const { value, enumerable } = Object.getOwnPropertyDescriptor(error, it)!;
    return [it, value instanceof Error ? String(value) : value, enumerable];
  });
}

test("Built-in errors arrive as their class, with message, stack and fields", () => {
  for (
    const Class of [
      Error,
      TypeError,
      RangeError,
      SyntaxError,
      ReferenceError,
      EvalError,
      URIError,
    ]
  ) {
    const error = Object.assign(new Class("m"), { code: "E_X", detail: { list: [1, 2] } });
    const there = roundTrip(error);
    assertStrictEquals(Object.getPrototypeOf(there), Class.prototype);
    assertEquals([there.name, there.message, there.stack], [error.name, "m", error.stack]);
    assertEquals(fieldsOf(there), fieldsOf(error));
    assert(there.detail !== error.detail);
    assertEquals(Object.prototype.toString.call(there), "[object Error]");
  }
});

test("All errors of this library arrive as their class, with what they carry", () => {
  const errors: Error[] = [
    new ours.ChannelClosedError("m"),
    new ours.ChannelClosedError("m", { unsent: 1 }),
    new ours.ChannelClosedError("m", undefined),
    new ours.QueueClosedError("m", 42),
    new ours.TimeoutError("m", 5),
    new ours.KilledError("m", { cause: "why" }),
    new ours.DeadlockError("m", { waits: [] }),
    new ours.CoroutineEndedError("m", [1]),
    new ours.GreenletError("m"),
    new ours.GreenletExit(),
    new ours.BrokenError("m", { code: "ECONNRESET", cause: new Error("host") }),
    new ours.BusyError("m"),
    new ours.ConnClosedError("m"),
    new ours.BlockedError("m", 30, "hog"),
    new ours.WorkerCrashed("m", { worker: 2, calls: ["hash"], inFlight: [{ a: 1 }] }),
    new ours.NotTransferableError("m", "value.a"),
  ];
  const classes = new Set<unknown>(errors.map((it) => it.constructor));
  for (const error of errors) {
    const there = roundTrip(error);
    assertStrictEquals(there.constructor, error.constructor);
    assertEquals(fieldsOf(there).length, fieldsOf(error).length, error.name);
    assertEquals(fieldsOf(there), fieldsOf(error), error.name);
    assertEquals([there.stack, String(there)], [error.stack, String(error)]);
  }
  for (const [name, known] of Object.entries(ours)) {
    if (known.prototype instanceof Error) assert(classes.has(known), `${name} is missing above`);
  }
});

test("Errors keep their message and name as own properties only if they have them", () => {
  assertFalse(Object.hasOwn(roundTrip(new Error()), "name"));
  assertEquals(roundTrip(new TypeError()).message, "");
  assertEquals(Object.getOwnPropertyNames(roundTrip(new Error("m"))).sort(), ["message", "stack"]);
  const shown = new Error("m");
  Object.defineProperty(shown, "message", { enumerable: true });
  assertEquals(Object.keys(roundTrip(shown)), ["message"]);
  const renamed = new Error("m");
  renamed.name = "Renamed";
  assertEquals([roundTrip(renamed).name, String(roundTrip(renamed))], ["Renamed", "Renamed: m"]);
});

test("Registered errors arrive as their class, and no constructor runs", () => {
  const codec = codecOf({ classes: [DoughError] });
  const error = new DoughError("too wet", 500, { cause: new DoughError("too much water", 300) });
  const made = DoughError.made;
  const there = roundTrip(error, codec);
  assertInstanceOf(there, DoughError);
  assertInstanceOf(there.cause, DoughError);
  assertEquals([there.kilos, there.cause.grams, DoughError.made], [0.5, 300, made]);
});

test("A class that is not registered arrives as the nearest one that is, with its name", () => {
  const there = roundTrip(new DoughError("too wet", 500));
  assertStrictEquals(Object.getPrototypeOf(there), Error.prototype);
  assertEquals([there.name, there.message, there.grams], ["DoughError", "too wet", 500]);
  class Slow extends ours.TimeoutError {}
  assertStrictEquals(
    Object.getPrototypeOf(roundTrip(new Slow("m", 1))),
    ours.TimeoutError.prototype,
  );
  // Both sides must know it.
  const one = roundTrip(new DoughError("m", 1), codecOf({ classes: [DoughError] }), codecOf());
  assertStrictEquals(Object.getPrototypeOf(one), Error.prototype);
  const other = roundTrip(new DoughError("m", 1), codecOf(), codecOf({ classes: [DoughError] }));
  assertStrictEquals(Object.getPrototypeOf(other), Error.prototype);
});

test("ErrorClasses is a TypeError for what is no class of errors, or has the name of another", () => {
  const Namesake = { TimeoutError: class extends Error {} }.TimeoutError;
  Object.defineProperty(Namesake, "name", { value: "TimeoutError" });
  const nameless = (() => class extends Error {})();
  Object.defineProperty(nameless, "name", { value: "" });
  const arrow = () => 1;
  for (const wrong of [class {}, {}, null, "Error", arrow, Namesake, nameless]) {
    assertThrows(
      () => new ErrorClasses([wrong as never]),
      TypeError,
      "Cannot register error class",
    );
  }
  assertEquals(
    new ErrorClasses([DoughError, DoughError, RangeError]).nameOf(new DoughError("", 0)),
    "DoughError",
  );
});

test("ErrorClasses does not find what every object has", () => {
  const classes = new ErrorClasses();
  for (const name of ["__proto__", "constructor", "prototype", "toString", "", "Object"]) {
    assertStrictEquals(classes.prototypeOf(name), undefined);
  }
});

test("A DOMException arrives as one", async () => {
  const error = new DOMException("gone", "AbortError");
  for (
    const there of [
      roundTrip(error),
      await postAround(error),
      roundTrip({ deep: [error] }).deep[0]!,
    ]
  ) {
    assertInstanceOf(there, DOMException);
    assertEquals([there.name, there.message, there.code], ["AbortError", "gone", 20]);
    assertEquals(there.stack, error.stack);
  }
});

test("AggregateError keeps its errors, at most 32 of them", () => {
  const error = new AggregateError([new TypeError("a"), "text", new DoughError("b", 1)], "m");
  const there = roundTrip(error, codecOf({ classes: [DoughError] }));
  assertInstanceOf(there, AggregateError);
  assertInstanceOf(there.errors[0], TypeError);
  assertEquals([there.errors.length, there.errors[1], there.errors[2].grams], [3, "text", 1]);
  assertFalse(Object.keys(there).includes("errors"));
  const many = new AggregateError(Array.from({ length: 100 }, (_, i) => new Error(`${i}`)));
  assertEquals(
    roundTrip(many).errors.map((it) => it.message),
    Array.from({ length: 32 }, (_, i) => `${i}`),
  );
  assertEquals(many.errors.length, 100);
});

test("An error keeps `error` and `suppressed`, also where the host knows no SuppressedError", () => {
  const error = new Error("m");
  error.name = "SuppressedError";
  Object.defineProperty(error, "error", { value: new TypeError("late") });
  Object.defineProperty(error, "suppressed", { value: new RangeError("first") });
  const there = roundTrip(error) as Error & { error: Error; suppressed: Error };
  assertInstanceOf(there.error, TypeError);
  assertInstanceOf(there.suppressed, RangeError);
  const Class =
    (globalThis as { SuppressedError?: new (...args: unknown[]) => Error }).SuppressedError;
  if (Class === undefined) return;
  const real = roundTrip(new Class(1, 2, "m")) as Error & { error: number; suppressed: number };
  assertInstanceOf(real, Class);
  assertEquals([real.error, real.suppressed], [1, 2]);
});

test("A chain of causes is kept eight deep; then a text says what was next", () => {
  let error = new Error("0");
  for (let i = 1; i <= 20; i++) error = new Error(`${i}`, { cause: error });
  let at: unknown = roundTrip(error);
  const messages: string[] = [];
  for (; at instanceof Error; at = at.cause) messages.push(at.message);
  assertEquals(messages, ["20", "19", "18", "17", "16", "15", "14", "13", "12"]);
  assertEquals(at, "[Error: 11]");
});

test("A chain of 20,000 causes, and one that ends in itself, cross", () => {
  let error = new Error("0");
  for (let i = 1; i <= 20_000; i++) error = new Error(`${i}`, { cause: error });
  assertEquals(roundTrip(error).message, "20000");
  const ring = new Error("a");
  ring.cause = new Error("b", { cause: ring });
  const there = roundTrip(ring);
  assertStrictEquals((there.cause as Error).cause, there);
});

test("A cause that is no error, undefined too, is kept, and none is not made up", () => {
  assertEquals(roundTrip(new Error("m", { cause: { a: 1 } })).cause, { a: 1 });
  const there = roundTrip(new Error("m", { cause: undefined }));
  assert(Object.hasOwn(there, "cause"));
  assertFalse(Object.hasOwn(roundTrip(new Error("m")), "cause"));
});

test("What an error carries and no message can is a short text", () => {
  class Socket {
    fd = 1;
  }
  const error = Object.assign(new Error("m"), {
    call: function retry() {},
    nameless: () => 1,
    config: { url: "http://a", hooks: [() => 1, 2], socket: new Socket() },
    when: new Date(5),
    map: new Map<unknown, unknown>([["k", Symbol("s")]]),
    promise: Promise.resolve(),
    channel: new Channel<number>(),
    link: new URL("http://a/"),
    big: 10n ** 30n,
  });
  Object.defineProperty(error, "trap", {
    enumerable: true,
    get: () => {
      throw new Error("no");
    },
  });
  Object.defineProperty(error.config, "trap", Object.getOwnPropertyDescriptor(error, "trap")!);
  const there = roundTrip(error) as unknown as Record<string, unknown>;
  assertEquals(there["call"], '[function "retry"]');
  // An arrow in a property takes the name of the property.
  assertEquals(there["nameless"], '[function "nameless"]');
  assertEquals(there["config"], {
    url: "http://a",
    hooks: ["[a function]", 2],
    socket: "[an instance of Socket]",
    trap: "[a getter that throws]",
  });
  assertEquals(there["when"], new Date(5));
  assertEquals(there["map"], new Map([["k", "[Symbol(s)]"]]));
  assertEquals(there["channel"], "[an instance of Channel]");
  assertEquals(there["link"], "[an instance of URL]");
  assertEquals(there["trap"], undefined);
  assertEquals(there["big"], 10n ** 30n);
});

test("Keys that mean something to objects are plain fields of an error", () => {
  const error = new Error("m");
  for (const key of ["__proto__", "constructor", "prototype", "toString"]) {
    Object.defineProperty(error, key, { value: { polluted: 1 }, enumerable: true });
  }
  const there = roundTrip(error) as unknown as Record<string, unknown>;
  assertStrictEquals(Object.getPrototypeOf(there), Error.prototype);
  for (const key of ["__proto__", "constructor", "prototype", "toString"]) {
    assertEquals(Object.getOwnPropertyDescriptor(there, key)!.value, { polluted: 1 });
  }
  assertFalse("polluted" in {});
});

test("An error too large for a message arrives in part, and never as a failure", () => {
  const codec = codecOf({ maxMessageBytes: 10_000 });
  const error = Object.assign(new Error("x".repeat(100_000)), {
    bytes: new Uint8Array(1_000_000),
    list: Array.from({ length: 100_000 }, (_, i) => ({ i })),
    after: "still here",
  });
  error.stack = "short";
  const there = codec.decode(structuredClone(codec.encodeReason(error))) as typeof error;
  assertInstanceOf(there, Error);
  assertEquals(there.message.length, 1001);
  assertEquals(there.bytes as unknown, "[too large]");
});

test("Codec.encodeReason() never throws, whatever was thrown", () => {
  const codec = codecOf();
  const traps = new Proxy({}, {
    get: () => {
      throw new Error("get");
    },
    getPrototypeOf: () => {
      throw new Error("getPrototypeOf");
    },
    ownKeys: () => {
      throw new Error("ownKeys");
    },
  });
  const { proxy, revoke } = Proxy.revocable(new Error("m"), {});
  revoke();
  const odd = new Error("m");
  Object.defineProperty(odd, "stack", { value: 7 });
  Object.defineProperty(odd, "message", {
    get: () => {
      throw new Error("no");
    },
  });
  Object.defineProperty(odd, "name", { value: { toString: 5 } });
  let deep: unknown = 1;
  for (let i = 0; i < 50_000; i++) deep = [deep];
  const reasons: [unknown, unknown][] = [
    [undefined, undefined],
    [null, null],
    ["text", "text"],
    [5, 5],
    [() => 1, "[a function]"],
    [Symbol("s"), "[Symbol(s)]"],
    [traps, "[unreadable]"],
    [proxy, "[unreadable]"],
    [{ traps, proxy }, "[unreadable]"],
    [new (class Foo {})(), "[an instance of Foo]"],
    [[1, () => 1], [1, "[a function]"]],
  ];
  for (const [reason, there] of reasons) {
    assertEquals(codec.decode(structuredClone(codec.encodeReason(reason))), there);
  }
  const there = codec.decode(structuredClone(codec.encodeReason(odd))) as Error;
  assertEquals([there.name, there.message, there.stack], ["Error", "", undefined]);
  codec.decode(structuredClone(codec.encodeReason(deep)));
  const withProxy = Object.assign(new Error("m"), { proxy, deep });
  const known = codec.decode(structuredClone(codec.encodeReason(withProxy))) as typeof withProxy;
  assertEquals([known.message, known.proxy as unknown], ["m", "[unreadable]"]);
});

test("The fields of an error and the value around it stay one graph", () => {
  const shared = { n: 1 };
  const error = Object.assign(new Error("m"), { shared, back: undefined as unknown });
  const value = { error, shared, again: error };
  error.back = value;
  const there = roundTrip(value);
  assertStrictEquals(there.again, there.error);
  assertStrictEquals(there.error.back, there);
  // Found in the error first, where it may contain texts: then the value has one of its own.
  const late = roundTrip(Object.assign(new Error("m"), { shared, again: shared }));
  assertStrictEquals(late.shared, late.again);
});

test("What is a text within an error is refused beside it", () => {
  const box = { f: () => 1 };
  const error = Object.assign(new Error("m"), { box });
  const thrown = assertThrows(() => roundTrip([error, box]), ours.NotTransferableError);
  assertEquals(thrown.path, "value[1].f");
  assertEquals(roundTrip([error])[0]!.box as unknown, { f: '[function "f"]' });
});

test("What is a text within an error passes beside it, if it can", () => {
  const pipe = { send() {} };
  const box = { pipe };
  const codec = codecOf({ pass: (it) => it === pipe ? 1 : undefined, take: () => pipe });
  const there = roundTrip([Object.assign(new Error("m"), { box }), box] as const, codec);
  assertStrictEquals(there[1].pipe, pipe);
  assertEquals(there[0].box.pipe as unknown, "[an instance of Object]");
});

test("A refusal after an error that could not be read has its own path", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const error = Object.assign(new Error("m"), { deep: { deeper: { proxy } } });
  const codec = codecOf({ pass: () => undefined });
  const value = [{ error }, { it: { send() {} } }];
  const thrown = assertThrows(() => roundTrip(value, codec), ours.NotTransferableError);
  assertEquals(thrown.path, "value[1].it");
});

test("An object of the host is a text within an error, whatever was sent before", () => {
  const error = Object.assign(new Error("m"), { blob: new Blob(["a"]) });
  assertEquals(roundTrip(error).blob as unknown, "[an instance of Blob]");
  roundTrip(error.blob);
  assertEquals(roundTrip(error).blob as unknown, "[an instance of Blob]");
});
