import { normalCdf } from "./normal.ts";

/** The rank test of two samples: does one tend to larger values than the other? */
export interface RankTest {
  /** Pairs (x of the first, y of the second) with y above x, ties counted half. */
  readonly u: number;
  /** Probability, were both alike, of a `u` as large or larger; as small or smaller; as far from the middle or farther. */
  readonly greater: number;
  readonly less: number;
  readonly twoSided: number;
}

/** Up to so many values in all, the distribution is counted; beyond, the normal approximation is good to 1e-3 and better. */
const exactUpTo = 60;

/**
 * Mann and Whitney's test (Annals of Mathematical Statistics 18, 1947) of `second` against `first`.
 *
 * Exact, given the values: every way of sharing them out between the two sides is counted, so ties need no correction
 * and no shape of distribution is assumed. Larger samples take the normal approximation, with the variance corrected
 * for ties and half a pair for continuity. Infinite values are allowed; NaN is not.
 */
export function mannWhitney(first: readonly number[], second: readonly number[]): RankTest {
  const { ranks, ties } = midRanks([...first, ...second]);
  const rankSum = ranks.slice(first.length).reduce((sum, rank) => sum + rank, 0);
  const u = rankSum - (second.length * (second.length + 1)) / 2;
  const { greater, less } =
    first.length + second.length <= exactUpTo
      ? exactTails(ties, second.length, rankSum)
      : approximateTails(u, first.length, second.length, ties);
  return { u, greater, less, twoSided: Math.min(1, 2 * Math.min(greater, less)) };
}

/** Ranks from 1, equal values with the mean of theirs, and how many values are equal to each other, in rising order. */
function midRanks(values: readonly number[]): { ranks: number[]; ties: number[] } {
  const order = values.map((_, index) => index).sort((a, b) => compareNumbers(values[a] ?? 0, values[b] ?? 0));
  const ranks = new Array<number>(values.length).fill(0);
  const ties: number[] = [];
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to] ?? 0] === values[order[from] ?? 0]) {
      to += 1;
    }
    for (const index of order.slice(from, to)) {
      ranks[index] = (from + 1 + to) / 2;
    }
    ties.push(to - from);
    from = to;
  }
  return { ranks, ties };
}

/** Unlike subtraction, right for two infinities. */
const compareNumbers = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);

function exactTails(ties: readonly number[], taken: number, rankSum: number): { greater: number; less: number } {
  const counts = rankSumCounts(ties, taken);
  const at = Math.round(2 * rankSum);
  let [below, equal, above] = [0, 0, 0];
  counts.forEach((count, sum) => {
    below += sum < at ? count : 0;
    equal += sum === at ? count : 0;
    above += sum > at ? count : 0;
  });
  const all = below + equal + above;
  return { greater: (above + equal) / all, less: (below + equal) / all };
}

/** Counts for a few thousand tests of like shape are asked for in a row; the last ones are kept. */
const knownCounts = new Map<string, Float64Array>();
const knownCountsLimit = 64;

/**
 * In how many ways `taken` of the ranked values have each sum of ranks; index is twice the sum, so that half ranks of
 * ties are whole. By adding one value after the other (Streitberg and Röhmel's shift algorithm, 1986).
 */
function rankSumCounts(ties: readonly number[], taken: number): Float64Array {
  const key = `${taken}:${ties.join()}`;
  const known = knownCounts.get(key);
  if (known !== undefined) {
    return known;
  }
  let rank = 0;
  const doubled = ties.flatMap((size) => {
    rank += size;
    return new Array<number>(size).fill(2 * rank - size + 1);
  });
  const largest = doubled.slice(doubled.length - taken).reduce((sum, value) => sum + value, 0);
  const counts = Array.from({ length: taken + 1 }, () => new Float64Array(largest + 1));
  (counts[0] as Float64Array)[0] = 1;
  for (const value of doubled) {
    for (let size = taken; size > 0; size -= 1) {
      const from = counts[size - 1] as Float64Array;
      const to = counts[size] as Float64Array;
      for (let sum = largest; sum >= value; sum -= 1) {
        to[sum] = (to[sum] ?? 0) + (from[sum - value] ?? 0);
      }
    }
  }
  const found = counts[taken] as Float64Array;
  if (knownCounts.size >= knownCountsLimit) {
    knownCounts.clear();
  }
  knownCounts.set(key, found);
  return found;
}

function approximateTails(
  u: number,
  first: number,
  second: number,
  ties: readonly number[],
): { greater: number; less: number } {
  const all = first + second;
  const tied = ties.reduce((sum, size) => sum + size ** 3 - size, 0);
  const variance = ((first * second) / 12) * (all + 1 - tied / (all * (all - 1)));
  if (variance === 0) {
    return { greater: 1, less: 1 };
  }
  const tail = (beyond: number): number => normalCdf(-(beyond - 0.5) / Math.sqrt(variance));
  const middle = (first * second) / 2;
  return { greater: Math.min(1, tail(u - middle)), less: Math.min(1, tail(middle - u)) };
}

/** Ways to choose `taken` of `all`. */
export function choose(all: number, taken: number): number {
  let ways = 1;
  for (let index = 1; index <= taken; index += 1) {
    ways = (ways * (all - taken + index)) / index;
  }
  return ways;
}

/**
 * p-values corrected for how many there are, so that one of all tests at most is wrong with the probability asked for
 * (Holm, Scandinavian Journal of Statistics 6, 1979). In the order given.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => (pValues[a] ?? 1) - (pValues[b] ?? 1));
  const corrected = new Array<number>(pValues.length).fill(1);
  let largest = 0;
  order.forEach((index, position) => {
    largest = Math.max(largest, Math.min(1, (pValues[index] ?? 1) * (pValues.length - position)));
    corrected[index] = largest;
  });
  return corrected;
}
