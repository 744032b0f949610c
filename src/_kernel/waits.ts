// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * What somebody waits on, as data and in words.
 *
 * @module
 */

import { HOST_CALL } from "./host_call.ts";
import type { Branch } from "./wait_list.ts";
import { parkTime, type Waiter } from "./waiter.ts";

/** Branches and holders of one wait that are listed; a wait may have a hundred thousand. */
const MOST = 8;

/** One thing that somebody waits on. */
export interface WaitedOn {
  /** What is waited for: "receive". */
  readonly verb: string;
  /** The kind of the thing: "Channel". */
  readonly kind: string;
  /** Its name, if it has one. */
  readonly name?: string;
}

/** One wait. */
export interface WaitDump extends WaitedOn {
  /** A kill of the task does not end it. */
  readonly shielded: boolean;
  /** How long it has lasted, in milliseconds, if `config.waitTimes` was on when it began. */
  readonly ms?: number;
  /** For a wait on several things: the first of them that are still waited on. */
  readonly branches?: readonly WaitedOn[];
  /** How many more things there are than are listed. */
  readonly moreBranches?: number;
  /** The tasks for which it waits: members of a full pool, the owner of a lock; the first of them. */
  readonly heldBy?: readonly { readonly id: number; readonly name: string }[];
  /** How many more such tasks there are than are listed. */
  readonly moreHolders?: number;
}

/** Describes parked waits, `at` being the present time on the clock. */
export function describeWaits(waits: readonly Waiter[], shielded: boolean, at: number): WaitDump[] {
  return waits.map((wait) => {
    const { owner } = wait.list!;
    const branches = owner["~branches"]?.();
    const holders = owner["~holders"]?.();
    const since = parkTime(wait);
    return {
      ...waitedOn(wait.list),
      shielded,
      ...(since === undefined ? {} : { ms: Math.max(0, Math.floor(at) - Math.floor(since)) }),
      ...(branches === undefined ? {} : listBranches(branches)),
      ...(holders === undefined ? {} : listHolders(holders)),
    };
  });
}

/** Waits in words, `""` for none: `receive on Channel "jobs" for 12 ms; sleep`. */
export function textOfWaits(waits: readonly WaitDump[]): string {
  return waits.map((wait) => {
    const { branches, moreBranches, heldBy, moreHolders, shielded, ms } = wait;
    let text = textOf(wait);
    if (branches !== undefined) text += ` (${listed(branches.map(textOf), moreBranches)})`;
    if (ms !== undefined) text += ` for ${ms} ms`;
    if (shielded) text += ", shielded";
    if (heldBy !== undefined) {
      text += `, held by ${
        listed(heldBy.map(({ id, name }) => `Task ${JSON.stringify(name)} (#${id})`), moreHolders)
      }`;
    }
    return text;
  }).join("; ");
}

function waitedOn(list: Branch["list"]): WaitedOn {
  // A case of the user's own need not have a list.
  if (list === null) return { verb: "wait", kind: "Selectable" };
  const { verb, owner } = list;
  const { name } = owner;
  const kind = owner[Symbol.toStringTag];
  return name === undefined ? { verb, kind } : { verb, kind, name };
}

function listBranches(branches: Iterable<Branch | null>): Partial<WaitDump> {
  const listed: WaitedOn[] = [];
  let more = 0;
  for (const branch of branches) {
    if (branch === null || branch.settled) continue;
    if (listed.length < MOST) listed.push(waitedOn(branch.list));
    else more++;
  }
  return { branches: listed, ...(more === 0 ? {} : { moreBranches: more }) };
}

function listHolders(holders: Iterable<{ id: number; name: string }>): Partial<WaitDump> {
  const listed: Array<{ id: number; name: string }> = [];
  let more = 0;
  for (const { id, name } of holders) {
    if (listed.length < MOST) listed.push({ id, name });
    else more++;
  }
  if (listed.length === 0) return {};
  return { heldBy: listed, ...(more === 0 ? {} : { moreHolders: more }) };
}

function textOf({ verb, kind, name }: WaitedOn): string {
  if (kind === HOST_CALL) return `${verb} ${name}`;
  const at = verb.lastIndexOf(" ") + 1;
  // "wait for event" on an Event is said once: "wait for Event".
  const text = kind.toLowerCase().endsWith(verb.slice(at))
    ? verb.slice(0, at) + kind
    : `${verb} on ${kind}`;
  return name === undefined ? text : `${text} ${JSON.stringify(name)}`;
}

function listed(texts: readonly string[], more = 0): string {
  return [...texts, ...(more > 0 ? [`${more} more`] : [])].join(", ");
}
