import { normalCdf, normalQuantile } from "./normal.ts";

/** Uniform numbers in [0, 1) from a seed: xoshiro128** (Blackman and Vigna, 2021), its state filled by splitmix32. */
function uniformRandom(seed: number): () => number {
  let filler = seed >>> 0;
  const state = Uint32Array.from({ length: 4 }, () => {
    filler = (filler + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(filler ^ (filler >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return mixed ^ (mixed >>> 16);
  });
  const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
  return () => {
    let [a = 0, b = 0, c = 0, d = 0] = state;
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    state.set([a, b, c, d]);
    return result / 2 ** 32;
  };
}

/** Every difference y - x, row by row of x. Two infinities do not differ. */
function differences(first: readonly number[], second: readonly number[]): Float64Array {
  const found = new Float64Array(first.length * second.length);
  first.forEach((x, row) => {
    second.forEach((y, column) => {
      found[row * second.length + column] = x === y ? 0 : y - x;
    });
  });
  return found;
}

/** The value that would be at `index` were the values sorted; reorders them (Hoare's selection, 1961). */
function select(values: Float64Array, count: number, index: number): number {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const pivot = values[(low + high) >> 1] as number;
    let [left, right] = [low, high];
    while (left <= right) {
      while ((values[left] as number) < pivot) {
        left += 1;
      }
      while ((values[right] as number) > pivot) {
        right -= 1;
      }
      if (left <= right) {
        const kept = values[left] as number;
        values[left] = values[right] as number;
        values[right] = kept;
        left += 1;
        right -= 1;
      }
    }
    if (index <= right) {
      high = right;
    } else if (index >= left) {
      low = left;
    } else {
      break;
    }
  }
  return values[index] as number;
}

/** The median of the first `count` values, which it reorders. */
function medianInPlace(values: Float64Array, count: number): number {
  const upper = select(values, count, count >> 1);
  if (count % 2 === 1) {
    return upper;
  }
  let lower = Number.NEGATIVE_INFINITY; // all values before the upper one are at most that now
  for (let index = 0; index < count >> 1; index += 1) {
    lower = Math.max(lower, values[index] as number);
  }
  return lower === upper ? upper : (lower + upper) / 2;
}

/** The median; NaN of nothing. */
export const median = (values: readonly number[]): number =>
  values.length === 0 ? Number.NaN : medianInPlace(Float64Array.from(values), values.length);

/** By how much `second` lies above `first`: the median of all differences (Hodges and Lehmann, 1963). */
export function hodgesLehmann(first: readonly number[], second: readonly number[]): number {
  const all = differences(first, second);
  return medianInPlace(all, all.length);
}

/** Bounds of an interval; either may be infinite. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** How an interval is made. */
export interface BootstrapOptions {
  /** Share of such intervals whose true value lies below the upper end; and, the same, above the lower one. */
  readonly confidence: number;
  readonly resamples: number;
  readonly seed: number;
}

/** Fewer values than this on a side say too little about their spread to draw from. */
const leastForInterval = 3;

/**
 * Interval of the Hodges-Lehmann shift: bias-corrected and accelerated bootstrap (Efron, JASA 82, 1987), each side
 * drawn from on its own, acceleration from leaving out each value once, for two samples as in Davison and Hinkley
 * (1997), eq. 5.26. The same input gives the same interval. Null with fewer than three values on
 * a side, or without resamples.
 */
export function shiftInterval(
  first: readonly number[],
  second: readonly number[],
  options: BootstrapOptions,
): Interval | null {
  if (options.resamples === 0 || Math.min(first.length, second.length) < leastForInterval) {
    return null;
  }
  const shift = hodgesLehmann(first, second);
  const drawn = drawShifts(first, second, options);
  const below = drawn.reduce((sum, value) => sum + (value < shift ? 1 : value === shift ? 0.5 : 0), 0);
  const bias = normalQuantile(Math.min(Math.max(below / drawn.length, 1e-6), 1 - 1e-6));
  const skew = acceleration(first, second);
  const at = (share: number): number => {
    const z = bias + normalQuantile(share);
    const stretch = 1 - skew * z;
    const corrected = stretch > 0 ? normalCdf(bias + z / stretch) : z > 0 ? 1 : 0;
    return drawn[Math.min(drawn.length - 1, Math.max(0, Math.round(corrected * (drawn.length - 1))))] as number;
  };
  return { low: at(1 - options.confidence), high: at(options.confidence) };
}

/** Shifts of resampled sides, sorted. */
function drawShifts(first: readonly number[], second: readonly number[], options: BootstrapOptions): Float64Array {
  const random = uniformRandom(options.seed);
  const all = differences(first, second);
  const drawn = new Float64Array(options.resamples);
  const pairs = new Float64Array(all.length);
  const columns = new Int32Array(second.length);
  for (let resample = 0; resample < options.resamples; resample += 1) {
    for (let column = 0; column < columns.length; column += 1) {
      columns[column] = Math.floor(random() * second.length);
    }
    let pair = 0;
    for (let row = 0; row < first.length; row += 1) {
      const from = Math.floor(random() * first.length) * second.length;
      for (let column = 0; column < columns.length; column += 1) {
        pairs[pair] = all[from + (columns[column] as number)] as number;
        pair += 1;
      }
    }
    drawn[resample] = medianInPlace(pairs, pair);
  }
  return drawn.sort();
}

function acceleration(first: readonly number[], second: readonly number[]): number {
  const influences = [
    influence(first, (rest) => hodgesLehmann(rest, second)),
    influence(second, (rest) => hodgesLehmann(first, rest)),
  ];
  const moment = (power: number): number =>
    influences.reduce(
      (sum, one) => sum + one.reduce((part, value) => part + value ** power, 0) / one.length ** power,
      0,
    );
  const skew = moment(3) / (6 * moment(2) ** 1.5);
  return Number.isFinite(skew) ? skew : 0; // no spread, or one without bounds: nothing to correct by
}

/** How much each value moves a statistic, by leaving it out. */
function influence(values: readonly number[], statistic: (rest: readonly number[]) => number): number[] {
  const without = values.map((_, left) => statistic(values.filter((_, index) => index !== left)));
  const mean = without.reduce((sum, value) => sum + value, 0) / without.length;
  return without.map((value) => (values.length - 1) * (mean - value));
}
