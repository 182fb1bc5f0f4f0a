import {
  type Comparison,
  type ComparisonOutcome,
  comparisonSchema,
  comparisonVersion,
  type MetricComparison,
  type RunRecord,
} from "../../schema/comparison.ts";
import { InputError, type Problem } from "../../schema/errors.ts";
import type { Reason } from "../../schema/summary.ts";
import { plural } from "../format.ts";
import { defaultJudgeOptions, type JudgeOptions, judge, type Sample } from "./judge.ts";
import { type Measure, matches, measuresOf, type Threshold, whyOnlyShown } from "./metrics.ts";

/** The runs of one side. */
export interface Side {
  /** Name of the stored baseline they come from. */
  readonly name?: string | undefined;
  readonly runs: readonly RunRecord[];
}

/** What a user may ask for. */
export interface CompareOptions extends Partial<JudgeOptions> {
  readonly thresholds?: readonly Threshold[];
  /** Judge only these; `*` stands for any part of a name. */
  readonly metrics?: readonly string[];
  /** Conditions that may differ, by path or a pattern of it. */
  readonly allow?: readonly string[];
  /** Invalid runs that were left out, for the record. */
  readonly leftOut?: Comparison["left_out"];
}

/**
 * Compares the runs of two sides. The sample is one value a run: operations of one run share its luck, so they say how
 * that run went, not how the next one will.
 *
 * @throws InputError when runs differ in what makes them comparable, or nothing is asked of them that they measured
 */
export function compareRuns(baseline: Side, candidate: Side, options: CompareOptions = {}): Comparison {
  const runs = [...baseline.runs, ...candidate.runs];
  const settings = { ...defaultJudgeOptions, ...options };
  requireComparable(runs, options.allow);
  const samples = samplesOf(baseline, candidate, options);
  const { metrics, tests } = judge(samples, settings);
  const outcome = outcomeOf(metrics);
  return comparisonSchema.parse({
    schema: comparisonVersion,
    outcome,
    baseline: sideOf(baseline),
    candidate: sideOf(candidate),
    metrics,
    alpha: settings.alpha,
    tests,
    more_runs: outcome === "inconclusive" ? mostOf(metrics) : null,
    left_out: [...(options.leftOut ?? [])],
    warnings: [
      ...differences(runs, "conditions").map(allowedDifference),
      ...differences(runs, "surroundings").map(surroundingDifference),
      ...mixedImages(baseline, "baseline"),
      ...mixedImages(candidate, "candidate"),
      ...orderWarning(baseline, candidate),
    ],
  });
}

/** What is said when runs are invalid: which, and nothing else. */
export function invalidComparison(baseline: Side, candidate: Side, invalid: Comparison["left_out"]): Comparison {
  return {
    schema: comparisonVersion,
    outcome: "invalid",
    baseline: sideOf(baseline),
    candidate: sideOf(candidate),
    metrics: [],
    alpha: defaultJudgeOptions.alpha,
    tests: 0,
    more_runs: null,
    left_out: invalid,
    warnings: [],
  };
}

/** A regression in any judged metric is one; a pass takes every judged metric. */
function outcomeOf(metrics: readonly MetricComparison[]): ComparisonOutcome {
  const judged = metrics.filter(({ finding }) => finding !== "shown");
  if (judged.some(({ finding }) => finding === "worse")) {
    return "regression";
  }
  return judged.some(({ finding }) => finding === "unclear") ? "inconclusive" : "pass";
}

/** Runs that settle every unclear metric; null when one of them cannot be settled that way. */
function mostOf(metrics: readonly MetricComparison[]): number | null {
  const unclear = metrics.filter(({ finding }) => finding === "unclear").map(({ more_runs }) => more_runs);
  return unclear.includes(null) ? null : Math.max(...unclear.map((runs) => runs ?? 0));
}

/**
 * Runs can be put side by side when each is there once, and all are alike in everything that makes the load, the
 * network and the place.
 *
 * @param allow paths of conditions that may differ, or patterns of them
 * @throws InputError naming what differs, and in which runs
 */
export function requireComparable(runs: readonly RunRecord[], allow: readonly string[] = []): void {
  const all = runs.map(({ experiment, run }) => `${experiment}/${run}`);
  const twice = [...new Set(all.filter((key, index) => all.indexOf(key) !== index))];
  if (twice.length > 0) {
    throw new InputError(
      twice.map((key) => ({
        path: key,
        rule: "this run is named twice: a value that counts twice makes differences look surer than they are.",
        fix: "Name each run once, on one side.",
      })),
    );
  }
  const refused = differences(runs, "conditions").filter(
    ({ path }) => !allow.some((pattern) => matches(pattern, path)),
  );
  if (refused.length > 0) {
    throw new InputError(refused.map(refusal));
  }
}

function samplesOf(baseline: Side, candidate: Side, options: CompareOptions): Sample[] {
  const runs = [...baseline.runs, ...candidate.runs];
  const measures = measuresOf(runs, options.thresholds ?? []);
  const asked = (metric: string): boolean => options.metrics?.some((pattern) => matches(pattern, metric)) ?? false;
  const unknown = [...(options.metrics ?? []), ...(options.thresholds ?? []).map(({ pattern }) => pattern)].filter(
    (pattern) => !measures.some(({ metric }) => matches(pattern, metric)),
  );
  if (unknown.length > 0 || measures.length === 0) {
    const known = measures.map(({ metric }) => metric).join(", ");
    throw new InputError(
      (unknown.length > 0 ? unknown : [""]).map((path) => ({
        path,
        rule: "no run has a value of such a metric.",
        fix: known === "" ? "Compare runs that measured something." : `There are ${known}.`,
      })),
    );
  }
  return measures.flatMap((measure): Sample[] => {
    const missing = runs.filter(({ values }) => values[measure.metric] === undefined).length;
    if (missing > 0 && asked(measure.metric)) {
      throw new InputError([
        {
          path: measure.metric,
          rule: `${plural(missing, "run")} of ${runs.length} have no value of it.`,
          fix: "Leave those runs or this metric out.",
        },
      ]);
    }
    const onlyShown =
      missing > 0
        ? `${plural(missing, "run")} of ${runs.length} had no value`
        : options.metrics === undefined
          ? whyOnlyShown(measure.metric, runs)
          : asked(measure.metric)
            ? undefined
            : "not asked for";
    const [first, second] = [valuesOf(baseline.runs, measure), valuesOf(candidate.runs, measure)];
    return first.length === 0 || second.length === 0
      ? []
      : [{ ...measure, baseline: first, candidate: second, onlyShown }];
  });
}

function valuesOf(runs: readonly RunRecord[], { metric, better }: Measure): number[] {
  const unbounded = better === "lower" ? Number.POSITIVE_INFINITY : 0;
  return runs.flatMap(({ values }) => {
    const value = values[metric];
    return value === undefined ? [] : [value ?? unbounded];
  });
}

function sideOf({ name, runs }: Side): Comparison["baseline"] {
  return {
    ...(name === undefined ? {} : { name }),
    runs: runs.map(({ experiment, run }) => ({ experiment, run })),
    images: imagesOf(runs),
  };
}

function imagesOf(runs: readonly RunRecord[]): Record<string, string[]> {
  const names = [...new Set(runs.flatMap(({ images }) => Object.keys(images)))].sort();
  return Object.fromEntries(
    names.map((name) => [name, [...new Set(runs.flatMap(({ images }) => images[name] ?? []))].sort()]),
  );
}

/** A condition that not all runs share, with the runs of each value. */
interface Difference {
  readonly path: string;
  readonly values: ReadonlyMap<string, readonly string[]>;
}

function differences(runs: readonly RunRecord[], group: "conditions" | "surroundings"): Difference[] {
  const paths = [...new Set(runs.flatMap((run) => Object.keys(run[group])))];
  return paths.flatMap((path) => {
    const values = new Map<string, string[]>();
    for (const run of runs) {
      const value = run[group][path] ?? "absent";
      values.set(value, [...(values.get(value) ?? []), run.run]);
    }
    return values.size > 1 ? [{ path, values }] : [];
  });
}

const valuesText = ({ values }: Difference): string =>
  [...values].map(([value, runs]) => `${value} in ${some(runs)}`).join(", ");

const some = (runs: readonly string[]): string =>
  runs.length <= 2 ? runs.join(" and ") : `${runs[0]} and ${runs.length - 1} more`;

const refusal = (difference: Difference): Problem => ({
  path: difference.path,
  rule: `the runs differ in it: ${valuesText(difference)}.`,
  fix: `Compare runs alike in it, or pass --allow ${difference.path} when the difference is what you ask about.`,
});

const allowedDifference = (difference: Difference): Reason => ({
  check: "conditions-differ",
  text: `The runs differ in ${difference.path}: ${valuesText(difference)}.`,
  fix: "It was allowed; what is found may come from it.",
});

const surroundingDifference = (difference: Difference): Reason => ({
  check: "surroundings-differ",
  text: `The runs differ in ${difference.path}: ${valuesText(difference)}.`,
  fix: "Run both sides on the same versions to be sure that it does not matter.",
});

function mixedImages(side: Side, which: string): Reason[] {
  return Object.entries(imagesOf(side.runs))
    .filter(([, references]) => references.length > 1)
    .map(([name, references]) => ({
      check: "images-differ",
      text: `The ${which} runs are not of one ${name} image: ${references.join(", ")}.`,
      fix: "Put only runs of one version on a side.",
    }));
}

/** When one side ran wholly before the other, time is a difference between them too. */
function orderWarning(baseline: Side, candidate: Side): Reason[] {
  const times = (side: Side): number[] =>
    side.runs.flatMap(({ started }) => (started === null ? [] : Date.parse(started)));
  const [before, after] = [times(baseline), times(candidate)];
  const apart = Math.max(...before) < Math.min(...after) || Math.max(...after) < Math.min(...before);
  return before.length + after.length > 2 && apart
    ? [
        {
          check: "one-after-the-other",
          text: "All runs of one side came before all of the other, so a machine that changed in between looks like a change of the network.",
          fix: "Run the two in turns where a finding matters.",
        },
      ]
    : [];
}
