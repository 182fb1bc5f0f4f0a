import type { WholeRun } from "./checks/check.ts";

/** Requests of one operation in the measure phase. */
export interface RequestRow {
  readonly operation: string;
  /** Answered, well or badly. */
  readonly requests: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Null when nothing was answered. */
  readonly successPercent: number | null;
  readonly perSecond: { readonly requests: number; readonly succeeded: number; readonly failed: number };
}

/** One point of an operation's duration curve. */
export interface DurationRow {
  readonly operation: string;
  /** Share of requests that took at most this long. */
  readonly share: number;
  readonly latencyMs: number;
  readonly serviceMs: number;
}

/** The numbers of Keramik's analysis notebook; see the queries of the same names in sql/queries.ts. */
export interface KeramikTables {
  readonly durationS: number;
  readonly requests: readonly RequestRow[];
  readonly durations: readonly DurationRow[];
}

/** The percentiles Keramik reports. */
const shares = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999] as const;

/** Makes the tables from counters and merged histograms: percentiles are exact to 1/1024. */
export function keramikTables({ spec, totals }: WholeRun): KeramikTables {
  const durationS = spec.phases.measureMs / 1000;
  const requests = [...totals].map(([operation, { succeeded, failed }]): RequestRow => {
    const all = succeeded + failed;
    return {
      operation,
      requests: all,
      succeeded,
      failed,
      successPercent: all === 0 ? null : (100 * succeeded) / all,
      perSecond: { requests: all / durationS, succeeded: succeeded / durationS, failed: failed / durationS },
    };
  });
  const durations = [...totals].flatMap(([operation, { latency, serviceTime }]) =>
    latency.totalCount === 0
      ? []
      : shares.map(
          (share): DurationRow => ({
            operation,
            share,
            latencyMs: latency.getValueAtPercentile(share * 100) / 1000,
            serviceMs: serviceTime.getValueAtPercentile(share * 100) / 1000,
          }),
        ),
  );
  return { durationS, requests, durations };
}
