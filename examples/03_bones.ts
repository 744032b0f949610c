// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

// A dog and its bones: a coroutine keeps its state in local variables between two sends. The first
// `yield` answers nobody, every later one answers a `send`.

import { coroutine } from "@baozi/baozi";

const dog = coroutine(async function* (name: string) {
  const eaten: string[] = [];
  console.log(`${name} is ready to eat`);
  while (true) {
    const bone: string = yield eaten.length;
    eaten.push(bone);
    console.log(`${name} has eaten ${eaten.join(", ")}`);
  }
});

const rex = dog("Rex");
for (const bone of ["a rib", "a knuckle", "a shank"]) {
  const count = await rex.send(bone);
  console.log(`That makes ${count}`);
}
await rex.close();

// Output:
// Rex is ready to eat
// Rex has eaten a rib
// That makes 1
// Rex has eaten a rib, a knuckle
// That makes 2
// Rex has eaten a rib, a knuckle, a shank
// That makes 3
