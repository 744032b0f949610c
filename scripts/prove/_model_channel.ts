// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A channel in a few lines, and what can be wrong with one: to see that a checker sees it.
 *
 * @module
 */

import type { ChannelReceiveResult } from "../../src/channel.ts";
import { Deferred } from "../../src/deferred.ts";
import { ChannelClosedError } from "../../src/errors.ts";

/** The mistakes. */
export const BUGS = [
  "the buffer is last in, first out",
  "a value in the buffer wakes no receiver",
  "a value is delivered twice when a sender waits",
  "close drops the buffer",
  "close leaves receivers waiting",
  "a full buffer loses what trySend brings",
  "a receive goes past the buffer to a waiting sender",
] as const;

/** One of {@linkcode BUGS}. */
export type Bug = typeof BUGS[number];

/** The channel; it can neither be cancelled nor selected. */
export class ModelChannel {
  readonly #capacity: number;
  readonly #bug: Bug | undefined;
  readonly #buffer: string[] = [];
  readonly #senders: Array<{ value: string; sent: Deferred<void> }> = [];
  readonly #receivers: Array<Deferred<string>> = [];
  #closed = false;

  constructor(capacity: number, bug: Bug | undefined) {
    this.#capacity = capacity;
    this.#bug = bug;
  }

  async send(value: string): Promise<void> {
    if (this.#closed) throw new ChannelClosedError("Cannot send", value);
    if (this.trySend(value, true)) return;
    const sent = new Deferred<void>();
    this.#senders.push({ value, sent });
    await sent.get();
  }

  trySend(value: string, waits = false): boolean {
    if (this.#closed) return false;
    const forgets = this.#bug === "a value in the buffer wakes no receiver" && this.#capacity > 0;
    if (this.#receivers.length > 0 && !forgets) {
      this.#receivers.shift()!.resolve(value);
      return true;
    }
    if (this.#buffer.length < this.#capacity) {
      this.#buffer.push(value);
      return true;
    }
    return !waits && this.#capacity > 0 && this.#bug === "a full buffer loses what trySend brings";
  }

  async receive(): Promise<string> {
    const got = this.tryReceive();
    if (got.state === "ok") return got.value;
    if (got.state === "closed") throw new ChannelClosedError("Cannot receive");
    const received = new Deferred<string>();
    this.#receivers.push(received);
    return await received.get();
  }

  tryReceive(): ChannelReceiveResult<string> {
    if (this.#buffer.length === 0 && this.#senders.length === 0) {
      return { state: this.#closed ? "closed" : "empty" };
    }
    const past = this.#bug === "a receive goes past the buffer to a waiting sender";
    if (this.#buffer.length === 0 || (past && this.#senders.length > 0)) {
      const { value, sent } = this.#senders.shift()!;
      sent.resolve();
      if (this.#bug === "a value is delivered twice when a sender waits") this.#buffer.push(value);
      return { state: "ok", value };
    }
    const value = this.#bug === "the buffer is last in, first out"
      ? this.#buffer.pop()!
      : this.#buffer.shift()!;
    const sender = this.#senders.shift();
    if (sender !== undefined) {
      this.#buffer.push(sender.value);
      sender.sent.resolve();
      if (this.#bug === "a value is delivered twice when a sender waits") this.#buffer[0] = value;
    }
    return { state: "ok", value };
  }

  close(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    if (this.#bug === "close drops the buffer") this.#buffer.length = 0;
    for (const { value, sent } of this.#senders.splice(0)) {
      sent.reject(new ChannelClosedError("Cannot send", value));
    }
    if (this.#bug === "close leaves receivers waiting") return true;
    for (const receiver of this.#receivers.splice(0)) {
      receiver.reject(new ChannelClosedError("Cannot receive"));
    }
    return true;
  }
}
