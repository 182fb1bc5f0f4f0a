import { stringify } from "yaml";
import { dataPath, partNames, ports } from "./names.ts";

const everywhere = (port: number) => `0.0.0.0:${port}`;

/** Own metrics of a collector, and of Jaeger, which is one. */
const telemetry = {
  metrics: {
    readers: [{ pull: { exporter: { prometheus: { host: "0.0.0.0", port: ports.collectorMetrics } } } }],
  },
} as const;

const otlp = {
  protocols: {
    grpc: { endpoint: everywhere(ports.otlpGrpc) },
    http: { endpoint: everywhere(ports.otlpHttp) },
  },
} as const;

/**
 * The collector's configuration. Metrics stay readable for an hour after they were last sent, so that those of a
 * driver that has ended are scraped.
 *
 * @param settings.memory Bytes its container may use
 */
export function collectorConfig(settings: { readonly traces: boolean; readonly memory: number }): string {
  const processors = ["memory_limiter", "batch"];
  return stringify({
    extensions: { health_check: { endpoint: everywhere(ports.health) } },
    receivers: { otlp },
    processors: {
      memory_limiter: {
        check_interval: "1s",
        limit_mib: Math.floor((settings.memory * 0.8) / 2 ** 20),
        spike_limit_mib: Math.floor((settings.memory * 0.2) / 2 ** 20),
      },
      batch: { timeout: "1s" },
    },
    exporters: {
      prometheus: { endpoint: everywhere(ports.sentMetrics), metric_expiration: "1h" },
      ...(settings.traces
        ? { otlp_grpc: { endpoint: `${partNames.jaeger}:${ports.otlpGrpc}`, tls: { insecure: true } } }
        : {}),
    },
    service: {
      extensions: ["health_check"],
      telemetry,
      pipelines: {
        metrics: { receivers: ["otlp"], processors, exporters: ["prometheus"] },
        ...(settings.traces ? { traces: { receivers: ["otlp"], processors, exporters: ["otlp_grpc"] } } : {}),
      },
    },
  });
}

/**
 * Jaeger's configuration: spans in a Badger store on its volume.
 *
 * @param retention How long spans are kept, e.g. `86400s`
 */
export function jaegerConfig(retention: string): string {
  const store = "spans";
  return stringify({
    extensions: {
      healthcheckv2: { use_v2: true, http: { endpoint: everywhere(ports.health) } },
      jaeger_query: { storage: { traces: store }, http: { endpoint: everywhere(ports.jaeger) } },
      jaeger_storage: {
        backends: {
          [store]: {
            badger: {
              directories: { keys: `${dataPath}/keys`, values: `${dataPath}/values` },
              ephemeral: false,
              ttl: { spans: retention },
            },
          },
        },
      },
    },
    receivers: { otlp: { protocols: { grpc: otlp.protocols.grpc } } },
    processors: { batch: { timeout: "1s" } },
    exporters: { jaeger_storage_exporter: { trace_storage: store } },
    service: {
      extensions: ["jaeger_storage", "jaeger_query", "healthcheckv2"],
      telemetry,
      pipelines: { traces: { receivers: ["otlp"], processors: ["batch"], exporters: ["jaeger_storage_exporter"] } },
    },
  });
}
