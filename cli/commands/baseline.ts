import { rm } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { Command } from "commander";
import { baselineNames, makeBaseline, readBaseline, writeBaseline } from "../../analysis/compare/baseline.ts";
import { requireComparable } from "../../analysis/compare/compare.ts";
import type { Baseline } from "../../schema/comparison.ts";
import { exitCodes, InputError } from "../../schema/errors.ts";
import type { CommonOptions, Session } from "../session.ts";
import { readRuns } from "../sides.ts";

interface BaselineOptions extends CommonOptions {
  readonly results: string;
  readonly baselines: string;
}

/** `orrery baseline set|ls|rm`: named runs that others are compared with. */
export function baselineCommand(start: (options: BaselineOptions) => Session): Command {
  const verb = (name: string): Command =>
    new Command(name)
      .option("--baselines <folder>", "folder of stored baselines", "baselines")
      .option("--json", "print the result as JSON");
  return new Command("baseline")
    .description("name runs that others are compared with; a baseline is a file to commit, and outlives its runs")
    .addCommand(
      verb("set")
        .description("store runs as a baseline, replacing one of that name; exit code 2 when one is invalid")
        .argument("<name>", "name of the baseline")
        .argument("<runs...>", "experiment/run-id, run id or folder")
        .option("-o, --results <folder>", "folder of results", "results")
        .action((name: string, runs: string[], options: BaselineOptions) => set(name, runs, options, start(options))),
    )
    .addCommand(
      verb("ls")
        .description("list the baselines")
        .action((options: BaselineOptions) => list(resolve(options.baselines), start(options))),
    )
    .addCommand(
      verb("rm")
        .description("remove a baseline; its runs stay")
        .argument("<name>", "name of the baseline")
        .action((name: string, options: BaselineOptions) => remove(name, resolve(options.baselines), start(options))),
    );
}

async function set(
  name: string,
  runs: readonly string[],
  options: BaselineOptions,
  { console }: Session,
): Promise<void> {
  const places = { results: resolve(options.results), baselines: resolve(options.baselines) };
  const read = await readRuns(runs, places);
  const invalid = read.filter(({ against }) => against.length > 0);
  if (invalid.length > 0) {
    for (const { record, against } of invalid) {
      console.warn(`${record.experiment}/${record.run} is invalid: ${against.join(", ")}`);
    }
    console.result("nothing is stored: invalid runs cannot be a baseline", { stored: false });
    process.exitCode = exitCodes.invalid;
    return;
  }
  requireComparable(read.map(({ record }) => record));
  const baseline = makeBaseline(name, read, new Date());
  const file = await writeBaseline(places.baselines, baseline);
  console.result(`${describe(baseline)}\nwritten to ${relative(process.cwd(), file)}`, baseline);
}

async function list(folder: string, { console }: Session): Promise<void> {
  const names = await baselineNames(folder);
  const baselines = (await Promise.all(names.map((name) => readBaseline(folder, name)))).flatMap((one) => one ?? []);
  console.result(baselines.map(describe).join("\n") || "no baselines yet", baselines);
}

async function remove(name: string, folder: string, { console }: Session): Promise<void> {
  if ((await readBaseline(folder, name)) === undefined) {
    throw new InputError([
      { path: name, rule: `there is no such baseline in ${folder}.`, fix: "`orrery baseline ls` lists them." },
    ]);
  }
  await rm(join(folder, `${name}.json`));
  console.result(`baseline ${name} is removed`, { removed: name });
}

function describe({ name, set: when, runs }: Baseline): string {
  const experiments = [...new Set(runs.map(({ experiment }) => experiment))].join(", ");
  return `${name}  ${experiments}  ${runs.length} ${runs.length === 1 ? "run" : "runs"}  set ${when.slice(0, 10)}`;
}
