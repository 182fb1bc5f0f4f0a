import { build, decodeFromCompressedBase64, type Histogram } from "hdr-histogram-js";
import type { PercentileName } from "../schema/objectives.ts";

/** Digits every histogram keeps: a reported percentile is at most 1/1024 above the exact one. */
export const significantDigits = 3;

/** An empty histogram of µs that grows as needed. */
export function emptyHistogram(): Histogram {
  return build({
    bitBucketSize: 64,
    autoResize: true,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: significantDigits,
  });
}

/**
 * Decodes a histogram of µs as a worker delivers it.
 *
 * @throws Error when the text is no histogram, or one of a coarser resolution, which could not be merged exactly.
 */
export function decodeHistogram(encoded: string): Histogram {
  const histogram = decodeFromCompressedBase64(encoded, 64);
  if (histogram.numberOfSignificantValueDigits !== significantDigits) {
    throw new Error(`it keeps ${histogram.numberOfSignificantValueDigits} digits, not ${significantDigits}`);
  }
  if (!Number.isSafeInteger(histogram.totalCount) || histogram.totalCount < 0) {
    throw new Error("its counts are no counts");
  }
  return histogram;
}

/** One histogram with the recordings of all; exact, whatever worker or second they came from. */
export function mergeHistograms(encoded: Iterable<string>): Histogram {
  const merged = emptyHistogram();
  for (const text of encoded) {
    merged.add(decodeHistogram(text));
  }
  return merged;
}

/** Share of values that a percentile is not exceeded by. */
export const quantiles: Readonly<Record<PercentileName, number>> = {
  p50: 0.5,
  p90: 0.9,
  p95: 0.95,
  p99: 0.99,
  p999: 0.999,
  max: 1,
};

const msOf = (us: number): number => us / 1000;

/** Percentiles by nearest rank in ms, each the upper end of its bucket, or null of an empty histogram. */
export function percentilesMs(histogram: Histogram): Record<PercentileName, number> | null {
  if (histogram.totalCount === 0) {
    return null;
  }
  const at = (name: PercentileName): number => msOf(histogram.getValueAtPercentile(quantiles[name] * 100));
  return { p50: at("p50"), p90: at("p90"), p95: at("p95"), p99: at("p99"), p999: at("p999"), max: at("max") };
}

/** A point of a percentile curve: a share `1 - 1/odds` of operations took at most `ms`. */
export interface CurvePoint {
  /** 1 for the fastest, 10 for p90, 100 for p99, and so on. */
  readonly odds: number;
  readonly ms: number;
}

/** The percentile curve down to the last operation: `perDecade` points for each nine, and the largest value. */
export function percentileCurve(histogram: Histogram, perDecade = 12): CurvePoint[] {
  const total = histogram.totalCount;
  const points: CurvePoint[] = [];
  for (let step = 0; total > 0; step += 1) {
    const odds = 10 ** (step / perDecade);
    if (odds >= total) {
      points.push({ odds: total, ms: msOf(histogram.getValueAtPercentile(100)) });
      break;
    }
    points.push({ odds, ms: msOf(histogram.getValueAtPercentile(100 * (1 - 1 / odds))) });
  }
  return points;
}
