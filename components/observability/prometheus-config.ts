import { stringify } from "yaml";
import type { ScrapeJob } from "./names.ts";

const tokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/**
 * The configuration of Prometheus: one job for each kind of pod it reads, and two for the kubelets.
 *
 * Pods are found through the cluster's DNS, nodes through the conductor: Debian's Prometheus has no discovery through
 * the API server, and this way Prometheus need not be allowed to read pods.
 *
 * @param namespace Where the pods are, and whose containers are kept
 * @param nodes URL of the list of kubelets, in the format of Prometheus's HTTP discovery
 */
export function prometheusConfig(namespace: string, jobs: readonly ScrapeJob[], nodes: string): string {
  return stringify(
    {
      global: { scrape_interval: "5s", scrape_timeout: "4s" },
      scrape_configs: [...jobs.map((job) => podJob(namespace, job)), containersJob(namespace, nodes), nodesJob(nodes)],
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}

/** The pods behind a Service's port; the first word of a pod's name in the DNS is the `pod` label. */
function podJob(namespace: string, { name, service, portName, path, honorLabels }: ScrapeJob) {
  return {
    job_name: name,
    metrics_path: path,
    ...(honorLabels === undefined ? {} : { honor_labels: true }),
    dns_sd_configs: [
      {
        names: [`_${portName}._tcp.${service}.${namespace}.svc.cluster.local`],
        type: "SRV",
        refresh_interval: "5s",
      },
    ],
    relabel_configs: [{ source_labels: ["__address__"], regex: "([^.]+)\\..*", target_label: "pod" }],
  };
}

/** Every container of the namespace, and the node as a whole (`id="/"`), from the cAdvisor in each kubelet. */
function containersJob(namespace: string, nodes: string) {
  return {
    job_name: "containers",
    metrics_path: "/metrics/cadvisor",
    ...kubelets(nodes),
    metric_relabel_configs: [
      { source_labels: ["namespace", "id"], separator: ";", regex: `${namespace};.*|;/`, action: "keep" },
    ],
  };
}

/** CPU and memory of each node, as the kubelet counts them. */
function nodesJob(nodes: string) {
  return {
    job_name: "nodes",
    metrics_path: "/metrics/resource",
    ...kubelets(nodes),
    metric_relabel_configs: [{ source_labels: ["__name__"], regex: "node_.*|scrape_error", action: "keep" }],
  };
}

/** Kubelets serve under certificates of their own making almost everywhere, so those are not checked. */
const kubelets = (nodes: string) => ({
  scheme: "https",
  authorization: { credentials_file: tokenFile },
  tls_config: { insecure_skip_verify: true },
  http_sd_configs: [{ url: nodes, refresh_interval: "30s" }],
});
