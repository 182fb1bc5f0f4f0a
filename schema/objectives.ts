import { z } from "zod";
import { parseDuration, parseRate } from "./units.ts";

/** What a metric's numbers are, and so how its bounds are written and resolved. */
export type MetricKind = "duration" | "ratio" | "rate" | "count";

export const percentileNames = ["p50", "p90", "p95", "p99", "p999", "max"] as const;
export type PercentileName = (typeof percentileNames)[number];

const wholeRunMetrics: Readonly<Record<string, MetricKind>> = {
  success_ratio: "ratio",
  achieved_ratio: "ratio",
  lost_writes: "count",
  failover: "duration",
  persisted_ratio: "ratio",
  replicated_ratio: "ratio",
  member_rate: "rate",
  bad_anchors: "count",
  anchored_ratio: "ratio",
  reference_ratio: "ratio",
  reference_rate: "rate",
};

/** What a `replication` metric is about: a majority, one member by its ordinal, or, without a name, every member. */
const replicationScope = /^(majority|0|[1-9]\d{0,3})$/;

/**
 * The parts of a metric of time-to-replicate, `replication[.<majority|ordinal>].<percentile>`; undefined for others.
 */
export function replicationMetric(
  metric: string,
): { scope: "all" | "majority" | number; percentile: PercentileName } | undefined {
  const [family, ...rest] = metric.split(".");
  const percentile = percentileNames.find((name) => name === rest.at(-1));
  if (family !== "replication" || percentile === undefined || rest.length > 2) {
    return undefined;
  }
  const [scope] = rest;
  if (rest.length === 1 || scope === undefined) {
    return { scope: "all", percentile };
  }
  return replicationScope.test(scope) ? { scope: scope === "majority" ? scope : Number(scope), percentile } : undefined;
}

/** Whether a metric has a value only where replication is observed. */
export function isReplicationMetric(metric: string): boolean {
  return (
    metric === "persisted_ratio" ||
    metric === "replicated_ratio" ||
    replicationMetric(metric) !== undefined ||
    writeMetric(metric) !== undefined
  );
}

const writeForms: readonly (readonly [RegExp, MetricKind])[] = [
  [/^writes(\.(0|[1-9]\d{0,3}))?\.rate$/, "rate"],
  [/^writes(\.(0|[1-9]\d{0,3}))?\.(success|persisted)_ratio$/, "ratio"],
  [new RegExp(`^writes(\\.(0|[1-9]\\d{0,3}))?\\.latency\\.(${percentileNames.join("|")})$`), "duration"],
  [/^writes\.balance$/, "ratio"],
];

/** A metric of all writes, or of those one member answered: its kind and the member; undefined for others. */
export function writeMetric(metric: string): { readonly kind: MetricKind; readonly member?: number } | undefined {
  const found = writeForms.find(([form]) => form.test(metric));
  const [, member] = /^writes\.(\d+)\./.exec(metric) ?? [];
  return found === undefined
    ? undefined
    : { kind: found[1], ...(member === undefined ? {} : { member: Number(member) }) };
}

/**
 * The kind of a metric name, or undefined when no such metric exists. All are of the measure phase.
 *
 * `success_ratio` (answered well by offered), `achieved_ratio` (answered well in the phase by offered), `lost_writes`,
 * `failover` (longest recovery after a fault), and per operation `<op>.success_ratio`, `<op>.rate` (answered well per
 * second) and `<op>.latency.<p50|p90|p95|p99|p999|max>` (from the intended send time).
 *
 * Where replication is observed, of acknowledged writes: `persisted_ratio` (showed at the member that acknowledged
 * them), `replicated_ratio` (showed at every member within the deadline), and how long after the acknowledgement they
 * showed at every member, `replication.<percentile>`, at a majority, `replication.majority.<percentile>`, and at one
 * member, `replication.<ordinal>.<percentile>`. There also all writes together, and those one member answered:
 * `writes[.<ordinal>].rate`, `.success_ratio`, `.persisted_ratio` (of all that were answered, well or badly, those that
 * the member acknowledged and showed) and `.latency.<percentile>`; `writes.balance` is the rate of the member that took
 * fewest by that of the one that took most.
 *
 * `member_rate` is how many events per second the member that gained fewest came to hold; `bad_anchors` how many of the
 * looked-at new documents were not there or had an anchor that failed; `anchored_ratio` the share of them that had one.
 * These need a system that can tell.
 *
 * `reference_rate` is what a sender that does nothing but send got through per second before the load, and
 * `reference_ratio` what the connector did, by that; both where the run asks for it.
 */
export function metricKind(metric: string, operations: readonly string[]): MetricKind | undefined {
  const whole = wholeRunMetrics[metric];
  if (whole !== undefined) {
    return whole;
  }
  if (replicationMetric(metric) !== undefined) {
    return "duration";
  }
  const write = writeMetric(metric);
  if (write !== undefined) {
    return write.kind;
  }
  const [operation, family, percentile, ...rest] = metric.split(".");
  if (operation === undefined || !operations.includes(operation) || rest.length > 0) {
    return undefined;
  }
  if (family === "latency") {
    return percentileNames.some((name) => name === percentile) ? "duration" : undefined;
  }
  if (percentile !== undefined) {
    return undefined;
  }
  return family === "success_ratio" ? "ratio" : family === "rate" ? "rate" : undefined;
}

/** Every metric of a system with these operations, written short, for messages and editors. */
function metricForms(operations: readonly string[]): string[] {
  const operation = `<${operations.join("|")}>`;
  return [
    ...Object.keys(wholeRunMetrics),
    `${operation}.success_ratio`,
    `${operation}.rate`,
    `${operation}.latency.<${percentileNames.join("|")}>`,
    `replication[.<majority|ordinal>].<${percentileNames.join("|")}>`,
    `writes[.<ordinal>].<rate|success_ratio|persisted_ratio|latency.<${percentileNames.join("|")}>>`,
    "writes.balance",
  ];
}

const writtenBound = z.union([z.string(), z.number()]);

function resolveBound(kind: MetricKind, written: string | number): number | undefined {
  switch (kind) {
    case "duration":
      return typeof written === "string" ? parseDuration(written) : undefined;
    case "rate":
      return typeof written === "string" ? parseRate(written) : undefined;
    case "ratio":
      return typeof written === "number" && written >= 0 && written <= 1 ? written : undefined;
    case "count":
      return typeof written === "number" && Number.isInteger(written) && written >= 0 ? written : undefined;
  }
}

const boundExamples: Readonly<Record<MetricKind, string>> = {
  duration: '"50ms"',
  rate: '"500/s"',
  ratio: "a number from 0 to 1",
  count: "a whole number",
};

/** Objectives over the metrics of a system with these operations; bounds resolve to ms, 1/s, ratio or count. */
export const objectiveSchema = (operations: readonly string[]) =>
  z
    .strictObject({
      metric: z.string().meta({
        description: "What is judged.",
        examples: [...Object.keys(wholeRunMetrics), `${operations[0]}.latency.p99`],
      }),
      min: writtenBound.optional().meta({ description: "Lowest value that passes.", examples: [0.999, "500/s"] }),
      max: writtenBound.optional().meta({ description: "Highest value that passes.", examples: ["50ms", 0] }),
    })
    .transform((written, context) => {
      const kind = metricKind(written.metric, operations);
      if (kind === undefined) {
        context.addIssue({
          code: "custom",
          path: ["metric"],
          message: `no metric "${written.metric}"; there are ${metricForms(operations).join(", ")}`,
        });
        return z.NEVER;
      }
      if (written.min === undefined && written.max === undefined) {
        context.addIssue({
          code: "custom",
          message: "an objective without bounds judges nothing; give min, max or both",
        });
        return z.NEVER;
      }
      const bounds: { min?: number; max?: number } = {};
      for (const side of ["min", "max"] as const) {
        const bound = written[side];
        if (bound === undefined) {
          continue;
        }
        const resolved = resolveBound(kind, bound);
        if (resolved === undefined) {
          context.addIssue({
            code: "custom",
            path: [side],
            message: `${JSON.stringify(bound)} does not bound ${written.metric}; write ${boundExamples[kind]}`,
          });
          return z.NEVER;
        }
        bounds[side] = resolved;
      }
      return { metric: written.metric, kind, ...bounds };
    });

/** A resolved objective: bounds in the canonical unit of its kind (ms, events per second, ratio, count). */
export type Objective = z.output<ReturnType<typeof objectiveSchema>>;
