import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareRuns } from "../../../analysis/compare/compare.ts";
import { parseThreshold } from "../../../analysis/compare/metrics.ts";
import { leastRuns, noetherRuns } from "../../../analysis/compare/runs-needed.ts";
import type { RunRecord } from "../../../schema/comparison.ts";
import { InputError } from "../../../schema/errors.ts";
import { noisy, runRecord, runsOf } from "./support.ts";

const p99 = "get.latency.p99";
const side = (runs: readonly RunRecord[]) => ({ runs });
const scaled = (values: readonly number[], by: number): number[] => values.map((value) => value * by);
const compareValues = (first: readonly (number | null)[], second: readonly (number | null)[], metric = p99) =>
  compareRuns(side(runsOf(metric, first, "a")), side(runsOf(metric, second, "b")), { resamples: 500 });

describe("the outcome", () => {
  const quiet = noisy(1, 10, 20, 0.02);
  const others = noisy(2, 10, 20, 0.02);

  test("is a regression when a latency rises by more than matters, pass when it does not", () => {
    expect(compareValues(quiet, scaled(others, 1.1)).outcome).toBe("regression");
    expect(compareValues(quiet, others).outcome).toBe("pass");
  });

  test("is a pass when it falls, and says so", () => {
    const comparison = compareValues(quiet, scaled(others, 0.9));
    expect(comparison.outcome).toBe("pass");
    expect(comparison.metrics[0]).toMatchObject({ finding: "better", better: "lower" });
    expect(comparison.metrics[0]?.change).toBeCloseTo(-0.1, 1);
  });

  test("of a rate is the other way round", () => {
    expect(compareValues(quiet, scaled(others, 0.9), "get.rate").outcome).toBe("regression");
    expect(compareValues(quiet, scaled(others, 1.1), "get.rate").metrics[0]?.finding).toBe("better");
  });

  test("of a change that is sure but too small to matter is a pass", () => {
    const comparison = compareValues(noisy(3, 20, 20, 0.004), scaled(noisy(4, 20, 20, 0.004), 1.02));
    expect(comparison.metrics[0]?.p_corrected).toBeLessThan(0.001);
    expect(comparison.outcome).toBe("pass");
  });

  test("of noisy runs is inconclusive, and says how many more would do", () => {
    const comparison = compareValues(noisy(5, 6, 20, 0.15), noisy(6, 6, 20, 0.15));
    expect(comparison.outcome).toBe("inconclusive");
    expect(comparison.more_runs ?? 0).toBeGreaterThan(5);
  });

  test.each([1, 2])("of %d runs a side is inconclusive, however far apart they are", (runs) => {
    const comparison = compareValues(noisy(7, runs, 20, 0.01), noisy(8, runs, 80, 0.01));
    expect(comparison.outcome).toBe("inconclusive");
    expect(comparison.metrics[0]?.interval).toBeNull();
    expect(comparison.more_runs ?? 0).toBeGreaterThanOrEqual(leastRuns(0.025) - runs);
  });

  test("follows the threshold that is asked for", () => {
    const [first, second] = [runsOf(p99, quiet, "a"), runsOf(p99, scaled(others, 1.1), "b")];
    const lenient = { thresholds: [parseThreshold("*.latency.p99=20%")] };
    expect(compareRuns(side(first), side(second), lenient).outcome).toBe("pass");
  });

  test("does not hang on the order of runs, or on which unit latencies have", () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(quiet, { minLength: 10 }),
        fc.double({ min: 0.5, max: 500, noNaN: true }),
        (shuffled, unit) => {
          const original = compareValues(quiet, scaled(others, 1.07)).metrics[0];
          const found = compareValues(scaled(shuffled, unit), scaled(others, 1.07 * unit)).metrics[0];
          expect(found?.finding).toBe(original?.finding);
          expect(found?.p).toBeCloseTo(original?.p ?? 0, 12);
          expect(found?.change).toBeCloseTo(original?.change ?? 0, 9);
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe("one metric", () => {
  test("has hand-computed effect, delta and p", () => {
    const comparison = compareValues([10, 11, 12, 13], [20, 22, 24, 26]);
    expect(comparison.metrics[0]).toMatchObject({ cliffs_delta: 1, difference: 11.5 });
    expect(comparison.metrics[0]?.p).toBeCloseTo(2 / 70, 12);
    // Of the sixteen ratios the eighth and ninth are 22/11 (of four equal ones): twice as long.
    expect(comparison.metrics[0]?.change).toBeCloseTo(1, 9);
  });

  test("without end in some runs is worse, not missing", () => {
    const comparison = compareValues(noisy(1, 6, 900, 0.05), [null, null, null, null, 5_000, null], "failover");
    expect(comparison.outcome).toBe("regression");
    expect(comparison.metrics[0]).toMatchObject({ finding: "worse", change: null, candidate: { median: null } });
  });

  test("is not judged in part: runs without a value are named", () => {
    const runs = [...runsOf(p99, noisy(1, 5, 20, 0.01), "a"), runRecord("a9", { "get.rate": 5 })];
    const comparison = compareRuns(side(runs), side(runsOf(p99, noisy(2, 5, 20, 0.01), "b")));
    expect(comparison.metrics.find(({ metric }) => metric === p99)).toMatchObject({
      finding: "shown",
      why: "1 run of 11 had no value",
    });
  });

  test("is not judged where a run has too few operations for it", () => {
    const few = { operations: { get: 999 } };
    const records = (prefix: string): RunRecord[] =>
      noisy(1, 6, 20, 0.01).map((value, index) =>
        runRecord(`${prefix}${index}`, { [p99]: value, "get.latency.p50": value / 3 }, few),
      );
    const comparison = compareRuns(side(records("a")), side(records("b")));
    expect(comparison.metrics.map(({ finding }) => finding)).toEqual(["shown", "no-worse"]);
  });

  test("of the served share is judged by its share, since a backlog moves it by a little", () => {
    const [first, second] = [noisy(11, 8, 1, 0.004), noisy(12, 8, 1, 0.004)];
    const findings = [1, 0.9].map((by) => {
      const comparison = compareValues(first, scaled(second, by), "achieved_ratio");
      return comparison.metrics[0]?.finding;
    });
    expect(findings).toEqual(["shown", "shown"]); // no arrival is known here, so the rates are judged
    const open = { conditions: { "workload.arrival.rate": "300" } };
    const runs = (values: readonly number[], prefix: string): RunRecord[] =>
      values.map((value, index) => runRecord(`${prefix}${index}`, { achieved_ratio: value }, open));
    const outcome = (by: number) => compareRuns(side(runs(first, "a")), side(runs(scaled(second, by), "b"))).outcome;
    expect([outcome(1), outcome(0.9)]).toEqual(["pass", "regression"]);
  });

  test("of failovers under what can be seen is alike", () => {
    const comparison = compareValues([0, 0, 20, 0, 3], [60, 90, 0, 80, 95], "failover");
    expect(comparison.metrics[0]).toMatchObject({ finding: "no-worse", change: 0 });
  });
});

describe("lost writes", () => {
  test.each<[string, number[], number[], string]>([
    ["none on either side", [0], [0], "pass"],
    ["one, where there were none", [0, 0, 0], [0, 1, 0], "regression"],
    ["fewer, but some", [3, 4, 5], [1, 0, 1], "pass"],
    ["about as many", [3, 4, 5], [5, 4, 3], "inconclusive"],
    ["many more", [1, 2, 1, 2, 1, 2], [9, 8, 9, 8, 9, 8], "regression"],
  ])("%s", (_, first, second, outcome) => {
    expect(compareValues(first, second, "lost_writes").outcome).toBe(outcome);
  });
});

describe("several metrics", () => {
  test("are corrected for, those that never vary excepted", () => {
    const run = (prefix: string, index: number, by: number): RunRecord =>
      runRecord(`${prefix}${index}`, {
        [p99]: (noisy(index + (prefix === "a" ? 0 : 50), 1, 20, 0.03)[0] ?? 0) * by,
        "get.latency.p50": noisy(index + 100 + (prefix === "a" ? 0 : 50), 1, 5, 0.03)[0] ?? 0,
        success_ratio: 1,
        lost_writes: 0,
      });
    const runs = (prefix: string, by: number): RunRecord[] =>
      Array.from({ length: 10 }, (_, index) => run(prefix, index, by));
    const comparison = compareRuns(side(runs("a", 1)), side(runs("b", 1.15)));
    expect(comparison.tests).toBe(2);
    const found = comparison.metrics.find(({ metric }) => metric === p99);
    expect(found?.p_corrected).toBeCloseTo(2 * (found?.p ?? 0), 9);
    expect(comparison.outcome).toBe("regression");
  });

  test("can be chosen from", () => {
    const runs = (prefix: string, slow: number): RunRecord[] =>
      noisy(slow * 7, 8, 20, 0.02).map((value, index) =>
        runRecord(`${prefix}${index}`, { [p99]: value * slow, "put.latency.p50": value }),
      );
    const options = { metrics: ["put.*"] };
    expect(compareRuns(side(runs("a", 1)), side(runs("b", 2))).outcome).toBe("regression");
    expect(compareRuns(side(runs("a", 1)), side(runs("b", 2)), options).outcome).toBe("pass");
  });
});

describe("what cannot be compared is refused, by name", () => {
  const good = runsOf(p99, [1, 2, 3], "a");
  const refusal = (action: () => unknown): string => {
    try {
      action();
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
      return (error as InputError).message;
    }
    throw new Error("it was not refused");
  };

  test("another number of replicas, until it is allowed", () => {
    const other = runsOf(p99, [1, 2, 3], "b").map((run) => ({
      ...run,
      conditions: { ...run.conditions, "network.replicas": "5" },
    }));
    const message = refusal(() => compareRuns(side(good), side(other)));
    expect(message).toMatch(/network\.replicas: the runs differ in it: 3 in a0 and 2 more, 5 in b0 and 2 more/);
    const allowed = compareRuns(side(good), side(other), { allow: ["network.*"] });
    expect(allowed.warnings.map(({ check }) => check)).toEqual(["conditions-differ"]);
  });

  test("a run named twice", () => {
    expect(refusal(() => compareRuns(side(good), side(good)))).toMatch(/named twice/);
  });

  test("a metric nobody measured", () => {
    const message = refusal(() =>
      compareRuns(side(good), side(runsOf(p99, [1], "b")), { metrics: ["get.latency.p98"] }),
    );
    expect(message).toMatch(/no run has a value of such a metric\. There are get\.latency\.p99\./);
  });

  test("a threshold in a unit the metric does not have", () => {
    const thresholds = [parseThreshold("get.latency.p99=2pp")];
    expect(refusal(() => compareRuns(side(good), side(runsOf(p99, [1], "b")), { thresholds }))).toMatch(
      /written "2%", not "2pp"/,
    );
    expect(refusal(() => parseThreshold("p99:5"))).toMatch(/no threshold/);
    expect(refusal(() => parseThreshold("p99=100%"))).toMatch(/no threshold/);
  });
});

describe("warnings", () => {
  test("name other versions, mixed images, and sides that ran one after the other", () => {
    const records = (prefix: string, minute: number, images: string[]): RunRecord[] =>
      noisy(minute, 4, 20, 0.01).map((value, index) =>
        runRecord(
          `${prefix}${index}`,
          { [p99]: value },
          {
            started: `2026-01-15T12:${minute + index}:00.000Z`,
            images: { kv: images[index % images.length] ?? "" },
            surroundings: { kubernetes: prefix },
          },
        ),
      );
    const checks = (first: RunRecord[], second: RunRecord[]): string[] =>
      compareRuns(side(first), side(second)).warnings.map(({ check }) => check);
    expect(checks(records("a", 10, ["x"]), records("b", 20, ["y", "z"]))).toEqual([
      "surroundings-differ",
      "images-differ",
      "one-after-the-other",
    ]);
    expect(checks(records("a", 10, ["x"]), records("b", 12, ["y"]))).toEqual(["surroundings-differ"]);
  });
});

describe("runs needed", () => {
  test("are Noether's, and not fewer than could ever be significant", () => {
    // Worked by hand: (1.6449 + 0.8416)² / (6 · 0.25²) = 6.1826 / 0.375
    expect(noetherRuns(0.75, 0.05)).toBeCloseTo(16.49, 1);
    expect(leastRuns(0.05)).toBe(3); // 1/20
    expect(leastRuns(0.025)).toBe(4); // 1/70
  });

  test("settle what was unclear, four times in five", () => {
    let settled = 0;
    const trials = 60;
    for (let trial = 0; trial < trials; trial += 1) {
      const seed = 1_000 * trial;
      const first = compareValues(noisy(seed, 5, 20, 0.08), noisy(seed + 1, 5, 20, 0.08));
      const runs = 5 + (first.more_runs ?? 0);
      const outcome =
        first.outcome === "inconclusive" && first.more_runs !== null
          ? compareValues(noisy(seed + 2, runs, 20, 0.08), noisy(seed + 3, runs, 20, 0.08)).outcome
          : first.outcome;
      settled += outcome === "inconclusive" ? 0 : 1;
    }
    // The estimate comes from five runs a side, so it is right on the whole rather than each time.
    expect(settled / trials).toBeGreaterThan(0.5);
  });
});
