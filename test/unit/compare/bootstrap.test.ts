import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hodgesLehmann, median, shiftInterval } from "../../../analysis/compare/bootstrap.ts";
import { noisy } from "./support.ts";

const first = [11.2, 10.9, 12.4, 11.8, 10.1, 13.0, 11.1, 12.2];
const second = [12.0, 13.4, 12.9, 11.5, 14.1, 13.3, 12.7];
const values = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 25 });

describe("the shift", () => {
  test("is the median of all differences", () => {
    expect(hodgesLehmann([1, 2, 3], [2, 4])).toBe(1); // -1 0 1 1 2 3
    expect(hodgesLehmann(first, second)).toBeCloseTo(1.15, 12);
    fc.assert(
      fc.property(values, values, (one, other) => {
        const sorted = one.flatMap((x) => other.map((y) => y - x)).sort((a, b) => a - b);
        const half = sorted.length / 2;
        const truth =
          sorted.length % 2 === 1
            ? (sorted[Math.floor(half)] ?? 0)
            : ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2;
        expect(hodgesLehmann(one, other)).toBeCloseTo(truth, 9);
      }),
    );
  });

  test("follows a shift of one side exactly, and turns with the sides", () => {
    fc.assert(
      fc.property(values, values, fc.integer({ min: -100, max: 100 }), (one, other, by) => {
        const shift = hodgesLehmann(one, other);
        expect(
          hodgesLehmann(
            one,
            other.map((value) => value + by),
          ),
        ).toBeCloseTo(shift + by, 6);
        expect(hodgesLehmann(other, one)).toBeCloseTo(-shift, 9);
      }),
    );
  });

  test("has no bounds when most of a side has none", () => {
    const endless = Number.POSITIVE_INFINITY;
    expect(hodgesLehmann([1, 2, 3], [endless, endless, 2])).toBe(endless);
    expect(hodgesLehmann([endless, endless], [endless, endless])).toBe(0);
    expect(median([1, endless, endless])).toBe(endless);
  });
});

describe("the interval", () => {
  const options = { confidence: 0.95, resamples: 9_999, seed: 1 };

  // scipy 1.17.1: bootstrap((first, second), median of differences, paired=False, confidence_level=0.90, n_resamples=9999,
  // method="BCa") gives 0.40 to 2.00 or 2.05, depending on the seed; the draws are 0.05 apart there.
  test("is scipy's", () => {
    const found = shiftInterval(first, second, options);
    expect(found?.low).toBeCloseTo(0.4, 1);
    expect(found?.high).toBeGreaterThanOrEqual(1.95);
    expect(found?.high).toBeLessThanOrEqual(2.1);
  });

  test("is the same for the same seed, and hardly another for another", () => {
    const again = shiftInterval(first, second, options);
    const other = shiftInterval(first, second, { ...options, seed: 2 });
    expect(again).toEqual(shiftInterval(first, second, options));
    expect(Math.abs((other?.low ?? 0) - (again?.low ?? 0))).toBeLessThan(0.15);
  });

  test("holds the shift, and moves with one side", () => {
    const few = { ...options, resamples: 500 };
    const some = fc.array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: 3, maxLength: 12 });
    fc.assert(
      fc.property(some, some, (one, other) => {
        const shift = hodgesLehmann(one, other);
        const found = shiftInterval(one, other, few);
        const spread = Math.max(...one, ...other) - Math.min(...one, ...other);
        expect(found?.low).toBeLessThanOrEqual(shift + 0.05 * spread);
        expect(found?.high).toBeGreaterThanOrEqual(shift - 0.05 * spread);
        const moved = shiftInterval(
          one,
          other.map((value) => value + 10),
          few,
        );
        expect(moved?.high).toBeCloseTo((found?.high ?? 0) + 10, 6);
      }),
      { numRuns: 50 },
    );
  });

  test("needs three values a side", () => {
    expect(shiftInterval([1, 2], [3, 4, 5], options)).toBeNull();
    expect(shiftInterval([1, 2, 3], [3, 4, 5], options)).not.toBeNull();
  });

  test("holds the truth about as often as it says", () => {
    const trials = 400;
    let [above, below] = [0, 0];
    for (let trial = 0; trial < trials; trial += 1) {
      const [one, other] = [noisy(2 * trial, 10, 10, 0.1), noisy(2 * trial + 1, 10, 10, 0.1)];
      const found = shiftInterval(one, other, { confidence: 0.95, resamples: 300, seed: trial });
      above += (found?.high ?? 0) < 0 ? 1 : 0;
      below += (found?.low ?? 0) > 0 ? 1 : 0;
    }
    // 5 % on each side by design; a bootstrap of ten values is known to be some percent short of that.
    expect(above / trials).toBeLessThan(0.11);
    expect(below / trials).toBeLessThan(0.11);
    expect(above + below).toBeGreaterThan(0.04 * trials);
  });
});
