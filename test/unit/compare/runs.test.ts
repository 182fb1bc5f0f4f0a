import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readRunRecord } from "../../../analysis/compare/runs.ts";
import { cutFile, makeRunFolder, type RunOptions } from "../../support/results.ts";

const short: RunOptions = {
  run: "run-1",
  ratePerSecond: 100,
  warmupMs: 2_000,
  measureMs: 8_000,
  killAtMs: 3_000,
  objectives: [],
};

async function recordOf(options: RunOptions, change: (folder: string) => Promise<void> = async () => {}) {
  const folder = await mkdtemp(join(tmpdir(), "orrery-record-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await makeRunFolder(join(folder, "run-1"), { ...short, ...options });
  await change(join(folder, "run-1"));
  return await readRunRecord(join(folder, "run-1"));
}

describe("the record of a run", () => {
  test("has its metrics, and how many operations they rest on", async () => {
    const { record, against } = await recordOf({});
    expect(against).toEqual([]);
    expect(record.values["get.latency.p99"]).toBeGreaterThan(0);
    expect(record.values.success_ratio).toBe(1);
    expect((record.operations.get ?? 0) + (record.operations.put ?? 0)).toBe(800);
  });

  test("has a failover without end as worse than any, not as missing", async () => {
    const { record } = await recordOf({ outage: { fromMs: 3_002, forMs: 60_000, manner: "refused" } });
    expect(record.values.failover).toBeNull();
    const recovered = await recordOf({ outage: { fromMs: 3_002, forMs: 1_000, manner: "refused" } });
    expect(recovered.record.values.failover).toBeGreaterThan(900);
  });

  test("has the conditions that change results, and none that do not", async () => {
    const one = await recordOf({ seed: 1 });
    const other = await recordOf({ seed: 2, objectives: [{ metric: "lost_writes", max: 0 }] });
    expect(other.record.conditions).toEqual(one.record.conditions);
    for (const change of [{ workers: 3 }, { ratePerSecond: 90 }, { operations: { get: 1 } }, { killAtMs: null }]) {
      const changed = await recordOf({ ...change, seed: 1 });
      expect(changed.record.conditions, JSON.stringify(change)).not.toEqual(one.record.conditions);
    }
  });

  test("of a damaged run has no values, and says why", async () => {
    const { record, against } = await recordOf({}, (folder) => cutFile(folder, "workers/1/events.parquet"));
    expect(against).toEqual(["results-damaged"]);
    expect(record.values).toEqual({});
  });
});
