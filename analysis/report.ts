import { join } from "node:path";
import { renderReport } from "./report/page.ts";
import { analyseRun, writeAtomically } from "./summary.ts";

/**
 * Writes `report.html` into a run folder, replacing an earlier one in one step.
 *
 * @returns The path of the report.
 * @throws InputError when there is no such folder.
 */
export async function writeReport(runFolder: string): Promise<string> {
  const file = join(runFolder, "report.html");
  await writeAtomically(file, renderReport(await analyseRun(runFolder)));
  return file;
}
