import type { ScrapeTarget } from "../network-handle.ts";

/** Ports by what answers on them; those of users are the usual ones. */
export const ports = {
  prometheus: 9090,
  jaeger: 16_686,
  grafana: 3000,
  otlpGrpc: 4317,
  otlpHttp: 4318,
  /** The collector's own metrics, and those it was sent, for Prometheus. */
  collectorMetrics: 8888,
  sentMetrics: 8889,
  health: 13_133,
} as const;

/** Names of the parts: of their Service, StatefulSet and image. */
export const partNames = {
  prometheus: "prometheus",
  collector: "otel-collector",
  jaeger: "jaeger",
  grafana: "grafana",
} as const;

/** Where part's configuration and data are in its container. */
export const configPath = "/etc/orrery";
export const dataPath = "/data";

/** What Prometheus reads: the job's name, and which pods on which port. */
export interface ScrapeJob extends ScrapeTarget {
  readonly name: string;
  /** Labels in the samples win over those Prometheus would set: they are of whoever sent them to the collector. */
  readonly honorLabels?: true;
}
