import { z } from "zod";
import { reasonSchema } from "./summary.ts";

/** Version of comparison.json; fields are only ever added to it. */
export const comparisonVersion = "orrery/comparison/v1";
/** Version of a stored baseline. */
export const baselineVersion = "orrery/baseline/v1";

/** What comparing keeps of a run: one value a metric, and what the run must share with those it is compared with. */
export const runRecordSchema = z.strictObject({
  experiment: z.string(),
  run: z.string(),
  /** ISO 8601 UTC; null when unknown. */
  started: z.iso.datetime().nullable(),
  /** In the unit of the metric's kind; null where it is worse than could be measured, e.g. a failover without end. */
  values: z.record(z.string(), z.number().nullable()),
  /** Answered operations of the measure phase by name. */
  operations: z.record(z.string(), z.int().min(0)),
  /** What must be equal for a comparison to mean anything, by path, as JSON text. */
  conditions: z.record(z.string(), z.string()),
  /** What should be equal, the same way. */
  surroundings: z.record(z.string(), z.string()),
  /** Digest or reference of each image; usually what a comparison is about. */
  images: z.record(z.string(), z.string()),
});
export type RunRecord = z.output<typeof runRecordSchema>;

const runReferenceSchema = z.strictObject({ experiment: z.string(), run: z.string() });

const sideSchema = z.strictObject({
  /** Name of the stored baseline; absent for runs. */
  name: z.string().optional(),
  runs: z.array(runReferenceSchema),
  /** Image references of these runs by image name; several where the runs differ. */
  images: z.record(z.string(), z.array(z.string())),
});

/** Values of one metric over the runs of a side; null where they are worse than could be measured. */
const spreadSchema = z.strictObject({
  runs: z.int(),
  median: z.number().nullable(),
  min: z.number().nullable(),
  max: z.number().nullable(),
});

/**
 * `worse`, `better`: surely different, and by as much as matters. `no-worse`: a worsening that matters is ruled out.
 * `unclear`: neither. `shown`: not judged, `why` says why.
 */
export const findings = ["worse", "unclear", "no-worse", "better", "shown"] as const;
export type Finding = (typeof findings)[number];

const metricComparisonSchema = z.strictObject({
  metric: z.string(),
  kind: z.enum(["duration", "ratio", "rate", "count"]),
  better: z.enum(["lower", "higher"]),
  finding: z.enum(findings),
  /** Why it is not judged, or was judged without a test. */
  why: z.string().optional(),
  baseline: spreadSchema,
  candidate: spreadSchema,
  /** Hodges-Lehmann shift in the metric's unit; null when it has no bounds. */
  difference: z.number().nullable(),
  /** Of `change`, `interval` and `threshold`: shares of the baseline, or the metric's own unit. */
  scale: z.enum(["relative", "absolute"]),
  /** Candidate against baseline: 0.1 is 10 % more, or 0.1 more. Null when it has no bounds. */
  change: z.number().nullable(),
  /** Bootstrap interval of `change`; null with too few runs; a null bound is infinite. */
  interval: z.strictObject({ low: z.number().nullable(), high: z.number().nullable() }).nullable(),
  /** A worsening by this much or more matters. */
  threshold: z.number(),
  /** Share of pairs of runs in which the candidate's is higher less that in which it is lower. */
  cliffs_delta: z.number(),
  /** Mann-Whitney, two-sided; and corrected over the judged metrics. */
  p: z.number(),
  p_corrected: z.number(),
  /** Estimated further runs a side to settle an unclear finding; null when it is not, or no sensible number does. */
  more_runs: z.int().nullable(),
});
export type MetricComparison = z.output<typeof metricComparisonSchema>;

/** `invalid`: runs among them are, so nothing was compared. */
export const comparisonOutcomes = ["pass", "regression", "inconclusive", "invalid"] as const;
export type ComparisonOutcome = (typeof comparisonOutcomes)[number];

export const comparisonSchema = z.strictObject({
  schema: z.literal(comparisonVersion),
  outcome: z.enum(comparisonOutcomes),
  baseline: sideSchema,
  candidate: sideSchema,
  metrics: z.array(metricComparisonSchema),
  /** Probability of calling anything a change when nothing changed. */
  alpha: z.number(),
  /** Tests the p-values were corrected for. */
  tests: z.int(),
  /** Further runs a side that would probably settle every unclear metric; null when none is, or none would. */
  more_runs: z.int().nullable(),
  /** Invalid runs; they are never compared. */
  left_out: z.array(
    runReferenceSchema.extend({ side: z.enum(["baseline", "candidate"]), checks: z.array(z.string()) }),
  ),
  /** What a reader should know before believing it. */
  warnings: z.array(reasonSchema),
});
export type Comparison = z.output<typeof comparisonSchema>;

/** A stored baseline: `baselines/<name>.json`. It holds all a comparison needs, so its runs may go. */
export const baselineSchema = z.strictObject({
  schema: z.literal(baselineVersion),
  name: z.string(),
  /** When it was set, ISO 8601 UTC. */
  set: z.iso.datetime(),
  runs: z.array(runRecordSchema).min(1),
  /** Latency of the measure phase by operation, all runs merged: an HDR histogram of µs as in worker.json. */
  latency: z.record(z.string(), z.base64()),
  /** All operations over time, a mean run: rates per second, latency of all runs merged. */
  timeline: z.array(
    z.strictObject({
      /** After the measure phase began; negative in the warm-up. */
      startMs: z.number(),
      widthMs: z.number(),
      offeredRate: z.number(),
      achievedRate: z.number(),
      failedRate: z.number(),
      p50Ms: z.number().nullable(),
      p99Ms: z.number().nullable(),
    }),
  ),
});
export type Baseline = z.output<typeof baselineSchema>;
