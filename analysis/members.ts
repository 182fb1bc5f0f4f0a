import type { WholeRun } from "./checks/check.ts";
import type { WorkerData } from "./read.ts";

/** What one member answered in one stretch of time. */
export interface MemberCell {
  /** Answered, well or badly. */
  readonly count: number;
  readonly failed: number;
  /** From the intended time, all answers; null where there was none. */
  readonly p99Ms: number | null;
}

/** One member over the whole run; `ordinal` -1 stands for operations that no member answered. */
export interface MemberRow {
  readonly pod: string;
  readonly group: string;
  readonly ordinal: number;
  readonly count: number;
  readonly failed: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Operations answered for each worker, by index. */
  readonly byWorker: readonly number[];
  /** One a column of the grid. */
  readonly cells: readonly MemberCell[];
}

/** Members by time, every operation counted once: at the member that answered last, when it did. */
export interface MemberGrid {
  /** Start of the first column, ms after the measure phase began; negative in the warm-up. */
  readonly fromMs: number;
  readonly widthMs: number;
  readonly columns: number;
  readonly rows: readonly MemberRow[];
}

const secondMs = 1000;
const nobody = { pod: "no member", group: "", ordinal: -1 };

/**
 * Rates and latency of each member from the event log. Percentiles are exact, by nearest rank.
 *
 * @param maxColumns Runs of more seconds than this are put together in stretches of several seconds.
 */
export function memberGrid(run: WholeRun, maxColumns = 90): MemberGrid {
  const { spec, startAtMs, workers } = run;
  const lastMs = workers.reduce((last, { events }) => Math.max(last, latest(events.completedUs)), 0) - startAtMs;
  const seconds = Math.max(1, Math.ceil((lastMs + 0.001) / secondMs));
  const widthMs = secondMs * Math.ceil(seconds / maxColumns);
  const columns = Math.ceil((seconds * secondMs) / widthMs);
  const members = [...new Map([nobody, ...spec.endpoints].map((one) => [one.ordinal, one])).values()];
  const rowOf = new Map(members.map((member, row) => [member.ordinal, row]));
  const cells = gather(workers, members.length, columns, (endpoint, completedUs) => {
    const column = Math.floor((completedUs / 1000 - startAtMs) / widthMs);
    return { row: rowOf.get(endpoint) ?? 0, column: Math.min(Math.max(column, 0), columns - 1) };
  });
  const rows = members.map(({ pod, group, ordinal }, row) => ({
    pod,
    group,
    ordinal,
    ...rowTotals(cells, row),
    cells: Array.from({ length: columns }, (_, column) => cells.cell(row, column)),
  }));
  return {
    fromMs: -spec.phases.warmupMs,
    widthMs,
    columns,
    rows: rows.filter(({ ordinal, count }) => ordinal >= 0 || count > 0),
  };
}

/** Latencies by cell: one array, cell after cell, each sorted. */
interface Cells {
  readonly cell: (row: number, column: number) => MemberCell;
  readonly row: (row: number) => { readonly latencies: Float64Array; readonly failed: number };
  readonly byWorker: (row: number) => number[];
}

type Place = (endpoint: number, completedUs: number) => { readonly row: number; readonly column: number };

function gather(workers: readonly WorkerData[], rows: number, columns: number, place: Place): Cells {
  const starts = new Uint32Array(rows * columns + 1);
  const failed = new Uint32Array(rows * columns);
  const served = new Uint32Array(rows * workers.length);
  const each = (visit: (at: number, latencyMs: number, ok: boolean, row: number, worker: number) => void): void => {
    for (const [worker, { events }] of workers.entries()) {
      const good = events.outcomes.indexOf("ok");
      for (let index = 0; index < events.rows; index += 1) {
        const completedUs = events.completedUs[index] ?? 0;
        const { row, column } = place(events.endpoint[index] ?? -1, completedUs);
        const latencyMs = (completedUs - (events.intendedUs[index] ?? 0)) / 1000;
        visit(row * columns + column, latencyMs, events.outcome[index] === good, row, worker);
      }
    }
  };
  each((at, _latencyMs, ok, row, worker) => {
    starts[at + 1] = (starts[at + 1] ?? 0) + 1;
    failed[at] = (failed[at] ?? 0) + (ok ? 0 : 1);
    served[row * workers.length + worker] = (served[row * workers.length + worker] ?? 0) + 1;
  });
  for (let at = 1; at < starts.length; at += 1) {
    starts[at] = (starts[at] ?? 0) + (starts[at - 1] ?? 0);
  }
  const next = starts.slice();
  const latencies = new Float64Array(starts.at(-1) ?? 0);
  each((at, latencyMs) => {
    const position = next[at] ?? 0;
    latencies[position] = latencyMs;
    next[at] = position + 1;
  });
  return {
    cell: (row, column) => {
      const at = row * columns + column;
      const own = latencies.subarray(starts[at], starts[at + 1]).sort();
      return { count: own.length, failed: failed[at] ?? 0, p99Ms: nearestRank(own, 0.99) };
    },
    row: (row) => ({
      latencies: latencies.slice(starts[row * columns], starts[(row + 1) * columns]).sort(),
      failed: failed.subarray(row * columns, (row + 1) * columns).reduce((sum, count) => sum + count, 0),
    }),
    byWorker: (row) => [...served.subarray(row * workers.length, (row + 1) * workers.length)],
  };
}

function rowTotals(cells: Cells, row: number): Pick<MemberRow, "count" | "failed" | "p50Ms" | "p99Ms" | "byWorker"> {
  const { latencies, failed } = cells.row(row);
  return {
    count: latencies.length,
    failed,
    p50Ms: nearestRank(latencies, 0.5),
    p99Ms: nearestRank(latencies, 0.99),
    byWorker: cells.byWorker(row),
  };
}

/** Smallest value that a share of all does not exceed, of sorted values. */
const nearestRank = (sorted: Float64Array, share: number): number | null =>
  sorted[Math.ceil(sorted.length * share) - 1] ?? null;

/** Latest instant, ms. */
function latest(completedUs: Float64Array): number {
  return completedUs.reduce((last, us) => Math.max(last, us), 0) / 1000;
}
