import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { timeline } from "../../../analysis/merge.ts";
import { analyse } from "../../../analysis/summary.ts";
import { summarySchema } from "../../../schema/summary.ts";
import { cutFile, makeRunFolder, type SimulatedOperation } from "../../support/results.ts";
import { analysed, shortRun, temporaryFolder } from "./run.ts";

const measured = (truth: readonly SimulatedOperation[], name: string): SimulatedOperation[] =>
  truth.filter((one) => one.operation === name && one.phase === "measure");

function exact(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
}

describe("summary.json", () => {
  test("is written whole, passes its schema, and replaces an earlier one", async () => {
    const folder = await temporaryFolder();
    await makeRunFolder(folder, shortRun);
    await writeFile(join(folder, "summary.json"), "an older one");
    const summary = await analyse(folder);
    const written: unknown = JSON.parse(await readFile(join(folder, "summary.json"), "utf8"));
    expect(summarySchema.parse(written)).toEqual(summary);
    expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("is the same for the same folder", async () => {
    const folder = await temporaryFolder();
    await makeRunFolder(folder, shortRun);
    await analyse(folder);
    const first = await readFile(join(folder, "summary.json"), "utf8");
    await analyse(folder);
    expect(await readFile(join(folder, "summary.json"), "utf8")).toBe(first);
  });

  test("passes its schema even when nothing could be read", async () => {
    const { summary } = await analysed({}, async (folder) => {
      for (const file of ["spec.json", "conductor.json", "experiment.yaml", "environment.json"]) {
        await cutFile(folder, file, 0.3);
      }
    });
    expect(summarySchema.safeParse(summary).success).toBe(true);
    expect(summary).toMatchObject({ run: "run-1", experiment: "kv", verdict: "invalid", phases: null, workers: null });
  });
});

describe("its numbers", () => {
  test("are those of the raw operations", async () => {
    const folder = await temporaryFolder();
    const truth = await makeRunFolder(folder, {
      ...shortRun,
      workers: 3,
      outage: { fromMs: 4_002, forMs: 1_200, manner: "refused" },
    });
    const summary = await analyse(folder);
    for (const name of ["put", "get"]) {
      const own = measured(truth, name);
      const good = own.filter((one) => one.outcome === "ok");
      const latencies = own.map((one) => one.completedMs - one.intendedMs);
      const services = own.map((one) => one.completedMs - one.sentMs);
      const answeredInPhase = truth.filter(
        (one) => one.operation === name && one.outcome === "ok" && one.completedMs >= 2_000 && one.completedMs < 12_000,
      );
      const found = summary.operations[name];
      expect(found).toMatchObject({ count: own.length, offered: own.length, errors: own.length - good.length });
      expect(found?.offered_rate).toBeCloseTo(own.length / 10);
      expect(found?.achieved_rate).toBeCloseTo(answeredInPhase.length / 10);
      expect(summary.metrics[`${name}.success_ratio`]).toBeCloseTo(good.length / own.length);
      for (const [percentile, share] of [
        ["p50", 0.5],
        ["p90", 0.9],
        ["p95", 0.95],
        ["p99", 0.99],
        ["max", 1],
      ] as const) {
        // Resolution of the histogram, and a microsecond of rounding on either side.
        expect(Math.abs((found?.latency_ms?.[percentile] ?? 0) / exact(latencies, share) - 1)).toBeLessThan(0.0015);
        expect(Math.abs((found?.service_ms?.[percentile] ?? 0) / exact(services, share) - 1)).toBeLessThan(0.0015);
      }
    }
    expect(summary.operations.put?.errors_by_code).toEqual({
      no_leader: measured(truth, "put").filter((one) => one.outcome === "no_leader").length,
    });
  });

  test("do not depend on how many workers shared the load", async () => {
    const one = await analysed({ workers: 1 });
    const four = await analysed({ workers: 4 });
    expect(four.summary.metrics).toEqual(one.summary.metrics);
    expect(four.summary.operations).toEqual(one.summary.operations);
  });

  test("count an operation never sent against success", async () => {
    const { summary } = await analysed({
      editWorker: (worker) => {
        const get = worker.operations.get;
        return worker.worker > 0 || get === undefined
          ? worker
          : {
              ...worker,
              operations: { ...worker.operations, get: { ...get, offered: get.offered + 50, dropped: 50 } },
            };
      },
    });
    const get = summary.operations.get;
    expect(get?.errors).toBe(0);
    expect(summary.metrics["get.success_ratio"]).toBeCloseTo((get?.count ?? 0) / (get?.offered ?? 0));
    expect(summary.metrics["get.success_ratio"]).toBeLessThan(0.95);
  });

  test("show a backlog as a lower achieved rate, not as work done in time", async () => {
    // Served one after the other at 80 a second while 100 arrive.
    let freeMs = 0;
    const { summary } = await analysed({
      latenessMs: () => 0,
      serviceMs: (_, __, intendedMs) => {
        freeMs = Math.max(freeMs, intendedMs) + 12.5;
        return freeMs - intendedMs;
      },
    });
    const rates = Object.values(summary.operations);
    expect(rates.reduce((sum, operation) => sum + operation.offered_rate, 0)).toBeCloseTo(100, 0);
    expect(rates.reduce((sum, operation) => sum + operation.achieved_rate, 0)).toBeCloseTo(80, 0);
    expect(summary.metrics.achieved_ratio).toBeCloseTo(0.8, 1);
  });

  test("lead to a remark when writes were lost and nobody judges that", async () => {
    const { summary } = await analysed({
      objectives: [],
      editWorker: (worker) => ({
        ...worker,
        durability: { acknowledged: 9, keysChecked: 9, keysUnread: 0, lost: 1, examples: [] },
      }),
    });
    expect(summary.verdict).toBe("pass");
    expect(summary.warnings.map((warning) => warning.check)).toEqual(["no-objectives", "lost-writes"]);
    expect(summary.durability).toEqual({ acknowledged: 18, keys_checked: 18, keys_unread: 0, lost: 2 });
  });
});

describe("the time series", () => {
  test("has every operation once, at whatever width", async () => {
    const { whole } = await analysed({ outage: { fromMs: 4_002, forMs: 1_200, manner: "refused" } });
    for (const maxPoints of [600, 5, 1]) {
      const points = timeline(whole?.workers ?? [], 2_000, maxPoints);
      const total = (rate: (point: (typeof points)[number]) => number): number =>
        Math.round(points.reduce((sum, point) => sum + (rate(point) * point.widthMs) / 1000, 0));
      expect(points.length).toBeLessThanOrEqual(maxPoints);
      expect(total((point) => point.offeredRate)).toBe(1_200);
      expect(total((point) => point.achievedRate + point.failedRate)).toBe(1_200);
      expect(total((point) => point.failedRate)).toBeGreaterThan(20);
    }
  });
});
