import { resolve } from "node:path";
import { Command, Option } from "commander";
import { sqlTables } from "../../analysis/sql/columns.ts";
import type { ResultsDatabase, SqlResult } from "../../analysis/sql/database.ts";
import { namedQueries, type QueryName } from "../../analysis/sql/queries.ts";
import { InputError } from "../../schema/errors.ts";
import { findRun } from "../run-folders.ts";
import type { CommonOptions, Session } from "../session.ts";

interface SqlOptions extends CommonOptions {
  readonly results: string;
  readonly query?: QueryName;
  readonly csv?: boolean;
}

const help = `
Tables: ${Object.entries(sqlTables)
  .map(([name, { columns }]) => `\n  ${name}(${columns.map((column) => column.name).join(", ")})`)
  .join("")}

Queries with a name: ${Object.entries(namedQueries)
  .map(([name, { description }]) => `\n  ${name}  ${description}`)
  .join("")}

Example: orrery sql kv "SELECT operation, quantile_disc(latency_us, 0.99) FROM events GROUP BY ALL"
What each column means: docs/results.md`;

/** `orrery sql <run...> "<query>"`: questions to the raw results, in SQL. */
export function sqlCommand(start: (options: SqlOptions) => Session): Command {
  return new Command("sql")
    .description("ask the raw results of one run or several in SQL (DuckDB); nothing can be changed")
    .argument("<run...>", "runs (experiment/run-id, or an experiment for its newest run), and the query last")
    .option("-o, --results <folder>", "folder of results", "results")
    .addOption(
      new Option("-q, --query <name>", "a query with a name, instead of one").choices(Object.keys(namedQueries)),
    )
    .addOption(new Option("--csv", "print the rows as CSV (RFC 4180)").conflicts("json"))
    .option("--json", "print the rows as JSON")
    .addHelpText("after", help)
    .action(async (words: string[], options: SqlOptions) => {
      const session = start(options);
      const { runs, sql } = understand(words, options.query);
      const results = resolve(options.results);
      const folders = await Promise.all(runs.map((run) => findRun(results, run)));
      const database: ResultsDatabase = await open([...new Set(folders)]);
      try {
        const result = await database.query(sql);
        session.console.result(options.csv === true ? csv(result) : plainTable(result), objects(result));
      } finally {
        database.close();
      }
    });
}

/** DuckDB is loaded only here: its library is large, and no other command needs it. */
async function open(folders: readonly string[]): Promise<ResultsDatabase> {
  return await (await import("../../analysis/sql/database.ts")).ResultsDatabase.open(folders);
}

function understand(words: readonly string[], name: QueryName | undefined): { runs: readonly string[]; sql: string } {
  if (name !== undefined) {
    return { runs: words, sql: namedQueries[name].sql };
  }
  const sql = words.at(-1) ?? "";
  if (words.length < 2) {
    throw new InputError([
      {
        path: sql,
        rule: "there is a run but no query.",
        fix: "Write the query last, in quotes, or give --query <name>.",
      },
    ]);
  }
  return { runs: words.slice(0, -1), sql };
}

function objects({ columns, rows }: SqlResult): Record<string, unknown>[] {
  return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])));
}

const textOf = (value: unknown): string =>
  value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);

function csv({ columns, rows }: SqlResult): string {
  const field = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [columns, ...rows].map((row) => row.map((value) => field(textOf(value))).join(",")).join("\r\n");
}

function plainTable({ columns, rows }: SqlResult): string {
  const figures = (value: unknown): boolean => typeof value === "number";
  const cells = rows.map((row) => row.map((value) => (figures(value) ? rounded(value as number) : textOf(value))));
  const widths = columns.map((name, at) => Math.max(name.length, ...cells.map((row) => (row[at] ?? "").length)));
  const line = (row: readonly string[], values: readonly unknown[]): string =>
    row
      .map((text, at) => (figures(values[at]) ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(columns, rows[0] ?? []), ...cells.map((row, at) => line(row, rows[at] ?? []))].join("\n");
}

/** At most four decimals: the table is for reading, CSV and JSON have every digit. */
const rounded = (value: number): string => String(Math.round(value * 1e4) / 1e4);
