import { eventColumns, replicationColumns } from "../../schema/results.ts";

/** A column of a table that `orrery sql` offers. */
export interface SqlColumn {
  readonly name: string;
  readonly type: "BIGINT" | "INTEGER" | "DOUBLE" | "VARCHAR" | "BOOLEAN";
  readonly description: string;
}

const run: SqlColumn = { name: "run", type: "VARCHAR", description: "run id" };
const worker: SqlColumn = { name: "worker", type: "INTEGER", description: "index of the worker" };
const column = (name: string, type: SqlColumn["type"], description: string): SqlColumn => ({ name, type, description });

/** Columns of a parquet file as DuckDB sees them. */
const fromParquet = (
  columns: readonly { readonly name: string; readonly type: string; readonly description: string }[],
) =>
  columns.map(({ name, type, description }) =>
    column(name, type === "STRING" ? "VARCHAR" : type === "INT64" ? "BIGINT" : "INTEGER", description),
  );

/** Every table of `orrery sql`. Times ending in `_us` are µs since 1970 on the conductor's clock. */
export const sqlTables = {
  runs: {
    description: "One row a run.",
    columns: [
      run,
      column("experiment", "VARCHAR", "name of the experiment"),
      column("system", "VARCHAR", "system under test"),
      column("seed", "BIGINT", "root of every random choice"),
      column("workers", "INTEGER", "driver workers"),
      column("arrival", "VARCHAR", "open or closed"),
      column("started_us", "BIGINT", "shared start of the warm-up"),
      column("measure_from_us", "BIGINT", "start of the measure phase"),
      column("measure_to_us", "BIGINT", "its end, exclusive"),
    ],
  },
  events: {
    description: "One row an operation, warm-up included (`workers/<i>/events.parquet`).",
    columns: [
      run,
      ...fromParquet(eventColumns),
      column("latency_us", "BIGINT", "completed_us - intended_us: what a user waited"),
      column("service_us", "BIGINT", "completed_us - sent_us: what a driver that waits for answers would report"),
    ],
  },
  workers: {
    description: "One row a worker: its place, its clock and its own condition in the measure phase.",
    columns: [
      run,
      worker,
      column("pod", "VARCHAR", "its pod"),
      column("node", "VARCHAR", "where the pod ran"),
      column("clock_offset_ms", "DOUBLE", "its clock minus the conductor's"),
      column("clock_round_trip_ms", "DOUBLE", "round trip of that exchange; the offset is known to half of it"),
      column("clock_drift_ms", "DOUBLE", "change of the offset until after the measure phase; null if not measured"),
      column("event_loop_delay_p99_ms", "DOUBLE", "event loop delay, p99"),
      column("lateness_p99_ms", "DOUBLE", "actual minus intended send time, p99"),
      column("cpu_used_s", "DOUBLE", "CPU time; null where the cgroup cannot be read"),
      column("cpu_throttled_s", "DOUBLE", "time it stood throttled by its CPU limit"),
      column("cpu_limit_cores", "DOUBLE", "CPU limit; null without one"),
      column("max_in_flight", "INTEGER", "most operations under way at once"),
      column("lost_writes", "INTEGER", "acknowledged writes found lost; null where nobody looked"),
    ],
  },
  operations: {
    description: "One row a worker and operation: counters of the measure phase.",
    columns: [
      run,
      worker,
      column("operation", "VARCHAR", "operation name"),
      column("offered", "BIGINT", "due in the measure phase"),
      column("sent", "BIGINT", "sent"),
      column("succeeded", "BIGINT", "answered well"),
      column("failed", "BIGINT", "answered badly, timed out included"),
      column("dropped", "BIGINT", "never sent: too many were in flight"),
    ],
  },
  faults: {
    description: "One row a fault and member it hit; one with null members when it hit nobody.",
    columns: [
      run,
      column("fault", "INTEGER", "index in the experiment"),
      column("kind", "VARCHAR", "kind of fault"),
      column("planned_us", "BIGINT", "when it was to act"),
      column("acted_us", "BIGINT", "when it acted; null if it did not"),
      column("applied", "BOOLEAN", "what was asked for was seen to have happened"),
      column("pod", "VARCHAR", "member that was hit"),
      column("ordinal", "INTEGER", "its ordinal"),
      column("role", "VARCHAR", "its role at that moment"),
      column("gone_us", "BIGINT", "its processes were gone"),
      column("ready_us", "BIGINT", "its replacement was ready"),
    ],
  },
  replication: {
    description:
      "One row an acknowledged write and member (`workers/<i>/replication.parquet`); empty where not observed.",
    columns: [run, ...fromParquet(replicationColumns)],
  },
} as const satisfies Readonly<Record<string, { description: string; columns: readonly SqlColumn[] }>>;

export type SqlTable = keyof typeof sqlTables;
