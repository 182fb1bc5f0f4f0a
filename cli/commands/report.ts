import { readFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { Command, Option } from "commander";
import { isBaselineName, overlayOfBaseline, readBaseline } from "../../analysis/compare/baseline.ts";
import type { NamedOverlay } from "../../analysis/report/figures.ts";
import { overlayOfRuns, type ReportFormat, reportFiles, writeIndex } from "../../analysis/report.ts";
import { InputError } from "../../schema/errors.ts";
import { openInBrowser } from "../browser.ts";
import { announce, judge } from "../run.ts";
import { findRun, runFolders } from "../run-folders.ts";
import type { CommonOptions, Session } from "../session.ts";

interface ReportOptions extends CommonOptions {
  readonly results: string;
  readonly open?: boolean;
  readonly format?: ReportFormat;
  readonly index?: boolean;
  readonly baseline?: string;
  readonly baselines: string;
}

/** `orrery report <experiment>[/<run>]`: judge a run again from its raw results. */
export function reportCommand(start: (options: ReportOptions) => Session): Command {
  return new Command("report")
    .description("make summary and report of a run again from its raw results")
    .argument("<run>", "experiment/run-id, or an experiment for its newest run")
    .option("-o, --results <folder>", "folder of results", "results")
    .addOption(
      new Option("-f, --format <format>", "print the report in this format instead of the summary").choices(
        Object.keys(reportFiles),
      ),
    )
    .option("-b, --baseline <runs>", "draw this behind the run: a stored baseline, or runs with commas between")
    .option("--baselines <folder>", "folder of stored baselines", "baselines")
    .option("--index", "make the page over all runs of the experiment instead")
    .option("--open", "open the report in the browser")
    .option("--json", "print the summary as JSON")
    .action(async (argument: string, options: ReportOptions) => {
      const session = start(options);
      const results = resolve(options.results);
      if (options.index === true) {
        await makeIndex(results, argument, session);
        return;
      }
      const folder = await findRun(results, argument);
      const overlay =
        options.baseline === undefined ? null : await overlayOf(options.baseline, results, options.baselines);
      const outcome = await judge(folder, overlay);
      if (options.format !== undefined) {
        process.stdout.write(await readFile(outcome.reports[options.format], "utf8"));
      } else {
        announce(outcome, session.console);
      }
      if (options.open === true) {
        openInBrowser(outcome.reports.html, session.console);
      }
    });
}

/** A stored baseline of that name, or else the runs the argument names. */
async function overlayOf(argument: string, results: string, baselines: string): Promise<NamedOverlay> {
  const stored = isBaselineName(argument) ? await readBaseline(resolve(baselines), argument) : undefined;
  if (stored !== undefined) {
    return { name: argument, ...overlayOfBaseline(stored) };
  }
  const folders = await Promise.all(argument.split(",").map((name) => findRun(results, name)));
  return await overlayOfRuns(folders.map((folder) => basename(folder)).join(", "), folders);
}

/** `results/<experiment>/index.html`. */
async function makeIndex(results: string, argument: string, { console }: Session): Promise<void> {
  const [experiment = ""] = argument.split("/");
  const folders = await runFolders(results, experiment);
  if (folders.length === 0) {
    throw new InputError([
      { path: argument, rule: `there is no run of it in ${results}.`, fix: "`orrery results` lists them." },
    ]);
  }
  const page = await writeIndex(join(results, experiment), folders);
  console.result(relative(process.cwd(), page), { page, runs: folders.length });
}
