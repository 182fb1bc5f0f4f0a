import { z } from "zod";
import { faultEvidenceSchema, phaseNames } from "./run.ts";

/**
 * What one run leaves behind, `results/<experiment>/<run-id>/`:
 *
 * - `spec.json`: the run spec. `experiment.yaml`: the experiment as written.
 * - `workers/<i>/worker.json` ({@link workerResultSchema}) and `workers/<i>/events.parquet` (one row an operation).
 * - `workers/<i>/replication.parquet` (one row for each acknowledged write and member), where replication was observed.
 * - `conductor.json` ({@link conductorResultSchema}): start instant, workers, fault evidence.
 * - `environment.json` ({@link environmentSchema}).
 * - `traces.json` and `metrics.json` (see observed.ts), where the experiment asked for traces and for Prometheus.
 * - `summary.json` (see summary.ts) and `report.html`, made from the above by analysis/.
 */
export const workerResultVersion = "orrery/worker/v1";
export const conductorResultVersion = "orrery/conductor/v1";

/** Columns of `events.parquet`; times are microseconds since 1970 on the conductor's clock. */
export const eventColumns = [
  { name: "worker", type: "INT32", description: "index of the worker" },
  { name: "operation", type: "STRING", description: "operation name" },
  { name: "phase", type: "STRING", description: "phase of the intended time: warmup or measure" },
  { name: "endpoint", type: "INT32", description: "ordinal of the member that answered last" },
  { name: "intended_us", type: "INT64", description: "when it should have been sent" },
  { name: "sent_us", type: "INT64", description: "when it was sent" },
  { name: "completed_us", type: "INT64", description: "when it was answered or given up" },
  { name: "outcome", type: "STRING", description: "ok, or the error code" },
  { name: "attempts", type: "INT32", description: "members tried" },
] as const;

/**
 * Columns of `replication.parquet`; times as in `events.parquet`, all of one row by one clock. `state`: `seen`;
 * `missing`, not seen within the deadline by a feed that told everything; `unknown`, not seen, but it may have been
 * missed.
 */
export const replicationColumns = [
  { name: "worker", type: "INT32", nullable: false, description: "index of the worker that wrote and watched" },
  { name: "phase", type: "STRING", nullable: false, description: "phase of the intended time: warmup or measure" },
  { name: "event", type: "STRING", nullable: false, description: "name of the write, the same at every member" },
  { name: "accepted_by", type: "INT32", nullable: false, description: "ordinal of the member that acknowledged it" },
  { name: "sent_us", type: "INT64", nullable: false, description: "when the write was sent" },
  { name: "accepted_us", type: "INT64", nullable: false, description: "when its acknowledgement arrived" },
  { name: "member", type: "INT32", nullable: false, description: "ordinal of the member looked at" },
  { name: "not_before_us", type: "INT64", nullable: true, description: "it showed between this and seen_us; or null" },
  { name: "seen_us", type: "INT64", nullable: true, description: "when it showed at the member; null if not seen" },
  { name: "state", type: "STRING", nullable: false, description: "seen, missing or unknown" },
] as const;

/** An HDR histogram, V2 compressed and base64 (hdr-histogram-js `encodeIntoCompressedBase64`), values in µs. */
const histogram = z.base64();

const intervalSchema = z.strictObject({
  /** Start of the interval, ms after the shared start instant. */
  atMs: z.number(),
  /** Operations whose intended time lies in the interval. */
  offered: z.int().min(0),
  /** Operations answered, well or badly, in the interval. */
  completed: z.int().min(0),
  failed: z.int().min(0),
  /** Latency of what completed in the interval, from the intended time. */
  latency: histogram,
});

const operationResultSchema = z.strictObject({
  /** In the measure phase: planned, sent, answered well, failed by error code, never sent (too many in flight). */
  offered: z.int().min(0),
  sent: z.int().min(0),
  succeeded: z.int().min(0),
  errors: z.record(z.string(), z.int().min(0)),
  dropped: z.int().min(0),
  /** From the intended time to the answer, all requests; failed and timed-out ones count with their duration. */
  latency: histogram,
  /** The same, successes only. */
  successLatency: histogram,
  /** From the actual sending to the answer, all requests. */
  serviceTime: histogram,
  /** One per second of the whole run, warm-up included. */
  intervals: z.array(intervalSchema),
});

/** How this worker's acknowledged writes were followed to every member, and how well that could be seen. */
const replicationResultSchema = z.strictObject({
  deadlineMs: z.number().positive(),
  /** Acknowledged writes of the whole run. */
  events: z.int().min(0),
  /** Sightings told again, and events told that no write of this worker claimed. */
  duplicates: z.int().min(0),
  unclaimed: z.int().min(0),
  /** Time the worker spent on taking what the feeds told. */
  busySeconds: z.number().min(0),
  members: z.array(
    z.strictObject({
      ordinal: z.int().min(0),
      /** Events told. */
      reports: z.int().min(0),
      /** Times the feed was opened. */
      streams: z.int().min(0),
      /** Shortest from asking for the feed to its first line; null when it was never opened. */
      roundTripMs: z.number().min(0).nullable(),
      /** What reports waited beyond the shortest way; null where the member does not tell its own time. */
      lagMs: z.strictObject({ p50: z.number(), p99: z.number(), max: z.number() }).nullable(),
      /** Stretches in which events may have been missed; ms since 1970, without an end when it lasted to the end. */
      gaps: z.array(z.strictObject({ fromMs: z.number(), toMs: z.number().nullable(), why: z.string() })),
    }),
  ),
});
export type ReplicationResult = z.output<typeof replicationResultSchema>;

export const workerResultSchema = z.strictObject({
  schema: z.literal(workerResultVersion),
  run: z.string(),
  worker: z.int().min(0),
  pod: z.string(),
  node: z.string(),
  startAtMs: z.number(),
  phases: z.array(z.strictObject({ name: z.enum(phaseNames), startMs: z.number(), endMs: z.number() })),
  /** This worker's clock minus the conductor's, from the exchange with the smallest round trip. */
  clock: z.strictObject({
    offsetMs: z.number(),
    roundTripMs: z.number(),
    /** The same after the measure phase; null where the conductor did not answer, absent in older results. */
    end: z.strictObject({ offsetMs: z.number(), roundTripMs: z.number() }).nullable().optional(),
    /** How far the node's wall clock was set against its monotonic one between the two; absent in older results. */
    wallStepMs: z.number().optional(),
  }),
  operations: z.record(z.string(), operationResultSchema),
  /** The driver's own condition during the measure phase. */
  health: z.strictObject({
    eventLoopDelayMs: z.strictObject({ p50: z.number(), p99: z.number(), max: z.number() }),
    /** Actual minus intended send time. */
    latenessMs: z.strictObject({ p50: z.number(), p99: z.number(), max: z.number() }),
    /** From the container's cgroup; null where it cannot be read. */
    cpu: z
      .strictObject({ usedSeconds: z.number(), throttledSeconds: z.number(), limitCores: z.number().nullable() })
      .nullable(),
    maxInFlight: z.int(),
    /** Most operations it would have let be in flight; absent in older results. */
    inFlightLimit: z.int().optional(),
    /** Before the load: the machine with nothing to do. Absent in older results and where there was no time for it. */
    idle: z
      .strictObject({
        windowMs: z.number(),
        eventLoopDelayMs: z.strictObject({ p50: z.number(), p99: z.number(), max: z.number() }),
        /** Asking the conductor for the time; null where it did not answer. */
        roundTripMs: z.strictObject({ p50: z.number(), p99: z.number(), max: z.number() }).nullable(),
      })
      .optional(),
  }),
  /** Acknowledged writes read back after the load stopped. */
  durability: z
    .strictObject({
      acknowledged: z.int().min(0),
      /** Keys whose final value was read and compared. */
      keysChecked: z.int().min(0),
      /** Keys that could not be read back, with reasons; they prove nothing. */
      keysUnread: z.int().min(0),
      lost: z.int().min(0),
      examples: z.array(
        z.strictObject({ key: z.string(), expected: z.array(z.string()), found: z.string().nullable() }),
      ),
    })
    .nullable(),
  /** Absent where replication was not observed. */
  replication: replicationResultSchema.optional(),
  /**
   * Events each member held at the beginning and the end of the measure phase, null where it did not say, and the time
   * between the two; absent where the system does not tell, or another worker does.
   */
  held: z
    .array(
      z.strictObject({
        ordinal: z.int().min(0),
        before: z.int().min(0).nullable(),
        after: z.int().min(0).nullable(),
        seconds: z.number().min(0),
      }),
    )
    .optional(),
  /** What a sample of the created documents came to; absent where nobody looked. */
  anchors: z
    .strictObject({
      created: z.int().min(0),
      sampled: z.int().min(0),
      /** Not there at the last member, or without an answer from the first. */
      unread: z.int().min(0),
      anchored: z.int().min(0),
      pending: z.int().min(0),
      failed: z.int().min(0),
      notRequested: z.int().min(0),
    })
    .optional(),
  /** The connector beside a sender that only sends, in turns before the load; absent where nobody compared. */
  reference: z
    .strictObject({
      /** Transfers of each window. */
      transfers: z.int().min(1),
      windows: z.array(
        z.strictObject({
          sender: z.enum(["raw", "connector"]),
          /** Until the last transfer was done. */
          seconds: z.number().positive(),
          /** CPU of the driver; what a raw sender signs before is not counted. */
          cpuSeconds: z.number().min(0),
        }),
      ),
      /** Why there are no more windows; absent when all that were begun were completed. */
      problem: z.string().optional(),
    })
    .optional(),
  /** What became of the OpenTelemetry data; absent when none was asked for. It is no part of the measurement. */
  telemetry: z
    .strictObject({
      /** Spans of sampled operations: made, taken by the collector, and lost for want of it or of room. */
      spans: z.strictObject({ made: z.int().min(0), exported: z.int().min(0), lost: z.int().min(0) }),
      /** Metrics are sent every few seconds; sums are cumulative, so a later export makes up for a failed one. */
      metricExports: z.strictObject({ succeeded: z.int().min(0), failed: z.int().min(0) }),
      /** Why the last failed export failed. */
      lastError: z.string().nullable(),
    })
    .optional(),
});
export type WorkerResult = z.output<typeof workerResultSchema>;
export type OperationResult = z.output<typeof operationResultSchema>;

export const conductorResultSchema = z.strictObject({
  schema: z.literal(conductorResultVersion),
  run: z.string(),
  startAtMs: z.number().nullable(),
  workers: z.array(
    z.strictObject({
      index: z.int(),
      pod: z.string().nullable(),
      node: z.string().nullable(),
      joinedAtMs: z.number().nullable(),
      doneAtMs: z.number().nullable(),
    }),
  ),
  faults: z.array(faultEvidenceSchema),
});
export type ConductorResult = z.output<typeof conductorResultSchema>;

/** Where the run took place; kept whole in the summary. */
export const environmentSchema = z.strictObject({
  target: z.string(),
  context: z.string(),
  kubernetes: z.string(),
  nodes: z.array(
    z.strictObject({
      name: z.string(),
      cpu: z.string(),
      memory: z.string(),
      kernel: z.string(),
      os: z.string(),
      runtime: z.string(),
    }),
  ),
  images: z.array(z.strictObject({ name: z.string(), image: z.string(), digest: z.string().nullable() })),
  versions: z.record(z.string(), z.string()),
  kubernetesPlugin: z.enum(["official", "orrery"]),
  networkPolicyEnforced: z.boolean(),
});
export type Environment = z.output<typeof environmentSchema>;
