// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Waits for streams and emitters that somebody else made: `pipeline` and `finished` of
 * `node:stream/promises`, `once` and `on` of `node:events`.
 *
 * @module
 */

import { hostCall } from "../_kernel/host_call.ts";
import {
  FollowingController,
  isSignal,
  iteratorWithSignal,
  promiseWithSignal,
  refuseCall,
  settleWith,
  textOf,
} from "./adapters.ts";
import { builtin, type ContextCall, type Part, passOn, type Place, placesOf } from "./parts.ts";

/** The part. */
export const streamsPart: Part = { name: "streams", places };

function places(): Place[] {
  const finished = promiseWithSignal(1, ([stream]) => textOf(stream));
  const event = ([, name]: readonly unknown[]): string => String(name);
  // On Deno `promises` of node:stream is another object, a namespace that nobody can change.
  const promises = builtin<object>("node:stream/promises");
  return [
    ...placesOf(promises, "stream.promises.", ["pipeline"], pipeline),
    ...placesOf(promises, "stream.promises.", ["finished"], finished),
    ...placesOf(builtin("node:events"), "events.", ["once"], promiseWithSignal(2, event)),
    ...placesOf(builtin("node:events"), "events.", ["on"], iteratorWithSignal(2, event)),
  ];
}

/** The host takes all streams down. Functions among them are the user's, and run in the task. */
function pipeline(call: ContextCall): Promise<unknown> {
  const refused = refuseCall(call.context);
  if (refused !== null) return refused;
  const { args, name } = call;
  const last = args.at(-1);
  const options = isOptions(last) ? { ...last } : {};
  // The host says what is wrong with it.
  if (options.signal !== undefined && !isSignal(options.signal)) {
    return passOn(call) as Promise<unknown>;
  }
  if (isOptions(last)) args.pop();
  const stages = args.map(textOf).join(" ");
  return hostCall<unknown>(name, stages, (ends) => {
    const controller = new FollowingController(options.signal);
    args.push({ ...options, signal: controller.signal });
    settleWith(passOn(call), ends, () => controller.end());
    return (reason) => controller.abort(reason);
  });
}

/** Anything else at the end is a stream, an iterable or a function. */
function isOptions(value: unknown): value is { signal?: unknown } {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) &&
    !(Symbol.iterator in value) && !(Symbol.asyncIterator in value) && !("readable" in value);
}
