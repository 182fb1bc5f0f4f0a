import { eventColumns, replicationColumns } from "../../schema/results.ts";
import { type SqlColumn, sqlTables } from "./columns.ts";
import { namedQueries } from "./queries.ts";

const parquetTypes: Readonly<Record<string, string>> = {
  INT32: "INT32",
  INT64: "INT64",
  STRING: "BYTE_ARRAY (UTF8)",
};

/** docs/results.md: what the files of a run hold, and the tables `orrery sql` makes of them. */
export function resultsMarkdown(): string {
  const tables = Object.entries(sqlTables).map(
    ([name, { description, columns }]) =>
      `## ${name}\n\n${description}\n\n${table(["column", "type", "meaning"], columns.map(row))}`,
  );
  const queries = Object.entries(namedQueries).map(([name, { description }]) => [`\`${name}\``, description]);
  return `${[
    head,
    "# Files in parquet",
    "Valid as soon as the run ends; no value is null unless it says so. Any reader of parquet opens them.",
    "`workers/<i>/events.parquet`, one row an operation, warm-up included:",
    table(["column", "parquet type", "meaning"], eventColumns.map(fileRow)),
    "`workers/<i>/replication.parquet`, one row an acknowledged write and member, where replication was observed:",
    table(["column", "parquet type", "meaning"], replicationColumns.map(fileRow)),
    "# Tables of `orrery sql`",
    ...tables,
    "# Queries with a name",
    table(["name", "what it tells"], queries),
  ].join("\n\n")}\n`;
}

const head = `<!-- made by npm run generate from schema/results.ts and analysis/sql/ -->

# Results

A run leaves \`results/<experiment>/<run-id>/\`; schema/results.ts says what each file is. Times ending in \`_us\` are
microseconds since 1970 on the conductor's clock.

\`\`\`sh
npx orrery sql kv "SELECT operation, quantile_disc(latency_us, 0.99) / 1e3 AS p99_ms FROM events GROUP BY ALL"
npx orrery sql kv/20260115-120000 kv/20260116-120000 --query keramik-summary --csv
python3 -c "import pyarrow.parquet as p; print(p.read_table('results/kv/20260115-120000/workers/0/events.parquet'))"
\`\`\``;

const row = ({ name, type, description }: SqlColumn): string[] => [`\`${name}\``, type, description];

const fileRow = (column: { readonly name: string; readonly type: string; readonly description: string }): string[] => [
  `\`${column.name}\``,
  parquetTypes[column.type] ?? column.type,
  column.description,
];

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}
