import type { RunStatus } from "../../schema/run.ts";
import type { Run } from "./run.ts";

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
}

const runsMetric: Metric = { name: "orrery_runs", type: "gauge", help: "Runs by state." };
const appliedMetric: Metric = {
  name: "orrery_fault_applied",
  type: "gauge",
  help: "Whether a fault is proved applied.",
};

type Progress = NonNullable<RunStatus["workers"][number]["progress"]>;
const workerMetrics: readonly (Metric & { readonly of: (progress: Progress) => number | null })[] = [
  { name: "orrery_worker_offered_total", type: "counter", help: "Operations due.", of: ({ offered }) => offered },
  {
    name: "orrery_worker_completed_total",
    type: "counter",
    help: "Operations ended.",
    of: ({ completed }) => completed,
  },
  { name: "orrery_worker_failed_total", type: "counter", help: "Operations that failed.", of: ({ failed }) => failed },
  { name: "orrery_worker_in_flight", type: "gauge", help: "Operations in flight.", of: ({ inFlight }) => inFlight },
  {
    name: "orrery_worker_rate",
    type: "gauge",
    help: "Operations ended in the last second.",
    of: (p) => p.ratePerSecond,
  },
  {
    name: "orrery_worker_latency_p99_seconds",
    type: "gauge",
    help: "p99 latency of the last second.",
    of: ({ p99Ms }) => (p99Ms === null ? null : p99Ms / 1000),
  },
];

/** The conductor's state in the Prometheus text format. Run ids, the only label values from outside, need no escapes. */
export function metricsText(runs: readonly Run[]): string {
  const statuses = runs.map((run) => run.status());
  const byState = Map.groupBy(statuses, ({ state }) => state);
  const lines = [
    ...section(
      runsMetric,
      [...byState].map(([state, found]) => ({ labels: { state }, value: found.length })),
    ),
    ...section(
      appliedMetric,
      statuses.flatMap(({ run, faults }) =>
        faults.map(({ index, applied }) => ({ labels: { run, fault: String(index) }, value: applied ? 1 : 0 })),
      ),
    ),
    ...workerMetrics.flatMap((metric) => section(metric, workerSamples(statuses, metric.of))),
  ];
  return `${lines.join("\n")}\n`;
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function workerSamples(statuses: readonly RunStatus[], of: (progress: Progress) => number | null): Sample[] {
  return statuses.flatMap(({ run, workers }) =>
    workers.flatMap(({ index, progress }) => {
      const value = progress === null ? null : of(progress);
      return value === null ? [] : { labels: { run, worker: String(index) }, value };
    }),
  );
}

function section({ name, type, help }: Metric, samples: readonly Sample[]): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(({ labels, value }) => {
      const written = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
      return `${name}{${written.join(",")}} ${value}`;
    }),
  ];
}
