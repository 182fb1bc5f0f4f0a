import { z } from "zod";

/** What an observed run leaves besides its own results: nothing in a verdict rests on it. */
export const tracesVersion = "orrery/traces/v1";
export const metricsVersion = "orrery/metrics/v1";

const attribute = z.union([z.string(), z.number(), z.boolean()]);

const spanSchema = z.strictObject({
  id: z.string(),
  /** Null for the first span of a trace, and where the parent was not kept. */
  parent: z.string().nullable(),
  /** `orrery-driver`, or the service name of a member. */
  service: z.string(),
  operation: z.string(),
  /** Microseconds since 1970, on the clock of the node the span was made on. */
  startUs: z.number(),
  durationUs: z.number().min(0),
  failed: z.boolean(),
  attributes: z.record(z.string(), attribute),
});

/** `traces.json`: operations that were sampled, oldest first; at most {@link tracesKept}. */
export const tracesFileSchema = z.strictObject({
  schema: z.literal(tracesVersion),
  run: z.string(),
  traces: z.array(z.strictObject({ id: z.string(), spans: z.array(spanSchema).min(1) })),
});
export type TracesFile = z.output<typeof tracesFileSchema>;
export type Span = z.output<typeof spanSchema>;

/** Most traces that are kept of a run. */
export const tracesKept = 200;

/** `metrics.json`: what Prometheus saw of pods and nodes during the run. */
export const metricsFileSchema = z.strictObject({
  schema: z.literal(metricsVersion),
  run: z.string(),
  /** Distance of two points. */
  stepMs: z.number().positive(),
  series: z.array(
    z.strictObject({
      /** What it is, e.g. `pod_cpu_cores`; the unit is the last word. */
      name: z.string(),
      /** Whose it is, e.g. `{pod: "kv-0"}`. */
      labels: z.record(z.string(), z.string()),
      /** Milliseconds since 1970 on the cluster's clock, and the value; moments without one are left out. */
      points: z.array(z.tuple([z.number(), z.number()])),
    }),
  ),
});
export type MetricsFile = z.output<typeof metricsFileSchema>;
