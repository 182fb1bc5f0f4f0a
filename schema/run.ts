import { z } from "zod";

/**
 * What the driver workers and the conductor are given for one run: the resolved experiment, and where the network
 * is. One JSON document, made from the plan, mounted into both; nothing in it is secret.
 */
export const runSpecVersion = "orrery/run/v1";

export const endpointSchema = z.strictObject({
  /** Role group the member belongs to, e.g. `replica`. */
  group: z.string(),
  ordinal: z.int().min(0),
  /** Pod that serves it. */
  pod: z.string(),
  /** Base URL, e.g. `http://kv-0.kv.kv-local.svc.cluster.local:8080`. */
  url: z.url(),
  /** What else is publicly known of the member: URLs of further interfaces, its public identity. */
  attributes: z.record(z.string(), z.string()).optional(),
});

const arrival = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("open"),
    /** Of all workers together. */
    ratePerSecond: z.number().positive(),
    process: z.enum(["uniform", "poisson"]),
  }),
  z.strictObject({
    kind: z.literal("closed"),
    /** Of all workers together. */
    users: z.int().min(1),
    thinkTimeMs: z.number().min(0),
  }),
]);

/** Where driver and nodes send OpenTelemetry data while a run lasts. */
const telemetry = z.strictObject({
  /** Base URL of an OTLP/HTTP receiver, e.g. `http://otel-collector.kv-local.svc.cluster.local:4318`. */
  endpoint: z.url({ protocol: /^http$/ }),
  /** Share of operations that are traced, 0 to 1. */
  sampleRatio: z.number().min(0).max(1),
  /** Also metrics under Keramik's names, `goose_*`. */
  gooseMetrics: z.boolean(),
});

const faultTarget = z.union([
  z.strictObject({ role: z.string(), count: z.int().min(1) }),
  z.strictObject({ ordinal: z.int().min(0) }),
]);

const podCommand = z.strictObject({ container: z.string(), command: z.array(z.string()).min(1) });
/** A command and the container of a member's pod it is run in. */
export type PodCommand = z.output<typeof podCommand>;

const faultKind = z.enum(["kill", "pause"]);
/** How long it lasts; absent for kinds that happen at once. */
const faultForMs = z.number().positive().optional();

export const plannedFaultSchema = z.strictObject({
  index: z.int().min(0),
  kind: faultKind,
  /** After the measure phase began. */
  atMs: z.number().min(0),
  forMs: faultForMs,
  target: faultTarget,
});

export const runSpecSchema = z.strictObject({
  schema: z.literal(runSpecVersion),
  run: z.string(),
  experiment: z.string(),
  system: z.string(),
  seed: z.int().min(0),
  workers: z.int().min(1),
  /** Weight of each operation. */
  operations: z.partialRecord(z.string(), z.number().positive()),
  arrival,
  phases: z.strictObject({
    warmupMs: z.number().min(0),
    measureMs: z.number().positive(),
    cooldownMs: z.number().min(0),
  }),
  timeoutMs: z.number().positive(),
  /** How long workers may wait after the load before they deliver; absent in older specs. */
  afterLoadMs: z.number().min(0).optional(),
  /** The system's own load parameters, resolved by its schema. */
  parameters: z.record(z.string(), z.unknown()),
  endpoints: z.array(endpointSchema).min(1),
  /** Pods of the network, for faults. */
  pods: z.strictObject({
    namespace: z.string(),
    selector: z.record(z.string(), z.string()),
    /** Command that ends a member's processes by SIGKILL from inside its pod; absent where an image has none. */
    crash: podCommand.optional(),
    /** Command that stops a member's processes and resumes them after as many ms as a last argument says. */
    pause: podCommand.optional(),
  }),
  faults: z.array(plannedFaultSchema),
  /** Acknowledged writes are followed to every member; absent where they are not. */
  replication: z.strictObject({ deadlineMs: z.number().positive() }).optional(),
  conductorUrl: z.url(),
  /** Absent: nothing is sent, and none of the code for it is loaded. */
  telemetry: telemetry.optional(),
});

export type RunSpec = z.output<typeof runSpecSchema>;
export type Endpoint = RunSpec["endpoints"][number];
export type PlannedFault = RunSpec["faults"][number];

/** Longest a connector may compare itself with a raw sender before it joins, ms; workers wait 180 s for each other. */
export const referenceLimitMs = 140_000;

/** Header with the run token; the API server's proxy swallows `Authorization`, so it has a name of its own. */
export const runTokenHeader = "x-orrery-run-token";

/** Phases of a run in order; offsets are milliseconds after the shared start instant. */
export const phaseNames = ["warmup", "measure", "cooldown"] as const;
export type PhaseName = (typeof phaseNames)[number];

/**
 * The conductor's HTTP interface, all below `/v1/runs/<run>` and behind the run token:
 *
 * - `GET  /v1/time` (no token): {@link timeReplySchema}, for the clock offset.
 * - `GET  /v1/nodes` (no token): every kubelet, in the format of Prometheus's HTTP discovery; 500 where the conductor
 *   may not list nodes, which it may when the experiment has Prometheus.
 * - `POST workers/<i>/join` {@link joinRequestSchema}: waits for every worker, answers {@link joinReplySchema}.
 * - `POST workers/<i>/progress` {@link progressSchema}: about once a second, 204.
 * - `PUT  workers/<i>/files/<name>`: raw body, header `x-orrery-sha256`; 201 once it is on the volume and matches.
 * - `POST workers/<i>/done`: 204; every file of this worker is delivered.
 * - `GET  status`: {@link runStatusSchema}.
 * - `GET  files`: {@link fileListSchema}; `GET files/<path>`: raw.
 */
export const joinRequestSchema = z.strictObject({ pod: z.string(), node: z.string() });
export const joinReplySchema = z.strictObject({
  /** Shared start instant of the warm-up, ms since 1970 on the conductor's clock. */
  startAtMs: z.number(),
});
export const timeReplySchema = z.strictObject({ receivedAtMs: z.number(), sentAtMs: z.number() });

export const progressSchema = z.strictObject({
  phase: z.enum(phaseNames),
  /** Operations since the shared start. */
  offered: z.int().min(0),
  completed: z.int().min(0),
  failed: z.int().min(0),
  inFlight: z.int().min(0),
  /** Completed operations per second and p99 latency over the last second; null before there is one. */
  ratePerSecond: z.number().min(0),
  p99Ms: z.number().min(0).nullable(),
});
export type Progress = z.output<typeof progressSchema>;

const observationSchema = z.strictObject({ atMs: z.number(), what: z.string() });

/** Proof that a fault happened: what was asked, what was done, what was seen. Times are ms since 1970, conductor clock. */
export const faultEvidenceSchema = z.strictObject({
  index: z.int().min(0),
  kind: faultKind,
  target: faultTarget,
  forMs: faultForMs,
  plannedAtMs: z.number(),
  actedAtMs: z.number().nullable(),
  /** True only when what was asked for was seen to have happened. */
  applied: z.boolean(),
  /** Why not, when `applied` is false. */
  reason: z.string().optional(),
  members: z.array(
    z.strictObject({
      pod: z.string(),
      ordinal: z.int(),
      role: z.string(),
      uid: z.string(),
      /** Its processes were ended by SIGKILL inside the pod; absent where the pod was only deleted. */
      crashed: z.boolean().optional(),
      /** Its processes were stopped and resumed in the container they had; there for pauses only. */
      paused: z.boolean().optional(),
      /** Killed: its processes were gone (the pod object was). Paused: it no longer answered. */
      goneAtMs: z.number().nullable(),
      /** Null after a pause. */
      replacementUid: z.string().nullable(),
      /** The replacement passed its readiness check; after a pause: it answered again. */
      readyAtMs: z.number().nullable(),
    }),
  ),
  /** Pods that held a role such as leader, before and after; null where nobody answered. */
  leaderBefore: z.string().nullable(),
  leaderAfter: z.string().nullable(),
  leaderAfterAtMs: z.number().nullable(),
  observations: z.array(observationSchema),
});
export type FaultEvidence = z.output<typeof faultEvidenceSchema>;

export const runStatusSchema = z.strictObject({
  run: z.string(),
  state: z.enum(["waiting", "running", "collecting", "complete"]),
  startAtMs: z.number().nullable(),
  nowMs: z.number(),
  workers: z.array(
    z.strictObject({
      index: z.int(),
      joinedAtMs: z.number().nullable(),
      lastSeenAtMs: z.number().nullable(),
      doneAtMs: z.number().nullable(),
      progress: progressSchema.nullable(),
    }),
  ),
  faults: z.array(faultEvidenceSchema),
  /** Why the run cannot end well any more, e.g. a full volume; absent while it can. */
  problem: z.string().optional(),
});
export type RunStatus = z.output<typeof runStatusSchema>;

export const fileListSchema = z.strictObject({
  files: z.array(z.strictObject({ path: z.string(), bytes: z.int(), sha256: z.string() })),
});
