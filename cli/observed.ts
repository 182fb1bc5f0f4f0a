import { setTimeout as delay } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import { z } from "zod";
import { partNames, ports } from "../components/observability/names.ts";
import { quorumSeries, type RunSeries, usageSeries } from "../components/observability/queries.ts";
import { messageOf, RunFailure } from "../schema/errors.ts";
import type { Observe } from "../schema/observe.ts";
import {
  type MetricsFile,
  metricsFileSchema,
  metricsVersion,
  type Span,
  type TracesFile,
  tracesFileSchema,
  tracesKept,
  tracesVersion,
} from "../schema/observed.ts";
import { proxyGet } from "./cluster-client.ts";

/** One run as those that watched it know it. */
interface ObservedRun {
  readonly run: string;
  /** From its start to now, milliseconds since 1970 on the cluster's clock. */
  readonly window: { readonly fromMs: number; readonly toMs: number };
}

/** Asks a part something and answers with what it says. */
export type Ask = (part: "prometheus" | "jaeger", path: string) => Promise<unknown>;

/** Asks the parts of a namespace through the API server; an answer that is not 200 throws a RunFailure. */
export function askThrough(config: KubeConfig, namespace: string): Ask {
  return async (part, path) => {
    const service = { namespace, service: partNames[part], port: ports[part], headers: {} };
    const { status, body } = await proxyGet(config, service, path);
    if (status !== 200) {
      throw new RunFailure(`${part} answered ${status} for ${path}: ${body.toString().slice(0, 300)}`);
    }
    return JSON.parse(body.toString()) as unknown;
  };
}

/**
 * What Prometheus and Jaeger saw of a run, as files of its folder. A run's verdict does not rest on them, so that what
 * cannot be had is left out and said.
 *
 * @param pauseMs Between two questions for traces, which take about three seconds from driver to store
 */
export async function observedFiles(
  ask: Ask,
  observe: Observe,
  run: ObservedRun,
  warn: (text: string) => void,
  pauseMs = 1_500,
): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const keep = async (file: string, make: () => Promise<unknown>) => {
    try {
      files[file] = `${JSON.stringify(await make(), null, 1)}\n`;
    } catch (error) {
      warn(`${file} is not kept: ${messageOf(error)}`);
    }
  };
  if (observe.traces !== undefined) await keep("traces.json", () => tracesOf(ask, run, pauseMs));
  if (observe.prometheus) await keep("metrics.json", () => metricsOf(ask, run, warn));
  return files;
}

/** The part of Jaeger's answer that is read; cmd/query/app, `structuredResponse`. */
const jaegerAnswer = z.object({
  data: z.array(
    z.object({
      traceID: z.string(),
      spans: z.array(
        z.object({
          spanID: z.string(),
          operationName: z.string(),
          processID: z.string(),
          startTime: z.number(),
          duration: z.number(),
          references: z.array(z.object({ refType: z.string(), spanID: z.string() })),
          tags: z.array(z.object({ key: z.string(), value: z.unknown() })),
        }),
      ),
      processes: z.record(z.string(), z.object({ serviceName: z.string() })),
    }),
  ),
});
type JaegerTrace = z.output<typeof jaegerAnswer>["data"][number];

/** Asked until two answers in a row are of one size. */
async function tracesOf(ask: Ask, { run, window }: ObservedRun, pauseMs: number): Promise<TracesFile> {
  const query = new URLSearchParams({
    service: "orrery-driver",
    limit: String(tracesKept),
    start: String(Math.floor(window.fromMs * 1000)),
    end: String(Math.ceil((window.toMs + 60_000) * 1000)),
  });
  let traces: JaegerTrace[] = [];
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const before = spanCount(traces);
    traces = jaegerAnswer.parse(await ask("jaeger", `api/traces?${query}`)).data;
    if (traces.length > 0 && spanCount(traces) === before) break;
    await delay(pauseMs);
  }
  const kept = traces.map((trace) => ({ id: trace.traceID, spans: spansOf(trace) }));
  const byStart = kept.sort((left, right) => (left.spans[0]?.startUs ?? 0) - (right.spans[0]?.startUs ?? 0));
  return tracesFileSchema.parse({ schema: tracesVersion, run, traces: byStart });
}

const spanCount = (traces: readonly JaegerTrace[]): number =>
  traces.reduce((count, { spans }) => count + spans.length, 0);

/** The spans of a trace by start; a parent that is not among them is none. */
function spansOf({ spans, processes }: JaegerTrace): Span[] {
  const ids = new Set(spans.map(({ spanID }) => spanID));
  return spans
    .map((span) => {
      const parent = span.references.find(({ refType, spanID }) => refType === "CHILD_OF" && ids.has(spanID));
      const attributes = Object.fromEntries(
        span.tags.flatMap(({ key, value }) => (isPlain(value) ? [[key, value]] : [])),
      );
      return {
        id: span.spanID,
        parent: parent?.spanID ?? null,
        service: processes[span.processID]?.serviceName ?? "",
        operation: span.operationName,
        startUs: span.startTime,
        durationUs: span.duration,
        failed: attributes.error === true || attributes["otel.status_code"] === "ERROR",
        attributes,
      };
    })
    .sort((left, right) => left.startUs - right.startUs);
}

const isPlain = (value: unknown): value is string | number | boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean";

/** Prometheus's answer to a range query; its documentation, "Range vectors". */
const rangeAnswer = z.object({
  data: z.object({
    result: z.array(
      z.object({ metric: z.record(z.string(), z.string()), values: z.array(z.tuple([z.number(), z.string()])) }),
    ),
  }),
});

const stepMs = 5_000;

/** One series that cannot be had does not take the others along; where none can be had, there is no file. */
async function metricsOf(ask: Ask, run: ObservedRun, warn: (text: string) => void): Promise<MetricsFile> {
  const wanted = [...usageSeries, ...quorumSeries];
  const answers = await Promise.allSettled(wanted.map((one) => pointsOf(ask, one, run)));
  const series = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  const failures = answers.flatMap((answer, index) =>
    answer.status === "rejected" ? [{ name: wanted[index]?.name, reason: answer.reason as unknown }] : [],
  );
  if (series.length === 0) throw failures[0]?.reason;
  for (const { name, reason } of failures) warn(`metrics.json lacks ${name}: ${messageOf(reason)}`);
  return metricsFileSchema.parse({ schema: metricsVersion, run: run.run, stepMs, series: series.flat() });
}

async function pointsOf(ask: Ask, { name, query }: RunSeries, { window }: ObservedRun): Promise<MetricsFile["series"]> {
  const range = new URLSearchParams({
    query,
    start: String(window.fromMs / 1000),
    end: String(window.toMs / 1000),
    step: String(stepMs / 1000),
  });
  const { result } = rangeAnswer.parse(await ask("prometheus", `api/v1/query_range?${range}`)).data;
  return result.map(({ metric, values }) => ({
    name,
    labels: metric,
    points: values
      .map(([seconds, value]): [number, number] => [seconds * 1000, Number(value)])
      .filter(([, value]) => Number.isFinite(value)),
  }));
}
