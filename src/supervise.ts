// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Restart policies of a supervising scope.
 *
 * @module
 */

// Source: Erlang's supervisors: which ends are followed by a restart, and how many restarts are too
// many.

import { checkMs, clock } from "./_kernel/clock.ts";
import { currentContext } from "./_kernel/current.ts";
import { sleep } from "./sleep.ts";

/**
 * When a child is run again: after every end (`"permanent"`), after a failure (`"transient"`), never
 * (`"temporary"`). A killed child is not.
 */
export type RestartPolicy = "permanent" | "transient" | "temporary";

/** How a supervising scope restarts its children. */
export interface SuperviseOptions {
  /** Which ends are followed by a restart. @default {"transient"} */
  restart?: RestartPolicy | undefined;
  /**
   * More than `max` restarts of the scope's children within `within` milliseconds are too many: the
   * scope fails with the last error.
   *
   * @default {{ max: 3, within: 10_000 }}
   */
  intensity?: { max: number; within: number } | undefined;
  /**
   * How long to wait before a restart: `first` milliseconds, then `factor` times longer after each
   * failure of the same child, at most `most`. `jitter` is the part of it, 0 to 1, that is random.
   *
   * @default {{ first: 0, factor: 2, most: 30_000, jitter: 0.5 }}
   */
  backoff?: {
    first?: number | undefined;
    factor?: number | undefined;
    most?: number | undefined;
    jitter?: number | undefined;
    random?: (() => number) | undefined;
  } | undefined;
}

/** The restarts of one scope. */
export class Restarts {
  readonly #restart: RestartPolicy;
  readonly #max: number;
  readonly #within: number;
  readonly #backoff: {
    first: number;
    factor: number;
    most: number;
    jitter: number;
    random: () => number;
  };
  /** When the restarts of the last `within` milliseconds were. */
  #times: number[] = [];
  #lastError: { readonly error: unknown } | undefined = undefined;

  /** Checks the options. @throws {TypeError} If one is of the wrong kind. @throws {RangeError} If one is out of bounds. */
  constructor(options: SuperviseOptions) {
    const { restart = "transient", intensity = { max: 3, within: 10_000 }, backoff = {} } = options;
    if (restart !== "permanent" && restart !== "transient" && restart !== "temporary") {
      throw new TypeError(
        `Cannot supervise: restart must be "permanent", "transient" or "temporary", got ${
          String(restart)
        }`,
      );
    }
    if (!Number.isInteger(intensity.max) || intensity.max < 0) {
      throw new RangeError(
        `Cannot supervise: intensity.max must be an integer >= 0, got ${intensity.max}`,
      );
    }
    checkMs("supervise", "intensity.within", intensity.within);
    this.#restart = restart;
    this.#max = intensity.max;
    this.#within = intensity.within;
    this.#backoff = {
      first: backoff.first ?? 0,
      factor: backoff.factor ?? 2,
      most: backoff.most ?? 30_000,
      jitter: backoff.jitter ?? 0.5,
      random: backoff.random ?? Math.random,
    };
    if (typeof this.#backoff.random !== "function") {
      throw new TypeError(
        `Cannot supervise: backoff.random must be a function, got ${typeof this.#backoff.random}`,
      );
    }
    checkMs("supervise", "backoff.first", this.#backoff.first);
    checkMs("supervise", "backoff.most", this.#backoff.most);
    if (!(this.#backoff.factor >= 1)) {
      throw new RangeError(
        `Cannot supervise: backoff.factor must be >= 1, got ${this.#backoff.factor}`,
      );
    }
    if (!(this.#backoff.jitter >= 0 && this.#backoff.jitter <= 1)) {
      throw new RangeError(
        `Cannot supervise: backoff.jitter must be 0 to 1, got ${this.#backoff.jitter}`,
      );
    }
  }

  /** Whether `error` is the one after which there were too many restarts. */
  gaveUp(error: unknown): boolean {
    return this.#lastError !== undefined && this.#lastError.error === error;
  }

  /** Runs `body` again and again by the policy; `failed` is told of each error that is restarted. */
  async run(body: () => unknown, failed: (error: unknown) => void): Promise<unknown> {
    const context = currentContext();
    for (let failures = 0;;) {
      let failure: { readonly error: unknown } | undefined;
      try {
        const value = await body();
        if (this.#restart !== "permanent" || context?.cancelled === true) return value;
        failures = 0;
      } catch (error) {
        if (this.#restart === "temporary" || context?.cancelled === true) throw error;
        failure = { error };
        failures++;
      }
      if (!this.#allow()) {
        const last = failure ?? { error: new RangeError(this.#tooMany) };
        this.#lastError ??= last; // of two in one turn the first decides
        throw last.error;
      }
      if (failure !== undefined) failed(failure.error);
      await sleep(this.#pause(failures));
    }
  }

  get #tooMany(): string {
    return `Cannot restart: at most ${this.#max} restarts in ${this.#within} ms are allowed, got one more`;
  }

  /** Counts one more restart; `false` if it is one too many. */
  #allow(): boolean {
    const now = clock.on.now();
    this.#times = this.#times.filter((time) => now - time < this.#within);
    return this.#times.push(now) <= this.#max;
  }

  #pause(failures: number): number {
    const { first, factor, most, jitter, random } = this.#backoff;
    if (failures === 0 || first === 0) return 0; // 0 * factor ** 1024 is NaN
    const full = Math.min(most, first * factor ** (failures - 1));
    return full * (1 - jitter * random());
  }
}
