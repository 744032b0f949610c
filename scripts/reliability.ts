// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Writes the tables of RELIABILITY.md from the saved runs of the proofs and the mutants; with `--check`
 * only says whether they are up to date.
 *
 * @module
 */

import { between, formatted } from "./marked_page.ts";
import { readSaved, type SavedProofs } from "./prove.ts";

const PAGE = "RELIABILITY.md";
const VERDICTS = "scripts/mutants/verdicts.json";

/** What became of one seeded bug. */
interface Verdict {
  readonly id: string;
  readonly file: string;
  readonly bug: string;
  readonly caught: boolean;
  readonly by: string;
}

async function main(): Promise<boolean> {
  const old = Deno.readTextFileSync(PAGE);
  const verdicts: Verdict[] = JSON.parse(Deno.readTextFileSync(VERDICTS));
  const withProofs = between(old, "proofs", proofTable(readSaved()));
  const page = await formatted(between(withProofs, "mutants", mutantTable(verdicts)));
  if (!Deno.args.includes("--check")) Deno.writeTextFileSync(PAGE, page);
  else if (page !== old) {
    console.log(`${PAGE} must be written again: deno run -A scripts/reliability.ts`);
    return false;
  }
  return true;
}

function proofTable({ date, deno, seed, long, outcomes }: SavedProofs): string {
  const seconds = Math.round(outcomes.reduce((sum, outcome) => sum + outcome.seconds, 0));
  const lines = [
    "",
    `Run on ${date} with Deno ${deno}, the ${long ? "long" : "short"} form, seed ${seed}, ${
      Math.round(seconds / 60)
    } minutes in all.`,
    "",
  ];
  for (const outcome of [...outcomes].sort(byNumber)) {
    const counts = Object.entries(outcome.counts).map(([what, many]) =>
      `${many.toLocaleString("en")} ${what}`
    );
    lines.push(`- **${outcome.promise}** \`${outcome.name}\`: ${counts.join(", ")}.`);
  }
  return [...lines, ""].join("\n");
}

/** By the number that the promise begins with; without one last. */
function byNumber(a: { promise: string }, b: { promise: string }): number {
  const number = ({ promise }: { promise: string }): number => parseInt(promise) || Infinity;
  const [first, second] = [number(a), number(b)];
  return first === second ? a.promise.localeCompare(b.promise) : first - second;
}

function mutantTable(verdicts: readonly Verdict[]): string {
  const caught = verdicts.filter((verdict) => verdict.caught).length;
  const lines = ["", `${verdicts.length} bugs, ${caught} caught.`, ""];
  const files = [...new Set(verdicts.map(({ file }) => file))];
  for (const file of files) {
    const here = verdicts.filter((verdict) => verdict.file === file);
    lines.push(`- \`src/${file}\` (${here.length}): ${here.map(({ bug }) => bug).join("; ")}.`);
  }
  const left = verdicts.filter((verdict) => !verdict.caught);
  if (left.length > 0) lines.push("", `Not caught: ${left.map(({ id }) => id).join(", ")}.`);
  return [...lines, ""].join("\n");
}

Deno.exit(await main() ? 0 : 1);
