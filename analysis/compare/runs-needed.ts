import { choose, mannWhitney } from "./mann-whitney.ts";
import { normalQuantile } from "./normal.ts";

/** Share of comparisons of that size that should be settled. */
const power = 0.8;
/** More than this many further runs a side are no sensible advice. */
const mostRuns = 100;

/**
 * Runs a side for a rank test to be significant at `alpha` (one-sided) with 80 % power, when a value of one side
 * exceeds one of the other with probability `superiority`: Noether (JASA 82, 1987), eq. for equal sides.
 */
export function noetherRuns(superiority: number, alpha: number): number {
  const z = normalQuantile(1 - alpha) + normalQuantile(power);
  return z ** 2 / (6 * (superiority - 0.5) ** 2);
}

/** Least number of runs a side with which a rank test can be significant at all: total separation has one way of many. */
export function leastRuns(alpha: number): number {
  let runs = 1;
  while (1 / choose(2 * runs, runs) > alpha) {
    runs += 1;
  }
  return runs;
}

/**
 * Further runs a side that would probably settle an unclear metric, were the true change the one seen: to show that it
 * is a change, when it reaches the margin, else to rule the margin out. Null when more than a hundred would be needed.
 */
export function furtherRuns(
  oriented: { readonly baseline: readonly number[]; readonly candidate: readonly number[]; readonly margin: number },
  shift: number,
  { alpha, tests }: { readonly alpha: number; readonly tests: number },
): number | null {
  const { baseline, candidate, margin } = oriented;
  const pairs = baseline.length * candidate.length;
  const matters = Math.abs(shift) >= margin;
  const level = matters ? alpha / (2 * tests) : alpha;
  const u = matters
    ? mannWhitney(baseline, candidate).u
    : mannWhitney(
        baseline.map((value) => value + margin),
        candidate,
      ).u;
  const needed = Math.max(leastRuns(level), noetherRuns(u / pairs, level));
  const more = Math.ceil(needed) - Math.min(baseline.length, candidate.length);
  return more > mostRuns ? null : Math.max(1, more);
}
