import fc from "fast-check";
import { encodeIntoCompressedBase64 } from "hdr-histogram-js";
import { describe, expect, test } from "vitest";
import { decodeHistogram, mergeHistograms, percentileCurve, percentilesMs } from "../../../analysis/histogram.ts";
import { histogramOf } from "../../support/results.ts";

const latenciesUs = fc.array(fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 600_000_000 })), {
  minLength: 1,
  maxLength: 400,
});
const encode = (values: readonly number[]): string => encodeIntoCompressedBase64(histogramOf(values));

/** Nearest rank: the smallest value that at least this share of all values do not exceed. */
function exactMs(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.max(1, Math.ceil(sorted.length * share - 1e-9)) - 1] ?? Number.NaN) / 1000;
}

describe("percentiles", () => {
  test("are the exact quantiles of the raw values, within the histogram's resolution", () => {
    fc.assert(
      fc.property(latenciesUs, (values) => {
        const found = percentilesMs(mergeHistograms([encode(values)]));
        const shares = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99, p999: 0.999, max: 1 } as const;
        for (const name of ["p50", "p90", "p95", "p99", "p999", "max"] as const) {
          const exact = exactMs(values, shares[name]);
          expect(found?.[name]).toBeGreaterThanOrEqual(exact);
          expect(found?.[name]).toBeLessThanOrEqual(exact * (1 + 1 / 1024) + 1e-9);
        }
      }),
    );
  });

  test("of histograms of parts, merged, are those of the whole, however it is split", () => {
    fc.assert(
      fc.property(latenciesUs, fc.integer({ min: 1, max: 8 }), (values, parts) => {
        const split = Array.from({ length: parts }, (_, part) => values.filter((_, index) => index % parts === part));
        const merged = mergeHistograms(split.map(encode));
        const whole = mergeHistograms([encode(values)]);
        expect(merged.totalCount).toBe(values.length);
        expect(percentilesMs(merged)).toEqual(percentilesMs(whole));
        expect(percentileCurve(merged)).toEqual(percentileCurve(whole));
      }),
    );
  });

  test("of nothing are none", () => {
    expect(percentilesMs(mergeHistograms([]))).toBeNull();
    expect(percentileCurve(mergeHistograms([encode([])]))).toEqual([]);
  });

  test("are not averages: two unlike halves have the tail of the slow one", () => {
    const fast = Array.from({ length: 900 }, () => 1_000);
    const slow = Array.from({ length: 100 }, () => 1_000_000);
    expect(percentilesMs(mergeHistograms([encode(fast), encode(slow)]))?.p95).toBeCloseTo(1_000, -1);
  });
});

describe("the percentile curve", () => {
  test("rises, ends at the slowest operation, and meets the percentiles at each nine", () => {
    const values = Array.from({ length: 5_000 }, (_, index) => 500 + index * 7);
    const histogram = mergeHistograms([encode(values)]);
    const curve = percentileCurve(histogram);
    const percentiles = percentilesMs(histogram);
    expect(curve.every((point, index) => point.ms >= (curve[index - 1]?.ms ?? 0))).toBe(true);
    expect(curve.at(-1)).toEqual({ odds: 5_000, ms: percentiles?.max });
    const at = (odds: number): number | undefined => curve.find((point) => Math.abs(point.odds - odds) < 1e-6)?.ms;
    expect([at(10), at(100), at(1_000)]).toEqual([percentiles?.p90, percentiles?.p99, percentiles?.p999]);
  });
});

describe("decoding", () => {
  test.each([
    ["text that is no histogram", "bm90IGEgaGlzdG9ncmFt"],
    ["nothing", ""],
    ["a histogram cut in half", encode([1, 2, 3, 500_000]).slice(0, 40)],
  ])("refuses %s", (_, text) => {
    expect(() => decodeHistogram(text)).toThrow();
  });

  test("refuses a histogram of coarser resolution, which would not merge exactly", async () => {
    const { build } = await import("hdr-histogram-js");
    const coarse = build({ numberOfSignificantValueDigits: 1, highestTrackableValue: 600_000_000 });
    coarse.recordValue(1234);
    expect(() => decodeHistogram(encodeIntoCompressedBase64(coarse))).toThrow("digits");
  });
});
