import { percentileNames } from "../schema/objectives.ts";
import type { Summary } from "../schema/summary.ts";
import type { Replication, Spread } from "./replication.ts";
import { memberWrites, type Writes } from "./writes.ts";

const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

/** `replication` of the summary. */
export function replicationSummary(found: Replication): NonNullable<Summary["replication"]> {
  const { all, majority, persisted } = found;
  return {
    deadline_ms: found.deadlineMs,
    events: all.events,
    unknown: all.unknown,
    persisted_ratio: share(persisted, all.events),
    replicated_ratio: share(all.inTime, all.events),
    all_ms: { ...all.percentiles },
    majority_ms: { ...majority.percentiles },
    majority: found.quorum,
    error_ms: found.errorMs,
  };
}

/** `nodes` of the summary. */
export function nodesOf({ members }: Replication, writes: Writes | null): NonNullable<Summary["nodes"]> {
  return members.map(({ endpoint, accepted, persisted, events, inTime, unknown, percentiles }, place) => ({
    group: endpoint.group,
    ordinal: endpoint.ordinal,
    pod: endpoint.pod,
    accepted,
    persisted_ratio: share(persisted, accepted),
    replicated_ratio: share(inTime, events),
    unknown,
    replication_ms: { ...percentiles },
    ...writesAt(writes, place),
  }));
}

function writesAt(writes: Writes | null, place: number) {
  const found = writes?.members[place];
  return found === undefined ? {} : { writes: memberWrites(found) };
}

/**
 * Metrics of replication; a percentile over the deadline has no value, so an objective on it is missed.
 *
 * @param writes With them also `writes.persisted_ratio`, in which a write that was not acknowledged counts as not there.
 * @param atBest Take what may have been missed for seen, instead of for not seen.
 */
export function replicationMetrics(
  found: Replication | null,
  writes: Writes | null,
  atBest = false,
): Record<string, number> {
  if (found === null) {
    return {};
  }
  const persisted = persistedWrites(found, writes, atBest);
  if (found.all.events === 0) {
    return persisted;
  }
  const { all, majority, members } = found;
  const metrics: Record<string, number> = {
    persisted_ratio: (found.persisted + (atBest ? found.persistedUnknown : 0)) / all.events,
    replicated_ratio: (all.inTime + (atBest ? all.unknown : 0)) / all.events,
    ...persisted,
  };
  const add = (prefix: string, spread: Spread): void => {
    for (const name of percentileNames) {
      const value = (atBest ? spread.atBest : spread.percentiles)[name];
      if (value !== null) {
        metrics[`${prefix}.${name}`] = value;
      }
    }
  };
  add("replication", all);
  add("replication.majority", majority);
  for (const member of members) {
    add(`replication.${member.endpoint.ordinal}`, member);
  }
  return metrics;
}

/** Of all writes that were answered, well or badly, the share that the member they went to acknowledged and kept. */
function persistedWrites(found: Replication, writes: Writes | null, atBest: boolean): Record<string, number> {
  const metrics: Record<string, number> = {};
  const add = (
    prefix: string,
    count: number | undefined,
    kept: Pick<Replication, "persisted" | "persistedUnknown">,
  ) => {
    if (count !== undefined && count > 0) {
      metrics[`${prefix}.persisted_ratio`] = (kept.persisted + (atBest ? kept.persistedUnknown : 0)) / count;
    }
  };
  add("writes", writes?.count, found);
  found.members.forEach((member, place) => {
    add(`writes.${member.endpoint.ordinal}`, writes?.members[place]?.count, member);
  });
  return metrics;
}
