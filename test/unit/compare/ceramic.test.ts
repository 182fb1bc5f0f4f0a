import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { compareRuns } from "../../../analysis/compare/compare.ts";
import type { RunRecord } from "../../../schema/comparison.ts";
import { runRecord } from "./support.ts";

/** Windows of a real network, recorded by scripts/record-ceramic.ts; see `conditions` in the file. */
const recordedSchema = z.strictObject({
  conditions: z.record(z.string(), z.string()),
  arms: z.record(z.enum(["first", "second", "slowed", "halted"]), z.array(z.record(z.string(), z.number()))),
});
const { arms } = recordedSchema.parse(JSON.parse(readFileSync("test/fixtures/ceramic-arms.json", "utf8")));

const side = (arm: keyof typeof arms): { runs: RunRecord[] } => ({
  runs: arms[arm].map((values, index) =>
    runRecord(`${arm}-${index}`, values, {
      experiment: "ceramic",
      operations: { create: 24, update: 48, writes: 72 },
      conditions: { "workload.arrival.rate": "12" },
    }),
  ),
});
const against = (arm: keyof typeof arms) => compareRuns(side("first"), side(arm), { resamples: 500 });
const worse = (arm: keyof typeof arms): string[] =>
  against(arm)
    .metrics.filter(({ finding }) => finding === "worse")
    .map(({ metric }) => metric);

describe("a Ceramic network's figures, over short windows", () => {
  test("the same twice is no regression", () => {
    expect(worse("second")).toEqual([]);
    expect(against("second").outcome).not.toBe("regression");
  });

  test.each(["slowed", "halted"] as const)(
    "a %s peer is: fewer writes come to be everywhere, and less evenly",
    (arm) => {
      expect(against(arm).outcome).toBe("regression");
      expect(worse(arm)).toEqual(expect.arrayContaining(["replicated_ratio", "writes.balance"]));
    },
  );

  test("writes that the accepting peer does not keep are, by as little as one in fifty; no window here lost any", () => {
    const lossy = side("second").runs.map((run) => ({ ...run, values: { ...run.values, persisted_ratio: 0.98 } }));
    const comparison = compareRuns(side("first"), { runs: lossy }, { resamples: 500 });
    expect(comparison.outcome).toBe("regression");
    expect(comparison.metrics.find(({ metric }) => metric === "persisted_ratio")?.finding).toBe("worse");
    const kept = Object.values(arms).flatMap((windows) => windows.map((window) => window.persisted_ratio));
    expect(new Set(kept)).toEqual(new Set([1]));
  });
});
