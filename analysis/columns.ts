import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from "hyparquet";

/** A column of a parquet file as its contract has it. */
interface Column<Name extends string> {
  readonly name: Name;
  readonly type: string;
}

/** Columns of a file by name, each with a value for every row. */
export interface Columns<Name extends string> {
  readonly rows: number;
  readonly column: (name: Name) => readonly unknown[];
}

/**
 * Reads these columns of a parquet file strictly: every one there, of its type, and whole.
 *
 * @throws Error saying what is wrong with the file.
 */
export async function readColumns<Name extends string>(
  file: string,
  wanted: readonly Column<Name>[],
): Promise<Columns<Name>> {
  const buffer = await asyncBufferFromFile(file);
  const metadata = await parquetMetadataAsync(buffer);
  checkColumns(metadata.schema, wanted);
  const rows = Number(metadata.num_rows);
  const columns = new Map<string, unknown[]>();
  const filled = new Map<string, number>();
  await parquetRead({
    file: buffer,
    metadata,
    columns: wanted.map((column) => column.name),
    onChunk: ({ columnName, columnData, rowStart }) => {
      const target = columns.get(columnName) ?? new Array<unknown>(rows);
      columns.set(columnName, target);
      for (let index = 0; index < columnData.length; index += 1) {
        target[rowStart + index] = columnData[index];
      }
      filled.set(columnName, (filled.get(columnName) ?? 0) + columnData.length);
    },
  });
  for (const { name } of wanted) {
    if ((filled.get(name) ?? 0) !== rows) {
      throw new Error(`column ${name} holds ${filled.get(name) ?? 0} values, the file promises ${rows} rows`);
    }
  }
  return { rows, column: (name) => columns.get(name) ?? [] };
}

interface SchemaElement {
  readonly name: string;
  readonly type?: string;
  readonly converted_type?: string;
  readonly logical_type?: { readonly type: string };
}

function checkColumns(schema: readonly SchemaElement[], wanted: readonly Column<string>[]): void {
  for (const column of wanted) {
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

/**
 * The numbers of a column, put into `into`.
 *
 * @param absent What stands for null; without it null is an error.
 * @throws Error naming the first row that has no number.
 */
export function numbersOf<Name extends string, T extends Int32Array | Float64Array>(
  { rows, column }: Columns<Name>,
  name: Name,
  into: T,
  absent?: number,
): T {
  const values = column(name);
  for (let row = 0; row < rows; row += 1) {
    const value = values[row] ?? absent;
    if (typeof value !== "number" && typeof value !== "bigint") {
      throw new Error(`row ${row} has no ${name}`);
    }
    into[row] = Number(value);
  }
  return into;
}

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
 * The strings of a column as codes into a list of the distinct ones.
 *
 * @throws Error when a row has none, or there are more than 65,535 distinct ones.
 */
export function codesOf<Name extends string>(
  { rows, column }: Columns<Name>,
  name: Name,
): { codes: Uint16Array; values: readonly string[] } {
  const values = column(name);
  const dictionary = new Dictionary();
  const codes = new Uint16Array(rows);
  for (let row = 0; row < rows; row += 1) {
    const value = values[row];
    if (typeof value !== "string") {
      throw new Error(`row ${row} has no ${name}`);
    }
    codes[row] = dictionary.code(value);
  }
  if (dictionary.values.length > 65_535) {
    throw new Error(`column ${name} holds ${dictionary.values.length} distinct values`);
  }
  return { codes, values: dictionary.values };
}
