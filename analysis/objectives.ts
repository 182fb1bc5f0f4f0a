import {
  isReplicationMetric,
  metricKind,
  type Objective,
  percentileNames,
  replicationMetric,
  writeMetric,
} from "../schema/objectives.ts";
import type { ObjectiveResult } from "../schema/summary.ts";
import type { WholeRun } from "./checks/check.ts";
import type { Failover } from "./failover.ts";
import { formatMetric, formatMs } from "./format.ts";
import { anchorMetrics, memberRate } from "./held.ts";
import { percentilesMs } from "./histogram.ts";
import { answeredWellBetween } from "./merge.ts";
import { referenceMetrics, referenceOf } from "./reference.ts";
import { replicationMetrics } from "./replication-summary.ts";
import { writeMetrics } from "./writes.ts";

/** Metrics by name, in the unit of their kind (ms, 1/s, ratio, count); one without a value is absent. */
export type Metrics = Readonly<Record<string, number>>;

/**
 * Every metric of schema/objectives.ts that this run gives a value to.
 *
 * - `success_ratio`: answered well by offered, so that operations never sent count against it.
 * - `achieved_ratio`: answered well during the measure phase by offered in it.
 * - `<op>.rate`: answered well during the measure phase, per second.
 * - `<op>.latency.*`: of all answers, failures with their duration.
 * - `failover`: longest over the faults; 0 when none disturbed a write; no value when one was not recovered from.
 * - `reference_ratio`, `reference_rate`: see reference.ts.
 * - `persisted_ratio`, `replicated_ratio`, `replication.*`: see replication-summary.ts; `writes.*`: see writes.ts.
 */
export function metricsOf(run: WholeRun): Metrics {
  const { spec, totals, startAtMs } = run;
  const metrics: Record<string, number> = {};
  const fromMs = startAtMs + spec.phases.warmupMs;
  const toMs = fromMs + spec.phases.measureMs;
  let offered = 0;
  let succeeded = 0;
  let achieved = 0;
  for (const [name, operation] of totals) {
    const done = answeredWellBetween(run.workers, name, fromMs, toMs);
    offered += operation.offered;
    succeeded += operation.succeeded;
    achieved += done;
    metrics[`${name}.rate`] = (done * 1000) / spec.phases.measureMs;
    if (operation.offered > 0) {
      metrics[`${name}.success_ratio`] = operation.succeeded / operation.offered;
    }
    const percentiles = percentilesMs(operation.latency);
    for (const percentile of percentiles === null ? [] : percentileNames) {
      metrics[`${name}.latency.${percentile}`] = percentiles?.[percentile] ?? Number.NaN;
    }
  }
  if (offered > 0) {
    metrics.success_ratio = succeeded / offered;
    metrics.achieved_ratio = achieved / offered;
  }
  const lost = lostWrites(run);
  if (lost !== undefined) {
    metrics.lost_writes = lost;
  }
  const failover = longestFailover(run.failovers);
  if (typeof failover === "number") {
    metrics.failover = failover;
  }
  const held = memberRate(run);
  if (typeof held === "number") {
    metrics.member_rate = held;
  }
  return {
    ...metrics,
    ...anchorMetrics(run),
    ...referenceMetrics(run),
    ...replicationMetrics(run.replication, run.writes),
    ...writeMetrics(run.writes),
  };
}

function lostWrites({ workers }: WholeRun): number | undefined {
  const results = workers.flatMap((worker) => worker.result.durability ?? []);
  return results.length === 0 ? undefined : results.reduce((sum, result) => sum + result.lost, 0);
}

/** The longest failover in ms, or why there is none. */
function longestFailover(failovers: readonly Failover[]): number | string {
  if (failovers.length === 0) {
    return "no fault acted";
  }
  if (failovers.some((failover) => failover.state === "not-recovered")) {
    return "writes were still disturbed when the measure phase ended";
  }
  if (failovers.some((failover) => failover.state === "unknown")) {
    return "too few writes came before the fault to say what is usual";
  }
  return Math.max(...failovers.map((failover) => failover.failoverMs ?? 0));
}

/** Judges each objective; one without a value is not met, and says why. `run` is null when results are damaged. */
export function judgeObjectives(
  objectives: readonly Objective[],
  metrics: Metrics,
  run: WholeRun | null,
): ObjectiveResult[] {
  return objectives.map((objective) => {
    const { metric, kind, min, max } = objective;
    const value = metrics[metric] ?? null;
    const reason = value === null ? whyNoValue(metric, run) : whyMissed(objective, value);
    return {
      metric,
      kind,
      ...(min === undefined ? {} : { min }),
      ...(max === undefined ? {} : { max }),
      value,
      met: reason === undefined,
      ...(reason === undefined ? {} : { reason }),
    };
  });
}

function whyMissed({ kind, min, max }: Objective, value: number): string | undefined {
  if (Number.isNaN(value)) {
    return "the value is no number";
  }
  if (min !== undefined && value < min) {
    return `${formatMetric(kind, value)} is less than ${formatMetric(kind, min)}`;
  }
  return max !== undefined && value > max
    ? `${formatMetric(kind, value)} is more than ${formatMetric(kind, max)}`
    : undefined;
}

function whyNoValue(metric: string, run: WholeRun | null): string {
  if (run === null) {
    return "the results are not whole";
  }
  if (metric === "lost_writes") {
    return "no worker read its writes back";
  }
  if (metric === "failover") {
    const failover = longestFailover(run.failovers);
    return typeof failover === "string" ? failover : "no fault acted";
  }
  if (metric === "member_rate") {
    return String(memberRate(run));
  }
  if (metric === "bad_anchors" || metric === "anchored_ratio") {
    return anchorMetrics(run) === undefined
      ? "no worker looked at anchors: workload.parameters.anchors asks for it"
      : "there were no new documents to look at";
  }
  if (metric === "reference_ratio" || metric === "reference_rate") {
    const reference = referenceOf(run);
    return typeof reference === "string" ? reference : "nobody compared: workload.parameters.reference asks for it";
  }
  if (isReplicationMetric(metric)) {
    return whyNotReplicated(metric, run);
  }
  return metricKind(metric, [...run.totals.keys()]) === undefined
    ? "no such operation was sent"
    : "no operation was answered";
}

function whyNotReplicated(metric: string, { replication }: WholeRun): string {
  if (replication === null) {
    return "replication was not observed";
  }
  if (writeMetric(metric) !== undefined) {
    return "no write was answered";
  }
  const { scope } = replicationMetric(metric) ?? {};
  if (typeof scope === "number" && !replication.members.some(({ endpoint }) => endpoint.ordinal === scope)) {
    return `there is no member ${scope}`;
  }
  return replication.all.events === 0
    ? "no write was acknowledged"
    : `it is over the deadline of ${formatMs(replication.deadlineMs)}`;
}
