import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readRun } from "../../../analysis/read.ts";
import { InputError } from "../../../schema/errors.ts";
import { cutFile, editJson, makeRunFolder, type RunOptions } from "../../support/results.ts";
import { analysed, failedChecks, shortRun, temporaryFolder } from "./run.ts";

type Change = (folder: string) => Promise<void>;
const removed =
  (file: string): Change =>
  (folder) =>
    rm(join(folder, file), { recursive: true });
const cut =
  (file: string, share = 0.6): Change =>
  (folder) =>
    cutFile(folder, file, share);
const withField =
  (file: string, field: string, value: unknown): Change =>
  (folder) =>
    editJson(folder, file, (document) => ({ ...document, [field]: value }));

const results = ["spec.json", "conductor.json", "workers/0/worker.json", "workers/1/events.parquet"];

describe("a damaged run folder", () => {
  const damages: [string, Change, string][] = [
    ...[...results, "experiment.yaml"].map((file): [string, Change, string] => [
      `${file} is missing`,
      removed(file),
      "results-missing",
    ]),
    ["a whole worker is missing", removed("workers/1"), "results-missing"],
    ["all workers are missing", removed("workers"), "results-missing"],
    ...[...results, "environment.json"].map((file): [string, Change, string] => [
      `${file} is cut`,
      cut(file),
      "results-damaged",
    ]),
    ["events.parquet is empty", cut("workers/0/events.parquet", 0), "results-damaged"],
    ["events.parquet lost its last byte", cut("workers/0/events.parquet", 0.9999), "results-damaged"],
    ["worker.json is empty", cut("workers/0/worker.json", 0), "results-damaged"],
    ["worker.json is text", (folder) => writeFile(join(folder, "workers/0/worker.json"), "lost"), "results-damaged"],
    ["worker.json has a new field", withField("workers/0/worker.json", "extra", 1), "results-damaged"],
    [
      "experiment.yaml is not valid",
      (folder) => writeFile(join(folder, "experiment.yaml"), "name: [1"),
      "results-damaged",
    ],
    ["the spec is newer", withField("spec.json", "schema", "orrery/run/v2"), "results-version"],
    ["the conductor is newer", withField("conductor.json", "schema", "orrery/conductor/v2"), "results-version"],
    ["a worker is newer", withField("workers/1/worker.json", "schema", "orrery/worker/v9"), "results-version"],
    ["a worker has no version", withField("workers/1/worker.json", "schema", undefined), "results-version"],
    ["a worker is of another run", withField("workers/0/worker.json", "run", "other"), "results-mismatch"],
    ["the conductor is of another run", withField("conductor.json", "run", "other"), "results-mismatch"],
    ["a worker has another index", withField("workers/1/worker.json", "worker", 0), "results-mismatch"],
    [
      "a worker too many",
      (folder) => cp(join(folder, "workers/0"), join(folder, "workers/2"), { recursive: true }),
      "results-mismatch",
    ],
    ["the spec is of another experiment", withField("spec.json", "experiment", "other"), "results-mismatch"],
    [
      "events of one worker lie in the folder of another",
      (folder) => cp(join(folder, "workers/0/events.parquet"), join(folder, "workers/1/events.parquet")),
      "results-damaged",
    ],
    [
      "a file stands where a folder should",
      (folder) =>
        mkdir(join(folder, "conductor.json.d"))
          .then(() => removed("conductor.json")(folder))
          .then(() => mkdir(join(folder, "conductor.json"))),
      "results-damaged",
    ],
  ];

  test.each(damages)("(%s) is invalid with a reason, and has no numbers", async (_, change, check) => {
    const { whole, summary } = await analysed({}, change);
    expect(summary.verdict).toBe("invalid");
    expect(summary.reasons.map((reason) => reason.check)).toContain(check);
    expect(summary.reasons.every((reason) => reason.text !== "" && reason.fix !== "")).toBe(true);
    expect(whole).toBeNull();
    expect(summary.operations).toEqual({});
    expect(summary.metrics).toEqual({});
    expect(summary.durability).toBeNull();
    expect(summary.objectives.every((objective) => objective.value === null && !objective.met)).toBe(true);
    expect(summary.faults.every((fault) => fault.failover_ms === null)).toBe(true);
  });

  const brokenHistograms: [string, RunOptions["editWorker"]][] = [
    ["latency", (worker) => ({ ...worker, operations: { get: { ...worker.operations.get, latency: "AAAA" } } })],
    [
      "an interval's latency",
      (worker) => {
        const get = worker.operations.get;
        const intervals = get?.intervals.map((interval, index) =>
          index === 3 ? { ...interval, latency: "" } : interval,
        );
        return { ...worker, operations: { get: { ...get, intervals } } };
      },
    ],
  ];

  test.each(brokenHistograms)("(%s cannot be decoded) says which", async (_, editWorker) => {
    const analysis = await analysed(editWorker === undefined ? {} : { editWorker });
    expect(failedChecks(analysis)).toEqual(["results-damaged"]);
    expect(analysis.summary.reasons[0]?.text).toMatch(/worker\.json cannot be read: operations\.get\..*latency/);
  });

  test("is never a crash, wherever a file is cut", async () => {
    for (const file of results) {
      for (const share of [0.03, 0.2, 0.5, 0.8, 0.97]) {
        const { summary } = await analysed({}, cut(file, share));
        expect(`${file} ${share} ${summary.verdict}`).toBe(`${file} ${share} invalid`);
      }
    }
  });

  test("names every damage at once", async () => {
    const analysis = await analysed({}, async (folder) => {
      await removed("conductor.json")(folder);
      await cut("workers/0/worker.json")(folder);
      await withField("spec.json", "schema", "orrery/run/v2")(folder);
    });
    expect(failedChecks(analysis).sort()).toEqual(["results-damaged", "results-missing", "results-version"]);
  });
});

describe("a whole run folder", () => {
  test("is read with every event, and needs no environment to be valid", async () => {
    const folder = await temporaryFolder();
    const truth = await makeRunFolder(folder, shortRun);
    await removed("environment.json")(folder);
    const data = await readRun(folder);
    expect(data.damage).toEqual([]);
    expect(data.warnings.map((warning) => warning.check)).toEqual(["results-missing"]);
    for (const { index, events } of data.workers) {
      const own = truth.filter((operation) => operation.worker === index);
      expect(events.rows).toBe(own.length);
      expect([...events.operation].map((code) => events.operations[code])).toEqual(own.map((one) => one.operation));
      expect([...events.measured]).toEqual(own.map((one) => (one.phase === "measure" ? 1 : 0)));
      expect([...events.endpoint]).toEqual(own.map((one) => one.endpoint));
    }
  });

  test("may hold no event at all", async () => {
    const folder = await temporaryFolder();
    await makeRunFolder(folder, { ...shortRun, editOperations: () => [] });
    const data = await readRun(folder);
    expect(data.damage).toEqual([]);
    expect(data.workers.map((worker) => worker.events.rows)).toEqual([0, 0]);
  });
});

test("a folder that is not there is the caller's mistake, not an invalid run", async () => {
  await expect(readRun(await temporaryFolder())).rejects.toBeInstanceOf(InputError);
});
