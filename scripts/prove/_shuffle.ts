// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Lets those who may go on do so in a random order instead of the one in which they were woken.
 *
 * @module
 */

import { hooks } from "../../src/_kernel/hooks.ts";
import type { Random } from "./_random.ts";

/** Shuffles until it is disposed of; the same choices give the same order. */
export class Shuffle implements Disposable {
  readonly #random: Random;
  readonly #ready: Array<() => void> = [];
  /** How often one of several was chosen. */
  choices = 0;

  constructor(random: Random) {
    this.#random = random;
    hooks.on = {
      waking: (_waiter, wake) => this.#add(wake),
      beginning: (_context, begin) => this.#add(begin),
    };
  }

  /** From now on the order is the usual one. */
  [Symbol.dispose](): void {
    hooks.on = null;
  }

  #add(go: () => void): void {
    this.#ready.push(go);
    queueMicrotask(() => {
      if (this.#ready.length > 1) this.choices++;
      const [chosen] = this.#ready.splice(this.#random.below(this.#ready.length), 1);
      chosen!();
    });
  }
}
