import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue, StatementType } from "@duckdb/node-api";
import { InputError, messageOf } from "../../schema/errors.ts";
import { eventColumns, replicationColumns, type WorkerResult } from "../../schema/results.ts";
import { clockDriftMs } from "../checks/clock.ts";
import { failedOf } from "../merge.ts";
import { type RunData, readRun } from "../read.ts";
import { type SqlTable, sqlTables } from "./columns.ts";

type Cell = string | number | boolean | null;

/** What a query gave. */
export interface SqlResult {
  readonly columns: readonly string[];
  /** Integers beyond 2^53 are strings. */
  readonly rows: readonly (readonly unknown[])[];
}

/** Run folders as tables of an in-memory DuckDB; a query can read them and change nothing. */
export class ResultsDatabase {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.#connection = connection;
  }

  /**
   * Opens run folders together; the tables of {@link sqlTables} tell them apart by `run`.
   *
   * @throws InputError when a folder is missing or damaged: nothing is counted from what is left.
   */
  static async open(folders: readonly string[]): Promise<ResultsDatabase> {
    const runs = await Promise.all(folders.map(async (folder) => wholeRun(await readRun(folder))));
    const instance = await DuckDBInstance.create(":memory:", {
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    const database = new ResultsDatabase(instance, await instance.connect());
    try {
      await database.#fill(runs);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /**
   * Runs one SELECT (or FROM, WITH, DESCRIBE, SUMMARIZE, SHOW TABLES).
   *
   * @throws InputError when it is not one such statement, or DuckDB refuses it
   */
  async query(sql: string): Promise<SqlResult> {
    if (sql.trim() === "") {
      throw badQuery("the query is empty.");
    }
    try {
      const statements = await this.#connection.extractStatements(sql);
      if (statements.count !== 1) {
        throw badQuery(`one statement is expected, not ${statements.count}.`);
      }
      const prepared = await statements.prepare(0);
      if (prepared.statementType !== StatementType.SELECT) {
        throw badQuery("only queries are allowed (SELECT, FROM, WITH, DESCRIBE, SUMMARIZE): results stay as they are.");
      }
      const reader = await prepared.runAndReadAll();
      return { columns: reader.columnNames(), rows: reader.getRowsJS().map((row) => row.map(plain)) };
    } catch (error) {
      throw error instanceof InputError ? error : badQuery(`${messageOf(error).trim().replace(/\.$/, "")}.`);
    }
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  async #fill(runs: readonly WholeData[]): Promise<void> {
    await this.#insert("runs", runs.map(runRow));
    await this.#insert(
      "workers",
      runs.flatMap(({ spec, workers }) => workers.map(({ result }) => workerRow(spec.run, result))),
    );
    await this.#insert("operations", runs.flatMap(operationRows));
    await this.#insert("faults", runs.flatMap(faultRows));
    const events = await this.#parquet("events", runs, eventColumns);
    const replication = await this.#parquet("replication", runs, replicationColumns);
    const files = [...events, ...replication].map(literal).join(", ");
    await this.#connection.run(`SET allowed_paths = [${files}]`);
    await this.#connection.run("SET enable_external_access = false");
    await this.#connection.run("SET lock_configuration = true");
  }

  /** A table with these rows, each in the order of its columns. */
  async #insert(table: SqlTable, rows: readonly (readonly Cell[])[]): Promise<void> {
    const columns = sqlTables[table].columns.map(({ name, type }) => `${name} ${type}`).join(", ");
    await this.#connection.run(`CREATE TABLE ${table} (${columns})`);
    if (rows.length > 0) {
      const values = rows.map((row) => `(${row.map(literal).join(", ")})`).join(",\n");
      await this.#connection.run(`INSERT INTO ${table} VALUES ${values}`);
    }
  }

  /** A view over the files of that name of all workers; the files. */
  async #parquet(
    table: "events" | "replication",
    runs: readonly WholeData[],
    columns: readonly { readonly name: string }[],
  ): Promise<string[]> {
    const files = runs.flatMap(({ spec, folder, workers }) =>
      workers.map(({ index }) => ({ run: spec.run, file: resolve(join(folder, `workers/${index}/${table}.parquet`)) })),
    );
    const present = files.filter(({ file }) => existsSync(file));
    const names = columns.map(({ name }) => name).join(", ");
    const derived = table === "events" ? eventsDerived : "";
    const parts = present.map(
      ({ run, file }) => `SELECT ${literal(run)} AS run, ${names}${derived} FROM read_parquet(${literal(file)})`,
    );
    if (parts.length === 0) {
      await this.#insert(table, []);
    } else {
      await this.#connection.run(`CREATE VIEW ${table} AS ${parts.join(" UNION ALL ")}`);
    }
    return present.map(({ file }) => file);
  }
}

const eventsDerived = ", completed_us - intended_us AS latency_us, completed_us - sent_us AS service_us";

/** A run that was read whole. */
type WholeData = RunData & {
  readonly spec: NonNullable<RunData["spec"]>;
  readonly conductor: NonNullable<RunData["conductor"]>;
};

function wholeRun(data: RunData): WholeData {
  const { spec, conductor, damage, folder } = data;
  if (damage.length > 0 || spec === null || conductor === null) {
    throw new InputError(damage.map(({ text, fix }) => ({ path: folder, rule: text, fix })));
  }
  return { ...data, spec, conductor };
}

const usOf = (ms: number | null): number | null => (ms === null ? null : Math.round(ms * 1000));

function runRow({ spec, conductor }: WholeData): Cell[] {
  const { startAtMs } = conductor;
  const after = (ms: number): number | null => (startAtMs === null ? null : usOf(startAtMs + ms));
  const { warmupMs, measureMs } = spec.phases;
  return [
    ...[spec.run, spec.experiment, spec.system, spec.seed, spec.workers, spec.arrival.kind],
    ...[after(0), after(warmupMs), after(warmupMs + measureMs)],
  ];
}

function workerRow(run: string, result: WorkerResult): Cell[] {
  const { worker, pod, node, clock, health, durability } = result;
  return [
    ...[run, worker, pod, node, clock.offsetMs, clock.roundTripMs, clockDriftMs(result)],
    ...[health.eventLoopDelayMs.p99, health.latenessMs.p99],
    ...[health.cpu?.usedSeconds ?? null, health.cpu?.throttledSeconds ?? null, health.cpu?.limitCores ?? null],
    ...[health.maxInFlight, durability?.lost ?? null],
  ];
}

function operationRows({ spec, workers }: WholeData): Cell[][] {
  return workers.flatMap(({ index, result }) =>
    Object.entries(result.operations).map(([name, operation]) => [
      ...[spec.run, index, name, operation.offered, operation.sent],
      ...[operation.succeeded, failedOf(operation), operation.dropped],
    ]),
  );
}

function faultRows({ spec, conductor }: WholeData): Cell[][] {
  return conductor.faults.flatMap((fault) => {
    const common = [
      ...[spec.run, fault.index, fault.kind],
      ...[usOf(fault.plannedAtMs), usOf(fault.actedAtMs), fault.applied],
    ];
    return fault.members.length === 0
      ? [[...common, null, null, null, null, null]]
      : fault.members.map(({ pod, ordinal, role, goneAtMs, readyAtMs }) => [
          ...[...common, pod, ordinal, role, usOf(goneAtMs), usOf(readyAtMs)],
        ]);
  });
}

function literal(value: Cell): string {
  return typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : value === null ? "NULL" : String(value);
}

/** A value as JSON can hold it. */
function plain(value: DuckDBValue | unknown): unknown {
  if (typeof value === "bigint") {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  }
  return Array.isArray(value) ? value.map(plain) : value;
}

function badQuery(why: string): InputError {
  const tables = Object.keys(sqlTables).join(", ");
  return new InputError([
    {
      path: "query",
      rule: why,
      fix: `Tables are ${tables}; \`DESCRIBE events\` names columns, docs/results.md explains them.`,
    },
  ]);
}
