import type { Histogram } from "hdr-histogram-js";
import type { RunRecord } from "../../schema/comparison.ts";
import type { Experiment } from "../../schema/experiment.ts";
import { withoutImages } from "../../schema/named-images.ts";
import type { Environment, WorkerResult } from "../../schema/results.ts";
import type { Summary } from "../../schema/summary.ts";
import { analyseRun } from "../summary.ts";

/** A run as read for a comparison. */
export interface ReadRun {
  readonly record: RunRecord;
  /** Checks that speak against it; an invalid run is never compared. */
  readonly against: readonly string[];
  /** Latency by operation; empty when results are damaged, as is `workers`. */
  readonly latency: ReadonlyMap<string, Histogram>;
  readonly workers: readonly WorkerResult[];
}

/**
 * Judges a run folder again from its raw results, so that every run of a comparison is measured by the same program.
 *
 * @throws InputError when there is no such folder
 */
export async function readRunRecord(folder: string): Promise<ReadRun> {
  const { data, whole, summary } = await analyseRun(folder);
  const operations = Object.entries(summary.operations);
  const record = {
    experiment: summary.experiment,
    run: summary.run,
    started: summary.started,
    values: valuesOf(summary),
    operations: {
      ...Object.fromEntries(operations.map(([name, { count }]) => [name, count])),
      ...(whole?.writes ? { writes: whole.writes.count } : {}), // all together, as `writes.*` has them
    },
    conditions: {
      ...(data.experiment === null ? {} : experimentConditions(data.experiment)),
      ...environmentConditions(summary),
    },
    surroundings: surroundingsOf(summary.environment),
    images: Object.fromEntries(
      (summary.environment?.images ?? []).map(({ name, image, digest }) => [name, digest ?? image]),
    ),
  };
  const totals = [...(whole?.totals ?? [])];
  return {
    record,
    against: [...new Set(summary.reasons.map(({ check }) => check))],
    latency: new Map(totals.map(([name, { latency }]) => [name, latency])),
    workers: whole === null ? [] : whole.workers.map(({ result }) => result),
  };
}

/** The metrics, and null for a failover that had no end. */
function valuesOf({ metrics, faults }: Summary): RunRecord["values"] {
  const endless = faults.some(({ failover }) => failover.state === "not-recovered");
  return { ...metrics, ...(endless ? { failover: null } : {}) };
}

/** The experiment by path, without what may differ: names, seed, what is wanted of it, and the images under test. */
function experimentConditions(experiment: Experiment): Record<string, string> {
  const { schema: _version, name: _name, seed: _seed, objectives: _wanted, ...rest } = experiment;
  return flatten({ ...rest, network: withoutImages(rest.network) });
}

function flatten(value: unknown, path = ""): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { [path]: JSON.stringify(value) };
  }
  return Object.assign(
    {},
    ...Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([key, inner]) => flatten(inner, path === "" ? key : `${path}.${key}`)),
  );
}

function environmentConditions({ target, environment }: Summary): Record<string, string> {
  const sizes = (environment?.nodes ?? []).map(({ cpu, memory }) => `${cpu} CPU, ${roundedMemory(memory)}`).sort();
  return { target: JSON.stringify(target), ...(environment === null ? {} : { nodes: JSON.stringify(sizes) }) };
}

/** Nodes report what the kernel left them, some KiB more or less at each start: whole GiB say what size they are. */
function roundedMemory(memory: string): string {
  const kibibytes = /^(\d+)Ki$/.exec(memory)?.[1];
  return kibibytes === undefined ? memory : `${Math.round(Number(kibibytes) / 2 ** 20)}Gi`;
}

function surroundingsOf(environment: Environment | null): Record<string, string> {
  if (environment === null) {
    return {};
  }
  const { kubernetes, nodes, versions, networkPolicyEnforced } = environment;
  const different = (pick: (node: (typeof nodes)[number]) => string): string[] => [...new Set(nodes.map(pick))].sort();
  return flatten({
    kubernetes,
    kernel: different((node) => node.kernel),
    os: different((node) => node.os),
    runtime: different((node) => node.runtime),
    versions,
    networkPolicyEnforced,
  });
}
