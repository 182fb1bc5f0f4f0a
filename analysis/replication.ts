import { type PercentileName, percentileNames } from "../schema/objectives.ts";
import type { Endpoint, RunSpec } from "../schema/run.ts";
import { quantiles } from "./histogram.ts";
import type { WorkerData } from "./read.ts";
import type { ReplicationTable } from "./replication-table.ts";

/**
 * How long after its acknowledgement a write shows elsewhere: 0 when it showed there already.
 *
 * An event that was not seen within the deadline is censored: all that is known is that it took longer. It stays in
 * every distribution, behind all that were seen, so a percentile beyond the share that was seen is no number (null) but
 * "over the deadline". One that may have been missed is taken for not seen, the worse of the two, and counted.
 */
export interface Spread {
  /** Acknowledged writes of the measure phase. */
  readonly events: number;
  /** Surely seen within the deadline. */
  readonly inTime: number;
  /** May have been seen within the deadline, or not. */
  readonly unknown: number;
  /** Nearest rank over all events, ms; null over the deadline, or without events. */
  readonly percentiles: Readonly<Record<PercentileName, number | null>>;
  /** The same if every unknown one was seen at once: the better of the two. */
  readonly atBest: Readonly<Record<PercentileName, number | null>>;
}

export interface MemberReplication extends Spread {
  readonly endpoint: Endpoint;
  /** Writes it acknowledged, and of these the ones that surely, or perhaps, showed at it in the end. */
  readonly accepted: number;
  readonly persisted: number;
  readonly persistedUnknown: number;
}

export interface Replication {
  readonly deadlineMs: number;
  /** Members that make a majority. */
  readonly quorum: number;
  /** Until an event showed at every member, and at a majority. */
  readonly all: Spread;
  readonly majority: Spread;
  readonly persisted: number;
  readonly persistedUnknown: number;
  readonly members: readonly MemberReplication[];
  /** How far any of these times may be off, ms; see {@link errorOf}. */
  readonly errorMs: number;
}

/** A time of a distribution: ms, infinity when it is over the deadline, NaN when nobody knows. */
type Time = number;

/** Replication over all workers, or null where it was not observed. Every worker must have delivered its table. */
export function replicationOf(spec: RunSpec, workers: readonly WorkerData[]): Replication | null {
  if (spec.replication === undefined) {
    return null;
  }
  const { deadlineMs } = spec.replication;
  const { endpoints } = spec;
  const quorum = Math.floor(endpoints.length / 2) + 1;
  const tables = workers.flatMap((worker) => worker.replication ?? []);
  const times = tables.flatMap((table) => timesOf(table, endpoints.length, deadlineMs));
  const members = endpoints.map((endpoint, place) => ({
    endpoint,
    ...spreadOf(times.map((row) => row[place] ?? Number.NaN)),
    ...persistence(tables, endpoint.ordinal, place, endpoints.length),
  }));
  const total = (pick: (member: (typeof members)[number]) => number): number =>
    members.reduce((sum, member) => sum + pick(member), 0);
  return {
    deadlineMs,
    quorum,
    all: spreadOf(times.map((row) => lastOf(row, endpoints.length))),
    majority: spreadOf(times.map((row) => lastOf(row, quorum))),
    persisted: total((member) => member.persisted),
    persistedUnknown: total((member) => member.persistedUnknown),
    members,
    errorMs: errorOf(workers),
  };
}

/** Of each event, its time to each member. */
export function timesOf(table: ReplicationTable, members: number, deadlineMs: number): Time[][] {
  return Array.from({ length: table.events }, (_, event) =>
    Array.from({ length: members }, (_, place) => {
      const cell = event * members + place;
      const after = (us: number | undefined): number =>
        Math.max(0, Math.round((us ?? Number.NaN) - (table.acceptedUs[event] ?? Number.NaN))) / 1000;
      const latest = after(table.seenUs[cell]);
      if (Number.isNaN(latest)) {
        return table.unknown[cell] === 1 ? Number.NaN : Number.POSITIVE_INFINITY;
      }
      // Seen between two instants: the later one counts, unless the deadline lies between them.
      const earliest = after(table.notBeforeUs[cell]);
      return latest <= deadlineMs ? latest : earliest <= deadlineMs ? Number.NaN : Number.POSITIVE_INFINITY;
    }),
  );
}

/** When the `count`-th member had it; NaN when that hangs on a member of which nobody knows. */
function lastOf(row: readonly Time[], count: number): Time {
  const known = row.filter((time) => !Number.isNaN(time)).sort((a, b) => a - b);
  const atWorst = known[count - 1] ?? Number.POSITIVE_INFINITY;
  const unknown = row.length - known.length;
  const atBest = count > unknown ? (known[count - unknown - 1] ?? Number.POSITIVE_INFINITY) : 0;
  return Number.isFinite(atWorst) || atBest === Number.POSITIVE_INFINITY ? atWorst : Number.NaN;
}

function spreadOf(times: readonly Time[]): Spread {
  const seen = Float64Array.from(times.filter(Number.isFinite)).sort();
  const unknown = times.filter(Number.isNaN).length;
  const ranked = (before: number): Spread["percentiles"] => {
    const at = (name: PercentileName): number | null => {
      const rank = Math.max(1, Math.ceil(times.length * quantiles[name])) - before;
      return rank < 1 ? 0 : (seen[rank - 1] ?? null);
    };
    const values = percentileNames.map((name) => [name, times.length === 0 ? null : at(name)] as const);
    return Object.fromEntries(values) as Record<PercentileName, number | null>;
  };
  return { events: times.length, inTime: seen.length, unknown, percentiles: ranked(0), atBest: ranked(unknown) };
}

function persistence(tables: readonly ReplicationTable[], ordinal: number, place: number, members: number) {
  let accepted = 0;
  let persisted = 0;
  let persistedUnknown = 0;
  for (const table of tables) {
    for (let event = 0; event < table.events; event += 1) {
      if (table.acceptedBy[event] === ordinal) {
        const cell = event * members + place;
        accepted += 1;
        persisted += Number.isNaN(table.seenUs[cell]) ? 0 : 1;
        persistedUnknown += table.unknown[cell] ?? 0;
      }
    }
  }
  return { accepted, persisted, persistedUnknown };
}

/**
 * How far a time to replicate may be off. Acknowledgement and sighting are stamped by one clock, that of the worker, so
 * no clock difference comes in. Each may be stamped late: by its message's way, which is shorter than the shortest
 * exchange with the member, and by what messages wait on top of that (p99 of the feed's lag). One makes the difference
 * longer, the other shorter; so this is a bound to both sides.
 */
function errorOf(workers: readonly WorkerData[]): number {
  const bounds = workers.flatMap((worker) =>
    (worker.result.replication?.members ?? []).map(
      ({ ordinal, roundTripMs, lagMs }) =>
        Math.min(roundTripMs ?? Number.POSITIVE_INFINITY, shortestExchangeMs(worker, ordinal)) +
        (lagMs?.p99 ?? worker.result.health.eventLoopDelayMs.p99),
    ),
  );
  return Math.max(0, ...bounds.filter(Number.isFinite));
}

/** Of the operations a member answered at the first attempt; infinity when there was none. */
function shortestExchangeMs({ events }: WorkerData, ordinal: number): number {
  let shortestUs = Number.POSITIVE_INFINITY;
  for (let row = 0; row < events.rows; row += 1) {
    if (events.endpoint[row] === ordinal && events.attempts[row] === 1) {
      shortestUs = Math.min(shortestUs, (events.completedUs[row] ?? 0) - (events.sentUs[row] ?? 0));
    }
  }
  return shortestUs / 1000;
}
