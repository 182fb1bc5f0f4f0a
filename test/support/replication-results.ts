import { parquetWriteFile } from "hyparquet-writer";
import { type ReplicationResult, replicationColumns } from "../../schema/results.ts";
import type { SimulatedOperation } from "./results.ts";

/** How the acknowledged writes of a made run spread over its three members. */
export interface SimulatedReplication {
  readonly deadlineMs: number;
  /**
   * From its acknowledgement until a member shows a write, ms; below 0 before it, infinity when it never does, NaN when
   * nobody can tell. `write` counts the acknowledged writes of the worker.
   */
  readonly delayMs: (write: number, member: number, operation: SimulatedOperation) => number;
  /** The time of a write at a member is known only to lie between so long before it, and it. */
  readonly vagueMs?: (write: number, member: number) => number | undefined;
  readonly members?: Partial<ReplicationResult["members"][number]>;
}

const members = [0, 1, 2];
const us = (ms: number): bigint => BigInt(Math.round(ms * 1000));

/** Acknowledged writes of one worker, in the order in which they are told. */
export function followedWrites(own: readonly SimulatedOperation[]): SimulatedOperation[] {
  return own.filter(({ operation, outcome }) => operation !== "get" && outcome === "ok");
}

export function replicationResultOf(
  replication: SimulatedReplication,
  own: readonly SimulatedOperation[],
): ReplicationResult {
  const events = followedWrites(own).length;
  return {
    deadlineMs: replication.deadlineMs,
    events,
    duplicates: 0,
    unclaimed: 0,
    busySeconds: 0.02,
    members: members.map((ordinal) => ({
      ordinal,
      reports: events,
      streams: 1,
      roundTripMs: 0.7,
      lagMs: { p50: 0.05, p99: 0.3, max: 4 },
      gaps: [],
      ...replication.members,
    })),
  };
}

/** Writes `replication.parquet` of one worker with the library that drivers use. */
export function writeReplication(
  filename: string,
  replication: SimulatedReplication,
  own: readonly SimulatedOperation[],
  startAtMs: number,
): void {
  const rows = followedWrites(own).flatMap((operation, write) =>
    members.map((member) => {
      const acceptedMs = startAtMs + operation.completedMs;
      const delayMs = replication.delayMs(write, member, operation);
      const seen = Number.isFinite(delayMs);
      const vagueMs = replication.vagueMs?.(write, member);
      return {
        worker: operation.worker,
        phase: operation.phase,
        event: `${operation.worker}-${write}`,
        accepted_by: operation.endpoint,
        sent_us: us(startAtMs + operation.sentMs),
        accepted_us: us(acceptedMs),
        member,
        not_before_us: seen && vagueMs !== undefined ? us(acceptedMs + delayMs - vagueMs) : null,
        seen_us: seen ? us(acceptedMs + delayMs) : null,
        state: seen ? "seen" : Number.isNaN(delayMs) ? "unknown" : "missing",
      };
    }),
  );
  parquetWriteFile({
    filename,
    columnData: replicationColumns.map(({ name, type, nullable }) => ({
      name,
      type,
      nullable,
      data: rows.map((row) => row[name]),
    })),
  });
}
