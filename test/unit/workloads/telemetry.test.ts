import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { RunSpec } from "../../../schema/run.ts";
import { OtlpReceiver } from "./support/otlp-receiver.ts";
import { Stage } from "./support/processes.ts";

// The driver is a process of its own and exports over loopback; what came out is decoded by another library.

vi.setConfig({ testTimeout: 180_000 });

let stage: Stage;
let receiver: OtlpReceiver;

beforeEach(async () => {
  stage = await Stage.set();
  receiver = new OtlpReceiver();
  await receiver.start();
});

afterEach(async () => {
  await receiver.stop();
  await stage.clear();
});

const phases = { warmupMs: 200, measureMs: 800, cooldownMs: 0 };

async function run(name: string, telemetry: Partial<RunSpec["telemetry"]> | undefined, exportLimitMs = 60_000) {
  const to = { endpoint: receiver.url, sampleRatio: 1, gooseMetrics: false, ...telemetry };
  const spec = stage.publish({ run: name, phases, ...(telemetry === undefined ? {} : { telemetry: to }) });
  const environment = { OTEL_EXPORTER_OTLP_TIMEOUT: String(exportLimitMs) };
  const driver = await stage.startDriver(spec, 0, undefined, environment);
  expect(await driver.exitCode(), driver.output).toBe(0);
  return { worker: await stage.workerResult(name), events: await stage.events(name), output: driver.output };
}

const totalOf = (name: string, attributes: Record<string, unknown>): number => {
  const metric = receiver.metrics.get(name);
  const all = [...(metric?.sum?.dataPoints ?? []), ...(metric?.gauge?.dataPoints ?? [])];
  const wanted = all.filter((point) =>
    Object.entries(attributes).every(([key, value]) => point.attributes[key] === value),
  );
  return wanted.reduce((sum, { value }) => sum + value, 0);
};

test("every operation is a span that the member was told of, with the times of the event log", async () => {
  await stage.startConductor();
  const { worker, events } = await run("traced", {});
  expect(worker.telemetry).toMatchObject({ spans: { made: 200, exported: 200, lost: 0 }, lastError: null });
  expect(receiver.spans).toHaveLength(200);
  const told = stage.members.flatMap(({ traceparents }) => traceparents);
  expect(new Set(told)).toEqual(new Set(receiver.spans.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`)));
  expect(told).toHaveLength(200);

  const timesOf = (span: (typeof receiver.spans)[number]) => [
    span.name,
    span.events.find(({ name }) => name === "orrery.intended")?.timeUnixNano,
    span.startTimeUnixNano,
    span.endTimeUnixNano,
  ];
  const logged = events.map((event) => [
    event.operation,
    ...["intended_us", "sent_us", "completed_us"].map((column) => (event[column] as bigint) * 1000n),
  ]);
  const inOrder = (rows: unknown[][]) => rows.map((row) => row.join(" ")).sort();
  expect(inOrder(receiver.spans.map(timesOf))).toEqual(inOrder(logged));
  expect(receiver.spans.every(({ kind, parentSpanId }) => kind === 3 && parentSpanId === undefined)).toBe(true);
  expect(receiver.spans[0]?.resource).toMatchObject({
    "service.name": "orrery-driver",
    "service.instance.id": "0",
    "orrery.run": "traced",
    "orrery.experiment": "kv",
    "k8s.pod.name": "run-traced-0",
    "k8s.node.name": "node-a",
  });
});

test("metrics say what the results say, and failed operations are told apart", async () => {
  const [, , broken] = stage.members;
  if (broken !== undefined) {
    broken.behaviour = "reset";
  }
  await stage.startConductor();
  const { worker, events } = await run("measured", { sampleRatio: 0 });
  expect(receiver.spans).toEqual([]);
  expect(stage.members.flatMap(({ traceparents }) => traceparents)).toEqual([]);
  expect(worker.telemetry?.spans).toEqual({ made: 0, exported: 0, lost: 0 });
  for (const operation of ["put", "get"]) {
    const measured = { "orrery.operation": operation, "orrery.phase": "measure" };
    expect(totalOf("orrery.operation.offered", measured)).toBe(worker.operations[operation]?.offered);
    expect(totalOf("orrery.operation.sent", measured)).toBe(worker.operations[operation]?.sent);
  }
  const latency = receiver.metrics.get("orrery.operation.latency");
  expect(latency?.unit).toBe("s");
  for (const point of latency?.histogram?.dataPoints ?? []) {
    const { "orrery.operation": operation, "orrery.outcome": outcome, "orrery.phase": phase } = point.attributes;
    const same = events.filter((row) => row.operation === operation && row.outcome === outcome && row.phase === phase);
    expect(point.count).toBe(same.length);
    const seconds = same.map((row) => Number((row.completed_us as bigint) - (row.intended_us as bigint)) / 1e6);
    expect(point.sum).toBeCloseTo(
      seconds.reduce((sum, value) => sum + value, 0),
      6,
    );
    point.explicitBounds.forEach((bound, index) => {
      const lower = point.explicitBounds[index - 1] ?? -1;
      expect(point.bucketCounts[index]).toBe(seconds.filter((value) => value > lower && value <= bound).length);
    });
  }
  const counted = (latency?.histogram?.dataPoints ?? []).reduce((sum, { count }) => sum + count, 0);
  expect(counted).toBe(events.length);
  expect(receiver.metrics.get("db.client.operation.duration")?.histogram?.dataPoints).not.toHaveLength(0);
  expect(receiver.metrics.has("nodejs.eventloop.delay.p99")).toBe(true);
});

test("the same seed samples the same operations, under other ids in another run", async () => {
  await stage.startConductor();
  await Promise.all([run("first", { sampleRatio: 0.3 }), run("second", { sampleRatio: 0.3 })]);
  const [first, second] = ["first", "second"].map((name) =>
    receiver.spans.filter((span) => span.resource["orrery.run"] === name),
  );
  const sampled = [first, second].map((spans) =>
    spans?.map(({ attributes }) => Number(attributes["orrery.sequence"])).sort((a, b) => a - b),
  );
  expect(sampled[0]?.length).toBeGreaterThan(30); // of 200, for this seed
  expect(sampled[0]?.length).toBeLessThan(90);
  expect(sampled[1]).toEqual(sampled[0]);
  expect(new Set(receiver.spans.map(({ traceId }) => traceId)).size).toBe(receiver.spans.length);
});

test("a collector that is away changes nothing but the counts of what was lost", async () => {
  await stage.startConductor();
  const { worker, events, output } = await run("lonely", { endpoint: "http://127.0.0.1:9" }, 1_000);
  expect(events).toHaveLength(200);
  expect(new Set(events.map(({ outcome }) => outcome))).toEqual(new Set(["ok"]));
  expect(worker.telemetry?.spans).toEqual({ made: 200, exported: 0, lost: 200 });
  expect(worker.telemetry?.metricExports.succeeded).toBe(0);
  expect(worker.telemetry?.metricExports.failed).toBeGreaterThan(0);
  expect(worker.telemetry?.lastError).toContain("ECONNREFUSED");
  expect(output).toContain("telemetry did not reach the collector");
});

test("Keramik's names are there when asked for, with what the results say", async () => {
  await stage.startConductor();
  await run("plain", {});
  expect([...receiver.metrics.keys()].filter((name) => /^(goose|simulation)_/.test(name))).toEqual([]);
  const { worker, events } = await run("keramik", { gooseMetrics: true });
  expect([...receiver.metrics.keys()].filter((name) => /^(goose|simulation)_/.test(name)).sort()).toEqual([
    "goose_duration",
    "goose_maximum_users",
    "goose_requests_duration_percentiles",
    "goose_requests_status_codes_total",
    "goose_requests_total",
    "goose_scenarios_duration_percentiles",
    "goose_scenarios_total",
    "goose_total_users",
    "goose_txs_duration_percentiles",
    "goose_txs_total",
    "simulation_min_peer_requests_per_second",
    "simulation_peer_requests_per_second",
  ]);
  const succeeded = worker.operations.put?.succeeded;
  const labels = { simulation: "kv", scenario: "kv", nonce: "7", mode: "manager" };
  expect(totalOf("goose_txs_total", { ...labels, tx_name: "put", result: "success" })).toBe(succeeded);
  const put = { method: "PUT", path: "/kv/{key}" };
  expect(totalOf("goose_requests_total", { ...put, result: "success" })).toBe(succeeded);
  expect(totalOf("goose_requests_status_codes_total", { ...put, code: "ok" })).toBe(succeeded);
  const measured = events.filter(({ phase }) => phase === "measure");
  expect(totalOf("goose_scenarios_total", {})).toBe(measured.length);
  const latencies = measured.map((row) => Number((row.completed_us as bigint) - (row.intended_us as bigint)) / 1000);
  const median = latencies.sort((a, b) => a - b)[Math.ceil(latencies.length / 2) - 1] ?? 0;
  const told = totalOf("goose_scenarios_duration_percentiles", { percentile: "0.5" });
  expect(Math.abs(told - median)).toBeLessThanOrEqual(median / 1000 + 0.001); // the histogram's three digits
});

test("without telemetry in the spec nothing is sent and nothing said", async () => {
  await stage.startConductor();
  const { worker } = await run("silent", undefined);
  expect(worker.telemetry).toBeUndefined();
  expect(stage.members.flatMap(({ traceparents }) => traceparents)).toEqual([]);
  expect([receiver.spans.length, receiver.resources.length]).toEqual([0, 0]);
});
