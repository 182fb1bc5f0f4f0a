import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { InputError } from "../schema/errors.ts";
import type { Experiment } from "../schema/experiment.ts";
import { parseExperiment } from "../schema/load.ts";
import {
  type ConductorResult,
  conductorResultSchema,
  conductorResultVersion,
  type Environment,
  environmentSchema,
  type OperationResult,
  type WorkerResult,
  workerResultSchema,
  workerResultVersion,
} from "../schema/results.ts";
import { type RunSpec, runSpecSchema, runSpecVersion } from "../schema/run.ts";
import type { Reason } from "../schema/summary.ts";
import { type EventTable, readEvents } from "./events.ts";
import { decodeHistogram } from "./histogram.ts";
import { type ReplicationTable, readReplication } from "./replication-table.ts";

/** What one worker delivered, checked. */
export interface WorkerData {
  readonly index: number;
  readonly result: WorkerResult;
  readonly events: EventTable;
  /** Null where replication was not observed. */
  readonly replication: ReplicationTable | null;
}

/** A run folder as far as it could be read; a part is absent exactly when `damage` says why. */
export interface RunData {
  readonly folder: string;
  readonly spec: RunSpec | null;
  readonly experiment: Experiment | null;
  /** The experiment as written. */
  readonly experimentSource: string | null;
  readonly conductor: ConductorResult | null;
  readonly environment: Environment | null;
  /** Workers whose files are whole, by index. */
  readonly workers: readonly WorkerData[];
  /** Why the folder cannot be believed; empty when every file is there and whole. */
  readonly damage: readonly Reason[];
  /** What is missing without harm to any number. */
  readonly warnings: readonly Reason[];
}

const collectAgain = "Collect the results again; when the source is damaged too, run again.";
const missing = (file: string): Reason => ({
  check: "results-missing",
  text: `${file} is missing.`,
  fix: collectAgain,
});
const damaged = (file: string, why: string): Reason => ({
  check: "results-damaged",
  text: `${file} cannot be read: ${why}.`,
  fix: collectAgain,
});
const mismatch = (text: string): Reason => ({
  check: "results-mismatch",
  text,
  fix: "Keep the files of each run in a folder of their own; collect this run again.",
});

type Read<T> = { readonly value: T } | { readonly reason: Reason };

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** The first line of an error, without the full stop that the sentence around it adds. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split("\n")[0] ?? text).replace(/\.$/, "");
}

async function readText(folder: string, file: string): Promise<Read<string>> {
  try {
    return { value: await readFile(join(folder, file), "utf8") };
  } catch (error) {
    return { reason: codeOf(error) === "ENOENT" ? missing(file) : damaged(file, messageOf(error)) };
  }
}

async function readDocument<T>(folder: string, file: string, schema: z.ZodType<T>, version?: string): Promise<Read<T>> {
  const text = await readText(folder, file);
  if ("reason" in text) {
    return text;
  }
  let document: unknown;
  try {
    document = JSON.parse(text.value);
  } catch (error) {
    return { reason: damaged(file, `it is not whole JSON (${messageOf(error)})`) };
  }
  const found: unknown =
    typeof document === "object" && document !== null && "schema" in document ? document.schema : undefined;
  if (version !== undefined && found !== version) {
    return {
      reason: {
        check: "results-version",
        text: `${file} is of version ${JSON.stringify(found) ?? "none"}; this program reads "${version}".`,
        fix: "Analyse the run with the version of orrery that made it.",
      },
    };
  }
  const parsed = schema.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const more = parsed.error.issues.length > 1 ? `, and ${parsed.error.issues.length - 1} more` : "";
    return {
      reason: damaged(
        file,
        `${issue?.path.join(".") ?? ""}: ${(issue?.message ?? "not as specified").replace(/\.$/, "")}${more}`,
      ),
    };
  }
  return { value: parsed.data };
}

/**
 * Reads a run folder (layout in schema/results.ts) strictly. Damaged, missing or foreign files become reasons, never
 * exceptions and never partial data: a worker is in `workers` only when its document, every histogram in it and its
 * event log are whole.
 *
 * @throws InputError when `folder` is no folder at all.
 */
export async function readRun(folder: string): Promise<RunData> {
  const isFolder = await stat(folder).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    throw new InputError([
      { path: folder, rule: "there is no such run folder.", fix: "Give results/<experiment>/<run-id>." },
    ]);
  }
  const damage: Reason[] = [];
  const warnings: Reason[] = [];
  const take = <T>(read: Read<T>, into: Reason[] = damage): T | null => {
    if ("reason" in read) {
      into.push(read.reason);
      return null;
    }
    return read.value;
  };
  const spec = take(await readDocument(folder, "spec.json", runSpecSchema, runSpecVersion));
  const source = take(await readText(folder, "experiment.yaml"));
  const experiment = source === null ? null : take(readExperiment(source));
  const conductor = take(await readDocument(folder, "conductor.json", conductorResultSchema, conductorResultVersion));
  const environmentRead = await readDocument(folder, "environment.json", environmentSchema);
  const absent = "reason" in environmentRead && environmentRead.reason.check === "results-missing";
  const environment = take(environmentRead, absent ? warnings : damage);

  const run = spec?.run ?? conductor?.run;
  if (spec !== null && conductor !== null && conductor.run !== spec.run) {
    damage.push(mismatch(`conductor.json is of run ${conductor.run}, spec.json of run ${spec.run}.`));
  }
  if (spec !== null && experiment !== null && experiment.name !== spec.experiment) {
    damage.push(mismatch(`experiment.yaml is "${experiment.name}", spec.json is of "${spec.experiment}".`));
  }
  const workers: WorkerData[] = [];
  for (const index of await workerIndices(folder, spec?.workers ?? conductor?.workers.length, damage)) {
    const worker = take(await readWorker(folder, index, run, spec));
    if (worker !== null) {
      workers.push(worker);
    }
  }
  return { folder, spec, experiment, experimentSource: source, conductor, environment, workers, damage, warnings };
}

function readExperiment(source: string): Read<Experiment> {
  try {
    return { value: parseExperiment(source, "experiment.yaml").experiment };
  } catch (error) {
    if (error instanceof InputError) {
      return { reason: damaged("experiment.yaml", messageOf(error)) };
    }
    throw error;
  }
}

/** Indices to read: those expected, a folder beyond them being a mismatch; where nothing says, those that are there. */
async function workerIndices(folder: string, expected: number | undefined, damage: Reason[]): Promise<number[]> {
  const names = await readdir(join(folder, "workers")).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") {
      return [];
    }
    throw error;
  });
  const isIndex = (name: string): boolean => /^(0|[1-9]\d*)$/.test(name);
  if (expected === undefined) {
    return names
      .filter(isIndex)
      .map(Number)
      .sort((a, b) => a - b);
  }
  const strangers = names.filter((name) => !isIndex(name) || Number(name) >= expected);
  if (strangers.length > 0) {
    damage.push(mismatch(`workers/ holds ${strangers.join(", ")}, which no worker of this run made.`));
  }
  return Array.from({ length: expected }, (_, index) => index);
}

async function readWorker(
  folder: string,
  index: number,
  run: string | undefined,
  spec: RunSpec | null,
): Promise<Read<WorkerData>> {
  const file = `workers/${index}/worker.json`;
  const document = await readDocument(folder, file, workerResultSchema, workerResultVersion);
  if ("reason" in document) {
    return document;
  }
  const result = document.value;
  if (result.worker !== index) {
    return { reason: mismatch(`${file} is of worker ${result.worker}.`) };
  }
  if (run !== undefined && result.run !== run) {
    return { reason: mismatch(`${file} is of run ${result.run}, not ${run}.`) };
  }
  for (const [operation, results] of Object.entries(result.operations)) {
    const broken = brokenHistogram(results);
    if (broken !== undefined) {
      return { reason: damaged(file, `operations.${operation}.${broken}`) };
    }
  }
  const events = await readTable(folder, `workers/${index}/events.parquet`, (path) => readEvents(path, index));
  if ("reason" in events) {
    return events;
  }
  if (spec?.replication === undefined) {
    return { value: { index, result, events: events.value, replication: null } };
  }
  if (result.replication === undefined) {
    return { reason: damaged(file, "it does not say how replication was observed, which the run asked for") };
  }
  const members = spec.endpoints.map(({ ordinal }) => ordinal);
  const replication = await readTable(folder, `workers/${index}/replication.parquet`, (path) =>
    readReplication(path, index, members),
  );
  return "reason" in replication
    ? replication
    : { value: { index, result, events: events.value, replication: replication.value } };
}

async function readTable<T>(folder: string, file: string, read: (path: string) => Promise<T>): Promise<Read<T>> {
  try {
    return { value: await read(join(folder, file)) };
  } catch (error) {
    return { reason: codeOf(error) === "ENOENT" ? missing(file) : damaged(file, messageOf(error)) };
  }
}

/** Which histogram of an operation cannot be decoded, and why; undefined when all can. */
function brokenHistogram(operation: OperationResult): string | undefined {
  const named: [string, string][] = [
    ["latency", operation.latency],
    ["successLatency", operation.successLatency],
    ["serviceTime", operation.serviceTime],
    ...operation.intervals.map((interval, index): [string, string] => [`intervals.${index}.latency`, interval.latency]),
  ];
  for (const [name, encoded] of named) {
    try {
      decodeHistogram(encoded);
    } catch (error) {
      return `${name}: ${messageOf(error)}`;
    }
  }
  return undefined;
}
