import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { type ReportFormat, reportFiles } from "../../analysis/report.ts";
import { InputError } from "../../schema/errors.ts";
import { runFolders } from "../collect.ts";
import { announce, judge } from "../run.ts";
import type { CommonOptions, Session } from "../session.ts";

interface ReportOptions extends CommonOptions {
  readonly results: string;
  readonly open?: boolean;
  readonly format?: ReportFormat;
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
    .option("--open", "open the report in the browser")
    .option("--json", "print the summary as JSON")
    .action(async (argument: string, options: ReportOptions) => {
      const session = start(options);
      const outcome = await judge(await findRun(resolve(options.results), argument));
      if (options.format !== undefined) {
        process.stdout.write(await readFile(outcome.reports[options.format], "utf8"));
      } else {
        announce(outcome, session.console);
      }
      if (options.open === true) {
        const opener = process.platform === "darwin" ? "open" : "xdg-open";
        spawn(opener, [outcome.reports.html], { detached: true, stdio: "ignore" })
          .on("error", () => session.console.warn(`${opener} cannot be started; open ${outcome.reports.html} yourself`))
          .unref();
      }
    });
}

async function findRun(results: string, argument: string): Promise<string> {
  const [experiment = "", run] = argument.replace(/\/$/, "").split("/").slice(-2);
  const single = !argument.includes("/");
  const folders = await runFolders(results, single ? argument : experiment);
  const found = single ? folders.at(-1) : folders.find((folder) => folder.endsWith(`/${run}`));
  if (found === undefined) {
    throw new InputError([
      { path: argument, rule: `there is no such run in ${results}.`, fix: "`orrery results` lists them." },
    ]);
  }
  return found;
}
