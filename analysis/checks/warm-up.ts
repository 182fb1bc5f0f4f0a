import type { PercentileName } from "../../schema/objectives.ts";
import { formatCount, formatMs } from "../format.ts";
import { quantiles } from "../histogram.ts";
import { type Steadiness, steadiness } from "../steady.ts";
import { percentileMetric } from "../thresholds.ts";
import { type Check, type Finding, failure, type WholeRun, warning } from "./check.ts";

/** The warm-up did something, and the network had settled when measuring began. */
export const warmupCheck: Check<WholeRun> = {
  check: "warm-up",
  title: "Was the network warmed up, and settled when measuring began?",
  run: (run) => {
    const warm = answeredInWarmup(run);
    const found = steadiness(run);
    const steady =
      found === null
        ? "too few operations came before the first fault to say whether latency had settled"
        : `latency had settled from the first of the ${formatMs(found.lookedMs)} looked at`;
    return {
      findings: [...cold(warm), ...(found === null ? [] : unsettled(run, found))],
      text: `${formatCount(warm)} operations were answered in ${formatMs(run.spec.phases.warmupMs)} of warm-up; ${steady}.`,
    };
  },
};

function answeredInWarmup({ workers }: WholeRun): number {
  return workers.reduce((sum, { events }) => {
    let answered = 0;
    const ok = events.outcomes.indexOf("ok");
    for (let row = 0; row < events.rows; row += 1) {
      answered += events.measured[row] === 0 && events.outcome[row] === ok ? 1 : 0;
    }
    return sum + answered;
  }, 0);
}

const cold = (warm: number): Finding[] =>
  warm > 0
    ? []
    : [
        warning(
          "no operation was answered in the warm-up, so connections and caches were cold when measuring began.",
          "Warm up for some seconds (workload.phases.warmup).",
        ),
      ];

/** An unsettled beginning makes the run invalid where it decides an objective, and is remarked on where it does not. */
function unsettled(run: WholeRun, { settledMs, lookedMs, beforeMs, afterMs }: Steadiness): Finding[] {
  if (settledMs === 0) {
    return [];
  }
  const text = `the first ${formatMs(settledMs)} of the measure phase were unlike the rest: latency was ${formatMs(beforeMs)} at the median, afterwards ${formatMs(afterMs)}`;
  const seconds = Math.ceil((run.spec.phases.warmupMs + settledMs) / 1000);
  const never = settledMs >= lookedMs / 2;
  const fix = `Lengthen workload.phases.warmup to at least ${seconds}s${never ? ", more where latency still moves then: half of what was looked at is as much as can be told" : ""}.`;
  const decided = decidedByBeginning(run, settledMs);
  return decided.length === 0
    ? [warning(`${text}.`, fix)]
    : decided.map(({ metric, met }) =>
        failure(`${text}. Without them the objective on ${metric} would be ${met ? "missed" : "met"}.`, fix),
      );
}

/** Latency objectives that come out otherwise without the beginning. */
function decidedByBeginning(run: WholeRun, settledMs: number): { metric: string; met: boolean }[] {
  return run.objectives.flatMap(({ metric, min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }) => {
    const wanted = percentileMetric(metric);
    const [all, rest] = [0, settledMs].map((fromMs) =>
      wanted === undefined ? null : percentileFrom(run, wanted.operation, wanted.percentile, fromMs),
    );
    if (all == null || rest == null) {
      return [];
    }
    const met = all >= min && all <= max;
    return met === (rest >= min && rest <= max) ? [] : [{ metric, met }];
  });
}

/** A latency percentile (ms) of what was due this long after the measure phase began, or later; null of nothing. */
function percentileFrom(run: WholeRun, name: string, percentile: PercentileName, fromMs: number): number | null {
  const fromUs = (run.startAtMs + run.spec.phases.warmupMs + fromMs) * 1000;
  const latencies: number[] = [];
  for (const { events } of run.workers) {
    const operation = events.operations.indexOf(name);
    for (let row = 0; row < events.rows; row += 1) {
      const dueUs = events.intendedUs[row] ?? 0;
      if (events.operation[row] === operation && events.measured[row] === 1 && dueUs >= fromUs) {
        latencies.push(((events.completedUs[row] ?? 0) - dueUs) / 1000);
      }
    }
  }
  latencies.sort((a, b) => a - b);
  return latencies[Math.ceil(latencies.length * quantiles[percentile]) - 1] ?? null;
}
