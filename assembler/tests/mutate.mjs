// Compares verdicts on mutated modules with V8's.
//
//   cargo run --release -p brant-asm --example mutate FILE COUNT SEED | node assembler/tests/mutate.mjs FILE
//
// Prints every mutant on which the two differ, and the counts. A verdict of `?` is none.
// The example `mutants` of the crate `brant` prints the same lines for the engine.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const module = readFileSync(process.argv[2]);
const original = Uint8Array.from(module);
let [count, valid, different, open] = [0, 0, 0, 0];
for await (const line of createInterface({ input: process.stdin })) {
  const [offset, value] = line.split(" ").map(Number);
  if (line.at(-1) === "?") {
    open += 1;
    continue;
  }
  const verdict = line.at(-1) !== "0";
  module[offset] = value;
  const theirs = WebAssembly.validate(module);
  module[offset] = original[offset];
  count += 1;
  valid += theirs ? 1 : 0;
  if (theirs !== verdict) {
    different += 1;
    console.log(`offset 0x${offset.toString(16)}: ${original[offset]} -> ${value}: V8 says ${theirs}`);
  }
}
console.log(`${count} mutants, ${valid} valid, ${different} different, ${open} without a verdict`);
process.exit(different === 0 ? 0 : 1);
