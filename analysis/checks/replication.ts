import { isReplicationMetric, type Objective, replicationMetric } from "../../schema/objectives.ts";
import { systems } from "../../schema/systems/index.ts";
import { formatCount, formatMs, formatRatio, plural } from "../format.ts";
import type { WorkerData } from "../read.ts";
import type { Replication } from "../replication.ts";
import { replicationMetrics } from "../replication-summary.ts";
import { operationsNeeded, thresholds } from "../thresholds.ts";
import type { Writes } from "../writes.ts";
import { missedByReturned } from "./away.ts";
import { type Check, type Finding, failure, type WholeRun, warning } from "./check.ts";

const watchFix = "See the gaps in worker.json for what cut the feeds off; run again, or give the drivers more CPU.";

/** Every acknowledged write was followed, and what could not be seen of them decides nothing. */
export const replicationCheck: Check<WholeRun> = {
  check: "replication",
  title: "Was every acknowledged write followed to every member?",
  run: (run) => {
    const { replication } = run;
    if (replication === null) {
      return null;
    }
    const judged = run.objectives.filter(({ metric }) => isReplicationMetric(metric));
    const findings = [
      ...run.workers.flatMap((worker) => uncounted(worker, run)),
      ...undecided(judged, replication, run.writes),
      ...(replication.all.unknown > 0 ? [unseen(run, replication)] : []),
      ...missedByReturned(run, replication),
      ...tooFew(judged, replication),
      ...ownLag(judged, replication, run.workers),
    ];
    const text = `${plural(replication.all.events, "write")} followed to ${plural(replication.members.length, "member")}, each time known to ${formatMs(replication.errorMs)}.`;
    return { findings, text };
  },
};

/** The event log, made apart, has as many acknowledged writes as were followed. */
function uncounted({ index, events, replication, result }: WorkerData, { experiment }: WholeRun): Finding[] {
  const { writes } = systems[experiment.network.system];
  const write = events.operations.map((name) => writes.includes(name));
  const ok = events.outcomes.indexOf("ok");
  let acknowledged = 0;
  for (let row = 0; row < events.rows; row += 1) {
    acknowledged += events.outcome[row] === ok && write[events.operation[row] ?? -1] === true ? 1 : 0;
  }
  const followed = replication?.followed ?? 0;
  return followed === acknowledged && followed === result.replication?.events
    ? []
    : [
        failure(
          `worker ${index} followed ${formatCount(followed)} writes, but ${formatCount(acknowledged)} were acknowledged.`,
          "The driver lost events: report it with the run folder, and do not use this run.",
        ),
      ];
}

/** Objectives that are missed only if what may have been missed really was. */
function undecided(judged: readonly Objective[], replication: Replication, writes: Writes | null): Finding[] {
  const worst = replicationMetrics(replication, writes);
  const best = replicationMetrics(replication, writes, true);
  const met = ({ metric, min, max }: Objective, values: Record<string, number>): boolean => {
    const value = values[metric];
    return value !== undefined && value >= (min ?? value) && value <= (max ?? value);
  };
  return judged
    .filter((objective) => met(objective, worst) !== met(objective, best))
    .map(({ metric }) =>
      failure(
        `the objective on ${metric} hangs on ${plural(replication.all.unknown, "write")} nobody can tell of.`,
        watchFix,
      ),
    );
}

function unseen({ workers }: WholeRun, { all }: Replication): Finding {
  const gaps = workers.flatMap((worker) => worker.result.replication?.members.flatMap((member) => member.gaps) ?? []);
  const why = [...new Set(gaps.map((gap) => gap.why))].slice(0, 3).join("; ");
  return warning(
    `${plural(all.unknown, "write")} of ${formatCount(all.events)} (${formatRatio(all.unknown / all.events)}) may have been missed at a member${why === "" ? "" : `: ${why}`}.`,
    watchFix,
  );
}

function tooFew(judged: readonly Objective[], { all }: Replication): Finding[] {
  return judged.flatMap(({ metric }) => {
    const percentile = replicationMetric(metric)?.percentile;
    const needed = percentile === undefined ? 0 : operationsNeeded(percentile);
    return all.events >= needed
      ? []
      : [
          failure(
            `${metric} is judged on ${plural(all.events, "write")}; it takes ${formatCount(needed)}.`,
            "Measure longer, write more, or judge a lower percentile.",
          ),
        ];
  });
}

/** What the worker, or the feed, made reports wait: it only ever makes times longer, so it can spoil a missed bound only. */
function ownLag(judged: readonly Objective[], replication: Replication, workers: readonly WorkerData[]): Finding[] {
  const lags = workers.flatMap((worker) =>
    (worker.result.replication?.members ?? []).map((member) => member.lagMs?.p99 ?? 0),
  );
  const lagMs = Math.max(0, ...lags);
  if (lagMs <= thresholds.feedLagMs) {
    return [];
  }
  const values = replicationMetrics(replication, null);
  const spoilt = judged.filter(({ metric, max }) => {
    const value = values[metric];
    return value !== undefined && max !== undefined && value > max && lagMs > thresholds.maxOwnShare * value;
  });
  const text = `reports waited ${formatMs(lagMs)} (p99) in the feed or the driver`;
  const fix = "Give the drivers more CPU, or spread the load over more workers.";
  return spoilt.length === 0
    ? [warning(`${text}, which times to replicate contain.`, fix)]
    : spoilt.map(({ metric }) => failure(`the objective on ${metric} is missed, but ${text}.`, fix));
}
