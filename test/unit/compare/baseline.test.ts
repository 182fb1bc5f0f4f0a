import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { makeBaseline, overlayOfBaseline, readBaseline, writeBaseline } from "../../../analysis/compare/baseline.ts";
import { readRunRecord } from "../../../analysis/compare/runs.ts";
import { InputError } from "../../../schema/errors.ts";
import { makeRunFolder, type SimulatedOperation } from "../../support/results.ts";

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "orrery-baseline-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe("a baseline", () => {
  test("draws the percentiles of all its runs together, and a mean run over time", async () => {
    const folder = await temporaryFolder();
    const truth: SimulatedOperation[] = [];
    const folders = [1, 2, 3].map((index) => join(folder, `run-${index}`));
    for (const [index, run] of folders.entries()) {
      const options = { run: `run-${index + 1}`, seed: index, ratePerSecond: 100, measureMs: 6_000, killAtMs: null };
      truth.push(...(await makeRunFolder(run, options)));
    }
    const runs = await Promise.all(folders.map(readRunRecord));
    const overlay = overlayOfBaseline(makeBaseline("main", runs, new Date(0)));
    const latencies = truth
      .filter(({ operation, phase }) => operation === "get" && phase === "measure")
      .map(({ intendedMs, completedMs }) => completedMs - intendedMs)
      .sort((a, b) => a - b);
    const p90 = overlay.curves.get("get")?.find(({ odds }) => Math.abs(odds - 10) < 1e-6)?.ms ?? 0;
    const exact = latencies[Math.ceil(latencies.length * 0.9) - 1] ?? 0;
    expect(Math.abs(p90 / exact - 1)).toBeLessThan(0.0015);
    expect(overlay.curves.get("get")?.at(-1)?.odds).toBe(latencies.length);
    const seconds = overlay.timeline.filter(({ startMs }) => startMs >= 0 && startMs < 6_000);
    expect(seconds).toHaveLength(6);
    expect(seconds[0]?.startMs).toBe(0);
    expect(seconds.every(({ offeredRate }) => Math.abs(offeredRate - 100) < 2)).toBe(true);
  });

  test("is read back as it was written, and refused when it is damaged or of another version", async () => {
    const folder = await temporaryFolder();
    await makeRunFolder(join(folder, "run-1"), { run: "run-1", ratePerSecond: 50, measureMs: 4_000, killAtMs: null });
    const baseline = makeBaseline("main", [await readRunRecord(join(folder, "run-1"))], new Date(0));
    const file = await writeBaseline(folder, baseline);
    expect(await readBaseline(folder, "main")).toEqual(baseline);
    expect(await readBaseline(folder, "other")).toBeUndefined();
    const text = await readFile(file, "utf8");
    for (const broken of [text.slice(0, 500), text.replace("baseline/v1", "baseline/v2")]) {
      await writeFile(file, broken);
      await expect(readBaseline(folder, "main")).rejects.toThrow(InputError);
    }
    await expect(readBaseline(folder, "../main")).rejects.toThrow(/no name for a baseline/);
  });
});
