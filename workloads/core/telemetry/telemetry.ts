import { setTimeout as sleep } from "node:timers/promises";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { ATTR_SERVICE_NAME } from "@opentelemetry/semantic-conventions";
import { messageOf } from "../../../schema/errors.ts";
import type { WorkerResult } from "../../../schema/results.ts";
import type { BeginSpan, LoadObserver } from "../load.ts";
import { log } from "../log.ts";
import { both } from "../observers.ts";
import { GooseView } from "./goose.ts";
import { DriverMetrics } from "./metrics.ts";
import { noting } from "./tally.ts";
import type { TelemetryTask } from "./task.ts";
import { SeededIds, spanMaker } from "./traces.ts";

/** A batch is lost rather than waited for when the collector takes longer than this; the standard variable, in ms. */
const exportLimitMs = Number(process.env.OTEL_EXPORTER_OTLP_TIMEOUT ?? 5_000);
/** The SDK asks for an interval that is no shorter than the limit. */
const metricsEveryMs = exportLimitMs;
/** At the end of a run; what is not sent by then is counted as lost. */
const finishLimitMs = 2 * exportLimitMs;
/** Small enough that encoding a batch does not hold up the event loop for long. */
const batchSpans = 256;
const queueSpans = 4_096;

/** OpenTelemetry data of one worker, on its way to a collector. */
export interface Telemetry {
  readonly observer: LoadObserver;
  readonly beginSpan: BeginSpan;
  /** Sends what is left and says what became of everything; never throws, takes 10 s at most. */
  finish(): Promise<NonNullable<WorkerResult["telemetry"]>>;
}

/**
 * Begins to export metrics and traces over OTLP/HTTP. Nothing here waits for the collector while the load runs, and a
 * collector that is away changes nothing but the counts that {@link Telemetry.finish} returns.
 */
export function startTelemetry(task: TelemetryTask): Telemetry {
  const result = {
    spans: { made: 0, exported: 0, lost: 0 },
    metricExports: { succeeded: 0, failed: 0 },
    lastError: null as string | null,
  };
  const noteSpans = (spans: readonly unknown[], error?: Error): void => {
    result.spans.exported += error === undefined ? spans.length : 0;
    result.lastError = error === undefined ? result.lastError : messageOf(error);
  };
  const noteMetrics = (_: unknown, error?: Error): void => {
    result.metricExports[error === undefined ? "succeeded" : "failed"] += 1;
    result.lastError = error === undefined ? result.lastError : messageOf(error);
  };
  const ids = new SeededIds();
  const { tracers, meters } = providersOf(task, ids, noteSpans, noteMetrics);
  const metrics = new DriverMetrics(meters.getMeter("orrery-driver"), task);
  const { gooseMetrics } = task.spec.telemetry;
  const beginSpan = spanMaker(tracers.getTracer("orrery-driver"), ids, task);
  return {
    observer: gooseMetrics ? both(metrics, new GooseView(meters.getMeter("simulate"), task)) : metrics,
    beginSpan: (departure) => {
      const span = beginSpan(departure);
      result.spans.made += span === undefined ? 0 : 1;
      return span;
    },
    finish: async () => {
      const ended = Promise.allSettled([tracers.shutdown(), meters.shutdown()]);
      await Promise.race([ended, sleep(finishLimitMs, undefined, { ref: false })]);
      metrics.close();
      result.spans.lost = result.spans.made - result.spans.exported;
      if (result.lastError !== null || result.spans.lost > 0) {
        log("warn", "telemetry did not reach the collector; results are not concerned", { ...result });
      }
      return structuredClone(result);
    },
  };
}

type Note<Batch> = (batch: Batch, error?: Error) => void;

function providersOf(
  task: TelemetryTask,
  ids: SeededIds,
  noteSpans: Note<readonly unknown[]>,
  noteMetrics: Note<unknown>,
) {
  const { spec, worker, pod, node } = task;
  const to = (signal: "traces" | "metrics") => ({
    url: `${spec.telemetry.endpoint.replace(/\/$/, "")}/v1/${signal}`,
    timeoutMillis: exportLimitMs,
  });
  const resource = resourceFromAttributes({
    [ATTR_SERVICE_NAME]: "orrery-driver",
    "service.instance.id": String(worker),
    "orrery.run": spec.run,
    "orrery.experiment": spec.experiment,
    "k8s.pod.name": pod,
    "k8s.node.name": node,
  });
  const spans = new BatchSpanProcessor({
    exporter: noting(new OTLPTraceExporter(to("traces")), noteSpans),
    maxExportBatchSize: batchSpans,
    maxQueueSize: queueSpans,
    scheduledDelayMillis: 500,
    exportTimeoutMillis: exportLimitMs + 500,
  });
  const reader = new PeriodicExportingMetricReader({
    exporter: noting(new OTLPMetricExporter(to("metrics")), noteMetrics),
    exportIntervalMillis: metricsEveryMs,
    exportTimeoutMillis: exportLimitMs,
  });
  return {
    tracers: new TracerProvider({ resource, idGenerator: ids, spanProcessors: [spans] }),
    meters: new MeterProvider({ resource, readers: [reader] }),
  };
}
