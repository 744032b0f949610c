// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Where tracing, virtual time, schedule exploration and the report of blocked loops attach. Nothing
 * listens by default, and then a hook costs one null check.
 *
 * @module
 */

import type { Context } from "./current.ts";
import type { Waiter } from "./waiter.ts";

/** What can be listened to. A hook runs synchronously and must not throw. */
export interface Hooks {
  /** `waiter` has parked. Its `list` says on what, its `context` for whom. */
  parked?: ((waiter: Waiter) => void) | undefined;
  /** `waiter` has ended; it is unlinked already, its promise still pending. */
  ended?: ((waiter: Waiter) => void) | undefined;
  /**
   * Takes over the moment at which the one who waits goes on: `wake` must be called once.
   * What was handed over stays handed over; only the order of going on is free.
   */
  waking?: ((waiter: Waiter, wake: () => void) => void) | undefined;
  /**
   * Takes over the moment at which a body begins, of a task (`context.task`) or of a greenlet
   * (`context.greenlet`): `begin` must be called once. Nothing has run of it yet.
   */
  beginning?: ((context: Context, begin: () => void) => void) | undefined;
  /** A task began to exist (`context.task` is the task). */
  spawned?: ((context: Context) => void) | undefined;
  /** The function of the task of `context` is about to be called. */
  starting?: ((context: Context) => void) | undefined;
  /** The function has returned: the task waits, or has ended. */
  started?: ((context: Context) => void) | undefined;
  /** The task of `context` has ended. */
  finished?: ((context: Context) => void) | undefined;
  /** Takes the place of `Math.random` where the library chooses among equals: in `select`. */
  random?: (() => number) | undefined;
}

/** The one listener; several share it by {@linkcode listen}, or by chaining to the former one. */
export const hooks: { on: Hooks | null } = { on: null };

/**
 * Lets `listener` hear what the present one hears, after it, and closer to the one who is woken. The
 * returned function takes it out again, in any order with others, and once.
 */
export function listen(listener: Hooks): () => void {
  let chain = hooks.on;
  if (!(chain instanceof Chain)) hooks.on = chain = new Chain(chain);
  return (chain as Chain).add(listener);
}

/** Several listeners as one. It has a hook only if one of them has: else that hook costs nothing. */
class Chain implements Hooks {
  parked: Hooks["parked"] = undefined;
  ended: Hooks["ended"] = undefined;
  waking: Hooks["waking"] = undefined;
  beginning: Hooks["beginning"] = undefined;
  spawned: Hooks["spawned"] = undefined;
  starting: Hooks["starting"] = undefined;
  started: Hooks["started"] = undefined;
  finished: Hooks["finished"] = undefined;
  random: Hooks["random"] = undefined;
  /** What listened before; it chains to nobody here. */
  readonly #former: Hooks | null;
  #listeners: Hooks[] = [];

  constructor(former: Hooks | null) {
    this.#former = former;
  }

  add(listener: Hooks): () => void {
    this.#change([...this.#listeners, listener]);
    let there = true;
    return () => {
      if (!there) return;
      there = false;
      const at = this.#listeners.lastIndexOf(listener);
      this.#change(this.#listeners.filter((_, i) => i !== at));
      // Under another listener it stays, as a mere passage to the former one.
      if (this.#listeners.length === 0 && hooks.on === this) hooks.on = this.#former;
    };
  }

  #change(listeners: Hooks[]): void {
    this.#listeners = listeners;
    const all = this.#former === null ? listeners : [this.#former, ...listeners];
    this.parked = each(all, "parked");
    this.ended = each(all, "ended");
    this.waking = nest<Waiter>(all, "waking");
    this.beginning = nest<Context>(all, "beginning");
    this.spawned = each(all, "spawned");
    this.starting = each(all, "starting");
    this.started = each(all, "started");
    this.finished = each(all, "finished");
    this.random = all.find(({ random }) => random !== undefined)?.random;
  }
}

function each<Name extends Exclude<keyof Hooks, "waking" | "beginning" | "random">>(
  all: Hooks[],
  name: Name,
): Hooks[Name] {
  const having = all.filter((listener) => listener[name] !== undefined);
  if (having.length === 0) return undefined;
  return ((it: Waiter & Context) => {
    for (const listener of having) listener[name]?.(it);
  }) as Hooks[Name];
}

/** Each takes over what the one after it would do; the last one goes on. */
function nest<It>(
  all: Hooks[],
  name: "waking" | "beginning",
): ((it: It, go: () => void) => void) | undefined {
  type TakingOver = { [Name in typeof name]?: (it: It, go: () => void) => void };
  const having = (all as TakingOver[]).filter((listener) => listener[name] !== undefined).reverse();
  if (having.length === 0) return undefined;
  return (it, go) => {
    // Called as a method: a listener may be an instance of a class.
    const outermost = having.reduce<() => void>(
      (inner, listener) => () => listener[name]!(it, inner),
      go,
    );
    outermost();
  };
}
