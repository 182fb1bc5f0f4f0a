import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { InputError } from "../schema/errors.ts";
import { type Summary, summarySchema } from "../schema/summary.ts";
import { makeBaseline, overlayOfBaseline } from "./compare/baseline.ts";
import { readRunRecord } from "./compare/runs.ts";
import { renderAnalysis } from "./report/analysis-page.ts";
import type { NamedOverlay } from "./report/figures.ts";
import { renderIndex } from "./report/index-page.ts";
import { renderJunit } from "./report/junit.ts";
import { renderMarkdown } from "./report/markdown.ts";
import { renderReport } from "./report/page.ts";
import { analyseRun, writeAtomically } from "./summary.ts";
import { readTraces } from "./traces.ts";

/** What a run's folder is given to read, by format. */
export const reportFiles = {
  html: "report.html",
  markdown: "report.md",
  junit: "junit.xml",
  analysis: "analysis.html",
} as const;
export type ReportFormat = keyof typeof reportFiles;

/**
 * Writes `report.html`, `report.md`, `junit.xml` and `analysis.html` into a run folder, replacing earlier ones, each in
 * one step.
 *
 * @param overlay What to draw behind the run.
 * @returns The path of each.
 * @throws InputError when there is no such folder.
 */
export async function writeReports(
  runFolder: string,
  overlay: NamedOverlay | null = null,
): Promise<Record<ReportFormat, string>> {
  const analysis = await analyseRun(runFolder);
  const texts: Record<ReportFormat, string> = {
    html: renderReport(analysis, { overlay, traces: await readTraces(runFolder) }),
    markdown: renderMarkdown(analysis.summary),
    junit: renderJunit(analysis.summary),
    analysis: renderAnalysis(`${analysis.summary.experiment}/${analysis.summary.run}`, analysis.whole),
  };
  const write = async (format: ReportFormat): Promise<string> => {
    const file = join(runFolder, reportFiles[format]);
    await writeAtomically(file, texts[format]);
    return file;
  };
  return {
    html: await write("html"),
    markdown: await write("markdown"),
    junit: await write("junit"),
    analysis: await write("analysis"),
  };
}

/**
 * Runs put together as something to draw behind another.
 *
 * @throws InputError when one is not there or its results are damaged.
 */
export async function overlayOfRuns(name: string, runFolders: readonly string[]): Promise<NamedOverlay> {
  const runs = await Promise.all(runFolders.map(readRunRecord));
  for (const [index, { workers }] of runs.entries()) {
    if (workers.length === 0) {
      throw new InputError([
        { path: runFolders[index] ?? "", rule: "its results are damaged.", fix: "Choose a run that is whole." },
      ]);
    }
  }
  return { name, ...overlayOfBaseline(makeBaseline("overlay", runs, new Date(0))) };
}

/**
 * Writes `index.html` into an experiment's folder: its runs, their verdicts, and how the key figures went.
 *
 * @param runFolders The runs, oldest first.
 * @returns The path of the page.
 */
export async function writeIndex(experimentFolder: string, runFolders: readonly string[]): Promise<string> {
  const runs = await Promise.all(
    runFolders.map(async (folder) => ({ folder: basename(folder), summary: await readSummary(folder) })),
  );
  const file = join(experimentFolder, "index.html");
  await writeAtomically(file, renderIndex(basename(experimentFolder), runs));
  return file;
}

/** The summary of a run folder, or undefined where there is none that can be read. */
export async function readSummary(runFolder: string): Promise<Summary | undefined> {
  try {
    return summarySchema.parse(JSON.parse(await readFile(join(runFolder, "summary.json"), "utf8")));
  } catch {
    return undefined; // missing, damaged or of another version: the raw results are what counts
  }
}
