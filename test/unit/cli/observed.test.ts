import { describe, expect, test } from "vitest";
import { type Ask, observedFiles } from "../../../cli/observed.ts";
import type { Observe } from "../../../schema/observe.ts";
import { metricsFileSchema, tracesFileSchema } from "../../../schema/observed.ts";

const observe: Observe = {
  prometheus: true,
  traces: { sample: 1 },
  goose: false,
  grafana: false,
  retention: 3_600_000,
  storage: 2 ** 30,
};
const run = { run: "r1", window: { fromMs: 1_000_000, toMs: 1_060_000 } };

/** A span as Jaeger's query API writes it. */
const span = (spanID: string, processID: string, startTime: number, parent?: string, tags: object[] = []) => ({
  traceID: "t1",
  spanID,
  operationName: "put",
  processID,
  startTime,
  duration: 100,
  references: parent === undefined ? [] : [{ refType: "CHILD_OF", traceID: "t1", spanID: parent }],
  tags,
});
const processes = { p1: { serviceName: "orrery-driver" }, p2: { serviceName: "orrery-kv" } };
const traced = {
  data: [
    { traceID: "t2", spans: [span("s3", "p1", 9_000)], processes },
    {
      traceID: "t1",
      spans: [
        span("s2", "p2", 5_050, "s1", [{ key: "error", type: "bool", value: true }]),
        span("s1", "p1", 5_000, "gone", [{ key: "orrery.attempts", type: "int64", value: 2 }]),
      ],
      processes,
    },
  ],
};
const noSeries = { data: { result: [] } };

describe("traces.json", () => {
  const keep = async (ask: Ask) => {
    const files = await observedFiles(ask, { ...observe, prometheus: false }, run, expect.unreachable, 1);
    expect(Object.keys(files)).toEqual(["traces.json"]);
    return tracesFileSchema.parse(JSON.parse(files["traces.json"] ?? "")).traces;
  };

  test("has traces and spans by start, with parents that are there", async () => {
    const [first, second] = await keep(async () => traced);
    expect(second?.id).toBe("t2");
    expect(first?.spans.map(({ id, parent, service, failed }) => ({ id, parent, service, failed }))).toEqual([
      { id: "s1", parent: null, service: "orrery-driver", failed: false },
      { id: "s2", parent: "s1", service: "orrery-kv", failed: true },
    ]);
    expect(first?.spans[0]?.attributes).toEqual({ "orrery.attempts": 2 });
  });

  test("is asked for until nothing more arrives", async () => {
    const growing = [{ data: [] }, { data: traced.data.slice(0, 1) }, traced, traced, { data: [] }];
    let asked = 0;
    const traces = await keep(async () => growing[asked++]);
    expect([traces.length, asked]).toEqual([2, 4]);
  });

  test("asks for the driver's operations in the run's own time", async () => {
    const paths: string[] = [];
    await keep(async (_part, path) => {
      paths.push(path);
      return traced;
    });
    expect(paths[0]).toMatch(/^api\/traces\?service=orrery-driver&limit=200&start=1000000000&end=1120000000$/);
  });
});

test("metrics.json has numbers only, and a name for each series", async () => {
  const ask: Ask = async (_part, path) =>
    path.includes("container_cpu_usage")
      ? {
          data: {
            result: [
              {
                metric: { pod: "kv-0" },
                values: [
                  [1000, "0.5"],
                  [1005, "NaN"],
                  [1010, "0.25"],
                ],
              },
            ],
          },
        }
      : noSeries;
  const files = await observedFiles(ask, { ...observe, traces: undefined }, run, expect.unreachable);
  expect(metricsFileSchema.parse(JSON.parse(files["metrics.json"] ?? "")).series).toEqual([
    {
      name: "pod_cpu_cores",
      labels: { pod: "kv-0" },
      points: [
        [1_000_000, 0.5],
        [1_010_000, 0.25],
      ],
    },
  ]);
});

test("what cannot be had is left out and said, and the rest is kept", async () => {
  const warnings: string[] = [];
  const ask: Ask = async (part) => {
    if (part === "jaeger") throw new Error("it has gone");
    return noSeries;
  };
  const files = await observedFiles(ask, observe, run, (text) => warnings.push(text), 1);
  expect(Object.keys(files)).toEqual(["metrics.json"]);
  expect(warnings).toEqual(["traces.json is not kept: it has gone"]);
});

test("a series that cannot be had does not take the others along, unless there is none", async () => {
  const warnings: string[] = [];
  const warn = (text: string) => warnings.push(text);
  const watched = { ...observe, traces: undefined };
  const refuse: Ask = async () => {
    throw new Error("found duplicate series");
  };
  const some: Ask = async (part, path) => (path.includes("container_cpu_usage") ? refuse(part, path) : noSeries);
  expect(Object.keys(await observedFiles(some, watched, run, warn))).toEqual(["metrics.json"]);
  expect(await observedFiles(refuse, watched, run, warn)).toEqual({});
  expect(warnings).toEqual([
    "metrics.json lacks pod_cpu_cores: found duplicate series",
    "metrics.json is not kept: found duplicate series",
  ]);
});

test("an experiment that is not watched asks nobody", async () => {
  const off = { ...observe, prometheus: false, traces: undefined };
  expect(await observedFiles(expect.unreachable, off, run, expect.unreachable)).toEqual({});
});
