import { build, encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js";

/** Longest duration told apart; what took longer counts as this long. */
export const longestUs = 600_000_000;

/** An empty histogram of µs: 1 µs to 10 minutes, 3 significant digits. */
export function emptyHistogram(): Histogram {
  return build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: longestUs,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });
}

export function recordUs(histogram: Histogram, us: number): void {
  histogram.recordValue(Math.min(longestUs, us));
}

/** V2 compressed, base64: what results hold. */
export function encodeHistogram(histogram: Histogram): string {
  return encodeIntoCompressedBase64(histogram);
}

/** p50, p99 and the largest of a histogram of µs, in ms; zeros when it is empty. */
export function summaryMs(histogram: Histogram): { p50: number; p99: number; max: number } {
  const at = (percentile: number): number =>
    histogram.totalCount === 0 ? 0 : histogram.getValueAtPercentile(percentile) / 1000;
  return { p50: at(50), p99: at(99), max: at(100) };
}
