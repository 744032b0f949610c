// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno | Node | Bun

/**
 * The functions of `node:fs` and `node:fs/promises` that take a path. Reading ends with the task, what
 * has begun to change the disk is waited for, and a file that opens too late is closed.
 *
 * @module
 */

// Dropped: the functions that take a file descriptor, and the methods of a file handle. They work on a
// file that is open, mostly at once, and a read that went on after its wait would meet a descriptor that
// the task has closed, and the host given to somebody else. And `exists`, whose callback takes no error.

import { runOutside } from "../_kernel/current.ts";
import { hostCall } from "../_kernel/host_call.ts";
import {
  callbackLast,
  destroy,
  type Destroyable,
  drop,
  type Emitter,
  iteratorAlone,
  iteratorWithSignal,
  promiseAlone,
  promiseToTheEnd,
  promiseWithSignal,
  refuseCall,
  subjectAt,
  textOf,
  whileOpen,
} from "./adapters.ts";
import {
  builtin,
  type ContextCall,
  type HostFunction,
  type Inside,
  type Part,
  passOn,
  type Place,
  placesOf,
} from "./parts.ts";

const READS = ["access", "lstat", "readdir", "readlink", "realpath", "stat", "statfs"];
const CHANGES = [
  "appendFile",
  "chmod",
  "chown",
  "copyFile",
  "cp",
  "lchmod",
  "lchown",
  "link",
  "lutimes",
  "mkdir",
  "mkdtemp",
  "mkdtempDisposable",
  "rename",
  "rm",
  "rmdir",
  "symlink",
  "truncate",
  "unlink",
  "utimes",
];

interface FsModule {
  readonly promises?: object;
  close(descriptor: number, callback: () => void): void;
}

/** The part. */
export const fsPart: Part = { name: "fs", places };

function places(): Place[] {
  const fs = builtin<FsModule>("node:fs");
  if (fs === undefined) return [];
  const path = subjectAt(0);
  const { promises } = fs;
  const closeDescriptor = fs.close.bind(fs);
  return [
    ...placesOf(promises, "fs.promises.", READS, promiseAlone(path)),
    ...placesOf(promises, "fs.promises.", CHANGES, promiseToTheEnd(path)),
    ...placesOf(promises, "fs.promises.", ["readFile"], promiseWithSignal(1, path)),
    ...placesOf(promises, "fs.promises.", ["writeFile"], promiseWithSignal(2, path)),
    ...placesOf(promises, "fs.promises.", ["open", "opendir"], openPromised),
    ...placesOf(promises, "fs.promises.", ["watch"], iteratorWithSignal(1, path)),
    ...placesOf(promises, "fs.promises.", ["glob"], iteratorAlone(path)),
    ...placesOf(fs, "fs.", READS, callbackLast(path)),
    ...placesOf(fs, "fs.", CHANGES, callbackLast(path, { toTheEnd: true })),
    ...placesOf(fs, "fs.", ["readFile"], callbackLast(path, { signalAt: 1 })),
    ...placesOf(fs, "fs.", ["writeFile"], callbackLast(path, { signalAt: 2 })),
    ...placesOf(fs, "fs.", ["open"], openCalledBack((fd) => closeDescriptor(fd as number, ignore))),
    ...placesOf(fs, "fs.", ["opendir"], openCalledBack((dir) => (dir as Directory).close(ignore))),
    ...placesOf(fs, "fs.", ["createReadStream"], readStream),
    ...placesOf(fs, "fs.", ["createWriteStream"], writeStream),
    ...placesOf(fs, "fs.", ["watch"], watch),
  ];
}

/** A file or directory that nobody waits for any more is closed when it has opened. */
function openPromised(call: ContextCall): Promise<unknown> {
  return refuseCall(call.context) ??
    hostCall(call.name, subjectAt(0)(call.args, call.self), (ends) => {
      const opening = runOutside(passOn, call) as Promise<{ close(): Promise<void> }>;
      opening.then(
        (handle) => ends.waiting ? ends.settle(handle) : drop(handle.close()),
        (error) => ends.fail(error),
      );
      return undefined;
    });
}

interface Directory {
  close(callback: () => void): void;
}

function openCalledBack(close: (opened: unknown) => void): Inside {
  const inside = callbackLast(subjectAt(0));
  return (call) => {
    const open = call.host;
    const host: HostFunction = function (this: unknown, ...args) {
      const callback = args.at(-1) as HostFunction;
      if (typeof callback === "function") {
        args[args.length - 1] = function (this: unknown, error: unknown, opened: unknown): unknown {
          // The wait has ended early exactly if its context was cancelled.
          if (call.context.cancelled && opened != null) return close(opened);
          return Reflect.apply(callback, this, [error, opened]);
        };
      }
      return Reflect.apply(open, this, args);
    };
    return inside({ ...call, host });
  };
}

function readStream(call: ContextCall): Destroyable {
  const stream = passOn(call) as Destroyable;
  // Not every stream tells "close": `emitClose: false`.
  whileOpen(call, textOf(call.args[0]), stream, ["close", "end"], (reason) => {
    destroy(stream, reason);
  });
  return stream;
}

function writeStream(call: ContextCall): Destroyable {
  // The host would open the file, and empty it, before one could destroy the stream.
  if (call.context.cancelled) throw call.context.reason;
  const stream = passOn(call) as Destroyable;
  whileOpen(call, textOf(call.args[0]), stream, ["close", "finish"], (reason) => {
    destroy(stream, reason);
  });
  return stream;
}

function watch(call: ContextCall): unknown {
  const watcher = passOn(call) as Emitter & { close(): void };
  whileOpen(call, textOf(call.args[0]), watcher, ["close"], () => watcher.close());
  return watcher;
}

function ignore(): void {}
