// Copyright 2026 the baozi authors. MIT license.
// Needs: Deno

/**
 * Checks the npm package as its user meets it: packed, installed in an empty folder, compiled
 * against, imported and required, and read by the linters of the npm world.
 *
 * @module
 */

import { run, type RunOptions } from "./command.ts";
import { findBun, findDeno, findNode } from "./hosts.ts";

const CONSUMER = "scripts/npm_consumer.ts";
const WORKER = "scripts/npm_worker.ts";
const TOOLS = {
  typescript: "typescript@6.0.3",
  types: "@types/node@20.19.43",
  publint: "publint@0.3.25",
  attw: "@arethetypeswrong/cli@0.18.5",
};

async function main(): Promise<boolean> {
  const folder = Deno.makeTempDirSync({ prefix: "baozi_consumer_" });
  try {
    return await checkIn(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function checkIn(folder: string): Promise<boolean> {
  const expected = writeConsumer(folder);
  let good = true;
  const step = async (
    name: string,
    command: string,
    args: readonly string[],
    { cwd = folder, prints }: RunOptions & { prints?: string } = {},
  ): Promise<void> => {
    const { success, output } = await run(command, args, { cwd });
    const passed = success && (prints === undefined || output.trim() === prints);
    console.log(`${passed ? "ok  " : "FAIL"} ${name}`);
    if (passed) return;
    good = false;
    console.log(prints === undefined ? output : `${output}\nexpected:\n${prints}`);
  };

  await step("pack", "npm", ["pack", "--pack-destination", folder], { cwd: "npm" });
  const tarball = [...Deno.readDirSync(folder)].find(({ name }) => name.endsWith(".tgz"))?.name;
  if (tarball === undefined) return false;
  await step("install", "npm", ["install", "--no-audit", "--no-fund", `./${tarball}`]);
  await step("types, moduleResolution nodenext", "npx", tsc("nodenext"));
  await step("types, moduleResolution bundler", "npx", tsc("bundler"));
  await step("types of Node", "npm", ["install", "--no-audit", "--no-fund", TOOLS.types]);
  await step("types, without those of browsers", "npx", tsc("node"));

  const [deno, bun, node] = [await findDeno(), await findBun(), await findNode()];
  const at = ({ name, version }: typeof deno): string => `${name} ${version}`;
  await step(`import on ${at(node)}`, node.command, ["consumer.mjs"], { prints: expected });
  // Node 20 below 20.19 cannot, later ones of that line warn that they can.
  const required = ["--no-warnings", "consumer.cjs"];
  await step(`require on ${at(node)}`, node.command, required, { prints: expected });
  await step(`import on ${at(bun)}`, bun.command, ["consumer.mjs"], { prints: expected });
  await step(`import on ${at(deno)}`, deno.command, ["run", "-A", "consumer.mjs"], {
    prints: expected,
  });

  await step("publint", "npx", ["-y", TOOLS.publint, tarball, "--strict"]);
  await step("attw", "npx", ["-y", TOOLS.attw, tarball, "--profile", "esm-only"]);
  return good;
}

/** Writes the consumer's project into `folder` and gives what its program must print. */
function writeConsumer(folder: string): string {
  const read = (file: string): string =>
    Deno.readTextFileSync(file).replaceAll('"@baozi/baozi', '"baozi');
  const program = read(CONSUMER);
  const write = (file: string, content: unknown): void =>
    Deno.writeTextFileSync(
      `${folder}/${file}`,
      typeof content === "string" ? content : JSON.stringify(content),
    );
  write("package.json", { private: true, name: "consumer", type: "module" });
  // The same program twice: one compiles to `import`, the other to `require`.
  write("consumer.mts", program);
  write("consumer.cts", program);
  write("worker.mts", read(WORKER));
  const compilerOptions = {
    target: "ES2022",
    // What our types need beyond it, they must bring.
    lib: ["ES2022", "DOM"],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
  };
  write("nodenext.json", {
    compilerOptions: { ...compilerOptions, module: "nodenext" },
    files: ["consumer.mts", "consumer.cts", "worker.mts"],
  });
  write("bundler.json", {
    compilerOptions: {
      ...compilerOptions,
      module: "esnext",
      moduleResolution: "bundler",
      noEmit: true,
    },
    files: ["consumer.mts", "worker.mts"],
  });
  // As @tsconfig/node20 has it.
  write("node.json", {
    compilerOptions: {
      ...compilerOptions,
      lib: ["ES2022"],
      types: ["node"],
      module: "nodenext",
      noEmit: true,
    },
    files: ["consumer.mts", "worker.mts"],
  });
  const [, output = ""] = program.split("// Output:\n");
  return output.replaceAll(/^\/\/ /gm, "").trim();
}

function tsc(project: string): string[] {
  return ["-y", "-p", TOOLS.typescript, "tsc", "-p", `${project}.json`];
}

Deno.exit(await main() ? 0 : 1);
