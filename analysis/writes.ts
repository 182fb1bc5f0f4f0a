import { type PercentileName, percentileNames } from "../schema/objectives.ts";
import type { Endpoint, RunSpec } from "../schema/run.ts";
import type { Summary } from "../schema/summary.ts";
import { quantiles } from "./histogram.ts";
import type { WorkerData } from "./read.ts";

/** Writes that were answered, of the measure phase. */
export interface WriteFigures {
  /** Answered, well or badly, and of these badly. */
  readonly count: number;
  readonly failed: number;
  /** Answered well per second. */
  readonly rate: number;
  /** From the intended time, all answers, ms; nearest rank; null without any. */
  readonly latencyMs: Readonly<Record<PercentileName, number>> | null;
}

/** What the network, and each member, made of writes. */
export interface Writes extends WriteFigures {
  readonly members: readonly (WriteFigures & { readonly endpoint: Endpoint })[];
  /** Rate of the member that took fewest by that of the one that took most; null where none took any. */
  readonly balance: number | null;
}

/** One answered write. */
interface Write {
  readonly endpoint: number;
  readonly ok: boolean;
  readonly latencyMs: number;
}

/**
 * Writes over all workers and by the member that answered last; null where the load has none.
 *
 * @param operations Names of the operations that write.
 */
export function writesOf(spec: RunSpec, workers: readonly WorkerData[], operations: readonly string[]): Writes | null {
  const writing = Object.keys(spec.operations).filter((name) => operations.includes(name));
  if (writing.length === 0) {
    return null;
  }
  const writes = workers.flatMap((worker) => measured(worker, writing));
  const seconds = spec.phases.measureMs / 1000;
  const members = spec.endpoints.map((endpoint) => ({
    endpoint,
    ...figuresOf(
      writes.filter((write) => write.endpoint === endpoint.ordinal),
      seconds,
    ),
  }));
  const rates = members.map(({ rate }) => rate);
  const most = Math.max(...rates);
  return { ...figuresOf(writes, seconds), members, balance: most === 0 ? null : Math.min(...rates) / most };
}

function measured({ events }: WorkerData, writing: readonly string[]): Write[] {
  const wanted = events.operations.map((name) => writing.includes(name));
  const good = events.outcomes.indexOf("ok");
  const writes: Write[] = [];
  for (let row = 0; row < events.rows; row += 1) {
    if (events.measured[row] === 1 && wanted[events.operation[row] ?? -1] === true) {
      writes.push({
        endpoint: events.endpoint[row] ?? -1,
        ok: events.outcome[row] === good,
        latencyMs: ((events.completedUs[row] ?? 0) - (events.intendedUs[row] ?? 0)) / 1000,
      });
    }
  }
  return writes;
}

function figuresOf(writes: readonly Write[], seconds: number): WriteFigures {
  const good = writes.reduce((sum, { ok }) => sum + (ok ? 1 : 0), 0);
  const sorted = Float64Array.from(writes, ({ latencyMs }) => latencyMs).sort();
  const at = (name: PercentileName): number =>
    sorted[Math.max(0, Math.ceil(sorted.length * quantiles[name]) - 1)] ?? Number.NaN;
  return {
    count: writes.length,
    failed: writes.length - good,
    rate: good / seconds,
    latencyMs:
      sorted.length === 0
        ? null
        : (Object.fromEntries(percentileNames.map((name) => [name, at(name)])) as Record<PercentileName, number>),
  };
}

/** Metrics of writes: `writes.*` of the network, `writes.<ordinal>.*` of each member. */
export function writeMetrics(found: Writes | null): Record<string, number> {
  if (found === null) {
    return {};
  }
  const metrics: Record<string, number> = {};
  const add = (prefix: string, { count, failed, rate, latencyMs }: WriteFigures): void => {
    metrics[`${prefix}.rate`] = rate;
    if (count > 0) {
      metrics[`${prefix}.success_ratio`] = (count - failed) / count;
    }
    for (const name of latencyMs === null ? [] : percentileNames) {
      metrics[`${prefix}.latency.${name}`] = latencyMs?.[name] ?? Number.NaN;
    }
  };
  add("writes", found);
  if (found.balance !== null) {
    metrics["writes.balance"] = found.balance;
  }
  for (const member of found.members) {
    add(`writes.${member.endpoint.ordinal}`, member);
  }
  return metrics;
}

/** `writes` of a member in the summary. */
export function memberWrites({
  count,
  failed,
  rate,
  latencyMs,
}: WriteFigures): NonNullable<NonNullable<Summary["nodes"]>[number]["writes"]> {
  return {
    count,
    rate,
    success_ratio: count === 0 ? null : (count - failed) / count,
    latency_ms: latencyMs === null ? null : { ...latencyMs },
  };
}
