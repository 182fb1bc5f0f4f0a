import { expect, test } from "vitest";
import { formatCount, formatMs } from "../../../analysis/format.ts";
import { renderAnalysis } from "../../../analysis/report/analysis-page.ts";
import { keramikTables } from "../../../analysis/tables.ts";
import { cutFile } from "../../support/results.ts";
import { analysed } from "./run.ts";

test("the analysis page shows every number of the tables", async () => {
  const { whole } = await analysed({ outage: { fromMs: 4_002, forMs: 900, manner: "refused" } });
  if (whole === null) {
    throw new Error("the run is not whole");
  }
  const page = renderAnalysis("kv/run-1", whole);
  const { requests, durations } = keramikTables(whole);
  expect(requests.map(({ operation }) => operation).sort()).toEqual(["get", "put"]);
  expect(requests.find(({ operation }) => operation === "put")?.failed).toBeGreaterThan(10);
  for (const { operation, succeeded, failed } of requests) {
    expect(page).toMatch(
      new RegExp(
        `${operation}</th>.*>${formatCount(succeeded + failed)}<.*>${formatCount(succeeded)}<.*>${formatCount(failed)}<`,
      ),
    );
  }
  for (const { latencyMs, serviceMs } of durations) {
    expect(page).toContain(`>${formatMs(latencyMs)}</td><td class="figures">${formatMs(serviceMs)}<`);
  }
  expect(page).not.toMatch(/<script|https?:/);
});

test("the analysis page of a damaged run has no numbers", async () => {
  const { whole } = await analysed({}, (folder) => cutFile(folder, "workers/0/worker.json"));
  expect(whole).toBeNull();
  const page = renderAnalysis("kv/run-1", whole);
  expect(page).toContain("nothing is computed");
  expect(page).not.toContain("<table");
});
