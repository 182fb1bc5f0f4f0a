import { basename, join, resolve } from "node:path";
import { Command } from "commander";
import { readSummary } from "../../analysis/report.ts";
import type { Summary } from "../../schema/summary.ts";
import { experimentNames, runFolders } from "../run-folders.ts";
import type { CommonOptions, Session } from "../session.ts";

interface ResultsOptions extends CommonOptions {
  readonly results: string;
}

/** `orrery results [experiment]`: the runs that are kept. */
export function resultsCommand(start: (options: ResultsOptions) => Session): Command {
  return new Command("results")
    .description("list runs and their verdicts")
    .argument("[experiment]", "only runs of this experiment")
    .option("-o, --results <folder>", "folder of results", "results")
    .option("--json", "print the summaries as JSON")
    .action(async (experiment: string | undefined, options: ResultsOptions) => {
      const session = start(options);
      const root = resolve(options.results);
      const names = experiment === undefined ? await experimentNames(root) : [experiment];
      const folders = (await Promise.all(names.map((name) => runFolders(root, name)))).flat();
      const runs = await Promise.all(folders.map(async (folder) => ({ folder, summary: await readSummary(folder) })));
      const text = runs.map(({ folder, summary }) => describe(folder, summary)).join("\n");
      session.console.result(
        text === "" ? "no runs yet" : text,
        runs.flatMap(({ summary }) => summary ?? []),
      );
    });
}

function describe(folder: string, summary: Summary | undefined): string {
  const id = `${basename(join(folder, ".."))}/${basename(folder)}`;
  if (summary === undefined) {
    return `${id}  no readable summary (orrery report ${id} makes one)`;
  }
  const missed = summary.objectives.filter((objective) => !objective.met).map((objective) => objective.metric);
  const why = summary.valid ? missed : summary.reasons.map((reason) => reason.check);
  return [id, summary.verdict, summary.target, ...(why.length > 0 ? [why.join(", ")] : [])].join("  ");
}
