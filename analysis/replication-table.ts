import { replicationColumns } from "../schema/results.ts";
import { codesOf, numbersOf, readColumns } from "./columns.ts";

/**
 * One worker's acknowledged writes of the measure phase, and when each came to show at each member. Times are µs since
 * 1970 by the worker's clock; NaN where there is none.
 */
export interface ReplicationTable {
  readonly events: number;
  /** Events of the whole run, warm-up included. */
  readonly followed: number;
  /** Ordinal of the member that acknowledged each event. */
  readonly acceptedBy: Int32Array;
  readonly acceptedUs: Float64Array;
  /** By event and member: `event * members + position`. */
  readonly seenUs: Float64Array;
  readonly notBeforeUs: Float64Array;
  /** 1 where it was not seen and may have been missed. */
  readonly unknown: Uint8Array;
}

const stateNames = ["seen", "missing", "unknown"];

/**
 * Reads `replication.parquet` strictly: all of this worker, and for each event one row of every member, in the order of
 * `members`.
 *
 * @param members Ordinals of the network's members.
 * @throws Error saying what is wrong with the file; the caller turns it into a reason.
 */
export async function readReplication(
  file: string,
  worker: number,
  members: readonly number[],
): Promise<ReplicationTable> {
  const columns = await readColumns(file, replicationColumns);
  const { rows } = columns;
  const stranger = numbersOf(columns, "worker", new Int32Array(rows)).find((value) => value !== worker);
  if (stranger !== undefined) {
    throw new Error(`it holds rows of worker ${stranger}`);
  }
  const whole = {
    member: numbersOf(columns, "member", new Int32Array(rows)),
    acceptedBy: numbersOf(columns, "accepted_by", new Int32Array(rows)),
    acceptedUs: numbersOf(columns, "accepted_us", new Float64Array(rows)),
    seenUs: numbersOf(columns, "seen_us", new Float64Array(rows), Number.NaN),
    notBeforeUs: numbersOf(columns, "not_before_us", new Float64Array(rows), Number.NaN),
  };
  const state = codesOf(columns, "state");
  const strange = state.values.find((name) => !stateNames.includes(name));
  if (strange !== undefined) {
    throw new Error(`there is no state "${strange}"`);
  }
  const seen = state.values.indexOf("seen");
  const disagrees = state.codes.findIndex((code, row) => (code === seen) === Number.isNaN(whole.seenUs[row]));
  if (disagrees >= 0) {
    throw new Error(`row ${disagrees} is ${state.values[state.codes[disagrees] ?? 0]}, and seen_us says otherwise`);
  }
  const phase = codesOf(columns, "phase");
  checkEvents(columns.column("event"), phase.codes, whole.member, members);
  const measure = phase.values.indexOf("measure");
  const unknown = state.values.indexOf("unknown");
  const kept = rowsOf(phase.codes, (code) => code === measure);
  const firsts = kept.filter((row) => row % members.length === 0);
  return {
    events: firsts.length,
    followed: rows / members.length,
    acceptedBy: Int32Array.from(firsts, (row) => whole.acceptedBy[row] ?? -1),
    acceptedUs: Float64Array.from(firsts, (row) => whole.acceptedUs[row] ?? Number.NaN),
    seenUs: Float64Array.from(kept, (row) => whole.seenUs[row] ?? Number.NaN),
    notBeforeUs: Float64Array.from(kept, (row) => whole.notBeforeUs[row] ?? Number.NaN),
    unknown: Uint8Array.from(kept, (row) => (state.codes[row] === unknown ? 1 : 0)),
  };
}

function rowsOf(codes: Uint16Array, wanted: (code: number) => boolean): Uint32Array {
  const rows: number[] = [];
  codes.forEach((code, row) => {
    if (wanted(code)) {
      rows.push(row);
    }
  });
  return Uint32Array.from(rows);
}

/** Every event has one row of each member, side by side. */
function checkEvents(
  events: readonly unknown[],
  phases: Uint16Array,
  member: Int32Array,
  members: readonly number[],
): void {
  if (events.length % members.length !== 0) {
    throw new Error(`${events.length} rows are not those of whole events at ${members.length} members`);
  }
  for (let row = 0; row < events.length; row += 1) {
    const place = row % members.length;
    const alike = events[row] === events[row - place] && phases[row] === phases[row - place];
    if (member[row] !== members[place] || !alike) {
      throw new Error(`row ${row} is not of member ${members[place]} and the event of the rows around it`);
    }
  }
}
