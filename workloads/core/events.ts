import { fileWriter, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import { eventColumns } from "../../schema/results.ts";
import type { Completed } from "./load.ts";

const chunkRows = 65_536;

type ColumnName = (typeof eventColumns)[number]["name"];
type ColumnData = Int32Array | BigInt64Array | string[];

/** Rows of operations, column by column: 24 bytes a row, so that ten million fit into 240 MB. */
class Chunk {
  rows = 0;
  readonly operation = new Uint16Array(chunkRows);
  readonly outcome = new Uint16Array(chunkRows);
  readonly measured = new Uint8Array(chunkRows);
  readonly endpoint = new Int16Array(chunkRows);
  readonly attempts = new Uint8Array(chunkRows);
  readonly intendedUs = new Float64Array(chunkRows);
  /** Since the intended time; 71 minutes at most. */
  readonly sentAfterUs = new Uint32Array(chunkRows);
  readonly completedAfterUs = new Uint32Array(chunkRows);
}

/** Every operation of one worker; kept in memory, since writing while the load runs would hold up the event loop. */
export class EventLog {
  readonly #worker: number;
  readonly #chunks: Chunk[] = [];
  readonly #texts: string[] = [];
  readonly #codes = new Map<string, number>();

  constructor(worker: number) {
    this.#worker = worker;
  }

  add(done: Completed, measured: boolean, outcome: string): void {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.rows === chunkRows) {
      chunk = new Chunk();
      this.#chunks.push(chunk);
    }
    const row = chunk.rows;
    chunk.operation[row] = this.#codeOf(done.operation);
    chunk.outcome[row] = this.#codeOf(outcome);
    chunk.measured[row] = measured ? 1 : 0;
    chunk.endpoint[row] = done.outcome.endpoint;
    chunk.attempts[row] = Math.min(255, done.outcome.attempts);
    chunk.intendedUs[row] = done.intendedUs;
    chunk.sentAfterUs[row] = done.sentUs - done.intendedUs;
    chunk.completedAfterUs[row] = done.completedUs - done.intendedUs;
    chunk.rows += 1;
  }

  get rows(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
  }

  /** Writes `events.parquet`, one row group at a time, and forgets the rows. */
  async write(file: string): Promise<void> {
    const writer = fileWriter(file);
    const parquet = new ParquetWriter({
      writer,
      schema: schemaFromColumnData({ columnData: columnsOf(() => []) }),
      createdBy: "orrery",
    });
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      const rows = chunk;
      await parquet.write({ columnData: columnsOf((name) => this.#column(rows, name)), rowGroupSize: chunkRows });
      await new Promise(setImmediate); // lets a stop signal through between two groups
    }
    await parquet.finish();
  }

  #codeOf(text: string): number {
    const known = this.#codes.get(text);
    if (known !== undefined) {
      return known;
    }
    if (this.#texts.length > 65_535) {
      throw new RangeError(`more than 65,536 distinct operations and outcomes; the last is "${text}"`);
    }
    const code = this.#texts.push(text) - 1;
    this.#codes.set(text, code);
    return code;
  }

  #column(chunk: Chunk, name: ColumnName): ColumnData {
    const texts = (codes: Uint16Array): string[] =>
      Array.from(codes.subarray(0, chunk.rows), (code) => this.#texts[code] ?? "");
    const times = (afterUs: (row: number) => number): BigInt64Array =>
      BigInt64Array.from({ length: chunk.rows }, (_, row) => BigInt((chunk.intendedUs[row] ?? 0) + afterUs(row)));
    switch (name) {
      case "worker":
        return new Int32Array(chunk.rows).fill(this.#worker);
      case "operation":
        return texts(chunk.operation);
      case "phase":
        return Array.from(chunk.measured.subarray(0, chunk.rows), (measured) =>
          measured === 1 ? "measure" : "warmup",
        );
      case "endpoint":
        return Int32Array.from(chunk.endpoint.subarray(0, chunk.rows));
      case "intended_us":
        return times(() => 0);
      case "sent_us":
        return times((row) => chunk.sentAfterUs[row] ?? 0);
      case "completed_us":
        return times((row) => chunk.completedAfterUs[row] ?? 0);
      case "outcome":
        return texts(chunk.outcome);
      case "attempts":
        return Int32Array.from(chunk.attempts.subarray(0, chunk.rows));
    }
  }
}

function columnsOf(dataOf: (name: ColumnName) => ColumnData) {
  return eventColumns.map(({ name, type }) => ({ name, type, nullable: false, data: dataOf(name) }));
}
