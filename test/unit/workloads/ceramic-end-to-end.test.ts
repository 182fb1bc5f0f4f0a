import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import type { RunSpec } from "../../../schema/run.ts";
import { sampleSize } from "../../../workloads/ceramic/anchors.ts";
import { Stage } from "./support/processes.ts";
import { StubCeramicNetwork } from "./support/stub-ceramic.ts";

let stage: Stage;
let network: StubCeramicNetwork;

beforeEach(async () => {
  stage = await Stage.set();
  network = await new StubCeramicNetwork(2).listen();
  network.written = (id) => {
    for (const peer of network.peers) {
      peer.show(id);
    }
  };
});

afterEach(async () => {
  await network.stop();
  await stage.clear();
});

async function credentials(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "orrery-ceramic-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "admin-seed"), "07".repeat(32));
  return folder;
}

const ceramicRun = {
  system: "ceramic",
  operations: { create: 1, update: 1, read: 1, query: 1 },
  arrival: { kind: "closed", users: 3, thinkTimeMs: 20 },
  timeoutMs: 10_000,
  parameters: { authors: 4, documents: 1, shapes: ["large"], anchors: { wait: 0 } },
  replication: { deadlineMs: 20_000 },
} satisfies Partial<RunSpec>;

test("a worker makes models, writes, follows every write to both peers, and says what peers hold", async () => {
  const conductor = await stage.startConductor();
  const spec = stage.publish({
    ...ceramicRun,
    endpoints: network.peers.map(({ endpoint }) => endpoint),
  });
  const driver = await stage.startDriver(spec, 0, undefined, { ORRERY_CREDENTIALS: await credentials() });
  await stage.untilComplete(spec.run, conductor);
  expect(await driver.exitCode(), driver.output).toBe(0);
  const result = await stage.workerResult(spec.run);
  for (const name of Object.keys(ceramicRun.operations)) {
    expect(result.operations[name]?.succeeded, name).toBeGreaterThan(0);
    expect(result.operations[name]?.errors, name).toEqual({});
  }
  const rows = await stage.rows(spec.run, "replication.parquet");
  expect(rows.length).toBe(2 * (result.replication?.events ?? 0));
  expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(["seen"]));
  expect(result.durability).toMatchObject({ lost: 0, keysUnread: 0 });
  expect(result.durability?.keysChecked).toBeGreaterThan(0);
  const created = (await stage.events(spec.run)).filter((event) => event.operation === "create").length;
  const sampled = sampleSize(created);
  expect(result.anchors).toMatchObject({ created, sampled, pending: sampled, unread: 0 });
  expect(result.held?.map(({ ordinal }) => ordinal)).toEqual([0, 1]);
  for (const { before, after, seconds } of result.held ?? []) {
    expect(before).toBeGreaterThanOrEqual(4);
    expect(after).toBeGreaterThan(before ?? Number.POSITIVE_INFINITY);
    expect(seconds).toBeGreaterThan(0);
  }
}, 60_000);

test("a worker that the network gives no credentials says so and delivers nothing", async () => {
  await stage.startConductor();
  const spec = stage.publish({ ...ceramicRun, endpoints: network.peers.map(({ endpoint }) => endpoint) });
  const driver = await stage.startDriver(spec);
  expect(await driver.exitCode()).toBe(4);
  expect(driver.output).toMatch(/gives no credentials; those of a Ceramic network hold admin-seed/);
}, 60_000);
