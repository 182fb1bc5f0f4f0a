import type { RunRecord } from "../../../schema/comparison.ts";
import { logNormal, uniformRandom } from "../../support/results.ts";

/** A record of a run as a comparison reads it; alike in all conditions unless told otherwise. */
export function runRecord(run: string, values: RunRecord["values"], other: Partial<RunRecord> = {}): RunRecord {
  return {
    experiment: "kv",
    run,
    started: null,
    values,
    operations: { put: 10_000, get: 90_000 },
    conditions: { "network.replicas": "3", target: '"local"' },
    surroundings: { kubernetes: '"v1.34.2"' },
    images: { kv: "sha256:aa" },
    ...other,
  };
}

/** Runs with the given values of one metric. */
export const runsOf = (metric: string, values: readonly (number | null)[], prefix = "r"): RunRecord[] =>
  values.map((value, index) => runRecord(`${prefix}${index}`, { [metric]: value }));

/** Values around a median that vary from run to run by this share. */
export function noisy(seed: number, count: number, median: number, variation: number): number[] {
  const random = uniformRandom(seed);
  return Array.from({ length: count }, () => logNormal(random, median, variation));
}
