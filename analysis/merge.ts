import type { Histogram } from "hdr-histogram-js";
import type { OperationResult } from "../schema/results.ts";
import { mergeHistograms, percentilesMs } from "./histogram.ts";
import type { WorkerData } from "./read.ts";

/** Counters of an operation over workers; of the measure phase. */
export interface OperationTotals {
  readonly offered: number;
  readonly sent: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly dropped: number;
  readonly errorsByCode: Readonly<Record<string, number>>;
  readonly latency: Histogram;
  readonly serviceTime: Histogram;
}

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) {
    total += value;
  }
  return total;
};

/** Answered badly: all error codes together. */
export const failedOf = (operation: OperationResult): number => sum(Object.values(operation.errors));

/** Totals of every operation any worker knows, in the order of first appearance. */
export function operationTotals(workers: readonly WorkerData[]): Map<string, OperationTotals> {
  const names = new Set(workers.flatMap((worker) => Object.keys(worker.result.operations)));
  const totals = new Map<string, OperationTotals>();
  for (const name of names) {
    const parts = workers.flatMap((worker) => worker.result.operations[name] ?? []);
    const errorsByCode: Record<string, number> = {};
    for (const [code, count] of parts.flatMap((part) => Object.entries(part.errors))) {
      errorsByCode[code] = (errorsByCode[code] ?? 0) + count;
    }
    totals.set(name, {
      offered: sum(parts.map((part) => part.offered)),
      sent: sum(parts.map((part) => part.sent)),
      succeeded: sum(parts.map((part) => part.succeeded)),
      failed: sum(parts.map(failedOf)),
      dropped: sum(parts.map((part) => part.dropped)),
      errorsByCode,
      latency: mergeHistograms(parts.map((part) => part.latency)),
      serviceTime: mergeHistograms(parts.map((part) => part.serviceTime)),
    });
  }
  return totals;
}

/** All workers and operations over one stretch of the run; rates per second, latency of what completed in it. */
export interface TimePoint {
  /** Start, ms after the measure phase began; negative in the warm-up. */
  readonly startMs: number;
  readonly widthMs: number;
  readonly offeredRate: number;
  /** Answered well. */
  readonly achievedRate: number;
  readonly failedRate: number;
  /** Null where nothing completed. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

const intervalMs = 1000;

/**
 * Intervals of all workers as one time series. Runs of more than `maxPoints` seconds are put together in stretches of
 * several seconds, by merging histograms, so that each percentile stays one of all its operations.
 */
export function timeline(
  workers: readonly Pick<WorkerData, "result">[],
  warmupMs: number,
  maxPoints = 600,
): TimePoint[] {
  const intervals = workers.flatMap((worker) =>
    Object.values(worker.result.operations).flatMap((operation) => operation.intervals),
  );
  const lastMs = intervals.reduce((last, interval) => Math.max(last, interval.atMs), 0);
  const widthMs = intervalMs * Math.max(1, Math.ceil((lastMs / intervalMs + 1) / maxPoints));
  const buckets = new Map<number, typeof intervals>();
  for (const interval of intervals) {
    const bucket = Math.floor(interval.atMs / widthMs);
    const known = buckets.get(bucket);
    if (known === undefined) {
      buckets.set(bucket, [interval]);
    } else {
      known.push(interval);
    }
  }
  return [...buckets.entries()]
    .sort(([a], [b]) => a - b)
    .map(([bucket, parts]) => {
      const coveredMs = new Set(parts.map((part) => part.atMs)).size * intervalMs;
      const perSecond = (count: number): number => (count * 1000) / coveredMs;
      const failed = sum(parts.map((part) => part.failed));
      const percentiles = percentilesMs(mergeHistograms(parts.map((part) => part.latency)));
      return {
        startMs: bucket * widthMs - warmupMs,
        widthMs: coveredMs,
        offeredRate: perSecond(sum(parts.map((part) => part.offered))),
        achievedRate: perSecond(sum(parts.map((part) => part.completed)) - failed),
        failedRate: perSecond(failed),
        p50Ms: percentiles?.p50 ?? null,
        p99Ms: percentiles?.p99 ?? null,
      };
    });
}

/** Operations of one name answered well between two instants (ms since 1970), whenever they were intended. */
export function answeredWellBetween(
  workers: readonly WorkerData[],
  name: string,
  fromMs: number,
  toMs: number,
): number {
  let count = 0;
  for (const { events } of workers) {
    const operation = events.operations.indexOf(name);
    const ok = events.outcomes.indexOf("ok");
    for (let row = 0; row < events.rows; row += 1) {
      const completedMs = (events.completedUs[row] ?? 0) / 1000;
      const matches = events.operation[row] === operation && events.outcome[row] === ok;
      count += matches && completedMs >= fromMs && completedMs < toMs ? 1 : 0;
    }
  }
  return count;
}
