import { describe, expect, test } from "vitest";
import type { WorkerResult } from "../../../schema/results.ts";
import { analysed, shortRun } from "./run.ts";

type Held = NonNullable<WorkerResult["held"]>;

/** A run in which the first worker counted what three members held, over ten seconds. */
async function judged(min: string, before: readonly (number | null)[], after: readonly (number | null)[]) {
  const held: Held = [0, 1, 2].map((ordinal) => ({
    ordinal,
    before: before[ordinal] ?? null,
    after: after[ordinal] ?? null,
    seconds: 10,
  }));
  const { summary } = await analysed({
    ...shortRun,
    killAtMs: null,
    objectives: [{ metric: "member_rate", min }],
    editWorker: (worker) => (worker.worker === 0 ? { ...worker, held } : worker),
  });
  return summary.objectives[0];
}

describe("the rate at which members gain events", () => {
  test("passes exactly at the target", async () => {
    expect(await judged("300/s", [0, 0, 0], [3_000, 3_000, 3_000])).toMatchObject({ value: 300, met: true });
    expect(await judged("300/s", [0, 0, 0], [3_000, 3_000, 2_999])).toMatchObject({ met: false });
  });

  test("follows the target that is asked for", async () => {
    expect(await judged("20/s", [0, 0, 0], [200, 200, 200])).toMatchObject({ met: true });
    expect(await judged("21/s", [0, 0, 0], [200, 200, 200])).toMatchObject({ met: false });
  });

  test("is that of the slowest: one member below the target fails", async () => {
    expect(await judged("300/s", [0, 0, 0], [9_000, 2_990, 9_000])).toMatchObject({ value: 299, met: false });
  });

  test("is of this run alone: what was there before is taken off", async () => {
    const second = await judged("300/s", [3_000, 3_000, 3_000], [6_000, 6_000, 5_000]);
    expect(second).toMatchObject({ value: 200, met: false });
  });

  test("has no value when a member did not say, and the objective says which", async () => {
    const gone = await judged("1/s", [0, 0, 0], [100, null, 100]);
    expect(gone).toMatchObject({ value: null, met: false });
    expect(gone?.reason).toMatch(/kv-1 did not say how many events it held after/);
    const { summary } = await analysed({ ...shortRun, objectives: [{ metric: "member_rate", min: "1/s" }] });
    expect(summary.objectives[0]?.reason).toMatch(/no worker counted/);
  });
});

describe("anchors", () => {
  const look = { created: 10, sampled: 10, unread: 0, anchored: 4, pending: 6, failed: 0, notRequested: 0 };
  const objectives = [{ metric: "bad_anchors", max: 0 }];

  test.each([
    ["pending ones pass", {}, true, 0],
    ["failed ones do not", { failed: 1 }, false, 2],
    ["documents that are not there do not", { unread: 2 }, false, 4],
  ])("%s", async (_, change, met, value) => {
    const editWorker = (worker: WorkerResult) => ({ ...worker, anchors: { ...look, ...change } });
    const { summary } = await analysed({ ...shortRun, objectives, editWorker });
    expect(summary.objectives[0]).toMatchObject({ met, value }); // of two workers
  });

  test("the share that is there is judged apart: pending ones are no anchors", async () => {
    const editWorker = (worker: WorkerResult) => ({ ...worker, anchors: look });
    const wanted = [{ metric: "anchored_ratio", min: 0.5 }];
    const { summary } = await analysed({ ...shortRun, objectives: wanted, editWorker });
    expect(summary.objectives[0]).toMatchObject({ met: false, value: 0.4 });
    const none = (worker: WorkerResult) => ({ ...worker, anchors: { ...look, created: 0, sampled: 0 } });
    const empty = await analysed({ ...shortRun, objectives: wanted, editWorker: none });
    expect(empty.summary.objectives[0]).toMatchObject({ met: false, reason: "there were no new documents to look at" });
  });

  test("nobody looked at are no pass", async () => {
    const { summary } = await analysed({ ...shortRun, objectives });
    expect(summary.objectives[0]).toMatchObject({ met: false, value: null });
  });
});
