import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../schema/errors.ts";

/** Folders of the runs of an experiment, oldest first. */
export async function runFolders(results: string, experiment: string): Promise<string[]> {
  const folder = join(results, experiment);
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.endsWith(".incomplete"))
    .map((entry) => join(folder, entry.name))
    .sort();
}

/** Names of the experiments that have results. */
export async function experimentNames(results: string): Promise<string[]> {
  const entries = await readdir(results, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/**
 * The folder of a run.
 *
 * @param argument `<experiment>/<run-id>`, or `<experiment>` for its newest run
 * @throws InputError when there is none
 */
export async function findRun(results: string, argument: string): Promise<string> {
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
