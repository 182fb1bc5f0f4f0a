import { createHash } from "node:crypto";
import type { Finding, MetricComparison } from "../../schema/comparison.ts";
import { type BootstrapOptions, hodgesLehmann, type Interval, median, shiftInterval } from "./bootstrap.ts";
import { holm, mannWhitney, type RankTest } from "./mann-whitney.ts";
import type { Measure } from "./metrics.ts";
import { furtherRuns } from "./runs-needed.ts";

/** One metric's values, one a run; Infinity where a run was worse than could be measured. */
export interface Sample extends Measure {
  readonly baseline: readonly number[];
  readonly candidate: readonly number[];
  /** Why it is shown without being judged. */
  readonly onlyShown?: string | undefined;
}

/** How sure a comparison wants to be. */
export interface JudgeOptions {
  /** Probability of calling any metric changed when none is, and of passing one that is worse by its threshold. */
  readonly alpha: number;
  /** Bootstrap samples an interval is made of; 0 for no intervals, and then nothing passes. */
  readonly resamples: number;
}

export const defaultJudgeOptions: JudgeOptions = { alpha: 0.05, resamples: 4_000 };

/** A sample on a scale on which a change is a shift, and a worsening a shift upwards. */
interface Oriented {
  readonly baseline: readonly number[];
  readonly candidate: readonly number[];
  /** The threshold on that scale. */
  readonly margin: number;
}

/** A sample with its tests, before the correction. */
interface Tested {
  readonly sample: Sample;
  readonly oriented: Oriented;
  readonly test: RankTest;
  readonly shift: number;
}

/**
 * Judges every metric. A metric is *worse* (or *better*) when its corrected p-value is at most alpha and its change
 * reaches the threshold. It is *no worse* when a change of the threshold is ruled out twice: by the rank test against
 * a baseline worsened by the threshold, and by the bootstrap interval. Everything else is *unclear*.
 */
export function judge(
  samples: readonly Sample[],
  options: JudgeOptions,
): { metrics: MetricComparison[]; tests: number } {
  const tested = samples.map((sample): Tested => {
    const oriented = orient(sample);
    const { baseline, candidate } = oriented;
    return { sample, oriented, test: mannWhitney(baseline, candidate), shift: hodgesLehmann(baseline, candidate) };
  });
  const family = tested.filter(isTest);
  const corrected = holm(family.map(({ test }) => test.twoSided));
  const metrics = tested.map((one) =>
    describe(one, corrected[family.indexOf(one)] ?? 1, { ...options, tests: Math.max(1, family.length) }),
  );
  return { metrics, tests: family.length };
}

/**
 * Whether a metric can be found changed at all. One that has the same value in every run cannot, whatever the sides, so
 * it need not be corrected for (Tarone, Biometrics 46, 1990).
 */
function isTest({ sample }: Tested): boolean {
  const [first, ...others] = [...sample.baseline, ...sample.candidate];
  return sample.onlyShown === undefined && settled(sample) === undefined && others.some((value) => value !== first);
}

function orient(sample: Sample): Oriented {
  const sign = sample.better === "lower" ? 1 : -1;
  const place = (value: number): number =>
    sign * (sample.scale === "relative" ? Math.log(Math.max(value, sample.floor)) : value);
  const { threshold } = sample;
  const margin = sample.scale === "relative" ? sign * Math.log(1 + sign * threshold) : threshold;
  return { baseline: sample.baseline.map(place), candidate: sample.candidate.map(place), margin };
}

/** Back to a share of the baseline, or to the metric's unit. */
function changeOf({ better, scale }: Measure, shift: number): number {
  const signed = better === "lower" ? shift : -shift;
  return scale === "relative" ? Math.expm1(signed) : signed;
}

/**
 * Counts are of things that must not happen, such as lost writes: they are no matter of chance when one side has none.
 */
function settled({ kind, baseline, candidate }: Sample): { finding: Finding; why: string } | undefined {
  if (kind !== "count") {
    return undefined;
  }
  if (candidate.every((value) => value === 0)) {
    return { finding: "no-worse", why: "there was none" };
  }
  return baseline.every((value) => value === 0)
    ? { finding: "worse", why: "the baseline had none: that takes no test" }
    : undefined;
}

function describe(
  { sample, oriented, test, shift }: Tested,
  corrected: number,
  options: JudgeOptions & { readonly tests: number },
): MetricComparison {
  const { metric, kind, better, scale, threshold, onlyShown } = sample;
  const interval = shiftInterval(oriented.baseline, oriented.candidate, bootstrapOptions(metric, options));
  const withoutTest = onlyShown === undefined ? settled(sample) : { finding: "shown" as const, why: onlyShown };
  const finding = withoutTest?.finding ?? findingOf(oriented, shift, corrected, interval, options.alpha);
  const sign = better === "lower" ? 1 : -1;
  return {
    metric,
    kind,
    better,
    finding,
    ...(withoutTest === undefined ? {} : { why: withoutTest.why }),
    baseline: spread(sample.baseline),
    candidate: spread(sample.candidate),
    difference: finite(hodgesLehmann(sample.baseline, sample.candidate)),
    scale,
    change: finite(changeOf(sample, shift)),
    interval: intervalOf(sample, interval),
    threshold,
    cliffs_delta: sign * ((2 * test.u) / (sample.baseline.length * sample.candidate.length) - 1) + 0,
    p: test.twoSided,
    p_corrected: corrected,
    more_runs: finding === "unclear" ? furtherRuns(oriented, shift, options) : null,
  };
}

/** The same metric gets the same draws in every comparison; others get others. */
function bootstrapOptions(metric: string, { alpha, resamples }: JudgeOptions): BootstrapOptions {
  return { confidence: 1 - alpha, resamples, seed: createHash("sha256").update(metric).digest().readUInt32LE() };
}

function findingOf(
  oriented: Oriented,
  shift: number,
  corrected: number,
  interval: Interval | null,
  alpha: number,
): Finding {
  const { baseline, candidate, margin } = oriented;
  if (corrected <= alpha && Math.abs(shift) >= margin) {
    return shift > 0 ? "worse" : "better";
  }
  const worsened = baseline.map((value) => value + margin);
  const ruledOut = mannWhitney(worsened, candidate).less <= alpha && interval !== null && interval.high < margin;
  return ruledOut ? "no-worse" : "unclear";
}

function intervalOf(sample: Sample, interval: Interval | null): MetricComparison["interval"] {
  if (interval === null) {
    return null;
  }
  const ends = [changeOf(sample, interval.low), changeOf(sample, interval.high)].sort((a, b) => a - b);
  return { low: finite(ends[0]), high: finite(ends[1]) };
}

function spread(values: readonly number[]): MetricComparison["baseline"] {
  return {
    runs: values.length,
    median: finite(median(values)),
    min: finite(Math.min(...values)),
    max: finite(Math.max(...values)),
  };
}

const finite = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value + 0 : null;
