import type { Observe } from "../../schema/observe.ts";
import { collectorConfig, jaegerConfig } from "./collector-config.ts";
import { dashboards, grafanaFiles } from "./dashboards.ts";
import { configPath, dataPath, partNames, ports, type ScrapeJob } from "./names.ts";
import type { Part } from "./part.ts";
import { prometheusConfig } from "./prometheus-config.ts";

const mebibyte = 2 ** 20;

/** Whether anything watches a run at all; the collector is there if so. */
export const isObserved = (observe: Observe): boolean => observe.prometheus || observe.traces !== undefined;

/** Seconds in the words of both Prometheus and the collector. */
const seconds = (milliseconds: number): string => `${Math.round(milliseconds / 1000)}s`;

/**
 * Prometheus: its retention is by time, and by four fifths of its volume so that compaction has room.
 *
 * @param nodesUrl Where the list of kubelets is
 */
export function planPrometheus(
  observe: Observe,
  namespace: string,
  jobs: readonly ScrapeJob[],
  nodesUrl: string,
): Part {
  return {
    name: partNames.prometheus,
    image: "prometheus",
    args: [
      `--config.file=${configPath}/prometheus.yml`,
      `--storage.tsdb.path=${dataPath}`,
      `--storage.tsdb.retention.time=${seconds(observe.retention)}`,
      `--storage.tsdb.retention.size=${Math.floor(observe.storage * 0.8)}B`,
      `--web.listen-address=0.0.0.0:${ports.prometheus}`,
    ],
    environment: {},
    files: { "prometheus.yml": prometheusConfig(namespace, jobs, nodesUrl) },
    ports: { http: ports.prometheus },
    probe: { path: "/-/ready", port: ports.prometheus },
    cpu: 0.1,
    memory: 512 * mebibyte,
    storage: observe.storage,
  };
}

/** The collector: OTLP in; traces go on to Jaeger, metrics wait for Prometheus. */
export function planCollector(observe: Observe): Part {
  const memory = 256 * mebibyte;
  return {
    name: partNames.collector,
    image: "otel-collector",
    args: [`--config=file:${configPath}/collector.yaml`],
    environment: { GOMEMLIMIT: String(Math.floor(memory * 0.8)) },
    files: { "collector.yaml": collectorConfig({ traces: observe.traces !== undefined, memory }) },
    ports: {
      "otlp-grpc": ports.otlpGrpc,
      "otlp-http": ports.otlpHttp,
      metrics: ports.collectorMetrics,
      sent: ports.sentMetrics,
    },
    probe: { path: "/", port: ports.health },
    cpu: 0.05,
    memory,
  };
}

/** Jaeger: spans on its volume for as long as the retention, then gone. */
export function planJaeger(observe: Observe): Part {
  const memory = 768 * mebibyte;
  return {
    name: partNames.jaeger,
    image: "jaeger",
    args: [`--config=file:${configPath}/jaeger.yaml`],
    environment: { GOMEMLIMIT: String(Math.floor(memory * 0.8)) },
    files: { "jaeger.yaml": jaegerConfig(seconds(observe.retention)) },
    ports: { http: ports.jaeger, "otlp-grpc": ports.otlpGrpc },
    probe: { path: "/status", port: ports.health },
    cpu: 0.1,
    memory,
    storage: observe.storage,
  };
}

/** Grafana: anonymous and read-only, with the dashboards of this folder over Prometheus. */
export function planGrafana(namespace: string): Part {
  return {
    name: partNames.grafana,
    image: "grafana",
    args: [],
    environment: {
      GF_PATHS_PROVISIONING: configPath,
      GF_PATHS_DATA: dataPath,
      GF_AUTH_ANONYMOUS_ENABLED: "true",
      GF_AUTH_ANONYMOUS_ORG_ROLE: "Viewer",
      GF_AUTH_DISABLE_LOGIN_FORM: "true",
      GF_ANALYTICS_REPORTING_ENABLED: "false",
      GF_ANALYTICS_CHECK_FOR_UPDATES: "false",
    },
    files: grafanaFiles(
      `http://${partNames.prometheus}.${namespace}.svc.cluster.local:${ports.prometheus}`,
      dashboards,
      `${configPath}/dashboards`,
    ),
    ports: { http: ports.grafana },
    probe: { path: "/api/health", port: ports.grafana },
    cpu: 0.1,
    memory: 256 * mebibyte,
  };
}
