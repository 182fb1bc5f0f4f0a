import type { Experiment } from "../../schema/experiment.ts";
import { type Endpoint, type PodCommand, type RunSpec, referenceLimitMs, runSpecVersion } from "../../schema/run.ts";

/** Where a run takes place: what the network and the conductor say of themselves. */
export interface RunPlace {
  readonly namespace: string;
  readonly endpoints: readonly Endpoint[];
  readonly podSelector: Readonly<Record<string, string>>;
  readonly crash?: PodCommand | undefined;
  readonly pause?: PodCommand | undefined;
  readonly conductorUrl: string;
  /** Where drivers send OpenTelemetry data, if anywhere. */
  readonly telemetry?: Pick<NonNullable<RunSpec["telemetry"]>, "endpoint" | "sampleRatio"> | undefined;
}

/** What drivers and conductor are given for one run. */
export function planRun(experiment: Experiment, run: string, place: RunPlace): RunSpec {
  const { workload } = experiment;
  const { replication } = experiment.observe;
  return {
    schema: runSpecVersion,
    run,
    experiment: experiment.name,
    system: experiment.network.system,
    seed: experiment.seed,
    workers: workload.workers,
    operations: workload.operations,
    arrival:
      "rate" in workload.arrival
        ? { kind: "open", ratePerSecond: workload.arrival.rate, process: workload.arrival.process }
        : { kind: "closed", users: workload.arrival.users, thinkTimeMs: workload.arrival.thinkTime },
    phases: {
      warmupMs: workload.phases.warmup,
      measureMs: workload.phases.measure,
      cooldownMs: workload.phases.cooldown,
    },
    timeoutMs: workload.timeout,
    afterLoadMs: afterLoadMs(experiment),
    parameters: { ...workload.parameters },
    endpoints: [...place.endpoints],
    pods: {
      namespace: place.namespace,
      selector: { ...place.podSelector },
      ...(place.crash === undefined ? {} : { crash: place.crash }),
      ...(place.pause === undefined ? {} : { pause: place.pause }),
    },
    faults: experiment.faults.map((fault, index) => ({
      index,
      kind: fault.kind,
      atMs: fault.at,
      ...("for" in fault ? { forMs: fault.for } : {}),
      target: "ordinal" in fault.target ? { ordinal: fault.target.ordinal } : { ...fault.target },
    })),
    ...(replication === undefined ? {} : { replication: { deadlineMs: replication.deadline } }),
    conductorUrl: place.conductorUrl,
    ...(place.telemetry === undefined
      ? {}
      : { telemetry: { ...place.telemetry, gooseMetrics: experiment.observe.goose } }),
  };
}

/** Allowed for looking at a sample of documents twice. */
const lookMs = 120_000;
/** Seconds allowed for pulling images, meeting at the barrier, reading back written keys and delivering results. */
const overheadSeconds = 240;

/**
 * Longest a run may take, in seconds: what drivers do before the load, its phases, the last operation's time-out, what
 * drivers wait for after the load, and a fixed overhead.
 */
export function runDeadlineSeconds(experiment: Experiment): number {
  const { phases, timeout } = experiment.workload;
  const load = phases.warmup + phases.measure + phases.cooldown + timeout;
  return Math.ceil((beforeLoadMs(experiment) + load + afterLoadMs(experiment)) / 1000) + overheadSeconds;
}

/** How long one driver may compare itself with a raw sender while the others wait. */
const beforeLoadMs = ({ workload: { parameters } }: Experiment): number =>
  "reference" in parameters && parameters.reference !== undefined ? referenceLimitMs : 0;

/** How long drivers may wait after the load: until writes show everywhere, and for anchors. */
function afterLoadMs({ observe, workload: { parameters } }: Experiment): number {
  const anchors = "anchors" in parameters ? parameters.anchors : undefined;
  return (observe.replication?.deadline ?? 0) + (anchors === undefined ? 0 : anchors.wait * 1000 + lookMs);
}
