import type { Random } from "./random.ts";

/** Draws a whole number below a fixed limit. */
export type Chooser = (random: Random) => number;

export const uniformChoice =
  (count: number): Chooser =>
  (random) =>
    random.below(count);

/**
 * Ranks 0 to count-1, rank r with probability proportional to 1 / (r + 1)^exponent, by the method of Gray et al.,
 * "Quickly generating billion-record synthetic databases" (SIGMOD 1994), as YCSB does. Not scrambled: rank is key.
 */
export function zipfianChoice(count: number, exponent = 0.99): Chooser {
  let zeta = 0;
  for (let rank = 1; rank <= count; rank += 1) {
    zeta += rank ** -exponent;
  }
  const second = 1 + 0.5 ** exponent;
  const alpha = 1 / (1 - exponent);
  const eta = (1 - (2 / count) ** (1 - exponent)) / (1 - second / zeta);
  return (random) => {
    const share = random.next();
    if (share * zeta < 1) {
      return 0;
    }
    if (share * zeta < second) {
      return Math.min(1, count - 1);
    }
    return Math.min(count - 1, Math.floor(count * (eta * share - eta + 1) ** alpha));
  };
}

/** Draws one of several names in proportion to their weights. */
export function weightedChoice(weights: Readonly<Record<string, number | undefined>>): (random: Random) => string {
  const entries = Object.entries(weights).flatMap(([name, weight]) => (weight === undefined ? [] : [{ name, weight }]));
  const [first] = entries;
  if (first === undefined) {
    throw new RangeError("there is no operation to choose from");
  }
  let total = 0;
  const ends = entries.map(({ name, weight }) => {
    total += weight;
    return { name, end: total };
  });
  return (random) => {
    const at = random.next() * total;
    return ends.find(({ end }) => at < end)?.name ?? first.name;
  };
}
