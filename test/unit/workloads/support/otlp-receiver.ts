import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { parse } from "protobufjs";
import { z } from "zod";

// The part of opentelemetry-proto (v1) that the tests look at; field numbers as in its trace.proto and metrics.proto.
const { root } = parse(`
  syntax = "proto3";
  message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message Event { fixed64 time_unix_nano = 1; string name = 2; }
  message Status { string message = 2; int32 code = 3; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
    fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9;
    repeated Event events = 11; Status status = 15;
  }
  message ScopeSpans { repeated Span spans = 2; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Traces { repeated ResourceSpans resource_spans = 1; }
  message Point { double as_double = 4; sfixed64 as_int = 6; repeated KeyValue attributes = 7; }
  message HistogramPoint {
    fixed64 count = 4; double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
    repeated KeyValue attributes = 9;
  }
  message Points { repeated Point data_points = 1; }
  message HistogramPoints { repeated HistogramPoint data_points = 1; }
  message Metric { string name = 1; string unit = 3; Points gauge = 5; Points sum = 7; HistogramPoints histogram = 9; }
  message ScopeMetrics { repeated Metric metrics = 2; }
  message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
  message Metrics { repeated ResourceMetrics resource_metrics = 1; }
`);

const attributes = z
  .array(z.object({ key: z.string(), value: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])) }))
  .default([])
  .transform((pairs) => Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]])));
const resource = z.object({ attributes });
const hex = z.base64().transform((text) => Buffer.from(text, "base64").toString("hex"));
/** Nanoseconds since 1970. */
const time = z.string().transform(BigInt);

const spanSchema = z.object({
  traceId: hex,
  spanId: hex,
  parentSpanId: hex.optional(),
  name: z.string(),
  kind: z.number(),
  startTimeUnixNano: time,
  endTimeUnixNano: time,
  attributes,
  events: z.array(z.object({ timeUnixNano: time, name: z.string() })).default([]),
  status: z.object({ code: z.number().default(0) }).optional(),
});
const tracesSchema = z.object({
  resourceSpans: z.array(z.object({ resource, scopeSpans: z.array(z.object({ spans: z.array(spanSchema) })) })),
});

const pointSchema = z
  .object({ asDouble: z.number().optional(), asInt: z.coerce.number().optional(), attributes })
  .transform((point) => ({ value: point.asDouble ?? point.asInt ?? 0, attributes: point.attributes }));
const points = z.object({ dataPoints: z.array(pointSchema).default([]) }).optional();
const histogramPoint = z.object({
  count: z.coerce.number().default(0),
  sum: z.number().default(0),
  bucketCounts: z.array(z.coerce.number()).default([]),
  explicitBounds: z.array(z.number()).default([]),
  attributes,
});
const metricSchema = z.object({
  name: z.string(),
  unit: z.string().default(""),
  gauge: points,
  sum: points,
  histogram: z.object({ dataPoints: z.array(histogramPoint).default([]) }).optional(),
});
const metricsSchema = z.object({
  resourceMetrics: z.array(z.object({ resource, scopeMetrics: z.array(z.object({ metrics: z.array(metricSchema) })) })),
});

/** What came in, decoded by a library that shares no code with the exporters. */
export class OtlpReceiver {
  readonly spans: (z.output<typeof spanSchema> & { readonly resource: Record<string, unknown> })[] = [];
  /** Each metric as it was sent last. */
  readonly metrics = new Map<string, z.output<typeof metricSchema>>();
  readonly resources: Record<string, unknown>[] = [];
  readonly #server: Server = createServer((request, response) => {
    this.#take(request).then(
      () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end(),
      (error: unknown) => response.writeHead(400).end(String(error)),
    );
  });

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #take(request: IncomingMessage): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk as Buffer);
    }
    const body = Buffer.concat(chunks);
    if (request.url === "/v1/traces") {
      for (const { resource, scopeSpans } of tracesSchema.parse(decode("Traces", body)).resourceSpans) {
        const spans = scopeSpans.flatMap((scope) => scope.spans);
        this.spans.push(...spans.map((span) => ({ ...span, resource: resource.attributes })));
      }
    } else if (request.url === "/v1/metrics") {
      for (const { resource, scopeMetrics } of metricsSchema.parse(decode("Metrics", body)).resourceMetrics) {
        this.resources.push(resource.attributes);
        for (const metric of scopeMetrics.flatMap(({ metrics }) => metrics)) {
          this.metrics.set(metric.name, metric);
        }
      }
    } else {
      throw new Error(`${request.url} is no OTLP path`);
    }
  }
}

function decode(message: string, body: Buffer): unknown {
  const type = root.lookupType(message);
  return type.toObject(type.decode(body), { longs: String, bytes: String });
}
