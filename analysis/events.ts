import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from "hyparquet";
import { eventColumns } from "../schema/results.ts";

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

type ColumnName = (typeof eventColumns)[number]["name"];

/** Distinct strings, numbered in order of appearance. */
class Dictionary {
  readonly values: string[] = [];
  readonly #codes = new Map<string, number>();
  code(value: string): number {
    const known = this.#codes.get(value);
    if (known !== undefined) {
      return known;
    }
    const code = this.values.length;
    this.values.push(value);
    this.#codes.set(value, code);
    return code;
  }
}

/**
 * Reads `events.parquet` strictly: every column of the contract with its type, no nulls, every row there, and all rows
 * of this worker.
 *
 * @throws Error saying what is wrong with the file; the caller turns it into a reason.
 */
export async function readEvents(file: string, worker: number): Promise<EventTable> {
  const buffer = await asyncBufferFromFile(file);
  const metadata = await parquetMetadataAsync(buffer);
  checkColumns(metadata.schema);
  const rows = Number(metadata.num_rows);
  const columns = new Map<string, unknown[]>();
  const filled = new Map<string, number>();
  await parquetRead({
    file: buffer,
    metadata,
    columns: eventColumns.map((column) => column.name),
    onChunk: ({ columnName, columnData, rowStart }) => {
      const target = columns.get(columnName) ?? new Array<unknown>(rows);
      columns.set(columnName, target);
      for (let index = 0; index < columnData.length; index += 1) {
        target[rowStart + index] = columnData[index];
      }
      filled.set(columnName, (filled.get(columnName) ?? 0) + columnData.length);
    },
  });
  for (const { name } of eventColumns) {
    if ((filled.get(name) ?? 0) !== rows) {
      throw new Error(`column ${name} holds ${filled.get(name) ?? 0} values, the file promises ${rows} rows`);
    }
  }
  return tableOf(rows, worker, (name) => columns.get(name) ?? []);
}

interface SchemaElement {
  readonly name: string;
  readonly type?: string;
  readonly converted_type?: string;
  readonly logical_type?: { readonly type: string };
}

function checkColumns(schema: readonly SchemaElement[]): void {
  for (const column of eventColumns) {
    const found = schema.find((element) => element.name === column.name);
    if (found === undefined) {
      throw new Error(`column ${column.name} is missing`);
    }
    const text = found.converted_type === "UTF8" || found.logical_type?.type === "STRING";
    const type = found.type === "BYTE_ARRAY" && text ? "STRING" : found.type;
    if (type !== column.type) {
      throw new Error(`column ${column.name} is ${type ?? "a group"}, not ${column.type}`);
    }
  }
}

function tableOf(rows: number, worker: number, column: (name: ColumnName) => readonly unknown[]): EventTable {
  const numbers = <T extends Int32Array | Float64Array>(name: ColumnName, into: T): T => {
    const values = column(name);
    for (let row = 0; row < rows; row += 1) {
      const value = values[row];
      if (typeof value !== "number" && typeof value !== "bigint") {
        throw new Error(`row ${row} has no ${name}`);
      }
      into[row] = Number(value);
    }
    return into;
  };
  const codes = (name: ColumnName): { codes: Uint16Array; values: readonly string[] } => {
    const values = column(name);
    const dictionary = new Dictionary();
    const into = new Uint16Array(rows);
    for (let row = 0; row < rows; row += 1) {
      const value = values[row];
      if (typeof value !== "string") {
        throw new Error(`row ${row} has no ${name}`);
      }
      into[row] = dictionary.code(value);
    }
    if (dictionary.values.length > 65_535) {
      throw new Error(`column ${name} holds ${dictionary.values.length} distinct values`);
    }
    return { codes: into, values: dictionary.values };
  };
  const stranger = numbers("worker", new Int32Array(rows)).find((value) => value !== worker);
  if (stranger !== undefined) {
    throw new Error(`it holds rows of worker ${stranger}`);
  }
  const operation = codes("operation");
  const outcome = codes("outcome");
  const phase = codes("phase");
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
    endpoint: numbers("endpoint", new Int32Array(rows)),
    intendedUs: numbers("intended_us", new Float64Array(rows)),
    sentUs: numbers("sent_us", new Float64Array(rows)),
    completedUs: numbers("completed_us", new Float64Array(rows)),
    outcome: outcome.codes,
    outcomes: outcome.values,
    attempts: numbers("attempts", new Int32Array(rows)),
  };
}
