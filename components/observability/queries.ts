/** One thing Prometheus can be asked about a run, for dashboards and for what is kept of a run. */
export interface RunSeries {
  /** Name in `metrics.json`. */
  readonly name: string;
  readonly title: string;
  /** Grafana's name of the unit. */
  readonly unit: string;
  /** PromQL; one series for each value of `label`. */
  readonly query: string;
  readonly label: string;
}

const containers = 'container!="",container!="POD"';

/** What every experiment has, whatever its network: the use of its pods and nodes. */
export const usageSeries: readonly RunSeries[] = [
  {
    name: "pod_cpu_cores",
    title: "CPU by pod",
    unit: "short",
    query: `sum by (pod) (rate(container_cpu_usage_seconds_total{${containers}}[30s]))`,
    label: "pod",
  },
  {
    name: "pod_cpu_throttled_ratio",
    title: "Throttled share of the time, by pod",
    unit: "percentunit",
    query: `sum by (pod) (rate(container_cpu_cfs_throttled_seconds_total{${containers}}[30s]))`,
    label: "pod",
  },
  {
    name: "pod_memory_bytes",
    title: "Memory by pod",
    unit: "bytes",
    query: `sum by (pod) (container_memory_working_set_bytes{${containers}})`,
    label: "pod",
  },
  {
    name: "pod_received_bytes_per_second",
    title: "Received by pod",
    unit: "Bps",
    query: 'sum by (pod) (rate(container_network_receive_bytes_total{pod!=""}[30s]))',
    label: "pod",
  },
  {
    name: "node_cpu_cores",
    title: "Cores in use by node",
    unit: "short",
    query: "sum by (node) (rate(node_cpu_usage_seconds_total[30s]))",
    label: "node",
  },
  {
    name: "node_memory_bytes",
    title: "Memory in use by node",
    unit: "bytes",
    query: "sum by (node) (node_memory_working_set_bytes)",
    label: "node",
  },
];

/** What nodes of a quorum network tell by geth's own metrics; empty for other networks. */
export const quorumSeries: readonly RunSeries[] = [
  {
    name: "quorum_block_seconds",
    title: "Time between blocks by node",
    unit: "s",
    query: "1 / (deriv(chain_head_block[30s]) > 0.001)",
    label: "pod",
  },
  {
    name: "quorum_round_changes",
    title: "Round changes by node (ibft)",
    unit: "short",
    query: "consensus_istanbul_core_round",
    label: "pod",
  },
  {
    // Of qbft GoQuorum 22.7.4 counts no rounds: startNewRound compares the new one with itself. Messages it does count.
    name: "quorum_round_change_messages",
    title: "Round-change messages by node that received them (qbft)",
    unit: "short",
    query: "p2p_ingress_istanbul_100_0x15_packets or 0 * p2p_peers",
    label: "pod",
  },
  {
    name: "quorum_reorganisations",
    title: "Blocks given up for others by node",
    unit: "short",
    query: "chain_reorg_drop",
    label: "pod",
  },
  {
    name: "quorum_txpool_transactions",
    title: "Transactions that wait for a block, by node",
    unit: "short",
    query: "txpool_pending + txpool_queued",
    label: "pod",
  },
  { name: "quorum_peers", title: "Peers by node", unit: "short", query: "p2p_peers", label: "pod" },
];
