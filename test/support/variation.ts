import { readFileSync } from "node:fs";
import { z } from "zod";
import { median } from "../../analysis/compare/bootstrap.ts";
import type { RunRecord } from "../../schema/comparison.ts";
import { uniformRandom } from "./results.ts";

/** Runs that differ by chance alone, simulated: what the calibration of comparisons is measured on. */

/** One value a metric for each run; how a maker of runs is told of a change. */
export type RunMaker = (random: () => number, run: string, factors?: Readonly<Record<string, number>>) => RunRecord;

/** A standard normal draw (Box and Muller). */
export const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Heavy-tailed, of variance 1: Student's t with three degrees of freedom. */
export function heavyTailed(random: () => number): number {
  const chi = [0, 1, 2].reduce((sum) => sum + normal(random) ** 2, 0);
  return normal(random) / Math.sqrt(chi / 3) / Math.sqrt(3);
}

function record(run: string, values: Record<string, number>): RunRecord {
  return {
    experiment: "kv",
    run,
    started: null,
    values,
    operations: { put: 100_000, get: 100_000 },
    conditions: { "workload.arrival.rate": "300" },
    surroundings: {},
    images: {},
  };
}

const operations = ["put", "get"] as const;
const percentiles = { p50: 5, p90: 9, p95: 12, p99: 20, p999: 35 } as const;

/** Latencies of the simulated network, by metric, ms. */
export const simulatedMedians: Readonly<Record<string, number>> = Object.fromEntries(
  operations.flatMap((name) => Object.entries(percentiles).map(([tail, ms]) => [`${name}.latency.${tail}`, ms])),
);

/**
 * Latency percentiles, ten unless fewer are asked for, that vary from run to run by this coefficient of variation, half of the variance shared by
 * all of a run's metrics, since a slow run is slow in all of them.
 */
export function simulatedRuns(
  variation: number,
  draw: (random: () => number) => number = normal,
  metrics: readonly string[] = Object.keys(simulatedMedians),
): RunMaker {
  const sigma = Math.sqrt(Math.log(1 + variation ** 2));
  return (random, run, factors = {}) => {
    const shared = draw(random);
    const values = metrics.map((metric) => {
      const own = (shared + draw(random)) / Math.SQRT2;
      return [metric, (simulatedMedians[metric] ?? 1) * Math.exp(sigma * own) * (factors[metric] ?? 1)];
    });
    return record(run, Object.fromEntries(values));
  };
}

const recordedSchema = z.strictObject({
  conditions: z.record(z.string(), z.string()),
  runs: z.array(z.strictObject({ started: z.iso.datetime(), values: z.record(z.string(), z.number()) })),
});

/** Runs of one network on the real cluster, one after the other. */
export interface RecordedRuns {
  readonly all: readonly RecordedRun[];
  /** Those in which the network could serve the load. */
  readonly served: readonly RecordedRun[];
}
type RecordedRun = z.output<typeof recordedSchema>["runs"][number];

function recorded(name: string): RecordedRuns {
  const fixture = new URL(`../fixtures/${name}.json`, import.meta.url);
  const all = recordedSchema.parse(JSON.parse(readFileSync(fixture, "utf8"))).runs;
  return { all, served: all.filter(({ values }) => (values.success_ratio ?? 0) >= 0.9) };
}

/** On a machine that did nothing else; the files say more of the conditions. */
export const quietRuns = recorded("run-to-run");
/** Beside other builds, tests and clusters on the same two cores. */
export const busyRuns = recorded("run-to-run-busy");

const recordedValues = ({ served }: RecordedRuns, metric: string): number[] =>
  served.map(({ values }) => values[metric] ?? Number.NaN);

/** Standard deviation of the logarithms of a recorded metric, which for small ones is the coefficient of variation. */
export function recordedVariation(runs: RecordedRuns, metric: string): number {
  const logs = recordedValues(runs, metric).map(Math.log);
  const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length;
  return Math.sqrt(logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (logs.length - 1));
}

/**
 * More runs like the recorded ones that were served: each takes one of them whole, so that its metrics go together as
 * they did, with noise of half the spread added and the variance brought back (smoothed bootstrap, Silverman and Young
 * 1987).
 */
export function runsLike(runs: RecordedRuns): RunMaker {
  const bandwidth = 0.5;
  const metrics = Object.keys(runs.served[0]?.values ?? {});
  const centres = new Map(metrics.map((metric) => [metric, median(recordedValues(runs, metric).map(Math.log))]));
  const spreads = new Map(metrics.map((metric) => [metric, recordedVariation(runs, metric)]));
  return (random, run, factors = {}) => {
    const like = runs.served[Math.floor(random() * runs.served.length)]?.values ?? {};
    const values = metrics.map((metric) => {
      const centre = centres.get(metric) ?? 0;
      const noise = bandwidth * (spreads.get(metric) ?? 0) * normal(random);
      const residual = (Math.log(like[metric] ?? Number.NaN) - centre + noise) / Math.sqrt(1 + bandwidth ** 2);
      return [metric, Math.exp(centre + residual) * (factors[metric] ?? 1)];
    });
    return record(run, Object.fromEntries(values));
  };
}

/** The recorded runs themselves, dealt out to two sides at random. */
export const dealRecorded =
  ({ all }: RecordedRuns) =>
  (seed: number): { baseline: { runs: RunRecord[] }; candidate: { runs: RunRecord[] } } => {
    const random = uniformRandom(seed);
    const shuffled = all
      .map(({ values, started }) => ({ key: random(), run: record(started, values) }))
      .sort((a, b) => a.key - b.key)
      .map(({ run }) => run);
    const half = shuffled.length >> 1;
    return { baseline: { runs: shuffled.slice(0, half) }, candidate: { runs: shuffled.slice(half) } };
  };

/** So many runs of a maker, from one stream of chance. */
const makeRuns = (
  maker: RunMaker,
  random: () => number,
  count: number,
  name: string,
  factors?: Readonly<Record<string, number>>,
): RunRecord[] => Array.from({ length: count }, (_, index) => maker(random, `${name}${index}`, factors));

/** Both sides of a trial; the candidate's metrics are multiplied by the factors. */
export function trial(maker: RunMaker, seed: number, runs: number, factors?: Readonly<Record<string, number>>) {
  const random = uniformRandom(seed);
  return {
    baseline: { runs: makeRuns(maker, random, runs, "a") },
    candidate: { runs: makeRuns(maker, random, runs, "b", factors) },
  };
}

/** Probability of at most `count` successes of `trials`, each with probability `p`. */
export function binomialAtMost(count: number, trials: number, p: number): number {
  let term = trials * Math.log(1 - p);
  let sum = Math.exp(term);
  for (let k = 1; k <= count; k += 1) {
    term += Math.log((trials - k + 1) / k) + Math.log(p / (1 - p));
    sum += Math.exp(term);
  }
  return sum;
}
