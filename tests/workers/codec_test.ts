// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Values in messages: what arrives is what was sent, what would not is refused with its path, and
 * whatever comes in, decoding is safe.
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
import fc from "fast-check";
import { test } from "node:test";
import { Channel } from "../../src/channel.ts";
import { NotTransferableError } from "../../src/errors.ts";
import { spawn } from "../../src/spawn.ts";
import type { CodecOptions } from "../../src/workers/codec.ts";
import { transfer } from "../../src/workers/transfer.ts";
import { codecOf, postAround, roundTrip } from "./round_trip.ts";

/** More, or another seed, for a longer search; a failure prints its seed and path. */
const SEED = 20261121;
const RUNS = 1000;

/** Stands for a channel: the codec does not know what one is. */
class Pipe {
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
  send(): void {}
}

/** A codec that passes pipes by their number. */
function withPipes(): Partial<CodecOptions> & { passed: Pipe[]; paths: string[] } {
  const passed: Pipe[] = [], paths: string[] = [];
  return {
    passed,
    paths,
    pass: (it, path) => {
      if (!(it instanceof Pipe)) return undefined;
      paths.push(path);
      return passed.push(it) - 1;
    },
    take: (token) => passed[token as number],
  };
}

/** Fails unless `there` is built as `here` is: same classes, same values, same sharing and cycles. */
function assertSameGraph(here: unknown, there: unknown, seen = new Map<unknown, unknown>()): void {
  if (typeof here !== "object" || here === null) {
    return assert(Object.is(here, there), `${String(here)} ${String(there)}`);
  }
  if (seen.has(here)) return assertStrictEquals(there, seen.get(here));
  seen.set(here, there);
  if (here instanceof Pipe) return assertStrictEquals(there, here);
  assert(typeof there === "object" && there !== null && there !== here);
  const prototype: object | null = Object.getPrototypeOf(here);
  assertStrictEquals(Object.getPrototypeOf(there), prototype ?? Object.prototype);
  if (here instanceof Map) {
    assertSameGraph([...here].flat(), [...(there as typeof here)].flat(), seen);
  } else if (here instanceof Set) {
    assertSameGraph([...here], [...(there as typeof here)], seen);
  } else if (ArrayBuffer.isView(here) || here instanceof Date) {
    assertEquals(there, here);
  } else {
    if (Array.isArray(here)) assertEquals((there as unknown[]).length, here.length);
    if (here instanceof Error) {
      assertEquals([(there as Error).message, (there as Error).stack], [here.message, here.stack]);
      assertSameGraph(here.cause, (there as Error).cause, seen);
    }
    assertEquals(Object.keys(there), Object.keys(here));
    for (const key of Object.keys(here)) {
      const part = (it: object) => Object.getOwnPropertyDescriptor(it, key)!.value;
      assertSameGraph(part(here), part(there), seen);
    }
  }
}

/** Builds a graph of a list of numbers: nodes of all kinds, with edges to earlier and later ones. */
function graphOf(kinds: number[], edges: [number, number, string][], special: boolean): unknown {
  const nodes: unknown[] = kinds.map((kind, at) => {
    switch (kind % (special ? 12 : 10)) {
      case 0:
        return {};
      case 1:
        return [];
      case 2:
        return new Map();
      case 3:
        return new Set();
      case 4:
        return at;
      case 5:
        return `text ${at}`;
      case 6:
        return new Uint8Array([at]);
      case 7:
        return new Date(at);
      case 8:
        return undefined;
      case 9:
        return Object.create(null);
      case 10:
        return new RangeError(`error ${at}`);
      default:
        return new Pipe(at);
    }
  });
  for (const [from, to, key] of edges) {
    const target = nodes[from % nodes.length], part = nodes[to % nodes.length];
    if (target instanceof Map) target.set(to % 2 === 0 ? part : key, part);
    else if (target instanceof Set) target.add(part);
    else if (Array.isArray(target)) {
      if (from % 3 === 0) target.length++;
      target.push(part);
    } else if (target instanceof Error) {
      // Pipes are texts in errors, and errors end at a depth; that has tests of its own.
      if (typeof part !== "object") {
        Object.assign(target, { [`${key}.`]: part });
      }
    } else if (
      typeof target === "object" && target !== null && !(target instanceof Pipe) &&
      !ArrayBuffer.isView(target) && !(target instanceof Date)
    ) {
      Object.defineProperty(target, key, {
        value: part,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
  }
  return nodes[0];
}

const graphs = (special: boolean): fc.Arbitrary<unknown> =>
  fc.tuple(
    fc.array(fc.nat(100), { minLength: 1, maxLength: 12 }),
    fc.array(
      fc.tuple(
        fc.nat(100),
        fc.nat(100),
        fc.constantFrom("a", "b", "__proto__", "constructor", "0", "length "),
      ),
      { maxLength: 30 },
    ),
  ).map(([kinds, edges]) => graphOf(kinds, edges, special));

// -- Values --

test("Codec posts what needs no help as it is, and an array as the one part of a message", () => {
  const codec = codecOf();
  const values = [undefined, null, true, 0, -0, NaN, "", "a", 10n, {}, { a: { b: [1] } }];
  const more = [
    new Date(5),
    /a/g,
    new Map([[1, { a: 1 }]]),
    new Set([1]),
    new Uint8Array(4),
    new ArrayBuffer(4),
  ];
  for (const value of [...values, ...more]) {
    assertStrictEquals(codec.encode(value, "value", []), value);
    assertSameGraph(
      value instanceof RegExp || value instanceof ArrayBuffer ? 0 : value,
      value instanceof RegExp || value instanceof ArrayBuffer ? 0 : roundTrip(value),
    );
  }
  for (const value of [[], [1], [[]], [[1], [2]], [{}, [{}, 1, undefined]], Array(3)]) {
    const message = codec.encode(value, "value", []) as unknown[];
    assertEquals(message.length, 1);
    assertStrictEquals(message[0], value);
    assertSameGraph(value, roundTrip(value));
  }
});

test("Codec lets no data pass for a message", () => {
  for (
    const value of [[1, []], [{}, [{}, 1, []]], [1, 2, 3], [[1, []]], { value: 1, specials: [] }]
  ) {
    assertEquals(roundTrip(value), value);
  }
});

test("Codec keeps any graph without errors and channels, and does not copy it", () => {
  const codec = codecOf();
  fc.assert(
    fc.property(graphs(false), (value) => {
      const message = codec.encode(value, "value", []);
      assertStrictEquals(Array.isArray(value) ? (message as unknown[])[0] : message, value);
      assertSameGraph(value, codec.decode(structuredClone(message)));
    }),
    { seed: SEED, numRuns: RUNS },
  );
});

test("Codec keeps any graph with errors and channels in it", () => {
  fc.assert(
    fc.property(
      graphs(true),
      (value) => assertSameGraph(value, roundTrip(value, codecOf(withPipes()))),
    ),
    { seed: SEED, numRuns: RUNS },
  );
});

test("Codec keeps any value of JSON and more, beside an error too", () => {
  fc.assert(
    fc.property(
      fc.anything({
        withDate: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
        withBigInt: true,
        withSparseArray: true,
        withNullPrototype: true,
      }),
      (value) => {
        assertSameGraph(value, roundTrip(value));
        const there = roundTrip({ value, error: new TypeError("m") });
        assertSameGraph(value, there.value);
        assertInstanceOf(there.error, TypeError);
      },
    ),
    { seed: SEED, numRuns: RUNS },
  );
});

test("Codec does not change what it encodes", () => {
  const inner = { pipe: new Pipe(1) };
  const value = { list: [inner, new Error("m")], map: new Map([["k", inner]]) };
  roundTrip(value, codecOf(withPipes()));
  assertInstanceOf(value.list[1], Error);
  assertInstanceOf(inner.pipe, Pipe);
  assertStrictEquals(value.map.get("k"), inner);
});

test("Codec keeps holes, -0, and strings of any size", () => {
  // deno-lint-ignore no-sparse-arrays
  const sparse = [1, , -0, , new Error("m")];
  const there = roundTrip(sparse);
  assertEquals([1 in there, 3 in there, there.length, Object.is(there[2], -0)], [
    false,
    false,
    5,
    true,
  ]);
  const long = "x".repeat(1_000_000);
  assertStrictEquals(roundTrip(long), long);
});

test("Codec copies the part that a small view shows, not the whole buffer", () => {
  const codec = codecOf(), pool = new Uint8Array(8192).fill(7);
  const alone = codec.encode(pool.subarray(100, 110), "value", []) as Uint8Array;
  const [[inside]] = codec.encode([pool.subarray(100, 110)], "value", []) as [[Uint8Array]];
  for (const bytes of [alone, inside]) {
    assertEquals([bytes.length, bytes.buffer.byteLength, bytes[0]], [10, 10, 7]);
  }
  for (const kind of [Uint8ClampedArray, Float64Array, BigInt64Array, DataView]) {
    const view: ArrayBufferView = Reflect.construct(kind, [pool.buffer, 8, 1]);
    const there = codec.encode(view, "value", []) as ArrayBufferView;
    assertStrictEquals(there.constructor, kind);
    assertEquals([there.byteLength, there.buffer.byteLength], [view.byteLength, view.byteLength]);
  }
  const most = pool.subarray(1);
  assertStrictEquals(codec.encode(most, "value", []), most);
  const shared = new Uint8Array(new SharedArrayBuffer(100), 0, 4);
  assertStrictEquals(codec.encode(shared, "value", []), shared);
  const part = pool.subarray(5, 6);
  const there = roundTrip([part, part, new Error("m")]);
  assertStrictEquals(there[0], there[1]);
});

test("Codec passes SharedArrayBuffer, boxed primitives and Blob as what they are", async () => {
  const { shared, view } = await postAround({
    shared: new SharedArrayBuffer(8),
    view: new Int32Array(new SharedArrayBuffer(8)),
  });
  assertInstanceOf(shared, SharedArrayBuffer);
  assertInstanceOf(view.buffer, SharedArrayBuffer);
  const boxed = roundTrip([Object("a"), Object(1), Object(true), Object(1n)]);
  assertEquals(boxed.map((it) => typeof it.valueOf()), ["string", "number", "boolean", "bigint"]);
  const blob = new Blob(["dough"], { type: "text/plain" });
  const there = await postAround({ blob });
  assertEquals([await there.blob.text(), there.blob.type], ["dough", blob.type]);
});

test("Codec passes a File where the host keeps it, and refuses it elsewhere", async () => {
  const file = new File(["bun"], "bao.txt", { type: "text/plain", lastModified: 5 });
  if (!(structuredClone(file) instanceof File)) {
    assertThrows(() => roundTrip({ file }), NotTransferableError, "class would be lost");
    return;
  }
  const { file: there } = await postAround({ file });
  assertInstanceOf(there, File);
  assertEquals([there.name, there.lastModified, await there.text()], ["bao.txt", 5, "bun"]);
});

test("Codec takes a Buffer of Node as its bytes", () => {
  const { Buffer } = process.getBuiltinModule("node:buffer");
  const there: Uint8Array = roundTrip({ it: Buffer.from("abc") }).it;
  assertEquals([...there], [97, 98, 99]);
});

test("Codec reads getters, once the host does", () => {
  const value = {
    get now() {
      return 5;
    },
  };
  assertEquals(Object.getOwnPropertyDescriptor(roundTrip(value), "now")!.value, 5);
  assertEquals(roundTrip([value, new Error("m")])[0], { now: 5 });
});

test("Codec keeps keys that mean something to objects as plain data", () => {
  const value = JSON.parse(
    '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  );
  for (const there of [roundTrip(value), roundTrip([value, new Error("m")])[0]]) {
    assertStrictEquals(Object.getPrototypeOf(there), Object.prototype);
    assertEquals(Object.keys(there), ["__proto__", "constructor"]);
    assertEquals(Object.getOwnPropertyDescriptor(there, "__proto__")!.value, { polluted: 1 });
  }
  const withError = JSON.parse('{"__proto__":{}}');
  Object.defineProperty(withError, "__proto__", { value: new Error("own"), enumerable: true });
  const there = roundTrip(withError);
  assertStrictEquals(Object.getPrototypeOf(there), Object.prototype);
  assertInstanceOf(Object.getOwnPropertyDescriptor(there, "__proto__")!.value, Error);
  assertFalse("polluted" in {});
});

// -- Refusals --

test("Codec refuses what would not arrive as what it is, with the path to it", () => {
  class Order {
    total = 1;
  }
  class Special extends Map {}
  const { port1, port2 } = new MessageChannel();
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const refused: unknown[] = [
    () => 1,
    function named() {},
    class {},
    Symbol("s"),
    Promise.resolve(1),
    { then: (done: () => void) => done() },
    new WeakMap(),
    new WeakSet(),
    new WeakRef({}),
    (function* () {})(),
    (async function* () {})(),
    [][Symbol.iterator](),
    new Map().entries(),
    AbortSignal.abort(),
    new AbortController(),
    new URL("http://a/"),
    new URLSearchParams(),
    new Headers(),
    new Order(),
    Object.create({ inherited: 1 }),
    new Special(),
    new (class extends Array {})(),
    new (class extends Date {})(),
    new (class extends Set {})(),
    Object(Symbol("s")),
    port1,
    new ReadableStream(),
    new Intl.NumberFormat(),
    spawn(() => 1),
    new Channel<number>(),
    { receive: () => 1, "~select": {} },
    revoked.proxy,
    new Proxy({ a: 1 }, {}),
    new Proxy([1], {}),
    new Proxy(new Map(), {}),
    {
      get trap() {
        throw new RangeError("no");
      },
    },
  ];
  for (const it of refused) {
    for (
      const [value, path] of [
        [it, "v"],
        [{ a: { b: it } }, "v.a.b"],
        [[0, { c: [it] }], "v[1].c[0]"],
        [{ "a b": it }, 'v["a b"]'],
        [new Map([["k", it]]), "v.values()[0]"],
        [new Map([[it, 1]]), "v.keys()[0]"],
        [new Set([1, it]), "v.values()[1]"],
        [{ e: new Error("m"), it }, "v.it"],
      ] as const
    ) {
      const error = assertThrows(() => codecOf().encode(value, "v", []), NotTransferableError);
      assert(error.path.startsWith(path), `${error.path} ${path}`);
      assert(error.message.startsWith(`Cannot post ${error.path}: `), error.message);
      assertFalse(error.message.endsWith("."));
    }
  }
  port1.close();
  port2.close();
});

test("Codec says in a refusal what it got", () => {
  const text = (value: unknown) =>
    assertThrows(() => roundTrip(value), NotTransferableError).message;
  assertEquals(
    text({ f: function twice() {} }),
    'Cannot post value.f: it must be data, got function "twice"',
  );
  assertEquals(text([Symbol("s")]), "Cannot post value[0]: it must be data, got Symbol(s)");
  assertEquals(
    text({ url: new URL("http://a/") }),
    "Cannot post value.url: it must be plain data, since its class would be lost, got an instance of URL",
  );
  assertEquals(
    text(Promise.resolve()),
    "Cannot post value: a promise must be awaited first, got one",
  );
  const error = assertThrows(() =>
    roundTrip({
      get trap() {
        throw new RangeError("no");
      },
    }), NotTransferableError);
  assertEquals([error.path, (error.cause as Error).message], ["value.trap", "no"]);
  const long = assertThrows(
    () => roundTrip({ ["k".repeat(100_000)]: () => 1 }),
    NotTransferableError,
  );
  assert(long.message.length < 3000);
});

test("Codec refuses more bytes than a message may have, and lets exactly that through", () => {
  const limit = (bytes: number) => codecOf({ maxMessageBytes: bytes });
  for (
    const value of [
      "x".repeat(1000),
      ["x".repeat(1000)],
      { a: { b: new Uint8Array(2000) } },
      new ArrayBuffer(2000),
      Array.from({ length: 250 }, (_, i) => i),
      Array.from({ length: 125 }, () => ({})),
      new Map([["a", "x".repeat(1000)]]),
      new Set(["x".repeat(1000)]),
      { ["k".repeat(1000)]: 1 },
      10n ** 5000n,
      new Array(300),
    ]
  ) {
    roundTrip(value, limit(10_000));
    const error = assertThrows(() => roundTrip(value, limit(1900)), RangeError);
    assertEquals(error.message, "Cannot post value: it must take at most 1900 bytes, got more");
  }
  assertEquals(roundTrip("x".repeat(96), limit(200)).length, 96);
  assertThrows(() => roundTrip("x".repeat(97), limit(200)), RangeError);
  // Shared memory is not copied.
  roundTrip(new Uint8Array(new SharedArrayBuffer(5000)), limit(1900));
  // What is there twice is sent once.
  const once = { text: "x".repeat(600) };
  assertEquals(roundTrip([once, once], limit(1900)).length, 2);
});

test("Codec refuses an array of four thousand million holes at once", () => {
  const holes: unknown[] = [];
  holes.length = 2 ** 32 - 1;
  assertThrows(() => roundTrip(holes), RangeError);
  assertThrows(() => roundTrip({ holes, error: new Error("m") }), RangeError);
});

test("Codec lets 900 levels through, and refuses 100,000 with a RangeError", async () => {
  const wrappers: ((it: unknown) => unknown)[] = [
    (it) => ({ it }),
    (it) => [it],
    (it) => new Map([[1, it]]),
    (it) => new Set([it]),
  ];
  for (const wrap of wrappers) {
    for (const seed of [1, new Error("m")]) {
      let value: unknown = seed;
      for (let i = 0; i < 900; i++) value = wrap(value);
      roundTrip(value);
      await postAround(value);
      for (let i = 0; i < 100_000; i++) value = wrap(value);
      const error = assertThrows(() => roundTrip(value), RangeError);
      assert(error.message.includes("nested at most 1000 deep"), error.message.slice(-100));
      assert(error.message.length < 3000);
    }
  }
});

// -- Channels --

test("Codec passes what is like a channel by its token, wherever it is, and once", () => {
  const options = withPipes(), codec = codecOf(options);
  const pipe = new Pipe(1), plain = { receive: () => 1, "~select": {} };
  const there = roundTrip([pipe, { deep: new Map([[pipe, new Set([pipe])]]) }], codec) as [
    Pipe,
    { deep: Map<Pipe, Set<Pipe>> },
  ];
  assertStrictEquals(there[0], pipe);
  assertStrictEquals([...there[1].deep.get(pipe)!][0], pipe);
  assertEquals([options.passed.length, options.paths], [1, ["value[0]"]]);
  const tokens = codecOf({
    pass: (it) => it === plain ? ["token"] : undefined,
    take: (token) => [token],
  });
  assertEquals(roundTrip({ plain }, tokens).plain as unknown, [["token"]]);
  assertStrictEquals(roundTrip(pipe, codec), pipe);
});

test("Codec passes no channel of a value that is refused", () => {
  const options = withPipes(), codec = codecOf(options);
  for (const bad of [() => 1, new URL("http://a/"), "x".repeat(100_000_000)]) {
    assertThrows(() => codec.encode([new Pipe(1), new Error("m"), bad], "args", []));
  }
  assertEquals(options.passed.length, 0);
  const error = assertThrows(
    () => codec.encode([{ a: { send() {} } }], "args", []),
    NotTransferableError,
  );
  assertEquals(error.path, "args[0].a");
});

test("Codec moves nothing if a channel is refused", () => {
  const codec = codecOf({
    pass: () => {
      throw new RangeError("Cannot pass channel");
    },
  });
  const bytes = transfer(new Uint8Array(4)), list: Transferable[] = [];
  assertThrows(
    () => codec.encode([bytes, new Pipe(1)], "args", list),
    RangeError,
    "Cannot pass channel",
  );
  assertEquals([list.length, roundTrip(bytes).length], [0, 4]);
});

// -- Hostile messages --

test("Codec.decode() is a TypeError for a malformed message", () => {
  const codec = codecOf({ ...withPipes() });
  const place = {}, error = ["Error", "Error", "m", "s", [], []];
  const malformed: unknown[] = [
    [],
    [1, 2],
    [1, [], 3],
    [1, {}],
    [1, null],
    [1, [1]],
    [1, [place, 1]],
    [place, [place, 99, error]],
    [place, [place, "1", error]],
    [place, [1, 1, error]],
    [place, [null, 1, error]],
    [place, [place, 1, error, place, 1, error]],
    [place, [place, 1, null]],
    [place, [place, 1, {}]],
    [place, [place, 1, error.slice(1)]],
    [place, [place, 1, [1, "Error", "m", "s", [], []]]],
    [place, [place, 1, ["Error", {}, "m", "s", [], []]]],
    [place, [place, 1, ["Error", "Error", {}, "s", [], []]]],
    [place, [place, 1, ["Error", "Error", "m", 5, [], []]]],
    [place, [place, 1, ["Error", "Error", "m", "s", ["a"], []]]],
    [place, [place, 1, ["Error", "Error", "m", "s", [5, 5], []]]],
    [place, [place, 1, ["Error", "Error", "m", "s", [{}, 5], []]]],
    [place, [place, 1, ["Error", "Error", "m", "s", [], [5, 5]]]],
    [place, [place, 1, ["Error", "Error", "m", "s", {}, []]]],
    [place, [place, 2, "no token"]],
    [place, [place, 2, { valueOf: 1 }]],
    [place, [place, 2, undefined]],
  ];
  for (const message of malformed) {
    const thrown = assertThrows(() => codec.decode(structuredClone(message)), TypeError);
    assert(thrown.message.startsWith("Cannot decode message: "), thrown.message);
  }
  assertThrows(() => codecOf().decode([place, [place, 2, 0]]), TypeError, "channels");
  const throws = codecOf({
    take: () => {
      throw new RangeError("no such channel");
    },
  });
  const thrown = assertThrows(() => throws.decode([place, [place, 2, 0]]), TypeError);
  assertEquals((thrown.cause as Error).message, "no such channel");
});

test("Codec.decode() takes no channel of a malformed message", () => {
  const taken: unknown[] = [];
  const codec = codecOf({ take: (token) => taken.push(token) });
  assertThrows(() => codec.decode([0, [{}, 2, 1, {}, 1, "no error"]]), TypeError);
  assertEquals(taken, []);
});

test("Codec.decode() makes no class and no property that a name leads to", () => {
  const codec = codecOf();
  for (const name of ["__proto__", "constructor", "prototype", "Object", "toString", "Map", ""]) {
    const place = {};
    const fields = ["__proto__", { polluted: 1 }, "constructor", { polluted: 1 }];
    const there = codec.decode(
      structuredClone([place, [place, 1, [name, name, "m", "s", fields, ["__proto__", 5]]]]),
    ) as Error;
    assertStrictEquals(Object.getPrototypeOf(there), Error.prototype);
    assertEquals([there.name, there.message], [name, "m"]);
    assertFalse("polluted" in there);
  }
  assertFalse("polluted" in {});
  assertFalse("polluted" in Error.prototype);
});

test("Codec.decode() of any message gives a value or a TypeError, and touches nothing else", () => {
  const before = snapshot();
  const codec = codecOf(withPipes());
  const words = fc.constantFrom<unknown>(
    "Error",
    "AggregateError",
    "DOMException",
    "__proto__",
    "name",
    "stack",
    "message",
    "cause",
    0,
    1,
    2,
    3,
    undefined,
    null,
  );
  const part = fc.oneof(
    { depthSize: "small" },
    words,
    fc.anything({ withMap: true, withSet: true }),
  );
  const wire = fc.tuple(
    part,
    part,
    part,
    part,
    fc.array(part, { maxLength: 4 }),
    fc.array(part, { maxLength: 4 }),
  );
  const good = fc.tuple(
    words.map(String),
    words.map(String),
    fc.string(),
    fc.string(),
    fc.array(fc.tuple(words.map(String), part), { maxLength: 4 }).map((it) => it.flat()),
    fc.array(fc.tuple(words.map(String), part), { maxLength: 4 }).map((it) => it.flat()),
  );
  const messages = fc.oneof(
    fc.array(part, { maxLength: 4 }),
    fc.tuple(
      fc.array(fc.tuple(fc.constantFrom(1, 2, 3, 4), fc.oneof(wire, good, part)), { maxLength: 5 }),
      part,
    ).map(([list, value]) => {
      const places = list.map(([kind, payload]) => ({ place: {}, kind, payload }));
      return [
        [value, ...places.map((it) => it.place)],
        places.flatMap((it) => [it.place, it.kind, it.payload]),
      ];
    }),
  );
  fc.assert(
    fc.property(messages, (message) => {
      let cloned: unknown;
      try {
        cloned = structuredClone(message);
      } catch {
        return;
      }
      try {
        codec.decode(cloned);
      } catch (error) {
        assertInstanceOf(error, TypeError);
        assert(error.message.startsWith("Cannot decode message"), error.stack);
      }
    }),
    { seed: SEED, numRuns: 3 * RUNS },
  );
  assertEquals(snapshot(), before);
});

test("Codec.decode() of a message with 100,000 levels does not use up the stack", () => {
  const place = {};
  let value: unknown = place;
  for (let i = 0; i < 100_000; i++) value = i % 2 === 0 ? [value] : { value };
  const error = ["Error", "Error", "m", undefined, [], []];
  let there: unknown = codecOf().decode([value, [place, 1, error]]);
  for (let i = 100_000; i > 0; i--) {
    there = Array.isArray(there) ? there[0] : (there as { value: unknown }).value;
  }
  assertInstanceOf(there, Error);
});

test("Codec.decode() of an array that is all holes takes no time", () => {
  const place = {}, holes: unknown[] = [];
  holes.length = 2 ** 32 - 1;
  holes[5] = place;
  const there = codecOf().decode([holes, [place, 1, [
    "Error",
    "Error",
    "m",
    undefined,
    [],
    [],
  ]]]) as unknown[];
  assertInstanceOf(there[5], Error);
});

/** What hangs on the prototypes that everything inherits from. */
function snapshot(): PropertyKey[][] {
  return [Object, Array, Map, Set, Error, TypeError, AggregateError, Function].map((it) =>
    Reflect.ownKeys(it.prototype)
  );
}
