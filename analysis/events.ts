import { eventColumns } from "../schema/results.ts";
import { codesOf, numbersOf, readColumns } from "./columns.ts";

/** Events of one worker by column; row `i` is one operation. Times are µs since 1970 on the conductor's clock. */
export interface EventTable {
  readonly rows: number;
  /** Index into `operations`. */
  readonly operation: Uint16Array;
  readonly operations: readonly string[];
  /** 1 for the measure phase, 0 for the warm-up, by intended time. */
  readonly measured: Uint8Array;
  readonly endpoint: Int32Array;
  readonly intendedUs: Float64Array;
  readonly sentUs: Float64Array;
  readonly completedUs: Float64Array;
  /** Index into `outcomes`. */
  readonly outcome: Uint16Array;
  readonly outcomes: readonly string[];
  readonly attempts: Int32Array;
}

/**
 * Reads `events.parquet` strictly: every column of the contract with its type, no nulls, every row there, and all rows
 * of this worker.
 *
 * @throws Error saying what is wrong with the file; the caller turns it into a reason.
 */
export async function readEvents(file: string, worker: number): Promise<EventTable> {
  const columns = await readColumns(file, eventColumns);
  const { rows } = columns;
  const stranger = numbersOf(columns, "worker", new Int32Array(rows)).find((value) => value !== worker);
  if (stranger !== undefined) {
    throw new Error(`it holds rows of worker ${stranger}`);
  }
  const operation = codesOf(columns, "operation");
  const outcome = codesOf(columns, "outcome");
  const phase = codesOf(columns, "phase");
  const unknownPhase = phase.values.find((name) => name !== "warmup" && name !== "measure");
  if (unknownPhase !== undefined) {
    throw new Error(`there is no phase "${unknownPhase}" for events`);
  }
  const measure = phase.values.indexOf("measure");
  return {
    rows,
    operation: operation.codes,
    operations: operation.values,
    measured: Uint8Array.from(phase.codes, (code) => (code === measure ? 1 : 0)),
    endpoint: numbersOf(columns, "endpoint", new Int32Array(rows)),
    intendedUs: numbersOf(columns, "intended_us", new Float64Array(rows)),
    sentUs: numbersOf(columns, "sent_us", new Float64Array(rows)),
    completedUs: numbersOf(columns, "completed_us", new Float64Array(rows)),
    outcome: outcome.codes,
    outcomes: outcome.values,
    attempts: numbersOf(columns, "attempts", new Int32Array(rows)),
  };
}
