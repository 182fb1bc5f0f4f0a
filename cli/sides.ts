import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { baselineNames, isBaselineName, readBaseline } from "../analysis/compare/baseline.ts";
import type { Side } from "../analysis/compare/compare.ts";
import { type ReadRun, readRunRecord } from "../analysis/compare/runs.ts";
import type { Comparison } from "../schema/comparison.ts";
import { InputError } from "../schema/errors.ts";
import { experimentNames } from "./run-folders.ts";

/** Where runs and baselines are looked for. */
export interface Places {
  /** Folder of results. */
  readonly results: string;
  /** Folder of stored baselines. */
  readonly baselines: string;
}

/** One side of a comparison, read. */
export interface ReadSide extends Side {
  /** Run folders, in the order named; none for the runs of a stored baseline. */
  readonly folders: readonly string[];
  readonly invalid: Omit<Comparison["left_out"][number], "side">[];
}

/** The runs or baselines that arguments name, commas between several in one. */
const namesOf = (arguments_: readonly string[]): string[] =>
  arguments_.flatMap((argument) => argument.split(",")).filter((name) => name !== "");

/**
 * Reads what the arguments name: run folders, `experiment/run`, run ids, or stored baselines.
 *
 * @throws InputError naming each argument that is nothing of these
 */
export async function readSide(arguments_: readonly string[], places: Places): Promise<ReadSide> {
  const names = namesOf(arguments_);
  const runs: Side["runs"][number][] = [];
  const folders: string[] = [];
  const invalid: ReadSide["invalid"] = [];
  for (const name of names) {
    const folder = await findFolder(name, places.results);
    const baseline =
      folder === undefined && isBaselineName(name) ? await readBaseline(places.baselines, name) : undefined;
    if (folder !== undefined) {
      const { record, against } = await readRunRecord(folder);
      if (against.length > 0) {
        invalid.push({ experiment: record.experiment, run: record.run, checks: [...against] });
      } else {
        runs.push(record);
        folders.push(folder);
      }
    } else if (baseline !== undefined) {
      runs.push(...baseline.runs);
    } else {
      throw await nothingSuch(name, places);
    }
  }
  return {
    name: names.length === 1 && folders.length + invalid.length === 0 ? names[0] : undefined,
    runs,
    folders,
    invalid,
  };
}

/**
 * Reads runs for a baseline, from folders only.
 *
 * @throws InputError when one is not there, or is invalid
 */
export async function readRuns(arguments_: readonly string[], places: Places): Promise<ReadRun[]> {
  const runs: ReadRun[] = [];
  for (const name of namesOf(arguments_)) {
    const folder = await findFolder(name, places.results);
    if (folder === undefined) {
      throw await nothingSuch(name, places);
    }
    runs.push(await readRunRecord(folder));
  }
  return runs;
}

async function isRun(folder: string): Promise<boolean> {
  const found = await stat(join(folder, "conductor.json")).catch(() => undefined); // not there: no run
  return found?.isFile() === true;
}

/** The folder of a run named by path, by `experiment/run`, or by its id alone where one experiment has it. */
async function findFolder(name: string, results: string): Promise<string | undefined> {
  const asExperiment = (await experimentNames(results)).map((experiment) => join(results, experiment, name));
  const candidates = [resolve(name), join(results, name), ...asExperiment];
  const found: string[] = [];
  for (const candidate of new Set(candidates)) {
    if (await isRun(candidate)) {
      found.push(candidate);
    }
  }
  if (found.length > 1) {
    throw new InputError([
      { path: name, rule: `several runs are called so: ${found.join(", ")}.`, fix: "Write experiment/run." },
    ]);
  }
  return found[0];
}

async function nothingSuch(name: string, { results, baselines }: Places): Promise<InputError> {
  const known = await baselineNames(baselines);
  return new InputError([
    {
      path: name,
      rule: `there is no such run in ${results} and no such baseline in ${baselines}.`,
      fix: `\`orrery results\` lists runs; ${known.length === 0 ? "there are no baselines yet" : `baselines are ${known.join(", ")}`}.`,
    },
  ]);
}
