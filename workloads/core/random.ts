/** A seeded source of numbers: the same seed gives the same sequence on every machine. */
export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  next(): number;
  /** Uniform integer in [0, limit). */
  below(limit: number): number;
}

/** Mixes one more number into a 32-bit state with the finalizer of MurmurHash3, which changes every bit of it. */
function mix(state: number, value: number): number {
  let hash = Math.imul(state ^ value, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * The generator sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, a counter that keeps its period above 2^32.
 *
 * @param seeds Whole numbers; all of them count, in order, a number beyond 32 bits with all its bits.
 */
export function seededRandom(...seeds: readonly number[]): Random {
  let state = 0x243f6a88;
  for (const seed of seeds) {
    state = mix(mix(state, seed >>> 0), Math.floor(seed / 2 ** 32) >>> 0);
  }
  let a = mix(state, 1);
  let b = mix(state, 2);
  let c = mix(state, 3);
  let counter = 1;
  const draw = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round += 1) {
    draw();
  }
  const next = (): number => ((draw() >>> 5) * 2 ** 26 + (draw() >>> 6)) / 2 ** 53;
  return { next, below: (limit) => Math.floor(next() * limit) };
}

/** 32 bits that stand for a text (FNV-1a). */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
