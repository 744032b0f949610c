// Copyright 2026 the baozi authors. MIT license.
// Runs anywhere.

/**
 * SHA-256 in plain JavaScript: work that keeps a core busy and waits for nothing.
 *
 * @module
 */

// Source: FIPS 180-4.

const ROUNDS = 64;
const BLOCK = 64;
/** The fractions of the cube roots of the first 64 primes, and of the square roots of the first 8. */
const [CONSTANTS, START] = roots();

/** The digest of `bytes`, as hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
  const padded = new Uint8Array((bytes.length + 8 & -BLOCK) + BLOCK);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  const state = START.slice(), words = new Int32Array(ROUNDS);
  for (let at = 0; at < padded.length; at += BLOCK) {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + 4 * i);
    mix(state, words);
  }
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

function mix(state: Int32Array, words: Int32Array): void {
  for (let i = 16; i < ROUNDS; i++) {
    const x = words[i - 15]!, y = words[i - 2]!;
    const s0 = turn(x, 7) ^ turn(x, 18) ^ x >>> 3, s1 = turn(y, 17) ^ turn(y, 19) ^ y >>> 10;
    words[i] = words[i - 16]! + s0 + words[i - 7]! + s1;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as number[] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  for (let i = 0; i < ROUNDS; i++) {
    const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const one = h + s1 + (e & f ^ ~e & g) + CONSTANTS[i]! + words[i]! | 0;
    const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const two = s0 + (a & b ^ a & c ^ b & c) | 0;
    h = g, g = f, f = e, e = d + one | 0, d = c, c = b, b = a, a = one + two | 0;
  }
  for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) state[i]! += word;
}

function turn(word: number, by: number): number {
  return word >>> by | word << 32 - by;
}

function roots(): [cube: Int32Array, square: Int32Array] {
  const primes: number[] = [];
  for (let n = 2; primes.length < ROUNDS; n++) if (primes.every((p) => n % p !== 0)) primes.push(n);
  const fraction = (root: number): number => (root - Math.floor(root)) * 2 ** 32 | 0;
  return [
    Int32Array.from(primes, (p) => fraction(Math.cbrt(p))),
    Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p))),
  ];
}
