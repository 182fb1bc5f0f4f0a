import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import { type BisectResult, type BisectStep, bisect } from "../../analysis/compare/bisect.ts";
import { parseThreshold } from "../../analysis/compare/metrics.ts";
import { exitCodes, InputError } from "../../schema/errors.ts";
import { InvalidRuns, VersionRuns } from "../bisect.ts";
import { listed, wholeNumber } from "../options.ts";
import { type CommonOptions, readExperiment, type Session, targetCommand } from "../session.ts";

interface BisectCommandOptions extends CommonOptions {
  readonly good: string;
  readonly bad: string;
  readonly candidates?: string;
  readonly runs: number;
  readonly mostRuns: number;
  readonly metric?: readonly string[];
  readonly threshold?: readonly string[];
  readonly results: string;
  readonly destroy?: boolean;
}

const bisectExitCodes: Readonly<Record<BisectResult["outcome"], number>> = {
  none: exitCodes.pass,
  found: exitCodes.fail,
  narrowed: exitCodes.inconclusive,
  inconclusive: exitCodes.inconclusive,
};

/** `orrery bisect <experiment>`: which image version made it worse? */
export function bisectCommand(start: (options: BisectCommandOptions) => Session): Command {
  return targetCommand("bisect")
    .description("find the first image version that is worse; exit code 1 found, 0 none is worse, 5 cannot be told")
    .argument("<experiment>", "experiment file; its network.image is replaced")
    .requiredOption("--good <image>", "a version that is good")
    .requiredOption("--bad <image>", "a later one that may be bad")
    .option("--candidates <list>", "the versions between them in order: with commas, or a file with one a line")
    .option("--runs <count>", "runs a version at first", wholeNumber, 6)
    .option("--most-runs <count>", "runs a version at most", wholeNumber, 20)
    .option("--metric <name>", "judge only these; fewer metrics take fewer runs", listed)
    .option("--threshold <metric=change>", "what matters, e.g. get.latency.p99=10%", listed)
    .option("-o, --results <folder>", "folder for results", "results")
    .option("--destroy", "destroy the stack afterwards")
    .action(async (file: string, options: BisectCommandOptions) => {
      const session = start(options);
      const versions = await versionsOf(options);
      const thresholds = (options.threshold ?? []).map(parseThreshold);
      const runs = new VersionRuns(file, await readExperiment(file, session), options, session);
      try {
        const result = await bisect(versions, (version, count) => runs.make(version, count), {
          runs: options.runs,
          mostRuns: Math.max(options.runs, options.mostRuns),
          thresholds,
          ...(options.metric === undefined ? {} : { metrics: options.metric }),
          onStep: (step) => session.console.info(stepText(step)),
        });
        session.console.result(resultText(result, options), result);
        process.exitCode = bisectExitCodes[result.outcome];
      } catch (error) {
        if (!(error instanceof InvalidRuns)) {
          throw error;
        }
        session.console.result(error.message, { outcome: "invalid", reason: error.message });
        process.exitCode = exitCodes.invalid;
      } finally {
        await runs.close(options.destroy === true && !session.signals.command.aborted);
      }
    });
}

/** Good, candidates, bad; the ends may be in the list, and then cut it. */
async function versionsOf({ good, bad, candidates = "" }: BisectCommandOptions): Promise<string[]> {
  const file = /[,@:]/.test(candidates) || candidates === "" ? undefined : resolve(candidates);
  const text = file === undefined ? candidates.replaceAll(",", "\n") : await readList(file);
  const lines = text
    .split("\n")
    .map((line) => line.replace(/#.*$/, "").trim())
    .filter((line) => line !== "");
  const from = lines.indexOf(good) + 1;
  const to = lines.includes(bad) ? lines.indexOf(bad) : lines.length;
  const versions = [good, ...lines.slice(from, to), bad];
  if (new Set(versions).size !== versions.length || from > to) {
    throw new InputError([
      {
        path: "--candidates",
        rule: `a version is there twice, or the bad one comes first: ${versions.join(", ")}.`,
        fix: "List each version once, from --good to --bad.",
      },
    ]);
  }
  return versions;
}

async function readList(file: string): Promise<string> {
  return await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new InputError([
      { path: "--candidates", rule: `${file} cannot be read (${error.code}).`, fix: "Name a file, or list versions." },
    ]);
  });
}

const words = { pass: "good", regression: "bad", inconclusive: "unclear", invalid: "invalid" } as const;

function stepText({ version, outcome, runs, comparison }: BisectStep): string {
  const worse = comparison.metrics.filter(({ finding }) => finding === "worse").map(({ metric }) => metric);
  return `${version}: ${words[outcome]} after ${runs} runs${worse.length === 0 ? "" : ` (${worse.join(", ")})`}`;
}

function resultText({ outcome, among }: BisectResult, { good, bad }: BisectCommandOptions): string {
  switch (outcome) {
    case "found":
      return `${among[0]} is the first bad version`;
    case "narrowed":
      return `the first bad version is one of ${among.join(", ")}; they could not be told from ${good} with these runs: allow more with --most-runs, or judge fewer metrics with --metric`;
    case "none":
      return `${bad} is no worse than ${good}: there is nothing to find`;
    case "inconclusive":
      return `${bad} could not be told from ${good} with these runs: allow more with --most-runs, or judge fewer metrics with --metric`;
  }
}
