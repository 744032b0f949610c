// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * Children that end with the task that asked for them: they get the signal that their options name for
 * that, else `SIGTERM`. A detached child lives on.
 *
 * @module
 */

// Invariants
//  1. In a killed task no child begins.
//  2. The callback of `exec` and `execFile` is called once: by the host, or with the reason.
//  3. `calling` is true exactly while the host makes a child: what it calls in turn is no wait of its own.

import { runIn } from "../_kernel/current.ts";
import { hostCall, type HostCallEnds } from "../_kernel/host_call.ts";
import {
  destroy,
  type Destroyable,
  type Emitter,
  PromisedForms,
  refuseCall,
  settleWith,
  type Subject,
  whileOpen,
} from "./adapters.ts";
import {
  builtin,
  type ContextCall,
  type HostFunction,
  type Part,
  passOn,
  type Place,
  placesOf,
} from "./parts.ts";

/** The part. */
export const childProcessPart: Part = {
  name: "childProcess",
  places,
  removed: () => forms.off(),
};

const forms = new PromisedForms();

function places(): Place[] {
  const module = builtin<object>("node:child_process");
  return [
    ...placesOf(module, "child_process.", ["spawn", "fork"], spawn),
    ...placesOf(module, "child_process.", ["exec", "execFile"], execute).map((place) => ({
      ...place,
      own: forms.of(place.name, executePromised),
    })),
  ];
}

interface Child extends Emitter {
  readonly exitCode: number | null;
  readonly signalCode: string | null;
  readonly stdout: Destroyable | null;
  readonly stderr: Destroyable | null;
  kill(signal?: unknown): boolean;
}

function spawn(call: ContextCall): Child {
  if (calling) return passOn(call) as Child;
  // There is no child to give, and no promise to reject.
  if (call.context.cancelled) throw call.context.reason;
  const child = make(call);
  if (optionsOf(call).detached !== true) {
    // And not "exit": others may hold its output open after that.
    whileOpen(call, command(call.args, undefined), child, ["close"], (reason) => {
      end(child, call, reason);
    });
  }
  return child;
}

function execute(call: ContextCall): Child {
  const { args, context, name } = call;
  const callback = args.at(-1);
  if (calling || typeof callback !== "function") return spawn(call);
  if (context.cancelled) throw context.reason;
  let child!: Child;
  const executed = hostCall<void>(name, command(args, undefined), (ends) => {
    args[args.length - 1] = function (this: unknown, ...results: unknown[]): unknown {
      if (!ends.waiting) return undefined;
      ends.settle();
      return runIn(context, () => Reflect.apply(callback, this, results));
    };
    child = make(call);
    return undefined;
  });
  // Only a cancel fails it.
  executed.catch((reason) =>
    queueMicrotask(() => {
      end(child, call, reason);
      Reflect.apply(callback as HostFunction, undefined, [reason, "", ""]);
    })
  );
  return child;
}

/** What `util.promisify` makes of them: a promise that has the child. */
function executePromised(call: ContextCall): Promise<unknown> {
  const refused = refuseCall(call.context);
  if (refused !== null) return refused;
  let child!: Child;
  const executed = hostCall(
    call.name,
    command(call.args, undefined),
    (ends: HostCallEnds<unknown>) => {
      const promise = make(call) as unknown as Promise<unknown> & { child: Child };
      child = promise.child;
      settleWith(promise, ends);
      return (reason) => queueMicrotask(() => end(child, call, reason));
    },
  );
  return Object.assign(executed, { child });
}

let calling = false;

/** Makes the child; within the context, for the sake of its listeners. */
function make(call: ContextCall): Child {
  calling = true;
  try {
    return passOn(call) as Child;
  } finally {
    calling = false;
  }
}

declare const Deno: unknown;

/** Its output may be held open by children of its own, which nobody has ended: so a reader is told. */
function end(child: Child, call: ContextCall, reason: unknown): void {
  // After the exit Deno waits for its output in a promise whose rejection nobody handles.
  const exited = child.exitCode !== null || child.signalCode !== null;
  child.kill(optionsOf(call).killSignal);
  if (exited && typeof Deno !== "undefined") return;
  for (const output of [child.stdout, child.stderr]) if (output != null) destroy(output, reason);
}

function optionsOf({ args }: ContextCall): { detached?: unknown; killSignal?: unknown } {
  const options = args.slice(1).find((arg) =>
    typeof arg === "object" && arg && !Array.isArray(arg)
  );
  return options ?? {};
}

const command: Subject = ([program, list]) =>
  Array.isArray(list) ? [program, ...list].join(" ") : String(program);
