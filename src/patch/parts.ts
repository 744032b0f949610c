// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Puts functions of ours in the place of the host's, in place, and takes them out again. A part is a
 * set of such functions that goes on and off as one.
 *
 * @module
 */

// Invariants
//  1. A part is on exactly while somebody holds it: `holders` is above zero.
//  2. What stood in a place before is put back, the very descriptor, unless somebody else has
//     replaced ours meanwhile. Then theirs stays, and ours is a mere passage for good.
//  3. Outside of every context, and in one that was killed and is over, a function of ours calls the
//     former one with the same `this` and arguments, and gives what that gives.
// Dropped: taking an active wrapper up again when a part goes on a second time below somebody else's
// function: whether theirs calls ours cannot be known, so that a call might become two waits.

import { type Context, currentContext } from "../_kernel/current.ts";

/** Any function, as far as a patch needs to know it. */
export type HostFunction = (...args: unknown[]) => unknown;

/**
 * Where the global functions stand. A build that puts a stand-in there for its own shims would break the
 * patch of globals; but there is no other name for them that all hosts know.
 */
export const HOST_GLOBALS: object = globalThis;

/** What can be patched. */
export type PartName = "timers" | "fetch" | "fs" | "net" | "dns" | "childProcess" | "streams";

/** One call of a patched function. */
export interface Call {
  /** The name of its place: "fs.readFile". */
  readonly name: string;
  /** The function that stood there before: the host's, or somebody's. */
  readonly host: HostFunction;
  /** The `this` of the call. */
  readonly self: unknown;
  /** The arguments; a list of this call's own. */
  readonly args: unknown[];
}

/** A call from inside a context: a task, a limit, a scope. */
export interface ContextCall extends Call {
  /** The context that made the call. */
  readonly context: Context;
}

/** What a patched function does instead; what it throws or returns, the call throws or returns. */
export type Inside = (call: ContextCall) => unknown;

/** One place where a function of the host stands. */
export interface Place {
  /** How `original` calls it: "fs.promises.readFile". */
  readonly name: string;
  /** The object it stands in. */
  readonly owner: object;
  /** Its key there. */
  readonly key: PropertyKey;
  /** What is done inside a context. */
  readonly inside?: Inside;
  /** For a function that must be seen wherever it is called, as `clearTimeout`; instead of `inside`. */
  readonly everywhere?: (call: Call) => unknown;
  /** The key is a getter, and that is what is replaced. @default {false} */
  readonly getter?: boolean;
  /** Own properties that ours has instead of those of the host's, as `promisify.custom`. */
  readonly own?: (host: HostFunction) => Record<PropertyKey, unknown>;
}

/** A part. The places are asked for once, when the part is first needed; none: the host lacks it. */
export interface Part {
  /** Its key in `patch({ … })`. */
  readonly name: PartName;
  /** The places of this host. */
  readonly places: () => Place[];
  /** Called after the part has gone on. */
  readonly added?: () => void;
  /** Called after the part has gone off. */
  readonly removed?: () => void;
}

/** A part, and what is on of it. */
export class PatchedPart {
  readonly #part: Part;
  #places: Place[] | null = null;
  #hosts: Map<string, HostFunction> = new Map();
  #installed: Installed[] = [];
  #holders = 0;

  constructor(part: Part) {
    this.#part = part;
  }

  /** Its name. */
  get name(): PartName {
    return this.#part.name;
  }

  /** Whether it is on. */
  get on(): boolean {
    return this.#holders > 0;
  }

  /** Whether this host has anything of it. */
  get there(): boolean {
    return this.#known.length > 0;
  }

  /** One more holder: the first one puts it on. */
  hold(): void {
    if (this.#holders++ > 0) return;
    // One function of the host that stands in two places stays one.
    const wrappers = new Map<HostFunction, Wrapper>();
    for (const place of this.#known) {
      const installed = install(place, wrappers);
      if (installed !== undefined) this.#installed.push(installed);
    }
    syncModules();
    this.#part.added?.();
  }

  /** One holder less: the last one takes it off. */
  release(): void {
    if (--this.#holders > 0) return;
    for (const installed of this.#installed.reverse()) uninstall(installed);
    this.#installed = [];
    syncModules();
    this.#part.removed?.();
  }

  /** The function that the host had in the place called `name`, when this part was first looked at. */
  original(name: string): HostFunction | undefined {
    return this.#known.length === 0 ? undefined : this.#hosts.get(name);
  }

  get #known(): Place[] {
    if (this.#places !== null) return this.#places;
    const seen = new Map<object, Set<PropertyKey>>();
    this.#places = this.#part.places().filter((place) => {
      const keys = seen.get(place.owner) ?? new Set();
      if (keys.has(place.key)) return false;
      seen.set(place.owner, keys.add(place.key));
      const host = functionAt(place, Object.getOwnPropertyDescriptor(place.owner, place.key));
      if (host !== undefined) this.#hosts.set(place.name, host);
      return host !== undefined;
    });
    return this.#places;
  }
}

/** A function of ours, and whether it does anything. */
interface Wrapper {
  readonly fn: HostFunction;
  readonly state: { on: boolean };
}

interface Installed {
  readonly place: Place;
  readonly before: PropertyDescriptor;
  readonly wrapper: Wrapper;
}

/** A module of the host by its name, `node:fs`; `undefined` where there is none. */
export function builtin<Module = Record<string, unknown>>(id: string): Module | undefined {
  if (typeof process === "undefined") return undefined;
  try {
    return process.getBuiltinModule?.(id) as Module | undefined;
  } catch {
    return undefined;
  }
}

/** Places for the functions `keys` of `owner`, named `prefix` and key, all with one `inside`. */
export function placesOf(
  owner: object | undefined,
  prefix: string,
  keys: readonly string[],
  inside: Inside,
): Place[] {
  if (owner === undefined || owner === null) return [];
  return keys.map((key) => ({ name: prefix + key, owner, key, inside }));
}

/** Does what the host does, for a call that is not ours. */
export function passOn({ host, self, args }: Call): unknown {
  return Reflect.apply(host, self, args);
}

declare const process: { getBuiltinModule?(id: string): unknown } | undefined;

/** The function that stands in a place; `undefined` if none does that can be replaced. */
function functionAt(
  { owner, key, getter }: Place,
  descriptor: PropertyDescriptor | undefined,
): HostFunction | undefined {
  if (descriptor === undefined || (!descriptor.configurable && !descriptor.writable)) {
    return undefined;
  }
  // Deno's setTimeout stands behind a getter and a setter.
  const found: unknown = getter ? descriptor.get : Reflect.get(owner, key);
  return typeof found === "function" ? found as HostFunction : undefined;
}

function install(place: Place, wrappers: Map<HostFunction, Wrapper>): Installed | undefined {
  const before = Object.getOwnPropertyDescriptor(place.owner, place.key);
  const host = functionAt(place, before);
  if (before === undefined || host === undefined) return undefined;
  let wrapper = wrappers.get(host);
  if (wrapper === undefined) wrappers.set(host, wrapper = wrap(place, host, wrappers));
  const { fn } = wrapper;
  const { get: _, set: __, ...rest } = before;
  Object.defineProperty(
    place.owner,
    place.key,
    // Deno's setTimeout, behind a getter, becomes a plain property.
    place.getter ? { ...before, get: fn } : { ...rest, value: fn, writable: true },
  );
  return { place, before, wrapper };
}

function uninstall({ place, before, wrapper }: Installed): void {
  wrapper.state.on = false;
  const now = Object.getOwnPropertyDescriptor(place.owner, place.key);
  if ((place.getter ? now?.get : now?.value) !== wrapper.fn) return;
  Object.defineProperty(place.owner, place.key, before);
}

function wrap(
  { name, inside, everywhere, own }: Place,
  host: HostFunction,
  wrappers: ReadonlyMap<unknown, Wrapper>,
): Wrapper {
  const state = { on: true };
  const called = (self: unknown, args: unknown[]): unknown => {
    if (!state.on) return Reflect.apply(host, self, args);
    if (everywhere !== undefined) return everywhere({ name, host, self, args });
    const context = currentContext();
    if (context === null || isOver(context)) return Reflect.apply(host, self, args);
    return inside!({ name, host, self, args, context });
  };
  const fn = likeOf(host, called);
  const ours = own?.(host) ?? {};
  for (const key of Reflect.ownKeys(host)) {
    if (Object.hasOwn(ours, key)) continue;
    const descriptor = Object.getOwnPropertyDescriptor(host, key)!;
    // What refers to functions of the host means ours now, as the promised form of setTimeout.
    const { get, value } = descriptor;
    if (value === host) descriptor.value = fn;
    if (get !== undefined) {
      descriptor.get = () => {
        const found: unknown = Reflect.apply(get, host, []);
        return wrappers.get(found)?.fn ?? found;
      };
    }
    Object.defineProperty(fn, key, descriptor);
  }
  for (const key of Reflect.ownKeys(ours)) {
    Object.defineProperty(fn, key, { value: ours[key], writable: true, configurable: true });
  }
  return { fn, state };
}

/**
 * What still runs in a context that was killed and has ended is nobody's: machinery shared by others, as
 * a pool of connections that the task happened to open. It must not fail with an old kill for ever.
 */
export function isOver(context: Context): boolean {
  return context.cancelled && context.ended;
}

/** A function that has a prototype exactly if `host` has one. */
function likeOf(
  host: HostFunction,
  called: (self: unknown, args: unknown[]) => unknown,
): HostFunction {
  if (Object.hasOwn(host, "prototype")) {
    return function (this: unknown, ...args: unknown[]): unknown {
      return called(this, args);
    };
  }
  return {
    fn(this: unknown, ...args: unknown[]): unknown {
      return called(this, args);
    },
  }.fn;
}

/** Lets named imports of the host's modules follow: Node's do, those of Deno and Bun do not. */
function syncModules(): void {
  builtin<{ syncBuiltinESMExports?(): void }>("node:module")?.syncBuiltinESMExports?.();
}
