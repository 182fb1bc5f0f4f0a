import { compareRuns } from "../analysis/compare/compare.ts";
import { simulatedMedians, simulatedRuns, trial } from "../test/support/variation.ts";

/** Prints how often `orrery compare` finds a shift of 10 %, by variation and runs a side: analysis/compare/README.md. */
const trials = 200;
const variations = [0.02, 0.03, 0.05, 0.08, 0.1, 0.3];
const runs = [5, 10, 20];
const all = Object.keys(simulatedMedians);

function power(variation: number, count: number, slower: readonly string[]): string {
  const factors = Object.fromEntries(slower.map((metric) => [metric, 1.1]));
  let found = 0;
  for (let seed = 0; seed < trials; seed += 1) {
    const { baseline, candidate } = trial(simulatedRuns(variation), 1 + 7_919 * seed, count, factors);
    found += compareRuns(baseline, candidate, { resamples: 0 }).outcome === "regression" ? 1 : 0;
  }
  return `${Math.round((100 * found) / trials)} %`;
}

for (const [title, slower] of [
  ["every latency", all],
  ["one percentile of ten", ["get.latency.p99"]],
] as const) {
  console.log(`| ${title} slower by 10 %, runs vary by | ${runs.map((count) => `${count} runs a side`).join(" | ")} |`);
  console.log(`| ---: |${" ---: |".repeat(runs.length)}`);
  for (const variation of variations) {
    const cells = runs.map((count) => power(variation, count, slower));
    console.log(`| ${Math.round(100 * variation)} % | ${cells.join(" | ")} |`);
  }
}
