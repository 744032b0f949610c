// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Who runs now, and what may cancel it: a tree of contexts that travels with async code. A
 * task has one, and so has each shielded or time-limited part of it.
 *
 * @module
 */

// Invariants
//  1. A cancelled context has no parked waiter, and none can park in it (level-triggered).
//  2. A context that is not shielded is cancelled whenever its parent is, with its parent's reason
//     unless it had its own before.
//  3. `storage` is made by the first runIn(): a program that never spawns never touches it.
//  4. cancel() is not recursive: a chain 100,000 deep is worked off as a list.
//  5. What was left behind in a context that has ended, a limit for instance, is its parent's from then
//     on, unless the context was cancelled: a kill of the task reaches it all the same. (Not what was left
//     in a part of it: nobody knows the parts, so that they may be dropped.)
// Source: Trio's cancel scopes, level-triggered cancellation.

import { type AsyncStorage, asyncStorage } from "./host.ts";

/** A parked wait, as far as a context needs to know it. */
export interface Cancellable {
  /** Ends the wait with `reason`. */
  cancel(reason: unknown): void;
}

/** One node of the tree. */
export class Context {
  readonly parent: Context | null;
  /** Holds back the cancellation of `parent`. */
  readonly shielded: boolean;
  /** Where task locals live: the context of the task, or of a `TaskLocal.run`. */
  readonly base: Context;
  /** The task it belongs to; opaque here. */
  task: unknown;
  /** The greenlet that runs here, if any; opaque here. */
  greenlet: unknown;
  /** The coroutine whose body runs here, if any; opaque here. */
  coroutine: unknown;
  /** Task locals, never changed in place: a spawn copies the reference. */
  locals: ReadonlyMap<unknown, unknown> | null = null;

  /** The node that is cancelled: this one, or the one above of which it is a part, or was left to. */
  #node: Context;
  /** A cancel of the top context does not reach this one: the top is told of its waits. */
  readonly #apart: boolean;
  #cancelled = false;
  #ended = false;
  #reason: unknown = undefined;
  // Most contexts have one parked wait and no child at a time: no list until there are two.
  #parked: Cancellable | null = null;
  #more: Set<Cancellable> | null = null;
  #children: Set<Context> | null = null;

  /** Makes a node below `parent`, to be taken out by `end()` unless it is shielded. */
  constructor(parent: Context | null, shielded = false, ownLocals = false, part = false) {
    this.parent = parent;
    this.shielded = shielded;
    this.base = parent === null || ownLocals ? this : parent.base;
    this.#node = parent !== null && part ? parent.#node : this;
    this.#apart = parent !== null && (shielded || parent.#node.#apart);
    this.task = parent === null ? undefined : parent.task;
    this.greenlet = parent === null ? null : parent.greenlet;
    this.coroutine = parent === null ? null : parent.coroutine;
    if (parent === null || shielded || part) return;
    const above = parent.#node;
    if (above.#cancelled) {
      this.#cancelled = true;
      this.#reason = above.#reason;
    } else {
      (above.#children ??= new Set()).add(this);
    }
  }

  /** A part of `parent` with task locals of its own, that may be dropped without `end()`. */
  static part(parent: Context | null): Context {
    return new Context(parent, false, true, true);
  }

  /** Whether every wait here rejects. */
  get cancelled(): boolean {
    return this.#node.#cancelled;
  }

  /** What they reject with. */
  get reason(): unknown {
    return this.#node.#reason;
  }

  /** Whether its task was killed, and not just a limit or a scope inside the task. */
  get killed(): boolean {
    return this.#top.#cancelled;
  }

  /** Whether what ran here has ended, and nobody has what it left behind. */
  get ended(): boolean {
    return this.#node.#ended;
  }

  /** Cancels this context and all below it that no shield holds back. The first reason stays. */
  cancel(reason: unknown): void {
    // One that has ended cancels nothing: what it left behind is its parent's.
    if (this.#ended || this.#node.#ended || this.cancelled) return;
    cancelling.push(this.#node, reason);
    if (cancelling.length > 2) return; // the outermost call works off the list
    for (let i = 0; i < cancelling.length; i += 2) {
      (cancelling[i] as Context).#cancelOne(cancelling[i + 1]);
    }
    cancelling.length = 0;
  }

  /** Leaves the tree. What still waits or runs here or below goes on as a part of the parent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.parent === null) return;
    const above = this.parent.#node;
    above.#children?.delete(this);
    if (this.#cancelled || this.shielded) return;
    this.#node = above;
    if (this.#parked !== null) above.#keep(this.#parked);
    if (this.#more !== null) { for (const wait of this.#more) above.#keep(wait); }
    if (this.#children !== null) {
      for (const child of this.#children) (above.#children ??= new Set()).add(child);
    }
    this.#parked = this.#more = this.#children = null;
  }

  /** Remembers a wait that has parked here. */
  add(wait: Cancellable): void {
    const node = this.#node;
    node.#keep(wait);
    if (node.#apart) this.#top.addApart(wait);
  }

  /** Remembers a wait that has parked here out of reach of {@linkcode Context.cancel}. */
  addShielded(wait: Cancellable): void {
    this.#top.addApart(wait);
  }

  /** Forgets a wait that has ended. */
  remove(wait: Cancellable): void {
    const node = this.#node;
    if (node.#parked === wait) node.#parked = null;
    else if (node.#more === null || !node.#more.delete(wait)) {
      // Of a part it may have been left to the node above. What is nowhere is a shielded wait.
      return node.#node === node ? this.#top.removeApart(wait) : node.remove(wait);
    }
    if (node.#apart) this.#top.removeApart(wait);
  }

  /** Remembers a wait below that a cancel of this top context does not reach; for subclasses. */
  addApart(_wait: Cancellable): void {}

  /** Takes back {@linkcode Context.addApart}. */
  removeApart(_wait: Cancellable): void {}

  /** The waits that a cancel of this top context would end. */
  waits(): Cancellable[] {
    const found: Cancellable[] = [];
    const contexts: Context[] = [this];
    // The list grows while it is worked off.
    for (const context of contexts) {
      if (context.#parked !== null) found.push(context.#parked);
      if (context.#more !== null) { for (const wait of context.#more) found.push(wait); }
      if (context.#children !== null) {
        for (const child of context.#children) contexts.push(child);
      }
    }
    return found;
  }

  #keep(wait: Cancellable): void {
    if (this.#parked === null) this.#parked = wait;
    else (this.#more ??= new Set()).add(wait);
  }

  /** Called once when this context is cancelled, after its waits were; for subclasses. */
  wasCancelled(_reason: unknown): void {}

  get #top(): Context {
    // deno-lint-ignore no-this-alias -- the walk begins here
    let top: Context = this;
    while (top.parent !== null) top = top.parent;
    return top;
  }

  #cancelOne(reason: unknown): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#reason = reason;
    this.#parked?.cancel(reason);
    if (this.#more !== null) { for (const wait of this.#more) wait.cancel(reason); }
    if (this.#children !== null) {
      for (const child of this.#children) cancelling.push(child, reason);
      this.#children = null;
    }
    this.wasCancelled(reason);
  }
}

const forced: WeakSet<Context> = new WeakSet();

/**
 * Says that a cancel has made something up in `context`, because no wait could be rejected: what comes
 * of it is no value, and gives way to the reason.
 */
export function force(context: Context): void {
  forced.add(context);
}

/** Whether a cancel has made something up in `context`. Costs nothing where there was no cancel. */
export function isForced(context: Context): boolean {
  return context.cancelled && forced.has(context);
}

/** Contexts still to be cancelled, each followed by its reason. */
const cancelling: unknown[] = [];

/** Stands for the program outside every task: its locals and its greenlets. Never cancelled. */
export const ROOT: Context = new Context(null);

let storage: AsyncStorage<Context> | null = null;
/** Without a storage (browsers) only the synchronous part of a run is known. */
let synchronous: Context | null = null;
let looked = false;

/** The context of the running code; `null` outside, and where the host cannot tell. */
export function currentContext(): Context | null {
  if (storage !== null) return storage.getStore() ?? null;
  return synchronous;
}

/** Whether the current context travels through `await` on this host. */
export function contextTravels(): boolean {
  if (!looked) {
    looked = true;
    storage = asyncStorage<Context>() ?? null;
  }
  return storage !== null;
}

/** Calls `fn` in `context`; `null` is outside of all. */
export function runIn<A extends unknown[], R>(
  context: Context | null,
  fn: (...args: A) => R,
  ...args: A
): R {
  if (contextTravels()) return storage!.run(context ?? undefined, fn, ...args);
  const before = synchronous;
  synchronous = context;
  try {
    return fn(...args);
  } finally {
    synchronous = before;
  }
}

/**
 * Calls `fn` in `context`, in a microtask, with all else that the host carries through async code
 * (storages of the user, a request's for instance) as it is now. `fn` asks `currentContext()` for what
 * it needs: a closure for each of a million tasks would be a good part of their memory.
 */
// A promise reaction carries it for the price of a promise; AsyncLocalStorage.snapshot() took 2 to 8 us.
export function callSoon(context: Context, fn: () => void): void {
  callWhen(context, NOW, fn);
}

/** Holds calls back until it opens: one promise for all of them. */
export class Gate {
  #open!: () => void;
  readonly #opened: Promise<void> = new Promise((resolve) => {
    this.#open = resolve;
  });

  /** {@linkcode callSoon}, but not before the gate opens. In order of these calls. */
  hold(context: Context, fn: () => void): void {
    callWhen(context, this.#opened, fn);
  }

  /** Lets all calls go, in a microtask. */
  open(): void {
    this.#open();
  }
}

/**
 * Calls one of two functions in `context` when `promise` settles. The caller runs in `context`; as in
 * {@linkcode callSoon} the functions may ask for it.
 */
export function observeIn<T>(
  context: Context,
  promise: Promise<T>,
  succeeded: (value: T) => void,
  failed: (error: unknown) => void,
): void {
  if (contextTravels()) void promise.then(succeeded, failed);
  else {
    void promise.then(
      (value) => runIn(context, succeeded, value),
      (error) => runIn(context, failed, error),
    );
  }
}

const NOW: Promise<void> = Promise.resolve();

function callWhen(context: Context, gate: Promise<void>, fn: () => void): void {
  if (contextTravels()) storage!.run(context, thenCall, gate, fn);
  else void gate.then(() => runIn(context, fn));
}

function thenCall(gate: Promise<void>, fn: () => void): void {
  void gate.then(fn);
}

/** Calls `fn` outside of all contexts: for callbacks of users, which belong to no task. */
export function runOutside<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R {
  return currentContext() === null ? fn(...args) : runIn(null, fn, ...args);
}

/** Whether any context was ever entered: before that nothing ambient needs a look. */
export function contextsInUse(): boolean {
  return looked;
}
