import { describe, expect, test } from "vitest";
import { judgeObjectives } from "../../../analysis/objectives.ts";
import { verdictOf } from "../../../analysis/verdict.ts";
import type { Objective } from "../../../schema/objectives.ts";
import type { ObjectiveResult, Reason } from "../../../schema/summary.ts";

const reason: Reason = { check: "workers", text: "Worker 1 was lost.", fix: "Run again." };
const result = (met: boolean): ObjectiveResult => ({ metric: "success_ratio", kind: "ratio", value: 0.5, met });

describe("the verdict", () => {
  test.each([
    ["pass", [], []],
    ["pass", [], [true, true]],
    ["fail", [], [true, false]],
    ["fail", [], [false]],
    ["invalid", [reason], []],
    ["invalid", [reason], [true]],
    ["invalid", [reason, reason], [false]],
  ] as const)("is %s", (verdict, reasons, met) => {
    expect(verdictOf(reasons, met.map(result))).toBe(verdict);
  });
});

describe("an objective", () => {
  const cases: [string, Objective, number | undefined, boolean, string | undefined][] = [
    ["at its minimum", { metric: "success_ratio", kind: "ratio", min: 0.999 }, 0.999, true, undefined],
    [
      "under its minimum",
      { metric: "success_ratio", kind: "ratio", min: 0.999 },
      0.99899,
      false,
      "99.899 % is less than 99.9 %",
    ],
    ["at its maximum", { metric: "get.latency.p99", kind: "duration", max: 50 }, 50, true, undefined],
    [
      "over its maximum",
      { metric: "get.latency.p99", kind: "duration", max: 50 },
      1_234,
      false,
      "1.23 s is more than 50 ms",
    ],
    ["between both", { metric: "get.rate", kind: "rate", min: 100, max: 200 }, 150, true, undefined],
    ["over both", { metric: "get.rate", kind: "rate", min: 100, max: 200 }, 201, false, "201/s is more than 200/s"],
    ["one lost write", { metric: "lost_writes", kind: "count", max: 0 }, 1, false, "1 is more than 0"],
    [
      "no value",
      { metric: "get.latency.p99", kind: "duration", max: 50 },
      undefined,
      false,
      "the results are not whole",
    ],
    [
      "no number",
      { metric: "get.latency.p99", kind: "duration", max: 50 },
      Number.NaN,
      false,
      "the value is no number",
    ],
  ];
  test.each(cases)("%s", (_, objective, value, met, why) => {
    const metrics = value === undefined ? {} : { [objective.metric]: value };
    const [judged] = judgeObjectives([objective], metrics, null);
    expect(judged?.met).toBe(met);
    expect(judged?.reason).toBe(why);
    expect(judged?.value).toBe(value ?? null);
  });
});
