import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type Analysis, analyseRun } from "../../../analysis/summary.ts";
import { makeRunFolder, type RunOptions } from "../../support/results.ts";

/** A short run that is good in every respect: 100 operations a second for 10 s, the leader killed at 4 s. */
export const shortRun: RunOptions = {
  ratePerSecond: 100,
  operations: { put: 1, get: 3 },
  warmupMs: 2_000,
  measureMs: 10_000,
  killAtMs: 4_000,
  objectives: [
    { metric: "success_ratio", min: 0.9 },
    { metric: "lost_writes", max: 0 },
  ],
};

/** A folder `<experiment>/<run>` that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "orrery-analysis-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "kv", "run-1");
}

/** Makes a run folder, lets the test change it, and analyses it. */
export async function analysed(
  options: RunOptions = {},
  change: (folder: string) => Promise<void> = async () => {},
): Promise<Analysis> {
  const folder = await temporaryFolder();
  await makeRunFolder(folder, { ...shortRun, ...options });
  await change(folder);
  return analyseRun(folder);
}

/** Names of the checks that speak against a run, each once. */
export const failedChecks = ({ summary }: Analysis): string[] => [
  ...new Set(summary.reasons.map((reason) => reason.check)),
];
/** Names of the checks that only remark on something, each once. */
export const remarkedChecks = ({ summary }: Analysis): string[] => [
  ...new Set(summary.warnings.map((warning) => warning.check)),
];
