import type { Comparison, RunRecord } from "../../schema/comparison.ts";
import { type CompareOptions, compareRuns } from "./compare.ts";
import { defaultJudgeOptions } from "./judge.ts";

/** Makes so many valid runs of a version and answers their records. */
export type RunVersion = (version: string, runs: number) => Promise<readonly RunRecord[]>;

/** How a bisection goes about it. */
export interface BisectOptions extends CompareOptions {
  /** Runs a version at first, and at most. */
  readonly runs: number;
  readonly mostRuns: number;
  /** Told of each comparison. */
  readonly onStep?: (step: BisectStep) => void;
}

/** One version, compared with the good one. */
export interface BisectStep {
  readonly version: string;
  readonly outcome: Comparison["outcome"];
  /** Runs of this version the outcome rests on. */
  readonly runs: number;
  readonly comparison: Comparison;
}

export interface BisectResult {
  /**
   * `found`: the first bad version is known. `narrowed`: it is among several that could not be told apart from good or
   * bad. `none`: the bad version is no worse than the good one. `inconclusive`: nor could that be said.
   */
  readonly outcome: "found" | "narrowed" | "none" | "inconclusive";
  /** Versions the first bad one is among, in order; one when found, none when there is none. */
  readonly among: readonly string[];
  readonly steps: readonly BisectStep[];
}

/** A version is looked at so often at most: at once, and twice again with more runs. */
const looks = 3;

/**
 * Finds the first version that is worse than the first of the list, by halving. The last one is judged first: where it
 * is no worse there is nothing to find. A version that stays unclear is passed over for the one nearest to it.
 *
 * @param versions in order, the good one first and the bad one last; at least two
 */
export async function bisect(
  versions: readonly string[],
  runVersion: RunVersion,
  options: BisectOptions,
): Promise<BisectResult> {
  const steps: BisectStep[] = [];
  const judgeVersion = versionJudge(versions[0] ?? "", runVersion, options);
  const outcomeOf = async (version: string): Promise<Comparison["outcome"]> => {
    const step = await judgeVersion(version);
    steps.push(step);
    options.onStep?.(step);
    return step.outcome;
  };
  const last = await outcomeOf(versions.at(-1) ?? "");
  if (last !== "regression") {
    return {
      outcome: last === "pass" ? "none" : "inconclusive",
      among: last === "pass" ? [] : versions.slice(1),
      steps,
    };
  }
  let [good, bad] = [0, versions.length - 1];
  const unclear = new Set<number>();
  for (let next = nextVersion(good, bad, unclear); next !== undefined; next = nextVersion(good, bad, unclear)) {
    const outcome = await outcomeOf(versions[next] ?? "");
    if (outcome === "regression") {
      bad = next;
    } else if (outcome === "pass") {
      good = next;
    } else {
      unclear.add(next);
    }
  }
  const among = versions.slice(good + 1, bad + 1);
  return { outcome: among.length === 1 ? "found" : "narrowed", among, steps };
}

/** The version nearest to the middle between good and bad that is not known to stay unclear. */
function nextVersion(good: number, bad: number, unclear: ReadonlySet<number>): number | undefined {
  const middle = (good + bad) / 2;
  return Array.from({ length: bad - good - 1 }, (_, index) => good + 1 + index)
    .filter((index) => !unclear.has(index))
    .sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle))[0];
}

/**
 * Judges versions against the good one, with more runs of both while it is unclear. Since looking again gives chance
 * another try, each look gets its share of alpha (Bonferroni).
 */
function versionJudge(
  good: string,
  runVersion: RunVersion,
  options: BisectOptions,
): (version: string) => Promise<BisectStep> {
  const known = new Map<string, readonly RunRecord[]>();
  const alpha = (options.alpha ?? defaultJudgeOptions.alpha) / looks;
  const runsOf = async (version: string, wanted: number): Promise<readonly RunRecord[]> => {
    const before = known.get(version) ?? [];
    const runs = before.length < wanted ? [...before, ...(await runVersion(version, wanted - before.length))] : before;
    known.set(version, runs);
    return runs;
  };
  return async (version) => {
    let wanted = options.runs;
    for (let look = 1; ; look += 1) {
      const baseline = { runs: await runsOf(good, wanted) };
      const candidate = { runs: await runsOf(version, wanted) };
      const comparison = compareRuns(baseline, candidate, { ...options, alpha });
      const { outcome } = comparison;
      if (outcome !== "inconclusive" || look === looks || wanted >= options.mostRuns) {
        return { version, outcome, runs: candidate.runs.length, comparison };
      }
      wanted = Math.min(options.mostRuns, wanted + (comparison.more_runs ?? wanted));
    }
  };
}
