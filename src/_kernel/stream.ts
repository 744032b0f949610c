// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * An iterator as a `ReadableStream` that takes nothing before it is read and loses nothing.
 *
 * @module
 */

// Invariants
//  1. A value is taken only for a read that waits.
//  2. One whose read was given up is kept for the next read; when the stream is cancelled it goes to
//     `undelivered`, and so does one that was handed over in the same tick.

/** Makes the stream; `cancelled` is called with the reason when the stream is cancelled. */
export function streamOf<T>(
  values: AsyncIterableIterator<T>,
  undelivered: (value: T) => void,
  cancelled: (reason: unknown) => void,
): ReadableStream<T> {
  let over = false;
  let held: { readonly value: T } | null = null;
  const stream = new ReadableStream<T>({
    pull: async (controller) => {
      if (held !== null) {
        controller.enqueue(held.value);
        held = null;
        return;
      }
      const result = await values.next();
      if (result.done === true) {
        if (!over) controller.close();
      } else if (over) {
        undelivered(result.value);
      } else if (!stream.locked) {
        held = result;
      } else {
        controller.enqueue(result.value);
      }
    },
    cancel: async (reason) => {
      over = true;
      if (held !== null) undelivered(held.value);
      await values.return!();
      cancelled(reason);
    },
  }, { highWaterMark: 0 });
  return stream;
}
