import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readEvents } from "../../../analysis/events.ts";
import { decodeHistogram, mergeHistograms, percentilesMs } from "../../../analysis/histogram.ts";
import { eventColumns } from "../../../schema/results.ts";
import { EventLog } from "../../../workloads/core/events.ts";
import { cpuBetween, readCpu } from "../../../workloads/core/health.ts";
import { emptyHistogram, encodeHistogram, longestUs, recordUs } from "../../../workloads/core/histogram.ts";
import type { Completed } from "../../../workloads/core/load.ts";
import { Recorder } from "../../../workloads/core/recorder.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "orrery-recorder-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const startUs = 1_700_000_000_000_000;

const ended = (intended: number, sent: number, completed: number, changes: Partial<Completed> = {}): Completed => ({
  operation: "put",
  intendedUs: startUs + intended,
  sentUs: startUs + sent,
  completedUs: startUs + completed,
  outcome: { ok: true, endpoint: 1, attempts: 1 },
  ...changes,
});

describe("histograms", () => {
  test("parts merge to the whole, exactly", () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.integer({ min: 0, max: 700_000_000 }), { maxLength: 40 })), (parts) => {
        const encode = (values: readonly number[]): string => {
          const histogram = emptyHistogram();
          for (const value of values) {
            recordUs(histogram, value);
          }
          return encodeHistogram(histogram);
        };
        const whole = decodeHistogram(encode(parts.flat()));
        const merged = mergeHistograms(parts.map(encode));
        expect(merged.totalCount).toBe(whole.totalCount);
        expect(percentilesMs(merged)).toEqual(percentilesMs(whole));
        expect(merged.outputPercentileDistribution()).toBe(
          mergeHistograms([encode(parts.flat())]).outputPercentileDistribution(),
        );
      }),
      { numRuns: 30 },
    );
  });

  test("1 µs to 10 min are kept with three digits, and what is longer counts as 10 min", () => {
    for (const us of [1, 999, 123_456, 59_999_999, longestUs]) {
      const histogram = emptyHistogram();
      recordUs(histogram, us);
      expect(Math.abs(histogram.getValueAtPercentile(50) - us) / us).toBeLessThanOrEqual(0.001);
    }
    const histogram = emptyHistogram();
    recordUs(histogram, 2 * longestUs);
    expect(histogram.getValueAtPercentile(100)).toBeGreaterThanOrEqual(longestUs);
  });
});

describe("recorder", () => {
  const recorded = () => {
    const recorder = new Recorder(["put", "get"], startUs, startUs + 1e6, new EventLog(0));
    const fail = { ok: false, code: "timeout", endpoint: 2, attempts: 3 };
    const all = [
      ended(500_000, 500_000, 501_000), // warm-up
      ended(999_999, 1_000_000, 1_200_000), // warm-up by its intended time
      ended(1_000_000, 1_000_500, 1_004_000),
      ended(1_500_000, 1_500_000, 3_500_000, { outcome: fail }),
    ];
    for (const done of all) {
      recorder.offered(done.operation, done.intendedUs);
      recorder.sent(done.operation, done.intendedUs);
    }
    recorder.offered("put", startUs + 1_600_000);
    recorder.dropped("put", startUs + 1_600_000);
    for (const done of all) {
      recorder.completed(done);
    }
    return recorder;
  };

  test("the measure phase counts by intended time; failures stay in the distribution with their duration", () => {
    const recorder = recorded();
    const put = recorder.finish(startUs + 3_600_000).put;
    expect(put).toMatchObject({ offered: 3, sent: 2, succeeded: 1, dropped: 1, errors: { timeout: 1 } });
    const of = (encoded: string | undefined) => percentilesMs(decodeHistogram(encoded ?? ""));
    expect(of(put?.latency)?.max).toBeCloseTo(2000, -1);
    expect(of(put?.successLatency)?.max).toBeCloseTo(4, 1);
    expect(of(put?.serviceTime)?.p50).toBeCloseTo(3.5, 1);
    expect(recorder.mostInFlight).toBe(4);
  });

  test("intervals hold every second of the whole run: offered by intended time, answered by time of answer", () => {
    const result = recorded().finish(startUs + 3_600_000);
    const seen = result.put?.intervals.map(({ atMs, offered, completed, failed, latency }) => [
      atMs,
      offered,
      completed,
      failed,
      decodeHistogram(latency).totalCount,
    ]);
    expect(seen).toEqual([
      [0, 2, 1, 0, 1],
      [1000, 3, 2, 0, 2],
      [2000, 0, 0, 0, 0],
      [3000, 0, 1, 1, 1],
    ]);
    expect(result.get?.intervals.map(({ completed }) => completed)).toEqual([0, 0, 0, 0]);
  });

  test("progress tells totals and the last whole second", () => {
    const recorder = recorded();
    recorder.roll(startUs + 4_000_001);
    expect(recorder.progress()).toMatchObject({ offered: 5, completed: 4, failed: 1, inFlight: 0, ratePerSecond: 1 });
    expect(recorder.progress().p99Ms).toBeCloseTo(2000, -1);
  });
});

describe("event log", () => {
  test("every row comes back as it was, over several row groups, in the columns of the contract", async () => {
    const log = new EventLog(3);
    const rows = 150_000;
    for (let row = 0; row < rows; row += 1) {
      const ok = row % 7 !== 0;
      const outcome = { ok, endpoint: row % 3, attempts: 1 + (row % 2), ...(ok ? {} : { code: "no_leader" }) };
      const done = ended(row, row + 5, row + 1005, { operation: row % 2 === 0 ? "put" : "get", outcome });
      log.add(done, row >= 1000, ok ? "ok" : "no_leader");
    }
    const file = join(folder, "events.parquet");
    await log.write(file);
    const buffer = await asyncBufferFromFile(file);
    const { row_groups: groups } = await parquetMetadataAsync(buffer);
    expect(groups).toHaveLength(3);
    const [first] = await parquetReadObjects({ file: buffer, rowStart: 70_000, rowEnd: 70_001 });
    expect(Object.keys(first ?? {})).toEqual(eventColumns.map(({ name }) => name));
    expect(first).toEqual({
      worker: 3,
      operation: "put",
      phase: "measure",
      endpoint: 1,
      intended_us: BigInt(startUs + 70_000),
      sent_us: BigInt(startUs + 70_005),
      completed_us: BigInt(startUs + 71_005),
      outcome: "no_leader",
      attempts: 1,
    });
    const table = await readEvents(file, 3); // as the analysis reads it
    expect(table.rows).toBe(rows);
    expect(table.measured.reduce((sum, measured) => sum + measured, 0)).toBe(rows - 1000);
    expect(table.intendedUs[149_999]).toBe(startUs + 149_999);
    const failed = table.outcomes.indexOf("no_leader");
    expect(table.outcome.filter((outcome) => outcome === failed)).toHaveLength(Math.ceil(rows / 7));
  });

  test("a log without a row is a whole file too", async () => {
    const file = join(folder, "events.parquet");
    await new EventLog(0).write(file);
    expect((await readEvents(file, 0)).rows).toBe(0);
  });
});

describe("CPU accounting", () => {
  const lay = async (files: Readonly<Record<string, string>>): Promise<string> => {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(folder, path, ".."), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    return folder;
  };

  test("cgroup v2, as a container sees it and as its host does", async () => {
    const stat = "usage_usec 2500000\nuser_usec 1\nnr_throttled 3\nthrottled_usec 750000\n";
    const files = { "sys/fs/cgroup/cpu.stat": stat, "sys/fs/cgroup/cpu.max": "150000 100000\n" };
    const root = await lay({ "proc/self/cgroup": "0::/kubepods/pod1/c1\n", ...files });
    expect(readCpu(root)).toEqual({ usedSeconds: 2.5, throttledSeconds: 0.75, limitCores: 1.5 });
    await lay({
      "sys/fs/cgroup/kubepods/pod1/c1/cpu.stat": stat.replace("2500000", "1000000"),
      "sys/fs/cgroup/kubepods/pod1/c1/cpu.max": "max 100000\n",
    });
    expect(readCpu(root)).toEqual({ usedSeconds: 1, throttledSeconds: 0.75, limitCores: null });
  });

  test("cgroup v1", async () => {
    const root = await lay({
      "proc/self/cgroup": "9:cpu,cpuacct:/pod1/c1\n4:memory:/pod1/c1\n",
      "sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "3000000000\n",
      "sys/fs/cgroup/cpu,cpuacct/cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_time 500000000\n",
      "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
      "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    });
    expect(readCpu(root)).toEqual({ usedSeconds: 3, throttledSeconds: 0.5, limitCores: 2 });
  });

  test("nothing is made up where nothing can be read", async () => {
    expect(readCpu(folder)).toBeNull();
    expect(cpuBetween(null, { usedSeconds: 1, throttledSeconds: 0, limitCores: null })).toBeNull();
    expect(
      cpuBetween(
        { usedSeconds: 1, throttledSeconds: 0.5, limitCores: 2 },
        { usedSeconds: 4, throttledSeconds: 0.75, limitCores: 2 },
      ),
    ).toEqual({ usedSeconds: 3, throttledSeconds: 0.25, limitCores: 2 });
  });
});
