import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fileListSchema } from "../../../schema/run.ts";
import { Stage, until } from "./support/processes.ts";

// Driver and conductor are the real programs in processes of their own; the network and the API server are stand-ins.

let stage: Stage;

beforeEach(async () => {
  stage = await Stage.set();
});

afterEach(async () => {
  await stage.clear();
});

test("two workers share a start, offer the whole rate, and every delivered file is as its checksum says", async () => {
  const spec = stage.publish({ workers: 2 });
  const conductor = await stage.startConductor();
  const drivers = [await stage.startDriver(spec, 0), await stage.startDriver(spec, 1)];
  for (const driver of drivers) {
    expect(await driver.exitCode(), driver.output).toBe(0);
  }
  const result = await stage.untilComplete(spec.run, conductor);

  const list = fileListSchema.parse(await (await stage.ask(spec.run, "files")).json());
  expect(list.files.map(({ path }) => path)).toEqual([
    "conductor.json",
    "spec.json",
    ...[0, 1].flatMap((worker) => [`workers/${worker}/events.parquet`, `workers/${worker}/worker.json`]),
  ]);
  for (const { path, bytes, sha256 } of list.files) {
    const body = await stage.file(spec.run, path);
    expect([body.length, createHash("sha256").update(body).digest("hex")]).toEqual([bytes, sha256]);
  }
  const workers = [await stage.workerResult(spec.run, 0), await stage.workerResult(spec.run, 1)];
  expect(new Set([result.startAtMs, ...workers.map(({ startAtMs }) => startAtMs)]).size).toBe(1);
  expect(result.workers.map(({ pod }) => pod)).toEqual(["run-test-1-0", "run-test-1-1"]);

  for (const worker of workers) {
    const { put, get } = worker.operations;
    expect((put?.offered ?? 0) + (get?.offered ?? 0)).toBe(200); // 100 a second each, for 2 s
    expect(put?.errors).toEqual({});
    expect(worker.health.inFlightLimit).toBeGreaterThanOrEqual(worker.health.maxInFlight);
    // Both programs run on one clock here; whatever the exchanges leave open is all there can be.
    const { end, roundTripMs, offsetMs, wallStepMs } = worker.clock;
    expect(Math.abs((end?.offsetMs ?? 1e9) - offsetMs)).toBeLessThan(roundTripMs + (end?.roundTripMs ?? 0) + 1);
    expect(Math.abs(wallStepMs ?? 1e9)).toBeLessThan(1000);
    expect(worker.durability).toMatchObject({ keysUnread: 0, lost: 0 });
    expect(worker.durability?.keysChecked).toBeGreaterThan(10);
    const events = await stage.events(spec.run, worker.worker);
    expect(events).toHaveLength(250); // the warm-up too
    const startUs = BigInt(worker.startAtMs) * 1000n;
    const intended = events.map((event) => Number((event.intended_us as bigint) - startUs)).sort((a, b) => a - b);
    expect(intended).toEqual(Array.from({ length: 250 }, (_, slot) => (slot * 2 + worker.worker) * 5000));
    expect(new Set(events.map((event) => event.outcome))).toEqual(new Set(["ok"]));
    expect(new Set(events.map((event) => event.worker))).toEqual(new Set([worker.worker]));
  }
  const keys = stage.members.flatMap(({ requests }) => requests.map((request) => /w(\d)-/.exec(request)?.[1]));
  expect(new Set(keys)).toEqual(new Set(["0", "1"]));
});

test("the same seed sends the same keys and values again", async () => {
  await stage.startConductor();
  const [member] = stage.members;
  const sent: string[][] = [];
  for (const run of ["first", "second"]) {
    for (const { requests } of stage.members) {
      requests.length = 0;
    }
    const phases = { warmupMs: 0, measureMs: 500, cooldownMs: 0 };
    const endpoints = stage.members.slice(0, 1).map(({ endpoint }) => endpoint);
    const driver = await stage.startDriver(stage.publish({ run, phases, endpoints }));
    expect(await driver.exitCode(), driver.output).toBe(0);
    // Sorted: the operations go out over several connections, so the member may see neighbours swapped.
    sent.push(member?.requests.slice(0, 100).sort() ?? []);
  }
  expect(sent[0]).toHaveLength(100);
  expect(sent[1]).toEqual(sent[0]);
});

test("a member that acknowledges writes and drops them is found out", async () => {
  const liar = stage.members[1];
  if (liar !== undefined) {
    liar.behaviour = "drop-writes";
  }
  const spec = stage.publish();
  const conductor = await stage.startConductor();
  const driver = await stage.startDriver(spec);
  expect(await driver.exitCode(), driver.output).toBe(0);
  await stage.untilComplete(spec.run, conductor);
  const { durability } = await stage.workerResult(spec.run);
  expect(durability?.lost).toBeGreaterThan(0);
  expect(durability?.examples[0]).toMatchObject({ key: expect.stringMatching(/^w0-\d+$/) });
});

test("users of a closed arrival never have more than one operation in flight each", async () => {
  const spec = stage.publish({ arrival: { kind: "closed", users: 4, thinkTimeMs: 5 } });
  const conductor = await stage.startConductor();
  const driver = await stage.startDriver(spec);
  expect(await driver.exitCode(), driver.output).toBe(0);
  await stage.untilComplete(spec.run, conductor);
  const { health, operations } = await stage.workerResult(spec.run);
  expect(health.maxInFlight).toBe(4);
  expect(operations.put?.succeeded).toBeGreaterThan(100);
});

test("acknowledged writes are followed to every member, and one that lags or never shows them is found out", async () => {
  const [, lagging, silent] = stage.members;
  if (lagging === undefined || silent === undefined) {
    throw new Error("three members are set");
  }
  lagging.feed.delayMs = 150;
  silent.feed.delayMs = Number.POSITIVE_INFINITY;
  const spec = stage.publish({ workers: 2, replication: { deadlineMs: 2_000 } });
  const conductor = await stage.startConductor();
  const drivers = [await stage.startDriver(spec, 0), await stage.startDriver(spec, 1)];
  for (const driver of drivers) {
    expect(await driver.exitCode(), driver.output).toBe(0);
  }
  await stage.untilComplete(spec.run, conductor);
  for (const worker of [0, 1]) {
    const { replication, durability } = await stage.workerResult(spec.run, worker);
    const rows = await stage.rows(spec.run, "replication.parquet", worker);
    expect(rows).toHaveLength((durability?.acknowledged ?? 0) * 3);
    const after = (member: number): number[] =>
      rows
        .filter((row) => row.member === member && row.seen_us !== null)
        .map((row) => Number((row.seen_us as bigint) - (row.accepted_us as bigint)) / 1000);
    expect(after(0)).toHaveLength(rows.length / 3);
    expect(after(1)).toHaveLength(rows.length / 3);
    // It shows each write 150 ms after it was made, which is before the acknowledgement has arrived.
    const sent = rows
      .filter((row) => row.member === 1)
      .map((row) => Number((row.seen_us as bigint) - (row.sent_us as bigint)));
    expect(Math.min(...sent)).toBeGreaterThan(149_000);
    expect(after(2)).toEqual([]);
    expect(new Set(rows.filter((row) => row.member === 2).map((row) => row.state))).toEqual(new Set(["missing"]));
    expect(replication?.events).toBe(rows.length / 3);
    expect(replication?.members.map(({ gaps }) => gaps)).toEqual([[], [], []]);
  }
  // Each worker asked for its own keys, and where a stream broke off on a busy machine, from where it was.
  const asked = new Set(lagging.feed.asked.map((query) => query.replace(/&after=\d+$/, "")));
  expect(asked).toEqual(new Set(["prefix=w0-", "prefix=w1-"]));
});

test("a driver whose connector fails ends with exit 4, open feeds or not", async () => {
  for (const member of stage.members) {
    member.behaviour = "nonsense";
  }
  const spec = stage.publish({ replication: { deadlineMs: 60_000 } });
  await stage.startConductor();
  const driver = await stage.startDriver(spec);
  expect(await driver.exitCode(), driver.output).toBe(4);
  expect(driver.output).toContain("not valid JSON");
});

test("a driver that is told to stop delivers what it has", async () => {
  const spec = stage.publish({ phases: { warmupMs: 0, measureMs: 60_000, cooldownMs: 0 } });
  const conductor = await stage.startConductor();
  const driver = await stage.startDriver(spec);
  await until(
    async () => ((await stage.status(spec.run)).workers[0]?.progress?.completed ?? 0) > 100,
    () => driver.output,
  );
  await driver.end("SIGTERM");
  expect(await driver.exitCode(), driver.output).toBe(0);
  await stage.untilComplete(spec.run, conductor);
  const worker = await stage.workerResult(spec.run);
  expect(worker.phases.at(-1)?.endMs).toBeLessThan(30_000);
  expect(await stage.events(spec.run)).toHaveLength(
    Object.values(worker.operations).reduce((sum, { sent }) => sum + sent, 0),
  );
});

test("a spec that cannot be used is exit 3, a run that refuses the worker exit 4", async () => {
  const spec = stage.publish();
  await stage.startConductor();
  const outside = await stage.startDriver(spec, 1);
  expect(await outside.exitCode()).toBe(3);
  expect(outside.output).toContain("JOB_COMPLETION_INDEX is 1, but the run has 1 workers");
  const stranger = await stage.startDriver(spec, 0, "00".repeat(32));
  expect(await stranger.exitCode()).toBe(4);
  expect(stranger.output).toContain("401");
});
