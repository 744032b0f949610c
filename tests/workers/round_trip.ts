// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * A way through a codec and the host's clone, for tests.
 *
 * @module
 */

import { type Codec, type CodecOptions, makeCodec } from "../../src/workers/codec.ts";

/** A codec that lets 64 MiB through, and no channels. */
export function codecOf(options: Partial<CodecOptions> = {}): Codec {
  return makeCodec({ maxMessageBytes: 64 * 1024 * 1024, ...options });
}

/** What arrives of `value` in another thread. */
export function roundTrip<T>(value: T, sender: Codec = codecOf(), receiver: Codec = sender): T {
  const transfer: Transferable[] = [];
  const message = sender.encode(value, "value", transfer);
  return receiver.decode(structuredClone(message, { transfer })) as T;
}

/** As `roundTrip`, through a real port: some hosts clone otherwise there. */
export async function postAround<T>(value: T, codec: Codec = codecOf()): Promise<T> {
  const { port1, port2 } = new MessageChannel();
  try {
    const transfer: Transferable[] = [];
    const message = codec.encode(value, "value", transfer);
    return await new Promise<T>((resolve, reject) => {
      port2.onmessage = ({ data }) => resolve(codec.decode(data) as T);
      port2.onmessageerror = () => reject(new Error("cannot be cloned"));
      port1.postMessage(message, transfer);
    });
  } finally {
    port1.close();
    port2.close();
  }
}
