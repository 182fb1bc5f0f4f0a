import type { OperationResult } from "../../schema/results.ts";
import { formatCount, formatMs, plural } from "../format.ts";
import { decodeHistogram, percentilesMs } from "../histogram.ts";
import type { WorkerData } from "../read.ts";
import { operationsNeeded, percentileMetric, thresholds } from "../thresholds.ts";
import { type Check, type Finding, failure, type WholeRun, warning } from "./check.ts";

/** Three records of the same operations, made apart: counters, histograms and the event log. */
export const agreementCheck: Check<WholeRun> = {
  check: "events-disagree",
  title: "Do counters, histograms and event log tell the same story?",
  run: ({ workers }) => {
    const rows = workers.reduce((sum, worker) => sum + worker.events.rows, 0);
    const findings = workers.flatMap((worker) => {
      const names = new Set([...Object.keys(worker.result.operations), ...worker.events.operations]);
      return [...names].flatMap((name) => disagreements(worker, name));
    });
    return { findings, text: `${formatCount(rows)} events agree with the counters and the histograms.` };
  },
};

const disagreementFix = "The driver miscounted or lost events: report it with the run folder, and do not use this run.";

function disagreements(worker: WorkerData, name: string): Finding[] {
  const counted = worker.result.operations[name];
  const where = `worker ${worker.index}, ${name}`;
  if (counted === undefined) {
    return [failure(`${where}: there are events but no counters.`, disagreementFix)];
  }
  const { outcomes, latenciesUs } = measuredEvents(worker, name);
  const differ = (what: string, counter: number, found: number): Finding[] =>
    counter === found
      ? []
      : [
          failure(
            `${where}: ${formatCount(counter)} ${what} by the counters, ${formatCount(found)} by the ${what === "recorded latencies" ? "histogram" : "events"}.`,
            disagreementFix,
          ),
        ];
  const failed = Object.entries(counted.errors);
  const answered = counted.succeeded + failed.reduce((sum, [, count]) => sum + count, 0);
  const codes = new Set([...outcomes.keys(), ...failed.map(([code]) => code)]);
  codes.delete("ok");
  return [
    ...differ("operations offered", counted.offered, counted.sent + counted.dropped),
    ...differ("operations sent", counted.sent, latenciesUs.length),
    ...differ("operations answered", answered, latenciesUs.length),
    ...differ("successes", counted.succeeded, outcomes.get("ok") ?? 0),
    ...[...codes].flatMap((code) => differ(`errors "${code}"`, counted.errors[code] ?? 0, outcomes.get(code) ?? 0)),
    ...histogramDisagreements(counted, where, answered, latenciesUs, differ),
  ];
}

function histogramDisagreements(
  counted: OperationResult,
  where: string,
  answered: number,
  latenciesUs: readonly number[],
  differ: (what: string, counter: number, found: number) => Finding[],
): Finding[] {
  const histogram = decodeHistogram(counted.latency);
  const totals = [
    ...differ("recorded latencies", answered, histogram.totalCount),
    ...differ("recorded latencies", counted.succeeded, decodeHistogram(counted.successLatency).totalCount),
    ...differ("recorded latencies", answered, decodeHistogram(counted.serviceTime).totalCount),
  ];
  const sorted = [...latenciesUs].sort((a, b) => a - b);
  const exact = (sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0) / 1000;
  const recorded = percentilesMs(histogram)?.p99 ?? 0;
  // One µs of rounding on either side, and the width of a histogram bucket.
  const slackMs = 0.002 + exact * thresholds.histogramResolution;
  return totals.length > 0 || Math.abs(recorded - exact) <= slackMs
    ? totals
    : [
        failure(
          `${where}: p99 is ${formatMs(recorded)} by the histogram, ${formatMs(exact)} by the events.`,
          disagreementFix,
        ),
      ];
}

function measuredEvents(
  { events }: WorkerData,
  name: string,
): { outcomes: Map<string, number>; latenciesUs: number[] } {
  const operation = events.operations.indexOf(name);
  const outcomes = new Map<string, number>();
  const latenciesUs: number[] = [];
  for (let row = 0; row < events.rows; row += 1) {
    if (events.operation[row] === operation && events.measured[row] === 1) {
      const outcome = events.outcomes[events.outcome[row] ?? -1] ?? "";
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      latenciesUs.push((events.completedUs[row] ?? 0) - (events.intendedUs[row] ?? 0));
    }
  }
  return { outcomes, latenciesUs };
}

/** Enough operations lie beyond every percentile an objective judges. */
export const sampleCheck: Check<WholeRun> = {
  check: "too-few-operations",
  title: "Were there enough operations for what is judged?",
  run: ({ objectives, totals, writes }) => {
    const all = [...totals.values()].reduce((sum, operation) => sum + operation.latency.totalCount, 0);
    const findings: Finding[] = [];
    if (all === 0) {
      findings.push(
        failure("no operation was answered in the measure phase.", "See that the network serves, and measure longer."),
      );
    }
    const judged = new Set(objectives.map((objective) => objective.metric));
    for (const metric of all === 0 ? [] : judged) {
      const wanted = percentileMetric(metric);
      if (wanted === undefined) {
        continue;
      }
      const needed = operationsNeeded(wanted.percentile);
      const together = wanted.operation === "writes" ? writes?.count : undefined;
      const count = together ?? totals.get(wanted.operation)?.latency.totalCount ?? 0;
      if (count < needed) {
        findings.push(
          failure(
            `the objective on ${metric} rests on ${plural(count, "operation")}; it needs ${formatCount(needed)}, so that ${thresholds.minBeyondPercentile} lie beyond it.`,
            "Measure longer (workload.phases.measure), raise the rate or the operation's weight, or judge a lower percentile.",
          ),
        );
      }
    }
    return { findings, text: `${formatCount(all)} operations were measured, enough for every percentile judged.` };
  },
};

/** Every key that was written could be read back, where lost writes are counted. */
export const durabilityCheck: Check<WholeRun> = {
  check: "durability-unread",
  title: "Could every write be read back?",
  run: ({ workers, objectives }) => {
    const results = workers.flatMap((worker) => worker.result.durability ?? []);
    if (results.length === 0) {
      return null;
    }
    const judged = objectives.some((objective) => objective.metric === "lost_writes");
    const say = judged ? failure : warning;
    const fix =
      "See that the network serves at the end of the run, or lengthen workload.phases.cooldown; then run again.";
    const findings: Finding[] = [];
    if (results.length < workers.length) {
      findings.push(say(`${plural(workers.length - results.length, "worker")} did not read its writes back.`, fix));
    }
    const total = (pick: (result: (typeof results)[number]) => number): number =>
      results.reduce((sum, result) => sum + pick(result), 0);
    const unread = total((result) => result.keysUnread);
    const checked = total((result) => result.keysChecked);
    const acknowledged = total((result) => result.acknowledged);
    if (unread > 0) {
      findings.push(say(`${plural(unread, "key")} could not be read back; what was written there may be lost.`, fix));
    } else if (acknowledged > 0 && checked === 0) {
      findings.push(say("writes were acknowledged, but no key was read back.", fix));
    }
    return {
      findings,
      text: `${plural(acknowledged, "acknowledged write")} compared on ${plural(checked, "key")}.`,
    };
  },
};

/** Outages as short as the objective allows could be seen at all, above the noise of the undisturbed network. */
export const failoverCheck: Check<WholeRun> = {
  check: "failover-unclear",
  title: "Could an outage be told from noise?",
  run: ({ objectives, failovers }) => {
    if (failovers.length === 0) {
      return null;
    }
    const bounds = objectives.flatMap((objective) =>
      objective.metric === "failover" && objective.max !== undefined ? objective.max : [],
    );
    const strictest = Math.min(...bounds);
    const coarsest = Math.max(0, ...failovers.map((failover) => failover.thresholdMs ?? 0));
    const findings: Finding[] = [];
    if (failovers.some((failover) => failover.state === "unknown")) {
      const say = bounds.length > 0 ? failure : warning;
      findings.push(
        say(
          "failover is unknown: too few writes came before the fault to say what is usual.",
          "Start the fault later, or raise the rate of writes.",
        ),
      );
    }
    if (coarsest > strictest) {
      findings.push(
        failure(
          `outages under ${formatMs(coarsest)} do not stand out from this run's noise, but failover is to be at most ${formatMs(strictest)}.`,
          "Run on a less busy machine, or lower the rate, so that latency before the fault is steadier.",
        ),
      );
    }
    return { findings, text: `Writes slower than ${formatMs(coarsest)} stand out.` };
  },
};
