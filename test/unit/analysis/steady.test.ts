import { describe, expect, test } from "vitest";
import type { WholeRun } from "../../../analysis/checks/check.ts";
import { floorOf, noiseFloors, noiseRules } from "../../../analysis/noise.ts";
import { mserCut, steadiness } from "../../../analysis/steady.ts";
import { logNormal, type RunOptions, uniformRandom } from "../../support/results.ts";
import { analysed } from "./run.ts";

async function wholeOf(options: RunOptions): Promise<WholeRun> {
  const { whole } = await analysed({ measureMs: 20_000, killAtMs: null, ...options });
  if (whole === null) {
    throw new Error("the run is not whole");
  }
  return whole;
}

/** Latency ten times as high at the start of the measure phase, falling off within `forMs`. */
const settlingAfter = (forMs: number): RunOptions => ({
  serviceMs: (random, _, intendedMs) => {
    const intoMs = intendedMs - 2_000;
    return logNormal(random, 3, 0.4) * (intoMs < forMs ? 10 - (9 * Math.max(0, intoMs)) / forMs : 1);
  },
});

describe("a beginning unlike the rest", () => {
  test("is cut by MSER where the standard error of what remains is least", () => {
    expect(mserCut([9, 8, 7, 1, 1, 1, 1, 1, 1, 1])).toBe(3);
    expect(mserCut([1, 1, 1, 1, 1, 1])).toBe(0);
    expect(mserCut([10, 9, 8, 7, 6, 5, 4, 3])).toBe(4); // never settles: half is as far as it looks
  });

  test.each([3_000, 6_000])("of %i ms is found, and its length", async (forMs) => {
    const found = await steadiness(await wholeOf(settlingAfter(forMs)));
    expect(found?.settledMs).toBeGreaterThan(forMs * 0.5);
    expect(found?.settledMs).toBeLessThan(forMs * 1.5);
    expect(found?.beforeMs).toBeGreaterThan(2 * (found?.afterMs ?? 0));
  });

  test("is not found where there is none: 40 steady runs", async () => {
    let alarms = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const whole = await wholeOf({ seed, measureMs: 10_000, serviceMs: (random) => logNormal(random, 3, 0.6) });
      alarms += (steadiness(whole)?.settledMs ?? 0) > 0 ? 1 : 0;
    }
    expect(alarms).toBe(0);
  }, 60_000);

  test("is not looked for where a fault follows at once", async () => {
    expect(steadiness(await wholeOf({ ...settlingAfter(3_000), killAtMs: 500 }))).toBeNull();
  });

  test("does not mistake a fault's outage for it", async () => {
    const outage = { fromMs: 8_000, forMs: 2_000, manner: "held" } as const;
    const found = steadiness(await wholeOf({ killAtMs: 7_990, outage, operations: { put: 1 } }));
    expect(found).toMatchObject({ settledMs: 0 });
    expect(found?.lookedMs).toBeLessThan(8_001);
  });
});

describe("noise floor", () => {
  test("holds the mean of what varies by chance in 95 of 100 runs, drift or none", () => {
    for (const drift of [0, 0.05]) {
      const random = uniformRandom(5);
      let held = 0;
      const runs = 2_000;
      for (let run = 0; run < runs; run += 1) {
        const windows = Array.from({ length: 20 }, (_, at) => {
          const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
          return 50 + normal + drift * (at - 9.5);
        });
        const mean = windows.reduce((sum, value) => sum + value, 0) / windows.length;
        held += Math.abs(mean - 50) <= (floorOf(windows) ?? 0) ? 1 : 0;
      }
      expect(held / runs).toBeGreaterThan(0.93);
      expect(held / runs).toBeLessThan(0.985);
    }
  });

  test("falls with the root of the number of operations, and rises with their spread", async () => {
    const floor = async (ratePerSecond: number, sigma: number): Promise<number> => {
      const whole = await wholeOf({ ratePerSecond, serviceMs: (random) => logNormal(random, 5, sigma) });
      return noiseFloors(whole)["get.latency.p50"] ?? Number.NaN;
    };
    const [few, many, spread] = [await floor(60, 0.5), await floor(600, 0.5), await floor(60, 1.5)];
    expect(few / many).toBeGreaterThan(1.8);
    expect(few / many).toBeLessThan(6);
    expect(spread).toBeGreaterThan(1.5 * few);
  });

  test("is not told of too little, nor taken from what a fault disturbed", async () => {
    expect(floorOf([1, 2, 1, 2, 1])).toBeNull();
    expect(floorOf([1, 2, null, 2, null, 1, null, 2, null, 1])).toBeNull();
    const calm = Array.from({ length: 12 }, (_, at) => (at % 2 === 0 ? 1 : 1.2));
    const hit = calm.map((value, at) => (at === 5 ? null : value));
    expect(floorOf(hit)).toBeLessThan((floorOf(calm) ?? 0) * 1.3);
    expect(noiseRules.leastWindows).toBe(6);
    const outage = { fromMs: 8_000, forMs: 2_000, manner: "held" } as const;
    const [quiet, struck] = [{}, { killAtMs: 7_990, outage }].map((options) =>
      wholeOf({ killAtMs: null, operations: { put: 1 }, ratePerSecond: 100, ...options }),
    );
    const floors = [await quiet, await struck].map((whole) => whole && noiseFloors(whole)["put.latency.p90"]);
    expect(floors[1]).toBeLessThan((floors[0] ?? 0) * 3);
  });
});
