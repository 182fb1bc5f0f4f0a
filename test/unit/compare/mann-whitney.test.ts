import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { choose, holm, mannWhitney } from "../../../analysis/compare/mann-whitney.ts";
import { normalCdf, normalQuantile } from "../../../analysis/compare/normal.ts";

/** Both tails by trying every way of choosing which of the pooled values are the second side's. */
function bruteForce(first: readonly number[], second: readonly number[]): { greater: number; less: number } {
  const pooled = [...first, ...second];
  const u = (chosen: readonly number[]): number => {
    const rest = pooled.map((_, index) => index).filter((index) => !chosen.includes(index));
    const above = (a = 0, b = 0): number => (a > b ? 1 : a === b ? 0.5 : 0);
    return chosen.reduce((sum, y) => sum + rest.reduce((part, x) => part + above(pooled[y], pooled[x]), 0), 0);
  };
  const observed = u(second.map((_, index) => first.length + index));
  const all = subsets(pooled.length, second.length).map(u);
  return {
    greater: all.filter((value) => value >= observed).length / all.length,
    less: all.filter((value) => value <= observed).length / all.length,
  };
}

function subsets(of: number, size: number, from = 0): number[][] {
  if (size === 0) {
    return [[]];
  }
  return Array.from({ length: Math.max(0, of - from - size + 1) }, (_, skip) => from + skip).flatMap((head) =>
    subsets(of, size - 1, head + 1).map((tail) => [head, ...tail]),
  );
}

describe("Mann-Whitney", () => {
  // scipy 1.17.1: mannwhitneyu(second, first, alternative, method="exact")
  test("gives scipy's exact values without ties", () => {
    const first = [11.2, 10.9, 12.4, 11.8, 10.1, 13.0, 11.1, 12.2];
    const second = [12.0, 13.4, 12.9, 11.5, 14.1, 13.3, 12.7];
    const found = mannWhitney(first, second);
    expect(found.u).toBe(47);
    expect(found.twoSided).toBeCloseTo(0.028904428904428903, 12);
    expect(found.greater).toBeCloseTo(0.014452214452214451, 12);
    expect(found.less).toBeCloseTo(0.9897435897435898, 12);
  });

  // scipy 1.17.1: method="asymptotic", which corrects for ties and continuity
  test("gives scipy's approximate values with ties in large samples", () => {
    const first = Array.from({ length: 40 }, (_, index) => index % 13);
    const second = Array.from({ length: 35 }, (_, index) => (index * 7) % 17);
    const found = mannWhitney(first, second);
    expect(found.u).toBe(854);
    expect(found.twoSided).toBeCloseTo(0.10233409006253866, 9);
    expect(found.greater).toBeCloseTo(0.05116704503126933, 9);
  });

  test("counts every way of sharing out the values, ties included", () => {
    const small = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(small, small, (first, second) => {
        const found = mannWhitney(first, second);
        const truth = bruteForce(first, second);
        expect(found.greater).toBeCloseTo(truth.greater, 12);
        expect(found.less).toBeCloseTo(truth.less, 12);
      }),
      { numRuns: 60 },
    );
  });

  test("exact and approximate values meet where one takes over from the other", () => {
    const values = (count: number, offset: number): number[] =>
      Array.from({ length: count }, (_, index) => index * 1.7 + offset);
    const exact = mannWhitney(values(30, 0), values(30, 8));
    const approximate = mannWhitney(values(31, 0), values(30, 7.15)); // as far apart, and one value too many to count
    expect(exact.twoSided).toBeGreaterThan(0.01);
    expect(Math.abs(exact.twoSided - approximate.twoSided)).toBeLessThan(0.05);
  });

  const values = fc.array(fc.double({ min: 0.001, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 });

  test("swapping the sides swaps the tails", () => {
    fc.assert(
      fc.property(values, values, (first, second) => {
        const one = mannWhitney(first, second);
        const other = mannWhitney(second, first);
        expect(one.u + other.u).toBeCloseTo(first.length * second.length, 9);
        expect(one.greater).toBeCloseTo(other.less, 12);
        expect(one.twoSided).toBeCloseTo(other.twoSided, 12);
      }),
    );
  });

  test("knows only the order of values: nothing that keeps it changes anything", () => {
    const ranked = fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(ranked, ranked, (first, second) => {
        const stretch = (value: number): number => Math.log(value) * 7 - 3;
        expect(mannWhitney(first.map(stretch), second.map(stretch))).toEqual(mannWhitney(first, second));
      }),
    );
  });

  test("takes values without bounds as the largest", () => {
    const endless = Number.POSITIVE_INFINITY;
    expect(mannWhitney([1, 2, 3, 4], [endless, endless, endless, 5])).toEqual(mannWhitney([1, 2, 3, 4], [9, 9, 9, 5]));
  });

  test("values that are all the same differ in nothing", () => {
    expect(mannWhitney([1, 1, 1], [1, 1]).twoSided).toBe(1);
    const many = new Array<number>(50).fill(1);
    expect(mannWhitney(many, many).twoSided).toBe(1);
  });
});

describe("Holm's correction", () => {
  test("multiplies the smallest by all, the next by one less, and never falls", () => {
    expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
    expect(holm([0.6, 0.9])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });

  test("is at most Bonferroni's, and keeps the order", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 }), (ps) => {
        const corrected = holm(ps);
        ps.forEach((p, index) => {
          expect(corrected[index]).toBeGreaterThanOrEqual(p);
          expect(corrected[index]).toBeLessThanOrEqual(Math.min(1, p * ps.length));
        });
        const order = ps.map((_, index) => index).sort((a, b) => (ps[a] ?? 0) - (ps[b] ?? 0));
        expect(order.map((index) => corrected[index])).toEqual([...corrected].sort((a, b) => a - b));
      }),
    );
  });
});

describe("the normal distribution", () => {
  test.each([
    [1.96, 0.9750021048517795],
    [-3.5, 0.00023262907903552504],
    [0, 0.5],
    [-9, 0],
  ])("lies below %d with probability %d", (x, p) => {
    expect(normalCdf(x)).toBeCloseTo(p, 13);
  });

  test.each([0.001, 0.05, 0.5, 0.975, 0.9999])("has the quantile of %d where so much lies below", (p) => {
    expect(normalCdf(normalQuantile(p))).toBeCloseTo(p, 12);
  });
});

test("choose counts ways", () => {
  expect([choose(20, 10), choose(6, 3), choose(5, 0)]).toEqual([184_756, 20, 1]);
});
