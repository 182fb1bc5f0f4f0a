import { join } from "node:path";
import { renderJunit } from "./report/junit.ts";
import { renderMarkdown } from "./report/markdown.ts";
import { renderReport } from "./report/page.ts";
import { analyseRun, writeAtomically } from "./summary.ts";

/** What a run's folder is given to read, by format. */
export const reportFiles = { html: "report.html", markdown: "report.md", junit: "junit.xml" } as const;
export type ReportFormat = keyof typeof reportFiles;

/**
 * Writes `report.html`, `report.md` and `junit.xml` into a run folder, replacing earlier ones, each in one step.
 *
 * @returns The path of each.
 * @throws InputError when there is no such folder.
 */
export async function writeReports(runFolder: string): Promise<Record<ReportFormat, string>> {
  const analysis = await analyseRun(runFolder);
  const texts: Record<ReportFormat, string> = {
    html: renderReport(analysis),
    markdown: renderMarkdown(analysis.summary),
    junit: renderJunit(analysis.summary),
  };
  const write = async (format: ReportFormat): Promise<string> => {
    const file = join(runFolder, reportFiles[format]);
    await writeAtomically(file, texts[format]);
    return file;
  };
  return { html: await write("html"), markdown: await write("markdown"), junit: await write("junit") };
}
