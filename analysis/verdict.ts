import type { ObjectiveResult, Reason, Verdict } from "../schema/summary.ts";

/**
 * The verdict: `invalid` when any reason stands against the run, whatever its numbers say; else `fail` when any
 * objective is not met; else `pass`.
 */
export function verdictOf(reasons: readonly Reason[], objectives: readonly ObjectiveResult[]): Verdict {
  if (reasons.length > 0) {
    return "invalid";
  }
  return objectives.every((objective) => objective.met) ? "pass" : "fail";
}
