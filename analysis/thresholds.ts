import { type PercentileName, percentileNames } from "../schema/objectives.ts";
import { quantiles } from "./histogram.ts";

/**
 * Where each check draws its line. A check *fails* a run only on a measured consequence: load that was not offered,
 * latency the driver made itself, evidence that is missing. Signs that often go with trouble, such as CPU throttling,
 * *warn*: a shared two-core machine that runs cluster and driver shows them in perfectly good runs.
 */
export const thresholds = {
  /** Share of the planned load that must be offered, and of the offered load sent: 1 % is below what a rate shows. */
  minOfferedShare: 0.99,
  /** Poisson arrival: the count itself varies by its square root; five of these is one false alarm in a million. */
  poissonSigmas: 5,
  /** Delay in sending up to this is not looked at; Node paces in steps of 1 ms, a busy machine in slices of several. */
  latenessMs: 10,
  /** The driver's own delay may be this share of a percentile; beyond it the number is more its than the network's. */
  maxOwnShare: 0.5,
  /** Event loop delay at p99: answers wait this long to be noticed. */
  eventLoopDelayMs: 20,
  /** Reports of a feed may wait this long (p99) in it and in the driver; the same step as the event loop's. */
  feedLagMs: 20,
  /** Share of the measure phase the driver stood throttled by its CPU limit. */
  maxThrottledShare: 0.05,
  /** Share of its CPU limit a driver may use, and of the operations it may have in flight, before it is near its end. */
  maxCpuShare: 0.9,
  maxInFlightShare: 0.8,
  /** A connector that gets less than this share of what a raw sender does through is the bottleneck. */
  minReferenceRatio: 0.8,
  /** The clock offset is known to half the round trip; 5 ms is noticed, 100 ms moves fault marks visibly. */
  clockRoundTripWarnMs: 5,
  clockRoundTripMs: 100,
  /** A clock that moved by more than this during the run, or by this share of a failover bound, moved what is judged. */
  clockMovedMs: 50,
  clockShareOfBound: 0.1,
  /** Rounding between the clocks and documents of one worker. */
  clockSlackMs: 1,
  /** A worker's phases may differ from the plan by this much. */
  phaseSlackMs: 250,
  /** Answers may come this long after the last time-out; a later one is a clock that jumped. */
  lateAnswerSlackMs: 10_000,
  /** A fault may act this long after its time. */
  faultDelayMs: 1_000,
  /** A paused member may answer again this long after it was to. */
  pauseOverrunMs: 1_000,
  /** Operations beyond a judged percentile: with 10, the p99 of a run lies between the true p98.4 and p99.6 (95 %). */
  minBeyondPercentile: 10,
  /** Recomputing p99 from events must give the histogram's within its resolution. */
  histogramResolution: 1 / 1024,
} as const;

/** Operations needed before an objective may judge a percentile; the largest value needs one. */
export function operationsNeeded(percentile: PercentileName): number {
  return percentile === "max" ? 1 : Math.round(thresholds.minBeyondPercentile / (1 - quantiles[percentile]));
}

/** The percentile a metric such as `put.latency.p99` names, with its operation; undefined for other metrics. */
export function percentileMetric(metric: string): { operation: string; percentile: PercentileName } | undefined {
  const [operation, family, name] = metric.split(".");
  const percentile = percentileNames.find((known) => known === name);
  return operation !== undefined && family === "latency" && percentile !== undefined
    ? { operation, percentile }
    : undefined;
}
