import { describe, expect, test } from "vitest";
import { compareRuns } from "../../../analysis/compare/compare.ts";
import { whyOnlyShown } from "../../../analysis/compare/metrics.ts";
import type { RunRecord } from "../../../schema/comparison.ts";
import { metricKind } from "../../../schema/objectives.ts";
import { type SimulatedOperation, simulate } from "../../support/results.ts";
import { runRecord } from "../compare/support.ts";
import { analysed, shortRun } from "./run.ts";

const replication = { deadlineMs: 1_000, delayMs: () => 5 };
const calm = { ...shortRun, killAtMs: null, replication };

/** Nearest rank, computed the plain way. */
function exact(values: readonly number[], quantile: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(values.length * quantile)) - 1] ?? Number.NaN;
}

const isWrite = ({ operation, phase }: SimulatedOperation): boolean => operation === "put" && phase === "measure";

/** The second member answers every third write badly, and late. */
function worsened(operations: SimulatedOperation[]): SimulatedOperation[] {
  let writes = 0;
  return operations.map((one) => {
    writes += one.operation === "put" && one.endpoint === 1 ? 1 : 0;
    return one.operation === "put" && one.endpoint === 1 && writes % 3 === 0
      ? { ...one, outcome: "http_500", completedMs: one.completedMs + 40 }
      : one;
  });
}

describe("writes", () => {
  test("have their rate, success ratio and duration for the network and for each member", async () => {
    const { summary } = await analysed({ ...calm, editOperations: worsened });
    const truth = worsened(simulate(calm)).filter(isWrite);
    const of = (ordinal: number | undefined): void => {
      const own = ordinal === undefined ? truth : truth.filter(({ endpoint }) => endpoint === ordinal);
      const good = own.filter(({ outcome }) => outcome === "ok").length;
      const prefix = ordinal === undefined ? "writes" : `writes.${ordinal}`;
      expect(own.length).toBeGreaterThan(20);
      expect(summary.metrics[`${prefix}.rate`]).toBeCloseTo(good / 10, 9);
      expect(summary.metrics[`${prefix}.success_ratio`]).toBeCloseTo(good / own.length, 9);
      for (const [name, quantile] of Object.entries({ p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99, p999: 0.999 })) {
        const trueMs = exact(
          own.map(({ completedMs, intendedMs }) => completedMs - intendedMs),
          quantile,
        );
        expect(Math.abs((summary.metrics[`${prefix}.latency.${name}`] ?? 0) - trueMs)).toBeLessThanOrEqual(0.002);
      }
    };
    [undefined, 0, 1, 2].forEach(of);
    expect(summary.metrics["writes.1.success_ratio"]).toBeLessThan(0.7);
    expect(summary.metrics["writes.0.success_ratio"]).toBe(1);
    const rates = [0, 1, 2].map((ordinal) => summary.metrics[`writes.${ordinal}.rate`] ?? Number.NaN);
    expect(summary.metrics["writes.balance"]).toBeCloseTo(Math.min(...rates) / Math.max(...rates), 9);
    expect(summary.nodes?.map(({ writes }) => writes?.rate)).toEqual(rates);
  });

  test("count as persisted where the member that acknowledged them shows them, and a refused one does not", async () => {
    const lost = (write: number, member: number): number =>
      member === 2 && write % 4 === 0 ? Number.POSITIVE_INFINITY : 5;
    const { summary } = await analysed({
      ...calm,
      editOperations: worsened,
      replication: { deadlineMs: 1_000, delayMs: lost },
      objectives: [{ metric: "writes.persisted_ratio", min: 0.999 }],
    });
    const sent = worsened(simulate(calm)).filter(isWrite);
    const refused = sent.filter(({ outcome }) => outcome !== "ok").length;
    const { persisted_ratio: ofAcknowledged = Number.NaN, ...found } = summary.metrics;
    const kept = ofAcknowledged * (sent.length - refused);
    expect(kept).toBeLessThan(sent.length - refused);
    expect(found["writes.persisted_ratio"]).toBeCloseTo(kept / sent.length, 9);
    expect(found["writes.0.persisted_ratio"]).toBe(1);
    expect(found["writes.1.persisted_ratio"]).toBe(found["writes.1.success_ratio"]);
    expect(found["writes.2.persisted_ratio"]).toBeLessThan(found["writes.2.success_ratio"] ?? 0);
    expect(summary.objectives.map(({ met }) => met)).toEqual([false]);
  });

  test("of a member that answers none leave no balance, and no other figures of it", async () => {
    const toFirst = (operations: SimulatedOperation[]): SimulatedOperation[] =>
      operations.map((one) => ({ ...one, endpoint: one.endpoint === 2 ? 0 : one.endpoint }));
    const { summary } = await analysed({ ...calm, editOperations: toFirst });
    expect(summary.metrics["writes.balance"]).toBe(0);
    expect(summary.metrics["writes.2.rate"]).toBe(0);
    expect(summary.metrics).not.toHaveProperty("writes.2.latency.p50");
    expect(summary.nodes?.[2]?.writes).toEqual({ count: 0, rate: 0, success_ratio: null, latency_ms: null });
  });

  test("are told only where replication is observed", async () => {
    const { summary } = await analysed({ killAtMs: null });
    expect(Object.keys(summary.metrics).filter((name) => name.startsWith("writes."))).toEqual([]);
  });

  test("can be judged by objectives", async () => {
    const objectives = [
      { metric: "writes.balance", min: 0.5 },
      { metric: "writes.1.success_ratio", min: 0.99 },
      { metric: "writes.latency.p50", max: "1s" },
    ];
    const { summary } = await analysed({ ...calm, objectives, editOperations: worsened });
    expect(summary.objectives.map(({ met }) => met)).toEqual([true, false, true]);
    expect(summary.reasons).toEqual([]);
  });

  test.each([
    ["writes.rate", "rate"],
    ["writes.0.latency.p999", "duration"],
    ["writes.12.success_ratio", "ratio"],
    ["writes.balance", "ratio"],
    ["writes.0.balance", undefined],
    ["writes.latency", undefined],
    ["writes.x.rate", undefined],
  ])("%s is of the kind %s", (metric, kind) => {
    expect(metricKind(metric, ["put"])).toBe(kind);
  });
});

describe("in a comparison", () => {
  const closed: Partial<RunRecord> = { conditions: {}, operations: { put: 1_000, writes: 1_000 } };
  const runs = (prefix: string, balance: number): RunRecord[] =>
    Array.from({ length: 8 }, (_, index) =>
      runRecord(`${prefix}${index}`, { "writes.balance": balance + index / 1000, "writes.0.rate": 10 }, closed),
    );

  test("one member that falls behind is a regression, though the network is as fast; figures of members are shown", () => {
    const worse = compareRuns({ runs: runs("a", 0.97) }, { runs: runs("b", 0.8) }, { resamples: 500 });
    expect(worse.outcome).toBe("regression");
    expect(worse.metrics.find(({ metric }) => metric === "writes.0.rate")?.finding).toBe("shown");
    const same = compareRuns({ runs: runs("a", 0.97) }, { runs: runs("b", 0.97) }, { resamples: 500 });
    expect(same.outcome).toBe("pass");
    expect(whyOnlyShown("writes.3.latency.p50", [])).toMatch(/of one member/);
  });
});
