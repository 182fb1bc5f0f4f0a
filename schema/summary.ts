import { z } from "zod";
import { environmentSchema } from "./results.ts";
import { faultEvidenceSchema } from "./run.ts";

/** Version of summary.json; fields are only ever added to it. */
export const summaryVersion = "orrery/summary/v1";

const percentilesMs = z.strictObject({
  p50: z.number(),
  p90: z.number(),
  p95: z.number(),
  p99: z.number(),
  p999: z.number(),
  max: z.number(),
});

/** Times to replicate; null where the percentile is over the deadline, or there was no event. */
const spreadMs = z.strictObject({
  p50: z.number().nullable(),
  p90: z.number().nullable(),
  p95: z.number().nullable(),
  p99: z.number().nullable(),
  p999: z.number().nullable(),
  max: z.number().nullable(),
});

export const verdicts = ["pass", "fail", "invalid"] as const;
export type Verdict = (typeof verdicts)[number];

/** Why a run, or part of it, cannot be believed, and what to do about it. */
export const reasonSchema = z.strictObject({
  /** Stable name of the check, e.g. `driver-saturated`. */
  check: z.string(),
  text: z.string(),
  fix: z.string(),
});
export type Reason = z.output<typeof reasonSchema>;

export const objectiveResultSchema = z.strictObject({
  metric: z.string(),
  kind: z.enum(["duration", "ratio", "rate", "count"]),
  min: z.number().optional(),
  max: z.number().optional(),
  /** In the unit of its kind; null when the run gave no value. */
  value: z.number().nullable(),
  met: z.boolean(),
  /** Why it is not met; absent when it is. */
  reason: z.string().optional(),
});
export type ObjectiveResult = z.output<typeof objectiveResultSchema>;

/** One validity check and how it went. */
export const checkResultSchema = z.strictObject({
  /** Stable name, as in {@link reasonSchema}. */
  check: z.string(),
  /** The question it answers. */
  title: z.string(),
  /** `skipped`: it could not be made, because results are damaged or it does not apply. */
  outcome: z.enum(["passed", "warned", "failed", "skipped"]),
  /** What was measured. */
  text: z.string(),
});
export type CheckResult = z.output<typeof checkResultSchema>;

export const summarySchema = z.strictObject({
  schema: z.literal(summaryVersion),
  run: z.string(),
  experiment: z.string(),
  system: z.string(),
  target: z.string(),
  /** When the load started, ISO 8601 UTC; null when it never did. */
  started: z.iso.datetime().nullable(),
  verdict: z.enum(verdicts),
  valid: z.boolean(),
  /** Why the run is not valid; empty when it is. */
  reasons: z.array(reasonSchema),
  /** True remarks that do not make the run invalid. */
  warnings: z.array(reasonSchema),
  /** Every validity check, passed ones included. */
  checks: z.array(checkResultSchema),
  objectives: z.array(objectiveResultSchema),
  /** Every metric that has a value, in the unit of its kind. */
  metrics: z.record(z.string(), z.number()),
  /** Of the measure phase; empty when results are damaged. */
  operations: z.record(
    z.string(),
    z.strictObject({
      /** Planned by the drivers, by intended time, and of these never sent. */
      offered: z.int(),
      dropped: z.int(),
      /** Answered operations, failed ones included. */
      count: z.int(),
      errors: z.int(),
      errors_by_code: z.record(z.string(), z.int()),
      /** Per second of the measure phase: intended in it; answered well in it, whenever intended. */
      offered_rate: z.number(),
      achieved_rate: z.number(),
      /** From the intended send time, all requests, merged over workers. */
      latency_ms: percentilesMs.nullable(),
      /** From the actual send time. */
      service_ms: percentilesMs.nullable(),
    }),
  ),
  durability: z
    .strictObject({
      acknowledged: z.int(),
      keys_checked: z.int(),
      keys_unread: z.int(),
      lost: z.int(),
    })
    .nullable(),
  /** How acknowledged writes of the measure phase spread; absent where it was not observed. */
  replication: z
    .strictObject({
      /** After its acknowledgement, a write was to show at every member within this. */
      deadline_ms: z.number(),
      /** Acknowledged writes, and of these the ones of which some member may have been missed. */
      events: z.int(),
      unknown: z.int(),
      /** Showed at the member that acknowledged them; at every member within the deadline. Unknown ones count against it. */
      persisted_ratio: z.number().nullable(),
      replicated_ratio: z.number().nullable(),
      /** From the acknowledgement until a write showed at every member, and at a majority. */
      all_ms: spreadMs,
      majority_ms: spreadMs,
      /** Members that make a majority. */
      majority: z.int(),
      /** Every time above may be off by this much, to either side. */
      error_ms: z.number(),
    })
    .optional(),
  /** The same for each member; absent where it was not observed. */
  nodes: z
    .array(
      z.strictObject({
        group: z.string(),
        ordinal: z.int(),
        pod: z.string(),
        /** Writes it acknowledged, and the share of these that showed at it; null without any. */
        accepted: z.int(),
        persisted_ratio: z.number().nullable(),
        /** Share of all acknowledged writes that showed at it within the deadline. */
        replicated_ratio: z.number().nullable(),
        unknown: z.int(),
        replication_ms: spreadMs,
        /** Writes of the measure phase that it answered; absent in older summaries. */
        writes: z
          .strictObject({
            count: z.int(),
            /** Answered well: per second, and as a share of all answers; null without any. */
            rate: z.number(),
            success_ratio: z.number().nullable(),
            /** From the intended send time, all answers. */
            latency_ms: percentilesMs.nullable(),
          })
          .optional(),
      }),
    )
    .optional(),
  faults: z.array(
    faultEvidenceSchema.extend({
      /** From the act to the first write acknowledged after the last failed or delayed one; null when none was disturbed. */
      failover_ms: z.number().nullable(),
      failover: z.strictObject({
        /** `none`: no write was disturbed; `not-recovered`: until the end of the run; `unknown`: nothing can be said. */
        state: z.enum(["none", "recovered", "not-recovered", "unknown"]),
        /** Slower writes count as disturbed; shorter outages are not seen. */
        threshold_ms: z.number().nullable(),
        /** Disturbed writes: answered badly, answered late. */
        failed: z.int(),
        delayed: z.int(),
      }),
    }),
  ),
  /** The connector beside a sender that only sends, before the load; absent where the run did not ask for it. */
  reference: z
    .strictObject({
      /** Windows of each of the two, and transfers of each window. */
      windows: z.int(),
      transfers: z.int(),
      /** Transfers per second, and CPU of the driver for each, in ms; medians of the windows. */
      raw: z.strictObject({ rate: z.number(), cpu_ms: z.number() }),
      connector: z.strictObject({ rate: z.number(), cpu_ms: z.number() }),
      /** Rate of the connector by that of the raw sender. */
      ratio: z.number(),
    })
    .optional(),
  /** How far chance alone moves a metric (95 %), in its unit; absent for metrics with too few operations. */
  noise: z.record(z.string(), z.number()).optional(),
  /** Each worker's clock minus the conductor's; empty when results are damaged, absent in older summaries. */
  clocks: z
    .array(
      z.strictObject({
        worker: z.int(),
        node: z.string(),
        offset_ms: z.number(),
        /** The offset is known to within this. */
        uncertainty_ms: z.number(),
        /** Change of the offset from before the run to after the measure phase; null where it was not measured. */
        drift_ms: z.number().nullable(),
        wall_step_ms: z.number().nullable(),
      }),
    )
    .optional(),
  /** These three are null when the run spec is damaged. */
  phases: z.strictObject({ warmup_ms: z.number(), measure_ms: z.number(), cooldown_ms: z.number() }).nullable(),
  workers: z.int().nullable(),
  arrival: z.enum(["open", "closed"]).nullable(),
  environment: environmentSchema.nullable(),
});
export type Summary = z.output<typeof summarySchema>;
