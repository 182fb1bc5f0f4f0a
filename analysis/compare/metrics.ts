import type { RunRecord } from "../../schema/comparison.ts";
import { InputError } from "../../schema/errors.ts";
import { type MetricKind, metricKind, writeMetric } from "../../schema/objectives.ts";
import { formatCount } from "../format.ts";
import { operationsNeeded, percentileMetric } from "../thresholds.ts";

/** How values of a metric are compared. */
export interface Measure {
  readonly metric: string;
  readonly kind: MetricKind;
  readonly better: "lower" | "higher";
  /** Whether changes are shares of the baseline or in the metric's own unit. */
  readonly scale: "relative" | "absolute";
  /** A worsening by this much or more matters. */
  readonly threshold: number;
  /** Smaller values cannot be told from this one. */
  readonly floor: number;
}

/**
 * What matters, by kind, where the user does not say: 5 % of a latency or rate; a thousandth of all operations, since
 * from 0.1 % to 1 % of failures is a tenfold worsening; and any count, which is of things lost.
 */
const defaults: Readonly<Record<MetricKind, Omit<Measure, "metric" | "kind">>> = {
  duration: { better: "lower", scale: "relative", threshold: 0.05, floor: 0.001 },
  rate: { better: "higher", scale: "relative", threshold: 0.05, floor: 0.001 },
  ratio: { better: "higher", scale: "absolute", threshold: 0.001, floor: 0 },
  count: { better: "lower", scale: "absolute", threshold: 0, floor: 0 },
};

/**
 * What is otherwise than in its kind. Outages under 100 ms are not seen, so that failovers under it are alike. The
 * achieved ratio is a rate, by the load: a backlog of the warm-up moves it by tenths of a percent either way.
 */
const exceptions: Readonly<Record<string, Partial<Measure>>> = {
  failover: { floor: 100 },
  achieved_ratio: { scale: "relative", threshold: 0.05, floor: 0.001 },
  "writes.balance": { scale: "relative", threshold: 0.05, floor: 0.001 },
};

/** A threshold of the user for the metrics its pattern names: shares of the baseline, of all operations, or a count. */
export interface Threshold {
  /** A metric name; `*` stands for any part of it. */
  readonly pattern: string;
  readonly value: number;
  readonly unit: "%" | "pp" | "";
}

/** How a change of a metric is written. */
const unitOf = ({ kind, scale }: Pick<Measure, "kind" | "scale">): Threshold["unit"] =>
  scale === "relative" ? "%" : kind === "ratio" ? "pp" : "";

/**
 * Reads `get.latency.p99=10%`, `success_ratio=0.5pp` or `lost_writes=2`.
 *
 * @throws InputError when it is written otherwise
 */
export function parseThreshold(text: string): Threshold {
  const [, pattern, number, unit] = /^([^=]+)=(\d+(?:\.\d+)?)(%|pp|)$/.exec(text) ?? [];
  const value = Number(number);
  if (pattern === undefined || (unit !== "" && (value <= 0 || value >= 100))) {
    throw new InputError([
      {
        path: "--threshold",
        rule: `"${text}" is no threshold.`,
        fix: "Write metric=10% for latencies and rates, metric=0.5pp for ratios, metric=2 for counts.",
      },
    ]);
  }
  return { pattern, unit: unit === "%" ? "%" : unit === "pp" ? "pp" : "", value: unit === "" ? value : value / 100 };
}

export const matches = (pattern: string, metric: string): boolean =>
  new RegExp(`^${pattern.split("*").map(escaped).join(".*")}$`).test(metric);

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

/**
 * Every metric that any run has a value of, in the order of first appearance, with how it is compared.
 *
 * @throws InputError when a threshold is written in a unit the metric does not have
 */
export function measuresOf(runs: readonly RunRecord[], thresholds: readonly Threshold[]): Measure[] {
  const operations = [...new Set(runs.flatMap((run) => Object.keys(run.operations)))];
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.values)))];
  return names.flatMap((metric) => {
    const kind = metricKind(metric, operations);
    if (kind === undefined) {
      return [];
    }
    const measure = { metric, kind, ...defaults[kind], ...exceptions[metric] };
    const asked = thresholds.findLast(({ pattern }) => matches(pattern, metric));
    if (asked !== undefined && asked.unit !== unitOf(measure)) {
      throw new InputError([
        {
          path: "--threshold",
          rule: `changes of ${metric} are written ${JSON.stringify(`2${unitOf(measure)}`)}, not "2${asked.unit}".`,
          fix: "Write 10% for latencies, rates and achieved_ratio, 0.5pp for other ratios, a whole number for counts.",
        },
      ]);
    }
    return asked === undefined ? measure : { ...measure, threshold: asked.value };
  });
}

/** Why a metric is shown but not judged unless it is asked for; undefined when it is judged. */
export function whyOnlyShown(metric: string, runs: readonly RunRecord[]): string | undefined {
  const open = runs.every(({ conditions }) => conditions["workload.arrival.rate"] !== undefined);
  if (writeMetric(metric)?.member !== undefined) {
    return "it is of one member: writes.balance says how even they are";
  }
  if (metric.endsWith(".rate") && open) {
    return "arrival is open, so the load sets it: achieved_ratio says how much of that was served";
  }
  if (metric === "achieved_ratio" && !open) {
    return "arrival is closed, so the rates say it";
  }
  const named = percentileMetric(metric);
  if (named?.percentile === "max") {
    return "the slowest operation of a run is one operation";
  }
  if (named === undefined) {
    return undefined;
  }
  const needed = operationsNeeded(named.percentile);
  const fewest = Math.min(...runs.map((run) => run.operations[named.operation] ?? 0));
  return fewest < needed
    ? `it needs ${formatCount(needed)} operations a run, and one had ${formatCount(fewest)}`
    : undefined;
}
