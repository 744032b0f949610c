// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * A binary heap whose items know their place, so that any of them can be removed in O(log n).
 *
 * @module
 */

// Invariants
//  1. items[i].heapIndex === i for every item inside; -1 for an item that is not.
//  2. No item comes before its parent in the given order.

/** What can be in a heap. */
export interface HeapItem {
  /** Its place, kept by the heap; -1 outside. */
  heapIndex: number;
}

/** The heap; `before(a, b)` says whether `a` must come out before `b`. */
export class Heap<T extends HeapItem> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  /** Adds `item`. O(log n). */
  push(item: T): void {
    this.#rise(this.#items.length, item);
  }

  /** The first item, left inside. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** Takes the first item. O(log n). */
  pop(): T | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Removes `item` wherever it is; nothing happens if it is not inside. O(log n). */
  remove(item: T): void {
    const at = item.heapIndex;
    if (at < 0) return;
    const items = this.#items;
    const last = items[items.length - 1]!;
    if (last !== item) {
      if (at > 0 && this.#before(last, items[(at - 1) >> 1]!)) this.#rise(at, last);
      else this.#sink(at, last);
    }
    items.pop();
    item.heapIndex = -1;
  }

  /** How many items are inside. */
  get size(): number {
    return this.#items.length;
  }

  #rise(at: number, item: T): void {
    const items = this.#items;
    // The place first: an order that throws must leave the heap as it is.
    let place = at;
    while (place > 0 && this.#before(item, items[(place - 1) >> 1]!)) place = (place - 1) >> 1;
    for (; at > place; at = (at - 1) >> 1) {
      const parent = items[(at - 1) >> 1]!;
      items[at] = parent;
      parent.heapIndex = at;
    }
    items[at] = item;
    item.heapIndex = at;
  }

  #sink(at: number, item: T): void {
    const items = this.#items;
    const size = items.length - 1; // without the last one, which moves
    let place = at;
    for (let down = 2 * at + 1; down < size; down = 2 * place + 1) {
      if (down + 1 < size && this.#before(items[down + 1]!, items[down]!)) down++;
      if (!this.#before(items[down]!, item)) break;
      place = down;
    }
    for (let moved = item; place >= at; place = (place - 1) >> 1) {
      const above = items[place]!;
      items[place] = moved;
      moved.heapIndex = place;
      moved = above;
    }
  }
}
