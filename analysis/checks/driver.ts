import type { PercentileName } from "../../schema/objectives.ts";
import type { RunSpec } from "../../schema/run.ts";
import { formatCount, formatMs, formatRatio } from "../format.ts";
import { mergeHistograms, percentilesMs, quantiles } from "../histogram.ts";
import type { WorkerData } from "../read.ts";
import { percentileMetric, thresholds } from "../thresholds.ts";
import { type Check, type Finding, failure, type WholeRun, warning } from "./check.ts";

const relieve = "Lower the rate, add workers (workload.workers), or give the driver more CPU.";

/** The load was offered as planned, and the latencies are the network's, not the driver's. */
export const saturationCheck: Check<WholeRun> = {
  check: "driver-saturated",
  title: "Did the driver keep up with the load it was asked for?",
  run: (run) => {
    const { spec, workers, totals } = run;
    const all = [...totals.values()];
    const offered = all.reduce((sum, operation) => sum + operation.offered, 0);
    const sent = all.reduce((sum, operation) => sum + operation.sent, 0);
    const dropped = all.reduce((sum, operation) => sum + operation.dropped, 0);
    const findings: Finding[] = [...shortfall(spec, offered)];
    if (dropped > 0) {
      findings.push(
        failure(
          `${formatCount(dropped)} of ${formatCount(offered)} operations were never sent: too many were in flight.`,
          `The network answers too slowly for this rate and time-out. ${relieve}`,
        ),
      );
    } else if (offered > 0 && sent / offered < thresholds.minOfferedShare) {
      findings.push(failure(`only ${formatRatio(sent / offered)} of the operations due were sent.`, relieve));
    }
    findings.push(...workers.flatMap((worker) => ownDelay(worker, run)));
    const lateness = Math.max(0, ...workers.map((worker) => latenessOf(worker, 0.99)));
    return {
      findings,
      text: `${formatRatio(offered === 0 ? 0 : sent / offered)} of ${formatCount(offered)} operations due were sent, 99 % of them within ${formatMs(lateness)} of their time.`,
    };
  },
};

/** Open arrival fixes how much is offered; less means the driver fell behind its own schedule. */
function shortfall(spec: RunSpec, offered: number): Finding[] {
  if (spec.arrival.kind !== "open") {
    return [];
  }
  const planned = (spec.arrival.ratePerSecond * spec.phases.measureMs) / 1000;
  const byChance = spec.arrival.process === "poisson" ? thresholds.poissonSigmas * Math.sqrt(planned) : 0;
  // Each worker's schedule may begin or end one operation beside the phase.
  const least = planned * thresholds.minOfferedShare - byChance - spec.workers;
  const most = planned / thresholds.minOfferedShare + byChance + spec.workers;
  return offered < least || offered > most
    ? [
        failure(
          `${formatCount(offered)} operations were offered where the rate plans ${formatCount(planned)}.`,
          relieve,
        ),
      ]
    : [];
}

/** Actual minus intended send time in the measure phase that this share of operations does not exceed, ms. */
function latenessOf({ events }: WorkerData, share: number): number {
  const late: number[] = [];
  for (let row = 0; row < events.rows; row += 1) {
    if (events.measured[row] === 1) {
      late.push(((events.sentUs[row] ?? 0) - (events.intendedUs[row] ?? 0)) / 1000);
    }
  }
  late.sort((a, b) => a - b);
  return late[Math.ceil(late.length * share) - 1] ?? 0;
}

/**
 * How much of a worker's latency the worker made itself: by sending late or, with closed arrival, by noticing answers
 * late. Such delay only ever makes latency look worse. So a bound that is met is met in spite of it and the run stands,
 * with a remark; a bound that is missed may be missed because of it. A driver late by half of what it measures at the
 * median does not offer the load it was asked for, whatever is judged.
 */
function ownDelay(worker: WorkerData, run: WholeRun): Finding[] {
  const operations = Object.values(worker.result.operations);
  const latency = percentilesMs(mergeHistograms(operations.map((operation) => operation.latency)));
  if (latency === null) {
    return [];
  }
  const { what, limitMs, delayMs } = delayOf(worker, run.spec.arrival.kind);
  const share = (percentile: PercentileName): string =>
    `worker ${worker.index} ${what} ${formatMs(delayMs(percentile))} (${percentile}), of a ${percentile} latency of ${formatMs(latency[percentile])}`;
  const excessive = (percentile: PercentileName): boolean =>
    delayMs(percentile) > limitMs && delayMs(percentile) > thresholds.maxOwnShare * latency[percentile];
  if (excessive("p50")) {
    return [failure(`${share("p50")}.`, relieve)];
  }
  const blamed = missedPercentiles(run).filter(({ percentile }) => excessive(percentile));
  if (blamed.length > 0) {
    return blamed.map(({ metric, percentile }) =>
      failure(`the objective on ${metric} is missed, but ${share(percentile)}.`, relieve),
    );
  }
  return excessive("p99")
    ? [warning(`${share("p99")}: that tail is more the driver's than the network's.`, relieve)]
    : [];
}

interface Delay {
  readonly what: string;
  readonly limitMs: number;
  readonly delayMs: (percentile: PercentileName) => number;
}

function delayOf(worker: WorkerData, arrival: RunSpec["arrival"]["kind"]): Delay {
  if (arrival === "open") {
    const delayMs = (percentile: PercentileName): number => latenessOf(worker, quantiles[percentile]);
    return { what: "sent operations late by", limitMs: thresholds.latenessMs, delayMs };
  }
  const { p50, p99, max } = worker.result.health.eventLoopDelayMs;
  // Of the event loop three percentiles are known; the next one out stands for those between.
  const delays = { p50, p90: p99, p95: p99, p99, p999: max, max };
  return {
    what: "noticed answers late by up to",
    limitMs: thresholds.eventLoopDelayMs,
    delayMs: (percentile) => delays[percentile],
  };
}

/** Latency percentiles whose objective is missed. */
function missedPercentiles({ objectives, totals }: WholeRun): { metric: string; percentile: PercentileName }[] {
  return objectives.flatMap(({ metric, max }) => {
    const wanted = percentileMetric(metric);
    const operation = wanted === undefined ? undefined : totals.get(wanted.operation);
    const found = operation === undefined ? null : percentilesMs(operation.latency);
    return wanted !== undefined && found !== null && max !== undefined && found[wanted.percentile] > max
      ? [{ metric, percentile: wanted.percentile }]
      : [];
  });
}

/** Signs of a driver near its limits: they only warn, since what they may lead to is measured by the check above. */
export const busyCheck: Check<WholeRun> = {
  check: "driver-busy",
  title: "Was the driver far from its limits?",
  run: ({ spec, workers }) => {
    const findings: Finding[] = [];
    const measureS = spec.phases.measureMs / 1000;
    for (const { index, result } of workers) {
      const { cpu, eventLoopDelayMs } = result.health;
      if (eventLoopDelayMs.p99 > thresholds.eventLoopDelayMs) {
        findings.push(
          warning(`worker ${index}'s event loop was held up ${formatMs(eventLoopDelayMs.p99)} (p99).`, relieve),
        );
      }
      const used = cpu === null || cpu.limitCores === null ? 0 : cpu.usedSeconds / (cpu.limitCores * measureS);
      if (used > thresholds.maxCpuShare) {
        findings.push(
          warning(
            `worker ${index} used ${formatRatio(used)} of its limit of ${cpu?.limitCores} CPU cores in the measure phase.`,
            relieve,
          ),
        );
      }
      const { maxInFlight, inFlightLimit } = result.health;
      if (spec.arrival.kind === "open" && maxInFlight > thresholds.maxInFlightShare * (inFlightLimit ?? Infinity)) {
        findings.push(
          warning(
            `worker ${index} had ${formatCount(maxInFlight)} operations in flight, of ${formatCount(inFlightLimit ?? 0)} it allows; beyond that it drops them.`,
            relieve,
          ),
        );
      }
      if (cpu !== null && cpu.throttledSeconds > thresholds.maxThrottledShare * measureS) {
        findings.push(
          warning(
            `worker ${index} stood throttled for ${formatRatio(cpu.throttledSeconds / measureS)} of the measure phase.`,
            relieve,
          ),
        );
      }
    }
    const delay = Math.max(0, ...workers.map((worker) => worker.result.health.eventLoopDelayMs.p99));
    const known = workers.flatMap((worker) => worker.result.health.cpu ?? []);
    const most = (values: readonly number[]): number => Math.max(0, ...values);
    const cpuText =
      known.length === 0
        ? "CPU use could not be read"
        : `CPU used ${formatMs(1000 * most(known.map((cpu) => cpu.usedSeconds)))}, throttled ${formatMs(1000 * most(known.map((cpu) => cpu.throttledSeconds)))} of ${formatMs(spec.phases.measureMs)}`;
    return { findings, text: `Event loop delay ${formatMs(delay)} at p99; ${cpuText}.` };
  },
};
