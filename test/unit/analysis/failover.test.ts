import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  disturbanceThreshold,
  type Failover,
  failoverOf,
  failoverRules,
  judgedOperations,
  type Write,
} from "../../../analysis/failover.ts";
import { logNormal, type RunOptions, simulate, startAtMs, uniformRandom } from "../../support/results.ts";
import { analysed } from "./run.ts";

const none = Number.POSITIVE_INFINITY;

/** A write every `gapMs` for `forMs`, each answered after 4 ms or so, changed by `change`. */
function steady(gapMs: number, forMs: number, change: (write: Write) => Write = (write) => write): Write[] {
  const random = uniformRandom(3);
  return Array.from({ length: Math.floor(forMs / gapMs) }, (_, index) => {
    const intendedMs = index * gapMs;
    return change({ intendedMs, completedMs: intendedMs + logNormal(random, 4, 0.4), ok: true });
  });
}

const refusedBetween =
  (fromMs: number, toMs: number) =>
  (write: Write): Write =>
    write.completedMs > fromMs && write.intendedMs < toMs ? { ...write, ok: false } : write;
const heldBetween =
  (fromMs: number, toMs: number) =>
  (write: Write): Write =>
    write.completedMs > fromMs && write.intendedMs < toMs
      ? { ...write, completedMs: toMs + write.completedMs - write.intendedMs }
      : write;

describe("failover of one fault", () => {
  const of = (writes: Write[], actedAtMs: number, nextMs = none): Failover =>
    failoverOf(writes, actedAtMs, nextMs, disturbanceThreshold(writes, 0, actedAtMs) ?? Number.NaN);

  test.each([
    ["refused", refusedBetween],
    ["held", heldBetween],
  ])("is the length of a known outage within one gap between writes (%s)", (_, outage) => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 250, max: 6_000 }), (gapMs, outageMs) => {
        const found = of(steady(gapMs, 20_000, outage(8_000, 8_000 + outageMs)), 8_000);
        expect(found.state).toBe("recovered");
        expect(found.failoverMs).toBeGreaterThanOrEqual(outageMs);
        // The first write after it begins within a gap, and takes its usual time.
        expect(found.failoverMs).toBeLessThanOrEqual(outageMs + gapMs + 25);
      }),
    );
  });

  test("does not wait for writes that hang in their client long after new ones are served", () => {
    const hung = (write: Write): Write =>
      write.completedMs > 8_000 && write.intendedMs < 8_900
        ? { ...write, completedMs: write.intendedMs + 5_000, ok: false }
        : write;
    const found = of(steady(30, 20_000, hung), 8_000);
    expect(found.failoverMs).toBeGreaterThanOrEqual(900);
    expect(found.failoverMs).toBeLessThanOrEqual(955);
    expect(found.failed).toBe(30); // every 30 ms from 8,010 to 8,880
  });

  test("does not end with a write that was due at the same moment as the last disturbed one", () => {
    const at = (intendedMs: number, ok: boolean): Write => ({ intendedMs, completedMs: intendedMs + 4, ok });
    expect(failoverOf([at(8_000, false), at(8_000, true), at(8_050, true)], 7_990, none, 100).failoverMs).toBe(64);
  });

  test("counts from the act even when the outage sets in later", () => {
    const found = of(steady(20, 20_000, refusedBetween(10_000, 10_500)), 8_000);
    expect(found.failoverMs).toBeGreaterThanOrEqual(2_500);
    expect(found.failoverMs).toBeLessThanOrEqual(2_545);
  });

  test("is the longest stretch when a hiccup comes before it or after it", () => {
    const hiccup = (atMs: number) => (write: Write) =>
      Math.abs(write.intendedMs - atMs) < 15 ? { ...write, completedMs: write.intendedMs + 200 } : write;
    const outage = refusedBetween(9_900, 10_900);
    const writes = steady(20, 20_000, (write) => hiccup(12_700)(outage(hiccup(7_990)(write))));
    const found = of(writes, 8_000);
    expect(found.failoverMs).toBeGreaterThanOrEqual(2_900);
    expect(found.failoverMs).toBeLessThanOrEqual(2_945);
  });

  test("is none when no write was disturbed, and when the trouble came before or long after", () => {
    for (const writes of [
      steady(20, 20_000),
      steady(20, 20_000, refusedBetween(5_000, 5_500)),
      steady(20, 20_000, refusedBetween(8_000 + failoverRules.onsetMs + 100, 15_000)),
    ]) {
      expect(of(writes, 8_000)).toMatchObject({ state: "none", failoverMs: null, failed: 0, delayed: 0 });
    }
  });

  test("is not recovered when writes stay disturbed to the end", () => {
    expect(of(steady(20, 20_000, refusedBetween(8_000, none)), 8_000)).toMatchObject({
      state: "not-recovered",
      failoverMs: null,
    });
  });

  test("leaves to the next fault what sets in after it", () => {
    const writes = steady(20, 20_000, refusedBetween(9_000, 9_700));
    expect(of(writes, 8_000, 8_990).state).toBe("none");
    expect(of(writes, 8_990).failoverMs).toBeGreaterThanOrEqual(710);
  });
});

describe("the disturbance threshold", () => {
  const constant = (ms: number, count = 100): Write[] =>
    Array.from({ length: count }, (_, index) => ({ intendedMs: index * 10, completedMs: index * 10 + ms, ok: true }));

  test("has a floor, follows the p99 of quiet runs, and is held down by the slowest write of noisy ones", () => {
    expect(disturbanceThreshold(constant(3), 0, none)).toBe(failoverRules.floorMs);
    expect(disturbanceThreshold(constant(80), 0, none)).toBe(160);
    const spiky = [...constant(12), { intendedMs: 2_000, completedMs: 2_900, ok: true }];
    expect(disturbanceThreshold(spiky, 0, none)).toBe(120);
  });

  test("is unknown with too few writes before the fault", () => {
    expect(disturbanceThreshold(constant(3, failoverRules.baselineWrites - 1), 0, none)).toBeUndefined();
    expect(disturbanceThreshold(constant(3), 0, 50)).toBeUndefined();
  });
});

test("writes are judged, or everything where a workload writes nothing", () => {
  expect(judgedOperations(["get", "put", "delete"], ["put", "delete", "merge"])).toEqual(["put", "delete"]);
  expect(judgedOperations(["get", "get_local"], ["put", "delete"])).toEqual(["get", "get_local"]);
});

describe("failover in a run folder", () => {
  const outages = (["held", "refused", "hung"] as const).flatMap((manner) =>
    [400, 900, 2_500].map((forMs) => ({ manner, forMs })),
  );

  test.each(outages)("of $forMs ms $manner is found within one gap", async ({ manner, forMs }) => {
    const options: RunOptions = { outage: { fromMs: 4_002, forMs, manner }, timeoutMs: 1_000 };
    const { summary } = await analysed(options);
    const writes = simulate({ ratePerSecond: 100, operations: { put: 1, get: 3 }, warmupMs: 2_000, measureMs: 10_000 })
      .filter((operation) => operation.operation === "put")
      .map((operation) => operation.intendedMs);
    const endMs = 2_000 + 4_002 + forMs;
    const gapMs = (writes.find((intendedMs) => intendedMs >= endMs) ?? Number.NaN) - endMs;
    const [fault] = summary.faults;
    expect(fault?.failover_ms).toBeGreaterThanOrEqual(forMs);
    expect(fault?.failover_ms).toBeLessThanOrEqual(forMs + gapMs + 25);
    expect(summary.metrics.failover).toBe(fault?.failover_ms);
    expect((fault?.actedAtMs ?? 0) - startAtMs).toBe(6_002);
  });

  test("is zero, as a metric, when the fault disturbed nothing", async () => {
    const { summary } = await analysed();
    expect(summary.faults[0]).toMatchObject({ failover_ms: null, failover: { state: "none" } });
    expect(summary.metrics.failover).toBe(0);
  });

  test("has no value, and so misses its objective, when service never came back", async () => {
    const { summary } = await analysed({
      outage: { fromMs: 4_002, forMs: 20_000, manner: "refused" },
      objectives: [{ metric: "failover", max: "9s" }],
    });
    expect(summary.metrics.failover).toBeUndefined();
    expect(summary.verdict).toBe("fail");
    expect(summary.objectives[0]).toMatchObject({ met: false, value: null });
    expect(summary.objectives[0]?.reason).toContain("still disturbed");
  });
});
