// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * Says whether a history of calls on a channel could have happened one call at a time, on a queue.
 *
 * @module
 */

// Each call takes effect at one moment between its begin and its end; the search looks for moments such
// that a plain array, first in, first out, at most `capacity` long, gives the very same results. It is
// exact, and exponential only in how many calls overlap.
// With capacity 0 a send and its receive take effect at one and the same moment, and a try that fails says
// nothing: whether somebody waits on the other side is no state of a queue.
// A call that was killed or timed out must have had no effect, so it is left out; one that still waits in
// the end must have had none either, and must have to wait in the state that is left.
// Source: Wing and Gong; Lowe, who remembers the states met.

/** One call. Its stamps are on a logical clock: each begin and each end has its own. */
export interface Call {
  readonly task: number;
  readonly verb: "send" | "receive" | "close" | "cancel";
  /** Of a send what is sent, of a receive that got something what it got. */
  readonly value?: string;
  /** `cancelled` had no effect, `waiting` goes on for ever. */
  readonly result: "done" | "full" | "empty" | "closed" | "cancelled" | "waiting";
  readonly began: number;
  readonly ended: number;
}

interface Queue {
  readonly values: readonly string[];
  readonly closed: boolean;
}

/** The order in which the calls took effect, or `undefined` if there is none. */
export function linearize(calls: readonly Call[], capacity: number): Call[] | undefined {
  const said = (call: Call): boolean =>
    call.result !== "cancelled" && call.result !== "waiting" &&
    (capacity > 0 || (call.result !== "full" && call.result !== "empty"));
  const open = calls.filter(said);
  const waiting = calls.filter(({ result }) => result === "waiting");
  const met = new Set<string>();
  const order: Call[] = [];
  const done = open.map(() => false);

  const search = (queue: Queue): boolean => {
    if (order.length === open.length) return mustWait(waiting, queue, capacity);
    const key = `${done.map(Number).join("")} ${queue.values.join()} ${queue.closed}`;
    if (met.size === met.add(key).size) return false;
    const firstEnd = Math.min(...open.map(({ ended }, i) => done[i] ? Infinity : ended));
    for (const [i, call] of open.entries()) {
      if (done[i] || call.began > firstEnd) continue;
      const next = apply(call, queue, capacity);
      if (next === undefined) continue;
      done[i] = true;
      order.push(call);
      if (search(next)) return true;
      done[i] = false;
      order.pop();
    }
    return false;
  };
  return search({ values: [], closed: false }) ? order : undefined;
}

/** The queue after `call`, or `undefined` if it would have given another result. */
function apply(call: Call, queue: Queue, capacity: number): Queue | undefined {
  const { values, closed } = queue;
  // At a rendezvous nothing comes between a send and its receive.
  const room = Math.max(capacity, 1);
  const taken = values.length > 0 && call.verb === "receive" && values[0] === call.value;
  if (capacity === 0 && values.length > 0 && !taken) return undefined;
  switch (call.result) {
    case "done":
      if (call.verb === "close") return { values, closed: true };
      if (call.verb === "cancel") return { values: [], closed: true };
      if (call.verb === "receive") return taken ? { values: values.slice(1), closed } : undefined;
      return !closed && values.length < room
        ? { values: [...values, call.value!], closed }
        : undefined;
    case "full":
      return closed || values.length === capacity ? queue : undefined;
    case "empty":
      return !closed && values.length === 0 ? queue : undefined;
    case "closed":
      return closed && (call.verb === "send" || values.length === 0) ? queue : undefined;
    default:
      return queue;
  }
}

/** Whether those who still wait would have to on `queue`. */
function mustWait(waiting: readonly Call[], { values, closed }: Queue, capacity: number): boolean {
  if (capacity === 0 && values.length > 0) return false;
  const sends = waiting.some(({ verb }) => verb === "send");
  const receives = waiting.some(({ verb }) => verb === "receive");
  if (closed) return !sends && !receives;
  // A select that waits to send and to receive never meets itself.
  const meet = waiting.some((one) =>
    one.verb === "send" &&
    waiting.some((other) => other.verb === "receive" && other.task !== one.task)
  );
  return !(receives && values.length > 0) && !(sends && values.length < capacity) && !meet;
}

/** A history as lines, in order of begin. */
export function textOfCalls(calls: readonly Call[]): string {
  return calls.map(({ task, verb, value, result, began, ended }) =>
    `${began}-${ended} task ${task}: ${verb}${value === undefined ? "" : ` ${value}`} ${result}`
  ).join("\n");
}
