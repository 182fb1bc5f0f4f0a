import { quorumSeries, type RunSeries, usageSeries } from "./queries.ts";

/** A dashboard as data: a row of panels is a line of titles and queries. */
interface Panel {
  readonly title: string;
  /** PromQL by legend. */
  readonly queries: Readonly<Record<string, string>>;
  /** Grafana's name of the unit. */
  readonly unit: string;
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

const panelOf = ({ title, unit, query, label }: RunSeries): Panel => ({
  title,
  unit,
  queries: { [`{{${label}}}`]: query },
});

/** What every experiment has: the load as the conductor sees it, and what pods and nodes use. */
const run: Dashboard = {
  uid: "orrery-run",
  title: "Run",
  panels: [
    {
      title: "Operations",
      unit: "ops",
      queries: {
        offered: "sum(rate(orrery_worker_offered_total[15s]))",
        completed: "sum(rate(orrery_worker_completed_total[15s]))",
        failed: "sum(rate(orrery_worker_failed_total[15s]))",
      },
    },
    {
      title: "p99 latency of the slowest worker",
      unit: "s",
      queries: { p99: "max(orrery_worker_latency_p99_seconds)" },
    },
    { title: "Operations in flight", unit: "short", queries: { "{{worker}}": "orrery_worker_in_flight" } },
    { title: "Faults applied", unit: "short", queries: { "{{fault}}": "orrery_fault_applied" } },
    ...usageSeries.map(panelOf),
  ],
};

/** The replicated key-value store. */
const kv: Dashboard = {
  uid: "orrery-kv",
  title: "Key-value store",
  panels: [
    {
      title: "Requests by member",
      unit: "reqps",
      queries: { "{{pod}}": "sum by (pod) (rate(orrery_kv_request_seconds_count[15s]))" },
    },
    {
      title: "p99 by operation",
      unit: "s",
      queries: {
        "{{operation}}":
          "histogram_quantile(0.99, sum by (operation, le) (rate(orrery_kv_request_seconds_bucket[15s])))",
      },
    },
    { title: "Leader", unit: "short", queries: { "{{pod}}": 'orrery_kv_role{role="leader"}' } },
    {
      title: "Entries a member is behind",
      unit: "short",
      queries: { "{{pod}}": "scalar(max(orrery_kv_decided_index)) - orrery_kv_applied_index" },
    },
    {
      title: "p99 of a commit, fsync included",
      unit: "s",
      queries: {
        "{{pod}}": "histogram_quantile(0.99, sum by (pod, le) (rate(orrery_kv_fsync_seconds_bucket[15s])))",
      },
    },
    { title: "Log", unit: "bytes", queries: { "{{pod}}": "orrery_kv_log_bytes" } },
  ],
};

/** Nodes of a quorum network. */
const quorum: Dashboard = {
  uid: "orrery-quorum",
  title: "Quorum network",
  panels: [
    { title: "Height", unit: "short", queries: { "{{pod}}": "chain_head_block" } },
    ...quorumSeries.map(panelOf),
  ],
};

/** Every dashboard. A system's own is a line here. */
export const dashboards: readonly Dashboard[] = [run, kv, quorum];

/**
 * Files Grafana is provisioned with: the data source, the provider and each dashboard.
 *
 * @param prometheus Base URL of Prometheus inside the cluster
 * @param folder Where Grafana finds the dashboards
 */
export function grafanaFiles(
  prometheus: string,
  all: readonly Dashboard[],
  folder: string,
): Readonly<Record<string, string>> {
  const datasource = { name: "Prometheus", uid: "prometheus", type: "prometheus", url: prometheus, isDefault: true };
  const provider = { name: "orrery", type: "file", allowUiUpdates: false, options: { path: folder } };
  return {
    "datasources/prometheus.yaml": json({ apiVersion: 1, datasources: [{ ...datasource, access: "proxy" }] }),
    "dashboards/provider.yaml": json({ apiVersion: 1, providers: [provider] }),
    ...Object.fromEntries(all.map((dashboard) => [`dashboards/${dashboard.uid}.json`, json(grafanaModel(dashboard))])),
  };
}

/** Two panels a row, in the order given; Grafana's grid is 24 wide. */
function grafanaModel({ uid, title, panels }: Dashboard) {
  return {
    uid,
    title,
    schemaVersion: 39,
    time: { from: "now-15m", to: "now" },
    refresh: "5s",
    panels: panels.map((panel, index) => ({
      id: index + 1,
      type: "timeseries",
      title: panel.title,
      datasource: { type: "prometheus", uid: "prometheus" },
      gridPos: { x: (index % 2) * 12, y: Math.floor(index / 2) * 8, w: 12, h: 8 },
      fieldConfig: { defaults: { unit: panel.unit, min: 0 }, overrides: [] },
      targets: Object.entries(panel.queries).map(([legend, expr], target) => ({
        refId: String.fromCharCode(65 + target),
        expr,
        legendFormat: legend,
      })),
    })),
  };
}

/** JSON is YAML, so one writer does for both. */
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
