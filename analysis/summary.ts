import { randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { RunSpec } from "../schema/run.ts";
import { type Reason, type Summary, summarySchema, summaryVersion } from "../schema/summary.ts";
import { systems } from "../schema/systems/index.ts";
import type { WholeRun } from "./checks/check.ts";
import { clockDriftMs } from "./checks/clock.ts";
import { failovers, judgedOperations } from "./failover.ts";
import { percentilesMs } from "./histogram.ts";
import { operationTotals } from "./merge.ts";
import { noiseFloors } from "./noise.ts";
import { judgeObjectives, type Metrics, metricsOf } from "./objectives.ts";
import { type RunData, readRun, type WorkerData } from "./read.ts";
import { referenceOf } from "./reference.ts";
import { replicationOf } from "./replication.ts";
import { nodesOf, replicationSummary } from "./replication-summary.ts";
import { judgeValidity } from "./validity.ts";
import { verdictOf } from "./verdict.ts";
import { writesOf } from "./writes.ts";

/** A run folder as read, and what was made of it. */
export interface Analysis {
  readonly data: RunData;
  /** Null when results are damaged: then there are reasons, and no numbers. */
  readonly whole: WholeRun | null;
  readonly summary: Summary;
}

/**
 * Reads a run folder, judges it and writes `summary.json` into it, replacing an earlier one in one step.
 *
 * @throws InputError when there is no such folder. Damaged results are no error: they make the run invalid.
 */
export async function analyse(runFolder: string): Promise<Summary> {
  const { summary } = await analyseRun(runFolder);
  await writeAtomically(join(runFolder, "summary.json"), `${JSON.stringify(summary, null, 2)}\n`);
  return summary;
}

/** Reads and judges a run folder without writing anything. */
export async function analyseRun(runFolder: string): Promise<Analysis> {
  const data = await readRun(runFolder);
  const whole = wholeRun(data);
  return { data, whole, summary: summarySchema.parse(summaryOf(data, whole)) };
}

/** Writes a file so that a reader sees the old text or the new, never a part. */
export async function writeAtomically(file: string, text: string): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${randomUUID()}`);
  try {
    await writeFile(temporary, text, { flush: true });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function wholeRun(data: RunData): WholeRun | null {
  const { spec, experiment, conductor, workers } = data;
  if (data.damage.length > 0 || spec === null || experiment === null || conductor === null) {
    return null;
  }
  const { startAtMs } = conductor;
  if (startAtMs === null || workers.length !== spec.workers) {
    return null;
  }
  const measureFromMs = startAtMs + spec.phases.warmupMs;
  const { writes } = systems[experiment.network.system];
  const judged = judgedOperations(Object.keys(spec.operations), writes);
  const whole = {
    spec,
    experiment,
    conductor,
    workers,
    startAtMs,
    objectives: experiment.objectives,
    totals: operationTotals(workers),
    failovers: failovers(workers, conductor.faults, measureFromMs, judged),
    replication: replicationOf(spec, workers),
    writes: spec.replication === undefined ? null : writesOf(spec, workers, writes),
  };
  return { ...whole, noise: noiseFloors(whole) };
}

function summaryOf(data: RunData, whole: WholeRun | null): Summary {
  const { spec, experiment, conductor, environment } = data;
  const folder = resolve(data.folder);
  const metrics: Metrics = whole === null ? {} : metricsOf(whole);
  const objectives = judgeObjectives(experiment?.objectives ?? [], metrics, whole);
  const { reasons, warnings, checks } = judgeValidity(data, whole);
  return {
    schema: summaryVersion,
    run: spec?.run ?? conductor?.run ?? basename(folder),
    experiment: spec?.experiment ?? experiment?.name ?? basename(dirname(folder)),
    system: spec?.system ?? experiment?.network.system ?? "unknown",
    target: environment?.target ?? "unknown",
    started: typeof conductor?.startAtMs === "number" ? new Date(conductor.startAtMs).toISOString() : null,
    verdict: verdictOf(reasons, objectives),
    valid: reasons.length === 0,
    reasons: [...reasons],
    warnings: [...warnings, ...remarks(data, metrics)],
    checks: [...checks],
    objectives,
    metrics: { ...metrics },
    operations: whole === null ? {} : operationsOf(whole, metrics),
    durability: whole === null ? null : durabilityOf(whole),
    ...(whole?.replication
      ? { replication: replicationSummary(whole.replication), nodes: nodesOf(whole.replication, whole.writes) }
      : {}),
    ...referencePart(whole),
    faults: (conductor?.faults ?? []).map((fault, position) => {
      const failover = whole?.failovers[position];
      return {
        ...fault,
        failover_ms: failover?.failoverMs ?? null,
        failover: {
          state: failover?.state ?? "unknown",
          threshold_ms: failover?.thresholdMs ?? null,
          failed: failover?.failed ?? 0,
          delayed: failover?.delayed ?? 0,
        },
      };
    }),
    noise: { ...whole?.noise },
    clocks: (whole?.workers ?? []).map(clockOf),
    phases: spec === null ? null : phasesOf(spec),
    workers: spec?.workers ?? null,
    arrival: spec?.arrival.kind ?? null,
    environment,
  };
}

function referencePart(whole: WholeRun | null): Pick<Summary, "reference"> {
  const reference = whole === null ? undefined : referenceOf(whole);
  return typeof reference === "object" ? { reference } : {};
}

function clockOf({ index, result }: WorkerData): NonNullable<Summary["clocks"]>[number] {
  const { clock, node } = result;
  return {
    worker: index,
    node,
    offset_ms: clock.offsetMs,
    uncertainty_ms: clock.roundTripMs / 2,
    drift_ms: clockDriftMs(result),
    wall_step_ms: clock.wallStepMs ?? null,
  };
}

/** What a reader should know of a run whose numbers can be believed. */
function remarks({ experiment, spec }: RunData, metrics: Metrics): Reason[] {
  const found: Reason[] = [];
  if (experiment !== null && experiment.objectives.length === 0) {
    found.push({
      check: "no-objectives",
      text: "The experiment has no objectives, so the verdict says only that the run is valid.",
      fix: "Write what the network must achieve under objectives.",
    });
  }
  const lost = metrics.lost_writes ?? 0;
  if (lost > 0 && !experiment?.objectives.some((objective) => objective.metric === "lost_writes")) {
    found.push({
      check: "lost-writes",
      text: `${lost} acknowledged writes were lost, and no objective judges that.`,
      fix: "Add the objective {metric: lost_writes, max: 0}.",
    });
  }
  if (spec?.arrival.kind === "closed") {
    found.push({
      check: "closed-arrival",
      text: "Arrival is closed: users wait for answers, so a slow network is sent less and its latencies look better than with open arrival.",
      fix: "Compare this run with closed ones only; give arrival a rate to see what a fixed load would see.",
    });
  }
  return found;
}

function operationsOf({ spec, totals }: WholeRun, metrics: Metrics): Summary["operations"] {
  const seconds = spec.phases.measureMs / 1000;
  return Object.fromEntries(
    [...totals].map(([name, operation]) => [
      name,
      {
        offered: operation.offered,
        dropped: operation.dropped,
        count: operation.succeeded + operation.failed,
        errors: operation.failed,
        errors_by_code: { ...operation.errorsByCode },
        offered_rate: operation.offered / seconds,
        achieved_rate: metrics[`${name}.rate`] ?? 0,
        latency_ms: percentilesMs(operation.latency),
        service_ms: percentilesMs(operation.serviceTime),
      },
    ]),
  );
}

function durabilityOf({ workers }: WholeRun): Summary["durability"] {
  const results = workers.flatMap((worker) => worker.result.durability ?? []);
  if (results.length === 0) {
    return null;
  }
  const total = (pick: (result: (typeof results)[number]) => number): number =>
    results.reduce((sum, result) => sum + pick(result), 0);
  return {
    acknowledged: total((result) => result.acknowledged),
    keys_checked: total((result) => result.keysChecked),
    keys_unread: total((result) => result.keysUnread),
    lost: total((result) => result.lost),
  };
}

const phasesOf = ({ phases }: RunSpec): Summary["phases"] => ({
  warmup_ms: phases.warmupMs,
  measure_ms: phases.measureMs,
  cooldown_ms: phases.cooldownMs,
});
