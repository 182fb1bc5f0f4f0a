import { fileWriter, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import { replicationColumns } from "../../schema/results.ts";
import type { Sighting } from "./member-watch.ts";

const chunkEvents = 8_192;

type ColumnName = (typeof replicationColumns)[number]["name"];
type SightingState = "seen" | "missing" | "unknown";

/** An acknowledged write whose spreading is followed; µs. */
export interface FollowedWrite {
  readonly event: string;
  readonly measured: boolean;
  /** Ordinal of the member that acknowledged it. */
  readonly acceptedBy: number;
  readonly sentUs: number;
  readonly acceptedUs: number;
}

/** Events column by column: 32 bytes an event and its name, and 16 bytes more for each member. */
class Chunk {
  rows = 0;
  readonly events: string[] = [];
  readonly measured = new Uint8Array(chunkEvents);
  readonly acceptedBy = new Int16Array(chunkEvents);
  /** Members where it was not seen yet. */
  readonly left = new Uint16Array(chunkEvents);
  readonly sentUs = new Float64Array(chunkEvents);
  readonly acceptedUs = new Float64Array(chunkEvents);
  /** By event and member; NaN where it was not seen. */
  readonly seenUs: Float64Array;
  readonly notBeforeUs: Float64Array;

  constructor(members: number) {
    this.seenUs = new Float64Array(chunkEvents * members).fill(Number.NaN);
    this.notBeforeUs = new Float64Array(chunkEvents * members).fill(Number.NaN);
  }
}

/** Every followed write of one worker, and when it came to show at each member; kept in memory while the load runs. */
export class ReplicationLog {
  readonly #worker: number;
  readonly #ordinals: readonly number[];
  readonly #chunks: Chunk[] = [];
  #rows = 0;

  /** @param ordinals Of the members, in the order in which they are meant below. */
  constructor(worker: number, ordinals: readonly number[]) {
    this.#worker = worker;
    this.#ordinals = ordinals;
  }

  get rows(): number {
    return this.#rows;
  }

  /** @returns the row, by which the event is meant from now on */
  add(write: FollowedWrite): number {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.rows === chunkEvents) {
      chunk = new Chunk(this.#ordinals.length);
      this.#chunks.push(chunk);
    }
    const at = chunk.rows;
    chunk.events.push(write.event);
    chunk.measured[at] = write.measured ? 1 : 0;
    chunk.acceptedBy[at] = write.acceptedBy;
    chunk.left[at] = this.#ordinals.length;
    chunk.sentUs[at] = write.sentUs;
    chunk.acceptedUs[at] = write.acceptedUs;
    chunk.rows += 1;
    this.#rows += 1;
    return this.#rows - 1;
  }

  /**
   * Notes where an event was seen; only the first time counts.
   *
   * @returns members where it is yet to be seen, or undefined when it was seen there before
   */
  see(row: number, member: number, { seenUs, notBeforeUs }: Sighting): number | undefined {
    const [chunk, at] = this.#at(row);
    const cell = at * this.#ordinals.length + member;
    if (!Number.isNaN(chunk.seenUs[cell])) {
      return undefined;
    }
    chunk.seenUs[cell] = seenUs;
    chunk.notBeforeUs[cell] = notBeforeUs;
    chunk.left[at] = (chunk.left[at] ?? 0) - 1;
    return chunk.left[at];
  }

  wasSeen(row: number, member: number): boolean {
    const [chunk, at] = this.#at(row);
    return !Number.isNaN(chunk.seenUs[at * this.#ordinals.length + member]);
  }

  /**
   * Writes `replication.parquet`, one row group at a time, and forgets the rows.
   *
   * @param missed Whether what happened at a member between two instants may not have been told.
   * @param endUs When observation ended.
   */
  async write(
    file: string,
    deadlineUs: number,
    endUs: number,
    missed: (member: number, fromUs: number, toUs: number) => boolean,
  ): Promise<void> {
    const parquet = new ParquetWriter({
      writer: fileWriter(file),
      schema: schemaFromColumnData({ columnData: columnsOf(() => []) }),
      createdBy: "orrery",
    });
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      const own = chunk;
      const stateOf = (at: number, member: number): SightingState => {
        if (!Number.isNaN(own.seenUs[at * this.#ordinals.length + member])) {
          return "seen";
        }
        const untilUs = (own.acceptedUs[at] ?? 0) + deadlineUs;
        return endUs < untilUs || missed(member, own.sentUs[at] ?? 0, untilUs) ? "unknown" : "missing";
      };
      const rowGroupSize = Math.max(1, own.rows * this.#ordinals.length);
      await parquet.write({ columnData: columnsOf((name) => this.#column(own, name, stateOf)), rowGroupSize });
      await new Promise(setImmediate); // lets a stop signal through between two groups
    }
    await parquet.finish();
  }

  #at(row: number): [Chunk, number] {
    const chunk = this.#chunks[Math.floor(row / chunkEvents)];
    if (chunk === undefined) {
      throw new RangeError(`there is no event ${row} among ${this.#rows}`);
    }
    return [chunk, row % chunkEvents];
  }

  #column(chunk: Chunk, name: ColumnName, stateOf: (at: number, member: number) => SightingState): unknown[] {
    const width = this.#ordinals.length;
    const cells = <T>(of: (at: number, member: number) => T): T[] =>
      Array.from({ length: chunk.rows * width }, (_, cell) => of(Math.floor(cell / width), cell % width));
    const time = (us: number | undefined): bigint | null =>
      us === undefined || Number.isNaN(us) ? null : BigInt(Math.round(us));
    switch (name) {
      case "worker":
        return cells(() => this.#worker);
      case "phase":
        return cells((at) => (chunk.measured[at] === 1 ? "measure" : "warmup"));
      case "event":
        return cells((at) => chunk.events[at] ?? "");
      case "accepted_by":
        return cells((at) => chunk.acceptedBy[at] ?? -1);
      case "sent_us":
        return cells((at) => time(chunk.sentUs[at]));
      case "accepted_us":
        return cells((at) => time(chunk.acceptedUs[at]));
      case "member":
        return cells((_, member) => this.#ordinals[member] ?? -1);
      case "not_before_us":
        return cells((at, member) => time(chunk.notBeforeUs[at * width + member]));
      case "seen_us":
        return cells((at, member) => time(chunk.seenUs[at * width + member]));
      case "state":
        return cells(stateOf);
    }
  }
}

function columnsOf(dataOf: (name: ColumnName) => unknown[]) {
  return replicationColumns.map(({ name, type, nullable }) => ({ name, type, nullable, data: dataOf(name) }));
}
