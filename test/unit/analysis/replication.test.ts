import { rm } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { WorkerData } from "../../../analysis/read.ts";
import { replicationOf } from "../../../analysis/replication.ts";
import { replicationMetrics } from "../../../analysis/replication-summary.ts";
import type { RunSpec } from "../../../schema/run.ts";
import type { Summary } from "../../../schema/summary.ts";
import { followedWrites, type SimulatedReplication } from "../../support/replication-results.ts";
import { cutFile, editJson, logNormal, simulate, uniformRandom } from "../../support/results.ts";
import { analysed, failedChecks, shortRun } from "./run.ts";

const quantiles = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99, p999: 0.999, max: 1 } as const;

/** Nearest rank, computed the plain way. */
function exact(values: readonly number[], quantile: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(values.length * quantile)) - 1] ?? Number.NaN;
}

/** Delays that are the same for the same write and member, whoever asks. */
const delayOf = (medianMs: number) => (write: number, member: number) =>
  member === 0 ? -1 : logNormal(uniformRandom(write * 3 + member), medianMs * member, 0.6);

const spread = (changes: Partial<SimulatedReplication> = {}): SimulatedReplication => ({
  deadlineMs: 1_000,
  delayMs: delayOf(20),
  ...changes,
});

const nodeOf = (summary: Summary, ordinal: number) => summary.nodes?.find((node) => node.ordinal === ordinal);

describe("time to replicate", () => {
  test("percentiles to each member, to a majority and to all are those of the injected delays", async () => {
    const { summary } = await analysed({ replication: spread() });
    expect(summary.reasons).toEqual([]);
    const truth = [0, 1].flatMap((worker) =>
      followedWrites(simulate(shortRun).filter((operation) => operation.worker === worker)).flatMap(
        (operation, write) =>
          operation.phase === "measure" ? [[0, 1, 2].map((member) => Math.max(0, delayOf(20)(write, member)))] : [],
      ),
    );
    const found = {
      "replication.0": truth.map((row) => row[0] ?? Number.NaN),
      "replication.1": truth.map((row) => row[1] ?? Number.NaN),
      "replication.2": truth.map((row) => row[2] ?? Number.NaN),
      "replication.majority": truth.map((row) => [...row].sort((a, b) => a - b)[1] ?? Number.NaN),
      replication: truth.map((row) => Math.max(...row)),
    };
    expect(summary.replication).toMatchObject({ events: truth.length, unknown: 0, majority: 2, deadline_ms: 1_000 });
    for (const [metric, values] of Object.entries(found)) {
      for (const [name, quantile] of Object.entries(quantiles)) {
        const trueMs = exact(values, quantile);
        const error = Math.abs((summary.metrics[`${metric}.${name}`] ?? Number.NaN) - trueMs);
        expect(error, `${metric}.${name}`).toBeLessThanOrEqual(0.001);
      }
    }
    expect(summary.metrics).toMatchObject({ persisted_ratio: 1, replicated_ratio: 1 });
    const bounds = [0, 1].flatMap((worker) =>
      [0, 1, 2].map((member) => {
        const exchanges = simulate(shortRun).filter((one) => one.worker === worker && one.endpoint === member);
        return (
          Math.min(0.7, ...exchanges.filter((one) => one.attempts === 1).map((one) => one.completedMs - one.sentMs)) +
          0.3
        );
      }),
    );
    // The shortest exchange with a member, or the opening of its feed, and what reports waited beyond that.
    expect(summary.replication?.error_ms).toBeCloseTo(Math.max(...bounds), 2);
  });

  test("what is over the deadline stays in, behind the rest: its percentiles have no value, the others are right", async () => {
    const { summary } = await analysed({
      replication: spread({ delayMs: (write, member) => (member === 2 && write % 10 === 0 ? 5_000 : 3) }),
      objectives: [
        { metric: "replication.p50", max: "10ms" },
        { metric: "replication.p95", max: "2s" },
        { metric: "replicated_ratio", min: 0.99 },
      ],
    });
    const late = (summary.replication?.events ?? 0) * 0.1;
    expect(summary.replication?.all_ms).toMatchObject({ p50: 3, p95: null, max: null });
    expect(nodeOf(summary, 1)?.replication_ms.max).toBe(3);
    expect(nodeOf(summary, 2)?.replication_ms).toMatchObject({ p50: 3, p99: null });
    expect(
      Math.abs((1 - (summary.metrics.replicated_ratio ?? 0)) * (summary.replication?.events ?? 0) - late),
    ).toBeLessThan(3);
    expect(summary.metrics.persisted_ratio).toBe(1); // late is not lost
    expect(summary.objectives.map(({ met }) => met)).toEqual([true, false, false]);
    expect(summary.objectives[1]).toMatchObject({ value: null, reason: "it is over the deadline of 1 s" });
    expect(summary.verdict).toBe("fail");
  });

  test("a member that never shows anything is seen in every number it belongs in", async () => {
    const { summary } = await analysed({
      replication: spread({ delayMs: (_, member) => (member === 1 ? Number.POSITIVE_INFINITY : 2) }),
      objectives: [
        { metric: "replicated_ratio", min: 0.999 },
        { metric: "replication.majority.p99", max: "5ms" },
      ],
    });
    expect(summary.metrics.replicated_ratio).toBe(0);
    expect(nodeOf(summary, 1)).toMatchObject({ replicated_ratio: 0, persisted_ratio: 0 });
    expect(nodeOf(summary, 0)).toMatchObject({ replicated_ratio: 1, persisted_ratio: 1 });
    // Its own third of the writes is not at the member that acknowledged it.
    expect(summary.metrics.persisted_ratio).toBeGreaterThan(0.6);
    expect(summary.metrics.persisted_ratio).toBeLessThan(0.72);
    expect(summary.objectives.map(({ met }) => met)).toEqual([false, true]);
  });

  test("what a killed member missed while it was away is told as that, and counts", async () => {
    const killedAtMs = 2_000 + 4_000; // of shortRun: kv-0, ready again after 3.2 s
    const away = (atMs: number): boolean => atMs > killedAtMs && atMs < killedAtMs + 3_200;
    let missed = 0;
    const delayMs: SimulatedReplication["delayMs"] = (_, member, { completedMs, phase }) => {
      if (member !== 0 || !away(completedMs)) return 2;
      missed += phase === "measure" ? 1 : 0;
      return Number.POSITIVE_INFINITY;
    };
    const { summary } = await analysed({ replication: spread({ delayMs }) });
    expect(missed).toBeGreaterThan(20);
    const events = summary.replication?.events ?? 0;
    expect(nodeOf(summary, 0)?.replicated_ratio).toBeCloseTo(1 - missed / events, 9);
    expect(nodeOf(summary, 1)?.replicated_ratio).toBe(1);
    expect(summary.valid).toBe(true);
    const told = summary.warnings.filter(({ check }) => check === "replication").map(({ text }) => text);
    expect(told).toEqual([
      `${missed} writes of ${events} did not show at kv-0 within 1 s. It was killed 4 s into the measure phase, ready again 3.2 s later; ${missed} of them were acknowledged meanwhile.`,
    ]);
  });

  test("a member that nothing took away is given no such excuse", async () => {
    const { summary } = await analysed({
      replication: spread({ delayMs: (_, member) => (member === 1 ? Number.POSITIVE_INFINITY : 2) }),
    });
    expect(summary.warnings.filter(({ check }) => check === "replication")).toEqual([]);
  });

  test("a time between two instants is the later one, and unknown only when the deadline lies between them", async () => {
    const { summary } = await analysed({
      replication: spread({
        delayMs: (write, member) => (member === 2 ? (write % 3 === 0 ? 1_100 : 900) : 0),
        vagueMs: (_, member) => (member === 2 ? 500 : undefined),
      }),
    });
    expect(nodeOf(summary, 2)?.replication_ms.p50).toBe(900);
    expect(summary.replication?.unknown).toBe(nodeOf(summary, 2)?.unknown);
    expect(Math.abs((summary.replication?.unknown ?? 0) - (summary.replication?.events ?? 0) / 3)).toBeLessThan(3);
  });
});

describe("can it be believed", () => {
  test("a write that was not followed is missed, whoever miscounted", async () => {
    const analysis = await analysed({ replication: spread() }, (folder) =>
      editJson(folder, "workers/1/worker.json", (worker) => ({
        ...worker,
        replication: { ...(worker.replication as object), events: 1 },
      })),
    );
    expect(failedChecks(analysis)).toEqual(["replication"]);
  });

  test.each([
    ["is missing", (folder: string) => rm(join(folder, "workers/0/replication.parquet")), "results-missing"],
    ["is cut", (folder: string) => cutFile(folder, "workers/0/replication.parquet"), "results-damaged"],
    [
      "is not spoken of in worker.json",
      (folder: string) => editJson(folder, "workers/0/worker.json", ({ replication: _, ...worker }) => worker),
      "results-damaged",
    ],
  ])("a table that %s leaves no numbers", async (_, change, check) => {
    const analysis = await analysed({ replication: spread() }, change);
    expect(failedChecks(analysis)).toEqual([check]);
    expect(analysis.summary.replication).toBeUndefined();
  });

  test("a run that did not observe it says nothing of it, and an objective on it has no value", async () => {
    const { summary } = await analysed();
    expect([summary.replication, summary.nodes]).toEqual([undefined, undefined]);
    expect(summary.checks.find(({ check }) => check === "replication")?.outcome).toBe("skipped");
  });
});

test("more unknown, later or fewer sightings never make a number better, and the better reading is never worse", () => {
  const time = fc.oneof(
    fc.integer({ min: 0, max: 2_000 }),
    fc.constant(Number.POSITIVE_INFINITY),
    fc.constant(Number.NaN),
  );
  const rows = fc.array(fc.tuple(time, time, time), { minLength: 1, maxLength: 60 });
  const metricsOf = (times: readonly (readonly number[])[], atBest = false): Record<string, number> =>
    replicationMetrics(replicationOf(specOf(), [workerOf(times)]), null, atBest);
  const notBetter = (worse: Record<string, number>, better: Record<string, number>): void => {
    for (const [metric, value] of Object.entries(worse)) {
      const other = better[metric] ?? Number.POSITIVE_INFINITY;
      if (metric.endsWith("_ratio")) {
        expect(value, metric).toBeLessThanOrEqual(other);
      } else {
        expect(value, metric).toBeGreaterThanOrEqual(better[metric] ?? Number.NaN);
      }
    }
  };
  fc.assert(
    fc.property(rows, fc.nat(), fc.nat(2), (times, at, member) => {
      const found = metricsOf(times);
      notBetter(found, metricsOf(times, true));
      for (const instead of [Number.POSITIVE_INFINITY, Number.NaN]) {
        const worse = times.map((row, index) =>
          index === at % times.length ? row.map((value, place) => (place === member ? instead : value)) : row,
        );
        notBetter(metricsOf(worse), found);
      }
    }),
  );
});

function specOf(): RunSpec {
  const endpoints = [0, 1, 2].map((ordinal) => ({ group: "g", ordinal, pod: `g-${ordinal}`, url: "http://g" }));
  return { endpoints, replication: { deadlineMs: 1_000 } } as unknown as RunSpec;
}

/** What was seen of events that one member acknowledged at 0; ms, infinity for never and NaN for unknown. */
function workerOf(times: readonly (readonly number[])[]): WorkerData {
  const cells = times.flat();
  return {
    result: { health: { eventLoopDelayMs: { p50: 0, p99: 0, max: 0 } } },
    replication: {
      events: times.length,
      followed: times.length,
      acceptedBy: new Int32Array(times.length),
      acceptedUs: new Float64Array(times.length),
      seenUs: Float64Array.from(cells, (ms) => (Number.isFinite(ms) ? ms * 1000 : Number.NaN)),
      notBeforeUs: new Float64Array(cells.length).fill(Number.NaN),
      unknown: Uint8Array.from(cells, (ms) => (Number.isNaN(ms) ? 1 : 0)),
    },
    events: { rows: 0 },
  } as unknown as WorkerData;
}
