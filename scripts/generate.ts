import { readFile, writeFile } from "node:fs/promises";
import { resultsMarkdown } from "../analysis/sql/document.ts";
import { experimentJsonSchema } from "../schema/json-schema.ts";
import { compileContract } from "./solidity.ts";

/** Writes the files that are made from others; with `--check` it only says whether they are fresh. */
const generated = new Map([
  ["schema/experiment.schema.json", `${JSON.stringify(experimentJsonSchema(), null, 2)}\n`],
  ["docs/results.md", resultsMarkdown()],
  ["nodes/racecourse/contracts/Racecourse.json", await compileContract("nodes/racecourse/contracts/Racecourse.sol")],
  ["workloads/quorum/contracts/Storage.json", await compileContract("workloads/quorum/contracts/Storage.sol")],
]);

const stale: string[] = [];
for (const [file, text] of generated) {
  const present = await readFile(file, "utf8").catch(() => "");
  if (present === text) {
    continue;
  }
  stale.push(file);
  if (!process.argv.includes("--check")) {
    await writeFile(file, text);
  }
}
if (process.argv.includes("--check") && stale.length > 0) {
  console.error(`not fresh: ${stale.join(", ")}\n  run npm run generate and commit the result`);
  process.exitCode = 1;
}
