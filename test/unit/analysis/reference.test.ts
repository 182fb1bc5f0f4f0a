import { describe, expect, test } from "vitest";
import type { WorkerResult } from "../../../schema/results.ts";
import { analysed, remarkedChecks, shortRun } from "./run.ts";

type Reference = NonNullable<WorkerResult["reference"]>;

/** A run whose first worker compared itself, with these seconds for each 1,000 transfers. */
async function compared(reference: Reference | undefined, min = 0.8) {
  return await analysed({
    ...shortRun,
    objectives: [
      { metric: "reference_ratio", min },
      { metric: "reference_rate", min: "1/s" },
    ],
    editWorker: (worker) => (worker.worker === 0 && reference !== undefined ? { ...worker, reference } : worker),
  });
}
const windows = (seconds: Readonly<Record<"raw" | "connector", readonly number[]>>): Reference => ({
  transfers: 1_000,
  windows: (["raw", "connector"] as const).flatMap((sender) =>
    seconds[sender].map((each) => ({ sender, seconds: each, cpuSeconds: sender === "raw" ? 0.1 : 0.8 })),
  ),
});

describe("the connector beside a raw sender", () => {
  test("medians of the windows make the ratio, so that one slow window decides nothing", async () => {
    const { summary } = await compared(windows({ raw: [2, 2, 50], connector: [2.5, 2, 2.5] }));
    expect(summary.reference).toEqual({
      windows: 3,
      transfers: 1_000,
      raw: { rate: 500, cpu_ms: 0.1 },
      connector: { rate: 400, cpu_ms: 0.8 },
      ratio: 0.8,
    });
    expect(summary.metrics).toMatchObject({ reference_ratio: 0.8, reference_rate: 500 });
    expect(summary.objectives.map(({ met }) => met)).toEqual([true, true]);
    expect(summary.checks.find(({ check }) => check === "driver-reference")).toMatchObject({
      outcome: "passed",
      text: "The driver got 400/s through, a raw sender 500/s: 80 %, by 3 windows of 1,000 transfers each. Of its CPU the driver took 0.8 ms for each, the raw sender 0.1 ms.",
    });
  });

  test("a driver well below is remarked upon, and an objective on it is missed; the run stays valid", async () => {
    const run = await compared(windows({ raw: [2, 2], connector: [4, 4] }));
    expect(remarkedChecks(run)).toContain("driver-reference");
    expect(run.summary).toMatchObject({ valid: true, verdict: "fail" });
    expect(run.summary.objectives[0]).toMatchObject({ value: 0.5, met: false });
  });

  test("without whole windows there is no number, and what went wrong is said", async () => {
    const broken = { ...windows({ raw: [2], connector: [] }), problem: "the raw sender was refused: HTTP 200" };
    const run = await compared(broken);
    expect(run.summary.reference).toBeUndefined();
    expect(run.summary.metrics).not.toHaveProperty("reference_ratio");
    expect(run.summary.objectives[0]).toMatchObject({ met: false, reason: expect.stringContaining("was refused") });
    expect(remarkedChecks(run)).toContain("driver-reference");
  });

  test("where nobody compared, the check does not arise and an objective says how to ask for it", async () => {
    const { summary } = await compared(undefined);
    expect(summary.checks.find(({ check }) => check === "driver-reference")).toMatchObject({ outcome: "skipped" });
    expect(summary.objectives[0]?.reason).toContain("workload.parameters.reference");
  });
});
