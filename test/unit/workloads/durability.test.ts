import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  checkDurability,
  fingerprint,
  possibleValues,
  type Write,
  WriteLog,
} from "../../../workloads/core/durability.ts";

const never = Number.POSITIVE_INFINITY;
const acked = (value: string | null, startUs: number, endUs: number): Write => ({
  value,
  startUs,
  acknowledgedUs: endUs,
  settledUs: endUs,
});
const unknown = (value: string | null, startUs: number): Write => ({
  value,
  startUs,
  acknowledgedUs: never,
  settledUs: never,
});

describe("which values a key may have in the end", () => {
  test.each<[string, Write[], (string | null)[] | undefined]>([
    ["the later of two in sequence", [acked("a", 0, 1), acked("b", 2, 3)], ["b"]],
    ["either of two that overlap", [acked("a", 0, 5), acked("b", 2, 3)], ["a", "b"]],
    ["either of two that touch", [acked("a", 0, 2), acked("b", 2, 3)], ["a", "b"]],
    ["one that was never acknowledged, for ever", [unknown("a", 0), acked("b", 9, 10)], ["a", "b"]],
    [
      "an acknowledged one of which an attempt lingers",
      [{ ...acked("a", 0, 1), settledUs: never }, acked("b", 2, 3)],
      ["a", "b"],
    ],
    ["absent after a delete", [acked("a", 0, 1), acked(null, 2, 3)], [null]],
    ["anything, when nothing was acknowledged", [unknown("a", 0)], undefined],
  ])("%s", (_, writes, expected) => {
    const possible = possibleValues(writes);
    expect(possible === undefined ? undefined : [...possible].sort()).toEqual(expected);
  });
});

interface Step {
  readonly value: string | null;
  readonly startUs: number;
  /** When it takes effect; infinity when it never does. */
  readonly effectUs: number;
  readonly acknowledgedUs: number;
  readonly settledUs: number;
}

/** Histories of one linearizable register: each write takes effect between its start and its acknowledgement. */
const history = fc
  .array(
    fc.record({
      startUs: fc.integer({ min: 0, max: 50 }),
      tookUs: fc.integer({ min: 0, max: 20 }),
      effect: fc.double({ min: 0, max: 1, noNaN: true }),
      fate: fc.constantFrom("acknowledged", "acknowledged", "acknowledged", "lost answer", "never applied", "late"),
      deletes: fc.boolean(),
    }),
    { minLength: 1, maxLength: 14 },
  )
  .map((steps) =>
    steps.map(({ startUs, tookUs, effect, fate, deletes }, index): Step => {
      const known = fate === "acknowledged";
      const lateUs = fate === "late" ? 100 * effect : 0;
      return {
        value: deletes && index % 4 === 0 ? null : `v${index}`,
        startUs,
        effectUs: fate === "never applied" ? never : startUs + tookUs * effect + lateUs,
        acknowledgedUs: known ? startUs + tookUs : never,
        settledUs: known ? startUs + tookUs : never,
      };
    }),
  );

const byEnd = (steps: readonly Step[]): Step[] => [...steps].sort((a, b) => a.acknowledgedUs - b.acknowledgedUs);

function finalValue(steps: readonly Step[]): string | null {
  const applied = steps.filter(({ effectUs }) => effectUs < never).sort((a, b) => a.effectUs - b.effectUs);
  return applied.at(-1)?.value ?? null;
}

function expectedOf(steps: readonly Step[]): ReadonlySet<string | null> | undefined {
  const log = new WriteLog();
  for (const step of byEnd(steps)) {
    log.add("k", step);
  }
  return [...log.expected()][0]?.possible;
}

describe("properties", () => {
  test("the final value of a linearizable store is never called lost", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const possible = possibleValues(steps);
        expect(possible === undefined || possible.has(finalValue(steps))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test("forgetting what can no longer be final changes nothing", () => {
    fc.assert(
      fc.property(history, (steps) => {
        expect(expectedOf(steps)).toEqual(possibleValues(steps));
      }),
      { numRuns: 2000 },
    );
  });

  test("a planted loss is seen: the last acknowledged write, begun after all others had settled, is undone", () => {
    fc.assert(
      fc.property(history, (steps) => {
        const settled = steps.filter(({ settledUs }) => settledUs < never);
        fc.pre(settled.some(({ value }) => value !== "last"));
        const last: Step = { value: "last", startUs: 1000, effectUs: 1001, acknowledgedUs: 1002, settledUs: 1002 };
        const possible = expectedOf([...settled, last]);
        expect(possible).toEqual(new Set(["last"]));
        expect(possible?.has(finalValue(settled))).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

const at = { concurrency: 4, timeLeft: () => true, pause: () => Promise.resolve() };

describe("reading back", () => {
  const log = new WriteLog();
  log.add("a", acked("1", 0, 1));
  log.add("a", acked("2", 2, 3));
  log.add("b", acked("3", 0, 1));
  log.add("c", unknown("4", 0));

  test("a key that went back to an older value is lost, with what was expected", async () => {
    const stored = new Map([
      ["a", "1"],
      ["b", "3"],
    ]);
    const { result } = await checkDurability(log, (key) => Promise.resolve(stored.get(key) ?? null), at);
    expect(result).toEqual({
      acknowledged: 3,
      keysChecked: 2,
      keysUnread: 0,
      lost: 1,
      examples: [{ key: "a", expected: ["2"], found: "1" }],
    });
  });

  test("a key is read again until it can be; one that never can proves nothing", async () => {
    let attempts = 0;
    const read = (key: string): Promise<string | null> => {
      attempts += 1;
      return key === "b" || attempts < 3 ? Promise.reject(new Error("no_leader at member 1")) : Promise.resolve("2");
    };
    const { result, reasons } = await checkDurability(log, read, { ...at, timeLeft: () => attempts < 20 });
    expect(result).toMatchObject({ keysChecked: 1, keysUnread: 1, lost: 0 });
    expect(reasons).toEqual(["no_leader at member 1"]);
  });

  test("long values are told apart by their digest", async () => {
    const long = new WriteLog();
    long.add("k", acked(`${"x".repeat(5000)}1`, 0, 1));
    const check = async (found: string) => (await checkDurability(long, () => Promise.resolve(found), at)).result.lost;
    expect(await check(`${"x".repeat(5000)}1`)).toBe(0);
    expect(await check(`${"x".repeat(5000)}2`)).toBe(1);
    expect(fingerprint("x".repeat(5000))?.length).toBeLessThan(120);
  });
});
