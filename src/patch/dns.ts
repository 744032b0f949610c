// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The questions of `node:dns` and `node:dns/promises`. The wait for an answer ends with the task; the
 * host hears the answer out and drops it.
 *
 * @module
 */

import { callbackLast, promiseAlone, PromisedForms, subjectAt } from "./adapters.ts";
import { builtin, type Part, type Place, placesOf } from "./parts.ts";

const QUESTIONS = [
  "lookup",
  "lookupService",
  "resolve",
  "resolve4",
  "resolve6",
  "resolveAny",
  "resolveCaa",
  "resolveCname",
  "resolveMx",
  "resolveNaptr",
  "resolveNs",
  "resolvePtr",
  "resolveSoa",
  "resolveSrv",
  "resolveTlsa",
  "resolveTxt",
  "reverse",
];

/** The part. */
export const dnsPart: Part = { name: "dns", places, removed: () => forms.off() };

const forms = new PromisedForms();

function places(): Place[] {
  const dns = builtin<{ promises?: object }>("node:dns");
  if (dns === undefined) return [];
  const promise = promiseAlone(subjectAt(0));
  return [
    ...placesOf(dns.promises, "dns.promises.", QUESTIONS, promise),
    ...placesOf(dns, "dns.", QUESTIONS, callbackLast(subjectAt(0))).map((place) => ({
      ...place,
      // Those of Bun bring one.
      own: forms.of(place.name, promise),
    })),
  ];
}
