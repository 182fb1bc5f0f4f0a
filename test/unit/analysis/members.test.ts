import { expect, test } from "vitest";
import type { WholeRun } from "../../../analysis/checks/check.ts";
import { memberGrid } from "../../../analysis/members.ts";
import { analyseRun } from "../../../analysis/summary.ts";
import { makeRunFolder, type RunOptions, type SimulatedOperation } from "../../support/results.ts";
import { shortRun, temporaryFolder } from "./run.ts";

async function made(options: RunOptions = {}): Promise<{ run: WholeRun; operations: SimulatedOperation[] }> {
  const folder = await temporaryFolder();
  const operations = await makeRunFolder(folder, { ...shortRun, ...options });
  const { whole } = await analyseRun(folder);
  if (whole === null) {
    throw new Error("the made run is whole");
  }
  return { run: whole, operations };
}

/** Nearest rank by sorting. */
function exact(values: readonly number[], share: number): number | null {
  return [...values].sort((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? null;
}

const latencies = (operations: readonly SimulatedOperation[]): number[] =>
  operations.map((one) => (Math.round(one.completedMs * 1000) - Math.round(one.intendedMs * 1000)) / 1000);

test("every operation is counted once, at its member and in its second, with exact percentiles", async () => {
  const { run, operations } = await made({ outage: { fromMs: 4_000, forMs: 900, manner: "refused" } });
  const grid = memberGrid(run);
  expect(grid).toMatchObject({ fromMs: -2_000, widthMs: 1_000 });
  expect(grid.rows.map(({ pod }) => pod)).toEqual(["kv-0", "kv-1", "kv-2"]);
  for (const row of grid.rows) {
    const own = operations.filter(({ endpoint }) => endpoint === row.ordinal);
    expect(row.count).toBe(own.length);
    expect(row.failed).toBe(own.filter(({ outcome }) => outcome !== "ok").length);
    expect(row.p99Ms).toBeCloseTo(exact(latencies(own), 0.99) ?? -1, 3);
    expect(row.p50Ms).toBeCloseTo(exact(latencies(own), 0.5) ?? -1, 3);
    expect(row.byWorker).toEqual([0, 1].map((worker) => own.filter((one) => one.worker === worker).length));
    for (const [second, cell] of row.cells.entries()) {
      const within = own.filter(({ completedMs }) => Math.floor(Math.round(completedMs * 1000) / 1e6) === second);
      expect(cell.count).toBe(within.length);
      expect(cell.failed).toBe(within.filter(({ outcome }) => outcome !== "ok").length);
      if (cell.p99Ms !== null) {
        expect(cell.p99Ms).toBeCloseTo(exact(latencies(within), 0.99) ?? -1, 3);
      }
    }
  }
  expect(grid.rows.some(({ failed }) => failed > 0)).toBe(true);
});

test("long runs are put together in stretches, and nothing is lost", async () => {
  const { run, operations } = await made({ measureMs: 200_000, ratePerSecond: 20, killAtMs: null });
  const grid = memberGrid(run, 50);
  expect(grid.columns).toBeLessThanOrEqual(50);
  expect(grid.widthMs).toBe(5_000);
  const counted = grid.rows.flatMap(({ cells }) => cells).reduce((sum, { count }) => sum + count, 0);
  expect(counted).toBe(operations.length);
});

test("operations that no member answered have a row of their own", async () => {
  const { run } = await made({
    editOperations: (all) =>
      all.map((one, index) => (index === 500 ? { ...one, endpoint: -1, outcome: "timeout" } : one)),
  });
  expect(memberGrid(run).rows[0]).toMatchObject({ pod: "no member", count: 1, failed: 1 });
});
