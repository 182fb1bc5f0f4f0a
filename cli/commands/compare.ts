import { writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { Command } from "commander";
import { type CompareOptions, compareRuns, invalidComparison } from "../../analysis/compare/compare.ts";
import { parseThreshold } from "../../analysis/compare/metrics.ts";
import { renderComparison, renderComparisonMarkdown } from "../../analysis/compare/text.ts";
import { writeAtomically } from "../../analysis/summary.ts";
import type { Comparison, ComparisonOutcome } from "../../schema/comparison.ts";
import { exitCodes, InputError } from "../../schema/errors.ts";
import { listed } from "../options.ts";
import type { CommonOptions, Session } from "../session.ts";
import { type ReadSide, readSide } from "../sides.ts";

interface CompareCommandOptions extends CommonOptions {
  readonly results: string;
  readonly baselines: string;
  readonly baseline?: readonly string[];
  readonly threshold?: readonly string[];
  readonly metric?: readonly string[];
  readonly allow?: readonly string[];
  readonly leaveOutInvalid?: boolean;
  readonly markdown?: string;
  readonly output?: string;
}

export const comparisonExitCodes: Readonly<Record<ComparisonOutcome, number>> = {
  pass: exitCodes.pass,
  regression: exitCodes.fail,
  invalid: exitCodes.invalid,
  inconclusive: exitCodes.inconclusive,
};

/** `orrery compare <baseline> <candidate>`: has anything become worse, by as much as matters? */
export function compareCommand(start: (options: CompareCommandOptions) => Session): Command {
  return new Command("compare")
    .description("compare runs with a baseline; exit code 0 pass, 1 regression, 2 invalid runs, 5 more runs needed")
    .argument("<runs...>", "baseline, then candidate: each a run, several with commas between, or a stored baseline")
    .option("-b, --baseline <runs>", "the baseline; every argument is then a run of the candidate", listed)
    .option(
      "--threshold <metric=change>",
      "what matters, e.g. get.latency.p99=10%, *.rate=2%, success_ratio=0.5pp",
      listed,
    )
    .option("--metric <name>", "judge only these; * stands for any part of a name", listed)
    .option("--allow <condition>", "compare although the runs differ in it, e.g. network.replicas", listed)
    .option("--leave-out-invalid", "go on without invalid runs")
    .option("--markdown <file>", "write the comparison as Markdown too")
    .option("--output <file>", "where comparison.json goes, instead of the candidate's newest run folder")
    .option("-o, --results <folder>", "folder of results", "results")
    .option("--baselines <folder>", "folder of stored baselines", "baselines")
    .option("--json", "print the comparison as JSON")
    .action(async (runs: string[], options: CompareCommandOptions) => {
      const session = start(options);
      const comparison = await compareSides(runs, options);
      const text = renderComparison(comparison.document, {
        color: process.stdout.isTTY === true,
        width: process.stdout.columns ?? 100,
      });
      if (options.markdown !== undefined) {
        await writeFile(options.markdown, renderComparisonMarkdown(comparison.document));
      }
      if (comparison.file !== undefined) {
        await writeAtomically(comparison.file, `${JSON.stringify(comparison.document, null, 2)}\n`);
        session.console.info(`written to ${relative(process.cwd(), comparison.file)}`);
      }
      session.console.result(text.trimEnd(), comparison.document);
      process.exitCode = comparisonExitCodes[comparison.document.outcome];
    });
}

async function compareSides(
  runs: readonly string[],
  options: CompareCommandOptions,
): Promise<{ document: Comparison; file: string | undefined }> {
  const asked = settingsOf(options);
  const [first, second] = sidesOf(runs, options.baseline);
  const places = { results: resolve(options.results), baselines: resolve(options.baselines) };
  const baseline = await readSide(first, places);
  const candidate = await readSide(second, places);
  const invalid = [
    ...baseline.invalid.map((run) => ({ ...run, side: "baseline" as const })),
    ...candidate.invalid.map((run) => ({ ...run, side: "candidate" as const })),
  ];
  const unusable =
    (invalid.length > 0 && options.leaveOutInvalid !== true) ||
    baseline.runs.length === 0 ||
    candidate.runs.length === 0;
  const document = unusable
    ? invalidComparison(baseline, candidate, invalid)
    : compareRuns(baseline, candidate, { ...asked, leftOut: invalid });
  return { document, file: unusable ? undefined : outputOf(candidate, options.output) };
}

function sidesOf(
  runs: readonly string[],
  baseline: readonly string[] | undefined,
): [readonly string[], readonly string[]] {
  const [first, second] = runs;
  if (baseline !== undefined) {
    return [baseline, runs];
  }
  if (first === undefined || second === undefined || runs.length > 2) {
    throw new InputError([
      {
        path: runs.join(" "),
        rule: `${runs.length === 1 ? "one argument says not" : `${runs.length} arguments say not`} which runs are the baseline.`,
        fix: "Write two, with commas between several runs (a,b,c d,e,f), or name the baseline: --baseline <runs> <run...>",
      },
    ]);
  }
  return [[first], [second]];
}

function settingsOf(options: CompareCommandOptions): CompareOptions {
  return {
    thresholds: (options.threshold ?? []).map(parseThreshold),
    ...(options.metric === undefined ? {} : { metrics: options.metric }),
    ...(options.allow === undefined ? {} : { allow: options.allow }),
  };
}

function outputOf(candidate: ReadSide, output: string | undefined): string | undefined {
  if (output !== undefined) {
    return resolve(output);
  }
  const newest = [...candidate.folders].sort().at(-1);
  return newest === undefined ? undefined : join(newest, "comparison.json");
}
