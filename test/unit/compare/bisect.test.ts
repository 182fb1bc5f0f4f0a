import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BisectOptions, bisect, type RunVersion } from "../../../analysis/compare/bisect.ts";
import type { RunRecord } from "../../../schema/comparison.ts";
import { noisy, runsOf } from "./support.ts";

const metric = "get.latency.p99";
const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `v${index}`);
const options: BisectOptions = { runs: 6, mostRuns: 20, resamples: 200 };

/** Runs of versions whose medians are these, varying by so much; and how many were made of each. */
function network(medians: readonly number[], variation: number) {
  const made = new Map<string, number>();
  const runVersion: RunVersion = async (version, count) => {
    const before = made.get(version) ?? 0;
    made.set(version, before + count);
    const index = Number(version.slice(1));
    const values = noisy(1_000 * index + before, count, medians[index] ?? 0, variation);
    return runsOf(metric, values, `${version}-${before}-`) satisfies RunRecord[];
  };
  return { made, runVersion };
}

describe("bisecting", () => {
  test("finds the first bad version, wherever it is, in as many steps as halving takes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 30 }), fc.nat(), async (count, at) => {
        const first = 1 + (at % (count - 1));
        const medians = names(count).map((_, index) => (index < first ? 20 : 30));
        const { runVersion } = network(medians, 0.01);
        const result = await bisect(names(count), runVersion, options);
        expect(result).toMatchObject({ outcome: "found", among: [`v${first}`] });
        expect(result.steps.length).toBeLessThanOrEqual(1 + Math.ceil(Math.log2(count)));
      }),
      { numRuns: 25 },
    );
  });

  test("says so when the bad version is no worse, and looks no further", async () => {
    const { runVersion, made } = network([20, 20, 20, 20], 0.01);
    const result = await bisect(names(4), runVersion, options);
    expect(result).toMatchObject({ outcome: "none", among: [] });
    expect([...made.keys()]).toEqual(["v0", "v3"]);
  });

  test("makes more runs of both where it is unclear, within bounds", async () => {
    const { runVersion, made } = network([20, 20, 20], 0.3);
    const result = await bisect(names(3), runVersion, { ...options, mostRuns: 9 });
    expect(result.outcome).toBe("inconclusive");
    expect([made.get("v0"), made.get("v2"), made.get("v1")]).toEqual([9, 9, undefined]);
  });

  test("goes round a version that stays unclear, and names what it could not tell apart", async () => {
    // v2 is worse by nearly as much as matters, so no such number of runs tells it from good or bad.
    const medians = [20, 20, 20.9, 30, 30];
    const { runVersion } = network(medians, 0.015);
    const result = await bisect(names(5), runVersion, { ...options, mostRuns: 8 });
    expect(result).toMatchObject({ outcome: "narrowed", among: ["v2", "v3"] });
    expect(result.steps.find(({ version }) => version === "v2")?.outcome).toBe("inconclusive");
  });

  test("needs no runs between two neighbours", async () => {
    const { runVersion, made } = network([20, 30], 0.01);
    expect(await bisect(names(2), runVersion, options)).toMatchObject({ outcome: "found", among: ["v1"] });
    expect([...made.values()]).toEqual([6, 6]);
  });
});
