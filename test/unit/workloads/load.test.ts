import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeHistogram, percentilesMs } from "../../../analysis/histogram.ts";
import type { RunSpec } from "../../../schema/run.ts";
import { intendedTimes, maxInFlightOf, usersOf } from "../../../workloads/core/arrival.ts";
import { uniformChoice, weightedChoice, zipfianChoice } from "../../../workloads/core/choice.ts";
import type { OperationContext, Outcome } from "../../../workloads/core/connector.ts";
import { EventLog } from "../../../workloads/core/events.ts";
import { type Completed, Load, type LoadPlan } from "../../../workloads/core/load.ts";
import { seededRandom } from "../../../workloads/core/random.ts";
import { Recorder } from "../../../workloads/core/recorder.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const open = (ratePerSecond: number, process: "uniform" | "poisson" = "uniform") =>
  ({ kind: "open", ratePerSecond, process }) as const;

const timesOf = (rate: number, worker: number, workers: number, durationUs: number, process?: "poisson", seed = 7) => [
  ...intendedTimes(open(rate, process), { seed, worker, workers }, durationUs),
];

describe("open schedule", () => {
  test("a worker's slots are exact, however long the run", () => {
    expect(timesOf(400, 1, 2, 20_000)).toEqual([2500, 7500, 12_500, 17_500]);
    const thirds = timesOf(3, 0, 1, 3_600e6);
    expect(thirds).toHaveLength(10_800);
    expect(thirds[10_799]).toBe(Math.floor(10_799e6 / 3));
  });

  test("workers together make exactly the whole rate's schedule", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 7 }), (rate, workers) => {
        const whole = timesOf(rate, 0, 1, 2e6);
        const shared = Array.from({ length: workers }, (_, worker) => timesOf(rate, worker, workers, 2e6)).flat();
        expect(shared.sort((a, b) => a - b)).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });

  test("poisson gaps have the mean and the spread of an exponential, the same again for the same seed", () => {
    const times = timesOf(1000, 0, 2, 100e6, "poisson");
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
    expect(mean).toBeGreaterThan(2000 * 0.98);
    expect(mean).toBeLessThan(2000 * 1.02);
    expect(deviation / mean).toBeGreaterThan(0.98);
    expect(deviation / mean).toBeLessThan(1.02);
    expect(timesOf(1000, 0, 2, 1e6, "poisson")).toEqual(timesOf(1000, 0, 2, 1e6, "poisson"));
    expect(timesOf(1000, 0, 2, 1e6, "poisson")).not.toEqual(timesOf(1000, 1, 2, 1e6, "poisson"));
    expect(timesOf(1000, 0, 2, 1e6, "poisson")).not.toEqual(timesOf(1000, 0, 2, 1e6, "poisson", 8));
  });

  test("shares of users add up; the limit in flight follows rate and time-out", () => {
    expect([0, 1, 2].map((worker) => usersOf(8, worker, 3))).toEqual([3, 3, 2]);
    expect(maxInFlightOf(open(1000), 0, 2, 5000)).toBe(5000);
    expect(maxInFlightOf(open(1_000_000), 0, 1, 60_000)).toBe(20_000);
    expect(maxInFlightOf({ kind: "closed", users: 8, thinkTimeMs: 0 }, 2, 3, 5000)).toBe(2);
  });
});

describe("choices", () => {
  test("uniform and zipfian keys come as often as they should", () => {
    const draws = 200_000;
    const random = seededRandom(1);
    const count = (choose: ReturnType<typeof uniformChoice>, keys: number): number[] => {
      const counts = new Array<number>(keys).fill(0);
      for (let draw = 0; draw < draws; draw += 1) {
        const key = choose(random);
        counts[key] = (counts[key] ?? 0) + 1;
      }
      return counts;
    };
    for (const times of count(uniformChoice(10), 10)) {
      expect(Math.abs(times - draws / 10)).toBeLessThan(5 * Math.sqrt(draws / 10));
    }
    const zeta = Array.from({ length: 100 }, (_, rank) => (rank + 1) ** -0.99).reduce((sum, part) => sum + part, 0);
    const zipfian = count(zipfianChoice(100), 100);
    expect(zipfian).toHaveLength(100);
    expect((zipfian[0] ?? 0) / draws).toBeCloseTo(1 / zeta, 2);
    expect((zipfian[1] ?? 0) / draws).toBeCloseTo(2 ** -0.99 / zeta, 2);
    const tail = zipfian.slice(50).reduce((sum, times) => sum + times, 0) / draws;
    const expected = Array.from({ length: 50 }, (_, rank) => (rank + 51) ** -0.99 / zeta).reduce((a, b) => a + b, 0);
    expect(Math.abs(tail - expected)).toBeLessThan(0.02);
    expect(new Set(count(zipfianChoice(1), 1))).toEqual(new Set([draws]));
  });

  test("operations come by weight", () => {
    const random = seededRandom(2);
    const choose = weightedChoice({ put: 1, get: 9 });
    const puts = Array.from({ length: 100_000 }, () => choose(random)).filter((name) => name === "put").length;
    expect(Math.abs(puts - 10_000)).toBeLessThan(500);
  });

  test("every bit of every seed counts", () => {
    const first = (...seeds: number[]): number => seededRandom(...seeds).next();
    const all = [first(1), first(2), first(1, 0), first(0, 1), first(2 ** 32 + 1), first(2 ** 40 + 1)];
    expect(new Set(all).size).toBe(all.length);
  });
});

type Spec = LoadPlan["spec"];

/** A load on virtual time over one operation; what it was told, and what ended. */
async function run(
  changes: Partial<Spec>,
  seconds: number,
  answer: (clock: VirtualClock, context: OperationContext) => Promise<Outcome>,
) {
  const clock = new VirtualClock(1000e6);
  const spec: Spec = {
    seed: 7,
    workers: 1,
    operations: { ping: 1 },
    arrival: open(100),
    timeoutMs: 30_000,
    ...changes,
  };
  const ended: Completed[] = [];
  const counts = { offered: 0, sent: 0, dropped: 0 };
  const load = new Load(
    { spec, worker: 0, startUs: clock.nowUs(), endUs: clock.nowUs() + seconds * 1e6 },
    { ping: (context) => answer(clock, context) },
    clock,
    {
      offered: () => {
        counts.offered += 1;
      },
      sent: () => {
        counts.sent += 1;
      },
      dropped: () => {
        counts.dropped += 1;
      },
      completed: (done) => ended.push(done),
    },
  );
  await clock.runUntil(load.run());
  return { ended, counts, load };
}

const ok: Outcome = { ok: true, endpoint: 0, attempts: 1 };
const answerIn = (clock: VirtualClock, us: number, outcome: Outcome = ok): Promise<Outcome> =>
  new Promise((resolve) => void clock.schedule(clock.nowUs() + us, () => resolve(outcome)));

const p99 = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1] ?? 0;

describe("load", () => {
  test("operations are sent at their times, whether or not earlier ones were answered", async () => {
    const { ended, counts } = await run({}, 1, (clock) => answerIn(clock, 5e6));
    expect(counts).toEqual({ offered: 100, sent: 100, dropped: 0 });
    expect(ended.map(({ intendedUs }) => intendedUs)).toEqual(
      Array.from({ length: 100 }, (_, n) => 1000e6 + n * 10_000),
    );
    expect(
      ended.every(({ intendedUs, sentUs, completedUs }) => sentUs === intendedUs && completedUs === sentUs + 5e6),
    ).toBe(true);
  });

  // The network stands still for the first second of every ten and answers within 1 ms otherwise. What waits for it is
  // every arrival of that second: 10 % of all, evenly over 0 to 1 s. So the true p99 is 0.9 s, whatever the rate.
  const stalling = (clock: VirtualClock): Promise<Outcome> => {
    const intoUs = clock.nowUs() % 10e6;
    return answerIn(clock, intoUs < 1e6 ? 1e6 - intoUs : 1000);
  };

  test("an open load sees a stall of 1 s in 10 as every arrival would", async () => {
    const { ended } = await run({}, 100, stalling);
    const latency = p99(ended.map(({ intendedUs, completedUs }) => completedUs - intendedUs));
    expect(Math.abs(latency - 0.9e6) / 0.9e6).toBeLessThan(0.05);
  });

  test("an open load behind a driver that stands still too sees it, and counting from the sending would hide it", async () => {
    // The driver itself is held up with the network: nothing is sent in the stalled second, then everything at once.
    const clock = new VirtualClock(1000e6);
    const held = {
      nowUs: () => clock.nowUs(),
      schedule: (atUs: number, callback: () => void) =>
        clock.schedule(atUs % 10e6 < 1e6 ? atUs - (atUs % 10e6) + 1e6 : atUs, callback),
    };
    const spec: Spec = { seed: 7, workers: 1, operations: { ping: 1 }, arrival: open(100), timeoutMs: 30_000 };
    const ended: Completed[] = [];
    const load = new Load(
      { spec, worker: 0, startUs: 1001e6, endUs: 1101e6 },
      { ping: () => answerIn(clock, 1000) },
      held,
      {
        offered: () => undefined,
        sent: () => undefined,
        dropped: () => undefined,
        completed: (done) => ended.push(done),
      },
    );
    await clock.runUntil(load.run());
    const latency = p99(ended.map(({ intendedUs, completedUs }) => completedUs - intendedUs));
    const service = p99(ended.map(({ sentUs, completedUs }) => completedUs - sentUs));
    expect(Math.abs(latency - 0.9e6) / 0.9e6).toBeLessThan(0.05);
    expect(service).toBe(1000); // off by a factor of 900
  });

  test("what is reported of a stall of 1 s in 10 is the truth, and what a closed loop would report is not", async () => {
    const reported = async (changes: Partial<Spec>) => {
      const clock = new VirtualClock(1000e6);
      const spec: Spec = {
        ...{ seed: 7, workers: 1, operations: { ping: 1 }, arrival: open(100), timeoutMs: 30_000 },
        ...changes,
      };
      const events = new EventLog(0);
      const recorder = new Recorder(["ping"], 1000e6, 1000e6, events);
      const plan = { spec, worker: 0, startUs: 1000e6, endUs: 1100e6 };
      await clock.runUntil(new Load(plan, { ping: () => stalling(clock) }, clock, recorder).run());
      const { ping } = recorder.finish(clock.nowUs());
      if (ping === undefined) {
        throw new Error("nothing was recorded");
      }
      return { latency: percentilesMs(decodeHistogram(ping.latency)), sent: ping.sent };
    };
    const truthMs = 900;
    const uniform = await reported({});
    expect(uniform.sent).toBe(10_000);
    expect(Math.abs((uniform.latency?.p99 ?? 0) - truthMs) / truthMs).toBeLessThan(0.05);
    const poisson = await reported({ arrival: open(400, "poisson") });
    expect(Math.abs((poisson.latency?.p99 ?? 0) - truthMs) / truthMs).toBeLessThan(0.05);
    // One user at the same rate, 100/s: each stall delays one operation and holds back the other 99.
    const closed = await reported({ arrival: { kind: "closed", users: 1, thinkTimeMs: 9 } });
    expect(closed.sent).toBeGreaterThan(9_000);
    expect(closed.latency?.p99).toBeLessThan(2);
  });

  test("what exceeds the limit in flight is dropped and counted, and nothing else is", async () => {
    const { counts, ended, load } = await run({ timeoutMs: 100 }, 10, (clock) => answerIn(clock, 1e6));
    expect(load.maxInFlight).toBe(20);
    expect(counts.offered).toBe(1000);
    expect(counts.sent + counts.dropped).toBe(1000);
    expect(counts.dropped).toBeGreaterThan(700);
    expect(ended).toHaveLength(counts.sent);
  });

  test("failures and time-outs are reported with their duration", async () => {
    const failed: Outcome = { ok: false, code: "timeout", endpoint: 2, attempts: 3 };
    const { ended } = await run({}, 0.1, (clock, context) => answerIn(clock, context.remainingMs() * 1000, failed));
    expect(ended).toHaveLength(10);
    expect(ended.every(({ completedUs, sentUs, outcome }) => completedUs - sentUs === 30e6 && outcome === failed)).toBe(
      true,
    );
  });

  test("an operation that never settles is given up and told of", async () => {
    const { ended, load } = await run({ timeoutMs: 1000 }, 0.1, () => new Promise(() => undefined));
    expect(load.hung).toBe(10);
    expect(ended.every(({ outcome }) => outcome.code === "timeout")).toBe(true);
    expect(Math.max(...ended.map(({ completedUs, sentUs }) => completedUs - sentUs))).toBeLessThan(6.1e6);
  });

  test("users of a closed load wait for their answer and think; becoming free is the intended time", async () => {
    const arrival: RunSpec["arrival"] = { kind: "closed", users: 3, thinkTimeMs: 40 };
    const { ended } = await run({ arrival }, 1, (clock) => answerIn(clock, 60_000));
    expect(ended).toHaveLength(30);
    expect([...new Set(ended.map(({ intendedUs }) => intendedUs))]).toEqual(
      Array.from({ length: 10 }, (_, turn) => 1000e6 + turn * 100_000),
    );
  });

  // Keramik: all users stop at the run time. What is in flight then is waited for, so an end is late by one answer.
  test.each<[string, RunSpec["arrival"]]>([
    ["an open load", open(20)],
    ["a Poisson one", open(20, "poisson")],
    ["a closed load", { kind: "closed", users: 4, thinkTimeMs: 150 }],
  ])("%s starts with its run and ends with it, within a tenth of its time", async (_, arrival) => {
    const [startUs, runUs, answerUs] = [1000e6, 60e6, 100_000];
    const clock = new VirtualClock(startUs);
    const sent: number[] = [];
    const ended: number[] = [];
    const spec: Spec = { seed: 7, workers: 1, operations: { ping: 1 }, arrival, timeoutMs: 30_000 };
    const load = new Load(
      { spec, worker: 0, startUs, endUs: startUs + runUs },
      { ping: () => answerIn(clock, answerUs) },
      clock,
      {
        offered: () => undefined,
        sent: () => undefined,
        dropped: () => undefined,
        completed: ({ sentUs, completedUs }) => {
          sent.push(sentUs - startUs);
          ended.push(completedUs - startUs);
        },
      },
    );
    await clock.runUntil(load.run());
    const doneUs = clock.nowUs() - startUs;
    expect(Math.min(...sent)).toBeLessThan(0.1 * runUs);
    expect(Math.max(...sent)).toBeGreaterThan(0.9 * runUs);
    expect(Math.max(...sent)).toBeLessThan(runUs);
    expect(Math.max(...ended)).toBeLessThanOrEqual(runUs + answerUs);
    expect(doneUs).toBeGreaterThanOrEqual(Math.max(...ended));
    expect(Math.abs(doneUs - runUs)).toBeLessThanOrEqual(0.1 * runUs);
  });

  test("users who wait for answers that never come hold a run up by the time-out and no longer", async () => {
    const arrival: RunSpec["arrival"] = { kind: "closed", users: 2, thinkTimeMs: 0 };
    const stuck = (): Promise<Outcome> => new Promise(() => undefined);
    const { ended } = await run({ arrival, timeoutMs: 1000 }, 60, stuck);
    const lastUs = Math.max(...ended.map(({ completedUs }) => completedUs)) - 1000e6;
    expect(lastUs).toBeGreaterThanOrEqual(60e6);
    expect(lastUs).toBeLessThanOrEqual(60e6 + 6.1e6); // the core gives up 5 s after the time-out
  });

  test("a connector that throws ends the run with its error", async () => {
    await expect(run({}, 1, () => Promise.reject(new Error("broken connector")))).rejects.toThrow("broken connector");
  });

  test("operations the connector does not have are named", async () => {
    await expect(run({ operations: { fly: 1 } }, 1, (clock) => answerIn(clock, 1))).rejects.toThrow(
      'the connector has no operation "fly"; it has ping',
    );
  });

  test("the choices of an operation do not depend on when others are answered", async () => {
    const draws = async (us: number): Promise<number[]> => {
      const drawn: [number, number][] = [];
      await run({}, 1, (clock, { sequence, random }) => {
        drawn.push([sequence, random.next()]);
        return answerIn(clock, us);
      });
      return drawn.sort(([a], [b]) => a - b).map(([, value]) => value);
    };
    const fast = await draws(10);
    expect(new Set(fast).size).toBe(100);
    expect(await draws(777_777)).toEqual(fast);
  });
});
