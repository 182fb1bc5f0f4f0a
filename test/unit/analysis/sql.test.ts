import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { sqlTables } from "../../../analysis/sql/columns.ts";
import { ResultsDatabase } from "../../../analysis/sql/database.ts";
import { namedQueries, type QueryName } from "../../../analysis/sql/queries.ts";
import { analyseRun } from "../../../analysis/summary.ts";
import { keramikTables } from "../../../analysis/tables.ts";
import { InputError } from "../../../schema/errors.ts";
import { eventColumns } from "../../../schema/results.ts";
import { cutFile, makeRunFolder, type RunOptions, type SimulatedOperation, startAtMs } from "../../support/results.ts";
import { shortRun, temporaryFolder } from "./run.ts";

async function opened(...folders: string[]): Promise<ResultsDatabase> {
  const database = await ResultsDatabase.open(folders);
  onTestFinished(() => database.close());
  return database;
}

async function made(options: RunOptions = {}): Promise<{ folder: string; truth: SimulatedOperation[] }> {
  const folder = await temporaryFolder();
  return { folder, truth: await makeRunFolder(folder, { ...shortRun, ...options }) };
}

const failing: RunOptions = { outage: { fromMs: 4_002, forMs: 900, manner: "refused" } };

describe("tables", () => {
  test("events hold every operation as it was, in the types of the contract", async () => {
    const { folder, truth } = await made(failing);
    const database = await opened(folder);
    const names = eventColumns.map(({ name }) => name);
    const { rows } = await database.query(`SELECT ${names.join(", ")} FROM events ORDER BY intended_us`);
    const us = (ms: number): number => startAtMs * 1000 + Math.round(ms * 1000);
    expect(rows).toEqual(
      truth.map((one) => [
        ...[one.worker, one.operation, one.phase, one.endpoint],
        ...[us(one.intendedMs), us(one.sentMs), us(one.completedMs), one.outcome, one.attempts],
      ]),
    );
    const parquet = `read_parquet('${join(folder, "workers/0/events.parquet")}')`;
    const types = await database.query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${parquet})`);
    const expected = { STRING: "VARCHAR", INT32: "INTEGER", INT64: "BIGINT" } as const;
    expect(types.rows).toEqual(eventColumns.map(({ name, type }) => [name, expected[type]]));
  });

  test("are as documented, every one of them", async () => {
    const { folder } = await made();
    const database = await opened(folder);
    for (const [name, { columns }] of Object.entries(sqlTables)) {
      const { rows } = await database.query(`SELECT column_name, column_type FROM (DESCRIBE ${name})`);
      expect(rows, name).toEqual(columns.map((column) => [column.name, column.type]));
    }
    const text = await readFile("docs/results.md", "utf8");
    for (const [name, { columns }] of Object.entries(sqlTables)) {
      expect(text).toContain(`## ${name}`);
      expect(columns.filter((column) => !text.includes(`| \`${column.name}\``))).toEqual([]);
    }
  });

  test("tell of several runs, and of what each was hit by", async () => {
    const [first, second] = [await made({ run: "run-a" }), await made({ run: "run-b", killAtMs: null, workers: 1 })];
    const database = await opened(first.folder, second.folder);
    expect((await database.query("SELECT run, workers FROM runs ORDER BY run")).rows).toEqual([
      ["run-a", 2],
      ["run-b", 1],
    ]);
    expect((await database.query("SELECT run, count(*) FROM events GROUP BY run ORDER BY run")).rows).toEqual([
      ["run-a", first.truth.length],
      ["run-b", second.truth.length],
    ]);
    expect((await database.query("SELECT run, kind, pod, role, applied FROM faults")).rows).toEqual([
      ["run-a", "kill", "kv-0", "leader", true],
    ]);
    expect(
      (await database.query("SELECT sum(offered), max(clock_offset_ms) FROM operations, workers")).rows[0]?.[1],
    ).toBe(0.08);
    expect((await database.query("SELECT * FROM replication")).rows).toEqual([]);
  });
});

describe("a query", () => {
  test.each([
    ["nothing known", "SELECT nothing FROM events", /nothing.*DESCRIBE events/s],
    ["no SQL", "SELEC 1", /syntax error/i],
    ["two statements", "SELECT 1; SELECT 2", /one statement is expected, not 2/],
    ["nothing", " ", /the query is empty/],
    ["a table made", "CREATE TABLE mine (a INT)", /only queries are allowed/],
    ["a file written", "COPY (SELECT 1) TO 'stolen.csv'", /Permission/],
    ["the run's own file written", "COPY (SELECT 1) TO 'EVENTS'", /only queries are allowed/],
    ["a plan that would write", "EXPLAIN ANALYZE COPY (SELECT 1) TO 'EVENTS'", /only queries are allowed/],
    ["another file read", "SELECT * FROM read_csv('package.json')", /permission|disabled|allowed/i],
    ["a setting changed", "SET enable_external_access = true", /only queries are allowed/],
  ])("of %s is bad input and says why", async (_, sql, why) => {
    const { folder } = await made();
    const database = await opened(folder);
    const file = join(folder, "workers/0/events.parquet");
    const before = await readFile(file);
    const problem = await database.query(sql.replace("EVENTS", file)).catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(InputError);
    expect((problem as Error).message).toMatch(why);
    expect(await readFile(file)).toEqual(before);
  });

  test("of a damaged run is refused: nothing is counted from what is left", async () => {
    const { folder } = await made();
    await cutFile(folder, "workers/1/events.parquet");
    await expect(ResultsDatabase.open([folder])).rejects.toThrow(/workers\/1\/events\.parquet cannot be read/);
  });
});

describe("the numbers of Keramik's notebook", () => {
  test.each(Object.keys(namedQueries) as QueryName[])("%s runs", async (name) => {
    const { folder } = await made(failing);
    const { rows } = await (await opened(folder)).query(namedQueries[name].sql);
    expect(rows.length > 0).toBe(name !== "keramik-replication");
  });

  test("are the same by SQL over raw events and by merged histograms", async () => {
    const { folder } = await made(failing);
    const { whole } = await analyseRun(folder);
    if (whole === null) {
      throw new Error("the run is not whole");
    }
    const tables = keramikTables(whole);
    const database = await opened(folder);
    const summary = await database.query(namedQueries["keramik-summary"].sql);
    expect(summary.rows).toHaveLength(2);
    for (const row of summary.rows) {
      const [, operation, requests, succeeded, failed, percent, duration, rate, goodRate, badRate] = row;
      const own = tables.requests.find((one) => one.operation === operation);
      expect([own?.requests, own?.succeeded, own?.failed]).toEqual([requests, succeeded, failed]);
      expect(tables.durationS).toBe(duration);
      expect(own?.successPercent).toBeCloseTo(percent as number, 9);
      expect(own?.perSecond.requests).toBeCloseTo(rate as number, 9);
      expect(own?.perSecond.succeeded).toBeCloseTo(goodRate as number, 9);
      expect(own?.perSecond.failed).toBeCloseTo(badRate as number, 9);
    }
    expect(summary.rows.some((row) => (row[4] as number) > 0)).toBe(true);
    const durations = await database.query(namedQueries["keramik-durations"].sql);
    expect(durations.rows).toHaveLength(12);
    for (const [, operation, share, latencyMs, serviceMs] of durations.rows) {
      const own = tables.durations.find((one) => one.operation === operation && one.share === share);
      const slack = (exact: number): number => 0.001 + exact / 1024;
      expect(Math.abs((own?.latencyMs ?? Number.NaN) - (latencyMs as number))).toBeLessThanOrEqual(
        slack(latencyMs as number),
      );
      expect(Math.abs((own?.serviceMs ?? Number.NaN) - (serviceMs as number))).toBeLessThanOrEqual(
        slack(serviceMs as number),
      );
    }
  });

  test("of the run time are those of the first and last operations, whatever their phase", async () => {
    const { folder, truth } = await made({ warmupMs: 2_000, measureMs: 10_000 });
    const { rows } = await (await opened(folder)).query(namedQueries["keramik-run-time"].sql);
    expect(rows).toHaveLength(2);
    const runS = 12;
    for (const [, worker, runTime, first, last, ended, off] of rows) {
      const own = truth.filter((one) => one.worker === worker);
      const sent = own.map(({ sentMs }) => sentMs / 1000);
      const lastAnswer = Math.max(...own.map(({ completedMs }) => completedMs)) / 1000;
      expect(runTime).toBe(runS);
      expect(first).toBeCloseTo(Math.min(...sent), 5);
      expect(last).toBeCloseTo(Math.max(...sent), 5);
      expect(ended).toBeCloseTo(lastAnswer, 5);
      expect(off).toBeCloseTo((100 * (lastAnswer - runS)) / runS, 4);
    }
  });

  test("by member are those of the summary", async () => {
    const { folder } = await made({ ...failing, replication: { deadlineMs: 1_000, delayMs: () => 5 } });
    const { summary } = await analyseRun(folder);
    const { rows } = await (await opened(folder)).query(namedQueries["keramik-nodes"].sql);
    const writes = rows.filter(([, , operation]) => operation === "put");
    expect(writes.map(([, member]) => member)).toEqual(summary.nodes?.map(({ ordinal }) => ordinal));
    for (const [, member, , requests, percent, rate, p50] of writes) {
      const own = summary.nodes?.find(({ ordinal }) => ordinal === member)?.writes;
      expect(own?.count).toBe(requests);
      expect(100 * (own?.success_ratio ?? Number.NaN)).toBeCloseTo(percent as number, 9);
      expect(own?.rate).toBeCloseTo(rate as number, 9);
      expect(own?.latency_ms?.p50).toBeCloseTo(p50 as number, 9);
    }
  });
});
