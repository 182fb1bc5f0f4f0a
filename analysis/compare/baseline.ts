import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js";
import { type Baseline, baselineSchema, baselineVersion } from "../../schema/comparison.ts";
import { InputError } from "../../schema/errors.ts";
import { type CurvePoint, decodeHistogram, emptyHistogram, percentileCurve } from "../histogram.ts";
import { type TimePoint, timeline } from "../merge.ts";
import { writeAtomically } from "../summary.ts";
import type { ReadRun } from "./runs.ts";

/** Names are not run ids, which start with a digit, and make file names everywhere. */
const namePattern = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;

export const isBaselineName = (name: string): boolean => namePattern.test(name);

/** What a report draws behind a run: all runs of a baseline put together. */
export interface Overlay {
  /** Percentile curves by operation. */
  readonly curves: ReadonlyMap<string, readonly CurvePoint[]>;
  /** Rates of a mean run, latency of all merged. */
  readonly timeline: readonly TimePoint[];
}

/**
 * A baseline of valid runs that are alike: their records, and their latencies merged.
 *
 * @throws InputError when the name is none
 */
export function makeBaseline(name: string, runs: readonly ReadRun[], now: Date): Baseline {
  requireName(name);
  const merged = mergedLatency(runs);
  return {
    schema: baselineVersion,
    name,
    set: now.toISOString(),
    runs: runs.map(({ record }) => record),
    latency: Object.fromEntries([...merged].map(([operation, one]) => [operation, encodeIntoCompressedBase64(one)])),
    timeline: meanTimeline(runs),
  };
}

/** The overlay of a stored baseline. */
export function overlayOfBaseline(baseline: Baseline): Overlay {
  const curves = Object.entries(baseline.latency).map(
    ([operation, encoded]) => [operation, percentileCurve(decodeHistogram(encoded))] as const,
  );
  return { curves: new Map(curves), timeline: baseline.timeline };
}

function mergedLatency(runs: readonly ReadRun[]): Map<string, Histogram> {
  const merged = new Map<string, Histogram>();
  for (const [operation, latency] of runs.flatMap((run) => [...run.latency])) {
    const whole = merged.get(operation) ?? emptyHistogram();
    whole.add(latency);
    merged.set(operation, whole);
  }
  return merged;
}

function meanTimeline(runs: readonly ReadRun[]): TimePoint[] {
  const workers = runs.flatMap((run) => run.workers.map((result) => ({ result })));
  const warmup = workers[0]?.result.phases.find(({ name }) => name === "warmup");
  return timeline(workers, warmup === undefined ? 0 : warmup.endMs - warmup.startMs).map((point) => ({
    ...point,
    offeredRate: point.offeredRate / runs.length,
    achievedRate: point.achievedRate / runs.length,
    failedRate: point.failedRate / runs.length,
  }));
}

const fileOf = (folder: string, name: string): string => join(folder, `${name}.json`);

/** Writes `<folder>/<name>.json`, replacing an earlier one in one step. */
export async function writeBaseline(folder: string, baseline: Baseline): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = fileOf(folder, baseline.name);
  await writeAtomically(file, `${JSON.stringify(baseline, null, 2)}\n`);
  return file;
}

/**
 * A stored baseline, or undefined when there is none of that name.
 *
 * @throws InputError when the file is damaged or of another version
 */
export async function readBaseline(folder: string, name: string): Promise<Baseline | undefined> {
  requireName(name);
  const file = fileOf(folder, name);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) {
    return undefined;
  }
  const parsed = baselineSchema.safeParse(documentOf(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new InputError([
      {
        at: file,
        path: issue?.path.join(".") ?? "",
        rule: `this is no baseline of version ${baselineVersion}: ${issue?.message}.`,
        fix: `Set it again: npx orrery baseline set ${name} <run...>`,
      },
    ]);
  }
  return parsed.data;
}

/** What the text is as JSON; undefined, which is no baseline, when it is none. */
function documentOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Names of the stored baselines, sorted. */
export async function baselineNames(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return files
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .filter(isBaselineName)
    .sort();
}

function requireName(name: string): void {
  if (!isBaselineName(name)) {
    throw new InputError([
      {
        path: name,
        rule: "this is no name for a baseline.",
        fix: "A name is 1 to 40 lower-case letters, digits and dashes, starting with a letter.",
      },
    ]);
  }
}
