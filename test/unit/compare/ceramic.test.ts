import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { compareRuns } from "../../../analysis/compare/compare.ts";
import type { Finding, RunRecord } from "../../../schema/comparison.ts";
import { runRecord } from "./support.ts";

/** Windows of one network on the local cluster, recorded by scripts/record-ceramic.ts; see `conditions` in the file. */
const recordedSchema = z.strictObject({
  conditions: z.record(z.string(), z.string()),
  arms: z.record(z.enum(["first", "second", "slowed", "killed"]), z.array(z.record(z.string(), z.number())).min(5)),
});
const { arms } = recordedSchema.parse(JSON.parse(readFileSync("test/fixtures/ceramic-arms.json", "utf8")));

/** What Keramik's README wants compared: C1, C2, P1 and how even it is over the nodes, P3. */
const c1 = "writes.persisted_ratio";
const c2 = "replicated_ratio";
const balance = "writes.balance";
const metrics = ["persisted_ratio", c1, c2, balance, "writes.success_ratio"];

const side = (arm: keyof typeof arms): { runs: RunRecord[] } => ({
  runs: arms[arm].map((values, index) =>
    runRecord(`${arm}-${index}`, values, {
      experiment: "ceramic",
      operations: { create: 8, update: 16, writes: 24 },
      conditions: { "workload.arrival.rate": "4" },
    }),
  ),
});
const against = (candidate: { runs: RunRecord[] }) =>
  compareRuns(side("first"), candidate, { resamples: 500, metrics });
const findings = (candidate: { runs: RunRecord[] }): Record<string, Finding> =>
  Object.fromEntries(against(candidate).metrics.map(({ metric, finding }) => [metric, finding]));

describe("a Ceramic network's correctness, over short windows on one network", () => {
  test("is no worse the second time", () => {
    expect(Object.values(findings(side("second")))).not.toContain("worse");
    expect(against(side("second")).outcome).not.toBe("regression");
  });

  test.each(["slowed", "killed"] as const)("is worse with a %s peer: C1, C2, and how even writes are", (arm) => {
    expect(against(side(arm)).outcome).toBe("regression");
    expect(findings(side(arm))).toMatchObject({ [c1]: "worse", [c2]: "worse", [balance]: "worse" });
  });

  // What a peer acknowledged it kept, in every window: of that C1 shows a loss as small as one in fifty.
  test("is worse where a peer loses what it acknowledged, which no peer here did", () => {
    const lossy = side("second").runs.map((run) => ({ ...run, values: { ...run.values, persisted_ratio: 0.98 } }));
    const found = findings({ runs: lossy });
    expect(found.persisted_ratio).toBe("worse");
    expect(Object.keys(found).filter((metric) => found[metric] === "worse")).toEqual(["persisted_ratio"]);
    const kept = Object.values(arms).flatMap((windows) => windows.map((window) => window.persisted_ratio));
    expect(new Set(kept)).toEqual(new Set([1]));
  });
});
